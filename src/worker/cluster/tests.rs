//! The coordinator on an engine that does as it is told to: loses tasks, does not answer, forgets, measures twice.
use super::*;
use crate::plan::{Cache, CommandChoice, DeviceChoice, WarmUp, WorkloadChoice};
use crate::trial::{Conditions, Place, Purpose};
use crate::value::Nanoseconds;
use std::sync::Mutex;

/// What became of the tasks, and what is to become of the next ones.
#[derive(Debug, Default)]
struct World {
    /// Token and orders of each round.
    rounds: Vec<(String, Vec<Key>)>,
    cancelled: Vec<String>,
    /// Tasks of the next rounds end without a result, so many rounds long.
    rounds_to_lose: usize,
    /// The next questions are not answered.
    silences: usize,
    /// Results come only when the engine is polled so often.
    polls_before_results: usize,
    polls: usize,
}

struct Fake {
    world: Arc<Mutex<World>>,
    spool: Spool,
}

impl Fake {
    fn measure(&self, keys: &[Key]) {
        for key in keys {
            let Some(TaskOrder {
                order: Order::Block(order),
                ..
            }) = self.spool.order(key)
            else {
                continue;
            };
            let place = Place {
                node: "n1".into(),
                ..Place::default()
            };
            let outcome = match order.repetitions {
                0 => Outcome::Refused("no such file".into()),
                _ => Outcome::Block(measured(order.index, order.seed)),
            };
            self.spool
                .publish(&Shard::new(key.clone(), place, outcome))
                .unwrap();
        }
    }
}

fn measured(index: u32, seed: u64) -> Block {
    Block {
        index,
        purpose: Purpose::Screen,
        worker: 0,
        elapsed: Nanoseconds(seed as f64),
        cells: vec![],
        conditions: Conditions::default(),
        place: None,
    }
}

impl Engine for Fake {
    fn name(&self) -> &'static str {
        "Fake"
    }

    fn submit(&mut self, round: &Round<'_>) -> Result<(), Trouble> {
        let mut world = self.world.lock().unwrap();
        let keys = self
            .spool
            .round(round.token)
            .expect("a round is written before it is submitted");
        assert_eq!(keys.len() as u32, round.tasks);
        world.rounds.push((round.token.to_owned(), keys.clone()));
        if world.rounds_to_lose > 0 {
            world.rounds_to_lose -= 1;
        } else if world.polls_before_results == 0 {
            self.measure(&keys);
        }
        Ok(())
    }

    fn poll(&mut self, tokens: &BTreeSet<String>) -> Result<Vec<Sighting>, Trouble> {
        let mut world = self.world.lock().unwrap();
        if world.silences > 0 {
            world.silences -= 1;
            return Err(Trouble::Away("nobody is there".into()));
        }
        world.polls += 1;
        if world.polls_before_results > 0 && world.polls >= world.polls_before_results {
            world.rounds.iter().for_each(|(_, keys)| self.measure(keys));
        }
        let is_running = world.polls_before_results > 0;
        let sightings = tokens.iter().map(|token| Sighting {
            token: token.clone(),
            task: 0,
            state: match is_running {
                true => State::Running,
                false => State::Ended {
                    how: "NODE_FAIL on n1".into(),
                },
            },
        });
        Ok(sightings.collect())
    }

    fn cancel(&mut self, token: &str) -> Result<(), Trouble> {
        self.world.lock().unwrap().cancelled.push(token.to_owned());
        Ok(())
    }
}

struct Bed {
    folder: tempfile::TempDir,
    world: Arc<Mutex<World>>,
    interrupted: Arc<AtomicBool>,
    said: Arc<Mutex<Vec<String>>>,
}

impl Bed {
    fn new(world: World) -> Bed {
        Bed {
            folder: tempfile::tempdir().unwrap(),
            world: Arc::new(Mutex::new(world)),
            interrupted: Arc::default(),
            said: Arc::default(),
        }
    }

    fn cluster(&self, resubmit: u32) -> Cluster {
        let spool = self.folder.path().join("spool");
        let said = self.said.clone();
        let site = Site {
            program: "phasetune".into(),
            spool: spool.clone(),
            settings: Slurm {
                resubmit,
                ..Slurm::default()
            },
            interrupted: self.interrupted.clone(),
            voice: Voice(Arc::new(move |text| {
                said.lock().unwrap().push(text.to_owned())
            })),
        };
        let load = LoadOrder {
            workload: WorkloadChoice::Command(CommandChoice::default()),
            problem: vec![],
            device: DeviceChoice::Cpu,
            trial_timeout: Nanoseconds(1e9),
            memory_limit: None,
            scratch: self.folder.path().to_owned(),
            seed: 1,
            trace: None,
        };
        let fake = Fake {
            world: self.world.clone(),
            spool: Spool::at(spool),
        };
        let mut cluster = Cluster::new(Box::new(fake), site, load);
        cluster.pace = Pace {
            look: Duration::from_millis(1),
            poll: Duration::from_millis(2),
            poll_idle: Duration::from_millis(2),
            idle_after: Duration::from_secs(60),
            grace: Duration::from_millis(20),
        };
        cluster
    }

    fn rounds(&self) -> Vec<usize> {
        self.world
            .lock()
            .unwrap()
            .rounds
            .iter()
            .map(|(_, keys)| keys.len())
            .collect()
    }

    fn said(&self) -> String {
        self.said.lock().unwrap().join("\n")
    }
}

fn order(index: u32) -> BlockOrder {
    BlockOrder {
        index,
        purpose: Purpose::Screen,
        seed: 100 + u64::from(index),
        cells: vec![],
        repetitions: 1,
        warm_up: WarmUp::Auto,
        warm_up_limit: Nanoseconds(1e9),
        counts_memory: false,
        counts_energy: false,
        cache: Cache::Warm,
        blocks_per_worker: 1,
    }
}

fn announce(cluster: &mut Cluster, indices: std::ops::Range<u32>) {
    cluster.announce(indices.map(|index| Order::Block(order(index))).collect());
}

fn seed(block: &Block) -> f64 {
    block.elapsed.0
}

#[test]
fn what_was_announced_is_one_round_and_is_handed_out_in_the_order_in_which_it_is_asked_for() {
    let bed = Bed::new(World::default());
    let mut cluster = bed.cluster(3);
    announce(&mut cluster, 0..5);
    for index in [0, 1, 2, 3, 4] {
        let block = cluster.block(&order(index)).unwrap();
        assert_eq!(seed(&block), 100.0 + f64::from(index));
        assert_eq!(block.place.unwrap().node, "n1");
        assert_eq!(block.worker, index + 1);
    }
    assert_eq!(bed.rounds(), [5]);
    // What was not announced is a round of its own.
    cluster.block(&order(9)).unwrap();
    assert_eq!(bed.rounds(), [5, 1]);
}

#[test]
fn a_task_that_is_lost_is_submitted_again_and_not_more_often_than_it_may() {
    let bed = Bed::new(World {
        rounds_to_lose: 2,
        ..World::default()
    });
    let mut cluster = bed.cluster(2);
    announce(&mut cluster, 0..3);
    assert_eq!(seed(&cluster.block(&order(0)).unwrap()), 100.0);
    assert_eq!(bed.rounds(), [3, 3, 3]);
    assert!(bed.said().contains("NODE_FAIL on n1"), "{}", bed.said());

    let bed = Bed::new(World {
        rounds_to_lose: 9,
        ..World::default()
    });
    let lost = bed.cluster(2).block(&order(0)).unwrap_err().to_string();
    assert!(
        lost.contains("submitted 3 times") && lost.contains("NODE_FAIL"),
        "{lost}"
    );
    assert_eq!(bed.rounds(), [1, 1, 1]);
}

#[test]
fn no_answer_is_no_loss() {
    let world = World {
        silences: 40,
        polls_before_results: 3,
        ..World::default()
    };
    let bed = Bed::new(world);
    let mut cluster = bed.cluster(0);
    announce(&mut cluster, 0..4);
    for index in 0..4 {
        cluster.block(&order(index)).unwrap();
    }
    assert_eq!(bed.rounds(), [4]);
    let said = bed.said();
    assert_eq!(said.matches("Fake does not answer").count(), 1, "{said}");
    assert!(said.contains("Fake answers again"), "{said}");
}

#[test]
fn a_campaign_that_is_started_again_takes_what_is_there_and_submits_what_is_missing() {
    let bed = Bed::new(World::default());
    let mut first = bed.cluster(3);
    announce(&mut first, 0..3);
    first.block(&order(0)).unwrap();
    // Killed: nothing of it is cleaned up.
    std::mem::forget(first);
    let mut second = bed.cluster(3);
    announce(&mut second, 1..6);
    for index in 1..6 {
        assert_eq!(
            seed(&second.block(&order(index)).unwrap()),
            100.0 + f64::from(index)
        );
    }
    assert_eq!(bed.rounds(), [3, 3], "blocks 1 and 2 were there");
}

#[test]
fn a_campaign_that_is_started_again_waits_for_the_tasks_that_it_left() {
    let bed = Bed::new(World {
        polls_before_results: 5,
        ..World::default()
    });
    let mut first = bed.cluster(3);
    announce(&mut first, 0..3);
    first.attach().unwrap();
    first
        .submit(&first.ahead[0].0.clone(), &BTreeSet::new())
        .unwrap();
    std::mem::forget(first);
    let mut second = bed.cluster(3);
    announce(&mut second, 0..3);
    for index in 0..3 {
        second.block(&order(index)).unwrap();
    }
    assert_eq!(bed.rounds(), [3]);
}

#[test]
fn what_is_not_wanted_any_more_is_withdrawn_and_its_result_counts_nowhere() {
    let bed = Bed::new(World {
        polls_before_results: 3,
        ..World::default()
    });
    let mut cluster = bed.cluster(3);
    announce(&mut cluster, 0..3);
    cluster.block(&order(0)).unwrap();
    // All three results came at once; the next look decided that two of them are not needed.
    let (token, keys) = bed.world.lock().unwrap().rounds[0].clone();
    cluster.retire();
    assert!(bed.world.lock().unwrap().cancelled.contains(&token));
    assert!(keys.iter().all(|key| cluster.spool.results().contains(key)));
    let other = BlockOrder {
        seed: 7,
        ..order(1)
    };
    assert_eq!(
        seed(&cluster.block(&other).unwrap()),
        7.0,
        "not the result of the order that was given up"
    );
}

#[test]
fn orders_that_are_given_up_find_no_task() {
    let bed = Bed::new(World {
        polls_before_results: usize::MAX,
        ..World::default()
    });
    let mut cluster = bed.cluster(3);
    announce(&mut cluster, 0..3);
    cluster.attach().unwrap();
    cluster
        .submit(&cluster.ahead[0].0.clone(), &BTreeSet::new())
        .unwrap();
    let (token, keys) = bed.world.lock().unwrap().rounds[0].clone();
    announce(&mut cluster, 2..4);
    assert_eq!(cluster.spool.order(&keys[0]), None);
    assert!(
        cluster.spool.order(&keys[2]).is_some(),
        "it is still wanted"
    );
    assert!(
        !bed.world.lock().unwrap().cancelled.contains(&token),
        "of its round one is still wanted"
    );
    bed.interrupted.store(true, Ordering::Relaxed);
    assert_eq!(cluster.block(&order(2)), Err(WorkerLost::Interrupted));
    assert!(bed.world.lock().unwrap().cancelled.contains(&token));
}

#[test]
fn what_a_node_refuses_is_told_with_its_name_and_asked_again_next_time() {
    let bed = Bed::new(World::default());
    let refused = BlockOrder {
        repetitions: 0,
        ..order(0)
    };
    let told = bed.cluster(3).block(&refused).unwrap_err();
    assert_eq!(told, WorkerLost::Refused("on n1: no such file".into()));
    assert_eq!(bed.cluster(3).spool.results().len(), 0);
}

#[test]
fn an_order_that_was_claimed_ends_with_its_task() {
    let sighting = |task, state| Sighting {
        token: "t".into(),
        task,
        state,
    };
    let ended = || State::Ended {
        how: "FAILED".into(),
    };
    let round = [sighting(0, ended()), sighting(1, State::Running)];
    let seen: Vec<&Sighting> = round.iter().collect();
    let claim = |task| Claim {
        token: "t".into(),
        task,
    };
    assert!(matches!(fate(&seen, Some(&claim(0))), Fate::Gone { how } if how == "FAILED"));
    assert!(matches!(fate(&seen, Some(&claim(1))), Fate::UnderWay));
    assert!(
        matches!(fate(&seen, None), Fate::UnderWay),
        "task 1 may still begin it"
    );
    assert!(matches!(fate(&seen[..1], None), Fate::Gone { .. }));
    assert!(matches!(fate(&[], None), Fate::Gone { how } if how == "it vanished"));
}
