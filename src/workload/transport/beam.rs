//! The problem in physical units: a beam that enters a slab of water, and the grid of its phase space (WORKLOADS §3a).
use super::physics::Law;

/// Cells along x, depth, angle and energy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Grid {
    pub(super) nx: usize,
    pub(super) nz: usize,
    pub(super) angles: usize,
    pub(super) energies: usize,
}

impl Grid {
    pub(super) fn cells(&self) -> usize {
        self.nx * self.nz * self.angles * self.energies
    }

    /// Values of a dose: `[nz, nx]`.
    pub(super) fn places(&self) -> usize {
        self.nx * self.nz
    }
}

/// Domain, beam, medium and step. Angles from +x, 90° along the depth.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Beam {
    pub(super) grid: Grid,
    /// x from −half_width to half_width, depth from 0, mm.
    pub(super) half_width: f64,
    pub(super) depth: f64,
    /// Angles from 90° − half_angle to 90° + half_angle, rad.
    pub(super) half_angle: f64,
    /// Edges of the energy axis, MeV.
    pub(super) lowest: f64,
    pub(super) highest: f64,
    /// Below it a proton deposits what it has left, MeV.
    pub(super) cut: f64,
    /// Of the protons that enter, MeV, and the standard deviation of their x, mm.
    pub(super) energy: f64,
    pub(super) spread: f64,
    /// Path of a step, mm.
    pub(super) step: f64,
    pub(super) steps: usize,
    pub(super) law: Law,
    /// `[energies][angles][nz][nx]` instead of the generated beam.
    pub(super) external: Option<Vec<f32>>,
}

/// Weight in a cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) energy: usize,
    pub(super) angle: usize,
    pub(super) z: usize,
    pub(super) x: usize,
    pub(super) weight: f64,
}

impl Beam {
    pub(super) fn dx(&self) -> f64 {
        2.0 * self.half_width / self.grid.nx as f64
    }

    pub(super) fn dz(&self) -> f64 {
        self.depth / self.grid.nz as f64
    }

    pub(super) fn angle_width(&self) -> f64 {
        2.0 * self.half_angle / self.grid.angles as f64
    }

    pub(super) fn energy_width(&self) -> f64 {
        (self.highest - self.lowest) / self.grid.energies as f64
    }

    /// Centres of the cells.
    pub(super) fn x_of(&self, i: usize) -> f64 {
        -self.half_width + (i as f64 + 0.5) * self.dx()
    }

    pub(super) fn z_of(&self, i: usize) -> f64 {
        (i as f64 + 0.5) * self.dz()
    }

    pub(super) fn angle_of(&self, i: usize) -> f64 {
        std::f64::consts::FRAC_PI_2 - self.half_angle + (i as f64 + 0.5) * self.angle_width()
    }

    pub(super) fn energy_of(&self, i: usize) -> f64 {
        self.lowest + (i as f64 + 0.5) * self.energy_width()
    }

    /// The same beam on another grid.
    pub(super) fn on(&self, grid: Grid) -> Beam {
        Beam {
            grid,
            ..self.clone()
        }
    }

    /// Weight 1 in the first row, Gaussian along x, split between the two nearest energies and the two nearest angles so that their
    /// means are exact (WORKLOADS §3b). As f32, so that every kernel and the definition begin with the same numbers.
    pub(super) fn entries(&self) -> Vec<Entry> {
        if let Some(external) = &self.external {
            return self.external_entries(external);
        }
        let Grid {
            nx,
            angles,
            energies,
            ..
        } = self.grid;
        let profile: Vec<f64> = (0..nx)
            .map(|i| (-0.5 * (self.x_of(i) / self.spread).powi(2)).exp())
            .collect();
        let sum: f64 = profile.iter().sum();
        let between = |place: f64, count: usize| {
            let low = place.floor();
            let part = place - low;
            [(low, 1.0 - part), (low + 1.0, part)]
                .into_iter()
                .filter(move |(at, weight)| *weight > 1e-12 && *at >= 0.0 && *at < count as f64)
                .map(|(at, weight)| (at as usize, weight))
        };
        let energy = (self.energy - self.energy_of(0)) / self.energy_width();
        let angle = (std::f64::consts::FRAC_PI_2 - self.angle_of(0)) / self.angle_width();
        let mut all = vec![];
        for (energy, of_energy) in between(energy, energies) {
            for (angle, of_angle) in between(angle, angles) {
                for (x, value) in profile.iter().enumerate() {
                    let weight = f64::from((of_energy * of_angle * value / sum) as f32);
                    let z = 0;
                    all.push(Entry {
                        energy,
                        angle,
                        z,
                        x,
                        weight,
                    });
                }
            }
        }
        all
    }

    fn external_entries(&self, values: &[f32]) -> Vec<Entry> {
        let Grid { nx, nz, angles, .. } = self.grid;
        let weighty = values.iter().enumerate().filter(|(_, v)| **v != 0.0);
        weighty
            .map(|(at, value)| Entry {
                x: at % nx,
                z: at / nx % nz,
                angle: at / (nx * nz) % angles,
                energy: at / (nx * nz * angles),
                weight: f64::from(*value),
            })
            .collect()
    }
}
