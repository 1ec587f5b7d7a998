//! `calibrate`: what this machine can resolve today, from the baseline measured against its clone.
use super::args::Common;
use super::plan_file::load;
use super::progress::Progress;
use super::terminal::{plain, say};
use super::{Failure, environment, interruption, program};
use crate::campaign;
use crate::record::Calibration;
use std::path::Path;
use std::process::ExitCode;

pub(super) fn calibrate(plan: &Path, common: &Common) -> Result<ExitCode, Failure> {
    let loaded = load(plan, common)?;
    let environment = environment(&loaded.folder);
    let plan = &loaded.parsed.plan;
    if plan.on.is_some() {
        return Err(Failure::Said(
            "calibrate measures the machine that it runs on, and this plan runs on a cluster; say --on local, on one of its nodes".into(),
        ));
    }
    let found = {
        let mut progress = Progress::new(common);
        campaign::calibrate(
            plan,
            environment.fingerprint(),
            environment.started_at.clone(),
            program()?,
            interruption(),
            &mut progress,
        )?
    };
    found.save(&common.results, &plan.name)?;
    if common.json {
        return say(&serde_json::to_string(&found).expect("plain data"));
    }
    if common.quiet {
        return Ok(ExitCode::SUCCESS);
    }
    say(&plain(&in_words(&found)))
}

fn in_words(found: &Calibration) -> String {
    let mut lines: Vec<String> = vec![];
    if let Some((blocks, effect)) = found.detectable.last() {
        lines.push(format!(
            "today this machine resolves {:.2} % with {blocks} blocks, at 80 % power",
            100.0 * effect
        ));
    }
    for (blocks, effect) in &found.detectable {
        lines.push(format!("  {blocks:>3} blocks: {:.2} %", 100.0 * effect));
    }
    lines.push(format!(
        "samples a cell: {}, the cheapest way to a decision here",
        found.repetitions
    ));
    lines.push(format!(
        "position in the block: p = {:.3}; correlation from block to block: {:.2}",
        found.position_p, found.lag1
    ));
    let warnings = found.warnings.iter();
    lines.extend(warnings.map(|w| format!("warning: {}: {}", w.what, w.detail)));
    lines.push("runs of this plan on this machine will use and print it".into());
    lines.join("\n")
}
