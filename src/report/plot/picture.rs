//! A slice through an output, alone or beside its difference from the baseline's.
use super::axis::{frame, plain};
use super::sketch::{Anchor, Sketch, fitted};
use super::theme::{Colour, INK, LABEL, QUIET, SMALL, TITLE, diverging, grey, viridis};
use crate::trial::PictureRecord;

const PANEL: f64 = 450.0;
const LEFT: f64 = 74.0;
const RIGHT: f64 = 74.0;
const TOP: f64 = 34.0;

/// The values of a picture, `height` rows of `width`; `baseline` of the same shape.
pub(in crate::report) fn picture(
    record: &PictureRecord,
    values: &[f32],
    baseline: Option<&[f32]>,
) -> Sketch {
    let (wide, high) = size(record);
    let panels = if baseline.is_some() { 2.0 } else { 1.0 };
    let mut sketch = Sketch::new(panels * PANEL, TOP + high + 54.0);
    if record.width * record.height == 0 || values.len() != record.width * record.height {
        return Sketch::nothing(PANEL, "the picture has no values");
    }
    let unit = &record.unit;
    let panel = Panel {
        record,
        left: LEFT,
        top: TOP,
        wide,
        high,
        room: PANEL - LEFT - 8.0,
    };
    panel.draw(
        &mut sketch,
        values,
        record.scale,
        shade(record),
        &record.title,
    );
    let Some(baseline) = baseline.filter(|b| b.len() == values.len()) else {
        return sketch;
    };
    let (difference, limit, largest) = difference(values, baseline);
    let title = format!(
        "minus the baseline (largest {} {unit})",
        super::super::numbers::small(largest)
    );
    let panel = Panel {
        left: PANEL + LEFT,
        ..panel
    };
    panel.draw(&mut sketch, &difference, (-limit, limit), diverging, &title);
    sketch
}

/// A scale that is symmetric is that of a signed quantity.
fn shade(record: &PictureRecord) -> fn(f64) -> Colour {
    match record.scale.0 == -record.scale.1 {
        true => grey,
        false => viridis,
    }
}

/// With the end of its colour scale and its largest magnitude.
fn difference(values: &[f32], baseline: &[f32]) -> (Vec<f32>, f64, f64) {
    let pairs = values.iter().zip(baseline);
    let difference: Vec<f32> = pairs
        .map(|(a, b)| if a == b { 0.0 } else { a - b })
        .collect();
    let magnitudes = difference.iter().map(|d| f64::from(d.abs()));
    let largest = magnitudes.filter(|d| d.is_finite()).fold(0.0, f64::max);
    (difference, round_up(largest), largest)
}

/// One picture of a sheet, and the baseline's where the two differ.
#[derive(Clone, Debug)]
pub(in crate::report) struct Shown<'a> {
    pub(in crate::report) record: &'a PictureRecord,
    pub(in crate::report) values: &'a [f32],
    pub(in crate::report) baseline: Option<&'a [f32]>,
}

/// Width and height of a picture on a sheet with what is written around it, and how many stand side by side.
const CELL: (f64, f64) = (300.0, 250.0);
const ACROSS: usize = 6;

/// All pictures of an output on one sheet; below each, where there is one, its difference from the baseline's.
pub(in crate::report) fn sheet(all: &[Shown<'_>]) -> Sketch {
    let has_differences = all.iter().any(|shown| shown.baseline.is_some());
    let (wide, high) = CELL;
    let each = if has_differences { 2.0 * high } else { high };
    let across = all.len().clamp(1, ACROSS);
    let rows = all.len().div_ceil(ACROSS) as f64;
    let mut sketch = Sketch::new(across as f64 * wide, rows * each);
    for (i, shown) in all.iter().enumerate() {
        let Shown { record, values, .. } = shown;
        if record.width * record.height == 0 || values.len() != record.width * record.height {
            continue;
        }
        let (w, h) = size(record);
        let room = (wide - LEFT - RIGHT, high - TOP - 54.0);
        let shrunk = (room.0 / w).min(room.1 / h);
        let panel = Panel {
            record,
            left: (i % ACROSS) as f64 * wide + LEFT,
            top: (i / ACROSS) as f64 * each + TOP,
            wide: w * shrunk,
            high: h * shrunk,
            room: wide - LEFT - 8.0,
        };
        panel.draw(
            &mut sketch,
            values,
            record.scale,
            shade(record),
            &record.title,
        );
        if let Some(baseline) = shown.baseline.filter(|b| b.len() == values.len()) {
            let (difference, limit, _) = difference(values, baseline);
            let below = Panel {
                top: panel.top + high,
                ..panel
            };
            let title = "minus the baseline";
            below.draw(&mut sketch, &difference, (-limit, limit), diverging, title);
        }
    }
    sketch
}

/// True to scale where both axes have the same unit and the shape is not extreme.
fn size(record: &PictureRecord) -> (f64, f64) {
    let room = PANEL - LEFT - RIGHT;
    let span = |r: (f64, f64)| (r.1 - r.0).abs();
    let unit = |label: &str| label.rsplit_once('(').map(|(_, u)| u.to_owned());
    let is_same = unit(&record.x_label).is_some() && unit(&record.x_label) == unit(&record.y_label);
    let is_other = unit(&record.x_label).is_some() && unit(&record.y_label).is_some();
    let ratio = match is_same {
        true => span(record.y_range) / span(record.x_range),
        // Metres and milliseconds have no scale in common: a section as it is usually drawn.
        false if is_other => 1.0,
        false => record.height as f64 / record.width.max(1) as f64,
    };
    match ratio {
        r if !r.is_finite() || r <= 0.0 => (room, room),
        r if r > 1.3 => ((1.3 * room / r).max(room / 4.0), 1.3 * room),
        r => (room, (room * r).max(room / 5.0)),
    }
}

/// 1, 2 or 5 times a power of ten.
fn round_up(value: f64) -> f64 {
    if !(value.is_finite() && value > 0.0) {
        return 1.0;
    }
    let power = 10_f64.powf(value.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .map(|d| d * power)
        .into_iter()
        .find(|r| *r >= value)
        .unwrap_or(value)
}

#[derive(Clone, Copy)]
struct Panel<'a> {
    record: &'a PictureRecord,
    left: f64,
    top: f64,
    wide: f64,
    high: f64,
    /// For its title.
    room: f64,
}

impl Panel<'_> {
    fn draw(
        &self,
        sketch: &mut Sketch,
        values: &[f32],
        (low, high): (f64, f64),
        shade: fn(f64) -> Colour,
        title: &str,
    ) {
        let record = self.record;
        let (left, right) = (self.left, self.left + self.wide);
        let (top, bottom) = (self.top, self.top + self.high);
        let share = |v: f64| (v - low) / (high - low).max(1e-300);
        sketch.text(
            (left, top - 17.0),
            &fitted(title, TITLE, self.room),
            TITLE,
            INK,
            Anchor::Left,
        );
        sketch.raster(
            (left, top),
            (right, bottom),
            (record.width, record.height),
            |column, row| shade(share(f64::from(values[row * record.width + column]))),
        );
        frame(sketch, (left, top), (right, bottom));
        let bar = right + 12.0;
        sketch.raster((bar, top), (bar + 12.0, bottom), (1, 128), |_, row| {
            shade(1.0 - row as f64 / 127.0)
        });
        frame(sketch, (bar, top), (bar + 12.0, bottom));
        for (value, y) in [
            (high, top + 5.0),
            (low, bottom - 5.0),
            (f64::midpoint(low, high), top + self.high / 2.0),
        ] {
            sketch.text((bar + 17.0, y), &number(value), SMALL, INK, Anchor::Left);
        }
        sketch.text(
            (bar + 17.0, bottom + 13.0),
            &fitted(&record.unit, SMALL, 40.0),
            SMALL,
            QUIET,
            Anchor::Left,
        );
        for (value, x, anchor) in [
            (record.x_range.0, left, Anchor::Left),
            (record.x_range.1, right, Anchor::Right),
        ] {
            sketch.text((x, bottom + 13.0), &number(value), SMALL, INK, anchor);
        }
        for (value, y) in [
            (record.y_range.0, top + 5.0),
            (record.y_range.1, bottom - 5.0),
        ] {
            sketch.text((left - 6.0, y), &number(value), SMALL, INK, Anchor::Right);
        }
        let middle = f64::midpoint(left, right);
        sketch.text(
            (middle, bottom + 33.0),
            &fitted(&record.x_label, LABEL, self.wide),
            LABEL,
            INK,
            Anchor::Middle,
        );
        let label = fitted(&record.y_label, LABEL, self.high);
        sketch.upright((left - 52.0, top + self.high / 2.0), &label, LABEL, INK);
    }
}

fn number(value: f64) -> String {
    match value.is_finite() {
        true => plain(value),
        false => value.to_string(),
    }
}
