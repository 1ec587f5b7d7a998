//! Every configuration, in the order of the space.
use super::{Outcome, Strategy, StrategyEntry};
use crate::space::ConfigurationId;
use std::collections::{BTreeSet, VecDeque};

pub(super) const ENTRY: StrategyEntry = StrategyEntry {
    name: "exhaustive",
    about: "every configuration, in the order of the space",
    learns: false,
    build: |space, _seed, _budget| {
        Box::new(Exhaustive {
            unasked: space.ids().collect(),
            told: BTreeSet::new(),
        })
    },
};

struct Exhaustive {
    unasked: VecDeque<ConfigurationId>,
    told: BTreeSet<ConfigurationId>,
}

impl Strategy for Exhaustive {
    fn ask(&mut self, n: usize) -> Vec<ConfigurationId> {
        self.unasked.retain(|id| !self.told.contains(id));
        self.unasked.drain(..n.min(self.unasked.len())).collect()
    }

    fn tell(&mut self, id: ConfigurationId, _outcome: Outcome, _seconds: f64) {
        self.told.insert(id);
    }
}
