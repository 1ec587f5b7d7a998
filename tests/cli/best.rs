//! What a run found, used afterwards: exported as source code, looked up for another problem size; and how a search is told what
//! it may cost.
use super::{phasetune, refused, refuses, said, text};
use std::path::Path;

fn json(folder: &Path, arguments: &[&str]) -> serde_json::Value {
    serde_json::from_str(&said(folder, arguments)).unwrap()
}

/// A folder in which a tuning of `sleep` has found that 1 ms is shorter than 5.
fn tuned() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let arguments = [
        "tune",
        "--param",
        "ms=5,3,1",
        "--set",
        "protocol.blocks={min: 8, max: 16}",
        "--",
        "sleep",
        "0.00{ms}",
    ];
    let shown = said(folder.path(), &arguments);
    assert!(
        shown.contains("export:    phasetune export results/tune/2"),
        "{shown}"
    );
    folder
}

#[test]
fn the_best_configuration_is_written_for_programs() {
    let folder = tuned();
    let at = folder.path();
    let yaml = said(at, &["export", "tune", "--best", "yaml"]);
    assert!(yaml.ends_with("baseline:\n  ms: 1  # was 5\n"), "{yaml}");
    for what in [
        "# Best configuration of sleep 0.00{ms}\n",
        "# on cpu: ",
        "# speedup ",
        "# run tune@2",
        "no commit",
    ] {
        assert!(yaml.contains(what), "{what}: {yaml}");
    }
    assert!(said(at, &["export", "tune", "--best", "env"]).ends_with("\nexport MS=1\n"));
    assert!(
        said(at, &["export", "tune", "--best", "rust"]).ends_with("\npub const MS: usize = 1;\n")
    );
    assert!(
        said(at, &["export", "tune", "--best", "wgsl"]).ends_with("\noverride ms: u32 = 1u;\n")
    );
    let object = json(at, &["export", "tune", "--best", "json"]);
    assert_eq!(object["configuration"]["ms"], 1);
    assert_eq!(object["baseline"]["ms"], 5);
    assert!(object["gain"]["interval"][0].as_f64().unwrap() > 1.0);

    assert_eq!(
        said(at, &["export", "tune", "--best", "c", "-o", "best.h"]),
        "best.h\n"
    );
    let header = std::fs::read_to_string(at.join("best.h")).unwrap();
    assert!(
        header.contains("#ifndef PHASETUNE_TUNE_BEST_H\n#define PHASETUNE_TUNE_BEST_H\n\n#define ms 1\n\n#endif\n"),
        "{header}"
    );
    assert_eq!(
        said(at, &["export", "tune", "--best", "c", "-o", "best.h", "-q"]),
        ""
    );
    let object = json(at, &["export", "tune", "--best", "env", "--json"]);
    assert!(object["text"].as_str().unwrap().ends_with("export MS=1\n"));
    assert_eq!(object["file"], serde_json::Value::Null);

    // What is pasted is a plan's baseline again.
    let plan = format!(
        "name: t\nworkload: {{command: [sleep, '0.00{{ms}}']}}\n{yaml}phases: [{{phase: a, variants: {{b: {{ms: 2}}}}}}]\n"
    );
    std::fs::write(at.join("p.yaml"), plan).unwrap();
    assert!(said(at, &["check", "p.yaml"]).contains("is a valid plan"));
}

#[test]
fn what_cannot_be_exported_is_said() {
    let folder = tuned();
    let at = folder.path();
    for (arguments, status, hint) in [
        (
            &["export", "nothing", "--best", "c"][..],
            1,
            "there are no runs in results/nothing",
        ),
        (
            &["export", "tune", "--best", "cobol"],
            2,
            "possible values: yaml, json, env, c, wgsl, rust",
        ),
        (&["export", "tune"], 2, "--best <FORMAT>"),
        (
            &["export", "tune", "--best", "c", "--case", "cpu"],
            1,
            "has no matrix: leave --case out",
        ),
        (
            &["export", "tune", "--best", "c", "-o", "no/folder/best.h"],
            1,
            "no/folder/best.h cannot be written",
        ),
    ] {
        refuses(at, arguments, status, hint);
    }
}

#[test]
fn of_a_matrix_one_case_is_chosen() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let plan = "\
name: m
workload: {builtin: beamform3d, problem: {preset: tiny, ns: 64}}
device: cpu
protocol: {blocks: {min: 6, max: 6}, repetitions: 1, time_limit: 20s}
matrix: {problem.nz: [4, 8]}
baseline: {threads: 1}
phases: [{phase: a, variants: {b: {threads: 2}}}]
";
    std::fs::write(at.join("m.yaml"), plan).unwrap();
    said(at, &["run", "m.yaml"]);
    let (code, complaint) = refused(at, &["export", "m", "--best", "yaml"]);
    assert_eq!(
        (
            code,
            complaint.contains("choose one with --case: `nz=4`, `nz=8`")
        ),
        (1, true),
        "{complaint}"
    );
    let shown = said(at, &["export", "m", "--best", "yaml", "--case", "nz=8"]);
    assert!(shown.contains("ns=64, nz=8)"), "{shown}");
    let (_, complaint) = refused(at, &["export", "m", "--best", "yaml", "--case", "nz=9"]);
    assert!(
        complaint.contains("has no case `nz=9`; it has `nz=4`, `nz=8`"),
        "{complaint}"
    );

    // Both are known afterwards, and sizes between them are answered from the nearer one.
    let ask = |nz: &str| {
        json(
            at,
            &[
                "lookup",
                "beamform3d",
                "--json",
                "--problem",
                &format!("preset=tiny,ns=64,nz={nz}"),
            ],
        )
    };
    for (nz, found, how) in [
        ("8", 8, "exact"),
        ("4", 4, "exact"),
        ("16", 8, "nearest"),
        ("5", 4, "nearest"),
    ] {
        let answer = ask(nz);
        assert_eq!(
            (
                answer["match"].as_str(),
                answer["best"]["size"]["nz"].as_i64()
            ),
            (Some(how), Some(found)),
            "{answer}"
        );
    }
    assert!((ask("16")["distance"].as_f64().unwrap() - 2_f64.ln()).abs() < 1e-12);
}

#[test]
fn lookup_answers_exactly_or_from_the_nearest_size_and_says_which() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let (code, complaint) = refused(at, &["lookup", "beamform3d"]);
    assert!(
        code == 1
            && complaint
                .contains("nothing is known yet: results/wisdom.json is written at the end of"),
        "{complaint}"
    );
    let plan = "\
name: mine
workload: {builtin: beamform3d, problem: {preset: tiny}}
device: cpu
protocol: {blocks: {min: 6, max: 6}, repetitions: 1, time_limit: 20s}
baseline: {fusion: staged}
phases: [{phase: a, variants: {b: {fusion: fused}}}]
";
    std::fs::write(at.join("p.yaml"), plan).unwrap();
    said(at, &["run", "p.yaml"]);
    let exact = said(
        at,
        &[
            "lookup",
            "beamform3d",
            "--problem",
            "preset=tiny",
            "--problem",
            "seed=3",
        ],
    );
    assert!(
        exact.starts_with("# Exact: best configuration of beamform3d (preset=tiny)\n# on cpu: "),
        "{exact}"
    );
    assert!(exact.contains("\nbaseline:\n"), "{exact}");
    // By the plan's name as well; the device may be named by what it is.
    assert_eq!(
        said(at, &["lookup", "mine", "--problem", "preset=tiny"]),
        exact
    );
    assert_eq!(
        said(
            at,
            &[
                "lookup",
                "mine",
                "--problem",
                "preset=tiny",
                "--device",
                "cpu"
            ]
        ),
        exact
    );
    assert_eq!(
        said(
            at,
            &[
                "lookup",
                "mine",
                "--problem",
                "preset=tiny",
                "--device",
                "Threads"
            ]
        ),
        exact
    );

    let output = phasetune(
        at,
        &[
            "lookup",
            "beamform3d",
            "--problem",
            "nx=16,ny=16,nz=64,ne=8,pitch=0.0012",
            "--format",
            "env",
        ],
    );
    let nearest = "Nearest: nothing is known of nx=16, ny=16, nz=64, ne=8, pitch=0.0012; best configuration of beamform3d (preset=tiny), a factor of 2.00 away";
    assert_eq!(text(&output.stderr), format!("note: {nearest}\n"));
    let shown = text(&output.stdout);
    assert!(
        shown.starts_with(&format!("# {nearest}\n")) && shown.contains("\nexport FUSION="),
        "{shown}"
    );
    let quiet = phasetune(at, &["lookup", "beamform3d", "--quiet"]);
    assert!(quiet.status.success() && quiet.stderr.is_empty());

    for (arguments, hint) in [
        (
            &["lookup", "pstm"][..],
            "knows nothing of `pstm`; it knows `beamform3d`",
        ),
        (
            &["lookup", "beamform3d", "--problem", "presett=tiny"],
            "unknown key of the problem `presett`; did you mean `preset`?",
        ),
        (
            &["lookup", "beamform3d", "--problem", "preset=tin"],
            "unknown preset `tin`; did you mean `tiny`?",
        ),
        (
            &["lookup", "beamform3d", "--problem", "noise=0.1"],
            "but only for problems that this one cannot be compared with: preset=tiny",
        ),
        (
            &["lookup", "beamform3d", "--device", "cuda:0"],
            "not on a device called `cuda:0`; it knows it on cpu: ",
        ),
        (
            &["lookup", "beamform3d", "--objective", "energy"],
            "for another objective: --objective runtime",
        ),
        (
            &["lookup", "beamform3d", "--set", "name=x"],
            "--problem KEY=VALUE",
        ),
    ] {
        refuses(at, arguments, 1, hint);
    }
    refuses(
        at,
        &["lookup", "beamform3d", "--problem", "nx"],
        2,
        "write KEY=VALUE, as nx=64",
    );
}

#[test]
fn a_command_is_looked_up_by_its_words_its_beginning_or_its_plan() {
    let folder = tuned();
    let at = folder.path();
    for name in ["sleep 0.00{ms}", "sleep", "tune"] {
        let shown = said(at, &["lookup", name]);
        assert!(
            shown.starts_with("# Exact: best configuration of sleep 0.00{ms}\n"),
            "{shown}"
        );
        assert!(shown.ends_with("  ms: 1  # was 5\n"), "{shown}");
    }
    // Another command under the same name is another workload.
    let arguments = [
        "tune",
        "--param",
        "s=2,1",
        "--set",
        "protocol.blocks={min: 6, max: 6}",
        "--",
        "sleep",
        "0.0{s}",
    ];
    said(at, &arguments);
    refuses(
        at,
        &["lookup", "tune"],
        1,
        "`tune` is several workloads; write one of them whole: `sleep 0.00{ms}`, `sleep 0.0{s}`",
    );
    assert!(said(at, &["lookup", "sleep 0.0{s}"]).contains("  s: 1"));
}

#[test]
fn a_wisdom_file_that_is_broken_spoils_no_run() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    std::fs::create_dir(at.join("results")).unwrap();
    std::fs::write(at.join("results/wisdom.json"), "<<<<<<< HEAD").unwrap();
    let output = phasetune(
        at,
        &[
            "tune",
            "--param",
            "ms=5,1",
            "--set",
            "protocol.blocks={min: 6, max: 6}",
            "--",
            "sleep",
            "0.00{ms}",
        ],
    );
    let complaint = text(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    assert!(
        complaint.contains("note: results/wisdom.json cannot be read: ")
            && complaint.contains("`lookup` will not know of this run"),
        "{complaint}"
    );
    let kept = std::fs::read_to_string(at.join("results/wisdom.json")).unwrap();
    assert_eq!(kept, "<<<<<<< HEAD");
    refuses(
        at,
        &["lookup", "sleep"],
        1,
        "results/wisdom.json cannot be read",
    );
}

#[test]
fn tune_searches_as_it_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let tune = |more: &[&str]| {
        let first = [
            "tune",
            "--json",
            "--fresh",
            "--set",
            "protocol.blocks={min: 3, max: 3}",
        ];
        let command = ["--", "sleep", "0.00{a}{b}"];
        json(at, &[&first, more, &command].concat())["outcomes"][0]["note"].to_string()
    };
    let small = ["--param", "a=0..1", "--param", "b=1..3"];
    let note = tune(&small);
    assert!(note.contains("strategy exhaustive: 6 of 6"), "{note}");
    let note = tune(&[&small[..], &["--strategy", "random", "--evaluations", "2"]].concat());
    assert!(note.contains("strategy random: 2 of 6"), "{note}");
    let note = tune(&[
        "--param",
        "a=0..1",
        "--param",
        "b=100..300",
        "--evaluations",
        "4",
    ]);
    assert!(
        note.contains(": 4 of 402"),
        "a large grid is searched: {note}"
    );
    let note = tune(&[
        "--param",
        "a=0..1",
        "--param",
        "b=100..300",
        "--time",
        "400ms",
    ]);
    assert!(note.contains("time was up"), "{note}");

    for (more, hint) in [
        (
            &["--strategy", "magic"][..],
            "possible values: auto, exhaustive",
        ),
        (&["--evaluations", "0"], "0 is not in 1..=10000000"),
        (&["--time", "soon"], "write 500ms, 60s, 10m or 1h30m"),
    ] {
        refuses(
            at,
            &[
                &["tune", "--param", "a=1,2"],
                more,
                &["--", "sleep", "0.00{a}"],
            ]
            .concat(),
            2,
            hint,
        );
    }
    let (code, complaint) = refused(
        at,
        &[
            "tune",
            "--param",
            "a=1..1000",
            "--param",
            "b=1..900",
            "--strategy",
            "exhaustive",
            "--",
            "sleep",
            "{a}{b}",
        ],
    );
    assert!(
        code == 1
            && complaint.contains("900000 configurations and no budget")
            && complaint.contains("write --evaluations N"),
        "{complaint}"
    );
}

#[test]
fn a_search_tells_of_each_new_incumbent() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = [
        "tune",
        "-v",
        "--strategy",
        "bayesian",
        "--evaluations",
        "3",
        "--param",
        "ms=9,5,1",
        "--set",
        "protocol.blocks={min: 3, max: 3}",
        "--",
        "sleep",
        "0.00{ms}",
    ];
    let output = phasetune(folder.path(), &arguments);
    let told = text(&output.stderr);
    assert!(output.status.success(), "{told}");
    let best = told
        .lines()
        .rfind(|line| line.starts_with("  search: ms="))
        .unwrap_or_default();
    assert!(
        best.starts_with("  search: ms=1 ") && best.contains("× after "),
        "{told}"
    );
    assert!(told.contains("  search: keeps "), "{told}");
}

#[test]
fn the_first_configuration_that_is_allowed_is_the_reference() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = [
        "tune",
        "--json",
        "--param",
        "a=9,2,1",
        "--param",
        "b=1,2",
        "--where",
        "a * b < 4",
        "--set",
        "protocol.blocks={min: 3, max: 3}",
        "--",
        "sleep",
        "0.00{a}{b}",
    ];
    let object = json(folder.path(), &arguments);
    let baseline = &object["finals"][0]["baseline"];
    assert_eq!(baseline.to_string(), r#"[["a",2],["b",1]]"#);
    refuses(
        folder.path(),
        &[
            "tune", "--param", "a=1,2", "--where", "a > 2", "--", "sleep", "{a}",
        ],
        1,
        "no configuration satisfies the restrictions",
    );
}

#[test]
fn the_budget_of_a_plans_own_search_is_overridden_and_the_rest_of_it_stays() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let plan = "\
name: t
workload: {command: [sleep, '0.00{ms}']}
protocol: {blocks: {min: 3, max: 3}}
baseline: {ms: 1}
phases:
  - phase: nap
    search: {parameters: {ms: [1, 2, 3, 4]}, strategy: random, budget: {evaluations: 3}}
";
    std::fs::write(at.join("p.yaml"), plan).unwrap();
    let note = |more: &[&str]| {
        let object = json(
            at,
            &[&["tune", "p.yaml", "--json", "--fresh"], more].concat(),
        );
        object["outcomes"][0]["note"].to_string()
    };
    assert!(note(&[]).contains("strategy random: 3 of 4"));
    assert!(note(&["--evaluations", "2"]).contains("strategy random: 2 of 4"));
    assert!(note(&["--strategy", "exhaustive"]).contains("strategy exhaustive: 3 of 4"));
}

#[test]
fn the_chunks_of_the_beamformer_are_a_plan_of_their_own() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let checked = said(root, &["check", "beamform3d_chunks"]);
    assert!(
        checked.contains("search: 168 of 672 configurations"),
        "{checked}"
    );
    let folder = tempfile::tempdir().unwrap();
    let (results, reports) = (folder.path().join("results"), folder.path().join("reports"));
    let (results, reports) = (results.to_str().unwrap(), reports.to_str().unwrap());
    let tuned = json(
        root,
        &[
            "tune",
            "experiments/beamform3d_chunks.yaml",
            "--json",
            "--evaluations=3",
            "--set=workload.problem.preset=tiny",
            "--set=protocol.time_limit=5s",
            "--results",
            results,
            "--reports",
            reports,
        ],
    );
    assert_eq!(tuned["outcomes"][0]["phase"], "chunks");
    assert!(Path::new(results).join("wisdom.json").is_file());
}
