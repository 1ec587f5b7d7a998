//! A configuration as the kernels read it.
use super::geometry::Geometry;
use crate::device::Language;
use crate::plan::Declaration;
use crate::space::{Configuration, Parameter};
use crate::trial::Ending;
use crate::value::Value;
use crate::workload::instructions::{InstructionSet, SETS};
use crate::workload::written::{Chosen, names, numbers, unsupported};

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fusion {
    Staged,
    Partial,
    Fused,
    FusedStore,
    FusedFactored,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Precision {
    F32,
    F16Storage,
    Bf16Storage,
    F16Mixed,
    F16All,
    Bf16All,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Interpolation {
    Linear,
    Nearest,
    Cubic,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Phase {
    /// cos and sin of the whole phase, reduced in cycles.
    SinCos,
    /// The phase of whole samples is in the table; a short polynomial for the rest.
    Factored,
    /// The phase of whole samples from a table of repeated rotations; a short polynomial for the rest.
    Recurrence,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Axis {
    /// Consecutive depths of a column.
    Points,
    /// Consecutive elements, summed across at the end.
    Elements,
    /// 4×4 columns at one depth.
    Patch,
}

/// What is fetched before it is needed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Prefetch {
    None,
    /// The next element's line, into a processor's cache.
    NextLine,
    /// The next batch of signals, to a GPU that computes meanwhile.
    DoubleBuffer,
}

/// Where a GPU's fused kernels read the elements' positions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum ElementMemory {
    Global,
    Shared,
    Constant,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum IqLayout {
    SampleElement,
    ElementSample,
}

/// Values that `prepare` accepted.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) fusion: Fusion,
    pub(super) precision: Precision,
    /// Points of a launch along x, y, z.
    pub(super) chunk: [usize; 3],
    /// Points that a thread takes at a time; on a GPU those of a group.
    pub(super) task_points: usize,
    /// Parts of the elements that are summed apart, by different threads.
    pub(super) element_split: usize,
    pub(super) prefetch: Prefetch,
    pub(super) batch: usize,
    pub(super) interpolation: Interpolation,
    pub(super) layout: IqLayout,
    /// 0: no limit to the aperture.
    pub(super) f_number: f32,
    pub(super) phase: Phase,
    pub(super) is_nearest_first: bool,
    pub(super) axis: Axis,
    /// Of a processor; portable and 1 on a GPU.
    pub(super) set: InstructionSet,
    pub(super) threads: usize,
    pub(super) grouping: Grouping,
}

/// How a GPU's kernels are laid out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Grouping {
    /// Points of a group along z.
    pub(super) depths: usize,
    /// Points of a thread, along z.
    pub(super) thread_points: usize,
    /// Elements that a round of the loops takes.
    pub(super) unroll: usize,
    pub(super) element_memory: ElementMemory,
    /// Whether sine and cosine are the device's own, not polynomials.
    pub(super) is_builtin: bool,
}

/// What a plan means that does not say: the first values of the declaration.
pub(super) const PLAIN: Grouping = Grouping {
    depths: 4,
    thread_points: 1,
    unroll: 1,
    element_memory: ElementMemory::Global,
    is_builtin: false,
};

const FUSIONS: &[(&str, Fusion)] = &[
    ("staged", Fusion::Staged),
    ("partial", Fusion::Partial),
    ("fused", Fusion::Fused),
    ("fused_store", Fusion::FusedStore),
    ("fused_factored", Fusion::FusedFactored),
];
const PRECISIONS: &[(&str, Precision)] = &[
    ("f32", Precision::F32),
    ("f16_storage", Precision::F16Storage),
    ("bf16_storage", Precision::Bf16Storage),
    ("f16_mixed", Precision::F16Mixed),
    ("f16_all", Precision::F16All),
    ("bf16_all", Precision::Bf16All),
];
const INTERPOLATIONS: &[(&str, Interpolation)] = &[
    ("linear", Interpolation::Linear),
    ("nearest", Interpolation::Nearest),
    ("cubic", Interpolation::Cubic),
];
const PHASES: &[(&str, Phase)] = &[
    ("sincos", Phase::SinCos),
    ("factored", Phase::Factored),
    ("recurrence", Phase::Recurrence),
];
const AXES: &[(&str, Axis)] = &[
    ("points", Axis::Points),
    ("elements", Axis::Elements),
    ("patch", Axis::Patch),
];
const LAYOUTS: &[(&str, IqLayout)] = &[
    ("sample_element", IqLayout::SampleElement),
    ("element_sample", IqLayout::ElementSample),
];
const PREFETCHES: &[(&str, Prefetch)] = &[
    ("none", Prefetch::None),
    ("next_line", Prefetch::NextLine),
    ("double_buffer", Prefetch::DoubleBuffer),
];
const ELEMENT_MEMORIES: &[(&str, ElementMemory)] = &[
    ("global", ElementMemory::Global),
    ("shared", ElementMemory::Shared),
    ("constant", ElementMemory::Constant),
];
const SINCOS: &[(&str, bool)] = &[("polynomial", false), ("builtin", true)];
const FIRST_ARRIVALS: &[(&str, bool)] = &[("full", false), ("nearest", true)];

/// What a plan may say. The first value of each parameter is the published plan's baseline.
pub(super) fn declaration() -> Declaration {
    let f_numbers = Parameter {
        name: "fnumber".into(),
        values: [0.0, 1.0, 1.5].map(Value::Float).to_vec(),
    };
    Declaration {
        name: "beamform3d".into(),
        parameters: vec![
            names("fusion", FUSIONS),
            names("precision", PRECISIONS),
            numbers("z_chunk", &[4, 1, 2, 8, 16, 32, 64, -1]),
            numbers("x_chunk", &[-1, 1, 2, 4, 8, 16, 32]),
            numbers("y_chunk", &[-1, 1, 2, 4, 8, 16, 32]),
            numbers("task_points", &[256, 32, 64, 128, 512, 1024]),
            numbers("element_split", &[1, 2, 4, 8]),
            names("prefetch", PREFETCHES),
            numbers("batch", &[1, 2, 5, 10]),
            names("interp", INTERPOLATIONS),
            names("iq_layout", LAYOUTS),
            f_numbers,
            names("phase", PHASES),
            names("first_arrival", FIRST_ARRIVALS),
            names("simd", SETS),
            names("axis", AXES),
            numbers("threads", &[0]),
            numbers("group_z", &[4, 1, 2, 8, 16, 32, 64]),
            numbers("thread_points", &[1, 2, 4, 8]),
            numbers("element_unroll", &[1, 2, 4, 8]),
            names("element_memory", ELEMENT_MEMORIES),
            names("sincos", SINCOS),
        ],
        ranges: vec![("threads".into(), 0, 1024)],
        ..Declaration::default()
    }
}

impl Settings {
    /// For this machine's processors.
    ///
    /// # Errors
    /// `Unsupported` with the reason for a combination that is not implemented here.
    pub(super) fn on_host(
        configuration: &Configuration,
        geometry: &Geometry,
        volumes: usize,
    ) -> Result<Settings, Ending> {
        let read = chosen(configuration);
        let (set, threads) = read.processors("threads", 0)?;
        let settings = Settings {
            set,
            threads,
            ..Settings::read(&read, geometry)?
        };
        match settings.refusal_on_host(geometry, volumes) {
            Some(reason) => Err(unsupported(&reason)),
            None => Ok(settings),
        }
    }

    /// For a GPU whose kernels are written in `language`.
    ///
    /// # Errors
    /// As for `on_host`.
    pub(super) fn on_gpu(
        configuration: &Configuration,
        geometry: &Geometry,
        volumes: usize,
        language: Language,
    ) -> Result<Settings, Ending> {
        let read = chosen(configuration);
        if read.name("simd", SETS)?.is_some() || read.number("threads", 0, 0)? != 0 {
            return Err(unsupported("simd and threads are a processor's"));
        }
        let settings = Settings::read(&read, geometry)?;
        match settings.refusal_on_gpu(geometry, volumes, language) {
            Some(reason) => Err(unsupported(&reason)),
            None => Ok(settings),
        }
    }

    fn read(read: &Chosen<'_>, geometry: &Geometry) -> Result<Settings, Ending> {
        let whole = |chunk: i64, size: usize| {
            if chunk < 0 {
                size
            } else {
                size.min(chunk as usize)
            }
        };
        let [nx, ny, nz] = geometry.shape;
        let count = |name: &str, default: usize| read.count(name, default);
        Ok(Settings {
            fusion: read.name("fusion", FUSIONS)?,
            precision: read.name("precision", PRECISIONS)?,
            chunk: [
                whole(chunk(read, "x_chunk", -1)?, nx),
                whole(chunk(read, "y_chunk", -1)?, ny),
                whole(chunk(read, "z_chunk", 4)?, nz),
            ],
            task_points: count("task_points", 256)?,
            element_split: count("element_split", 1)?,
            prefetch: read.name("prefetch", PREFETCHES)?,
            batch: count("batch", 1)?,
            interpolation: read.name("interp", INTERPOLATIONS)?,
            layout: read.name("iq_layout", LAYOUTS)?,
            f_number: read.real("fnumber", f64::INFINITY)? as f32,
            phase: read.name("phase", PHASES)?,
            is_nearest_first: read.name("first_arrival", FIRST_ARRIVALS)?,
            axis: read.name("axis", AXES)?,
            set: InstructionSet::Portable,
            threads: 1,
            grouping: Grouping {
                depths: count("group_z", PLAIN.depths)?,
                thread_points: count("thread_points", PLAIN.thread_points)?,
                unroll: count("element_unroll", PLAIN.unroll)?,
                element_memory: read.name("element_memory", ELEMENT_MEMORIES)?,
                is_builtin: read.name("sincos", SINCOS)?,
            },
        })
    }

    pub(super) fn batches(&self, volumes: usize) -> usize {
        volumes / self.batch
    }

    pub(super) fn is_emulated(&self) -> bool {
        matches!(
            self.precision,
            Precision::F16Mixed | Precision::F16All | Precision::Bf16All
        )
    }
}

fn chosen(configuration: &Configuration) -> Chosen<'_> {
    Chosen {
        workload: "beamform3d",
        configuration,
    }
}

/// -1: the whole axis.
fn chunk(chosen: &Chosen<'_>, parameter: &str, default: i64) -> Result<i64, Ending> {
    match chosen.number(parameter, default, -1)? {
        0 => Err(chosen.wrong(parameter, "0")),
        n => Ok(n),
    }
}
