//! Simulated annealing (Kirkpatrick, Gelatt & Vecchi, "Optimization by Simulated Annealing", Science 220, 1983): a walk that goes to
//! what is worse ever less often. How much worse is counted as a share, so that no unit matters, and it cools with the budget.
use super::StrategyEntry;
use super::walk::{Ground, Walk, Walker};
use crate::space::{ConfigurationId, Neighbourhood};
use rand::RngExt;

pub(super) const ENTRY: StrategyEntry = StrategyEntry {
    name: "annealing",
    about: "walks to neighbours, to worse ones ever less often (simulated annealing)",
    learns: true,
    refines: false,
    build: |space, seed, budget| {
        let walk = Annealing {
            current: None,
            budget: budget.unwrap_or(UNKNOWN),
        };
        Box::new(Walker::new(space, seed, walk))
    },
};

/// Evaluations until it is cold, where no budget is known.
const UNKNOWN: usize = 500;

/// What is worse by this share is accepted with probability 1/e, at first and at last.
const HOT: f64 = 0.1;
const COLD: f64 = 0.001;

/// Chance of a parameter to jump to any value.
const JUMP: f64 = 0.2;

/// Proposals in a row that brought nothing new before it starts anew.
const STUCK: usize = 50;

struct Annealing {
    current: Option<ConfigurationId>,
    budget: usize,
}

impl Annealing {
    fn temperature(&self, ground: &Ground) -> f64 {
        let done = (ground.ranked().len() as f64 / self.budget.max(1) as f64).min(1.0);
        HOT * (COLD / HOT).powf(done)
    }
}

impl Walk for Annealing {
    fn propose(&mut self, ground: &mut Ground) -> Option<ConfigurationId> {
        if ground.tries == STUCK {
            self.current = None;
        }
        let Some(mut id) = self.current else {
            return ground.sample();
        };
        for _ in 0..ground.space().parameters().len() {
            if ground.random.random_bool(JUMP) {
                id = ground.step(id, Neighbourhood::Hamming)?;
            }
        }
        ground.step(id, Neighbourhood::Adjacent).or(Some(id))
    }

    fn learn(&mut self, ground: &mut Ground, id: ConfigurationId) {
        let chance = self.current.map_or(1.0, |current| {
            (-ground.worse_by(id, current) / self.temperature(ground)).exp()
        });
        if ground.random.random::<f64>() < chance {
            self.current = Some(id);
        }
    }
}
