//! `import` and `export`: other tuners' files. Only here are they opened.
use super::Failure;
use super::args::{Common, Export, ExportFormat, Import};
use super::report::find;
use super::terminal::{complain, plain, say};
use crate::interchange::{self, Definition, Foreign, Recording};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Text that is read at most: the published caches are under 200 MB unpacked.
const LARGEST: u64 = 4 << 30;

/// Where plans without a folder are looked for.
const EXPERIMENTS: &str = "experiments";

pub(super) fn import(order: &Import, common: &Common) -> Result<ExitCode, Failure> {
    let file = order.file.display().to_string();
    match read(&order.file)? {
        Foreign::Recording(recording) => {
            if order.output.is_some() {
                return Err(Failure::Said(format!(
                    "{file} holds results, which go to a folder under {}; --output is for T1, which becomes a plan",
                    common.results.display()
                )));
            }
            keep(&recording, &file, common)
        }
        Foreign::Definition(definition) => write_plan(&definition, order, common),
    }
}

/// What a file of another tuner holds, with what it leaves out said on stderr.
pub(super) fn read(path: &Path) -> Result<Foreign, Failure> {
    let wrong = |why: String| Failure::Said(format!("{}: {why}", path.display()));
    let text = text(path).map_err(|e| wrong(format!("it cannot be read: {e}")))?;
    let foreign = interchange::read(&name(path), &text).map_err(wrong)?;
    let left_out = match &foreign {
        Foreign::Recording(recording) => &recording.left_out,
        Foreign::Definition(definition) => &definition.left_out,
    };
    for what in left_out {
        complain(&format!("note: {}: {what}", path.display()));
    }
    Ok(foreign)
}

fn text(path: &Path) -> std::io::Result<String> {
    let bytes = std::fs::read(path)?;
    let mut text = String::new();
    match bytes.starts_with(&[0x1f, 0x8b]) {
        true => flate2::read::MultiGzDecoder::new(&bytes[..])
            .take(LARGEST)
            .read_to_string(&mut text)?,
        false => bytes.as_slice().read_to_string(&mut text)?,
    };
    Ok(text)
}

/// The file's name up to `.json`, as everybody who scores recorded spaces calls them.
fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.split(".json").next().unwrap_or_default().to_owned()
}

fn keep(recording: &Recording, file: &str, common: &Common) -> Result<ExitCode, Failure> {
    let words = std::env::args_os().skip(1);
    let command_line = words.map(|w| w.to_string_lossy().into_owned()).collect();
    let plan = interchange::plan_name(&recording.name);
    let folder = interchange::keep(recording, &plan, file, command_line, &common.results)?;
    let run_id = folder.file_name().unwrap_or_default().to_string_lossy();
    if common.json {
        let object = serde_json::json!({
            "run_id": run_id, "results": folder, "format": recording.format.words(),
            "configurations": recording.evaluations.len(), "without_value": recording.failed(),
        });
        return say(&object.to_string());
    }
    if common.quiet {
        return Ok(ExitCode::SUCCESS);
    }
    say(&plain(&format!(
        "{}: {} configurations, {} of them without a value\nrecords:   {}\nto read:   phasetune report {plan}",
        recording.format.words(),
        recording.evaluations.len(),
        recording.failed(),
        folder.display(),
    )))
}

fn write_plan(
    definition: &Definition,
    order: &Import,
    common: &Common,
) -> Result<ExitCode, Failure> {
    let file = order.file.display().to_string();
    let plan = interchange::plan_name(&name(&order.file));
    let to = match &order.output {
        Some(to) => to.clone(),
        None => Path::new(EXPERIMENTS).join(format!("{plan}.yaml")),
    };
    let folder = way(&to, &order.file);
    write_new(&to, &definition.plan(&plan, &file, &folder))?;
    if common.json {
        let object = serde_json::json!({
            "plan": to, "configurations": definition.count, "cartesian": definition.cartesian(),
        });
        return say(&object.to_string());
    }
    if common.quiet {
        return Ok(ExitCode::SUCCESS);
    }
    let count = definition
        .count
        .map_or("too many to count".into(), |n| n.to_string());
    say(&plain(&format!(
        "T1: {}, {}, {count} configurations of {}\nplan:      {}\nto run:    phasetune run {}",
        counted(definition.parameters.len(), "parameter"),
        counted(definition.restrictions.len(), "restriction"),
        definition.cartesian(),
        to.display(),
        to.display(),
    )))
}

/// From the folder of one file to that of another, with a slash at its end: `../`; absolute where only that is sure.
fn way(from: &Path, to: &Path) -> String {
    let folder = |path: &Path| path.parent().unwrap_or(Path::new("")).to_path_buf();
    let (from, to) = (folder(from), folder(to));
    let is_plain = |path: &Path| {
        let plain = |c| matches!(c, std::path::Component::Normal(_));
        path.components().all(plain)
    };
    let way = if is_plain(&from) && is_plain(&to) {
        from.components()
            .map(|_| "..")
            .collect::<std::path::PathBuf>()
            .join(to)
    } else {
        std::path::absolute(&to).unwrap_or(to)
    };
    match way.display().to_string() {
        way if way.is_empty() => way,
        way => format!("{}/", way.trim_end_matches('/')),
    }
}

/// "1 restriction", "2 restrictions".
fn counted(n: usize, what: &str) -> String {
    match n {
        1 => format!("1 {what}"),
        n => format!("{n} {what}s"),
    }
}

/// Never over a file that is there: it may be somebody's work.
fn write_new(to: &Path, text: &str) -> Result<(), Failure> {
    let wrong =
        |e: std::io::Error| Failure::Said(format!("{} cannot be written: {e}", to.display()));
    if let Some(folder) = to.parent().filter(|p| !p.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(wrong)?;
    }
    if to.exists() {
        return Err(Failure::Said(format!(
            "{} is there already; remove it, or name another file with --output",
            to.display()
        )));
    }
    std::fs::write(to, text).map_err(wrong)
}

pub(super) fn export(
    order: &Export,
    format: ExportFormat,
    common: &Common,
) -> Result<ExitCode, Failure> {
    let run = find(&order.run, &common.results)?;
    let wrong = |why: String| Failure::Said(format!("{}: {why}", run.folder.display()));
    let recording = interchange::recording(&run, order.case.as_deref()).map_err(wrong)?;
    let text = match format {
        ExportFormat::T4 => interchange::t4(&recording),
        ExportFormat::KernelTuner => interchange::kernel_tuner(&recording),
        ExportFormat::Csv => interchange::csv(&recording),
    };
    match &order.output {
        None => say(&text),
        Some(to) => {
            std::fs::write(to, text)
                .map_err(|e| Failure::Said(format!("{} cannot be written: {e}", to.display())))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Every recorded space that a file or a run holds.
pub(super) fn spaces(written: &str, common: &Common) -> Result<Vec<Recording>, Failure> {
    let path = PathBuf::from(written);
    if path.is_file() {
        return match read(&path)? {
            Foreign::Recording(recording) => Ok(vec![recording]),
            Foreign::Definition(_) => Err(Failure::Said(format!(
                "{written} defines a space (T1), but holds no results to replay"
            ))),
        };
    }
    let run = find(written, &common.results)?;
    let found = interchange::searched_spaces(&run).map_err(Failure::Said)?;
    match found.is_empty() {
        true => Err(Failure::Said(format!(
            "{} has no search and no sweep that could be replayed",
            run.folder.display()
        ))),
        false => Ok(found),
    }
}
