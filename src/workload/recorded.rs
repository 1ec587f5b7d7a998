//! A variant on a GPU that is one recording, and whose answer is complex images in the device's memory.
use super::Executable;
use crate::array::{Array, Values};
use crate::device::{Buffer, Gpu, Recording};
use crate::trial::{Ending, Invocation};
use crate::value::{Bytes, Nanoseconds};
use std::sync::Arc;

pub(super) struct Recorded {
    pub(super) gpu: Arc<dyn Gpu>,
    pub(super) recording: Box<dyn Recording>,
    /// Of the workload; those that the recording does not have take no time.
    pub(super) stages: usize,
    /// Real and imaginary parts in f32, one buffer after another, with their bytes.
    pub(super) images: Vec<(Buffer, u64)>,
    /// What else a run must write before it reads it.
    pub(super) written: Vec<(Buffer, u64)>,
    /// Of all images together.
    pub(super) shape: Vec<usize>,
    pub(super) peak: Bytes,
    /// Of the kernels alone, without the arrays.
    pub(super) build_time: Nanoseconds,
    pub(super) attributes: Vec<(String, f64)>,
}

impl Executable for Recorded {
    fn run(&mut self) -> Result<Invocation, Ending> {
        let mut timing = self.recording.run()?;
        timing.stages.resize(self.stages, Nanoseconds(0.0));
        Ok(Invocation {
            timing,
            ..Invocation::default()
        })
    }

    fn poison(&mut self) {
        for (buffer, size) in self.images.iter().chain(&self.written) {
            // A NaN. What cannot be overwritten will show as an error of the run that follows.
            let _ = self.gpu.upload(buffer, &vec![0xFF; *size as usize]);
        }
    }

    fn output(&mut self) -> Result<Option<Array>, Ending> {
        let mut values = vec![];
        for (buffer, size) in &self.images {
            let bytes = self.gpu.download(buffer, *size)?;
            let words = bytes.chunks_exact(4);
            values.extend(words.map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])));
        }
        Ok(Some(Array {
            shape: self.shape.clone(),
            values: Values::F32(values),
            is_complex: true,
        }))
    }

    fn keeps_time(&self) -> bool {
        true
    }

    fn build_time(&self) -> Option<Nanoseconds> {
        Some(self.build_time)
    }

    fn attributes(&self) -> Vec<(String, f64)> {
        self.attributes.clone()
    }

    fn device_peak(&self) -> Bytes {
        self.peak
    }
}
