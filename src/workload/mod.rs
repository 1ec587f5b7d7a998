//! What is tuned: built-in workloads, commands and the user's own kernels. Equal citizens behind two traits.
mod beamform3d;
pub mod command;
mod e2p;
mod envelope;
pub mod files;
mod instructions;
mod kernel;
mod pstm;
mod random;
mod recorded;
mod reduce;
mod shared;
mod stopwatch;
mod stored;
mod template;
mod transport;
mod vectors;
mod written;

use crate::array::Array;
use crate::device::Device;
use crate::plan::{Declaration, WorkloadChoice};
use crate::space::Configuration;
use crate::trace::Tracer;
use crate::trial::{Ending, Invocation, PictureRecord, Stretch, Work};
use crate::value::{Bytes, Nanoseconds, Value};
use std::path::PathBuf;

/// A workload with its input in memory.
pub trait Workload: Send + Sync {
    /// Compiles and allocates for one configuration; the caller times it as compile time.
    ///
    /// # Errors
    /// An [`Ending`] that is not `Completed`: what this configuration came to.
    fn prepare(
        &self,
        device: &Device,
        configuration: &Configuration,
    ) -> Result<Box<dyn Executable>, Ending>;

    /// Compiles what `prepare` will ask the device for, where that keeps kernels. Threads do it for several configurations at
    /// once; what is wrong with one of them `prepare` tells.
    fn compile(&self, _device: &Device, _configuration: &Configuration) {}

    /// The right answer, simple and slow: in double precision, or by the plan's reference kernel with the baseline's parameters.
    /// Absent where only the baseline can be compared with.
    ///
    /// # Errors
    /// What the reference came to.
    fn exact(&self, device: &Device, baseline: &Configuration) -> Result<Option<Array>, Ending>;

    /// The useful work of one invocation (WORKLOADS §0.5); absent where it is not counted.
    fn work(&self, _configuration: &Configuration) -> Option<Work> {
        None
    }

    /// What the general metrics compare, where an output holds more than that: an image without its fold map.
    fn compared(&self, output: &Array) -> Array {
        output.clone()
    }

    /// The workload's own accuracy metrics of an output, in the order of `Declaration::own_metrics`.
    fn own_metrics(&self, _output: &Array, _expected: &Array) -> Vec<f64> {
        Vec::new()
    }

    /// Whether an executable keeps memory, caches and threads from one invocation to the next, so that it needs warming up.
    /// A command does not: each invocation is a process of its own.
    fn keeps_state(&self) -> bool {
        true
    }

    /// Slices of an output that a person looks at to judge it.
    fn pictures(&self, _output: &Array) -> Vec<Picture> {
        Vec::new()
    }
}

/// One configuration, ready to run.
pub trait Executable {
    /// Runs once, to completion, and says how long it took.
    fn run(&mut self) -> Result<Invocation, Ending>;

    /// Overwrites the output with a pattern, so that elements which a run never writes show.
    fn poison(&mut self) {}

    /// The output of the last run; absent for a command that declares none.
    fn output(&mut self) -> Result<Option<Array>, Ending>;

    /// Own accuracy metrics that need more than the output of the last run, such as what was conserved: the last ones of
    /// `Declaration::own_metrics`, after those of [`Workload::own_metrics`].
    fn own_metrics(&mut self, _expected: &Array) -> Vec<f64> {
        Vec::new()
    }

    /// Whether its own wall time is to be taken, since `run` does more than what is timed: a GPU's timestamps are read back, its
    /// caches overwritten between invocations. So it is of everything that runs on a GPU.
    fn keeps_time(&self) -> bool {
        false
    }

    /// How long its build took, where `prepare` found it made already; absent: as long as `prepare` took.
    fn build_time(&self) -> Option<Nanoseconds> {
        None
    }

    /// What a compiler made of it, for the records: registers of a thread, memory of a group.
    fn attributes(&self) -> Vec<(String, f64)> {
        Vec::new()
    }

    /// When its stages worked in the last invocation, where they overlap; stretches too short to be seen may be left out.
    fn timeline(&self) -> Vec<Stretch> {
        Vec::new()
    }

    /// Peak of the device's memory since `prepare`; the host's is measured outside.
    fn device_peak(&self) -> Bytes {
        Bytes(0)
    }
}

/// A two-dimensional slice of an output for a QC image.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// Its `file` is relative to the run's folder and given by whoever stores it; here only the stem: `xz_y32`.
    pub record: PictureRecord,
    /// Row-major, `height` rows of `width`; the first row is at `y_range.0`.
    pub values: Vec<f32>,
}

/// The plan's `problem:` mapping: preset, seed, sizes, external arrays.
pub type Problem = [(String, Value)];

/// A built-in with its input in memory, or what is wrong with the problem.
pub type Loaded = Result<Box<dyn Workload>, String>;

/// An entry of the registry.
#[derive(Debug)]
pub struct WorkloadEntry {
    pub name: &'static str,
    pub declare: fn() -> Declaration,
    /// Generates or reads the input. The text says what is wrong with the problem.
    pub load: fn(&Problem, &Surroundings) -> Loaded,
}

/// What a workload may need of the campaign that runs it.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// For one invocation.
    pub trial_timeout: Nanoseconds,
    pub memory_limit: Option<Bytes>,
    /// For files that it makes while it runs.
    pub scratch: PathBuf,
    pub seed: u64,
    /// Present where a trace is wanted: a workload with threads of its own puts there what they do. Without, stages are laid end to
    /// end.
    pub tracer: Option<Tracer>,
}

/// Loads what the plan chose.
///
/// # Errors
/// What is wrong with the problem or the command.
pub fn load(
    choice: &WorkloadChoice,
    problem: &Problem,
    surroundings: &Surroundings,
) -> Result<Box<dyn Workload>, String> {
    match choice {
        WorkloadChoice::Builtin { name } => {
            let entry =
                find(name).ok_or_else(|| format!("there is no built-in workload `{name}`"))?;
            (entry.load)(problem, surroundings)
        }
        WorkloadChoice::Command(command) => command::load(command, surroundings),
        WorkloadChoice::Kernel(kernel) => kernel::load(kernel),
        WorkloadChoice::Imported { kernel } => Err(format!(
            "`{kernel}` was measured by another tuner; its records were imported, and it cannot be run here"
        )),
    }
}

/// The built-in workload of this name.
pub fn find(name: &str) -> Option<&'static WorkloadEntry> {
    WORKLOADS.iter().find(|entry| entry.name == name)
}

/// Every built-in workload. To add one: its folder here, its folder in `kernels/`, and a line here.
pub static WORKLOADS: &[WorkloadEntry] = &[
    beamform3d::ENTRY,
    e2p::ENTRY,
    pstm::ENTRY,
    reduce::ENTRY,
    transport::ENTRY,
];
