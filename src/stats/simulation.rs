//! Error rates of whole comparisons, looks included, on simulated machines (shared/STATISTICS.md "Trust"): the acceptance test
//! of the statistics. The functions under test are those that campaigns call.
use super::{Contender, Schedule, compare, conclude, decide, e_value, select};
use crate::trial::Verdict;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// A machine whose state changes while a campaign lasts.
#[derive(Clone, Copy, Debug)]
enum Machine {
    /// Gets slower all the time.
    Drifting,
    /// Jumps between two clock frequencies.
    TwoStates,
    /// Sometimes very late: Pareto with infinite variance.
    HeavyTailed,
    /// Neighbours come and go: autocorrelated bursts.
    Shared,
}

const MACHINES: [Machine; 4] = [
    Machine::Drifting,
    Machine::TwoStates,
    Machine::HeavyTailed,
    Machine::Shared,
];

struct State {
    machine: Machine,
    random: StdRng,
    step: f64,
    level: f64,
}

impl State {
    fn new(machine: Machine, seed: u64) -> State {
        State {
            machine,
            random: StdRng::seed_from_u64(seed),
            step: 0.0,
            level: 0.0,
        }
    }

    fn normal(&mut self) -> f64 {
        let (u, v): (f64, f64) = (self.random.random(), self.random.random());
        (-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    }

    /// Time of one cell of a program that needs `work`, with about 2 % of noise within a block.
    fn cell(&mut self, work: f64) -> f64 {
        self.step += 1.0;
        let noise = 0.02 * self.normal();
        let state = match self.machine {
            Machine::Drifting => 0.002 * self.step,
            Machine::TwoStates => {
                if self.random.random::<f64>() < 0.05 {
                    self.level = 0.25 - self.level;
                }
                self.level
            }
            Machine::HeavyTailed => {
                let u: f64 = self.random.random();
                0.004 * ((1.0 - u).powf(-1.0 / 1.5) - 1.0)
            }
            Machine::Shared => {
                self.level = 0.9 * self.level + 0.02 * self.normal();
                self.level.abs()
            }
        };
        work * (noise + state).exp()
    }

    /// One block of these programs in a fresh random order.
    fn block(&mut self, work: &[f64]) -> Vec<f64> {
        let mut order: Vec<usize> = (0..work.len()).collect();
        for i in (1..order.len()).rev() {
            order.swap(i, self.random.random_range(0..=i));
        }
        let mut values = vec![0.0; work.len()];
        for i in order {
            values[i] = self.cell(work[i]);
        }
        values
    }
}

/// Blocks with looks until everything is decided; the reference is program 0.
fn compare_all(
    state: &mut State,
    work: &[f64],
    n_max: u32,
    equivalence: f64,
) -> (Vec<Vec<f64>>, Vec<Verdict>) {
    let k = work.len() - 1;
    let schedule = Schedule::new(n_max, 0.05 / k as f64);
    let mut blocks: Vec<Vec<f64>> = vec![];
    let pairs = |blocks: &[Vec<f64>]| -> Vec<Vec<(f64, f64)>> {
        (1..=k)
            .map(|v| blocks.iter().map(|b| (b[v], b[0])).collect())
            .collect()
    };
    for done in 1..=n_max {
        blocks.push(state.block(work));
        if schedule.looks.iter().any(|(n, _)| *n == done)
            && decide(&pairs(&blocks), &schedule, equivalence, 0.0, 0.0).is_over
        {
            break;
        }
    }
    let verdicts = conclude(&pairs(&blocks), &schedule, 0.05, equivalence, 0.0);
    (
        blocks,
        verdicts.into_iter().map(|(_, verdict)| verdict).collect(),
    )
}

fn differs(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Faster | Verdict::Slower)
}

const REPEATS: u64 = 4000;

#[test]
fn equal_programs_are_called_different_at_the_nominal_rate() {
    for machine in MACHINES {
        let false_alarms = (0..REPEATS)
            .filter(|seed| {
                differs(compare_all(&mut State::new(machine, *seed), &[1.0, 1.0], 40, 0.0).1[0])
            })
            .count();
        let rate = false_alarms as f64 / REPEATS as f64;
        assert!((0.035..=0.065).contains(&rate), "{machine:?}: {rate}");
    }
}

#[test]
fn three_percent_are_found_within_forty_blocks() {
    for machine in MACHINES {
        let found = (0..REPEATS / 4)
            .filter(|seed| {
                compare_all(&mut State::new(machine, *seed), &[1.03, 1.0], 40, 0.0).1[0]
                    == Verdict::Faster
            })
            .count();
        let power = found as f64 / (REPEATS / 4) as f64;
        // Jumps between states split blocks in two: there a block more often than not holds no jump.
        assert!(power >= 0.90, "{machine:?}: {power}");
    }
}

#[test]
fn a_family_of_ten_equal_variants_stays_within_its_error() {
    for machine in MACHINES {
        let repeats = REPEATS / 4;
        let wrong = (0..repeats)
            .filter(|seed| {
                compare_all(&mut State::new(machine, *seed), &[1.0; 11], 40, 0.0)
                    .1
                    .into_iter()
                    .any(differs)
            })
            .count();
        let rate = wrong as f64 / repeats as f64;
        assert!(rate <= 0.065, "{machine:?}: {rate}");
    }
}

#[test]
fn the_confirmed_speedup_is_unbiased_and_the_screened_one_is_not() {
    let (mut screened, mut confirmed) = (vec![], vec![]);
    for seed in 0..600 {
        let mut state = State::new(Machine::Shared, seed);
        // Eight variants of one and the same speed, 5 % faster than the reference.
        let work: Vec<f64> = std::iter::once(1.05).chain([1.0; 8]).collect();
        let blocks: Vec<Vec<f64>> = (0..12).map(|_| state.block(&work)).collect();
        let log_speedup = |v: usize| {
            let pairs: Vec<(f64, f64)> = blocks.iter().map(|b| (b[v], b[0])).collect();
            compare(&pairs, 0.05, 0.0, 0).speedup.ln()
        };
        let best = (1..=8)
            .max_by(|a, b| log_speedup(*a).total_cmp(&log_speedup(*b)))
            .unwrap_or(1);
        screened.push(log_speedup(best) - 1.05_f64.ln());
        let fresh: Vec<(f64, f64)> = (0..16)
            .map(|_| state.block(&[work[0], work[best]]))
            .map(|b| (b[1], b[0]))
            .collect();
        confirmed.push(compare(&fresh, 0.05, 0.0, 0).speedup.ln() - 1.05_f64.ln());
    }
    let mean = |x: &[f64]| x.iter().sum::<f64>() / x.len() as f64;
    let error = |x: &[f64]| {
        let m = mean(x);
        (x.iter().map(|v| (v - m).powi(2)).sum::<f64>() / (x.len() * (x.len() - 1)) as f64).sqrt()
    };
    assert!(
        mean(&confirmed).abs() < 3.0 * error(&confirmed),
        "{} ± {}",
        mean(&confirmed),
        error(&confirmed)
    );
    assert!(
        mean(&screened) > 10.0 * error(&screened),
        "{} ± {}",
        mean(&screened),
        error(&screened)
    );
}

#[test]
fn a_winner_is_seldom_chosen_among_equals() {
    let repeats = 600;
    let wins = (0..repeats)
        .filter(|seed| {
            let mut state = State::new(Machine::TwoStates, *seed);
            let blocks: Vec<Vec<f64>> = (0..20).map(|_| state.block(&[1.0; 6])).collect();
            let contenders: Vec<Contender> = (0..6)
                .map(|v| Contender {
                    values: blocks.iter().map(|b| Some(b[v])).collect(),
                    is_reference: v == 0,
                    may_win: true,
                    changed_parameters: u32::from(v > 0),
                    peak_memory: 1,
                    name: format!("v{v}"),
                })
                .collect();
            select(&contenders, 0.05, 0.0).chosen != 0
        })
        .count();
    assert!(wins as f64 / repeats as f64 <= 0.06, "{wins} of {repeats}");
}

#[test]
fn the_e_value_may_be_looked_at_after_every_block() {
    let repeats = 1500;
    let wrong = (0..repeats)
        .filter(|seed| {
            let mut state = State::new(Machine::HeavyTailed, *seed);
            let d: Vec<f64> = (0..60)
                .map(|_| state.block(&[1.0, 1.0]))
                .map(|b| (b[1] / b[0]).ln())
                .collect();
            (5..=60).any(|n| e_value(&d[..n]) >= 20.0)
        })
        .count();
    assert!(
        wrong as f64 / repeats as f64 <= 0.05,
        "{wrong} of {repeats}"
    );
}
