//! One file a subcommand. The only place that prints.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::exit,
    reason = "the terminal's side of the house"
)]
mod args;
mod calibrate;
mod check;
mod compare;
mod devices;
mod diagnostics;
mod dialect;
mod export_best;
mod foreign;
mod init;
mod lookup;
mod plan_file;
mod progress;
mod report;
mod run;
mod simulate;
mod terminal;
mod trace;
mod tune;

use crate::diagnostic::Diagnostic;
use crate::plan::Plan;
use crate::record::Environment;
use args::{Arguments, Command};
use clap::{CommandFactory, Parser};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use terminal::{complain, draw, is_colored, say};

/// What a subcommand comes to, when it does not end well.
#[derive(Debug)]
enum Failure {
    /// A sentence: what, where, what to do.
    Said(String),
    Plan {
        findings: Vec<Diagnostic>,
        text: String,
        path: String,
    },
    /// By the user. With the folder of the records, where there is one to go on with.
    Interrupted(Option<PathBuf>),
}

impl From<crate::campaign::Error> for Failure {
    fn from(error: crate::campaign::Error) -> Failure {
        match error {
            crate::campaign::Error::Interrupted { folder } => {
                Failure::Interrupted(Some(folder).filter(|f| !f.as_os_str().is_empty()))
            }
            other => Failure::Said(other.to_string()),
        }
    }
}

impl From<crate::record::StoreError> for Failure {
    fn from(error: crate::record::StoreError) -> Failure {
        Failure::Said(error.to_string())
    }
}

/// The program, less its hidden subcommands.
pub fn main() -> ExitCode {
    std::panic::set_hook(Box::new(terminal::own_up));
    std::panic::catch_unwind(|| {
        let arguments = Arguments::parse();
        subcommand(&arguments).unwrap_or_else(explain)
    })
    .unwrap_or(ExitCode::FAILURE)
}

fn subcommand(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let common = &arguments.common;
    match &arguments.command {
        Command::Run { plan, how } => run::run(plan, how, common),
        Command::Tune(order) => tune::tune(order, common),
        Command::Report { name, run, against } => {
            report::report(name, run.as_deref(), against.as_deref(), common)
        }
        Command::Export(order) => match (order.what.best, order.what.format) {
            (_, Some(format)) => foreign::export(order, format, common),
            (Some(dialect), None) => export_best::export_best(order, dialect, common),
            (None, None) => unreachable!("clap asks for one of them"),
        },
        Command::Lookup(order) => lookup::lookup(order, common),
        Command::Compare {
            first,
            second,
            rerun,
        } => compare::compare(first, second, *rerun, common),
        Command::Check { plan } => check::check(plan, common),
        Command::Devices => devices::devices(common),
        Command::Calibrate { plan } => calibrate::calibrate(plan, common),
        Command::Schema => say(&Plan::schema()),
        Command::Completions { shell } => {
            let mut script = vec![];
            clap_complete::generate(*shell, &mut Arguments::command(), "phasetune", &mut script);
            say(&String::from_utf8_lossy(&script))
        }
        Command::Init(order) => init::init(order),
        Command::Simulate(order) => simulate::simulate(order, common),
        Command::Import(order) => foreign::import(order, common),
    }
}

/// Says what went wrong and what to do, and gives the exit status for it.
fn explain(failure: Failure) -> ExitCode {
    match failure {
        Failure::Said(message) => {
            complain(&format!("error: {message}"));
            ExitCode::FAILURE
        }
        Failure::Plan {
            findings,
            text,
            path,
        } => {
            draw(&diagnostics::render(&findings, &text, &path, is_colored()));
            ExitCode::FAILURE
        }
        Failure::Interrupted(folder) => {
            complain(&match folder {
                Some(folder) => format!(
                    "interrupted; what was measured is in {}\nto go on where it stopped: {}",
                    folder.display(),
                    resuming_command()
                ),
                None => "interrupted; nothing was kept".to_owned(),
            });
            ExitCode::from(130)
        }
    }
}

/// This command line as it can be pasted into a shell, to go on with what it started.
fn resuming_command() -> String {
    let words = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
    // After `--` stand the words of somebody else's command.
    let mut is_ours = true;
    let kept = words.filter(|word| {
        is_ours &= word != "--";
        !(is_ours && word == "--fresh")
    });
    shell_words::join(kept.collect::<Vec<_>>())
}

/// A flag that Ctrl-C sets; the second Ctrl-C ends the program at once.
fn interruption() -> Arc<AtomicBool> {
    let flag = Arc::new(AtomicBool::new(false));
    let set = flag.clone();
    // Without a handler Ctrl-C still ends the program; what is measured is in the journal.
    let _ = ctrlc::set_handler(move || {
        if set.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
    });
    flag
}

/// This very binary, which workers are started from.
fn program() -> Result<PathBuf, Failure> {
    std::env::current_exe()
        .map_err(|e| Failure::Said(format!("the program does not find itself: {e}")))
}

fn environment(folder: &Path) -> Environment {
    let devices = crate::device::list()
        .into_iter()
        .map(|(name, what)| format!("{name}: {what}"))
        .collect();
    Environment::probe(folder, devices)
}
