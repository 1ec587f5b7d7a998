//! A whole sphere to what cameras see of it (WORKLOADS §5): frames on disk through decoding, upload and remapping to images. What
//! the published plan overlapped, pooled and cached are parameters here.
mod cpu;
mod definition;
mod frames;
mod gpu;
mod lanes;
mod map;
mod pixel;
mod places;
mod remapper;
mod scene;
mod settings;

use super::{Executable, Problem, Surroundings, Workload, WorkloadEntry};
use crate::array::{Array, Values};
use crate::device::Device;
use crate::plan::Declaration;
use crate::space::Configuration;
use crate::trial::{Ending, Invocation, Timing, Work};
use crate::value::{Bytes, Nanoseconds};
use remapper::{Batch, Frame, Remapper};
use scene::Scene;
use settings::Settings;
use std::hash::Hasher;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(super) const ENTRY: WorkloadEntry = WorkloadEntry {
    name: "e2p",
    declare,
    load: |problem, surroundings| Ok(Box::new(Cameras::new(problem, surroundings)?)),
};

/// Timed parts of an invocation.
const READ: usize = 0;
const UPLOAD: usize = 1;
const REMAP: usize = 2;
const DOWNLOAD: usize = 3;
const SINK: usize = 4;
const STAGES: [&str; 5] = ["read", "upload", "remap", "download", "sink"];

fn declare() -> Declaration {
    Declaration {
        stages: STAGES.map(str::to_owned).to_vec(),
        presets: scene::PRESETS.iter().map(|p| (*p).into()).collect(),
        sizes: scene::sizes(),
        problem_keys: scene::KEYS.iter().map(|k| (*k).into()).collect(),
        has_exact: true,
        ..settings::declaration()
    }
}

struct Cameras {
    scene: Arc<Scene>,
}

impl Cameras {
    fn new(problem: &Problem, surroundings: &Surroundings) -> Result<Cameras, String> {
        Ok(Cameras {
            scene: Arc::new(Scene::new(problem, &surroundings.scratch)?),
        })
    }
}

impl Workload for Cameras {
    fn prepare(
        &self,
        device: &Device,
        configuration: &Configuration,
    ) -> Result<Box<dyn Executable>, Ending> {
        let settings = match device {
            Device::Host => Settings::on_host(configuration, &self.scene)?,
            Device::Gpu(_) => Settings::on_gpu(configuration, &self.scene)?,
        };
        let remapper = remapper::prepare(device, &self.scene, &settings, 1)?;
        Ok(Box::new(Prepared {
            outputs: vec![
                0;
                settings.batch.min(self.scene.files.len()) * self.scene.images_bytes()
            ],
            kept: vec![],
            hash: 0,
            scene: self.scene.clone(),
            keeps_time: matches!(device, Device::Gpu(_)),
            settings,
            remapper,
        }))
    }

    fn compile(&self, device: &Device, configuration: &Configuration) {
        if let Device::Gpu(gpu) = device
            && let Ok(settings) = Settings::on_gpu(configuration, &self.scene)
        {
            gpu::compile(&**gpu, &self.scene, &settings);
        }
    }

    fn exact(&self, _device: &Device, _baseline: &Configuration) -> Result<Option<Array>, Ending> {
        let values = definition::images(&self.scene).map_err(|reason| Ending::Failed { reason })?;
        Ok(Some(Array {
            shape: self.scene.output_shape(),
            values: Values::F32(values),
            is_complex: false,
        }))
    }

    /// WORKLOADS §5e: with a map, which is read once. The useful work is the same for every configuration.
    fn work(&self, _configuration: &Configuration) -> Option<Work> {
        let scene = &*self.scene;
        let frames = scene.files.len() as f64;
        let pixels = (scene.cameras.len() * scene.out[0] * scene.out[1]) as f64;
        Some(Work {
            flops: 33.0 * frames * pixels,
            bytes: frames * (scene.frame_bytes() as f64 + 3.0 * pixels) + 8.0 * pixels,
            ..Work::default()
        })
    }
}

#[allow(clippy::disallowed_methods, reason = "stages are timed where they run")]
fn timed<T>(stage: &mut Duration, work: impl FnOnce() -> T) -> T {
    let started = Instant::now();
    let result = work();
    *stage += started.elapsed();
    result
}

/// A configuration, and what it leaves of an invocation.
struct Prepared {
    scene: Arc<Scene>,
    settings: Settings,
    remapper: Box<dyn Remapper>,
    outputs: Vec<u8>,
    /// Images of the judged frames, of every camera.
    kept: Vec<u8>,
    hash: u64,
    keeps_time: bool,
}

impl Prepared {
    /// One batch after another, one step after another.
    fn run_all(&mut self, stages: &mut [Duration]) -> Result<(), Ending> {
        let scene = &self.scene;
        let (judged, _) = scene.judged();
        self.kept.clear();
        let mut hasher = std::hash::DefaultHasher::new();
        let all: Vec<usize> = (0..scene.files.len()).collect();
        for numbers in all.chunks(self.settings.batch) {
            let frames = timed(&mut stages[READ], || {
                let read = |k: &usize| {
                    let frame = frames::read(scene, *k).map(|frame| Arc::new(frame) as Frame);
                    frame.map_err(|reason| Ending::Failed { reason })
                };
                numbers.iter().map(read).collect::<Result<Vec<_>, _>>()
            })?;
            let mut outputs = std::mem::take(&mut self.outputs);
            outputs.resize(numbers.len() * scene.images_bytes(), 0);
            let mut batch = Batch {
                slot: 0,
                frames,
                outputs,
            };
            timed(&mut stages[UPLOAD], || self.remapper.upload(&batch))?;
            timed(&mut stages[REMAP], || self.remapper.remap(&mut batch))?;
            timed(&mut stages[DOWNLOAD], || self.remapper.download(&mut batch))?;
            timed(&mut stages[SINK], || {
                for (k, images) in numbers
                    .iter()
                    .zip(batch.outputs.chunks(scene.images_bytes()))
                {
                    hasher.write(images);
                    if judged.contains(k) {
                        self.kept.extend(images);
                    }
                }
            });
            self.outputs = batch.outputs;
        }
        self.hash = hasher.finish();
        Ok(())
    }
}

impl Executable for Prepared {
    fn run(&mut self) -> Result<Invocation, Ending> {
        let (mut wall, mut stages) = (Duration::ZERO, [Duration::ZERO; STAGES.len()]);
        timed(&mut wall, || self.run_all(&mut stages))?;
        let nanoseconds = |d: Duration| Nanoseconds(d.as_nanos() as f64);
        Ok(Invocation {
            timing: Timing {
                wall: nanoseconds(wall),
                device: None,
                stages: stages.map(nanoseconds).to_vec(),
            },
            ..Invocation::default()
        })
    }

    fn poison(&mut self) {
        self.outputs.fill(0xA5);
        self.kept.clear();
    }

    fn output(&mut self) -> Result<Option<Array>, Ending> {
        Ok(Some(Array {
            shape: self.scene.output_shape(),
            values: Values::F32(self.scene.planes(&self.kept)),
            is_complex: false,
        }))
    }

    fn keeps_time(&self) -> bool {
        self.keeps_time
    }

    fn build_time(&self) -> Option<Nanoseconds> {
        self.remapper.build_time()
    }

    fn attributes(&self) -> Vec<(String, f64)> {
        self.remapper.attributes()
    }

    fn device_peak(&self) -> Bytes {
        self.remapper.device_peak()
    }
}
