//! Several objectives: each question to the strategy is about another mixture of them (ParEGO: Knowles, "ParEGO: a hybrid
//! algorithm with on-line landscape approximation for expensive multiobjective optimization", IEEE TEC 10(1), 2006).
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// Weight of the sum beside the largest term (Knowles, eq. 2): without it, points that are beaten in one objective only would
/// count as good.
const SUM: f64 = 0.05;

/// Draws mixtures, uniform over the simplex.
#[derive(Debug)]
pub struct Mixtures(StdRng);

impl Mixtures {
    pub fn new(seed: u64) -> Mixtures {
        Mixtures(StdRng::seed_from_u64(seed))
    }

    /// One positive number for each point, smaller is better, by a fresh mixture. `points`: every objective of each
    /// configuration, smaller is better, all of one length.
    pub fn draw(&mut self, points: &[Vec<f64>]) -> Vec<f64> {
        let n = points.first().map_or(0, Vec::len);
        // Exponential spacings are uniform on the simplex.
        let spacings: Vec<f64> = (0..n)
            .map(|_| -(1.0 - self.0.random::<f64>()).ln())
            .collect();
        let all: f64 = spacings.iter().sum();
        let ranges: Vec<(f64, f64)> = (0..n)
            .map(|i| {
                let column = points.iter().map(|p| p[i]);
                column.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| {
                    (l.min(v), h.max(v))
                })
            })
            .collect();
        let mixed = |point: &Vec<f64>| {
            let terms = (point.iter().zip(&ranges).zip(&spacings))
                .map(|((v, (low, high)), w)| w / all * (v - low) / (high - low).max(1e-300));
            let (most, sum) = terms.fold((0.0_f64, 0.0), |(m, s), t| (m.max(t), s + t));
            (most + SUM * sum).exp()
        };
        points.iter().map(mixed).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_of_the_front_wins_for_some_mixture_and_no_other_does() {
        let points: Vec<Vec<f64>> = [
            (1.0, 9.0),
            (2.0, 4.0),
            (5.0, 3.0),
            (9.0, 1.0),
            (6.0, 5.0),
            (2.0, 4.5),
        ]
        .map(|(a, b)| vec![a, b])
        .into();
        let mut mixtures = Mixtures::new(1);
        let mut wins = [0; 6];
        for _ in 0..500 {
            let mixed = mixtures.draw(&points);
            let best = (0..6)
                .min_by(|a, b| mixed[*a].total_cmp(&mixed[*b]))
                .unwrap();
            wins[best] += 1;
        }
        assert!(wins[..4].iter().all(|n| *n > 0), "{wins:?}");
        assert_eq!(wins[4..], [0, 0]);
    }

    #[test]
    fn an_objective_that_is_the_same_everywhere_decides_nothing() {
        let mixed = Mixtures::new(3).draw(&[vec![2.0, 7.0], vec![1.0, 7.0]]);
        assert!(mixed[1] < mixed[0] && mixed.iter().all(|m| m.is_finite() && *m > 0.0));
    }
}
