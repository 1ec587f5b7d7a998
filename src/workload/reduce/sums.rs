//! The kernel on a processor: a task's patches against blocks of transmits and receivers, a vector of points at a time. Written once
//! over [`Lanes`]; the four orders of reduction differ only in where a running total is kept.
#![allow(
    unsafe_code,
    reason = "vectors and raw reads of channel data; every function says what it needs"
)]
use super::geometry::{Geometry, PATCH};
use super::lanes::{Lanes, Portable, Trace};
use super::settings::{Hoist, Interpolation, Lookup, Pairs, Phase, Prefetch, Reduce, Settings};
use super::tables::{self, ENTRY, Entry};
use crate::workload::instructions::InstructionSet;
use std::ops::Range;

/// Real and imaginary parts of a patch.
pub(super) const TOTAL: usize = 2 * PATCH;

/// What all tasks read.
#[derive(Debug)]
pub(super) struct Job<'a, T> {
    pub(super) geometry: &'a Geometry,
    pub(super) settings: &'a Settings,
    /// `[transmit][receiver][sample][re, im]`
    pub(super) signals: &'a [T],
}

/// What a task writes: `[patch][re, im][slot]` of its patches, and what is materialized between its loops and the last sums, with one
/// such total for each transmit, receiver, or pair of them.
#[derive(Debug)]
pub(super) struct Task<'a> {
    pub(super) patches: Range<usize>,
    pub(super) image: &'a mut [f32],
    pub(super) parts: &'a mut [f32],
}

/// A cache line: a vector that begins within one is loaded in two halves.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Line([f32; PATCH]);

/// Room that a task needs, made once a thread.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// `[patch][receiver]` and `[patch][transmit]` entries.
    receive: Vec<Line>,
    transmit: Vec<Line>,
    /// Least and largest delay of each of them.
    receive_spans: Vec<[f32; 2]>,
    transmit_spans: Vec<[f32; 2]>,
    /// Transmits of each patch that are summed: `active[starts[patch]..starts[patch + 1]]`.
    active: Vec<u16>,
    starts: Vec<usize>,
}

/// Beamforms a task with the chosen instruction set.
pub(super) fn run<T: Trace>(job: &Job<'_, T>, task: &mut Task<'_>, scratch: &mut Scratch) {
    let settings = job.settings;
    // SAFETY: `Settings` chose a set that the processor has, and refuses what is not compiled here.
    macro_rules! call {
        ($unroll:literal, $plain:literal, $window:literal) => {
            unsafe {
                match settings.set {
                    InstructionSet::Portable => {
                        body::<Portable, T, 8, 1, $plain, false>(job, task, scratch)
                    }
                    #[cfg(target_arch = "x86_64")]
                    InstructionSet::Avx2 => avx2::<T, $unroll, $plain>(job, task, scratch),
                    #[cfg(target_arch = "x86_64")]
                    InstructionSet::Avx512 => {
                        avx512::<T, $unroll, $plain, $window>(job, task, scratch)
                    }
                    #[cfg(not(target_arch = "x86_64"))]
                    _ => unreachable!("`Settings` refuses sets that the processor does not have"),
                }
            }
        };
    }
    let is_window = settings.lookup == Lookup::Window;
    match (settings.is_plain(), settings.unroll) {
        (false, _) => call!(1, false, false),
        (true, 2) if T::IS_SINGLE => call!(2, true, true),
        (true, 4) if T::IS_SINGLE => call!(4, true, true),
        (true, 8) if T::IS_SINGLE => call!(8, true, true),
        (true, 16) if T::IS_SINGLE => call!(16, true, true),
        (true, 32) if T::IS_SINGLE => call!(32, true, true),
        (true, _) if is_window => call!(1, true, true),
        (true, _) => call!(1, true, false),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c,bmi1,bmi2,lzcnt,popcnt")]
unsafe fn avx2<T: Trace, const UNROLL: usize, const PLAIN: bool>(
    job: &Job<'_, T>,
    task: &mut Task<'_>,
    scratch: &mut Scratch,
) {
    // SAFETY: this function has the features.
    unsafe { body::<super::lanes::F32x8, T, 8, UNROLL, PLAIN, false>(job, task, scratch) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,fma,f16c,bmi1,bmi2,lzcnt,popcnt")]
unsafe fn avx512<T: Trace, const UNROLL: usize, const PLAIN: bool, const WINDOW: bool>(
    job: &Job<'_, T>,
    task: &mut Task<'_>,
    scratch: &mut Scratch,
) {
    // SAFETY: this function has the features.
    unsafe { body::<super::lanes::F32x16, T, 16, UNROLL, PLAIN, WINDOW>(job, task, scratch) }
}

/// Where a vector of points is: its patch in the task, and its first slot in the patch and in all.
#[derive(Clone, Copy)]
struct Place {
    patch: usize,
    lane: usize,
    slot: usize,
}

/// N is `V::COUNT`, as a constant that arrays can have.
#[inline(always)]
unsafe fn body<
    V: Lanes,
    T: Trace,
    const N: usize,
    const UNROLL: usize,
    const PLAIN: bool,
    const WINDOW: bool,
>(
    job: &Job<'_, T>,
    task: &mut Task<'_>,
    scratch: &mut Scratch,
) {
    const { assert!(N == V::COUNT) };
    let (settings, geometry) = (job.settings, job.geometry);
    let (transmits, receivers) = (geometry.transmits.len(), geometry.receivers.len());
    let [by_transmits, by_receivers] = settings.blocks([transmits, receivers]);
    // Every order but `none`, whose every element is written once, adds to what is there.
    if settings.reduce != Reduce::None || settings.pairs == Pairs::Active {
        task.parts.fill(0.0);
    }
    if settings.reduce == Reduce::Both {
        task.image.fill(0.0);
    }
    // SAFETY: as the caller promises.
    unsafe {
        fill::<V, T, N>(job, &task.patches, scratch);
        for t in (0..transmits).step_by(by_transmits) {
            let block = t..(t + by_transmits).min(transmits);
            for r in (0..receivers).step_by(by_receivers) {
                let receivers = r..(r + by_receivers).min(receivers);
                for patch in 0..task.patches.len() {
                    for lane in (0..PATCH).step_by(N) {
                        let walk = Walk::<T, N, PLAIN, WINDOW> {
                            job,
                            scratch,
                            place: Place {
                                patch,
                                lane,
                                slot: (task.patches.start + patch) * PATCH + lane,
                            },
                        };
                        walk.block::<V, UNROLL>(task, block.clone(), receivers.clone());
                    }
                }
            }
        }
        if settings.reduce == Reduce::Tx && settings.phase == Phase::Factored {
            for patch in 0..task.patches.len() {
                for lane in (0..PATCH).step_by(N) {
                    let walk = Walk::<T, N, PLAIN, WINDOW> {
                        job,
                        scratch,
                        place: Place {
                            patch,
                            lane,
                            slot: (task.patches.start + patch) * PATCH + lane,
                        },
                    };
                    walk.turn_by_receivers::<V>(task);
                }
            }
        }
    }
}

/// The tables that are hoisted, and which transmits count for which patch.
#[inline(always)]
unsafe fn fill<V: Lanes, T: Trace, const N: usize>(
    job: &Job<'_, T>,
    patches: &Range<usize>,
    scratch: &mut Scratch,
) {
    let (settings, geometry) = (job.settings, job.geometry);
    let (transmits, receivers) = (geometry.transmits.len(), geometry.receivers.len());
    let has_receive = matches!(settings.hoist, Hoist::Both | Hoist::Rx);
    let has_transmit = matches!(settings.hoist, Hoist::Both | Hoist::Tx);
    let sized = |lines: &mut Vec<Line>, has: bool, count: usize| {
        let entries = if has { patches.len() * count } else { 0 };
        lines.resize(entries * (ENTRY / PATCH), Line([0.0; PATCH]));
    };
    sized(&mut scratch.receive, has_receive, receivers);
    sized(&mut scratch.transmit, has_transmit, transmits);
    scratch
        .receive_spans
        .resize(patches.len() * receivers, [0.0; 2]);
    scratch
        .transmit_spans
        .resize(patches.len() * transmits, [0.0; 2]);
    scratch.active.clear();
    scratch.starts.clear();
    scratch.starts.push(0);
    // SAFETY: as the caller promises; every entry lies in its table.
    unsafe {
        for (patch, slot) in patches.clone().map(|p| p * PATCH).enumerate() {
            for r in 0..receivers {
                if !has_receive {
                    break;
                }
                let entry = patch * receivers + r;
                for lane in (0..PATCH).step_by(N) {
                    let found = tables::receive::<V, N>(geometry, settings, slot + lane, r);
                    scratch.receive_spans[entry] = span(found.delay);
                    found.store(
                        scratch
                            .receive
                            .as_mut_ptr()
                            .cast::<f32>()
                            .add(entry * ENTRY + lane),
                    );
                }
            }
            for t in 0..transmits {
                let mut is_active = settings.pairs == Pairs::Dense;
                for lane in (0..PATCH).step_by(N) {
                    is_active |=
                        tables::weights::<N>(geometry, settings.image.window, slot + lane, t).1;
                }
                if !is_active {
                    continue;
                }
                scratch.active.push(t as u16);
                let entry = patch * transmits + t;
                for lane in (0..PATCH).step_by(N) {
                    if !has_transmit {
                        break;
                    }
                    let at = slot + lane;
                    let (weight, _) = tables::weights::<N>(geometry, settings.image.window, at, t);
                    let found = tables::transmit::<V, N>(geometry, settings, at, t, weight);
                    scratch.transmit_spans[entry] = span(found.delay);
                    found.store(
                        scratch
                            .transmit
                            .as_mut_ptr()
                            .cast::<f32>()
                            .add(entry * ENTRY + lane),
                    );
                }
            }
            scratch.starts.push(scratch.active.len());
        }
    }
}

/// The least and the largest.
#[inline(always)]
unsafe fn span<V: Lanes>(delay: V) -> [f32; 2] {
    let mut low = [f32::INFINITY; PATCH];
    let mut high = [f32::NEG_INFINITY; PATCH];
    // SAFETY: sixteen numbers are enough for every vector.
    unsafe {
        delay.store(low.as_mut_ptr());
        delay.store(high.as_mut_ptr());
    }
    for width in [8, 4, 2, 1] {
        for lane in 0..width {
            let (l, h) = (low[lane + width], high[lane + width]);
            low[lane] = if l < low[lane] { l } else { low[lane] };
            high[lane] = if h > high[lane] { h } else { high[lane] };
        }
    }
    [low[0], high[0]]
}

/// A vector of points on its way through transmits and receivers.
struct Walk<'a, T, const N: usize, const PLAIN: bool, const WINDOW: bool> {
    job: &'a Job<'a, T>,
    scratch: &'a Scratch,
    place: Place,
}

/// An entry with the least and the largest delay of its patch.
#[derive(Clone, Copy)]
struct Side<V> {
    entry: Entry<V>,
    span: [f32; 2],
}

impl<T: Trace, const N: usize, const PLAIN: bool, const WINDOW: bool>
    Walk<'_, T, N, PLAIN, WINDOW>
{
    #[inline(always)]
    fn is_factored(&self) -> bool {
        PLAIN || self.job.settings.phase == Phase::Factored
    }

    /// The transmits of a block that are summed here.
    #[inline(always)]
    fn active(&self, block: &Range<usize>) -> &[u16] {
        let Scratch { active, starts, .. } = self.scratch;
        let all = &active[starts[self.place.patch]..starts[self.place.patch + 1]];
        let from = all.partition_point(|t| usize::from(*t) < block.start);
        let to = all.partition_point(|t| usize::from(*t) < block.end);
        &all[from..to]
    }

    #[inline(always)]
    unsafe fn receive<V: Lanes>(&self, r: usize) -> Side<V> {
        let Place { patch, lane, slot } = self.place;
        let entry = patch * self.job.geometry.receivers.len() + r;
        // SAFETY: as the caller promises; the table was filled.
        unsafe {
            if PLAIN || matches!(self.job.settings.hoist, Hoist::Both | Hoist::Rx) {
                return Side {
                    entry: Entry::load(
                        self.scratch
                            .receive
                            .as_ptr()
                            .cast::<f32>()
                            .add(entry * ENTRY + lane),
                    ),
                    span: *self.scratch.receive_spans.get_unchecked(entry),
                };
            }
            let entry = tables::receive::<V, N>(self.job.geometry, self.job.settings, slot, r);
            Side {
                entry,
                span: span(entry.delay),
            }
        }
    }

    #[inline(always)]
    unsafe fn transmit<V: Lanes>(&self, t: usize) -> Side<V> {
        let Place { patch, lane, slot } = self.place;
        let Job {
            geometry, settings, ..
        } = self.job;
        let entry = patch * geometry.transmits.len() + t;
        // SAFETY: as the caller promises; the table was filled.
        unsafe {
            if matches!(settings.hoist, Hoist::Both | Hoist::Tx) {
                return Side {
                    entry: Entry::load(
                        self.scratch
                            .transmit
                            .as_ptr()
                            .cast::<f32>()
                            .add(entry * ENTRY + lane),
                    ),
                    span: *self.scratch.transmit_spans.get_unchecked(entry),
                };
            }
            let (weight, _) = tables::weights::<N>(geometry, settings.image.window, slot, t);
            let entry = tables::transmit::<V, N>(geometry, settings, slot, t, weight);
            Side {
                entry,
                span: span(entry.delay),
            }
        }
    }

    #[inline(always)]
    unsafe fn block<V: Lanes, const UNROLL: usize>(
        &self,
        task: &mut Task<'_>,
        transmits: Range<usize>,
        receivers: Range<usize>,
    ) {
        let geometry = self.job.geometry;
        let (nt, nr) = (geometry.transmits.len(), geometry.receivers.len());
        let Place { patch, lane, .. } = self.place;
        let active = self.active(&transmits);
        // SAFETY: as the caller promises; every total lies in the task's own part.
        unsafe {
            match self.job.settings.reduce {
                Reduce::Both | Reduce::Rx => {
                    // One total, or one for each transmit.
                    let (totals, stride) = match self.job.settings.reduce {
                        Reduce::Rx => (task.parts.as_mut_ptr().add(patch * nt * TOTAL), TOTAL),
                        _ => (task.image.as_mut_ptr().add(patch * TOTAL), 0),
                    };
                    for (i, &t) in active.iter().enumerate() {
                        let next = active.get(i + 1).copied();
                        let sum = self.over_receivers::<V, UNROLL>(t, next, &receivers);
                        add(totals.add(usize::from(t) * stride + lane), sum);
                    }
                }
                Reduce::Tx => {
                    for r in receivers {
                        let place = (patch * nr + r) * TOTAL + lane;
                        let sum = self.over_transmits::<V, UNROLL>(active, r);
                        add(task.parts.as_mut_ptr().add(place), sum);
                    }
                }
                Reduce::None => {
                    for &t in active {
                        let transmit = self.transmit::<V>(usize::from(t));
                        for r in receivers.clone() {
                            let receive = self.receive::<V>(r);
                            let mut z = self.term(usize::from(t), r, &transmit, &receive);
                            if self.is_factored() {
                                z = times(times(z, &receive.entry), &transmit.entry);
                            }
                            let place = ((patch * nt + usize::from(t)) * nr + r) * TOTAL + lane;
                            let to = task.parts.as_mut_ptr().add(place);
                            z[0].store(to);
                            z[1].store(to.add(PATCH));
                        }
                    }
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn over_receivers<V: Lanes, const UNROLL: usize>(
        &self,
        t: u16,
        next: Option<u16>,
        receivers: &Range<usize>,
    ) -> [V; 2] {
        let t = usize::from(t);
        let next = next.filter(|_| self.job.settings.prefetch == Prefetch::NextTransmit);
        // SAFETY: as the caller promises.
        unsafe {
            let transmit = self.transmit::<V>(t);
            let mut sum = [V::splat(0.0); 2];
            let mut r = receivers.start;
            while r + UNROLL <= receivers.end {
                for step in 0..UNROLL {
                    sum = self.add_receiver(sum, t, r + step, &transmit, next);
                }
                r += UNROLL;
            }
            while UNROLL > 1 && r < receivers.end {
                sum = self.add_receiver(sum, t, r, &transmit, next);
                r += 1;
            }
            match self.is_factored() {
                true => times(sum, &transmit.entry),
                false => sum,
            }
        }
    }

    #[inline(always)]
    unsafe fn over_transmits<V: Lanes, const UNROLL: usize>(
        &self,
        active: &[u16],
        r: usize,
    ) -> [V; 2] {
        // SAFETY: as the caller promises.
        unsafe {
            let receive = self.receive::<V>(r);
            let mut sum = [V::splat(0.0); 2];
            let rounds = active.chunks_exact(UNROLL);
            let remainder = rounds.remainder();
            for ts in rounds {
                for step in 0..UNROLL {
                    sum = self.add_transmit(sum, usize::from(*ts.get_unchecked(step)), r, &receive);
                }
            }
            for t in remainder {
                sum = self.add_transmit(sum, usize::from(*t), r, &receive);
            }
            sum
        }
    }

    // Methods and not closures, which nothing can make inline.

    #[inline(always)]
    unsafe fn add_receiver<V: Lanes>(
        &self,
        sum: [V; 2],
        t: usize,
        r: usize,
        transmit: &Side<V>,
        next: Option<u16>,
    ) -> [V; 2] {
        // SAFETY: as the caller promises.
        unsafe {
            let receive = self.receive::<V>(r);
            let mut z = self.term(t, r, transmit, &receive);
            if self.is_factored() {
                z = times(z, &receive.entry);
            }
            if let Some(next) = next {
                self.ask_for(usize::from(next), r, receive.span[0]);
            }
            [sum[0].add(z[0]), sum[1].add(z[1])]
        }
    }

    #[inline(always)]
    unsafe fn add_transmit<V: Lanes>(
        &self,
        sum: [V; 2],
        t: usize,
        r: usize,
        receive: &Side<V>,
    ) -> [V; 2] {
        // SAFETY: as the caller promises.
        unsafe {
            let transmit = self.transmit::<V>(t);
            let mut z = self.term(t, r, &transmit, receive);
            if self.is_factored() {
                z = times(z, &transmit.entry);
            }
            [sum[0].add(z[0]), sum[1].add(z[1])]
        }
    }

    /// With phase=factored, order `tx` leaves the receivers' phases to the end.
    #[inline(always)]
    unsafe fn turn_by_receivers<V: Lanes>(&self, task: &mut Task<'_>) {
        let receivers = self.job.geometry.receivers.len();
        for r in 0..receivers {
            let place = (self.place.patch * receivers + r) * TOTAL + self.place.lane;
            // SAFETY: as the caller promises; every total lies in the task's own part.
            unsafe {
                let total = task.parts.as_mut_ptr().add(place);
                let z = [V::load(total), V::load(total.add(PATCH))];
                let [re, im] = times(z, &self.receive::<V>(r).entry);
                re.store(total);
                im.store(total.add(PATCH));
            }
        }
    }

    /// The interpolated sample of a pair, turned by the pair's phase and weighted unless the phase is factored.
    #[inline(always)]
    unsafe fn term<V: Lanes>(
        &self,
        t: usize,
        r: usize,
        transmit: &Side<V>,
        receive: &Side<V>,
    ) -> [V; 2] {
        let Job {
            geometry, signals, ..
        } = self.job;
        let samples = geometry.samples;
        // SAFETY: as the caller promises; the trace is one of the channel data's.
        unsafe {
            let trace = signals
                .as_ptr()
                .add(2 * samples * (t * geometry.receivers.len() + r));
            let q = transmit.entry.delay.add(receive.entry.delay);
            if WINDOW {
                // A hair wider, for the rounding of the sums.
                let low = transmit.span[0] + receive.span[0] - 0.01;
                let high = transmit.span[1] + receive.span[1] + 0.01;
                // Delays are at most 2^20 samples.
                let (first, last) = (
                    low.to_int_unchecked::<i32>(),
                    high.to_int_unchecked::<i32>(),
                );
                let (width, room) = (last - first, samples as i32 - first);
                if low >= 0.0 && width < 15 && room >= 16 {
                    return near::<V, T, false>(trace, q, first);
                }
                if low >= 0.0 && width < 30 && room >= 31 {
                    return near::<V, T, true>(trace, q, first);
                }
                return far::<V, T>(trace, q, samples);
            }
            if PLAIN {
                return anywhere::<V, T>(trace, q, samples, Interpolation::Linear);
            }
            let settings = self.job.settings;
            let z = anywhere::<V, T>(trace, q, samples, settings.image.interpolation);
            match settings.phase {
                Phase::Factored => z,
                Phase::SinCos => {
                    let cycles = transmit.entry.a.add(receive.entry.a);
                    let rounder = V::splat(12_582_912.0);
                    let u = cycles.sub(cycles.add(rounder).sub(rounder));
                    let weight = transmit.entry.b.mul(receive.entry.b);
                    let [a, b] = V::phasor(u);
                    let turn = Entry {
                        delay: q,
                        a: a.mul(weight),
                        b: b.mul(weight),
                    };
                    times(z, &turn)
                }
            }
        }
    }

    /// Fetches the lines that the next transmit will look into.
    #[inline(always)]
    unsafe fn ask_for(&self, t: usize, r: usize, receive: f32) {
        let geometry = self.job.geometry;
        let entry = self.place.patch * geometry.transmits.len() + t;
        let low = self.scratch.transmit_spans[entry][0] + receive;
        let at = low as usize;
        let trace = 2 * geometry.samples * (t * geometry.receivers.len() + r);
        let from = self.job.signals.as_ptr().wrapping_add(trace + 2 * at);
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a prefetch reads nothing.
        unsafe {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            _mm_prefetch::<_MM_HINT_T0>(from.cast());
            _mm_prefetch::<_MM_HINT_T0>(from.cast::<i8>().wrapping_add(64));
            _mm_prefetch::<_MM_HINT_T0>(from.cast::<i8>().wrapping_add(127));
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = from;
    }
}

#[inline(always)]
unsafe fn add<V: Lanes>(total: *mut f32, sum: [V; 2]) {
    // SAFETY: as the caller promises.
    unsafe {
        V::load(total).add(sum[0]).store(total);
        let imaginary = total.add(PATCH);
        V::load(imaginary).add(sum[1]).store(imaginary);
    }
}

/// z·(a + jb).
#[inline(always)]
unsafe fn times<V: Lanes>(z: [V; 2], by: &Entry<V>) -> [V; 2] {
    // SAFETY: as the caller promises.
    unsafe {
        [
            z[1].neg_mul_add(by.b, z[0].mul(by.a)),
            z[0].mul_add(by.b, z[1].mul(by.a)),
        ]
    }
}

/// Linear interpolation where all lanes lie in one or two windows from sample `first` on.
#[inline(always)]
unsafe fn near<V: Lanes, T: Trace, const TWO: bool>(trace: *const T, q: V, first: i32) -> [V; 2] {
    // SAFETY: as the caller promises.
    unsafe {
        let window = trace.wrapping_add(2 * first as usize);
        let relative = q.sub(V::splat(first as f32));
        let whole = relative.floor();
        let a = relative.sub(whole);
        let [x, y, next_x, next_y] = match TWO {
            true => V::in_two_windows(window, whole),
            false => V::in_window(window, whole),
        };
        [next_x.sub(x).mul_add(a, x), next_y.sub(y).mul_add(a, y)]
    }
}

/// Where windows do not do: not inlined, so that the common loop stays short.
#[inline(never)]
#[cfg_attr(
    target_arch = "x86_64",
    target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,fma,f16c,bmi1,bmi2,lzcnt,popcnt")
)]
unsafe fn far<V: Lanes, T: Trace>(trace: *const T, q: V, samples: usize) -> [V; 2] {
    // SAFETY: as the caller promises.
    unsafe { anywhere(trace, q, samples, Interpolation::Linear) }
}

#[inline(always)]
unsafe fn anywhere<V: Lanes, T: Trace>(
    trace: *const T,
    q: V,
    samples: usize,
    interpolation: Interpolation,
) -> [V; 2] {
    // SAFETY: as the caller promises; indices are clipped to the trace.
    unsafe {
        let (zero, one) = (V::splat(0.0), V::splat(1.0));
        let last = V::splat((samples - 1) as f32);
        let before_last = last.sub(one);
        let clipped = q.max(zero).min(last);
        let whole = clipped.floor().min(before_last);
        let mut a = clipped.sub(whole);
        let [x, y, next_x, next_y] = V::neighbours(trace, whole);
        let z = match interpolation {
            Interpolation::Cubic => {
                // Lagrange's polynomial; beyond the record there is silence.
                let [early_x, early_y, _, _] = V::neighbours(trace, whole.sub(one).max(zero));
                let [_, _, late_x, late_y] = V::neighbours(trace, whole.add(one).min(before_last));
                let (up, down, two) = (a.add(one), a.sub(one), a.sub(V::splat(2.0)));
                let sixth = V::splat(1.0 / 6.0);
                let weights = [
                    zero.sub(a.mul(down).mul(two).mul(sixth))
                        .within(one, whole, last),
                    up.mul(down).mul(two).mul(V::splat(0.5)),
                    zero.sub(up.mul(a).mul(two).mul(V::splat(0.5))),
                    up.mul(a)
                        .mul(down)
                        .mul(sixth)
                        .within(zero, whole, before_last.sub(one)),
                ];
                [
                    weighted(&weights, [early_x, x, next_x, late_x]),
                    weighted(&weights, [early_y, y, next_y, late_y]),
                ]
            }
            other => {
                if other == Interpolation::Nearest {
                    a = a.add(V::splat(0.5)).floor();
                }
                [next_x.sub(x).mul_add(a, x), next_y.sub(y).mul_add(a, y)]
            }
        };
        [z[0].within(zero, q, last), z[1].within(zero, q, last)]
    }
}

#[inline(always)]
unsafe fn weighted<V: Lanes>(weights: &[V; 4], taps: [V; 4]) -> V {
    // SAFETY: as the caller promises.
    unsafe {
        let ends = weights[0].mul_add(taps[0], weights[3].mul(taps[3]));
        weights[1].mul_add(taps[1], weights[2].mul_add(taps[2], ends))
    }
}

/// Sums the parts of patches: `count` totals each.
pub(super) fn sum_parts(parts: &[f32], image: &mut [f32], count: usize) {
    for (totals, image) in parts
        .chunks_exact(count * TOTAL)
        .zip(image.chunks_exact_mut(TOTAL))
    {
        // Two rows of sums, since one would wait for itself.
        let mut sums = [[0.0_f32; TOTAL]; 2];
        for (i, total) in totals.chunks_exact(TOTAL).enumerate() {
            for (sum, value) in sums[i % 2].iter_mut().zip(total) {
                *sum += value;
            }
        }
        for (i, value) in image.iter_mut().enumerate() {
            *value = sums[0][i] + sums[1][i];
        }
    }
}

/// Divides every point's sum by that of its transmits' weights, where there is one.
pub(super) fn compensate(
    geometry: &Geometry,
    settings: &Settings,
    first: usize,
    image: &mut [f32],
) {
    for (patch, totals) in image.chunks_exact_mut(TOTAL).enumerate() {
        let slot = (first + patch) * PATCH;
        let mut sums = [0.0_f32; PATCH];
        for t in 0..geometry.transmits.len() {
            let (weights, _) = tables::weights::<PATCH>(geometry, settings.image.window, slot, t);
            for (sum, weight) in sums.iter_mut().zip(weights) {
                *sum += weight;
            }
        }
        for part in totals.chunks_exact_mut(PATCH) {
            for (value, sum) in part.iter_mut().zip(sums) {
                *value = if sum > 0.0 { *value / sum } else { *value };
            }
        }
    }
}
