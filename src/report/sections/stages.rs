//! Where the time goes, in the baseline and in what was kept last, and what speeding up one stage could give at most.
use crate::plan::Objective;
use crate::record::{Run, Trial};
use crate::report::numbers::{NONE, Unit, percent};
use crate::report::plot::timeline::{Lane, Lanes, timeline};
use crate::report::{Figure, Files, Piece, Row, columns, file_name, in_case, kept, variants};
use crate::trial::Verdict;
use std::collections::BTreeMap;

pub(in crate::report) fn section(run: &Run) -> Vec<Piece> {
    let pieces: Vec<Piece> = run
        .header
        .plan
        .cases
        .iter()
        .flat_map(|case| of_case(run, &case.name))
        .collect();
    if pieces.is_empty() {
        return vec![];
    }
    let intro = Piece::Paragraph(
        "Medians of the workload's own stage timers. Amdahl bound: the speedup of the whole if that stage cost nothing and the others stayed as they are, 1/(1 − share).".into(),
    );
    [vec![Piece::Heading(2, "Stages".into()), intro], pieces].concat()
}

fn of_case(run: &Run, case: &str) -> Vec<Piece> {
    let names = &run.header.declaration.stages;
    let has_stages = |t: &&Trial| {
        !names.is_empty() && t.stages.len() == names.len() && t.stages.iter().any(|s| s.0 > 0.0)
    };
    let of_case = || run.outcomes.iter().filter(|o| o.case == case);
    let first = of_case()
        .flat_map(|o| variants(run, o))
        .find(|t| t.verdict == Verdict::Reference && has_stages(t));
    let Some(first) = first else {
        return vec![];
    };
    let last = of_case()
        .rev()
        .find_map(|o| kept(run, o))
        .filter(has_stages);
    let mut all = vec![("the baseline".to_owned(), first)];
    all.extend(last.map(|t| (format!("{} / {}, kept last", t.phase, t.name), t)));
    let mut pieces = vec![];
    for (which, trial) in &all {
        pieces.extend(match overlapping(run, trial) {
            Some(runtime) => shares(names, trial, runtime, which, case),
            None => table(names, trial, which, case),
        });
    }
    pieces.extend(before_and_after(run, names, &all));
    pieces.extend(figure(names, &all, case));
    pieces
}

/// The median runtime of a trial, where runtime is what was measured.
fn runtime(run: &Run, trial: &Trial) -> Option<f64> {
    let is_runtime = run.header.plan.objective == Objective::Runtime;
    trial.quartiles.filter(|_| is_runtime).map(|q| q.1)
}

/// The runtime, where the stages together took longer than that: they did so at the same time.
fn overlapping(run: &Run, trial: &Trial) -> Option<f64> {
    let total: f64 = trial.stages.iter().map(|s| s.0).sum();
    runtime(run, trial).filter(|runtime| total > OVERLAPPING * runtime)
}

/// Medians of parts may add up to a little more than the median of the whole.
const OVERLAPPING: f64 = 1.05;

/// Stages that overlap: of each, the share of the runtime in which it worked.
fn shares(names: &[String], trial: &Trial, runtime: f64, which: &str, case: &str) -> Vec<Piece> {
    let order = longest_first(names, trial);
    let times = || order.iter().map(|&i| trial.stages[i].0);
    let unit = Unit::of_times(times().chain([runtime]), times().map(|t| t / 100.0));
    let rows = (order.iter())
        .map(|&i| {
            let time = trial.stages[i].0;
            Row::new(vec![
                names[i].clone(),
                unit.bare(time),
                percent(time / runtime),
            ])
        })
        .collect();
    let header = [
        "Stage".to_owned(),
        format!(">{}", unit.head("Median")),
        ">Of the runtime".to_owned(),
    ];
    let longest = order[0];
    let over = runtime / trial.stages[longest].0;
    let words = format!(
        "Stages of {which}. They overlap, so that together they take longer than the runtime of {}; it cannot be shorter than the longest of them, {}, and is {over:.2} × that.",
        unit.full(runtime),
        names[longest],
    );
    vec![
        Piece::Paragraph(in_case(case, &words)),
        Piece::Table {
            header: columns(&header),
            rows,
        },
    ]
}

/// Those that were timed, the longest first.
fn longest_first(names: &[String], trial: &Trial) -> Vec<usize> {
    let mut order: Vec<usize> = (0..names.len())
        .filter(|&i| trial.stages[i].0 > 0.0)
        .collect();
    order.sort_by(|&a, &b| trial.stages[b].0.total_cmp(&trial.stages[a].0));
    order
}

/// How busy the stage was that bounds the last configuration, where its stages overlap.
fn before_and_after(run: &Run, names: &[String], all: &[(String, &Trial)]) -> Option<Piece> {
    let [(_, first), (_, last)] = all else {
        return None;
    };
    let (before, after) = (runtime(run, first)?, overlapping(run, last)?);
    let longest = longest_first(names, last)[0];
    let share = |trial: &Trial, runtime: f64| percent(trial.stages[longest].0 / runtime);
    Some(Piece::Paragraph(format!(
        "Utilization: the stage {} worked in {} of the baseline's runtime, and in {} of that of what was kept last.",
        names[longest],
        share(first, before),
        share(last, after),
    )))
}

/// The recorded timelines, one below the other.
fn figure(names: &[String], all: &[(String, &Trial)], case: &str) -> Option<Piece> {
    let recorded: Vec<Lanes> = (all.iter())
        .filter(|(_, trial)| !trial.timeline.is_empty())
        .map(|(which, trial)| lanes(names, trial, which))
        .collect();
    if recorded.is_empty() {
        return None;
    }
    let suffix = match case {
        "" => String::new(),
        case => format!("_{}", file_name(case)),
    };
    Some(Piece::Figure(Figure {
        file: format!("plots/timeline{suffix}"),
        title: in_case(case, "when each stage worked"),
        caption: "When each thread of each stage worked, in one invocation of the check that precedes the timed blocks. `--trace FILE` shows every invocation.".into(),
        files: Files::Both,
        sketch: timeline(&recorded, "time since the start of the invocation, ms"),
    }))
}

fn lanes(names: &[String], trial: &Trial, which: &str) -> Lanes {
    let mut rows: BTreeMap<(u32, u32), Vec<(f64, f64)>> = BTreeMap::new();
    for s in &trial.timeline {
        let row = rows.entry((s.stage, s.thread)).or_default();
        row.push((s.start.0 / 1e6, s.end.0 / 1e6));
    }
    let threads = |stage| rows.keys().filter(|(s, _)| *s == stage).count();
    let rows = rows.iter().filter_map(|(&(stage, thread), stretches)| {
        let name = names.get(stage as usize)?;
        Some(Lane {
            name: match threads(stage) {
                1 => name.clone(),
                _ => format!("{name} {}", thread + 1),
            },
            stage: stage as usize,
            stretches: stretches.clone(),
        })
    });
    Lanes {
        title: which.to_owned(),
        rows: rows.collect(),
    }
}

fn table(names: &[String], trial: &Trial, which: &str, case: &str) -> Vec<Piece> {
    let total: f64 = trial.stages.iter().map(|s| s.0).sum();
    let order = longest_first(names, trial);
    let unit = Unit::of_times(
        order.iter().map(|&i| trial.stages[i].0),
        order.iter().map(|&i| trial.stages[i].0 / 100.0),
    );
    let mut cumulative = 0.0;
    let rows = order
        .into_iter()
        .map(|i| {
            let share = trial.stages[i].0 / total;
            cumulative += share;
            // Amdahl, AFIPS 30 (1967).
            let bound = if share < 0.9995 {
                format!("{:.2}×", 1.0 / (1.0 - share))
            } else {
                NONE.into()
            };
            Row::new(vec![
                names[i].clone(),
                unit.bare(trial.stages[i].0),
                percent(share),
                percent(cumulative),
                bound,
            ])
        })
        .collect();
    let header = [
        "Stage".to_owned(),
        format!(">{}", unit.head("Median")),
        ">Share".to_owned(),
        ">Cumulative".to_owned(),
        ">Amdahl bound".to_owned(),
    ];
    vec![
        Piece::Paragraph(in_case(case, &format!("Stages of {which}:"))),
        Piece::Table {
            header: columns(&header),
            rows,
        },
    ]
}
