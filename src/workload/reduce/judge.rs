//! What a person would look at: the picture, and whether the main scatterer is still where and as sharp as it was
//! (WORKLOADS §4d).
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
        "distance of the brightest point from where it should be, points",
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

/// Magnitudes of the first frame.
fn magnitudes(scene: &Scene, array: &Array) -> Vec<f64> {
    let values = array.to_f64();
    let points = values.chunks_exact(2).take(scene.points.len());
    points.map(|z| z[0].hypot(z[1])).collect()
}

pub(super) fn distances(scene: &Scene, output: &Array, expected: &Array) -> Vec<f64> {
    if output.shape != exact::output_shape(scene) || output.shape != expected.shape {
        return vec![f64::NAN; METRICS.len()];
    }
    let (found, wanted) = (magnitudes(scene, output), magnitudes(scene, expected));
    let [nx, nz] = scene.shape;
    let Some(node) = peak::brightest(&wanted, [nx, 1, nz]) else {
        return vec![f64::NAN; METRICS.len()];
    };
    let shift =
        peak::brightest(&found, [nx, 1, nz]).map_or(f64::NAN, |at| peak::distance(at, node));
    let line = |image: &[f64]| {
        (0..nx)
            .map(|x| image[x * nz + node[2]])
            .collect::<Vec<f64>>()
    };
    let (found_line, wanted_line) = (line(&found), line(&wanted));
    // What the expected image does not show (a lobe beyond the grid) cannot change; what only the output lacks has been lost.
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

/// The first frame's envelope: depth downwards. None of a list of points, which is no picture.
pub(super) fn pictures(scene: &Scene, output: &Array) -> Vec<Picture> {
    let [nx, nz] = scene.shape;
    if output.shape != exact::output_shape(scene) || nx < 2 || nz < 2 {
        return vec![];
    }
    let image = magnitudes(scene, output);
    let largest = image.iter().copied().fold(0.0, f64::max);
    let (first, last) = (scene.points[0], scene.points[nx * nz - 1]);
    vec![Picture {
        record: PictureRecord {
            file: "xz".into(),
            title: "envelope".into(),
            unit: "dB".into(),
            x_label: "x, mm".into(),
            y_label: "z, mm".into(),
            x_range: (1e3 * first[0], 1e3 * last[0]),
            y_range: (1e3 * first[2], 1e3 * last[2]),
            scale: (-RANGE, 0.0),
            width: nx,
            height: nz,
        },
        values: (0..nz)
            .flat_map(|z| (0..nx).map(move |x| x * nz + z))
            .map(|i| decibels(image[i], largest) as f32)
            .collect(),
    }]
}
