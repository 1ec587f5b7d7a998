//! The store as a campaign uses it: written, interrupted, resumed, killed, read back.
use super::fixture::{block, header, last, phase_ended, trial};
use super::*;
use crate::space::Configuration;
use crate::stats::Comparison;
use crate::trial::{Ending, PictureRecord, VariantId, Work};
use crate::value::{Nanoseconds, Value};
use proptest::prelude::*;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

/// NaN is not equal to itself; its text is.
fn text(value: &impl std::fmt::Debug) -> String {
    format!("{value:?}")
}

fn replayed(store: &mut Store) -> Vec<Entry> {
    std::iter::from_fn(|| store.replay()).collect()
}

#[test]
fn a_resumed_run_replays_every_entry_and_goes_on() {
    let results = tempfile::tempdir().unwrap();
    let entries: Vec<Entry> = vec![
        block("a", 0),
        block("a", 1),
        phase_ended("a"),
        block("b", 0),
    ];
    let mut store = Store::create(results.path(), header()).unwrap();
    let folder = store.folder().to_owned();
    for entry in &entries {
        store.append(entry).unwrap();
    }
    drop(store);
    // What a kill leaves: half a line, and a half-written file.
    let mut journal = std::fs::File::options()
        .append(true)
        .open(folder.join(JOURNAL))
        .unwrap();
    journal
        .write_all(br#"{"entry":"block","case":"","pha"#)
        .unwrap();
    std::fs::write(folder.join(format!("{ASIDE}x")), "PAR1").unwrap();

    let mut store = Store::resume(results.path(), &header()).unwrap().unwrap();
    assert_eq!(store.folder(), folder);
    assert_eq!(text(&replayed(&mut store)), text(&entries));
    store.append(&phase_ended("b")).unwrap();
    store.finish(&[last()]).unwrap();
    let run = Run::load(&folder).unwrap();
    assert_eq!(run.outcomes.len(), 2);
    assert_eq!(
        run.samples.iter().map(|s| s.rows.len()).collect::<Vec<_>>(),
        [12, 6]
    );
    assert!(
        Store::resume(results.path(), &header()).unwrap().is_none(),
        "it is complete"
    );
    let mut left: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    left.sort();
    assert_eq!(
        left,
        [
            "environment.json",
            "plan.yaml",
            "samples.parquet",
            "trials.parquet"
        ]
    );
}

#[test]
fn parquet_gives_the_run_back_as_it_was() {
    let results = tempfile::tempdir().unwrap();
    let mut store = Store::create(results.path(), header()).unwrap();
    let folder = store.folder().to_owned();
    let Entry::PhaseEnded { trials, outcome } = phase_ended("a") else {
        unreachable!()
    };
    for entry in [
        block("a", 0),
        block("a", 1),
        phase_ended("a"),
        block(FINAL_PHASE, 0),
    ] {
        store.append(&entry).unwrap();
    }
    let header = store.header().clone();
    store.write_parquet().unwrap();
    let interrupted = Run::load(&folder).unwrap();
    assert!(!interrupted.is_complete);
    assert_eq!(
        interrupted.samples.len(),
        1,
        "the confirmation of the whole has not ended"
    );

    store.finish(&[last()]).unwrap();
    let run = Run::load(&folder).unwrap();
    assert_eq!(run.header, header);
    assert_eq!(text(&run.trials), text(&trials));
    assert_eq!(text(&run.outcomes), text(&[*outcome]));
    assert_eq!((run.finals, run.is_complete), (vec![last()], true));
    assert_eq!(run.samples.len(), 2);
    let expected = SampleRow {
        block: 1,
        position: 1,
        repetition: 1,
        worker: 1,
        variant: VariantId(0),
        is_warm_up: true,
        batch: 2,
        started_at: 1_795_226_400_000_000_001,
        runtime: Nanoseconds(1e6 / 3.0 + 10.0),
        objective: 1e6 / 3.0 + 10.0,
    };
    assert_eq!(run.samples[0].rows[10], expected);
}

#[test]
fn samples_that_the_trials_do_not_know_of_are_not_there() {
    let results = tempfile::tempdir().unwrap();
    let mut store = Store::create(results.path(), header()).unwrap();
    let folder = store.folder().to_owned();
    let earlier = |store: &mut Store| {
        store.write_parquet().unwrap();
        std::fs::read(folder.join("trials.parquet")).unwrap()
    };
    let phases = |trials: &[u8]| -> Vec<String> {
        std::fs::write(folder.join("trials.parquet"), trials).unwrap();
        Run::load(&folder)
            .unwrap()
            .samples
            .into_iter()
            .map(|s| s.phase)
            .collect()
    };
    store.append(&block("a", 0)).unwrap();
    store.append(&phase_ended("a")).unwrap();
    let after_a = earlier(&mut store);
    store.append(&block("b", 0)).unwrap();
    store.append(&phase_ended("b")).unwrap();
    let after_b = earlier(&mut store);
    assert_eq!(
        phases(&after_a),
        ["a"],
        "killed between the two files of phase b"
    );
    assert_eq!(phases(&after_b), ["a", "b"]);
    store.append(&block(FINAL_PHASE, 0)).unwrap();
    store.finish(&[last()]).unwrap();
    assert_eq!(
        phases(&after_b),
        ["a", "b"],
        "killed between the last two files"
    );
}

#[test]
fn an_interrupted_run_of_something_else_is_left_and_said_why() {
    let results = tempfile::tempdir().unwrap();
    assert_eq!(Store::left_behind(results.path(), &header()), None);
    drop(Store::create(results.path(), header()).unwrap());
    assert_eq!(
        Store::left_behind(results.path(), &header()),
        None,
        "this one can be continued"
    );
    let changed = |change: fn(&mut Header)| {
        let mut header = header();
        change(&mut header);
        assert!(Store::resume(results.path(), &header).unwrap().is_none());
        Store::left_behind(results.path(), &header).unwrap()
    };
    assert!(changed(|h| h.plan_text.push('#')).ends_with("the plan has changed"));
    assert!(changed(|h| h.plan.protocol.seed = 2).ends_with("it had other options"));
    assert!(changed(|h| h.environment.git = None).ends_with("the commit is another"));
    assert!(
        changed(|h| h.environment.git.as_mut().unwrap().diff_hash = Some("1".into()))
            .ends_with("files have changed since")
    );
    assert!(changed(|h| h.environment.cpu = "other".into()).ends_with("it ran on another machine"));
    assert!(
        changed(|h| h.environment.tool_version = "9".into())
            .ends_with("it is of another version of phasetune")
    );
}

#[test]
fn a_fresh_run_gives_up_the_one_that_could_have_been_continued() {
    let results = tempfile::tempdir().unwrap();
    let first = Store::create(results.path(), header())
        .unwrap()
        .folder()
        .to_owned();
    let second = Store::create(results.path(), header()).unwrap();
    assert_ne!(second.folder(), first, "two runs of one second");
    assert!(
        second.header().run_id.ends_with("Z-1a2b3c4")
            || second.header().run_id.ends_with("Z-1a2b3c4-2")
    );
    let second_folder = second.folder().to_owned();
    drop(second);
    assert!(first.join(GIVEN_UP).is_file());
    let resumed = Store::resume(results.path(), &header()).unwrap().unwrap();
    assert_eq!(resumed.folder(), second_folder);
}

#[test]
fn damage_in_the_middle_of_a_journal_stops_the_resume() {
    let results = tempfile::tempdir().unwrap();
    let mut store = Store::create(results.path(), header()).unwrap();
    store.append(&block("a", 0)).unwrap();
    store.append(&block("a", 1)).unwrap();
    let file = store.folder().join(JOURNAL);
    drop(store);
    let damaged = std::fs::read_to_string(&file).unwrap().replacen(
        "\"entry\":\"block\"",
        "\"entry\":\"blot\"",
        1,
    );
    std::fs::write(&file, damaged).unwrap();
    let error = Store::resume(results.path(), &header())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("line 2") && error.contains("--fresh"),
        "{error}"
    );
    Store::create(results.path(), header()).unwrap();
    assert!(
        Store::resume(results.path(), &header()).unwrap().is_some(),
        "--fresh is the way out"
    );
}

#[test]
fn every_column_of_the_design_is_there() {
    let results = tempfile::tempdir().unwrap();
    let mut store = Store::create(results.path(), header()).unwrap();
    store.append(&block("a", 0)).unwrap();
    store.append(&phase_ended("a")).unwrap();
    store.write_parquet().unwrap();
    let has = |file: &str, names: &str| {
        let frame = run::frame(&store.folder().join(file)).unwrap();
        for name in names.split_whitespace() {
            assert!(frame.column(name).is_ok(), "{file} has no {name}");
        }
        frame
    };
    let samples = has(
        "samples.parquet",
        "experiment run_id phase kind variant device block position repetition worker warm_up started_at runtime_ns user_ns \
         system_ns device_ns host_peak_bytes device_peak_bytes energy_j batch param.threads param.locale metric.rate \
         stage.read_ns stage.merge_ns git_commit git_dirty",
    );
    assert_eq!(samples.height(), 6);
    assert_eq!(
        samples
            .column("param.threads")
            .unwrap()
            .i64()
            .unwrap()
            .get(0),
        Some(2)
    );
    assert_eq!(
        samples
            .column("param.locale")
            .unwrap()
            .str()
            .unwrap()
            .get(0),
        Some("C")
    );
    assert_eq!(samples.column("energy_j").unwrap().null_count(), 6);
    let trials = has(
        "trials.parquet",
        "experiment run_id case phase kind variant device status message compile_ns n median_ns q1_ns q3_ns speedup \
         speedup_lower speedup_upper p_value verdict accuracy.nrmse metric.rate kept",
    );
    assert_eq!(
        trials.column("verdict").unwrap().str().unwrap().get(1),
        Some("faster")
    );
}

#[test]
fn a_damaged_file_is_an_error_that_names_it() {
    let results = tempfile::tempdir().unwrap();
    let mut store = Store::create(results.path(), header()).unwrap();
    store.append(&block("a", 0)).unwrap();
    store.append(&phase_ended("a")).unwrap();
    store.write_parquet().unwrap();
    let folder = store.folder();
    for name in ["samples.parquet", "trials.parquet"] {
        let whole = std::fs::read(folder.join(name)).unwrap();
        for length in [0, 3, 12, whole.len() / 2, whole.len() - 1] {
            std::fs::write(folder.join(name), &whole[..length]).unwrap();
            let error = Run::load(folder).unwrap_err().to_string();
            assert!(error.contains(name), "{length}: {error}");
        }
        std::fs::write(folder.join(name), whole).unwrap();
    }
    Run::load(folder).unwrap();
}

#[test]
fn a_run_is_found_by_the_beginning_of_its_id() {
    let results = tempfile::tempdir().unwrap();
    let error = |id| Run::find(results.path(), "t", id).unwrap_err().to_string();
    assert!(
        error(None).contains("there are no runs in"),
        "{}",
        error(None)
    );
    let mut store = Store::create(results.path(), header()).unwrap();
    assert!(
        error(None).contains("has not finished a phase yet"),
        "{}",
        error(None)
    );
    store.append(&phase_ended("a")).unwrap();
    store.write_parquet().unwrap();
    assert_eq!(
        Run::find(results.path(), "t", None).unwrap().header,
        *store.header()
    );
    assert_eq!(
        Run::find(results.path(), "t", Some("20")).unwrap().header,
        *store.header()
    );
    assert!(
        error(Some("19")).contains(&store.header().run_id),
        "{}",
        error(Some("19"))
    );
}

#[test]
fn a_run_killed_while_it_is_made_leaves_no_run() {
    let results = tempfile::tempdir().unwrap();
    let made = Store::create(results.path(), header()).unwrap();
    let (family, whole) = (
        made.folder().parent().unwrap().to_owned(),
        made.folder().to_owned(),
    );
    drop(made);
    // Every state on the way: no file, the plan, the plan and half a journal.
    let text = std::fs::read(whole.join(JOURNAL)).unwrap();
    std::fs::remove_dir_all(&whole).unwrap();
    let aside = family.join(STARTING);
    for state in 0..3 {
        std::fs::create_dir(&aside).unwrap();
        if state > 0 {
            std::fs::write(aside.join("plan.yaml"), "name: t").unwrap();
        }
        if state > 1 {
            std::fs::write(aside.join(JOURNAL), &text[..text.len() / 2]).unwrap();
        }
        assert!(
            Store::resume(results.path(), &header()).unwrap().is_none(),
            "state {state}"
        );
        let store = Store::create(results.path(), header()).unwrap();
        let folders: Vec<_> = std::fs::read_dir(&family)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.is_dir())
            .collect();
        assert_eq!(folders, [store.folder()], "state {state}");
        let folder = store.folder().to_owned();
        drop(store);
        std::fs::remove_dir_all(folder).unwrap();
    }
}

/// Set by a test that starts this very binary again: to have a process that can be killed, or a disk that can be filled.
const FOLDER: &str = "PHASETUNE_TEST_FOLDER";

#[test]
fn a_writer_that_can_be_killed() {
    let Ok(results) = std::env::var(FOLDER) else {
        return;
    };
    let mut store = Store::create(Path::new(&results), header()).unwrap();
    for n in 0.. {
        store.append(&block("a", n)).unwrap();
        writeln!(std::io::stdout(), "\nkept {n}").unwrap();
    }
}

#[test]
fn a_killed_campaign_loses_no_entry_that_it_was_told_is_kept() {
    for moment in 0..10 {
        let results = tempfile::tempdir().unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "record::tests::a_writer_that_can_be_killed",
                "--nocapture",
            ])
            .env(FOLDER, results.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut kept =
            lines.filter_map(|line| line.ok()?.strip_prefix("kept ")?.parse::<u32>().ok());
        let told = kept.find(|n| *n >= moment * 3).unwrap();
        let error = Store::resume(results.path(), &header())
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(&format!("process {} on host", child.id())),
            "{error}"
        );
        child.kill().unwrap();
        child.wait().unwrap();
        let mut store = Store::resume(results.path(), &header()).unwrap().unwrap();
        let entries = replayed(&mut store);
        assert!(
            entries.len() as u32 > told,
            "{} entries, told of {told}",
            entries.len()
        );
        for (n, entry) in entries.iter().enumerate() {
            assert_eq!(text(entry), text(&block("a", n as u32)));
        }
    }
}

#[test]
fn a_writer_on_a_small_disk() {
    let Ok(results) = std::env::var(FOLDER) else {
        return;
    };
    let results = Path::new(&results);
    std::fs::write(results.join("ballast"), [1; 16 << 10]).unwrap();
    let mut store = Store::create(results, header()).unwrap();
    let (kept, error) = (0..)
        .find_map(|n| Some((n, store.append(&block("a", n)).err()?)))
        .expect("the disk is small");
    assert!(error.to_string().contains("free some space"), "{error}");
    assert!(
        store
            .write_parquet()
            .unwrap_err()
            .to_string()
            .contains("free some space")
    );
    assert_eq!(
        std::fs::read_to_string(store.folder().join(JOURNAL))
            .unwrap()
            .lines()
            .count() as u32,
        kept + 1
    );
    drop(store);
    std::fs::remove_file(results.join("ballast")).unwrap();
    let mut store = Store::resume(results, &header()).unwrap().unwrap();
    assert_eq!(replayed(&mut store).len() as u32, kept);
    store.append(&block("a", kept)).unwrap();
    writeln!(std::io::stdout(), "\nwent on").unwrap();
}

/// The small disk is a tmpfs in a mount namespace of its own. Where the kernel gives a user no namespaces (some containers),
/// only the writing to `/dev/full` in `journal.rs` is left.
#[test]
fn a_full_disk_leaves_a_journal_that_can_be_continued() {
    let results = tempfile::tempdir().unwrap();
    let mount = r#"mount -t tmpfs -o size=128k tmpfs "$PHASETUNE_TEST_FOLDER" && echo mounted && exec "$@""#;
    let output = Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-c", mount, "sh"])
        .arg(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "record::tests::a_writer_on_a_small_disk",
            "--nocapture",
        ])
        .env(FOLDER, results.path())
        .output();
    let Some(output) = output
        .ok()
        .filter(|output| output.stdout.starts_with(b"mounted"))
    else {
        return;
    };
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(
        stdout.contains("went on"),
        "{stdout}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn any_trial() -> impl Strategy<Value = Trial> {
    let number = || prop_oneof![any::<f64>(), 1e-9..1e12_f64];
    let finite = || number().prop_filter("finite", |v| v.is_finite());
    let value = prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        finite().prop_map(Value::Float),
        any::<String>().prop_map(Value::Text),
    ];
    let configuration = prop::collection::vec(("[a-z]{1,3}", value), 0..4)
        .prop_map(|values| Configuration::default().with(&values));
    let ending = prop_oneof![
        Just(Ending::Completed),
        any::<String>().prop_map(|reason| Ending::Failed { reason }),
        finite().prop_map(|limit| Ending::TimedOut {
            limit: Nanoseconds(limit)
        }),
    ];
    let comparison = (
        finite(),
        prop::option::of((finite(), finite())),
        any::<u32>(),
    )
        .prop_map(|(speedup, interval, blocks)| Comparison {
            speedup,
            interval,
            equivalence_interval: interval,
            p_value: 1.0 / 3.0,
            blocks,
        });
    let names = (any::<String>(), any::<String>(), any::<u32>());
    let measured = (
        prop::option::of((number(), number(), number())),
        prop::option::of(comparison),
        prop::collection::vec(("[a-z]{1,2}", number()), 0..3),
        prop::option::of(finite()),
    );
    (
        names,
        configuration,
        ending,
        measured,
        any::<Option<String>>(),
    )
        .prop_map(
            |(
                (case, name, id),
                configuration,
                ending,
                (quartiles, comparison, accuracy, time),
                message,
            )| Trial {
                case,
                name,
                id: VariantId(id),
                configuration,
                ending,
                message,
                quartiles,
                comparison,
                compile: time.map(Nanoseconds),
                stages: time.map(Nanoseconds).into_iter().collect(),
                work: time.map(|flops| Work {
                    flops,
                    ..Work::default()
                }),
                metrics: accuracy.clone(),
                pictures: vec![PictureRecord::default()],
                timeline: vec![],
                accuracy,
                ..trial("a", 1)
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn trials_come_back_exactly(trials in prop::collection::vec(any_trial(), 0..5)) {
        let folder = tempfile::tempdir().unwrap();
        let outcome = Box::new(PhaseOutcome { phase: "a".into(), ..PhaseOutcome::default() });
        parquet::write(folder.path(), &header(), &[Entry::PhaseEnded { trials: trials.clone(), outcome }]).unwrap();
        let run = Run::load(folder.path()).unwrap();
        prop_assert_eq!(text(&run.trials), text(&trials));
    }
}
