//! The command line as a user meets it: status, stdout and stderr.
#![allow(
    clippy::disallowed_methods,
    reason = "tests start the program and make its files"
)]
mod best;
mod commands;
mod interchange;

use std::path::Path;
use std::process::{Command, Output};

/// The program in a folder, with an environment that no machine changes.
fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_phasetune"));
    command.args(arguments).current_dir(folder);
    for name in ["COLUMNS", "NO_COLOR", "CLICOLOR_FORCE", "RUST_BACKTRACE"] {
        command.env_remove(name);
    }
    command
}

fn phasetune(folder: &Path, arguments: &[&str]) -> Output {
    command(folder, arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What it says on stdout when all goes well.
fn said(folder: &Path, arguments: &[&str]) -> String {
    let output = phasetune(folder, arguments);
    assert!(
        output.status.success(),
        "{arguments:?}: {}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
    text(&output.stdout)
}

/// What it complains of on stderr, with its status.
fn refused(folder: &Path, arguments: &[&str]) -> (i32, String) {
    let output = phasetune(folder, arguments);
    (output.status.code().unwrap(), text(&output.stderr))
}

/// Asserts that a call ends with this status and says this.
fn refuses(folder: &Path, arguments: &[&str], status: i32, hint: &str) {
    let (code, complaint) = refused(folder, arguments);
    assert_eq!(code, status, "{arguments:?}: {complaint}");
    assert!(complaint.contains(hint), "{arguments:?}: {complaint}");
}
