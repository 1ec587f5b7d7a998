//! Success criteria against what was measured: met, failed or undecided by confidence bounds, never by the estimate alone.
use super::comparing::{Series, TICK};
use crate::plan::{Criterion, Relation, STAGE_SPEEDUP};
use crate::record::{CriterionOutcome, CriterionState, Trial};
use crate::stats;
use crate::trial::{Block, Cell, Ending, Purpose, Sample, VariantId, Verdict};

/// What a phase measured, as criteria ask for it.
pub(super) struct Seen<'a> {
    pub(super) screen: &'a Series,
    /// Those that count.
    pub(super) blocks: &'a [Block],
    /// Names of the workload's stages.
    pub(super) stages: &'a [String],
    /// Names of what invocations tell beside times.
    pub(super) metrics: Vec<&'a str>,
    pub(super) seed: u64,
}

impl Seen<'_> {
    /// Of the time in one stage, by the pairs that decide about the whole: (variant, reference), one pair a block.
    fn stage_speedup(&self, stage: &str, variant: VariantId) -> Option<(f64, f64, f64)> {
        let stage = self.stages.iter().position(|name| name == stage)?;
        let pair = |block| {
            let of = |id| stage_time(block, id, stage);
            Some((of(variant)?, of(VariantId::REFERENCE)?))
        };
        let pairs: Vec<(f64, f64)> = self.screened().filter_map(pair).collect();
        let comparison = stats::compare(&pairs, 0.05, TICK, self.seed);
        let (lower, upper) = comparison.interval?;
        Some((comparison.speedup, lower, upper))
    }

    /// The median of one value a block, with its interval; what is the same in all of them has none to speak of.
    fn metric(&self, name: &str, variant: VariantId) -> Option<(f64, f64, f64)> {
        let metric = self.metrics.iter().position(|n| *n == name)?;
        let of_block = |block| {
            let values = samples(block, variant);
            let values = values.filter_map(|s| s.invocation.metrics.get(metric).copied());
            let values: Vec<f64> = values.collect();
            (!values.is_empty()).then(|| stats::quartiles(&values).1)
        };
        let values: Vec<f64> = self.screened().filter_map(of_block).collect();
        let first = *values.first()?;
        match values.iter().all(|v| *v == first) {
            true => Some((first, first, first)),
            false => median_interval(&values),
        }
    }

    fn screened(&self) -> impl Iterator<Item = &Block> {
        let blocks = self.blocks.iter();
        blocks.filter(|block| block.purpose == Purpose::Screen)
    }
}

/// The least of a cell's samples, as for the whole (STATISTICS "Units").
fn stage_time(block: &Block, variant: VariantId, stage: usize) -> Option<f64> {
    let times = samples(block, variant).map(|s| s.invocation.timing.stages.get(stage).map(|t| t.0));
    let times: Option<Vec<f64>> = times.collect();
    times?.into_iter().min_by(f64::total_cmp)
}

/// Of a variant's cell, where it completed.
fn samples(block: &Block, variant: VariantId) -> impl Iterator<Item = &Sample> {
    let is_it = move |c: &&Cell| c.variant == variant && c.ending == Ending::Completed;
    let all = block.cells.iter().find(is_it).map(|c| &c.samples[..]);
    let all = all.unwrap_or_default().iter();
    all.filter(|sample| !sample.is_warm_up)
}

/// Decides one criterion from the phase's trials. `kept` is the kept variant's row, or the reference's; `best` the row with the
/// best estimate where nothing was kept.
pub(super) fn decide(
    criterion: &Criterion,
    trials: &[Trial],
    kept: Option<&Trial>,
    seen: &Seen<'_>,
) -> CriterionOutcome {
    let subject = match &criterion.variant {
        Some(name) => trials.iter().find(|t| t.name == *name),
        None => kept,
    };
    let measured = subject.and_then(|trial| measure(criterion, trial, trials, seen));
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
    seen: &Seen<'_>,
) -> Option<(f64, f64, f64)> {
    if let Some(stage) = criterion.quantity.strip_prefix(STAGE_SPEEDUP) {
        return seen.stage_speedup(stage, trial.id);
    }
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
        "runtime" => median_interval(&seen.screen.completed(trial.id)),
        "peak_memory" => {
            let bytes = trial.host_peak?.0.max(trial.device_peak.map_or(0, |b| b.0)) as f64;
            Some((bytes, bytes, bytes))
        }
        name => {
            if let Some(found) = seen.metric(name, trial.id) {
                return Some(found);
            }
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
    use crate::trial::{Conditions, Invocation, Timing};
    use crate::value::Nanoseconds;

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

    /// Block k of a phase: the reference's copy takes 300 ns and more, the variant's a third of it.
    fn block(index: u32, purpose: Purpose) -> Block {
        let cell = |variant, copy: f64, busy: f64| {
            let sample = |extra: f64, is_warm_up| Sample {
                invocation: Invocation {
                    timing: Timing {
                        wall: Nanoseconds(1e3),
                        device: None,
                        stages: vec![Nanoseconds(700.0), Nanoseconds(copy + extra)],
                    },
                    metrics: vec![busy, 16.0],
                    ..Invocation::default()
                },
                started_at: 0,
                batch: 1,
                is_warm_up,
            };
            Cell {
                variant,
                samples: vec![sample(-99.0, true), sample(9.0, false), sample(0.0, false)],
                ending: Ending::Completed,
            }
        };
        let k = f64::from(index);
        Block {
            index,
            purpose,
            worker: 0,
            elapsed: Nanoseconds(0.0),
            cells: vec![
                cell(VariantId::REFERENCE, 300.0 + 3.0 * k, 0.1),
                cell(VariantId(1), 100.0 + k, 0.5 + k / 100.0),
            ],
            conditions: Conditions::default(),
            place: None,
        }
    }

    #[test]
    fn stages_are_compared_within_blocks_and_counters_have_an_interval() {
        let mut blocks: Vec<Block> = (0..10).map(|k| block(k, Purpose::Screen)).collect();
        // Other blocks are not these criteria's.
        blocks.extend((50..90).map(|k| block(k, Purpose::Confirm)));
        let stages = ["remap".to_owned(), "copy".to_owned()];
        let seen = Seen {
            screen: &Series::default(),
            blocks: &blocks,
            stages: &stages,
            metrics: vec!["busy", "reads"],
            seed: 1,
        };
        let (estimate, lower, upper) = seen.stage_speedup("copy", VariantId(1)).unwrap();
        // Ties are broken by the clock's tick.
        assert!((estimate - 3.0).abs() < 0.05 && lower > 2.9 && upper < 3.1);
        let (estimate, ..) = seen.stage_speedup("remap", VariantId(1)).unwrap();
        assert!((estimate - 1.0).abs() < 0.01);
        assert_eq!(seen.stage_speedup("copy", VariantId(2)), None);
        assert_eq!(seen.stage_speedup("decode", VariantId(1)), None);
        // Of ten values the second and the ninth.
        let (estimate, lower, upper) = seen.metric("busy", VariantId(1)).unwrap();
        assert!((estimate - 0.545).abs() < 1e-9);
        assert!((lower - 0.51).abs() < 1e-9 && (upper - 0.58).abs() < 1e-9);
        assert_eq!(seen.metric("reads", VariantId(1)), Some((16.0, 16.0, 16.0)));
        assert_eq!(seen.metric("psnr", VariantId(1)), None);
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
