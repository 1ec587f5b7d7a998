//! `report`: from the records alone.
use super::args::Common;
use super::{Failure, say};
use crate::record::Run;
use std::process::ExitCode;

pub(super) fn report(
    name: &str,
    run: Option<&str>,
    against: Option<&str>,
    common: &Common,
) -> Result<ExitCode, Failure> {
    let run = Run::find(&common.results, name, run)?;
    let other = against
        .map(|id| Run::find(&common.results, name, Some(id)))
        .transpose()?;
    let file = crate::report::write(&run, &common.reports, other.as_ref())
        .map_err(|e| Failure::Said(e.to_string()))?;
    if common.json {
        let object = serde_json::json!({ "run_id": run.header.run_id, "report": file, "is_complete": run.is_complete });
        return say(&object.to_string());
    }
    if common.quiet {
        return Ok(ExitCode::SUCCESS);
    }
    say(&file.display().to_string())
}
