//! A run read back from its two Parquet files.
#![allow(clippy::disallowed_methods, reason = "reads the results folder")]
use super::columns::purpose_of;
use super::{FINAL_PHASE, Final, Header, PhaseOutcome, StoreError, Trial, parquet, run_folders};
use crate::trial::{PictureRecord, Purpose, VariantId};
use crate::value::Nanoseconds;
use polars::error::PolarsResult;
use polars::prelude::DataFrame;
use polars_io::SerReader;
use polars_io::prelude::ParquetReader;
use std::fs::File;
use std::path::{Path, PathBuf};

/// A finished or interrupted run, read back from Parquet (an interrupted one: as of its last finished phase). Reports and
/// comparisons start from this and from nothing else.
#[derive(Clone, Debug)]
pub struct Run {
    pub folder: PathBuf,
    pub header: Header,
    /// In the plan's order: case, phase, variant.
    pub trials: Vec<Trial>,
    pub outcomes: Vec<PhaseOutcome>,
    /// Empty while the run is not complete.
    pub finals: Vec<Final>,
    pub is_complete: bool,
    /// One entry for each case, phase and purpose.
    pub samples: Vec<PhaseSamples>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct PhaseSamples {
    pub case: String,
    pub phase: String,
    pub purpose: Purpose,
    /// In the order in which they were measured.
    pub rows: Vec<SampleRow>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SampleRow {
    pub block: u32,
    /// Place of the cell in its block.
    pub position: u32,
    pub repetition: u32,
    pub worker: u32,
    pub variant: VariantId,
    pub is_warm_up: bool,
    /// Invocations that the time is the mean of.
    pub batch: u32,
    /// Nanoseconds since 1970, UTC.
    pub started_at: u64,
    pub runtime: Nanoseconds,
    /// The plan's objective: the runtime in ns, or what else is minimized.
    pub objective: f64,
}

impl Run {
    /// # Errors
    /// When one of the two files is missing or not ours.
    pub fn load(folder: &Path) -> Result<Run, StoreError> {
        let path = folder.join(parquet::TRIALS_FILE);
        let metadata = metadata(&path)?;
        let text = |key: &str| {
            metadata
                .iter()
                .find(|(k, _)| k == key)
                .map(|(_, text)| text.as_str())
        };
        let wanted =
            |key: &str| text(key).ok_or_else(|| damaged(&path, &format!("it has no `{key}`")));
        let outcomes: Vec<PhaseOutcome> = json(&path, wanted(parquet::OUTCOMES)?)?;
        let finals: Option<Vec<Final>> = text(parquet::FINALS)
            .map(|text| json(&path, text))
            .transpose()?;
        let mut samples = samples(&folder.join(parquet::SAMPLES_FILE))?;
        // A campaign that was killed between the two files left samples that the other does not know.
        samples.retain(|s| match s.phase.as_str() {
            FINAL_PHASE => finals.is_some(),
            phase => outcomes
                .iter()
                .any(|o| o.case == s.case && o.phase == phase),
        });
        Ok(Run {
            folder: folder.to_owned(),
            header: json(&path, wanted(parquet::HEADER)?)?,
            trials: json(&path, wanted(parquet::TRIALS)?)?,
            outcomes,
            is_complete: finals.is_some(),
            finals: finals.unwrap_or_default(),
            samples,
        })
    }

    /// The run whose id begins like this, or the newest one, of `results/NAME/`. Only of a run that has finished a phase is
    /// there anything to read.
    ///
    /// # Errors
    /// When there is none: says what there is.
    pub fn find(results: &Path, name: &str, run_id: Option<&str>) -> Result<Run, StoreError> {
        let family = results.join(name);
        let folders = run_folders(&family);
        let (readable, others): (Vec<_>, Vec<_>) = folders
            .into_iter()
            .partition(|folder| folder.join(parquet::TRIALS_FILE).is_file());
        let is_wanted =
            |folder: &&PathBuf| run_id.is_none_or(|wanted| folder_name(folder).starts_with(wanted));
        if let Some(folder) = readable.iter().rev().find(is_wanted) {
            return Run::load(folder);
        }
        let names = |folders: &[PathBuf]| {
            folders
                .iter()
                .map(|f| folder_name(f))
                .collect::<Vec<_>>()
                .join(", ")
        };
        Err(StoreError::Damaged(
            if let Some(folder) = others.iter().rev().find(is_wanted) {
                format!(
                    "{} has not finished a phase yet: there is nothing to read",
                    folder.display()
                )
            } else if readable.is_empty() {
                let known = names(&run_folders(results));
                let known = if known.is_empty() {
                    "nothing".into()
                } else {
                    known
                };
                format!(
                    "there are no runs in {}; {} has {known}",
                    family.display(),
                    results.display()
                )
            } else {
                format!(
                    "no run in {} is called {}; it has {}",
                    family.display(),
                    run_id.unwrap_or(""),
                    names(&readable)
                )
            },
        ))
    }

    /// Values of a QC picture, `height` rows of `width`.
    ///
    /// # Errors
    /// When the file is missing or of another shape.
    pub fn picture(&self, picture: &PictureRecord) -> Result<Vec<f32>, StoreError> {
        let path = self.folder.join(&picture.file);
        let array: ndarray::Array2<f32> =
            ndarray_npy::read_npy(&path).map_err(|e| damaged(&path, &e))?;
        if array.dim() != (picture.height, picture.width) {
            return Err(damaged(&path, &format!("its shape is {:?}", array.dim())));
        }
        Ok(array.into_iter().collect())
    }

    /// A column of real numbers of `samples.parquet` that [`SampleRow`] has no room for, a value a row of the file.
    ///
    /// # Errors
    /// When it cannot be read, or there is no such column.
    pub fn column(&self, name: &str) -> Result<Vec<f64>, StoreError> {
        let path = self.folder.join(parquet::SAMPLES_FILE);
        let read = || -> PolarsResult<Vec<f64>> {
            let frame = ParquetReader::new(File::open(&path)?)
                .with_columns(Some(vec![name.to_owned()]))
                .finish()?;
            let column = frame.column(name)?.as_materialized_series().clone();
            Ok(column
                .f64()?
                .iter()
                .map(|v| v.unwrap_or(f64::NAN))
                .collect())
        };
        read().map_err(|e| damaged(&path, &e))
    }

    pub fn trials_of<'a>(
        &'a self,
        case: &'a str,
        phase: &'a str,
    ) -> impl Iterator<Item = &'a Trial> {
        self.trials
            .iter()
            .filter(move |t| t.case == case && t.phase == phase)
    }
}

fn open(path: &Path) -> Result<File, StoreError> {
    File::open(path).map_err(StoreError::io(format!(
        "{} cannot be opened",
        path.display()
    )))
}

fn damaged(path: &Path, why: &dyn std::fmt::Display) -> StoreError {
    StoreError::Damaged(format!("{} cannot be read: {why}", path.display()))
}

fn json<T: serde::de::DeserializeOwned>(path: &Path, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|e| damaged(path, &e))
}

fn folder_name(folder: &Path) -> String {
    folder
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

fn metadata(path: &Path) -> Result<Vec<(String, String)>, StoreError> {
    let mut reader = ParquetReader::new(open(path)?);
    let metadata = reader.get_metadata().map_err(|e| damaged(path, &e))?;
    let pairs = metadata.key_value_metadata().iter().flatten();
    Ok(pairs
        .filter_map(|pair| Some((pair.key.clone(), pair.value.clone()?)))
        .collect())
}

/// The whole file.
#[cfg(test)]
pub(super) fn frame(path: &Path) -> PolarsResult<DataFrame> {
    ParquetReader::new(File::open(path)?).finish()
}

fn samples(path: &Path) -> Result<Vec<PhaseSamples>, StoreError> {
    const WANTED: [&str; 13] = [
        "case",
        "phase",
        "purpose",
        "block",
        "position",
        "repetition",
        "worker",
        "variant_id",
        "warm_up",
        "batch",
        "started_at",
        "runtime_ns",
        "objective",
    ];
    let frame = ParquetReader::new(open(path)?)
        .with_columns(Some(WANTED.map(str::to_owned).to_vec()))
        .finish()
        .map_err(|e| damaged(path, &e))?;
    split(&frame).map_err(|e| damaged(path, &e))
}

/// Rows to phases and purposes.
fn split(frame: &DataFrame) -> PolarsResult<Vec<PhaseSamples>> {
    let series = |name: &str| {
        frame
            .column(name)
            .map(|c| c.as_materialized_series().clone())
    };
    let whole = |name: &str| -> PolarsResult<Vec<u64>> {
        Ok(series(name)?
            .i64()?
            .iter()
            .map(|v| v.unwrap_or(0) as u64)
            .collect())
    };
    let real = |name: &str| -> PolarsResult<Vec<f64>> {
        Ok(series(name)?
            .f64()?
            .iter()
            .map(|v| v.unwrap_or(f64::NAN))
            .collect())
    };
    let (block, position, repetition) = (whole("block")?, whole("position")?, whole("repetition")?);
    let (worker, variant, started) = (whole("worker")?, whole("variant_id")?, whole("started_at")?);
    let batch = whole("batch")?;
    let (runtime, objective) = (real("runtime_ns")?, real("objective")?);
    let warm: Vec<bool> = series("warm_up")?
        .bool()?
        .iter()
        .map(|v| v == Some(true))
        .collect();
    let (cases, phases, purposes) = (series("case")?, series("phase")?, series("purpose")?);
    let names = cases
        .str()?
        .iter()
        .zip(phases.str()?.iter())
        .zip(purposes.str()?.iter());
    let mut all: Vec<PhaseSamples> = vec![];
    // Rows of one phase and purpose stand together, as a rule.
    let mut current = 0;
    for (i, ((case, phase), purpose)) in names.enumerate() {
        let (case, phase) = (case.unwrap_or(""), phase.unwrap_or(""));
        let purpose = purpose.and_then(purpose_of).unwrap_or(Purpose::Screen);
        let is_same = |p: &PhaseSamples| p.phase == phase && p.purpose == purpose && p.case == case;
        if !all.get(current).is_some_and(is_same) {
            current = all.iter().position(is_same).unwrap_or(all.len());
        }
        if current == all.len() {
            all.push(PhaseSamples {
                case: case.into(),
                phase: phase.into(),
                purpose,
                rows: vec![],
            });
        }
        all[current].rows.push(SampleRow {
            block: block[i] as u32,
            position: position[i] as u32,
            repetition: repetition[i] as u32,
            worker: worker[i] as u32,
            variant: VariantId(variant[i] as u32),
            is_warm_up: warm[i],
            batch: batch[i] as u32,
            started_at: started[i],
            runtime: Nanoseconds(runtime[i]),
            objective: objective[i],
        });
    }
    Ok(all)
}
