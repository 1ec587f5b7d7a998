//! A run out of nothing that holds everything a report has to say: each verdict, each ending, each kind of phase, each state of a
//! criterion, and names that try to be markup.
mod search;

pub(super) use search::{TUNE, searched};

use crate::plan::{
    Accuracy, Cache, Case, CommandChoice, Criterion, Declaration, DeviceChoice, Hypothesis, Keep,
    Limits, NamedVariant, Objective, Phase, Plan, Protocol, Question, Relation, Search, WarmUp,
    WorkloadChoice,
};
use crate::record::{
    Calibration, Ceilings, CriterionOutcome, CriterionState, Environment, FINAL_PHASE, Final, Git,
    Header, PhaseOutcome, PhaseSamples, Run, SampleRow, Trial,
};
use crate::space::{Configuration, Parameter};
use crate::stats::{Comparison, Warning};
use crate::trial::{Ending, PictureRecord, Purpose, VariantId, Verdict, Work};
use crate::value::{Bytes, Nanoseconds, Value};
use std::path::Path;

/// In a name, this would be a cell, a tag, a link, a heading and a rule.
pub(super) const HOSTILE: &str =
    "a|b <script>alert(1)</script> [x](http://evil.example) `c` & # \"d\"";

/// Median of the baseline in nanoseconds.
const BASELINE: f64 = 182e6;

/// The run, with its QC pictures in `folder`.
pub(super) fn run(folder: &Path) -> Run {
    let mut run = Run {
        folder: folder.to_owned(),
        header: header(),
        trials: vec![],
        outcomes: vec![],
        finals: vec![Final {
            case: String::new(),
            baseline: configuration(64, "f32"),
            configuration: configuration(256, "f16"),
            confirmation: Some(comparison(1.52, 0.01, 16)),
            medians: Some((BASELINE, BASELINE / 1.52)),
            absent: None,
        }],
        is_complete: true,
        samples: vec![],
    };
    baseline(&mut run);
    verdicts(&mut run);
    sweep(&mut run);
    search(&mut run);
    combined(&mut run);
    untrusted(&mut run);
    run.outcomes.push(PhaseOutcome {
        phase: "broken".into(),
        reference: configuration(256, "f16"),
        kept: configuration(256, "f16"),
        failure: Some("the reference crashed: signal 9 (killed)".into()),
        is_trusted: true,
        elapsed: Nanoseconds(4e8),
        ..PhaseOutcome::default()
    });
    pictures(&mut run);
    run.samples.push(samples(
        FINAL_PHASE,
        Purpose::Confirm,
        16,
        &[(0, 1.0), (1, 1.0 / 1.52)],
    ));
    run
}

fn baseline(run: &mut Run) {
    run.trials.push(reference("baseline"));
    run.trials.push(canary("baseline", 1));
    run.samples.push(samples(
        "baseline",
        Purpose::Screen,
        12,
        &[(0, 1.0), (1, 1.0)],
    ));
    run.outcomes.push(PhaseOutcome {
        warnings: vec![Warning {
            what: "drift".into(),
            detail: "variant 0 became 2.1 % slower over the phase".into(),
        }],
        detectable: Some(0.008),
        canary_p: Some(0.62),
        ..outcome("baseline", 12)
    });
}

/// Every verdict, and every ending.
fn verdicts(run: &mut Run) {
    let phase = HOSTILE;
    let failed = |reason: &str| Ending::Failed {
        reason: reason.into(),
    };
    let rows: [(&str, Verdict, f64, Ending); 15] = [
        ("quick", Verdict::Faster, 1.4, Ending::Completed),
        (
            "a little quicker",
            Verdict::SlightlyFaster,
            1.02,
            Ending::Completed,
        ),
        ("the same", Verdict::Equivalent, 1.001, Ending::Completed),
        ("who knows", Verdict::Inconclusive, 0.998, Ending::Completed),
        (
            "a little slower",
            Verdict::SlightlySlower,
            0.985,
            Ending::Completed,
        ),
        ("slow", Verdict::Slower, 0.7, Ending::Completed),
        ("dropped", Verdict::ScreenedOut, 0.5, Ending::Completed),
        ("doubtful", Verdict::Untrusted, 1.1, Ending::Completed),
        ("wrong", Verdict::Inaccurate, 3.0, Ending::Completed),
        ("not a number", Verdict::Inaccurate, 3.0, Ending::Completed),
        (
            "too large",
            Verdict::OverLimit,
            1.0,
            Ending::OverLimit {
                limit: "9.1 GiB of 8 GiB (peak_memory)".into(),
            },
        ),
        (
            HOSTILE,
            Verdict::Failed,
            1.0,
            failed(&format!("exit status 2: {HOSTILE}")),
        ),
        (
            "endless",
            Verdict::TimedOut,
            1.0,
            Ending::TimedOut {
                limit: Nanoseconds(6e10),
            },
        ),
        (
            "killed",
            Verdict::Crashed,
            1.0,
            Ending::Crashed {
                cause: "signal 11 (segmentation fault)".into(),
            },
        ),
        (
            "f64",
            Verdict::Unsupported,
            1.0,
            Ending::Unsupported {
                reason: "no 64-bit floats on this adapter".into(),
            },
        ),
    ];
    run.trials.push(reference(phase));
    for (i, (name, verdict, speedup, ending)) in rows.into_iter().enumerate() {
        let mut found = trial(
            phase,
            i as u32 + 1,
            name,
            configuration(64, "f16"),
            verdict,
            speedup,
        );
        if let Ending::Failed { .. }
        | Ending::TimedOut { .. }
        | Ending::OverLimit { .. }
        | Ending::Unsupported { .. } = ending
        {
            (found.quartiles, found.comparison, found.n) = (None, None, 0);
        }
        if verdict == Verdict::Inaccurate {
            (found.quartiles, found.comparison) = (None, None);
            let error = if name == "wrong" { 0.31 } else { f64::NAN };
            found.accuracy = vec![("rel_l2".into(), error)];
            found.message = Some(format!("rel_l2 is {error}, and the plan allows 0.001"));
        }
        if ending != Ending::Completed {
            found.message = Some(ending.sentence());
        }
        if verdict == Verdict::Faster {
            found.confirmation = Some(comparison(1.38, 0.01, 16));
            found.is_kept = true;
        }
        found.ending = ending;
        run.trials.push(found);
    }
    run.trials.push(canary(phase, 16));
    let lanes: Vec<(u32, f64)> = [
        (0, 1.0),
        (1, 1.4),
        (2, 1.02),
        (3, 1.001),
        (6, 0.7),
        (16, 1.0),
    ]
    .map(|(i, s)| (i, 1.0 / s))
    .into();
    run.samples
        .push(samples(phase, Purpose::Screen, 20, &lanes));
    run.samples
        .push(samples(phase, Purpose::Confirm, 16, &lanes[..2]));
    run.outcomes.push(PhaseOutcome {
        kept: configuration(64, "f16"),
        kept_variant: Some("quick".into()),
        tied: vec!["quick".into()],
        runner_up: Some("a little quicker".into()),
        confirmation_blocks: 16,
        canary_p: Some(0.44),
        detectable: Some(0.006),
        criteria: vec![
            criterion(
                "speedup >= 1.2",
                CriterionState::Met,
                Some((1.38, 1.37, 1.39)),
            ),
            criterion(
                "runtime <= 100ms",
                CriterionState::Failed,
                Some((1.3e8, 1.29e8, 1.31e8)),
            ),
            criterion(
                "rel_l2(not a number) <= 0.001",
                CriterionState::Undecided,
                None,
            ),
        ],
        ..outcome(phase, 20)
    });
}

fn sweep(run: &mut Run) {
    let tiles = [32, 64, 128, 256];
    let precisions = ["f16", "f32"];
    run.trials.push(Trial {
        configuration: configuration(64, "f16"),
        ..reference("sweep")
    });
    let mut id = 0;
    for (i, tile) in tiles.into_iter().enumerate() {
        for precision in precisions {
            if (tile, precision) == (64, "f16") {
                continue;
            }
            id += 1;
            let speedup = 0.9 + 0.07 * i as f64 - if precision == "f32" { 0.2 } else { 0.0 };
            let is_kept = (tile, precision) == (256, "f16");
            let verdict = if speedup > 1.0 {
                Verdict::Faster
            } else {
                Verdict::Slower
            };
            let mut found = trial(
                "sweep",
                id,
                &format!("tile={tile}, precision={precision}"),
                configuration(tile, precision),
                verdict,
                speedup,
            );
            found.is_kept = is_kept;
            if is_kept {
                found.confirmation = Some(comparison(1.1, 0.01, 16));
            }
            run.trials.push(found);
        }
    }
    run.samples.push(samples(
        "sweep",
        Purpose::Screen,
        10,
        &[(0, 0.7), (1, 0.8), (7, 0.65)],
    ));
    run.outcomes.push(PhaseOutcome {
        reference: configuration(64, "f16"),
        kept: configuration(256, "f16"),
        kept_variant: Some("tile=256, precision=f16".into()),
        tied: vec![
            "tile=256, precision=f16".into(),
            "tile=128, precision=f16".into(),
        ],
        confirmation_blocks: 16,
        ..outcome("sweep", 10)
    });
}

/// A race among forty, three of which stay.
fn search(run: &mut Run) {
    run.trials.push(Trial {
        configuration: configuration(256, "f16"),
        ..reference("search")
    });
    for id in 1..=40 {
        let tile = [32, 64, 128, 256][id as usize % 4];
        let verdict = if id <= 3 {
            Verdict::Equivalent
        } else {
            Verdict::ScreenedOut
        };
        let mut found = trial(
            "search",
            id,
            &format!("tile={tile}, threads={id}"),
            configuration(tile, "f16").with(&[("threads".into(), Value::Int(i64::from(id)))]),
            verdict,
            1.0 - 0.01 * f64::from(id),
        );
        if verdict == Verdict::ScreenedOut {
            found.comparison = None;
        }
        run.trials.push(found);
    }
    run.samples.push(samples(
        "search",
        Purpose::Race,
        4,
        &[(0, 0.65), (1, 0.66), (2, 0.67), (3, 0.68), (4, 0.9)],
    ));
    run.samples.push(samples(
        "search",
        Purpose::Screen,
        8,
        &[(0, 0.65), (1, 0.66), (2, 0.67), (3, 0.68)],
    ));
    run.outcomes.push(PhaseOutcome {
        reference: configuration(256, "f16"),
        kept: configuration(256, "f16"),
        is_race: true,
        note: Some("the space is exhausted after 40 configurations".into()),
        ..outcome("search", 8)
    });
}

fn combined(run: &mut Run) {
    run.trials.push(reference("combined"));
    let mut found = trial(
        "combined",
        1,
        "tile + precision",
        configuration(256, "f16"),
        Verdict::Faster,
        1.52,
    );
    found.confirmation = Some(comparison(1.51, 0.01, 16));
    found.is_kept = true;
    run.trials.push(found);
    run.samples.push(samples(
        "combined",
        Purpose::Screen,
        9,
        &[(0, 1.0), (1, 0.66)],
    ));
    run.outcomes.push(PhaseOutcome {
        kept: configuration(256, "f16"),
        kept_variant: Some("tile + precision".into()),
        tied: vec!["tile + precision".into()],
        confirmation_blocks: 16,
        ..outcome("combined", 9)
    });
}

fn untrusted(run: &mut Run) {
    run.trials.push(Trial {
        configuration: configuration(256, "f16"),
        ..reference("untrusted")
    });
    run.trials.push(trial(
        "untrusted",
        1,
        "prefetch",
        configuration(256, "f16"),
        Verdict::Untrusted,
        1.2,
    ));
    run.trials.push(canary("untrusted", 2));
    run.outcomes.push(PhaseOutcome {
        reference: configuration(256, "f16"),
        kept: configuration(256, "f16"),
        is_trusted: false,
        canary_p: Some(0.0004),
        ..outcome("untrusted", 14)
    });
}

fn comparison(speedup: f64, width: f64, blocks: u32) -> Comparison {
    let interval = Some((speedup * (1.0 - width), speedup * (1.0 + width)));
    Comparison {
        speedup,
        interval,
        equivalence_interval: interval,
        p_value: 0.001,
        blocks,
    }
}

fn configuration(tile: i64, precision: &str) -> Configuration {
    Configuration::new(vec![
        ("tile".into(), Value::Int(tile)),
        ("precision".into(), Value::Text(precision.into())),
        ("threads".into(), Value::Int(2)),
    ])
}

fn trial(
    phase: &str,
    id: u32,
    name: &str,
    configuration: Configuration,
    verdict: Verdict,
    speedup: f64,
) -> Trial {
    let median = BASELINE / speedup;
    Trial {
        case: String::new(),
        phase: phase.into(),
        kind: "tiling".into(),
        id: VariantId(id),
        name: name.into(),
        device: "cpu".into(),
        configuration,
        is_canary: false,
        ending: Ending::Completed,
        verdict,
        message: None,
        compile: Some(Nanoseconds(2.4e6 + 1e5 * f64::from(id))),
        n: 20,
        quartiles: Some((0.995 * median, median, 1.008 * median)),
        comparison: Some(comparison(speedup, 0.004, 20)),
        confirmation: None,
        accuracy: vec![("rel_l2".into(), 1e-5 * (1.0 + f64::from(id)))],
        host_peak: Some(Bytes((21 << 20) + (u64::from(id) << 19))),
        device_peak: None,
        stages: [0.55, 0.30, 0.15]
            .map(|share| Nanoseconds(share * median))
            .into(),
        metrics: vec![
            ("resident_peak_bytes".into(), 15_208_448.0),
            ("rate".into(), 12.345_678),
        ],
        work: Some(Work {
            flops: 2e9,
            sqrt: 1e7,
            trig: 1e6,
            bytes: 4e8,
        }),
        is_kept: false,
        pictures: vec![],
        timeline: vec![],
    }
}

fn reference(phase: &str) -> Trial {
    Trial {
        comparison: None,
        ..trial(
            phase,
            0,
            "reference",
            configuration(64, "f32"),
            Verdict::Reference,
            1.0,
        )
    }
}

fn canary(phase: &str, id: u32) -> Trial {
    Trial {
        is_canary: true,
        ..trial(
            phase,
            id,
            "canary",
            configuration(64, "f32"),
            Verdict::Equivalent,
            1.0,
        )
    }
}

fn outcome(phase: &str, blocks: u32) -> PhaseOutcome {
    PhaseOutcome {
        phase: phase.into(),
        reference: configuration(64, "f32"),
        kept: configuration(64, "f32"),
        planned_blocks: 30,
        blocks,
        is_trusted: true,
        elapsed: Nanoseconds(1e9 * f64::from(blocks)),
        ..PhaseOutcome::default()
    }
}

fn criterion(
    text: &str,
    state: CriterionState,
    measured: Option<(f64, f64, f64)>,
) -> CriterionOutcome {
    CriterionOutcome {
        text: text.into(),
        state,
        measured,
    }
}

/// A warm-up and two samples a cell; `lanes` are (variant, time as a share of the baseline's).
fn samples(phase: &str, purpose: Purpose, blocks: u32, lanes: &[(u32, f64)]) -> PhaseSamples {
    let mut rows = vec![];
    for block in 0..blocks {
        for (position, (variant, share)) in lanes.iter().enumerate() {
            for repetition in 0..3 {
                // A sawtooth in place of noise, and one cell in forty far off.
                let step = (block * 7 + variant * 5 + repetition * 3) % 11;
                let far = if (block * 13 + variant) % 40 == 39 {
                    1.4
                } else {
                    1.0
                };
                let runtime = BASELINE * share * far * (1.0 + 0.002 * f64::from(step));
                rows.push(SampleRow {
                    block,
                    position: position as u32,
                    repetition,
                    worker: block / 3,
                    variant: VariantId(*variant),
                    is_warm_up: repetition == 0,
                    batch: 1,
                    started_at: 1_795_226_400_000_000_000 + u64::from(block) * 1_000_000_000,
                    runtime: Nanoseconds(runtime),
                    objective: runtime,
                });
            }
        }
    }
    PhaseSamples {
        case: String::new(),
        phase: phase.into(),
        purpose,
        rows,
    }
}

/// One slice of the baseline, one that looks the same, one that does not, and one that is lost.
fn pictures(run: &mut Run) {
    const SIZE: (usize, usize) = (12, 16);
    let folder = run.folder.clone();
    let write = |file: &str, error: f32| {
        let path = folder.join(file);
        std::fs::create_dir_all(path.parent().expect("inside of the folder")).expect("a folder");
        let values = ndarray::Array2::from_shape_fn(SIZE, |(row, column)| {
            let far = (row as f32 - 6.0).hypot(column as f32 - 8.0);
            match error {
                e if e > 1.0 && far < 2.0 => f32::NAN,
                e => -6.0 * far + e * (column as f32 - 8.0),
            }
        });
        ndarray_npy::write_npy(&path, &values).expect("written");
    };
    let record = |file: &str| PictureRecord {
        file: file.into(),
        title: "slice <at> y = 0".into(),
        unit: "dB".into(),
        x_label: "x (mm)".into(),
        y_label: "z (mm)".into(),
        x_range: (-8.0, 8.0),
        y_range: (20.0, 32.0),
        scale: (-60.0, 0.0),
        width: SIZE.1,
        height: SIZE.0,
    };
    let shown = [
        ("reference", 0.0),
        ("quick", 1e-4),
        ("slow", 0.5),
        ("not a number", 2.0),
    ];
    for (i, (name, error)) in shown.into_iter().enumerate() {
        let file = format!("qc/{i}.npy");
        write(&file, error);
        let trial = run
            .trials
            .iter_mut()
            .find(|t| t.name == name)
            .expect("of the fixture");
        trial.pictures = vec![record(&file)];
    }
    let trial = run
        .trials
        .iter_mut()
        .find(|t| t.name == "the same")
        .expect("of the fixture");
    trial.pictures = vec![record("qc/lost.npy")];
}

fn header() -> Header {
    let hypothesis = |low, high, because: &str| Hypothesis {
        speedup: Some((low, high)),
        effort: Some("low".into()),
        risk: Some("none".into()),
        because: Some(because.into()),
    };
    let tile = Parameter {
        name: "tile".into(),
        values: [32, 64, 128, 256].map(Value::Int).into(),
    };
    let precision = Parameter {
        name: "precision".into(),
        values: ["f16", "f32"].map(|p| Value::Text(p.into())).into(),
    };
    let threads = Parameter {
        name: "threads".into(),
        values: (1..=40).map(Value::Int).collect(),
    };
    let named = |name: &str| NamedVariant {
        name: name.into(),
        changes: vec![("precision".into(), Value::Text("f16".into()))],
    };
    let searched = Search {
        parameters: vec![tile.clone(), precision.clone(), threads],
        restrictions: vec![],
        strategy: "auto".into(),
        evaluations: Some(40),
        time: None,
        pareto: vec![],
    };
    let mut phases = vec![
        phase("baseline", &[], Question::Baseline),
        phase(
            HOSTILE,
            &["baseline"],
            Question::Variants(["quick", "slow", HOSTILE].map(named).into()),
        ),
        phase("sweep", &[HOSTILE], Question::Sweep(vec![tile, precision])),
        phase("search", &["sweep"], Question::Search(searched)),
        phase(
            "combined",
            &[],
            Question::Combine(vec![HOSTILE.into(), "sweep".into()]),
        ),
        phase(
            "untrusted",
            &["combined"],
            Question::Variants(vec![named("prefetch")]),
        ),
        phase(
            "broken",
            &["combined"],
            Question::Variants(vec![named("never")]),
        ),
    ];
    phases[1].hypothesis = Some(hypothesis(1.05, 1.15, HOSTILE));
    phases[2].hypothesis = Some(hypothesis(1.05, 1.2, "larger tiles are read once"));
    phases[5].hypothesis = Some(hypothesis(1.1, 1e9, "the table streams"));
    let asked = |text: &str, quantity: &str, relation, bound| Criterion {
        text: text.into(),
        quantity: quantity.into(),
        variant: None,
        relation,
        bound,
    };
    phases[1].criteria = vec![
        asked("speedup >= 1.2", "speedup", Relation::AtLeast, 1.2),
        asked("runtime <= 100ms", "runtime", Relation::AtMost, 1e8),
        asked(
            "rel_l2(not a number) <= 0.001",
            "rel_l2",
            Relation::AtMost,
            1e-3,
        ),
    ];
    Header {
        format: 1,
        run_id: "20261121T040000Z-abcdef0".into(),
        plan: plan(phases),
        plan_text: format!("name: fixture\ntitle: {HOSTILE}\n# ``` </details>\n"),
        plan_path: "experiments/fixture.yaml".into(),
        command_line: vec![
            "target/release/phasetune".into(),
            "run".into(),
            "experiments/my plan.yaml".into(),
        ],
        declaration: Declaration {
            stages: ["read", "merge", HOSTILE].map(str::to_owned).into(),
            ..Declaration::default()
        },
        environment: environment(),
        calibration: Some(Calibration {
            fingerprint: "x".into(),
            at: "2026-11-21T03:00:00Z".into(),
            blocks: 40,
            half_width: 0.004,
            detectable: vec![(10, 0.011), (40, 0.005)],
            repetitions: 3,
            lag1: 0.1,
            position_p: 0.4,
            warnings: vec![],
        }),
        ceilings: vec![Ceilings {
            device: "cpu".into(),
            flops: 2.2e11,
            bandwidth: 3.5e10,
        }],
    }
}

fn plan(phases: Vec<Phase>) -> Plan {
    Plan {
        name: "fixture".into(),
        title: HOSTILE.into(),
        workload: WorkloadChoice::Command(CommandChoice::default()),
        objective: Objective::Runtime,
        accuracy: Accuracy {
            limits: vec![("rel_l2".into(), 1e-3)],
            ..Accuracy::default()
        },
        limits: Limits::default(),
        protocol: Protocol {
            warm_up: WarmUp::Auto,
            min_blocks: 8,
            max_blocks: 30,
            precision: 0.01,
            confidence: 0.95,
            equivalence: 0.01,
            time_limit: Nanoseconds(6e11),
            trial_timeout: Nanoseconds(6e10),
            repetitions: None,
            cache: Cache::Warm,
            seed: 1,
        },
        baseline: configuration(64, "f32"),
        phases,
        cases: vec![Case {
            name: String::new(),
            device: DeviceChoice::Cpu,
            problem: vec![],
        }],
        on: None,
    }
}

fn phase(name: &str, after: &[&str], question: Question) -> Phase {
    Phase {
        name: name.into(),
        kind: "tiling".into(),
        title: String::new(),
        after: after.iter().map(|&a| a.to_owned()).collect(),
        question,
        keep: Keep::Best,
        hypothesis: None,
        criteria: vec![],
        accuracy: None,
    }
}

fn environment() -> Environment {
    Environment {
        started_at: "2026-11-21T04:00:00Z".into(),
        host: "never-shown".into(),
        os: "Debian GNU/Linux 12".into(),
        kernel: "6.18.0".into(),
        cpu: "A | processor".into(),
        cores: 2,
        caches: vec![("L2".into(), 1 << 20)],
        memory: Bytes(8 << 30),
        governor: None,
        features: vec!["fma".into(), "avx2".into()],
        devices: vec!["cpu: 2 threads".into()],
        toolchain: None,
        tool_version: "0.1.0".into(),
        load_average: Some(0.25),
        git: Some(Git {
            commit: "abcdef0123456789".into(),
            branch: Some("main".into()),
            is_dirty: true,
            diff_hash: Some("0123456789abcdef0123".into()),
        }),
        imported: None,
    }
}
