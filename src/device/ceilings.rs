//! The ceilings of a GPU's roofline, measured on the device itself.
use super::{Action, Buffer, Gpu, Language, Passed, Peaks, Source, Step};
use crate::trial::Ending;
use crate::value::Value;

const WGSL: &str = include_str!("../../kernels/ceilings/ceilings.wgsl");
const CUDA: &str = include_str!("../../kernels/ceilings/ceilings.cu");

/// Threads of a group.
const GROUP: u64 = 256;
/// Groups along x; the rest go along y.
const ROW: u64 = 4096;
/// Threads of the arithmetic: few for a device in software, more until it takes long enough.
const FEWEST: u64 = 1 << 14;
const MOST: u64 = 1 << 26;
/// Seconds in which clocks rise and can be read.
const LONG_ENOUGH: f64 = 0.01;
/// Fused multiply-adds of a round: 16 chains, 4 steps.
const ROUND: u64 = 64;
/// Bytes of each of the triad's arrays: several times any cache.
const ARRAY: u64 = 256 << 20;
const LAUNCHES: usize = 6;

/// The best of several runs: noise only takes away. `None` where the device cannot run it or loses its memory to others.
pub(super) fn measure(gpu: &dyn Gpu) -> Option<Peaks> {
    Some(Peaks {
        flops: flops(gpu).ok()?,
        bandwidth: bandwidth(gpu).ok()?,
    })
}

fn flops(gpu: &dyn Gpu) -> Result<f64, Ending> {
    let (rounds, values) = (64, 1 << 10);
    let arrays = arrays(gpu, 16 * values)?;
    let mut threads = FEWEST;
    loop {
        let seconds = fastest(gpu, "chains", rounds, values, threads, &arrays)?;
        if seconds > LONG_ENOUGH || threads >= MOST {
            return Ok((2 * ROUND * rounds * threads) as f64 / seconds);
        }
        threads *= 4;
    }
}

fn bandwidth(gpu: &dyn Gpu) -> Result<f64, Ending> {
    let mut size = ARRAY;
    let arrays = loop {
        match arrays(gpu, size) {
            Err(Ending::OverLimit { .. }) if size > 1 << 20 => size /= 2,
            made => break made?,
        }
    };
    let values = size / 16;
    let seconds = fastest(gpu, "triad", 1, values, values, &arrays)?;
    Ok(3.0 * size as f64 / seconds)
}

/// a, b, c; b begins with a factor of 0.999 and a summand of 0.001, so that chains neither grow nor vanish.
fn arrays(gpu: &dyn Gpu, size: u64) -> Result<[Buffer; 3], Ending> {
    let [a, b, c] = ["a", "b", "c"].map(|name| gpu.allocate(name, size));
    let b = b?;
    let first: Vec<u8> = [[0.999_f32; 4], [0.001; 4]]
        .as_flattened()
        .iter()
        .flat_map(|v| v.to_le_bytes())
        .collect();
    gpu.upload(&b, &first)?;
    Ok([a?, b, c?])
}

/// Seconds of the fastest of several launches, by the device's clock where it has one.
fn fastest(
    gpu: &dyn Gpu,
    entry: &str,
    rounds: u64,
    values: u64,
    threads: u64,
    arrays: &[Buffer; 3],
) -> Result<f64, Ending> {
    let numbers = [("THREADS", GROUP), ("ROUNDS", rounds), ("VALUES", values)];
    let kernel = gpu.compile(&Source {
        name: "ceilings",
        text: match gpu.language() {
            Language::Cuda => CUDA,
            Language::Wgsl => WGSL,
        },
        entry,
        constants: &numbers.map(|(name, n)| (name.to_owned(), Value::Int(n as i64))),
        block: Some([GROUP as u32, 1, 1]),
        shared_memory: 0,
        options: &[],
    })?;
    let groups = threads.div_ceil(GROUP);
    let step = Step {
        stage: None,
        action: Action::Launch {
            kernel,
            grid: [groups.min(ROW) as u32, groups.div_ceil(ROW) as u32, 1],
            arguments: arrays.iter().cloned().map(Passed::Buffer).collect(),
        },
    };
    let mut recording = gpu.record(&[step])?;
    let mut best = f64::INFINITY;
    for _ in 0..LAUNCHES {
        let timing = recording.run()?;
        best = best.min(timing.device.unwrap_or(timing.wall).0 / 1e9);
    }
    Ok(best)
}
