//! The scene in samples and in single precision, split so that no large number is ever rounded: a delay of 500 samples keeps only
//! 15 bits behind the point in f32, and every lost bit is a phase error.
use super::scene::Scene;
use rayon::prelude::*;

/// Elements are padded to a multiple of this; the last ones are copies that can never be first and have no signal.
pub(super) const WIDTH: usize = 16;

/// 1.5·2^23: adding it rounds a small f32 to a whole number, which then stands in the low bits of the sum.
pub(super) const ROUNDER: f32 = 12_582_912.0;
pub(super) const ROUNDER_BITS: u32 = ROUNDER.to_bits();

/// Lengths in samples: metres times fs/c.
#[derive(Debug)]
pub(super) struct Geometry {
    pub(super) shape: [usize; 3],
    pub(super) x: Vec<f32>,
    pub(super) y: Vec<f32>,
    pub(super) z: Vec<f32>,
    pub(super) xe: Vec<f32>,
    pub(super) ye: Vec<f32>,
    pub(super) ze: Vec<f32>,
    /// Transmit delays; infinite for padding.
    pub(super) delays: Vec<f32>,
    pub(super) elements: usize,
    pub(super) padded: usize,
    pub(super) samples: usize,
    /// t0 in samples.
    pub(super) start: f64,
    /// fc/fs: carrier cycles a sample.
    pub(super) cycles: f64,
    /// The plane that all elements lie in, if they do.
    pub(super) plane: Option<f32>,
    /// The transmit delay that all elements share, if they do: then the nearest element is first.
    pub(super) common_delay: Option<f64>,
    exact: Exact,
}

/// The coordinates that the shortcut to the nearest element starts from.
#[derive(Debug)]
struct Exact {
    x: Vec<f64>,
    y: Vec<f64>,
    z: Vec<f64>,
    elements: Vec<[f64; 3]>,
}

impl Geometry {
    pub(super) fn new(scene: &Scene) -> Geometry {
        let scale = scene.fs / scene.c;
        let scaled = |values: &[f64]| values.iter().map(|v| v * scale).collect::<Vec<f64>>();
        let single = |values: &[f64]| values.iter().map(|v| *v as f32).collect::<Vec<f32>>();
        let elements: Vec<[f64; 3]> = scene
            .elements
            .iter()
            .map(|e| e.map(|v| v * scale))
            .collect();
        let count = elements.len();
        let padded = count.next_multiple_of(WIDTH);
        let along = |axis: usize| {
            (0..padded)
                .map(|e| elements[e.min(count - 1)][axis] as f32)
                .collect::<Vec<f32>>()
        };
        let delay = |e: usize| {
            scene
                .delays
                .get(e)
                .map_or(f32::INFINITY, |d| (d * scene.fs) as f32)
        };
        let (xe, ye, ze) = (along(0), along(1), along(2));
        let first = scene.delays[0];
        let [x, y, z] = &scene.axes;
        let exact = Exact {
            x: scaled(x),
            y: scaled(y),
            z: scaled(z),
            elements,
        };
        Geometry {
            shape: scene.shape(),
            x: single(&exact.x),
            y: single(&exact.y),
            z: single(&exact.z),
            xe,
            ye,
            plane: ze.iter().all(|v| *v == ze[0]).then(|| ze[0]),
            ze,
            delays: (0..padded).map(delay).collect(),
            elements: count,
            padded,
            samples: scene.samples,
            start: scene.t0 * scene.fs,
            cycles: scene.fc / scene.fs,
            common_delay: scene
                .delays
                .iter()
                .all(|d| *d == first)
                .then_some(first * scene.fs),
            exact,
        }
    }

    /// Whether the first arrival is the distance to the nearest element of each column, the same for all depths.
    pub(super) fn has_nearest(&self) -> bool {
        self.plane.is_some() && self.common_delay.is_some()
    }

    /// For each column `[x][y]` the square of the distance, along the array's plane, to its nearest element: O(columns × elements)
    /// where the full search is O(points × elements).
    pub(super) fn nearest(&self) -> Vec<f64> {
        let ny = self.shape[1];
        let column = |c: usize| {
            let (x, y) = (self.exact.x[c / ny], self.exact.y[c % ny]);
            let square = |e: &[f64; 3]| (x - e[0]) * (x - e[0]) + (y - e[1]) * (y - e[1]);
            // Four minima, since one would wait for itself.
            let mut least = [f64::INFINITY; 4];
            for four in self.exact.elements.chunks(4) {
                for (m, e) in least.iter_mut().zip(four) {
                    let square = square(e);
                    *m = if square < *m { square } else { *m };
                }
            }
            least.into_iter().fold(f64::INFINITY, f64::min)
        };
        (0..self.shape[0] * ny)
            .into_par_iter()
            .map(column)
            .collect()
    }

    /// (z − plane)² of a planar array as its f32 and what that leaves off: z itself, 300 samples, has only 16 bits behind the point.
    pub(super) fn square_of_depth(&self, k: usize) -> [f32; 2] {
        let depth = self.exact.z[k] - self.exact.elements[0][2];
        // A point on an element would make 1/distance infinite.
        let square = (depth * depth).max(1e-12);
        [square as f32, (square - f64::from(square as f32)) as f32]
    }

    /// First arrival less t0 at depth `k` of a column, from its `nearest`.
    pub(super) fn first_from_nearest(&self, nearest: f64, k: usize) -> Split {
        let depth = self.exact.z[k] - self.exact.elements[0][2];
        Split::new((nearest + depth * depth).sqrt() + self.common_delay.unwrap_or(0.0) - self.start)
    }
}

/// A number as a whole number and a rest of at most a half.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Split {
    pub(super) whole: f32,
    pub(super) rest: f32,
}

impl Split {
    pub(super) fn new(value: f64) -> Split {
        let whole = value.round();
        Split {
            whole: whole as f32,
            rest: (value - whole) as f32,
        }
    }
}
