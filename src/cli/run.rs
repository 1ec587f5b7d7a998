//! `run`, `tune` and `calibrate`: what measures.
use super::args::Common;
use super::progress::Progress;
use super::{Failure, Loaded, environment, interruption, load, parse, plain, program, say};
use crate::campaign::{self, CampaignOrder, Summary};
use crate::plan::parse_parameter;
use crate::record::{Calibration, CriterionState, Run};
use crate::value::Value;
use std::path::Path;
use std::process::ExitCode;

pub(super) fn run(plan: &Path, is_fresh: bool, common: &Common) -> Result<ExitCode, Failure> {
    let loaded = load(plan, common)?;
    execute(loaded, is_fresh, common)
}

/// A plan made of the command line; from here on it is a plan like any other.
pub(super) fn tune(
    parameters: &[String],
    restrictions: &[String],
    name: &str,
    command: &[String],
    common: &Common,
) -> Result<ExitCode, Failure> {
    let parameters: Vec<_> = parameters
        .iter()
        .map(|p| parse_parameter(p))
        .collect::<Result<_, _>>()
        .map_err(Failure::Said)?;
    let quote = |text: &str| serde_json::to_string(text).expect("plain data");
    let scalar = |value: &Value| match value {
        Value::Text(text) => quote(text),
        other => other.to_string(),
    };
    let lists: Vec<String> = parameters
        .iter()
        .map(|p| {
            format!(
                "        {}: [{}]\n",
                p.name,
                p.values.iter().map(scalar).collect::<Vec<_>>().join(", ")
            )
        })
        .collect();
    let baseline: Vec<String> = parameters
        .iter()
        .filter_map(|p| {
            p.values
                .first()
                .map(|v| format!("{}: {}", p.name, scalar(v)))
        })
        .collect();
    let words: Vec<String> = command.iter().map(|w| quote(w)).collect();
    let rules: Vec<String> = restrictions.iter().map(|r| quote(r)).collect();
    let rules = if rules.is_empty() {
        String::new()
    } else {
        format!("      restrictions: [{}]\n", rules.join(", "))
    };
    let text = format!(
        "# Made by `phasetune tune`.\nname: {name}\ntitle: {}\nworkload:\n  command: [{}]\nbaseline: {{{}}}\nphases:\n  - phase: search\n    kind: tiling\n    search:\n      strategy: exhaustive\n      parameters:\n{}{rules}",
        quote(&format!(
            "Tuning {}",
            command.first().map_or("", String::as_str)
        )),
        words.join(", "),
        baseline.join(", "),
        lists.concat(),
    );
    let loaded = parse(
        text.as_bytes(),
        "the plan of `tune`",
        Path::new("."),
        common,
    )?;
    execute(loaded, false, common)
}

fn execute(loaded: Loaded, is_fresh: bool, common: &Common) -> Result<ExitCode, Failure> {
    let environment = environment(&loaded.folder);
    let calibration = Calibration::load(
        &common.results,
        &loaded.parsed.plan.name,
        &environment.fingerprint(),
    );
    let ceilings = campaign::ceilings(&loaded.parsed.plan);
    let mut text = loaded.text;
    for (key, value) in common.overrides() {
        text.push_str(&format!("# --set {key}={value}\n"));
    }
    let command_line = std::env::args().skip(1).collect();
    let mut header = campaign::header(
        loaded.parsed,
        text,
        loaded.path.clone(),
        command_line,
        environment,
        calibration,
    );
    header.ceilings = ceilings;
    let order = CampaignOrder {
        header,
        results: common.results.clone(),
        program: program()?,
        interrupted: interruption(),
        is_fresh,
    };
    let summary = {
        let mut progress = Progress::new(common.quiet, common.verbose);
        campaign::run(order, &mut progress)?
    };
    let run = Run::load(&summary.folder)?;
    let report = crate::report::write(&run, &common.reports, None)
        .map_err(|e| Failure::Said(e.to_string()))?;
    tell(&summary, &run, &report, common)
}

fn tell(summary: &Summary, run: &Run, report: &Path, common: &Common) -> Result<ExitCode, Failure> {
    let state = |wanted| summary.criteria.iter().any(|c| c.state == wanted);
    let code = match () {
        () if state(CriterionState::Failed) => 3,
        () if state(CriterionState::Undecided) => 4,
        () => 0,
    };
    if common.json {
        let object = serde_json::json!({
            "run_id": summary.run_id,
            "results": summary.folder,
            "report": report,
            "finals": summary.finals,
            "outcomes": summary.outcomes,
            "criteria": summary.criteria,
            "trials": run.trials,
            "exit_status": code,
        });
        say(&object.to_string())?;
    } else if !common.quiet {
        say(&plain(&crate::report::headlines(run).join("\n")))?;
        for last in &summary.finals {
            let changes = last.configuration.changes_from(&last.baseline);
            if !changes.is_empty() {
                let changes: Vec<String> =
                    changes.iter().map(|(n, v)| format!("{n}={v}")).collect();
                say(&plain(&format!("best: {}", changes.join(", "))))?;
            }
        }
        for criterion in &summary.criteria {
            let word = match criterion.state {
                CriterionState::Met => "met",
                CriterionState::Failed => "FAILED",
                CriterionState::Undecided => "undecided",
            };
            say(&plain(&format!("criterion {}: {word}", criterion.text)))?;
        }
        say(&format!(
            "records: {}\nreport:  {}",
            summary.folder.display(),
            report.display()
        ))?;
    }
    Ok(ExitCode::from(code))
}

pub(super) fn calibrate(plan: &Path, common: &Common) -> Result<ExitCode, Failure> {
    let loaded = load(plan, common)?;
    let environment = environment(&loaded.folder);
    let plan = &loaded.parsed.plan;
    let found = {
        let mut progress = Progress::new(common.quiet, common.verbose);
        let at = environment.started_at.clone();
        campaign::calibrate(
            plan,
            environment.fingerprint(),
            at,
            program()?,
            interruption(),
            &mut progress,
        )?
    };
    found.save(&common.results, &plan.name)?;
    if common.json {
        return say(&serde_json::to_string(&found).expect("plain data"));
    }
    let mut lines = vec![format!(
        "today this machine resolves {:.2} % with 40 blocks ({} sample{} a cell)",
        100.0 * found.detectable.last().map_or(f64::NAN, |d| d.1),
        found.repetitions,
        if found.repetitions == 1 { "" } else { "s" },
    )];
    lines.extend(
        found
            .detectable
            .iter()
            .map(|(n, e)| format!("  {n:>3} blocks: {:.2} %", 100.0 * e)),
    );
    lines.extend(
        found
            .warnings
            .iter()
            .map(|w| format!("warning: {}: {}", w.what, w.detail)),
    );
    say(&lines.join("\n"))
}
