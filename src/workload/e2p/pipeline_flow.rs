//! How frames flow to a device and away from it: the parameters of the pipeline, and what of them would have no effect.
use super::scene::Scene;
use crate::device::{Device, Language};
use crate::space::{Configuration, Parameter};
use crate::trial::Ending;
use crate::workload::written::{Chosen, names, numbers, unsupported};

/// Where the memory for a frame comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Pool {
    /// Allocated for each frame, and freed after it.
    PerFrame,
    /// So many buffers, used again and again.
    Buffers(usize),
    /// The same, locked in memory, which a GPU copies from by itself; the room for images is locked too.
    Pinned(usize),
    /// The file's own pages: nothing is copied before it is looked at.
    Mapped,
}

/// The ring buffer between reading and the device: how many frames may be read and not taken yet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Ring {
    /// A batch is read when it is asked for.
    None,
    Fixed(usize),
    /// As deep as a read is longer than remapping a frame.
    Adaptive,
}

/// What is read ahead of being asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Prefetch {
    /// So many batches.
    Batches(usize),
    /// What the next camera is going to ask for.
    CameraPattern,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Flow {
    pub(super) io_threads: usize,
    pub(super) pool: Pool,
    /// Whether upload, remapping, download and hand-on each have a thread.
    pub(super) is_overlapped: bool,
    pub(super) ring: Ring,
    pub(super) prefetch: Prefetch,
    /// Frames that stay in memory from one invocation to the next: the first ones, since of the last ones none would be left when
    /// it is their turn again.
    pub(super) cache: usize,
}

/// Depths between which an adaptive ring stays, and that at which it begins (WORKLOADS §5a).
pub(super) const SHALLOWEST: usize = 4;
pub(super) const DEEPEST: usize = 16;
pub(super) const FIRST_DEPTH: usize = 8;

const POOLS: &[(&str, Pool)] = &[
    ("per_frame", Pool::PerFrame),
    ("buffers_2", Pool::Buffers(2)),
    ("buffers_4", Pool::Buffers(4)),
    ("buffers_8", Pool::Buffers(8)),
    ("buffers_16", Pool::Buffers(16)),
    ("buffers_32", Pool::Buffers(32)),
    ("pinned_2", Pool::Pinned(2)),
    ("pinned_4", Pool::Pinned(4)),
    ("pinned_8", Pool::Pinned(8)),
    ("pinned_16", Pool::Pinned(16)),
    ("pinned_32", Pool::Pinned(32)),
    ("mapped", Pool::Mapped),
];
const STREAMS: &[(&str, bool)] = &[("sequential", false), ("overlapped", true)];
const RINGS: &[(&str, Ring)] = &[
    ("none", Ring::None),
    ("fixed_2", Ring::Fixed(2)),
    ("fixed_4", Ring::Fixed(4)),
    ("fixed_8", Ring::Fixed(8)),
    ("fixed_16", Ring::Fixed(16)),
    ("adaptive", Ring::Adaptive),
];
const PREFETCHES: &[(&str, Prefetch)] = &[
    ("none", Prefetch::Batches(0)),
    ("next_batch", Prefetch::Batches(1)),
    ("depth_2", Prefetch::Batches(2)),
    ("depth_4", Prefetch::Batches(4)),
    ("camera_pattern", Prefetch::CameraPattern),
];
/// The first value of each is the published plan's baseline: one thread after the other.
pub(super) fn parameters() -> Vec<Parameter> {
    vec![
        numbers("io_threads", &[1, 2, 4, 8, 16, 32]),
        names("pool", POOLS),
        names("streams", STREAMS),
        names("ring", RINGS),
        names("prefetch", PREFETCHES),
        numbers("cache", &[0, 4, 8]),
    ]
}

impl Flow {
    /// # Errors
    /// `Unsupported` with the reason for what is not implemented, or would be the same under another name (WORKLOADS §0.6).
    pub(super) fn read(
        configuration: &Configuration,
        device: &Device,
        scene: &Scene,
        batch: usize,
    ) -> Result<Flow, Ending> {
        let read = Chosen {
            workload: "e2p",
            configuration,
        };
        let flow = Flow {
            io_threads: read.count("io_threads", 1)?,
            pool: read.name("pool", POOLS)?,
            is_overlapped: read.name("streams", STREAMS)?,
            ring: read.name("ring", RINGS)?,
            prefetch: read.name("prefetch", PREFETCHES)?,
            cache: read.number("cache", 0, 0)? as usize,
        };
        let refusal = (flow.refusal_of_device(device)).or(flow.refusal(scene.files.len(), batch));
        refusal.map_or(Ok(flow), |reason| Err(unsupported(&reason)))
    }

    fn refusal_of_device(&self, device: &Device) -> Option<String> {
        let no = |reason: &str| Some(reason.to_owned());
        let Pool::Pinned(_) = self.pool else {
            return None;
        };
        match device {
            Device::Host => {
                no("pinned memory is for copies to a GPU: a processor reads frames where they are")
            }
            Device::Gpu(gpu) if gpu.language() == Language::Wgsl => {
                no("pinned memory is CUDA's: wgpu copies through a memory of its own")
            }
            Device::Gpu(_) => None,
        }
    }

    fn refusal(&self, frames: usize, batch: usize) -> Option<String> {
        if batch > frames {
            return Some(format!("batch={batch}, but there are {frames} frames"));
        }
        if self.io_threads > frames {
            let threads = self.io_threads;
            return Some(format!("io_threads={threads} for {frames} frames"));
        }
        match (self.ring, self.prefetch) {
            (_, Prefetch::CameraPattern) => {
                return Some("no-op: prefetch=camera_pattern: a frame serves all its cameras at once, so no camera asks for a frame of its own".into());
            }
            (Ring::Fixed(_) | Ring::Adaptive, Prefetch::Batches(1..)) => {
                return Some(
                    "no-op: a ring reads every frame ahead in its order, which leaves nothing to prefetch".into(),
                );
            }
            (Ring::None, Prefetch::Batches(ahead)) if ahead > 0 && ahead * batch >= frames => {
                return Some(format!(
                    "prefetch of {ahead} batches of {batch}: there are {} after the first",
                    frames.div_ceil(batch) - 1
                ));
            }
            _ => {}
        }
        if self.cache >= frames {
            return Some(format!(
                "cache={} holds all {frames} frames: nothing would be read",
                self.cache
            ));
        }
        match self.pool {
            // A batch is held while it is gathered, and what is cached always.
            Pool::Buffers(buffers) | Pool::Pinned(buffers) if buffers < batch + self.cache => {
                Some(format!(
                    "a pool of {buffers} buffers does not hold a batch of {batch} and {} cached frames",
                    self.cache
                ))
            }
            _ => None,
        }
    }
}
