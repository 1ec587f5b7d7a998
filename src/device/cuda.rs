//! NVIDIA GPUs through the CUDA driver, which is loaded when it is asked for: a machine without it is a normal machine.
#![allow(unsafe_code, reason = "calls the CUDA driver")]
mod locked;
mod recording;

use super::nvml::Meter;
use super::{
    Buffer, Gpu, Kernel, KernelCache, Language, Pinned, Recording, Source, Step, Submission, Usage,
    nvrtc,
};
use crate::trial::{Ending, GpuReading};
use crate::value::Bytes;
use cudarc::driver::sys::{self, CUdevice_attribute_enum as Attribute, CUresult};
use cudarc::driver::{CudaContext, CudaFunction, CudaModule, CudaStream, DriverError, result};
use cudarc::nvrtc::Ptx;
use locked::Locked;
use recording::Recorded;
use std::sync::{Arc, Mutex, PoisonError};

/// Opens the device of this index.
pub(super) fn open(index: u32) -> Result<Arc<dyn Gpu>, String> {
    let count = count()?;
    if index >= count {
        return Err(match count {
            1 => format!("unsupported here: there is no cuda:{index}, only cuda:0"),
            n => format!(
                "unsupported here: there is no cuda:{index}, only cuda:0 to cuda:{}",
                n - 1
            ),
        });
    }
    if !nvrtc::is_present() {
        return Err(format!("unsupported here: {}", nvrtc::ABSENT));
    }
    Ok(Arc::new(
        Cuda::open(index as usize).map_err(|e| format!("cuda:{index}: {e}"))?,
    ))
}

/// Every device, or why there is none.
pub(super) fn list() -> Vec<(String, String)> {
    match count() {
        Err(why) => vec![("cuda".into(), why)],
        Ok(count) => (0..count)
            .map(|i| {
                let about = Cuda::open(i as usize)
                    .map_or_else(|e| format!("unsupported: {e}"), |cuda| cuda.about);
                let compiler = match nvrtc::is_present() {
                    true => String::new(),
                    false => format!("; unsupported: {}", nvrtc::ABSENT),
                };
                (format!("cuda:{i}"), about + &compiler)
            })
            .collect(),
    }
}

fn count() -> Result<u32, String> {
    // SAFETY: only tries to open the library; cudarc panics where it is missing and was not asked for first.
    if !unsafe { sys::is_culib_present() } {
        return Err("unsupported here: there is no libcuda.so; install NVIDIA's driver".into());
    }
    let counted = result::init().and_then(|()| result::device::get_count());
    match counted {
        Ok(n) if n > 0 => Ok(n as u32),
        Ok(_) | Err(DriverError(CUresult::CUDA_ERROR_NO_DEVICE)) => {
            Err("unsupported here: NVIDIA's driver finds no GPU".into())
        }
        Err(error) => Err(format!("unsupported here: NVIDIA's driver says {error}")),
    }
}

/// The first driver whose graphs have everything that is called here: CUDA 12.0.
const GRAPHS_SINCE: i32 = 12_000;

/// 12040 is CUDA 12.4.
fn driver_version() -> Result<i32, DriverError> {
    let mut version = 0;
    // SAFETY: only writes the number.
    unsafe { sys::cuDriverGetVersion(&raw mut version) }.result()?;
    Ok(version)
}

#[derive(Debug)]
struct Cuda {
    context: Arc<CudaContext>,
    /// For what is no recording's and no copy's.
    stream: Arc<CudaStream>,
    /// For copies each way, so that neither waits for the other nor for a kernel of another thread.
    uploads: Arc<CudaStream>,
    downloads: Arc<CudaStream>,
    about: String,
    /// `sm_90`.
    architecture: String,
    usage: Arc<Usage>,
    kernels: KernelCache,
    /// What is overwritten where the cache is to be cold: made when it is asked for first, and not counted.
    flushed: Mutex<Option<Buffer>>,
    flushed_size: u64,
    has_graphs: bool,
    has_pool: bool,
    meter: Option<Meter>,
}

struct Compiled {
    name: String,
    module: Arc<CudaModule>,
    function: CudaFunction,
    block: [u32; 3],
    shared_memory: u32,
}

struct Allocation {
    context: Arc<CudaContext>,
    /// The stream in whose order it came from the pool, and goes back; absent: it came from the device itself.
    pooled: Option<Arc<CudaStream>>,
    pointer: sys::CUdeviceptr,
    size: u64,
    usage: Arc<Usage>,
}

impl Drop for Allocation {
    fn drop(&mut self) {
        self.usage.give_back(self.size);
        // SAFETY: allocated by this context, in this way, and freed once; nothing of ours is queued any more, since every call
        // waits.
        let _ = self
            .context
            .bind_to_thread()
            .and_then(|()| match &self.pooled {
                Some(stream) => unsafe { result::free_async(self.pointer, stream.cu_stream()) },
                None => unsafe { result::free_sync(self.pointer) },
            });
    }
}

fn allocation(buffer: &Buffer) -> &Allocation {
    buffer.0.downcast_ref().expect("a buffer of this device")
}

fn failed(reason: impl Into<String>) -> Ending {
    Ending::Failed {
        reason: reason.into(),
    }
}

/// What an error of the driver means for the variant.
///
/// # Panics
/// When the context cannot be used any more: only a new process gets another.
fn ending(what: &str, error: DriverError) -> Ending {
    match error.0 {
        CUresult::CUDA_ERROR_OUT_OF_MEMORY => Ending::OverLimit {
            limit: format!("{what}: the device's memory is full"),
        },
        CUresult::CUDA_ERROR_INVALID_VALUE
        | CUresult::CUDA_ERROR_INVALID_IMAGE
        | CUresult::CUDA_ERROR_NOT_FOUND
        | CUresult::CUDA_ERROR_NOT_SUPPORTED
        | CUresult::CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES
        | CUresult::CUDA_ERROR_NO_BINARY_FOR_GPU
        | CUresult::CUDA_ERROR_INVALID_PTX => failed(format!("{what}: {error}")),
        _ => panic!("the GPU was lost: {what}: {error}"),
    }
}

/// Where a device sits, as NVML wants it.
fn bus_of(context: &CudaContext) -> Result<String, DriverError> {
    let of = |what| context.attribute(what);
    Ok(format!(
        "{:08x}:{:02x}:{:02x}.0",
        of(Attribute::CU_DEVICE_ATTRIBUTE_PCI_DOMAIN_ID)?,
        of(Attribute::CU_DEVICE_ATTRIBUTE_PCI_BUS_ID)?,
        of(Attribute::CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID)?,
    ))
}

/// Lets the device's pool keep what is freed, so that the next variant's buffers cost no call of the operating system; up to a
/// quarter of its memory, since kernels' code and stacks come from elsewhere and must find room. False: it has no pool.
fn set_up_pool(context: &CudaContext) -> Result<bool, DriverError> {
    if context.attribute(Attribute::CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED)? == 0 {
        return Ok(false);
    }
    let mut keeps = context.total_mem()? as u64 / 4;
    let threshold = sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
    // SAFETY: the pool belongs to the device and is never destroyed; the attribute is an unsigned number of 64 bits.
    unsafe {
        let pool = result::device::get_default_mem_pool(context.cu_device())?;
        result::mem_pool::set_attribute(pool, threshold, (&raw mut keeps).cast())?;
    }
    Ok(true)
}

impl Cuda {
    fn open(index: usize) -> Result<Cuda, DriverError> {
        let context = CudaContext::new(index)?;
        // SAFETY: every call waits for what it queued, so no event has to order anything.
        unsafe { context.disable_event_tracking() };
        let (major, minor) = context.compute_capability()?;
        let attribute = |what| context.attribute(what);
        let about = format!(
            "{}; compute capability {major}.{minor}; {}; groups of {} threads with {}, {} multiprocessors",
            context.name()?,
            Bytes(context.total_mem()? as u64),
            attribute(Attribute::CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK)?,
            Bytes(
                attribute(Attribute::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN)? as u64
            ),
            attribute(Attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?,
        );
        let cache = attribute(Attribute::CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE)?;
        Ok(Cuda {
            // A device whose pool cannot be set up allocates without.
            has_pool: set_up_pool(&context).unwrap_or(false),
            has_graphs: driver_version()? >= GRAPHS_SINCE,
            flushed: Mutex::default(),
            flushed_size: 2 * u64::try_from(cache).unwrap_or(0),
            stream: context.new_stream()?,
            uploads: context.new_stream()?,
            downloads: context.new_stream()?,
            architecture: format!("sm_{major}{minor}"),
            about,
            meter: bus_of(&context).ok().and_then(Meter::open),
            context,
            usage: Arc::default(),
            kernels: KernelCache::default(),
        })
    }

    /// Sets a module's `__constant__` array.
    fn set_constant(&self, kernel: &Compiled, name: &str, from: &Allocation) -> Result<(), Ending> {
        let symbol = kernel
            .module
            .get_global(name, &self.stream)
            .map_err(|e| ending(&format!("{}: __constant__ `{name}`", kernel.name), e))?;
        if (symbol.len() as u64) < from.size {
            return Err(failed(format!(
                "{}: __constant__ `{name}` has {}, the plan's array {}",
                kernel.name,
                Bytes(symbol.len() as u64),
                Bytes(from.size)
            )));
        }
        let (to, _guard) = cudarc::driver::DevicePtr::device_ptr(&symbol, &self.stream);
        // SAFETY: both are device memory of this context and at least `size` bytes long.
        unsafe { result::memcpy_dtod_sync(to, from.pointer, from.size as usize) }
            .map_err(|e| ending(name, e))
    }

    /// Allocates, and counts it in `usage`.
    fn memory(&self, what: &str, size: u64, usage: &Arc<Usage>) -> Result<Buffer, Ending> {
        self.context.bind_to_thread().map_err(|e| ending(what, e))?;
        let bytes = usize::try_from(size).unwrap_or(usize::MAX);
        let (pointer, pooled) = match self.pooled(bytes) {
            Some(pointer) => (pointer, Some(self.stream.clone())),
            // SAFETY: plain allocation; the pointer is used within its size only.
            None => match unsafe { result::malloc_sync(bytes) } {
                Ok(pointer) => (pointer, None),
                Err(error) => return Err(ending(what, error)),
            },
        };
        usage.take(size);
        Ok(Buffer(Arc::new(Allocation {
            context: self.context.clone(),
            pooled,
            pointer,
            size,
            usage: usage.clone(),
        })))
    }

    /// Absent where there is no pool or it has no room; what it kept has then been given back to the device.
    fn pooled(&self, bytes: usize) -> Option<sys::CUdeviceptr> {
        if !self.has_pool {
            return None;
        }
        // SAFETY: the pointer is used within its size only, and only after the wait, when any stream may use it.
        let made = unsafe { result::malloc_async(self.stream.cu_stream(), bytes) };
        // What was freed is back in the pool then, too.
        let is_done = self.stream.synchronize();
        match made {
            Ok(pointer) => Some(pointer),
            Err(_) => {
                // SAFETY: the device's own pool, which is never destroyed.
                let trim = || unsafe {
                    let pool = result::device::get_default_mem_pool(self.context.cu_device())?;
                    result::mem_pool::trim_to(pool, 0)
                };
                // Whether that made room, the plain allocation that follows says.
                let _ = is_done.and_then(|()| trim());
                None
            }
        }
    }
}

impl Gpu for Cuda {
    fn about(&self) -> String {
        self.about.clone()
    }

    fn language(&self) -> Language {
        Language::Cuda
    }

    fn cache(&self) -> &KernelCache {
        &self.kernels
    }

    fn build(&self, source: &Source<'_>) -> Result<Kernel, Ending> {
        let block = source
            .block
            .ok_or_else(|| failed(format!("{}: CUDA needs a `block:`", source.name)))?;
        let threads: u64 = block.iter().map(|&n| u64::from(n)).product();
        let most = self
            .context
            .attribute(Attribute::CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK)
            .map_err(|e| ending(source.name, e))?;
        if threads > most as u64 {
            let [x, y, z] = block;
            return Err(Ending::OverLimit {
                limit: format!(
                    "a group of {x} × {y} × {z} threads; this device has {most} at most"
                ),
            });
        }
        let code = nvrtc::compile(source, &self.architecture)?;
        let module = self
            .context
            .load_module(Ptx::from_binary(code))
            .map_err(|e| ending(source.name, e))?;
        let function = module.load_function(source.entry).map_err(|e| {
            ending(
                &format!(
                    "{} has no kernel `{}` (is it extern \"C\"?)",
                    source.name, source.entry
                ),
                e,
            )
        })?;
        let bytes = i32::try_from(source.shared_memory).unwrap_or(i32::MAX);
        // What a group has without asking for more, the kernel's own arrays included.
        let fixed = function
            .shared_size_bytes()
            .map_err(|e| ending(source.name, e))?;
        if bytes > 0 && fixed.saturating_add(bytes) > 48 << 10 {
            let most =
                sys::CUfunction_attribute_enum::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
            function
                .set_attribute(most, bytes)
                .map_err(|_| Ending::OverLimit {
                    limit: format!(
                        "{} of dynamic shared memory, more than this device has",
                        Bytes(bytes as u64)
                    ),
                })?;
        }
        Ok(Kernel::new(Compiled {
            name: source.name.into(),
            module,
            function,
            block,
            shared_memory: source.shared_memory,
        }))
    }

    fn attributes(&self, kernel: &Kernel) -> Vec<(String, f64)> {
        let kernel: &Compiled = kernel.of();
        let threads: u32 = kernel.block.iter().product();
        let function = &kernel.function;
        let groups = function.occupancy_max_active_blocks_per_multiprocessor(
            threads,
            kernel.shared_memory as usize,
            None,
        );
        let room = self
            .context
            .attribute(Attribute::CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR);
        let occupancy =
            groups.and_then(|groups| Ok(f64::from(groups * threads) / f64::from(room?)));
        let whole = |value: Result<i32, DriverError>| value.map(f64::from);
        let all = [
            ("registers", whole(function.num_regs())),
            ("group_memory_bytes", whole(function.shared_size_bytes())),
            ("spilled_bytes", whole(function.local_size_bytes())),
            ("occupancy", occupancy),
        ];
        let told =
            |(name, value): (&str, Result<f64, DriverError>)| Some((name.to_owned(), value.ok()?));
        all.into_iter().filter_map(told).collect()
    }

    fn allocate(&self, name: &str, size: u64) -> Result<Buffer, Ending> {
        let what = format!("buffer `{name}` of {}", Bytes(size.max(1)));
        self.memory(&what, size.max(1), &self.usage)
    }

    fn upload_at(&self, to: &Buffer, offset: u64, bytes: &[u8]) -> Result<(), Ending> {
        let to = allocation(to);
        assert!(
            offset + bytes.len() as u64 <= to.size,
            "more bytes than the buffer has"
        );
        self.context
            .bind_to_thread()
            .map_err(|e| ending("upload", e))?;
        // SAFETY: the buffer has room for the bytes, which are waited for.
        unsafe { result::memcpy_htod_async(to.pointer + offset, bytes, self.uploads.cu_stream()) }
            .and_then(|()| self.uploads.synchronize())
            .map_err(|e| ending("upload", e))
    }

    fn download_into(&self, from: &Buffer, bytes: &mut [u8]) -> Result<(), Ending> {
        let from = allocation(from);
        assert!(
            bytes.len() as u64 <= from.size,
            "more bytes than the buffer has"
        );
        self.context
            .bind_to_thread()
            .map_err(|e| ending("download", e))?;
        // SAFETY: the buffer has as many bytes, which are waited for.
        unsafe { result::memcpy_dtoh_async(bytes, from.pointer, self.downloads.cu_stream()) }
            .and_then(|()| self.downloads.synchronize())
            .map_err(|e| ending("download", e))
    }

    fn pin(&self, size: usize) -> Result<Pinned, Ending> {
        let what = format!("{} of pinned memory", Bytes(size as u64));
        match Locked::new(&self.context, size) {
            Ok(locked) => Ok(Box::new(locked)),
            Err(DriverError(CUresult::CUDA_ERROR_OUT_OF_MEMORY)) => Err(Ending::OverLimit {
                limit: format!("{what}: the host has no room to lock"),
            }),
            Err(error) => Err(ending(&what, error)),
        }
    }

    fn record_for(
        &self,
        steps: &[Step],
        submission: Submission,
    ) -> Result<Box<dyn Recording>, Ending> {
        Ok(Box::new(Recorded::new(self, steps, submission)?))
    }

    fn flush(&self) -> Result<Bytes, Ending> {
        let size = self.flushed_size;
        if size == 0 {
            return Ok(Bytes(0));
        }
        let what = format!(
            "{} to overwrite the cache with (protocol: {{cache: warm}} needs none)",
            Bytes(size)
        );
        let mut kept = self.flushed.lock().unwrap_or_else(PoisonError::into_inner);
        let buffer = match kept.take() {
            Some(buffer) => buffer,
            None => self.memory(&what, size, &Arc::default())?,
        };
        let pointer = allocation(&buffer).pointer;
        *kept = Some(buffer);
        self.context
            .bind_to_thread()
            .map_err(|e| ending(&what, e))?;
        // SAFETY: the buffer is that long, and kept.
        unsafe { result::memset_d8_async(pointer, 0, size as usize, self.stream.cu_stream()) }
            .map_err(|e| ending(&what, e))?;
        self.stream.synchronize().map_err(|e| ending(&what, e))?;
        Ok(Bytes(size))
    }

    fn take_peak(&self) -> Bytes {
        self.usage.take_peak()
    }

    fn reading(&self) -> Option<GpuReading> {
        self.meter.as_ref()?.read()
    }
}
