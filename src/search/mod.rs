//! Search strategies: which configuration to measure next. They never measure, print, or read a clock.
mod exhaustive;
mod random;

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
    /// Up to `n` configurations worth measuring next, never one that was asked before. Empty: nothing is left to try.
    fn ask(&mut self, n: usize) -> Vec<ConfigurationId>;

    /// What measuring `id` gave.
    ///
    /// Also called for configurations that were never asked (an earlier run that is resumed, the phase's reference), and
    /// again for one already told when more blocks have made its estimate better; the latest is the valid one.
    fn tell(&mut self, id: ConfigurationId, outcome: Outcome);
}

/// An entry of the registry.
#[derive(Debug)]
pub struct StrategyEntry {
    pub name: &'static str,
    /// One sentence for `--help` and the report.
    pub about: &'static str,
    pub build: fn(Arc<Space>, seed: u64) -> Box<dyn Strategy>,
}

/// Every strategy, in the order in which `--help` lists them. To add one: its file, a `mod` line, and a line here.
pub static STRATEGIES: &[StrategyEntry] = &[exhaustive::ENTRY, random::ENTRY];

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
                let mut strategy = (entry.build)(space.clone(), 1);
                let mut twin = (entry.build)(space.clone(), 1);
                let told = space.ids().next();
                if let Some(id) = told {
                    // As when a run is resumed.
                    strategy.tell(id, Outcome::Objective(1.0));
                    twin.tell(id, Outcome::Objective(1.0));
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
                            Some(id) != told && seen.insert(id),
                            "{}: asked {id:?} twice",
                            entry.name
                        );
                        let outcome = match seen.len() % 3 {
                            0 => Outcome::Failed,
                            n => Outcome::Objective(n as f64),
                        };
                        strategy.tell(id, outcome.clone());
                        twin.tell(id, outcome);
                    }
                }
                assert_eq!(
                    seen.len() + told.iter().len(),
                    space.len(),
                    "{}: it tries everything",
                    entry.name
                );
            }
        }
    }
}
