//! Latin hypercube sampling (McKay, Beckman & Conover, Technometrics 21, 1979): every value of every parameter comes as often as any
//! other, as far as the restrictions let it.
use super::StrategyEntry;
use super::walk::{Ground, Walk, Walker};
use crate::space::ConfigurationId;
use rand::RngExt;
use rand::seq::SliceRandom;

pub(super) const ENTRY: StrategyEntry = StrategyEntry {
    name: "latin_hypercube",
    about: "a sample in which every value of every parameter comes equally often",
    learns: false,
    refines: false,
    build: |space, seed, budget| {
        let walk = LatinHypercube {
            size: budget.map_or(LARGEST, |n| n.clamp(1, LARGEST)),
            points: vec![],
        };
        Box::new(Walker::new(space, seed, walk))
    },
};

/// Points of one hypercube: as many as the budget, but not more; the next one follows.
const LARGEST: usize = 200;

struct LatinHypercube {
    size: usize,
    /// Value indices, valid or not.
    points: Vec<Vec<u16>>,
}

impl LatinHypercube {
    fn draw(&mut self, ground: &mut Ground) {
        let counts: Vec<usize> = (ground.space().parameters().iter())
            .map(|p| p.values.len())
            .collect();
        self.points = vec![vec![]; self.size];
        for count in counts {
            let mut strata: Vec<usize> = (0..self.size).collect();
            strata.shuffle(&mut ground.random);
            for (point, stratum) in self.points.iter_mut().zip(strata) {
                let at = (stratum as f64 + ground.random.random::<f64>()) / self.size as f64;
                point.push((at * count as f64) as u16);
            }
        }
    }
}

impl Walk for LatinHypercube {
    fn propose(&mut self, ground: &mut Ground) -> Option<ConfigurationId> {
        if ground.space().is_empty() {
            return None;
        }
        if self.points.is_empty() {
            self.draw(ground);
        }
        let point = self.points.pop()?;
        ground.repair(&point)
    }

    fn learn(&mut self, _ground: &mut Ground, _id: ConfigurationId) {}
}
