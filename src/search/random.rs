//! Uniform sampling without replacement: the yardstick for every other strategy.
use super::{Outcome, Strategy, StrategyEntry};
use crate::space::{ConfigurationId, Space};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use std::collections::BTreeSet;

pub(super) const ENTRY: StrategyEntry = StrategyEntry {
    name: "random",
    about: "uniform sampling without replacement",
    build: |space, seed| Box::new(Random::new(&space, seed)),
};

struct Random {
    /// Shuffled once; asking pops from the end.
    unasked: Vec<ConfigurationId>,
    told: BTreeSet<ConfigurationId>,
}

impl Random {
    fn new(space: &Space, seed: u64) -> Random {
        let mut unasked: Vec<_> = space.ids().collect();
        unasked.shuffle(&mut StdRng::seed_from_u64(seed));
        Random {
            unasked,
            told: BTreeSet::new(),
        }
    }
}

impl Strategy for Random {
    fn ask(&mut self, n: usize) -> Vec<ConfigurationId> {
        // What a resumed run told us is known already.
        self.unasked.retain(|id| !self.told.contains(id));
        let keep = self.unasked.len().saturating_sub(n);
        self.unasked.split_off(keep)
    }

    fn tell(&mut self, id: ConfigurationId, _outcome: Outcome) {
        self.told.insert(id);
    }
}
