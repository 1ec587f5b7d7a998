//! A portfolio: several strategies see everything that is measured, and who found improvements of late is asked more often. The
//! credit is the area under the curve of improvements (Ansel et al., "OpenTuner: an extensible framework for program autotuning",
//! PACT 2014, §3.2.2).
use super::history::History;
use super::{Outcome, Strategy, StrategyEntry, annealing, bayesian, genetic, greedy_ils};
use crate::space::ConfigurationId;
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::collections::{BTreeMap, VecDeque};

pub(super) const ENTRY: StrategyEntry = StrategyEntry {
    name: "bandit",
    about: "a portfolio of strategies; who found improvements of late is asked more often",
    learns: true,
    refines: false,
    build: |space, seed, budget| {
        let arm = |(i, entry): (usize, &StrategyEntry)| {
            (entry.build)(space.clone(), seed.wrapping_add(i as u64), budget)
        };
        Box::new(Bandit {
            arms: ARMS.iter().enumerate().map(arm).collect(),
            history: History::new(space.clone()),
            random: StdRng::seed_from_u64(seed),
            asked_by: BTreeMap::new(),
            window: VecDeque::new(),
            best: f64::INFINITY,
        })
    },
};

const ARMS: [StrategyEntry; 4] = [
    bayesian::ENTRY,
    annealing::ENTRY,
    genetic::ENTRY,
    greedy_ils::ENTRY,
];

/// Evaluations whose credit counts, and the weight of trying the others (pyATF's values).
const WINDOW: usize = 500;
const EXPLORATION: f64 = 0.05;

struct Bandit {
    arms: Vec<Box<dyn Strategy>>,
    history: History,
    random: StdRng,
    /// Arm, of what is being measured.
    asked_by: BTreeMap<ConfigurationId, usize>,
    /// Arm, and whether it improved on the best.
    window: VecDeque<(usize, bool)>,
    best: f64,
}

impl Bandit {
    /// Arms, most promising first.
    fn order(&self) -> Vec<usize> {
        let score = |arm: usize| {
            let uses = self.window.iter().filter(|(a, _)| *a == arm);
            let (mut n, mut area) = (0.0, 0.0);
            for (_, has_improved) in uses {
                n += 1.0;
                area += f64::from(u8::from(*has_improved)) * n;
            }
            if n == 0.0 {
                return f64::INFINITY;
            }
            let all = self.window.len() as f64;
            2.0 * area / (n * (n + 1.0)) + EXPLORATION * (2.0 * all.log2() / n).sqrt()
        };
        let mut order: Vec<usize> = (0..self.arms.len()).collect();
        order.sort_by(|a, b| score(*b).total_cmp(&score(*a)));
        order
    }

    fn next(&mut self) -> Option<ConfigurationId> {
        for arm in self.order() {
            // What another arm has just asked and nobody was told yet may come again.
            if let Some(id) = self.arms[arm].ask(1).first().copied()
                && self.history.ask(id)
            {
                self.asked_by.insert(id, arm);
                return Some(id);
            }
        }
        self.history.ask_any(&mut self.random)
    }
}

impl Strategy for Bandit {
    fn ask(&mut self, n: usize) -> Vec<ConfigurationId> {
        (0..n).map_while(|_| self.next()).collect()
    }

    fn tell(&mut self, id: ConfigurationId, outcome: Outcome, seconds: f64) {
        let value = match outcome {
            Outcome::Objective(value) => value,
            Outcome::Failed => f64::INFINITY,
        };
        if let Some(arm) = self.asked_by.remove(&id) {
            self.window.push_back((arm, value < self.best));
            if self.window.len() > WINDOW {
                self.window.pop_front();
            }
        }
        self.best = self.best.min(value);
        for arm in &mut self.arms {
            arm.tell(id, outcome.clone(), seconds);
        }
        self.history.tell(id, outcome);
    }
}
