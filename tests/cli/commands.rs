//! Each subcommand: what it prints, what it refuses, with which status.
use super::{command, phasetune, refused, refuses, said, text};
use std::path::Path;
use std::process::{Command, Output};

fn json(folder: &Path, arguments: &[&str]) -> serde_json::Value {
    let output = phasetune(folder, arguments);
    let code = output.status.code();
    assert!(
        matches!(code, Some(0 | 3 | 4)),
        "{code:?}: {}",
        text(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

fn folder_with(plan: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("p.yaml"), plan).unwrap();
    folder
}

/// Sleeps for some milliseconds: 8 blocks of it are a second.
const SLEEPER: &str = "\
name: t
workload: {command: [sleep, '0.00{ms}']}
protocol: {blocks: {min: 8, max: 8}, warmup: 1}
baseline: {ms: 5}
phases:
  - phase: nap
    search: {strategy: exhaustive, parameters: {ms: [1, 3, 5]}}
  - phase: other
    variants: {slower: {ms: 7}}
";

const SUBCOMMANDS: [&str; 14] = [
    "run",
    "tune",
    "report",
    "export",
    "lookup",
    "compare",
    "check",
    "devices",
    "calibrate",
    "schema",
    "completions",
    "init",
    "simulate",
    "import",
];

/// No folder of PATH has Slurm.
fn without_slurm(folder: &Path, arguments: &[&str]) -> Output {
    let empty = folder.join("empty");
    std::fs::create_dir_all(&empty).unwrap();
    for program in ["sh", "sleep"] {
        let _ = std::os::unix::fs::symlink(Path::new("/bin").join(program), empty.join(program));
    }
    command(folder, arguments)
        .env("PATH", &empty)
        .output()
        .unwrap()
}

#[test]
fn without_slurm_a_plan_for_it_is_refused_with_what_to_do_and_all_else_runs() {
    let folder = tempfile::tempdir().unwrap();
    let plan = "name: t
workload: {command: [sleep, '0.00{t}']}
protocol: {blocks: {min: 6, max: 6}}
baseline: {t: 1}
phases:
  - {phase: one, kind: tiling, variants: {two: {t: 2}}}
";
    std::fs::write(folder.path().join("plan.yaml"), plan).unwrap();
    let output = without_slurm(folder.path(), &["run", "plan.yaml", "--on", "slurm"]);
    assert_eq!(output.status.code(), Some(1));
    let complaint = text(&output.stderr);
    assert!(
        complaint.contains("there is no `sbatch` on the PATH; start this on a login node"),
        "{complaint}"
    );
    assert!(!folder.path().join("results").exists(), "nothing was begun");
    let output = without_slurm(folder.path(), &["check", "plan.yaml", "--on", "slurm"]);
    assert!(output.status.success());
    let shown = text(&output.stdout);
    assert!(
        shown.contains("Slurm, at most 8 nodes at a time"),
        "{shown}"
    );
    assert!(
        shown.contains("warning: Slurm is not on this machine"),
        "{shown}"
    );
    let output = without_slurm(folder.path(), &["calibrate", "plan.yaml", "--on", "slurm"]);
    assert!(text(&output.stderr).contains("--on local"));
    let traced = ["run", "plan.yaml", "--on", "slurm", "--trace", "trace.json"];
    let output = without_slurm(folder.path(), &traced);
    assert!(text(&output.stderr).contains("--trace follows the workers of this machine"));
    assert!(!folder.path().join("trace.json").exists());
    let output = without_slurm(folder.path(), &["run", "plan.yaml"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
}

#[test]
fn the_help_shows_everything_at_a_glance() {
    let folder = tempfile::tempdir().unwrap();
    let expected = "\
Runs an optimization plan as an experiment: randomized blocks, honest statistics, Parquet records, a
report with plots

Usage: phasetune [OPTIONS] <COMMAND>

Commands:
  run          Execute a plan end to end, or go on with its interrupted run; then write the report
  tune         Find the best values of tuning parameters: of a command without a plan, or of a
               plan's workload
  report       Write results_summary.md and its plots again, from the recorded Parquet alone
  export       Write what a run found for programs: its best configuration as source code, or all of
               it as T4, Kernel Tuner cache, CSV
  lookup       Answer from what earlier runs found: the best configuration for a problem size on a
               device
  compare      Set two runs beside one another; with --rerun, measure what they recommend in the
               same blocks
  check        Validate a plan, show its graph, count its configurations, estimate its time; runs
               nothing
  devices      List the devices of this machine, and why a backend is absent
  calibrate    Measure a plan's baseline against its clone: what can this machine resolve today?
  schema       Print the JSON Schema of plan files, for editors
  completions  Print shell completions
  init         Write a commented, valid plan to start from
  simulate     Replay search strategies on recorded spaces, and score them
  import       Read another tuner's file: T4 or a Kernel Tuner cache to results, T1 to a plan
  help         Print this message or the help of the given subcommand(s)

Options:
  -h, --help     Print help
  -V, --version  Print version

Common options:
      --results <DIR>         Where campaigns write their records [default: results]
      --reports <DIR>         Where reports are written [default: reports]
      --set <KEY.PATH=VALUE>  Override anything in the plan, checked like the plan:
                              workload.problem.preset=tiny [repeatable]
      --device <NAME>         Short for --set device=NAME
      --on <NAME>             Where blocks run: `slurm`, or `local` whatever the plan says; short
                              for --set on.engine=NAME
      --seed <N>              Short for --set protocol.seed=N
      --json                  Print one JSON object on stdout instead of text
  -q, --quiet                 Say only what went wrong
  -v, --verbose               Say more; where there is no terminal, a line for each phase

Examples:
  phasetune run experiments/beamform3d.yaml
  phasetune tune --param threads=1,2,4 -- sort --parallel={threads} -o /dev/null words.txt

Exit status: 0 all criteria met, 1 it could not be done, 2 wrong usage, 3 a criterion failed, 4 a
criterion is undecided, 130 interrupted.
";
    assert_eq!(said(folder.path(), &["--help"]), expected);
    // Without arguments the same, as wrong usage.
    assert_eq!(refused(folder.path(), &[]), (2, expected.to_owned()));
}

#[test]
fn every_subcommand_has_help_with_an_example() {
    let folder = tempfile::tempdir().unwrap();
    for name in SUBCOMMANDS {
        let help = said(folder.path(), &[name, "--help"]);
        let examples = help.split("Example").nth(1).unwrap_or_default();
        assert!(examples.contains(&format!("phasetune {name}")), "{help}");
        for line in help.lines() {
            assert!(line.chars().count() <= 100, "too wide: {line}");
        }
    }
}

#[test]
fn wrong_usage_is_status_2_and_says_what_is_right() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, hint) in [
        (&["runn"][..], "similar subcommand exists: 'run'"),
        (&["run"], "<PLAN>"),
        (&["check", "p.yaml", "--set", "name"], "KEY.PATH=VALUE"),
        (&["check", "p.yaml", "-q", "-v"], "cannot be used with"),
        (&["tune", "--", "sleep", "1"], "--param <NAME=VALUES>"),
        (
            &["tune", "--param", "x", "--", "sleep", "{x}"],
            "write name=1,2,4",
        ),
        (
            &["tune", "p.yaml", "--param", "x=1", "--", "sleep", "{x}"],
            "cannot be used with",
        ),
        (
            &["init", "--builtin", "beamform3d", "--kernel"],
            "cannot be used with",
        ),
    ] {
        refuses(folder.path(), arguments, 2, hint);
    }
}

#[test]
fn a_plan_that_is_not_there_is_answered_with_what_is() {
    let folder = folder_with("");
    let at = folder.path();
    assert_eq!(
        refused(at, &["run", "q.yaml"]),
        (
            1,
            "error: there is no plan q.yaml; did you mean p.yaml?\n".into()
        )
    );
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (code, complaint) = refused(root, &["run", "beamfrom3d"]);
    assert_eq!(code, 1);
    assert!(
        complaint.contains("did you mean experiments/beamform3d.yaml?"),
        "{complaint}"
    );
    // A bare name is looked for under experiments/.
    assert!(said(root, &["check", "beamform3d"]).contains("is a valid plan"));
}

#[test]
fn findings_show_place_line_and_what_to_do() {
    let folder = folder_with(
        "name: t\nworkload: {command: [sleep, '0.{t}']}\nbaseline: {t: 1}\nphases:\n  - phase: a\n    variants:\n      b: {tt: 2}\n    critera: []\n",
    );
    let expected = "\
error: unknown parameter `tt`
 --> p.yaml:7:11
  |
7 |       b: {tt: 2}
  |           ^^
  |
  = help: did you mean `t`? There is t

error: unknown key `critera` of a phase
 --> p.yaml:8:5
  |
8 |     critera: []
  |     ^^^^^^^
  |
  = help: did you mean `criteria`?

2 problems in p.yaml; nothing was run
";
    let (code, complaint) = refused(folder.path(), &["check", "p.yaml"]);
    assert_eq!(code, 1);
    assert_eq!(shape(&complaint), shape(expected), "{complaint}");
    let option = "phases.a.variants.b.tt=3";
    let (_, complaint) = refused(folder.path(), &["check", "p.yaml", "--set", option]);
    assert!(
        complaint.contains(&format!(
            "error: --set {option}: unknown parameter `tt`\n  = help: "
        )),
        "{complaint}"
    );
}

/// Everything but the words that `plan` chooses: places, snippets, counts. Its words are pinned by its own tests.
fn shape(complaint: &str) -> Vec<String> {
    complaint
        .lines()
        .map(|line| {
            let kept = ["error: ", "  = help: "];
            let start = kept.iter().find(|start| line.starts_with(**start));
            start.map_or_else(|| line.to_owned(), |start| (*start).to_owned())
        })
        .collect()
}

#[test]
fn a_file_that_is_no_text_is_a_finding() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("p.yaml"),
        b"name: t\ntitle: \xff\xfe\x00\n",
    )
    .unwrap();
    let (code, complaint) = refused(folder.path(), &["check", "p.yaml"]);
    assert_eq!(code, 1);
    assert!(
        complaint.contains("UTF-8") && complaint.contains("p.yaml:2:8"),
        "{complaint}"
    );
}

#[test]
fn no_text_of_a_plan_reaches_the_terminal_as_a_command() {
    let plan = SLEEPER.replace(
        "name: t\n",
        "name: t\ntitle: \"\\e]0;owned\\a \\e[2J\"\nbogus\u{9b}: 1\n",
    );
    let folder = folder_with(&plan);
    let is_wild = |text: &str| text.chars().any(|c| c.is_control() && c != '\n');
    let (code, complaint) = refused(folder.path(), &["check", "p.yaml"]);
    assert!(code == 1 && !is_wild(&complaint), "{complaint:?}");
    let folder = folder_with(&plan.replace("bogus\u{9b}: 1\n", ""));
    let shown = said(folder.path(), &["check", "p.yaml"]);
    assert!(shown.contains("owned") && !is_wild(&shown), "{shown:?}");
}

#[test]
fn what_init_writes_passes_check_and_nothing_is_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    for arguments in [
        &["init"][..],
        &["init", "--command", "experiments/a.yaml"],
        &["init", "--builtin", "beamform3d", "b.yaml"],
        &["init", "--kernel", "k.yaml"],
        &["init", "c.yaml", "--", "sort", "--parallel={n}", "{file}"],
    ] {
        let made = said(at, arguments);
        let file = made.trim().rsplit(' ').next().unwrap();
        let checked = said(at, &["check", file]);
        assert!(checked.contains("is a valid plan"), "{checked}");
        // Its comments say what the keys are for.
        let plan = std::fs::read_to_string(at.join(file)).unwrap();
        assert!(plan.matches('#').count() > 8, "{plan}");
    }
    assert_eq!(
        refused(at, &["init"]),
        (
            1,
            "error: plan.yaml exists; --force replaces it\n".to_owned()
        )
    );
    said(at, &["init", "--force"]);
    // A kernel comes with a source, and never replaces one.
    assert!(at.join("k.wgsl").exists());
    let (_, complaint) = refused(at, &["init", "d.yaml", "--", "sort", "words.txt"]);
    assert!(complaint.contains("no tuning parameter"), "{complaint}");
}

#[test]
fn the_plans_in_experiments_pass_check() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for entry in std::fs::read_dir(root.join("experiments")).unwrap() {
        let path = entry.unwrap().path();
        let checked = said(root, &["check", &path.display().to_string()]);
        assert!(checked.contains("is a valid plan"), "{checked}");
    }
}

#[test]
fn the_plan_in_the_readme_passes_check() {
    let readme = include_str!("../../README.md");
    let plan = readme.split("```yaml\n").nth(1).unwrap();
    let folder = folder_with(plan.split("```").next().unwrap());
    let checked = said(folder.path(), &["check", "p.yaml"]);
    assert!(
        checked.contains("is a valid plan") && !checked.contains("warning"),
        "{checked}"
    );
}

#[test]
fn check_draws_the_graph_and_says_when_a_decision_is_possible() {
    let plan = "\
name: t
title: Waiting for less
workload: {command: [no-such-program-here, '{a}', '{b}']}
protocol: {blocks: {min: 10, max: 40}, time_limit: 90s}
baseline: {a: 1, b: 1}
phases:
  - {phase: baseline, kind: baseline}
  - {phase: first, after: [baseline], variants: {x: {a: 2}}, criteria: ['speedup >= 1.1']}
  - {phase: second, after: [first], sweep: {b: [2, 3, 4]}}
  - {phase: both, combine: [first, second]}
  - phase: wide
    after: [baseline]
    search: {parameters: {a: [1, 2, 3, 4, 5], b: [1, 2, 3]}, restrictions: [a * b <= 9], strategy: exhaustive}
";
    let folder = folder_with(plan);
    let shown = said(folder.path(), &["check", "p.yaml"]);
    let expected = "\
p.yaml is a valid plan: t, Waiting for less
  workload   no-such-program-here {a} {b}
  device     cpu
  protocol   10 to 40 blocks, confidence 95 %, until within 1 %, differences below 1 % do not matter

baseline [baseline] measures the baseline
├─ first [algorithm] 1 variant
│  │   x
│  │   against the baseline
│  │   family of 1, a decision is possible from block 8 of 40
│  │   criterion speedup >= 1.1
│  └─ second [algorithm] sweep of 3 variants (3 b)
│     │   b=2, b=3, b=4
│     │   against what first kept
│     │   family of 3 and a canary, a decision is possible from block 16 of 40
│     └─ both [algorithm] combines first, second: 3 variants at most
│            against the baseline
│            family of 3 and a canary, a decision is possible from block 16 of 40
└─ wide [algorithm] exhaustive search: 12 of 12 configurations (15 without restrictions)
       against the baseline
       a race leaves 8 of them; family of 8 and a canary, a decision is possible from block 16 of 40

5 phases, at most 20 configurations and 300 blocks
at most about 7m30s: 1m30s a phase, then 16 blocks that confirm the whole; decided comparisons end sooner, a time limit may afford fewer blocks
warning: there is no program `no-such-program-here` on the PATH now
";
    assert_eq!(shown, expected, "\n{shown}");
    let few = said(
        folder.path(),
        &[
            "check",
            "p.yaml",
            "--set",
            "protocol.blocks.max=5",
            "--set",
            "protocol.blocks.min=3",
        ],
    );
    assert!(
        few.contains("phase `first`: under 6 blocks only describe"),
        "{few}"
    );
    let object = json(folder.path(), &["check", "p.yaml", "--json"]);
    assert_eq!(object["phases"][4]["variants"], 12);
    assert_eq!(object["phases"][1]["first_decision"], 8);
}

#[test]
fn the_schema_and_the_completions_are_what_they_claim() {
    let folder = tempfile::tempdir().unwrap();
    let schema = json(folder.path(), &["schema"]);
    for key in [
        "name", "workload", "protocol", "baseline", "phases", "matrix",
    ] {
        assert!(schema["properties"][key].is_object(), "{key}");
    }
    assert!(
        schema["$schema"]
            .as_str()
            .is_some_and(|s| s.contains("json-schema.org"))
    );
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = said(folder.path(), &["completions", shell]);
        assert!(
            script.contains("calibrate") && !script.contains("__worker"),
            "{shell}"
        );
    }
    let devices = json(folder.path(), &["devices", "--json"]);
    assert_eq!(devices[0]["name"], "cpu");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let folder = tempfile::tempdir().unwrap();
    let gone = || {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        writer
    };
    for arguments in [&["schema"][..], &["--help"], &["devices"]] {
        let output = command(folder.path(), arguments)
            .stdout(gone())
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?}");
        assert_eq!(text(&output.stderr), "", "{arguments:?}");
    }
    // And a complaint that nobody reads keeps its status.
    let status = command(folder.path(), &["run", "nothing.yaml"])
        .stderr(gone())
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(1));
}

#[test]
fn tune_finds_the_best_value_of_a_command_and_shows_the_command_to_use() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = [
        "tune",
        "--param",
        "ms=5,3,1",
        "--where",
        "ms < 10",
        "--set",
        "protocol.blocks={min: 8, max: 16}",
        "--",
        "sleep",
        "0.00{ms}",
    ];
    let shown = said(folder.path(), &arguments);
    assert!(shown.contains("command:   sleep 0.001"), "{shown}");
    assert!(
        folder
            .path()
            .join("reports/tune/results_summary.md")
            .is_file()
    );
    // An option that is wrong is named, and a command that has no such parameter is not run.
    refuses(
        folder.path(),
        &["tune", "--param", "ms=1,2", "--", "sleep", "{s}"],
        1,
        "unknown parameter `s`",
    );
}

#[test]
fn tune_takes_a_plans_searches_or_parameters_of_its_workload() {
    let folder = folder_with(SLEEPER);
    let at = folder.path();
    let phases = |object: &serde_json::Value| -> Vec<String> {
        let outcomes = object["outcomes"].as_array().unwrap().iter();
        outcomes
            .map(|o| o["phase"].as_str().unwrap().to_owned())
            .collect()
    };
    let own = json(at, &["tune", "p.yaml", "--json"]);
    assert_eq!(
        phases(&own),
        ["nap"],
        "only the search is run, not the other phase"
    );
    let over = json(
        at,
        &[
            "tune", "p.yaml", "--param", "ms=5,1", "--name", "quick", "--json",
        ],
    );
    assert_eq!(phases(&over), ["search"]);
    // The plan's own report is not replaced.
    assert!(at.join("reports/t_tune").is_dir() && at.join("reports/quick").is_dir());
    assert!(!at.join("reports/t").exists());
    refuses(
        at,
        &["tune", "p.yaml", "--param", "mss=1,2"],
        1,
        "error: --param, --where: unknown parameter `mss`",
    );
}

#[test]
fn two_runs_are_set_beside_one_another_or_measured_together() {
    let folder = folder_with(SLEEPER);
    let at = folder.path();
    json(at, &["tune", "p.yaml", "--json"]);
    let again = "--set=baseline.ms=3";
    json(at, &["tune", "p.yaml", "--param=ms=3,5", again, "--json"]);
    let beside = said(at, &["compare", "t_tune", "t_tune"]);
    assert!(
        beside.starts_with("historical, descriptive: sessions are never compared"),
        "{beside}"
    );
    assert!(
        beside
            .lines()
            .any(|l| l.starts_with("search") && l.contains("reference")),
        "{beside}"
    );
    refuses(
        at,
        &["compare", "t_tune", "t_tune", "--rerun"],
        1,
        "both ended with the same configuration",
    );
    let runs: Vec<String> = std::fs::read_dir(at.join("results/t_tune"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .map(|path| path.display().to_string())
        .collect();
    assert_eq!(runs.len(), 2, "{runs:?}");
    let measured = json(at, &["compare", &runs[0], &runs[1], "--rerun", "--json"]);
    assert_eq!(measured["cases"][0][1]["blocks"], 8);
    refuses(at, &["report", "tt"], 1, "t_tune");
}

#[test]
fn a_report_is_named_by_plan_by_run_or_by_folder() {
    let folder = folder_with(SLEEPER);
    let at = folder.path();
    let first = json(at, &["tune", "p.yaml", "--json"]);
    let second = json(at, &["tune", "p.yaml", "--json"]);
    let id = |run: &serde_json::Value| run["run_id"].as_str().unwrap().to_owned();
    let reported = |arguments: &[&str]| id(&json(at, &[&["report", "--json"], arguments].concat()));
    assert_eq!(reported(&["t_tune"]), id(&second));
    assert_eq!(reported(&["results/t_tune/"]), id(&second));
    assert_eq!(reported(&["t_tune", "--run", &id(&first)]), id(&first));
    assert_eq!(reported(&[&format!("t_tune@{}", id(&first))]), id(&first));
    let path = format!("results/t_tune/{}", id(&first));
    assert_eq!(reported(&[&path, "--against", &id(&second)]), id(&first));
    let report = std::fs::read_to_string(at.join("reports/t_tune/results_summary.md")).unwrap();
    assert!(report.contains(&id(&second)), "{report}");
}

/// Starts it, waits for a block of its own, and interrupts it as Ctrl-C does.
fn interrupted(folder: &Path, arguments: &[&str]) -> Output {
    let blocks = || -> usize {
        let runs = std::fs::read_dir(folder.join("results/t")).into_iter();
        let journals = runs.flatten().flatten().map(|run| run.path());
        journals
            .filter_map(|run| std::fs::read_to_string(run.join("journal.jsonl")).ok())
            .map(|text| text.matches("\"entry\":\"block\"").count())
            .sum()
    };
    let before = blocks();
    let mut started = command(folder, arguments);
    let started = started
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    while blocks() <= before {
        std::thread::yield_now();
    }
    let pid = started.id().to_string();
    let status = Command::new("kill").args(["-INT", &pid]).status();
    assert!(status.unwrap().success());
    started.wait_with_output().unwrap()
}

#[test]
fn an_interrupted_run_says_how_to_go_on_and_what_was_left_behind() {
    // Blocks enough that the interruption is never too late.
    let folder = folder_with(
        &SLEEPER
            .replace("max: 8", "max: 1000")
            .replace("'0.00{ms}'", "'0.0{ms}'"),
    );
    let at = folder.path();
    let options = ["run", "p.yaml", "--fresh", "--set", "title=Two words"];
    let output = interrupted(at, &options);
    let complaint = text(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{complaint}");
    assert!(
        complaint.contains("interrupted; what was measured is in results/t/"),
        "{complaint}"
    );
    let program = env!("CARGO_BIN_EXE_phasetune");
    let resuming =
        format!("to go on where it stopped: {program} run p.yaml --set 'title=Two words'\n");
    assert!(complaint.ends_with(&resuming), "{complaint}");
    // The same command goes on; no escape codes where there is no terminal.
    let output = interrupted(at, &["run", "p.yaml", "--set", "title=Two words", "-v"]);
    let complaint = text(&output.stderr);
    assert!(complaint.contains("going on with run"), "{complaint}");
    assert!(!complaint.contains('\u{1b}'), "{complaint:?}");
    // Another plan cannot go on with it, and says so.
    std::fs::write(at.join("p.yaml"), SLEEPER).unwrap();
    let output = phasetune(at, &["run", "p.yaml"]);
    let complaint = text(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    assert!(
        complaint.contains("note: results/t/")
            && complaint.contains("cannot be continued: the plan has changed"),
        "{complaint}"
    );
}

#[test]
fn a_run_goes_on_without_its_terminal() {
    let folder = folder_with(SLEEPER);
    let (reader, gone) = std::io::pipe().unwrap();
    drop(reader);
    let status = command(folder.path(), &["run", "p.yaml", "-v"])
        .stdout(gone.try_clone().unwrap())
        .stderr(gone)
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(0));
    assert!(folder.path().join("reports/t/results_summary.md").is_file());
}

#[test]
fn paths_of_a_plan_begin_at_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    std::fs::create_dir(at.join("plans")).unwrap();
    let plan = SLEEPER.replace(
        "baseline:",
        "accuracy: {against: {file: expected.npy}}\nbaseline:",
    );
    std::fs::write(at.join("plans/p.yaml"), plan).unwrap();
    let warned = said(at, &["check", "plans/p.yaml"]);
    assert!(
        warned.contains("plans/expected.npy to compare outputs with"),
        "{warned}"
    );
    std::fs::write(at.join("plans/expected.npy"), "").unwrap();
    let quiet = said(
        at,
        &[
            "check",
            "plans/p.yaml",
            "-q",
            "--set",
            "protocol.blocks.max=40",
        ],
    );
    assert_eq!(quiet, "");
}

#[test]
fn a_search_asks_for_no_more_when_its_time_is_used() {
    let plan = "\
name: t
workload: {command: [sleep, '0.{s}']}
protocol: {blocks: {min: 3, max: 3}, warmup: 1, trial_timeout: 5s}
baseline: {s: 2}
phases:
  - phase: nap
    search: {strategy: exhaustive, parameters: {s: [21, 22, 23, 24, 25, 26]}, budget: {time: 300ms}}
";
    let folder = folder_with(plan);
    let shown = said(folder.path(), &["check", "p.yaml"]);
    assert!(
        shown.contains("asks for no more after 300.000 ms"),
        "{shown}"
    );
    let object = json(folder.path(), &["run", "p.yaml", "--json"]);
    let measured = object["trials"].as_array().unwrap().len();
    assert!((2..7).contains(&measured), "{measured} with the reference");
    let note = object["outcomes"][0]["note"].as_str().unwrap();
    assert!(
        note.contains("the budget of 300.000 ms ended it after"),
        "{note}"
    );
}

#[test]
fn calibrate_says_what_this_machine_resolves_and_a_run_uses_it() {
    let folder = folder_with(SLEEPER);
    let at = folder.path();
    let shown = said(at, &["calibrate", "p.yaml"]);
    assert!(shown.contains("today this machine resolves"), "{shown}");
    assert!(at.join("results/t/calibration.json").is_file());
    let output = phasetune(at, &["run", "p.yaml", "-q"]);
    assert!(output.status.success() && output.stdout.is_empty());
    let report = std::fs::read_to_string(at.join("reports/t/results_summary.md")).unwrap();
    assert!(report.contains("calibrated at"), "{report}");
}

#[test]
fn a_device_that_is_not_here_is_a_row_beside_others_and_an_error_alone() {
    let plan = "name: d
workload: {builtin: beamform3d, problem: {preset: tiny}}
device: [cpu, 'wgpu:99']
protocol: {blocks: {min: 6, max: 6}, warmup: 1}
baseline: {fusion: staged}
phases: [{phase: fusion, variants: {fused: {fusion: fused}}}]
";
    let folder = folder_with(plan);
    let at = folder.path();
    let told = json(at, &["run", "p.yaml", "--json"]);
    assert_eq!(told["finals"][0]["absent"], serde_json::Value::Null);
    let why = told["finals"][1]["absent"].as_str().unwrap();
    assert!(why.starts_with("unsupported here: "), "{why}");
    let report = std::fs::read_to_string(at.join("reports/d/results_summary.md")).unwrap();
    assert!(
        report.contains("wgpu:99: Not measured, unsupported here: ")
            && report.contains("| wgpu:99: all phases | – | – | – | – | – | unsupported |"),
        "{report}"
    );
    refuses(
        at,
        &["run", "p.yaml", "--device", "wgpu:99"],
        1,
        "error: unsupported here: ",
    );
}
