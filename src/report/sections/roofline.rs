//! How far each step is from what the device does at most (WORKLOADS §0.5).
use crate::record::{Ceilings, Run, Trial};
use crate::report::numbers::{Unit, percent};
use crate::report::plot::roofline::{Standing, roofline};
use crate::report::{Figure, Files, Piece, Row, columns, file_name, in_case, kept, variants};
use crate::trial::{Verdict, Work};

/// Weights of a square root and a trigonometric function against an addition: a convention, printed with the figures.
const SQRT: f64 = 6.0;
const TRIG: f64 = 20.0;

pub(in crate::report) fn section(run: &Run) -> Vec<Piece> {
    use crate::plan::Objective;
    // Rates are work over time: with another objective the medians are no times.
    if !matches!(
        run.header.plan.objective,
        Objective::Runtime | Objective::DeviceTime
    ) {
        return vec![];
    }
    let pieces: Vec<Piece> = run
        .header
        .plan
        .cases
        .iter()
        .flat_map(|case| of_case(run, &case.name))
        .collect();
    if pieces.is_empty() {
        return vec![];
    }
    [vec![Piece::Heading(2, "Roofline".into())], pieces].concat()
}

/// The baseline and what each phase kept: the way that the campaign went.
fn of_case(run: &Run, case: &str) -> Vec<Piece> {
    let outcomes = || run.outcomes.iter().filter(|o| o.case == case);
    let first = outcomes()
        .flat_map(|o| variants(run, o))
        .find(|t| t.verdict == Verdict::Reference);
    let Some(ceilings) = first.and_then(|t| ceilings(run, t)) else {
        return vec![];
    };
    let mut steps: Vec<(String, &Trial)> = first
        .map(|t| ("baseline".to_owned(), t))
        .into_iter()
        .collect();
    steps.extend(
        outcomes()
            .filter_map(|o| kept(run, o))
            .map(|t| (format!("{}: {}", t.phase, t.name), t)),
    );
    let positions: Vec<(String, Position)> = steps
        .into_iter()
        .filter_map(|(name, trial)| Some((name, position(trial, ceilings)?)))
        .collect();
    if positions.is_empty() {
        return vec![];
    }
    let last = positions.len() - 1;
    let standings: Vec<Standing> = positions
        .iter()
        .enumerate()
        .map(|(i, (name, p))| Standing {
            name: name.clone(),
            intensity: p.intensity,
            rate: p.rate,
            is_first: i == 0,
            is_last: i == last,
        })
        .collect();
    let times = Unit::of_times(
        positions.iter().map(|p| p.1.median),
        positions.iter().map(|p| p.1.median / 500.0),
    );
    let rows = positions
        .iter()
        .map(|(name, p)| {
            Row::new(vec![
                name.clone(),
                times.bare(p.median),
                format!("{:.1}", p.intensity),
                format!("{:.1}", p.rate / 1e9),
                p.bound.to_owned(),
                percent(p.fraction),
            ])
        })
        .collect();
    let suffix = if case.is_empty() {
        String::new()
    } else {
        format!("_{}", file_name(case))
    };
    vec![
        Piece::Paragraph(in_case(case, &format!(
            "Ceilings measured on {} at the start of this run: {:.1} Gflop/s (independent FMA chains, all cores) and {:.1} GB/s (triad). Effective operations = flops + {SQRT} · square roots + {TRIG} · trigonometric functions: a convention, not physics, so a kernel that needs fewer operations than the convention counts can stand above the roof. Work is the useful work of the problem, whatever a variant executes.",
            ceilings.device,
            ceilings.flops / 1e9,
            ceilings.bandwidth / 1e9
        ))),
        Piece::Figure(Figure {
            file: format!("plots/roofline{suffix}"),
            title: in_case(case, "roofline of the baseline and of what each phase kept"),
            caption: "Effective operations a second over effective operations a byte, for the baseline and what each phase kept, under the measured ceilings.".into(),
            files: Files::Both,
            sketch: roofline(ceilings.flops, ceilings.bandwidth, &standings),
        }),
        Piece::Table {
            header: columns(&[
                "Step".to_owned(),
                format!(">{}", times.head("Median")),
                ">Operations a byte".to_owned(),
                ">Effective Gop/s".to_owned(),
                "Bound by".to_owned(),
                ">Share of the roof".to_owned(),
            ]),
            rows,
        },
    ]
}

fn ceilings<'a>(run: &'a Run, trial: &Trial) -> Option<&'a Ceilings> {
    let all = &run.header.ceilings;
    all.iter()
        .find(|c| c.device == trial.device)
        .or(all.first().filter(|_| all.len() == 1))
        .filter(|c| c.flops > 0.0 && c.bandwidth > 0.0)
}

/// Effective operations.
pub(super) fn operations(work: &Work) -> f64 {
    work.flops + SQRT * work.sqrt + TRIG * work.trig
}

struct Position {
    median: f64,
    /// Effective operations a byte.
    intensity: f64,
    /// Effective operations a second.
    rate: f64,
    bound: &'static str,
    /// max(operations / peak, bytes / bandwidth) / time.
    fraction: f64,
}

fn position(trial: &Trial, ceilings: &Ceilings) -> Option<Position> {
    let (work, (_, median, _)) = (trial.work?, trial.quartiles?);
    let operations = operations(&work);
    let seconds = median / 1e9;
    let (arithmetic, memory) = (operations / ceilings.flops, work.bytes / ceilings.bandwidth);
    let found = Position {
        median,
        intensity: operations / work.bytes,
        rate: operations / seconds,
        bound: if arithmetic >= memory {
            "arithmetic"
        } else {
            "memory"
        },
        fraction: arithmetic.max(memory) / seconds,
    };
    let is_real = [found.intensity, found.rate, found.fraction]
        .iter()
        .all(|v| v.is_finite() && *v > 0.0);
    is_real.then_some(found)
}
