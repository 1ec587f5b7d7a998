//! How numbers are written: as many digits as their uncertainty bears, one unit a column.
use crate::plan::Objective;
use crate::record::{Run, Trial};
use crate::stats::Comparison;

pub(in crate::report) const NONE: &str = "–";

/// Decimals that show about two digits of a spread, between `least` and `most`.
fn decimals(spread: f64, least: usize, most: usize) -> usize {
    if !(spread.is_finite() && spread > 0.0) {
        return most;
    }
    ((-(spread / 2.0).log10()).ceil().max(0.0) as usize).clamp(least, most)
}

/// "1.075×".
pub(in crate::report) fn speedup(c: &Comparison) -> String {
    format!("{}×", factor(c, c.speedup))
}

/// "[1.071, 1.080]", or a dash where the number of blocks attains none.
pub(in crate::report) fn interval(c: &Comparison) -> String {
    c.interval.map_or_else(
        || NONE.into(),
        |(lower, upper)| format!("[{}, {}]", factor(c, lower), factor(c, upper)),
    )
}

/// "1.075× [1.071, 1.080]".
pub(in crate::report) fn with_interval(c: &Comparison) -> String {
    match c.interval {
        Some(_) => format!("{} {}", speedup(c), interval(c)),
        None => speedup(c),
    }
}

/// A factor with the digits that the interval's width bears.
fn factor(c: &Comparison, value: f64) -> String {
    let Some((lower, upper)) = c.interval else {
        return finite(value, 2);
    };
    let mut digits = decimals((upper - lower) / 2.0, 2, 3);
    // An interval that excludes 1 must not be rounded to include it.
    for bound in [lower, upper] {
        let rounded = |digits: usize| format!("{bound:.digits$}").parse().unwrap_or(bound);
        while digits < 5 && bound != 1.0 && rounded(digits) == 1.0 && (bound - 1.0).abs() > 1e-5 {
            digits += 1;
        }
    }
    if value.abs() >= 100.0 {
        digits = digits.min(1);
    }
    finite(value, digits)
}

fn finite(value: f64, digits: usize) -> String {
    match value.is_finite() {
        true => format!("{value:.digits$}"),
        false => value.to_string(),
    }
}

/// An accuracy figure: two digits, since its size is what matters.
pub(in crate::report) fn small(value: f64) -> String {
    match value {
        0.0 => "0".into(),
        v if !v.is_finite() => v.to_string(),
        v if (0.01..1000.0).contains(&v.abs()) => {
            let digits = (1.0 - v.abs().log10().floor()).max(0.0) as usize;
            format!("{v:.digits$}")
        }
        v => format!("{v:.1e}"),
    }
}

/// A figure of which nothing is known: four digits, and whole numbers whole.
pub(in crate::report) fn figure(value: f64) -> String {
    match value.abs() {
        _ if !value.is_finite() => value.to_string(),
        size if value.fract() == 0.0 && size < 1e9 => format!("{value:.0}"),
        size if (1e-3..1e9).contains(&size) => {
            let digits = (3.0 - size.log10().floor()).max(0.0) as usize;
            format!("{value:.digits$}")
        }
        _ => format!("{value:.3e}"),
    }
}

/// "= 0.340"; never "= 0.000".
pub(in crate::report) fn p_value(p: f64) -> String {
    match p < 0.001 {
        true => "< 0.001".into(),
        false => format!("= {p:.3}"),
    }
}

/// "1.2 %".
pub(in crate::report) fn percent(ratio: f64) -> String {
    let digits = match 100.0 * ratio.abs() {
        p if p < 1.0 => 2,
        p if p < 20.0 => 1,
        _ => 0,
    };
    format!("{} %", finite(100.0 * ratio, digits))
}

/// The unit of a column, and how many decimals its figures bear.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::report) struct Unit {
    pub(in crate::report) name: String,
    size: f64,
    decimals: usize,
}

impl Unit {
    /// For values of the plan's objective with their quartiles.
    pub(in crate::report) fn of_objective(run: &Run, quartiles: &[(f64, f64, f64)]) -> Unit {
        let medians = || quartiles.iter().map(|q| q.1);
        let spreads = || quartiles.iter().map(|q| q.2 - q.0);
        match &run.header.plan.objective {
            Objective::Runtime | Objective::DeviceTime => Unit::of_times(medians(), spreads()),
            Objective::PeakMemory => Unit::of_bytes(medians()),
            Objective::Energy => Unit::of_numbers("J", medians(), spreads()),
            Objective::Metric(_) => Unit::of_numbers("", medians(), spreads()),
        }
    }

    /// For all that a run measured.
    pub(in crate::report) fn of_trials<'a>(
        run: &Run,
        trials: impl Iterator<Item = &'a Trial>,
    ) -> Unit {
        let quartiles: Vec<_> = trials.filter_map(|t| t.quartiles).collect();
        Unit::of_objective(run, &quartiles)
    }

    /// Nanoseconds, shown in the unit that suits their middle.
    pub(in crate::report) fn of_times(
        times: impl Iterator<Item = f64>,
        spreads: impl Iterator<Item = f64>,
    ) -> Unit {
        const UNITS: [(&str, f64); 4] = [("ns", 1.0), ("µs", 1e3), ("ms", 1e6), ("s", 1e9)];
        let (low, high) = ends(times);
        // Seconds from one and a half second on: 1,200 ms is easier to set beside 300 ms than 1.2 s.
        let middle = (low * high).sqrt() / 1.5;
        let (name, size) = UNITS
            .into_iter()
            .rev()
            .find(|u| middle >= u.1)
            .unwrap_or(UNITS[0]);
        Unit::sized(name, size, low, spreads)
    }

    pub(in crate::report) fn of_bytes(sizes: impl Iterator<Item = f64>) -> Unit {
        const UNITS: [(&str, f64); 5] = [
            ("B", 1.0),
            ("KiB", 1024.0),
            ("MiB", 1_048_576.0),
            ("GiB", 1_073_741_824.0),
            ("TiB", 1_099_511_627_776.0),
        ];
        let (low, high) = ends(sizes);
        let middle = (low * high).sqrt() / 2.0;
        let (name, size) = UNITS
            .into_iter()
            .rev()
            .find(|u| middle >= u.1)
            .unwrap_or(UNITS[0]);
        let decimals = if size == 1.0 { 0 } else { 1 };
        Unit {
            name: name.into(),
            size,
            decimals,
        }
    }

    fn of_numbers(
        name: &str,
        values: impl Iterator<Item = f64>,
        spreads: impl Iterator<Item = f64>,
    ) -> Unit {
        let (low, _) = ends(values);
        Unit::sized(name, 1.0, low, spreads)
    }

    fn sized(name: &str, size: f64, low: f64, spreads: impl Iterator<Item = f64>) -> Unit {
        let mut spreads: Vec<f64> = spreads
            .filter(|s| s.is_finite() && *s > 0.0)
            .map(|s| s / size)
            .collect();
        spreads.sort_by(f64::total_cmp);
        let middle = spreads.get(spreads.len() / 2).copied().unwrap_or(f64::NAN);
        // The least value keeps three digits, whatever the spread of the others.
        let of_least = (2.0 - (low / size).log10().floor()).clamp(0.0, 4.0) as usize;
        Unit {
            name: name.into(),
            size,
            decimals: decimals(middle, of_least.min(1), 4.min(of_least + 1)),
        }
    }

    /// "182.6", without the unit: the column's head says it.
    pub(in crate::report) fn bare(&self, value: f64) -> String {
        finite(value / self.size, self.decimals)
    }

    /// "182.6 ms".
    pub(in crate::report) fn full(&self, value: f64) -> String {
        match self.name.is_empty() {
            true => self.bare(value),
            false => format!("{} {}", self.bare(value), self.name),
        }
    }

    /// The value in this unit, for an axis.
    pub(in crate::report) fn scaled(&self, value: f64) -> f64 {
        value / self.size
    }

    /// "Runtime, ms"; "Score" where there is no unit.
    pub(in crate::report) fn head(&self, what: &str) -> String {
        match self.name.is_empty() {
            true => what.into(),
            false => format!("{what}, {}", self.name),
        }
    }
}

/// The least and the largest of the values above zero; 1 without any.
fn ends(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) = values
        .filter(|v| v.is_finite() && *v > 0.0)
        .fold((f64::INFINITY, 0.0_f64), |(l, h), v| (l.min(v), h.max(v)));
    if high > 0.0 { (low, high) } else { (1.0, 1.0) }
}

/// What is minimized, as a column's head: "Runtime".
pub(in crate::report) fn objective_name(run: &Run) -> String {
    match &run.header.plan.objective {
        Objective::Runtime => "Runtime".into(),
        Objective::DeviceTime => "Device time".into(),
        Objective::PeakMemory => "Peak memory (objective)".into(),
        Objective::Energy => "Energy".into(),
        Objective::Metric(name) => name.clone(),
    }
}

/// "1.075× as fast as the baseline", or what fits the objective.
pub(in crate::report) fn against(run: &Run, c: &Comparison, other: &str) -> String {
    match &run.header.plan.objective {
        Objective::Runtime | Objective::DeviceTime => format!("{} as fast as {other}", speedup(c)),
        _ => format!(
            "{} better than {other} ({}, less is better)",
            speedup(c),
            objective_name(run)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn with(speedup: f64, lower: f64, upper: f64) -> Comparison {
        Comparison {
            speedup,
            interval: Some((lower, upper)),
            ..Comparison::default()
        }
    }

    #[test]
    fn digits_follow_the_width_of_the_interval() {
        assert_eq!(
            with_interval(&with(1.0749, 1.0712, 1.0798)),
            "1.075× [1.071, 1.080]"
        );
        assert_eq!(
            with_interval(&with(1.678, 1.617, 1.712)),
            "1.68× [1.62, 1.71]"
        );
        assert_eq!(
            with_interval(&with(180.44, 170.2, 190.9)),
            "180.4× [170.2, 190.9]"
        );
        assert_eq!(
            with_interval(&Comparison {
                speedup: 1.2345,
                ..Comparison::default()
            }),
            "1.23×"
        );
    }

    #[test]
    fn an_interval_that_excludes_one_is_not_rounded_to_include_it() {
        assert_eq!(interval(&with(1.1, 1.003, 1.2)), "[1.003, 1.200]");
        assert_eq!(interval(&with(1.1, 1.000_04, 1.2)), "[1.00004, 1.20000]");
    }

    #[test]
    fn a_column_has_one_unit_and_the_digits_of_its_spread() {
        let unit = Unit::of_times([182.6e6, 24.43e6].into_iter(), [1.5e6, 0.3e6].into_iter());
        assert_eq!(
            (unit.name.as_str(), unit.bare(182.55e6), unit.full(24.427e6)),
            ("ms", "182.6".into(), "24.4 ms".into())
        );
        let noisy = Unit::of_times([208e6].into_iter(), [23e6].into_iter());
        assert_eq!(noisy.full(208.457e6), "208 ms");
        let exact = Unit::of_times([1.5e3].into_iter(), [0.0].into_iter());
        assert_eq!(exact.full(1500.0), "1.500 µs");
        assert_eq!(
            Unit::of_bytes([341.4 * 1_048_576.0].into_iter()).full(341.4 * 1_048_576.0),
            "341.4 MiB"
        );
    }

    #[test]
    fn accuracies_are_read_by_their_size() {
        let shown = [0.0, 2.04e-7, 0.31, 1.5, f64::NAN, 46.123].map(small);
        assert_eq!(shown, ["0", "2.0e-7", "0.31", "1.5", "NaN", "46"]);
    }

    proptest! {
        #[test]
        fn no_number_panics(a in any::<f64>(), b in any::<f64>(), c in any::<f64>()) {
            let _ = (with_interval(&with(a, b, c)), small(a), percent(a));
            let unit = Unit::of_times([a, b].into_iter(), [c].into_iter());
            let _ = (unit.full(a), Unit::of_bytes([a].into_iter()).full(b));
        }
    }
}
