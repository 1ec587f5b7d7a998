//! Vectors with one pixel in each 128 bits: its neighbours as eight bytes of the row above and eight of the row below, then its
//! three levels as 32-bit numbers. The operations that remapping needs, in AVX2 and AVX-512.
#![allow(
    unsafe_code,
    reason = "intrinsics of a processor that was asked for them"
)]

/// Pixels of four vectors lie so that packing them gives bytes in order: lane k of vector m holds pixel 4k + m.
///
/// # Safety
/// Of every function: the processor has the instructions, and pointers are good for what is read or written there.
pub(super) trait Quads: Copy {
    /// The same bits as numbers of single precision.
    type Reals: Copy;

    /// Lanes.
    const PIXELS: usize;

    unsafe fn zero() -> Self;

    /// Eight bytes at `above` + offset and eight at `below` + offset, for every fourth of the offsets.
    unsafe fn load(above: *const u8, below: *const u8, offsets: *const u32) -> Self;

    /// Sixteen bytes at `from` + offset, for every fourth of the offsets.
    unsafe fn load_row(from: *const u8, offsets: *const u32) -> Self;

    /// Four 32-bit words a lane, in order.
    unsafe fn load_words(from: *const u32) -> Self;

    /// Bytes of each lane by the table, 0 where it says 128.
    unsafe fn shuffle(self, table: &[u8; 16]) -> Self;

    /// Sums of two products of bytes, the second factor signed, as 16-bit numbers.
    unsafe fn weigh_bytes(self, weights: Self) -> Self;

    /// Sums of two products of 16-bit numbers, as 32-bit numbers.
    unsafe fn weigh_words(self, weights: Self) -> Self;

    /// Divided by 1024 and rounded, halves up.
    unsafe fn over_1024(self) -> Self;

    unsafe fn to_reals(self) -> Self::Reals;

    unsafe fn as_reals(self) -> Self::Reals;

    /// Halves to even.
    unsafe fn rounded(reals: Self::Reals) -> Self;

    unsafe fn add(a: Self::Reals, b: Self::Reals) -> Self::Reals;

    unsafe fn subtract(a: Self::Reals, b: Self::Reals) -> Self::Reals;

    unsafe fn multiply(a: Self::Reals, b: Self::Reals) -> Self::Reals;

    /// To the nearest half and back.
    unsafe fn halves(reals: Self::Reals) -> Self::Reals;

    /// Writes the first three of each lane's four numbers as bytes from 0 to 255: 12 bytes a lane, in the order of pixels.
    unsafe fn store(four: [Self; 4], to: *mut u8);
}

/// Four pixels of a lane, of four bytes each, without every fourth.
const WITHOUT_FOURTH: [u8; 16] = [0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, 128, 128, 128, 128];

pub(super) use x86::{Avx2, Avx512, fence, prefetch, prefetch_store, stream};

mod x86 {
    use super::{Quads, WITHOUT_FOURTH};
    use std::arch::x86_64::*;

    /// A lane: the pixel at this offset.
    #[inline(always)]
    unsafe fn lane(above: *const u8, below: *const u8, offset: *const u32) -> __m128i {
        // SAFETY: as the caller promises, here and below.
        unsafe {
            let at = *offset as usize;
            let (above, below) = (above.add(at).cast(), below.add(at).cast());
            _mm_unpacklo_epi64(_mm_loadl_epi64(above), _mm_loadl_epi64(below))
        }
    }

    /// Asks for what is there, which may be nothing, to be in the cache soon.
    #[inline(always)]
    pub(in crate::workload::e2p) fn prefetch(at: *const u8) {
        // SAFETY: an address that is no memory is ignored.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
    }

    /// The same, to be written.
    #[inline(always)]
    pub(in crate::workload::e2p) fn prefetch_store(at: *const u8) {
        // SAFETY: as above.
        unsafe { _mm_prefetch::<_MM_HINT_ET0>(at.cast()) }
    }

    /// What was streamed is seen by other threads from then on.
    #[inline(always)]
    pub(in crate::workload::e2p) fn fence() {
        // SAFETY: every x86-64 has it.
        unsafe { _mm_sfence() }
    }

    /// 48 bytes past the caches, or through them where `to` is at no multiple of 16.
    ///
    /// # Safety
    /// So many bytes there and room for them.
    #[inline(always)]
    pub(in crate::workload::e2p) unsafe fn stream(from: *const u8, to: *mut u8) {
        // SAFETY: as the caller promises.
        unsafe {
            if !(to as usize).is_multiple_of(16) {
                return std::ptr::copy_nonoverlapping(from, to, 48);
            }
            for at in [0, 16, 32] {
                let part = _mm_loadu_si128(from.add(at).cast());
                _mm_stream_si128(to.add(at).cast(), part);
            }
        }
    }

    #[derive(Clone, Copy)]
    pub(in crate::workload::e2p) struct Avx2(__m256i);

    impl Quads for Avx2 {
        type Reals = __m256;

        const PIXELS: usize = 2;

        #[inline(always)]
        unsafe fn zero() -> Avx2 {
            // SAFETY: as the caller promises, here and below.
            Avx2(unsafe { _mm256_setzero_si256() })
        }
        #[inline(always)]
        unsafe fn load(above: *const u8, below: *const u8, offsets: *const u32) -> Avx2 {
            unsafe {
                let first = lane(above, below, offsets);
                let second = lane(above, below, offsets.add(4));
                Avx2(_mm256_set_m128i(second, first))
            }
        }
        #[inline(always)]
        unsafe fn load_row(from: *const u8, offsets: *const u32) -> Avx2 {
            unsafe {
                let lane = |at: usize| from.add(*offsets.add(at) as usize).cast();
                let first = _mm_loadu_si128(lane(0));
                let second = _mm_loadu_si128(lane(4));
                Avx2(_mm256_set_m128i(second, first))
            }
        }
        #[inline(always)]
        unsafe fn load_words(from: *const u32) -> Avx2 {
            Avx2(unsafe { _mm256_loadu_si256(from.cast()) })
        }
        #[inline(always)]
        unsafe fn shuffle(self, table: &[u8; 16]) -> Avx2 {
            unsafe {
                let table = _mm256_broadcastsi128_si256(_mm_loadu_si128(table.as_ptr().cast()));
                Avx2(_mm256_shuffle_epi8(self.0, table))
            }
        }
        #[inline(always)]
        unsafe fn weigh_bytes(self, weights: Avx2) -> Avx2 {
            Avx2(unsafe { _mm256_maddubs_epi16(self.0, weights.0) })
        }
        #[inline(always)]
        unsafe fn weigh_words(self, weights: Avx2) -> Avx2 {
            Avx2(unsafe { _mm256_madd_epi16(self.0, weights.0) })
        }
        #[inline(always)]
        unsafe fn over_1024(self) -> Avx2 {
            Avx2(unsafe { _mm256_srli_epi32(_mm256_add_epi32(self.0, _mm256_set1_epi32(512)), 10) })
        }
        #[inline(always)]
        unsafe fn to_reals(self) -> __m256 {
            unsafe { _mm256_cvtepi32_ps(self.0) }
        }
        #[inline(always)]
        unsafe fn as_reals(self) -> __m256 {
            unsafe { _mm256_castsi256_ps(self.0) }
        }
        #[inline(always)]
        unsafe fn rounded(reals: __m256) -> Avx2 {
            Avx2(unsafe { _mm256_cvtps_epi32(reals) })
        }
        #[inline(always)]
        unsafe fn add(a: __m256, b: __m256) -> __m256 {
            unsafe { _mm256_add_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn subtract(a: __m256, b: __m256) -> __m256 {
            unsafe { _mm256_sub_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn multiply(a: __m256, b: __m256) -> __m256 {
            unsafe { _mm256_mul_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn halves(reals: __m256) -> __m256 {
            unsafe { _mm256_cvtph_ps(_mm256_cvtps_ph::<{ _MM_FROUND_TO_NEAREST_INT }>(reals)) }
        }
        #[inline(always)]
        unsafe fn store([a, b, c, d]: [Avx2; 4], to: *mut u8) {
            unsafe {
                let words = (_mm256_packus_epi32(a.0, b.0), _mm256_packus_epi32(c.0, d.0));
                let bytes = Avx2(_mm256_packus_epi16(words.0, words.1)).shuffle(&WITHOUT_FOURTH);
                // Twelve bytes of each lane side by side.
                let order = _mm256_setr_epi32(0, 1, 2, 4, 5, 6, 7, 7);
                let packed = _mm256_permutevar8x32_epi32(bytes.0, order);
                _mm_storeu_si128(to.cast(), _mm256_castsi256_si128(packed));
                _mm_storel_epi64(to.add(16).cast(), _mm256_extracti128_si256::<1>(packed));
            }
        }
    }

    #[derive(Clone, Copy)]
    pub(in crate::workload::e2p) struct Avx512(__m512i);

    impl Quads for Avx512 {
        type Reals = __m512;

        const PIXELS: usize = 4;

        #[inline(always)]
        unsafe fn zero() -> Avx512 {
            // SAFETY: as the caller promises, here and below.
            Avx512(unsafe { _mm512_setzero_si512() })
        }
        #[inline(always)]
        unsafe fn load(above: *const u8, below: *const u8, offsets: *const u32) -> Avx512 {
            unsafe {
                let low = Avx2::load(above, below, offsets).0;
                let high = Avx2::load(above, below, offsets.add(8)).0;
                Avx512(_mm512_inserti64x4::<1>(_mm512_castsi256_si512(low), high))
            }
        }
        #[inline(always)]
        unsafe fn load_row(from: *const u8, offsets: *const u32) -> Avx512 {
            unsafe {
                let low = Avx2::load_row(from, offsets).0;
                let high = Avx2::load_row(from, offsets.add(8)).0;
                Avx512(_mm512_inserti64x4::<1>(_mm512_castsi256_si512(low), high))
            }
        }
        #[inline(always)]
        unsafe fn load_words(from: *const u32) -> Avx512 {
            Avx512(unsafe { _mm512_loadu_si512(from.cast()) })
        }
        #[inline(always)]
        unsafe fn shuffle(self, table: &[u8; 16]) -> Avx512 {
            unsafe {
                let table = _mm512_broadcast_i32x4(_mm_loadu_si128(table.as_ptr().cast()));
                Avx512(_mm512_shuffle_epi8(self.0, table))
            }
        }
        #[inline(always)]
        unsafe fn weigh_bytes(self, weights: Avx512) -> Avx512 {
            Avx512(unsafe { _mm512_maddubs_epi16(self.0, weights.0) })
        }
        #[inline(always)]
        unsafe fn weigh_words(self, weights: Avx512) -> Avx512 {
            Avx512(unsafe { _mm512_madd_epi16(self.0, weights.0) })
        }
        #[inline(always)]
        unsafe fn over_1024(self) -> Avx512 {
            Avx512(unsafe {
                _mm512_srli_epi32::<10>(_mm512_add_epi32(self.0, _mm512_set1_epi32(512)))
            })
        }
        #[inline(always)]
        unsafe fn to_reals(self) -> __m512 {
            unsafe { _mm512_cvtepi32_ps(self.0) }
        }
        #[inline(always)]
        unsafe fn as_reals(self) -> __m512 {
            unsafe { _mm512_castsi512_ps(self.0) }
        }
        #[inline(always)]
        unsafe fn rounded(reals: __m512) -> Avx512 {
            Avx512(unsafe { _mm512_cvtps_epi32(reals) })
        }
        #[inline(always)]
        unsafe fn add(a: __m512, b: __m512) -> __m512 {
            unsafe { _mm512_add_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn subtract(a: __m512, b: __m512) -> __m512 {
            unsafe { _mm512_sub_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn multiply(a: __m512, b: __m512) -> __m512 {
            unsafe { _mm512_mul_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn halves(reals: __m512) -> __m512 {
            unsafe { _mm512_cvtph_ps(_mm512_cvtps_ph::<{ _MM_FROUND_TO_NEAREST_INT }>(reals)) }
        }
        #[inline(always)]
        unsafe fn store([a, b, c, d]: [Avx512; 4], to: *mut u8) {
            unsafe {
                let words = (_mm512_packus_epi32(a.0, b.0), _mm512_packus_epi32(c.0, d.0));
                let bytes = Avx512(_mm512_packus_epi16(words.0, words.1)).shuffle(&WITHOUT_FOURTH);
                // Twelve bytes of each lane side by side.
                let order =
                    _mm512_setr_epi32(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, 15, 15, 15, 15);
                let packed = _mm512_permutexvar_epi32(order, bytes.0);
                _mm256_storeu_si256(to.cast(), _mm512_castsi512_si256(packed));
                _mm_storeu_si128(to.add(32).cast(), _mm512_extracti32x4_epi32::<2>(packed));
            }
        }
    }
}
