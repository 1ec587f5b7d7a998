//! Constructing search spaces, beside Kernel Tuner's default constructor in the same run:
//! `cargo bench --bench construction [-- FOLDER [PYTHON]]`.
//!
//! FOLDER holds definitions (`tune_params`, `restrictions`, `expected_valid`; default ../shared/data/spaces), PYTHON has Kernel
//! Tuner (benches/peers/construction.py says how to get it; default /tmp/venv_kt/bin/python). Our time is from the restrictions'
//! text to the finished space, one thread. Exit status 1 unless every count is exact, both found the same configurations, memory is
//! within 16 bytes and 2 a parameter for each configuration, and construction is 10 times faster on every space.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "measures, starts its peer and prints"
)]
use phasetune::space::{Parameter, Restriction, Space};
use phasetune::value::Value;
use serde_json::{Map, Value as Json};
use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};
use std::time::Instant;

const FOLDER: &str = "../shared/data/spaces";
const PYTHON: &str = "/tmp/venv_kt/bin/python";
const ROUNDS: usize = 20;
const TARGET: f64 = 10.0;

#[derive(serde::Deserialize)]
struct Definition {
    tune_params: Map<String, Json>,
    restrictions: Vec<String>,
    expected_valid: u64,
}

/// What Kernel Tuner needed and found.
#[derive(serde::Deserialize)]
struct Theirs {
    seconds: f64,
    count: u64,
    digest: String,
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    // `cargo bench` adds an option of its own.
    let mut arguments = std::env::args().skip(1).filter(|a| !a.starts_with("--"));
    let folder = PathBuf::from(arguments.next().unwrap_or_else(|| FOLDER.into()));
    let python = arguments.next().unwrap_or_else(|| PYTHON.into());
    let files = match definitions(&folder) {
        Ok(files) if !files.is_empty() => files,
        _ => {
            println!(
                "there are no definitions of spaces (*.json) in {}; give a folder: cargo bench --bench construction -- FOLDER",
                folder.display()
            );
            return Ok(ExitCode::FAILURE);
        }
    };
    let mut peer = match Peer::start(&python) {
        Ok(peer) => peer,
        Err(why) => {
            println!(
                "no Kernel Tuner in {python}: {why}; benches/peers/construction.py says how to get it"
            );
            return Ok(ExitCode::FAILURE);
        }
    };
    println!("best of {ROUNDS}; Kernel Tuner {}, best of 3", peer.version);
    println!(
        "{:<18}{:>14}{:>10}{:>10}{:>12}{:>14}{:>8}{:>14}{:>7}",
        "space",
        "cartesian",
        "valid",
        "expected",
        "ours",
        "Kernel Tuner",
        "ratio",
        "bytes/config",
        "limit"
    );
    let mut is_good = true;
    for file in files {
        is_good &= row(&file, &mut peer)?;
    }
    Ok(if is_good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn definitions(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "json"))
        .collect();
    files.sort();
    Ok(files)
}

/// Prints one space; whether all targets are met.
fn row(file: &Path, peer: &mut Peer) -> Result<bool, Box<dyn Error>> {
    let definition: Definition = serde_json::from_str(&std::fs::read_to_string(file)?)?;
    let text = std::fs::read_to_string(file)?;
    let parameters = parameters(&text, &definition)?;
    let mut best = f64::INFINITY;
    let mut space = None;
    for _ in 0..ROUNDS {
        let started = Instant::now();
        let restrictions = definition
            .restrictions
            .iter()
            .map(|text| Restriction::parse(text, &parameters))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| e.message)?;
        let found = Space::new(parameters.clone(), restrictions).map_err(|e| e.message)?;
        best = best.min(started.elapsed().as_secs_f64());
        space = Some(found);
    }
    let space = space.ok_or("no round")?;
    let count = space.count().ok_or("the space was not counted")?;
    let cartesian: u64 = parameters.iter().map(|p| p.values.len() as u64).product();
    let bytes = space.bytes() as f64 / count as f64;
    let limit = 16 + 2 * parameters.len();
    let theirs = peer.construct(file)?;
    let ratio = theirs.seconds / best;
    let is_same = theirs.count == count && theirs.digest == digest(&space).to_string();
    let is_exact = count == definition.expected_valid && is_same;
    println!(
        "{:<18}{cartesian:>14}{count:>10}{:>10}{:>9.3} ms{:>11.1} ms{ratio:>7.0}×{bytes:>14.3}{limit:>7}{}",
        file.file_stem().unwrap_or_default().to_string_lossy(),
        definition.expected_valid,
        best * 1e3,
        theirs.seconds * 1e3,
        if is_exact {
            ""
        } else {
            "  NOT THE SAME CONFIGURATIONS"
        },
    );
    Ok(is_exact && bytes <= limit as f64 && ratio >= TARGET)
}

/// In the order in which the file has them, which a parsed map does not keep.
fn parameters(text: &str, definition: &Definition) -> Result<Vec<Parameter>, Box<dyn Error>> {
    let place = |name: &str| text.find(&format!("\"{name}\":"));
    let mut parameters = vec![];
    for (name, values) in &definition.tune_params {
        let values: Vec<Value> = serde_json::from_value(values.clone())?;
        parameters.push(Parameter {
            name: name.clone(),
            values,
        });
    }
    parameters.sort_by_key(|p| place(&p.name));
    Ok(parameters)
}

/// FNV-1a over the digits of a configuration, summed over all of them.
fn digest(space: &Space) -> u64 {
    let one = |digits: Vec<u16>| {
        digits.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, d| {
            (hash ^ u64::from(*d)).wrapping_mul(0x0100_0000_01b3)
        })
    };
    let all = space.ids().map(|id| one(space.digits(id)));
    all.fold(0, u64::wrapping_add)
}

/// The Python process that constructs the same spaces.
struct Peer {
    child: Child,
    ask: ChildStdin,
    answers: BufReader<ChildStdout>,
    version: String,
}

impl Peer {
    fn start(python: &str) -> Result<Peer, Box<dyn Error>> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers/construction.py");
        let mut child = Command::new(python)
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let ask = child.stdin.take().ok_or("no pipe")?;
        let answers = BufReader::new(child.stdout.take().ok_or("no pipe")?);
        let mut peer = Peer {
            child,
            ask,
            answers,
            version: String::new(),
        };
        let hello: Json = peer.answer()?;
        peer.version = hello["version"].as_str().unwrap_or("?").into();
        Ok(peer)
    }

    fn construct(&mut self, file: &Path) -> Result<Theirs, Box<dyn Error>> {
        writeln!(self.ask, "{}", file.canonicalize()?.display())?;
        self.answer()
    }

    fn answer<T: serde::de::DeserializeOwned>(&mut self) -> Result<T, Box<dyn Error>> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        Ok(serde_json::from_str(&line).map_err(|_| "it gave no answer")?)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
