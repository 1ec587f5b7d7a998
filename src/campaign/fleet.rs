//! The nodes of a cluster that a case's blocks came from. Times of two nodes are never set against each other, only ratios within a
//! block; and ratios of two classes of hardware are two answers. So one platform decides, the others get verdicts of their own, and
//! a node on which the reference differs from its clone is left out.
use super::comparing::{Series, TICK};
use super::deciding::CANARY_ALPHA;
use crate::plan::Plan;
use crate::record::{NodeOutcome, PlatformOutcome, PlatformVerdict};
use crate::stats::{self, Schedule};
use crate::trial::{Block, Place, Purpose, VariantId, Verdict};
use std::collections::{BTreeMap, BTreeSet};

/// Empty on the campaign's own machine, where blocks have no place.
#[derive(Debug, Default)]
pub(super) struct Fleet {
    /// Checks and blocks of each platform, in the order in which these were first seen.
    platforms: Vec<(String, u32)>,
    /// The canary with the reference in each node's blocks, over all phases: one phase gives a node only a few.
    canaries: BTreeMap<String, Vec<(f64, f64)>>,
    left_out: BTreeSet<String>,
}

impl Fleet {
    pub(super) fn saw(&mut self, place: Option<&Place>) {
        let Some(place) = place else { return };
        match self
            .platforms
            .iter_mut()
            .find(|(p, _)| *p == place.platform)
        {
            Some((_, count)) => *count += 1,
            None => self.platforms.push((place.platform.clone(), 1)),
        }
    }

    /// The platform that decides: the one that has given most so far, of equals the first.
    pub(super) fn home(&self) -> Option<String> {
        let most = self.platforms.iter().map(|(_, count)| count).max()?;
        let first = self.platforms.iter().find(|(_, count)| count == most);
        first.map(|(name, _)| name.clone())
    }

    /// Whether the block belongs into a series of this home.
    pub(super) fn counts(&self, block: &Block, home: Option<&str>) -> bool {
        let Some(place) = &block.place else {
            return true;
        };
        home.is_none_or(|home| home == place.platform) && !self.left_out.contains(&place.node)
    }

    pub(super) fn left_out(&self) -> &BTreeSet<String> {
        &self.left_out
    }

    /// Looks at each node's canary once more. Returns the nodes that are left out from now on, with their p.
    pub(super) fn judge(
        &mut self,
        blocks: &[Block],
        canary: VariantId,
        plan: &Plan,
    ) -> Vec<(String, f64)> {
        for (node, series) in by_node(blocks, plan) {
            let pairs = series.pairs(canary, VariantId::REFERENCE);
            self.canaries.entry(node).or_default().extend(pairs);
        }
        // So that all nodes together are wronged no more often than a phase is.
        let alpha = CANARY_ALPHA / self.canaries.len().max(1) as f64;
        let mut failed = vec![];
        for (node, pairs) in &self.canaries {
            let p = stats::compare(pairs, alpha, TICK, plan.protocol.seed).p_value;
            if p < alpha && !self.left_out.contains(node) {
                failed.push((node.clone(), p));
            }
        }
        self.left_out
            .extend(failed.iter().map(|(node, _)| node.clone()));
        failed
    }

    /// What each platform said of the rivals, by its own blocks of the screening: the one that decided first.
    pub(super) fn platforms(
        &self,
        blocks: &[Block],
        rivals: &[VariantId],
        home: Option<&str>,
        plan: &Plan,
    ) -> Vec<PlatformOutcome> {
        let mut names: Vec<&str> = home.into_iter().collect();
        for place in blocks.iter().filter_map(|block| block.place.as_ref()) {
            if !names.contains(&place.platform.as_str()) {
                names.push(&place.platform);
            }
        }
        let outcome = |name: &str| {
            let of_it = |block: &&Block| self.counts(block, Some(name));
            let screen = blocks.iter().filter(|b| b.purpose == Purpose::Screen);
            let series = Series::of(screen.filter(of_it), plan);
            let alpha = 1.0 - plan.protocol.confidence;
            let schedule = Schedule::new(series.blocks.max(1), alpha / rivals.len().max(1) as f64);
            let pairs: Vec<_> = (rivals.iter())
                .map(|&v| series.pairs(v, VariantId::REFERENCE))
                .collect();
            let equivalence = plan.protocol.equivalence;
            let concluded = stats::conclude(&pairs, &schedule, alpha, equivalence, TICK);
            let verdicts = rivals
                .iter()
                .zip(concluded)
                .filter(|(_, (c, _))| c.blocks > 0);
            PlatformOutcome {
                name: name.to_owned(),
                blocks: series.blocks,
                variants: verdicts
                    .map(|(&variant, (comparison, verdict))| PlatformVerdict {
                        variant,
                        comparison,
                        verdict: match schedule.is_descriptive {
                            true => Verdict::Inconclusive,
                            false => verdict,
                        },
                    })
                    .collect(),
            }
        };
        names.into_iter().map(outcome).collect()
    }

    /// What each node gave in a phase, and under which conditions.
    pub(super) fn nodes(
        &self,
        blocks: &[Block],
        rivals: &[VariantId],
        canary: Option<VariantId>,
        plan: &Plan,
    ) -> Vec<NodeOutcome> {
        let of_node = |(node, series): (String, Series)| {
            let here: Vec<&Block> = blocks
                .iter()
                .filter(|b| node_of(b) == Some(&node))
                .collect();
            let place = here
                .first()
                .and_then(|b| b.place.clone())
                .unwrap_or_default();
            let median =
                |values: Vec<f64>| (!values.is_empty()).then(|| stats::quartiles(&values).1);
            let clocks = here.iter().filter_map(|b| b.conditions.megahertz);
            let gpu_clocks = here.iter().filter_map(|b| b.conditions.gpu?.megahertz);
            let ratio = |&v: &VariantId| {
                let pairs = series.pairs(v, VariantId::REFERENCE);
                (!pairs.is_empty()).then(|| (v, stats::compare(&pairs, 0.05, TICK, 0).speedup))
            };
            let canary = canary.and_then(|canary| {
                let known = self.canaries.get(&node).filter(|pairs| !pairs.is_empty());
                let pairs = known
                    .cloned()
                    .unwrap_or_else(|| series.pairs(canary, VariantId::REFERENCE));
                let comparison = stats::compare(&pairs, 0.05, TICK, plan.protocol.seed);
                (comparison.blocks > 0).then_some(comparison.p_value)
            });
            NodeOutcome {
                platform: place.platform,
                blocks: here.len() as u32,
                cpus: place.cpus,
                memory_nodes: place.memory_nodes,
                megahertz: median(clocks.collect()),
                gpu_megahertz: median(gpu_clocks.collect()),
                canary_p: canary,
                is_left_out: self.left_out.contains(&node),
                speedups: rivals.iter().filter_map(ratio).collect(),
                node,
            }
        };
        by_node(blocks, plan).into_iter().map(of_node).collect()
    }
}

fn node_of(block: &Block) -> Option<&String> {
    block.place.as_ref().map(|place| &place.node)
}

/// The screening's blocks of each node; empty for one that gave only others.
fn by_node(blocks: &[Block], plan: &Plan) -> BTreeMap<String, Series> {
    let nodes: BTreeSet<&String> = blocks.iter().filter_map(node_of).collect();
    let of = |node: &String| {
        let here = blocks.iter().filter(|b| node_of(b) == Some(node));
        Series::of(here.filter(|b| b.purpose == Purpose::Screen), plan)
    };
    nodes
        .into_iter()
        .map(|node| (node.clone(), of(node)))
        .collect()
}

#[cfg(test)]
mod tests;
