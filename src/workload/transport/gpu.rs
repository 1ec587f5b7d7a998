//! The transport on a GPU: the same kernels in WGSL and CUDA, completed with a configuration's constants, and the launches of all
//! steps, recorded once.
use super::beam::{Beam, Grid};
use super::form::{Direction, Fusion, Sparse};
use super::judge::{self, Outcome};
use super::ledger::Account;
use super::settings::Settings;
use super::tables::{Loss, Tables};
use super::{BEAM, ENERGY, FUSED, SCATTERING, STAGES, STREAMING};
use crate::array::Array;
use crate::device::{Action, Buffer, Gpu, Kernel, Language, Passed, Recording, Source, Step};
use crate::space::Configuration;
use crate::trial::{Ending, Invocation};
use crate::value::{Bytes, Nanoseconds, Value};
use crate::workload::Executable;
use crate::workload::template::Names;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

const WGSL: &str = include_str!("../../../kernels/transport/transport.wgsl");
const CUDA: &str = include_str!("../../../kernels/transport/transport.cu");

/// What is summed for every place of every energy, in the account's order.
const KINDS: usize = 3;

/// The constants of the kernels; see the comment at their top.
fn constants(tables: &Tables, settings: &Settings, language: Language) -> Vec<(String, Value)> {
    let Grid {
        nx,
        nz,
        angles,
        energies,
    } = tables.grid;
    let sideways = tables.shifts.iter().map(|s| (s.ix + 1).max(-s.ix).max(0));
    let down = tables.shifts.iter().map(|s| s.iz + 1);
    let whole = [
        ("energies", energies),
        ("angles", angles),
        ("nz", nz),
        ("nx", nx),
        ("taps", longest(tables)),
        ("rim_z", down.max().unwrap_or(1) as usize),
        ("rim_x", sideways.max().unwrap_or(1) as usize),
        ("group_x", settings.grouping.x),
        ("group_z", settings.grouping.z),
    ];
    let named = |(name, value): (&str, usize)| {
        let name = match language {
            Language::Wgsl => name.to_owned(),
            // Macros in small letters would be found in the headers.
            Language::Cuda => name.to_uppercase(),
        };
        (name, Value::Int(value as i64))
    };
    whole.map(named).to_vec()
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

fn indices(tables: &Tables) -> Vec<i32> {
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
    all
}

/// The entry points of one configuration.
struct Kernels {
    begin: Kernel,
    clear: Option<Kernel>,
    scatter: Kernel,
    stream: Option<Kernel>,
    energy: Kernel,
}

impl Kernels {
    fn new(gpu: &dyn Gpu, tables: &Tables, settings: &Settings) -> Result<Kernels, Ending> {
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
        let compile = |entry: &str| {
            gpu.compile(&Source {
                name,
                text: &text,
                entry,
                constants: &macros,
                block: Some([x, z, 1]),
                shared_memory: 0,
                options: &[],
            })
        };
        let form = &settings.form;
        let is_fused = form.fusion == Fusion::StreamEnergy;
        let stream = match form.streaming {
            Direction::Gather => "stream_gather",
            Direction::Scatter => "stream_scatter",
        };
        let energy = match form.energy {
            _ if is_fused => "stream_energy",
            Direction::Gather => "energy_gather",
            Direction::Scatter => "energy_scatter",
        };
        let clears = !is_fused && [form.streaming, form.energy].contains(&Direction::Scatter);
        Ok(Kernels {
            begin: compile("begin")?,
            clear: clears.then(|| compile("clear")).transpose()?,
            scatter: compile("scatter")?,
            stream: (!is_fused).then(|| compile(stream)).transpose()?,
            energy: compile(energy)?,
        })
    }

    fn compile_time(&self) -> Nanoseconds {
        let some = [&self.clear, &self.stream].into_iter().flatten();
        let all = some.chain([&self.begin, &self.scatter, &self.energy]);
        Nanoseconds(all.map(|kernel| kernel.compile_time().0).sum())
    }
}

/// Compiles what `prepare` will ask for.
pub(super) fn compile(gpu: &dyn Gpu, beam: &Beam, settings: &Settings) {
    let tables = Tables::new(&beam.on(settings.grid), &settings.physics);
    let _ = Kernels::new(gpu, &tables, settings);
}

/// Device memory.
struct Memory {
    gpu: Arc<dyn Gpu>,
    /// The beam, then the two arrays that the operators read and write.
    start: Buffer,
    arrays: [Buffer; 2],
    numbers: Buffer,
    indices: Buffer,
    account: Buffer,
    cells: usize,
    /// f64 in CUDA, pairs of f32 in WGSL: eight bytes each.
    sums: usize,
}

impl Memory {
    fn new(gpu: &Arc<dyn Gpu>, tables: &Tables) -> Result<Memory, Ending> {
        let grid = tables.grid;
        let (cells, sums) = (grid.cells(), KINDS * grid.energies * grid.places());
        let filled = |name: &str, bytes: Vec<u8>| -> Result<Buffer, Ending> {
            let buffer = gpu.allocate(name, bytes.len() as u64)?;
            gpu.upload(&buffer, &bytes)?;
            Ok(buffer)
        };
        let mut start = vec![0.0_f32; cells];
        for entry in &tables.entries {
            let slab = entry.energy * grid.angles + entry.angle;
            start[(slab * grid.nz + entry.z) * grid.nx + entry.x] = entry.weight as f32;
        }
        let bytes = |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let array = || gpu.allocate("phase space", 4 * cells as u64);
        Ok(Memory {
            start: filled("beam", bytes(&start))?,
            arrays: [array()?, array()?],
            numbers: filled("numbers", bytes(&numbers(tables)))?,
            indices: filled(
                "indices",
                indices(tables)
                    .iter()
                    .flat_map(|v| v.to_le_bytes())
                    .collect(),
            )?,
            account: gpu.allocate("account", 8 * sums as u64)?,
            gpu: gpu.clone(),
            cells,
            sums,
        })
    }

    /// Overwrites what a run must write before it reads it.
    fn poison(&self) {
        let sizes = [4 * self.cells, 4 * self.cells, 8 * self.sums];
        let buffers = self.arrays.iter().chain([&self.account]);
        for (buffer, size) in buffers.zip(sizes) {
            // A NaN. What is wrong with the device shows at the run that follows.
            let _ = self.gpu.upload(buffer, &vec![0xFF; size]);
        }
    }
}

/// Energies of which a launch has threads, and of which it reads.
struct Window {
    launched: Range<usize>,
    read: Range<usize>,
    leaks: bool,
}

impl Window {
    fn bytes(&self) -> Vec<u8> {
        let words = [
            self.launched.start,
            self.launched.len(),
            self.read.start,
            self.read.end,
            usize::from(self.leaks),
            0,
            0,
            0,
        ];
        let word = |n: &usize| (*n as u32).to_le_bytes();
        words.iter().flat_map(word).collect()
    }
}

/// Steps of an invocation as they are put together.
struct Launches<'a> {
    memory: &'a Memory,
    grid: Grid,
    groups: [usize; 2],
    /// By their bytes: most launches share theirs.
    windows: Vec<(Vec<u8>, Buffer)>,
    steps: Vec<Step>,
    /// Cells that launches with threads of their own have.
    visited: usize,
}

impl Launches<'_> {
    fn window(&mut self, window: &Window) -> Result<Buffer, Ending> {
        let bytes = window.bytes();
        if let Some((_, buffer)) = self.windows.iter().find(|(known, _)| *known == bytes) {
            return Ok(buffer.clone());
        }
        let buffer = self.memory.gpu.allocate("window", bytes.len() as u64)?;
        self.memory.gpu.upload(&buffer, &bytes)?;
        self.windows.push((bytes, buffer.clone()));
        Ok(buffer)
    }

    fn launch(
        &mut self,
        stage: usize,
        kernel: &Kernel,
        window: &Window,
        from: &Buffer,
        to: &Buffer,
    ) -> Result<(), Ending> {
        let Memory {
            numbers,
            indices,
            account,
            ..
        } = self.memory;
        let arguments = [&self.window(window)?, from, to, numbers, indices, account]
            .map(|buffer| Passed::Buffer(buffer.clone()));
        let grid = [
            self.grid.nx.div_ceil(self.groups[0]),
            self.grid.nz.div_ceil(self.groups[1]),
            window.launched.len(),
        ];
        self.visited += window.launched.len() * self.grid.angles * self.grid.places();
        self.steps.push(Step {
            stage: Some(stage),
            action: Action::Launch {
                kernel: kernel.clone(),
                grid: grid.map(|n| u32::try_from(n).unwrap_or(u32::MAX)),
                arguments: arguments.to_vec(),
            },
        });
        Ok(())
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
    let memory = Memory::new(gpu, &tables)?;
    let energies = tables.grid.energies;
    let is_dense = settings.form.sparse == Sparse::None;
    let mut launches = Launches {
        memory: &memory,
        grid: tables.grid,
        groups: [settings.grouping.x, settings.grouping.z],
        windows: vec![],
        steps: vec![],
        visited: 0,
    };
    let [mut current, mut other] = memory.arrays.clone();
    let everything = Window {
        launched: 0..energies,
        read: 0..energies,
        leaks: false,
    };
    launches.launch(BEAM, &kernels.begin, &everything, &memory.start, &current)?;
    launches.visited = 0;
    let held = tables.entries.iter().map(|e| e.energy);
    let mut window = match is_dense {
        true => 0..energies,
        false => held.clone().min().unwrap_or(0)..held.max().map_or(0, |e| e + 1),
    };
    for _ in 0..own.steps {
        if window.is_empty() {
            break;
        }
        let ends = if is_dense {
            0..energies
        } else {
            tables.ends(&window)
        };
        let own_energies = |leaks: bool| Window {
            launched: window.clone(),
            read: window.clone(),
            leaks,
        };
        let around = match ends.is_empty() {
            true => window.clone(),
            false => ends.start.min(window.start)..ends.end.max(window.end),
        };
        let arriving = Window {
            launched: around.clone(),
            read: window.clone(),
            leaks: false,
        };
        launches.launch(
            SCATTERING,
            &kernels.scatter,
            &own_energies(true),
            &current,
            &other,
        )?;
        match &kernels.stream {
            Some(stream) => {
                let scatters = |direction| direction == Direction::Scatter;
                if let Some(clear) = kernels
                    .clear
                    .as_ref()
                    .filter(|_| scatters(settings.form.streaming))
                {
                    launches.launch(STREAMING, clear, &own_energies(false), &other, &current)?;
                }
                launches.launch(STREAMING, stream, &own_energies(false), &other, &current)?;
                if let Some(clear) = kernels
                    .clear
                    .as_ref()
                    .filter(|_| scatters(settings.form.energy))
                {
                    launches.launch(ENERGY, clear, &arriving, &current, &other)?;
                }
                launches.launch(ENERGY, &kernels.energy, &arriving, &current, &other)?;
                (current, other) = (other, current);
            }
            None => launches.launch(FUSED, &kernels.energy, &arriving, &other, &current)?,
        }
        window = ends;
        if tables.is_strang && !window.is_empty() {
            let again = Window {
                launched: window.clone(),
                read: window.clone(),
                leaks: false,
            };
            launches.launch(SCATTERING, &kernels.scatter, &again, &current, &other)?;
            (current, other) = (other, current);
        }
    }
    let (steps, visited) = (launches.steps, launches.visited);
    let recording = gpu.record(&steps)?;
    let mut attributes = gpu.attributes(&kernels.scatter);
    attributes.push(("cells_visited".into(), visited as f64));
    attributes.push((
        "cells_dense".into(),
        own.steps as f64 * own.grid.cells() as f64,
    ));
    Ok(Box::new(Prepared {
        peak: gpu.take_peak(),
        problem: problem.clone(),
        own,
        tables,
        last: current,
        held: window,
        recording,
        build_time: kernels.compile_time(),
        attributes,
        memory,
    }))
}

struct Prepared {
    problem: Arc<Beam>,
    own: Beam,
    tables: Tables,
    memory: Memory,
    /// What holds the phase space after the last step, and which energies.
    last: Buffer,
    held: Range<usize>,
    recording: Box<dyn Recording>,
    peak: Bytes,
    build_time: Nanoseconds,
    attributes: Vec<(String, f64)>,
}

impl Prepared {
    fn outcome(&self) -> Result<Outcome, Ending> {
        let Memory {
            gpu,
            account,
            cells,
            sums,
            ..
        } = &self.memory;
        let grid = self.tables.grid;
        let plane = grid.angles * grid.places();
        let bytes = gpu.download(&self.last, 4 * *cells as u64)?;
        let weight = |e: usize| {
            let values = bytes[4 * e * plane..4 * (e + 1) * plane].chunks_exact(4);
            let value = |b: &[u8]| f64::from(f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
            values.map(value).sum::<f64>()
        };
        let remaining = (0..grid.energies).map(|e| match self.held.contains(&e) {
            true => weight(e),
            false => 0.0,
        });
        let bytes = gpu.download(account, 8 * *sums as u64)?;
        let single = |b: &[u8]| f64::from(f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        let sum = |b: &[u8]| match gpu.language() {
            Language::Cuda => f64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]),
            // What the second number says is missing from the first.
            Language::Wgsl => single(b) - single(&b[4..]),
        };
        let all: Vec<f64> = bytes.chunks_exact(8).map(sum).collect();
        let size = grid.energies * grid.places();
        let by_energy = |kind: usize| {
            let kind = &all[kind * size..(kind + 1) * size];
            kind.chunks_exact(grid.places())
                .map(|places| places.iter().sum::<f64>())
        };
        Ok(Account {
            remaining: remaining.collect(),
            gone: by_energy(1).zip(by_energy(2)).map(|(a, b)| a + b).collect(),
            cut: vec![0.0; grid.energies],
            arrived: all[..size].to_vec(),
        }
        .outcome(&self.tables))
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

    fn attributes(&self) -> Vec<(String, f64)> {
        self.attributes.clone()
    }

    fn device_peak(&self) -> Bytes {
        self.peak
    }
}
