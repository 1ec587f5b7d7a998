//! Migration on processors. A task is a box of pillars; it lists the traces of each pillar's aperture, then adds their
//! contributions in ascending order of traces, so that every tiling, cache and batch gives the same bits.
#![allow(
    unsafe_code,
    reason = "lanes, and rows of one image written by several threads; every function says what it needs"
)]
use super::exact::{self, LONGEST_TRIANGLE};
use super::lanes::{Lanes, Portable, Sample};
use super::scene::Scene;
use super::settings::{
    AntiAlias, Aperture, Axis, Imaging, InstructionSet, Interpolation, Mute, Settings, Traversal,
};
use super::store::Batch;
use super::tiles::Tile;
use super::weights;
use crate::workload::shared::Shared;
use rayon::prelude::*;
use std::ops::Range;

/// No vector is longer.
const WIDEST: usize = 16;

/// Travel times in f32 are off by less than this many samples: nearer to the trace's end, f64 decides. The fold is exact so.
const DOUBT: f32 = 2e-3;

/// What is summed up: every `time_step`-th time of every pillar of a bin.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sums<'a> {
    pub(super) image: Shared<'a, f32>,
    pub(super) fold: Shared<'a, u32>,
    /// Computed times of a pillar.
    pub(super) times: usize,
}

/// One load of traces for one tile.
#[derive(Debug)]
pub(super) struct Job<'a, T> {
    pub(super) scene: &'a Scene,
    pub(super) settings: &'a Settings,
    pub(super) tile: &'a Tile,
    pub(super) batch: &'a Batch<T>,
    pub(super) sums: Sums<'a>,
    /// Sums begin at nothing instead of what is there.
    pub(super) is_first: bool,
}

/// Computed times, when only every `step`-th is.
pub(super) fn computed(nt: usize, step: usize) -> usize {
    nt.div_ceil(step)
}

/// Adds the batch's contributions to the tile's pillars, on the threads of the present pool.
pub(super) fn migrate<T: Sample>(job: &Job<'_, T>) {
    let [gx, gy, _] = job.settings.group;
    let tile = job.tile;
    let mut tasks = vec![];
    for x in tile.x.clone().step_by(gx) {
        for y in tile.y.clone().step_by(gy) {
            tasks.push(Tile {
                x: x..tile.x.end.min(x + gx),
                y: y..tile.y.end.min(y + gy),
            });
        }
    }
    let segments = segments(job.scene, job.settings);
    let offsets = (job.batch.geometry.iter()).map(|[sx, sy, rx, ry]| (sx - rx).hypot(sy - ry));
    let longest_leg = job.scene.amax + 0.5 * f64::from(offsets.fold(0.0, f32::max));
    tasks
        .into_par_iter()
        .for_each_init(Scratch::default, |scratch, task| {
            let task = Task {
                job,
                longest_leg,
                pillars: &task,
                segments: &segments,
            };
            // SAFETY: the set is one that this processor has (Settings::on_host), and tasks are disjoint boxes of pillars.
            unsafe {
                match job.settings.set {
                    InstructionSet::Portable => task.run::<Portable>(scratch),
                    #[cfg(target_arch = "x86_64")]
                    InstructionSet::Avx2 => avx2(&task, scratch),
                    #[cfg(target_arch = "x86_64")]
                    InstructionSet::Avx512 => avx512(&task, scratch),
                    #[cfg(not(target_arch = "x86_64"))]
                    _ => unreachable!("no processor but x86 has it"),
                }
            }
        });
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c,bmi1,bmi2,lzcnt,popcnt")]
unsafe fn avx2<T: Sample>(task: &Task<'_, T>, scratch: &mut Scratch) {
    // SAFETY: this function has the features.
    unsafe { task.run::<super::lanes::F32x8>(scratch) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,fma,f16c,bmi1,bmi2,lzcnt,popcnt")]
unsafe fn avx512<T: Sample>(task: &Task<'_, T>, scratch: &mut Scratch) {
    // SAFETY: this function has the features.
    unsafe { task.run::<super::lanes::F32x16>(scratch) }
}

/// Stretches of the computed times in which the aperture has one radius; of aperture=dip the largest.
fn segments(scene: &Scene, settings: &Settings) -> Vec<(Range<usize>, f64)> {
    let step = settings.imaging.time_step;
    match settings.imaging.aperture {
        Aperture::DepthAdaptive => scene
            .depth_segments()
            .into_iter()
            .map(|(times, radius)| (times.start.div_ceil(step)..times.end.div_ceil(step), radius))
            .filter(|(times, _)| !times.is_empty())
            .collect(),
        _ => vec![(0..computed(scene.shape[2], step), scene.amax)],
    }
}

/// Traces in the aperture of a pillar, ascending.
#[derive(Debug, Default)]
struct List {
    /// Place in the batch.
    trace: Vec<u32>,
    /// Squares of the distances from source and receiver, m².
    a: Vec<f32>,
    b: Vec<f32>,
    /// Of the taper.
    w: Vec<f32>,
    offset: Vec<i32>,
    /// Distance from the midpoint, and the larger of its parts along x and y, m.
    distance: Vec<f32>,
    lateral: Vec<f32>,
    /// Before it, mute=outer silences, s.
    earliest: Vec<f32>,
}

impl List {
    fn clear(&mut self) {
        self.trace.clear();
        self.offset.clear();
        for list in self.numbers() {
            list.clear();
        }
    }

    fn numbers(&mut self) -> [&mut Vec<f32>; 6] {
        [
            &mut self.a,
            &mut self.b,
            &mut self.w,
            &mut self.distance,
            &mut self.lateral,
            &mut self.earliest,
        ]
    }

    fn reserve(&mut self, room: usize) {
        self.trace.reserve(room);
        self.offset.reserve(room);
        for list in self.numbers() {
            list.reserve(room);
        }
    }

    /// # Safety
    /// So many are written, in the last three only if they are wanted.
    unsafe fn set_length(&mut self, found: usize, has_more: bool) {
        // SAFETY: as the caller promises.
        unsafe {
            self.trace.set_len(found);
            self.offset.set_len(found);
            let count = if has_more { 6 } else { 3 };
            for list in self.numbers().into_iter().take(count) {
                list.set_len(found);
            }
        }
    }
}

/// Of one computed time of a pillar.
#[derive(Debug, Default)]
struct Row {
    /// m/s.
    v: Vec<f32>,
    /// (t0/2)² and 1/v² in samples.
    half: Vec<f32>,
    slowness: Vec<f32>,
    /// Of each vector of `lanes` times: samples by which a later one may come before the first; absent where their samples may lie
    /// farther apart than a window is wide.
    back: Vec<Option<i32>>,
    lanes: usize,
    /// Of aperture=dip: where the taper begins, and its inverse width.
    flat: Vec<f32>,
    inverse_width: Vec<f32>,
    radius: Vec<f32>,
}

#[derive(Debug, Default)]
struct Scratch {
    lists: Vec<List>,
    rows: Vec<Row>,
    velocity: Vec<f32>,
    /// One row a pillar, of a whole number of vectors; for lanes over traces a vector for each time.
    sums: Vec<f32>,
    counts: Vec<u32>,
    /// Lanes over traces: the list, filled up to a whole number of vectors.
    padded: List,
}

struct Task<'a, T> {
    job: &'a Job<'a, T>,
    /// Between a node and a source or receiver of its aperture at most, m.
    longest_leg: f64,
    pillars: &'a Tile,
    segments: &'a [(Range<usize>, f64)],
}

impl<T: Sample> Task<'_, T> {
    /// # Safety
    /// The processor has L's features; no other thread works on these pillars.
    #[inline(always)]
    unsafe fn run<L: Lanes>(&self, scratch: &mut Scratch) {
        let pillars: Vec<[usize; 2]> = (self.pillars.x.clone())
            .flat_map(|x| self.pillars.y.clone().map(move |y| [x, y]))
            .collect();
        // Only a trace that gives to all of them needs all of their lists.
        let at_once = match self.job.settings.traversal {
            Traversal::TraceScatter => pillars.len(),
            Traversal::TileGather => 1,
        };
        for (times, radius) in self.segments {
            let room = times.len().next_multiple_of(WIDEST);
            for pillars in pillars.chunks(at_once) {
                // SAFETY: as the caller promises.
                unsafe {
                    self.begin::<L>(scratch, pillars, times, *radius, room);
                    match (self.job.settings.axis, self.job.settings.traversal) {
                        (Axis::Traces, _) => self.over_traces::<L>(scratch, pillars, times, room),
                        (Axis::Time, Traversal::TileGather) => {
                            self.gather::<L>(scratch, pillars, times, room);
                        }
                        (Axis::Time, Traversal::TraceScatter) => {
                            self.scatter::<L>(scratch, pillars, times, room);
                        }
                    }
                }
                self.end(scratch, pillars, times, room);
            }
        }
    }

    /// Lists, rows and the sums so far.
    ///
    /// # Safety
    /// As for `run`.
    #[inline(always)]
    unsafe fn begin<L: Lanes>(
        &self,
        scratch: &mut Scratch,
        pillars: &[[usize; 2]],
        times: &Range<usize>,
        radius: f64,
        room: usize,
    ) {
        let Job {
            scene,
            sums,
            settings,
            ..
        } = self.job;
        let count = pillars.len();
        scratch
            .lists
            .resize_with(scratch.lists.len().max(count), List::default);
        scratch
            .rows
            .resize_with(scratch.rows.len().max(count), Row::default);
        scratch.sums.clear();
        scratch.sums.resize(count * room, 0.0);
        scratch.counts.clear();
        scratch.counts.resize(count * room, 0);
        for (p, [x, y]) in pillars.iter().enumerate() {
            // SAFETY: as the caller promises.
            unsafe { self.list::<L>(&mut scratch.lists[p], [*x, *y], radius) };
            scene
                .velocity
                .row(settings.imaging.velocity, *x, *y, &mut scratch.velocity);
            self.row(
                &mut scratch.rows[p],
                &scratch.velocity,
                times,
                room,
                L::COUNT,
            );
            if self.job.is_first {
                continue;
            }
            let from = (x * scene.shape[1] + y) * sums.times + times.start;
            // SAFETY: the pillar is this task's alone.
            let (image, fold) = unsafe {
                (
                    std::slice::from_raw_parts(sums.image.part(from, times.len()), times.len()),
                    std::slice::from_raw_parts(sums.fold.part(from, times.len()), times.len()),
                )
            };
            scratch.sums[p * room..][..times.len()].copy_from_slice(image);
            scratch.counts[p * room..][..times.len()].copy_from_slice(fold);
        }
    }

    fn end(&self, scratch: &Scratch, pillars: &[[usize; 2]], times: &Range<usize>, room: usize) {
        let Job { scene, sums, .. } = self.job;
        for (p, [x, y]) in pillars.iter().enumerate() {
            let from = (x * scene.shape[1] + y) * sums.times + times.start;
            // SAFETY: as above.
            let (image, fold) = unsafe {
                (
                    std::slice::from_raw_parts_mut(sums.image.part(from, times.len()), times.len()),
                    std::slice::from_raw_parts_mut(sums.fold.part(from, times.len()), times.len()),
                )
            };
            image.copy_from_slice(&scratch.sums[p * room..][..times.len()]);
            fold.copy_from_slice(&scratch.counts[p * room..][..times.len()]);
        }
    }

    /// # Safety
    /// The processor has L's features.
    #[inline(always)]
    unsafe fn list<L: Lanes>(&self, list: &mut List, pillar: [usize; 2], radius: f64) {
        let Job {
            scene,
            batch,
            settings,
            ..
        } = self.job;
        let needs_more = !settings.imaging.is_simple();
        let is_dip = settings.imaging.aperture == Aperture::Dip;
        let node = [0, 1].map(|axis| pillar[axis] as f64 * scene.spacing[axis]);
        let most = radius * radius;
        // Nearer to the edge than f32 can tell, f64 decides.
        let (inside, outside) = ((most * (1.0 - 1e-5)) as f32, (most * (1.0 + 1e-5)) as f32);
        let flat = radius * (1.0 - scene.taper);
        let per_width = (1.0 / (radius - flat).max(1e-6)) as f32;
        let room = batch.geometry.len() + WIDEST;
        list.clear();
        list.reserve(room);
        let mut found = 0;
        for k in (0..batch.geometry.len()).step_by(L::COUNT) {
            // SAFETY: as the caller promises; components are filled up to whole vectors, and lists have room for one more.
            unsafe {
                let load = |c: usize| L::load(batch.components[c].as_ptr().add(k));
                let (x, y) = (L::splat(node[0] as f32), L::splat(node[1] as f32));
                let (sx, sy) = (x.sub(load(0)), y.sub(load(1)));
                let (rx, ry) = (x.sub(load(2)), y.sub(load(3)));
                let half = L::splat(0.5);
                let (mx, my) = (sx.add(rx).mul(half), sy.add(ry).mul(half));
                let square = mx.mul_add(mx, my.mul(my));
                let mut lanes = square.below(L::splat(inside));
                let mut doubtful = square.below(L::splat(outside)) & !lanes;
                while doubtful != 0 {
                    let lane = doubtful.trailing_zeros() as usize;
                    doubtful &= doubtful - 1;
                    lanes |= u32::from(self.is_inside(node, k + lane, most)) << lane;
                }
                if lanes == 0 {
                    continue;
                }
                let distance = square.max(L::splat(1e-20)).root();
                let mut w = L::splat(1.0);
                if !is_dip {
                    let share = distance.sub(L::splat(flat as f32)).mul(L::splat(per_width));
                    w = weights::cosine_tapers(share.max(L::splat(0.0)).min(L::splat(1.0)));
                }
                L::packed_index(
                    L::counted(k as i32),
                    lanes,
                    list.trace.as_mut_ptr().add(found).cast(),
                );
                let offsets = L::indices(batch.offsets.as_ptr().add(k));
                L::packed_index(offsets, lanes, list.offset.as_mut_ptr().add(found));
                sx.mul_add(sx, sy.mul(sy))
                    .packed(lanes, list.a.as_mut_ptr().add(found));
                rx.mul_add(rx, ry.mul(ry))
                    .packed(lanes, list.b.as_mut_ptr().add(found));
                w.packed(lanes, list.w.as_mut_ptr().add(found));
                if needs_more {
                    distance.packed(lanes, list.distance.as_mut_ptr().add(found));
                    let (px, py) = (
                        mx.max(mx.mul(L::splat(-1.0))),
                        my.max(my.mul(L::splat(-1.0))),
                    );
                    px.max(py)
                        .packed(lanes, list.lateral.as_mut_ptr().add(found));
                    let (ox, oy) = (sx.sub(rx), sy.sub(ry));
                    let apart = ox.mul_add(ox, oy.mul(oy)).max(L::splat(1e-20)).root();
                    apart
                        .mul(L::splat(1.0 / scene.v_mute as f32))
                        .packed(lanes, list.earliest.as_mut_ptr().add(found));
                }
                found += lanes.count_ones() as usize;
            }
        }
        // SAFETY: so many have been written.
        unsafe { list.set_length(found, needs_more) };
    }

    /// Whether a trace's midpoint is in the aperture, exactly.
    #[cold]
    fn is_inside(&self, [x, y]: [f64; 2], trace: usize, most: f64) -> bool {
        let Some(geometry) = self.job.batch.geometry.get(trace) else {
            return false;
        };
        let [sx, sy, rx, ry] = geometry.map(f64::from);
        let (mx, my) = (0.5 * ((x - sx) + (x - rx)), 0.5 * ((y - sy) + (y - ry)));
        mx * mx + my * my <= most
    }

    fn row(
        &self,
        row: &mut Row,
        velocity: &[f32],
        times: &Range<usize>,
        room: usize,
        lanes: usize,
    ) {
        let Job {
            scene, settings, ..
        } = self.job;
        let imaging = &settings.imaging;
        let last = velocity.len() - 1;
        let at = |j: usize| ((times.start + j) * imaging.time_step).min(last);
        let per_sample = 1.0 / (scene.dt_in * scene.dt_in);
        row.v.clear();
        row.v.extend((0..room).map(|j| velocity[at(j)]));
        row.half.clear();
        row.half.extend((0..room).map(|j| {
            let half = 0.5 * at(j) as f64 * scene.spacing[2];
            // Not 0: a source under the node would ask for the root of nothing.
            ((half * half * per_sample) as f32).max(1e-12)
        }));
        row.slowness.clear();
        row.slowness.extend(
            row.v
                .iter()
                .map(|v| (per_sample / (f64::from(*v) * f64::from(*v))) as f32),
        );
        // ‖(h₁, d/v₁)‖ − ‖(h₀, d/v₀)‖ lies within ±d·|1/v₁ − 1/v₀| of h₁ − h₀, for either leg.
        let longest = self.longest_leg / scene.dt_in;
        row.lanes = lanes;
        row.back.clear();
        row.back
            .extend(row.v.chunks(lanes).enumerate().map(|(i, v)| {
                let first = 1.0 / f64::from(v[0]);
                let bend = v.iter().map(|v| (1.0 / f64::from(*v) - first).abs());
                // And one for rounding.
                let back = (2.0 * longest * bend.fold(0.0, f64::max)).ceil() + 1.0;
                let steps = (at((i + 1) * lanes - 1) - at(i * lanes)) as f64;
                let ahead = steps * scene.spacing[2] / scene.dt_in + back;
                // With the last lane's second sample.
                (back + ahead + 2.0 < (2 * lanes) as f64).then_some(back as i32)
            }));
        if imaging.aperture == Aperture::Dip {
            row.radius.clear();
            row.flat.clear();
            row.inverse_width.clear();
            for j in 0..room {
                let radius = exact::radius(scene, Aperture::Dip, at(j), f64::from(row.v[j]));
                row.radius.push(radius as f32);
                row.flat.push((radius * (1.0 - scene.taper)) as f32);
                row.inverse_width
                    .push((1.0 / (radius * scene.taper).max(1e-6)) as f32);
            }
        }
    }

    /// A node collects: pillar by pillar, a stretch of times at a time.
    ///
    /// # Safety
    /// As for `run`.
    #[inline(always)]
    unsafe fn gather<L: Lanes>(
        &self,
        scratch: &mut Scratch,
        pillars: &[[usize; 2]],
        times: &Range<usize>,
        room: usize,
    ) {
        let settings = self.job.settings;
        let mut local = Row::default();
        for (p, pillar) in pillars.iter().enumerate() {
            let list = &scratch.lists[p];
            for from in (0..times.len()).step_by(self.stretch::<L>()) {
                let to = room.min(from + self.stretch::<L>());
                // A copy of the stretch, on the stack of this loop: what a GPU keeps in its group's memory.
                let (row, start) = match settings.is_velocity_local {
                    true => {
                        local.copy(&scratch.rows[p], from..to);
                        (&local, 0)
                    }
                    false => (&scratch.rows[p], from),
                };
                let part = Part {
                    task: self,
                    list,
                    row,
                    pillar: *pillar,
                    start,
                    first_time: times.start + from,
                    vectors: (to - from) / L::COUNT,
                };
                let at = p * room + from;
                for first in (0..list.trace.len()).step_by(settings.trace_batch) {
                    let entries = first..list.trace.len().min(first + settings.trace_batch);
                    // SAFETY: as the caller promises; sums and counts have `room` places.
                    unsafe {
                        part.add::<L>(
                            entries,
                            scratch.sums.as_mut_ptr().add(at),
                            scratch.counts.as_mut_ptr().add(at),
                        );
                    }
                }
            }
        }
    }

    /// A trace gives: batch by batch to all pillars.
    ///
    /// # Safety
    /// As for `run`.
    #[inline(always)]
    unsafe fn scatter<L: Lanes>(
        &self,
        scratch: &mut Scratch,
        pillars: &[[usize; 2]],
        times: &Range<usize>,
        room: usize,
    ) {
        let settings = self.job.settings;
        let traces = self.job.batch.traces.len();
        let mut local = Row::default();
        for from in (0..times.len()).step_by(self.stretch::<L>()) {
            let to = room.min(from + self.stretch::<L>());
            let mut cursors = vec![0; pillars.len()];
            for first in (0..traces).step_by(settings.trace_batch) {
                let last = (first + settings.trace_batch) as u32;
                for p in 0..pillars.len() {
                    let list = &scratch.lists[p];
                    let begin = cursors[p];
                    let mut end = begin;
                    while end < list.trace.len() && list.trace[end] < last {
                        end += 1;
                    }
                    cursors[p] = end;
                    if begin == end {
                        continue;
                    }
                    let (row, start) = match settings.is_velocity_local {
                        true => {
                            local.copy(&scratch.rows[p], from..to);
                            (&local, 0)
                        }
                        false => (&scratch.rows[p], from),
                    };
                    let part = Part {
                        task: self,
                        list,
                        row,
                        pillar: pillars[p],
                        start,
                        first_time: times.start + from,
                        vectors: (to - from) / L::COUNT,
                    };
                    let at = p * room + from;
                    // SAFETY: as the caller promises.
                    unsafe {
                        part.add::<L>(
                            begin..end,
                            scratch.sums.as_mut_ptr().add(at),
                            scratch.counts.as_mut_ptr().add(at),
                        );
                    }
                }
            }
        }
    }

    /// Times that are computed before the next traces are.
    #[inline(always)]
    fn stretch<L: Lanes>(&self) -> usize {
        self.job.settings.group[2].next_multiple_of(L::COUNT)
    }

    /// Lanes are traces: each time sums up a vector of them, and the vectors are summed across at the end.
    ///
    /// # Safety
    /// As for `run`.
    #[inline(always)]
    unsafe fn over_traces<L: Lanes>(
        &self,
        scratch: &mut Scratch,
        pillars: &[[usize; 2]],
        times: &Range<usize>,
        room: usize,
    ) {
        let settings = self.job.settings;
        let stretch = settings.group[2];
        let mut vectors = vec![0.0_f32; stretch * L::COUNT];
        let mut local = Row::default();
        for (p, pillar) in pillars.iter().enumerate() {
            let count = scratch.lists[p].trace.len();
            if count == 0 {
                continue;
            }
            scratch.padded.fill_up(&scratch.lists[p], L::COUNT);
            for from in (0..times.len()).step_by(stretch) {
                let to = times.len().min(from + stretch);
                let (row, start) = match settings.is_velocity_local {
                    true => {
                        local.copy(&scratch.rows[p], from..to);
                        (&local, 0)
                    }
                    false => (&scratch.rows[p], from),
                };
                let part = Part {
                    task: self,
                    list: &scratch.padded,
                    row,
                    pillar: *pillar,
                    start,
                    first_time: times.start + from,
                    vectors: 0,
                };
                vectors.fill(0.0);
                let counts = &mut scratch.counts[p * room + from..][..to - from];
                for first in (0..count).step_by(L::COUNT) {
                    let real = match count - first {
                        left if left >= L::COUNT => L::ALL,
                        left => (1 << left) - 1,
                    };
                    // SAFETY: as the caller promises; the list is filled up to whole vectors.
                    unsafe { part.add_traces::<L>(first, real, &mut vectors, counts) };
                }
                for (j, sum) in scratch.sums[p * room + from..][..to - from]
                    .iter_mut()
                    .enumerate()
                {
                    // SAFETY: a vector for each time.
                    *sum += unsafe { L::load(vectors.as_ptr().add(j * L::COUNT)).sum() };
                }
            }
        }
    }
}

impl Row {
    fn copy(&mut self, from: &Row, part: Range<usize>) {
        let copy = |to: &mut Vec<f32>, from: &[f32]| {
            to.clear();
            if !from.is_empty() {
                to.extend_from_slice(&from[part.clone()]);
            }
        };
        copy(&mut self.v, &from.v);
        copy(&mut self.half, &from.half);
        copy(&mut self.slowness, &from.slowness);
        copy(&mut self.flat, &from.flat);
        copy(&mut self.inverse_width, &from.inverse_width);
        copy(&mut self.radius, &from.radius);
        self.lanes = from.lanes;
        self.back.clear();
        self.back
            .extend_from_slice(&from.back[part.start / from.lanes..]);
    }
}

impl List {
    /// With copies of the last trace at no weight.
    fn fill_up(&mut self, from: &List, lanes: usize) {
        self.clear();
        let wanted = from.trace.len().next_multiple_of(lanes);
        let last = from.trace.len() - 1;
        let all = (0..wanted).map(|i| i.min(last));
        self.trace.extend(all.clone().map(|i| from.trace[i]));
        self.a.extend(all.clone().map(|i| from.a[i]));
        self.b.extend(all.clone().map(|i| from.b[i]));
        self.offset.extend(all.map(|i| from.offset[i]));
        self.w.extend_from_slice(&from.w);
        self.w.resize(wanted, 0.0);
    }
}

/// Which kernel an image asks for: those that one thing alone makes different have their own, since every choice in the innermost
/// loop costs registers (an outer mute by the kernel for all: three times the time of the simple one).
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Simple,
    Dip,
    Outer,
    Stretch,
    Any,
}

/// [`Kind`] as a constant that a function can have.
const DIP: u8 = 0;
const OUTER: u8 = 1;
const STRETCH: u8 = 2;
const ANY: u8 = 3;

impl Kind {
    fn of(imaging: &Imaging, t_start: f64) -> Kind {
        let plain = |imaging: Imaging| imaging.is_simple() && t_start == 0.0;
        let fixed = Imaging {
            aperture: Aperture::Fixed,
            ..*imaging
        };
        let whole = Imaging {
            mute: Mute::Off,
            ..*imaging
        };
        match (imaging.aperture, imaging.mute) {
            _ if plain(*imaging) => Kind::Simple,
            (Aperture::Dip, _) if plain(fixed) => Kind::Dip,
            (_, Mute::Outer) if plain(whole) => Kind::Outer,
            (_, Mute::Stretch) if plain(whole) => Kind::Stretch,
            _ => Kind::Any,
        }
    }
}

/// A stretch of one pillar's times.
struct Part<'a, T> {
    task: &'a Task<'a, T>,
    list: &'a List,
    row: &'a Row,
    pillar: [usize; 2],
    /// Of the stretch in `row`.
    start: usize,
    /// Of the stretch among the computed times.
    first_time: usize,
    vectors: usize,
}

impl<T: Sample> Part<'_, T> {
    /// Contributions of some traces to every time of the stretch.
    ///
    /// # Safety
    /// The processor has L's features; sums and counts have room for the stretch.
    #[inline(always)]
    unsafe fn add<L: Lanes>(&self, entries: Range<usize>, sums: *mut f32, counts: *mut u32) {
        let job = self.task.job;
        // SAFETY: as the caller promises.
        unsafe {
            match Kind::of(&job.settings.imaging, job.scene.t_start) {
                Kind::Simple => self.add_simple::<L>(entries, sums, counts),
                Kind::Dip => self.add_weighted::<L, DIP>(entries, sums, counts),
                Kind::Outer => self.add_weighted::<L, OUTER>(entries, sums, counts),
                Kind::Stretch => self.add_weighted::<L, STRETCH>(entries, sums, counts),
                Kind::Any => self.add_weighted::<L, ANY>(entries, sums, counts),
            }
        }
    }

    /// One number is a pair's weight, and interpolation is linear.
    ///
    /// # Safety
    /// As for `add`.
    #[inline(always)]
    unsafe fn add_simple<L: Lanes>(&self, entries: Range<usize>, sums: *mut f32, counts: *mut u32) {
        for vector in 0..self.vectors {
            let at = vector * L::COUNT;
            // SAFETY: as the caller promises.
            unsafe {
                match self.row.back[(self.start + at) / L::COUNT] {
                    Some(back) => {
                        self.add_vector::<L, true>(entries.clone(), at, back, sums, counts)
                    }
                    None => self.add_vector::<L, false>(entries.clone(), at, 0, sums, counts),
                }
            }
        }
    }

    /// Of one vector of times. `FITS`: all its samples are in a window that begins `back` before the first.
    ///
    /// # Safety
    /// As for `add`.
    #[inline(always)]
    unsafe fn add_vector<L: Lanes, const FITS: bool>(
        &self,
        entries: Range<usize>,
        at: usize,
        back: i32,
        sums: *mut f32,
        counts: *mut u32,
    ) {
        let Part {
            task, list, row, ..
        } = self;
        let samples = task.job.batch.samples().as_ptr();
        let end = (task.job.scene.samples - 1) as f32;
        debug_assert!(entries.end <= list.trace.len());
        // Pointers that stay in registers: a store to `counts` might change a vector's own, for all that the compiler knows.
        let (all_a, all_b) = (list.a.as_ptr(), list.b.as_ptr());
        let (all_w, all_offsets) = (list.w.as_ptr(), list.offset.as_ptr());
        let mut not_whole = 0;
        let count_all = entries.len() as u32;
        // SAFETY: as the caller promises; entries are of the list, windows stay within a trace's padding, since indices are below its
        // length.
        unsafe {
            let sure = L::splat(end - DOUBT);
            let half = L::load(row.half.as_ptr().add(self.start + at));
            let slowness = L::load(row.slowness.as_ptr().add(self.start + at));
            let mut sum = L::load(sums.add(at));
            for e in entries {
                let a = L::splat(*all_a.add(e)).mul_add(slowness, half);
                let b = L::splat(*all_b.add(e)).mul_add(slowness, half);
                let w = L::splat(*all_w.add(e));
                let trace = samples.offset(*all_offsets.add(e) as isize);
                let q = L::roots(a, b);
                if q.below(sure) != L::ALL {
                    not_whole += 1;
                    let lanes = self.valid_times::<L>(q, e, at);
                    if lanes != 0 {
                        let (index, share) = q.min(L::splat(end)).split();
                        let low = L::gather(trace, index);
                        let high = L::gather(trace, L::shifted(index, 1));
                        let value = high.sub(low).mul_add(share, low).kept(lanes);
                        sum = w.mul_add(value, sum);
                        count(counts.add(at), lanes, L::COUNT);
                    }
                    continue;
                }
                let (index, share) = q.split();
                let first = L::first(index) - back;
                let window = L::window(trace.offset(first as isize));
                let (relative, fits) = match FITS {
                    true => (L::shifted(index, -first), true),
                    false => L::relative(index, first, 1),
                };
                let (low, high) = match fits {
                    true => (
                        L::pick(window, relative),
                        L::pick(window, L::shifted(relative, 1)),
                    ),
                    false => (
                        L::gather(trace, index),
                        L::gather(trace, L::shifted(index, 1)),
                    ),
                };
                sum = w.mul_add(high.sub(low).mul_add(share, low), sum);
            }
            sum.store(sums.add(at));
            for lane in 0..L::COUNT {
                *counts.add(at + lane) += count_all - not_whole;
            }
        }
    }

    /// Lanes of a vector of times whose sample is in the trace; near its ends in f64.
    ///
    /// # Safety
    /// The processor has L's features.
    #[inline(always)]
    unsafe fn valid_times<L: Lanes>(&self, q: L, e: usize, at: usize) -> u32 {
        // SAFETY: as the caller promises.
        unsafe { self.valid(q, |lane| (e, self.first_time + at + lane)) }
    }

    /// # Safety
    /// The processor has L's features.
    #[inline(always)]
    unsafe fn valid<L: Lanes>(&self, q: L, place: impl Fn(usize) -> (usize, usize)) -> u32 {
        let scene = self.task.job.scene;
        let end = (scene.samples - 1) as f32;
        // SAFETY: as the caller promises.
        let (sure, doubtful) = unsafe {
            let sure = q.below(L::splat(end - DOUBT)) & !q.below(L::splat(DOUBT));
            (
                sure,
                q.below(L::splat(end + DOUBT)) & !q.below(L::splat(-DOUBT)) & !sure,
            )
        };
        let mut lanes = sure;
        let mut left = doubtful;
        while left != 0 {
            let lane = left.trailing_zeros() as usize;
            left &= left - 1;
            let (entry, time) = place(lane);
            lanes |= u32::from(self.is_valid(entry, time)) << lane;
        }
        lanes
    }

    #[cold]
    fn is_valid(&self, entry: usize, time: usize) -> bool {
        let Job {
            scene,
            settings,
            batch,
            ..
        } = self.task.job;
        let (x, y) = (
            self.pillar[0] as f64 * scene.spacing[0],
            self.pillar[1] as f64 * scene.spacing[1],
        );
        let [sx, sy, rx, ry] = batch.geometry[self.list.trace[entry] as usize].map(f64::from);
        let it = (time * settings.imaging.time_step).min(scene.shape[2] - 1);
        let v = self.row.v[self.start + time - self.first_time];
        let q = exact::travel(
            scene,
            f64::from(v),
            it as f64 * scene.spacing[2],
            (x - sx).powi(2) + (y - sy).powi(2),
            (x - rx).powi(2) + (y - ry).powi(2),
        );
        (0.0..(scene.samples - 1) as f64).contains(&q)
    }

    /// A vector of traces at every time of the stretch.
    ///
    /// # Safety
    /// As for `add`; the list has a whole vector from `first` on.
    #[inline(always)]
    unsafe fn add_traces<L: Lanes>(
        &self,
        first: usize,
        real: u32,
        vectors: &mut [f32],
        counts: &mut [u32],
    ) {
        let Part {
            task, list, row, ..
        } = self;
        let scene = task.job.scene;
        let samples = task.job.batch.samples().as_ptr();
        let end = (scene.samples - 1) as f32;
        // SAFETY: as the caller promises; an index is within its trace and its padding.
        unsafe {
            let begin = L::splat((scene.t_start / scene.dt_in) as f32);
            let (a, b) = (
                L::load(list.a.as_ptr().add(first)),
                L::load(list.b.as_ptr().add(first)),
            );
            let w = L::load(list.w.as_ptr().add(first));
            let offset = L::indices(list.offset.as_ptr().add(first));
            for (j, found) in counts.iter_mut().enumerate() {
                let half = L::splat(row.half[self.start + j]);
                let slowness = L::splat(row.slowness[self.start + j]);
                let q = a
                    .mul_add(slowness, half)
                    .root()
                    .add(b.mul_add(slowness, half).root())
                    .sub(begin);
                let mut lanes = q.below(L::splat(end - DOUBT)) & !q.below(L::splat(DOUBT));
                if lanes != L::ALL {
                    lanes = self.valid(q, |lane| (first + lane, self.first_time + j));
                }
                lanes &= real;
                if lanes == 0 {
                    continue;
                }
                let (index, share) = q.min(L::splat(end)).max(L::splat(0.0)).split();
                let index = L::sum_of(index, offset);
                let (low, high) = (
                    L::gather(samples, index),
                    L::gather(samples, L::shifted(index, 1)),
                );
                let mut value = high.sub(low).mul_add(share, low);
                if lanes != L::ALL {
                    value = value.kept(lanes);
                }
                let at = vectors.as_mut_ptr().add(j * L::COUNT);
                w.mul_add(value, L::load(at)).store(at);
                *found += lanes.count_ones();
            }
        }
    }

    /// Whatever changes along time: aperture, mutes, weights, other interpolations.
    ///
    /// # Safety
    /// As for `add`.
    #[inline(always)]
    unsafe fn add_weighted<L: Lanes, const KIND: u8>(
        &self,
        entries: Range<usize>,
        sums: *mut f32,
        counts: *mut u32,
    ) {
        let Part {
            task, list, row, ..
        } = self;
        let Job {
            scene,
            settings,
            batch,
            ..
        } = task.job;
        let imaging = &settings.imaging;
        let samples = batch.samples().as_ptr();
        let end = (scene.samples - 1) as f32;
        let coarse = scene.spacing[0].max(scene.spacing[1]) as f32;
        let is_any = KIND == ANY;
        let is_dip = KIND == DIP || (is_any && imaging.aperture == Aperture::Dip);
        let is_outer = KIND == OUTER || (is_any && imaging.mute == Mute::Outer);
        let is_stretch = KIND == STRETCH || (is_any && imaging.mute == Mute::Stretch);
        let interpolation = match is_any {
            true => imaging.interpolation,
            false => Interpolation::Linear,
        };
        // SAFETY: as the caller promises; indices are clamped to the trace, and its padding is longer than any taps.
        unsafe {
            let (zero, one, last) = (L::splat(0.0), L::splat(1.0), L::splat(end));
            let (sure, doubt) = (L::splat(end - DOUBT), L::splat(DOUBT));
            let begin = L::splat((scene.t_start / scene.dt_in) as f32);
            let dt = L::splat(scene.dt_in as f32);
            let per_ramp = L::splat(1.0 / scene.mute_ramp as f32);
            for vector in 0..self.vectors {
                let at = vector * L::COUNT;
                let here = self.start + at;
                let lead = row.back[here / L::COUNT].unwrap_or(0);
                let half = L::load(row.half.as_ptr().add(here));
                let slowness = L::load(row.slowness.as_ptr().add(here));
                let v = L::load(row.v.as_ptr().add(here));
                let t0 = half.root().add(half.root());
                let stretched = t0.mul(L::splat(exact::STRETCH as f32));
                let mut sum = L::load(sums.add(at));
                let mut whole = 0;
                for e in entries.clone() {
                    let mut lanes = L::ALL;
                    let mut w = L::splat(list.w[e]);
                    if is_dip {
                        let distance = L::splat(list.distance[e]);
                        lanes &= !L::load(row.radius.as_ptr().add(here)).below(distance);
                        if lanes == 0 {
                            continue;
                        }
                        let into = distance.sub(L::load(row.flat.as_ptr().add(here)));
                        let share = into.mul(L::load(row.inverse_width.as_ptr().add(here)));
                        w = weights::cosine_tapers(share.max(zero).min(one));
                    }
                    let squares = [
                        L::splat(list.a[e]).mul_add(slowness, half),
                        L::splat(list.b[e]).mul_add(slowness, half),
                    ];
                    let total = L::roots(squares[0], squares[1]);
                    let q = total.sub(begin);
                    if is_stretch {
                        lanes &= !stretched.below(total);
                        if lanes == 0 {
                            continue;
                        }
                    }
                    if q.below(sure) & !q.below(doubt) != L::ALL {
                        lanes &= self.valid_times::<L>(q, e, at);
                        if lanes == 0 {
                            continue;
                        }
                    }
                    let seconds = total.mul(dt);
                    if is_outer {
                        let ramp = seconds.sub(L::splat(list.earliest[e])).mul(per_ramp);
                        w = w.mul(ramp.max(zero).min(one));
                    }
                    if is_any && imaging.has_spreading {
                        w = w.div(v.mul(seconds));
                    }
                    if is_any && imaging.has_obliquity {
                        w = w.mul(t0.div(total));
                    }
                    if is_any && imaging.anti_alias == AntiAlias::Weight {
                        let lateral = L::splat(list.lateral[e]);
                        w = w.mul(weights::anti_alias(lateral, v, seconds, coarse));
                    }
                    let trace = samples.offset(list.offset[e] as isize);
                    let clamped = q.max(zero).min(last);
                    let value = match imaging.anti_alias {
                        AntiAlias::Triangle if is_any => {
                            let legs = squares.map(|square| square.root());
                            let half_lengths = self.triangles(e, legs, here, coarse);
                            self.smoothed::<L>(trace, clamped, half_lengths)
                        }
                        _ => interpolated::<L, T>(interpolation, trace, clamped, lead),
                    };
                    if lanes == L::ALL {
                        whole += 1;
                    } else {
                        w = w.kept(lanes);
                        count(counts.add(at), lanes, L::COUNT);
                    }
                    sum = w.mul_add(value, sum);
                }
                sum.store(sums.add(at));
                for lane in 0..L::COUNT {
                    *counts.add(at + lane) += whole;
                }
            }
        }
    }

    /// Half-length of each lane's triangle, in samples.
    ///
    /// # Safety
    /// The processor has L's features.
    #[inline(always)]
    unsafe fn triangles<L: Lanes>(
        &self,
        e: usize,
        legs: [L; 2],
        here: usize,
        spacing: f32,
    ) -> [i32; WIDEST] {
        let Job { scene, batch, .. } = self.task.job;
        let [sx, sy, rx, ry] = batch.geometry[self.list.trace[e] as usize].map(f64::from);
        let node = [0, 1].map(|axis| self.pillar[axis] as f64 * scene.spacing[axis]);
        let (from_source, from_receiver) =
            ([node[0] - sx, node[1] - sy], [node[0] - rx, node[1] - ry]);
        // SAFETY: as the caller promises.
        let (ts, tr) = unsafe { (legs[0].to_array(), legs[1].to_array()) };
        let mut all = [0; WIDEST];
        for (lane, n) in all.iter_mut().enumerate().take(L::COUNT) {
            let slowness = f64::from(self.row.slowness[here + lane]);
            let slope = |axis: usize| {
                let part = |p: f64, t: f32| if t > 1e-3 { p / f64::from(t) } else { 0.0 };
                (part(from_source[axis], ts[lane]) + part(from_receiver[axis], tr[lane])).abs()
                    * slowness
            };
            let steepest = slope(0).max(slope(1)) * f64::from(spacing);
            *n = (steepest.ceil() as i32).clamp(0, LONGEST_TRIANGLE as i32);
        }
        all
    }

    /// # Safety
    /// As for `add`.
    #[inline(always)]
    unsafe fn smoothed<L: Lanes>(&self, trace: *const T, q: L, half_lengths: [i32; WIDEST]) -> L {
        let interpolation = self.task.job.settings.imaging.interpolation;
        let longest = half_lengths.into_iter().max().unwrap_or(0);
        // SAFETY: as the caller promises; the padding is longer than the longest triangle and its taps.
        unsafe {
            let mut sum = L::splat(0.0);
            for j in -longest..=longest {
                let mut share = [0.0_f32; WIDEST];
                for (share, n) in share.iter_mut().zip(half_lengths) {
                    *share = (n + 1 - j.abs()).max(0) as f32 / ((n + 1) * (n + 1)) as f32;
                }
                let value = interpolated::<L, T>(interpolation, trace.offset(j as isize), q, 0);
                sum = L::load(share.as_ptr()).mul_add(value, sum);
            }
            sum
        }
    }
}

/// # Safety
/// `lanes` counts have room.
#[inline(always)]
unsafe fn count(counts: *mut u32, lanes: u32, width: usize) {
    for lane in 0..width {
        // SAFETY: as the caller promises.
        unsafe { *counts.add(lane) += lanes >> lane & 1 };
    }
}

/// Samples around the lanes' places. Methods and not closures: what is no inlined function of its own passes registers through
/// memory.
#[derive(Clone, Copy)]
struct Taps<L: Lanes, T> {
    trace: *const T,
    index: L::Index,
    relative: L::Index,
    window: L::Window,
    fits: bool,
    /// Samples of the window before the place.
    back: i32,
}

impl<L: Lanes, T: Sample> Taps<L, T> {
    /// # Safety
    /// As for `interpolated`.
    #[inline(always)]
    unsafe fn new(trace: *const T, index: L::Index, back: i32, count: i32, lead: i32) -> Self {
        // SAFETY: as the caller promises.
        unsafe {
            let first = L::first(index) - lead;
            let (relative, fits) = L::relative(index, first, count - 1);
            Taps {
                trace,
                index,
                relative,
                window: L::window(trace.offset((first - back) as isize)),
                fits,
                back,
            }
        }
    }

    /// # Safety
    /// As for `interpolated`.
    #[inline(always)]
    unsafe fn tap(&self, k: i32) -> L {
        // SAFETY: as the caller promises.
        unsafe {
            match self.fits {
                true => L::pick(self.window, L::shifted(self.relative, k)),
                false => L::gather(self.trace, L::shifted(self.index, k - self.back)),
            }
        }
    }
}

/// A trace between its samples, at places from 0 to its last one. Linear interpolation expects places up to `lead` samples before
/// that of the first lane.
///
/// # Safety
/// The processor has L's features; the trace has its padding, and `lead` is a [`Row::back`] or 0.
#[inline(always)]
unsafe fn interpolated<L: Lanes, T: Sample>(
    interpolation: Interpolation,
    trace: *const T,
    q: L,
    lead: i32,
) -> L {
    // SAFETY: as the caller promises.
    unsafe {
        match interpolation {
            Interpolation::Nearest => {
                let (index, _) = q.add(L::splat(0.5)).split();
                Taps::<L, T>::new(trace, index, 0, 1, 0).tap(0)
            }
            Interpolation::Linear => {
                let (index, share) = q.split();
                let taps = Taps::<L, T>::new(trace, index, 0, 2, lead);
                let low = taps.tap(0);
                taps.tap(1).sub(low).mul_add(share, low)
            }
            Interpolation::Cubic => {
                let (index, share) = q.split();
                let taps = Taps::<L, T>::new(trace, index, 1, 4, 0);
                weights::cubic(share, [taps.tap(0), taps.tap(1), taps.tap(2), taps.tap(3)])
            }
            Interpolation::Sinc8 => {
                let (index, share) = q.split();
                let taps = Taps::<L, T>::new(trace, index, 3, 8, 0);
                let mut sum = L::splat(0.0);
                for (k, w) in weights::sinc(share).into_iter().enumerate() {
                    sum = w.mul_add(taps.tap(k as i32), sum);
                }
                sum
            }
        }
    }
}
