//! The definition (WORKLOADS §3a) in double precision, cell by cell: what every kernel is judged by. It shares the physics with them,
//! and neither tables nor layout.
use super::beam::{Beam, Grid};
use super::physics::{Deflection, Stopping, deflection};
use rayon::prelude::*;

/// Everything that is known at the end, per unit of weight.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    /// `[nz][nx]`, MeV.
    pub(super) dose: Vec<f64>,
    /// Weight that left through the angles, that left the slab, that came to rest, and that still moves.
    pub(super) escaped: f64,
    pub(super) leaked: f64,
    pub(super) stopped: f64,
    pub(super) moving: f64,
    /// Energy that weight took along or still has, MeV.
    pub(super) carried: f64,
}

type Plane = Vec<f64>;

/// An energy's plane is empty as long as nothing reached it.
pub(super) fn answer(beam: &Beam) -> Answer {
    let Grid {
        energies, nx, nz, ..
    } = beam.grid;
    let size = beam.grid.angles * nx * nz;
    let stopping = Stopping::new(beam.law, beam.highest);
    let mut planes: Vec<Option<Plane>> = vec![None; energies];
    for entry in beam.entries() {
        let plane = planes[entry.energy].get_or_insert_with(|| vec![0.0; size]);
        plane[(entry.angle * nz + entry.z) * nx + entry.x] = entry.weight;
    }
    let mut answer = Answer {
        dose: vec![0.0; nx * nz],
        escaped: 0.0,
        leaked: 0.0,
        stopped: 0.0,
        moving: 0.0,
        carried: 0.0,
    };
    for _ in 0..beam.steps {
        let moved: Vec<Option<(Plane, f64, f64)>> = planes
            .par_iter()
            .enumerate()
            .map(|(e, plane)| {
                let (scattered, escaped) = scatter(beam, beam.energy_of(e), plane.as_ref()?);
                let (streamed, leaked) = stream(beam, &scattered);
                Some((streamed, escaped, leaked))
            })
            .collect();
        planes = vec![None; energies];
        for (e, moved) in moved.into_iter().enumerate() {
            let Some((plane, escaped, leaked)) = moved else {
                continue;
            };
            answer.escaped += escaped;
            answer.leaked += leaked;
            answer.carried += (escaped + leaked) * beam.energy_of(e);
            let left = stopping.after(beam.energy_of(e), beam.step);
            lose(beam, e, left, &plane, &mut planes, &mut answer);
        }
    }
    for (e, plane) in planes.iter().enumerate() {
        let weight: f64 = plane.iter().flatten().sum();
        answer.moving += weight;
        answer.carried += weight * beam.energy_of(e);
    }
    answer
}

/// A_theta: the weight that is kept inside, and that which is not.
fn scatter(beam: &Beam, energy: f64, plane: &[f64]) -> (Plane, f64) {
    let places = beam.grid.places();
    let angles = beam.grid.angles as i64;
    let kernel = kernel(deflection(Deflection::Highland, energy, beam.step) / beam.angle_width());
    let reach = (kernel.len() / 2) as i64;
    let mut out = vec![0.0; plane.len()];
    let mut escaped = 0.0;
    for (from, slab) in (0..angles).zip(plane.chunks_exact(places)) {
        if slab.iter().all(|v| *v == 0.0) {
            continue;
        }
        for (d, tap) in (-reach..=reach).zip(&kernel) {
            let to = from + d;
            if (0..angles).contains(&to) {
                let first = to as usize * places;
                for (sum, value) in out[first..first + places].iter_mut().zip(slab) {
                    *sum += tap * value;
                }
            } else {
                escaped += tap * slab.iter().sum::<f64>();
            }
        }
    }
    (out, escaped)
}

/// Three taps of the exact variance where a Gaussian is narrower than three quarters of a bin, else its samples up to five widths.
fn kernel(width: f64) -> Vec<f64> {
    if width < 0.75 {
        let variance = width * width;
        return vec![variance / 2.0, 1.0 - variance, variance / 2.0];
    }
    let reach = (5.0 * width).ceil() as i64;
    let value = |d: i64| (-0.5 * (d as f64 / width).powi(2)).exp();
    let sum: f64 = (-reach..=reach).map(value).sum();
    (-reach..=reach).map(|d| value(d) / sum).collect()
}

/// A_s: every cell hands its weight to the four around where it arrives.
fn stream(beam: &Beam, plane: &[f64]) -> (Plane, f64) {
    let Grid { nx, nz, .. } = beam.grid;
    let mut out = vec![0.0; plane.len()];
    let mut leaked = 0.0;
    for (cell, weight) in plane.iter().enumerate().filter(|(_, w)| **w != 0.0) {
        let (angle, z, x) = (cell / (nx * nz), cell / nx % nz, cell % nx);
        let (sine, cosine) = beam.angle_of(angle).sin_cos();
        let to_x = x as f64 + beam.step * cosine / beam.dx();
        let to_z = z as f64 + beam.step * sine / beam.dz();
        let (part_x, part_z) = (to_x - to_x.floor(), to_z - to_z.floor());
        for (dz, share_z) in [(0.0, 1.0 - part_z), (1.0, part_z)] {
            for (dx, share_x) in [(0.0, 1.0 - part_x), (1.0, part_x)] {
                let (x, z) = (to_x.floor() + dx, to_z.floor() + dz);
                let arriving = weight * share_z * share_x;
                if (0.0..nx as f64).contains(&x) && (0.0..nz as f64).contains(&z) {
                    out[(angle * nz + z as usize) * nx + x as usize] += arriving;
                } else {
                    leaked += arriving;
                }
            }
        }
    }
    (out, leaked)
}

/// A_E of one energy, of which `left` is left.
fn lose(
    beam: &Beam,
    e: usize,
    left: f64,
    plane: &[f64],
    planes: &mut [Option<Plane>],
    answer: &mut Answer,
) {
    let energy = beam.energy_of(e);
    let place = (left - beam.energy_of(0)) / beam.energy_width();
    let stops = left < beam.cut || place < 0.0;
    let lost = if stops { energy } else { energy - left };
    let places = beam.grid.places();
    for (cell, weight) in plane.iter().enumerate() {
        answer.dose[cell % places] += weight * lost;
    }
    if stops {
        answer.stopped += plane.iter().sum::<f64>();
        return;
    }
    let low = (place.floor() as usize).min(beam.grid.energies - 2);
    let upper = place - low as f64;
    for (to, share) in [(low, 1.0 - upper), (low + 1, upper)] {
        let out = planes[to].get_or_insert_with(|| vec![0.0; plane.len()]);
        for (sum, weight) in out.iter_mut().zip(plane) {
            *sum += share * weight;
        }
    }
}
