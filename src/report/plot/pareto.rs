//! Speed against accuracy; the area of a point is its memory.
use super::axis::{Axis, frame, plain, remark};
use super::sketch::{Anchor, Sketch, fitted, text_width};
use super::theme::{BLUE, FRAME, GREY, INK, QUIET, SMALL, VERMILION, WHITE, WIDTH};

#[derive(Clone, Debug, PartialEq)]
pub(in crate::report) struct Choice {
    pub(in crate::report) name: String,
    /// In the unit of the axis.
    pub(in crate::report) time: f64,
    /// Zero: the output is the reference's, bit for bit.
    pub(in crate::report) error: f64,
    pub(in crate::report) memory: Option<f64>,
}

const LEFT: f64 = 92.0;
const RIGHT: f64 = WIDTH - 24.0;
const TOP: f64 = 18.0;
const BOTTOM: f64 = 390.0;
/// Height of the strip for errors of exactly zero, which a logarithm has no place for.
const STRIP: f64 = 34.0;

pub(in crate::report) fn pareto(
    choices: &[Choice],
    x_title: &str,
    metric: &str,
    limit: Option<f64>,
    memory_label: &dyn Fn(f64) -> String,
) -> Sketch {
    let mut sketch = Sketch::new(WIDTH, BOTTOM + 72.0);
    let has_exact = choices.iter().any(|c| c.error == 0.0);
    let floor = if has_exact { BOTTOM - STRIP } else { BOTTOM };
    let x = Axis::log(choices.iter().map(|c| c.time), 0.1).between(LEFT, RIGHT);
    let errors = choices.iter().map(|c| c.error).chain(limit);
    let y = Axis::log(errors, 0.12).between(floor, TOP);
    let place = |c: &Choice| {
        (
            x.at(c.time),
            if c.error == 0.0 {
                BOTTOM - STRIP / 2.0
            } else {
                y.at(c.error)
            },
        )
    };
    x.along_bottom(&mut sketch, TOP, BOTTOM, x_title, &plain);
    y.up_left(
        &mut sketch,
        LEFT,
        RIGHT,
        (18.0, &format!("{metric} (log scale); lower is better")),
        &plain,
    );
    if has_exact {
        sketch.line(vec![(LEFT, floor), (RIGHT, floor)], FRAME, 1.0);
        sketch.text(
            (LEFT - 7.0, BOTTOM - STRIP / 2.0),
            "exactly 0",
            SMALL,
            INK,
            Anchor::Right,
        );
    }
    frame(&mut sketch, (LEFT, TOP), (RIGHT, BOTTOM));
    if let Some(limit) = limit {
        sketch.dashes((LEFT, y.at(limit)), (RIGHT, y.at(limit)), VERMILION, 1.5);
    }
    let most = choices.iter().filter_map(|c| c.memory).fold(0.0, f64::max);
    let radius = |c: &Choice| match c.memory {
        Some(m) if most > 0.0 => 3.0 + 9.0 * (m / most).sqrt(),
        _ => 4.0,
    };
    let front = front(choices);
    for (i, choice) in choices.iter().enumerate() {
        let colour = if front.contains(&i) { BLUE } else { GREY };
        sketch.disc(place(choice), radius(choice), WHITE.faded(0.8));
        sketch.disc(
            place(choice),
            radius(choice),
            colour.faded(if front.contains(&i) { 0.75 } else { 0.4 }),
        );
    }
    let mut taken: Vec<[f64; 4]> = choices
        .iter()
        .map(|c| (place(c), radius(c)))
        .map(|((x, y), r)| [x - r, y - r, x + r, y + r])
        .collect();
    if let Some(limit) = limit {
        limit_name(&mut sketch, y.at(limit) - 9.0, &mut taken);
    }
    for &i in &front {
        let (at, r) = (place(&choices[i]), radius(&choices[i]));
        name(&mut sketch, &choices[i].name, at, r, &mut taken);
    }
    remark(
        &mut sketch,
        (LEFT, BOTTOM + 58.0),
        "blue: nothing measured is both quicker and more accurate",
        Anchor::Left,
    );
    if most > 0.0 {
        let text = format!("area: peak memory, largest {}", memory_label(most));
        remark(&mut sketch, (RIGHT, BOTTOM + 58.0), &text, Anchor::Right);
    }
    sketch
}

/// At the right end of the limit's line, or at the left where points are in the way.
fn limit_name(sketch: &mut Sketch, y: f64, taken: &mut Vec<[f64; 4]>) {
    let text = "limit of the plan";
    let w = text_width(text, SMALL);
    let spots = [RIGHT - 6.0 - w, LEFT + 6.0].map(|left| [left, y - 7.0, left + w, y + 7.0]);
    let area = spots
        .into_iter()
        .find(|area| is_free(area, taken))
        .unwrap_or(spots[0]);
    sketch.text((area[0], y), text, SMALL, VERMILION, Anchor::Left);
    taken.push(area);
}

fn is_free(area: &[f64; 4], taken: &[[f64; 4]]) -> bool {
    let lies_apart =
        |t: &[f64; 4]| area[0] >= t[2] || t[0] >= area[2] || area[1] >= t[3] || t[1] >= area[3];
    taken.iter().all(lies_apart)
}

/// Choices that nothing beats in both, quickest first.
pub(in crate::report) fn front(choices: &[Choice]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..choices.len()).collect();
    order.sort_by(|&a, &b| {
        let (a, b) = (&choices[a], &choices[b]);
        a.time.total_cmp(&b.time).then(a.error.total_cmp(&b.error))
    });
    let mut least = f64::INFINITY;
    order.retain(|&i| {
        // Errors that differ by rounding are one error.
        let is_on_it = choices[i].error < 0.95 * least;
        least = least.min(choices[i].error);
        is_on_it
    });
    order
}

/// Beside its point where there is room, else not at all: the table has every name.
fn name(sketch: &mut Sketch, name: &str, (x, y): (f64, f64), r: f64, taken: &mut Vec<[f64; 4]>) {
    let text = fitted(name, SMALL, 190.0);
    let w = text_width(&text, SMALL);
    let spots = [
        (x + r + 5.0, y, Anchor::Left),
        (x - r - 5.0, y, Anchor::Right),
        (x, y - r - 9.0, Anchor::Middle),
        (x, y + r + 9.0, Anchor::Middle),
        (x - r, y - r - 9.0, Anchor::Left),
        (x - r, y + r + 9.0, Anchor::Left),
        (x + r, y - r - 9.0, Anchor::Right),
        (x + r, y + r + 9.0, Anchor::Right),
    ];
    for (at, height, anchor) in spots {
        let left = match anchor {
            Anchor::Left => at,
            Anchor::Middle => at - w / 2.0,
            Anchor::Right => at - w,
        };
        let area = [left - 2.0, height - 7.0, left + w + 2.0, height + 7.0];
        let is_inside = area[0] > LEFT && area[2] < RIGHT && area[1] > TOP && area[3] < BOTTOM;
        if is_inside && is_free(&area, taken) {
            sketch.text((at, height), &text, SMALL, QUIET, anchor);
            taken.push(area);
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_front_is_what_nothing_beats_in_both() {
        let choice = |time, error| Choice {
            name: String::new(),
            time,
            error,
            memory: None,
        };
        let choices = [
            choice(3.0, 0.0),
            choice(1.0, 1e-2),
            choice(2.0, 1e-3),
            choice(2.5, 1e-2),
            choice(2.0, 1e-2),
        ];
        assert_eq!(front(&choices), [1, 2, 0]);
    }
}
