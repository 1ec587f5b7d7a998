//! Searching a space whose every configuration has been measured before: any strategy can be replayed on it a thousand times. The
//! score is the community's: how far the best found so far is from random search's, on the way to the optimum, averaged over the
//! budget (Willemsen et al., "A methodology for comparing optimization algorithms for auto-tuning", FGCS 2024).
use super::{Outcome, StrategyEntry};
use crate::space::{ConfigurationId, Space};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A space with what each configuration gave.
#[derive(Clone, Debug)]
pub struct Recorded {
    pub name: String,
    pub space: Arc<Space>,
    /// By number of the configuration; absent for what failed. Smaller is better.
    pub values: Vec<Option<f64>>,
    /// Seconds that measuring it took, compiling included.
    pub costs: Vec<f64>,
}

/// The budget ends where random search is expected to have come this far from the median to the optimum.
const CUTOFF: f64 = 0.95;

/// Points in time at which the best found so far is compared.
const TIMES: usize = 50;

/// The yardstick of one space.
#[derive(Clone, Debug)]
pub struct Yardstick {
    /// Expected best of random search after 1, 2, … evaluations; as many as the budget has.
    pub random: Vec<f64>,
    optimum: f64,
    worst: f64,
    mean_cost: f64,
}

impl Recorded {
    fn valid(&self) -> Vec<f64> {
        let mut valid: Vec<f64> = self.values.iter().flatten().copied().collect();
        valid.sort_unstable_by(f64::total_cmp);
        valid
    }

    /// Absent where no configuration is valid.
    pub fn yardstick(&self) -> Option<Yardstick> {
        let valid = self.valid();
        let (optimum, worst) = (*valid.first()?, *valid.last()?);
        let n = valid.len();
        let median = (valid[(n - 1) / 2] + valid[n / 2]) / 2.0;
        let target = median - CUTOFF * (median - optimum);
        let total = self.values.len();
        let (mut low, mut high) = (1, total);
        while low < high {
            let middle = low.midpoint(high);
            if expected_best(&valid, total, middle) <= target {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        Some(Yardstick {
            random: (1..=low).map(|n| expected_best(&valid, total, n)).collect(),
            optimum,
            worst,
            mean_cost: self.costs.iter().sum::<f64>() / self.costs.len() as f64,
        })
    }

    /// What a strategy asks, in its order.
    pub fn replay(
        &self,
        entry: &StrategyEntry,
        seed: u64,
        evaluations: usize,
    ) -> Vec<ConfigurationId> {
        let mut strategy = (entry.build)(self.space.clone(), seed, Some(evaluations));
        let mut asked = vec![];
        while asked.len() < evaluations {
            let Some(id) = strategy.ask(1).first().copied() else {
                break;
            };
            asked.push(id);
            let outcome = match self.values[id.0 as usize] {
                Some(value) => Outcome::Objective(value),
                None => Outcome::Failed,
            };
            strategy.tell(id, outcome, self.costs[id.0 as usize]);
        }
        asked
    }
}

/// Of the smallest valid value among `draws` of `total` configurations without replacement, given that one is valid.
fn expected_best(valid: &[f64], total: usize, draws: usize) -> f64 {
    let (mut sum, mut before, mut log) = (0.0, 1.0, 0.0_f64);
    for (k, value) in valid.iter().enumerate() {
        // That none of the k + 1 best is drawn: ∏ (total − draws − k) / (total − k).
        let left = total as f64 - k as f64;
        log += if left > draws as f64 {
            ((left - draws as f64) / left).ln()
        } else {
            f64::NEG_INFINITY
        };
        let none = log.exp();
        sum += (before - none) * value;
        before = none;
    }
    sum / (1.0 - before).max(1e-300)
}

impl Yardstick {
    pub fn budget(&self) -> usize {
        self.random.len()
    }

    fn score(&self, random: impl Iterator<Item = f64>, best: impl Iterator<Item = f64>) -> f64 {
        let gains: Vec<f64> = random
            .zip(best)
            .map(|(random, best)| {
                (random - best) / (random - self.optimum).max(1e-12 * self.optimum.abs().max(1e-30))
            })
            .collect();
        gains.iter().sum::<f64>() / gains.len() as f64
    }

    /// The optimum over the best of the first `n` asked: 1 where that is the optimum.
    pub fn share_of_optimum(
        &self,
        recorded: &Recorded,
        asked: &[ConfigurationId],
        n: usize,
    ) -> f64 {
        let first = asked.iter().take(n);
        let values = first.filter_map(|id| recorded.values[id.0 as usize]);
        self.optimum / values.fold(self.worst, f64::min)
    }

    pub fn optimum(&self) -> f64 {
        self.optimum
    }

    /// Whether anything is known of what measuring takes; without it there is no score by time.
    pub fn has_costs(&self) -> bool {
        self.mean_cost > 0.0
    }

    /// 1: the optimum at once; 0: as random search. By evaluations, and by simulated time.
    pub fn scores(&self, recorded: &Recorded, asked: &[ConfigurationId]) -> (f64, f64) {
        let mut seen = BTreeSet::new();
        let (mut best, mut time) = (self.worst, 0.0);
        let mut steps = vec![];
        for id in asked.iter().filter(|id| seen.insert(**id)) {
            best = recorded.values[id.0 as usize].map_or(best, |v| v.min(best));
            time += recorded.costs[id.0 as usize];
            steps.push((time, best));
        }
        let after = |n: usize| steps.get(n).or(steps.last()).map_or(self.worst, |s| s.1);
        let by_evaluations = self.score(self.random.iter().copied(), (0..self.budget()).map(after));
        let last = self.budget() as f64;
        // Rounded as numpy's linspace does it: a point next to a whole number of evaluations falls on the same side.
        let step = (last - 1.0) / (TIMES - 1) as f64;
        let mut times: Vec<f64> = (0..TIMES).map(|i| 1.0 + i as f64 * step).collect();
        times[TIMES - 1] = last;
        times.iter_mut().for_each(|t| *t *= self.mean_cost);
        let random = times.iter().map(|t| {
            let n = (t / self.mean_cost) as usize;
            self.random[n.saturating_sub(1).min(self.budget() - 1)]
        });
        let at = |t: f64| {
            let done = steps.partition_point(|s| s.0 <= t);
            if done == 0 {
                self.worst
            } else {
                steps[done - 1].1
            }
        };
        let by_time = self.score(random, times.iter().map(|t| at(*t)));
        (by_evaluations, by_time)
    }
}
