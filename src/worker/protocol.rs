//! What campaign and worker say to each other: length-checked JSON lines. Everything a worker needs is in the messages, so the
//! same worker can be started on another node.
use crate::measure::{BlockOrder, CheckOrder, Checked, ExpectOrder};
use crate::plan::{DeviceChoice, WorkloadChoice};
use crate::trace::{Moment, Traced};
use crate::trial::{Cell, Conditions, Place, VariantId};
use crate::value::{Bytes, Nanoseconds, Value};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::io::{self, BufRead, Read, Write};
use std::path::PathBuf;

/// What a worker is started with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoadOrder {
    pub workload: WorkloadChoice,
    pub problem: Vec<(String, Value)>,
    pub device: DeviceChoice,
    pub trial_timeout: Nanoseconds,
    /// The plan's limit; above it an invocation is stopped where it can be.
    pub memory_limit: Option<Bytes>,
    /// For files that a workload makes while it runs.
    pub scratch: PathBuf,
    pub seed: u64,
    /// Whether spans are wanted for a trace.
    pub trace: Option<TraceOrder>,
}

/// What a worker that is traced must know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TraceOrder {
    /// Names of the workload's stages, in declared order.
    pub stages: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "one at a time")]
pub(super) enum Request {
    Load(LoadOrder),
    Order(Order),
    /// What does the clock of your trace read?
    Clock,
}

/// What a worker can be asked to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    Expect(ExpectOrder),
    Check(CheckOrder),
    Block(BlockOrder),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Reply {
    Loaded(Place),
    /// Whether there is an output to compare with.
    Expected(bool),
    Checked(Box<Checked>),
    CellStarts(VariantId),
    CellEnds(Cell),
    BlockEnds(Box<Conditions>),
    /// What happened since the last of these, by the worker's clock; only where a trace is wanted.
    Spans(Traced),
    Clock(Moment),
    /// The device is not on this machine.
    Absent(String),
    /// The request cannot be done, whatever the variant: a bad problem, an unreadable file.
    Refused(String),
    /// The last word of a worker whose invocation hangs; it exits after it.
    Hangs(VariantId),
}

/// No message is longer; a worker that says otherwise has lost its mind.
const LONGEST: usize = 64 << 20;

/// Writes one message and flushes it.
pub(super) fn send(to: &mut impl Write, message: &impl Serialize) -> io::Result<()> {
    let body = serde_json::to_string(message).map_err(io::Error::other)?;
    let line = format!("{} {body}\n", body.len());
    to.write_all(line.as_bytes())?;
    to.flush()
}

/// Reads one message; `None` at the end of the stream.
///
/// # Errors
/// Anything that is not a whole message: it was torn, or somebody else wrote into the stream.
pub(super) fn receive<T: DeserializeOwned>(from: &mut impl BufRead) -> io::Result<Option<T>> {
    let broken = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let mut length = Vec::new();
    if from.by_ref().take(20).read_until(b' ', &mut length)? == 0 {
        return Ok(None);
    }
    let length: usize = std::str::from_utf8(&length)
        .ok()
        .and_then(|text| text.strip_suffix(' ')?.parse().ok())
        .filter(|&n| n <= LONGEST)
        .ok_or_else(|| broken("a message without its length"))?;
    let mut body = vec![0; length + 1];
    from.read_exact(&mut body)?;
    if body.pop() != Some(b'\n') {
        return Err(broken("a message longer than its length"));
    }
    serde_json::from_slice(&body)
        .map(Some)
        .map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_comes_back_as_it_was_sent() {
        let mut pipe = Vec::new();
        for message in [
            Reply::Loaded(Place::default()),
            Reply::Refused("a\n\"b\" 5 {".into()),
            Reply::Expected(true),
        ] {
            send(&mut pipe, &message).unwrap();
        }
        let mut from = &pipe[..];
        assert_eq!(
            receive(&mut from).unwrap(),
            Some(Reply::Loaded(Place::default()))
        );
        assert_eq!(
            receive(&mut from).unwrap(),
            Some(Reply::Refused("a\n\"b\" 5 {".into()))
        );
        assert_eq!(receive(&mut from).unwrap(), Some(Reply::Expected(true)));
        assert_eq!(receive::<Reply>(&mut from).unwrap(), None);
    }

    #[test]
    fn torn_and_foreign_messages_are_errors_and_not_answers() {
        let mut whole = Vec::new();
        send(&mut whole, &Reply::Refused("because".into())).unwrap();
        for end in 1..whole.len() {
            assert!(
                receive::<Reply>(&mut &whole[..end]).is_err(),
                "cut at {end}"
            );
        }
        assert!(receive::<Reply>(&mut &b"hello from a library\n"[..]).is_err());
        assert!(receive::<Reply>(&mut &b"99999999999999 {}\n"[..]).is_err());
    }
}
