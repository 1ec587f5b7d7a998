//! Bars: how much of the variance each parameter explains, and what only two of them together do.
use super::axis::{Axis, frame, room_for, row_name};
use super::sketch::{Anchor, Sketch};
use super::theme::{BLUE, GREEN, GREY, INK, LABEL, WIDTH};

#[derive(Clone, Debug, PartialEq)]
pub(in crate::report) struct Bar {
    pub(in crate::report) name: String,
    /// Of 1.
    pub(in crate::report) share: f64,
    pub(in crate::report) kind: BarKind,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::report) enum BarKind {
    Alone,
    Together,
    Rest,
}

const TOP: f64 = 14.0;
const ROW: f64 = 28.0;
const RIGHT: f64 = WIDTH - 70.0;

pub(in crate::report) fn importance(bars: &[Bar]) -> Sketch {
    let left = room_for(bars.iter().map(|b| b.name.as_str()));
    let bottom = TOP + ROW * bars.len() as f64;
    let mut sketch = Sketch::new(WIDTH, bottom + 52.0);
    let most = bars.iter().map(|b| b.share).fold(0.0, f64::max);
    let x = Axis::linear([0.0, 100.0 * most].into_iter(), 0.0).between(left, RIGHT);
    let title = "share of the variance, %";
    x.along_bottom(&mut sketch, TOP, bottom, title, &super::axis::plain);
    for (i, bar) in bars.iter().enumerate() {
        let y = TOP + ROW * (i as f64 + 0.5);
        let colour = match bar.kind {
            BarKind::Alone => BLUE,
            BarKind::Together => GREEN,
            BarKind::Rest => GREY,
        };
        let end = x.at(100.0 * bar.share);
        sketch.block((left, y - 8.0), (end.max(left + 1.0), y + 8.0), colour);
        row_name(&mut sketch, (left - 12.0, y), &bar.name, left);
        let text = match 100.0 * bar.share {
            share if share < 0.1 => "< 0.1 %".into(),
            share => format!("{share:.1} %"),
        };
        sketch.text((end + 8.0, y), &text, LABEL, INK, Anchor::Left);
    }
    frame(&mut sketch, (left, TOP), (RIGHT, bottom));
    sketch
}
