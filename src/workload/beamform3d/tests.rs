//! Analytic truths (WORKLOADS §1b), and every corner of the parameters against the double-precision answer.
use super::*;

fn problem(preset: &str) -> Vec<(String, Value)> {
    vec![("preset".into(), Value::Text(preset.into()))]
}

fn default() -> Configuration {
    let values = declare()
        .parameters
        .into_iter()
        .map(|p| (p.name, p.values[0].clone()))
        .collect();
    Configuration::new(values)
}

fn with(changes: &[(&str, &str)]) -> Configuration {
    let value = |v: &str| {
        v.parse()
            .map(Value::Int)
            .unwrap_or_else(|_| Value::Text(v.into()))
    };
    default().with(
        &changes
            .iter()
            .map(|(n, v)| ((*n).to_owned(), value(v)))
            .collect::<Vec<_>>(),
    )
}

fn run(workload: &Beamformer, configuration: &Configuration) -> Result<Vec<[f64; 2]>, Ending> {
    let mut executable = workload.prepare(&Device::Host, configuration)?;
    executable.poison();
    executable.run()?;
    let output = executable.output()?.expect("a beamformer has an output");
    Ok(output
        .to_f64()
        .chunks_exact(2)
        .map(|z| [z[0], z[1]])
        .collect())
}

fn rel_l2(a: &[[f64; 2]], b: &[[f64; 2]]) -> f64 {
    let norm = |z: f64, w: f64| z * z + w * w;
    let d: f64 = a
        .iter()
        .zip(b)
        .map(|(a, b)| norm(a[0] - b[0], a[1] - b[1]))
        .sum();
    (d / b.iter().map(|b| norm(b[0], b[1])).sum::<f64>()).sqrt()
}

const FAST: [(&str, &str); 3] = [
    ("fusion", "factored"),
    ("iq_layout", "element_sample"),
    ("z_chunk", "-1"),
];

#[test]
fn scatterers_come_out_where_they_are_with_their_phase_and_amplitude() {
    for preset in ["tiny", "laptop"] {
        let workload = Beamformer::new(&problem(preset)).unwrap();
        let input = &workload.input;
        let [_, ny, nz] = workload.shape();
        for volume in [input.exact(), run(&workload, &with(&FAST)).unwrap()] {
            let value = |n: [usize; 3]| volume[(n[0] * ny + n[1]) * nz + n[2]];
            let magnitude = |n: [usize; 3]| value(n)[0].hypot(value(n)[1]);
            for (node, amplitude) in &input.scatterers {
                let near = |i: usize| i - 2..=i + 2;
                for i in near(node[0]) {
                    for j in near(node[1]) {
                        for k in near(node[2]) {
                            assert!(
                                magnitude([i, j, k]) <= magnitude(*node),
                                "{preset}: {node:?} is no maximum"
                            );
                        }
                    }
                }
                let [re, im] = value(*node);
                assert!(
                    im.atan2(re).abs() < 1e-3,
                    "{preset}: phase {} at {node:?}",
                    im.atan2(re)
                );
                let gain = magnitude(*node) / (amplitude * input.elements.len() as f64);
                let loss = 1.0 / (8.0 * (input.sigma() * input.fs).powi(2));
                assert!(
                    (1.0 - loss..=1.000_001).contains(&gain),
                    "{preset}: gain {gain}"
                );
            }
        }
    }
}

#[test]
fn every_form_agrees_with_the_exact_answer_or_is_refused() {
    let workload = Beamformer::new(&problem("tiny")).unwrap();
    let exact = workload.input.exact();
    let mut tried = 0;
    for fusion in ["staged", "fused", "factored"] {
        for (precision, limit) in [("f32", 2e-4), ("f16_storage", 1e-3), ("bf16_storage", 5e-3)] {
            for layout in ["sample_element", "element_sample"] {
                for (x, y, z) in [("-1", "-1", "4"), ("4", "8", "-1"), ("1", "2", "16")] {
                    for (transmit, threads) in [("search", "2"), ("nearest", "1")] {
                        let configuration = with(&[
                            ("fusion", fusion),
                            ("precision", precision),
                            ("iq_layout", layout),
                            ("x_chunk", x),
                            ("y_chunk", y),
                            ("z_chunk", z),
                            ("transmit", transmit),
                            ("threads", threads),
                        ]);
                        match run(&workload, &configuration) {
                            Ok(volume) => {
                                let error = rel_l2(&volume, &exact);
                                assert!(error <= limit, "{configuration:?}: {error}");
                                tried += 1;
                            }
                            Err(Ending::Unsupported { .. }) => {}
                            Err(other) => panic!("{configuration:?}: {other:?}"),
                        }
                    }
                }
            }
        }
    }
    assert_eq!(
        tried,
        2 * 3 * 2 * 6 + 6,
        "what is refused is refused on purpose"
    );
}

#[test]
fn every_instruction_set_gives_the_same_answer() {
    let workload = Beamformer::new(&problem("laptop")).unwrap();
    let portable = run(
        &workload,
        &with(&[&FAST[..], &[("simd", "portable")]].concat()),
    )
    .unwrap();
    for simd in ["avx2", "avx512", "auto"] {
        match run(
            &workload,
            &with(&[&FAST[..], &[("simd", simd), ("prefetch", "next_line")]].concat()),
        ) {
            Ok(volume) => assert!(rel_l2(&volume, &portable) < 1e-5, "{simd}"),
            Err(Ending::Unsupported { .. }) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
}

#[test]
fn delays_in_half_precision_are_far_off() {
    let workload = Beamformer::new(&problem("tiny")).unwrap();
    let exact = workload.input.exact();
    for (precision, least) in [("f16_delays", 0.05), ("bf16_delays", 0.5)] {
        let error = rel_l2(
            &run(
                &workload,
                &with(&[("fusion", "fused"), ("precision", precision)]),
            )
            .unwrap(),
            &exact,
        );
        assert!(error > least, "{precision}: {error}");
    }
}

#[test]
fn chunks_do_not_change_a_bit() {
    let workload = Beamformer::new(&problem("tiny")).unwrap();
    for fusion in ["staged", "fused"] {
        let whole = run(&workload, &with(&[("fusion", fusion), ("z_chunk", "-1")])).unwrap();
        let cut = run(
            &workload,
            &with(&[
                ("fusion", fusion),
                ("x_chunk", "4"),
                ("y_chunk", "2"),
                ("z_chunk", "8"),
            ]),
        )
        .unwrap();
        assert_eq!(whole, cut, "{fusion}");
    }
    let whole = run(&workload, &with(&FAST)).unwrap();
    let cut = run(
        &workload,
        &with(
            &[
                &FAST[..2],
                &[("x_chunk", "2"), ("y_chunk", "4"), ("z_chunk", "16")],
            ]
            .concat(),
        ),
    )
    .unwrap();
    assert_eq!(whole, cut, "factored");
}

#[test]
fn the_answer_is_linear_and_delays_are_times() {
    let mut workload = Beamformer::new(&problem("tiny")).unwrap();
    let once = run(&workload, &with(&FAST)).unwrap();
    let mut twice = (*workload.input).clone();
    twice
        .iq
        .iter_mut()
        .for_each(|z| *z = [2.0 * z[0], 2.0 * z[1]]);
    workload.input = Arc::new(twice);
    let double: Vec<[f64; 2]> = once.iter().map(|z| [2.0 * z[0], 2.0 * z[1]]).collect();
    assert!(rel_l2(&run(&workload, &with(&FAST)).unwrap(), &double) < 1e-6);
    // A delay of every element by T is a start of the recording at −T.
    let (mut late, mut early) = ((*workload.input).clone(), (*workload.input).clone());
    late.delays.iter_mut().for_each(|d| *d = 1.25e-7);
    early.t0 = -1.25e-7;
    for configuration in [with(&FAST), with(&[("fusion", "fused")])] {
        workload.input = Arc::new(late.clone());
        let a = run(&workload, &configuration).unwrap();
        workload.input = Arc::new(early.clone());
        let b = run(&workload, &configuration).unwrap();
        assert!(rel_l2(&a, &b) < 2e-4, "{}", rel_l2(&a, &b));
    }
}

#[test]
fn the_lateral_width_is_that_of_the_aperture() {
    let workload = Beamformer::new(&problem("laptop")).unwrap();
    let input = &workload.input;
    let volume = input.exact();
    let [nx, ny, nz] = workload.shape();
    let ([i0, j0, k0], _) = input.scatterers[0];
    let line: Vec<f64> = (0..nx)
        .map(|i| volume[(i * ny + j0) * nz + k0])
        .map(|z| z[0].hypot(z[1]))
        .collect();
    let half = line[i0] / 2.0;
    let crossing = |step: isize| {
        let mut i = i0 as isize;
        while line[(i + step) as usize] > half {
            i += step;
        }
        let (a, b) = (line[i as usize], line[(i + step) as usize]);
        (i - i0 as isize) as f64 * step as f64 + (a - half) / (a - b)
    };
    let spacing = f64::from(input.x[1] - input.x[0]);
    let width = (crossing(1) + crossing(-1)) * spacing;
    let theory = 1.2067 * input.c / input.fc * f64::from(input.z[k0]) / 9.6e-3;
    assert!(
        (width / theory - 1.0).abs() < 0.10,
        "{width} against {theory}"
    );
}

#[test]
fn the_share_in_range_is_numpys() {
    // numpy: ((s >= 0) & (np.floor(s) <= 558)).mean() over the laptop preset → 0.7543034553527832.
    let (used, all) = Beamformer::new(&problem("laptop")).unwrap().input.pairs();
    assert_eq!(all, 16_777_216);
    assert!(
        (used as f64 / all as f64 - 0.754_303_455).abs() < 1e-6,
        "{}",
        used as f64 / all as f64
    );
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
}
