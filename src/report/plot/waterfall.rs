//! From the baseline to the final configuration: a bar for each step that was kept, all from zero.
use super::sketch::{Anchor, Sketch, fitted, text_width};
use super::theme::{BLUE, GREEN, GREY, GRID, INK, LABEL, QUIET, SMALL, WIDTH};

#[derive(Clone, Debug, PartialEq)]
pub(in crate::report) struct Step {
    pub(in crate::report) name: String,
    pub(in crate::report) value: f64,
    /// "182.6 ms".
    pub(in crate::report) text: String,
    /// "1.075× vs its reference".
    pub(in crate::report) remark: String,
}

const LEFT: f64 = 285.0;
const ROW: f64 = 38.0;

/// The first step is the baseline, the last one the final configuration.
pub(in crate::report) fn waterfall(steps: &[Step], title: &str) -> Sketch {
    let remarks = steps
        .iter()
        .map(|s| text_width(&s.remark, SMALL).max(text_width(&s.text, LABEL)));
    let right = WIDTH - 24.0 - remarks.fold(60.0, f64::max);
    let bottom = 12.0 + ROW * steps.len() as f64;
    let mut sketch = Sketch::new(WIDTH, bottom + 32.0);
    let largest = steps
        .iter()
        .map(|s| s.value)
        .filter(|v| v.is_finite())
        .fold(1e-12, f64::max);
    let x = |value: f64| LEFT + value.max(0.0) / largest * (right - LEFT);
    let last = steps.len().saturating_sub(1);
    let mut before: Option<f64> = None;
    for (i, step) in steps.iter().enumerate() {
        let y = 12.0 + ROW * i as f64;
        let end = x(step.value).max(LEFT + 1.0);
        if let Some(before) = before {
            // From the end of the bar above, so that the step itself is seen.
            sketch.dashes((before, y - 10.0), (before, y + 26.0), GREY, 1.0);
        }
        let colour = match i {
            0 => GREY,
            i if i == last => GREEN,
            _ => BLUE,
        };
        sketch.block((LEFT, y), (end, y + 26.0), colour);
        let name = fitted(&step.name, LABEL, LEFT - 22.0);
        sketch.text((LEFT - 12.0, y + 13.0), &name, LABEL, INK, Anchor::Right);
        // Beside its bar; beyond the line from the bar above where that would run through it.
        let wide = text_width(&step.remark, SMALL).max(text_width(&step.text, LABEL));
        let label_at = match before {
            Some(before) if before > end - 4.0 && before < end + wide + 18.0 => {
                end.max(before) + 9.0
            }
            _ => end + 9.0,
        };
        sketch.text((label_at, y + 6.0), &step.text, LABEL, INK, Anchor::Left);
        sketch.text(
            (label_at, y + 21.0),
            &step.remark,
            SMALL,
            QUIET,
            Anchor::Left,
        );
        before = Some(end);
    }
    sketch.line(vec![(LEFT, 6.0), (LEFT, bottom)], GRID, 1.5);
    sketch.text(
        (f64::midpoint(LEFT, right), bottom + 16.0),
        title,
        LABEL,
        INK,
        Anchor::Middle,
    );
    sketch
}
