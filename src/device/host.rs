//! The host's processors: how many, what they can, and what they do at most.
#![allow(
    unsafe_code,
    clippy::disallowed_methods,
    reason = "measures the ceilings of the processor, with the SIMD that it has; reads what memory is free"
)]
use super::Peaks;
use crate::value::Bytes;
use std::path::{Path, PathBuf};
use std::time::Instant;

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
pub(super) fn ceilings() -> Peaks {
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

/// What this process can still have: the machine's memory, or less inside a control group.
pub fn available_memory() -> Option<Bytes> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let limits = groups.lines().filter_map(group_memory).min();
    Some(Bytes((kib * 1024).min(limits.unwrap_or(u64::MAX))))
}

/// What a line of /proc/self/cgroup leaves: version 2 `0::/path`, version 1 `5:memory:/path`.
fn group_memory(line: &str) -> Option<u64> {
    let mut parts = line.splitn(3, ':').skip(1);
    let (controllers, path) = (parts.next()?, parts.next()?.trim_start_matches('/'));
    let (root, limit, usage) = match controllers {
        "" => ("/sys/fs/cgroup", "memory.max", "memory.current"),
        "memory" => (
            "/sys/fs/cgroup/memory",
            "memory.limit_in_bytes",
            "memory.usage_in_bytes",
        ),
        _ => return None,
    };
    let number = |folder: &Path, file: &str| -> Option<u64> {
        std::fs::read_to_string(folder.join(file))
            .ok()?
            .trim()
            .parse()
            .ok()
    };
    // A limit may be set on any group above. In a container the path may be one of the host's, which is not there.
    let own: PathBuf = Path::new(root).join(path);
    let groups = own
        .ancestors()
        .take_while(|folder| folder.starts_with(root));
    groups
        .filter_map(|g| Some(number(g, limit)?.saturating_sub(number(g, usage)?)))
        .min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ceilings_are_those_of_a_computer() {
        let peaks = ceilings();
        // A core does at least 1 Gflop/s and at most 1 Tflop/s; memory gives 0.5 to 1000 GB/s.
        let cores = threads() as f64;
        assert!((1e9..1e12 * cores).contains(&peaks.flops), "{peaks:?}");
        assert!((0.5e9..1e12).contains(&peaks.bandwidth), "{peaks:?}");
    }

    #[test]
    fn some_memory_is_available_and_less_than_all() {
        let bytes = available_memory().unwrap().0;
        assert!((1 << 20..1 << 50).contains(&bytes), "{bytes}");
        assert_eq!(group_memory("nonsense"), None);
        assert_eq!(group_memory("3:cpu:/"), None);
    }
}
