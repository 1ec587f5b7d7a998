//! What it takes to run this again.
use crate::plan::{Cache, DeviceChoice, Plan, WorkloadChoice};
use crate::record::{Environment, Run};
use crate::report::{Piece, Row, columns};
use crate::value::Bytes;

pub(in crate::report) fn section(run: &Run) -> Vec<Piece> {
    let header = &run.header;
    let first = match header.environment.imported {
        Some(_) => "import again",
        None => "measure again",
    };
    let rows = rows(run)
        .into_iter()
        .map(|(a, b)| Row::new(vec![a.to_owned(), b]))
        .collect();
    vec![
        Piece::Heading(2, "How to reproduce".into()),
        Piece::Code {
            language: "sh",
            text: format!(
                "# {first}\n{}\n# this report from its records\nphasetune report {} --run {}",
                command(run),
                header.plan.name,
                header.run_id
            ),
        },
        Piece::Table {
            header: columns(&["What", "Value"]),
            rows,
        },
        Piece::Folded {
            summary: "The plan as it was read".into(),
            pieces: vec![Piece::Code {
                language: "yaml",
                text: header.plan_text.clone(),
            }],
        },
    ]
}

/// As it was typed; words that a shell would split are quoted.
fn command(run: &Run) -> String {
    let words = &run.header.command_line;
    let is_named = words
        .first()
        .is_some_and(|w| w == "phasetune" || w.ends_with("/phasetune"));
    let rest = shell_words::join(words.iter().skip(usize::from(is_named)));
    format!("phasetune {rest}")
}

fn rows(run: &Run) -> Vec<(&'static str, String)> {
    let environment = &run.header.environment;
    let plan = &run.header.plan;
    if let Some(imported) = &environment.imported {
        let known =
            |text: &Option<String>| text.clone().unwrap_or_else(|| "not in the file".into());
        return vec![
            ("Run", run.header.run_id.clone()),
            ("File", imported.file.clone()),
            ("Format", imported.format.clone()),
            ("Recorded", environment.started_at.clone()),
            ("Kernel", known(&imported.kernel)),
            ("Problem", known(&imported.problem)),
            ("Device", known(&imported.device)),
            ("phasetune", environment.tool_version.clone()),
        ];
    }
    let known =
        |text: &Option<String>, otherwise: &str| text.clone().unwrap_or_else(|| otherwise.into());
    let mut rows = vec![
        ("Run", run.header.run_id.clone()),
        ("Started", environment.started_at.clone()),
        ("Commit", commit(environment)),
        ("Plan", run.header.plan_path.clone()),
        ("Seed", plan.protocol.seed.to_string()),
        ("phasetune", environment.tool_version.clone()),
        (
            "System",
            format!("{}, Linux {}", environment.os, environment.kernel),
        ),
        (
            "Processor",
            format!("{}, {} cores", environment.cpu, environment.cores),
        ),
        ("Memory", environment.memory.to_string()),
        ("Governor", known(&environment.governor, "not exposed")),
        (
            "Load at start",
            environment
                .load_average
                .map_or_else(|| "unknown".into(), |l| format!("{l:.2}")),
        ),
    ];
    let caches: Vec<String> = environment
        .caches
        .iter()
        .map(|(n, b)| format!("{n} {}", Bytes(*b)))
        .collect();
    let lists = [
        ("Caches", caches.join(", ")),
        ("SIMD", environment.features.join(" ")),
        ("Devices", environment.devices.join(", ")),
        ("Toolchain", known(&environment.toolchain, "")),
    ];
    rows.extend(lists.into_iter().filter(|(_, text)| !text.is_empty()));
    if plan.on.is_some() {
        // The nodes have a chapter of their own.
        let first = rows.iter().position(|(name, _)| *name == "System");
        for (_, value) in rows.iter_mut().skip(first.unwrap_or(0)) {
            value.push_str(" (where it was started)");
        }
    }
    rows.extend(cache_state(plan).map(|state| ("Cache state", state)));
    rows
}

/// What the caches held when a timed invocation started. Of a command nobody can say.
fn cache_state(plan: &Plan) -> Option<String> {
    if matches!(plan.workload, WorkloadChoice::Command(_)) {
        return None;
    }
    let is_on_gpu = |device| matches!(device, DeviceChoice::Wgpu(_) | DeviceChoice::Cuda(_));
    let gpus = (plan.cases.iter()).filter(|case| is_on_gpu(case.device));
    let warm = "warm: what the invocation before left";
    if plan.protocol.cache == Cache::Warm || gpus.clone().count() == 0 {
        return Some(warm.into());
    }
    let mut how = vec![];
    if gpus
        .clone()
        .any(|case| matches!(case.device, DeviceChoice::Cuda(_)))
    {
        how.push("twice the L2 cache through CUDA");
    }
    if gpus
        .clone()
        .any(|case| matches!(case.device, DeviceChoice::Wgpu(_)))
    {
        how.push("64 MiB through wgpu, nothing of an adapter in software");
    }
    let host = match gpus.count() < plan.cases.len() {
        true => format!("; on the processor {warm}"),
        false => String::new(),
    };
    Some(format!(
        "cold on the GPU: overwritten before every timed invocation ({}){host}",
        how.join("; ")
    ))
}

fn commit(environment: &Environment) -> String {
    let Some(git) = &environment.git else {
        return "the plan is in no git repository".into();
    };
    let mut text = git.commit.clone();
    if let Some(branch) = &git.branch {
        text.push_str(&format!(" ({branch})"));
    }
    if git.is_dirty {
        text.push_str(", with uncommitted changes");
        if let Some(hash) = &git.diff_hash {
            text.push_str(&format!(
                " (SHA-256 {})",
                hash.chars().take(16).collect::<String>()
            ));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Case;
    use crate::report::fixture;

    /// Of a plan for these devices.
    fn state(cache: Cache, devices: &[DeviceChoice]) -> Option<String> {
        let folder = tempfile::tempdir().unwrap();
        let mut plan = fixture::run(folder.path()).header.plan;
        plan.workload = WorkloadChoice::Builtin { name: "x".into() };
        plan.protocol.cache = cache;
        let case = |device: &DeviceChoice| Case {
            name: device.to_string(),
            device: *device,
            problem: vec![],
        };
        plan.cases = devices.iter().map(case).collect();
        cache_state(&plan)
    }

    #[test]
    fn a_report_says_whether_the_caches_were_cold_and_where() {
        let (cpu, wgpu, cuda) = (
            DeviceChoice::Cpu,
            DeviceChoice::Wgpu(0),
            DeviceChoice::Cuda(0),
        );
        let warm = "warm: what the invocation before left";
        assert_eq!(state(Cache::Warm, &[wgpu, cuda]).unwrap(), warm);
        assert_eq!(state(Cache::Cold, &[cpu]).unwrap(), warm);
        let cold = state(Cache::Cold, &[cpu, wgpu]).unwrap();
        assert!(cold.starts_with("cold on the GPU"), "{cold}");
        assert!(
            cold.contains("64 MiB through wgpu") && !cold.contains("CUDA"),
            "{cold}"
        );
        assert!(cold.ends_with(&format!("on the processor {warm}")));
        let cold = state(Cache::Cold, &[cuda]).unwrap();
        assert!(
            cold.ends_with("(twice the L2 cache through CUDA)"),
            "{cold}"
        );
    }

    #[test]
    fn of_a_command_nobody_can_say_what_the_caches_held() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(cache_state(&fixture::run(folder.path()).header.plan), None);
    }
}
