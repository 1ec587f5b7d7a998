//! From entries to `samples.parquet` and `trials.parquet`; the columns are listed in `columns.rs`.
//!
//! What is no row stands as JSON in the key-value metadata of `trials.parquet`: header, outcomes, finals, and the trials as they
//! were. Rows are for whoever queries the files; the metadata gives a [`super::Run`] back exactly.
use super::columns::{self, ColumnEntry, Fill, SampleFacts, Table, TrialFacts};
use super::{Entry, FINAL_PHASE, Final, Header, PhaseOutcome, StoreError, Trial};
use crate::space::Configuration;
use crate::trial::{Block, Purpose, VariantId};
use polars::error::{PolarsError, PolarsResult};
use polars::prelude::{
    BooleanChunked, Column, DataFrame, DataType, Field, Float64Chunked, Int64Chunked, IntoColumn,
    NewChunkedArray, Schema, StringChunked,
};
use polars_io::prelude::{KeyValueMetadata, ParquetCompression, ParquetWriter};
use std::collections::BTreeMap;
use std::path::Path;

/// Keys of the metadata.
pub(super) const HEADER: &str = "phasetune.header";
pub(super) const TRIALS: &str = "phasetune.trials";
pub(super) const OUTCOMES: &str = "phasetune.outcomes";
pub(super) const FINALS: &str = "phasetune.finals";
const COLUMNS: &str = "phasetune.columns";

/// Rows that are held as columns at one time, and of one row group: a million samples are written in 100 MB.
const ROWS: usize = 1 << 18;

pub(super) const SAMPLES_FILE: &str = "samples.parquet";
pub(super) const TRIALS_FILE: &str = "trials.parquet";

/// Writes both files. `trials.parquet` comes last: what it does not tell of is not there, whatever `samples.parquet` has.
pub(super) fn write(folder: &Path, header: &Header, entries: &[Entry]) -> Result<(), StoreError> {
    let kept = Kept::of(entries);
    let mut configurations: Vec<&Configuration> = vec![&header.plan.baseline];
    configurations.extend(kept.trials.iter().map(|t| &t.configuration));
    configurations.extend(kept.finals.into_iter().flatten().map(|f| &f.configuration));

    let table = columns::of_samples(header, &configurations);
    let metadata = vec![(COLUMNS.to_owned(), about(&table))];
    let samples = encoded(&table, samples(header, entries, &kept), metadata);
    write_file(&folder.join(SAMPLES_FILE), samples)?;

    let table = columns::of_trials(header, &kept.trials, &configurations);
    let mut metadata = vec![
        (HEADER.to_owned(), json(header)),
        (TRIALS.to_owned(), json(&kept.trials)),
        (OUTCOMES.to_owned(), json(&kept.outcomes)),
        (COLUMNS.to_owned(), about(&table)),
    ];
    metadata.extend(
        kept.finals
            .as_ref()
            .map(|finals| (FINALS.to_owned(), json(finals))),
    );
    let rows = kept.trials.iter().map(|trial| TrialFacts { header, trial });
    write_file(&folder.join(TRIALS_FILE), encoded(&table, rows, metadata))
}

/// What the entries say beside the samples.
#[derive(Default)]
struct Kept<'a> {
    trials: Vec<Trial>,
    outcomes: Vec<&'a PhaseOutcome>,
    finals: Option<&'a Vec<Final>>,
}

impl<'a> Kept<'a> {
    fn of(entries: &'a [Entry]) -> Kept<'a> {
        let mut kept = Kept::default();
        for entry in entries {
            match entry {
                Entry::PhaseEnded { trials, outcome } => {
                    kept.trials.extend_from_slice(trials);
                    kept.outcomes.push(outcome);
                }
                Entry::Ended { finals } => kept.finals = Some(finals),
                Entry::Started(_) | Entry::Checked { .. } | Entry::Block { .. } => {}
            }
        }
        kept
    }
}

/// Every sample of the phases that have ended, in the order in which they were measured.
fn samples<'a>(
    header: &'a Header,
    entries: &'a [Entry],
    kept: &'a Kept<'a>,
) -> impl Iterator<Item = SampleFacts<'a>> {
    let known: BTreeMap<(&str, &str, VariantId), &Trial> = kept
        .trials
        .iter()
        .map(|t| ((t.case.as_str(), t.phase.as_str(), t.id), t))
        .collect();
    let blocks = entries.iter().filter_map(|entry| match entry {
        Entry::Block {
            case,
            phase,
            purpose,
            block,
        } => Some((case.as_str(), phase.as_str(), *purpose, block)),
        _ => None,
    });
    blocks.flat_map(
        move |(case, phase, purpose, block): (&str, &str, Purpose, &Block)| {
            let mut rows = vec![];
            for (position, cell) in block.cells.iter().enumerate() {
                let who = match known.get(&(case, phase, cell.variant)) {
                    Some(t) => (
                        t.kind.as_str(),
                        t.name.as_str(),
                        t.device.as_str(),
                        &t.configuration,
                    ),
                    None => match of_final(header, kept, case, phase, cell.variant) {
                        Some(who) => who,
                        None => continue,
                    },
                };
                let (kind, variant, device, configuration) = who;
                rows.extend(cell.samples.iter().enumerate().map(|(repetition, sample)| {
                    SampleFacts {
                        header,
                        case,
                        phase,
                        kind,
                        variant,
                        device,
                        configuration,
                        purpose,
                        block,
                        position,
                        cell,
                        repetition,
                        sample,
                    }
                }));
            }
            rows
        },
    )
}

/// Kind, name, device and configuration in the confirmation of the whole, which is no phase and has no trials.
fn of_final<'a>(
    header: &'a Header,
    kept: &'a Kept<'a>,
    case: &str,
    phase: &str,
    variant: VariantId,
) -> Option<(&'static str, &'static str, &'a str, &'a Configuration)> {
    let of_case = kept
        .finals?
        .iter()
        .find(|f| f.case == case && phase == FINAL_PHASE)?;
    let device = kept
        .trials
        .iter()
        .find(|t| t.case == case)
        .map_or("", |t| t.device.as_str());
    Some(match variant {
        VariantId::REFERENCE => (FINAL_PHASE, "baseline", device, &header.plan.baseline),
        _ => (FINAL_PHASE, "final", device, &of_case.configuration),
    })
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("plain data")
}

/// Name, unit and description of each column, for whoever opens the file without us.
fn about<R>(table: &Table<R>) -> String {
    let list: Vec<_> = table
        .columns
        .iter()
        .map(|c| serde_json::json!({"name": c.name, "unit": c.unit, "about": c.about}))
        .collect();
    json(&list)
}

/// The whole file in memory: a million samples are 40 MB, and nothing half-written ever has the file's name.
fn encoded<R>(
    table: &Table<R>,
    rows: impl Iterator<Item = R>,
    metadata: Vec<(String, String)>,
) -> PolarsResult<Vec<u8>> {
    let mut bytes = vec![];
    let schema: Schema = table
        .columns
        .iter()
        .map(|c| Field::new(c.name.as_str().into(), dtype(&c.fill)))
        .collect();
    let mut writer = ParquetWriter::new(&mut bytes)
        .with_compression(ParquetCompression::Zstd(None))
        .with_key_value_metadata(Some(KeyValueMetadata::from_static(metadata)))
        .batched(&schema)?;
    let mut rows = rows.peekable();
    loop {
        let some: Vec<R> = rows.by_ref().take(ROWS).collect();
        let columns = table.columns.iter().map(|c| column(c, &some)).collect();
        writer.write_batch(&DataFrame::new(some.len(), columns)?)?;
        if rows.peek().is_none() {
            break;
        }
    }
    writer.finish()?;
    Ok(bytes)
}

fn dtype<R>(fill: &Fill<R>) -> DataType {
    match fill {
        Fill::Text(_) => DataType::String,
        Fill::Whole(_) => DataType::Int64,
        Fill::Real(_) => DataType::Float64,
        Fill::Truth(_) => DataType::Boolean,
    }
}

fn column<R>(entry: &ColumnEntry<R>, rows: &[R]) -> Column {
    let name = entry.name.as_str().into();
    match &entry.fill {
        Fill::Text(of) => StringChunked::from_iter_options(name, rows.iter().map(of)).into_column(),
        Fill::Whole(of) => Int64Chunked::from_iter_options(name, rows.iter().map(of)).into_column(),
        Fill::Real(of) => {
            Float64Chunked::from_iter_options(name, rows.iter().map(of)).into_column()
        }
        Fill::Truth(of) => {
            BooleanChunked::from_iter_options(name, rows.iter().map(of)).into_column()
        }
    }
}

fn write_file(path: &Path, bytes: PolarsResult<Vec<u8>>) -> Result<(), StoreError> {
    let bytes = bytes.map_err(|error: PolarsError| {
        StoreError::io(format!("{} cannot be written", path.display()))(std::io::Error::other(
            error,
        ))
    })?;
    super::write_whole(path, &bytes)
}
