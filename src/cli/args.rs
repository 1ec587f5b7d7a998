//! The command line as types.
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Run an optimization plan as an experiment: phases, statistics, Parquet records, reports.
#[derive(Debug, Parser)]
#[command(
    name = "phasetune",
    version,
    arg_required_else_help = true,
    after_help = "Example:\n  phasetune run experiments/beamform3d.yaml"
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,
    #[command(flatten)]
    pub(super) common: Common,
}

/// Options that every subcommand takes.
#[derive(Clone, Debug, Args)]
pub(super) struct Common {
    /// Where campaigns write their records.
    #[arg(long, global = true, value_name = "DIR", default_value = "results")]
    pub(super) results: PathBuf,
    /// Where reports are written.
    #[arg(long, global = true, value_name = "DIR", default_value = "reports")]
    pub(super) reports: PathBuf,
    /// Overrides a value of the plan, checked like the plan: workload.problem.preset=tiny.
    #[arg(long, global = true, value_name = "KEY.PATH=VALUE", value_parser = setting)]
    pub(super) set: Vec<(String, String)>,
    /// Short for --set device=NAME.
    #[arg(long, global = true, value_name = "NAME")]
    pub(super) device: Option<String>,
    /// Short for --set protocol.seed=N.
    #[arg(long, global = true, value_name = "N")]
    pub(super) seed: Option<u64>,
    /// One JSON object on stdout instead of text.
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// Say only what went wrong.
    #[arg(short, long, global = true)]
    pub(super) quiet: bool,
    /// Say more: a line a phase where there is no terminal.
    #[arg(short, long, global = true)]
    pub(super) verbose: bool,
}

fn setting(written: &str) -> Result<(String, String), String> {
    written
        .split_once('=')
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .ok_or_else(|| "write KEY.PATH=VALUE, as workload.problem.preset=tiny".into())
}

impl Common {
    /// Every override, `--device` and `--seed` among them.
    pub(super) fn overrides(&self) -> Vec<(String, String)> {
        let mut all = self.set.clone();
        all.extend(self.device.iter().map(|d| ("device".to_owned(), d.clone())));
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
    /// Execute a plan end to end, or go on with its interrupted run; then write the report.
    #[command(
        after_help = "Example:\n  phasetune run experiments/sort_command.yaml --set protocol.blocks.max=20\n\nExit status: 0 all criteria met, 1 could not be done, 2 usage, 3 a criterion failed, 4 a criterion is undecided, 130 interrupted."
    )]
    Run {
        plan: PathBuf,
        /// Start a new run even where an interrupted one could go on.
        #[arg(long)]
        fresh: bool,
    },
    /// Find the best values of a command's parameters without a plan file.
    #[command(
        after_help = "Example:\n  phasetune tune --param tile=16..128:x2 --param threads=1,2 --where \"tile*threads<=128\" -- ./prog --tile {tile} --threads {threads}"
    )]
    Tune {
        /// name=1,2,4 or name=a..b, a..b:step, a..b:x2. Its first value is the reference.
        #[arg(long = "param", value_name = "NAME=VALUES", required = true)]
        parameters: Vec<String>,
        /// A restriction that configurations must satisfy.
        #[arg(long = "where", value_name = "EXPRESSION")]
        restrictions: Vec<String>,
        /// Name under results/ and reports/.
        #[arg(long, default_value = "tune")]
        name: String,
        /// The command, after `--`; {name} stands for a parameter's value.
        #[arg(last = true, required = true, value_name = "COMMAND")]
        command: Vec<String>,
    },
    /// Write results_summary.md and its plots again, from the recorded Parquet alone.
    #[command(after_help = "Example:\n  phasetune report beamform3d --run 20261121")]
    Report {
        name: String,
        /// The run, by its id or its beginning; else the newest.
        #[arg(long, value_name = "ID")]
        run: Option<String>,
        /// Another run to set beside it (historical, descriptive).
        #[arg(long, value_name = "ID")]
        against: Option<String>,
    },
    /// Set two runs beside one another; with --rerun, measure both final configurations in the same blocks.
    #[command(after_help = "Example:\n  phasetune compare beamform3d@20261120 beamform3d@20261121")]
    Compare {
        /// NAME, NAME@RUN_ID, or a run's folder.
        first: String,
        second: String,
        /// Measure both final configurations again, side by side in the same blocks.
        #[arg(long)]
        rerun: bool,
    },
    /// Validate a plan, show its graph, count its configurations; runs nothing.
    #[command(after_help = "Example:\n  phasetune check experiments/beamform3d.yaml")]
    Check { plan: PathBuf },
    /// List the devices of this machine, and why a backend is absent.
    #[command(after_help = "Example:\n  phasetune devices")]
    Devices,
    /// Measure a plan's baseline against its clone: what can this machine resolve today?
    #[command(after_help = "Example:\n  phasetune calibrate experiments/beamform3d.yaml")]
    Calibrate { plan: PathBuf },
    /// Print the JSON Schema of plan files.
    #[command(after_help = "Example:\n  phasetune schema > plan.schema.json")]
    Schema,
    /// Print shell completions.
    #[command(
        after_help = "Example:\n  phasetune completions bash > /etc/bash_completion.d/phasetune"
    )]
    Completions { shell: clap_complete::Shell },
    /// Write a commented, valid plan to start from.
    #[command(after_help = "Example:\n  phasetune init --builtin beamform3d my_plan.yaml")]
    Init {
        /// For a built-in workload; else for a command.
        #[arg(long, value_name = "NAME")]
        builtin: Option<String>,
        #[arg(default_value = "plan.yaml")]
        file: PathBuf,
        /// Replace the file if it exists.
        #[arg(long)]
        force: bool,
    },
}
