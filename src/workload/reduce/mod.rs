//! Beamforming with virtual sources, and what is kept in memory while receivers and transmits are summed (WORKLOADS §4): the whole
//! cube of delayed samples, one of its sides, or nothing. Every step that its authors tuned is a parameter here.
mod exact;
mod geometry;
mod gpu;
#[cfg(test)]
mod gpu_tests;
mod judge;
mod lanes;
mod refusals;
mod scene;
mod settings;
mod sums;
mod tables;
#[cfg(test)]
mod tests;

use super::{Executable, Picture, Problem, Workload, WorkloadEntry, envelope};
use crate::array::{Array, Values};
use crate::device::{Device, available_memory};
use crate::plan::Declaration;
use crate::space::Configuration;
use crate::trial::{Ending, Invocation, Timing, Work};
use crate::value::{Bytes, Nanoseconds};
use crate::workload::stopwatch::timed;
use geometry::{Geometry, PATCH};
use half::{bf16, f16};
use lanes::Trace;
use rayon::prelude::*;
use scene::Scene;
use settings::{Precision, Reduce, Settings};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use sums::{Job, Scratch, TOTAL, Task};

pub(super) const ENTRY: WorkloadEntry = WorkloadEntry {
    name: "reduce",
    declare,
    load: |problem, _| Ok(Box::new(Beamformer::new(problem)?)),
};

/// Timed parts of an invocation: the signals into the form that the kernel reads, the loops, and the sums over what they left in
/// memory. To a GPU the signals are uploaded first, and its tables have a kernel of their own.
const LOAD: usize = 0;
const KERNEL: usize = 1;
const SUM: usize = 2;
const TABLES: usize = 3;
const UPLOAD: usize = 4;
const STAGES: [&str; 5] = ["load", "kernel", "sum", "tables", "upload"];

fn declare() -> Declaration {
    Declaration {
        stages: STAGES.map(str::to_owned).to_vec(),
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
    scene: Arc<Scene>,
    /// Share of (point, transmit) pairs that count; found once, when first asked for.
    active: OnceLock<f64>,
}

impl Beamformer {
    fn new(problem: &Problem) -> Result<Beamformer, String> {
        Ok(Beamformer::of(Scene::new(problem)?))
    }

    fn of(scene: Scene) -> Beamformer {
        Beamformer {
            scene: Arc::new(scene),
            active: OnceLock::new(),
        }
    }
}

impl Workload for Beamformer {
    fn prepare(
        &self,
        device: &Device,
        configuration: &Configuration,
    ) -> Result<Box<dyn Executable>, Ending> {
        if let Device::Gpu(gpu) = device {
            let settings = Settings::on_gpu(configuration, &self.scene, gpu.language())?;
            return gpu::prepare(gpu, &self.scene, &settings);
        }
        let settings = Settings::on_host(configuration, &self.scene)?;
        match settings.precision {
            Precision::F32 => Ok(Box::new(Prepared::<f32>::new(&self.scene, settings)?)),
            Precision::F16Storage => Ok(Box::new(Prepared::<f16>::new(&self.scene, settings)?)),
            Precision::Bf16Storage => Ok(Box::new(Prepared::<bf16>::new(&self.scene, settings)?)),
        }
    }

    fn compile(&self, device: &Device, configuration: &Configuration) {
        if let Device::Gpu(gpu) = device
            && let Ok(settings) = Settings::on_gpu(configuration, &self.scene, gpu.language())
        {
            gpu::compile(&**gpu, &self.scene, &settings);
        }
    }

    fn exact(&self, _device: &Device, _baseline: &Configuration) -> Result<Option<Array>, Ending> {
        Ok(Some(exact::image(&self.scene, &exact::PLAIN)))
    }

    /// WORKLOADS §4e: the factored form, and only the pairs that count. The useful work is that of the definition, the same for every
    /// configuration: a shortcut shows as a faster run, not as less work.
    fn work(&self, _configuration: &Configuration) -> Option<Work> {
        let scene = &*self.scene;
        let active = *self.active.get_or_init(|| exact::active_fraction(scene));
        let (frames, points) = (scene.frames.len() as f64, scene.points.len() as f64);
        let (receivers, transmits) = (scene.elements.len() as f64, scene.sources.len() as f64);
        let sides = points * (receivers + active * transmits);
        Some(Work {
            flops: frames * 19.0 * points * receivers * transmits * active + 10.0 * sides,
            sqrt: sides,
            trig: 2.0 * sides,
            bytes: frames * 8.0 * (transmits * receivers * scene.samples as f64 + points)
                + 12.0 * points,
        })
    }

    fn own_metrics(&self, output: &Array, expected: &Array) -> Vec<f64> {
        judge::distances(&self.scene, output, expected)
    }

    fn pictures(&self, output: &Array) -> Vec<Picture> {
        judge::pictures(&self.scene, output)
    }
}

/// A configuration on a processor.
struct Prepared<T> {
    pool: rayon::ThreadPool,
    work: Host<T>,
}

/// Its code with its memory.
struct Host<T> {
    scene: Arc<Scene>,
    settings: Settings,
    geometry: Geometry,
    /// The channel data as T; empty where the scene's own is read.
    signals: Vec<T>,
    /// What is materialized, of a chunk.
    parts: Vec<f32>,
    /// `[patch][re, im][slot]` of a chunk.
    totals: Vec<f32>,
    /// `[frame][x][z]`
    image: Vec<[f32; 2]>,
}

/// Zeros, or what would be exceeded.
fn allocate(what: &str, count: usize) -> Result<Vec<f32>, Ending> {
    let size = Bytes(4 * count as u64);
    let available = available_memory().unwrap_or(Bytes(u64::MAX));
    match size.0 < available.0 {
        true => Ok(vec![0.0; count]),
        false => Err(Ending::OverLimit {
            limit: format!("{what} takes {size}, and {available} are free: take a smaller chunk"),
        }),
    }
}

/// The channel data as it is stored, for kernels that read it without a copy.
trait Kept: Trace {
    fn of(frame: &[[f32; 2]]) -> Option<&[Self]>;
}

impl Kept for f32 {
    fn of(frame: &[[f32; 2]]) -> Option<&[f32]> {
        Some(frame.as_flattened())
    }
}

impl Kept for f16 {
    fn of(_: &[[f32; 2]]) -> Option<&[f16]> {
        None
    }
}

impl Kept for bf16 {
    fn of(_: &[[f32; 2]]) -> Option<&[bf16]> {
        None
    }
}

impl<T: Kept> Prepared<T> {
    fn new(scene: &Arc<Scene>, settings: Settings) -> Result<Prepared<T>, Ending> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(settings.threads)
            .build()
            .map_err(|e| Ending::Failed {
                reason: format!("no threads: {e}"),
            })?;
        let geometry = Geometry::new(scene, settings.patch);
        let slots = PATCH * patches_of_chunk(&settings, &geometry);
        let numbers = match T::of(&scene.frames[0]) {
            Some(_) => 0,
            None => 2 * scene.frames[0].len(),
        };
        let parts = settings.materialized(scene, 2 * slots);
        let work = Host {
            scene: scene.clone(),
            signals: vec![T::default(); numbers],
            parts: allocate("what is kept between the loops and the sums", parts)?,
            totals: allocate("the image", 2 * slots)?,
            image: vec![[0.0; 2]; scene.frames.len() * scene.points.len()],
            geometry,
            settings,
        };
        Ok(Prepared { pool, work })
    }
}

impl<T: Kept> Host<T> {
    /// One frame into its image.
    fn frame(&mut self, frame: usize, stages: &mut [Duration]) {
        let Host {
            scene,
            settings,
            geometry,
            signals,
            parts,
            totals,
            image,
            ..
        } = self;
        let raw = &scene.frames[frame];
        timed(&mut stages[LOAD], || {
            let pairs = raw.as_flattened().par_chunks(1 << 14);
            let stored = signals.par_chunks_mut(1 << 14);
            stored.zip(pairs).for_each(|(stored, pairs)| {
                for (to, from) in stored.iter_mut().zip(pairs) {
                    *to = T::from_f32(*from);
                }
            });
        });
        let job = Job {
            geometry,
            settings,
            signals: T::of(raw).unwrap_or(signals),
        };
        let points = scene.points.len();
        let image = &mut image[frame * points..(frame + 1) * points];
        let by = patches_of_chunk(settings, geometry);
        for first in (0..geometry.patches()).step_by(by) {
            let count = by.min(geometry.patches() - first);
            let totals = &mut totals[..count * TOTAL];
            let parts_of_patch = settings.materialized(scene, TOTAL);
            let parts = &mut parts[..count * parts_of_patch];
            timed(&mut stages[KERNEL], || {
                tasks(&job, first, totals, parts);
            });
            timed(&mut stages[SUM], || {
                finish(&job, first, totals, parts);
                geometry.scatter(first, totals, image);
            });
        }
    }
}

/// Patches whose arrays are in memory at a time.
fn patches_of_chunk(settings: &Settings, geometry: &Geometry) -> usize {
    let all = geometry.patches();
    settings
        .chunk
        .map_or(all, |points| points.div_ceil(PATCH).min(all))
}

/// Patches of a task.
fn patches_of_task(settings: &Settings) -> usize {
    settings.task_points.div_ceil(PATCH)
}

/// The loops over a chunk's patches from `first` on.
fn tasks<T: Trace>(job: &Job<'_, T>, first: usize, totals: &mut [f32], parts: &mut [f32]) {
    let by = patches_of_task(job.settings);
    let size = parts.len() / (totals.len() / TOTAL);
    let work = |scratch: &mut Scratch, i: usize, image: &mut [f32], parts: &mut [f32]| {
        let from = first + i * by;
        let mut task = Task {
            patches: from..from + image.len() / TOTAL,
            image,
            parts,
        };
        sums::run(job, &mut task, scratch);
    };
    let images = totals.par_chunks_mut(by * TOTAL);
    match size {
        0 => images
            .enumerate()
            .for_each_init(Scratch::default, |scratch, (i, image)| {
                work(scratch, i, image, &mut []);
            }),
        _ => images
            .zip(parts.par_chunks_mut(by * size))
            .enumerate()
            .for_each_init(Scratch::default, |scratch, (i, (image, parts))| {
                work(scratch, i, image, parts);
            }),
    }
}

/// The sums over what is in memory, and the weights' where they are divided by.
fn finish<T: Trace>(job: &Job<'_, T>, first: usize, totals: &mut [f32], parts: &[f32]) {
    let Job {
        geometry, settings, ..
    } = job;
    let size = parts.len() / (totals.len() / TOTAL);
    if settings.reduce != Reduce::Both {
        totals
            .par_chunks_mut(TOTAL)
            .zip(parts.par_chunks(size))
            .for_each(|(image, parts)| sums::sum_parts(parts, image, size / TOTAL));
    }
    if settings.image.is_compensated {
        totals
            .par_chunks_mut(TOTAL)
            .enumerate()
            .for_each(|(i, image)| sums::compensate(geometry, settings, first + i, image));
    }
}

impl<T: Kept> Executable for Prepared<T> {
    fn run(&mut self) -> Result<Invocation, Ending> {
        let (mut wall, mut stages) = (Duration::ZERO, [Duration::ZERO; STAGES.len()]);
        let Prepared { pool, work } = self;
        timed(&mut wall, || {
            pool.install(|| {
                for frame in 0..work.scene.frames.len() {
                    work.frame(frame, &mut stages);
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
        self.work.image.fill([f32::NAN; 2]);
        self.work.totals.fill(f32::NAN);
        self.work.parts.fill(f32::NAN);
    }

    fn output(&mut self) -> Result<Option<Array>, Ending> {
        Ok(Some(Array {
            shape: exact::output_shape(&self.work.scene),
            values: Values::F32(self.work.image.as_flattened().to_vec()),
            is_complex: true,
        }))
    }
}
