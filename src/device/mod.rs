//! Where a variant executes. A workload describes its GPU work once; the backend carries it out and times it.
mod cache;
mod ceilings;
mod cuda;
#[cfg(test)]
pub(crate) mod emulated;
mod host;
#[cfg(test)]
pub(crate) mod noting;
mod nvml;
pub mod nvrtc;
mod webgpu;

use cache::KernelCache;
pub use host::{available_memory, isa, threads};

use crate::plan::DeviceChoice;
use crate::trial::{Ending, GpuReading, Timing};
use crate::value::{Bytes, Nanoseconds, Value};
use std::any::Any;
use std::ops::DerefMut;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Where a variant executes.
#[derive(Clone, Debug)]
pub enum Device {
    /// The host's processors; commands run here too.
    Host,
    Gpu(Arc<dyn Gpu>),
}

/// What a device does at most, measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Peaks {
    /// Operations a second of independent f32 FMA chains on all cores (an FMA is two).
    pub flops: f64,
    /// Bytes a second of a triad a = b + s·c on all cores, written bytes counted once.
    pub bandwidth: f64,
}

/// What kernels are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    Wgsl,
    Cuda,
}

/// A kernel's source in the device's language, with the constants that it is compiled with.
#[derive(Clone, Debug)]
pub struct Source<'a> {
    /// What messages call it: the file's name.
    pub name: &'a str,
    pub text: &'a str,
    pub entry: &'a str,
    /// WGSL: pipeline-overridable constants, those that the shader has. CUDA: macros.
    pub constants: &'a [(String, Value)],
    /// Threads of a group along x, y, z. WGSL fixes it in the source and is checked against it; CUDA takes it at the launch.
    pub block: Option<[u32; 3]>,
    /// Bytes of dynamic shared memory (CUDA).
    pub shared_memory: u32,
    /// For the compiler (CUDA).
    pub options: &'a [String],
}

/// A compiled kernel, which only its device can launch. Freed when it is dropped.
#[derive(Clone, Debug)]
pub struct Kernel {
    made: Arc<dyn Any + Send + Sync>,
    compile_time: Nanoseconds,
}

impl Kernel {
    fn new(made: impl Any + Send + Sync) -> Kernel {
        Kernel {
            made: Arc::new(made),
            compile_time: Nanoseconds(0.0),
        }
    }

    /// Wall time of its compilation; where several were compiled at once, they shared the processors.
    pub fn compile_time(&self) -> Nanoseconds {
        self.compile_time
    }

    /// # Panics
    /// With a kernel of another device.
    fn of<T: 'static>(&self) -> &T {
        self.made
            .downcast_ref()
            .expect("a kernel of another device")
    }

    fn is(&self, other: &Kernel) -> bool {
        Arc::ptr_eq(&self.made, &other.made)
    }
}

/// Memory of a device, which only that device can use. Freed when it is dropped.
#[derive(Clone, Debug)]
pub struct Buffer(Arc<dyn Any + Send + Sync>);

/// One step of an invocation; steps run in order.
#[derive(Clone, Debug)]
pub struct Step {
    /// Index of the workload's stage that this step's time counts towards.
    pub stage: Option<usize>,
    pub action: Action,
}

/// What a step does.
#[derive(Clone, Debug)]
pub enum Action {
    /// Copies from the host, as part of what is timed.
    Upload {
        to: Buffer,
        bytes: Arc<[u8]>,
        /// Whether it may pass earlier steps that do not use `to`, where the device copies while it computes.
        is_early: bool,
    },
    Launch {
        kernel: Kernel,
        /// Groups along x, y, z.
        grid: [u32; 3],
        /// In the order of the kernel's arguments; arrays are bound in the same order.
        arguments: Vec<Passed>,
    },
}

/// An argument of a launch.
#[derive(Clone, Debug)]
pub enum Passed {
    Buffer(Buffer),
    /// Bytes as the kernel reads them (CUDA; in WGSL a scalar is a constant of the source).
    Scalar(Vec<u8>),
    /// The `__constant__` array of this name (CUDA); in WGSL a buffer like others.
    Constant(String, Buffer),
}

/// How the launches of a recording reach the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Submission {
    /// In one call, where it takes them so: a graph (CUDA), a command buffer (wgpu).
    AtOnce,
    /// In a graph for each (CUDA; wgpu has nothing but command buffers, and this and the next are the same to it).
    GraphForEach,
    /// In a call for each (CUDA).
    OneByOne,
}

/// Memory of the host that a device copies from and to by itself, without the driver copying everything once more.
pub type Pinned = Box<dyn DerefMut<Target = [u8]> + Send + Sync>;

/// Bytes of the buffers that are alive.
#[derive(Debug, Default)]
struct Usage {
    live: AtomicU64,
    peak: AtomicU64,
}

impl Usage {
    fn take(&self, size: u64) {
        let live = self.live.fetch_add(size, Ordering::Relaxed) + size;
        self.peak.fetch_max(live, Ordering::Relaxed);
    }

    fn give_back(&self, size: u64) {
        self.live.fetch_sub(size, Ordering::Relaxed);
    }

    fn live(&self) -> u64 {
        self.live.load(Ordering::Relaxed)
    }

    /// The largest sum since this was asked last.
    fn take_peak(&self) -> Bytes {
        Bytes(self.peak.swap(self.live(), Ordering::Relaxed))
    }
}

/// A GPU. Everything that backends do differently stays behind these calls; what a variant may do wrong is an [`Ending`] that is
/// not `Completed`. A device that is lost panics, since it takes its worker with it.
pub trait Gpu: Send + Sync + std::fmt::Debug {
    /// As a person would tell it from others: name, driver, and whether it is software.
    fn about(&self) -> String;

    fn language(&self) -> Language;

    /// Compiles, or gives what was compiled from the same source before. Several threads may ask at once.
    fn compile(&self, source: &Source<'_>) -> Result<Kernel, Ending> {
        self.cache().get(source, || self.build(source))
    }

    /// Compiles, everything that the driver does later included where it can be made to.
    fn build(&self, source: &Source<'_>) -> Result<Kernel, Ending>;

    /// What was compiled before.
    fn cache(&self) -> &KernelCache;

    /// What the compiler made of a kernel, for the records: name and value.
    fn attributes(&self, kernel: &Kernel) -> Vec<(String, f64)>;

    /// Allocates so many bytes, rounded up to what the device copies. `name` is for messages.
    fn allocate(&self, name: &str, size: u64) -> Result<Buffer, Ending>;

    /// Copies to the start of a buffer and waits.
    fn upload(&self, to: &Buffer, bytes: &[u8]) -> Result<(), Ending> {
        self.upload_at(to, 0, bytes)
    }

    /// Copies to so many bytes behind the start of a buffer, a multiple of 4, and waits.
    fn upload_at(&self, to: &Buffer, offset: u64, bytes: &[u8]) -> Result<(), Ending>;

    /// Waits, and copies the first bytes of a buffer.
    fn download(&self, from: &Buffer, size: u64) -> Result<Vec<u8>, Ending> {
        let mut bytes = vec![0; size as usize];
        self.download_into(from, &mut bytes)?;
        Ok(bytes)
    }

    /// The same into memory that the caller has.
    fn download_into(&self, from: &Buffer, bytes: &mut [u8]) -> Result<(), Ending>;

    /// So many bytes for uploads and downloads, all zero.
    fn pin(&self, _size: usize) -> Result<Pinned, Ending> {
        Err(Ending::Unsupported {
            reason: "this device copies through memory of its own".into(),
        })
    }

    /// Makes everything ready that does not change from one invocation to the next.
    fn record(&self, steps: &[Step]) -> Result<Box<dyn Recording>, Ending> {
        self.record_for(steps, Submission::AtOnce)
    }

    /// The same for another way to submit it.
    fn record_for(
        &self,
        steps: &[Step],
        submission: Submission,
    ) -> Result<Box<dyn Recording>, Ending>;

    /// Overwrites what its caches hold, with twice as much as they have room for, and waits. Returns how much that was: nothing
    /// where it has no cache of its own.
    fn flush(&self) -> Result<Bytes, Ending>;

    /// The largest sum of live allocations since this was asked last.
    fn take_peak(&self) -> Bytes;

    /// What its sensors say; absent where nobody can ask them.
    fn reading(&self) -> Option<GpuReading> {
        None
    }
}

/// Steps of one invocation, ready to be submitted again and again, by one thread at a time.
pub trait Recording: Send {
    /// Submits all steps and waits for the last. `wall` is from submission to completion; `device` by the device's timestamps, from
    /// the start of the first launch to the end of the last, absent where it has none.
    fn run(&mut self) -> Result<Timing, Ending>;
}

/// # Errors
/// When this machine does not have the device: says what there is and what to install.
pub fn open(choice: DeviceChoice) -> Result<Device, String> {
    match choice {
        DeviceChoice::Auto | DeviceChoice::Cpu => Ok(Device::Host),
        DeviceChoice::Wgpu(index) => Ok(Device::Gpu(webgpu::open(index)?)),
        DeviceChoice::Cuda(index) => Ok(Device::Gpu(cuda::open(index)?)),
    }
}

/// Every device with whether it can be used, and why not.
pub fn list() -> Vec<(String, String)> {
    let mut all = vec![("cpu".into(), format!("{} threads, {}", threads(), isa()))];
    all.extend(webgpu::list());
    all.extend(cuda::list());
    all
}

/// Measures the ceilings of the roofline, in about half a second; absent where the device cannot run the kernels for it.
pub fn ceilings(device: &Device) -> Option<Peaks> {
    match device {
        Device::Host => Some(host::ceilings()),
        Device::Gpu(gpu) => ceilings::measure(&**gpu),
    }
}
