//! The results table: every variant of every phase with what it was compared with.
use crate::record::Run;
use crate::report::{
    Piece, accuracy, interval, is_row, memory, objective, phase_title, speedup, trials_of,
};
use crate::trial::Verdict;

pub(in crate::report) fn section(run: &Run) -> Vec<Piece> {
    let mut rows = vec![];
    for outcome in &run.outcomes {
        for trial in trials_of(run, outcome).into_iter().filter(|t| is_row(t)) {
            // Dozens of rows that claim nothing hide those that do; the phase's own table has them.
            if trial.verdict == Verdict::ScreenedOut {
                continue;
            }
            let best = trial.confirmation.as_ref().or(trial.comparison.as_ref());
            let label = if trial.confirmation.is_some() {
                " (confirmed)"
            } else {
                ""
            };
            let mut status = trial.verdict.words().to_owned();
            if trial.is_kept && trial.verdict != Verdict::Reference {
                status.push_str(", kept");
            }
            rows.push(vec![
                format!("{} / {}", phase_title(outcome), trial.name),
                trial
                    .quartiles
                    .map_or_else(|| "–".into(), |(_, median, _)| objective(run, median)),
                best.map_or_else(
                    || {
                        if trial.verdict == Verdict::Reference {
                            "1".into()
                        } else {
                            "–".into()
                        }
                    },
                    |c| format!("{}{label}", speedup(c)),
                ),
                best.map_or_else(|| "–".into(), interval),
                memory(trial),
                accuracy(run, trial),
                status,
            ]);
        }
    }
    let dropped = run
        .trials
        .iter()
        .filter(|t| t.verdict == Verdict::ScreenedOut)
        .count();
    for last in &run.finals {
        let (Some(c), Some((_, after))) = (&last.confirmation, last.medians) else {
            continue;
        };
        let case = if last.case.is_empty() {
            String::new()
        } else {
            format!("{}: ", last.case)
        };
        rows.push(vec![
            format!("{case}final / recommended configuration against the original baseline"),
            objective(run, after),
            format!("{} (confirmed)", speedup(c)),
            interval(c),
            "–".into(),
            "–".into(),
            if c.interval.is_some_and(|(l, _)| l > 1.0) {
                "faster".into()
            } else {
                "not shown".into()
            },
        ]);
    }
    let percent = (run.header.plan.protocol.confidence * 100.0).round();
    let mut pieces = vec![
        Piece::Heading(2, "Results".into()),
        Piece::Paragraph(format!(
            "Runtime is the median of the cells. Speedup is against the reference of the same phase (its row says reference), never against another phase; intervals are repeated {percent} % intervals over all looks and variants of the phase. Figures that are not marked confirmed come from the blocks that chose among the variants: screening, optimistic."
        )),
        Piece::Table {
            header: [
                "Test",
                "Runtime",
                "vs reference",
                &format!("{percent} % interval"),
                "Memory",
                "Accuracy",
                "Status",
            ]
            .map(str::to_owned)
            .to_vec(),
            rows,
        },
    ];
    if dropped > 0 {
        pieces.push(Piece::Paragraph(format!(
            "{dropped} more were dropped by races without a claim; they are in the tables of their phases."
        )));
    }
    pieces
}
