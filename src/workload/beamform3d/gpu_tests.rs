//! The GPU's kernels against the definition in double precision: WGSL on the first adapter of this machine (CI: Mesa's lavapipe),
//! CUDA emulated, and on a GPU where there is one.
use super::tests::{Volume, beamformer, complex, exact, general, rel_l2, with};
use super::*;
use crate::device;
use crate::device::emulated::Emulated;
use crate::plan::DeviceChoice;

/// The devices of this machine, by language.
fn devices() -> Vec<(&'static str, Device)> {
    let mut all = vec![];
    match device::open(DeviceChoice::Wgpu(0)) {
        Ok(gpu) => all.push(("wgsl", gpu)),
        Err(why) => assert!(std::env::var_os("PHASETUNE_NEEDS_GPU").is_none(), "{why}"),
    }
    all.extend(Emulated::open().map(|gpu| ("emulated cuda", Device::Gpu(gpu))));
    all.extend(
        device::open(DeviceChoice::Cuda(0))
            .ok()
            .map(|gpu| ("cuda", gpu)),
    );
    all
}

fn run(device: &Device, workload: &Beamformer, changes: &str) -> Result<Volume, Ending> {
    let mut executable = workload.prepare(device, &with(changes))?;
    // Twice: nothing may be left over from the run before.
    for _ in 0..2 {
        executable.poison();
        let timing = executable.run()?.timing;
        assert_eq!(timing.stages.len(), STAGES);
    }
    Ok(complex(
        &executable.output()?.expect("a beamformer has an output"),
    ))
}

/// Each of `forms`, within `limit` of `wanted`.
fn agree(workload: &Beamformer, wanted: &Volume, limit: f64, forms: &[String]) {
    for (name, device) in devices() {
        for form in forms {
            match run(&device, workload, form) {
                Ok(volume) => {
                    let error = rel_l2(&volume, wanted);
                    assert!(error <= limit, "{name}: {form}: {error}");
                }
                Err(other) => panic!("{name}: {form}: {other:?}"),
            }
        }
    }
}

/// How each form is laid out, in turn.
const LAYOUTS: &[&str] = &[
    "z_chunk=4 sincos=builtin",
    "x_chunk=4 y_chunk=8 z_chunk=-1 task_points=64 iq_layout=element_sample element_memory=constant",
    "x_chunk=8 y_chunk=2 z_chunk=16 task_points=32 group_z=8",
];
/// What only the fused kernels have.
const FUSED_LAYOUTS: &[&str] = &[
    "z_chunk=-1 task_points=128 group_z=16 element_split=2 element_memory=shared iq_layout=element_sample",
    "x_chunk=1 z_chunk=8 task_points=32 group_z=4 thread_points=4 element_unroll=4",
    "z_chunk=-1 task_points=32 group_z=1 element_split=8 element_unroll=8 thread_points=2",
];

#[test]
fn every_form_agrees_with_the_exact_answer_on_gpus() {
    let workload = beamformer("tiny", &[]);
    let wanted = exact(&workload);
    let mut forms: [Vec<String>; 3] = Default::default();
    let precisions = ["f32", "f16_storage", "bf16_storage"];
    let mut turn = 0;
    for fusion in [
        "staged",
        "partial",
        "fused",
        "fused_store",
        "fused_factored",
    ] {
        for phase in ["sincos", "factored", "recurrence"] {
            for first in ["full", "nearest"] {
                let is_refused = matches!(
                    (fusion, phase, first),
                    ("staged" | "fused_factored", "factored" | "recurrence", _)
                        | ("fused_store", _, "nearest")
                );
                if is_refused {
                    continue;
                }
                turn += 1;
                let is_fused = fusion.starts_with("fused");
                let layouts = if is_fused && turn % 2 == 0 {
                    FUSED_LAYOUTS
                } else {
                    LAYOUTS
                };
                let layout = layouts[turn / 2 % layouts.len()];
                let layout = match is_fused {
                    true => layout.to_owned(),
                    false => layout.replace("group_z=8", ""),
                };
                let p = turn % 3;
                forms[p].push(format!(
                    "fusion={fusion} phase={phase} first_arrival={first} precision={} {layout}",
                    precisions[p]
                ));
            }
        }
    }
    for (forms, limit) in forms.iter().zip([2e-4, 1e-3, 5e-3]) {
        assert!(forms.len() >= 5);
        agree(&workload, &wanted, limit, forms);
    }
}

#[test]
fn apodization_and_interpolation_follow_their_definition_on_gpus() {
    let workload = beamformer("tiny", &[]);
    for (form, f_number, interpolation) in [
        ("fusion=staged", 1.0, "cubic"),
        ("fusion=fused phase=recurrence", 1.5, "nearest"),
        ("fusion=fused phase=factored", 1.0, "linear"),
        ("fusion=partial element_unroll=2", 1.5, "cubic"),
    ] {
        let wanted = general(&workload, f_number, interpolation);
        // A delay just at the half, or an element just at the rim, may fall on either side in single precision.
        let limit = if interpolation == "nearest" {
            1e-2
        } else {
            2e-4
        };
        let form = format!("{form} fnumber={f_number:.1} interp={interpolation}");
        agree(&workload, &wanted, limit, &[form]);
    }
}

#[test]
fn arithmetic_in_half_precision_is_as_far_off_on_gpus_as_it_must_be() {
    let workload = beamformer("tiny", &[]);
    let wanted = exact(&workload);
    for (name, device) in devices() {
        for fusion in ["staged", "fused"] {
            for (precision, range) in [
                ("f16_mixed", 1e-5..1e-3),
                ("f16_all", 0.05..1.0),
                ("bf16_all", 0.5..10.0),
            ] {
                let form = format!("fusion={fusion} precision={precision}");
                match run(&device, &workload, &form) {
                    Ok(volume) => {
                        let error = rel_l2(&volume, &wanted);
                        assert!(range.contains(&error), "{name}: {form}: {error}");
                    }
                    // Adapters without f16, and WGSL without bf16.
                    Err(Ending::Unsupported { .. }) => assert_eq!(name, "wgsl"),
                    Err(other) => panic!("{name}: {form}: {other:?}"),
                }
            }
        }
    }
}

#[test]
fn chunks_do_not_change_a_bit_on_gpus() {
    let workload = beamformer("tiny", &[]);
    for (name, device) in devices() {
        for form in [
            "fusion=staged",
            "fusion=partial",
            "fusion=fused phase=factored",
        ] {
            let whole = run(&device, &workload, &format!("{form} z_chunk=-1"));
            let cut = run(
                &device,
                &workload,
                &format!("{form} x_chunk=4 y_chunk=2 z_chunk=8"),
            );
            assert_eq!(whole, cut, "{name}: {form}");
        }
    }
}

#[test]
fn a_batch_is_its_volumes_one_by_one_on_gpus() {
    let workload = beamformer("tiny", &[("volumes", 4)]);
    for (name, device) in devices() {
        let single = run(&device, &workload, "fusion=fused").unwrap();
        assert!(rel_l2(&single, &exact(&workload)) < 2e-4);
        for form in ["fusion=fused batch=2", "fusion=partial batch=2"] {
            let both = run(&device, &workload, form).unwrap();
            assert!(rel_l2(&both, &single) < 1e-5, "{name}: {form}");
        }
        match run(
            &device,
            &workload,
            "fusion=fused batch=2 prefetch=double_buffer",
        ) {
            Ok(early) => assert!(rel_l2(&early, &single) < 1e-5),
            Err(Ending::Unsupported { reason }) => {
                assert!(name == "wgsl" && reason.contains("one"), "{reason}");
            }
            Err(other) => panic!("{name}: {other:?}"),
        }
    }
}

#[test]
fn arrays_that_are_neither_flat_nor_fired_at_once_are_beamformed_on_gpus_too() {
    let workload = Beamformer::of(super::tests::bent(&beamformer("tiny", &[]).shared.scene));
    let wanted = exact(&workload);
    let forms = [
        "fusion=staged",
        "fusion=fused_store element_split=2 element_unroll=2 task_points=32 group_z=4",
    ];
    agree(&workload, &wanted, 2e-4, &forms.map(str::to_owned));
}

#[test]
fn what_a_gpu_does_not_have_is_refused_with_the_reason() {
    let workload = beamformer("tiny", &[]);
    for (name, device) in devices() {
        for (form, word) in [
            ("simd=avx2", "processor"),
            ("axis=elements", "axis"),
            ("prefetch=next_line", "next_line"),
            ("prefetch=double_buffer", "double_buffer"),
            ("fusion=staged element_split=2", "element_split"),
            ("fusion=staged group_z=8", "group_z"),
            ("fusion=partial element_memory=shared", "shared"),
            (
                "fusion=fused task_points=32 group_z=64",
                "more than task_points",
            ),
            ("fusion=fused phase=factored interp=cubic", "interp=linear"),
            ("batch=2", "batch=2"),
        ] {
            match run(&device, &workload, form) {
                Err(Ending::Unsupported { reason }) => {
                    assert!(reason.contains(word), "{name}: {form}: {reason}");
                }
                other => panic!("{name}: {form}: {other:?}"),
            }
        }
    }
    let on_host = workload.prepare(&Device::Host, &with("fusion=fused element_memory=shared"));
    assert!(matches!(on_host, Err(Ending::Unsupported { .. })));
}
