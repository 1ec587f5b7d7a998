//! What is kept: the journal while a campaign runs, Parquet when a phase ends, environment and git. One folder, one writer.
#![allow(
    clippy::disallowed_methods,
    reason = "this module owns the results folder"
)]
mod columns;
mod environment;
mod git;
mod journal;
mod kept;
mod lock;
mod parquet;
mod run;
mod wisdom;

pub use columns::{metrics, objective, quantity};
pub use kept::{
    Calibration, Ceilings, CriterionOutcome, CriterionState, Entry, Environment, FINAL_PHASE,
    Final, Git, Header, Imported, ImportedDetail, NodeOutcome, PhaseOutcome, PlatformOutcome,
    PlatformVerdict, Trial,
};
pub use run::{PhaseSamples, Run, SampleRow};
pub use wisdom::{Gain, Wisdom, hardware};

use journal::Journal;
use lock::Lock;
use std::collections::VecDeque;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// What stops a campaign from keeping its records.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another campaign writes here: says who (pid, host, since when).
    #[error("{0}")]
    Locked(String),
    #[error("{what}: {source}")]
    Io { what: String, source: io::Error },
    #[error("{0}")]
    Damaged(String),
}

impl StoreError {
    fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> StoreError {
        let what = what.into();
        move |source| {
            let full = source.kind() == io::ErrorKind::StorageFull;
            let hint = if full {
                "; free some space and run the same command again: what was measured is kept"
            } else {
                ""
            };
            StoreError::Io {
                what: format!("{what}{hint}"),
                source,
            }
        }
    }
}

/// The results folder of one run, open for writing: it holds the lock until it is dropped.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    header: Header,
    journal: Journal,
    /// Entries of an interrupted journal that have not been replayed.
    ahead: VecDeque<Entry>,
    /// Everything after the header, replayed entries included: what Parquet is written from.
    entries: Vec<Entry>,
    _lock: Lock,
}

const JOURNAL: &str = "journal.jsonl";
const SCRATCH: &str = "scratch";
/// A run's folder while it is being made; only the holder of the lock makes one.
const STARTING: &str = ".starting";
const GIVEN_UP: &str = "journal-given-up.jsonl";

impl Store {
    /// A new run: `results/NAME/RUN_ID/`, with plan.yaml, environment.json and the journal's first line.
    ///
    /// An interrupted run that could have been continued instead is given up: its journal is renamed, so that it is not
    /// continued behind the back of the newer one.
    ///
    /// # Errors
    /// When another campaign holds the lock, or the folder cannot be written.
    pub fn create(results: &Path, mut header: Header) -> Result<Store, StoreError> {
        let family = results.join(&header.plan.name);
        std::fs::create_dir_all(&family).map_err(StoreError::io(format!(
            "the folder {} cannot be made",
            family.display()
        )))?;
        let lock = Lock::take(&family)?;
        for (folder, _) in
            interrupted(&family).filter(|(_, earlier)| differences(earlier, &header).is_empty())
        {
            give_up(&folder)?;
        }
        let commit = header
            .environment
            .git
            .as_ref()
            .map_or("nogit", |git| &git.commit[..git.commit.len().min(7)]);
        let base = format!("{}-{commit}", environment::compact_time());
        let taken = |name: &String| family.join(name).exists();
        let numbered = (2..).map(|n| format!("{base}-{n}"));
        header.run_id = std::iter::once(base.clone())
            .chain(numbered)
            .find(|name| !taken(name))
            .expect("folders are finite");
        let folder = family.join(&header.run_id);
        // Made aside and named when it is whole: a kill on the way leaves no folder that is neither a run nor can be continued.
        let aside = family.join(STARTING);
        let wrong = || format!("the folder {} cannot be made", folder.display());
        let _ = std::fs::remove_dir_all(&aside);
        std::fs::create_dir(&aside).map_err(StoreError::io(wrong()))?;
        write_whole(&aside.join("plan.yaml"), header.plan_text.as_bytes())?;
        let environment = serde_json::to_string_pretty(&header.environment).expect("plain data");
        write_whole(&aside.join("environment.json"), environment.as_bytes())?;
        let started = Entry::Started(Box::new(header.clone()));
        let mut journal = Journal::open(&aside.join(JOURNAL), 0)?;
        journal.append(&started)?;
        sync_folder(&aside);
        std::fs::rename(&aside, &folder).map_err(StoreError::io(wrong()))?;
        sync_folder(&family);
        journal.moved_to(folder.join(JOURNAL));
        Ok(Store {
            folder,
            header,
            journal,
            ahead: VecDeque::new(),
            entries: vec![],
            _lock: lock,
        })
    }

    /// The newest run of this plan that was interrupted and may be continued: same plan, same commit and diff, same machine.
    /// A torn last line is dropped. [`Store::left_behind`] says what does not fit.
    ///
    /// # Errors
    /// When another campaign holds the lock, or a journal is damaged in its middle.
    pub fn resume(results: &Path, like: &Header) -> Result<Option<Store>, StoreError> {
        let family = results.join(&like.plan.name);
        if interrupted(&family).next().is_none() {
            return Ok(None);
        }
        // Locked before it is read: its owner may still be writing.
        let lock = Lock::take(&family)?;
        let Some((folder, header)) =
            interrupted(&family).find(|(_, header)| differences(header, like).is_empty())
        else {
            return Ok(None);
        };
        remove_leftovers(&folder);
        let file = folder.join(JOURNAL);
        let (mut entries, good) = journal::read(&file)?;
        entries.pop_front();
        let journal = Journal::open(&file, good)?;
        Ok(Some(Store {
            folder,
            header,
            journal,
            ahead: entries,
            entries: vec![],
            _lock: lock,
        }))
    }

    /// The newest interrupted run of this plan that cannot be continued, and why, in a sentence; absent where there is none.
    pub fn left_behind(results: &Path, like: &Header) -> Option<String> {
        let (folder, header) = interrupted(&results.join(&like.plan.name)).next()?;
        let differences = differences(&header, like);
        let why = (!differences.is_empty()).then(|| differences.join(", "))?;
        Some(format!(
            "{} was interrupted, but cannot be continued: {why}",
            folder.display()
        ))
    }

    pub fn header(&self) -> &Header {
        &self.header
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// For files that are of no use once the run is complete; [`Store::finish`] removes it.
    pub fn scratch(&self) -> PathBuf {
        self.folder.join(SCRATCH)
    }

    /// The next entry of the interrupted journal, in order; absent when all has been replayed (or nothing was).
    pub fn replay(&mut self) -> Option<Entry> {
        let entry = self.ahead.pop_front()?;
        self.entries.push(entry.clone());
        Some(entry)
    }

    /// Appends one entry: after this returns, no crash of ours loses it. A power cut may lose blocks that together took a
    /// quarter of a second; everything else is synced.
    ///
    /// # Errors
    /// When it cannot be written whole; the journal then ends before it.
    pub fn append(&mut self, entry: &Entry) -> Result<(), StoreError> {
        self.journal.append(entry)?;
        self.entries.push(entry.clone());
        Ok(())
    }

    /// Writes samples.parquet and trials.parquet from all entries so far, aside, then renames.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn write_parquet(&mut self) -> Result<(), StoreError> {
        parquet::write(&self.folder, &self.header, &self.entries)
    }

    /// After the last phase: final Parquet, then the journal is removed and the run is complete.
    ///
    /// # Errors
    /// When the folder cannot be written; the journal is then still there.
    pub fn finish(mut self, finals: &[Final]) -> Result<(), StoreError> {
        while self.replay().is_some() {}
        let is_ended = self
            .entries
            .iter()
            .any(|e| matches!(e, Entry::Ended { .. }));
        if !is_ended {
            self.append(&Entry::Ended {
                finals: finals.to_vec(),
            })?;
        }
        self.write_parquet()?;
        remove_scratch(&self.folder);
        let journal = self.folder.join(JOURNAL);
        std::fs::remove_file(&journal).map_err(StoreError::io(format!(
            "{} cannot be removed",
            journal.display()
        )))
    }
}

/// Runs of a plan, oldest first: their names begin with their time.
fn run_folders(family: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(family) else {
        return vec![];
    };
    let mut folders: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.is_dir() && !path.ends_with(STARTING))
        .collect();
    folders.sort();
    folders
}

/// Runs whose journal is still there, newest first, with what they were started as.
fn interrupted(family: &Path) -> impl Iterator<Item = (PathBuf, Header)> {
    run_folders(family).into_iter().rev().filter_map(|folder| {
        match journal::first(&folder.join(JOURNAL))? {
            Entry::Started(header) => Some((folder, *header)),
            _ => None,
        }
    })
}

/// What keeps one from continuing the other, in words.
fn differences(earlier: &Header, now: &Header) -> Vec<&'static str> {
    let source = |h: &Header| h.environment.git.as_ref().map(|g| g.commit.clone());
    let changes = |h: &Header| h.environment.git.as_ref().and_then(|g| g.diff_hash.clone());
    let machine = |h: &Header| (h.environment.host.clone(), h.environment.cpu.clone());
    let mut found = vec![];
    let mut unless = |is_same: bool, what| {
        if !is_same {
            found.push(what);
        }
    };
    let is_same_text = earlier.plan_text == now.plan_text;
    unless(is_same_text, "the plan has changed");
    unless(
        !is_same_text || earlier.plan == now.plan,
        "it had other options",
    );
    unless(source(earlier) == source(now), "the commit is another");
    unless(changes(earlier) == changes(now), "files have changed since");
    unless(
        // On a cluster the machine that coordinates measures nothing.
        now.plan.on.is_some() || machine(earlier) == machine(now),
        "it ran on another machine",
    );
    unless(
        earlier.environment.tool_version == now.environment.tool_version,
        "it is of another version of phasetune",
    );
    found
}

fn give_up(folder: &Path) -> Result<(), StoreError> {
    remove_leftovers(folder);
    remove_scratch(folder);
    let journal = folder.join(JOURNAL);
    std::fs::rename(&journal, folder.join(GIVEN_UP)).map_err(StoreError::io(format!(
        "{} cannot be renamed",
        journal.display()
    )))
}

/// Arrays that outputs were compared with: they can be made again, so a folder that stays is no reason to fail.
fn remove_scratch(folder: &Path) {
    let _ = std::fs::remove_dir_all(folder.join(SCRATCH));
}

/// What a killed writer left beside the files that it was writing.
fn remove_leftovers(folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(ASIDE) {
            // It is in nobody's way but the eye's.
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Begins the names of files that are being written.
const ASIDE: &str = ".writing-";

/// Writes aside, syncs, renames: readers see the old file or the new one.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let wrong = || format!("{} cannot be written", path.display());
    let folder = path.parent().unwrap_or(Path::new("."));
    // Temporary files are private; records are for everybody whom the umask lets read.
    let permissions = std::fs::Permissions::from_mode(0o666);
    let mut aside = tempfile::Builder::new()
        .prefix(ASIDE)
        .permissions(permissions)
        .tempfile_in(folder)
        .map_err(StoreError::io(wrong()))?;
    io::Write::write_all(&mut aside, bytes).map_err(StoreError::io(wrong()))?;
    aside
        .as_file()
        .sync_all()
        .map_err(StoreError::io(wrong()))?;
    aside
        .persist(path)
        .map_err(|e| StoreError::io(wrong())(e.error))?;
    sync_folder(folder);
    Ok(())
}

/// A name is only as durable as its folder. Not every file system can do this; those that cannot need not.
fn sync_folder(folder: &Path) {
    if let Ok(folder) = std::fs::File::open(folder) {
        let _ = folder.sync_all();
    }
}

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod tests;
