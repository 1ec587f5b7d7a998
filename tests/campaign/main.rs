//! Whole campaigns through the program itself: what a user sees, and what is on disk afterwards.
#![allow(
    clippy::disallowed_methods,
    reason = "tests make plans, start the program and read what it wrote"
)]
mod crash;
mod e2p;
mod lock;
mod resume;
mod run_a_plan;
mod trace;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A folder with one plan in it, gone afterwards.
struct Bed {
    folder: tempfile::TempDir,
}

impl Bed {
    fn new(plan: &str) -> Bed {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("plan.yaml"), plan).unwrap();
        Bed { folder }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// The program with these arguments, in this folder.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_phasetune"));
        command
            .args(arguments)
            .current_dir(self.path())
            .env("NO_COLOR", "1");
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs the plan to its end and returns the report.
    fn report(&self) -> String {
        let output = self.run(&["run", "plan.yaml"]);
        let code = output.status.code();
        assert!(
            matches!(code, Some(0 | 3 | 4)),
            "{code:?}\n{}",
            said(&output)
        );
        std::fs::read_to_string(self.path().join("reports/t/results_summary.md")).unwrap()
    }

    /// The run's folder; there must be exactly one.
    fn run_folder(&self) -> PathBuf {
        let all: Vec<PathBuf> = std::fs::read_dir(self.path().join("results/t"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.is_dir())
            .collect();
        assert_eq!(all.len(), 1, "{all:?}");
        all[0].clone()
    }
}

fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// The rows of the report's results table whose first column holds `name`.
fn rows<'a>(report: &'a str, name: &str) -> Vec<&'a str> {
    report
        .lines()
        .filter(|line| line.starts_with('|'))
        .filter(|line| {
            line.split('|')
                .nth(1)
                .is_some_and(|cell| cell.contains(name))
        })
        .collect()
}
