//! A genetic algorithm (Holland, Adaptation in Natural and Artificial Systems, 1975) in its steady state: every child joins the
//! population as soon as it is measured, if it is better than the worst (Whitley, "The GENITOR Algorithm", 1989). Children that no
//! restriction allows are repaired.
use super::StrategyEntry;
use super::walk::{Ground, Walk, Walker};
use crate::space::{ConfigurationId, Neighbourhood};
use rand::RngExt;

pub(super) const ENTRY: StrategyEntry = StrategyEntry {
    name: "genetic",
    about: "crosses the best so far and mutates (steady-state genetic algorithm)",
    learns: true,
    refines: false,
    build: |space, seed, budget| {
        let size = budget.map_or(LARGEST, |n| (n / SHARE).clamp(SMALLEST, LARGEST));
        Box::new(Walker::new(space, seed, Genetic { size }))
    },
};

/// Size of the population: a share of the budget, within bounds.
const SHARE: usize = 5;
const SMALLEST: usize = 6;
const LARGEST: usize = 30;

/// Parents are drawn by rank from the beta distribution (1, PRESSURE): the best most often.
const PRESSURE: f64 = 4.0;

/// Chance of a mutation; more while children are already known.
const MUTATION: f64 = 0.4;

struct Genetic {
    /// So many of the best measured are the population.
    size: usize,
}

impl Genetic {
    fn parent(&self, ground: &mut Ground) -> Option<Vec<u16>> {
        let size = self.size.min(ground.ranked().len());
        // Inverse of the distribution function.
        let place = 1.0 - ground.random.random::<f64>().powf(1.0 / PRESSURE);
        let id = ground.ranked().nth((place * size as f64) as usize)?;
        Some(ground.space().digits(id))
    }
}

impl Walk for Genetic {
    fn propose(&mut self, ground: &mut Ground) -> Option<ConfigurationId> {
        if ground.ranked().len() < self.size {
            return ground.sample();
        }
        let mut child = self.parent(ground)?;
        for (digit, other) in child.iter_mut().zip(self.parent(ground)?) {
            if ground.random.random_bool(0.5) {
                *digit = other;
            }
        }
        let mut child = ground.repair(&child)?;
        for _ in 0..=ground.tries {
            if ground.random.random_bool(MUTATION) {
                child = ground.step(child, Neighbourhood::Hamming)?;
            }
        }
        Some(child)
    }

    fn learn(&mut self, _ground: &mut Ground, _id: ConfigurationId) {}
}
