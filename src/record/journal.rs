//! The journal: one JSON line an entry, written in one piece and synced. A torn last line is what a kill leaves; damage
//! anywhere else is an error.
//!
//! Who kills the campaign loses nothing that was appended: the kernel has it. Only a power cut can lose what is not synced, and
//! a sync takes 2 to 5 ms on an ordinary disk, as long as a block of short commands (benches/overhead.py). So blocks are
//! synced as soon as those that are not have cost [`UNSYNCED`] to measure; everything else is synced at once.
#![allow(
    clippy::disallowed_methods,
    reason = "this file is the journal's only writer"
)]
use super::{Entry, StoreError};
use crate::value::Nanoseconds;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// A power cut loses at most as much measuring as this, and the block after it.
const UNSYNCED: Nanoseconds = Nanoseconds(250e6);

#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    path: PathBuf,
    /// Bytes that hold whole lines.
    good: u64,
    /// What the blocks since the last sync have cost.
    unsynced: Nanoseconds,
}

impl Journal {
    /// Opens for appending after the first `good` bytes; what stands behind them is cut off.
    pub(super) fn open(path: &Path, good: u64) -> Result<Journal, StoreError> {
        let wrong = || format!("the journal {} cannot be opened", path.display());
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)
            .map_err(StoreError::io(wrong()))?;
        file.set_len(good).map_err(StoreError::io(wrong()))?;
        Ok(Journal {
            file,
            path: path.to_owned(),
            good,
            unsynced: Nanoseconds(0.0),
        })
    }

    /// The folder has another name now.
    pub(super) fn moved_to(&mut self, path: PathBuf) {
        self.path = path;
    }

    pub(super) fn append(&mut self, entry: &Entry) -> Result<(), StoreError> {
        let mut line = serde_json::to_vec(entry).expect("plain data");
        line.push(b'\n');
        let waits = match entry {
            Entry::Block { block, .. } => self.unsynced.0 + block.elapsed.0 < UNSYNCED.0,
            _ => false,
        };
        let written = self
            .file
            .seek(SeekFrom::Start(self.good))
            .and_then(|_| self.file.write_all(&line))
            .and_then(|()| if waits { Ok(()) } else { self.file.sync_data() });
        if let Err(error) = written {
            // Half a line must not stay: the next start would take it for a torn one, but a reader need not.
            let _ = self.file.set_len(self.good);
            let what = format!("the journal {} cannot be written", self.path.display());
            return Err(StoreError::io(what)(error));
        }
        self.good += line.len() as u64;
        self.unsynced = match entry {
            Entry::Block { block, .. } if waits => Nanoseconds(self.unsynced.0 + block.elapsed.0),
            _ => Nanoseconds(0.0),
        };
        Ok(())
    }
}

/// The first entry, if the file has a whole one: which campaign it is, without reading all that was measured.
pub(super) fn first(path: &Path) -> Option<Entry> {
    let mut line = String::new();
    let mut file = io::BufReader::new(File::open(path).ok()?);
    file.read_line(&mut line).ok()?;
    serde_json::from_str(line.strip_suffix('\n')?).ok()
}

/// Every whole entry, and the number of bytes that hold them.
pub(super) fn read(path: &Path) -> Result<(VecDeque<Entry>, u64), StoreError> {
    let bytes = std::fs::read(path).map_err(StoreError::io(format!(
        "the journal {} cannot be read",
        path.display()
    )))?;
    let mut entries = VecDeque::new();
    let mut good = 0;
    let mut rest = &bytes[..];
    while let Some(end) = rest.iter().position(|b| *b == b'\n') {
        match serde_json::from_slice(&rest[..end]) {
            Ok(entry) => entries.push_back(entry),
            // A torn write can leave a line of zeros or garbage, but only at the end.
            Err(_) if end + 1 == rest.len() => break,
            Err(error) => {
                return Err(StoreError::Damaged(format!(
                    "line {} of {} is damaged ({error}); move the folder away or start with --fresh",
                    entries.len() + 1,
                    path.display()
                )));
            }
        }
        good += end as u64 + 1;
        rest = &rest[end + 1..];
    }
    Ok((entries, good))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(n: u32) -> Entry {
        Entry::Checked {
            key: format!("case/phase/{n}"),
            checked: serde_json::json!({"n": n}),
        }
    }

    #[test]
    fn a_journal_cut_at_any_byte_gives_its_whole_lines_and_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        let mut journal = Journal::open(&path, 0).unwrap();
        for n in 0..3 {
            journal.append(&entry(n)).unwrap();
        }
        let whole = std::fs::read(&path).unwrap();
        for cut in 0..whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let lines = whole[..cut].iter().filter(|b| **b == b'\n').count();
            let (entries, good) = read(&path).unwrap();
            assert_eq!(entries.len(), lines, "cut at {cut}");
            let mut journal = Journal::open(&path, good).unwrap();
            journal.append(&entry(9)).unwrap();
            let (entries, _) = read(&path).unwrap();
            assert_eq!(entries.back(), Some(&entry(9)));
            assert_eq!(entries.len(), lines + 1);
        }
    }

    #[test]
    fn damage_in_the_middle_names_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        let line = serde_json::to_string(&entry(1)).unwrap();
        std::fs::write(&path, format!("{line}\nnonsense\n{line}\n")).unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(error.contains("line 2"), "{error}");
    }

    #[test]
    fn a_full_disk_is_a_clear_error_and_the_journal_stays_whole() {
        // /dev/full answers every write with ENOSPC.
        let mut journal = Journal {
            file: File::options().write(true).open("/dev/full").unwrap(),
            path: "results/t/journal.jsonl".into(),
            good: 0,
            unsynced: Nanoseconds(0.0),
        };
        let error = journal.append(&entry(1)).unwrap_err().to_string();
        assert!(
            error.contains("journal") && error.contains("free some space"),
            "{error}"
        );
        assert_eq!(journal.good, 0);
    }
}
