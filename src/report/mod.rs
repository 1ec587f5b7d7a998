//! From records to a document. Reads records only; the same records give the same bytes.
mod markdown;
mod plot;
mod sections;
mod write;

pub use write::{ReportError, write};

use crate::record::{PhaseOutcome, Run, Trial};
use crate::stats::Comparison;
use crate::trial::Verdict;
use crate::value::{Bytes, Nanoseconds};

/// A piece of the document. Text is plain here; the renderer escapes it, once.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "a report has some hundreds")]
enum Piece {
    /// Level 2 or 3.
    Heading(u8, String),
    Paragraph(String),
    List(Vec<String>),
    Table {
        header: Vec<String>,
        rows: Vec<Vec<String>>,
    },
    /// A picture: name without ending, under the report's folder; both PNG and SVG are written.
    Figure {
        figure: Figure,
        caption: String,
    },
    Code {
        language: &'static str,
        text: String,
    },
}

/// What a figure shows; drawn when the report is written.
#[derive(Clone, Debug, PartialEq)]
struct Figure {
    /// `plots/tiling_speedups`.
    file: String,
    drawing: plot::Drawing,
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
    sections::criteria::section,
    sections::graph::section,
    sections::waterfall::section,
    sections::phases::section,
    sections::stages::section,
    sections::roofline::section,
    sections::pareto::section,
    sections::quality::section,
    sections::noise::section,
    sections::reproduce::section,
];

fn document(run: &Run) -> Vec<Piece> {
    SECTIONS.iter().flat_map(|section| section(run)).collect()
}

/// The headline in sentences, as the report begins with it; for the terminal.
pub fn headlines(run: &Run) -> Vec<String> {
    sections::headline::sentences(run)
}

/// "1.23×".
fn speedup(comparison: &Comparison) -> String {
    format!("{}×", ratio(comparison.speedup, comparison))
}

/// "[1.21, 1.25]", or a dash where the number of blocks attains none.
fn interval(comparison: &Comparison) -> String {
    match comparison.interval {
        Some((lower, upper)) => format!(
            "[{}, {}]",
            ratio(lower, comparison),
            ratio(upper, comparison)
        ),
        None => "–".into(),
    }
}

/// As many digits as the interval's width bears.
fn ratio(value: f64, comparison: &Comparison) -> String {
    let width = comparison
        .interval
        .map_or(0.1, |(lower, upper)| upper - lower);
    let digits = if width < 0.02 { 3 } else { 2 };
    format!("{value:.digits$}")
}

/// A value of the objective in its unit.
fn objective(run: &Run, value: f64) -> String {
    use crate::plan::Objective;
    match &run.header.plan.objective {
        Objective::Runtime | Objective::DeviceTime => Nanoseconds(value).to_string(),
        Objective::PeakMemory => Bytes(value as u64).to_string(),
        Objective::Energy => format!("{value:.3} J"),
        Objective::Metric(_) => format!("{value:.4}"),
    }
}

/// "phase" or "case: phase".
fn phase_title(outcome: &PhaseOutcome) -> String {
    match outcome.case.is_empty() {
        true => outcome.phase.clone(),
        false => format!("{}: {}", outcome.case, outcome.phase),
    }
}

/// Letters, digits, `_` and `-` of a name, for a file.
fn file_name(name: &str) -> String {
    let safe = |c: char| {
        if c.is_ascii_alphanumeric() || "-_.=".contains(c) {
            c
        } else {
            '_'
        }
    };
    name.chars().map(safe).take(80).collect()
}

/// The trials of a phase's outcome, in order.
fn trials_of<'a>(run: &'a Run, outcome: &'a PhaseOutcome) -> Vec<&'a Trial> {
    run.trials_of(&outcome.case, &outcome.phase).collect()
}

/// Rows that a reader looks for: everything but the canary.
fn is_row(trial: &Trial) -> bool {
    !trial.is_canary
}

/// The accuracy figure that the plan limits, else the first that was computed.
fn accuracy(run: &Run, trial: &Trial) -> String {
    let limited = run
        .header
        .plan
        .accuracy
        .limits
        .first()
        .map(|(name, _)| name.as_str());
    let found = match limited {
        Some(name) => trial.accuracy.iter().find(|(n, _)| n == name),
        None => trial.accuracy.iter().find(|(n, _)| n == "rel_l2"),
    };
    match found {
        Some((name, value)) if *value == 0.0 => format!("{name} 0"),
        Some((name, value)) => format!("{name} {value:.1e}"),
        None => "–".into(),
    }
}

fn memory(trial: &Trial) -> String {
    match (trial.host_peak, trial.device_peak) {
        (Some(host), None) => host.to_string(),
        (Some(host), Some(device)) => format!("{host} + {device} device"),
        (None, Some(device)) => format!("{device} device"),
        (None, None) => "–".into(),
    }
}

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
