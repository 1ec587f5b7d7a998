//! The command line as types.
#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "these comments are help texts: [repeatable] is no link"
)]
use super::dialect::Dialect;
use super::simulate::strategy;
use crate::plan::{parse_parameter, parse_value};
use crate::search::{STRATEGIES, StrategyEntry};
use crate::space::Parameter;
use crate::value::{Value, parse_duration};
use clap::builder::PossibleValue;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

const EXIT_STATUS: &str = "Exit status: 0 all criteria met, 1 it could not be done, 2 wrong usage, 3 a criterion failed, 4 a criterion is undecided, 130 interrupted.";

/// Runs an optimization plan as an experiment: randomized blocks, honest statistics, Parquet records, a report with plots
#[derive(Debug, Parser)]
#[command(
    name = "phasetune",
    version,
    arg_required_else_help = true,
    max_term_width = 100,
    after_help = format!("Examples:\n  phasetune run experiments/beamform3d.yaml\n  phasetune tune --param threads=1,2,4 -- sort --parallel={{threads}} -o /dev/null words.txt\n\n{EXIT_STATUS}")
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,
    #[command(flatten)]
    pub(super) common: Common,
}

/// Options that every subcommand takes
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Common options")]
pub(super) struct Common {
    /// Where campaigns write their records
    #[arg(long, global = true, value_name = "DIR", default_value = "results")]
    pub(super) results: PathBuf,
    /// Where reports are written
    #[arg(long, global = true, value_name = "DIR", default_value = "reports")]
    pub(super) reports: PathBuf,
    /// Override anything in the plan, checked like the plan: workload.problem.preset=tiny [repeatable]
    #[arg(long, global = true, value_name = "KEY.PATH=VALUE", value_parser = setting)]
    pub(super) set: Vec<(String, String)>,
    /// Short for --set device=NAME
    #[arg(long, global = true, value_name = "NAME")]
    pub(super) device: Option<String>,
    /// Where blocks run: `slurm`, or `local` whatever the plan says; short for --set on.engine=NAME
    #[arg(long, global = true, value_name = "NAME")]
    pub(super) on: Option<String>,
    /// Short for --set protocol.seed=N
    #[arg(long, global = true, value_name = "N")]
    pub(super) seed: Option<u64>,
    /// Print one JSON object on stdout instead of text
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// Say only what went wrong
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(super) quiet: bool,
    /// Say more; where there is no terminal, a line for each phase
    #[arg(short, long, global = true)]
    pub(super) verbose: bool,
}

/// How a campaign is executed
#[derive(Clone, Debug, Args)]
pub(super) struct How {
    /// Start a new run even where an interrupted one could go on
    #[arg(long)]
    pub(super) fresh: bool,
    /// Write there what ran when: phases, blocks, samples, stages; for ui.perfetto.dev or chrome://tracing
    #[arg(long, value_name = "FILE")]
    pub(super) trace: Option<PathBuf>,
}

fn setting(written: &str) -> Result<(String, String), String> {
    written
        .split_once('=')
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .ok_or_else(|| "write KEY.PATH=VALUE, as workload.problem.preset=tiny".into())
}

fn problem_entry(written: &str) -> Result<(String, Value), String> {
    written
        .split_once('=')
        .filter(|(key, value)| !key.is_empty() && !value.is_empty())
        .map(|(key, value)| (key.to_owned(), parse_value(value)))
        .ok_or_else(|| "write KEY=VALUE, as nx=64".into())
}

fn duration(written: &str) -> Result<String, String> {
    parse_duration(written).map(|_| written.to_owned())
}

/// Every strategy, the plan's own choice among them.
fn strategies() -> Vec<PossibleValue> {
    let registered = STRATEGIES.iter();
    registered
        .map(|entry| PossibleValue::new(entry.name).help(entry.about))
        .collect()
}

impl Common {
    /// Every override, `--device`, `--on` and `--seed` among them.
    pub(super) fn overrides(&self) -> Vec<(String, String)> {
        let mut all = self.set.clone();
        all.extend(self.device.iter().map(|d| ("device".to_owned(), d.clone())));
        all.extend(
            self.on
                .iter()
                .map(|on| ("on.engine".to_owned(), on.clone())),
        );
        all.extend(
            self.seed
                .iter()
                .map(|s| ("protocol.seed".to_owned(), s.to_string())),
        );
        all
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Execute a plan end to end, or go on with its interrupted run; then write the report
    #[command(after_help = format!("Examples:\n  phasetune run experiments/sort_command.yaml --set protocol.blocks.max=20\n  phasetune run experiments/pstm.yaml --trace pstm.json\n\n{EXIT_STATUS}"))]
    Run {
        /// The plan file, or its name under experiments/
        plan: PathBuf,
        #[command(flatten)]
        how: How,
    },
    /// Find the best values of tuning parameters: of a command without a plan, or of a plan's workload
    #[command(after_help = "\
Examples:
  phasetune tune --param tile=16..128:x2 --param threads=1,2 --where 'tile * threads <= 128' -- \\
    ./prog --tile {tile} --threads {threads}
  phasetune tune experiments/beamform3d.yaml --param x_chunk=1,2,4 --param z_chunk=16,64
  phasetune tune experiments/beamform3d_chunks.yaml --evaluations 60 --time 5m

Without --param, a plan's own search phases are run, with the phases that they build on.")]
    Tune(Tune),
    /// Write results_summary.md and its plots again, from the recorded Parquet alone
    #[command(
        after_help = "Example:\n  phasetune report beamform3d --run 20261121T0931 --against 20261120"
    )]
    Report {
        /// The plan's name, NAME@RUN_ID, or a run's folder
        name: String,
        /// The run, by its id or the beginning of it [default: the newest]
        #[arg(long, value_name = "ID")]
        run: Option<String>,
        /// Another run to set beside it (historical, descriptive): its id, NAME@RUN_ID, or its folder
        #[arg(long, value_name = "RUN")]
        against: Option<String>,
    },
    /// Write what a run found for programs: its best configuration as source code, or all of it as T4, Kernel Tuner cache, CSV
    #[command(after_help = "\
Examples:
  phasetune export beamform3d --format t4 -o beamform3d.T4.json
  phasetune export beamform3d --best yaml
  phasetune export tune --best c -o best.h
  eval \"$(phasetune export tune@20261121 --best env)\"

Best is what was confirmed on fresh blocks; where nothing was, the plan's baseline.")]
    Export(Export),
    /// Answer from what earlier runs found: the best configuration for a problem size on a device
    #[command(after_help = "\
Examples:
  phasetune lookup beamform3d --problem preset=laptop
  phasetune lookup beamform3d --problem nx=48,ny=48,nz=96 --format c
  phasetune lookup './prog --tile {tile} --threads {threads}' --device cpu --json

Every finished run adds to wisdom.json in the results folder. Where the problem size is not known on
the device, the nearest one is taken, and said: of those with the same keys the one with the smallest
sum of |log ratio| over their numbers. --device is one of this machine, or words of a known one.")]
    Lookup(Lookup),
    /// Set two runs beside one another; with --rerun, measure what they recommend in the same blocks
    #[command(after_help = "\
Examples:
  phasetune compare beamform3d@20261120 beamform3d@20261121
  phasetune compare --rerun results/sort_command/20261120T101500Z-1a2b3c4 sort_command")]
    Compare {
        /// NAME, NAME@RUN_ID, or a run's folder
        first: String,
        /// NAME, NAME@RUN_ID, or a run's folder
        second: String,
        /// Measure both final configurations again, side by side in the same blocks
        #[arg(long)]
        rerun: bool,
    },
    /// Validate a plan, show its graph, count its configurations, estimate its time; runs nothing
    #[command(
        after_help = "Example:\n  phasetune check experiments/beamform3d.yaml --set workload.problem.preset=paper"
    )]
    Check {
        /// The plan file, or its name under experiments/
        plan: PathBuf,
    },
    /// List the devices of this machine, and why a backend is absent
    #[command(after_help = "Example:\n  phasetune devices --json")]
    Devices,
    /// Measure a plan's baseline against its clone: what can this machine resolve today?
    #[command(after_help = "Example:\n  phasetune calibrate experiments/beamform3d.yaml")]
    Calibrate {
        /// The plan file, or its name under experiments/
        plan: PathBuf,
    },
    /// Print the JSON Schema of plan files, for editors
    #[command(after_help = "\
Example:
  phasetune schema > plan.schema.json

Then begin a plan with the line
  # yaml-language-server: $schema=plan.schema.json")]
    Schema,
    /// Print shell completions
    #[command(
        after_help = "Example:\n  phasetune completions bash > ~/.local/share/bash-completion/completions/phasetune"
    )]
    Completions { shell: clap_complete::Shell },
    /// Write a commented, valid plan to start from
    #[command(after_help = "\
Examples:
  phasetune init experiments/prog.yaml -- ./prog --tile {tile}
  phasetune init --builtin beamform3d experiments/mine.yaml")]
    Init(Init),
    /// Replay search strategies on recorded spaces, and score them
    #[command(after_help = "\
Examples:
  phasetune simulate gemm_RTX_3060.json.gz convolution_A4000.json.gz --repeats 100 --seed 1
  phasetune simulate gemm_RTX_3060.json.gz --strategy random,bayesian --traces traces.jsonl

A recorded space is a Kernel Tuner cache, a T4 file, or a run of phasetune with a search or sweep.
The same seed gives the same traces, whatever the number of threads.")]
    Simulate(Simulate),
    /// Read another tuner's file: T4 or a Kernel Tuner cache to results, T1 to a plan
    #[command(after_help = "\
Examples:
  phasetune import convolution_A4000.json.gz
  phasetune import convolution.t1.json --output experiments/convolution.yaml")]
    Import(Import),
}

#[derive(Debug, Args)]
pub(super) struct Export {
    /// The plan's name, NAME@RUN_ID, or a run's folder
    #[arg(value_name = "RUN")]
    pub(super) run: String,
    #[command(flatten)]
    pub(super) what: Exported,
    /// Of a run with a matrix: whose result
    #[arg(long, value_name = "NAME")]
    pub(super) case: Option<String>,
    /// The file to write [default: stdout]
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct Exported {
    /// The best configuration, in this form
    #[arg(long, value_name = "FORMAT")]
    pub(super) best: Option<Dialect>,
    /// Everything that was measured, for other tools
    #[arg(long, value_name = "FORMAT")]
    pub(super) format: Option<ExportFormat>,
}

#[derive(Debug, Args)]
pub(super) struct Lookup {
    /// A built-in, a command as in its plan or its beginning, or a plan's name
    pub(super) workload: String,
    /// The problem in the plan's keys; what is not named is the preset's [repeatable]
    #[arg(long, value_name = "KEY=VALUE", value_delimiter = ',', value_parser = problem_entry)]
    pub(super) problem: Vec<(String, Value)>,
    /// What was minimized [default: runtime]
    #[arg(long, value_name = "NAME")]
    pub(super) objective: Option<String>,
    /// How to write the answer
    #[arg(long, value_name = "FORMAT", default_value = "yaml")]
    pub(super) format: Dialect,
}

#[derive(Debug, Args)]
pub(super) struct Tune {
    /// A plan whose workload, protocol and baseline are used
    #[arg(conflicts_with = "command")]
    pub(super) plan: Option<PathBuf>,
    /// name=1,2,4 or name=a..b, a..b:step, a..b:x2; for a command, the first value is the reference [repeatable]
    #[arg(long = "param", value_name = "NAME=VALUES", value_parser = parse_parameter, required_unless_present = "plan")]
    pub(super) parameters: Vec<Parameter>,
    /// A restriction that configurations must satisfy [repeatable]
    #[arg(long = "where", value_name = "EXPRESSION", requires = "parameters")]
    pub(super) restrictions: Vec<String>,
    /// How to search [default: the plan's, else auto]
    #[arg(long, value_name = "NAME", value_parser = strategies())]
    pub(super) strategy: Option<String>,
    /// At most so many configurations
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub(super) evaluations: Option<u32>,
    /// Time for searching, before the best are compared: 5m
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(super) time: Option<String>,
    /// Name under results/ and reports/ [default: tune, or the plan's name and _tune]
    #[arg(long)]
    pub(super) name: Option<String>,
    #[command(flatten)]
    pub(super) how: How,
    /// The command, after `--`; {name} stands for a parameter's value
    #[arg(last = true, value_name = "COMMAND", required_unless_present = "plan")]
    pub(super) command: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct Init {
    /// For a program of your own (the default)
    #[arg(long = "command", conflicts_with_all = ["builtin", "kernel"])]
    pub(super) is_command: bool,
    /// For a built-in workload
    #[arg(long, value_name = "NAME", conflicts_with_all = ["kernel", "words"])]
    pub(super) builtin: Option<String>,
    /// For a WGSL or CUDA kernel of your own
    #[arg(long, conflicts_with = "words")]
    pub(super) kernel: bool,
    /// Replace the file if it exists
    #[arg(long)]
    pub(super) force: bool,
    /// Where to write it
    #[arg(default_value = "plan.yaml")]
    pub(super) file: PathBuf,
    /// The program to tune, after `--`; {name} stands for a parameter's value
    #[arg(last = true, value_name = "COMMAND")]
    pub(super) words: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct Simulate {
    /// Kernel Tuner cache or T4 file (.json, .json.gz), a run's folder, NAME or NAME@RUN_ID
    #[arg(required = true, value_name = "CACHE")]
    pub(super) caches: Vec<String>,
    /// Which strategies, separated by commas [default: all]
    #[arg(long = "strategy", value_name = "NAMES", value_delimiter = ',', value_parser = strategy)]
    pub(super) strategies: Vec<&'static StrategyEntry>,
    /// Searches of each strategy on each space
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) repeats: u32,
    /// Evaluations of each search [default: what its space is scored over, at least 200]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) evaluations: Option<u32>,
    /// Write every evaluation there, one JSON object a line
    #[arg(long, value_name = "FILE")]
    pub(super) traces: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct Import {
    /// T1, T4 or Kernel Tuner cache: .json or .json.gz
    pub(super) file: PathBuf,
    /// Of T1: where the plan is written [default: experiments/NAME.yaml]
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum ExportFormat {
    T4,
    KernelTuner,
    Csv,
}
