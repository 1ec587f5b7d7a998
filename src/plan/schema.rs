//! The plan as types, for editors: `phasetune schema` prints their JSON Schema. A test holds the keys of these types against
//! those that the checker accepts, so the two cannot drift apart.
#![expect(dead_code, reason = "read by schemars, never made")]
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// A number, or a text with a unit.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum Quantity {
    Number(f64),
    Text(String),
}

#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum Scalar {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
}

/// A list, or a text that is split into words (with `shell`: one text).
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum Words {
    Text(String),
    List(Vec<Scalar>),
}

#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

/// An optimization plan: a workload, how it is measured, and phases that each ask one question of it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "phasetune plan")]
pub(super) struct Plan {
    /// Folder under results/ and reports/: lower-case letters, digits, `_` and `-`.
    name: String,
    title: Option<String>,
    workload: Workload,
    /// auto, cpu, wgpu, cuda, or a list of them.
    device: Option<OneOrMore>,
    /// What is minimized: runtime, device_time, peak_memory, energy (of an NVIDIA GPU through CUDA) or a declared metric.
    objective: Option<String>,
    accuracy: Option<Accuracy>,
    limits: Option<Limits>,
    protocol: Option<Protocol>,
    /// One value for each tuning parameter; for a built-in, only those that differ from its defaults.
    baseline: Option<BTreeMap<String, Scalar>>,
    phases: Vec<Phase>,
    /// Repeats the plan: `device`, or `problem.KEY`, each with a list.
    matrix: Option<BTreeMap<String, Vec<Scalar>>>,
    on: Option<On>,
}

/// Where blocks run, if not on this machine: on the nodes of a cluster, one task a block.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct On {
    /// slurm (the default here), or local: on this machine, whatever stands below.
    engine: Option<String>,
    partition: Option<String>,
    account: Option<String>,
    /// At most so many tasks at a time (8), each on one node; so many configurations a search asks for at once.
    nodes: Option<u32>,
    /// gpu:1
    gres: Option<String>,
    constraint: Option<String>,
    /// Of one task, which measures one block.
    time_limit: Option<Quantity>,
    /// No other job on the node (the default).
    exclusive: Option<bool>,
    /// nomultithread
    hint: Option<String>,
    /// For srun: cores, map_cpu:0,2.
    cpu_bind: Option<String>,
    /// For srun: local.
    mem_bind: Option<String>,
    /// high, or MHz; what was read back is recorded.
    gpu_freq: Option<String>,
    /// Submissions again of a task that came to nothing (3).
    resubmit: Option<u32>,
    /// More options of sbatch: [--qos=high].
    arguments: Option<OneOrMore>,
}

/// Exactly one of `builtin`, `command` and `kernel`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Workload {
    builtin: Option<String>,
    /// Of a built-in: preset, seed, sizes, external arrays.
    problem: Option<BTreeMap<String, Scalar>>,
    kernel: Option<Kernel>,
    command: Option<Words>,
    /// The command is one text for `sh -c`.
    shell: Option<bool>,
    cwd: Option<String>,
    env: Option<BTreeMap<String, Scalar>>,
    /// Runs once for a configuration; its time is the compile time.
    build: Option<Words>,
    /// Before each sample, untimed.
    prepare: Option<Words>,
    /// After each sample, untimed.
    cleanup: Option<Words>,
    /// Template (minijinja) → file to write, for each configuration.
    files: Option<BTreeMap<String, String>>,
    output: Option<Output>,
    /// Name → regular expression on stdout or stderr, or a JSON pointer.
    metrics: Option<BTreeMap<String, Metric>>,
    /// wall, or `metric NAME` (seconds).
    timer: Option<String>,
}

/// A GPU kernel. Tuning parameters are pipeline-overridable constants in WGSL and macros in CUDA.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Kernel {
    entry: String,
    /// Source files, relative to the plan; one is enough.
    wgsl: Option<String>,
    cuda: Option<String>,
    /// For the CUDA compiler.
    options: Option<Vec<String>>,
    /// Groups along x, y, z: expressions over parameters and scalars.
    grid: Expressions,
    /// Threads of a group along x, y, z; CUDA needs it, WGSL is checked against it.
    block: Option<Expressions>,
    /// Bytes of dynamic shared memory (CUDA).
    shared_memory: Option<Expressions>,
    /// In the order of the kernel's arguments; arrays are bound to @group(0) in the same order.
    arguments: BTreeMap<String, Argument>,
    /// Another kernel over the same arguments whose answer is right; `accuracy: {against: exact}` compares with it.
    reference: Option<Reference>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Reference {
    entry: String,
    wgsl: Option<String>,
    cuda: Option<String>,
    options: Option<Vec<String>>,
    grid: Expressions,
    block: Option<Expressions>,
    shared_memory: Option<Expressions>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum Expressions {
    One(Scalar),
    More(Vec<Scalar>),
}

/// A number alone is a scalar: i32, or f32 with a point.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum Argument {
    Scalar(f64),
    Described(Box<DescribedArgument>),
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DescribedArgument {
    /// f16, f32, f64, i8 … i64, u8 … u64.
    r#type: String,
    /// Of an array: expressions, the slowest axis first.
    shape: Option<Expressions>,
    /// Of a scalar.
    value: Option<Scalar>,
    /// zeros, iota, {constant: x}, {uniform: [from, to]}, {normal: [mean, deviation]} or {file: x.npy}.
    fill: Option<Fill>,
    seed: Option<u64>,
    /// global or constant.
    memory: Option<String>,
    /// Compared for accuracy.
    output: Option<bool>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum Fill {
    Word(String),
    Described(DescribedFill),
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DescribedFill {
    constant: Option<f64>,
    uniform: Option<(f64, f64)>,
    normal: Option<(f64, f64)>,
    file: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum Output {
    File(String),
    Described(OutputFile),
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OutputFile {
    file: String,
    array: Option<String>,
    dtype: Option<String>,
    shape: Option<Vec<u64>>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum Metric {
    Regex(String),
    Described(MetricSource),
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MetricSource {
    regex: Option<String>,
    /// JSON pointer (RFC 6901) into stdout or `file`.
    pointer: Option<String>,
    file: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Accuracy {
    /// baseline, exact, or {file: ref.npy}.
    against: Option<Against>,
    /// Metric → the largest value that passes (the smallest for psnr, ssim, ulp_frac).
    limits: Option<BTreeMap<String, f64>>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum Against {
    Word(String),
    File { file: String },
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Limits {
    peak_memory: Option<Quantity>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Protocol {
    /// auto, a number of invocations, or a duration.
    warmup: Option<Quantity>,
    blocks: Option<Blocks>,
    precision: Option<Quantity>,
    confidence: Option<f64>,
    equivalence: Option<Quantity>,
    time_limit: Option<Quantity>,
    trial_timeout: Option<Quantity>,
    /// Samples a cell.
    repetitions: Option<u32>,
    /// cold (the default on a GPU: its caches are overwritten before every timed invocation, outside of its time) or warm (what
    /// the invocation before left, as always on the processor).
    cache: Option<String>,
    seed: Option<u64>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Blocks {
    min: Option<u32>,
    max: Option<u32>,
}

/// One question. At most one of `variants`, `sweep`, `search` and `combine`; none is a baseline.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Phase {
    phase: String,
    kind: Option<String>,
    title: Option<String>,
    after: Option<Vec<String>>,
    variants: Option<BTreeMap<String, BTreeMap<String, Scalar>>>,
    sweep: Option<BTreeMap<String, Vec<Scalar>>>,
    search: Option<Search>,
    combine: Option<Vec<String>>,
    /// best (the default) or none.
    keep: Option<String>,
    hypothesis: Option<Hypothesis>,
    criteria: Option<Vec<String>>,
    /// Limits in place of the plan's, of a phase with keep: none.
    accuracy: Option<PhaseAccuracy>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PhaseAccuracy {
    limits: Option<BTreeMap<String, f64>>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Search {
    parameters: BTreeMap<String, Vec<Scalar>>,
    restrictions: Option<Vec<String>>,
    strategy: Option<String>,
    budget: Option<Budget>,
    pareto: Option<Vec<String>>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Budget {
    evaluations: Option<u32>,
    time: Option<Quantity>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Hypothesis {
    /// 5-15%, 10%, 1.2-1.5x, >= 5%.
    speedup: Option<String>,
    effort: Option<String>,
    risk: Option<String>,
    because: Option<String>,
}

/// The JSON Schema of a plan.
pub(super) fn schema() -> serde_json::Value {
    schemars::schema_for!(Plan).to_value()
}
