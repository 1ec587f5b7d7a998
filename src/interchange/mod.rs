//! Other tuners' files: Kernel Tuner caches, and T1 and T4 of the autotuning community. Between each of them and a run of ours
//! stands one [`Recording`], so that every format is read once and written once. Text in, text out: files are the caller's.
mod csv;
mod json;
mod kernel_tuner;
mod python_list;
mod runs;
mod t1;
mod t4;

pub use csv::csv;
pub use runs::{keep, plan_name, recording, searched_spaces};
pub use t1::Definition;

use crate::search::Recorded;
use crate::space::{Configuration, Parameter, Space};
use crate::value::Value;
use json::Json;
use std::sync::Arc;

/// What a tuner recorded of one kernel on one device.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    pub name: String,
    pub format: Format,
    pub device: Option<String>,
    pub kernel: Option<String>,
    /// JSON, as it stands in the file.
    pub problem: Option<String>,
    pub parameters: Vec<Parameter>,
    /// The name under which each evaluation has its value.
    pub objective: String,
    /// In the order of the file.
    pub evaluations: Vec<Evaluation>,
    /// What the file has and this does not, in sentences.
    pub left_out: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    KernelTuner,
    T4,
    /// A run of phasetune.
    Run,
}

impl Format {
    pub fn words(self) -> &'static str {
        match self {
            Format::KernelTuner => "Kernel Tuner cache",
            Format::T4 => "T4 results",
            Format::Run => "phasetune run",
        }
    }
}

/// One configuration with what came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    pub configuration: Configuration,
    /// Of the objective, smaller is better, in milliseconds where it is a time; absent for what failed.
    pub value: Option<f64>,
    pub failure: Option<Failure>,
    /// Milliseconds, one a sample; empty where only the value is known.
    pub times: Vec<f64>,
    /// Everything else that is a number, under its own name and as recorded: `compile_time` and its like in milliseconds.
    pub numbers: Vec<(String, f64)>,
    /// `2023-12-22 09:53:48.691683+00:00`.
    pub timestamp: Option<String>,
}

/// Why a configuration has no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Against a restriction or a limit that was known before it was compiled.
    Constraints,
    Compile,
    Runtime,
    Timeout,
    Correctness,
    /// The file does not say.
    Unknown,
}

impl Failure {
    const ALL: [Failure; 6] = [
        Failure::Constraints,
        Failure::Compile,
        Failure::Runtime,
        Failure::Timeout,
        Failure::Correctness,
        Failure::Unknown,
    ];

    /// T4's word, and the reason in traces.
    pub fn word(self) -> &'static str {
        match self {
            Failure::Constraints => "constraints",
            Failure::Compile => "compile",
            Failure::Runtime => "runtime",
            Failure::Timeout => "timeout",
            Failure::Correctness => "correctness",
            Failure::Unknown => "unknown",
        }
    }
}

/// What a file of another tuner may be.
#[derive(Debug)]
pub enum Foreign {
    Recording(Recording),
    /// T1: a space and a kernel, no results.
    Definition(Definition),
}

/// Reads a file of any of these formats; which one, its keys say. `name`: what the space is to be called.
///
/// # Errors
/// What is wrong with it, and where.
pub fn read(name: &str, text: &str) -> Result<Foreign, String> {
    let (json, mut left_out) = kernel_tuner::parse(text.trim_start_matches('\u{feff}'))?;
    let has = |key: &str| json.get(key).is_some();
    let mut recording = if has("cache") && has("tune_params_keys") {
        kernel_tuner::read(name, &json)?
    } else if has("results") {
        t4::read(name, &json)?
    } else if has("ConfigurationSpace") {
        return t1::read(&json).map(Foreign::Definition);
    } else {
        let keys: Vec<&str> = json.entries().iter().map(|(k, _)| k.as_str()).collect();
        return Err(format!(
            "it is no Kernel Tuner cache (`cache`, `tune_params_keys`), no T4 (`results`) and no T1 (`ConfigurationSpace`); its keys are {}",
            if keys.is_empty() {
                "none".to_owned()
            } else {
                keys.join(", ")
            }
        ));
    };
    if recording.evaluations.is_empty() {
        return Err("it holds no evaluation".into());
    }
    recording.left_out.append(&mut left_out);
    Ok(Foreign::Recording(recording))
}

/// As a Kernel Tuner cache.
pub fn kernel_tuner(recording: &Recording) -> String {
    kernel_tuner::write(recording)
}

/// As T4 results.
pub fn t4(recording: &Recording) -> String {
    t4::write(recording)
}

/// A recorded space that any strategy can be replayed on.
#[derive(Clone, Debug)]
pub struct Replayable {
    pub recorded: Recorded,
    /// By number of the configuration: why it has no value.
    pub reasons: Vec<Option<Failure>>,
}

impl Recording {
    /// # Errors
    /// When it cannot be searched: nothing in it, or nothing with a value.
    pub fn replayable(&self) -> Result<Replayable, String> {
        let mut rows = Vec::with_capacity(self.evaluations.len());
        for evaluation in &self.evaluations {
            let digit = |p: &Parameter| {
                let value = evaluation.configuration.get(&p.name)?;
                u16::try_from(p.values.iter().position(|v| v == value)?).ok()
            };
            let row: Option<Vec<u16>> = self.parameters.iter().map(digit).collect();
            rows.push(row.ok_or("a parameter has more than 65535 values")?);
        }
        let space = Space::listed(self.parameters.clone(), rows.clone())?;
        let count = space.count().unwrap_or(0) as usize;
        let (mut values, mut costs) = (vec![None; count], vec![0.0; count]);
        let mut reasons = vec![None; count];
        for (evaluation, row) in self.evaluations.iter().zip(&rows) {
            let id = space
                .find(row)
                .ok_or("a configuration is not in its own space")?;
            let at = id.0 as usize;
            values[at] = evaluation.value;
            costs[at] = evaluation.cost_ms() / 1000.0;
            reasons[at] = match evaluation.value {
                Some(_) => None,
                None => Some(evaluation.failure.unwrap_or(Failure::Unknown)),
            };
        }
        if values.iter().all(Option::is_none) {
            return Err(format!(
                "no configuration in it has a value of `{}`",
                self.objective
            ));
        }
        if values.iter().flatten().any(|v| *v <= 0.0) {
            return Err(format!(
                "`{}` is not above zero everywhere: no share of the optimum can be told",
                self.objective
            ));
        }
        let recorded = Recorded {
            name: self.name.clone(),
            space: Arc::new(space),
            values,
            costs,
        };
        Ok(Replayable { recorded, reasons })
    }

    pub fn failed(&self) -> usize {
        self.evaluations
            .iter()
            .filter(|e| e.value.is_none())
            .count()
    }

    /// The evaluation with the least value.
    pub fn best(&self) -> Option<&Evaluation> {
        let valid = self.evaluations.iter().filter(|e| e.value.is_some());
        valid.min_by(|a, b| {
            a.value
                .unwrap_or(f64::NAN)
                .total_cmp(&b.value.unwrap_or(f64::NAN))
        })
    }
}

impl Evaluation {
    pub fn number(&self, name: &str) -> Option<f64> {
        self.numbers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| *v)
    }

    /// What it took to get its value: compiling, verifying and measuring, as recorded. T4 has no measuring time; there the
    /// samples themselves stand for it.
    fn cost_ms(&self) -> f64 {
        let time = |name| self.number(name).filter(|t| t.is_finite()).unwrap_or(0.0);
        let measuring = match self.number("benchmark_time") {
            Some(_) => time("benchmark_time"),
            None => self.times.iter().sum(),
        };
        time("compile_time") + time("verification_time") + measuring
    }
}

/// Larger is better by the names that Kernel Tuner knows (`objective_default_map` of its util.py, 1.5.0): such a value cannot be
/// minimized.
const LARGER_IS_BETTER: [&str; 9] = [
    "fitness", "GFLOP/s", "TFLOP/s", "GB/s", "TB/s", "GFLOPS/W", "TFLOPS/W", "GFLOP/J", "TFLOP/J",
];

/// Which number of the evaluations is minimized: `time` wherever there is one, as everybody who scores recorded spaces does.
fn objective(named: &[String], has: impl Fn(&str) -> bool) -> Result<String, String> {
    if has("time") {
        return Ok("time".into());
    }
    let known = named
        .iter()
        .find(|name| !LARGER_IS_BETTER.contains(&name.as_str()));
    match (known, named.first()) {
        (Some(name), _) => Ok(name.clone()),
        (None, Some(name)) => Err(format!(
            "its objective is {name}, of which more is better, and no evaluation has a `time`"
        )),
        (None, None) => Err("no evaluation has a `time`, and it names no other objective".into()),
    }
}

/// A value as a valid one: Kernel Tuner once marked failures by 1e20.
fn valid(value: Option<f64>) -> Option<f64> {
    value.filter(|v| v.is_finite() && *v < 1e19)
}

fn parameter_value(json: &Json) -> Option<Value> {
    match json {
        Json::Bool(value) => Some(Value::Bool(*value)),
        Json::Int(value) => Some(Value::Int(*value)),
        Json::Float(value) => Some(Value::Float(*value)),
        Json::Text(text) => Some(Value::Text(text.clone())),
        Json::Null | Json::List(_) | Json::Map(_) => None,
    }
}

fn json_value(value: &Value) -> Json {
    match value {
        Value::Bool(value) => Json::Bool(*value),
        Value::Int(value) => Json::Int(*value),
        Value::Float(value) => Json::Float(*value),
        Value::Text(text) => Json::Text(text.clone()),
    }
}

/// The value as the parameter lists it, which is added where it does not: 1 and 1.0 are the same, as in Python.
fn as_listed(parameter: &mut Parameter, value: Value) -> Value {
    let is_same = |listed: &&Value| match (*listed, &value) {
        (Value::Float(a), Value::Int(b)) | (Value::Int(b), Value::Float(a)) => *a == *b as f64,
        (a, b) => a == b,
    };
    if let Some(listed) = parameter.values.iter().find(is_same) {
        return listed.clone();
    }
    parameter.values.push(value.clone());
    value
}
