//! Memory of the host that the driver has locked, so that the device copies from it and to it by itself.
#![allow(unsafe_code, reason = "calls the CUDA driver")]
use cudarc::driver::{CudaContext, DriverError, result};
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::Arc;

pub(super) struct Locked {
    context: Arc<CudaContext>,
    start: NonNull<u8>,
    size: usize,
}

// SAFETY: plain memory, which belongs to one owner at a time.
unsafe impl Send for Locked {}
// SAFETY: as above; whoever shares it only reads.
unsafe impl Sync for Locked {}

impl Locked {
    /// So many bytes, all zero.
    pub(super) fn new(context: &Arc<CudaContext>, size: usize) -> Result<Locked, DriverError> {
        context.bind_to_thread()?;
        // SAFETY: plain allocation, freed once in `drop`; the driver gives none of no bytes. It is written before it is read.
        let start = unsafe {
            let start: *mut u8 = result::malloc_host(size.max(1), 0)?.cast();
            start.write_bytes(0, size);
            start
        };
        Ok(Locked {
            context: context.clone(),
            start: NonNull::new(start).expect("the driver said that it worked"),
            size,
        })
    }
}

impl Deref for Locked {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: it is that long and has been written; every copy of the device is waited for by whoever asked for it.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.size) }
    }
}

impl DerefMut for Locked {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.size) }
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        let free = || unsafe { result::free_host(self.start.as_ptr().cast()) };
        // SAFETY: allocated by this context, and freed once; no copy is under way any more, see `deref`.
        let _ = self.context.bind_to_thread().and_then(|()| free());
    }
}
