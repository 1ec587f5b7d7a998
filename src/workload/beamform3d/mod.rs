//! A volumetric ultrasound beamformer: delay, interpolate, rotate and sum over the elements of a matrix array
//! (WORKLOADS §1). Every step that its authors tuned is a parameter here.
#![allow(clippy::disallowed_methods, reason = "stages are timed where they run")]
mod input;
mod plain;
mod simd;
#[cfg(test)]
mod tests;

use super::{Executable, Picture, Problem, Workload, WorkloadEntry};
use crate::array::{Array, Values};
use crate::device::{self, Device};
use crate::plan::Declaration;
use crate::space::{Configuration, Parameter};
use crate::trial::{Ending, Invocation, PictureRecord, Timing, Work};
use crate::value::{Nanoseconds, Value};
use input::Input;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

pub(super) const ENTRY: WorkloadEntry = WorkloadEntry {
    name: "beamform3d",
    declare,
    load: |problem| Ok(Box::new(Beamformer::new(problem)?)),
};

/// Timed parts of an invocation: the six passes of the staged form; the fused form is one.
const STAGES: [&str; 7] = [
    "transmit", "receive", "index", "gather", "rotate", "sum", "fused",
];

fn declare() -> Declaration {
    let texts = |name: &str, values: &[&str]| Parameter {
        name: name.into(),
        values: values.iter().map(|v| Value::Text((*v).into())).collect(),
    };
    let ints = |name: &str, values: &[i64]| Parameter {
        name: name.into(),
        values: values.iter().map(|v| Value::Int(*v)).collect(),
    };
    Declaration {
        name: "beamform3d".into(),
        parameters: vec![
            texts("fusion", &["staged", "fused", "factored"]),
            texts(
                "precision",
                &[
                    "f32",
                    "f16_storage",
                    "bf16_storage",
                    "f16_delays",
                    "bf16_delays",
                ],
            ),
            ints("x_chunk", &[-1, 1, 2, 4, 8, 16, 32]),
            ints("y_chunk", &[-1, 1, 2, 4, 8, 16, 32]),
            ints("z_chunk", &[4, 1, 2, 8, 16, 32, 64, -1]),
            texts("interpolation", &["linear", "nearest"]),
            texts("iq_layout", &["sample_element", "element_sample"]),
            texts("transmit", &["search", "nearest"]),
            texts("simd", &["auto", "portable", "avx2", "avx512"]),
            texts("prefetch", &["none", "next_line"]),
            ints("threads", &[0, 1, 2, 4, 8, 16, 32]),
        ],
        ranges: vec![("threads".into(), 0, 1024)],
        stages: STAGES.map(str::to_owned).to_vec(),
        presets: ["tiny", "laptop", "paper"].map(str::to_owned).to_vec(),
        problem_keys: ["noise", "iq"].map(str::to_owned).to_vec(),
        has_exact: true,
        own_metrics: vec![(
            "peak_shift".into(),
            "distance of the largest voxel from where it should be, voxels".into(),
        )],
    }
}

struct Beamformer {
    input: Arc<Input>,
    pairs: OnceLock<(u64, u64)>,
}

impl Beamformer {
    fn new(problem: &Problem) -> Result<Beamformer, String> {
        Ok(Beamformer {
            input: Arc::new(Input::of(problem)?),
            pairs: OnceLock::new(),
        })
    }

    fn shape(&self) -> [usize; 3] {
        [self.input.x.len(), self.input.y.len(), self.input.z.len()]
    }
}

/// A configuration as the kernels read it.
#[derive(Clone, Debug)]
struct Choice {
    fusion: String,
    precision: String,
    /// Points of a tile along x, y, z.
    tile: [usize; 3],
    is_nearest: bool,
    is_element_major: bool,
    searches_transmit: bool,
    simd: simd::Isa,
    prefetches: bool,
    threads: usize,
}

impl Choice {
    fn of(configuration: &Configuration, shape: [usize; 3]) -> Result<Choice, Ending> {
        let text = |name: &str| {
            configuration
                .get(name)
                .map_or_else(String::new, ToString::to_string)
        };
        let chunk = |name: &str, all: usize| match configuration.get(name) {
            Some(Value::Int(n)) if *n > 0 => (*n as usize).min(all),
            _ => all,
        };
        let threads = match configuration.get("threads") {
            Some(Value::Int(n)) if *n > 0 => *n as usize,
            _ => device::threads(),
        };
        let choice = Choice {
            fusion: text("fusion"),
            precision: text("precision"),
            tile: [
                chunk("x_chunk", shape[0]),
                chunk("y_chunk", shape[1]),
                chunk("z_chunk", shape[2]),
            ],
            is_nearest: text("interpolation") == "nearest",
            is_element_major: text("iq_layout") == "element_sample",
            searches_transmit: text("transmit") != "nearest",
            simd: simd::Isa::of(&text("simd")).map_err(unsupported)?,
            prefetches: text("prefetch") == "next_line",
            threads,
        };
        choice.refuse_what_has_no_effect(&text("simd"))?;
        Ok(choice)
    }

    /// A parameter that would change nothing is refused: two names for one thing must not be ranked (WORKLOADS §0.6).
    fn refuse_what_has_no_effect(&self, simd: &str) -> Result<(), Ending> {
        let no_effect = match self.fusion.as_str() {
            "factored" if self.is_nearest => {
                Some("interpolation: nearest is not implemented for fusion: factored")
            }
            "factored" if !self.is_element_major => Some(
                "fusion: factored makes its own table, element after element: say iq_layout: element_sample",
            ),
            "factored" if self.precision != "f32" => {
                Some("fusion: factored keeps its table in single precision")
            }
            "factored" => None,
            _ if simd != "auto" && simd != "portable" => {
                Some("only fusion: factored has kernels for one instruction set")
            }
            _ if self.prefetches => Some("only fusion: factored prefetches"),
            _ => None,
        };
        match no_effect {
            Some(reason) => Err(unsupported(reason)),
            None => Ok(()),
        }
    }
}

fn unsupported(reason: impl Into<String>) -> Ending {
    Ending::Unsupported {
        reason: reason.into(),
    }
}

impl Workload for Beamformer {
    fn prepare(
        &self,
        device: &Device,
        configuration: &Configuration,
    ) -> Result<Box<dyn Executable>, Ending> {
        let Device::Host = device;
        let choice = Choice::of(configuration, self.shape())?;
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(choice.threads)
            .build()
            .map_err(|e| Ending::Failed {
                reason: format!("no threads: {e}"),
            })?;
        let kernel = match choice.fusion.as_str() {
            "factored" => Kernel::Factored(simd::Table::new(&self.input, &choice)),
            "fused" => Kernel::Fused(plain::Source::new(&self.input, &choice)),
            _ => Kernel::Staged(plain::Source::new(&self.input, &choice)),
        };
        let volume = vec![[0.0; 2]; self.input.points()];
        Ok(Box::new(Prepared {
            input: self.input.clone(),
            choice,
            pool,
            kernel,
            volume,
        }))
    }

    fn exact(&self) -> Option<Array> {
        let values = self.input.exact().into_iter().flatten().collect();
        Some(Array {
            shape: [&self.shape()[..], &[2]].concat(),
            values: Values::F64(values),
            is_complex: true,
        })
    }

    /// WORKLOADS §1e, with the exact share of pairs that are in range.
    fn work(&self, _configuration: &Configuration) -> Option<Work> {
        let (used, all) = *self.pairs.get_or_init(|| self.input.pairs());
        let (used, all) = (used as f64, all as f64);
        let (samples, elements) = (self.input.samples as f64, self.input.elements.len() as f64);
        Some(Work {
            flops: 15.0 * all + 19.0 * used,
            sqrt: 2.0 * all,
            trig: 2.0 * used,
            bytes: 8.0 * samples * elements + 8.0 * self.input.points() as f64 + 12.0 * elements,
        })
    }

    fn own_metrics(&self, output: &Array, expected: &Array) -> Vec<f64> {
        let [_, ny, nz] = self.shape();
        let peak = |array: &Array| -> [f64; 3] {
            let values = array.to_f64();
            let magnitude = |p: usize| values[2 * p].hypot(values[2 * p + 1]);
            let best = (0..values.len() / 2)
                .max_by(|&a, &b| magnitude(a).total_cmp(&magnitude(b)))
                .unwrap_or(0);
            [
                (best / (ny * nz)) as f64,
                (best / nz % ny) as f64,
                (best % nz) as f64,
            ]
        };
        let (a, b) = (peak(output), peak(expected));
        vec![
            a.iter()
                .zip(b)
                .map(|(a, b)| (a - b) * (a - b))
                .sum::<f64>()
                .sqrt(),
        ]
    }

    fn pictures(&self, output: &Array) -> Vec<Picture> {
        let [nx, ny, nz] = self.shape();
        let values = output.to_f64();
        let magnitude = |i: usize, j: usize, k: usize| {
            let p = (i * ny + j) * nz + k;
            values[2 * p].hypot(values[2 * p + 1])
        };
        let largest = (0..nx * ny * nz)
            .map(|p| values[2 * p].hypot(values[2 * p + 1]))
            .fold(f64::MIN_POSITIVE, f64::max);
        // What lies below −60 dB is black: a rounding there is no difference that anybody sees.
        let decibel = |m: f64| (20.0 * (m / largest).log10()).clamp(-60.0, 0.0) as f32;
        let Some(([i0, j0, k0], _)) = self.input.scatterers.first().copied() else {
            return vec![];
        };
        let mm = |axis: &[f32]| {
            (
                f64::from(axis[0]) * 1e3,
                f64::from(axis[axis.len() - 1]) * 1e3,
            )
        };
        let (x, y, z) = (mm(&self.input.x), mm(&self.input.y), mm(&self.input.z));
        let slice = |name: &str,
                     title: String,
                     labels: (&str, &str),
                     ranges: ((f64, f64), (f64, f64)),
                     (w, h): (usize, usize),
                     at: &dyn Fn(usize, usize) -> f64| {
            let values = (0..h)
                .flat_map(|row| (0..w).map(move |column| (column, row)))
                .map(|(c, r)| decibel(at(c, r)))
                .collect();
            Picture {
                record: PictureRecord {
                    file: name.into(),
                    title,
                    unit: "dB".into(),
                    x_label: labels.0.into(),
                    y_label: labels.1.into(),
                    x_range: ranges.0,
                    y_range: ranges.1,
                    scale: (-60.0, 0.0),
                    width: w,
                    height: h,
                },
                values,
            }
        };
        vec![
            slice(
                "xz",
                format!(
                    "x–z slice at y = {:.1} mm",
                    f64::from(self.input.y[j0]) * 1e3
                ),
                ("x, mm", "z, mm"),
                (x, z),
                (nx, nz),
                &|c, r| magnitude(c, j0, r),
            ),
            slice(
                "yz",
                format!(
                    "y–z slice at x = {:.1} mm",
                    f64::from(self.input.x[i0]) * 1e3
                ),
                ("y, mm", "z, mm"),
                (y, z),
                (ny, nz),
                &|c, r| magnitude(i0, c, r),
            ),
            slice(
                "xy",
                format!(
                    "x–y slice at z = {:.1} mm",
                    f64::from(self.input.z[k0]) * 1e3
                ),
                ("x, mm", "y, mm"),
                (x, y),
                (nx, ny),
                &|c, r| magnitude(c, r, k0),
            ),
        ]
    }
}

enum Kernel {
    Staged(plain::Source),
    Fused(plain::Source),
    Factored(simd::Table),
}

struct Prepared {
    input: Arc<Input>,
    choice: Choice,
    pool: rayon::ThreadPool,
    kernel: Kernel,
    /// `[x][y][z]` (re, im)
    volume: Vec<[f32; 2]>,
}

impl Executable for Prepared {
    fn run(&mut self) -> Result<Invocation, Ending> {
        let Prepared {
            input,
            choice,
            pool,
            kernel,
            volume,
        } = self;
        let started = Instant::now();
        let mut stages = [0.0; STAGES.len()];
        match kernel {
            Kernel::Staged(source) => {
                plain::staged(input, choice, source, pool, volume, &mut stages)
            }
            Kernel::Fused(source) => plain::fused(input, choice, source, pool, volume),
            Kernel::Factored(table) => {
                pool.install(|| simd::factored(input, choice, table, volume))
            }
        }
        let wall = started.elapsed().as_nanos() as f64;
        if !matches!(kernel, Kernel::Staged(_)) {
            stages[STAGES.len() - 1] = wall;
        }
        let timing = Timing {
            wall: Nanoseconds(wall),
            device: None,
            stages: stages.map(Nanoseconds).to_vec(),
        };
        Ok(Invocation {
            timing,
            ..Invocation::default()
        })
    }

    fn poison(&mut self) {
        self.volume.fill([f32::NAN; 2]);
    }

    fn output(&mut self) -> Result<Option<Array>, Ending> {
        let shape = vec![
            self.input.x.len(),
            self.input.y.len(),
            self.input.z.len(),
            2,
        ];
        let values = Values::F32(self.volume.as_flattened().to_vec());
        Ok(Some(Array {
            shape,
            values,
            is_complex: true,
        }))
    }
}
