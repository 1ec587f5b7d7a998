//! The folder through which the campaign and the tasks on a cluster's nodes speak: orders, rounds and results, each a file that is
//! written aside and renamed, on a file system that all of them see. An order was carried out if its result is there, and only
//! then.
use super::WorkerLost;
use super::protocol::{LoadOrder, Order};
use crate::measure::Checked;
use crate::trial::{Block, Place};
use crate::value::Nanoseconds;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Names an order by all that it says: the same order has the same result, whoever asks for it, and how often.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Key(String);

/// An order with everything that a node needs to carry it out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct TaskOrder {
    /// The plan's workload, problem, device and limits.
    pub(super) load: LoadOrder,
    pub(super) order: Order,
    /// Whether other tasks may be on the node at the same time.
    pub(super) shares_node: bool,
    /// Of the task that carries it out, with all else that this does.
    pub(super) time_limit: Option<Nanoseconds>,
}

/// A task, by its round and its number there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Claim {
    pub(super) token: String,
    pub(super) task: u32,
}

/// What carrying an order out gave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Shard {
    key: Key,
    pub(super) place: Place,
    pub(super) outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    Expected(bool),
    Checked(Checked),
    Block(Block),
    /// The device is not on that node.
    Absent(String),
    /// It cannot be done, whatever the variant.
    Refused(String),
}

/// The folder.
#[derive(Clone, Debug)]
pub(super) struct Spool {
    folder: PathBuf,
}

const ORDERS: &str = "orders";
const ROUNDS: &str = "rounds";
const CLAIMS: &str = "claims";
const RESULTS: &str = "results";
const LOGS: &str = "logs";
/// Begins the names of files that are being written.
const ASIDE: &str = ".writing-";

impl Key {
    pub(super) fn name(&self) -> &str {
        &self.0
    }
}

impl TaskOrder {
    pub(super) fn key(&self) -> Key {
        let text = serde_json::to_vec(self).expect("plain data");
        let digest = Sha256::digest(text);
        Key(digest.iter().take(16).map(|b| format!("{b:02x}")).collect())
    }
}

impl Shard {
    pub(super) fn new(key: Key, place: Place, outcome: Outcome) -> Shard {
        Shard {
            key,
            place,
            outcome,
        }
    }
}

impl Spool {
    pub(super) fn at(folder: PathBuf) -> Spool {
        Spool { folder }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn make(&self) -> Result<(), WorkerLost> {
        let wrong = |folder: &Path, e: io::Error| {
            WorkerLost::Gone(format!(
                "the folder {} cannot be made: {e}",
                folder.display()
            ))
        };
        [ORDERS, ROUNDS, CLAIMS, RESULTS, LOGS]
            .iter()
            .try_for_each(|name| {
                let folder = self.folder.join(name);
                std::fs::create_dir_all(&folder).map_err(|e| wrong(&folder, e))
            })
    }

    pub(super) fn log(&self, token: &str, index: &str) -> PathBuf {
        self.folder.join(LOGS).join(format!("{token}-{index}.txt"))
    }

    /// The end of what a task said besides its result.
    pub(super) fn last_words(&self, token: &str, index: u32) -> Option<String> {
        const LAST: usize = 300;
        let text = std::fs::read(self.log(token, &index.to_string())).ok()?;
        let text = String::from_utf8_lossy(&text[text.len().saturating_sub(LAST)..]).into_owned();
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        (!words.is_empty()).then_some(words)
    }

    pub(super) fn write_order(&self, key: &Key, order: &TaskOrder) -> io::Result<()> {
        self.write(ORDERS, &key.0, order)
    }

    /// Absent once it was withdrawn.
    pub(super) fn order(&self, key: &Key) -> Option<TaskOrder> {
        self.read(ORDERS, &key.0)
    }

    /// A task that has not begun yet will not.
    pub(super) fn withdraw(&self, key: &Key) {
        // Measured in vain, it would be recognised as surplus.
        let _ = std::fs::remove_file(self.file(ORDERS, &key.0));
    }

    /// Written before its tasks are submitted, so that no task is unknown to a campaign that is started again.
    pub(super) fn write_round(&self, token: &str, keys: &[Key]) -> io::Result<()> {
        self.write(ROUNDS, token, &keys)
    }

    pub(super) fn round(&self, token: &str) -> Option<Vec<Key>> {
        self.read(ROUNDS, token)
    }

    /// Every round that was ever written, oldest first.
    pub(super) fn rounds(&self) -> Vec<(String, Vec<Key>)> {
        let mut tokens: Vec<(std::time::SystemTime, String)> = entries(&self.folder.join(ROUNDS))
            .filter_map(|(name, entry)| Some((entry.metadata().ok()?.modified().ok()?, name)))
            .collect();
        tokens.sort();
        let rounds = tokens.into_iter();
        rounds
            .filter_map(|(_, token)| Some((token.clone(), self.round(&token)?)))
            .collect()
    }

    /// Whether the order is this task's to carry out: of all that ask, the first one's.
    pub(super) fn claim(&self, key: &Key, by: &Claim) -> io::Result<bool> {
        self.write_first(CLAIMS, key, by)
    }

    /// Who carries the order out, or did.
    pub(super) fn claimed(&self, key: &Key) -> Option<Claim> {
        self.read(CLAIMS, &key.0)
    }

    /// Of a task that is lost.
    pub(super) fn unclaim(&self, key: &Key) {
        // Where there is none, all the better.
        let _ = std::fs::remove_file(self.file(CLAIMS, &key.0));
    }

    /// The results that are there. Reads the folder, since a network file system remembers for a while that a file was not there.
    pub(super) fn results(&self) -> BTreeSet<Key> {
        entries(&self.folder.join(RESULTS))
            .map(|(name, _)| Key(name))
            .collect()
    }

    /// Absent where the file is not one of ours.
    pub(super) fn shard(&self, key: &Key) -> Option<Shard> {
        self.read(RESULTS, &key.0)
            .filter(|shard: &Shard| shard.key == *key)
    }

    /// False where another task has measured the same: its result stands, and this one is not counted.
    pub(super) fn publish(&self, shard: &Shard) -> io::Result<bool> {
        self.write_first(RESULTS, &shard.key, shard)
    }

    /// So that it is measured again.
    pub(super) fn discard(&self, key: &Key) -> io::Result<()> {
        std::fs::remove_file(self.file(RESULTS, &key.0))
    }

    fn file(&self, folder: &str, name: &str) -> PathBuf {
        self.folder.join(folder).join(format!("{name}.json"))
    }

    fn read<T: DeserializeOwned>(&self, folder: &str, name: &str) -> Option<T> {
        serde_json::from_slice(&std::fs::read(self.file(folder, name)).ok()?).ok()
    }

    fn write(&self, folder: &str, name: &str, value: &impl Serialize) -> io::Result<()> {
        let file = self.file(folder, name);
        self.aside(value)?
            .persist(file)
            .map(|_| ())
            .map_err(|e| e.error)
    }

    /// False where the file is there already.
    fn write_first(&self, folder: &str, key: &Key, value: &impl Serialize) -> io::Result<bool> {
        match self
            .aside(value)?
            .persist_noclobber(self.file(folder, &key.0))
        {
            Ok(_) => Ok(true),
            Err(e) if e.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(e) => Err(e.error),
        }
    }

    /// In the spool's own folder, where nobody looks for files.
    fn aside(&self, value: &impl Serialize) -> io::Result<tempfile::NamedTempFile> {
        let mut file = tempfile::Builder::new()
            .prefix(ASIDE)
            .tempfile_in(&self.folder)?;
        file.write_all(&serde_json::to_vec(value).map_err(io::Error::other)?)?;
        file.as_file().sync_all()?;
        Ok(file)
    }
}

/// The `.json` files of a folder by their stems.
fn entries(folder: &Path) -> impl Iterator<Item = (String, std::fs::DirEntry)> {
    let all = std::fs::read_dir(folder).into_iter().flatten().flatten();
    all.filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        Some((name.strip_suffix(".json")?.to_owned(), entry))
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    #[test]
    fn the_first_result_of_an_order_stands_and_a_second_is_recognised() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::at(folder.path().join("spool"));
        spool.make().unwrap();
        let shard = |has_output| {
            Shard::new(
                Key("k".into()),
                Place::default(),
                Outcome::Expected(has_output),
            )
        };
        assert!(spool.publish(&shard(true)).unwrap());
        assert!(!spool.publish(&shard(false)).unwrap());
        let known: Vec<Key> = spool.results().into_iter().collect();
        assert_eq!(spool.shard(&known[0]), Some(shard(true)));
        let strays = std::fs::read_dir(spool.folder()).unwrap().count();
        assert_eq!(strays, 5, "only the folders are left");
    }

    #[test]
    fn what_is_under_a_key_but_is_not_its_result_does_not_count() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::at(folder.path().to_owned());
        spool.make().unwrap();
        let key = Key("k".into());
        for text in ["", "{", "{\"key\": \"other\", \"place\": {}}"] {
            std::fs::write(spool.file(RESULTS, "k"), text).unwrap();
            assert!(spool.results().contains(&key));
            assert_eq!(spool.shard(&key), None);
        }
    }
}
