//! The operators where the angles of a cell are next to each other in memory: vectors along the angles, each operator a pass over
//! every cell. The other order of the cells, and everything that it allows, is `march`.
#![allow(
    unsafe_code,
    reason = "vectors over raw arrays that tasks share; every function says what it needs"
)]
use super::beam::{Beam, Grid};
use super::form::{CellOrder, Form};
use super::judge;
use super::lanes::Lanes;
use super::ledger::Account;
use super::memory::Memory;
use super::operators::{Operator, run};
use super::tables::{Loss, Tables};
use super::{BEAM, ENERGY, SCATTERING, STAGES, STREAMING};
use crate::array::Array;
use crate::trial::{Ending, Invocation, Timing};
use crate::value::Nanoseconds;
use crate::workload::Executable;
use crate::workload::stopwatch::timed;
use rayon::prelude::*;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// Angles that are moved together; a multiple of every vector's length.
const CHUNK: usize = 16;

/// How those of a chunk of angles move that cross the same cells; the weights of the others are 0.
struct Move {
    chunk: usize,
    ix: isize,
    iz: isize,
    /// Of (z, x), (z, x+1), (z+1, x), (z+1, x+1).
    weights: [[f32; CHUNK]; 4],
}

/// A range of energies and places.
#[derive(Clone)]
struct Part {
    energies: Range<usize>,
    places: Range<usize>,
}

/// Weight by energy that left through the angles or the rims in a task, of its part's energies.
type Gone = Vec<f64>;

/// The operators.
#[derive(Clone, Copy)]
enum Kind {
    Scatter,
    Stream,
    Lose,
}

pub(super) struct Angular {
    problem: Arc<Beam>,
    own: Beam,
    tables: Tables,
    form: Form,
    order: CellOrder,
    /// Values from one cell's angles to the next's: the angles, and zeros up to a whole chunk.
    pitch: usize,
    moves: Vec<Move>,
    /// Of each energy those that end in it: with their lower and with their upper weight.
    ending: Vec<[Option<(usize, f32)>; 2]>,
    /// Columns from both sides and rows from the last from which weight can leave.
    rim: [usize; 2],
    arrays: [Memory<f32>; 2],
    current: usize,
    gone: Vec<f64>,
    /// `[energy][place]`
    arrived: Memory<f64>,
    threads: rayon::ThreadPool,
}

impl Angular {
    /// # Errors
    /// When the system gives no threads.
    pub(super) fn new(
        problem: &Arc<Beam>,
        own: Beam,
        tables: Tables,
        form: &Form,
        order: CellOrder,
    ) -> Result<Angular, Ending> {
        let grid = tables.grid;
        let pitch = grid.angles.next_multiple_of(CHUNK);
        let length = grid.energies * grid.places() * pitch;
        let mut ending = vec![[None; 2]; grid.energies];
        for (e, loss) in tables.losses.iter().enumerate() {
            if let Loss::Down { low, weights } = *loss {
                ending[low][0] = Some((e, weights[0]));
                ending[low + 1][1] = Some((e, weights[1]));
            }
        }
        let threads = rayon::ThreadPoolBuilder::new().num_threads(form.workers);
        let sideways = |m: &Move| (m.ix + 1).max(-m.ix).max(0) as usize;
        let moves = moves(&tables);
        Ok(Angular {
            problem: problem.clone(),
            own,
            form: form.clone(),
            order,
            pitch,
            ending,
            rim: [
                moves.iter().map(sideways).max().unwrap_or(1),
                moves.iter().map(|m| m.iz + 1).max().unwrap_or(1).max(0) as usize,
            ],
            moves,
            arrays: [0, 1].map(|_| Memory::zeroed(length, false)),
            current: 0,
            gone: vec![0.0; grid.energies],
            arrived: Memory::zeroed(grid.energies * grid.places(), false),
            threads: threads.build().map_err(|why| Ending::Failed {
                reason: format!("no threads: {why}"),
            })?,
            tables,
        })
    }

    /// Where the angles of a cell begin.
    fn index(&self, energy: usize, place: usize) -> usize {
        let grid = &self.tables.grid;
        self.pitch
            * match self.order {
                CellOrder::PlaceEnergyAngle => place * grid.energies + energy,
                _ => energy * grid.places() + place,
            }
    }

    /// Calls with energy and place of a part's cells, in the order of their addresses.
    #[inline(always)]
    fn each(&self, part: &Part, mut cell: impl FnMut(usize, usize)) {
        match self.order {
            CellOrder::PlaceEnergyAngle => {
                for place in part.places.clone() {
                    part.energies.clone().for_each(|e| cell(e, place));
                }
            }
            _ => {
                for e in part.energies.clone() {
                    part.places.clone().for_each(|place| cell(e, place));
                }
            }
        }
    }

    /// Tasks that write rows of their own: of an energy, or of a depth.
    fn parts(&self) -> Vec<Part> {
        let Grid {
            nx, nz, energies, ..
        } = self.tables.grid;
        let places = 0..nx * nz;
        match self.order {
            CellOrder::PlaceEnergyAngle => (0..nz)
                .map(|z| Part {
                    energies: 0..energies,
                    places: z * nx..(z + 1) * nx,
                })
                .collect(),
            _ => (0..energies)
                .map(|e| Part {
                    energies: e..e + 1,
                    places: places.clone(),
                })
                .collect(),
        }
    }

    fn begin(&mut self) {
        self.gone.fill(0.0);
        self.arrived.as_mut_slice().fill(0.0);
        self.current = 0;
        self.arrays[0].as_mut_slice().fill(0.0);
        for i in 0..self.tables.entries.len() {
            let entry = self.tables.entries[i];
            let cell = self.index(entry.energy, entry.z * self.tables.grid.nx + entry.x);
            self.arrays[0].as_mut_slice()[cell + entry.angle] = entry.weight as f32;
        }
    }

    /// From the array that holds the phase space into the other.
    fn pass(&mut self, kind: Kind) {
        let parts = self.parts();
        let this: &Angular = self;
        let gone: Vec<Gone> = this.threads.install(|| {
            let tasks = parts.par_iter().with_max_len(1);
            tasks.map(|part| this.work(kind, part)).collect()
        });
        // In the order of the parts, so that the same weights give the same sums.
        for (part, gone) in parts.iter().zip(gone) {
            for (e, weight) in part.energies.clone().zip(gone) {
                self.gone[e] += weight;
            }
        }
        self.current = 1 - self.current;
    }

    fn steps(&mut self, stages: &mut [Duration]) {
        timed(&mut stages[BEAM], || self.begin());
        for _ in 0..self.own.steps {
            timed(&mut stages[SCATTERING], || self.pass(Kind::Scatter));
            timed(&mut stages[STREAMING], || self.pass(Kind::Stream));
            timed(&mut stages[ENERGY], || self.pass(Kind::Lose));
            if self.tables.is_strang {
                timed(&mut stages[SCATTERING], || self.pass(Kind::Scatter));
            }
        }
    }

    fn work(&self, kind: Kind, part: &Part) -> Gone {
        let mut pass = Pass {
            kind,
            all: self,
            part,
            from: self.arrays[self.current].pointer(),
            to: self.arrays[1 - self.current].pointer(),
            gone: vec![0.0; part.energies.len()],
        };
        // SAFETY: the set was chosen among those that the processor has; tasks write the cells of their own part alone.
        unsafe { run(self.form.set, &mut pass) };
        pass.gone
    }

    fn outcome(&self) -> judge::Outcome {
        let grid = self.tables.grid;
        let values = self.arrays[self.current].as_slice();
        let remaining = |e: usize| {
            let cell = |place: usize| &values[self.index(e, place)..][..grid.angles];
            let all = (0..grid.places()).flat_map(cell);
            all.map(|v| f64::from(*v)).sum::<f64>()
        };
        Account {
            remaining: (0..grid.energies).map(remaining).collect(),
            gone: self.gone.clone(),
            cut: vec![0.0; grid.energies],
            arrived: self.arrived.as_slice().to_vec(),
        }
        .outcome(&self.tables)
    }
}

/// The shifts of all angles, by chunk and by the cells that they cross.
fn moves(tables: &Tables) -> Vec<Move> {
    let mut all: Vec<Move> = vec![];
    for (angle, shift) in tables.shifts.iter().enumerate() {
        let (chunk, ix, iz) = (angle / CHUNK, shift.ix as isize, shift.iz as isize);
        let known = |m: &Move| (m.chunk, m.ix, m.iz) == (chunk, ix, iz);
        let at = all.iter().position(known).unwrap_or_else(|| {
            all.push(Move {
                chunk,
                ix,
                iz,
                weights: [[0.0; CHUNK]; 4],
            });
            all.len() - 1
        });
        for (weights, weight) in all[at].weights.iter_mut().zip(shift.weights) {
            weights[angle % CHUNK] = weight;
        }
    }
    all
}

/// An operator over a part of the cells.
struct Pass<'a> {
    kind: Kind,
    all: &'a Angular,
    part: &'a Part,
    from: *const f32,
    to: *mut f32,
    gone: Gone,
}

impl Operator for Pass<'_> {
    #[inline(always)]
    unsafe fn run<V: Lanes>(&mut self) {
        // SAFETY: as the caller promises.
        unsafe {
            match self.kind {
                Kind::Scatter => self.scatter::<V>(),
                Kind::Stream => self.stream::<V>(),
                Kind::Lose => self.lose::<V>(),
            }
        }
    }
}

/// Each is as unsafe as [`Operator::run`].
impl Pass<'_> {
    /// A_theta: a cell's angles are copied between zeros, then every vector of them is a sum over the taps.
    #[inline(always)]
    unsafe fn scatter<V: Lanes>(&mut self) {
        let Pass {
            all,
            part,
            from,
            to,
            ref mut gone,
            ..
        } = *self;
        let (angles, pitch) = (all.tables.grid.angles, all.pitch);
        let mut cell = vec![0.0_f32; pitch + 2 * CHUNK];
        let mut is_angle = [0.0_f32; CHUNK];
        is_angle[..(angles - 1) % CHUNK + 1].fill(1.0);
        all.each(part, |e, place| {
            let scattering = &all.tables.scattering[e];
            let (reach, at) = (scattering.reach as isize, all.index(e, place));
            // SAFETY: whole chunks of the arrays and of the copy; a tap reaches at most a vector beyond the angles, where zeros are.
            unsafe {
                let middle = cell.as_mut_ptr().add(CHUNK);
                let taps = scattering.taps.as_ptr().offset(reach);
                for i in (0..pitch).step_by(V::COUNT) {
                    V::load(from.add(at + i)).store(middle.add(i));
                }
                for i in (0..pitch).step_by(V::COUNT) {
                    let (i, count) = (i as isize, V::COUNT as isize);
                    let mut sum = V::splat(0.0);
                    // From source i + d.
                    for d in (-reach).max(1 - count - i)..=reach.min(angles as isize - 1 - i) {
                        let tap = V::splat(*taps.offset(-d));
                        sum = V::load(middle.offset(i + d)).mul_add(tap, sum);
                    }
                    if i + count > angles as isize {
                        let lane = i as usize % CHUNK;
                        let rest = V::load(is_angle.as_ptr().add(lane));
                        sum = match i < angles as isize {
                            true => sum.mul(rest),
                            false => V::splat(0.0),
                        };
                    }
                    sum.store(to.add(at + i as usize));
                }
            }
            let reach = scattering.reach.min(angles);
            let ends = (0..reach).chain(reach.max(angles - reach)..angles);
            let escaped = ends.map(|t| scattering.escaping[t] * cell[CHUNK + t]);
            gone[e - part.energies.start] += f64::from(escaped.sum::<f32>());
        });
    }

    /// A_s: every cell collects from the four that reach it; what leaves is counted where it begins.
    #[inline(always)]
    unsafe fn stream<V: Lanes>(&mut self) {
        let Pass {
            all,
            part,
            from,
            to,
            ref mut gone,
            ..
        } = *self;
        let Grid { nx, nz, .. } = all.tables.grid;
        let (columns, rows) = (nx as isize, nz as isize);
        let is_inside = |z: isize, x: isize| (0..rows).contains(&z) && (0..columns).contains(&x);
        all.each(part, |e, place| {
            let (z, x) = (place / nx, place % nx);
            let is_rim = z + all.rim[1] >= nz || x < all.rim[0] || x + all.rim[0] >= nx;
            let (at, z, x) = (all.index(e, place), z as isize, x as isize);
            let mut leaked = 0.0;
            // SAFETY: whole chunks of cells that are inside.
            unsafe {
                let mut last = usize::MAX;
                for m in &all.moves {
                    let first = m.chunk * CHUNK;
                    for lane in (0..CHUNK).step_by(V::COUNT) {
                        let target = to.add(at + first + lane);
                        let mut sum = match m.chunk == last {
                            true => V::load(target),
                            false => V::splat(0.0),
                        };
                        for (k, weights) in m.weights.iter().enumerate() {
                            let (dx, dz) = (m.ix + (k & 1) as isize, m.iz + (k >> 1) as isize);
                            let weight = V::load(weights.as_ptr().add(lane));
                            if is_inside(z - dz, x - dx) {
                                let source = all.index(e, ((z - dz) * columns + x - dx) as usize);
                                sum = V::load(from.add(source + first + lane)).mul_add(weight, sum);
                            }
                            if is_rim && !is_inside(z + dz, x + dx) {
                                leaked += V::load(from.add(at + first + lane)).mul(weight).sum();
                            }
                        }
                        sum.store(target);
                    }
                    last = m.chunk;
                }
            }
            gone[e - part.energies.start] += f64::from(leaked);
        });
    }

    /// A_E: every energy collects from those that end in it.
    #[inline(always)]
    unsafe fn lose<V: Lanes>(&mut self) {
        let Pass {
            all,
            part,
            from,
            to,
            ..
        } = *self;
        let places = all.tables.grid.places();
        all.each(part, |e, place| {
            let at = all.index(e, place);
            let sources =
                all.ending[e].map(|source| source.map(|(e, weight)| (all.index(e, place), weight)));
            // SAFETY: whole chunks of cells; the account of a cell is its task's.
            unsafe {
                let mut arrived = V::splat(0.0);
                for i in (0..all.pitch).step_by(V::COUNT) {
                    let mut sum = V::splat(0.0);
                    for (source, weight) in sources.iter().flatten() {
                        sum = V::load(from.add(source + i)).mul_add(V::splat(*weight), sum);
                    }
                    arrived = arrived.add(V::load(from.add(at + i)));
                    sum.store(to.add(at + i));
                }
                *all.arrived.pointer().add(e * places + place) += f64::from(arrived.sum());
            }
        });
    }
}

impl Executable for Angular {
    fn run(&mut self) -> Result<Invocation, Ending> {
        let (mut wall, mut stages) = (Duration::ZERO, [Duration::ZERO; STAGES]);
        timed(&mut wall, || self.steps(&mut stages));
        Ok(Invocation {
            timing: Timing {
                wall: wall.into(),
                device: None,
                stages: stages.map(Nanoseconds::from).to_vec(),
            },
            ..Invocation::default()
        })
    }

    /// The zeros behind the angles stay.
    fn poison(&mut self) {
        let (angles, pitch) = (self.tables.grid.angles, self.pitch);
        for array in &mut self.arrays {
            let cells = array.as_mut_slice().chunks_exact_mut(pitch);
            cells.for_each(|cell| cell[..angles].fill(f32::NAN));
        }
        self.arrived.as_mut_slice().fill(f64::NAN);
    }

    fn output(&mut self) -> Result<Option<Array>, Ending> {
        Ok(Some(judge::output(&self.own, &self.outcome().dose)))
    }

    fn own_metrics(&mut self, expected: &Array) -> Vec<f64> {
        judge::of_run(&self.problem, &self.own, &self.outcome(), expected)
    }

    fn attributes(&self) -> Vec<(String, f64)> {
        let cells = self.own.steps as f64 * self.own.grid.cells() as f64;
        vec![
            ("cells_visited".into(), cells),
            ("cells_dense".into(), cells),
        ]
    }
}
