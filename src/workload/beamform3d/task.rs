//! What a fused kernel is given: a tile of points, a range of elements, a place for the sums. Shared by all of them.
#![allow(unsafe_code, reason = "threads write disjoint points of one volume")]
use super::geometry::Geometry;
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

/// Memory that several threads write, each its own part.
#[derive(Debug)]
pub(super) struct Shared<'a, T> {
    first: *mut T,
    count: usize,
    _memory: std::marker::PhantomData<&'a mut [T]>,
}

impl<T> Clone for Shared<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Shared<'_, T> {}

// SAFETY: it is only written through functions whose callers own the part that they write.
unsafe impl<T: Send> Send for Shared<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Shared<'_, T> {}

impl<'a, T> Shared<'a, T> {
    pub(super) fn new(memory: &'a mut [T]) -> Shared<'a, T> {
        Shared {
            first: memory.as_mut_ptr(),
            count: memory.len(),
            _memory: std::marker::PhantomData,
        }
    }

    /// # Safety
    /// No other thread writes this place.
    #[inline(always)]
    pub(super) unsafe fn write(&self, at: usize, value: T) {
        assert!(at < self.count, "a point of the volume");
        // SAFETY: within the memory, and the caller's alone.
        unsafe { self.first.add(at).write(value) };
    }

    /// The start of a part.
    ///
    /// # Safety
    /// No other thread uses this part.
    #[inline(always)]
    pub(super) unsafe fn part(&self, from: usize, length: usize) -> *mut T {
        assert!(from + length <= self.count, "a part of the memory");
        // SAFETY: within the memory.
        unsafe { self.first.add(from) }
    }
}

impl Geometry {
    pub(super) fn point(&self, x: usize, y: usize, z: usize) -> usize {
        (x * self.shape[1] + y) * self.shape[2] + z
    }
}
