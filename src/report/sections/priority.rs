//! What to do first: the phases in the order of what they were shown to gain, beside what was expected of them.
use super::hypotheses::{best, expected};
use super::results::OPTIMISTIC;
use crate::record::{PhaseOutcome, Run};
use crate::report::numbers::{NONE, with_interval};
use crate::report::{Piece, Row, columns, effect, kept, phase_title, reference_name};
use std::cmp::Ordering;

/// As people write effort, the least first; others come last.
const EFFORTS: [&str; 4] = ["none", "low", "medium", "high"];

pub(in crate::report) fn section(run: &Run) -> Vec<Piece> {
    let plan = &run.header.plan;
    let mut entries: Vec<Entry> = run
        .outcomes
        .iter()
        .filter_map(|outcome| {
            let phase = plan.phases.iter().find(|p| p.name == outcome.phase)?;
            phase.hypothesis.as_ref()?;
            Some(Entry::of(run, outcome))
        })
        .collect();
    if entries.len() < 2 {
        return vec![];
    }
    entries.sort_by(Entry::order);
    let rows = entries
        .into_iter()
        .enumerate()
        .map(|(i, entry)| Row {
            is_strong: entry.is_kept,
            cells: [vec![(i + 1).to_string()], entry.cells].concat(),
        })
        .collect();
    let header = [
        ">Priority",
        "Phase",
        "Change",
        "Expected gain",
        "Measured gain",
        "Against",
        "Effort",
        "Risk",
        "Do it?",
    ];
    vec![
        Piece::Heading(2, "Priority matrix".into()),
        Piece::Table {
            header: columns(&header),
            rows,
        },
        Piece::Paragraph(format!(
            "First what was kept, by its measured gain, then what was not. Each gain is against the reference named in its row, never against another phase. {OPTIMISTIC} screening, optimistic."
        )),
    ]
}

struct Entry {
    is_kept: bool,
    gain: f64,
    effort: usize,
    cells: Vec<String>,
}

impl Entry {
    fn of(run: &Run, outcome: &PhaseOutcome) -> Entry {
        let plan = &run.header.plan;
        let phase = plan.phases.iter().find(|p| p.name == outcome.phase);
        let hypothesis = phase.and_then(|p| p.hypothesis.as_ref());
        let is_kept = kept(run, outcome).is_some();
        let best = best(run, outcome);
        let measured = best.and_then(effect);
        let changes = best.map_or_else(Vec::new, |trial| {
            trial.configuration.changes_from(&outcome.reference)
        });
        let listed = |changes: &[(String, crate::value::Value)]| {
            let all: Vec<String> = changes.iter().map(|(n, v)| format!("{n}={v}")).collect();
            all.join(", ")
        };
        let figure = measured.map_or_else(
            || NONE.to_owned(),
            |(c, is_confirmed)| {
                let mark = if is_confirmed { "" } else { OPTIMISTIC };
                format!("{} {mark}", with_interval(c)).trim_end().to_owned()
            },
        );
        let changes_image = phase.is_some_and(|p| p.accuracy.is_some());
        let shown_slower = measured
            .and_then(|(c, _)| c.interval)
            .is_some_and(|(_, upper)| upper < 1.0);
        let advice = match () {
            () if is_kept => "yes",
            () if !outcome.is_trusted => "untrusted: measure again",
            () if measured.is_none() => "not measured",
            () if changes_image => "it changes the output: your choice",
            () if shown_slower => "no: slower",
            () => "no gain shown",
        };
        let text = |t: Option<&String>| t.cloned().unwrap_or_else(|| NONE.into());
        let effort = hypothesis.and_then(|h| h.effort.as_ref());
        Entry {
            is_kept,
            gain: measured.map_or(0.0, |(c, _)| c.speedup),
            effort: effort
                .and_then(|e| EFFORTS.iter().position(|known| known == e))
                .unwrap_or(EFFORTS.len()),
            cells: vec![
                phase_title(outcome),
                match changes.is_empty() {
                    true => NONE.into(),
                    false => listed(&changes),
                },
                hypothesis
                    .and_then(|h| h.speedup)
                    .map_or_else(|| NONE.into(), expected),
                figure,
                reference_name(run, outcome),
                text(effort),
                text(hypothesis.and_then(|h| h.risk.as_ref())),
                advice.into(),
            ],
        }
    }

    fn order(&self, other: &Entry) -> Ordering {
        let by_gain = other.gain.total_cmp(&self.gain);
        let kept_first = other.is_kept.cmp(&self.is_kept);
        kept_first
            .then(by_gain)
            .then(self.effort.cmp(&other.effort))
    }
}
