//! The tree-structured Parzen estimator (Bergstra et al., "Algorithms for Hyper-Parameter Optimization", NIPS 2011): one density of
//! values for the good configurations and one for the others, and next what the first has and the second has not.
use super::StrategyEntry;
use super::walk::{Ground, Walk, Walker, first};
use crate::space::ConfigurationId;
use crate::value::Value;
use rand::RngExt;

pub(super) const ENTRY: StrategyEntry = StrategyEntry {
    name: "tpe",
    about: "measures next what is frequent among the good and rare among the others (Parzen estimator)",
    learns: true,
    refines: false,
    build: |space, seed, budget| {
        let is_ordered = (space.parameters().iter())
            .map(|p| !p.values.iter().any(|v| matches!(v, Value::Text(_))))
            .collect();
        Box::new(Walker::new(
            space,
            seed,
            Tpe {
                is_ordered,
                first: first(budget),
            },
        ))
    },
};

/// The best of so many are good, but never more than so many.
const GOOD: f64 = 0.15;
const MOST: usize = 25;

/// Configurations drawn from the good density, of which the best ratio wins.
const DRAWN: usize = 24;

/// Weight of the uniform density beside one configuration's.
const PRIOR: f64 = 5.0;

/// Share of a configuration's weight that goes to the values beside its own, where values have an order.
const BESIDE: f64 = 0.3;

struct Tpe {
    /// By parameter: whether values next to each other are alike.
    is_ordered: Vec<bool>,
    /// Configurations at random before the densities are asked.
    first: usize,
}

/// By parameter and value.
type Density = Vec<Vec<f64>>;

impl Tpe {
    fn density(&self, rows: &[Vec<u16>], ground: &Ground) -> Density {
        let parameters = ground.space().parameters().iter().enumerate();
        parameters
            .map(|(p, parameter)| {
                let count = parameter.values.len();
                let mut density = vec![PRIOR / count as f64; count];
                for row in rows {
                    let own = usize::from(row[p]);
                    let beside = [own.checked_sub(1), Some(own + 1).filter(|v| *v < count)];
                    let mut rest = 1.0;
                    if self.is_ordered[p] {
                        for value in beside.into_iter().flatten() {
                            density[value] += BESIDE / 2.0;
                            rest -= BESIDE / 2.0;
                        }
                    }
                    density[own] += rest;
                }
                let sum = rows.len() as f64 + PRIOR;
                density.iter_mut().for_each(|d| *d /= sum);
                density
            })
            .collect()
    }
}

fn draw(density: &Density, ground: &mut Ground) -> Vec<u16> {
    let one = |values: &Vec<f64>| {
        let mut left = ground.random.random::<f64>();
        let at = values.iter().position(|d| {
            left -= d;
            left <= 0.0
        });
        at.unwrap_or(values.len() - 1) as u16
    };
    density.iter().map(one).collect()
}

impl Walk for Tpe {
    fn propose(&mut self, ground: &mut Ground) -> Option<ConfigurationId> {
        let told = ground.ranked().len();
        if told < self.first {
            return ground.sample();
        }
        let good = ((GOOD * told as f64).ceil() as usize).clamp(2, MOST);
        let rows: Vec<Vec<u16>> = (ground.ranked())
            .map(|id| ground.space().digits(id))
            .collect();
        let (good, bad) = rows.split_at(good);
        let (good, bad) = (self.density(good, ground), self.density(bad, ground));
        let ratio = |digits: &[u16]| {
            let parts = digits.iter().enumerate().map(|(p, d)| {
                let v = usize::from(*d);
                (good[p][v] / bad[p][v]).ln()
            });
            parts.sum::<f64>()
        };
        let mut best: Option<(f64, ConfigurationId)> = None;
        for _ in 0..DRAWN {
            let digits = draw(&good, ground);
            let Some(id) = ground.repair(&digits) else {
                continue;
            };
            if !ground.is_new(id) {
                continue;
            }
            let ratio = ratio(&ground.space().digits(id));
            if best.is_none_or(|(most, _)| ratio > most) {
                best = Some((ratio, id));
            }
        }
        best.map(|(_, id)| id)
    }

    fn learn(&mut self, _ground: &mut Ground, _id: ConfigurationId) {}
}
