//! The survey in physical units: grid, geometry, velocity, traces. Made by a generator whose right image is known (WORKLOADS
//! §2b), or read from files. Lengths in metres, times in seconds; coordinates relative to the grid's first node, along its axes.
use super::npy;
use super::velocity::Velocity;
use crate::value::{Bytes, Value, parse_bytes};
use crate::workload::Problem;
use crate::workload::random::{gaussian_pair, uniform};
use crate::workload::written::Written;
use std::f64::consts::PI;

/// Keys that `problem:` may have beside preset and seed.
pub(super) const KEYS: &[&str] = &[
    "nx",
    "ny",
    "nt",
    "dx",
    "dy",
    "dt",
    "rotation", // the grid
    "bins",
    "ntx",
    "nty",
    "ntr",
    "spacing",
    "ns",
    "dt_in",
    "t_start",
    "offset",
    "spread",
    "azimuth",
    "swing", // the survey
    "v0",
    "gradient",
    "lateral", // the velocity
    "amax",
    "amin",
    "dip_limit",
    "taper",
    "v_mute",
    "mute_ramp", // what the image is defined with
    "reflector",
    "dip",
    "t0d",
    "f",
    "derivative",
    "noise",  // the generator
    "memory", // what traces, caches and tiles may take
    "traces",
    "geometry",
    "velocity", // .npy files
];

pub(super) const PRESETS: &[&str] = &["tiny", "laptop", "medium", "paper"];

/// Where a problem names none.
const DEFAULT_PRESET: &str = "laptop";

/// Offset bins lie so far apart, m (WORKLOADS §2a: 500 to 549 m is the tenth).
const BIN_WIDTH: f64 = 50.0;

/// Samples of the cosine at a trace's end: without it the range test at the last sample would flip on rounding (WORKLOADS §2b).
const END_TAPER: usize = 20;

/// What a preset fixes.
struct Size {
    grid: [usize; 3],
    spacing: [f64; 3],
    /// Midpoints a side, or how many at random.
    midpoints: Midpoints,
    samples: usize,
    offset: f64,
    aperture: f64,
    t0d: f64,
    memory: u64,
}

#[derive(Clone, Copy)]
enum Midpoints {
    Grid(usize, usize),
    Random(usize),
}

fn size(preset: &str) -> Option<Size> {
    let square = |n: usize, nt, midpoints, samples, offset, aperture, t0d, memory| Size {
        grid: [n, n, nt],
        spacing: [25.0, 25.0, 2e-3],
        midpoints: Midpoints::Grid(midpoints, midpoints),
        samples,
        offset,
        aperture,
        t0d,
        memory,
    };
    match preset {
        "tiny" => Some(square(12, 101, 20, 201, 200.0, 300.0, 0.14, 1 << 20)),
        "laptop" => Some(square(24, 201, 40, 351, 300.0, 500.0, 0.24, 4 << 20)),
        "medium" => Some(square(32, 251, 48, 401, 300.0, 600.0, 0.30, 8 << 20)),
        "paper" => Some(Size {
            grid: [511, 427, 1001],
            spacing: [25.0, 12.5, 2e-3],
            midpoints: Midpoints::Random(819_045),
            samples: 1001,
            offset: 525.0,
            aperture: 2000.0,
            t0d: 1.0,
            memory: 8 << 30,
        }),
        _ => None,
    }
}

/// Every preset in keys of the problem, the one first that is meant where a problem names none.
pub(super) fn sizes() -> Vec<(String, Vec<(String, Value)>)> {
    let mut names = PRESETS.to_vec();
    names.sort_by_key(|name| *name != DEFAULT_PRESET);
    let keys = |name: &str| {
        let size = size(name)?;
        let [nx, ny, nt] = size.grid;
        let mut counts = vec![("nx", nx), ("ny", ny), ("nt", nt), ("ns", size.samples)];
        match size.midpoints {
            Midpoints::Grid(x, y) => counts.extend([("ntx", x), ("nty", y)]),
            Midpoints::Random(n) => counts.push(("ntr", n)),
        }
        counts.push(("bins", 1));
        let counts = (counts.into_iter()).map(|(key, n)| (key.to_owned(), Value::Int(n as i64)));
        let mut all: Vec<_> = counts.collect();
        all.push(("amax".into(), Value::Float(size.aperture)));
        Some((name.to_owned(), all))
    };
    names.into_iter().filter_map(keys).collect()
}

/// What the generator put under the grid.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Reflector {
    /// A point under this node of the grid (x, y), at this time.
    Diffractor { node: [usize; 2], time: f64 },
    /// A plane that dips along x, at this time under the middle of the grid.
    Plane { dip: f64, time: f64 },
    /// Traces come from a file.
    Unknown,
}

/// One common-offset gather.
#[derive(Clone, Debug)]
pub(super) struct Gather {
    /// sx, sy, rx, ry of each trace.
    pub(super) geometry: Vec<[f32; 4]>,
}

impl Gather {
    pub(super) fn midpoint(&self, trace: usize) -> [f32; 2] {
        let [sx, sy, rx, ry] = self.geometry[trace];
        [0.5 * (sx + rx), 0.5 * (sy + ry)]
    }
}

#[derive(Clone, Debug)]
pub(super) struct Scene {
    /// Nodes along x, y, t.
    pub(super) shape: [usize; 3],
    pub(super) spacing: [f64; 3],
    /// Samples of a trace, their interval, and the time of the first.
    pub(super) samples: usize,
    pub(super) dt_in: f64,
    pub(super) t_start: f64,
    pub(super) gathers: Vec<Gather>,
    pub(super) velocity: Velocity,
    pub(super) amax: f64,
    pub(super) amin: f64,
    /// tan of the largest dip of aperture=dip.
    pub(super) dip_tangent: f64,
    /// Share of the aperture that is tapered.
    pub(super) taper: f64,
    pub(super) v_mute: f64,
    pub(super) mute_ramp: f64,
    pub(super) reflector: Reflector,
    /// Dominant frequency, Hz.
    pub(super) frequency: f64,
    pub(super) is_derivative: bool,
    pub(super) noise: f64,
    pub(super) seed: u64,
    pub(super) memory: Bytes,
    /// `.npy` of the traces, where they are not generated.
    pub(super) file: Option<String>,
}

impl Scene {
    /// # Errors
    /// What is wrong with the problem, by key.
    pub(super) fn new(problem: &Problem) -> Result<Scene, String> {
        let written = Written {
            workload: "pstm",
            problem,
        };
        written.check_names(KEYS)?;
        let preset = written.text("preset")?.unwrap_or(DEFAULT_PRESET);
        let size = size(preset).ok_or_else(|| {
            format!(
                "pstm has no preset `{preset}`; it has {}",
                PRESETS.join(", ")
            )
        })?;
        let shape = [
            written.count("nx", size.grid[0], 8192)?,
            written.count("ny", size.grid[1], 8192)?,
            written.count("nt", size.grid[2], 16384)?,
        ];
        let spacing = [
            written.positive("dx", size.spacing[0])?,
            written.positive("dy", size.spacing[1])?,
            written.positive("dt", size.spacing[2])?,
        ];
        let amax = written.positive("amax", size.aperture)?;
        let bins = written.count("bins", 1, 64)?;
        let default_rotation = if preset == "paper" { -49.5 } else { 0.0 };
        let rotation = written.number("rotation", default_rotation)?.to_radians();
        let mut scene = Scene {
            shape,
            spacing,
            samples: written.count("ns", size.samples, 1 << 20)?,
            dt_in: written.positive("dt_in", spacing[2])?,
            t_start: written.number("t_start", 0.0)?,
            gathers: vec![],
            velocity: Velocity::new(&written, shape, spacing[2])?,
            amax,
            amin: written.within("amin", amax / 4.0, (0.0, amax))?,
            dip_tangent: written
                .within("dip_limit", 65.0, (1.0, 89.0))?
                .to_radians()
                .tan(),
            taper: written.within("taper", 0.1, (0.0, 1.0))?,
            v_mute: written.positive("v_mute", 1500.0)?,
            mute_ramp: written.positive("mute_ramp", 0.02)?,
            reflector: Reflector::Unknown,
            frequency: written.positive("f", 25.0)?,
            is_derivative: written.truth("derivative", false)?,
            noise: written.within("noise", 0.0, (0.0, 1e6))?,
            seed: written.seed()?,
            memory: memory(&written, size.memory)?,
            file: written.text("traces")?.map(str::to_owned),
        };
        if scene.file.is_some() {
            scene.gathers = vec![read_geometry(&written, rotation, bins)?];
        } else {
            if written.get("geometry").is_some() {
                return Err(
                    "problem.geometry belongs to traces from a file: give `traces` too".into(),
                );
            }
            let time = written.positive("t0d", size.t0d)?;
            scene.reflector = scene.reflector(&written, time)?;
            for bin in 0..bins {
                scene
                    .gathers
                    .push(scene.survey(&written, &size, bin, rotation)?);
            }
        }
        scene.check()?;
        Ok(scene)
    }

    fn reflector(&self, written: &Written<'_>, time: f64) -> Result<Reflector, String> {
        match written.text("reflector")?.unwrap_or("diffractor") {
            "diffractor" => Ok(Reflector::Diffractor {
                node: [self.shape[0] / 3, self.shape[1] / 2],
                time,
            }),
            "plane" if self.velocity.is_constant() => Ok(Reflector::Plane {
                dip: written.within("dip", 0.0, (-60.0, 60.0))?.to_radians(),
                time,
            }),
            "plane" => Err("problem.reflector=plane has a known answer for a constant velocity: leave gradient and lateral at 0".into()),
            other => Err(format!("problem.reflector is diffractor or plane, not `{other}`")),
        }
    }

    /// Sources and receivers of one offset bin.
    fn survey(
        &self,
        written: &Written<'_>,
        size: &Size,
        bin: usize,
        rotation: f64,
    ) -> Result<Gather, String> {
        let [nx, ny, _] = self.shape;
        let [dx, dy, _] = self.spacing;
        let middle = [(nx - 1) as f64 * dx / 2.0, (ny - 1) as f64 * dy / 2.0];
        let is_random =
            matches!(size.midpoints, Midpoints::Random(_)) || written.get("ntr").is_some();
        let (spread, swing) = if is_random { (49.0, 15.0) } else { (0.0, 0.0) };
        let offset = written.positive("offset", size.offset)? + bin as f64 * BIN_WIDTH;
        let spread = written.within("spread", spread, (0.0, 1e5))?;
        // From north, as surveyors count it: 90° is along x.
        let azimuth = written.number("azimuth", 90.0)?.to_radians() - rotation;
        let swing = written.within("swing", swing, (0.0, 180.0))?.to_radians();
        let pair = |counter: u64, [mx, my]: [f64; 2]| {
            let draw = |n: u64| 2.0 * uniform(self.seed, 8 * counter + n) - 1.0;
            let h = 0.5 * (offset + 0.5 * spread * draw(2));
            let angle = azimuth + swing * draw(3);
            let (hx, hy) = (h * angle.sin(), h * angle.cos());
            [mx - hx, my - hy, mx + hx, my + hy].map(|c| c as f32)
        };
        let first = (bin as u64) << 40;
        if is_random {
            let default = match size.midpoints {
                Midpoints::Random(n) => n,
                Midpoints::Grid(x, y) => x * y,
            };
            if written.get("ntx").or(written.get("nty")).is_some() {
                return Err("problem.ntx and nty are midpoints on a grid, ntr at random: give one or the other".into());
            }
            let count = written.count("ntr", default, 1 << 26)?;
            let mut geometry: Vec<[f32; 4]> = (0..count as u64)
                .map(|k| {
                    let counter = first + k;
                    let at = |n: u64, length: f64| uniform(self.seed, 8 * counter + n) * length;
                    pair(counter, [at(0, 2.0 * middle[0]), at(1, 2.0 * middle[1])])
                })
                .collect();
            // As surveys are stored: neighbours in the field are neighbours in the file.
            let cell = |g: &[f32; 4]| ((g[0] + g[2]) / 200.0) as i64;
            geometry.sort_by(|a, b| {
                cell(a)
                    .cmp(&cell(b))
                    .then((a[1] + a[3]).total_cmp(&(b[1] + b[3])))
            });
            return Ok(Gather { geometry });
        }
        let (default_x, default_y) = match size.midpoints {
            Midpoints::Grid(x, y) => (x, y),
            Midpoints::Random(_) => (nx, ny),
        };
        let ntx = written.count("ntx", default_x, 1 << 14)?;
        let nty = written.count("nty", default_y, 1 << 14)?;
        let spacing = written.positive("spacing", 25.0)?;
        let at = |i: usize, count: usize, middle: f64| {
            middle + (i as f64 - (count - 1) as f64 / 2.0) * spacing
        };
        let geometry = (0..ntx * nty)
            .map(|k| {
                let midpoint = [at(k / nty, ntx, middle[0]), at(k % nty, nty, middle[1])];
                pair(first + k as u64, midpoint)
            })
            .collect();
        Ok(Gather { geometry })
    }

    fn check(&self) -> Result<(), String> {
        if self.samples < 2 || self.shape[2] < 2 {
            return Err("interpolation needs at least two samples of a trace, and an image at least two times".into());
        }
        if self.gathers.iter().any(|g| g.geometry.is_empty()) {
            return Err("a gather without any trace".into());
        }
        let far = (self.gathers.iter())
            .flat_map(|g| g.geometry.iter().flatten())
            .fold(0.0_f32, |m, c| {
                if c.is_finite() {
                    m.max(c.abs())
                } else {
                    f32::INFINITY
                }
            });
        // f32 resolves half a metre at 5·10⁶ m: a map's coordinates would move the traces.
        if far > 1e6 {
            return Err(format!(
                "a source or receiver lies {far} m from the grid's first node: subtract the grid's origin from the coordinates"
            ));
        }
        // Kernels count samples in f32.
        let slowest = self.velocity.slowest();
        let reach = 2.0 * f64::from(far) + self.extent(0) + self.extent(1);
        let latest = (reach / slowest + self.last_time() + self.t_start.abs()) / self.dt_in;
        if latest > f64::from(1 << 20) {
            return Err(format!(
                "travel times reach {latest:.0} samples; are lengths in metres and velocities in m/s?"
            ));
        }
        Ok(())
    }

    /// From the first to the last node of x or y, m.
    pub(super) fn extent(&self, axis: usize) -> f64 {
        (self.shape[axis] - 1) as f64 * self.spacing[axis]
    }

    pub(super) fn last_time(&self) -> f64 {
        (self.shape[2] - 1) as f64 * self.spacing[2]
    }

    pub(super) fn nodes(&self) -> usize {
        self.shape.iter().product()
    }

    /// One trace of the generator, cast to f32 at the end.
    pub(super) fn trace(&self, bin: usize, trace: usize) -> Vec<f32> {
        let arrival = self.arrival(bin, trace);
        let wavelet = |t: f64| {
            let b = (PI * self.frequency * t).powi(2);
            match self.reflector {
                // Its integral is the Ricker wavelet: what a plane needs to come back as one.
                Reflector::Plane { .. } => {
                    let c = (PI * self.frequency).powi(2);
                    (-6.0 * c * t + 4.0 * c * c * t.powi(3)) * (-b).exp()
                }
                _ if self.is_derivative => {
                    let c = (PI * self.frequency).powi(2);
                    (-6.0 * c * t + 4.0 * c * c * t.powi(3)) * (-b).exp() / (PI * self.frequency)
                }
                _ => (1.0 - 2.0 * b) * (-b).exp(),
            }
        };
        let first = ((bin as u64) << 40) + (trace * self.samples) as u64;
        (0..self.samples)
            .map(|n| {
                let t = self.t_start + n as f64 * self.dt_in;
                let left = self.samples - n;
                let end = match left <= END_TAPER {
                    true => {
                        let into = (END_TAPER - left + 1) as f64 / END_TAPER as f64;
                        0.5 * (1.0 + (PI * into).cos())
                    }
                    false => 1.0,
                };
                let noise = match self.noise {
                    0.0 => 0.0,
                    level => level * gaussian_pair(self.seed, first + n as u64)[0],
                };
                ((wavelet(t - arrival) + noise) * end) as f32
            })
            .collect()
    }

    /// When the reflector's echo arrives at a trace.
    fn arrival(&self, bin: usize, trace: usize) -> f64 {
        let [sx, sy, rx, ry] = self.gathers[bin].geometry[trace].map(f64::from);
        match self.reflector {
            Reflector::Diffractor { node, time } => {
                let x = node[0] as f64 * self.spacing[0];
                let y = node[1] as f64 * self.spacing[1];
                let v = self.velocity.law(node, time);
                let leg = |px: f64, py: f64| {
                    (0.25 * time * time + ((x - px).powi(2) + (y - py).powi(2)) / (v * v)).sqrt()
                };
                leg(sx, sy) + leg(rx, ry)
            }
            // Levin (1971), Geophysics 36(3): the depth below the midpoint along the normal, and the apparent dip.
            Reflector::Plane { dip, time } => {
                let v = self.velocity.law([0, 0], time);
                let along = 0.5 * (sx + rx) - 0.5 * self.extent(0);
                let depth = (0.5 * v * time + along * dip.tan()) * dip.cos();
                let h = 0.5 * (rx - sx).hypot(ry - sy);
                let towards_x = if h > 0.0 { (rx - sx) / (2.0 * h) } else { 0.0 };
                let apparent = 1.0 - (dip.sin() * towards_x).powi(2);
                ((2.0 * depth / v).powi(2) + (2.0 * h / v).powi(2) * apparent).sqrt()
            }
            Reflector::Unknown => f64::INFINITY,
        }
    }

    /// Aperture model of `aperture=depth_adaptive`: its segments of time samples, each with its radius. Half, three quarters and
    /// all of it, from quarters of the time axis on: the published 1000, 1500 and 2000 m from 0, 500 and 1000 ms of 2000.
    pub(super) fn depth_segments(&self) -> Vec<(std::ops::Range<usize>, f64)> {
        let nt = self.shape[2];
        let from = |share: f64| (((nt - 1) as f64 * share).ceil() as usize).min(nt);
        let (quarter, half) = (from(0.25), from(0.5));
        vec![
            (0..quarter, 0.5 * self.amax),
            (quarter..half, 0.75 * self.amax),
            (half..nt, self.amax),
        ]
    }
}

fn memory(written: &Written<'_>, default: u64) -> Result<Bytes, String> {
    match written.get("memory") {
        None => Ok(Bytes(default)),
        Some(Value::Int(v)) if *v >= 1 << 16 => Ok(Bytes(*v as u64)),
        Some(Value::Text(text)) => match parse_bytes(text) {
            Ok(bytes) if bytes.0 >= 1 << 16 => Ok(bytes),
            _ => Err(format!("problem.memory is at least 64 KiB, not `{text}`")),
        },
        Some(other) => Err(format!(
            "problem.memory is a size like 4 MiB, at least 64 KiB, not `{other}`"
        )),
    }
}

/// `[traces, 4]` of sx, sy, rx, ry in metres from the grid's first node, turned into the grid's own axes.
fn read_geometry(written: &Written<'_>, rotation: f64, bins: usize) -> Result<Gather, String> {
    if bins != 1 {
        return Err("traces from a file are one bin".into());
    }
    let Some(file) = written.text("geometry")? else {
        return Err(
            "problem.traces needs `geometry`, an .npy of [traces, 4]: sx, sy, rx, ry".into(),
        );
    };
    let (shape, values) = npy(file)?;
    if shape.len() != 2 || shape[1] != 4 {
        return Err(format!("{file}: wanted [traces, 4], found {shape:?}"));
    }
    let (sine, cosine) = rotation.sin_cos();
    let turned = |x: f64, y: f64| [cosine * x + sine * y, cosine * y - sine * x];
    let geometry = values.chunks_exact(4).map(|g| {
        let (s, r) = (turned(g[0], g[1]), turned(g[2], g[3]));
        [s[0] as f32, s[1] as f32, r[0] as f32, r[1] as f32]
    });
    Ok(Gather {
        geometry: geometry.collect(),
    })
}
