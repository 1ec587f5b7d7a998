//! What the classic strategies share: steps to neighbours, repair, and the loop around a rule that proposes where to go. A rule may
//! propose what was measured before: it is answered from the history, and costs nothing. Apart from the history, which knows no
//! neighbours.
use super::history::History;
use super::{Outcome, Strategy};
use crate::space::{ConfigurationId, Neighbourhood, Space};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use std::sync::Arc;

/// Proposals that were known before a rule is stuck, and one configuration at random is asked.
const TRIES: usize = 100;

/// Draws of a neighbour before all are listed.
const DRAWS: usize = 20;

/// Configurations at random from which a repair may start.
const STARTS: usize = 20;

/// Configurations at random before a rule follows what it knows: a share of the budget, within bounds. Fewer make a rule settle in
/// the first valley that it sees, and lose more on deceptive spaces than they gain on the others (measured on four recorded ones).
const SHARE: f64 = 0.15;
const FEWEST: usize = 8;
const MOST: usize = 40;
const UNKNOWN: usize = 20;

/// How many configurations at random a search begins with.
pub(super) fn first(budget: Option<usize>) -> usize {
    budget.map_or(UNKNOWN, |n| {
        ((n as f64 * SHARE) as usize).clamp(FEWEST, MOST)
    })
}

/// Where a walk takes place: what is known of the space, and the dice.
#[derive(Debug)]
pub(super) struct Ground {
    history: History,
    /// All that was measured with its value, the best first and what failed last.
    ranked: Vec<(f64, ConfigurationId)>,
    pub(super) random: StdRng,
    /// Proposals since one was new.
    pub(super) tries: usize,
}

/// The rule of a strategy.
pub(super) trait Walk: Send {
    /// Where to go next, measured or not. Absent: one at random.
    fn propose(&mut self, ground: &mut Ground) -> Option<ConfigurationId>;

    /// `id` has a value: it was measured, measured better, or is known and was proposed again.
    fn learn(&mut self, ground: &mut Ground, id: ConfigurationId);
}

/// A strategy that follows a rule.
pub(super) struct Walker<W> {
    ground: Ground,
    walk: W,
}

impl<W: Walk> Walker<W> {
    pub(super) fn new(space: Arc<Space>, seed: u64, walk: W) -> Walker<W> {
        Walker {
            ground: Ground::new(space, seed),
            walk,
        }
    }

    fn next(&mut self) -> Option<ConfigurationId> {
        for tries in 0..TRIES {
            self.ground.tries = tries;
            let id = self.walk.propose(&mut self.ground)?;
            if self.ground.history.ask(id) {
                return Some(id);
            }
            if self.ground.value(id).is_some() {
                self.walk.learn(&mut self.ground, id);
            }
        }
        None
    }
}

impl<W: Walk> Strategy for Walker<W> {
    fn ask(&mut self, n: usize) -> Vec<ConfigurationId> {
        (0..n)
            .map_while(|_| {
                self.next()
                    .or_else(|| self.ground.history.ask_any(&mut self.ground.random))
            })
            .collect()
    }

    fn tell(&mut self, id: ConfigurationId, outcome: Outcome, _seconds: f64) {
        self.ground.tell(id, outcome);
        self.walk.learn(&mut self.ground, id);
    }
}

impl Ground {
    fn new(space: Arc<Space>, seed: u64) -> Ground {
        Ground {
            history: History::new(space),
            ranked: vec![],
            random: StdRng::seed_from_u64(seed),
            tries: 0,
        }
    }

    pub(super) fn space(&self) -> &Space {
        &self.history.space
    }

    fn tell(&mut self, id: ConfigurationId, outcome: Outcome) {
        if self.value(id).is_some() {
            self.ranked.retain(|(_, other)| *other != id);
        }
        self.history.tell(id, outcome);
        let value = self.value(id).unwrap_or(f64::INFINITY);
        let place = self.ranked.partition_point(|(other, _)| *other <= value);
        self.ranked.insert(place, (value, id));
    }

    /// All that was measured, the best first and what failed last.
    pub(super) fn ranked(&self) -> impl ExactSizeIterator<Item = ConfigurationId> {
        self.ranked.iter().map(|(_, id)| *id)
    }

    /// Smaller is better. What failed is infinite: it loses every comparison and is on no scale. Absent: not measured yet.
    pub(super) fn value(&self, id: ConfigurationId) -> Option<f64> {
        self.history.told().get(&id).map(|outcome| match outcome {
            Outcome::Objective(value) if !value.is_nan() => *value,
            _ => f64::INFINITY,
        })
    }

    pub(super) fn is_better(&self, id: ConfigurationId, than: ConfigurationId) -> bool {
        self.value(id)
            .is_some_and(|value| value < self.value(than).unwrap_or(f64::INFINITY))
    }

    /// By which share of the other's value: independent of the unit. Infinite for what failed, 0 where both did.
    pub(super) fn worse_by(&self, id: ConfigurationId, than: ConfigurationId) -> f64 {
        let value = |id| self.value(id).unwrap_or(f64::INFINITY);
        let (own, other) = (value(id), value(than));
        if own == other {
            return 0.0;
        }
        if other.is_infinite() {
            return f64::NEG_INFINITY;
        }
        (own - other) / other.abs().max(f64::MIN_POSITIVE)
    }

    /// Whether it may still be asked.
    pub(super) fn is_new(&self, id: ConfigurationId) -> bool {
        self.history.is_new(id)
    }

    /// The best measured; absent while all failed.
    pub(super) fn best(&self) -> Option<ConfigurationId> {
        let first = self
            .ranked
            .first()
            .filter(|(value, _)| *value < f64::INFINITY);
        first.map(|(_, id)| *id)
    }

    pub(super) fn sample(&mut self) -> Option<ConfigurationId> {
        self.history.space.sample(&mut self.random)
    }

    /// A neighbour at random; absent where there is none.
    pub(super) fn step(
        &mut self,
        from: ConfigurationId,
        neighbourhood: Neighbourhood,
    ) -> Option<ConfigurationId> {
        if neighbourhood == Neighbourhood::Hamming {
            // Listing all of them would cost as many look-ups as there are values.
            let space = &self.history.space;
            let mut digits = space.digits(from);
            let others = |p: usize| space.parameters()[p].values.len() - 1;
            let all: usize = (0..digits.len()).map(others).sum();
            for _ in 0..DRAWS.min(all) {
                let (mut p, mut left) = (0, self.random.random_range(0..all));
                while left >= others(p) {
                    left -= others(p);
                    p += 1;
                }
                let own = digits[p];
                digits[p] = left as u16 + u16::from(left as u16 >= own);
                if let Some(id) = space.find(&digits) {
                    return Some(id);
                }
                digits[p] = own;
            }
        }
        let all = self.history.space.neighbours(from, neighbourhood);
        all.choose(&mut self.random).copied()
    }

    /// The configuration of these value indices, or where restrictions forbid it one near it: one parameter away, else as far
    /// towards it as the restrictions let a valid configuration go.
    pub(super) fn repair(&mut self, digits: &[u16]) -> Option<ConfigurationId> {
        let space = &self.history.space;
        if let Some(id) = space.find(digits) {
            return Some(id);
        }
        let mut changed = digits.to_vec();
        let mut moves: Vec<(u16, u32, usize, u16)> = vec![];
        for (p, own) in digits.iter().enumerate() {
            let count = space.parameters()[p].values.len() as u16;
            let random = &mut self.random;
            let others = (0..count).filter(|v| v != own);
            moves.extend(others.map(|v| (v.abs_diff(*own), random.random(), p, v)));
        }
        moves.sort_unstable();
        for (_, _, p, value) in moves {
            changed[p] = value;
            if let Some(id) = space.find(&changed) {
                return Some(id);
            }
            changed[p] = digits[p];
        }
        let mut from = (0..STARTS)
            .filter_map(|_| space.sample(&mut self.random))
            .map(|id| space.digits(id))
            .min_by_key(|other| far(other, digits))?;
        for p in 0..digits.len() {
            let own = std::mem::replace(&mut from[p], digits[p]);
            if space.find(&from).is_none() {
                from[p] = own;
            }
        }
        space.find(&from)
    }
}

/// Parameters that differ.
fn far(a: &[u16], b: &[u16]) -> usize {
    a.iter().zip(b).filter(|(a, b)| a != b).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::{Parameter, Restriction};
    use crate::value::Value;

    fn ground(restriction: &str) -> Ground {
        let parameter = |name: &str| Parameter {
            name: name.into(),
            values: (1..=6).map(Value::Int).collect(),
        };
        let parameters = ["x", "y", "z"].map(parameter).to_vec();
        let restriction = Restriction::parse(restriction, &parameters).unwrap();
        Ground::new(
            Arc::new(Space::new(parameters, vec![restriction]).unwrap()),
            1,
        )
    }

    #[test]
    fn what_no_restriction_forbids_is_kept_and_the_rest_is_repaired_near_it() {
        let mut ground = ground("x * y == 12");
        let mut repaired = |digits: [u16; 3]| {
            let id = ground.repair(&digits).unwrap();
            ground.space().digits(id)
        };
        assert_eq!(repaired([2, 3, 5]), [2, 3, 5]);
        // 3 · 5: the next y is nearer than any x.
        assert_eq!(repaired([2, 4, 5]), [2, 3, 5]);
        // 1 · 1 needs both changed; z is free.
        assert_eq!(repaired([0, 0, 4])[2], 4);
    }

    #[test]
    fn a_failure_loses_every_comparison_and_is_on_no_scale() {
        let mut ground = ground("x > 0");
        let [a, b, c, d] = [0, 1, 2, 3].map(ConfigurationId);
        ground.tell(c, Outcome::Failed);
        assert_eq!(ground.best(), None);
        ground.tell(a, Outcome::Objective(2.0));
        ground.tell(b, Outcome::Objective(3.0));
        ground.tell(d, Outcome::Failed);
        assert_eq!(ground.worse_by(b, a), 0.5);
        assert_eq!(ground.worse_by(c, a), f64::INFINITY);
        assert_eq!(ground.worse_by(a, c), f64::NEG_INFINITY);
        assert_eq!(ground.worse_by(c, d), 0.0);
        assert!(ground.is_better(a, c) && !ground.is_better(c, d));
        assert_eq!(ground.best(), Some(a));
        ground.tell(a, Outcome::Objective(9.0));
        assert_eq!(ground.ranked().collect::<Vec<_>>()[..2], [b, a]);
    }
}
