//! Uniform sampling without replacement: the yardstick for every other strategy.
use super::history::History;
use super::{Outcome, Strategy, StrategyEntry};
use crate::space::ConfigurationId;
use rand::SeedableRng;
use rand::rngs::StdRng;

pub(super) const ENTRY: StrategyEntry = StrategyEntry {
    name: "random",
    about: "uniform sampling without replacement",
    learns: false,
    refines: false,
    build: |space, seed, _budget| {
        Box::new(Random {
            history: History::new(space),
            random: StdRng::seed_from_u64(seed),
        })
    },
};

struct Random {
    history: History,
    random: StdRng,
}

impl Strategy for Random {
    fn ask(&mut self, n: usize) -> Vec<ConfigurationId> {
        (0..n)
            .map_while(|_| self.history.ask_any(&mut self.random))
            .collect()
    }

    fn tell(&mut self, id: ConfigurationId, outcome: Outcome, _seconds: f64) {
        self.history.tell(id, outcome);
    }
}
