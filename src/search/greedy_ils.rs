//! Greedy iterated local search (Lourenço, Martin & Stützle, "Iterated Local Search", Handbook of Metaheuristics, 2003): descends,
//! is kicked out of the optimum, descends again, and stays where it is better.
use super::StrategyEntry;
use super::climb::Climb;
use super::walk::{Ground, Walk, Walker, first};
use crate::space::{ConfigurationId, Neighbourhood};

pub(super) const ENTRY: StrategyEntry = StrategyEntry {
    name: "greedy_ils",
    about: "descends, kicks the best found a few steps away, descends again (iterated local search)",
    learns: true,
    refines: false,
    build: |space, seed, budget| {
        let walk = GreedyIls {
            climb: Climb::default(),
            home: None,
            first: first(budget),
            draws: first(budget),
            futile: 0,
        };
        Box::new(Walker::new(space, seed, walk))
    },
};

/// A kick changes this share of the parameters.
const KICK: f64 = 0.3;

/// Descents without success before it starts anew.
const FUTILE: usize = 3;

struct GreedyIls {
    climb: Climb,
    /// The best local optimum since the last start.
    home: Option<ConfigurationId>,
    /// Configurations at random, from whose best the first descent starts.
    first: usize,
    /// Still to be drawn for this start.
    draws: usize,
    /// Descents since one ended better than home.
    futile: usize,
}

impl Walk for GreedyIls {
    fn propose(&mut self, ground: &mut Ground) -> Option<ConfigurationId> {
        if self.draws > 0 {
            self.draws -= 1;
            return ground.sample();
        }
        if let Some(id) = self.climb.propose() {
            return Some(id);
        }
        let end = self.climb.at()?;
        self.futile += 1;
        if self.home.is_none_or(|home| ground.is_better(end, home)) {
            self.home = Some(end);
            self.futile = 0;
        }
        self.climb = Climb::default();
        if self.futile > FUTILE {
            (self.home, self.futile, self.draws) = (None, 0, self.first);
            return self.propose(ground);
        }
        let kicks = (KICK * ground.space().parameters().len() as f64).max(1.0) as usize;
        (0..kicks).try_fold(self.home?, |id, _| ground.step(id, Neighbourhood::Hamming))
    }

    fn learn(&mut self, ground: &mut Ground, id: ConfigurationId) {
        self.climb.learn(id, ground);
    }
}
