//! What a search did, beside what it found: how fast it got there, what its best have in common, and how many are as good as the
//! best. Which parameters mattered is in influence.rs, what could not be measured in excluded.rs.
use super::results::OPTIMISTIC;
use super::shapes::{Cells, collect, scale};
use super::{excluded, influence, pareto};
use crate::plan::{Phase, Question, Search};
use crate::record::{PhaseOutcome, Run, Trial};
use crate::report::numbers::{NONE, Unit, objective_name, percent, with_interval};
use crate::report::plot::convergence::{DOTS, Step, convergence};
use crate::report::plot::parallel::{Rank, Trace, parallel};
use crate::report::plot::sweep::Scale;
use crate::report::{
    Figure, Files, Piece, Row, columns, counted, is_statistical, listed_at_most, phase_title,
    screening, variants,
};
use crate::space::Parameter;
use crate::stats;
use crate::trial::{Purpose, VariantId, Verdict};
use std::collections::BTreeMap;

/// A search phase with all that it evaluated.
pub(super) struct Searched<'a> {
    outcome: &'a PhaseOutcome,
    pub(super) title: String,
    /// Of the figures' files.
    pub(super) stem: &'a str,
    pub(super) parameters: &'a [Parameter],
    /// What was searched for together with the objective.
    pub(super) pareto: &'a [String],
    pub(super) scales: Vec<Scale>,
    /// In the order in which the strategy asked for them.
    pub(super) evaluations: Vec<Evaluation<'a>>,
    pub(super) kept: Option<Vec<usize>>,
    reference: Option<f64>,
    /// "runtime, ms".
    pub(super) what: String,
    is_race: bool,
}

pub(super) struct Evaluation<'a> {
    pub(super) trial: &'a Trial,
    /// Index of its value on each parameter's scale.
    pub(super) place: Vec<usize>,
    pub(super) step: Step,
}

impl Evaluation<'_> {
    /// In the unit of the figures.
    pub(super) fn value(&self) -> Option<f64> {
        match self.step {
            Step::Measured(value) => Some(value),
            Step::Untimed | Step::Failed => None,
        }
    }
}

pub(in crate::report) fn pieces(
    run: &Run,
    outcome: &PhaseOutcome,
    phase: &Phase,
    stem: &str,
) -> Vec<Piece> {
    let Question::Search(search) = &phase.question else {
        return vec![];
    };
    let searched = Searched::of(run, outcome, search, stem);
    if searched.evaluations.is_empty() {
        return vec![];
    }
    let influence = influence::of(&searched);
    let order = influence
        .as_ref()
        .map_or_else(|_| vec![], |found| found.order());
    let mut pieces = curve(&searched);
    pieces.extend(influence::pieces(&searched, influence));
    pieces.extend(coordinates(&searched, &order));
    pieces.extend(pareto::of_search(run, &searched));
    pieces.extend(ties(run, &searched));
    pieces.extend(excluded::pieces(&searched, &search.restrictions));
    pieces
}

impl<'a> Searched<'a> {
    fn of(
        run: &'a Run,
        outcome: &'a PhaseOutcome,
        search: &'a Search,
        stem: &'a str,
    ) -> Searched<'a> {
        let parameters = &search.parameters[..];
        let trials = variants(run, outcome);
        let scales: Vec<Scale> = parameters.iter().map(|p| scale(p, &trials)).collect();
        let unit = Unit::of_trials(run, trials.iter().copied());
        let (estimates, is_race) = estimates(run, outcome);
        let place = |configuration: &crate::space::Configuration| -> Option<Vec<usize>> {
            let index = |scale: &Scale| {
                let value = configuration.get(&scale.name)?.to_string();
                scale.values.iter().position(|v| *v == value)
            };
            scales.iter().map(index).collect()
        };
        let value = |trial: &Trial| {
            let estimate = estimates.get(&trial.id).copied();
            let found = estimate.or(trial.quartiles.map(|q| q.1));
            found
                .filter(|v| v.is_finite() && *v > 0.0)
                .map(|v| unit.scaled(v))
        };
        let evaluation = |trial: &'a Trial| {
            let has_result = is_statistical(trial.verdict) || trial.verdict == Verdict::ScreenedOut;
            let step = match value(trial).filter(|_| has_result) {
                Some(value) => Step::Measured(value),
                None if has_result => Step::Untimed,
                None => Step::Failed,
            };
            Some(Evaluation {
                trial,
                place: place(&trial.configuration)?,
                step,
            })
        };
        // Variants are numbered as the strategy asked for them.
        let (references, asked): (Vec<&Trial>, Vec<&Trial>) =
            trials.iter().partition(|t| t.id == VariantId::REFERENCE);
        Searched {
            outcome,
            title: phase_title(outcome),
            stem,
            parameters,
            pareto: &search.pareto,
            evaluations: asked.into_iter().filter_map(evaluation).collect(),
            kept: place(&outcome.kept),
            reference: references.first().and_then(|t| value(t)),
            what: unit.head(&objective_name(run).to_lowercase()),
            is_race,
            scales,
        }
    }

    pub(super) fn measured(&self) -> impl Iterator<Item = (&Evaluation<'a>, f64)> {
        self.evaluations
            .iter()
            .filter_map(|e| Some((e, e.value()?)))
    }

    /// The median of each variant's invocations, for an objective that is no time.
    pub(super) fn runtimes(&self, run: &Run) -> BTreeMap<VariantId, f64> {
        let (case, phase) = (&self.outcome.case, &self.outcome.phase);
        let mut all: BTreeMap<VariantId, Vec<f64>> = BTreeMap::new();
        let own = run
            .samples
            .iter()
            .filter(|s| s.case == *case && s.phase == *phase);
        for row in own.flat_map(|s| &s.rows).filter(|row| !row.is_warm_up) {
            all.entry(row.variant).or_default().push(row.runtime.0);
        }
        let median = |(id, times): (VariantId, Vec<f64>)| (id, stats::quartiles(&times).1);
        all.into_iter().map(median).collect()
    }

    /// With its number, counted from one.
    fn best(&self) -> Option<(usize, &Evaluation<'a>, f64)> {
        let measured = self.evaluations.iter().enumerate();
        let measured = measured.filter_map(|(i, e)| Some((i + 1, e, e.value()?)));
        measured.min_by(|a, b| a.2.total_cmp(&b.2))
    }

    pub(super) fn figure(
        &self,
        suffix: &str,
        title: &str,
        caption: &str,
        sketch: crate::report::plot::Sketch,
    ) -> Piece {
        Piece::Figure(Figure {
            file: format!("{}_{suffix}", self.stem),
            title: format!("{}: {title}", self.title),
            caption: format!("{}: {caption}", self.title),
            files: Files::Both,
            sketch,
        })
    }
}

/// What the search itself went by: each variant against the reference over the blocks that both completed, times the reference's
/// median, so that drift over a long search is no difference. From the race; from the screening where there was none.
fn estimates(run: &Run, outcome: &PhaseOutcome) -> (BTreeMap<VariantId, f64>, bool) {
    let rows = |purpose: Purpose| {
        run.samples
            .iter()
            .filter(move |p| {
                p.purpose == purpose && p.case == outcome.case && p.phase == outcome.phase
            })
            .flat_map(|p| &p.rows)
    };
    let mut cells = Cells::new();
    let is_race = collect(rows(Purpose::Race), 0.0, &mut cells) > 0;
    if !is_race {
        collect(rows(Purpose::Screen), 0.0, &mut cells);
    }
    let reference = cells
        .get(&VariantId::REFERENCE)
        .map_or(&[][..], Vec::as_slice);
    let level = stats::quartiles(&reference.iter().map(|c| c.1).collect::<Vec<_>>()).1;
    let beside = |place: f64| {
        let found = reference.binary_search_by(|cell| cell.0.total_cmp(&place));
        found.ok().map(|i| reference[i].1)
    };
    let estimate = |own: &Vec<(f64, f64)>| {
        let pairs: Vec<(f64, f64)> = own
            .iter()
            .filter_map(|(place, v)| Some((*v, beside(*place)?)))
            .collect();
        let comparison = stats::compare(&pairs, 0.05, 0.0, 0);
        (comparison.blocks > 0).then(|| level / comparison.speedup)
    };
    let others = cells.iter().filter(|(id, _)| **id != VariantId::REFERENCE);
    let mut found: BTreeMap<VariantId, f64> = others
        .filter_map(|(id, own)| Some((*id, estimate(own)?)))
        .collect();
    if !reference.is_empty() {
        found.insert(VariantId::REFERENCE, level);
    }
    (found, is_race)
}

/// The best so far over the evaluations, and what the best came to.
fn curve(searched: &Searched<'_>) -> Vec<Piece> {
    let steps: Vec<Step> = searched.evaluations.iter().map(|e| e.step).collect();
    let source = match searched.is_race {
        true => "the race's blocks",
        false => "the screening",
    };
    let mut caption = format!(
        "{} of each evaluation in the order in which the strategy asked, and the best so far. Estimates {OPTIMISTIC} of {source}, against the reference in the same blocks; the best of many is optimistic.",
        searched.what
    );
    if steps.len() > DOTS {
        caption.push_str(&format!(
            " One dot for {} evaluations.",
            steps.len().div_ceil(DOTS)
        ));
    }
    let y_title = format!("{} (log scale)", searched.what);
    let sketch = convergence(&steps, searched.reference, &y_title);
    let mut pieces = vec![searched.figure(
        "convergence",
        "best so far over the evaluations",
        &caption,
        sketch,
    )];
    pieces.extend(best(searched, steps.len()).map(Piece::Paragraph));
    pieces
}

fn best(searched: &Searched<'_>, evaluations: usize) -> Option<String> {
    let (number, best, value) = searched.best()?;
    let mut text = format!(
        "The best estimate {OPTIMISTIC} came with evaluation {number} of {evaluations}: {}",
        best.trial.name
    );
    if let Some(reference) = searched.reference {
        text.push_str(&format!(
            ", {:.2}× against the reference",
            reference / value
        ));
    }
    text.push('.');
    let fresh = best
        .trial
        .confirmation
        .as_ref()
        .map(|c| (c, "confirmed on fresh blocks"));
    let later = screening(best.trial)
        .filter(|_| searched.is_race)
        .map(|c| (c, "on the blocks that compared the finalists"));
    if let Some((c, how)) = fresh.or(later) {
        text.push_str(&format!(" It came to {} {how}.", with_interval(c)));
    }
    Some(text)
}

/// Share of the evaluations that count as the top, and how many at least.
const TOP: f64 = 0.05;
const LEAST_TOP: usize = 3;
/// More axes or faint lines than this cannot be told apart.
const AXES: usize = 12;
const FAINT: usize = 400;

/// Parallel coordinates; `order`: parameters from the most important on, where that is known.
fn coordinates(searched: &Searched<'_>, order: &[usize]) -> Option<Piece> {
    let mut measured: Vec<(&Evaluation<'_>, f64)> = searched.measured().collect();
    measured.sort_by(|a, b| b.1.total_cmp(&a.1));
    let top = ((TOP * measured.len() as f64).ceil() as usize).max(LEAST_TOP);
    if measured.len() <= top || searched.scales.len() < 2 {
        return None;
    }
    let others = measured.len() - top;
    let every = others.div_ceil(FAINT);
    let axes = axes(searched, order);
    let kept = searched.kept.as_ref();
    let shown = measured
        .iter()
        .enumerate()
        .filter(|(i, _)| *i >= others || i.is_multiple_of(every));
    let traces: Vec<Trace> = shown
        .map(|(i, (evaluation, value))| Trace {
            place: axes.iter().map(|&p| evaluation.place[p]).collect(),
            value: *value,
            rank: match i {
                _ if kept == Some(&evaluation.place) => Rank::Kept,
                i if i >= others => Rank::Top,
                _ => Rank::Other,
            },
        })
        .collect();
    let scales: Vec<&Scale> = axes.iter().map(|&p| &searched.scales[p]).collect();
    let mut caption = format!(
        "the {top} best estimates {OPTIMISTIC} of {} over the parameters",
        measured.len()
    );
    if !order.is_empty() {
        caption.push_str(", the most important on the left");
    }
    if axes.len() < searched.scales.len() {
        caption.push_str(&format!(
            "; {} of {} parameters",
            axes.len(),
            searched.scales.len()
        ));
    }
    if every > 1 {
        caption.push_str(&format!("; of the others one in {every}"));
    }
    caption.push_str(". Where blue lines meet in one value, the best agree on it.");
    let sketch = parallel(&scales, &traces, &searched.what, &format!("the {top} best"));
    Some(searched.figure(
        "coordinates",
        "parallel coordinates of the best",
        &caption,
        sketch,
    ))
}

/// Parameters that have a choice, the important ones first, the others as declared.
fn axes(searched: &Searched<'_>, order: &[usize]) -> Vec<usize> {
    let declared = (0..searched.scales.len()).filter(|p| !order.contains(p));
    let all: Vec<usize> = order.iter().copied().chain(declared).collect();
    let chosen = all
        .iter()
        .copied()
        .filter(|&p| searched.scales[p].values.len() > 1);
    let chosen: Vec<usize> = chosen.take(AXES).collect();
    if chosen.is_empty() {
        all.into_iter().take(AXES).collect()
    } else {
        chosen
    }
}

/// How many are as good as the best, as far as that was asked.
fn ties(run: &Run, searched: &Searched<'_>) -> Vec<Piece> {
    let outcome = searched.outcome;
    let evaluations = || searched.evaluations.iter();
    let compared = evaluations()
        .filter(|e| screening(e.trial).is_some())
        .count();
    if compared == 0 || outcome.tied.is_empty() {
        let text = "Nothing that the search tried was compared well enough to say how many are as good as the best.";
        return vec![Piece::Paragraph(text.into())];
    }
    let tied: Vec<&Trial> = variants(run, outcome)
        .into_iter()
        .filter(|t| outcome.tied.contains(&t.name))
        .collect();
    let names: Vec<&str> = tied.iter().map(|t| t.name.as_str()).collect();
    let mut text = format!(
        "Statistically tied with the best {OPTIMISTIC}: {} of the {} that were compared with one another in the same blocks (the best and the reference are counted): {}.",
        tied.len(),
        compared + 1,
        listed_at_most(&names, 8)
    );
    text.push_str(&near(run, searched, evaluations().count() - compared));
    let mut pieces = vec![Piece::Paragraph(text)];
    if tied.len() > 1 {
        pieces.push(tied_table(&tied));
    }
    pieces
}

/// What was not compared: how much of it had estimates close to the best one's.
fn near(run: &Run, searched: &Searched<'_>, others: usize) -> String {
    let equivalence = run.header.plan.protocol.equivalence;
    let Some((_, _, best)) = searched.best().filter(|_| others > 0) else {
        return String::new();
    };
    let near = searched
        .measured()
        .filter(|(e, value)| screening(e.trial).is_none() && *value <= best * (1.0 + equivalence))
        .count();
    format!(
        " Of the {} nothing is claimed; {} of them had an estimate within {} of the best one.",
        counted(others as u64, "other"),
        if near == 0 {
            "none".to_owned()
        } else {
            near.to_string()
        },
        percent(equivalence)
    )
}

fn tied_table(tied: &[&Trial]) -> Piece {
    let or_none = |c: Option<&stats::Comparison>| c.map_or_else(|| NONE.into(), with_interval);
    let mut sorted = tied.to_vec();
    // The reference has no speedup against itself: it stands where 1 would.
    let speedup = |t: &Trial| screening(t).map_or(1.0, |c| c.speedup);
    sorted.sort_by(|a, b| speedup(b).total_cmp(&speedup(a)));
    let row = |t: &&Trial| Row {
        cells: vec![
            t.name.clone(),
            or_none(screening(t)),
            or_none(t.confirmation.as_ref()),
        ],
        is_strong: t.is_kept,
    };
    Piece::Table {
        header: columns(&[
            "Tied with the best".to_owned(),
            format!(">Screening vs reference {OPTIMISTIC}"),
            ">Confirmed vs reference".to_owned(),
        ]),
        rows: sorted.iter().map(row).collect(),
    }
}
