//! Axes: where ticks go, what they say, and the frame with its grid.
use super::sketch::{Anchor, Sketch, fitted, text_width};
use super::theme::{FRAME, GRID, INK, LABEL, QUIET, SMALL};

/// A scale along one side of a plot.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    low: f64,
    high: f64,
    is_log: bool,
    /// Pixels of `low` and `high`.
    from: f64,
    to: f64,
}

impl Axis {
    /// Holds the finite values with `air` on each side, as a share of their range; never empty, never infinite.
    pub(super) fn linear(values: impl Iterator<Item = f64>, air: f64) -> Axis {
        Axis::over(values.filter(|v| v.is_finite()), air, false)
    }

    /// The same with logarithms; values that are not positive are left out.
    pub(super) fn log(values: impl Iterator<Item = f64>, air: f64) -> Axis {
        let logs = values.filter(|v| v.is_finite() && *v > 0.0).map(f64::ln);
        Axis::over(logs, air, true)
    }

    fn over(values: impl Iterator<Item = f64>, air: f64, is_log: bool) -> Axis {
        let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| {
            (l.min(v), h.max(v))
        });
        let (low, high) = if low.is_finite() && high.is_finite() {
            (low.max(-1e300), high.min(1e300))
        } else {
            (0.0, 1.0)
        };
        let least = if is_log {
            0.02
        } else {
            (1e-3 * low.abs().max(high.abs())).max(1e-12)
        };
        let width = (high - low).max(least);
        let middle = low / 2.0 + high / 2.0;
        Axis {
            low: middle - (0.5 + air) * width,
            high: middle + (0.5 + air) * width,
            is_log,
            from: 0.0,
            to: 1.0,
        }
    }

    pub(super) fn between(mut self, from: f64, to: f64) -> Axis {
        (self.from, self.to) = (from, to);
        self
    }

    /// The pixel of a value; what lies outside comes out at the end.
    pub(super) fn at(&self, value: f64) -> f64 {
        let v = match self.is_log {
            true if value > 0.0 => value.ln(),
            true => f64::NEG_INFINITY,
            false => value,
        };
        let share = ((v - self.low) / (self.high - self.low)).clamp(0.0, 1.0);
        self.from + share * (self.to - self.from)
    }

    /// The lowest and the highest value.
    pub(super) fn ends(&self) -> (f64, f64) {
        match self.is_log {
            true => (self.low.exp(), self.high.exp()),
            false => (self.low, self.high),
        }
    }

    /// Round values inside, at most about `most` of them.
    pub(super) fn ticks(&self, most: usize) -> Vec<f64> {
        let (low, high) = self.ends();
        if !(low.is_finite() && high.is_finite()) {
            return vec![];
        }
        if self.is_log && high / low >= 4.0 {
            let found = decades(low, high, most);
            // From 110 to 450 there is only 200.
            if found.len() > 2 {
                return found;
            }
        }
        let step = step((high - low) / most.max(1) as f64);
        if step.is_nan() || step <= 0.0 {
            return vec![];
        }
        let first = (low / step).ceil() as i64;
        (0..=(2 * most) as i64)
            .map(|i| (first + i) as f64 * step)
            .take_while(|v| *v <= high + 1e-9 * step)
            .collect()
    }

    /// Along the bottom of a plot: grid lines up to `top`, labels and the title below `bottom`.
    pub(super) fn along_bottom(
        &self,
        sketch: &mut Sketch,
        top: f64,
        bottom: f64,
        title: &str,
        label: &dyn Fn(f64) -> String,
    ) {
        let mut free = f64::NEG_INFINITY;
        let mut ticks = self.ticks(8);
        ticks.sort_by(|a, b| self.at(*a).total_cmp(&self.at(*b)));
        for tick in ticks {
            let (x, text) = (self.at(tick), label(tick));
            sketch.line(vec![(x, top), (x, bottom)], GRID, 1.0);
            let half = text_width(&text, LABEL) / 2.0;
            if x - half > free {
                sketch.text((x, bottom + 13.0), &text, LABEL, INK, Anchor::Middle);
                free = x + half + 8.0;
            }
        }
        let middle = f64::midpoint(self.from, self.to);
        sketch.text((middle, bottom + 35.0), title, LABEL, INK, Anchor::Middle);
    }

    /// Up the left side: grid lines to `right`, labels left of `left`, the title upright at `title_at`.
    pub(super) fn up_left(
        &self,
        sketch: &mut Sketch,
        left: f64,
        right: f64,
        title: (f64, &str),
        label: &dyn Fn(f64) -> String,
    ) {
        let mut last = f64::INFINITY;
        for tick in self.ticks(6) {
            let y = self.at(tick);
            sketch.line(vec![(left, y), (right, y)], GRID, 1.0);
            if (last - y).abs() > 1.3 * LABEL {
                sketch.text((left - 7.0, y), &label(tick), LABEL, INK, Anchor::Right);
                last = y;
            }
        }
        sketch.upright(
            (title.0, f64::midpoint(self.from, self.to)),
            title.1,
            LABEL,
            INK,
        );
    }

    /// Up the right side, without a grid: labels right of `right`, the title upright at `title.0`.
    pub(super) fn up_right(
        &self,
        sketch: &mut Sketch,
        right: f64,
        title: (f64, &str),
        label: &dyn Fn(f64) -> String,
    ) {
        for tick in self.ticks(6) {
            let y = self.at(tick);
            sketch.line(vec![(right, y), (right + 4.0, y)], FRAME, 1.0);
            sketch.text((right + 8.0, y), &label(tick), LABEL, INK, Anchor::Left);
        }
        let middle = f64::midpoint(self.from, self.to);
        sketch.upright((title.0, middle), title.1, LABEL, INK);
    }
}

/// The frame around a plot, painted after its grid.
pub(super) fn frame(sketch: &mut Sketch, from: (f64, f64), to: (f64, f64)) {
    sketch.frame(from, to, FRAME, 1.0);
}

/// Room for the longest of the names left of a plot: as much as it needs, but never so much that nothing is left.
pub(super) fn room_for<'a>(names: impl Iterator<Item = &'a str>) -> f64 {
    let widest = names.map(|name| text_width(&fitted(name, LABEL, 310.0), LABEL));
    widest.fold(180.0, f64::max) + 24.0
}

/// A name left of a plot, centred on a height; in two smaller lines where one is too short.
pub(super) fn row_name(sketch: &mut Sketch, (right, y): (f64, f64), name: &str, room: f64) {
    let room = room - 20.0;
    let whole = fitted(name, LABEL, room);
    let first_line = |end: usize| fitted(&name[..end], SMALL, room);
    let breaks = name
        .char_indices()
        .take(200)
        .filter(|(_, c)| " ,".contains(*c));
    let first = breaks
        .map(|(i, c)| i + c.len_utf8())
        .take_while(|end| !first_line(*end).ends_with('…'))
        .last();
    match first {
        Some(end) if whole.ends_with('…') => {
            let lines = [
                first_line(end),
                fitted(name[end..].trim_start(), SMALL, room),
            ];
            for (line, at) in lines.iter().zip([y - 6.5, y + 6.5]) {
                sketch.text((right, at), line, SMALL, INK, Anchor::Right);
            }
        }
        _ => sketch.text((right, y), &whole, LABEL, INK, Anchor::Right),
    }
}

/// A remark in small letters.
pub(super) fn remark(sketch: &mut Sketch, at: (f64, f64), text: &str, anchor: Anchor) {
    sketch.text(at, text, SMALL, QUIET, anchor);
}

/// 1, 2 or 5 times a power of ten, at least as large as this.
fn step(least: f64) -> f64 {
    let power = 10_f64.powf(least.log10().floor());
    let digit = least / power;
    let round = match () {
        () if digit <= 1.0 => 1.0,
        () if digit <= 2.0 => 2.0,
        () if digit <= 5.0 => 5.0,
        () => 10.0,
    };
    round * power
}

/// 1, 2, 5 of each decade, or powers of ten where those are too many.
fn decades(low: f64, high: f64, most: usize) -> Vec<f64> {
    let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
    let span = (last - first).max(1) as usize;
    let digits: &[f64] = if 3 * span <= 2 * most {
        &[1.0, 2.0, 5.0]
    } else {
        &[1.0]
    };
    let every = span.div_ceil(most.max(1)).max(1);
    (first..=last)
        .step_by(every)
        .flat_map(|power| digits.iter().map(move |d| d * 10_f64.powi(power)))
        .filter(|v| *v >= low && *v <= high)
        .collect()
}

/// A tick with as many digits as it has: "0.05", "1.2", "20"; "1e-6" where zeros would be counted.
pub(super) fn plain(value: f64) -> String {
    if value == 0.0 {
        return "0".into();
    }
    if !(1e-3..1e6).contains(&value.abs()) {
        return format!("{value:.0e}");
    }
    let text = format!("{value:.4}");
    text.trim_end_matches('0')
        .trim_end_matches('.')
        .replace('-', "−")
}
