//! When the stages of an invocation worked, a row for each of their threads; one invocation below the other on one axis of time.
use super::axis::{Axis, frame, row_name};
use super::sketch::{Anchor, Sketch, fitted};
use super::theme::{BLUE, Colour, GREEN, GREY, INK, LABEL, VERMILION, WIDTH};

/// An invocation.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::report) struct Lanes {
    pub(in crate::report) title: String,
    pub(in crate::report) rows: Vec<Lane>,
}

/// A thread of a stage.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::report) struct Lane {
    pub(in crate::report) name: String,
    pub(in crate::report) stage: usize,
    /// Start and end, in the unit of the axis.
    pub(in crate::report) stretches: Vec<(f64, f64)>,
}

const LEFT: f64 = 130.0;
const ROW: f64 = 20.0;
const HEAD: f64 = 26.0;

/// In the order in which stages are seen first: neighbours never have the same one.
const COLOURS: [Colour; 4] = [BLUE, VERMILION, GREEN, GREY];

pub(in crate::report) fn timeline(invocations: &[Lanes], title: &str) -> Sketch {
    let right = WIDTH - 20.0;
    let stretches = || {
        let rows = invocations.iter().flat_map(|i| &i.rows);
        rows.flat_map(|row| &row.stretches)
    };
    let axis = Axis::linear(stretches().map(|s| s.1).chain([0.0]), 0.0).between(LEFT, right);
    let height = |lanes: &Lanes| HEAD + ROW * lanes.rows.len() as f64;
    let bottom = 6.0 + invocations.iter().map(height).sum::<f64>();
    let mut sketch = Sketch::new(WIDTH, bottom + 48.0);
    axis.along_bottom(&mut sketch, 6.0, bottom, title, &super::axis::plain);
    let mut seen: Vec<usize> = vec![];
    let mut colour_of = |stage: usize| {
        let place = seen.iter().position(|s| *s == stage).unwrap_or_else(|| {
            seen.push(stage);
            seen.len() - 1
        });
        COLOURS[place % COLOURS.len()]
    };
    let mut y = 6.0;
    for lanes in invocations {
        let words = fitted(&lanes.title, LABEL, right - LEFT);
        sketch.text((LEFT, y + 14.0), &words, LABEL, INK, Anchor::Left);
        y += HEAD;
        let top = y;
        for lane in &lanes.rows {
            row_name(&mut sketch, (LEFT - 10.0, y + ROW / 2.0), &lane.name, LEFT);
            let colour = colour_of(lane.stage);
            for (start, end) in &lane.stretches {
                let from = axis.at(*start);
                // A gap of half a pixel, so that two that touch are two.
                let to = (axis.at(*end) - 0.5).max(from + 0.5);
                sketch.block((from, y + 3.0), (to, y + ROW - 3.0), colour);
            }
            y += ROW;
        }
        frame(&mut sketch, (LEFT, top), (right, y));
    }
    sketch
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_many_threads_keep_apart_and_inside() {
        let lanes = |title: &str, threads: usize| Lanes {
            title: title.repeat(20),
            rows: (0..threads)
                .map(|i| Lane {
                    name: format!("a stage of a long name {i}"),
                    stage: i / 2,
                    stretches: vec![(0.0, 1e-9), (3.0, 5.0), (5.0, 117.25)],
                })
                .collect(),
        };
        let sketch = timeline(&[lanes("baseline ", 3), lanes("kept ", 20)], "time, ms");
        assert_eq!(sketch.crowded(), Vec::<String>::new());
        sketch.paint().unwrap();
        timeline(&[], "time").paint().unwrap();
    }
}
