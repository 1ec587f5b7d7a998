//! Planned looks and the error spent at them: Pocock-type spending α(t) = α ln(1 + (e − 1)t).
//! Lan & DeMets, Biometrika 70 (1983); the recursion is Armitage, McPherson & Rowe, JRSS A 132 (1969).
use super::signed_rank::normal;
use serde::{Deserialize, Serialize};
use statrs::distribution::ContinuousCDF;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// The planned looks of a comparison with at most `n_max` blocks, and the error spent at each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    /// (blocks at this look, nominal two-sided p that decides there), ascending.
    pub looks: Vec<(u32, f64)>,
    /// Fewer than six blocks: nothing can be decided, only described.
    pub is_descriptive: bool,
    /// The error that is spent in all.
    pub alpha: f64,
}

/// Under this many blocks there is one look, under [`DESCRIPTIVE_BELOW`] none that decides.
const ONE_LOOK_BELOW: u32 = 8;
const DESCRIPTIVE_BELOW: u32 = 6;

/// Points of the density between two looks; 400 gives the published nominal p to five digits.
const GRID: usize = 400;

impl Schedule {
    /// Looks at 20, 40, 60, 80 and 100 % of `n_max`, one alone below 8 blocks, less the first ones if their blocks are too few
    /// to decide anything: error spent there would be lost. The recursion takes milliseconds and is kept for the next call with
    /// the same arguments.
    pub fn new(n_max: u32, alpha: f64) -> Schedule {
        static KNOWN: Mutex<BTreeMap<(u32, u64), Schedule>> = Mutex::new(BTreeMap::new());
        let key = (n_max, alpha.to_bits());
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .entry(key)
            .or_insert_with(|| Schedule::compute(n_max, alpha))
            .clone()
    }

    fn compute(n_max: u32, alpha: f64) -> Schedule {
        let mut blocks: Vec<u32> = if n_max < ONE_LOOK_BELOW {
            vec![n_max]
        } else {
            (1..=5).map(|i| (n_max * i).div_ceil(5)).collect()
        };
        blocks.dedup();
        let looks = loop {
            let times: Vec<f64> = (blocks.iter())
                .map(|&n| f64::from(n) / f64::from(n_max.max(1)))
                .collect();
            let levels = nominal(&times, alpha);
            if blocks.len() == 1 || least_p(blocks[0]) <= levels[0] {
                break blocks.into_iter().zip(levels).collect();
            }
            blocks.remove(0);
        };
        Schedule {
            looks,
            is_descriptive: n_max < DESCRIPTIVE_BELOW,
            alpha,
        }
    }

    /// The nominal p at this number of blocks. Between two looks (a time limit ended the comparison there) it is that of the
    /// look which would have come next; after the last, that of the last.
    pub fn nominal_p(&self, blocks: u32) -> f64 {
        let at = self
            .looks
            .iter()
            .find(|(n, _)| *n >= blocks)
            .or(self.looks.last());
        at.map_or(self.alpha, |(_, p)| *p)
    }
}

/// The smallest two-sided p that the signed-rank test can give.
pub fn least_p(blocks: u32) -> f64 {
    2.0_f64.powf(1.0 - f64::from(blocks))
}

fn spent(alpha: f64, t: f64) -> f64 {
    alpha * (1.0 + (std::f64::consts::E - 1.0) * t).ln()
}

/// Nominal two-sided p at each of the information times (ascending, the last is 1).
fn nominal(times: &[f64], alpha: f64) -> Vec<f64> {
    let normal = normal();
    let mut found = vec![];
    // Density of the score process just before this look, among comparisons not stopped earlier.
    let mut density: Vec<(f64, f64)> = vec![];
    let (mut before, mut spent_before) = (0.0, 0.0);
    for &t in times {
        let target = spent(alpha, t) - spent_before;
        let sigma = (t - before).sqrt();
        let beyond = |b: f64| -> f64 {
            if density.is_empty() {
                return 2.0 * normal.cdf(-b / sigma);
            }
            density
                .iter()
                .map(|(s, mass)| {
                    mass * (normal.cdf((-b - s) / sigma) + normal.cdf((s - b) / sigma))
                })
                .sum()
        };
        let (mut low, mut high) = (0.0, 10.0 * t.sqrt());
        for _ in 0..60 {
            let middle = (low + high) / 2.0;
            if beyond(middle) > target {
                low = middle
            } else {
                high = middle
            }
        }
        let bound = (low + high) / 2.0;
        found.push(2.0 * normal.cdf(-bound / t.sqrt()));
        density = advance(&density, sigma, bound);
        (before, spent_before) = (t, spent(alpha, t));
    }
    found
}

/// The next density inside ±`bound`, as (score, mass) with Simpson's weights.
fn advance(density: &[(f64, f64)], sigma: f64, bound: f64) -> Vec<(f64, f64)> {
    let step = 2.0 * bound / GRID as f64;
    let gauss =
        |x: f64| (-0.5 * (x / sigma).powi(2)).exp() / (sigma * (2.0 * std::f64::consts::PI).sqrt());
    (0..=GRID)
        .map(|i| {
            let s = -bound + step * i as f64;
            let weight = match i {
                0 | GRID => 1.0,
                i if i % 2 == 1 => 4.0,
                _ => 2.0,
            } * step
                / 3.0;
            let value = match density {
                [] => gauss(s),
                known => known.iter().map(|(u, mass)| mass * gauss(s - u)).sum(),
            };
            (s, weight * value)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nominal_levels_at_five_equal_looks_are_the_tabulated_ones() {
        // shared/STATISTICS.md, "Looks and stopping".
        let table = [
            (0.05, [0.01477, 0.01523, 0.01594, 0.01655, 0.01703]),
            (0.10, [0.02954, 0.03205, 0.03458, 0.03666, 0.03837]),
            (0.05 / 2.0, [0.00739, 0.00730, 0.00745, 0.00760, 0.00772]),
            (0.05 / 4.0, [0.00369, 0.00352, 0.00352, 0.00354, 0.00356]),
            (0.05 / 8.0, [0.00185, 0.00171, 0.00168, 0.00167, 0.00166]),
            (
                0.05 / 16.0,
                [0.000_923, 0.000_834, 0.000_806, 0.000_791, 0.000_781],
            ),
        ];
        for (alpha, expected) in table {
            let levels = nominal(&[0.2, 0.4, 0.6, 0.8, 1.0], alpha);
            for (p, (look, e)) in levels.iter().zip(expected.iter().enumerate()) {
                assert!(
                    (p / e - 1.0).abs() < 0.004,
                    "α = {alpha}, look {look}: {p} instead of {e}"
                );
            }
        }
    }

    #[test]
    fn few_blocks_have_one_look_and_fewer_decide_nothing() {
        assert_eq!(Schedule::new(7, 0.05).looks.len(), 1);
        assert!((Schedule::new(7, 0.05).looks[0].1 - 0.05).abs() < 1e-9);
        assert!(!Schedule::new(6, 0.05).is_descriptive && Schedule::new(5, 0.05).is_descriptive);
    }

    #[test]
    fn no_error_is_spent_where_nothing_can_be_decided() {
        let looks = |n, alpha| -> Vec<u32> {
            let looks = Schedule::new(n, alpha).looks;
            looks.iter().map(|l| l.0).collect()
        };
        assert_eq!(looks(40, 0.05), [8, 16, 24, 32, 40]);
        assert_eq!(looks(40, 0.05 / 8.0), [16, 24, 32, 40]);
        // Two variants are decided by seven blocks, not by five.
        assert_eq!(looks(8, 0.025), [7, 8]);
        assert_eq!(looks(8, 0.001), [8]);
    }
}
