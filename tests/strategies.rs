//! What every strategy promises on spaces that people have: restricted, failing in parts, too large to list.
use phasetune::search::{Outcome, STRATEGIES, Strategy, StrategyEntry};
use phasetune::space::{ConfigurationId, Parameter, Restriction, Space};
use phasetune::value::Value;
use std::collections::BTreeSet;
use std::sync::Arc;

fn space(parameters: usize, values: i64, restriction: &str) -> Arc<Space> {
    let parameters: Vec<Parameter> = (0..parameters)
        .map(|p| Parameter {
            name: format!("p{p}"),
            values: (1..=values).map(Value::Int).collect(),
        })
        .collect();
    let restriction = Restriction::parse(restriction, &parameters).unwrap();
    Arc::new(Space::new(parameters, vec![restriction]).unwrap())
}

/// A valley with its ground at 3 in every parameter; the far corner fails.
fn valley(space: &Space, id: ConfigurationId) -> Outcome {
    let digits = space.digits(id);
    if digits.iter().all(|d| *d > 4) {
        return Outcome::Failed;
    }
    let far = |(i, d): (usize, &u16)| (1.0 + i as f64 / 2.0) * (f64::from(*d) - 3.0).powi(2);
    Outcome::Objective((digits.iter().enumerate().map(far).sum::<f64>() / 20.0).exp())
}

fn value(outcome: &Outcome) -> f64 {
    match outcome {
        Outcome::Objective(value) => *value,
        Outcome::Failed => f64::INFINITY,
    }
}

fn asked(
    mut strategy: Box<dyn Strategy>,
    evaluations: usize,
    measure: impl Fn(ConfigurationId) -> Outcome,
) -> Vec<ConfigurationId> {
    let mut asked = vec![];
    while asked.len() < evaluations {
        let Some(id) = strategy.ask(1).first().copied() else {
            break;
        };
        strategy.tell(id, measure(id), 1.0);
        asked.push(id);
    }
    asked
}

fn learning() -> impl Iterator<Item = &'static StrategyEntry> {
    STRATEGIES
        .iter()
        .filter(|entry| entry.learns && !entry.refines)
}

#[test]
fn what_learns_beats_random_search_in_a_valley() {
    let space = space(4, 8, "p0 + p1 <= 14");
    let mean = |entry: &StrategyEntry| {
        let best = |seed| {
            let strategy = (entry.build)(space.clone(), seed, Some(60));
            let asked = asked(strategy, 60, |id| valley(&space, id));
            let values = asked.iter().map(|id| value(&valley(&space, *id)));
            values.fold(f64::INFINITY, f64::min).ln()
        };
        (0..20).map(best).sum::<f64>() / 20.0
    };
    let random = STRATEGIES.iter().find(|e| e.name == "random").unwrap();
    let random = mean(random);
    for entry in learning() {
        let own = mean(entry);
        assert!(
            own < 0.85 * random,
            "{}: {own:.3}, random {random:.3}",
            entry.name
        );
    }
}

#[test]
fn the_unit_of_the_objective_changes_nothing() {
    let space = space(3, 8, "p0 + p1 <= 14");
    for entry in learning() {
        let with = |unit: f64| {
            let strategy = (entry.build)(space.clone(), 3, Some(50));
            asked(strategy, 50, |id| match valley(&space, id) {
                Outcome::Objective(value) => Outcome::Objective(value * unit),
                failed @ Outcome::Failed => failed,
            })
        };
        assert_eq!(with(1.0), with(1024.0), "{}", entry.name);
    }
}

/// Tied in one group of 10^14 points, so that it can only be sampled.
#[test]
fn a_space_too_large_to_list_is_searched() {
    let space = space(
        8,
        56,
        "(p0 + p1 + p2 + p3 + p4 + p5 + p6 + p7) % 3 == 0 and p0 <= p7",
    );
    assert_eq!(space.count(), None);
    for entry in STRATEGIES {
        let strategy = (entry.build)(space.clone(), 1, Some(40));
        let ids = asked(strategy, 40, |id| {
            Outcome::Objective(1.0 + space.digits(id).iter().map(|d| f64::from(*d)).sum::<f64>())
        });
        let different: BTreeSet<_> = ids.iter().collect();
        assert!(entry.refines || different.len() == 40, "{}", entry.name);
        for id in ids {
            assert!(
                space.find(&space.digits(id)) == Some(id),
                "{}: {id:?}",
                entry.name
            );
        }
    }
}

/// As with several workers: answers come late, in another order, and some never.
#[test]
fn answers_may_come_late_and_in_any_order() {
    let space = space(4, 6, "p0 * p1 <= 20");
    for entry in STRATEGIES {
        let mut strategy = (entry.build)(space.clone(), 5, Some(60));
        let (mut seen, mut waiting) = (BTreeSet::new(), vec![]);
        for round in 0..15 {
            let ids = strategy.ask(4);
            assert_eq!(ids.len(), 4, "{}", entry.name);
            for id in ids {
                assert!(
                    seen.insert(id) || entry.refines,
                    "{}: asked {id:?} twice",
                    entry.name
                );
                waiting.push(id);
            }
            if round % 2 == 1 {
                while waiting.len() > 3 {
                    let id = waiting.remove(waiting.len() / 2);
                    strategy.tell(id, valley(&space, id), 1.0);
                }
            }
        }
    }
}

#[test]
fn a_space_where_everything_fails_is_tried_to_its_end() {
    let space = space(3, 4, "p0 <= p1");
    for entry in STRATEGIES {
        let strategy = (entry.build)(space.clone(), 2, Some(40));
        let asked = asked(strategy, 100, |_| Outcome::Failed);
        assert_eq!(Some(asked.len() as u64), space.count(), "{}", entry.name);
    }
}
