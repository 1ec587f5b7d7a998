//! Speedups with their intervals: names on the left, figures on the right, a row each, so that nothing overlaps however many
//! there are. Colour and shape both say the verdict; a filled mark is confirmed, a hollow one is screening.
use super::axis::{Axis, plain, room_for, row_name};
use super::sketch::{Anchor, Sketch};
use super::theme::{
    BAND, BLUE, GRID, INK, LABEL, QUIET, SMALL, VERMILION, WHITE, WIDTH, colour_of,
};
use crate::trial::Verdict;

/// One row.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::report) struct Mark {
    pub(in crate::report) name: String,
    /// Absent where nothing was measured: the row says why.
    pub(in crate::report) effect: Option<Effect>,
    pub(in crate::report) verdict: Verdict,
    pub(in crate::report) is_kept: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(in crate::report) struct Effect {
    pub(in crate::report) speedup: f64,
    pub(in crate::report) interval: Option<(f64, f64)>,
    pub(in crate::report) is_confirmed: bool,
    /// "1.075× [1.071, 1.080]".
    pub(in crate::report) text: String,
}

const ROW: f64 = 32.0;
const RIGHT: f64 = WIDTH - 225.0;
const TOP: f64 = 16.0;

pub(in crate::report) fn forest(marks: &[Mark], equivalence: f64) -> Sketch {
    let bottom = TOP + ROW * marks.len().max(1) as f64;
    let left = room_for(marks.iter().map(|m| m.name.as_str()));
    let mut sketch = Sketch::new(WIDTH, bottom + 84.0);
    let values = marks
        .iter()
        .filter_map(|m| m.effect.as_ref())
        .flat_map(|e| {
            let (lower, upper) = e.interval.unwrap_or((e.speedup, e.speedup));
            // An interval of few blocks can be a hundred times as wide as all effects: its end is cut.
            [
                e.speedup,
                lower.max(e.speedup / 8.0),
                upper.min(e.speedup * 8.0),
            ]
        });
    let x = Axis::log(
        values.chain([1.0, 1.0 + equivalence, 1.0 / (1.0 + equivalence)]),
        0.06,
    )
    .between(left, RIGHT);
    sketch.block(
        (x.at(1.0 / (1.0 + equivalence)), TOP),
        (x.at(1.0 + equivalence), bottom),
        BAND,
    );
    x.along_bottom(
        &mut sketch,
        TOP,
        bottom,
        "speedup against the phase's reference (log scale); right is faster",
        &|v| format!("{}×", plain(v)),
    );
    sketch.line(vec![(x.at(1.0), TOP), (x.at(1.0), bottom)], INK, 1.5);
    for (i, mark) in marks.iter().enumerate() {
        row(&mut sketch, mark, (left, TOP + ROW * (i as f64 + 0.5)), &x);
    }
    legend(&mut sketch, bottom + 66.0, equivalence);
    sketch
}

fn row(sketch: &mut Sketch, mark: &Mark, (left, y): (f64, f64), x: &Axis) {
    let colour = colour_of(mark.verdict);
    row_name(sketch, (left - 12.0, y), &mark.name, left);
    let mut words = mark.verdict.words().to_owned();
    let Some(effect) = &mark.effect else {
        sketch.text(
            (RIGHT + 14.0, y),
            &format!("no figure: {words}"),
            SMALL,
            QUIET,
            Anchor::Left,
        );
        return;
    };
    // Fresh blocks may not show what the screening did.
    let claims = matches!(mark.verdict, Verdict::Faster | Verdict::SlightlyFaster);
    let is_shown = effect.interval.is_none_or(|(lower, _)| lower > 1.0);
    words.push_str(match effect.is_confirmed {
        true if claims && !is_shown => ", not confirmed",
        true => ", confirmed",
        false => ", screening",
    });
    if mark.is_kept {
        words.push_str(", kept");
    }
    sketch.text(
        (RIGHT + 14.0, y - 7.0),
        &effect.text,
        LABEL,
        INK,
        Anchor::Left,
    );
    sketch.text((RIGHT + 14.0, y + 8.0), &words, SMALL, colour, Anchor::Left);
    if let Some((lower, upper)) = effect.interval {
        let (a, b) = (x.at(lower), x.at(upper));
        sketch.line(vec![(a, y), (b, y)], colour, 1.5);
        for (end, value, outward) in [(a, lower, -1.0), (b, upper, 1.0)] {
            let (low, high) = x.ends();
            if value < low || value > high {
                // Goes on beyond the plot.
                let tip = vec![
                    (end, y),
                    (end - 6.0 * outward, y - 4.0),
                    (end - 6.0 * outward, y + 4.0),
                ];
                sketch.area(tip, colour);
            } else {
                sketch.line(vec![(end, y - 4.5), (end, y + 4.5)], colour, 1.5);
            }
        }
    }
    shape(
        sketch,
        (x.at(effect.speedup), y),
        mark.verdict,
        effect.is_confirmed,
    );
}

/// Triangles point to where the variant goes; a disc is neither faster nor slower.
fn shape(sketch: &mut Sketch, (x, y): (f64, f64), verdict: Verdict, is_filled: bool) {
    let colour = colour_of(verdict);
    let triangle = |r: f64, way: f64| {
        vec![
            (x - 0.8 * r * way, y - r),
            (x - 0.8 * r * way, y + r),
            (x + r * way, y),
        ]
    };
    match verdict {
        Verdict::Faster | Verdict::SlightlyFaster | Verdict::Slower | Verdict::SlightlySlower => {
            let is_fast = matches!(verdict, Verdict::Faster | Verdict::SlightlyFaster);
            let way = if is_fast { 1.0 } else { -1.0 };
            sketch.area(triangle(7.0, way), colour);
            if !is_filled {
                sketch.area(triangle(3.8, way), WHITE);
            }
        }
        _ if is_filled => sketch.disc((x, y), 5.5, colour),
        _ => sketch.ring((x, y), 5.5, colour, 1.8),
    }
}

fn legend(sketch: &mut Sketch, y: f64, equivalence: f64) {
    sketch.line(vec![(20.0, y - 14.0), (WIDTH - 20.0, y - 14.0)], GRID, 1.0);
    let say = |sketch: &mut Sketch, x: f64, text: &str| {
        sketch.text((x, y), text, SMALL, QUIET, Anchor::Left);
    };
    shape(sketch, (30.0, y), Verdict::Faster, true);
    shape(sketch, (52.0, y), Verdict::Slower, true);
    shape(sketch, (74.0, y), Verdict::Equivalent, true);
    say(sketch, 86.0, "confirmed on fresh blocks");
    shape(sketch, (262.0, y), Verdict::Faster, false);
    shape(sketch, (284.0, y), Verdict::Slower, false);
    shape(sketch, (306.0, y), Verdict::Equivalent, false);
    say(sketch, 318.0, "screening, optimistic");
    sketch.block((468.0, y - 6.0), (486.0, y + 6.0), BAND);
    say(
        sketch,
        492.0,
        &format!(
            "within {} %: no practical difference",
            plain(100.0 * equivalence)
        ),
    );
    sketch.text((734.0, y), "faster", SMALL, BLUE, Anchor::Left);
    sketch.text((778.0, y), "slower", SMALL, VERMILION, Anchor::Left);
    sketch.text((824.0, y), "neither", SMALL, QUIET, Anchor::Left);
}
