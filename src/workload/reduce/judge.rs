//! What a person would look at: the picture.
use super::exact;
use super::scene::Scene;
use crate::array::Array;
use crate::trial::PictureRecord;
use crate::workload::Picture;
use crate::workload::envelope::{self, METRICS, RANGE, decibels};

/// Magnitudes of the first frame.
fn magnitudes(scene: &Scene, array: &Array) -> Vec<f64> {
    envelope::magnitudes(&array.to_f64(), scene.points.len())
}

pub(super) fn distances(scene: &Scene, output: &Array, expected: &Array) -> Vec<f64> {
    if output.shape != exact::output_shape(scene) || output.shape != expected.shape {
        return vec![f64::NAN; METRICS.len()];
    }
    let (found, wanted) = (magnitudes(scene, output), magnitudes(scene, expected));
    let [nx, nz] = scene.shape;
    envelope::distances(&found, &wanted, [nx, 1, nz])
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
