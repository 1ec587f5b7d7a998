//! A Gaussian process over configurations (Rasmussen & Williams, Gaussian Processes for Machine Learning, ch. 2 and 5): what the
//! objective is expected to be where nothing was measured, and how far that may be wrong.
use crate::space::{Parameter, Space};
use crate::value::Value;

/// Coordinates of a parameter's values, in [0, 1].
#[derive(Clone, Debug)]
pub(super) enum Axis {
    /// Sizes by their logarithm, other numbers by themselves.
    Ordered(Vec<f32>),
    /// How often sizes can be halved: machines like multiples of their own.
    Halved(Vec<f32>),
    /// Names have no order.
    Named,
}

impl Axis {
    fn of(parameter: &Parameter) -> Axis {
        let numbers: Option<Vec<f64>> = parameter
            .values
            .iter()
            .map(|v| match v {
                Value::Int(i) => Some(*i as f64),
                Value::Float(f) => Some(*f),
                Value::Bool(b) => Some(f64::from(u8::from(*b))),
                Value::Text(_) => None,
            })
            .collect();
        let Some(numbers) = numbers else {
            return Axis::Named;
        };
        // Listed neither upwards nor downwards, they mean something else than their size: 32, -1 is a whole axis after 32.
        if !numbers.is_sorted() && !numbers.iter().rev().is_sorted() {
            return Axis::Ordered(spread((0..numbers.len()).map(|i| i as f64)));
        }
        let (least, most) = numbers
            .iter()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(l, m), v| {
                (l.min(*v), m.max(*v))
            });
        let is_scale = least > 0.0 && most >= 4.0 * least;
        let scaled = |v: &f64| if is_scale { v.ln() } else { *v };
        Axis::Ordered(spread(numbers.iter().map(scaled)))
    }

    /// Absent where the order says it already: names, few values, powers of two, and what cannot be told apart by it.
    fn halved(parameter: &Parameter) -> Option<Axis> {
        let sizes: Option<Vec<i64>> = (parameter.values.iter())
            .map(|v| match v {
                Value::Int(i) if *i > 0 => Some(*i),
                _ => None,
            })
            .collect();
        let sizes = sizes.filter(|s| s.len() > FEW && s.iter().any(|s| s.count_ones() > 1))?;
        let halvings = || sizes.iter().map(|s| s.trailing_zeros());
        let differ = halvings().min() != halvings().max();
        differ.then(|| Axis::Halved(spread(halvings().map(f64::from))))
    }
}

/// Shifted and scaled to [0, 1].
fn spread(values: impl Iterator<Item = f64> + Clone) -> Vec<f32> {
    let low = values.clone().fold(f64::INFINITY, f64::min);
    let high = values.clone().fold(f64::NEG_INFINITY, f64::max);
    let width = (high - low).max(1e-9);
    values.map(|v| ((v - low) / width) as f32).collect()
}

/// The axes of those parameters that have a choice. Few numbers may be names in disguise (method 0, 1, 2), so they have both an
/// axis with their order and one without; many sizes have one that says how often they can be halved. The lengths say which matters.
#[derive(Clone, Debug)]
pub(super) struct Axes(Vec<(usize, Axis)>);

/// Numbers of at most so many values may be names.
const FEW: usize = 6;

impl Axes {
    pub(super) fn of(space: &Space) -> Axes {
        let mut axes = vec![];
        for (i, p) in space
            .parameters()
            .iter()
            .enumerate()
            .filter(|(_, p)| p.values.len() > 1)
        {
            let axis = Axis::of(p);
            if matches!(axis, Axis::Ordered(_)) && (3..=FEW).contains(&p.values.len()) {
                axes.push((i, Axis::Named));
            }
            axes.push((i, axis));
            axes.extend(Axis::halved(p).map(|halved| (i, halved)));
        }
        Axes(axes)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Coordinates; the index of the value itself on an axis without order.
    pub(super) fn point(&self, digits: &[u16]) -> Vec<f32> {
        self.0
            .iter()
            .map(|(p, axis)| match axis {
                Axis::Ordered(at) | Axis::Halved(at) => at[usize::from(digits[*p])],
                Axis::Named => f32::from(digits[*p]),
            })
            .collect()
    }

    /// Mean distance from the middle of the axes that have an order, 0 to 0.5; then how many parameters without a middle, names
    /// and switches, differ from their first value, which is the usual one.
    pub(super) fn eccentricity(&self, digits: &[u16]) -> (f32, usize) {
        let distances: Vec<f32> = (self.0.iter())
            .filter_map(|(p, axis)| match axis {
                Axis::Ordered(at) => Some((at[usize::from(digits[*p])] - 0.5).abs()),
                Axis::Halved(_) | Axis::Named => None,
            })
            .collect();
        let mean = distances.iter().sum::<f32>() / distances.len().max(1) as f32;
        let is_unusual = |(p, axis): &&(usize, Axis)| match axis {
            Axis::Ordered(at) => at.len() == 2 && digits[*p] != 0,
            Axis::Named => digits[*p] != 0,
            Axis::Halved(_) => false,
        };
        (mean, self.0.iter().filter(is_unusual).count())
    }

    fn is_named(&self, axis: usize) -> bool {
        matches!(self.0[axis].1, Axis::Named)
    }
}

/// Logarithms of what is fitted: inverse length a axis, then the noise's share.
#[derive(Clone, Debug)]
pub(super) struct Hyper {
    pub(super) inverse: Vec<f64>,
    pub(super) noise: f64,
}

impl Hyper {
    /// Before anything was fitted: lengths of the size of the axes, little noise.
    pub(super) fn unknown(axes: usize) -> Hyper {
        Hyper {
            inverse: vec![0.0; axes],
            noise: -6.0,
        }
    }
}

/// The coordinates of all rows on one axis.
#[derive(Debug)]
struct Column {
    at: Vec<f32>,
    is_named: bool,
}

#[derive(Debug)]
pub(super) struct Process {
    columns: Vec<Column>,
    hyper: Hyper,
    /// Lower triangle, row after row.
    factor: Vec<f64>,
    weights: Vec<f64>,
    scale: f64,
    mean: f64,
}

impl Process {
    /// Fits to standardized values. `hyper` is where the search for better ones starts; `tries` of them are looked at.
    pub(super) fn fit(
        axes: &Axes,
        points: &[Vec<f32>],
        values: &[f64],
        start: Hyper,
        tries: usize,
        random: &mut impl FnMut() -> f64,
    ) -> Process {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let centred: Vec<f64> = values.iter().map(|v| v - mean).collect();
        let column = |a: usize| Column {
            at: points.iter().map(|p| p[a]).collect(),
            is_named: axes.is_named(a),
        };
        let columns: Vec<Column> = (0..axes.len()).map(column).collect();
        let squares = squares(&columns);
        let evaluate = |hyper: &Hyper| likelihood(&squares, &centred, hyper);
        let mut best = start;
        let mut found = evaluate(&best);
        for i in 0..tries {
            let mut next = best.clone();
            // Large steps first, then small ones; of one or of all lengths.
            let step = if i * 2 < tries { 1.0 } else { 0.4 };
            let all = random() < 0.3;
            let which = (random() * (axes.len() as f64 + 1.0)) as usize;
            for (a, length) in next.inverse.iter_mut().enumerate() {
                if all || a == which {
                    *length = (*length + step * normal(random)).clamp(-4.0, 3.0);
                }
            }
            if all || which == axes.len() {
                next.noise = (next.noise + step * normal(random)).clamp(-12.0, -1.0);
            }
            let tried = evaluate(&next);
            if tried.objective > found.objective {
                (best, found) = (next, tried);
            }
        }
        Process {
            columns,
            hyper: best,
            factor: found.factor,
            weights: found.weights,
            scale: found.scale,
            mean,
        }
    }

    pub(super) fn hyper(&self) -> &Hyper {
        &self.hyper
    }

    /// Standard deviation where nothing near was measured.
    pub(super) fn prior_deviation(&self) -> f64 {
        self.scale.sqrt()
    }

    /// What is expected at a point.
    pub(super) fn outlook(&self, point: &[f32]) -> Outlook {
        let mut correlations = vec![0.0; self.weights.len()];
        for ((column, x), inverse) in self.columns.iter().zip(point).zip(&self.hyper.inverse) {
            let squares = column.at.iter().map(|y| square(*x, *y, column.is_named));
            add_scaled(&mut correlations, squares, *inverse);
        }
        correlations.iter_mut().for_each(|c| *c = matern(*c));
        Outlook {
            mean: self.mean + dot(&correlations, &self.weights),
            correlations,
        }
    }

    /// The standard deviation of an outlook. The more rows are taken into account, the smaller it is: absent as soon as it is not
    /// enough any more, since all of them take ten times as long as the mean.
    pub(super) fn deviation(
        &self,
        outlook: Outlook,
        is_enough: impl Fn(f64) -> bool,
    ) -> Option<f64> {
        let left = |explained: f64| (self.scale * (1.0 - explained).max(1e-9)).sqrt();
        let mut values = outlook.correlations;
        let (mut explained, mut start) = (0.0, 0);
        for i in 0..values.len() {
            let row = &self.factor[start..=start + i];
            values[i] = (values[i] - dot(&row[..i], &values[..i])) / row[i];
            explained += values[i] * values[i];
            start += i + 1;
            if i % ROWS_A_LOOK == ROWS_A_LOOK - 1 && !is_enough(left(explained)) {
                return None;
            }
        }
        Some(left(explained))
    }
}

/// Rows after which it is looked whether a deviation can still be enough.
const ROWS_A_LOOK: usize = 16;

/// What a [`Process`] expects at a point.
#[derive(Debug)]
pub(super) struct Outlook {
    pub(super) mean: f64,
    /// Between the point and every row.
    correlations: Vec<f64>,
}

fn normal(random: &mut impl FnMut() -> f64) -> f64 {
    let radius = (-2.0 * (1.0 - random()).ln()).sqrt();
    radius * (std::f64::consts::TAU * random()).cos()
}

/// Matérn 5/2 of a squared distance.
fn matern(square: f64) -> f64 {
    let r = (5.0 * square).sqrt();
    (1.0 + r + r * r / 3.0) * (-r).exp()
}

/// Of two coordinates; two names differ by one, whichever they are.
fn square(x: f32, y: f32, is_named: bool) -> f32 {
    match is_named {
        true => f32::from(u8::from(x != y)),
        false => (x - y) * (x - y),
    }
}

/// Adds one axis' squares to the sums over the axes, scaled by its inverse length (a logarithm).
fn add_scaled(sums: &mut [f64], squares: impl Iterator<Item = f32>, inverse: f64) {
    let weight = (2.0 * inverse).exp();
    for (sum, square) in sums.iter_mut().zip(squares) {
        *sum += weight * f64::from(square);
    }
}

/// For each axis the squared distances of all pairs, in the order of a lower triangle. Lengths scale them, so they are computed
/// once for all lengths that are tried.
fn squares(columns: &[Column]) -> Vec<Vec<f32>> {
    let of = |column: &Column| {
        let row = |i: usize| {
            let (x, until) = (column.at[i], &column.at[..=i]);
            until.iter().map(move |y| square(x, *y, column.is_named))
        };
        (0..column.at.len()).flat_map(row).collect()
    };
    columns.iter().map(of).collect()
}

struct Found {
    objective: f64,
    factor: Vec<f64>,
    weights: Vec<f64>,
    scale: f64,
}

/// Log likelihood with the best scale put in, and a weak belief in lengths of the size of the axes and in little noise.
fn likelihood(squares: &[Vec<f32>], values: &[f64], hyper: &Hyper) -> Found {
    let n = values.len();
    let row = |i: usize| i * (i + 1) / 2;
    let mut factor = vec![0.0; row(n)];
    for (axis, inverse) in squares.iter().zip(&hyper.inverse) {
        add_scaled(&mut factor, axis.iter().copied(), *inverse);
    }
    factor.iter_mut().for_each(|f| *f = matern(*f));
    for i in 0..n {
        factor[row(i) + i] += hyper.noise.exp() + 1e-8;
    }
    // Cholesky, row by row.
    for i in 0..n {
        for j in 0..=i {
            let (a, b) = (&factor[row(i)..row(i) + j], &factor[row(j)..row(j) + j]);
            let rest = factor[row(i) + j] - dot(a, b);
            factor[row(i) + j] = if i == j {
                rest.max(1e-12).sqrt()
            } else {
                rest / factor[row(j) + j]
            };
        }
    }
    let mut half = values.to_vec();
    solve_lower(&factor, &mut half);
    let scale = (half.iter().map(|v| v * v).sum::<f64>() / n as f64).max(1e-12);
    let mut weights = half;
    for i in (0..n).rev() {
        weights[i] /= factor[row(i) + i];
        let w = weights[i];
        for j in 0..i {
            weights[j] -= factor[row(i) + j] * w;
        }
    }
    let log_determinant: f64 = (0..n).map(|i| factor[row(i) + i].ln()).sum();
    let belief: f64 = hyper.inverse.iter().map(|l| l * l / 4.5).sum::<f64>()
        + (hyper.noise + 6.0) * (hyper.noise + 6.0) / 18.0;
    Found {
        objective: -0.5 * n as f64 * scale.ln() - log_determinant - belief,
        factor,
        weights,
        scale,
    }
}

fn solve_lower(factor: &[f64], values: &mut [f64]) {
    let mut start = 0;
    for i in 0..values.len() {
        values[i] = (values[i] - dot(&factor[start..start + i], &values[..i])) / factor[start + i];
        start += i + 1;
    }
}

/// Eight sums side by side: one would be a chain of additions.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let (a8, b8) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f64 = a8
        .remainder()
        .iter()
        .zip(b8.remainder())
        .map(|(x, y)| x * y)
        .sum();
    for (x, y) in a8.zip(b8) {
        for i in 0..8 {
            sums[i] += x[i] * y[i];
        }
    }
    sums.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::Space;
    use crate::value::Value;

    #[test]
    fn numbers_lie_as_their_sizes_say_or_else_as_they_are_listed() {
        let at = |values: &[i64]| {
            let values = values.iter().map(|v| Value::Int(*v)).collect();
            match Axis::of(&Parameter {
                name: "x".into(),
                values,
            }) {
                Axis::Ordered(at) => at,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(at(&[0, 1, 4]), [0.0, 0.25, 1.0]);
        assert_eq!(at(&[1, 2, 4]), [0.0, 0.5, 1.0], "sizes by their logarithm");
        assert_eq!(at(&[4, 2, 1]), [1.0, 0.5, 0.0]);
        assert_eq!(
            at(&[1, 2, 32, -1, 0]),
            [0.0, 0.25, 0.5, 0.75, 1.0],
            "-1 after 32 is more than 32"
        );
    }

    #[test]
    fn a_prediction_is_that_of_the_textbook() {
        let parameter = |name: &str| Parameter {
            name: name.into(),
            values: (0..7).map(Value::Int).collect(),
        };
        let axes = Axes::of(&Space::new(vec![parameter("x"), parameter("y")], vec![]).unwrap());
        let points = [
            [0.0, 0.0],
            [1.0, 0.0],
            [0.25, 1.0],
            [0.75, 0.5],
            [0.5, 0.25],
        ]
        .map(Vec::from);
        let hyper = Hyper {
            inverse: vec![0.7, -0.2],
            noise: -6.0,
        };
        let values = [0.0, 1.5, 0.4, 0.9, 0.2];
        let process = Process::fit(&axes, &points, &values, hyper, 0, &mut || 0.5);
        // Matérn by scipy.special.kv and gamma, scipy.linalg.solve (scipy 1.16): y.mean() + k @ solve(K, c) and
        // sqrt(c @ solve(K, c) / 5 * (1 - k @ solve(K, k))) with c = y - y.mean() and exp(-6) on the diagonal of K.
        for (point, mean, deviation) in [
            ([0.5, 0.5], 0.284_800_96, 0.108_958_76),
            ([0.0, 1.0], 0.388_858_71, 0.307_644_31),
            ([0.26, 0.99], 0.394_428_38, 0.034_485_53),
        ] {
            let outlook = process.outlook(&point);
            assert!((outlook.mean - mean).abs() < 1e-6, "{}", outlook.mean);
            let found = process.deviation(outlook, |_| true).unwrap();
            assert!((found - deviation).abs() < 1e-6, "{found}");
        }
        assert!(process.prior_deviation() > 0.307_644_31);
    }

    #[test]
    fn a_deviation_that_is_not_enough_is_given_up_early() {
        let values: Vec<Value> = (0..100).map(Value::Int).collect();
        let x = Parameter {
            name: "x".into(),
            values,
        };
        let axes = Axes::of(&Space::new(vec![x], vec![]).unwrap());
        let points: Vec<Vec<f32>> = (0..50).map(|i| vec![i as f32 / 50.0]).collect();
        let values: Vec<f64> = (0..50).map(|i| f64::from(i % 7)).collect();
        let start = Hyper::unknown(axes.len());
        let process = Process::fit(&axes, &points, &values, start, 0, &mut || 0.5);
        let outlook = || process.outlook(&[0.511]);
        let deviation = process.deviation(outlook(), |_| true).unwrap();
        assert_eq!(process.deviation(outlook(), |d| d > 2.0 * deviation), None);
        let found = process.deviation(outlook(), |d| d >= deviation);
        assert_eq!(found, Some(deviation));
    }
}
