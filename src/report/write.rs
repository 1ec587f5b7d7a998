//! Writes the document and its pictures: aside first, then renamed.
#![allow(
    clippy::disallowed_methods,
    reason = "this file owns the report's folder"
)]
use super::{Figure, Files, Piece, document, markdown};
use crate::record::Run;
use rayon::prelude::*;
use std::collections::BTreeSet;
use std::io;
use std::path::{Component, Path, PathBuf};

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

/// The document's name in its folder.
const DOCUMENT: &str = "results_summary.md";

/// Writes `reports/NAME/results_summary.md` with its plots and QC images beside it; returns the document's path.
///
/// All is written aside before the first file is replaced. Pictures of the former report that this one does not have are removed.
///
/// # Errors
/// When the folder cannot be written.
pub fn write(run: &Run, reports: &Path, against: Option<&Run>) -> Result<PathBuf, ReportError> {
    let pieces = document(run, against);
    let folder = reports.join(&run.header.plan.name);
    std::fs::create_dir_all(&folder).map_err(failed(&folder))?;
    let aside = tempfile::Builder::new()
        .prefix(".writing-")
        .tempdir_in(&folder)
        .map_err(failed(&folder))?;
    let figures = figures(&pieces);
    let put = |name: &str, bytes: &[u8]| -> Result<(), ReportError> {
        let path = aside.path().join(name);
        let parent = path.parent().unwrap_or(aside.path());
        std::fs::create_dir_all(parent).map_err(failed(parent))?;
        std::fs::write(&path, bytes).map_err(failed(&path))
    };
    figures.par_iter().try_for_each(|figure| {
        let painted = figure
            .sketch
            .paint()
            .map_err(|e| failed(&folder.join(&figure.file))(io::Error::other(e)))?;
        names(figure)
            .iter()
            .try_for_each(|name| match name.ends_with(".png") {
                true => put(name, &painted.png),
                false => put(name, painted.svg.as_bytes()),
            })
    })?;
    let text = markdown::render(&run.header.plan.title, &pieces);
    put(DOCUMENT, text.as_bytes())?;

    let former = std::fs::read_to_string(folder.join(DOCUMENT))
        .map_or_else(|_| BTreeSet::new(), |old| pictures_of(&old));
    let current: BTreeSet<String> = figures.iter().flat_map(|figure| names(figure)).collect();
    // The document last: it never names a picture that is not there.
    for name in current.iter().map(String::as_str).chain([DOCUMENT]) {
        let to = folder.join(name);
        let parent = to.parent().unwrap_or(&folder);
        std::fs::create_dir_all(parent).map_err(failed(parent))?;
        std::fs::rename(aside.path().join(name), &to).map_err(failed(&to))?;
    }
    former
        .difference(&current)
        .for_each(|name| remove(&folder, name));
    Ok(folder.join(DOCUMENT))
}

/// The files of a figure.
fn names(figure: &Figure) -> Vec<String> {
    let endings: &[&str] = match figure.files {
        Files::Both => &["svg", "png"],
        Files::PngOnly => &["png"],
    };
    endings
        .iter()
        .map(|ending| format!("{}.{ending}", figure.file))
        .collect()
}

/// Every figure, folded ones included.
fn figures(pieces: &[Piece]) -> Vec<&Figure> {
    pieces
        .iter()
        .flat_map(|piece| match piece {
            Piece::Figure(figure) => vec![figure],
            Piece::Folded { pieces, .. } => figures(pieces),
            _ => vec![],
        })
        .collect()
}

/// The pictures that a report of ours shows: `](plots/…)` and `](qc/…)`. None of a document that somebody else wrote.
fn pictures_of(document: &str) -> BTreeSet<String> {
    if !document.starts_with(markdown::MARK) {
        return BTreeSet::new();
    }
    let link = |rest: &str| rest.split_once(')').map(|(name, _)| name.to_owned());
    let is_ours = |name: &String| {
        let path = Path::new(name);
        let is_inside = path.components().all(|c| matches!(c, Component::Normal(_)));
        is_inside
            && (path.starts_with("plots") || path.starts_with("qc"))
            && (name.ends_with(".png") || name.ends_with(".svg"))
    };
    document
        .split("](")
        .skip(1)
        .filter_map(link)
        .filter(is_ours)
        .collect()
}

/// A picture that would pass for one of this report, and folders that it leaves empty.
fn remove(folder: &Path, name: &str) {
    // One that somebody removed already, or that may not be removed, does no harm: nothing names it.
    let path = folder.join(name);
    let _ = std::fs::remove_file(&path);
    let mut parent = path.parent();
    while let Some(up) = parent.filter(|up| *up != folder && up.starts_with(folder)) {
        if std::fs::remove_dir(up).is_err() {
            break;
        }
        parent = up.parent();
    }
}
