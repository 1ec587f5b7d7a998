//! `check` and `devices`: what can be said without running anything.
use super::args::Common;
use super::{Failure, load, plain, say};
use crate::plan::{Phase, Plan, Question};
use crate::space::{Restriction, Space};
use crate::stats::Schedule;
use std::path::Path;
use std::process::ExitCode;

pub(super) fn check(path: &Path, common: &Common) -> Result<ExitCode, Failure> {
    let loaded = load(path, common)?;
    let plan = &loaded.parsed.plan;
    let mut lines = vec![format!("{}: {} ({})", loaded.path, plan.title, plan.name)];
    if plan.cases.len() > 1 {
        let names: Vec<&str> = plan.cases.iter().map(|c| c.name.as_str()).collect();
        lines.push(format!(
            "repeated over {} cases: {}",
            names.len(),
            names.join("; ")
        ));
    }
    for phase in &plan.phases {
        lines.extend(describe(plan, phase)?);
    }
    let phases = (plan.phases.len() * plan.cases.len()) as f64;
    lines.push(format!(
        "at most {} in all: {} phases with a time limit of {}, confirmations apart",
        crate::value::Nanoseconds(phases * plan.protocol.time_limit.0),
        phases,
        plan.protocol.time_limit
    ));
    say(&plain(&lines.join("\n")))
}

fn describe(plan: &Plan, phase: &Phase) -> Result<Vec<String>, Failure> {
    let (what, variants) = match &phase.question {
        Question::Baseline => ("baseline".to_owned(), 0),
        Question::Variants(all) => {
            let names: Vec<&str> = all.iter().map(|v| v.name.as_str()).collect();
            (
                format!("{} variants: {}", all.len(), names.join(", ")),
                all.len(),
            )
        }
        Question::Sweep(parameters) => {
            let n = parameters.iter().map(|p| p.values.len()).product();
            (format!("sweep of {n}"), n)
        }
        Question::Search(search) => {
            let restrictions = search
                .restrictions
                .iter()
                .filter_map(|text| Restriction::parse(text, &search.parameters).ok())
                .collect();
            let space = Space::new(search.parameters.clone(), restrictions)
                .map_err(|e| Failure::Said(format!("phase `{}`: {e}", phase.name)))?;
            let all: f64 = search
                .parameters
                .iter()
                .map(|p| p.values.len() as f64)
                .product();
            let valid = space.count().unwrap_or(u64::MAX);
            let n = search.evaluations.map_or(valid, |e| valid.min(e.into())) as usize;
            (
                format!(
                    "{} search: {n} of {} valid configurations ({all} before restrictions)",
                    search.strategy, valid
                ),
                n,
            )
        }
        Question::Combine(names) => {
            let n = (1_usize << names.len()) - 1;
            (format!("combines {} ({n} at most)", names.join(", ")), n)
        }
    };
    let after = if phase.after.is_empty() {
        String::new()
    } else {
        format!(" after {}", phase.after.join(", "))
    };
    let mut lines = vec![format!("└─ {} [{}]{after}: {what}", phase.name, phase.kind)];
    if variants > 0 {
        let family = variants.min(8);
        let alpha = (1.0 - plan.protocol.confidence) / family as f64;
        let schedule = Schedule::new(plan.protocol.max_blocks, alpha);
        // The smallest two-sided p that n blocks can give is 2^(1 − n).
        let first = schedule
            .looks
            .iter()
            .find(|(n, p)| f64::from(*n) >= 1.0 + (1.0 / p).log2());
        lines.push(match first {
            Some((n, _)) => format!("     {family} compared at once, first decision possible at block {n} of {}", plan.protocol.max_blocks),
            None => format!("     {family} compared at once: {} blocks can decide nothing, raise protocol.blocks.max", plan.protocol.max_blocks),
        });
    }
    Ok(lines)
}

pub(super) fn devices(common: &Common) -> Result<ExitCode, Failure> {
    let all = crate::device::list();
    if common.json {
        let rows: Vec<_> = all
            .iter()
            .map(|(name, what)| serde_json::json!({ "name": name, "about": what }))
            .collect();
        return say(&serde_json::Value::from(rows).to_string());
    }
    let lines: Vec<String> = all
        .into_iter()
        .map(|(name, what)| format!("{name:<8} {what}"))
        .collect();
    say(&lines.join("\n"))
}
