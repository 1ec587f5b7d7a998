//! The beamformer on a GPU: the same kernels in WGSL and CUDA, completed with a configuration's constants, and the steps of an
//! invocation: signals to the device, into the form that the kernels read, then a launch a chunk.
use super::fused::{chunks, phasors};
use super::geometry::Geometry;
use super::rotation::Rotation;
use super::settings::{
    ElementMemory, Fusion, Interpolation, IqLayout, Phase, Precision, Prefetch, Settings,
};
use super::task::Tile;
use super::{KERNEL, LOAD, NEAREST, PASSES, STAGES, Shared, UPLOAD, exact};
use crate::device::{Action, Buffer, Gpu, Kernel, Language, Passed, Source, Step};
use crate::space::Configuration;
use crate::trial::Ending;
use crate::value::{Bytes, Nanoseconds, Value};
use crate::workload::Executable;
use crate::workload::recorded::Recorded;
use crate::workload::template::Names;
use std::f64::consts::TAU;
use std::path::Path;
use std::sync::Arc;

const WGSL: &str = include_str!("../../../kernels/beamform3d/beamform3d.wgsl");
const CUDA: &str = include_str!("../../../kernels/beamform3d/beamform3d.cu");

/// Elements are padded to a multiple of the largest element_split × element_unroll.
const ELEMENT_MULTIPLE: usize = 64;

/// Threads of a group in `load` and `nearest_element`.
const LOAD_THREADS: usize = 256;
const NEAREST_THREADS: usize = 64;

/// The entry points of the staged form in the order of its stages, with whether a thread has a pair and not a point.
const STAGED: [(&str, bool); 6] = [
    ("tx_distance", false),
    ("delays", true),
    ("indices", true),
    ("interpolate", true),
    ("rotate", true),
    ("sum", false),
];

/// The constants of the kernels; see the comment at their top.
struct Constants<'a> {
    geometry: &'a Geometry,
    settings: &'a Settings,
    language: Language,
}

impl Constants<'_> {
    fn padded(&self) -> usize {
        self.geometry.elements.next_multiple_of(ELEMENT_MULTIPLE)
    }

    /// Bits of the fraction and exponent of stored signals: 32, 16, or 17 for bfloat16.
    fn storage(&self) -> i64 {
        match self.settings.precision {
            Precision::F32 => 32,
            Precision::F16Storage | Precision::F16Mixed | Precision::F16All => 16,
            Precision::Bf16Storage | Precision::Bf16All => 17,
        }
    }

    fn pair_bytes(&self) -> usize {
        if self.storage() == 32 { 8 } else { 4 }
    }

    fn record_bytes(&self) -> usize {
        match self.settings.phase {
            Phase::Factored => 2 * self.pair_bytes(),
            _ => self.pair_bytes(),
        }
    }

    /// Of delays, of what is interpolated and rotated, of sums.
    fn types(&self) -> [&'static str; 3] {
        let (single, half, brain) = match self.language {
            Language::Wgsl => ("f32", "f16", ""),
            Language::Cuda => ("float", "__half", "__nv_bfloat16"),
        };
        match self.settings.precision {
            Precision::F16Mixed => [single, half, single],
            Precision::F16All => [half; 3],
            Precision::Bf16All => [brain; 3],
            _ => [single; 3],
        }
    }

    fn is_all_half(&self) -> bool {
        matches!(
            self.settings.precision,
            Precision::F16All | Precision::Bf16All
        )
    }

    fn delay_bytes(&self) -> usize {
        if self.is_all_half() { 2 } else { 4 }
    }

    /// Points of a group along x, y, z: what group_z leaves, as square as can be.
    fn group(&self) -> [usize; 3] {
        let depths = self.settings.grouping.depths;
        let columns = (self.settings.task_points / depths).max(1);
        let mut x = 1;
        while (2 * x) * (2 * x) <= columns {
            x *= 2;
        }
        [x, columns / x, depths]
    }

    /// Bytes of a group's memory that CUDA is told at the launch: the distances of fusion=fused_store.
    fn shared_memory(&self) -> Result<u32, Ending> {
        let Settings {
            fusion: Fusion::FusedStore,
            task_points,
            grouping,
            ..
        } = self.settings
        else {
            return Ok(0);
        };
        let bytes = self.padded() * task_points * grouping.thread_points * self.delay_bytes();
        u32::try_from(bytes).map_err(|_| Ending::OverLimit {
            limit: format!(
                "fusion=fused_store keeps {} of distances in a group",
                Bytes(bytes as u64)
            ),
        })
    }

    fn all(&self) -> Vec<(String, Value)> {
        let Constants {
            geometry, settings, ..
        } = self;
        let grouping = &settings.grouping;
        let has_table = matches!(settings.phase, Phase::Factored | Phase::Recurrence);
        let (rate, rotation) = match geometry.cycles {
            _ if !has_table => (1.0, Rotation::long(1.0)),
            cycles if cycles > 0.25 + 1e-9 => (cycles, Rotation::long(cycles)),
            cycles => (cycles, Rotation::short(cycles)),
        };
        let [delay, number, sum] = self.types();
        let [group_x, group_y, group_z] = self.group();
        let [nx, ny, nz] = geometry.shape;
        let is_half = |name: &str| [delay, number, sum].contains(&name);
        let whole = |n: usize| Value::Int(n as i64);
        let text = |t: &str| Value::Text(t.into());
        let all = [
            ("nx", whole(nx)),
            ("ny", whole(ny)),
            ("nz", whole(nz)),
            ("padded", whole(self.padded())),
            ("elements", whole(geometry.elements)),
            ("samples", whole(geometry.samples)),
            ("cycles", real(geometry.cycles)),
            ("start", real(geometry.start)),
            ("late", real(if self.is_all_half() { 6e4 } else { 3e38 })),
            ("scale", real(if self.is_all_half() { 0.25 } else { 1.0 })),
            ("plane", real(f64::from(geometry.plane.unwrap_or(0.0)))),
            ("common_delay", real(geometry.common_delay.unwrap_or(0.0))),
            ("turn", real(TAU * rate)),
            ("cosine", self.horner(&rotation.cosine)),
            ("sine", self.horner(&rotation.sine)),
            ("delay_type", text(delay)),
            ("number_type", text(number)),
            ("sum_type", text(sum)),
            ("storage", Value::Int(self.storage())),
            (
                "has_f16",
                Value::Bool(match self.language {
                    // unpack2x16float needs no f16.
                    Language::Wgsl => is_half("f16"),
                    Language::Cuda => self.storage() == 16,
                }),
            ),
            ("has_bf16", Value::Bool(is_half("__nv_bfloat16"))),
            (
                "is_factored",
                Value::Bool(settings.phase == Phase::Factored),
            ),
            (
                "is_recurrence",
                Value::Bool(settings.phase == Phase::Recurrence),
            ),
            ("is_builtin", Value::Bool(grouping.is_builtin)),
            (
                "is_element_sample",
                Value::Bool(settings.layout == IqLayout::ElementSample),
            ),
            ("is_nearest_first", Value::Bool(settings.is_nearest_first)),
            (
                "interpolation",
                Value::Int(match settings.interpolation {
                    Interpolation::Nearest => 0,
                    Interpolation::Linear => 1,
                    Interpolation::Cubic => 3,
                }),
            ),
            ("has_aperture", Value::Bool(settings.f_number > 0.0)),
            ("twice_f_number", real(2.0 * f64::from(settings.f_number))),
            (
                "element_memory",
                Value::Int(match grouping.element_memory {
                    ElementMemory::Global => 0,
                    ElementMemory::Shared => 1,
                    ElementMemory::Constant => 2,
                }),
            ),
            (
                "is_stored",
                Value::Bool(settings.fusion == Fusion::FusedStore),
            ),
            (
                "takes_out",
                Value::Bool(settings.fusion == Fusion::FusedFactored),
            ),
            ("points", whole(settings.task_points)),
            ("split", whole(settings.element_split)),
            ("depths", whole(grouping.thread_points)),
            ("group_x", whole(group_x)),
            ("group_y", whole(group_y)),
            ("group_z", whole(group_z)),
            ("unroll", whole(grouping.unroll)),
            ("batch", whole(settings.batch)),
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

    /// A polynomial in `q`, constant term first.
    fn horner(&self, terms: &[f32; 7]) -> Value {
        let fma = match self.language {
            Language::Wgsl => "fma",
            Language::Cuda => "fmaf",
        };
        let last = terms.iter().rposition(|c| *c != 0.0).unwrap_or(0);
        let sum = terms[..last]
            .iter()
            .rev()
            .fold(format!("{:e}f", terms[last]), |sum, term| {
                format!("{fma}({sum}, q, {term:e}f)")
            });
        Value::Text(sum)
    }
}

/// A literal that both languages read as a floating-point number.
fn real(value: f64) -> Value {
    Value::Text(format!("{value:e}"))
}

/// The entry points of one configuration.
struct Kernels {
    load: Kernel,
    nearest: Option<Kernel>,
    /// Stage, whether a thread has a pair, kernel.
    passes: Vec<(usize, bool, Kernel)>,
}

impl Kernels {
    fn new(gpu: &dyn Gpu, constants: &Constants<'_>) -> Result<Kernels, Ending> {
        let settings = constants.settings;
        let values = constants.all();
        let (macros, text) = match constants.language {
            Language::Cuda => (values, CUDA.to_owned()),
            Language::Wgsl => {
                let names = Names {
                    configuration: &Configuration::new(values),
                    scratch: Path::new(""),
                };
                let text = names.render(WGSL, "beamform3d.wgsl");
                (vec![], text.map_err(|reason| Ending::Failed { reason })?)
            }
        };
        let (name, options): (_, &[&str]) = match constants.language {
            Language::Wgsl => ("beamform3d.wgsl", &[]),
            // A distance may be wrong in its last bit; denormal ones do not occur.
            Language::Cuda => ("beamform3d.cu", &["--prec-sqrt=false", "--ftz=true"]),
        };
        let options: Vec<String> = options.iter().map(|o| (*o).to_owned()).collect();
        let compile = |entry: &str, threads: usize, shared_memory: u32| {
            gpu.compile(&Source {
                name,
                text: &text,
                entry,
                constants: &macros,
                block: Some([u32::try_from(threads).unwrap_or(u32::MAX), 1, 1]),
                shared_memory,
                options: &options,
            })
        };
        let points = settings.task_points;
        let mut passes = vec![];
        match settings.fusion {
            Fusion::Staged => {
                for (i, (entry, has_pair)) in STAGED.into_iter().enumerate() {
                    passes.push((PASSES + i, has_pair, compile(entry, points, 0)?));
                }
            }
            Fusion::Partial => {
                for entry in ["partial_delays", "partial_sums"] {
                    passes.push((KERNEL, false, compile(entry, points, 0)?));
                }
            }
            _ => {
                let threads = points * settings.element_split;
                let fused = compile("fused", threads, constants.shared_memory()?)?;
                passes.push((KERNEL, false, fused));
            }
        }
        let nearest = settings
            .is_nearest_first
            .then(|| compile("nearest_element", NEAREST_THREADS, 0));
        Ok(Kernels {
            load: compile("load", LOAD_THREADS, 0)?,
            nearest: nearest.transpose()?,
            passes,
        })
    }

    fn compile_time(&self) -> Nanoseconds {
        let passes = self.passes.iter().map(|(_, _, kernel)| kernel);
        let all = passes.chain(&self.nearest).chain([&self.load]);
        Nanoseconds(all.map(|kernel| kernel.compile_time().0).sum())
    }
}

/// Device memory, in the order of the kernels' arguments.
struct Memory {
    axes: Buffer,
    elements: Buffer,
    signals: Buffer,
    nearest: Buffer,
    phasors: Buffer,
    /// Two with prefetch=double_buffer, used in turn.
    raw: Vec<Buffer>,
    /// distance, first, delay, index, weight, value, rotated; those that the form does not use have one word.
    scratch: Vec<(Buffer, u64)>,
    /// Each batch's `[volumes][x][y][z]` (re, im).
    volumes: Vec<(Buffer, u64)>,
    signal_bytes: u64,
    has_constant_elements: bool,
}

impl Memory {
    fn new(
        gpu: &Arc<dyn Gpu>,
        shared: &Shared,
        settings: &Settings,
        constants: &Constants<'_>,
        largest_chunk: usize,
    ) -> Result<Memory, Ending> {
        let Shared { scene, geometry } = shared;
        let padded = constants.padded();
        let allocate = |name: &str, size: usize| gpu.allocate(name, size as u64);
        let filled = |name: &str, values: &[f32]| -> Result<Buffer, Ending> {
            let bytes = bytes_of(values);
            let buffer = allocate(name, bytes.len())?;
            gpu.upload(&buffer, &bytes)?;
            Ok(buffer)
        };
        let late: f32 = if constants.is_all_half() { 6e4 } else { 3e38 };
        let element = |e: usize| {
            let at = e.min(geometry.elements - 1);
            let delay = if e < geometry.elements {
                geometry.delays[e]
            } else {
                late
            };
            [geometry.xe[at], geometry.ye[at], geometry.ze[at], delay]
        };
        let elements: Vec<f32> = (0..padded).flat_map(element).collect();
        let axes = [&geometry.x[..], &geometry.y, &geometry.z].concat();
        let turns: Vec<f32> = phasors(geometry)
            .chunks_exact(4)
            .take(geometry.samples)
            .flat_map(|record| [record[0], record[1]])
            .collect();
        let signal_bytes = settings.batch * geometry.samples * padded * constants.record_bytes();
        let pairs = largest_chunk * padded;
        let sizes = match settings.fusion {
            Fusion::Staged => [
                4 * pairs,
                4 * largest_chunk,
                4 * pairs,
                4 * pairs,
                4 * pairs,
                8 * pairs,
                8 * pairs,
            ],
            Fusion::Partial => [4, 4, 4 * pairs, 4, 4, 8, 8],
            _ => [4, 4, 4, 4, 4, 8, 8],
        };
        let names = [
            "distance", "first", "delay", "index", "weight", "value", "rotated",
        ];
        let mut scratch = vec![];
        for (name, size) in names.into_iter().zip(sizes) {
            scratch.push((allocate(name, size)?, size as u64));
        }
        let batches = settings.batches(scene.frames.len());
        let volume = 8 * settings.batch * scene.points();
        let mut volumes = vec![];
        for _ in 0..batches {
            volumes.push((allocate("volumes", volume)?, volume as u64));
        }
        let ring = if settings.prefetch == Prefetch::DoubleBuffer {
            2
        } else {
            1
        };
        let raw: Result<Vec<Buffer>, Ending> = (0..ring)
            .map(|_| allocate("iq", 8 * settings.batch * scene.samples * geometry.elements))
            .collect();
        Ok(Memory {
            axes: filled("axes", &axes)?,
            elements: filled("elements", &elements)?,
            signals: allocate("signals", signal_bytes)?,
            nearest: allocate("nearest", 4 * geometry.shape[0] * geometry.shape[1])?,
            phasors: filled("phasors", &turns)?,
            raw: raw?,
            scratch,
            volumes,
            signal_bytes: signal_bytes as u64,
            has_constant_elements: settings.grouping.element_memory == ElementMemory::Constant,
        })
    }

    /// What every kernel is given; `chunk` is its box.
    fn arguments(&self, chunk: &Buffer, batch: usize) -> Vec<Passed> {
        let elements = match self.has_constant_elements {
            true => Passed::Constant("elements_in".into(), self.elements.clone()),
            false => Passed::Buffer(self.elements.clone()),
        };
        let after = [
            &self.signals,
            &self.volumes[batch].0,
            &self.nearest,
            &self.phasors,
            &self.raw[batch % self.raw.len()],
        ];
        [
            Passed::Buffer(chunk.clone()),
            Passed::Buffer(self.axes.clone()),
            elements,
        ]
        .into_iter()
        .chain(after.into_iter().cloned().map(Passed::Buffer))
        .chain(
            self.scratch
                .iter()
                .map(|(buffer, _)| Passed::Buffer(buffer.clone())),
        )
        .collect()
    }
}

fn bytes_of(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// Start and size of a chunk, as the kernels read it.
fn box_of(tile: &Tile) -> Vec<u8> {
    let [x, y, z] = [&tile.x, &tile.y, &tile.z];
    let numbers = [
        [x.start, y.start, z.start, 0],
        [x.len(), y.len(), z.len(), 0],
    ];
    let bytes = numbers.as_flattened().iter();
    bytes.flat_map(|n| (*n as u32).to_le_bytes()).collect()
}

/// Compiles what `prepare` will ask for.
pub(super) fn compile(gpu: &dyn Gpu, geometry: &Geometry, settings: &Settings) {
    let constants = Constants {
        geometry,
        settings,
        language: gpu.language(),
    };
    let _ = Kernels::new(gpu, &constants);
}

pub(super) fn prepare(
    gpu: &Arc<dyn Gpu>,
    shared: &Arc<Shared>,
    settings: &Settings,
) -> Result<Box<dyn Executable>, Ending> {
    let Shared { scene, geometry } = &**shared;
    let constants = Constants {
        geometry,
        settings,
        language: gpu.language(),
    };
    let kernels = Kernels::new(&**gpu, &constants)?;
    let points = settings.task_points;

    let chunks = chunks(geometry, settings);
    let size = |tile: &Tile| tile.x.len() * tile.y.len() * tile.z.len();
    let largest = chunks.iter().map(size).max().unwrap_or(0);
    // The peak is this variant's, and not that of one before it.
    gpu.take_peak();
    let memory = Memory::new(gpu, shared, settings, &constants, largest)?;
    let mut boxes = vec![];
    for tile in &chunks {
        let buffer = gpu.allocate("box", 32)?;
        gpu.upload(&buffer, &box_of(tile))?;
        boxes.push(buffer);
    }

    let mut steps = vec![];
    let launch =
        |stage: usize, kernel: &Kernel, chunk: &Buffer, batch: usize, grid: [usize; 3]| Step {
            stage: Some(stage),
            action: Action::Launch {
                kernel: kernel.clone(),
                grid: grid.map(|n| u32::try_from(n).unwrap_or(u32::MAX)),
                arguments: memory.arguments(chunk, batch),
            },
        };
    let [group_x, group_y, group_z] = constants.group();
    for (batch, frames) in scene.frames.chunks(settings.batch).enumerate() {
        let bytes: Vec<u8> = frames
            .iter()
            .flat_map(|frame| bytes_of(frame.as_flattened()))
            .collect();
        steps.push(Step {
            stage: Some(UPLOAD),
            action: Action::Upload {
                to: memory.raw[batch % memory.raw.len()].clone(),
                bytes: bytes.into(),
                is_early: settings.prefetch == Prefetch::DoubleBuffer,
            },
        });
        if let Some(kernel) = kernels.nearest.as_ref().filter(|_| batch == 0) {
            let columns = geometry.shape[0] * geometry.shape[1];
            let grid = [columns.div_ceil(NEAREST_THREADS), 1, 1];
            steps.push(launch(NEAREST, kernel, &boxes[0], batch, grid));
        }
        let records = (constants.padded() * geometry.samples).div_ceil(LOAD_THREADS);
        let grid = [records, settings.batch, 1];
        steps.push(launch(LOAD, &kernels.load, &boxes[0], batch, grid));
        for (tile, chunk) in chunks.iter().zip(&boxes) {
            for (stage, has_pair, kernel) in &kernels.passes {
                let grid = match settings.fusion {
                    Fusion::Staged | Fusion::Partial => {
                        let elements = if *has_pair { constants.padded() } else { 1 };
                        [size(tile).div_ceil(points), elements, 1]
                    }
                    _ => [
                        tile.z
                            .len()
                            .div_ceil(group_z * settings.grouping.thread_points),
                        tile.y.len().div_ceil(group_y),
                        tile.x.len().div_ceil(group_x),
                    ],
                };
                steps.push(launch(*stage, kernel, chunk, batch, grid));
            }
        }
    }
    let recording = gpu.record(&steps)?;
    let written = [(memory.signals, memory.signal_bytes)];
    Ok(Box::new(Recorded {
        peak: gpu.take_peak(),
        gpu: gpu.clone(),
        recording,
        stages: STAGES,
        images: memory.volumes,
        written: memory.scratch.into_iter().chain(written).collect(),
        shape: exact::output_shape(scene),
        build_time: kernels.compile_time(),
        attributes: kernels
            .passes
            .last()
            .map_or(vec![], |(_, _, k)| gpu.attributes(k)),
    }))
}
