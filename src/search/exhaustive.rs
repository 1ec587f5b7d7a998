//! Every configuration, in the order of the space.
use super::{Outcome, Strategy, StrategyEntry};
use crate::space::{ConfigurationId, Space};
use std::collections::BTreeSet;
use std::sync::Arc;

pub(super) const ENTRY: StrategyEntry = StrategyEntry {
    name: "exhaustive",
    about: "every configuration, in the order of the space",
    learns: false,
    refines: false,
    build: |space, _seed, _budget| {
        Box::new(Exhaustive {
            space,
            next: 0,
            told: BTreeSet::new(),
        })
    },
};

struct Exhaustive {
    space: Arc<Space>,
    /// Number from which on nothing was asked.
    next: u64,
    told: BTreeSet<ConfigurationId>,
}

impl Strategy for Exhaustive {
    fn ask(&mut self, n: usize) -> Vec<ConfigurationId> {
        let mut asked = vec![];
        while asked.len() < n
            && let Some(id) = self.space.first_from(self.next)
        {
            self.next = id.0 + 1;
            if !self.told.contains(&id) {
                asked.push(id);
            }
        }
        asked
    }

    fn tell(&mut self, id: ConfigurationId, _outcome: Outcome, _seconds: f64) {
        self.told.insert(id);
    }
}
