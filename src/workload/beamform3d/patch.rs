//! AVX-512, 4×4 columns to a register. Delays of neighbouring columns differ by a few samples, so all sixteen lanes of a point
//! patch find their samples in one 16-sample window: four loads and four in-register permutations replace sixteen gathered records.
//!
//! Per sixteen (point, element) pairs that is about 17 multiply-adds and 7 additions, no division, no gather, no branch on data.
#![allow(
    unsafe_code,
    reason = "AVX-512 intrinsics, raw table reads; every block says why it is sound"
)]
use super::geometry::{Geometry, ROUNDER, ROUNDER_BITS};
use super::rotation::Rotation;
use super::table::{MARGIN, Table};
use super::task::{FirstArrival, Job, Tile};
use crate::workload::stored::Stored;
use half::{bf16, f16};
use std::arch::x86_64::*;

/// Columns along x and along y in a register.
const SIDE: usize = 4;
const LANES: usize = 16;
/// Depths whose sums stay in registers while the elements go by: 2·DEPTHS accumulators of 32 registers.
const DEPTHS: usize = 8;

/// A window of sixteen samples, widened to f32.
pub(super) trait Window: Stored {
    /// # Safety
    /// `from` has 16 values; the processor has AVX-512F.
    unsafe fn window(from: *const Self) -> __m512;
}

impl Window for f32 {
    #[inline(always)]
    unsafe fn window(from: *const f32) -> __m512 {
        // SAFETY: as the caller promises.
        unsafe { _mm512_loadu_ps(from) }
    }
}

impl Window for f16 {
    #[inline(always)]
    unsafe fn window(from: *const f16) -> __m512 {
        // SAFETY: as the caller promises.
        unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(from.cast())) }
    }
}

impl Window for bf16 {
    #[inline(always)]
    unsafe fn window(from: *const bf16) -> __m512 {
        // SAFETY: as the caller promises.
        unsafe {
            let wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(from.cast()));
            _mm512_castsi512_ps(_mm512_slli_epi32::<16>(wide))
        }
    }
}

/// Where the lanes' samples of one element lie, for each depth.
#[derive(Clone, Copy, PartialEq)]
enum Reach {
    /// No lane has a valid sample.
    None,
    /// Sixteen samples hold every lane's.
    One,
    /// Thirty-two do.
    Two,
    /// As `Two`, and the first or last sample is among them: there the definition jumps, so f32's doubt about the interval counts.
    Edge,
    /// Coarse grids: each lane looks for itself.
    Far,
}

/// Room that a task needs, made once a thread.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// First interval of the window, `[element][depth]`.
    bases: Vec<[i32; DEPTHS]>,
    reaches: Vec<u8>,
}

/// (z − plane)², its multiples, and what its f32 leaves off.
#[derive(Clone, Copy)]
struct Depth {
    square: f32,
    two_squares: f32,
    four_squares: f32,
    left_off: f32,
}

impl Depth {
    fn new([square, left_off]: [f32; 2]) -> Depth {
        Depth {
            square,
            two_squares: 2.0 * square,
            four_squares: 4.0 * square,
            left_off,
        }
    }
}

/// What is the same for every element of a patch and a group of depths.
struct Group {
    /// Points of the lanes, in samples.
    x: __m512,
    y: __m512,
    depths: [Depth; DEPTHS],
    /// First arrival: ROUNDER + whole part, and rest − ½.
    rounder: [__m512; DEPTHS],
    rest: [__m512; DEPTHS],
    /// Least and largest first arrival of the lanes.
    least: [f32; DEPTHS],
    most: [f32; DEPTHS],
}

/// Beamforms a tile, with or without asking for the next element's line ahead.
pub(super) fn run<T: Window>(
    prefetches: bool,
    job: &Job<'_>,
    table: &Table<T>,
    rotation: &Rotation,
    tile: &Tile,
    scratch: &mut Scratch,
) {
    // SAFETY: `Settings` refuses axis=patch without AVX-512 and on arrays that are not planar; tiles of one launch are disjoint.
    unsafe {
        match prefetches {
            true => self::tile::<T, true>(job, table, rotation, tile, scratch),
            false => self::tile::<T, false>(job, table, rotation, tile, scratch),
        }
    }
}

/// Beamforms a tile: the elements of `job.elements`, into `job.outs[0]`.
///
/// # Safety
/// The processor has AVX-512F, DQ and VL; the geometry is planar; no other thread writes the tile's points.
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512bw,fma,bmi1,bmi2,lzcnt,popcnt")]
unsafe fn tile<T: Window, const PREFETCH: bool>(
    job: &Job<'_>,
    table: &Table<T>,
    rotation: &Rotation,
    tile: &Tile,
    scratch: &mut Scratch,
) {
    scratch.bases.resize(job.geometry.padded, [0; DEPTHS]);
    scratch.reaches.resize(job.geometry.padded, 0);
    for x0 in (tile.x.start..tile.x.end).step_by(SIDE) {
        for y0 in (tile.y.start..tile.y.end).step_by(SIDE) {
            for z0 in (tile.z.start..tile.z.end).step_by(DEPTHS) {
                let patch = Tile {
                    x: x0..(x0 + SIDE).min(tile.x.end),
                    y: y0..(y0 + SIDE).min(tile.y.end),
                    z: z0..(z0 + DEPTHS).min(tile.z.end),
                    first_run: 0,
                };
                // SAFETY: as the caller promises.
                unsafe { self::patch::<T, PREFETCH>(job, table, rotation, &patch, scratch) };
            }
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512bw,fma,bmi1,bmi2,lzcnt,popcnt")]
unsafe fn patch<T: Window, const PREFETCH: bool>(
    job: &Job<'_>,
    table: &Table<T>,
    rotation: &Rotation,
    patch: &Tile,
    scratch: &mut Scratch,
) {
    let group = group(job, patch);
    windows(job.geometry, &group, patch, job, scratch);
    // SAFETY: the windows lie in the table; see `windows`.
    let sums = unsafe { sums::<T, PREFETCH>(job, table, rotation, &group, scratch) };
    for (k, [re, im]) in patch.z.clone().zip(sums) {
        let (mut real, mut imaginary) = ([0.0_f32; LANES], [0.0_f32; LANES]);
        // SAFETY: both have sixteen values.
        unsafe {
            _mm512_storeu_ps(real.as_mut_ptr(), re);
            _mm512_storeu_ps(imaginary.as_mut_ptr(), im);
        }
        for (i, x) in patch.x.clone().enumerate() {
            for (j, y) in patch.y.clone().enumerate() {
                let lane = i * SIDE + j;
                // SAFETY: the point is in this task's tile.
                unsafe {
                    job.outs[0].write(job.geometry.point(x, y, k), [real[lane], imaginary[lane]])
                };
            }
        }
    }
}

/// Lanes beyond the edge of the tile repeat its last column, so that they reach no further than the others.
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512bw,fma")]
fn group(job: &Job<'_>, patch: &Tile) -> Group {
    let geometry = job.geometry;
    let column = |lane: usize| {
        (
            (patch.x.start + lane / SIDE).min(patch.x.end - 1),
            (patch.y.start + lane % SIDE).min(patch.y.end - 1),
        )
    };
    let x: [f32; LANES] = std::array::from_fn(|lane| geometry.x[column(lane).0]);
    let y: [f32; LANES] = std::array::from_fn(|lane| geometry.y[column(lane).1]);
    let depth = |d: usize| (patch.z.start + d).min(patch.z.end - 1);
    let plane = geometry.plane.unwrap_or(0.0);
    // SAFETY: sixteen values each.
    let (x, y) = unsafe { (_mm512_loadu_ps(x.as_ptr()), _mm512_loadu_ps(y.as_ptr())) };
    let mut group = Group {
        x,
        y,
        depths: std::array::from_fn(|d| Depth::new(geometry.square_of_depth(depth(d)))),
        rounder: [_mm512_setzero_ps(); DEPTHS],
        rest: [_mm512_setzero_ps(); DEPTHS],
        least: [0.0; DEPTHS],
        most: [0.0; DEPTHS],
    };
    for d in 0..DEPTHS {
        let (mut rounder, mut rest, mut total) =
            ([0.0_f32; LANES], [0.0_f32; LANES], [0.0_f32; LANES]);
        match job.first {
            FirstArrival::Nearest(nearest) => {
                for lane in 0..LANES {
                    let (i, j) = column(lane);
                    let first =
                        geometry.first_from_nearest(nearest[i * geometry.shape[1] + j], depth(d));
                    (rounder[lane], rest[lane]) = (ROUNDER + first.whole, first.rest - 0.5);
                    total[lane] = first.whole + first.rest;
                }
                // SAFETY: sixteen values each.
                (group.rounder[d], group.rest[d]) = unsafe {
                    (
                        _mm512_loadu_ps(rounder.as_ptr()),
                        _mm512_loadu_ps(rest.as_ptr()),
                    )
                };
            }
            FirstArrival::Full => {
                let anchor = (geometry.z[depth(d)] - plane).abs().round();
                let least = least_arrival(geometry, x, y, &group.depths[d], anchor);
                // anchor − t0 may have a fraction; both parts are small, so nothing is lost.
                let start = f64::from(anchor) - geometry.start;
                let (whole, part) = (start.round() as f32, (start - start.round()) as f32);
                let shifted = _mm512_add_ps(least, _mm512_set1_ps(part));
                let rounded = _mm512_sub_ps(
                    _mm512_add_ps(shifted, _mm512_set1_ps(ROUNDER)),
                    _mm512_set1_ps(ROUNDER),
                );
                group.rest[d] = _mm512_sub_ps(_mm512_sub_ps(shifted, rounded), _mm512_set1_ps(0.5));
                group.rounder[d] = _mm512_add_ps(rounded, _mm512_set1_ps(ROUNDER + whole));
                // SAFETY: sixteen values.
                unsafe {
                    _mm512_storeu_ps(
                        total.as_mut_ptr(),
                        _mm512_add_ps(shifted, _mm512_set1_ps(whole)),
                    )
                };
            }
        }
        group.least[d] = total.iter().copied().fold(f32::INFINITY, f32::min);
        group.most[d] = total.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    }
    group
}

/// min over the elements of (delay + distance), less `anchor`, which keeps the numbers small.
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512bw,fma")]
fn least_arrival(geometry: &Geometry, x: __m512, y: __m512, depth: &Depth, anchor: f32) -> __m512 {
    let anchor = _mm512_set1_ps(anchor);
    let mut least = _mm512_set1_ps(f32::INFINITY);
    for e in 0..geometry.elements {
        let dx = _mm512_sub_ps(x, _mm512_set1_ps(geometry.xe[e]));
        let dy = _mm512_sub_ps(y, _mm512_set1_ps(geometry.ye[e]));
        let (r, rest) = root(
            &Across::new(dx, dy),
            depth,
            _mm512_set1_ps(geometry.delays[e]),
        );
        least = _mm512_min_ps(least, _mm512_add_ps(_mm512_sub_ps(r, anchor), rest));
    }
    least
}

/// ρ² of a column and an element, and its multiples that save `root` a multiplication.
#[derive(Clone, Copy)]
struct Across {
    once: __m512,
    twice: __m512,
    four_times: __m512,
}

impl Across {
    #[inline]
    #[target_feature(enable = "avx512f,fma")]
    fn new(dx: __m512, dy: __m512) -> Across {
        let once = _mm512_fmadd_ps(dx, dx, _mm512_mul_ps(dy, dy));
        let twice = _mm512_add_ps(once, once);
        Across {
            once,
            twice,
            four_times: _mm512_add_ps(twice, twice),
        }
    }
}

/// √(ρ² + depth²) as r + correction: an estimate of 14 bits and its Newton step, kept apart since their sum would round the step
/// away. The larger square meets r² in one multiply-add, so what is left has almost no error. Gives r and `rest + correction`.
///
/// The estimate is that of 1/√(4s), the ½/√s that the Newton step wants; r = 2s·½/√s. An addition more, a multiplication less:
/// multiply-adds are what this kernel runs out of.
#[inline]
#[target_feature(enable = "avx512f,fma")]
fn root(across: &Across, depth: &Depth, rest: __m512) -> (__m512, __m512) {
    let half_inverse = _mm512_rsqrt14_ps(_mm512_add_ps(
        across.four_times,
        _mm512_set1_ps(depth.four_squares),
    ));
    let r = _mm512_mul_ps(
        _mm512_add_ps(across.twice, _mm512_set1_ps(depth.two_squares)),
        half_inverse,
    );
    let near = _mm512_add_ps(
        _mm512_fnmadd_ps(r, r, _mm512_set1_ps(depth.square)),
        across.once,
    );
    let miss = _mm512_add_ps(near, _mm512_set1_ps(depth.left_off));
    (r, _mm512_fmadd_ps(miss, half_inverse, rest))
}

/// For sixteen elements at a time and each depth: the window that all lanes' samples lie in, from the nearest and the farthest
/// corner of the patch. One sixteenth of the work of the sums, and it spares them every test.
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512bw,fma")]
fn windows(geometry: &Geometry, group: &Group, patch: &Tile, job: &Job<'_>, scratch: &mut Scratch) {
    let middle = |axis: &[f32], range: &std::ops::Range<usize>| {
        let (a, b) = (axis[range.start], axis[range.end - 1]);
        // A hair wider, for the rounding of the middle.
        (0.5 * (a + b), 0.500_001 * (b - a).abs())
    };
    let ((xm, xh), (ym, yh)) = (middle(&geometry.x, &patch.x), middle(&geometry.y, &patch.y));
    let last = geometry.samples as i32 - 2;
    let spread = |centre: f32, half: f32, from: &[f32]| {
        // SAFETY: the caller passes sixteen values.
        let at = unsafe { _mm512_loadu_ps(from.as_ptr()) };
        let far = _mm512_abs_ps(_mm512_sub_ps(_mm512_set1_ps(centre), at));
        let near = _mm512_max_ps(
            _mm512_sub_ps(far, _mm512_set1_ps(half)),
            _mm512_setzero_ps(),
        );
        (near, _mm512_add_ps(far, _mm512_set1_ps(half)))
    };
    let floor = |v: __m512, slack: f32| {
        _mm512_cvt_roundps_epi32::<{ _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC }>(_mm512_add_ps(
            v,
            _mm512_set1_ps(slack),
        ))
    };
    for first in job.elements.clone().step_by(LANES) {
        let range = first..first + LANES;
        let ((xn, xf), (yn, yf)) = (
            spread(xm, xh, &geometry.xe[range.clone()]),
            spread(ym, yh, &geometry.ye[range]),
        );
        let near2 = _mm512_fmadd_ps(xn, xn, _mm512_mul_ps(yn, yn));
        let far2 = _mm512_fmadd_ps(xf, xf, _mm512_mul_ps(yf, yf));
        let (mut widest, mut valid, mut edge) = (_mm512_setzero_si512(), 0_u16, 0_u16);
        for d in 0..DEPTHS {
            let depth2 = _mm512_set1_ps(group.depths[d].square);
            let distance = |across2: __m512| {
                let square = _mm512_add_ps(across2, depth2);
                _mm512_mul_ps(square, _mm512_rsqrt14_ps(square))
            };
            // rsqrt14 is off by up to 2^-14: 0.03 samples at 500; the slack covers it up to 2,000.
            let slack = 0.02 + group.most[d].abs() * 1e-4;
            let low = floor(
                _mm512_add_ps(distance(near2), _mm512_set1_ps(group.least[d])),
                -slack,
            );
            let high = floor(
                _mm512_add_ps(distance(far2), _mm512_set1_ps(group.most[d])),
                slack,
            );
            let (starts_by, ends_by) = (
                |n| _mm512_cmple_epi32_mask(low, _mm512_set1_epi32(n)),
                |n| _mm512_cmpge_epi32_mask(high, _mm512_set1_epi32(n)),
            );
            valid |= starts_by(last) & ends_by(0);
            edge |= starts_by(last + 1) & ends_by(last) | starts_by(0) & ends_by(-1);
            widest = _mm512_max_epi32(widest, _mm512_sub_epi32(high, low));
            let base = _mm512_max_epi32(
                _mm512_min_epi32(low, _mm512_set1_epi32(last + 1)),
                _mm512_set1_epi32(-(MARGIN as i32)),
            );
            let mut bases = [0_i32; LANES];
            // SAFETY: sixteen values.
            unsafe { _mm512_storeu_si512(bases.as_mut_ptr().cast(), base) };
            for (lane, base) in bases.into_iter().enumerate() {
                scratch.bases[first + lane][d] = base;
            }
        }
        let one = _mm512_cmplt_epi32_mask(widest, _mm512_set1_epi32(16));
        let two = _mm512_cmplt_epi32_mask(widest, _mm512_set1_epi32(32));
        for lane in 0..LANES {
            let has = |mask: u16| mask >> lane & 1 == 1;
            scratch.reaches[first + lane] = match () {
                () if !has(valid) => Reach::None,
                () if has(edge) && has(two) => Reach::Edge,
                () if has(one) => Reach::One,
                () if has(two) => Reach::Two,
                () => Reach::Far,
            } as u8;
        }
    }
}

/// The sums over the elements, in registers.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512bw,fma,bmi1,bmi2,lzcnt,popcnt")]
unsafe fn sums<T: Window, const PREFETCH: bool>(
    job: &Job<'_>,
    table: &Table<T>,
    rotation: &Rotation,
    group: &Group,
    scratch: &Scratch,
) -> [[__m512; 2]; DEPTHS] {
    let geometry = job.geometry;
    let polynomials = Polynomials {
        cosine: std::array::from_fn(|i| _mm512_set1_ps(rotation.cosine[i])),
        sine: std::array::from_fn(|i| _mm512_set1_ps(rotation.sine[i])),
    };
    let mut sums = [[_mm512_setzero_ps(); 2]; DEPTHS];
    let end = job.elements.end.min(geometry.elements);
    for e in job.elements.start..end {
        let reach = scratch.reaches[e];
        if reach == Reach::None as u8 {
            continue;
        }
        let dx = _mm512_sub_ps(group.x, _mm512_set1_ps(geometry.xe[e]));
        let dy = _mm512_sub_ps(group.y, _mm512_set1_ps(geometry.ye[e]));
        let across = Across::new(dx, dy);
        let line = table
            .values
            .as_ptr()
            .wrapping_add(e * 4 * table.length + MARGIN);
        if PREFETCH {
            for plane in 0..4 {
                let next = line
                    .wrapping_add((4 + plane) * table.length)
                    .wrapping_offset(scratch.bases[e][0] as isize);
                _mm_prefetch::<_MM_HINT_T0>(next.cast());
                _mm_prefetch::<_MM_HINT_T0>(next.cast::<i8>().wrapping_add(64));
            }
        }
        let element = Element {
            across,
            line,
            length: table.length,
            bases: &scratch.bases[e],
            samples: geometry.samples,
        };
        // SAFETY: as the caller promises.
        unsafe {
            match reach {
                ONE => add::<T, ONE>(&element, group, &polynomials, &mut sums),
                TWO => add::<T, TWO>(&element, group, &polynomials, &mut sums),
                EDGE => add::<T, EDGE>(&element, group, &polynomials, &mut sums),
                _ => add::<T, FAR>(&element, group, &polynomials, &mut sums),
            }
        }
    }
    sums
}

const ONE: u8 = Reach::One as u8;
const TWO: u8 = Reach::Two as u8;
const EDGE: u8 = Reach::Edge as u8;
const FAR: u8 = Reach::Far as u8;

/// One element as all depths of a patch see it.
struct Element<'a, T> {
    across: Across,
    /// Interval 0 of the first plane.
    line: *const T,
    length: usize,
    bases: &'a [i32; DEPTHS],
    samples: usize,
}

struct Polynomials {
    cosine: [__m512; 4],
    sine: [__m512; 3],
}

/// Adds an element to the sums of all depths. Written out eight times, so that the sums stay in registers: the compiler does not
/// unroll a loop of this length.
#[inline(always)]
unsafe fn add<T: Window, const REACH: u8>(
    element: &Element<'_, T>,
    group: &Group,
    polynomials: &Polynomials,
    sums: &mut [[__m512; 2]; DEPTHS],
) {
    macro_rules! depths {
        ($($d:literal)*) => { $(
            // SAFETY: as the caller promises.
            sums[$d] = unsafe { term::<T, REACH>(element, group, $d, polynomials, sums[$d]) };
        )* };
    }
    depths!(0 1 2 3 4 5 6 7);
}

/// One term of sixteen sums.
#[inline(always)]
unsafe fn term<T: Window, const REACH: u8>(
    element: &Element<'_, T>,
    group: &Group,
    d: usize,
    Polynomials {
        cosine: [c0, c1, c2, c3],
        sine: [s0, s1, s2],
    }: &Polynomials,
    [re_sum, im_sum]: [__m512; 2],
) -> [__m512; 2] {
    // SAFETY: the processor has the features; `windows` keeps −MARGIN ≤ base ≤ samples − 1, so that 32 values from there on lie in
    // the plane.
    unsafe {
        let (r, rest) = root(&element.across, &group.depths[d], group.rest[d]);
        let mut rounded = _mm512_add_ps(_mm512_add_ps(r, rest), group.rounder[d]);
        // Exact: the whole number of samples leaves the distance before anything small is added to it.
        let mut u = _mm512_add_ps(
            _mm512_sub_ps(r, _mm512_sub_ps(rounded, group.rounder[d])),
            rest,
        );
        if REACH == EDGE || REACH == FAR {
            // A second rounding, of a number that is small enough to be exact: a step to the neighbouring interval, if any.
            let steps = _mm512_sub_ps(
                _mm512_add_ps(u, _mm512_set1_ps(ROUNDER)),
                _mm512_set1_ps(ROUNDER),
            );
            u = _mm512_sub_ps(u, steps);
            rounded = _mm512_add_ps(rounded, steps);
        }
        let bits = _mm512_castps_si512(rounded);
        let [mr, mi, hr, hi] = if REACH == FAR {
            found(element.line, element.length, bits, element.samples)
        } else {
            let base = element.bases[d];
            let index = _mm512_sub_epi32(
                bits,
                _mm512_set1_epi32(base.wrapping_add(ROUNDER_BITS as i32)),
            );
            let from = element.line.wrapping_offset(base as isize);
            std::array::from_fn(|plane| {
                let low = T::window(from.wrapping_add(plane * element.length));
                match REACH {
                    ONE => _mm512_permutexvar_ps(index, low),
                    _ => _mm512_permutex2var_ps(
                        low,
                        index,
                        T::window(from.wrapping_add(plane * element.length + LANES)),
                    ),
                }
            })
        };
        let (re, im) = (_mm512_fmadd_ps(u, hr, mr), _mm512_fmadd_ps(u, hi, mi));
        let q = _mm512_mul_ps(u, u);
        let cosine = _mm512_fmadd_ps(
            _mm512_fmadd_ps(_mm512_fmadd_ps(*c3, q, *c2), q, *c1),
            q,
            *c0,
        );
        let sine = _mm512_mul_ps(u, _mm512_fmadd_ps(_mm512_fmadd_ps(*s2, q, *s1), q, *s0));
        [
            _mm512_fnmadd_ps(im, sine, _mm512_fmadd_ps(re, cosine, re_sum)),
            _mm512_fmadd_ps(im, cosine, _mm512_fmadd_ps(re, sine, im_sum)),
        ]
    }
}

/// The four planes, each lane from its own place.
#[inline(never)]
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512bw")]
unsafe fn found<T: Window>(
    line: *const T,
    length: usize,
    bits: __m512i,
    samples: usize,
) -> [__m512; 4] {
    let mut indices = [0_u32; LANES];
    let relative = _mm512_sub_epi32(bits, _mm512_set1_epi32(ROUNDER_BITS as i32));
    // As unsigned numbers negative ones are large too: both ends come to the silent interval after the last.
    let kept = _mm512_min_epu32(relative, _mm512_set1_epi32(samples as i32 - 1));
    // SAFETY: sixteen values; intervals 0..samples lie in the line.
    unsafe {
        _mm512_storeu_si512(indices.as_mut_ptr().cast(), kept);
        std::array::from_fn(|plane| {
            let values: [f32; LANES] =
                indices.map(|i| (*line.wrapping_add(plane * length + i as usize)).to_f32());
            _mm512_loadu_ps(values.as_ptr())
        })
    }
}
