//! Serves one configuration of the built-in transport to another program, so that peers measure and compare with it in one run:
//! `cargo run --release --example transport -- [preset=paper] [psi0=FILE.npy] [fusion=…] …`
//!
//! Words NAME=VALUE are keys of the problem or tuning parameters, else the defaults hold. Then orders on stdin, a line each:
//! `run` (answers with the seconds of one invocation), `output FILE.npy`, `exact FILE.npy` (double precision, by the definition).
//! benches/peers/transport.py drives it.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a program of its own, with a clock"
)]
use phasetune::array::Array;
use phasetune::device;
use phasetune::plan::DeviceChoice;
use phasetune::space::Configuration;
use phasetune::value::Value;
use phasetune::workload::{files, find};
use std::error::Error;
use std::path::Path;
use std::time::Instant;

fn main() -> Result<(), Box<dyn Error>> {
    let entry = find("transport").ok_or("transport is not in this build")?;
    let declaration = (entry.declare)();
    let mut configuration = Configuration::new(
        declaration
            .parameters
            .iter()
            .map(|p| (p.name.clone(), p.values[0].clone()))
            .collect(),
    );
    let mut problem = vec![];
    for word in std::env::args().skip(1) {
        let (name, text) = word.split_once('=').ok_or("write NAME=VALUE")?;
        let value = text
            .parse()
            .map(Value::Int)
            .or_else(|_| text.parse().map(Value::Float))
            .unwrap_or_else(|_| Value::Text(text.to_owned()));
        if declaration.parameters.iter().any(|p| p.name == name) {
            configuration = configuration.with(&[(name.to_owned(), value)]);
        } else {
            problem.push((name.to_owned(), value));
        }
    }
    let workload = (entry.load)(&problem)?;
    let device = device::open(DeviceChoice::Cpu)?;
    let mut executable = workload
        .prepare(&device, &configuration)
        .map_err(|ending| ending.sentence())?;
    let write = |file: &str, array: Option<Array>| -> Result<(), Box<dyn Error>> {
        let array = array.ok_or("there is no such array")?;
        Ok(files::write_array(Path::new(file), &array)?)
    };
    println!("ready");
    for line in std::io::stdin().lines() {
        let line = line?;
        match line.split_once(' ').unwrap_or((&line, "")) {
            ("run", _) => {
                let started = Instant::now();
                executable.run().map_err(|ending| ending.sentence())?;
                println!("{:.9}", started.elapsed().as_secs_f64());
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
