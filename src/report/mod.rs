//! From records to a document. Reads records only; the same records give the same bytes.
mod against;
#[cfg(test)]
mod fixture;
mod markdown;
mod numbers;
mod plot;
mod sections;
#[cfg(test)]
mod tests;
mod write;

pub use sections::recommended::yaml as baseline_yaml;
pub use write::{ReportError, write};

use crate::plan::{Objective, Phase, Question};
use crate::record::{Final, PhaseOutcome, Run, Trial};
use crate::stats::Comparison;
use crate::trial::Verdict;
use crate::value::{Bytes, Nanoseconds};
use std::collections::BTreeSet;

/// A piece of the document. Text is plain here; the renderer escapes it, once.
#[derive(Clone, Debug, PartialEq)]
enum Piece {
    /// Level 2 or 3.
    Heading(u8, String),
    Paragraph(String),
    /// What a reader in a hurry takes away.
    Strong(String),
    List(Vec<String>),
    Table {
        header: Vec<(String, Align)>,
        rows: Vec<Row>,
    },
    Figure(Figure),
    Code {
        language: &'static str,
        text: String,
    },
    /// Complete, but out of the way.
    Folded {
        summary: String,
        pieces: Vec<Piece>,
    },
}

/// A picture under the report's folder.
#[derive(Clone, Debug, PartialEq)]
struct Figure {
    /// Without ending: `plots/tiling_speedups`.
    file: String,
    /// What it shows, for who cannot see it.
    title: String,
    /// How to read it.
    caption: String,
    sketch: plot::Sketch,
    files: Files,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Files {
    /// PNG for the document, SVG for print.
    Both,
    /// Pixels: a vector of them shows nothing more.
    PngOnly,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Align {
    Left,
    /// Figures, whose digits then stand under one another.
    Right,
}

#[derive(Clone, Debug, PartialEq)]
struct Row {
    cells: Vec<String>,
    is_strong: bool,
}

impl Row {
    fn new(cells: Vec<String>) -> Row {
        Row {
            cells,
            is_strong: false,
        }
    }
}

/// A header of columns: a name that begins with `>` is one of figures.
fn columns<T: AsRef<str>>(names: &[T]) -> Vec<(String, Align)> {
    let column = |name: &T| match name.as_ref().strip_prefix('>') {
        Some(name) => (name.to_owned(), Align::Right),
        None => (name.as_ref().to_owned(), Align::Left),
    };
    names.iter().map(column).collect()
}

/// A section: records in, pieces out. Empty where it has nothing to say.
type Section = fn(&Run) -> Vec<Piece>;

/// Every section in reading order. To add one: its file and a line here.
static SECTIONS: &[Section] = &[
    sections::headline::section,
    sections::results::section,
    sections::recommended::section,
    sections::findings::section,
    sections::hypotheses::section,
    sections::priority::section,
    sections::criteria::section,
    sections::graph::section,
    sections::matrix::section,
    sections::waterfall::section,
    sections::phases::section,
    sections::loss::section,
    sections::stages::section,
    sections::roofline::section,
    sections::pareto::section,
    sections::quality::section,
    sections::nodes::section,
    sections::noise::section,
    sections::reproduce::section,
];

fn document(run: &Run, against: Option<&Run>) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = SECTIONS.iter().flat_map(|section| section(run)).collect();
    if let Some(other) = against {
        pieces.extend(against::section(run, other));
    }
    separate(&mut pieces, &mut BTreeSet::new());
    pieces
}

/// Two names may differ only in what a file's name cannot hold: the second figure gets a number.
fn separate(pieces: &mut [Piece], taken: &mut BTreeSet<String>) {
    for piece in pieces {
        match piece {
            Piece::Figure(figure) => {
                let stem = figure.file.clone();
                let mut number = 2;
                // Some file systems do not tell capitals from small letters.
                while !taken.insert(figure.file.to_lowercase()) {
                    figure.file = format!("{stem}_{number}");
                    number += 1;
                }
            }
            Piece::Folded { pieces, .. } => separate(pieces, taken),
            _ => {}
        }
    }
}

/// The headline in sentences, as the report begins with it; for the terminal.
pub fn headlines(run: &Run) -> Vec<String> {
    sections::headline::sentences(run)
}

/// A value of the objective in its unit, three or four digits.
pub fn objective(run: &Run, value: f64) -> String {
    match &run.header.plan.objective {
        Objective::Runtime | Objective::DeviceTime => Nanoseconds(value).to_string(),
        Objective::PeakMemory => Bytes(value as u64).to_string(),
        Objective::Energy => format!("{value:.3} J"),
        Objective::Metric(_) => numbers::figure(value),
    }
}

/// "phase" or "case: phase".
pub fn phase_title(outcome: &PhaseOutcome) -> String {
    in_case(&outcome.case, &outcome.phase)
}

/// "case: text", or the text where there is no matrix.
fn in_case(case: &str, text: &str) -> String {
    match case.is_empty() {
        true => text.to_owned(),
        false => format!("{case}: {text}"),
    }
}

/// Letters, digits, `_` and `-` of a name, for a file.
fn file_name(name: &str) -> String {
    let safe = |c: char| {
        if c.is_ascii_alphanumeric() || "-_=".contains(c) {
            c
        } else {
            '_'
        }
    };
    name.chars().map(safe).take(60).collect()
}

/// What a phase's variants are compared with, in words: "the baseline with tile=64".
fn reference_name(run: &Run, outcome: &PhaseOutcome) -> String {
    let from = outcome.reference.changes_from(&run.header.plan.baseline);
    let all: Vec<String> = from.iter().map(|(n, v)| format!("{n}={v}")).collect();
    match all.is_empty() {
        true => "the baseline".into(),
        false => format!("the baseline with {}", all.join(", ")),
    }
}

/// The variants of a phase's outcome in order, without the canary.
fn variants<'a>(run: &'a Run, outcome: &'a PhaseOutcome) -> Vec<&'a Trial> {
    run.trials_of(&outcome.case, &outcome.phase)
        .filter(|t| !t.is_canary)
        .collect()
}

/// The variant that the phase hands on, if it is not the reference.
fn kept<'a>(run: &'a Run, outcome: &'a PhaseOutcome) -> Option<&'a Trial> {
    let name = outcome.kept_variant.as_ref()?;
    variants(run, outcome).into_iter().find(|t| &t.name == name)
}

/// The phases that the final configuration of a case comes from, in the plan's order: the last one and what that builds on. Of
/// what it combines only those whose own winner is part of it.
fn way<'a>(run: &'a Run, last: &Final) -> Vec<&'a PhaseOutcome> {
    let plan = &run.header.plan;
    let outcome = |name: &str| {
        let here = |o: &&PhaseOutcome| o.case == last.case && o.phase == name;
        run.outcomes.iter().find(here)
    };
    let is_part = |name: &&String| {
        outcome(name).is_some_and(|o| {
            let changes = o.kept.changes_from(&o.reference);
            (changes.iter()).all(|(name, value)| last.configuration.get(name) == Some(value))
        })
    };
    let mut found = BTreeSet::new();
    let mut left: Vec<&Phase> = plan.last_phase().into_iter().collect();
    while let Some(phase) = left.pop() {
        if !found.insert(phase.name.as_str()) {
            continue;
        }
        let mut parents: Vec<&String> = phase.after.iter().collect();
        if let Question::Combine(names) = &phase.question {
            parents.extend(names.iter().filter(is_part));
        }
        left.extend(plan.phases.iter().filter(|p| parents.contains(&&p.name)));
    }
    let on_it = |o: &&PhaseOutcome| o.case == last.case && found.contains(o.phase.as_str());
    run.outcomes.iter().filter(on_it).collect()
}

/// What is known best of a variant against its reference, and whether it was confirmed on fresh blocks.
fn effect(trial: &Trial) -> Option<(&Comparison, bool)> {
    let confirmed = trial.confirmation.as_ref().map(|c| (c, true));
    confirmed.or(screening(trial).map(|c| (c, false)))
}

/// Peak memory where the work is done: of the device, where there is one.
fn peak(trial: &Trial) -> Option<Bytes> {
    trial.device_peak.or(trial.host_peak)
}

/// What the screening gave, of a variant that ran to its end.
fn screening(trial: &Trial) -> Option<&Comparison> {
    let comparison = trial.comparison.as_ref().filter(|c| c.blocks > 0);
    comparison.filter(|_| is_statistical(trial.verdict))
}

/// Whether the verdict was read from a comparison of times.
fn is_statistical(verdict: Verdict) -> bool {
    matches!(
        verdict,
        Verdict::Faster
            | Verdict::SlightlyFaster
            | Verdict::Equivalent
            | Verdict::Inconclusive
            | Verdict::SlightlySlower
            | Verdict::Slower
            | Verdict::Untrusted
    )
}

/// Quartiles of a variant that ran to its end; those of the cells before a crash are no result.
fn timed(trial: &Trial) -> Option<(f64, f64, f64)> {
    let is_whole = trial.verdict == Verdict::Reference
        || trial.verdict == Verdict::ScreenedOut
        || is_statistical(trial.verdict);
    trial.quartiles.filter(|_| is_whole)
}

/// The accuracy metric that the plan limits first, with its limit; else one that is usual.
fn metric(run: &Run) -> (&str, Option<f64>) {
    match run.header.plan.accuracy.limits.first() {
        Some((name, limit)) => (name, Some(*limit)),
        None => ("rel_l2", None),
    }
}

fn accuracy(trial: &Trial, name: &str) -> Option<f64> {
    trial
        .accuracy
        .iter()
        .find(|(n, _)| n == name)
        .map(|(_, v)| *v)
}

/// As a sentence lists names: "a, b and c".
fn listed<T: AsRef<str>>(names: &[T]) -> String {
    match names {
        [] => String::new(),
        [one] => one.as_ref().to_owned(),
        [most @ .., last] => {
            let most: Vec<&str> = most.iter().map(AsRef::as_ref).collect();
            format!("{} and {}", most.join(", "), last.as_ref())
        }
    }
}

/// At most this many names, then how many more.
fn listed_at_most<T: AsRef<str>>(names: &[T], most: usize) -> String {
    if names.len() <= most + 1 {
        return listed(names);
    }
    let some: Vec<&str> = names[..most].iter().map(AsRef::as_ref).collect();
    format!("{} and {} more", some.join(", "), names.len() - most)
}

/// "1 block", "2 blocks".
fn counted(n: impl Into<u64>, what: &str) -> String {
    match n.into() {
        1 => format!("1 {what}"),
        n => format!("{n} {what}s"),
    }
}
