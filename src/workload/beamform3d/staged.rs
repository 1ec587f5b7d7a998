//! fusion=staged: six passes over arrays of chunk × elements, as array languages do it and as the published plan starts from. Plain
//! loops, compiled for each instruction set; arithmetic in half precision is emulated here by rounding after every operation.
#![allow(
    unsafe_code,
    reason = "calls loops that are compiled for features which the processor was found to have"
)]
#![allow(clippy::disallowed_methods, reason = "times its own passes")]
use super::geometry::Geometry;
use super::rotation::Rotation;
use super::settings::{Interpolation, IqLayout, Precision, Settings};
use super::task::{FirstArrival, Tile};
use crate::workload::instructions::InstructionSet;
use crate::workload::stored::Stored;
use half::{bf16, f16};
use rayon::prelude::*;
use std::time::{Duration, Instant};

/// In the order of the passes.
pub(super) const STAGES: [&str; 6] = [
    "tx_distance",
    "delays",
    "index",
    "interpolate",
    "rotate",
    "sum",
];

/// Which operations round to what.
trait Arithmetic: Copy + Send + Sync + 'static {
    /// Lengths are squared after this factor, so that the squares of 400 samples fit in f16.
    const SCALE: f32 = 1.0;
    fn delay(value: f32) -> f32;
    fn value(value: f32) -> f32;
    fn sum(value: f32) -> f32;
}

#[derive(Clone, Copy)]
struct Single;
/// Interpolation and rotation in f16; delays and sums in f32.
#[derive(Clone, Copy)]
struct Mixed;
#[derive(Clone, Copy)]
struct AllHalf;
#[derive(Clone, Copy)]
struct AllBrain;

impl Arithmetic for Single {
    #[inline(always)]
    fn delay(value: f32) -> f32 {
        value
    }
    #[inline(always)]
    fn value(value: f32) -> f32 {
        value
    }
    #[inline(always)]
    fn sum(value: f32) -> f32 {
        value
    }
}

impl Arithmetic for Mixed {
    #[inline(always)]
    fn delay(value: f32) -> f32 {
        value
    }
    #[inline(always)]
    fn value(value: f32) -> f32 {
        to_half(value)
    }
    #[inline(always)]
    fn sum(value: f32) -> f32 {
        value
    }
}

impl Arithmetic for AllHalf {
    const SCALE: f32 = 0.25;
    #[inline(always)]
    fn delay(value: f32) -> f32 {
        to_half(value)
    }
    #[inline(always)]
    fn value(value: f32) -> f32 {
        to_half(value)
    }
    #[inline(always)]
    fn sum(value: f32) -> f32 {
        to_half(value)
    }
}

impl Arithmetic for AllBrain {
    const SCALE: f32 = 0.25;
    #[inline(always)]
    fn delay(value: f32) -> f32 {
        to_brain(value)
    }
    #[inline(always)]
    fn value(value: f32) -> f32 {
        to_brain(value)
    }
    #[inline(always)]
    fn sum(value: f32) -> f32 {
        to_brain(value)
    }
}

/// The nearest f16, ties to even, without a branch, so that loops stay vectors.
#[inline(always)]
fn to_half(value: f32) -> f32 {
    let bits = value.to_bits();
    let magnitude = bits & 0x7FFF_FFFF;
    let normal = f32::from_bits((bits.wrapping_add(0xFFF + ((bits >> 13) & 1))) & !0x1FFF);
    // Below 2^-14 the step is 2^-24, which is that of f32 from ½ to 1.
    let sign = f32::from_bits(0x3F40_0000 | (bits & 0x8000_0000));
    let small = (value + sign) - sign;
    let infinite = f32::from_bits(0x7F80_0000 | (bits & 0x8000_0000));
    // 65,520 is the first number that rounds to 2^16.
    let large = if magnitude > 0x7F80_0000 {
        value
    } else {
        infinite
    };
    if magnitude >= 0x477F_F000 {
        large
    } else if magnitude < 0x3880_0000 {
        small
    } else {
        normal
    }
}

/// The nearest bf16, ties to even.
#[inline(always)]
fn to_brain(value: f32) -> f32 {
    let bits = value.to_bits();
    let rounded = f32::from_bits(bits.wrapping_add(0x7FFF + ((bits >> 16) & 1)) & 0xFFFF_0000);
    if value.is_nan() { value } else { rounded }
}

/// Defines a loop once and compiles it for every instruction set; the first argument chooses.
macro_rules! compiled_for_each_set {
    ($(#[$about:meta])* fn $name:ident<$($G:ident: $bound:path),*>($($arg:ident: $type:ty),* $(,)?) $body:block) => {
        $(#[$about])*
        fn $name<$($G: $bound),*>(set: InstructionSet, $($arg: $type),*) {
            #[inline(always)]
            fn plain<$($G: $bound),*>($($arg: $type),*) $body
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,f16c")]
            fn avx2<$($G: $bound),*>($($arg: $type),*) { plain::<$($G),*>($($arg),*) }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,fma,f16c")]
            fn avx512<$($G: $bound),*>($($arg: $type),*) { plain::<$($G),*>($($arg),*) }
            match set {
                // SAFETY: `Settings` refuses sets that the processor does not have.
                #[cfg(target_arch = "x86_64")]
                InstructionSet::Avx2 => unsafe { avx2::<$($G),*>($($arg),*) },
                // SAFETY: as above.
                #[cfg(target_arch = "x86_64")]
                InstructionSet::Avx512 => unsafe { avx512::<$($G),*>($($arg),*) },
                _ => plain::<$($G),*>($($arg),*),
            }
        }
    };
}

/// Arrays of one chunk, one value a (point, element) pair.
#[derive(Debug)]
struct Arrays {
    distance: Vec<f32>,
    delay: Vec<f32>,
    index: Vec<i32>,
    weight: Vec<f32>,
    value: Vec<[f32; 2]>,
    rotated: Vec<[f32; 2]>,
    /// One a point.
    first: Vec<f32>,
    sum: Vec<[f32; 2]>,
}

/// The signals in the chosen layout and precision, without any preparation.
#[derive(Debug)]
enum Signals {
    F32(Vec<[f32; 2]>),
    F16(Vec<[f16; 2]>),
    Bf16(Vec<[bf16; 2]>),
}

/// Everything that `staged` needs, allocated once.
#[derive(Debug)]
pub(super) struct Staged {
    arrays: Arrays,
    signals: Signals,
    rotation: Rotation,
}

/// What every pass reads.
struct Context<'a> {
    geometry: &'a Geometry,
    settings: &'a Settings,
    rotation: &'a Rotation,
    tile: &'a Tile,
}

impl Context<'_> {
    /// Grid indices of a chunk's point.
    fn point(&self, p: usize) -> [usize; 3] {
        let (ny, nz) = (self.tile.y.len(), self.tile.z.len());
        [
            self.tile.x.start + p / (ny * nz),
            self.tile.y.start + p / nz % ny,
            self.tile.z.start + p % nz,
        ]
    }
}

impl Staged {
    pub(super) fn new(geometry: &Geometry, settings: &Settings) -> Staged {
        let points = settings.chunk.iter().product::<usize>();
        let pairs = points * geometry.elements;
        let count = geometry.samples * geometry.elements;
        Staged {
            arrays: Arrays {
                distance: vec![0.0; pairs],
                delay: vec![0.0; pairs],
                index: vec![0; pairs],
                weight: vec![0.0; pairs],
                value: vec![[0.0; 2]; pairs],
                rotated: vec![[0.0; 2]; pairs],
                first: vec![0.0; points],
                sum: vec![[0.0; 2]; points],
            },
            signals: match settings.precision {
                Precision::F32 => Signals::F32(vec![[0.0; 2]; count]),
                Precision::Bf16Storage | Precision::Bf16All => {
                    Signals::Bf16(vec![[bf16::ZERO; 2]; count])
                }
                _ => Signals::F16(vec![[f16::ZERO; 2]; count]),
            },
            rotation: Rotation::long(1.0),
        }
    }

    /// Puts a frame `[sample][element]` into the chosen layout and precision.
    pub(super) fn fill(&mut self, geometry: &Geometry, settings: &Settings, frame: &[[f32; 2]]) {
        fn convert<T: Stored>(
            to: &mut [[T; 2]],
            geometry: &Geometry,
            layout: IqLayout,
            frame: &[[f32; 2]],
        ) {
            let (samples, elements) = (geometry.samples, geometry.elements);
            match layout {
                IqLayout::SampleElement => to
                    .par_iter_mut()
                    .zip(frame)
                    .for_each(|(to, z)| *to = z.map(T::from_f32)),
                IqLayout::ElementSample => {
                    to.par_chunks_mut(samples)
                        .enumerate()
                        .for_each(|(e, line)| {
                            for (n, to) in line.iter_mut().enumerate() {
                                *to = frame[n * elements + e].map(T::from_f32);
                            }
                        })
                }
            }
        }
        match &mut self.signals {
            Signals::F32(to) => convert(to, geometry, settings.layout, frame),
            Signals::F16(to) => convert(to, geometry, settings.layout, frame),
            Signals::Bf16(to) => convert(to, geometry, settings.layout, frame),
        }
    }

    /// The six passes over one chunk; adds their times to `stages`.
    pub(super) fn chunk(
        &mut self,
        geometry: &Geometry,
        settings: &Settings,
        first: FirstArrival<'_>,
        tile: &Tile,
        volume: &mut [[f32; 2]],
        stages: &mut [Duration],
    ) {
        let context = Context {
            geometry,
            settings,
            rotation: &self.rotation,
            tile,
        };
        let arrays = &mut self.arrays;
        match (&self.signals, settings.precision) {
            (Signals::F32(iq), _) => passes::<Single, f32>(&context, arrays, iq, first, stages),
            (Signals::F16(iq), Precision::F16Mixed) => {
                passes::<Mixed, f16>(&context, arrays, iq, first, stages)
            }
            (Signals::F16(iq), Precision::F16All) => {
                passes::<AllHalf, f16>(&context, arrays, iq, first, stages)
            }
            (Signals::F16(iq), _) => passes::<Single, f16>(&context, arrays, iq, first, stages),
            (Signals::Bf16(iq), Precision::Bf16All) => {
                passes::<AllBrain, bf16>(&context, arrays, iq, first, stages)
            }
            (Signals::Bf16(iq), _) => passes::<Single, bf16>(&context, arrays, iq, first, stages),
        }
        let points = tile.x.len() * tile.y.len() * tile.z.len();
        for (p, sum) in arrays.sum[..points].iter().enumerate() {
            let [x, y, z] = context.point(p);
            volume[geometry.point(x, y, z)] = *sum;
        }
    }
}

fn passes<A: Arithmetic, T: Stored>(
    context: &Context<'_>,
    arrays: &mut Arrays,
    iq: &[[T; 2]],
    first: FirstArrival<'_>,
    stages: &mut [Duration],
) {
    let (set, ne) = (context.settings.set, context.geometry.elements);
    let points = context.tile.x.len() * context.tile.y.len() * context.tile.z.len();
    let pairs = points * ne;
    let task = context.settings.task_points;
    let mut started = Instant::now();
    let mut clock = stages.iter_mut();
    let mut lap = || {
        let now = Instant::now();
        if let Some(stage) = clock.next() {
            *stage += now - started;
        }
        started = now;
    };
    let per_task = task * ne;
    (
        arrays.distance[..pairs].par_chunks_mut(per_task),
        arrays.first[..points].par_chunks_mut(task),
    )
        .into_par_iter()
        .enumerate()
        .for_each(|(t, (distance, arrival))| {
            distances::<A>(set, context, first, t * task, distance, arrival)
        });
    lap();
    (
        arrays.delay[..pairs].par_chunks_mut(per_task),
        arrays.distance.par_chunks(per_task),
        arrays.first.par_chunks(task),
    )
        .into_par_iter()
        .for_each(|(delay, distance, arrival)| delays::<A>(set, ne, delay, distance, arrival));
    lap();
    (
        arrays.index[..pairs].par_chunks_mut(per_task),
        arrays.weight[..pairs].par_chunks_mut(per_task),
        arrays.delay.par_chunks(per_task),
    )
        .into_par_iter()
        .for_each(|(index, weight, delay)| {
            indices::<A>(set, context.geometry.samples, index, weight, delay)
        });
    lap();
    (
        arrays.value[..pairs].par_chunks_mut(per_task),
        arrays.index.par_chunks(per_task),
        arrays.weight.par_chunks(per_task),
    )
        .into_par_iter()
        .enumerate()
        .for_each(|(t, (value, index, weight))| {
            interpolate::<A, T>(set, context, t * task, iq, value, index, weight)
        });
    lap();
    (
        arrays.rotated[..pairs].par_chunks_mut(per_task),
        arrays.value.par_chunks(per_task),
        arrays.delay.par_chunks(per_task),
    )
        .into_par_iter()
        .for_each(|(rotated, value, delay)| {
            rotate::<A>(
                set,
                context.rotation,
                context.geometry.cycles as f32,
                rotated,
                value,
                delay,
            )
        });
    lap();
    (
        arrays.sum[..points].par_chunks_mut(task),
        arrays.rotated.par_chunks(per_task),
    )
        .into_par_iter()
        .for_each(|(sum, rotated)| sums::<A>(set, ne, sum, rotated));
    lap();
}

compiled_for_each_set! {
    /// Distance of every pair, first arrival (less t0) of every point.
    fn distances<A: Arithmetic>(context: &Context<'_>, first: FirstArrival<'_>, from: usize, distance: &mut [f32], arrival: &mut [f32]) {
        let geometry = context.geometry;
        let ne = geometry.elements;
        let (xe, ye, ze) = (&geometry.xe[..ne], &geometry.ye[..ne], &geometry.ze[..ne]);
        for ((p, row), arrival) in (from..).zip(distance.chunks_exact_mut(ne)).zip(arrival) {
            let [i, j, k] = context.point(p);
            let (x, y, z) = (geometry.x[i], geometry.y[j], geometry.z[k]);
            for (e, r) in row.iter_mut().enumerate() {
                let square = |d: f32| {
                    let d = A::delay(A::delay(d) * A::SCALE);
                    A::delay(d * d)
                };
                let across = A::delay(square(x - xe[e]) + square(y - ye[e]));
                *r = A::delay(A::delay(A::delay(across + square(z - ze[e])).sqrt()) * (1.0 / A::SCALE));
            }
            let least = match first {
                // Several minima side by side: one would be a chain of `ne` dependent compares.
                FirstArrival::Full => {
                    let mut least = [f32::INFINITY; 16];
                    for (rows, delays) in row.chunks(16).zip(geometry.delays.chunks(16)) {
                        for ((m, r), delay) in least.iter_mut().zip(rows).zip(delays) {
                            let arrival = A::delay(r + delay);
                            *m = if arrival < *m { arrival } else { *m };
                        }
                    }
                    least.into_iter().fold(f32::INFINITY, f32::min) - geometry.start as f32
                }
                FirstArrival::Nearest(nearest) => {
                    let split = geometry.first_from_nearest(nearest[i * geometry.shape[1] + j], k);
                    split.whole + split.rest
                }
            };
            *arrival = A::delay(least);
        }
    }
}

compiled_for_each_set! {
    fn delays<A: Arithmetic>(ne: usize, delay: &mut [f32], distance: &[f32], arrival: &[f32]) {
        for ((to, from), first) in delay.chunks_exact_mut(ne).zip(distance.chunks_exact(ne)).zip(arrival) {
            for (s, r) in to.iter_mut().zip(from) {
                *s = A::delay(first + r);
            }
        }
    }
}

compiled_for_each_set! {
    /// The sample before, −1 where the delay is outside of the record, and the weight of the sample after.
    fn indices<A: Arithmetic>(samples: usize, index: &mut [i32], weight: &mut [f32], delay: &[f32]) {
        let end = (samples - 1) as f32;
        for ((i, a), s) in index.iter_mut().zip(weight).zip(delay) {
            let is_valid = *s >= 0.0 && *s < end;
            let whole = s.clamp(0.0, end) as i32;
            *i = if is_valid { whole } else { -1 };
            *a = A::delay(s - whole as f32);
        }
    }
}

compiled_for_each_set! {
    fn interpolate<A: Arithmetic, T: Stored>(context: &Context<'_>, from: usize, iq: &[[T; 2]], value: &mut [[f32; 2]], index: &[i32], weight: &[f32]) {
        let (geometry, settings) = (context.geometry, context.settings);
        let (ne, samples) = (geometry.elements, geometry.samples);
        let (stride, line) = match settings.layout {
            IqLayout::SampleElement => (ne, 1),
            IqLayout::ElementSample => (1, samples),
        };
        let rows = value.chunks_exact_mut(ne).zip(index.chunks_exact(ne)).zip(weight.chunks_exact(ne));
        for (p, ((value, index), weight)) in (from..).zip(rows) {
            let [x, y, z] = context.point(p);
            // The aperture's half width at this depth; everything without an f-number.
            let half = if settings.f_number > 0.0 { geometry.z[z] / (2.0 * settings.f_number) } else { f32::INFINITY };
            for e in 0..ne {
                let inside = (geometry.x[x] - geometry.xe[e]).abs() <= half && (geometry.y[y] - geometry.ye[e]).abs() <= half;
                if index[e] < 0 || !inside {
                    value[e] = [0.0; 2];
                    continue;
                }
                let (i, a) = (index[e] as usize, weight[e]);
                let at = |n: usize| iq[n * stride + e * line].map(T::to_f32);
                let mixed = |wa: f32, za: f32, wb: f32, zb: f32| A::value(A::value(wa * za) + A::value(wb * zb));
                value[e] = match settings.interpolation {
                    Interpolation::Linear => {
                        let (before, after, rest) = (at(i), at(i + 1), A::value(1.0 - a));
                        [mixed(rest, before[0], a, after[0]), mixed(rest, before[1], a, after[1])]
                    }
                    Interpolation::Nearest => at(i + usize::from(a >= 0.5)),
                    Interpolation::Cubic => {
                        // Beyond the record there is silence.
                        let ends = [if i > 0 { at(i - 1) } else { [0.0; 2] }, if i + 2 < samples { at(i + 2) } else { [0.0; 2] }];
                        let w = [-a * (a - 1.0) * (a - 2.0) / 6.0, (a + 1.0) * (a - 1.0) * (a - 2.0) / 2.0, -(a + 1.0) * a * (a - 2.0) / 2.0, (a + 1.0) * a * (a - 1.0) / 6.0].map(A::value);
                        let (before, after) = (at(i), at(i + 1));
                        [0, 1].map(|c| A::value(mixed(w[0], ends[0][c], w[1], before[c]) + mixed(w[2], after[c], w[3], ends[1][c])))
                    }
                };
            }
        }
    }
}

compiled_for_each_set! {
    fn rotate<A: Arithmetic>(rotation: &Rotation, cycles: f32, rotated: &mut [[f32; 2]], value: &[[f32; 2]], delay: &[f32]) {
        for ((to, v), s) in rotated.iter_mut().zip(value).zip(delay) {
            // Cycles less whole ones, before anything is multiplied by 2π. Outside of the record the value is 0.
            let phase = A::delay(s * cycles).clamp(-1e6, 1e6);
            let part = A::delay(phase - (phase + 0.5 * phase.signum()) as i32 as f32);
            let (cosine, sine) = rotation.at(part);
            let (c, s) = (A::value(cosine), A::value(sine));
            *to = [A::value(A::value(v[0] * c) - A::value(v[1] * s)), A::value(A::value(v[0] * s) + A::value(v[1] * c))];
        }
    }
}

compiled_for_each_set! {
    fn sums<A: Arithmetic>(ne: usize, sum: &mut [[f32; 2]], rotated: &[[f32; 2]]) {
        for (sum, row) in sum.iter_mut().zip(rotated.chunks_exact(ne)) {
            // Eight partial sums; one would be a chain of `ne` dependent additions.
            let mut parts = [[0.0_f32; 2]; 8];
            for group in row.chunks(8) {
                for (part, v) in parts.iter_mut().zip(group) {
                    *part = [A::sum(part[0] + v[0]), A::sum(part[1] + v[1])];
                }
            }
            *sum = parts.into_iter().fold([0.0; 2], |a, b| [A::sum(a[0] + b[0]), A::sum(a[1] + b[1])]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_is_that_of_the_half_formats() {
        let mut x = 1e-9_f32;
        while x < 1e6 {
            for value in [x, -x, x * 1.000_488_3, x * 1.001_953_1] {
                assert_eq!(to_half(value), f16::from_f32(value).to_f32(), "{value:e}");
                assert_eq!(to_brain(value), bf16::from_f32(value).to_f32(), "{value:e}");
            }
            x *= 1.003;
        }
        for value in [
            0.0,
            65_519.0,
            65_520.0,
            65_504.0,
            f32::INFINITY,
            6.1e-5,
            5.96e-8,
            2.98e-8,
        ] {
            assert_eq!(to_half(value), f16::from_f32(value).to_f32(), "{value:e}");
        }
        assert!(to_half(f32::NAN).is_nan() && to_brain(f32::NAN).is_nan());
    }
}
