//! The same asserts on GPUs: WGSL on the first adapter of this machine (CI: Mesa's lavapipe), CUDA emulated, and on a GPU where
//! there is one.
use super::settings::{AntiAlias, Aperture, Imaging, Interpolation, Mute, PLAIN};
use super::tests::{Survey, assert_focus, bits, int, rel_l2, text};
use super::velocity::Lookup;
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

/// f32 decides a few contributions at the end of a trace otherwise than f64 (WORKLOADS §2b allows 1e-5).
fn assert_fold(fold: &[f32], expected: &[u32], what: &str) {
    let off: f64 = fold
        .iter()
        .zip(expected)
        .map(|(a, b)| (f64::from(*a) - f64::from(*b)).abs())
        .sum();
    let all: f64 = expected.iter().map(|n| f64::from(*n)).sum();
    assert!(off <= 1e-5 * all, "{what}: {off} of {all}");
}

#[test]
fn gpus_agree_with_the_definition_in_every_choice_of_image() {
    let survey = Survey::new(
        "tiny",
        &[
            ("noise", Value::Float(0.05)),
            ("v0", Value::Float(1700.0)),
            ("gradient", Value::Float(800.0)),
            ("lateral", Value::Float(0.03)),
        ],
    );
    let choices = [
        (vec![], PLAIN, 1e-5),
        (
            vec![("aperture", text("depth_adaptive")), ("tg_t", int(32))],
            Imaging {
                aperture: Aperture::DepthAdaptive,
                ..PLAIN
            },
            1e-5,
        ),
        (
            vec![("aperture", text("dip"))],
            Imaging {
                aperture: Aperture::Dip,
                ..PLAIN
            },
            1e-4,
        ),
        (
            vec![("mute", text("outer"))],
            Imaging {
                mute: Mute::Outer,
                ..PLAIN
            },
            2e-5,
        ),
        (
            vec![("mute", text("stretch"))],
            Imaging {
                mute: Mute::Stretch,
                ..PLAIN
            },
            1e-3,
        ),
        (
            vec![("interp", text("nearest"))],
            Imaging {
                interpolation: Interpolation::Nearest,
                ..PLAIN
            },
            2e-2,
        ),
        (
            vec![("interp", text("cubic"))],
            Imaging {
                interpolation: Interpolation::Cubic,
                ..PLAIN
            },
            1e-5,
        ),
        (
            vec![("interp", text("sinc8"))],
            Imaging {
                interpolation: Interpolation::Sinc8,
                ..PLAIN
            },
            1e-5,
        ),
        (
            vec![("velocity", text("cube_nearest"))],
            Imaging {
                velocity: Lookup::Nearest,
                ..PLAIN
            },
            1e-5,
        ),
        (
            vec![("velocity", text("cube_trilinear"))],
            Imaging {
                velocity: Lookup::Trilinear,
                ..PLAIN
            },
            1e-5,
        ),
        (
            vec![("anti_alias", text("weight"))],
            Imaging {
                anti_alias: AntiAlias::Weight,
                ..PLAIN
            },
            2e-5,
        ),
        (
            vec![("anti_alias", text("triangle"))],
            Imaging {
                anti_alias: AntiAlias::Triangle,
                ..PLAIN
            },
            5e-3,
        ),
        (
            vec![("spreading", text("on")), ("obliquity", text("on"))],
            Imaging {
                has_spreading: true,
                has_obliquity: true,
                ..PLAIN
            },
            2e-5,
        ),
    ];
    let devices = devices();
    for (settings, imaging, most) in choices {
        let (image, fold) = survey.exact(&imaging);
        for (name, device) in &devices {
            let output = survey.on(device, &settings);
            let (a, f) = judge::parts(&output);
            let off = rel_l2(a, &image);
            assert!(off < most, "{name} {settings:?}: {off:e}");
            if imaging.aperture != Aperture::Dip && imaging.mute != Mute::Stretch {
                assert_fold(f, &fold, &format!("{name} {settings:?}"));
            }
        }
    }
}

#[test]
fn what_claims_the_same_image_gives_it_on_gpus() {
    let survey = Survey::new("tiny", &[("bins", int(2)), ("memory", int(300_000))]);
    let (image, fold) = survey.exact(&PLAIN);
    let small = [("tile_x", int(4)), ("tile_y", int(5))];
    let with = |more: &[(&'static str, Value)]| [&small, more].concat();
    // Side by side in time: not what the emulation is for.
    let in_flight = [
        with(&[("tiles_in_flight", int(2))]),
        with(&[
            ("bins_in_flight", int(2)),
            ("prefetch", int(1)),
            ("tiles_in_flight", int(2)),
        ]),
    ];
    let alone = [
        with(&[]),
        with(&[("tile_order", text("hilbert")), ("prefetch", int(1))]),
        with(&[("io", text("copy1")), ("cache_percent", int(25))]),
        with(&[
            ("tg_x", int(1)),
            ("tg_y", int(2)),
            ("tg_t", int(128)),
            ("trace_batch", int(8)),
        ]),
        with(&[("velocity_memory", text("local")), ("trace_batch", int(4))]),
    ];
    for (name, device) in devices() {
        let mut reference = None;
        let variants = alone.iter().chain(if name == "emulated cuda" {
            &[][..]
        } else {
            &in_flight
        });
        for settings in variants {
            let output = survey.on(&device, settings);
            let (a, f) = judge::parts(&output);
            assert!(
                rel_l2(a, &image) < 1e-5,
                "{name} {settings:?}: {:e}",
                rel_l2(a, &image)
            );
            assert_fold(f, &fold, name);
            // Groups and batches of another shape may be compiled to another order of operations; tiles and loads may not.
            let is_shaped = settings
                .iter()
                .any(|(k, _)| k.starts_with("tg_") || *k == "trace_batch");
            if !is_shaped {
                let reference = reference.get_or_insert_with(|| bits(&output));
                assert!(*reference == bits(&output), "{name} {settings:?}");
            }
        }
        let scattered = survey.on(
            &device,
            &with(&[("traversal", text("trace_scatter")), ("tg_t", int(32))]),
        );
        let (a, f) = judge::parts(&scattered);
        assert!(
            rel_l2(a, &image) < 1e-5,
            "{name} scatter: {:e}",
            rel_l2(a, &image)
        );
        assert_fold(f, &fold, name);
    }
}

#[test]
fn stored_precisions_and_steps_stay_within_their_limits_on_gpus() {
    let survey = Survey::new("tiny", &[]);
    let (image, _) = survey.exact(&PLAIN);
    for (name, device) in devices() {
        for (settings, low, high) in [
            (("precision", text("f16_storage")), 1e-6, 1e-3),
            (("precision", text("bf16_storage")), 1e-4, 5e-3),
            (("time_step", int(2)), 1e-6, 1e-2),
        ] {
            let output = survey.on(&device, std::slice::from_ref(&settings));
            let off = rel_l2(judge::parts(&output).0, &image);
            assert!(off > low && off < high, "{name} {settings:?}: {off:e}");
        }
        assert_focus(&survey, &survey.on(&device, &[]));
    }
}

#[test]
fn what_a_gpu_cannot_is_refused_with_a_reason() {
    let survey = Survey::new("tiny", &[]);
    let refused = [
        (vec![("axis", text("time"))], "a processor's"),
        (vec![("simd", text("portable"))], "a processor's"),
        (vec![("io", text("zero_copy"))], "maps no file"),
        (
            vec![
                ("velocity_memory", text("local")),
                ("velocity", text("cube_nearest")),
            ],
            "one pillar",
        ),
        (
            vec![
                ("traversal", text("trace_scatter")),
                ("trace_batch", int(4)),
            ],
            "unrolls",
        ),
    ];
    for (name, device) in devices() {
        for (settings, why) in &refused {
            match survey.try_on(&device, settings) {
                Err(Ending::Unsupported { reason }) => {
                    assert!(reason.contains(why), "{name} {settings:?}: {reason}")
                }
                other => panic!(
                    "{name} {settings:?}: {:?}",
                    other.map(|output| output.shape)
                ),
            }
        }
    }
}
