//! Many variants at once: Holm's step-down, the choice of a winner and of all that are tied with it.
use super::{Pairs, compare, quartiles};
use crate::stats::hodges_lehmann::Walsh;
use serde::{Deserialize, Serialize};

/// Holm's step-down adjusted p-values, in the order given. Holm, Scand. J. Statist. 6 (1979).
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[a].total_cmp(&p[b]));
    let mut adjusted = vec![0.0; p.len()];
    let mut largest: f64 = 0.0;
    for (rank, &i) in order.iter().enumerate() {
        largest = largest.max(((p.len() - rank) as f64 * p[i]).min(1.0));
        adjusted[i] = largest;
    }
    adjusted
}

/// What a phase's winner is chosen from: one entry a variant; the reference is one of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Contender {
    /// Cell values, one a block in the same order for all contenders; absent where its cell did not complete.
    pub values: Vec<Option<f64>>,
    pub is_reference: bool,
    /// Accurate, within the limits, every cell completed.
    pub may_win: bool,
    pub changed_parameters: u32,
    pub peak_memory: u64,
    pub name: String,
}

/// The chosen variant and all that are statistically tied with the best (indices into the contenders).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Selection {
    pub leader: usize,
    /// Includes the leader, ascending.
    pub tied: Vec<usize>,
    /// Among the tied: the reference if it is there, else fewest changed parameters, least memory (5 %), name.
    pub chosen: usize,
    /// Best by estimate of those that are not chosen and not the reference.
    pub runner_up: Option<usize>,
}

/// Chooses (STATISTICS "Many variants"). The reference must be among the contenders.
pub fn select(contenders: &[Contender], alpha: f64, equivalence: f64) -> Selection {
    let reference = contenders.iter().position(|c| c.is_reference).unwrap_or(0);
    let scores = against_block_median(contenders);
    let is_eligible = |i: usize| {
        let c = &contenders[i];
        i == reference
            || c.may_win && compare(&pairs(c, &contenders[reference]), alpha, 0.0, 0).speedup >= 1.0
    };
    let mut eligible: Vec<usize> = (0..contenders.len()).filter(|&i| is_eligible(i)).collect();
    eligible.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]).then(a.cmp(&b)));
    let leader = eligible.first().copied().unwrap_or(reference);
    let others: Vec<usize> = eligible.iter().copied().filter(|&i| i != leader).collect();
    let comparisons: Vec<_> = others
        .iter()
        .map(|&i| compare(&pairs(&contenders[i], &contenders[leader]), alpha, 0.0, 0))
        .collect();
    let adjusted = holm(&comparisons.iter().map(|c| c.p_value).collect::<Vec<_>>());
    let mut tied = vec![leader];
    for ((&i, comparison), p) in others.iter().zip(&comparisons).zip(adjusted) {
        let margin = 1.0 + equivalence;
        let is_inside = comparison
            .interval
            .is_some_and(|(lower, upper)| lower > 1.0 / margin && upper < margin);
        if p > alpha || is_inside {
            tied.push(i);
        }
    }
    tied.sort_unstable();
    let chosen = simplest(contenders, &tied, reference);
    let runner_up = (0..contenders.len())
        .filter(|&i| i != chosen && i != reference && contenders[i].may_win)
        .filter(|&i| scores[i].is_finite())
        .min_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    Selection {
        leader,
        tied,
        chosen,
        runner_up,
    }
}

fn simplest(contenders: &[Contender], tied: &[usize], reference: usize) -> usize {
    if tied.contains(&reference) {
        return reference;
    }
    let fewest = tied.iter().map(|&i| contenders[i].changed_parameters).min();
    let few = tied
        .iter()
        .filter(|&&i| Some(contenders[i].changed_parameters) == fewest);
    let least = few
        .clone()
        .map(|&i| contenders[i].peak_memory)
        .min()
        .unwrap_or(0);
    few.filter(|&&i| contenders[i].peak_memory as f64 <= 1.05 * least as f64)
        .min_by(|&&a, &&b| contenders[a].name.cmp(&contenders[b].name))
        .copied()
        .unwrap_or(reference)
}

/// Hodges–Lehmann estimate of ln(value / median of its block); infinite without data.
fn against_block_median(contenders: &[Contender]) -> Vec<f64> {
    let blocks = contenders.iter().map(|c| c.values.len()).max().unwrap_or(0);
    let medians: Vec<f64> = (0..blocks)
        .map(|b| {
            let of_block: Vec<f64> = contenders
                .iter()
                .filter_map(|c| c.values.get(b).copied().flatten())
                .collect();
            quartiles(&of_block).1
        })
        .collect();
    contenders
        .iter()
        .map(|c| {
            let d: Vec<f64> = c
                .values
                .iter()
                .zip(&medians)
                .filter_map(|(v, m)| v.map(|v| (v / m).ln()))
                .collect();
            if d.is_empty() {
                f64::INFINITY
            } else {
                Walsh::new(&d).estimate()
            }
        })
        .collect()
}

fn pairs(a: &Contender, b: &Contender) -> Vec<(f64, f64)> {
    let both: Vec<(f64, f64)> = a
        .values
        .iter()
        .zip(&b.values)
        .filter_map(|(a, b)| Some(((*a)?, (*b)?)))
        .collect();
    let pairs: &Pairs = &both;
    pairs.to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contender(name: &str, level: f64, changed: u32) -> Contender {
        // A fixed, small, different wobble for each name.
        let wobble = |b: usize| {
            1.0 + 0.001 * (((b * 7 + name.len() * 3 + changed as usize) % 11) as f64 - 5.0)
        };
        Contender {
            values: (0..20).map(|b| Some(level * wobble(b))).collect(),
            is_reference: name == "reference",
            may_win: true,
            changed_parameters: changed,
            peak_memory: 100,
            name: name.into(),
        }
    }

    #[test]
    fn holm_is_the_textbooks() {
        // statsmodels.stats.multitest.multipletests([.01, .04, .03, .005], method="holm")[1], statsmodels 0.14.
        let adjusted = holm(&[0.01, 0.04, 0.03, 0.005]);
        for (a, e) in adjusted.iter().zip([0.03, 0.06, 0.06, 0.02]) {
            assert!((a - e).abs() < 1e-12, "{adjusted:?}");
        }
    }

    #[test]
    fn the_clear_winner_is_chosen_and_a_slower_one_never() {
        let all = [
            contender("reference", 100.0, 0),
            contender("quick", 80.0, 1),
            contender("slow", 120.0, 1),
        ];
        let selection = select(&all, 0.05, 0.01);
        assert_eq!((selection.leader, selection.chosen), (1, 1));
        assert_eq!(selection.tied, [1]);
        assert_eq!(selection.runner_up, Some(2));
    }

    #[test]
    fn among_the_tied_the_simplest_wins() {
        let all = [
            contender("reference", 100.0, 0),
            contender("two", 80.0, 2),
            contender("one", 80.1, 1),
        ];
        let selection = select(&all, 0.05, 0.01);
        assert_eq!(selection.tied, [1, 2]);
        assert_eq!(selection.chosen, 2);
    }

    #[test]
    fn a_tie_with_the_reference_keeps_the_reference() {
        let all = [contender("reference", 100.0, 0), contender("same", 99.9, 1)];
        assert_eq!(select(&all, 0.05, 0.01).chosen, 0);
    }

    #[test]
    fn an_inaccurate_leader_cannot_win() {
        let mut all = [
            contender("reference", 100.0, 0),
            contender("wrong", 50.0, 1),
            contender("right", 80.0, 1),
        ];
        all[1].may_win = false;
        assert_eq!(select(&all, 0.05, 0.01).chosen, 2);
    }
}
