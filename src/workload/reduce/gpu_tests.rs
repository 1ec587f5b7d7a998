//! The GPU's kernels against the definition in double precision: WGSL on the first adapter of this machine (CI: Mesa's lavapipe),
//! CUDA emulated, and on a GPU where there is one.
use super::exact::PLAIN;
use super::tests::{
    Field, beamformer, check_scatterers, exact, other_images, rel_l2, run_on, with,
};
use super::*;
use crate::device;
use crate::device::emulated::Emulated;
use crate::plan::DeviceChoice;
use settings::Interpolation;

/// The devices of this machine, by language.
fn devices() -> Vec<(&'static str, Device)> {
    let mut all = vec![];
    match device::open(DeviceChoice::Wgpu(0)) {
        Ok(gpu) => all.push(("wgsl", gpu)),
        Err(why) => assert!(std::env::var_os("PHASETUNE_NEEDS_GPU").is_none(), "{why}"),
    }
    all.extend(Emulated::open().map(|gpu| ("emulated cuda", Device::Gpu(gpu))));
    let cuda = device::open(DeviceChoice::Cuda(0)).ok();
    all.extend(cuda.map(|gpu| ("cuda", gpu)));
    all
}

/// Each of `forms`, within `limit` of `wanted`.
fn agree(workload: &Beamformer, wanted: &Field, limit: f64, forms: &[String]) {
    for (name, device) in devices() {
        for form in forms {
            match run_on(&device, workload, form) {
                Ok(field) => {
                    let error = rel_l2(&field, wanted);
                    assert!(error <= limit, "{name}: {form}: {error}");
                }
                Err(other) => panic!("{name}: {form}: {other:?}"),
            }
        }
    }
}

const ORDERS: [&str; 4] = ["none", "rx", "tx", "rx+tx"];

/// How each form is laid out, in turn.
const LAYOUTS: [&str; 4] = [
    "",
    "chunk=300 group_points=128",
    "group_points=32 sincos=builtin",
    "chunk=1000 group_points=256",
];

#[test]
fn every_form_agrees_with_the_exact_answer_on_gpus() {
    let workload = beamformer("tiny", &[]);
    let wanted = exact(&workload, &PLAIN);
    let mut forms: [Vec<String>; 3] = Default::default();
    let precisions = ["f32", "f16_storage", "bf16_storage"];
    let mut turn = 0;
    for reduce in ORDERS {
        for phase in ["sincos", "factored"] {
            let hoists = match (reduce, phase) {
                ("none" | "tx", "sincos") | ("rx" | "rx+tx", "factored") => ["tables", "tx_table"],
                _ => ["recompute", "rx_table"],
            };
            for hoist in hoists {
                turn += 1;
                let pairs = ["dense", "active"][turn % 2];
                let layout = LAYOUTS[turn % 4];
                let p = turn % 3;
                forms[p].push(format!(
                    "reduce={reduce} phase={phase} hoist={hoist} pairs={pairs} precision={} {layout}",
                    precisions[p]
                ));
            }
        }
    }
    for split in [2, 8] {
        forms[0].push(format!(
            "reduce=rx+tx receiver_split={split} phase=factored"
        ));
    }
    for (forms, limit) in forms.iter().zip([1e-4, 1e-3, 5e-3]) {
        assert!(forms.len() >= 5);
        agree(&workload, &wanted, limit, forms);
    }
}

#[test]
fn unrolled_loops_and_their_remainders_sum_the_same_on_gpus() {
    let workload = beamformer("tiny", &[]);
    let wanted = exact(&workload, &PLAIN);
    for (name, device) in devices() {
        for (reduce, rounds, some) in [("rx", 16, 4), ("tx", 9, 3), ("rx+tx", 16, 7)] {
            let of = |more: &str| {
                let form = format!("reduce={reduce} phase=factored {more}");
                run_on(&device, &workload, &form).unwrap()
            };
            let rolled = of("");
            assert!(rel_l2(&rolled, &wanted) <= 1e-4);
            for more in [
                "unroll=2".into(),
                format!("unroll={some}"),
                format!("unroll={some} remainder=rolled"),
            ] {
                assert!(
                    rel_l2(&of(&more), &rolled) <= 1e-6,
                    "{name}: {reduce} {more}"
                );
            }
            let whole = of(&format!("unroll={rounds}"));
            assert!(
                rel_l2(&whole, &rolled) <= 1e-6,
                "{name}: {reduce} unroll={rounds}"
            );
        }
    }
}

#[test]
fn sums_go_on_from_launch_to_launch_on_gpus() {
    let workload = beamformer("tiny", &[]);
    let wanted = exact(&workload, &PLAIN);
    let forms = [
        "reduce=rx loop_order=trp phase=factored",
        "reduce=rx transmit_block=4 receiver_block=8 chunk=300",
        "reduce=tx loop_order=tpr pairs=active",
        "reduce=tx transmit_block=3 receiver_block=5 unroll=2 phase=factored",
        "reduce=rx+tx loop_order=trp pairs=active",
        "reduce=rx+tx loop_order=tpr unroll=4 phase=factored chunk=1000",
        "reduce=rx+tx transmit_block=4 receiver_block=8 receiver_split=2 phase=factored",
    ];
    agree(&workload, &wanted, 1e-4, &forms.map(str::to_owned));
    // Divided once, by the weights of all transmits.
    let (changes, image) = (other_images().into_iter())
        .find(|(_, image)| image.is_compensated)
        .expect("one of them is compensated");
    let wanted = exact(&workload, &image);
    let form = format!("reduce=rx+tx loop_order=tpr {changes}");
    agree(&workload, &wanted, 1e-4, &[form]);
}

#[test]
fn scatterers_come_out_where_they_are_on_gpus() {
    let workload = beamformer("tiny", &[]);
    for (name, device) in devices() {
        for reduce in ORDERS {
            let form = format!("reduce={reduce}");
            let field = run_on(&device, &workload, &form).unwrap();
            check_scatterers(&workload.scene, &field, &format!("{name}: {form}"));
        }
    }
}

#[test]
fn apodizations_wavefronts_and_interpolations_follow_their_definition_on_gpus() {
    let workload = beamformer("tiny", &[("nz", 48)]);
    for (i, (changes, image)) in other_images().into_iter().enumerate() {
        let wanted = exact(&workload, &image);
        // A delay just at the half may fall on either side in single precision.
        let limit = match image.interpolation {
            Interpolation::Nearest => 5e-3,
            _ => 1e-4,
        };
        let form = [
            "reduce=none",
            "reduce=rx phase=factored pairs=active",
            "reduce=tx phase=factored hoist=recompute",
            "reduce=rx+tx pairs=active receiver_split=2",
        ][i % 4];
        agree(&workload, &wanted, limit, &[format!("{form} {changes}")]);
    }
}

#[test]
fn chunks_do_not_change_a_bit_on_gpus() {
    let workload = beamformer("tiny", &[]);
    for (name, device) in devices() {
        for reduce in ORDERS {
            let of = |more: &str| {
                run_on(&device, &workload, &format!("reduce={reduce} {more}")).unwrap()
            };
            assert_eq!(of(""), of("chunk=300"), "{name}: {reduce}");
        }
    }
}

#[test]
fn frames_are_beamformed_one_by_one_on_gpus() {
    let workload = beamformer("tiny", &[("frames", 3)]);
    let wanted = exact(&workload, &PLAIN);
    for (name, device) in devices() {
        for form in [
            "reduce=tx",
            "reduce=rx+tx precision=f16_storage",
            "reduce=rx prefetch=double_buffer",
        ] {
            match run_on(&device, &workload, form) {
                Ok(field) => assert!(rel_l2(&field, &wanted) < 1e-3, "{name}: {form}"),
                Err(Ending::Unsupported { reason }) => {
                    assert!(name == "wgsl" && reason.contains("queue"), "{reason}");
                }
                Err(other) => panic!("{name}: {form}: {other:?}"),
            }
        }
    }
}

#[test]
fn a_kernel_says_how_often_its_body_is_written_out_and_how_much_memory_it_takes() {
    let workload = beamformer("tiny", &[]);
    for (name, device) in devices() {
        let prepared = |changes: &str| workload.prepare(&device, &with(changes)).unwrap();
        let bodies = prepared("reduce=tx unroll=3").attributes();
        assert_eq!(bodies[0], ("unroll_bodies".into(), 6.0), "{name}");
        // The emulated device never takes memory back.
        if name == "emulated cuda" {
            continue;
        }
        let peak = |changes: &str| prepared(changes).device_peak().0;
        let (cube, none) = (
            peak("reduce=none hoist=recompute"),
            peak("reduce=rx+tx hoist=recompute"),
        );
        assert!(
            cube >= none + 8 * 1024 * 16 * 9 - 8,
            "{name}: {cube} {none}"
        );
    }
}

#[test]
fn what_a_gpu_does_not_have_is_refused_with_the_reason() {
    let workload = beamformer("tiny", &[]);
    for (name, device) in devices() {
        for (form, word) in [
            ("simd=avx2", "processor"),
            ("lookup=window", "lookup"),
            ("prefetch=next_transmit", "next_transmit"),
            ("prefetch=double_buffer", "double_buffer"),
            ("task_points=64", "group_points"),
            ("loop_order=tpr", "one pair"),
            ("reduce=tx transmit_block=4", "divide 9"),
            (
                "reduce=rx+tx receiver_block=8 receiver_split=16",
                "divide 16",
            ),
            (
                "reduce=rx loop_order=trp receiver_block=8",
                "loop_order=ptr",
            ),
            ("reduce=rx receiver_block=16", "receiver_block=-1"),
            ("unroll=2", "reduce=none"),
            ("reduce=tx unroll=10", "unroll=9"),
            ("reduce=tx unroll=4 remainder=rolled", "remains"),
            ("reduce=tx receiver_split=2", "receiver_split"),
            ("chunk=1024", "chunk=-1"),
        ] {
            match run_on(&device, &workload, form) {
                Err(Ending::Unsupported { reason }) => {
                    assert!(reason.contains(word), "{name}: {form}: {reason}");
                }
                other => panic!("{name}: {form}: {other:?}"),
            }
        }
    }
    for form in [
        "reduce=tx group_points=128",
        "reduce=tx unroll=3",
        "reduce=rx+tx chunk=256",
    ] {
        let on_host = workload.prepare(&Device::Host, &with(form));
        assert!(matches!(on_host, Err(Ending::Unsupported { .. })), "{form}");
    }
}
