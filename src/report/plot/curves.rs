//! Several curves over one axis, each with its name: depth doses.
use super::axis::{Axis, frame, plain, remark};
use super::sketch::{Anchor, Sketch, text_width};
use super::theme::{BLUE, Colour, GREEN, GREY, INK, SMALL, VERMILION, WIDTH};

/// A named curve.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::report) struct Curve {
    pub(in crate::report) name: String,
    pub(in crate::report) points: Vec<(f64, f64)>,
}

/// More curves than this cannot be told apart.
pub(in crate::report) const MOST: usize = 6;

const COLOURS: [Colour; MOST] = [
    INK,
    BLUE,
    VERMILION,
    GREEN,
    GREY,
    // Okabe and Ito's reddish purple.
    Colour(204, 121, 167, 1.0),
];

const LEFT: f64 = 78.0;
const RIGHT: f64 = WIDTH - 24.0;
const TOP: f64 = 16.0;
const BOTTOM: f64 = 346.0;
const LINE: f64 = 20.0;

/// The first [`MOST`] of them.
pub(in crate::report) fn curves(curves: &[Curve], x_title: &str, y_title: &str) -> Sketch {
    let curves = &curves[..curves.len().min(MOST)];
    let entries = places(curves);
    let lines = entries.last().map_or(0.0, |(_, line)| line + 1.0);
    let mut sketch = Sketch::new(WIDTH, BOTTOM + 48.0 + lines * LINE);
    let all = || curves.iter().flat_map(|c| &c.points);
    let x = Axis::linear(all().map(|p| p.0), 0.0).between(LEFT, RIGHT);
    let y = Axis::linear(all().map(|p| p.1).chain([0.0]), 0.03).between(BOTTOM, TOP);
    x.along_bottom(&mut sketch, TOP, BOTTOM, x_title, &plain);
    y.up_left(&mut sketch, LEFT, RIGHT, (16.0, y_title), &plain);
    // The first on top: the others are seen beside it.
    for (curve, colour) in curves.iter().zip(COLOURS).rev() {
        let points = curve.points.iter().map(|p| (x.at(p.0), y.at(p.1)));
        sketch.line(points.collect(), colour, 1.8);
    }
    frame(&mut sketch, (LEFT, TOP), (RIGHT, BOTTOM));
    for ((curve, colour), (at, line)) in curves.iter().zip(COLOURS).zip(entries) {
        let height = BOTTOM + 58.0 + line * LINE;
        sketch.line(vec![(at, height), (at + 18.0, height)], colour, 2.0);
        remark(&mut sketch, (at + 24.0, height), &curve.name, Anchor::Left);
    }
    sketch
}

/// Where each name stands: its left end and its line.
fn places(curves: &[Curve]) -> Vec<(f64, f64)> {
    let (mut at, mut line) = (LEFT, 0.0);
    let mut all = vec![];
    for curve in curves {
        let width = 24.0 + text_width(&curve.name, SMALL) + 20.0;
        if at > LEFT && at + width > RIGHT {
            (at, line) = (LEFT, line + 1.0);
        }
        all.push((at, line));
        at += width;
    }
    all
}
