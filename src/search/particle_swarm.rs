//! Particle swarm optimization (Kennedy & Eberhart, 1995; inertia: Shi & Eberhart, 1998) over value indices: positions are real
//! numbers, and what is measured is the nearest valid configuration.
use super::StrategyEntry;
use super::walk::{Ground, Walk, Walker};
use crate::space::ConfigurationId;
use rand::RngExt;
use std::collections::BTreeMap;

pub(super) const ENTRY: StrategyEntry = StrategyEntry {
    name: "particle_swarm",
    about: "particles drawn to their own best and to the best of all",
    learns: true,
    refines: false,
    build: |space, seed, budget| {
        let size = budget.map_or(LARGEST, |n| (n / SHARE).clamp(SMALLEST, LARGEST));
        let walk = Swarm {
            particles: vec![Particle::default(); size],
            sent: BTreeMap::new(),
            next: 0,
        };
        Box::new(Walker::new(space, seed, walk))
    },
};

/// Particles: a share of the budget, within bounds.
const SHARE: usize = 5;
const SMALLEST: usize = 6;
const LARGEST: usize = 50;

/// Share of the velocity that is kept; pull to the particle's own best and to the swarm's.
const INERTIA: f64 = 0.5;
const OWN: f64 = 3.5;
const SWARM: f64 = 1.0;

#[derive(Clone, Debug, Default)]
struct Particle {
    position: Vec<f64>,
    velocity: Vec<f64>,
    best: Option<ConfigurationId>,
}

struct Swarm {
    particles: Vec<Particle>,
    /// Which particle is at a proposal.
    sent: BTreeMap<ConfigurationId, usize>,
    next: usize,
}

impl Particle {
    fn fly(&mut self, own: &[u16], swarm: &[u16], ground: &mut Ground) {
        for p in 0..self.position.len() {
            let last = (ground.space().parameters()[p].values.len() - 1) as f64;
            let mut pull = |to: u16, weight: f64| {
                weight * ground.random.random::<f64>() * (f64::from(to) - self.position[p])
            };
            self.velocity[p] =
                INERTIA * self.velocity[p] + pull(own[p], OWN) + pull(swarm[p], SWARM);
            self.position[p] = (self.position[p] + self.velocity[p]).clamp(0.0, last);
        }
    }
}

impl Walk for Swarm {
    fn propose(&mut self, ground: &mut Ground) -> Option<ConfigurationId> {
        let index = self.next;
        self.next = (index + 1) % self.particles.len();
        let particle = &mut self.particles[index];
        let id = match particle.best.zip(ground.best()) {
            Some((own, swarm)) if !particle.position.is_empty() => {
                let (own, swarm) = (ground.space().digits(own), ground.space().digits(swarm));
                particle.fly(&own, &swarm, ground);
                let digits: Vec<u16> = (particle.position.iter())
                    .map(|x| x.round() as u16)
                    .collect();
                ground.repair(&digits)?
            }
            _ => {
                let id = ground.sample()?;
                let digits = ground.space().digits(id);
                particle.position = digits.into_iter().map(f64::from).collect();
                let velocity = particle.position.iter();
                particle.velocity = velocity
                    .map(|_| ground.random.random_range(-1.0..1.0))
                    .collect();
                id
            }
        };
        self.sent.insert(id, index);
        Some(id)
    }

    fn learn(&mut self, ground: &mut Ground, id: ConfigurationId) {
        let Some(index) = self.sent.remove(&id) else {
            return;
        };
        let best = &mut self.particles[index].best;
        if best.is_none_or(|best| ground.is_better(id, best)) {
            *best = Some(id);
        }
    }
}
