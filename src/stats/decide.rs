//! A phase's comparisons at a look and at the end. The simulation of error rates runs these very functions.
//!
//! Each of k variants has its own spending function of α/k over the looks, so the chance that any equal variant is ever called
//! different is at most α (Bonferroni over variants, Lan & DeMets over looks). At the end Holm steps the rest down: the r-th
//! smallest p is held against the nominal level, at this look, of the schedule that spends α/(k − r). Each step tests one more
//! hypothesis only after all before it were rejected, so the closure principle keeps the family's error at α (Ye, Li, Liu &
//! Yao, Statistics in Medicine 32 (2013), §2).
use super::{Comparison, Schedule, compare, verdict};
use crate::trial::Verdict;

/// What a look at the data says.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// One a variant, with the repeated interval at this look.
    pub comparisons: Vec<Comparison>,
    /// Every comparison is decided or as narrow as was asked for: more blocks would change nothing.
    pub is_over: bool,
}

/// Looks at the data so far. `pairs`: one series of (variant, reference) a variant; `schedule` spends α/k.
///
/// Faster, slower and equivalent are decided; "slightly" goes on until its interval is as narrow as `precision`, since more
/// blocks may carry it beyond the margin.
pub fn decide(
    pairs: &[Vec<(f64, f64)>],
    schedule: &Schedule,
    equivalence: f64,
    precision: f64,
    tick: f64,
) -> Decision {
    let mut is_over = true;
    let comparisons = pairs
        .iter()
        .map(|pairs| {
            let level = schedule.nominal_p(pairs.len() as u32);
            let comparison = compare(pairs, level, tick, 0);
            let is_decided = match verdict(&comparison, equivalence) {
                Verdict::Faster | Verdict::Slower | Verdict::Equivalent => true,
                _ => comparison
                    .half_width()
                    .is_some_and(|half| half <= precision),
            };
            is_over &= is_decided;
            comparison
        })
        .collect();
    Decision {
        comparisons,
        is_over,
    }
}

/// The last word on every variant: comparison and verdict. `schedule` is that of the looks (it spends α/k); `alpha` the whole
/// family's.
pub fn conclude(
    pairs: &[Vec<(f64, f64)>],
    schedule: &Schedule,
    alpha: f64,
    equivalence: f64,
    tick: f64,
) -> Vec<(Comparison, Verdict)> {
    let k = pairs.len();
    let n_max = schedule.looks.last().map_or(0, |(n, _)| *n);
    let p: Vec<f64> = pairs
        .iter()
        .map(|pairs| compare(pairs, alpha, tick, 0).p_value)
        .collect();
    let mut order: Vec<usize> = (0..k).collect();
    order.sort_by(|&a, &b| p[a].total_cmp(&p[b]));
    let mut concluded = vec![None; k];
    let mut step = 0;
    for i in order {
        let level =
            Schedule::new(n_max, alpha / (k - step) as f64).nominal_p(pairs[i].len() as u32);
        let comparison = compare(&pairs[i], level, tick, 0);
        let found = verdict(&comparison, equivalence);
        if p[i] <= level {
            step = (step + 1).min(k - 1);
        }
        concluded[i] = Some((comparison, found));
    }
    concluded
        .into_iter()
        .map(|c| c.expect("every variant has its step"))
        .collect()
}
