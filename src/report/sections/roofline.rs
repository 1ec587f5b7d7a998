//! How far each measured variant is from what the device does at most (WORKLOADS §0.5).
use crate::record::{Run, Trial};
use crate::report::plot::Drawing;
use crate::report::{Figure, Piece, is_row, phase_title, trials_of};

/// Weights of a square root and a trigonometric function against an addition: a convention, printed with the figures.
const SQRT: f64 = 6.0;
const TRIG: f64 = 20.0;

pub(in crate::report) fn section(run: &Run) -> Vec<Piece> {
    let mut rows = vec![];
    let mut points = vec![];
    let Some(peaks) = run.header.ceilings.first() else {
        return vec![];
    };
    for outcome in &run.outcomes {
        for trial in trials_of(run, outcome).into_iter().filter(|t| is_row(t)) {
            let Some((intensity, rate, fraction)) = position(trial, peaks.flops, peaks.bandwidth)
            else {
                continue;
            };
            points.push((
                format!("{} / {}", phase_title(outcome), trial.name),
                intensity,
                rate,
            ));
            rows.push(vec![
                format!("{} / {}", phase_title(outcome), trial.name),
                format!("{intensity:.1}"),
                format!("{:.1}", rate / 1e9),
                format!("{:.1} %", 100.0 * fraction),
            ]);
        }
    }
    if rows.is_empty() {
        return vec![];
    }
    vec![
        Piece::Heading(2, "Roofline".into()),
        Piece::Paragraph(format!(
            "Measured on {} at the start of this run: {:.1} Gflop/s (independent FMA chains, all cores) and {:.1} GB/s (triad). Effective operations count a square root as {SQRT} and a trigonometric function as {TRIG} additions; that is a convention, not physics: a kernel that needs fewer than the convention can come out above the roof. Work is the useful work of the problem, whatever the variant executes.",
            peaks.device,
            peaks.flops / 1e9,
            peaks.bandwidth / 1e9
        )),
        Piece::Figure {
            figure: Figure {
                file: "plots/roofline".into(),
                drawing: Drawing::Roofline {
                    flops: peaks.flops,
                    bandwidth: peaks.bandwidth,
                    points,
                },
            },
            caption: "Roofline: effective operations a second over operations a byte".into(),
        },
        Piece::Table {
            header: [
                "Variant",
                "Operations a byte",
                "Effective Gop/s",
                "Share of the roof",
            ]
            .map(str::to_owned)
            .to_vec(),
            rows,
        },
    ]
}

/// Operations a byte, operations a second, share of the lower roof.
fn position(trial: &Trial, flops: f64, bandwidth: f64) -> Option<(f64, f64, f64)> {
    let (work, (_, median, _)) = (trial.work?, trial.quartiles?);
    let operations = work.flops + SQRT * work.sqrt + TRIG * work.trig;
    let seconds = median / 1e9;
    let bound = (operations / flops).max(work.bytes / bandwidth);
    Some((
        operations / work.bytes,
        operations / seconds,
        bound / seconds,
    ))
}
