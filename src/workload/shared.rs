//! One array that several threads write, each its own part: what a borrow cannot say when the parts are rows of a box.
#![allow(unsafe_code, reason = "threads write disjoint parts of one array")]

/// Memory that several threads write, each its own part.
#[derive(Debug)]
pub(super) struct Shared<'a, T> {
    first: *mut T,
    count: usize,
    _memory: std::marker::PhantomData<&'a mut [T]>,
}

impl<T> Clone for Shared<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Shared<'_, T> {}

// SAFETY: it is only written through functions whose callers own the part that they write.
unsafe impl<T: Send> Send for Shared<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Shared<'_, T> {}

impl<'a, T> Shared<'a, T> {
    pub(super) fn new(memory: &'a mut [T]) -> Shared<'a, T> {
        Shared {
            first: memory.as_mut_ptr(),
            count: memory.len(),
            _memory: std::marker::PhantomData,
        }
    }

    /// # Safety
    /// No other thread writes this place.
    #[inline(always)]
    pub(super) unsafe fn write(&self, at: usize, value: T) {
        assert!(at < self.count, "a point of the volume");
        // SAFETY: within the memory, and the caller's alone.
        unsafe { self.first.add(at).write(value) };
    }

    /// The start of a part.
    ///
    /// # Safety
    /// No other thread uses this part.
    #[inline(always)]
    pub(super) unsafe fn part(&self, from: usize, length: usize) -> *mut T {
        assert!(from + length <= self.count, "a part of the memory");
        // SAFETY: within the memory.
        unsafe { self.first.add(from) }
    }

    /// An address to prefetch, which may lie beyond the memory.
    #[inline(always)]
    pub(super) fn near(&self, at: usize) -> *const T {
        self.first.wrapping_add(at)
    }
}
