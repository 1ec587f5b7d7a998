//! `compare`: two runs side by side. Sessions are never compared statistically with one another; `--rerun` measures both final
//! configurations in the same blocks instead.
use super::args::Common;
use super::progress::Progress;
use super::{Failure, interruption, program, say};
use crate::campaign;
use crate::record::Run;
use crate::space::Configuration;
use crate::value::Nanoseconds;
use std::path::Path;
use std::process::ExitCode;

/// Blocks of a comparison: as many as a phase has at most.
const BLOCKS: u32 = 40;

pub(super) fn compare(
    first: &str,
    second: &str,
    rerun: bool,
    common: &Common,
) -> Result<ExitCode, Failure> {
    let (a, b) = (find(first, common)?, find(second, common)?);
    if rerun {
        return side_by_side(&a, &b, common);
    }
    let mut lines = vec![
        "historical, descriptive: times of two sessions are never compared statistically; --rerun measures both in one"
            .to_owned(),
        format!("{:<24} {:<24} {:>14} {:>14} {:>8}", "phase", "variant", a.header.run_id, b.header.run_id, "ratio"),
    ];
    for trial in &a.trials {
        let twin = b
            .trials
            .iter()
            .find(|t| (&t.case, &t.phase, &t.name) == (&trial.case, &trial.phase, &trial.name));
        let (Some(x), Some(y)) = (trial.quartiles, twin.and_then(|t| t.quartiles)) else {
            continue;
        };
        lines.push(format!(
            "{:<24} {:<24} {:>14} {:>14} {:>8.3}",
            trial.phase,
            trial.name,
            Nanoseconds(x.1).to_string(),
            Nanoseconds(y.1).to_string(),
            x.1 / y.1
        ));
    }
    say(&super::plain(&lines.join("\n")))
}

fn find(written: &str, common: &Common) -> Result<Run, Failure> {
    if Path::new(written).join("trials.parquet").is_file() {
        return Ok(Run::load(Path::new(written))?);
    }
    let (name, id) = written
        .split_once('@')
        .map_or((written, None), |(n, i)| (n, Some(i)));
    Ok(Run::find(&common.results, name, id)?)
}

fn side_by_side(a: &Run, b: &Run, common: &Common) -> Result<ExitCode, Failure> {
    let plan = &a.header.plan;
    if plan.workload != b.header.plan.workload || plan.cases[0] != b.header.plan.cases[0] {
        return Err(Failure::Said(
            "the two runs have different workloads or problems: their configurations cannot run side by side".into(),
        ));
    }
    let last = |run: &Run| -> Configuration {
        run.finals.first().map_or_else(
            || run.header.plan.baseline.clone(),
            |f| f.configuration.clone(),
        )
    };
    let pair = [last(a), last(b)];
    if pair[0] == pair[1] {
        return Err(Failure::Said(
            "both runs ended with the same configuration".into(),
        ));
    }
    let found = {
        let mut progress = Progress::new(common.quiet, common.verbose);
        campaign::compare(
            plan,
            &plan.cases[0],
            &pair,
            BLOCKS,
            program()?,
            interruption(),
            &mut progress,
        )?
    };
    if common.json {
        return say(&serde_json::to_string(&found).expect("plain data"));
    }
    let interval = found.interval.map_or_else(String::new, |(l, u)| {
        format!(", 95 % interval [{l:.3}, {u:.3}]")
    });
    say(&format!(
        "the final configuration of {} is {:.3} × as fast as that of {}{interval} ({} blocks, p = {:.4})",
        b.header.run_id, found.speedup, a.header.run_id, found.blocks, found.p_value
    ))
}
