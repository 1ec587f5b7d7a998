//! One chapter a phase: its question, what it came to, its plots and its test record.
use super::{costs, record, search, shapes};
use crate::plan::{Phase, Question};
use crate::record::{PhaseOutcome, Run};
use crate::report::numbers::{p_value, percent};
use crate::report::{Piece, counted, file_name, kept, phase_title};
use crate::value::Nanoseconds;

pub(in crate::report) fn section(run: &Run) -> Vec<Piece> {
    let chapters: Vec<Piece> = run.outcomes.iter().flat_map(|o| chapter(run, o)).collect();
    if chapters.is_empty() {
        return vec![];
    }
    [vec![Piece::Heading(2, "Phase by phase".into())], chapters].concat()
}

fn chapter(run: &Run, outcome: &PhaseOutcome) -> Vec<Piece> {
    let title = phase_title(outcome);
    let phase = run
        .header
        .plan
        .phases
        .iter()
        .find(|p| p.name == outcome.phase);
    let heading = match phase
        .map(|p| p.title.as_str())
        .filter(|t| !t.is_empty() && *t != outcome.phase)
    {
        Some(long) => format!("{title}: {long}"),
        None => title.clone(),
    };
    let stem = format!("plots/{}", file_name(&title));
    let mut pieces = vec![Piece::Heading(3, heading)];
    pieces.extend(phase.map(|p| Piece::Paragraph(question(p))));
    pieces.push(Piece::Paragraph(course(outcome)));
    if let Some(failure) = &outcome.failure {
        pieces.push(Piece::Strong(format!(
            "No result: {}.",
            failure.trim_end_matches('.')
        )));
    }
    if let Some(note) = &outcome.note {
        pieces.push(Piece::Paragraph(sentence(note)));
    }
    pieces.extend(shapes::forest(run, outcome, &stem));
    pieces.extend(phase.and_then(|p| shapes::over_parameters(run, outcome, p, &stem)));
    pieces.extend(phase.and_then(|p| costs::table(run, outcome, p)));
    if let Some(phase) = phase {
        pieces.extend(search::pieces(run, outcome, phase, &stem));
    }
    pieces.extend(record::tables(run, outcome));
    pieces.extend(shapes::cells(run, outcome, &stem));
    pieces.push(Piece::Paragraph(handed_on(run, outcome)));
    pieces
}

/// What the author asked and expected.
fn question(phase: &Phase) -> String {
    let mut text = match &phase.question {
        Question::Baseline => "The configuration that everything starts from.".to_owned(),
        Question::Variants(variants) => format!(
            "{} against the reference.",
            counted(variants.len() as u64, "named variant")
        ),
        Question::Sweep(parameters) => {
            let sizes: Vec<String> = parameters
                .iter()
                .map(|p| format!("{} ({} values)", p.name, p.values.len()))
                .collect();
            format!("A sweep over {}.", crate::report::listed(&sizes))
        }
        Question::Search(search) => {
            let names: Vec<&str> = search.parameters.iter().map(|p| p.name.as_str()).collect();
            format!(
                "A search ({}) over {}.",
                search.strategy,
                crate::report::listed(&names)
            )
        }
        Question::Combine(names) => format!(
            "The factorial of what {} kept.",
            crate::report::listed(names)
        ),
    };
    if let Some(because) = phase.hypothesis.as_ref().and_then(|h| h.because.as_ref()) {
        text.push_str(&format!(" Hypothesis: {}.", because.trim_end_matches('.')));
    }
    text
}

/// How it was measured.
fn course(outcome: &PhaseOutcome) -> String {
    let mut text = format!(
        "Measured in {} (planned: at most {})",
        counted(outcome.blocks, "block"),
        outcome.planned_blocks
    );
    if outcome.confirmation_blocks > 0 {
        text.push_str(&format!(
            ", then {} of confirmation",
            counted(outcome.confirmation_blocks, "fresh block")
        ));
    }
    text.push_str(&format!("; {} in all.", rounded(outcome.elapsed)));
    if outcome.is_race {
        text.push_str(" A race on blocks of its own thinned the variants out first; of what it dropped no significance is claimed.");
    }
    if outcome.is_descriptive {
        text.push_str(" Too few blocks to decide anything: descriptive only.");
    }
    if let Some(p) = outcome.canary_p {
        let word = if outcome.is_trusted {
            "as it should"
        } else {
            "it did not, so nothing here can be trusted"
        };
        text.push_str(&format!(
            " The canary, a clone of the reference, should come out equal: {word} (p {}).",
            p_value(p)
        ));
    }
    if let Some(x) = outcome.detectable {
        text.push_str(&format!(" Smallest visible difference: {}.", percent(x)));
    }
    text
}

fn rounded(time: Nanoseconds) -> String {
    match time.0 / 1e9 {
        s if s >= 60.0 => time.to_string(),
        s if s >= 1.0 => format!("{s:.0} s"),
        s => format!("{s:.2} s"),
    }
}

fn handed_on(run: &Run, outcome: &PhaseOutcome) -> String {
    match kept(run, outcome) {
        Some(trial) => format!("Handed on: {}.", trial.name),
        None => "Handed on: the reference, unchanged.".into(),
    }
}

/// A note as a sentence: a capital and a full stop.
fn sentence(note: &str) -> String {
    let mut letters = note.trim_end_matches('.').chars();
    let first: String = letters
        .next()
        .map(|c| c.to_uppercase().collect())
        .unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}
