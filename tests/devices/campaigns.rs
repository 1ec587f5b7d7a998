//! Whole campaigns of committed plans, and of kernels that go wrong.
use crate::{check, standin};
use libtest_mimic::Failed;
use phasetune::device;
use phasetune::plan::DeviceChoice;
use std::ffi::OsStr;
use std::path::Path;

/// Runs phasetune in a folder of its own, with these variables; what it prints as JSON.
pub(crate) fn campaign(
    folder: &Path,
    arguments: &[&str],
    variables: &[(&str, &OsStr)],
) -> Result<serde_json::Value, Failed> {
    let done = std::process::Command::new(env!("CARGO_BIN_EXE_phasetune"))
        .args(arguments)
        .arg("--json")
        .current_dir(folder)
        .envs(variables.iter().copied())
        .output()?;
    // 3 and 4 are about criteria.
    if !matches!(done.status.code(), Some(0 | 3 | 4)) {
        return Err(format!("{arguments:?}: {}", String::from_utf8_lossy(&done.stderr)).into());
    }
    Ok(serde_json::from_slice(&done.stdout)?)
}

/// The first of this name.
pub(crate) fn row_of<'r>(
    rows: impl IntoIterator<Item = &'r serde_json::Value>,
    name: &str,
) -> Result<&'r serde_json::Value, Failed> {
    let mut rows = rows.into_iter();
    let row = rows.find(|row| row["name"] == name);
    row.ok_or_else(|| format!("no row {name}").into())
}

pub(crate) fn bad_kernels(device: &str) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let at = folder.path();
    let kernel = "
override block: u32;
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(block)
fn work(@builtin(global_invocation_id) at: vec3<u32>) {
    {% if how == 'broken' %}let a = unknown_name;{% endif %}
    var sum = x[at.x % 64u];
    {% if how == 'endless' %}
    // In software a loop ends after 65,535 rounds, so there are many of them.
    for (var i = 0u; i < 60000u; i++) { sum = fract(sum * 1.7 + f32(i)); }
    {% endif %}
    y[at.x % 64u] = sum {% if how == 'wrong' %} + 1.0 {% endif %};
}";
    std::fs::write(at.join("k.wgsl"), kernel)?;
    std::fs::write(
        at.join("p.yaml"),
        format!(
            "
name: bad
device: '{device}'
workload:
  kernel:
    entry: work
    wgsl: k.wgsl
    grid: ['65535 if how == \"endless\" else 2', '60 if how == \"endless\" else 1']
    arguments:
      x: {{type: f32, shape: [64], fill: iota}}
      y: {{type: f32, shape: ['(1 << 45) if False else 64'], output: true}}
accuracy: {{limits: {{max_rel: 0}}}}
protocol: {{blocks: {{min: 8, max: 8}}, trial_timeout: 3s, time_limit: 60s}}
baseline: {{how: plain, block: 64, size: 64}}
phases:
  - phase: p
    variants:
      same: {{block: 32}}
      broken: {{how: broken}}
      endless: {{how: endless}}
      wrong: {{how: wrong}}
      large_group: {{block: 4096}}
      huge_group: {{block: 1000000}}
      large_array: {{size: 100000000000000}}
"
        )
        .replace("'(1 << 45) if False else 64'", "size"),
    )?;
    let told = campaign(at, &["run", "p.yaml"], &[])?;
    let trials = told["trials"].as_array().ok_or("no trials")?;
    for (name, verdict, words) in [
        ("broken", "failed", "k.wgsl:7:"),
        ("endless", "timed_out", "trial_timeout"),
        ("wrong", "inaccurate", ""),
        (
            "large_group",
            "over_limit",
            "a group of 4096 × 1 × 1 threads",
        ),
        ("huge_group", "over_limit", "Workgroup size"),
        ("large_array", "over_limit", "buffer `y` of"),
    ] {
        let trial = row_of(trials, name)?;
        check(trial["verdict"] == verdict, format!("{name}: {trial}"))?;
        check(
            trial.to_string().contains(words),
            format!("{name}: {trial}"),
        )?;
    }
    let same = row_of(trials, "same")?;
    check(
        same["comparison"]["blocks"].as_u64() == Some(8),
        format!("the others were measured: {same}"),
    )
}

/// At the smallest size and with few blocks: every phase, every verdict, on this machine's devices.
pub(crate) fn beamformer_plan(_device: &str) -> Result<(), Failed> {
    let root = env!("CARGO_MANIFEST_DIR");
    let folder = tempfile::tempdir()?;
    let plan = format!("{root}/experiments/beamform3d_gpu.yaml");
    let told = campaign(
        folder.path(),
        &[
            "run",
            &plan,
            "--set",
            "workload.problem.preset=tiny",
            "--set",
            "protocol.blocks={min: 8, max: 8}",
            "--set",
            "protocol.time_limit=30s",
            "--set",
            "phases.threadgroup.search.budget.evaluations=10",
        ],
        &[],
    )?;
    let trials = told["trials"].as_array().ok_or("no trials")?;
    let on = |name: &str| {
        let here = |t: &&serde_json::Value| t["case"].as_str().is_some_and(|c| c.contains(name));
        trials.iter().filter(here).collect::<Vec<_>>()
    };
    let has_cuda = device::open(DeviceChoice::Cuda(0)).is_ok();
    if !has_cuda {
        let rows = on("cuda");
        check(
            rows.iter().all(|t| t["verdict"] == "unsupported"),
            format!("{rows:?}"),
        )?;
    }
    let rows = on("wgpu");
    check(rows.len() > 60, format!("{} rows", rows.len()))?;
    for (name, wanted) in [
        ("fused", ""),
        ("f16_mixed", ""),
        ("f16_all", "inaccurate"),
        ("bf16_all", "unsupported"),
        ("double_buffer", "unsupported"),
        ("fnumber_1", "inaccurate"),
    ] {
        let row = row_of(rows.iter().copied(), name)?;
        // An adapter without f16 is one that says so.
        let is_right =
            wanted.is_empty() || row["verdict"] == wanted || row["verdict"] == "unsupported";
        check(
            is_right && row["verdict"] != "failed",
            format!("{name}: {row}"),
        )?;
    }
    let is_fusion = |t: &&&serde_json::Value| t["phase"] == "fusion" && t["verdict"] == "faster";
    check(
        rows.iter().any(|t| is_fusion(&t)),
        "one kernel is faster than six",
    )?;
    let failed = |t: &&&serde_json::Value| t["verdict"] == "failed" || t["verdict"] == "crashed";
    if let Some(row) = rows.iter().find(failed) {
        return Err(format!("{row}").into());
    }
    let report = std::fs::read_to_string(
        folder
            .path()
            .join("reports/beamform3d_gpu/results_summary.md"),
    )?;
    check(
        report.contains("Ceilings measured on wgpu:0"),
        "a roofline of the GPU",
    )
}

/// A committed plan that was run whole: its folder, its rows on one device, and its report.
pub(crate) struct Whole {
    folder: tempfile::TempDir,
    pub(crate) rows: Vec<serde_json::Value>,
    report: String,
}

/// Runs a committed plan with eight blocks a phase and other settings. No variant may crash or go wrong on this device.
pub(crate) fn whole(name: &str, device: &str, settings: &[&str]) -> Result<Whole, Failed> {
    let folder = tempfile::tempdir()?;
    let plan = format!("{}/experiments/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
    let mut arguments = vec!["run", &plan, "--set", "protocol.blocks={min: 8, max: 8}"];
    arguments.extend(settings.iter().flat_map(|setting| ["--set", setting]));
    let told = campaign(folder.path(), &arguments, &[])?;
    let trials = told["trials"].as_array().ok_or("no trials")?;
    let is_on = |t: &&serde_json::Value| t["case"].as_str().is_some_and(|c| c.contains(device));
    let rows: Vec<_> = trials.iter().filter(is_on).cloned().collect();
    let bad = ["failed", "crashed", "timed_out", "over_limit"];
    if let Some(row) = rows.iter().find(|t| bad.iter().any(|b| t["verdict"] == *b)) {
        return Err(format!("{row}").into());
    }
    let report = folder
        .path()
        .join("reports")
        .join(name)
        .join("results_summary.md");
    Ok(Whole {
        report: std::fs::read_to_string(report)?,
        folder,
        rows,
    })
}

/// Likewise the migration: tiles, lanes in flight, scatter, half precision, narrow apertures.
pub(crate) fn migration_plan(_device: &str) -> Result<(), Failed> {
    let settings = ["workload.problem.preset=tiny", "protocol.time_limit=6s"];
    let Whole { rows, report, .. } = whole("pstm_gpu", "wgpu", &settings)?;
    check(rows.len() > 25, format!("{} rows", rows.len()))?;
    // Tiles that tiny does not have, and groups that a device does not allow, may be refused.
    let is_bad = |t: &&serde_json::Value| t["verdict"] == "inaccurate" && t["phase"] != "quality";
    if let Some(row) = rows.iter().find(is_bad) {
        return Err(format!("{row}").into());
    }
    check(report.contains("## Priority matrix"), "a priority matrix")
}

/// As above, with the published number of transmits, so that its loop is unrolled up to 99 times.
pub(crate) fn reduction_plan(_device: &str) -> Result<(), Failed> {
    let settings = [
        "workload.problem={preset: tiny, nt: 99}",
        "protocol.time_limit=25s",
    ];
    let Whole {
        folder,
        rows,
        report,
    } = whole("reduce_gpu", "wgpu", &settings)?;
    check(rows.len() > 45, format!("{} rows", rows.len()))?;
    for (name, wanted) in [
        ("tx", ""),
        ("active", ""),
        ("tpr", ""),
        ("transmit_block_33", ""),
        ("hann", "inaccurate"),
        ("double_buffer", "unsupported"),
    ] {
        let row = row_of(&rows, name)?;
        let is_right = match wanted {
            "" => row["verdict"] != "inaccurate" && row["verdict"] != "unsupported",
            wanted => row["verdict"] == wanted,
        };
        check(is_right, format!("{name}: {row}"))?;
    }
    // 1 + u + (99 − 1) mod u, and no loop at 99.
    for (unroll, bodies) in [(1, 2), (32, 35), (33, 66), (49, 50), (50, 99), (99, 99)] {
        let row = format!("| reduce=tx, phase=factored, unroll={unroll} | {bodies} |");
        check(report.contains(&row), format!("no row {row}"))?;
    }
    let plots = folder.path().join("reports/reduce_gpu/plots");
    check(
        plots
            .read_dir()?
            .flatten()
            .any(|f| f.file_name().to_string_lossy().contains("unrolling_sweep")),
        "a plot of the sweep",
    )
}

/// The same for the transport: what it loses is reported, and a closer window visits fewer cells.
pub(crate) fn transport_plan(_device: &str) -> Result<(), Failed> {
    let settings = [
        "workload.problem.preset=tiny",
        "workload.problem.steps=20",
        "protocol.time_limit=12s",
    ];
    let Whole { rows, report, .. } = whole("transport_gpu", "wgpu", &settings)?;
    check(rows.len() > 25, format!("{} rows", rows.len()))?;
    for name in ["theta_stream", "all", "angles_first", "box_1e-12"] {
        let row = row_of(&rows, name)?;
        let is_wrong = row["verdict"] == "inaccurate" || row["verdict"] == "unsupported";
        check(!is_wrong, format!("{name}: {row}"))?;
    }
    check(
        report.contains("## Gain and loss"),
        "gain and loss of grids",
    )
}

/// Frames through copies each way and, on CUDA, pinned memory and graphs: all ways give the images of the definition.
pub(crate) fn pipeline_plan(device: &str) -> Result<(), Failed> {
    let matrix = match standin::is_here() {
        true => standin::ON_CUDA,
        false => "matrix={device: ['wgpu:0']}",
    };
    let settings = [
        matrix,
        "workload.problem={preset: tiny, frames: 16}",
        "protocol.time_limit=4s",
    ];
    let (backend, _) = device.split_once(':').ok_or("no index")?;
    let Whole { rows, .. } = whole("e2p_gpu", backend, &settings)?;
    check(rows.len() > 25, format!("{} rows", rows.len()))?;
    for row in &rows {
        let name = row["name"].as_str().unwrap_or_default();
        let is_cudas = ["pinned", "per_camera", "per_batch"];
        let is_right = match row["verdict"].as_str().unwrap_or_default() {
            "unsupported" => backend != "cuda" && is_cudas.iter().any(|word| name.contains(word)),
            // Halves of pixels and of a shared map may pass or not at this size.
            "inaccurate" => name.starts_with("f16_"),
            _ => name != "f16_coordinates",
        };
        // Prefetching beside a ring is none.
        let is_combined = row["phase"] == "combined";
        check(is_right || is_combined, format!("{row}"))?;
    }
    Ok(())
}

pub(crate) fn user_kernel(device: &str) -> Result<(), Failed> {
    let root = env!("CARGO_MANIFEST_DIR");
    let folder = tempfile::tempdir()?;
    let plan = format!("{root}/experiments/user_kernel.yaml");
    let told = campaign(
        folder.path(),
        &[
            "run",
            &plan,
            "--device",
            device,
            "--set",
            "phases.tune.search.budget.evaluations=8",
            "--set",
            "protocol.blocks={min: 8, max: 8}",
            "--set",
            match standin::is_here() {
                true => "protocol.time_limit=8s",
                false => "protocol.time_limit=40s",
            },
        ],
        &[],
    )?;
    let trials = told["trials"].as_array().ok_or("no trials")?;
    let bad = |t: &&serde_json::Value| {
        [
            "failed",
            "inaccurate",
            "crashed",
            "over_limit",
            "unsupported",
        ]
        .iter()
        .any(|v| t["verdict"] == *v)
    };
    if let Some(trial) = trials.iter().find(bad) {
        return Err(format!("{trial}").into());
    }
    let speedup = told["finals"][0]["confirmation"]["speedup"].as_f64();
    // On a stand-in every thread of a group waits for the others: times mean nothing there.
    check(
        speedup.is_some_and(|s| s > 1.5) || standin::is_here(),
        format!("{:?}", told["finals"]),
    )?;
    let report =
        std::fs::read_to_string(folder.path().join("reports/user_kernel/results_summary.md"))?;
    check(
        report.contains("Device time"),
        "the report is about device time",
    )
}
