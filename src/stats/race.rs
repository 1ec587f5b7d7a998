//! Races: many variants, few blocks for the hopeless ones. Nothing that a race drops is called slower.
use super::quartiles;
use statrs::distribution::{ContinuousCDF, StudentsT};

/// The numbers of blocks at which a race looks.
pub const RACE_LOOKS: [u32; 8] = [3, 5, 8, 12, 16, 20, 30, 40];

/// Which of the live contenders a race keeps at this look (STATISTICS "Races"): indices, ascending. Index 0 is the reference
/// and always stays, and so do the two best.
///
/// `values`: one entry a contender, each with one value a block, absent where the cell did not complete.
pub fn race_survivors(values: &[Vec<Option<f64>>]) -> Vec<usize> {
    let logs: Vec<Vec<Option<f64>>> = values
        .iter()
        .map(|v| v.iter().map(|x| x.map(f64::ln)).collect())
        .collect();
    let centre = |series: &[Option<f64>]| {
        let known: Vec<f64> = series.iter().flatten().copied().collect();
        if known.is_empty() {
            f64::INFINITY
        } else {
            quartiles(&known).1
        }
    };
    let mut by_centre: Vec<usize> = (0..logs.len()).collect();
    by_centre.sort_by(|&a, &b| {
        centre(&logs[a])
            .total_cmp(&centre(&logs[b]))
            .then(a.cmp(&b))
    });
    let Some(&leader) = by_centre.first() else {
        return vec![];
    };
    let differences: Vec<Vec<f64>> = logs
        .iter()
        .map(|series| {
            series
                .iter()
                .zip(&logs[leader])
                .filter_map(|(a, b)| Some((*a)? - (*b)?))
                .collect()
        })
        .collect();
    let deviations: Vec<f64> = differences.iter().map(|d| deviation(d)).collect();
    let others: Vec<f64> = (0..logs.len())
        .filter(|&i| i != leader)
        .map(|i| deviations[i])
        .collect();
    let typical = if others.is_empty() {
        0.0
    } else {
        quartiles(&others).1
    };
    (0..logs.len())
        .filter(|&i| {
            if i == 0 || by_centre[..by_centre.len().min(2)].contains(&i) {
                return true;
            }
            let d = &differences[i];
            if d.len() < 2 {
                return false;
            }
            let n = d.len() as f64;
            // 1.253 = √(π/2): standard error of a median against that of a mean.
            let se = 1.253 * deviations[i].max(typical) / n.sqrt();
            quartiles(d).1 - quantile(n - 1.0, logs.len()).min(8.0) * se <= 0.0
        })
        .collect()
}

/// 1.4826·MAD.
fn deviation(d: &[f64]) -> f64 {
    if d.is_empty() {
        return 0.0;
    }
    let median = quartiles(d).1;
    1.4826 * quartiles(&d.iter().map(|x| (x - median).abs()).collect::<Vec<_>>()).1
}

fn quantile(freedom: f64, k: usize) -> f64 {
    StudentsT::new(0.0, 1.0, freedom).map_or(8.0, |t| t.inverse_cdf(1.0 - 0.05 / (2.0 * k as f64)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hopeless_go_and_the_close_stay() {
        let series = |level: f64, phase: usize| -> Vec<Option<f64>> {
            (0..8)
                .map(|b| Some(level * (1.0 + 0.01 * (((b * 5 + phase * 3) % 7) as f64 - 3.0))))
                .collect()
        };
        let mut values: Vec<_> = (0..20)
            .map(|i| series(200.0 + 10.0 * i as f64, i))
            .collect();
        values[7] = series(100.0, 2);
        values[9] = series(100.5, 4);
        assert_eq!(race_survivors(&values), [0, 7, 9]);
    }

    #[test]
    fn two_always_remain() {
        let values = vec![vec![Some(9.0); 5], vec![Some(1.0); 5], vec![Some(2.0); 5]];
        assert_eq!(race_survivors(&values), [0, 1, 2]);
        assert!(race_survivors(&[]).is_empty());
    }
}
