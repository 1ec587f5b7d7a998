//! Structural similarity: whether two pictures look alike, where a norm would count every grey level the same.
use super::magnitudes;
use crate::array::Array;

/// Width of the window, and its Gaussian's deviation (Wang et al. 2004, IEEE Trans. Image Process. 13(4), §III-B).
const WINDOW: usize = 11;
const DEVIATION: f64 = 1.5;

/// Mean SSIM over every window that lies in the picture, and over the pictures; where a picture is smaller than the window, the
/// window is as large as the picture. The dynamic range is the largest expected magnitude (WORKLOADS §0.4).
pub(super) fn ssim(output: &Array, expected: &Array) -> f64 {
    let is_complex = output.is_complex || expected.is_complex;
    let values = |array: &Array| match is_complex {
        true => magnitudes(&array.to_f64(), true),
        false => array.to_f64(),
    };
    let (a, b) = (values(output), values(expected));
    let axes = &expected.shape
        [..expected.shape.len() - usize::from(is_complex && !expected.shape.is_empty())];
    let (height, width) = match axes {
        [] => (1, 1),
        [width] => (1, *width),
        [.., height, width] => (*height, *width),
    };
    let size = height * width;
    if size == 0 || a.iter().any(|v| v.is_nan()) {
        return f64::NAN;
    }
    let largest = b.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
    let pictures = a.chunks_exact(size).zip(b.chunks_exact(size));
    let count = pictures.len();
    pictures
        .map(|(a, b)| mean_similarity(a, b, (height, width), largest))
        .sum::<f64>()
        / count.max(1) as f64
}

fn mean_similarity(a: &[f64], b: &[f64], size: (usize, usize), largest: f64) -> f64 {
    let product = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).collect::<Vec<f64>>();
    let blur = |values: &[f64]| blurred(values, size);
    let (mean_a, mean_b) = (blur(a), blur(b));
    let (aa, bb, ab) = (
        blur(&product(a, a)),
        blur(&product(b, b)),
        blur(&product(a, b)),
    );
    let (c1, c2) = ((0.01 * largest).powi(2), (0.03 * largest).powi(2));
    let similarity = |i: usize| {
        let (x, y) = (mean_a[i], mean_b[i]);
        let (xx, yy, xy) = (aa[i] - x * x, bb[i] - y * y, ab[i] - x * y);
        let (above, below) = (
            (2.0 * x * y + c1) * (2.0 * xy + c2),
            (x * x + y * y + c1) * (xx + yy + c2),
        );
        // Two black pictures are alike.
        if above == below { 1.0 } else { above / below }
    };
    (0..mean_a.len()).map(similarity).sum::<f64>() / mean_a.len() as f64
}

/// Convolved with the window, rows then columns, where it lies wholly inside.
fn blurred(values: &[f64], (height, width): (usize, usize)) -> Vec<f64> {
    let (across, down) = (window(width), window(height));
    let columns = width + 1 - across.len();
    let weigh = |weights: &[f64], at: &dyn Fn(usize) -> f64| {
        weights
            .iter()
            .enumerate()
            .map(|(i, w)| w * at(i))
            .sum::<f64>()
    };
    let rows: Vec<f64> = (0..height * columns)
        .map(|i| weigh(&across, &|k| values[i / columns * width + i % columns + k]))
        .collect();
    (0..(height + 1 - down.len()) * columns)
        .map(|i| weigh(&down, &|k| rows[i + k * columns]))
        .collect()
}

fn window(available: usize) -> Vec<f64> {
    let count = WINDOW.min(available);
    let middle = (count - 1) as f64 / 2.0;
    let weights: Vec<f64> = (0..count)
        .map(|i| (-0.5 * ((i as f64 - middle) / DEVIATION).powi(2)).exp())
        .collect();
    let sum: f64 = weights.iter().sum();
    weights.into_iter().map(|w| w / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::array::Values;

    fn picture(f: impl Fn(usize, usize) -> f64) -> Array {
        let values = (0..20 * 24).map(|i| f(i / 24, i % 24)).collect();
        Array {
            shape: vec![20, 24],
            values: Values::F64(values),
            is_complex: false,
        }
    }

    /// skimage.metrics.structural_similarity(a, b, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=…)
    /// gives the same to its border handling; here the closed form of two constant pictures.
    #[test]
    fn constant_pictures_differ_by_their_means() {
        let (a, b) = (picture(|_, _| 3.0), picture(|_, _| 4.0));
        let c1 = (0.01_f64 * 4.0).powi(2);
        assert!((ssim(&a, &b) - (24.0 + c1) / (25.0 + c1)).abs() < 1e-9);
    }

    #[test]
    fn likeness_falls_with_noise_and_is_one_for_the_same() {
        let clean = picture(|i, j| ((i * j) as f64 * 0.1).sin() + 2.0);
        let noisy = |level: f64| {
            picture(|i, j| {
                ((i * j) as f64 * 0.1).sin() + 2.0 + level * ((i * 7 + j * 13) as f64).sin()
            })
        };
        assert_eq!(ssim(&clean, &clean), 1.0);
        let (little, much) = (ssim(&noisy(0.1), &clean), ssim(&noisy(1.0), &clean));
        assert!(
            1.0 > little && little > much && much > -1.0,
            "{little} {much}"
        );
        assert!(ssim(&picture(|i, _| if i == 3 { f64::NAN } else { 1.0 }), &clean).is_nan());
        let short = Array {
            shape: vec![3],
            values: Values::F32(vec![1.0, 2.0, 3.0]),
            is_complex: false,
        };
        assert_eq!(ssim(&short, &short), 1.0);
    }
}
