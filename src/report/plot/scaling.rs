//! Time over work, one point a problem size: whether cost grows as it should.
use super::axis::{Axis, frame, plain, remark};
use super::sketch::{Anchor, Sketch, fitted};
use super::theme::{BLUE, GREEN, GREY, INK, SMALL, WHITE, WIDTH};

/// One case.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::report) struct Point {
    pub(in crate::report) name: String,
    /// Effective operations.
    pub(in crate::report) work: f64,
    /// Milliseconds, of the baseline and of what was recommended.
    pub(in crate::report) baseline: f64,
    pub(in crate::report) last: Option<f64>,
}

const LEFT: f64 = 86.0;
const RIGHT: f64 = WIDTH - 250.0;
const TOP: f64 = 18.0;
const BOTTOM: f64 = 370.0;

pub(in crate::report) fn scaling(points: &[Point]) -> Sketch {
    let mut sketch = Sketch::new(WIDTH, BOTTOM + 64.0);
    let works = points.iter().map(|p| p.work / 1e9);
    let x = Axis::log(works, 0.08).between(LEFT, RIGHT);
    let times = points
        .iter()
        .flat_map(|p| [Some(p.baseline), p.last])
        .flatten();
    let y = Axis::log(times, 0.08).between(BOTTOM, TOP);
    x.along_bottom(
        &mut sketch,
        TOP,
        BOTTOM,
        "useful work, effective Gop (log scale)",
        &plain,
    );
    y.up_left(
        &mut sketch,
        LEFT,
        RIGHT,
        (18.0, "time, ms (log scale)"),
        &plain,
    );
    frame(&mut sketch, (LEFT, TOP), (RIGHT, BOTTOM));
    // In proportion to the work, through the middle of the points.
    let middle = |of: &dyn Fn(&Point) -> Option<f64>| {
        let logs: Vec<f64> = points
            .iter()
            .filter_map(|p| Some((of(p)? / p.work).ln()))
            .collect();
        (logs.iter().sum::<f64>() / logs.len() as f64).exp()
    };
    let (low, high) = x.ends();
    let mut proportional = |rate: f64, colour| {
        // Where the line leaves the picture above or below, it ends.
        let steps = (0..=40).map(|i| low * (high / low).powf(f64::from(i) / 40.0));
        let (least, most) = y.ends();
        let inside = steps
            .map(|w| (w, rate * w * 1e9))
            .filter(|(_, t)| (least..=most).contains(t));
        let line: Vec<(f64, f64)> = inside.map(|(w, t)| (x.at(w), y.at(t))).collect();
        if let (Some(from), Some(to)) = (line.first(), line.last()) {
            sketch.dashes(*from, *to, colour, 1.0);
        }
    };
    proportional(middle(&|p| Some(p.baseline)), GREY);
    if points.iter().any(|p| p.last.is_some()) {
        proportional(middle(&|p| p.last), GREEN);
    }
    let mut free = TOP;
    let mut order: Vec<&Point> = points.iter().collect();
    order.sort_by(|a, b| b.baseline.total_cmp(&a.baseline));
    for point in order {
        let at = (x.at(point.work / 1e9), y.at(point.baseline));
        let beside = at.1.max(free + 8.0).min(BOTTOM + 30.0);
        free = beside + 7.0;
        sketch.line(
            vec![at, (RIGHT, at.1), (RIGHT + 14.0, beside)],
            GREY.faded(0.5),
            0.5,
        );
        let name = fitted(&point.name, SMALL, WIDTH - RIGHT - 26.0);
        sketch.text((RIGHT + 18.0, beside), &name, SMALL, INK, Anchor::Left);
        sketch.disc(at, 6.0, WHITE);
        sketch.disc(at, 5.0, BLUE);
        if let Some(last) = point.last {
            let at = (at.0, y.at(last));
            sketch.disc(at, 6.0, WHITE);
            sketch.disc(at, 5.0, GREEN);
        }
    }
    let text = "blue: baseline, green: recommended; dashed: in proportion to the work";
    remark(&mut sketch, (LEFT, BOTTOM + 54.0), text, Anchor::Left);
    sketch
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_overlaps_however_close_the_points() {
        for apart in [1.0001, 1.3, 10.0] {
            let points: Vec<Point> = (0..6)
                .map(|i| Point {
                    name: format!("a problem of size {i}"),
                    work: 1e9 * f64::powi(apart, i),
                    baseline: 100.0 * f64::powi(apart, i),
                    last: (i % 2 == 0).then(|| 30.0 * f64::powi(apart, i)),
                })
                .collect();
            let crowded = scaling(&points).crowded();
            assert!(crowded.is_empty(), "{apart}: {crowded:?}");
        }
    }
}
