//! Vectors of f32 for kernels that are written once: portable, AVX2 and AVX-512. A kernel is generic over its workload's `Lanes`,
//! which add to [`Vector`] what only that kernel does, and always inlined into a function that has the features; which function is
//! chosen at run time.
#![allow(unsafe_code, reason = "intrinsics; every function says what it needs")]

/// N numbers that are computed with at once.
///
/// # Safety
/// Every function needs the processor to have the implementer's features; pointers need N readable or writable values.
pub(super) trait Vector: Copy {
    const COUNT: usize;

    unsafe fn splat(value: f32) -> Self;
    unsafe fn load(from: *const f32) -> Self;
    unsafe fn store(self, to: *mut f32);
    unsafe fn add(self, other: Self) -> Self;
    unsafe fn sub(self, other: Self) -> Self;
    unsafe fn mul(self, other: Self) -> Self;
    unsafe fn min(self, other: Self) -> Self;
    unsafe fn max(self, other: Self) -> Self;
    /// self·a + b, rounded once where the processor can.
    unsafe fn mul_add(self, a: Self, b: Self) -> Self;

    /// The N numbers, then zeros.
    #[inline(always)]
    unsafe fn to_array(self) -> [f32; 16] {
        let mut all = [0.0; 16];
        // SAFETY: no implementer has more than sixteen lanes.
        unsafe { self.store(all.as_mut_ptr()) };
        all
    }

    /// In pairs of halves.
    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        // SAFETY: as the caller promises.
        let mut all = unsafe { self.to_array() };
        let mut width = Self::COUNT;
        while width > 1 {
            width /= 2;
            for lane in 0..width {
                all[lane] += all[lane + width];
            }
        }
        all[0]
    }
}

/// Eight lanes in plain Rust: SSE2 or whatever the target has by default.
#[derive(Clone, Copy)]
pub(super) struct Portable(pub(super) [f32; 8]);

impl Portable {
    #[inline(always)]
    pub(super) fn zip(self, other: Portable, f: impl Fn(f32, f32) -> f32) -> Portable {
        Portable(std::array::from_fn(|i| f(self.0[i], other.0[i])))
    }
}

impl Vector for Portable {
    const COUNT: usize = 8;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Portable {
        Portable([value; 8])
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Portable {
        // SAFETY: as the caller promises, here and below.
        Portable(unsafe { from.cast::<[f32; 8]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { to.cast::<[f32; 8]>().write_unaligned(self.0) }
    }
    #[inline(always)]
    unsafe fn add(self, other: Portable) -> Portable {
        self.zip(other, |a, b| a + b)
    }
    #[inline(always)]
    unsafe fn sub(self, other: Portable) -> Portable {
        self.zip(other, |a, b| a - b)
    }
    #[inline(always)]
    unsafe fn mul(self, other: Portable) -> Portable {
        self.zip(other, |a, b| a * b)
    }
    #[inline(always)]
    unsafe fn min(self, other: Portable) -> Portable {
        self.zip(other, |a, b| if b < a { b } else { a })
    }
    #[inline(always)]
    unsafe fn max(self, other: Portable) -> Portable {
        self.zip(other, |a, b| if b > a { b } else { a })
    }
    #[inline(always)]
    unsafe fn mul_add(self, a: Portable, b: Portable) -> Portable {
        // f32::mul_add would call a library function for each lane.
        self.zip(a, |x, a| x * a).zip(b, |p, b| p + b)
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) use x86::{F32x8, F32x16};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Vector;
    use std::arch::x86_64::*;

    /// Eight lanes: AVX2, FMA and F16C.
    #[derive(Clone, Copy)]
    pub(in crate::workload) struct F32x8(pub(in crate::workload) __m256);

    impl Vector for F32x8 {
        const COUNT: usize = 8;

        #[inline(always)]
        unsafe fn splat(value: f32) -> F32x8 {
            // SAFETY: as the caller promises, here and below.
            F32x8(unsafe { _mm256_set1_ps(value) })
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> F32x8 {
            F32x8(unsafe { _mm256_loadu_ps(from) })
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            unsafe { _mm256_storeu_ps(to, self.0) }
        }
        #[inline(always)]
        unsafe fn add(self, other: F32x8) -> F32x8 {
            F32x8(unsafe { _mm256_add_ps(self.0, other.0) })
        }
        #[inline(always)]
        unsafe fn sub(self, other: F32x8) -> F32x8 {
            F32x8(unsafe { _mm256_sub_ps(self.0, other.0) })
        }
        #[inline(always)]
        unsafe fn mul(self, other: F32x8) -> F32x8 {
            F32x8(unsafe { _mm256_mul_ps(self.0, other.0) })
        }
        #[inline(always)]
        unsafe fn min(self, other: F32x8) -> F32x8 {
            F32x8(unsafe { _mm256_min_ps(self.0, other.0) })
        }
        #[inline(always)]
        unsafe fn max(self, other: F32x8) -> F32x8 {
            F32x8(unsafe { _mm256_max_ps(self.0, other.0) })
        }
        #[inline(always)]
        unsafe fn mul_add(self, a: F32x8, b: F32x8) -> F32x8 {
            F32x8(unsafe { _mm256_fmadd_ps(self.0, a.0, b.0) })
        }
    }

    /// Sixteen lanes: AVX-512F, DQ, BW and VL.
    #[derive(Clone, Copy)]
    pub(in crate::workload) struct F32x16(pub(in crate::workload) __m512);

    impl Vector for F32x16 {
        const COUNT: usize = 16;

        #[inline(always)]
        unsafe fn splat(value: f32) -> F32x16 {
            // SAFETY: as the caller promises, here and below.
            F32x16(unsafe { _mm512_set1_ps(value) })
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> F32x16 {
            F32x16(unsafe { _mm512_loadu_ps(from) })
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            unsafe { _mm512_storeu_ps(to, self.0) }
        }
        #[inline(always)]
        unsafe fn add(self, other: F32x16) -> F32x16 {
            F32x16(unsafe { _mm512_add_ps(self.0, other.0) })
        }
        #[inline(always)]
        unsafe fn sub(self, other: F32x16) -> F32x16 {
            F32x16(unsafe { _mm512_sub_ps(self.0, other.0) })
        }
        #[inline(always)]
        unsafe fn mul(self, other: F32x16) -> F32x16 {
            F32x16(unsafe { _mm512_mul_ps(self.0, other.0) })
        }
        #[inline(always)]
        unsafe fn min(self, other: F32x16) -> F32x16 {
            F32x16(unsafe { _mm512_min_ps(self.0, other.0) })
        }
        #[inline(always)]
        unsafe fn max(self, other: F32x16) -> F32x16 {
            F32x16(unsafe { _mm512_max_ps(self.0, other.0) })
        }
        #[inline(always)]
        unsafe fn mul_add(self, a: F32x16, b: F32x16) -> F32x16 {
            F32x16(unsafe { _mm512_fmadd_ps(self.0, a.0, b.0) })
        }
    }
}
