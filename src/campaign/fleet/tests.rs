//! Whole campaigns on simulated nodes: of different speed, of different hardware, of which one measures wrongly.
use crate::campaign::{Event, Observer, header, run_with};
use crate::measure::{BlockOrder, CheckOrder, Checked, ExpectOrder};
use crate::plan::{Case, Plan, Source};
use crate::record::{Environment, PhaseOutcome, Store, Trial};
use crate::trial::{Block, Cell, Conditions, Ending, Invocation, Place, Sample, Timing, Verdict};
use crate::value::{Nanoseconds, Value};
use crate::worker::{Order, Runner, WorkerLost};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

const PLAN: &str = "
name: fleet
workload: {command: [prog, --x, '{x}']}
protocol: {repetitions: 1, blocks: {min: 30, max: 30}}
baseline: {x: 0}
on: {nodes: 3}
phases:
  - {phase: base, kind: baseline}
  - {phase: trio, kind: tiling, after: [base], variants: {a: {x: 1}, b: {x: 2}, c: {x: 3}}}
";

/// A node: its platform, and how long a configuration of a variant takes on it.
struct Node {
    name: &'static str,
    platform: &'static str,
    time: fn(x: i64, variant: u32) -> f64,
}

/// What a campaign told its runner.
#[derive(Default)]
struct Heard {
    announced: Vec<usize>,
    left_out: BTreeSet<String>,
}

struct Nodes {
    nodes: &'static [Node],
    random: StdRng,
    asked: usize,
    heard: Rc<RefCell<Heard>>,
}

impl Nodes {
    /// The next in turn of those that may be used.
    fn node(&mut self) -> &'static Node {
        loop {
            let node = &self.nodes[self.asked % self.nodes.len()];
            self.asked += 1;
            if !self.heard.borrow().left_out.contains(node.name) {
                return node;
            }
        }
    }

    fn invocation(
        &mut self,
        node: &Node,
        configuration: &crate::space::Configuration,
        variant: u32,
    ) -> Nanoseconds {
        let Some(Value::Int(x)) = configuration.get("x") else {
            unreachable!("the plan's parameter");
        };
        let noise = 0.004 * (self.random.random::<f64>() - 0.5);
        Nanoseconds(1e8 * (node.time)(*x, variant) * noise.exp())
    }
}

fn place(node: &Node) -> Option<Place> {
    Some(Place {
        node: node.name.into(),
        platform: node.platform.into(),
        ..Place::default()
    })
}

impl Runner for Nodes {
    fn announce(&mut self, orders: Vec<Order>) {
        self.heard.borrow_mut().announced.push(orders.len());
    }

    fn looks_ahead(&self) -> usize {
        1000
    }

    fn leave_out(&mut self, nodes: &BTreeSet<String>) {
        self.heard.borrow_mut().left_out.clone_from(nodes);
    }

    fn block(&mut self, order: &BlockOrder) -> Result<Block, WorkerLost> {
        let node = self.node();
        let cell = |asked: &crate::measure::CellOrder, wall| Cell {
            variant: asked.variant,
            samples: vec![Sample {
                invocation: Invocation {
                    timing: Timing {
                        wall,
                        ..Timing::default()
                    },
                    ..Invocation::default()
                },
                started_at: 0,
                batch: 1,
                is_warm_up: false,
            }],
            ending: Ending::Completed,
        };
        let mut cells = vec![];
        for asked in &order.cells {
            let wall = self.invocation(node, &asked.configuration, asked.variant.0);
            cells.push(cell(asked, wall));
        }
        Ok(Block {
            index: order.index,
            purpose: order.purpose,
            worker: self.asked as u32,
            elapsed: Nanoseconds(1e8),
            cells,
            conditions: Conditions::default(),
            place: place(node),
        })
    }

    fn check(&mut self, order: &CheckOrder) -> Result<Checked, WorkerLost> {
        let node = self.node();
        let invocation = self.invocation(node, &order.configuration, order.variant.0);
        Ok(Checked {
            invocation: Some(invocation),
            elapsed: invocation,
            place: place(node),
            ..Checked::ended(Ending::Completed)
        })
    }

    fn expect(&mut self, _: &ExpectOrder) -> Result<bool, WorkerLost> {
        Ok(false)
    }

    fn retire(&mut self) {}
}

#[derive(Default)]
struct Listener(BTreeMap<String, (PhaseOutcome, Vec<Trial>)>);

impl Observer for Listener {
    fn event(&mut self, event: &Event<'_>) {
        if let Event::PhaseEnded { outcome, trials } = event {
            let ended = ((*outcome).clone(), trials.to_vec());
            self.0.insert(outcome.phase.clone(), ended);
        }
    }
}

/// The phase that is asked for, and what the runner heard.
fn campaign(plan: &str, phase: &str, nodes: &'static [Node]) -> (PhaseOutcome, Vec<Trial>, Heard) {
    let source = Source {
        text: plan.as_bytes(),
        overrides: &[],
        folder: ".",
    };
    let parsed = Plan::parse(&source, &|_| None, &[]).expect("the plan is right");
    let header = header(
        parsed,
        plan.into(),
        String::new(),
        vec![],
        Environment::default(),
        None,
    );
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::create(folder.path(), header).unwrap();
    let heard = Rc::new(RefCell::new(Heard::default()));
    let mut runner = |_: &Case| -> Box<dyn Runner> {
        Box::new(Nodes {
            nodes,
            random: StdRng::seed_from_u64(5),
            asked: 0,
            heard: heard.clone(),
        })
    };
    let mut listener = Listener::default();
    run_with(&mut store, &mut runner, &mut listener).unwrap();
    let (outcome, trials) = listener.0.remove(phase).unwrap();
    (outcome, trials, heard.take())
}

fn verdict(trials: &[Trial], name: &str) -> Verdict {
    trials.iter().find(|t| t.name == name).unwrap().verdict
}

/// a is faster by 10 %, b equal, c slower.
fn usual(x: i64, _: u32) -> f64 {
    [1.0, 0.9, 1.0, 1.2][x as usize]
}

#[test]
fn nodes_of_different_speed_change_no_verdict() {
    static NODES: [Node; 3] = [
        Node {
            name: "n1",
            platform: "p",
            time: usual,
        },
        Node {
            name: "n2",
            platform: "p",
            time: |x, v| 3.0 * usual(x, v),
        },
        Node {
            name: "n3",
            platform: "p",
            time: |x, v| 1.3 * usual(x, v),
        },
    ];
    let (outcome, trials, heard) = campaign(PLAN, "trio", &NODES);
    assert_eq!(outcome.kept_variant.as_deref(), Some("a"));
    let found = ["a", "b", "c"].map(|name| verdict(&trials, name));
    assert_eq!(
        found,
        [Verdict::Faster, Verdict::Equivalent, Verdict::Slower]
    );
    // A node that is three times as slow is no outlier, and no drift.
    assert_eq!(outcome.warnings, []);
    let blocks: Vec<u32> = outcome.nodes.iter().map(|n| n.blocks).collect();
    assert_eq!(
        blocks.iter().sum::<u32>(),
        outcome.blocks + outcome.confirmation_blocks
    );
    assert!(blocks.iter().all(|n| *n >= 10), "{blocks:?}");
    assert_eq!(outcome.platforms.len(), 1);
    // The checks of the phase at once, then all its blocks, then those of the confirmation.
    assert!(
        heard.announced.ends_with(&[3, 30, 30, 16]),
        "{:?}",
        heard.announced
    );
}

#[test]
fn other_hardware_has_its_own_verdicts_and_does_not_decide() {
    static NODES: [Node; 3] = [
        Node {
            name: "n1",
            platform: "new",
            time: usual,
        },
        Node {
            name: "n2",
            platform: "new",
            time: usual,
        },
        Node {
            name: "n3",
            platform: "old",
            time: |x, _| [2.0, 2.5, 1.4, 2.0][x as usize],
        },
    ];
    let (outcome, trials, _) = campaign(PLAN, "trio", &NODES);
    assert_eq!(outcome.kept_variant.as_deref(), Some("a"));
    assert_eq!(outcome.blocks, 30, "all of the platform that decides");
    let names: Vec<&str> = outcome.platforms.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names, ["new", "old"]);
    let on =
        |platform: usize, variant: usize| outcome.platforms[platform].variants[variant].verdict;
    assert_eq!(
        [on(0, 0), on(0, 1), on(0, 2)],
        [Verdict::Faster, Verdict::Equivalent, Verdict::Slower]
    );
    assert_eq!(
        [on(1, 0), on(1, 1), on(1, 2)],
        [Verdict::Slower, Verdict::Faster, Verdict::Equivalent]
    );
    assert_eq!(outcome.platforms[0].blocks, 30);
    assert!(
        (14..=16).contains(&outcome.platforms[1].blocks),
        "{}",
        outcome.platforms[1].blocks
    );
    assert_eq!(verdict(&trials, "b"), Verdict::Equivalent);
}

#[test]
fn a_node_whose_canary_fails_is_left_out_by_name() {
    static NODES: [Node; 3] = [
        Node {
            name: "n1",
            platform: "p",
            time: usual,
        },
        Node {
            name: "n2",
            platform: "p",
            time: usual,
        },
        // Whatever is not the reference itself takes longer there.
        Node {
            name: "n3",
            platform: "p",
            time: |x, v| usual(x, v) * if v == 0 { 1.0 } else { 1.05 },
        },
    ];
    let (outcome, trials, heard) = campaign(PLAN, "trio", &NODES);
    assert_eq!(heard.left_out, BTreeSet::from(["n3".to_owned()]));
    assert!(outcome.is_trusted);
    assert_eq!(outcome.kept_variant.as_deref(), Some("a"));
    assert_eq!(
        verdict(&trials, "b"),
        Verdict::Equivalent,
        "by the nodes that count"
    );
    let n3 = outcome.nodes.iter().find(|n| n.node == "n3");
    assert!(n3.is_none_or(|n| n.is_left_out));
}

#[test]
fn what_a_node_measured_before_it_was_left_out_is_said_and_not_counted() {
    static NODES: [Node; 2] = [
        Node {
            name: "n1",
            platform: "p",
            time: usual,
        },
        Node {
            name: "n2",
            platform: "p",
            time: |x, v| usual(x, v) * if v == 0 { 1.0 } else { 1.05 },
        },
    ];
    let plan = PLAN
        .replace("  - {phase: base, kind: baseline}\n", "")
        .replace("after: [base], ", "");
    let (outcome, _, _) = campaign(&plan, "trio", &NODES);
    let note = outcome.note.unwrap_or_default();
    assert!(note.contains("node n2 is left out"), "{note}");
    assert_eq!(outcome.blocks, 15);
    assert!(
        outcome
            .nodes
            .iter()
            .any(|n| n.node == "n2" && n.is_left_out)
    );
}

#[test]
fn a_search_that_learns_asks_for_as_many_as_there_are_nodes() {
    static NODES: [Node; 3] = [
        Node {
            name: "n1",
            platform: "p",
            time: |x, _| 1.0 + 0.01 * x as f64,
        },
        Node {
            name: "n2",
            platform: "p",
            time: |x, _| 2.0 + 0.02 * x as f64,
        },
        Node {
            name: "n3",
            platform: "p",
            time: |x, _| 1.0 + 0.01 * x as f64,
        },
    ];
    let plan = "
name: fleet
workload: {command: [prog, --x, '{x}']}
protocol: {repetitions: 1, blocks: {min: 10, max: 10}}
baseline: {x: 30}
on: {nodes: 3}
phases:
  - phase: search
    kind: tiling
    search:
      parameters: {x: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29]}
      strategy: bayesian
      budget: {evaluations: 12}
";
    let (outcome, trials, heard) = campaign(plan, "search", &NODES);
    let tried = trials.iter().filter(|t| !t.is_canary).count();
    assert_eq!(tried, 13, "twelve and the reference");
    assert!(outcome.kept_variant.is_some());
    // The reference's check; then each time three checks and three blocks, and blocks again of who is a contender.
    assert_eq!(heard.announced[..3], [1, 3, 3], "{:?}", heard.announced);
    assert!(
        heard.announced[1..].iter().filter(|n| **n == 3).count() >= 8,
        "{:?}",
        heard.announced
    );
}

#[test]
fn a_journal_with_blocks_of_other_platforms_is_replayed_to_the_same_outcome() {
    static NODES: [Node; 3] = [
        Node {
            name: "n1",
            platform: "new",
            time: usual,
        },
        Node {
            name: "n2",
            platform: "old",
            time: usual,
        },
        Node {
            name: "n3",
            platform: "new",
            time: usual,
        },
    ];
    let source = Source {
        text: PLAN.as_bytes(),
        overrides: &[],
        folder: ".",
    };
    let parsed = || Plan::parse(&source, &|_| None, &[]).expect("the plan is right");
    let header = || {
        header(
            parsed(),
            PLAN.into(),
            String::new(),
            vec![],
            Environment::default(),
            None,
        )
    };
    let folder = tempfile::tempdir().unwrap();
    let heard = Rc::new(RefCell::new(Heard::default()));
    let mut whole = Listener::default();
    let mut runner = |_: &Case| -> Box<dyn Runner> {
        let random = StdRng::seed_from_u64(5);
        Box::new(Nodes {
            nodes: &NODES,
            random,
            asked: 0,
            heard: heard.clone(),
        })
    };
    let mut store = Store::create(folder.path(), header()).unwrap();
    run_with(&mut store, &mut runner, &mut whole).unwrap();
    drop(store);
    // Killed before it was finished: all of it is in the journal.
    let mut store = Store::resume(folder.path(), &header())
        .unwrap()
        .expect("it can go on");
    struct Nobody;
    impl Runner for Nobody {
        fn block(&mut self, order: &BlockOrder) -> Result<Block, WorkerLost> {
            panic!("block {} was measured already", order.index)
        }
        fn check(&mut self, _: &CheckOrder) -> Result<Checked, WorkerLost> {
            panic!("every check was made already")
        }
        fn expect(&mut self, _: &ExpectOrder) -> Result<bool, WorkerLost> {
            Ok(false)
        }
        fn retire(&mut self) {}
    }
    let mut again = Listener::default();
    run_with(&mut store, &mut |_| Box::new(Nobody), &mut again).unwrap();
    assert_eq!(whole.0, again.0);
    assert!(whole.0["trio"].0.platforms[1].blocks > 0);
}
