//! What a pipeline asks of a device: frames to it, their images of every camera, images from it. Each step may run on a thread of
//! its own, for different batches at once, so that copies and computing overlap where the device can do both.
use super::memory::Room;
use super::scene::Scene;
use super::settings::Settings;
use super::{cpu, gpu};
use crate::device::{Device, Pinned};
use crate::trial::Ending;
use crate::value::{Bytes, Nanoseconds};
use crate::workload::written::unsupported;
use std::sync::Arc;

/// What images are overwritten with where a test of the next run wants to see what it leaves out.
pub(super) const POISON: u8 = 0xA5;

/// A decoded frame, `[height, width, 3]`: a buffer of a pool, a mapped file, or one that a cache keeps as well.
pub(super) type Frame = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// Frames that go through a device together, and what becomes of them.
pub(super) struct Batch {
    /// Whose buffers on the device these frames are in, below the number of slots that the remapper was prepared with. A slot
    /// belongs to one batch from its `upload` to its `download`.
    pub(super) slot: usize,
    /// At least one, and at most `Settings::batch`.
    pub(super) frames: Vec<Frame>,
    /// `[frame][camera][height][width][3]`, as long as its frames need: `frames.len() * scene.images_bytes()`.
    pub(super) outputs: Room,
}

impl Batch {
    /// # Errors
    /// `Failed` where a frame has another size, or the images have no room.
    pub(super) fn check(&self, scene: &Scene) -> Result<(), Ending> {
        let wrong = |reason: String| Err(Ending::Failed { reason });
        for frame in &self.frames {
            let length = (**frame).as_ref().len();
            if length != scene.frame_bytes() {
                return wrong(format!(
                    "a frame of {length} bytes, not {}",
                    scene.frame_bytes()
                ));
            }
        }
        let images = self.frames.len() * scene.images_bytes();
        match self.outputs.len() == images {
            true => Ok(()),
            false => wrong(format!(
                "room for {} bytes of images, not {images}",
                self.outputs.len()
            )),
        }
    }
}

/// The three steps of a device.
pub(super) trait Remapper: Send + Sync {
    /// The frames into the device's memory. Nothing on a processor, which reads them where they are.
    ///
    /// # Errors
    /// What the copy came to; a frame of another size is `Failed`.
    fn upload(&self, batch: &Batch) -> Result<(), Ending>;

    /// Every camera's image of every frame. On a processor straight into `outputs`; on a GPU they stay in its memory. Returns
    /// the time by the device's own timestamps, where it has them.
    ///
    /// # Errors
    /// What the launch came to; a frame of another size is `Failed`.
    fn remap(&self, batch: &mut Batch) -> Result<Option<Nanoseconds>, Ending>;

    /// The images into `outputs`. Nothing on a processor.
    ///
    /// # Errors
    /// What the copy came to.
    fn download(&self, batch: &mut Batch) -> Result<(), Ending>;

    /// Memory of the host that its copies are quickest with.
    ///
    /// # Errors
    /// `Unsupported` on a processor, which copies nothing; what allocating came to.
    fn pin(&self, _size: usize) -> Result<Pinned, Ending> {
        Err(unsupported("a processor reads frames where they are"))
    }

    /// Overwrites the images in the device's memory, so that pixels which a run never writes show. A processor has none of its own.
    fn poison(&self) {}

    /// How long kernels took to compile, where they were; absent on a processor.
    fn build_time(&self) -> Option<Nanoseconds> {
        None
    }

    /// What a compiler made of the kernels, for the records.
    fn attributes(&self) -> Vec<(String, f64)> {
        vec![]
    }

    /// The device's memory.
    fn device_peak(&self) -> Bytes {
        Bytes(0)
    }
}

/// Maps, tables and kernels of one configuration, with buffers on the device for so many batches at once.
///
/// # Errors
/// What compiling or allocating came to.
pub(super) fn prepare(
    device: &Device,
    scene: &Arc<Scene>,
    settings: &Settings,
    slots: usize,
) -> Result<Box<dyn Remapper>, Ending> {
    match device {
        Device::Host => Ok(Box::new(cpu::Processor::new(scene, settings)?)),
        Device::Gpu(gpu) => gpu::prepare(gpu, scene, settings, slots),
    }
}
