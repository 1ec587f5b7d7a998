//! What measuring adds to a kernel of 1 ms inside the worker: `cargo bench --bench kernel_overhead -- [ROUNDS]`.
//!
//! The same kernel by `measure::Bench`, as workers call it, and by a hand-written loop around `Instant`, in turns and in one
//! process. Target: within 1 %.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a program of its own: prints, and looks at the clock"
)]
use phasetune::array::Array;
use phasetune::device::{self, Device};
use phasetune::measure::{Bench, BlockOrder, CellOrder, Listener, Watchdog};
use phasetune::plan::{Cache, DeviceChoice, WarmUp};
use phasetune::space::Configuration;
use phasetune::stats;
use phasetune::trial::{Cell, Ending, Invocation, Purpose, VariantId};
use phasetune::value::Nanoseconds;
use phasetune::workload::{Executable, Workload};
use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

/// Steps of a xorshift that take about 1 ms. One chain of dependent operations: no layout or cache can change its time.
const STEPS: u64 = 600_000;

fn kernel(steps: u64) -> u64 {
    let mut x = black_box(88_172_645_463_325_252_u64);
    for _ in 0..steps {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
    }
    x
}

struct Spin;

impl Workload for Spin {
    fn prepare(&self, _: &Device, _: &Configuration) -> Result<Box<dyn Executable>, Ending> {
        Ok(Box::new(Spin))
    }

    fn exact(&self, _device: &Device, _baseline: &Configuration) -> Result<Option<Array>, Ending> {
        Ok(None)
    }
}

impl Executable for Spin {
    fn run(&mut self) -> Result<Invocation, Ending> {
        black_box(kernel(black_box(STEPS)));
        Ok(Invocation::default())
    }

    fn output(&mut self) -> Result<Option<Array>, Ending> {
        Ok(None)
    }
}

#[derive(Default)]
struct Kept(Vec<Cell>);

impl Listener for Kept {
    fn cell_starts(&mut self, _: VariantId) {}
    fn cell_ends(&mut self, cell: Cell) {
        self.0.push(cell);
    }
}

fn main() -> ExitCode {
    let rounds = std::env::args()
        .skip(1)
        .find_map(|word| word.parse().ok())
        .unwrap_or(400);
    let device = device::open(DeviceChoice::Cpu).expect("every machine has one");
    let watchdog = Watchdog::new(Nanoseconds(60e9), |_| std::process::abort());
    let mut bench = Bench::new(Box::new(Spin), device, watchdog);
    let order = |index| BlockOrder {
        seed: 1,
        index,
        purpose: Purpose::Screen,
        cells: vec![CellOrder {
            variant: VariantId::REFERENCE,
            name: "reference".into(),
            configuration: Configuration::default(),
        }],
        repetitions: 3,
        warm_up: WarmUp::Auto,
        warm_up_limit: Nanoseconds(5e8),
        counts_memory: false,
        counts_energy: false,
        cache: Cache::Warm,
        blocks_per_worker: u32::MAX,
    };
    bench.block(&order(0), &mut Kept::default());
    let mut pairs = vec![];
    for round in 1..=rounds {
        let by_hand = || {
            (0..3)
                .map(|_| {
                    let started = Instant::now();
                    black_box(kernel(black_box(STEPS)));
                    started.elapsed().as_nanos() as f64
                })
                .fold(f64::INFINITY, f64::min)
        };
        let mut by_worker = || {
            let mut kept = Kept::default();
            bench.block(&order(round), &mut kept);
            kept.0[0]
                .samples
                .iter()
                .filter(|s| !s.is_warm_up)
                .map(|s| s.invocation.timing.wall.0)
                .fold(f64::INFINITY, f64::min)
        };
        // In turns, each as often first as second.
        pairs.push(if round % 2 == 0 {
            let hand = by_hand();
            (by_worker(), hand)
        } else {
            let worker = by_worker();
            (worker, by_hand())
        });
    }
    let comparison = stats::compare(&pairs, 0.05, 1.0, 1);
    let median = |side: fn(&(f64, f64)) -> f64| {
        stats::quartiles(&pairs.iter().map(side).collect::<Vec<_>>()).1 / 1e6
    };
    let (lower, upper) = comparison.interval.unwrap_or((f64::NAN, f64::NAN));
    println!("rounds            {rounds}");
    println!(
        "by hand           {:.4} ms (median of cells)",
        median(|p| p.1)
    );
    println!("by the worker     {:.4} ms", median(|p| p.0));
    println!(
        "worker / by hand  {:.4}, 95 % interval [{:.4}, {:.4}]",
        1.0 / comparison.speedup,
        1.0 / upper,
        1.0 / lower
    );
    let is_met = 1.0 / lower <= 1.01 && 1.0 / upper >= 0.99;
    println!(
        "verdict: within 1 %: {}",
        if is_met { "met" } else { "NOT MET" }
    );
    if is_met {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
