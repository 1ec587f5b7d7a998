//! Distances between a variant's output and what it should be (WORKLOADS §0.4).
pub mod gamma;
pub mod peak;
mod picture;

use crate::array::{Array, Values};

/// An accuracy metric. Shapes are equal when `distance` is called; a NaN in the output gives NaN, which passes no limit.
#[derive(Debug)]
pub struct Metric {
    pub name: &'static str,
    /// For the report: "root-mean-square error over the range of the reference".
    pub about: &'static str,
    pub better: Better,
    pub distance: fn(output: &Array, expected: &Array) -> f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    Smaller,
    Larger,
}

/// Every metric. To add one: its function and a line here.
pub static METRICS: &[Metric] = &[
    Metric {
        name: "nrmse",
        about: "root-mean-square error over the range of the expected values",
        better: Better::Smaller,
        distance: nrmse,
    },
    Metric {
        name: "rel_l2",
        about: "norm of the difference over the norm of the expected values",
        better: Better::Smaller,
        distance: rel_l2,
    },
    Metric {
        name: "max_abs",
        about: "largest absolute difference",
        better: Better::Smaller,
        distance: max_abs,
    },
    Metric {
        name: "max_rel",
        about: "largest absolute difference over the largest expected magnitude",
        better: Better::Smaller,
        distance: max_rel,
    },
    Metric {
        name: "psnr",
        about: "peak signal over mean square error, dB; 999 where they are equal",
        better: Better::Larger,
        distance: psnr,
    },
    Metric {
        name: "ssim",
        about: "mean structural similarity of the pictures, Gaussian window of 11; 1 where they are equal",
        better: Better::Larger,
        distance: picture::ssim,
    },
    Metric {
        name: "ulp_frac",
        about: "share of bit-identical values",
        better: Better::Larger,
        distance: ulp_frac,
    },
];

/// Which direction is better for an accuracy metric; the workload's own are distances unless they are named like a ratio or a
/// share that passes.
pub fn better(name: &str) -> Better {
    let known = METRICS.iter().find(|m| m.name == name).map(|m| m.better);
    let is_larger = |name: &str| {
        ["psnr", "ssim", "gamma"]
            .iter()
            .any(|n| name.starts_with(n))
    };
    let by_name = if is_larger(name) {
        Better::Larger
    } else {
        Better::Smaller
    };
    known.unwrap_or(by_name)
}

/// Whether a metric's value keeps its limit. NaN keeps none.
pub fn is_within(name: &str, value: f64, limit: f64) -> bool {
    match better(name) {
        Better::Smaller => value <= limit,
        Better::Larger => value >= limit,
    }
}

/// One value a sample: the magnitude where the data is complex.
fn magnitudes(values: &[f64], is_complex: bool) -> Vec<f64> {
    match is_complex {
        true => values.chunks_exact(2).map(|z| z[0].hypot(z[1])).collect(),
        false => values.iter().map(|x| x.abs()).collect(),
    }
}

/// Keeps NaN, which `f64::max` forgets.
fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |m: f64, v| {
        if v.is_nan() || m.is_nan() {
            f64::NAN
        } else {
            m.max(*v)
        }
    })
}

fn differences(output: &Array, expected: &Array) -> (Vec<f64>, Vec<f64>) {
    let (a, b) = (output.to_f64(), expected.to_f64());
    let d: Vec<f64> = a.iter().zip(&b).map(|(a, b)| a - b).collect();
    let is_complex = output.is_complex || expected.is_complex;
    (magnitudes(&d, is_complex), magnitudes(&b, is_complex))
}

fn square_sum(values: &[f64]) -> f64 {
    values.iter().map(|x| x * x).sum()
}

fn rel_l2(output: &Array, expected: &Array) -> f64 {
    let (d, b) = differences(output, expected);
    ratio(square_sum(&d).sqrt(), square_sum(&b).sqrt())
}

fn max_abs(output: &Array, expected: &Array) -> f64 {
    largest(&differences(output, expected).0)
}

fn max_rel(output: &Array, expected: &Array) -> f64 {
    let (d, b) = differences(output, expected);
    ratio(largest(&d), largest(&b))
}

fn nrmse(output: &Array, expected: &Array) -> f64 {
    let (d, b) = differences(output, expected);
    let rms = (square_sum(&d) / d.len().max(1) as f64).sqrt();
    // The range of a complex field is that of its magnitude.
    let values = if output.is_complex || expected.is_complex {
        b
    } else {
        expected.to_f64()
    };
    let (low, high) = values
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| {
            (l.min(*v), h.max(*v))
        });
    ratio(rms, high - low)
}

fn psnr(output: &Array, expected: &Array) -> f64 {
    let (d, b) = differences(output, expected);
    let mse = square_sum(&d) / d.len().max(1) as f64;
    if mse == 0.0 {
        999.0
    } else {
        10.0 * (largest(&b).powi(2) / mse).log10()
    }
}

fn ulp_frac(output: &Array, expected: &Array) -> f64 {
    let same = match (&output.values, &expected.values) {
        (Values::F32(a), Values::F32(b)) => a
            .iter()
            .zip(b)
            .filter(|(a, b)| a.to_bits() == b.to_bits())
            .count(),
        _ => output
            .to_f64()
            .iter()
            .zip(expected.to_f64())
            .filter(|(a, b)| a.to_bits() == b.to_bits())
            .count(),
    };
    let n = match &output.values {
        Values::F32(v) => v.len(),
        Values::F64(v) => v.len(),
    };
    same as f64 / n.max(1) as f64
}

/// 0/0 is equality, x/0 is not.
fn ratio(a: f64, b: f64) -> f64 {
    if a == 0.0 { 0.0 } else { a / b }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(values: &[f32], is_complex: bool) -> Array {
        Array {
            shape: vec![values.len()],
            values: Values::F32(values.to_vec()),
            is_complex,
        }
    }

    #[test]
    fn equal_arrays_are_at_no_distance() {
        let a = array(&[1.0, 2.0, -3.0, 4.0], false);
        for metric in METRICS {
            let perfect = match metric.name {
                "psnr" => 999.0,
                "ulp_frac" | "ssim" => 1.0,
                _ => 0.0,
            };
            assert_eq!((metric.distance)(&a, &a), perfect, "{}", metric.name);
        }
    }

    #[test]
    fn a_nan_passes_no_limit() {
        let (good, bad) = (
            array(&[1.0, 2.0, 3.0], false),
            array(&[1.0, f32::NAN, 3.0], false),
        );
        for metric in METRICS.iter().filter(|m| m.name != "ulp_frac") {
            assert!((metric.distance)(&bad, &good).is_nan(), "{}", metric.name);
        }
        assert!((ulp_frac(&bad, &good) - 2.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn the_formulas_are_numpys() {
        // a = [1, 2, 3, 5], b = [1, 2, 4, 4]: numpy.linalg.norm(a - b)/numpy.linalg.norm(b), …
        let (a, b) = (
            array(&[1.0, 2.0, 3.0, 5.0], false),
            array(&[1.0, 2.0, 4.0, 4.0], false),
        );
        assert!((rel_l2(&a, &b) - (2.0_f64 / 37.0).sqrt()).abs() < 1e-12);
        assert!((nrmse(&a, &b) - 0.5_f64.sqrt() / 3.0).abs() < 1e-12);
        assert_eq!(max_rel(&a, &b), 0.25);
        // As complex numbers: differences 0 and −1+1j.
        let (a, b) = (
            array(&[1.0, 2.0, 3.0, 5.0], true),
            array(&[1.0, 2.0, 4.0, 4.0], true),
        );
        assert!((max_abs(&a, &b) - 2.0_f64.sqrt()).abs() < 1e-12);
    }
}
