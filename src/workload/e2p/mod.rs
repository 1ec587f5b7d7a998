//! A whole sphere to what cameras see of it (WORKLOADS §5): frames on disk through decoding, upload and remapping to images. What
//! the published plan overlapped, pooled and cached are parameters here.
mod cpu;
mod definition;
mod frames;
mod gpu;
mod judge;
mod lanes;
mod map;
mod memory;
mod pipeline;
mod pipeline_flow;
mod pipeline_meter;
mod pipeline_read;
mod pipeline_ring;
#[cfg(test)]
mod pipeline_tests;
mod pixel;
mod places;
mod prepared;
#[cfg(target_arch = "x86_64")]
mod quads;
mod remapper;
mod scene;
mod settings;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod weighing;

use super::{Executable, Picture, Problem, Surroundings, Workload, WorkloadEntry};
use crate::array::{Array, Values};
use crate::device::Device;
use crate::plan::Declaration;
use crate::space::Configuration;
use crate::trace::Tracer;
use crate::trial::{Ending, Work};
use pipeline_meter::STAGES;
use scene::Scene;
use settings::Settings;
use std::sync::Arc;

pub(super) const ENTRY: WorkloadEntry = WorkloadEntry {
    name: "e2p",
    declare,
    load: |problem, surroundings| Ok(Box::new(Cameras::new(problem, surroundings)?)),
};

fn declare() -> Declaration {
    let remapping = settings::declaration();
    let parameters = [pipeline_flow::parameters(), remapping.parameters].concat();
    Declaration {
        parameters,
        stages: STAGES.map(str::to_owned).to_vec(),
        presets: scene::PRESETS.iter().map(|p| (*p).into()).collect(),
        sizes: scene::sizes(),
        problem_keys: scene::KEYS.iter().map(|k| (*k).into()).collect(),
        has_exact: true,
        own_metrics: judge::METRICS
            .iter()
            .map(|(name, about)| ((*name).into(), (*about).into()))
            .collect(),
        counters: prepared::COUNTERS
            .iter()
            .map(|(name, about)| ((*name).into(), (*about).into()))
            .collect(),
        ..remapping
    }
}

struct Cameras {
    scene: Arc<Scene>,
    tracer: Option<Tracer>,
}

impl Cameras {
    fn new(problem: &Problem, surroundings: &Surroundings) -> Result<Cameras, String> {
        Ok(Cameras {
            scene: Arc::new(Scene::new(problem, &surroundings.scratch)?),
            tracer: surroundings.tracer.clone(),
        })
    }
}

impl Workload for Cameras {
    fn prepare(
        &self,
        device: &Device,
        configuration: &Configuration,
    ) -> Result<Box<dyn Executable>, Ending> {
        prepared::prepare(&self.scene, device, configuration, self.tracer.as_ref())
    }

    fn compile(&self, device: &Device, configuration: &Configuration) {
        if let Device::Gpu(gpu) = device
            && let Ok(settings) = Settings::on_gpu(gpu.language(), configuration, &self.scene)
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

    fn own_metrics(&self, output: &Array, expected: &Array) -> Vec<f64> {
        judge::distances(&self.scene, output, expected)
    }

    fn pictures(&self, output: &Array) -> Vec<Picture> {
        judge::pictures(&self.scene, output)
    }
}
