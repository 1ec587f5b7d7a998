//! On a node: carries out orders as the campaign's own machine would, by a child of this same binary, and leaves their results in
//! the spool. A round has as many tasks as orders; but starting a task takes an engine a second or more, so one that was quick goes
//! on with the next order that nobody has begun, and those that find nothing left end at once.
use super::child::Child;
use super::protocol::Order;
use super::spool::{Claim, Key, Outcome, Shard, Spool, TaskOrder};
use super::{Runner, WorkerLost};
use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A task begins no order that would probably make it last longer, even where its time limit would allow it: others wait for nodes.
const LONG_ENOUGH: Duration = Duration::from_secs(60);

/// The hidden subcommand `__task SPOOL TOKEN NUMBER NODE`. What goes wrong here is the node's fault or the cluster's, never a
/// variant's: no result is left, and the campaign submits the order again.
pub fn task() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(2).collect();
    let [spool, token, number, node] = &arguments[..] else {
        return complain("__task is started by phasetune itself");
    };
    let spool = Spool::at(PathBuf::from(spool));
    let (token, node) = (token.to_string_lossy(), node.to_string_lossy());
    let Some(number) = number.to_str().and_then(|n| n.parse().ok()) else {
        return complain("the number of the task is no number");
    };
    let Some(keys) = spool.round(&token) else {
        return complain(&format!(
            "{} has no round {token}",
            spool.folder().display()
        ));
    };
    let me = Claim {
        token: token.into_owned(),
        task: number,
    };
    match work(&spool, &keys, &me, &node) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => complain(&why),
    }
}

/// Carries out what is left of a round, in its order, for as long as a task may last.
fn work(spool: &Spool, keys: &[Key], me: &Claim, node: &str) -> Result<(), String> {
    let started = Instant::now();
    let mut longest = Duration::ZERO;
    let mut there = spool.results();
    for key in keys {
        // Measured already, perhaps by a task that the campaign believed to be lost; or begun by another one; or withdrawn.
        if there.contains(key) || spool.claimed(key).is_some() {
            continue;
        }
        let Some(task) = spool.order(key) else {
            continue;
        };
        let limit = (task
            .time_limit
            .map(|limit| Duration::from_nanos(limit.0 as u64)))
        .map_or(LONG_ENOUGH, |limit| limit.min(LONG_ENOUGH));
        if !longest.is_zero() && started.elapsed() + 2 * longest > limit {
            break;
        }
        let is_mine = spool.claim(key, me);
        if !is_mine.map_err(|e| format!("the claim cannot be written: {e}"))? {
            continue;
        }
        let began = Instant::now();
        let shard = carry_out(key, task, node)?;
        (spool.publish(&shard)).map_err(|e| format!("the result cannot be written: {e}"))?;
        longest = longest.max(began.elapsed());
        there = spool.results();
    }
    Ok(())
}

fn carry_out(key: &Key, task: TaskOrder, node: &str) -> Result<Shard, String> {
    let program = std::env::current_exe().map_err(|e| format!("who am I? {e}"))?;
    let mut load = task.load;
    load.scratch = scratch(&load.scratch, node, task.shares_node.then_some(key));
    let mut child = Child::new(program, load, Arc::default(), None);
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
