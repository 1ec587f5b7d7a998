//! What the operators of one grid are made of: scattering kernels, shifts of the streaming, the energy map; and the layout of the
//! arrays that they work on.
use super::beam::{Beam, Entry, Grid};
use super::physics::{Deflection, Stopping, deflection};
use std::ops::Range;

/// Physics that a configuration chooses; the definition's is the default.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Physics {
    pub(super) deflection: Deflection,
    /// Scattering in halves before and after the other operators.
    pub(super) is_strang: bool,
    /// E − S ds instead of the exact step.
    pub(super) is_first_order: bool,
    /// Groups of energies that share a scattering kernel; 0: each has its own.
    pub(super) buckets: usize,
}

/// How all weight of one angle moves: by whole cells and a part of one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Shift {
    pub(super) ix: i32,
    pub(super) iz: i32,
    /// Of (z, x), (z, x+1), (z+1, x), (z+1, x+1).
    pub(super) weights: [f32; 4],
}

/// Where the weight of an energy goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Loss {
    /// Into bins `low` and `low + 1`.
    Down { low: usize, weights: [f32; 2] },
    /// All of it stops here.
    Stops,
}

/// Of one energy.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Scattering {
    /// Taps −reach..=reach, their sum is 1.
    pub(super) taps: Vec<f32>,
    pub(super) reach: usize,
    /// Share of the weight of each angle that leaves the domain.
    pub(super) escaping: Vec<f32>,
}

#[derive(Clone, Debug)]
pub(super) struct Tables {
    pub(super) grid: Grid,
    pub(super) scattering: Vec<Scattering>,
    pub(super) shifts: Vec<Shift>,
    pub(super) losses: Vec<Loss>,
    /// Deposited by a unit of weight of each energy, MeV.
    pub(super) deposits: Vec<f64>,
    /// Centres of the bins, MeV.
    pub(super) energies: Vec<f64>,
    pub(super) is_strang: bool,
    pub(super) entries: Vec<Entry>,
    /// Of all entries together.
    pub(super) weight: f64,
    pub(super) layout: Layout,
}

/// `[energy][angle][row][column]`: a row begins with a gap that catches what leaves sideways, a slab (of one angle) with empty rows.
/// So a shift is one distance for all of a slab, whatever it reads outside is 0, and what leaves is counted where it arrives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Layout {
    /// Values of a row, its gap included.
    pub(super) pitch: usize,
    pub(super) gap: usize,
    /// Empty rows before the first, as many as a shift can cross.
    pub(super) lead: usize,
    pub(super) slab: usize,
    pub(super) plane: usize,
    /// Of the whole array, with room for a vector behind the last row.
    pub(super) length: usize,
}

/// Values behind the end that a vector may read.
pub(super) const SLACK: usize = 64;

impl Layout {
    fn new(grid: &Grid, shifts: &[Shift]) -> Layout {
        let sideways = |s: &Shift| (s.ix + 1).max(-s.ix).max(0);
        let gap = shifts.iter().map(sideways).max().unwrap_or(0).max(1) as usize;
        let lead = shifts.iter().map(|s| s.iz + 1).max().unwrap_or(0).max(1) as usize;
        let pitch = grid.nx + gap;
        // What a shift reads behind the last overflowing row is empty too.
        let slab = (lead + grid.nz) * pitch + gap;
        let plane = grid.angles * slab;
        Layout {
            pitch,
            gap,
            lead,
            slab,
            plane,
            // Behind the last slab there is an empty lead too.
            length: 2 * gap + grid.energies * plane + lead * pitch + SLACK,
        }
    }

    /// Where a row begins, with its gap.
    pub(super) fn row(&self, energy: usize, angle: usize, z: usize) -> usize {
        self.gap + energy * self.plane + angle * self.slab + (self.lead + z) * self.pitch
    }

    pub(super) fn cell(&self, energy: usize, angle: usize, z: usize, x: usize) -> usize {
        self.row(energy, angle, z) + self.gap + x
    }
}

impl Tables {
    pub(super) fn new(beam: &Beam, physics: &Physics) -> Tables {
        let Grid {
            angles, energies, ..
        } = beam.grid;
        let path = if physics.is_strang {
            0.5 * beam.step
        } else {
            beam.step
        };
        let mut variances: Vec<f64> = (0..energies)
            .map(|e| deflection(physics.deflection, beam.energy_of(e), path).powi(2))
            .collect();
        if physics.buckets > 0 {
            share(&mut variances, physics.buckets);
        }
        let scattering = variances
            .iter()
            .map(|v| Scattering::new(v.sqrt() / beam.angle_width(), angles))
            .collect();
        let shifts: Vec<Shift> = (0..angles).map(|t| Shift::new(beam, t)).collect();
        let (losses, deposits) = losses(beam, physics);
        let entries = beam.entries();
        Tables {
            grid: beam.grid,
            scattering,
            layout: Layout::new(&beam.grid, &shifts),
            shifts,
            losses,
            deposits,
            energies: (0..energies).map(|e| beam.energy_of(e)).collect(),
            is_strang: physics.is_strang,
            weight: entries.iter().map(|e| e.weight).sum(),
            entries,
        }
    }
}

impl Tables {
    /// Energies in which the weight of some energies ends; empty if all of it stops.
    pub(super) fn ends(&self, energies: &Range<usize>) -> Range<usize> {
        let lows = self.losses[energies.clone()]
            .iter()
            .filter_map(|loss| match loss {
                Loss::Down { low, .. } => Some(*low),
                Loss::Stops => None,
            });
        lows.clone().min().unwrap_or(0)..lows.max().map_or(0, |low| low + 2)
    }
}

/// Energies sorted by their variance in `buckets` groups of equal size, each with its mean.
fn share(variances: &mut [f64], buckets: usize) {
    let mut order: Vec<usize> = (0..variances.len()).collect();
    order.sort_by(|&a, &b| variances[a].total_cmp(&variances[b]));
    for bucket in 0..buckets {
        let members = &order[bucket * order.len() / buckets..(bucket + 1) * order.len() / buckets];
        let mean = members.iter().map(|&e| variances[e]).sum::<f64>() / members.len().max(1) as f64;
        for &e in members {
            variances[e] = mean;
        }
    }
}

/// Below it three taps have the exact variance, which a sampled Gaussian has not.
const NARROW: f64 = 0.75;
/// Where the Gaussian is cut off, in standard deviations.
const CUT_OFF: f64 = 5.0;

impl Scattering {
    /// `width` is the standard deviation in bins.
    fn new(width: f64, angles: usize) -> Scattering {
        let taps = if width < NARROW {
            let side = 0.5 * width * width;
            vec![side, 1.0 - 2.0 * side, side]
        } else {
            let reach = (CUT_OFF * width).ceil();
            let taps: Vec<f64> = (0..=2 * reach as usize)
                .map(|i| (-0.5 * ((i as f64 - reach) / width).powi(2)).exp())
                .collect();
            let sum: f64 = taps.iter().sum();
            taps.iter().map(|t| t / sum).collect()
        };
        let reach = taps.len() / 2;
        // A sum that is off by a rounding would show after a hundred steps.
        let mut rounded: Vec<f32> = taps.iter().map(|t| *t as f32).collect();
        let missing = 1.0 - rounded.iter().map(|t| f64::from(*t)).sum::<f64>();
        for side in [reach - 1, reach + 1] {
            rounded[side] = (f64::from(rounded[side]) + 0.5 * missing) as f32;
        }
        let taps = rounded;
        let escaping = (0..angles)
            .map(|from| {
                let is_out = |tap: &usize| {
                    let to = (from + tap) as i64 - reach as i64;
                    to < 0 || to >= angles as i64
                };
                let lost = (0..taps.len()).filter(is_out).map(|t| f64::from(taps[t]));
                lost.sum::<f64>() as f32
            })
            .collect();
        Scattering {
            taps,
            reach,
            escaping,
        }
    }
}

impl Shift {
    fn new(beam: &Beam, angle: usize) -> Shift {
        let (sine, cosine) = beam.angle_of(angle).sin_cos();
        let (x, z) = (beam.step * cosine / beam.dx(), beam.step * sine / beam.dz());
        let (fx, fz) = (x - x.floor(), z - z.floor());
        let weights = [
            (1.0 - fz) * (1.0 - fx),
            (1.0 - fz) * fx,
            fz * (1.0 - fx),
            fz * fx,
        ];
        Shift {
            ix: x.floor() as i32,
            iz: z.floor() as i32,
            weights: whole(weights),
        }
    }
}

/// Weights whose sum is 1 after rounding too: the smallest, which has the finest steps, makes up for the others.
fn whole(weights: [f64; 4]) -> [f32; 4] {
    let mut rounded = weights.map(|w| w as f32);
    let missing = 1.0 - rounded.iter().map(|w| f64::from(*w)).sum::<f64>();
    if let Some(least) = rounded
        .iter_mut()
        .filter(|w| **w > 1e-6)
        .min_by(|a, b| a.total_cmp(b))
    {
        *least = (f64::from(*least) + missing) as f32;
    }
    rounded
}

/// The energy map, and what a unit of weight deposits.
fn losses(beam: &Beam, physics: &Physics) -> (Vec<Loss>, Vec<f64>) {
    let stopping = Stopping::new(beam.law, beam.highest);
    let of_bin = |e: usize| {
        let energy = beam.energy_of(e);
        let left = if physics.is_first_order {
            energy - stopping.power(energy) * beam.step
        } else {
            stopping.after(energy, beam.step)
        };
        let place = (left - beam.energy_of(0)) / beam.energy_width();
        if left < beam.cut || place < 0.0 {
            return (Loss::Stops, energy);
        }
        let low = (place.floor() as usize).min(beam.grid.energies - 2);
        let lower = 1.0 - (place - low as f64) as f32;
        // In this order the sum is exactly 1.
        let weights = [lower, 1.0 - lower];
        (Loss::Down { low, weights }, energy - left)
    };
    (0..beam.grid.energies).map(of_bin).unzip()
}
