//! `run`: from a valid plan to records and a report. `tune` ends here as well.
use super::args::{Common, How};
use super::plan_file::{Loaded, load};
use super::progress::Progress;
use super::terminal::{complain, plain, say};
use super::trace::TraceFile;
use super::{Failure, environment, interruption, program};
use crate::campaign::{self, CampaignOrder, Observer, Summary};
use crate::plan::WorkloadChoice;
use crate::record::{Calibration, CriterionState, Run, Store, Wisdom};
use crate::workload::command;
use std::path::Path;
use std::process::ExitCode;

pub(super) fn run(plan: &Path, how: &How, common: &Common) -> Result<ExitCode, Failure> {
    execute(load(plan, common)?, how, common)
}

/// Runs a plan end to end, or goes on with its interrupted run; then writes the report and tells the outcome.
pub(super) fn execute(loaded: Loaded, how: &How, common: &Common) -> Result<ExitCode, Failure> {
    if how.trace.is_some() && loaded.parsed.plan.on.is_some() {
        return Err(Failure::Said(
            "--trace follows the workers of this machine, and this plan runs on a cluster; say --on local".into(),
        ));
    }
    let trace = how.trace.as_deref().map(TraceFile::create).transpose()?;
    let interrupted = interruption();
    let environment = environment(&loaded.folder);
    let plan = &loaded.parsed.plan;
    // Of a cluster's nodes this machine says nothing.
    let is_here = plan.on.is_none();
    let fingerprint = environment.fingerprint();
    let calibration =
        Calibration::load(&common.results, &plan.name, &fingerprint).filter(|_| is_here);
    let ceilings = match is_here {
        true => campaign::ceilings(plan),
        false => vec![],
    };
    let mut text = loaded.text;
    for (key, value) in loaded.overrides {
        text.push_str(&format!("# --set {key}={}\n", value.replace('\n', " ")));
    }
    let words = std::env::args_os().skip(1);
    let command_line = words.map(|w| w.to_string_lossy().into_owned()).collect();
    let mut header = campaign::header(
        loaded.parsed,
        text,
        loaded.path.clone(),
        command_line,
        environment,
        calibration,
    );
    header.ceilings = ceilings;
    if let Some(what) = Store::left_behind(&common.results, &header)
        && !how.fresh
        && !common.quiet
    {
        complain(&format!("note: {what}"));
    }
    let progress = Progress::new(common);
    let order = CampaignOrder {
        header,
        results: common.results.clone(),
        program: program()?,
        interrupted,
        is_fresh: how.fresh,
        voice: progress.voice(common),
        tracer: trace.as_ref().map(TraceFile::tracer),
    };
    let summary = {
        let mut observers: Vec<Box<dyn Observer>> = vec![Box::new(progress)];
        observers.extend(trace.map(|trace| Box::new(trace) as Box<dyn Observer>));
        campaign::run(order, &mut observers)?
    };
    let run = Run::load(&summary.folder)?;
    if let Err(error) = Wisdom::add(&common.results, &run) {
        complain(&format!(
            "note: {error}; `lookup` will not know of this run"
        ));
    }
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
        for line in recommendations(summary, run) {
            say(&plain(&line))?;
        }
        for outcome in &summary.outcomes {
            for criterion in &outcome.criteria {
                let word = match criterion.state {
                    CriterionState::Met => "met",
                    CriterionState::Failed => "FAILED",
                    CriterionState::Undecided => "undecided",
                };
                let (phase, text) = (crate::report::phase_title(outcome), &criterion.text);
                say(&plain(&format!("criterion: {phase}: {text}: {word}")))?;
            }
        }
        say(&plain(&format!(
            "records:   {}\nreport:    {}",
            summary.folder.display(),
            report.display()
        )))?;
    }
    Ok(ExitCode::from(code))
}

/// What to use from now on, for each case in which that is not the baseline.
fn recommendations(summary: &Summary, run: &Run) -> Vec<String> {
    let mut lines = vec![];
    for last in &summary.finals {
        let changes = last.recommended().changes_from(&last.baseline);
        if changes.is_empty() {
            continue;
        }
        let case = match last.case.as_str() {
            "" => String::new(),
            name => format!("{name}: "),
        };
        let changes: Vec<String> = changes.iter().map(|(n, v)| format!("{n}={v}")).collect();
        lines.push(format!("best:      {case}{}", changes.join(", ")));
        if let WorkloadChoice::Command(choice) = &run.header.plan.workload
            && let Ok(typed) = command::typed(choice, last.recommended())
        {
            lines.push(format!("command:   {case}{typed}"));
        }
    }
    if !lines.is_empty() {
        let folder = shell_words::join([summary.folder.to_string_lossy()]);
        lines.push(format!(
            "export:    phasetune export {folder} --best c (or yaml, json, env, wgsl, rust)"
        ));
    }
    lines
}
