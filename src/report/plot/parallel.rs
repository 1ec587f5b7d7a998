//! Parallel coordinates: an axis a parameter, a line a configuration, the objective last.
use super::axis::{Axis, plain, remark};
use super::sketch::{Anchor, Sketch, fitted, text_width};
use super::sweep::Scale;
use super::theme::{BLUE, FRAME, GREEN, GREY, INK, LABEL, QUIET, SMALL, WHITE, WIDTH};

/// One configuration.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::report) struct Trace {
    /// Index of the value on each axis.
    pub(in crate::report) place: Vec<usize>,
    /// In the unit of the last axis.
    pub(in crate::report) value: f64,
    pub(in crate::report) rank: Rank,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::report) enum Rank {
    Other,
    Top,
    Kept,
}

const LEFT: f64 = 84.0;
const RIGHT: f64 = WIDTH - 92.0;
const TOP: f64 = 16.0;
const BOTTOM: f64 = 376.0;

/// Lines in the order of `traces`, so the last is on top.
pub(in crate::report) fn parallel(
    scales: &[&Scale],
    traces: &[Trace],
    title: &str,
    top: &str,
) -> Sketch {
    let mut sketch = Sketch::new(WIDTH, BOTTOM + 66.0);
    let step = (RIGHT - LEFT) / scales.len().max(1) as f64;
    let x = |axis: usize| LEFT + axis as f64 * step;
    let y = Axis::log(traces.iter().map(|t| t.value), 0.03).between(BOTTOM, TOP);
    for (i, trace) in traces.iter().enumerate() {
        let mut path: Vec<(f64, f64)> = scales
            .iter()
            .enumerate()
            .map(|(axis, scale)| (x(axis), height(scale, trace.place[axis]) + apart(scale, i)))
            .collect();
        path.push((RIGHT, y.at(trace.value)));
        let (colour, width) = match trace.rank {
            Rank::Other => (GREY.faded(0.4), 0.5),
            Rank::Top => (BLUE.faded(0.75), 1.5),
            Rank::Kept => (GREEN, 2.5),
        };
        sketch.line(path, colour, width);
    }
    for (axis, scale) in scales.iter().enumerate() {
        upright_axis(&mut sketch, scale, x(axis), step);
    }
    objective_axis(&mut sketch, &y, title, step);
    legend(&mut sketch, traces, top);
    sketch
}

/// The middle of a value's band.
fn height(scale: &Scale, value: usize) -> f64 {
    BOTTOM - (value as f64 + 0.5) * band(scale)
}

fn band(scale: &Scale) -> f64 {
    (BOTTOM - TOP) / scale.values.len().max(1) as f64
}

/// Lines through one value lie side by side: multiples of the golden ratio fill a band evenly, however many they are.
fn apart(scale: &Scale, line: usize) -> f64 {
    const GOLDEN: f64 = 0.618_033_988_749_895;
    ((line as f64 * GOLDEN).fract() - 0.5) * (0.5 * band(scale)).min(26.0)
}

fn upright_axis(sketch: &mut Sketch, scale: &Scale, x: f64, step: f64) {
    sketch.line(vec![(x, TOP), (x, BOTTOM)], FRAME, 1.2);
    let every = (14.0 / band(scale)).ceil().max(1.0) as usize;
    // The first axis has the margin to itself; elsewhere the lines must not vanish behind long names.
    let room = (0.5 * step).clamp(30.0, LEFT - 10.0);
    for (i, value) in scale.values.iter().enumerate().step_by(every) {
        let y = height(scale, i);
        let text = fitted(value, SMALL, room);
        let width = text_width(&text, SMALL);
        sketch.line(vec![(x - 3.0, y), (x + 3.0, y)], INK, 1.2);
        sketch.block(
            (x - 9.0 - width, y - 6.5),
            (x - 5.0, y + 6.5),
            WHITE.faded(0.8),
        );
        sketch.text((x - 7.0, y), &text, SMALL, INK, Anchor::Right);
    }
    let name = fitted(&scale.name, LABEL, step - 10.0);
    sketch.text((x, BOTTOM + 20.0), &name, LABEL, INK, Anchor::Middle);
}

fn objective_axis(sketch: &mut Sketch, y: &Axis, title: &str, step: f64) {
    sketch.line(vec![(RIGHT, TOP), (RIGHT, BOTTOM)], INK, 1.2);
    let mut last = f64::INFINITY;
    for tick in y.ticks(8) {
        let at = y.at(tick);
        sketch.line(vec![(RIGHT - 3.0, at), (RIGHT + 3.0, at)], INK, 1.2);
        if (last - at).abs() > 14.0 {
            sketch.text((RIGHT + 8.0, at), &plain(tick), SMALL, INK, Anchor::Left);
            last = at;
        }
    }
    // The next name begins half a step away, and the picture ends.
    let room = (step - 10.0).min(2.0 * (WIDTH - RIGHT) - 8.0);
    let title = fitted(title, LABEL, room);
    sketch.text((RIGHT, BOTTOM + 20.0), &title, LABEL, INK, Anchor::Middle);
}

fn legend(sketch: &mut Sketch, traces: &[Trace], top: &str) {
    let y = BOTTOM + 50.0;
    let mut at = 20.0;
    for (rank, colour, text) in [
        (Rank::Kept, GREEN, "kept"),
        (Rank::Top, BLUE, top),
        (Rank::Other, QUIET.faded(0.5), "other evaluations"),
    ] {
        if traces.iter().any(|t| t.rank == rank) {
            sketch.line(vec![(at, y), (at + 20.0, y)], colour, 2.0);
            remark(sketch, (at + 27.0, y), text, Anchor::Left);
            at += 27.0 + text_width(text, SMALL) + 20.0;
        }
    }
    let text = "lower is better (log scale); lines are spread within a value";
    remark(sketch, (WIDTH - 20.0, y), text, Anchor::Right);
}
