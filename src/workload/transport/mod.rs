//! Transport of protons through water in a phase space of place, angle and energy, as three operators one after the other: scattering,
//! streaming, loss of energy (WORKLOADS §3). Every step that its authors tuned is a parameter here.
mod angular;
mod beam;
mod exact;
mod extent;
mod form;
mod gpu;
#[cfg(test)]
mod gpu_tests;
mod host;
mod job;
mod judge;
mod lanes;
mod launches;
mod ledger;
mod march;
mod memory;
mod operators;
mod physics;
mod problem;
#[cfg(unix)]
mod processes;
mod refusals;
mod settings;
mod tables;
#[cfg(test)]
mod tests;

use super::{Executable, Picture, Workload, WorkloadEntry};
use crate::array::Array;
use crate::device::Device;
use crate::plan::Declaration;
use crate::space::Configuration;
use crate::trial::{Ending, Work};
use crate::workload::instructions::{InstructionSet, available};
use angular::Angular;
use beam::Beam;
use form::{CellOrder, Direction, Form, Fusion, Parallel, Sparse};
use half::{bf16, f16};
use host::Host;
use march::March;
use physics::Deflection;
use settings::{Precision, Settings};
use std::sync::{Arc, OnceLock};
use tables::{Physics, Tables};

pub(super) const ENTRY: WorkloadEntry = WorkloadEntry {
    name: "transport",
    declare,
    load: |problem, _| Ok(Box::new(Transport::of(problem::beam(problem)?))),
};

/// Timed parts of an invocation: the phase space emptied and the beam put in, the three operators or the pass that has some of them,
/// what processes are sent and send back.
const BEAM: usize = 0;
/// And from here on in the order of `march::Part`.
const SCATTERING: usize = 1;
const STREAMING: usize = 2;
const ENERGY: usize = 3;
const FUSED: usize = 4;
const TRANSFER: usize = 5;
const STAGES: usize = TRANSFER + 1;

fn declare() -> Declaration {
    let stages = [
        "beam",
        "scattering",
        "streaming",
        "energy",
        "fused",
        "transfer",
    ];
    Declaration {
        stages: stages.map(str::to_owned).to_vec(),
        presets: problem::PRESETS.iter().map(|p| (*p).into()).collect(),
        sizes: problem::sizes(),
        problem_keys: problem::KEYS.iter().map(|k| (*k).into()).collect(),
        has_exact: true,
        own_metrics: judge::metrics(),
        ..settings::declaration()
    }
}

struct Transport {
    beam: Arc<Beam>,
    /// Counted once, when first asked for.
    useful: OnceLock<Work>,
}

/// Of f16_scaled: no weight of a beam of 1 is more, and 2^15 is still a half.
const SCALE: f32 = 32768.0;

/// What physics the definition has.
const DEFINED: Physics = Physics {
    deflection: Deflection::Highland,
    is_strang: false,
    is_first_order: false,
    buckets: 0,
};

impl Transport {
    fn of(beam: Beam) -> Transport {
        Transport {
            beam: Arc::new(beam),
            useful: OnceLock::new(),
        }
    }
}

impl Workload for Transport {
    fn prepare(
        &self,
        device: &Device,
        configuration: &Configuration,
    ) -> Result<Box<dyn Executable>, Ending> {
        if let Device::Gpu(gpu) = device {
            let settings = Settings::on_gpu(configuration, &self.beam)?;
            return gpu::prepare(gpu, &self.beam, &settings);
        }
        let settings = Settings::on_host(configuration, &self.beam)?;
        let own = self.beam.on(settings.grid);
        let tables = Tables::new(&own, &settings.physics);
        let form = &settings.form;
        if settings.order != CellOrder::EnergyAnglePlace {
            let angular = Angular::new(&self.beam, own, tables, form, settings.order)?;
            return Ok(Box::new(angular));
        }
        Ok(match settings.precision {
            Precision::F32 => Box::new(Host::<f32>::new(&self.beam, own, tables, form, 1.0)?),
            Precision::F16Storage => {
                Box::new(Host::<f16>::new(&self.beam, own, tables, form, 1.0)?)
            }
            Precision::F16Scaled => {
                Box::new(Host::<f16>::new(&self.beam, own, tables, form, SCALE)?)
            }
            Precision::Bf16Storage => {
                Box::new(Host::<bf16>::new(&self.beam, own, tables, form, 1.0)?)
            }
        })
    }

    fn compile(&self, device: &Device, configuration: &Configuration) {
        if let Device::Gpu(gpu) = device
            && let Ok(settings) = Settings::on_gpu(configuration, &self.beam)
        {
            gpu::compile(&**gpu, &self.beam, &settings);
        }
    }

    fn exact(&self, _device: &Device, _baseline: &Configuration) -> Result<Option<Array>, Ending> {
        let dose = exact::answer(&self.beam).dose;
        Ok(Some(judge::output(&self.beam, &dose)))
    }

    fn work(&self, _configuration: &Configuration) -> Option<Work> {
        Some(*self.useful.get_or_init(|| useful_work(&self.beam)))
    }

    fn own_metrics(&self, output: &Array, expected: &Array) -> Vec<f64> {
        judge::distances(&self.beam, output, expected)
    }

    fn pictures(&self, output: &Array) -> Vec<Picture> {
        judge::pictures(&self.beam, output)
    }
}

/// Weight from which on a cell is counted as occupied, as a share of the beam's.
const OCCUPIED: f64 = 1e-12;

/// WORKLOADS §3e over the cells that hold weight: what a dense sweep does beyond that is not useful. The same for every
/// configuration, on the problem's own grid.
fn useful_work(beam: &Beam) -> Work {
    let tables = Tables::new(beam, &DEFINED);
    let best = available();
    let form = Form {
        fusion: Fusion::All,
        streaming: Direction::Gather,
        energy: Direction::Scatter,
        sparse: Sparse::Box,
        cutoff: 1e-3 * OCCUPIED,
        tile: usize::MAX,
        angle_block: 4,
        energy_block: 8,
        prefetches: false,
        set: best.last().copied().unwrap_or(InstructionSet::Portable),
        parallel: Parallel::Threads,
        workers: 1,
    };
    let mut march = March::<f32>::new(tables, &form, 1.0);
    march.begin();
    let least = OCCUPIED * march.tables.weight;
    let mut work = Work::default();
    for _ in 0..beam.steps {
        for (scattering, cells) in march.tables.scattering.iter().zip(march.occupied(least)) {
            let taps = (2 * scattering.reach + 1) as f64;
            // A multiply-add a tap, seven operations of the streaming, six of the loss; read once and written once.
            work.flops += cells as f64 * (2.0 * taps + 7.0 + 6.0);
            work.bytes += cells as f64 * 8.0;
        }
        for pass in march.passes() {
            for task in &pass.tasks {
                march.run(&pass, task, 0);
            }
        }
        march.step_done();
    }
    work
}
