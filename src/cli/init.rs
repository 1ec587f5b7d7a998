//! `init`: a commented, valid plan to start from.
use super::{Failure, say};
use crate::workload::{WORKLOADS, find};
use std::path::Path;
use std::process::ExitCode;

const COMMAND: &str =
    "# A phasetune plan. Check it: phasetune check FILE. Run it: phasetune run FILE.
name: NAME                     # folder under results/ and reports/
title: A command, tuned
workload:
  # Any program; {parameter} stands for its value. Not a shell unless `shell: true`.
  command: [sleep, '0.0{tenths}']
  # output: out.npy            # an array that the program writes, compared for accuracy
  # metrics: {gflops: 'GFLOP/s: ([0-9.]+)'}
protocol:
  blocks: {min: 10, max: 40}   # a block runs the reference and every variant once, in random order
  time_limit: 5m               # for a phase
  trial_timeout: 60s           # for one invocation
baseline: {tenths: 3}          # one value for each parameter
phases:
  - phase: baseline
    kind: baseline
  - phase: nap
    kind: algorithm
    after: [baseline]
    hypothesis: {speedup: 20-60%, effort: low, because: it sleeps for less}
    variants:
      shorter: {tenths: 2}
      shortest: {tenths: 1}
    criteria: ['speedup >= 1.1']
";

pub(super) fn init(builtin: Option<&str>, file: &Path, force: bool) -> Result<ExitCode, Failure> {
    let stem: String = file
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .to_lowercase()
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '_' || c == '-' {
                c
            } else {
                '_'
            }
        })
        .collect();
    let text = match builtin {
        None => COMMAND.replace("NAME", &stem),
        Some(name) => of_builtin(name, &stem)?,
    };
    if file.exists() && !force {
        return Err(Failure::Said(format!(
            "{} exists; --force replaces it",
            file.display()
        )));
    }
    std::fs::write(file, text)
        .map_err(|e| Failure::Said(format!("{} cannot be written: {e}", file.display())))?;
    say(&format!(
        "wrote {}; next: phasetune check {}",
        file.display(),
        file.display()
    ))
}

fn of_builtin(name: &str, stem: &str) -> Result<String, Failure> {
    let Some(entry) = find(name) else {
        let names: Vec<&str> = WORKLOADS.iter().map(|w| w.name).collect();
        return Err(Failure::Said(format!(
            "there is no built-in workload `{name}`; there is {}",
            names.join(", ")
        )));
    };
    let declaration = (entry.declare)();
    let mut baseline = String::new();
    for parameter in &declaration.parameters {
        let values: Vec<String> = parameter.values.iter().map(ToString::to_string).collect();
        baseline.push_str(&format!(
            "  {}: {}    # {}\n",
            parameter.name,
            values[0],
            values.join(", ")
        ));
    }
    let first = declaration.parameters.iter().find(|p| p.values.len() > 1);
    let Some(first) = first else {
        return Err(Failure::Said(format!("`{name}` has nothing to tune")));
    };
    let variants: String = first.values[1..]
        .iter()
        .map(|v| format!("      '{v}': {{{}: {v}}}\n", first.name))
        .collect();
    Ok(format!(
        "# A phasetune plan. Check it: phasetune check FILE. Run it: phasetune run FILE.
name: {stem}
workload:
  builtin: {name}
  problem: {{preset: {}}}      # {}
accuracy: {{against: {}}}
protocol: {{time_limit: 2m}}
baseline:                      # every parameter with its values; the first is the default
{baseline}phases:
  - phase: baseline
    kind: baseline
  - phase: {}
    kind: algorithm
    after: [baseline]
    variants:
{variants}",
        declaration.presets.first().map_or("tiny", String::as_str),
        declaration.presets.join(", "),
        if declaration.has_exact {
            "exact"
        } else {
            "baseline"
        },
        first.name,
    ))
}
