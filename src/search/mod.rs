//! Search strategies: which configuration to measure next. They never measure, print, or read a clock.
mod annealing;
mod auto;
mod bandit;
mod bayesian;
mod climb;
mod cost;
mod differential;
mod exhaustive;
mod genetic;
mod greedy_ils;
mod halving;
mod history;
mod latin_hypercube;
mod model;
mod multi_start;
mod pareto;
mod particle_swarm;
mod random;
mod recorded;
mod tournament;
mod tpe;
mod walk;

pub use pareto::Mixtures;
pub use recorded::{Recorded, Yardstick};
pub use tournament::{Course, Figure, Replay, SHARES, Standing};

use crate::space::{ConfigurationId, Space};
use std::sync::Arc;

/// What measuring a configuration gave.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Smaller is better.
    Objective(f64),
    /// It compiled or ran wrongly, too long, or against a limit; it can never win.
    Failed,
}

/// A search strategy.
///
/// The campaign owns the loop and the budget: it asks, measures, tells, and stops.
pub trait Strategy: Send {
    /// Up to `n` configurations worth measuring next. Never one that was asked before, save by a strategy that refines: then it
    /// wants as many blocks of it again as it has. Empty: nothing is left to try.
    fn ask(&mut self, n: usize) -> Vec<ConfigurationId>;

    /// What measuring `id` gave.
    ///
    /// Also called for configurations that were never asked (an earlier run that is resumed, the phase's reference), and
    /// again for one already told when more blocks have made its estimate better; the latest is the valid one.
    /// `seconds`: what measuring it took, compiling included; dearer configurations must promise more.
    fn tell(&mut self, id: ConfigurationId, outcome: Outcome, seconds: f64);
}

/// An entry of the registry.
#[derive(Debug)]
pub struct StrategyEntry {
    pub name: &'static str,
    /// One sentence for `--help` and the report.
    pub about: &'static str,
    /// Whether what it is told changes what it asks: then it is asked for one at a time.
    pub learns: bool,
    /// Whether it says itself which configurations deserve more blocks. For others, the campaign gives contenders more.
    pub refines: bool,
    /// With the number of evaluations that it will be given, where that is known.
    pub build: fn(Arc<Space>, seed: u64, budget: Option<usize>) -> Box<dyn Strategy>,
}

/// Every strategy, in the order in which `--help` lists them. To add one: its file, a `mod` line, and a line here.
pub static STRATEGIES: &[StrategyEntry] = &[
    auto::ENTRY,
    exhaustive::ENTRY,
    random::ENTRY,
    latin_hypercube::ENTRY,
    halving::ENTRY,
    multi_start::ENTRY,
    greedy_ils::ENTRY,
    annealing::ENTRY,
    genetic::ENTRY,
    differential::ENTRY,
    particle_swarm::ENTRY,
    tpe::ENTRY,
    bayesian::ENTRY,
    bandit::ENTRY,
];

/// The entry of this name; of `auto`, what it comes to in this space.
pub fn find(name: &str, space: &Space, evaluations: Option<u32>) -> Option<&'static StrategyEntry> {
    match name {
        "auto" => Some(auto::choose(space, evaluations.map(|n| n as usize))),
        _ => STRATEGIES.iter().find(|entry| entry.name == name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::{Parameter, Restriction};
    use crate::value::Value;
    use std::collections::BTreeSet;

    fn space(values: i64, restriction: &str) -> Arc<Space> {
        let p = |name: &str| Parameter {
            name: name.into(),
            values: (1..=values).map(Value::Int).collect(),
        };
        let parameters = vec![p("x"), p("y")];
        let restriction = Restriction::parse(restriction, &parameters).unwrap();
        Arc::new(Space::new(parameters, vec![restriction]).unwrap())
    }

    /// What every registered strategy promises; a new one is covered by its registry line.
    #[test]
    fn every_strategy_keeps_the_contract() {
        for entry in STRATEGIES {
            for space in [
                space(5, "x * y <= 12"),
                space(1, "x > 0"),
                space(3, "x > 9"),
            ] {
                let mut seen = BTreeSet::new();
                let mut strategy = (entry.build)(space.clone(), 1, Some(9));
                let mut twin = (entry.build)(space.clone(), 1, Some(9));
                let told = space.ids().next();
                if let Some(id) = told {
                    // As when a run is resumed.
                    strategy.tell(id, Outcome::Objective(1.0), 1.0);
                    twin.tell(id, Outcome::Objective(1.0), 1.0);
                }
                loop {
                    let ids = strategy.ask(3);
                    assert_eq!(
                        ids,
                        twin.ask(3),
                        "{}: the same seed asks the same",
                        entry.name
                    );
                    if ids.is_empty() {
                        break;
                    }
                    for id in ids {
                        assert!(
                            Some(id) != told && seen.insert(id) || entry.refines,
                            "{}: asked {id:?} twice",
                            entry.name
                        );
                        let outcome = match seen.len() % 3 {
                            0 => Outcome::Failed,
                            n => Outcome::Objective(n as f64),
                        };
                        strategy.tell(id, outcome.clone(), 1.0);
                        twin.tell(id, outcome, 1.0);
                    }
                }
                assert_eq!(
                    Some((seen.len() + told.iter().len()) as u64),
                    space.count(),
                    "{}: it tries everything",
                    entry.name
                );
            }
        }
    }
}
