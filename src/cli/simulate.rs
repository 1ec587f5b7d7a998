//! `simulate`: strategies replayed on recorded spaces, on all cores; what they would have found, and how soon.
use super::Failure;
use super::args::{Common, Simulate};
use super::foreign::spaces;
use super::terminal::{complain, is_interactive, plain, say};
use crate::interchange::{Recording, Replayable};
use crate::search::{Course, Figure, Replay, SHARES, STRATEGIES, Standing, StrategyEntry};
use crate::space::{ConfigurationId, nearest};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rayon::prelude::*;
use serde_json::json;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Replays that are held at one time; their traces are written in between.
const TOGETHER: usize = 256;

/// A strategy by its name; else what there is.
pub(super) fn strategy(written: &str) -> Result<&'static StrategyEntry, String> {
    if let Some(entry) = STRATEGIES.iter().find(|e| e.name == written) {
        return Ok(entry);
    }
    let names: Vec<&str> = STRATEGIES.iter().map(|e| e.name).collect();
    let near = nearest(written, &names).map_or_else(String::new, |n| format!("did you mean {n}? "));
    Err(format!("{near}there are {}", names.join(", ")))
}

/// What all the replays of one strategy on one space came to.
#[derive(Default)]
struct Row {
    replays: Vec<Replay>,
    thinking: Duration,
    asked: usize,
}

pub(super) fn simulate(order: &Simulate, common: &Common) -> Result<ExitCode, Failure> {
    let replayables = load(order, common)?;
    let course = |r| Course::new(r, order.evaluations.map(|n| n as usize));
    let courses: Vec<Course<'_>> = (replayables.par_iter())
        .filter_map(|r| course(&r.recorded))
        .collect();
    let strategies: Vec<&StrategyEntry> = match order.strategies.is_empty() {
        true => STRATEGIES.iter().collect(),
        false => order.strategies.clone(),
    };
    let seed = common.seed.unwrap_or(1);
    let rows = replay_all(order, seed, &courses, &replayables, &strategies, common)?;
    if common.verbose {
        for (i, entry) in strategies.iter().enumerate() {
            complain(&thinking(entry.name, &rows[i]));
        }
    }
    let mut standings: Vec<(&str, Standing, Vec<Standing>)> = vec![];
    for (entry, of_strategy) in strategies.iter().zip(&rows) {
        let spaces: Vec<&[Replay]> = of_strategy.iter().map(|row| &row.replays[..]).collect();
        let each = spaces
            .iter()
            .map(|space| Standing::of(&[space], seed))
            .collect();
        standings.push((entry.name, Standing::of(&spaces, seed), each));
    }
    standings.sort_by(|a, b| b.1.by_evaluations.mean.total_cmp(&a.1.by_evaluations.mean));
    if common.json {
        return say(&object(order, seed, &courses, &standings).to_string());
    }
    match common.quiet {
        true => Ok(ExitCode::SUCCESS),
        false => say(&plain(&in_words(order, &courses, &standings))),
    }
}

fn load(order: &Simulate, common: &Common) -> Result<Vec<Replayable>, Failure> {
    let mut recordings: Vec<Recording> = vec![];
    for written in &order.caches {
        recordings.extend(spaces(written, common)?);
    }
    let twice = (recordings.iter().enumerate())
        .find(|(i, r)| recordings[..*i].iter().any(|other| other.name == r.name));
    if let Some((_, twice)) = twice {
        return Err(Failure::Said(format!(
            "two of the spaces are called {}: their traces could not be told apart",
            twice.name
        )));
    }
    let wrong =
        |name: &str, why: String| Failure::Said(format!("{name} cannot be searched: {why}"));
    (recordings.iter())
        .map(|r| r.replayable().map_err(|why| wrong(&r.name, why)))
        .collect()
}

/// Rows by strategy, then by space.
fn replay_all(
    order: &Simulate,
    seed: u64,
    courses: &[Course<'_>],
    replayables: &[Replayable],
    strategies: &[&StrategyEntry],
    common: &Common,
) -> Result<Vec<Vec<Row>>, Failure> {
    let jobs: Vec<(usize, usize, u32)> = (0..courses.len())
        .flat_map(|c| (0..strategies.len()).map(move |s| (c, s)))
        .flat_map(|(c, s)| (0..order.repeats).map(move |repeat| (c, s, repeat)))
        .collect();
    let bar = bar(jobs.len() as u64, common);
    let mut traces = Traces::create(order, replayables)?;
    let mut rows: Vec<Vec<Row>> = strategies
        .iter()
        .map(|_| courses.iter().map(|_| Row::default()).collect())
        .collect();
    for some in jobs.chunks(TOGETHER) {
        // Their results come in order, so nothing depends on the number of threads.
        let replayed: Vec<(Replay, Duration)> = (some.par_iter())
            .map(|(c, s, repeat)| {
                let started = Instant::now();
                let replay = courses[*c].replay(strategies[*s], seed, *repeat);
                bar.inc(1);
                (replay, started.elapsed())
            })
            .collect();
        for ((c, s, repeat), (mut replay, took)) in some.iter().zip(replayed) {
            traces.write(*c, strategies[*s].name, *repeat, &replay.asked)?;
            let row = &mut rows[*s][*c];
            row.thinking += took;
            row.asked += replay.asked.len();
            // Thousands of repeats are scored, not kept.
            replay.asked = vec![];
            row.replays.push(replay);
        }
    }
    traces.finish()?;
    bar.finish_and_clear();
    Ok(rows)
}

fn bar(length: u64, common: &Common) -> ProgressBar {
    let bar = ProgressBar::new(length);
    bar.set_draw_target(match is_interactive() && !common.quiet {
        true => ProgressDrawTarget::stderr(),
        false => ProgressDrawTarget::hidden(),
    });
    if let Ok(style) = ProgressStyle::with_template("replaying {bar:24} {pos}/{len} {eta} left") {
        bar.set_style(style.progress_chars("█▌ "));
    }
    bar
}

/// The file of traces, one JSON object an evaluation; nothing where none is wanted.
struct Traces<'a> {
    file: Option<(BufWriter<File>, String)>,
    spaces: &'a [Replayable],
    /// Of each space, by number of the configuration: the part of the line that is the same in every replay.
    known: Vec<BTreeMap<ConfigurationId, String>>,
}

impl Traces<'_> {
    fn create<'a>(order: &Simulate, spaces: &'a [Replayable]) -> Result<Traces<'a>, Failure> {
        let open = |path: &PathBuf| -> Result<(BufWriter<File>, String), Failure> {
            let file =
                File::create(path).map_err(|e| unwritable(&path.display().to_string(), &e))?;
            Ok((BufWriter::new(file), path.display().to_string()))
        };
        Ok(Traces {
            file: order.traces.as_ref().map(open).transpose()?,
            spaces,
            known: vec![BTreeMap::new(); spaces.len()],
        })
    }

    fn write(
        &mut self,
        space: usize,
        strategy: &str,
        repeat: u32,
        asked: &[ConfigurationId],
    ) -> Result<(), Failure> {
        let Some((file, path)) = &mut self.file else {
            return Ok(());
        };
        let name = json!(self.spaces[space].recorded.name);
        let start = format!("{{\"space\":{name},\"strategy\":\"{strategy}\",\"repeat\":{repeat},");
        for id in asked {
            let rest = self.known[space]
                .entry(*id)
                .or_insert_with(|| outcome(&self.spaces[space], *id));
            writeln!(file, "{start}{rest}").map_err(|e| unwritable(path, &e))?;
        }
        Ok(())
    }

    fn finish(self) -> Result<(), Failure> {
        match self.file {
            Some((mut file, path)) => file.flush().map_err(|e| unwritable(&path, &e)),
            None => Ok(()),
        }
    }
}

fn unwritable(path: &str, error: &std::io::Error) -> Failure {
    Failure::Said(format!("{path} cannot be written: {error}"))
}

/// `"config":{…},"value":…,"cost_s":…}`, with the reason where there is no value.
fn outcome(space: &Replayable, id: ConfigurationId) -> String {
    let at = id.0 as usize;
    let configuration = space.recorded.space.configuration(id);
    let pairs: Vec<String> = (configuration.values().iter())
        .map(|(name, value)| format!("{}:{}", json!(name), json!(value)))
        .collect();
    let value = json!(space.recorded.values[at]);
    let invalid = space.reasons[at].map_or_else(String::new, |why| {
        format!(",\"invalid\":{}", json!(why.word()))
    });
    let cost = json!(space.recorded.costs[at]);
    format!(
        "\"config\":{{{}}},\"value\":{value}{invalid},\"cost_s\":{cost}}}",
        pairs.join(",")
    )
}

/// What a strategy itself cost, without the measuring that was not done.
fn thinking(name: &str, rows: &[Row]) -> String {
    let asked: usize = rows.iter().map(|row| row.asked).sum();
    let took: Duration = rows.iter().map(|row| row.thinking).sum();
    format!(
        "{name}: {:.3} ms of thinking an evaluation, mean of {asked}",
        1e3 * took.as_secs_f64() / asked.max(1) as f64
    )
}

fn object(
    order: &Simulate,
    seed: u64,
    courses: &[Course<'_>],
    standings: &[(&str, Standing, Vec<Standing>)],
) -> serde_json::Value {
    let figure = |f: &Figure| json!({ "score": f.mean, "lower": f.lower, "upper": f.upper });
    let standing = |s: &Standing| {
        let shares: serde_json::Map<String, serde_json::Value> = (SHARES.iter().zip(s.shares))
            .map(|(n, share)| (n.to_string(), json!(share)))
            .collect();
        json!({
            "evaluations": figure(&s.by_evaluations),
            "time": s.by_time.as_ref().map(figure),
            "share_of_optimum": shares,
        })
    };
    let spaces: Vec<_> = courses
        .iter()
        .map(|c| {
            json!({
                "name": c.recorded.name,
                "configurations": c.recorded.values.len(),
                "valid": c.recorded.values.iter().flatten().count(),
                "optimum": c.yardstick.optimum(),
                "budget": c.yardstick.budget(),
                "evaluations": c.evaluations,
            })
        })
        .collect();
    let strategies: Vec<_> = standings
        .iter()
        .map(|(name, all, each)| {
            let by_space: serde_json::Map<String, serde_json::Value> = (courses.iter().zip(each))
                .map(|(c, s)| (c.recorded.name.clone(), standing(s)))
                .collect();
            json!({ "strategy": name, "all": standing(all), "spaces": by_space })
        })
        .collect();
    json!({ "seed": seed, "repeats": order.repeats, "spaces": spaces, "strategies": strategies })
}

fn in_words(
    order: &Simulate,
    courses: &[Course<'_>],
    standings: &[(&str, Standing, Vec<Standing>)],
) -> String {
    let mut lines: Vec<String> = courses.iter().map(described).collect();
    lines.push(format!(
        "Scores: 1 = the optimum at once, 0 = random search, averaged over the budget; [95 % bootstrap interval over {} repeats].",
        order.repeats
    ));
    lines.push("Optimum at n: the optimum over the best of the first n evaluations.".into());
    let mut head = ["strategy", "by evaluations", "by time"]
        .map(str::to_owned)
        .to_vec();
    head.extend(SHARES.map(|n| format!("optimum at {n}")));
    if courses.len() > 1 {
        let rows = standings.iter().map(|(name, all, _)| cells(name, all));
        lines.extend([
            "".into(),
            format!("### All {} spaces", courses.len()),
            "".into(),
        ]);
        lines.extend(table(&head, rows.collect()));
    }
    for (i, course) in courses.iter().enumerate() {
        let rows = standings
            .iter()
            .map(|(name, _, each)| cells(name, &each[i]));
        lines.extend([
            "".into(),
            format!("### {}", course.recorded.name),
            "".into(),
        ]);
        lines.extend(table(&head, rows.collect()));
    }
    lines.join("\n")
}

fn described(course: &Course<'_>) -> String {
    let all = course.recorded.values.len();
    let valid = course.recorded.values.iter().flatten().count();
    let budget = course.yardstick.budget();
    let short = match course.evaluations < budget.min(all) {
        true => "; after them a search stands still",
        false => "",
    };
    format!(
        "{}: {all} configurations, {} of them invalid; scored over {budget} evaluations, replayed {}{short}.",
        course.recorded.name,
        all - valid,
        course.evaluations,
    )
}

fn cells(name: &str, standing: &Standing) -> Vec<String> {
    let figure = |f: &Figure| format!("{:+.3} [{:+.3}, {:+.3}]", f.mean, f.lower, f.upper);
    let by_time = standing.by_time.as_ref().map_or("–".into(), figure);
    let mut cells = vec![name.to_owned(), figure(&standing.by_evaluations), by_time];
    cells.extend(standing.shares.map(|s| format!("{s:.3}")));
    cells
}

/// As markdown, its columns aligned for a terminal.
fn table(head: &[String], rows: Vec<Vec<String>>) -> Vec<String> {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells
            .chain([head[column].chars().count()])
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |row: &[String]| {
        let cells = row.iter().zip(&widths).enumerate();
        let padded: Vec<String> = cells
            .map(|(column, (cell, &width))| match column {
                0 => format!("{cell:<width$}"),
                _ => format!("{cell:>width$}"),
            })
            .collect();
        format!("| {} |", padded.join(" | "))
    };
    let rule: Vec<String> = (widths.iter().enumerate())
        .map(|(column, &width)| match column {
            0 => "-".repeat(width + 2),
            _ => format!("{}:", "-".repeat(width + 1)),
        })
        .collect();
    let mut lines = vec![line(head), format!("|{}|", rule.join("|"))];
    lines.extend(rows.iter().map(|row| line(row)));
    lines
}
