//! What is doubtful about a series of cells, in words (STATISTICS "Trust").
use super::quartiles;
use super::signed_rank::{self, normal};
use serde::{Deserialize, Serialize};
use statrs::distribution::{ChiSquared, ContinuousCDF};
use std::collections::{BTreeMap, BTreeSet};

/// Something doubtful about a series of cells.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Warning {
    /// "drift", "autocorrelated", "bimodal", "outliers", "order effect", "carry-over", "still warming".
    pub what: String,
    /// A sentence with the figures.
    pub detail: String,
}

/// One completed cell for the diagnosis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Observed {
    pub block: u32,
    /// Place in its block, from 0.
    pub position: u32,
    pub variant: u32,
    /// Variant that ran just before in the block.
    pub predecessor: Option<u32>,
    pub value: f64,
}

/// Every warning's error. Two are looked for in the same series (drift and warming): the second is a special case.
const ALPHA: f64 = 0.01;

/// Everything doubtful; variant 0 is the reference. Values are positive.
pub fn diagnose(cells: &[Observed]) -> Vec<Warning> {
    let mut found = vec![];
    let mut by_variant: BTreeMap<u32, Vec<f64>> = BTreeMap::new();
    for cell in cells {
        by_variant
            .entry(cell.variant)
            .or_default()
            .push(cell.value.ln());
    }
    if let Some(reference) = by_variant.get(&0) {
        found.extend(drift(reference));
        found.extend(autocorrelation(reference));
    }
    for (variant, logs) in &by_variant {
        let who = if *variant == 0 {
            "the reference".into()
        } else {
            format!("variant {variant}")
        };
        found.extend(modes(&who, logs));
        found.extend(outliers(&who, logs));
    }
    let residuals = residuals(cells);
    found.extend(order_effect(&residuals));
    found.extend(carry_over(&residuals));
    found
}

/// Mann–Kendall: Mann, Econometrica 13 (1945); Kendall, Rank Correlation Methods, §1.9.
fn mann_kendall(x: &[f64]) -> (f64, f64) {
    let n = x.len() as f64;
    let mut s = 0.0;
    for (i, a) in x.iter().enumerate() {
        for b in &x[i + 1..] {
            s += (b - a)
                .partial_cmp(&0.0)
                .map_or(0.0, |o| f64::from(o as i8));
        }
    }
    let mut sorted = x.to_vec();
    sorted.sort_by(f64::total_cmp);
    let ties: f64 = sorted
        .chunk_by(|a, b| a == b)
        .map(|group| group.len() as f64)
        .map(|t| t * (t - 1.0) * (2.0 * t + 5.0))
        .sum();
    let variance = (n * (n - 1.0) * (2.0 * n + 5.0) - ties) / 18.0;
    if variance <= 0.0 {
        return (s, 1.0);
    }
    let z = (s.abs() - 1.0).max(0.0) / variance.sqrt();
    (s, 2.0 * normal().cdf(-z))
}

fn drift(logs: &[f64]) -> Option<Warning> {
    if logs.len() < 8 {
        return None;
    }
    let (s, p) = mann_kendall(logs);
    if p >= ALPHA {
        return None;
    }
    let half = logs.len() / 2;
    let (early, late) = (quartiles(&logs[..half]).1, quartiles(&logs[half..]).1);
    let change = 100.0 * ((late - early).exp() - 1.0);
    // A reference that only ever gets quicker, mostly at its beginning, has not finished warming up.
    let third = (logs.len() / 3).max(1);
    let mid = quartiles(&logs[third..(2 * third).max(third + 1)]).1;
    let (first, last) = (
        quartiles(&logs[..third]).1,
        quartiles(&logs[logs.len() - third..]).1,
    );
    let is_warming = s < 0.0 && (first - mid) > 2.0 * (mid - last);
    let what = if is_warming { "still warming" } else { "drift" };
    Some(Warning {
        what: what.into(),
        detail: format!(
            "the reference's second half was {change:+.1} % against its first (Mann–Kendall p = {p:.4}); comparisons are within blocks and stand"
        ),
    })
}

/// Bartels' rank version of von Neumann's ratio: Bartels, JASA 77 (1982); normal approximation, good from n = 10.
fn autocorrelation(logs: &[f64]) -> Option<Warning> {
    let n = logs.len();
    if n < 10 {
        return None;
    }
    let ranks = ranks(logs);
    let mean = (n as f64 + 1.0) / 2.0;
    let numerator: f64 = ranks.windows(2).map(|w| (w[0] - w[1]).powi(2)).sum();
    let denominator: f64 = ranks.iter().map(|r| (r - mean).powi(2)).sum();
    if denominator <= 0.0 {
        return None;
    }
    let rvn = numerator / denominator;
    let n = n as f64;
    let variance =
        4.0 * (n - 2.0) * (5.0 * n * n - 2.0 * n - 9.0) / (5.0 * n * (n + 1.0) * (n - 1.0).powi(2));
    let p = 2.0 * normal().cdf(-((rvn - 2.0) / variance.sqrt()).abs());
    (p < ALPHA).then(|| Warning {
        what: "autocorrelated".into(),
        detail: format!(
            "neighbouring blocks of the reference are alike (Bartels ratio {rvn:.2}, 2 if independent, p = {p:.4}): absolute times carry less information than their number says"
        ),
    })
}

/// Best split in two groups; two modes if Ashman's D > 4 and the gap is over a quarter of the range (Ashman, Bird & Zepf 1994).
fn modes(who: &str, logs: &[f64]) -> Option<Warning> {
    let n = logs.len();
    if n < 20 {
        return None;
    }
    let mut sorted = logs.to_vec();
    sorted.sort_by(f64::total_cmp);
    let moments = |x: &[f64]| {
        let mean = x.iter().sum::<f64>() / x.len() as f64;
        (mean, x.iter().map(|v| (v - mean).powi(2)).sum::<f64>())
    };
    let least = (n / 10).max(2);
    let (at, _) = (least..=n - least)
        .map(|i| (i, moments(&sorted[..i]).1 + moments(&sorted[i..]).1))
        .min_by(|a, b| a.1.total_cmp(&b.1))?;
    let (low, high) = sorted.split_at(at);
    let ((m1, s1), (m2, s2)) = (moments(low), moments(high));
    let variances = s1 / low.len() as f64 + s2 / high.len() as f64;
    let d = std::f64::consts::SQRT_2 * (m2 - m1) / variances.sqrt();
    let gap = (high[0] - low[at - 1]) / (sorted[n - 1] - sorted[0]).max(f64::MIN_POSITIVE);
    (d > 4.0 && gap > 0.25).then(|| Warning {
        what: "bimodal".into(),
        detail: format!(
            "{who} has two states: {} cells near {}, {} near {} (Ashman D = {d:.1})",
            low.len(),
            time(m1.exp()),
            high.len(),
            time(m2.exp())
        ),
    })
}

fn time(ns: f64) -> String {
    match ns {
        ns if ns >= 1e9 => format!("{:.3} s", ns / 1e9),
        ns if ns >= 1e6 => format!("{:.3} ms", ns / 1e6),
        ns if ns >= 1e3 => format!("{:.3} µs", ns / 1e3),
        ns => format!("{ns:.1} ns"),
    }
}

fn outliers(who: &str, logs: &[f64]) -> Option<Warning> {
    if logs.len() < 10 {
        return None;
    }
    let median = quartiles(logs).1;
    let distances: Vec<f64> = logs.iter().map(|x| (x - median).abs()).collect();
    let mad = quartiles(&distances).1;
    let far = distances.iter().filter(|d| **d > 5.0 * mad).count();
    let share = far as f64 / logs.len() as f64;
    (mad > 0.0 && share > 0.05 && far > 1).then(|| Warning {
        what: "outliers".into(),
        detail: format!(
            "{far} of {} cells of {who} lie beyond 5 MAD; all are kept",
            logs.len()
        ),
    })
}

/// Logarithms less their block's and their variant's median: what is left to blame on position and predecessor.
fn residuals(cells: &[Observed]) -> Vec<(Observed, f64)> {
    let mut left: Vec<(Observed, f64)> = cells.iter().map(|c| (*c, c.value.ln())).collect();
    for key in [|c: &Observed| c.variant, |c: &Observed| c.block] {
        let mut groups: BTreeMap<u32, Vec<f64>> = BTreeMap::new();
        for (cell, x) in &left {
            groups.entry(key(cell)).or_default().push(*x);
        }
        let medians: BTreeMap<u32, f64> =
            groups.iter().map(|(k, v)| (*k, quartiles(v).1)).collect();
        for (cell, x) in &mut left {
            *x -= medians[&key(cell)];
        }
    }
    left
}

/// Signed-rank test over blocks on the slope of the residuals along the positions of a block.
fn order_effect(residuals: &[(Observed, f64)]) -> Option<Warning> {
    let mut blocks: BTreeMap<u32, Vec<(f64, f64)>> = BTreeMap::new();
    for (cell, x) in residuals {
        blocks
            .entry(cell.block)
            .or_default()
            .push((f64::from(cell.position), *x));
    }
    let slopes: Vec<f64> = blocks
        .values()
        .filter(|cells| cells.len() >= 2)
        .map(|cells| {
            let mean = cells.iter().map(|c| c.0).sum::<f64>() / cells.len() as f64;
            let square: f64 = cells.iter().map(|c| (c.0 - mean).powi(2)).sum();
            cells.iter().map(|c| (c.0 - mean) * c.1).sum::<f64>() / square.max(f64::MIN_POSITIVE)
        })
        .collect();
    if slopes.len() < 8 {
        return None;
    }
    let p = signed_rank::p_value(&slopes);
    (p < ALPHA).then(|| Warning {
        what: "order effect".into(),
        detail: format!(
            "a place later in its block costs {:+.2} % (signed-rank p = {p:.4}); the random order spreads it evenly",
            100.0 * (quartiles(&slopes).1.exp() - 1.0)
        ),
    })
}

/// Kruskal–Wallis of the residuals by the variant that ran before: Kruskal & Wallis, JASA 47 (1952).
fn carry_over(residuals: &[(Observed, f64)]) -> Option<Warning> {
    let known: Vec<(u32, f64)> = residuals
        .iter()
        .filter_map(|(cell, x)| Some((cell.predecessor?, *x)))
        .collect();
    let ranks = ranks(&known.iter().map(|k| k.1).collect::<Vec<_>>());
    let mut groups: BTreeMap<u32, Vec<f64>> = BTreeMap::new();
    for ((predecessor, _), rank) in known.iter().zip(ranks) {
        groups.entry(*predecessor).or_default().push(rank);
    }
    groups.retain(|_, ranks| ranks.len() >= 5);
    // With two variants the predecessor is the other variant, and its residual the mirror image: nothing to learn.
    let variants: BTreeSet<u32> = residuals.iter().map(|(cell, _)| cell.variant).collect();
    if groups.len() < 3 || variants.len() < 4 {
        return None;
    }
    let n: f64 = groups.values().map(|g| g.len() as f64).sum();
    let sum: f64 = groups
        .values()
        .map(|g| g.iter().sum::<f64>().powi(2) / g.len() as f64)
        .sum();
    let h = 12.0 / (n * (n + 1.0)) * sum - 3.0 * (n + 1.0);
    let p = 1.0
        - ChiSquared::new(groups.len() as f64 - 1.0)
            .ok()?
            .cdf(h.max(0.0));
    (p < ALPHA).then(|| Warning {
        what: "carry-over".into(),
        detail: format!("what ran just before changes a cell's time (Kruskal–Wallis p = {p:.4})"),
    })
}

/// Mid-ranks from 1.
fn ranks(x: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..x.len()).collect();
    order.sort_by(|&a, &b| x[a].total_cmp(&x[b]));
    let mut ranks = vec![0.0; x.len()];
    let mut start = 0;
    for group in order.chunk_by(|&a, &b| x[a] == x[b]) {
        let rank = start as f64 + (group.len() as f64 + 1.0) / 2.0;
        group.iter().for_each(|&i| ranks[i] = rank);
        start += group.len();
    }
    ranks
}
