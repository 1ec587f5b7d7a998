//! The fast form. The phase of a pair is split: exp(2πj·κ·s) with s = i + a samples and κ = fc/fs cycles a sample is
//! exp(2πj·κ·(i + ½)) · exp(2πj·κ·(a − ½)). The first factor belongs to a sample of the table and is applied to it once, when
//! the table is made; the second is a short polynomial, since |κ·(a − ½)| ≤ κ/2. No range reduction and no sine is left in the
//! loop: a pair costs a square root, four table reads and about twenty multiply-adds. The sum is over the same terms as in the
//! definition, so the answer differs by rounding only.
//!
//! Points are vectorized along z, where a column shares its distance in the plane. A tile of columns keeps its sums in cache
//! while the elements stream past; an element's table stays in L1 for the whole tile.
#![allow(
    unsafe_code,
    reason = "SIMD intrinsics behind run-time detection, with reads that are bounded beforehand"
)]
use super::Choice;
use super::input::Input;
use rayon::prelude::*;

/// The instruction set that the kernel is compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Isa {
    Portable,
    Avx2,
    Avx512,
}

impl Isa {
    /// # Errors
    /// When this processor does not have it.
    pub(super) fn of(name: &str) -> Result<Isa, String> {
        let has = crate::device::isa();
        match name {
            "portable" => Ok(Isa::Portable),
            "auto" => Ok(match has {
                "avx512" => Isa::Avx512,
                "avx2" => Isa::Avx2,
                _ => Isa::Portable,
            }),
            "avx2" if has != "portable" => Ok(Isa::Avx2),
            "avx512" if has == "avx512" => Ok(Isa::Avx512),
            other => Err(format!("this processor has no {other}")),
        }
    }
}

/// Points along z that are worked on at once.
const LANES: usize = 16;

/// Each element's samples as value and difference to the next, both turned by their own phase: `re`, `im`, `d re`, `d im`, each
/// `stride` long with zeros before the first sample and after the last, so that an index out of range reads zeros.
pub(super) struct Table {
    values: Vec<f32>,
    stride: usize,
    /// Index of sample 0.
    front: usize,
    /// Positions in samples.
    elements: Vec<(f32, f32)>,
    delays: Vec<f32>,
    x: Vec<f32>,
    y: Vec<f32>,
    /// Squares, padded to whole vectors.
    z_squared: Vec<f32>,
    /// Added to the sum of distances: −t0 and the front of the table.
    offset: f32,
    /// Last index whose successor exists, in table indices.
    last: i32,
    /// 2πκ: angle a sample.
    angle: f32,
    searches: bool,
}

impl Table {
    pub(super) fn new(input: &Input, choice: &Choice) -> Table {
        let k = input.fs / input.c;
        let scaled = |v: f32| (f64::from(v) * k) as f32;
        let elements: Vec<(f32, f32)> = input
            .elements
            .iter()
            .map(|(x, y)| (scaled(*x), scaled(*y)))
            .collect();
        let delays: Vec<f32> = input
            .delays
            .iter()
            .map(|d| (f64::from(*d) * input.fs) as f32)
            .collect();
        let (x, y): (Vec<f32>, Vec<f32>) = (
            input.x.iter().map(|v| scaled(*v)).collect(),
            input.y.iter().map(|v| scaled(*v)).collect(),
        );
        let mut z: Vec<f32> = input.z.iter().map(|v| scaled(*v)).collect();
        let deepest = z.last().copied().unwrap_or(0.0);
        z.resize(z.len().next_multiple_of(LANES), deepest);
        // No index can be smaller than −front or larger than the farthest corner's.
        let least_delay = delays.iter().copied().fold(f32::INFINITY, f32::min);
        let t0 = (input.t0 * input.fs) as f32;
        let front = (t0 - least_delay).max(0.0).ceil() as usize + 1;
        let reach = |v: &[f32], e: fn(&(f32, f32)) -> f32| {
            let far = v.iter().fold(0.0_f32, |m, a| m.max(a.abs()));
            far + elements.iter().map(e).fold(0.0_f32, |m, a| m.max(a.abs()))
        };
        let (rx, ry) = (reach(&x, |e| e.0), reach(&y, |e| e.1));
        let most_delay = delays.iter().copied().fold(0.0_f32, f32::max);
        let farthest = 2.0 * (rx * rx + ry * ry + deepest * deepest).sqrt() + most_delay + t0.abs();
        // Three whole registers are read from any index.
        let stride =
            (front + (farthest.ceil() as usize).max(input.samples) + 64).next_multiple_of(LANES);
        let mut table = Table {
            values: vec![0.0; 4 * stride * elements.len()],
            stride,
            front,
            z_squared: z.iter().map(|v| v * v).collect(),
            elements,
            delays,
            x,
            y,
            offset: front as f32 - t0,
            last: (front + input.samples - 2) as i32,
            angle: (std::f64::consts::TAU * input.fc / input.fs) as f32,
            searches: choice.searches_transmit
                || input.delays.iter().any(|d| *d != input.delays[0]),
        };
        table.fill(input);
        table
    }

    fn fill(&mut self, input: &Input) {
        let n = input.elements.len();
        let kappa = input.fc / input.fs;
        // The phase half a sample further, reduced in cycles.
        let turns: Vec<(f64, f64)> = (0..input.samples)
            .map(|i| {
                let turn = kappa * (i as f64 + 0.5);
                let (sin, cos) = (std::f64::consts::TAU * (turn - turn.round())).sin_cos();
                (cos, sin)
            })
            .collect();
        let (stride, front) = (self.stride, self.front);
        self.values
            .par_chunks_mut(4 * stride)
            .enumerate()
            .for_each(|(e, line)| {
                for (i, (cos, sin)) in turns.iter().enumerate().take(input.samples - 1) {
                    let (u, v) = (input.iq[i * n + e], input.iq[(i + 1) * n + e]);
                    let (u, v) = (u.map(f64::from), v.map(f64::from));
                    let turn = |z: [f64; 2]| [z[0] * cos - z[1] * sin, z[0] * sin + z[1] * cos];
                    // Centred as well: the value in the middle, plus (a − ½) times the difference.
                    let middle = turn([(u[0] + v[0]) / 2.0, (u[1] + v[1]) / 2.0]);
                    let step = turn([v[0] - u[0], v[1] - u[1]]);
                    let at = front + i;
                    line[at] = middle[0] as f32;
                    line[stride + at] = middle[1] as f32;
                    line[2 * stride + at] = step[0] as f32;
                    line[3 * stride + at] = step[1] as f32;
                }
            });
    }

    fn line(&self, e: usize) -> &[f32] {
        &self.values[4 * self.stride * e..][..4 * self.stride]
    }
}

/// Sums of a tile of columns: `[column][z]`, real and imaginary apart.
struct Sums {
    re: Vec<f32>,
    im: Vec<f32>,
    first: Vec<f32>,
}

/// One column over one element: adds to the sums of `z_squared.len()` points.
struct Column<'a> {
    line: &'a [f32],
    next_line: Option<&'a [f32]>,
    stride: usize,
    /// Distance in the plane, squared.
    plane: f32,
    z_squared: &'a [f32],
    /// Virtual first arrival plus the offset of the table.
    first: &'a [f32],
    last: i32,
    angle: f32,
}

/// Runs the kernel on the current thread pool.
pub(super) fn factored(input: &Input, choice: &Choice, table: &Table, volume: &mut [[f32; 2]]) {
    let (ny, nz) = (input.y.len(), input.z.len());
    // Slabs along x are contiguous in the volume. None may be so thick that a thread has nothing to do.
    let threads = rayon::current_num_threads();
    let slab = choice.tile[0].min(input.x.len().div_ceil(threads)).max(1);
    let depth = choice.tile[2]
        .next_multiple_of(LANES)
        .min(table.z_squared.len());
    volume
        .par_chunks_mut(slab * ny * nz)
        .enumerate()
        .for_each(|(number, out)| {
            let columns_x = out.len() / (ny * nz);
            let mut sums = Sums {
                re: vec![],
                im: vec![],
                first: vec![],
            };
            for y0 in (0..ny).step_by(choice.tile[1]) {
                let columns_y = choice.tile[1].min(ny - y0);
                for z0 in (0..table.z_squared.len()).step_by(depth) {
                    let z = z0..(z0 + depth).min(table.z_squared.len());
                    let columns: Vec<(f32, f32)> = (0..columns_x)
                        .flat_map(|i| (0..columns_y).map(move |j| (i, j)))
                        .map(|(i, j)| (table.x[number * slab + i], table.y[y0 + j]))
                        .collect();
                    tile(table, choice, &columns, z.clone(), &mut sums);
                    for (column, (re, im)) in sums
                        .re
                        .chunks(z.len())
                        .zip(sums.im.chunks(z.len()))
                        .enumerate()
                    {
                        let (i, j) = (column / columns_y, y0 + column % columns_y);
                        for (k, (re, im)) in
                            z.clone().zip(re.iter().zip(im)).filter(|(k, _)| *k < nz)
                        {
                            out[(i * ny + j) * nz + k] = [*re, *im];
                        }
                    }
                }
            }
        });
}

fn tile(
    table: &Table,
    choice: &Choice,
    columns: &[(f32, f32)],
    z: std::ops::Range<usize>,
    sums: &mut Sums,
) {
    let depth = z.len();
    let z_squared = &table.z_squared[z];
    for sum in [&mut sums.re, &mut sums.im] {
        sum.clear();
        sum.resize(columns.len() * depth, 0.0);
    }
    first_arrivals(table, columns, z_squared, &mut sums.first);
    for (e, position) in table.elements.iter().enumerate() {
        let next_line =
            (choice.prefetches && e + 1 < table.elements.len()).then(|| table.line(e + 1));
        for (c, (x, y)) in columns.iter().enumerate() {
            let (dx, dy) = (x - position.0, y - position.1);
            let part = c * depth..(c + 1) * depth;
            let column = Column {
                line: table.line(e),
                next_line: next_line.filter(|_| c == 0),
                stride: table.stride,
                plane: dx * dx + dy * dy,
                z_squared,
                first: &sums.first[part.clone()],
                last: table.last,
                angle: table.angle,
            };
            column.add(choice.simd, &mut sums.re[part.clone()], &mut sums.im[part]);
        }
    }
}

/// Virtual first arrivals of the tile's points, with the table's offset.
fn first_arrivals(table: &Table, columns: &[(f32, f32)], z_squared: &[f32], first: &mut Vec<f32>) {
    first.clear();
    for (x, y) in columns {
        let start = first.len();
        if table.searches {
            first.resize(start + z_squared.len(), f32::INFINITY);
            for ((ex, ey), delay) in table.elements.iter().zip(&table.delays) {
                let (dx, dy) = (x - ex, y - ey);
                let plane = dx * dx + dy * dy;
                for (out, z) in first[start..].iter_mut().zip(z_squared) {
                    *out = out.min((plane + z).sqrt() + delay);
                }
            }
        } else {
            // Equal delays: the nearest element, which in a matrix array is nearest in x and in y.
            let nearest = |get: fn(&(f32, f32)) -> f32, v: f32| {
                table
                    .elements
                    .iter()
                    .map(|e| (v - get(e)).abs())
                    .fold(f32::INFINITY, f32::min)
            };
            let (dx, dy) = (nearest(|e| e.0, *x), nearest(|e| e.1, *y));
            let plane = dx * dx + dy * dy;
            first.extend(
                z_squared
                    .iter()
                    .map(|z| (plane + z).sqrt() + table.delays[0]),
            );
        }
        first[start..].iter_mut().for_each(|v| *v += table.offset);
    }
}

/// cos and sin of angles up to π/4 in magnitude by their Taylor series in Horner's form: the first term left out is below
/// 3e-8 for the cosine and 4e-9 for the sine.
#[inline(always)]
fn cos_sin(x: f32, fma: impl Fn(f32, f32, f32) -> f32) -> (f32, f32) {
    let u = x * x;
    let cos = fma(
        u,
        fma(
            u,
            fma(u, fma(u, 1.0 / 40_320.0, -1.0 / 720.0), 1.0 / 24.0),
            -0.5,
        ),
        1.0,
    );
    let sin = x * fma(
        u,
        fma(
            u,
            fma(u, fma(u, 1.0 / 362_880.0, -1.0 / 5040.0), 1.0 / 120.0),
            -1.0 / 6.0,
        ),
        1.0,
    );
    (cos, sin)
}

impl Column<'_> {
    fn add(&self, isa: Isa, re: &mut [f32], im: &mut [f32]) {
        #[cfg(target_arch = "x86_64")]
        match isa {
            // SAFETY: `Isa::of` gives these only where the processor has them.
            Isa::Avx512 => return unsafe { self.avx512(re, im) },
            // SAFETY: as above.
            Isa::Avx2 => return unsafe { self.avx2(re, im) },
            Isa::Portable => {}
        }
        let _ = isa;
        self.lanes(re, im, |a, b, c| a * b + c);
    }

    /// Sixteen points at a time in plain arrays; the compiler makes of it what the enabled features allow.
    #[inline(always)]
    fn lanes(&self, re: &mut [f32], im: &mut [f32], fma: impl Fn(f32, f32, f32) -> f32 + Copy) {
        if let Some(next) = self.next_line {
            prefetch(next);
        }
        let chunks = self
            .z_squared
            .chunks_exact(LANES)
            .zip(self.first.chunks_exact(LANES));
        for ((z, first), (re, im)) in
            chunks.zip(re.chunks_exact_mut(LANES).zip(im.chunks_exact_mut(LANES)))
        {
            let mut index = [0_i32; LANES];
            let mut a = [0.0_f32; LANES];
            for l in 0..LANES {
                let s = (self.plane + z[l]).sqrt() + first[l];
                let floor = s.floor();
                index[l] = floor as i32;
                a[l] = s - floor - 0.5;
            }
            if index[0] > self.last {
                // Distances grow along z: nothing of this column is in range from here on.
                return;
            }
            let mut v = [[0.0_f32; LANES]; 4];
            for l in 0..LANES {
                let at = index[l].clamp(0, self.stride as i32 - 1) as usize;
                for (part, v) in v.iter_mut().enumerate() {
                    v[l] = self.line[part * self.stride + at];
                }
            }
            for l in 0..LANES {
                let (cos, sin) = cos_sin(self.angle * a[l], fma);
                let (x, y) = (fma(a[l], v[2][l], v[0][l]), fma(a[l], v[3][l], v[1][l]));
                re[l] = fma(x, cos, fma(-y, sin, re[l]));
                im[l] = fma(x, sin, fma(y, cos, im[l]));
            }
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    fn avx2(&self, re: &mut [f32], im: &mut [f32]) {
        self.lanes(re, im, f32::mul_add);
    }

    /// The table is read without gathers: along z a vector's sixteen indices lie within 48 of the first, so three loads and
    /// two permutations fetch all of them.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512dq,fma")]
    fn avx512(&self, re: &mut [f32], im: &mut [f32]) {
        use std::arch::x86_64::*;
        if let Some(next) = self.next_line {
            prefetch(next);
        }
        let plane = _mm512_set1_ps(self.plane);
        let angle = _mm512_set1_ps(self.angle);
        let half = _mm512_set1_ps(0.5);
        let n = self
            .z_squared
            .len()
            .min(self.first.len())
            .min(re.len())
            .min(im.len())
            / LANES
            * LANES;
        for at in (0..n).step_by(LANES) {
            // SAFETY: `at + 16 ≤ n`, which no slice is shorter than.
            let (z, first) = unsafe {
                (
                    _mm512_loadu_ps(self.z_squared.as_ptr().add(at)),
                    _mm512_loadu_ps(self.first.as_ptr().add(at)),
                )
            };
            let square = _mm512_add_ps(plane, z);
            // Newton's step on the 14-bit estimate: √x = x·y, then x·y + ½y(x − (x·y)²), full single precision.
            let estimate = _mm512_rsqrt14_ps(square);
            let root = _mm512_mul_ps(square, estimate);
            let error = _mm512_fnmadd_ps(root, root, square);
            let root = _mm512_fmadd_ps(error, _mm512_mul_ps(half, estimate), root);
            let s = _mm512_add_ps(root, first);
            let floor = _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC }>(s);
            let a = _mm512_sub_ps(_mm512_sub_ps(s, floor), half);
            let index = _mm512_cvtps_epi32(floor);
            let base = _mm_cvtsi128_si32(_mm512_castsi512_si128(index));
            if base > self.last {
                return;
            }
            let place = _mm512_sub_epi32(index, _mm512_set1_epi32(base));
            let beyond = _mm512_cmpgt_epu32_mask(place, _mm512_set1_epi32(47));
            let v = if beyond == 0 && base >= 0 && base as usize + 48 <= self.stride {
                self.permuted(base as usize, place)
            } else {
                self.gathered(index)
            };
            let x = _mm512_fmadd_ps(a, v[2], v[0]);
            let y = _mm512_fmadd_ps(a, v[3], v[1]);
            let turn = _mm512_mul_ps(angle, a);
            let u = _mm512_mul_ps(turn, turn);
            let c = |v: f32| _mm512_set1_ps(v);
            let cos = _mm512_fmadd_ps(u, c(1.0 / 40_320.0), c(-1.0 / 720.0));
            let cos = _mm512_fmadd_ps(u, cos, c(1.0 / 24.0));
            let cos = _mm512_fmadd_ps(u, cos, c(-0.5));
            let cos = _mm512_fmadd_ps(u, cos, c(1.0));
            let sin = _mm512_fmadd_ps(u, c(1.0 / 362_880.0), c(-1.0 / 5040.0));
            let sin = _mm512_fmadd_ps(u, sin, c(1.0 / 120.0));
            let sin = _mm512_fmadd_ps(u, sin, c(-1.0 / 6.0));
            let sin = _mm512_mul_ps(turn, _mm512_fmadd_ps(u, sin, c(1.0)));
            // SAFETY: as above, for the sums.
            unsafe {
                let (pr, pi) = (re.as_mut_ptr().add(at), im.as_mut_ptr().add(at));
                let r = _mm512_fmadd_ps(x, cos, _mm512_fnmadd_ps(y, sin, _mm512_loadu_ps(pr)));
                let i = _mm512_fmadd_ps(x, sin, _mm512_fmadd_ps(y, cos, _mm512_loadu_ps(pi)));
                _mm512_storeu_ps(pr, r);
                _mm512_storeu_ps(pi, i);
            }
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512dq,fma")]
    #[inline]
    fn permuted(
        &self,
        base: usize,
        place: std::arch::x86_64::__m512i,
    ) -> [std::arch::x86_64::__m512; 4] {
        use std::arch::x86_64::*;
        let is_third = _mm512_cmpgt_epu32_mask(place, _mm512_set1_epi32(31));
        std::array::from_fn(|part| {
            // SAFETY: the caller has checked that 48 values from `base` lie inside this part's `stride`.
            let (a, b, c) = unsafe {
                let from = self.line.as_ptr().add(part * self.stride + base);
                (
                    _mm512_loadu_ps(from),
                    _mm512_loadu_ps(from.add(16)),
                    _mm512_loadu_ps(from.add(32)),
                )
            };
            // Of an index only the bits that count are read: five choose among 32, four among 16.
            _mm512_mask_permutexvar_ps(_mm512_permutex2var_ps(a, place, b), is_third, place, c)
        })
    }

    /// For the few vectors whose indices spread further, or leave the table.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512dq,fma")]
    #[inline]
    fn gathered(&self, index: std::arch::x86_64::__m512i) -> [std::arch::x86_64::__m512; 4] {
        use std::arch::x86_64::*;
        let top = _mm512_set1_epi32(self.stride as i32 - 1);
        let index = _mm512_min_epi32(_mm512_max_epi32(index, _mm512_setzero_si512()), top);
        std::array::from_fn(|part| {
            // SAFETY: indices are clamped to this part's `stride`.
            unsafe { _mm512_i32gather_ps::<4>(index, self.line.as_ptr().add(part * self.stride)) }
        })
    }
}

/// Asks for the beginning of each cache line of a line of the table.
#[inline(always)]
fn prefetch(line: &[f32]) {
    #[cfg(target_arch = "x86_64")]
    for part in line.chunks(16) {
        // SAFETY: a prefetch of any address is harmless, and this one is valid.
        unsafe {
            std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T1 }>(
                part.as_ptr().cast(),
            )
        };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = line;
}
