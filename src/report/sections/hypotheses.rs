//! What the author expected against what was measured.
use super::results::OPTIMISTIC;
use crate::plan::Hypothesis;
use crate::record::{PhaseOutcome, Run, Trial};
use crate::report::numbers::{NONE, with_interval};
use crate::report::{Piece, Row, columns, effect, is_statistical, kept, phase_title, variants};
use crate::stats::Comparison;

pub(in crate::report) fn section(run: &Run) -> Vec<Piece> {
    let phase = |o: &PhaseOutcome| run.header.plan.phases.iter().find(|p| p.name == o.phase);
    let rows: Vec<Row> = run
        .outcomes
        .iter()
        .filter_map(|o| Some(row(run, o, phase(o)?.hypothesis.as_ref()?)))
        .collect();
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
            header: columns(&header),
            rows,
        },
        Piece::Paragraph(format!(
            "Confirmed: the estimate lies in the expected range and the interval excludes what would refute it. Smaller, larger: the interval lies wholly beside the range. Refuted: where a gain was expected, the interval lies below the range and does not show any gain. {OPTIMISTIC} screening, optimistic."
        )),
    ]
}

fn row(run: &Run, outcome: &PhaseOutcome, hypothesis: &Hypothesis) -> Row {
    let best = best(run, outcome);
    let measured = best.and_then(effect);
    let (figure, mut word) = match measured {
        Some((c, is_confirmed)) => {
            let mark = if is_confirmed { "" } else { OPTIMISTIC };
            let word = hypothesis
                .speedup
                .map_or(NONE, |expected| judge(expected, c));
            (
                format!("{} {mark}", with_interval(c)).trim_end().to_owned(),
                word,
            )
        }
        None => (NONE.into(), "not measured"),
    };
    if !outcome.is_trusted {
        word = "inconclusive: untrusted";
    }
    let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| NONE.into());
    Row::new(vec![
        phase_title(outcome),
        hypothesis.speedup.map_or_else(|| NONE.into(), expected),
        best.map_or_else(|| NONE.into(), |t| t.name.clone()),
        figure,
        word.into(),
        or_none(&hypothesis.effort),
        or_none(&hypothesis.risk),
        or_none(&hypothesis.because),
    ])
}

/// "1.05× to 1.15×".
pub(super) fn expected((low, high): (f64, f64)) -> String {
    match high {
        // An open end is stored as a billion.
        h if h >= 1e8 => format!("at least {low:.2}×"),
        h if (h - low).abs() < 1e-9 => format!("{low:.2}×"),
        h => format!("{low:.2}× to {h:.2}×"),
    }
}

/// The kept variant, else the best by estimate of those with a verdict on their speed.
pub(super) fn best<'a>(run: &'a Run, outcome: &'a PhaseOutcome) -> Option<&'a Trial> {
    kept(run, outcome).or_else(|| {
        let value = |t: &Trial| effect(t).map_or(0.0, |(c, _)| c.speedup);
        variants(run, outcome)
            .into_iter()
            .filter(|t| is_statistical(t.verdict) && effect(t).is_some())
            .max_by(|a, b| value(a).total_cmp(&value(b)))
    })
}

fn judge((low, high): (f64, f64), c: &Comparison) -> &'static str {
    let Some((lower, upper)) = c.interval else {
        return "inconclusive: too few blocks";
    };
    let expects_gain = low > 1.0;
    let is_inside = (low..=high).contains(&c.speedup);
    match () {
        () if lower > high => "larger",
        () if upper < low && expects_gain && upper < 1.0 => "refuted: slower",
        () if upper < low && expects_gain && lower <= 1.0 => "refuted: no gain shown",
        () if upper < low => "smaller",
        () if is_inside && (!expects_gain || lower > 1.0) => "confirmed",
        () if is_inside => "inconclusive: as expected, or no gain",
        () if c.speedup > high => "inconclusive: as expected, or larger",
        () => "inconclusive: as expected, or smaller",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_is_read_from_the_interval() {
        let at = |speedup, lower, upper| Comparison {
            speedup,
            interval: Some((lower, upper)),
            ..Comparison::default()
        };
        let cases = [
            (at(1.10, 1.08, 1.12), "confirmed"),
            (at(1.30, 1.25, 1.35), "larger"),
            (at(1.02, 1.01, 1.03), "smaller"),
            (at(1.00, 0.99, 1.01), "refuted: no gain shown"),
            (at(0.90, 0.88, 0.92), "refuted: slower"),
            (
                at(1.10, 0.95, 1.25),
                "inconclusive: as expected, or no gain",
            ),
            (at(1.17, 1.10, 1.25), "inconclusive: as expected, or larger"),
            (
                at(1.03, 1.00, 1.07),
                "inconclusive: as expected, or smaller",
            ),
            (Comparison::default(), "inconclusive: too few blocks"),
        ];
        for (c, word) in cases {
            assert_eq!(judge((1.05, 1.15), &c), word, "{c:?}");
        }
        // Nobody expected a gain: a small loss is what was expected.
        assert_eq!(judge((0.7, 1.0), &at(0.998, 0.99, 1.01)), "confirmed");
    }
}
