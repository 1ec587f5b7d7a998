//! Arrays that several tasks write, each its own part; shared with forked processes where they are to see them.
#![allow(
    unsafe_code,
    reason = "anonymous mappings, and pointers that tasks write through"
)]

/// Zeroed at first, never resized.
#[derive(Debug)]
pub(super) struct Memory<T> {
    first: *mut T,
    length: usize,
    owner: Owner<T>,
}

#[derive(Debug)]
enum Owner<T> {
    Vector(#[expect(dead_code, reason = "keeps the memory")] Vec<T>),
    #[cfg(unix)]
    Mapping,
}

// SAFETY: it is only written through functions whose callers own the part that they write.
unsafe impl<T: Send> Send for Memory<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for Memory<T> {}

impl<T: Copy + Default> Memory<T> {
    pub(super) fn zeroed(length: usize, is_shared: bool) -> Memory<T> {
        Memory::filled(length, T::default(), is_shared)
    }
}

impl<T: Copy> Memory<T> {
    pub(super) fn filled(length: usize, value: T, is_shared: bool) -> Memory<T> {
        #[cfg(unix)]
        if is_shared {
            return Memory::mapped(length, value);
        }
        #[cfg(not(unix))]
        let _ = is_shared;
        // From the allocator, so that it is counted with all other memory.
        let mut vector = Vec::with_capacity(length);
        advise(vector.as_mut_ptr(), length);
        vector.resize(length, value);
        Memory {
            first: vector.as_mut_ptr(),
            length,
            owner: Owner::Vector(vector),
        }
    }

    /// No allocator's: what processes share shows in the resident memory alone.
    ///
    /// # Panics
    /// Where the system has no more memory, as a vector does.
    #[cfg(unix)]
    fn mapped(length: usize, value: T) -> Memory<T> {
        let size = (length * size_of::<T>()).max(1);
        // SAFETY: a new anonymous mapping, aligned to a page and large enough.
        let first = unsafe {
            let at = libc::mmap(
                std::ptr::null_mut(),
                size,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_ANONYMOUS,
                -1,
                0,
            );
            assert!(at != libc::MAP_FAILED, "no memory for {size} shared bytes");
            at.cast::<T>()
        };
        let mut memory = Memory {
            first,
            length,
            owner: Owner::Mapping,
        };
        memory.as_mut_slice().fill(value);
        memory
    }
}

/// Asks for large pages where they are worth it, before the memory is touched: tasks go from slab to slab, each on a page of its own
/// (a twentieth of a dense step, measured). The system may refuse.
fn advise<T>(first: *mut T, length: usize) {
    #[cfg(target_os = "linux")]
    {
        const PAGE: usize = 4096;
        const LARGE: usize = 4 << 20;
        let (start, size) = (first as usize, length * size_of::<T>());
        if size >= LARGE {
            let from = start.next_multiple_of(PAGE);
            // SAFETY: advice about whole pages of an allocation of this size.
            unsafe { libc::madvise(from as *mut _, start + size - from, libc::MADV_HUGEPAGE) };
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (first, length);
}

impl<T> Memory<T> {
    /// For tasks that write their own part of it.
    #[inline(always)]
    pub(super) fn pointer(&self) -> *mut T {
        self.first
    }

    pub(super) fn as_slice(&self) -> &[T] {
        // SAFETY: no task runs while the owner reads.
        unsafe { std::slice::from_raw_parts(self.first, self.length) }
    }

    pub(super) fn as_mut_slice(&mut self) -> &mut [T] {
        // SAFETY: as above, and the reference is unique.
        unsafe { std::slice::from_raw_parts_mut(self.first, self.length) }
    }
}

impl<T> Drop for Memory<T> {
    fn drop(&mut self) {
        #[cfg(unix)]
        if matches!(self.owner, Owner::Mapping) {
            // SAFETY: mapped once with this size.
            unsafe { libc::munmap(self.first.cast(), (self.length * size_of::<T>()).max(1)) };
        }
    }
}
