//! The seam to a cluster's own engine: submit, poll, cancel. What tasks do and what becomes of them is no business of an engine;
//! another one (PBS, HyperQueue) is another implementation of these three calls.
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

/// Tasks that are submitted together.
#[derive(Clone, Copy, Debug)]
pub struct Round<'a> {
    /// Of our own making, and never used again: what the tasks are found by. Engines give the number of a job they forgot to
    /// another one.
    pub token: &'a str,
    /// Numbered from 0.
    pub tasks: u32,
    /// Each task runs `program __task spool token NUMBER NODE` on a node of its own.
    pub program: &'a Path,
    pub spool: &'a Path,
    /// Where what task NUMBER says goes: the text with NUMBER in the place of `{}`.
    pub log: &'a str,
    /// Nodes that must not run it.
    pub left_out: &'a BTreeSet<String>,
}

/// A task that the engine knows of.
#[derive(Clone, Debug, PartialEq)]
pub struct Sighting {
    pub token: String,
    pub task: u32,
    pub state: State,
}

#[derive(Clone, Debug, PartialEq)]
pub enum State {
    Waiting {
        /// Why it waits for something that will not come by itself: it can never start as it was submitted.
        never: Option<String>,
    },
    Running,
    /// However it ended: whether it did its work is seen by its result.
    Ended {
        how: String,
    },
}

/// Why an engine did not do what it was asked.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Trouble {
    /// It does not answer. What it was asked may have been done all the same.
    #[error("{0}")]
    Away(String),
    /// It says no, and would again.
    #[error("{0}")]
    Refused(String),
}

/// A cluster's engine.
pub trait Engine: Send {
    /// As messages call it.
    fn name(&self) -> &'static str;

    /// Submits a round. After an error the tasks may be there or not: only [`Engine::poll`] tells.
    ///
    /// # Errors
    /// When it does not answer or refuses.
    fn submit(&mut self, round: &Round<'_>) -> Result<(), Trouble>;

    /// Every task of these rounds that the engine still knows of. Those that ended some time ago may be missing.
    ///
    /// # Errors
    /// When it does not answer: then nothing is known of any task.
    fn poll(&mut self, tokens: &BTreeSet<String>) -> Result<Vec<Sighting>, Trouble>;

    /// Ends every task of a round, waiting or running.
    ///
    /// # Errors
    /// When it does not answer.
    fn cancel(&mut self, token: &str) -> Result<(), Trouble>;
}

/// What a cluster has to say to the user meanwhile: that it waits, that something was submitted again.
#[derive(Clone)]
pub struct Voice(pub Arc<dyn Fn(&str) + Send + Sync>);

impl Voice {
    pub fn silent() -> Voice {
        Voice(Arc::new(|_| ()))
    }

    pub(super) fn say(&self, text: &str) {
        (self.0)(text);
    }
}

impl std::fmt::Debug for Voice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Voice")
    }
}
