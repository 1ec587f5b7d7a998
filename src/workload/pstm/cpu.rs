//! Migration on processors. A task is a box of pillars; it lists the traces of each pillar's aperture, then adds their
//! contributions in ascending order of traces, so that every tiling, cache and batch gives the same bits.
#![allow(
    unsafe_code,
    reason = "lanes, and rows of one image written by several threads; every function says what it needs"
)]
use super::contributions::Part;
use super::exact;
use super::lanes::{Lanes, Portable, Sample};
use super::scene::Scene;
use super::settings::{Aperture, Axis, Settings, Traversal};
use super::store::Batch;
use super::tiles::Tile;
use super::weights;
use crate::workload::instructions::InstructionSet;
use crate::workload::shared::Shared;
use rayon::prelude::*;
use std::ops::Range;

/// No vector is longer.
const WIDEST: usize = 16;

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
pub(super) struct List {
    /// Place in the batch.
    pub(super) trace: Vec<u32>,
    /// Squares of the distances from source and receiver, m².
    pub(super) a: Vec<f32>,
    pub(super) b: Vec<f32>,
    /// Of the taper.
    pub(super) w: Vec<f32>,
    pub(super) offset: Vec<i32>,
    /// Distance from the midpoint, and the larger of its parts along x and y, m.
    pub(super) distance: Vec<f32>,
    pub(super) lateral: Vec<f32>,
    /// Before it, mute=outer silences, s.
    pub(super) earliest: Vec<f32>,
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
pub(super) struct Row {
    /// m/s.
    pub(super) v: Vec<f32>,
    /// (t0/2)² and 1/v² in samples.
    pub(super) half: Vec<f32>,
    pub(super) slowness: Vec<f32>,
    /// Of each vector of `lanes` times: samples by which a later one may come before the first; absent where their samples may lie
    /// farther apart than a window is wide.
    pub(super) back: Vec<Option<i32>>,
    pub(super) lanes: usize,
    /// Of aperture=dip: where the taper begins, and its inverse width.
    pub(super) flat: Vec<f32>,
    pub(super) inverse_width: Vec<f32>,
    pub(super) radius: Vec<f32>,
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

pub(super) struct Task<'a, T> {
    pub(super) job: &'a Job<'a, T>,
    /// Between a node and a source or receiver of its aperture at most, m.
    pub(super) longest_leg: f64,
    pub(super) pillars: &'a Tile,
    pub(super) segments: &'a [(Range<usize>, f64)],
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
