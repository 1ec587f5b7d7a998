//! `lookup`: what earlier runs found best, for this problem size or the nearest one that is known on the device.
use super::Failure;
use super::args::{Common, Lookup};
use super::dialect::{listed, objective_name, workload_with_problem, write};
use super::environment;
use super::terminal::{complain, say};
use crate::record::{Wisdom, hardware};
use crate::space::nearest;
use crate::value::Value;
use crate::workload::find;
use serde_json::json;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;

pub(super) fn lookup(order: &Lookup, common: &Common) -> Result<ExitCode, Failure> {
    if !common.set.is_empty() || common.seed.is_some() {
        return Err(Failure::Said(
            "--set and --seed change a plan; name the problem with --problem KEY=VALUE".into(),
        ));
    }
    let file = Wisdom::file(&common.results);
    let known = Wisdom::load(&common.results)?;
    if known.is_empty() {
        return Err(Failure::Said(format!(
            "nothing is known yet: {} is written at the end of `phasetune run` and `phasetune tune`",
            file.display()
        )));
    }
    let asked = Asked {
        workload: &order.workload,
        objective: order.objective.as_deref(),
        file: file.display().to_string(),
    };
    let of_workload = asked.of_workload(&known)?;
    let device = on_device(&of_workload, common.device.as_deref(), &asked)?;
    let found = of_workload.into_iter().filter(|best| best.device == device);
    let found: Vec<&Wisdom> = found.collect();
    let size = size(&found[0].workload, &order.problem)?;
    let (best, distance) = asked.nearest(&found, &size, &device)?;
    let is_exact = distance == 0.0;
    let whose = workload_with_problem(best);
    let how = match (is_exact, &order.problem[..]) {
        (true, _) => format!("Exact: best configuration of {whose}"),
        (false, problem) => {
            let asked = match problem {
                [] => "the default problem".to_owned(),
                problem => listed(problem),
            };
            let factor = distance.exp();
            format!(
                "Nearest: nothing is known of {asked}; best configuration of {whose}, a factor of {factor:.2} away"
            )
        }
    };
    if common.json {
        let object = json!({
            "match": if is_exact { "exact" } else { "nearest" },
            "distance": distance,
            "best": best,
        });
        return say(&object.to_string());
    }
    let text = write(order.format, best, &how).map_err(Failure::Said)?;
    if !is_exact && !common.quiet {
        complain(&format!("note: {how}"));
    }
    say(&text)
}

struct Asked<'a> {
    workload: &'a str,
    objective: Option<&'a str>,
    /// As messages name it.
    file: String,
}

/// The problem of a built-in in keys that can be compared, its keys checked; that of anything else as it is.
fn size(workload: &str, problem: &[(String, Value)]) -> Result<Vec<(String, Value)>, Failure> {
    let Some(entry) = find(workload) else {
        return Ok(problem.to_vec());
    };
    let declaration = (entry.declare)();
    let mut keys = vec!["preset", "seed"];
    keys.extend(declaration.problem_keys.iter().map(String::as_str));
    let presets: Vec<&str> = declaration.presets.iter().map(String::as_str).collect();
    for (key, value) in problem {
        let value = value.to_string();
        let (what, written, there) = match key.as_str() {
            "preset" if !presets.contains(&value.as_str()) => ("preset", &value, &presets),
            other if !keys.contains(&other) => ("key of the problem", key, &keys),
            _ => continue,
        };
        let near =
            nearest(written, there).map_or_else(String::new, |n| format!("did you mean `{n}`? "));
        return Err(Failure::Said(format!(
            "unknown {what} `{written}`; {near}{workload} has {}",
            there.join(", ")
        )));
    }
    Ok(declaration.size(problem))
}

impl Asked<'_> {
    /// By the workload's own name, else by the plan's, else by the beginning of a command.
    fn of_workload<'w>(&self, known: &'w [Wisdom]) -> Result<Vec<&'w Wisdom>, Failure> {
        let ways: [&dyn Fn(&Wisdom) -> bool; 3] = [
            &|best| best.workload == self.workload,
            &|best| best.experiment == self.workload,
            &|best| {
                best.workload
                    .strip_prefix(self.workload)
                    .is_some_and(|rest| rest.starts_with(' '))
            },
        ];
        let all = ways
            .iter()
            .map(|fits| known.iter().filter(|best| fits(best)).collect::<Vec<_>>())
            .find(|all| !all.is_empty());
        let names = |all: &[&Wisdom]| {
            let names: BTreeSet<String> = all
                .iter()
                .map(|best| format!("`{}`", best.workload))
                .collect();
            names.into_iter().collect::<Vec<_>>()
        };
        let Some(mut all) = all else {
            let there = names(&known.iter().collect::<Vec<_>>()).join(", ");
            return Err(Failure::Said(format!(
                "{} knows nothing of `{}`; it knows {there}",
                self.file, self.workload
            )));
        };
        let several = names(&all);
        if several.len() > 1 {
            return Err(Failure::Said(format!(
                "`{}` is several workloads; write one of them whole: {}",
                self.workload,
                several.join(", ")
            )));
        }
        let objectives: BTreeSet<&str> = all
            .iter()
            .map(|best| objective_name(&best.objective))
            .collect();
        let wanted = self.objective.unwrap_or("runtime");
        if !objectives.contains(wanted) {
            let there = objectives.into_iter().collect::<Vec<_>>().join(", ");
            return Err(Failure::Said(format!(
                "{} knows `{}` for another objective: --objective {there}",
                self.file, self.workload
            )));
        }
        all.retain(|best| objective_name(&best.objective) == wanted);
        Ok(all)
    }

    /// The least distance; of equals the newest.
    fn nearest<'w>(
        &self,
        all: &[&'w Wisdom],
        size: &[(String, Value)],
        device: &str,
    ) -> Result<(&'w Wisdom, f64), Failure> {
        let found = all
            .iter()
            .filter_map(|best| Some((*best, best.distance(size)?)))
            .min_by(|a, b| a.1.total_cmp(&b.1).then(b.0.date.cmp(&a.0.date)));
        found.ok_or_else(|| {
            let there: Vec<String> = all.iter().map(|best| listed(&best.problem)).collect();
            Failure::Said(format!(
                "{} knows `{}` on {device}, but only for problems that this one cannot be compared with: {}",
                self.file,
                self.workload,
                there.join("; ")
            ))
        })
    }
}

/// The device that is meant: one of this machine, else one that is known whose name holds the words. Where none is named, the
/// device of this machine that something is known of.
fn on_device(all: &[&Wisdom], named: Option<&str>, asked: &Asked<'_>) -> Result<String, Failure> {
    let known: BTreeSet<&str> = all.iter().map(|best| best.device.as_str()).collect();
    let environment = environment(Path::new("."));
    let names = environment
        .devices
        .iter()
        .filter_map(|line| Some(line.split_once(": ")?.0));
    let is_meant = |name: &&str| match named {
        None | Some("auto") => true,
        Some(named) => {
            *name == named
                || name
                    .strip_prefix(named)
                    .is_some_and(|rest| rest.starts_with(':'))
        }
    };
    let here: Vec<String> = names
        .filter(is_meant)
        .map(|name| hardware(&environment, name))
        .collect();
    let mut fitting: Vec<&str> = known
        .iter()
        .copied()
        .filter(|device| here.iter().any(|h| h == device))
        .collect();
    if let Some(named) = named
        && here.is_empty()
    {
        let words = named.to_lowercase();
        fitting = known
            .iter()
            .copied()
            .filter(|device| device.to_lowercase().contains(&words))
            .collect();
    }
    let there = known.into_iter().collect::<Vec<_>>().join("; ");
    match fitting[..] {
        [device] => Ok(device.to_owned()),
        [] => {
            let wanted = match (named, &here[..]) {
                (_, [here]) => here.clone(),
                (Some(named), _) => format!("a device called `{named}`"),
                (None, _) => "a device of this machine".into(),
            };
            Err(Failure::Said(format!(
                "{} knows `{}`, but not on {wanted}; it knows it on {there}; choose with --device",
                asked.file, asked.workload
            )))
        }
        _ => Err(Failure::Said(format!(
            "{} knows `{}` on several devices; choose one with --device: {}",
            asked.file,
            asked.workload,
            fitting.join("; ")
        ))),
    }
}
