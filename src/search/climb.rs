//! Descent to a local optimum: what `multi_start` and `greedy_ils` do between their starts. The near neighbours come first.
use super::walk::Ground;
use crate::space::{ConfigurationId, Neighbourhood};
use rand::seq::SliceRandom;

/// Moves to the first neighbour that is better.
#[derive(Debug, Default)]
pub(super) struct Climb {
    at: Option<ConfigurationId>,
    /// Neighbours not yet looked at, the next one last.
    ahead: Vec<ConfigurationId>,
}

impl Climb {
    pub(super) fn at(&self) -> Option<ConfigurationId> {
        self.at
    }

    pub(super) fn begin(&mut self, id: ConfigurationId, ground: &mut Ground) {
        self.at = Some(id);
        let mut near = ground.space().neighbours(id, Neighbourhood::Adjacent);
        let mut far = ground.space().neighbours(id, Neighbourhood::Hamming);
        far.retain(|id| !near.contains(id));
        far.shuffle(&mut ground.random);
        near.shuffle(&mut ground.random);
        far.append(&mut near);
        self.ahead = far;
    }

    /// Absent at a local optimum.
    pub(super) fn propose(&mut self) -> Option<ConfigurationId> {
        self.ahead.pop()
    }

    /// Moves to `id` if that is better.
    pub(super) fn learn(&mut self, id: ConfigurationId, ground: &mut Ground) {
        if self.at.is_none_or(|at| ground.is_better(id, at)) {
            self.begin(id, ground);
        }
    }
}
