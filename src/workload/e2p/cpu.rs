//! Remapping on a processor: which thread takes which part of which image of which frame, and in what order.
use super::lanes;
use super::map::{GROUP, Places, Stored};
use super::places::{Found, Trig};
use super::remapper::{Batch, Remapper};
use super::scene::{Camera, Scene};
use super::settings::{Fusion, Map, Order, Settings};
use crate::trial::Ending;
use crate::value::Nanoseconds;
use crate::workload::shared::Shared;
use rayon::prelude::*;
use std::ops::Range;
use std::sync::Arc;

/// Pixels of a thread's task at least, so that handing it out costs little beside it.
const TASK_PIXELS: usize = 8192;

/// Maps and threads of one configuration.
pub(super) struct Processor {
    scene: Arc<Scene>,
    settings: Settings,
    pool: rayon::ThreadPool,
    cameras: Vec<Source>,
    maps: Vec<Places>,
}

/// Where a camera's places come from.
enum Source {
    /// A map's number, and pixels to the right.
    Map(usize, f32),
    Trig(Trig),
}

impl Processor {
    pub(super) fn new(scene: &Arc<Scene>, settings: &Settings) -> Result<Processor, Ending> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(settings.threads)
            .build()
            .map_err(|e| Ending::Failed {
                reason: format!("no threads: {e}"),
            })?;
        let (cameras, maps) = match settings.map {
            Map::Trig => {
                let trig = |camera: &Camera| Source::Trig(Trig::new(scene, *camera));
                (scene.cameras.iter().map(trig).collect(), vec![])
            }
            _ => {
                let (cameras, maps) = pool.install(|| scene.maps(settings))?;
                let source = |(map, shift): (usize, f64)| Source::Map(map, shift as f32);
                (cameras.into_iter().map(source).collect(), maps)
            }
        };
        Ok(Processor {
            scene: scene.clone(),
            settings: *settings,
            pool,
            cameras,
            maps,
        })
    }

    /// Images of these cameras of these frames, in tiles.
    fn part(&self, frames: Range<usize>, cameras: Range<usize>, job: &Job<'_>) {
        let [height, width] = self.scene.out;
        let [across, down] = self.settings.tile;
        let columns = width.div_ceil(across);
        let tiles = columns * height.div_ceil(down);
        let least = (TASK_PIXELS / (across * down * frames.len())).max(1);
        (0..cameras.len() * tiles)
            .into_par_iter()
            .with_min_len(least)
            .for_each(|i| {
                let (camera, tile) = (cameras.start + i / tiles, i % tiles);
                let (x, y) = (tile % columns * across, tile / columns * down);
                let task = Task {
                    job,
                    processor: self,
                    camera,
                    frames: frames.clone(),
                    columns: x..(x + across).min(width),
                    rows: y..(y + down).min(height),
                };
                lanes::run(&task);
            });
    }
}

/// A batch's frames and images.
pub(super) struct Job<'a> {
    pub(super) frames: Vec<&'a [u8]>,
    pub(super) outputs: Shared<'a, u8>,
}

/// A tile of an image, of one or more frames.
pub(super) struct Task<'a> {
    pub(super) job: &'a Job<'a>,
    processor: &'a Processor,
    camera: usize,
    pub(super) frames: Range<usize>,
    /// From the start of a group.
    pub(super) columns: Range<usize>,
    pub(super) rows: Range<usize>,
}

impl Task<'_> {
    pub(super) fn scene(&self) -> &Scene {
        &self.processor.scene
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.processor.settings
    }

    /// The places of the group that begins with this pixel.
    #[inline(always)]
    pub(super) fn find(&self, column: usize, row: usize) -> Found {
        match &self.processor.cameras[self.camera] {
            Source::Trig(trig) => trig.find(self.scene(), column, row),
            Source::Map(map, shift) => {
                let places = &self.processor.maps[*map];
                let first = row * places.stride + column;
                let part = first..first + GROUP;
                match &places.stored {
                    Stored::F32 { columns, rows } => {
                        Found::of_map(self.scene(), &columns[part.clone()], &rows[part], *shift)
                    }
                    Stored::Fixed { words, first_rows } => {
                        let first_row = first_rows[first / GROUP];
                        Found::of_words(self.scene(), &words[part], first_row, *shift)
                    }
                }
            }
        }
    }

    /// Where the images of a frame have this pixel.
    #[inline(always)]
    pub(super) fn output(&self, frame: usize, column: usize, row: usize) -> usize {
        let [height, width] = self.scene().out;
        let image = frame * self.scene().cameras.len() + self.camera;
        3 * ((image * height + row) * width + column)
    }
}

impl Remapper for Processor {
    fn upload(&self, _batch: &Batch) -> Result<(), Ending> {
        Ok(())
    }

    fn remap(&self, batch: &mut Batch) -> Result<Option<Nanoseconds>, Ending> {
        batch.check(&self.scene)?;
        let Batch {
            frames, outputs, ..
        } = batch;
        let job = Job {
            frames: frames.iter().map(|frame| (**frame).as_ref()).collect(),
            outputs: Shared::new(outputs),
        };
        let (count, cameras) = (job.frames.len(), self.scene.cameras.len());
        let each = |count: usize| (0..count).map(|k| k..k + 1).collect::<Vec<_>>();
        #[allow(
            clippy::single_range_in_vec_init,
            reason = "one part that is everything"
        )]
        let of_frames = match self.settings.order {
            Order::FrameOuter => each(count),
            Order::CameraOuter => vec![0..count],
        };
        #[allow(
            clippy::single_range_in_vec_init,
            reason = "one part that is everything"
        )]
        let of_cameras = match self.settings.fusion {
            Fusion::PerCamera => each(cameras),
            Fusion::AllCameras => vec![0..cameras],
        };
        self.pool.install(|| {
            for frames in of_frames {
                for cameras in &of_cameras {
                    self.part(frames.clone(), cameras.clone(), &job);
                }
            }
        });
        Ok(None)
    }

    fn download(&self, _batch: &mut Batch) -> Result<(), Ending> {
        Ok(())
    }
}
