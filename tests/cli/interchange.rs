//! Other tuners' files as a user meets them: imported, exported, replayed.
use super::{command, phasetune, refused, said, text};
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;

fn json_of(folder: &Path, arguments: &[&str]) -> Value {
    serde_json::from_str(&said(folder, arguments)).unwrap()
}

/// Configurations of the cache below: x, y, mode and what came of it.
fn measured() -> Vec<(i64, i64, &'static str, Result<f64, &'static str>)> {
    let mut all = vec![];
    for x in [1, 2, 4, 8, 16, 32] {
        for y in 0..12 {
            for mode in ["plain", "fused"] {
                if x * y > 200 {
                    continue;
                }
                let m = i64::from(mode == "fused");
                let error = match (x * 5 + y * 3 + m) % 29 {
                    0 => Some("RuntimeFailedConfig"),
                    1 => Some("CompilationFailedConfig"),
                    2 if x > 4 => Some("InvalidConfig"),
                    _ => None,
                };
                let bowl = ((x - 8) * (x - 8) + 3 * (y - 5) * (y - 5)) as f64 / 7.0;
                let value = 1.3 + bowl + 0.37 * m as f64;
                all.push((x, y, mode, error.map_or(Ok(value), Err)));
            }
        }
    }
    all
}

/// As Kernel Tuner lays it out; closed by `end`.
fn cache(end: &str) -> String {
    let mut out = String::from(
        "{\n\"device_name\": \"Test GPU\",\n\"kernel_name\": \"bowl\",\n\"problem_size\": [\n4096,\n4096\n],\n\
         \"tune_params_keys\": [\n\"x\",\n\"y\",\n\"mode\"\n],\n\
         \"tune_params\": {\n\"x\": [\n1,\n2,\n4,\n8,\n16,\n32\n],\n\"y\": [\n0,\n1,\n2,\n3,\n4,\n5,\n6,\n7,\n8,\n9,\n10,\n11\n],\n\
         \"mode\": [\n\"plain\",\n\"fused\"\n]\n},\n\"objective\": \"time\",\n\"cache\": {",
    );
    let entries: Vec<String> = (measured().into_iter().enumerate())
        .map(|(i, (x, y, mode, outcome))| {
            let compile = 100.0 + (i % 13) as f64 / 3.0;
            let (value, more) = match outcome {
                Ok(v) => (
                    json!(v),
                    format!(
                        "\"times\": [{}, {}, {}], \"GFLOP/s\": {}, ",
                        json!(v * 1.01),
                        json!(v),
                        json!(v * 0.99),
                        json!(1e3 / v)
                    ),
                ),
                Err(error) => (json!(error), String::new()),
            };
            format!(
                "\n\"{x},{y},{mode}\": {{\"x\": {x}, \"y\": {y}, \"mode\": \"{mode}\", \"time\": {value}, {more}\
                 \"compile_time\": {compile}, \"verification_time\": 0, \"benchmark_time\": {}, \
                 \"timestamp\": \"2023-12-22 09:53:{:02}.{:06}+00:00\"}}",
                50.5 + x as f64,
                i % 60,
                i * 7 % 1_000_000
            )
        })
        .collect();
    out.push_str(&entries.join(","));
    out + end
}

fn folder_with(name: &str, content: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(name), content).unwrap();
    folder
}

/// Every number as a float: 0 and 0.0 are one number.
fn leveled(value: &Value) -> Value {
    match value {
        Value::Number(n) => json!(n.as_f64()),
        Value::Array(items) => items.iter().map(leveled).collect(),
        Value::Object(map) => (map.iter()).map(|(k, v)| (k.clone(), leveled(v))).collect(),
        other => other.clone(),
    }
}

/// Imports a file and exports the run again.
fn there_and_back(folder: &Path, file: &str, format: &str) -> String {
    let run = json_of(folder, &["import", file, "--json"]);
    let run = run["results"].as_str().unwrap();
    said(folder, &["export", run, "--format", format])
}

#[test]
fn a_cache_goes_through_a_run_and_comes_back_the_same() {
    let folder = folder_with("bowl.json", &cache("}\n}"));
    let back = there_and_back(folder.path(), "bowl.json", "kernel-tuner");
    let before: Value = serde_json::from_str(&cache("}\n}")).unwrap();
    let after: Value = serde_json::from_str(&back).unwrap();
    assert_eq!(leveled(&after), leveled(&before));
    // In the layout of the tool's own, and the entries in their order.
    let lines = |text: &str| -> Vec<String> {
        let all = text
            .lines()
            .map(|line| line.split(": {").next().unwrap().to_owned());
        all.collect()
    };
    assert_eq!(lines(back.trim_end()), lines(&cache("}\n}")));
}

#[test]
fn a_cache_that_was_left_open_or_torn_is_read_as_far_as_it_goes() {
    let whole: Value = serde_json::from_str(&cache("}\n}")).unwrap();
    let all = whole["cache"].as_object().unwrap().len();
    let torn = cache(",\n\"99,9,plain\": {\"x\": 99, \"ti");
    for (content, note) in [
        (cache(""), false),
        (cache(","), false),
        (cache(",\n"), false),
        (torn, true),
    ] {
        let folder = folder_with("bowl.json", &content);
        let output = phasetune(folder.path(), &["import", "bowl.json", "--json"]);
        let found: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(found["configurations"], all);
        assert_eq!(text(&output.stderr).contains("torn"), note);
    }
}

#[test]
fn a_packed_cache_is_read_like_an_open_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = std::fs::File::create(folder.path().join("bowl.json.gz")).unwrap();
    let mut packed = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
    packed.write_all(cache("}\n}").as_bytes()).unwrap();
    packed.finish().unwrap();
    let found = json_of(folder.path(), &["import", "bowl.json.gz", "--json"]);
    let failed = measured().iter().filter(|m| m.3.is_err()).count();
    assert_eq!(found["without_value"], failed);
}

#[test]
fn t4_goes_through_a_run_and_comes_back_the_same() {
    let results: Vec<Value> = (measured().into_iter().enumerate())
        .map(|(i, (x, y, mode, outcome))| {
            let invalidity = match outcome {
                Ok(_) => "correct",
                // The five words of the schema, three of which Kernel Tuner writes.
                Err(_) => [
                    "compile",
                    "runtime",
                    "constraints",
                    "timeout",
                    "correctness",
                ][i % 5],
            };
            let mut times =
                json!({ "compilation_time": 100.25 + i as f64 / 3.0, "validation": 0.0 });
            let mut measurements = json!([]);
            if let Ok(value) = outcome {
                times["runtimes"] = json!([value * 1.01, value]);
                measurements = json!([
                    { "name": "time", "value": value, "unit": "ms" },
                    { "name": "GFLOP/s", "value": 1e3 / value, "unit": "" },
                ]);
            }
            if invalidity == "correctness" {
                measurements = json!([{ "name": "time", "value": 0.5, "unit": "ms" }]);
            }
            json!({
                "timestamp": format!("2023-12-22 09:53:48.{i:06}+00:00"),
                "configuration": { "x": x, "y": y, "mode": mode },
                "times": times,
                "invalidity": invalidity,
                "correctness": i32::from(outcome.is_ok()),
                "measurements": measurements,
                "objectives": ["time"],
            })
        })
        .collect();
    let file = json!({
        "schema_version": "1.0.0",
        "metadata": { "timeunit": "milliseconds" },
        "results": results,
    });
    let folder = folder_with("bowl.T4.json", &file.to_string());
    let back = there_and_back(folder.path(), "bowl.T4.json", "t4");
    let after: Value = serde_json::from_str(&back).unwrap();
    let (after, before) = (leveled(&after), leveled(&file));
    assert_eq!(after["results"].as_array().unwrap().len(), results.len());
    let pairs = after["results"]
        .as_array()
        .unwrap()
        .iter()
        .zip(before["results"].as_array().unwrap());
    for (after, before) in pairs {
        assert_eq!(after, before);
    }
    assert_eq!(after, before);
}

#[test]
fn the_report_of_an_imported_run_claims_nothing() {
    let folder = folder_with("bowl.json", &cache("}\n}"));
    said(folder.path(), &["import", "bowl.json"]);
    said(folder.path(), &["report", "bowl"]);
    let report =
        std::fs::read_to_string(folder.path().join("reports/bowl/results_summary.md")).unwrap();
    for expected in [
        "Imported from bowl.json (Kernel Tuner cache)",
        "Test GPU",
        "recorded, not compared",
        "The least median on record: x=8, y=5, mode=plain, 1.300 ms",
        "11 without (2 constraints, 4 compile, 5 runtime)",
        "phasetune import bowl.json",
    ] {
        assert!(report.contains(expected), "{expected} is not in\n{report}");
    }
    for claim in ["as fast as", "screened out by the race", "not complete"] {
        assert!(!report.contains(claim), "{claim} is in\n{report}");
    }
}

#[test]
fn csv_has_a_row_a_configuration() {
    let folder = folder_with("bowl.json", &cache("}\n}"));
    let table = there_and_back(folder.path(), "bowl.json", "csv");
    let mut lines = table.lines();
    assert_eq!(
        lines.next().unwrap(),
        "x,y,mode,time,invalidity,times,GFLOP/s,compile_time,verification_time,benchmark_time,timestamp"
    );
    assert_eq!(lines.count(), measured().len());
    assert!(table.contains("runtime,,"), "{table}");
}

#[test]
fn scores_are_those_of_the_common_yardstick() {
    let folder = folder_with("bowl.json", &cache("}\n}"));
    let found = json_of(
        folder.path(),
        &[
            "simulate",
            "bowl.json",
            "--strategy",
            "exhaustive",
            "--repeats",
            "2",
            "--traces",
            "t.jsonl",
            "--json",
        ],
    );
    // mkdir d; cp bowl.json d; python shared/tools/score_search.py --data d t.jsonl --json s.json
    let all = &found["strategies"][0]["all"];
    let close = |found: &Value, expected: f64| {
        let found = found.as_f64().unwrap();
        assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
    };
    close(&all["evaluations"]["score"], PINNED.0);
    close(&all["time"]["score"], PINNED.1);
    close(&all["share_of_optimum"]["25"], PINNED.2);
    close(&all["share_of_optimum"]["50"], PINNED.3);
}

/// Scores by evaluations and by time, shares of the optimum at 25 and 50.
const PINNED: (f64, f64, f64, f64) = (
    -4.324_605_143_744_193_5,
    -4.157_778_434_830_545,
    0.156_626_506_024_096_4,
    0.201_773_835_920_177_4,
);

#[test]
fn traces_are_the_same_for_any_number_of_threads_and_say_what_failed() {
    let folder = folder_with("bowl.json", &cache("}\n}"));
    let traces = |threads: &str| {
        let mut command = command(
            folder.path(),
            &[
                "simulate",
                "bowl.json",
                "--strategy",
                "random,exhaustive",
                "--seed",
                "7",
            ],
        );
        command.env("RAYON_NUM_THREADS", threads);
        command.args([
            "--repeats",
            "9",
            "--evaluations",
            "40",
            "--traces",
            "t.jsonl",
        ]);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        let lines = std::fs::read_to_string(folder.path().join("t.jsonl")).unwrap();
        (lines, text(&output.stdout))
    };
    let (one, table) = traces("1");
    assert_eq!(traces("5"), (one.clone(), table.clone()));
    assert_eq!(one.lines().count(), 2 * 9 * 40);
    let known = measured();
    let mut failed = 0;
    for line in one.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let (x, y) = (&line["config"]["x"], &line["config"]["y"]);
        let entry = known
            .iter()
            .find(|m| *x == m.0 && *y == m.1 && line["config"]["mode"] == m.2);
        assert_eq!(line["value"].as_f64(), entry.unwrap().3.ok(), "{line}");
        assert_eq!(
            line["value"].is_null(),
            line["invalid"].is_string(),
            "{line}"
        );
        assert!(line["cost_s"].as_f64().unwrap() > 0.1);
        failed += usize::from(line["value"].is_null());
    }
    assert!(failed > 0);
    for expected in [
        "bowl: ",
        "| strategy ",
        "| exhaustive ",
        "| random ",
        "optimum at 200",
    ] {
        assert!(table.contains(expected), "{table}");
    }
}

#[test]
fn an_imported_run_replays_like_its_file() {
    let folder = folder_with("bowl.json", &cache("}\n}"));
    said(folder.path(), &["import", "bowl.json"]);
    let traces = |cache: &str| {
        let arguments = [
            "simulate",
            cache,
            "--strategy",
            "random",
            "--repeats",
            "3",
            "--traces",
            "t.jsonl",
        ];
        let table = said(folder.path(), &arguments);
        (
            table,
            std::fs::read_to_string(folder.path().join("t.jsonl")).unwrap(),
        )
    };
    assert_eq!(traces("bowl"), traces("bowl.json"));
}

#[test]
fn a_sweep_of_our_own_is_a_recorded_space() {
    let plan = "\
name: own
workload: {command: [sh, -c, 'test {ms} -ne 3 && sleep 0.00{ms}']}
protocol: {blocks: {min: 8, max: 8}, warmup: 1}
baseline: {ms: 5}
phases:
  - {phase: nap, kind: tiling, sweep: {ms: [1, 2, 3, 4, 5]}}
";
    let folder = folder_with("p.yaml", plan);
    let run = phasetune(folder.path(), &["run", "p.yaml", "--quiet"]);
    assert!(run.status.success(), "{}", text(&run.stderr));
    let arguments = [
        "simulate",
        "own",
        "--strategy",
        "exhaustive",
        "--repeats",
        "1",
        "--traces",
        "t.jsonl",
        "--json",
    ];
    let found = json_of(folder.path(), &arguments);
    assert_eq!(found["spaces"][0]["name"], "own/nap");
    assert_eq!(found["spaces"][0]["configurations"], 5);
    assert_eq!(found["spaces"][0]["valid"], 4);
    let t4: Value =
        serde_json::from_str(&said(folder.path(), &["export", "own", "--format", "t4"])).unwrap();
    let results = t4["results"].as_array().unwrap();
    let failed: Vec<_> = results
        .iter()
        .filter(|r| r["invalidity"] != "correct")
        .collect();
    assert_eq!(failed.len(), 1, "{t4}");
    assert_eq!(
        (&failed[0]["configuration"]["ms"], &failed[0]["correctness"]),
        (&json!(3), &json!(0))
    );
    let best = results
        .iter()
        .find(|r| r["configuration"]["ms"] == 1)
        .unwrap();
    assert!(best["times"]["runtimes"].as_array().unwrap().len() >= 8);
    let time = best["measurements"]
        .as_array()
        .unwrap()
        .iter()
        .find(|m| m["name"] == "time")
        .unwrap();
    assert!(
        (1.0..100.0).contains(&time["value"].as_f64().unwrap()),
        "{time}"
    );
    // What we write, we read.
    let cache = said(
        folder.path(),
        &["export", "own", "--format", "kernel-tuner"],
    );
    std::fs::write(folder.path().join("own.json"), cache).unwrap();
    assert_eq!(
        json_of(folder.path(), &["import", "own.json", "--json"])["configurations"],
        5
    );
}

const T1: &str = r#"{
 "General": {"BenchmarkName": "Bowl", "OutputFormat": "JSON"},
 "ConfigurationSpace": {
  "TuningParameters": [
   {"Name": "block_size_x", "Type": "int", "Values": "[1, 2, 4] + list(range(32, 128+1, 32))", "Default": 64},
   {"Name": "block_size_y", "Type": "int", "Values": "[2**i for i in range(0, 6)]", "Default": 3},
   {"Name": "mode", "Type": "string", "Values": "['plain', 'fused']"}
  ],
  "Conditions": [{"Expression": "32 <= block_size_x*block_size_y <= 1024", "Parameters": ["block_size_x"]}]
 },
 "Search": {"Name": "random"},
 "Budget": [{"Type": "ConfigurationCount", "BudgetValue": 30}, {"Type": "TuningDuration", "BudgetValue": 90}],
 "KernelSpecification": {
  "Language": "CUDA", "KernelName": "bowl_kernel", "KernelFile": "bowl.cu", "CompilerOptions": ["-std=c++11"],
  "LocalSize": {"X": "block_size_x", "Y": "block_size_y", "Z": "1"},
  "GlobalSize": {"X": "4096 // block_size_x", "Y": "1", "Z": "1"}, "Stream": null,
  "Arguments": [{"Name": "out", "Type": "float", "MemoryType": "Vector", "FillType": "Constant", "FillValue": 0.0, "Size": 4096}]
 }
}"#;

#[test]
fn t1_becomes_a_plan_with_its_kernel() {
    let folder = folder_with("bowl.json", T1);
    let output = phasetune(folder.path(), &["import", "bowl.json"]);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(
        out.contains("3 parameters, 1 restriction, 50 configurations of 84"),
        "{out}"
    );
    assert!(
        err.contains("the default 3 of `block_size_y` is none of its values"),
        "{err}"
    );
    let plan = std::fs::read_to_string(folder.path().join("experiments/bowl.yaml")).unwrap();
    let expected = r#"# Made by `phasetune import` from bowl.json (T1).
name: bowl
title: "Bowl"
workload:
  kernel:
    entry: "bowl_kernel"
    cuda: "../bowl.cu"
    options: ["-std=c++11"]
    block: ["block_size_x", "block_size_y"]
    grid: ["4096 // block_size_x"]
    arguments:
      "out": {type: f32, shape: [4096], fill: {constant: 0.0}}
baseline: {"block_size_x": 64, "block_size_y": 1, "mode": "plain"}
phases:
  - phase: search
    kind: tiling
    search:
      strategy: random
      parameters:
        "block_size_x": [1, 2, 4, 32, 64, 96, 128]
        "block_size_y": [1, 2, 4, 8, 16, 32]
        "mode": ["plain", "fused"]
      restrictions:
        - "32 <= block_size_x*block_size_y <= 1024"
      budget: {evaluations: 30, time: 90s}
"#;
    assert_eq!(plan, expected);
    let shown = said(folder.path(), &["check", "bowl"]);
    assert!(
        shown.contains("kernel bowl_kernel of ../bowl.cu") && shown.contains("30"),
        "{shown}"
    );
    // Its source is not beside the file that was imported.
    assert!(
        shown.contains("warning: there is no kernel ") && shown.contains("../bowl.cu now"),
        "{shown}"
    );
    // A plan that is there is somebody's work.
    let (status, why) = refused(folder.path(), &["import", "bowl.json"]);
    assert!(status == 1 && why.contains("is there already"), "{why}");
}

#[test]
fn mistakes_are_answered_with_what_to_do() {
    let folder = folder_with("bowl.json", &cache("}\n}"));
    let file =
        |name: &str, content: &str| std::fs::write(folder.path().join(name), content).unwrap();
    file("t1.json", T1);
    file("other.json", "{\"a\": 1, \"b\": 2}");
    file("broken.json", "{\"a\": 1,\n ?");
    file("wrong.json", &T1.replace("<= 1024", "<= block_size_w"));
    file(
        "eval.json",
        &T1.replace("['plain', 'fused']", "__import__('os').listdir()"),
    );
    let larger = cache("}\n}").replace("\"time\"", "\"GB/s\"");
    file("larger.json", &larger);
    for (arguments, status, expected) in [
        (
            &["simulate", "bowl.json", "--strategy", "radnom"][..],
            2,
            "did you mean random?",
        ),
        (&["simulate", "bowl.json", "--repeats", "0"], 2, "0"),
        (&["simulate"], 2, "<CACHE>"),
        (&["simulate", "t1.json"], 1, "no results to replay"),
        (
            &["simulate", "bowl.json", "bowl.json"],
            1,
            "two of the spaces are called bowl",
        ),
        (&["simulate", "nothing.json"], 1, "nothing.json"),
        (&["simulate", "larger.json"], 1, "of which more is better"),
        (&["import", "other.json"], 1, "its keys are a, b"),
        (&["import", "broken.json"], 1, "line 2"),
        (&["import", "nothing.json"], 1, "cannot be read"),
        (
            &["import", "bowl.json", "--output", "x.yaml"],
            1,
            "--output is for T1",
        ),
        (
            &["import", "wrong.json"],
            1,
            "unknown parameter `block_size_w`",
        ),
        (&["import", "eval.json"], 1, "a list is missing"),
        (
            &["export", "nothing", "--format", "t4"],
            1,
            "there are no runs",
        ),
        (&["export", "nothing", "--format", "t5"], 2, "t4"),
    ] {
        let (found, message) = refused(folder.path(), arguments);
        assert_eq!(found, status, "{arguments:?}: {message}");
        assert!(message.contains(expected), "{arguments:?}: {message}");
    }
}
