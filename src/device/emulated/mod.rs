//! CUDA kernels on a processor, for tests: the same source through a C++ compiler, block after block. It shows that a kernel's
//! arithmetic and its barriers are right where there is no GPU; it says nothing about time. Where NVRTC is present, it must
//! compile every source too.
#![allow(
    unsafe_code,
    clippy::disallowed_methods,
    reason = "loads code that was compiled just now; a test's only"
)]
use super::{
    Action, Buffer, Gpu, Kernel, KernelCache, Language, Passed, Pinned, Recording, Source, Step,
    Submission, Usage, nvrtc,
};
use crate::trial::{Ending, Timing};
use crate::value::{Bytes, Value};
use std::cell::UnsafeCell;
use std::ffi::{CString, c_void};
use std::process::Command;
use std::sync::Arc;

const SHIM: &str = include_str!("shim.hpp");

#[derive(Debug)]
pub(crate) struct Emulated {
    usage: Arc<Usage>,
    kernels: KernelCache,
}

/// Grid, block, arguments.
type Run = extern "C" fn(*const u32, *const u32, *const *mut c_void);

struct Compiled {
    library: *mut c_void,
    run: Run,
    block: [u32; 3],
    /// Until the library is closed: a file in the place of a deleted one would be taken for it.
    _folder: tempfile::TempDir,
}

// SAFETY: used by one test at a time.
unsafe impl Send for Compiled {}
// SAFETY: as above.
unsafe impl Sync for Compiled {}

impl Drop for Compiled {
    fn drop(&mut self) {
        // SAFETY: opened once, closed once.
        unsafe { libc::dlclose(self.library) };
    }
}

struct Memory(UnsafeCell<Vec<u128>>);

// SAFETY: as for `Compiled`.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Memory {
    fn pointer(&self) -> *mut c_void {
        // SAFETY: nothing holds a reference to the vector.
        unsafe { (*self.0.get()).as_mut_ptr().cast() }
    }

    fn size(&self) -> usize {
        // SAFETY: as above.
        16 * unsafe { (*self.0.get()).len() }
    }
}

fn memory(buffer: &Buffer) -> &Memory {
    buffer.0.downcast_ref().expect("a buffer of this device")
}

fn copy(to: &Buffer, offset: usize, bytes: &[u8]) {
    assert!(offset + bytes.len() <= memory(to).size());
    // SAFETY: there is room, and nothing else uses the memory now.
    unsafe {
        let to: *mut u8 = memory(to).pointer().cast();
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), to.add(offset), bytes.len());
    }
}

impl Emulated {
    /// `None`, with a line on stderr, where there is no C++ compiler.
    pub(crate) fn open() -> Option<Arc<dyn Gpu>> {
        if Command::new("c++").arg("--version").output().is_err() {
            assert!(
                std::env::var_os("PHASETUNE_NEEDS_NVRTC").is_none(),
                "CI has a C++ compiler"
            );
            return None;
        }
        Some(Arc::new(Emulated {
            usage: Arc::default(),
            kernels: KernelCache::default(),
        }))
    }
}

impl Gpu for Emulated {
    fn about(&self) -> String {
        "CUDA, emulated".into()
    }

    fn language(&self) -> Language {
        Language::Cuda
    }

    fn cache(&self) -> &KernelCache {
        &self.kernels
    }

    fn build(&self, source: &Source<'_>) -> Result<Kernel, Ending> {
        let failed = |reason: String| Ending::Failed { reason };
        if nvrtc::is_present() {
            nvrtc::compile(source, "sm_90")?;
        }
        let folder = tempfile::tempdir().map_err(|e| failed(e.to_string()))?;
        let (file, library) = (folder.path().join("k.cpp"), folder.path().join("k.so"));
        // Dynamic shared memory has a fixed place here, and the headers' names are the shim's.
        let text = source
            .text
            .replace(
                "extern __shared__ __align__(16) unsigned char dynamic[];",
                "",
            )
            .replace("#include <cuda_fp16.h>", "")
            .replace("#include <cuda_bf16.h>", "");
        let program = format!(
            "{SHIM}\n{text}
extern \"C\" void start_kernel(const unsigned *grid, const unsigned *block, void **pointers) {{ start({}, grid, block, pointers); }}\n",
            source.entry
        );
        std::fs::write(&file, program).map_err(|e| failed(e.to_string()))?;
        let macros = source.constants.iter().map(|(name, value)| match value {
            Value::Bool(b) => format!("-D{name}={}", u8::from(*b)),
            other => format!("-D{name}={other}"),
        });
        let done = Command::new("c++")
            .args(["-std=c++17", "-O1", "-shared", "-fPIC", "-w", "-o"])
            .arg(&library)
            .args(macros)
            .arg(&file)
            .output()
            .map_err(|e| failed(e.to_string()))?;
        if !done.status.success() {
            return Err(failed(String::from_utf8_lossy(&done.stderr).into_owned()));
        }
        let name = CString::new(library.to_string_lossy().as_bytes()).expect("no NUL in a path");
        // SAFETY: a library that was made just now; the function's type is the one that stands in the program above.
        let (library, run) = unsafe {
            let library = libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL);
            assert!(!library.is_null(), "the library was made just now");
            let found = libc::dlsym(library, c"start_kernel".as_ptr());
            assert!(!found.is_null(), "the function is in it");
            (library, std::mem::transmute::<*mut c_void, Run>(found))
        };
        Ok(Kernel::new(Compiled {
            library,
            run,
            block: source.block.expect("CUDA needs a block"),
            _folder: folder,
        }))
    }

    fn attributes(&self, _kernel: &Kernel) -> Vec<(String, f64)> {
        vec![]
    }

    fn allocate(&self, _name: &str, size: u64) -> Result<Buffer, Ending> {
        self.usage.take(size);
        let words = vec![0; size.div_ceil(16) as usize];
        Ok(Buffer(Arc::new(Memory(UnsafeCell::new(words)))))
    }

    fn upload_at(&self, to: &Buffer, offset: u64, bytes: &[u8]) -> Result<(), Ending> {
        copy(to, offset as usize, bytes);
        Ok(())
    }

    fn download_into(&self, from: &Buffer, bytes: &mut [u8]) -> Result<(), Ending> {
        assert!(bytes.len() <= memory(from).size());
        let from = memory(from).pointer().cast_const().cast();
        // SAFETY: the memory has that many bytes, and is no part of the caller's.
        unsafe { std::ptr::copy_nonoverlapping(from, bytes.as_mut_ptr(), bytes.len()) };
        Ok(())
    }

    fn pin(&self, size: usize) -> Result<Pinned, Ending> {
        Ok(Box::new(vec![0; size]))
    }

    fn record_for(
        &self,
        steps: &[Step],
        _submission: Submission,
    ) -> Result<Box<dyn Recording>, Ending> {
        Ok(Box::new(Recorded {
            steps: steps.to_vec(),
        }))
    }

    fn flush(&self) -> Result<Bytes, Ending> {
        Ok(Bytes(0))
    }

    fn take_peak(&self) -> Bytes {
        self.usage.take_peak()
    }
}

struct Recorded {
    steps: Vec<Step>,
}

impl Recording for Recorded {
    fn run(&mut self) -> Result<Timing, Ending> {
        for step in &self.steps {
            match &step.action {
                Action::Upload { to, bytes, .. } => copy(to, 0, bytes),
                Action::Launch {
                    kernel,
                    grid,
                    arguments,
                } => {
                    let kernel: &Compiled = kernel.of();
                    let mut pointers = vec![];
                    for argument in arguments {
                        match argument {
                            Passed::Buffer(buffer) => pointers.push(memory(buffer).pointer()),
                            Passed::Constant(name, buffer) => {
                                let name = CString::new(name.as_str()).expect("a name");
                                // SAFETY: the kernels' `__constant__` arrays are as large as what is passed for them.
                                unsafe {
                                    let to = libc::dlsym(kernel.library, name.as_ptr());
                                    assert!(!to.is_null(), "no __constant__ array of this name");
                                    let size = memory(buffer).size();
                                    std::ptr::copy_nonoverlapping(
                                        memory(buffer).pointer().cast::<u8>(),
                                        to.cast(),
                                        size,
                                    );
                                }
                            }
                            Passed::Scalar(_) => panic!("scalars are not emulated"),
                        }
                    }
                    (kernel.run)(grid.as_ptr(), kernel.block.as_ptr(), pointers.as_ptr());
                }
            }
        }
        Ok(Timing::default())
    }
}
