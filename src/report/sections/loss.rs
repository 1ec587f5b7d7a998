//! What each method gains and what it loses, of a workload whose outputs are doses: a table to look things up in, accuracy set
//! against speed in the words of a rule, and depth doses. Elsewhere empty.
use super::results::OPTIMISTIC;
use crate::plan::{Case, DeviceChoice};
use crate::record::{PhaseOutcome, Run, Trial};
use crate::report::numbers::{NONE, Unit, small};
use crate::report::plot::curves::{Curve, MOST, curves};
use crate::report::{
    Figure, Files, Piece, Row, accuracy, columns, effect, file_name, in_case, reference_name,
    timed, variants,
};
use crate::trial::VariantId;

/// Metrics that the rule reads.
const DIFFERENCE: &str = "rel_l2_roi";
const GAMMA: &str = "gamma_2_2";

/// A difference below this is one of rounding, not of method.
const ROUNDING: f64 = 1e-4;

pub(in crate::report) fn section(run: &Run) -> Vec<Piece> {
    let own = &run.header.declaration.own_metrics;
    if ![DIFFERENCE, GAMMA]
        .iter()
        .all(|m| own.iter().any(|(n, _)| n == m))
    {
        return vec![];
    }
    let cases = &run.header.plan.cases;
    let pieces: Vec<Piece> = cases.iter().flat_map(|case| of_case(run, case)).collect();
    match pieces.is_empty() {
        true => pieces,
        false => [vec![Piece::Heading(2, "Gain and loss".into())], pieces].concat(),
    }
}

fn of_case(run: &Run, case: &Case) -> Vec<Piece> {
    let trials: Vec<&Trial> = run
        .outcomes
        .iter()
        .filter(|o| o.case == case.name)
        .flat_map(|o| variants(run, o))
        .collect();
    let Some(baseline) = trials.iter().find(|t| t.id == VariantId::REFERENCE) else {
        return vec![];
    };
    let mut pieces = quick_reference(run, case, baseline);
    pieces.extend(accuracy_against_speed(run, case, baseline, &trials));
    pieces.extend(depth_doses(run, case, &trials));
    pieces
}

/// Over the reference of its phase; where a race ended the comparison, by the medians of the blocks that both had.
fn own_gain(run: &Run, outcome: &PhaseOutcome, trial: &Trial) -> Option<f64> {
    if trial.id == VariantId::REFERENCE {
        return Some(1.0);
    }
    if let Some((comparison, _)) = effect(trial) {
        return Some(comparison.speedup);
    }
    let all = variants(run, outcome);
    let reference = all.into_iter().find(|t| t.id == VariantId::REFERENCE)?;
    Some(timed(reference)?.1 / timed(trial)?.1)
}

/// A trial's speedup and what it is over. Gains of phases are not multiplied (STATISTICS, "Confirmation"): each names its reference.
fn gain(run: &Run, case: &str, trial: &Trial) -> [String; 2] {
    let outcome = (run.outcomes.iter()).find(|o| o.case == case && o.phase == trial.phase);
    let own = outcome.and_then(|outcome| own_gain(run, outcome, trial));
    let mark = match effect(trial) {
        Some((_, true)) => String::new(),
        _ if trial.id == VariantId::REFERENCE => String::new(),
        _ => format!(" {OPTIMISTIC}"),
    };
    [
        own.map_or_else(|| NONE.into(), |g| format!("{g:.2}×{mark}")),
        outcome.map_or_else(|| NONE.into(), |outcome| reference_name(run, outcome)),
    ]
}

/// The quickest variant of each phase against the phase's reference.
fn quick_reference(run: &Run, case: &Case, baseline: &Trial) -> Vec<Piece> {
    let quickest = |phase: &str| {
        let outcome = run
            .outcomes
            .iter()
            .find(|o| o.case == case.name && o.phase == phase)?;
        let others = variants(run, outcome)
            .into_iter()
            .filter(|t| t.id != VariantId::REFERENCE);
        let timed = others.filter_map(|t| Some((t, own_gain(run, outcome, t)?)));
        timed.min_by(|a, b| b.1.total_cmp(&a.1)).map(|(t, _)| t)
    };
    let phases = run.header.plan.phases.iter();
    let rows: Vec<(&Trial, String, String)> =
        std::iter::once((baseline, "baseline".into(), NONE.into()))
            .chain(phases.filter_map(|phase| {
                let trial = quickest(&phase.name)?;
                let effort = phase.hypothesis.as_ref().and_then(|h| h.effort.clone());
                let method = format!("{}: {}", phase.name, trial.name);
                Some((trial, method, effort.unwrap_or_else(|| NONE.into())))
            }))
            .collect();
    if rows.len() < 2 {
        return vec![];
    }
    let quartiles: Vec<_> = rows.iter().filter_map(|(t, _, _)| t.quartiles).collect();
    let unit = Unit::of_objective(run, &quartiles);
    let is_gpu = matches!(case.device, DeviceChoice::Wgpu(_) | DeviceChoice::Cuda(_));
    let rows = rows
        .into_iter()
        .map(|(trial, method, effort)| {
            let time = timed(trial).map_or_else(|| NONE.into(), |q| unit.bare(q.1));
            let gpu = if is_gpu { "yes" } else { "no" };
            let [speedup, against] = gain(run, &case.name, trial);
            Row::new(vec![method, speedup, against, time, effort, gpu.into()])
        })
        .collect();
    let size = run.header.declaration.size(&case.problem);
    let steps = size.iter().find(|(key, _)| key == "steps");
    let time = steps.map_or_else(|| "Median".into(), |(_, n)| format!("{n} steps"));
    let header = [
        "Method".to_owned(),
        ">Speedup".to_owned(),
        "Against".to_owned(),
        format!(">{}", unit.head(&time)),
        "Effort".to_owned(),
        "GPU needed".to_owned(),
    ];
    vec![
        Piece::Paragraph(in_case(
            &case.name,
            &format!(
                "The quickest variant of each phase. Each speedup is against the reference that its row names, compared within blocks; gains of phases are not multiplied, and what all of them come to together is the headline. {OPTIMISTIC} screening, optimistic. Times are medians of the hour in which they were measured; intervals are with the phases."
            ),
        )),
        Piece::Table {
            header: columns(&header),
            rows,
        },
    ]
}

/// The rule of WORKLOADS §3d.
fn word(difference: f64, gamma: f64) -> &'static str {
    match (difference, gamma) {
        (d, g) if d <= 0.05 && g >= 0.98 => "low",
        (d, g) if d <= 0.15 && g >= 0.93 => "moderate",
        _ => "high",
    }
}

fn accuracy_against_speed(
    run: &Run,
    case: &Case,
    baseline: &Trial,
    trials: &[&Trial],
) -> Vec<Piece> {
    let differs = |t: &&&Trial| accuracy(t, DIFFERENCE).is_some_and(|d| d.is_nan() || d > ROUNDING);
    // Later phases' references have had their row.
    let mut seen = vec![];
    let rows: Vec<Row> = trials
        .iter()
        .filter(|t| t.id != VariantId::REFERENCE || std::ptr::eq(**t, baseline))
        .filter(|t| differs(t) || std::ptr::eq(**t, baseline))
        .filter(|t| {
            let is_new = !seen.contains(&&t.configuration);
            seen.push(&t.configuration);
            is_new
        })
        .map(|t| {
            let value = |name: &str| accuracy(t, name).map_or_else(|| NONE.into(), small);
            let share =
                |name: &str| accuracy(t, name).map_or_else(|| NONE.into(), |v| format!("{v:.3}"));
            let loss = match (accuracy(t, DIFFERENCE), accuracy(t, GAMMA)) {
                (Some(d), Some(g)) => word(d, g),
                _ => NONE,
            };
            let [speedup, against] = gain(run, &case.name, t);
            Row::new(vec![
                format!("{}: {}", t.phase, t.name),
                speedup,
                against,
                value(DIFFERENCE),
                share(GAMMA),
                share("gamma_3_3"),
                value("range_shift"),
                loss.into(),
            ])
        })
        .collect();
    if rows.len() < 2 {
        return vec![];
    }
    let header = [
        "Variant",
        ">Speedup",
        "Against",
        ">rel. L2 of the dose",
        ">gamma 2 %/2 mm",
        ">gamma 3 %/3 mm",
        ">Shift of R80, mm",
        "Loss",
    ];
    vec![
        Piece::Paragraph(in_case(
            &case.name,
            "Accuracy against speed, of the baseline and of every variant whose dose is another. Loss, from what was measured where the dose is at least a tenth of its maximum: low up to a relative difference of 0.05 with 98 % of the points passing 2 %/2 mm, moderate up to 0.15 with 93 %, else high.",
        )),
        Piece::Table {
            header: columns(&header),
            rows,
        },
    ]
}

/// Curves closer than this share of the highest value are one.
const SAME: f64 = 2e-3;

/// Sums over the rows of the variants' pictures, those that differ.
fn depth_doses(run: &Run, case: &Case, trials: &[&Trial]) -> Option<Piece> {
    let mut found: Vec<Curve> = vec![];
    for trial in trials {
        let Some(record) = trial.pictures.iter().find(|p| p.title == "dose") else {
            continue;
        };
        let Ok(values) = run.picture(record) else {
            continue;
        };
        if record.height < 2 || record.width < 2 || found.len() >= MOST {
            continue;
        }
        let (low, high) = record.y_range;
        let depth = |row: usize| low + (high - low) * row as f64 / (record.height - 1) as f64;
        // MeV/mm² on points that are the same distance apart in both directions.
        let spacing = (record.x_range.1 - record.x_range.0) / (record.width - 1) as f64;
        let sum = |row: &[f32]| row.iter().map(|v| f64::from(*v)).sum::<f64>() * spacing;
        let rows = values.chunks_exact(record.width).enumerate();
        let curve = Curve {
            name: format!("{}: {}", trial.phase, trial.name),
            points: rows
                .map(|(row, values)| (depth(row), sum(values)))
                .collect(),
        };
        if !found.iter().any(|other| is_same(other, &curve)) {
            found.push(curve);
        }
    }
    if found.is_empty() {
        return None;
    }
    let suffix = match case.name.is_empty() {
        true => String::new(),
        false => format!("_{}", file_name(&case.name)),
    };
    Some(Piece::Figure(Figure {
        file: format!("plots/depth_dose{suffix}"),
        title: in_case(&case.name, "dose over the depth"),
        caption: format!(
            "Dose over the depth, summed across; variants that differ by less than {SAME} of the maximum share a curve, and the first {MOST} are shown."
        ),
        files: Files::Both,
        sketch: curves(&found, "depth, mm", "MeV/mm"),
    }))
}

fn is_same(a: &Curve, b: &Curve) -> bool {
    let highest = a.points.iter().map(|p| p.1).fold(0.0, f64::max);
    let is_close = |((_, a), (_, b)): (&(f64, f64), &(f64, f64))| (a - b).abs() <= SAME * highest;
    a.points.len() == b.points.len() && a.points.iter().zip(&b.points).all(is_close)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_labels_the_published_grids_as_they_were_published() {
        // Measured with the specification's own script, WORKLOADS §3d.
        let rows = [
            (0.0, 1.0, "low"),
            (0.019, 0.998, "low"),
            (0.132, 0.944, "moderate"),
            (0.135, 0.939, "moderate"),
            (0.194, 0.915, "high"),
            (f64::NAN, 1.0, "high"),
        ];
        for (difference, gamma, class) in rows {
            assert_eq!(word(difference, gamma), class, "{difference}, {gamma}");
        }
    }
}
