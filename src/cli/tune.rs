//! `tune`: a search over tuning parameters without writing a plan. What it makes of the command line is a plan like any other,
//! checked, recorded and reported like one.
use super::Failure;
use super::args::{Common, Tune};
use super::plan_file::{Loaded, load, load_with, parse};
use super::run::execute;
use crate::diagnostic::Origin;
use crate::plan::{Phase, Plan, Question};
use crate::space::{Configuration, Parameter, Restriction, Space};
use crate::value::Value;
use serde_json::json;
use std::path::Path;
use std::process::ExitCode;

/// Name of the phase that options make.
const PHASE: &str = "search";

pub(super) fn tune(order: &Tune, common: &Common) -> Result<ExitCode, Failure> {
    let loaded = match &order.plan {
        None => of_command(order, common)?,
        Some(plan) if order.parameters.is_empty() => own_searches(plan, order, common)?,
        Some(plan) => over_parameters(plan, order, common)?,
    };
    execute(loaded, &order.how, common)
}

/// The plan that a command line stands for.
fn of_command(order: &Tune, common: &Common) -> Result<Loaded, Failure> {
    let reference = reference(order)?;
    let value = |(name, value): &(String, Value)| (name.clone(), json!(value));
    let baseline: Vec<_> = reference.values().iter().map(value).collect();
    let program = order.command.first().map_or("", String::as_str);
    let text = format!(
        "# Made by `phasetune tune`.\n\
         name: {}\n\
         title: {}\n\
         workload:\n  command: {}\n\
         baseline: {}\n\
         phases:\n  - {}\n",
        json!(order.name.as_deref().unwrap_or("tune")),
        json!(format!("Tuning {program}")),
        json!(order.command),
        flow(&baseline),
        search(order),
    );
    let path = "the command line";
    let mut overrides = common.overrides();
    overrides.extend(budget(order, PHASE));
    parse(text.as_bytes(), path, Path::new("."), overrides).map_err(in_our_words)
}

/// What everything is compared with: the first value of each parameter, or a configuration that the restrictions allow.
fn reference(order: &Tune) -> Result<Configuration, Failure> {
    let mut first = order.parameters.clone();
    first.iter_mut().for_each(|p| p.values.truncate(1));
    let start = |p: &Parameter| Some((p.name.clone(), p.values.first()?.clone()));
    let firsts = Configuration::new(first.iter().filter_map(start).collect());
    let parse = |text: &String| Restriction::parse(text, &order.parameters).ok();
    let restrictions: Option<Vec<_>> = order.restrictions.iter().map(parse).collect();
    // What is wrong with one is said where the plan is checked, with all else that is wrong.
    let Some(restrictions) = restrictions.filter(|all| !all.is_empty()) else {
        return Ok(firsts);
    };
    let allowed = |parameters: Vec<Parameter>| -> Result<Option<Configuration>, Failure> {
        let space = Space::new(parameters, restrictions.clone());
        let space = space.map_err(|e| Failure::Said(format!("--where: {e}")))?;
        let id = space.ids().next();
        Ok(id.map(|id| space.configuration(id)))
    };
    if let Some(configuration) = allowed(first)? {
        return Ok(configuration);
    }
    allowed(order.parameters.clone())?.ok_or_else(|| {
        Failure::Said("no configuration satisfies the restrictions of --where".into())
    })
}

/// One phase that searches everything that was named.
fn search(order: &Tune) -> String {
    let list = |p: &Parameter| (p.name.clone(), json!(p.values));
    let lists: Vec<_> = order.parameters.iter().map(list).collect();
    let restrictions = match order.restrictions.is_empty() {
        true => String::new(),
        false => format!(", restrictions: {}", json!(order.restrictions)),
    };
    format!(
        "{{phase: {PHASE}, kind: tiling, search: {{parameters: {}{restrictions}}}}}",
        flow(&lists)
    )
}

/// What the command line says of how to search, as overrides of a phase.
fn budget(order: &Tune, phase: &str) -> Vec<(String, String)> {
    let said = [
        ("strategy", order.strategy.as_ref().map(|name| json!(name))),
        ("budget.evaluations", order.evaluations.map(|n| json!(n))),
        ("budget.time", order.time.as_ref().map(|time| json!(time))),
    ];
    let path = |key: &str| format!("phases.{phase}.search.{key}");
    said.into_iter()
        .filter_map(|(key, value)| Some((path(key), value?.to_string())))
        .collect()
}

/// A mapping in the order given. Names and values are written as JSON, which is YAML: no quoting rules of our own.
fn flow(entries: &[(String, serde_json::Value)]) -> String {
    let entries = entries.iter();
    let entries: Vec<String> = entries.map(|(n, v)| format!("{}: {v}", json!(n))).collect();
    format!("{{{}}}", entries.join(", "))
}

/// A plan's workload, protocol and baseline, with one search instead of its phases.
fn over_parameters(plan: &Path, order: &Tune, common: &Common) -> Result<Loaded, Failure> {
    let mut overrides = renamed(plan, order.name.as_deref(), common)?;
    overrides.push(("phases".to_owned(), format!("[{}]", search(order))));
    overrides.extend(budget(order, PHASE));
    load_with(plan, overrides).map_err(in_our_words)
}

/// The plan is ours; its author wrote options.
fn in_our_words(mut failure: Failure) -> Failure {
    if let Failure::Plan { findings, .. } = &mut failure {
        for finding in &mut *findings {
            if let Origin::Option(option) = &mut finding.origin
                && option.starts_with("phases=")
            {
                *option = "--param, --where".into();
            }
            if let Some(help) = &mut finding.help {
                *help = help.replace("budget: {evaluations: N}", "--evaluations N");
            }
        }
        findings.dedup();
    }
    failure
}

/// A plan's own search phases, with the phases that they build on and nothing else.
fn own_searches(plan: &Path, order: &Tune, common: &Common) -> Result<Loaded, Failure> {
    let mut overrides = renamed(plan, order.name.as_deref(), common)?;
    let phases = load_with(plan, overrides.clone())?.parsed.plan.phases;
    let searches = phases.iter().filter(|phase| is_search(phase));
    overrides.extend(searches.flat_map(|phase| budget(order, &phase.name)));
    let mut loaded = load_with(plan, overrides)?;
    let needed = needed(&loaded.parsed.plan);
    if needed.is_empty() {
        return Err(Failure::Said(format!(
            "{} has no search phase; name what to tune: phasetune tune {} --param NAME=VALUES",
            loaded.path, loaded.path
        )));
    }
    let plan = &mut loaded.parsed.plan;
    plan.phases.retain(|phase| needed.contains(&phase.name));
    loaded
        .text
        .push_str(&format!("# tune: only {}\n", needed.join(", ")));
    Ok(loaded)
}

/// The overrides with a name of its own, so that a plan's report is not replaced by that of its tuning.
fn renamed(
    plan: &Path,
    name: Option<&str>,
    common: &Common,
) -> Result<Vec<(String, String)>, Failure> {
    let mut overrides = common.overrides();
    if overrides.iter().any(|(key, _)| key == "name") {
        return Ok(overrides);
    }
    let name = match name {
        Some(name) => name.to_owned(),
        None => format!("{}_tune", load(plan, common)?.parsed.plan.name),
    };
    overrides.push(("name".to_owned(), json!(name).to_string()));
    Ok(overrides)
}

fn is_search(phase: &Phase) -> bool {
    matches!(phase.question, Question::Search(_))
}

/// Names of the search phases and of all phases that they build on, in the plan's order.
fn needed(plan: &Plan) -> Vec<String> {
    let searches = plan.phases.iter().filter(|phase| is_search(phase));
    let mut found: Vec<&str> = searches.map(|phase| phase.name.as_str()).collect();
    // Phases are in topological order: from the end, each one's parents come later.
    for phase in plan.phases.iter().rev() {
        if !found.contains(&phase.name.as_str()) {
            continue;
        }
        found.extend(phase.parents());
    }
    let phases = plan.phases.iter().map(|phase| phase.name.clone());
    phases
        .filter(|name| found.contains(&name.as_str()))
        .collect()
}
