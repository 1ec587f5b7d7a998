//! Speed against accuracy against memory.
use crate::record::Run;
use crate::report::plot::{Drawing, ParetoPoint};
use crate::report::{Figure, Piece, is_row};
use crate::trial::Verdict;

pub(in crate::report) fn section(run: &Run) -> Vec<Piece> {
    let name = run
        .header
        .plan
        .accuracy
        .limits
        .first()
        .map_or("rel_l2", |(name, _)| name.as_str());
    let mut points: Vec<ParetoPoint> = vec![];
    for trial in run.trials.iter().filter(|t| is_row(t)) {
        let (Some((_, median, _)), Some((_, error))) = (
            trial.quartiles,
            trial.accuracy.iter().find(|(n, _)| n == name),
        ) else {
            continue;
        };
        let label = if trial.verdict == Verdict::Reference {
            trial.phase.clone()
        } else {
            trial.name.clone()
        };
        if error.is_finite() && *error > 0.0 && !points.iter().any(|p| p.label == label) {
            points.push(ParetoPoint {
                label,
                time: median,
                error: *error,
                memory: trial.host_peak.map_or(0.0, |b| b.0 as f64),
            });
        }
    }
    if points.len() < 3 {
        return vec![];
    }
    vec![
        Piece::Heading(2, "Speed, accuracy, memory".into()),
        Piece::Figure {
            figure: Figure {
                file: "plots/pareto".into(),
                drawing: Drawing::Pareto {
                    metric: name.into(),
                    points,
                },
            },
            caption: format!(
                "Median runtime against {name}; the area of a point is its peak memory. Inaccurate variants are checked, not timed, and are not here"
            ),
        },
    ]
}
