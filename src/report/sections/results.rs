//! The results table: every variant of every phase, with what it was compared with.
use super::headline::confidence;
use super::record::{memory, memory_unit};
use crate::record::{Final, PhaseOutcome, Run, Trial};
use crate::report::numbers::{NONE, Unit, interval, objective_name, percent, small, speedup};
use crate::report::{
    Align, Piece, Row, accuracy, columns, counted, effect, in_case, metric, phase_title, timed,
    variants,
};
use crate::trial::Verdict;

/// Marks a figure from the blocks that chose among the variants.
pub(in crate::report) const OPTIMISTIC: &str = "†";

/// More variants than this that a race dropped are one row: each is in its phase's own table.
const DROPPED: usize = 3;

pub(in crate::report) fn section(run: &Run) -> Vec<Piece> {
    let table = Table {
        run,
        times: Unit::of_trials(run, run.trials.iter().filter(|t| !t.is_canary)),
        memory: memory_unit(run.trials.iter()),
        metric: metric(run).0,
    };
    let mut rows: Vec<Row> = run.outcomes.iter().flat_map(|o| table.phase(o)).collect();
    rows.extend(run.finals.iter().flat_map(|last| table.last(last)));
    let confidence = percent(confidence(run));
    vec![
        Piece::Heading(2, "Results".into()),
        Piece::Table {
            header: table.header(&confidence),
            rows,
        },
        Piece::Paragraph(format!(
            "{}: median of the cells. “vs reference”: against the reference of the same phase, measured in the same blocks, never against another phase; only the last row is against the original baseline. {OPTIMISTIC} screening, optimistic: from the blocks that also chose among the variants; without the mark: confirmed on fresh blocks. Intervals of the screening hold at {confidence} for all looks and all variants of their phase together. Bold: kept.",
            objective_name(run)
        )),
    ]
}

struct Table<'a> {
    run: &'a Run,
    times: Unit,
    memory: Unit,
    metric: &'a str,
}

impl Table<'_> {
    fn header(&self, confidence: &str) -> Vec<(String, Align)> {
        let (name, limit) = metric(self.run);
        let accuracy = match limit {
            Some(limit) => format!(">Accuracy: {name}, limit {}", small(limit)),
            None => format!(">Accuracy: {name}"),
        };
        columns(&[
            "Test".to_owned(),
            format!(">{}", self.times.head(&objective_name(self.run))),
            ">vs reference".to_owned(),
            format!(">{confidence} interval"),
            format!(">{}", self.memory.head("Memory")),
            accuracy,
            "Status".to_owned(),
        ])
    }

    fn phase(&self, outcome: &PhaseOutcome) -> Vec<Row> {
        let title = phase_title(outcome);
        let all = variants(self.run, outcome);
        let dropped = all
            .iter()
            .filter(|t| t.verdict == Verdict::ScreenedOut)
            .count();
        let is_imported = self.run.header.environment.imported.is_some();
        let mut rows: Vec<Row> = all
            .iter()
            .filter(|t| t.verdict == Verdict::Reference || !is_imported)
            .filter(|t| t.verdict != Verdict::ScreenedOut || dropped <= DROPPED)
            .map(|t| self.row(&title, t))
            .collect();
        let (hidden, most) = match is_imported {
            true => (all.len() - rows.len(), 0),
            false => (dropped, DROPPED),
        };
        if hidden > most {
            let mut cells = vec![NONE.to_owned(); 7];
            cells[0] = format!("{title} / {}", counted(hidden as u64, "more variant"));
            cells[6] = match is_imported {
                true => "recorded, not compared".into(),
                false => "screened out by the race".into(),
            };
            rows.push(Row::new(cells));
        }
        if let Some(failure) = outcome.failure.as_ref().filter(|_| all.is_empty()) {
            let mut cells = vec![NONE.to_owned(); 7];
            cells[0] = title;
            cells[6] = format!("no result: {failure}");
            rows.push(Row::new(cells));
        }
        rows
    }

    fn row(&self, title: &str, trial: &Trial) -> Row {
        let is_reference = trial.verdict == Verdict::Reference;
        let (factor, bounds) = match effect(trial) {
            _ if is_reference => ("1 (reference)".into(), NONE.into()),
            Some((c, true)) => (speedup(c), interval(c)),
            Some((c, false)) => (format!("{} {OPTIMISTIC}", speedup(c)), interval(c)),
            None => (NONE.into(), NONE.into()),
        };
        Row {
            cells: vec![
                format!("{title} / {}", trial.name),
                timed(trial).map_or_else(|| NONE.into(), |(_, median, _)| self.times.bare(median)),
                factor,
                bounds,
                memory(trial, &self.memory),
                accuracy(trial, self.metric).map_or_else(|| NONE.into(), small),
                status(trial),
            ],
            is_strong: trial.is_kept && !is_reference,
        }
    }

    fn last(&self, last: &Final) -> Option<Row> {
        if last.absent.is_some() {
            let mut cells = vec![NONE.to_owned(); 7];
            cells[0] = in_case(&last.case, "all phases");
            cells[6] = Verdict::Unsupported.words().into();
            return Some(Row::new(cells));
        }
        let (c, (_, after)) = (last.confirmation.as_ref()?, last.medians?);
        let status = match c.interval {
            Some((lower, _)) if lower > 1.0 => "faster than the baseline, confirmed",
            Some((_, upper)) if upper < 1.0 => "slower than the baseline",
            _ => "no improvement confirmed",
        };
        Some(Row {
            cells: vec![
                in_case(&last.case, "final, against the original baseline"),
                self.times.bare(after),
                speedup(c),
                interval(c),
                NONE.into(),
                NONE.into(),
                status.into(),
            ],
            is_strong: true,
        })
    }
}

/// "faster, confirmed, kept".
pub(in crate::report) fn status(trial: &Trial) -> String {
    let mut words = vec![trial.verdict.words()];
    if trial.verdict != Verdict::Reference {
        // Fresh blocks may not show what the screening did.
        let claims = matches!(trial.verdict, Verdict::Faster | Verdict::SlightlyFaster);
        let interval = trial.confirmation.as_ref().map(|c| c.interval);
        match interval {
            Some(Some((lower, _))) if claims && lower <= 1.0 => words.push("not confirmed"),
            Some(_) => words.push("confirmed"),
            None => {}
        }
        if trial.is_kept {
            words.push("kept");
        }
    }
    words.join(", ")
}
