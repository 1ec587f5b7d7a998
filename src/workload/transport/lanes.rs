//! Vectors of f32 for the operators, which are written once: portable, AVX2 and AVX-512; and what cells are stored as.
#![allow(
    unsafe_code,
    reason = "intrinsics and raw reads; every function says what it needs"
)]
use crate::workload::stored::Stored;
#[cfg(target_arch = "x86_64")]
pub(super) use crate::workload::vectors::{F32x8, F32x16};
pub(super) use crate::workload::vectors::{Portable, Vector};
use half::{bf16, f16};

/// N numbers that are computed with at once.
///
/// # Safety
/// Every function needs the processor to have the implementer's features; pointers need N readable or writable values, or as many
/// as a `part` has.
pub(super) trait Lanes: Vector {
    /// The first `count` numbers, 0 in the other lanes.
    unsafe fn load_part(from: *const f32, count: usize) -> Self;
    unsafe fn store_part(self, to: *mut f32, count: usize);
    unsafe fn load_half(from: *const f16) -> Self;
    unsafe fn store_half(self, to: *mut f16);
    unsafe fn load_brain(from: *const bf16) -> Self;
    unsafe fn store_brain(self, to: *mut bf16);
}

/// What a cell is stored as. All of an array's values are ≥ 0 and finite.
pub(super) trait Cell: Stored {
    /// # Safety
    /// As [`Vector::load`].
    unsafe fn load<V: Lanes>(from: *const Self) -> V;
    /// # Safety
    /// As [`Vector::store`].
    unsafe fn store<V: Lanes>(value: V, to: *mut Self);

    /// # Safety
    /// As [`Lanes::load_part`].
    #[inline(always)]
    unsafe fn load_part<V: Lanes>(from: *const Self, count: usize) -> V {
        let mut all = [Self::default(); 16];
        // SAFETY: at most sixteen values, which the caller has.
        unsafe {
            std::ptr::copy_nonoverlapping(from, all.as_mut_ptr(), count);
            Self::load(all.as_ptr())
        }
    }

    /// # Safety
    /// As [`Lanes::store_part`].
    #[inline(always)]
    unsafe fn store_part<V: Lanes>(value: V, to: *mut Self, count: usize) {
        let mut all = [Self::default(); 16];
        // SAFETY: as above.
        unsafe {
            Self::store(value, all.as_mut_ptr());
            std::ptr::copy_nonoverlapping(all.as_ptr(), to, count);
        }
    }
}

impl Cell for f32 {
    #[inline(always)]
    unsafe fn load<V: Lanes>(from: *const f32) -> V {
        // SAFETY: as the caller promises, here and below.
        unsafe { V::load(from) }
    }
    #[inline(always)]
    unsafe fn store<V: Lanes>(value: V, to: *mut f32) {
        unsafe { value.store(to) }
    }
    #[inline(always)]
    unsafe fn load_part<V: Lanes>(from: *const f32, count: usize) -> V {
        unsafe { V::load_part(from, count) }
    }
    #[inline(always)]
    unsafe fn store_part<V: Lanes>(value: V, to: *mut f32, count: usize) {
        unsafe { value.store_part(to, count) }
    }
}

impl Cell for f16 {
    #[inline(always)]
    unsafe fn load<V: Lanes>(from: *const f16) -> V {
        // SAFETY: as the caller promises, here and below.
        unsafe { V::load_half(from) }
    }
    #[inline(always)]
    unsafe fn store<V: Lanes>(value: V, to: *mut f16) {
        unsafe { value.store_half(to) }
    }
}

impl Cell for bf16 {
    #[inline(always)]
    unsafe fn load<V: Lanes>(from: *const bf16) -> V {
        // SAFETY: as the caller promises, here and below.
        unsafe { V::load_brain(from) }
    }
    #[inline(always)]
    unsafe fn store<V: Lanes>(value: V, to: *mut bf16) {
        unsafe { value.store_brain(to) }
    }
}

impl Lanes for Portable {
    #[inline(always)]
    unsafe fn load_part(from: *const f32, count: usize) -> Portable {
        let mut all = [0.0; 8];
        unsafe { std::ptr::copy_nonoverlapping(from, all.as_mut_ptr(), count) };
        Portable(all)
    }
    #[inline(always)]
    unsafe fn store_part(self, to: *mut f32, count: usize) {
        unsafe { std::ptr::copy_nonoverlapping(self.0.as_ptr(), to, count) };
    }
    #[inline(always)]
    unsafe fn load_half(from: *const f16) -> Portable {
        Portable(unsafe { from.cast::<[f16; 8]>().read_unaligned() }.map(f16::to_f32))
    }
    #[inline(always)]
    unsafe fn store_half(self, to: *mut f16) {
        unsafe {
            to.cast::<[f16; 8]>()
                .write_unaligned(self.0.map(f16::from_f32))
        }
    }
    #[inline(always)]
    unsafe fn load_brain(from: *const bf16) -> Portable {
        Portable(unsafe { from.cast::<[bf16; 8]>().read_unaligned() }.map(bf16::to_f32))
    }
    #[inline(always)]
    unsafe fn store_brain(self, to: *mut bf16) {
        unsafe {
            to.cast::<[bf16; 8]>()
                .write_unaligned(self.0.map(bf16::from_f32))
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    // SAFETY of all of this module: as the caller promises.
    use super::{F32x8, F32x16, Lanes};
    use half::{bf16, f16};
    use std::arch::x86_64::*;

    /// Round to nearest, ties to even.
    const ROUND: i32 = _MM_FROUND_TO_NEAREST_INT;

    /// All ones in the first lanes of a window into it.
    const FIRST: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];

    #[inline(always)]
    unsafe fn first(count: usize) -> __m256i {
        // SAFETY: count is at most 8.
        unsafe { _mm256_loadu_si256(FIRST.as_ptr().add(8 - count).cast()) }
    }

    impl Lanes for F32x8 {
        #[inline(always)]
        unsafe fn load_part(from: *const f32, count: usize) -> F32x8 {
            F32x8(unsafe { _mm256_maskload_ps(from, first(count)) })
        }
        #[inline(always)]
        unsafe fn store_part(self, to: *mut f32, count: usize) {
            unsafe { _mm256_maskstore_ps(to, first(count), self.0) }
        }
        #[inline(always)]
        unsafe fn load_half(from: *const f16) -> F32x8 {
            F32x8(unsafe { _mm256_cvtph_ps(_mm_loadu_si128(from.cast())) })
        }
        #[inline(always)]
        unsafe fn store_half(self, to: *mut f16) {
            unsafe { _mm_storeu_si128(to.cast(), _mm256_cvtps_ph::<ROUND>(self.0)) }
        }
        #[inline(always)]
        unsafe fn load_brain(from: *const bf16) -> F32x8 {
            F32x8(unsafe {
                let wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(from.cast()));
                _mm256_castsi256_ps(_mm256_slli_epi32::<16>(wide))
            })
        }
        #[inline(always)]
        unsafe fn store_brain(self, to: *mut bf16) {
            unsafe {
                let bits = _mm256_castps_si256(self.0);
                let is_odd = _mm256_and_si256(_mm256_srli_epi32::<16>(bits), _mm256_set1_epi32(1));
                let bias = _mm256_add_epi32(is_odd, _mm256_set1_epi32(0x7FFF));
                let short = _mm256_srli_epi32::<16>(_mm256_add_epi32(bits, bias));
                let packed = _mm256_permute4x64_epi64::<0b1000>(_mm256_packus_epi32(short, short));
                _mm_storeu_si128(to.cast(), _mm256_castsi256_si128(packed));
            }
        }
    }

    impl Lanes for F32x16 {
        #[inline(always)]
        unsafe fn load_part(from: *const f32, count: usize) -> F32x16 {
            F32x16(unsafe { _mm512_maskz_loadu_ps(mask(count), from) })
        }
        #[inline(always)]
        unsafe fn store_part(self, to: *mut f32, count: usize) {
            unsafe { _mm512_mask_storeu_ps(to, mask(count), self.0) }
        }
        #[inline(always)]
        unsafe fn load_half(from: *const f16) -> F32x16 {
            F32x16(unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(from.cast())) })
        }
        #[inline(always)]
        unsafe fn store_half(self, to: *mut f16) {
            unsafe { _mm256_storeu_si256(to.cast(), _mm512_cvtps_ph::<ROUND>(self.0)) }
        }
        #[inline(always)]
        unsafe fn load_brain(from: *const bf16) -> F32x16 {
            F32x16(unsafe {
                let wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(from.cast()));
                _mm512_castsi512_ps(_mm512_slli_epi32::<16>(wide))
            })
        }
        #[inline(always)]
        unsafe fn store_brain(self, to: *mut bf16) {
            unsafe {
                let bits = _mm512_castps_si512(self.0);
                let is_odd = _mm512_and_si512(_mm512_srli_epi32::<16>(bits), _mm512_set1_epi32(1));
                let bias = _mm512_add_epi32(is_odd, _mm512_set1_epi32(0x7FFF));
                let short = _mm512_srli_epi32::<16>(_mm512_add_epi32(bits, bias));
                _mm256_storeu_si256(to.cast(), _mm512_cvtepi32_epi16(short));
            }
        }
    }

    #[inline(always)]
    fn mask(count: usize) -> __mmask16 {
        ((1_u32 << count) - 1) as __mmask16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every number comes back as the reference rounds it, and parts touch nothing else.
    fn agree<V: Lanes, T: Cell>() {
        let values: Vec<f32> = (0..16).map(|i| 1.0 / 3.0 + 0.7 * i as f32).collect();
        let n = V::COUNT;
        // SAFETY: called with the features; every pointer has sixteen values.
        unsafe {
            let v = V::load(values.as_ptr());
            let mut stored = [T::default(); 16];
            T::store(v, stored.as_mut_ptr());
            for (found, value) in stored.iter().zip(&values).take(n) {
                assert_eq!(found.to_f32(), T::from_f32(*value).to_f32());
            }
            let mut back = [0.0_f32; 16];
            T::load::<V>(stored.as_ptr()).store(back.as_mut_ptr());
            assert!((0..n).all(|i| back[i] == stored[i].to_f32()));
            for count in 0..n {
                let mut part = [T::from_f32(9.0); 16];
                T::store_part(v, part.as_mut_ptr(), count);
                for i in 0..n {
                    let wanted = if i < count { values[i] } else { 9.0 };
                    assert_eq!(part[i].to_f32(), T::from_f32(wanted).to_f32());
                }
                T::load_part::<V>(stored.as_ptr(), count).store(back.as_mut_ptr());
                for i in 0..n {
                    let wanted = if i < count { stored[i].to_f32() } else { 0.0 };
                    assert_eq!(back[i], wanted);
                }
            }
            let sum = V::splat(2.0).mul_add(V::splat(3.0), V::splat(1.0));
            assert_eq!(
                sum.add(V::splat(1.0)).mul(V::splat(0.5)).sum(),
                4.0 * n as f32
            );
        }
    }

    fn agree_in_every_precision<V: Lanes>() {
        agree::<V, f32>();
        agree::<V, f16>();
        agree::<V, bf16>();
    }

    #[test]
    fn every_instruction_set_loads_stores_and_rounds_the_same() {
        agree_in_every_precision::<Portable>();
        #[cfg(target_arch = "x86_64")]
        {
            use crate::workload::instructions::{InstructionSet, available};
            if available().contains(&InstructionSet::Avx2) {
                agree_in_every_precision::<F32x8>();
            }
            if available().contains(&InstructionSet::Avx512) {
                agree_in_every_precision::<F32x16>();
            }
        }
    }
}
