//! What every GPU backend must do, on each device of this machine: memory, launches, clocks, and the words for what goes wrong.
//! A machine without any runs nothing and says so; with PHASETUNE_NEEDS_GPU set (CI), that is a failure. CUDA sources are compiled
//! wherever NVRTC is, GPU or not; PHASETUNE_NEEDS_NVRTC likewise. Without an NVIDIA GPU, the CUDA backend runs on a stand-in for the
//! driver.
#![allow(
    unsafe_code,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a test program; sets an environment variable before any thread is there"
)]
mod campaigns;
mod sources;
mod standin;

use libtest_mimic::{Arguments, Conclusion, Failed, Trial};
use phasetune::device::{
    self, Action, Device, Gpu, Language, Passed, Source, Step, Submission, nvrtc,
};
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
    ("pinned_memory_is_copied_from_and_to", pinned),
    ("every_way_to_submit_computes_the_same", submissions),
    ("copies_of_other_threads_pass_launches", beside),
];

/// What needs the compiler and no GPU.
type CompileTest = fn() -> Result<(), Failed>;
const COMPILED: &[(&str, CompileTest)] = &[
    (
        "every_cuda_source_compiles_for_sm_80_and_sm_90",
        sources::cuda_sources,
    ),
    (
        "a_cuda_source_that_does_not_compile_says_where",
        sources::cuda_error,
    ),
    ("half_precision_headers_are_found", sources::cuda_headers),
];

/// Whole campaigns, on the first device alone.
type CampaignTest = fn(&str) -> Result<(), Failed>;
const CAMPAIGNS: &[(&str, CampaignTest)] = &[
    (
        "what_a_kernel_does_wrong_is_a_row_and_the_campaign_goes_on",
        campaigns::bad_kernels,
    ),
    (
        "the_committed_kernel_plan_finds_a_faster_product",
        campaigns::user_kernel,
    ),
    (
        "the_committed_beamformer_plan_runs_whole",
        campaigns::beamformer_plan,
    ),
    (
        "the_committed_migration_plan_runs_whole",
        campaigns::migration_plan,
    ),
    (
        "the_committed_pipeline_plan_runs_whole",
        campaigns::pipeline_plan,
    ),
    (
        "the_committed_transport_plan_runs_whole",
        campaigns::transport_plan,
    ),
    (
        "the_committed_reduction_plan_shows_bodies_beside_compile_times",
        campaigns::reduction_plan,
    ),
];

/// Campaigns on the stand-in for CUDA.
const STOOD_IN: &[(&str, CampaignTest)] = &[
    (
        "what_a_kernel_does_wrong_is_a_row_and_the_campaign_goes_on",
        standin::bad_kernels,
    ),
    (
        "the_committed_kernel_plan_finds_a_faster_product",
        campaigns::user_kernel,
    ),
    (
        "the_committed_migration_plan_runs_whole",
        standin::migration_plan,
    ),
    (
        "the_committed_pipeline_plan_runs_whole",
        campaigns::pipeline_plan,
    ),
    (
        "launches_and_copies_are_those_that_were_asked_for",
        standin::submissions,
    ),
];

fn main() -> std::process::ExitCode {
    let arguments = Arguments::from_args();
    // The program's own main does the same: Mesa's layer complains where there is no desktop.
    // SAFETY: no other thread has been started yet.
    unsafe { std::env::set_var("NODEVICE_SELECT", "1") };
    let mut gpus = gpus();
    if standin::is_here() {
        gpus.retain(|(name, _)| name.starts_with("cuda"));
    }
    let each = gpus.iter().flat_map(|(name, gpu)| {
        TESTS.iter().map(move |(what, test)| {
            let gpu = gpu.clone();
            Trial::test(format!("{}::{what}", shown(name)), move || test(&gpu))
        })
    });
    let first = gpus.first().map(|(name, _)| name.clone());
    let whole = match standin::is_here() {
        true => STOOD_IN,
        false => CAMPAIGNS,
    };
    let campaigns = first.iter().flat_map(|first| {
        whole.iter().map(move |(what, test)| {
            let device = first.clone();
            Trial::test(format!("{}::{what}", shown(first)), move || test(&device))
        })
    });
    let compiled = match standin::is_here() {
        true => &[],
        false => COMPILED,
    };
    let compiled = compiled.iter().map(|(what, test)| {
        Trial::test(format!("nvrtc::{what}"), *test).with_ignored_flag(!nvrtc::is_present())
    });
    let conclusion: Conclusion =
        libtest_mimic::run(&arguments, each.chain(campaigns).chain(compiled).collect());
    if standin::is_here() {
        return conclusion.exit_code();
    }
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
    let has_cuda = gpus.iter().any(|(name, _)| name.starts_with("cuda"));
    match has_cuda || conclusion.has_failed() {
        true => conclusion.exit_code(),
        false => standin::run(),
    }
}

fn shown(device: &str) -> String {
    match standin::is_here() {
        true => format!("{device} (stand-in)"),
        false => device.to_owned(),
    }
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

fn pinned(gpu: &Arc<dyn Gpu>) -> Result<(), Failed> {
    let (mut there, mut back) = match (gpu.pin(5000), gpu.pin(5000)) {
        (Ok(there), Ok(back)) => (there, back),
        (Err(Ending::Unsupported { .. }), _) if gpu.language() == Language::Wgsl => return Ok(()),
        (Err(ending), _) | (_, Err(ending)) => return Err(said(ending).into()),
    };
    check(there.iter().all(|byte| *byte == 0), "it is zero at first")?;
    let buffer = gpu.allocate("b", 6000).map_err(said)?;
    for round in 0..20_u8 {
        for (i, byte) in there.iter_mut().enumerate() {
            *byte = (i as u8).wrapping_mul(7) ^ round;
        }
        gpu.upload_at(&buffer, 1000, &there).map_err(said)?;
        // Written over as soon as the upload is said to be done.
        let sent = there.to_vec();
        there.fill(0xEE);
        gpu.upload(&buffer, &sent[..1000]).map_err(said)?;
        gpu.download_into(&buffer, &mut back).map_err(said)?;
        check(back[..1000] == sent[..1000], "the first bytes")?;
        check(back[1000..] == sent[..4000], "those behind them")?;
    }
    drop((there, back));
    Ok(())
}

/// What the sum of some intervals of a device's clock may be off by, ns: CUDA's events have half a microsecond each.
const CLOCK: f64 = 2000.0;

/// y = 2 x, x = 2 y, again and again: launches that changed places would show.
fn submissions(gpu: &Arc<dyn Gpu>) -> Result<(), Failed> {
    let constants = named(&[("scale", Value::Int(2))]);
    let kernel = gpu.compile(&source(gpu, WGSL, CUDA, &constants));
    let kernel = kernel.map_err(said)?;
    let (x, y) = (
        gpu.allocate("x", 4000).map_err(said)?,
        gpu.allocate("y", 4000).map_err(said)?,
    );
    let steps: Vec<Step> = (0..6)
        .map(|k| Step {
            stage: (k > 0).then_some(k / 2),
            action: Action::Launch {
                kernel: kernel.clone(),
                grid: [16, 1, 1],
                arguments: match k % 2 {
                    0 => pass(&[&x, &y]),
                    _ => pass(&[&y, &x]),
                },
            },
        })
        .collect();
    for submission in [
        Submission::AtOnce,
        Submission::GraphForEach,
        Submission::OneByOne,
    ] {
        let mut recording = gpu.record_for(&steps, submission).map_err(said)?;
        for _ in 0..3 {
            let ones: Vec<u8> = (0..1000).flat_map(|_| 1.0_f32.to_le_bytes()).collect();
            gpu.upload(&x, &ones).map_err(said)?;
            let timing = recording.run().map_err(said)?;
            let device = timing.device.ok_or("no device time")?.0;
            let stages: f64 = timing.stages.iter().map(|s| s.0).sum();
            check(
                timing.stages.len() == 3
                    && stages > 0.0
                    && stages <= device + CLOCK
                    && device <= timing.wall.0,
                format!("{submission:?}: {timing:?}"),
            )?;
            let found = floats(&gpu.download(&x, 4000).map_err(said)?);
            check(
                found.iter().all(|v| *v == 64.0),
                format!("{submission:?}: {:?}", &found[..4]),
            )?;
        }
    }
    Ok(())
}

/// As a pipeline works: one thread uploads, one launches, one downloads, each with buffers of its own.
fn beside(gpu: &Arc<dyn Gpu>) -> Result<(), Failed> {
    let constants = named(&[("scale", Value::Int(5))]);
    let kernel = gpu.compile(&source(gpu, WGSL, CUDA, &constants));
    let kernel = kernel.map_err(said)?;
    let buffer = |name: &str| gpu.allocate(name, 4000).map_err(said);
    let (to, from, x, y) = (buffer("to")?, buffer("from")?, buffer("x")?, buffer("y")?);
    let bytes = |value: f32| -> Vec<u8> { (0..1000).flat_map(|_| value.to_le_bytes()).collect() };
    gpu.upload(&from, &bytes(3.0)).map_err(said)?;
    let steps = [Step {
        stage: None,
        action: Action::Launch {
            kernel,
            grid: [16, 1, 1],
            arguments: pass(&[&x, &y]),
        },
    }];
    std::thread::scope(|scope| {
        let upload = scope.spawn(|| {
            (0..40).try_for_each(|k| {
                gpu.upload(&to, &bytes(k as f32)).map_err(said)?;
                let found = floats(&gpu.download(&to, 4000).map_err(said)?);
                match found.iter().all(|v| *v == k as f32) {
                    true => Ok(()),
                    false => Err(format!("upload {k}: {:?}", &found[..4])),
                }
            })
        });
        let download = scope.spawn(|| {
            (0..40).try_for_each(|k| {
                let found = floats(&gpu.download(&from, 4000).map_err(said)?);
                match found.iter().all(|v| *v == 3.0) {
                    true => Ok(()),
                    false => Err(format!("download {k}: {:?}", &found[..4])),
                }
            })
        });
        let launches = (0..10).try_for_each(|k| {
            // Recorded while the others copy: a capture is this thread's own.
            let mut recording = gpu.record(&steps).map_err(said)?;
            gpu.upload(&x, &bytes(k as f32)).map_err(said)?;
            recording.run().map_err(said)?;
            let found = floats(&gpu.download(&y, 4000).map_err(said)?);
            match found.iter().all(|v| *v == 5.0 * k as f32) {
                true => Ok(()),
                false => Err(format!("launch {k}: {:?}", &found[..4])),
            }
        });
        let ended = [upload, download].map(|thread| thread.join().expect("no panic"));
        ended
            .into_iter()
            .chain([launches])
            .collect::<Result<(), String>>()
    })?;
    Ok(())
}

fn ceilings(gpu: &Arc<dyn Gpu>) -> Result<(), Failed> {
    let peaks = device::ceilings(&Device::Gpu(gpu.clone())).ok_or("no ceilings")?;
    let least = if standin::is_here() { 1.0 } else { 1e8 };
    check(
        (least..1e15).contains(&peaks.flops) && (least..1e14).contains(&peaks.bandwidth),
        format!("{peaks:?}"),
    )
}
