//! Two parameters: a cell for each pair of values, the quicker the brighter.
use super::axis::{Axis, frame, plain, remark};
use super::sketch::{Anchor, Sketch, fitted, text_width};
use super::sweep::{Point, Scale, categories, cross};
use super::theme::{
    GREEN, INK, LABEL, MISSING, QUIET, SMALL, VERMILION, WHITE, WIDTH, readable_on, viridis,
};

pub(in crate::report) fn heat_map(
    (x, y): (&Scale, &Scale),
    points: &[Point],
    title: &str,
    label: &dyn Fn(f64) -> String,
    legend: &str,
) -> Sketch {
    let rows = y.values.len().max(1);
    let high = (rows as f64 * 46.0).clamp(140.0, 560.0);
    let (left, right, top, bottom) = (150.0, WIDTH - 150.0, 16.0, 16.0 + high);
    let mut sketch = Sketch::new(WIDTH, bottom + 74.0);
    let (w, h) = (
        (right - left) / x.values.len().max(1) as f64,
        high / rows as f64,
    );
    sketch.block((left, top), (right, bottom), MISSING);
    // Logarithms: a tenth quicker is the same step anywhere.
    let medians = || {
        points
            .iter()
            .filter_map(|p| p.quartiles)
            .map(|q| q.1)
            .filter(|v| v.is_finite() && *v > 0.0)
    };
    let (low, most) = medians().fold((f64::INFINITY, 0.0_f64), |(l, m), v| (l.min(v), m.max(v)));
    let span = (most / low).ln().max(1e-9);
    let shade = |v: f64| viridis(1.0 - (v / low).ln() / span);
    for point in points {
        let &[i, j] = &point.place[..] else {
            continue;
        };
        let (a, b) = (left + i as f64 * w, bottom - (j + 1) as f64 * h);
        let middle = (a + w / 2.0, b + h / 2.0);
        match point.quartiles {
            Some((_, median, _)) => {
                let colour = shade(median);
                sketch.block((a + 0.5, b + 0.5), (a + w - 0.5, b + h - 0.5), colour);
                let text = label(median);
                if text_width(&text, LABEL) < w - 4.0 && h > 16.0 {
                    let lift = if point.is_reference && h > 34.0 {
                        7.0
                    } else {
                        0.0
                    };
                    sketch.text(
                        (middle.0, middle.1 - lift),
                        &text,
                        LABEL,
                        readable_on(colour),
                        Anchor::Middle,
                    );
                    if lift > 0.0 && w > 60.0 {
                        sketch.text(
                            (middle.0, middle.1 + 9.0),
                            "reference",
                            SMALL,
                            readable_on(colour),
                            Anchor::Middle,
                        );
                    }
                }
            }
            None if text_width(&point.word, SMALL) < w - 4.0 => {
                sketch.text(middle, &point.word, SMALL, VERMILION, Anchor::Middle);
            }
            None => cross(&mut sketch, middle),
        }
    }
    // Over all cells, since a neighbour would paint over half of the line.
    for point in points.iter().filter(|p| p.is_kept) {
        if let &[i, j] = &point.place[..] {
            let (a, b) = (left + i as f64 * w, bottom - (j + 1) as f64 * h);
            sketch.frame((a + 1.0, b + 1.0), (a + w - 1.0, b + h - 1.0), WHITE, 4.0);
            sketch.frame((a + 1.0, b + 1.0), (a + w - 1.0, b + h - 1.0), GREEN, 2.0);
        }
    }
    frame(&mut sketch, (left, top), (right, bottom));
    categories(&mut sketch, &x.values, w, bottom, &|i| {
        left + (i as f64 + 0.5) * w
    });
    let every = (16.0 / h).ceil().max(1.0) as usize;
    for (j, value) in y.values.iter().enumerate().step_by(every) {
        let at = bottom - (j as f64 + 0.5) * h;
        sketch.text(
            (left - 10.0, at),
            &fitted(value, LABEL, 96.0),
            LABEL,
            INK,
            Anchor::Right,
        );
    }
    sketch.text(
        (f64::midpoint(left, right), bottom + 34.0),
        &fitted(&x.name, LABEL, 400.0),
        LABEL,
        INK,
        Anchor::Middle,
    );
    sketch.upright(
        (20.0, f64::midpoint(top, bottom)),
        &fitted(&y.name, LABEL, high),
        LABEL,
        INK,
    );
    if most > 0.0 {
        bar(
            &mut sketch,
            (right + 22.0, top, bottom),
            (low, most),
            title,
            &shade,
        );
    }
    remark(
        &mut sketch,
        (f64::midpoint(left, right), bottom + 58.0),
        legend,
        Anchor::Middle,
    );
    sketch
}

fn bar(
    sketch: &mut Sketch,
    (left, top, bottom): (f64, f64, f64),
    (low, most): (f64, f64),
    title: &str,
    shade: &dyn Fn(f64) -> super::theme::Colour,
) {
    let axis = Axis::log([low, most].into_iter(), 0.0).between(bottom, top);
    let steps = 64;
    sketch.raster((left, top), (left + 14.0, bottom), (1, steps), |_, row| {
        let share = (row as f64 + 0.5) / steps as f64;
        shade(most * (low / most).powf(share))
    });
    frame(sketch, (left, top), (left + 14.0, bottom));
    for tick in axis.ticks(5) {
        sketch.text(
            (left + 20.0, axis.at(tick)),
            &plain(tick),
            SMALL,
            INK,
            Anchor::Left,
        );
    }
    sketch.upright(
        (left + 74.0, f64::midpoint(top, bottom)),
        title,
        SMALL,
        QUIET,
    );
}
