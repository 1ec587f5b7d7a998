//! Success criteria against what was measured: met, failed or undecided by confidence bounds, never by the estimate alone.
use crate::plan::{Criterion, Relation};
use crate::record::{CriterionOutcome, CriterionState, Trial};
use crate::stats;
use crate::trial::Verdict;

/// Decides one criterion from the phase's trials. `kept` is the kept variant's row, or the reference's; `best` the row with the
/// best estimate where nothing was kept.
pub(super) fn decide(
    criterion: &Criterion,
    trials: &[Trial],
    kept: Option<&Trial>,
    values: &dyn Fn(&Trial) -> Vec<f64>,
) -> CriterionOutcome {
    let subject = match &criterion.variant {
        Some(name) => trials.iter().find(|t| t.name == *name),
        None => kept,
    };
    let measured = subject.and_then(|trial| measure(criterion, trial, trials, values));
    let state = match measured {
        None => CriterionState::Undecided,
        Some((_, lower, upper)) => judge(criterion.relation, criterion.bound, lower, upper),
    };
    // A variant that was asked for by name and did not complete cannot meet anything.
    let is_dead = subject.is_some_and(|t| t.ending.verdict().is_some());
    let state = if measured.is_none() && is_dead {
        CriterionState::Failed
    } else {
        state
    };
    CriterionOutcome {
        text: criterion.text.clone(),
        state,
        measured: measured.filter(is_finite),
    }
}

fn is_finite(measured: &(f64, f64, f64)) -> bool {
    measured.0.is_finite() && measured.1.is_finite() && measured.2.is_finite()
}

/// Estimate, lower and upper bound of the criterion's quantity for this trial.
fn measure(
    criterion: &Criterion,
    trial: &Trial,
    trials: &[Trial],
    values: &dyn Fn(&Trial) -> Vec<f64>,
) -> Option<(f64, f64, f64)> {
    match criterion.quantity.as_str() {
        "speedup" => {
            if trial.verdict == Verdict::Reference {
                // Nothing was kept: the best that was seen decides whether the target is out of reach or only unproven.
                let rivals = trials
                    .iter()
                    .filter(|t| !t.is_canary && t.comparison.is_some());
                let best = rivals.max_by(|a, b| {
                    let speedup = |t: &Trial| t.comparison.as_ref().map_or(0.0, |c| c.speedup);
                    speedup(a).total_cmp(&speedup(b))
                });
                return match best {
                    Some(best) => bounds(best),
                    None => Some((1.0, 1.0, 1.0)),
                };
            }
            bounds(trial)
        }
        "runtime" => median_interval(&values(trial)),
        "peak_memory" => {
            let bytes = trial.host_peak?.0.max(trial.device_peak.map_or(0, |b| b.0)) as f64;
            Some((bytes, bytes, bytes))
        }
        name => {
            let found = trial
                .accuracy
                .iter()
                .chain(&trial.metrics)
                .find(|(n, _)| n == name)?;
            Some((found.1, found.1, found.1))
        }
    }
}

fn bounds(trial: &Trial) -> Option<(f64, f64, f64)> {
    let comparison = trial.confirmation.as_ref().or(trial.comparison.as_ref())?;
    let (lower, upper) = comparison.interval?;
    Some((comparison.speedup, lower, upper))
}

fn judge(relation: Relation, bound: f64, lower: f64, upper: f64) -> CriterionState {
    let (is_met, is_failed) = match relation {
        Relation::AtLeast => (lower >= bound, upper < bound),
        Relation::Above => (lower > bound, upper <= bound),
        Relation::AtMost => (upper <= bound, lower > bound),
        Relation::Below => (upper < bound, lower >= bound),
    };
    match (is_met, is_failed) {
        (true, _) => CriterionState::Met,
        // NaN meets nothing: an output without a finite distance has failed.
        _ if is_failed || lower.is_nan() || upper.is_nan() => CriterionState::Failed,
        _ => CriterionState::Undecided,
    }
}

/// The median with its distribution-free 95 % interval from order statistics (Hollander & Wolfe §3.6: sign test inverted).
fn median_interval(values: &[f64]) -> Option<(f64, f64, f64)> {
    if values.is_empty() {
        return None;
    }
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (_, median, _) = stats::quartiles(&sorted);
    let n = sorted.len();
    // Largest k with P(B(n, ½) < k) ≤ 2.5 %.
    let (mut below, mut term, mut k) = (0.0, 0.5_f64.powi(n as i32), 0);
    while below + term <= 0.025 {
        below += term;
        k += 1;
        term *= (n - k + 1) as f64 / k as f64;
    }
    if k == 0 {
        return Some((median, f64::NEG_INFINITY, f64::INFINITY));
    }
    Some((median, sorted[k - 1], sorted[n - k]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_decide_and_the_estimate_does_not() {
        use CriterionState::{Failed, Met, Undecided};
        let judged = |lower, upper| judge(Relation::AtLeast, 1.05, lower, upper);
        assert_eq!(judged(1.06, 1.10), Met);
        assert_eq!(judged(1.01, 1.10), Undecided);
        assert_eq!(judged(0.90, 1.04), Failed);
        assert_eq!(judge(Relation::AtMost, 1e-3, f64::NAN, f64::NAN), Failed);
        assert_eq!(judge(Relation::Below, 1.0, 0.5, 0.9), Met);
    }

    #[test]
    fn the_interval_of_the_median_has_the_tabulated_ranks() {
        // n = 10: 2nd and 9th order statistic have 97.85 % (Hollander & Wolfe, table for the sign test).
        let values: Vec<f64> = (1..=10).map(f64::from).collect();
        assert_eq!(median_interval(&values), Some((5.5, 2.0, 9.0)));
        assert_eq!(
            median_interval(&[1.0; 5]),
            Some((1.0, f64::NEG_INFINITY, f64::INFINITY))
        );
    }
}
