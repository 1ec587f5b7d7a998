//! Kernels that have been compiled, so that none is compiled twice and many can be at once.
#![allow(clippy::disallowed_methods, reason = "times compilation")]
use super::{Kernel, Source};
use crate::trial::Ending;
use crate::value::Nanoseconds;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

/// More are not kept by the cache itself; executables keep theirs.
const KEPT: usize = 512;

type Slot = Arc<OnceLock<Result<Kernel, Ending>>>;

/// By the SHA-256 of everything that the compiler is told. Failures are kept too.
#[derive(Debug, Default)]
pub struct KernelCache(Mutex<HashMap<Vec<u8>, Slot>>);

impl KernelCache {
    /// The kernel of a source, made by `build` if nobody asked before; who asks meanwhile waits.
    pub(super) fn get(
        &self,
        source: &Source<'_>,
        build: impl FnOnce() -> Result<Kernel, Ending>,
    ) -> Result<Kernel, Ending> {
        let key = Sha256::digest(format!("{source:?}")).to_vec();
        let slot: Slot = {
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.len() >= KEPT {
                kept.clear();
            }
            kept.entry(key).or_default().clone()
        };
        let timed = || {
            let started = Instant::now();
            let kernel = build()?;
            Ok(Kernel {
                compile_time: Nanoseconds::from(started.elapsed()),
                ..kernel
            })
        };
        slot.get_or_init(timed).clone()
    }
}
