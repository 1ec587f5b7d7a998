//! Differential evolution (Storn & Price, "Differential Evolution", Journal of Global Optimization 11, 1997) on value indices,
//! best/1/bin, without generations: a target is replaced as soon as its trial is better.
use super::StrategyEntry;
use super::walk::{Ground, Walk, Walker};
use crate::space::ConfigurationId;
use rand::RngExt;
use std::collections::BTreeMap;

pub(super) const ENTRY: StrategyEntry = StrategyEntry {
    name: "differential",
    about: "adds differences of good configurations to better ones (differential evolution)",
    learns: true,
    refines: false,
    build: |space, seed, budget| {
        let size = budget.map_or(LARGEST, |n| (n / SHARE).clamp(SMALLEST, LARGEST));
        let walk = Differential {
            population: vec![None; size],
            trials: BTreeMap::new(),
            next: 0,
            futile: 0,
        };
        Box::new(Walker::new(space, seed, walk))
    },
};

/// Size of the population: a share of the budget, within bounds.
const SHARE: usize = 7;
const SMALLEST: usize = 6;
const LARGEST: usize = 30;

/// Weight of a difference, and chance of a parameter to be taken from the mutant.
const WEIGHT: f64 = 0.9;
const CROSSOVER: f64 = 0.6;

/// Trials without success, as a multiple of the population, before all but the best are drawn anew.
const FUTILE: usize = 3;

struct Differential {
    population: Vec<Option<ConfigurationId>>,
    /// Which target a proposal would replace.
    trials: BTreeMap<ConfigurationId, usize>,
    next: usize,
    /// Trials since one was better than its target.
    futile: usize,
}

impl Differential {
    fn trial(&self, target: ConfigurationId, ground: &mut Ground) -> Option<Vec<u16>> {
        let members: Vec<ConfigurationId> = self.population.iter().flatten().copied().collect();
        let best =
            (members.iter().copied()).min_by(|a, b| ground.worse_by(*a, *b).total_cmp(&0.0))?;
        let mut draw = || {
            let id = members[ground.random.random_range(0..members.len())];
            ground.space().digits(id)
        };
        let (plus, minus) = (draw(), draw());
        let base = ground.space().digits(best);
        let mut trial = ground.space().digits(target);
        let always = ground.random.random_range(0..trial.len());
        for p in 0..trial.len() {
            if p == always || ground.random.random_bool(CROSSOVER) {
                let mutant =
                    f64::from(base[p]) + WEIGHT * (f64::from(plus[p]) - f64::from(minus[p]));
                let last = ground.space().parameters()[p].values.len() - 1;
                trial[p] = mutant.round().clamp(0.0, last as f64) as u16;
            }
        }
        Some(trial)
    }
}

impl Walk for Differential {
    fn propose(&mut self, ground: &mut Ground) -> Option<ConfigurationId> {
        if self.futile > FUTILE * self.population.len() {
            self.futile = 0;
            let best = ground.best();
            self.population.fill(None);
            self.population[0] = best;
        }
        let slot = self.next;
        self.next = (slot + 1) % self.population.len();
        let id = match self.population[slot] {
            None => ground.sample()?,
            Some(target) => {
                self.futile += 1;
                let trial = self.trial(target, ground)?;
                ground.repair(&trial)?
            }
        };
        self.trials.insert(id, slot);
        Some(id)
    }

    fn learn(&mut self, ground: &mut Ground, id: ConfigurationId) {
        let free = || self.population.iter().position(Option::is_none);
        let Some(slot) = self.trials.remove(&id).or_else(free) else {
            return;
        };
        if self.population.contains(&Some(id)) {
            return;
        }
        let target = &mut self.population[slot];
        if target.is_none_or(|target| ground.is_better(id, target)) {
            *target = Some(id);
            self.futile = 0;
        }
    }
}
