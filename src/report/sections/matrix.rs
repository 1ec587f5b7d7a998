//! The cases of a matrix side by side: what each phase kept where.
use crate::record::{Final, Run};
use crate::report::numbers::{NONE, with_interval};
use crate::report::{Piece, Row, columns, effect, kept};
use crate::trial::Verdict;

pub(in crate::report) fn section(run: &Run) -> Vec<Piece> {
    let plan = &run.header.plan;
    if plan.cases.len() < 2 {
        return vec![];
    }
    let mut rows: Vec<Row> = plan
        .phases
        .iter()
        .map(|phase| {
            let mut cells = vec![phase.name.clone()];
            cells.extend(
                plan.cases
                    .iter()
                    .map(|case| cell(run, &case.name, &phase.name)),
            );
            Row::new(cells)
        })
        .collect();
    let mut last = vec!["final vs the case's own baseline".to_owned()];
    last.extend(plan.cases.iter().map(|case| {
        let found = run.finals.iter().find(|f| f.case == case.name);
        found
            .and_then(|f| f.confirmation.as_ref())
            .map_or_else(|| NONE.into(), with_interval)
    }));
    rows.push(Row {
        cells: last,
        is_strong: true,
    });
    let mut header = vec!["Phase".to_owned()];
    header.extend(plan.cases.iter().map(|c| c.name.clone()));
    vec![
        Piece::Heading(2, "Cases side by side".into()),
        Piece::Paragraph("What each phase kept, with its confirmed speedup against the reference of that phase and case. Times of different cases are not compared with one another.".into()),
        Piece::Table { header: columns(&header), rows },
    ]
}

fn cell(run: &Run, case: &str, phase: &str) -> String {
    let is_absent = |last: &Final| last.case == case && last.absent.is_some();
    if run.finals.iter().any(is_absent) {
        return Verdict::Unsupported.words().into();
    }
    let Some(outcome) = run
        .outcomes
        .iter()
        .find(|o| o.case == case && o.phase == phase)
    else {
        return "not finished".into();
    };
    match (kept(run, outcome), &outcome.failure) {
        (_, Some(_)) => "no result".into(),
        (Some(trial), None) => match effect(trial) {
            Some((c, _)) => format!("{}: {}", trial.name, with_interval(c)),
            None => trial.name.clone(),
        },
        (None, None) if !outcome.is_trusted => "untrusted".into(),
        (None, None) => "reference".into(),
    }
}
