//! Where the time goes, in the baseline and in what was kept last, and what speeding up one stage could give at most.
use crate::record::{Run, Trial};
use crate::report::numbers::{NONE, Unit, percent};
use crate::report::{Piece, Row, columns, in_case, kept, variants};
use crate::trial::Verdict;

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
    let mut pieces = vec![table(names, first, "the baseline", case)];
    pieces.extend(last.map(|t| {
        table(
            names,
            t,
            &format!("{} / {}, kept last", t.phase, t.name),
            case,
        )
    }));
    pieces.into_iter().flatten().collect()
}

fn table(names: &[String], trial: &Trial, which: &str, case: &str) -> Vec<Piece> {
    let total: f64 = trial.stages.iter().map(|s| s.0).sum();
    let mut order: Vec<usize> = (0..names.len())
        .filter(|&i| trial.stages[i].0 > 0.0)
        .collect();
    order.sort_by(|&a, &b| trial.stages[b].0.total_cmp(&trial.stages[a].0));
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
