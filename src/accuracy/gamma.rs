//! The gamma index: whether a dose is right within a tolerance of dose or of place (Low, Harms, Mutic and Purdy, Med. Phys. 25, 1998).

/// A criterion such as 2 %/2 mm, global: differences are shares of the expected maximum.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Criterion {
    pub dose: f64,
    /// mm
    pub distance: f64,
}

/// Share of the points whose gamma is at most 1, of those that have at least `threshold` of the expected maximum. Both doses are
/// `[rows, columns]` on points `spacing` mm apart, and are searched up to twice the criterion's distance. NaN for a dose that has
/// one, or without any such point.
pub fn pass_rate(
    found: &[f64],
    expected: &[f64],
    shape: [usize; 2],
    spacing: f64,
    criterion: Criterion,
    threshold: f64,
) -> f64 {
    let largest = expected.iter().copied().fold(0.0, f64::max);
    if found.iter().chain(expected).any(|v| v.is_nan()) || largest <= 0.0 {
        return f64::NAN;
    }
    let [rows, columns] = shape.map(|n| n as i64);
    let reach = (2.0 * criterion.distance / spacing).floor() as i64;
    // Nearest first: most points pass where they are.
    let mut offsets: Vec<(f64, i64, i64)> = (-reach..=reach)
        .flat_map(|i| (-reach..=reach).map(move |j| (i, j)))
        .map(|(i, j)| {
            let squared = (i * i + j * j) as f64 * (spacing / criterion.distance).powi(2);
            (squared, i, j)
        })
        .filter(|(squared, _, _)| *squared <= 1.0)
        .collect();
    offsets.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2)));
    let passes = |row: i64, column: i64, wanted: f64| {
        offsets.iter().any(|&(squared, i, j)| {
            let (r, c) = (row + i, column + j);
            let is_inside = (0..rows).contains(&r) && (0..columns).contains(&c);
            is_inside && {
                let value = found[(r * columns + c) as usize];
                squared + ((value - wanted) / (criterion.dose * largest)).powi(2) <= 1.0
            }
        })
    };
    let (mut points, mut passed) = (0_u32, 0_u32);
    for (at, &wanted) in (0..).zip(expected) {
        if wanted >= threshold * largest {
            points += 1;
            passed += u32::from(passes(at / columns, at % columns, wanted));
        }
    }
    f64::from(passed) / f64::from(points)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: Criterion = Criterion {
        dose: 0.02,
        distance: 2.0,
    };

    /// A dose that falls linearly over 100 mm, on points 0.25 mm apart.
    fn ramp(shift: f64, gain: f64) -> Vec<f64> {
        let value = |row: usize| gain * (100.0 - (row as f64 * 0.25 - shift)).clamp(0.0, 100.0);
        (0..400).flat_map(|row| [value(row); 3]).collect()
    }

    fn rate(found: &[f64], criterion: Criterion) -> f64 {
        pass_rate(found, &ramp(0.0, 1.0), [400, 3], 0.25, criterion, 0.1)
    }

    #[test]
    fn a_dose_passes_against_itself_and_nan_does_not() {
        assert_eq!(rate(&ramp(0.0, 1.0), TWO), 1.0);
        let mut broken = ramp(0.0, 1.0);
        broken[5] = f64::NAN;
        assert!(rate(&broken, TWO).is_nan());
    }

    #[test]
    fn what_is_off_by_less_than_the_criterion_passes_and_by_more_fails() {
        // 1 %/mm: dose and distance add as squares, so a shift s is seen as min over d of (d/2)² + ((s − d)/2)², which is s²/8.
        assert_eq!(rate(&ramp(2.7, 1.0), TWO), 1.0);
        assert!(rate(&ramp(3.0, 1.0), TWO) < 0.1);
        // A uniform gain: 1.5 % of the maximum at most.
        assert_eq!(rate(&ramp(0.0, 1.015), TWO), 1.0);
    }

    #[test]
    fn low_doses_are_not_asked() {
        // Wrong only where the dose is below a tenth of the maximum.
        let mut found = ramp(0.0, 1.0);
        for value in &mut found[3 * 370..] {
            *value = 50.0;
        }
        assert_eq!(rate(&found, TWO), 1.0);
    }
}
