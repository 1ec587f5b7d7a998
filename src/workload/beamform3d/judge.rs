//! What a person would look at: pictures through the main scatterer.
use super::exact;
use super::scene::Scene;
use crate::accuracy::peak;
use crate::array::Array;
use crate::trial::PictureRecord;
use crate::workload::Picture;
use crate::workload::envelope::{self, METRICS, RANGE, decibels};

/// Magnitudes of the first volume.
fn magnitudes(scene: &Scene, array: &Array) -> Vec<f64> {
    envelope::magnitudes(&array.to_f64(), scene.points())
}

pub(super) fn distances(scene: &Scene, output: &Array, expected: &Array) -> Vec<f64> {
    if output.shape != exact::output_shape(scene) || output.shape != expected.shape {
        return vec![f64::NAN; METRICS.len()];
    }
    let (found, wanted) = (magnitudes(scene, output), magnitudes(scene, expected));
    envelope::distances(&found, &wanted, scene.shape())
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
