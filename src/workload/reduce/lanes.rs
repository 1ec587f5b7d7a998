//! Vectors of f32 for the kernel that is written once: portable, AVX2 and AVX-512. A kernel is generic over [`Lanes`] and always
//! inlined into a function that has the features; which function is chosen at run time.
#![allow(
    unsafe_code,
    reason = "intrinsics and raw reads of channel data; every function says what it needs"
)]
use crate::workload::stored::Stored;
#[cfg(target_arch = "x86_64")]
pub(super) use crate::workload::vectors::{F32x8, F32x16};
pub(super) use crate::workload::vectors::{Portable, Vector};
use std::f32::consts::TAU;

/// Numbers of a trace, widened.
pub(super) trait Trace: Stored {
    /// Four from `from` on.
    ///
    /// # Safety
    /// There are four values; the processor has SSE4.1 and F16C.
    #[cfg(target_arch = "x86_64")]
    unsafe fn four(from: *const Self) -> std::arch::x86_64::__m128;

    /// Sixteen from `from` on.
    ///
    /// # Safety
    /// There are sixteen values; the processor has AVX-512F.
    #[cfg(target_arch = "x86_64")]
    unsafe fn sixteen(from: *const Self) -> std::arch::x86_64::__m512;
}

#[cfg(not(target_arch = "x86_64"))]
impl<T: Stored> Trace for T {}

/// Real and imaginary parts of the samples before and after, of each lane.
pub(super) type Neighbours<V> = [V; 4];

/// N numbers that are computed with at once.
///
/// # Safety
/// Every function needs the processor to have the implementer's features; pointers need N readable or writable values.
pub(super) trait Lanes: Vector {
    /// b − self·a, likewise.
    unsafe fn neg_mul_add(self, a: Self, b: Self) -> Self;
    /// The largest whole number below, for 0 ≤ self < 2^22.
    unsafe fn floor(self) -> Self;
    /// `self` where `low ≤ x ≤ high`, else 0.
    unsafe fn within(self, low: Self, x: Self, high: Self) -> Self;
    /// Samples `whole` and `whole + 1` of a trace of (re, im), for whole numbers.
    unsafe fn neighbours<T: Trace>(trace: *const T, whole: Self) -> Neighbours<Self>;
    /// The same for lanes that all lie within 15 samples from `window` on: 0 ≤ whole − window < 15, in registers. `window` has
    /// sixteen samples.
    ///
    /// # Panics
    /// But for AVX-512, whose only it is.
    unsafe fn in_window<T: Trace>(window: *const T, relative: Self) -> Neighbours<Self>;
    /// The same within 30 samples; `window` has thirty-one.
    ///
    /// # Panics
    /// But for AVX-512.
    unsafe fn in_two_windows<T: Trace>(window: *const T, relative: Self) -> Neighbours<Self>;

    /// (cos, sin) of 2π·u for |u| ≤ ½.
    #[inline(always)]
    unsafe fn phasor(u: Self) -> [Self; 2] {
        // Taylor's series in u'², where u' = u less its nearest half: |2πu'| ≤ π/2, so that the eighth term is below 1e-8.
        const COSINE: [f32; 7] = [
            1.0,
            -19.739_21,
            64.939_39,
            -85.456_82,
            60.244_64,
            -26.426_256,
            7.903_536,
        ];
        const SINE: [f32; 7] = [
            TAU,
            -41.341_7,
            81.605_25,
            -76.705_86,
            42.058_693,
            -15.094_643,
            3.819_952_6,
        ];
        // SAFETY: as the caller promises.
        unsafe {
            // 1.5·2^23: adding it rounds to a whole number.
            let rounder = Self::splat(12_582_912.0);
            let halves = u.add(u).add(rounder).sub(rounder);
            let rest = halves.neg_mul_add(Self::splat(0.5), u);
            // An odd half turns the sign: 1 − 2·halves².
            let sign = halves
                .mul(halves)
                .neg_mul_add(Self::splat(2.0), Self::splat(1.0));
            let q = rest.mul(rest);
            let (mut cosine, mut sine) = (Self::splat(COSINE[6]), Self::splat(SINE[6]));
            for i in (0..6).rev() {
                cosine = cosine.mul_add(q, Self::splat(COSINE[i]));
                sine = sine.mul_add(q, Self::splat(SINE[i]));
            }
            [cosine.mul(sign), sine.mul(rest).mul(sign)]
        }
    }
}

impl Lanes for Portable {
    #[inline(always)]
    unsafe fn neg_mul_add(self, a: Portable, b: Portable) -> Portable {
        self.zip(a, |x, a| x * a).zip(b, |p, b| b - p)
    }
    #[inline(always)]
    unsafe fn floor(self) -> Portable {
        // Truncates: there is nothing negative. f32::floor would call a library function.
        Portable(self.0.map(|v| v as i32 as f32))
    }
    #[inline(always)]
    unsafe fn within(self, low: Portable, x: Portable, high: Portable) -> Portable {
        Portable(std::array::from_fn(|i| {
            match low.0[i] <= x.0[i] && x.0[i] <= high.0[i] {
                true => self.0[i],
                false => 0.0,
            }
        }))
    }
    #[inline(always)]
    unsafe fn neighbours<T: Trace>(trace: *const T, whole: Portable) -> Neighbours<Portable> {
        let mut found = [[0.0; 8]; 4];
        for (lane, index) in whole.0.into_iter().enumerate() {
            let from = trace.wrapping_add(2 * index as usize);
            for (i, values) in found.iter_mut().enumerate() {
                // SAFETY: as the caller promises.
                values[lane] = unsafe { *from.wrapping_add(i) }.to_f32();
            }
        }
        found.map(Portable)
    }
    unsafe fn in_window<T: Trace>(_: *const T, _: Portable) -> Neighbours<Portable> {
        unreachable!("`Settings` refuses lookup=window without AVX-512")
    }
    unsafe fn in_two_windows<T: Trace>(_: *const T, _: Portable) -> Neighbours<Portable> {
        unreachable!("`Settings` refuses lookup=window without AVX-512")
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    // SAFETY of all of this module: as the caller promises.
    use super::{F32x8, F32x16, Lanes, Neighbours, Trace};
    use half::{bf16, f16};
    use std::arch::x86_64::*;

    impl Trace for f32 {
        #[inline(always)]
        unsafe fn four(from: *const f32) -> __m128 {
            // SAFETY: as the caller promises, in all of this module.
            unsafe { _mm_loadu_ps(from) }
        }
        #[inline(always)]
        unsafe fn sixteen(from: *const f32) -> __m512 {
            unsafe { _mm512_loadu_ps(from) }
        }
    }

    impl Trace for f16 {
        #[inline(always)]
        unsafe fn four(from: *const f16) -> __m128 {
            unsafe { _mm_cvtph_ps(_mm_loadl_epi64(from.cast())) }
        }
        #[inline(always)]
        unsafe fn sixteen(from: *const f16) -> __m512 {
            unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(from.cast())) }
        }
    }

    impl Trace for bf16 {
        #[inline(always)]
        unsafe fn four(from: *const bf16) -> __m128 {
            unsafe {
                let wide = _mm_cvtepu16_epi32(_mm_loadl_epi64(from.cast()));
                _mm_castsi128_ps(_mm_slli_epi32::<16>(wide))
            }
        }
        #[inline(always)]
        unsafe fn sixteen(from: *const bf16) -> __m512 {
            unsafe {
                let wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(from.cast()));
                _mm512_castsi512_ps(_mm512_slli_epi32::<16>(wide))
            }
        }
    }

    /// Pairs of samples of several lanes. Methods and not closures: what is passed to `array::from_fn` is not inlined, and a register
    /// that passes through a call goes through memory.
    struct Pairs<'a, T> {
        trace: *const T,
        indices: &'a [u32],
    }

    impl<T: Trace> Pairs<'_, T> {
        #[inline(always)]
        unsafe fn one(&self, lane: usize) -> __m128 {
            unsafe { T::four(self.trace.wrapping_add(2 * self.indices[lane] as usize)) }
        }

        /// Those of lanes i and i + 4.
        #[inline(always)]
        unsafe fn two(&self, i: usize) -> __m256 {
            unsafe {
                _mm256_insertf128_ps::<1>(_mm256_castps128_ps256(self.one(i)), self.one(i + 4))
            }
        }

        /// Those of lanes i, i + 4, i + 8 and i + 12.
        #[inline(always)]
        unsafe fn four(&self, i: usize) -> __m512 {
            unsafe {
                let two =
                    _mm512_insertf32x4::<1>(_mm512_castps128_ps512(self.one(i)), self.one(i + 4));
                _mm512_insertf32x4::<3>(
                    _mm512_insertf32x4::<2>(two, self.one(i + 8)),
                    self.one(i + 12),
                )
            }
        }
    }

    impl Lanes for F32x8 {
        #[inline(always)]
        unsafe fn neg_mul_add(self, a: F32x8, b: F32x8) -> F32x8 {
            F32x8(unsafe { _mm256_fnmadd_ps(self.0, a.0, b.0) })
        }
        #[inline(always)]
        unsafe fn floor(self) -> F32x8 {
            F32x8(unsafe { _mm256_floor_ps(self.0) })
        }
        #[inline(always)]
        unsafe fn within(self, low: F32x8, x: F32x8, high: F32x8) -> F32x8 {
            unsafe {
                let above = _mm256_cmp_ps::<_CMP_LE_OQ>(low.0, x.0);
                let below = _mm256_cmp_ps::<_CMP_LE_OQ>(x.0, high.0);
                F32x8(_mm256_and_ps(self.0, _mm256_and_ps(above, below)))
            }
        }
        #[inline(always)]
        unsafe fn neighbours<T: Trace>(trace: *const T, whole: F32x8) -> Neighbours<F32x8> {
            unsafe {
                let indices =
                    std::mem::transmute::<__m256i, [u32; 8]>(_mm256_cvttps_epi32(whole.0));
                let at = Pairs {
                    trace,
                    indices: &indices,
                };
                // Two pairs of samples to a register, then 4×4 transpositions within the halves.
                let (a, b, c, d) = (at.two(0), at.two(1), at.two(2), at.two(3));
                let (ab_low, ab_high) = (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
                let (cd_low, cd_high) = (_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
                [
                    F32x8(_mm256_shuffle_ps::<0x44>(ab_low, cd_low)),
                    F32x8(_mm256_shuffle_ps::<0xEE>(ab_low, cd_low)),
                    F32x8(_mm256_shuffle_ps::<0x44>(ab_high, cd_high)),
                    F32x8(_mm256_shuffle_ps::<0xEE>(ab_high, cd_high)),
                ]
            }
        }
        unsafe fn in_window<T: Trace>(_: *const T, _: F32x8) -> Neighbours<F32x8> {
            unreachable!("`Settings` refuses lookup=window without AVX-512")
        }
        unsafe fn in_two_windows<T: Trace>(_: *const T, _: F32x8) -> Neighbours<F32x8> {
            unreachable!("`Settings` refuses lookup=window without AVX-512")
        }
    }

    impl Lanes for F32x16 {
        #[inline(always)]
        unsafe fn neg_mul_add(self, a: F32x16, b: F32x16) -> F32x16 {
            F32x16(unsafe { _mm512_fnmadd_ps(self.0, a.0, b.0) })
        }
        #[inline(always)]
        unsafe fn floor(self) -> F32x16 {
            F32x16(unsafe {
                _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC }>(self.0)
            })
        }
        #[inline(always)]
        unsafe fn within(self, low: F32x16, x: F32x16, high: F32x16) -> F32x16 {
            unsafe {
                let above = _mm512_cmp_ps_mask::<_CMP_LE_OQ>(low.0, x.0);
                let inside = _mm512_mask_cmp_ps_mask::<_CMP_LE_OQ>(above, x.0, high.0);
                F32x16(_mm512_maskz_mov_ps(inside, self.0))
            }
        }
        #[inline(always)]
        unsafe fn neighbours<T: Trace>(trace: *const T, whole: F32x16) -> Neighbours<F32x16> {
            unsafe {
                let indices =
                    std::mem::transmute::<__m512i, [u32; 16]>(_mm512_cvttps_epi32(whole.0));
                let at = Pairs {
                    trace,
                    indices: &indices,
                };
                // Four pairs of samples to a register, every fourth lane's, then 4×4 transpositions within the quarters.
                let (a, b, c, d) = (at.four(0), at.four(1), at.four(2), at.four(3));
                let (ab_low, ab_high) = (_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
                let (cd_low, cd_high) = (_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
                [
                    F32x16(_mm512_shuffle_ps::<0x44>(ab_low, cd_low)),
                    F32x16(_mm512_shuffle_ps::<0xEE>(ab_low, cd_low)),
                    F32x16(_mm512_shuffle_ps::<0x44>(ab_high, cd_high)),
                    F32x16(_mm512_shuffle_ps::<0xEE>(ab_high, cd_high)),
                ]
            }
        }
        #[inline(always)]
        unsafe fn in_window<T: Trace>(window: *const T, relative: F32x16) -> Neighbours<F32x16> {
            unsafe {
                let index = _mm512_cvttps_epi32(_mm512_add_ps(relative.0, relative.0));
                look_up(window, index)
            }
        }
        #[inline(always)]
        unsafe fn in_two_windows<T: Trace>(
            window: *const T,
            relative: F32x16,
        ) -> Neighbours<F32x16> {
            unsafe {
                let index = _mm512_cvttps_epi32(_mm512_add_ps(relative.0, relative.0));
                let is_far = _mm512_cmpge_epi32_mask(index, _mm512_set1_epi32(30));
                let near = look_up(window, index);
                let far = look_up(
                    window.wrapping_add(30),
                    _mm512_sub_epi32(index, _mm512_set1_epi32(30)),
                );
                [
                    F32x16(_mm512_mask_mov_ps(near[0].0, is_far, far[0].0)),
                    F32x16(_mm512_mask_mov_ps(near[1].0, is_far, far[1].0)),
                    F32x16(_mm512_mask_mov_ps(near[2].0, is_far, far[2].0)),
                    F32x16(_mm512_mask_mov_ps(near[3].0, is_far, far[3].0)),
                ]
            }
        }
    }

    /// Numbers `index` to `index + 3` of sixteen (re, im), for even numbers below 30.
    #[inline(always)]
    unsafe fn look_up<T: Trace>(window: *const T, index: __m512i) -> Neighbours<F32x16> {
        unsafe {
            let (low, high) = (T::sixteen(window), T::sixteen(window.wrapping_add(16)));
            let one = _mm512_set1_epi32(1);
            let second = _mm512_add_epi32(index, one);
            let third = _mm512_add_epi32(second, one);
            let fourth = _mm512_add_epi32(third, one);
            [
                F32x16(_mm512_permutex2var_ps(low, index, high)),
                F32x16(_mm512_permutex2var_ps(low, second, high)),
                F32x16(_mm512_permutex2var_ps(low, third, high)),
                F32x16(_mm512_permutex2var_ps(low, fourth, high)),
            ]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::TAU;

    fn agree<V: Lanes>(has_windows: bool) {
        let trace: Vec<f32> = (0..80).map(|i| i as f32).collect();
        // SAFETY: called with the features; every pointer has COUNT values, every index three more after it.
        unsafe {
            let numbers: Vec<f32> = (0..16).map(|i| (i * 7 % 15) as f32 + 0.25).collect();
            let whole = V::load(numbers.as_ptr()).floor();
            let stored = |v: V| {
                let mut all = [0.0_f32; 16];
                v.store(all.as_mut_ptr());
                all
            };
            let mut found = vec![V::neighbours(trace.as_ptr(), whole)];
            if has_windows {
                found.push(V::in_window(trace.as_ptr(), whole));
                found.push(V::in_two_windows(trace.as_ptr(), whole));
            }
            for values in found {
                for (i, value) in values.into_iter().enumerate() {
                    for (lane, v) in stored(value).iter().take(V::COUNT).enumerate() {
                        assert_eq!(*v, 2.0 * numbers[lane].floor() + i as f32);
                    }
                }
            }
            if has_windows {
                let far: Vec<f32> = (0..16).map(|i| (i * 2 % 30) as f32).collect();
                let values = V::in_two_windows(trace.as_ptr(), V::load(far.as_ptr()));
                for (i, value) in values.into_iter().enumerate() {
                    for (lane, v) in stored(value).iter().enumerate() {
                        assert_eq!(*v, 2.0 * far[lane] + i as f32);
                    }
                }
            }
            let inside = V::splat(3.0).within(V::splat(1.0), V::splat(2.0), V::splat(2.0));
            let outside = V::splat(3.0).within(V::splat(1.0), V::splat(2.5), V::splat(2.0));
            assert_eq!((stored(inside)[0], stored(outside)[0]), (3.0, 0.0));
            for i in -1000..=1000 {
                let u = i as f32 / 2000.0;
                let [c, s] = V::phasor(V::splat(u));
                let (sine, cosine) = (TAU * f64::from(u)).sin_cos();
                let miss = (f64::from(stored(c)[0]) - cosine).hypot(f64::from(stored(s)[0]) - sine);
                assert!(miss < 4e-7, "{u}: {miss}");
            }
        }
    }

    #[test]
    fn every_instruction_set_computes_the_same() {
        agree::<Portable>(false);
        #[cfg(target_arch = "x86_64")]
        {
            use crate::workload::instructions::{InstructionSet, available};
            if available().contains(&InstructionSet::Avx2) {
                agree::<F32x8>(false);
            }
            if available().contains(&InstructionSet::Avx512) {
                agree::<F32x16>(true);
            }
        }
    }
}
