//! Interrupted campaigns go on where they stopped; no finished block is lost or measured twice.
use super::{Bed, said};
use phasetune::record::{Entry, Run};
use phasetune::trial::Purpose;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

const PLAN: &str = "
name: t
workload: {command: [sleep, '0.0{cs}']}
protocol: {blocks: {min: 10, max: 12}, warmup: 1}
baseline: {cs: 3}
phases:
  - {phase: baseline, kind: baseline}
  - {phase: nap, kind: algorithm, after: [baseline], variants: {shorter: {cs: 1}, longer: {cs: 5}}}
";

/// Journal lines that hold a whole block.
fn finished_blocks(run: &Path) -> Vec<String> {
    std::fs::read_to_string(run.join("journal.jsonl"))
        .unwrap_or_default()
        .lines()
        .filter(|line| line.contains("\"entry\":\"block\""))
        .filter(|line| serde_json::from_str::<serde_json::Value>(line).is_ok())
        .map(str::to_owned)
        .collect()
}

/// Number of runs and, for the only one, its finished blocks.
fn journal(bed: &Bed) -> Vec<String> {
    match std::fs::read_dir(bed.path().join("results/t")) {
        Err(_) => vec![],
        Ok(entries) => entries
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.is_dir())
            .flat_map(|path| finished_blocks(&path))
            .collect(),
    }
}

fn start(bed: &Bed) -> Child {
    bed.command(&["run", "plan.yaml"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// What was finished before the kills is in the records, and every block is there once.
fn assert_each_block_once(bed: &Bed, before: &[String]) {
    let folder = bed.run_folder();
    assert!(
        !folder.join("journal.jsonl").exists(),
        "the journal ends with the run"
    );
    let run = Run::load(&folder).unwrap();
    assert!(run.is_complete);
    let mut seen: BTreeSet<(String, Purpose, u32)> = BTreeSet::new();
    for part in &run.samples {
        // Blocks come whole and in order: their first rows mark them.
        let mut last = None;
        for row in &part.rows {
            if last != Some(row.block) {
                let is_new = seen.insert((part.phase.clone(), part.purpose, row.block));
                assert!(
                    is_new,
                    "block {} of {} is there twice",
                    row.block, part.phase
                );
                last = Some(row.block);
            }
        }
    }
    for line in before {
        let Entry::Block {
            phase,
            purpose,
            block,
            ..
        } = serde_json::from_str(line).unwrap()
        else {
            panic!("not a block: {line}");
        };
        assert!(
            seen.contains(&(phase.clone(), purpose, block.index)),
            "block {} of {phase} was finished before the kill and is not in the records",
            block.index
        );
    }
}

#[test]
fn a_campaign_killed_at_random_moments_loses_no_finished_block() {
    let bed = Bed::new(PLAN);
    let mut before = vec![];
    for moment in 0..30_u64 {
        let mut campaign = start(&bed);
        // Moments are spread over the run by the golden ratio: the same in every execution, and nowhere near each other.
        let ms = 40 + (moment * 618) % 300;
        std::thread::sleep(Duration::from_millis(ms));
        campaign.kill().unwrap();
        campaign.wait().unwrap();
        let now = journal(&bed);
        assert!(
            now.starts_with(&before) || now.is_empty(),
            "a finished block changed or went away at kill {moment}"
        );
        if !now.is_empty() {
            before = now;
        }
    }
    bed.report();
    assert_each_block_once(&bed, &before);
}

#[test]
fn a_worker_killed_at_random_moments_is_replaced() {
    let bed = Bed::new(PLAN);
    let campaign = bed
        .command(&["run", "plan.yaml"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let id = campaign.id().to_string();
    for moment in 0..30_u64 {
        std::thread::sleep(Duration::from_millis(20 + (moment * 37) % 60));
        let _ = std::process::Command::new("pkill")
            .args(["-KILL", "-P", &id])
            .status();
    }
    let output = campaign.wait_with_output().unwrap();
    // Every variant may have been the victim; the campaign itself must end in good order, or say that it was the reference, or the
    // worker before it had loaded anything.
    let code = output.status.code();
    assert!(matches!(code, Some(0 | 1 | 3 | 4)), "{}", said(&output));
    if code == Some(1) {
        let message = said(&output);
        assert!(
            message.contains("reference") || message.contains("the worker"),
            "{message}"
        );
    } else {
        assert_each_block_once(&bed, &[]);
    }
    let again = bed.run(&["run", "plan.yaml", "--fresh"]);
    assert!(
        matches!(again.status.code(), Some(0 | 3 | 4)),
        "{}",
        said(&again)
    );
}

#[test]
fn ctrl_c_keeps_what_there_is_and_says_how_to_go_on() {
    let bed = Bed::new(PLAN);
    let campaign = bed
        .command(&["run", "plan.yaml"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let id = campaign.id().to_string();
    while journal(&bed).len() < 3 {
        std::thread::yield_now();
    }
    std::process::Command::new("kill")
        .args(["-INT", &id])
        .status()
        .unwrap();
    let output = campaign.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", said(&output));
    assert!(said(&output).contains("phasetune run"), "{}", said(&output));
    let before = journal(&bed);
    assert!(before.len() >= 3);
    bed.report();
    assert_each_block_once(&bed, &before);
}

#[test]
fn a_full_disk_is_said_and_what_is_written_stays_whole() {
    let bed = Bed::new(PLAN);
    // A file that cannot grow stands for a disk without room: both end a write in the middle of a line. 16 blocks are 8 KiB.
    let limited = format!(
        "trap '' XFSZ; ulimit -f 16; exec '{}' run plan.yaml",
        env!("CARGO_BIN_EXE_phasetune")
    );
    let output = std::process::Command::new("sh")
        .args(["-c", &limited])
        .current_dir(bed.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let message = said(&output);
    assert!(
        message.contains("journal.jsonl") && message.contains("too large"),
        "{message}"
    );
    let text = std::fs::read_to_string(bed.run_folder().join("journal.jsonl")).unwrap();
    assert!(text.ends_with('\n'), "half a line is left");
    let before = journal(&bed);
    assert!(before.len() >= 3, "{text}");
    bed.report();
    assert_each_block_once(&bed, &before);
}
