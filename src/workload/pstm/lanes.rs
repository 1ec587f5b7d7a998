//! Vectors of f32 for the migration kernels, which are written once: portable, AVX2 and AVX-512. Apart from the beamformer's, since
//! what matters here is another thing: along time, sixteen travel times fall into a window of thirty-two samples of the trace, which
//! two registers hold, so interpolating is a permutation and not a gather.
#![allow(
    unsafe_code,
    reason = "intrinsics and raw reads of traces; every function says what it needs"
)]
use crate::workload::stored::Stored;
#[cfg(target_arch = "x86_64")]
pub(super) use crate::workload::vectors::{F32x8, F32x16};
pub(super) use crate::workload::vectors::{Portable, Vector};
use half::{bf16, f16};

/// How a sample of a trace is stored; arithmetic is f32.
pub(super) trait Sample: Stored {
    const BYTES: usize;
    /// As it lies in a file, little-endian; the first bytes are read.
    fn from_bytes(bytes: &[u8]) -> Self;
    fn push_bytes(self, to: &mut Vec<u8>);
    /// Eight of them.
    ///
    /// # Safety
    /// Eight readable values; AVX2 and F16C.
    #[cfg(target_arch = "x86_64")]
    unsafe fn eight(from: *const Self) -> std::arch::x86_64::__m256;
    /// Sixteen of them.
    ///
    /// # Safety
    /// Sixteen readable values; AVX-512F and BW.
    #[cfg(target_arch = "x86_64")]
    unsafe fn sixteen(from: *const Self) -> std::arch::x86_64::__m512;
}

macro_rules! sample {
    ($type:ty, $bytes:literal, $eight:expr, $sixteen:expr) => {
        impl Sample for $type {
            const BYTES: usize = $bytes;
            #[inline(always)]
            fn from_bytes(bytes: &[u8]) -> $type {
                let mut own = [0; $bytes];
                own.copy_from_slice(&bytes[..$bytes]);
                <$type>::from_le_bytes(own)
            }
            fn push_bytes(self, to: &mut Vec<u8>) {
                to.extend_from_slice(&self.to_le_bytes());
            }
            #[cfg(target_arch = "x86_64")]
            #[inline(always)]
            unsafe fn eight(from: *const $type) -> std::arch::x86_64::__m256 {
                // SAFETY: as the caller promises.
                unsafe { $eight(from.cast()) }
            }
            #[cfg(target_arch = "x86_64")]
            #[inline(always)]
            unsafe fn sixteen(from: *const $type) -> std::arch::x86_64::__m512 {
                // SAFETY: as the caller promises.
                unsafe { $sixteen(from.cast()) }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
mod widen {
    use std::arch::x86_64::*;

    #[inline(always)]
    pub(super) unsafe fn f32x8(from: *const f32) -> __m256 {
        // SAFETY: as the caller promises, here and below.
        unsafe { _mm256_loadu_ps(from) }
    }
    #[inline(always)]
    pub(super) unsafe fn f32x16(from: *const f32) -> __m512 {
        unsafe { _mm512_loadu_ps(from) }
    }
    #[inline(always)]
    pub(super) unsafe fn f16x8(from: *const __m128i) -> __m256 {
        unsafe { _mm256_cvtph_ps(_mm_loadu_si128(from)) }
    }
    #[inline(always)]
    pub(super) unsafe fn f16x16(from: *const __m256i) -> __m512 {
        unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(from)) }
    }
    #[inline(always)]
    pub(super) unsafe fn bf16x8(from: *const __m128i) -> __m256 {
        unsafe {
            _mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(
                _mm_loadu_si128(from),
            )))
        }
    }
    #[inline(always)]
    pub(super) unsafe fn bf16x16(from: *const __m256i) -> __m512 {
        unsafe {
            _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(
                _mm256_loadu_si256(from),
            )))
        }
    }
}

sample!(f32, 4, widen::f32x8, widen::f32x16);
sample!(f16, 2, widen::f16x8, widen::f16x16);
sample!(bf16, 2, widen::bf16x8, widen::bf16x16);

/// N numbers that are computed with at once; a set of lanes is the low bits of a u32.
///
/// # Safety
/// Every function needs the processor to have the implementer's features; pointers need N readable or writable values.
pub(super) trait Lanes: Vector {
    /// Bits of all lanes.
    const ALL: u32;
    /// Whole numbers.
    type Index: Copy;
    /// 2N consecutive samples.
    type Window: Copy;

    unsafe fn div(self, other: Self) -> Self;
    /// Of a positive number, to an ulp.
    unsafe fn root(self) -> Self;
    /// The sum of two roots, which keep different units of the processor busy where it has them.
    unsafe fn roots(a: Self, b: Self) -> Self;
    /// Those of the set, from the first place on; all N places may be overwritten.
    unsafe fn packed(self, lanes: u32, to: *mut f32);
    unsafe fn packed_index(index: Self::Index, lanes: u32, to: *mut i32);
    /// From `from`, counting up.
    unsafe fn counted(from: i32) -> Self::Index;
    /// Lanes with self < other.
    unsafe fn below(self, other: Self) -> u32;
    /// 0 in other lanes.
    unsafe fn kept(self, lanes: u32) -> Self;
    /// Whole part and fraction of numbers from 0 to 2^22.
    unsafe fn split(self) -> (Self::Index, Self);
    unsafe fn indices(from: *const i32) -> Self::Index;
    unsafe fn sum_of(a: Self::Index, b: Self::Index) -> Self::Index;
    unsafe fn stored(index: Self::Index, to: *mut i32);
    /// The first lane.
    unsafe fn first(index: Self::Index) -> i32;
    /// Less `base`, and whether all of them are from 0 to 2N − 1 − `reach`.
    unsafe fn relative(index: Self::Index, base: i32, reach: i32) -> (Self::Index, bool);
    unsafe fn shifted(index: Self::Index, by: i32) -> Self::Index;
    /// # Safety
    /// 2N readable samples.
    unsafe fn window<T: Sample>(from: *const T) -> Self::Window;
    unsafe fn pick(window: Self::Window, index: Self::Index) -> Self;
    /// # Safety
    /// `from + index` is readable in every lane.
    unsafe fn gather<T: Sample>(from: *const T, index: Self::Index) -> Self;
}

/// # Safety
/// As many places as there are lanes in the set.
#[inline(always)]
unsafe fn pack<V: Copy>(all: &[V; 16], mut lanes: u32, mut to: *mut V) {
    while lanes != 0 {
        // SAFETY: as the caller promises.
        unsafe {
            to.write(all[lanes.trailing_zeros() as usize & 15]);
            to = to.add(1);
        }
        lanes &= lanes - 1;
    }
}

impl Lanes for Portable {
    const ALL: u32 = 0xFF;
    type Index = [i32; 8];
    type Window = [f32; 16];

    #[inline(always)]
    unsafe fn div(self, other: Portable) -> Portable {
        self.zip(other, |a, b| a / b)
    }
    #[inline(always)]
    unsafe fn root(self) -> Portable {
        Portable(self.0.map(f32::sqrt))
    }
    #[inline(always)]
    unsafe fn roots(a: Portable, b: Portable) -> Portable {
        // SAFETY: as the caller promises.
        unsafe { a.root().add(b.root()) }
    }
    #[inline(always)]
    unsafe fn packed(self, lanes: u32, to: *mut f32) {
        unsafe { pack(&self.to_array(), lanes, to) }
    }
    #[inline(always)]
    unsafe fn packed_index(index: Self::Index, lanes: u32, to: *mut i32) {
        let mut all = [0; 16];
        unsafe {
            Self::stored(index, all.as_mut_ptr());
            pack(&all, lanes, to);
        }
    }
    #[inline(always)]
    unsafe fn counted(from: i32) -> Self::Index {
        let all: [i32; 16] = std::array::from_fn(|i| from + i as i32);
        unsafe { Self::indices(all.as_ptr()) }
    }
    #[inline(always)]
    unsafe fn below(self, other: Portable) -> u32 {
        (0..8).fold(0, |bits, i| bits | (u32::from(self.0[i] < other.0[i]) << i))
    }
    #[inline(always)]
    unsafe fn kept(self, lanes: u32) -> Portable {
        Portable(std::array::from_fn(|i| {
            if lanes >> i & 1 == 1 { self.0[i] } else { 0.0 }
        }))
    }
    #[inline(always)]
    unsafe fn split(self) -> ([i32; 8], Portable) {
        let whole = self.0.map(|x| x as i32);
        (
            whole,
            Portable(std::array::from_fn(|i| self.0[i] - whole[i] as f32)),
        )
    }
    #[inline(always)]
    unsafe fn indices(from: *const i32) -> [i32; 8] {
        unsafe { from.cast::<[i32; 8]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn sum_of(a: [i32; 8], b: [i32; 8]) -> [i32; 8] {
        std::array::from_fn(|i| a[i] + b[i])
    }
    #[inline(always)]
    unsafe fn stored(index: [i32; 8], to: *mut i32) {
        unsafe { to.cast::<[i32; 8]>().write_unaligned(index) }
    }
    #[inline(always)]
    unsafe fn first(index: [i32; 8]) -> i32 {
        index[0]
    }
    #[inline(always)]
    unsafe fn relative(index: [i32; 8], base: i32, reach: i32) -> ([i32; 8], bool) {
        let less = index.map(|i| i.wrapping_sub(base));
        (less, less.iter().all(|i| (*i as u32) < (16 - reach) as u32))
    }
    #[inline(always)]
    unsafe fn shifted(index: [i32; 8], by: i32) -> [i32; 8] {
        index.map(|i| i + by)
    }
    #[inline(always)]
    unsafe fn window<T: Sample>(from: *const T) -> [f32; 16] {
        unsafe { from.cast::<[T; 16]>().read_unaligned() }.map(T::to_f32)
    }
    #[inline(always)]
    unsafe fn pick(window: [f32; 16], index: [i32; 8]) -> Portable {
        Portable(index.map(|i| window[i as usize & 15]))
    }
    #[inline(always)]
    unsafe fn gather<T: Sample>(from: *const T, index: [i32; 8]) -> Portable {
        Portable(index.map(|i| unsafe { *from.offset(i as isize) }.to_f32()))
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    // SAFETY of all of this module: as the caller promises.
    use super::{F32x8, F32x16, Lanes, Sample, Vector};
    use std::arch::x86_64::*;

    impl Lanes for F32x8 {
        const ALL: u32 = 0xFF;
        type Index = __m256i;
        type Window = [__m256; 2];

        #[inline(always)]
        unsafe fn div(self, other: F32x8) -> F32x8 {
            F32x8(unsafe { _mm256_div_ps(self.0, other.0) })
        }
        #[inline(always)]
        unsafe fn root(self) -> F32x8 {
            F32x8(unsafe { _mm256_sqrt_ps(self.0) })
        }
        #[inline(always)]
        unsafe fn roots(a: F32x8, b: F32x8) -> F32x8 {
            unsafe { a.root().add(b.root()) }
        }
        #[inline(always)]
        unsafe fn packed(self, lanes: u32, to: *mut f32) {
            unsafe { super::pack(&self.to_array(), lanes, to) }
        }
        #[inline(always)]
        unsafe fn packed_index(index: Self::Index, lanes: u32, to: *mut i32) {
            let mut all = [0; 16];
            unsafe {
                Self::stored(index, all.as_mut_ptr());
                super::pack(&all, lanes, to);
            }
        }
        #[inline(always)]
        unsafe fn counted(from: i32) -> Self::Index {
            let all: [i32; 16] = std::array::from_fn(|i| from + i as i32);
            unsafe { Self::indices(all.as_ptr()) }
        }
        #[inline(always)]
        unsafe fn below(self, other: F32x8) -> u32 {
            unsafe { _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_LT_OQ>(self.0, other.0)) as u32 }
        }
        #[inline(always)]
        unsafe fn kept(self, lanes: u32) -> F32x8 {
            unsafe {
                let places = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
                let set = _mm256_and_si256(_mm256_set1_epi32(lanes as i32), places);
                let mask = _mm256_castsi256_ps(_mm256_cmpeq_epi32(set, places));
                F32x8(_mm256_and_ps(self.0, mask))
            }
        }
        #[inline(always)]
        unsafe fn split(self) -> (__m256i, F32x8) {
            unsafe {
                let whole = _mm256_cvttps_epi32(self.0);
                (
                    whole,
                    F32x8(_mm256_sub_ps(self.0, _mm256_cvtepi32_ps(whole))),
                )
            }
        }
        #[inline(always)]
        unsafe fn indices(from: *const i32) -> __m256i {
            unsafe { _mm256_loadu_si256(from.cast()) }
        }
        #[inline(always)]
        unsafe fn sum_of(a: __m256i, b: __m256i) -> __m256i {
            unsafe { _mm256_add_epi32(a, b) }
        }
        #[inline(always)]
        unsafe fn stored(index: __m256i, to: *mut i32) {
            unsafe { _mm256_storeu_si256(to.cast(), index) }
        }
        #[inline(always)]
        unsafe fn first(index: __m256i) -> i32 {
            unsafe { _mm_cvtsi128_si32(_mm256_castsi256_si128(index)) }
        }
        #[inline(always)]
        unsafe fn relative(index: __m256i, base: i32, reach: i32) -> (__m256i, bool) {
            unsafe {
                let less = _mm256_sub_epi32(index, _mm256_set1_epi32(base));
                let most = _mm256_set1_epi32(15 - reach);
                let fits = _mm256_cmpeq_epi32(_mm256_min_epu32(less, most), less);
                (less, _mm256_movemask_ps(_mm256_castsi256_ps(fits)) == 0xFF)
            }
        }
        #[inline(always)]
        unsafe fn shifted(index: __m256i, by: i32) -> __m256i {
            unsafe { _mm256_add_epi32(index, _mm256_set1_epi32(by)) }
        }
        #[inline(always)]
        unsafe fn window<T: Sample>(from: *const T) -> [__m256; 2] {
            unsafe { [T::eight(from), T::eight(from.add(8))] }
        }
        #[inline(always)]
        unsafe fn pick(window: [__m256; 2], index: __m256i) -> F32x8 {
            unsafe {
                let low = _mm256_permutevar8x32_ps(window[0], index);
                let high = _mm256_permutevar8x32_ps(window[1], index);
                // Bit 3 says which half; a blend looks at the sign.
                let is_high = _mm256_castsi256_ps(_mm256_slli_epi32::<28>(index));
                F32x8(_mm256_blendv_ps(low, high, is_high))
            }
        }
        #[inline(always)]
        unsafe fn gather<T: Sample>(from: *const T, index: __m256i) -> F32x8 {
            unsafe {
                if T::BYTES == 4 {
                    return F32x8(_mm256_i32gather_ps::<4>(from.cast(), index));
                }
                let mut at = [0; 8];
                Self::stored(index, at.as_mut_ptr());
                let mut values = [0.0; 8];
                for (value, i) in values.iter_mut().zip(at) {
                    *value = (*from.offset(i as isize)).to_f32();
                }
                Self::load(values.as_ptr())
            }
        }
    }

    impl Lanes for F32x16 {
        const ALL: u32 = 0xFFFF;
        type Index = __m512i;
        type Window = [__m512; 2];

        #[inline(always)]
        unsafe fn div(self, other: F32x16) -> F32x16 {
            F32x16(unsafe { _mm512_div_ps(self.0, other.0) })
        }
        #[inline(always)]
        unsafe fn root(self) -> F32x16 {
            unsafe {
                // Newton's step for the root from 14 bits of its inverse: a third of the time of the root instruction.
                let inverse = _mm512_rsqrt14_ps(self.0);
                let root = _mm512_mul_ps(self.0, inverse);
                let half = _mm512_mul_ps(inverse, _mm512_set1_ps(0.5));
                F32x16(_mm512_fmadd_ps(
                    _mm512_fnmadd_ps(root, root, self.0),
                    half,
                    root,
                ))
            }
        }
        #[inline(always)]
        unsafe fn roots(a: F32x16, b: F32x16) -> F32x16 {
            // One by the divider, one by multiplications: a tenth quicker than two of either (2.35 against 2.55 and 2.69 ns for a
            // whole step of the kernel on an AMD EPYC of family 26).
            unsafe { F32x16(_mm512_add_ps(_mm512_sqrt_ps(a.0), b.root().0)) }
        }
        #[inline(always)]
        unsafe fn packed(self, lanes: u32, to: *mut f32) {
            // Not the form that stores: it is microcode on some processors.
            unsafe { _mm512_storeu_ps(to, _mm512_maskz_compress_ps(lanes as u16, self.0)) }
        }
        #[inline(always)]
        unsafe fn packed_index(index: __m512i, lanes: u32, to: *mut i32) {
            unsafe {
                _mm512_storeu_si512(to.cast(), _mm512_maskz_compress_epi32(lanes as u16, index));
            }
        }
        #[inline(always)]
        unsafe fn counted(from: i32) -> __m512i {
            unsafe {
                let ramp = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
                _mm512_add_epi32(ramp, _mm512_set1_epi32(from))
            }
        }
        #[inline(always)]
        unsafe fn below(self, other: F32x16) -> u32 {
            unsafe { u32::from(_mm512_cmp_ps_mask::<_CMP_LT_OQ>(self.0, other.0)) }
        }
        #[inline(always)]
        unsafe fn kept(self, lanes: u32) -> F32x16 {
            F32x16(unsafe { _mm512_maskz_mov_ps(lanes as u16, self.0) })
        }
        #[inline(always)]
        unsafe fn split(self) -> (__m512i, F32x16) {
            unsafe {
                // Less its floor: 1 is "round down, to whole numbers".
                (
                    _mm512_cvttps_epi32(self.0),
                    F32x16(_mm512_reduce_ps::<1>(self.0)),
                )
            }
        }
        #[inline(always)]
        unsafe fn indices(from: *const i32) -> __m512i {
            unsafe { _mm512_loadu_si512(from.cast()) }
        }
        #[inline(always)]
        unsafe fn sum_of(a: __m512i, b: __m512i) -> __m512i {
            unsafe { _mm512_add_epi32(a, b) }
        }
        #[inline(always)]
        unsafe fn stored(index: __m512i, to: *mut i32) {
            unsafe { _mm512_storeu_si512(to.cast(), index) }
        }
        #[inline(always)]
        unsafe fn first(index: __m512i) -> i32 {
            unsafe { _mm_cvtsi128_si32(_mm512_castsi512_si128(index)) }
        }
        #[inline(always)]
        unsafe fn relative(index: __m512i, base: i32, reach: i32) -> (__m512i, bool) {
            unsafe {
                let less = _mm512_sub_epi32(index, _mm512_set1_epi32(base));
                let fits = _mm512_cmple_epu32_mask(less, _mm512_set1_epi32(31 - reach));
                (less, fits == 0xFFFF)
            }
        }
        #[inline(always)]
        unsafe fn shifted(index: __m512i, by: i32) -> __m512i {
            unsafe { _mm512_add_epi32(index, _mm512_set1_epi32(by)) }
        }
        #[inline(always)]
        unsafe fn window<T: Sample>(from: *const T) -> [__m512; 2] {
            unsafe { [T::sixteen(from), T::sixteen(from.add(16))] }
        }
        #[inline(always)]
        unsafe fn pick(window: [__m512; 2], index: __m512i) -> F32x16 {
            F32x16(unsafe { _mm512_permutex2var_ps(window[0], index, window[1]) })
        }
        #[inline(always)]
        unsafe fn gather<T: Sample>(from: *const T, index: __m512i) -> F32x16 {
            unsafe {
                if T::BYTES == 4 {
                    return F32x16(_mm512_i32gather_ps::<4>(index, from.cast()));
                }
                let mut at = [0; 16];
                Self::stored(index, at.as_mut_ptr());
                let mut values = [0.0; 16];
                for (value, i) in values.iter_mut().zip(at) {
                    *value = (*from.offset(i as isize)).to_f32();
                }
                Self::load(values.as_ptr())
            }
        }
    }
}
