//! A search in the order in which it asked: every evaluation as a dot, the best so far as a line.
use super::axis::{Axis, frame, plain, remark};
use super::sketch::{Anchor, Sketch, text_width};
use super::theme::{BLUE, FRAME, GREY, INK, SMALL, VERMILION, WIDTH};

/// What one evaluation came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::report) enum Step {
    /// In the unit of the axis.
    Measured(f64),
    /// So slow at its first invocation that no block was spent on it.
    Untimed,
    Failed,
}

const LEFT: f64 = 78.0;
const RIGHT: f64 = WIDTH - 24.0;
const TOP: f64 = 16.0;
const BOTTOM: f64 = 346.0;
/// Height of the strip for what has no figure.
const STRIP: f64 = 26.0;
/// More dots than this are a smear of several megabytes: every second, third … is painted, and whatever was the best so far.
pub(in crate::report) const DOTS: usize = 2_000;

pub(in crate::report) fn convergence(
    steps: &[Step],
    reference: Option<f64>,
    y_title: &str,
) -> Sketch {
    let mut sketch = Sketch::new(WIDTH, BOTTOM + 76.0);
    let is_whole = steps.iter().all(|s| matches!(s, Step::Measured(_)));
    let top = if is_whole { TOP } else { TOP + STRIP };
    let measured = || {
        steps.iter().enumerate().filter_map(|(i, step)| match step {
            Step::Measured(value) => Some((i + 1, *value)),
            _ => None,
        })
    };
    let y = Axis::log(measured().map(|(_, v)| v).chain(reference), 0.06).between(BOTTOM, top);
    let x = Axis::linear([1.0, steps.len() as f64].into_iter(), 0.015).between(LEFT, RIGHT);
    // There is no half of an evaluation.
    let whole = |v: f64| {
        if v.fract() == 0.0 {
            plain(v)
        } else {
            String::new()
        }
    };
    x.along_bottom(&mut sketch, TOP, BOTTOM, "evaluation", &whole);
    y.up_left(&mut sketch, LEFT, RIGHT, (16.0, y_title), &plain);
    if !is_whole {
        strip(&mut sketch, steps, &x, top);
    }
    if let Some(reference) = reference {
        sketch.dashes((LEFT, y.at(reference)), (RIGHT, y.at(reference)), GREY, 1.4);
    }
    let place = |(i, value): (usize, f64)| (x.at(i as f64), y.at(value));
    let best = best_so_far(measured());
    let every = steps.len().div_ceil(DOTS).max(1);
    for dot in measured().filter(|(i, _)| (i - 1).is_multiple_of(every)) {
        sketch.disc(place(dot), 2.6, GREY.faded(0.6));
    }
    let mut path = vec![];
    for &(i, value) in &best {
        let (at, height) = place((i, value));
        path.extend(path.last().map(|(_, before): &(f64, f64)| (at, *before)));
        path.push((at, height));
    }
    path.extend(
        path.last()
            .map(|(_, last)| (x.at(steps.len() as f64), *last)),
    );
    sketch.line(path, BLUE, 2.0);
    best.iter()
        .for_each(|dot| sketch.disc(place(*dot), 3.4, BLUE));
    frame(&mut sketch, (LEFT, TOP), (RIGHT, BOTTOM));
    legend(&mut sketch, steps, reference.is_some());
    sketch
}

/// The evaluations that were better than all before them.
fn best_so_far(measured: impl Iterator<Item = (usize, f64)>) -> Vec<(usize, f64)> {
    let mut least = f64::INFINITY;
    measured
        .filter(|(_, value)| {
            let is_better = *value < least;
            least = least.min(*value);
            is_better
        })
        .collect()
}

/// What has no figure, as ticks above the plot.
fn strip(sketch: &mut Sketch, steps: &[Step], x: &Axis, bottom: f64) {
    sketch.line(vec![(LEFT, bottom), (RIGHT, bottom)], FRAME, 1.0);
    let middle = bottom - STRIP / 2.0;
    sketch.text((LEFT - 7.0, middle), "no figure", SMALL, INK, Anchor::Right);
    for (i, step) in steps.iter().enumerate() {
        let at = x.at((i + 1) as f64);
        let colour = match step {
            Step::Measured(_) => continue,
            Step::Untimed => GREY,
            Step::Failed => VERMILION,
        };
        sketch.line(vec![(at, middle - 8.0), (at, middle + 8.0)], colour, 1.6);
    }
}

fn legend(sketch: &mut Sketch, steps: &[Step], has_reference: bool) {
    let y = BOTTOM + 60.0;
    let mut at = LEFT;
    let mut entry = |sketch: &mut Sketch, text: &str, glyph: &dyn Fn(&mut Sketch, f64)| {
        glyph(sketch, at + 8.0);
        remark(sketch, (at + 22.0, y), text, Anchor::Left);
        at += 22.0 + text_width(text, SMALL) + 20.0;
    };
    entry(sketch, "best so far", &|s, x| {
        s.line(vec![(x - 8.0, y), (x + 8.0, y)], BLUE, 2.0)
    });
    entry(sketch, "one evaluation", &|s, x| {
        s.disc((x, y), 2.6, GREY.faded(0.6))
    });
    if has_reference {
        entry(sketch, "the phase's reference", &|s, x| {
            s.dashes((x - 9.0, y), (x + 9.0, y), GREY, 1.4)
        });
    }
    for (kind, colour, text) in [
        (
            Step::Failed,
            VERMILION,
            "failed, inaccurate or over a limit",
        ),
        (Step::Untimed, GREY, "too slow to be timed"),
    ] {
        if steps.contains(&kind) {
            entry(sketch, text, &|s, x| {
                s.line(vec![(x, y - 7.0), (x, y + 7.0)], colour, 1.6)
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_better_than_all_before_is_the_best_so_far() {
        let values = [(1, 3.0), (2, 4.0), (4, 2.0), (5, 2.0), (7, 1.0)];
        assert_eq!(
            best_so_far(values.into_iter()),
            [(1, 3.0), (4, 2.0), (7, 1.0)]
        );
    }
}
