//! Multi-start local search: descents from configurations at random, one after the other.
use super::StrategyEntry;
use super::climb::Climb;
use super::walk::{Ground, Walk, Walker, first};
use crate::space::ConfigurationId;

pub(super) const ENTRY: StrategyEntry = StrategyEntry {
    name: "multi_start",
    about: "descends to a local optimum, then starts anew elsewhere",
    learns: true,
    refines: false,
    build: |space, seed, budget| {
        let walk = MultiStart {
            climb: Climb::default(),
            first: first(budget),
            draws: first(budget),
        };
        Box::new(Walker::new(space, seed, walk))
    },
};

struct MultiStart {
    climb: Climb,
    /// Configurations at random, from whose best a descent starts.
    first: usize,
    /// Still to be drawn for this start.
    draws: usize,
}

impl Walk for MultiStart {
    fn propose(&mut self, ground: &mut Ground) -> Option<ConfigurationId> {
        if self.draws == 0 {
            if let Some(id) = self.climb.propose() {
                return Some(id);
            }
            self.climb = Climb::default();
            self.draws = self.first;
        }
        self.draws -= 1;
        ground.sample()
    }

    fn learn(&mut self, ground: &mut Ground, id: ConfigurationId) {
        self.climb.learn(id, ground);
    }
}
