//! What became of a beam's weight, and the dose and the missing parts that follow from it.
use super::judge::Outcome;
use super::tables::{Loss, Tables};

/// Weights by energy, per unit of the beam's.
#[derive(Clone, Debug)]
pub(super) struct Account {
    /// Still moving.
    pub(super) remaining: Vec<f64>,
    /// That left through the angles or the rims.
    pub(super) gone: Vec<f64>,
    /// That the active window left out, after their loss of energy.
    pub(super) cut: Vec<f64>,
    /// `[energies][nz][nx]`: in a cell when they lost energy.
    pub(super) arrived: Vec<f64>,
}

impl Account {
    pub(super) fn outcome(&self, tables: &Tables) -> Outcome {
        let places = tables.grid.places();
        let mut dose = vec![0.0; places];
        let (mut mass, mut energy) = (0.0, 0.0);
        for (e, centre) in tables.energies.iter().enumerate() {
            let arrived = &self.arrived[e * places..(e + 1) * places];
            for (sum, weight) in dose.iter_mut().zip(arrived) {
                *sum += tables.deposits[e] * weight;
            }
            let out = self.remaining[e] + self.gone[e];
            mass += out + self.cut[e];
            energy += out * centre + self.cut[e] * (centre - tables.deposits[e]);
            if tables.losses[e] == Loss::Stops {
                mass += arrived.iter().sum::<f64>();
            }
        }
        energy += dose.iter().sum::<f64>();
        let began = |of: &dyn Fn(usize) -> f64| {
            let weights = tables.entries.iter();
            weights.map(|e| e.weight * of(e.energy)).sum::<f64>()
        };
        let (mass_before, energy_before) = (began(&|_| 1.0), began(&|e| tables.energies[e]));
        Outcome {
            dose,
            mass_error: mass / mass_before - 1.0,
            energy_error: energy / energy_before - 1.0,
        }
    }
}
