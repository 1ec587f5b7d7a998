//! A small campaign for the tests: two phases of a command, with numbers that JSON does not know.
use super::{
    CriterionOutcome, CriterionState, Entry, Environment, Final, Git, Header, PhaseOutcome, Trial,
};
use crate::plan::{
    Accuracy, Cache, Case, CommandChoice, Declaration, DeclaredMetric, DeviceChoice, Limits,
    MetricSource, Objective, Plan, Protocol, WarmUp, WorkloadChoice,
};
use crate::space::Configuration;
use crate::stats::Comparison;
use crate::trial::{
    Block, Cell, Conditions, Ending, Invocation, Purpose, Sample, Timing, VariantId, Verdict,
};
use crate::value::{Bytes, Nanoseconds, Value};

pub(super) fn header() -> Header {
    let metric = DeclaredMetric {
        name: "rate".into(),
        source: MetricSource::Regex("rate (.*)".into()),
    };
    let command = CommandChoice {
        command: vec!["sort".into()],
        metrics: vec![metric],
        ..CommandChoice::default()
    };
    Header {
        format: 1,
        run_id: String::new(),
        plan: Plan {
            name: "t".into(),
            title: "A test".into(),
            workload: WorkloadChoice::Command(command),
            objective: Objective::Runtime,
            accuracy: Accuracy::default(),
            limits: Limits::default(),
            protocol: Protocol {
                warm_up: WarmUp::Auto,
                min_blocks: 8,
                max_blocks: 40,
                precision: 0.01,
                confidence: 0.95,
                equivalence: 0.01,
                time_limit: Nanoseconds(6e11),
                trial_timeout: Nanoseconds(6e10),
                repetitions: None,
                cache: Cache::Warm,
                seed: 1,
            },
            baseline: configuration(1),
            phases: vec![],
            cases: vec![Case {
                name: String::new(),
                device: DeviceChoice::Cpu,
                problem: vec![],
            }],
            on: None,
        },
        plan_text: "name: t\n".into(),
        plan_path: "experiments/t.yaml".into(),
        command_line: vec!["phasetune".into()],
        declaration: Declaration {
            stages: vec!["read".into(), "merge".into()],
            ..Declaration::default()
        },
        environment: Environment {
            host: "h".into(),
            git: Some(Git {
                commit: "1a2b3c4d5e".into(),
                ..Git::default()
            }),
            ..Environment::default()
        },
        calibration: None,
        ceilings: vec![],
    }
}

pub(super) fn configuration(threads: i64) -> Configuration {
    Configuration::new(vec![
        ("threads".into(), Value::Int(threads)),
        ("locale".into(), Value::Text("C".into())),
    ])
}

pub(super) fn sample(ns: f64) -> Sample {
    let stages = vec![Nanoseconds(ns / 3.0), Nanoseconds(ns / 7.0)];
    let timing = Timing {
        wall: Nanoseconds(ns),
        device: None,
        stages,
    };
    let invocation = Invocation {
        timing,
        host_peak: Some(Bytes(4096)),
        metrics: vec![1e9 / ns],
        ..Invocation::default()
    };
    Sample {
        invocation,
        started_at: 1_795_226_400_000_000_001,
        batch: 2,
        is_warm_up: ns < 1e6,
    }
}

pub(super) fn block(phase: &str, index: u32) -> Entry {
    let cell = |v: u32| Cell {
        variant: VariantId(v),
        samples: vec![
            sample(0.9e6),
            sample(1e6 / 3.0 + f64::from(index * 10 + v)),
            sample(1.7e6),
        ],
        ending: Ending::Completed,
    };
    let block = Block {
        index,
        purpose: Purpose::Screen,
        worker: index,
        elapsed: Nanoseconds(4e6),
        cells: vec![cell(1), cell(0)],
        conditions: Conditions {
            steal: Some(0.01),
            load: Some(0.5),
            ..Conditions::default()
        },
        place: None,
    };
    Entry::Block {
        case: String::new(),
        phase: phase.into(),
        purpose: Purpose::Screen,
        block,
    }
}

pub(super) fn trial(phase: &str, id: u32) -> Trial {
    Trial {
        case: String::new(),
        phase: phase.into(),
        kind: "tiling".into(),
        id: VariantId(id),
        name: if id == 0 {
            "reference".into()
        } else {
            format!("threads {id}")
        },
        device: "cpu".into(),
        configuration: configuration(i64::from(id) + 1),
        is_canary: false,
        ending: Ending::Completed,
        verdict: if id == 0 {
            Verdict::Reference
        } else {
            Verdict::Faster
        },
        message: None,
        compile: None,
        n: 4,
        quartiles: Some((1.0 / 3.0, 1e6 / 7.0, 2e300)),
        comparison: (id > 0).then(Comparison::default),
        confirmation: None,
        accuracy: vec![("nrmse".into(), f64::NAN)],
        host_peak: Some(Bytes(u64::MAX >> 1)),
        device_peak: None,
        stages: vec![],
        metrics: vec![("rate".into(), f64::INFINITY)],
        work: None,
        is_kept: id == 1,
        pictures: vec![],
        timeline: vec![],
    }
}

pub(super) fn phase_ended(phase: &str) -> Entry {
    let measured = Some((f64::NAN, 1.0 / 3.0, f64::NEG_INFINITY));
    let criterion = CriterionOutcome {
        text: "nrmse <= 1e-3".into(),
        state: CriterionState::Failed,
        measured,
    };
    let outcome = PhaseOutcome {
        phase: phase.into(),
        kept: configuration(2),
        criteria: vec![criterion],
        ..PhaseOutcome::default()
    };
    Entry::PhaseEnded {
        trials: vec![trial(phase, 0), trial(phase, 1)],
        outcome: Box::new(outcome),
    }
}

pub(super) fn last() -> Final {
    let confirmation = Some(Comparison {
        speedup: 1.25,
        ..Comparison::default()
    });
    Final {
        case: String::new(),
        baseline: configuration(1),
        configuration: configuration(2),
        confirmation,
        medians: Some((2.0, 1.6)),
        absent: None,
    }
}
