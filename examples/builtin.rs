//! Serves one configuration of a built-in workload to another program, so that peers measure and compare with it in one run:
//! `cargo run --release --example builtin -- beamform3d [preset=paper] [iq=FILE.npy] [fusion=…] …`
//!
//! Words NAME=VALUE are keys of the problem or tuning parameters, else the defaults hold. Then orders on stdin, a line each:
//! `run` (answers with the seconds of one invocation), `stages`
//! (NAME=SECONDS of the last one), `output FILE.npy`, `exact FILE.npy` (double precision, by the definition).
//! The scripts in benches/peers drive it.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a program of its own, with a clock"
)]
use phasetune::array::Array;
use phasetune::device;
use phasetune::plan::DeviceChoice;
use phasetune::space::Configuration;
use phasetune::value::{Nanoseconds, Value};
use phasetune::workload::{Surroundings, files, find};
use std::error::Error;
use std::path::Path;
use std::time::Instant;

fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let name = words.next().ok_or("which built-in?")?;
    let entry = find(&name).ok_or("there is no such built-in")?;
    let declaration = (entry.declare)();
    let mut configuration = Configuration::new(
        declaration
            .parameters
            .iter()
            .map(|p| (p.name.clone(), p.values[0].clone()))
            .collect(),
    );
    let mut problem = vec![];
    for word in words {
        let (name, text) = word.split_once('=').ok_or("write NAME=VALUE")?;
        let value = match (text.parse(), text.parse()) {
            (Ok(whole), _) => Value::Int(whole),
            (_, Ok(number)) => Value::Float(number),
            _ => Value::Text(text.to_owned()),
        };
        if declaration.parameters.iter().any(|p| p.name == name) {
            configuration = configuration.with(&[(name.to_owned(), value)]);
        } else {
            problem.push((name.to_owned(), value));
        }
    }
    let scratch = tempfile::tempdir()?;
    let surroundings = Surroundings {
        trial_timeout: Nanoseconds(f64::INFINITY),
        memory_limit: None,
        scratch: scratch.path().to_owned(),
        seed: 1,
        tracer: None,
    };
    let workload = (entry.load)(&problem, &surroundings)?;
    let device = device::open(DeviceChoice::Cpu)?;
    let mut executable = workload
        .prepare(&device, &configuration)
        .map_err(|ending| ending.sentence())?;
    let write = |file: &str, array: Option<Array>| -> Result<(), Box<dyn Error>> {
        let array = array.ok_or("there is no such array")?;
        Ok(files::write_array(Path::new(file), &array)?)
    };
    let mut stages = vec![];
    println!("ready");
    for line in std::io::stdin().lines() {
        let line = line?;
        match line.split_once(' ').unwrap_or((&line, "")) {
            ("run", _) => {
                let started = Instant::now();
                let invocation = executable.run().map_err(|ending| ending.sentence())?;
                println!("{:.9}", started.elapsed().as_secs_f64());
                stages = invocation.timing.stages;
            }
            ("stages", _) => {
                let seconds =
                    |(name, time): (&String, &Nanoseconds)| format!("{name}={:.9}", time.0 / 1e9);
                let all: Vec<String> = declaration
                    .stages
                    .iter()
                    .zip(&stages)
                    .map(seconds)
                    .collect();
                println!("{}", all.join(" "));
            }
            ("output", file) => {
                write(file, executable.output().map_err(|e| e.sentence())?)?;
                println!("written");
            }
            ("exact", file) => {
                let exact = workload.exact(&device, &configuration);
                write(file, exact.map_err(|e| e.sentence())?)?;
                println!("written");
            }
            _ => return Err(format!("unknown order `{line}`").into()),
        }
    }
    Ok(())
}
