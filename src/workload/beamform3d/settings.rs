//! A configuration as the kernels read it, and every combination that none of them implements, with the reason. What is refused
//! here is never silently the same code (WORKLOADS §0.6).
use super::geometry::{Geometry, WIDTH};
use crate::plan::Declaration;
use crate::space::{Configuration, Parameter};
use crate::trial::Ending;
use crate::value::Value;

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

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum InstructionSet {
    Portable,
    Avx2,
    Avx512,
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
    /// Points that a thread takes at a time.
    pub(super) task_points: usize,
    /// Parts of the elements that are summed apart, by different threads.
    pub(super) element_split: usize,
    pub(super) prefetches: bool,
    pub(super) batch: usize,
    pub(super) interpolation: Interpolation,
    pub(super) layout: IqLayout,
    /// 0: no limit to the aperture.
    pub(super) f_number: f32,
    pub(super) phase: Phase,
    pub(super) is_nearest_first: bool,
    pub(super) set: InstructionSet,
    pub(super) axis: Axis,
    pub(super) threads: usize,
}

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
/// `None`: the best that this processor has.
const SETS: &[(&str, Option<InstructionSet>)] = &[
    ("auto", None),
    ("portable", Some(InstructionSet::Portable)),
    ("avx2", Some(InstructionSet::Avx2)),
    ("avx512", Some(InstructionSet::Avx512)),
];
const PREFETCHES: &[(&str, bool)] = &[("none", false), ("next_line", true)];
const FIRST_ARRIVALS: &[(&str, bool)] = &[("full", false), ("nearest", true)];

/// What a plan may say. The first value of each parameter is the published plan's baseline.
pub(super) fn declaration() -> Declaration {
    fn names<T>(name: &str, values: &[(&str, T)]) -> Parameter {
        Parameter {
            name: name.into(),
            values: values
                .iter()
                .map(|(n, _)| Value::Text((*n).into()))
                .collect(),
        }
    }
    let numbers = |name: &str, values: &[i64]| Parameter {
        name: name.into(),
        values: values.iter().map(|v| Value::Int(*v)).collect(),
    };
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
        ],
        ranges: vec![("threads".into(), 0, 1024)],
        ..Declaration::default()
    }
}

impl Settings {
    /// # Errors
    /// `Unsupported` with the reason for a combination that is not implemented here.
    pub(super) fn new(
        configuration: &Configuration,
        geometry: &Geometry,
        volumes: usize,
    ) -> Result<Settings, Ending> {
        let read = Read(configuration);
        let whole = |chunk: i64, size: usize| {
            if chunk < 0 {
                size
            } else {
                size.min(chunk as usize)
            }
        };
        let [nx, ny, nz] = geometry.shape;
        let available = available();
        let set = read
            .name("simd", SETS)?
            .unwrap_or(available[available.len() - 1]);
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let settings = Settings {
            fusion: read.name("fusion", FUSIONS)?,
            precision: read.name("precision", PRECISIONS)?,
            chunk: [
                whole(read.number("x_chunk", -1)?, nx),
                whole(read.number("y_chunk", -1)?, ny),
                whole(read.number("z_chunk", 4)?, nz),
            ],
            task_points: read.number("task_points", 256)? as usize,
            element_split: read.number("element_split", 1)? as usize,
            prefetches: read.name("prefetch", PREFETCHES)?,
            batch: read.number("batch", 1)? as usize,
            interpolation: read.name("interp", INTERPOLATIONS)?,
            layout: read.name("iq_layout", LAYOUTS)?,
            f_number: read.f_number()?,
            phase: read.name("phase", PHASES)?,
            is_nearest_first: read.name("first_arrival", FIRST_ARRIVALS)?,
            set,
            axis: read.name("axis", AXES)?,
            threads: match read.number("threads", 0)? {
                0 => processors,
                n => n as usize,
            },
        };
        if !available.contains(&set) {
            return Err(unsupported(&format!(
                "this processor has no {}",
                name_of(set)
            )));
        }
        if settings.threads > processors {
            return Err(unsupported(&format!(
                "{} threads on {processors} processors",
                settings.threads
            )));
        }
        match settings.refusal(geometry, volumes) {
            Some(reason) => Err(unsupported(&reason)),
            None => Ok(settings),
        }
    }

    pub(super) fn is_emulated(&self) -> bool {
        matches!(
            self.precision,
            Precision::F16Mixed | Precision::F16All | Precision::Bf16All
        )
    }

    fn refusal(&self, geometry: &Geometry, volumes: usize) -> Option<String> {
        let no = |reason: &str| Some(reason.to_owned());
        if !volumes.is_multiple_of(self.batch) {
            return Some(format!(
                "batch={} does not divide problem.volumes={volumes}",
                self.batch
            ));
        }
        if self.is_nearest_first && !geometry.has_nearest() {
            return no(
                "first_arrival=nearest needs a planar array whose elements share one transmit delay",
            );
        }
        if self.element_split > geometry.padded / WIDTH {
            return Some(format!(
                "element_split={} leaves parts with fewer than {WIDTH} of {} elements",
                self.element_split, geometry.elements
            ));
        }
        match self.fusion {
            Fusion::Staged => self.refusal_of_staged(),
            _ if self.is_emulated() => {
                no("arithmetic in half precision is emulated, and only for fusion=staged")
            }
            _ if self.axis == Axis::Patch => self.refusal_of_patch(geometry),
            Fusion::FusedStore if self.is_nearest_first => no(
                "no-op: first_arrival=nearest has no first loop over the elements whose distances fusion=fused_store would keep",
            ),
            Fusion::FusedFactored if self.phase != Phase::SinCos => no(
                "fusion=fused_factored takes the first arrival's phase out of the sum; with phase=factored or recurrence it is in the table",
            ),
            Fusion::Partial | Fusion::FusedFactored if self.axis == Axis::Elements => {
                no("axis=elements is written for fusion=fused and fused_store")
            }
            _ if self.axis == Axis::Elements && self.batch > 1 => {
                no("axis=elements beamforms one volume a call")
            }
            _ if self.axis == Axis::Elements && self.prefetches => {
                no("no-op: axis=elements reads every element's line at once, there is no next one")
            }
            _ if self.phase != Phase::SinCos && geometry.cycles > 1.0 => no(
                "phase=factored and recurrence want at most one carrier cycle a sample (fc <= fs)",
            ),
            _ => None,
        }
    }

    fn refusal_of_staged(&self) -> Option<String> {
        let no = |reason: &str| Some(reason.to_owned());
        match self {
            s if s.axis != Axis::Points => no("fusion=staged goes point by point: axis=points"),
            s if s.phase != Phase::SinCos => {
                no("fusion=staged rotates in a pass of its own: phase=sincos")
            }
            s if s.prefetches => no(
                "no-op: fusion=staged streams through arrays, which the processor prefetches by itself",
            ),
            s if s.batch > 1 => no("fusion=staged beamforms one volume a call"),
            s if s.element_split > 1 => no("fusion=staged sums in one pass: element_split=1"),
            _ => None,
        }
    }

    fn refusal_of_patch(&self, geometry: &Geometry) -> Option<String> {
        let no = |reason: &str| Some(reason.to_owned());
        match self {
            s if s.set != InstructionSet::Avx512 => {
                no("axis=patch looks samples up in AVX-512 registers")
            }
            s if s.fusion != Fusion::Fused => no("axis=patch is written for fusion=fused"),
            s if s.phase != Phase::Factored => no("axis=patch is written for phase=factored"),
            s if s.layout != IqLayout::ElementSample => {
                no("axis=patch needs each element's samples side by side: iq_layout=element_sample")
            }
            s if s.interpolation != Interpolation::Linear => {
                no("axis=patch is written for interp=linear")
            }
            s if s.f_number != 0.0 => no("axis=patch sums the whole aperture: fnumber=0"),
            s if s.batch > 1 => no("axis=patch beamforms one volume a call"),
            _ if geometry.plane.is_none() => no("axis=patch needs a planar array"),
            _ if geometry.cycles > 0.25 + 1e-9 => no(
                "axis=patch has polynomials for at most a quarter of a carrier cycle a sample (fs >= 4 fc)",
            ),
            _ => None,
        }
    }
}

fn unsupported(reason: &str) -> Ending {
    Ending::Unsupported {
        reason: reason.into(),
    }
}

fn name_of(set: InstructionSet) -> &'static str {
    match set {
        InstructionSet::Portable => "portable instructions",
        InstructionSet::Avx2 => "AVX2 with FMA and F16C",
        InstructionSet::Avx512 => "AVX-512 (F, DQ, BW, VL)",
    }
}

/// What this processor has, the best last.
pub(super) fn available() -> Vec<InstructionSet> {
    let mut all = vec![InstructionSet::Portable];
    #[cfg(target_arch = "x86_64")]
    {
        let has_avx2 = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("f16c");
        let has_avx512 = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl");
        if has_avx2 {
            all.push(InstructionSet::Avx2);
        }
        if has_avx2 && has_avx512 {
            all.push(InstructionSet::Avx512);
        }
    }
    all
}

struct Read<'a>(&'a Configuration);

impl Read<'_> {
    /// The first is meant where the configuration is silent.
    fn name<T: Copy>(&self, parameter: &str, values: &[(&str, T)]) -> Result<T, Ending> {
        match self.0.get(parameter) {
            None => Ok(values[0].1),
            Some(Value::Text(name)) => match values.iter().find(|(n, _)| n == name) {
                Some((_, value)) => Ok(*value),
                None => Err(wrong(parameter, name)),
            },
            Some(other) => Err(wrong(parameter, &other.to_string())),
        }
    }

    fn number(&self, parameter: &str, default: i64) -> Result<i64, Ending> {
        match self.0.get(parameter) {
            None => Ok(default),
            Some(Value::Int(v)) if *v > 0 => Ok(*v),
            // The whole axis; all processors.
            Some(Value::Int(-1)) if parameter.ends_with("_chunk") => Ok(-1),
            Some(Value::Int(0)) if parameter == "threads" => Ok(0),
            Some(other) => Err(wrong(parameter, &other.to_string())),
        }
    }

    fn f_number(&self) -> Result<f32, Ending> {
        match self.0.get("fnumber") {
            None => Ok(0.0),
            Some(Value::Float(v)) if *v >= 0.0 => Ok(*v as f32),
            Some(Value::Int(v)) if *v >= 0 => Ok(*v as f32),
            Some(other) => Err(wrong("fnumber", &other.to_string())),
        }
    }
}

fn wrong(parameter: &str, value: &str) -> Ending {
    Ending::Failed {
        reason: format!("beamform3d's {parameter} cannot be `{value}`"),
    }
}
