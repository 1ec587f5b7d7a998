//! Makes a run out of nothing: `cargo run --release --example synthetic_run -- FOLDER ROWS`.
//!
//! The report is developed against it and timed with it (a million samples): six phases of a beamformer's campaign with drift,
//! failures of every kind, a race, a confirmation, and criteria of every state. The same arguments give the same records.
#![allow(
    clippy::disallowed_methods,
    reason = "writes the pictures that a worker would write"
)]
use phasetune::plan::{
    Accuracy, Against, Cache, Case, Criterion, Declaration, DeviceChoice, Hypothesis, Keep, Limits,
    NamedVariant, Objective, Phase, Plan, Protocol, Question, Relation, WarmUp, WorkloadChoice,
};
use phasetune::record::{
    Calibration, Ceilings, CriterionOutcome, CriterionState, Entry, Environment, FINAL_PHASE,
    Final, Git, Header, PhaseOutcome, Store, Trial,
};
use phasetune::space::{Configuration, Parameter};
use phasetune::stats::{self, Comparison, Warning};
use phasetune::trial::{
    Block, Cell, Conditions, Ending, Invocation, PictureRecord, Purpose, Sample, Timing, VariantId,
    Verdict, Work,
};
use phasetune::value::{Bytes, Nanoseconds, Value};
use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

const STAGES: [&str; 4] = ["delays", "gather", "rotate", "sum"];
const CONFIRMATION_BLOCKS: u32 = 16;

/// A variant as it is planned here: name, changes, true time as a share of the baseline's, and what becomes of it.
struct Planned {
    name: &'static str,
    changes: Vec<(String, Value)>,
    time: f64,
    nrmse: f64,
    fate: Fate,
}

#[derive(Clone, PartialEq)]
enum Fate {
    Runs,
    Inaccurate,
    EndsAtCheck(Ending),
    /// Fails in this block.
    EndsInBlock(u32, Ending),
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments
        .next()
        .ok_or("usage: synthetic_run FOLDER [ROWS]")?;
    let rows: usize = arguments.next().map_or(Ok(5000), |n| n.parse())?;
    campaign(Path::new(&folder), rows)
}

/// Walks the phases as a campaign does, with a formula in place of the workers.
pub(crate) fn campaign(results: &Path, rows: usize) -> Result<(), Box<dyn Error>> {
    let header = header();
    let plan = header.plan.clone();
    let mut store = Store::create(results, header)?;
    // A block of each phase together has 31 cells; what is missing goes into repetitions.
    let blocks = (rows / (31 * 3)).clamp(12, 200);
    let repetitions = rows.div_ceil(31 * blocks).max(3);
    let blocks = blocks as u32;
    let mut bench = Bench {
        noise: Noise(20_261_121),
        clock: 0.0,
        worker: 0,
        repetitions,
    };
    let mut reference = plan.baseline.clone();
    let mut reference_time = 1.0;
    for phase in &plan.phases {
        let planned = variants(&phase.name);
        let desk = Desk {
            phase,
            reference: &reference,
            reference_time,
            blocks,
        };
        let (trials, outcome, kept_time) = desk.run(&planned, &mut store, &mut bench)?;
        if phase.keep == Keep::Best {
            reference = outcome.kept.clone();
            reference_time = kept_time;
        }
        store.append(&Entry::PhaseEnded {
            trials,
            outcome: Box::new(outcome),
        })?;
        store.write_parquet()?;
    }
    let live = [(VariantId(0), 1.0), (VariantId(1), reference_time)];
    let mut series = Series::default();
    for index in 0..CONFIRMATION_BLOCKS {
        let block = bench.block(index, Purpose::Confirm, &live, &BTreeMap::new());
        series.add(&block);
        store.append(&Entry::Block {
            case: String::new(),
            phase: FINAL_PHASE.into(),
            purpose: Purpose::Confirm,
            block,
        })?;
    }
    let median = |id| stats::quartiles(&series.values(VariantId(id))).1;
    store.finish(&[Final {
        case: String::new(),
        baseline: plan.baseline.clone(),
        configuration: reference,
        confirmation: Some(series.compare(VariantId(1), 0.05)),
        medians: Some((median(0), median(1))),
        absent: None,
    }])?;
    Ok(())
}

struct Desk<'a> {
    phase: &'a Phase,
    reference: &'a Configuration,
    /// As a share of the baseline's.
    reference_time: f64,
    blocks: u32,
}

impl Desk<'_> {
    fn run(
        &self,
        planned: &[Planned],
        store: &mut Store,
        bench: &mut Bench,
    ) -> Result<(Vec<Trial>, PhaseOutcome, f64), Box<dyn Error>> {
        let canary = VariantId(planned.len() as u32 + 1);
        let has_canary = planned.len() >= 3 || planned.is_empty();
        let mut live = vec![(VariantId::REFERENCE, self.reference_time)];
        let mut ends = BTreeMap::new();
        for (i, variant) in planned.iter().enumerate() {
            let id = VariantId(i as u32 + 1);
            match &variant.fate {
                Fate::Runs => live.push((id, self.reference_time * variant.time)),
                Fate::EndsInBlock(block, ending) => {
                    live.push((id, self.reference_time * variant.time));
                    ends.insert(id, (*block, ending.clone()));
                }
                Fate::Inaccurate | Fate::EndsAtCheck(_) => {}
            }
        }
        if has_canary {
            live.push((canary, self.reference_time));
        }
        let dropped = self.race(planned, &mut live, store, bench)?;
        let mut screen = Series::default();
        for index in 0..self.blocks {
            let block = bench.block(index, Purpose::Screen, &live, &ends);
            live.retain(|(id, _)| {
                block
                    .cells
                    .iter()
                    .all(|c| c.variant != *id || c.ending == Ending::Completed)
            });
            screen.add(&block);
            store.append(&self.entry(Purpose::Screen, block))?;
        }
        let family = planned.len().max(1) as f64;
        let compared: BTreeMap<VariantId, Comparison> = live
            .iter()
            .filter(|(id, _)| *id != VariantId::REFERENCE)
            .map(|(id, _)| (*id, screen.compare(*id, 0.05 / family)))
            .collect();
        let mut order: Vec<VariantId> = compared
            .keys()
            .copied()
            .filter(|id| *id != canary)
            .collect();
        order.sort_by(|a, b| compared[b].speedup.total_cmp(&compared[a].speedup));
        let winner = order.first().copied().filter(|id| {
            matches!(
                stats::verdict(&compared[id], 0.01),
                Verdict::Faster | Verdict::SlightlyFaster
            )
        });
        let mut confirmed = BTreeMap::new();
        if let Some(winner) = winner {
            let runner_up = order.get(1).copied();
            let those: Vec<_> = live
                .iter()
                .copied()
                .filter(|(id, _)| id.0 == 0 || *id == winner || Some(*id) == runner_up)
                .collect();
            let mut series = Series::default();
            for index in 0..CONFIRMATION_BLOCKS {
                let block = bench.block(index, Purpose::Confirm, &those, &BTreeMap::new());
                series.add(&block);
                store.append(&self.entry(Purpose::Confirm, block))?;
            }
            for (id, _) in those.iter().filter(|(id, _)| id.0 > 0) {
                confirmed.insert(*id, series.compare(*id, 0.05));
            }
        }
        let findings = Findings {
            screen,
            compared,
            confirmed,
            winner,
            runner_up: order.get(1).copied(),
            canary,
            dropped,
        };
        let mut trials = vec![self.trial(VariantId::REFERENCE, None, &findings, store.folder())?];
        for (i, variant) in planned.iter().enumerate() {
            trials.push(self.trial(
                VariantId(i as u32 + 1),
                Some(variant),
                &findings,
                store.folder(),
            )?);
        }
        if has_canary {
            trials.push(self.trial(canary, None, &findings, store.folder())?);
        }
        let outcome = self.outcome(planned, &findings, &trials);
        let kept_time = winner.map_or(self.reference_time, |id| {
            self.reference_time * planned[id.0 as usize - 1].time
        });
        Ok((trials, outcome, kept_time))
    }

    /// Over many variants: the slow ones are not compared.
    fn race(
        &self,
        planned: &[Planned],
        live: &mut Vec<(VariantId, f64)>,
        store: &mut Store,
        bench: &mut Bench,
    ) -> Result<Vec<VariantId>, Box<dyn Error>> {
        if !self.is_race(planned) {
            return Ok(vec![]);
        }
        for index in 0..5 {
            let block = bench.block(index, Purpose::Race, live, &BTreeMap::new());
            store.append(&self.entry(Purpose::Race, block))?;
        }
        let is_slow = |(_, time): &(VariantId, f64)| *time > self.reference_time * 1.05;
        let dropped = live
            .iter()
            .filter(|v| is_slow(v))
            .map(|(id, _)| *id)
            .collect();
        live.retain(|v| !is_slow(v));
        Ok(dropped)
    }

    fn is_race(&self, planned: &[Planned]) -> bool {
        planned.len() > 6
    }

    fn entry(&self, purpose: Purpose, block: Block) -> Entry {
        Entry::Block {
            case: String::new(),
            phase: self.phase.name.clone(),
            purpose,
            block,
        }
    }

    fn trial(
        &self,
        id: VariantId,
        variant: Option<&Planned>,
        findings: &Findings,
        folder: &Path,
    ) -> Result<Trial, Box<dyn Error>> {
        let is_canary = id == findings.canary;
        let name = variant.map_or(if is_canary { "canary" } else { "reference" }, |v| v.name);
        let values = findings.screen.values(id);
        let comparison = findings.compared.get(&id).cloned();
        let (ending, verdict, message) = match findings.dropped.contains(&id) {
            true => (
                Ending::Completed,
                Verdict::ScreenedOut,
                Some("dropped after 5 blocks of the race".into()),
            ),
            false => self.verdict(id, variant, comparison.as_ref()),
        };
        let was_checked = !matches!(variant.map(|v| &v.fate), Some(Fate::EndsAtCheck(_)));
        let nrmse = variant.map_or(2e-7, |v| v.nrmse);
        let accuracy = match was_checked {
            true => vec![
                ("nrmse".into(), nrmse),
                ("max_abs".into(), nrmse * 14.0),
                ("rel_l2".into(), nrmse * 3.1),
            ],
            false => vec![],
        };
        let configuration = variant.map_or_else(
            || self.reference.clone(),
            |v| self.reference.with(&v.changes),
        );
        let time = self.reference_time * variant.map_or(1.0, |v| v.time);
        let is_measured = !values.is_empty();
        Ok(Trial {
            case: String::new(),
            phase: self.phase.name.clone(),
            kind: self.phase.kind.clone(),
            id,
            name: name.into(),
            device: "cpu".into(),
            configuration,
            is_canary,
            ending,
            verdict,
            message,
            compile: was_checked.then_some(Nanoseconds(1.2e6 + 1e5 * f64::from(id.0))),
            n: values.len() as u32,
            quartiles: is_measured.then(|| stats::quartiles(&values)),
            comparison,
            confirmation: findings.confirmed.get(&id).cloned(),
            accuracy,
            host_peak: was_checked.then_some(Bytes((48e6 + 310e6 * time) as u64)),
            device_peak: None,
            stages: if is_measured {
                stages(time * BASELINE_NS)
            } else {
                vec![]
            },
            metrics: vec![],
            work: was_checked.then_some(Work {
                flops: 8.6e9,
                sqrt: 5.4e8,
                trig: 1.1e9,
                bytes: 5.3e6,
            }),
            is_kept: findings.winner == Some(id),
            pictures: if was_checked && !is_canary {
                pictures(folder, &self.phase.name, name, nrmse)?
            } else {
                vec![]
            },
            timeline: vec![],
        })
    }

    fn verdict(
        &self,
        id: VariantId,
        variant: Option<&Planned>,
        comparison: Option<&Comparison>,
    ) -> (Ending, Verdict, Option<String>) {
        if id == VariantId::REFERENCE {
            return (Ending::Completed, Verdict::Reference, None);
        }
        match variant.map(|v| (&v.fate, v.nrmse)) {
            Some((Fate::Inaccurate, nrmse)) => {
                let why = format!("nrmse {nrmse:.2e} is over the limit of 1e-3");
                (Ending::Completed, Verdict::Inaccurate, Some(why))
            }
            Some((Fate::EndsAtCheck(ending) | Fate::EndsInBlock(_, ending), _)) => {
                let verdict = ending.verdict().unwrap_or(Verdict::Failed);
                (ending.clone(), verdict, Some(ending.sentence()))
            }
            _ => {
                let Some(comparison) = comparison else {
                    return (Ending::Completed, Verdict::Inconclusive, None);
                };
                let verdict = stats::verdict(comparison, 0.01);
                let more = (verdict == Verdict::Inconclusive)
                    .then(|| stats::blocks_needed(comparison, 0.01))
                    .flatten();
                let why = more.map(|n| {
                    format!(
                        "about {n} blocks would decide; {} were measured",
                        comparison.blocks
                    )
                });
                (Ending::Completed, verdict, why)
            }
        }
    }

    fn outcome(&self, planned: &[Planned], findings: &Findings, trials: &[Trial]) -> PhaseOutcome {
        let kept = findings.winner.map(|id| &planned[id.0 as usize - 1]);
        let best = findings.winner.and_then(|id| findings.confirmed.get(&id));
        let name_of = |id: VariantId| planned[id.0 as usize - 1].name.to_owned();
        let criteria = self
            .phase
            .criteria
            .iter()
            .map(|criterion| judge(criterion, best, trials))
            .collect();
        let drift = Warning {
            what: "drift".into(),
            detail: "the reference became 3.1 % slower over the phase (Mann–Kendall p = 0.004)"
                .into(),
        };
        PhaseOutcome {
            case: String::new(),
            phase: self.phase.name.clone(),
            reference: self.reference.clone(),
            kept: kept.map_or_else(
                || self.reference.clone(),
                |v| self.reference.with(&v.changes),
            ),
            kept_variant: kept.map(|v| v.name.to_owned()),
            tied: findings.winner.map(name_of).into_iter().collect(),
            runner_up: findings
                .runner_up
                .filter(|_| findings.winner.is_some())
                .map(name_of),
            planned_blocks: self.blocks,
            blocks: self.blocks,
            confirmation_blocks: findings.winner.map_or(0, |_| CONFIRMATION_BLOCKS),
            is_descriptive: false,
            is_race: self.is_race(planned),
            canary_p: findings.compared.get(&findings.canary).map(|c| c.p_value),
            is_trusted: true,
            detectable: Some(stats::minimum_detectable_effect(0.004, self.blocks)),
            warnings: if self.phase.name == "tiling" {
                vec![drift]
            } else {
                vec![]
            },
            criteria,
            elapsed: Nanoseconds(9.4e10),
            failure: None,
            note: None,
            platforms: vec![],
            nodes: vec![],
        }
    }
}

struct Findings {
    screen: Series,
    compared: BTreeMap<VariantId, Comparison>,
    confirmed: BTreeMap<VariantId, Comparison>,
    winner: Option<VariantId>,
    runner_up: Option<VariantId>,
    canary: VariantId,
    dropped: Vec<VariantId>,
}

fn judge(criterion: &Criterion, best: Option<&Comparison>, trials: &[Trial]) -> CriterionOutcome {
    let measured = match criterion.quantity.as_str() {
        "speedup" => best.and_then(|c| c.interval.map(|(lower, upper)| (c.speedup, lower, upper))),
        quantity => trials
            .iter()
            .find(|t| t.is_kept)
            .or(trials.first())
            .and_then(|t| t.accuracy.iter().find(|(name, _)| name == quantity))
            .map(|(_, v)| (*v, *v, *v)),
    };
    let is_least = criterion.relation == Relation::AtLeast;
    let state = match measured {
        Some((_, lower, _)) if is_least && lower >= criterion.bound => CriterionState::Met,
        Some((_, _, upper)) if is_least && upper < criterion.bound => CriterionState::Failed,
        Some((_, _, upper)) if !is_least && upper <= criterion.bound => CriterionState::Met,
        Some((_, lower, _)) if !is_least && lower > criterion.bound => CriterionState::Failed,
        _ => CriterionState::Undecided,
    };
    CriterionOutcome {
        text: criterion.text.clone(),
        state,
        measured,
    }
}

/// The cells of one purpose: block by block, each variant's minimum.
#[derive(Default)]
struct Series {
    blocks: Vec<BTreeMap<VariantId, f64>>,
}

impl Series {
    fn add(&mut self, block: &Block) {
        let cell = |c: &Cell| {
            let times = c
                .samples
                .iter()
                .filter(|s| !s.is_warm_up)
                .map(|s| s.invocation.timing.wall.0);
            Some((c.variant, times.min_by(f64::total_cmp)?))
        };
        self.blocks.push(
            block
                .cells
                .iter()
                .filter(|c| c.ending == Ending::Completed)
                .filter_map(cell)
                .collect(),
        );
    }

    fn values(&self, id: VariantId) -> Vec<f64> {
        self.blocks
            .iter()
            .filter_map(|b| b.get(&id).copied())
            .collect()
    }

    fn compare(&self, id: VariantId, alpha: f64) -> Comparison {
        let both =
            |b: &BTreeMap<VariantId, f64>| Some((*b.get(&id)?, *b.get(&VariantId::REFERENCE)?));
        let pairs: Vec<(f64, f64)> = self.blocks.iter().filter_map(both).collect();
        stats::compare(&pairs, alpha, 1.0, 1)
    }
}

const BASELINE_NS: f64 = 182e6;
const STARTED_AT: u64 = 1_795_226_400_000_000_000;

/// In place of a worker.
struct Bench {
    noise: Noise,
    /// Nanoseconds since the campaign began.
    clock: f64,
    worker: u32,
    repetitions: usize,
}

impl Bench {
    fn block(
        &mut self,
        index: u32,
        purpose: Purpose,
        live: &[(VariantId, f64)],
        ends: &BTreeMap<VariantId, (u32, Ending)>,
    ) -> Block {
        let mut order = live.to_vec();
        for i in (1..order.len()).rev() {
            order.swap(i, (self.noise.uniform() * (i + 1) as f64) as usize);
        }
        let began = self.clock;
        let layout = 1.0 + 0.004 * self.noise.normal();
        self.worker += 1;
        let mut cells = vec![];
        for (place, (variant, share)) in order.into_iter().enumerate() {
            let mut samples = vec![];
            if place == 0 {
                samples.push(self.sample(share * layout * 1.3, true));
            }
            let ending = ends
                .get(&variant)
                .filter(|(block, _)| *block == index)
                .map(|(_, ending)| ending.clone());
            if ending.is_none() {
                samples.extend((0..self.repetitions).map(|_| self.sample(share * layout, false)));
            }
            cells.push(Cell {
                variant,
                samples,
                ending: ending.unwrap_or(Ending::Completed),
            });
        }
        Block {
            index,
            purpose,
            worker: self.worker,
            elapsed: Nanoseconds(self.clock - began + 4e7),
            cells,
            conditions: Conditions {
                load: Some(0.4),
                ..Conditions::default()
            },
            place: None,
        }
    }

    fn sample(&mut self, share: f64, is_warm_up: bool) -> Sample {
        let minutes = self.clock / 6e10;
        // A machine that warms up, breathes with its neighbours, and is now and then interrupted.
        let drift = 1.0 + 0.03 * (1.0 - (-minutes / 4.0).exp()) + 0.012 * (minutes / 1.7).sin();
        let outlier = if self.noise.uniform() < 0.012 {
            1.0 + 0.5 * self.noise.uniform()
        } else {
            1.0
        };
        let wall = BASELINE_NS * share * drift * outlier * (0.008 * self.noise.normal()).exp();
        let started_at = STARTED_AT + self.clock as u64;
        self.clock += wall;
        let timing = Timing {
            wall: Nanoseconds(wall),
            device: None,
            stages: stages(wall),
        };
        Sample {
            invocation: Invocation {
                timing,
                ..Invocation::default()
            },
            started_at,
            batch: 1,
            is_warm_up,
        }
    }
}

fn stages(wall: f64) -> Vec<Nanoseconds> {
    [0.46, 0.31, 0.15, 0.06]
        .map(|share| Nanoseconds(wall * share))
        .to_vec()
}

/// SplitMix64 (Steele, Lea & Flood, OOPSLA 2014).
struct Noise(u64);

impl Noise {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Box–Muller.
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }
}

/// A point scatterer in dB, with the variant's error as speckle.
fn pictures(
    run: &Path,
    phase: &str,
    name: &str,
    nrmse: f64,
) -> Result<Vec<PictureRecord>, Box<dyn Error>> {
    const SIZE: (usize, usize) = (48, 64);
    let safe = |c: char| {
        if c.is_ascii_alphanumeric() || "-_.=".contains(c) {
            c
        } else {
            '_'
        }
    };
    let name: String = name.chars().map(safe).collect();
    let file = format!("qc/{phase}/{name}/xz_y32.npy");
    let path = run.join(&file);
    std::fs::create_dir_all(path.parent().expect("inside of the run's folder"))?;
    let mut noise = Noise(7);
    let values = ndarray::Array2::from_shape_fn(SIZE, |(row, column)| {
        let (z, x) = (row as f64 - 24.0, column as f64 - 32.0);
        let lobe = (-(z * z) / 6.0).exp()
            * if x == 0.0 {
                1.0
            } else {
                ((x / 2.0).sin() / (x / 2.0)).abs()
            };
        (20.0 * (lobe + nrmse * noise.uniform() + 1e-3).log10()) as f32
    });
    ndarray_npy::write_npy(&path, &values)?;
    Ok(vec![PictureRecord {
        file,
        title: "xz slice through the strongest scatterer".into(),
        unit: "dB".into(),
        x_label: "x (mm)".into(),
        y_label: "z (mm)".into(),
        x_range: (-10.0, 10.0),
        y_range: (20.0, 40.0),
        scale: (-60.0, 0.0),
        width: SIZE.1,
        height: SIZE.0,
    }])
}

fn text(name: &str, value: &str) -> (String, Value) {
    (name.into(), Value::Text(value.into()))
}

fn whole(name: &str, value: i64) -> (String, Value) {
    (name.into(), Value::Int(value))
}

fn variants(phase: &str) -> Vec<Planned> {
    let runs = |name, changes, time, nrmse| Planned {
        name,
        changes,
        time,
        nrmse,
        fate: Fate::Runs,
    };
    let precision =
        |name: &'static str, time, nrmse| runs(name, vec![text("precision", name)], time, nrmse);
    let fusion = |name: &'static str, time| runs(name, vec![text("fusion", name)], time, 4e-7);
    let chunk = |name, z: i64, time| runs(name, vec![whole("z_chunk", z)], time, 2e-7);
    let ended = |planned: Planned, ending| Planned {
        fate: Fate::EndsAtCheck(ending),
        ..planned
    };
    let inaccurate = |planned: Planned| Planned {
        fate: Fate::Inaccurate,
        ..planned
    };
    match phase {
        "precision" => vec![
            precision("f16_storage", 0.93, 1.6e-4),
            precision("bf16_storage", 0.935, 8.4e-4),
            precision("f16_mixed", 0.96, 3.0e-4),
            inaccurate(precision("f16_all", 0.7, 0.31)),
            inaccurate(precision("bf16_all", 0.72, f64::NAN)),
            ended(
                precision("f64", 1.9, 1e-9),
                Ending::Unsupported {
                    reason: "wgpu has no 64-bit floats on this adapter".into(),
                },
            ),
        ],
        "fusion" => vec![
            fusion("partial", 0.71),
            fusion("fused", 0.44),
            fusion("fused_store", 0.432),
            fusion("fused_factored", 0.31),
            Planned {
                fate: Fate::EndsInBlock(
                    5,
                    Ending::Crashed {
                        cause: "signal 11 (segmentation fault)".into(),
                    },
                ),
                ..fusion("fused_unchecked", 0.30)
            },
        ],
        "tiling" => vec![
            chunk("z_chunk=1", 1, 1.09),
            chunk("z_chunk=2", 2, 1.003),
            chunk("z_chunk=8", 8, 0.91),
            chunk("z_chunk=16", 16, 0.86),
            chunk("z_chunk=32", 32, 0.857),
            chunk("z_chunk=64", 64, 0.95),
            ended(
                chunk("z_chunk=128", 128, 1.0),
                Ending::OverLimit {
                    limit: "9.1 GiB of 8 GiB (peak_memory)".into(),
                },
            ),
        ],
        "prefetch" => vec![
            runs("prefetch 1", vec![whole("prefetch", 1)], 0.999, 2e-7),
            runs("prefetch 2", vec![whole("prefetch", 2)], 1.014, 2e-7),
            Planned {
                fate: Fate::EndsInBlock(
                    2,
                    Ending::TimedOut {
                        limit: Nanoseconds(6e10),
                    },
                ),
                ..runs("prefetch 64", vec![whole("prefetch", 64)], 1.4, 2e-7)
            },
            ended(
                runs("prefetch -1", vec![whole("prefetch", -1)], 1.0, 0.0),
                Ending::Failed {
                    reason: "exit status 2: prefetch must not be negative".into(),
                },
            ),
        ],
        "combined" => vec![
            runs(
                "f16_storage",
                vec![text("precision", "f16_storage")],
                0.97,
                1.6e-4,
            ),
            runs(
                "f16_storage + z_chunk=8",
                vec![text("precision", "f16_storage"), whole("z_chunk", 8)],
                1.02,
                1.6e-4,
            ),
            runs("threads 2", vec![whole("threads", 2)], 0.54, 2e-7),
            runs(
                "threads 2 + f16_storage",
                vec![whole("threads", 2), text("precision", "f16_storage")],
                0.53,
                1.6e-4,
            ),
        ],
        _ => vec![],
    }
}

fn phase(name: &str, kind: &str, title: &str, after: &[&str]) -> Phase {
    let list = variants(name);
    let named = |v: Planned| NamedVariant {
        name: v.name.into(),
        changes: v.changes,
    };
    Phase {
        name: name.into(),
        kind: kind.into(),
        title: title.into(),
        after: after.iter().map(|&a| a.to_owned()).collect(),
        question: match list.is_empty() {
            true => Question::Baseline,
            false => Question::Variants(list.into_iter().map(named).collect()),
        },
        keep: Keep::Best,
        hypothesis: None,
        criteria: vec![],
        accuracy: None,
    }
}

fn expects(speedup: Option<(f64, f64)>, because: &str) -> Option<Hypothesis> {
    Some(Hypothesis {
        speedup,
        effort: Some("low".into()),
        risk: Some("none".into()),
        because: Some(because.into()),
    })
}

fn criterion(quantity: &str, relation: Relation, bound: f64) -> Criterion {
    let sign = if relation == Relation::AtLeast {
        ">="
    } else {
        "<="
    };
    Criterion {
        text: format!("{quantity} {sign} {bound}"),
        quantity: quantity.into(),
        variant: None,
        relation,
        bound,
    }
}

fn phases() -> Vec<Phase> {
    use Relation::{AtLeast, AtMost};
    let with = |phase: Phase, hypothesis, criteria| Phase {
        hypothesis,
        criteria,
        ..phase
    };
    vec![
        phase("baseline", "baseline", "Baseline", &[]),
        with(
            phase("precision", "precision", "Smaller numbers", &["baseline"]),
            expects(Some((1.2, 1.6)), "half the bytes"),
            vec![
                criterion("speedup", AtLeast, 1.2),
                criterion("nrmse", AtMost, 1e-3),
            ],
        ),
        with(
            phase(
                "fusion",
                "fusion",
                "Fewer passes over memory",
                &["precision"],
            ),
            expects(Some((2.0, 3.0)), "intermediate arrays do not fit the cache"),
            vec![criterion("speedup", AtLeast, 2.0)],
        ),
        with(
            phase("tiling", "tiling", "Chunk size in z", &["fusion"]),
            expects(Some((1.05, 1.15)), "chunks that fit L2"),
            vec![criterion("speedup", AtLeast, 1.17)],
        ),
        with(
            phase("prefetch", "prefetch", "Prefetch distance", &["tiling"]),
            expects(Some((1.02, 1.05)), "hides latency of the gather"),
            vec![criterion("speedup", AtLeast, 1.01)],
        ),
        with(
            phase(
                "combined",
                "combined",
                "The best of each together",
                &["prefetch"],
            ),
            expects(None, "gains multiply"),
            vec![],
        ),
    ]
}

fn header() -> Header {
    let texts = |list: &[&str]| list.iter().map(|&v| Value::Text(v.into())).collect();
    let wholes = |list: &[i64]| list.iter().map(|&v| Value::Int(v)).collect();
    let parameter = |name: &str, values| Parameter {
        name: name.into(),
        values,
    };
    let problem = vec![text("preset", "laptop"), whole("seed", 1)];
    let plan = Plan {
        name: "synthetic".into(),
        title: "Volumetric beamformer, made up".into(),
        workload: WorkloadChoice::Builtin {
            name: "beamform3d".into(),
        },
        objective: Objective::Runtime,
        accuracy: Accuracy {
            against: Against::Exact,
            limits: vec![("nrmse".into(), 1e-3)],
        },
        limits: Limits {
            peak_memory: Some(Bytes(8 << 30)),
        },
        protocol: Protocol {
            warm_up: WarmUp::Auto,
            min_blocks: 10,
            max_blocks: 200,
            precision: 0.01,
            confidence: 0.95,
            equivalence: 0.01,
            time_limit: Nanoseconds(6e11),
            trial_timeout: Nanoseconds(6e10),
            repetitions: None,
            cache: Cache::Warm,
            seed: 1,
        },
        baseline: Configuration::new(vec![
            text("precision", "f32"),
            text("fusion", "staged"),
            whole("z_chunk", 4),
            whole("prefetch", 0),
            whole("threads", 1),
        ]),
        phases: phases(),
        cases: vec![Case {
            name: String::new(),
            device: DeviceChoice::Cpu,
            problem,
        }],
        on: None,
    };
    Header {
        format: 1,
        run_id: String::new(),
        plan,
        plan_text: "name: synthetic\ntitle: Volumetric beamformer, made up\nworkload: {builtin: beamform3d}\n".into(),
        plan_path: "experiments/synthetic.yaml".into(),
        command_line: vec!["phasetune".into(), "run".into(), "experiments/synthetic.yaml".into()],
        declaration: Declaration {
            name: "beamform3d".into(),
            parameters: vec![
                parameter("precision", texts(&["f32", "f16_storage", "bf16_storage", "f16_mixed", "f16_all", "bf16_all", "f64"])),
                parameter("fusion", texts(&["staged", "partial", "fused", "fused_store", "fused_factored", "fused_unchecked"])),
                parameter("z_chunk", wholes(&[4, 1, 2, 8, 16, 32, 64, 128])),
                parameter("prefetch", wholes(&[0, 1, 2, 64, -1])),
                parameter("threads", wholes(&[1, 2])),
            ],
            stages: STAGES.map(str::to_owned).to_vec(),
            has_exact: true,
            ..Declaration::default()
        },
        environment: environment(),
        calibration: Some(Calibration {
            fingerprint: "made-up | 2 cores".into(),
            at: "2026-11-21T01:40:00Z".into(),
            blocks: 40,
            half_width: 0.004,
            detectable: [8, 12, 16, 20, 30, 40].map(|n| (n, stats::minimum_detectable_effect(0.004, n))).to_vec(),
            repetitions: 3,
            lag1: 0.11,
            position_p: 0.42,
            warnings: vec![],
        }),
        ceilings: vec![Ceilings { device: "cpu".into(), flops: 1.42e11, bandwidth: 1.9e10 }],
    }
}

/// Of no machine: the records must not depend on where they are made.
fn environment() -> Environment {
    Environment {
        started_at: "2026-11-21T02:00:00Z".into(),
        host: "made-up".into(),
        os: "Debian GNU/Linux 13 (trixie)".into(),
        kernel: "6.12.0".into(),
        cpu: "A Processor at 2.60GHz".into(),
        cores: 2,
        caches: vec![
            ("L1d".into(), 48 << 10),
            ("L2".into(), 2 << 20),
            ("L3".into(), 48 << 20),
        ],
        memory: Bytes(16 << 30),
        governor: None,
        features: ["avx2", "fma", "f16c", "avx512f"]
            .map(str::to_owned)
            .to_vec(),
        devices: vec!["cpu".into()],
        toolchain: None,
        tool_version: "0.1.0".into(),
        load_average: Some(0.4),
        git: Some(Git {
            commit: "1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d".into(),
            branch: Some("main".into()),
            is_dirty: true,
            diff_hash: Some(
                "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".into(),
            ),
        }),
        imported: None,
    }
}
