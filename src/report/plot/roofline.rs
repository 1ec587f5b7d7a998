//! Where variants stand under the ceilings of their device: Williams, Waterman & Patterson, CACM 52 (2009).
use super::axis::{Axis, frame, plain, remark};
use super::sketch::{Anchor, Sketch, fitted};
use super::theme::{BLUE, GREEN, GREY, INK, SMALL, WHITE, WIDTH};

#[derive(Clone, Debug, PartialEq)]
pub(in crate::report) struct Standing {
    pub(in crate::report) name: String,
    /// Operations a byte.
    pub(in crate::report) intensity: f64,
    /// Operations a second.
    pub(in crate::report) rate: f64,
    pub(in crate::report) is_first: bool,
    pub(in crate::report) is_last: bool,
}

const LEFT: f64 = 86.0;
const RIGHT: f64 = WIDTH - 250.0;
const TOP: f64 = 18.0;
const BOTTOM: f64 = 370.0;

pub(in crate::report) fn roofline(flops: f64, bandwidth: f64, standings: &[Standing]) -> Sketch {
    let mut sketch = Sketch::new(WIDTH, BOTTOM + 64.0);
    let ridge = flops / bandwidth;
    let around = standings
        .iter()
        .map(|s| s.intensity)
        .chain([ridge])
        .flat_map(|v| [v / 3.0, 3.0 * v]);
    let x = Axis::log(around, 0.0).between(LEFT, RIGHT);
    let rates = standings
        .iter()
        .map(|s| s.rate)
        .chain([flops])
        .flat_map(|v| [v / 1.6, 1.6 * v]);
    let y = Axis::log(rates.map(|r| r / 1e9), 0.0).between(BOTTOM, TOP);
    x.along_bottom(
        &mut sketch,
        TOP,
        BOTTOM,
        "effective operations a byte (log scale)",
        &plain,
    );
    y.up_left(
        &mut sketch,
        LEFT,
        RIGHT,
        (18.0, "effective Gop/s (log scale)"),
        &plain,
    );
    let (low, high) = x.ends();
    let roof = |intensity: f64| {
        (
            x.at(intensity),
            y.at(flops.min(bandwidth * intensity) / 1e9),
        )
    };
    // Where the slope enters the picture from below, it begins at the floor and not in the corner.
    let floor = y.ends().0 * 1e9 / bandwidth;
    let start = low.max(floor.min(ridge));
    sketch.line(
        vec![roof(start), roof(ridge.clamp(start, high)), roof(high)],
        INK,
        2.0,
    );
    frame(&mut sketch, (LEFT, TOP), (RIGHT, BOTTOM));
    let mut order: Vec<&Standing> = standings.iter().collect();
    order.sort_by(|a, b| b.rate.total_cmp(&a.rate));
    let mut free = TOP;
    for standing in order {
        let at = (x.at(standing.intensity), y.at(standing.rate / 1e9));
        let colour = match standing {
            s if s.is_first => GREY,
            s if s.is_last => GREEN,
            _ => BLUE,
        };
        // Names stand in a column on the right, each led to its point.
        let beside = at.1.max(free + 8.0).min(BOTTOM + 30.0);
        free = beside + 7.0;
        sketch.line(
            vec![at, (RIGHT, at.1), (RIGHT + 14.0, beside)],
            GREY.faded(0.5),
            0.5,
        );
        sketch.text(
            (RIGHT + 18.0, beside),
            &fitted(&standing.name, SMALL, WIDTH - RIGHT - 26.0),
            SMALL,
            INK,
            Anchor::Left,
        );
        sketch.disc(at, 6.0, WHITE);
        sketch.disc(at, 5.0, colour);
    }
    let text = format!(
        "roof: {} Gflop/s, slope: {} GB/s",
        plain((flops / 1e8).round() / 10.0),
        plain((bandwidth / 1e8).round() / 10.0)
    );
    remark(&mut sketch, (LEFT, BOTTOM + 54.0), &text, Anchor::Left);
    remark(
        &mut sketch,
        (RIGHT, BOTTOM + 54.0),
        "grey: baseline, green: last kept",
        Anchor::Right,
    );
    sketch
}
