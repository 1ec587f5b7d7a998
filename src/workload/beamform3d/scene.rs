//! The problem in physical units: array, grid, signals. Made by a generator whose right answer is known (WORKLOADS §1b), or read
//! from files; apart from `frame`, which holds the same in the units and the precision that the kernels want.
use super::npy;
use crate::value::Value;
use crate::workload::Problem;
use crate::workload::random::gaussian_pair;
use crate::workload::written::Written;
use std::f64::consts::{LN_2, PI};

/// Keys that `problem:` may have beside preset and seed, with what they are.
pub(super) const KEYS: &[&str] = &[
    "volumes",
    "noise",
    "ne",
    "pitch",
    "ns",
    "nx",
    "ny",
    "nz",
    "c",
    "fc",
    "fs",
    "t0",
    "bandwidth", // numbers
    "iq",
    "elements",
    "delays",
    "x",
    "y",
    "z", // .npy files
];

pub(super) const PRESETS: &[&str] = &["tiny", "laptop", "paper"];

/// Where a problem names none.
const DEFAULT_PRESET: &str = "laptop";

const SAMPLES: usize = 560;

/// Elements a side, their pitch in metres, and the grid. Elements and pitch give the same aperture of 9.6 mm in every preset.
fn size(preset: &str) -> Option<(usize, f64, [usize; 3])> {
    match preset {
        "tiny" => Some((8, 1.2e-3, [16, 16, 32])),
        "laptop" => Some((16, 0.6e-3, [32, 32, 64])),
        "paper" => Some((32, 0.3e-3, [64, 64, 128])),
        _ => None,
    }
}

/// Every preset in keys of the problem, the one first that is meant where a problem names none.
pub(super) fn sizes() -> Vec<(String, Vec<(String, Value)>)> {
    let mut names = PRESETS.to_vec();
    names.sort_by_key(|name| *name != DEFAULT_PRESET);
    let keys = |name: &str| {
        let (side, pitch, [nx, ny, nz]) = size(name)?;
        let counts = [
            ("ne", side),
            ("ns", SAMPLES),
            ("nx", nx),
            ("ny", ny),
            ("nz", nz),
        ];
        let counts = counts.map(|(key, n)| (key.to_owned(), Value::Int(n as i64)));
        let mut all = counts.to_vec();
        all.push(("pitch".into(), Value::Float(pitch)));
        all.push(("volumes".into(), Value::Int(1)));
        Some((name.to_owned(), all))
    };
    names.into_iter().filter_map(keys).collect()
}

/// A point scatterer on a node of the grid.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scatterer {
    pub(super) node: [usize; 3],
    pub(super) amplitude: f64,
}

/// Array, grid and signals. Metres and seconds.
#[derive(Clone, Debug)]
pub(super) struct Scene {
    /// Speed of sound, m/s.
    pub(super) c: f64,
    /// Carrier and sampling frequency, Hz.
    pub(super) fc: f64,
    pub(super) fs: f64,
    /// Time of the first sample, s.
    pub(super) t0: f64,
    pub(super) samples: usize,
    pub(super) elements: Vec<[f64; 3]>,
    /// Transmit delay of each element, s.
    pub(super) delays: Vec<f64>,
    /// x, y, z of the grid's planes.
    pub(super) axes: [Vec<f64>; 3],
    /// One a volume: `[sample][element]` of (re, im).
    pub(super) frames: Vec<Vec<[f32; 2]>>,
    /// What the generator put in; empty for signals from a file.
    pub(super) scatterers: Vec<Scatterer>,
}

impl Scene {
    /// # Errors
    /// What is wrong with the problem, by key.
    pub(super) fn new(problem: &Problem) -> Result<Scene, String> {
        let written = Written {
            workload: "beamform3d",
            problem,
        };
        written.check_names(KEYS)?;
        let preset = written.text("preset")?.unwrap_or(DEFAULT_PRESET);
        let (side, pitch, grid) = size(preset).ok_or_else(|| {
            format!(
                "beamform3d has no preset `{preset}`; it has {}",
                PRESETS.join(", ")
            )
        })?;
        let fc = written.positive("fc", 3e6)?;
        let side = written.count("ne", side, 256)?;
        let pitch = written.positive("pitch", pitch)?;
        let axis = |key: &str, count: usize, low: f64, high: f64| -> Result<Vec<f64>, String> {
            let size = written.count(&format!("n{key}"), count, 4096)?;
            match written.text(key)? {
                Some(file) => npy::read(file).map(|a| a.values),
                None => Ok(linspace(low, high, size)),
            }
        };
        let mut scene = Scene {
            c: written.positive("c", 1540.0)?,
            fc,
            fs: written.positive("fs", 4.0 * fc)?,
            t0: written.number("t0", 0.0)?,
            samples: written.count("ns", SAMPLES, 1 << 20)?,
            elements: elements(&written)?.unwrap_or_else(|| square_array(side, pitch)),
            delays: vec![],
            axes: [
                axis("x", grid[0], -10e-3, 10e-3)?,
                axis("y", grid[1], -10e-3, 10e-3)?,
                axis("z", grid[2], 20e-3, 40e-3)?,
            ],
            frames: vec![],
            scatterers: vec![],
        };
        scene.delays = match written.text("delays")? {
            Some(file) => npy::read(file)?.values,
            None => vec![0.0; scene.elements.len()],
        };
        let volumes = written.count("volumes", 1, 1000)?;
        match written.text("iq")? {
            Some(file) => scene.read_frames(file)?,
            None => scene.simulate(
                volumes,
                written.positive("bandwidth", 0.70)?,
                written.number("noise", 0.0)?,
                written.seed()?,
            ),
        }
        scene.check()?;
        Ok(scene)
    }

    fn check(&self) -> Result<(), String> {
        let count = self.elements.len();
        if self.delays.len() != count {
            return Err(format!(
                "`delays` has {} values for {count} elements",
                self.delays.len()
            ));
        }
        if count == 0 || self.axes.iter().any(Vec::is_empty) {
            return Err("the array and every axis of the grid need at least one point".into());
        }
        if self.samples < 2 {
            return Err("interpolation needs at least two samples".into());
        }
        let numbers = self
            .elements
            .iter()
            .flatten()
            .chain(&self.delays)
            .chain(self.axes.iter().flatten());
        if let Some(wrong) = numbers.copied().find(|v| !v.is_finite()) {
            return Err(format!("{wrong} among the coordinates or delays"));
        }
        // Kernels count samples in f32 and offsets in i32; a delay of 2^20 samples is far beyond any array.
        let reach = self
            .axes
            .iter()
            .flatten()
            .chain(self.elements.iter().flatten())
            .fold(0.0_f64, |m, v| m.max(v.abs()));
        let latest = (4.0 * reach / self.c
            + self.t0.abs()
            + self.delays.iter().fold(0.0_f64, |m, d| m.max(d.abs())))
            * self.fs;
        if latest > f64::from(1 << 20) {
            return Err(format!(
                "delays reach {latest:.0} samples; are the coordinates in metres and the delays in seconds?"
            ));
        }
        Ok(())
    }

    pub(super) fn shape(&self) -> [usize; 3] {
        [self.axes[0].len(), self.axes[1].len(), self.axes[2].len()]
    }

    pub(super) fn points(&self) -> usize {
        self.shape().iter().product()
    }

    /// Delay of the echo from a point at every element, s.
    pub(super) fn echo(&self, point: [f64; 3]) -> Vec<f64> {
        let distances: Vec<f64> = self.elements.iter().map(|e| distance(point, *e)).collect();
        let first = self.first_arrival(&distances);
        distances
            .iter()
            .map(|r| (first + r) / self.c - self.t0)
            .collect()
    }

    /// d_tx in metres, from the distances to every element.
    pub(super) fn first_arrival(&self, distances: &[f64]) -> f64 {
        distances
            .iter()
            .zip(&self.delays)
            .fold(f64::INFINITY, |d, (r, t)| d.min(self.c * t + r))
    }

    /// WORKLOADS §1b. Further volumes have the same scatterers, weaker by a tenth of the first each: other data, same geometry.
    fn simulate(&mut self, volumes: usize, bandwidth: f64, noise: f64, seed: u64) {
        let [nx, ny, nz] = self.shape();
        self.scatterers = vec![
            Scatterer {
                node: [nx / 2, ny / 2, nz / 2],
                amplitude: 1.0,
            },
            Scatterer {
                node: [nx / 4, ny / 2, nz / 4],
                amplitude: 0.7,
            },
            Scatterer {
                node: [5 * nx / 8, ny / 4, 3 * nz / 8],
                amplitude: 0.5,
            },
        ];
        let sigma = (2.0 * LN_2).sqrt() / (PI * bandwidth * self.fc);
        let count = self.elements.len();
        let mut clean = vec![[0.0_f64; 2]; self.samples * count];
        for scatterer in &self.scatterers {
            let [i, j, k] = scatterer.node;
            let delays = self.echo([self.axes[0][i], self.axes[1][j], self.axes[2][k]]);
            for (e, tau) in delays.iter().enumerate() {
                let (sine, cosine) = (-2.0 * PI * self.fc * tau).sin_cos();
                for n in 0..self.samples {
                    let t = (n as f64 / self.fs - tau) / sigma;
                    let envelope = scatterer.amplitude * (-0.5 * t * t).exp();
                    clean[n * count + e][0] += envelope * cosine;
                    clean[n * count + e][1] += envelope * sine;
                }
            }
        }
        for volume in 0..volumes {
            let gain = 1.0 / (1.0 + 0.1 * volume as f64);
            let first = (volume * clean.len()) as u64;
            let frame = clean.iter().zip(first..).map(|(z, counter)| {
                let [g, h] = if noise > 0.0 {
                    gaussian_pair(seed, counter)
                } else {
                    [0.0; 2]
                };
                [
                    (gain * z[0] + noise * g) as f32,
                    (gain * z[1] + noise * h) as f32,
                ]
            });
            self.frames.push(frame.collect());
        }
    }

    /// `[samples, elements]` complex, or `[volumes, samples, elements]`; also as real arrays with a last axis of 2.
    fn read_frames(&mut self, file: &str) -> Result<(), String> {
        let array = npy::read(file)?;
        let mut shape = array.shape;
        if !array.is_complex && shape.pop() != Some(2) {
            return Err(format!(
                "{file}: wanted complex numbers, or a last axis of 2"
            ));
        }
        let (volumes, samples) = match shape[..] {
            [samples, elements] if elements == self.elements.len() => (1, samples),
            [volumes, samples, elements] if elements == self.elements.len() => (volumes, samples),
            _ => {
                return Err(format!(
                    "{file}: wanted [samples, {}] or [volumes, samples, {0}], found {shape:?}",
                    self.elements.len()
                ));
            }
        };
        if volumes == 0 || array.values.iter().any(|v| !v.is_finite()) {
            return Err(format!("{file}: empty, or with values that are not finite"));
        }
        self.samples = samples;
        let size = samples * self.elements.len();
        let pairs: Vec<[f32; 2]> = array
            .values
            .chunks_exact(2)
            .map(|z| [z[0] as f32, z[1] as f32])
            .collect();
        self.frames = pairs.chunks_exact(size.max(1)).map(<[_]>::to_vec).collect();
        Ok(())
    }
}

pub(super) fn distance(a: [f64; 3], b: [f64; 3]) -> f64 {
    let d = [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
    (d[0] * d[0] + d[1] * d[1] + d[2] * d[2]).sqrt()
}

fn linspace(low: f64, high: f64, count: usize) -> Vec<f64> {
    let step = (high - low) / (count.max(2) - 1) as f64;
    let mut all: Vec<f64> = (0..count).map(|i| low + i as f64 * step).collect();
    // numpy's end point is exact.
    if let (true, Some(last)) = (count > 1, all.last_mut()) {
        *last = high;
    }
    all
}

/// Centred in z = 0, x fastest.
fn square_array(side: usize, pitch: f64) -> Vec<[f64; 3]> {
    let at = |i: usize| (i as f64 - (side - 1) as f64 / 2.0) * pitch;
    (0..side)
        .flat_map(|j| (0..side).map(move |i| [at(i), at(j), 0.0]))
        .collect()
}

fn elements(written: &Written<'_>) -> Result<Option<Vec<[f64; 3]>>, String> {
    let Some(file) = written.text("elements")? else {
        return Ok(None);
    };
    let array = npy::read(file)?;
    if array.is_complex || array.shape.len() != 2 || array.shape[1] != 3 {
        return Err(format!(
            "{file}: wanted [elements, 3], found {:?}",
            array.shape
        ));
    }
    Ok(Some(
        array
            .values
            .chunks_exact(3)
            .map(|e| [e[0], e[1], e[2]])
            .collect(),
    ))
}
