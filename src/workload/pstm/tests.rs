//! What is known of the image without a reference (WORKLOADS §2b), and the definition in f64 for everything else.
#![allow(
    clippy::disallowed_methods,
    reason = "tests write arrays for a problem"
)]
use super::exact;
use super::settings::{AntiAlias, Aperture, Imaging, Interpolation, Mute, PLAIN};
use super::velocity::Lookup;
use super::*;
use crate::value::Bytes;
use crate::workload::instructions::available;

pub(super) fn text(value: &str) -> Value {
    Value::Text(value.into())
}

use crate::value::Value;

/// A problem with its store in a folder of its own.
pub(super) struct Survey {
    pub(super) migration: Migration,
    _folder: tempfile::TempDir,
}

impl Survey {
    pub(super) fn new(preset: &str, more: &[(&str, Value)]) -> Survey {
        let folder = tempfile::tempdir().unwrap();
        let mut problem = vec![("preset".to_owned(), text(preset))];
        problem.extend(more.iter().map(|(k, v)| ((*k).to_owned(), v.clone())));
        let surroundings = Surroundings {
            trial_timeout: Nanoseconds(1e12),
            memory_limit: Some(Bytes(1 << 40)),
            scratch: folder.path().to_owned(),
            seed: 1,
            tracer: None,
        };
        Survey {
            migration: Migration::new(&problem, &surroundings).unwrap(),
            _folder: folder,
        }
    }

    pub(super) fn scene(&self) -> &Scene {
        &self.migration.scene
    }

    pub(super) fn try_on(
        &self,
        device: &Device,
        settings: &[(&str, Value)],
    ) -> Result<Array, Ending> {
        let values = settings
            .iter()
            .map(|(k, v)| ((*k).to_owned(), v.clone()))
            .collect();
        let mut executable = self
            .migration
            .prepare(device, &Configuration::new(values))?;
        executable.poison();
        executable.run()?;
        Ok(executable.output()?.unwrap())
    }

    pub(super) fn on(&self, device: &Device, settings: &[(&str, Value)]) -> Array {
        self.try_on(device, settings)
            .unwrap_or_else(|ending| panic!("{settings:?}: {}", ending.sentence()))
    }

    /// On the host.
    fn run(&self, settings: &[(&str, Value)]) -> Array {
        self.on(&Device::Host, settings)
    }

    pub(super) fn exact(&self, imaging: &Imaging) -> (Vec<f64>, Vec<u32>) {
        let (mut image, mut fold) = (vec![], vec![]);
        for bin in 0..self.scene().gathers.len() {
            let traces = self.migration.traces(bin).unwrap();
            let migrated = exact::migrate(self.scene(), imaging, bin, &traces);
            image.extend(migrated.image);
            fold.extend(migrated.fold);
        }
        (image, fold)
    }
}

pub(super) fn rel_l2(image: &[f32], exact: &[f64]) -> f64 {
    let off: f64 = image
        .iter()
        .zip(exact)
        .map(|(a, b)| (f64::from(*a) - b).powi(2))
        .sum();
    let all: f64 = exact.iter().map(|b| b * b).sum();
    (off / all).sqrt()
}

pub(super) fn bits(output: &Array) -> Vec<u32> {
    let (image, fold) = judge::parts(output);
    image.iter().chain(fold).map(|v| v.to_bits()).collect()
}

fn time() -> (&'static str, Value) {
    ("axis", text("time"))
}

pub(super) fn int(v: i64) -> Value {
    Value::Int(v)
}

/// Fast versions of the kernel first: what is compared with them by bits.
fn quick() -> Vec<(&'static str, Value)> {
    vec![time(), ("trace_batch", int(8))]
}

#[test]
fn every_kernel_agrees_with_the_definition_and_counts_the_fold_exactly() {
    let survey = Survey::new("tiny", &[("noise", Value::Float(0.05))]);
    let (image, fold) = survey.exact(&PLAIN);
    let names = [("portable", 0), ("avx2", 1), ("avx512", 2)];
    for (set, at) in names.iter().filter(|(_, at)| *at < available().len()) {
        for axis in ["time", "traces"] {
            let output = survey.run(&[("simd", text(set)), ("axis", text(axis))]);
            let (a, f) = judge::parts(&output);
            let off = rel_l2(a, &image);
            assert!(off < 3e-6, "{set} {axis} {at}: {off:e}");
            assert!(
                f.iter().zip(&fold).all(|(a, b)| *a == *b as f32),
                "{set} {axis}: fold"
            );
        }
    }
}

#[test]
fn the_laptop_image_agrees_too() {
    let survey = Survey::new(
        "laptop",
        &[
            ("v0", Value::Float(1700.0)),
            ("gradient", Value::Float(800.0)),
        ],
    );
    let (image, fold) = survey.exact(&PLAIN);
    for settings in [quick(), vec![]] {
        let output = survey.run(&settings);
        let (a, f) = judge::parts(&output);
        assert!(rel_l2(a, &image) < 3e-6, "{:e}", rel_l2(a, &image));
        let off = f
            .iter()
            .zip(&fold)
            .filter(|(a, b)| **a != **b as f32)
            .count();
        assert_eq!(off, 0);
    }
}

/// Settings, the same for the definition, and the largest distance.
type Choice = (Vec<(&'static str, Value)>, Imaging, f64);

/// Every choice that changes the image.
fn choices() -> Vec<Choice> {
    let of = |name: &'static str, value: &str, imaging: Imaging, most: f64| {
        (vec![time(), (name, text(value))], imaging, most)
    };
    let aperture = |aperture| Imaging { aperture, ..PLAIN };
    let mute = |mute| Imaging { mute, ..PLAIN };
    let interpolation = |interpolation| Imaging {
        interpolation,
        ..PLAIN
    };
    let velocity = |velocity| Imaging { velocity, ..PLAIN };
    let anti_alias = |anti_alias| Imaging {
        anti_alias,
        ..PLAIN
    };
    vec![
        of(
            "aperture",
            "depth_adaptive",
            aperture(Aperture::DepthAdaptive),
            3e-6,
        ),
        of("aperture", "dip", aperture(Aperture::Dip), 1e-5),
        of("mute", "outer", mute(Mute::Outer), 1e-5),
        of("mute", "stretch", mute(Mute::Stretch), 1e-5),
        // A sample that is the nearest by less than a rounding error is another one.
        of(
            "interp",
            "nearest",
            interpolation(Interpolation::Nearest),
            1e-2,
        ),
        of("interp", "cubic", interpolation(Interpolation::Cubic), 1e-5),
        of("interp", "sinc8", interpolation(Interpolation::Sinc8), 1e-5),
        of("velocity", "cube_nearest", velocity(Lookup::Nearest), 3e-6),
        of(
            "velocity",
            "cube_trilinear",
            velocity(Lookup::Trilinear),
            3e-6,
        ),
        of("anti_alias", "weight", anti_alias(AntiAlias::Weight), 1e-5),
        of(
            "anti_alias",
            "triangle",
            anti_alias(AntiAlias::Triangle),
            1e-3,
        ),
        of(
            "spreading",
            "on",
            Imaging {
                has_spreading: true,
                ..PLAIN
            },
            1e-5,
        ),
        of(
            "obliquity",
            "on",
            Imaging {
                has_obliquity: true,
                ..PLAIN
            },
            1e-5,
        ),
    ]
}

#[test]
fn every_choice_of_image_agrees_with_its_definition() {
    let survey = Survey::new(
        "tiny",
        &[
            ("noise", Value::Float(0.05)),
            ("v0", Value::Float(1700.0)),
            ("gradient", Value::Float(800.0)),
            ("lateral", Value::Float(0.03)),
        ],
    );
    for (settings, imaging, most) in choices() {
        let (image, fold) = survey.exact(&imaging);
        for set in ["portable", "auto"] {
            let mut settings = settings.clone();
            settings.push(("simd", text(set)));
            let output = survey.run(&settings);
            let (a, f) = judge::parts(&output);
            let off = rel_l2(a, &image);
            assert!(off < most, "{settings:?}: {off:e}");
            let wrong = f
                .iter()
                .zip(&fold)
                .filter(|(a, b)| **a != **b as f32)
                .count();
            // The dip aperture's edge, and a stretch of exactly 1.5, are where f32 may decide otherwise.
            let allowed = match (imaging.aperture, imaging.mute) {
                (Aperture::Dip, _) | (_, Mute::Stretch) => f.len() / 10_000,
                _ => 0,
            };
            assert!(wrong <= allowed, "{settings:?}: {wrong} folds");
        }
    }
}

#[test]
fn what_claims_the_same_image_gives_the_same_bits() {
    let survey = Survey::new("tiny", &[("bins", int(2)), ("memory", int(300_000))]);
    let reference = bits(&survey.run(&quick()));
    let small = [("tile_x", int(4)), ("tile_y", int(5))];
    let with = |more: &[(&'static str, Value)]| [&quick()[..], &small, more].concat();
    let variants = [
        with(&[]),
        with(&[("tile_order", text("snake"))]),
        with(&[("tile_order", text("hilbert"))]),
        with(&[("cache_percent", int(25)), ("memory_percent", int(50))]),
        with(&[("io", text("copy1"))]),
        with(&[("io", text("zero_copy"))]),
        with(&[("prefetch", int(1))]),
        with(&[("prefetch", int(2)), ("tiles_in_flight", int(3))]),
        with(&[("tiles_in_flight", int(2))]),
        with(&[("bins_in_flight", int(2))]),
        with(&[
            ("bins_in_flight", int(2)),
            ("prefetch", int(1)),
            ("tiles_in_flight", int(2)),
        ]),
        with(&[("tg_x", int(2)), ("tg_y", int(8)), ("tg_t", int(16))]),
        with(&[("velocity_memory", text("local"))]),
        with(&[("traversal", text("trace_scatter"))]),
        with(&[("velocity", text("cube_trilinear"))]),
        with(&[("velocity", text("cube_nearest"))]),
        vec![time()],
        vec![time(), ("trace_batch", int(16)), ("tg_t", int(256))],
        vec![time(), ("threads", int(1))],
    ];
    for settings in variants {
        assert!(bits(&survey.run(&settings)) == reference, "{settings:?}");
    }
}

#[test]
fn lanes_over_traces_differ_by_rounding_alone() {
    let survey = Survey::new("tiny", &[]);
    let (time, traces) = (survey.run(&quick()), survey.run(&[]));
    let (a, f) = judge::parts(&time);
    let (b, g) = judge::parts(&traces);
    assert!(rel_l2(b, &a.iter().map(|v| f64::from(*v)).collect::<Vec<_>>()) < 1e-5);
    assert_eq!(f, g);
}

#[test]
fn stored_precisions_stay_within_their_limits() {
    let survey = Survey::new("tiny", &[]);
    let (image, fold) = survey.exact(&PLAIN);
    for (precision, low, high) in [("f16_storage", 1e-6, 1e-3), ("bf16_storage", 1e-4, 5e-3)] {
        for axis in ["time", "traces"] {
            for set in ["portable", "auto"] {
                let output = survey.run(&[
                    ("precision", text(precision)),
                    ("axis", text(axis)),
                    ("simd", text(set)),
                ]);
                let (a, f) = judge::parts(&output);
                let off = rel_l2(a, &image);
                assert!(off > low && off < high, "{precision} {axis}: {off:e}");
                assert!(f.iter().zip(&fold).all(|(a, b)| *a == *b as f32));
            }
        }
    }
}

/// Taper weights of all traces at a node, summed.
pub(super) fn weight_sum(scene: &Scene, bin: usize, node: [usize; 2]) -> f64 {
    let gather = &scene.gathers[bin];
    let (x, y) = (
        node[0] as f64 * scene.spacing[0],
        node[1] as f64 * scene.spacing[1],
    );
    let weight = |geometry: &[f32; 4]| {
        let [sx, sy, rx, ry] = geometry.map(f64::from);
        let square = (x - 0.5 * (sx + rx)).powi(2) + (y - 0.5 * (sy + ry)).powi(2);
        exact::taper(scene, scene.amax, square).unwrap_or(0.0)
    };
    gather.geometry.iter().map(weight).sum()
}

/// Peak exactly at the diffractor's node, and its height the sum of weights less what linear interpolation loses.
pub(super) fn assert_focus(survey: &Survey, output: &Array) {
    let scene = survey.scene();
    let scene::Reflector::Diffractor { node, time } = scene.reflector else {
        panic!("no diffractor");
    };
    let (image, _) = judge::parts(output);
    let (at, peak) = (image.iter().enumerate())
        .max_by(|a, b| a.1.abs().total_cmp(&b.1.abs()))
        .unwrap();
    let [x, y, t] = judge::place(scene, at);
    let it = (time / scene.spacing[2]).round() as usize;
    assert_eq!([x, y, t], [node[0], node[1], it]);
    let gain = f64::from(*peak) / weight_sum(scene, 0, node);
    let loss =
        scene.spacing[2].powi(2) / 8.0 * 6.0 * (std::f64::consts::PI * scene.frequency).powi(2);
    assert!((1.0 - loss..=1.0).contains(&gain), "{gain}");
}

#[test]
fn a_diffractor_focuses_on_its_node() {
    for preset in ["tiny", "laptop"] {
        let survey = Survey::new(preset, &[]);
        assert_focus(&survey, &survey.run(&quick()));
        assert_focus(&survey, &survey.run(&[]));
    }
}

/// dτ/dx of the strongest event along the middle inline, and its time at the grid's middle, s.
fn line(survey: &Survey, output: &Array) -> (f64, f64) {
    let scene = survey.scene();
    let [nx, ny, nt] = scene.shape;
    let (image, _) = judge::parts(output);
    let mut points = vec![];
    for x in nx / 3..nx - nx / 3 {
        let row: Vec<f64> = (0..nt)
            .map(|t| f64::from(image[(x * ny + ny / 2) * nt + t]).abs())
            .collect();
        let k = (0..nt).max_by(|a, b| row[*a].total_cmp(&row[*b])).unwrap();
        let (a, b, c) = (row[k - 1], row[k], row[k + 1]);
        let peak = k as f64 + 0.5 * (a - c) / (a - 2.0 * b + c);
        let from_middle = (x as f64 - (nx - 1) as f64 / 2.0) * scene.spacing[0];
        points.push((from_middle, peak * scene.spacing[2]));
    }
    let n = points.len() as f64;
    let (mx, mt) = (
        points.iter().map(|p| p.0).sum::<f64>() / n,
        points.iter().map(|p| p.1).sum::<f64>() / n,
    );
    let slope = points.iter().map(|p| (p.0 - mx) * (p.1 - mt)).sum::<f64>()
        / points.iter().map(|p| (p.0 - mx).powi(2)).sum::<f64>();
    (slope, mt - slope * mx)
}

#[test]
fn a_dipping_plane_comes_to_its_true_dip() {
    for (preset, tolerance) in [("tiny", 0.01), ("laptop", 0.002)] {
        for dip in [0.0, 20.0, 30.0] {
            let survey = Survey::new(
                preset,
                &[("reflector", text("plane")), ("dip", Value::Float(dip))],
            );
            let output = survey.run(&quick());
            let (slope, at_middle) = line(&survey, &output);
            let expected = 2.0 * f64::to_radians(dip).tan() / 2000.0;
            let off = (slope - expected).abs();
            assert!(
                off <= tolerance * expected.max(1e-4),
                "{preset} {dip}: {slope:e} for {expected:e}"
            );
            let scene = survey.scene();
            let scene::Reflector::Plane { time, .. } = scene.reflector else {
                panic!()
            };
            // At 30° the aperture of `tiny` ends before the reflection's own point.
            if dip < 25.0 || preset != "tiny" {
                assert!(
                    (at_middle - time).abs() < 0.1 * scene.spacing[2],
                    "{preset} {dip}: {at_middle}"
                );
            }
            let [nx, ny, nt] = scene.shape;
            let (image, _) = judge::parts(&output);
            let row = &image[(nx / 2 * ny + ny / 2) * nt..][..nt];
            let strongest = row
                .iter()
                .max_by(|a, b| a.abs().total_cmp(&b.abs()))
                .unwrap();
            assert!(
                *strongest < 0.0,
                "the derivative of a wavelet comes back with a turned sign"
            );
        }
    }
}

fn written(folder: &Path, name: &str, shape: Vec<usize>, values: Vec<f32>) -> Value {
    let path = folder.join(name);
    let array = Array {
        shape,
        values: Values::F32(values),
        is_complex: false,
    };
    files::write_array(&path, &array).unwrap();
    text(path.to_str().unwrap())
}

/// The tiny survey as arrays, with amplitudes and traces of one's choice.
fn from_files(pick: impl Fn(usize) -> bool, change: impl Fn(usize, f32) -> f32) -> Survey {
    let own = Survey::new("tiny", &[("noise", Value::Float(0.1))]);
    let folder = tempfile::tempdir().unwrap();
    let chosen: Vec<usize> = (0..own.scene().gathers[0].geometry.len())
        .filter(|k| pick(*k))
        .collect();
    let geometry: Vec<f32> = chosen
        .iter()
        .flat_map(|k| own.scene().gathers[0].geometry[*k])
        .collect();
    let traces: Vec<f32> = (chosen.iter())
        .flat_map(|k| {
            own.scene()
                .trace(0, *k)
                .into_iter()
                .map(|v| change(*k, v))
                .collect::<Vec<_>>()
        })
        .collect();
    let count = chosen.len();
    let files = [
        (
            "traces",
            written(
                folder.path(),
                "d.npy",
                vec![count, own.scene().samples],
                traces,
            ),
        ),
        (
            "geometry",
            written(folder.path(), "g.npy", vec![count, 4], geometry),
        ),
    ];
    let survey = Survey::new("tiny", &files);
    // The store is made when a configuration is prepared: now, while the files are there.
    survey.run(&quick());
    survey
}

#[test]
fn arrays_from_files_are_migrated_like_generated_ones() {
    let generated = Survey::new("tiny", &[("noise", Value::Float(0.1))]);
    let read = from_files(|_| true, |_, v| v);
    assert!(bits(&generated.run(&quick())) == bits(&read.run(&quick())));
}

#[test]
fn migration_is_linear_and_adds_up_over_traces() {
    let image = |survey: &Survey| judge::parts(&survey.run(&quick())).0.to_vec();
    let whole = image(&from_files(|_| true, |_, v| v));
    let twice = image(&from_files(|_| true, |_, v| -2.0 * v));
    let even = image(&from_files(|k| k % 2 == 0, |_, v| v));
    let odd = image(&from_files(|k| k % 2 == 1, |_, v| v));
    let largest = whole.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
    for i in 0..whole.len() {
        assert_eq!(-2.0 * whole[i], twice[i]);
        assert!((even[i] + odd[i] - whole[i]).abs() <= 1e-6 * largest);
    }
}

#[test]
fn narrow_apertures_and_mutes_change_what_they_should_and_nothing_else() {
    let survey = Survey::new("laptop", &[]);
    let scene = survey.scene();
    let full = survey.run(&quick());
    let adaptive = survey.run(&[&quick()[..], &[("aperture", text("depth_adaptive"))]].concat());
    let (a, f) = judge::parts(&full);
    let (b, g) = judge::parts(&adaptive);
    let half = scene.depth_segments()[2].0.start;
    let nt = scene.shape[2];
    for i in 0..a.len() {
        if i % nt >= half {
            assert_eq!((a[i].to_bits(), f[i]), (b[i].to_bits(), g[i]));
        } else {
            assert!(g[i] <= f[i]);
        }
    }
    let early = |fold: &[f32]| fold.chunks_exact(nt).map(|row| row[0]).sum::<f32>();
    assert!(early(g) < 0.5 * early(f));
    // Nothing arrives before offset/v_mute: at zero time under the midpoints everything is muted.
    let muted = survey.run(&[&quick()[..], &[("mute", text("outer"))]].concat());
    let (m, fold) = judge::parts(&muted);
    assert_eq!(fold, f, "a weight of nothing is a weight");
    let (sx, rx) = (
        scene.gathers[0].geometry[0][0],
        scene.gathers[0].geometry[0][2],
    );
    let earliest = f64::from(rx - sx) / scene.v_mute;
    for (i, value) in m.iter().enumerate() {
        // Every trace of the aperture arrives later than straight down; the latest is at its edge.
        let t0 = (i % nt) as f64 * scene.spacing[2];
        let far = scene.amax + f64::from(rx - sx);
        let latest = 2.0 * (0.25 * t0 * t0 + (far / 2000.0).powi(2)).sqrt();
        if latest < earliest {
            assert_eq!(*value, 0.0);
        }
    }
    let wide = Survey::new("laptop", &[("v_mute", Value::Float(100.0))]);
    let w = wide.run(&[&quick()[..], &[("mute", text("outer"))]].concat());
    assert!(
        judge::parts(&w).0.iter().all(|v| *v == 0.0),
        "everything is earlier than 3 s"
    );
}

#[test]
fn time_steps_cost_little_where_the_wavelet_allows_them() {
    let survey = Survey::new("laptop", &[]);
    let (image, _) = survey.exact(&PLAIN);
    let off = |step| {
        let output = survey.run(&[time(), ("time_step", int(step))]);
        rel_l2(judge::parts(&output).0, &image)
    };
    let [two, four, eight] = [2, 4, 8].map(off);
    assert!(two < 0.01 && four < 0.1, "{two} {four}");
    assert!(eight > 0.1, "a step of 16 ms cannot hold 60 Hz: {eight}");
}

#[test]
fn the_cache_saves_reading_and_tiles_cost_it() {
    let survey = Survey::new("laptop", &[]);
    let counted = |settings: &[(&str, Value)]| {
        let values = settings
            .iter()
            .map(|(k, v)| ((*k).to_owned(), v.clone()))
            .collect();
        let mut executable = survey
            .migration
            .prepare(&Device::Host, &Configuration::new(values))
            .unwrap();
        executable.run().unwrap();
        executable.run().unwrap();
        let of = |name: &str| {
            executable
                .attributes()
                .into_iter()
                .find(|(n, _)| n == name)
                .map(|(_, v)| v)
        };
        (of("cache_hits").unwrap(), of("cache_misses").unwrap())
    };
    let whole = counted(&quick());
    assert_eq!(
        whole.1, 200.0,
        "1600 traces in chunks of 8, each read once an invocation"
    );
    let tiles = [("tile_x", int(6)), ("tile_y", int(6))];
    let small = counted(&[&quick()[..], &tiles].concat());
    let large = counted(
        &[
            &quick()[..],
            &tiles,
            &[("cache_percent", int(80)), ("memory_percent", int(90))],
        ]
        .concat(),
    );
    assert!(
        small.1 > 200.0 && large.1 < small.1 && large.0 > small.0,
        "{small:?} {large:?}"
    );
    // A chunk that two loads share is asked for twice.
    let [few, many] = [small, large].map(|(hits, misses)| hits + misses);
    assert!((few - many).abs() < 0.03 * many, "{few} {many}");
}

#[test]
fn what_cannot_matter_is_refused_with_a_reason() {
    let survey = Survey::new("tiny", &[("memory", text("8 MiB"))]);
    let refused = [
        (vec![("trace_batch", int(8))], "axis=time"),
        (vec![("traversal", text("trace_scatter"))], "axis=time"),
        (vec![("mute", text("outer"))], "axis=time"),
        (vec![time(), ("tg_t", int(4))], "a vector has"),
        (
            vec![("io", text("zero_copy")), ("cache_percent", int(20))],
            "no trace cache",
        ),
        (
            vec![("io", text("zero_copy")), ("prefetch", int(1))],
            "nothing ahead",
        ),
        (vec![("bins_in_flight", int(2))], "the problem has 1"),
        (vec![("tiles_in_flight", int(2))], "tiles of 512"),
        (vec![("tile_order", text("hilbert"))], "no other way"),
        (vec![("prefetch", int(1))], "nothing to read ahead"),
        (vec![("threads", int(1000))], "processors"),
    ];
    for (settings, why) in refused {
        match survey.try_on(&Device::Host, &settings) {
            Err(Ending::Unsupported { reason }) => {
                assert!(reason.contains(why), "{settings:?}: {reason}")
            }
            other => panic!("{settings:?}: {:?}", other.map(|output| output.shape)),
        }
    }
}

#[test]
fn wrong_problems_say_what_is_wrong() {
    let wrong = [
        ("preset", text("huge"), "no preset `huge`"),
        ("nx", int(0), "nx"),
        ("velocities", int(1), "no `velocities`"),
        ("v0", Value::Float(0.0), "v0"),
        ("memory", text("lots"), "memory"),
        ("geometry", text("g.npy"), "traces"),
        ("traces", text("/nowhere.npy"), "geometry"),
        ("reflector", text("sphere"), "diffractor or plane"),
        ("taper", Value::Float(f64::NAN), "taper"),
        ("lateral", Value::Float(0.9), "lateral"),
        ("spread", Value::Float(-1.0), "spread"),
    ];
    for (key, value, said) in wrong {
        let mut problem = vec![("preset".to_owned(), text("tiny"))];
        problem.retain(|(k, _)| k != key);
        problem.push((key.into(), value));
        let error = Scene::new(&problem).unwrap_err();
        assert!(error.contains(said), "{key}: {error}");
    }
    let far = written(
        std::env::temp_dir().as_path(),
        "pstm-far.npy",
        vec![1, 4],
        vec![5.1e6; 4],
    );
    let problem = [
        ("preset".to_owned(), text("tiny")),
        ("traces".to_owned(), text("any.npy")),
        ("geometry".to_owned(), far),
    ];
    assert!(
        Scene::new(&problem)
            .unwrap_err()
            .contains("subtract the grid's origin")
    );
}

#[test]
fn a_store_without_its_file_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let geometry = written(folder.path(), "g.npy", vec![3, 4], vec![10.0; 12]);
    let survey = Survey::new(
        "tiny",
        &[
            ("traces", text("/nowhere/d.npy")),
            ("geometry", geometry.clone()),
        ],
    );
    let Err(Ending::Failed { reason }) = survey.try_on(&Device::Host, &[]) else {
        panic!()
    };
    assert!(reason.contains("/nowhere/d.npy"), "{reason}");
    let short = written(folder.path(), "d.npy", vec![3, 7], vec![0.0; 21]);
    let survey = Survey::new("tiny", &[("traces", short), ("geometry", geometry)]);
    let Err(Ending::Failed { reason }) = survey.try_on(&Device::Host, &[]) else {
        panic!()
    };
    assert!(
        reason.contains("[3, 201]") && reason.contains("[3, 7]"),
        "{reason}"
    );
}
