//! What a phase compares: its reference, from what earlier phases kept, and its variants.
use super::Error;
use crate::plan::{Phase, Plan, Question, Search, sweep_variants};
use crate::record::PhaseOutcome;
use crate::search;
use crate::search::StrategyEntry;
use crate::space::{Configuration, ConfigurationId, Restriction, Space};
use crate::value::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One configuration of a phase under its name. Index 0 of a list is the reference.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Candidate {
    pub(super) name: String,
    pub(super) configuration: Configuration,
    pub(super) is_canary: bool,
}

/// A phase's candidates, the reference first, and what is to be said about how they came about.
#[derive(Debug)]
pub(super) struct Candidates {
    pub(super) list: Vec<Candidate>,
    pub(super) note: Option<String>,
}

/// The configuration that the phase's variants are compared with.
pub(super) fn reference(
    plan: &Plan,
    phase: &Phase,
    ended: &BTreeMap<String, PhaseOutcome>,
) -> Result<Configuration, Error> {
    let combined: &[String] = match &phase.question {
        Question::Combine(names) => names,
        _ => &[],
    };
    let mut kept: Vec<(String, Value, &str)> = vec![];
    for name in phase.after.iter().filter(|name| !combined.contains(name)) {
        let Some(outcome) = ended.get(name) else {
            continue;
        };
        for (parameter, value) in outcome.kept.changes_from(&plan.baseline) {
            match kept.iter().find(|(p, _, _)| *p == parameter) {
                Some((_, other, from)) if *other != value => {
                    return Err(Error::Plan(format!(
                        "phase `{}`: `{from}` kept {parameter} = {other} and `{name}` kept {parameter} = {value}; \
                         `combine: [{from}, {name}]` measures which is better together",
                        phase.name
                    )));
                }
                Some(_) => {}
                None => kept.push((parameter, value, name)),
            }
        }
    }
    let changes: Vec<_> = kept.into_iter().map(|(p, v, _)| (p, v)).collect();
    Ok(plan.baseline.with(&changes))
}

/// Everything the phase compares. A variant that equals the reference is left out and named.
pub(super) fn candidates(
    plan: &Plan,
    phase: &Phase,
    reference: &Configuration,
    ended: &BTreeMap<String, PhaseOutcome>,
) -> Result<Candidates, Error> {
    let mut note = None;
    let named: Vec<(String, Configuration)> = match &phase.question {
        Question::Baseline => vec![],
        Question::Variants(variants) => variants
            .iter()
            .map(|v| (v.name.clone(), reference.with(&v.changes)))
            .collect(),
        Question::Sweep(parameters) => sweep_variants(parameters)
            .into_iter()
            .map(|v| (v.name, reference.with(&v.changes)))
            .collect(),
        Question::Search(_) => match Seeking::of(phase)? {
            Some(seeking) if !seeking.entry.learns => {
                let (named, how) = seeking.all(plan, reference);
                note = Some(how);
                named
            }
            // It is asked again and again, between measurements.
            _ => vec![],
        },
        Question::Combine(names) => combined(names, reference, ended),
    };
    let mut list = vec![Candidate {
        name: "reference".into(),
        configuration: reference.clone(),
        is_canary: false,
    }];
    let mut same = vec![];
    let is_search = matches!(phase.question, Question::Search(_) | Question::Sweep(_));
    for (name, configuration) in named {
        // A product has no configuration twice.
        let known = if is_search { &list[..1] } else { &list[..] };
        match known.iter().find(|c| c.configuration == configuration) {
            Some(twin) => same.push(format!("{name} is the same as {}", twin.name)),
            None => list.push(Candidate {
                name,
                configuration,
                is_canary: false,
            }),
        }
    }
    if !same.is_empty() && !is_search {
        note = Some(same.join("; "));
    }
    if matches!(phase.question, Question::Combine(_)) && list.len() == 1 {
        note = Some("the combined phases kept nothing, so there is nothing to combine".into());
    }
    Ok(Candidates { list, note })
}

/// A search: what it may ask for, and who asks.
#[derive(Debug)]
pub(super) struct Seeking<'p> {
    pub(super) search: &'p Search,
    pub(super) space: Arc<Space>,
    pub(super) entry: &'static StrategyEntry,
}

impl<'p> Seeking<'p> {
    /// Absent where the phase is no search.
    ///
    /// # Errors
    /// When its restrictions are wrong.
    pub(super) fn of(phase: &'p Phase) -> Result<Option<Seeking<'p>>, Error> {
        let Question::Search(search) = &phase.question else {
            return Ok(None);
        };
        let wrong = |what: String| Error::Plan(format!("phase `{}`: {what}", phase.name));
        let restrictions = search
            .restrictions
            .iter()
            .map(|text| Restriction::parse(text, &search.parameters).map_err(|e| wrong(e.message)))
            .collect::<Result<Vec<_>, _>>()?;
        let space = Space::new(search.parameters.clone(), restrictions)
            .map_err(|e| wrong(e.to_string()))?;
        let entry = search::find(&search.strategy, &space, search.evaluations)
            .ok_or_else(|| wrong(format!("unknown strategy `{}`", search.strategy)))?;
        if !entry.learns && space.count().is_none() && search.evaluations.is_none() {
            return Err(wrong(
                "the space is too large to list: give the search a budget".into(),
            ));
        }
        Ok(Some(Seeking {
            search,
            space: Arc::new(space),
            entry,
        }))
    }

    /// Evaluations at most.
    pub(super) fn budget(&self) -> usize {
        let asked = self.search.evaluations.map_or(usize::MAX, |n| n as usize);
        self.space.count().map_or(asked, |n| asked.min(n as usize))
    }

    pub(super) fn candidate(&self, id: ConfigurationId, reference: &Configuration) -> Candidate {
        let changes = self.space.configuration(id);
        Candidate {
            name: name_of(changes.values()),
            configuration: reference.with(changes.values()),
            is_canary: false,
        }
    }

    /// All at once, of a strategy that learns nothing, and how they came about.
    fn all(
        &self,
        plan: &Plan,
        reference: &Configuration,
    ) -> (Vec<(String, Configuration)>, String) {
        let budget = self.budget();
        let mut strategy = (self.entry.build)(self.space.clone(), plan.protocol.seed, Some(budget));
        let named = (strategy.ask(budget).into_iter())
            .map(|id| {
                let candidate = self.candidate(id, reference);
                (candidate.name, candidate.configuration)
            })
            .collect::<Vec<_>>();
        let how = self.told(named.len());
        (named, how)
    }

    /// In the report: who asked, for how many.
    pub(super) fn told(&self, tried: usize) -> String {
        let all = match self.space.count() {
            Some(n) => format!("{n} configurations that satisfy the restrictions"),
            None => "uncounted configurations".into(),
        };
        format!("strategy {}: {tried} of {all}", self.entry.name)
    }
}

/// The factorial of what the phases kept, so that interactions show. Combinations that would need two values of one
/// parameter do not exist.
fn combined(
    names: &[String],
    reference: &Configuration,
    ended: &BTreeMap<String, PhaseOutcome>,
) -> Vec<(String, Configuration)> {
    let kept: Vec<(&str, Vec<(String, Value)>)> = names
        .iter()
        .filter_map(|name| {
            let outcome = ended.get(name)?;
            let changes = outcome.kept.changes_from(&outcome.reference);
            (!changes.is_empty()).then_some((name.as_str(), changes))
        })
        .collect();
    let mut all = vec![];
    for subset in 1..1_u32 << kept.len() {
        let members: Vec<_> = kept
            .iter()
            .enumerate()
            .filter(|(i, _)| subset >> i & 1 == 1)
            .map(|(_, k)| k)
            .collect();
        let changes: Vec<(String, Value)> = members
            .iter()
            .flat_map(|(_, changes)| changes.iter().cloned())
            .collect();
        let clashes = changes
            .iter()
            .any(|(p, v)| changes.iter().any(|(q, w)| p == q && v != w));
        if !clashes {
            let name = members
                .iter()
                .map(|(name, _)| *name)
                .collect::<Vec<_>>()
                .join(" + ");
            all.push((name, reference.with(&changes)));
        }
    }
    all
}

/// `tile=64, threads=2`.
fn name_of(values: &[(String, Value)]) -> String {
    values
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect::<Vec<_>>()
        .join(", ")
}
