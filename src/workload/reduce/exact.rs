//! The definition (WORKLOADS §4a) in double precision, term by term: what every kernel is judged by, so it shares nothing with them
//! but the formulas of distances and weights.
use super::scene::{Hourglass, Scene, distance};
use super::settings::{Interpolation, Wavefront, Window};
use crate::array::{Array, Values};
use rayon::prelude::*;
use std::f64::consts::TAU;

/// What of the definition may be chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Image {
    pub(super) wavefront: Wavefront,
    pub(super) window: Window,
    pub(super) interpolation: Interpolation,
    /// 0: every element receives.
    pub(super) f_number: f64,
    /// Whether a point's sum is divided by the sum of its transmits' weights.
    pub(super) is_compensated: bool,
}

/// The image that plans compare with.
pub(super) const PLAIN: Image = Image {
    wavefront: Wavefront::Focused,
    window: Window::Rectangular,
    interpolation: Interpolation::Linear,
    f_number: 0.0,
    is_compensated: false,
};

/// `[nx, nz, 2]` f64, or `[frames, nx, nz, 2]` if there is more than one frame.
pub(super) fn image(scene: &Scene, image: &Image) -> Array {
    let lines: Vec<Hourglass> = (0..scene.sources.len())
        .map(|t| scene.hourglass(t))
        .collect();
    let mut values = vec![];
    for frame in &scene.frames {
        let points: Vec<[f64; 2]> = scene
            .points
            .par_iter()
            .map(|p| point(scene, image, &lines, frame, *p))
            .collect();
        values.extend(points.into_iter().flatten());
    }
    Array {
        shape: output_shape(scene),
        values: Values::F64(values),
        is_complex: true,
    }
}

pub(super) fn output_shape(scene: &Scene) -> Vec<usize> {
    let [nx, nz] = scene.shape;
    match scene.frames.len() {
        1 => vec![nx, nz, 2],
        frames => vec![frames, nx, nz, 2],
    }
}

/// Whether an element receives from a point.
fn receives(image: &Image, p: [f64; 3], element: [f64; 3]) -> bool {
    image.f_number == 0.0 || (p[0] - element[0]).abs() <= p[2] / (2.0 * image.f_number)
}

fn point(
    scene: &Scene,
    image: &Image,
    lines: &[Hourglass],
    frame: &[[f32; 2]],
    p: [f64; 3],
) -> [f64; 2] {
    let (mut sum, mut weights) = ([0.0; 2], 0.0);
    for (t, lines) in lines.iter().enumerate() {
        let weight = scene.weight(lines, image.window, p);
        if weight == 0.0 {
            continue;
        }
        weights += weight;
        let there = scene.transmit_distance(t, lines, image.wavefront, p);
        for (r, element) in scene.elements.iter().enumerate() {
            if !receives(image, p, *element) {
                continue;
            }
            let tau = (there + distance(p, *element)) / scene.c - scene.delays[t];
            let q = (tau - scene.t_start) * scene.fs;
            let last = scene.samples - 1;
            if !(0.0..=last as f64).contains(&q) {
                continue;
            }
            let first = (t * scene.elements.len() + r) * scene.samples;
            let trace = &frame[first..first + scene.samples];
            let z = interpolated(trace, q, image.interpolation);
            let (sine, cosine) = (TAU * scene.f_mod * tau).sin_cos();
            sum[0] += weight * (z[0] * cosine - z[1] * sine);
            sum[1] += weight * (z[0] * sine + z[1] * cosine);
        }
    }
    match image.is_compensated && weights > 0.0 {
        true => sum.map(|v| v / weights),
        false => sum,
    }
}

fn interpolated(trace: &[[f32; 2]], q: f64, interpolation: Interpolation) -> [f64; 2] {
    let i = (q.floor() as usize).min(trace.len() - 2);
    let a = q - i as f64;
    // Beyond the record there is silence.
    let at = |n: i64| usize::try_from(n).ok().and_then(|n| trace.get(n));
    let taps: Vec<(i64, f64)> = match interpolation {
        Interpolation::Linear => vec![(0, 1.0 - a), (1, a)],
        Interpolation::Nearest => vec![(i64::from(a >= 0.5), 1.0)],
        // Lagrange's polynomial through four samples.
        Interpolation::Cubic => (-1..3)
            .map(|tap| {
                let others = (-1..3).filter(|other| *other != tap);
                let weight = others.map(|o| (a - o as f64) / (tap - o) as f64).product();
                (tap, weight)
            })
            .collect(),
    };
    let mut z = [0.0; 2];
    for (tap, weight) in taps {
        if let Some(sample) = at(i as i64 + tap) {
            z = [0, 1].map(|c| z[c] + weight * f64::from(sample[c]));
        }
    }
    z
}

/// Share of (point, transmit) pairs whose weight is not 0.
pub(super) fn active_fraction(scene: &Scene) -> f64 {
    let active = |t: usize| {
        let lines = scene.hourglass(t);
        let is_active = |p: &&[f64; 3]| scene.weight(&lines, Window::Rectangular, **p) != 0.0;
        scene.points.iter().filter(is_active).count()
    };
    let count: usize = (0..scene.sources.len()).into_par_iter().map(active).sum();
    count as f64 / (scene.points.len() * scene.sources.len()) as f64
}
