//! exp(j2π·rate·u) for |u| ≤ ½ as two short polynomials in u². The phase of a delay is split into that of a whole number of
//! samples, which is a table's or a cheap reduction's, and a rest that needs no range reduction.
use std::f64::consts::{PI, TAU};

/// Coefficients, constant term first: cos = C(u²), sin = u·S(u²).
#[derive(Clone, Copy, Debug)]
pub(super) struct Rotation {
    pub(super) cosine: [f32; 7],
    pub(super) sine: [f32; 7],
    /// Seven terms each, not four and three.
    pub(super) is_long: bool,
}

impl Rotation {
    fn new(rate: f64, cosines: usize, sines: usize) -> Rotation {
        let padded =
            |terms: Vec<f64>| std::array::from_fn(|i| terms.get(i).map_or(0.0, |c| *c as f32));
        let sine = |w: f64| {
            if w == 0.0 {
                TAU * rate
            } else {
                (TAU * rate * w.sqrt()).sin() / w.sqrt()
            }
        };
        Rotation {
            cosine: padded(fit(|w| (TAU * rate * w.sqrt()).cos(), cosines)),
            sine: padded(fit(sine, sines)),
            is_long: sines > 3,
        }
    }

    /// Four and three terms: exact to 1.2e-6 up to a quarter of a cycle a sample (fs = 4 fc).
    pub(super) fn short(rate: f64) -> Rotation {
        Rotation::new(rate, 4, 3)
    }

    /// Up to one cycle a sample.
    pub(super) fn long(rate: f64) -> Rotation {
        Rotation::new(rate, 7, 7)
    }

    /// (cos, sin) as the kernels evaluate them.
    pub(super) fn at(&self, u: f32) -> (f32, f32) {
        let q = u * u;
        let horner = |terms: &[f32; 7]| terms.iter().rev().fold(0.0, |sum, c| sum * q + c);
        (horner(&self.cosine), u * horner(&self.sine))
    }
}

/// Interpolates at Chebyshev's nodes of [0, ¼] and gives the polynomial's coefficients: within a factor of two of the minimax error.
fn fit(f: impl Fn(f64) -> f64, terms: usize) -> Vec<f64> {
    let nodes: Vec<f64> = (0..terms)
        .map(|k| 0.125 - 0.125 * (PI * (k as f64 + 0.5) / terms as f64).cos())
        .collect();
    // Newton's divided differences, then expanded.
    let mut differences: Vec<f64> = nodes.iter().map(|w| f(*w)).collect();
    for order in 1..terms {
        for i in (order..terms).rev() {
            differences[i] = (differences[i] - differences[i - 1]) / (nodes[i] - nodes[i - order]);
        }
    }
    let mut coefficients = vec![0.0; terms];
    for i in (0..terms).rev() {
        for j in (1..terms).rev() {
            coefficients[j] = coefficients[j - 1] - nodes[i] * coefficients[j];
        }
        coefficients[0] = differences[i] - nodes[i] * coefficients[0];
    }
    coefficients
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worst(rotation: Rotation, rate: f64) -> f64 {
        (-1000..=1000)
            .map(|i| {
                let u = f64::from(i) / 2000.0;
                let (c, s) = rotation.at(u as f32);
                let (sine, cosine) = (TAU * rate * u).sin_cos();
                (f64::from(c) - cosine).hypot(f64::from(s) - sine)
            })
            .fold(0.0, f64::max)
    }

    #[test]
    fn the_polynomials_are_as_exact_as_single_precision_can_use() {
        assert!(
            worst(Rotation::short(0.25), 0.25) < 1.5e-6,
            "{}",
            worst(Rotation::short(0.25), 0.25)
        );
        for rate in [0.25, 0.5, 1.0] {
            assert!(
                worst(Rotation::long(rate), rate) < 1.5e-6,
                "{rate}: {}",
                worst(Rotation::long(rate), rate)
            );
        }
    }
}
