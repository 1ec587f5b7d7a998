//! CUDA C to machine code by NVRTC, which needs its library and no GPU.
#![allow(
    unsafe_code,
    clippy::disallowed_methods,
    reason = "calls NVRTC; reads where the CUDA headers are"
)]
use super::Source;
use crate::trial::Ending;
use crate::value::Value;
use cudarc::nvrtc::{result, sys};
use std::ffi::CString;
use std::path::{Path, PathBuf};

/// What to do where the library is not there.
pub(super) const ABSENT: &str = "no NVRTC, CUDA's run-time compiler: install the CUDA toolkit, or `pip install \
                                 nvidia-cuda-nvrtc-cu12 nvidia-cuda-runtime-cu12` and put the folder of \
                                 libnvrtc.so.12 into LD_LIBRARY_PATH";

/// Whether the library can be loaded.
pub fn is_present() -> bool {
    // SAFETY: only tries to open the library.
    unsafe { sys::is_culib_present() }
}

/// Machine code (CUBIN) of a kernel for an architecture, `sm_90`. Tuning parameters are macros.
///
/// # Errors
/// `Unsupported` without NVRTC; `Failed` with the compiler's messages.
pub fn compile(source: &Source<'_>, architecture: &str) -> Result<Vec<u8>, Ending> {
    if !is_present() {
        return Err(Ending::Unsupported {
            reason: ABSENT.into(),
        });
    }
    let failed = |reason: String| Ending::Failed { reason };
    let mut options = vec![
        format!("--gpu-architecture={architecture}"),
        // Headers such as cuda_fp16.h say `__CUDACC_RTC__` and need nothing of the host.
        "--std=c++17".into(),
    ];
    options.extend(source.constants.iter().map(|(name, value)| {
        let text = match value {
            Value::Bool(b) => u8::from(*b).to_string(),
            other => other.to_string(),
        };
        format!("--define-macro={name}={text}")
    }));
    options.extend(
        include_folders()
            .into_iter()
            .map(|folder| format!("--include-path={}", folder.display())),
    );
    // The plan's own come last, so that they win; a second standard would be an error.
    if source.options.iter().any(|option| option.contains("std=")) {
        options.retain(|option| option != "--std=c++17");
    }
    options.extend(source.options.iter().cloned());
    let text = CString::new(source.text)
        .map_err(|_| failed(format!("{}: a NUL byte in the source", source.name)))?;
    let name = CString::new(source.name).unwrap_or_default();
    if let Some(option) = options.iter().find(|o| o.contains('\0')) {
        return Err(failed(format!("{}: a NUL byte in `{option}`", source.name)));
    }
    let program = result::create_program(&text, Some(&name))
        .map_err(|e| failed(format!("{}: {e}", source.name)))?;
    // SAFETY: the program was created above, is used by this thread alone and destroyed once, below.
    let compiled = unsafe { result::compile_program(program, &options) };
    let code = match compiled {
        Ok(()) => cubin(program).map_err(|e| failed(format!("{}: {e}", source.name))),
        Err(error) => {
            // SAFETY: as above.
            let log = unsafe { result::get_program_log(program) }.unwrap_or_default();
            let log: Vec<u8> = log
                .into_iter()
                .map(|c| c as u8)
                .take_while(|c| *c != 0)
                .collect();
            let log = String::from_utf8_lossy(&log).trim().to_owned();
            Err(failed(match log.is_empty() {
                true => format!("{}: {error}", source.name),
                false => log,
            }))
        }
    };
    // SAFETY: as above.
    let _ = unsafe { result::destroy_program(program) };
    code
}

fn cubin(program: sys::nvrtcProgram) -> Result<Vec<u8>, result::NvrtcError> {
    let mut size = 0;
    // SAFETY: the program has been compiled; the pointers are valid for the calls, the buffer has the size that was told.
    unsafe {
        sys::nvrtcGetCUBINSize(program, &mut size).result()?;
        let mut code = vec![0_u8; size];
        sys::nvrtcGetCUBIN(program, code.as_mut_ptr().cast()).result()?;
        Ok(code)
    }
}

/// Where CUDA's headers may be: of a toolkit, or of the PyPI packages beside the library.
fn include_folders() -> Vec<PathBuf> {
    let mut found = vec![];
    for variable in ["CUDA_HOME", "CUDA_PATH"] {
        found.extend(std::env::var_os(variable).map(|home| Path::new(&home).join("include")));
    }
    found.push("/usr/local/cuda/include".into());
    let libraries = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    for folder in std::env::split_paths(&libraries) {
        // …/nvidia/cuda_nvrtc/lib → …/nvidia/cuda_runtime/include; CUDA 13 has …/nvidia/cu13/lib and …/nvidia/cu13/include.
        found.push(folder.join("../../cuda_runtime/include"));
        found.push(folder.join("../include"));
    }
    found.retain(|folder| folder.join("cuda_fp16.h").is_file());
    found
}
