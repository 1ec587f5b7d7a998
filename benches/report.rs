//! A report of a million samples, as a user waits for it: `cargo bench --bench report [-- ROWS]`.
//!
//! Makes the records in a temporary folder (examples/synthetic_run.rs), runs `phasetune report` on them five times, and prints wall
//! time and peak memory against the limits, 3 s and 1 GiB. Exit status 1 beyond them.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "measures a process of its own and prints"
)]
use std::error::Error;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

#[path = "../examples/synthetic_run.rs"]
#[allow(dead_code, reason = "its `main` stays behind")]
mod synthetic_run;

const ROWS: usize = 1_000_000;
const RUNS: usize = 5;
const LIMIT_SECONDS: f64 = 3.0;
const LIMIT_MIB: f64 = 1024.0;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    // `cargo bench` adds an option of its own.
    let mut arguments = std::env::args().skip(1).filter(|a| !a.starts_with("--"));
    let rows = arguments.next().map_or(Ok(ROWS), |n| n.parse())?;
    let folder = tempfile::tempdir()?;
    let (results, reports) = (folder.path().join("results"), folder.path().join("reports"));
    let started = Instant::now();
    synthetic_run::campaign(&results, rows)?;
    println!(
        "{rows} rows written in {:.1} s",
        started.elapsed().as_secs_f64()
    );
    let mut runs = vec![];
    for _ in 0..RUNS {
        runs.push(report(&results, &reports)?);
    }
    let (slowest, largest) = runs.iter().fold((0.0, 0.0), |(s, m): (f64, f64), run| {
        (s.max(run.0), m.max(run.1))
    });
    for (seconds, mebibytes) in &runs {
        println!("phasetune report: {seconds:.2} s, {mebibytes:.0} MiB");
    }
    println!(
        "slowest {slowest:.2} s, limit {LIMIT_SECONDS} s; largest {largest:.0} MiB, limit {LIMIT_MIB} MiB"
    );
    let is_within = slowest <= LIMIT_SECONDS && largest <= LIMIT_MIB;
    Ok(if is_within {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Seconds and peak resident MiB of one report.
fn report(results: &Path, reports: &Path) -> Result<(f64, f64), Box<dyn Error>> {
    let started = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_phasetune"))
        .args(["report", "synthetic", "--results"])
        .arg(results)
        .arg("--reports")
        .arg(reports)
        .stdout(Stdio::null())
        .spawn()?;
    let mut peak = 0.0_f64;
    let status = loop {
        peak = peak.max(high_water(&child).unwrap_or(0.0));
        match child.try_wait()? {
            Some(status) => break status,
            // The mark only rises: what is missed is at most the last millisecond.
            None => std::thread::sleep(Duration::from_millis(1)),
        }
    };
    let seconds = started.elapsed().as_secs_f64();
    if !status.success() {
        return Err(format!("phasetune report ended with {status}").into());
    }
    Ok((seconds, peak))
}

/// VmHWM in MiB: proc(5), absent once the process has ended.
fn high_water(child: &Child) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let line = status.lines().find(|l| l.starts_with("VmHWM"))?;
    let kib: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib / 1024.0)
}
