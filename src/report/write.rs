//! Writes the document and its pictures: aside first, then renamed.
#![allow(
    clippy::disallowed_methods,
    reason = "this file owns the report's folder"
)]
use super::{Piece, document, markdown};
use crate::record::Run;
use crate::value::Nanoseconds;
use rayon::prelude::*;
use std::io;
use std::path::{Path, PathBuf};

/// A report that cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {source}")]
pub struct ReportError {
    what: String,
    source: io::Error,
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> ReportError + '_ {
    move |source| ReportError {
        what: format!("{} cannot be written", path.display()),
        source,
    }
}

/// Writes `reports/NAME/results_summary.md` with its plots and QC images beside it; returns the document's path.
///
/// # Errors
/// When the folder cannot be written, or a QC array of the run cannot be read.
pub fn write(run: &Run, reports: &Path, against: Option<&Run>) -> Result<PathBuf, ReportError> {
    let folder = reports.join(&run.header.plan.name);
    let mut pieces = document(run);
    if let Some(other) = against {
        pieces.extend(beside(run, other));
    }
    // What a former report drew and this one does not would pass for this one's.
    for old in ["plots", "qc"] {
        match std::fs::remove_dir_all(folder.join(old)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(failed(&folder)(e)),
            _ => {}
        }
    }
    let figures: Vec<_> = pieces
        .iter()
        .filter_map(|piece| {
            if let Piece::Figure { figure, .. } = piece {
                Some(figure)
            } else {
                None
            }
        })
        .collect();
    figures.par_iter().try_for_each(|figure| {
        let drawn = figure
            .drawing
            .draw(run)
            .map_err(|e| failed(&folder)(io::Error::other(e)))?;
        if let Some(svg) = &drawn.svg {
            put(&folder.join(format!("{}.svg", figure.file)), svg.as_bytes())?;
        }
        put(&folder.join(format!("{}.png", figure.file)), &drawn.png)
    })?;
    let file = folder.join("results_summary.md");
    put(
        &file,
        markdown::render(&run.header.plan.title, &pieces).as_bytes(),
    )?;
    Ok(file)
}

fn put(path: &Path, bytes: &[u8]) -> Result<(), ReportError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(failed(folder))?;
    let aside = path.with_extension("part");
    std::fs::write(&aside, bytes).map_err(failed(&aside))?;
    std::fs::rename(&aside, path).map_err(failed(path))
}

/// Another run's medians beside this one's. Sessions are not compared statistically: too much changes between them.
fn beside(run: &Run, other: &Run) -> Vec<Piece> {
    let mut rows = vec![];
    for trial in &run.trials {
        let twin = other
            .trials
            .iter()
            .find(|t| (&t.case, &t.phase, &t.name) == (&trial.case, &trial.phase, &trial.name));
        if let (Some(a), Some(b)) = (trial.quartiles, twin.and_then(|t| t.quartiles)) {
            rows.push(vec![
                trial.phase.clone(),
                trial.name.clone(),
                Nanoseconds(a.1).to_string(),
                Nanoseconds(b.1).to_string(),
                format!("{:.3}", a.1 / b.1),
            ]);
        }
    }
    vec![
        Piece::Heading(2, format!("Beside run {}", other.header.run_id)),
        Piece::Paragraph(
            "Historical, descriptive: medians of two sessions, without any claim of significance."
                .into(),
        ),
        Piece::Table {
            header: ["Phase", "Variant", "This run", "That run", "Ratio"]
                .map(str::to_owned)
                .to_vec(),
            rows,
        },
    ]
}
