//! The test record of a phase: for every variant what was changed, what came of it, what it cost, and whether its output passed.
use super::results::{OPTIMISTIC, status};
use crate::accuracy::is_within;
use crate::record::{PhaseOutcome, Run, Trial};
use crate::report::numbers::{NONE, Unit, figure, objective_name, small, with_interval};
use crate::report::{Piece, Row, accuracy, columns, screening, timed, variants};
use crate::trial::Verdict;
use crate::value::Bytes;

/// Longer tables are folded: the plot above them shows the same.
const LONG: usize = 24;

pub(in crate::report) fn tables(run: &Run, outcome: &PhaseOutcome) -> Vec<Piece> {
    let trials = variants(run, outcome);
    if trials.is_empty() {
        return vec![];
    }
    let mut pieces = vec![figures(run, outcome, &trials)];
    pieces.extend(checks(run, outcome, &trials));
    if trials.len() > LONG {
        pieces = vec![Piece::Folded {
            summary: format!("Test records of all {} variants", trials.len()),
            pieces,
        }];
    }
    let notes: Vec<String> = trials
        .iter()
        .filter(|t| t.verdict != Verdict::ScreenedOut)
        .filter_map(|t| {
            Some(format!(
                "{} ({}): {}.",
                t.name,
                t.verdict.words(),
                t.message.as_ref()?.trim_end_matches('.')
            ))
        })
        .collect();
    if notes.len() > LONG {
        pieces.push(Piece::Folded {
            summary: format!("Notes on {} variants", notes.len()),
            pieces: vec![Piece::List(notes)],
        });
    } else if !notes.is_empty() {
        pieces.push(Piece::List(notes));
    }
    pieces
}

fn figures(run: &Run, outcome: &PhaseOutcome, trials: &[&Trial]) -> Piece {
    let unit = Unit::of_trials(run, trials.iter().copied());
    let rows = trials
        .iter()
        .map(|t| Row {
            cells: vec![
                t.name.clone(),
                changes(t, outcome),
                timed(t).map_or_else(|| NONE.into(), |q| unit.bare(q.1)),
                timed(t).map_or_else(
                    || NONE.into(),
                    |q| format!("{} to {}", unit.bare(q.0), unit.bare(q.2)),
                ),
                screening(t).map_or_else(|| NONE.into(), with_interval),
                t.confirmation
                    .as_ref()
                    .map_or_else(|| NONE.into(), with_interval),
                status(t),
            ],
            is_strong: t.is_kept && t.verdict != Verdict::Reference,
        })
        .collect();
    Piece::Table {
        header: columns(&[
            "Variant".to_owned(),
            "Changed: old → new".to_owned(),
            format!(">{}", unit.head(&objective_name(run))),
            ">Quartiles".to_owned(),
            format!(">Screening vs reference {OPTIMISTIC}"),
            ">Confirmed vs reference".to_owned(),
            "Verdict".to_owned(),
        ]),
        rows,
    }
}

/// "tile: 64 → 128, threads: 1 → 2".
fn changes(trial: &Trial, outcome: &PhaseOutcome) -> String {
    let change = |(name, new): (String, crate::value::Value)| {
        let old = outcome
            .reference
            .get(&name)
            .map_or_else(|| NONE.into(), ToString::to_string);
        format!("{name}: {old} → {new}")
    };
    let changed: Vec<String> = trial
        .configuration
        .changes_from(&outcome.reference)
        .into_iter()
        .map(change)
        .collect();
    match changed.is_empty() {
        true => NONE.into(),
        false => changed.join(", "),
    }
}

/// Memory, accuracy with its limits, declared metrics, preparation, cells.
fn checks(run: &Run, outcome: &PhaseOutcome, trials: &[&Trial]) -> Option<Piece> {
    let plan = &run.header.plan;
    let phase = plan.phases.iter().find(|p| p.name == outcome.phase);
    let limits = phase.map_or(&plan.accuracy.limits[..], |p| plan.accuracy_limits(p));
    let mut metrics: Vec<&str> = limits.iter().map(|(name, _)| name.as_str()).collect();
    for (name, _) in trials.iter().flat_map(|t| &t.accuracy) {
        // All that were computed would be a dozen; those with a limit, else three.
        if limits.is_empty() && metrics.len() < 3 && !metrics.contains(&name.as_str()) {
            metrics.push(name);
        }
    }
    let mut declared: Vec<&str> = vec![];
    for (name, _) in trials.iter().flat_map(|t| &t.metrics) {
        if !declared.contains(&name.as_str()) {
            declared.push(name);
        }
    }
    let bytes = memory_unit(trials.iter().copied());
    let prepared = || trials.iter().filter_map(|t| t.compile).map(|c| c.0);
    let prepare = Unit::of_times(prepared(), prepared().map(|c| c / 10.0));
    let limit = |name: &str| limits.iter().find(|(n, _)| n == name).map(|(_, l)| *l);
    let mut header = vec![
        "Variant".to_owned(),
        format!(">{}", bytes.head("Peak memory")),
    ];
    header.extend(metrics.iter().map(|name| match limit(name) {
        Some(limit) => format!(">{name}, limit {}", small(limit)),
        None => format!(">{name}"),
    }));
    header.extend(declared.iter().map(|name| format!(">{name}")));
    header.push(format!(">{}", prepare.head("Prepare or compile")));
    header.push(">Cells".to_owned());
    let rows = trials
        .iter()
        .map(|t| {
            let mut cells = vec![t.name.clone(), memory(t, &bytes)];
            cells.extend(
                metrics
                    .iter()
                    .map(|name| check(name, accuracy(t, name), limit(name))),
            );
            cells.extend(declared.iter().map(|name| {
                let found = t.metrics.iter().find(|(n, _)| n == name);
                found.map_or_else(|| NONE.into(), |(_, v)| declared_figure(name, *v))
            }));
            cells.push(t.compile.map_or_else(|| NONE.into(), |c| prepare.bare(c.0)));
            cells.push(t.n.to_string());
            Row::new(cells)
        })
        .collect();
    Some(Piece::Table {
        header: columns(&header),
        rows,
    })
}

/// A metric of the workload's own: what counts bytes by its name is shown in theirs.
pub(in crate::report) fn declared_figure(name: &str, value: f64) -> String {
    match name.ends_with("_bytes") && value.is_finite() && value >= 0.0 {
        true => Bytes(value as u64).to_string(),
        false => figure(value),
    }
}

/// "2.0e-7, passes".
fn check(name: &str, value: Option<f64>, limit: Option<f64>) -> String {
    let Some(value) = value else {
        return NONE.into();
    };
    match limit {
        Some(limit) if is_within(name, value, limit) => format!("{}, passes", small(value)),
        Some(_) => format!("{}, fails", small(value)),
        None => small(value),
    }
}

pub(in crate::report) fn memory_unit<'a>(trials: impl Iterator<Item = &'a Trial>) -> Unit {
    let sizes = trials.flat_map(|t| [t.host_peak, t.device_peak]).flatten();
    Unit::of_bytes(sizes.map(|b| b.0 as f64))
}

/// Peak of the host, and of the device where there is one.
pub(in crate::report) fn memory(trial: &Trial, unit: &Unit) -> String {
    let show = |b: Bytes| unit.bare(b.0 as f64);
    match (trial.host_peak, trial.device_peak) {
        (Some(host), None) => show(host),
        (Some(host), Some(device)) => format!("{} + {} device", show(host), show(device)),
        (None, Some(device)) => format!("{} device", show(device)),
        (None, None) => NONE.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_ceiling_for_errors_and_a_floor_for_likeness() {
        assert_eq!(check("rel_l2", Some(0.5), Some(0.1)), "0.50, fails");
        assert_eq!(check("rel_l2", Some(0.05), Some(0.1)), "0.050, passes");
        assert_eq!(check("psnr_envelope", Some(90.0), Some(40.0)), "90, passes");
        assert_eq!(check("psnr_envelope", Some(31.0), Some(40.0)), "31, fails");
        for name in ["rel_l2", "psnr"] {
            assert_eq!(check(name, Some(f64::NAN), Some(1.0)), "NaN, fails");
        }
        assert_eq!(check("rel_l2", Some(0.5), None), "0.50");
    }
}
