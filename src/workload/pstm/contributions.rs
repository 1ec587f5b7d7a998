//! The innermost loops of the migration on processors: contributions of some traces to a stretch of one pillar's times, lanes over
//! times or over traces. Apart from cpu.rs, which says who works on what in which order.
#![allow(
    unsafe_code,
    reason = "lanes, and raw reads of traces; every function says what it needs"
)]
use super::cpu::{Job, List, Row, Task};
use super::exact::{self, LONGEST_TRIANGLE};
use super::lanes::{Lanes, Sample};
use super::settings::{AntiAlias, Aperture, Imaging, Interpolation, Mute};
use super::weights;
use std::ops::Range;

/// No vector is longer.
const WIDEST: usize = 16;

/// Travel times in f32 are off by less than this many samples: nearer to the trace's end, f64 decides. The fold is exact so.
const DOUBT: f32 = 2e-3;

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
pub(super) struct Part<'a, T> {
    pub(super) task: &'a Task<'a, T>,
    pub(super) list: &'a List,
    pub(super) row: &'a Row,
    pub(super) pillar: [usize; 2],
    /// Of the stretch in `row`.
    pub(super) start: usize,
    /// Of the stretch among the computed times.
    pub(super) first_time: usize,
    pub(super) vectors: usize,
}

impl<T: Sample> Part<'_, T> {
    /// Contributions of some traces to every time of the stretch.
    ///
    /// # Safety
    /// The processor has L's features; sums and counts have room for the stretch.
    #[inline(always)]
    pub(super) unsafe fn add<L: Lanes>(
        &self,
        entries: Range<usize>,
        sums: *mut f32,
        counts: *mut u32,
    ) {
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
    pub(super) unsafe fn add_traces<L: Lanes>(
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
