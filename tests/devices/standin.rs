//! CUDA where there is no GPU: this program once more, with stand-ins for NVIDIA's driver and compiler in the place of the real
//! ones (`standin/`). Everything in `src/device/cuda` runs as on a GPU; what it says of time means nothing.
use crate::campaigns::{Whole, campaign, row_of, whole};
use crate::check;
use libtest_mimic::Failed;
use std::path::Path;
use std::process::{Command, ExitCode};

/// Set for the program that has the stand-ins.
const IS_HERE: &str = "PHASETUNE_STANDIN";

pub(crate) fn is_here() -> bool {
    std::env::var_os(IS_HERE).is_some()
}

/// Runs this program's tests for CUDA on the stand-ins.
pub(crate) fn run() -> ExitCode {
    let folder = match build() {
        Ok(folder) => folder,
        Err(why) => {
            eprintln!("devices: NOT RUN on a stand-in for CUDA: {why}");
            return match std::env::var_os("PHASETUNE_NEEDS_GPU") {
                Some(_) => ExitCode::FAILURE,
                None => ExitCode::SUCCESS,
            };
        }
    };
    let mut libraries = folder.path().as_os_str().to_owned();
    if let Some(others) = std::env::var_os("LD_LIBRARY_PATH") {
        libraries.push(":");
        libraries.push(others);
    }
    let done = std::env::current_exe().and_then(|program| {
        Command::new(program)
            .args(std::env::args_os().skip(1))
            .env("LD_LIBRARY_PATH", libraries)
            .env(IS_HERE, "1")
            .env("TMPDIR", folder.path())
            .status()
    });
    match done {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

fn build() -> Result<tempfile::TempDir, String> {
    let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
    let shim = include_str!("../../src/device/emulated/shim.hpp");
    let literal = format!("R\"shim({shim})shim\"\n");
    std::fs::write(folder.path().join("shim.inc"), literal).map_err(|e| e.to_string())?;
    for (source, library) in [
        (include_str!("standin/driver.cpp"), "cuda"),
        (include_str!("standin/compiler.cpp"), "nvrtc"),
    ] {
        let file = folder.path().join(format!("{library}.cpp"));
        std::fs::write(&file, source).map_err(|e| e.to_string())?;
        let done = Command::new("c++")
            .args([
                "-std=c++17",
                "-O1",
                "-Wall",
                "-Werror",
                "-shared",
                "-fPIC",
                "-pthread",
            ])
            .arg("-I")
            .arg(folder.path())
            .arg("-o")
            .arg(folder.path().join(format!("lib{library}.so")))
            .arg(&file)
            .arg("-ldl")
            .output()
            .map_err(|e| format!("c++: {e}"))?;
        if !done.status.success() {
            return Err(String::from_utf8_lossy(&done.stderr).into_owned());
        }
    }
    Ok(folder)
}

pub(crate) const ON_CUDA: &str = "matrix={device: ['cuda:0']}";

/// Tiles on their way while others are computed: uploads that pass launches, several threads with recordings of their own.
pub(crate) fn migration_plan(_device: &str) -> Result<(), Failed> {
    let settings = [
        ON_CUDA,
        "workload.problem.preset=tiny",
        "protocol.time_limit=3s",
    ];
    let Whole { rows, .. } = whole("pstm_gpu", "cuda", &settings)?;
    check(rows.len() > 25, format!("{} rows", rows.len()))?;
    let is_bad = |t: &&serde_json::Value| t["verdict"] == "inaccurate" && t["phase"] != "quality";
    match rows.iter().find(is_bad) {
        Some(row) => Err(format!("{row}").into()),
        None => Ok(()),
    }
}

/// What all processes asked the driver for, as `Counts` in `standin/driver.cpp`.
#[derive(Debug)]
struct Counts {
    graphs: u64,
    single: u64,
    kernels: u64,
    pinned_copies: u64,
    pageable_copies: u64,
}

impl Counts {
    fn read(file: &Path) -> Result<Counts, Failed> {
        let bytes = std::fs::read(file)?;
        let numbers = bytes
            .chunks_exact(8)
            .map(|b| b.try_into().map(u64::from_le_bytes));
        let numbers: Vec<u64> = numbers.collect::<Result<_, _>>()?;
        match numbers[..] {
            [graphs, single, kernels, pinned_copies, pageable_copies] => Ok(Counts {
                graphs,
                single,
                kernels,
                pinned_copies,
                pageable_copies,
            }),
            _ => Err(format!("{numbers:?}").into()),
        }
    }
}

/// Launches arrive as the plan says, and pinned memory is what is copied.
pub(crate) fn submissions(_device: &str) -> Result<(), Failed> {
    let plan = "
name: t
workload: {builtin: e2p, problem: {preset: tiny, frames: 4, cameras: 4}}
device: 'cuda:0'
protocol: {blocks: {min: 6, max: 6}, repetitions: 1, trial_timeout: 60s}
baseline: {batch: 2, graphs: GRAPHS, pool: POOL}
phases: [{phase: p}]
";
    let of = |graphs: &str, pool: &str| -> Result<Counts, Failed> {
        let folder = tempfile::tempdir()?;
        let text = plan.replace("GRAPHS", graphs).replace("POOL", pool);
        std::fs::write(folder.path().join("p.yaml"), text)?;
        let file = folder.path().join("counts");
        let settings = [("STANDIN_COUNTS", file.as_os_str())];
        campaign(folder.path(), &["run", "p.yaml"], &settings)?;
        Counts::read(&file)
    };
    // The machine's ceilings are measured with graphs of one kernel each; the pipeline launches four to a batch.
    let single = of("none", "per_frame")?;
    check(
        single.single > 100 && single.graphs + single.single == single.kernels,
        format!("{single:?}"),
    )?;
    let each = of("per_camera", "pinned_4")?;
    check(
        each.single == 0 && each.graphs == each.kernels && each.graphs > 100,
        format!("{each:?}"),
    )?;
    let batch = of("per_batch", "buffers_4")?;
    check(
        batch.single == 0 && batch.kernels > 3 * batch.graphs,
        format!("{batch:?}"),
    )?;
    // Two frames up and their images down: three copies of a batch.
    check(
        single.pinned_copies == 0 && batch.pinned_copies == 0,
        format!("{single:?}, {batch:?}"),
    )?;
    check(
        each.pinned_copies > each.pageable_copies && each.pinned_copies > each.graphs / 2,
        format!("{each:?}"),
    )
}

/// A kernel that ends the device's context, one that does not compile, and memory that the device does not have: rows with their
/// causes, and everything else is measured.
pub(crate) fn bad_kernels(_device: &str) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let at = folder.path();
    let kernel = "
extern \"C\" __global__ void add(const float *x, float *y) {
    const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
#if BROKEN
    unknown_name;
#endif
    y[i] = x[i] + ADDS;
}
";
    std::fs::write(at.join("k.cu"), kernel)?;
    std::fs::write(
        at.join("p.yaml"),
        "
name: bad
device: 'cuda:0'
workload:
  kernel:
    entry: add
    cuda: k.cu
    block: [block]
    grid: ['64 // block if block <= 64 else 1']
    arguments:
      x: {type: f32, shape: [64], fill: iota}
      y: {type: f32, shape: [size], output: true}
accuracy: {limits: {max_rel: 0}}
protocol: {blocks: {min: 8, max: 8}, trial_timeout: 20s, time_limit: 60s}
baseline: {block: 64, size: 64, ADDS: 0, BROKEN: 0}
phases:
  - phase: p
    variants:
      same: {block: 32}
      broken: {BROKEN: 1}
      wrong: {ADDS: 1}
      illegal: {block: 16}
      large_group: {block: 2048}
      large_array: {size: 100000000}
",
    )?;
    let settings = [
        ("STANDIN_ILLEGAL", "16".as_ref()),
        ("STANDIN_MEMORY", "67108864".as_ref()),
    ];
    let told = campaign(at, &["run", "p.yaml"], &settings)?;
    let trials = told["trials"].as_array().ok_or("no trials")?;
    for (name, verdict, words) in [
        ("broken", "failed", "k.cu(5)"),
        ("wrong", "inaccurate", ""),
        ("illegal", "crashed", "the GPU was lost"),
        ("large_group", "over_limit", "2048 × 1 × 1 threads"),
        ("large_array", "over_limit", "the device's memory is full"),
    ] {
        let row = row_of(trials, name)?;
        check(
            row["verdict"] == verdict && row.to_string().contains(words),
            format!("{name}: {row}"),
        )?;
    }
    let same = row_of(trials, "same")?;
    check(
        same["comparison"]["blocks"].as_u64() == Some(8),
        format!("the others were measured: {same}"),
    )
}
