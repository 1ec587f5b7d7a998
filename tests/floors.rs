//! The house has floors: a module uses only what is below it. The compiler does not check that inside one crate; this does.
#![allow(clippy::disallowed_methods, reason = "reads the sources")]
use std::collections::BTreeMap;
use std::path::Path;

/// Which modules each may use. Read from the ground up; a new arrow is a decision, so it is a line in a diff.
const MAY_USE: &[(&str, &[&str])] = &[
    ("value", &[]),
    ("array", &[]),
    ("diagnostic", &[]),
    ("trial", &["value"]),
    ("space", &["value"]),
    ("stats", &["trial"]),
    ("accuracy", &["array"]),
    ("search", &["value", "space"]),
    (
        "plan",
        &["value", "diagnostic", "space", "accuracy", "search"],
    ),
    ("trace", &[]),
    ("device", &["value", "trial", "plan"]),
    (
        "workload",
        &[
            "value", "array", "trial", "accuracy", "space", "plan", "trace", "device",
        ],
    ),
    (
        "measure",
        &[
            "value", "array", "trial", "accuracy", "space", "plan", "trace", "device", "workload",
        ],
    ),
    ("record", &["value", "trial", "space", "plan", "stats"]),
    (
        "interchange",
        &[
            "value", "trial", "space", "plan", "stats", "search", "record",
        ],
    ),
    (
        "worker",
        &[
            "value", "trial", "plan", "trace", "device", "workload", "measure",
        ],
    ),
    (
        "campaign",
        &[
            "value", "trial", "space", "plan", "search", "stats", "accuracy", "trace", "device",
            "measure", "worker", "record",
        ],
    ),
    (
        "report",
        &[
            "value", "trial", "space", "plan", "stats", "accuracy", "record",
        ],
    ),
];

#[test]
fn modules_use_only_the_floors_below() {
    let table: BTreeMap<_, _> = MAY_USE.iter().copied().collect();
    let mut wrong = vec![];
    visit(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("src").as_path(),
        &mut |path, text| {
            let relative = path
                .strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src"))
                .unwrap();
            let module = relative
                .components()
                .next()
                .unwrap()
                .as_os_str()
                .to_str()
                .unwrap()
                .trim_end_matches(".rs");
            let Some(allowed) = table.get(module) else {
                return;
            }; // cli, main, lib: the top
            for (number, line) in text.lines().enumerate() {
                let code = line.split("//").next().unwrap_or("");
                for used in code.split("crate::").skip(1).map(|rest| {
                    rest.split(|c: char| !c.is_alphanumeric() && c != '_')
                        .next()
                        .unwrap_or("")
                }) {
                    if used.is_empty() {
                        wrong.push(format!("{}:{}: name one module per `use crate::` so that the floors can be checked", relative.display(), number + 1));
                    } else if used != module && !allowed.contains(&used) {
                        wrong.push(format!(
                            "{}:{}: `{module}` may not use `{used}`",
                            relative.display(),
                            number + 1
                        ));
                    }
                }
            }
        },
    );
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_floors_have_no_cycle() {
    let mut below: Vec<&str> = vec![];
    for (module, uses) in MAY_USE {
        for used in *uses {
            assert!(
                below.contains(used),
                "`{module}` uses `{used}`, which is not below it in the table"
            );
        }
        below.push(module);
    }
}

fn visit(folder: &Path, see: &mut dyn FnMut(&Path, &str)) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            visit(&path, see);
        } else if path.extension().is_some_and(|e| e == "rs") {
            see(&path, &std::fs::read_to_string(&path).unwrap());
        }
    }
}
