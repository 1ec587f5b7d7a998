//! The problem in metres and seconds: probe, virtual sources, points and channel data. Made by a generator whose right answer is
//! known (WORKLOADS §4b), or read from files. The formulas of the definition stand here too, in double precision.
use super::settings::{Wavefront, Window};
use crate::value::Value;
use crate::workload::Problem;
use crate::workload::beamform3d::npy;
use crate::workload::random::gaussian_pair;
use std::f64::consts::{LN_2, PI};

/// Keys that `problem:` may have beside preset and seed.
pub(super) const KEYS: &[&str] = &[
    "nx",
    "nz",
    "nr",
    "nt",
    "ns",
    "frames",
    "noise",
    "pitch",
    "radius",
    "angle",
    "c",
    "f_mod",
    "fs",
    "bandwidth",
    "t_start",
    "min_aperture", // numbers
    "signal",
    "elements",
    "sources",
    "points",
    "delays", // .npy files
];

pub(super) const PRESETS: &[&str] = &["tiny", "laptop", "paper"];

/// Where a problem names none.
const DEFAULT_PRESET: &str = "laptop";

const SAMPLES: usize = 856;
/// Of a probe with 96 elements; others have the same aperture.
const PITCH: f64 = 0.154e-3;
const FULL_PROBE: f64 = 96.0;
/// On both sides of a transmit's focus the spherical wavefront jumps; there wavefronts `hybrid` and `blended` are plane.
const MARGIN: f64 = 1e-3;

/// Points along x and z, receivers, transmits.
fn size(preset: &str) -> Option<[usize; 4]> {
    match preset {
        "tiny" => Some([32, 32, 16, 9]),
        "laptop" => Some([128, 128, 32, 33]),
        "paper" => Some([256, 256, 96, 99]),
        _ => None,
    }
}

/// Every preset in keys of the problem, the one first that is meant where a problem names none.
pub(super) fn sizes() -> Vec<(String, Vec<(String, Value)>)> {
    let mut names = PRESETS.to_vec();
    names.sort_by_key(|name| *name != DEFAULT_PRESET);
    let keys = |name: &str| {
        let [nx, nz, nr, nt] = size(name)?;
        let counts = [
            ("nx", nx),
            ("nz", nz),
            ("nr", nr),
            ("nt", nt),
            ("ns", SAMPLES),
            ("frames", 1),
        ];
        let counts = counts.map(|(key, n)| (key.to_owned(), Value::Int(n as i64)));
        Some((name.to_owned(), counts.to_vec()))
    };
    names.into_iter().filter_map(keys).collect()
}

/// A point scatterer on a node of the grid.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scatterer {
    /// Along x and z.
    pub(super) node: [usize; 2],
    pub(super) amplitude: f64,
}

/// Metres and seconds.
#[derive(Clone, Debug)]
pub(super) struct Scene {
    pub(super) c: f64,
    /// Demodulation and sampling frequency, Hz.
    pub(super) f_mod: f64,
    pub(super) fs: f64,
    /// Time of the first sample.
    pub(super) t_start: f64,
    pub(super) min_aperture: f64,
    pub(super) samples: usize,
    pub(super) elements: Vec<[f64; 3]>,
    /// Virtual sources, one a transmit, and the time that is taken off their delays.
    pub(super) sources: Vec<[f64; 3]>,
    pub(super) delays: Vec<f64>,
    /// x outer, z inner.
    pub(super) points: Vec<[f64; 3]>,
    pub(super) shape: [usize; 2],
    /// Channel data: `[transmit][receiver][sample]` of (re, im), one a frame.
    pub(super) frames: Vec<Vec<[f32; 2]>>,
    /// What the generator put in; empty for signals from a file.
    pub(super) scatterers: Vec<Scatterer>,
}

/// The lines of a transmit that its apodization is about, in the x–z plane: from the left and the right end of the probe through
/// the focus, and the mid line through the focus. A signed distance is `x·d.z − z·d.x`, from the anchor.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hourglass {
    pub(super) left: [f64; 2],
    pub(super) right: [f64; 2],
    pub(super) middle: [f64; 2],
    pub(super) focus: [f64; 2],
    /// x of the probe's ends.
    pub(super) ends: [f64; 2],
}

impl Hourglass {
    /// Distances of a point from the left, the right and the mid line, with their sides' signs.
    #[inline(always)]
    pub(super) fn distances(&self, x: f64, z: f64) -> [f64; 3] {
        let from = |anchor: [f64; 2], d: [f64; 2]| (x - anchor[0]) * d[1] - (z - anchor[1]) * d[0];
        [
            from([self.ends[0], 0.0], self.left),
            from([self.ends[1], 0.0], self.right),
            from(self.focus, self.middle),
        ]
    }

    /// Half of the angle between the two edges.
    pub(super) fn half_angle(&self) -> f64 {
        0.5 * (self.left[1].atan2(self.left[0]) - self.right[1].atan2(self.right[0])).abs()
    }
}

/// −1, 0 or 1.
pub(super) fn sign(value: f64) -> f64 {
    f64::from(u8::from(value > 0.0)) - f64::from(u8::from(value < 0.0))
}

impl Window {
    /// Weight at `u` of the aperture, 0 in its middle and ½ at its ends.
    pub(super) fn at(self, u: f64) -> f64 {
        match self {
            Window::Rectangular => 1.0,
            Window::Hann => 0.5 + 0.5 * (2.0 * PI * u).cos(),
            Window::Hamming => 0.54 + 0.46 * (2.0 * PI * u).cos(),
            Window::Bartlett => 1.0 - 2.0 * u,
            // Half of the aperture flat, a quarter on each side falling as a cosine.
            Window::Tukey => 0.5 + 0.5 * (4.0 * PI * (u - 0.25).max(0.0)).cos(),
        }
    }
}

impl Scene {
    /// # Errors
    /// What is wrong with the problem, by key.
    pub(super) fn new(problem: &Problem) -> Result<Scene, String> {
        let written = Written(problem);
        written.check_names()?;
        let preset = written.text("preset")?.unwrap_or(DEFAULT_PRESET);
        let [nx, nz, nr, nt] = size(preset).ok_or_else(|| {
            format!(
                "reduce has no preset `{preset}`; it has {}",
                PRESETS.join(", ")
            )
        })?;
        let (nx, nz) = (
            written.count("nx", nx, 1 << 20)?,
            written.count("nz", nz, 1 << 20)?,
        );
        let elements = match written.rows("elements")? {
            Some(rows) => rows,
            None => {
                let count = written.count("nr", nr, 4096)?;
                let pitch = written.positive("pitch", PITCH * FULL_PROBE / count as f64)?;
                linear_probe(count, pitch)
            }
        };
        let sources = match written.rows("sources")? {
            Some(rows) => rows,
            None => {
                let half = written.positive("angle", 35.0)?.to_radians();
                let count = written.count("nt", nt, 4096)?;
                fan(count, written.positive("radius", 40e-3)?, half)
            }
        };
        let is_sized = written.get("nx").is_some() && written.get("nz").is_some();
        let (points, shape) = match written.rows("points")? {
            Some(rows) if is_sized && rows.len() == nx * nz => (rows, [nx, nz]),
            Some(rows) if is_sized => {
                return Err(format!("`points` has {} rows for {nx} × {nz}", rows.len()));
            }
            Some(rows) => {
                let count = rows.len();
                (rows, [count, 1])
            }
            None => (grid(nx, nz), [nx, nz]),
        };
        let delays = match written.text("delays")? {
            Some(file) => npy::read(file)?.values,
            None => vec![0.0; sources.len()],
        };
        let f_mod = written.positive("f_mod", 5e6)?;
        let mut scene = Scene {
            c: written.positive("c", 1540.0)?,
            f_mod,
            fs: written.positive("fs", 2.0 * f_mod)?,
            t_start: written.number("t_start", 0.0)?,
            min_aperture: written.positive("min_aperture", 1e-3)?,
            samples: written.count("ns", SAMPLES, 1 << 20)?,
            elements,
            sources,
            delays,
            points,
            shape,
            frames: vec![],
            scatterers: vec![],
        };
        scene.check()?;
        match written.text("signal")? {
            Some(file) => scene.read_frames(file)?,
            None => scene.simulate(
                written.count("frames", 1, 100)?,
                written.positive("bandwidth", 0.40)?,
                written.number("noise", 0.0)?,
                written.seed()?,
            )?,
        }
        Ok(scene)
    }

    fn check(&self) -> Result<(), String> {
        if self.elements.is_empty() || self.sources.is_empty() || self.points.is_empty() {
            return Err("there must be at least one element, one source and one point".into());
        }
        if self.delays.len() != self.sources.len() {
            return Err(format!(
                "`delays` has {} values for {} sources",
                self.delays.len(),
                self.sources.len()
            ));
        }
        if self.samples < 2 {
            return Err("interpolation needs at least two samples".into());
        }
        let places = || {
            let all = [&self.elements, &self.sources, &self.points];
            all.into_iter().flatten().flatten()
        };
        if let Some(wrong) = places().chain(&self.delays).find(|v| !v.is_finite()) {
            return Err(format!("{wrong} among the coordinates or delays"));
        }
        if self.sources.iter().any(|v| v[2] == 0.0) {
            return Err("a source at z = 0 is neither before nor behind the probe".into());
        }
        // Kernels count samples in f32; a delay of 2^20 samples is far beyond any probe.
        let reach = places().fold(0.0_f64, |m, v| m.max(v.abs()));
        let offset = self.delays.iter().fold(0.0_f64, |m, d| m.max(d.abs())) + self.t_start.abs();
        let latest = (8.0 * reach / self.c + offset) * self.fs;
        if latest > f64::from(1 << 20) {
            return Err(format!(
                "delays reach {latest:.0} samples; are the coordinates in metres and the delays in seconds?"
            ));
        }
        Ok(())
    }

    pub(super) fn hourglass(&self, transmit: usize) -> Hourglass {
        let v = self.sources[transmit];
        let xs = || self.elements.iter().map(|e| e[0]);
        let ends = [
            xs().fold(f64::INFINITY, f64::min),
            xs().fold(f64::NEG_INFINITY, f64::max),
        ];
        let unit = |x: f64, z: f64| [x / x.hypot(z), z / x.hypot(z)];
        let (left, right) = (unit(v[0] - ends[0], v[2]), unit(v[0] - ends[1], v[2]));
        let angle = 0.5 * (left[1].atan2(left[0]) + right[1].atan2(right[0]));
        Hourglass {
            left,
            right,
            middle: [angle.cos(), angle.sin()],
            focus: [v[0], v[2]],
            ends,
        }
    }

    /// w(p, t): retrospective transmit beamforming's apodization.
    pub(super) fn weight(&self, lines: &Hourglass, window: Window, p: [f64; 3]) -> f64 {
        let [left, right, middle] = lines.distances(p[0], p[2]);
        if left * right > 0.0 && middle.abs() >= self.min_aperture {
            return 0.0;
        }
        match window {
            Window::Rectangular => 1.0,
            _ => window.at((left.abs() / (left.abs() + right.abs()) - 0.5).abs()),
        }
    }

    /// d_tx(p, t), metres.
    pub(super) fn transmit_distance(
        &self,
        transmit: usize,
        lines: &Hourglass,
        wavefront: Wavefront,
        p: [f64; 3],
    ) -> f64 {
        let v = self.sources[transmit];
        let norm = distance(v, [0.0; 3]);
        let spherical = norm * sign(v[2]) - distance(v, p) * sign(v[2] - p[2]);
        let plane = (v[0] * p[0] + v[1] * p[1] + v[2] * p[2]) / norm * sign(v[2]);
        let depth = (p[2] - v[2]).abs();
        match wavefront {
            Wavefront::Focused => spherical,
            Wavefront::Plane => plane,
            Wavefront::Hybrid if depth < MARGIN => plane,
            Wavefront::Hybrid => spherical,
            Wavefront::Blended => {
                let share = (depth / MARGIN).min(1.0);
                plane + share * (spherical - plane)
            }
            // Nguyen and Prager, IEEE TUFFC 63 (2016): outside of the hourglass the delay runs linearly, along the beam's axis, from
            // the edge before the focus to the edge behind it. Both are at |s|/cos θ of the focus.
            Wavefront::Unified => {
                let [left, right, _] = lines.distances(p[0], p[2]);
                if left * right <= 0.0 {
                    return spherical;
                }
                let [dx, dz] = lines.middle;
                let along = (p[0] - v[0]) * dx + (p[2] - v[2]) * dz;
                norm * sign(v[2]) + along / lines.half_angle().cos()
            }
        }
    }

    pub(super) fn margin(&self) -> f64 {
        MARGIN
    }

    /// WORKLOADS §4b. Further frames have the same scatterers, weaker by a tenth of the first each: other data, same geometry.
    fn simulate(
        &mut self,
        frames: usize,
        bandwidth: f64,
        noise: f64,
        seed: u64,
    ) -> Result<(), String> {
        let [nx, nz] = self.shape;
        let (nt, nr, ns) = (self.sources.len(), self.elements.len(), self.samples);
        let size = nt * nr * ns;
        if size > 1 << 30 {
            return Err(format!("{nt} × {nr} × {ns} samples are too many"));
        }
        self.scatterers = [
            ([nx / 4, nz / 3], 1.0),
            ([nx / 2, nz / 2], 1.0),
            ([3 * nx / 4, nz / 5], 0.5),
        ]
        .map(|(node, amplitude)| Scatterer { node, amplitude })
        .to_vec();
        let sigma = (2.0 * LN_2).sqrt() / (PI * bandwidth * self.f_mod);
        let mut clean = vec![[0.0_f64; 2]; size];
        for scatterer in &self.scatterers {
            let p = self.points[scatterer.node[0] * nz + scatterer.node[1]];
            for t in 0..nt {
                let lines = self.hourglass(t);
                let weight = self.weight(&lines, Window::Rectangular, p);
                if weight == 0.0 {
                    continue;
                }
                let there = self.transmit_distance(t, &lines, Wavefront::Focused, p);
                for (r, element) in self.elements.iter().enumerate() {
                    let tau = (there + distance(p, *element)) / self.c - self.delays[t];
                    let (sine, cosine) = (-2.0 * PI * self.f_mod * tau).sin_cos();
                    for n in 0..ns {
                        let from = (n as f64 / self.fs + self.t_start - tau) / sigma;
                        // Below a tenth of the smallest number of single precision.
                        if from.abs() > 15.0 {
                            continue;
                        }
                        let envelope = scatterer.amplitude * weight * (-0.5 * from * from).exp();
                        let z = &mut clean[(t * nr + r) * ns + n];
                        *z = [z[0] + envelope * cosine, z[1] + envelope * sine];
                    }
                }
            }
        }
        for frame in 0..frames {
            let gain = 1.0 / (1.0 + 0.1 * frame as f64);
            let first = (frame * size) as u64;
            let sample = |(z, counter): (&[f64; 2], u64)| {
                let [g, h] = match noise > 0.0 {
                    true => gaussian_pair(seed, counter),
                    false => [0.0; 2],
                };
                [
                    (gain * z[0] + noise * g) as f32,
                    (gain * z[1] + noise * h) as f32,
                ]
            };
            self.frames
                .push(clean.iter().zip(first..).map(sample).collect());
        }
        Ok(())
    }

    /// `[transmits, receivers, samples]` complex, or `[frames, …]`; also as real arrays with a last axis of 2.
    fn read_frames(&mut self, file: &str) -> Result<(), String> {
        let array = npy::read(file)?;
        let mut shape = array.shape;
        if !array.is_complex && shape.pop() != Some(2) {
            return Err(format!(
                "{file}: wanted complex numbers, or a last axis of 2"
            ));
        }
        let (nt, nr) = (self.sources.len(), self.elements.len());
        let (frames, samples) = match shape[..] {
            [t, r, samples] if (t, r) == (nt, nr) => (1, samples),
            [frames, t, r, samples] if (t, r) == (nt, nr) => (frames, samples),
            _ => {
                return Err(format!(
                    "{file}: wanted [{nt}, {nr}, samples] or [frames, {nt}, {nr}, samples], found {shape:?}"
                ));
            }
        };
        if frames == 0 || samples < 2 || array.values.iter().any(|v| !v.is_finite()) {
            return Err(format!(
                "{file}: empty, too short to interpolate, or with values that are not finite"
            ));
        }
        self.samples = samples;
        let pairs: Vec<[f32; 2]> = array
            .values
            .chunks_exact(2)
            .map(|z| [z[0] as f32, z[1] as f32])
            .collect();
        self.frames = pairs
            .chunks_exact(nt * nr * samples)
            .map(<[_]>::to_vec)
            .collect();
        Ok(())
    }
}

pub(super) fn distance(a: [f64; 3], b: [f64; 3]) -> f64 {
    let d = [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
    (d[0] * d[0] + d[1] * d[1] + d[2] * d[2]).sqrt()
}

fn linspace(low: f64, high: f64, count: usize) -> Vec<f64> {
    let step = (high - low) / (count.max(2) - 1) as f64;
    (0..count).map(|i| low + i as f64 * step).collect()
}

/// Centred on x = 0.
fn linear_probe(count: usize, pitch: f64) -> Vec<[f64; 3]> {
    let at = |i: usize| (i as f64 - (count - 1) as f64 / 2.0) * pitch;
    (0..count).map(|i| [at(i), 0.0, 0.0]).collect()
}

/// On an arc around the probe.
fn fan(count: usize, radius: f64, half: f64) -> Vec<[f64; 3]> {
    let source = |a: f64| [radius * a.sin(), 0.0, radius * a.cos()];
    linspace(-half, half, count)
        .into_iter()
        .map(source)
        .collect()
}

fn grid(nx: usize, nz: usize) -> Vec<[f64; 3]> {
    let (x, z) = (linspace(-20e-3, 20e-3, nx), linspace(5e-3, 60e-3, nz));
    x.iter()
        .flat_map(|x| z.iter().map(|z| [*x, 0.0, *z]))
        .collect()
}

/// The mapping as it is written in the plan.
struct Written<'a>(&'a Problem);

impl Written<'_> {
    fn check_names(&self) -> Result<(), String> {
        let known = |name: &str| name == "preset" || name == "seed" || KEYS.contains(&name);
        match self.0.iter().find(|(name, _)| !known(name)) {
            Some((name, _)) => Err(format!(
                "reduce's problem has no `{name}`; it has preset, seed, {}",
                KEYS.join(", ")
            )),
            None => Ok(()),
        }
    }

    fn get(&self, key: &str) -> Option<&Value> {
        self.0
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value)
    }

    fn text(&self, key: &str) -> Result<Option<&str>, String> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(other) => Err(format!("problem.{key} is a name or a file, not `{other}`")),
        }
    }

    fn number(&self, key: &str, default: f64) -> Result<f64, String> {
        match self.get(key) {
            None => Ok(default),
            Some(Value::Int(v)) => Ok(*v as f64),
            Some(Value::Float(v)) if v.is_finite() => Ok(*v),
            Some(other) => Err(format!("problem.{key} is a number, not `{other}`")),
        }
    }

    fn positive(&self, key: &str, default: f64) -> Result<f64, String> {
        match self.number(key, default)? {
            v if v > 0.0 => Ok(v),
            v => Err(format!("problem.{key} must be above 0, not {v}")),
        }
    }

    fn count(&self, key: &str, default: usize, most: usize) -> Result<usize, String> {
        match self.get(key) {
            None => Ok(default),
            Some(Value::Int(v)) if *v >= 1 && *v <= most as i64 => Ok(*v as usize),
            Some(other) => Err(format!(
                "problem.{key} is a whole number from 1 to {most}, not `{other}`"
            )),
        }
    }

    fn seed(&self) -> Result<u64, String> {
        match self.get("seed") {
            None => Ok(1),
            Some(Value::Int(v)) => Ok(*v as u64),
            Some(other) => Err(format!("problem.seed is a whole number, not `{other}`")),
        }
    }

    /// Points of an array `[n, 3]`.
    fn rows(&self, key: &str) -> Result<Option<Vec<[f64; 3]>>, String> {
        let Some(file) = self.text(key)? else {
            return Ok(None);
        };
        let array = npy::read(file)?;
        if array.is_complex || array.shape.len() != 2 || array.shape[1] != 3 {
            return Err(format!("{file}: wanted [n, 3], found {:?}", array.shape));
        }
        let rows = array.values.chunks_exact(3).map(|p| [p[0], p[1], p[2]]);
        Ok(Some(rows.collect()))
    }
}
