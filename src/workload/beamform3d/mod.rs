//! A volumetric ultrasound beamformer: delay, interpolate, rotate and sum over the elements of a matrix array
//! (WORKLOADS §1). Every step that its authors tuned is a parameter here.
mod exact;
mod fused;
mod geometry;
mod gpu;
#[cfg(test)]
mod gpu_tests;
mod judge;
mod lanes;
pub(super) mod npy;
#[cfg(target_arch = "x86_64")]
mod patch;
mod refusals;
mod rotation;
mod scene;
mod settings;
mod staged;
mod sweep;
mod table;
mod task;
#[cfg(test)]
mod tests;

use super::{Executable, Picture, Problem, Workload, WorkloadEntry, envelope};
use crate::array::{Array, Values};
use crate::device::Device;
use crate::plan::Declaration;
use crate::space::Configuration;
use crate::trial::{Ending, Invocation, Timing, Work};
use crate::value::Nanoseconds;
use crate::workload::stopwatch::timed;
use fused::Fused;
use geometry::Geometry;
use half::{bf16, f16};
use scene::Scene;
use settings::{Fusion, Precision, Settings};
use staged::Staged;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use task::FirstArrival;

pub(super) const ENTRY: WorkloadEntry = WorkloadEntry {
    name: "beamform3d",
    declare,
    load: |problem, _| Ok(Box::new(Beamformer::new(problem)?)),
};

/// Timed parts of an invocation: the signals into the form that the kernel reads, the nearest elements (only
/// first_arrival=nearest), then the six passes of the staged form or the one kernel of the others. To a GPU the signals are
/// uploaded first.
const LOAD: usize = 0;
const NEAREST: usize = 1;
const PASSES: usize = 2;
const KERNEL: usize = PASSES + staged::STAGES.len();
const UPLOAD: usize = KERNEL + 1;
const STAGES: usize = UPLOAD + 1;

fn declare() -> Declaration {
    let stages = ["load", "nearest"]
        .into_iter()
        .chain(staged::STAGES)
        .chain(["kernel", "upload"]);
    Declaration {
        stages: stages.map(str::to_owned).collect(),
        presets: scene::PRESETS.iter().map(|p| (*p).into()).collect(),
        sizes: scene::sizes(),
        problem_keys: scene::KEYS.iter().map(|k| (*k).into()).collect(),
        has_exact: true,
        own_metrics: envelope::METRICS
            .iter()
            .map(|(name, about)| ((*name).into(), (*about).into()))
            .collect(),
        ..settings::declaration()
    }
}

struct Beamformer {
    shared: Arc<Shared>,
    /// Share of pairs in range; counted once, when first asked for.
    in_range: OnceLock<f64>,
}

/// What every executable reads.
struct Shared {
    scene: Scene,
    geometry: Geometry,
}

impl Beamformer {
    fn new(problem: &Problem) -> Result<Beamformer, String> {
        Ok(Beamformer::of(Scene::new(problem)?))
    }

    fn of(scene: Scene) -> Beamformer {
        let geometry = Geometry::new(&scene);
        Beamformer {
            shared: Arc::new(Shared { scene, geometry }),
            in_range: OnceLock::new(),
        }
    }
}

impl Workload for Beamformer {
    fn prepare(
        &self,
        device: &Device,
        configuration: &Configuration,
    ) -> Result<Box<dyn Executable>, Ending> {
        let Shared { scene, geometry } = &*self.shared;
        let volumes = scene.frames.len();
        if let Device::Gpu(gpu) = device {
            let settings = Settings::on_gpu(configuration, geometry, volumes, gpu.language())?;
            return gpu::prepare(gpu, &self.shared, &settings);
        }
        let settings = Settings::on_host(configuration, geometry, volumes)?;
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(settings.threads)
            .build()
            .map_err(|e| Ending::Failed {
                reason: format!("no threads: {e}"),
            })?;
        let kernel: Box<dyn Kernel> = match (settings.fusion, settings.precision) {
            (Fusion::Staged, _) => Box::new(Staged::new(geometry, &settings)),
            (_, Precision::F16Storage) => Box::new(Fused::<f16>::new(geometry, &settings)),
            (_, Precision::Bf16Storage) => Box::new(Fused::<bf16>::new(geometry, &settings)),
            _ => Box::new(Fused::<f32>::new(geometry, &settings)),
        };
        Ok(Box::new(Prepared {
            volumes: vec![[0.0; 2]; scene.points() * scene.frames.len()],
            shared: self.shared.clone(),
            settings,
            pool,
            kernel,
        }))
    }

    fn compile(&self, device: &Device, configuration: &Configuration) {
        let Shared { scene, geometry } = &*self.shared;
        if let Device::Gpu(gpu) = device
            && let Ok(settings) =
                Settings::on_gpu(configuration, geometry, scene.frames.len(), gpu.language())
        {
            gpu::compile(&**gpu, geometry, &settings);
        }
    }

    fn exact(&self, _device: &Device, _baseline: &Configuration) -> Result<Option<Array>, Ending> {
        Ok(Some(exact::volume(&self.shared.scene)))
    }

    /// WORKLOADS §1e, with the exact share of pairs that are in range. The useful work is that of the definition, the same
    /// for every configuration: a shortcut shows as a faster run, not as less work.
    fn work(&self, _configuration: &Configuration) -> Option<Work> {
        let scene = &self.shared.scene;
        let in_range = *self
            .in_range
            .get_or_init(|| exact::fraction_in_range(scene));
        let (volumes, points) = (scene.frames.len() as f64, scene.points() as f64);
        let (samples, elements) = (scene.samples as f64, scene.elements.len() as f64);
        let pairs = volumes * points * elements;
        Some(Work {
            flops: pairs * (15.0 + 19.0 * in_range),
            sqrt: 2.0 * pairs,
            trig: 2.0 * pairs * in_range,
            bytes: volumes * 8.0 * (samples * elements + points) + 12.0 * elements,
        })
    }

    fn own_metrics(&self, output: &Array, expected: &Array) -> Vec<f64> {
        judge::distances(&self.shared.scene, output, expected)
    }

    fn pictures(&self, output: &Array) -> Vec<Picture> {
        judge::pictures(&self.shared.scene, output)
    }
}

/// One configuration's code with its memory. `frames` are a batch of signals `[sample][element]`, `volumes` the volumes that they
/// become, one after the other.
trait Kernel: Send {
    fn run(
        &mut self,
        shared: &Shared,
        settings: &Settings,
        first: FirstArrival<'_>,
        frames: &[Vec<[f32; 2]>],
        volumes: &mut [[f32; 2]],
        stages: &mut [Duration],
    );

    /// Overwrites what a run must write before it reads it.
    fn poison(&mut self) {}
}

impl Kernel for Staged {
    fn run(
        &mut self,
        Shared { geometry, .. }: &Shared,
        settings: &Settings,
        first: FirstArrival<'_>,
        frames: &[Vec<[f32; 2]>],
        volumes: &mut [[f32; 2]],
        stages: &mut [Duration],
    ) {
        for (frame, volume) in frames
            .iter()
            .zip(volumes.chunks_mut(volumes.len() / frames.len()))
        {
            timed(&mut stages[LOAD], || self.fill(geometry, settings, frame));
            for tile in fused::chunks(geometry, settings) {
                let passes = &mut stages[PASSES..KERNEL];
                self.chunk(geometry, settings, first, &tile, volume, passes);
            }
        }
    }
}

impl<T> Kernel for Fused<T>
where
    T: lanes::Record + fused::Stored,
{
    fn run(
        &mut self,
        Shared { geometry, .. }: &Shared,
        settings: &Settings,
        first: FirstArrival<'_>,
        frames: &[Vec<[f32; 2]>],
        volumes: &mut [[f32; 2]],
        stages: &mut [Duration],
    ) {
        timed(&mut stages[LOAD], || self.fill(geometry, frames));
        timed(&mut stages[KERNEL], || {
            Fused::run(self, geometry, settings, first, volumes);
        });
    }

    fn poison(&mut self) {
        Fused::poison(self);
    }
}

struct Prepared {
    shared: Arc<Shared>,
    settings: Settings,
    pool: rayon::ThreadPool,
    kernel: Box<dyn Kernel>,
    /// `[volumes][x][y][z]` (re, im).
    volumes: Vec<[f32; 2]>,
}

impl Executable for Prepared {
    fn run(&mut self) -> Result<Invocation, Ending> {
        let Prepared {
            shared,
            settings,
            pool,
            kernel,
            volumes,
        } = self;
        let (mut wall, mut stages) = (Duration::ZERO, [Duration::ZERO; STAGES]);
        let Shared { scene, geometry } = &**shared;
        timed(&mut wall, || {
            pool.install(|| {
                let nearest = settings
                    .is_nearest_first
                    .then(|| timed(&mut stages[NEAREST], || geometry.nearest()));
                let first = match &nearest {
                    Some(nearest) => FirstArrival::Nearest(nearest),
                    None => FirstArrival::Full,
                };
                let batches = scene.frames.chunks(settings.batch);
                for (frames, volumes) in
                    batches.zip(volumes.chunks_mut(scene.points() * settings.batch))
                {
                    kernel.run(shared, settings, first, frames, volumes, &mut stages);
                }
            });
        });
        Ok(Invocation {
            timing: Timing {
                wall: wall.into(),
                device: None,
                stages: stages.map(Nanoseconds::from).to_vec(),
            },
            ..Invocation::default()
        })
    }

    fn poison(&mut self) {
        self.volumes.fill([f32::NAN; 2]);
        self.kernel.poison();
    }

    fn output(&mut self) -> Result<Option<Array>, Ending> {
        Ok(Some(Array {
            shape: exact::output_shape(&self.shared.scene),
            values: Values::F32(self.volumes.as_flattened().to_vec()),
            is_complex: true,
        }))
    }
}
