//! The order of phases: which comes after which, cycles, and parents that may keep different values of one parameter.
use super::{Keep, Phase, Plan, Question};
use std::collections::{BTreeMap, BTreeSet};

impl Phase {
    /// Phases that this one builds on: `after`, and what it combines.
    pub fn parents(&self) -> Vec<&str> {
        let mut all: Vec<&str> = self.after.iter().map(String::as_str).collect();
        if let Question::Combine(names) = &self.question {
            all.extend(names.iter().map(String::as_str));
        }
        all
    }
}

impl Plan {
    /// The phase that hands on the final configuration: the last `combine`, else the last of the plan; of those that keep
    /// something. Configurations of several ends of the graph are never merged, since nobody measured them together.
    pub fn last_phase(&self) -> Option<&Phase> {
        let keeps = |phase: &&Phase| phase.keep == Keep::Best;
        let combine = |phase: &&Phase| matches!(phase.question, Question::Combine(_));
        let last = self.phases.iter().filter(keeps).rfind(combine);
        last.or_else(|| self.phases.iter().rfind(keeps))
    }
}

/// Indices in an order in which parents come first and which otherwise is the plan's; or a cycle, as names.
pub(super) fn order(phases: &[Phase]) -> Result<Vec<usize>, Vec<String>> {
    let index: BTreeMap<&str, usize> = phases
        .iter()
        .enumerate()
        .map(|(i, p)| (p.name.as_str(), i))
        .collect();
    let mut done = vec![];
    let mut placed = BTreeSet::new();
    while done.len() < phases.len() {
        let ready = (0..phases.len()).find(|&i| {
            !placed.contains(&i)
                && phases[i]
                    .parents()
                    .iter()
                    .all(|p| index.get(p).is_none_or(|j| placed.contains(j)))
        });
        match ready {
            Some(i) => {
                placed.insert(i);
                done.push(i);
            }
            None => return Err(cycle(phases, &index, &placed)),
        }
    }
    Ok(done)
}

/// Every phase that is left has a parent that is left: walking up must come round.
fn cycle(phases: &[Phase], index: &BTreeMap<&str, usize>, placed: &BTreeSet<usize>) -> Vec<String> {
    let mut path: Vec<usize> = (0..phases.len())
        .find(|i| !placed.contains(i))
        .into_iter()
        .collect();
    while let Some(&last) = path.last() {
        let next = phases[last]
            .parents()
            .into_iter()
            .filter_map(|p| index.get(p))
            .find(|i| !placed.contains(i));
        let Some(&next) = next else { break };
        if let Some(start) = path.iter().position(|&i| i == next) {
            let mut names: Vec<String> = path[start..]
                .iter()
                .map(|&i| phases[i].name.clone())
                .collect();
            names.reverse();
            names.insert(0, phases[next].name.clone());
            names.dedup();
            if names.len() == 1 || names.first() != names.last() {
                names.push(names[0].clone());
            }
            return names;
        }
        path.push(next);
    }
    vec![]
}

/// Parameters that a phase, or one that it builds on, may have changed.
pub(super) fn touched(phases: &[Phase], name: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut left = vec![name.to_owned()];
    let mut seen = BTreeSet::new();
    while let Some(name) = left.pop() {
        if !seen.insert(name.clone()) {
            continue;
        }
        let Some(phase) = phases.iter().find(|p| p.name == name) else {
            continue;
        };
        for parameter in varied(phase) {
            found.entry(parameter).or_default().insert(name.clone());
        }
        left.extend(phase.parents().into_iter().map(str::to_owned));
    }
    found
}

/// Parameters that a phase's own question varies.
pub(super) fn varied(phase: &Phase) -> BTreeSet<String> {
    if phase.keep == super::Keep::None {
        return BTreeSet::new();
    }
    match &phase.question {
        Question::Baseline | Question::Combine(_) => BTreeSet::new(),
        Question::Variants(variants) => variants
            .iter()
            .flat_map(|v| v.changes.iter().map(|(name, _)| name.clone()))
            .collect(),
        Question::Sweep(parameters) => parameters.iter().map(|p| p.name.clone()).collect(),
        Question::Search(search) => search.parameters.iter().map(|p| p.name.clone()).collect(),
    }
}
