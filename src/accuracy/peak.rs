//! Position and shape of a peak: what an imaging scientist reads off a picture of a point.

/// Index of the largest of `volume` (row-major); `None` if a value is NaN or there is none.
pub fn brightest(volume: &[f64], shape: [usize; 3]) -> Option<[usize; 3]> {
    let mut best: Option<(usize, f64)> = None;
    for (i, value) in volume.iter().enumerate() {
        if value.is_nan() {
            return None;
        }
        if best.is_none_or(|(_, b)| *value > b) {
            best = Some((i, *value));
        }
    }
    best.map(|(i, _)| {
        [
            i / (shape[1] * shape[2]),
            i / shape[2] % shape[1],
            i % shape[2],
        ]
    })
}

/// Between two voxels, in voxels.
pub fn distance(a: [usize; 3], b: [usize; 3]) -> f64 {
    a.iter()
        .zip(b)
        .map(|(a, b)| (*a as f64 - b as f64).powi(2))
        .sum::<f64>()
        .sqrt()
}

/// Full width at half of `line[peak]`, in samples, the crossings interpolated linearly; `None` if a flank leaves the line.
pub fn width_at_half(line: &[f64], peak: usize) -> Option<f64> {
    let half = 0.5 * line.get(peak)?;
    let crossing = |steps: &mut dyn Iterator<Item = usize>| {
        let mut before = line[peak];
        steps.enumerate().find_map(|(n, i)| {
            let (last, now) = (before, line[i]);
            before = now;
            (now < half).then(|| n as f64 + (last - half) / (last - now))
        })
    };
    Some(crossing(&mut (0..peak).rev())? + crossing(&mut (peak + 1..line.len()))?)
}

/// The highest local maximum outside of the minima that enclose `line[peak]`, in dB below it; `None` if there is none.
pub fn side_lobe(line: &[f64], peak: usize) -> Option<f64> {
    let rises = |&i: &usize| line[i] < line[i - 1] && line[i] <= line[i + 1];
    let last = line.len().checked_sub(1)?;
    let right = (peak + 1..last).find(rises);
    let left = (1..peak)
        .rev()
        .find(|&i| line[i] < line[i + 1] && line[i] <= line[i - 1]);
    let beyond = right
        .map_or(&line[..0], |r| &line[r..])
        .iter()
        .chain(left.map_or(&line[..0], |l| &line[..=l]));
    let highest = beyond.copied().fold(f64::NEG_INFINITY, f64::max);
    (highest > 0.0).then(|| 20.0 * (highest / line[peak]).log10())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_triangle_is_half_as_wide_at_half_height() {
        let line: Vec<f64> = (0..21)
            .map(|i| 10.0 - (f64::from(i) - 10.0).abs())
            .collect();
        assert_eq!(width_at_half(&line, 10), Some(10.0));
        assert_eq!(width_at_half(&line[..14], 10), None);
        assert_eq!(width_at_half(&[1.0, 1.0], 0), None);
    }

    #[test]
    fn a_sincs_first_side_lobe_is_thirteen_decibels_down() {
        let sinc = |x: f64| if x == 0.0 { 1.0 } else { (x.sin() / x).abs() };
        let line: Vec<f64> = (-400..=400).map(|i| sinc(f64::from(i) * 0.05)).collect();
        let lobe = side_lobe(&line, 400).unwrap();
        assert!((lobe + 13.26).abs() < 0.01, "{lobe}");
        assert_eq!(side_lobe(&[1.0, 2.0, 1.0], 1), None);
    }

    #[test]
    fn the_brightest_voxel_has_its_indices_and_nan_has_none() {
        let mut volume = vec![0.0; 24];
        volume[17] = 3.0;
        assert_eq!(brightest(&volume, [2, 3, 4]), Some([1, 1, 1]));
        assert_eq!(distance([1, 1, 1], [1, 4, 5]), 5.0);
        volume[2] = f64::NAN;
        assert_eq!(brightest(&volume, [2, 3, 4]), None);
    }
}
