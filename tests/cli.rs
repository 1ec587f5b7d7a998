//! The command line as a user meets it.
#![allow(
    clippy::disallowed_methods,
    reason = "tests start the program and make its files"
)]
use std::path::Path;
use std::process::{Command, Output};

fn phasetune(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_phasetune"))
        .args(arguments)
        .current_dir(folder)
        .env("NO_COLOR", "1")
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn every_subcommand_has_help_with_an_example() {
    let folder = tempfile::tempdir().unwrap();
    let all = text(&phasetune(folder.path(), &["--help"]).stdout);
    for name in [
        "run",
        "tune",
        "report",
        "compare",
        "check",
        "devices",
        "calibrate",
        "schema",
        "completions",
        "init",
    ] {
        assert!(all.contains(name), "{all}");
        let help = phasetune(folder.path(), &[name, "--help"]);
        assert!(help.status.success());
        let example = format!("phasetune {name}");
        let help = text(&help.stdout);
        assert!(
            help.split("Example:")
                .nth(1)
                .is_some_and(|e| e.contains(&example)),
            "{help}"
        );
    }
}

#[test]
fn wrong_usage_is_status_2_and_a_missing_plan_status_1() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(phasetune(folder.path(), &["runn"]).status.code(), Some(2));
    assert_eq!(phasetune(folder.path(), &["run"]).status.code(), Some(2));
    std::fs::write(folder.path().join("mine.yaml"), "").unwrap();
    let missing = phasetune(folder.path(), &["run", "mien.yaml"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(
        text(&missing.stderr).contains("mine.yaml"),
        "{}",
        text(&missing.stderr)
    );
}

#[test]
fn what_init_writes_passes_check() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [
        &["init", "a.yaml"][..],
        &["init", "--builtin", "beamform3d", "b.yaml"],
    ] {
        let made = phasetune(folder.path(), arguments);
        assert!(made.status.success(), "{}", text(&made.stderr));
        let checked = phasetune(folder.path(), &["check", arguments[arguments.len() - 1]]);
        assert!(checked.status.success(), "{}", text(&checked.stderr));
    }
    let again = phasetune(folder.path(), &["init", "a.yaml"]);
    assert_eq!(again.status.code(), Some(1));
    assert!(text(&again.stderr).contains("--force"));
}

#[test]
fn the_plans_in_experiments_pass_check() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for entry in std::fs::read_dir(root.join("experiments")).unwrap() {
        let path = entry.unwrap().path();
        let checked = phasetune(root, &["check", &path.display().to_string()]);
        assert!(checked.status.success(), "{}", text(&checked.stderr));
    }
}

#[test]
fn a_finding_shows_file_line_column_and_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let plan = "name: t\nworkload: {command: [sleep, '0.{t}']}\nbaseline: {t: 1}\nphases:\n  - phase: a\n    variants:\n      b: {tt: 2}\n";
    std::fs::write(folder.path().join("p.yaml"), plan).unwrap();
    let output = phasetune(folder.path(), &["check", "p.yaml"]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    for part in [
        "unknown parameter `tt`",
        "p.yaml:7:11",
        "did you mean `t`?",
        "1 problem in p.yaml",
    ] {
        assert!(said.contains(part), "no {part} in:\n{said}");
    }
    let set = phasetune(
        folder.path(),
        &["check", "p.yaml", "--set", "phases.a.variants.b.tt=3"],
    );
    assert!(
        text(&set.stderr).contains("--set phases.a.variants.b.tt=3"),
        "{}",
        text(&set.stderr)
    );
}

#[test]
fn the_schema_and_the_completions_are_what_they_claim() {
    let folder = tempfile::tempdir().unwrap();
    let schema: serde_json::Value =
        serde_json::from_slice(&phasetune(folder.path(), &["schema"]).stdout).unwrap();
    assert!(schema["properties"]["phases"].is_object());
    assert!(text(&phasetune(folder.path(), &["completions", "bash"]).stdout).contains("phasetune"));
    let devices = phasetune(folder.path(), &["devices", "--json"]);
    let devices: serde_json::Value = serde_json::from_slice(&devices.stdout).unwrap();
    assert_eq!(devices[0]["name"], "cpu");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let folder = tempfile::tempdir().unwrap();
    let piped = Command::new("sh")
        .args([
            "-c",
            "\"$0\" schema | head -c 10 > /dev/null; echo ${PIPESTATUS:-ok}",
            env!("CARGO_BIN_EXE_phasetune"),
        ])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(
        piped.status.success() && piped.stderr.is_empty(),
        "{}",
        text(&piped.stderr)
    );
}

#[test]
fn calibrate_says_what_this_machine_resolves_and_a_run_uses_it() {
    let folder = tempfile::tempdir().unwrap();
    let plan = "name: t\nworkload: {command: [sleep, '0.00{t}']}\nbaseline: {t: 1}\nprotocol: {blocks: {min: 3, max: 8}}\nphases:\n  - {phase: a, variants: {b: {t: 5}}}\n";
    std::fs::write(folder.path().join("p.yaml"), plan).unwrap();
    let output = phasetune(folder.path(), &["calibrate", "p.yaml"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("resolves"));
    assert!(folder.path().join("results/t/calibration.json").is_file());
    assert!(
        phasetune(folder.path(), &["run", "p.yaml", "-q"])
            .status
            .code()
            .is_some_and(|c| c != 1)
    );
    let report =
        std::fs::read_to_string(folder.path().join("reports/t/results_summary.md")).unwrap();
    assert!(report.contains("Calibrated at"), "{report}");
    let compared = phasetune(folder.path(), &["compare", "t", "t"]);
    assert!(text(&compared.stdout).contains("historical, descriptive"));
}
