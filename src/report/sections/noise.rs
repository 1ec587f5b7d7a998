//! What this machine resolved, and what was doubtful.
use crate::record::{PhaseOutcome, Run};
use crate::report::numbers::{NONE, p_value, percent};
use crate::report::{Piece, Row, columns, counted, phase_title};

pub(in crate::report) fn section(run: &Run) -> Vec<Piece> {
    let mut pieces = vec![
        Piece::Heading(2, "Noise and warnings".into()),
        Piece::Paragraph(calibration(run)),
    ];
    if !run.outcomes.is_empty() {
        pieces.push(table(run));
        pieces.push(Piece::Paragraph(
            "Smallest visible difference: what the widest comparison of the phase would have found in four of five cases. Canary: a clone of the reference among the variants, which should be found equal; p below 0.01 makes a phase untrusted. Drift and states common to all variants do not enter the comparisons, which are made within blocks.".into(),
        ));
    }
    let warnings: Vec<String> = run
        .outcomes
        .iter()
        .flat_map(|o| {
            o.warnings.iter().map(move |w| {
                format!(
                    "{}: {}: {}.",
                    phase_title(o),
                    w.what,
                    named(run, o, &w.detail)
                )
            })
        })
        .chain(run.header.calibration.iter().flat_map(|c| {
            c.warnings
                .iter()
                .map(|w| format!("calibration: {}: {}.", w.what, w.detail))
        }))
        .collect();
    match warnings.is_empty() {
        true => pieces.push(Piece::Paragraph("No warnings.".into())),
        false => pieces.push(Piece::List(warnings)),
    }
    pieces
}

fn calibration(run: &Run) -> String {
    if run.header.plan.on.is_some() {
        return "The nodes were not calibrated; what each phase could see is judged from its own intervals.".into();
    }
    let Some(c) = &run.header.calibration else {
        return "This machine was not calibrated (phasetune calibrate); what each phase could see is judged from its own intervals.".into();
    };
    let of = |n: u32| c.detectable.iter().find(|d| d.0 == n).map(|d| d.1);
    let most = c.detectable.last();
    let mut text = match most {
        Some((n, x)) => format!(
            "Today this machine resolves {} with {n} blocks",
            percent(*x)
        ),
        None => "This machine was calibrated".into(),
    };
    if let Some(x) = of(10).or(of(8)) {
        text.push_str(&format!(
            " and {} with {}",
            percent(x),
            if of(10).is_some() { 10 } else { 8 }
        ));
    }
    text.push_str(&format!(
        ": the reference against its clone, {}, {} a cell, calibrated at {}.",
        counted(c.blocks, "block"),
        counted(c.repetitions, "sample"),
        c.at
    ));
    text
}

fn table(run: &Run) -> Piece {
    let rows = run
        .outcomes
        .iter()
        .map(|o| Row {
            cells: vec![
                phase_title(o),
                format!("{} of {}", o.blocks, o.planned_blocks),
                o.confirmation_blocks.to_string(),
                o.detectable.map_or_else(|| NONE.into(), percent),
                o.canary_p.map_or_else(
                    || "no canary".into(),
                    |p| p_value(p).trim_start_matches("= ").to_owned(),
                ),
                trust(o).into(),
            ],
            is_strong: !o.is_trusted,
        })
        .collect();
    let header = [
        "Phase",
        ">Blocks",
        ">Fresh blocks",
        ">Smallest visible difference",
        ">Canary p",
        "Trust",
    ];
    Piece::Table {
        header: columns(&header),
        rows,
    }
}

fn trust(outcome: &PhaseOutcome) -> &'static str {
    match outcome {
        o if o.failure.is_some() => "no result",
        o if !o.is_trusted => "untrusted",
        o if o.is_descriptive => "descriptive only",
        _ => "trusted",
    }
}

/// The diagnosis knows variants by number; readers know them by name.
fn named(run: &Run, outcome: &PhaseOutcome, detail: &str) -> String {
    let mut parts = detail.split("variant ");
    let mut out = parts.next().unwrap_or("").to_owned();
    for part in parts {
        let digits = part.len() - part.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let number: Option<u32> = part[..digits].parse().ok();
        let trial = run
            .trials_of(&outcome.case, &outcome.phase)
            .find(|t| Some(t.id.0) == number);
        match trial {
            Some(trial) => out.push_str(&format!("{}{}", trial.name, &part[digits..])),
            None => out.push_str(&format!("variant {part}")),
        }
    }
    out.trim_end_matches('.').to_owned()
}
