//! One campaign at a time writes to a results folder; a full disk is an error that loses nothing.
use super::{Bed, said};
use std::process::Stdio;
use std::time::{Duration, Instant};

const SLOW: &str = "
name: t
workload: {command: [sleep, '0.{tenths}']}
protocol: {blocks: {min: 8, max: 40}, warmup: 1}
baseline: {tenths: 2}
phases:
  - {phase: nap, kind: algorithm, variants: {longer: {tenths: 3}}}
";

#[test]
fn a_second_run_says_who_holds_the_lock() {
    let bed = Bed::new(SLOW);
    let mut first = bed
        .command(&["run", "plan.yaml"])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let started = Instant::now();
    while !bed.path().join("results/t").exists() && started.elapsed() < Duration::from_secs(20) {
        std::thread::yield_now();
    }
    // The folder is there a moment before its lock.
    let held = loop {
        let second = bed.run(&["run", "plan.yaml"]);
        let text = said(&second);
        if text.contains(&first.id().to_string()) || started.elapsed() > Duration::from_secs(30) {
            break (second.status.code(), text);
        }
    };
    first.kill().unwrap();
    first.wait().unwrap();
    assert_eq!(held.0, Some(1), "{}", held.1);
    assert!(held.1.contains("in use"), "{}", held.1);
}

#[test]
fn a_lock_whose_owner_was_killed_is_no_obstacle() {
    let bed = Bed::new(&SLOW.replace("'0.{tenths}'", "'0.0{tenths}'"));
    let mut first = bed
        .command(&["run", "plan.yaml"])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(300));
    first.kill().unwrap();
    first.wait().unwrap();
    bed.report();
    bed.run_folder();
}
