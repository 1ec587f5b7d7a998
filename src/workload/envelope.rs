//! What beamformers' images are judged by: whether the main scatterer is still where and as sharp as it was (WORKLOADS §1d, §4d).
use crate::accuracy::peak;

/// Own metrics in their order; smaller is better, but for a PSNR.
pub(super) const METRICS: &[(&str, &str)] = &[
    (
        "peak_shift",
        "distance of the brightest point from where it should be, points of the grid",
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
pub(super) const RANGE: f64 = 60.0;

/// Magnitudes of the first `points` complex numbers.
pub(super) fn magnitudes(values: &[f64], points: usize) -> Vec<f64> {
    let first = values.chunks_exact(2).take(points);
    first.map(|z| z[0].hypot(z[1])).collect()
}

/// The metrics of magnitudes `[x][y][z]`; lateral is along x.
pub(super) fn distances(found: &[f64], wanted: &[f64], shape: [usize; 3]) -> Vec<f64> {
    let Some(node) = peak::brightest(wanted, shape) else {
        return vec![f64::NAN; METRICS.len()];
    };
    let shift = peak::brightest(found, shape).map_or(f64::NAN, |at| peak::distance(at, node));
    let line = |image: &[f64]| {
        (0..shape[0])
            .map(|x| image[(x * shape[1] + node[1]) * shape[2] + node[2]])
            .collect::<Vec<f64>>()
    };
    let (found_line, wanted_line) = (line(found), line(wanted));
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
        psnr_of_envelope(found, wanted),
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
pub(super) fn decibels(value: f64, largest: f64) -> f64 {
    let level = 20.0 * (value / largest).log10();
    if level < -RANGE { -RANGE } else { level }
}
