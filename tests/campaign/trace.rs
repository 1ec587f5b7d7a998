//! `--trace FILE`: what a viewer is given, also of a campaign that was killed.
use super::{Bed, said};
use serde_json::Value;
use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;

const BUILTIN: &str = "
name: t
workload: {builtin: beamform3d, problem: {preset: tiny}}
protocol: {blocks: {min: 8, max: 8}, warmup: 1, time_limit: 20s}
baseline: {fusion: fused}
phases:
  - phase: baseline
    kind: baseline
  - phase: vectors
    kind: architecture
    variants: {portable: {simd: portable}}
";

const COMMAND: &str = "
name: t
workload:
  command: [sleep, '{seconds}']
protocol: {blocks: {min: 8, max: 8}, warmup: 1}
baseline: {seconds: '0.02'}
phases:
  - phase: shorter
    kind: quality
    variants: {'<half>': {seconds: '0.01'}}
";

fn events(text: &str) -> Vec<Value> {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}\n{text}"))
}

/// Complete events of a thread: name, start, end in nanoseconds, the whole.
type Spans<'a> = Vec<(&'a str, i64, i64, &'a Value)>;

/// Of each (process, thread) by its name; the process is 1 for the campaign.
fn threads(events: &[Value]) -> BTreeMap<(i64, String), Spans<'_>> {
    let names: BTreeMap<(i64, i64), String> = events
        .iter()
        .filter(|e| e["ph"] == "M" && e["name"] == "thread_name")
        .map(|e| {
            let at = (e["pid"].as_i64().unwrap(), e["tid"].as_i64().unwrap());
            (at, e["args"]["name"].as_str().unwrap().to_owned())
        })
        .collect();
    let mut all: BTreeMap<_, Spans<'_>> = BTreeMap::new();
    for event in events.iter().filter(|e| e["ph"] == "X") {
        let number = |key: &str| event[key].as_f64().unwrap();
        let nanoseconds = |us: f64| (us * 1e3).round() as i64;
        let at = (number("pid") as i64, number("tid") as i64);
        let (start, length) = (nanoseconds(number("ts")), nanoseconds(number("dur")));
        assert!(start >= 0 && length >= 0, "{event}");
        all.entry((at.0, names[&at].clone())).or_default().push((
            event["name"].as_str().unwrap(),
            start,
            start + length,
            event,
        ));
    }
    all
}

/// On one thread, two spans lie inside one another or apart: what a viewer draws as a stack.
fn assert_nested(spans: &Spans<'_>) {
    let mut sorted: Vec<_> = spans.iter().map(|&(n, s, e, _)| (s, -e, n)).collect();
    sorted.sort_unstable();
    let mut open: Vec<(i64, &str)> = vec![];
    for (start, minus_end, name) in sorted {
        open.retain(|(end, _)| *end > start);
        for (end, around) in &open {
            assert!(-minus_end <= *end, "{name} at {start} leaves {around}");
        }
        open.push((-minus_end, name));
    }
}

#[test]
fn a_trace_has_phases_blocks_cells_samples_and_stages_where_they_were() {
    let bed = Bed::new(BUILTIN);
    let output = bed.run(&["run", "plan.yaml", "--trace", "trace.json"]);
    assert!(
        matches!(output.status.code(), Some(0 | 3 | 4)),
        "{}",
        said(&output)
    );
    let text = std::fs::read_to_string(bed.path().join("trace.json")).unwrap();
    let events = events(&text);
    let threads = threads(&events);
    threads.values().for_each(assert_nested);
    let campaign = &threads[&(1, "campaign".to_owned())];
    for name in [
        "campaign",
        "phase baseline",
        "phase vectors",
        "check portable",
        "screen block 0",
    ] {
        assert!(campaign.iter().any(|s| s.0 == name), "{name}\n{text}");
    }
    // A worker's clock is put onto the campaign's as well as its answers were quick.
    let mut samples = 0;
    for worker in campaign
        .iter()
        .filter_map(|s| s.0.strip_prefix("start worker "))
    {
        let start = campaign
            .iter()
            .find(|s| s.0 == format!("start worker {worker}"));
        let within = start.unwrap().3["args"]["clock_within_us"]
            .as_f64()
            .unwrap();
        let slack = (within * 1e3) as i64 + 2;
        let process = worker.parse::<i64>().unwrap() + 1;
        let Some(measuring) = threads.get(&(process, "measuring".to_owned())) else {
            continue; // It only made the expected output.
        };
        let orders = campaign
            .iter()
            .filter(|s| s.0.starts_with("check") || s.0.contains("block"));
        let orders: Vec<_> = orders.collect();
        for (name, start, end, _) in measuring {
            let inside = orders
                .iter()
                .any(|o| o.1 - slack <= *start && *end <= o.2 + slack);
            assert!(inside, "{name} of worker {worker} is in no order");
        }
        let stages = threads.get(&(process, "stages".to_owned()));
        let of_samples: Vec<_> = (measuring.iter())
            .filter(|s| s.0 == "sample" || s.0 == "warm-up")
            .collect();
        samples += of_samples.iter().filter(|s| s.0 == "sample").count();
        for (name, start, end, _) in stages.into_iter().flatten() {
            let inside = of_samples.iter().any(|s| s.1 <= *start && *end <= s.2);
            assert!(inside, "stage {name} of worker {worker} is in no sample");
        }
        if !of_samples.is_empty() {
            assert!(stages.is_some_and(|s| !s.is_empty()), "worker {worker}");
        }
    }
    // Every block has its reference; how many confirm is the campaign's affair.
    let blocks = campaign.iter().filter(|s| s.0.contains(" block ")).count();
    let cells = |name: &str| {
        let measuring = threads
            .iter()
            .filter(|((_, thread), _)| thread == "measuring");
        measuring
            .flat_map(|(_, spans)| spans)
            .filter(|s| s.0 == name)
            .count()
    };
    assert_eq!(cells("reference"), blocks);
    assert!(cells("portable") >= 8 && samples >= blocks + 8, "{samples}");
}

#[test]
fn a_campaign_that_is_killed_leaves_a_trace_that_opens() {
    let bed = Bed::new(COMMAND);
    let mut child = bed
        .command(&["run", "plan.yaml", "--trace", "trace.json"])
        .spawn()
        .unwrap();
    let path = bed.path().join("trace.json");
    let seen = || std::fs::read_to_string(&path).unwrap_or_default();
    while !seen().contains("screen block 2") {
        assert!(child.try_wait().unwrap().is_none(), "{}", seen());
        std::thread::yield_now();
    }
    child.kill().unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(9));
    let text = seen();
    assert!(!text.trim_end().ends_with(']'), "it was killed: {text}");
    let events = events(&format!("{text}]"));
    threads(&events).values().for_each(assert_nested);
    assert!(events.iter().any(|e| e["name"] == "<half>"), "{text}");
    // Going on, it is written anew, to its end.
    let output = bed.run(&["run", "plan.yaml", "--trace", "trace.json"]);
    assert!(
        matches!(output.status.code(), Some(0 | 3 | 4)),
        "{}",
        said(&output)
    );
    let all = self::events(&seen());
    threads(&all).values().for_each(assert_nested);
}

#[test]
fn without_the_option_nothing_is_traced_and_a_file_that_cannot_be_made_is_an_error_at_once() {
    let bed = Bed::new(COMMAND);
    let output = bed.run(&["run", "plan.yaml", "--trace", "no/such/folder.json"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said(&output).contains("--trace no/such/folder.json"),
        "{}",
        said(&output)
    );
    assert!(!bed.path().join("results").exists());
    bed.report();
    let left = std::fs::read_dir(bed.path()).unwrap();
    let mut left: Vec<_> = left.map(|e| e.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["plan.yaml", "reports", "results"]);
}
