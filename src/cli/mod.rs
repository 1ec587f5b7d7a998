//! One file a subcommand. The only place that prints.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::exit,
    reason = "the terminal's side of the house"
)]
mod args;
mod check;
mod compare;
mod diagnostics;
mod init;
mod progress;
mod report;
mod run;

use crate::diagnostic::Diagnostic;
use crate::plan::{Parsed, Plan, Source};
use crate::record::Environment;
use crate::workload::{WORKLOADS, find};
use args::{Arguments, Command, Common};
use clap::{CommandFactory, Parser};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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
    Interrupted(String),
}

impl From<crate::campaign::Error> for Failure {
    fn from(error: crate::campaign::Error) -> Failure {
        match &error {
            crate::campaign::Error::Interrupted { .. } => Failure::Interrupted(error.to_string()),
            _ => Failure::Said(error.to_string()),
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
    let arguments = Arguments::parse();
    let common = &arguments.common;
    let result = match &arguments.command {
        Command::Run { plan, fresh } => run::run(plan, *fresh, common),
        Command::Tune {
            parameters,
            restrictions,
            name,
            command,
        } => run::tune(parameters, restrictions, name, command, common),
        Command::Report { name, run, against } => {
            report::report(name, run.as_deref(), against.as_deref(), common)
        }
        Command::Compare {
            first,
            second,
            rerun,
        } => compare::compare(first, second, *rerun, common),
        Command::Check { plan } => check::check(plan, common),
        Command::Devices => check::devices(common),
        Command::Calibrate { plan } => run::calibrate(plan, common),
        Command::Schema => say(&Plan::schema()),
        Command::Completions { shell } => {
            let mut script = vec![];
            clap_complete::generate(*shell, &mut Arguments::command(), "phasetune", &mut script);
            say(&String::from_utf8_lossy(&script))
        }
        Command::Init {
            builtin,
            file,
            force,
        } => init::init(builtin.as_deref(), file, *force),
    };
    match result {
        Ok(code) => code,
        Err(Failure::Said(message)) => {
            eprintln!("error: {}", plain(&message));
            ExitCode::from(1)
        }
        Err(Failure::Plan {
            findings,
            text,
            path,
        }) => {
            eprint!("{}", diagnostics::render(&findings, &text, &path));
            ExitCode::from(1)
        }
        Err(Failure::Interrupted(message)) => {
            eprintln!("{}", plain(&message));
            ExitCode::from(130)
        }
    }
}

/// Text of programs and plans without control characters, so that it cannot take over the terminal.
fn plain(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_control() && c != '\n' && c != '\t' {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect()
}

/// Prints to stdout; a reader that has gone is not an error.
fn say(text: &str) -> Result<ExitCode, Failure> {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{}", text.trim_end()).and_then(|()| out.flush()) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        Err(e) => Err(Failure::Said(format!("stdout cannot be written: {e}"))),
    }
}

/// A plan as it was found.
struct Loaded {
    parsed: Parsed,
    text: String,
    path: String,
    folder: PathBuf,
}

/// Reads and checks a plan: the path as given, or a name under experiments/.
fn load(path: &Path, common: &Common) -> Result<Loaded, Failure> {
    let path = locate(path)?;
    let bytes = std::fs::read(&path)
        .map_err(|e| Failure::Said(format!("{} cannot be read: {e}", path.display())))?;
    let folder = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    parse(&bytes, &path.display().to_string(), folder, common)
}

fn parse(bytes: &[u8], path: &str, folder: &Path, common: &Common) -> Result<Loaded, Failure> {
    let builtins: Vec<&str> = WORKLOADS.iter().map(|w| w.name).collect();
    let declare = |name: &str| find(name).map(|entry| (entry.declare)());
    let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let source = Source {
        text: bytes,
        overrides: &common.overrides(),
        folder: &absolute.to_string_lossy(),
    };
    match Plan::parse(&source, &declare, &builtins) {
        Ok(parsed) => Ok(Loaded {
            parsed,
            text: String::from_utf8_lossy(bytes).into_owned(),
            path: path.to_owned(),
            folder: folder.to_owned(),
        }),
        Err(findings) => Err(Failure::Plan {
            findings,
            text: String::from_utf8_lossy(bytes)
                .trim_start_matches('\u{feff}')
                .to_owned(),
            path: path.to_owned(),
        }),
    }
}

fn locate(path: &Path) -> Result<PathBuf, Failure> {
    if path.is_file() {
        return Ok(path.to_owned());
    }
    let named = Path::new("experiments").join(path).with_extension("yaml");
    if path.components().count() == 1 && path.extension().is_none() && named.is_file() {
        return Ok(named);
    }
    let folder = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let mut there: Vec<String> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|p| p.extension().is_some_and(|e| e == "yaml" || e == "yml"))
        .map(|p| p.display().to_string())
        .collect();
    there.sort();
    let help = match there.is_empty() {
        true => "`phasetune init` writes a plan to start from".to_owned(),
        false => format!("{} has {}", folder.display(), there.join(", ")),
    };
    Err(Failure::Said(format!(
        "there is no plan {}; {help}",
        path.display()
    )))
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
