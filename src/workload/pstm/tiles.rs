//! Which tiles there are, in which order, and which traces each of them needs.
use super::scene::{Gather, Scene};
use super::settings::TileOrder;
use std::ops::Range;

/// A box of pillars.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tile {
    pub(super) x: Range<usize>,
    pub(super) y: Range<usize>,
}

impl Tile {
    pub(super) fn pillars(&self) -> usize {
        self.x.len() * self.y.len()
    }
}

/// Covers the grid.
pub(super) fn tiles([nx, ny, _]: [usize; 3], size: [usize; 2], order: TileOrder) -> Vec<Tile> {
    let (columns, rows) = (nx.div_ceil(size[0]), ny.div_ceil(size[1]));
    let tile = |i: usize, j: usize| Tile {
        x: i * size[0]..nx.min((i + 1) * size[0]),
        y: j * size[1]..ny.min((j + 1) * size[1]),
    };
    let mut places: Vec<(usize, usize)> = (0..columns)
        .flat_map(|i| (0..rows).map(move |j| (i, j)))
        .collect();
    match order {
        TileOrder::RowMajor => {}
        TileOrder::Snake => {
            for row in places.chunks_mut(rows).skip(1).step_by(2) {
                row.reverse();
            }
        }
        TileOrder::Hilbert => {
            let side = columns.max(rows).next_power_of_two();
            places.sort_by_key(|(i, j)| hilbert(side, *i, *j));
        }
    }
    places.into_iter().map(|(i, j)| tile(i, j)).collect()
}

/// Place on Hilbert's curve through a square of a power of two (Hilbert 1891; the iteration of Warren, Hacker's Delight §16).
fn hilbert(side: usize, mut x: usize, mut y: usize) -> usize {
    let mut place = 0;
    let mut half = side / 2;
    while half > 0 {
        let (right, up) = (usize::from(x & half > 0), usize::from(y & half > 0));
        place += half * half * ((3 * right) ^ up);
        if up == 0 {
            if right == 1 {
                x = (side - 1) - x;
                y = (side - 1) - y;
            }
            std::mem::swap(&mut x, &mut y);
        }
        half /= 2;
    }
    place
}

/// Midpoints by cells of the field, so that a tile finds its traces without looking at all of them.
#[derive(Debug)]
pub(super) struct Field {
    low: [f64; 2],
    cell: f64,
    cells: [usize; 2],
    /// Where each cell's traces begin in `traces`.
    begins: Vec<u32>,
    traces: Vec<u32>,
}

impl Field {
    pub(super) fn new(gather: &Gather, reach: f64) -> Field {
        let points: Vec<[f64; 2]> = (0..gather.geometry.len())
            .map(|k| gather.midpoint(k).map(f64::from))
            .collect();
        let bound = |axis: usize, pick: fn(f64, f64) -> f64, start: f64| {
            points.iter().fold(start, |m, p| pick(m, p[axis]))
        };
        let low = [0, 1].map(|axis| bound(axis, f64::min, f64::INFINITY));
        let high = [0, 1].map(|axis| bound(axis, f64::max, f64::NEG_INFINITY));
        let widest = (high[0] - low[0]).max(high[1] - low[1]);
        // Cells as small as a quarter of the aperture, but not more than a million of them.
        let cell = (0.25 * reach).max(widest / 1000.0).max(1e-3);
        let cells = [0, 1].map(|axis| ((high[axis] - low[axis]) / cell) as usize + 1);
        let mut field = Field {
            low,
            cell,
            cells,
            begins: vec![0; cells[0] * cells[1] + 1],
            traces: vec![],
        };
        let places: Vec<usize> = points.iter().map(|p| field.place(*p)).collect();
        for place in &places {
            field.begins[place + 1] += 1;
        }
        for i in 1..field.begins.len() {
            field.begins[i] += field.begins[i - 1];
        }
        let mut next = field.begins.clone();
        field.traces = vec![0; points.len()];
        for (trace, place) in places.into_iter().enumerate() {
            field.traces[next[place] as usize] = trace as u32;
            next[place] += 1;
        }
        field
    }

    fn along(&self, axis: usize, value: f64) -> usize {
        (((value - self.low[axis]) / self.cell).max(0.0) as usize).min(self.cells[axis] - 1)
    }

    fn place(&self, p: [f64; 2]) -> usize {
        self.along(0, p[0]) * self.cells[1] + self.along(1, p[1])
    }

    /// Traces with a midpoint in the tile or less than `reach` beside it, in ascending order: the order of the sums is the same
    /// for every tiling.
    pub(super) fn within(
        &self,
        scene: &Scene,
        gather: &Gather,
        tile: &Tile,
        reach: f64,
    ) -> Vec<u32> {
        let side = |axis: usize, nodes: &Range<usize>| {
            let spacing = scene.spacing[axis];
            [
                nodes.start as f64 * spacing - reach,
                (nodes.end - 1) as f64 * spacing + reach,
            ]
        };
        let (x, y) = (side(0, &tile.x), side(1, &tile.y));
        let mut found = vec![];
        for i in self.along(0, x[0])..=self.along(0, x[1]) {
            for j in self.along(1, y[0])..=self.along(1, y[1]) {
                let place = i * self.cells[1] + j;
                let cell = self.begins[place] as usize..self.begins[place + 1] as usize;
                found.extend(self.traces[cell].iter().filter(|trace| {
                    let m = gather.midpoint(**trace as usize).map(f64::from);
                    // A midpoint is rounded to f32 here and not where the aperture is tested.
                    let slack = 1e-3;
                    m[0] >= x[0] - slack
                        && m[0] <= x[1] + slack
                        && m[1] >= y[0] - slack
                        && m[1] <= y[1] + slack
                }));
            }
        }
        found.sort_unstable();
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Value;
    use std::collections::BTreeSet;

    #[test]
    fn tiles_cover_the_grid_once_in_every_order() {
        for order in [TileOrder::RowMajor, TileOrder::Snake, TileOrder::Hilbert] {
            for size in [[512, 512], [5, 3], [1, 7], [4, 4]] {
                let mut seen = BTreeSet::new();
                for tile in tiles([13, 11, 4], size, order) {
                    for x in tile.x.clone() {
                        for y in tile.y.clone() {
                            assert!(seen.insert((x, y)), "{order:?} {size:?}");
                        }
                    }
                }
                assert_eq!(seen.len(), 13 * 11, "{order:?} {size:?}");
            }
        }
    }

    #[test]
    fn neighbours_on_the_curve_are_neighbours_in_the_field() {
        let all = tiles([32, 32, 1], [4, 4], TileOrder::Hilbert);
        for pair in all.windows(2) {
            let apart = pair[0].x.start.abs_diff(pair[1].x.start)
                + pair[0].y.start.abs_diff(pair[1].y.start);
            assert_eq!(apart, 4, "{pair:?}");
        }
    }

    #[test]
    fn a_tile_gets_the_traces_of_its_aperture_and_no_others() {
        let scene = Scene::new(&[
            ("preset".into(), Value::Text("tiny".into())),
            ("ntr".into(), Value::Int(700)),
        ])
        .unwrap();
        let gather = &scene.gathers[0];
        let field = Field::new(gather, scene.amax);
        let tile = Tile { x: 3..5, y: 0..4 };
        let reach = 60.0;
        let found = field.within(&scene, gather, &tile, reach);
        let expected: Vec<u32> = (0..gather.geometry.len() as u32)
            .filter(|k| {
                let [x, y] = gather.midpoint(*k as usize).map(f64::from);
                (75.0 - reach..=100.0 + reach).contains(&x)
                    && (0.0 - reach..=75.0 + reach).contains(&y)
            })
            .collect();
        assert!(expected.len() > 20 && expected.len() < 600);
        assert_eq!(found, expected);
    }
}
