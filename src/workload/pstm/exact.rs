//! The definition (WORKLOADS §2a) in double precision, as it is written: what every kernel is compared with.
use super::scene::Scene;
use super::settings::{AntiAlias, Aperture, Imaging, Interpolation, Mute};
use rayon::prelude::*;
use std::f64::consts::PI;

/// Half-length of the longest triangle of anti_alias=triangle, in samples.
pub(super) const LONGEST_TRIANGLE: usize = 10;

/// Taps of interp=sinc8 before and after the first sample of an interval.
pub(super) const SINC_TAPS: [i64; 2] = [-3, 4];

/// The largest frequency that anti_alias=weight protects, and the dominant one, Hz.
pub(super) const HIGHEST: f64 = 500.0;
pub(super) const DOMINANT: f64 = 30.0;

/// Travel times are stretched by at most this with mute=stretch.
pub(super) const STRETCH: f64 = 1.5;

/// One bin's image and fold, `[x][y][t]`.
#[derive(Clone, Debug)]
pub(super) struct Migrated {
    pub(super) image: Vec<f64>,
    pub(super) fold: Vec<u32>,
}

/// Travel time by the double square root, in samples of a trace: (√(t0²/4 + s²/v²) + √(t0²/4 + r²/v²) − t_start)/dt_in.
pub(super) fn travel(scene: &Scene, v: f64, t0: f64, to_source: f64, to_receiver: f64) -> f64 {
    let half = 0.25 * t0 * t0;
    let slowness = 1.0 / (v * v);
    let leg = |square: f64| (half + square * slowness).sqrt();
    (leg(to_source) + leg(to_receiver) - scene.t_start) / scene.dt_in
}

/// Radius of the aperture at a time.
pub(super) fn radius(scene: &Scene, aperture: Aperture, it: usize, v: f64) -> f64 {
    match aperture {
        Aperture::Fixed => scene.amax,
        Aperture::DepthAdaptive => scene
            .depth_segments()
            .into_iter()
            .find(|(times, _)| times.contains(&it))
            .map_or(scene.amax, |(_, radius)| radius),
        Aperture::Dip => {
            let t0 = it as f64 * scene.spacing[2];
            (0.5 * v * t0 * scene.dip_tangent).clamp(scene.amin, scene.amax)
        }
    }
}

/// A cosine over the outer share `taper` of the aperture; `None` outside of it. Squares, so that the edge is exact.
pub(super) fn taper(scene: &Scene, radius: f64, square: f64) -> Option<f64> {
    if square > radius * radius {
        return None;
    }
    let flat = radius * (1.0 - scene.taper);
    let distance = square.sqrt();
    match distance <= flat {
        true => Some(1.0),
        false => Some(0.5 * (1.0 + (PI * (distance - flat) / (radius * scene.taper)).cos())),
    }
}

/// Hann-windowed sinc through eight samples, normalised, at `share` of the way from sample 0 to 1.
pub(super) fn sinc_weights(share: f64) -> [f64; 8] {
    let raw: [f64; 8] = std::array::from_fn(|k| {
        let x = share - (k as i64 + SINC_TAPS[0]) as f64;
        let sinc = if x.abs() < 1e-12 {
            1.0
        } else {
            (PI * x).sin() / (PI * x)
        };
        sinc * (0.5 * (1.0 + (PI * x / 4.0).cos()))
    });
    let sum: f64 = raw.iter().sum();
    raw.map(|w| w / sum)
}

/// Through samples −1, 0, 1, 2 (Catmull and Rom 1974).
pub(super) fn cubic_weights(f: f64) -> [f64; 4] {
    [
        0.5 * f * (f * (2.0 - f) - 1.0),
        0.5 * (f * f * (3.0 * f - 5.0) + 2.0),
        0.5 * f * (f * (4.0 - 3.0 * f) + 1.0),
        0.5 * f * f * (f - 1.0),
    ]
}

struct Pair<'a> {
    scene: &'a Scene,
    imaging: &'a Imaging,
    trace: &'a [f32],
    /// Source and receiver from the node, m.
    from_source: [f64; 2],
    from_receiver: [f64; 2],
}

impl Pair<'_> {
    fn sample(&self, i: i64) -> f64 {
        usize::try_from(i)
            .ok()
            .and_then(|i| self.trace.get(i))
            .map_or(0.0, |d| f64::from(*d))
    }

    fn interpolated(&self, q: f64) -> f64 {
        let i = q.floor() as i64;
        let f = q - i as f64;
        match self.imaging.interpolation {
            Interpolation::Nearest => self.sample((q + 0.5).floor() as i64),
            Interpolation::Linear => (1.0 - f) * self.sample(i) + f * self.sample(i + 1),
            Interpolation::Cubic => (cubic_weights(f).iter().zip(i - 1..))
                .map(|(w, i)| w * self.sample(i))
                .sum(),
            Interpolation::Sinc8 => (sinc_weights(f).iter().zip(i + SINC_TAPS[0]..))
                .map(|(w, i)| w * self.sample(i))
                .sum(),
        }
    }

    /// Smoothed by a triangle as long as the operator is steep (Lumley, Claerbout and Bevc 1994, SEP-80).
    fn smoothed(&self, q: f64, v: f64, t0: f64, spacing: f64) -> f64 {
        let slowness = 1.0 / (v * v);
        let leg = |p: [f64; 2]| (0.25 * t0 * t0 + (p[0] * p[0] + p[1] * p[1]) * slowness).sqrt();
        let (ts, tr) = (leg(self.from_source), leg(self.from_receiver));
        let slope = |axis: usize| {
            let part = |p: f64, t: f64| if t > 0.0 { p / t } else { 0.0 };
            ((part(self.from_source[axis], ts) + part(self.from_receiver[axis], tr)) * slowness)
                .abs()
        };
        let steepest = slope(0).max(slope(1)) * spacing;
        let n = ((steepest / self.scene.dt_in).ceil() as i64).clamp(0, LONGEST_TRIANGLE as i64);
        let area = ((n + 1) * (n + 1)) as f64;
        (-n..=n)
            .map(|j| (n + 1 - j.abs()) as f64 / area * self.interpolated(q + j as f64))
            .sum()
    }

    /// Amplitude with every weight at one time; `None` where it does not count.
    fn contribution(&self, it: usize, v: f64) -> Option<f64> {
        let (scene, imaging) = (self.scene, self.imaging);
        let square = |p: [f64; 2]| p[0] * p[0] + p[1] * p[1];
        let middle = [0, 1].map(|a| 0.5 * (self.from_source[a] + self.from_receiver[a]));
        let w = taper(
            scene,
            radius(scene, imaging.aperture, it, v),
            square(middle),
        )?;
        let t0 = it as f64 * scene.spacing[2];
        let q = travel(
            scene,
            v,
            t0,
            square(self.from_source),
            square(self.from_receiver),
        );
        if q < 0.0 || q >= (scene.samples - 1) as f64 {
            return None;
        }
        let t = scene.t_start + q * scene.dt_in;
        let mut w = w;
        match imaging.mute {
            Mute::Off => {}
            Mute::Stretch if t > STRETCH * t0 => return None,
            Mute::Stretch => {}
            Mute::Outer => {
                let apart = [0, 1].map(|a| self.from_source[a] - self.from_receiver[a]);
                let earliest = square(apart).sqrt() / scene.v_mute;
                w *= ((t - earliest) / scene.mute_ramp).clamp(0.0, 1.0);
            }
        }
        if imaging.has_spreading {
            w /= v * t;
        }
        if imaging.has_obliquity {
            w *= t0 / t;
        }
        if imaging.anti_alias == AntiAlias::Weight {
            let sine = (middle[0].abs().max(middle[1].abs()) / (v * t)).min(1.0);
            let coarse = scene.spacing[0].max(scene.spacing[1]);
            if t >= 1e-3 && sine >= 0.01 {
                let highest = (v / (4.0 * coarse * sine)).min(HIGHEST);
                w *= (1.0 - DOMINANT / highest).max(0.0);
            }
        }
        let amplitude = match imaging.anti_alias {
            AntiAlias::Triangle => self.smoothed(q, v, t0, scene.spacing[0].max(scene.spacing[1])),
            _ => self.interpolated(q),
        };
        Some(w * amplitude)
    }
}

/// Migrates one bin. With `time_step` above 1 the result is that of every time, since the step is a shortcut and no definition.
pub(super) fn migrate(
    scene: &Scene,
    imaging: &Imaging,
    bin: usize,
    traces: &[Vec<f32>],
) -> Migrated {
    let [nx, ny, nt] = scene.shape;
    let gather = &scene.gathers[bin];
    let pillar = |p: usize| {
        let (ix, iy) = (p / ny, p % ny);
        let (x, y) = (ix as f64 * scene.spacing[0], iy as f64 * scene.spacing[1]);
        let mut row = vec![];
        scene.velocity.row(imaging.velocity, ix, iy, &mut row);
        let mut image = vec![0.0; nt];
        let mut fold = vec![0; nt];
        for (geometry, trace) in gather.geometry.iter().zip(traces) {
            let [sx, sy, rx, ry] = geometry.map(f64::from);
            let pair = Pair {
                scene,
                imaging,
                trace,
                from_source: [x - sx, y - sy],
                from_receiver: [x - rx, y - ry],
            };
            let middle = [0, 1].map(|a| 0.5 * (pair.from_source[a] + pair.from_receiver[a]));
            if middle[0] * middle[0] + middle[1] * middle[1] > scene.amax * scene.amax {
                continue;
            }
            for it in 0..nt {
                if let Some(amplitude) = pair.contribution(it, f64::from(row[it])) {
                    image[it] += amplitude;
                    fold[it] += 1;
                }
            }
        }
        (image, fold)
    };
    let pillars: Vec<_> = (0..nx * ny).into_par_iter().map(pillar).collect();
    let mut migrated = Migrated {
        image: Vec::with_capacity(scene.nodes()),
        fold: Vec::with_capacity(scene.nodes()),
    };
    for (image, fold) in pillars {
        migrated.image.extend(image);
        migrated.fold.extend(fold);
    }
    migrated
}
