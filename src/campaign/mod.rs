//! Walks the phase graph: references, checks, races, looks, confirmation, resuming. Decides from measurements alone, so that a
//! journal replayed in order brings an interrupted campaign back to where it was.
mod comparing;
mod criteria;
mod deciding;
mod fleet;
mod forecast;
mod ledger;
mod phase;
mod searching;
mod sessions;
#[cfg(test)]
mod simulation;
mod variants;

pub use forecast::{FINAL_BLOCKS, Forecast, forecast};
pub use sessions::{calibrate, compare};

use crate::plan::{Case, DeviceChoice, Phase, Plan};
use crate::record::{
    Calibration, Ceilings, CriterionOutcome, Entry, Environment, FINAL_PHASE, Final, Header,
    PhaseOutcome, Store, StoreError, Trial,
};
use crate::trace::Tracer;
use crate::trial::{Ending, Purpose, VariantId};
use crate::value::Nanoseconds;
use crate::worker::{
    Child, Cluster, LoadOrder, Runner, Site, TraceOrder, Voice, WorkerLost, find_slurm,
};
use ledger::Ledger;
use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// What happens, told as it happens. Progress bars, `--json` and tests listen; measuring knows none of them.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A run starts, or goes on after an interruption with this many blocks already done.
    CampaignStarted {
        run_id: &'a str,
        phases: usize,
        replayed_blocks: usize,
    },
    PhaseStarted {
        case: &'a str,
        phase: &'a Phase,
        index: usize,
        variants: &'a [String],
    },
    /// Compiling and checking the accuracy of one variant.
    Checking {
        phase: &'a str,
        variant: &'a str,
    },
    VariantEnded {
        phase: &'a str,
        variant: &'a str,
        ending: &'a Ending,
    },
    /// `planned` may shrink or grow until the budget is fixed. `elapsed` counts the phase.
    BlockFinished {
        phase: &'a str,
        purpose: Purpose,
        done: u32,
        planned: u32,
        live: usize,
        elapsed: Nanoseconds,
        remaining: Nanoseconds,
        /// Best so far against the reference: name, speedup, interval at this moment.
        best: Option<(&'a str, &'a crate::stats::Comparison)>,
    },
    /// A search has tried one more configuration.
    Searched {
        phase: &'a str,
        /// Evaluations, how many there will be at most, and how many came to nothing: failed, inaccurate, over a limit.
        done: usize,
        planned: usize,
        invalid: usize,
        /// Best so far against the reference, by the few blocks of the search.
        incumbent: Option<(&'a str, &'a crate::stats::Comparison)>,
        elapsed: Nanoseconds,
        /// At most.
        remaining: Nanoseconds,
    },
    /// A race dropped these.
    Dropped {
        phase: &'a str,
        variants: &'a [VariantId],
    },
    PhaseEnded {
        outcome: &'a PhaseOutcome,
        trials: &'a [Trial],
    },
    CampaignEnded {
        finals: &'a [Final],
    },
}

/// Listens to a campaign. Cannot fail and cannot influence it.
pub trait Observer {
    fn event(&mut self, event: &Event<'_>);
}

/// Several listen.
impl Observer for Vec<Box<dyn Observer>> {
    fn event(&mut self, event: &Event<'_>) {
        self.iter_mut().for_each(|observer| observer.event(event));
    }
}

/// Everything that a campaign is started with.
#[derive(Debug)]
pub struct CampaignOrder {
    /// What is to be recorded about the run; its run id is given by the store.
    pub header: Header,
    pub results: PathBuf,
    /// The binary that is started as worker: this one.
    pub program: PathBuf,
    pub interrupted: Arc<AtomicBool>,
    /// Start a new run even where an interrupted one could go on.
    pub is_fresh: bool,
    /// Where spans are collected, of the workers too; an observer takes them. Absent: nothing is traced.
    pub tracer: Option<Tracer>,
    /// How a cluster speaks to the user.
    pub voice: Voice,
}

/// How a campaign ended.
#[derive(Debug)]
pub struct Summary {
    pub folder: PathBuf,
    pub run_id: String,
    pub criteria: Vec<CriterionOutcome>,
    pub outcomes: Vec<PhaseOutcome>,
    pub finals: Vec<Final>,
}

/// What stops a campaign.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What was measured is kept.
    #[error("interrupted; `phasetune run` with the same plan goes on where it stopped ({})", .folder.display())]
    Interrupted { folder: PathBuf },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{0}")]
    Plan(String),
    /// The device is not on this machine.
    #[error("{0}")]
    Absent(String),
    /// The workload cannot be loaded, or the baseline itself fails: nothing can be compared.
    #[error("{0}")]
    Workload(String),
    #[error("{0}")]
    Worker(String),
    #[error("{0}")]
    Damaged(String),
}

impl From<WorkerLost> for Error {
    fn from(lost: WorkerLost) -> Error {
        match lost {
            // The folder is filled in where it is known.
            WorkerLost::Interrupted => Error::Interrupted {
                folder: PathBuf::new(),
            },
            WorkerLost::Absent(reason) => Error::Absent(reason),
            WorkerLost::Refused(reason) => Error::Workload(reason),
            WorkerLost::Gone(reason) => Error::Worker(reason),
        }
    }
}

/// Runs a plan, or goes on with its interrupted run.
///
/// # Errors
/// What stops the whole campaign; what a variant does is recorded. Whatever was measured before is kept.
pub fn run(order: CampaignOrder, observer: &mut dyn Observer) -> Result<Summary, Error> {
    let mut results = order.results;
    if order.header.plan.on.is_some() {
        find_slurm().map_err(Error::Worker)?;
        // The nodes know it by no other name.
        results = std::path::absolute(&results).unwrap_or(results);
    }
    let mut store = match order.is_fresh {
        true => None,
        false => Store::resume(&results, &order.header)?,
    };
    let mut store = match store.take() {
        Some(store) => store,
        None => Store::create(&results, order.header)?,
    };
    let scratch = store.folder().join("scratch");
    let plan = store.header().plan.clone();
    let program = order.program;
    let interrupted = order.interrupted;
    let tracer = order.tracer;
    let trace = tracer.as_ref().map(|_| TraceOrder {
        stages: store.header().declaration.stages.clone(),
    });
    let mut runner = |case: &Case| -> Box<dyn Runner> {
        let load = load_order(&plan, case, scratch.clone());
        let Some(settings) = plan.on.clone() else {
            let trace = trace.clone();
            let (load, interrupted) = (LoadOrder { trace, ..load }, interrupted.clone());
            let tracer = tracer.as_ref();
            return Box::new(Child::new(program.clone(), load, interrupted, tracer));
        };
        let index = plan.cases.iter().position(|c| c == case).unwrap_or(0);
        let site = Site {
            program: program.clone(),
            spool: scratch.join(format!("cluster-{index}")),
            settings,
            interrupted: interrupted.clone(),
            voice: order.voice.clone(),
        };
        Box::new(Cluster::slurm(site, load))
    };
    let folder = store.folder().to_owned();
    run_with(&mut store, &mut runner, observer)
        .map_err(|error| match error {
            Error::Interrupted { .. } => Error::Interrupted {
                folder: folder.clone(),
            },
            other => other,
        })
        .and_then(|summary| {
            store.finish(&summary.finals)?;
            Ok(summary)
        })
}

/// What a worker needs to know of the plan.
fn load_order(plan: &Plan, case: &Case, scratch: PathBuf) -> LoadOrder {
    LoadOrder {
        workload: plan.workload.clone(),
        problem: case.problem.clone(),
        device: case.device,
        trial_timeout: plan.protocol.trial_timeout,
        memory_limit: plan.limits.peak_memory,
        scratch,
        seed: plan.protocol.seed,
        trace: None,
    }
}

/// The campaign itself, over whatever runs its blocks.
pub(crate) fn run_with<'a>(
    store: &mut Store,
    runner: &mut dyn FnMut(&Case) -> Box<dyn Runner + 'a>,
    observer: &mut dyn Observer,
) -> Result<Summary, Error> {
    let header = store.header().clone();
    let plan = &header.plan;
    let mut replay: VecDeque<Entry> = std::iter::from_fn(|| store.replay()).collect();
    let replayed_blocks = replay
        .iter()
        .filter(|e| matches!(e, Entry::Block { .. }))
        .count();
    observer.event(&Event::CampaignStarted {
        run_id: &header.run_id,
        phases: plan.phases.len() * plan.cases.len(),
        replayed_blocks,
    });
    let mut outcomes: Vec<PhaseOutcome> = vec![];
    let mut finals = vec![];
    for case in &plan.cases {
        let mut ledger = Ledger {
            store: &mut *store,
            runner: runner(case),
            replay: &mut replay,
        };
        match run_case(&header, case, &mut ledger, observer, &mut outcomes) {
            Ok(last) => finals.push(last),
            // One device of several that this machine does not have is a row; the only one is an error.
            Err(Error::Absent(why)) if plan.cases.len() > 1 => finals.push(Final {
                case: case.name.clone(),
                baseline: plan.baseline.clone(),
                configuration: plan.baseline.clone(),
                confirmation: None,
                medians: None,
                absent: Some(why),
            }),
            Err(error) => return Err(error),
        }
    }
    if let Some(why) = (finals.iter().all(|last| last.absent.is_some()))
        .then(|| finals.first()?.absent.clone())
        .flatten()
    {
        return Err(Error::Absent(why));
    }
    observer.event(&Event::CampaignEnded { finals: &finals });
    Ok(Summary {
        folder: store.folder().to_owned(),
        run_id: header.run_id.clone(),
        criteria: outcomes.iter().flat_map(|o| o.criteria.clone()).collect(),
        outcomes,
        finals,
    })
}

/// One repetition of the plan, to its confirmation.
fn run_case(
    header: &Header,
    case: &Case,
    ledger: &mut Ledger<'_>,
    observer: &mut dyn Observer,
    outcomes: &mut Vec<PhaseOutcome>,
) -> Result<Final, Error> {
    let plan = &header.plan;
    let mut ended: BTreeMap<String, PhaseOutcome> = BTreeMap::new();
    let mut desk = phase::Desk::new(header, case, observer);
    for (index, phase) in plan.phases.iter().enumerate() {
        let (outcome, trials) = desk.run(phase, index, &ended, ledger)?;
        ledger.phase_ended(&trials, &outcome)?;
        desk.observer.event(&Event::PhaseEnded {
            outcome: &outcome,
            trials: &trials,
        });
        ended.insert(phase.name.clone(), outcome.clone());
        outcomes.push(outcome);
    }
    let last = (plan.last_phase())
        .and_then(|phase| ended.get(&phase.name))
        .map_or(&plan.baseline, |outcome| &outcome.kept)
        .clone();
    desk.confirm_final(&last, ledger)
}

/// The header of a run: what is known before anything is measured.
///
/// `scratch_device` is measured for its ceilings where the workload counts its work.
pub fn header(
    parsed: crate::plan::Parsed,
    plan_text: String,
    plan_path: String,
    command_line: Vec<String>,
    environment: Environment,
    calibration: Option<Calibration>,
) -> Header {
    Header {
        format: 1,
        run_id: String::new(),
        plan: parsed.plan,
        plan_text,
        plan_path,
        command_line,
        declaration: parsed.declaration,
        environment,
        calibration,
        ceilings: vec![],
    }
}

/// Arithmetic and memory ceilings of the plan's devices; nothing for a command, whose work is not counted.
pub fn ceilings(plan: &Plan) -> Vec<Ceilings> {
    if !matches!(plan.workload, crate::plan::WorkloadChoice::Builtin { .. }) {
        return vec![];
    }
    let mut choices: Vec<DeviceChoice> = vec![];
    for case in &plan.cases {
        if !choices.contains(&case.device) {
            choices.push(case.device);
        }
    }
    choices
        .into_iter()
        .filter_map(|choice| {
            let device = crate::device::open(choice).ok()?;
            let measured = crate::device::ceilings(&device)?;
            Some(Ceilings {
                device: device_name(choice),
                flops: measured.flops,
                bandwidth: measured.bandwidth,
            })
        })
        .collect()
}

/// As records name it: `cpu`, `wgpu:0`, `cuda:0`.
pub fn device_name(choice: DeviceChoice) -> String {
    match choice {
        // Where a built-in has a processor's kernel, that is what `auto` means.
        DeviceChoice::Auto => DeviceChoice::Cpu.to_string(),
        other => other.to_string(),
    }
}

/// Folder of a variant's pictures under the run's folder; names are made safe for every file system.
fn picture_folder(case: &str, phase: &str, variant: &str) -> String {
    let safe = |text: &str| -> String {
        let kept = |c: char| {
            if c.is_ascii_alphanumeric() || "-_.=".contains(c) {
                c
            } else {
                '_'
            }
        };
        text.chars().map(kept).take(80).collect()
    };
    let case = if case.is_empty() {
        String::new()
    } else {
        format!("{}/", safe(case))
    };
    format!("qc/{case}{}/{}", safe(phase), safe(variant))
}

/// Where the expected output of a case is stored while the campaign lasts.
fn expected_file(folder: &Path, case_index: usize) -> PathBuf {
    folder
        .join("scratch")
        .join(format!("expected-{case_index}.npy"))
}

/// The phase column of the confirmation of the whole.
pub(crate) const FINAL: &str = FINAL_PHASE;
