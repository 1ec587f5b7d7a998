//! Where each pixel of an image is looked up, made once: in single precision, or in 1/32 of a pixel in four bytes.
use super::definition;
use super::scene::{Camera, Scene};
use super::settings::{Map, Precision};
use crate::trial::Ending;
use crate::workload::written::unsupported;
use half::f16;
use rayon::prelude::*;

/// Pixels of a row that are looked up together; rows are filled up to whole groups with their last pixel.
pub(super) const GROUP: usize = 16;

/// Bits of a word's row within its group, in 1/32 of a pixel; the column has the others.
pub(super) const ROW_BITS: u32 = 14;

/// Pixels from one row of a map to the next, of whole groups.
pub(super) fn stride(width: usize) -> usize {
    width.next_multiple_of(GROUP)
}

/// The places of one camera.
#[derive(Debug)]
pub(super) struct Places {
    /// Pixels from one row to the next, of whole groups.
    pub(super) stride: usize,
    pub(super) stored: Stored,
}

#[derive(Debug)]
pub(super) enum Stored {
    F32 {
        /// From 0 to below the frame's width, on a grid that single precision holds exactly even after a shift.
        columns: Vec<f32>,
        rows: Vec<f32>,
    },
    Fixed {
        /// Columns in 1/32 of a pixel above `ROW_BITS`, below them rows in 1/32 of a pixel from the group's first.
        words: Vec<u32>,
        /// Of each group.
        first_rows: Vec<u16>,
    },
}

/// Steps of a column to a pixel: as fine as single precision is at the frame's width. On this grid a shift by whole steps is
/// exact, so that cameras which differ in yaw interpolate with the same numbers.
pub(super) fn steps(scene: &Scene) -> f64 {
    f64::from(1_u32 << 24) / (scene.width.next_power_of_two() as f64)
}

/// Column and row of a pixel as they are looked up.
fn looked_up(scene: &Scene, camera: Camera, at: [usize; 2], is_half: bool) -> [f64; 2] {
    let [u, v] = definition::place(scene, definition::ray(scene, camera, at));
    let u = definition::column(scene, u);
    if !is_half {
        return [u, v];
    }
    // Upstream's grid: −1 and 1 are the outer edges of the first and last pixel.
    let rounded = |at: f64, count: usize| {
        let place = f16::from_f64((2.0 * at + 1.0) / count as f64 - 1.0).to_f64();
        ((place + 1.0) * count as f64 - 1.0) / 2.0
    };
    let (u, v) = (rounded(u, scene.width), rounded(v, scene.height));
    [
        definition::column(scene, u),
        v.clamp(0.0, scene.height as f64 - 1.0),
    ]
}

impl Places {
    /// # Errors
    /// `Unsupported` where a group's rows are too far apart for a word.
    pub(super) fn new(
        scene: &Scene,
        camera: Camera,
        map: Map,
        precision: Precision,
    ) -> Result<Places, Ending> {
        let [height, width] = scene.out;
        let stride = stride(width);
        let is_half = precision == Precision::F16Coordinates;
        let place = |pixel: usize| {
            let at = [(pixel % stride).min(width - 1), pixel / stride];
            looked_up(scene, camera, at, is_half)
        };
        let places: Vec<[f64; 2]> = (0..stride * height)
            .into_par_iter()
            .with_min_len(stride)
            .map(place)
            .collect();
        let stored = match map {
            Map::Fixed => fixed(scene, &places)?,
            _ => {
                let steps = steps(scene);
                let column = |[u, _]: &[f64; 2]| {
                    let column = ((u * steps).round() / steps) as f32;
                    match scene.mapping.wraps() && column >= scene.width as f32 {
                        true => 0.0,
                        false => column,
                    }
                };
                Stored::F32 {
                    columns: places.iter().map(column).collect(),
                    rows: places.iter().map(|[_, v]| *v as f32).collect(),
                }
            }
        };
        Ok(Places { stride, stored })
    }
}

fn fixed(scene: &Scene, places: &[[f64; 2]]) -> Result<Stored, Ending> {
    let whole = 32 * scene.width as u32;
    let column = |u: f64| match (32.0 * u).round() as u32 {
        n if n >= whole && scene.mapping.wraps() => 0,
        n => n,
    };
    let (mut words, mut first_rows) = (vec![], vec![]);
    for group in places.chunks_exact(GROUP) {
        let rows: Vec<u32> = (group.iter())
            .map(|[_, v]| (32.0 * v).round() as u32)
            .collect();
        let first = rows.iter().min().map_or(0, |row| row / 32);
        if rows.iter().any(|row| row - 32 * first >= 1 << ROW_BITS) {
            return Err(unsupported(&format!(
                "map=fixed has {ROW_BITS} bits for the rows of {GROUP} pixels, and an image of so few sees more: map=f32"
            )));
        }
        first_rows.push(first as u16);
        let word = |(row, [u, _]): (u32, &[f64; 2])| column(*u) << ROW_BITS | (row - 32 * first);
        words.extend(rows.into_iter().zip(group).map(word));
    }
    Ok(Stored::Fixed { words, first_rows })
}
