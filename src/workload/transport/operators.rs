//! The operators on a stretch of one energy's plane, written once over [`Lanes`]: scattering along the angles, streaming of one
//! angle, deposit of what streamed. Who calls them decides what they read and write, so fused and separate forms are the same code.
#![allow(
    unsafe_code,
    reason = "vectors over raw arrays; every function says what it needs"
)]
use super::lanes::{Cell, Lanes, Portable};
use super::tables::{Scattering, Shift};
use crate::workload::instructions::InstructionSet;
use std::ops::Range;

/// Runs its body with the start of every vector, at the end with the part that is left. A macro, since a closure that is not inlined
/// passes its vectors through memory.
macro_rules! along {
    ($vector:ty, $length:expr, $i:ident, $part:ident, $body:block) => {
        let length = $length;
        let mut $i = 0;
        while $i + <$vector>::COUNT <= length {
            let $part = None;
            $body
            $i += <$vector>::COUNT;
        }
        if $i < length {
            let $part = Some(length - $i);
            $body
        }
    };
}

/// Most angles that are summed in registers at once.
pub(super) const MOST_ANGLES: usize = 8;

/// A kernel's taps between zeros, so that a block of angles can be summed without asking which of them a tap reaches.
#[derive(Clone, Debug)]
pub(super) struct Taps {
    padded: Vec<f32>,
    reach: usize,
    escaping: Vec<f32>,
}

impl Taps {
    pub(super) fn new(scattering: &Scattering) -> Taps {
        let zeros = [0.0; MOST_ANGLES - 1];
        Taps {
            padded: [&zeros[..], &scattering.taps, &zeros].concat(),
            reach: scattering.reach,
            escaping: scattering.escaping.clone(),
        }
    }

    /// Angles that `sources` reach.
    pub(super) fn targets(&self, sources: &Range<usize>, angles: usize) -> Range<usize> {
        sources.start.saturating_sub(self.reach)..(sources.end + self.reach).min(angles)
    }
}

/// The same stretch of every angle's slab.
#[derive(Clone, Copy)]
pub(super) struct Stretch<T> {
    /// Of angle 0.
    pub(super) first: *mut T,
    /// From one angle to the next.
    pub(super) slab: usize,
}

impl<T> Stretch<T> {
    #[inline(always)]
    fn at(&self, angle: usize) -> *mut T {
        self.first.wrapping_add(angle * self.slab)
    }
}

/// An operator on a stretch, whose loops are compiled for every instruction set.
pub(super) trait Operator {
    /// # Safety
    /// The processor has V's features, and what the operator says.
    unsafe fn run<V: Lanes>(&mut self);
}

/// Runs an operator with the best code that was chosen.
///
/// # Safety
/// The processor has the set's features, and what the operator says.
pub(super) unsafe fn run<O: Operator>(set: InstructionSet, operator: &mut O) {
    // SAFETY: as the caller promises.
    unsafe {
        match set {
            InstructionSet::Portable => operator.run::<Portable>(),
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx2 => avx2(operator),
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx512 => avx512(operator),
            #[cfg(not(target_arch = "x86_64"))]
            _ => unreachable!("`Settings` refuses sets that the processor does not have"),
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c,bmi1,bmi2,lzcnt,popcnt")]
unsafe fn avx2<O: Operator>(operator: &mut O) {
    // SAFETY: this function has the features.
    unsafe { operator.run::<super::lanes::F32x8>() }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,fma,f16c,bmi1,bmi2,lzcnt,popcnt")]
unsafe fn avx512<O: Operator>(operator: &mut O) {
    // SAFETY: this function has the features.
    unsafe { operator.run::<super::lanes::F32x16>() }
}

/// A_theta: `to = taps * from` along the angles. Both stretches have `length` values for each of their angles, and so has `escaped`,
/// to which is added what leaves the domain.
pub(super) struct Scatter<'a, I, O> {
    pub(super) taps: &'a Taps,
    pub(super) from: Stretch<I>,
    pub(super) to: Stretch<O>,
    pub(super) length: usize,
    pub(super) sources: Range<usize>,
    pub(super) targets: Range<usize>,
    pub(super) escaped: *mut f32,
    /// How far ahead of what is read memory is asked for; 0: not at all.
    pub(super) ahead: usize,
    /// Angles that are summed in registers at once: 1, 2, 4 or 8.
    pub(super) angle_block: usize,
}

impl<I: Cell, O: Cell> Operator for Scatter<'_, I, O> {
    #[inline(always)]
    unsafe fn run<V: Lanes>(&mut self) {
        // SAFETY: as the caller promises.
        unsafe {
            match self.angle_block {
                1 => self.blocks::<V, 1>(),
                2 => self.blocks::<V, 2>(),
                4 => self.blocks::<V, 4>(),
                _ => self.blocks::<V, 8>(),
            }
        }
        let (length, escaped) = (self.length, self.escaped);
        let leaves = |t: &usize| self.taps.escaping[*t] != 0.0;
        for angle in self.sources.clone().filter(leaves) {
            // SAFETY: as above.
            unsafe {
                let share = V::splat(self.taps.escaping[angle]);
                let slab = self.from.at(angle);
                along!(V, length, i, part, {
                    let sum = read::<V, f32>(escaped.add(i), part);
                    let sum = read::<V, I>(slab.add(i), part).mul_add(share, sum);
                    write(sum, escaped.add(i), part);
                });
            }
        }
    }
}

impl<I: Cell, O: Cell> Scatter<'_, I, O> {
    /// # Safety
    /// As for the operator.
    #[inline(always)]
    unsafe fn blocks<V: Lanes, const B: usize>(&self) {
        let (reach, length) = (self.taps.reach, self.length);
        for first in self.targets.clone().step_by(B) {
            let block = Block {
                first,
                count: B.min(self.targets.end - first),
                sources: self.sources.start.max(first.saturating_sub(reach))
                    ..self.sources.end.min(first + B + reach),
            };
            let mut i = 0;
            // SAFETY: as the caller promises.
            unsafe {
                while i + 2 * V::COUNT <= length {
                    self.sum::<V, B, 2>(&block, i, None);
                    i += 2 * V::COUNT;
                }
                while i + V::COUNT <= length {
                    self.sum::<V, B, 1>(&block, i, None);
                    i += V::COUNT;
                }
                if i < length {
                    self.sum::<V, B, 1>(&block, i, Some(length - i));
                }
            }
        }
    }

    /// # Safety
    /// As for the operator; `C` vectors from value `i` on are within the stretch, or the part of one.
    #[inline(always)]
    unsafe fn sum<V: Lanes, const B: usize, const C: usize>(
        &self,
        block: &Block,
        i: usize,
        part: Option<usize>,
    ) {
        // SAFETY: as the caller promises; tap q of source s is the one from s to first + q, or one of the zeros.
        unsafe {
            let mut sums = [[V::splat(0.0); C]; B];
            let middle = self
                .taps
                .padded
                .as_ptr()
                .add(block.first + self.taps.reach + MOST_ANGLES - 1);
            for source in block.sources.clone() {
                let slab = self.from.at(source).add(i);
                let mut values = [V::splat(0.0); C];
                for (c, value) in values.iter_mut().enumerate() {
                    *value = read::<V, I>(slab.add(c * V::COUNT), part);
                }
                if self.ahead > 0 {
                    prefetch(slab.wrapping_add(self.ahead));
                }
                let tap = middle.sub(source);
                for (q, sums) in sums.iter_mut().enumerate() {
                    let tap = V::splat(*tap.add(q));
                    for (sum, value) in sums.iter_mut().zip(values) {
                        *sum = value.mul_add(tap, *sum);
                    }
                }
            }
            for (q, sums) in sums.into_iter().enumerate().take(block.count) {
                let slab = self.to.at(block.first + q).add(i);
                for (c, sum) in sums.into_iter().enumerate() {
                    write(sum, slab.add(c * V::COUNT), part);
                }
            }
        }
    }
}

/// Neighbouring angles that are summed together.
struct Block {
    first: usize,
    count: usize,
    sources: Range<usize>,
}

/// Asks for what will be read a plane later.
#[inline(always)]
fn prefetch<T>(at: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a hint; it may point anywhere.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T1>(at.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}

/// Where a part of what streamed is deposited.
#[derive(Clone, Copy)]
pub(super) struct Target<T> {
    pub(super) stretch: Stretch<T>,
    pub(super) weight: f32,
    /// Whether something is there already.
    pub(super) adds: bool,
}

/// What streamed over a stretch, in whose hands.
pub(super) struct Arrival<'a, T> {
    /// Of the stretch's values those that are inside the domain come first.
    pub(super) length: usize,
    pub(super) inside: usize,
    pub(super) angles: Range<usize>,
    /// Sums over the angles, added to.
    pub(super) sums: *mut f32,
    /// Weight of each angle, added to.
    pub(super) angle_weights: &'a mut [f32],
    pub(super) targets: [Option<Target<T>>; 2],
}

/// A_s, gather form: every cell collects from the four that reach it. `from` may be read as far before its stretch as the shifts
/// reach, and one gap behind.
pub(super) struct StreamGather<'a, I, O> {
    pub(super) shifts: &'a [Shift],
    /// From one row to the next.
    pub(super) pitch: usize,
    pub(super) from: Stretch<I>,
    pub(super) arrival: Arrival<'a, O>,
}

impl<I: Cell, O: Cell> Operator for StreamGather<'_, I, O> {
    #[inline(always)]
    unsafe fn run<V: Lanes>(&mut self) {
        for angle in self.arrival.angles.clone() {
            let shift = self.shifts[angle];
            let back = shift.iz as isize * self.pitch as isize + shift.ix as isize;
            // SAFETY: as the caller promises.
            unsafe {
                let [a, b, c, d] = shift.weights;
                let near = self.from.at(angle).offset(-back);
                let four = Four {
                    near,
                    far: near.sub(self.pitch),
                    weights: [V::splat(a), V::splat(b), V::splat(c), V::splat(d)],
                };
                arrive(&mut self.arrival, angle, &four);
            }
        }
    }
}

/// A_s, scatter form: every cell hands its weight to the four that it reaches. Reads as [`StreamGather`].
pub(super) struct StreamScatter<'a, I, O> {
    pub(super) shifts: &'a [Shift],
    pub(super) pitch: usize,
    pub(super) from: Stretch<I>,
    pub(super) arrival: Arrival<'a, O>,
    /// Room for a slab's stretch with a row and a value before and behind.
    pub(super) buffer: &'a mut [f32],
}

impl<I: Cell, O: Cell> Operator for StreamScatter<'_, I, O> {
    #[inline(always)]
    unsafe fn run<V: Lanes>(&mut self) {
        let pitch = self.pitch as isize;
        for angle in self.arrival.angles.clone() {
            let shift = self.shifts[angle];
            let shortest = shift.iz as isize * pitch + shift.ix as isize;
            let longest = shortest + pitch + 1;
            // Cells from which something arrives in the stretch, and where that of the first of them arrives at the earliest.
            let reach = (longest - shortest) as usize;
            let (first, count) = (-longest, self.arrival.length + reach);
            let room = (first + shortest).unsigned_abs();
            self.buffer[..count + reach].fill(0.0);
            let buffer = self.buffer.as_mut_ptr();
            // SAFETY: as the caller promises; `count + reach` values of the buffer are written.
            unsafe {
                let slab = self.from.at(angle).offset(first);
                let ends = [0, 1, self.pitch, self.pitch + 1];
                for (end, weight) in ends.into_iter().zip(shift.weights) {
                    let (to, weight) = (buffer.add(end), V::splat(weight));
                    along!(V, count, i, part, {
                        let sum = read::<V, f32>(to.add(i), part);
                        let sum = read::<V, I>(slab.add(i), part).mul_add(weight, sum);
                        write(sum, to.add(i), part);
                    });
                }
                let arrived = Single(buffer.add(room).cast_const());
                arrive::<V, _, O>(&mut self.arrival, angle, &arrived);
            }
        }
    }
}

/// What streamed before and was stored; `from` has the arrival's length.
pub(super) struct Deposit<'a, T> {
    pub(super) from: Stretch<T>,
    pub(super) arrival: Arrival<'a, T>,
}

impl<T: Cell> Operator for Deposit<'_, T> {
    #[inline(always)]
    unsafe fn run<V: Lanes>(&mut self) {
        for angle in self.arrival.angles.clone() {
            let from = Single(self.from.at(angle).cast_const());
            // SAFETY: as the caller promises.
            unsafe { arrive::<V, _, T>(&mut self.arrival, angle, &from) };
        }
    }
}

/// What arrives at the cells of one angle's stretch.
trait Arriving<V: Lanes> {
    /// # Safety
    /// A vector from value `i` on, or a part of one, is within the stretch.
    unsafe fn value(&self, i: usize, part: Option<usize>) -> V;
}

/// From the four cells that reach one: `near` and the one before it, `far` and the one before it.
struct Four<V, I> {
    near: *const I,
    far: *const I,
    weights: [V; 4],
}

impl<V: Lanes, I: Cell> Arriving<V> for Four<V, I> {
    #[inline(always)]
    unsafe fn value(&self, i: usize, part: Option<usize>) -> V {
        // SAFETY: as the caller promises.
        unsafe {
            let (near, far) = (self.near.add(i), self.far.add(i));
            let sum = read::<V, I>(near, part).mul(self.weights[0]);
            let sum = read::<V, I>(near.sub(1), part).mul_add(self.weights[1], sum);
            let sum = read::<V, I>(far, part).mul_add(self.weights[2], sum);
            read::<V, I>(far.sub(1), part).mul_add(self.weights[3], sum)
        }
    }
}

struct Single<I>(*const I);

impl<V: Lanes, I: Cell> Arriving<V> for Single<I> {
    #[inline(always)]
    unsafe fn value(&self, i: usize, part: Option<usize>) -> V {
        // SAFETY: as the caller promises.
        unsafe { read::<V, I>(self.0.add(i), part) }
    }
}

/// Counts and deposits what arrives at an angle's cells.
///
/// # Safety
/// As the caller promises for the arrival and for `arriving`.
#[inline(always)]
unsafe fn arrive<V: Lanes, A: Arriving<V>, O: Cell>(
    arrival: &mut Arrival<'_, O>,
    angle: usize,
    arriving: &A,
) {
    let (sums, inside) = (arrival.sums, arrival.inside);
    // SAFETY: as the caller promises, in all of it.
    unsafe {
        let mut weight = V::splat(0.0);
        let [first, second] = &arrival.targets;
        let (first, second) = (open::<V, O>(first, angle), open::<V, O>(second, angle));
        along!(V, inside, i, part, {
            let value = arriving.value(i, part);
            let sum = read::<V, f32>(sums.add(i), part).add(value);
            write(sum, sums.add(i), part);
            weight = weight.add(value);
            first.deposit(value, i, part);
            second.deposit(value, i, part);
        });
        let beyond = sums.add(inside);
        along!(V, arrival.length - inside, i, part, {
            let value = arriving.value(inside + i, part);
            let sum = read::<V, f32>(beyond.add(i), part).add(value);
            write(sum, beyond.add(i), part);
        });
        arrival.angle_weights[angle] += weight.sum();
    }
}

/// A target's slab of one angle.
struct Open<V, T> {
    to: *mut T,
    weight: V,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Absent,
    Sets,
    Adds,
}

#[inline(always)]
unsafe fn open<V: Lanes, T>(target: &Option<Target<T>>, angle: usize) -> Open<V, T> {
    let (to, weight, kind) = match target {
        None => (std::ptr::null_mut(), 0.0, Kind::Absent),
        Some(t) if t.adds => (t.stretch.at(angle), t.weight, Kind::Adds),
        Some(t) => (t.stretch.at(angle), t.weight, Kind::Sets),
    };
    // SAFETY: as the caller promises.
    let weight = unsafe { V::splat(weight) };
    Open { to, weight, kind }
}

impl<V: Lanes, T: Cell> Open<V, T> {
    #[inline(always)]
    unsafe fn deposit(&self, value: V, i: usize, part: Option<usize>) {
        // SAFETY: as the caller promises; a pointer that is absent is not used.
        unsafe {
            match self.kind {
                Kind::Absent => {}
                Kind::Sets => write(value.mul(self.weight), self.to.add(i), part),
                Kind::Adds => {
                    let to = self.to.add(i);
                    write(value.mul_add(self.weight, read(to, part)), to, part);
                }
            }
        }
    }
}

/// A_E, gather form: a plane is the weighted sum of the one or two that reach it. All stretches have `length` values.
pub(super) struct Collect<T> {
    pub(super) from: [Option<(Stretch<T>, f32)>; 2],
    pub(super) to: Stretch<T>,
    pub(super) length: usize,
    pub(super) angles: Range<usize>,
}

impl<T: Cell> Operator for Collect<T> {
    #[inline(always)]
    unsafe fn run<V: Lanes>(&mut self) {
        let length = self.length;
        for angle in self.angles.clone() {
            let slab = self.to.at(angle);
            // SAFETY: as the caller promises.
            unsafe {
                match self.from {
                    [Some((a, v)), Some((b, w))] => {
                        let (a, b) = (a.at(angle), b.at(angle));
                        let (v, w) = (V::splat(v), V::splat(w));
                        along!(V, length, i, part, {
                            let sum = read::<V, T>(a.add(i), part).mul(v);
                            let sum = read::<V, T>(b.add(i), part).mul_add(w, sum);
                            write(sum, slab.add(i), part);
                        });
                    }
                    [Some((a, v)), None] | [None, Some((a, v))] => {
                        let (a, v) = (a.at(angle), V::splat(v));
                        along!(V, length, i, part, {
                            write(read::<V, T>(a.add(i), part).mul(v), slab.add(i), part);
                        });
                    }
                    [None, None] => std::slice::from_raw_parts_mut(slab, length).fill(T::default()),
                }
            }
        }
    }
}

#[inline(always)]
unsafe fn read<V: Lanes, T: Cell>(from: *const T, part: Option<usize>) -> V {
    // SAFETY: as the caller promises.
    unsafe {
        match part {
            None => T::load(from),
            Some(count) => T::load_part(from, count),
        }
    }
}

#[inline(always)]
unsafe fn write<V: Lanes, T: Cell>(value: V, to: *mut T, part: Option<usize>) {
    // SAFETY: as the caller promises.
    unsafe {
        match part {
            None => T::store(value, to),
            Some(count) => T::store_part(value, to, count),
        }
    }
}
