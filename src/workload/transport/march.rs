//! Steps of the transport on a processor: which operator runs on which plane, in which pass, by which thread. The operators
//! themselves are in `operators`.
#![allow(
    unsafe_code,
    reason = "tasks write disjoint planes of arrays that all of them read"
)]
use super::extent::Extent;
use super::form::{Direction, Form, Fusion, InstructionSet, Sparse};
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
    angle_weights: Vec<f32>,
    row_weights: Vec<f64>,
}

impl<S: Stored> March<S> {
    /// `is_shared`: processes that are forked later see the same memory.
    pub(super) fn new(tables: Tables, form: &Form, unit: f32, is_shared: bool) -> March<S> {
        let (layout, grid) = (tables.layout, tables.grid);
        let mut ending = vec![[None; 2]; grid.energies];
        for (e, loss) in tables.losses.iter().enumerate() {
            if let Loss::Down { low, weights } = *loss {
                ending[low][0] = Some((e, weights[0]));
                ending[low + 1][1] = Some((e, weights[1]));
            }
        }
        let rows = form.tile.min(grid.nz + layout.lead);
        let values = rows * layout.pitch;
        let scratch = || Scratch {
            tile: vec![0.0; grid.angles * tile_slab(&tables, rows) + SLACK],
            sums: vec![0.0; values + SLACK],
            escaped: vec![0.0; values + SLACK],
            buffer: vec![0.0; values + 2 * (layout.pitch + 1) + SLACK],
            angle_weights: vec![0.0; grid.angles],
            row_weights: vec![0.0; grid.nz + layout.lead],
        };
        let memory = |length: usize| Memory::zeroed(length, is_shared);
        March {
            taps: tables.scattering.iter().map(Taps::new).collect(),
            ending,
            arrays: [
                Memory::zeroed(layout.length, is_shared),
                Memory::zeroed(layout.length, is_shared),
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
            form: form.clone(),
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
            Fusion::StreamEnergy => vec![
                scattering(all(Task::Scatter)),
                energy(Part::Fused, back),
            ],
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

    /// Weight left in the phase space, by energy.
    pub(super) fn remaining(&self) -> Vec<f64> {
        let (layout, grid) = (self.tables.layout, self.tables.grid);
        let values = self.arrays[self.current].as_slice();
        let of_energy = |e: usize| {
            let extent = self.extents[self.current].as_slice()[e];
            let mut sum = 0.0;
            for t in extent.angles() {
                for z in extent.rows() {
                    let first = layout.cell(e, t, z, 0);
                    let row = &values[first..first + grid.nx];
                    sum += row.iter().map(|v| f64::from(v.widened())).sum::<f64>();
                }
            }
            sum / f64::from(self.unit)
        };
        (0..grid.energies).map(of_energy).collect()
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
                        self.flow::<V>(e, chain, [None; 2], Some(entered), scratch);
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
        unsafe { self.march.extents[array].pointer().add(energy).write(extent) }
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
                let escaped =
                    self.scatter_rows::<V, S>(energy, from, &extent, &rows, stretch, scratch);
                self.escape(energy, escaped);
                for angle in targets.clone() {
                    for row in 0..rows.len() {
                        let gap = stretch
                            .first
                            .add(angle * stretch.slab + row * layout.pitch);
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
        self.count(energy, &extent);
    }

    /// A_theta of some rows. Gives the weight that escaped.
    #[inline(always)]
    unsafe fn scatter_rows<V: Lanes, O: Stored>(
        &self,
        energy: usize,
        array: usize,
        extent: &Extent,
        rows: &Range<usize>,
        to: Stretch<O>,
        scratch: &mut Scratch,
    ) -> f64 {
        let march = self.march;
        let (layout, taps) = (&march.tables.layout, &march.taps[energy]);
        let length = rows.len() * layout.pitch;
        let from = self.plane(array, energy, rows.start);
        let (sources, ahead) = (
            extent.angles(),
            if march.form.prefetches { layout.plane } else { 0 },
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
        escaped
            .chunks_exact(layout.pitch)
            .flat_map(|row| &row[layout.gap..])
            .map(|v| f64::from(*v))
            .sum()
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
        let slab = tile_slab(&march.tables, march.form.tile.min(march.tables.grid.nz + layout.lead));
        for first in extent.rows().step_by(march.form.tile) {
            let rows = first..(first + march.form.tile).min(extent.rows.1);
            let scattered = Stretch {
                first: scratch.tile.as_mut_ptr(),
                slab,
            };
            let plane = self.plane(array, energy, first);
            // SAFETY: as the caller promises; a tile has room for its rows.
            unsafe {
                let escaped =
                    self.scatter_rows::<V, f32>(energy, array, &extent, &rows, scattered, scratch);
                self.escape(energy, escaped);
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
        self.count(energy, &extent);
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
        unsafe { self.flow::<V>(energy, chain, [Some(same), None], Some(entered), scratch) };
    }

    /// Every energy that ends in the band, in ascending order, so that a plane gets its upper weight before its lower.
    #[inline(always)]
    unsafe fn deposit<V: Lanes>(&self, band: &Range<usize>, scratch: &mut Scratch) {
        let Way { from, to } = self.way;
        let march = self.march;
        let chain = self.last_chain();
        let reached = |e: usize| self.reached(e, chain, self.extent(from, e));
        let ending = |j: usize, which: usize| {
            let source = march.ending[j][which].filter(|(e, _)| !reached(*e).is_empty());
            source.map(|(e, _)| e)
        };
        for j in band.clone() {
            let empty = match march.form.sparse {
                Sparse::None => march.whole(),
                _ => Extent::EMPTY,
            };
            self.set_extent(to, j, empty);
            if march.form.sparse == Sparse::None && march.ending[j] == [None; 2] {
                self.fill(to, j, &empty, &Extent::EMPTY);
            }
        }
        let sources = band.clone().flat_map(|j| march.ending[j].into_iter().flatten());
        let (first, last) = sources.fold((usize::MAX, 0), |(first, last), (e, _)| {
            (first.min(e), last.max(e))
        });
        for e in first..last.saturating_add(1) {
            let Loss::Down { low, weights } = march.tables.losses[e] else {
                continue;
            };
            let extent = reached(e);
            if extent.is_empty() {
                continue;
            }
            let lower = band.contains(&low).then(|| Into {
                energy: low,
                weight: weights[0],
                adds: ending(low, 1).is_some(),
            });
            let upper = band.contains(&(low + 1)).then(|| Into {
                energy: low + 1,
                weight: weights[1],
                adds: false,
            });
            let entered = lower.map(|_| Entered {
                leaks: chain != Chain::Stored,
                doses: true,
            });
            // SAFETY: as the caller promises.
            unsafe { self.flow::<V>(e, chain, [lower, upper], entered, scratch) };
            let (kept, left) = extent.trimmed(
                march.form.sparse,
                march.form.cutoff * f64::from(march.unit),
                &scratch.row_weights,
                &scratch.angle_weights,
            );
            for into in [lower, upper].into_iter().flatten() {
                let around = self.extent(to, into.energy).around(&kept);
                self.set_extent(to, into.energy, around);
            }
            if lower.is_some() {
                // SAFETY: the account of an energy belongs to the task with its lower end.
                unsafe { *march.ledger.cut.pointer().add(e) += left };
            }
            // The next energy adds to what this one set, and to zeros around it.
            if upper.is_some()
                && let Some(next) = ending(low + 1, 0)
            {
                self.fill(to, low + 1, &extent.around(&reached(next)), &extent);
            }
        }
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
            self.flow::<V>(energy, Chain::Stored, [None; 2], Some(dose), scratch);
            combine::<V, S>(
                sources,
                self.plane(to, energy, 0),
                whole.rows().len() * march.tables.layout.pitch,
                whole.angles(),
            );
        }
    }

    /// Takes a plane through its chain, tile by tile, to where it arrives; leaves the weight of its rows and angles in the scratch.
    #[inline(always)]
    unsafe fn flow<V: Lanes>(
        &self,
        energy: usize,
        chain: Chain,
        into: [Option<Into>; 2],
        entered: Option<Entered>,
        scratch: &mut Scratch,
    ) {
        let march = self.march;
        let (tables, layout) = (&march.tables, march.tables.layout);
        let extent = self.extent(self.way.from, energy);
        scratch.angle_weights.fill(0.0);
        scratch.row_weights.fill(0.0);
        if extent.is_empty() {
            return;
        }
        let reached = self.reached(energy, chain, extent);
        let beyond = if chain == Chain::Stored { 0 } else { layout.lead };
        let end = extent.rows.1 + beyond;
        let most = march.form.tile.min(tables.grid.nz + layout.lead);
        let slab = tile_slab(tables, most);
        let mut escaped = 0.0;
        let mut first = extent.rows.0;
        while first < end {
            let rows = first..(first + most).min(end);
            let inside = rows.end.min(tables.grid.nz).max(first) - first;
            let length = rows.len() * layout.pitch;
            scratch.sums[..length].fill(0.0);
            // SAFETY: as the caller promises; rows are within planes and tiles.
            unsafe {
                let from = match chain {
                    Chain::ScatterStream => {
                        escaped += self.scatter_tile::<V>(energy, &extent, &rows, slab, scratch);
                        let first = scratch.tile.as_mut_ptr();
                        Source::Tile(Stretch {
                            first: first.add(layout.gap + layout.lead * layout.pitch),
                            slab,
                        })
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
                    angle_weights: &mut scratch.angle_weights,
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
            self.enter(energy, &rows, chain, entered, scratch);
            first = rows.end;
        }
        if entered.is_some() {
            self.escape(energy, escaped);
            self.count(energy, &reached);
        }
    }

    /// Scattered rows of a tile in the scratch, after the last ones of the tile before. Gives the weight that escaped.
    #[inline(always)]
    unsafe fn scatter_tile<V: Lanes>(
        &self,
        energy: usize,
        extent: &Extent,
        rows: &Range<usize>,
        slab: usize,
        scratch: &mut Scratch,
    ) -> f64 {
        let march = self.march;
        let layout = march.tables.layout;
        let most = march.form.tile.min(march.tables.grid.nz + layout.lead);
        let (lead, pitch) = (layout.lead * layout.pitch, layout.pitch);
        let targets = march.taps[energy].targets(&extent.angles(), march.tables.grid.angles);
        let scattered = rows.start..rows.end.min(extent.rows.1).max(rows.start);
        for angle in targets.clone() {
            let slab = &mut scratch.tile[angle * slab..(angle + 1) * slab];
            if rows.start == extent.rows.0 {
                slab[..layout.gap + lead].fill(0.0);
            } else {
                // With the gap before them.
                slab.copy_within(most * pitch..most * pitch + layout.gap + lead, 0);
            }
            let written = layout.gap + lead + scattered.len() * pitch;
            slab[written..layout.gap + lead + rows.len() * pitch + layout.gap].fill(0.0);
        }
        let tile = Stretch {
            first: scratch.tile.as_mut_ptr().wrapping_add(layout.gap + lead),
            slab,
        };
        if scattered.is_empty() {
            return 0.0;
        }
        let from = self.way.from;
        // SAFETY: as the caller promises; the tile has room for its rows.
        unsafe {
            let escaped =
                self.scatter_rows::<V, f32>(energy, from, extent, &scattered, tile, scratch);
            for angle in targets {
                for row in 0..scattered.len() {
                    let gap = tile.first.add(angle * slab + row * pitch);
                    std::slice::from_raw_parts_mut(gap, layout.gap).fill(0.0);
                }
            }
            escaped
        }
    }

    /// The sums of a tile into the ledger.
    fn enter(
        &self,
        energy: usize,
        rows: &Range<usize>,
        chain: Chain,
        entered: Option<Entered>,
        scratch: &mut Scratch,
    ) {
        let march = self.march;
        let (layout, grid) = (march.tables.layout, march.tables.grid);
        let mut leaked = 0.0;
        for (row, sums) in rows.clone().zip(scratch.sums.chunks_exact(layout.pitch)) {
            let (gap, cells) = sums.split_at(layout.gap);
            if row >= grid.nz {
                leaked += sums.iter().map(|v| f64::from(*v)).sum::<f64>();
                continue;
            }
            leaked += gap.iter().map(|v| f64::from(*v)).sum::<f64>();
            scratch.row_weights[row] = cells.iter().map(|v| f64::from(*v)).sum();
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
        if entered.is_some_and(|e| e.leaks) && chain != Chain::Stored {
            // SAFETY: as above.
            unsafe { *march.ledger.leaked.pointer().add(energy) += leaked };
        }
    }

    fn escape(&self, energy: usize, weight: f64) {
        // SAFETY: the account of this energy is this task's.
        unsafe { *self.march.ledger.escaped.pointer().add(energy) += weight };
    }

    fn count(&self, energy: usize, extent: &Extent) {
        let cells = extent.angles().len() * extent.rows().len() * self.march.tables.grid.nx;
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
