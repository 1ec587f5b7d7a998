//! From a phase's records to its figures: speedups, the shape over its parameters, cells in time order.
use crate::plan::{Phase, Question};
use crate::record::{PhaseOutcome, Run, SampleRow, Trial};
use crate::report::numbers::{Unit, objective_name, with_interval};
use crate::report::plot::cells::{Lane, Stretch, cells as draw_cells};
use crate::report::plot::forest::{Effect, Mark, forest as draw_forest};
use crate::report::plot::heat::heat_map;
use crate::report::plot::sweep::{Point, Scale, Second, line, multiples};
use crate::report::{Figure, Files, Piece, effect, kept, phase_title, variants};
use crate::space::Parameter;
use crate::trial::{Purpose, VariantId, Verdict};
use crate::value::Value;
use std::collections::BTreeMap;

/// More rows than this make a plot longer than a screen: the quickest are shown.
const ROWS: usize = 30;
/// More lanes than this likewise.
const LANES: usize = 10;

pub(in crate::report) fn forest(run: &Run, outcome: &PhaseOutcome, stem: &str) -> Option<Piece> {
    let mut trials: Vec<&Trial> = variants(run, outcome)
        .into_iter()
        .filter(|t| !matches!(t.verdict, Verdict::Reference | Verdict::ScreenedOut))
        .collect();
    let all = trials.len();
    if !trials.iter().any(|t| figure_of(t).is_some()) {
        return None;
    }
    if all > ROWS {
        let value = |t: &Trial| figure_of(t).map_or(f64::NEG_INFINITY, |e| e.speedup);
        trials.sort_by(|a, b| value(b).total_cmp(&value(a)));
        trials.truncate(ROWS);
    }
    let marks: Vec<Mark> = trials
        .iter()
        .map(|t| Mark {
            name: t.name.clone(),
            effect: figure_of(t),
            verdict: t.verdict,
            is_kept: t.is_kept,
        })
        .collect();
    let title = phase_title(outcome);
    let mut caption = format!("{title}: speedup against the phase's reference with its interval.");
    if all > ROWS {
        caption.push_str(&format!(" The {ROWS} quickest of {all}."));
    }
    Some(Piece::Figure(Figure {
        file: format!("{stem}_speedups"),
        title: format!("{title}: speedups with intervals"),
        caption,
        files: Files::Both,
        sketch: draw_forest(&marks, run.header.plan.protocol.equivalence),
    }))
}

/// What was measured of a variant that ended well: a crashed one has cells, but no figure that anybody should read.
fn figure_of(trial: &Trial) -> Option<Effect> {
    if !crate::report::is_statistical(trial.verdict) {
        return None;
    }
    let (c, is_confirmed) = effect(trial)?;
    let is_drawable = c.speedup.is_finite() && c.speedup > 0.0;
    is_drawable.then(|| Effect {
        speedup: c.speedup,
        interval: c
            .interval
            .filter(|(l, u)| l.is_finite() && u.is_finite() && *l > 0.0),
        is_confirmed,
        text: with_interval(c),
    })
}

/// A line over one parameter, a heat map over two, small multiples over more.
pub(in crate::report) fn over_parameters(
    run: &Run,
    outcome: &PhaseOutcome,
    phase: &Phase,
    stem: &str,
) -> Option<Piece> {
    let parameters: &[Parameter] = match &phase.question {
        Question::Sweep(parameters) => parameters,
        Question::Search(search) => &search.parameters,
        _ => return None,
    };
    // A parameter with one value says where the others are swept: no axis, and what is elsewhere is not on the plot.
    let (fixed, swept): (Vec<&Parameter>, Vec<&Parameter>) =
        parameters.iter().partition(|p| p.values.len() == 1);
    let (fixed, parameters): (Vec<&Parameter>, Vec<Parameter>) = match swept.is_empty() {
        true => (vec![], parameters.to_vec()),
        false => (fixed, swept.into_iter().cloned().collect()),
    };
    let parameters = &parameters[..];
    let is_there = |t: &&Trial| {
        let has = |p: &&Parameter| t.configuration.get(&p.name) == p.values.first();
        fixed.iter().all(has)
    };
    let trials: Vec<&Trial> = variants(run, outcome)
        .into_iter()
        .filter(is_there)
        .collect();
    let unit = Unit::of_trials(run, trials.iter().copied());
    let scales: Vec<Scale> = parameters.iter().map(|p| scale(p, &trials)).collect();
    let kept = kept(run, outcome).map_or(VariantId::REFERENCE, |t| t.id);
    let points: Vec<Point> = trials
        .iter()
        .filter_map(|t| point(t, parameters, &scales, &unit, t.id == kept))
        .collect();
    if points.iter().filter(|p| p.quartiles.is_some()).count() < 2 {
        return None;
    }
    let what = unit.head(&objective_name(run).to_lowercase());
    let y_title = format!("{what} (median)");
    let names: Vec<&str> = parameters.iter().map(|p| p.name.as_str()).collect();
    let sketch = match &scales[..] {
        [] => return None,
        [x] => line(x, &points, &y_title, compile_times(&trials, x).as_ref()),
        [x, y] => heat_map(
            (x, y),
            &points,
            &y_title,
            &|v| short(v),
            "green frame: kept; grey: not measured; quicker is brighter (log scale)",
        ),
        _ => multiples(&scales, &points, &y_title),
    };
    let title = phase_title(outcome);
    Some(Piece::Figure(Figure {
        file: format!("{stem}_sweep"),
        title: format!("{title}: {what} over {}", crate::report::listed(&names)),
        caption: format!("{title}: {y_title} over {}.", crate::report::listed(&names)),
        files: Files::Both,
        sketch,
    }))
}

/// Compile times over one parameter, where a GPU's compiler was at work: the second axis.
fn compile_times(trials: &[&Trial], scale: &Scale) -> Option<Second> {
    let is_gpu = |t: &&&Trial| t.device.starts_with("wgpu") || t.device.starts_with("cuda");
    let built: Vec<&&Trial> = trials.iter().filter(is_gpu).collect();
    let times = || built.iter().filter_map(|t| t.compile).map(|c| c.0);
    let unit = Unit::of_times(times(), times().map(|c| c / 10.0));
    let points: Vec<(usize, f64)> = built
        .iter()
        .filter_map(|t| {
            let value = t.configuration.get(&scale.name)?.to_string();
            let place = scale.values.iter().position(|v| *v == value)?;
            Some((place, unit.scaled(t.compile?.0)))
        })
        .collect();
    (points.len() > 1).then(|| Second {
        title: format!("{} (squares)", unit.head("compile time")),
        points,
    })
}

/// Four digits: as much as a cell has room for.
pub(super) fn short(value: f64) -> String {
    let digits = (3.0 - value.abs().max(1e-9).log10().floor()).clamp(0.0, 3.0) as usize;
    format!("{value:.digits$}")
}

/// The parameter's values as declared, and those that only the reference has; numbers in their order.
pub(super) fn scale(parameter: &Parameter, trials: &[&Trial]) -> Scale {
    let mut values: Vec<Value> = parameter.values.clone();
    for trial in trials {
        if let Some(value) = trial.configuration.get(&parameter.name)
            && !values.contains(value)
        {
            values.push(value.clone());
        }
    }
    if values.iter().all(|v| number(v).is_some()) {
        values.sort_by(|a, b| {
            number(a)
                .unwrap_or(0.0)
                .total_cmp(&number(b).unwrap_or(0.0))
        });
    }
    Scale {
        name: parameter.name.clone(),
        values: values.iter().map(ToString::to_string).collect(),
    }
}

/// What a value is as a number, if it is one: for the order on an axis.
pub(super) fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Int(i) => Some(*i as f64),
        Value::Float(f) => Some(*f),
        Value::Text(text) => size(text),
        Value::Bool(_) => None,
    }
}

/// "64M" as programs read it.
fn size(text: &str) -> Option<f64> {
    let (digits, unit) = text.split_at(text.trim_end_matches(char::is_alphabetic).len());
    let factor = match unit.trim_end_matches('B').trim_end_matches('i') {
        "" => 1.0,
        "k" | "K" => 1024.0,
        "M" => 1024_f64.powi(2),
        "G" => 1024_f64.powi(3),
        _ => return None,
    };
    digits.trim().parse::<f64>().ok().map(|n| n * factor)
}

fn point(
    trial: &Trial,
    parameters: &[Parameter],
    scales: &[Scale],
    unit: &Unit,
    is_kept: bool,
) -> Option<Point> {
    let place = parameters
        .iter()
        .zip(scales)
        .map(|(parameter, scale)| {
            let value = trial.configuration.get(&parameter.name)?.to_string();
            scale.values.iter().position(|v| *v == value)
        })
        .collect::<Option<Vec<usize>>>()?;
    let is_reference = trial.verdict == Verdict::Reference;
    let has_figure = is_reference
        || crate::report::is_statistical(trial.verdict)
        || trial.verdict == Verdict::ScreenedOut;
    let quartiles = trial
        .quartiles
        .filter(|q| has_figure && [q.0, q.1, q.2].iter().all(|v| v.is_finite() && *v > 0.0));
    Some(Point {
        place,
        quartiles: quartiles.map(|q| (unit.scaled(q.0), unit.scaled(q.1), unit.scaled(q.2))),
        is_reference,
        is_kept,
        word: trial.verdict.words().to_owned(),
    })
}

/// In the order in which they are measured.
const PURPOSES: [(Purpose, &str); 4] = [
    (Purpose::Race, "race"),
    (Purpose::Screen, "screening"),
    (Purpose::Confirm, "confirmation"),
    (Purpose::Calibrate, "calibration"),
];

/// A variant with its cells.
type Shown<'a> = (&'a Trial, &'a [(f64, f64)]);

/// Cells of each variant: (place, value).
pub(super) type Cells = BTreeMap<VariantId, Vec<(f64, f64)>>;

/// Every cell over its block, a lane a variant.
pub(in crate::report) fn cells(run: &Run, outcome: &PhaseOutcome, stem: &str) -> Option<Piece> {
    let mut all: Cells = BTreeMap::new();
    let mut stretches: Vec<Stretch> = vec![];
    for (purpose, name) in PURPOSES {
        let from = stretches.last().map_or(0.0, |s: &Stretch| s.to);
        let rows = run
            .samples
            .iter()
            .filter(|p| p.purpose == purpose && p.case == outcome.case && p.phase == outcome.phase)
            .flat_map(|p| &p.rows);
        let blocks = collect(rows, from, &mut all);
        if blocks > 0 {
            stretches.push(Stretch {
                name,
                from,
                to: from + f64::from(blocks),
            });
        }
    }
    if stretches.last().is_none_or(|s| s.to < 3.0) {
        return None;
    }
    let (shown, hidden) = chosen(run, outcome, &all);
    let medians: Vec<(f64, f64, f64)> = shown
        .iter()
        .map(|(_, cells)| crate::stats::quartiles(&values(cells)))
        .collect();
    let unit = Unit::of_objective(run, &medians);
    let lanes: Vec<Lane> = shown
        .iter()
        .zip(&medians)
        .map(|((trial, cells), quartiles)| Lane {
            name: if trial.is_canary {
                "canary (a clone)".to_owned()
            } else {
                trial.name.clone()
            },
            median: quartiles.1,
            median_text: format!("median {}", unit.full(quartiles.1)),
            points: cells.to_vec(),
            is_reference: trial.id == VariantId::REFERENCE,
        })
        .collect();
    if lanes.is_empty() {
        return None;
    }
    let title = phase_title(outcome);
    let mut caption = format!(
        "{title}: every cell in the order of its block. A slope or step common to all lanes is drift of the machine, which comparisons within blocks do not see."
    );
    if hidden > 0 {
        caption.push_str(&format!(" {} not shown.", counted_lanes(hidden)));
    }
    Some(Piece::Figure(Figure {
        file: format!("{stem}_time_order"),
        title: format!("{title}: cells in time order"),
        caption,
        files: Files::Both,
        sketch: draw_cells(&lanes, &stretches),
    }))
}

fn counted_lanes(n: usize) -> String {
    match n {
        1 => "1 more variant is".into(),
        n => format!("{n} more variants are"),
    }
}

/// Adds the cells of one purpose, whose blocks begin at `from`; returns how many blocks there are.
pub(super) fn collect<'a>(
    rows: impl Iterator<Item = &'a SampleRow>,
    from: f64,
    all: &mut Cells,
) -> u32 {
    let mut blocks = 0;
    for row in rows.filter(|r| !r.is_warm_up && r.objective.is_finite() && r.objective > 0.0) {
        blocks = blocks.max(row.block.saturating_add(1));
        let place = from + f64::from(row.block) + 0.5;
        let cells = all.entry(row.variant).or_default();
        // A cell's value is its least sample (STATISTICS "Units").
        match cells.last_mut() {
            Some((last, value)) if *last == place => *value = value.min(row.objective),
            _ => cells.push((place, row.objective)),
        }
    }
    blocks
}

/// The lanes that a reader looks for first, in the order of the variants, and how many others there are.
fn chosen<'a>(run: &'a Run, outcome: &PhaseOutcome, all: &'a Cells) -> (Vec<Shown<'a>>, usize) {
    let trials: Vec<&Trial> = run
        .trials
        .iter()
        .filter(|t| t.case == outcome.case && t.phase == outcome.phase)
        .filter(|t| all.contains_key(&t.id))
        .collect();
    let rank = |t: &Trial| match t {
        t if t.id == VariantId::REFERENCE => 0,
        t if t.is_kept => 1,
        t if t.is_canary => 2,
        t if t.confirmation.is_some() => 3,
        t if t.verdict != Verdict::ScreenedOut => 4,
        _ => 5,
    };
    let mut order: Vec<&Trial> = trials.clone();
    // Stable: within a rank in the order of the variants.
    order.sort_by_key(|t| rank(t));
    // A lane for each that the race dropped would say little.
    let shown: Vec<&Trial> = order
        .into_iter()
        .filter(|t| rank(t) < 5)
        .take(LANES)
        .collect();
    let lanes: Vec<Shown<'_>> = trials
        .iter()
        .filter(|t| shown.iter().any(|s| s.id == t.id))
        .map(|t| (*t, all[&t.id].as_slice()))
        .collect();
    (lanes, trials.len() - shown.len())
}

fn values(cells: &[(f64, f64)]) -> Vec<f64> {
    cells.iter().map(|c| c.1).collect()
}
