//! One chapter a phase: its question, plots, table and a test record for each variant.
use crate::plan::{Phase, Question};
use crate::record::{PhaseOutcome, Run, Trial};
use crate::report::plot::{Drawing, Mark};
use crate::report::{
    Figure, Piece, accuracy, file_name, interval, is_row, is_statistical, memory, objective,
    phase_title, speedup, trials_of,
};
use crate::space::Configuration;
use crate::trial::Purpose;
use crate::value::Value;

pub(in crate::report) fn section(run: &Run) -> Vec<Piece> {
    let mut pieces = vec![Piece::Heading(2, "Phase by phase".into())];
    for outcome in &run.outcomes {
        let Some(phase) = run
            .header
            .plan
            .phases
            .iter()
            .find(|p| p.name == outcome.phase)
        else {
            continue;
        };
        pieces.extend(chapter(run, outcome, phase));
    }
    pieces
}

fn chapter(run: &Run, outcome: &PhaseOutcome, phase: &Phase) -> Vec<Piece> {
    let title = phase_title(outcome);
    let trials: Vec<&Trial> = trials_of(run, outcome)
        .into_iter()
        .filter(|t| is_row(t))
        .collect();
    let stem = format!("plots/{}", file_name(&title));
    let mut pieces = vec![Piece::Heading(3, format!("{title}: {}", phase.title))];
    pieces.push(Piece::Paragraph(summary(outcome)));
    if let Some(note) = &outcome.note {
        pieces.push(Piece::Paragraph(format!("{note}.")));
    }
    let marks = marks(&trials);
    if !marks.is_empty() {
        pieces.push(Piece::Figure {
            figure: Figure {
                file: format!("{stem}_speedups"),
                drawing: Drawing::Forest { marks, equivalence: run.header.plan.protocol.equivalence },
            },
            caption: format!("{title}: speedup against the reference with its interval; hollow: screening, optimistic; filled: confirmed on fresh blocks; band: no practical difference"),
        });
    }
    pieces.extend(sweep(run, phase, &trials, &stem, &title));
    if outcome.blocks >= 3 {
        pieces.push(Piece::Figure {
            figure: Figure {
                file: format!("{stem}_time_order"),
                drawing: Drawing::TimeOrder { case: outcome.case.clone(), phase: outcome.phase.clone(), purpose: Purpose::Screen },
            },
            caption: format!("{title}: every cell in the order of its block; a common slope is drift, which the comparisons within blocks do not see"),
        });
    }
    pieces.extend(records(run, outcome, &trials));
    pieces
}

fn summary(outcome: &PhaseOutcome) -> String {
    let mut text = format!(
        "{} of at most {} blocks, {} of confirmation, {}.",
        outcome.blocks, outcome.planned_blocks, outcome.confirmation_blocks, outcome.elapsed
    );
    if outcome.is_race {
        text.push_str(" A race thinned the variants out first, on blocks of its own.");
    }
    if outcome.is_descriptive {
        text.push_str(" Too few blocks to decide anything: descriptive only.");
    }
    if let Some(p) = outcome.canary_p {
        text.push_str(&format!(" Canary (a clone of the reference): p = {p:.3}."));
    }
    if let Some(x) = outcome.detectable {
        text.push_str(&format!(
            " This phase could see a difference of {:.1} %.",
            100.0 * x
        ));
    }
    if let Some(failure) = &outcome.failure {
        text.push_str(&format!(" No result: {failure}."));
    }
    text
}

fn marks(trials: &[&Trial]) -> Vec<Mark> {
    trials
        .iter()
        .filter(|t| is_statistical(t.verdict))
        .filter_map(|t| {
            let best = t.confirmation.as_ref().or(t.comparison.as_ref())?;
            Some(Mark {
                name: t.name.clone(),
                value: best.speedup,
                interval: best.interval,
                is_confirmed: t.confirmation.is_some(),
                verdict: t.verdict,
            })
        })
        .collect()
}

/// A line for one swept parameter, a heat map for two.
fn sweep(run: &Run, phase: &Phase, trials: &[&Trial], stem: &str, title: &str) -> Vec<Piece> {
    let names: Vec<String> = match &phase.question {
        Question::Sweep(parameters) => parameters.iter().map(|p| p.name.clone()).collect(),
        Question::Search(search) => search.parameters.iter().map(|p| p.name.clone()).collect(),
        _ => return vec![],
    };
    let at =
        |c: &Configuration, name: &str| c.get(name).map_or_else(String::new, ToString::to_string);
    let measured: Vec<(&Configuration, (f64, f64, f64))> = trials
        .iter()
        .filter_map(|t| Some((&t.configuration, t.quartiles?)))
        .collect();
    let drawing = match &names[..] {
        [x] => {
            let mut points: Vec<(Value, String, (f64, f64, f64))> = measured
                .iter()
                .filter_map(|(c, q)| Some((c.get(x)?.clone(), at(c, x), *q)))
                .collect();
            let order = |v: &Value| {
                if let Value::Int(i) = v {
                    *i as f64
                } else {
                    0.0
                }
            };
            points.sort_by(|a, b| order(&a.0).total_cmp(&order(&b.0)));
            Drawing::Sweep {
                x: x.clone(),
                points: points.into_iter().map(|(_, l, q)| (l, q)).collect(),
            }
        }
        [x, y] => Drawing::HeatMap {
            x: x.clone(),
            y: y.clone(),
            cells: measured
                .iter()
                .map(|(c, q)| (at(c, x), at(c, y), q.1))
                .collect(),
        },
        _ => return vec![],
    };
    let _ = run;
    vec![Piece::Figure {
        figure: Figure {
            file: format!("{stem}_sweep"),
            drawing,
        },
        caption: format!("{title}: median runtime over {}", names.join(" and ")),
    }]
}

/// The test record of every variant: what changed, what came of it.
fn records(run: &Run, outcome: &PhaseOutcome, trials: &[&Trial]) -> Vec<Piece> {
    let rows: Vec<Vec<String>> = trials
        .iter()
        .map(|t| {
            let changed: Vec<String> = t
                .configuration
                .changes_from(&outcome.reference)
                .into_iter()
                .map(|(name, new)| {
                    let old = outcome
                        .reference
                        .get(&name)
                        .map_or_else(|| "–".into(), ToString::to_string);
                    format!("{name}: {old} → {new}")
                })
                .collect();
            let time = t.quartiles.map_or_else(
                || "–".into(),
                |(q1, median, q3)| {
                    format!(
                        "{} ({} – {})",
                        objective(run, median),
                        objective(run, q1),
                        objective(run, q3)
                    )
                },
            );
            let figure = |c: &Option<crate::stats::Comparison>| {
                c.as_ref()
                    .map_or_else(|| "–".into(), |c| format!("{} {}", speedup(c), interval(c)))
            };
            vec![
                t.name.clone(),
                if changed.is_empty() {
                    "–".into()
                } else {
                    changed.join(", ")
                },
                time,
                figure(&t.comparison),
                figure(&t.confirmation),
                memory(t),
                accuracy(run, t),
                t.compile.map_or_else(|| "–".into(), |c| c.to_string()),
                t.n.to_string(),
                t.verdict.words().into(),
                t.message.clone().unwrap_or_default(),
            ]
        })
        .collect();
    let header = [
        "Variant",
        "Changed",
        "Median (quartiles)",
        "Screening, optimistic",
        "Confirmed",
        "Memory",
        "Accuracy",
        "Prepare",
        "Cells",
        "Verdict",
        "Notes",
    ];
    vec![Piece::Table {
        header: header.map(str::to_owned).to_vec(),
        rows,
    }]
}
