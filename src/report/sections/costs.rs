//! What a variant costs before it runs and beside its time: compile time, with how often a loop's body was written out, and memory.
//! For phases that ask about memory or about unrolling; apart from the test record, which has every figure of every phase.
use super::record::{declared_figure, memory_unit};
use crate::plan::Phase;
use crate::record::{PhaseOutcome, Run, Trial};
use crate::report::numbers::{NONE, Unit, objective_name, percent};
use crate::report::{Piece, Row, columns, peak, timed, variants};
use crate::trial::Verdict;

/// The attribute of a variant whose loop was unrolled in its source.
const BODIES: &str = "unroll_bodies";

pub(in crate::report) fn table(run: &Run, outcome: &PhaseOutcome, phase: &Phase) -> Option<Piece> {
    let trials: Vec<&Trial> = variants(run, outcome)
        .into_iter()
        .filter(|t| peak(t).is_some())
        .collect();
    let has_bodies = trials.iter().any(|t| bodies(t).is_some());
    if (phase.kind != "memory" && !has_bodies) || trials.len() < 2 {
        return None;
    }
    let largest = trials.iter().filter_map(|t| peak(t)).map(|b| b.0).max()?;
    let times = Unit::of_trials(run, trials.iter().copied());
    let compiles = || trials.iter().filter_map(|t| t.compile).map(|c| c.0);
    let compile = Unit::of_times(compiles(), compiles().map(|c| c / 10.0));
    let sizes = memory_unit(trials.iter().copied());
    let mut header = vec!["Variant".to_owned()];
    if has_bodies {
        header.push(">Bodies".into());
    }
    header.extend([
        format!(">{}", compile.head("Compile or prepare")),
        format!(">{}", times.head(&objective_name(run))),
        format!(">{}", sizes.head("Peak memory")),
        ">Relative memory".to_owned(),
    ]);
    let rows = trials
        .iter()
        .map(|t| {
            let mut cells = vec![t.name.clone()];
            if has_bodies {
                cells.push(bodies(t).map_or_else(|| NONE.into(), |n| declared_figure(BODIES, n)));
            }
            let bytes = peak(t).map_or(0.0, |b| b.0 as f64);
            cells.extend([
                t.compile.map_or_else(|| NONE.into(), |c| compile.bare(c.0)),
                timed(t).map_or_else(|| NONE.into(), |q| times.bare(q.1)),
                sizes.bare(bytes),
                percent(bytes / largest.max(1) as f64),
            ]);
            Row {
                cells,
                is_strong: t.is_kept && t.verdict != Verdict::Reference,
            }
        })
        .collect();
    Some(Piece::Table {
        header: columns(&header),
        rows,
    })
}

fn bodies(trial: &Trial) -> Option<f64> {
    let found = trial.metrics.iter().find(|(name, _)| name == BODIES);
    found.map(|(_, count)| *count)
}
