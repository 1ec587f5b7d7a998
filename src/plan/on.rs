//! Where a plan's blocks run, if not on this machine: the section `on:`. What a cluster's engine is asked for, as data; who asks it
//! is `worker`.
use super::reader::{Fields, Findings, text, texts};
use super::tree::Node;
use super::{CommandChoice, MetricSource, WorkloadChoice};
use crate::value::{Nanoseconds, parse_duration};
use serde::{Deserialize, Serialize};

pub(super) const ON_KEYS: &[&str] = &[
    "engine",
    "partition",
    "account",
    "nodes",
    "gres",
    "constraint",
    "time_limit",
    "exclusive",
    "hint",
    "cpu_bind",
    "mem_bind",
    "gpu_freq",
    "resubmit",
    "arguments",
];

/// What a task is asked of Slurm with. Names and words are Slurm's own; what is absent is left to the cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Slurm {
    pub partition: Option<String>,
    pub account: Option<String>,
    /// At most so many tasks at a time, each on a node of its own; also how many configurations a search asks for at once.
    pub nodes: u32,
    /// `gpu:1`, `gpu:a100:1`.
    pub gres: Option<String>,
    pub constraint: Option<String>,
    /// Of one task, which measures one block.
    pub time_limit: Option<Nanoseconds>,
    /// No other job on the node.
    pub is_exclusive: bool,
    /// `nomultithread`.
    pub hint: Option<String>,
    /// Of the task's processors: `cores`, `map_cpu:0,2`. With it the task is a step that `srun` starts.
    pub cpu_bind: Option<String>,
    /// `local`.
    pub mem_bind: Option<String>,
    /// `high`, `medium`, a number of MHz. A cluster that does not allow it says nothing: records hold what was read back.
    pub gpu_freq: Option<String>,
    /// A task that fails, is preempted, times out or vanishes is submitted again at most so often.
    pub resubmit: u32,
    /// For `sbatch`, after all the others.
    pub arguments: Vec<String>,
}

impl Default for Slurm {
    fn default() -> Slurm {
        Slurm {
            partition: None,
            account: None,
            nodes: 8,
            gres: None,
            constraint: None,
            time_limit: None,
            is_exclusive: true,
            hint: None,
            cpu_bind: None,
            mem_bind: None,
            gpu_freq: None,
            resubmit: 3,
            arguments: vec![],
        }
    }
}

/// Arguments of `sbatch` that decide what phasetune relies on.
const OURS: &[&str] = &[
    "--array",
    "-a",
    "--job-name",
    "-J",
    "--nodes",
    "-N",
    "--ntasks",
    "-n",
    "--output",
    "-o",
    "--error",
    "-e",
    "--chdir",
    "-D",
    "--parsable",
    "--requeue",
    "--no-requeue",
    "--wait",
    "-W",
    "--wrap",
    "--test-only",
    "--export",
    "--export-file",
];

/// Absent: here, on this machine. That is also what `engine: local` says, whatever else the section holds, so that `--on local`
/// runs a cluster's plan here.
pub(super) fn on(
    fields: &Fields<'_>,
    choice: &WorkloadChoice,
    findings: &mut Findings,
) -> Option<Slurm> {
    let node = fields.get("on")?;
    let inner = Fields::of(node, "`on`", ON_KEYS, findings);
    let is_local = inner
        .get("engine")
        .is_some_and(|node| is_local(node, findings));
    let mut word = |key: &str| {
        let node = inner.get(key)?;
        let written = text(node, key, findings)?;
        let is_word = !written.is_empty() && !written.contains(char::is_control);
        if !is_word {
            findings.add(&node.origin, format!("`{key}` must be a word"), "");
        }
        is_word.then_some(written)
    };
    let [partition, account, gres, constraint] =
        ["partition", "account", "gres", "constraint"].map(&mut word);
    let [hint, cpu_bind, mem_bind, gpu_freq] =
        ["hint", "cpu_bind", "mem_bind", "gpu_freq"].map(&mut word);
    let usual = Slurm::default();
    let slurm = Slurm {
        partition,
        account,
        nodes: (inner.whole("nodes", 1..=1000, findings)).map_or(usual.nodes, |n| n as u32),
        gres,
        constraint,
        time_limit: inner.quantity("time_limit", parse_duration, findings),
        is_exclusive: (inner.flag("exclusive", findings)).unwrap_or(usual.is_exclusive),
        hint,
        cpu_bind,
        mem_bind,
        gpu_freq,
        resubmit: (inner.whole("resubmit", 0..=100, findings)).map_or(usual.resubmit, |n| n as u32),
        arguments: inner
            .get("arguments")
            .map_or_else(Vec::new, |node| arguments(node, findings)),
    };
    if is_local {
        return None;
    }
    if let WorkloadChoice::Command(command) = choice {
        for what in shared_files(command) {
            let help = "several nodes run it at once on one file system: write to {scratch}, which each has for itself, or say cwd: '{scratch}'";
            findings.add(
                &node.origin,
                format!("{what} of a plan that runs on a cluster must be in {{scratch}}"),
                help,
            );
        }
    }
    Some(slurm)
}

fn is_local(node: &Node, findings: &mut Findings) -> bool {
    let written = text(node, "engine", findings).unwrap_or_default();
    if !["slurm", "local"].contains(&written.as_str()) {
        findings.unknown(&node.origin, "engine", &written, &["slurm", "local"]);
    }
    written == "local"
}

fn arguments(node: &Node, findings: &mut Findings) -> Vec<String> {
    let written = texts(node, "arguments", findings);
    for (argument, origin) in &written {
        let name = argument.split('=').next().unwrap_or_default();
        if OURS.contains(&name) {
            findings.add(
                origin,
                format!("`{name}` is what phasetune itself tells sbatch"),
                "leave it out",
            );
        } else if !argument.starts_with('-') {
            findings.add(
                origin,
                format!("`{argument}` is no option of sbatch"),
                "write each as one text: --qos=high",
            );
        }
    }
    written.into_iter().map(|(argument, _)| argument).collect()
}

/// What nodes that run the command at the same time would write over one another.
fn shared_files(command: &CommandChoice) -> Vec<String> {
    const OWN: &str = "{scratch}";
    if command.cwd.as_ref().is_some_and(|cwd| cwd.contains(OWN)) {
        return vec![];
    }
    let mut found = vec![];
    let build = command.build.iter().flatten();
    if command.build.is_some() && !build.clone().any(|word| word.contains(OWN)) {
        found.push("the build".to_owned());
    }
    let is_shared = |file: &str| !file.contains(OWN);
    if (command.output.as_ref()).is_some_and(|output| is_shared(&output.file)) {
        found.push("the output".into());
    }
    for metric in &command.metrics {
        if let MetricSource::Pointer {
            file: Some(file), ..
        } = &metric.source
            && is_shared(file)
        {
            found.push(format!("the file of the metric `{}`", metric.name));
        }
    }
    let templates = command.files.iter().filter(|file| file.to.starts_with('/'));
    found.extend(templates.map(|file| format!("the file {}", file.to)));
    found
}
