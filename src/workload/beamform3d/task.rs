//! What a fused kernel is given: a tile of points, a range of elements, a place for the sums. Shared by all of them.
use super::geometry::Geometry;
use crate::workload::shared::Shared;
use std::ops::Range;

/// A box of grid points.
#[derive(Clone, Debug)]
pub(super) struct Tile {
    pub(super) x: Range<usize>,
    pub(super) y: Range<usize>,
    pub(super) z: Range<usize>,
    /// Vectors of points in the launch's earlier tiles: where this one's stored delays begin.
    pub(super) first_run: usize,
}

/// How the first arrival of a point is found.
#[derive(Clone, Copy, Debug)]
pub(super) enum FirstArrival<'a> {
    /// Over all elements, for every point.
    Full,
    /// From [`Geometry::nearest`].
    Nearest(&'a [f64]),
}

/// What the tiles of one launch have in common.
#[derive(Debug)]
pub(super) struct Job<'a> {
    pub(super) geometry: &'a Geometry,
    pub(super) first: FirstArrival<'a>,
    /// Starts at a multiple of `geometry::WIDTH`.
    pub(super) elements: Range<usize>,
    /// One a volume of the batch.
    pub(super) outs: &'a [Shared<'a, [f32; 2]>],
}

impl Geometry {
    pub(super) fn point(&self, x: usize, y: usize, z: usize) -> usize {
        (x * self.shape[1] + y) * self.shape[2] + z
    }
}
