//! What the author expected against what was measured.
use crate::record::{PhaseOutcome, Run, Trial};
use crate::report::{Piece, interval, phase_title, speedup, trials_of};
use crate::stats::Comparison;

pub(in crate::report) fn section(run: &Run) -> Vec<Piece> {
    let mut rows = vec![];
    for outcome in &run.outcomes {
        let phase = run
            .header
            .plan
            .phases
            .iter()
            .find(|p| p.name == outcome.phase);
        let Some(hypothesis) = phase.and_then(|p| p.hypothesis.as_ref()) else {
            continue;
        };
        let best = best(run, outcome);
        let expected = hypothesis.speedup.map_or_else(
            || "–".into(),
            |(low, high)| match high {
                h if h >= 1e8 => format!("at least {low:.2}×"),
                h if (h - low).abs() < 1e-9 => format!("{low:.2}×"),
                h => format!("{low:.2}–{h:.2}×"),
            },
        );
        let measured = best.map(|t| (t, t.confirmation.as_ref().or(t.comparison.as_ref())));
        let (name, figure, word) = match measured {
            Some((trial, Some(c))) if !outcome.is_trusted => (
                trial.name.clone(),
                format!("{} {}", speedup(c), interval(c)),
                "untrusted",
            ),
            Some((trial, Some(c))) => {
                let word = hypothesis
                    .speedup
                    .map_or("–", |expected| outcome_word(expected, c));
                (
                    trial.name.clone(),
                    format!("{} {}", speedup(c), interval(c)),
                    word,
                )
            }
            _ => ("–".into(), "–".into(), "not measured"),
        };
        rows.push(vec![
            phase_title(outcome),
            expected,
            name,
            figure,
            word.into(),
            hypothesis.effort.clone().unwrap_or_else(|| "–".into()),
            hypothesis.risk.clone().unwrap_or_else(|| "–".into()),
            hypothesis.because.clone().unwrap_or_else(|| "–".into()),
        ]);
    }
    if rows.is_empty() {
        return vec![];
    }
    let header = [
        "Phase",
        "Expected",
        "Best variant",
        "Measured vs reference",
        "Outcome",
        "Effort",
        "Risk",
        "Because",
    ];
    vec![
        Piece::Heading(2, "Hypotheses against measurement".into()),
        Piece::Table {
            header: header.map(str::to_owned).to_vec(),
            rows,
        },
    ]
}

/// The kept variant, else the best by estimate.
fn best<'a>(run: &'a Run, outcome: &'a PhaseOutcome) -> Option<&'a Trial> {
    let trials = trials_of(run, outcome);
    let kept = trials
        .iter()
        .copied()
        .find(|t| t.is_kept && t.comparison.is_some());
    kept.or_else(|| {
        let measured = trials
            .into_iter()
            .filter(|t| !t.is_canary && t.comparison.is_some());
        let value = |t: &Trial| t.comparison.as_ref().map_or(0.0, |c| c.speedup);
        measured.max_by(|a, b| value(a).total_cmp(&value(b)))
    })
}

fn outcome_word((low, high): (f64, f64), c: &Comparison) -> &'static str {
    let Some((lower, upper)) = c.interval else {
        return "inconclusive";
    };
    match () {
        () if lower > high => "larger than expected",
        () if upper < 1.0 && low > 1.0 => "refuted: slower",
        () if upper < low && lower <= 1.0 => "refuted: no gain shown",
        () if upper < low => "smaller than expected",
        () if c.speedup >= low && c.speedup <= high => "confirmed",
        () => "inconclusive",
    }
}
