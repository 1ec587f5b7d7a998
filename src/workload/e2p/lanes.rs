//! Innermost loops of remapping on a processor: sixteen pixels of a row at a time, of one frame after another.
#![allow(unsafe_code, reason = "threads write tiles of one array")]
use super::cpu::Task;
use super::map::GROUP;
use super::pixel::{self, Edges};
use super::settings::{Interpolation, Map, Precision};

/// The images of a tile.
pub(super) fn run(task: &Task<'_>) {
    let settings = *task.settings();
    let edges = Edges::new(task.scene());
    for row in task.rows.clone() {
        for column in task.columns.clone().step_by(GROUP) {
            let count = GROUP.min(task.columns.end - column);
            let found = task.find(column, row);
            for frame in task.frames.clone() {
                let pixels = task.job.frames[frame];
                let to = task.output(frame, column, row);
                for k in 0..count {
                    let levels = match (settings.interpolation, settings.map, settings.precision) {
                        (Interpolation::Nearest, ..) => pixel::nearest(pixels, edges, &found, k),
                        (Interpolation::Bicubic, ..) => pixel::bicubic(pixels, edges, &found, k),
                        (_, Map::Fixed, _) => {
                            pixel::bilinear(pixels, edges, &found, k, pixel::fixed)
                        }
                        (_, _, Precision::F16Pixels) => {
                            pixel::bilinear(pixels, edges, &found, k, pixel::halves)
                        }
                        _ => pixel::bilinear(pixels, edges, &found, k, pixel::plain),
                    };
                    for (channel, level) in levels.into_iter().enumerate() {
                        // SAFETY: this pixel is of the task's tile, which is no other's.
                        unsafe { task.job.outputs.write(to + 3 * k + channel, level) };
                    }
                }
            }
        }
    }
}
