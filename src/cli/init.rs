//! `init`: a commented, valid plan to start from.
use super::Failure;
use super::args::Init;
use super::terminal::{plain, say};
use crate::plan::{Declaration, placeholders};
use crate::workload::{WORKLOADS, find};
use serde_json::json;
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::ExitCode;

const HEAD: &str = "\
# A phasetune plan. See what it would do: phasetune check FILE. Do it: phasetune run FILE.
# Every key: phasetune schema. Anything can be overridden: --set protocol.blocks.max=20
";

const COMMAND_KEYS: &str =
    "  # build: [make, 'TILE={tile}']     # once for a configuration; its time is the compile time
  # prepare: [sh, -c, 'sync']        # before each sample, not timed
  # output: out.npy                  # an array that the program writes, compared for accuracy
  # metrics: {gflops: 'GFLOP/s: ([0-9.]+)'}
# accuracy: {against: baseline, limits: {nrmse: 1e-3}}    # needs `output`
# limits: {peak_memory: 8 GiB}
";

const KERNEL_KEYS: &str = "    \
    grid: ['(n + block * tile - 1) // (block * tile)']    # groups along x, y, z
    # block: [block]          # threads of a group; CUDA wants it, WGSL says it in the source
    arguments:                # arrays are @binding(0), (1), … in this order; scalars are overrides in WGSL
      x: {type: f32, shape: [n], fill: {uniform: [-1, 1]}, seed: 1}
      y: {type: f32, shape: [n], output: true}    # compared for accuracy
      n: 1000000
    # reference: {entry: scale, wgsl: plain.wgsl, grid: ['n // 64']}    # for accuracy: {against: exact}
accuracy: {against: baseline, limits: {rel_l2: 1e-6}}
";

const KERNEL_SOURCE: &str = "\
// y = 2 x, a few values a thread. `phasetune init --kernel` wrote it; put your own kernel here.
override block: u32;
override tile: u32;
override n: u32;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(block)
fn scale(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) index: u32) {
    for (var t = 0u; t < tile; t++) {
        let i = (group.x * tile + t) * block + index;
        if i < n {
            y[i] = 2.0 * x[i];
        }
    }
}
";

const PROTOCOL: &str = "\
protocol:
  blocks: {min: 10, max: 40}    # a block runs the reference and every variant, in random order
  precision: 1%                 # stop when the interval is this narrow
  equivalence: 1%               # smaller differences are of no interest
  time_limit: 5m                # for a phase
  trial_timeout: 60s            # for one invocation
";

const EXPECTATIONS: &str =
    "    # hypothesis: {speedup: 5-15%, effort: low, risk: none, because: what you expect and why}
";

const NAP: &str = "  - phase: nap
    kind: algorithm
    title: Sleep for less
    after: [baseline]           # its reference is what `baseline` kept
    hypothesis: {speedup: 20-150%, effort: low, risk: none, because: it sleeps for less}
    variants:
      shorter: {tenths: 2}
      shortest: {tenths: 1}
    criteria: ['speedup >= 1.1']
";

pub(super) fn init(order: &Init) -> Result<ExitCode, Failure> {
    let name = plan_name(&order.file);
    let text = match &order.builtin {
        Some(builtin) => of_builtin(builtin, &name)?,
        None if order.kernel => of_kernel(order, &name)?,
        None if order.words.is_empty() => of_sleep(&name),
        None => of_command(&order.words, &name)?,
    };
    write(&order.file, &text, order.force)?;
    let shown = order.file.display().to_string();
    say(&plain(&format!(
        "wrote {shown}; next: phasetune check {}",
        shell_words::quote(&shown)
    )))
}

/// The file's name as the plan's name may be.
fn plan_name(file: &Path) -> String {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let fits = |c: &char| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '_' || *c == '-';
    let name: String = stem
        .chars()
        .flat_map(char::to_lowercase)
        .map(|c| if fits(&c) { c } else { '_' })
        .take(64)
        .collect();
    match name.trim_start_matches('-') {
        "" => "plan".into(),
        name => name.into(),
    }
}

fn write(file: &Path, text: &str, replaces: bool) -> Result<(), Failure> {
    let wrong = |e: std::io::Error| match e.kind() {
        ErrorKind::AlreadyExists => {
            Failure::Said(format!("{} exists; --force replaces it", file.display()))
        }
        _ => Failure::Said(format!("{} cannot be written: {e}", file.display())),
    };
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).map_err(wrong)?;
    }
    let mut options = std::fs::OpenOptions::new();
    let options = match replaces {
        true => options.create(true).truncate(true),
        false => options.create_new(true),
    };
    let mut opened = options.write(true).open(file).map_err(wrong)?;
    opened.write_all(text.as_bytes()).map_err(wrong)
}

/// The plan, and beside it a kernel that it tunes, unless a file of that name is there.
fn of_kernel(order: &Init, name: &str) -> Result<String, Failure> {
    let source = order.file.with_extension("wgsl");
    if !source.exists() {
        write(&source, KERNEL_SOURCE, false)?;
    }
    let file = source.file_name().unwrap_or_default().to_string_lossy();
    Ok(format!(
        "{HEAD}name: {name}                    # folder under results/ and reports/
device: wgpu                  # any GPU, or one in software; cuda needs a `cuda:` source
workload:
  kernel:
    entry: scale
    wgsl: {}
    # cuda: scale.cu          # the same kernel for device: cuda
{KERNEL_KEYS}{PROTOCOL}objective: device_time        # of the launch alone; runtime is from submission to completion
baseline: {{block: 64, tile: 1}}    # constants of the kernel: overrides or {{{{ tile }}}} in WGSL, macros in CUDA
phases:
  - phase: baseline
    kind: baseline
  - phase: tune
    kind: tiling
    after: [baseline]           # its reference is what `baseline` kept
{EXPECTATIONS}    search:
      parameters: {{block: [32, 64, 128, 256], tile: [1, 2, 4, 8]}}
      restrictions: ['block * tile <= 1024']
",
        json!(file)
    ))
}

fn of_sleep(name: &str) -> String {
    let words = ["sleep".to_owned(), "0.0{tenths}".to_owned()];
    command_plan(&words, name, "tenths: 3", NAP)
}

fn of_command(words: &[String], name: &str) -> Result<String, Failure> {
    let mut parameters: Vec<String> = vec![];
    for word in words {
        for found in placeholders(word).map_err(Failure::Said)? {
            if found != "scratch" && !parameters.contains(&found) {
                parameters.push(found);
            }
        }
    }
    let Some(first) = parameters.first() else {
        let words = shell_words::join(words);
        return Err(Failure::Said(format!(
            "the command has no tuning parameter; write one in braces: {words} --threads {{threads}}"
        )));
    };
    let baseline: Vec<String> = parameters.iter().map(|p| format!("{p}: 1")).collect();
    let phase = format!(
        "  - phase: tune_{first}
    kind: tiling
    after: [baseline]           # its reference is what `baseline` kept
{EXPECTATIONS}    sweep: {{{first}: [2, 4, 8]}}    # the values worth trying
    # criteria: ['speedup >= 1.05']
"
    );
    Ok(command_plan(words, name, &baseline.join(", "), &phase))
}

fn command_plan(words: &[String], name: &str, baseline: &str, phase: &str) -> String {
    let program = words.first().map_or("", String::as_str);
    format!(
        "{HEAD}name: {name}                    # folder under results/ and reports/
title: {}
workload:
  command: {}    # {{parameter}} stands for its value; no shell, unless `shell: true`
{COMMAND_KEYS}{PROTOCOL}baseline: {{{baseline}}}    # one value for each parameter
phases:
  - phase: baseline
    kind: baseline
{phase}",
        json!(format!("Tuning {program}")),
        json!(words),
    )
}

fn of_builtin(builtin: &str, name: &str) -> Result<String, Failure> {
    let Some(entry) = find(builtin) else {
        let names: Vec<&str> = WORKLOADS.iter().map(|w| w.name).collect();
        return Err(Failure::Said(format!(
            "there is no built-in workload `{builtin}`; there is {}",
            names.join(", ")
        )));
    };
    let declaration = (entry.declare)();
    let Some(first) = declaration.parameters.iter().find(|p| p.values.len() > 1) else {
        return Err(Failure::Said(format!("`{builtin}` has nothing to tune")));
    };
    let variants: String = first.values[1..]
        .iter()
        .map(|v| {
            let v = json!(v);
            format!("      {}: {{{}: {v}}}\n", json!(label(&v)), first.name)
        })
        .collect();
    let preset = declaration.presets.iter().find(|p| *p == "laptop");
    let preset = preset.or(declaration.presets.first());
    let against = match declaration.has_exact {
        true => "exact",
        false => "baseline",
    };
    Ok(format!(
        "{HEAD}name: {name}                    # folder under results/ and reports/
workload:
  builtin: {builtin}
  problem: {{preset: {}, seed: 1}}    # {}
accuracy: {{against: {against}}}      # limits: {{rel_l2: 1e-3}} keeps variants outside it from winning
{PROTOCOL}baseline:                       # every parameter with its values
{}phases:
  - phase: baseline
    kind: baseline
  - phase: {}
    kind: algorithm
    after: [baseline]           # its reference is what `baseline` kept
{EXPECTATIONS}    variants:
{variants}    # criteria: ['speedup >= 1.05']
",
        preset.map_or("tiny", String::as_str),
        declaration.presets.join(", "),
        every_parameter(&declaration),
        first.name,
    ))
}

/// A line for each parameter: its default, and as a comment what else it takes.
fn every_parameter(declaration: &Declaration) -> String {
    let lines = declaration.parameters.iter().map(|parameter| {
        let values: Vec<String> = parameter
            .values
            .iter()
            .map(|v| json!(v).to_string())
            .collect();
        let range = declaration
            .ranges
            .iter()
            .find(|(n, _, _)| *n == parameter.name);
        let range = range.map_or(String::new(), |(_, low, high)| format!("; {low} to {high}"));
        let default = format!("{}: {}", parameter.name, values[0]);
        format!("  {default:<29} # {}{range}\n", values.join(", "))
    });
    lines.collect()
}

/// The name of a variant that sets one value.
fn label(value: &serde_json::Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}
