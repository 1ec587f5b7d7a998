//! A plan over a command, end to end.
use super::{Bed, rows, said};

/// Sleeps for a number of milliseconds: a program whose speed is known.
const SLEEPER: &str = "
name: t
title: A sleeper
workload:
  command: [sh, -c, 'sleep 0.0{ms}']
protocol: {blocks: {min: 8, max: 20}, warmup: 1}
baseline: {ms: '20'}
phases:
  - {phase: baseline, kind: baseline}
  - phase: nap
    kind: algorithm
    after: [baseline]
    hypothesis: {speedup: 50-200%, because: it sleeps for less}
    variants:
      half: {ms: '10'}
      longer: {ms: '30'}
    criteria: ['speedup >= 1.2']
";

#[test]
fn the_faster_variant_wins_is_confirmed_and_is_recommended() {
    let bed = Bed::new(SLEEPER);
    let output = bed.run(&["run", "plan.yaml"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let report = std::fs::read_to_string(bed.path().join("reports/t/results_summary.md")).unwrap();
    assert!(
        rows(&report, "half")
            .iter()
            .any(|row| row.contains("faster")),
        "{report}"
    );
    assert!(
        rows(&report, "longer")
            .iter()
            .any(|row| row.contains("slower")),
        "{report}"
    );
    let recommended = report.split("```yaml").nth(1).unwrap();
    assert!(
        recommended.contains("ms: ") && recommended.contains("10"),
        "{report}"
    );
    let folder = bed.run_folder();
    for file in [
        "plan.yaml",
        "environment.json",
        "samples.parquet",
        "trials.parquet",
    ] {
        assert!(folder.join(file).exists(), "{file}");
    }
    assert!(
        !folder.join("journal.jsonl").exists(),
        "the journal ends with the run"
    );
}

#[test]
fn the_report_comes_again_from_the_records_byte_for_byte() {
    let bed = Bed::new(SLEEPER);
    bed.report();
    let again = bed.run(&["report", "t", "--reports", "again"]);
    assert!(again.status.success(), "{}", said(&again));
    let difference = std::process::Command::new("diff")
        .args(["-r", "reports/t", "again/t"])
        .current_dir(bed.path())
        .output()
        .unwrap();
    assert!(difference.status.success(), "{}", said(&difference));
}

#[test]
fn a_criterion_that_fails_sets_the_exit_status() {
    let plan = SLEEPER.replace("speedup >= 1.2", "speedup >= 50");
    let output = Bed::new(&plan).run(&["run", "plan.yaml", "-q"]);
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
}

#[test]
fn equal_variants_keep_the_reference() {
    let plan = SLEEPER
        .replace("half: {ms: '10'}", "twin: {ms: '2'}")
        .replace("longer: {ms: '30'}", "sibling: {ms: '200'}")
        .replace("    criteria: ['speedup >= 1.2']\n", "");
    // 0.02, 0.020 and 0.0200 seconds are one duration under three names.
    let bed = Bed::new(&plan);
    let report = bed.report();
    for name in ["twin", "sibling"] {
        let found = rows(&report, name);
        assert!(!found.is_empty(), "{report}");
        assert!(
            found.iter().all(|row| !row.contains("| faster")),
            "{report}"
        );
    }
}

#[test]
fn a_winner_is_carried_into_the_next_phase_and_combined() {
    let plan = "
name: t
workload:
  command: [sh, -c, 'sleep 0.00{a}; sleep 0.00{b}']
protocol: {blocks: {min: 8, max: 15}, warmup: 1}
baseline: {a: 9, b: 9}
phases:
  - {phase: baseline, kind: baseline}
  - {phase: first, kind: tiling, after: [baseline], variants: {quick: {a: 1}}}
  - {phase: second, kind: fusion, after: [first], variants: {quick: {b: 1}}}
  - {phase: both, kind: combined, combine: [first, second]}
";
    let bed = Bed::new(plan);
    let report = bed.report();
    let recommended = report
        .split("```yaml")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    assert!(
        recommended.contains("a: 1") && recommended.contains("b: 1"),
        "{report}"
    );
    assert!(report.contains("first + second"), "{report}");
}

#[test]
fn a_search_over_many_configurations_races_them_and_finds_the_best() {
    let plan = "
name: t
workload:
  command: [sh, -c, 'sleep 0.0{tens}{ones}']
protocol: {blocks: {min: 8, max: 12}, warmup: 1}
baseline: {tens: 3, ones: 0}
phases:
  - {phase: baseline, kind: baseline}
  - phase: search
    kind: tiling
    after: [baseline]
    search:
      parameters: {tens: [1, 2, 3, 4], ones: [0, 3, 6, 9]}
      restrictions: ['tens * 10 + ones >= 13']
      strategy: exhaustive
";
    let bed = Bed::new(plan);
    let report = bed.report();
    let recommended = report
        .split("```yaml")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    assert!(
        recommended.contains("tens: 1") && recommended.contains("ones: 3"),
        "{report}"
    );
}

#[test]
fn tune_needs_no_plan() {
    let bed = Bed::new("");
    let output = bed.run(&[
        "tune",
        "--param",
        "ms=30,10,20",
        "--set",
        "protocol.blocks.max=10",
        "--",
        "sleep",
        "0.0{ms}",
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(
        said(&output).contains("ms=10") || said(&output).contains("ms: 10"),
        "{}",
        said(&output)
    );
}

#[test]
fn results_for_programs_are_one_json_object() {
    let bed = Bed::new(SLEEPER);
    let output = bed.run(&["run", "plan.yaml", "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    assert!(json.is_object());
}

/// The quickest is the one with the smallest digits, 1.0 ms; the reference sleeps for 5.5.
const SEARCH: &str = "
name: t
workload: {command: [sleep, '0.0{a}{b}']}
protocol: {blocks: {min: 8, max: 12}, repetitions: 1}
baseline: {a: 5, b: 5}
phases:
  - phase: nap
    search:
      parameters: {a: [1, 2, 3, 4, 5, 6, 7, 8, 9], b: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]}
      restrictions: ['a * 10 + b != 10']
      strategy: bayesian
      budget: {evaluations: 18}
";

#[test]
fn a_search_that_learns_finds_a_quick_one_among_many_it_never_tried() {
    let bed = Bed::new(SEARCH);
    let output = bed.run(&["run", "plan.yaml"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let report = std::fs::read_to_string(bed.path().join("reports/t/results_summary.md")).unwrap();
    assert!(report.contains("18 of 89 configurations"), "{report}");
    let recommended = report.split("```yaml").nth(1).unwrap();
    assert!(recommended.contains("a: 1 "), "{recommended}");
}

#[test]
fn a_search_is_resumed_where_it_was_cut() {
    let bed = Bed::new(SEARCH);
    let mut child = bed.command(&["run", "plan.yaml"]).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(700));
    child.kill().unwrap();
    child.wait().unwrap();
    let output = bed.run(&["run", "plan.yaml"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let report = std::fs::read_to_string(bed.path().join("reports/t/results_summary.md")).unwrap();
    assert!(report.contains("18 of 89 configurations"), "{report}");
}

/// The committed plan at its smallest size, with a second for a phase.
#[test]
fn the_migration_plan_runs_whole_and_shows_what_changes_the_image() {
    let plan = concat!(env!("CARGO_MANIFEST_DIR"), "/experiments/pstm.yaml");
    let bed = Bed::new(SLEEPER);
    let output = bed.run(&[
        "run",
        plan,
        "--set",
        "workload.problem.preset=tiny",
        "--set",
        "protocol.time_limit=1s",
    ]);
    assert!(
        matches!(output.status.code(), Some(0 | 3 | 4)),
        "{}",
        said(&output)
    );
    let folder = bed.path().join("reports/pstm");
    let report = std::fs::read_to_string(folder.join("results_summary.md")).unwrap();
    for part in [
        "## Priority matrix",
        "## Quality control",
        "inline matches?",
        "cache_hit_rate",
        "rel_l2_early",
    ] {
        assert!(report.contains(part), "no {part}");
    }
    let quality = report.split("## Quality control").nth(1).unwrap();
    let alike = quality
        .lines()
        .find(|line| line.starts_with("Matching"))
        .unwrap();
    assert!(
        alike.contains("lanes / time") && alike.contains("tile_size / 4x4"),
        "{alike}"
    );
    assert!(!alike.contains("depth_adaptive"), "{alike}");
    let narrow = rows(quality, "aperture / depth_adaptive");
    assert!(narrow[0].contains("no: off by up to"), "{narrow:?}");
    for picture in [
        "baseline/reference/summary.png",
        "aperture/depth_adaptive/summary.png",
    ] {
        assert!(folder.join("qc").join(picture).is_file(), "{picture}");
    }
}

/// Its traces are ten times the budget for traces, caches and loads; image, fold and the writing of the store come on top.
#[test]
fn a_problem_ten_times_larger_than_memory_stays_within_its_budget() {
    let plan = "
name: t
workload:
  builtin: pstm
  problem: {preset: tiny, ntx: 80, nty: 80, spacing: 6.25, memory: 640 KiB}
accuracy: {against: exact, limits: {rel_l2: 1e-5, fold_mismatch: 0}}
protocol: {blocks: {min: 8, max: 8}, time_limit: 20s}
baseline: {axis: time, trace_batch: 8, tile_x: 6, tile_y: 6}
phases:
  - {phase: baseline, kind: baseline}
  - phase: ways
    kind: memory
    after: [baseline]
    variants:
      ahead: {prefetch: 2}
      in_flight: {tiles_in_flight: 2}
      zero_copy: {io: zero_copy}
";
    let bed = Bed::new(plan);
    let output = bed.run(&["run", "plan.yaml", "--json"]);
    assert!(
        matches!(output.status.code(), Some(0 | 3 | 4)),
        "{}",
        said(&output)
    );
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let (budget, traces) = (640 * 1024_u64, 80 * 80 * 272 * 4_u64);
    assert!(traces > 10 * budget);
    let trials = told["trials"].as_array().unwrap();
    for name in ["reference", "ahead", "in_flight", "zero_copy"] {
        let trial = trials.iter().find(|t| t["name"] == name).unwrap();
        let peak = trial["host_peak"].as_u64().unwrap();
        assert!(peak < budget + 400 * 1024, "{name}: {peak} bytes");
        let verdict = trial["verdict"].as_str().unwrap();
        assert!(
            !["inaccurate", "failed", "unsupported"].contains(&verdict),
            "{name}: {verdict}"
        );
    }
}
