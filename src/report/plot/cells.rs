//! Every cell in the order in which it was measured, a lane for each variant. Each lane is drawn around its own median in percent,
//! on one scale: what drifts, jumps or has two states shows in all lanes at once, however different the variants' times are.
use super::axis::{plain, remark, room_for, row_name};
use super::sketch::{Anchor, Sketch};
use super::theme::{BAND, BLUE, FRAME, GREY, GRID, INK, LABEL, QUIET, SMALL, VERMILION, WIDTH};

/// The cells of one variant.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::report) struct Lane {
    pub(in crate::report) name: String,
    /// "median 182.6 ms".
    pub(in crate::report) median_text: String,
    pub(in crate::report) median: f64,
    /// (place in the order of blocks, value).
    pub(in crate::report) points: Vec<(f64, f64)>,
    pub(in crate::report) is_reference: bool,
}

/// A stretch of blocks measured for one purpose.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::report) struct Stretch {
    pub(in crate::report) name: &'static str,
    pub(in crate::report) from: f64,
    pub(in crate::report) to: f64,
}

/// More points than this in a lane are drawn as minimum, median and maximum of buckets.
const MOST: usize = 500;
const BUCKETS: usize = 240;

const LANE: f64 = 54.0;
const RIGHT: f64 = WIDTH - 62.0;
const TOP: f64 = 30.0;

pub(in crate::report) fn cells(lanes: &[Lane], stretches: &[Stretch]) -> Sketch {
    let end = stretches.iter().map(|s| s.to).fold(1.0, f64::max);
    let bottom = TOP + LANE * lanes.len().max(1) as f64;
    let mut sketch = Sketch::new(WIDTH, bottom + 62.0);
    let left = room_for(lanes.iter().map(|lane| lane.name.as_str()));
    let x = |at: f64| left + (at / end).clamp(0.0, 1.0) * (RIGHT - left);
    for (i, stretch) in stretches.iter().enumerate() {
        if i % 2 == 1 {
            sketch.block((x(stretch.from), TOP), (x(stretch.to), bottom), BAND);
        }
        if x(stretch.to) - x(stretch.from) > 80.0 {
            let middle = f64::midpoint(x(stretch.from), x(stretch.to));
            remark(
                &mut sketch,
                (middle, TOP - 12.0),
                stretch.name,
                Anchor::Middle,
            );
        }
    }
    let reach = Reach::of(lanes);
    let mut is_cut = false;
    for (i, lane) in lanes.iter().enumerate() {
        is_cut |= draw(&mut sketch, lane, (left, TOP + LANE * i as f64), reach, &x);
    }
    sketch.frame((left, TOP), (RIGHT, bottom), FRAME, 1.0);
    blocks(&mut sketch, stretches, bottom, &x);
    let mut note =
        "each lane: difference of every cell from the lane's median; line: running median of five"
            .to_owned();
    if is_cut {
        note.push_str("; triangles: beyond the scale");
    }
    remark(
        &mut sketch,
        (WIDTH / 2.0, bottom + 50.0),
        &note,
        Anchor::Middle,
    );
    sketch
}

/// Half the height of a lane, as a ratio − 1.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Reach(f64);

impl Reach {
    /// Holds all but one cell in fifty, at least half a percent.
    fn of(lanes: &[Lane]) -> Reach {
        const ROUND: [f64; 12] = [
            0.005, 0.01, 0.02, 0.03, 0.05, 0.08, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0,
        ];
        let mut far: Vec<f64> = lanes
            .iter()
            .flat_map(|lane| lane.points.iter().map(|p| p.1 / lane.median))
            .map(|ratio| ratio.max(1.0 / ratio) - 1.0)
            .filter(|d| d.is_finite())
            .collect();
        far.sort_unstable_by(f64::total_cmp);
        let place = (far.len() as f64 * 0.98) as usize;
        let last = far.len().saturating_sub(1);
        let wanted = 1.15 * far.get(place.min(last)).copied().unwrap_or(0.0);
        let round = ROUND.into_iter().find(|r| *r >= wanted);
        Reach(round.unwrap_or_else(|| wanted.min(100.0).ceil()))
    }

    /// No time is −200 %: wide scales are logarithmic.
    fn is_log(self) -> bool {
        self.0 > 0.3
    }

    /// −1 at the bottom of a lane, 1 at its top.
    fn share(self, ratio: f64) -> f64 {
        match self.is_log() {
            true => ratio.ln() / (1.0 + self.0).ln(),
            false => (ratio - 1.0) / self.0,
        }
    }

    fn labels(self) -> (String, String) {
        match self.is_log() {
            true => (
                format!("×{}", plain(1.0 + self.0)),
                format!("÷{}", plain(1.0 + self.0)),
            ),
            false => {
                let percent = plain(100.0 * self.0);
                (format!("+{percent} %"), format!("−{percent} %"))
            }
        }
    }
}

/// Returns whether a point lies beyond the scale.
fn draw(
    sketch: &mut Sketch,
    lane: &Lane,
    (left, top): (f64, f64),
    reach: Reach,
    x: &dyn Fn(f64) -> f64,
) -> bool {
    let middle = top + LANE / 2.0;
    let half = LANE / 2.0 - 5.0;
    let colour = if lane.is_reference { GREY } else { BLUE };
    sketch.line(vec![(left, top), (RIGHT, top)], GRID, 1.0);
    sketch.line(vec![(left, middle), (RIGHT, middle)], GRID, 1.0);
    row_name(sketch, (left - 12.0, middle - 8.0), &lane.name, left);
    sketch.text(
        (left - 12.0, middle + 11.0),
        &lane.median_text,
        SMALL,
        QUIET,
        Anchor::Right,
    );
    let (above, below) = reach.labels();
    remark(
        sketch,
        (RIGHT + 8.0, middle - half + 4.0),
        &above,
        Anchor::Left,
    );
    remark(
        sketch,
        (RIGHT + 8.0, middle + half - 4.0),
        &below,
        Anchor::Left,
    );
    let mut is_cut = false;
    let mut y = |value: f64| {
        let share = reach.share(value / lane.median);
        is_cut |= share.abs() > 1.0;
        (middle - half * share.clamp(-1.0, 1.0), share)
    };
    if lane.points.len() > MOST {
        for bucket in lane.points.chunks(lane.points.len().div_ceil(BUCKETS)) {
            let at = x(bucket[bucket.len() / 2].0);
            let mut values: Vec<f64> = bucket.iter().map(|p| p.1).collect();
            values.sort_unstable_by(f64::total_cmp);
            let (low, high) = (y(values[0]).0, y(values[values.len() - 1]).0);
            sketch.line(vec![(at, low), (at, high)], colour.faded(0.35), 1.0);
            let median = y(values[values.len() / 2]).0;
            sketch.disc((at, median), 1.5, colour);
        }
        return is_cut;
    }
    for (block, value) in &lane.points {
        let (at, share) = y(*value);
        if share.abs() <= 1.0 {
            sketch.disc((x(*block), at), 2.0, colour.faded(0.75));
        } else {
            // Points up or down, to where the cell is.
            let way = 4.5 * share.signum();
            let tip = [(0.0, at), (-3.5, at + way), (3.5, at + way)];
            sketch.area(tip.map(|(dx, dy)| (x(*block) + dx, dy)).to_vec(), VERMILION);
        }
    }
    let line = running_median(&lane.points);
    let path = line
        .into_iter()
        .map(|(block, value)| (x(block), y(value).0))
        .collect();
    sketch.line(path, colour.faded(0.6), 1.0);
    is_cut
}

fn running_median(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let middle = |window: &[(f64, f64)]| {
        let mut values: Vec<f64> = window.iter().map(|p| p.1).collect();
        values.sort_unstable_by(f64::total_cmp);
        (window[window.len() / 2].0, values[values.len() / 2])
    };
    points.windows(5).map(middle).collect()
}

/// Numbers of blocks along the bottom, from 1 in each stretch.
fn blocks(sketch: &mut Sketch, stretches: &[Stretch], bottom: f64, x: &dyn Fn(f64) -> f64) {
    for stretch in stretches {
        let count = stretch.to - stretch.from;
        let wide = x(stretch.to) - x(stretch.from);
        let every = [
            1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1e3, 1e4, 1e5,
        ]
        .into_iter()
        .find(|n| wide * n / count.max(1.0) >= 44.0)
        .unwrap_or(count);
        let mut at = every.max(1.0);
        while at <= count {
            let place = x(stretch.from + at - 0.5);
            sketch.line(vec![(place, bottom), (place, bottom + 4.0)], FRAME, 1.0);
            if place + 16.0 < x(stretch.to) + 20.0 {
                sketch.text(
                    (place, bottom + 13.0),
                    &format!("{at:.0}"),
                    SMALL,
                    INK,
                    Anchor::Middle,
                );
            }
            at += every.max(1.0);
        }
    }
    sketch.text(
        ((x(0.0) + RIGHT) / 2.0, bottom + 32.0),
        "block",
        LABEL,
        INK,
        Anchor::Middle,
    );
}
