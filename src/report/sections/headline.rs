//! The one figure: the final configuration against the original baseline, on fresh blocks.
use crate::record::Run;
use crate::report::{Piece, interval, objective, speedup};

pub(in crate::report) fn section(run: &Run) -> Vec<Piece> {
    sentences(run).into_iter().map(Piece::Paragraph).collect()
}

pub(in crate::report) fn sentences(run: &Run) -> Vec<String> {
    let mut all = vec![];
    if !run.is_complete {
        all.push(
            "This run was interrupted: what follows is what its finished phases give.".to_owned(),
        );
    }
    for last in &run.finals {
        let case = if last.case.is_empty() {
            String::new()
        } else {
            format!("{}: ", last.case)
        };
        let Some(confirmation) = &last.confirmation else {
            all.push(format!(
                "{case}No improvement over the baseline was shown; the baseline is recommended."
            ));
            continue;
        };
        let medians = last.medians.map_or_else(String::new, |(before, after)| {
            format!(
                ", median {} → {}",
                objective(run, before),
                objective(run, after)
            )
        });
        let percent = (confidence(run) * 100.0).round();
        let is_shown = confirmation.interval.is_some_and(|(lower, _)| lower > 1.0);
        let word = if is_shown {
            ""
        } else {
            " This is no improvement that the blocks show."
        };
        all.push(format!(
            "{case}The recommended configuration is {} as fast as the baseline, {percent} % interval {}, confirmed on {} fresh blocks{medians}.{word}",
            speedup(confirmation),
            interval(confirmation),
            confirmation.blocks
        ));
    }
    all
}

pub(in crate::report) fn confidence(run: &Run) -> f64 {
    run.header.plan.protocol.confidence
}
