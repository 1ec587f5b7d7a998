//! Kirchhoff pre-stack time migration of common-offset bins (WORKLOADS §2): traces on disk, through a cache and ahead of the
//! kernels, to an image and its fold. Every question of the published plan is a parameter here.
mod contributions;
mod cpu;
mod exact;
mod gpu;
#[cfg(test)]
mod gpu_tests;
mod judge;
mod lanes;
mod pipeline;
mod scene;
mod settings;
mod store;
#[cfg(test)]
mod tests;
mod tiles;
mod velocity;
mod weights;

use super::{Executable, Picture, Problem, Surroundings, Workload, WorkloadEntry, files};
use crate::array::{Array, Values};
use crate::device::{Device, Gpu};
use crate::plan::Declaration;
use crate::space::Configuration;
use crate::trial::{Ending, Invocation, Timing, Work};
use crate::value::{Nanoseconds, Value};
use crate::workload::shared::Shared;
use crate::workload::stopwatch::timed;
use cpu::{Job, Sums};
use half::{bf16, f16};
use lanes::Sample;
use pipeline::{Engine, Pipeline, Place, Spent};
use scene::Scene;
use settings::{PLAIN, Precision, Settings};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use store::{Batch, Store};
use tiles::Field;

pub(super) const ENTRY: WorkloadEntry = WorkloadEntry {
    name: "pstm",
    declare,
    load: |problem, surroundings| Ok(Box::new(Migration::new(problem, surroundings)?)),
};

/// Timed parts of an invocation: waiting for traces, to a GPU, summing up, from a GPU, and the times between the computed ones
/// (time_step).
const STAGES: [&str; 5] = ["read", "upload", "migrate", "download", "interpolate"];

fn declare() -> Declaration {
    Declaration {
        stages: STAGES.map(str::to_owned).to_vec(),
        presets: scene::PRESETS.iter().map(|p| (*p).into()).collect(),
        sizes: scene::sizes(),
        problem_keys: scene::KEYS.iter().map(|k| (*k).into()).collect(),
        has_exact: true,
        own_metrics: judge::METRICS
            .iter()
            .map(|(name, about)| ((*name).into(), (*about).into()))
            .collect(),
        ..settings::declaration()
    }
}

/// Shape and values of a `.npy` file of real numbers.
fn npy(file: &str) -> Result<(Vec<usize>, Vec<f64>), String> {
    let array = files::read_array(Path::new(file), None)?;
    let values = array.to_f64();
    match values.iter().find(|v| !v.is_finite()) {
        Some(wrong) => Err(format!("{file}: {wrong} among its values")),
        None => Ok((array.shape, values)),
    }
}

struct Migration {
    scene: Arc<Scene>,
    fields: Arc<Vec<Field>>,
    /// Of the files that traces are stored in.
    folder: PathBuf,
    key: String,
    /// Contributions of the definition; counted once, when first asked for.
    contributions: OnceLock<f64>,
}

impl Migration {
    fn new(problem: &Problem, surroundings: &Surroundings) -> Result<Migration, String> {
        let scene = Scene::new(problem)?;
        let reach = scene.amax;
        let fields = scene
            .gathers
            .iter()
            .map(|gather| Field::new(gather, reach))
            .collect();
        let written: String = problem
            .iter()
            .map(|(key, value)| format!("{key}={value}\n"))
            .collect();
        let key = Sha256::digest(written.as_bytes());
        Ok(Migration {
            scene: Arc::new(scene),
            fields: Arc::new(fields),
            folder: surroundings.scratch.clone(),
            key: key
                .iter()
                .take(6)
                .map(|byte| format!("{byte:02x}"))
                .collect(),
            contributions: OnceLock::new(),
        })
    }

    fn pipeline<T: Sample>(&self, settings: &Settings) -> Result<Pipeline<T>, Ending> {
        let stores = (0..self.scene.gathers.len())
            .map(|bin| Store::open::<T>(&self.scene, bin, &self.folder, &self.key))
            .collect::<Result<Vec<_>, String>>()
            .map_err(|reason| Ending::Failed { reason })?;
        Pipeline::new(&self.scene, &self.fields, settings, stores)
    }

    fn on_host<T: Sample>(&self, settings: &Settings) -> Result<Box<dyn Executable>, Ending> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(settings.threads)
            .build()
            .map_err(|e| Ending::Failed {
                reason: format!("no threads: {e}"),
            })?;
        let scene = &self.scene;
        let [nx, ny, nt] = scene.shape;
        let times = cpu::computed(nt, settings.imaging.time_step);
        let sums = scene.gathers.len() * nx * ny * times;
        let nodes = match settings.imaging.time_step {
            1 => 0,
            _ => scene.gathers.len() * scene.nodes(),
        };
        Ok(Box::new(Prepared::<T> {
            pipeline: self.pipeline(settings)?,
            scene: scene.clone(),
            settings: *settings,
            pool,
            times,
            image: vec![0.0; sums],
            fold: vec![0; sums],
            between: vec![0.0; nodes],
            spent: Spent::default(),
        }))
    }

    fn on_gpu<T: Sample>(
        &self,
        gpu: &Arc<dyn Gpu>,
        settings: &Settings,
    ) -> Result<Box<dyn Executable>, Ending> {
        gpu::prepare(gpu, &self.scene, settings, self.pipeline::<T>(settings)?)
    }

    /// Traces of a bin as the definition reads them.
    fn traces(&self, bin: usize) -> Result<Vec<Vec<f32>>, String> {
        let scene = &self.scene;
        let count = scene.gathers[bin].geometry.len();
        match &scene.file {
            None => Ok((0..count).map(|k| scene.trace(bin, k)).collect()),
            Some(file) => {
                let mut traces = Vec::with_capacity(count);
                files::read_rows(Path::new(file), [count, scene.samples], &mut |row| {
                    traces.push(row.to_vec());
                    Ok(())
                })?;
                Ok(traces)
            }
        }
    }

    fn shape(&self) -> Vec<usize> {
        output_shape(&self.scene)
    }
}

/// Image, then fold; bins; x, y, t.
fn output_shape(scene: &Scene) -> Vec<usize> {
    let [nx, ny, nt] = scene.shape;
    vec![2, scene.gathers.len(), nx, ny, nt]
}

impl Workload for Migration {
    fn prepare(
        &self,
        device: &Device,
        configuration: &Configuration,
    ) -> Result<Box<dyn Executable>, Ending> {
        let bins = self.scene.gathers.len();
        if let Device::Gpu(gpu) = device {
            let settings = Settings::on_gpu(configuration, bins)?;
            return match settings.precision {
                Precision::F32 => self.on_gpu::<f32>(gpu, &settings),
                Precision::F16Storage => self.on_gpu::<f16>(gpu, &settings),
                Precision::Bf16Storage => self.on_gpu::<bf16>(gpu, &settings),
            };
        }
        let settings = Settings::on_host(configuration, bins)?;
        match settings.precision {
            Precision::F32 => self.on_host::<f32>(&settings),
            Precision::F16Storage => self.on_host::<f16>(&settings),
            Precision::Bf16Storage => self.on_host::<bf16>(&settings),
        }
    }

    fn compile(&self, device: &Device, configuration: &Configuration) {
        if let Device::Gpu(gpu) = device
            && let Ok(settings) = Settings::on_gpu(configuration, self.scene.gathers.len())
        {
            match settings.precision {
                Precision::F32 => gpu::compile::<f32>(&**gpu, &self.scene, &settings),
                Precision::F16Storage => gpu::compile::<f16>(&**gpu, &self.scene, &settings),
                Precision::Bf16Storage => gpu::compile::<bf16>(&**gpu, &self.scene, &settings),
            }
        }
    }

    fn exact(&self, _device: &Device, _baseline: &Configuration) -> Result<Option<Array>, Ending> {
        let (mut image, mut fold) = (vec![], vec![]);
        for bin in 0..self.scene.gathers.len() {
            let traces = self
                .traces(bin)
                .map_err(|reason| Ending::Failed { reason })?;
            let migrated = exact::migrate(&self.scene, &PLAIN, bin, &traces);
            image.extend(migrated.image.into_iter().map(|v| v as f32));
            fold.extend(migrated.fold.into_iter().map(|n| n as f32));
        }
        image.extend(fold);
        Ok(Some(Array {
            shape: self.shape(),
            values: Values::F32(image),
            is_complex: false,
        }))
    }

    /// WORKLOADS §2e, with the exact count of contributions: that of the definition, the same for every configuration, so that a
    /// narrower aperture shows as a faster run and not as less work.
    fn work(&self, _configuration: &Configuration) -> Option<Work> {
        let scene = &self.scene;
        let contributions = *self.contributions.get_or_init(|| {
            let quick = [
                ("axis", Value::Text("time".into())),
                ("trace_batch", Value::Int(8)),
            ];
            let quick = quick.map(|(name, value)| (name.to_owned(), value)).to_vec();
            let settings = Settings::on_host(&Configuration::new(quick), 1).ok();
            let count = settings.and_then(|settings| {
                let mut executable = self.on_host::<f32>(&settings).ok()?;
                executable.run().ok()?;
                let output = executable.output().ok()??;
                Some(judge::parts(&output).1.iter().map(|n| f64::from(*n)).sum())
            });
            count.unwrap_or(f64::NAN)
        });
        let traces: usize = scene.gathers.iter().map(|g| g.geometry.len()).sum();
        let (traces, samples) = (traces as f64, scene.samples as f64);
        let nodes = (scene.gathers.len() * scene.nodes()) as f64;
        contributions.is_finite().then_some(Work {
            flops: 11.0 * contributions,
            sqrt: 2.0 * contributions,
            trig: 0.0,
            bytes: 4.0 * traces * samples + 16.0 * traces + 8.0 * nodes,
        })
    }

    fn compared(&self, output: &Array) -> Array {
        let (image, _) = judge::parts(output);
        Array {
            shape: output.shape[1..].to_vec(),
            values: Values::F32(image.to_vec()),
            is_complex: false,
        }
    }

    fn own_metrics(&self, output: &Array, expected: &Array) -> Vec<f64> {
        judge::distances(&self.scene, output, expected)
    }

    fn pictures(&self, output: &Array) -> Vec<Picture> {
        judge::pictures(&self.scene, output)
    }
}

/// What reading came to, for the records.
fn counted(spent: &Spent) -> Vec<(String, f64)> {
    let (hits, misses) = (spent.counters.hits as f64, spent.counters.misses as f64);
    let mut all = vec![("loads".to_owned(), spent.loads as f64)];
    if hits + misses > 0.0 {
        all.push(("cache_hits".into(), hits));
        all.push(("cache_misses".into(), misses));
        all.push(("cache_hit_rate".into(), hits / (hits + misses)));
    }
    all
}

/// A configuration on the host, with its memory.
struct Prepared<T> {
    pipeline: Pipeline<T>,
    scene: Arc<Scene>,
    settings: Settings,
    pool: rayon::ThreadPool,
    /// Computed times of a pillar.
    times: usize,
    /// `[bin][x][y][computed time]`.
    image: Vec<f32>,
    fold: Vec<u32>,
    /// The image at every time; empty where all are computed.
    between: Vec<f32>,
    spent: Spent,
}

struct OnHost<'a, T> {
    scene: &'a Scene,
    settings: &'a Settings,
    pool: &'a rayon::ThreadPool,
    times: usize,
    sums: Vec<Sums<'a>>,
    _samples: std::marker::PhantomData<fn() -> T>,
}

impl<T: Sample> Engine<T> for OnHost<'_, T> {
    fn migrate(&self, _lane: usize, place: Place<'_>, batch: &Batch<T>) -> Result<(), Ending> {
        let job = Job {
            scene: self.scene,
            settings: self.settings,
            tile: place.tile,
            batch,
            sums: Sums {
                times: self.times,
                ..self.sums[place.bin]
            },
            is_first: place.is_first,
        };
        self.pool.install(|| cpu::migrate(&job));
        Ok(())
    }
}

impl<T: Sample> Executable for Prepared<T> {
    fn run(&mut self) -> Result<Invocation, Ending> {
        let (mut wall, mut interpolating) = (Duration::ZERO, Duration::ZERO);
        let Prepared {
            pipeline,
            scene,
            settings,
            pool,
            times,
            image,
            fold,
            between,
            ..
        } = self;
        let spent = timed(&mut wall, || {
            let each = image.len() / scene.gathers.len();
            let sums = image
                .chunks_mut(each)
                .zip(fold.chunks_mut(each))
                .map(|(image, fold)| Sums {
                    image: Shared::new(image),
                    fold: Shared::new(fold),
                    times: *times,
                });
            let engine = OnHost {
                scene,
                settings,
                pool,
                times: *times,
                sums: sums.collect(),
                _samples: std::marker::PhantomData,
            };
            let spent = pipeline.run(&engine)?;
            if settings.imaging.time_step > 1 {
                timed(&mut interpolating, || {
                    pool.install(|| {
                        fill_between(
                            image,
                            *times,
                            settings.imaging.time_step,
                            scene.shape[2],
                            between,
                        )
                    });
                });
            }
            Ok(spent)
        })?;
        self.spent = spent;
        let none = Duration::ZERO;
        Ok(Invocation {
            timing: Timing {
                wall: Nanoseconds::from(wall),
                device: None,
                stages: [spent.waiting, none, spent.migrating, none, interpolating]
                    .map(Nanoseconds::from)
                    .to_vec(),
            },
            ..Invocation::default()
        })
    }

    fn poison(&mut self) {
        self.image.fill(f32::NAN);
        self.fold.fill(u32::MAX);
        self.between.fill(f32::NAN);
    }

    fn output(&mut self) -> Result<Option<Array>, Ending> {
        let step = self.settings.imaging.time_step;
        let image = if step == 1 {
            &self.image
        } else {
            &self.between
        };
        Ok(Some(output(&self.scene, image, &self.fold, step)))
    }

    fn attributes(&self) -> Vec<(String, f64)> {
        counted(&self.spent)
    }
}

/// The image with its fold, which between computed times is that of the nearest.
fn output(scene: &Scene, image: &[f32], fold: &[u32], step: usize) -> Array {
    let nt = scene.shape[2];
    let times = cpu::computed(nt, step);
    let mut values = image.to_vec();
    for row in fold.chunks_exact(times) {
        values.extend((0..nt).map(|it| row[((it + step / 2) / step).min(times - 1)] as f32));
    }
    Array {
        shape: output_shape(scene),
        values: Values::F32(values),
        is_complex: false,
    }
}

/// Cubic through the computed times; its ends are repeated.
fn fill_between(image: &[f32], times: usize, step: usize, nt: usize, between: &mut [f32]) {
    use rayon::prelude::*;
    let rows = image.par_chunks(times).zip(between.par_chunks_mut(nt));
    rows.for_each(|(row, out)| {
        let at = |j: i64| f64::from(row[j.clamp(0, times as i64 - 1) as usize]);
        for (it, value) in out.iter_mut().enumerate() {
            let (j, rest) = ((it / step) as i64, it % step);
            *value = match rest {
                0 => row[j as usize],
                rest => {
                    let weights = exact::cubic_weights(rest as f64 / step as f64);
                    (weights.iter().zip(j - 1..))
                        .map(|(w, j)| w * at(j))
                        .sum::<f64>() as f32
                }
            };
        }
    });
}
