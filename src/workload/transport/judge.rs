//! What a medical physicist would look at: the dose on points that do not depend on the grid, how deep it reaches, and whether it is
//! right within a tolerance (WORKLOADS §3d).
use super::beam::Beam;
use super::physics::Stopping;
use crate::accuracy::gamma::{Criterion, pass_rate};
use crate::array::{Array, Values};
use crate::trial::PictureRecord;
use crate::workload::Picture;

/// Metrics of an output alone, in their order; smaller is better, but for the gamma pass rates.
const OF_DOSE: &[(&str, &str)] = &[
    (
        "rel_l2_roi",
        "norm of the dose difference over the norm of the dose, where that is at least a tenth of its maximum",
    ),
    (
        "linf_roi",
        "largest dose difference there, over the maximum",
    ),
    ("gamma_2_2", "share of these points that pass 2 %/2 mm"),
    ("gamma_3_3", "share of these points that pass 3 %/3 mm"),
    ("gamma_2_1", "share of these points that pass 2 %/1 mm"),
    (
        "peak_shift",
        "distance of the Bragg peaks along the depth, mm",
    ),
    (
        "falloff_change",
        "change of the distance from 80 % to 20 % behind the peak, mm",
    ),
    (
        "sigma_change",
        "change of the lateral standard deviation at half the range, mm",
    ),
];

/// And those that need the grid or the ledger.
const OF_RUN: &[(&str, &str)] = &[
    (
        "range_shift",
        "distance of the depths of 80 % behind the peaks, each from the middle of its first row, mm",
    ),
    (
        "range_error",
        "distance of the same depth from the mean path that the energy has, half a step included, mm",
    ),
    (
        "mass_error",
        "weight that is missing after all, over the weight of the beam",
    ),
    (
        "energy_error",
        "energy that is missing after all, over the energy of the beam",
    ),
];

pub(super) fn metrics() -> Vec<(String, String)> {
    let named = |(name, about): &(&str, &str)| ((*name).into(), (*about).into());
    OF_DOSE.iter().chain(OF_RUN).map(named).collect()
}

/// Distance of the points on which doses are compared, mm.
const SPACING: f64 = 0.25;
/// Where they are, as parts of half the width and of the depth: away from the rims, where coarse grids have no centres.
const ACROSS: f64 = 0.6;
const ALONG: (f64, f64) = (0.025, 0.9);

/// Points along x and along the depth.
fn points(beam: &Beam) -> [Vec<f64>; 2] {
    let line = |from: f64, to: f64, is_closed: bool| {
        let count = ((to - from) / SPACING + 1e-9).floor() as usize + usize::from(is_closed);
        (0..count.max(2))
            .map(|i| from + i as f64 * SPACING)
            .collect()
    };
    [
        line(-ACROSS * beam.half_width, ACROSS * beam.half_width, true),
        line(ALONG.0 * beam.depth, ALONG.1 * beam.depth, false),
    ]
}

pub(super) fn shape(beam: &Beam) -> Vec<usize> {
    let [x, z] = points(beam);
    vec![z.len(), x.len()]
}

/// A dose per cell (MeV) on a beam's grid, as a density (MeV/mm²) on the points of comparison, between the cells' centres.
pub(super) fn output(beam: &Beam, dose: &[f64]) -> Array {
    let nx = beam.grid.nx;
    let area = beam.dx() * beam.dz();
    let [x, z] = points(beam);
    let between = |place: f64, count: usize| {
        let place = (place - 0.5).clamp(0.0, (count - 1) as f64);
        let low = (place.floor() as usize).min(count - 2);
        (low, place - low as f64)
    };
    let mut values = Vec::with_capacity(x.len() * z.len());
    for z in &z {
        let (row, down) = between(z / beam.dz(), beam.grid.nz);
        for x in &x {
            let (column, right) = between((x + beam.half_width) / beam.dx(), nx);
            let at = |r: usize, c: usize| dose[(row + r) * nx + column + c] / area;
            let upper = at(0, 0) + right * (at(0, 1) - at(0, 0));
            let lower = at(1, 0) + right * (at(1, 1) - at(1, 0));
            values.push(upper + down * (lower - upper));
        }
    }
    Array {
        shape: shape(beam),
        values: Values::F64(values),
        is_complex: false,
    }
}

/// Sums over x, and the depths of their points.
fn depth_dose(beam: &Beam, values: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let [x, z] = points(beam);
    let doses = values.chunks_exact(x.len()).map(|row| row.iter().sum());
    (z, doses.collect())
}

/// Where a depth dose has its peak, and where it has fallen to 80 % and to 20 % behind it.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Falloff {
    peak: f64,
    to_80: f64,
    /// Absent where the dose ends before.
    to_20: Option<f64>,
}

/// `None` if the dose does not fall to 80 % behind its peak: the beam goes on.
fn falloff(depths: &[f64], doses: &[f64]) -> Option<Falloff> {
    let peak = (0..doses.len()).max_by(|&a, &b| doses[a].total_cmp(&doses[b]))?;
    let crossing = |share: f64| {
        let level = share * doses[peak];
        let i = (peak..doses.len() - 1).find(|&i| doses[i] >= level && doses[i + 1] < level)?;
        let part = (doses[i] - level) / (doses[i] - doses[i + 1]);
        Some(depths[i] + part * (depths[i + 1] - depths[i]))
    };
    Some(Falloff {
        peak: depths[peak],
        to_80: crossing(0.8)?,
        to_20: crossing(0.2),
    })
}

/// Of the row nearest to a depth.
fn lateral_deviation(beam: &Beam, values: &[f64], depth: f64) -> f64 {
    let [x, z] = points(beam);
    let nearest = |&a: &usize, &b: &usize| (z[a] - depth).abs().total_cmp(&(z[b] - depth).abs());
    let row = (0..z.len()).min_by(nearest).unwrap_or(0);
    let row = &values[row * x.len()..(row + 1) * x.len()];
    let sum: f64 = row.iter().sum();
    let moment = |power: i32, about: f64| {
        let of = |(x, v): (&f64, &f64)| v * (x - about).powi(power);
        x.iter().zip(row).map(of).sum::<f64>() / sum
    };
    moment(2, moment(1, 0.0)).sqrt()
}

/// What only the expected dose lacks cannot change; what only the output lacks has been lost.
fn change(found: Option<f64>, wanted: Option<f64>) -> f64 {
    match (found, wanted) {
        (Some(found), Some(wanted)) => (found - wanted).abs(),
        (None, Some(_)) => f64::INFINITY,
        (_, None) => 0.0,
    }
}

/// `OF_DOSE`.
pub(super) fn distances(beam: &Beam, output: &Array, expected: &Array) -> Vec<f64> {
    if output.shape != shape(beam) || expected.shape != output.shape {
        return vec![f64::NAN; OF_DOSE.len()];
    }
    let (found, wanted) = (output.to_f64(), expected.to_f64());
    if found.iter().any(|v| v.is_nan()) {
        return vec![f64::NAN; OF_DOSE.len()];
    }
    let largest = wanted.iter().copied().fold(0.0, f64::max);
    let inside = || {
        let pairs = found.iter().zip(&wanted);
        pairs.filter(|(_, w)| **w >= THRESHOLD * largest)
    };
    let square = inside().map(|(f, w)| (f - w).powi(2)).sum::<f64>();
    let norm = inside().map(|(_, w)| w * w).sum::<f64>();
    let worst = inside().map(|(f, w)| (f - w).abs()).fold(0.0, f64::max);
    let gamma = |dose: f64, distance: f64| {
        let shape = [output.shape[0], output.shape[1]];
        let criterion = Criterion { dose, distance };
        pass_rate(&found, &wanted, shape, SPACING, criterion, THRESHOLD)
    };
    let of = |values: &[f64]| {
        let (depths, doses) = depth_dose(beam, values);
        falloff(&depths, &doses)
    };
    let (found_falloff, wanted_falloff) = (of(&found), of(&wanted));
    let compare = |what: fn(&Falloff) -> Option<f64>| {
        change(
            found_falloff.as_ref().and_then(what),
            wanted_falloff.as_ref().and_then(what),
        )
    };
    let middle = 0.5 * Stopping::new(beam.law, beam.highest).range(beam.energy);
    let deviation = |values: &[f64]| Some(lateral_deviation(beam, values, middle));
    vec![
        (square / norm).sqrt(),
        worst / largest,
        gamma(0.02, 2.0),
        gamma(0.03, 3.0),
        gamma(0.02, 1.0),
        compare(|f| Some(f.peak)),
        compare(|f| Some(f.to_20? - f.to_80)),
        change(deviation(&found), deviation(&wanted)),
    ]
}

/// Where a dose counts: at least a tenth of the maximum.
const THRESHOLD: f64 = 0.1;

/// What a run knows beyond its output.
#[derive(Clone, Debug, Default)]
pub(super) struct Outcome {
    /// `[nz][nx]` of the run's own grid, MeV.
    pub(super) dose: Vec<f64>,
    pub(super) mass_error: f64,
    pub(super) energy_error: f64,
}

/// `OF_RUN`: of a run on `own`, the beam on the run's grid.
pub(super) fn of_run(beam: &Beam, own: &Beam, outcome: &Outcome, expected: &Array) -> Vec<f64> {
    // The beam starts in the middle of the first row.
    let range = |at: &Beam, values: &[f64]| {
        let (depths, doses) = depth_dose(at, values);
        falloff(&depths, &doses).map(|f| f.to_80)
    };
    let on_points = output(own, &outcome.dose).to_f64();
    let shift = change(
        range(own, &on_points).map(|depth| depth - 0.5 * own.dz()),
        range(beam, &expected.to_f64()).map(|depth| depth - 0.5 * beam.dz()),
    );
    let is_lost = on_points.iter().any(|v| v.is_nan());
    vec![
        if is_lost { f64::NAN } else { shift },
        range_error(own, outcome).map_or(0.0, f64::abs),
        outcome.mass_error.abs(),
        outcome.energy_error.abs(),
    ]
}

/// Depth of 80 % behind the peak on the own grid, less what the law says: `R + dz/2 + ds/2`, since the beam starts in the middle of
/// a row and deposits at a step's end. `None` while the beam goes on.
pub(super) fn range_error(own: &Beam, outcome: &Outcome) -> Option<f64> {
    let depths: Vec<f64> = (0..own.grid.nz).map(|z| own.z_of(z)).collect();
    let doses: Vec<f64> = outcome
        .dose
        .chunks_exact(own.grid.nx)
        .map(|row| row.iter().sum())
        .collect();
    let range = Stopping::new(own.law, own.highest).range(own.energy);
    let wanted = range + 0.5 * own.dz() + 0.5 * own.step;
    Some(falloff(&depths, &doses)?.to_80 - wanted)
}

/// The dose, scaled to the expected maximum of a picture of its own.
pub(super) fn pictures(beam: &Beam, output: &Array) -> Vec<Picture> {
    if output.shape != shape(beam) {
        return vec![];
    }
    let [x, z] = points(beam);
    let values: Vec<f32> = output.to_f64().iter().map(|v| *v as f32).collect();
    let largest = values.iter().copied().fold(0.0, f32::max);
    let ends = |line: &[f64]| (line[0], line[line.len() - 1]);
    vec![Picture {
        record: PictureRecord {
            file: "dose".into(),
            title: "dose".into(),
            unit: "MeV/mm²".into(),
            x_label: "x, mm".into(),
            y_label: "depth, mm".into(),
            x_range: ends(&x),
            y_range: ends(&z),
            scale: (0.0, f64::from(largest)),
            width: x.len(),
            height: z.len(),
        },
        values,
    }]
}
