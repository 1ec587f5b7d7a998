//! The Hodges–Lehmann estimate and its distribution-free interval. Hollander & Wolfe, §3.2–3.3.
use super::signed_rank;

/// All Walsh averages (d_i + d_j)/2, i ≤ j, ascending.
pub(super) struct Walsh {
    averages: Vec<f64>,
    n: usize,
}

impl Walsh {
    pub(super) fn new(d: &[f64]) -> Walsh {
        let mut averages = Vec::with_capacity(d.len() * (d.len() + 1) / 2);
        for (i, a) in d.iter().enumerate() {
            averages.extend(d[i..].iter().map(|b| (a + b) / 2.0));
        }
        averages.sort_unstable_by(f64::total_cmp);
        Walsh {
            averages,
            n: d.len(),
        }
    }

    /// Their median; 0 without data.
    pub(super) fn estimate(&self) -> f64 {
        let m = self.averages.len();
        if m == 0 {
            return 0.0;
        }
        (self.averages[(m - 1) / 2] + self.averages[m / 2]) / 2.0
    }

    /// [W_(k), W_(M+1−k)] at level 1 − `a`; absent where n blocks cannot attain it.
    pub(super) fn interval(&self, a: f64) -> Option<(f64, f64)> {
        let k = signed_rank::interval_rank(self.n, a);
        let m = self.averages.len();
        (k > 0 && 2 * k <= m + 1).then(|| (self.averages[k - 1], self.averages[m - k]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_test_vector_of_the_method() {
        // shared/STATISTICS.md, checked there with scipy and numpy.
        let d = [
            -0.0213, -0.0187, -0.0105, 0.0042, -0.0310, -0.0076, 0.0011, -0.0251, -0.0164, -0.0098,
            0.0127, -0.0142,
        ];
        let walsh = Walsh::new(&d);
        assert!(
            (walsh.estimate() + 0.012).abs() < 5e-4,
            "{}",
            walsh.estimate()
        );
        let (lower, upper) = walsh.interval(0.05).unwrap();
        assert!(
            (lower + 0.020).abs() < 1e-3 && (upper + 0.003).abs() < 1e-3,
            "{lower} {upper}"
        );
    }

    #[test]
    fn five_blocks_have_no_interval_at_95_percent() {
        assert_eq!(Walsh::new(&[1.0, 2.0, 3.0, 4.0, 5.0]).interval(0.05), None);
    }
}
