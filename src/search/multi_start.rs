//! Multi-start local search: descents from configurations at random, one after the other.
use super::StrategyEntry;
use super::climb::Climb;
use super::walk::{Ground, Walk, Walker};
use crate::space::ConfigurationId;

pub(super) const ENTRY: StrategyEntry = StrategyEntry {
    name: "multi_start",
    about: "descends to a local optimum, then starts anew elsewhere",
    learns: true,
    refines: false,
    build: |space, seed, _budget| {
        let walk = MultiStart {
            climb: Climb::default(),
            draws: DRAWS,
        };
        Box::new(Walker::new(space, seed, walk))
    },
};

/// Configurations at random, from whose best a descent starts.
const DRAWS: usize = 5;

struct MultiStart {
    climb: Climb,
    /// Still to be drawn for this start.
    draws: usize,
}

impl Walk for MultiStart {
    fn propose(&mut self, ground: &mut Ground) -> Option<ConfigurationId> {
        if self.draws == 0 {
            if let Some(id) = self.climb.propose() {
                return Some(id);
            }
            *self = MultiStart {
                climb: Climb::default(),
                draws: DRAWS,
            };
        }
        self.draws -= 1;
        ground.sample()
    }

    fn learn(&mut self, ground: &mut Ground, id: ConfigurationId) {
        self.climb.learn(id, ground);
    }
}
