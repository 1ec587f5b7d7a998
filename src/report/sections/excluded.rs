//! What a search could not measure, by cause: what came of its evaluations, and what the restrictions keep out of the space.
use super::search::Searched;
use crate::report::numbers::{figure, percent};
use crate::report::plot::convergence::Step;
use crate::report::{Piece, Row, columns, counted};
use crate::space::{Parameter, Restriction};
use crate::trial::Verdict;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rayon::prelude::*;

/// Up to this many points of a cartesian product are all looked at; of more so many are drawn.
const COUNTED: usize = 1_000_000;
const DRAWS: usize = 10_000;
/// Of the draws: the same records give the same shares.
const SEED: u64 = 1;

pub(super) fn pieces(searched: &Searched<'_>, restrictions: &[String]) -> Vec<Piece> {
    let mut pieces = causes(searched);
    pieces.extend(kept_out(searched.parameters, restrictions));
    pieces
}

/// Endings and gates in the order in which a variant meets them.
const CAUSES: [Verdict; 6] = [
    Verdict::Unsupported,
    Verdict::Failed,
    Verdict::Crashed,
    Verdict::TimedOut,
    Verdict::Inaccurate,
    Verdict::OverLimit,
];

fn causes(searched: &Searched<'_>) -> Vec<Piece> {
    let all = searched.evaluations.len();
    let count = |step: fn(&Step) -> bool| {
        searched
            .evaluations
            .iter()
            .filter(|e| step(&e.step))
            .count()
    };
    let measured = count(|s| matches!(s, Step::Measured(_)));
    if measured == all {
        return vec![Piece::Paragraph(format!("{} gave a figure.", all_of(all)))];
    }
    let failed = |verdict: Verdict| {
        let is_it = |e: &&super::search::Evaluation<'_>| {
            e.step == Step::Failed && e.trial.verdict == verdict
        };
        (
            verdict.words(),
            searched.evaluations.iter().filter(is_it).count(),
        )
    };
    let mut rows = vec![
        ("measured", measured),
        ("too slow to be timed", count(|s| *s == Step::Untimed)),
    ];
    rows.extend(CAUSES.map(failed));
    let row = |(what, n): (&str, usize)| {
        Row::new(vec![
            what.to_owned(),
            n.to_string(),
            percent(n as f64 / all as f64),
        ])
    };
    let invalid = count(|s| *s == Step::Failed);
    vec![
        Piece::Paragraph(format!(
            "{} of {} ({}) are invalid: they cost time and gave no figure that counts.",
            invalid,
            counted(all as u64, "evaluation"),
            percent(invalid as f64 / all as f64)
        )),
        Piece::Table {
            header: columns(&["What came of it", ">Evaluations", ">Share"]),
            rows: rows.into_iter().filter(|(_, n)| *n > 0).map(row).collect(),
        },
    ]
}

fn all_of(n: usize) -> String {
    match n {
        1 => "The one evaluation".into(),
        n => format!("All {n} evaluations"),
    }
}

/// How much of the cartesian product each restriction keeps out.
fn kept_out(parameters: &[Parameter], written: &[String]) -> Vec<Piece> {
    let parsed: Result<Vec<Restriction>, _> = written
        .iter()
        .map(|text| Restriction::parse(text, parameters))
        .collect();
    // A plan was checked before it ran: only a record that somebody changed has one that does not parse.
    let Some(restrictions) = parsed.ok().filter(|all| !all.is_empty()) else {
        return vec![];
    };
    let size: f64 = parameters.iter().map(|p| p.values.len() as f64).product();
    if size < 1.0 {
        return vec![];
    }
    let is_counted = size <= COUNTED as f64;
    let tally = if is_counted {
        counted_points(parameters, &restrictions, size as usize)
    } else {
        drawn_points(parameters, &restrictions)
    };
    let share = |n: usize| match is_counted {
        true => format!("{n} ({})", percent(n as f64 / size)),
        false => percent(n as f64 / tally.points as f64),
    };
    let how = match is_counted {
        true => String::new(),
        false => format!(
            " Estimated from {DRAWS} uniform draws with a fixed seed: good to one percentage point."
        ),
    };
    let text = format!(
        "Of the {} points of the cartesian product {} satisfy {}.{how}",
        figure(size),
        share(tally.valid),
        match written.len() {
            1 => "the restriction".to_owned(),
            2 => "both restrictions".to_owned(),
            n => format!("all {n} restrictions"),
        }
    );
    let row = |(i, text): (usize, &String)| {
        Row::new(vec![
            text.clone(),
            share(tally.excluded[i]),
            share(tally.only[i]),
        ])
    };
    vec![
        Piece::Paragraph(text),
        Piece::Table {
            header: columns(&["Restriction", ">Excludes", ">Excluded by no other"]),
            rows: written.iter().enumerate().map(row).collect(),
        },
    ]
}

/// How many of some points each restriction excludes, and how many it alone does.
#[derive(Clone, Debug, Default, PartialEq)]
struct Tally {
    points: usize,
    valid: usize,
    excluded: Vec<usize>,
    only: Vec<usize>,
}

impl Tally {
    fn new(restrictions: usize) -> Tally {
        Tally {
            excluded: vec![0; restrictions],
            only: vec![0; restrictions],
            ..Tally::default()
        }
    }

    fn add(&mut self, values: &[crate::value::Value], restrictions: &[Restriction]) {
        self.points += 1;
        let mut last = None;
        let mut by = 0;
        for (i, restriction) in restrictions.iter().enumerate() {
            // What divides by zero here is not valid either; had a search met it, it would have stopped.
            if !restriction.admits(values).unwrap_or(false) {
                self.excluded[i] += 1;
                (last, by) = (Some(i), by + 1);
            }
        }
        match last {
            None => self.valid += 1,
            Some(i) if by == 1 => self.only[i] += 1,
            Some(_) => {}
        }
    }

    fn with(mut self, other: &Tally) -> Tally {
        self.points += other.points;
        self.valid += other.valid;
        let sum = |own: &mut Vec<usize>, others: &[usize]| {
            own.iter_mut().zip(others).for_each(|(a, b)| *a += b)
        };
        sum(&mut self.excluded, &other.excluded);
        sum(&mut self.only, &other.only);
        self
    }
}

fn counted_points(parameters: &[Parameter], restrictions: &[Restriction], size: usize) -> Tally {
    const AT_ONCE: usize = 1 << 13;
    let of_some = |first: usize| {
        let mut tally = Tally::new(restrictions.len());
        let mut digits = vec![usize::MAX; parameters.len()];
        let mut values: Vec<_> = parameters.iter().map(|p| p.values[0].clone()).collect();
        for point in first..(first + AT_ONCE).min(size) {
            let mut rest = point;
            for (p, parameter) in parameters.iter().enumerate().rev() {
                let digit = rest % parameter.values.len();
                rest /= parameter.values.len();
                if digits[p] != digit {
                    digits[p] = digit;
                    values[p].clone_from(&parameter.values[digit]);
                }
            }
            tally.add(&values, restrictions);
        }
        tally
    };
    let parts: Vec<Tally> = (0..size.div_ceil(AT_ONCE))
        .into_par_iter()
        .map(|i| of_some(i * AT_ONCE))
        .collect();
    parts
        .iter()
        .fold(Tally::new(restrictions.len()), Tally::with)
}

fn drawn_points(parameters: &[Parameter], restrictions: &[Restriction]) -> Tally {
    let mut random = StdRng::seed_from_u64(SEED);
    let mut tally = Tally::new(restrictions.len());
    for _ in 0..DRAWS {
        let draw = |p: &Parameter| p.values[random.random_range(0..p.values.len())].clone();
        let values: Vec<_> = parameters.iter().map(draw).collect();
        tally.add(&values, restrictions);
    }
    tally
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Value;

    fn grid(sides: &[i64]) -> Vec<Parameter> {
        let parameter = |(name, n): (&str, &i64)| Parameter {
            name: name.into(),
            values: (1..=*n).map(Value::Int).collect(),
        };
        ["x", "y", "z"]
            .into_iter()
            .zip(sides)
            .map(parameter)
            .collect()
    }

    fn parsed(parameters: &[Parameter], texts: &[&str]) -> Vec<Restriction> {
        texts
            .iter()
            .map(|t| Restriction::parse(t, parameters).expect("it parses"))
            .collect()
    }

    #[test]
    fn what_each_restriction_excludes_is_counted_over_the_whole_product() {
        let parameters = grid(&[4, 5]);
        let restrictions = parsed(&parameters, &["x <= 2", "y != 1", "x + y < 9"]);
        let tally = counted_points(&parameters, &restrictions, 20);
        // x in 3, 4: ten points; y = 1: four, two of them with x > 2; x + y = 9 is (4, 5), which x <= 2 excludes too.
        assert_eq!(
            tally,
            Tally {
                points: 20,
                valid: 8,
                excluded: vec![10, 4, 1],
                only: vec![7, 2, 0]
            }
        );
    }

    #[test]
    fn a_large_product_is_estimated_to_a_percentage_point() {
        let parameters = grid(&[300, 300, 300]);
        let restrictions = parsed(&parameters, &["x <= 60", "y <= z"]);
        let tally = drawn_points(&parameters, &restrictions);
        let share = |n: usize| n as f64 / tally.points as f64;
        assert!((share(tally.excluded[0]) - 0.8).abs() < 0.012, "{tally:?}");
        assert!(
            (share(tally.excluded[1]) - 299.0 / 600.0).abs() < 0.015,
            "{tally:?}"
        );
        assert_eq!(tally, drawn_points(&parameters, &restrictions));
    }
}
