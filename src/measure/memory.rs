//! Peak memory of our own process: what was allocated (exact, deterministic) and what was resident (pages really touched).
#![allow(
    unsafe_code,
    clippy::disallowed_methods,
    reason = "an allocator is an unsafe trait; /proc is this module's instrument"
)]
use crate::value::Bytes;
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

/// The program's allocator: the system's, and a count of live bytes while a memory pass asks for it.
///
/// All four calls are forwarded: an allocator without `alloc_zeroed` touches every page of a large zeroed vector and so
/// changes what is measured (0.03 ms → 159 ms for 256 MiB, shared/DEPENDENCIES.md §6).
#[derive(Debug)]
pub struct Allocator;

static IS_COUNTING: AtomicBool = AtomicBool::new(false);
static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

fn grew(bytes: usize) {
    if IS_COUNTING.load(Relaxed) {
        let live = LIVE.fetch_add(bytes, Relaxed).wrapping_add(bytes);
        PEAK.fetch_max(live, Relaxed);
    }
}

fn shrank(bytes: usize) {
    if IS_COUNTING.load(Relaxed) {
        // What was allocated before counting began may be freed while it lasts: live never falls below zero.
        let _ = LIVE.fetch_update(Relaxed, Relaxed, |live| Some(live.saturating_sub(bytes)));
    }
}

// SAFETY: every call is forwarded unchanged to the system's allocator; the counters allocate nothing.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grew(layout.size());
        // SAFETY: the caller's contract is System's contract.
        unsafe { System.alloc(layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        grew(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        shrank(layout.size());
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        grew(size);
        shrank(layout.size());
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// Counts allocations from its start until it is dropped. One at a time.
#[derive(Debug)]
pub struct Counting(());

impl Counting {
    pub fn start() -> Counting {
        LIVE.store(0, Relaxed);
        PEAK.store(0, Relaxed);
        IS_COUNTING.store(true, Relaxed);
        Counting(())
    }

    /// Largest sum of live allocations made since the start; 0 where the program does not run on [`Allocator`].
    pub fn peak(&self) -> Bytes {
        Bytes(PEAK.load(Relaxed) as u64)
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        IS_COUNTING.store(false, Relaxed);
    }
}

/// Starts the resident peak of this process anew; false where the kernel does not allow it.
pub fn reset_resident_peak() -> bool {
    // Writing 5 resets VmHWM: proc(5), /proc/pid/clear_refs.
    std::fs::write("/proc/self/clear_refs", "5").is_ok()
}

/// Largest resident size of this process since [`reset_resident_peak`], or since it began.
pub fn resident_peak() -> Option<Bytes> {
    status_kib("/proc/self/status", "VmHWM:")
}

/// Resident size of a process now.
pub fn resident(pid: u32) -> Option<Bytes> {
    status_kib(&format!("/proc/{pid}/status"), "VmRSS:")
}

fn status_kib(file: &str, key: &str) -> Option<Bytes> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(Bytes(kib * 1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn touching_memory_raises_the_resident_peak() {
        reset_resident_peak();
        let before = resident_peak().unwrap().0;
        let touched = vec![1u8; 64 << 20];
        let after = resident_peak().unwrap().0;
        assert!(touched.iter().step_by(4096).all(|&b| b == 1));
        assert!(after >= before + (60 << 20), "{before} → {after}");
    }

    #[test]
    fn the_allocator_counts_its_peak_and_not_what_was_freed() {
        let layout = Layout::from_size_align(1 << 20, 8).unwrap();
        let counting = Counting::start();
        for _ in 0..3 {
            // SAFETY: allocated and freed with the same layout, never read.
            unsafe {
                let pointer = Allocator.alloc(layout);
                Allocator.dealloc(pointer, layout);
            }
        }
        let peak = counting.peak().0;
        assert!((1 << 20..2 << 20).contains(&peak), "{peak}");
    }
}
