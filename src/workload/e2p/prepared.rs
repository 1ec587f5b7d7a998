//! A configuration ready to run: the pipeline, and what becomes of the images that it hands on.
#![allow(
    clippy::disallowed_methods,
    reason = "an invocation on a GPU keeps its own time"
)]
use super::pipeline::{Pipeline, Spent};
use super::pipeline_flow::Flow;
use super::pipeline_meter::{REMAP, STAGES};
use super::remapper;
use super::scene::Scene;
use super::settings::Settings;
use crate::array::{Array, Values};
use crate::device::Device;
use crate::space::Configuration;
use crate::trace::Tracer;
use crate::trial::{Ending, Invocation, Stretch, Timing};
use crate::value::{Bytes, Nanoseconds};
use crate::workload::Executable;
use std::sync::Arc;
use std::time::{Duration, Instant};
use xxhash_rust::xxh3::xxh3_64;

pub(super) struct Prepared {
    scene: Arc<Scene>,
    pipeline: Pipeline,
    /// Numbers of the frames whose images are compared, and these, of every camera; empty where the frame was left out.
    judged: Vec<usize>,
    kept: Vec<Vec<u8>>,
    /// Of every image, `[frame][camera]`; absent where the frame was left out. What a consumer would do with an image is none of
    /// the pipeline's business, but it would read all of it.
    hashes: Vec<Option<u64>>,
    spent: Spent,
    wall: Duration,
    keeps_time: bool,
}

/// # Errors
/// What the configuration came to.
pub(super) fn prepare(
    scene: &Arc<Scene>,
    device: &Device,
    configuration: &Configuration,
    tracer: Option<&Tracer>,
) -> Result<Box<dyn Executable>, Ending> {
    let settings = Settings::on(device, configuration, scene)?;
    let flow = Flow::read(configuration, device, scene, settings.batch)?;
    let (judged, _) = scene.judged();
    let slots = Pipeline::slots(&flow);
    let remapper = remapper::prepare(device, scene, &settings, slots)?;
    let pipeline = Pipeline::new(scene, flow, settings.batch, remapper, tracer.cloned())?;
    Ok(Box::new(Prepared {
        kept: vec![vec![]; judged.len()],
        judged,
        hashes: vec![None; scene.files.len() * scene.cameras.len()],
        spent: Spent::default(),
        wall: Duration::ZERO,
        keeps_time: matches!(device, Device::Gpu(_)),
        pipeline,
        scene: scene.clone(),
    }))
}

impl Prepared {
    fn invoke(&mut self) -> Result<(), Ending> {
        let (scene, judged) = (&self.scene, &self.judged);
        let (kept, hashes) = (&mut self.kept, &mut self.hashes);
        // Their memory stays.
        kept.iter_mut().for_each(Vec::clear);
        hashes.fill(None);
        let cameras = scene.cameras.len();
        self.spent = self.pipeline.run(&mut |frame, images| {
            let hashes = &mut hashes[frame * cameras..][..cameras];
            for (hash, image) in hashes.iter_mut().zip(images.chunks(scene.image_bytes())) {
                *hash = Some(xxh3_64(image));
            }
            if let Some(place) = judged.iter().position(|k| *k == frame) {
                kept[place].extend(images);
            }
        })?;
        Ok(())
    }
}

impl Executable for Prepared {
    fn run(&mut self) -> Result<Invocation, Ending> {
        let started = Instant::now();
        let done = self.invoke();
        self.wall = started.elapsed();
        done?;
        Ok(Invocation {
            timing: Timing {
                wall: self.wall.into(),
                device: self.spent.device,
                stages: self.spent.busy.map(Nanoseconds::from).to_vec(),
            },
            metrics: counters(&self.spent, self.wall).to_vec(),
            ..Invocation::default()
        })
    }

    fn poison(&mut self) {
        self.pipeline.poison();
        self.kept.iter_mut().for_each(Vec::clear);
        self.hashes.fill(None);
    }

    fn output(&mut self) -> Result<Option<Array>, Ending> {
        let mut images = vec![];
        for (frame, kept) in self.judged.iter().zip(&self.kept) {
            match kept.is_empty() {
                false => images.extend(kept),
                true => {
                    let failed = self.spent.failed.iter().find(|(k, _)| k == frame);
                    let reason = failed.map_or("it was not handed on", |(_, why)| why);
                    let reason = format!("frame {frame} has no images to judge: {reason}");
                    return Err(Ending::Failed { reason });
                }
            }
        }
        Ok(Some(Array {
            shape: self.scene.output_shape(),
            values: Values::F32(self.scene.planes(&images)),
            is_complex: false,
        }))
    }

    fn keeps_time(&self) -> bool {
        self.keeps_time
    }

    fn build_time(&self) -> Option<Nanoseconds> {
        self.pipeline.remapper().build_time()
    }

    fn attributes(&self) -> Vec<(String, f64)> {
        let mut all = self.pipeline.remapper().attributes();
        all.extend(counted(&self.spent, self.wall, &self.scene));
        all
    }

    fn timeline(&self) -> Vec<Stretch> {
        // Narrower ones are no pixel wide.
        let least = self.wall.as_nanos() as f64 / 2000.0;
        let is_seen = |s: &&Stretch| s.end.0 - s.start.0 >= least;
        (self.spent.stretches.iter())
            .filter(is_seen)
            .copied()
            .collect()
    }

    fn device_peak(&self) -> Bytes {
        self.pipeline.remapper().device_peak()
    }
}

/// What criteria may name of what is counted.
pub(super) const COUNTERS: &[(&str, &str)] = &[
    (
        "device_busy",
        "share of an invocation in which the device remapped",
    ),
    (
        "frames_ready",
        "share of the frames that were in memory when they were asked for",
    ),
    ("files_read", "frames that were read from the disk"),
    ("frames_in_memory", "frames that were in memory at once"),
    (
        "waiting_frames",
        "share of an invocation in which frames were waited for",
    ),
];

/// Their values of an invocation.
fn counters(spent: &Spent, wall: Duration) -> [f64; COUNTERS.len()] {
    [
        share(spent.busy[REMAP], wall),
        spent.hits as f64 / spent.frames.max(1) as f64,
        spent.reads as f64,
        spent.most_frames as f64,
        share(spent.starved, wall),
    ]
}

fn share(part: Duration, wall: Duration) -> f64 {
    part.as_secs_f64() / wall.as_secs_f64().max(1e-9)
}

/// These and what else the pipeline counted, for the records.
fn counted(spent: &Spent, wall: Duration, scene: &Scene) -> Vec<(String, f64)> {
    let named = |name: &str, value: f64| (name.to_owned(), value);
    let names = COUNTERS.iter().map(|(name, _)| (*name).to_owned());
    let mut all: Vec<_> = names.zip(counters(spent, wall)).collect();
    if spent.cached > 0 {
        all.push(named("frames_cached", spent.cached as f64));
    }
    if let Some((least, most)) = spent.depths {
        all.push(named("ring_depth_min", least as f64));
        all.push(named("ring_depth_max", most as f64));
    }
    if let Some(free) = spent.free {
        all.push(named("pool_free", free as f64));
    }
    for (name, waiting) in STAGES.iter().zip(spent.waiting) {
        // Reading and decoding are one thread's.
        if *name != "decode" {
            all.push(named(&format!("waiting_{name}"), share(waiting, wall)));
        }
    }
    if !spent.failed.is_empty() {
        all.push(named("failed_frames", spent.failed.len() as f64));
    }
    for (frame, _) in spent.failed.iter().take(MOST_NAMED) {
        let file = scene.files[*frame].file_name().unwrap_or_default();
        let name = format!("failed {}", file.to_string_lossy());
        all.push((name, *frame as f64));
    }
    all
}

/// Failed frames that records name; more of them are counted.
const MOST_NAMED: usize = 8;
