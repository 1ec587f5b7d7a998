//! Measurements outside of a plan's phases: the calibration of this machine, and two configurations side by side. Nothing of
//! them enters a run's records.
use super::comparing::{TICK, seed_of};
use super::{Error, Event, Observer, load_order};
use crate::measure::{BlockOrder, CellOrder};
use crate::plan::{Case, Objective, Plan};
use crate::record::{Calibration, objective};
use crate::space::Configuration;
use crate::stats::{self, Comparison, Observed};
use crate::trial::{Block, Ending, Purpose, VariantId};
use crate::value::Nanoseconds;
use crate::worker::{Child, Runner};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Blocks of a calibration, and samples a cell of which the best number is chosen.
const CALIBRATION_BLOCKS: u32 = 40;
const MOST_REPETITIONS: usize = 5;

/// Measures the plan's baseline against its clone: what can this machine resolve today?
///
/// # Errors
/// When the baseline does not run, or the user interrupts.
pub fn calibrate(
    plan: &Plan,
    fingerprint: String,
    at: String,
    program: PathBuf,
    interrupted: Arc<AtomicBool>,
    observer: &mut dyn Observer,
) -> Result<Calibration, Error> {
    let case = &plan.cases[0];
    let pair = [plan.baseline.clone(), plan.baseline.clone()];
    let scratch =
        tempfile::tempdir().map_err(|e| Error::Worker(format!("no scratch folder: {e}")))?;
    let mut runner = child(plan, case, scratch.path(), program, interrupted);
    let blocks = side_by_side(
        plan,
        &pair,
        CALIBRATION_BLOCKS,
        MOST_REPETITIONS as u32,
        &mut runner,
        observer,
    )?;
    let observed = observe(&blocks, plan, MOST_REPETITIONS);
    // The number of samples a cell that gives the narrowest interval for its time: width² × samples is what a decision costs.
    let chosen = [1, 3, 5]
        .into_iter()
        .filter_map(|r| {
            let width = half_width(&pairs(&blocks, plan, r))?;
            Some((r, width, width * width * r as f64))
        })
        .min_by(|a, b| a.2.total_cmp(&b.2));
    let Some((repetitions, half_width, _)) = chosen else {
        return Err(Error::Worker(
            "too few blocks completed to calibrate anything".into(),
        ));
    };
    let difference: Vec<f64> = pairs(&blocks, plan, repetitions)
        .iter()
        .map(|(a, b)| (a / b).ln())
        .collect();
    let positions: Vec<(f64, f64)> = observed
        .chunks_exact(2)
        .map(|two| {
            if two[0].position == 0 {
                (two[0].value, two[1].value)
            } else {
                (two[1].value, two[0].value)
            }
        })
        .collect();
    let conditions: Vec<_> = blocks.iter().map(|block| block.conditions).collect();
    let mut warnings = stats::diagnose(&observed);
    warnings.extend(stats::disturbances(&conditions));
    Ok(Calibration {
        fingerprint,
        at,
        blocks: blocks.len() as u32,
        half_width,
        detectable: [8, 12, 16, 20, 30, 40]
            .into_iter()
            .map(|n| (n, stats::minimum_detectable_effect(half_width, n)))
            .collect(),
        repetitions: repetitions as u32,
        lag1: lag1(&difference),
        position_p: stats::compare(&positions, 0.05, TICK, plan.protocol.seed).p_value,
        warnings,
    })
}

/// The second configuration against the first inside the same blocks, with a fixed number of them.
///
/// # Errors
/// When one of them does not run, or the user interrupts.
pub fn compare(
    plan: &Plan,
    case: &Case,
    configurations: &[Configuration; 2],
    blocks: u32,
    program: PathBuf,
    interrupted: Arc<AtomicBool>,
    observer: &mut dyn Observer,
) -> Result<Comparison, Error> {
    let scratch =
        tempfile::tempdir().map_err(|e| Error::Worker(format!("no scratch folder: {e}")))?;
    let mut runner = child(plan, case, scratch.path(), program, interrupted);
    let repetitions = plan.protocol.repetitions.unwrap_or(3);
    let measured = side_by_side(
        plan,
        configurations,
        blocks,
        repetitions,
        &mut runner,
        observer,
    )?;
    let pairs = pairs(&measured, plan, repetitions as usize);
    let alpha = 1.0 - plan.protocol.confidence;
    Ok(stats::compare(&pairs, alpha, TICK, plan.protocol.seed))
}

fn child(
    plan: &Plan,
    case: &Case,
    scratch: &Path,
    program: PathBuf,
    interrupted: Arc<AtomicBool>,
) -> Child {
    Child::new(
        program,
        load_order(plan, case, scratch.to_owned()),
        interrupted,
        None,
    )
}

fn side_by_side(
    plan: &Plan,
    configurations: &[Configuration; 2],
    blocks: u32,
    repetitions: u32,
    runner: &mut dyn Runner,
    observer: &mut dyn Observer,
) -> Result<Vec<Block>, Error> {
    let mut measured: Vec<Block> = vec![];
    let mut elapsed = Nanoseconds(0.0);
    for index in 0..blocks {
        let mut variants = [0, 1];
        let seed = seed_of(plan.protocol.seed, &format!("side by side/{index}"));
        variants.shuffle(&mut StdRng::seed_from_u64(seed));
        let cells = variants
            .into_iter()
            .map(|i| CellOrder {
                variant: VariantId(i as u32),
                name: ["first", "second"][i].into(),
                configuration: configurations[i].clone(),
            })
            .collect();
        let order = BlockOrder {
            index,
            purpose: Purpose::Calibrate,
            seed,
            cells,
            repetitions,
            warm_up: plan.protocol.warm_up,
            warm_up_limit: Nanoseconds(5e9),
            counts_memory: plan.objective == Objective::PeakMemory,
            counts_energy: plan.objective == Objective::Energy,
            cache: plan.protocol.cache,
            blocks_per_worker: (blocks / 5).max(1),
        };
        let block = runner.block(&order)?;
        if let Some(cell) = block
            .cells
            .iter()
            .find(|cell| cell.ending != Ending::Completed)
        {
            return Err(Error::Workload(format!(
                "it does not run: {}",
                cell.ending.sentence()
            )));
        }
        elapsed.0 += block.elapsed.0;
        let left = elapsed.0 / f64::from(index + 1) * f64::from(blocks - index - 1);
        observer.event(&Event::BlockFinished {
            phase: "side by side",
            purpose: Purpose::Calibrate,
            done: index + 1,
            planned: blocks,
            live: 2,
            elapsed,
            remaining: Nanoseconds(left),
            best: None,
        });
        measured.push(block);
    }
    Ok(measured)
}

/// Minimum over the first `r` samples of a variant's cell.
fn value(block: &Block, variant: u32, plan: &Plan, r: usize) -> Option<f64> {
    let cell = block.cells.iter().find(|cell| cell.variant.0 == variant)?;
    cell.samples
        .iter()
        .filter(|sample| !sample.is_warm_up)
        .take(r)
        .filter_map(|sample| objective(sample, plan))
        .min_by(f64::total_cmp)
}

/// (second configuration, first), one pair a block.
fn pairs(blocks: &[Block], plan: &Plan, r: usize) -> Vec<(f64, f64)> {
    let both = |block| Some((value(block, 1, plan, r)?, value(block, 0, plan, r)?));
    blocks.iter().filter_map(both).collect()
}

/// Two entries a block, in order of variant.
fn observe(blocks: &[Block], plan: &Plan, r: usize) -> Vec<Observed> {
    let mut all = vec![];
    for block in blocks {
        let place = |v: u32| block.cells.iter().position(|cell| cell.variant.0 == v);
        for variant in [0, 1] {
            if let (Some(position), Some(value)) = (place(variant), value(block, variant, plan, r))
            {
                let position = position as u32;
                let predecessor = (position > 0).then_some(1 - variant);
                all.push(Observed {
                    block: block.index,
                    position,
                    variant,
                    predecessor,
                    value,
                });
            }
        }
    }
    all
}

fn half_width(pairs: &[(f64, f64)]) -> Option<f64> {
    let (lower, upper) = stats::compare(pairs, 0.05, TICK, 1).interval?;
    Some((upper / lower).ln() / 2.0)
}

/// Correlation of a series with itself one step later.
fn lag1(d: &[f64]) -> f64 {
    let mean = d.iter().sum::<f64>() / d.len().max(1) as f64;
    let product: f64 = d.windows(2).map(|w| (w[0] - mean) * (w[1] - mean)).sum();
    let square: f64 = d.iter().map(|x| (x - mean) * (x - mean)).sum();
    if square > 0.0 { product / square } else { 0.0 }
}
