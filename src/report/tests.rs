//! Whole reports of a run that holds everything (fixture.rs), kept as text beside this file.
//!
//! `PHASETUNE_SNAPSHOTS=write cargo test --release report` writes them anew; read what changed.
#![allow(
    clippy::disallowed_methods,
    reason = "reads and writes the snapshots and a temporary report"
)]
use super::fixture::{HOSTILE, TUNE, run, searched};
use super::{Figure, Piece, document, markdown, sections, write};
use crate::record::Run;
use crate::trial::{Stretch, Verdict};
use crate::value::{Nanoseconds, Value};
use std::collections::BTreeMap;
use std::path::Path;

/// Compares with `src/report/snapshots/NAME`, or writes it.
fn is_as_kept(name: &str, text: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/report/snapshots");
    let path = folder.join(name);
    if std::env::var("PHASETUNE_SNAPSHOTS").is_ok_and(|what| what == "write") {
        std::fs::create_dir_all(&folder).expect("a folder of the sources");
        std::fs::write(&path, text).expect("a file of the sources");
        return;
    }
    let kept = std::fs::read_to_string(&path).expect("PHASETUNE_SNAPSHOTS=write makes it");
    let differs = kept.lines().zip(text.lines()).position(|(a, b)| a != b);
    let line = differs.unwrap_or_else(|| kept.lines().count().min(text.lines().count()));
    let show = |text: &str| text.lines().nth(line).unwrap_or("(the end)").to_owned();
    assert!(
        kept == text,
        "{name}:{}: kept:\n{}\nnow:\n{}\n(PHASETUNE_SNAPSHOTS=write keeps what is now)",
        line + 1,
        show(&kept),
        show(text)
    );
}

/// The fixture, and the folder that its pictures live in.
fn fixture() -> (tempfile::TempDir, Run) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let run = run(folder.path());
    (folder, run)
}

/// A run that is one search, and its folder.
fn search() -> (tempfile::TempDir, Run) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let run = searched(folder.path());
    (folder, run)
}

fn figures<'a>(pieces: &'a [Piece]) -> Vec<&'a Figure> {
    let of = |piece: &'a Piece| match piece {
        Piece::Figure(figure) => vec![figure],
        Piece::Folded { pieces, .. } => figures(pieces),
        _ => vec![],
    };
    pieces.iter().flat_map(of).collect()
}

/// Every file under a folder with its bytes.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let (path, name) = (
            entry.path(),
            entry.file_name().to_string_lossy().into_owned(),
        );
        if path.is_dir() {
            found.extend(
                files(&path)
                    .into_iter()
                    .map(|(file, bytes)| (format!("{name}/{file}"), bytes)),
            );
        } else {
            found.insert(name, std::fs::read(&path).expect("a file"));
        }
    }
    found
}

#[test]
fn a_report_is_what_it_was() {
    let (_folder, run) = fixture();
    let text = markdown::render(&run.header.plan.title, &document(&run, None));
    is_as_kept("results_summary.md", &text);
}

#[test]
fn figures_are_what_they_were() {
    let (_folder, run) = fixture();
    let pieces = document(&run, None);
    let kept = [
        "_speedups",
        "sweep_sweep",
        "search_time_order",
        "waterfall",
        "pareto",
        "roofline",
    ];
    for name in kept {
        let figure = figures(&pieces)
            .into_iter()
            .find(|f| f.file.ends_with(name))
            .expect(name);
        let painted = figure.sketch.paint().expect("it can be painted");
        is_as_kept(
            &format!("{}.svg", name.trim_start_matches('_')),
            &painted.svg,
        );
    }
}

#[test]
fn the_same_records_give_the_same_bytes() {
    let (_folder, run) = fixture();
    let reports = tempfile::tempdir().expect("a temporary folder");
    let (once, again) = (reports.path().join("once"), reports.path().join("again"));
    for folder in [&once, &again, &again] {
        write(&run, folder, None).expect("a report");
    }
    let (once, again) = (files(&once), files(&again));
    assert!(once.len() > 20, "{:?}", once.keys());
    assert_eq!(
        once.keys().collect::<Vec<_>>(),
        again.keys().collect::<Vec<_>>()
    );
    for (name, bytes) in &once {
        assert!(bytes == &again[name], "{name} differs");
    }
}

#[test]
fn nothing_overlaps_and_nothing_is_cut() {
    let (_folder, run) = fixture();
    let pieces = document(&run, None);
    for figure in figures(&pieces) {
        let crowded = figure.sketch.crowded();
        assert!(crowded.is_empty(), "{}: {crowded:#?}", figure.file);
    }
}

#[test]
fn only_what_led_to_the_final_configuration_is_on_the_way() {
    let (_folder, mut run) = fixture();
    let names = |run: &Run| -> Vec<String> {
        let way = super::way(run, &run.finals[0]);
        way.into_iter().map(|o| o.phase.clone()).collect()
    };
    // `search` keeps something, too, but nothing builds on it.
    assert_eq!(names(&run), ["baseline", HOSTILE, "sweep", "combined"]);
    let sweep = run.outcomes.iter_mut().find(|o| o.phase == "sweep");
    let sweep = sweep.expect("of the fixture");
    sweep.kept = sweep.kept.with(&[("tile".into(), Value::Int(32))]);
    assert_eq!(names(&run), ["baseline", HOSTILE, "combined"]);
}

#[test]
fn a_name_is_never_markup() {
    let (_folder, run) = fixture();
    let reports = tempfile::tempdir().expect("a temporary folder");
    write(&run, reports.path(), None).expect("a report");
    for (name, bytes) in files(reports.path()) {
        assert!(!name.contains(['<', '|', '[', '`', '"', ' ']), "{name}");
        if name.ends_with(".png") {
            continue;
        }
        let text = String::from_utf8(bytes).expect("text");
        // The plan is shown as it is, in a fence that it cannot close.
        let told: String = text
            .split("The plan as it was read")
            .next()
            .unwrap_or("")
            .to_owned();
        assert!(!told.contains("<script"), "{name}");
        assert!(
            !(name.ends_with(".md") && told.replace("\\]", "").contains("](http")),
            "{name}"
        );
        assert!(
            !told.contains("never-shown"),
            "the name of the machine in {name}"
        );
    }
    let text =
        std::fs::read_to_string(reports.path().join("fixture/results_summary.md")).expect("text");
    assert!(
        text.contains("````yaml\nname: fixture\n"),
        "the plan's own fence would end it"
    );
    assert_eq!(
        text.matches("<details>").count(),
        text.matches("</details>").count() - 1,
        "one is in the plan"
    );
    let columns = |line: &str| line.replace("\\|", "").matches('|').count();
    let rows: Vec<&str> = text.lines().filter(|l| l.starts_with('|')).collect();
    for pair in rows.windows(2).filter(|pair| pair[1].starts_with("| ---")) {
        assert_eq!(columns(pair[0]), columns(pair[1]), "{}", pair[0]);
    }
    assert!(
        rows.iter().any(|row| row.contains("a\\|b")),
        "{HOSTILE} is in a table"
    );
}

#[test]
fn figures_of_names_that_differ_in_signs_are_two_files() {
    let (_folder, mut run) = fixture();
    for (old, new) in [("sweep", "x y"), ("combined", "x/y")] {
        run.trials
            .iter_mut()
            .filter(|t| t.phase == old)
            .for_each(|t| t.phase = new.into());
        run.outcomes
            .iter_mut()
            .filter(|o| o.phase == old)
            .for_each(|o| o.phase = new.into());
    }
    let pieces = document(&run, None);
    let mut names: Vec<&str> = figures(&pieces).iter().map(|f| f.file.as_str()).collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all);
    assert!(
        names.contains(&"plots/x_y_speedups") && names.contains(&"plots/x_y_speedups_2"),
        "{names:?}"
    );
}

#[test]
fn pictures_of_a_former_report_go() {
    let (_folder, mut run) = fixture();
    let reports = tempfile::tempdir().expect("a temporary folder");
    write(&run, reports.path(), None).expect("a report");
    let folder = reports.path().join("fixture");
    std::fs::write(folder.join("plots/mine.png"), "not ours").expect("a file");
    assert!(folder.join("plots/sweep_speedups.png").is_file());
    run.outcomes.retain(|o| o.phase != "sweep");
    run.trials.retain(|t| t.phase != "sweep");
    write(&run, reports.path(), None).expect("a report");
    assert!(!folder.join("plots/sweep_speedups.png").exists());
    assert!(!folder.join("plots/sweep_speedups.svg").exists());
    assert!(
        folder.join("plots/mine.png").is_file(),
        "what we did not write stays"
    );
}

#[test]
fn a_run_without_anything_is_a_report() {
    let (_folder, mut run) = fixture();
    (run.trials, run.outcomes, run.finals, run.samples) = (vec![], vec![], vec![], vec![]);
    run.is_complete = false;
    let text = markdown::render("t", &document(&run, None));
    assert!(text.contains("not complete"), "{text}");
}

#[test]
fn another_run_beside_this_one_claims_nothing() {
    let (_folder, run) = fixture();
    let text = markdown::render("t", &document(&run, Some(&run)));
    let beside = text.split("## Beside run").nth(1).expect("a section");
    assert!(
        beside.contains("no significance is claimed") && beside.contains("1.00"),
        "{beside}"
    );
}

#[test]
fn the_chapter_of_a_search_is_what_it_was() {
    let (_folder, run) = search();
    let pieces = sections::phases::section(&run);
    is_as_kept("search.md", &markdown::render("A search", &pieces));
    for name in [
        "convergence",
        "importance",
        "interaction",
        "coordinates",
        "front",
    ] {
        let all = figures(&pieces);
        let figure = all
            .iter()
            .find(|f| f.file == format!("plots/{TUNE}_{name}"))
            .expect(name);
        let painted = figure.sketch.paint().expect("it can be painted");
        is_as_kept(&format!("search_{name}.svg"), &painted.svg);
        let crowded = figure.sketch.crowded();
        assert!(crowded.is_empty(), "{name}: {crowded:#?}");
    }
}

#[test]
fn a_value_of_a_searched_parameter_is_never_markup() {
    let (_folder, run) = search();
    let reports = tempfile::tempdir().expect("a temporary folder");
    write(&run, reports.path(), None).expect("a report");
    for (name, bytes) in files(reports.path())
        .into_iter()
        .filter(|(n, _)| !n.ends_with(".png"))
    {
        let text = String::from_utf8(bytes).expect("text");
        let told = text.split("The plan as it was read").next().unwrap_or("");
        assert!(!told.contains("<script"), "{name}");
        assert!(
            !(name.ends_with(".md") && told.replace("\\]", "").contains("](http")),
            "{name}"
        );
    }
}

#[test]
fn a_search_of_few_evaluations_says_that_they_are_too_few() {
    let (_folder, mut run) = search();
    run.trials.truncate(9);
    let text = markdown::render("t", &sections::phases::section(&run));
    assert!(text.contains("are too few for 3 parameters"), "{text}");
    assert!(
        text.contains("tune_convergence") && !text.contains("tune_importance"),
        "{text}"
    );
}

#[test]
fn a_search_in_which_everything_failed_is_a_chapter_too() {
    let (_folder, mut run) = search();
    for trial in run.trials.iter_mut().filter(|t| t.id.0 > 0 && !t.is_canary) {
        (trial.verdict, trial.quartiles, trial.comparison) = (Verdict::Failed, None, None);
    }
    run.samples.clear();
    let text = markdown::render("t", &sections::phases::section(&run));
    assert!(
        text.contains("60 of 60 evaluations (100 %) are invalid"),
        "{text}"
    );
}

#[test]
fn drift_during_a_search_is_not_taken_for_a_difference() {
    let (_folder, mut run) = search();
    let best = |run: &Run| {
        let text = markdown::render("t", &sections::phases::section(run));
        let rest = text
            .split("The best estimate")
            .nth(1)
            .expect("a best one")
            .to_owned();
        rest.lines().next().unwrap_or("").to_owned()
    };
    let before = best(&run);
    let rows = run.samples.iter_mut().flat_map(|s| &mut s.rows);
    // The machine becomes three times as fast over the search: every later evaluation would look better.
    rows.for_each(|row| row.objective /= 1.0 + 0.02 * f64::from(row.block));
    assert_eq!(best(&run), before);
}

#[test]
fn stages_that_overlap_have_shares_of_the_runtime_and_a_timeline() {
    let (_folder, mut run) = fixture();
    let plain = markdown::render("t", &sections::stages::section(&run));
    assert!(plain.contains("Amdahl bound") && !plain.contains("Utilization"));
    let last = run.outcomes.iter().rev().find(|o| o.kept_variant.is_some());
    let (phase, name) = last
        .map(|o| (o.phase.clone(), o.kept_variant.clone().unwrap()))
        .unwrap();
    for trial in &mut run.trials {
        let median = trial.quartiles.map_or(1.0, |q| q.1);
        let shares = match trial.phase == phase && trial.name == name {
            // Two at once, nearly all the time.
            true => [0.95, 0.8, 0.1],
            false => [0.5, 0.3, 0.1],
        };
        trial.stages = shares.map(|share| Nanoseconds(share * median)).to_vec();
        let stretch = |stage: u32, thread: u32| Stretch {
            stage,
            thread,
            start: Nanoseconds(0.1 * median),
            end: Nanoseconds(0.9 * median),
        };
        trial.timeline = vec![stretch(0, 0), stretch(0, 1), stretch(1, 0)];
    }
    let pieces = sections::stages::section(&run);
    let text = markdown::render("t", &pieces);
    for words in [
        "it cannot be shorter than the longest of them, read, and is 1.05 × that",
        "Utilization: the stage read worked in 50 % of the baseline's runtime, and in 95 % of that",
        "Amdahl bound", // of the baseline, whose stages follow one another
    ] {
        assert!(text.contains(words), "{words}\n{text}");
    }
    let figures = figures(&pieces);
    assert_eq!(figures.len(), 1);
    assert_eq!(figures[0].sketch.crowded(), Vec::<String>::new());
}
