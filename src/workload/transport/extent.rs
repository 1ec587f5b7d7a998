//! The active window: which angles and rows of an energy's plane hold weight.
use super::form::Sparse;
use super::tables::Tables;
use std::ops::Range;

/// A box of a plane; empty if it has no angles.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Extent {
    pub(super) angles: (usize, usize),
    pub(super) rows: (usize, usize),
}

impl Extent {
    pub(super) const EMPTY: Extent = Extent {
        angles: (0, 0),
        rows: (0, 0),
    };

    pub(super) fn is_empty(&self) -> bool {
        self.angles.0 >= self.angles.1
    }

    pub(super) fn angles(&self) -> Range<usize> {
        self.angles.0..self.angles.1
    }

    pub(super) fn rows(&self) -> Range<usize> {
        self.rows.0..self.rows.1
    }

    /// The smallest box around both.
    pub(super) fn around(&self, other: &Extent) -> Extent {
        let span = |a: (usize, usize), b: (usize, usize)| (a.0.min(b.0), a.1.max(b.1));
        match (self.is_empty(), other.is_empty()) {
            (true, _) => *other,
            (_, true) => *self,
            _ => Extent {
                angles: span(self.angles, other.angles),
                rows: span(self.rows, other.rows),
            },
        }
    }

    /// Its part in some rows.
    pub(super) fn within(&self, rows: &Range<usize>) -> Extent {
        let rows = (self.rows.0.max(rows.start), self.rows.1.min(rows.end));
        match rows.0 < rows.1 {
            true => Extent { rows, ..*self },
            false => Extent::EMPTY,
        }
    }

    /// What of it is worth keeping, by the weight of its rows and angles, and the weight that is left out.
    pub(super) fn trimmed(
        &self,
        sparse: Sparse,
        cutoff: f64,
        of_rows: &[f64],
        of_angles: &[f32],
    ) -> (Extent, f64) {
        let total: f64 = of_rows[self.rows()].iter().sum();
        if sparse == Sparse::None {
            return (*self, 0.0);
        }
        if total <= cutoff {
            return (Extent::EMPTY, total);
        }
        if sparse == Sparse::Planes {
            return (*self, 0.0);
        }
        let mut kept = *self;
        let mut left = 0.0;
        kept.rows = ends(self.rows, |z| of_rows[z], cutoff, &mut left);
        if sparse == Sparse::Box {
            kept.angles = ends(self.angles, |t| f64::from(of_angles[t]), cutoff, &mut left);
        }
        // Rows that are each too light may be heavy together.
        if kept.rows.0 >= kept.rows.1 || kept.is_empty() {
            return (*self, 0.0);
        }
        (kept, left)
    }
}

/// Where the beam enters, by energy.
pub(super) fn first(tables: &Tables, sparse: Sparse) -> Vec<Extent> {
    let grid = tables.grid;
    let whole = Extent {
        angles: (0, grid.angles),
        rows: (0, grid.nz),
    };
    let begin = match sparse {
        Sparse::None => whole,
        _ => Extent::EMPTY,
    };
    let mut all = vec![begin; grid.energies];
    for entry in &tables.entries {
        let cell = Extent {
            angles: (entry.angle, entry.angle + 1),
            rows: (entry.z, entry.z + 1),
        };
        all[entry.energy] = match sparse {
            Sparse::None | Sparse::Planes => whole,
            Sparse::Rows => Extent {
                angles: whole.angles,
                ..all[entry.energy].around(&cell)
            },
            Sparse::Box => all[entry.energy].around(&cell),
        };
    }
    all
}

/// Leaves light ones off both ends.
fn ends(
    (mut low, mut high): (usize, usize),
    weight: impl Fn(usize) -> f64,
    cutoff: f64,
    left: &mut f64,
) -> (usize, usize) {
    while low < high && weight(low) <= cutoff {
        *left += weight(low);
        low += 1;
    }
    while low < high && weight(high - 1) <= cutoff {
        high -= 1;
        *left += weight(high);
    }
    (low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_light_and_is_counted() {
        let whole = Extent {
            angles: (1, 4),
            rows: (0, 4),
        };
        let (rows, angles) = ([1e-15, 0.5, 0.25, 0.0], [9.0, 1e-16, 0.7, 0.05]);
        let (kept, left) = whole.trimmed(Sparse::Box, 1e-12, &rows, &angles);
        assert_eq!((kept.angles, kept.rows), ((2, 4), (1, 3)));
        assert!((left - 1.1e-15).abs() < 1e-21);
        let (kept, left) = whole.trimmed(Sparse::Rows, 0.0, &rows, &angles);
        assert_eq!((kept.angles, kept.rows, left), ((1, 4), (0, 3), 0.0));
        assert_eq!(
            whole.trimmed(Sparse::Planes, 0.8, &rows, &angles).0,
            Extent::EMPTY
        );
        assert_eq!(whole.trimmed(Sparse::None, 0.8, &rows, &angles).0, whole);
    }

    #[test]
    fn a_box_around_nothing_is_nothing_more() {
        let one = Extent {
            angles: (1, 4),
            rows: (0, 4),
        };
        assert_eq!(one.around(&Extent::EMPTY), one);
        let other = Extent {
            angles: (3, 9),
            rows: (2, 3),
        };
        let both = one.around(&other);
        assert_eq!((both.angles, both.rows), ((1, 9), (0, 4)));
    }
}
