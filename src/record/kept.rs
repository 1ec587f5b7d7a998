//! The shapes of everything that is kept about a campaign beside its samples: plain data, stored as JSON in the journal and in
//! the key-value metadata of the Parquet files.
use crate::plan::Plan;
use crate::space::Configuration;
use crate::stats::{Comparison, Warning};
use crate::trial::{Block, Ending, PictureRecord, Purpose, Stretch, VariantId, Verdict};
use crate::value::{Bytes, Nanoseconds};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Everything about one campaign that is not a measurement; kept in the Parquet files' key-value metadata and beside them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    pub format: u32,
    pub run_id: String,
    pub plan: Plan,
    /// The plan file as read, with every `--set` noted in comments.
    pub plan_text: String,
    /// As written by the user: `experiments/pstm.yaml`.
    pub plan_path: String,
    /// The command that started the campaign, for "how to reproduce".
    pub command_line: Vec<String>,
    pub declaration: crate::plan::Declaration,
    pub environment: Environment,
    /// Of this machine today, if `calibrate` was run.
    pub calibration: Option<Calibration>,
    /// Arithmetic and memory ceilings of each device, measured at the start of the campaign.
    pub ceilings: Vec<Ceilings>,
}

/// Measured peaks of a device (WORKLOADS §0.5).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ceilings {
    pub device: String,
    /// Operations a second of independent f32 FMA chains (an FMA is two).
    pub flops: f64,
    /// Bytes a second of a triad over arrays of at least four times the last-level cache.
    pub bandwidth: f64,
}

/// What this machine resolves today: the reference against its clone over 40 blocks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    pub fingerprint: String,
    pub at: String,
    pub blocks: u32,
    /// Of the 95 % interval of the A/A difference, log scale.
    pub half_width: f64,
    /// (blocks, minimum detectable effect as ratio − 1).
    pub detectable: Vec<(u32, f64)>,
    pub repetitions: u32,
    pub lag1: f64,
    pub position_p: f64,
    pub warnings: Vec<Warning>,
}

/// The machine, the tool and the repository.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Environment {
    pub started_at: String,
    pub host: String,
    pub os: String,
    pub kernel: String,
    pub cpu: String,
    pub cores: u32,
    /// Bytes of L1d, L2, L3 as far as known.
    pub caches: Vec<(String, u64)>,
    pub memory: Bytes,
    pub governor: Option<String>,
    pub features: Vec<String>,
    pub devices: Vec<String>,
    pub toolchain: Option<String>,
    pub tool_version: String,
    pub load_average: Option<f64>,
    /// Of the repository that the plan is in; absent outside of one.
    pub git: Option<Git>,
    /// Where the records come from, if they are another tuner's; then nothing above is known but the devices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imported: Option<Imported>,
}

/// What another tuner's file says beside its evaluations.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Imported {
    pub file: String,
    /// "Kernel Tuner cache".
    pub format: String,
    /// Of the space.
    pub name: String,
    pub device: Option<String>,
    pub kernel: Option<String>,
    /// JSON, as it stood in the file.
    pub problem: Option<String>,
    /// Name of what was minimized.
    pub objective: String,
    /// Evaluations in the file before the one that stands as reference.
    pub before_reference: u32,
    pub details: Vec<ImportedDetail>,
}

/// What no column of a trial has room for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ImportedDetail {
    pub variant: VariantId,
    /// Why it has no value, in one word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// When it was evaluated, where it has no samples that say so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Git {
    pub commit: String,
    pub branch: Option<String>,
    pub is_dirty: bool,
    /// SHA-256 over what differs from the commit, where it is dirty: path and content of each file.
    pub diff_hash: Option<String>,
}

/// One variant on one device in one phase: a row of `trials.parquet`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// Name of the case of the matrix; empty without one.
    pub case: String,
    pub phase: String,
    pub kind: String,
    pub id: VariantId,
    pub name: String,
    pub device: String,
    pub configuration: Configuration,
    /// A clone of the reference that shows what "no difference" looks like here.
    pub is_canary: bool,
    pub ending: Ending,
    pub verdict: Verdict,
    /// Why, in a sentence: the message of the failure, the limit that was passed, the blocks that would decide.
    pub message: Option<String>,
    pub compile: Option<Nanoseconds>,
    /// Completed cells.
    pub n: u32,
    /// Of the objective over the completed cells of the screening: q1, median, q3.
    #[serde(with = "any_numbers")]
    pub quartiles: Option<(f64, f64, f64)>,
    /// Against the phase's reference, screening; absent for the reference itself and where nothing was measured.
    pub comparison: Option<Comparison>,
    /// Against the phase's reference, on fresh blocks.
    pub confirmation: Option<Comparison>,
    /// May hold NaN: an output with NaN has no finite distance.
    #[serde(with = "crate::trial::named_numbers")]
    pub accuracy: Vec<(String, f64)>,
    pub host_peak: Option<Bytes>,
    pub device_peak: Option<Bytes>,
    /// Medians of the workload's stages, in declared order.
    pub stages: Vec<Nanoseconds>,
    /// Medians of the declared metrics.
    #[serde(with = "crate::trial::named_numbers")]
    pub metrics: Vec<(String, f64)>,
    /// Useful work of one invocation.
    pub work: Option<crate::trial::Work>,
    pub is_kept: bool,
    pub pictures: Vec<PictureRecord>,
    /// When the stages of one invocation worked, where they overlap.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub timeline: Vec<Stretch>,
}

/// What a phase came to, beside its trials.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PhaseOutcome {
    pub case: String,
    pub phase: String,
    /// The configuration that the variants were compared with.
    pub reference: Configuration,
    /// What the phase hands on.
    pub kept: Configuration,
    /// Name of the kept variant; absent if the reference was kept.
    pub kept_variant: Option<String>,
    /// All that are statistically tied with the best, the best included.
    pub tied: Vec<String>,
    pub runner_up: Option<String>,
    /// Planned and done blocks of the screening, and done ones of the confirmation.
    pub planned_blocks: u32,
    pub blocks: u32,
    pub confirmation_blocks: u32,
    pub is_descriptive: bool,
    pub is_race: bool,
    /// Of the canary against the reference.
    pub canary_p: Option<f64>,
    pub is_trusted: bool,
    /// Of this phase, as ratio − 1.
    pub detectable: Option<f64>,
    pub warnings: Vec<Warning>,
    pub criteria: Vec<CriterionOutcome>,
    pub elapsed: Nanoseconds,
    /// Why the phase has no result, where it has none: "the reference crashed: …".
    pub failure: Option<String>,
    /// How a search ended, in words; absent elsewhere.
    pub note: Option<String>,
    /// On a cluster: what each class of hardware said by its own blocks, the one that decided first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub platforms: Vec<PlatformOutcome>,
    /// On a cluster: what each node gave.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<NodeOutcome>,
}

/// What one class of hardware said of a phase's variants.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PlatformOutcome {
    pub name: String,
    /// Of the screening.
    pub blocks: u32,
    pub variants: Vec<PlatformVerdict>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlatformVerdict {
    pub variant: VariantId,
    pub comparison: Comparison,
    pub verdict: Verdict,
}

/// One node's part in a phase.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NodeOutcome {
    pub node: String,
    pub platform: String,
    /// Of all purposes.
    pub blocks: u32,
    /// What its workers were bound to, read back.
    pub cpus: Option<String>,
    pub memory_nodes: Option<String>,
    /// Medians of what the blocks read back, of processors and GPU.
    pub megahertz: Option<f64>,
    pub gpu_megahertz: Option<f64>,
    /// Of the canary against the reference on this node, over all phases so far.
    pub canary_p: Option<f64>,
    /// Whether it counts no more, for its canary.
    pub is_left_out: bool,
    /// Of each compared variant, by this node's blocks of the screening.
    pub speedups: Vec<(VariantId, f64)>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CriterionOutcome {
    pub text: String,
    pub state: CriterionState,
    /// Estimate and bounds of the quantity, where measured. May hold NaN: the accuracy of an output with NaN.
    #[serde(with = "any_numbers")]
    pub measured: Option<(f64, f64, f64)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CriterionState {
    Met,
    Failed,
    Undecided,
}

/// The final configuration of a case against its baseline, on fresh blocks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Final {
    pub case: String,
    pub baseline: Configuration,
    pub configuration: Configuration,
    /// Absent if the final configuration is the baseline.
    pub confirmation: Option<Comparison>,
    /// Medians of the objective, baseline and final, over the confirmation's blocks.
    pub medians: Option<(f64, f64)>,
    /// Why nothing of the case was measured: its device is not on this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absent: Option<String>,
}

impl Final {
    /// What was confirmed, else the baseline: a gain that fresh blocks do not show is not recommended.
    pub fn recommended(&self) -> &Configuration {
        let interval = self.confirmation.as_ref().and_then(|c| c.interval);
        match interval {
            Some((lower, _)) if lower > 1.0 => &self.configuration,
            _ => &self.baseline,
        }
    }
}

/// The name that the blocks of a [`Final`] have in the `phase` column.
pub const FINAL_PHASE: &str = "final";

/// One line of the journal. Replaying the lines in order gives the campaign its state back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "one at a time")]
pub enum Entry {
    Started(Box<Header>),
    /// What checking one variant gave; `key` names case, phase and variant.
    Checked {
        key: String,
        checked: serde_json::Value,
    },
    Block {
        case: String,
        phase: String,
        purpose: Purpose,
        block: Block,
    },
    PhaseEnded {
        trials: Vec<Trial>,
        outcome: Box<PhaseOutcome>,
    },
    Ended {
        finals: Vec<Final>,
    },
}

/// Three numbers that may be NaN or infinite, which JSON does not know and serde_json writes as `null`: a line that holds one
/// could not be read again.
mod any_numbers {
    use super::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Number {
        Finite(f64),
        Other(String),
    }

    pub(super) fn serialize<S: Serializer>(
        three: &Option<(f64, f64, f64)>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        let number = |v: f64| {
            if v.is_finite() {
                Number::Finite(v)
            } else {
                Number::Other(v.to_string())
            }
        };
        three.map(|(a, b, c)| [a, b, c].map(number)).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<(f64, f64, f64)>, D::Error> {
        let number = |n: Number| match n {
            Number::Finite(v) => v,
            Number::Other(text) => text.parse().unwrap_or(f64::NAN),
        };
        let three = Option::<[Number; 3]>::deserialize(from)?;
        Ok(three.map(|three| three.map(number).into()))
    }
}
