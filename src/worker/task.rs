//! On a node: carries out one order as the campaign's own machine would, by a child of this same binary, and leaves its result in
//! the spool.
use super::child::Child;
use super::protocol::Order;
use super::spool::{Key, Outcome, Shard, Spool, TaskOrder};
use super::{Runner, WorkerLost};
use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// The hidden subcommand `__task SPOOL TOKEN NUMBER NODE`. What goes wrong here is the node's fault or the cluster's, never a
/// variant's: no result is left, and the campaign submits the order again.
pub fn task() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(2).collect();
    let [spool, token, number, node] = &arguments[..] else {
        return complain("__task is started by phasetune itself");
    };
    let spool = Spool::at(PathBuf::from(spool));
    let (token, node) = (token.to_string_lossy(), node.to_string_lossy());
    let number: Option<usize> = number.to_str().and_then(|n| n.parse().ok());
    let keys = spool.round(&token).unwrap_or_default();
    let Some(key) = number.and_then(|n| keys.get(n)) else {
        return complain(&format!("{} has no such task of {token}", spool.folder().display()));
    };
    // Withdrawn, or measured by the task before this one, which the campaign believed to be lost.
    if spool.results().contains(key) {
        return ExitCode::SUCCESS;
    }
    let Some(order) = spool.order(key) else {
        return ExitCode::SUCCESS;
    };
    match carry_out(key, order, &node).map(|shard| spool.publish(&shard)) {
        Ok(Ok(_)) => ExitCode::SUCCESS,
        Ok(Err(error)) => complain(&format!("the result cannot be written: {error}")),
        Err(why) => complain(&why),
    }
}

fn carry_out(key: &Key, task: TaskOrder, node: &str) -> Result<Shard, String> {
    let program = std::env::current_exe().map_err(|e| format!("who am I? {e}"))?;
    let mut load = task.load;
    load.scratch = scratch(&load.scratch, node, task.shares_node.then_some(key));
    let mut child = Child::new(program, load, Arc::default());
    let outcome = match &task.order {
        Order::Expect(order) => child.expect(order).map(Outcome::Expected),
        Order::Check(order) => child.check(order).map(Outcome::Checked),
        Order::Block(order) => child.block(order).map(Outcome::Block),
    };
    let mut place = child.place().cloned().unwrap_or_default();
    node.clone_into(&mut place.node);
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(WorkerLost::Absent(why)) => Outcome::Absent(why),
        Err(WorkerLost::Refused(why)) => Outcome::Refused(why),
        Err(lost @ (WorkerLost::Interrupted | WorkerLost::Gone(_))) => return Err(lost.to_string()),
    };
    Ok(Shard::new(key.clone(), place, outcome))
}

/// A folder that no task which may run at the same time has: what a command builds there stays for the node's next task, unless
/// that may already be running.
fn scratch(shared: &Path, node: &str, alone: Option<&Key>) -> PathBuf {
    let folder = shared.join("nodes").join(node.replace(['/', '\\'], "_"));
    match alone {
        None => folder,
        Some(key) => folder.join(key.name()),
    }
}

/// Into the task's log.
fn complain(why: &str) -> ExitCode {
    // Who cannot even write there is found missing all the same.
    let _ = writeln!(std::io::stderr(), "phasetune: {why}");
    ExitCode::FAILURE
}
