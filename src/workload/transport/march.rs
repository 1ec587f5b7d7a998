//! Steps of the transport on a processor: which operator runs on which plane, in which pass, by which thread. The operators
//! themselves are in `operators`.
#![allow(
    unsafe_code,
    reason = "tasks write disjoint planes of arrays that all of them read"
)]
use super::extent::Extent;
use super::form::{Direction, Form, Fusion, InstructionSet, Parallel, Sparse};
use super::lanes::{Lanes, Portable, Stored};
use super::memory::Memory;
use super::operators::{
    Arrival, Streaming, Stretch, Taps, Target, combine, scatter, stored, stream_gather,
    stream_scatter,
};
use super::tables::{Loss, SLACK, Tables};
use std::ops::Range;
use std::sync::Mutex;

/// What left the phase space, by the energy that it had: in units of the stored weight.
#[derive(Debug)]
pub(super) struct Ledger {
    /// `[energies][nz][nx]`: weight that was in a cell when it lost energy.
    pub(super) arrived: Memory<f64>,
    /// `[energies]` each.
    pub(super) escaped: Memory<f64>,
    pub(super) leaked: Memory<f64>,
    /// Left out by the active window, after the loss of energy.
    pub(super) cut: Memory<f64>,
    /// Cells that the operators worked on.
    pub(super) cells: Memory<u64>,
}

/// Which of the two arrays a pass reads and writes.
#[derive(Clone, Copy, Debug)]
struct Way {
    from: usize,
    to: usize,
}

/// What happens to a plane before it arrives.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Chain {
    ScatterStream,
    Stream,
    Stored,
}

/// What of an arrival is entered into the ledger.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Entered {
    leaks: bool,
    doses: bool,
}

/// Part of a pass that one thread does.
#[derive(Clone, Debug)]
pub(super) enum Task {
    /// A_theta of some energies.
    Scatter(Range<usize>),
    /// A_s of some energies, after A_theta where they are fused.
    Stream(Range<usize>),
    /// Everything that ends in these energies.
    Deposit(Range<usize>),
    /// Energies whose weight all stops.
    Stop(Range<usize>),
    /// A_E by collecting, and its dose.
    Collect(Range<usize>),
    /// The second half of A_theta.
    ScatterAgain(Range<usize>),
}

/// Timed parts of a step, in their order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Part {
    Scattering,
    Streaming,
    Energy,
    Fused,
}

/// A pass: every task of it may run at once, the next one begins when all are done.
pub(super) struct Pass {
    pub(super) part: Part,
    pub(super) tasks: Vec<Task>,
    way: Way,
}

/// Rows of one angle and energy.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slice {
    array: usize,
    values: (usize, usize),
}

/// Phase space, ledger and everything that the operators need, for cells stored as `S`.
pub(super) struct March<S> {
    pub(super) tables: Tables,
    pub(super) form: Form,
    /// Stored weight of a unit of weight.
    pub(super) unit: f32,
    taps: Vec<Taps>,
    /// Of each energy those that end in it: with their lower and with their upper weight.
    ending: Vec<[Option<(usize, f32)>; 2]>,
    arrays: [Memory<S>; 2],
    /// Of the weight in each array.
    extents: [Memory<Extent>; 2],
    /// The array that holds the phase space between steps.
    current: usize,
    pub(super) ledger: Ledger,
    scratch: Vec<Mutex<Scratch>>,
}

/// Room of a thread.
#[derive(Debug, Default)]
struct Scratch {
    /// Scattered rows of a tile, `[angle][lead + tile + 1][pitch]`.
    tile: Vec<f32>,
    sums: Vec<f32>,
    escaped: Vec<f32>,
    buffer: Vec<f32>,
    /// Of the energies that a task takes from tile to tile together.
    arrived: Vec<Arrived>,
}

/// Weight that an energy's plane has after its chain.
#[derive(Clone, Debug, Default)]
struct Arrived {
    of_angles: Vec<f32>,
    of_rows: Vec<f64>,
}

impl<S: Stored> March<S> {
    /// What processes that are forked later are to see is in shared memory.
    pub(super) fn new(tables: Tables, form: &Form, unit: f32) -> March<S> {
        let is_shared = form.parallel != Parallel::Threads;
        let shares_cells = form.parallel == Parallel::SharedMemory;
        let (layout, grid) = (tables.layout, tables.grid);
        let mut ending = vec![[None; 2]; grid.energies];
        for (e, loss) in tables.losses.iter().enumerate() {
            if let Loss::Down { low, weights } = *loss {
                ending[low][0] = Some((e, weights[0]));
                ending[low + 1][1] = Some((e, weights[1]));
            }
        }
        let rows = form.tile.min(grid.nz + layout.lead);
        let form = Form {
            tile: rows,
            ..form.clone()
        };
        let values = rows * layout.pitch;
        let scratch = || Scratch {
            tile: vec![0.0; grid.angles * tile_slab(&tables, rows) + SLACK],
            sums: vec![0.0; values + SLACK],
            escaped: vec![0.0; values + layout.lead * layout.pitch + SLACK],
            buffer: vec![0.0; values + 2 * (layout.pitch + 1) + SLACK],
            arrived: vec![],
        };
        let memory = |length: usize| Memory::zeroed(length, is_shared);
        March {
            taps: tables.scattering.iter().map(Taps::new).collect(),
            ending,
            arrays: [
                Memory::zeroed(layout.length, shares_cells),
                Memory::zeroed(layout.length, shares_cells),
            ],
            extents: [0, 1].map(|_| Memory::filled(grid.energies, Extent::EMPTY, is_shared)),
            current: 0,
            ledger: Ledger {
                arrived: memory(grid.energies * grid.places()),
                escaped: memory(grid.energies),
                leaked: memory(grid.energies),
                cut: memory(grid.energies),
                cells: Memory::zeroed(grid.energies, is_shared),
            },
            scratch: (0..form.workers).map(|_| Mutex::new(scratch())).collect(),
            form,
            unit,
            tables,
        }
    }

    /// Overwrites what a run must write before it reads it; the empty rows before each slab stay.
    pub(super) fn poison(&mut self) {
        let layout = self.tables.layout;
        for array in &mut self.arrays {
            let values = array.as_mut_slice();
            for e in 0..self.tables.grid.energies {
                for t in 0..self.tables.grid.angles {
                    let first = layout.row(e, t, 0);
                    values[first..first + self.tables.grid.nz * layout.pitch].fill(S::NAN);
                }
            }
        }
        self.ledger.arrived.as_mut_slice().fill(f64::NAN);
    }

    /// An empty ledger, and the beam in the first row.
    pub(super) fn begin(&mut self) {
        let (layout, grid) = (self.tables.layout, self.tables.grid);
        let whole = self.whole();
        self.current = 0;
        for account in [
            &mut self.ledger.arrived,
            &mut self.ledger.escaped,
            &mut self.ledger.leaked,
            &mut self.ledger.cut,
        ] {
            account.as_mut_slice().fill(0.0);
        }
        self.ledger.cells.as_mut_slice().fill(0);
        let first = if self.form.sparse == Sparse::None {
            whole
        } else {
            Extent::EMPTY
        };
        let extents = self.extents[0].as_mut_slice();
        extents.fill(first);
        for entry in &self.tables.entries {
            let cell = Extent {
                angles: (entry.angle, entry.angle + 1),
                rows: (entry.z, entry.z + 1),
            };
            extents[entry.energy] = match self.form.sparse {
                Sparse::None | Sparse::Planes => whole,
                Sparse::Rows => Extent {
                    angles: whole.angles,
                    ..extents[entry.energy].around(&cell)
                },
                Sparse::Box => extents[entry.energy].around(&cell),
            };
        }
        let values = self.arrays[0].as_mut_slice();
        for (e, extent) in extents.iter().enumerate().take(grid.energies) {
            for t in extent.angles() {
                let rows = layout.row(e, t, extent.rows.0)..layout.row(e, t, extent.rows.1);
                values[rows].fill(S::default());
            }
        }
        for entry in &self.tables.entries {
            values[layout.cell(entry.energy, entry.angle, entry.z, entry.x)] =
                S::narrowed(entry.weight as f32 * self.unit);
        }
    }

    fn whole(&self) -> Extent {
        Extent {
            angles: (0, self.tables.grid.angles),
            rows: (0, self.tables.grid.nz),
        }
    }

    /// The passes of the next step.
    pub(super) fn passes(&self) -> Vec<Pass> {
        let energies = self.tables.grid.energies;
        let stay = Way {
            from: self.current,
            to: 1 - self.current,
        };
        let back = Way {
            from: stay.to,
            to: stay.from,
        };
        let blocks = |range: Range<usize>| {
            let size = self.form.energy_block;
            let end = range.end;
            range.step_by(size).map(move |e| e..(e + size).min(end))
        };
        let down = |loss: &Loss| matches!(loss, Loss::Down { .. });
        let stops = self.tables.losses.iter().position(down).unwrap_or(energies);
        let all = |task: fn(Range<usize>) -> Task| blocks(0..energies).map(task).collect();
        let energy = |part: Part, way: Way| Pass {
            part,
            way,
            // The costly ones first.
            tasks: match (self.form.fusion, self.form.energy) {
                (Fusion::None | Fusion::ThetaStream, Direction::Gather) => all(Task::Collect),
                _ => blocks(0..stops)
                    .map(Task::Stop)
                    .chain(blocks(0..energies).map(Task::Deposit))
                    .collect(),
            },
        };
        let scattering = |tasks| Pass {
            part: Part::Scattering,
            tasks,
            way: stay,
        };
        let mut passes = match self.form.fusion {
            Fusion::None => vec![
                scattering(all(Task::Scatter)),
                Pass {
                    part: Part::Streaming,
                    tasks: all(Task::Stream),
                    way: back,
                },
                energy(Part::Energy, stay),
            ],
            Fusion::ThetaStream => vec![
                Pass {
                    part: Part::Fused,
                    tasks: all(Task::Stream),
                    way: stay,
                },
                energy(Part::Energy, back),
            ],
            Fusion::StreamEnergy => vec![scattering(all(Task::Scatter)), energy(Part::Fused, back)],
            Fusion::All => vec![energy(Part::Fused, stay)],
        };
        if self.tables.is_strang {
            let way = passes.last().map_or(stay, |pass| pass.way);
            passes.push(Pass {
                part: Part::Scattering,
                tasks: all(Task::ScatterAgain),
                way,
            });
        }
        passes
    }

    /// To be called when all passes of a step are done.
    pub(super) fn step_done(&mut self) {
        if matches!(self.form.fusion, Fusion::None | Fusion::All) {
            self.current = 1 - self.current;
        }
    }

    pub(super) fn current(&self) -> usize {
        self.current
    }

    /// For a process that is told.
    pub(super) fn set_current(&mut self, array: usize) {
        self.current = array;
    }

    /// The tasks of a pass that one of `count` processes does.
    pub(super) fn share<'a>(
        &self,
        pass: &'a Pass,
        number: usize,
        count: usize,
    ) -> impl Iterator<Item = &'a Task> {
        pass.tasks.iter().skip(number).step_by(count)
    }

    /// What a process reads of the phase space, angle by angle.
    pub(super) fn sources(&self, pass: &Pass, number: usize, count: usize) -> Vec<Slice> {
        let mut energies: Vec<usize> = vec![];
        for task in self.share(pass, number, count) {
            match task {
                Task::Deposit(band) => {
                    let ends = band
                        .clone()
                        .flat_map(|j| self.ending[j].into_iter().flatten());
                    energies.extend(ends.map(|(e, _)| e));
                }
                Task::Stop(some)
                | Task::Scatter(some)
                | Task::Stream(some)
                | Task::Collect(some)
                | Task::ScatterAgain(some) => energies.extend(some.clone()),
            }
        }
        energies.sort_unstable();
        energies.dedup();
        self.slices(pass.way.from, energies)
    }

    /// What a process has written.
    pub(super) fn results(&self, pass: &Pass, number: usize, count: usize) -> Vec<Slice> {
        let bands = self
            .share(pass, number, count)
            .filter_map(|task| match task {
                Task::Deposit(band) => Some(band.clone()),
                _ => None,
            });
        self.slices(pass.way.to, bands.flatten().collect())
    }

    fn slices(&self, array: usize, energies: Vec<usize>) -> Vec<Slice> {
        let layout = &self.tables.layout;
        let of_energy = |e: usize| {
            let extent = self.extents[array].as_slice()[e];
            extent.angles().map(move |t| Slice {
                array,
                values: (
                    layout.row(e, t, extent.rows.0),
                    layout.row(e, t, extent.rows.1),
                ),
            })
        };
        energies.into_iter().flat_map(of_energy).collect()
    }

    pub(super) fn bytes(&self, slice: Slice) -> &[u8] {
        let values = &self.arrays[slice.array].as_slice()[slice.values.0..slice.values.1];
        // SAFETY: cells are numbers without padding.
        unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), size_of_val(values)) }
    }

    /// # Safety
    /// Nothing else uses the slice.
    #[allow(
        clippy::mut_from_ref,
        reason = "the caller promises that it is its own"
    )]
    pub(super) unsafe fn bytes_mut(&self, slice: Slice) -> &mut [u8] {
        let count = slice.values.1 - slice.values.0;
        assert!(
            slice.values.1 <= self.tables.layout.length,
            "a slice of the array"
        );
        // SAFETY: within the array; every pattern of bytes is a number.
        unsafe {
            let first = self.arrays[slice.array].pointer().add(slice.values.0);
            std::slice::from_raw_parts_mut(first.cast(), count * size_of::<S>())
        }
    }

    /// Does one task of a pass. Tasks of a pass write planes and accounts of their own.
    pub(super) fn run(&self, pass: &Pass, task: &Task, worker: usize) {
        let mut scratch = self.scratch[worker]
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let job = Job {
            march: self,
            way: pass.way,
        };
        // SAFETY: the set was chosen among those that the processor has; tasks of a pass are disjoint in what they write.
        unsafe {
            match self.form.set {
                InstructionSet::Portable => job.run::<Portable>(task, &mut scratch),
                #[cfg(target_arch = "x86_64")]
                InstructionSet::Avx2 => avx2(&job, task, &mut scratch),
                #[cfg(target_arch = "x86_64")]
                InstructionSet::Avx512 => avx512(&job, task, &mut scratch),
                #[cfg(not(target_arch = "x86_64"))]
                _ => unreachable!("`Settings` refuses sets that the processor does not have"),
            }
        }
    }

    /// Cells of each energy that hold more than `least`.
    pub(super) fn occupied(&self, least: f64) -> Vec<usize> {
        let count = |row: &[S]| {
            row.iter()
                .filter(|v| f64::from(v.widened()) > least)
                .count()
        };
        self.by_energy(|row| count(row) as f64)
            .into_iter()
            .map(|n| n as usize)
            .collect()
    }

    /// Weight left in the phase space, by energy.
    pub(super) fn remaining(&self) -> Vec<f64> {
        let weight = |row: &[S]| row.iter().map(|v| f64::from(v.widened())).sum::<f64>();
        self.by_energy(|row| weight(row) / f64::from(self.unit))
    }

    /// Calls with energy, angle, z, x and weight of every cell that may hold some.
    #[cfg(test)]
    pub(super) fn each(&self, mut cell: impl FnMut(usize, usize, usize, usize, f64)) {
        let values = self.arrays[self.current].as_slice();
        for (e, extent) in self.extents[self.current].as_slice().iter().enumerate() {
            for t in extent.angles() {
                for z in extent.rows() {
                    for x in 0..self.tables.grid.nx {
                        let value = values[self.tables.layout.cell(e, t, z, x)];
                        cell(e, t, z, x, f64::from(value.widened()));
                    }
                }
            }
        }
    }

    /// The phase space of another march on the same grid.
    #[cfg(test)]
    pub(super) fn copy_from(&mut self, other: &March<S>) {
        let extents = other.extents[other.current].as_slice();
        self.extents[self.current]
            .as_mut_slice()
            .copy_from_slice(extents);
        self.arrays[self.current].as_mut_slice().fill(S::default());
        let layout = self.tables.layout;
        for (e, extent) in extents.iter().enumerate() {
            for t in extent.angles() {
                let rows = layout.row(e, t, extent.rows.0)..layout.row(e, t, extent.rows.1);
                self.arrays[self.current].as_mut_slice()[rows.clone()]
                    .copy_from_slice(&other.arrays[other.current].as_slice()[rows]);
            }
        }
    }

    /// Sums over the rows that may hold weight.
    fn by_energy(&self, of_row: impl Fn(&[S]) -> f64) -> Vec<f64> {
        let (layout, grid) = (self.tables.layout, self.tables.grid);
        let values = self.arrays[self.current].as_slice();
        let extents = self.extents[self.current].as_slice();
        let mut sums = vec![0.0; grid.energies];
        for (e, (sum, extent)) in sums.iter_mut().zip(extents).enumerate() {
            for t in extent.angles() {
                for z in extent.rows() {
                    let first = layout.cell(e, t, z, 0);
                    *sum += of_row(&values[first..first + grid.nx]);
                }
            }
        }
        sums
    }
}

impl Scratch {
    /// Empties the weights of so many energies.
    fn begin(&mut self, tables: &Tables, energies: usize) {
        if self.arrived.len() < energies {
            let (angles, rows) = (tables.grid.angles, tables.grid.nz);
            let none = Arrived {
                of_angles: vec![0.0; angles],
                of_rows: vec![0.0; rows],
            };
            self.arrived.resize(energies, none);
        }
        for arrived in &mut self.arrived[..energies] {
            arrived.of_angles.fill(0.0);
            arrived.of_rows.fill(0.0);
        }
    }

    /// The scattered rows after those that only a shift reads.
    fn stretch(&mut self, tables: &Tables, tile: usize) -> Stretch<f32> {
        let layout = &tables.layout;
        Stretch {
            first: self
                .tile
                .as_mut_ptr()
                .wrapping_add(layout.gap + layout.lead * layout.pitch),
            slab: tile_slab(tables, tile),
        }
    }
}

/// Values of a slab of scattered rows, with a row before them for each that a shift can cross and the gap of the row behind.
fn tile_slab(tables: &Tables, rows: usize) -> usize {
    let layout = &tables.layout;
    layout.gap + (layout.lead + rows + 1) * layout.pitch
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c,bmi1,bmi2,lzcnt,popcnt")]
unsafe fn avx2<S: Stored>(job: &Job<'_, S>, task: &Task, scratch: &mut Scratch) {
    // SAFETY: this function has the features.
    unsafe { job.run::<super::lanes::F32x8>(task, scratch) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,fma,f16c,bmi1,bmi2,lzcnt,popcnt")]
unsafe fn avx512<S: Stored>(job: &Job<'_, S>, task: &Task, scratch: &mut Scratch) {
    // SAFETY: this function has the features.
    unsafe { job.run::<super::lanes::F32x16>(task, scratch) }
}

/// A task's view of the march.
struct Job<'a, S> {
    march: &'a March<S>,
    way: Way,
}

impl<S: Stored> Job<'_, S> {
    /// # Safety
    /// The processor has V's features; no other task that runs now has the same planes.
    #[inline(always)]
    unsafe fn run<V: Lanes>(&self, task: &Task, scratch: &mut Scratch) {
        // SAFETY: as the caller promises.
        unsafe {
            match task {
                Task::Scatter(energies) => {
                    for e in energies.clone() {
                        self.scatter_plane::<V>(e, scratch);
                    }
                }
                Task::ScatterAgain(energies) => {
                    for e in energies.clone() {
                        self.scatter_in_place::<V>(e, scratch);
                    }
                }
                Task::Stream(energies) => {
                    for e in energies.clone() {
                        self.stream_plane::<V>(e, scratch);
                    }
                }
                Task::Deposit(energies) => self.deposit::<V>(energies, scratch),
                Task::Stop(energies) => {
                    let chain = self.last_chain();
                    for e in energies.clone() {
                        let entered = Entered {
                            leaks: chain != Chain::Stored,
                            doses: true,
                        };
                        self.flow_whole::<V>(e, chain, [None; 2], entered, scratch);
                    }
                }
                Task::Collect(energies) => {
                    for e in energies.clone() {
                        self.collect::<V>(e, scratch);
                    }
                }
            }
        }
    }

    /// What A_E does with a plane first.
    fn last_chain(&self) -> Chain {
        match self.march.form.fusion {
            Fusion::All => Chain::ScatterStream,
            Fusion::StreamEnergy => Chain::Stream,
            Fusion::None | Fusion::ThetaStream => Chain::Stored,
        }
    }

    /// An energy's plane of an array, from a row on.
    #[inline(always)]
    fn plane(&self, array: usize, energy: usize, row: usize) -> Stretch<S> {
        let layout = &self.march.tables.layout;
        Stretch {
            first: self.march.arrays[array]
                .pointer()
                .wrapping_add(layout.row(energy, 0, row)),
            slab: layout.slab,
        }
    }

    fn extent(&self, array: usize, energy: usize) -> Extent {
        // SAFETY: extents are written by the task that writes the plane, in an earlier pass.
        unsafe { *self.march.extents[array].pointer().add(energy) }
    }

    fn set_extent(&self, array: usize, energy: usize, extent: Extent) {
        // SAFETY: this task writes the plane.
        unsafe {
            self.march.extents[array]
                .pointer()
                .add(energy)
                .write(extent)
        }
    }

    /// Where a plane's weight may be after A_theta and A_s.
    fn reached(&self, energy: usize, chain: Chain, extent: Extent) -> Extent {
        let tables = &self.march.tables;
        if extent.is_empty() || chain == Chain::Stored {
            return extent;
        }
        let angles = match chain {
            Chain::ScatterStream => {
                self.march.taps[energy].targets(&extent.angles(), tables.grid.angles)
            }
            _ => extent.angles(),
        };
        Extent {
            angles: (angles.start, angles.end),
            rows: (
                extent.rows.0,
                (extent.rows.1 + tables.layout.lead).min(tables.grid.nz),
            ),
        }
    }

    /// A_theta alone, from one array to the other.
    #[inline(always)]
    unsafe fn scatter_plane<V: Lanes>(&self, energy: usize, scratch: &mut Scratch) {
        let Way { from, to } = self.way;
        let march = self.march;
        let (layout, extent) = (march.tables.layout, self.extent(from, energy));
        if extent.is_empty() {
            self.set_extent(to, energy, Extent::EMPTY);
            return;
        }
        let targets = march.taps[energy].targets(&extent.angles(), march.tables.grid.angles);
        for first in extent.rows().step_by(march.form.tile) {
            let rows = first..(first + march.form.tile).min(extent.rows.1);
            let stretch = self.plane(to, energy, first);
            // SAFETY: as the caller promises; rows are within the planes.
            unsafe {
                self.scatter_rows::<V, S>(energy, from, &extent, &rows, stretch, scratch);
                self.escape(energy, self.escaped(0, rows.len(), scratch));
                for angle in targets.clone() {
                    for row in 0..rows.len() {
                        let gap = stretch.first.add(angle * stretch.slab + row * layout.pitch);
                        std::slice::from_raw_parts_mut(gap, layout.gap).fill(S::default());
                    }
                }
            }
        }
        let extent = Extent {
            angles: (targets.start, targets.end),
            ..extent
        };
        self.set_extent(to, energy, extent);
        self.count(energy, self.cells(&extent));
    }

    /// A_theta of some rows; what escapes is in the scratch.
    #[inline(always)]
    unsafe fn scatter_rows<V: Lanes, O: Stored>(
        &self,
        energy: usize,
        array: usize,
        extent: &Extent,
        rows: &Range<usize>,
        to: Stretch<O>,
        scratch: &mut Scratch,
    ) {
        let march = self.march;
        let (layout, taps) = (&march.tables.layout, &march.taps[energy]);
        let length = rows.len() * layout.pitch;
        let from = self.plane(array, energy, rows.start);
        let (sources, ahead) = (
            extent.angles(),
            if march.form.prefetches {
                layout.plane
            } else {
                0
            },
        );
        let targets = taps.targets(&sources, march.tables.grid.angles);
        let escaped = &mut scratch.escaped[..length];
        escaped.fill(0.0);
        let sum = escaped.as_mut_ptr();
        // SAFETY: as the caller promises.
        unsafe {
            match march.form.angle_block {
                1 => scatter::<V, S, O, 1>(taps, from, to, length, &sources, &targets, sum, ahead),
                2 => scatter::<V, S, O, 2>(taps, from, to, length, &sources, &targets, sum, ahead),
                4 => scatter::<V, S, O, 4>(taps, from, to, length, &sources, &targets, sum, ahead),
                _ => scatter::<V, S, O, 8>(taps, from, to, length, &sources, &targets, sum, ahead),
            }
        }
    }

    /// The second half of A_theta: through the scratch, back into the same plane.
    #[inline(always)]
    unsafe fn scatter_in_place<V: Lanes>(&self, energy: usize, scratch: &mut Scratch) {
        let array = self.way.to;
        let march = self.march;
        let (layout, extent) = (march.tables.layout, self.extent(array, energy));
        if extent.is_empty() {
            return;
        }
        let targets = march.taps[energy].targets(&extent.angles(), march.tables.grid.angles);
        let slab = tile_slab(&march.tables, march.form.tile);
        for first in extent.rows().step_by(march.form.tile) {
            let rows = first..(first + march.form.tile).min(extent.rows.1);
            let scattered = Stretch {
                first: scratch.tile.as_mut_ptr(),
                slab,
            };
            let plane = self.plane(array, energy, first);
            // SAFETY: as the caller promises; a tile has room for its rows.
            unsafe {
                self.scatter_rows::<V, f32>(energy, array, &extent, &rows, scattered, scratch);
                self.escape(energy, self.escaped(0, rows.len(), scratch));
                for angle in targets.clone() {
                    let from = scattered.first.add(angle * slab).cast_const();
                    let to = plane.first.add(angle * plane.slab);
                    for i in 0..rows.len() * layout.pitch {
                        *to.add(i) = S::narrowed(*from.add(i));
                    }
                }
            }
        }
        let extent = Extent {
            angles: (targets.start, targets.end),
            ..extent
        };
        self.set_extent(array, energy, extent);
        self.count(energy, self.cells(&extent));
    }

    /// A_s of a plane into the other array, after A_theta where they are fused.
    #[inline(always)]
    unsafe fn stream_plane<V: Lanes>(&self, energy: usize, scratch: &mut Scratch) {
        let Way { from, to } = self.way;
        let chain = match self.march.form.fusion {
            Fusion::None => Chain::Stream,
            _ => Chain::ScatterStream,
        };
        let extent = self.extent(from, energy);
        let reached = self.reached(energy, chain, extent);
        self.set_extent(to, energy, reached);
        let same = Into {
            energy,
            weight: 1.0,
            adds: false,
        };
        let entered = Entered {
            leaks: true,
            doses: false,
        };
        // SAFETY: as the caller promises.
        unsafe { self.flow_whole::<V>(energy, chain, [Some(same), None], entered, scratch) };
    }

    /// Every energy that ends in the band, tile by tile, so that a plane's second part finds the first one in a cache; in ascending
    /// order, so that its upper weight comes before its lower.
    #[inline(always)]
    unsafe fn deposit<V: Lanes>(&self, band: &Range<usize>, scratch: &mut Scratch) {
        let Way { from, to } = self.way;
        let march = self.march;
        let chain = self.last_chain();
        let reached = |e: usize| self.reached(e, chain, self.extent(from, e));
        let is_dense = march.form.sparse == Sparse::None;
        for j in band.clone() {
            let extent = if is_dense {
                march.whole()
            } else {
                Extent::EMPTY
            };
            self.set_extent(to, j, extent);
            if is_dense && march.ending[j] == [None; 2] {
                self.fill(to, j, &extent, &Extent::EMPTY);
            }
        }
        let ends = band
            .clone()
            .flat_map(|j| march.ending[j].into_iter().flatten());
        let (first, last) = ends.fold((usize::MAX, 0), |(first, last), (e, _)| {
            (first.min(e), last.max(e + 1))
        });
        let is_active = |e: &usize| !reached(*e).is_empty();
        let sources: Vec<usize> = (first..last).filter(is_active).collect();
        scratch.begin(&march.tables, sources.len());
        let rows = march.tables.grid.nz + march.tables.layout.lead;
        for start in (0..rows).step_by(march.form.tile) {
            let tile = start..(start + march.form.tile).min(rows);
            for (place, &e) in sources.iter().enumerate() {
                let before = place.checked_sub(1).map(|p| sources[p]);
                let after = sources.get(place + 1).copied();
                let [lower, upper] = self.ends(e, band, before);
                // The account of an energy belongs to the task with its lower end.
                let entered = lower.map(|_| Entered {
                    leaks: chain != Chain::Stored,
                    doses: true,
                });
                // SAFETY: as the caller promises.
                unsafe { self.flow::<V>(e, chain, [lower, upper], entered, &tile, place, scratch) };
                // The next energy adds to what this one has set, and to zeros around it.
                if let (Some(upper), Some(next)) = (upper, after)
                    && matches!(march.tables.losses[next], Loss::Down { low, .. } if low == upper.energy)
                {
                    let extent = reached(e);
                    let around = extent.around(&reached(next)).within(&tile);
                    self.fill(to, upper.energy, &around, &extent.within(&tile));
                }
            }
        }
        for (place, &e) in sources.iter().enumerate() {
            let arrived = &scratch.arrived[place];
            let (kept, left) = reached(e).trimmed(
                march.form.sparse,
                march.form.cutoff * f64::from(march.unit),
                &arrived.of_rows,
                &arrived.of_angles,
            );
            let ends = self.ends(e, band, None);
            for into in ends.into_iter().flatten() {
                let around = self.extent(to, into.energy).around(&kept);
                self.set_extent(to, into.energy, around);
            }
            if ends[0].is_some() {
                // SAFETY: as above.
                unsafe { *march.ledger.cut.pointer().add(e) += left };
            }
        }
    }

    /// Where an energy ends within a band; it adds where the energy `before` it has set.
    fn ends(&self, energy: usize, band: &Range<usize>, before: Option<usize>) -> [Option<Into>; 2] {
        let losses = &self.march.tables.losses;
        let Loss::Down { low, weights } = losses[energy] else {
            return [None; 2];
        };
        let has_set =
            |e: usize| matches!(losses[e], Loss::Down { low: other, .. } if other + 1 == low);
        let into = |end: usize| {
            band.contains(&(low + end)).then(|| Into {
                energy: low + end,
                weight: weights[end],
                adds: end == 0 && before.is_some_and(has_set),
            })
        };
        [into(0), into(1)]
    }

    /// Zeros in a box, but not in the part of it that was written.
    fn fill(&self, array: usize, energy: usize, all: &Extent, written: &Extent) {
        let pitch = self.march.tables.layout.pitch;
        let zero = |angle: usize, rows: Range<usize>| {
            let plane = self.plane(array, energy, rows.start);
            // SAFETY: rows of a plane that this task writes.
            unsafe {
                let first = plane.first.add(angle * plane.slab);
                std::slice::from_raw_parts_mut(first, rows.len() * pitch).fill(S::default());
            }
        };
        for angle in all.angles() {
            if written.angles().contains(&angle) {
                zero(angle, all.rows.0..written.rows.0.max(all.rows.0));
                zero(angle, written.rows.1.min(all.rows.1)..all.rows.1);
            } else {
                zero(angle, all.rows());
            }
        }
    }

    /// A_E by collecting what ends in an energy; and, apart, the dose of the energy's own plane. Of all planes: what is collected
    /// is not weighed.
    #[inline(always)]
    unsafe fn collect<V: Lanes>(&self, energy: usize, scratch: &mut Scratch) {
        let Way { from, to } = self.way;
        let march = self.march;
        let dose = Entered {
            leaks: false,
            doses: true,
        };
        let whole = march.whole();
        self.set_extent(to, energy, whole);
        let sources = march.ending[energy]
            .map(|source| source.map(|(e, weight)| (self.plane(from, e, 0), weight)));
        // SAFETY: as the caller promises.
        unsafe {
            self.flow_whole::<V>(energy, Chain::Stored, [None; 2], dose, scratch);
            combine::<V, S>(
                sources,
                self.plane(to, energy, 0),
                whole.rows().len() * march.tables.layout.pitch,
                whole.angles(),
            );
        }
    }

    /// Takes a whole plane through its chain.
    #[inline(always)]
    unsafe fn flow_whole<V: Lanes>(
        &self,
        energy: usize,
        chain: Chain,
        into: [Option<Into>; 2],
        entered: Entered,
        scratch: &mut Scratch,
    ) {
        let march = self.march;
        scratch.begin(&march.tables, 1);
        let rows = march.tables.grid.nz + march.tables.layout.lead;
        for start in (0..rows).step_by(march.form.tile) {
            let tile = start..(start + march.form.tile).min(rows);
            // SAFETY: as the caller promises.
            unsafe { self.flow::<V>(energy, chain, into, Some(entered), &tile, 0, scratch) };
        }
    }

    /// Takes those of a plane's rows that arrive in a tile through its chain to where they end; their weight is added to
    /// `scratch.arrived[place]`.
    #[inline(always)]
    unsafe fn flow<V: Lanes>(
        &self,
        energy: usize,
        chain: Chain,
        into: [Option<Into>; 2],
        entered: Option<Entered>,
        tile: &Range<usize>,
        place: usize,
        scratch: &mut Scratch,
    ) {
        let march = self.march;
        let (tables, layout) = (&march.tables, march.tables.layout);
        let extent = self.extent(self.way.from, energy);
        let beyond = if chain == Chain::Stored {
            0
        } else {
            layout.lead
        };
        let rows = extent.rows.0.max(tile.start)..(extent.rows.1 + beyond).min(tile.end);
        if extent.is_empty() || rows.is_empty() {
            return;
        }
        let reached = self.reached(energy, chain, extent);
        let first = rows.start;
        let inside = rows.end.min(tables.grid.nz).max(first) - first;
        let length = rows.len() * layout.pitch;
        scratch.sums[..length].fill(0.0);
        // SAFETY: as the caller promises; rows are within planes and tiles.
        unsafe {
            let from = match chain {
                Chain::ScatterStream => {
                    let escaped = self.scatter_tile::<V>(energy, &extent, &rows, scratch);
                    if entered.is_some() {
                        self.escape(energy, escaped);
                    }
                    Source::Tile(scratch.stretch(tables, march.form.tile))
                }
                _ => Source::Plane(self.plane(self.way.from, energy, first)),
            };
            let targets = into.map(|into| {
                into.map(|into| Target {
                    stretch: self.plane(self.way.to, into.energy, first),
                    weight: into.weight,
                    adds: into.adds,
                })
            });
            let mut arrival = Arrival {
                length,
                inside: inside * layout.pitch,
                angles: reached.angles(),
                sums: scratch.sums.as_mut_ptr(),
                angle_weights: &mut scratch.arrived[place].of_angles,
                targets,
            };
            let mut streaming = Streaming {
                shifts: &tables.shifts,
                pitch: layout.pitch,
                buffer: &mut scratch.buffer,
            };
            match (from, chain, march.form.streaming) {
                (Source::Plane(plane), Chain::Stored, _) => {
                    stored::<V, S, S>(plane, &mut arrival);
                }
                (Source::Plane(plane), _, Direction::Gather) => {
                    stream_gather::<V, S, S>(&streaming, plane, &mut arrival);
                }
                (Source::Plane(plane), _, Direction::Scatter) => {
                    stream_scatter::<V, S, S>(&mut streaming, plane, &mut arrival);
                }
                (Source::Tile(tile), _, Direction::Gather) => {
                    stream_gather::<V, f32, S>(&streaming, tile, &mut arrival);
                }
                (Source::Tile(tile), _, Direction::Scatter) => {
                    stream_scatter::<V, f32, S>(&mut streaming, tile, &mut arrival);
                }
            }
        }
        self.enter(
            energy,
            &rows,
            entered,
            &scratch.sums,
            &mut scratch.arrived[place],
        );
        if entered.is_some() {
            let cells = reached.angles().len() * rows.len() * tables.grid.nx;
            self.count(energy, cells);
        }
    }

    /// Scattered rows in the scratch's tile, from as many before `rows` as a shift can cross. Gives the weight that escaped from
    /// `rows`.
    #[inline(always)]
    unsafe fn scatter_tile<V: Lanes>(
        &self,
        energy: usize,
        extent: &Extent,
        rows: &Range<usize>,
        scratch: &mut Scratch,
    ) -> f64 {
        let march = self.march;
        let layout = march.tables.layout;
        let pitch = layout.pitch;
        let targets = march.taps[energy].targets(&extent.angles(), march.tables.grid.angles);
        // Row 0 of the tile is `lead` rows before the first, which may be before the plane's.
        let scattered =
            rows.start.saturating_sub(layout.lead).max(extent.rows.0)..rows.end.min(extent.rows.1);
        let row = |z: usize| layout.gap + (z + layout.lead - rows.start) * pitch;
        let slab = tile_slab(&march.tables, march.form.tile);
        let (first, last) = (
            row(scattered.start),
            row(scattered.end.max(scattered.start)),
        );
        for angle in targets.clone() {
            let slab = &mut scratch.tile[angle * slab..(angle + 1) * slab];
            slab[..first].fill(0.0);
            slab[last..row(rows.end) + layout.gap].fill(0.0);
        }
        if scattered.is_empty() {
            return 0.0;
        }
        let tile = Stretch {
            first: scratch.tile.as_mut_ptr().wrapping_add(first),
            slab,
        };
        let from = self.way.from;
        // SAFETY: as the caller promises; the tile has room for its rows.
        unsafe {
            self.scatter_rows::<V, f32>(energy, from, extent, &scattered, tile, scratch);
            for angle in targets {
                for row in 0..scattered.len() {
                    let gap = tile.first.add(angle * slab + row * pitch);
                    std::slice::from_raw_parts_mut(gap, layout.gap).fill(0.0);
                }
            }
        }
        self.escaped(
            scattered.start.max(rows.start) - scattered.start,
            scattered.len(),
            scratch,
        )
    }

    /// Sum over some of the rows that were scattered last.
    fn escaped(&self, first: usize, end: usize, scratch: &Scratch) -> f64 {
        let layout = &self.march.tables.layout;
        let rows = scratch.escaped[..end * layout.pitch].chunks_exact(layout.pitch);
        let cells = rows.skip(first).flat_map(|row| &row[layout.gap..]);
        cells.map(|v| f64::from(*v)).sum()
    }

    /// The sums of some rows into the ledger.
    fn enter(
        &self,
        energy: usize,
        rows: &Range<usize>,
        entered: Option<Entered>,
        sums: &[f32],
        arrived: &mut Arrived,
    ) {
        let march = self.march;
        let (layout, grid) = (march.tables.layout, march.tables.grid);
        let weight = |values: &[f32]| values.iter().map(|v| f64::from(*v)).sum::<f64>();
        let mut leaked = 0.0;
        for (row, sums) in rows.clone().zip(sums.chunks_exact(layout.pitch)) {
            if row >= grid.nz {
                leaked += weight(sums);
                continue;
            }
            let (gap, cells) = sums.split_at(layout.gap);
            leaked += weight(gap);
            arrived.of_rows[row] = weight(cells);
            if entered.is_some_and(|e| e.doses) {
                let first = energy * grid.places() + row * grid.nx;
                // SAFETY: the account of this energy is this task's.
                unsafe {
                    let account = march.ledger.arrived.pointer().add(first);
                    for (x, value) in cells.iter().enumerate() {
                        *account.add(x) += f64::from(*value);
                    }
                }
            }
        }
        if entered.is_some_and(|e| e.leaks) {
            // SAFETY: as above.
            unsafe { *march.ledger.leaked.pointer().add(energy) += leaked };
        }
    }

    fn cells(&self, extent: &Extent) -> usize {
        extent.angles().len() * extent.rows().len() * self.march.tables.grid.nx
    }

    fn escape(&self, energy: usize, weight: f64) {
        // SAFETY: the account of this energy is this task's.
        unsafe { *self.march.ledger.escaped.pointer().add(energy) += weight };
    }

    fn count(&self, energy: usize, cells: usize) {
        // SAFETY: the account of this energy is this task's.
        unsafe { *self.march.ledger.cells.pointer().add(energy) += cells as u64 };
    }
}

/// A plane's end in another energy.
#[derive(Clone, Copy, Debug)]
struct Into {
    energy: usize,
    weight: f32,
    adds: bool,
}

/// Where the streaming reads.
enum Source<S> {
    Plane(Stretch<S>),
    Tile(Stretch<f32>),
}
