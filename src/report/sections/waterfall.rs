//! From the baseline to the final configuration, step by step.
use crate::record::{Final, PhaseOutcome, Run, Trial};
use crate::report::numbers::{Unit, interval, objective_name, speedup};
use crate::report::plot::waterfall::{Step, waterfall};
use crate::report::{Figure, Files, Piece, effect, file_name, in_case, kept, variants, way};
use crate::trial::VariantId;

pub(in crate::report) fn section(run: &Run) -> Vec<Piece> {
    let figures: Vec<Piece> = run
        .finals
        .iter()
        .filter_map(|last| figure(run, last))
        .collect();
    if figures.is_empty() {
        return vec![];
    }
    [
        vec![Piece::Heading(2, "From baseline to final".into())],
        figures,
    ]
    .concat()
}

fn figure(run: &Run, last: &Final) -> Option<Piece> {
    let (confirmation, (before, after)) = (last.confirmation.as_ref()?, last.medians?);
    let kept: Vec<(&PhaseOutcome, &Trial)> = way(run, last)
        .into_iter()
        .filter_map(|o| Some((o, kept(run, o)?)))
        .collect();
    let quartiles: Vec<_> = kept
        .iter()
        .filter_map(|(_, t)| t.quartiles)
        .chain([(before, before, before), (after, after, after)])
        .collect();
    let unit = Unit::of_objective(run, &quartiles);
    let step = |name: String, value: f64, remark: String| Step {
        name,
        value,
        text: unit.full(value),
        remark,
    };
    let mut steps = vec![step(
        "baseline".into(),
        before,
        "measured with the final one".into(),
    )];
    for (outcome, trial) in kept {
        if let Some((_, median, _)) = trial.quartiles {
            // The machine may have been another by then: what its own reference took in the same blocks says so.
            let reference = variants(run, outcome)
                .into_iter()
                .find(|t| t.id == VariantId::REFERENCE);
            let then = reference
                .and_then(|t| t.quartiles)
                .map_or_else(String::new, |q| format!(" ({})", unit.full(q.1)));
            let remark = effect(trial).map_or_else(String::new, |(c, _)| {
                format!("{} vs its own reference{then}", speedup(c))
            });
            let name = format!("{}: {}", outcome.phase, trial.name);
            steps.push(step(name, median, remark));
        }
    }
    steps.push(step(
        "final".into(),
        after,
        format!(
            "{} vs baseline {}",
            speedup(confirmation),
            interval(confirmation)
        ),
    ));
    let suffix = if last.case.is_empty() {
        String::new()
    } else {
        format!("_{}", file_name(&last.case))
    };
    let title = format!("{} (median)", objective_name(run).to_lowercase());
    Some(Piece::Figure(Figure {
        file: format!("plots/waterfall{suffix}"),
        title: in_case(&last.case, "waterfall from the baseline to the final configuration"),
        caption: "Median at each step that was kept and led to the final configuration. Phases are measured at different times, so each step names what its own reference took then, and bars of neighbouring steps are no comparison; the first and the last bar are one: same fresh blocks.".into(),
        files: Files::Both,
        sketch: waterfall(&steps, &title),
    }))
}
