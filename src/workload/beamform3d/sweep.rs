//! The fused kernels that gather: written once over [`Lanes`], vectors along the depths of a column or along the elements.
//! Every choice is a branch on a loop's constant, which the processor predicts; a gathered record costs ten times as much.
#![allow(
    unsafe_code,
    reason = "vectors and raw table reads; every function says what it needs"
)]
use super::geometry::{Geometry, ROUNDER, Split};
use super::lanes::{Lanes, Portable, Record};
use super::rotation::Rotation;
use super::settings::{Axis, Fusion, Interpolation, Phase, Prefetch, Settings};
use super::table::{MARGIN, Table};
use super::task::{FirstArrival, Job, Tile};
use crate::workload::instructions::InstructionSet;
use crate::workload::shared::Shared;

/// Most volumes that one call beamforms (`batch`).
pub(super) const MOST_VOLUMES: usize = 10;

/// What a pass over a tile does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Pass {
    /// Everything.
    Whole,
    /// Only the delays, into memory.
    Delays,
    /// The rest, from those delays.
    Sums,
}

/// What is the same for all tiles of an executable.
#[derive(Debug)]
pub(super) struct Kernel<'a, T> {
    pub(super) settings: &'a Settings,
    pub(super) tables: &'a [Table<T>],
    pub(super) rotation: &'a Rotation,
    /// exp(j2π(fc/fs)(i+½)) of interval i, as records; for phase=recurrence.
    pub(super) phasors: &'a [f32],
}

/// Room that a task needs, made once a thread.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// ρ² of the column and each element, and the depth at which the element enters the aperture.
    across2: Vec<f32>,
    entry: Vec<f32>,
    /// Distances and their corrections, for fusion=fused_store.
    kept: Vec<f32>,
}

/// Beamforms a tile with the chosen instruction set. `delays` has `padded` values for each point of the tile's runs.
pub(super) fn tile<T: Record>(
    kernel: &Kernel<'_, T>,
    job: &Job<'_>,
    pass: Pass,
    tile: &Tile,
    delays: Option<Shared<'_, f32>>,
    scratch: &mut Scratch,
) {
    let geometry = job.geometry;
    scratch.across2.resize(geometry.padded, 0.0);
    scratch.entry.resize(geometry.padded, 0.0);
    if kernel.settings.fusion == Fusion::FusedStore {
        scratch.kept.resize(2 * 16 * geometry.padded, 0.0);
    }
    // SAFETY: `Settings` chose a set that the processor has; tiles of one launch are disjoint.
    unsafe {
        match kernel.settings.set {
            InstructionSet::Portable => {
                body::<Portable, T>(kernel, job, pass, tile, delays, scratch)
            }
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx2 => avx2(kernel, job, pass, tile, delays, scratch),
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx512 => avx512(kernel, job, pass, tile, delays, scratch),
            #[cfg(not(target_arch = "x86_64"))]
            _ => unreachable!("`Settings` refuses sets that the processor does not have"),
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c,bmi1,bmi2,lzcnt,popcnt")]
unsafe fn avx2<T: Record>(
    kernel: &Kernel<'_, T>,
    job: &Job<'_>,
    pass: Pass,
    tile: &Tile,
    delays: Option<Shared<'_, f32>>,
    scratch: &mut Scratch,
) {
    // SAFETY: this function has the features.
    unsafe { body::<super::lanes::F32x8, T>(kernel, job, pass, tile, delays, scratch) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,fma,f16c,bmi1,bmi2,lzcnt,popcnt")]
unsafe fn avx512<T: Record>(
    kernel: &Kernel<'_, T>,
    job: &Job<'_>,
    pass: Pass,
    tile: &Tile,
    delays: Option<Shared<'_, f32>>,
    scratch: &mut Scratch,
) {
    // SAFETY: this function has the features.
    unsafe { body::<super::lanes::F32x16, T>(kernel, job, pass, tile, delays, scratch) }
}

/// Points to a vector, for the size of the delays' memory.
pub(super) fn lanes_of(set: InstructionSet) -> usize {
    match set {
        InstructionSet::Avx512 => 16,
        _ => 8,
    }
}

/// Depth outside, columns inside: neighbouring columns read the same stretch of every element's line.
#[inline(always)]
unsafe fn body<V: Lanes, T: Record>(
    kernel: &Kernel<'_, T>,
    job: &Job<'_>,
    pass: Pass,
    tile: &Tile,
    delays: Option<Shared<'_, f32>>,
    scratch: &mut Scratch,
) {
    let per_vector = if kernel.settings.axis == Axis::Points {
        V::COUNT
    } else {
        1
    };
    let mut run = tile.first_run;
    for z0 in tile.z.clone().step_by(per_vector) {
        for x in tile.x.clone() {
            for y in tile.y.clone() {
                let column = Column {
                    x,
                    y,
                    z: z0..(z0 + per_vector).min(tile.z.end),
                };
                let size = job.geometry.padded * V::COUNT;
                // SAFETY: as the caller promises; a run's delays are its own.
                unsafe {
                    let delays =
                        delays.map_or(std::ptr::null_mut(), |all| all.part(run * size, size));
                    let mut sums = [[V::splat(0.0); 2]; MOST_VOLUMES];
                    match kernel.settings.axis {
                        Axis::Elements => across_elements(kernel, job, &column, scratch, &mut sums),
                        _ => along_depths(kernel, job, pass, &column, delays, scratch, &mut sums),
                    }
                    if pass != Pass::Delays {
                        write(kernel, job, &column, &sums);
                    }
                }
                run += 1;
            }
        }
    }
}

struct Column {
    x: usize,
    y: usize,
    z: std::ops::Range<usize>,
}

/// The points of a vector as the delays of every element need them.
struct Points<V> {
    z: V,
    /// (z − plane)² of a planar array and what its f32 leaves off.
    depth2: V,
    left_off: V,
    /// First arrival: ROUNDER + whole part, and rest − ½.
    rounder: V,
    rest: V,
}

#[inline(always)]
unsafe fn write<V: Lanes, T: Record>(
    kernel: &Kernel<'_, T>,
    job: &Job<'_>,
    column: &Column,
    sums: &[[V; 2]; MOST_VOLUMES],
) {
    for (out, [re, im]) in job.outs.iter().zip(sums) {
        let mut stored = [[0.0_f32; 16]; 2];
        // SAFETY: sixteen values are enough for every vector; the points are this task's.
        unsafe {
            if kernel.settings.axis == Axis::Elements {
                stored[0][0] = re.sum();
                stored[1][0] = im.sum();
            } else {
                re.store(stored[0].as_mut_ptr());
                im.store(stored[1].as_mut_ptr());
            }
            for (lane, z) in column.z.clone().enumerate() {
                out.write(
                    job.geometry.point(column.x, column.y, z),
                    [stored[0][lane], stored[1][lane]],
                );
            }
        }
    }
}

/// ρ² and aperture of every element, as a column sees them.
#[inline(always)]
unsafe fn survey<V: Lanes>(
    geometry: &Geometry,
    settings: &Settings,
    column: &Column,
    scratch: &mut Scratch,
) {
    // SAFETY: all arrays have `padded` values, a multiple of every vector's length.
    unsafe {
        let (x, y) = (
            V::splat(geometry.x[column.x]),
            V::splat(geometry.y[column.y]),
        );
        for e in (0..geometry.padded).step_by(V::COUNT) {
            let dx = x.sub(V::load(geometry.xe.as_ptr().add(e)));
            let dy = y.sub(V::load(geometry.ye.as_ptr().add(e)));
            dx.mul_add(dx, dy.mul(dy))
                .store(scratch.across2.as_mut_ptr().add(e));
            if settings.f_number != 0.0 {
                // |x − xe| ≤ z/(2F) and |y − ye| ≤ z/(2F), as a bound on z.
                let zero = V::splat(0.0);
                let far = dx.max(zero.sub(dx)).max(dy.max(zero.sub(dy)));
                far.mul(V::splat(2.0 * settings.f_number))
                    .store(scratch.entry.as_mut_ptr().add(e));
            }
        }
    }
}

#[inline(always)]
unsafe fn along_depths<V: Lanes, T: Record>(
    kernel: &Kernel<'_, T>,
    job: &Job<'_>,
    pass: Pass,
    column: &Column,
    delays: *mut f32,
    scratch: &mut Scratch,
    sums: &mut [[V; 2]; MOST_VOLUMES],
) {
    let (geometry, settings) = (job.geometry, kernel.settings);
    let elements = job.elements.start..job.elements.end.min(geometry.elements);
    // SAFETY: as the caller promises.
    unsafe {
        survey::<V>(geometry, settings, column, scratch);
        let mut points = points_of_column::<V>(geometry, column);
        if pass != Pass::Sums {
            first_arrival_of_depths(kernel, job, column, &mut points, scratch);
        }
        let stored = pass == Pass::Whole && settings.fusion == Fusion::FusedStore;
        for e in elements {
            if settings.f_number != 0.0 && scratch.entry[e] > geometry.z[column.z.end - 1] {
                continue;
            }
            let (r, correction) = match pass {
                Pass::Sums => (V::load(delays.add(e * V::COUNT)), V::splat(0.0)),
                _ if stored => {
                    let kept = scratch.kept.as_ptr().add(2 * e * V::COUNT);
                    (V::load(kept), V::load(kept.add(V::COUNT)))
                }
                _ => distance(geometry, &points, scratch.across2[e], e),
            };
            if pass == Pass::Delays {
                let whole = points.rounder.sub(V::splat(ROUNDER));
                r.add(whole)
                    .add(correction.add(points.rest.add(V::splat(0.5))))
                    .store(delays.add(e * V::COUNT));
                continue;
            }
            let entry = V::splat(scratch.entry[e]);
            term(
                kernel,
                geometry,
                &points,
                (r, correction),
                Place {
                    element: e,
                    lane_stride: 0,
                },
                entry,
                sums,
            );
        }
        if settings.fusion == Fusion::FusedFactored {
            turn_by_first_arrival(kernel, geometry, &points, sums);
        }
    }
}

#[inline(always)]
unsafe fn across_elements<V: Lanes, T: Record>(
    kernel: &Kernel<'_, T>,
    job: &Job<'_>,
    column: &Column,
    scratch: &mut Scratch,
    sums: &mut [[V; 2]; MOST_VOLUMES],
) {
    let geometry = job.geometry;
    let k = column.z.start;
    // SAFETY: as the caller promises; element ranges and `padded` are multiples of every vector's length.
    unsafe {
        survey::<V>(geometry, kernel.settings, column, scratch);
        let mut points = points_of_column::<V>(geometry, column);
        let keeps = kernel.settings.fusion == Fusion::FusedStore;
        let first = match job.first {
            FirstArrival::Nearest(nearest) => {
                geometry.first_from_nearest(nearest[column.x * geometry.shape[1] + column.y], k)
            }
            FirstArrival::Full => {
                let anchor = anchor(geometry, k);
                let mut least = V::splat(f32::INFINITY);
                for e in (0..geometry.padded).step_by(V::COUNT) {
                    let (r, correction) = distances(geometry, &points, scratch, e);
                    if keeps {
                        let kept = scratch.kept.as_mut_ptr().add(2 * e);
                        r.store(kept);
                        correction.store(kept.add(V::COUNT));
                    }
                    least = least.min(
                        r.sub(V::splat(anchor))
                            .add(correction.add(V::load(geometry.delays.as_ptr().add(e)))),
                    );
                }
                let mut all = [f32::INFINITY; 16];
                least.store(all.as_mut_ptr());
                let least = all.into_iter().fold(f32::INFINITY, f32::min);
                Split::new(f64::from(anchor) + f64::from(least) - geometry.start)
            }
        };
        points.rounder = V::splat(ROUNDER + first.whole);
        points.rest = V::splat(first.rest - 0.5);
        let lane_stride = kernel.tables[0].strides().1;
        for e in job.elements.clone().step_by(V::COUNT) {
            let found = match (keeps, job.first) {
                (true, FirstArrival::Full) => {
                    let kept = scratch.kept.as_ptr().add(2 * e);
                    (V::load(kept), V::load(kept.add(V::COUNT)))
                }
                _ => distances(geometry, &points, scratch, e),
            };
            let entry = V::load(scratch.entry.as_ptr().add(e));
            term(
                kernel,
                geometry,
                &points,
                found,
                Place {
                    element: e,
                    lane_stride,
                },
                entry,
                sums,
            );
        }
    }
}

/// From one point, in every lane, to consecutive elements.
#[inline(always)]
unsafe fn distances<V: Lanes>(
    geometry: &Geometry,
    points: &Points<V>,
    scratch: &Scratch,
    e: usize,
) -> (V, V) {
    // SAFETY: as the caller promises.
    unsafe {
        let across2 = V::load(scratch.across2.as_ptr().add(e));
        match geometry.plane {
            Some(_) => V::root(across2, points.depth2, points.left_off),
            None => {
                let depth = points.z.sub(V::load(geometry.ze.as_ptr().add(e)));
                V::root(
                    across2,
                    depth.mul(depth).max(V::splat(1e-12)),
                    V::splat(0.0),
                )
            }
        }
    }
}

/// A whole number near every first arrival of a depth: subtracted before the smallest is looked for, so that it keeps its bits.
fn anchor(geometry: &Geometry, k: usize) -> f32 {
    (geometry.z[k] - geometry.plane.unwrap_or(0.0))
        .abs()
        .round()
}

#[inline(always)]
unsafe fn points_of_column<V: Lanes>(geometry: &Geometry, column: &Column) -> Points<V> {
    // Lanes beyond the tile repeat its last depth.
    let depth = |lane: usize| (column.z.start + lane).min(column.z.end - 1);
    let z: [f32; 16] = std::array::from_fn(|lane| geometry.z[depth(lane)]);
    let squares: [[f32; 2]; 16] = std::array::from_fn(|lane| geometry.square_of_depth(depth(lane)));
    // SAFETY: as the caller promises; sixteen values are enough for every vector.
    unsafe {
        Points {
            z: V::load(z.as_ptr()),
            depth2: V::load(squares.map(|s| s[0]).as_ptr()),
            left_off: V::load(squares.map(|s| s[1]).as_ptr()),
            rounder: V::splat(ROUNDER),
            rest: V::splat(-0.5),
        }
    }
}

#[inline(always)]
unsafe fn distance<V: Lanes>(
    geometry: &Geometry,
    points: &Points<V>,
    across2: f32,
    e: usize,
) -> (V, V) {
    // SAFETY: as the caller promises.
    unsafe {
        let across2 = V::splat(across2);
        match geometry.plane {
            Some(_) => V::root(across2, points.depth2, points.left_off),
            None => {
                let depth = points.z.sub(V::splat(geometry.ze[e]));
                V::root(
                    across2,
                    depth.mul(depth).max(V::splat(1e-12)),
                    V::splat(0.0),
                )
            }
        }
    }
}

/// Whole part and rest of the first arrival less t0, for the depths of a column; keeps the distances if they are wanted again.
#[inline(always)]
unsafe fn first_arrival_of_depths<V: Lanes, T: Record>(
    kernel: &Kernel<'_, T>,
    job: &Job<'_>,
    column: &Column,
    points: &mut Points<V>,
    scratch: &mut Scratch,
) {
    let geometry = job.geometry;
    let depth = |lane: usize| (column.z.start + lane).min(column.z.end - 1);
    // SAFETY: as the caller promises.
    unsafe {
        let splits: [Split; 16] = match job.first {
            FirstArrival::Nearest(nearest) => {
                let nearest = nearest[column.x * geometry.shape[1] + column.y];
                std::array::from_fn(|lane| geometry.first_from_nearest(nearest, depth(lane)))
            }
            FirstArrival::Full => {
                let anchors: [f32; 16] = std::array::from_fn(|lane| anchor(geometry, depth(lane)));
                let offset = V::load(anchors.as_ptr());
                let mut least = V::splat(f32::INFINITY);
                for e in 0..geometry.elements {
                    let (r, correction) = distance(geometry, points, scratch.across2[e], e);
                    if kernel.settings.fusion == Fusion::FusedStore {
                        let kept = scratch.kept.as_mut_ptr().add(2 * e * V::COUNT);
                        r.store(kept);
                        correction.store(kept.add(V::COUNT));
                    }
                    least = least.min(
                        r.sub(offset)
                            .add(correction.add(V::splat(geometry.delays[e]))),
                    );
                }
                let mut all = [0.0_f32; 16];
                least.store(all.as_mut_ptr());
                std::array::from_fn(|lane| {
                    Split::new(f64::from(anchors[lane]) + f64::from(all[lane]) - geometry.start)
                })
            }
        };
        points.rounder = V::load(splits.map(|s| ROUNDER + s.whole).as_ptr());
        points.rest = V::load(splits.map(|s| s.rest - 0.5).as_ptr());
    }
}

/// Where an element's records begin, and how far apart those of the lanes do.
struct Place {
    element: usize,
    lane_stride: usize,
}

/// One term of the sums of all volumes: delay, interval, interpolation, rotation, addition.
#[inline(always)]
unsafe fn term<V: Lanes, T: Record>(
    kernel: &Kernel<'_, T>,
    geometry: &Geometry,
    points: &Points<V>,
    (r, correction): (V, V),
    place: Place,
    entry: V,
    sums: &mut [[V; 2]; MOST_VOLUMES],
) {
    let settings = kernel.settings;
    // SAFETY: as the caller promises; intervals −2..samples + 1 lie in the table's margins.
    unsafe {
        let near = correction.add(points.rest);
        let rounded = r.add(near).add(points.rounder);
        // Exact: the whole number of samples leaves the distance before anything small is added to it.
        let u = r.sub(rounded.sub(points.rounder)).add(near);
        // The first rounding was of a large number; the second, of a small one, is right to the last bit. That matters at the ends
        // of the record, where the definition jumps.
        let step = u.rounded();
        let (u, rounded) = (u.sub(step), rounded.add(step));
        let interval = rounded.sub(V::splat(ROUNDER));
        let indices = rounded.indices(geometry.samples as u32 - 1);
        let (cosine, sine) = match settings.phase {
            Phase::Factored => polynomial(kernel.rotation, u),
            Phase::Recurrence => {
                let (c, s) = polynomial::<V>(kernel.rotation, u);
                let [pc, ps, _, _] = V::records(kernel.phasors.as_ptr(), indices, 1, 0);
                times((c, s), (pc, ps))
            }
            Phase::SinCos if settings.fusion == Fusion::FusedFactored => {
                polynomial(kernel.rotation, cycles(geometry, r, correction))
            }
            Phase::SinCos => polynomial(
                kernel.rotation,
                cycles(geometry, interval.add(V::splat(0.5)), u),
            ),
        };
        let (stride, element_stride) = kernel.tables[0].strides();
        for (table, [re_sum, im_sum]) in kernel.tables.iter().zip(sums) {
            let line = table
                .values
                .as_ptr()
                .wrapping_add(4 * (MARGIN * stride + place.element * element_stride));
            if settings.prefetch == Prefetch::NextLine {
                for index in indices.as_ref().iter().step_by(4) {
                    prefetch(line.wrapping_add(4 * (*index as usize * stride + element_stride)));
                }
            }
            let (mut re, mut im) = match settings.interpolation {
                Interpolation::Cubic => cubic(
                    geometry,
                    settings,
                    line,
                    stride,
                    place.lane_stride,
                    indices,
                    interval,
                    u,
                ),
                other => {
                    let [mr, mi, dr, di] = V::records(line, indices, stride, place.lane_stride);
                    let along = match other {
                        // To the end that u is nearer to.
                        Interpolation::Nearest => {
                            u.mul(V::splat(1e30)).min(V::splat(0.5)).max(V::splat(-0.5))
                        }
                        _ => u,
                    };
                    (along.mul_add(dr, mr), along.mul_add(di, mi))
                }
            };
            if settings.f_number != 0.0 {
                (re, im) = (
                    re.where_at_least(points.z, entry),
                    im.where_at_least(points.z, entry),
                );
            }
            let (re, im) = times((re, im), (cosine, sine));
            (*re_sum, *im_sum) = (re_sum.add(re), im_sum.add(im));
        }
    }
}

#[inline(always)]
unsafe fn times<V: Lanes>((a, b): (V, V), (c, d): (V, V)) -> (V, V) {
    // SAFETY: as the caller promises.
    unsafe {
        (
            a.mul_add(c, V::splat(0.0).sub(b.mul(d))),
            a.mul_add(d, b.mul(c)),
        )
    }
}

/// (cos, sin) of 2π·rate·u.
#[inline(always)]
unsafe fn polynomial<V: Lanes>(rotation: &Rotation, u: V) -> (V, V) {
    // SAFETY: as the caller promises.
    unsafe {
        let q = u.mul(u);
        let (mut cosine, mut sine) = (V::splat(rotation.cosine[3]), V::splat(rotation.sine[2]));
        if rotation.is_long {
            cosine = V::splat(rotation.cosine[6]);
            sine = V::splat(rotation.sine[6]);
            for i in (4..6).rev() {
                cosine = cosine.mul_add(q, V::splat(rotation.cosine[i]));
            }
            for i in (3..6).rev() {
                sine = sine.mul_add(q, V::splat(rotation.sine[i]));
            }
            cosine = cosine.mul_add(q, V::splat(rotation.cosine[3]));
            sine = sine.mul_add(q, V::splat(rotation.sine[2]));
        }
        for i in (0..3).rev() {
            cosine = cosine.mul_add(q, V::splat(rotation.cosine[i]));
        }
        for i in (0..2).rev() {
            sine = sine.mul_add(q, V::splat(rotation.sine[i]));
        }
        (cosine, sine.mul(u))
    }
}

/// The carrier's cycles in `large + small` samples, less whole ones: in [−½, ½].
#[inline(always)]
unsafe fn cycles<V: Lanes>(geometry: &Geometry, large: V, small: V) -> V {
    let rate = geometry.cycles as f32;
    let left_off = (geometry.cycles - f64::from(rate)) as f32;
    // SAFETY: as the caller promises.
    unsafe {
        let whole = large.mul(V::splat(rate)).rounded();
        let part = large.mul_add(V::splat(rate), V::splat(0.0).sub(whole));
        let part = large.mul_add(V::splat(left_off), small.mul_add(V::splat(rate), part));
        part.sub(part.rounded())
    }
}

/// For fusion=fused_factored: what was taken out of the sum.
#[inline(always)]
unsafe fn turn_by_first_arrival<V: Lanes, T: Record>(
    kernel: &Kernel<'_, T>,
    geometry: &Geometry,
    points: &Points<V>,
    sums: &mut [[V; 2]; MOST_VOLUMES],
) {
    // SAFETY: as the caller promises.
    unsafe {
        let whole = points.rounder.sub(V::splat(ROUNDER));
        let turn = polynomial(
            kernel.rotation,
            cycles(geometry, whole, points.rest.add(V::splat(0.5))),
        );
        for [re, im] in sums {
            (*re, *im) = times((*re, *im), turn);
        }
    }
}

/// Lagrange's cubic through the four samples around; those beyond the record are 0, the range of valid delays is the definition's.
#[allow(
    clippy::too_many_arguments,
    reason = "the loop's state; a struct would be built and taken apart once a term"
)]
#[inline(always)]
unsafe fn cubic<V: Lanes, T: Record>(
    geometry: &Geometry,
    settings: &Settings,
    line: *const T,
    stride: usize,
    lane_stride: usize,
    indices: V::Indices,
    interval: V,
    u: V,
) -> (V, V) {
    // SAFETY: as the caller promises.
    unsafe {
        let half = V::splat(0.5);
        let ends = |[mr, mi, dr, di]: [V; 4]| {
            [
                (mr.sub(dr.mul(half)), mi.sub(di.mul(half))),
                (mr.add(dr.mul(half)), mi.add(di.mul(half))),
            ]
        };
        let [a, b] = ends(V::records(
            line.wrapping_sub(4 * stride),
            indices,
            stride,
            lane_stride,
        ));
        let [c, d] = ends(V::records(
            line.wrapping_add(4 * stride),
            indices,
            stride,
            lane_stride,
        ));
        let t = u.add(half);
        let (before, after, two) = (
            t.add(V::splat(1.0)),
            t.sub(V::splat(1.0)),
            t.sub(V::splat(2.0)),
        );
        let weights = [
            t.mul(after).mul(two).mul(V::splat(-1.0 / 6.0)),
            before.mul(after).mul(two).mul(half),
            before.mul(t).mul(two).mul(V::splat(-0.5)),
            before.mul(t).mul(after).mul(V::splat(1.0 / 6.0)),
        ];
        // 1 for intervals 0..samples − 1, 0 for others.
        let clamped = |v: V| v.min(V::splat(1.0)).max(V::splat(0.0));
        let valid = clamped(interval.add(V::splat(1.0))).mul(clamped(
            V::splat(geometry.samples as f32 - 1.0).sub(interval),
        ));
        let blend = |w: V, (re, im): (V, V), v: V, (sr, si): (V, V)| {
            (w.mul_add(re, v.mul(sr)), w.mul_add(im, v.mul(si)))
        };
        let (mut low, mut high) = (
            blend(weights[0], a, weights[1], b),
            blend(weights[2], c, weights[3], d),
        );
        if settings.phase == Phase::Factored {
            // The neighbours' records have the phases of their own middles, a sample before and a sample after.
            let (s, c) = (std::f64::consts::TAU * geometry.cycles).sin_cos();
            low = times(low, (V::splat(c as f32), V::splat(s as f32)));
            high = times(high, (V::splat(c as f32), V::splat(-s as f32)));
        }
        (low.0.add(high.0).mul(valid), low.1.add(high.1).mul(valid))
    }
}

#[inline(always)]
fn prefetch<T>(at: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: SSE is part of x86-64; a prefetch of any address is harmless.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(at.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}
