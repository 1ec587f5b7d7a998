//! Remapping on a GPU: the same kernels in WGSL and CUDA, completed with a configuration's constants, and what is launched for a
//! batch. Each slot has buffers of its own, so that one batch is copied while another is computed.
use super::definition;
use super::map::{ROW_BITS, Stored, steps};
use super::remapper::{Batch, POISON, Remapper};
use super::scene::{Camera, Scene};
use super::settings::{Fusion, Graphs, Interpolation, Map, Order, Pixels, Precision, Settings};
use crate::device::{
    Action, Buffer, Gpu, Kernel, Language, Passed, Pinned, Recording, Source, Step, Submission,
};
use crate::space::Configuration;
use crate::trial::Ending;
use crate::value::{Bytes, Nanoseconds, Value};
use crate::workload::template::Names;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

const WGSL: &str = include_str!("../../../kernels/e2p/e2p.wgsl");
const CUDA: &str = include_str!("../../../kernels/e2p/e2p.cu");

/// Threads of a group in `load`, each with four pixels.
const LOAD_THREADS: usize = 256;

/// What kernels read pixels as.
#[derive(Clone, Copy, PartialEq)]
enum Layout {
    Bytes,
    Words,
    Halves,
}

impl Layout {
    fn of(settings: &Settings) -> Layout {
        match (settings.precision, settings.pixels) {
            (Precision::F16Pixels, _) => Layout::Halves,
            (_, Pixels::Rgba8) => Layout::Words,
            _ => Layout::Bytes,
        }
    }

    /// Bytes of a pixel that `load` makes.
    fn made(self) -> usize {
        match self {
            Layout::Bytes => 0,
            Layout::Words => 4,
            Layout::Halves => 8,
        }
    }
}

/// A choice as WGSL's templates name it and as CUDA's macros number it.
fn choice(language: Language, name: &str, number: i64) -> Value {
    match language {
        Language::Wgsl => Value::Text(name.into()),
        Language::Cuda => Value::Int(number),
    }
}

/// A literal that both languages read as a floating-point number.
fn real(value: f64) -> Value {
    Value::Text(format!("{value:e}"))
}

/// The constants of the kernels; see the comment at their top.
fn constants(scene: &Scene, settings: &Settings, language: Language) -> Vec<(String, Value)> {
    let whole = |n: usize| Value::Int(n as i64);
    let [[first_x, step_x], [first_y, step_y]] = definition::edges(scene);
    let [height, width] = scene.out;
    let map = match settings.map {
        Map::F32 => choice(language, "f32", 0),
        Map::Fixed => choice(language, "fixed", 1),
        Map::Trig => choice(language, "trig", 2),
    };
    let pixels = match Layout::of(settings) {
        Layout::Bytes => choice(language, "rgb8", 0),
        Layout::Words => choice(language, "rgba8", 1),
        Layout::Halves => choice(language, "f16", 2),
    };
    let interpolation = match settings.interpolation {
        Interpolation::Nearest => 0,
        Interpolation::Bilinear => 1,
        Interpolation::Bicubic => 3,
    };
    let all = [
        ("width", whole(scene.width)),
        ("height", whole(scene.height)),
        ("out_width", whole(width)),
        ("out_height", whole(height)),
        ("stride", whole(super::map::stride(width))),
        ("cameras", whole(scene.cameras.len())),
        ("tile_x", whole(settings.tile[0])),
        ("tile_y", whole(settings.tile[1])),
        ("row_bits", Value::Int(i64::from(ROW_BITS))),
        ("steps", real(steps(scene))),
        ("first_x", real(first_x)),
        ("step_x", real(step_x)),
        ("first_y", real(first_y)),
        ("step_y", real(step_y)),
        ("map", map),
        ("wraps", Value::Bool(scene.mapping.wraps())),
        ("pixels", pixels),
        ("interpolation", Value::Int(interpolation)),
        (
            "is_camera_outer",
            Value::Bool(settings.order == Order::CameraOuter),
        ),
    ];
    let named = |(name, value): (&str, Value)| match language {
        Language::Wgsl => (name.to_owned(), value),
        // Macros in small letters would be found in the headers.
        Language::Cuda => (name.to_uppercase(), value),
    };
    all.into_iter().map(named).collect()
}

/// The entry points of one configuration.
struct Kernels {
    /// Absent where bytes are read as they come.
    load: Option<Kernel>,
    remap: Kernel,
}

impl Kernels {
    fn new(gpu: &dyn Gpu, scene: &Scene, settings: &Settings) -> Result<Kernels, Ending> {
        let values = constants(scene, settings, gpu.language());
        let (name, text, macros) = match gpu.language() {
            Language::Cuda => ("e2p.cu", CUDA.to_owned(), values),
            Language::Wgsl => {
                let names = Names {
                    configuration: &Configuration::new(values),
                    scratch: Path::new(""),
                };
                let text = names.render(WGSL, "e2p.wgsl");
                let text = text.map_err(|reason| Ending::Failed { reason })?;
                ("e2p.wgsl", text, vec![])
            }
        };
        let compile = |entry: &str, block: [usize; 2]| {
            let [x, y] = block.map(|n| n as u32);
            gpu.compile(&Source {
                name,
                text: &text,
                entry,
                constants: &macros,
                block: Some([x, y, 1]),
                shared_memory: 0,
                options: &[],
            })
        };
        let is_loaded = Layout::of(settings) != Layout::Bytes;
        let [across, down] = settings.tile;
        Ok(Kernels {
            load: (is_loaded.then(|| compile("load", [LOAD_THREADS, 1]))).transpose()?,
            remap: compile("remap", [across / 4, down])?,
        })
    }

    fn compile_time(&self) -> Nanoseconds {
        let all = self.load.iter().chain([&self.remap]);
        Nanoseconds(all.map(|kernel| kernel.compile_time().0).sum())
    }
}

/// What every slot reads.
struct Tables {
    cameras: Buffer,
    map: Buffer,
    first_rows: Buffer,
}

/// One batch's memory.
struct Slot {
    frames: Buffer,
    pixels: Buffer,
    images: Buffer,
    /// What is launched for so many frames; made when first needed.
    recordings: Mutex<BTreeMap<usize, Box<dyn Recording>>>,
}

fn words(values: impl IntoIterator<Item = u32>) -> Vec<u8> {
    values.into_iter().flat_map(u32::to_le_bytes).collect()
}

/// A buffer with these bytes; never an empty one, which no device binds.
fn filled(gpu: &dyn Gpu, name: &str, bytes: &[u8]) -> Result<Buffer, Ending> {
    let buffer = gpu.allocate(name, bytes.len().max(16) as u64)?;
    if !bytes.is_empty() {
        gpu.upload(&buffer, bytes)?;
    }
    Ok(buffer)
}

impl Tables {
    fn new(gpu: &dyn Gpu, scene: &Scene, settings: &Settings) -> Result<Tables, Ending> {
        let (sources, maps) = match settings.map {
            Map::Trig => {
                let shift = |camera: &Camera| {
                    let turns = camera.yaw / 360.0;
                    (
                        0,
                        (turns * scene.width as f64).rem_euclid(scene.width as f64),
                    )
                };
                (scene.cameras.iter().map(shift).collect(), vec![])
            }
            _ => scene.maps(settings)?,
        };
        let mut cameras = vec![];
        for (camera, (map, shift)) in scene.cameras.iter().zip(sources) {
            for row in definition::tilt(*camera) {
                cameras.extend(row.map(|v| (v as f32).to_bits()));
                cameras.push(0);
            }
            cameras.extend([(shift as f32).to_bits(), map as u32, 0, 0]);
        }
        let (mut places, mut first) = (vec![], vec![]);
        for map in &maps {
            match &map.stored {
                Stored::F32 { columns, rows } => {
                    let pairs = columns.iter().zip(rows);
                    places.extend(pairs.flat_map(|(u, v)| [u.to_bits(), v.to_bits()]));
                }
                Stored::Fixed { words, first_rows } => {
                    places.extend(words);
                    first.extend(first_rows.iter().map(|row| u32::from(*row)));
                }
            }
        }
        Ok(Tables {
            cameras: filled(gpu, "cameras", &words(cameras))?,
            map: filled(gpu, "map", &words(places))?,
            first_rows: filled(gpu, "rows of the map", &words(first))?,
        })
    }
}

impl Slot {
    fn new(gpu: &dyn Gpu, scene: &Scene, settings: &Settings) -> Result<Slot, Ending> {
        let frames = settings.batch * scene.frame_bytes();
        let pixels = settings.batch * scene.width * scene.height * Layout::of(settings).made();
        let images = settings.batch * scene.images_bytes();
        Ok(Slot {
            frames: gpu.allocate("frames", frames as u64)?,
            pixels: gpu.allocate("pixels", pixels.max(16) as u64)?,
            images: gpu.allocate("images", images as u64)?,
            recordings: Mutex::default(),
        })
    }
}

/// Compiles what `prepare` will ask for.
pub(super) fn compile(gpu: &dyn Gpu, scene: &Scene, settings: &Settings) {
    let _ = Kernels::new(gpu, scene, settings);
}

pub(super) fn prepare(
    gpu: &Arc<dyn Gpu>,
    scene: &Arc<Scene>,
    settings: &Settings,
    slots: usize,
) -> Result<Box<dyn Remapper>, Ending> {
    let kernels = Kernels::new(&**gpu, scene, settings)?;
    // Forgets the peak of what was prepared before.
    gpu.take_peak();
    let tables = Tables::new(&**gpu, scene, settings)?;
    let slots = (0..slots)
        .map(|_| Slot::new(&**gpu, scene, settings))
        .collect::<Result<_, _>>()?;
    Ok(Box::new(OnGpu {
        peak: gpu.take_peak(),
        attributes: gpu.attributes(&kernels.remap),
        gpu: gpu.clone(),
        scene: scene.clone(),
        settings: *settings,
        kernels,
        tables,
        slots,
    }))
}

struct OnGpu {
    gpu: Arc<dyn Gpu>,
    scene: Arc<Scene>,
    settings: Settings,
    kernels: Kernels,
    tables: Tables,
    slots: Vec<Slot>,
    peak: Bytes,
    attributes: Vec<(String, f64)>,
}

impl OnGpu {
    /// What is launched for so many frames of a slot.
    fn record(&self, slot: &Slot, frames: usize) -> Result<Box<dyn Recording>, Ending> {
        let (scene, settings) = (&*self.scene, &self.settings);
        let cameras = scene.cameras.len();
        let boxed = |first: usize, count: usize| {
            let bytes = words([first as u32, count as u32, frames as u32, 0]);
            filled(&*self.gpu, "box", &bytes)
        };
        let step = |kernel: &Kernel, grid: [usize; 3], boxed: &Buffer| {
            let buffers = [
                boxed,
                &slot.frames,
                &slot.pixels,
                &self.tables.cameras,
                &self.tables.map,
                &self.tables.first_rows,
                &slot.images,
            ];
            Step {
                stage: None,
                action: Action::Launch {
                    kernel: kernel.clone(),
                    grid: grid.map(|n| u32::try_from(n).unwrap_or(u32::MAX)),
                    arguments: buffers.into_iter().cloned().map(Passed::Buffer).collect(),
                },
            }
        };
        let mut steps = vec![];
        if let Some(load) = &self.kernels.load {
            let groups = (scene.width * scene.height / 4).div_ceil(LOAD_THREADS);
            steps.push(step(load, [groups, 1, frames], &boxed(0, cameras)?));
        }
        let [height, width] = scene.out;
        let [across, down] = settings.tile;
        let by = match settings.fusion {
            Fusion::PerCamera => 1,
            Fusion::AllCameras => cameras,
        };
        let deep = match settings.order {
            Order::FrameOuter => by * frames,
            Order::CameraOuter => by,
        };
        let grid = [width.div_ceil(across), height.div_ceil(down), deep];
        for first in (0..cameras).step_by(by) {
            steps.push(step(&self.kernels.remap, grid, &boxed(first, by)?));
        }
        let submission = match settings.graphs {
            Graphs::None => Submission::OneByOne,
            Graphs::PerCamera => Submission::GraphForEach,
            Graphs::PerBatch => Submission::AtOnce,
        };
        self.gpu.record_for(&steps, submission)
    }
}

impl Remapper for OnGpu {
    fn upload(&self, batch: &Batch) -> Result<(), Ending> {
        batch.check(&self.scene)?;
        let slot = &self.slots[batch.slot];
        let size = self.scene.frame_bytes() as u64;
        for (k, frame) in (0..).zip(&batch.frames) {
            (self.gpu).upload_at(&slot.frames, k * size, (**frame).as_ref())?;
        }
        Ok(())
    }

    fn remap(&self, batch: &mut Batch) -> Result<Option<Nanoseconds>, Ending> {
        let slot = &self.slots[batch.slot];
        let mut recordings = (slot.recordings.lock()).unwrap_or_else(PoisonError::into_inner);
        let count = batch.frames.len();
        let recording = match recordings.entry(count) {
            Entry::Occupied(made) => made.into_mut(),
            Entry::Vacant(place) => place.insert(self.record(slot, count)?),
        };
        Ok(recording.run()?.device)
    }

    fn download(&self, batch: &mut Batch) -> Result<(), Ending> {
        let slot = &self.slots[batch.slot];
        self.gpu.download_into(&slot.images, &mut batch.outputs)
    }

    fn pin(&self, size: usize) -> Result<Pinned, Ending> {
        self.gpu.pin(size)
    }

    fn poison(&self) {
        let images = vec![POISON; self.settings.batch * self.scene.images_bytes()];
        for slot in &self.slots {
            // What cannot be overwritten will show as an error of the run that follows.
            let _ = self.gpu.upload(&slot.images, &images);
        }
    }

    fn build_time(&self) -> Option<Nanoseconds> {
        Some(self.kernels.compile_time())
    }

    fn attributes(&self) -> Vec<(String, f64)> {
        self.attributes.clone()
    }

    fn device_peak(&self) -> Bytes {
        self.peak
    }
}
