//! Which parameters matter, and which only together: functional ANOVA of a random forest. Hutter, Hoos & Leyton-Brown, An
//! Efficient Approach for Assessing Hyperparameter Importance, ICML 2014, §3; the forest: Breiman, Machine Learning 45 (2001).
//! Trees that split sets of values are exact on a discrete space: every marginal is a sum over leaves. Permutation importance
//! has no share for an interaction, and judges by what a search tried, which is mostly one corner of the space.
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// A parameter as a factor: how many values it has, and whether their order means something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Factor {
    pub values: usize,
    pub is_ordered: bool,
}

/// Shares of the forest's variance over the whole cartesian product; what is missing to 1 are the interactions not listed.
#[derive(Clone, Debug, PartialEq)]
pub struct Importance {
    /// Of each factor by itself.
    pub alone: Vec<f64>,
    /// What two factors explain together beyond each by itself: pairs of the six that explain most, unless they have more than
    /// ten thousand combinations.
    pub together: Vec<(usize, usize, f64)>,
    /// R² of predictions by those trees that have not seen the point ("out of bag").
    pub explained: f64,
}

const TREES: usize = 64;
/// Points of a leaf: fewer would be fitted to the noise of single measurements.
const LEAST: usize = 3;
/// Points that a tree is grown on, and that all of them are drawn from: more change no bar and cost seconds.
const BAG: usize = 1_000;
const POINTS: usize = 5_000;
const PAIRED: usize = 6;
const COMBINATIONS: usize = 10_000;

/// Fits a seeded forest to `points` (the index of the value of each factor) and takes its variance apart. Absent where there is
/// none: no points, or trees that found nothing to split.
///
/// # Panics
/// On an index beyond its factor's values.
pub fn importance(
    factors: &[Factor],
    points: &[Vec<usize>],
    values: &[f64],
    seed: u64,
) -> Option<Importance> {
    let every = points.len().div_ceil(POINTS).max(1);
    let points: Vec<&[usize]> = points.iter().step_by(every).map(Vec::as_slice).collect();
    let values: Vec<f64> = values.iter().step_by(every).copied().collect();
    if points.is_empty() {
        return None;
    }
    let mut random = StdRng::seed_from_u64(seed);
    let mut unseen = vec![(0.0, 0_u32); points.len()];
    let mut trees = vec![];
    for _ in 0..TREES {
        let mut bag = vec![0_u32; points.len()];
        (0..points.len().min(BAG)).for_each(|_| bag[random.random_range(0..points.len())] += 1);
        let mut tree = Tree::new(factors, &points, &values);
        let (out, of): (Vec<usize>, Vec<usize>) = (0..points.len()).partition(|&i| bag[i] == 0);
        let of = of
            .into_iter()
            .flat_map(|i| std::iter::repeat_n(i, bag[i] as usize));
        tree.grow(&mut tree.everything(), of.collect(), out, &mut random);
        for (i, predicted) in std::mem::take(&mut tree.predicted) {
            unseen[i] = (unseen[i].0 + predicted, unseen[i].1 + 1);
        }
        trees.extend(tree.variance().map(|all| (tree, all)));
    }
    if trees.is_empty() {
        return None;
    }
    let share = |of: &dyn Fn(&Tree<'_>) -> f64| {
        trees.iter().map(|(tree, all)| of(tree) / all).sum::<f64>() / trees.len() as f64
    };
    let alone: Vec<f64> = (0..factors.len())
        .map(|f| share(&|tree| tree.marginal(&[f])))
        .collect();
    // Rounding may leave less than nothing.
    let together = |a, b| (share(&|tree| tree.marginal(&[a, b])) - alone[a] - alone[b]).max(0.0);
    let pairs = pairs(factors, &alone).into_iter();
    Some(Importance {
        together: pairs.map(|(a, b)| (a, b, together(a, b))).collect(),
        explained: explained(&values, &unseen),
        alone,
    })
}

/// The pairs of the factors that explain most.
fn pairs(factors: &[Factor], alone: &[f64]) -> Vec<(usize, usize)> {
    let mut most: Vec<usize> = (0..factors.len()).collect();
    most.sort_by(|&a, &b| alone[b].total_cmp(&alone[a]).then(a.cmp(&b)));
    most.truncate(PAIRED);
    most.sort_unstable();
    let others = |i: usize| most[i + 1..].iter();
    let all = most
        .iter()
        .enumerate()
        .flat_map(|(i, &a)| others(i).map(move |&b| (a, b)));
    all.filter(|(a, b)| factors[*a].values * factors[*b].values <= COMBINATIONS)
        .collect()
}

fn explained(values: &[f64], unseen: &[(f64, u32)]) -> f64 {
    let known = || {
        values
            .iter()
            .zip(unseen)
            .filter(|(_, (_, trees))| *trees > 0)
    };
    let mean = known().map(|(v, _)| v).sum::<f64>() / known().count() as f64;
    let left: f64 = known()
        .map(|(v, (sum, trees))| (v - sum / f64::from(*trees)).powi(2))
        .sum();
    let all: f64 = known().map(|(v, _)| (v - mean).powi(2)).sum();
    1.0 - left / all
}

/// A regression tree whose branches are sets of values of one factor: its leaves.
struct Tree<'a> {
    factors: &'a [Factor],
    points: &'a [&'a [usize]],
    values: &'a [f64],
    leaves: Vec<Leaf>,
    /// Of the points that it was not grown on.
    predicted: Vec<(usize, f64)>,
}

struct Leaf {
    value: f64,
    /// The values of each factor that lead here, and their share.
    region: Vec<Vec<bool>>,
    shares: Vec<f64>,
}

impl<'a> Tree<'a> {
    fn new(factors: &'a [Factor], points: &'a [&'a [usize]], values: &'a [f64]) -> Tree<'a> {
        Tree {
            factors,
            points,
            values,
            leaves: vec![],
            predicted: vec![],
        }
    }

    fn everything(&self) -> Vec<Vec<bool>> {
        self.factors.iter().map(|f| vec![true; f.values]).collect()
    }

    fn grow(
        &mut self,
        region: &mut [Vec<bool>],
        seen: Vec<usize>,
        unseen: Vec<usize>,
        random: &mut StdRng,
    ) {
        let mean = seen.iter().map(|&i| self.values[i]).sum::<f64>() / seen.len() as f64;
        let Some((factor, goes_left)) = self.split(&seen, mean, random) else {
            let share = |set: &Vec<bool>| {
                set.iter().filter(|is_in| **is_in).count() as f64 / set.len() as f64
            };
            let shares = region.iter().map(share).collect();
            self.leaves.push(Leaf {
                value: mean,
                region: region.to_vec(),
                shares,
            });
            self.predicted.extend(unseen.into_iter().map(|i| (i, mean)));
            return;
        };
        let halves = |rows: Vec<usize>| -> (Vec<usize>, Vec<usize>) {
            rows.into_iter()
                .partition(|&i| goes_left[self.points[i][factor]])
        };
        let (seen, unseen) = (halves(seen), halves(unseen));
        let whole = region[factor].clone();
        for (is_left, seen, unseen) in [(true, seen.0, unseen.0), (false, seen.1, unseen.1)] {
            let leads = |(is_in, left): (&bool, &bool)| *is_in && *left == is_left;
            region[factor] = whole.iter().zip(&goes_left).map(leads).collect();
            self.grow(region, seen, unseen, random);
        }
        region[factor] = whole;
    }

    /// The factor and the cut of its values that explain most of these points. Hutter et al. look at five sixths of the factors
    /// at a split, so that trees differ.
    fn split(&self, rows: &[usize], mean: f64, random: &mut StdRng) -> Option<(usize, Vec<bool>)> {
        let all = self.factors.len();
        let mut order: Vec<usize> = (0..all).collect();
        let mut best: Option<(f64, usize, Vec<bool>)> = None;
        for i in 0..(5 * all).div_ceil(6) {
            order.swap(i, random.random_range(i..all));
            let factor = order[i];
            let cells = rows
                .iter()
                .map(|&i| (self.points[i][factor], self.values[i] - mean));
            if let Some((gain, goes_left)) = cut(self.factors[factor], cells)
                && best.as_ref().is_none_or(|b| gain > b.0)
            {
                best = Some((gain, factor, goes_left));
            }
        }
        best.map(|(_, factor, goes_left)| (factor, goes_left))
    }

    fn mean(&self) -> f64 {
        self.leaves
            .iter()
            .map(|l| l.value * l.shares.iter().product::<f64>())
            .sum()
    }

    /// Over the cartesian product; absent where there is none.
    fn variance(&self) -> Option<f64> {
        let mean = self.mean();
        let part = |l: &Leaf| (l.value - mean).powi(2) * l.shares.iter().product::<f64>();
        Some(self.leaves.iter().map(part).sum()).filter(|variance| *variance > 0.0)
    }

    /// Variance of the marginal over these factors.
    fn marginal(&self, of: &[usize]) -> f64 {
        let mut cells = vec![0.0; of.iter().map(|&f| self.factors[f].values).product()];
        let mean = self.mean();
        for leaf in &self.leaves {
            let others = (0..leaf.shares.len()).filter(|f| !of.contains(f));
            let part = (leaf.value - mean) * others.map(|f| leaf.shares[f]).product::<f64>();
            let mut places = vec![0];
            for &factor in of {
                let region = &leaf.region[factor];
                let members = || (0..region.len()).filter(|&v| region[v]);
                let within = |place: &usize| {
                    let first = place * region.len();
                    members().map(move |v| first + v)
                };
                places = places.iter().flat_map(within).collect();
            }
            places.into_iter().for_each(|place| cells[place] += part);
        }
        cells.iter().map(|m| m * m).sum::<f64>() / cells.len() as f64
    }
}

/// The cut of a factor's values in two that explains most of the values (centred), and how much; absent where none explains any.
fn cut(factor: Factor, cells: impl Iterator<Item = (usize, f64)>) -> Option<(f64, Vec<bool>)> {
    let mut sums = vec![(0.0, 0_usize); factor.values];
    let (mut squares, mut all) = (0.0, 0);
    for (value, y) in cells {
        sums[value] = (sums[value].0 + y, sums[value].1 + 1);
        (squares, all) = (squares + y * y, all + 1);
    }
    let mut order: Vec<usize> = (0..factor.values).filter(|&v| sums[v].1 > 0).collect();
    if !factor.is_ordered {
        // Of all cuts of names in two, the best is one of these: Breiman et al., Classification and Regression Trees, §9.4.
        let mean = |v: usize| sums[v].0 / sums[v].1 as f64;
        order.sort_by(|&a, &b| mean(a).total_cmp(&mean(b)).then(a.cmp(&b)));
    }
    let total: f64 = sums.iter().map(|s| s.0).sum();
    let (mut sum, mut n, mut best) = (0.0, 0, (1e-9 * squares, 0, 0));
    for (k, &value) in order.iter().enumerate() {
        (sum, n) = (sum + sums[value].0, n + sums[value].1);
        if n < LEAST || all - n < LEAST {
            continue;
        }
        let rest = total - sum;
        let gain =
            sum * sum / n as f64 + rest * rest / (all - n) as f64 - total * total / all as f64;
        if gain > best.0 {
            best = (gain, k + 1, n);
        }
    }
    let (gain, left, n) = best;
    if left == 0 {
        return None;
    }
    // What was not seen goes to its neighbours where there is an order, else with the many.
    let goes_left = |v: usize| match (factor.is_ordered, sums[v].1) {
        (true, _) => v <= usize::midpoint(order[left - 1], order[left]),
        (false, 0) => 2 * n > all,
        (false, _) => order[..left].contains(&v),
    };
    Some((gain, (0..factor.values).map(goes_left).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FACTORS: [Factor; 3] = [
        Factor {
            values: 4,
            is_ordered: true,
        },
        Factor {
            values: 3,
            is_ordered: false,
        },
        Factor {
            values: 2,
            is_ordered: true,
        },
    ];

    fn grid() -> Vec<Vec<usize>> {
        let places =
            (0..4).flat_map(|a| (0..3).flat_map(move |b| (0..2).map(move |c| vec![a, b, c])));
        places.collect()
    }

    #[test]
    fn the_parts_of_a_tree_that_knows_everything_are_those_of_the_table() {
        // f = a + 2·[b = 1] + a·[b = 2] over the grid, numpy 2.4.6:
        // m = f.mean(); [((f.mean(axis=o) - m)**2).mean() / f.var() for o in [(1, 2), (0, 2), (0, 1)]]
        // and ((f.mean(axis=2) - m)**2).mean() / f.var() less the first two.
        let value = |p: &[usize]| {
            p[0] as f64
                + if p[1] == 1 { 2.0 } else { 0.0 }
                + if p[1] == 2 { p[0] as f64 } else { 0.0 }
        };
        let points: Vec<Vec<usize>> = grid().into_iter().flat_map(|p| vec![p; LEAST]).collect();
        let points: Vec<&[usize]> = points.iter().map(Vec::as_slice).collect();
        let values: Vec<f64> = points.iter().map(|p| value(p)).collect();
        let mut tree = Tree::new(&FACTORS, &points, &values);
        let all: Vec<usize> = (0..points.len()).collect();
        let mut random = StdRng::seed_from_u64(1);
        tree.grow(&mut tree.everything(), all.clone(), all, &mut random);
        for (i, predicted) in &tree.predicted {
            assert!((predicted - values[*i]).abs() < 1e-12, "{:?}", points[*i]);
        }
        let all = tree.variance().expect("it varies");
        let share = |of: &[usize]| tree.marginal(of) / all;
        let beyond = |a, b| share(&[a, b]) - share(&[a]) - share(&[b]);
        let found = [
            share(&[0]),
            share(&[1]),
            share(&[2]),
            beyond(0, 1),
            beyond(1, 2),
        ];
        let expected = [
            0.689_655_172_413_793_1,
            0.224_137_931_034_482_7,
            0.0,
            0.086_206_896_551_724_1,
            0.0,
        ];
        for (f, e) in found.iter().zip(expected) {
            assert!((f - e).abs() < 1e-9, "{found:?}");
        }
    }

    #[test]
    fn noise_is_not_explained_and_an_effect_is() {
        let mut random = StdRng::seed_from_u64(7);
        let points: Vec<Vec<usize>> = (0..120)
            .map(|_| {
                vec![
                    random.random_range(0..4),
                    random.random_range(0..3),
                    random.random_range(0..2),
                ]
            })
            .collect();
        let noise: Vec<f64> = points
            .iter()
            .map(|_| random.random_range(-1.0..1.0))
            .collect();
        let nothing = importance(&FACTORS, &points, &noise, 1).expect("noise varies too");
        assert!(nothing.explained < 0.1, "{nothing:?}");
        let effect: Vec<f64> = points
            .iter()
            .zip(&noise)
            .map(|(p, e)| 5.0 + [0.0, 3.0, 1.0][p[1]] + 0.1 * e)
            .collect();
        let found = importance(&FACTORS, &points, &effect, 1).expect("it varies");
        assert!(found.explained > 0.9 && found.alone[1] > 0.9, "{found:?}");
        assert_eq!(
            found,
            importance(&FACTORS, &points, &effect, 1).expect("it varies")
        );
    }

    #[test]
    fn what_acts_only_together_is_found_together() {
        let points: Vec<Vec<usize>> = grid().into_iter().flat_map(|p| vec![p; 10]).collect();
        let value =
            |p: &Vec<usize>| f64::from(u8::from((p[0] >= 2) == (p[2] == 0))) + 0.1 * p[1] as f64;
        let values: Vec<f64> = points.iter().map(value).collect();
        let found = importance(&FACTORS, &points, &values, 3).expect("it varies");
        let of = |a, b| {
            found
                .together
                .iter()
                .find(|t| (t.0, t.1) == (a, b))
                .expect("a pair")
                .2
        };
        assert!(of(0, 2) > 0.8 && of(0, 1) < 0.1, "{found:?}");
    }

    #[test]
    fn without_points_or_differences_there_is_nothing() {
        assert_eq!(importance(&FACTORS, &[], &[], 1), None);
        assert_eq!(importance(&FACTORS, &grid(), &[2.0; 24], 1), None);
    }
}
