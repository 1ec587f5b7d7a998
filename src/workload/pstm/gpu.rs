//! Migration on a GPU: the same kernels in WGSL and CUDA, completed with a configuration's constants. A lane has its own buffers
//! and its own recording; the pipeline feeds it loads, and the tile's sums come back after its last one.
#![allow(
    unsafe_code,
    clippy::disallowed_methods,
    reason = "lanes write their own tiles of one image; stages are timed where they run"
)]
use super::exact::{DOMINANT, HIGHEST, LONGEST_TRIANGLE, STRETCH};
use super::lanes::Sample;
use super::pipeline::{Engine, Pipeline, Place, Spent};
use super::scene::Scene;
use super::settings::{AntiAlias, Aperture, Interpolation, Mute, Settings, Traversal};
use super::store::{BEFORE, Batch, stride};
use super::velocity::Lookup;
use super::{STAGES, counted, cpu, fill_between, output, weights};
use crate::array::Array;
use crate::device::{Action, Buffer, Gpu, Kernel, Language, Passed, Recording, Source, Step};
use crate::space::Configuration;
use crate::trial::{Ending, Invocation, Timing};
use crate::value::{Bytes, Nanoseconds, Value};
use crate::workload::Executable;
use crate::workload::shared::Shared;
use crate::workload::template::Names;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

const WGSL: &str = include_str!("../../../kernels/pstm/pstm.wgsl");
const CUDA: &str = include_str!("../../../kernels/pstm/pstm.cu");

/// Groups along z that every device takes; with traversal=trace_scatter one a trace.
const MOST_GROUPS: usize = 65_535;

/// A literal that both languages read as a number of single precision.
fn real(value: f64) -> Value {
    Value::Text(format!("{value:e}f"))
}

fn whole(value: usize) -> Value {
    Value::Int(value as i64)
}

/// The constants of the kernels; see the comment at the top of pstm.cu.
fn constants<T: Sample>(
    scene: &Scene,
    settings: &Settings,
    language: Language,
) -> Vec<(String, Value)> {
    let imaging = &settings.imaging;
    let [_, _, nt] = scene.shape;
    let [dx, dy, dt] = scene.spacing;
    let segments = scene.depth_segments();
    let coarse = dx.max(dy);
    let cube = match imaging.velocity {
        Lookup::CentrePillar => ([1, 1, 1], [1, 1, 1]),
        _ => (scene.velocity.shape, scene.velocity.step),
    };
    let kind = std::any::type_name::<T>();
    let storage = match T::BYTES {
        4 => 32,
        _ if kind.ends_with("bf16") => 17,
        _ => 16,
    };
    let all = [
        ("storage", Value::Int(storage)),
        ("times", whole(cpu::computed(nt, imaging.time_step))),
        ("step", whole(imaging.time_step)),
        ("last_time", whole(nt - 1)),
        ("stride", whole(stride(scene.samples))),
        ("before", whole(BEFORE)),
        ("begin", real(scene.t_start / scene.dt_in)),
        ("end", real((scene.samples - 1) as f64)),
        ("dx", real(dx)),
        ("dy", real(dy)),
        ("half_time", real(0.5 * dt / scene.dt_in)),
        ("per_sample", real(1.0 / (scene.dt_in * scene.dt_in))),
        ("dt", real(scene.dt_in)),
        (
            "lookup",
            Value::Int(match imaging.velocity {
                Lookup::CentrePillar => 0,
                Lookup::Nearest => 1,
                Lookup::Trilinear => 2,
            }),
        ),
        ("cube_x", whole(cube.0[0])),
        ("cube_y", whole(cube.0[1])),
        ("cube_t", whole(cube.0[2])),
        ("step_x", whole(cube.1[0])),
        ("step_y", whole(cube.1[1])),
        ("step_t", whole(cube.1[2])),
        (
            "interpolation",
            Value::Int(match imaging.interpolation {
                Interpolation::Nearest => 0,
                Interpolation::Linear => 1,
                Interpolation::Cubic => 3,
                Interpolation::Sinc8 => 8,
            }),
        ),
        ("sinc_steps", whole(weights::SINC_STEPS)),
        (
            "aperture",
            Value::Int(match imaging.aperture {
                Aperture::Fixed => 0,
                Aperture::DepthAdaptive => 1,
                Aperture::Dip => 2,
            }),
        ),
        ("amax", real(scene.amax)),
        ("amin", real(scene.amin)),
        ("quarter_from", whole(segments[1].0.start)),
        ("half_from", whole(segments[2].0.start)),
        ("dip_tangent", real(scene.dip_tangent)),
        ("flat_share", real(1.0 - scene.taper)),
        (
            "mute",
            Value::Int(match imaging.mute {
                Mute::Off => 0,
                Mute::Outer => 1,
                Mute::Stretch => 2,
            }),
        ),
        ("slow_mute", real(1.0 / scene.v_mute)),
        ("per_ramp", real(1.0 / scene.mute_ramp)),
        ("stretch", real(STRETCH)),
        ("has_spreading", Value::Bool(imaging.has_spreading)),
        ("has_obliquity", Value::Bool(imaging.has_obliquity)),
        (
            "anti_alias",
            Value::Int(match imaging.anti_alias {
                AntiAlias::None => 0,
                AntiAlias::Weight => 1,
                AntiAlias::Triangle => 2,
            }),
        ),
        ("grid_dominant", real(4.0 * coarse * DOMINANT)),
        ("least_share", real(DOMINANT / HIGHEST)),
        ("coarse", real(coarse)),
        ("longest", whole(LONGEST_TRIANGLE)),
        ("is_local", Value::Bool(settings.is_velocity_local)),
        ("trace_batch", whole(settings.trace_batch)),
        ("tg_x", whole(settings.group[0])),
        ("tg_y", whole(settings.group[1])),
        ("tg_t", whole(settings.group[2])),
    ];
    let named = |(name, value): (&str, Value)| {
        let name = match language {
            Language::Wgsl => name.to_owned(),
            // Macros in small letters would be found in the headers.
            Language::Cuda => name.to_uppercase(),
        };
        (name, value)
    };
    all.into_iter().map(named).collect()
}

/// The entry points of one configuration.
struct Kernels {
    /// gather, or scatter.
    add: Kernel,
    /// Of scatter, which cannot begin at nothing by itself.
    clear: Option<Kernel>,
}

impl Kernels {
    fn new<T: Sample>(
        gpu: &dyn Gpu,
        scene: &Scene,
        settings: &Settings,
    ) -> Result<Kernels, Ending> {
        let language = gpu.language();
        let values = constants::<T>(scene, settings, language);
        let (name, macros, text) = match language {
            Language::Cuda => ("pstm.cu", values, CUDA.to_owned()),
            Language::Wgsl => {
                let names = Names {
                    configuration: &Configuration::new(values),
                    scratch: Path::new(""),
                };
                let text = names.render(WGSL, "pstm.wgsl");
                (
                    "pstm.wgsl",
                    vec![],
                    text.map_err(|reason| Ending::Failed { reason })?,
                )
            }
        };
        let [x, y, t] = settings.group.map(|n| u32::try_from(n).unwrap_or(u32::MAX));
        let compile = |entry: &str| {
            gpu.compile(&Source {
                name,
                text: &text,
                entry,
                constants: &macros,
                block: Some([t, y, x]),
                shared_memory: 0,
                options: &[],
            })
        };
        Ok(match settings.traversal {
            Traversal::TileGather => Kernels {
                add: compile("gather")?,
                clear: None,
            },
            Traversal::TraceScatter => Kernels {
                add: compile("scatter")?,
                clear: Some(compile("clear")?),
            },
        })
    }

    fn compile_time(&self) -> Nanoseconds {
        let clear = self.clear.as_ref().map_or(0.0, |k| k.compile_time().0);
        Nanoseconds(self.add.compile_time().0 + clear)
    }
}

/// Compiles what `prepare` will ask for.
pub(super) fn compile<T: Sample>(gpu: &dyn Gpu, scene: &Scene, settings: &Settings) {
    let _ = Kernels::new::<T>(gpu, scene, settings);
}

/// What one lane has to itself.
struct Lane {
    info: Buffer,
    traces: Buffer,
    geometry: Buffer,
    image: Buffer,
    fold: Buffer,
    clear: Option<Box<dyn Recording>>,
    add: Box<dyn Recording>,
    spent: LaneSpent,
}

#[derive(Clone, Copy, Debug, Default)]
struct LaneSpent {
    upload: Duration,
    download: Duration,
    device: Option<Nanoseconds>,
}

struct Prepared<T> {
    gpu: Arc<dyn Gpu>,
    scene: Arc<Scene>,
    settings: Settings,
    pipeline: Pipeline<T>,
    lanes: Vec<Mutex<Lane>>,
    times: usize,
    /// `[bin][x][y][computed time]`, and the image at every time where not all are computed.
    image: Vec<f32>,
    fold: Vec<u32>,
    between: Vec<f32>,
    spent: Spent,
    peak: Bytes,
    build_time: Nanoseconds,
    attributes: Vec<(String, f64)>,
}

pub(super) fn prepare<T: Sample>(
    gpu: &Arc<dyn Gpu>,
    scene: &Arc<Scene>,
    settings: &Settings,
    pipeline: Pipeline<T>,
) -> Result<Box<dyn Executable>, Ending> {
    let kernels = Kernels::new::<T>(&**gpu, scene, settings)?;
    let [nx, ny, nt] = scene.shape;
    let times = cpu::computed(nt, settings.imaging.time_step);
    let most = scene
        .gathers
        .iter()
        .map(|g| g.geometry.len())
        .max()
        .unwrap_or(0);
    let capacity = pipeline.capacity.min(most);
    if settings.traversal == Traversal::TraceScatter && capacity > MOST_GROUPS {
        return Err(Ending::OverLimit {
            limit: format!(
                "traversal=trace_scatter has a group for each of {capacity} traces of a load; {MOST_GROUPS} are allowed (memory_percent)"
            ),
        });
    }
    // The peak is this variant's, and not that of one before it.
    gpu.take_peak();
    let velocities: &[f32] = match settings.imaging.velocity {
        Lookup::CentrePillar => &scene.velocity.pillar,
        _ => &scene.velocity.cube,
    };
    let filled = |name: &str, values: &[f32]| -> Result<Buffer, Ending> {
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let buffer = gpu.allocate(name, bytes.len() as u64)?;
        gpu.upload(&buffer, &bytes)?;
        Ok(buffer)
    };
    let velocities = filled("velocities", velocities)?;
    let sinc = match settings.imaging.interpolation {
        Interpolation::Sinc8 => filled("sinc", weights::sinc_table())?,
        _ => gpu.allocate("sinc", 4)?,
    };
    let tile = [settings.tile[0].min(nx), settings.tile[1].min(ny)];
    let sums = 4 * (tile[0] * tile[1] * times) as u64;
    let [gx, gy, gt] = settings.group;
    let [across_t, across_y, across_x] = [
        times.div_ceil(gt),
        tile[1].div_ceil(gy),
        tile[0].div_ceil(gx),
    ];
    let groups = |grid: [usize; 3]| grid.map(|n| u32::try_from(n).unwrap_or(u32::MAX));
    let mut lanes = vec![];
    for _ in 0..settings.tiles_in_flight * settings.bins_in_flight {
        let info = gpu.allocate("info", 32)?;
        let traces = gpu.allocate(
            "traces",
            (capacity * stride(scene.samples) * T::BYTES) as u64,
        )?;
        let geometry = gpu.allocate("geometry", 16 * capacity as u64)?;
        let image = gpu.allocate("image", sums)?;
        let fold = gpu.allocate("fold", sums)?;
        let arguments: Vec<Passed> = [&info, &traces, &geometry, &velocities, &image, &fold, &sinc]
            .into_iter()
            .map(|buffer| Passed::Buffer(buffer.clone()))
            .collect();
        let launch = |kernel: &Kernel, grid: [usize; 3]| Step {
            stage: None,
            action: Action::Launch {
                kernel: kernel.clone(),
                grid: groups(grid),
                arguments: arguments.clone(),
            },
        };
        let nodes = [across_t, across_y, across_x];
        let add = match settings.traversal {
            Traversal::TileGather => launch(&kernels.add, nodes),
            Traversal::TraceScatter => {
                launch(&kernels.add, [across_t, across_y * across_x, capacity])
            }
        };
        let clear = kernels
            .clear
            .as_ref()
            .map(|kernel| gpu.record(&[launch(kernel, nodes)]));
        lanes.push(Mutex::new(Lane {
            clear: clear.transpose()?,
            add: gpu.record(&[add])?,
            info,
            traces,
            geometry,
            image,
            fold,
            spent: LaneSpent::default(),
        }));
    }
    let bins = scene.gathers.len();
    let nodes = if settings.imaging.time_step == 1 {
        0
    } else {
        bins * scene.nodes()
    };
    Ok(Box::new(Prepared {
        peak: gpu.take_peak(),
        gpu: gpu.clone(),
        scene: scene.clone(),
        settings: *settings,
        pipeline,
        lanes,
        times,
        image: vec![0.0; bins * nx * ny * times],
        fold: vec![0; bins * nx * ny * times],
        between: vec![0.0; nodes],
        spent: Spent::default(),
        build_time: kernels.compile_time(),
        attributes: gpu.attributes(&kernels.add),
    }))
}

struct OnGpu<'a> {
    gpu: &'a dyn Gpu,
    scene: &'a Scene,
    lanes: &'a [Mutex<Lane>],
    times: usize,
    /// Of all bins; tiles are written by one lane each.
    image: Shared<'a, f32>,
    fold: Shared<'a, u32>,
}

impl OnGpu<'_> {
    /// The tile's sums to their rows of the image.
    fn bring_back(&self, lane: &Lane, place: Place<'_>) -> Result<(), Ending> {
        let [nx, ny, _] = self.scene.shape;
        let size = 4 * (place.tile.pillars() * self.times) as u64;
        let (image, fold) = (
            self.gpu.download(&lane.image, size)?,
            self.gpu.download(&lane.fold, size)?,
        );
        let mut rows = image
            .chunks_exact(4 * self.times)
            .zip(fold.chunks_exact(4 * self.times));
        for x in place.tile.x.clone() {
            for y in place.tile.y.clone() {
                let (image, fold) = rows.next().expect("a row for each pillar");
                let at = ((place.bin * nx + x) * ny + y) * self.times;
                for (i, (a, f)) in image.chunks_exact(4).zip(fold.chunks_exact(4)).enumerate() {
                    // SAFETY: the tile is this lane's alone.
                    unsafe {
                        self.image
                            .write(at + i, f32::from_le_bytes([a[0], a[1], a[2], a[3]]));
                        self.fold
                            .write(at + i, u32::from_le_bytes([f[0], f[1], f[2], f[3]]));
                    }
                }
            }
        }
        Ok(())
    }
}

impl<T: Sample> Engine<T> for OnGpu<'_> {
    fn migrate(&self, lane: usize, place: Place<'_>, batch: &Batch<T>) -> Result<(), Ending> {
        let mut lane = self.lanes[lane]
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let lane = &mut *lane;
        let started = Instant::now();
        let tile = place.tile;
        let info = [
            tile.x.start,
            tile.y.start,
            tile.x.len(),
            tile.y.len(),
            batch.traces.len(),
            usize::from(place.is_first),
            0,
            0,
        ];
        let info: Vec<u8> = info
            .iter()
            .flat_map(|n| (*n as u32).to_le_bytes())
            .collect();
        self.gpu.upload(&lane.info, &info)?;
        if !batch.traces.is_empty() {
            self.gpu.upload(&lane.traces, batch.bytes())?;
            let geometry: Vec<u8> = batch
                .geometry
                .as_flattened()
                .iter()
                .flat_map(|v| v.to_le_bytes())
                .collect();
            self.gpu.upload(&lane.geometry, &geometry)?;
        }
        lane.spent.upload += started.elapsed();
        let mut device = |timing: Timing| {
            if let Some(time) = timing.device {
                let so_far = lane.spent.device.map_or(0.0, |d| d.0);
                lane.spent.device = Some(Nanoseconds(so_far + time.0));
            }
        };
        if let (Some(clear), true) = (&mut lane.clear, place.is_first) {
            device(clear.run()?);
        }
        device(lane.add.run()?);
        if place.is_last {
            let started = Instant::now();
            self.bring_back(lane, place)?;
            lane.spent.download += started.elapsed();
        }
        Ok(())
    }
}

impl<T: Sample> Executable for Prepared<T> {
    fn run(&mut self) -> Result<Invocation, Ending> {
        for lane in &mut self.lanes {
            lane.get_mut().unwrap_or_else(PoisonError::into_inner).spent = LaneSpent::default();
        }
        let started = Instant::now();
        let engine = OnGpu {
            gpu: &*self.gpu,
            scene: &self.scene,
            lanes: &self.lanes,
            times: self.times,
            image: Shared::new(&mut self.image),
            fold: Shared::new(&mut self.fold),
        };
        let spent = self.pipeline.run(&engine)?;
        let migrated = started.elapsed();
        let step = self.settings.imaging.time_step;
        if step > 1 {
            fill_between(
                &self.image,
                self.times,
                step,
                self.scene.shape[2],
                &mut self.between,
            );
        }
        let wall = started.elapsed();
        self.spent = spent;
        let count = self.lanes.len() as u32;
        let mut all = LaneSpent::default();
        for lane in &mut self.lanes {
            let lane = lane.get_mut().unwrap_or_else(PoisonError::into_inner).spent;
            all.upload += lane.upload / count;
            all.download += lane.download / count;
            if let Some(time) = lane.device {
                all.device = Some(Nanoseconds(all.device.map_or(0.0, |d| d.0) + time.0));
            }
        }
        let kernels = spent.migrating.saturating_sub(all.upload + all.download);
        let stages = [
            spent.waiting,
            all.upload,
            kernels,
            all.download,
            wall - migrated,
        ];
        debug_assert_eq!(stages.len(), STAGES.len());
        Ok(Invocation {
            timing: Timing {
                wall: wall.into(),
                device: all.device,
                stages: stages.map(Nanoseconds::from).to_vec(),
            },
            ..Invocation::default()
        })
    }

    fn poison(&mut self) {
        self.image.fill(f32::NAN);
        self.fold.fill(u32::MAX);
        self.between.fill(f32::NAN);
    }

    fn output(&mut self) -> Result<Option<Array>, Ending> {
        let step = self.settings.imaging.time_step;
        let image = if step == 1 {
            &self.image
        } else {
            &self.between
        };
        Ok(Some(output(&self.scene, image, &self.fold, step)))
    }

    fn keeps_time(&self) -> bool {
        true
    }

    fn build_time(&self) -> Option<Nanoseconds> {
        Some(self.build_time)
    }

    fn attributes(&self) -> Vec<(String, f64)> {
        [self.attributes.clone(), counted(&self.spent)].concat()
    }

    fn device_peak(&self) -> Bytes {
        self.peak
    }
}
