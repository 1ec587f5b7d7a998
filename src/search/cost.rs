//! What measuring a configuration will take: a linear fit of the logarithm of the seconds.

/// The fit; its last weight is the constant.
#[derive(Debug)]
pub(super) struct Price(Vec<f64>);

impl Price {
    /// From points and the seconds they took, with a weak belief that coordinates make no difference (ridge regression).
    pub(super) fn fit(told: impl Iterator<Item = (Vec<f32>, f64)>) -> Price {
        let rows: Vec<(Vec<f64>, f64)> = told
            .map(|(point, seconds)| {
                let x = point.into_iter().map(f64::from).chain([1.0]).collect();
                (x, seconds.max(1e-9).ln())
            })
            .collect();
        let d = rows.first().map_or(0, |r| r.0.len());
        let mean = rows.iter().map(|r| r.1).sum::<f64>() / rows.len().max(1) as f64;
        // (XᵀX + 1) w = Xᵀ(y − mean), by elimination: the matrix is positive definite, no pivoting is needed.
        let mut a = vec![vec![0.0; d + 1]; d];
        for (x, y) in &rows {
            for i in 0..d {
                for j in 0..d {
                    a[i][j] += x[i] * x[j];
                }
                a[i][d] += x[i] * (y - mean);
            }
        }
        for (i, row) in a.iter_mut().enumerate() {
            row[i] += 1.0;
        }
        for i in 0..d {
            let from = a[i].clone();
            for (_, row) in a.iter_mut().enumerate().filter(|(k, _)| *k != i) {
                let factor = row[i] / from[i];
                for (x, y) in row.iter_mut().zip(&from) {
                    *x -= factor * y;
                }
            }
        }
        let mut weights: Vec<f64> = (0..d).map(|i| a[i][d] / a[i][i]).collect();
        if let Some(constant) = weights.last_mut() {
            *constant += mean;
        }
        Price(weights)
    }

    pub(super) fn seconds(&self, point: &[f32]) -> f64 {
        let terms = point.iter().map(|x| f64::from(*x)).chain([1.0]);
        terms.zip(&self.0).map(|(x, w)| x * w).sum::<f64>().exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_law_of_products_is_found_and_nothing_told_costs_a_second() {
        let law = |x: f32, y: f32| f64::from(2.0 * x - y).exp() * 3.0;
        let told = (0..200).map(|i| {
            let (x, y) = ((i % 10) as f32 / 9.0, (i % 7) as f32 / 6.0);
            (vec![x, y], law(x, y))
        });
        let price = Price::fit(told);
        for (x, y) in [(0.0, 0.0), (1.0, 0.0), (0.5, 1.0)] {
            let ratio = price.seconds(&[x, y]) / law(x, y);
            assert!((0.85..1.18).contains(&ratio), "{x} {y}: {ratio}");
        }
        assert_eq!(Price::fit(std::iter::empty()).seconds(&[0.3]), 1.0);
    }
}
