//! The transport on a GPU: the same kernels in WGSL and CUDA, completed with a configuration's constants, and the launches of all
//! steps, recorded once.
use super::beam::{Beam, Grid};
use super::extent::{self, Extent};
use super::form::{CellOrder, Direction, Form, Fusion, Sparse};
use super::judge::{self, Outcome};
use super::launches::Launches;
use super::ledger::Account;
use super::settings::{Precision, Settings};
use super::tables::{Loss, Tables};
use super::{SCALE, STAGES};
use crate::array::Array;
use crate::device::{Buffer, Gpu, Kernel, Language, Recording, Source};
use crate::space::Configuration;
use crate::trial::{Ending, Invocation};
use crate::value::{Bytes, Nanoseconds, Value};
use crate::workload::Executable;
use crate::workload::template::Names;
use crate::workload::written::unsupported;
use half::{bf16, f16};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

const WGSL: &str = include_str!("../../../kernels/transport/transport.wgsl");
const CUDA: &str = include_str!("../../../kernels/transport/transport.cu");

/// What is summed for every place of every energy, in the account's order.
const KINDS: usize = 3;

impl Settings {
    /// Stored weight of a unit of weight.
    fn unit(&self) -> f32 {
        match self.precision {
            Precision::F16Scaled => SCALE,
            _ => 1.0,
        }
    }

    /// Bytes of a cell.
    fn width(&self) -> usize {
        match self.precision {
            Precision::F32 => 4,
            _ => 2,
        }
    }

    fn stored(&self, weight: f32) -> Vec<u8> {
        let value = weight * self.unit();
        match self.precision {
            Precision::F32 => value.to_le_bytes().to_vec(),
            Precision::F16Storage | Precision::F16Scaled => {
                f16::from_f32(value).to_le_bytes().to_vec()
            }
            Precision::Bf16Storage => bf16::from_f32(value).to_le_bytes().to_vec(),
        }
    }

    fn weight(&self, stored: &[u8]) -> f64 {
        let value = match (self.precision, stored) {
            (Precision::F32, &[a, b, c, d]) => f32::from_le_bytes([a, b, c, d]),
            (Precision::Bf16Storage, &[a, b]) => bf16::from_le_bytes([a, b]).to_f32(),
            (_, &[a, b]) => f16::from_le_bytes([a, b]).to_f32(),
            _ => f32::NAN,
        };
        f64::from(value / self.unit())
    }

    /// Where a cell is in its array; `cell` counts the places.
    fn index(&self, grid: &Grid, energy: usize, angle: usize, cell: usize) -> usize {
        match self.order {
            CellOrder::EnergyAnglePlace => (energy * grid.angles + angle) * grid.places() + cell,
            CellOrder::EnergyPlaceAngle => (energy * grid.places() + cell) * grid.angles + angle,
            CellOrder::PlaceEnergyAngle => (cell * grid.energies + energy) * grid.angles + angle,
        }
    }
}

/// The constants of the kernels; see the comment at their top.
fn constants(tables: &Tables, settings: &Settings, language: Language) -> Vec<(String, Value)> {
    let Grid {
        nx,
        nz,
        angles,
        energies,
    } = tables.grid;
    let whole = |n: usize| Value::Int(n as i64);
    let form = &settings.form;
    let sideways = tables.shifts.iter().map(|s| (s.ix + 1).max(-s.ix).max(0));
    let down = tables.shifts.iter().map(|s| s.iz + 1);
    let cutoff = form.cutoff * tables.weight * f64::from(settings.unit());
    let mut all = vec![
        ("energies", whole(energies)),
        ("angles", whole(angles)),
        ("nz", whole(nz)),
        ("nx", whole(nx)),
        ("taps", whole(longest(tables))),
        ("rim_z", whole(down.max().unwrap_or(1) as usize)),
        ("rim_x", whole(sideways.max().unwrap_or(1) as usize)),
        ("group_x", whole(settings.grouping.x)),
        ("group_z", whole(settings.grouping.z)),
        ("band", whole(form.energy_block)),
        ("layout", whole(settings.order as usize)),
        ("has_extents", Value::Bool(form.trims())),
        (
            "trims_rows",
            Value::Bool(matches!(form.sparse, Sparse::Rows | Sparse::Box)),
        ),
        ("trims_angles", Value::Bool(form.sparse == Sparse::Box)),
    ];
    all.extend(match language {
        Language::Wgsl => [
            ("cutoff", Value::Text(format!("{cutoff:e}"))),
            (
                "number",
                Value::Text(if settings.width() == 2 { "f16" } else { "f32" }.into()),
            ),
        ],
        Language::Cuda => [
            ("cutoff", Value::Text(format!("{cutoff:.9e}f"))),
            (
                "storage",
                Value::Int(match settings.precision {
                    Precision::F32 => 32,
                    Precision::F16Storage | Precision::F16Scaled => 16,
                    Precision::Bf16Storage => 17,
                }),
            ),
        ],
    });
    let named = |(name, value): (&str, Value)| {
        let name = match language {
            Language::Wgsl => name.to_owned(),
            // Macros in small letters would be found in the headers.
            Language::Cuda => name.to_uppercase(),
        };
        (name, value)
    };
    all.into_iter().map(named).collect()
}

fn longest(tables: &Tables) -> usize {
    let lengths = tables.scattering.iter().map(|s| s.taps.len());
    lengths.max().unwrap_or(1)
}

/// The tables as the kernels read them.
fn numbers(tables: &Tables) -> Vec<f32> {
    let longest = longest(tables);
    let mut all = vec![];
    for scattering in &tables.scattering {
        all.extend(&scattering.taps);
        all.resize(all.len() + longest - scattering.taps.len(), 0.0);
    }
    let escaping = tables.scattering.iter().flat_map(|s| &s.escaping);
    all.extend(escaping);
    all.extend(tables.shifts.iter().flat_map(|s| s.weights));
    for end in 0..2 {
        all.extend(tables.losses.iter().map(|loss| match loss {
            Loss::Down { weights, .. } => weights[end],
            Loss::Stops => 0.0,
        }));
    }
    all
}

fn indices(tables: &Tables, form: &Form) -> Vec<i32> {
    let energies = tables.grid.energies;
    let mut sources = [vec![-1; energies], vec![-1; energies]];
    let mut ends = vec![-1; energies];
    for (e, loss) in tables.losses.iter().enumerate() {
        if let Loss::Down { low, .. } = *loss {
            sources[0][low] = e as i32;
            sources[1][low + 1] = e as i32;
            ends[e] = low as i32;
        }
    }
    let mut all: Vec<i32> = tables.scattering.iter().map(|s| s.reach as i32).collect();
    all.extend(tables.shifts.iter().map(|s| s.ix));
    all.extend(tables.shifts.iter().map(|s| s.iz));
    all.extend(sources.concat());
    all.extend(ends);
    for extent in extent::first(tables, form.sparse) {
        let (rows, angles) = (extent.rows, extent.angles);
        all.extend([rows.0, rows.1, angles.0, angles.1].map(|n| n as i32));
    }
    all
}

/// The entry points of one configuration, each where it is used.
pub(super) struct Kernels {
    pub(super) begin: Kernel,
    /// Scattering alone: also the second time with splitting=strang.
    pub(super) scatter: Option<Kernel>,
    pub(super) theta_stream: Option<Kernel>,
    pub(super) stream: Option<Kernel>,
    pub(super) energy: Kernel,
    pub(super) clear: Option<Kernel>,
    pub(super) trim: Option<Kernel>,
}

impl Kernels {
    fn new(gpu: &dyn Gpu, tables: &Tables, settings: &Settings) -> Result<Kernels, Ending> {
        if (settings.precision, gpu.language()) == (Precision::Bf16Storage, Language::Wgsl) {
            return Err(unsupported(
                "WGSL has no bfloat16, and no thread has both cells of a word: f16_scaled, or CUDA",
            ));
        }
        let values = constants(tables, settings, gpu.language());
        let (macros, name, text) = match gpu.language() {
            Language::Cuda => (values, "transport.cu", CUDA.to_owned()),
            Language::Wgsl => {
                let names = Names {
                    configuration: &Configuration::new(values),
                    scratch: Path::new(""),
                };
                let text = names.render(WGSL, "transport.wgsl");
                let text = text.map_err(|reason| Ending::Failed { reason })?;
                (vec![], "transport.wgsl", text)
            }
        };
        let [x, z] = [settings.grouping.x, settings.grouping.z]
            .map(|n| u32::try_from(n).unwrap_or(u32::MAX));
        let with_block = |entry: &str, block: [u32; 3]| {
            gpu.compile(&Source {
                name,
                text: &text,
                entry,
                constants: &macros,
                block: Some(block),
                shared_memory: 0,
                options: &[],
            })
        };
        let compile = |entry: &str| with_block(entry, [x, z, 1]);
        let optional = |is_used: bool, entry: &str| is_used.then(|| compile(entry)).transpose();
        let form = &settings.form;
        let stream = match form.streaming {
            Direction::Gather => "stream_gather",
            Direction::Scatter => "stream_scatter",
        };
        let energy = match (form.fusion, form.energy) {
            (Fusion::All, _) => "all_energies",
            (Fusion::StreamEnergy, _) => "stream_energy",
            (_, Direction::Gather) => "energy_gather",
            (_, Direction::Scatter) => "energy_scatter",
        };
        let scatters_first = matches!(form.fusion, Fusion::None | Fusion::StreamEnergy);
        Ok(Kernels {
            begin: compile("begin")?,
            scatter: optional(scatters_first || tables.is_strang, "scatter")?,
            theta_stream: optional(form.fusion == Fusion::ThetaStream, "theta_stream")?,
            stream: optional(form.fusion == Fusion::None, stream)?,
            energy: compile(energy)?,
            clear: optional(
                stream == "stream_scatter" || energy == "energy_scatter",
                "clear",
            )?,
            trim: form
                .trims()
                .then(|| with_block("trim", [TRIMMERS, 1, 1]))
                .transpose()?,
        })
    }

    fn all(&self) -> impl Iterator<Item = &Kernel> {
        let Kernels {
            begin,
            scatter,
            theta_stream,
            stream,
            energy,
            clear,
            trim,
        } = self;
        let some = [scatter, theta_stream, stream, clear, trim];
        [begin, energy]
            .into_iter()
            .chain(some.into_iter().flatten())
    }

    /// The one that scatters, the largest of a step.
    fn main(&self) -> &Kernel {
        let scatters = [&self.theta_stream, &self.scatter]
            .into_iter()
            .flatten()
            .next();
        scatters.unwrap_or(&self.energy)
    }

    fn compile_time(&self) -> Nanoseconds {
        Nanoseconds(self.all().map(|kernel| kernel.compile_time().0).sum())
    }
}

/// Threads of a group that trims an energy's plane.
const TRIMMERS: u32 = 64;

/// Compiles what `prepare` will ask for.
pub(super) fn compile(gpu: &dyn Gpu, beam: &Beam, settings: &Settings) {
    let tables = Tables::new(&beam.on(settings.grid), &settings.physics);
    let _ = Kernels::new(gpu, &tables, settings);
}

/// Device memory.
pub(super) struct Memory {
    pub(super) gpu: Arc<dyn Gpu>,
    /// The beam, then the two arrays that the operators read and write.
    pub(super) start: Buffer,
    pub(super) arrays: [Buffer; 2],
    pub(super) numbers: Buffer,
    pub(super) indices: Buffer,
    pub(super) account: Buffer,
    pub(super) extents: Buffer,
    /// Bytes of an array, of the account and of both halves of the extents.
    sizes: [usize; 3],
}

/// Sums of the account beside those of places: cut, and cells visited.
const BY_ENERGY: usize = 2;

impl Memory {
    fn new(gpu: &Arc<dyn Gpu>, tables: &Tables, settings: &Settings) -> Result<Memory, Ending> {
        let grid = tables.grid;
        // f64 in CUDA, pairs of f32 in WGSL: eight bytes each.
        let sums = grid.energies * (KINDS * grid.places() + BY_ENERGY);
        let sizes = [
            grid.cells() * settings.width(),
            8 * sums,
            2 * grid.energies * size_of::<[i32; 4]>(),
        ];
        let filled = |name: &str, bytes: Vec<u8>| -> Result<Buffer, Ending> {
            let buffer = gpu.allocate(name, bytes.len() as u64)?;
            gpu.upload(&buffer, &bytes)?;
            Ok(buffer)
        };
        let mut start = vec![0; sizes[0]];
        for entry in &tables.entries {
            let cell = entry.z * grid.nx + entry.x;
            let at = settings.index(&grid, entry.energy, entry.angle, cell) * settings.width();
            let stored = settings.stored(entry.weight as f32);
            start[at..at + stored.len()].copy_from_slice(&stored);
        }
        let numbers = numbers(tables)
            .iter()
            .flat_map(|v| v.to_le_bytes())
            .collect();
        let indices = indices(tables, &settings.form);
        let indices = indices.iter().flat_map(|v| v.to_le_bytes()).collect();
        let array = || gpu.allocate("phase space", sizes[0] as u64);
        Ok(Memory {
            start: filled("beam", start)?,
            arrays: [array()?, array()?],
            numbers: filled("numbers", numbers)?,
            indices: filled("indices", indices)?,
            account: gpu.allocate("account", sizes[1] as u64)?,
            extents: gpu.allocate("extents", sizes[2] as u64)?,
            gpu: gpu.clone(),
            sizes,
        })
    }

    /// Overwrites what a run must write before it reads it.
    fn poison(&self) {
        let [array, account, extents] = self.sizes;
        for (buffer, size, pattern) in [
            (&self.arrays[0], array, 0xFF),
            (&self.arrays[1], array, 0xFF),
            (&self.account, account, 0xFF),
            // An extent without rows, since one from nowhere to everywhere would be read.
            (&self.extents, extents, 0),
        ] {
            // NaNs. What is wrong with the device shows at the run that follows.
            let _ = self.gpu.upload(buffer, &vec![pattern; size]);
        }
    }

    /// The account by kind: places of every energy, then the energies.
    fn account(&self) -> Result<Vec<f64>, Ending> {
        let bytes = self.gpu.download(&self.account, self.sizes[1] as u64)?;
        let single = |b: &[u8]| f64::from(f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        let sum = |b: &[u8]| match self.gpu.language() {
            Language::Cuda => f64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]),
            // What the second number says is missing from the first.
            Language::Wgsl => single(b) - single(&b[4..]),
        };
        Ok(bytes.chunks_exact(8).map(sum).collect())
    }

    /// The extents that one half holds.
    fn extents(&self, half: usize) -> Result<Vec<Extent>, Ending> {
        let bytes = self.gpu.download(&self.extents, self.sizes[2] as u64)?;
        let word = |b: &[u8]| i32::from_le_bytes([b[0], b[1], b[2], b[3]]).max(0) as usize;
        let extent = |b: &[u8]| Extent {
            rows: (word(b), word(&b[4..])),
            angles: (word(&b[8..]), word(&b[12..])),
        };
        let all: Vec<Extent> = bytes.chunks_exact(16).map(extent).collect();
        Ok(all[half * all.len() / 2..(half + 1) * all.len() / 2].to_vec())
    }
}

pub(super) fn prepare(
    gpu: &Arc<dyn Gpu>,
    problem: &Arc<Beam>,
    settings: &Settings,
) -> Result<Box<dyn Executable>, Ending> {
    let own = problem.on(settings.grid);
    let tables = Tables::new(&own, &settings.physics);
    let kernels = Kernels::new(&**gpu, &tables, settings)?;
    let memory = Memory::new(gpu, &tables, settings)?;
    let march = Launches::of(&memory, &kernels, &tables, settings, own.steps)?;
    let recording = gpu.record(&march.steps)?;
    Ok(Box::new(Prepared {
        peak: gpu.take_peak(),
        problem: problem.clone(),
        settings: settings.clone(),
        last: march.current,
        half: march.half,
        held: march.held,
        visited: march.visited,
        recording,
        build_time: kernels.compile_time(),
        attributes: gpu.attributes(kernels.main()),
        own,
        tables,
        memory,
    }))
}

struct Prepared {
    problem: Arc<Beam>,
    own: Beam,
    tables: Tables,
    settings: Settings,
    memory: Memory,
    /// What holds the phase space after the last step, and which energies of it; which half of the extents says where.
    last: Buffer,
    held: Range<usize>,
    half: usize,
    /// Cells of the energies that the launches of all steps had.
    visited: usize,
    recording: Box<dyn Recording>,
    peak: Bytes,
    build_time: Nanoseconds,
    attributes: Vec<(String, f64)>,
}

impl Prepared {
    /// Weight of an energy that still moves.
    fn remaining(&self) -> Result<Vec<f64>, Ending> {
        let (grid, settings, memory) = (self.tables.grid, &self.settings, &self.memory);
        let bytes = memory.gpu.download(&self.last, memory.sizes[0] as u64)?;
        let whole = Extent {
            rows: (0, grid.nz),
            angles: (0, grid.angles),
        };
        let extents = match settings.form.trims() {
            true => memory.extents(self.half)?,
            false => vec![whole; grid.energies],
        };
        let width = settings.width();
        let of_energy = |e: usize| {
            let extent = extents[e];
            let mut sum = 0.0;
            for t in extent.angles() {
                for cell in extent.rows.0 * grid.nx..extent.rows.1 * grid.nx {
                    let at = settings.index(&grid, e, t, cell) * width;
                    sum += settings.weight(&bytes[at..at + width]);
                }
            }
            sum
        };
        let weight = |e: usize| {
            if self.held.contains(&e) {
                of_energy(e)
            } else {
                0.0
            }
        };
        Ok((0..grid.energies).map(weight).collect())
    }

    fn outcome(&self) -> Result<Outcome, Ending> {
        let grid = self.tables.grid;
        let unit = f64::from(self.settings.unit());
        let all: Vec<f64> = self.memory.account()?.iter().map(|v| v / unit).collect();
        let size = grid.energies * grid.places();
        let by_energy = |kind: usize| {
            let kind = &all[kind * size..(kind + 1) * size];
            kind.chunks_exact(grid.places())
                .map(|places| places.iter().sum::<f64>())
        };
        let cut = &all[KINDS * size..][..grid.energies];
        let lost = by_energy(1).zip(by_energy(2)).zip(cut);
        Ok(Account {
            remaining: self.remaining()?,
            // What is trimmed has lost its energy already.
            gone: lost
                .map(|((escaped, leaked), cut)| escaped + leaked + cut)
                .collect(),
            cut: vec![0.0; grid.energies],
            arrived: all[..size].to_vec(),
        }
        .outcome(&self.tables))
    }

    fn visited(&self) -> Result<f64, Ending> {
        match self.settings.form.trims() {
            false => Ok(self.visited as f64),
            true => {
                let account = self.memory.account()?;
                Ok(account[account.len() - self.tables.grid.energies..]
                    .iter()
                    .sum())
            }
        }
    }
}

impl Executable for Prepared {
    fn run(&mut self) -> Result<Invocation, Ending> {
        let mut timing = self.recording.run()?;
        timing.stages.resize(STAGES, Nanoseconds(0.0));
        Ok(Invocation {
            timing,
            ..Invocation::default()
        })
    }

    fn poison(&mut self) {
        self.memory.poison();
    }

    fn output(&mut self) -> Result<Option<Array>, Ending> {
        Ok(Some(judge::output(&self.own, &self.outcome()?.dose)))
    }

    fn own_metrics(&mut self, expected: &Array) -> Vec<f64> {
        match self.outcome() {
            Ok(outcome) => judge::of_run(&self.problem, &self.own, &outcome, expected),
            Err(_) => vec![],
        }
    }

    fn keeps_time(&self) -> bool {
        true
    }

    fn build_time(&self) -> Option<Nanoseconds> {
        Some(self.build_time)
    }

    /// Of the kernel that scatters; and executed beside dense work: what the active window saves.
    fn attributes(&self) -> Vec<(String, f64)> {
        let mut all = self.attributes.clone();
        if let Ok(visited) = self.visited() {
            all.push(("cells_visited".into(), visited));
        }
        let dense = self.own.steps as f64 * self.own.grid.cells() as f64;
        all.push(("cells_dense".into(), dense));
        all
    }

    fn device_peak(&self) -> Bytes {
        self.peak
    }
}
