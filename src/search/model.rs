//! A Gaussian process over configurations (Rasmussen & Williams, Gaussian Processes for Machine Learning, ch. 2 and 5): what the
//! objective is expected to be where nothing was measured, and how far that may be wrong.
use crate::space::{Parameter, Space};
use crate::value::Value;

/// Coordinates of a parameter's values: sizes by their logarithm, other numbers by themselves, both in [0, 1]; names have no order.
#[derive(Clone, Debug)]
pub(super) enum Axis {
    Ordered(Vec<f32>),
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
        let (least, most) = numbers
            .iter()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(l, m), v| {
                (l.min(*v), m.max(*v))
            });
        let is_scale = least > 0.0 && most >= 4.0 * least;
        let scaled = |v: f64| if is_scale { v.ln() } else { v };
        let (low, high) = (scaled(least), scaled(most));
        let width = (high - low).max(1e-9);
        Axis::Ordered(
            numbers
                .iter()
                .map(|v| ((scaled(*v) - low) / width) as f32)
                .collect(),
        )
    }
}

/// The axes of those parameters that have a choice. Few numbers may be names in disguise (method 0, 1, 2), so they have both an
/// axis with their order and one without; the lengths say which matters.
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
                Axis::Ordered(at) => at[usize::from(digits[*p])],
                Axis::Named => f32::from(digits[*p]),
            })
            .collect()
    }

    /// Mean distance from the middle of the axes that have an order, 0 to 0.5.
    pub(super) fn eccentricity(&self, digits: &[u16]) -> f32 {
        let distances: Vec<f32> = (self.0.iter())
            .filter_map(|(p, axis)| match axis {
                Axis::Ordered(at) => Some((at[usize::from(digits[*p])] - 0.5).abs()),
                Axis::Named => None,
            })
            .collect();
        distances.iter().sum::<f32>() / distances.len().max(1) as f32
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

#[derive(Debug)]
pub(super) struct Process {
    /// Coordinates times the inverse lengths.
    points: Vec<Vec<f64>>,
    inverse: Vec<f64>,
    named: Vec<bool>,
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
        let named: Vec<bool> = (0..axes.len()).map(|a| axes.is_named(a)).collect();
        let evaluate = |hyper: &Hyper| likelihood(points, &centred, hyper, &named);
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
        let inverse: Vec<f64> = best.inverse.iter().map(|l| l.exp()).collect();
        Process {
            points: points.iter().map(|p| scaled(p, &inverse)).collect(),
            inverse,
            named,
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

    /// Mean and standard deviation.
    pub(super) fn predict(&self, point: &[f32]) -> (f64, f64) {
        let point = scaled(point, &self.inverse);
        let mut k: Vec<f64> = self
            .points
            .iter()
            .map(|p| kernel(p, &point, &self.inverse, &self.named))
            .collect();
        let mean: f64 = k.iter().zip(&self.weights).map(|(k, w)| k * w).sum();
        solve_lower(&self.factor, &mut k);
        let explained: f64 = k.iter().map(|v| v * v).sum();
        (
            self.mean + mean,
            (self.scale * (1.0 - explained).max(1e-9)).sqrt(),
        )
    }
}

fn normal(random: &mut impl FnMut() -> f64) -> f64 {
    let radius = (-2.0 * (1.0 - random()).ln()).sqrt();
    radius * (std::f64::consts::TAU * random()).cos()
}

fn scaled(point: &[f32], inverse: &[f64]) -> Vec<f64> {
    point
        .iter()
        .zip(inverse)
        .map(|(x, l)| f64::from(*x) * l)
        .collect()
}

/// Matérn 5/2 of the distance between scaled points; two names differ by one, whichever they are.
fn kernel(a: &[f64], b: &[f64], inverse: &[f64], named: &[bool]) -> f64 {
    let mut square = 0.0;
    for i in 0..a.len() {
        let d = a[i] - b[i];
        square += if named[i] && d != 0.0 {
            inverse[i] * inverse[i]
        } else {
            d * d
        };
    }
    let r = (5.0 * square).sqrt();
    (1.0 + r + r * r / 3.0) * (-r).exp()
}

struct Found {
    objective: f64,
    factor: Vec<f64>,
    weights: Vec<f64>,
    scale: f64,
}

/// Log likelihood with the best scale put in, and a weak belief in lengths of the size of the axes and in little noise.
fn likelihood(points: &[Vec<f32>], values: &[f64], hyper: &Hyper, named: &[bool]) -> Found {
    let n = values.len();
    let inverse: Vec<f64> = hyper.inverse.iter().map(|l| l.exp()).collect();
    let points: Vec<Vec<f64>> = points.iter().map(|p| scaled(p, &inverse)).collect();
    let mut factor = vec![0.0; n * (n + 1) / 2];
    let row = |i: usize| i * (i + 1) / 2;
    for i in 0..n {
        for j in 0..=i {
            factor[row(i) + j] = kernel(&points[i], &points[j], &inverse, named);
        }
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
