//! Simulated annealing (Kirkpatrick, Gelatt & Vecchi, "Optimization by Simulated Annealing", Science 220, 1983): a walk that goes to
//! what is worse ever less often. How much worse is counted as a share, so that no unit matters, and it cools with the budget.
use super::StrategyEntry;
use super::walk::{Ground, Walk, Walker, first};
use crate::space::{ConfigurationId, Neighbourhood};
use rand::RngExt;

pub(super) const ENTRY: StrategyEntry = StrategyEntry {
    name: "annealing",
    about: "walks to neighbours, to worse ones ever less often (simulated annealing)",
    learns: true,
    refines: false,
    build: |space, seed, budget| {
        let first = first(budget);
        let walk = Annealing {
            budget: budget.unwrap_or(UNKNOWN),
            first,
            draws: first,
            current: None,
            best: None,
            stale: 0,
        };
        Box::new(Walker::new(space, seed, walk))
    },
};

/// Evaluations until it is cold, where no budget is known.
const UNKNOWN: usize = 500;

/// What is worse by this share is accepted with probability 1/e, at first and at last.
const HOT: f64 = 0.05;
const COLD: f64 = 0.001;

/// Chance of a step to be to any other value instead of the next one.
const JUMP: f64 = 0.4;

/// Proposals in a row that were known before it starts anew. Every so many of them make a proposal one step longer.
const STUCK: usize = 50;
const LONGER: usize = 10;

/// Share of the budget without anything better before it starts anew.
const STALE: f64 = 0.15;

struct Annealing {
    budget: usize,
    /// Configurations at random, from whose best a walk starts.
    first: usize,
    /// Still to be drawn for this start.
    draws: usize,
    current: Option<ConfigurationId>,
    /// The best since the last start.
    best: Option<ConfigurationId>,
    /// Learnt since that was found.
    stale: usize,
}

impl Annealing {
    fn temperature(&self, ground: &Ground) -> f64 {
        let done = (ground.ranked().len() as f64 / self.budget.max(1) as f64).min(1.0);
        HOT * (COLD / HOT).powf(done)
    }

    fn start(&mut self) {
        (self.current, self.best, self.stale, self.draws) = (None, None, 0, self.first);
    }

    fn accepts(&self, id: ConfigurationId, current: ConfigurationId, ground: &mut Ground) -> bool {
        if self.draws > 0 {
            return ground.is_better(id, current);
        }
        let chance = (-ground.worse_by(id, current) / self.temperature(ground)).exp();
        ground.random.random::<f64>() < chance
    }
}

impl Walk for Annealing {
    fn propose(&mut self, ground: &mut Ground) -> Option<ConfigurationId> {
        if ground.tries == STUCK || self.stale as f64 > STALE * self.budget as f64 {
            self.start();
        }
        if self.draws > 0 {
            self.draws -= 1;
            return ground.sample();
        }
        let mut id = self.current?;
        for _ in 0..=ground.tries / LONGER {
            let neighbourhood = if ground.random.random_bool(JUMP) {
                Neighbourhood::Hamming
            } else {
                Neighbourhood::Adjacent
            };
            id = ground.step(id, neighbourhood)?;
        }
        Some(id)
    }

    fn learn(&mut self, ground: &mut Ground, id: ConfigurationId) {
        self.stale += 1;
        if self.best.is_none_or(|best| ground.is_better(id, best)) {
            (self.best, self.stale) = (Some(id), 0);
        }
        if (self.current).is_none_or(|current| self.accepts(id, current, ground)) {
            self.current = Some(id);
        }
    }
}
