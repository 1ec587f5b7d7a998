//! Analytic truths (WORKLOADS §1b), and every corner of the parameters against the definition in double precision.
use super::*;
use crate::accuracy::peak;
use crate::value::Value;
use scene::distance;
use std::f64::consts::TAU;

pub(super) fn beamformer(preset: &str, more: &[(&str, i64)]) -> Beamformer {
    let mut problem = vec![("preset".into(), Value::Text(preset.into()))];
    problem.extend(more.iter().map(|(k, v)| ((*k).into(), Value::Int(*v))));
    Beamformer::new(&problem).unwrap()
}

/// `name=value` pairs over the declared defaults.
pub(super) fn with(changes: &str) -> Configuration {
    let defaults = declare()
        .parameters
        .into_iter()
        .map(|p| (p.name, p.values[0].clone()))
        .collect();
    let value = |v: &str| {
        v.parse::<i64>()
            .map(Value::Int)
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

pub(super) type Volume = Vec<[f64; 2]>;

fn run(workload: &Beamformer, changes: &str) -> Result<Volume, Ending> {
    let mut executable = workload.prepare(&Device::Host, &with(changes))?;
    // Twice: nothing may be left over from the run before.
    for _ in 0..2 {
        executable.poison();
        executable.run()?;
    }
    Ok(complex(
        &executable.output()?.expect("a beamformer has an output"),
    ))
}

pub(super) fn complex(array: &Array) -> Volume {
    let values = array.to_f64();
    values.chunks_exact(2).map(|z| [z[0], z[1]]).collect()
}

pub(super) fn exact(workload: &Beamformer) -> Volume {
    complex(&exact::volume(&workload.shared.scene))
}

pub(super) fn rel_l2(a: &[[f64; 2]], b: &[[f64; 2]]) -> f64 {
    assert_eq!(a.len(), b.len());
    let difference: f64 = a
        .iter()
        .zip(b)
        .map(|(a, b)| (a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2))
        .sum();
    let norm: f64 = b.iter().map(|b| b[0] * b[0] + b[1] * b[1]).sum();
    (difference / norm).sqrt()
}

/// The fastest form on a processor with AVX-512, and the fastest elsewhere.
const PATCH: &str = "fusion=fused axis=patch phase=factored iq_layout=element_sample first_arrival=nearest z_chunk=-1";
const SWEEP: &str =
    "fusion=fused_store axis=elements phase=factored iq_layout=element_sample z_chunk=-1";

#[test]
fn scatterers_come_out_where_they_are_with_their_phase_and_amplitude() {
    for preset in ["tiny", "laptop"] {
        let workload = beamformer(preset, &[]);
        let scene = &workload.shared.scene;
        let [_, ny, nz] = scene.shape();
        let forms = [PATCH, SWEEP, ""].map(|form| run(&workload, form));
        for volume in forms.into_iter().flatten().chain([exact(&workload)]) {
            let value = |n: [usize; 3]| volume[(n[0] * ny + n[1]) * nz + n[2]];
            let magnitude = |n: [usize; 3]| value(n)[0].hypot(value(n)[1]);
            for s in &scene.scatterers {
                let near = |i: usize| i - 2..=i + 2;
                for i in near(s.node[0]) {
                    for j in near(s.node[1]) {
                        for k in near(s.node[2]) {
                            assert!(
                                magnitude([i, j, k]) <= magnitude(s.node),
                                "{preset}: {s:?} is no maximum"
                            );
                        }
                    }
                }
                let [re, im] = value(s.node);
                assert!(
                    im.atan2(re).abs() < 1e-3,
                    "{preset}: phase {} of {s:?}",
                    im.atan2(re)
                );
                let gain = magnitude(s.node) / (s.amplitude * scene.elements.len() as f64);
                let sigma = (2.0 * 2.0_f64.ln()).sqrt() / (0.5 * TAU * 0.70 * scene.fc);
                let loss = 1.0 / (8.0 * (sigma * scene.fs).powi(2));
                assert!(
                    (1.0 - loss..=1.000_001).contains(&gain),
                    "{preset}: gain {gain}"
                );
            }
        }
    }
}

/// The definition with apodization and the other interpolations, which `exact` does not have.
pub(super) fn general(workload: &Beamformer, f_number: f64, interpolation: &str) -> Volume {
    let scene = &workload.shared.scene;
    let [nx, ny, nz] = scene.shape();
    let (ne, last) = (scene.elements.len(), scene.samples as i64 - 1);
    let point = |index: usize| {
        let p = [
            scene.axes[0][index / (ny * nz)],
            scene.axes[1][index / nz % ny],
            scene.axes[2][index % nz],
        ];
        let distances: Vec<f64> = scene.elements.iter().map(|e| distance(p, *e)).collect();
        let first = scene.first_arrival(&distances);
        let mut sum = [0.0; 2];
        for (e, r) in distances.iter().enumerate() {
            let half = p[2] / (2.0 * f_number);
            let across = [0, 1].map(|axis| (p[axis] - scene.elements[e][axis]).abs());
            let s = ((first + r) / scene.c - scene.t0) * scene.fs;
            if s < 0.0 || s >= last as f64 || across.iter().any(|d| *d > half) {
                continue;
            }
            let (i, a) = (s.floor() as i64, s - s.floor());
            let taps: Vec<(i64, f64)> = match interpolation {
                "nearest" => vec![(s.round() as i64, 1.0)],
                "cubic" => (-1..3)
                    .map(|tap| {
                        let others = (-1..3).filter(|o| *o != tap);
                        let weight = others.map(|o| (a - o as f64) / (tap - o) as f64).product();
                        (i + tap, weight)
                    })
                    .filter(|(n, _)| (0..=last).contains(n))
                    .collect(),
                _ => vec![(i, 1.0 - a), (i + 1, a)],
            };
            let (sine, cosine) = (TAU * scene.fc * s / scene.fs).sin_cos();
            for (n, weight) in taps {
                let [re, im] = scene.frames[0][n as usize * ne + e].map(|v| weight * f64::from(v));
                sum = [
                    sum[0] + re * cosine - im * sine,
                    sum[1] + re * sine + im * cosine,
                ];
            }
        }
        sum
    };
    (0..nx * ny * nz).map(point).collect()
}

#[test]
fn the_general_definition_is_the_exact_one_where_both_apply() {
    let workload = beamformer("tiny", &[]);
    assert!(rel_l2(&general(&workload, 0.0, "linear"), &exact(&workload)) < 1e-12);
}

/// Every combination of the parameters that say how, in turn with those that say how much.
#[test]
fn every_form_agrees_with_the_exact_answer_or_is_refused() {
    let workload = beamformer("tiny", &[]);
    let wanted = exact(&workload);
    let (mut tried, mut refused, mut turn) = (0, 0, 0);
    let sizes = [
        "z_chunk=4",
        "x_chunk=4 y_chunk=8 z_chunk=-1 task_points=64",
        "x_chunk=1 y_chunk=2 z_chunk=16 task_points=32 threads=1",
        "element_split=4",
        "prefetch=next_line task_points=1024",
    ];
    let names = |parameter: &str| -> Vec<String> {
        let declaration = declare();
        let found = declaration.parameters.iter().find(|p| p.name == parameter);
        let values = &found.expect("a declared parameter").values;
        values.iter().map(|v| format!("{parameter}={v}")).collect()
    };
    for fusion in names("fusion") {
        for (precision, limit) in [("f32", 2e-4), ("f16_storage", 1e-3), ("bf16_storage", 5e-3)] {
            for phase in names("phase") {
                for axis in names("axis") {
                    for layout in names("iq_layout") {
                        for first in names("first_arrival") {
                            for simd in names("simd") {
                                turn += 1;
                                let form = format!(
                                    "{fusion} precision={precision} {phase} {axis} {layout} {first} {simd} {}",
                                    sizes[turn % sizes.len()]
                                );
                                match run(&workload, &form) {
                                    Ok(volume) => {
                                        let error = rel_l2(&volume, &wanted);
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
        tried > 300,
        "only {tried} forms ran, {refused} were refused"
    );
}

#[test]
fn apodization_and_interpolation_follow_their_definition() {
    let workload = beamformer("tiny", &[]);
    for f_number in ["0.0", "1.0", "1.5"] {
        for interpolation in ["linear", "nearest", "cubic"] {
            let wanted = general(&workload, f_number.parse().unwrap(), interpolation);
            // A delay just at the half, or an element just at the rim, may fall on either side in single precision.
            let limit = if interpolation == "nearest" {
                1e-2
            } else {
                2e-4
            };
            for form in [
                "fusion=staged",
                "fusion=fused",
                "fusion=fused phase=factored simd=portable",
                "fusion=fused_store axis=elements iq_layout=element_sample",
                "fusion=partial phase=recurrence",
            ] {
                let form = format!("{form} fnumber={f_number} interp={interpolation}");
                match run(&workload, &form) {
                    Ok(volume) => {
                        let error = rel_l2(&volume, &wanted);
                        assert!(error < limit, "{form}: {error}");
                    }
                    Err(other) => panic!("{form}: {other:?}"),
                }
            }
        }
    }
}

#[test]
fn arithmetic_in_half_precision_is_as_far_off_as_it_must_be() {
    let workload = beamformer("tiny", &[]);
    let wanted = exact(&workload);
    for (precision, range) in [
        ("f16_mixed", 1e-5..1e-3),
        ("f16_all", 0.05..1.0),
        ("bf16_all", 0.5..10.0),
    ] {
        let error = rel_l2(
            &run(&workload, &format!("precision={precision}")).unwrap(),
            &wanted,
        );
        assert!(range.contains(&error), "{precision}: {error}");
    }
}

#[test]
fn chunks_and_tasks_do_not_change_a_bit() {
    let workload = beamformer("tiny", &[]);
    for form in [
        "fusion=staged",
        "fusion=partial",
        "fusion=fused",
        "fusion=fused_factored phase=sincos",
        SWEEP,
        PATCH,
    ] {
        let Ok(whole) = run(&workload, &format!("{form} z_chunk=-1")) else {
            assert_eq!(form, PATCH, "everything else runs everywhere");
            continue;
        };
        for cut in [
            "x_chunk=4 y_chunk=2 z_chunk=8",
            "x_chunk=8 z_chunk=16 task_points=32",
            "y_chunk=4 z_chunk=-1 threads=1 task_points=512",
        ] {
            assert_eq!(
                whole,
                run(&workload, &format!("{form} {cut}")).unwrap(),
                "{form} {cut}"
            );
        }
    }
}

#[test]
fn a_batch_is_its_volumes_one_by_one() {
    let workload = beamformer("tiny", &[("volumes", 4)]);
    let single = run(&workload, "fusion=fused batch=1").unwrap();
    assert_eq!(single, run(&workload, "fusion=fused batch=2").unwrap());
    assert!(rel_l2(&single, &exact(&workload)) < 2e-4);
    let four = run(&workload, "fusion=staged").unwrap();
    assert!(rel_l2(&four, &single) < 2e-4);
    assert!(matches!(
        run(&workload, "fusion=fused batch=5"),
        Err(Ending::Unsupported { .. })
    ));
}

#[test]
fn the_answer_is_linear_and_delays_are_times() {
    let scene = beamformer("tiny", &[]).shared.scene.clone();
    for form in [PATCH, SWEEP, "fusion=staged"] {
        let of = |change: &dyn Fn(&mut Scene)| {
            let mut scene = scene.clone();
            change(&mut scene);
            run(&Beamformer::of(scene), form)
        };
        let Ok(first) = of(&|_| {}) else { continue };
        let other = of(&|s| s.frames[0].reverse()).unwrap();
        let sum = of(&|s| {
            let reversed: Vec<[f32; 2]> = s.frames[0].iter().rev().copied().collect();
            for (z, w) in s.frames[0].iter_mut().zip(reversed) {
                *z = [3.0 * z[0] + w[0], 3.0 * z[1] + w[1]];
            }
        })
        .unwrap();
        let expected: Volume = first
            .iter()
            .zip(&other)
            .map(|(a, b)| [3.0 * a[0] + b[0], 3.0 * a[1] + b[1]])
            .collect();
        assert!(rel_l2(&sum, &expected) < 1e-5, "{form}");
        // A delay of every element by T is a start of the recording at −T.
        let late = of(&|s| s.delays.iter_mut().for_each(|d| *d = 1.25e-7)).unwrap();
        let early = of(&|s| s.t0 = -1.25e-7).unwrap();
        assert!(rel_l2(&late, &early) < 1e-5, "{form}");
    }
}

/// An array of 61 elements on a curve, fired one after the other.
pub(super) fn bent(flat: &Scene) -> Scene {
    let mut scene = flat.clone();
    for (e, element) in scene.elements.iter_mut().enumerate() {
        element[2] = -1e-3 * (e % 7) as f64 / 7.0;
    }
    for (e, delay) in scene.delays.iter_mut().enumerate() {
        *delay = 1e-7 * (e % 5) as f64;
    }
    // Not a multiple of any vector.
    scene.elements.truncate(61);
    scene.delays.truncate(61);
    for frame in &mut scene.frames {
        frame.truncate(560 * 61);
    }
    scene
}

#[test]
fn arrays_that_are_neither_flat_nor_fired_at_once_are_beamformed_too() {
    let scene = bent(&beamformer("tiny", &[]).shared.scene);
    let workload = Beamformer::of(scene);
    let wanted = exact(&workload);
    for form in ["fusion=staged", "fusion=fused", SWEEP] {
        let error = rel_l2(&run(&workload, form).unwrap(), &wanted);
        assert!(error < 2e-4, "{form}: {error}");
    }
    assert!(matches!(
        run(&workload, PATCH),
        Err(Ending::Unsupported { .. })
    ));
}

/// |volume| along x through the first scatterer, exact.
fn line(preset: &str, bandwidth: f64) -> (Vec<f64>, usize, Scene) {
    let problem = vec![
        ("preset".into(), Value::Text(preset.into())),
        ("bandwidth".into(), Value::Float(bandwidth)),
    ];
    let mut scene = Scene::new(&problem).unwrap();
    let [i, j, k] = scene.scatterers[0].node;
    scene.axes[1] = vec![scene.axes[1][j]];
    scene.axes[2] = vec![scene.axes[2][k]];
    let volume = complex(&exact::volume(&scene));
    (volume.iter().map(|z| z[0].hypot(z[1])).collect(), i, scene)
}

#[test]
fn the_lateral_width_is_that_of_the_aperture() {
    for (preset, tolerance) in [("tiny", 0.15), ("laptop", 0.10), ("paper", 0.10)] {
        let (line, peak, scene) = line(preset, 0.70);
        let width =
            peak::width_at_half(&line, peak).unwrap() * (scene.axes[0][1] - scene.axes[0][0]);
        let theory = 1.2067 * scene.c / scene.fc * scene.axes[2][0] / 9.6e-3;
        assert!(
            (width / theory - 1.0).abs() < tolerance,
            "{preset}: {width} against {theory}"
        );
    }
}

/// −13.3 dB (WORKLOADS §1b check 5) is the side lobe of a continuous wave. A pulse reaches the two ends of the aperture at
/// different times beside the focus, so its lobes are lower. numpy, on the paper preset's line, with the delays τ(x) of §1a:
/// v(x) = |Σ_e exp(−(τ(x)−τ(x₀))²/2σ²) exp(j2πfc(τ(x)−τ(x₀)))| has its highest lobe at −21.84 dB for 70 % bandwidth and at
/// −13.40 dB for 10 %.
#[test]
fn the_first_side_lobe_is_that_of_a_square_aperture() {
    for (bandwidth, wanted) in [(0.70, -21.84), (0.10, -13.40)] {
        let (line, peak, _) = line("paper", bandwidth);
        let lobe = peak::side_lobe(&line, peak).unwrap();
        assert!(
            (lobe - wanted).abs() < 0.5,
            "{lobe} dB at bandwidth {bandwidth}"
        );
    }
}

#[test]
fn the_share_in_range_is_numpys() {
    // numpy: ((s >= 0) & (np.floor(s) <= 558)).mean() over the laptop preset → 0.7543034553527832.
    let workload = beamformer("laptop", &[]);
    let share = exact::fraction_in_range(&workload.shared.scene);
    assert!((share - 0.754_303_455).abs() < 1e-6, "{share}");
    let work = workload.work(&with("")).unwrap();
    assert_eq!(work.sqrt, 2.0 * 16_777_216.0);
}

#[test]
fn a_judge_sees_what_a_person_would() {
    let workload = beamformer("laptop", &[]);
    let scene = &workload.shared.scene;
    let right = exact::volume(scene);
    let metrics = |change: &dyn Fn(usize, f64) -> f64| {
        let values = right.to_f64();
        let values = values.iter().enumerate().map(|(i, v)| change(i, *v));
        let output = Array {
            values: Values::F64(values.collect()),
            ..right.clone()
        };
        workload.own_metrics(&output, &right)
    };
    assert_eq!(metrics(&|_, v| v), [0.0, 0.0, 0.0, 999.0]);
    // One voxel along z: the brightest is elsewhere, and nothing is sharp any more where it was.
    let values = right.to_f64();
    let moved = metrics(&|i, _| values[(i + 2) % values.len()]);
    assert_eq!(moved[0], 1.0);
    assert!(moved[3] < 40.0);
    assert!(metrics(&|i, v| if i == 77 { f64::NAN } else { v })[0].is_nan());
}

#[test]
fn a_wrong_problem_says_what_is_wrong() {
    let wrong = |key: &str, value: Value| {
        Beamformer::new(&[(key.to_owned(), value)])
            .err()
            .unwrap_or_default()
    };
    assert!(wrong("preset", Value::Text("huge".into())).contains("tiny, laptop, paper"));
    assert!(wrong("iq", Value::Text("none.npy".into())).contains("none.npy"));
    assert!(wrong("noise", Value::Text("much".into())).contains("number"));
    assert!(wrong("ns", Value::Int(1)).contains("two samples"));
    assert!(wrong("pitch", Value::Float(-1.0)).contains("above 0"));
}

#[test]
fn a_preset_is_the_size_that_it_is_declared_to_be() {
    let declaration = declare();
    assert_eq!(declaration.sizes.len(), declaration.presets.len());
    let scene = |problem: &[(String, Value)]| {
        let beamformer = Beamformer::new(problem).unwrap();
        let Scene {
            elements,
            samples,
            axes,
            frames,
            ..
        } = &beamformer.shared.scene;
        (elements.clone(), *samples, axes.clone(), frames.len())
    };
    for (name, size) in &declaration.sizes {
        // The largest is of the same making, and slow.
        if name != "paper" {
            let preset = [("preset".to_owned(), Value::Text(name.clone()))];
            assert_eq!(scene(&preset), scene(size), "{name}");
        }
    }
    assert_eq!(scene(&[]), scene(&declaration.sizes[0].1));
    let written = [
        ("nx".to_owned(), Value::Int(48)),
        ("seed".to_owned(), Value::Int(9)),
        ("preset".to_owned(), Value::Text("tiny".into())),
        ("noise".to_owned(), Value::Float(0.1)),
    ];
    let size = declaration.size(&written);
    let get = |key: &str| size.iter().find(|(k, _)| k == key).map(|(_, v)| v.clone());
    assert_eq!(
        (get("nx"), get("nz")),
        (Some(Value::Int(48)), Some(Value::Int(32)))
    );
    assert_eq!(
        (get("noise"), get("seed"), get("preset")),
        (Some(Value::Float(0.1)), None, None)
    );
}

#[test]
fn a_noisy_problem_is_the_same_for_the_same_seed() {
    let noisy = |seed: i64| {
        let problem = vec![
            ("preset".into(), Value::Text("tiny".into())),
            ("noise".into(), Value::Float(0.1)),
            ("seed".into(), Value::Int(seed)),
        ];
        Beamformer::new(&problem)
            .unwrap()
            .shared
            .scene
            .frames
            .clone()
    };
    assert_eq!(noisy(1), noisy(1));
    assert_ne!(noisy(1), noisy(2));
}
