//! The nodes of a cluster as a runner. Orders that are announced are carried out there at the same time, each on one node; a result
//! that is in the spool is taken, whoever had it measured; an order without one, and without a task, is submitted. So a campaign
//! that was killed goes on with the tasks that it left, and one whose tasks were killed submits them again.
use super::engine::{Engine, Round, Sighting, State, Trouble, Voice};
use super::protocol::{LoadOrder, Order};
use super::slurm;
use super::spool::{Claim, Key, Outcome, Shard, Spool, TaskOrder};
use super::{Runner, WorkerLost};
use crate::measure::{BlockOrder, CheckOrder, Checked, ExpectOrder};
use crate::plan::Slurm;
use crate::trial::Block;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What a cluster needs to know beside the workload.
#[derive(Clone, Debug)]
pub struct Site {
    /// This binary, where the nodes see it too.
    pub program: PathBuf,
    /// Absolute, on a file system that the nodes see too.
    pub spool: PathBuf,
    pub settings: Slurm,
    pub interrupted: Arc<AtomicBool>,
    pub voice: Voice,
}

/// Runs orders on the nodes of a cluster.
pub struct Cluster {
    engine: Box<dyn Engine>,
    site: Site,
    pace: Pace,
    spool: Spool,
    load: LoadOrder,
    /// What is wanted, in the order in which it will be asked for.
    ahead: Vec<(Key, TaskOrder)>,
    flights: BTreeMap<Key, Flight>,
    /// Rounds that may have tasks left.
    live: BTreeSet<String>,
    losses: BTreeMap<Key, Losses>,
    left_out: BTreeSet<String>,
    /// Whether what an earlier campaign left has been looked at.
    is_attached: bool,
    /// Since when the engine does not answer.
    away: Option<Instant>,
    polled: Option<Instant>,
    /// When something last happened: then looking often is worth it.
    moved: Instant,
    /// What has been said of waiting tasks.
    said: BTreeSet<String>,
    rounds: u32,
    taken: u32,
}

/// An order that was submitted and whose result is not there yet.
#[derive(Clone, Debug)]
struct Flight {
    token: String,
    /// Since when no task carries it out, or will.
    gone: Option<Instant>,
    /// An engine that did not answer may not have got it.
    is_certain: bool,
}

#[derive(Clone, Debug, Default)]
struct Losses {
    count: u32,
    last: String,
}

/// What becomes of an order.
enum Fate {
    UnderWay,
    Gone { how: String },
}

/// An order that was claimed ends with its task; any task of the round may still claim another.
fn fate(of_round: &[&Sighting], claim: Option<&Claim>) -> Fate {
    let is_its = |s: &&&Sighting| claim.is_none_or(|claim| s.task == claim.task);
    let mut how = None;
    for sighting in of_round.iter().filter(is_its) {
        match &sighting.state {
            State::Waiting { .. } | State::Running => return Fate::UnderWay,
            State::Ended { how: word } => how = Some(word),
        }
    }
    Fate::Gone {
        how: how.map_or_else(|| "it vanished".to_owned(), String::clone),
    }
}

/// How often what is looked at.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// The spool, and whether Ctrl-C was pressed.
    look: Duration,
    /// The engine, while something happens.
    poll: Duration,
    /// The engine, while nothing does.
    poll_idle: Duration,
    idle_after: Duration,
    /// A result may be seen this much later than the end of its task. One that comes later still is taken all the same.
    grace: Duration,
}

const PACE: Pace = Pace {
    look: Duration::from_millis(100),
    poll: Duration::from_secs(1),
    poll_idle: Duration::from_secs(10),
    idle_after: Duration::from_secs(60),
    grace: Duration::from_secs(3),
};

/// Slurm's default for the largest array is 1001.
const MOST_TASKS: usize = 1000;

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster")
            .field("flights", &self.flights)
            .finish_non_exhaustive()
    }
}

impl Cluster {
    /// Through Slurm; [`super::find_slurm`] says whether it is there.
    pub fn slurm(site: Site, load: LoadOrder) -> Cluster {
        let engine = slurm::Slurm::new(site.settings.clone());
        Cluster::new(Box::new(engine), site, load)
    }

    /// Through any engine.
    pub fn new(engine: Box<dyn Engine>, site: Site, load: LoadOrder) -> Cluster {
        Cluster {
            engine,
            spool: Spool::at(site.spool.clone()),
            site,
            pace: PACE,
            load,
            ahead: vec![],
            flights: BTreeMap::new(),
            live: BTreeSet::new(),
            losses: BTreeMap::new(),
            left_out: BTreeSet::new(),
            is_attached: false,
            away: None,
            polled: None,
            moved: Instant::now(),
            said: BTreeSet::new(),
            rounds: 0,
            taken: 0,
        }
    }

    fn task(&self, mut order: Order) -> (Key, TaskOrder) {
        if let Order::Check(check) = &mut order {
            // Each of those is a task of its own.
            check.next.clear();
        }
        let task = TaskOrder {
            load: self.load.clone(),
            order,
            shares_node: !self.site.settings.is_exclusive,
            time_limit: self.site.settings.time_limit,
        };
        (task.key(), task)
    }

    /// Waits for the result of an order.
    fn fetch(&mut self, order: Order) -> Result<Shard, WorkerLost> {
        let (key, task) = self.task(order);
        if !self.ahead.iter().any(|(k, _)| *k == key) {
            self.ahead = vec![(key.clone(), task)];
            if self.is_attached {
                self.give_up_unwanted();
            }
        }
        self.attach()?;
        loop {
            if self.site.interrupted.load(Ordering::Relaxed) {
                self.give_up_all();
                return Err(WorkerLost::Interrupted);
            }
            let there = self.spool.results();
            if there.contains(&key) {
                match self.spool.shard(&key) {
                    Some(shard) => return self.take(&key, shard),
                    None => self.discard(&key)?,
                }
            }
            self.land(&there);
            self.follow();
            self.submit(&key, &there)?;
            std::thread::sleep(self.pace.look);
        }
    }

    fn take(&mut self, key: &Key, shard: Shard) -> Result<Shard, WorkerLost> {
        self.flights.remove(key);
        self.end_rounds();
        self.ahead.retain(|(k, _)| k != key);
        self.taken += 1;
        let node = &shard.place.node;
        let lost = match &shard.outcome {
            Outcome::Absent(why) => WorkerLost::Absent(format!("on {node}: {why}")),
            Outcome::Refused(why) => WorkerLost::Refused(format!("on {node}: {why}")),
            Outcome::Expected(_) | Outcome::Checked(_) | Outcome::Block(_) => return Ok(shard),
        };
        // The next campaign may find that mended.
        self.discard(key)?;
        Err(lost)
    }

    fn discard(&self, key: &Key) -> Result<(), WorkerLost> {
        self.spool.discard(key).map_err(|e| {
            let folder = self.spool.folder().display();
            WorkerLost::Gone(format!("a result in {folder} cannot be removed: {e}"))
        })
    }

    /// Finds the tasks that an earlier campaign left.
    fn attach(&mut self) -> Result<(), WorkerLost> {
        if self.is_attached {
            return Ok(());
        }
        self.is_attached = true;
        self.spool.make()?;
        let there = self.spool.results();
        let rounds = self.spool.rounds();
        self.rounds = rounds.len() as u32;
        for (token, keys) in rounds {
            for key in keys.into_iter().filter(|key| !there.contains(key)) {
                self.live.insert(token.clone());
                let token = token.clone();
                self.flights.insert(
                    key,
                    Flight {
                        token,
                        gone: None,
                        is_certain: false,
                    },
                );
            }
        }
        self.give_up_unwanted();
        Ok(())
    }

    /// Forgets the flights whose results have come.
    fn land(&mut self, there: &BTreeSet<Key>) {
        let before = self.flights.len();
        self.flights.retain(|key, _| !there.contains(key));
        if self.flights.len() != before {
            self.moved = Instant::now();
            self.end_rounds();
        }
    }

    /// Ends the rounds of which nothing is waited for any more.
    fn end_rounds(&mut self) {
        let needed: BTreeSet<&String> = self.flights.values().map(|flight| &flight.token).collect();
        let (live, over): (BTreeSet<String>, BTreeSet<String>) = std::mem::take(&mut self.live)
            .into_iter()
            .partition(|token| needed.contains(token));
        self.live = live;
        for token in over {
            // A task that cannot be cancelled finds nothing to do, or measures what nobody will count.
            let _ = self.engine.cancel(&token);
        }
    }

    /// Asks the engine what has become of the tasks without a result.
    fn follow(&mut self) {
        let pace = match self.moved.elapsed() > self.pace.idle_after {
            true => self.pace.poll_idle,
            false => self.pace.poll,
        };
        if self.flights.is_empty() || self.polled.is_some_and(|at| at.elapsed() < pace) {
            return;
        }
        self.polled = Some(Instant::now());
        let tokens: BTreeSet<String> = self.flights.values().map(|f| f.token.clone()).collect();
        match self.engine.poll(&tokens) {
            Ok(seen) => {
                self.is_back();
                self.compare(&seen);
            }
            Err(trouble) => self.is_away(&trouble),
        }
    }

    fn compare(&mut self, seen: &[Sighting]) {
        let mut lost = vec![];
        for (key, flight) in &mut self.flights {
            let of_round: Vec<&Sighting> =
                seen.iter().filter(|s| s.token == flight.token).collect();
            flight.is_certain |= !of_round.is_empty();
            // While every task of its round waits or runs, it does not matter whose it is.
            let is_ended = |s: &&Sighting| matches!(s.state, State::Ended { .. });
            let matters = of_round.is_empty() || of_round.iter().any(is_ended);
            let claim = matters.then(|| self.spool.claimed(key)).flatten();
            let claim = claim.filter(|claim| claim.token == flight.token);
            let Fate::Gone { how } = fate(&of_round, claim.as_ref()) else {
                flight.gone = None;
                continue;
            };
            let since = flight.gone.get_or_insert_with(Instant::now);
            if since.elapsed() > self.pace.grace {
                lost.push((key.clone(), claim, how));
            }
        }
        for (key, claim, how) in lost {
            let is_certain = self
                .flights
                .remove(&key)
                .is_some_and(|flight| flight.is_certain);
            if is_certain {
                self.lose(key, claim.as_ref(), how);
            }
        }
        self.end_rounds();
        for sighting in seen {
            let State::Waiting {
                never: Some(reason),
            } = &sighting.state
            else {
                continue;
            };
            if self.said.insert(format!("{}/{reason}", sighting.token)) {
                let (engine, token) = (self.engine.name(), &sighting.token);
                self.site.voice.say(&format!(
                    "{engine} will not start the tasks of {token} as they were submitted ({reason}): stop this and change `on:` in the plan, or have the cluster changed; phasetune waits"
                ));
            }
        }
    }

    fn lose(&mut self, key: Key, claim: Option<&Claim>, how: String) {
        self.moved = Instant::now();
        let words = claim.and_then(|claim| self.spool.last_words(&claim.token, claim.task));
        let words = words.map_or_else(String::new, |words| format!(": {words}"));
        let losses = self.losses.entry(key).or_default();
        losses.count += 1;
        losses.last = format!("{how}{words}");
        let again = match losses.count > self.site.settings.resubmit {
            true => "",
            false => "; it is submitted again",
        };
        self.site
            .voice
            .say(&format!("a task left no result ({}){again}", losses.last));
    }

    /// Submits what is wanted and is neither there nor under way, as one round.
    fn submit(&mut self, asked: &Key, there: &BTreeSet<Key>) -> Result<(), WorkerLost> {
        let most = self.site.settings.resubmit;
        if let Some(losses) = self.losses.get(asked).filter(|l| l.count > most) {
            return Err(WorkerLost::Gone(format!(
                "a task was submitted {} times and never left a result; the last: {}",
                losses.count, losses.last
            )));
        }
        // While it is away, asking whether it is back is enough.
        let is_just_asked = self.polled.is_some_and(|at| at.elapsed() < self.pace.poll);
        if self.away.is_some() && is_just_asked {
            return Ok(());
        }
        let is_missing = |key: &Key| {
            let is_hopeless = self.losses.get(key).is_some_and(|l| l.count > most);
            !there.contains(key) && !self.flights.contains_key(key) && !is_hopeless
        };
        let missing: Vec<(Key, TaskOrder)> = (self.ahead.iter())
            .filter(|(key, _)| is_missing(key))
            .take(MOST_TASKS)
            .cloned()
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        self.polled = Some(Instant::now());
        self.rounds += 1;
        let token = self.token();
        let keys: Vec<Key> = missing.iter().map(|(key, _)| key.clone()).collect();
        let written = (missing.iter())
            .try_for_each(|(key, task)| {
                self.spool.unclaim(key);
                self.spool.write_order(key, task)
            })
            .and_then(|()| self.spool.write_round(&token, &keys));
        written.map_err(|e| {
            let folder = self.spool.folder().display();
            WorkerLost::Gone(format!("the orders cannot be written to {folder}: {e}"))
        })?;
        let log = self.spool.log(&token, "{}");
        let round = Round {
            token: &token,
            tasks: keys.len() as u32,
            program: &self.site.program,
            spool: self.spool.folder(),
            log: &log.to_string_lossy(),
            left_out: &self.left_out,
        };
        let submitted = self.engine.submit(&round);
        self.moved = Instant::now();
        for key in keys {
            let (token, is_certain) = (token.clone(), submitted.is_ok());
            self.flights.insert(
                key,
                Flight {
                    token,
                    gone: None,
                    is_certain,
                },
            );
        }
        self.live.insert(token.clone());
        match submitted {
            Ok(()) => {
                self.is_back();
                Ok(())
            }
            Err(trouble @ Trouble::Away(_)) => {
                self.is_away(&trouble);
                Ok(())
            }
            Err(Trouble::Refused(why)) => {
                self.flights.retain(|_, flight| flight.token != token);
                self.live.remove(&token);
                let engine = self.engine.name();
                Err(WorkerLost::Gone(format!(
                    "{engine} refuses the tasks: {why}"
                )))
            }
        }
    }

    /// Never twice: made of the folder, which has a run's name, the number of the round, and the moment.
    fn token(&self) -> String {
        let moment = crate::measure::unix_nanoseconds();
        let words = format!(
            "{}/{}/{moment}",
            self.spool.folder().display(),
            std::process::id()
        );
        let hash = words.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        format!("phasetune-{hash:016x}-{}", self.rounds)
    }

    fn is_away(&mut self, trouble: &Trouble) {
        if self.away.is_none() {
            self.away = Some(Instant::now());
            let engine = self.engine.name();
            self.site.voice.say(&format!(
                "{engine} does not answer ({trouble}); phasetune waits, and its tasks go on"
            ));
        }
    }

    fn is_back(&mut self) {
        if let Some(since) = self.away.take() {
            let engine = self.engine.name();
            let seconds = since.elapsed().as_secs();
            self.site
                .voice
                .say(&format!("{engine} answers again, after {seconds} s"));
        }
    }

    /// Withdraws every order that is not wanted any more, and ends the rounds of which nothing is.
    fn give_up_unwanted(&mut self) {
        let wanted: BTreeSet<&Key> = self.ahead.iter().map(|(key, _)| key).collect();
        let (kept, given_up): (BTreeMap<Key, Flight>, BTreeMap<Key, Flight>) =
            std::mem::take(&mut self.flights)
                .into_iter()
                .partition(|(key, _)| wanted.contains(key));
        for key in given_up.keys() {
            self.spool.withdraw(key);
        }
        self.flights = kept;
        self.end_rounds();
    }

    fn give_up_all(&mut self) {
        self.ahead.clear();
        self.give_up_unwanted();
    }

    fn unexpected(&self) -> WorkerLost {
        let folder = self.spool.folder().display();
        WorkerLost::Gone(format!(
            "a result in {folder} is of another sort than its order"
        ))
    }
}

impl Runner for Cluster {
    fn announce(&mut self, orders: Vec<Order>) {
        self.ahead = orders.into_iter().map(|order| self.task(order)).collect();
        if self.is_attached {
            self.give_up_unwanted();
        }
    }

    fn looks_ahead(&self) -> usize {
        MOST_TASKS
    }

    fn leave_out(&mut self, nodes: &BTreeSet<String>) {
        self.left_out.clone_from(nodes);
    }

    fn block(&mut self, order: &BlockOrder) -> Result<Block, WorkerLost> {
        let shard = self.fetch(Order::Block(order.clone()))?;
        match shard.outcome {
            Outcome::Block(block) => Ok(Block {
                worker: self.taken,
                place: Some(shard.place),
                ..block
            }),
            _ => Err(self.unexpected()),
        }
    }

    fn check(&mut self, order: &CheckOrder) -> Result<Checked, WorkerLost> {
        let shard = self.fetch(Order::Check(order.clone()))?;
        match shard.outcome {
            Outcome::Checked(checked) => Ok(Checked {
                place: Some(shard.place),
                ..checked
            }),
            _ => Err(self.unexpected()),
        }
    }

    fn expect(&mut self, order: &ExpectOrder) -> Result<bool, WorkerLost> {
        match self.fetch(Order::Expect(order.clone()))?.outcome {
            Outcome::Expected(has_output) => Ok(has_output),
            _ => Err(self.unexpected()),
        }
    }

    fn retire(&mut self) {
        if self.is_attached {
            self.give_up_all();
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.retire();
    }
}

#[cfg(test)]
mod tests;
