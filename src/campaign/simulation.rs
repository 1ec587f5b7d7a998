//! Whole campaigns on a simulated machine, where the truth is known: the speedup that a search reports of its winner is not the
//! luck that made it the winner.
use super::{Event, Observer, header, run_with};
use crate::measure::{BlockOrder, CheckOrder, Checked, ExpectOrder};
use crate::plan::{Case, Plan, Source};
use crate::record::{Environment, PhaseOutcome, Store, Trial};
use crate::space::Configuration;
use crate::trial::{
    Block, Cell, Conditions, Ending, Invocation, Purpose, Sample, Timing, VariantId,
};
use crate::value::{Nanoseconds, Value};
use crate::worker::{Runner, WorkerLost};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// 64 configurations, of which 20 are measured; the baseline is none of them.
const PLAN: &str = "
name: equals
workload: {command: [prog, --x, '{x}', --y, '{y}']}
protocol: {repetitions: 1, blocks: {min: 8, max: 20}}
baseline: {x: 99, y: 99}
phases:
  - phase: search
    kind: tiling
    search:
      parameters: {x: [0, 1, 2, 3, 4, 5, 6, 7], y: [0, 1, 2, 3, 4, 5, 6, 7]}
      strategy: bayesian
      budget: {evaluations: 20}
";

/// Campaigns of each space; their mean error must lie within its own interval.
const REPEATS: u64 = 200;

/// Time of a configuration on a quiet machine; the baseline's is 1.
type Truth = fn(x: i64, y: i64) -> f64;

/// All of one speed.
fn equal(_: i64, _: i64) -> f64 {
    1.0 / 1.05
}

/// A quarter of one speed, the others slower the farther they are from those.
fn plateau(x: i64, y: i64) -> f64 {
    let beyond = |v: i64| (2 - v).max(v - 5).max(0) as f64;
    (1.0 + 0.03 * (beyond(x) + beyond(y))) / 1.05
}

fn time(truth: Truth, configuration: &Configuration) -> f64 {
    let whole = |name: &str| match configuration.get(name) {
        Some(Value::Int(i)) => *i,
        other => unreachable!("{other:?}"),
    };
    match whole("x") {
        99 => 1.0,
        x => truth(x, whole("y")),
    }
}

/// Log speedups that the search itself saw, by configuration.
type Seen = BTreeMap<String, Vec<f64>>;

/// A machine with neighbours that come and go, and 2 % of noise in every invocation.
struct Machine {
    truth: Truth,
    random: StdRng,
    level: f64,
    worker: u32,
    seen: Rc<RefCell<Seen>>,
}

impl Machine {
    fn normal(&mut self) -> f64 {
        let (u, v): (f64, f64) = (self.random.random(), self.random.random());
        (-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    }

    fn invocation(&mut self, configuration: &Configuration) -> Nanoseconds {
        self.level = 0.9 * self.level + 0.01 * self.normal();
        let noise = 0.02 * self.normal() + self.level.abs();
        Nanoseconds(1e5 * time(self.truth, configuration) * noise.exp())
    }

    /// What a tuner without blocks of its own for the winner would believe.
    fn look(&mut self, block: &Block, order: &BlockOrder) {
        let wall = |cell: &Cell| cell.samples[0].invocation.timing.wall.0;
        let reference = block.cells.iter().find(|c| c.variant.0 == 0).map(wall);
        for (cell, asked) in block.cells.iter().zip(&order.cells) {
            if cell.variant.0 > 0
                && let Some(reference) = reference
            {
                let mut seen = self.seen.borrow_mut();
                let speedups = seen
                    .entry(format!("{:?}", asked.configuration))
                    .or_default();
                speedups.push((reference / wall(cell)).ln());
            }
        }
    }
}

impl Runner for Machine {
    fn block(&mut self, order: &BlockOrder) -> Result<Block, WorkerLost> {
        let mut cells = vec![];
        for cell in &order.cells {
            let sample = Sample {
                invocation: Invocation {
                    timing: Timing {
                        wall: self.invocation(&cell.configuration),
                        ..Timing::default()
                    },
                    ..Invocation::default()
                },
                started_at: 0,
                batch: 1,
                is_warm_up: false,
            };
            cells.push(Cell {
                variant: cell.variant,
                samples: vec![sample],
                ending: Ending::Completed,
            });
        }
        self.worker += 1;
        let block = Block {
            index: order.index,
            purpose: order.purpose,
            worker: self.worker,
            elapsed: Nanoseconds(1e5 * order.cells.len() as f64),
            cells,
            conditions: Conditions::default(),
            place: None,
        };
        if order.purpose == Purpose::Race {
            self.look(&block, order);
        }
        Ok(block)
    }

    fn check(&mut self, order: &CheckOrder) -> Result<Checked, WorkerLost> {
        let invocation = self.invocation(&order.configuration);
        Ok(Checked {
            invocation: Some(invocation),
            elapsed: invocation,
            ..Checked::ended(Ending::Completed)
        })
    }

    fn expect(&mut self, _: &ExpectOrder) -> Result<bool, WorkerLost> {
        Ok(false)
    }

    fn retire(&mut self) {}
}

#[derive(Default)]
struct Listener(Vec<(PhaseOutcome, Vec<Trial>)>);

impl Observer for Listener {
    fn event(&mut self, event: &Event<'_>) {
        if let Event::PhaseEnded { outcome, trials } = event {
            self.0.push(((*outcome).clone(), trials.to_vec()));
        }
    }
}

/// Errors of what one campaign says of its best configuration, on the log scale; absent where none was kept.
struct Errors {
    /// The best of what the search saw, against the truth of that configuration.
    naive: f64,
    /// The best comparison of the finalists.
    screened: f64,
    /// The winner on blocks of its own.
    confirmed: Option<f64>,
    /// The headline: the final configuration on yet other blocks.
    reported: Option<f64>,
}

fn campaign(truth: Truth, seed: u64) -> Errors {
    let source = Source {
        text: PLAN.as_bytes(),
        overrides: &[("protocol.seed".into(), seed.to_string())],
        folder: ".",
    };
    let parsed = Plan::parse(&source, &|_| None, &[]).expect("the plan is right");
    let header = header(
        parsed,
        PLAN.into(),
        String::new(),
        vec![],
        Environment::default(),
        None,
    );
    // Every check is synced; in memory that costs nothing.
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
    let folder = folder.expect("a temporary folder");
    let mut store = Store::create(folder.path(), header).expect("an empty folder");
    let seen = Rc::new(RefCell::new(Seen::new()));
    let mut runner = |_: &Case| -> Box<dyn Runner> {
        Box::new(Machine {
            truth,
            // Not the strategy's numbers, or noise and choice would go together.
            random: StdRng::seed_from_u64(seed.wrapping_add(1 << 32)),
            level: 0.0,
            worker: 0,
            seen: seen.clone(),
        })
    };
    let mut listener = Listener::default();
    let summary = run_with(&mut store, &mut runner, &mut listener).expect("nothing can fail");
    let (outcome, trials) = &listener.0[0];
    let true_speedup = |configuration: &Configuration| -time(truth, configuration).ln();
    let of = |trial: &Trial| true_speedup(&trial.configuration);
    let seen = seen.borrow();
    let naive = trials
        .iter()
        .filter(|t| t.id != VariantId::REFERENCE)
        .filter_map(|trial| {
            let speedups = seen.get(&format!("{:?}", trial.configuration))?;
            let mean = speedups.iter().sum::<f64>() / speedups.len() as f64;
            Some((mean, mean - of(trial)))
        });
    let screened = trials.iter().filter(|t| !t.is_canary).filter_map(|trial| {
        let speedup = trial.comparison.as_ref()?.speedup.ln();
        Some((speedup, speedup - of(trial)))
    });
    let of_best = |all: &mut dyn Iterator<Item = (f64, f64)>| {
        let best = all.max_by(|a, b| a.0.total_cmp(&b.0));
        best.expect("something was measured").1
    };
    let kept = trials
        .iter()
        .find(|t| Some(&t.name) == outcome.kept_variant.as_ref());
    let last = &summary.finals[0];
    Errors {
        naive: of_best(&mut naive.into_iter()),
        screened: of_best(&mut screened.into_iter()),
        confirmed: kept.and_then(|t| Some(t.confirmation.as_ref()?.speedup.ln() - of(t))),
        reported: (last.confirmation.as_ref())
            .map(|c| c.speedup.ln() - true_speedup(&last.configuration)),
    }
}

/// Mean and the half-width of its 99.8 % interval: four of them are asked.
fn mean(errors: &[f64]) -> (f64, f64) {
    let n = errors.len() as f64;
    let mean = errors.iter().sum::<f64>() / n;
    let square: f64 = errors.iter().map(|e| (e - mean).powi(2)).sum();
    (mean, 3.09 * (square / (n * (n - 1.0))).sqrt())
}

#[test]
fn the_reported_speedup_of_a_searchs_winner_is_unbiased_and_the_best_seen_is_not() {
    for truth in [equal as Truth, plateau] {
        let errors: Vec<Errors> = (0..REPEATS).map(|seed| campaign(truth, seed)).collect();
        let of = |part: fn(&Errors) -> Option<f64>| {
            let known: Vec<f64> = errors.iter().filter_map(part).collect();
            assert!(
                known.len() as f64 > 0.95 * REPEATS as f64,
                "{} reported",
                known.len()
            );
            mean(&known)
        };
        let naive = of(|e| Some(e.naive));
        let screened = of(|e| Some(e.screened));
        let confirmed = of(|e| e.confirmed);
        let reported = of(|e| e.reported);
        let all = format!(
            "mean error (log): best seen {naive:?}, best comparison {screened:?}, confirmed {confirmed:?}, reported {reported:?}"
        );
        assert!(reported.0.abs() <= reported.1, "{all}");
        assert!(confirmed.0.abs() <= confirmed.1, "{all}");
        assert!(screened.0 > 3.0 * screened.1, "{all}");
        assert!(naive.0 > 0.01 && naive.0 > 3.0 * naive.1, "{all}");
    }
}
