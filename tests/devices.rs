//! What every GPU backend must do, on each device of this machine: memory, launches, clocks, and the words for what goes wrong.
//! A machine without any runs nothing and says so; with PHASETUNE_NEEDS_GPU set (CI), that is a failure. CUDA sources are compiled
//! wherever NVRTC is, GPU or not; PHASETUNE_NEEDS_NVRTC likewise.
#![allow(
    unsafe_code,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a test program; sets an environment variable before any thread is there"
)]
use libtest_mimic::{Arguments, Conclusion, Failed, Trial};
use phasetune::device::{self, Action, Device, Gpu, Language, Passed, Source, Step, nvrtc};
use phasetune::plan::DeviceChoice;
use phasetune::trial::Ending;
use phasetune::value::Value;
use std::sync::Arc;

type Test = fn(&Arc<dyn Gpu>) -> Result<(), Failed>;

const TESTS: &[(&str, Test)] = &[
    ("bytes_come_back_as_they_went", round_trip),
    ("a_kernel_computes_and_is_timed_by_both_clocks", launch),
    ("stages_are_timed_apart_and_uploads_take_part", stages),
    ("the_peak_is_the_largest_sum_of_what_lives", peak),
    ("a_kernel_that_does_not_compile_says_where", compile_error),
    ("groups_beyond_the_device_are_refused", group_limits),
    (
        "allocations_beyond_the_device_are_refused",
        allocation_limits,
    ),
    ("constants_that_do_not_fit_are_refused", constants),
    ("nothing_is_compiled_twice", compiled_once),
    ("ceilings_are_measured", ceilings),
    ("overwriting_the_cache_leaves_answers_alone", flush),
    ("half_precision_rounds_as_ieee_does", half_precision),
];

/// What needs the compiler and no GPU.
type CompileTest = fn() -> Result<(), Failed>;
const COMPILED: &[(&str, CompileTest)] = &[
    (
        "every_cuda_source_compiles_for_sm_80_and_sm_90",
        cuda_sources,
    ),
    ("a_cuda_source_that_does_not_compile_says_where", cuda_error),
    ("half_precision_headers_are_found", cuda_headers),
];

/// Whole campaigns, on the first device alone.
type CampaignTest = fn(&str) -> Result<(), Failed>;
const CAMPAIGNS: &[(&str, CampaignTest)] = &[
    (
        "what_a_kernel_does_wrong_is_a_row_and_the_campaign_goes_on",
        bad_kernels,
    ),
    (
        "the_committed_kernel_plan_finds_a_faster_product",
        user_kernel,
    ),
    ("the_committed_beamformer_plan_runs_whole", beamformer_plan),
    ("the_committed_migration_plan_runs_whole", migration_plan),
    ("the_committed_transport_plan_runs_whole", transport_plan),
    (
        "the_committed_reduction_plan_shows_bodies_beside_compile_times",
        reduction_plan,
    ),
];

fn main() -> std::process::ExitCode {
    let arguments = Arguments::from_args();
    // The program's own main does the same: Mesa's layer complains where there is no desktop.
    // SAFETY: no other thread has been started yet.
    unsafe { std::env::set_var("NODEVICE_SELECT", "1") };
    let gpus = gpus();
    let each = gpus.iter().flat_map(|(name, gpu)| {
        TESTS.iter().map(move |(what, test)| {
            let gpu = gpu.clone();
            Trial::test(format!("{name}::{what}"), move || test(&gpu))
        })
    });
    let first = gpus.first().map(|(name, _)| name.clone());
    let campaigns = first.iter().flat_map(|first| {
        CAMPAIGNS.iter().map(move |(what, test)| {
            let device = first.clone();
            Trial::test(format!("{first}::{what}"), move || test(&device))
        })
    });
    let compiled = COMPILED.iter().map(|(what, test)| {
        Trial::test(format!("nvrtc::{what}"), *test).with_ignored_flag(!nvrtc::is_present())
    });
    let conclusion: Conclusion =
        libtest_mimic::run(&arguments, each.chain(campaigns).chain(compiled).collect());
    let mut absent: Vec<(String, String)> = device::list();
    absent.retain(|(_, why)| why.contains("unsupported"));
    for (name, why) in &absent {
        eprintln!("devices: NOT RUN on {name}: {why}");
    }
    if !nvrtc::is_present() {
        eprintln!("devices: NOT RUN: CUDA sources are not compiled, since there is no NVRTC");
    }
    let needs = |variable: &str| std::env::var_os(variable).is_some();
    if needs("PHASETUNE_NEEDS_GPU") && gpus.is_empty()
        || needs("PHASETUNE_NEEDS_NVRTC") && !nvrtc::is_present()
    {
        return std::process::ExitCode::FAILURE;
    }
    conclusion.exit_code()
}

/// By name; an adapter of the same kind as one before is left out.
fn gpus() -> Vec<(String, Arc<dyn Gpu>)> {
    let mut found: Vec<(String, Arc<dyn Gpu>)> = vec![];
    for (name, about) in device::list() {
        let choice = match name.split_once(':') {
            Some(("wgpu", index)) => DeviceChoice::Wgpu(index.parse().unwrap()),
            Some(("cuda", index)) => DeviceChoice::Cuda(index.parse().unwrap()),
            _ => continue,
        };
        match device::open(choice) {
            Ok(Device::Gpu(gpu)) => found.push((name, gpu)),
            Ok(Device::Host) => unreachable!("asked for a GPU"),
            Err(why) => panic!("{name} ({about}) is listed and cannot be opened: {why}"),
        }
    }
    found
}

fn check(is_so: bool, what: impl Into<String>) -> Result<(), Failed> {
    match is_so {
        true => Ok(()),
        false => Err(what.into().into()),
    }
}

/// y = scale · x over `n` values, in both languages.
const WGSL: &str = "
override scale: f32 = 1.0;
override block: u32 = 64;
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(block)
fn times(@builtin(global_invocation_id) at: vec3<u32>) {
    if at.x < arrayLength(&x) { y[at.x] = scale * x[at.x]; }
}";
const CUDA: &str = r#"
extern "C" __global__ void times(const float *x, float *y) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < 1000) y[i] = scale * x[i];
}"#;

fn source<'a>(
    gpu: &Arc<dyn Gpu>,
    wgsl: &'a str,
    cuda: &'a str,
    constants: &'a [(String, Value)],
) -> Source<'a> {
    Source {
        name: "times",
        text: match gpu.language() {
            Language::Wgsl => wgsl,
            Language::Cuda => cuda,
        },
        entry: "times",
        constants,
        block: match gpu.language() {
            Language::Wgsl => None,
            Language::Cuda => Some([64, 1, 1]),
        },
        shared_memory: 0,
        options: &[],
    }
}

fn named(constants: &[(&str, Value)]) -> Vec<(String, Value)> {
    constants
        .iter()
        .map(|(n, v)| ((*n).to_owned(), v.clone()))
        .collect()
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes
        .chunks_exact(4)
        .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
        .collect()
}

fn pass(buffers: &[&device::Buffer]) -> Vec<Passed> {
    buffers
        .iter()
        .map(|b| Passed::Buffer((*b).clone()))
        .collect()
}

fn said(ending: Ending) -> String {
    ending.sentence()
}

fn round_trip(gpu: &Arc<dyn Gpu>) -> Result<(), Failed> {
    for size in [1_usize, 3, 4, 1000, (1 << 20) + 1] {
        let bytes: Vec<u8> = (0..size).map(|i| (i * 7 + 1) as u8).collect();
        let buffer = gpu.allocate("b", size as u64).map_err(said)?;
        gpu.upload(&buffer, &bytes).map_err(said)?;
        let back = gpu.download(&buffer, size as u64).map_err(said)?;
        check(back == bytes, format!("{size} bytes"))?;
    }
    Ok(())
}

fn launch(gpu: &Arc<dyn Gpu>) -> Result<(), Failed> {
    let constants = named(&[("scale", Value::Float(2.5))]);
    let kernel = gpu
        .compile(&source(gpu, WGSL, CUDA, &constants))
        .map_err(said)?;
    let (x, y) = (
        gpu.allocate("x", 4000).map_err(said)?,
        gpu.allocate("y", 4000).map_err(said)?,
    );
    let values: Vec<u8> = (0..1000).flat_map(|i| (i as f32).to_le_bytes()).collect();
    gpu.upload(&x, &values).map_err(said)?;
    gpu.upload(&y, &[0xff; 4000]).map_err(said)?;
    let action = Action::Launch {
        kernel,
        grid: [16, 1, 1],
        arguments: pass(&[&x, &y]),
    };
    let mut recording = gpu
        .record(&[Step {
            stage: Some(0),
            action,
        }])
        .map_err(said)?;
    for _ in 0..3 {
        let timing = recording.run().map_err(said)?;
        let device = timing.device.ok_or("no device time")?.0;
        check(
            device > 0.0 && device <= timing.wall.0,
            format!("device {device} ns, wall {} ns", timing.wall.0),
        )?;
        check(
            timing.stages.len() == 1 && timing.stages[0].0 <= device,
            "the stage is longer than the whole",
        )?;
    }
    let back = floats(&gpu.download(&y, 4000).map_err(said)?);
    let expected: Vec<f32> = (0..1000).map(|i| 2.5 * i as f32).collect();
    check(back == expected, format!("{:?}", &back[..4]))
}

fn stages(gpu: &Arc<dyn Gpu>) -> Result<(), Failed> {
    let constants = named(&[("scale", Value::Int(3))]);
    let kernel = gpu
        .compile(&source(gpu, WGSL, CUDA, &constants))
        .map_err(said)?;
    let (x, y, z) = (
        gpu.allocate("x", 4000).map_err(said)?,
        gpu.allocate("y", 4000).map_err(said)?,
        gpu.allocate("z", 4000).map_err(said)?,
    );
    let bytes: Arc<[u8]> = (0..1000).flat_map(|_| 1.0_f32.to_le_bytes()).collect();
    let again: Arc<[u8]> = (0..1000).flat_map(|_| 5.0_f32.to_le_bytes()).collect();
    let launch = |from: &device::Buffer, to: &device::Buffer, stage| Step {
        stage: Some(stage),
        action: Action::Launch {
            kernel: kernel.clone(),
            grid: [16, 1, 1],
            arguments: pass(&[from, to]),
        },
    };
    // Where an upload may pass launches, those that use its buffer are waited for.
    for is_early in [false, true] {
        let upload = |bytes: &Arc<[u8]>| Step {
            stage: None,
            action: Action::Upload {
                to: x.clone(),
                bytes: bytes.clone(),
                is_early,
            },
        };
        // y = 3 · 1 and then x = 5: an upload that overtook a launch would show.
        let steps = [
            upload(&bytes),
            launch(&x, &y, 0),
            launch(&y, &z, 1),
            launch(&z, &y, 1),
            upload(&again),
        ];
        let mut recording = gpu.record(&steps).map_err(said)?;
        for _ in 0..2 {
            let timing = recording.run().map_err(said)?;
            check(
                timing.stages.len() == 2 && timing.stages.iter().all(|s| s.0 > 0.0),
                format!("{timing:?}"),
            )?;
            let back = floats(&gpu.download(&y, 4000).map_err(said)?);
            check(back.iter().all(|v| *v == 27.0), format!("{:?}", &back[..4]))?;
            let back = floats(&gpu.download(&x, 4000).map_err(said)?);
            check(back.iter().all(|v| *v == 5.0), format!("{:?}", &back[..4]))?;
        }
    }
    Ok(())
}

fn peak(gpu: &Arc<dyn Gpu>) -> Result<(), Failed> {
    // Other tests allocate at the same time: a device of one's own.
    let name = device::list()
        .into_iter()
        .find(|(_, about)| *about == gpu.about())
        .ok_or("not listed")?
        .0;
    let choice = match name.split_once(':') {
        Some(("wgpu", index)) => DeviceChoice::Wgpu(index.parse().unwrap()),
        _ => DeviceChoice::Cuda(0),
    };
    let Device::Gpu(gpu) = device::open(choice)? else {
        unreachable!("asked for a GPU")
    };
    gpu.take_peak();
    let first = gpu.allocate("first", 1 << 20).map_err(said)?;
    let second = gpu.allocate("second", 2 << 20).map_err(said)?;
    drop(first);
    let third = gpu.allocate("third", 1 << 19).map_err(said)?;
    let peak = gpu.take_peak().0;
    check(peak == 3 << 20, format!("{peak} bytes"))?;
    drop((second, third));
    check(
        gpu.take_peak().0 == (2 << 20) + (1 << 19),
        "a peak starts from what lives",
    )?;
    check(gpu.take_peak().0 == 0, "nothing lives any more")
}

fn compile_error(gpu: &Arc<dyn Gpu>) -> Result<(), Failed> {
    let wrong = "@compute @workgroup_size(1)\nfn times() {\n    let a = unknown_name;\n}";
    let wrong_cuda = "extern \"C\" __global__ void times() {\n    unknown_name;\n}";
    let error = said(
        gpu.compile(&source(gpu, wrong, wrong_cuda, &[]))
            .unwrap_err(),
    );
    check(
        error.contains("unknown_name") && (error.contains(":3:") || error.contains("(2)")),
        error,
    )?;
    let missing = Source {
        entry: "other",
        ..source(gpu, WGSL, CUDA, &[])
    };
    if gpu.language() == Language::Wgsl {
        let error = said(gpu.compile(&missing).unwrap_err());
        check(
            error.contains("no entry point `other`; it has times"),
            error,
        )?;
    }
    Ok(())
}

fn group_limits(gpu: &Arc<dyn Gpu>) -> Result<(), Failed> {
    if gpu.language() != Language::Wgsl {
        return Ok(());
    }
    // wgpu itself lets both through where they come from overrides.
    let constants = named(&[("block", Value::Int(4096))]);
    let error = gpu
        .compile(&source(gpu, WGSL, CUDA, &constants))
        .unwrap_err();
    check(
        matches!(&error, Ending::OverLimit { .. }) && said(error.clone()).contains("4096 × 1 × 1"),
        said(error),
    )?;
    let greedy = "override n: u32; var<workgroup> all: array<f32, n>;\n@group(0) @binding(0) var<storage, read_write> y: array<f32>;
        @compute @workgroup_size(1) fn times() { all[0] = 1.0; y[0] = all[0]; }";
    let constants = named(&[("n", Value::Int(100_000_000))]);
    let error = gpu
        .compile(&source(gpu, greedy, "", &constants))
        .unwrap_err();
    check(
        matches!(&error, Ending::OverLimit { .. })
            && said(error.clone()).contains("workgroup memory"),
        said(error),
    )
}

fn allocation_limits(gpu: &Arc<dyn Gpu>) -> Result<(), Failed> {
    let error = gpu.allocate("huge", 1 << 50).unwrap_err();
    check(
        matches!(&error, Ending::OverLimit { .. })
            && said(error.clone()).contains("`huge` of 1.0 PiB"),
        said(error),
    )
}

fn constants(gpu: &Arc<dyn Gpu>) -> Result<(), Failed> {
    if gpu.language() != Language::Wgsl {
        return Ok(());
    }
    for (value, hint) in [
        (Value::Float(16.5), "whole number"),
        (Value::Int(-1), "no sign"),
        (Value::Text("a".into()), "it is a number"),
    ] {
        let constants = named(&[("block", value)]);
        let error = said(
            gpu.compile(&source(gpu, WGSL, CUDA, &constants))
                .unwrap_err(),
        );
        check(
            error.contains("override `block` cannot be") && error.contains(hint),
            error,
        )?;
    }
    let more = named(&[("block", Value::Int(32)), ("not_there", Value::Int(1))]);
    gpu.compile(&source(gpu, WGSL, CUDA, &more)).map_err(said)?;
    Ok(())
}

fn half_precision(gpu: &Arc<dyn Gpu>) -> Result<(), Failed> {
    if gpu.language() != Language::Wgsl || !gpu.about().contains("f16") {
        return Ok(());
    }
    let wgsl = "enable f16;
        @group(0) @binding(0) var<storage, read> x: array<f32>;
        @group(0) @binding(1) var<storage, read_write> y: array<f32>;
        @compute @workgroup_size(64) fn times(@builtin(global_invocation_id) at: vec3<u32>) {
            if at.x < 4u { y[at.x] = f32(f16(x[at.x]) * f16(3.0)); }
        }";
    let kernel = gpu.compile(&source(gpu, wgsl, "", &[])).map_err(said)?;
    let (x, y) = (
        gpu.allocate("x", 16).map_err(said)?,
        gpu.allocate("y", 16).map_err(said)?,
    );
    let values = [1.0_f32, 0.1, 1000.1, -0.333];
    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    gpu.upload(&x, &bytes).map_err(said)?;
    let action = Action::Launch {
        kernel,
        grid: [1, 1, 1],
        arguments: pass(&[&x, &y]),
    };
    gpu.record(&[Step {
        stage: None,
        action,
    }])
    .map_err(said)?
    .run()
    .map_err(said)?;
    let back = floats(&gpu.download(&y, 16).map_err(said)?);
    let expected = values.map(|v| (half::f16::from_f32(v) * half::f16::from_f32(3.0)).to_f32());
    check(back == expected, format!("{back:?}, expected {expected:?}"))
}

/// Runs phasetune in a folder of its own; what it prints as JSON.
fn campaign(folder: &std::path::Path, arguments: &[&str]) -> Result<serde_json::Value, Failed> {
    let done = std::process::Command::new(env!("CARGO_BIN_EXE_phasetune"))
        .args(arguments)
        .arg("--json")
        .current_dir(folder)
        .output()?;
    // 3 and 4 are about criteria.
    if !matches!(done.status.code(), Some(0 | 3 | 4)) {
        return Err(format!("{arguments:?}: {}", String::from_utf8_lossy(&done.stderr)).into());
    }
    Ok(serde_json::from_slice(&done.stdout)?)
}

fn bad_kernels(device: &str) -> Result<(), Failed> {
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
    let told = campaign(at, &["run", "p.yaml"])?;
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
        let trial = trials
            .iter()
            .find(|t| t["name"] == name)
            .ok_or(format!("no row {name}"))?;
        check(trial["verdict"] == verdict, format!("{name}: {trial}"))?;
        check(
            trial.to_string().contains(words),
            format!("{name}: {trial}"),
        )?;
    }
    let same = trials
        .iter()
        .find(|t| t["name"] == "same")
        .ok_or("no row same")?;
    check(
        same["comparison"]["blocks"].as_u64() == Some(8),
        format!("the others were measured: {same}"),
    )
}

fn compiled_once(gpu: &Arc<dyn Gpu>) -> Result<(), Failed> {
    let constants = named(&[("scale", Value::Int(7919))]);
    let compile = || {
        gpu.compile(&source(gpu, WGSL, CUDA, &constants))
            .map_err(said)
    };
    let first = compile()?.compile_time();
    // Many at once wait for one.
    let times = std::thread::scope(|scope| {
        let all: Vec<_> = (0..4).map(|_| scope.spawn(compile)).collect();
        all.into_iter()
            .map(|handle| handle.join().expect("no panic").map(|k| k.compile_time()))
            .collect::<Result<Vec<_>, String>>()
    })?;
    check(
        first.0 > 0.0 && times.iter().all(|t| *t == first),
        format!("{first:?}, {times:?}"),
    )
}

fn flush(gpu: &Arc<dyn Gpu>) -> Result<(), Failed> {
    let bytes: Vec<u8> = (0..1 << 20).map(|i| (i % 251) as u8).collect();
    let buffer = gpu.allocate("kept", bytes.len() as u64).map_err(said)?;
    gpu.upload(&buffer, &bytes).map_err(said)?;
    let first = gpu.flush().map_err(said)?;
    check(
        (first.0 == 0) == gpu.about().contains("in software"),
        format!("{first} overwritten on {}", gpu.about()),
    )?;
    check(gpu.flush().map_err(said)? == first, "as much each time")?;
    let kept = gpu.download(&buffer, bytes.len() as u64).map_err(said)?;
    check(kept == bytes, "a buffer of the workload is not the cache's")
}

fn ceilings(gpu: &Arc<dyn Gpu>) -> Result<(), Failed> {
    let peaks = device::ceilings(&Device::Gpu(gpu.clone())).ok_or("no ceilings")?;
    check(
        (1e8..1e15).contains(&peaks.flops) && (1e8..1e14).contains(&peaks.bandwidth),
        format!("{peaks:?}"),
    )
}

/// At the smallest size and with few blocks: every phase, every verdict, on this machine's devices.
fn beamformer_plan(_device: &str) -> Result<(), Failed> {
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
        let row = rows.iter().find(|t| t["name"] == name);
        let row = row.ok_or(format!("no row {name}"))?;
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

/// A committed plan that was run whole: its folder, its rows on wgpu, and its report.
struct Whole {
    folder: tempfile::TempDir,
    rows: Vec<serde_json::Value>,
    report: String,
}

/// Runs a committed plan with eight blocks a phase and other settings. No variant may crash or go wrong.
fn whole(name: &str, settings: &[&str]) -> Result<Whole, Failed> {
    let folder = tempfile::tempdir()?;
    let plan = format!("{}/experiments/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
    let mut arguments = vec!["run", &plan, "--set", "protocol.blocks={min: 8, max: 8}"];
    arguments.extend(settings.iter().flat_map(|setting| ["--set", setting]));
    let told = campaign(folder.path(), &arguments)?;
    let trials = told["trials"].as_array().ok_or("no trials")?;
    let on_wgpu = |t: &&serde_json::Value| t["case"].as_str().is_some_and(|c| c.contains("wgpu"));
    let rows: Vec<_> = trials.iter().filter(on_wgpu).cloned().collect();
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
fn migration_plan(_device: &str) -> Result<(), Failed> {
    let settings = ["workload.problem.preset=tiny", "protocol.time_limit=6s"];
    let Whole { rows, report, .. } = whole("pstm_gpu", &settings)?;
    check(rows.len() > 25, format!("{} rows", rows.len()))?;
    // Tiles that tiny does not have, and groups that a device does not allow, may be refused.
    let is_bad = |t: &&serde_json::Value| t["verdict"] == "inaccurate" && t["phase"] != "quality";
    if let Some(row) = rows.iter().find(is_bad) {
        return Err(format!("{row}").into());
    }
    check(report.contains("## Priority matrix"), "a priority matrix")
}

/// As above, with the published number of transmits, so that its loop is unrolled up to 99 times.
fn reduction_plan(_device: &str) -> Result<(), Failed> {
    let settings = [
        "workload.problem={preset: tiny, nt: 99}",
        "protocol.time_limit=25s",
    ];
    let Whole {
        folder,
        rows,
        report,
    } = whole("reduce_gpu", &settings)?;
    check(rows.len() > 45, format!("{} rows", rows.len()))?;
    for (name, wanted) in [
        ("tx", ""),
        ("active", ""),
        ("tpr", ""),
        ("transmit_block_33", ""),
        ("hann", "inaccurate"),
        ("double_buffer", "unsupported"),
    ] {
        let row = rows.iter().find(|t| t["name"] == name);
        let row = row.ok_or(format!("no row {name}"))?;
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
fn transport_plan(_device: &str) -> Result<(), Failed> {
    let settings = [
        "workload.problem.preset=tiny",
        "workload.problem.steps=20",
        "protocol.time_limit=12s",
    ];
    let Whole { rows, report, .. } = whole("transport_gpu", &settings)?;
    check(rows.len() > 25, format!("{} rows", rows.len()))?;
    for name in ["theta_stream", "all", "angles_first", "box_1e-12"] {
        let row = rows.iter().find(|t| t["name"] == name);
        let row = row.ok_or(format!("no row {name}"))?;
        let is_wrong = row["verdict"] == "inaccurate" || row["verdict"] == "unsupported";
        check(!is_wrong, format!("{name}: {row}"))?;
    }
    check(
        report.contains("## Gain and loss"),
        "gain and loss of grids",
    )
}

fn user_kernel(device: &str) -> Result<(), Failed> {
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
            "protocol.time_limit=40s",
        ],
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
    check(
        speedup.is_some_and(|s| s > 1.5),
        format!("{:?}", told["finals"]),
    )?;
    let report =
        std::fs::read_to_string(folder.path().join("reports/user_kernel/results_summary.md"))?;
    check(
        report.contains("Device time"),
        "the report is about device time",
    )
}

/// Tunables that a source under `kernels/` wants, as a plan would give them; several sets where they choose other code.
fn tunables(file: &str) -> Vec<Vec<(String, Value)>> {
    let numbers = |pairs: &[(&str, i64)]| -> Vec<(String, Value)> {
        pairs
            .iter()
            .map(|(n, v)| ((*n).to_owned(), Value::Int(*v)))
            .collect()
    };
    let matmul = [
        ("block_x", 16),
        ("block_y", 8),
        ("thread_x", 4),
        ("thread_y", 2),
        ("tile_k", 16),
        ("unroll", 2),
    ];
    match file {
        "matmul/matmul.cu" => [false, true]
            .map(|staged| [numbers(&matmul), named(&[("staged", Value::Bool(staged))])].concat())
            .to_vec(),
        "matmul/reference.cu" => vec![vec![]],
        "ceilings/ceilings.cu" => {
            vec![numbers(&[
                ("THREADS", 256),
                ("ROUNDS", 64),
                ("VALUES", 1024),
            ])]
        }
        // Every form is compiled where it is tested, in src/workload/beamform3d/gpu_tests.rs.
        "beamform3d/beamform3d.cu" => ["float", "__half", "__nv_bfloat16"]
            .map(beamform3d)
            .to_vec(),
        "pstm/pstm.cu" => [32, 16, 17].map(pstm).to_vec(),
        "reduce/reduce.cu" => (0..4).map(reduce).collect(),
        "e2p/e2p.cu" => (0..3).map(e2p).collect(),
        "transport/transport.cu" => [(32, 0, 0), (16, 1, 1), (17, 2, 1)]
            .map(|(storage, layout, extents)| {
                let sizes = [
                    ("ENERGIES", 200),
                    ("ANGLES", 72),
                    ("NZ", 40),
                    ("NX", 40),
                    ("TAPS", 123),
                    ("RIM_Z", 1),
                    ("RIM_X", 1),
                    ("GROUP_X", 32),
                    ("GROUP_Z", 4),
                    ("BAND", 8),
                    ("STORAGE", storage),
                    ("LAYOUT", layout),
                    ("HAS_EXTENTS", extents),
                    ("TRIMS_ROWS", extents),
                    ("TRIMS_ANGLES", extents),
                ];
                let cutoff = named(&[("CUTOFF", Value::Text("1e-12f".into()))]);
                [numbers(&sizes), cutoff].concat()
            })
            .to_vec(),
        other => panic!("kernels/{other}: write here with which tunables it is compiled"),
    }
}

/// The three forms of maps and of pixels: every choice is compiled where it is tested, in src/workload/e2p/tests.rs.
fn e2p(form: i64) -> Vec<(String, Value)> {
    let whole = [
        ("WIDTH", 1920),
        ("HEIGHT", 960),
        ("OUT_WIDTH", 480),
        ("OUT_HEIGHT", 270),
        ("STRIDE", 480),
        ("CAMERAS", 8),
        ("TILE_X", 16),
        ("TILE_Y", 16),
        ("ROW_BITS", 14),
        ("MAP", form),
        ("PIXELS", [2, 0, 1][form as usize]),
        ("INTERPOLATION", [1, 1, 3][form as usize]),
    ]
    .map(|(name, n)| (name, Value::Int(n)));
    let text = ["STEPS", "FIRST_X", "STEP_X", "FIRST_Y", "STEP_Y"]
        .map(|name| (name, Value::Text("8.192e3".into())));
    let truths = ["WRAPS", "IS_CAMERA_OUTER"].map(|name| (name, Value::Bool(form != 1)));
    named(&[&whole[..], &text[..], &truths[..]].concat())
}

fn beamform3d(number: &str) -> Vec<(String, Value)> {
    let is = |name: &str| i64::from(number == name);
    let storage = 32 - 16 * is("__half") - 15 * is("__nv_bfloat16");
    let whole = [
        ("NX", 64),
        ("NY", 64),
        ("NZ", 128),
        ("PADDED", 1024),
        ("ELEMENTS", 1024),
        ("SAMPLES", 560),
        ("STORAGE", storage),
        ("HAS_F16", is("__half")),
        ("HAS_BF16", is("__nv_bfloat16")),
        ("IS_FACTORED", is("float")),
        ("IS_RECURRENCE", 0),
        ("IS_BUILTIN", is("__half")),
        ("IS_ELEMENT_SAMPLE", 1),
        ("IS_NEAREST_FIRST", 0),
        ("INTERPOLATION", 1),
        ("HAS_APERTURE", is("__half")),
        ("ELEMENT_MEMORY", 1),
        ("IS_STORED", is("__half")),
        ("TAKES_OUT", is("__nv_bfloat16")),
        ("POINTS", 128),
        ("SPLIT", 2),
        ("DEPTHS", 2),
        ("GROUP_X", 2),
        ("GROUP_Y", 4),
        ("GROUP_Z", 16),
        ("UNROLL", 4),
        ("BATCH", 2),
    ]
    .map(|(name, n)| (name, Value::Int(n)));
    let text = [
        ("CYCLES", "2.5e-1"),
        ("START", "0e0"),
        ("LATE", "6e4"),
        ("SCALE", "2.5e-1"),
        ("PLANE", "0e0"),
        ("COMMON_DELAY", "0e0"),
        ("TURN", "6.28e0"),
        ("COSINE", "fmaf(-1e0f, q, 1e0f)"),
        ("SINE", "1e0f"),
        ("TWICE_F_NUMBER", "2e0"),
        ("DELAY_TYPE", number),
        ("NUMBER_TYPE", number),
        ("SUM_TYPE", number),
    ]
    .map(|(name, t)| (name, Value::Text(t.into())));
    named(&[&whole[..], &text[..]].concat())
}

/// The three storages, with other choices each: every choice is compiled where it is tested, in src/workload/pstm/gpu_tests.rs.
fn pstm(storage: i64) -> Vec<(String, Value)> {
    let is = |s: i64| i64::from(storage == s);
    let whole = [
        ("STORAGE", storage),
        ("TIMES", 201),
        ("STEP", 1 + is(17)),
        ("LAST_TIME", 200),
        ("STRIDE", 416),
        ("BEFORE", 16),
        ("LOOKUP", 2 * is(16)),
        ("CUBE_X", 7),
        ("CUBE_Y", 7),
        ("CUBE_T", 26),
        ("STEP_X", 4),
        ("STEP_Y", 4),
        ("STEP_T", 8),
        ("INTERPOLATION", 1 + 7 * is(17)),
        ("SINC_STEPS", 2048),
        ("APERTURE", 2 * is(16)),
        ("QUARTER_FROM", 50),
        ("HALF_FROM", 100),
        ("MUTE", is(16)),
        ("HAS_SPREADING", is(16)),
        ("HAS_OBLIQUITY", is(17)),
        ("ANTI_ALIAS", is(16) + 2 * is(17)),
        ("LONGEST", 10),
        ("IS_LOCAL", is(32)),
        ("TRACE_BATCH", 4),
        ("TG_X", 4),
        ("TG_Y", 4),
        ("TG_T", 64),
    ]
    .map(|(name, n)| (name, Value::Int(n)));
    let real = [
        "BEGIN",
        "END",
        "DX",
        "DY",
        "HALF_TIME",
        "PER_SAMPLE",
        "DT",
        "AMAX",
        "AMIN",
        "DIP_TANGENT",
        "FLAT_SHARE",
        "SLOW_MUTE",
        "PER_RAMP",
        "STRETCH",
        "GRID_DOMINANT",
        "LEAST_SHARE",
        "COARSE",
    ]
    .map(|name| (name, Value::Text("1.5e0f".into())));
    named(&[&whole[..], &real[..]].concat())
}

/// An order of reduction, each with another storage, phase and image.
fn reduce(order: i64) -> Vec<(String, Value)> {
    let odd = order % 2;
    let whole = [
        ("TRANSMITS", 99),
        ("RECEIVERS", 96),
        ("SAMPLES", 856),
        ("CHUNK", 65536),
        ("STORAGE", [32, 16, 17, 32][order as usize]),
        ("REDUCE", order),
        ("ROUNDS", 96),
        ("UNROLL", [1, 20, 99, 33][order as usize]),
        ("IS_ROLLED", odd),
        ("PARTS", 99),
        ("IS_FACTORED", odd),
        ("IS_ACTIVE", odd),
        ("IS_BUILTIN", 1 - odd),
        ("HAS_TRANSMIT_TABLE", odd),
        ("HAS_RECEIVE_TABLE", 1 - odd),
        ("INTERPOLATION", [1, 3, 0, 1][order as usize]),
        ("WAVEFRONT", order),
        ("WINDOW", order),
        ("HAS_APERTURE", odd),
        ("IS_COMPENSATED", 1 - odd),
        ("POINTS", 64),
        ("SPLIT", if order == 3 { 4 } else { 1 }),
        ("LOAD_ROW", 1 << 18),
    ]
    .map(|(name, n)| (name, Value::Int(n)));
    let text = [
        ("CYCLES", "5e-1"),
        ("START", "0e0"),
        ("LEFT_END", "-4.75e1"),
        ("RIGHT_END", "4.75e1"),
        ("MIN_APERTURE", "6.5e0"),
        ("MARGIN", "6.5e0"),
        ("TWICE_F_NUMBER", "2e0"),
    ]
    .map(|(name, t)| (name, Value::Text(t.into())));
    named(&[&whole[..], &text[..]].concat())
}

fn cuda_source<'a>(name: &'a str, text: &'a str, constants: &'a [(String, Value)]) -> Source<'a> {
    Source {
        name,
        text,
        entry: "matmul",
        constants,
        block: None,
        shared_memory: 0,
        options: &[],
    }
}

fn cuda_sources() -> Result<(), Failed> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("kernels");
    let mut count = 0;
    for folder in std::fs::read_dir(&root)? {
        for file in std::fs::read_dir(folder?.path())? {
            let path = file?.path();
            if path.extension().is_none_or(|e| e != "cu") {
                continue;
            }
            let name = path.strip_prefix(&root)?.to_string_lossy().into_owned();
            let text = std::fs::read_to_string(&path)?;
            for constants in tunables(&name) {
                for architecture in ["sm_80", "sm_90"] {
                    let source = cuda_source(&name, &text, &constants);
                    let code = nvrtc::compile(&source, architecture).map_err(said)?;
                    check(code.starts_with(b"\x7fELF"), format!("{name} is no CUBIN"))?;
                    count += 1;
                }
            }
        }
    }
    check(count >= 6, format!("{count} sources were compiled"))
}

fn cuda_error() -> Result<(), Failed> {
    let source = cuda_source(
        "k.cu",
        "extern \"C\" __global__ void matmul() {\n    unknown_name;\n}",
        &[],
    );
    let error = said(nvrtc::compile(&source, "sm_90").unwrap_err());
    check(
        error.contains("k.cu(2)") && error.contains("unknown_name"),
        error,
    )
}

fn cuda_headers() -> Result<(), Failed> {
    let text = "#include <cuda_fp16.h>\n#include <cuda_bf16.h>\nextern \"C\" __global__ void matmul(__half *x, __nv_bfloat16 *y)
        { x[0] = __hmul(x[0], x[1]); y[0] = __float2bfloat16(__half2float(x[0])); }";
    nvrtc::compile(&cuda_source("h.cu", text, &[]), "sm_90").map_err(said)?;
    Ok(())
}
