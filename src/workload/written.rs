//! What a plan says about a built-in's problem and configuration, read key by key: every built-in refuses in the same words.
use super::Problem;
use crate::space::{Configuration, Parameter};
use crate::trial::Ending;
use crate::value::Value;
use crate::workload::instructions::{InstructionSet, SETS, available};

/// The `problem:` of the built-in `workload`, as it is written in the plan.
#[derive(Clone, Copy)]
pub(super) struct Written<'a> {
    pub(super) workload: &'static str,
    pub(super) problem: &'a Problem,
}

impl<'a> Written<'a> {
    /// Beside `preset` and `seed`, only these keys.
    pub(super) fn check_names(&self, keys: &[&str]) -> Result<(), String> {
        let known = |name: &str| name == "preset" || name == "seed" || keys.contains(&name);
        match self.problem.iter().find(|(name, _)| !known(name)) {
            Some((name, _)) => Err(format!(
                "{}'s problem has no `{name}`; it has preset, seed, {}",
                self.workload,
                keys.join(", ")
            )),
            None => Ok(()),
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<&'a Value> {
        (self.problem.iter())
            .find(|(name, _)| name == key)
            .map(|(_, value)| value)
    }

    pub(super) fn text(&self, key: &str) -> Result<Option<&'a str>, String> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(other) => Err(format!("problem.{key} is a name or a file, not `{other}`")),
        }
    }

    pub(super) fn number(&self, key: &str, default: f64) -> Result<f64, String> {
        match self.get(key) {
            None => Ok(default),
            Some(Value::Int(v)) => Ok(*v as f64),
            Some(Value::Float(v)) if v.is_finite() => Ok(*v),
            Some(other) => Err(format!("problem.{key} is a number, not `{other}`")),
        }
    }

    pub(super) fn positive(&self, key: &str, default: f64) -> Result<f64, String> {
        match self.number(key, default)? {
            v if v > 0.0 => Ok(v),
            v => Err(format!("problem.{key} must be above 0, not {v}")),
        }
    }

    /// In a range, both ends included.
    pub(super) fn within(
        &self,
        key: &str,
        default: f64,
        (low, high): (f64, f64),
    ) -> Result<f64, String> {
        match self.number(key, default)? {
            v if (low..=high).contains(&v) => Ok(v),
            v => Err(format!("problem.{key} is from {low} to {high}, not {v}")),
        }
    }

    pub(super) fn count(&self, key: &str, default: usize, most: usize) -> Result<usize, String> {
        match self.get(key) {
            None => Ok(default),
            Some(Value::Int(v)) if *v >= 1 && *v <= most as i64 => Ok(*v as usize),
            Some(other) => Err(format!(
                "problem.{key} is a whole number from 1 to {most}, not `{other}`"
            )),
        }
    }

    pub(super) fn truth(&self, key: &str, default: bool) -> Result<bool, String> {
        match self.get(key) {
            None => Ok(default),
            Some(Value::Bool(v)) => Ok(*v),
            Some(other) => Err(format!("problem.{key} is true or false, not `{other}`")),
        }
    }

    pub(super) fn seed(&self) -> Result<u64, String> {
        match self.get("seed") {
            None => Ok(1),
            Some(Value::Int(v)) => Ok(*v as u64),
            Some(other) => Err(format!("problem.seed is a whole number, not `{other}`")),
        }
    }
}

/// A configuration of the built-in `workload`; where it is silent, the first value of the declaration is meant.
#[derive(Clone, Copy)]
pub(super) struct Chosen<'a> {
    pub(super) workload: &'static str,
    pub(super) configuration: &'a Configuration,
}

impl Chosen<'_> {
    pub(super) fn name<T: Copy>(&self, parameter: &str, values: &[(&str, T)]) -> Result<T, Ending> {
        match self.configuration.get(parameter) {
            None => Ok(values[0].1),
            Some(Value::Text(name)) => match values.iter().find(|(n, _)| n == name) {
                Some((_, value)) => Ok(*value),
                None => Err(self.wrong(parameter, name)),
            },
            Some(other) => Err(self.wrong(parameter, &other.to_string())),
        }
    }

    /// A whole number of at least `least`.
    pub(super) fn number(&self, parameter: &str, default: i64, least: i64) -> Result<i64, Ending> {
        match self.configuration.get(parameter) {
            None => Ok(default),
            Some(Value::Int(v)) if *v >= least => Ok(*v),
            Some(other) => Err(self.wrong(parameter, &other.to_string())),
        }
    }

    pub(super) fn count(&self, parameter: &str, default: usize) -> Result<usize, Ending> {
        Ok(self.number(parameter, default as i64, 1)? as usize)
    }

    /// How many of something; absent: all of them, which a plan says by −1 or not at all.
    pub(super) fn part(&self, parameter: &str) -> Result<Option<usize>, Ending> {
        match self.number(parameter, -1, -1)? {
            -1 => Ok(None),
            0 => Err(self.wrong(parameter, "0")),
            n => Ok(Some(n as usize)),
        }
    }

    /// A number from 0, which is also the default, to below `limit`.
    pub(super) fn real(&self, parameter: &str, limit: f64) -> Result<f64, Ending> {
        let value = match self.configuration.get(parameter) {
            None => return Ok(0.0),
            Some(Value::Float(v)) => *v,
            Some(Value::Int(v)) => *v as f64,
            Some(other) => return Err(self.wrong(parameter, &other.to_string())),
        };
        match (0.0..limit).contains(&value) {
            true => Ok(value),
            false => Err(self.wrong(parameter, &value.to_string())),
        }
    }

    /// No is the default.
    pub(super) fn is_true(&self, parameter: &str) -> Result<bool, Ending> {
        match self.configuration.get(parameter) {
            None => Ok(false),
            Some(Value::Bool(v)) => Ok(*v),
            Some(other) => Err(self.wrong(parameter, &other.to_string())),
        }
    }

    /// The instruction set that `simd` names, else the best, and how many threads `parameter` asks for, of which 0 means one for
    /// each processor.
    ///
    /// # Errors
    /// `Unsupported` where the machine has not as much.
    pub(super) fn processors(
        &self,
        parameter: &str,
        default: i64,
    ) -> Result<(InstructionSet, usize), Ending> {
        let available = available();
        let set = self.name("simd", SETS)?;
        let set = set.unwrap_or(available[available.len() - 1]);
        let processors = crate::device::threads();
        let threads = match self.number(parameter, default, 0)? {
            0 => processors,
            n => n as usize,
        };
        if !available.contains(&set) {
            return Err(unsupported(&format!(
                "this processor has no {}",
                set.name()
            )));
        }
        if threads > processors {
            return Err(unsupported(&format!(
                "{threads} {parameter} on {processors} processors"
            )));
        }
        Ok((set, threads))
    }

    pub(super) fn wrong(&self, parameter: &str, value: &str) -> Ending {
        Ending::Failed {
            reason: format!("{}'s {parameter} cannot be `{value}`", self.workload),
        }
    }
}

pub(super) fn unsupported(reason: &str) -> Ending {
    Ending::Unsupported {
        reason: reason.into(),
    }
}

/// A parameter whose values are names.
pub(super) fn names<T>(name: &str, values: &[(&str, T)]) -> Parameter {
    Parameter {
        name: name.into(),
        values: (values.iter())
            .map(|(n, _)| Value::Text((*n).into()))
            .collect(),
    }
}

/// A parameter whose values are whole numbers.
pub(super) fn numbers(name: &str, values: &[i64]) -> Parameter {
    Parameter {
        name: name.into(),
        values: values.iter().map(|v| Value::Int(*v)).collect(),
    }
}
