//! What a measurement is made of: sample, cell, block, verdict. Plain data that every floor above shares.
use crate::value::{Bytes, Nanoseconds};
use serde::{Deserialize, Serialize};

/// Index of a variant in its phase; 0 is the reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct VariantId(pub u32);

impl VariantId {
    pub const REFERENCE: VariantId = VariantId(0);
}

/// Time of one invocation. `device` is absent where there are no device timestamps.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// From submission to completion, by the host's clock.
    pub wall: Nanoseconds,
    /// By the device's own timestamps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<Nanoseconds>,
    /// In the order of the workload's declared stages; empty where they are not timed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<Nanoseconds>,
}

/// What one invocation of an executable gave, as the executable itself knows it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Invocation {
    pub timing: Timing,
    /// Processor time in user mode, where the executable is a process of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<Nanoseconds>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<Nanoseconds>,
    /// Peak of the host's memory, where it is known for each invocation (commands).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_peak: Option<Bytes>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_peak: Option<Bytes>,
    /// Energy that the GPU used, where it is what the plan minimizes and the GPU counts it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub joules: Option<f64>,
    /// In the order of the workload's declared metrics, or counters; NaN is not stored, a missing metric is an
    /// [`Ending::Failed`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<f64>,
}

/// One timed invocation, or the mean over a batch of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    #[serde(flatten)]
    pub invocation: Invocation,
    /// Nanoseconds since 1970, UTC.
    pub started_at: u64,
    /// Invocations that the times are the mean of; 1 unless one invocation is too short for the clock.
    pub batch: u32,
    pub is_warm_up: bool,
}

/// How a cell ended. A failed variant is a result, not an error of the campaign.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "how", rename_all = "snake_case")]
pub enum Ending {
    Completed,
    Unsupported {
        reason: String,
    },
    Failed {
        reason: String,
    },
    TimedOut {
        limit: Nanoseconds,
    },
    /// The process is gone: "signal 11 (segmentation fault)".
    Crashed {
        cause: String,
    },
    OverLimit {
        limit: String,
    },
}

/// The back-to-back samples of one variant in a block.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    pub variant: VariantId,
    pub samples: Vec<Sample>,
    pub ending: Ending,
}

/// What a block was measured for. Confirmation is never mixed with the blocks that chose the winner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Thins out many variants; the survivors are compared on blocks of their own.
    Race,
    /// Decides between the variants of a phase.
    Screen,
    /// Fresh blocks for the winner, the reference and the runner-up.
    Confirm,
    /// The reference against its clone.
    Calibrate,
}

/// One pass over every live variant and the reference, in random order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Block {
    /// Counts within a phase and purpose.
    pub index: u32,
    pub purpose: Purpose,
    /// Counts the worker processes of the campaign.
    pub worker: u32,
    /// Everything that the block cost, its share of starting the worker included: what a time limit counts.
    pub elapsed: Nanoseconds,
    /// In the order in which they ran.
    pub cells: Vec<Cell>,
    #[serde(default)]
    pub conditions: Conditions,
    /// Where it ran, if not on the campaign's own machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
}

/// The node of a cluster that something ran on. Times of different nodes are never compared, ratios only within a platform.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// As the cluster's engine calls it.
    pub node: String,
    /// The class of hardware: model of the GPU with its driver, of the processor and how many there are.
    pub platform: String,
    /// Processors that the worker was bound to, read back: "0-7".
    pub cpus: Option<String>,
    /// NUMA nodes, likewise.
    pub memory_nodes: Option<String>,
}

/// The machine while a block ran, as its operating system tells; what it does not tell is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Conditions {
    /// Share of all processors' time that a hypervisor gave to other machines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steal: Option<f64>,
    /// Share of the block's time in which some task waited for a processor (pressure stall).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stall: Option<f64>,
    /// Load average of the last minute, for each processor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<f64>,
    /// Mean clock of the processors at the block's end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub megahertz: Option<f64>,
    /// Times that a processor slowed itself down for its heat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throttled: Option<u64>,
    /// Of the GPU at the block's end, with the energy that it used meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu: Option<GpuReading>,
}

/// What a GPU's own sensors say. What one does not have is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GpuReading {
    /// Since some moment in the past; of a block, since its start.
    pub joules: Option<f64>,
    pub watts: Option<f64>,
    /// Clock of the multiprocessors.
    pub megahertz: Option<f64>,
    pub celsius: Option<f64>,
    /// Share of the last moments in which some kernel ran.
    pub utilization: Option<f64>,
    /// Whether it slows itself down for its heat.
    pub is_hot: bool,
    /// Whether it slows itself down for the power that it may draw.
    pub is_capped: bool,
}

/// What was found about one variant (STATISTICS, "Verdicts").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The row is what the others are compared with.
    Reference,
    Faster,
    SlightlyFaster,
    Equivalent,
    Inconclusive,
    SlightlySlower,
    Slower,
    /// Dropped by a race; no significance claimed.
    ScreenedOut,
    Untrusted,
    Inaccurate,
    OverLimit,
    Failed,
    TimedOut,
    Crashed,
    Unsupported,
}

impl Verdict {
    /// As reports and messages write it: "slightly faster".
    pub fn words(self) -> &'static str {
        match self {
            Verdict::Reference => "reference",
            Verdict::Faster => "faster",
            Verdict::SlightlyFaster => "slightly faster",
            Verdict::Equivalent => "equivalent",
            Verdict::Inconclusive => "inconclusive",
            Verdict::SlightlySlower => "slightly slower",
            Verdict::Slower => "slower",
            Verdict::ScreenedOut => "screened out",
            Verdict::Untrusted => "untrusted",
            Verdict::Inaccurate => "inaccurate",
            Verdict::OverLimit => "over limit",
            Verdict::Failed => "failed",
            Verdict::TimedOut => "timed out",
            Verdict::Crashed => "crashed",
            Verdict::Unsupported => "unsupported",
        }
    }
}

/// Useful work of one invocation (WORKLOADS §0.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Work {
    /// Additions, subtractions, multiplications, compares; a fused multiply-add is two.
    pub flops: f64,
    /// Square roots, divisions, reciprocal square roots.
    pub sqrt: f64,
    /// Sines, cosines, exponentials, arc functions.
    pub trig: f64,
    /// Every input byte read once and every output byte written once.
    pub bytes: f64,
}

/// Time in which one thread of one of a workload's stages worked, since the start of its invocation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stretch {
    /// Index into the declared stages.
    pub stage: u32,
    /// Of the stage.
    pub thread: u32,
    pub start: Nanoseconds,
    pub end: Nanoseconds,
}

/// How to draw a stored QC picture.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PictureRecord {
    /// Of the values (`.npy`, f32, [height, width]), relative to the run's folder: `qc/precision/f16_storage/xz_y32.npy`.
    pub file: String,
    pub title: String,
    pub unit: String,
    pub x_label: String,
    pub y_label: String,
    /// Physical range of the axes, first and last sample.
    pub x_range: (f64, f64),
    pub y_range: (f64, f64),
    /// Range of the grey scale.
    pub scale: (f64, f64),
    pub width: usize,
    pub height: usize,
}

impl Ending {
    /// As messages write it; no capital, no full stop.
    pub fn sentence(&self) -> String {
        match self {
            Ending::Completed => "completed".into(),
            Ending::Unsupported { reason } => format!("unsupported here: {reason}"),
            Ending::Failed { reason } => reason.clone(),
            Ending::TimedOut { limit } => {
                format!("no answer within {:.3} s (trial_timeout)", limit.0 / 1e9)
            }
            Ending::Crashed { cause } => cause.clone(),
            Ending::OverLimit { limit } => limit.clone(),
        }
    }

    /// The verdict of a variant that did not complete.
    pub fn verdict(&self) -> Option<Verdict> {
        match self {
            Ending::Completed => None,
            Ending::Unsupported { .. } => Some(Verdict::Unsupported),
            Ending::Failed { .. } => Some(Verdict::Failed),
            Ending::TimedOut { .. } => Some(Verdict::TimedOut),
            Ending::Crashed { .. } => Some(Verdict::Crashed),
            Ending::OverLimit { .. } => Some(Verdict::OverLimit),
        }
    }
}

/// Numbers of any kind in JSON, which knows no NaN: finite ones as they are, others as text. For `Vec<(String, f64)>`.
pub mod named_numbers {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Number {
        Finite(f64),
        Other(String),
    }

    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(values: &[(String, f64)], to: S) -> Result<S::Ok, S::Error> {
        let number = |&v: &f64| match v.is_finite() {
            true => Number::Finite(v),
            false => Number::Other(v.to_string()),
        };
        to.collect_seq(values.iter().map(|(name, v)| (name, number(v))))
    }

    /// # Errors
    /// The deserializer's.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<(String, f64)>, D::Error> {
        let pairs = Vec::<(String, Number)>::deserialize(from)?;
        Ok(pairs
            .into_iter()
            .map(|(name, number)| match number {
                Number::Finite(v) => (name, v),
                Number::Other(text) => (name, text.parse().unwrap_or(f64::NAN)),
            })
            .collect())
    }
}
