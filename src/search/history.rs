//! What a search has asked and been told: no configuration is asked twice, the latest estimate of each is the valid one.
use super::Outcome;
use crate::space::{ConfigurationId, Space};
use rand::Rng;
use rand::seq::SliceRandom;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Draws at random before the rest of a nearly exhausted space is listed.
const DRAWS: usize = 50;

#[derive(Debug)]
pub(super) struct History {
    pub(super) space: Arc<Space>,
    told: BTreeMap<ConfigurationId, Outcome>,
    asked: BTreeSet<ConfigurationId>,
    /// What was neither asked nor told, in random order; listed once little is left.
    rest: Option<Vec<ConfigurationId>>,
}

impl History {
    pub(super) fn new(space: Arc<Space>) -> History {
        History {
            space,
            told: BTreeMap::new(),
            asked: BTreeSet::new(),
            rest: None,
        }
    }

    pub(super) fn tell(&mut self, id: ConfigurationId, outcome: Outcome) {
        self.told.insert(id, outcome);
    }

    /// Whether it may still be asked.
    pub(super) fn is_new(&self, id: ConfigurationId) -> bool {
        !self.asked.contains(&id) && !self.told.contains_key(&id)
    }

    /// Marks it as asked; false if it was known before.
    pub(super) fn ask(&mut self, id: ConfigurationId) -> bool {
        !self.told.contains_key(&id) && self.asked.insert(id)
    }

    pub(super) fn told(&self) -> &BTreeMap<ConfigurationId, Outcome> {
        &self.told
    }

    /// One at random that is new, marked as asked; absent where nothing is left.
    pub(super) fn ask_any(&mut self, random: &mut impl Rng) -> Option<ConfigurationId> {
        if self.rest.is_none() {
            for _ in 0..DRAWS {
                let id = self.space.sample(random)?;
                if self.ask(id) {
                    return Some(id);
                }
            }
            // A space too large to list is never exhausted.
            self.space.count()?;
            let mut rest: Vec<_> = self.space.ids().filter(|id| self.is_new(*id)).collect();
            rest.shuffle(random);
            self.rest = Some(rest);
        }
        loop {
            let id = self.rest.as_mut()?.pop()?;
            if self.ask(id) {
                return Some(id);
            }
        }
    }
}
