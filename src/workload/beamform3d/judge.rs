//! What a person would look at: pictures through the main scatterer, and whether it is still where and as sharp as it was
//! (WORKLOADS §1d).
use super::exact;
use super::scene::Scene;
use crate::accuracy::peak;
use crate::array::Array;
use crate::trial::PictureRecord;
use crate::workload::Picture;

/// Own metrics in their order; smaller is better, but for a PSNR.
pub(super) const METRICS: &[(&str, &str)] = &[
    (
        "peak_shift",
        "distance of the brightest voxel from where it should be, voxels",
    ),
    (
        "fwhm_change",
        "relative change of the main scatterer's lateral width at half amplitude",
    ),
    (
        "sidelobe_change",
        "change of the highest lateral side lobe beside the main scatterer, dB",
    ),
    (
        "psnr_envelope",
        "PSNR of the 60 dB logarithmic envelope, dB; 999 where they are equal",
    ),
];

/// The dynamic range that a person looks at, dB.
const RANGE: f64 = 60.0;

/// Magnitudes of the first volume.
fn magnitudes(scene: &Scene, array: &Array) -> Vec<f64> {
    let size = 2 * scene.points();
    array
        .to_f64()
        .chunks_exact(2)
        .take(size / 2)
        .map(|z| z[0].hypot(z[1]))
        .collect()
}

pub(super) fn distances(scene: &Scene, output: &Array, expected: &Array) -> Vec<f64> {
    if output.shape != exact::output_shape(scene) || output.shape != expected.shape {
        return vec![f64::NAN; METRICS.len()];
    }
    let (found, wanted) = (magnitudes(scene, output), magnitudes(scene, expected));
    let shape = scene.shape();
    let Some(node) = peak::brightest(&wanted, shape) else {
        return vec![f64::NAN; METRICS.len()];
    };
    let shift = peak::brightest(&found, shape).map_or(f64::NAN, |at| peak::distance(at, node));
    let line = |volume: &[f64]| {
        (0..shape[0])
            .map(|x| volume[(x * shape[1] + node[1]) * shape[2] + node[2]])
            .collect::<Vec<f64>>()
    };
    let (found_line, wanted_line) = (line(&found), line(&wanted));
    // What the expected volume does not show (a lobe beyond the grid) cannot change; what only the output lacks has been lost.
    let compare = |measure: fn(&[f64], usize) -> Option<f64>, change: fn(f64, f64) -> f64| match (
        measure(&found_line, node[0]),
        measure(&wanted_line, node[0]),
    ) {
        _ if found_line.iter().any(|v| v.is_nan()) => f64::NAN,
        (Some(found), Some(wanted)) => change(found, wanted),
        (None, Some(_)) => f64::INFINITY,
        (_, None) => 0.0,
    };
    vec![
        shift,
        compare(peak::width_at_half, |found, wanted| {
            (found / wanted - 1.0).abs()
        }),
        compare(peak::side_lobe, |found, wanted| (found - wanted).abs()),
        psnr_of_envelope(&found, &wanted),
    ]
}

/// Both relative to the expected maximum, so that a loss of gain is an error too.
fn psnr_of_envelope(found: &[f64], wanted: &[f64]) -> f64 {
    let largest = wanted.iter().copied().fold(0.0, f64::max);
    let sum: f64 = found
        .iter()
        .zip(wanted)
        .map(|(f, w)| (decibels(*f, largest) - decibels(*w, largest)).powi(2))
        .sum();
    if sum == 0.0 {
        999.0
    } else {
        10.0 * (RANGE * RANGE * found.len() as f64 / sum).log10()
    }
}

/// 20·log10, cut off at the range; NaN stays.
fn decibels(value: f64, largest: f64) -> f64 {
    let level = 20.0 * (value / largest).log10();
    if level < -RANGE { -RANGE } else { level }
}

/// Slices through the main scatterer, or through the brightest voxel where the signals are not simulated.
pub(super) fn pictures(scene: &Scene, output: &Array) -> Vec<Picture> {
    if output.shape != exact::output_shape(scene) {
        return vec![];
    }
    let volume = magnitudes(scene, output);
    let shape = scene.shape();
    let brightest = peak::brightest(&volume, shape);
    let Some(node) = scene.scatterers.first().map(|s| s.node).or(brightest) else {
        return vec![];
    };
    let largest = volume.iter().copied().fold(0.0, f64::max);
    let names = ["x", "y", "z"];
    // (axis to the right, axis downwards, axis cut through)
    [(0, 2, 1), (1, 2, 0), (0, 1, 2)]
        .into_iter()
        .map(|(right, down, cut)| {
            let value = |row: usize, column: usize| {
                let mut at = node;
                (at[right], at[down]) = (column, row);
                decibels(
                    volume[(at[0] * shape[1] + at[1]) * shape[2] + at[2]],
                    largest,
                ) as f32
            };
            let range = |axis: usize| {
                (
                    1e3 * scene.axes[axis][0],
                    1e3 * scene.axes[axis][shape[axis] - 1],
                )
            };
            Picture {
                record: PictureRecord {
                    file: format!(
                        "{}{}_{}{}",
                        names[right], names[down], names[cut], node[cut]
                    ),
                    title: format!(
                        "envelope at {} = {:.2} mm",
                        names[cut],
                        1e3 * scene.axes[cut][node[cut]]
                    ),
                    unit: "dB".into(),
                    x_label: format!("{}, mm", names[right]),
                    y_label: format!("{}, mm", names[down]),
                    x_range: range(right),
                    y_range: range(down),
                    scale: (-RANGE, 0.0),
                    width: shape[right],
                    height: shape[down],
                },
                values: (0..shape[down])
                    .flat_map(|row| (0..shape[right]).map(move |column| (row, column)))
                    .map(|(r, c)| value(r, c))
                    .collect(),
            }
        })
        .collect()
}
