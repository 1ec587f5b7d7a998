//! Which parameters of a search mattered, and how the two that mattered most act together.
use super::search::Searched;
use super::shapes::{number, short};
use crate::report::Piece;
use crate::report::numbers::percent;
use crate::report::plot::convergence::Step;
use crate::report::plot::heat::heat_map;
use crate::report::plot::importance::{Bar, BarKind, importance};
use crate::report::plot::sweep::{Point, Scale};
use crate::stats;
use std::collections::BTreeMap;

/// Fewer evaluations than this for each parameter, or in all, and the bars would be of noise.
const FOR_EACH: usize = 3;
const LEAST: usize = 10;
/// Seed of the forest: the same records give the same bars.
const SEED: u64 = 1;
/// Bars of parameters, and of pairs.
const ALONE: usize = 20;
const TOGETHER: usize = 3;
/// Pairs that explain less are not worth a bar.
const WORTH: f64 = 0.005;

pub(super) struct Influence {
    /// The parameters that have a choice; the importance's factors.
    parameters: Vec<usize>,
    importance: stats::Importance,
    points: usize,
}

impl Influence {
    /// Parameters, the most important first.
    pub(super) fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.parameters.len()).collect();
        let alone = &self.importance.alone;
        order.sort_by(|&a, &b| alone[b].total_cmp(&alone[a]).then(a.cmp(&b)));
        order.into_iter().map(|f| self.parameters[f]).collect()
    }

    /// The two parameters that explain most, alone and together.
    fn pair(&self) -> Option<(usize, usize)> {
        let alone = &self.importance.alone;
        let sum = |(a, b, both): &(usize, usize, f64)| alone[*a] + alone[*b] + both;
        let best = self
            .importance
            .together
            .iter()
            .max_by(|x, y| sum(x).total_cmp(&sum(y)))?;
        Some((self.parameters[best.0], self.parameters[best.1]))
    }
}

/// The parameters' importance, or why there is none to show; an empty reason where nobody would ask.
pub(super) fn of(searched: &Searched<'_>) -> Result<Influence, String> {
    let has_choice = |p: &usize| searched.parameters[*p].values.len() > 1;
    let parameters: Vec<usize> = (0..searched.parameters.len()).filter(has_choice).collect();
    let (mut points, mut values) = (vec![], vec![]);
    for evaluation in &searched.evaluations {
        if let Some(value) = evaluation.value() {
            points.push(
                parameters
                    .iter()
                    .map(|&p| evaluation.place[p])
                    .collect::<Vec<_>>(),
            );
            values.push(value.ln());
        }
    }
    if parameters.len() < 2 {
        return Err(String::new());
    }
    let needed = LEAST.max(FOR_EACH * parameters.len());
    if points.len() < needed {
        return Err(format!(
            "Which parameters matter is not shown: {} with a figure are too few for {} parameters (at least {needed}).",
            crate::report::counted(points.len() as u64, "evaluation"),
            parameters.len()
        ));
    }
    let factors: Vec<stats::Factor> = parameters
        .iter()
        .map(|&p| stats::Factor {
            values: searched.scales[p].values.len(),
            is_ordered: searched.parameters[p]
                .values
                .iter()
                .all(|v| number(v).is_some()),
        })
        .collect();
    let importance = stats::importance(&factors, &points, &values, SEED)
        .ok_or("Which parameters matter is not shown: the evaluations hardly differ.")?;
    if importance.explained.is_nan() || importance.explained <= 0.0 {
        return Err("Which parameters matter is not shown: a random forest predicts evaluations that it has not seen no better than their mean does.".into());
    }
    Ok(Influence {
        parameters,
        importance,
        points: points.len(),
    })
}

pub(super) fn pieces(searched: &Searched<'_>, influence: Result<Influence, String>) -> Vec<Piece> {
    match influence {
        Ok(found) => [Some(bars(searched, &found)), together(searched, &found)]
            .into_iter()
            .flatten()
            .collect(),
        Err(why) if why.is_empty() => vec![],
        Err(why) => vec![Piece::Paragraph(why)],
    }
}

fn bars(searched: &Searched<'_>, found: &Influence) -> Piece {
    let name = |factor: usize| searched.scales[found.parameters[factor]].name.as_str();
    let bar = |name: String, share: f64, kind| Bar { name, share, kind };
    let by_share = |a: &Bar, b: &Bar| b.share.total_cmp(&a.share);
    let alone = found.importance.alone.iter().enumerate();
    let mut alone: Vec<Bar> = alone
        .map(|(f, &share)| bar(name(f).to_owned(), share, BarKind::Alone))
        .collect();
    let mut pairs: Vec<Bar> = found
        .importance
        .together
        .iter()
        .map(|&(a, b, share)| {
            bar(
                format!("{} with {}", name(a), name(b)),
                share,
                BarKind::Together,
            )
        })
        .filter(|bar| bar.share >= WORTH)
        .collect();
    alone.sort_by(by_share);
    pairs.sort_by(by_share);
    alone.truncate(ALONE);
    pairs.truncate(TOGETHER);
    let mut bars = [alone, pairs].concat();
    let rest = 1.0 - bars.iter().map(|b| b.share).sum::<f64>();
    if rest >= WORTH {
        bars.push(bar("everything else".into(), rest, BarKind::Rest));
    }
    let caption = format!(
        "share of the variance of the logarithm of the objective that each parameter explains alone (blue) and two together beyond that (green), over the whole cartesian product. Functional ANOVA (Hutter, Hoos & Leyton-Brown, 2014) of a random forest on {} evaluations, which explains {} of what it has not seen (R² out of bag); where restrictions forbid or the search did not look, the bars rest on what it fills in.",
        found.points,
        percent(found.importance.explained)
    );
    searched.figure(
        "importance",
        "importance of the parameters",
        &caption,
        importance(&bars),
    )
}

/// The best for each pair of values of the two parameters that matter most. A search over two has this picture already.
fn together(searched: &Searched<'_>, found: &Influence) -> Option<Piece> {
    let (a, b) = found.pair().filter(|_| searched.scales.len() > 2)?;
    let width = |p: usize| searched.scales[p].values.len();
    let (x, y) = if width(a) >= width(b) { (a, b) } else { (b, a) };
    let mut cells: BTreeMap<(usize, usize), Cell> = BTreeMap::new();
    for evaluation in &searched.evaluations {
        let cell = cells
            .entry((evaluation.place[x], evaluation.place[y]))
            .or_default();
        match evaluation.step {
            Step::Measured(value) => {
                cell.best = Some(cell.best.map_or(value, |best| best.min(value)))
            }
            Step::Untimed => cell.word = "too slow",
            Step::Failed if cell.word.is_empty() => cell.word = evaluation.trial.verdict.words(),
            Step::Failed => {}
        }
    }
    let kept = searched.kept.as_ref().map(|place| (place[x], place[y]));
    let points: Vec<Point> = cells
        .iter()
        .map(|(&place, cell)| Point {
            place: vec![place.0, place.1],
            quartiles: cell.best.map(|v| (v, v, v)),
            is_reference: false,
            is_kept: kept == Some(place),
            word: cell.word.to_owned(),
        })
        .collect();
    let scales: (&Scale, &Scale) = (&searched.scales[x], &searched.scales[y]);
    let frame = match points.iter().any(|p| p.is_kept) {
        true => "green frame: holds what was kept; ",
        false => "",
    };
    let legend = format!("{frame}grey: nothing tried; quicker is brighter (log scale)");
    let sketch = heat_map(
        scales,
        &points,
        &format!("{} (best)", searched.what),
        &|v| short(v),
        &legend,
    );
    let caption = format!(
        "{} over {} and {}, the two parameters that explain most: the best estimate of all evaluations with that pair of values, whatever the others were.",
        searched.what, scales.0.name, scales.1.name
    );
    Some(searched.figure(
        "interaction",
        "the two most important parameters together",
        &caption,
        sketch,
    ))
}

#[derive(Default)]
struct Cell {
    best: Option<f64>,
    /// Why there is no figure.
    word: &'static str,
}
