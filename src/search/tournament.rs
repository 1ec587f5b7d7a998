//! Strategies against each other on recorded spaces: every one replayed many times on each, all of them scored alike. The figures
//! are those of shared/tools/score_search.py.
use super::{Recorded, StrategyEntry, Yardstick};
use crate::space::ConfigurationId;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// Evaluations after which the share of the optimum is told.
pub const SHARES: [usize; 4] = [25, 50, 100, 200];

const RESAMPLES: usize = 1000;

/// A space to be searched, with its yardstick.
#[derive(Debug)]
pub struct Course<'a> {
    pub recorded: &'a Recorded,
    pub yardstick: Yardstick,
    /// Of each replay.
    pub evaluations: usize,
}

impl Course<'_> {
    /// `evaluations`: of each replay; else as many as the yardstick's budget has, and enough for all [`SHARES`]. Absent where no
    /// configuration is valid.
    pub fn new(recorded: &Recorded, evaluations: Option<usize>) -> Option<Course<'_>> {
        let yardstick = recorded.yardstick()?;
        let enough = yardstick.budget().max(SHARES[SHARES.len() - 1]);
        Some(Course {
            evaluations: evaluations.unwrap_or(enough).min(recorded.values.len()),
            recorded,
            yardstick,
        })
    }

    /// The same for the same seed and repeat, whatever else is replayed beside it.
    pub fn replay(&self, entry: &StrategyEntry, seed: u64, repeat: u32) -> Replay {
        let asked = (self.recorded).replay(entry, mixed(seed, repeat), self.evaluations);
        let (by_evaluations, by_time) = self.yardstick.scores(self.recorded, &asked);
        Replay {
            by_evaluations,
            by_time: self.yardstick.has_costs().then_some(by_time),
            shares: SHARES.map(|n| (self.yardstick).share_of_optimum(self.recorded, &asked, n)),
            asked,
        }
    }
}

/// A seed of its own for every repeat of every seed (SplitMix64: Steele, Lea & Flood, OOPSLA 2014).
fn mixed(seed: u64, repeat: u32) -> u64 {
    let mut z = (seed.wrapping_mul(0xD134_2543_DE82_EF95))
        .wrapping_add(u64::from(repeat).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// One search of one space.
#[derive(Clone, Debug)]
pub struct Replay {
    pub asked: Vec<ConfigurationId>,
    pub by_evaluations: f64,
    /// Absent where no costs are on record.
    pub by_time: Option<f64>,
    pub shares: [f64; SHARES.len()],
}

/// A mean with its 95 % bootstrap interval over repeats (percentiles; Efron & Tibshirani, An Introduction to the Bootstrap, §13.3).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figure {
    pub mean: f64,
    pub lower: f64,
    pub upper: f64,
}

/// How a strategy came out, on one space or on several.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    pub by_evaluations: Figure,
    pub by_time: Option<Figure>,
    pub shares: [f64; SHARES.len()],
}

impl Standing {
    /// Every space counts the same, whatever the number of repeats on it. `spaces`: the replays of one strategy, a list a space.
    pub fn of(spaces: &[&[Replay]], seed: u64) -> Standing {
        let of_each = |value: &dyn Fn(&Replay) -> Option<f64>| -> Vec<Vec<f64>> {
            let values = spaces.iter().map(|r| r.iter().filter_map(value).collect());
            values.filter(|v: &Vec<f64>| !v.is_empty()).collect()
        };
        let times = of_each(&|r| r.by_time);
        Standing {
            by_evaluations: figure(&of_each(&|r| Some(r.by_evaluations)), seed),
            by_time: (!times.is_empty()).then(|| figure(&times, seed)),
            shares: std::array::from_fn(|i| mean_of_means(&of_each(&|r| Some(r.shares[i])))),
        }
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn mean_of_means(groups: &[Vec<f64>]) -> f64 {
    mean(&groups.iter().map(|g| mean(g)).collect::<Vec<_>>())
}

fn figure(groups: &[Vec<f64>], seed: u64) -> Figure {
    let mut random = StdRng::seed_from_u64(seed);
    let mut resampled: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let drawn = groups.iter().map(|group| {
                let draws = (0..group.len()).map(|_| group[random.random_range(0..group.len())]);
                draws.sum::<f64>() / group.len() as f64
            });
            drawn.sum::<f64>() / groups.len() as f64
        })
        .collect();
    resampled.sort_unstable_by(f64::total_cmp);
    Figure {
        mean: mean_of_means(groups),
        lower: percentile(&resampled, 0.025),
        upper: percentile(&resampled, 0.975),
    }
}

/// Of sorted values, linear between neighbours, as numpy's default.
fn percentile(sorted: &[f64], p: f64) -> f64 {
    let at = p * (sorted.len() - 1) as f64;
    let (low, high) = (at.floor() as usize, at.ceil() as usize);
    sorted[low] + (sorted[high] - sorted[low]) * (at - low as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::STRATEGIES;
    use crate::space::{Parameter, Space};
    use crate::value::Value;
    use std::sync::Arc;

    fn recorded() -> Recorded {
        let p = |name: &str| Parameter {
            name: name.into(),
            values: (0..20).map(Value::Int).collect(),
        };
        let space = Space::new(vec![p("x"), p("y")], vec![]).unwrap();
        let value = |i: usize| {
            let (x, y) = (i / 20, i % 20);
            (i % 7 != 3).then(|| 1.0 + (x as f64 - 13.0).powi(2) + (y as f64 - 4.0).powi(2))
        };
        Recorded {
            name: "bowl".into(),
            space: Arc::new(space),
            values: (0..400).map(value).collect(),
            costs: (0..400).map(|i| 0.1 + f64::from(i) / 400.0).collect(),
        }
    }

    #[test]
    fn a_repeat_is_the_same_whatever_is_replayed_beside_it() {
        let recorded = recorded();
        let course = Course::new(&recorded, Some(40)).unwrap();
        let random = STRATEGIES.iter().find(|e| e.name == "random").unwrap();
        let all: Vec<_> = (0..5).map(|r| course.replay(random, 1, r).asked).collect();
        assert_eq!(course.replay(random, 1, 3).asked, all[3]);
        assert_ne!(all[3], all[4]);
        assert!(!all.contains(&course.replay(random, 2, 3).asked));
        assert!(all.iter().all(|asked| asked.len() == 40));
    }

    #[test]
    fn random_search_scores_nothing_and_its_interval_says_so() {
        let recorded = recorded();
        let course = Course::new(&recorded, None).unwrap();
        let random = STRATEGIES.iter().find(|e| e.name == "random").unwrap();
        let replays: Vec<_> = (0..400).map(|r| course.replay(random, 1, r)).collect();
        let found = Standing::of(&[&replays], 1).by_evaluations;
        assert!(found.lower < found.mean && found.mean < found.upper);
        assert!(found.mean.abs() < 0.1, "{found:?}");
    }

    #[test]
    fn every_space_counts_the_same() {
        let replay = |score: f64| Replay {
            asked: vec![],
            by_evaluations: score,
            by_time: None,
            shares: [score; 4],
        };
        let (one, three) = (vec![replay(1.0)], vec![replay(0.0); 3]);
        let found = Standing::of(&[&one, &three], 1);
        assert_eq!(found.by_evaluations.mean, 0.5);
        assert_eq!((found.by_time, found.shares[0]), (None, 0.5));
    }

    #[test]
    fn percentiles_are_those_of_numpy() {
        // numpy 2: np.percentile([1, 2, 4, 8, 16], [2.5, 50, 97.5])
        let sorted = [1.0, 2.0, 4.0, 8.0, 16.0];
        let found = [0.025, 0.5, 0.975].map(|p| percentile(&sorted, p));
        for (found, expected) in found.iter().zip([1.1, 4.0, 15.2]) {
            assert!((found - expected).abs() < 1e-12, "{found}");
        }
    }
}
