//! Analytic truths (WORKLOADS §4b), and every corner of the parameters against the definition in double precision.
use super::exact::PLAIN;
use super::*;
use crate::value::Value;
use exact::Image;
use settings::{Interpolation, Wavefront, Window};

pub(super) fn beamformer(preset: &str, more: &[(&str, i64)]) -> Beamformer {
    let mut problem = vec![("preset".into(), Value::Text(preset.into()))];
    problem.extend(more.iter().map(|(k, v)| ((*k).into(), Value::Int(*v))));
    Beamformer::new(&problem).unwrap()
}

/// `name=value` pairs over the declared defaults.
pub(super) fn with(changes: &str) -> Configuration {
    let defaults = declare().parameters.into_iter();
    let defaults = defaults.map(|p| (p.name, p.values[0].clone())).collect();
    let value = |v: &str| {
        v.parse::<i64>()
            .map(Value::Int)
            .or_else(|_| v.parse().map(Value::Bool))
            .or_else(|_| v.parse().map(Value::Float))
            .unwrap_or_else(|_| Value::Text(v.into()))
    };
    let changes: Vec<(String, Value)> = changes
        .split_whitespace()
        .map(|pair| pair.split_once('=').expect("name=value"))
        .map(|(name, v)| (name.to_owned(), value(v)))
        .collect();
    Configuration::new(defaults).with(&changes)
}

pub(super) type Field = Vec<[f64; 2]>;

fn run(workload: &Beamformer, changes: &str) -> Result<Field, Ending> {
    run_on(&Device::Host, workload, changes)
}

pub(super) fn run_on(
    device: &Device,
    workload: &Beamformer,
    changes: &str,
) -> Result<Field, Ending> {
    let mut executable = workload.prepare(device, &with(changes))?;
    // Twice: nothing may be left over from the run before.
    for _ in 0..2 {
        executable.poison();
        let timing = executable.run()?.timing;
        assert_eq!(timing.stages.len(), STAGES.len());
    }
    let output = executable.output()?.expect("a beamformer has an output");
    Ok(complex(&output))
}

pub(super) fn complex(array: &Array) -> Field {
    let values = array.to_f64();
    values.chunks_exact(2).map(|z| [z[0], z[1]]).collect()
}

pub(super) fn exact(workload: &Beamformer, image: &Image) -> Field {
    complex(&exact::image(&workload.scene, image))
}

pub(super) fn rel_l2(a: &[[f64; 2]], b: &[[f64; 2]]) -> f64 {
    assert_eq!(a.len(), b.len());
    let square = |d: [f64; 2]| d[0] * d[0] + d[1] * d[1];
    let pairs = a.iter().zip(b);
    let difference: f64 = pairs.map(|(a, b)| square([a[0] - b[0], a[1] - b[1]])).sum();
    (difference / b.iter().map(|b| square(*b)).sum::<f64>()).sqrt()
}

const ORDERS: [&str; 4] = ["none", "rx", "tx", "rx+tx"];

/// Every scatterer: the largest value within three points, phase 0, and the gain that linear interpolation leaves.
pub(super) fn check_scatterers(scene: &Scene, field: &[[f64; 2]], named: &str) {
    let [nx, nz] = scene.shape;
    let magnitude = |x: usize, z: usize| field[x * nz + z][0].hypot(field[x * nz + z][1]);
    for s in &scene.scatterers {
        let [x, z] = s.node;
        for i in x.saturating_sub(3)..=(x + 3).min(nx - 1) {
            for j in z.saturating_sub(3)..=(z + 3).min(nz - 1) {
                assert!(
                    magnitude(i, j) <= magnitude(x, z),
                    "{named}: {s:?} is no maximum"
                );
            }
        }
        let [re, im] = field[x * nz + z];
        let phase = im.atan2(re);
        assert!(phase.abs() < 1e-3, "{named}: phase {phase} of {s:?}");
        let p = scene.points[x * nz + z];
        let weight = |t| scene.weight(&scene.hourglass(t), Window::Rectangular, p);
        let weights: f64 = (0..scene.sources.len()).map(weight).sum();
        let gain = magnitude(x, z) / (s.amplitude * scene.elements.len() as f64 * weights);
        let sigma = (2.0 * 2.0_f64.ln()).sqrt() / (std::f64::consts::PI * 0.40 * scene.f_mod);
        let loss = 1.0 / (8.0 * (sigma * scene.fs).powi(2));
        assert!(
            (1.0 - loss..=1.000_001).contains(&gain),
            "{named}: gain {gain}"
        );
    }
}

#[test]
fn scatterers_come_out_where_they_are_with_their_phase_and_amplitude() {
    for preset in ["tiny", "laptop"] {
        let workload = beamformer(preset, &[]);
        check_scatterers(&workload.scene, &exact(&workload, &PLAIN), preset);
        for reduce in ORDERS {
            for form in [
                "",
                "phase=factored pairs=active",
                "phase=factored lookup=window",
            ] {
                let form = format!("reduce={reduce} {form}");
                if let Ok(field) = run(&workload, &form) {
                    check_scatterers(&workload.scene, &field, &format!("{preset} {form}"));
                }
            }
        }
    }
}

/// Every combination of the parameters that say how, in turn with those that say how much.
#[test]
fn every_form_agrees_with_the_exact_answer_or_is_refused() {
    let workload = beamformer("tiny", &[]);
    let wanted = exact(&workload, &PLAIN);
    let (mut tried, mut refused, mut turn) = (0, 0, 0);
    let sizes = [
        "",
        "task_points=64 transmit_block=4 receiver_block=5",
        "chunk=256 threads=1",
        "loop_order=tpr patch=8x2",
        "loop_order=trp chunk=300",
        "prefetch=next_transmit patch=1x16",
        "task_points=1024 patch=16x1 transmit_block=1",
    ];
    let names = |parameter: &str| -> Vec<String> {
        let declaration = declare();
        let found = declaration.parameters.iter().find(|p| p.name == parameter);
        let values = &found.expect("a declared parameter").values;
        values.iter().map(|v| format!("{parameter}={v}")).collect()
    };
    for reduce in names("reduce") {
        for (precision, limit) in [("f32", 5e-6), ("f16_storage", 1e-3), ("bf16_storage", 5e-3)] {
            for phase in names("phase") {
                for pairs in names("pairs") {
                    for hoist in names("hoist") {
                        for lookup in names("lookup") {
                            for simd in names("simd") {
                                turn += 1;
                                let form = format!(
                                    "{reduce} precision={precision} {phase} {pairs} {hoist} {lookup} {simd} {}",
                                    sizes[turn % sizes.len()]
                                );
                                match run(&workload, &form) {
                                    Ok(field) => {
                                        let error = rel_l2(&field, &wanted);
                                        assert!(error <= limit, "{form}: {error}");
                                        tried += 1;
                                    }
                                    Err(Ending::Unsupported { reason }) => {
                                        assert!(!reason.is_empty());
                                        refused += 1;
                                    }
                                    Err(other) => panic!("{form}: {other:?}"),
                                }
                            }
                        }
                    }
                }
            }
        }
    }
    assert!(
        tried > 400,
        "only {tried} forms ran, {refused} were refused"
    );
}

#[test]
fn unrolled_loops_sum_the_same() {
    let workload = beamformer("tiny", &[("nr", 37), ("nt", 35)]);
    let wanted = exact(&workload, &PLAIN);
    let mut tried = 0;
    for reduce in ["rx", "tx", "rx+tx"] {
        for set in ["simd=avx2", "simd=avx512 lookup=window"] {
            for pairs in ["dense", "active"] {
                for unroll in [1, 2, 4, 8, 16, 32] {
                    let form = format!(
                        "reduce={reduce} {set} pairs={pairs} unroll={unroll} phase=factored receiver_block=33"
                    );
                    match run(&workload, &form) {
                        Ok(field) => assert!(rel_l2(&field, &wanted) <= 1e-5, "{form}"),
                        Err(Ending::Unsupported { .. }) => continue,
                        Err(other) => panic!("{form}: {other:?}"),
                    }
                    tried += 1;
                }
            }
        }
    }
    let sets = crate::workload::instructions::available().len() - 1;
    assert_eq!(tried, 36 * sets);
}

/// The images that WORKLOADS §4a names beside the plain one.
pub(super) fn other_images() -> Vec<(String, Image)> {
    use Interpolation::{Cubic, Nearest};
    let mut all = vec![
        (
            "interp=nearest".into(),
            Image {
                interpolation: Nearest,
                ..PLAIN
            },
        ),
        (
            "interp=cubic".into(),
            Image {
                interpolation: Cubic,
                ..PLAIN
            },
        ),
        (
            "compensate=true".into(),
            Image {
                is_compensated: true,
                ..PLAIN
            },
        ),
    ];
    for f_number in [1.0, 1.5] {
        all.push((
            format!("fnumber={f_number:.1}"),
            Image { f_number, ..PLAIN },
        ));
    }
    for (name, wavefront) in [
        ("plane", Wavefront::Plane),
        ("hybrid", Wavefront::Hybrid),
        ("blended", Wavefront::Blended),
        ("unified", Wavefront::Unified),
    ] {
        all.push((format!("wavefront={name}"), Image { wavefront, ..PLAIN }));
    }
    for (name, window) in [
        ("hann", Window::Hann),
        ("hamming", Window::Hamming),
        ("tukey", Window::Tukey),
        ("bartlett", Window::Bartlett),
    ] {
        let image = Image {
            window,
            is_compensated: true,
            ..PLAIN
        };
        all.push((format!("window={name} compensate=true"), image));
    }
    all
}

#[test]
fn apodizations_wavefronts_and_interpolations_follow_their_definition() {
    // Noise, so that there is something to see everywhere; depths close enough to meet a focus.
    let workload = beamformer("tiny", &[("noise", 1), ("nz", 128), ("nx", 12)]);
    for (changes, image) in other_images() {
        let wanted = exact(&workload, &image);
        assert!(
            rel_l2(&exact(&workload, &PLAIN), &wanted) > 1e-6,
            "{changes} changes nothing"
        );
        // A delay just at the half may fall on either side in single precision.
        let limit = match image.interpolation {
            Interpolation::Nearest => 1e-3,
            _ => 5e-5,
        };
        for form in [
            "reduce=none",
            "reduce=rx phase=factored pairs=active",
            "reduce=tx phase=factored hoist=recompute",
            "reduce=rx+tx pairs=active simd=portable",
        ] {
            let form = format!("{form} {changes}");
            let error = rel_l2(&run(&workload, &form).unwrap(), &wanted);
            assert!(error < limit, "{form}: {error}");
        }
    }
}

#[test]
fn points_that_no_transmit_reaches_are_exactly_nought() {
    let workload = beamformer("laptop", &[("nt", 5), ("nx", 40), ("nz", 50)]);
    let scene = &workload.scene;
    let reached = |p: &[f64; 3]| {
        let weight = |t| scene.weight(&scene.hourglass(t), Window::Rectangular, *p);
        (0..scene.sources.len()).any(|t| weight(t) != 0.0)
    };
    let dark: Vec<usize> = (0..scene.points.len())
        .filter(|i| !reached(&scene.points[*i]))
        .collect();
    assert!(dark.len() > 10);
    for reduce in ORDERS {
        for pairs in ["dense", "active"] {
            let field = run(&workload, &format!("reduce={reduce} pairs={pairs}")).unwrap();
            assert!(
                dark.iter().all(|i| field[*i] == [0.0, 0.0]),
                "{reduce} {pairs}"
            );
        }
    }
}

#[test]
fn chunks_and_tasks_do_not_change_a_bit() {
    let workload = beamformer("tiny", &[]);
    for reduce in ORDERS {
        for pairs in ["dense", "active"] {
            let form = format!("reduce={reduce} pairs={pairs} phase=factored");
            let whole = run(&workload, &form).unwrap();
            let cuts = [
                "chunk=256 threads=1",
                "chunk=100 task_points=64",
                "task_points=4096",
            ];
            for cut in cuts {
                match run(&workload, &format!("{form} {cut}")) {
                    Ok(field) => assert_eq!(whole, field, "{form} {cut}"),
                    Err(Ending::Unsupported { .. }) => {
                        assert!(reduce == "rx+tx" && cut.contains("chunk"), "{form} {cut}");
                    }
                    Err(other) => panic!("{other:?}"),
                }
            }
        }
    }
}

#[test]
fn the_answer_is_linear_and_the_order_of_transmits_is_only_rounding() {
    let scene = &*beamformer("tiny", &[]).scene;
    for form in [
        "reduce=none",
        "reduce=tx phase=factored",
        "reduce=rx+tx phase=factored pairs=active",
    ] {
        let of = |change: &dyn Fn(&mut Scene)| {
            let mut scene = scene.clone();
            change(&mut scene);
            run(&Beamformer::of(scene), form).unwrap()
        };
        let first = of(&|_| {});
        let other = of(&|s| s.frames[0].reverse());
        let sum = of(&|s| {
            let reversed: Vec<[f32; 2]> = s.frames[0].iter().rev().copied().collect();
            for (z, w) in s.frames[0].iter_mut().zip(reversed) {
                *z = [3.0 * z[0] + w[0], 3.0 * z[1] + w[1]];
            }
        });
        let both = first.iter().zip(&other);
        let expected: Field = both
            .map(|(a, b)| [3.0 * a[0] + b[0], 3.0 * a[1] + b[1]])
            .collect();
        assert!(rel_l2(&sum, &expected) < 1e-5, "{form}");
        let turned = of(&|s| {
            let size = s.frames[0].len() / s.sources.len();
            let transmits: Vec<_> = s.frames[0].chunks(size).rev().flatten().copied().collect();
            s.frames[0] = transmits;
            s.sources.reverse();
        });
        assert!(rel_l2(&turned, &first) < 1e-5, "{form}");
        // A delay of every transmit by T is a start of the recording earlier by T, and a common phase.
        let late = of(&|s| s.delays.iter_mut().for_each(|d| *d = 1e-6));
        let early = of(&|s| s.t_start = 1e-6);
        let (sine, cosine) = (std::f64::consts::TAU * -scene.f_mod * 1e-6).sin_cos();
        let turn = |z: &[f64; 2]| [z[0] * cosine - z[1] * sine, z[0] * sine + z[1] * cosine];
        let early: Field = early.iter().map(turn).collect();
        assert!(rel_l2(&late, &early) < 1e-5, "{form}");
    }
}

#[test]
fn frames_are_beamformed_one_by_one() {
    let workload = beamformer("tiny", &[("frames", 3)]);
    let wanted = exact(&workload, &PLAIN);
    for form in ["reduce=rx", "reduce=rx+tx precision=f16_storage"] {
        let field = run(&workload, form).unwrap();
        assert_eq!(field.len(), 3 * 32 * 32);
        assert!(rel_l2(&field, &wanted) < 1e-3, "{form}");
    }
}

#[test]
fn probes_and_grids_of_any_shape_are_beamformed() {
    let mut scene = (*beamformer("tiny", &[("nr", 13), ("nx", 21), ("nz", 19)]).scene).clone();
    for (i, element) in scene.elements.iter_mut().enumerate() {
        element[1] = 1e-3 * (i % 3) as f64;
        element[2] = -1e-3 * (i % 5) as f64;
    }
    for (i, source) in scene.sources.iter_mut().enumerate() {
        // Behind the probe: a diverging wave.
        if i % 2 == 0 {
            *source = source.map(|v| -0.5 * v);
        }
    }
    let workload = Beamformer::of(scene);
    let wanted = exact(&workload, &PLAIN);
    for form in [
        "reduce=tx",
        "reduce=rx+tx phase=factored lookup=window patch=8x2",
    ] {
        match run(&workload, form) {
            Ok(field) => assert!(rel_l2(&field, &wanted) < 5e-6, "{form}"),
            Err(Ending::Unsupported { .. }) => assert!(form.contains("window")),
            Err(other) => panic!("{other:?}"),
        }
    }
}

#[test]
fn the_number_of_bodies_jumps_where_the_published_compile_time_does() {
    let workload = beamformer("tiny", &[("nt", 99)]);
    let bodies = |changes: &str| {
        let read = Settings::on_gpu(
            &with(changes),
            &workload.scene,
            crate::device::Language::Cuda,
        );
        read.unwrap().bodies(&workload.scene)
    };
    for (unroll, count) in [
        (1, 2),
        (2, 3),
        (20, 39),
        (25, 49),
        (33, 66),
        (49, 50),
        (50, 99),
        (98, 99),
        (99, 99),
    ] {
        assert_eq!(bodies(&format!("reduce=tx unroll={unroll}")), Some(count));
    }
    assert_eq!(bodies("reduce=tx unroll=50 remainder=rolled"), Some(52));
    assert_eq!(bodies("reduce=none"), None);
}

#[test]
fn a_cube_that_does_not_fit_is_over_the_limit() {
    let huge = [("nx", 1 << 17), ("nz", 1 << 4), ("nr", 4000), ("ns", 2)];
    let workload = beamformer("tiny", &huge);
    match workload.prepare(&Device::Host, &with("reduce=none")) {
        Err(Ending::OverLimit { limit }) => assert!(limit.contains("chunk"), "{limit}"),
        other => panic!("{:?}", other.err()),
    }
}

#[test]
fn knobs_without_an_effect_are_refused_with_the_reason() {
    let workload = beamformer("tiny", &[]);
    for (form, word) in [
        ("unroll=2", "reduce=none"),
        ("reduce=tx unroll=16", "unroll=9"),
        ("reduce=rx unroll=3", "compiled ahead"),
        ("reduce=rx+tx chunk=256", "task_points"),
        ("chunk=1024", "chunk=-1"),
        ("transmit_block=9", "transmit_block=-1"),
        ("receiver_block=16", "receiver_block=-1"),
        ("loop_order=tpr transmit_block=3", "loop_order"),
        (
            "reduce=rx loop_order=tpr prefetch=next_transmit",
            "no next one",
        ),
        (
            "reduce=rx transmit_block=1 prefetch=next_transmit",
            "no next one",
        ),
        ("reduce=tx prefetch=next_transmit", "next_transmit"),
        ("reduce=rx remainder=rolled", "remainder"),
        ("sincos=builtin", "GPU"),
        ("prefetch=double_buffer", "GPU"),
        ("simd=portable lookup=window phase=factored", "AVX-512"),
    ] {
        match run(&workload, form) {
            Err(Ending::Unsupported { reason }) => {
                assert!(reason.contains(word), "{form}: {reason}")
            }
            other => panic!("{form}: {other:?}"),
        }
    }
    let line = beamformer("tiny", &[("nz", 1)]);
    assert!(matches!(
        run(&line, "patch=8x2"),
        Err(Ending::Unsupported { .. })
    ));
    assert!(rel_l2(&run(&line, "").unwrap(), &exact(&line, &PLAIN)) < 5e-6);
}

#[test]
fn problems_that_make_no_sense_are_refused_by_key() {
    let text = |v: &str| Value::Text(v.into());
    for (key, value, word) in [
        ("preset", text("huge"), "huge"),
        ("nx", Value::Int(0), "nx"),
        ("c", Value::Float(-1.0), "above 0"),
        ("depth", Value::Int(3), "depth"),
        ("signal", text("no/such.npy"), "no/such.npy"),
        ("c", Value::Float(1e-3), "metres"),
    ] {
        let Err(why) = Beamformer::new(&[(key.into(), value)]) else {
            panic!("{key}");
        };
        assert!(why.contains(word), "{why}");
    }
}
