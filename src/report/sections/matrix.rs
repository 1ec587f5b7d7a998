//! The cases of a matrix side by side: what each phase kept where.
use super::roofline::operations;
use crate::plan::Objective;
use crate::record::{Final, Run};
use crate::report::numbers::{NONE, with_interval};
use crate::report::plot::scaling::{Point, scaling};
use crate::report::{Figure, Files, Piece, Row, columns, effect, kept, variants};
use crate::trial::Verdict;

pub(in crate::report) fn section(run: &Run) -> Vec<Piece> {
    let plan = &run.header.plan;
    if plan.cases.len() < 2 {
        return vec![];
    }
    let mut rows: Vec<Row> = plan
        .phases
        .iter()
        .map(|phase| {
            let mut cells = vec![phase.name.clone()];
            cells.extend(
                plan.cases
                    .iter()
                    .map(|case| cell(run, &case.name, &phase.name)),
            );
            Row::new(cells)
        })
        .collect();
    let mut last = vec!["final vs the case's own baseline".to_owned()];
    last.extend(plan.cases.iter().map(|case| {
        let found = run.finals.iter().find(|f| f.case == case.name);
        found
            .and_then(|f| f.confirmation.as_ref())
            .map_or_else(|| NONE.into(), with_interval)
    }));
    rows.push(Row {
        cells: last,
        is_strong: true,
    });
    let mut header = vec!["Phase".to_owned()];
    header.extend(plan.cases.iter().map(|c| c.name.clone()));
    let mut pieces = vec![
        Piece::Heading(2, "Cases side by side".into()),
        Piece::Paragraph("What each phase kept, with its confirmed speedup against the reference of that phase and case. Times of different cases are not compared with one another.".into()),
        Piece::Table { header: columns(&header), rows },
    ];
    pieces.extend(growth(run));
    pieces
}

/// Time over work, where the cases are problems of different sizes on one device.
fn growth(run: &Run) -> Vec<Piece> {
    let plan = &run.header.plan;
    let is_one_device = plan.cases.iter().all(|c| c.device == plan.cases[0].device);
    if !is_one_device || plan.objective != Objective::Runtime {
        return vec![];
    }
    let points: Vec<Point> = (plan.cases.iter())
        .filter_map(|case| {
            let outcome = run.outcomes.iter().find(|o| o.case == case.name)?;
            let reference = *variants(run, outcome).first()?;
            let last = run.finals.iter().find(|f| f.case == case.name);
            Some(Point {
                name: case.name.clone(),
                work: operations(&reference.work?),
                baseline: reference.quartiles?.1 / 1e6,
                last: last.and_then(|f| f.medians).map(|(_, after)| after / 1e6),
            })
        })
        .collect();
    let (Some(exponent), true) = (exponent(&points), points.len() > 2) else {
        return vec![];
    };
    vec![
        Piece::Paragraph(format!(
            "The baseline's time grows with the useful work to the power of {exponent:.2} over these cases (least squares on logarithms; 1 is in proportion)."
        )),
        Piece::Figure(Figure {
            file: "plots/scaling".into(),
            title: "time over useful work, one point a case".into(),
            caption: "Median time of the baseline and of what was recommended over the useful work of the problem. Cases are measured at different times, so a point may be off by what the machine did then.".into(),
            files: Files::Both,
            sketch: scaling(&points),
        }),
    ]
}

/// Slope of ln(time) over ln(work); absent where the work is the same everywhere.
fn exponent(points: &[Point]) -> Option<f64> {
    let logs: Vec<(f64, f64)> = points
        .iter()
        .map(|p| (p.work.ln(), p.baseline.ln()))
        .collect();
    let n = logs.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| logs.iter().map(of).sum::<f64>() / n;
    let (mx, my) = (mean(|p| p.0), mean(|p| p.1));
    let spread: f64 = logs.iter().map(|p| (p.0 - mx).powi(2)).sum();
    let together: f64 = logs.iter().map(|p| (p.0 - mx) * (p.1 - my)).sum();
    (spread > 1e-3).then_some(together / spread)
}

fn cell(run: &Run, case: &str, phase: &str) -> String {
    let is_absent = |last: &Final| last.case == case && last.absent.is_some();
    if run.finals.iter().any(is_absent) {
        return Verdict::Unsupported.words().into();
    }
    let Some(outcome) = run
        .outcomes
        .iter()
        .find(|o| o.case == case && o.phase == phase)
    else {
        return "not finished".into();
    };
    match (kept(run, outcome), &outcome.failure) {
        (_, Some(_)) => "no result".into(),
        (Some(trial), None) => match effect(trial) {
            Some((c, _)) => format!("{}: {}", trial.name, with_interval(c)),
            None => trial.name.clone(),
        },
        (None, None) if !outcome.is_trusted => "untrusted".into(),
        (None, None) => "reference".into(),
    }
}
