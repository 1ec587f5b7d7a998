//! What it takes to run this again.
use crate::record::Run;
use crate::report::Piece;

pub(in crate::report) fn section(run: &Run) -> Vec<Piece> {
    let environment = &run.header.environment;
    let git = match &environment.git {
        Some(git) => {
            let dirty = if git.is_dirty {
                ", with uncommitted changes"
            } else {
                ""
            };
            format!(
                "{}{}{dirty}",
                git.commit,
                git.branch
                    .as_ref()
                    .map_or_else(String::new, |b| format!(" ({b})"))
            )
        }
        None => "not in a git repository".into(),
    };
    let caches: Vec<String> = environment
        .caches
        .iter()
        .map(|(n, b)| format!("{n} {}", crate::value::Bytes(*b)))
        .collect();
    let rows = [
        ("Run", run.header.run_id.clone()),
        ("Started", environment.started_at.clone()),
        ("Commit", git),
        ("Plan", run.header.plan_path.clone()),
        ("Tool", format!("phasetune {}", environment.tool_version)),
        ("Host", environment.host.clone()),
        (
            "System",
            format!("{}, Linux {}", environment.os, environment.kernel),
        ),
        (
            "Processor",
            format!("{}, {} cores", environment.cpu, environment.cores),
        ),
        ("Caches", caches.join(", ")),
        ("Memory", environment.memory.to_string()),
        ("SIMD", environment.features.join(" ")),
        (
            "Governor",
            environment
                .governor
                .clone()
                .unwrap_or_else(|| "not exposed".into()),
        ),
        (
            "Load at start",
            environment
                .load_average
                .map_or_else(|| "unknown".into(), |l| format!("{l:.2}")),
        ),
    ];
    let command = format!("phasetune {}", run.header.command_line.join(" "));
    vec![
        Piece::Heading(2, "How to reproduce".into()),
        Piece::Code {
            language: "sh",
            text: command,
        },
        Piece::Table {
            header: vec!["What".into(), "Value".into()],
            rows: rows
                .into_iter()
                .map(|(a, b)| vec![a.to_owned(), b])
                .collect(),
        },
    ]
}
