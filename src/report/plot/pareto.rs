//! The objective against another quantity; the area of a point is its memory.
use super::axis::{Axis, frame, plain, remark};
use super::sketch::{Anchor, Sketch, fitted, text_width};
use super::theme::{BLUE, FRAME, GREY, INK, QUIET, SMALL, VERMILION, WHITE, WIDTH};
use crate::accuracy::Better;

#[derive(Clone, Debug, PartialEq)]
pub(in crate::report) struct Choice {
    pub(in crate::report) name: String,
    /// In the unit of its axis.
    pub(in crate::report) objective: f64,
    /// In the unit of its axis. An error of zero: the output is the reference's, bit for bit.
    pub(in crate::report) other: f64,
    pub(in crate::report) memory: Option<f64>,
    /// Nothing beats it.
    pub(in crate::report) is_best: bool,
}

/// What the axes and the colours mean.
pub(in crate::report) struct Meaning<'a> {
    pub(in crate::report) x_title: &'a str,
    pub(in crate::report) other: &'a str,
    pub(in crate::report) better: Better,
    /// Of the other quantity.
    pub(in crate::report) limit: Option<f64>,
    pub(in crate::report) best: &'a str,
}

const LEFT: f64 = 92.0;
const RIGHT: f64 = WIDTH - 24.0;
const TOP: f64 = 18.0;
const BOTTOM: f64 = 390.0;
/// Height of the strip for errors of exactly zero, which a logarithm has no place for.
const STRIP: f64 = 34.0;

pub(in crate::report) fn pareto(
    choices: &[Choice],
    meaning: &Meaning<'_>,
    memory_label: &dyn Fn(f64) -> String,
) -> Sketch {
    let limit = meaning.limit;
    let mut sketch = Sketch::new(WIDTH, BOTTOM + 72.0);
    let has_exact = choices.iter().any(|c| c.other == 0.0);
    let floor = if has_exact { BOTTOM - STRIP } else { BOTTOM };
    let x = Axis::log(choices.iter().map(|c| c.objective), 0.1).between(LEFT, RIGHT);
    let others = choices.iter().map(|c| c.other).chain(limit);
    let y = Axis::log(others, 0.12).between(floor, TOP);
    let place = |c: &Choice| {
        (
            x.at(c.objective),
            if c.other == 0.0 {
                BOTTOM - STRIP / 2.0
            } else {
                y.at(c.other)
            },
        )
    };
    x.along_bottom(&mut sketch, TOP, BOTTOM, meaning.x_title, &plain);
    y.up_left(
        &mut sketch,
        LEFT,
        RIGHT,
        (
            18.0,
            &format!(
                "{} (log scale); {} is better",
                meaning.other,
                match meaning.better {
                    Better::Smaller => "lower",
                    Better::Larger => "higher",
                }
            ),
        ),
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
    // The best on top, quickest first for their names.
    let mut best: Vec<&Choice> = choices.iter().filter(|c| c.is_best).collect();
    best.sort_by(|a, b| a.objective.total_cmp(&b.objective));
    let others = choices.iter().filter(|c| !c.is_best);
    for choice in others.chain(best.iter().copied()) {
        let colour = if choice.is_best { BLUE } else { GREY };
        sketch.disc(place(choice), radius(choice), WHITE.faded(0.8));
        sketch.disc(
            place(choice),
            radius(choice),
            colour.faded(if choice.is_best { 0.75 } else { 0.4 }),
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
    for choice in best {
        let (at, r) = (place(choice), radius(choice));
        name(&mut sketch, &choice.name, at, r, &mut taken);
    }
    remark(
        &mut sketch,
        (LEFT, BOTTOM + 58.0),
        meaning.best,
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
