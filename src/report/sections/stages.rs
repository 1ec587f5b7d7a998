//! Where the reference's time goes, and what speeding up one stage could give at most.
use crate::record::Run;
use crate::report::{Piece, is_row, phase_title, trials_of};

pub(in crate::report) fn section(run: &Run) -> Vec<Piece> {
    let names = &run.header.declaration.stages;
    let Some((outcome, trial)) = run.outcomes.iter().find_map(|o| {
        trials_of(run, o)
            .into_iter()
            .find(|t| is_row(t) && t.stages.len() == names.len() && !t.stages.is_empty())
            .map(|t| (o, t))
    }) else {
        return vec![];
    };
    let total: f64 = trial.stages.iter().map(|s| s.0).sum();
    if total <= 0.0 {
        return vec![];
    }
    let mut order: Vec<usize> = (0..names.len())
        .filter(|&i| trial.stages[i].0 > 0.0)
        .collect();
    order.sort_by(|&a, &b| trial.stages[b].0.total_cmp(&trial.stages[a].0));
    let mut cumulative = 0.0;
    let rows = order
        .into_iter()
        .map(|i| {
            let share = trial.stages[i].0 / total;
            cumulative += share;
            // Amdahl 1967: all else equal, without this stage the whole is 1/(1 − share) as fast.
            let bound = if share < 0.9999 {
                format!("{:.2}×", 1.0 / (1.0 - share))
            } else {
                "–".into()
            };
            vec![
                names[i].clone(),
                trial.stages[i].to_string(),
                format!("{:.1} %", 100.0 * share),
                format!("{:.1} %", 100.0 * cumulative),
                bound,
            ]
        })
        .collect();
    vec![
        Piece::Heading(2, "Stages".into()),
        Piece::Paragraph(format!(
            "Medians of {} in {}; the Amdahl bound is the speedup of the whole if the stage cost nothing.",
            trial.name,
            phase_title(outcome)
        )),
        Piece::Table {
            header: ["Stage", "Time", "Share", "Cumulative", "Amdahl bound"]
                .map(str::to_owned)
                .to_vec(),
            rows,
        },
    ]
}
