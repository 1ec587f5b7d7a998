//! Analytic truths (WORKLOADS §3b), and every corner of the parameters against the definition in double precision.
use super::judge::Outcome;
use super::march::Pass;
use super::*;
use crate::value::Value;
use crate::workload::instructions::{InstructionSet, SETS, available};
use beam::Grid;
use physics::Law;

pub(super) fn transport(problem: &str) -> Transport {
    Transport::of(problem::beam(&pairs(problem)).unwrap())
}

fn pairs(words: &str) -> Vec<(String, Value)> {
    let value = |v: &str| {
        v.parse::<i64>()
            .map(Value::Int)
            .or_else(|_| v.parse().map(Value::Float))
            .unwrap_or_else(|_| Value::Text(v.into()))
    };
    let pair = |pair: &str| {
        let (name, v) = pair.split_once('=').expect("name=value");
        (name.to_owned(), value(v))
    };
    words.split_whitespace().map(pair).collect()
}

/// `name=value` pairs over the declared defaults.
pub(super) fn with(changes: &str) -> Configuration {
    let first = |p: crate::space::Parameter| (p.name, p.values[0].clone());
    let defaults = declare().parameters.into_iter().map(first).collect();
    Configuration::new(defaults).with(&pairs(changes))
}

/// The output of the second run, with the accuracy against `expected` by name.
pub(super) fn run_on(
    device: &Device,
    workload: &Transport,
    changes: &str,
    expected: &Array,
) -> Result<(Array, Vec<(String, f64)>), Ending> {
    let mut executable = workload.prepare(device, &with(changes))?;
    // Twice: nothing may be left over from the run before.
    for _ in 0..2 {
        executable.poison();
        let timing = executable.run()?.timing;
        assert_eq!(timing.stages.len(), STAGES);
    }
    let output = executable.output()?.expect("a transport has an output");
    let mut found = workload.own_metrics(&output, expected);
    found.extend(executable.own_metrics(expected));
    let names = judge::metrics().into_iter().map(|(name, _)| name);
    assert_eq!(names.len(), found.len());
    Ok((output, names.zip(found).collect()))
}

fn run(
    workload: &Transport,
    changes: &str,
    expected: &Array,
) -> Result<(Array, Vec<(String, f64)>), Ending> {
    run_on(&Device::Host, workload, changes, expected)
}

pub(super) fn metric(all: &[(String, f64)], name: &str) -> f64 {
    all.iter().find(|(n, _)| n == name).expect("a metric").1
}

pub(super) fn rel_l2(a: &Array, b: &Array) -> f64 {
    let (a, b) = (a.to_f64(), b.to_f64());
    let square = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>();
    let difference = square(&mut a.iter().zip(&b).map(|(a, b)| a - b));
    (difference / square(&mut b.iter().copied())).sqrt()
}

pub(super) fn exact(workload: &Transport) -> Array {
    let exact = workload.exact(&Device::Host, &with(""));
    exact.unwrap().expect("there is a definition")
}

/// Close to the definition, and nothing lost (checks 1 and 2).
fn agree(workload: &Transport, wanted: &Array, form: &str) {
    let (output, metrics) = run(workload, form, wanted).unwrap_or_else(|e| panic!("{form}: {e:?}"));
    let error = rel_l2(&output, wanted);
    assert!(error <= 1e-5, "{form}: {error}");
    for what in ["mass_error", "energy_error"] {
        let lost = metric(&metrics, what);
        assert!(lost <= 1e-6, "{form}: {what} {lost}");
    }
}

#[test]
fn every_form_agrees_with_the_definition_and_conserves() {
    let workload = transport("preset=tiny steps=12");
    let wanted = exact(&workload);
    let mut forms = vec![];
    let mut turn = 0;
    for fusion in ["none", "theta_stream", "stream_energy", "all"] {
        for streaming in ["gather", "scatter"] {
            for sparse in ["none", "planes", "rows", "box"] {
                for energy in ["scatter", "gather"] {
                    let is_refused = (energy == "gather"
                        && (sparse != "none" || fusion == "stream_energy" || fusion == "all"))
                        || (matches!(sparse, "rows" | "box")
                            && matches!(fusion, "none" | "stream_energy"));
                    if is_refused {
                        continue;
                    }
                    turn += 1;
                    let layout = [
                        "z_tile=1 theta_block=8 energy_block=1 simd=portable",
                        "z_tile=4 theta_block=2 energy_block=16 prefetch=next_plane",
                        "z_tile=-1 theta_block=1 energy_block=64",
                        "z_tile=8 energy_block=4",
                    ][turn % 4];
                    forms.push(format!(
                        "fusion={fusion} streaming={streaming} sparse={sparse} energy={energy} {layout}"
                    ));
                }
            }
        }
    }
    assert_eq!(forms.len(), 28);
    for form in forms {
        agree(&workload, &wanted, &form);
    }
}

#[test]
fn every_instruction_set_and_number_of_workers_agrees() {
    let workload = transport("preset=tiny steps=8 nx=19");
    let wanted = exact(&workload);
    for set in available() {
        let set = match set {
            InstructionSet::Portable => "portable",
            InstructionSet::Avx2 => "avx2",
            InstructionSet::Avx512 => "avx512",
        };
        for block in [1, 2, 4, 8] {
            let form = format!("simd={set} theta_block={block} fusion=all workers=0 sparse=box");
            agree(&workload, &wanted, &form);
        }
        agree(&workload, &wanted, &format!("simd={set} streaming=scatter"));
    }
}

#[test]
fn every_order_of_the_cells_agrees_and_conserves() {
    // Angles that fill no vector, and some that go up to the rims.
    for problem in [
        "preset=tiny steps=12",
        "preset=tiny steps=9 nx=19 ntheta=21 half_angle=60",
        "preset=tiny steps=14 ntheta=7 depth=10 half_width=4",
    ] {
        let workload = transport(problem);
        let wanted = exact(&workload);
        for order in ["energy_place_angle", "place_energy_angle"] {
            for (simd, _) in SETS
                .iter()
                .filter(|(_, set)| set.is_some_and(|s| available().contains(&s)))
            {
                let form = format!("layout={order} energy=gather simd={simd} workers=0");
                agree(&workload, &wanted, &form);
            }
        }
    }
}

#[cfg(unix)]
#[test]
fn processes_compute_what_threads_do() {
    let workload = transport("preset=tiny steps=6");
    let wanted = exact(&workload);
    for sparse in ["none", "box"] {
        let form = format!("fusion=all sparse={sparse}");
        let threads = run(&workload, &form, &wanted).unwrap().0;
        for parallel in ["pipes", "shared_memory"] {
            let form = format!("{form} parallel={parallel} workers=0");
            agree(&workload, &wanted, &form);
            let processes = run(&workload, &form, &wanted).unwrap().0;
            assert_eq!(processes, threads, "{form}");
        }
    }
    agree(
        &workload,
        &wanted,
        "fusion=none parallel=shared_memory workers=0",
    );
    agree(
        &workload,
        &wanted,
        "fusion=theta_stream splitting=lie parallel=shared_memory",
    );
}

#[test]
fn other_media_steps_and_beams_are_transported_too() {
    for problem in [
        "preset=tiny steps=8 stopping=bethe",
        "preset=tiny steps=6 half_angle=80 step=2.4 energy=50",
        "preset=tiny steps=6 depth=10 half_width=5 energy=20 highest=30 spread=1",
    ] {
        let workload = transport(problem);
        let wanted = exact(&workload);
        for form in [
            "fusion=none",
            "fusion=all sparse=box z_tile=2",
            "fusion=all sparse=box streaming=scatter",
            "fusion=stream_energy sparse=planes z_tile=4",
        ] {
            agree(&workload, &wanted, form);
        }
    }
}

#[test]
fn a_phase_space_from_a_file_is_the_generated_one() {
    let workload = transport("preset=tiny steps=4");
    let beam = &workload.beam;
    let Grid {
        nx,
        nz,
        angles,
        energies,
    } = beam.grid;
    let mut values = vec![0.0_f32; beam.grid.cells()];
    for entry in beam.entries() {
        values[((entry.energy * angles + entry.angle) * nz + entry.z) * nx + entry.x] =
            entry.weight as f32;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("psi0.npy");
    let array = Array {
        shape: vec![energies, angles, nz, nx],
        values: crate::array::Values::F32(values),
        is_complex: false,
    };
    crate::workload::files::write_array(&file, &array).unwrap();
    let from_file = transport(&format!("preset=tiny steps=4 psi0={}", file.display()));
    let wanted = exact(&workload);
    assert_eq!(exact(&from_file), wanted);
    agree(&from_file, &wanted, "fusion=all");
    let other = run(&from_file, "grid=coarse", &wanted);
    assert!(matches!(other, Err(Ending::Unsupported { .. })));
}

/// Everything of one, for a test of its own.
fn march(beam: &Beam, changes: &str) -> March<f32> {
    let settings = Settings::on_host(&with(changes), beam).unwrap();
    let own = beam.on(settings.grid);
    let tables = Tables::new(&own, &settings.physics);
    let mut march = March::new(tables, &settings.form, 1.0);
    march.begin();
    march
}

fn pass(march: &March<f32>, pass: &Pass) {
    for task in &pass.tasks {
        march.run(pass, task, 0);
    }
}

fn step(march: &mut March<f32>) {
    for p in march.passes() {
        pass(march, &p);
    }
    march.step_done();
}

/// One operator of fusion=none alone, from the array that holds the phase space into the other.
fn alone(march: &mut March<f32>, operator: usize) {
    let current = march.current();
    // The streaming reads the array that the scattering has written.
    if operator == 1 {
        march.set_current(1 - current);
    }
    pass(march, &march.passes()[operator]);
    march.set_current(1 - current);
}

/// Weight, and means of some functions of energy, angle, x and z.
fn means<const N: usize>(
    march: &March<f32>,
    beam: &Beam,
    of: impl Fn(f64, f64, f64, f64) -> [f64; N],
) -> (f64, [f64; N]) {
    let (mut weight, mut sums) = (0.0, [0.0; N]);
    march.each(|e, t, z, x, v| {
        weight += v;
        let values = of(
            beam.energy_of(e),
            beam.angle_of(t),
            beam.x_of(x),
            beam.z_of(z),
        );
        for (sum, value) in sums.iter_mut().zip(values) {
            *sum += v * value;
        }
    });
    (weight, sums.map(|s| s / weight))
}

#[test]
fn scattering_widens_angles_by_its_variance_and_no_more() {
    // One energy far from both ends of the angles.
    let beam = problem::beam(&pairs(
        "preset=tiny ntheta=144 nx=8 nz=8 ne=4 lowest=50 highest=70 energy=57.5",
    ))
    .unwrap();
    let mut march = march(&beam, "");
    let spread = |march: &March<f32>| {
        let (_, [mean, square]) = means(march, &beam, |_, t, _, _| [t, t * t]);
        square - mean * mean
    };
    let before = spread(&march);
    let sigma = physics::deflection(Deflection::Highland, 57.5, beam.step);
    for n in 1..=40 {
        alone(&mut march, 0);
        let growth = (spread(&march) - before) / (f64::from(n) * sigma * sigma);
        assert!((growth - 1.0).abs() <= 1e-3, "step {n}: {growth}");
    }
}

#[test]
fn streaming_moves_the_centre_exactly_and_widens_by_its_interpolation() {
    let mut beam = problem::beam(&pairs(
        "preset=tiny nx=80 nz=80 half_width=40 depth=80 ntheta=72 ne=2 lowest=55 highest=65",
    ))
    .unwrap();
    let (angle, row, column, n) = (50, 5, 30, 40);
    let mut values = vec![0.0; beam.grid.cells()];
    values[(angle * 80 + row) * 80 + column] = 1.0;
    beam.external = Some(values);
    let mut march = march(&beam, "");
    for _ in 0..n {
        alone(&mut march, 1);
    }
    let (weight, [x, xx, z]) = means(&march, &beam, |_, _, x, z| [x, x * x, z]);
    let (sine, cosine) = beam.angle_of(angle).sin_cos();
    let path = f64::from(n) * beam.step;
    assert!((weight - 1.0).abs() <= 1e-6);
    assert!((x - beam.x_of(column) - path * cosine).abs() <= 2e-6);
    assert!((z - beam.z_of(row) - path * sine).abs() <= 2e-5, "{z}");
    let part = (beam.step * cosine / beam.dx()).rem_euclid(1.0);
    let wanted = f64::from(n) * part * (1.0 - part) * beam.dx().powi(2);
    assert!(((xx - x * x) / wanted - 1.0).abs() <= 1e-5);
}

#[test]
fn loss_keeps_the_mean_energy_of_the_law() {
    let beam = problem::beam(&pairs("preset=tiny nx=8 nz=8 ntheta=8 ne=200")).unwrap();
    let mut march = march(&beam, "");
    alone(&mut march, 2);
    let (_, [energy]) = means(&march, &beam, |e, _, _, _| [e]);
    let wanted = physics::Stopping::new(Law::BraggKleeman, 66.0).after(60.0, 0.8);
    // The two bins around 60 MeV each take an exact step of their own.
    assert!((energy - wanted).abs() < 1e-3, "{energy}, not {wanted}");
    let lost: f64 = host::outcome(&march).dose.iter().sum();
    assert!((energy + lost - 60.0).abs() < 1e-5);
}

#[test]
fn a_pencil_spreads_as_fermi_and_eyges_say() {
    let beam = problem::beam(&pairs("preset=paper")).unwrap();
    let mut march = march(&beam, "fusion=all sparse=box");
    let moments = |march: &March<f32>| {
        let half = std::f64::consts::FRAC_PI_2;
        let of = |_, t: f64, x: f64, _| [x, x * x, (t - half).powi(2), (t - half) * x];
        let (_, [x, xx, tt, tx]) = means(march, &beam, of);
        [xx - x * x, tt, tx]
    };
    // Moments of the recursion (Fermi and Eyges; x grows with −θ here), with the variance that the interpolation adds.
    let [mut v_x, mut v_t, mut c] = moments(&march);
    let width = beam.dx();
    for n in 0..25 {
        let scattering = |e: f64| physics::deflection(Deflection::Highland, e, beam.step).powi(2);
        let (_, [sigma]) = means(&march, &beam, |e, _, _, _| [scattering(e)]);
        v_t += sigma;
        // Of the angles after the scattering: a kernel widens them by a few bins of almost the same interpolation.
        let mut scattered = self::march(&beam, "");
        scattered.copy_from(&march);
        alone(&mut scattered, 0);
        let part = |t: f64| (beam.step * t.cos() / width).rem_euclid(1.0);
        let (_, [added]) = means(&scattered, &beam, |_, t, _, _| [part(t) * (1.0 - part(t))]);
        v_x += -2.0 * beam.step * c + beam.step.powi(2) * v_t + added * width * width;
        c -= beam.step * v_t;
        step(&mut march);
        let [found_x, found_t, _] = moments(&march);
        assert!(
            (found_t / v_t - 1.0).abs() < 1e-4,
            "step {n}: {found_t}, not {v_t}"
        );
        assert!(
            (found_x / v_x - 1.0).abs() < 1e-4,
            "step {n}: {found_x}, not {v_x}"
        );
    }
}

const FAST: &str = "fusion=all sparse=box cutoff=1e-12";

fn outcome(beam: &Beam, changes: &str) -> Outcome {
    let mut march = march(beam, changes);
    for _ in 0..beam.steps {
        step(&mut march);
    }
    host::outcome(&march)
}

#[test]
fn the_beam_stops_where_the_law_says() {
    for grid in [
        "nx=40 nz=80 ne=400",
        "nx=40 nz=40 ne=200",
        "nx=30 nz=30 ne=140",
        "nx=25 nz=25 ne=120",
    ] {
        let beam = problem::beam(&pairs(&format!("preset=paper {grid}"))).unwrap();
        let error = judge::range_error(&beam, &outcome(&beam, FAST)).unwrap();
        let limit = 0.05_f64.max(0.15 * beam.dz());
        assert!(error.abs() <= limit, "{grid}: {error}");
    }
}

#[test]
fn doses_are_positive_and_symmetric_and_everything_stops() {
    let beam = problem::beam(&pairs("preset=paper")).unwrap();
    let outcome = outcome(&beam, FAST);
    assert!(outcome.dose.iter().all(|v| *v >= 0.0));
    for row in outcome.dose.chunks_exact(beam.grid.nx) {
        let sum: f64 = row.iter().sum();
        let mean: f64 = (0..row.len()).map(|i| row[i] * beam.x_of(i)).sum();
        assert!(sum < 1e-9 || (mean / sum).abs() < 1e-4);
    }
    // 60 MeV less what leaks.
    assert!((outcome.dose.iter().sum::<f64>() - 60.0).abs() < 0.01);
}

#[test]
fn reduced_grids_lose_as_much_as_was_published() {
    let workload = transport("preset=paper");
    let beam = &workload.beam;
    let full = judge::output(beam, &outcome(beam, FAST).dose);
    for (grid, class) in [
        ("full", "low"),
        ("half_angles", "low"),
        ("coarse", "moderate"),
        ("coarse_angles", "moderate"),
        ("coarsest", "high"),
    ] {
        let form = format!("{FAST} grid={grid}");
        let (_, metrics) = run(&workload, &form, &full).unwrap();
        let (l2, gamma) = (
            metric(&metrics, "rel_l2_roi"),
            metric(&metrics, "gamma_2_2"),
        );
        // The rule of WORKLOADS §3d.
        let found = match (l2, gamma) {
            (l2, gamma) if l2 <= 0.05 && gamma >= 0.98 => "low",
            (l2, gamma) if l2 <= 0.15 && gamma >= 0.93 => "moderate",
            _ => "high",
        };
        assert_eq!(found, class, "{grid}: {metrics:?}");
    }
}

#[test]
fn what_changes_the_physics_still_conserves_and_shows_in_the_dose() {
    let workload = transport("preset=laptop steps=45");
    let wanted = exact(&workload);
    for (form, least, most) in [
        ("splitting=strang", 1e-5, 0.1),
        ("scattering=rossi", 1e-4, 0.3),
        ("step=first_order", 1e-4, 0.5),
        ("kernel=buckets_32", 1e-6, 0.05),
        ("kernel=buckets_8", 1e-5, 0.3),
    ] {
        let form = format!("{form} fusion=all sparse=box");
        let (_, metrics) = run(&workload, &form, &wanted).unwrap();
        let error = metric(&metrics, "rel_l2_roi");
        assert!((least..most).contains(&error), "{form}: {error}");
        assert!(metric(&metrics, "mass_error") <= 1e-6, "{form}");
        assert!(metric(&metrics, "energy_error") <= 1e-6, "{form}");
    }
}

#[test]
fn halving_the_step_halves_lies_error_and_quarters_strangs() {
    // The covariance of x and the angle: interpolation moves means exactly, so nothing but the splitting changes it. Angles are
    // wide enough for kernels of three taps, whose variance is exact, and energies so narrow that theirs adds nothing.
    let covariance = |splitting: &str, halvings: i32| {
        let (step, steps) = (3.2 / f64::from(1 << halvings), 4 << halvings);
        let problem = format!(
            "preset=tiny nx=40 nz=20 depth=20 half_width=20 ntheta=36 ne=400 lowest=42 highest=62 step={step} steps={steps}"
        );
        let beam = problem::beam(&pairs(&problem)).unwrap();
        let form = format!("scattering=rossi splitting={splitting} fusion=all sparse=box");
        let mut march = march(&beam, &form);
        for _ in 0..steps {
            self::step(&mut march);
        }
        let (_, [x, t, both]) = means(&march, &beam, |_, t, x, _| [x, t, x * t]);
        both - x * t
    };
    for (splitting, wanted) in [("lie", 2.0), ("strang", 4.0)] {
        let [coarse, half, quarter] = [0, 1, 2].map(|halvings| covariance(splitting, halvings));
        let ratio = (coarse - half) / (half - quarter);
        assert!((ratio / wanted - 1.0).abs() < 0.05, "{splitting}: {ratio}");
    }
}

#[test]
fn two_halves_of_rossis_scattering_are_a_whole() {
    // Without any loss of variance between the halves, Strang's angles are Lie's.
    let beam = problem::beam(&pairs("preset=laptop steps=1")).unwrap();
    let spread = |changes: &str| {
        let mut march = march(&beam, changes);
        step(&mut march);
        let (_, [mean, square]) = means(&march, &beam, |_, t, _, _| [t, t * t]);
        square - mean * mean
    };
    let (lie, strang) = (
        spread("scattering=rossi"),
        spread("scattering=rossi splitting=strang"),
    );
    // The second half is that of a lower energy: a few per cent more.
    assert!((1.0..1.05).contains(&(strang / lie)), "{}", strang / lie);
}

#[test]
fn half_precision_loses_what_its_bits_say() {
    let workload = transport("preset=laptop steps=45");
    let wanted = exact(&workload);
    let errors = ["f16_scaled", "f16_storage", "bf16_storage"].map(|precision| {
        let form = format!("precision={precision} fusion=all sparse=box");
        let metrics = run(&workload, &form, &wanted).unwrap().1;
        (
            metric(&metrics, "rel_l2_roi"),
            metric(&metrics, "mass_error"),
        )
    });
    let [scaled, plain, brain] = errors;
    assert!(scaled.0 < 1e-3 && scaled.1 < 1e-3, "{errors:?}");
    assert!(plain.0 < 1e-2 && plain.0 >= scaled.0, "{errors:?}");
    assert!((1e-4..0.05).contains(&brain.0), "{errors:?}");
}

#[test]
fn the_active_window_changes_nothing_that_it_does_not_say() {
    let workload = transport("preset=laptop steps=45");
    let dense = run(&workload, "fusion=all", &exact(&workload)).unwrap().0;
    for sparse in ["planes", "rows", "box"] {
        let zeros = run(&workload, &format!("fusion=all sparse={sparse}"), &dense).unwrap();
        assert!(rel_l2(&zeros.0, &dense) < 1e-12, "{sparse}");
        let mut before = 0.0;
        for cutoff in ["1e-15", "1e-12", "1e-9"] {
            let form = format!("fusion=all sparse={sparse} cutoff={cutoff}");
            let (output, metrics) = run(&workload, &form, &dense).unwrap();
            let error = rel_l2(&output, &dense);
            assert!(error < 1e-5 && error >= before, "{form}: {error}");
            assert!(metric(&metrics, "mass_error") < 1e-6, "{form}");
            before = error;
        }
    }
}

#[test]
fn the_definition_itself_conserves() {
    let workload = transport("preset=tiny steps=40");
    let answer = exact::answer(&workload.beam);
    let weight = answer.escaped + answer.leaked + answer.stopped + answer.moving;
    let began: f64 = workload.beam.entries().iter().map(|e| e.weight).sum();
    assert!((weight - began).abs() < 1e-12);
    let energy = answer.carried + answer.dose.iter().sum::<f64>();
    let began = |e: &beam::Entry| e.weight * workload.beam.energy_of(e.energy);
    let began: f64 = workload.beam.entries().iter().map(began).sum();
    assert!((energy - began).abs() < 1e-10);
}

#[test]
fn what_a_processor_does_not_have_is_refused_with_the_reason() {
    let workload = transport("preset=tiny");
    for (form, word) in [
        ("fusion=all energy=gather", "energy=gather"),
        ("energy=gather sparse=planes", "sparse=none"),
        ("sparse=rows", "sparse=planes"),
        ("cutoff=1e-12", "no-op"),
        ("kernel=buckets_32 grid=coarsest", ""),
        ("group_x=64", "GPU"),
        ("parallel=pipes", "fusion=all"),
        ("layout=energy_place_angle", "energy=gather"),
        (
            "layout=place_energy_angle energy=gather sparse=box",
            "sparse=none",
        ),
        ("layout=place_energy_angle energy=gather z_tile=4", "no-op"),
        ("parallel=pipes fusion=all splitting=strang", "lie"),
        ("workers=1000", "processors"),
    ] {
        match workload.prepare(&Device::Host, &with(form)) {
            Err(Ending::Unsupported { reason }) => {
                assert!(reason.contains(word), "{form}: {reason}");
            }
            Ok(_) => assert_eq!(word, "", "{form} is accepted"),
            Err(other) => panic!("{form}: {other:?}"),
        }
    }
}

#[test]
fn what_is_wrong_with_a_problem_is_said_by_its_key() {
    for (problem, word) in [
        ("preset=huge", "tiny, laptop, paper"),
        ("colour=3", "colour"),
        ("energy=80", "energy=80"),
        ("half_angle=88", "half_angle"),
        ("step=30", "step=30"),
        ("lowest=70", "increase"),
        ("stopping=magic", "bethe"),
        ("psi0=nowhere.npy", "nowhere.npy"),
        ("nx=1", "nx"),
    ] {
        let reason = problem::beam(&pairs(problem)).unwrap_err();
        assert!(reason.contains(word), "{problem}: {reason}");
    }
}

#[test]
fn useful_work_is_a_small_part_of_a_dense_sweep() {
    let workload = transport("preset=paper");
    let work = workload.work(&with("")).unwrap();
    let dense = 8.0 * 50.0 * workload.beam.grid.cells() as f64;
    // Measured with the specification's own script: 0.66 % of the cells, over 45 steps.
    let share = work.bytes / dense;
    assert!((0.004..0.009).contains(&share), "{share}");
}
