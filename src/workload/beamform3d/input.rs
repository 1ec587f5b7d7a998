//! Geometry and synthetic IQ data (WORKLOADS §1a, §1b): scatterers at grid nodes, so that the right answer is known.
use crate::value::Value;
use crate::workload::{Problem, files};
use rayon::prelude::*;
use std::f64::consts::PI;
use std::path::Path;

/// One imaging problem. Lengths in metres, times in seconds.
#[derive(Clone, Debug)]
pub(super) struct Input {
    pub(super) samples: usize,
    /// `[elements]` (x, y), z = 0.
    pub(super) elements: Vec<(f32, f32)>,
    /// `[elements]`, s.
    pub(super) delays: Vec<f32>,
    pub(super) x: Vec<f32>,
    pub(super) y: Vec<f32>,
    pub(super) z: Vec<f32>,
    /// `[samples][elements]`, (re, im).
    pub(super) iq: Vec<[f32; 2]>,
    pub(super) c: f64,
    pub(super) fs: f64,
    pub(super) fc: f64,
    pub(super) t0: f64,
    /// Node indices and amplitudes.
    pub(super) scatterers: Vec<([usize; 3], f64)>,
}

/// Elements a side, pitch in mm, grid points.
struct Size {
    side: usize,
    pitch: f64,
    grid: [usize; 3],
}

const SAMPLES: usize = 560;

impl Input {
    /// # Errors
    /// What is wrong with the problem.
    pub(super) fn of(problem: &Problem) -> Result<Input, String> {
        let get = |key: &str| problem.iter().find(|(k, _)| k == key).map(|(_, v)| v);
        let preset = get("preset").map_or_else(|| "laptop".to_owned(), ToString::to_string);
        let size = match preset.as_str() {
            "tiny" => Size {
                side: 8,
                pitch: 1.2,
                grid: [16, 16, 32],
            },
            "laptop" => Size {
                side: 16,
                pitch: 0.6,
                grid: [32, 32, 64],
            },
            "paper" => Size {
                side: 32,
                pitch: 0.3,
                grid: [64, 64, 128],
            },
            other => {
                return Err(format!(
                    "there is no preset `{other}`; there is tiny, laptop, paper"
                ));
            }
        };
        let mut input = Input::empty(&size);
        match get("iq") {
            Some(Value::Text(file)) => input.read(Path::new(file))?,
            Some(other) => return Err(format!("`iq` must name a .npy file, this is {other}")),
            None => input.generate(),
        }
        let noise = match get("noise") {
            None => 0.0,
            Some(Value::Float(v)) => *v,
            Some(Value::Int(v)) => *v as f64,
            Some(other) => return Err(format!("`noise` must be a number, this is {other}")),
        };
        let seed = match get("seed") {
            None => 1,
            Some(Value::Int(v)) => *v as u64,
            Some(other) => return Err(format!("`seed` must be a whole number, this is {other}")),
        };
        if noise > 0.0 {
            input.add_noise(noise, seed);
        }
        Ok(input)
    }

    fn empty(size: &Size) -> Input {
        let span = |n: usize, low: f64, high: f64| -> Vec<f32> {
            (0..n)
                .map(|i| (low + (high - low) * i as f64 / (n - 1).max(1) as f64) as f32)
                .collect()
        };
        let centre = (size.side as f64 - 1.0) / 2.0;
        let place = |i: usize| ((i as f64 - centre) * size.pitch * 1e-3) as f32;
        // x runs fastest.
        let elements: Vec<(f32, f32)> = (0..size.side * size.side)
            .map(|e| (place(e % size.side), place(e / size.side)))
            .collect();
        let [nx, ny, nz] = size.grid;
        Input {
            samples: SAMPLES,
            delays: vec![0.0; elements.len()],
            elements,
            x: span(nx, -10e-3, 10e-3),
            y: span(ny, -10e-3, 10e-3),
            z: span(nz, 20e-3, 40e-3),
            iq: vec![],
            c: 1540.0,
            fs: 12e6,
            fc: 3e6,
            t0: 0.0,
            scatterers: vec![
                ([nx / 2, ny / 2, nz / 2], 1.0),
                ([nx / 4, ny / 2, nz / 4], 0.7),
                ([5 * nx / 8, ny / 4, 3 * nz / 8], 0.5),
            ],
        }
    }

    pub(super) fn points(&self) -> usize {
        self.x.len() * self.y.len() * self.z.len()
    }

    /// Travel time over the virtual first arrival, in seconds, for every element at a point (WORKLOADS §1a).
    pub(super) fn travel_times(&self, point: [f64; 3]) -> Vec<f64> {
        let distances: Vec<f64> = self
            .elements
            .iter()
            .map(|&(x, y)| {
                let (dx, dy) = (point[0] - f64::from(x), point[1] - f64::from(y));
                (dx * dx + dy * dy + point[2] * point[2]).sqrt()
            })
            .collect();
        let first = distances
            .iter()
            .zip(&self.delays)
            .map(|(r, d)| self.c * f64::from(*d) + r)
            .fold(f64::INFINITY, f64::min);
        distances
            .into_iter()
            .map(|r| (first + r) / self.c - self.t0)
            .collect()
    }

    pub(super) fn point(&self, [i, j, k]: [usize; 3]) -> [f64; 3] {
        [
            f64::from(self.x[i]),
            f64::from(self.y[j]),
            f64::from(self.z[k]),
        ]
    }

    /// Envelope width of a pulse with 70 % bandwidth at −6 dB.
    pub(super) fn sigma(&self) -> f64 {
        (2.0 * 2.0_f64.ln()).sqrt() / (PI * 0.70 * self.fc)
    }

    fn generate(&mut self) {
        let sigma = self.sigma();
        let times: Vec<(f64, Vec<f64>)> = self
            .scatterers
            .iter()
            .map(|(node, a)| (*a, self.travel_times(self.point(*node))))
            .collect();
        let n = self.elements.len();
        let mut iq = vec![[0.0_f32; 2]; self.samples * n];
        let (fs, fc) = (self.fs, self.fc);
        iq.par_chunks_mut(n).enumerate().for_each(|(sample, row)| {
            for (e, value) in row.iter_mut().enumerate() {
                let (mut re, mut im) = (0.0, 0.0);
                for (amplitude, tau) in &times {
                    let distance = sample as f64 / fs - tau[e];
                    let envelope = amplitude * (-distance * distance / (2.0 * sigma * sigma)).exp();
                    let phase = -2.0 * PI * fc * tau[e];
                    re += envelope * phase.cos();
                    im += envelope * phase.sin();
                }
                *value = [re as f32, im as f32];
            }
        });
        self.iq = iq;
    }

    fn read(&mut self, file: &Path) -> Result<(), String> {
        let array = files::read_array(file, None)?;
        let n = self.elements.len();
        let values = array.to_f64();
        if array.shape.len() != 3 || array.shape[1] != n || array.shape[2] != 2 {
            return Err(format!(
                "{} has the shape {:?}; wanted is [samples, {n}, 2] of (re, im)",
                file.display(),
                array.shape
            ));
        }
        if values.iter().any(|v| !v.is_finite()) {
            return Err(format!(
                "{} holds values that are not finite",
                file.display()
            ));
        }
        self.samples = array.shape[0];
        self.iq = values
            .chunks_exact(2)
            .map(|z| [z[0] as f32, z[1] as f32])
            .collect();
        Ok(())
    }

    /// White Gaussian noise by Box and Muller from a counter-based SplitMix64 (WORKLOADS §0.2).
    fn add_noise(&mut self, level: f64, seed: u64) {
        let uniform = |i: u64| {
            let mut z = seed.wrapping_add(i.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
        };
        for (i, value) in self.iq.iter_mut().enumerate() {
            let (u, v) = (1.0 - uniform(2 * i as u64), uniform(2 * i as u64 + 1));
            let r = level * (-2.0 * u.ln()).sqrt();
            value[0] += (r * (2.0 * PI * v).cos()) as f32;
            value[1] += (r * (2.0 * PI * v).sin()) as f32;
        }
    }

    /// The answer in double precision, by the definition: `[points]` (re, im), x slowest and z fastest.
    pub(super) fn exact(&self) -> Vec<[f64; 2]> {
        let (ny, nz) = (self.y.len(), self.z.len());
        let mut volume = vec![[0.0; 2]; self.points()];
        volume.par_iter_mut().enumerate().for_each(|(p, out)| {
            let node = [p / (ny * nz), p / nz % ny, p % nz];
            let n = self.elements.len();
            for (e, tau) in self.travel_times(self.point(node)).into_iter().enumerate() {
                let s = tau * self.fs;
                let i = s.floor();
                if s < 0.0 || i > (self.samples - 2) as f64 {
                    continue;
                }
                let (i, a) = (i as usize, s - i);
                let (u, v) = (self.iq[i * n + e], self.iq[(i + 1) * n + e]);
                let re = (1.0 - a) * f64::from(u[0]) + a * f64::from(v[0]);
                let im = (1.0 - a) * f64::from(u[1]) + a * f64::from(v[1]);
                let (sin, cos) = (2.0 * PI * self.fc * tau).sin_cos();
                out[0] += re * cos - im * sin;
                out[1] += re * sin + im * cos;
            }
        });
        volume
    }

    /// Pairs of point and element whose sample is in range, and all pairs.
    pub(super) fn pairs(&self) -> (u64, u64) {
        let (ny, nz) = (self.y.len(), self.z.len());
        let last = (self.samples - 1) as f64;
        let in_range: u64 = (0..self.points())
            .into_par_iter()
            .map(|p| {
                let node = [p / (ny * nz), p / nz % ny, p % nz];
                let times = self.travel_times(self.point(node));
                times
                    .iter()
                    .filter(|t| (0.0..last).contains(&(**t * self.fs)))
                    .count() as u64
            })
            .sum();
        (in_range, (self.points() * self.elements.len()) as u64)
    }
}
