//! Launches of the fused kernels: chunks one after the other, the tasks of a chunk in parallel, parts of the elements summed at the
//! end. What a device would do with grids and blocks.
use super::geometry::{Geometry, WIDTH};
use super::lanes::Record;
use super::rotation::Rotation;
use super::settings::{Axis, Fusion, IqLayout, Phase, Prefetch, Settings};
use super::sweep::{self, Kernel, MOST_VOLUMES, Pass};
use super::table::{Layout, MARGIN, Table};
use super::task::{FirstArrival, Job, Tile};
use crate::workload::shared::Shared;
use rayon::prelude::*;

#[cfg(target_arch = "x86_64")]
use super::patch;
/// What a table's number must be able to do: with AVX-512 there is one kernel more that reads it.
#[cfg(target_arch = "x86_64")]
pub(super) use super::patch::Window as Stored;
#[cfg(not(target_arch = "x86_64"))]
pub(super) use crate::workload::stored::Stored;

/// Columns along x and along y of a task; its depths follow from `task_points`.
const TASK_SIDE: usize = 4;

/// Everything that a fused kernel needs, allocated once.
#[derive(Debug)]
pub(super) struct Fused<T> {
    /// One a volume of the batch.
    tables: Vec<Table<T>>,
    rotation: Rotation,
    phasors: Vec<f32>,
    /// fusion=partial: the delays of a chunk.
    delays: Vec<f32>,
    /// element_split: the sums of the further parts, volume after volume.
    parts: Vec<Vec<[f32; 2]>>,
}

impl<T: Stored + Record> Fused<T> {
    pub(super) fn new(geometry: &Geometry, settings: &Settings) -> Fused<T> {
        let layout = match (settings.axis, settings.layout) {
            (Axis::Patch, _) => Layout::Planes,
            (_, IqLayout::ElementSample) => Layout::ElementSample,
            (_, IqLayout::SampleElement) => Layout::SampleElement,
        };
        let points: usize = geometry.shape.iter().product();
        let runs: usize = match settings.fusion {
            Fusion::Partial => tiles(&chunks(geometry, settings)[0], settings).1,
            _ => 0,
        };
        Fused {
            tables: (0..settings.batch)
                .map(|_| Table::new(geometry, layout, settings.phase == Phase::Factored))
                .collect(),
            rotation: match settings.phase {
                Phase::SinCos => Rotation::long(1.0),
                _ if geometry.cycles > 0.25 + 1e-9 => Rotation::long(geometry.cycles),
                _ => Rotation::short(geometry.cycles),
            },
            phasors: match settings.phase {
                Phase::Recurrence => phasors(geometry),
                _ => vec![],
            },
            delays: vec![0.0; runs * geometry.padded * sweep::lanes_of(settings.set)],
            parts: vec![vec![[0.0; 2]; points * settings.batch]; settings.element_split - 1],
        }
    }

    /// Prepares the signals of a batch.
    pub(super) fn fill(&mut self, geometry: &Geometry, frames: &[Vec<[f32; 2]>]) {
        for (table, frame) in self.tables.iter_mut().zip(frames) {
            table.fill(geometry, frame);
        }
    }

    /// Overwrites everything that a run must write before it reads it.
    pub(super) fn poison(&mut self) {
        self.delays.fill(f32::NAN);
        for part in &mut self.parts {
            part.fill([f32::NAN; 2]);
        }
    }

    /// Beamforms the batch that was filled in; `volumes` follow one another.
    pub(super) fn run(
        &mut self,
        geometry: &Geometry,
        settings: &Settings,
        first: FirstArrival<'_>,
        volumes: &mut [[f32; 2]],
    ) {
        let points: usize = geometry.shape.iter().product();
        let Fused {
            tables,
            rotation,
            phasors,
            delays,
            parts,
        } = self;
        let kernel = Kernel {
            settings,
            tables,
            rotation,
            phasors,
        };
        {
            let slabs: Vec<Vec<Shared<'_, [f32; 2]>>> = std::iter::once(&mut *volumes)
                .chain(parts.iter_mut().map(Vec::as_mut_slice))
                .map(|slab| slab.chunks_mut(points).map(Shared::new).collect())
                .collect();
            let ranges = element_ranges(geometry, settings.element_split);
            let jobs: Vec<Job<'_>> = ranges
                .into_iter()
                .zip(&slabs)
                .map(|(elements, outs)| Job {
                    geometry,
                    first,
                    elements,
                    outs,
                })
                .collect();
            for chunk in chunks(geometry, settings) {
                let (tiles, _) = tiles(&chunk, settings);
                if settings.fusion == Fusion::Partial {
                    let delays = Shared::new(delays);
                    // Delays do not depend on the part, but each part knows only its own.
                    launch(&kernel, &jobs, &tiles, Pass::Delays, Some(delays));
                    launch(&kernel, &jobs, &tiles, Pass::Sums, Some(delays));
                } else {
                    launch(&kernel, &jobs, &tiles, Pass::Whole, None);
                }
            }
        }
        for part in parts {
            volumes
                .par_iter_mut()
                .zip(&*part)
                .for_each(|(sum, more)| *sum = [sum[0] + more[0], sum[1] + more[1]]);
        }
    }
}

/// Every tile for every part of the elements, on all threads.
fn launch<T: Stored + Record>(
    kernel: &Kernel<'_, T>,
    jobs: &[Job<'_>],
    tiles: &[Tile],
    pass: Pass,
    delays: Option<Shared<'_, f32>>,
) {
    // One at a time: tasks of the rim and of the middle differ in cost.
    let tasks = (0..jobs.len() * tiles.len())
        .into_par_iter()
        .with_max_len(1);
    let (job, tile) = (
        |task: usize| &jobs[task % jobs.len()],
        |task: usize| &tiles[task / jobs.len()],
    );
    match kernel.settings.axis {
        #[cfg(target_arch = "x86_64")]
        Axis::Patch => tasks.for_each_init(patch::Scratch::default, |scratch, task| {
            patch::run(
                kernel.settings.prefetch == Prefetch::NextLine,
                job(task),
                &kernel.tables[0],
                kernel.rotation,
                tile(task),
                scratch,
            );
        }),
        _ => tasks.for_each_init(sweep::Scratch::default, |scratch, task| {
            sweep::tile(kernel, job(task), pass, tile(task), delays, scratch);
        }),
    }
}

/// The launches: boxes of the grid, depth outermost as in the published plan.
pub(super) fn chunks(geometry: &Geometry, settings: &Settings) -> Vec<Tile> {
    let [nx, ny, nz] = geometry.shape;
    let [cx, cy, cz] = settings.chunk;
    let mut all = vec![];
    for z in (0..nz).step_by(cz) {
        for x in (0..nx).step_by(cx) {
            for y in (0..ny).step_by(cy) {
                all.push(Tile {
                    x: x..(x + cx).min(nx),
                    y: y..(y + cy).min(ny),
                    z: z..(z + cz).min(nz),
                    first_run: 0,
                });
            }
        }
    }
    all
}

/// A chunk's tasks, and how many vectors of points they have together.
fn tiles(chunk: &Tile, settings: &Settings) -> (Vec<Tile>, usize) {
    let depths = (settings.task_points / (TASK_SIDE * TASK_SIDE)).max(1);
    let lanes = sweep::lanes_of(settings.set);
    let (mut all, mut runs) = (vec![], 0);
    for z in chunk.z.clone().step_by(depths) {
        for x in chunk.x.clone().step_by(TASK_SIDE) {
            for y in chunk.y.clone().step_by(TASK_SIDE) {
                let tile = Tile {
                    x: x..(x + TASK_SIDE).min(chunk.x.end),
                    y: y..(y + TASK_SIDE).min(chunk.y.end),
                    z: z..(z + depths).min(chunk.z.end),
                    first_run: runs,
                };
                runs += tile.x.len() * tile.y.len() * tile.z.len().div_ceil(lanes);
                all.push(tile);
            }
        }
    }
    (all, runs)
}

/// Nearly equal parts that start at multiples of `WIDTH`.
fn element_ranges(geometry: &Geometry, parts: usize) -> Vec<std::ops::Range<usize>> {
    let groups = geometry.padded / WIDTH;
    (0..parts)
        .map(|part| part * groups / parts * WIDTH..(part + 1) * groups / parts * WIDTH)
        .collect()
}

/// exp(j2π(fc/fs)(i+½)) for every interval of a table, each from the one before by one rotation. In f64: after 600 rotations the
/// error is still below 1e-13.
pub(super) fn phasors(geometry: &Geometry) -> Vec<f32> {
    let turn = |cycles: f64| {
        let (s, c) = (std::f64::consts::TAU * cycles).sin_cos();
        [c, s]
    };
    let (step, mut now) = (turn(geometry.cycles), turn(geometry.cycles * 0.5));
    let mut all = Vec::with_capacity(4 * (geometry.samples + MARGIN));
    for _ in 0..geometry.samples {
        all.extend([now[0] as f32, now[1] as f32, 0.0, 0.0]);
        now = [
            now[0] * step[0] - now[1] * step[1],
            now[0] * step[1] + now[1] * step[0],
        ];
    }
    all
}

const _: () = assert!(MOST_VOLUMES >= 10, "the declaration's largest batch");
