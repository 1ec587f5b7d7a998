//! The forms that are written as they are thought: six passes over arrays, and one loop with everything in it.
use super::Choice;
use super::input::Input;
use half::{bf16, f16};
use rayon::prelude::*;
use std::time::Instant;

/// IQ data in the layout and the precision that were asked for.
pub(super) struct Source {
    iq: Storage,
    /// Distance between neighbouring samples of an element, and between elements.
    sample_stride: usize,
    element_stride: usize,
}

enum Storage {
    F32(Vec<[f32; 2]>),
    F16(Vec<[f16; 2]>),
    Bf16(Vec<[bf16; 2]>),
}

impl Source {
    pub(super) fn new(input: &Input, choice: &Choice) -> Source {
        let n = input.elements.len();
        let iq: Vec<[f32; 2]> = if choice.is_element_major {
            (0..n)
                .flat_map(|e| (0..input.samples).map(move |s| (s, e)))
                .map(|(s, e)| input.iq[s * n + e])
                .collect()
        } else {
            input.iq.clone()
        };
        let storage = match choice.precision.as_str() {
            "f16_storage" => Storage::F16(iq.iter().map(|z| z.map(f16::from_f32)).collect()),
            "bf16_storage" => Storage::Bf16(iq.iter().map(|z| z.map(bf16::from_f32)).collect()),
            _ => Storage::F32(iq),
        };
        let (sample_stride, element_stride) = if choice.is_element_major {
            (1, input.samples)
        } else {
            (n, 1)
        };
        Source {
            iq: storage,
            sample_stride,
            element_stride,
        }
    }

    #[inline(always)]
    fn at(&self, sample: usize, element: usize) -> [f32; 2] {
        let place = sample * self.sample_stride + element * self.element_stride;
        match &self.iq {
            Storage::F32(v) => v[place],
            Storage::F16(v) => v[place].map(f16::to_f32),
            Storage::Bf16(v) => v[place].map(bf16::to_f32),
        }
    }
}

/// Positions in samples: metres times fs/c once, so that a delay is a distance.
struct Geometry {
    elements: Vec<(f32, f32)>,
    delays: Vec<f32>,
    x: Vec<f32>,
    y: Vec<f32>,
    z: Vec<f32>,
    offset: f32,
    /// Cycles a sample.
    cycles: f32,
    /// Index beyond which the next sample does not exist.
    last: f32,
    is_nearest: bool,
    searches: bool,
    rounding: fn(f32) -> f32,
}

impl Geometry {
    fn new(input: &Input, choice: &Choice) -> Geometry {
        let k = input.fs / input.c;
        let scaled = |axis: &[f32]| axis.iter().map(|v| (f64::from(*v) * k) as f32).collect();
        Geometry {
            elements: input
                .elements
                .iter()
                .map(|(x, y)| ((f64::from(*x) * k) as f32, (f64::from(*y) * k) as f32))
                .collect(),
            delays: input
                .delays
                .iter()
                .map(|d| (f64::from(*d) * input.fs) as f32)
                .collect(),
            x: scaled(&input.x),
            y: scaled(&input.y),
            z: scaled(&input.z),
            offset: (input.t0 * input.fs) as f32,
            cycles: (input.fc / input.fs) as f32,
            last: (input.samples - 2) as f32,
            is_nearest: choice.is_nearest,
            searches: choice.searches_transmit
                || input.delays.iter().any(|d| *d != input.delays[0]),
            rounding: match choice.precision.as_str() {
                "f16_delays" => |v| f16::from_f32(v).to_f32(),
                "bf16_delays" => |v| bf16::from_f32(v).to_f32(),
                _ => |v| v,
            },
        }
    }

    #[inline(always)]
    fn distance(&self, e: usize, p: [f32; 3]) -> f32 {
        let (dx, dy) = (p[0] - self.elements[e].0, p[1] - self.elements[e].1);
        (dx * dx + dy * dy + p[2] * p[2]).sqrt()
    }

    /// Virtual first arrival in samples. With equal delays it is the distance to the nearest element, which for a grid of
    /// elements is nearest in x and in y; otherwise all have to be searched.
    #[inline(always)]
    fn transmit(&self, p: [f32; 3]) -> f32 {
        if self.searches {
            return (0..self.elements.len())
                .map(|e| self.delays[e] + self.distance(e, p))
                .fold(f32::INFINITY, f32::min);
        }
        let nearest = |get: fn(&(f32, f32)) -> f32, v: f32| {
            self.elements
                .iter()
                .map(|e| (v - get(e)).abs())
                .fold(f32::INFINITY, f32::min)
        };
        let (dx, dy) = (nearest(|e| e.0, p[0]), nearest(|e| e.1, p[1]));
        self.delays[0] + (dx * dx + dy * dy + p[2] * p[2]).sqrt()
    }
}

/// Tiles of the grid as (x range, y range, z range), x slowest.
fn tiles(input: &Input, tile: [usize; 3]) -> Vec<[std::ops::Range<usize>; 3]> {
    let cut = |n: usize, size: usize| (0..n).step_by(size).map(move |i| i..(i + size).min(n));
    let mut all = vec![];
    for x in cut(input.x.len(), tile[0]) {
        for y in cut(input.y.len(), tile[1]) {
            all.extend(cut(input.z.len(), tile[2]).map(|z| [x.clone(), y.clone(), z]));
        }
    }
    all
}

fn points_of<'a>(
    geometry: &'a Geometry,
    tile: &'a [std::ops::Range<usize>; 3],
) -> impl Iterator<Item = ([usize; 3], [f32; 3])> + 'a {
    let [x, y, z] = tile.clone();
    x.flat_map(move |i| {
        let z = z.clone();
        y.clone().flat_map(move |j| {
            z.clone()
                .map(move |k| ([i, j, k], [geometry.x[i], geometry.y[j], geometry.z[k]]))
        })
    })
}

/// Six passes over arrays of points × elements, as an array library would run them; each pass on all threads.
pub(super) fn staged(
    input: &Input,
    choice: &Choice,
    source: &Source,
    pool: &rayon::ThreadPool,
    volume: &mut [[f32; 2]],
    stages: &mut [f64],
) {
    let geometry = Geometry::new(input, choice);
    let n = input.elements.len();
    let (ny, nz) = (input.y.len(), input.z.len());
    for tile in tiles(input, choice.tile) {
        let points: Vec<([usize; 3], [f32; 3])> = points_of(&geometry, &tile).collect();
        let pairs = points.len() * n;
        let mut clock = Instant::now();
        let mut lap = |stage: &mut f64| {
            *stage += clock.elapsed().as_nanos() as f64;
            clock = Instant::now();
        };
        pool.install(|| {
            let mut distances = vec![0.0_f32; pairs];
            distances
                .par_chunks_mut(n)
                .zip(&points)
                .for_each(|(row, (_, p))| {
                    row.iter_mut()
                        .enumerate()
                        .for_each(|(e, d)| *d = geometry.distance(e, *p));
                });
            let first: Vec<f32> = if geometry.searches {
                distances
                    .par_chunks(n)
                    .map(|row| {
                        row.iter()
                            .zip(&geometry.delays)
                            .map(|(r, d)| r + d)
                            .fold(f32::INFINITY, f32::min)
                    })
                    .collect()
            } else {
                points
                    .par_iter()
                    .map(|(_, p)| geometry.transmit(*p))
                    .collect()
            };
            lap(&mut stages[0]);
            distances
                .par_chunks_mut(n)
                .zip(&first)
                .for_each(|(row, first)| {
                    row.iter_mut()
                        .for_each(|d| *d = (geometry.rounding)(*d + first - geometry.offset));
                });
            lap(&mut stages[1]);
            let mut index = vec![0_i32; pairs];
            let mut weight = vec![0.0_f32; pairs];
            index
                .par_chunks_mut(n)
                .zip(weight.par_chunks_mut(n))
                .zip(distances.par_chunks(n))
                .for_each(|((i, a), s)| {
                    for ((i, a), s) in i.iter_mut().zip(a).zip(s) {
                        let floor = s.floor();
                        let is_valid = *s >= 0.0 && floor <= geometry.last;
                        *i = if is_valid { floor as i32 } else { -1 };
                        *a = s - floor;
                    }
                });
            lap(&mut stages[2]);
            let mut values = vec![[0.0_f32; 2]; pairs];
            values
                .par_chunks_mut(n)
                .zip(index.par_chunks(n))
                .zip(weight.par_chunks(n))
                .for_each(|((v, i), a)| {
                    for (e, ((v, i), a)) in v.iter_mut().zip(i).zip(a).enumerate() {
                        *v = if *i < 0 {
                            [0.0; 2]
                        } else {
                            interpolate(source, &geometry, *i as usize, *a, e)
                        };
                    }
                });
            lap(&mut stages[3]);
            values
                .par_chunks_mut(n)
                .zip(distances.par_chunks(n))
                .for_each(|(v, s)| {
                    v.iter_mut()
                        .zip(s)
                        .for_each(|(v, s)| *v = rotate(*v, *s, geometry.cycles));
                });
            lap(&mut stages[4]);
            let sums: Vec<[f32; 2]> = values
                .par_chunks(n)
                .map(|row| {
                    row.iter()
                        .fold([0.0; 2], |sum, v| [sum[0] + v[0], sum[1] + v[1]])
                })
                .collect();
            for (([i, j, k], _), sum) in points.iter().zip(sums) {
                volume[(i * ny + j) * nz + k] = sum;
            }
            lap(&mut stages[5]);
        });
    }
}

/// Everything for one point in two loops over the elements, nothing stored in between.
pub(super) fn fused(
    input: &Input,
    choice: &Choice,
    source: &Source,
    pool: &rayon::ThreadPool,
    volume: &mut [[f32; 2]],
) {
    let geometry = Geometry::new(input, choice);
    let n = input.elements.len();
    let (ny, nz) = (input.y.len(), input.z.len());
    let tiles = tiles(input, choice.tile);
    let found: Vec<Vec<(usize, [f32; 2])>> = pool.install(|| {
        tiles
            .par_iter()
            .map(|tile| {
                points_of(&geometry, tile)
                    .map(|([i, j, k], p)| {
                        let first = geometry.transmit(p);
                        let mut sum = [0.0_f32; 2];
                        for e in 0..n {
                            let s = (geometry.rounding)(
                                geometry.distance(e, p) + first - geometry.offset,
                            );
                            let floor = s.floor();
                            if s >= 0.0 && floor <= geometry.last {
                                let v =
                                    interpolate(source, &geometry, floor as usize, s - floor, e);
                                let v = rotate(v, s, geometry.cycles);
                                sum = [sum[0] + v[0], sum[1] + v[1]];
                            }
                        }
                        ((i * ny + j) * nz + k, sum)
                    })
                    .collect()
            })
            .collect()
    });
    for (place, value) in found.into_iter().flatten() {
        volume[place] = value;
    }
}

#[inline(always)]
fn interpolate(source: &Source, geometry: &Geometry, i: usize, a: f32, e: usize) -> [f32; 2] {
    let (u, v) = (source.at(i, e), source.at(i + 1, e));
    if geometry.is_nearest {
        return if a < 0.5 { u } else { v };
    }
    [(1.0 - a) * u[0] + a * v[0], (1.0 - a) * u[1] + a * v[1]]
}

/// Times exp(2πj·cycles·s); the phase is reduced in cycles, where it is exact, before it becomes an angle.
#[inline(always)]
fn rotate(v: [f32; 2], s: f32, cycles: f32) -> [f32; 2] {
    let turn = cycles * s;
    let (sin, cos) = (std::f32::consts::TAU * (turn - turn.round())).sin_cos();
    [v[0] * cos - v[1] * sin, v[0] * sin + v[1] * cos]
}
