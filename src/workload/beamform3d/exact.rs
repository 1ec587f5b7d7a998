//! The definition (WORKLOADS §1a) in double precision, term by term: what every kernel is judged by, so it shares nothing with them.
use super::scene::{Scene, distance};
use crate::array::{Array, Values};
use rayon::prelude::*;
use std::f64::consts::TAU;

/// `[nx, ny, nz, 2]` f64, or `[volumes, nx, ny, nz, 2]` if there is more than one volume.
pub(super) fn volume(scene: &Scene) -> Array {
    let [nx, ny, nz] = scene.shape();
    let mut values = Vec::with_capacity(scene.frames.len() * scene.points() * 2);
    for frame in &scene.frames {
        let column = |c: usize| {
            (0..nz)
                .flat_map(move |k| point(scene, frame, [c / ny, c % ny, k]))
                .collect::<Vec<f64>>()
        };
        let columns: Vec<Vec<f64>> = (0..nx * ny).into_par_iter().map(column).collect();
        values.extend(columns.into_iter().flatten());
    }
    Array {
        shape: output_shape(scene),
        values: Values::F64(values),
        is_complex: true,
    }
}

pub(super) fn output_shape(scene: &Scene) -> Vec<usize> {
    let [nx, ny, nz] = scene.shape();
    match scene.frames.len() {
        1 => vec![nx, ny, nz, 2],
        volumes => vec![volumes, nx, ny, nz, 2],
    }
}

fn point(scene: &Scene, frame: &[[f32; 2]], [i, j, k]: [usize; 3]) -> [f64; 2] {
    let p = [scene.axes[0][i], scene.axes[1][j], scene.axes[2][k]];
    let distances: Vec<f64> = scene.elements.iter().map(|e| distance(p, *e)).collect();
    let first = scene.first_arrival(&distances);
    let count = scene.elements.len();
    let mut sum = [0.0; 2];
    for (e, r) in distances.iter().enumerate() {
        let tau = (first + r) / scene.c - scene.t0;
        let s = tau * scene.fs;
        let Some(n) = sample_before(s, scene.samples) else {
            continue;
        };
        let a = s - n as f64;
        let (before, after) = (frame[n * count + e], frame[(n + 1) * count + e]);
        let v = [0, 1].map(|c| (1.0 - a) * f64::from(before[c]) + a * f64::from(after[c]));
        let (sine, cosine) = (TAU * scene.fc * tau).sin_cos();
        sum[0] += v[0] * cosine - v[1] * sine;
        sum[1] += v[0] * sine + v[1] * cosine;
    }
    sum
}

/// floor(s) if the term is valid.
fn sample_before(s: f64, samples: usize) -> Option<usize> {
    (s >= 0.0 && s.floor() <= (samples - 2) as f64).then(|| s.floor() as usize)
}

/// Share of (point, element) pairs whose delay lies within the recorded samples.
pub(super) fn fraction_in_range(scene: &Scene) -> f64 {
    let [nx, ny, nz] = scene.shape();
    let column = |c: usize| {
        let valid = |k: usize| {
            let echo = scene.echo([
                scene.axes[0][c / ny],
                scene.axes[1][c % ny],
                scene.axes[2][k],
            ]);
            echo.iter()
                .filter(|tau| sample_before(*tau * scene.fs, scene.samples).is_some())
                .count()
        };
        (0..nz).map(valid).sum::<usize>()
    };
    let count: usize = (0..nx * ny).into_par_iter().map(column).sum();
    count as f64 / (scene.points() * scene.elements.len()) as f64
}
