//! `compare`: two runs side by side. Sessions are never compared statistically with one another; `--rerun` measures what both
//! recommend in the same blocks instead.
use super::args::Common;
use super::progress::Progress;
use super::report::find;
use super::terminal::{complain, plain, say};
use super::{Failure, interruption, program};
use crate::campaign;
use crate::plan::Case;
use crate::record::{Final, Run, Trial};
use crate::report::objective;
use crate::stats::Comparison;
use serde_json::json;
use std::process::ExitCode;

pub(super) fn compare(
    first: &str,
    second: &str,
    rerun: bool,
    common: &Common,
) -> Result<ExitCode, Failure> {
    let (a, b) = (
        find(first, &common.results)?,
        find(second, &common.results)?,
    );
    match rerun {
        true => side_by_side(&a, &b, common),
        false => as_recorded(&a, &b, common),
    }
}

/// Quartiles of both runs, for every variant that both measured.
fn as_recorded(a: &Run, b: &Run, common: &Common) -> Result<ExitCode, Failure> {
    if a.header.plan.objective != b.header.plan.objective {
        return Err(Failure::Said(
            "the two runs minimize different objectives: their figures have nothing in common"
                .into(),
        ));
    }
    let shared: Vec<(&Trial, &Trial)> = a
        .trials
        .iter()
        .filter(|t| !t.is_canary)
        .filter_map(|t| Some((t, twin(t, b)?)))
        .filter(|(x, y)| x.quartiles.is_some() && y.quartiles.is_some())
        .collect();
    let finals: Vec<(&Final, &Final)> = a
        .finals
        .iter()
        .filter_map(|x| Some((x, b.finals.iter().find(|y| y.case == x.case)?)))
        .collect();
    if common.json {
        return say(&recorded_object(a, b, &shared, &finals).to_string());
    }
    if shared.is_empty() && finals.is_empty() {
        return Err(Failure::Said(
            "the two runs have no phase and variant in common".into(),
        ));
    }
    let ids = [&a.header.run_id, &b.header.run_id];
    let mut rows = vec![[
        "phase".to_owned(),
        "variant".to_owned(),
        ids[0].clone(),
        ids[1].clone(),
        "ratio".to_owned(),
    ]];
    for (x, y) in &shared {
        rows.push([
            under(&x.case, &x.phase),
            x.name.clone(),
            quartiles(a, x),
            quartiles(b, y),
            ratio(x.quartiles.map(|q| q.1), y.quartiles.map(|q| q.1)),
        ]);
    }
    for (x, y) in &finals {
        let medians = (x.medians.map(|m| m.1), y.medians.map(|m| m.1));
        rows.push([
            under(&x.case, "final"),
            "recommended".into(),
            medians.0.map_or("–".into(), |m| objective(a, m)),
            medians.1.map_or("–".into(), |m| objective(b, m)),
            ratio(medians.0, medians.1),
        ]);
        rows.push([
            String::new(),
            "against its own baseline".into(),
            improvement(x),
            improvement(y),
            String::new(),
        ]);
    }
    let mut lines = vec![
        "historical, descriptive: sessions are never compared statistically with one another; --rerun measures both now".to_owned(),
        "median [quartiles]; ratio: first / second, above 1 the second run was faster".to_owned(),
        String::new(),
    ];
    lines.extend(table(&rows));
    for (x, y) in finals
        .iter()
        .filter(|(x, y)| x.configuration != y.configuration)
    {
        lines.push(String::new());
        for (id, last) in ids.iter().zip([x, y]) {
            lines.push(under(
                &x.case,
                &format!("{id} recommends {}", changes(last)),
            ));
        }
    }
    say(&plain(&lines.join("\n")))
}

fn twin<'a>(trial: &'a Trial, other: &'a Run) -> Option<&'a Trial> {
    other
        .trials_of(&trial.case, &trial.phase)
        .find(|t| t.name == trial.name)
}

fn recorded_object(
    a: &Run,
    b: &Run,
    shared: &[(&Trial, &Trial)],
    finals: &[(&Final, &Final)],
) -> serde_json::Value {
    let variants: Vec<_> = shared
        .iter()
        .map(|(x, y)| {
            json!({
                "case": x.case, "phase": x.phase, "variant": x.name,
                "first": x.quartiles, "second": y.quartiles,
            })
        })
        .collect();
    let finals: Vec<_> = finals
        .iter()
        .map(|(x, y)| json!({ "case": x.case, "first": x, "second": y }))
        .collect();
    json!({
        "kind": "historical, descriptive",
        "first": a.header.run_id, "second": b.header.run_id,
        "variants": variants, "finals": finals,
    })
}

/// "case: what".
fn under(case: &str, what: &str) -> String {
    match case {
        "" => what.to_owned(),
        case => format!("{case}: {what}"),
    }
}

fn quartiles(run: &Run, trial: &Trial) -> String {
    trial.quartiles.map_or("–".into(), |(low, median, high)| {
        let shown = |v| objective(run, v);
        format!("{} [{}, {}]", shown(median), shown(low), shown(high))
    })
}

fn ratio(first: Option<f64>, second: Option<f64>) -> String {
    match (first, second) {
        (Some(x), Some(y)) => format!("{:.3}", x / y),
        _ => "–".into(),
    }
}

fn improvement(last: &Final) -> String {
    match &last.confirmation {
        Some(found) => format!("{:.3}×{}", found.speedup, interval(found)),
        None => "it is the baseline".into(),
    }
}

fn interval(found: &Comparison) -> String {
    found
        .interval
        .map_or_else(String::new, |(low, high)| format!(" [{low:.3}, {high:.3}]"))
}

fn changes(last: &Final) -> String {
    let changes = last.configuration.changes_from(&last.baseline);
    let changes: Vec<String> = changes.iter().map(|(n, v)| format!("{n}={v}")).collect();
    match changes.is_empty() {
        true => "its baseline".into(),
        false => changes.join(", "),
    }
}

/// The first two columns to the left, figures to the right.
fn table(rows: &[[String; 5]]) -> Vec<String> {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or(0)
    };
    let widths: [usize; 5] = std::array::from_fn(width);
    let line = |row: &[String; 5]| {
        let [p, v, x, y, r] = row;
        let [wp, wv, wx, wy, wr] = widths;
        format!("{p:<wp$}  {v:<wv$}  {x:>wx$}  {y:>wy$}  {r:>wr$}")
            .trim_end()
            .to_owned()
    };
    rows.iter().map(line).collect()
}

/// Both final configurations measured now, in every case that the two runs share.
fn side_by_side(a: &Run, b: &Run, common: &Common) -> Result<ExitCode, Failure> {
    let impossible = |why: &str| {
        Failure::Said(format!(
            "the two runs cannot be measured side by side: {why}; without --rerun they are set beside one another as they were"
        ))
    };
    let (plan, other) = (&a.header.plan, &b.header.plan);
    for run in [a, b] {
        if !run.is_complete {
            return Err(Failure::Said(format!(
                "{} was interrupted and has no final configuration; `phasetune run` goes on with it",
                run.header.run_id
            )));
        }
    }
    if plan.workload != other.workload {
        return Err(impossible("their workloads differ"));
    }
    if plan.objective != other.objective {
        return Err(impossible("they minimize different objectives"));
    }
    let shared: Vec<&Case> = plan
        .cases
        .iter()
        .filter(|c| other.cases.contains(c))
        .collect();
    if shared.is_empty() {
        return Err(impossible("they measured different problems or devices"));
    }
    let last = |run: &Run, case: &Case| {
        let of_case = run.finals.iter().find(|f| f.case == case.name);
        of_case.map_or(run.header.plan.baseline.clone(), |f| {
            f.configuration.clone()
        })
    };
    let pairs = shared
        .into_iter()
        .map(|case| (case, [last(a, case), last(b, case)]));
    let (same, different): (Vec<_>, Vec<_>) = pairs.partition(|(_, pair)| pair[0] == pair[1]);
    if different.is_empty() {
        return Err(impossible("both ended with the same configuration"));
    }
    for (case, _) in same.iter().filter(|_| !common.quiet) {
        complain(&format!(
            "note: {}: both ended with the same configuration",
            case.name
        ));
    }
    let interrupted = interruption();
    let mut found: Vec<(&str, Comparison)> = vec![];
    for (case, pair) in &different {
        let mut progress = Progress::new(common);
        let comparison = campaign::compare(
            plan,
            case,
            pair,
            plan.protocol.max_blocks,
            program()?,
            interrupted.clone(),
            &mut progress,
        )?;
        found.push((&case.name, comparison));
    }
    let (first, second) = (&a.header.run_id, &b.header.run_id);
    if common.json {
        let object = json!({
            "kind": "measured in the same blocks",
            "first": first, "second": second, "cases": found,
        });
        return say(&object.to_string());
    }
    let level = (1000.0 * plan.protocol.confidence).round() / 10.0;
    let mut lines: Vec<String> = found
        .iter()
        .map(|(case, c)| {
            let interval = match interval(c).as_str() {
                "" => String::new(),
                shown => format!(", {level} % interval{shown}"),
            };
            let sentence = format!(
                "the final configuration of {second} is {:.3}× as fast as that of {first}{interval} ({} blocks, p = {:.4})",
                c.speedup, c.blocks, c.p_value
            );
            under(case, &sentence)
        })
        .collect();
    lines.push(
        "both were measured now, in the same blocks, with the programs that are here now".into(),
    );
    say(&plain(&lines.join("\n")))
}
