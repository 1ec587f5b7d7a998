//! A configuration as the kernels and the pipeline read it.
use super::velocity::Lookup;
use crate::plan::Declaration;
use crate::space::Configuration;
use crate::trial::Ending;
use crate::workload::instructions::{InstructionSet, SETS};
use crate::workload::written::{Chosen, names, numbers, unsupported};

/// In which order contributions are summed up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Traversal {
    /// A node collects from all traces.
    TileGather,
    /// A trace gives to all nodes of its aperture.
    TraceScatter,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum TileOrder {
    RowMajor,
    Snake,
    Hilbert,
}

/// How traces come from the disk to the kernel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Io {
    /// Read as bytes, turned into numbers in the cache, copied for the kernel.
    Copy2,
    /// Read straight into the cache, copied for the kernel.
    Copy1,
    /// The kernel reads the file as it is mapped.
    ZeroCopy,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Precision {
    F32,
    F16Storage,
    Bf16Storage,
}

/// What the lanes of a vector are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Axis {
    /// Traces, at one node; summed across at the end.
    Traces,
    /// Consecutive times of a pillar.
    Time,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Aperture {
    Fixed,
    DepthAdaptive,
    Dip,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Mute {
    Off,
    Outer,
    Stretch,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Interpolation {
    Linear,
    Nearest,
    Cubic,
    Sinc8,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum AntiAlias {
    None,
    Weight,
    Triangle,
}

/// Everything that changes the image and not only the way to it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Imaging {
    pub(super) aperture: Aperture,
    pub(super) mute: Mute,
    pub(super) velocity: Lookup,
    pub(super) interpolation: Interpolation,
    /// Every so many times are computed, the others interpolated.
    pub(super) time_step: usize,
    pub(super) anti_alias: AntiAlias,
    pub(super) has_spreading: bool,
    pub(super) has_obliquity: bool,
}

/// The published definition.
pub(super) const PLAIN: Imaging = Imaging {
    aperture: Aperture::Fixed,
    mute: Mute::Off,
    velocity: Lookup::CentrePillar,
    interpolation: Interpolation::Linear,
    time_step: 1,
    anti_alias: AntiAlias::None,
    has_spreading: false,
    has_obliquity: false,
};

impl Imaging {
    /// Whether a pair's weight is one number and its interpolation linear: what the quick kernel computes.
    pub(super) fn is_simple(&self) -> bool {
        self.aperture != Aperture::Dip
            && self.mute == Mute::Off
            && self.interpolation == Interpolation::Linear
            && self.anti_alias == AntiAlias::None
            && !self.has_spreading
            && !self.has_obliquity
    }
}

/// Values that `prepare` accepted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Settings {
    pub(super) traversal: Traversal,
    /// Nodes along x and y.
    pub(super) tile: [usize; 2],
    pub(super) tile_order: TileOrder,
    pub(super) memory_percent: usize,
    pub(super) cache_percent: usize,
    pub(super) io: Io,
    /// Loads that are read ahead.
    pub(super) prefetch: usize,
    pub(super) tiles_in_flight: usize,
    pub(super) bins_in_flight: usize,
    /// Nodes of a task or a group of threads along x, y, t.
    pub(super) group: [usize; 3],
    pub(super) trace_batch: usize,
    pub(super) axis: Axis,
    /// Of a processor; portable and 1 on a GPU.
    pub(super) set: InstructionSet,
    pub(super) threads: usize,
    /// Whether a group keeps its stretch of the velocity at hand.
    pub(super) is_velocity_local: bool,
    pub(super) precision: Precision,
    pub(super) imaging: Imaging,
}

const TRAVERSALS: &[(&str, Traversal)] = &[
    ("tile_gather", Traversal::TileGather),
    ("trace_scatter", Traversal::TraceScatter),
];
const TILE_ORDERS: &[(&str, TileOrder)] = &[
    ("row_major", TileOrder::RowMajor),
    ("snake", TileOrder::Snake),
    ("hilbert", TileOrder::Hilbert),
];
const IOS: &[(&str, Io)] = &[
    ("copy2", Io::Copy2),
    ("copy1", Io::Copy1),
    ("zero_copy", Io::ZeroCopy),
];
const PRECISIONS: &[(&str, Precision)] = &[
    ("f32", Precision::F32),
    ("f16_storage", Precision::F16Storage),
    ("bf16_storage", Precision::Bf16Storage),
];
const AXES: &[(&str, Axis)] = &[("traces", Axis::Traces), ("time", Axis::Time)];
const APERTURES: &[(&str, Aperture)] = &[
    ("fixed", Aperture::Fixed),
    ("depth_adaptive", Aperture::DepthAdaptive),
    ("dip", Aperture::Dip),
];
const MUTES: &[(&str, Mute)] = &[
    ("off", Mute::Off),
    ("outer", Mute::Outer),
    ("stretch", Mute::Stretch),
];
const VELOCITIES: &[(&str, Lookup)] = &[
    ("centre_pillar", Lookup::CentrePillar),
    ("cube_nearest", Lookup::Nearest),
    ("cube_trilinear", Lookup::Trilinear),
];
const INTERPOLATIONS: &[(&str, Interpolation)] = &[
    ("linear", Interpolation::Linear),
    ("nearest", Interpolation::Nearest),
    ("cubic", Interpolation::Cubic),
    ("sinc8", Interpolation::Sinc8),
];
const ANTI_ALIASES: &[(&str, AntiAlias)] = &[
    ("none", AntiAlias::None),
    ("weight", AntiAlias::Weight),
    ("triangle", AntiAlias::Triangle),
];
const VELOCITY_MEMORIES: &[(&str, bool)] = &[("global", false), ("local", true)];
const SWITCH: &[(&str, bool)] = &[("off", false), ("on", true)];

/// What a plan may say. The first value of each parameter is the published plan's baseline.
pub(super) fn declaration() -> Declaration {
    Declaration {
        name: "pstm".into(),
        parameters: vec![
            numbers("tile_x", &[512, 256, 128, 64, 32, 16, 12, 8, 6, 4]),
            numbers("tile_y", &[512, 256, 128, 64, 32, 16, 12, 8, 6, 4]),
            names("tile_order", TILE_ORDERS),
            names("traversal", TRAVERSALS),
            numbers("memory_percent", &[70, 50, 90]),
            numbers("cache_percent", &[15, 20, 25]),
            names("io", IOS),
            numbers("prefetch", &[0, 1, 2]),
            numbers("tg_x", &[4, 1, 2, 8, 16]),
            numbers("tg_y", &[4, 1, 2, 8, 16]),
            numbers("tg_t", &[64, 4, 8, 16, 32, 128, 256]),
            names("axis", AXES),
            numbers("trace_batch", &[1, 2, 4, 8, 16]),
            names("velocity_memory", VELOCITY_MEMORIES),
            names("precision", PRECISIONS),
            numbers("tiles_in_flight", &[1, 2, 3]),
            numbers("bins_in_flight", &[1, 2, 3]),
            names("aperture", APERTURES),
            names("mute", MUTES),
            names("velocity", VELOCITIES),
            names("interp", INTERPOLATIONS),
            numbers("time_step", &[1, 2, 4, 8]),
            names("anti_alias", ANTI_ALIASES),
            names("spreading", SWITCH),
            names("obliquity", SWITCH),
            names("simd", SETS),
            numbers("threads", &[0]),
        ],
        ranges: vec![
            ("tile_x".into(), 1, 8192),
            ("tile_y".into(), 1, 8192),
            ("memory_percent".into(), 1, 100),
            ("cache_percent".into(), 1, 90),
            ("threads".into(), 0, 1024),
        ],
        ..Declaration::default()
    }
}

impl Settings {
    /// For this machine's processors; `bins` are the problem's.
    ///
    /// # Errors
    /// `Unsupported` with the reason for a combination that is not implemented here.
    pub(super) fn on_host(configuration: &Configuration, bins: usize) -> Result<Settings, Ending> {
        let chosen = chosen(configuration);
        let (set, threads) = chosen.processors("threads", 0)?;
        let settings = Settings {
            set,
            threads,
            ..Settings::read(&chosen)?
        };
        match settings
            .refusal_anywhere(bins)
            .or(settings.refusal_on_host())
        {
            Some(reason) => Err(unsupported(&reason)),
            None => Ok(settings),
        }
    }

    /// For a GPU.
    ///
    /// # Errors
    /// As for `on_host`.
    pub(super) fn on_gpu(configuration: &Configuration, bins: usize) -> Result<Settings, Ending> {
        let chosen = chosen(configuration);
        if chosen.name("simd", SETS)?.is_some()
            || chosen.number("threads", 0, 0)? != 0
            || chosen.name("axis", AXES)? != Axis::Traces
        {
            return Err(unsupported(
                "simd, threads and axis are a processor's; on a GPU every node is a thread",
            ));
        }
        let settings = Settings::read(&chosen)?;
        match settings
            .refusal_anywhere(bins)
            .or(settings.refusal_on_gpu())
        {
            Some(reason) => Err(unsupported(&reason)),
            None => Ok(settings),
        }
    }

    fn read(chosen: &Chosen<'_>) -> Result<Settings, Ending> {
        Ok(Settings {
            traversal: chosen.name("traversal", TRAVERSALS)?,
            tile: [chosen.count("tile_x", 512)?, chosen.count("tile_y", 512)?],
            tile_order: chosen.name("tile_order", TILE_ORDERS)?,
            memory_percent: chosen.count("memory_percent", 70)?,
            cache_percent: chosen.count("cache_percent", CACHE_PERCENT)?,
            io: chosen.name("io", IOS)?,
            prefetch: chosen.number("prefetch", 0, 0)? as usize,
            tiles_in_flight: chosen.count("tiles_in_flight", 1)?,
            bins_in_flight: chosen.count("bins_in_flight", 1)?,
            group: [
                chosen.count("tg_x", 4)?,
                chosen.count("tg_y", 4)?,
                chosen.count("tg_t", 64)?,
            ],
            trace_batch: chosen.count("trace_batch", 1)?,
            axis: chosen.name("axis", AXES)?,
            set: InstructionSet::Portable,
            threads: 1,
            is_velocity_local: chosen.name("velocity_memory", VELOCITY_MEMORIES)?,
            precision: chosen.name("precision", PRECISIONS)?,
            imaging: Imaging {
                aperture: chosen.name("aperture", APERTURES)?,
                mute: chosen.name("mute", MUTES)?,
                velocity: chosen.name("velocity", VELOCITIES)?,
                interpolation: chosen.name("interp", INTERPOLATIONS)?,
                time_step: chosen.count("time_step", 1)?,
                anti_alias: chosen.name("anti_alias", ANTI_ALIASES)?,
                has_spreading: chosen.name("spreading", SWITCH)?,
                has_obliquity: chosen.name("obliquity", SWITCH)?,
            },
        })
    }

    fn refusal_anywhere(&self, bins: usize) -> Option<String> {
        let no = |reason: &str| Some(reason.to_owned());
        if self.bins_in_flight > bins {
            return Some(format!(
                "{} bins in flight, but the problem has {bins} (problem.bins)",
                self.bins_in_flight
            ));
        }
        match self.io {
            Io::ZeroCopy if self.cache_percent != CACHE_PERCENT => {
                no("io=zero_copy has no trace cache: the system keeps the pages")
            }
            Io::ZeroCopy if self.prefetch > 0 => {
                no("io=zero_copy reads nothing ahead: pages come when they are touched")
            }
            _ => None,
        }
    }

    fn refusal_on_host(&self) -> Option<String> {
        let no = |reason: &str| Some(reason.to_owned());
        let lanes = self.set.lanes();
        match self.axis {
            Axis::Time if self.group[2] < lanes => Some(format!(
                "tg_t={} with axis=time: a vector has {lanes} times",
                self.group[2]
            )),
            Axis::Time => None,
            Axis::Traces if self.trace_batch > 1 => {
                no("trace_batch is of axis=time: lanes over traces take a vector of traces at once")
            }
            Axis::Traces if self.traversal == Traversal::TraceScatter => no(
                "traversal=trace_scatter takes a trace at a time, so its lanes are times (axis=time)",
            ),
            Axis::Traces if !self.imaging.is_simple() => no(
                "weights that change along time, other interpolations and the dip aperture have kernels with axis=time",
            ),
            Axis::Traces => None,
        }
    }

    fn refusal_on_gpu(&self) -> Option<String> {
        let no = |reason: &str| Some(reason.to_owned());
        if self.io == Io::ZeroCopy {
            return no(
                "io=zero_copy: the device layer maps no file into a GPU's memory; buffers are uploaded",
            );
        }
        if self.is_velocity_local && self.imaging.velocity != Lookup::CentrePillar {
            return no(
                "velocity_memory=local keeps the times of one pillar; with a cube every pillar has its own",
            );
        }
        if self.traversal == Traversal::TraceScatter {
            if self.trace_batch > 1 {
                return no(
                    "trace_batch unrolls a node's loop over traces; traversal=trace_scatter has none",
                );
            }
            if self.is_velocity_local {
                return no(
                    "velocity_memory=local with traversal=trace_scatter: its groups have no stretch of times of their own",
                );
            }
        }
        None
    }
}

const CACHE_PERCENT: usize = 15;

fn chosen(configuration: &Configuration) -> Chosen<'_> {
    Chosen {
        workload: "pstm",
        configuration,
    }
}
