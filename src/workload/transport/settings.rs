//! A configuration as the operators read it.
use super::beam::{Beam, Grid};
use super::form::{CellOrder, Direction, Form, Fusion, Parallel, Sparse};
use super::physics::Deflection;
use super::tables::Physics;
use crate::plan::Declaration;
use crate::space::{Configuration, Parameter};
use crate::trial::Ending;
use crate::value::Value;
use crate::workload::instructions::{InstructionSet, SETS};
use crate::workload::written::{Chosen, names, numbers, unsupported};

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Precision {
    F32,
    F16Storage,
    /// Weights are stored times 2^15, so that fewer of them are too small for a half.
    F16Scaled,
    Bf16Storage,
}

/// Cells of a reduced grid, as parts of the problem's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Reduction {
    places: f64,
    angles: f64,
    energies: f64,
}

/// How a GPU's groups are laid out over the places of an energy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Grouping {
    pub(super) x: usize,
    pub(super) z: usize,
}

/// What a plan means that does not say.
pub(super) const PLAIN: Grouping = Grouping { x: 32, z: 4 };

/// Energies of a task, or of a GPU's group, where a plan does not say.
pub(super) const BAND: usize = 8;

/// Values that `prepare` accepted.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) precision: Precision,
    pub(super) grid: Grid,
    pub(super) physics: Physics,
    pub(super) order: CellOrder,
    pub(super) form: Form,
    pub(super) grouping: Grouping,
}

const FUSIONS: &[(&str, Fusion)] = &[
    ("none", Fusion::None),
    ("theta_stream", Fusion::ThetaStream),
    ("stream_energy", Fusion::StreamEnergy),
    ("all", Fusion::All),
];
const ORDERS: &[(&str, CellOrder)] = &[
    ("energy_angle_place", CellOrder::EnergyAnglePlace),
    ("energy_place_angle", CellOrder::EnergyPlaceAngle),
    ("place_energy_angle", CellOrder::PlaceEnergyAngle),
];
const PRECISIONS: &[(&str, Precision)] = &[
    ("f32", Precision::F32),
    ("f16_storage", Precision::F16Storage),
    ("f16_scaled", Precision::F16Scaled),
    ("bf16_storage", Precision::Bf16Storage),
];
/// The published rows: 40×40×72×200, 40×40×36×200, 30×30×72×140, 30×30×48×140, 25×25×36×120.
const GRIDS: &[(&str, Reduction)] = &[
    ("full", reduced(1.0, 1.0, 1.0)),
    ("half_angles", reduced(1.0, 0.5, 1.0)),
    ("coarse", reduced(0.75, 1.0, 0.7)),
    ("coarse_angles", reduced(0.75, 2.0 / 3.0, 0.7)),
    ("coarsest", reduced(0.625, 0.5, 0.6)),
];
const STREAMING: &[(&str, Direction)] = &[
    ("gather", Direction::Gather),
    ("scatter", Direction::Scatter),
];
const ENERGY: &[(&str, Direction)] = &[
    ("scatter", Direction::Scatter),
    ("gather", Direction::Gather),
];
const KERNELS: &[(&str, usize)] = &[
    ("per_energy", 0),
    ("buckets_32", 32),
    ("buckets_10", 10),
    ("buckets_8", 8),
];
const SPARSE: &[(&str, Sparse)] = &[
    ("none", Sparse::None),
    ("planes", Sparse::Planes),
    ("rows", Sparse::Rows),
    ("box", Sparse::Box),
];
const SPLITTINGS: &[(&str, bool)] = &[("lie", false), ("strang", true)];
const STEPS: &[(&str, bool)] = &[("exact", false), ("first_order", true)];
const DEFLECTIONS: &[(&str, Deflection)] = &[
    ("highland", Deflection::Highland),
    ("rossi", Deflection::Rossi),
];
const PREFETCHES: &[(&str, bool)] = &[("none", false), ("next_plane", true)];
const PARALLEL: &[(&str, Parallel)] = &[
    ("threads", Parallel::Threads),
    ("pipes", Parallel::Pipes),
    ("shared_memory", Parallel::SharedMemory),
];

const fn reduced(places: f64, angles: f64, energies: f64) -> Reduction {
    Reduction {
        places,
        angles,
        energies,
    }
}

impl Reduction {
    fn of(self, grid: Grid) -> Grid {
        let part = |count: usize, share: f64| ((count as f64 * share).round() as usize).max(2);
        Grid {
            nx: part(grid.nx, self.places),
            nz: part(grid.nz, self.places),
            angles: part(grid.angles, self.angles),
            energies: part(grid.energies, self.energies),
        }
    }
}

/// What a plan may say. The first value of each parameter is the published plan's baseline: three operators, one after the other,
/// on one core.
pub(super) fn declaration() -> Declaration {
    let cutoff = Parameter {
        name: "cutoff".into(),
        values: [0.0, 1e-15, 1e-12, 1e-9].map(Value::Float).to_vec(),
    };
    Declaration {
        name: "transport".into(),
        parameters: vec![
            names("fusion", FUSIONS),
            names("precision", PRECISIONS),
            names("layout", ORDERS),
            names("grid", GRIDS),
            names("streaming", STREAMING),
            names("energy", ENERGY),
            names("kernel", KERNELS),
            names("sparse", SPARSE),
            cutoff,
            names("splitting", SPLITTINGS),
            names("step", STEPS),
            names("scattering", DEFLECTIONS),
            numbers("z_tile", &[-1, 1, 2, 4, 8, 16, 32]),
            numbers("theta_block", &[4, 1, 2, 8]),
            numbers("energy_block", &[8, 1, 2, 4, 16, 32, 64]),
            names("prefetch", PREFETCHES),
            names("parallel", PARALLEL),
            numbers("workers", &[1, 0]),
            names("simd", SETS),
            numbers("group_x", &[32, 8, 16, 64, 128]),
            numbers("group_z", &[4, 1, 2, 8, 16, 32]),
        ],
        ranges: vec![("workers".into(), 0, 1024)],
        ..Declaration::default()
    }
}

impl Settings {
    /// For this machine's processors.
    ///
    /// # Errors
    /// `Unsupported` with the reason for a combination that is not implemented here.
    pub(super) fn on_host(configuration: &Configuration, beam: &Beam) -> Result<Settings, Ending> {
        let read = chosen(configuration);
        let mut settings = Settings::read(&read, beam)?;
        let (set, workers) = read.processors("workers", 1)?;
        (settings.form.set, settings.form.workers) = (set, workers);
        match settings.refusal_on_host(beam) {
            Some(reason) => Err(unsupported(&reason)),
            None => Ok(settings),
        }
    }

    /// For a GPU.
    ///
    /// # Errors
    /// As for `on_host`.
    pub(super) fn on_gpu(configuration: &Configuration, beam: &Beam) -> Result<Settings, Ending> {
        let read = chosen(configuration);
        if read.name("simd", SETS)?.is_some() || read.number("workers", 1, 0)? != 1 {
            return Err(unsupported("simd and workers are a processor's"));
        }
        let settings = Settings::read(&read, beam)?;
        match settings.refusal_on_gpu(beam) {
            Some(reason) => Err(unsupported(&reason)),
            None => Ok(settings),
        }
    }

    fn read(read: &Chosen<'_>, beam: &Beam) -> Result<Settings, Ending> {
        Ok(Settings {
            precision: read.name("precision", PRECISIONS)?,
            grid: read.name("grid", GRIDS)?.of(beam.grid),
            physics: Physics {
                deflection: read.name("scattering", DEFLECTIONS)?,
                is_strang: read.name("splitting", SPLITTINGS)?,
                is_first_order: read.name("step", STEPS)?,
                buckets: read.name("kernel", KERNELS)?,
            },
            order: read.name("layout", ORDERS)?,
            form: Form {
                fusion: read.name("fusion", FUSIONS)?,
                streaming: read.name("streaming", STREAMING)?,
                energy: read.name("energy", ENERGY)?,
                sparse: read.name("sparse", SPARSE)?,
                cutoff: read.real("cutoff", 1e-3)?,
                tile: read.part("z_tile")?.unwrap_or(usize::MAX),
                angle_block: read.count("theta_block", 4)?,
                energy_block: read.count("energy_block", BAND)?,
                prefetches: read.name("prefetch", PREFETCHES)?,
                set: InstructionSet::Portable,
                parallel: read.name("parallel", PARALLEL)?,
                workers: 1,
            },
            grouping: Grouping {
                x: read.count("group_x", PLAIN.x)?,
                z: read.count("group_z", PLAIN.z)?,
            },
        })
    }
}

fn chosen(configuration: &Configuration) -> Chosen<'_> {
    Chosen {
        workload: "transport",
        configuration,
    }
}
