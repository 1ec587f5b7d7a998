//! `report`: from the records alone. Also how a run is named on the command line.
use super::Failure;
use super::args::Common;
use super::terminal::{plain, say};
use crate::record::Run;
use std::path::Path;
use std::process::ExitCode;

pub(super) fn report(
    name: &str,
    run: Option<&str>,
    against: Option<&str>,
    common: &Common,
) -> Result<ExitCode, Failure> {
    let run = match run {
        Some(id) => find(&format!("{name}@{id}"), &common.results)?,
        None => find(name, &common.results)?,
    };
    let family = run.folder.parent().unwrap_or(Path::new("."));
    let other = match against {
        None => None,
        Some(named) if named.contains('@') || Path::new(named).is_dir() => {
            Some(find(named, &common.results)?)
        }
        Some(id) => Some(find(
            &format!("{}@{id}", family.display()),
            &common.results,
        )?),
    };
    let file = crate::report::write(&run, &common.reports, other.as_ref())
        .map_err(|e| Failure::Said(e.to_string()))?;
    if common.json {
        let object = serde_json::json!({ "run_id": run.header.run_id, "report": file, "is_complete": run.is_complete });
        return say(&object.to_string());
    }
    if common.quiet {
        return Ok(ExitCode::SUCCESS);
    }
    say(&plain(&file.display().to_string()))
}

/// NAME, NAME@RUN_ID, a run's folder, or the folder of all runs of a plan; without an id the newest.
pub(super) fn find(written: &str, results: &Path) -> Result<Run, Failure> {
    let folder = Path::new(written);
    if folder.join("trials.parquet").is_file() {
        return Ok(Run::load(folder)?);
    }
    let (name, id) = match written.rsplit_once('@') {
        Some((name, id)) => (name, Some(id)),
        None => (written, None),
    };
    let path = Path::new(name);
    let (results, name) = match (path.parent(), path.file_name()) {
        (Some(parent), Some(last)) if !parent.as_os_str().is_empty() => {
            (parent, last.to_string_lossy())
        }
        _ => (results, name.into()),
    };
    Ok(Run::find(results, &name, id)?)
}
