//! The child process that executes variants, and the link to it: of this machine, or on the nodes of a cluster.
#![allow(
    clippy::disallowed_methods,
    reason = "this module owns the worker's process and its deadline"
)]
mod child;
mod cluster;
mod engine;
mod protocol;
mod serve;
mod slurm;
mod spool;
mod task;

pub use child::{CAMPAIGN_THREAD, Child};
pub use cluster::{Cluster, Site};
pub use engine::{Engine, Round, Sighting, State, Trouble, Voice};
pub use protocol::{LoadOrder, Order, TraceOrder};
pub use serve::serve;
pub use slurm::{find_slurm, sbatch_options};
pub use task::task;

use crate::measure::{BlockOrder, CheckOrder, Checked, ExpectOrder};
use crate::trial::Block;
use std::collections::BTreeSet;

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

/// Runs blocks and checks. A child process does; so do the nodes of a cluster and, in tests, synthetic machines.
pub trait Runner {
    /// What will be asked for next, the very next first, unless what comes in meanwhile decides otherwise. Who can do several things
    /// at once begins with them, and gives up what it was told of before and is no longer among them.
    fn announce(&mut self, _orders: Vec<Order>) {}

    /// How many orders it makes use of when they are announced.
    fn looks_ahead(&self) -> usize {
        0
    }

    /// Nodes that are to measure no more.
    fn leave_out(&mut self, _nodes: &BTreeSet<String>) {}

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
