//! Another run beside this one. Sessions are not compared statistically: too much changes between them (STATISTICS "Trust").
use super::numbers::{NONE, Unit, objective_name, speedup};
use super::{Piece, Row, columns, in_case};
use crate::record::{Run, Trial};

pub(super) fn section(run: &Run, other: &Run) -> Vec<Piece> {
    let twin = |trial: &Trial| {
        other
            .trials
            .iter()
            .find(|t| (&t.case, &t.phase, &t.name) == (&trial.case, &trial.phase, &trial.name))
    };
    let pairs: Vec<(&Trial, Option<&Trial>)> = run
        .trials
        .iter()
        .filter(|t| !t.is_canary && t.quartiles.is_some())
        .map(|t| (t, twin(t)))
        .collect();
    let both = pairs.iter().flat_map(|(a, b)| [Some(*a), *b]).flatten();
    let unit = Unit::of_trials(run, both);
    let rows = pairs
        .iter()
        .map(|(a, b)| {
            let median = |t: &Trial| t.quartiles.map(|q| q.1);
            let (here, there) = (median(a), b.and_then(median));
            let show = |v: Option<f64>| v.map_or_else(|| NONE.into(), |v| unit.bare(v));
            let ratio = here
                .zip(there)
                .map_or_else(|| NONE.into(), |(a, b)| format!("{:.2}", a / b));
            Row::new(vec![
                in_case(&a.case, &format!("{} / {}", a.phase, a.name)),
                show(here),
                show(there),
                ratio,
            ])
        })
        .collect();
    let mut pieces = vec![
        Piece::Heading(2, format!("Beside run {}", other.header.run_id)),
        Piece::Paragraph(
            "Historical, descriptive: medians of two sessions. Machine, load and surroundings differ between sessions, so no significance is claimed, and none can be read from this.".into(),
        ),
    ];
    let differences = differences(run, other);
    if !differences.is_empty() {
        pieces.push(Piece::List(differences));
    }
    let confirmed = finals(run, other);
    if !confirmed.is_empty() {
        pieces.push(Piece::List(confirmed));
    }
    pieces.push(Piece::Table {
        header: columns(&[
            "Test".to_owned(),
            format!(">{} here", unit.head(&objective_name(run))),
            format!(">{} there", unit.head(&objective_name(run))),
            ">Here / there".to_owned(),
        ]),
        rows,
    });
    pieces
}

/// What else is not the same.
fn differences(run: &Run, other: &Run) -> Vec<String> {
    let (a, b) = (&run.header.environment, &other.header.environment);
    let commit = |run: &Run| {
        run.header
            .environment
            .git
            .as_ref()
            .map_or("none".to_owned(), |g| g.commit.chars().take(10).collect())
    };
    let pairs = [
        ("commit", commit(run), commit(other)),
        ("processor", a.cpu.clone(), b.cpu.clone()),
        ("kernel", a.kernel.clone(), b.kernel.clone()),
        ("tool", a.tool_version.clone(), b.tool_version.clone()),
        (
            "toolchain",
            a.toolchain.clone().unwrap_or_default(),
            b.toolchain.clone().unwrap_or_default(),
        ),
    ];
    let mut found: Vec<String> = pairs
        .into_iter()
        .filter(|(_, a, b)| a != b)
        .map(|(what, a, b)| format!("Another {what}: {a} here, {b} there."))
        .collect();
    if run.header.plan_text != other.header.plan_text {
        found.push("The plans are not the same text.".into());
    }
    found
}

/// Each session's own confirmed figure, against its own baseline.
fn finals(run: &Run, other: &Run) -> Vec<String> {
    let figure = |run: &Run, case: &str| {
        let last = run.finals.iter().find(|f| f.case == case)?;
        Some(
            last.confirmation
                .as_ref()
                .map_or_else(|| "no improvement".into(), speedup),
        )
    };
    run.finals
        .iter()
        .filter_map(|last| {
            let (here, there) = (figure(run, &last.case)?, figure(other, &last.case)?);
            Some(in_case(
                &last.case,
                &format!(
                    "final against the baseline of its own session: {here} here, {there} there."
                ),
            ))
        })
        .collect()
}
