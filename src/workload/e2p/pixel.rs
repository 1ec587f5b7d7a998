//! One pixel by plain arithmetic: what every kernel computes, whatever vectors it does it with. Products and sums are rounded one
//! by one, so that the same arithmetic gives the same bits everywhere.
use super::places::Found;
use super::scene::Scene;
use half::f16;

/// The four levels around a place: above left and right, below left and right.
pub(super) type Corners = [f32; 4];

#[inline(always)]
pub(super) fn plain([p0, p1, q0, q1]: Corners, a: f32, b: f32) -> u8 {
    let above = p0 + a * (p1 - p0);
    let below = q0 + a * (q1 - q0);
    level(above + b * (below - above))
}

/// Every number a half.
#[inline(always)]
pub(super) fn halves([p0, p1, q0, q1]: Corners, a: f32, b: f32) -> u8 {
    let half = |v: f32| f16::from_f32(v).to_f32();
    let (a, b) = (half(a), half(b));
    let between = |from: f32, to: f32, t: f32| half(from + half(t * half(to - from)));
    level(between(between(p0, p1, a), between(q0, q1, a), b))
}

/// With weights in 1/32, whose sum of four is exact; halves are rounded up, as OpenCV does.
#[inline(always)]
pub(super) fn fixed([p0, p1, q0, q1]: Corners, a: f32, b: f32) -> u8 {
    // Whole numbers below 2²⁴, so that this is exact.
    let (above, below) = (p0 * (32.0 - a) + p1 * a, q0 * (32.0 - a) + q1 * a);
    let sum = above * (32.0 - b) + below * b;
    ((sum as u32 + 512) >> 10) as u8
}

/// To the nearest of 0 to 255, halves to the even one.
#[inline(always)]
pub(super) fn level(value: f32) -> u8 {
    // At 1.5·2²³ a unit in the last place is 1, so that the sum is rounded to it.
    const ROUND: f32 = 12_582_912.0;
    ((value + ROUND) - ROUND).clamp(0.0, 255.0) as u8
}

/// Weights of four neighbours of a place, the second and third around it (Keys 1981, IEEE Trans. ASSP 29(6), eq. 4, with −0.75).
#[inline(always)]
pub(super) fn cubic(t: f32) -> [f32; 4] {
    const A: f32 = -0.75;
    let near = |x: f32| ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0;
    let far = |x: f32| ((A * x - 5.0 * A) * x + 8.0 * A) * x - 4.0 * A;
    let (first, second, third) = (far(t + 1.0), near(t), near(1.0 - t));
    [first, second, third, 1.0 - first - second - third]
}

/// Columns and rows that may lie outside a frame, brought inside.
#[derive(Clone, Copy)]
pub(super) struct Edges {
    width: i32,
    height: i32,
    wraps: bool,
}

impl Edges {
    pub(super) fn new(scene: &Scene) -> Edges {
        Edges {
            width: scene.width as i32,
            height: scene.height as i32,
            wraps: scene.mapping.wraps(),
        }
    }

    /// Of the pixel's first level.
    #[inline(always)]
    pub(super) fn index(&self, column: i32, row: i32) -> usize {
        // Nearly all are inside, and a division costs more than everything else here.
        let column = match self.wraps {
            _ if (0..self.width).contains(&column) => column,
            true => column.rem_euclid(self.width),
            false => column.clamp(0, self.width - 1),
        };
        let row = row.clamp(0, self.height - 1);
        3 * (row * self.width + column) as usize
    }
}

/// A pixel of a group, bilinear.
#[inline(always)]
pub(super) fn bilinear(
    frame: &[u8],
    edges: Edges,
    found: &Found,
    k: usize,
    arithmetic: fn(Corners, f32, f32) -> u8,
) -> [u8; 3] {
    let (column, row) = (found.column[k], found.row[k]);
    let corners = [
        edges.index(column, row),
        edges.index(column + 1, row),
        edges.index(column, row + 1),
        edges.index(column + 1, row + 1),
    ];
    std::array::from_fn(|channel| {
        let levels = corners.map(|at| f32::from(frame[at + channel]));
        arithmetic(levels, found.a[k], found.b[k])
    })
}

/// The pixel of a frame that is nearest to a place.
#[inline(always)]
pub(super) fn nearest(frame: &[u8], edges: Edges, found: &Found, k: usize) -> [u8; 3] {
    let column = found.column[k] + i32::from(found.a[k] >= 0.5);
    let row = found.row[k] + i32::from(found.b[k] >= 0.5);
    let at = edges.index(column, row);
    [frame[at], frame[at + 1], frame[at + 2]]
}

/// A pixel from sixteen neighbours.
#[inline(always)]
pub(super) fn bicubic(frame: &[u8], edges: Edges, found: &Found, k: usize) -> [u8; 3] {
    let (across, down) = (cubic(found.a[k]), cubic(found.b[k]));
    let mut sums = [0.0_f32; 3];
    for (j, weight) in down.into_iter().enumerate() {
        let row = found.row[k] + j as i32 - 1;
        let mut line = [0.0_f32; 3];
        for (i, weight) in across.into_iter().enumerate() {
            let at = edges.index(found.column[k] + i as i32 - 1, row);
            for (sum, level) in line.iter_mut().zip(&frame[at..at + 3]) {
                *sum += weight * f32::from(*level);
            }
        }
        for (sum, line) in sums.iter_mut().zip(line) {
            *sum += weight * line;
        }
    }
    sums.map(level)
}
