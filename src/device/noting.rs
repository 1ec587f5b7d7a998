//! A GPU that computes nothing and notes what is asked of it, for tests of what stands around invocations.
use super::{Buffer, Gpu, Kernel, KernelCache, Language, Recording, Source, Step, Submission};
use crate::trial::{Ending, GpuReading};
use crate::value::Bytes;
use std::sync::{Mutex, PoisonError};

#[derive(Debug, Default)]
pub(crate) struct Noting {
    kernels: KernelCache,
    notes: Mutex<Vec<&'static str>>,
    /// What its counter of energy reads; absent: it has none.
    joules: Mutex<Option<f64>>,
}

impl Noting {
    pub(crate) fn note(&self, what: &'static str) {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        notes.push(what);
    }

    /// What was noted since this was asked last.
    pub(crate) fn take_notes(&self) -> Vec<&'static str> {
        std::mem::take(&mut *self.notes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lets its counter of energy go on; the first time, it has one from then on.
    pub(crate) fn use_energy(&self, joules: f64) {
        let mut all = self.joules.lock().unwrap_or_else(PoisonError::into_inner);
        *all.get_or_insert(1e3) += joules;
    }
}

const SILENT: &str = "computes nothing";

impl Gpu for Noting {
    fn about(&self) -> String {
        SILENT.into()
    }

    fn language(&self) -> Language {
        Language::Wgsl
    }

    fn build(&self, _source: &Source<'_>) -> Result<Kernel, Ending> {
        unreachable!("{SILENT}")
    }

    fn cache(&self) -> &KernelCache {
        &self.kernels
    }

    fn attributes(&self, _kernel: &Kernel) -> Vec<(String, f64)> {
        vec![]
    }

    fn allocate(&self, _name: &str, _size: u64) -> Result<Buffer, Ending> {
        unreachable!("{SILENT}")
    }

    fn upload_at(&self, _to: &Buffer, _offset: u64, _bytes: &[u8]) -> Result<(), Ending> {
        unreachable!("{SILENT}")
    }

    fn download_into(&self, _from: &Buffer, _bytes: &mut [u8]) -> Result<(), Ending> {
        unreachable!("{SILENT}")
    }

    fn record_for(
        &self,
        _steps: &[Step],
        _submission: Submission,
    ) -> Result<Box<dyn Recording>, Ending> {
        unreachable!("{SILENT}")
    }

    fn flush(&self) -> Result<Bytes, Ending> {
        self.note("flush");
        Ok(Bytes(1))
    }

    fn take_peak(&self) -> Bytes {
        Bytes(0)
    }

    fn reading(&self) -> Option<GpuReading> {
        let joules = *self.joules.lock().unwrap_or_else(PoisonError::into_inner);
        Some(GpuReading {
            joules,
            ..GpuReading::default()
        })
    }
}
