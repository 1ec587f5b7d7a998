//! What stands around timed invocations on a GPU: its caches are overwritten, its energy is read.
use super::*;
use crate::array::Array;
use crate::device::noting::Noting;
use crate::trial::Work;
use std::sync::Arc;

/// Of one invocation.
const NANOSECONDS: f64 = 3e5;
const JOULES: f64 = 0.25;

struct Toy(Arc<Noting>);

impl Workload for Toy {
    fn prepare(&self, _: &Device, _: &Configuration) -> Result<Box<dyn Executable>, Ending> {
        Ok(Box::new(Toy(self.0.clone())))
    }

    fn exact(&self, _: &Device, _: &Configuration) -> Result<Option<Array>, Ending> {
        Ok(None)
    }

    fn work(&self, _: &Configuration) -> Option<Work> {
        None
    }
}

impl Executable for Toy {
    fn run(&mut self) -> Result<Invocation, Ending> {
        self.0.note("run");
        self.0.use_energy(JOULES);
        Ok(Invocation {
            timing: Timing {
                wall: Nanoseconds(NANOSECONDS),
                ..Timing::default()
            },
            ..Invocation::default()
        })
    }

    fn output(&mut self) -> Result<Option<Array>, Ending> {
        Ok(None)
    }

    fn keeps_time(&self) -> bool {
        true
    }
}

#[derive(Default)]
struct Cells(Vec<Cell>);

impl Listener for Cells {
    fn cell_starts(&mut self, _variant: VariantId) {}

    fn cell_ends(&mut self, cell: Cell) {
        self.0.push(cell);
    }
}

fn order(cache: Cache) -> BlockOrder {
    BlockOrder {
        seed: 1,
        index: 0,
        purpose: Purpose::Screen,
        cells: vec![CellOrder {
            variant: VariantId::REFERENCE,
            name: "reference".into(),
            configuration: Configuration::new(vec![]),
        }],
        repetitions: 2,
        warm_up: WarmUp::Invocations(1),
        warm_up_limit: Nanoseconds(1e9),
        counts_memory: false,
        counts_energy: false,
        cache,
        blocks_per_worker: 1,
    }
}

/// The samples that are no warm-up, and what the GPU noted.
fn measured(gpu: &Arc<Noting>, order: &BlockOrder) -> (Vec<Sample>, Vec<&'static str>) {
    let watchdog = Watchdog::new(Nanoseconds(60e9), |_| {});
    let device = Device::Gpu(gpu.clone());
    let mut bench = Bench::new(Box::new(Toy(gpu.clone())), device, watchdog);
    let mut cells = Cells::default();
    bench.block(order, &mut cells);
    let samples = cells.0.into_iter().flat_map(|cell| cell.samples);
    let compared = samples.filter(|sample| !sample.is_warm_up).collect();
    (compared, gpu.take_notes())
}

#[test]
fn cold_caches_are_overwritten_before_each_invocation_of_a_batch_and_in_no_time() {
    let gpu = Arc::new(Noting::default());
    let (samples, notes) = measured(&gpu, &order(Cache::Cold));
    assert_eq!(samples.len(), 2);
    for sample in samples {
        // 1 ms over 0.3 ms.
        assert_eq!(sample.batch, 4);
        assert_eq!(sample.invocation.timing.wall.0, NANOSECONDS);
    }
    assert!(notes.len() >= 2 * (4 + 4), "{notes:?}");
    assert!(
        notes.chunks(2).all(|pair| pair == ["flush", "run"]),
        "{notes:?}"
    );
}

#[test]
fn warm_caches_are_left_alone() {
    let gpu = Arc::new(Noting::default());
    let (samples, notes) = measured(&gpu, &order(Cache::Warm));
    assert_eq!(samples.len(), 2);
    assert!(notes.iter().all(|note| *note == "run"), "{notes:?}");
}

#[test]
fn energy_is_read_over_a_sample_that_the_counter_can_resolve() {
    let gpu = Arc::new(Noting::default());
    let energy = BlockOrder {
        counts_energy: true,
        ..order(Cache::Warm)
    };
    let (samples, _) = measured(&gpu, &energy);
    assert_eq!(samples.len(), 2);
    for sample in samples {
        assert!(f64::from(sample.batch) * NANOSECONDS >= ENERGY_SAMPLE_NS);
        assert_eq!(sample.invocation.joules, Some(JOULES));
    }
}

#[test]
fn energy_is_not_read_where_another_quantity_is_minimized() {
    let gpu = Arc::new(Noting::default());
    let (samples, _) = measured(&gpu, &order(Cache::Warm));
    let mut all = samples.iter().map(|sample| sample.invocation.joules);
    assert!(all.all(|joules| joules.is_none()));
}

#[test]
fn spans_are_noted_where_a_trace_is_wanted_and_change_no_sample() {
    let gpu = Arc::new(Noting::default());
    let (plain, _) = measured(&gpu, &order(Cache::Warm));
    let watchdog = Watchdog::new(Nanoseconds(60e9), |_| {});
    let mut bench = Bench::new(
        Box::new(Toy(gpu.clone())),
        Device::Gpu(gpu.clone()),
        watchdog,
    );
    let tracer = crate::trace::Tracer::new(1000);
    bench.spans = Some(Spans::new(&tracer, vec![]));
    let mut cells = Cells::default();
    bench.block(&order(Cache::Warm), &mut cells);
    let samples = cells.0.into_iter().flat_map(|cell| cell.samples);
    let traced: Vec<Sample> = samples.filter(|sample| !sample.is_warm_up).collect();
    let times = |all: &[Sample]| -> Vec<_> {
        let of = |s: &Sample| (s.batch, s.invocation.timing.clone());
        all.iter().map(of).collect()
    };
    assert_eq!(times(&plain), times(&traced));
    let spans = tracer.take().spans;
    let count = |name: &str| spans.iter().filter(|span| span.name == name).count();
    assert_eq!((count("reference"), count("sample")), (1, 2));
    assert_eq!((count("warming up"), count("prepare")), (1, 1));
    // What warms up is noted as such: one for the clock, one of every variant.
    assert_eq!(count("warm-up"), 2);
    let sample = spans.iter().find(|span| span.name == "sample").unwrap();
    assert_eq!(sample.notes["variant"], "reference");
    assert_eq!(sample.notes["wall_us"], NANOSECONDS / 1e3);
    assert_eq!(sample.notes["batch"], 4);
}
