//! The nodes of a cluster as a runner. Orders that are announced run there at the same time, each as a task of its own; a result
//! that is in the spool is taken, whoever had it measured; an order without one, and without a task, is submitted. So a campaign
//! that was killed goes on with the tasks that it left, and one whose tasks were killed submits them again.
use super::engine::{Engine, Round, Sighting, State, Trouble, Voice};
use super::protocol::{LoadOrder, Order};
use super::slurm;
use super::spool::{Key, Outcome, Shard, Spool, TaskOrder};
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
    spool: Spool,
    load: LoadOrder,
    /// What is wanted, in the order in which it will be asked for.
    ahead: Vec<(Key, TaskOrder)>,
    flights: BTreeMap<Key, Flight>,
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

/// A task that was submitted and whose result is not there yet.
#[derive(Clone, Debug)]
struct Flight {
    token: String,
    task: u32,
    /// Since when the engine does not have it any more.
    gone: Option<(Instant, String)>,
    /// An engine that did not answer may not have got it.
    is_certain: bool,
}

#[derive(Clone, Debug, Default)]
struct Losses {
    count: u32,
    last: String,
}

/// How often the spool is looked into, and Ctrl-C noticed.
const LOOK: Duration = Duration::from_millis(100);

/// How often the engine is asked: while something happens, and while nothing does.
const POLL: Duration = Duration::from_secs(1);
const POLL_IDLE: Duration = Duration::from_secs(10);
const IDLE_AFTER: Duration = Duration::from_secs(60);

/// A result may be seen this much later than the end of its task. One that comes later still is taken all the same.
const GRACE: Duration = Duration::from_secs(3);

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
    /// # Errors
    /// When Slurm's commands are not on this machine.
    pub fn slurm(site: Site, load: LoadOrder) -> Result<Cluster, String> {
        let engine = slurm::Slurm::find(site.settings.clone())?;
        Ok(Cluster::new(Box::new(engine), site, load))
    }

    /// On any engine.
    pub fn new(engine: Box<dyn Engine>, site: Site, load: LoadOrder) -> Cluster {
        Cluster {
            engine,
            spool: Spool::at(site.spool.clone()),
            site,
            load,
            ahead: vec![],
            flights: BTreeMap::new(),
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
        };
        (task.key(), task)
    }

    /// Waits for the result of an order.
    fn fetch(&mut self, order: Order) -> Result<Shard, WorkerLost> {
        let (key, task) = self.task(order);
        if !self.ahead.iter().any(|(k, _)| *k == key) {
            self.ahead = vec![(key.clone(), task)];
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
            std::thread::sleep(LOOK);
        }
    }

    fn take(&mut self, key: &Key, shard: Shard) -> Result<Shard, WorkerLost> {
        self.flights.remove(key);
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
            for (key, task) in keys.into_iter().zip(0..) {
                if !there.contains(&key) {
                    let token = token.clone();
                    let flight = Flight { token, task, gone: None, is_certain: false };
                    self.flights.insert(key, flight);
                }
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
        }
    }

    /// Asks the engine what has become of the tasks without a result.
    fn follow(&mut self) {
        let pace = match self.moved.elapsed() > IDLE_AFTER {
            true => POLL_IDLE,
            false => POLL,
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
            let mine = seen.iter().find(|s| s.token == flight.token && s.task == flight.task);
            flight.is_certain |= mine.is_some();
            let how = match mine.map(|s| &s.state) {
                Some(State::Waiting { never }) => {
                    flight.gone = None;
                    if let Some(reason) = never
                        && self.said.insert(format!("{}/{reason}", flight.token))
                    {
                        let (engine, token) = (self.engine.name(), &flight.token);
                        self.site.voice.say(&format!(
                            "{engine} will never start the tasks of {token} as they were submitted ({reason}): change what the plan says in `on:`, or have the cluster changed; phasetune waits"
                        ));
                    }
                    continue;
                }
                Some(State::Running) => {
                    flight.gone = None;
                    continue;
                }
                Some(State::Ended { how }) => how.clone(),
                None => "it vanished".to_owned(),
            };
            let (since, _) = flight.gone.get_or_insert_with(|| (Instant::now(), how.clone()));
            if since.elapsed() > GRACE {
                lost.push((key.clone(), flight.clone(), how));
            }
        }
        for (key, flight, how) in lost {
            self.flights.remove(&key);
            if !flight.is_certain {
                continue; // It was never there.
            }
            self.moved = Instant::now();
            let words = self.spool.last_words(&flight.token, flight.task);
            let words = words.map_or_else(String::new, |words| format!(": {words}"));
            let losses = self.losses.entry(key).or_default();
            losses.count += 1;
            losses.last = format!("{how}{words}");
            let again = match losses.count > self.site.settings.resubmit {
                true => "",
                false => "; it is submitted again",
            };
            self.site.voice.say(&format!(
                "task {} of {} left no result ({}){again}",
                flight.task, flight.token, losses.last
            ));
        }
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
        if self.away.is_some_and(|_| self.polled.is_some_and(|at| at.elapsed() < POLL)) {
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
            .try_for_each(|(key, task)| self.spool.write_order(key, task))
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
        for (key, task) in keys.into_iter().zip(0..) {
            let (token, is_certain) = (token.clone(), submitted.is_ok());
            self.flights.insert(key, Flight { token, task, gone: None, is_certain });
        }
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
                let engine = self.engine.name();
                Err(WorkerLost::Gone(format!("{engine} refuses the tasks: {why}")))
            }
        }
    }

    /// Never twice: made of the folder, which has a run's name, the number of the round, and the moment.
    fn token(&self) -> String {
        let moment = crate::measure::unix_nanoseconds();
        let words = format!("{}/{}/{moment}", self.spool.folder().display(), std::process::id());
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
            self.site.voice.say(&format!("{engine} answers again, after {seconds} s"));
        }
    }

    /// Withdraws every order that is not wanted any more, and ends the rounds of which nothing is.
    fn give_up_unwanted(&mut self) {
        let wanted: BTreeSet<&Key> = self.ahead.iter().map(|(key, _)| key).collect();
        let (kept, given_up): (BTreeMap<Key, Flight>, BTreeMap<Key, Flight>) =
            std::mem::take(&mut self.flights).into_iter().partition(|(key, _)| wanted.contains(key));
        for key in given_up.keys() {
            self.spool.withdraw(key);
        }
        let needed: BTreeSet<&String> = kept.values().map(|flight| &flight.token).collect();
        let tokens: BTreeSet<String> = given_up.into_values().map(|flight| flight.token).collect();
        for token in tokens.iter().filter(|token| !needed.contains(token)) {
            // A task that cannot be cancelled finds its order withdrawn, or measures what nobody will count.
            let _ = self.engine.cancel(token);
        }
        self.flights = kept;
    }

    fn give_up_all(&mut self) {
        self.ahead.clear();
        self.give_up_unwanted();
    }

    fn unexpected(&self) -> WorkerLost {
        let folder = self.spool.folder().display();
        WorkerLost::Gone(format!("a result in {folder} is of another sort than its order"))
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
