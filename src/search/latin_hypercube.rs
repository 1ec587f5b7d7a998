//! Latin hypercube sampling (McKay, Beckman & Conover, Technometrics 21, 1979) of valid configurations: every value of every
//! parameter comes as often as any other, as far as the restrictions let it. Points drawn without them and repaired gather at the
//! edges of the valid, so it draws a few valid ones and takes the one whose values have come least.
use super::StrategyEntry;
use super::walk::{Ground, Walk, Walker};
use crate::space::ConfigurationId;

pub(super) const ENTRY: StrategyEntry = StrategyEntry {
    name: "latin_hypercube",
    about: "a sample in which every value of every parameter comes about equally often",
    learns: false,
    refines: false,
    build: |space, seed, _budget| {
        let counts = (space.parameters().iter())
            .map(|p| vec![0; p.values.len()])
            .collect();
        Box::new(Walker::new(space, seed, LatinHypercube { counts }))
    },
};

/// Configurations of which one is taken.
const DRAWN: usize = 8;

struct LatinHypercube {
    /// How often each value of each parameter has come.
    counts: Vec<Vec<usize>>,
}

impl LatinHypercube {
    /// Values that come often for their parameter weigh most.
    fn familiarity(&self, digits: &[u16]) -> usize {
        let weigh =
            |(counts, digit): (&Vec<usize>, &u16)| counts[usize::from(*digit)] * counts.len();
        self.counts.iter().zip(digits).map(weigh).sum()
    }
}

impl Walk for LatinHypercube {
    fn propose(&mut self, ground: &mut Ground) -> Option<ConfigurationId> {
        let drawn: Vec<ConfigurationId> = (0..DRAWN).filter_map(|_| ground.sample()).collect();
        let id = (drawn.into_iter())
            .filter(|id| ground.is_new(*id))
            .min_by_key(|id| self.familiarity(&ground.space().digits(*id)))?;
        for (counts, digit) in self.counts.iter_mut().zip(ground.space().digits(id)) {
            counts[usize::from(digit)] += 1;
        }
        Some(id)
    }

    fn learn(&mut self, _ground: &mut Ground, _id: ConfigurationId) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::{Parameter, Space};
    use crate::value::Value;
    use std::sync::Arc;

    #[test]
    fn every_value_comes_about_equally_often() {
        let parameter = |name: &str| Parameter {
            name: name.into(),
            values: (0..10).map(Value::Int).collect(),
        };
        let parameters = ["x", "y", "z"].map(parameter).to_vec();
        let space = Arc::new(Space::new(parameters, vec![]).unwrap());
        let mut strategy = (ENTRY.build)(space.clone(), 1, None);
        let mut counts = vec![vec![0_i32; 10]; 3];
        for id in strategy.ask(60) {
            for (counts, digit) in counts.iter_mut().zip(space.digits(id)) {
                counts[usize::from(digit)] += 1;
            }
        }
        // Six times each, if it were exact; at random a third of them would be further off than two.
        let far = counts
            .iter()
            .flatten()
            .filter(|n| (*n - 6).abs() > 2)
            .count();
        assert!(far <= 3, "{counts:?}");
    }
}
