//! What a phase will take at most, before anything is measured: for `check`. It stands here because it follows from how `phase`
//! and `comparing` go about it.
use super::Error;
use super::comparing::RACE_ABOVE;
use super::deciding::{CONFIRMATION_BLOCKS, most_screening_blocks};
use super::phase::CANARY_FROM;
use super::searching::BLOCKS as SEARCH_BLOCKS;
use super::variants::Seeking;
use crate::plan::{Phase, Plan, Question};
use crate::stats::{self, RACE_LOOKS, Schedule};

/// Blocks that confirm the final configuration against the baseline, after the last phase.
pub const FINAL_BLOCKS: u32 = CONFIRMATION_BLOCKS;

/// A phase in numbers, each the most that it can come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forecast {
    pub variants: usize,
    /// Of a search: who asks.
    pub strategy: Option<&'static str>,
    /// Of a search: all configurations that satisfy its restrictions, where they can be counted.
    pub valid: Option<u64>,
    /// Variants that are compared at once, after a race where there is one.
    pub family: usize,
    pub has_canary: bool,
    pub is_race: bool,
    /// The first look at which so many blocks can decide against chance; absent where none can.
    pub first_decision: Option<u32>,
    /// Too few blocks to claim anything.
    pub is_descriptive: bool,
    /// Race, comparison and confirmation.
    pub most_blocks: u32,
}

/// # Errors
/// When a search's restrictions are wrong.
pub fn forecast(plan: &Plan, phase: &Phase) -> Result<Forecast, Error> {
    let product = |all: &[crate::space::Parameter]| all.iter().map(|p| p.values.len()).product();
    let seeking = Seeking::of(phase)?;
    let variants = match &phase.question {
        Question::Baseline => 0,
        Question::Variants(all) => all.len(),
        Question::Sweep(parameters) => product(parameters),
        Question::Search(_) => seeking.as_ref().map_or(0, Seeking::budget),
        Question::Combine(names) => (1 << names.len()) - 1,
    };
    let is_baseline = phase.question == Question::Baseline;
    let protocol = &plan.protocol;
    let is_learned = seeking.as_ref().is_some_and(|s| s.entry.learns);
    let is_race = variants > RACE_ABOVE || is_learned;
    let family = variants.min(RACE_ABOVE);
    let screening = most_screening_blocks(protocol, &phase.question);
    let alpha = (1.0 - protocol.confidence) / family.max(1) as f64;
    let schedule = Schedule::new(screening, alpha);
    let decides = |look: &&(u32, f64)| stats::least_p(look.0) <= look.1;
    let first = schedule.looks.iter().find(decides);
    let race = match is_learned {
        true => SEARCH_BLOCKS.saturating_mul(u32::try_from(variants).unwrap_or(u32::MAX)),
        false => RACE_LOOKS[RACE_LOOKS.len() - 1].min(protocol.max_blocks),
    };
    let confirmation = CONFIRMATION_BLOCKS.max(protocol.min_blocks);
    Ok(Forecast {
        variants,
        strategy: seeking.as_ref().map(|s| s.entry.name),
        valid: seeking.and_then(|s| s.space.count()),
        family,
        has_canary: is_baseline || variants >= CANARY_FROM,
        is_race,
        first_decision: first
            .filter(|_| !is_baseline && !schedule.is_descriptive)
            .map(|(blocks, _)| *blocks),
        is_descriptive: schedule.is_descriptive,
        most_blocks: (screening + if is_baseline { 0 } else { confirmation })
            .saturating_add(if is_race { race } else { 0 }),
    })
}
