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
    /// The same, locked in memory, which a GPU copies from by itself.
    Pinned,
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

/// Launches that a device keeps, to be sent as one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Graphs {
    None,
    PerCamera,
    PerBatch,
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
    pub(super) graphs: Graphs,
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
    ("pinned", Pool::Pinned),
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
const GRAPHS: &[(&str, Graphs)] = &[
    ("none", Graphs::None),
    ("per_camera", Graphs::PerCamera),
    ("per_batch", Graphs::PerBatch),
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
        names("graphs", GRAPHS),
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
            graphs: read.name("graphs", GRAPHS)?,
        };
        let language = match device {
            Device::Host => None,
            Device::Gpu(gpu) => Some(gpu.language()),
        };
        let refusal = (flow.refusal_of_device(language)).or(flow.refusal(scene.files.len(), batch));
        refusal.map_or(Ok(flow), |reason| Err(unsupported(&reason)))
    }

    fn refusal_of_device(&self, language: Option<Language>) -> Option<String> {
        let no = |reason: &str| Some(reason.to_owned());
        match (self.pool, self.graphs, language) {
            (Pool::Pinned, _, None) => {
                no("pool=pinned is for copies to a GPU: a processor reads frames where they are")
            }
            (Pool::Pinned, _, Some(Language::Wgsl)) => {
                no("pool=pinned is CUDA's: wgpu copies uploads through a memory of its own")
            }
            (Pool::Pinned, _, Some(Language::Cuda)) => {
                no("pool=pinned: frames are uploaded from memory that the device layer pins itself")
            }
            (_, Graphs::None, _) => None,
            (_, _, None) => no("graphs are a GPU's: a processor launches nothing"),
            (_, _, Some(Language::Wgsl)) => {
                no("graphs are CUDA's: wgpu records a batch's launches into one submission anyway")
            }
            (_, Graphs::PerCamera, _) => {
                no("graphs=per_camera: a camera is one launch, so its graph would be that launch")
            }
            (_, Graphs::PerBatch, _) => {
                no("no-op: the device layer records a batch's launches into a graph anyway")
            }
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
            Pool::Buffers(buffers) if buffers < batch + self.cache => Some(format!(
                "a pool of {buffers} buffers does not hold a batch of {batch} and {} cached frames",
                self.cache
            )),
            _ => None,
        }
    }
}
