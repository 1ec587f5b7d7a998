//! Success criteria and how they ended.
use crate::record::{CriterionState, Run};
use crate::report::{Piece, phase_title};
use crate::value::{Bytes, Nanoseconds};

pub(in crate::report) fn section(run: &Run) -> Vec<Piece> {
    let mut rows = vec![];
    for outcome in &run.outcomes {
        for criterion in &outcome.criteria {
            let state = match criterion.state {
                CriterionState::Met => "met",
                CriterionState::Failed => "failed",
                CriterionState::Undecided => "undecided",
            };
            let show = |x: f64| match criterion.text.as_str() {
                t if t.starts_with("runtime") => Nanoseconds(x).to_string(),
                t if t.starts_with("peak_memory") => Bytes(x as u64).to_string(),
                _ if x != 0.0 && x.abs() < 1e-2 => format!("{x:.2e}"),
                _ => format!("{x:.3}"),
            };
            let measured = criterion.measured.map_or_else(
                || "–".into(),
                |(value, lower, upper)| {
                    if lower == upper {
                        show(value)
                    } else {
                        format!("{} [{}, {}]", show(value), show(lower), show(upper))
                    }
                },
            );
            rows.push(vec![
                phase_title(outcome),
                criterion.text.clone(),
                measured,
                state.into(),
            ]);
        }
    }
    if rows.is_empty() {
        return vec![];
    }
    vec![
        Piece::Heading(2, "Success criteria".into()),
        Piece::Paragraph("Decided from the bounds of the interval, not from the estimate.".into()),
        Piece::Table {
            header: ["Phase", "Criterion", "Measured", "State"]
                .map(str::to_owned)
                .to_vec(),
            rows,
        },
    ]
}
