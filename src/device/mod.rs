//! Where a variant executes, and what that place can do at most.
#![allow(
    unsafe_code,
    clippy::disallowed_methods,
    reason = "measures the ceilings of the processor, with the SIMD that it has"
)]
use crate::plan::DeviceChoice;
use std::time::Instant;

/// Where a variant executes.
#[derive(Clone, Debug)]
pub enum Device {
    /// The host's processors; commands run here too.
    Host,
}

/// What a device does at most, measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Peaks {
    /// Operations a second of independent f32 FMA chains on all cores (an FMA is two).
    pub flops: f64,
    /// Bytes a second of a triad a = b + s·c on all cores, written bytes counted once.
    pub bandwidth: f64,
}

/// # Errors
/// When this build or this machine does not have the device: says what there is.
pub fn open(choice: DeviceChoice) -> Result<Device, String> {
    match choice {
        DeviceChoice::Auto | DeviceChoice::Cpu => Ok(Device::Host),
        DeviceChoice::Wgpu(_) => {
            Err("unsupported here: this build has no wgpu backend; use device: cpu".into())
        }
        DeviceChoice::Cuda(_) => {
            Err("unsupported here: this build has no CUDA backend; use device: cpu".into())
        }
    }
}

/// Every device with whether it can be used, and why not.
pub fn list() -> Vec<(String, String)> {
    let cores = threads();
    vec![
        ("cpu".into(), format!("{cores} threads, {}", isa())),
        (
            "wgpu".into(),
            "unsupported: this build has no wgpu backend".into(),
        ),
        (
            "cuda".into(),
            "unsupported: this build has no CUDA backend".into(),
        ),
    ]
}

/// Threads that this process may use at once.
pub fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// The widest instruction set that kernels here are written for and this processor has.
pub fn isa() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512dq") {
            return "avx512";
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            return "avx2";
        }
    }
    "portable"
}

/// Measures the ceilings of the roofline, in about half a second.
pub fn ceilings(device: &Device) -> Peaks {
    let Device::Host = device;
    Peaks {
        flops: best_of(5, flops_once),
        bandwidth: best_of(4, bandwidth_once),
    }
}

/// The best is the ceiling: noise only takes away.
fn best_of(times: usize, measure: impl Fn() -> f64) -> f64 {
    (0..times).map(|_| measure()).fold(0.0, f64::max)
}

/// Enough independent chains to fill every pipeline: 4 cycles of latency times two units, and some.
const CHAINS: usize = 12;
const STEPS: usize = 2_000_000;

fn flops_once() -> f64 {
    let n = threads();
    let started = Instant::now();
    let lanes: usize = std::thread::scope(|scope| {
        let handles: Vec<_> = (0..n).map(|_| scope.spawn(chains)).collect();
        handles.into_iter().map(|h| h.join().unwrap_or(0)).sum()
    });
    2.0 * (CHAINS * STEPS * lanes) as f64 / started.elapsed().as_secs_f64()
}

/// Runs the chains with the widest vectors; returns their lanes.
fn chains() -> usize {
    #[cfg(target_arch = "x86_64")]
    {
        if isa() == "avx512" {
            // SAFETY: the feature was detected just now.
            return unsafe { chains_avx512() };
        }
        if isa() == "avx2" {
            // SAFETY: the feature was detected just now.
            return unsafe { chains_avx2() };
        }
    }
    let mut x = [[1.0_f32; 4]; CHAINS];
    let (a, b) = std::hint::black_box((0.999_f32, 0.001_f32));
    for _ in 0..STEPS {
        x.as_flattened_mut()
            .iter_mut()
            .for_each(|v| *v = *v * a + b);
    }
    std::hint::black_box(x);
    4
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn chains_avx512() -> usize {
    use std::arch::x86_64::{_mm512_fmadd_ps, _mm512_set1_ps};
    let mut x = [_mm512_set1_ps(1.0); CHAINS];
    let (a, b) = std::hint::black_box((_mm512_set1_ps(0.999), _mm512_set1_ps(0.001)));
    for _ in 0..STEPS {
        for chain in &mut x {
            *chain = _mm512_fmadd_ps(*chain, a, b);
        }
    }
    std::hint::black_box(x);
    16
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn chains_avx2() -> usize {
    use std::arch::x86_64::{_mm256_fmadd_ps, _mm256_set1_ps};
    let mut x = [_mm256_set1_ps(1.0); CHAINS];
    let (a, b) = std::hint::black_box((_mm256_set1_ps(0.999), _mm256_set1_ps(0.001)));
    for _ in 0..STEPS {
        for chain in &mut x {
            *chain = _mm256_fmadd_ps(*chain, a, b);
        }
    }
    std::hint::black_box(x);
    8
}

fn bandwidth_once() -> f64 {
    // Four times a last-level cache of 32 MiB a thread pair, and no more memory than any machine has to spare.
    const LENGTH: usize = 16 << 20;
    let n = threads();
    let part = LENGTH / n;
    let mut a = vec![0.0_f32; part * n];
    // What the arrays hold must not be known when this is compiled, or nothing is read.
    let (b, c) = std::hint::black_box((vec![1.0_f32; part * n], vec![2.0_f32; part * n]));
    a.fill(3.0); // Touches the pages before the clock starts.
    let started = Instant::now();
    std::thread::scope(|scope| {
        for ((a, b), c) in a.chunks_mut(part).zip(b.chunks(part)).zip(c.chunks(part)) {
            scope.spawn(move || {
                for ((a, b), c) in a.iter_mut().zip(b).zip(c) {
                    *a = b + 0.5 * c;
                }
            });
        }
    });
    std::hint::black_box(&a);
    12.0 * (part * n) as f64 / started.elapsed().as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ceilings_are_those_of_a_computer() {
        let peaks = ceilings(&Device::Host);
        // A core does at least 1 Gflop/s and at most 1 Tflop/s; memory gives 0.5 to 1000 GB/s.
        let cores = threads() as f64;
        assert!((1e9..1e12 * cores).contains(&peaks.flops), "{peaks:?}");
        assert!((0.5e9..1e12).contains(&peaks.bandwidth), "{peaks:?}");
    }
}
