//! What a phase measured over its parameters: a line over one, small multiples over three or more. (Two: a heat map.)
use super::axis::{Axis, frame, plain, remark};
use super::sketch::{Anchor, Sketch, fitted, text_width};
use super::theme::{BLUE, FRAME, GREEN, GREY, GRID, INK, LABEL, QUIET, SMALL, VERMILION, WIDTH};

/// One configuration of a sweep or a search.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::report) struct Point {
    /// Index of the value of each parameter.
    pub(in crate::report) place: Vec<usize>,
    /// (q1, median, q3) in the unit of the axis; absent where nothing was measured.
    pub(in crate::report) quartiles: Option<(f64, f64, f64)>,
    pub(in crate::report) is_reference: bool,
    pub(in crate::report) is_kept: bool,
    /// Why there is no figure, in a word or two.
    pub(in crate::report) word: String,
}

/// A parameter with its values as labels, in order.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::report) struct Scale {
    pub(in crate::report) name: String,
    pub(in crate::report) values: Vec<String>,
}

/// What has an axis of its own, on the right: (index of the value, figure).
#[derive(Clone, Debug, PartialEq)]
pub(in crate::report) struct Second {
    pub(in crate::report) title: String,
    pub(in crate::report) points: Vec<(usize, f64)>,
}

pub(in crate::report) fn line(
    scale: &Scale,
    points: &[Point],
    y_title: &str,
    second: Option<&Second>,
) -> Sketch {
    let margin = if second.is_some() { 84.0 } else { 24.0 };
    let (left, right, top, bottom) = (78.0, WIDTH - margin, 20.0, 330.0);
    let mut sketch = Sketch::new(WIDTH, 400.0);
    let ends = points
        .iter()
        .filter_map(|p| p.quartiles)
        .flat_map(|q| [q.0, q.1, q.2]);
    let y = Axis::linear(ends, 0.12).between(bottom - 14.0, top);
    let step = (right - left) / scale.values.len().max(1) as f64;
    let x = |i: usize| left + (i as f64 + 0.5) * step;
    y.up_left(&mut sketch, left, right, (16.0, y_title), &plain);
    frame(&mut sketch, (left, top), (right, bottom));
    categories(&mut sketch, &scale.values, step, bottom, &x);
    sketch.text(
        (f64::midpoint(left, right), bottom + 34.0),
        &fitted(&scale.name, LABEL, 400.0),
        LABEL,
        INK,
        Anchor::Middle,
    );
    let mut sorted: Vec<&Point> = points.iter().filter(|p| p.place.len() == 1).collect();
    sorted.sort_by_key(|p| p.place[0]);
    if let Some(reference) = sorted
        .iter()
        .find(|p| p.is_reference)
        .and_then(|p| p.quartiles)
    {
        sketch.dashes(
            (left, y.at(reference.1)),
            (right, y.at(reference.1)),
            GREY,
            1.2,
        );
    }
    let path = sorted
        .iter()
        .filter_map(|p| Some((x(p.place[0]), y.at(p.quartiles?.1))))
        .collect();
    sketch.line(path, BLUE.faded(0.6), 1.5);
    for point in &sorted {
        let at = x(point.place[0]);
        match point.quartiles {
            Some(q) => mark(&mut sketch, (at, y.at(q.1)), (y.at(q.0), y.at(q.2)), point),
            None => {
                cross(&mut sketch, (at, bottom - 9.0));
                if step > text_width(&point.word, SMALL) + 6.0 {
                    sketch.text(
                        (at, bottom - 22.0),
                        &point.word,
                        SMALL,
                        VERMILION,
                        Anchor::Middle,
                    );
                }
            }
        }
    }
    if let Some(second) = second {
        let y = Axis::linear(second.points.iter().map(|p| p.1), 0.12).between(bottom - 14.0, top);
        y.up_right(&mut sketch, right, (WIDTH - 16.0, &second.title), &plain);
        let mut path: Vec<(f64, f64)> = second
            .points
            .iter()
            .map(|(i, figure)| (x(*i), y.at(*figure)))
            .collect();
        path.sort_by(|a, b| a.0.total_cmp(&b.0));
        for at in &path {
            square(&mut sketch, *at, VERMILION);
        }
        sketch.line(path, VERMILION.faded(0.6), 1.5);
    }
    legend(&mut sketch, 386.0, points, "bars: quartiles");
    sketch
}

fn square(sketch: &mut Sketch, (x, y): (f64, f64), colour: super::theme::Colour) {
    sketch.frame((x - 4.0, y - 4.0), (x + 4.0, y + 4.0), colour, 1.8);
}

fn mark(sketch: &mut Sketch, (x, y): (f64, f64), (q1, q3): (f64, f64), point: &Point) {
    let colour = colour(point);
    sketch.line(vec![(x, q1), (x, q3)], colour, 2.0);
    for end in [q1, q3] {
        sketch.line(vec![(x - 4.0, end), (x + 4.0, end)], colour, 1.5);
    }
    match point.is_reference {
        true => sketch.ring((x, y), 5.0, colour, 1.8),
        false => sketch.disc((x, y), 4.5, colour),
    }
}

fn colour(point: &Point) -> super::theme::Colour {
    match point {
        p if p.is_reference => QUIET,
        p if p.is_kept => GREEN,
        _ => BLUE,
    }
}

/// No figure here.
pub(super) fn cross(sketch: &mut Sketch, (x, y): (f64, f64)) {
    for way in [-1.0, 1.0] {
        sketch.line(
            vec![(x - 4.0, y - 4.0 * way), (x + 4.0, y + 4.0 * way)],
            VERMILION,
            1.5,
        );
    }
}

/// Labels of values along the bottom; where they are too many, every second, third …
pub(super) fn categories(
    sketch: &mut Sketch,
    values: &[String],
    step: f64,
    bottom: f64,
    x: &dyn Fn(usize) -> f64,
) {
    let most = step.max(40.0) - 6.0;
    let every = (46.0 / step).ceil().max(1.0) as usize;
    for (i, value) in values.iter().enumerate().step_by(every) {
        sketch.line(vec![(x(i), bottom), (x(i), bottom + 4.0)], FRAME, 1.0);
        sketch.text(
            (x(i), bottom + 14.0),
            &fitted(value, LABEL, most),
            LABEL,
            INK,
            Anchor::Middle,
        );
    }
}

fn legend(sketch: &mut Sketch, y: f64, points: &[Point], more: &str) {
    sketch.ring((90.0, y), 5.0, QUIET, 1.8);
    remark(sketch, (101.0, y), "the phase's reference", Anchor::Left);
    sketch.disc((262.0, y), 4.5, BLUE);
    remark(sketch, (273.0, y), "variant", Anchor::Left);
    sketch.disc((352.0, y), 4.5, GREEN);
    remark(sketch, (363.0, y), "kept", Anchor::Left);
    if points.iter().any(|p| p.quartiles.is_none()) {
        cross(sketch, (432.0, y));
        remark(sketch, (443.0, y), "no figure", Anchor::Left);
    }
    remark(sketch, (WIDTH - 30.0, y), more, Anchor::Right);
}

const PANELS: usize = 3;
const PANEL_HEIGHT: f64 = 230.0;

/// One panel a parameter: every configuration as a dot over its value there, the best at each value joined.
pub(in crate::report) fn multiples(scales: &[Scale], points: &[Point], y_title: &str) -> Sketch {
    let rows = scales.len().div_ceil(PANELS).max(1);
    let mut sketch = Sketch::new(WIDTH, rows as f64 * PANEL_HEIGHT + 34.0);
    let medians = || points.iter().filter_map(|p| p.quartiles).map(|q| q.1);
    let wide = (WIDTH - 78.0 - 20.0) / PANELS as f64;
    for (i, scale) in scales.iter().enumerate() {
        let (column, row) = ((i % PANELS) as f64, (i / PANELS) as f64);
        let (left, right) = (78.0 + column * wide, 78.0 + (column + 1.0) * wide - 16.0);
        let (top, bottom) = (row * PANEL_HEIGHT + 14.0, (row + 1.0) * PANEL_HEIGHT - 46.0);
        let y = Axis::log(medians(), 0.08).between(bottom, top);
        if column == 0.0 {
            y.up_left(&mut sketch, left, right, (16.0, y_title), &plain);
        } else {
            for tick in y.ticks(6) {
                sketch.line(vec![(left, y.at(tick)), (right, y.at(tick))], GRID, 1.0);
            }
        }
        frame(&mut sketch, (left, top), (right, bottom));
        let step = (right - left) / scale.values.len().max(1) as f64;
        let x = |i: usize| left + (i as f64 + 0.5) * step;
        categories(&mut sketch, &scale.values, step, bottom, &x);
        sketch.text(
            (f64::midpoint(left, right), bottom + 33.0),
            &fitted(&scale.name, LABEL, right - left),
            LABEL,
            INK,
            Anchor::Middle,
        );
        panel(&mut sketch, points, i, scale.values.len(), &x, &y);
    }
    legend(
        &mut sketch,
        rows as f64 * PANEL_HEIGHT + 16.0,
        points,
        "line: the best at each value (log scale)",
    );
    sketch
}

fn panel(
    sketch: &mut Sketch,
    points: &[Point],
    parameter: usize,
    values: usize,
    x: &dyn Fn(usize) -> f64,
    y: &Axis,
) {
    let mut best = vec![f64::INFINITY; values];
    for point in points {
        let (Some(&place), Some((_, median, _))) = (point.place.get(parameter), point.quartiles)
        else {
            continue;
        };
        if let Some(least) = best.get_mut(place) {
            *least = least.min(median);
        }
        // Behind the reference and the kept one, which are painted last.
        if !(point.is_reference || point.is_kept) {
            sketch.disc((x(place), y.at(median)), 2.5, BLUE.faded(0.45));
        }
    }
    let path = best.iter().enumerate().filter(|(_, v)| v.is_finite());
    sketch.line(path.map(|(i, v)| (x(i), y.at(*v))).collect(), BLUE, 1.5);
    for point in points.iter().filter(|p| p.is_reference || p.is_kept) {
        if let (Some(&place), Some((_, median, _))) = (point.place.get(parameter), point.quartiles)
        {
            match point.is_reference {
                true => sketch.ring((x(place), y.at(median)), 5.0, QUIET, 1.8),
                false => sketch.disc((x(place), y.at(median)), 4.5, GREEN),
            }
        }
    }
}
