//! Speed against accuracy against memory.
use crate::record::{Run, Trial};
use crate::report::numbers::{Unit, figure, objective_name, small};
use crate::report::plot::pareto::{Choice, front, pareto};
use crate::report::{
    Figure, Files, Piece, Row, accuracy, columns, file_name, in_case, metric, variants,
};
use crate::trial::Verdict;
use crate::value::Bytes;

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
    [
        vec![Piece::Heading(2, "Speed, accuracy, memory".into())],
        pieces,
    ]
    .concat()
}

fn of_case(run: &Run, case: &str) -> Vec<Piece> {
    let (name, limit) = metric(run);
    let found = measured(run, case, name);
    // Of one accuracy there is nothing to choose.
    let is_choice = found
        .iter()
        .any(|(_, t, e)| t.quartiles.is_some() && *e != found[0].2);
    if found.len() < 3 || !is_choice {
        return vec![];
    }
    let unit = Unit::of_trials(run, found.iter().map(|f| f.1));
    let choices: Vec<Choice> = found
        .iter()
        .filter_map(|(label, trial, error)| {
            Some(Choice {
                name: label.clone(),
                time: unit.scaled(trial.quartiles?.1),
                error: *error,
                memory: trial.host_peak.or(trial.device_peak).map(|b| b.0 as f64),
            })
        })
        .collect();
    let front = front(&choices);
    let rows = front
        .iter()
        .map(|&i| {
            let choice = &choices[i];
            let memory = choice
                .memory
                .map_or_else(|| "–".into(), |m| Bytes(m as u64).to_string());
            Row::new(vec![
                choice.name.clone(),
                figure(choice.time),
                small(choice.error),
                memory,
            ])
        })
        .collect::<Vec<_>>();
    let what = objective_name(run);
    let suffix = if case.is_empty() {
        String::new()
    } else {
        format!("_{}", file_name(case))
    };
    let mut pieces = vec![Piece::Figure(Figure {
        file: format!("plots/pareto{suffix}"),
        title: in_case(case, "speed against accuracy"),
        caption: format!(
            "Median against {name} of every variant that was timed, all phases; the area of a point is its peak memory. Medians of different phases were measured at different times. Variants outside the accuracy limit were not timed and are not here."
        ),
        files: Files::Both,
        sketch: pareto(
            &choices,
            &format!("{} (median, log scale)", unit.head(&what.to_lowercase())),
            name,
            limit,
            &|m| Bytes(m as u64).to_string(),
        ),
    })];
    pieces.push(Piece::Paragraph(
        "What nothing measured beats in both, quickest first:".into(),
    ));
    pieces.push(Piece::Table {
        header: columns(&[
            "Variant".to_owned(),
            format!(">{}", unit.head(&what)),
            format!(">{name}"),
            ">Peak memory".to_owned(),
        ]),
        rows,
    });
    pieces
}

/// Every timed variant with a finite error; a reference only where no earlier row has its configuration.
fn measured<'a>(run: &'a Run, case: &str, metric: &str) -> Vec<(String, &'a Trial, f64)> {
    let mut found: Vec<(String, &Trial, f64)> = vec![];
    for outcome in run.outcomes.iter().filter(|o| o.case == case) {
        for trial in variants(run, outcome) {
            let Some(error) = accuracy(trial, metric).filter(|e| e.is_finite() && *e >= 0.0) else {
                continue;
            };
            let is_again = trial.verdict == Verdict::Reference
                && found
                    .iter()
                    .any(|f| f.1.configuration == trial.configuration);
            let is_timed = trial
                .quartiles
                .is_some_and(|q| q.1 > 0.0 && q.1.is_finite());
            let has_failed =
                trial.verdict == Verdict::Inaccurate || trial.ending.verdict().is_some();
            if is_timed && !is_again && !has_failed {
                found.push((format!("{} / {}", outcome.phase, trial.name), trial, error));
            }
        }
    }
    found
}
