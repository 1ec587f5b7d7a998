//! Wilcoxon's signed-rank distribution: exact by dynamic programming up to 64 pairs, normal beyond.
//! Hollander & Wolfe, Nonparametric Statistical Methods, §3.1.
use statrs::distribution::{ContinuousCDF, Normal};
use std::sync::OnceLock;

/// Up to here the distribution is exact.
pub(super) const EXACT_UP_TO: usize = 64;

/// P(T⁺ ≤ t) for every t, n pairs without ties.
fn cumulative(n: usize) -> &'static [f64] {
    static TABLES: [OnceLock<Vec<f64>>; EXACT_UP_TO + 1] =
        [const { OnceLock::new() }; EXACT_UP_TO + 1];
    TABLES[n].get_or_init(|| {
        let mut mass = vec![0.0; n * (n + 1) / 2 + 1];
        mass[0] = 1.0;
        let mut largest = 0;
        for rank in 1..=n {
            for t in (0..=largest).rev() {
                mass[t] *= 0.5;
                mass[t + rank] += mass[t];
            }
            largest += rank;
        }
        mass.iter()
            .scan(0.0, |sum, p| {
                *sum += p;
                Some(*sum)
            })
            .collect()
    })
}

/// Two-sided p-value of "the median is zero". Zeros are dropped and ties get mid-ranks (Pratt's and Wilcoxon's usual ways
/// differ; with the seeded jitter of [`super::compare`] neither occurs in measured data).
pub(super) fn p_value(d: &[f64]) -> f64 {
    let mut ranked: Vec<f64> = d.iter().copied().filter(|d| *d != 0.0).collect();
    let n = ranked.len();
    if n == 0 {
        return 1.0;
    }
    ranked.sort_by(|a, b| a.abs().total_cmp(&b.abs()));
    let (mut plus, mut ties, mut start) = (0.0, 0.0, 0);
    while start < n {
        let size = ranked[start..]
            .iter()
            .take_while(|x| x.abs() == ranked[start].abs())
            .count();
        let rank = start as f64 + (size as f64 + 1.0) / 2.0;
        plus += rank
            * ranked[start..start + size]
                .iter()
                .filter(|x| **x > 0.0)
                .count() as f64;
        ties += (size * size * size - size) as f64;
        start += size;
    }
    let total = (n * (n + 1) / 2) as f64;
    let smaller = plus.min(total - plus);
    if n <= EXACT_UP_TO && ties == 0.0 {
        return (2.0 * cumulative(n)[smaller as usize]).min(1.0);
    }
    // Normal with correction for ties and continuity: Hollander & Wolfe (3.7), (3.13).
    let n = n as f64;
    let variance = n * (n + 1.0) * (2.0 * n + 1.0) / 24.0 - ties / 48.0;
    if variance <= 0.0 {
        return 1.0;
    }
    let z = (smaller - total / 2.0 + 0.5) / variance.sqrt();
    (2.0 * normal().cdf(z.min(0.0))).min(1.0)
}

/// k = max{k : P(T⁺ ≤ k − 1) ≤ a/2}; 0 where the level cannot be attained (Hollander & Wolfe §3.3).
pub(super) fn interval_rank(n: usize, a: f64) -> usize {
    if n <= EXACT_UP_TO {
        // Rounding of the sums must not lose a level that is attained exactly.
        return cumulative(n).partition_point(|p| *p <= a / 2.0 * (1.0 + 1e-12));
    }
    let n = n as f64;
    let (mean, variance) = (n * (n + 1.0) / 4.0, n * (n + 1.0) * (2.0 * n + 1.0) / 24.0);
    let k = mean + normal().inverse_cdf(a / 2.0) * variance.sqrt() + 0.5;
    k.max(0.0) as usize
}

pub(super) fn normal() -> Normal {
    Normal::new(0.0, 1.0).expect("standard parameters")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `scipy.stats.wilcoxon(d, method="exact")`, scipy 1.17.1 (shared/STATISTICS.md).
    const D: [f64; 12] = [
        -0.0213, -0.0187, -0.0105, 0.0042, -0.0310, -0.0076, 0.0011, -0.0251, -0.0164, -0.0098,
        0.0127, -0.0142,
    ];

    #[test]
    fn the_p_value_is_scipys() {
        assert_eq!(p_value(&D), 0.016_113_281_25);
    }

    #[test]
    fn the_ranks_of_the_interval_are_the_tabulated_ones() {
        let table = [
            (6, 1),
            (7, 3),
            (8, 4),
            (9, 6),
            (10, 9),
            (12, 14),
            (16, 30),
            (20, 53),
            (24, 82),
            (30, 138),
            (32, 160),
            (40, 265),
        ];
        for (n, k) in table {
            assert_eq!(interval_rank(n, 0.05), k, "n = {n}");
        }
        assert_eq!(interval_rank(5, 0.05), 0, "five blocks cannot attain 95 %");
    }

    #[test]
    fn the_normal_tail_continues_the_exact_one() {
        let exact = interval_rank(64, 0.05) as f64;
        let n = 64.0_f64;
        let approximate = n * (n + 1.0) / 4.0
            + normal().inverse_cdf(0.025) * (n * (n + 1.0) * (2.0 * n + 1.0) / 24.0).sqrt()
            + 0.5;
        assert!((exact - approximate).abs() < 2.0, "{exact} {approximate}");
    }

    #[test]
    fn ties_and_zeros_do_no_harm() {
        assert_eq!(p_value(&[]), 1.0);
        assert_eq!(p_value(&[0.0; 9]), 1.0);
        assert!(p_value(&[1.0; 12]) < 0.001);
        assert!(p_value(&[1.0, -1.0, 1.0, -1.0]) > 0.8);
    }
}
