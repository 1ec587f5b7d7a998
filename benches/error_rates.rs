//! How often is a program called different from itself? `cargo bench --bench error_rates -- [COMPARISONS] [--out FOLDER]`.
//!
//! Whole comparisons of a command of a few milliseconds with its clone on this machine, looks included, by the `phasetune`
//! binary at margin 0, while another process loads the machine in bursts. The rules of hyperfine and of Criterion are applied to
//! the same samples, and to samples in the order in which those tools take them: all of one, then all of the other.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a program of its own: prints, writes traces, starts phasetune and a load"
)]
use phasetune::record::Run;
use phasetune::stats;
use phasetune::trial::{Purpose, VariantId, Verdict};
use phasetune::workload::command::launcher::{Launch, Launcher, LauncherProgram};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rayon::prelude::*;
use statrs::distribution::{ContinuousCDF, StudentsT};
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Instant;

const PHASETUNE: &str = env!("CARGO_BIN_EXE_phasetune");
const LAUNCHER: &str = env!("CARGO_BIN_EXE_phasetune-launcher");

/// The command hashes this much: 2 to 5 ms with its start.
const WORK_BYTES: usize = 1 << 20;

/// Comparisons of one run of the binary; sequential traces of the same number follow it, so that both see the same hours.
const BATCH: usize = 20;

/// Criterion's own number is 100,000; an error rate of 5 % needs no more than this.
const RESAMPLES: usize = 4000;

/// Criterion's defaults.
const SIGNIFICANCE: f64 = 0.05;
const NOISE: f64 = 0.01;

/// Samples of one comparison in the order in which they were taken.
struct Trace {
    samples: Vec<Taken>,
    /// Phasetune's; absent where it was not asked.
    verdict: Option<Verdict>,
    is_kept: bool,
}

struct Taken {
    block: u32,
    position: u32,
    repetition: u32,
    is_clone: bool,
    nanoseconds: f64,
}

impl Trace {
    fn of(&self, is_clone: bool) -> Vec<f64> {
        let mine = self.samples.iter().filter(|s| s.is_clone == is_clone);
        mine.map(|s| s.nanoseconds).collect()
    }
}

fn main() -> ExitCode {
    match campaign() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("{error}");
            ExitCode::from(2)
        }
    }
}

fn campaign() -> Result<bool, Box<dyn Error>> {
    // cargo says --bench.
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|w| w != "--bench")
        .collect();
    let out = match words.iter().position(|w| w == "--out") {
        Some(at) => PathBuf::from(words.get(at + 1).ok_or("--out needs a folder")?),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("target/error_rates"),
    };
    let comparisons: usize = words.first().and_then(|w| w.parse().ok()).unwrap_or(200);
    fs::create_dir_all(&out)?;
    let out = out.canonicalize()?;
    let file = out.join("work.bin");
    fs::write(&file, vec![0x5a; WORK_BYTES])?;
    let load = Load::start()?;
    let started = Instant::now();
    let (mut interleaved, mut sequential) = (vec![], vec![]);
    let mut launcher = Launcher::start(LauncherProgram {
        path: LAUNCHER.into(),
        arguments: vec!["__launch".into()],
    })?;
    for batch in 0..comparisons.div_ceil(BATCH) {
        let count = BATCH.min(comparisons - batch * BATCH);
        let traces = by_phasetune(&out, &file, batch, count)?;
        for trace in &traces {
            sequential.push(in_sequence(&mut launcher, &file, trace.samples.len() / 2)?);
        }
        interleaved.extend(traces);
        println!(
            "{} of {comparisons} comparisons, {:.0} s",
            interleaved.len(),
            started.elapsed().as_secs_f64()
        );
    }
    drop(load);
    let mut csv =
        String::from("order,comparison,time_index,block,position,repetition,side,nanoseconds\n");
    write_csv(&mut csv, "interleaved", &interleaved);
    write_csv(&mut csv, "sequential", &sequential);
    fs::write(out.join("traces.csv"), csv)?;
    println!("raw samples: {}", out.join("traces.csv").display());
    Ok(tell(&interleaved, &sequential))
}

/// A neighbour in bursts, in a process group of its own.
struct Load(Child);

impl Load {
    fn start() -> std::io::Result<Load> {
        let bursts =
            "while :; do head -c 60000000 /dev/zero | md5sum > /dev/null; sleep 0.15; done";
        Command::new("sh")
            .args(["-c", bursts])
            .stdin(Stdio::null())
            .process_group(0)
            .spawn()
            .map(Load)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        // The loop; what it started ends by itself within a burst.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A run of the binary with a phase for each comparison.
fn by_phasetune(
    out: &Path,
    file: &Path,
    batch: usize,
    count: usize,
) -> Result<Vec<Trace>, Box<dyn Error>> {
    let name = format!("aa{batch}");
    let mut plan = format!(
        "name: {name}\nworkload:\n  command: [md5sum, '{}']\n  env: {{CLONE: '{{clone}}'}}\nprotocol: {{equivalence: 0, seed: {batch}}}\nbaseline: {{clone: a}}\nphases:\n",
        file.display()
    );
    for i in 0..count {
        writeln!(
            plan,
            "  - {{phase: p{i}, kind: algorithm, keep: none, variants: {{clone: {{clone: b}}}}}}"
        )?;
    }
    let path = out.join(format!("{name}.yaml"));
    fs::write(&path, plan)?;
    let results = out.join("results");
    let status = Command::new(PHASETUNE)
        .arg("run")
        .arg(&path)
        .args(["--fresh", "--quiet", "--results"])
        .arg(&results)
        .arg("--reports")
        .arg(out.join("reports"))
        .status()?;
    if !status.success() {
        return Err(format!("phasetune ended with {status}").into());
    }
    let run = Run::find(&results, &name, None)?;
    let clone = VariantId(1);
    run.outcomes
        .iter()
        .map(|outcome| {
            let phase = &outcome.phase;
            let trial = run
                .trials
                .iter()
                .find(|t| t.phase == *phase && t.id == clone)
                .ok_or("a phase without its clone")?;
            let series = run
                .samples
                .iter()
                .find(|s| s.phase == *phase && s.purpose == Purpose::Screen)
                .ok_or("a phase without samples")?;
            let samples = series.rows.iter().filter(|row| !row.is_warm_up);
            Ok(Trace {
                samples: samples
                    .map(|row| Taken {
                        block: row.block,
                        position: row.position,
                        repetition: row.repetition,
                        is_clone: row.variant == clone,
                        nanoseconds: row.runtime.0,
                    })
                    .collect(),
                verdict: Some(trial.verdict),
                is_kept: trial
                    .confirmation
                    .as_ref()
                    .and_then(|c| c.interval)
                    .is_some_and(|(lower, _)| lower > 1.0),
            })
        })
        .collect()
}

/// All of one, then all of the other, three of each before them for warming up.
fn in_sequence(launcher: &mut Launcher, file: &Path, runs: usize) -> Result<Trace, String> {
    let mut samples = vec![];
    for is_clone in [false, true] {
        let launch = Launch {
            program: "md5sum".into(),
            arguments: vec![file.display().to_string()],
            environment: vec![("CLONE".into(), if is_clone { "b" } else { "a" }.into())],
            ..Launch::default()
        };
        for i in 0..runs + 3 {
            let launched = launcher.run(&launch)?;
            if i >= 3 {
                samples.push(Taken {
                    block: 0,
                    position: u32::from(is_clone),
                    repetition: (i - 3) as u32,
                    is_clone,
                    nanoseconds: launched.wall.0,
                });
            }
        }
    }
    Ok(Trace {
        samples,
        verdict: None,
        is_kept: false,
    })
}

fn write_csv(csv: &mut String, order: &str, traces: &[Trace]) {
    for (i, trace) in traces.iter().enumerate() {
        for (j, s) in trace.samples.iter().enumerate() {
            let side = if s.is_clone { "clone" } else { "reference" };
            let _ = writeln!(
                csv,
                "{order},{i},{j},{},{},{},{side},{:.0}",
                s.block, s.position, s.repetition, s.nanoseconds
            );
        }
    }
}

/// What a rule says of two programs, from all samples of each.
struct Rule {
    name: &'static str,
    differs: fn(&[f64], &[f64], u64) -> bool,
}

const RULES: [Rule; 4] = [
    Rule {
        name: "hyperfine: 1 outside ratio ± its σ",
        differs: hyperfine,
    },
    Rule {
        name: "hyperfine's welch_ttest.py, p < 0.05",
        differs: welch,
    },
    Rule {
        name: "Criterion: p < 0.05 (bootstrap t-test)",
        differs: |a, b, seed| criterion(a, b, seed, 0.0),
    },
    Rule {
        name: "Criterion: p < 0.05 and beyond ± 1 %",
        differs: |a, b, seed| criterion(a, b, seed, NOISE),
    },
];

fn mean(x: &[f64]) -> f64 {
    x.iter().sum::<f64>() / x.len() as f64
}

fn variance(x: &[f64]) -> f64 {
    let m = mean(x);
    x.iter().map(|v| (v - m).powi(2)).sum::<f64>() / (x.len() - 1) as f64
}

/// hyperfine src/benchmark/relative_speed.rs: the slower mean over the faster, with the standard deviations (not the standard
/// errors) propagated. It prints the ratio whatever it is; taken as a claim where 1 is outside.
fn hyperfine(a: &[f64], b: &[f64], _: u64) -> bool {
    let (fast, slow) = if mean(a) < mean(b) { (a, b) } else { (b, a) };
    let ratio = mean(slow) / mean(fast);
    let spread = (variance(slow) / mean(slow).powi(2) + variance(fast) / mean(fast).powi(2)).sqrt();
    ratio - ratio * spread > 1.0
}

/// scipy.stats.ttest_ind(a, b, equal_var=False), as hyperfine's scripts/welch_ttest.py.
fn welch(a: &[f64], b: &[f64], _: u64) -> bool {
    let (va, vb) = (variance(a) / a.len() as f64, variance(b) / b.len() as f64);
    let freedom =
        (va + vb).powi(2) / (va.powi(2) / (a.len() - 1) as f64 + vb.powi(2) / (b.len() - 1) as f64);
    let t = (mean(a) - mean(b)) / (va + vb).sqrt();
    StudentsT::new(0.0, 1.0, freedom).is_ok_and(|d| 2.0 * (1.0 - d.cdf(t.abs())) < SIGNIFICANCE)
}

/// criterion src/analysis/compare.rs: Welch's t against its bootstrap distribution over the pooled samples; then the 95 %
/// percentile interval of the relative change of the mean must lie beyond the noise threshold (src/report.rs,
/// `compare_to_threshold`).
fn criterion(a: &[f64], b: &[f64], seed: u64, noise: f64) -> bool {
    let mut random = StdRng::seed_from_u64(seed);
    let t = |x: &[f64], y: &[f64]| {
        (mean(x) - mean(y)) / (variance(x) / x.len() as f64 + variance(y) / y.len() as f64).sqrt()
    };
    let mut draw = |from: &[f64], into: &mut [f64]| {
        into.iter_mut()
            .for_each(|v| *v = from[random.random_range(0..from.len())]);
    };
    let pooled = [a, b].concat();
    let (mut x, mut y) = (a.to_vec(), b.to_vec());
    let observed = t(a, b);
    let below = (0..RESAMPLES)
        .filter(|_| {
            draw(&pooled, &mut x);
            draw(&pooled, &mut y);
            t(&x, &y) < observed
        })
        .count();
    let p = 2.0 * below.min(RESAMPLES - below) as f64 / RESAMPLES as f64;
    if p >= SIGNIFICANCE || noise == 0.0 {
        return p < SIGNIFICANCE;
    }
    let mut changes: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            draw(a, &mut x);
            draw(b, &mut y);
            mean(&y) / mean(&x) - 1.0
        })
        .collect();
    changes.sort_unstable_by(f64::total_cmp);
    let (lower, upper) = (
        changes[RESAMPLES * 25 / 1000],
        changes[RESAMPLES * 975 / 1000],
    );
    lower > noise || upper < -noise
}

/// Prints the table; true if phasetune's rate is within its error.
fn tell(interleaved: &[Trace], sequential: &[Trace]) -> bool {
    let n = interleaved.len();
    let all = |x: &[Trace]| -> Vec<f64> {
        let samples = x.iter().flat_map(|t| &t.samples);
        samples.map(|s| s.nanoseconds / 1e6).collect()
    };
    let (q1, median, q3) = stats::quartiles(&all(interleaved));
    println!(
        "\n{n} comparisons; {} samples, median {median:.2} ms, quartiles {q1:.2} to {q3:.2} ms",
        all(interleaved).len()
    );
    let said = |wanted: &[Verdict]| {
        let verdicts = interleaved.iter().filter_map(|t| t.verdict);
        verdicts.filter(|v| wanted.contains(v)).count()
    };
    let wrong = said(&[Verdict::Faster, Verdict::Slower]);
    let kept = interleaved.iter().filter(|t| t.is_kept).count();
    println!("\n| rule | in blocks, random order | all of one, then all of the other |");
    println!("|---|---:|---:|");
    println!(
        "| phasetune: verdict faster or slower at margin 0, looks included | {} | – |",
        share(wrong, n)
    );
    println!(
        "| phasetune: and confirmed faster on fresh blocks | {} | – |",
        share(kept, n)
    );
    for rule in &RULES {
        let rate = |traces: &[Trace]| {
            let wrong = traces
                .par_iter()
                .enumerate()
                .filter(|(i, t)| (rule.differs)(&t.of(false), &t.of(true), *i as u64))
                .count();
            share(wrong, n)
        };
        println!(
            "| {} | {} | {} |",
            rule.name,
            rate(interleaved),
            rate(sequential)
        );
    }
    println!(
        "\nphasetune said: faster {}, slower {}, inconclusive {}, of {n}",
        said(&[Verdict::Faster]),
        said(&[Verdict::Slower]),
        said(&[Verdict::Inconclusive])
    );
    // One-sided 95 % of a binomial, normal approximation.
    let bound = 0.05 + 1.645 * (0.05 * 0.95 / n as f64).sqrt();
    let is_met = wrong as f64 / n as f64 <= bound;
    println!(
        "verdict: {:.1} % is {} 5 % + binomial error ({:.1} %): {}",
        100.0 * wrong as f64 / n as f64,
        if is_met { "within" } else { "over" },
        100.0 * bound,
        if is_met { "met" } else { "NOT MET" }
    );
    is_met
}

/// "12 (6.0 %)".
fn share(count: usize, of: usize) -> String {
    format!("{count} ({:.1} %)", 100.0 * count as f64 / of as f64)
}
