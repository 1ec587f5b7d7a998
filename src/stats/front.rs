//! The Pareto front.

/// Indices of the points that no other equals or beats in everything, by their first quantity; of equal ones the first. Every quantity
/// should be small.
pub fn front(points: &[Vec<f64>]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..points.len()).collect();
    let first_difference = |a: usize, b: usize| {
        let pairs = points[a].iter().zip(&points[b]);
        pairs.map(|(x, y)| x.total_cmp(y)).find(|o| o.is_ne())
    };
    order.sort_by(|&a, &b| first_difference(a, b).unwrap_or(a.cmp(&b)));
    let mut front: Vec<usize> = vec![];
    // What beats a point comes before it, or is itself beaten by one that does.
    for i in order {
        let beats = |f: &usize| points[*f].iter().zip(&points[i]).all(|(x, y)| x <= y);
        if !front.iter().any(beats) {
            front.push(i);
        }
    }
    front
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_front_is_what_nothing_beats_in_everything() {
        let points = [
            [3.0, 0.0],
            [1.0, 1e-2],
            [2.0, 1e-3],
            [2.5, 1e-2],
            [2.0, 1e-2],
        ];
        assert_eq!(front(&points.map(Vec::from)), [1, 2, 0]);
        let three = [
            [1.0, 5.0, 2.0],
            [2.0, 4.0, 2.0],
            [2.0, 4.0, 1.0],
            [3.0, 6.0, 0.0],
            [3.0, 6.0, 0.0],
        ];
        assert_eq!(front(&three.map(Vec::from)), [0, 2, 3]);
        assert!(front(&[]).is_empty());
    }
}
