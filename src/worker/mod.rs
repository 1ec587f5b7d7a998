//! The child process that executes variants, and the link to it.
#![allow(
    clippy::disallowed_methods,
    reason = "this module owns the worker's process and its deadline"
)]
mod child;
mod protocol;
mod serve;

pub use child::{CAMPAIGN_THREAD, Child};
pub use protocol::{LoadOrder, TraceOrder};
pub use serve::serve;

use crate::measure::{BlockOrder, CheckOrder, Checked, ExpectOrder};
use crate::trial::Block;

/// Why there is no answer. What a variant does is never one of these.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum WorkerLost {
    /// The user asked to stop.
    #[error("interrupted")]
    Interrupted,
    /// The device is not on this machine.
    #[error("{0}")]
    Absent(String),
    /// The worker refuses, whatever the variant: the problem is wrong, a file cannot be read.
    #[error("{0}")]
    Refused(String),
    /// The worker cannot be started, or is lost outside of any variant.
    #[error("{0}")]
    Gone(String),
}

/// Runs blocks and checks. A child process does; so do, in tests, synthetic machines.
pub trait Runner {
    /// Measures one block. A variant that crashes, hangs or is refused is a cell with its ending; the cells after it in the
    /// block are missing.
    fn block(&mut self, order: &BlockOrder) -> Result<Block, WorkerLost>;

    /// Checks one variant in a worker of its own.
    fn check(&mut self, order: &CheckOrder) -> Result<Checked, WorkerLost>;

    /// Stores what outputs are compared with; false if the workload has none.
    fn expect(&mut self, order: &ExpectOrder) -> Result<bool, WorkerLost>;

    /// The phase has changed: the next block gets a fresh worker.
    fn retire(&mut self);
}
