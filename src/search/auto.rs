//! The default: tries everything where the budget allows it, and searches by a model where it does not.
use super::{StrategyEntry, bayesian, exhaustive};
use crate::space::Space;

pub(super) const ENTRY: StrategyEntry = StrategyEntry {
    name: "auto",
    about: "everything where the budget allows it, else what a model promises most of",
    learns: true,
    refines: false,
    build: |space, seed, budget| (choose(&space, budget).build)(space, seed, budget),
};

/// So many configurations are tried whole where no budget is given.
const FEW: u64 = 64;

/// What `auto` stands for.
pub(super) fn choose(space: &Space, budget: Option<usize>) -> &'static StrategyEntry {
    let affordable = budget.map_or(FEW, |n| n as u64);
    match space.count() {
        Some(count) if count <= affordable => &exhaustive::ENTRY,
        _ => &bayesian::ENTRY,
    }
}
