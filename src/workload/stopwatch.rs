//! Time that a part of an invocation takes.
#![allow(clippy::disallowed_methods, reason = "stages are timed where they run")]
use std::time::{Duration, Instant};

/// Adds what the work takes.
pub(super) fn timed<T>(stage: &mut Duration, work: impl FnOnce() -> T) -> T {
    let started = Instant::now();
    let result = work();
    *stage += started.elapsed();
    result
}
