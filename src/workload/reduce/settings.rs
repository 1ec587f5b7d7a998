//! A configuration as the kernels read it.
use super::exact::Image;
use super::scene::Scene;
use crate::device::Language;
use crate::plan::Declaration;
use crate::space::{Configuration, Parameter};
use crate::trial::Ending;
use crate::value::Value;
use crate::workload::instructions::{InstructionSet, SETS};
use crate::workload::written::{Chosen, names, numbers, unsupported};

/// Which sums are made in loops with a running total; the others read an array that was written before.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Reduce {
    /// The cube `[points][transmits][receivers]`.
    None,
    /// Receivers in a loop: `[points][transmits]` is written.
    Rx,
    /// Transmits in a loop: `[points][receivers]` is written.
    Tx,
    /// Both: nothing but the image is written.
    Both,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Remainder {
    Unrolled,
    Rolled,
}

/// Whose delays and phases come from a table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Hoist {
    Both,
    None,
    Tx,
    Rx,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Phase {
    /// cos and sin of each pair's phase.
    SinCos,
    /// exp(jω τ_tx)·exp(jω τ_rx): each where its own loop is.
    Factored,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Pairs {
    Dense,
    /// Only transmits whose weight is not 0.
    Active,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Interpolation {
    Linear,
    Nearest,
    Cubic,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum LoopOrder {
    Ptr,
    Tpr,
    Trp,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Precision {
    F32,
    F16Storage,
    Bf16Storage,
}

/// What is fetched before it is needed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Prefetch {
    None,
    /// The next transmit's channel data, into a processor's cache.
    NextTransmit,
    /// The next frame, to a GPU that computes meanwhile.
    DoubleBuffer,
}

/// How a vector of points finds its samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Lookup {
    /// Each point loads its own two.
    Gather,
    /// All points look into one or two windows of sixteen samples, in registers.
    Window,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Wavefront {
    Focused,
    Plane,
    Hybrid,
    Blended,
    Unified,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Window {
    Rectangular,
    Hann,
    Hamming,
    Tukey,
    Bartlett,
}

/// Values that `prepare` accepted.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) reduce: Reduce,
    pub(super) unroll: usize,
    pub(super) remainder: Remainder,
    pub(super) hoist: Hoist,
    pub(super) phase: Phase,
    pub(super) pairs: Pairs,
    pub(super) loop_order: LoopOrder,
    pub(super) precision: Precision,
    pub(super) image: Image,
    /// Points whose arrays are in memory at a time; all of them if absent.
    pub(super) chunk: Option<usize>,
    /// Points that a processor's thread takes at a time.
    pub(super) task_points: usize,
    /// Transmits and receivers that the loops around a task's points take at a time; all of them if absent.
    pub(super) transmit_block: Option<usize>,
    pub(super) receiver_block: Option<usize>,
    /// Points of a GPU's group, and threads that share the receivers of one.
    pub(super) group_points: usize,
    pub(super) receiver_split: usize,
    pub(super) prefetch: Prefetch,
    pub(super) lookup: Lookup,
    /// Points along x and z of a vector of sixteen.
    pub(super) patch: [usize; 2],
    pub(super) is_builtin: bool,
    pub(super) set: InstructionSet,
    pub(super) threads: usize,
}

const REDUCES: &[(&str, Reduce)] = &[
    ("none", Reduce::None),
    ("rx", Reduce::Rx),
    ("tx", Reduce::Tx),
    ("rx+tx", Reduce::Both),
];
const REMAINDERS: &[(&str, Remainder)] = &[
    ("unrolled", Remainder::Unrolled),
    ("rolled", Remainder::Rolled),
];
const HOISTS: &[(&str, Hoist)] = &[
    ("tables", Hoist::Both),
    ("recompute", Hoist::None),
    ("tx_table", Hoist::Tx),
    ("rx_table", Hoist::Rx),
];
const PHASES: &[(&str, Phase)] = &[("sincos", Phase::SinCos), ("factored", Phase::Factored)];
const PAIRS: &[(&str, Pairs)] = &[("dense", Pairs::Dense), ("active", Pairs::Active)];
const INTERPOLATIONS: &[(&str, Interpolation)] = &[
    ("linear", Interpolation::Linear),
    ("nearest", Interpolation::Nearest),
    ("cubic", Interpolation::Cubic),
];
const LOOP_ORDERS: &[(&str, LoopOrder)] = &[
    ("ptr", LoopOrder::Ptr),
    ("tpr", LoopOrder::Tpr),
    ("trp", LoopOrder::Trp),
];
const PRECISIONS: &[(&str, Precision)] = &[
    ("f32", Precision::F32),
    ("f16_storage", Precision::F16Storage),
    ("bf16_storage", Precision::Bf16Storage),
];
const PREFETCHES: &[(&str, Prefetch)] = &[
    ("none", Prefetch::None),
    ("next_transmit", Prefetch::NextTransmit),
    ("double_buffer", Prefetch::DoubleBuffer),
];
const LOOKUPS: &[(&str, Lookup)] = &[("gather", Lookup::Gather), ("window", Lookup::Window)];
const PATCHES: &[(&str, [usize; 2])] = &[
    ("4x4", [4, 4]),
    ("8x2", [8, 2]),
    ("16x1", [16, 1]),
    ("2x8", [2, 8]),
    ("1x16", [1, 16]),
];
const SINCOS: &[(&str, bool)] = &[("polynomial", false), ("builtin", true)];
const WAVEFRONTS: &[(&str, Wavefront)] = &[
    ("focused", Wavefront::Focused),
    ("plane", Wavefront::Plane),
    ("hybrid", Wavefront::Hybrid),
    ("blended", Wavefront::Blended),
    ("unified", Wavefront::Unified),
];
const WINDOWS: &[(&str, Window)] = &[
    ("rectangular", Window::Rectangular),
    ("hann", Window::Hann),
    ("hamming", Window::Hamming),
    ("tukey", Window::Tukey),
    ("bartlett", Window::Bartlett),
];

/// What a plan means that does not say.
pub(super) const GROUP_POINTS: usize = 64;
pub(super) const TASK_POINTS: usize = 256;

/// What a plan may say. The first value of each parameter is the published plan's baseline.
pub(super) fn declaration() -> Declaration {
    Declaration {
        name: "reduce".into(),
        parameters: vec![
            names("reduce", REDUCES),
            numbers("unroll", &[1, 2, 4, 8, 16, 32, 33, 49, 50, 64, 98, 99]),
            names("remainder", REMAINDERS),
            names("hoist", HOISTS),
            names("phase", PHASES),
            names("pairs", PAIRS),
            names("interp", INTERPOLATIONS),
            names("loop_order", LOOP_ORDERS),
            names("precision", PRECISIONS),
            numbers("chunk", &[-1, 1024, 4096, 16384]),
            numbers(
                "task_points",
                &[TASK_POINTS as i64, 64, 128, 512, 1024, 4096, 16384],
            ),
            numbers("transmit_block", &[-1, 1, 8, 33, 99]),
            numbers("receiver_block", &[-1, 1, 8, 32]),
            numbers(
                "group_points",
                &[GROUP_POINTS as i64, 32, 128, 256, 512, 1024],
            ),
            numbers("receiver_split", &[1, 2, 4, 8]),
            names("prefetch", PREFETCHES),
            names("lookup", LOOKUPS),
            names("patch", PATCHES),
            names("sincos", SINCOS),
            names("simd", SETS),
            numbers("threads", &[0]),
            names("wavefront", WAVEFRONTS),
            names("window", WINDOWS),
            Parameter {
                name: "fnumber".into(),
                values: [0.0, 1.0, 1.5].map(Value::Float).to_vec(),
            },
            Parameter {
                name: "compensate".into(),
                values: [false, true].map(Value::Bool).to_vec(),
            },
        ],
        ranges: vec![
            ("unroll".into(), 1, 4096),
            ("chunk".into(), 1, 1 << 20),
            ("threads".into(), 0, 1024),
        ],
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
        scene: &Scene,
    ) -> Result<Settings, Ending> {
        let read = chosen(configuration);
        let (set, threads) = read.processors("threads", 0)?;
        let settings = Settings {
            set,
            threads,
            ..Settings::read(&read)?
        };
        match settings.refusal_on_host(scene) {
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
        scene: &Scene,
        language: Language,
    ) -> Result<Settings, Ending> {
        let read = chosen(configuration);
        if read.name("simd", SETS)?.is_some() || read.number("threads", 0, 0)? != 0 {
            return Err(unsupported("simd and threads are a processor's"));
        }
        let settings = Settings::read(&read)?;
        match settings.refusal_on_gpu(scene, language) {
            Some(reason) => Err(unsupported(&reason)),
            None => Ok(settings),
        }
    }

    fn read(read: &Chosen<'_>) -> Result<Settings, Ending> {
        Ok(Settings {
            reduce: read.name("reduce", REDUCES)?,
            unroll: read.count("unroll", 1)?,
            remainder: read.name("remainder", REMAINDERS)?,
            hoist: read.name("hoist", HOISTS)?,
            phase: read.name("phase", PHASES)?,
            pairs: read.name("pairs", PAIRS)?,
            loop_order: read.name("loop_order", LOOP_ORDERS)?,
            precision: read.name("precision", PRECISIONS)?,
            image: Image {
                wavefront: read.name("wavefront", WAVEFRONTS)?,
                window: read.name("window", WINDOWS)?,
                interpolation: read.name("interp", INTERPOLATIONS)?,
                f_number: read.real("fnumber", f64::INFINITY)?,
                is_compensated: read.is_true("compensate")?,
            },
            chunk: read.part("chunk")?,
            task_points: read.count("task_points", TASK_POINTS)?,
            transmit_block: read.part("transmit_block")?,
            receiver_block: read.part("receiver_block")?,
            group_points: read.count("group_points", GROUP_POINTS)?,
            receiver_split: read.count("receiver_split", 1)?,
            prefetch: read.name("prefetch", PREFETCHES)?,
            lookup: read.name("lookup", LOOKUPS)?,
            patch: read.name("patch", PATCHES)?,
            is_builtin: read.name("sincos", SINCOS)?,
            set: InstructionSet::Portable,
            threads: 1,
        })
    }

    /// Transmits and receivers that the loops take at a time; a launch of a GPU has as many.
    pub(super) fn blocks(&self, [transmits, receivers]: [usize; 2]) -> [usize; 2] {
        match self.loop_order {
            LoopOrder::Ptr => [
                self.transmit_block.unwrap_or(transmits),
                self.receiver_block.unwrap_or(receivers),
            ],
            LoopOrder::Tpr => [1, receivers],
            LoopOrder::Trp => [1, 1],
        }
    }

    /// Rounds of the loop that `unroll` is about: over receivers where they are reduced innermost, else over transmits.
    pub(super) fn rounds(&self, scene: &Scene) -> Option<usize> {
        let [transmits, receivers] = self.blocks([scene.sources.len(), scene.elements.len()]);
        match self.reduce {
            Reduce::None => None,
            Reduce::Tx => Some(transmits),
            Reduce::Rx => Some(receivers),
            Reduce::Both => Some(receivers / self.receiver_split),
        }
    }

    /// How often the loop's body is written out: the first round, the loop's, and what remains (WORKLOADS §4a).
    pub(super) fn bodies(&self, scene: &Scene) -> Option<usize> {
        let rounds = self.rounds(scene)?;
        Some(match (self.unroll, self.remainder) {
            (u, _) if u >= rounds => rounds,
            (u, Remainder::Unrolled) => 1 + u + (rounds - 1) % u,
            (u, Remainder::Rolled) => 1 + u + usize::from((rounds - 1) % u > 0),
        })
    }

    /// What the common case is compiled for by itself: linear, factored, the receivers' table at hand.
    pub(super) fn is_plain(&self) -> bool {
        self.image.interpolation == Interpolation::Linear
            && self.phase == Phase::Factored
            && matches!(self.hoist, Hoist::Both | Hoist::Rx)
    }

    /// Values that are written between the loops and the last sums, for `points`.
    pub(super) fn materialized(&self, scene: &Scene, points: usize) -> usize {
        let (receivers, transmits) = (scene.elements.len(), scene.sources.len());
        points
            * match self.reduce {
                Reduce::None => receivers * transmits,
                Reduce::Rx => transmits,
                Reduce::Tx => receivers,
                Reduce::Both => 0,
            }
    }
}

fn chosen(configuration: &Configuration) -> Chosen<'_> {
    Chosen {
        workload: "reduce",
        configuration,
    }
}
