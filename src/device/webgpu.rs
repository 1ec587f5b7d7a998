//! GPUs of every vendor through wgpu: Vulkan, Metal, DirectX 12 and OpenGL.
#![allow(
    clippy::disallowed_methods,
    reason = "owns the clock around a submission"
)]
mod shader;

use super::host::available_memory;
use super::{
    Action, Buffer, Gpu, Kernel, KernelCache, Language, Passed, Recording, Source, Step,
    Submission, Usage,
};
use crate::trial::{Ending, Timing};
use crate::value::{Bytes, Nanoseconds};
use pollster::block_on;
use shader::Shader;
use std::num::NonZeroU64;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;
use wgpu::{Backend, BufferUsages, DeviceType, Features};

/// What a shader may use where the adapter has it.
const WANTED: [(Features, &str); 7] = [
    (Features::TIMESTAMP_QUERY, "timestamps"),
    (Features::SHADER_F16, "f16"),
    (Features::SHADER_F64, "f64"),
    (Features::SHADER_INT64, "i64"),
    (Features::SUBGROUP, "subgroups"),
    (Features::SUBGROUP_BARRIER, "subgroup barriers"),
    (Features::SHADER_FLOAT32_ATOMIC, "f32 atomics"),
];

/// What is said where there is nothing: the first thing that a user can do about it.
const NONE: &str = "unsupported here: wgpu finds no adapter; install your GPU's Vulkan driver (or, for one in software, \
                    Debian's mesa-vulkan-drivers)";

/// Largest number of timestamps in a query set (WebGPU, §20.1).
const MOST_TIMESTAMPS: usize = 4096;

/// WebGPU tells no size of a cache. This is twice that of an RTX 4060 Ti (32 MiB); in an RTX 4090's (72 MiB) something may stay,
/// where CUDA knows better.
const FLUSHED: u64 = 64 << 20;

/// Opens the adapter of this index in the order of [`list`].
pub(super) fn open(index: u32) -> Result<Arc<dyn Gpu>, String> {
    let all = adapters();
    let there = all.len();
    let Some(adapter) = all.into_iter().nth(index as usize) else {
        return Err(match there {
            0 => NONE.into(),
            1 => format!("unsupported here: there is no wgpu:{index}, only wgpu:0"),
            n => format!(
                "unsupported here: there is no wgpu:{index}, only wgpu:0 to wgpu:{}",
                n - 1
            ),
        });
    };
    Ok(Arc::new(Webgpu::open(&adapter)?))
}

/// Every adapter: hardware first, and OpenGL only for what nothing better reaches.
pub(super) fn list() -> Vec<(String, String)> {
    let all = adapters();
    if all.is_empty() {
        return vec![("wgpu".into(), NONE.into())];
    }
    let line = |(i, adapter): (usize, &wgpu::Adapter)| (format!("wgpu:{i}"), about(adapter));
    all.iter().enumerate().map(line).collect()
}

fn adapters() -> Vec<wgpu::Adapter> {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let mut all = block_on(instance.enumerate_adapters(wgpu::Backends::all()));
    let names: Vec<String> = (all.iter().map(wgpu::Adapter::get_info))
        .filter(|info| info.backend != Backend::Gl)
        .map(|info| info.name)
        .collect();
    all.retain(|adapter| {
        let info = adapter.get_info();
        info.backend != Backend::Gl || !names.iter().any(|name| info.name.contains(name.as_str()))
    });
    all.sort_by_key(|adapter| {
        let info = adapter.get_info();
        let rank = match info.device_type {
            DeviceType::DiscreteGpu => 0,
            DeviceType::IntegratedGpu => 1,
            DeviceType::VirtualGpu => 2,
            DeviceType::Other => 3,
            DeviceType::Cpu => 4,
        };
        (rank, info.backend == Backend::Gl)
    });
    all
}

fn about(adapter: &wgpu::Adapter) -> String {
    let (info, limits, features) = (adapter.get_info(), adapter.limits(), adapter.features());
    let software = match info.device_type {
        DeviceType::Cpu => ", in software on the processor",
        _ => "",
    };
    let driver = [info.driver, info.driver_info].join(" ");
    let can: Vec<&str> = (WANTED.iter().filter(|(f, _)| features.contains(*f)))
        .map(|(_, name)| *name)
        .collect();
    format!(
        "{}{software}; {:?}, {}; {}; groups of {} threads with {}, buffers of {}",
        info.name,
        info.backend,
        driver.trim(),
        can.join(", "),
        limits.max_compute_invocations_per_workgroup,
        Bytes(u64::from(limits.max_compute_workgroup_storage_size)),
        Bytes(
            limits
                .max_storage_buffer_binding_size
                .min(limits.max_buffer_size)
        ),
    )
}

#[derive(Debug)]
struct Webgpu {
    device: wgpu::Device,
    queue: wgpu::Queue,
    limits: wgpu::Limits,
    about: String,
    has_timestamps: bool,
    usage: Arc<Usage>,
    /// Of a software adapter, which lets everything be allocated and dies later.
    budget: Option<Bytes>,
    /// What is overwritten where the caches are to be cold; nothing of a software adapter, which shares the host's.
    flushed_size: u64,
    flushed: OnceLock<wgpu::Buffer>,
    faults: Arc<Faults>,
    kernels: KernelCache,
}

/// What the driver told outside of any call.
#[derive(Debug, Default)]
struct Faults {
    error: Mutex<Option<String>>,
    lost: Mutex<Option<String>>,
}

impl Faults {
    /// # Panics
    /// When the device is lost: nothing in this process can use it again.
    fn check(&self) -> Result<(), Ending> {
        let take =
            |of: &Mutex<Option<String>>| of.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(why) = take(&self.lost) {
            panic!("the GPU was lost: {why}");
        }
        take(&self.error).map_or(Ok(()), |reason| Err(Ending::Failed { reason }))
    }
}

struct Compiled {
    pipeline: wgpu::ComputePipeline,
    name: String,
    /// Bindings of group 0 that the entry point uses.
    bindings: Vec<u32>,
    /// Of a group.
    threads: u32,
    memory: u64,
}

struct Allocation {
    buffer: wgpu::Buffer,
    usage: Arc<Usage>,
}

impl Drop for Allocation {
    fn drop(&mut self) {
        self.usage.give_back(self.buffer.size());
    }
}

fn failed(reason: impl Into<String>) -> Ending {
    Ending::Failed {
        reason: reason.into(),
    }
}

fn over(limit: String) -> Ending {
    Ending::OverLimit { limit }
}

/// Copies are made of words.
fn padded(size: u64) -> u64 {
    size.max(1).next_multiple_of(wgpu::COPY_BUFFER_ALIGNMENT)
}

fn allocation(buffer: &Buffer) -> &Allocation {
    buffer.0.downcast_ref().expect("a buffer of this device")
}

impl Webgpu {
    fn open(adapter: &wgpu::Adapter) -> Result<Webgpu, String> {
        let wanted = WANTED
            .iter()
            .fold(Features::empty(), |all, (one, _)| all | *one);
        let limits = adapter.limits();
        let descriptor = wgpu::DeviceDescriptor {
            required_features: adapter.features() & wanted,
            required_limits: limits.clone(),
            ..wgpu::DeviceDescriptor::default()
        };
        let (device, queue) = block_on(adapter.request_device(&descriptor))
            .map_err(|e| format!("{}: {e}", about(adapter)))?;
        let faults = Arc::new(Faults::default());
        let note = |to: &Mutex<Option<String>>, text: String| {
            to.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .get_or_insert(text);
        };
        let told = faults.clone();
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            note(&told.error, error.to_string());
        }));
        let told = faults.clone();
        device.set_device_lost_callback(move |reason, text| {
            if reason != wgpu::DeviceLostReason::Destroyed {
                note(&told.lost, text);
            }
        });
        let is_software = adapter.get_info().device_type == DeviceType::Cpu;
        Ok(Webgpu {
            has_timestamps: device.features().contains(Features::TIMESTAMP_QUERY),
            about: about(adapter),
            budget: available_memory()
                .filter(|_| is_software)
                .map(|all| Bytes(all.0 / 10 * 8)),
            flushed_size: match is_software {
                true => 0,
                false => FLUSHED.min(limits.max_buffer_size),
            },
            flushed: OnceLock::new(),
            device,
            queue,
            limits,
            usage: Arc::default(),
            kernels: KernelCache::default(),
            faults,
        })
    }

    /// What wgpu does not check itself and drivers answer with undefined behaviour: the size of groups and of their memory where
    /// it comes from pipeline-overridable constants (seen with wgpu 30: 400 MB of workgroup memory were accepted).
    fn check_group(&self, group: [u32; 3], memory: u64) -> Result<(), Ending> {
        let limits = &self.limits;
        let most = [
            limits.max_compute_workgroup_size_x,
            limits.max_compute_workgroup_size_y,
            limits.max_compute_workgroup_size_z,
        ];
        let threads: u64 = group.iter().map(|&n| u64::from(n)).product();
        let [x, y, z] = group;
        if threads > u64::from(limits.max_compute_invocations_per_workgroup)
            || group.iter().zip(most).any(|(n, most)| *n > most)
        {
            return Err(over(format!(
                "a group of {x} × {y} × {z} threads; this device has {} at most, {} × {} × {} along the axes",
                limits.max_compute_invocations_per_workgroup, most[0], most[1], most[2]
            )));
        }
        if memory > u64::from(limits.max_compute_workgroup_storage_size) {
            return Err(over(format!(
                "{} of workgroup memory; this device has {}",
                Bytes(memory),
                Bytes(u64::from(limits.max_compute_workgroup_storage_size))
            )));
        }
        Ok(())
    }

    /// The first error of `make`.
    fn scoped<T>(&self, make: impl FnOnce() -> T) -> (T, Option<String>) {
        let scope = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let internal = self.device.push_error_scope(wgpu::ErrorFilter::Internal);
        let made = make();
        let errors = [block_on(internal.pop()), block_on(scope.pop())];
        (
            made,
            errors.into_iter().flatten().map(|e| e.to_string()).next(),
        )
    }

    fn wait(&self, submission: wgpu::SubmissionIndex) -> Result<(), Ending> {
        let waited = self.device.poll(wgpu::PollType::Wait {
            submission_index: Some(submission),
            timeout: None,
        });
        self.faults.check()?;
        waited.map_err(|e| failed(e.to_string())).map(|_| ())
    }

    fn bind(&self, kernel: &Compiled, buffers: &[Buffer]) -> Result<wgpu::BindGroup, Ending> {
        let mut entries = vec![];
        for &binding in &kernel.bindings {
            let buffer = buffers.get(binding as usize).ok_or_else(|| {
                failed(format!(
                    "{} uses @binding({binding}), but the plan has {} buffers",
                    kernel.name,
                    buffers.len()
                ))
            })?;
            entries.push(wgpu::BindGroupEntry {
                binding,
                resource: allocation(buffer).buffer.as_entire_binding(),
            });
        }
        let (group, error) = self.scoped(|| {
            self.device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: None,
                layout: &kernel.pipeline.get_bind_group_layout(0),
                entries: &entries,
            })
        });
        error.map_or(Ok(group), |e| Err(failed(e)))
    }

    fn staging(&self, size: u64) -> wgpu::Buffer {
        self.device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size,
            usage: BufferUsages::MAP_READ | BufferUsages::COPY_DST,
            mapped_at_creation: false,
        })
    }
}

impl Gpu for Webgpu {
    fn about(&self) -> String {
        self.about.clone()
    }

    fn language(&self) -> Language {
        Language::Wgsl
    }

    fn cache(&self) -> &KernelCache {
        &self.kernels
    }

    fn build(&self, source: &Source<'_>) -> Result<Kernel, Ending> {
        if source.text.contains("enable f16;")
            && !self.device.features().contains(Features::SHADER_F16)
        {
            return Err(Ending::Unsupported {
                reason: "this adapter has no f16 arithmetic".into(),
            });
        }
        let shader = Shader::read(source)?;
        self.check_group(shader.group, shader.memory)?;
        if let Some(block) = source.block
            && block != shader.group
        {
            let ([a, b, c], [x, y, z]) = (block, shader.group);
            return Err(failed(format!(
                "{}: the plan says block: {a} × {b} × {c}, @workgroup_size is {x} × {y} × {z}",
                source.name
            )));
        }
        let constants: Vec<(&str, f64)> = shader
            .constants
            .iter()
            .map(|(name, value)| (name.as_str(), *value))
            .collect();
        let (pipeline, error) = self.scoped(|| {
            let module = self
                .device
                .create_shader_module(wgpu::ShaderModuleDescriptor {
                    label: Some(source.name),
                    source: wgpu::ShaderSource::Wgsl(source.text.into()),
                });
            self.device
                .create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                    label: Some(source.name),
                    layout: None,
                    module: &module,
                    entry_point: Some(source.entry),
                    compilation_options: wgpu::PipelineCompilationOptions {
                        constants: &constants,
                        ..Default::default()
                    },
                    cache: None,
                })
        });
        if let Some(error) = error {
            return Err(failed(error));
        }
        self.faults.check()?;
        Ok(Kernel::new(Compiled {
            pipeline,
            name: source.name.into(),
            bindings: shader.bindings,
            threads: shader.group.iter().product(),
            memory: shader.memory,
        }))
    }

    fn attributes(&self, kernel: &Kernel) -> Vec<(String, f64)> {
        let kernel: &Compiled = kernel.of();
        vec![
            ("group_threads".into(), f64::from(kernel.threads)),
            ("group_memory_bytes".into(), kernel.memory as f64),
        ]
    }

    fn allocate(&self, name: &str, size: u64) -> Result<Buffer, Ending> {
        let size = padded(size);
        let largest = self
            .limits
            .max_storage_buffer_binding_size
            .min(self.limits.max_buffer_size);
        if size > largest {
            return Err(over(format!(
                "buffer `{name}` of {}; this device has buffers of {} at most",
                Bytes(size),
                Bytes(largest)
            )));
        }
        let live = self.usage.live() + size;
        if let Some(budget) = self.budget.filter(|budget| live > budget.0) {
            return Err(over(format!(
                "buffers of {} up to `{name}`; 80 % of what was free on this machine are {budget}",
                Bytes(live)
            )));
        }
        let scope = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let (buffer, error) = self.scoped(|| {
            self.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some(name),
                size,
                usage: BufferUsages::STORAGE
                    | BufferUsages::UNIFORM
                    | BufferUsages::COPY_SRC
                    | BufferUsages::COPY_DST,
                mapped_at_creation: false,
            })
        });
        if block_on(scope.pop()).is_some() {
            return Err(over(format!(
                "buffer `{name}` of {}: the device's memory is full",
                Bytes(size)
            )));
        }
        if let Some(error) = error {
            return Err(failed(error));
        }
        self.usage.take(size);
        Ok(Buffer(Arc::new(Allocation {
            buffer,
            usage: self.usage.clone(),
        })))
    }

    fn upload_at(&self, to: &Buffer, offset: u64, bytes: &[u8]) -> Result<(), Ending> {
        write(&self.queue, to, offset, bytes);
        let submission = self.queue.submit([]);
        self.wait(submission)
    }

    fn download_into(&self, from: &Buffer, bytes: &mut [u8]) -> Result<(), Ending> {
        let size = padded(bytes.len() as u64);
        let staging = self.staging(size);
        let mut encoder = self.device.create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(&allocation(from).buffer, 0, &staging, 0, size);
        let submission = self.queue.submit([encoder.finish()]);
        staging.map_async(wgpu::MapMode::Read, .., |_| {});
        self.wait(submission)?;
        let view = staging
            .get_mapped_range(..)
            .map_err(|e| failed(e.to_string()))?;
        bytes.copy_from_slice(&view[..bytes.len()]);
        Ok(())
    }

    fn record_for(
        &self,
        steps: &[Step],
        _submission: Submission,
    ) -> Result<Box<dyn Recording>, Ending> {
        let mut segments: Vec<Segment> = vec![];
        let mut passes = 0;
        for step in steps {
            match &step.action {
                // There is one queue, which takes uploads from the program while it computes.
                Action::Upload { to, bytes, .. } => match segments.last_mut() {
                    Some(segment) if segment.passes.is_empty() => {
                        segment.uploads.push((to.clone(), bytes.clone()));
                    }
                    _ => segments.push(Segment {
                        uploads: vec![(to.clone(), bytes.clone())],
                        passes: vec![],
                    }),
                },
                Action::Launch {
                    kernel,
                    grid,
                    arguments,
                } => {
                    let arrays = |passed: &Passed| match passed {
                        Passed::Buffer(buffer) | Passed::Constant(_, buffer) => {
                            Some(buffer.clone())
                        }
                        Passed::Scalar(_) => None,
                    };
                    let buffers: Vec<Buffer> = arguments.iter().filter_map(arrays).collect();
                    let kernel: &Compiled = kernel.of();
                    let most = self.limits.max_compute_workgroups_per_dimension;
                    if grid.iter().any(|&n| n == 0 || n > most) {
                        let [x, y, z] = grid;
                        return Err(over(format!(
                            "a grid of {x} × {y} × {z} groups; this device has 1 to {most} along an axis"
                        )));
                    }
                    if segments.is_empty() {
                        segments.push(Segment::default());
                    }
                    let segment = segments.last_mut().expect("pushed above");
                    // Launches of one stage share a pass, and with it its two timestamps.
                    if segment
                        .passes
                        .last()
                        .is_none_or(|pass| pass.stage != step.stage)
                    {
                        segment.passes.push(Pass {
                            stage: step.stage,
                            launches: vec![],
                        });
                        passes += 1;
                    }
                    let launch = Launch {
                        pipeline: kernel.pipeline.clone(),
                        group: self.bind(kernel, &buffers)?,
                        grid: *grid,
                        _buffers: buffers,
                    };
                    segment
                        .passes
                        .last_mut()
                        .expect("pushed above")
                        .launches
                        .push(launch);
                }
            }
        }
        let count = 2 * passes;
        let stamps = (self.has_timestamps && (1..=MOST_TIMESTAMPS).contains(&count)).then(|| {
            let size = 8 * count as u64;
            let resolved = self.device.create_buffer(&wgpu::BufferDescriptor {
                label: None,
                size,
                usage: BufferUsages::QUERY_RESOLVE | BufferUsages::COPY_SRC,
                mapped_at_creation: false,
            });
            let set = self.device.create_query_set(&wgpu::QuerySetDescriptor {
                label: None,
                ty: wgpu::QueryType::Timestamp,
                count: count as u32,
            });
            Stamps {
                set,
                resolved,
                staging: self.staging(size),
                size,
            }
        });
        self.faults.check()?;
        Ok(Box::new(Recorded {
            device: self.device.clone(),
            queue: self.queue.clone(),
            faults: self.faults.clone(),
            stages: steps
                .iter()
                .filter_map(|s| s.stage)
                .max()
                .map_or(0, |last| last + 1),
            segments,
            stamps,
        }))
    }

    fn flush(&self) -> Result<Bytes, Ending> {
        if self.flushed_size == 0 {
            return Ok(Bytes(0));
        }
        let buffer = self.flushed.get_or_init(|| {
            self.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("caches"),
                size: self.flushed_size,
                usage: BufferUsages::COPY_DST,
                mapped_at_creation: false,
            })
        });
        let mut encoder = self.device.create_command_encoder(&Default::default());
        encoder.clear_buffer(buffer, 0, None);
        let submission = self.queue.submit([encoder.finish()]);
        self.wait(submission)?;
        Ok(Bytes(self.flushed_size))
    }

    fn take_peak(&self) -> Bytes {
        self.usage.take_peak()
    }
}

/// Takes effect before the next submission.
fn write(queue: &wgpu::Queue, to: &Buffer, offset: u64, bytes: &[u8]) {
    let size = padded(bytes.len() as u64);
    if size == bytes.len() as u64 {
        queue.write_buffer(&allocation(to).buffer, offset, bytes);
    } else if let Some(size) = NonZeroU64::new(size)
        && let Some(mut view) = queue.write_buffer_with(&allocation(to).buffer, offset, size)
    {
        view.slice(..bytes.len()).copy_from_slice(bytes);
        view.slice(bytes.len()..).fill(0);
    }
}

/// What goes to the queue in one piece: uploads, then passes.
#[derive(Default)]
struct Segment {
    uploads: Vec<(Buffer, Arc<[u8]>)>,
    passes: Vec<Pass>,
}

struct Pass {
    stage: Option<usize>,
    launches: Vec<Launch>,
}

struct Launch {
    pipeline: wgpu::ComputePipeline,
    group: wgpu::BindGroup,
    grid: [u32; 3],
    /// Alive as long as the group, so that they are counted.
    _buffers: Vec<Buffer>,
}

/// Two timestamps a pass.
struct Stamps {
    set: wgpu::QuerySet,
    resolved: wgpu::Buffer,
    staging: wgpu::Buffer,
    size: u64,
}

struct Recorded {
    device: wgpu::Device,
    queue: wgpu::Queue,
    faults: Arc<Faults>,
    segments: Vec<Segment>,
    stages: usize,
    stamps: Option<Stamps>,
}

impl Recording for Recorded {
    fn run(&mut self) -> Result<Timing, Ending> {
        let mut next = 0;
        let last = self.segments.len().saturating_sub(1);
        let commands: Vec<wgpu::CommandBuffer> = (self.segments.iter().enumerate())
            .map(|(i, segment)| self.encode(segment, &mut next, i == last))
            .collect();
        let started = Instant::now();
        let mut submission = None;
        for (segment, commands) in self.segments.iter().zip(commands) {
            for (to, bytes) in &segment.uploads {
                write(&self.queue, to, 0, bytes);
            }
            submission = Some(self.queue.submit([commands]));
        }
        if let Some(stamps) = &self.stamps {
            stamps.staging.map_async(wgpu::MapMode::Read, .., |_| {});
        }
        let waited = self.device.poll(wgpu::PollType::Wait {
            submission_index: submission,
            timeout: None,
        });
        let wall = Nanoseconds::from(started.elapsed());
        self.faults.check()?;
        waited.map_err(|e| failed(e.to_string()))?;
        let mut timing = Timing {
            wall,
            ..Timing::default()
        };
        if let Some(stamps) = &self.stamps {
            self.read(stamps, &mut timing)?;
        }
        Ok(timing)
    }
}

impl Recorded {
    /// `next` counts timestamps.
    fn encode(&self, segment: &Segment, next: &mut u32, is_last: bool) -> wgpu::CommandBuffer {
        let mut encoder = self.device.create_command_encoder(&Default::default());
        for pass in &segment.passes {
            let timestamp_writes = self.stamps.as_ref().map(|stamps| {
                *next += 2;
                wgpu::ComputePassTimestampWrites {
                    query_set: &stamps.set,
                    beginning_of_pass_write_index: Some(*next - 2),
                    end_of_pass_write_index: Some(*next - 1),
                }
            });
            let mut open = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
                label: None,
                timestamp_writes,
            });
            for launch in &pass.launches {
                let [x, y, z] = launch.grid;
                open.set_pipeline(&launch.pipeline);
                open.set_bind_group(0, &launch.group, &[]);
                open.dispatch_workgroups(x, y, z);
            }
        }
        if let Some(stamps) = self.stamps.as_ref().filter(|_| is_last) {
            encoder.resolve_query_set(&stamps.set, 0..*next, &stamps.resolved, 0);
            encoder.copy_buffer_to_buffer(&stamps.resolved, 0, &stamps.staging, 0, stamps.size);
        }
        encoder.finish()
    }

    fn read(&self, stamps: &Stamps, timing: &mut Timing) -> Result<(), Ending> {
        let view = stamps
            .staging
            .get_mapped_range(..)
            .map_err(|e| failed(e.to_string()))?;
        let ticks: Vec<u64> = (view.chunks_exact(8))
            .map(|b| u64::from_le_bytes(b.try_into().expect("eight bytes")))
            .collect();
        drop(view);
        stamps.staging.unmap();
        let period = f64::from(self.queue.get_timestamp_period());
        let between = |a: u64, b: u64| Nanoseconds(b.saturating_sub(a) as f64 * period);
        let pairs: Vec<&[u64]> = ticks.chunks_exact(2).collect();
        if let (Some(first), Some(last)) = (
            ticks.iter().step_by(2).min(),
            pairs.iter().map(|p| p[1]).max(),
        ) {
            timing.device = Some(between(*first, last));
        }
        timing.stages = vec![Nanoseconds(0.0); self.stages];
        let passes = self.segments.iter().flat_map(|segment| &segment.passes);
        for (pass, pair) in passes.zip(pairs) {
            if let Some(stage) = pass.stage {
                timing.stages[stage].0 += between(pair[0], pair[1]).0;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_is_overwritten_again_and_again_by_one_buffer() {
        let Some(adapter) = adapters().into_iter().next() else {
            assert!(std::env::var_os("PHASETUNE_NEEDS_GPU").is_none(), "{NONE}");
            return;
        };
        let mut gpu = Webgpu::open(&adapter).unwrap();
        // Of an adapter in software too.
        gpu.flushed_size = 1 << 20;
        for _ in 0..3 {
            assert_eq!(gpu.flush().unwrap(), Bytes(1 << 20));
            assert_eq!(gpu.flushed.get().unwrap().size(), 1 << 20);
        }
        assert_eq!(gpu.take_peak(), Bytes(0), "it is no buffer of the workload");
    }
}
