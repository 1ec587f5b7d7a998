//! `export --best`: what a finished run found, as a file that programs read.
use super::Failure;
use super::args::{Common, Export};
use super::dialect::{Dialect, workload_with_problem, write};
use super::report::find;
use super::terminal::{plain, say};
use crate::record::{Run, Wisdom};
use serde_json::json;
use std::process::ExitCode;

pub(super) fn export_best(
    order: &Export,
    dialect: Dialect,
    common: &Common,
) -> Result<ExitCode, Failure> {
    let run = find(&order.run, &common.results)?;
    let best = of_case(&run, order.case.as_deref())?;
    let output = order.output.as_deref();
    let how = format!("Best configuration of {}", workload_with_problem(&best));
    let text = write(dialect, &best, &how).map_err(Failure::Said)?;
    if let Some(file) = output {
        std::fs::write(file, &text)
            .map_err(|e| Failure::Said(format!("{} cannot be written: {e}", file.display())))?;
    }
    match (common.json, output) {
        (true, _) => {
            let text = output.is_none().then_some(text);
            let object =
                json!({ "run_id": best.run_id, "case": best.case, "file": output, "text": text });
            say(&object.to_string())
        }
        (false, None) => say(&text),
        (false, Some(_)) if common.quiet => Ok(ExitCode::SUCCESS),
        (false, Some(file)) => say(&plain(&file.display().to_string())),
    }
}

fn of_case(run: &Run, case: Option<&str>) -> Result<Wisdom, Failure> {
    let id = &run.header.run_id;
    let mut all = Wisdom::of(run);
    let names: Vec<String> = all.iter().map(|best| format!("`{}`", best.case)).collect();
    let there = names.join(", ");
    match (case, all.len()) {
        (_, 0) if !run.is_complete => Err(Failure::Said(format!(
            "{id} is not complete, so nothing is confirmed yet; `phasetune run` with the same plan goes on with it"
        ))),
        (None, 1) => Ok(all.remove(0)),
        (None, _) => Err(Failure::Said(format!(
            "{id} has a result for each case of its matrix; choose one with --case: {there}"
        ))),
        (Some(name), _) => match all.iter().position(|best| best.case == name) {
            Some(at) => Ok(all.swap_remove(at)),
            None if run.header.plan.cases.len() < 2 => Err(Failure::Said(format!(
                "{id} has no matrix: leave --case out"
            ))),
            None => Err(Failure::Said(format!(
                "{id} has no case `{name}`; it has {there}"
            ))),
        },
    }
}
