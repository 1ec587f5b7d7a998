//! Vectors of f32 for the kernels that are written once: portable, AVX2 and AVX-512. A kernel is generic over [`Lanes`] and always
//! inlined into a function that has the features; which function is chosen at run time.
#![allow(
    unsafe_code,
    reason = "intrinsics and raw table reads; every function says what it needs"
)]
use super::geometry::{ROUNDER, ROUNDER_BITS};
use crate::workload::stored::Stored;
#[cfg(target_arch = "x86_64")]
pub(super) use crate::workload::vectors::{F32x8, F32x16};
pub(super) use crate::workload::vectors::{Portable, Vector};

/// A record of the table as four f32.
pub(super) trait Record: Stored {
    /// # Safety
    /// Four values from `from` on; the processor has SSE4.1 and F16C.
    #[cfg(target_arch = "x86_64")]
    unsafe fn widened(from: *const Self) -> std::arch::x86_64::__m128;
}

/// N numbers that are computed with at once.
///
/// # Safety
/// Every function needs the processor to have the implementer's features; pointers need N readable or writable values.
pub(super) trait Lanes: Vector {
    type Indices: Copy + AsRef<[u32]>;

    /// r and c with √(a + b) = r + c, c far below an ulp's reach of r; `b` is the larger part, `left_off` what its f32 lacks.
    unsafe fn root(a: Self, b: Self, left_off: Self) -> (Self, Self);
    /// `self` where `a ≥ b`, else 0.
    unsafe fn where_at_least(self, a: Self, b: Self) -> Self;
    /// The whole numbers of `ROUNDER + n`; at most `limit`, which negative ones become too.
    unsafe fn indices(self, limit: u32) -> Self::Indices;
    /// The four numbers of a record for each lane: `from + 4·(index·stride + lane·lane_stride)`.
    unsafe fn records<T: Record>(
        from: *const T,
        indices: Self::Indices,
        stride: usize,
        lane_stride: usize,
    ) -> [Self; 4];

    /// The nearest whole number, for |self| < 2^22.
    #[inline(always)]
    unsafe fn rounded(self) -> Self {
        // SAFETY: as the caller promises.
        unsafe { self.add(Self::splat(ROUNDER)).sub(Self::splat(ROUNDER)) }
    }
}

impl Lanes for Portable {
    type Indices = [u32; 8];

    #[inline(always)]
    unsafe fn root(a: Portable, b: Portable, _left_off: Portable) -> (Portable, Portable) {
        // Without a fused multiply-add the residual is all rounding: the plain root is the best there is.
        (
            Portable(std::array::from_fn(|i| (a.0[i] + b.0[i]).sqrt())),
            Portable([0.0; 8]),
        )
    }
    #[inline(always)]
    unsafe fn where_at_least(self, a: Portable, b: Portable) -> Portable {
        Portable(std::array::from_fn(|i| {
            if a.0[i] >= b.0[i] { self.0[i] } else { 0.0 }
        }))
    }
    #[inline(always)]
    unsafe fn indices(self, limit: u32) -> [u32; 8] {
        self.0
            .map(|x| x.to_bits().wrapping_sub(ROUNDER_BITS).min(limit))
    }
    #[inline(always)]
    unsafe fn records<T: Record>(
        from: *const T,
        indices: [u32; 8],
        stride: usize,
        lane_stride: usize,
    ) -> [Portable; 4] {
        let mut fields = [[0.0; 8]; 4];
        for (lane, index) in indices.into_iter().enumerate() {
            let record = from.wrapping_add(4 * (index as usize * stride + lane * lane_stride));
            for (i, field) in fields.iter_mut().enumerate() {
                // SAFETY: as the caller promises.
                field[lane] = unsafe { *record.wrapping_add(i) }.to_f32();
            }
        }
        fields.map(Portable)
    }
}

#[cfg(not(target_arch = "x86_64"))]
impl<T: Stored> Record for T {}

#[cfg(target_arch = "x86_64")]
mod x86 {
    // SAFETY of all of this module: as the caller promises.
    use super::{F32x8, F32x16, Lanes, ROUNDER_BITS, Record};
    use half::{bf16, f16};
    use std::arch::x86_64::*;

    impl Record for f32 {
        #[inline(always)]
        unsafe fn widened(from: *const f32) -> __m128 {
            // SAFETY: as the caller promises.
            unsafe { _mm_loadu_ps(from) }
        }
    }

    impl Record for f16 {
        #[inline(always)]
        unsafe fn widened(from: *const f16) -> __m128 {
            // SAFETY: as the caller promises.
            unsafe { _mm_cvtph_ps(_mm_loadl_epi64(from.cast())) }
        }
    }

    impl Record for bf16 {
        #[inline(always)]
        unsafe fn widened(from: *const bf16) -> __m128 {
            // SAFETY: as the caller promises.
            unsafe {
                _mm_castsi128_ps(_mm_slli_epi32::<16>(_mm_cvtepu16_epi32(_mm_loadl_epi64(
                    from.cast(),
                ))))
            }
        }
    }

    /// Records of several lanes. Methods and not closures: what is passed to `array::from_fn` is not inlined, and a register that
    /// passes through a call goes through memory (three times slower, measured).
    struct Records<'a, T> {
        from: *const T,
        indices: &'a [u32],
        stride: usize,
        lane_stride: usize,
    }

    impl<T: Record> Records<'_, T> {
        #[inline(always)]
        unsafe fn one(&self, lane: usize) -> __m128 {
            let place = self.indices[lane] as usize * self.stride + lane * self.lane_stride;
            // SAFETY: as the caller of `records` promises, here and below.
            unsafe { T::widened(self.from.wrapping_add(4 * place)) }
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
        type Indices = [u32; 8];

        #[inline(always)]
        unsafe fn root(a: F32x8, b: F32x8, left_off: F32x8) -> (F32x8, F32x8) {
            unsafe {
                let square = _mm256_add_ps(a.0, b.0);
                // The estimate has 12 bits, so it gets a step of its own before that of the root.
                let guess = _mm256_rsqrt_ps(square);
                let half_guess = _mm256_mul_ps(guess, _mm256_set1_ps(0.5));
                let miss = _mm256_fnmadd_ps(
                    _mm256_mul_ps(square, guess),
                    half_guess,
                    _mm256_set1_ps(0.5),
                );
                let inverse = _mm256_fmadd_ps(guess, miss, guess);
                let r = _mm256_mul_ps(square, inverse);
                let near =
                    _mm256_add_ps(_mm256_add_ps(_mm256_fnmadd_ps(r, r, b.0), a.0), left_off.0);
                (
                    F32x8(r),
                    F32x8(_mm256_mul_ps(
                        near,
                        _mm256_mul_ps(inverse, _mm256_set1_ps(0.5)),
                    )),
                )
            }
        }
        #[inline(always)]
        unsafe fn where_at_least(self, a: F32x8, b: F32x8) -> F32x8 {
            F32x8(unsafe { _mm256_and_ps(self.0, _mm256_cmp_ps::<_CMP_GE_OQ>(a.0, b.0)) })
        }
        #[inline(always)]
        unsafe fn indices(self, limit: u32) -> [u32; 8] {
            unsafe {
                let whole = _mm256_sub_epi32(
                    _mm256_castps_si256(self.0),
                    _mm256_set1_epi32(ROUNDER_BITS as i32),
                );
                let kept = _mm256_min_epu32(whole, _mm256_set1_epi32(limit as i32));
                std::mem::transmute::<__m256i, [u32; 8]>(kept)
            }
        }
        #[inline(always)]
        unsafe fn records<T: Record>(
            from: *const T,
            indices: [u32; 8],
            stride: usize,
            lane_stride: usize,
        ) -> [F32x8; 4] {
            unsafe {
                let at = Records {
                    from,
                    indices: &indices,
                    stride,
                    lane_stride,
                };
                // Two records of four to a register, then 4×4 transpositions within the halves.
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
    }

    impl Lanes for F32x16 {
        type Indices = [u32; 16];

        #[inline(always)]
        unsafe fn root(a: F32x16, b: F32x16, left_off: F32x16) -> (F32x16, F32x16) {
            unsafe {
                let square = _mm512_add_ps(a.0, b.0);
                let inverse = _mm512_rsqrt14_ps(square);
                let r = _mm512_mul_ps(square, inverse);
                let near =
                    _mm512_add_ps(_mm512_add_ps(_mm512_fnmadd_ps(r, r, b.0), a.0), left_off.0);
                (
                    F32x16(r),
                    F32x16(_mm512_mul_ps(
                        near,
                        _mm512_mul_ps(inverse, _mm512_set1_ps(0.5)),
                    )),
                )
            }
        }
        #[inline(always)]
        unsafe fn where_at_least(self, a: F32x16, b: F32x16) -> F32x16 {
            F32x16(unsafe {
                _mm512_maskz_mov_ps(_mm512_cmp_ps_mask::<_CMP_GE_OQ>(a.0, b.0), self.0)
            })
        }
        #[inline(always)]
        unsafe fn indices(self, limit: u32) -> [u32; 16] {
            unsafe {
                let whole = _mm512_sub_epi32(
                    _mm512_castps_si512(self.0),
                    _mm512_set1_epi32(ROUNDER_BITS as i32),
                );
                let kept = _mm512_min_epu32(whole, _mm512_set1_epi32(limit as i32));
                std::mem::transmute::<__m512i, [u32; 16]>(kept)
            }
        }
        #[inline(always)]
        unsafe fn records<T: Record>(
            from: *const T,
            indices: [u32; 16],
            stride: usize,
            lane_stride: usize,
        ) -> [F32x16; 4] {
            unsafe {
                let at = Records {
                    from,
                    indices: &indices,
                    stride,
                    lane_stride,
                };
                // Four records to a register, every fourth lane's, then 4×4 transpositions within the quarters.
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
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agree<V: Lanes>() {
        let values: Vec<f32> = (0..V::COUNT).map(|i| 1.5 + 37.3 * i as f32).collect();
        let records: Vec<f32> = (0..400).map(|i| i as f32).collect();
        // SAFETY: called with the features; every pointer has COUNT values.
        unsafe {
            let v = V::load(values.as_ptr());
            let (r, c) = V::root(v, V::splat(9e4), V::splat(0.0));
            let mut roots = [[0.0_f32; 16]; 2];
            r.store(roots[0].as_mut_ptr());
            c.store(roots[1].as_mut_ptr());
            for (i, x) in values.iter().enumerate() {
                let expected = (f64::from(*x) + 9e4).sqrt();
                assert!(
                    (f64::from(roots[0][i]) + f64::from(roots[1][i]) - expected).abs() < 2e-5,
                    "lane {i}"
                );
            }
            let indices = V::splat(ROUNDER + 3.0).indices(50);
            let fields = V::records(records.as_ptr(), indices, 2, 4);
            for (f, field) in fields.into_iter().enumerate() {
                let mut stored = [0.0_f32; 16];
                field.store(stored.as_mut_ptr());
                for (lane, value) in stored.iter().take(V::COUNT).enumerate() {
                    assert_eq!(*value, (4 * (3 * 2 + lane * 4) + f) as f32);
                }
            }
            assert_eq!(
                V::splat(ROUNDER - 2.0).indices(7).as_ref(),
                vec![7; V::COUNT]
            );
            assert_eq!(V::splat(2.5).sum(), 2.5 * V::COUNT as f32);
        }
    }

    #[test]
    fn every_instruction_set_computes_the_same() {
        agree::<Portable>();
        #[cfg(target_arch = "x86_64")]
        {
            use crate::workload::instructions::{InstructionSet, available};
            if available().contains(&InstructionSet::Avx2) {
                agree::<F32x8>();
            }
            if available().contains(&InstructionSet::Avx512) {
                agree::<F32x16>();
            }
        }
    }
}
