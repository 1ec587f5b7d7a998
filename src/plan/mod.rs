//! The plan: what the author of an experiment wrote, checked. Checked against data (a [`Declaration`]), never against code.
mod check;
mod command;
mod graph;
mod kernel;
mod on;
mod parameter;
mod phases;
mod reader;
mod schema;
mod set;
#[cfg(test)]
mod tests;
mod tree;

pub use command::placeholders;
pub use kernel::ELEMENTS;
pub use on::Slurm;
pub use parameter::{parse_parameter, parse_value};

use crate::diagnostic::{Diagnostic, Origin};
use crate::space::{Configuration, Parameter};
use crate::value::{Bytes, Nanoseconds, Value};
use serde::{Deserialize, Serialize};

/// What a plan may say about a workload. The workload states it; `plan` checks against it and never sees the workload.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Declaration {
    pub name: String,
    /// Every tuning parameter with every value that it may take; the first value is its default in a baseline.
    pub parameters: Vec<Parameter>,
    /// Parameters that take any integer in a range beside the listed values: (name, lowest, highest).
    pub ranges: Vec<(String, i64, i64)>,
    /// Named parts of an invocation that are timed by themselves.
    pub stages: Vec<String>,
    /// Sizes with a name: `tiny`, `laptop`, `paper`.
    pub presets: Vec<String>,
    /// Each preset as keys of the problem, so that problems can be compared by size; the first is meant where a plan names none.
    /// Empty where only the names are known.
    #[serde(default)]
    pub sizes: Vec<(String, Vec<(String, Value)>)>,
    /// Keys that `problem:` may have, beside `preset` and `seed`.
    pub problem_keys: Vec<String>,
    /// Whether `exact` exists, so that a plan may say `against: exact`.
    pub has_exact: bool,
    /// Accuracy metrics of the workload's own (name, about), beside those of `accuracy::METRICS`.
    pub own_metrics: Vec<(String, String)>,
    /// What its executables count of an invocation and criteria may name (name, about): in the order of an invocation's metrics.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub counters: Vec<(String, String)>,
}

impl Plan {
    /// What a variant of this phase must keep to.
    pub fn accuracy_limits<'a>(&'a self, phase: &'a Phase) -> &'a [(String, f64)] {
        phase.accuracy.as_ref().unwrap_or(&self.accuracy.limits)
    }
}

impl Declaration {
    /// A problem in keys that can be compared with another's: its preset's sizes, with what is written instead of them. Without
    /// the seed, which draws the data.
    pub fn size(&self, problem: &[(String, Value)]) -> Vec<(String, Value)> {
        let written = |key: &str| problem.iter().find(|(k, _)| k == key).map(|(_, v)| v);
        let preset = match written("preset") {
            Some(name) => self.sizes.iter().find(|(n, _)| *n == name.to_string()),
            None => self.sizes.first(),
        };
        let mut all: Vec<(String, Value)> = preset.map_or_else(Vec::new, |(_, size)| size.clone());
        for (key, value) in problem {
            match all.iter_mut().find(|(k, _)| k == key) {
                Some((_, old)) => *old = value.clone(),
                None if key == "seed" || (key == "preset" && preset.is_some()) => {}
                None => all.push((key.clone(), value.clone())),
            }
        }
        all
    }
}

/// A valid plan: phases in topological order, every parameter known, every value in its domain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    pub name: String,
    pub title: String,
    pub workload: WorkloadChoice,
    pub objective: Objective,
    pub accuracy: Accuracy,
    pub limits: Limits,
    pub protocol: Protocol,
    /// Complete: a value for every parameter of the workload.
    pub baseline: Configuration,
    /// In an order in which each phase comes after those that it builds on.
    pub phases: Vec<Phase>,
    /// The repetitions of the plan over devices and problem sizes; one with an empty name where there is no matrix.
    pub cases: Vec<Case>,
    /// Where blocks run, if not on this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<Slurm>,
}

/// One repetition of the whole plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Case {
    /// "cpu, laptop"; empty if the plan has no matrix.
    pub name: String,
    pub device: DeviceChoice,
    /// The workload's problem with this case's values filled in.
    pub problem: Vec<(String, Value)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceChoice {
    Auto,
    Cpu,
    /// Index of the adapter.
    Wgpu(u32),
    Cuda(u32),
}

impl std::fmt::Display for DeviceChoice {
    /// As plans write it: `wgpu:0`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            DeviceChoice::Auto => f.write_str("auto"),
            DeviceChoice::Cpu => f.write_str("cpu"),
            DeviceChoice::Wgpu(index) => write!(f, "wgpu:{index}"),
            DeviceChoice::Cuda(index) => write!(f, "cuda:{index}"),
        }
    }
}

/// What is tuned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkloadChoice {
    Builtin {
        name: String,
    },
    Command(CommandChoice),
    Kernel(KernelChoice),
    /// What another tuner measured: known by name, and not to be run here. No plan file can choose it.
    Imported {
        kernel: String,
    },
}

/// A program, with `{parameter}` substituted in every text below.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CommandChoice {
    /// Program and arguments; with `shell`, one text that `sh -c` gets.
    pub command: Vec<String>,
    pub shell: bool,
    /// Absolute, or relative to the plan's folder.
    pub cwd: Option<String>,
    pub env: Vec<(String, String)>,
    /// Runs once for a configuration; its time is the compile time.
    pub build: Option<Vec<String>>,
    /// Run before and after each sample, untimed.
    pub prepare: Option<Vec<String>>,
    pub cleanup: Option<Vec<String>>,
    /// Template files (minijinja, `{{ parameter }}`) rendered for a configuration.
    pub files: Vec<TemplateFile>,
    pub output: Option<OutputFile>,
    pub metrics: Vec<DeclaredMetric>,
    pub timer: Timer,
    /// The folder of the plan; relative paths start here.
    pub folder: String,
}

/// The user's own GPU kernel. Tuning parameters are pipeline-overridable constants in WGSL and macros in CUDA; scalar arguments
/// are overridable constants in WGSL and arguments in CUDA. In WGSL `{{ name }}` and `{% if name %}` (minijinja) see both.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KernelChoice {
    pub code: KernelCode,
    /// In the order of the kernel's arguments. Arrays are bound to `@group(0)` in the same order.
    pub arguments: Vec<Argument>,
    /// Another kernel over the same arguments whose answer is right.
    pub reference: Option<KernelCode>,
    /// The folder of the plan; relative paths start here.
    pub folder: String,
}

/// Where a kernel is and how it is launched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KernelCode {
    pub entry: String,
    /// Files; one is enough.
    pub wgsl: Option<String>,
    pub cuda: Option<String>,
    /// For the CUDA compiler.
    pub options: Vec<String>,
    /// Groups along x, y, z: expressions over parameters and scalars, as restrictions are; missing axes are 1.
    pub grid: Vec<String>,
    /// Threads of a group, likewise. WGSL says them in the source, so there it is a check.
    pub block: Vec<String>,
    /// Bytes of dynamic shared memory (CUDA).
    pub shared_memory: Option<String>,
}

/// An argument of a kernel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Argument {
    pub name: String,
    /// One of [`ELEMENTS`].
    pub element: String,
    pub kind: ArgumentKind,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ArgumentKind {
    Scalar(Value),
    Array {
        /// Expressions, the slowest axis first.
        shape: Vec<String>,
        /// Absent: zeros; of an output a pattern that shows what was never written.
        fill: Option<Fill>,
        seed: u64,
        /// A CUDA `__constant__` of this name instead of an argument.
        is_constant: bool,
        /// Compared for accuracy.
        is_output: bool,
    },
}

/// What an array holds before the kernel runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fill {
    Constant(f64),
    /// 0, 1, 2, …
    Iota,
    /// From, to.
    Uniform(f64, f64),
    /// Mean, standard deviation.
    Normal(f64, f64),
    /// `.npy`
    File(String),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TemplateFile {
    pub template: String,
    pub to: String,
}

/// The array that a command writes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OutputFile {
    pub file: String,
    /// Name in an `.npz` archive.
    pub array: Option<String>,
    /// For raw files only: "f32", "f64", "i32", "u8", …
    pub dtype: Option<String>,
    pub shape: Option<Vec<usize>>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeclaredMetric {
    pub name: String,
    pub source: MetricSource,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MetricSource {
    /// The first capture group, or the whole match, on stdout, else on stderr.
    Regex(String),
    /// JSON pointer (RFC 6901) into stdout, or into a file that the command writes.
    Pointer {
        pointer: String,
        file: Option<String>,
    },
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Timer {
    #[default]
    Wall,
    /// A declared metric, in seconds.
    Metric(String),
}

/// A sample of energy lasts at least this long: ten readings of the slowest counter (NVML updates it every 20 to 100 ms).
pub const ENERGY_SAMPLE_NS: f64 = 1e9;

/// What is minimized.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Objective {
    #[default]
    Runtime,
    DeviceTime,
    PeakMemory,
    Energy,
    Metric(String),
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Accuracy {
    pub against: Against,
    /// Metric name and the largest value that still passes.
    pub limits: Vec<(String, f64)>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Against {
    #[default]
    Baseline,
    Exact,
    File(String),
}

/// Hard constraints on a variant.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    pub peak_memory: Option<Bytes>,
}

/// How it is measured and decided (STATISTICS).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Protocol {
    pub warm_up: WarmUp,
    pub min_blocks: u32,
    pub max_blocks: u32,
    /// 0.01: a comparison stops when its interval is as narrow as this.
    pub precision: f64,
    pub confidence: f64,
    /// 0.01: differences below this are of no practical interest.
    pub equivalence: f64,
    /// For a phase.
    pub time_limit: Nanoseconds,
    /// For one invocation.
    pub trial_timeout: Nanoseconds,
    /// Samples a cell; absent: 3 if an invocation lasts under 100 ms, else 1.
    pub repetitions: Option<u32>,
    /// Records from before this was asked were measured warm.
    #[serde(default)]
    pub cache: Cache,
    pub seed: u64,
}

/// What a GPU's caches hold when a timed invocation starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cache {
    /// Nothing of the workload: they are overwritten before every invocation, outside of its time.
    Cold,
    /// What the invocation before left; of the host always.
    #[default]
    Warm,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WarmUp {
    #[default]
    Auto,
    Invocations(u32),
    Time(Nanoseconds),
}

/// One question asked of the workload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Phase {
    pub name: String,
    pub kind: String,
    pub title: String,
    pub after: Vec<String>,
    pub question: Question,
    pub keep: Keep,
    pub hypothesis: Option<Hypothesis>,
    pub criteria: Vec<Criterion>,
    /// Accuracy limits in place of the plan's: of a phase that asks what another image would cost, and keeps nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<Vec<(String, f64)>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keep {
    #[default]
    Best,
    None,
}

/// How a phase gets its variants.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    Baseline,
    Variants(Vec<NamedVariant>),
    /// The cartesian product.
    Sweep(Vec<Parameter>),
    Search(Search),
    /// The factorial of what these phases kept.
    Combine(Vec<String>),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NamedVariant {
    pub name: String,
    /// What it changes in the phase's reference.
    pub changes: Vec<(String, Value)>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Search {
    pub parameters: Vec<Parameter>,
    /// As written; they have been parsed and type-checked against the parameters.
    pub restrictions: Vec<String>,
    pub strategy: String,
    pub evaluations: Option<u32>,
    pub time: Option<Nanoseconds>,
    /// `peak_memory` and metrics that are searched for together with the plan's objective; empty: that alone.
    #[serde(default)]
    pub pareto: Vec<String>,
}

/// What the author expected.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hypothesis {
    /// Expected speedup as factors, [1.05, 1.15] for `5-15%`; absent if only words were given.
    pub speedup: Option<(f64, f64)>,
    pub effort: Option<String>,
    pub risk: Option<String>,
    pub because: Option<String>,
}

/// A success criterion: `speedup >= 1.05`. About the phase's kept variant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Criterion {
    /// As written.
    pub text: String,
    /// `speedup`, `runtime` (ns), `peak_memory` (bytes), `speedup.` with the name of a stage, an accuracy metric or a declared
    /// metric.
    pub quantity: String,
    /// `quantity` of a named variant: "speedup(f16_storage) >= 1.2"; absent: of what the phase kept.
    pub variant: Option<String>,
    pub relation: Relation,
    pub bound: f64,
}

/// Before the name of a stage: how much faster that stage is.
pub const STAGE_SPEEDUP: &str = "speedup.";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Relation {
    AtLeast,
    AtMost,
    Above,
    Below,
}

/// A plan as it is given: its text, the overrides, where its relative paths start.
#[derive(Clone, Debug)]
pub struct Source<'a> {
    pub text: &'a [u8],
    /// `--set`: (KEY.PATH, VALUE as YAML).
    pub overrides: &'a [(String, String)],
    /// Folder of the plan file.
    pub folder: &'a str,
}

/// A plan with the declaration that it was checked against.
#[derive(Clone, Debug, PartialEq)]
pub struct Parsed {
    pub plan: Plan,
    pub declaration: Declaration,
}

impl Plan {
    /// Parses and checks a plan. `declare` knows the built-in workloads by name.
    ///
    /// # Errors
    /// All findings at once, not the first.
    pub fn parse(
        source: &Source<'_>,
        declare: &dyn Fn(&str) -> Option<Declaration>,
        builtins: &[&str],
    ) -> Result<Parsed, Vec<Diagnostic>> {
        let text = std::str::from_utf8(source.text).map_err(|e| {
            let at = e.valid_up_to();
            vec![Diagnostic {
                message: "the plan is not UTF-8 text".into(),
                origin: Origin::File {
                    start: at,
                    end: at + 1,
                },
                help: Some("save it as UTF-8".into()),
            }]
        })?;
        let mut tree = tree::parse(text.trim_start_matches('\u{feff}')).map_err(|d| vec![d])?;
        let mut findings = vec![];
        for (path, value) in source.overrides {
            findings.extend(set::apply(&mut tree, path, value).err());
        }
        if !findings.is_empty() {
            return Err(findings);
        }
        let known = check::Known {
            declare,
            builtins,
            folder: source.folder,
        };
        let (plan, declaration) = check::check(&tree, &known)?;
        Ok(Parsed { plan, declaration })
    }

    /// The JSON Schema of a plan file.
    pub fn schema() -> String {
        serde_json::to_string_pretty(&schema::schema()).expect("plain data")
    }
}

/// The cartesian product of a sweep, named by its values: `tile=64, threads=2`.
pub fn sweep_variants(parameters: &[Parameter]) -> Vec<NamedVariant> {
    let mut all: Vec<Vec<(String, Value)>> = vec![vec![]];
    for parameter in parameters {
        all = all
            .into_iter()
            .flat_map(|row| {
                parameter.values.iter().map(move |value| {
                    let mut row = row.clone();
                    row.push((parameter.name.clone(), value.clone()));
                    row
                })
            })
            .collect();
    }
    all.into_iter()
        .map(|changes| NamedVariant {
            name: changes
                .iter()
                .map(|(n, v)| format!("{n}={v}"))
                .collect::<Vec<_>>()
                .join(", "),
            changes,
        })
        .collect()
}
