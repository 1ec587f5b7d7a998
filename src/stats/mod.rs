//! Pure statistics, shared/STATISTICS.md made code. [`compare`], [`decide()`] and [`select`] are the face; ranks, signs and
//! spending are behind them.
mod decide;
mod diagnose;
mod disturbance;
mod evalue;
mod family;
mod forest;
mod front;
mod hodges_lehmann;
mod race;
mod signed_rank;
#[cfg(test)]
mod simulation;
mod spending;

pub use decide::{Decision, conclude, decide};
pub use diagnose::{Observed, Warning, diagnose};
pub use disturbance::disturbances;
pub use evalue::e_value;
pub use family::{Contender, Selection, holm, select};
pub use forest::{Factor, Importance, importance};
pub use front::front;
pub use race::{RACE_LOOKS, race_survivors};
pub use spending::{Schedule, least_p};

use crate::trial::Verdict;
use hodges_lehmann::Walsh;
use serde::{Deserialize, Serialize};

/// A variant against the reference over the blocks that both completed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// exp(−θ̂), θ̂ the Hodges–Lehmann estimate of the within-block log ratios (Hollander & Wolfe §3.2).
    pub speedup: f64,
    /// Of the speedup, at the level that was asked for; absent where the number of blocks cannot attain it.
    pub interval: Option<(f64, f64)>,
    /// The interval at twice the error, which the verdict "equivalent" is read from.
    pub equivalence_interval: Option<(f64, f64)>,
    /// Two-sided, exact for at most 64 blocks; 1 where there are none.
    pub p_value: f64,
    pub blocks: u32,
}

impl Default for Comparison {
    fn default() -> Comparison {
        Comparison {
            speedup: 1.0,
            interval: None,
            equivalence_interval: None,
            p_value: 1.0,
            blocks: 0,
        }
    }
}

impl Comparison {
    /// Half the width of the interval on the log scale: for small effects, a ratio − 1.
    pub fn half_width(&self) -> Option<f64> {
        self.interval
            .map(|(lower, upper)| (upper / lower).ln() / 2.0)
    }
}

/// Paired cell values, in nanoseconds (or another positive unit): (variant, reference), one pair a block.
pub type Pairs = [(f64, f64)];

/// Compares at level 1 − `alpha`. Pairs with a value that is not positive and finite are left out.
///
/// `tick` is the clock's resolution in the values' unit. Where it makes magnitudes tie exactly, the tied pairs get a seeded
/// jitter of ± half a tick, so that the test stays exact.
pub fn compare(pairs: &Pairs, alpha: f64, tick: f64, seed: u64) -> Comparison {
    let is_valid = |x: f64| x > 0.0 && x.is_finite();
    let valid: Vec<(f64, f64)> = pairs
        .iter()
        .copied()
        .filter(|(v, r)| is_valid(*v) && is_valid(*r))
        .collect();
    if valid.is_empty() {
        return Comparison::default();
    }
    let d = log_ratios(&valid, tick, seed);
    let walsh = Walsh::new(&d);
    // A slow variant has a large time: its speedup is the inverse of its ratio, so the bounds change places.
    let speedups = |(lower, upper): (f64, f64)| ((-upper).exp(), (-lower).exp());
    Comparison {
        speedup: (-walsh.estimate()).exp(),
        interval: walsh.interval(alpha).map(speedups),
        equivalence_interval: walsh.interval(2.0 * alpha).map(speedups),
        p_value: signed_rank::p_value(&d),
        blocks: d.len() as u32,
    }
}

fn log_ratios(pairs: &Pairs, tick: f64, seed: u64) -> Vec<f64> {
    let mut d: Vec<f64> = pairs.iter().map(|(v, r)| (v / r).ln()).collect();
    let mut order: Vec<usize> = (0..d.len()).collect();
    order.sort_by(|&a, &b| d[a].abs().total_cmp(&d[b].abs()));
    let mut state = seed;
    let mut jitter = || {
        // SplitMix64: Steele, Lea & Flood, OOPSLA 2014.
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        ((z >> 11) as f64 / (1_u64 << 53) as f64 - 0.5) * tick
    };
    let mut tied = vec![false; d.len()];
    for pair in order.windows(2) {
        if d[pair[0]].abs() == d[pair[1]].abs() {
            tied[pair[0]] = true;
            tied[pair[1]] = true;
        }
    }
    for (i, (variant, reference)) in pairs.iter().enumerate() {
        if (tied[i] || d[i] == 0.0) && tick > 0.0 {
            let (v, r) = (variant + jitter(), reference + jitter());
            if v > 0.0 && r > 0.0 {
                d[i] = (v / r).ln();
            }
        }
    }
    d
}

/// The verdict of a comparison, with the margin on the ratio (0.01), at the level of its interval (STATISTICS "Verdicts").
pub fn verdict(comparison: &Comparison, equivalence: f64) -> Verdict {
    let margin = 1.0 + equivalence;
    let is_inside = |(lower, upper): (f64, f64)| lower > 1.0 / margin && upper < margin;
    let Some((lower, upper)) = comparison.interval else {
        return Verdict::Inconclusive;
    };
    if lower > margin || (equivalence == 0.0 && lower > 1.0) {
        Verdict::Faster
    } else if upper < 1.0 / margin {
        Verdict::Slower
    } else if comparison.equivalence_interval.is_some_and(is_inside) {
        Verdict::Equivalent
    } else if lower > 1.0 {
        Verdict::SlightlyFaster
    } else if upper < 1.0 {
        Verdict::SlightlySlower
    } else {
        Verdict::Inconclusive
    }
}

/// n·(half-width/δ)², for an inconclusive comparison; absent without an interval or a margin.
pub fn blocks_needed(comparison: &Comparison, equivalence: f64) -> Option<u32> {
    let delta = (1.0 + equivalence).ln();
    let half = comparison.half_width()?;
    let needed = f64::from(comparison.blocks) * (half / delta).powi(2);
    (delta > 0.0 && needed.is_finite()).then(|| needed.ceil().min(1e9) as u32)
}

/// Minimum detectable effect at n blocks, as ratio − 1 with 80 % power, from the half-width (log scale) of an A/A interval over
/// 40 blocks (STATISTICS "Trust").
pub fn minimum_detectable_effect(half_width: f64, n: u32) -> f64 {
    let small = match n {
        0..=10 => 1.35,
        11..=20 => 1.15,
        21..=40 => 1.05,
        _ => 1.0,
    };
    // 2.80 = Φ⁻¹(0.975) + Φ⁻¹(0.80).
    (small * 2.80 * (half_width / 1.96) * (40.0 / f64::from(n.max(1))).sqrt()).exp_m1()
}

/// Median and quartiles (linear interpolation, Hyndman & Fan type 7) as (q1, median, q3); NaN without values.
pub fn quartiles(values: &[f64]) -> (f64, f64, f64) {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let at = |q: f64| match sorted.len() {
        0 => f64::NAN,
        n => {
            let place = q * (n - 1) as f64;
            let (below, share) = (place as usize, place.fract());
            let above = sorted[(below + 1).min(n - 1)];
            sorted[below] + share * (above - sorted[below])
        }
    };
    (at(0.25), at(0.5), at(0.75))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quartiles_are_numpys() {
        // numpy.quantile([3, 1, 4, 1, 5, 9, 2, 6], [.25, .5, .75]) → [1.75, 3.5, 5.25], numpy 2.4.6
        assert_eq!(
            quartiles(&[3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0]),
            (1.75, 3.5, 5.25)
        );
        assert!(quartiles(&[]).1.is_nan());
    }

    #[test]
    fn a_coarse_clock_gives_no_difference_out_of_nothing() {
        let pairs = vec![(1000.0, 1000.0); 20];
        let comparison = compare(&pairs, 0.05, 1.0, 7);
        assert!(comparison.p_value > 0.05, "{comparison:?}");
        assert_eq!(verdict(&comparison, 0.01), Verdict::Equivalent);
    }

    #[test]
    fn verdicts_read_the_interval_against_the_margin() {
        let with = |lower, upper| Comparison {
            interval: Some((lower, upper)),
            equivalence_interval: Some((lower, upper)),
            ..Comparison::default()
        };
        let cases = [
            ((1.02, 1.05), Verdict::Faster),
            ((1.005, 1.05), Verdict::SlightlyFaster),
            ((0.995, 1.005), Verdict::Equivalent),
            ((0.90, 1.10), Verdict::Inconclusive),
            ((0.95, 0.998), Verdict::SlightlySlower),
            ((0.80, 0.90), Verdict::Slower),
        ];
        for ((lower, upper), expected) in cases {
            assert_eq!(
                verdict(&with(lower, upper), 0.01),
                expected,
                "[{lower}, {upper}]"
            );
        }
        assert_eq!(verdict(&Comparison::default(), 0.01), Verdict::Inconclusive);
        assert_eq!(verdict(&with(1.000_001, 1.1), 0.0), Verdict::Faster);
    }

    #[test]
    fn fewer_blocks_see_less() {
        let at = |n| minimum_detectable_effect(0.01, n);
        assert!(at(8) > at(16) && at(16) > at(40));
        assert!((at(40) - (1.05_f64 * 2.80 * 0.01 / 1.96).exp_m1()).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn swapping_sides_inverts_the_speedup(pairs in prop::collection::vec((1.0..2.0f64, 1.0..2.0f64), 1..50)) {
            let swapped: Vec<_> = pairs.iter().map(|(a, b)| (*b, *a)).collect();
            let (one, two) = (compare(&pairs, 0.05, 0.0, 1), compare(&swapped, 0.05, 0.0, 1));
            prop_assert!((one.speedup * two.speedup - 1.0).abs() < 1e-9);
            prop_assert!((one.p_value - two.p_value).abs() < 1e-12);
        }

        #[test]
        fn scaling_time_changes_no_verdict(pairs in prop::collection::vec((1.0..2.0f64, 1.0..2.0f64), 1..50), exponent in -20..20i32) {
            let factor = 2.0_f64.powi(exponent);
            let scaled: Vec<_> = pairs.iter().map(|(a, b)| (a * factor, b * factor)).collect();
            let (one, two) = (compare(&pairs, 0.05, 0.0, 1), compare(&scaled, 0.05, 0.0, 1));
            prop_assert_eq!(verdict(&one, 0.01), verdict(&two, 0.01));
        }

        #[test]
        fn the_order_of_blocks_does_not_matter(mut pairs in prop::collection::vec((1.0..2.0f64, 1.0..2.0f64), 1..50)) {
            let one = compare(&pairs, 0.05, 0.0, 1);
            pairs.reverse();
            let two = compare(&pairs, 0.05, 0.0, 1);
            prop_assert!((one.speedup - two.speedup).abs() < 1e-12);
            prop_assert_eq!(one.p_value, two.p_value);
        }
    }
}
