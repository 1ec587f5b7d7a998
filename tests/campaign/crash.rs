//! Variants that crash, hang, eat memory or answer nonsense are rows with their cause; the campaign ends normally.
use super::{Bed, rows};
use std::time::Instant;

fn plan_with(variants: &str) -> String {
    format!(
        "
name: t
workload:
  command: [sh, work.sh, '{{how}}']
protocol: {{blocks: {{min: 8, max: 8}}, warmup: 1, trial_timeout: 2s}}
baseline: {{how: well}}
phases:
  - phase: trouble
    kind: quality
    variants: {variants}
"
    )
}

const SCRIPT: &str = "case $1 in
well) sleep 0.005 ;;
better) : ;;
segfault) kill -SEGV $$ ;;
hang) sleep 1000 & sleep 1000 ;;
greedy) exec tail /dev/zero ;;
exit) echo 'no such tile' >&2; exit 7 ;;
esac
";

#[test]
fn every_sort_of_trouble_is_a_row_with_its_cause() {
    let bed = Bed::new(&plan_with(
        "{segfault: {how: segfault}, hang: {how: hang}, exit: {how: exit}, better: {how: better}}",
    ));
    bed.file("work.sh", SCRIPT);
    let started = Instant::now();
    let report = bed.report();
    assert!(started.elapsed().as_secs() < 60);
    let row = |name: &str| rows(&report, name).join("\n");
    assert!(row("segfault").contains("crashed"), "{report}");
    assert!(row("hang").contains("timed out"), "{report}");
    assert!(row("exit").contains("failed"), "{report}");
    assert!(row("better").contains("faster"), "{report}");
    assert!(
        report.contains("segmentation fault") && report.contains("no such tile"),
        "{report}"
    );
    let stray = std::process::Command::new("pgrep")
        .args(["-fx", "sleep 1000"])
        .output()
        .unwrap();
    assert!(
        stray.stdout.is_empty(),
        "a hanging variant left its children running"
    );
}

#[test]
fn a_variant_that_allocates_without_end_is_over_the_limit() {
    let plan = plan_with("{greedy: {how: greedy}}")
        .replace("baseline:", "limits: {peak_memory: 300 MiB}\nbaseline:");
    let bed = Bed::new(&plan.replace("trial_timeout: 2s", "trial_timeout: 30s"));
    bed.file("work.sh", SCRIPT);
    let report = bed.report();
    assert!(
        rows(&report, "greedy").join("\n").contains("over limit"),
        "{report}"
    );
}

#[test]
fn a_variant_that_answers_nan_is_inaccurate() {
    let bed = Bed::new(
        "
name: t
workload:
  command: [cp, '{which}.npy', out.npy]
  output: out.npy
accuracy: {against: baseline, limits: {nrmse: 1e-3}}
protocol: {blocks: {min: 8, max: 8}, warmup: 1}
baseline: {which: good}
phases:
  - phase: answers
    kind: quality
    variants: {nonsense: {which: nan}, close: {which: close}}
",
    );
    npy(&bed, "good", [1.0, 2.0, 3.0, 4.0]);
    npy(&bed, "close", [1.0, 2.0, 3.0, 4.000_001]);
    npy(&bed, "nan", [1.0, f32::NAN, 3.0, 4.0]);
    let report = bed.report();
    assert!(
        rows(&report, "nonsense").join("\n").contains("inaccurate"),
        "{report}"
    );
    assert!(
        !rows(&report, "close").join("\n").contains("inaccurate"),
        "{report}"
    );
}

/// A version 1.0 `.npy` of four floats.
fn npy(bed: &Bed, name: &str, values: [f32; 4]) {
    let mut header = "{'descr': '<f4', 'fortran_order': False, 'shape': (4,), }".to_owned();
    while !(10 + header.len() + 1).is_multiple_of(64) {
        header.push(' ');
    }
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(values.iter().flat_map(|v| v.to_le_bytes()));
    std::fs::write(bed.path().join(format!("{name}.npy")), bytes).unwrap();
}

#[test]
fn a_baseline_that_does_not_run_ends_the_campaign_and_says_why() {
    let bed = Bed::new(&plan_with("{better: {how: better}}").replace("how: well", "how: exit"));
    bed.file("work.sh", SCRIPT);
    let output = bed.run(&["run", "plan.yaml"]);
    assert_eq!(output.status.code(), Some(1));
    let said = super::said(&output);
    assert!(
        said.contains("reference") && said.contains("no such tile"),
        "{said}"
    );
}
