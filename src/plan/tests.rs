//! Wrong plans, each with the message that its author sees; right plans; and inputs that nobody wrote.
pub(super) mod wrong;

use super::schema::schema;
use super::*;
use crate::plan::{check, command, kernel, on};
use proptest::prelude::*;

const GOOD: &str = "name: t
title: Test
workload:
  builtin: toy
  problem: {preset: tiny}
accuracy: {against: exact, limits: {rel_l2: 1e-3}}
limits: {peak_memory: 1 GiB}
protocol: {blocks: {min: 8, max: 20}, time_limit: 1m}
baseline: {tile: 8, mode: slow}
phases:
  - {phase: base, kind: baseline}
  - phase: tiles
    kind: tiling
    after: [base]
    hypothesis: {speedup: 5-15%}
    variants:
      t16: {tile: 16}
      t32: {tile: 32}
    criteria: ['speedup >= 1.05']
  - phase: modes
    kind: algorithm
    after: [base]
    search: {parameters: {tile: [8, 16], mode: [slow, fast]}, restrictions: ['tile > 8 or mode == \"fast\"'], budget: {evaluations: 3}}
    keep: none
  - {phase: all, kind: combined, combine: [tiles, extra]}
  - {phase: extra, kind: fusion, after: [base], sweep: {mode: [fast]}}
";

const COMMAND: &str = "name: t
workload:
  command: [prog, --tile, '{tile}']
  env: {MODE: '{mode}'}
  metrics: {gflops: 'GFLOPS: ([0-9.]+)', t: {pointer: /a/0}}
  output: {file: out.raw, dtype: f32, shape: [4]}
  timer: metric t
baseline: {tile: 8, mode: a}
phases:
  - {phase: tiles, kind: tiling, variants: {t16: {tile: 16}, b: {mode: b}}}
";

fn toy(name: &str) -> Option<Declaration> {
    let ints = |name: &str, values: &[i64]| Parameter {
        name: name.into(),
        values: values.iter().map(|v| Value::Int(*v)).collect(),
    };
    let texts = |name: &str, values: &[&str]| Parameter {
        name: name.into(),
        values: values.iter().map(|v| Value::Text((*v).into())).collect(),
    };
    (name == "toy").then(|| Declaration {
        name: "toy".into(),
        parameters: vec![ints("tile", &[8, 16, 32]), texts("mode", &["slow", "fast"])],
        presets: vec!["tiny".into(), "laptop".into()],
        problem_keys: vec!["size".into()],
        has_exact: true,
        ..Declaration::default()
    })
}

fn parse_with(text: &[u8], overrides: &[(&str, &str)]) -> Result<Parsed, Vec<Diagnostic>> {
    let overrides: Vec<(String, String)> = overrides
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect();
    Plan::parse(
        &Source {
            text,
            overrides: &overrides,
            folder: ".",
        },
        &toy,
        &["toy"],
    )
}

pub(super) fn parse(text: &str) -> Result<Parsed, Vec<Diagnostic>> {
    parse_with(text.as_bytes(), &[])
}

#[test]
fn placeholders_are_checked_wherever_they_are_filled_in() {
    for (part, becomes) in [
        ("file: out.raw", "file: 'out_{tlie}.raw'"),
        (
            "t: {pointer: /a/0}",
            "t: {pointer: /a/0, file: '{tlie}.json'}",
        ),
        ("  timer:", "  files: {'{tlie}.in': a.txt}\n  timer:"),
        ("  timer:", "  files: {a.in: 'a_{tlie}.txt'}\n  timer:"),
    ] {
        assert!(COMMAND.contains(part));
        let found = parse(&COMMAND.replace(part, becomes)).unwrap_err();
        let [finding] = &found[..] else {
            panic!("{becomes}: {found:?}");
        };
        assert_eq!(finding.message, "unknown parameter `tlie`", "{becomes}");
        let help = finding.help.as_deref().unwrap();
        assert!(help.starts_with("did you mean `tile`?"), "{help}");
        assert!(matches!(finding.origin, Origin::File { start, .. } if start > 0));
    }
    // {scratch} is ours, so a parameter cannot be called that.
    parse(&COMMAND.replace("out.raw", "'{scratch}/out.raw'")).unwrap();
    let renamed = COMMAND
        .replace("{tile}", "{scratch}")
        .replace("tile:", "scratch:");
    let found = parse(&renamed).unwrap_err();
    assert!(
        found[0]
            .message
            .contains("`scratch` cannot name a parameter"),
        "{found:?}"
    );
}

#[test]
fn findings_come_in_the_order_of_the_file() {
    let wrong = GOOD
        .replace("tile: 16}", "tlie: 16}")
        .replace("kind: fusion", "knid: fusion");
    let found = parse(&wrong).unwrap_err();
    let starts: Vec<usize> = found
        .iter()
        .map(|finding| match finding.origin {
            Origin::File { start, .. } => start,
            Origin::Option(_) => 0,
        })
        .collect();
    assert!(starts.len() > 1 && starts.is_sorted(), "{found:?}");
}

#[test]
fn a_file_to_compare_with_is_in_the_plans_folder() {
    let against = |file: &str| {
        let text = GOOD.replace("against: exact", &format!("against: {{file: {file}}}"));
        let source = Source {
            text: text.as_bytes(),
            overrides: &[],
            folder: "/plans",
        };
        Plan::parse(&source, &toy, &["toy"])
            .unwrap()
            .plan
            .accuracy
            .against
    };
    assert_eq!(against("ref.npy"), Against::File("/plans/ref.npy".into()));
    assert_eq!(
        against("/far/ref.npy"),
        Against::File("/far/ref.npy".into())
    );
}

#[test]
fn the_good_plans_are_good() {
    let parsed = parse(GOOD).unwrap();
    let order: Vec<&str> = parsed.plan.phases.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(
        order,
        ["base", "tiles", "modes", "extra", "all"],
        "parents come first"
    );
    assert_eq!(parsed.plan.limits.peak_memory, Some(Bytes(1 << 30)));
    assert_eq!(parsed.plan.baseline.get("tile"), Some(&Value::Int(8)));
    let command = parse(COMMAND).unwrap();
    assert_eq!(
        command.declaration.parameters[0].values,
        [Value::Int(8), Value::Int(16)]
    );
    assert!(
        matches!(&command.plan.workload, WorkloadChoice::Command(c) if c.timer == Timer::Metric("t".into()))
    );
}

#[test]
fn all_findings_come_at_once() {
    let text = GOOD
        .replace("tile: 16", "tyle: 16")
        .replace("kind: tiling", "kind: tilling")
        .replace("1 GiB", "much");
    assert!(parse(&text).unwrap_err().len() >= 3);
}

#[test]
fn hostile_files_are_refused_quickly() {
    let bomb: String = std::iter::once("a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned())
        .chain((1..12).map(|i| {
            format!(
                "a{i}: &a{i} [{}]\n",
                vec![format!("*a{}", i - 1); 9].join(", ")
            )
        }))
        .collect();
    for text in [
        bomb,
        "[".repeat(10_000),
        "a: ".repeat(10_000),
        "name: t\n---\nname: u\n".into(),
        "a: *b".into(),
        "x".repeat(2 << 20),
        String::new(),
        "- a\n- b\n".into(),
        "<<: {a: 1}\nname: t".into(),
    ] {
        let findings = parse(&text).unwrap_err();
        assert!(!findings.is_empty() && findings.iter().all(|d| !d.message.is_empty()));
    }
    assert!(
        parse_with(b"name: \xff\xfe", &[]).unwrap_err()[0]
            .message
            .contains("not UTF-8")
    );
    parse(&format!("\u{feff}{GOOD}")).unwrap();
}

#[test]
fn overrides_are_checked_like_the_plan() {
    let with = |k, v| parse_with(GOOD.as_bytes(), &[(k, v)]);
    let plan = with("workload.problem.preset", "laptop").unwrap().plan;
    assert_eq!(
        plan.cases[0].problem,
        [("preset".to_owned(), Value::Text("laptop".into()))]
    );
    assert_eq!(
        with("phases.tiles.variants.t16.tile", "32").unwrap_err()[0].message,
        "`t32` is the same as `t16`"
    );
    assert_eq!(with("protocol.seed", "9").unwrap().plan.protocol.seed, 9);
    for (key, value, message) in [
        ("workload.problem.preset", "huge", "unknown preset"),
        ("protocl.seed", "1", "unknown key in the plan `protocl`"),
        ("phases.nothing.keep", "none", "no phase `nothing`"),
        ("name.x", "1", "cannot be set in a text"),
        ("protocol..seed", "1", "empty part"),
        ("protocol.seed", "[", "unclosed"),
    ] {
        let findings = with(key, value).unwrap_err();
        assert!(findings[0].message.contains(message), "{findings:?}");
        assert!(
            matches!(&findings[0].origin, Origin::Option(o) if o.contains(key)),
            "{findings:?}"
        );
    }
}

#[test]
fn a_phase_may_ask_what_another_output_would_cost() {
    let text = GOOD.replace(
        "    keep: none",
        "    keep: none\n    accuracy: {limits: {rel_l2: 0.5, max_abs: 2}}",
    );
    let plan = parse(&text).unwrap().plan;
    let limits = |name: &str| {
        let phase = plan.phases.iter().find(|p| p.name == name).unwrap();
        plan.accuracy_limits(phase).to_vec()
    };
    assert_eq!(
        limits("modes"),
        [("rel_l2".to_owned(), 0.5), ("max_abs".to_owned(), 2.0)]
    );
    assert_eq!(limits("tiles"), [("rel_l2".to_owned(), 1e-3)]);
}

#[test]
fn caches_are_cold_on_a_gpu_unless_the_plan_says_warm() {
    let cache = |overrides: &[(&str, &str)]| {
        let parsed = parse_with(GOOD.as_bytes(), overrides).unwrap();
        parsed.plan.protocol.cache
    };
    assert_eq!(cache(&[]), Cache::Warm);
    assert_eq!(cache(&[("protocol.cache", "warm")]), Cache::Warm);
    for device in ["wgpu", "cuda:1", "[cpu, wgpu]"] {
        let on = ("device", device);
        assert_eq!(cache(&[on]), Cache::Cold, "{device}");
        assert_eq!(cache(&[on, ("protocol.cache", "cold")]), Cache::Cold);
        assert_eq!(cache(&[on, ("protocol.cache", "warm")]), Cache::Warm);
    }
}

#[test]
fn energy_is_minimized_on_cuda_and_with_warm_caches() {
    let energy = |overrides: &[(&str, &str)]| {
        let mut all = vec![("objective", "energy")];
        all.extend(overrides);
        parse_with(GOOD.as_bytes(), &all)
    };
    let plan = energy(&[("device", "[cpu, cuda]")]).unwrap().plan;
    assert_eq!(plan.objective, Objective::Energy);
    assert_eq!(plan.protocol.cache, Cache::Warm);
    for (overrides, message) in [
        (&[][..], "counted by NVIDIA GPUs alone"),
        (&[("device", "wgpu")], "counted by NVIDIA GPUs alone"),
        (
            &[("device", "cuda"), ("protocol.cache", "cold")],
            "cannot go with `objective: energy`",
        ),
        (
            &[("device", "cuda"), ("protocol.trial_timeout", "1s")],
            "a sample of energy lasts at least 1 s",
        ),
    ] {
        let findings = energy(overrides).unwrap_err();
        assert!(findings[0].message.contains(message), "{findings:?}");
    }
}

#[test]
fn a_record_from_before_the_caches_were_asked_for_was_measured_warm() {
    let plan = parse_with(GOOD.as_bytes(), &[("device", "wgpu")]).unwrap();
    let mut record = serde_json::to_value(plan.plan.protocol).unwrap();
    assert_eq!(record["cache"], "cold");
    record.as_object_mut().unwrap().remove("cache");
    let read: Protocol = serde_json::from_value(record).unwrap();
    assert_eq!(read.cache, Cache::Warm);
}

#[test]
fn a_matrix_repeats_the_plan() {
    let text = GOOD.replace(
        "phases:",
        "matrix: {problem.preset: [tiny, laptop], problem.size: [1, 2]}\nphases:",
    );
    let names: Vec<String> = parse(&text)
        .unwrap()
        .plan
        .cases
        .into_iter()
        .map(|c| c.name)
        .collect();
    assert_eq!(
        names,
        [
            "tiny, size=1",
            "tiny, size=2",
            "laptop, size=1",
            "laptop, size=2"
        ]
    );
}

#[test]
fn parameters_of_the_command_line_have_ranges() {
    let values = |t: &str| {
        parse_parameter(t).map(|p| {
            p.values
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(" ")
        })
    };
    assert_eq!(values("a=1,2,x").unwrap(), "1 2 x");
    assert_eq!(values("a=16..128:x2").unwrap(), "16 32 64 128");
    assert_eq!(values("a=1..7:3").unwrap(), "1 4 7");
    assert_eq!(values("a=0,1..3").unwrap(), "0 1 2 3");
    assert_eq!(values("a=-2..2:2,9").unwrap(), "-2 0 2 9");
    // The end of whole numbers is an end.
    let top = i64::MAX;
    assert_eq!(
        values(&format!("a=1..{top}:x2"))
            .unwrap()
            .split(' ')
            .count(),
        63
    );
    assert_eq!(values(&format!("a={top}..{top}")).unwrap(), top.to_string());
    // Fractions are numbers, so that restrictions can reckon with them; what a number would change stays text.
    let kinds = parse_parameter("a=0.5,1e-3,007,1_000,+5,../b,v1.2,true")
        .unwrap()
        .values;
    let text = |t: &str| Value::Text(t.into());
    let expected = vec![
        Value::Float(0.5),
        Value::Float(1e-3),
        text("007"),
        text("1_000"),
        text("+5"),
        text("../b"),
        text("v1.2"),
        Value::Bool(true),
    ];
    assert_eq!(kinds, expected);
    for (wrong, why) in [
        ("a", "`a` has no `=`; write name=1,2,4"),
        ("a=", "empty value"),
        ("a=1,,2", "empty value"),
        ("=1", "`` cannot name a parameter"),
        ("a b=1", "`a b` cannot name a parameter"),
        ("a=1,1", "1 is twice in `a=1,1`"),
        ("a=1..3,2", "2 is twice"),
        ("a=5..1", "5 is above 1; write 1..5"),
        ("a=1..9:0", "a step is at least 1"),
        ("a=1..9:-2", "a step is at least 1"),
        ("a=1..9:x1", "a factor at least 2"),
        ("a=0..9:x2", "not from 0"),
        ("a=-4..4:x2", "not from -4"),
        ("a=1..9:x1.5", "`1.5` is no whole number"),
        (
            "a=0.1..0.5",
            "`0.1` is no whole number; list the values instead",
        ),
        ("a=1..b", "`b` is no whole number"),
        ("a=1..", "`` is no whole number"),
        ("a=1..900000", "more than 10000 values"),
    ] {
        let said = parse_parameter(wrong).unwrap_err();
        assert!(said.contains(why), "{wrong}: {said}");
    }
}

proptest! {
    #[test]
    fn a_range_is_what_its_ends_and_its_step_say(low in -1000_i64..1000, length in 0_i64..500, step in 1_i64..50) {
        let high = low + length;
        let parsed = parse_parameter(&format!("a={low}..{high}:{step}")).unwrap();
        let expected: Vec<Value> = (low..=high).step_by(step as usize).map(Value::Int).collect();
        prop_assert_eq!(parsed.values, expected);
    }

    #[test]
    fn no_text_of_a_parameter_is_a_panic(text in "[a-z]?=?[-0-9a-z.,:x+]{0,20}") {
        let _ = parse_parameter(&text);
    }
}

#[test]
fn the_schema_has_the_keys_that_the_checker_accepts() {
    let schema = schema();
    let keys = |name: &str| -> Vec<String> {
        let node = if name.is_empty() {
            &schema
        } else {
            &schema["$defs"][name]
        };
        let mut keys: Vec<String> = node["properties"]
            .as_object()
            .unwrap_or_else(|| panic!("{name}"))
            .keys()
            .cloned()
            .collect();
        keys.sort();
        keys
    };
    let pairs: [(&str, &[&str]); 18] = [
        ("", check::PLAN_KEYS),
        ("Workload", command::WORKLOAD_KEYS),
        ("OutputFile", command::OUTPUT_KEYS),
        ("Kernel", kernel::KERNEL_KEYS),
        ("Reference", kernel::REFERENCE_KEYS),
        ("DescribedArgument", kernel::ARGUMENT_KEYS),
        ("DescribedFill", kernel::FILL_KEYS),
        ("MetricSource", command::METRIC_KEYS),
        ("Accuracy", check::ACCURACY_KEYS),
        ("Limits", check::LIMITS_KEYS),
        ("Protocol", check::PROTOCOL_KEYS),
        ("Blocks", check::BLOCKS_KEYS),
        ("Phase", phases::PHASE_KEYS),
        ("PhaseAccuracy", phases::PHASE_ACCURACY_KEYS),
        ("Search", phases::SEARCH_KEYS),
        ("Budget", phases::BUDGET_KEYS),
        ("Hypothesis", phases::HYPOTHESIS_KEYS),
        ("On", on::ON_KEYS),
    ];
    for (name, accepted) in pairs {
        let mut accepted: Vec<String> = accepted.iter().map(|k| (*k).to_owned()).collect();
        accepted.sort();
        assert_eq!(keys(name), accepted, "{name}");
    }
}

#[test]
fn where_a_plan_runs_is_checked_like_the_rest_and_local_is_here() {
    let on = |section: &str| parse(&format!("{GOOD}on: {section}\n"));
    let slurm =
        on("{partition: gpu, gres: 'gpu:1', time_limit: 30m, nodes: 3, arguments: [--qos=high]}");
    let slurm = slurm.unwrap().plan.on.unwrap();
    assert_eq!(slurm.partition.as_deref(), Some("gpu"));
    assert_eq!(slurm.time_limit, Some(Nanoseconds(1800e9)));
    assert_eq!(
        (slurm.nodes, slurm.is_exclusive, slurm.resubmit),
        (3, true, 3)
    );
    assert_eq!(parse(GOOD).unwrap().plan.on, None);
    assert_eq!(on("{engine: local, partition: gpu}").unwrap().plan.on, None);
    let set = parse_with(
        GOOD.as_bytes(),
        &[("on.engine", "slurm"), ("on.nodes", "2")],
    );
    assert_eq!(set.unwrap().plan.on.unwrap().nodes, 2);
    for (section, message) in [
        ("{partion: gpu}", "unknown key in `on` `partion`"),
        ("{engine: pbs}", "unknown engine `pbs`"),
        (
            "{nodes: 0}",
            "`nodes` must be a whole number from 1 to 1000",
        ),
        ("{time_limit: soon}", "`time_limit`: `soon` is no duration"),
        ("{partition: ''}", "`partition` must be a word"),
        (
            "{arguments: [--array=0-3]}",
            "`--array` is what phasetune itself tells sbatch",
        ),
        (
            "{arguments: [qos=high]}",
            "`qos=high` is no option of sbatch",
        ),
    ] {
        let found = on(section).unwrap_err();
        let [finding] = &found[..] else {
            panic!("{section}: {found:?}");
        };
        assert!(finding.message.starts_with(message), "{}", finding.message);
        assert!(matches!(finding.origin, Origin::File { start, .. } if start > 0));
    }
}

#[test]
fn what_several_nodes_would_write_at_once_must_be_in_their_scratch() {
    let on = |plan: &str| parse(&format!("{plan}on: {{nodes: 3}}\n"));
    let found = on(COMMAND).unwrap_err();
    assert!(
        found[0]
            .message
            .starts_with("the output of a plan that runs on a cluster"),
        "{found:?}"
    );
    on(&COMMAND.replace("out.raw", "'{scratch}/out.raw'")).unwrap();
    on(&COMMAND.replace("  output:", "  cwd: '{scratch}'\n  output:")).unwrap();
    let built = COMMAND
        .replace("out.raw", "'{scratch}/out.raw'")
        .replace("  output:", "  build: make\n  output:");
    let found = on(&built).unwrap_err();
    assert!(
        found[0].message.starts_with("the build of a plan"),
        "{found:?}"
    );
    // Here, one writes after the other.
    parse(&built).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]
    #[test]
    fn no_bytes_make_the_parser_panic(at in 0usize..1200, cut in 0usize..40, insert in "[-{}a-z0-9:,'\"&*\\[\\]\n ]{0,12}", is_command: bool) {
        let mut text = if is_command { COMMAND } else { GOOD }.as_bytes().to_vec();
        let at = at.min(text.len());
        let end = (at + cut).min(text.len());
        text.splice(at..end, insert.bytes());
        let _ = parse_with(&text, &[]);
    }
}
