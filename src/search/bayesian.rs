//! Bayesian optimization: a Gaussian process of the logarithm of the objective says where improvement is expected (Jones, Schonlau &
//! Welch, "Efficient Global Optimization of Expensive Black-Box Functions", 1998).
use super::cost::Price;
use super::history::History;
use super::model::{Axes, Hyper, Process};
use super::{Outcome, Strategy, StrategyEntry};
use crate::space::{ConfigurationId, Neighbourhood};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use statrs::distribution::{Continuous, ContinuousCDF, Normal};
use std::collections::{BTreeMap, BTreeSet};

pub(super) const ENTRY: StrategyEntry = StrategyEntry {
    name: "bayesian",
    about: "measures next where a Gaussian process expects most improvement for its cost",
    learns: true,
    refines: false,
    build: |space, seed, _budget| {
        let axes = Axes::of(&space);
        Box::new(Bayesian {
            hyper: Hyper::unknown(axes.len()),
            axes,
            history: History::new(space),
            random: StdRng::seed_from_u64(seed),
            seconds: BTreeMap::new(),
        })
    },
};

/// Valid configurations at random before the model is asked.
const FIRST: usize = 6;

/// Draws for a central configuration, and how many of those are tried until one is valid.
const CENTRAL: usize = 200;
const CENTRAL_TRIES: usize = 20;

/// Above so many valid ones lengths that were learned take turns with ones that were not.
const UNLEARNED_FROM: usize = 12;

/// Configurations that the model is fitted to: half of them the best, half spread over the others.
const FITTED: usize = 200;

/// Failed configurations among them.
const FAILED: usize = 100;

/// What is worse than the median by so many times what the median is worse than the best is only known to be bad.
const CEILING: f64 = 3.0;

/// Neighbours of so many best are candidates, and so many configurations at random.
const TOP: usize = 5;
const DRAWN: usize = 300;

/// Steps uphill from the best candidate.
const CLIMB: usize = 3;

/// Expected improvement is divided by the expected seconds to this power: at 1 a search stays where measuring is cheap.
const THRIFT: f64 = 0.5;

struct Bayesian {
    history: History,
    axes: Axes,
    hyper: Hyper,
    random: StdRng,
    seconds: BTreeMap<ConfigurationId, f64>,
}

impl Bayesian {
    /// Valid ones with the logarithm of their objective, best first.
    fn measured(&self) -> Vec<(f64, ConfigurationId)> {
        let mut measured: Vec<_> = (self.history.told().iter())
            .filter_map(|(id, outcome)| match outcome {
                Outcome::Objective(value) => Some((value.ln(), *id)),
                Outcome::Failed => None,
            })
            .collect();
        measured.sort_by(|a, b| a.0.total_cmp(&b.0));
        measured
    }

    fn failed(&self) -> impl Iterator<Item = ConfigurationId> {
        (self.history.told().iter())
            .filter(|(_, outcome)| **outcome == Outcome::Failed)
            .map(|(id, _)| *id)
    }

    fn point(&self, id: ConfigurationId) -> Vec<f32> {
        self.axes.point(&self.history.space.digits(id))
    }

    /// Standardized: 0 is the best measured, 1 a standard deviation above it. A failure counts as the worst.
    fn fit(&mut self, measured: &[(f64, ConfigurationId)]) -> Process {
        let (best, median) = (measured[0].0, measured[measured.len() / 2].0);
        let ceiling = median + CEILING * (median - best);
        let mut rows = thinned(measured);
        for row in &mut rows {
            row.0 = row.0.min(ceiling);
        }
        let worst = rows.iter().map(|r| r.0).fold(best, f64::max);
        let mean = rows.iter().map(|r| r.0).sum::<f64>() / rows.len() as f64;
        let square = rows.iter().map(|r| (r.0 - mean).powi(2)).sum::<f64>() / rows.len() as f64;
        let spread = square.sqrt().max(1e-9);
        rows.extend(self.failed().take(FAILED).map(|id| (worst, id)));
        let points: Vec<_> = rows.iter().map(|r| self.point(r.1)).collect();
        let values: Vec<_> = rows.iter().map(|r| (r.0 - best) / spread).collect();
        // Learned lengths can be wrong in a way that keeps the search where it does not find out, so every second evaluation goes
        // by lengths that were not learned.
        let is_learned = measured.len() <= UNLEARNED_FROM || self.history.told().len() % 2 == 1;
        if !is_learned {
            let start = Hyper::unknown(self.axes.len());
            return Process::fit(&self.axes, &points, &values, start, 0, &mut || 0.0);
        }
        // Lengths are learned while the model is small; later they change little.
        let tries = match rows.len() {
            0..40 => 40,
            n @ 40..200 if n.is_multiple_of(5) => 20,
            n if n.is_multiple_of(10) => 10,
            _ => 0,
        };
        let (random, start) = (&mut self.random, self.hyper.clone());
        let process = Process::fit(&self.axes, &points, &values, start, tries, &mut || {
            random.random()
        });
        self.hyper = process.hyper().clone();
        process
    }

    fn candidates(&mut self, measured: &[(f64, ConfigurationId)]) -> BTreeSet<ConfigurationId> {
        let space = &self.history.space;
        let mut candidates: BTreeSet<_> = (measured.iter().take(TOP))
            .flat_map(|(_, id)| space.neighbours(*id, Neighbourhood::Hamming))
            .collect();
        candidates.extend((0..DRAWN).filter_map(|_| space.sample(&mut self.random)));
        candidates
    }

    /// The most central of some at random, and from there inwards. At the edges of a space configurations fail, crawl and are
    /// dear; until something is valid, that is all there is to go by.
    fn central(&mut self) -> Option<ConfigurationId> {
        let space = &self.history.space;
        let drawn: Vec<_> = (0..CENTRAL)
            .filter_map(|_| space.sample(&mut self.random))
            .collect();
        let most = |ids: Vec<ConfigurationId>| {
            let new = ids.into_iter().filter(|id| self.history.is_new(*id));
            new.map(|id| (self.axes.eccentricity(&space.digits(id)), id))
                .min_by(|a, b| a.0.0.total_cmp(&b.0.0).then(a.0.1.cmp(&b.0.1)))
        };
        let (mut at, mut id) = most(drawn)?;
        while let Some((nearer, next)) = most(space.neighbours(id, Neighbourhood::Hamming))
            && nearer < at
        {
            (at, id) = (nearer, next);
        }
        self.history.ask(id).then_some(id)
    }

    /// The new one with the most expected improvement for its cost, and how much that is.
    fn most_promising(
        &self,
        process: &Process,
        price: &Price,
        candidates: impl IntoIterator<Item = ConfigurationId>,
    ) -> Option<(f64, ConfigurationId)> {
        // Its improvement if nothing near it had been measured is cheap to know, and the most that it can be.
        let prior = process.prior_deviation();
        let mut outlooks: Vec<_> = (candidates.into_iter())
            .filter(|id| self.history.is_new(*id))
            .map(|id| {
                let point = self.point(id);
                let outlook = process.outlook(&point);
                let worth = price.seconds(&point).powf(-THRIFT);
                let most = expected_improvement(outlook.mean, prior) * worth;
                (most, id, worth, outlook)
            })
            .collect();
        outlooks.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let mut best: Option<(f64, ConfigurationId)> = None;
        for (most, id, worth, outlook) in outlooks {
            let least = best.map_or(f64::NEG_INFINITY, |b| b.0);
            if most < least {
                break;
            }
            let mean = outlook.mean;
            let promise = |deviation| expected_improvement(mean, deviation) * worth;
            let deviation = process.deviation(outlook, |d| promise(d) >= least);
            let better = |promise: &f64| best.is_none_or(|b| *promise > b.0);
            if let Some(promise) = deviation.map(promise).filter(better) {
                best = Some((promise, id));
            }
        }
        best
    }

    fn next(&mut self) -> Option<ConfigurationId> {
        let measured = self.measured();
        if measured.is_empty() && self.failed().count() < CENTRAL_TRIES {
            return self.central();
        }
        if measured.len() < FIRST {
            return None;
        }
        let process = self.fit(&measured);
        let candidates = self.candidates(&measured);
        let price =
            Price::fit((self.seconds.iter()).map(|(id, seconds)| (self.point(*id), *seconds)));
        let mut best = self.most_promising(&process, &price, candidates)?;
        for _ in 0..CLIMB {
            let around = self
                .history
                .space
                .neighbours(best.1, Neighbourhood::Hamming);
            match self.most_promising(&process, &price, around) {
                Some(up) if up.0 > best.0 => best = up,
                _ => break,
            }
        }
        self.history.ask(best.1).then_some(best.1)
    }
}

/// The best, and every so many of the others.
fn thinned(measured: &[(f64, ConfigurationId)]) -> Vec<(f64, ConfigurationId)> {
    if measured.len() <= FITTED {
        return measured.to_vec();
    }
    let (best, rest) = measured.split_at(FITTED / 2);
    let others = (0..FITTED / 2).map(|i| rest[i * rest.len() / (FITTED / 2)]);
    best.iter().copied().chain(others).collect()
}

/// Of falling below 0, where the prediction is normal.
fn expected_improvement(mean: f64, deviation: f64) -> f64 {
    let z = -mean / deviation;
    let normal = Normal::standard();
    deviation * (z * normal.cdf(z) + normal.pdf(z))
}

impl Strategy for Bayesian {
    fn ask(&mut self, n: usize) -> Vec<ConfigurationId> {
        (0..n)
            .map_while(|_| {
                self.next()
                    .or_else(|| self.history.ask_any(&mut self.random))
            })
            .collect()
    }

    fn tell(&mut self, id: ConfigurationId, outcome: Outcome, seconds: f64) {
        self.seconds.insert(id, seconds);
        self.history.tell(id, outcome);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expected_improvement_is_that_of_a_normal_variable() {
        // scipy 1.15: integrate.quad(lambda x: -x * stats.norm.pdf(x, m, s), -inf, 0)
        for (mean, deviation, expected) in [
            (0.0, 1.0, 0.398_942_280_4),
            (1.0, 0.5, 0.004_245_351_3),
            (-0.3, 0.2, 0.305_861_358_8),
        ] {
            let found = expected_improvement(mean, deviation);
            assert!((found - expected).abs() < 1e-8, "{found} {expected}");
        }
    }

    #[test]
    fn the_best_are_kept_and_the_others_are_spread() {
        let all: Vec<_> = (0..1000)
            .map(|i| (f64::from(i), ConfigurationId(i as u64)))
            .collect();
        let kept = thinned(&all);
        assert_eq!(kept.len(), FITTED);
        assert_eq!(kept[..100], all[..100]);
        assert_eq!(kept[199].0, 991.0);
    }
}
