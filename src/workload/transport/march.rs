//! Steps of the transport on a processor: which operator runs on which plane, in which pass, by which thread. The operators
//! themselves are in `operators`.
#![allow(
    unsafe_code,
    reason = "tasks write disjoint planes of arrays that all of them read"
)]
use super::extent::{self, Extent};
use super::form::{Direction, Form, Fusion, Parallel};
use super::job::{Job, Scratch};
use super::lanes::Cell;
use super::memory::Memory;
use super::operators::Taps;
use super::tables::{Loss, Tables};
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
pub(super) struct Way {
    pub(super) from: usize,
    pub(super) to: usize,
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
    pub(super) taps: Vec<Taps>,
    /// Of each energy those that end in it: with their lower and with their upper weight.
    pub(super) ending: Vec<[Option<(usize, f32)>; 2]>,
    pub(super) arrays: [Memory<S>; 2],
    /// Of the weight in each array.
    pub(super) extents: [Memory<Extent>; 2],
    /// The array that holds the phase space between steps.
    current: usize,
    pub(super) ledger: Ledger,
    scratch: Vec<Mutex<Scratch>>,
}

impl<S: Cell> March<S> {
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
            scratch: (0..form.workers)
                .map(|_| Mutex::new(Scratch::new(&tables, rows)))
                .collect(),
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
        let extents = self.extents[0].as_mut_slice();
        extents.copy_from_slice(&extent::first(&self.tables, self.form.sparse));
        let values = self.arrays[0].as_mut_slice();
        for (e, extent) in extents.iter().enumerate().take(grid.energies) {
            for t in extent.angles() {
                let rows = layout.row(e, t, extent.rows.0)..layout.row(e, t, extent.rows.1);
                values[rows].fill(S::default());
            }
        }
        for entry in &self.tables.entries {
            values[layout.cell(entry.energy, entry.angle, entry.z, entry.x)] =
                S::from_f32(entry.weight as f32 * self.unit);
        }
    }

    pub(super) fn whole(&self) -> Extent {
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
        unsafe { job.run(task, &mut scratch) }
    }

    /// Cells of each energy that hold more than `least`.
    pub(super) fn occupied(&self, least: f64) -> Vec<usize> {
        let count = |row: &[S]| row.iter().filter(|v| f64::from(v.to_f32()) > least).count();
        self.by_energy(|row| count(row) as f64)
            .into_iter()
            .map(|n| n as usize)
            .collect()
    }

    /// Weight left in the phase space, by energy.
    pub(super) fn remaining(&self) -> Vec<f64> {
        let weight = |row: &[S]| row.iter().map(|v| f64::from(v.to_f32())).sum::<f64>();
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
                        cell(e, t, z, x, f64::from(value.to_f32()));
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
