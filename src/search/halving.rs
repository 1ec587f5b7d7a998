//! Successive halving over sample counts (Jamieson & Talwalkar, "Non-stochastic best arm identification and hyperparameter
//! optimization", AISTATS 2016): many configurations get one block, the better half of them two, of these the better half four.
use super::history::History;
use super::{Outcome, Strategy, StrategyEntry};
use crate::space::ConfigurationId;
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::collections::{BTreeSet, VecDeque};

pub(super) const ENTRY: StrategyEntry = StrategyEntry {
    name: "halving",
    about: "random configurations; the better half of them is measured again and again",
    learns: true,
    refines: true,
    build: |space, seed, budget| {
        Box::new(Halving {
            history: History::new(space),
            random: StdRng::seed_from_u64(seed),
            // A half, a quarter, an eighth, …: all rungs together are the budget.
            first: budget.map_or(UNKNOWN, |n| n / 2).clamp(2, MOST),
            rung: vec![],
            queue: VecDeque::new(),
            waiting: BTreeSet::new(),
        })
    },
};

/// Configurations of a first rung where no budget is given.
const UNKNOWN: usize = 32;

const MOST: usize = 1000;

struct Halving {
    history: History,
    random: StdRng,
    first: usize,
    rung: Vec<ConfigurationId>,
    /// Of the rung, what is still to be asked.
    queue: VecDeque<ConfigurationId>,
    /// Asked, not yet told.
    waiting: BTreeSet<ConfigurationId>,
}

impl Halving {
    fn objective(&self, id: ConfigurationId) -> Option<f64> {
        match self.history.told().get(&id)? {
            Outcome::Objective(value) => Some(*value),
            Outcome::Failed => None,
        }
    }

    /// The next rung: the better half, or new ones once two are left. Empty where nothing is left.
    fn climb(&mut self) {
        let mut valid: Vec<_> = (self.rung.iter())
            .filter_map(|id| Some((self.objective(*id)?, *id)))
            .collect();
        valid.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        valid.truncate(valid.len() / 2);
        self.rung = match valid.len() {
            0 | 1 => (0..self.first)
                .map_while(|_| self.history.ask_any(&mut self.random))
                .collect(),
            _ => valid.into_iter().map(|(_, id)| id).collect(),
        };
        self.queue = self.rung.iter().copied().collect();
    }
}

impl Strategy for Halving {
    fn ask(&mut self, n: usize) -> Vec<ConfigurationId> {
        let mut asked = vec![];
        while asked.len() < n {
            if self.queue.is_empty() && self.waiting.is_empty() {
                self.climb();
            }
            // While others are being measured, one more joins the rung.
            let next = self.queue.pop_front().or_else(|| {
                let joins = self.history.ask_any(&mut self.random)?;
                self.rung.push(joins);
                Some(joins)
            });
            let Some(id) = next else { break };
            self.waiting.insert(id);
            asked.push(id);
        }
        asked
    }

    fn tell(&mut self, id: ConfigurationId, outcome: Outcome, _seconds: f64) {
        self.waiting.remove(&id);
        self.history.tell(id, outcome);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::{Parameter, Space};
    use crate::value::Value;
    use std::collections::BTreeMap;
    use std::sync::Arc;

    #[test]
    fn the_better_half_is_asked_again() {
        let values = (0..100).map(Value::Int).collect();
        let name = "x".into();
        let space = Space::new(vec![Parameter { name, values }], vec![]).unwrap();
        let mut strategy = (ENTRY.build)(Arc::new(space), 1, Some(16));
        let mut counts = BTreeMap::new();
        for _ in 0..8 + 4 + 2 {
            let id = strategy.ask(1)[0];
            *counts.entry(id).or_insert(0) += 1;
            strategy.tell(id, Outcome::Objective(1.0 + id.0 as f64), 1.0);
        }
        let by_value: Vec<i32> = counts.into_values().collect();
        assert_eq!(by_value, [3, 3, 2, 2, 1, 1, 1, 1]);
    }
}
