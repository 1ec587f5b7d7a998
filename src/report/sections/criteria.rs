//! Success criteria and how they ended.
use crate::plan::{Criterion, STAGE_SPEEDUP};
use crate::record::{CriterionOutcome, CriterionState, Run};
use crate::report::numbers::{NONE, small};
use crate::report::{Piece, Row, columns, phase_title};
use crate::value::{Bytes, Nanoseconds};

pub(in crate::report) fn section(run: &Run) -> Vec<Piece> {
    let mut counts = [0_usize; 3];
    let mut rows = vec![];
    for outcome in &run.outcomes {
        let phase = run
            .header
            .plan
            .phases
            .iter()
            .find(|p| p.name == outcome.phase);
        for (i, found) in outcome.criteria.iter().enumerate() {
            let criterion = phase
                .and_then(|p| p.criteria.get(i))
                .filter(|c| c.text == found.text);
            counts[found.state as usize] += 1;
            rows.push(Row {
                cells: vec![
                    phase_title(outcome),
                    found.text.clone(),
                    measured(found, criterion),
                    word(found.state).into(),
                ],
                is_strong: found.state == CriterionState::Failed,
            });
        }
    }
    if rows.is_empty() {
        return vec![];
    }
    let [met, failed, undecided] = counts;
    vec![
        Piece::Heading(2, "Success criteria".into()),
        Piece::Paragraph(format!(
            "{met} met, {failed} failed, {undecided} undecided. Decided from the bounds of the interval in brackets, not from the estimate: undecided means that the bound asked for lies inside it."
        )),
        Piece::Table {
            header: columns(&["Phase", "Criterion", ">Measured", "State"]),
            rows,
        },
    ]
}

fn word(state: CriterionState) -> &'static str {
    match state {
        CriterionState::Met => "met",
        CriterionState::Failed => "failed",
        CriterionState::Undecided => "undecided",
    }
}

/// The estimate with its bounds, in the quantity's unit.
fn measured(found: &CriterionOutcome, criterion: Option<&Criterion>) -> String {
    let Some((value, lower, upper)) = found.measured else {
        return NONE.into();
    };
    let quantity = criterion.map_or("", |c| c.quantity.as_str());
    let show = |x: f64| match quantity {
        "runtime" => Nanoseconds(x).to_string(),
        "peak_memory" if x.is_finite() && x >= 0.0 => Bytes(x as u64).to_string(),
        name if name == "speedup" || name.starts_with(STAGE_SPEEDUP) => format!("{x:.3}×"),
        _ => small(x),
    };
    match lower == upper || !(lower.is_finite() && upper.is_finite()) {
        true => show(value),
        false => format!("{} [{}, {}]", show(value), show(lower), show(upper)),
    }
}
