//! The signals as the kernels read them. For every interval between two samples the table holds the middle and the difference of
//! its ends, so that one read gives both ends and v = middle + u·difference with u in [−½, ½] needs one multiply-add.
//!
//! With `rotated`, the phase of the interval's middle is already in them: exp(j2π(fc/fs)s) = exp(j2π(fc/fs)(i+½))·exp(j2π(fc/fs)u),
//! and only the second factor, |phase| ≤ 45° at fs = 4 fc, is left to the kernel.
use super::geometry::Geometry;
use crate::workload::stored::Stored;
use rayon::prelude::*;
use std::f64::consts::TAU;

/// Silent intervals before the first and after the last sample, so that windows may reach over the ends.
pub(super) const MARGIN: usize = 32;

/// Which interval's record comes next in memory.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Layout {
    /// `[interval][element]` records of four.
    SampleElement,
    /// `[element][interval]` records of four.
    ElementSample,
    /// `[element][middle re, middle im, difference re, difference im][interval]`: each a plane that a vector register can look up in.
    Planes,
}

/// Intervals −MARGIN..samples + MARGIN of every (padded) element.
#[derive(Debug)]
pub(super) struct Table<T> {
    pub(super) values: Vec<T>,
    pub(super) layout: Layout,
    /// Intervals an element.
    pub(super) length: usize,
    padded: usize,
    /// Middle and difference need the phase of both ends relative to the middle.
    phases: Option<Vec<[f32; 2]>>,
}

impl<T: Stored> Table<T> {
    pub(super) fn new(geometry: &Geometry, layout: Layout, is_rotated: bool) -> Table<T> {
        let length = geometry.samples + 2 * MARGIN;
        let phase = |i: usize| {
            let (s, c) = (TAU * (geometry.cycles * i as f64).rem_euclid(1.0)).sin_cos();
            [c as f32, s as f32]
        };
        Table {
            values: vec![T::default(); length * geometry.padded * 4],
            layout,
            length,
            padded: geometry.padded,
            phases: is_rotated.then(|| (0..geometry.samples).map(phase).collect()),
        }
    }

    /// Records from one interval to the next, and from one element to the next.
    pub(super) fn strides(&self) -> (usize, usize) {
        match self.layout {
            Layout::SampleElement => (self.padded, 1),
            _ => (1, self.length),
        }
    }

    /// Fills the table from a frame `[sample][element]`.
    pub(super) fn fill(&mut self, geometry: &Geometry, frame: &[[f32; 2]]) {
        let (count, samples) = (geometry.elements, geometry.samples);
        let half = (geometry.cycles * 0.5 * TAU).sin_cos();
        // Both ends turned to the middle of the interval: the first by half a sample's phase forwards, the second backwards.
        let (ahead, behind) = match &self.phases {
            Some(_) => (
                [half.1 as f32, half.0 as f32],
                [half.1 as f32, -half.0 as f32],
            ),
            None => ([1.0, 0.0], [1.0, 0.0]),
        };
        let phases = self.phases.as_deref();
        let turned = |n: usize, e: usize| {
            let z = frame[n * count + e];
            phases.map_or(z, |p| times(z, p[n]))
        };
        let record = |i: usize, e: usize| {
            let (a, b) = (times(turned(i, e), ahead), times(turned(i + 1, e), behind));
            [
                0.5 * (a[0] + b[0]),
                0.5 * (a[1] + b[1]),
                b[0] - a[0],
                b[1] - a[1],
            ]
            .map(T::from_f32)
        };
        let (length, row) = (self.length, self.padded * 4);
        match self.layout {
            Layout::SampleElement => {
                let rows = self
                    .values
                    .par_chunks_mut(row)
                    .skip(MARGIN)
                    .take(samples - 1)
                    .enumerate();
                rows.for_each(|(i, row)| {
                    for (e, out) in row.chunks_exact_mut(4).take(count).enumerate() {
                        out.copy_from_slice(&record(i, e));
                    }
                });
            }
            Layout::ElementSample => {
                let lines = self
                    .values
                    .par_chunks_mut(4 * length)
                    .take(count)
                    .enumerate();
                lines.for_each(|(e, line)| {
                    for (i, out) in line
                        .chunks_exact_mut(4)
                        .skip(MARGIN)
                        .take(samples - 1)
                        .enumerate()
                    {
                        out.copy_from_slice(&record(i, e));
                    }
                });
            }
            Layout::Planes => {
                let lines = self
                    .values
                    .par_chunks_mut(4 * length)
                    .take(count)
                    .enumerate();
                lines.for_each(|(e, line)| {
                    for i in 0..samples - 1 {
                        for (plane, value) in record(i, e).into_iter().enumerate() {
                            line[plane * length + MARGIN + i] = value;
                        }
                    }
                });
            }
        }
    }
}

fn times(a: [f32; 2], b: [f32; 2]) -> [f32; 2] {
    [a[0] * b[0] - a[1] * b[1], a[0] * b[1] + a[1] * b[0]]
}
