//! Measuring: blocks of cells of samples, the warm-up before them, and the check of one variant's output. Runs inside the
//! worker. What to measure and in which order is decided by the campaign, so that it can be recorded and repeated.
#![allow(clippy::disallowed_methods, reason = "this module owns the clock")]
mod check;
mod conditions;
pub mod memory;
mod place;
mod spans;
#[cfg(test)]
mod tests;
mod watchdog;

pub use check::{CheckOrder, Checked, ExpectOrder, check, expect};
pub use place::place;
pub use spans::Spans;
pub use watchdog::Watchdog;

use crate::device::{Device, Gpu};
use crate::plan::{Cache, ENERGY_SAMPLE_NS, WarmUp};
use crate::space::Configuration;
use crate::trial::{Cell, Conditions, Ending, Invocation, Purpose, Sample, Timing, VariantId};
use crate::value::Nanoseconds;
use crate::workload::{Executable, Workload};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// What one block is to measure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BlockOrder {
    /// Counts within a phase and purpose.
    pub index: u32,
    pub purpose: Purpose,
    /// What its order of cells was drawn from; no two blocks of a campaign have the same.
    pub seed: u64,
    /// In the order in which to run them.
    pub cells: Vec<CellOrder>,
    /// Samples a cell.
    pub repetitions: u32,
    /// How a fresh worker warms up.
    pub warm_up: WarmUp,
    /// At most this much for warming up.
    pub warm_up_limit: Nanoseconds,
    /// Whether each sample's peak memory is counted (the objective needs it); counting costs time, so it is off otherwise.
    pub counts_memory: bool,
    /// Whether each sample's energy is read (the objective needs it); its samples are long, so they are not otherwise.
    pub counts_energy: bool,
    /// What a GPU's caches hold when a timed invocation starts.
    pub cache: Cache,
    /// A worker may measure this many blocks before it is replaced.
    pub blocks_per_worker: u32,
}

/// One cell of a block.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CellOrder {
    pub variant: VariantId,
    /// What a trace calls it.
    pub name: String,
    pub configuration: Configuration,
}

/// What is told while a block runs, so that a crash can be pinned on the cell in which it happened.
pub trait Listener {
    fn cell_starts(&mut self, variant: VariantId);
    fn cell_ends(&mut self, cell: Cell);
}

/// An invocation lasts at least this long, or is measured as a batch: 1 ms is at least 1,000 ticks of every clock here.
const SHORTEST_SAMPLE_NS: f64 = 1e6;

/// A fresh worker runs the reference at least this often, and for at least this long.
pub const AUTO_WARM_UP_COUNT: u32 = 3;
pub const AUTO_WARM_UP_NS: f64 = 5e8;

/// More executables than this are not kept: their buffers would fill the memory of a race over hundreds of variants.
const KEPT_EXECUTABLES: usize = 64;

/// A workload on its device with the executables that have been prepared: what a worker measures with.
pub struct Bench {
    pub workload: Box<dyn Workload>,
    pub device: Device,
    prepared: BTreeMap<VariantId, Prepared>,
    watchdog: Watchdog,
    is_warm: bool,
    /// Present where a trace is wanted.
    pub spans: Option<Spans>,
}

impl std::fmt::Debug for Bench {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bench")
            .field("prepared", &self.prepared.len())
            .finish_non_exhaustive()
    }
}

struct Prepared {
    configuration: Configuration,
    executable: Box<dyn Executable>,
    /// Invocations a sample; 0 until the first invocation has shown how long one lasts.
    batch: u32,
}

impl Bench {
    pub fn new(workload: Box<dyn Workload>, device: Device, watchdog: Watchdog) -> Bench {
        Bench {
            workload,
            device,
            prepared: BTreeMap::new(),
            watchdog,
            is_warm: false,
            spans: None,
        }
    }

    /// Measures one block. A worker that has not measured before warms up first and runs the block once as burn-in; those
    /// samples are marked as warm-up. Returns what the machine was like meanwhile.
    pub fn block(&mut self, order: &BlockOrder, listener: &mut dyn Listener) -> Conditions {
        let is_new = |cell: &&CellOrder| !self.is_prepared(cell);
        self.compile(
            (order.cells.iter().filter(is_new)).map(|cell| (cell.variant, &cell.configuration)),
        );
        let reading = conditions::Reading::start(&self.device);
        let mut warm_up_samples: BTreeMap<VariantId, Vec<Sample>> = BTreeMap::new();
        if !self.is_warm && self.workload.keeps_state() {
            let open = self.open();
            self.warm_up(order, &mut warm_up_samples, listener);
            let cells = || ("cells", order.cells.len().into());
            self.close(open, "warming up", cells);
        }
        self.is_warm = true;
        for cell_order in &order.cells {
            listener.cell_starts(cell_order.variant);
            let mut samples = warm_up_samples
                .remove(&cell_order.variant)
                .unwrap_or_default();
            let open = self.open();
            let ending = self.cell(order, cell_order, &mut samples);
            let ended = || ("ending", ending.sentence().into());
            self.close(open, &cell_order.name, ended);
            listener.cell_ends(Cell {
                variant: cell_order.variant,
                samples,
                ending,
            });
        }
        reading.end(&self.device)
    }

    /// Compiles on all processors what has to be, before anything is timed. What is wrong with a configuration shows when it is
    /// prepared; a compiler that hangs is one that the watchdog ends.
    fn compile<'a>(&self, cells: impl IntoIterator<Item = (VariantId, &'a Configuration)>) {
        if matches!(self.device, Device::Host) {
            return;
        }
        let open = self.open();
        let cells: Vec<_> = cells.into_iter().collect();
        let next = AtomicUsize::new(0);
        let threads = crate::device::threads().min(cells.len());
        let (workload, device, watchdog) = (&*self.workload, &self.device, &self.watchdog);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    while let Some((variant, configuration)) =
                        cells.get(next.fetch_add(1, Ordering::Relaxed))
                    {
                        let work = || workload.compile(device, configuration);
                        // A device that is lost panics again where it can be told.
                        let _ = catch_unwind(AssertUnwindSafe(|| watchdog.guard(*variant, work)));
                    }
                });
            }
        });
        self.close(open, "compile", || ("configurations", cells.len().into()));
    }

    /// The reference until the clock and the count are satisfied, then every variant once. A variant that ends badly here
    /// ends again, and is reported, in its own cell.
    fn warm_up(
        &mut self,
        order: &BlockOrder,
        samples: &mut BTreeMap<VariantId, Vec<Sample>>,
        listener: &mut dyn Listener,
    ) {
        let (least, time) = match order.warm_up {
            WarmUp::Auto => (
                AUTO_WARM_UP_COUNT,
                AUTO_WARM_UP_NS.min(order.warm_up_limit.0),
            ),
            WarmUp::Invocations(n) => (n, 0.0),
            WarmUp::Time(time) => (1, time.0),
        };
        let first = order
            .cells
            .iter()
            .find(|cell| cell.variant == VariantId::REFERENCE);
        let started = Instant::now();
        if let Some(cell) = first.or(order.cells.first()) {
            listener.cell_starts(cell.variant);
            let kept = samples.entry(cell.variant).or_default();
            for done in 0.. {
                let elapsed = nanoseconds_since(started);
                if done >= least && elapsed >= time || elapsed > order.warm_up_limit.0 && done > 0 {
                    break;
                }
                if self.sample(order, cell, kept, true).is_err() {
                    return;
                }
            }
        }
        for cell in &order.cells {
            listener.cell_starts(cell.variant);
            // Its failure is reported when its own cell comes.
            let _ = self.sample(order, cell, samples.entry(cell.variant).or_default(), true);
        }
    }

    fn cell(&mut self, order: &BlockOrder, cell: &CellOrder, samples: &mut Vec<Sample>) -> Ending {
        for _ in 0..order.repetitions {
            if let Err(ending) = self.sample(order, cell, samples, false) {
                return ending;
            }
        }
        Ending::Completed
    }

    fn sample(
        &mut self,
        order: &BlockOrder,
        cell: &CellOrder,
        samples: &mut Vec<Sample>,
        is_warm_up: bool,
    ) -> Result<(), Ending> {
        let keeps_state = self.workload.keeps_state();
        if self.prepare(cell)? && keeps_state && !is_warm_up {
            // Freshly prepared in mid-block: its pages have not been touched yet.
            samples.push(self.one(order, cell, true)?);
        }
        samples.push(self.one(order, cell, is_warm_up)?);
        Ok(())
    }

    /// Makes the cell's executable ready; true if it was prepared only now.
    fn prepare(&mut self, cell: &CellOrder) -> Result<bool, Ending> {
        if self.is_prepared(cell) {
            return Ok(false);
        }
        if self.prepared.len() >= KEPT_EXECUTABLES {
            self.prepared.clear();
        }
        let open = self.open();
        let executable = self.watchdog.guard(cell.variant, || {
            self.workload.prepare(&self.device, &cell.configuration)
        });
        let variant = || ("variant", cell.name.clone().into());
        self.close(open, "prepare", variant);
        let executable = executable?;
        let prepared = Prepared {
            configuration: cell.configuration.clone(),
            executable,
            batch: 0,
        };
        self.prepared.insert(cell.variant, prepared);
        Ok(true)
    }

    fn is_prepared(&self, cell: &CellOrder) -> bool {
        self.prepared
            .get(&cell.variant)
            .is_some_and(|p| p.configuration == cell.configuration)
    }

    fn one(
        &mut self,
        order: &BlockOrder,
        cell: &CellOrder,
        is_warm_up: bool,
    ) -> Result<Sample, Ending> {
        let open = self.open();
        let sample = self.invoke(order, cell, is_warm_up);
        self.close_sample(open, &cell.name, sample.as_ref().ok());
        sample
    }

    fn invoke(
        &mut self,
        order: &BlockOrder,
        cell: &CellOrder,
        is_warm_up: bool,
    ) -> Result<Sample, Ending> {
        let keeps_state = self.workload.keeps_state();
        let flushed = match (&self.device, order.cache) {
            (Device::Gpu(gpu), Cache::Cold) => Some(&**gpu),
            _ => None,
        };
        let prepared = self
            .prepared
            .get_mut(&cell.variant)
            .expect("prepared just before");
        let started_at = unix_nanoseconds();
        if !keeps_state {
            let invocation = prepared.executable.run()?;
            return Ok(Sample {
                invocation,
                started_at,
                batch: 1,
                is_warm_up,
            });
        }
        if prepared.batch == 0 {
            let (invocation, wall) = self.watchdog.guard(cell.variant, || {
                batch(prepared.executable.as_mut(), 1, flushed)
            })?;
            let shortest = match order.counts_energy {
                true => ENERGY_SAMPLE_NS,
                false => SHORTEST_SAMPLE_NS,
            };
            prepared.batch = (shortest / wall.max(1.0)).ceil().clamp(1.0, 1e6) as u32;
            if is_warm_up {
                return Ok(Sample {
                    invocation,
                    started_at,
                    batch: 1,
                    is_warm_up,
                });
            }
        }
        let m = prepared.batch;
        let counting = order.counts_memory.then(memory::Counting::start);
        let before = order.counts_energy.then(|| joules(&self.device)).flatten();
        let (mut invocation, _) = self.watchdog.guard(cell.variant, || {
            batch(prepared.executable.as_mut(), m, flushed)
        })?;
        if let Some(counting) = counting {
            invocation.host_peak = Some(counting.peak());
        }
        let used = before.and_then(|before| Some(joules(&self.device)? - before));
        invocation.joules = used.map(|joules| joules / f64::from(m));
        Ok(Sample {
            invocation,
            started_at,
            batch: m,
            is_warm_up,
        })
    }
}

/// What the device's counter of energy reads.
fn joules(device: &Device) -> Option<f64> {
    match device {
        Device::Host => None,
        Device::Gpu(gpu) => gpu.reading()?.joules,
    }
}

/// Runs `m` invocations between two readings of the clock; the result holds the means, and the wall time of one.
///
/// Only the two clock readings and a call through a vtable stand between the kernel and a hand-written loop. What `flushed` does
/// before each invocation is in no time, since an executable on a GPU keeps its own.
fn batch(
    executable: &mut dyn Executable,
    m: u32,
    flushed: Option<&dyn Gpu>,
) -> Result<(Invocation, f64), Ending> {
    let mut total = Invocation::default();
    let keeps_time = executable.keeps_time();
    let flushed = flushed.filter(|_| keeps_time);
    let flush = || flushed.map_or(Ok(()), |gpu| gpu.flush().map(|_| ()));
    flush()?;
    let started = Instant::now();
    let mut last = executable.run()?;
    for _ in 1..m {
        add(&mut total.timing, &last.timing);
        flush()?;
        last = executable.run()?;
    }
    let elapsed = nanoseconds_since(started);
    add(&mut total.timing, &last.timing);
    let wall = match keeps_time {
        true => total.timing.wall.0,
        false => elapsed,
    } / f64::from(m);
    let mean = |sum: Nanoseconds| Nanoseconds(sum.0 / f64::from(m));
    let timing = Timing {
        wall: Nanoseconds(wall),
        device: total.timing.device.map(mean),
        stages: total.timing.stages.into_iter().map(mean).collect(),
    };
    Ok((Invocation { timing, ..last }, wall))
}

fn add(sum: &mut Timing, timing: &Timing) {
    sum.wall.0 += timing.wall.0;
    if let Some(device) = timing.device {
        sum.device.get_or_insert_default().0 += device.0;
    }
    sum.stages.resize(timing.stages.len(), Nanoseconds(0.0));
    for (sum, stage) in sum.stages.iter_mut().zip(&timing.stages) {
        sum.0 += stage.0;
    }
}

pub(crate) fn nanoseconds_since(started: Instant) -> f64 {
    started.elapsed().as_nanos() as f64
}

/// Nanoseconds since 1970, UTC.
pub(crate) fn unix_nanoseconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| d.as_nanos() as u64)
}
