//! The workload on a GPU: the same kernels in WGSL and CUDA, completed with a configuration's constants, and the steps of an
//! invocation: signals to the device, tables, then loops and sums for each chunk of the points.
use super::scene::Scene;
use super::settings::{
    Hoist, Interpolation, LoopOrder, Pairs, Phase, Precision, Prefetch, Reduce, Remainder,
    Settings, Wavefront, Window,
};
use super::{KERNEL, LOAD, STAGES, SUM, TABLES, UPLOAD, exact};
use crate::device::{Action, Buffer, Gpu, Kernel, Language, Passed, Source, Step};
use crate::space::Configuration;
use crate::trial::Ending;
use crate::value::{Nanoseconds, Value};
use crate::workload::Executable;
use crate::workload::recorded::Recorded;
use crate::workload::template::Names;
use std::path::Path;
use std::sync::Arc;

const WGSL: &str = include_str!("../../../kernels/reduce/reduce.wgsl");
const CUDA: &str = include_str!("../../../kernels/reduce/reduce.cu");

/// Threads of a group in `load`, and samples of a row of its grid: an axis has 65,535 groups.
const LOAD_THREADS: usize = 256;
const LOAD_ROW: usize = 1 << 18;

/// The constants of the kernels; see the comment at their top.
struct Constants<'a> {
    scene: &'a Scene,
    settings: &'a Settings,
    language: Language,
}

impl Constants<'_> {
    /// Points whose arrays are on the device at a time.
    fn chunk(&self) -> usize {
        let all = self.scene.points.len();
        self.settings.chunk.map_or(all, |n| n.min(all))
    }

    /// Bits of a stored number: 32, 16, or 17 for bfloat16.
    fn storage(&self) -> i64 {
        match self.settings.precision {
            Precision::F32 => 32,
            Precision::F16Storage => 16,
            Precision::Bf16Storage => 17,
        }
    }

    fn has_transmit_table(&self) -> bool {
        matches!(self.settings.hoist, Hoist::Both | Hoist::Tx)
    }

    fn has_receive_table(&self) -> bool {
        matches!(self.settings.hoist, Hoist::Both | Hoist::Rx)
    }

    /// Totals that the loops leave of a point.
    fn parts(&self) -> usize {
        self.settings.materialized(self.scene, 1)
    }

    /// Samples a metre.
    fn scale(&self) -> f64 {
        self.scene.fs / self.scene.c
    }

    fn all(&self) -> Vec<(String, Value)> {
        let Constants {
            scene, settings, ..
        } = self;
        let whole = |n: usize| Value::Int(n as i64);
        let lines = scene.hourglass(0);
        let image = &settings.image;
        let reduce = match settings.reduce {
            Reduce::None => (0, "none"),
            Reduce::Rx => (1, "rx"),
            Reduce::Tx => (2, "tx"),
            Reduce::Both => (3, "both"),
        };
        let all = [
            ("transmits", whole(scene.sources.len())),
            ("receivers", whole(scene.elements.len())),
            ("samples", whole(scene.samples)),
            ("chunk", whole(self.chunk())),
            ("cycles", real(scene.f_mod / scene.fs)),
            ("start", real(scene.t_start * scene.fs)),
            ("left_end", real(lines.ends[0] * self.scale())),
            ("right_end", real(lines.ends[1] * self.scale())),
            ("min_aperture", real(scene.min_aperture * self.scale())),
            ("margin", real(scene.margin() * self.scale())),
            ("storage", Value::Int(self.storage())),
            (
                "reduce",
                match self.language {
                    Language::Wgsl => Value::Text(reduce.1.into()),
                    Language::Cuda => Value::Int(reduce.0),
                },
            ),
            ("rounds", whole(settings.rounds(scene).unwrap_or(1))),
            ("unroll", whole(settings.unroll)),
            (
                "is_rolled",
                Value::Bool(settings.remainder == Remainder::Rolled),
            ),
            ("parts", whole(self.parts())),
            (
                "is_factored",
                Value::Bool(settings.phase == Phase::Factored),
            ),
            ("is_active", Value::Bool(settings.pairs == Pairs::Active)),
            ("is_builtin", Value::Bool(settings.is_builtin)),
            ("has_transmit_table", Value::Bool(self.has_transmit_table())),
            ("has_receive_table", Value::Bool(self.has_receive_table())),
            (
                "interpolation",
                Value::Int(match image.interpolation {
                    Interpolation::Nearest => 0,
                    Interpolation::Linear => 1,
                    Interpolation::Cubic => 3,
                }),
            ),
            (
                "wavefront",
                Value::Int(match image.wavefront {
                    Wavefront::Focused => 0,
                    Wavefront::Plane => 1,
                    Wavefront::Hybrid => 2,
                    Wavefront::Blended => 3,
                    Wavefront::Unified => 4,
                }),
            ),
            (
                "window",
                Value::Int(match image.window {
                    Window::Rectangular => 0,
                    Window::Hann => 1,
                    Window::Hamming => 2,
                    Window::Tukey => 3,
                    Window::Bartlett => 4,
                }),
            ),
            ("has_aperture", Value::Bool(image.f_number > 0.0)),
            ("twice_f_number", real(2.0 * image.f_number)),
            ("is_compensated", Value::Bool(image.is_compensated)),
            ("points", whole(settings.group_points)),
            ("split", whole(settings.receiver_split)),
            ("load_row", whole(LOAD_ROW)),
        ];
        let named = |(name, value): (&str, Value)| {
            let name = match self.language {
                Language::Wgsl => name.to_owned(),
                // Macros in small letters would be found in the headers.
                Language::Cuda => name.to_uppercase(),
            };
            (name, value)
        };
        all.into_iter().map(named).collect()
    }
}

/// A literal that both languages read as a floating-point number.
fn real(value: f64) -> Value {
    Value::Text(format!("{value:e}"))
}

/// The source with its constants: in WGSL written into it, in CUDA macros.
struct Text {
    name: &'static str,
    macros: Vec<(String, Value)>,
    text: String,
}

impl Text {
    fn new(constants: &Constants<'_>) -> Result<Text, Ending> {
        let values = constants.all();
        if constants.language == Language::Cuda {
            return Ok(Text {
                name: "reduce.cu",
                macros: values,
                text: CUDA.to_owned(),
            });
        }
        let names = Names {
            configuration: &Configuration::new(values),
            scratch: Path::new(""),
        };
        let text = names.render(WGSL, "reduce.wgsl");
        Ok(Text {
            name: "reduce.wgsl",
            macros: vec![],
            text: text.map_err(|reason| Ending::Failed { reason })?,
        })
    }

    fn compile(&self, gpu: &dyn Gpu, entry: &str, threads: usize) -> Result<Kernel, Ending> {
        gpu.compile(&Source {
            name: self.name,
            text: &self.text,
            entry,
            constants: &self.macros,
            block: Some([u32::try_from(threads).unwrap_or(u32::MAX), 1, 1]),
            shared_memory: 0,
            options: &[],
        })
    }
}

/// The entry points of one configuration; those that it does not need are absent.
struct Kernels {
    load: Option<Kernel>,
    transmit_sides: Option<Kernel>,
    receive_sides: Option<Kernel>,
    loops: Kernel,
    sums: Option<Kernel>,
}

impl Kernels {
    fn new(gpu: &dyn Gpu, constants: &Constants<'_>) -> Result<Kernels, Ending> {
        // What is not unrolled has the same source in all of a sweep, so it is compiled once.
        let rolled = Settings {
            unroll: 1,
            remainder: Remainder::Unrolled,
            loop_order: LoopOrder::Ptr,
            transmit_block: None,
            receiver_block: None,
            ..constants.settings.clone()
        };
        let rolled = Text::new(&Constants {
            settings: &rolled,
            ..*constants
        })?;
        let unrolled = Text::new(constants)?;
        let points = constants.settings.group_points;
        let wanted = |is_wanted: bool, entry: &str, threads: usize| {
            is_wanted
                .then(|| rolled.compile(gpu, entry, threads))
                .transpose()
        };
        Ok(Kernels {
            load: wanted(constants.storage() != 32, "load", LOAD_THREADS)?,
            transmit_sides: wanted(constants.has_transmit_table(), "transmit_sides", points)?,
            receive_sides: wanted(constants.has_receive_table(), "receive_sides", points)?,
            loops: unrolled.compile(gpu, "loops", points * constants.settings.receiver_split)?,
            sums: wanted(constants.parts() > 0, "sums", points)?,
        })
    }

    fn compile_time(&self) -> Nanoseconds {
        let others = [
            &self.load,
            &self.transmit_sides,
            &self.receive_sides,
            &self.sums,
        ];
        let all = others.into_iter().flatten().chain([&self.loops]);
        Nanoseconds(all.map(|kernel| kernel.compile_time().0).sum())
    }
}

/// Device memory, in the order of the kernels' arguments.
struct Memory {
    points: Buffer,
    receivers: Buffer,
    transmits: Buffer,
    /// Two with prefetch=double_buffer, used in turn.
    raw: Vec<Buffer>,
    signals: Buffer,
    transmit_table: Buffer,
    receive_table: Buffer,
    parts: Buffer,
    /// Each frame's `[x][z]` (re, im).
    images: Vec<Buffer>,
    sizes: Sizes,
}

/// Bytes of what a run writes.
#[derive(Clone, Copy)]
struct Sizes {
    signals: usize,
    transmit_table: usize,
    receive_table: usize,
    parts: usize,
    image: usize,
}

impl Memory {
    fn new(gpu: &Arc<dyn Gpu>, constants: &Constants<'_>) -> Result<Memory, Ending> {
        let Constants {
            scene, settings, ..
        } = constants;
        let chunk = constants.chunk();
        let (transmits, receivers) = (scene.sources.len(), scene.elements.len());
        let samples = scene.frames[0].len();
        let sizes = Sizes {
            signals: if constants.storage() == 32 {
                4
            } else {
                4 * samples
            },
            transmit_table: match constants.has_transmit_table() {
                true => 16 * chunk * transmits,
                false => 16,
            },
            receive_table: match constants.has_receive_table() {
                true => 16 * chunk * receivers,
                false => 16,
            },
            parts: (8 * chunk * constants.parts()).max(8),
            image: 8 * scene.points.len(),
        };
        let allocate = |name: &str, size: usize| gpu.allocate(name, size as u64);
        let filled = |name: &str, values: &[f32]| -> Result<Buffer, Ending> {
            let bytes = bytes_of(values);
            let buffer = allocate(name, bytes.len())?;
            gpu.upload(&buffer, &bytes)?;
            Ok(buffer)
        };
        let scale = constants.scale();
        let places = |all: &[[f64; 3]]| -> Vec<f32> {
            let place = |p: &[f64; 3]| {
                let p = p.map(|v| (v * scale) as f32);
                [p[0], p[1], p[2], 0.0]
            };
            all.iter().flat_map(place).collect()
        };
        let transmits: Vec<f32> = (0..transmits)
            .flat_map(|t| transmit(scene, t, scale))
            .collect();
        let ring = match settings.prefetch {
            Prefetch::DoubleBuffer => 2,
            _ => 1,
        };
        let many = |count: usize, name: &str, size: usize| -> Result<Vec<Buffer>, Ending> {
            (0..count).map(|_| allocate(name, size)).collect()
        };
        Ok(Memory {
            points: filled("points", &places(&scene.points))?,
            receivers: filled("receivers", &places(&scene.elements))?,
            transmits: filled("transmits", &transmits)?,
            raw: many(ring, "raw", 8 * samples)?,
            signals: allocate("signals", sizes.signals)?,
            transmit_table: allocate("transmit_table", sizes.transmit_table)?,
            receive_table: allocate("receive_table", sizes.receive_table)?,
            parts: allocate("parts", sizes.parts)?,
            images: many(scene.frames.len(), "image", sizes.image)?,
            sizes,
        })
    }

    fn arguments(&self, chunk: &Buffer, frame: usize) -> Vec<Passed> {
        let all = [
            chunk,
            &self.points,
            &self.receivers,
            &self.transmits,
            &self.raw[frame % self.raw.len()],
            &self.signals,
            &self.transmit_table,
            &self.receive_table,
            &self.parts,
            &self.images[frame],
        ];
        all.into_iter().cloned().map(Passed::Buffer).collect()
    }
}

/// The kernels' `Transmit`.
fn transmit(scene: &Scene, t: usize, scale: f64) -> [f32; 16] {
    let [x, y, z] = scene.sources[t];
    let norm = super::scene::distance([x, y, z], [0.0; 3]) * super::scene::sign(z);
    let lines = scene.hourglass(t);
    [
        x * scale,
        y * scale,
        z * scale,
        norm * scale,
        x / norm,
        y / norm,
        z / norm,
        scene.delays[t] * scene.fs,
        lines.left[0],
        lines.left[1],
        lines.right[0],
        lines.right[1],
        lines.middle[0],
        lines.middle[1],
        1.0 / lines.half_angle().cos(),
        0.0,
    ]
    .map(|v| v as f32)
}

fn bytes_of(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// Compiles what `prepare` will ask for.
pub(super) fn compile(gpu: &dyn Gpu, scene: &Scene, settings: &Settings) {
    let constants = Constants {
        scene,
        settings,
        language: gpu.language(),
    };
    let _ = Kernels::new(gpu, &constants);
}

pub(super) fn prepare(
    gpu: &Arc<dyn Gpu>,
    scene: &Arc<Scene>,
    settings: &Settings,
) -> Result<Box<dyn Executable>, Ending> {
    let constants = Constants {
        scene,
        settings,
        language: gpu.language(),
    };
    let kernels = Kernels::new(&**gpu, &constants)?;
    // Forgets the peak of what was prepared before.
    gpu.take_peak();
    let memory = Memory::new(gpu, &constants)?;
    let chunks = chunks(&constants, &**gpu)?;
    let steps = steps(&constants, &kernels, &memory, &chunks);
    let recording = gpu.record(&steps)?;
    let mut attributes = gpu.attributes(&kernels.loops);
    if let Some(bodies) = settings.bodies(scene) {
        attributes.insert(0, ("unroll_bodies".into(), bodies as f64));
    }
    let sizes = memory.sizes;
    let written = [
        (memory.signals, sizes.signals),
        (memory.transmit_table, sizes.transmit_table),
        (memory.receive_table, sizes.receive_table),
        (memory.parts, sizes.parts),
    ];
    let images = memory.images.into_iter();
    Ok(Box::new(Recorded {
        peak: gpu.take_peak(),
        gpu: gpu.clone(),
        recording,
        stages: STAGES.len(),
        images: images.map(|image| (image, sizes.image as u64)).collect(),
        written: written.map(|(buffer, size)| (buffer, size as u64)).to_vec(),
        shape: exact::output_shape(scene),
        build_time: kernels.compile_time(),
        attributes,
    }))
}

/// Points whose arrays are on the device together, and the launches of their loops.
struct Chunk {
    points: usize,
    launches: Vec<Launch>,
}

/// What one launch of the loops has.
struct Launch {
    told: Buffer,
    transmits: usize,
    receivers: usize,
}

fn chunks(constants: &Constants<'_>, gpu: &dyn Gpu) -> Result<Vec<Chunk>, Ending> {
    let Constants {
        scene, settings, ..
    } = constants;
    let (points, chunk) = (scene.points.len(), constants.chunk());
    let [transmits, receivers] = [scene.sources.len(), scene.elements.len()];
    let [by_transmits, by_receivers] = settings.blocks([transmits, receivers]);
    let mut chunks = vec![];
    for first in (0..points).step_by(chunk) {
        let count = chunk.min(points - first);
        let mut launches = vec![];
        for t in (0..transmits).step_by(by_transmits) {
            for r in (0..receivers).step_by(by_receivers) {
                let of = [
                    by_transmits.min(transmits - t),
                    by_receivers.min(receivers - r),
                ];
                // A sum over one axis begins anew for each block of the other.
                let begins = match settings.reduce {
                    Reduce::None => true,
                    Reduce::Rx => r == 0,
                    Reduce::Tx => t == 0,
                    Reduce::Both => (t, r) == (0, 0),
                };
                let ends = (t + of[0], r + of[1]) == (transmits, receivers);
                let words = [first, count, t, of[0], r, of[1], begins.into(), ends.into()];
                let bytes: Vec<u8> = words
                    .iter()
                    .flat_map(|w| (*w as u32).to_le_bytes())
                    .collect();
                let told = gpu.allocate("box", bytes.len() as u64)?;
                gpu.upload(&told, &bytes)?;
                launches.push(Launch {
                    told,
                    transmits: of[0],
                    receivers: of[1],
                });
            }
        }
        chunks.push(Chunk {
            points: count,
            launches,
        });
    }
    Ok(chunks)
}

/// An invocation: each frame from the host's memory to its image in the device's.
fn steps(
    constants: &Constants<'_>,
    kernels: &Kernels,
    memory: &Memory,
    chunks: &[Chunk],
) -> Vec<Step> {
    let Constants {
        scene, settings, ..
    } = constants;
    let (transmits, receivers) = (scene.sources.len(), scene.elements.len());
    let mut steps = vec![];
    for (frame, samples) in scene.frames.iter().enumerate() {
        steps.push(Step {
            stage: Some(UPLOAD),
            action: Action::Upload {
                to: memory.raw[frame % memory.raw.len()].clone(),
                bytes: bytes_of(samples.as_flattened()).into(),
                is_early: settings.prefetch == Prefetch::DoubleBuffer,
            },
        });
        let mut launch = |stage: usize, kernel: &Kernel, chunk: &Buffer, grid: [usize; 3]| {
            steps.push(Step {
                stage: Some(stage),
                action: Action::Launch {
                    kernel: kernel.clone(),
                    grid: grid.map(|n| u32::try_from(n).unwrap_or(u32::MAX)),
                    arguments: memory.arguments(chunk, frame),
                },
            });
        };
        if let Some(kernel) = &kernels.load {
            let count = samples.len();
            let across = count.min(LOAD_ROW).div_ceil(LOAD_THREADS);
            let grid = [across, count.div_ceil(LOAD_ROW), 1];
            launch(LOAD, kernel, &chunks[0].launches[0].told, grid);
        }
        for chunk in chunks {
            let groups = chunk.points.div_ceil(settings.group_points);
            let told = &chunk.launches[0].told;
            // Tables of all points outlive the first frame, but each frame makes its own: it is an invocation's work.
            if let Some(kernel) = &kernels.transmit_sides {
                launch(TABLES, kernel, told, [groups, transmits, 1]);
            }
            if let Some(kernel) = &kernels.receive_sides {
                launch(TABLES, kernel, told, [groups, receivers, 1]);
            }
            for part in &chunk.launches {
                let grid = match settings.reduce {
                    Reduce::None => [groups, part.transmits, part.receivers],
                    Reduce::Rx => [groups, part.transmits, 1],
                    Reduce::Tx => [groups, part.receivers, 1],
                    Reduce::Both => [groups, 1, 1],
                };
                launch(KERNEL, &kernels.loops, &part.told, grid);
            }
            if let Some(kernel) = &kernels.sums {
                launch(SUM, kernel, told, [groups, 1, 1]);
            }
        }
    }
    steps
}
