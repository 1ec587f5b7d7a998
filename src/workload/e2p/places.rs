//! The places of sixteen pixels as the kernels want them: which pixel of the frame is above and to the left, and how near it is.
//! Plain loops over sixteen, which compilers make vectors of.
#![allow(unsafe_code, reason = "conversions that are vectors")]
use super::map::{GROUP, ROW_BITS, steps};
use super::scene::{Camera, Scene};
use std::f32::consts::{FRAC_PI_2, FRAC_PI_4, PI};

/// Where a group is looked up.
#[derive(Clone, Copy)]
pub(super) struct Found {
    /// Of the pixel above and to the left of the place, in the frame.
    pub(super) column: [i32; GROUP],
    pub(super) row: [i32; GROUP],
    /// From it to the place: of a pixel, or of a fixed-point map, 1/32 of one.
    pub(super) a: [f32; GROUP],
    pub(super) b: [f32; GROUP],
    /// Whether some pixel's neighbours, or the bytes that are loaded with them, may lie outside the frame or across its seam.
    pub(super) is_at_edge: bool,
}

impl Found {
    /// Columns from 0 to below the width, rows from 0 to the height − 1.
    #[inline(always)]
    fn new(scene: &Scene, u: [f32; GROUP], v: [f32; GROUP]) -> Found {
        let (mut column, mut row) = ([0; GROUP], [0; GROUP]);
        let (mut a, mut b) = ([0.0; GROUP], [0.0; GROUP]);
        let (mut right, mut low) = (0, 0);
        for k in 0..GROUP {
            // `as` would take what is beyond an integer to its end, number by number.
            // SAFETY: columns and rows of a frame, which are below 2¹³.
            (column[k], row[k]) = unsafe { (u[k].to_int_unchecked(), v[k].to_int_unchecked()) };
            a[k] = u[k] - column[k] as f32;
            b[k] = v[k] - row[k] as f32;
            right = right.max(column[k]);
            low = low.max(row[k]);
        }
        Found {
            column,
            row,
            a,
            b,
            is_at_edge: Found::is_at_edge(scene, right, low),
        }
    }

    /// Two pixels are loaded as eight bytes, two more than they have: of the last three columns that could be beyond the frame.
    #[inline(always)]
    fn is_at_edge(scene: &Scene, right: i32, low: i32) -> bool {
        right + 2 >= scene.width as i32 || low + 1 >= scene.height as i32
    }

    #[inline(always)]
    pub(super) fn of_map(scene: &Scene, columns: &[f32], rows: &[f32], shift: f32) -> Found {
        let seam = scene.width as f32 - shift;
        let (mut u, mut v) = ([0.0; GROUP], [0.0; GROUP]);
        for k in 0..GROUP {
            u[k] = shifted(columns[k], shift, seam);
            v[k] = rows[k];
        }
        Found::new(scene, u, v)
    }

    #[inline(always)]
    pub(super) fn of_words(scene: &Scene, words: &[u32], first_row: u16, shift: f32) -> Found {
        let width = 32 * scene.width as i32;
        let (shift, first_row) = ((32.0 * shift) as i32, i32::from(first_row));
        let (mut column, mut row) = ([0; GROUP], [0; GROUP]);
        let (mut a, mut b) = ([0.0; GROUP], [0.0; GROUP]);
        let (mut right, mut low) = (0, 0);
        for k in 0..GROUP {
            let shifted = (words[k] >> ROW_BITS) as i32 + shift;
            let u = if shifted >= width {
                shifted - width
            } else {
                shifted
            };
            let v = (words[k] & ((1 << ROW_BITS) - 1)) as i32;
            column[k] = u >> 5;
            row[k] = first_row + (v >> 5);
            a[k] = (u & 31) as f32;
            b[k] = (v & 31) as f32;
            right = right.max(column[k]);
            low = low.max(row[k]);
        }
        Found {
            column,
            row,
            a,
            b,
            is_at_edge: Found::is_at_edge(scene, right, low),
        }
    }
}

/// To the right, and on the other side beyond the seam. Never beyond the width in between, where columns would lose a bit.
#[inline(always)]
fn shifted(column: f32, shift: f32, seam: f32) -> f32 {
    if column >= seam {
        column - seam
    } else {
        column + shift
    }
}

/// A camera whose places are computed each time.
pub(super) struct Trig {
    /// From a pixel's x, y and 1 to its ray, before the yaw.
    turn: [[f32; 3]; 3],
    /// x of the first pixel and from one to the next; then y.
    across: [f32; 2],
    down: [f32; 2],
    shift: f32,
    steps: f32,
}

impl Trig {
    pub(super) fn new(scene: &Scene, camera: Camera) -> Trig {
        let edges = super::definition::edges(scene);
        Trig {
            turn: super::definition::tilt(camera).map(|row| row.map(|v| v as f32)),
            across: edges[0].map(|v| v as f32),
            down: edges[1].map(|v| v as f32),
            shift: (camera.yaw / 360.0 * scene.width as f64).rem_euclid(scene.width as f64) as f32,
            steps: steps(scene) as f32,
        }
    }

    #[inline(always)]
    pub(super) fn find(&self, scene: &Scene, column: usize, row: usize) -> Found {
        let (width, height) = (scene.width as f32, scene.height as f32);
        let (mut u, mut v) = ([0.0; GROUP], [0.0; GROUP]);
        let y = self.down[0] + self.down[1] * row as f32;
        for k in 0..GROUP {
            let x = self.across[0] + self.across[1] * (column + k) as f32;
            let [right, up, ahead] = self.turn.map(|m| m[0] * x + m[1] * y + m[2]);
            let turn = arctangent(right, ahead);
            let rise = arctangent(up, (right * right + ahead * ahead).sqrt());
            // On the grid of maps, and shifted by the yaw as they are.
            let place = turn * (width / (2.0 * PI)) + (0.5 * width - 0.5);
            let place = (place * self.steps + 0.5).floor() / self.steps;
            let place = if place < 0.0 { place + width } else { place };
            u[k] = shifted(place, self.shift, width - self.shift);
            // Not `clamp`, whose check of its bounds is a branch.
            v[k] = (0.5 * height - 0.5 - rise * (height / PI))
                .max(0.0)
                .min(height - 1.0);
        }
        Found::new(scene, u, v)
    }
}

/// atan2, to 2 units in the last place or so, without branches: Cephes' atanf (S. Moshier), whose argument is first brought
/// below tan(π/8).
#[inline(always)]
pub(super) fn arctangent(y: f32, x: f32) -> f32 {
    let (high, wide) = (y.abs(), x.abs());
    let (small, large) = if high < wide {
        (high, wide)
    } else {
        (wide, high)
    };
    let ratio = small / if large > 0.0 { large } else { 1.0 };
    let is_steep = ratio > 0.414_213_56;
    let (base, t) = if is_steep {
        (FRAC_PI_4, (ratio - 1.0) / (ratio + 1.0))
    } else {
        (0.0, ratio)
    };
    let z = t * t;
    let series = ((8.053_744_5e-2 * z - 1.387_768_6e-1) * z + 1.997_771_1e-1) * z - 3.333_295e-1;
    let angle = base + (series * z * t + t);
    let angle = if high < wide {
        angle
    } else {
        FRAC_PI_2 - angle
    };
    let angle = if x < 0.0 { PI - angle } else { angle };
    if y < 0.0 { -angle } else { angle }
}
