//! One campaign at a time writes to a results folder. The kernel releases the lock of a process that dies, however it dies, so
//! the lock itself is never stale; what is written beside it says who holds it. Only where the file system knows no locks (some
//! cluster file systems) does that text decide, and there an owner that is gone is recognised by host and process.
#![allow(clippy::disallowed_methods, reason = "this file owns the lock")]
use super::{StoreError, environment};
use serde::{Deserialize, Serialize};
use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

/// Held until it is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Owner {
    pid: u32,
    host: String,
    since: String,
    /// Clock ticks after boot at which the process started: tells it from a later process of the same number.
    process_start: Option<u64>,
}

impl Lock {
    /// # Errors
    /// `Locked`, with who holds it, or what is wrong with the file.
    pub(super) fn take(family: &Path) -> Result<Lock, StoreError> {
        let path = family.join(".lock");
        let wrong = || format!("the lock {} cannot be taken", path.display());
        let mut file = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(StoreError::io(wrong()))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(in_use(family, Owner::read(&mut file))),
            Err(TryLockError::Error(error)) if knows_no_locks(&error) => {
                if let Some(owner) = Owner::read(&mut file).filter(|owner| !owner.is_gone()) {
                    return Err(in_use(family, Some(owner)));
                }
            }
            Err(TryLockError::Error(error)) => return Err(StoreError::io(wrong())(error)),
        }
        let text = serde_json::to_string(&Owner::here()).expect("plain data");
        file.set_len(0)
            .and_then(|()| file.seek(SeekFrom::Start(0)))
            .and_then(|_| file.write_all(text.as_bytes()))
            .map_err(StoreError::io(wrong()))?;
        Ok(Lock { file })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // The file stays: removing it would let two processes lock two files of one name. An owner's text that cannot be cut
        // off is recognised as that of a process which is gone.
        let _ = self.file.set_len(0);
    }
}

/// For files that every process may write, in turn. Held until it is dropped; absent where the file system knows no locks.
///
/// # Errors
/// When the file cannot be opened, or the one before does not come to an end.
pub(super) fn wait_for_turn(path: &Path) -> Result<Option<File>, StoreError> {
    let wrong = || format!("the lock {} cannot be taken", path.display());
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(StoreError::io(wrong()))?;
    // Turns last milliseconds; only a stopped process keeps others waiting for longer.
    for _ in 0..1000 {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(10)),
            Err(TryLockError::Error(error)) if knows_no_locks(&error) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(StoreError::io(wrong())(error)),
        }
    }
    Err(StoreError::Locked(format!(
        "{} has been held by another process for ten seconds",
        path.display()
    )))
}

fn in_use(family: &Path, owner: Option<Owner>) -> StoreError {
    let who = owner.map_or_else(
        || "another process".to_owned(),
        |owner| {
            format!(
                "process {} on host {} since {}",
                owner.pid, owner.host, owner.since
            )
        },
    );
    StoreError::Locked(format!(
        "{} is in use by {who}; wait for it, stop it, or choose another folder with --results",
        family.display()
    ))
}

fn knows_no_locks(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Unsupported
        || matches!(
            error.raw_os_error(),
            Some(libc::ENOLCK | libc::EOPNOTSUPP | libc::ENOSYS)
        )
}

impl Owner {
    fn here() -> Owner {
        let pid = std::process::id();
        Owner {
            pid,
            host: environment::host(),
            since: environment::now(),
            process_start: process_start(pid),
        }
    }

    /// Who it is makes the message better, not the refusal: a text that does not parse is nobody's.
    fn read(file: &mut File) -> Option<Owner> {
        let mut text = String::new();
        file.read_to_string(&mut text).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// Only of a process of this host can that be said.
    fn is_gone(&self) -> bool {
        self.host == environment::host()
            && match (process_start(self.pid), self.process_start) {
                (None, _) => true,
                (Some(now), Some(then)) => now != then,
                (Some(_), None) => false,
            }
    }
}

/// Field 22 of `/proc/PID/stat` (proc_pid_stat(5)); absent if there is no such process.
fn process_start(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the command in parentheses, which may hold spaces and parentheses itself.
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_to_come_is_told_who_was_first() {
        let folder = tempfile::tempdir().unwrap();
        let first = Lock::take(folder.path()).unwrap();
        let error = Lock::take(folder.path()).unwrap_err().to_string();
        assert!(
            error.contains(&format!("process {} on host ", std::process::id())),
            "{error}"
        );
        drop(first);
        Lock::take(folder.path()).unwrap();
    }

    #[test]
    fn what_a_dead_owner_left_does_not_hold_anybody_up() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(
            folder.path().join(".lock"),
            serde_json::to_string(&Owner::here()).unwrap(),
        )
        .unwrap();
        Lock::take(folder.path()).unwrap();
        std::fs::write(
            folder.path().join(".lock"),
            "no JSON, and longer than an owner's text ".repeat(9),
        )
        .unwrap();
        Lock::take(folder.path()).unwrap();
    }

    #[test]
    fn without_locks_an_owner_is_gone_if_its_process_is_another_or_none() {
        let here = Owner::here();
        assert!(!here.is_gone());
        assert!(
            Owner {
                process_start: Some(1),
                ..here.clone()
            }
            .is_gone(),
            "the number was given to another process"
        );
        assert!(
            Owner {
                pid: u32::MAX,
                ..here.clone()
            }
            .is_gone()
        );
        assert!(
            !Owner {
                pid: u32::MAX,
                host: "elsewhere".into(),
                ..here
            }
            .is_gone(),
            "nothing is known of other hosts"
        );
    }
}
