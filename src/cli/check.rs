//! `check`: what a plan would do, said without doing it: its graph, how much would be measured, from which block on a decision is
//! possible, and what stands in the way now.
use super::Failure;
use super::args::Common;
use super::plan_file::{Loaded, load};
use super::terminal::{plain, say};
use crate::campaign::{FINAL_BLOCKS, Forecast, device_name, forecast};
use crate::plan::{
    Against, Cache, Case, CommandChoice, KernelChoice, Objective, Phase, Plan, Question,
    WorkloadChoice, sweep_variants,
};
use crate::value::Nanoseconds;
use crate::worker::{find_slurm, sbatch_options};
use serde_json::json;
use std::path::Path;
use std::process::ExitCode;

/// Names of a sweep's variants that are shown; a person's own are shown all.
const SHOWN_NAMES: usize = 6;

/// A phase with what can be said of it beforehand.
struct Row<'a> {
    phase: &'a Phase,
    forecast: Forecast,
    names: Vec<String>,
    reference: String,
}

pub(super) fn check(path: &Path, common: &Common) -> Result<ExitCode, Failure> {
    let loaded = load(path, common)?;
    let plan = &loaded.parsed.plan;
    let rows: Vec<Row<'_>> = plan
        .phases
        .iter()
        .map(|phase| {
            Ok(Row {
                phase,
                forecast: forecast(plan, phase)?,
                names: names(&phase.question),
                reference: reference(plan, phase),
            })
        })
        .collect::<Result<_, Failure>>()?;
    let warnings = warnings(plan, &rows);
    if common.json {
        return say(&object(&loaded, &rows, &warnings).to_string());
    }
    let mut lines = vec![];
    if !common.quiet {
        lines.extend(heading(&loaded));
        lines.push(String::new());
        for root in (0..rows.len()).filter(|&at| parent(&rows, at).is_none()) {
            draw(plan, &rows, root, ["", ""], &mut lines);
        }
        lines.push(String::new());
        lines.extend(totals(plan, &rows));
    }
    lines.extend(warnings.iter().map(|w| format!("warning: {w}")));
    match lines.is_empty() {
        true => Ok(ExitCode::SUCCESS),
        false => say(&plain(&lines.join("\n"))),
    }
}

fn heading(loaded: &Loaded) -> Vec<String> {
    let plan = &loaded.parsed.plan;
    let mut lines = vec![format!(
        "{} is a valid plan: {}, {}",
        loaded.path,
        plan.name,
        one_line(&plan.title)
    )];
    let mut line = |what: &str, text: String| lines.push(format!("  {what:<10} {text}"));
    line(
        "workload",
        match &plan.workload {
            WorkloadChoice::Builtin { name } => format!("built-in {name}"),
            WorkloadChoice::Command(command) => one_line(&command.command.join(" ")),
            WorkloadChoice::Kernel(kernel) => format!("kernel {}", kernel.shown()),
            WorkloadChoice::Imported { kernel } => format!("imported {kernel}"),
        },
    );
    match &plan.cases[..] {
        [case] => {
            if !case.problem.is_empty() {
                let problem = case.problem.iter().map(|(n, v)| format!("{n}={v}"));
                line("problem", problem.collect::<Vec<_>>().join(", "));
            }
            line("device", device_name(case.device));
        }
        cases => {
            line(
                "cases",
                format!("{}, the whole plan for each:", cases.len()),
            );
            cases.iter().for_each(|case| line("", case.name.clone()));
        }
    }
    match &plan.objective {
        Objective::Runtime => {}
        Objective::DeviceTime => line("objective", "device time".into()),
        Objective::PeakMemory => line("objective", "peak memory".into()),
        Objective::Energy => line("objective", "energy".into()),
        Objective::Metric(name) => line("objective", format!("metric {name}")),
    }
    if !plan.accuracy.limits.is_empty() {
        let limits = plan.accuracy.limits.iter();
        let limit = |l: &f64| match (1e-3..1e6).contains(l) {
            true => format!("{l}"),
            false => format!("{l:e}"),
        };
        let limits: Vec<String> =
            (limits.map(|(n, l)| format!("{n} within {}", limit(l)))).collect();
        let against = match &plan.accuracy.against {
            Against::Baseline => "the baseline",
            Against::Exact => "the exact answer",
            Against::File(file) => file,
        };
        line(
            "accuracy",
            format!("{}, against {against}", limits.join(", ")),
        );
    }
    if let Some(limit) = plan.limits.peak_memory {
        line("limits", format!("peak memory {limit}"));
    }
    let protocol = &plan.protocol;
    line(
        "protocol",
        format!(
            "{} to {} blocks, confidence {} %, until within {} %, differences below {} % do not matter",
            protocol.min_blocks,
            protocol.max_blocks,
            percent(protocol.confidence),
            percent(protocol.precision),
            percent(protocol.equivalence)
        ),
    );
    if protocol.cache == Cache::Cold {
        line("caches", "cold on a GPU, before every invocation".into());
    }
    if let Some(on) = &plan.on {
        line(
            "on",
            format!(
                "Slurm, at most {} at a time, each block on one of them",
                count(on.nodes as usize, "node")
            ),
        );
        line("", format!("sbatch {}", sbatch_options(on)));
    }
    lines
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// 0.95 is 95, not 94.99999999999999.
fn percent(share: f64) -> f64 {
    (share * 1e6).round() / 1e4
}

/// Under which phase one is drawn: the last of those that it builds on.
fn parent(rows: &[Row<'_>], at: usize) -> Option<usize> {
    let parents = rows[at].phase.parents();
    rows.iter()
        .rposition(|row| parents.contains(&row.phase.name.as_str()))
}

/// A phase and all below it. `lead` stands before its first line and before its others.
fn draw(plan: &Plan, rows: &[Row<'_>], at: usize, lead: [&str; 2], lines: &mut Vec<String>) {
    let [first, others] = lead;
    let row = &rows[at];
    lines.push(format!("{first}{}", title(row)));
    let children: Vec<usize> = (0..rows.len())
        .filter(|&child| parent(rows, child) == Some(at))
        .collect();
    let bar = if children.is_empty() {
        "    "
    } else {
        "│   "
    };
    let details = details(plan, row).into_iter();
    lines.extend(details.map(|text| format!("{others}{bar}{text}")));
    for (i, &child) in children.iter().enumerate() {
        let (corner, below) = match i + 1 == children.len() {
            true => ("└─ ", "   "),
            false => ("├─ ", "│  "),
        };
        let lead = [format!("{others}{corner}"), format!("{others}{below}")];
        draw(plan, rows, child, [&lead[0], &lead[1]], lines);
    }
}

fn title(row: &Row<'_>) -> String {
    let Row {
        phase, forecast, ..
    } = row;
    let n = forecast.variants;
    let what = match &phase.question {
        Question::Baseline => "measures the baseline".to_owned(),
        Question::Variants(_) => count(n, "variant"),
        Question::Sweep(parameters) => {
            let lists: Vec<String> = parameters
                .iter()
                .map(|p| format!("{} {}", p.values.len(), p.name))
                .collect();
            format!("sweep of {} ({})", count(n, "variant"), lists.join(" × "))
        }
        Question::Search(search) => {
            let lists = search.parameters.iter();
            let all: f64 = lists.map(|p| p.values.len() as f64).product();
            let valid = (forecast.valid).map_or("uncounted".into(), |n| n.to_string());
            format!(
                "{} search: {n} of {valid} configurations ({all} without restrictions)",
                forecast.strategy.unwrap_or(&search.strategy)
            )
        }
        Question::Combine(names) => {
            format!(
                "combines {}: {} at most",
                names.join(", "),
                count(n, "variant")
            )
        }
    };
    format!("{} [{}] {what}", phase.name, phase.kind)
}

fn details(plan: &Plan, row: &Row<'_>) -> Vec<String> {
    let Row {
        phase, forecast, ..
    } = row;
    if phase.question == Question::Baseline {
        return vec![];
    }
    let mut lines = vec![];
    if !row.names.is_empty() {
        lines.push(named(
            &row.names,
            matches!(phase.question, Question::Sweep(_)),
        ));
    }
    lines.push(format!("against {}", row.reference));
    if let Question::Search(search) = &phase.question
        && let Some(time) = search.time
    {
        lines.push(format!("asks for no more after {time}"));
    }
    let race = match forecast.is_race {
        true => format!("a race leaves {} of them; ", forecast.family),
        false => String::new(),
    };
    let canary = match forecast.has_canary {
        true => " and a canary",
        false => "",
    };
    let most = plan.protocol.max_blocks;
    let decision = match forecast.first_decision {
        Some(block) => format!("a decision is possible from block {block} of {most}"),
        None => format!("{most} blocks can decide nothing"),
    };
    lines.push(format!(
        "{race}family of {}{canary}, {decision}",
        forecast.family
    ));
    let criteria = phase.criteria.iter();
    lines.extend(criteria.map(|c| format!("criterion {}", one_line(&c.text))));
    lines
}

fn named(names: &[String], is_sweep: bool) -> String {
    let shown = match is_sweep {
        true => names.len().min(SHOWN_NAMES),
        false => names.len(),
    };
    let between = match names.iter().any(|name| name.contains(',')) {
        true => "; ",
        false => ", ",
    };
    let rest = match names.len() - shown {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{}{rest}", names[..shown].join(between))
}

fn names(question: &Question) -> Vec<String> {
    match question {
        Question::Variants(all) => all.iter().map(|v| v.name.clone()).collect(),
        Question::Sweep(parameters) => {
            let all = sweep_variants(parameters).into_iter();
            all.map(|v| v.name).collect()
        }
        Question::Baseline | Question::Search(_) | Question::Combine(_) => vec![],
    }
}

/// What a phase's variants are compared with, in words.
fn reference(plan: &Plan, phase: &Phase) -> String {
    let combined: &[String] = match &phase.question {
        Question::Combine(names) => names,
        _ => &[],
    };
    // A phase without variants hands on what it got.
    let mut keepers: Vec<&str> = vec![];
    let mut left: Vec<&String> = phase
        .after
        .iter()
        .filter(|n| !combined.contains(n))
        .collect();
    while let Some(name) = left.pop() {
        match plan.phases.iter().find(|p| p.name == *name) {
            Some(p) if p.question == Question::Baseline => left.extend(&p.after),
            Some(p) if !keepers.contains(&p.name.as_str()) => keepers.push(&p.name),
            _ => {}
        }
    }
    keepers.reverse();
    match keepers.is_empty() {
        true => "the baseline".into(),
        false => format!("what {} kept", keepers.join(" and ")),
    }
}

fn totals(plan: &Plan, rows: &[Row<'_>]) -> Vec<String> {
    let cases = plan.cases.len();
    let variants: usize = rows.iter().map(|row| row.forecast.variants).sum();
    let limit = plan.protocol.time_limit;
    vec![
        format!(
            "{}, at most {} and {}",
            count(rows.len() * cases, "phase"),
            count((variants + 1) * cases, "configuration"),
            count(most_blocks(plan, rows), "block")
        ),
        format!(
            "at most about {}: {limit} a phase, then {FINAL_BLOCKS} blocks that confirm the whole; decided comparisons end sooner, a time limit may afford fewer blocks",
            time_limit(plan)
        ),
    ]
}

fn most_blocks(plan: &Plan, rows: &[Row<'_>]) -> usize {
    let phases = rows.iter().map(|row| row.forecast.most_blocks as usize);
    (phases.sum::<usize>() + FINAL_BLOCKS as usize) * plan.cases.len()
}

fn time_limit(plan: &Plan) -> Nanoseconds {
    Nanoseconds((plan.phases.len() * plan.cases.len()) as f64 * plan.protocol.time_limit.0)
}

fn count(n: usize, what: &str) -> String {
    match n {
        1 => format!("1 {what}"),
        n => format!("{n} {what}s"),
    }
}

/// What is no mistake in the plan, but would disappoint if it were run as it stands, here and now.
fn warnings(plan: &Plan, rows: &[Row<'_>]) -> Vec<String> {
    let mut found = vec![];
    for row in rows.iter().filter(|row| row.forecast.variants > 0) {
        let (name, most) = (&row.phase.name, plan.protocol.max_blocks);
        let family = row.forecast.family;
        if row.forecast.is_descriptive {
            found.push(format!(
                "phase `{name}`: under 6 blocks only describe; raise protocol.blocks.max"
            ));
        } else if row.forecast.first_decision.is_none() {
            found.push(format!(
                "phase `{name}`: {most} blocks cannot decide between {}; raise protocol.blocks.max or name fewer",
                count(family, "variant")
            ));
        }
    }
    if plan.on.is_some() {
        // What its nodes have, this machine cannot say.
        found.extend(find_slurm().err());
    } else {
        let mut absent: Vec<String> = plan.cases.iter().filter_map(absent_device).collect();
        absent.dedup();
        found.extend(absent);
        if let WorkloadChoice::Command(command) = &plan.workload {
            found.extend(missing_program(command));
        }
    }
    if let WorkloadChoice::Kernel(kernel) = &plan.workload {
        found.extend(missing_sources(kernel));
    }
    if let Against::File(file) = &plan.accuracy.against
        && !Path::new(file).is_file()
    {
        found.push(format!(
            "there is no file {file} to compare outputs with now"
        ));
    }
    found
}

fn absent_device(case: &Case) -> Option<String> {
    let why = crate::device::open(case.device).err()?;
    Some(format!("{} is not here: {why}", device_name(case.device)))
}

fn missing_sources(kernel: &KernelChoice) -> Vec<String> {
    let codes = std::iter::once(&kernel.code).chain(&kernel.reference);
    let files = codes.flat_map(|code| [&code.wgsl, &code.cuda].into_iter().flatten());
    let paths = files.map(|file| Path::new(&kernel.folder).join(file));
    paths
        .filter(|path| !path.is_file())
        .map(|path| format!("there is no kernel {} now", path.display()))
        .collect()
}

/// A program that would not be found, as far as that can be told: not one that is built, or named by a parameter.
fn missing_program(command: &CommandChoice) -> Option<String> {
    let program = command.command.first()?;
    if command.shell || program.contains('{') {
        return None;
    }
    if program.contains('/') {
        let is_made = command.build.is_some();
        let cwd = command.cwd.as_deref().unwrap_or("");
        let there = Path::new(&command.folder).join(cwd).join(program);
        return (!is_made && !cwd.contains('{') && !there.is_file())
            .then(|| format!("there is no program {} now", there.display()));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
    (!is_there).then(|| format!("there is no program `{program}` on the PATH now"))
}

fn object(loaded: &Loaded, rows: &[Row<'_>], warnings: &[String]) -> serde_json::Value {
    let plan = &loaded.parsed.plan;
    let phases: Vec<_> = rows
        .iter()
        .map(|row| {
            let forecast = &row.forecast;
            json!({
                "phase": row.phase.name,
                "kind": row.phase.kind,
                "after": row.phase.after,
                "reference": row.reference,
                "names": row.names,
                "variants": forecast.variants,
                "family": forecast.family,
                "has_canary": forecast.has_canary,
                "is_race": forecast.is_race,
                "first_decision": forecast.first_decision,
                "most_blocks": forecast.most_blocks,
            })
        })
        .collect();
    let cases: Vec<_> = plan.cases.iter().map(|case| &case.name).collect();
    json!({
        "plan": loaded.path,
        "name": plan.name,
        "cases": cases,
        "on": plan.on,
        "phases": phases,
        "most_blocks": most_blocks(plan, rows),
        "time_limit_s": time_limit(plan).0 / 1e9,
        "warnings": warnings,
    })
}
