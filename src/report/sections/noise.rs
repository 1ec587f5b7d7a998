//! What this machine resolved, and what was doubtful.
use crate::record::Run;
use crate::report::{Piece, phase_title};

pub(in crate::report) fn section(run: &Run) -> Vec<Piece> {
    let mut pieces = vec![Piece::Heading(2, "Noise and warnings".into())];
    match &run.header.calibration {
        Some(c) => {
            let resolved = c.detectable.last().map_or(f64::NAN, |d| 100.0 * d.1);
            pieces.push(Piece::Paragraph(format!(
                "Calibrated at {}: with {} blocks this machine resolved {resolved:.2} % ({} sample(s) a cell).",
                c.at, c.blocks, c.repetitions
            )));
        }
        None => pieces.push(Piece::Paragraph("This machine was not calibrated (`phasetune calibrate`); what each phase could see is from its own intervals.".into())),
    }
    let rows: Vec<Vec<String>> = run
        .outcomes
        .iter()
        .map(|o| {
            vec![
                phase_title(o),
                o.blocks.to_string(),
                o.detectable
                    .map_or_else(|| "–".into(), |x| format!("{:.2} %", 100.0 * x)),
                o.canary_p.map_or_else(|| "–".into(), |p| format!("{p:.3}")),
                if o.is_trusted {
                    "yes".into()
                } else {
                    "no".into()
                },
            ]
        })
        .collect();
    pieces.push(Piece::Table {
        header: ["Phase", "Blocks", "Could see", "Canary p", "Trusted"]
            .map(str::to_owned)
            .to_vec(),
        rows,
    });
    let warnings: Vec<String> = run
        .outcomes
        .iter()
        .flat_map(|o| {
            o.warnings.iter().map(move |w| {
                format!(
                    "{}: {}: {}",
                    phase_title(o),
                    w.what,
                    name_variants(run, o, &w.detail)
                )
            })
        })
        .collect();
    if !warnings.is_empty() {
        pieces.push(Piece::List(warnings));
    }
    pieces
}

/// The diagnosis knows variants by number; readers know them by name.
fn name_variants(run: &Run, outcome: &crate::record::PhaseOutcome, detail: &str) -> String {
    let mut text = detail.to_owned();
    let mut trials: Vec<_> = run.trials_of(&outcome.case, &outcome.phase).collect();
    trials.reverse();
    for trial in trials {
        text = text.replace(&format!("variant {}", trial.id.0), &trial.name);
    }
    text
}
