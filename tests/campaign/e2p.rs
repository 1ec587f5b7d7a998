//! The 360° pipeline through the program itself: its memory, and frames that are broken.
use super::{Bed, said};
use serde_json::Value;

fn plan(problem: &str, more: &str) -> String {
    format!(
        "
name: t
workload: {{builtin: e2p, problem: {{preset: tiny, width: 512, frames: 12{problem}}}}}
protocol: {{blocks: {{min: 8, max: 8}}, warmup: 1, time_limit: 10s, repetitions: 1}}
{more}
baseline: {{batch: 2, streams: overlapped, ring: fixed_4, io_threads: 2, threads: 1}}
phases:
  - phase: baseline
    kind: baseline
"
    )
}

fn trials(bed: &Bed) -> Vec<Value> {
    let output = bed.run(&["run", "plan.yaml", "--json"]);
    assert!(output.status.success(), "{}", said(&output));
    let all: Value = serde_json::from_slice(&output.stdout).unwrap();
    all["trials"].as_array().unwrap().clone()
}

#[test]
fn ten_times_the_frames_take_no_more_memory() {
    let bed = Bed::new(&plan("", "matrix: {problem.frames: [24, 240]}"));
    let peaks: Vec<f64> = (trials(&bed).iter())
        .filter(|trial| trial["id"] == 0)
        .map(|trial| trial["host_peak"].as_f64().unwrap())
        .collect();
    let [few, many] = peaks[..] else {
        panic!("{peaks:?}");
    };
    // What the ring, the batch that is gathered and three slots with their images hold is 14.1 frames of 384 KiB when all are full,
    // which twenty-four frames do not always fill; names and hashes of files are 30 kB.
    let most = 14.5 * 393_216.0;
    assert!(few < most && many < most, "{peaks:?}");
}

/// A folder of whole frames of 64 × 32 pixels, one of which is torn.
fn frames(bed: &Bed, torn: usize) {
    std::fs::create_dir(bed.path().join("frames")).unwrap();
    for k in 0..8_usize {
        let mut bytes = b"P6\n64 32\n255\n".to_vec();
        bytes.extend((0..64 * 32 * 3).map(|i| (i * (k + 3)) as u8));
        if k == torn {
            bytes.truncate(1000);
        }
        std::fs::write(bed.path().join(format!("frames/{k:03}.ppm")), bytes).unwrap();
    }
}

const GIVEN: &str = "
name: t
workload: {builtin: e2p, problem: {images: frames, on_bad_frame: SKIP, cameras: 2, out_width: 32, out_height: 16}}
protocol: {blocks: {min: 8, max: 8}, warmup: 1, time_limit: 10s, repetitions: 1}
baseline: {batch: 2, streams: overlapped, ring: fixed_4, io_threads: 2}
phases:
  - phase: baseline
    kind: baseline
";

#[test]
fn a_torn_frame_is_named_in_the_records_or_ends_the_run_where_the_plan_says_so() {
    let bed = Bed::new(&GIVEN.replace("SKIP", "skip"));
    frames(&bed, 5);
    let trial = &trials(&bed)[0];
    let metric = |name: &str| {
        let all = trial["metrics"].as_array().unwrap();
        let found = all.iter().find(|pair| pair[0] == name);
        found.map(|pair| pair[1].as_f64().unwrap())
    };
    assert_eq!(metric("failed_frames"), Some(1.0), "{trial}");
    assert_eq!(metric("failed 005.ppm"), Some(5.0), "{trial}");
    let bed = Bed::new(&GIVEN.replace("SKIP", "abort"));
    frames(&bed, 5);
    let output = bed.run(&["run", "plan.yaml"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said(&output).contains("005.ppm: has 987 bytes of pixels"),
        "{}",
        said(&output)
    );
}
