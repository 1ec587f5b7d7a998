//! From the baseline to the final configuration, step by step.
use crate::record::Run;
use crate::report::plot::Drawing;
use crate::report::{Figure, Piece, file_name, objective, trials_of};

pub(in crate::report) fn section(run: &Run) -> Vec<Piece> {
    let mut pieces = vec![];
    for last in &run.finals {
        let Some((before, after)) = last.medians else {
            continue;
        };
        let mut steps = vec![("baseline".to_owned(), before, String::new())];
        for outcome in run.outcomes.iter().filter(|o| o.case == last.case) {
            let kept = trials_of(run, outcome)
                .into_iter()
                .find(|t| t.is_kept && t.comparison.is_some());
            if let (Some(trial), Some(name)) = (kept, &outcome.kept_variant)
                && let Some((_, median, _)) = trial.quartiles
            {
                // What its own reference took in the same blocks: the machine may have been another by then.
                let own = trials_of(run, outcome)
                    .first()
                    .and_then(|t| t.quartiles)
                    .map_or_else(String::new, |q| {
                        format!("  (reference then: {})", objective(run, q.1))
                    });
                steps.push((format!("{}: {name}", outcome.phase), median, own));
            }
        }
        let share = format!("  ({:.0} % of the baseline)", 100.0 * after / before);
        steps.push(("final".to_owned(), after, share));
        let case = if last.case.is_empty() {
            String::new()
        } else {
            format!("_{}", file_name(&last.case))
        };
        pieces.push(Piece::Figure {
            figure: Figure { file: format!("plots/waterfall{case}"), drawing: Drawing::Waterfall { steps } },
            caption: "Median runtime at each step that was kept. Phases are measured at different times, so each names what its own reference took then; only baseline and final come from the same fresh blocks".into(),
        });
    }
    if !pieces.is_empty() {
        pieces.insert(0, Piece::Heading(2, "From baseline to final".into()));
    }
    pieces
}
