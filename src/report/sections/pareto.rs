//! Speed against accuracy against memory: of a whole case, and of a search.
use super::record::declared_figure;
use super::results::OPTIMISTIC;
use super::search::{Evaluation, Searched};
use crate::accuracy::{Better, better};
use crate::plan::Objective;
use crate::record::{Run, Trial};
use crate::report::numbers::{NONE, Unit, figure, objective_name, small};
use crate::report::plot::pareto::{Choice, Meaning, pareto};
use crate::report::{
    Figure, Files, Piece, Row, accuracy, columns, file_name, in_case, listed, metric, peak,
    variants,
};
use crate::stats::front;
use crate::trial::Verdict;
use crate::value::{Bytes, Nanoseconds};

pub(in crate::report) fn section(run: &Run) -> Vec<Piece> {
    let pieces: Vec<Piece> = run
        .header
        .plan
        .cases
        .iter()
        .flat_map(|case| of_case(run, &case.name))
        .collect();
    if pieces.is_empty() {
        return vec![];
    }
    [
        vec![Piece::Heading(2, "Speed, accuracy, memory".into())],
        pieces,
    ]
    .concat()
}

fn of_case(run: &Run, case: &str) -> Vec<Piece> {
    let (name, limit) = metric(run);
    let found = measured(run, case, name);
    // Of one accuracy there is nothing to choose.
    let is_choice = found
        .iter()
        .any(|(_, t, e)| t.quartiles.is_some() && *e != found[0].2);
    if found.len() < 3 || !is_choice {
        return vec![];
    }
    let unit = Unit::of_trials(run, found.iter().map(|f| f.1));
    let mut choices: Vec<Choice> = found
        .iter()
        .filter_map(|(label, trial, error)| {
            Some(Choice {
                name: label.clone(),
                objective: unit.scaled(trial.quartiles?.1),
                other: *error,
                memory: peak(trial).map(|b| b.0 as f64),
                is_best: false,
            })
        })
        .collect();
    let better = better(name);
    let both = |c: &Choice| {
        let other = two_digits(c.other);
        match better {
            Better::Smaller => vec![c.objective, other],
            Better::Larger => vec![c.objective, -other],
        }
    };
    let front = front(&choices.iter().map(both).collect::<Vec<_>>());
    front.iter().for_each(|&i| choices[i].is_best = true);
    let rows = front
        .iter()
        .map(|&i| {
            let choice = &choices[i];
            let memory = choice
                .memory
                .map_or_else(|| "–".into(), |m| Bytes(m as u64).to_string());
            Row::new(vec![
                choice.name.clone(),
                figure(choice.objective),
                small(choice.other),
                memory,
            ])
        })
        .collect::<Vec<_>>();
    let what = objective_name(run);
    let suffix = if case.is_empty() {
        String::new()
    } else {
        format!("_{}", file_name(case))
    };
    let mut pieces = vec![Piece::Figure(Figure {
        file: format!("plots/pareto{suffix}"),
        title: in_case(case, "speed against accuracy"),
        caption: format!(
            "Median against {name} of every variant that was timed, all phases; the area of a point is its peak memory. Medians of different phases were measured at different times. Variants outside the accuracy limit were not timed and are not here."
        ),
        files: Files::Both,
        sketch: pareto(
            &choices,
            &Meaning {
                x_title: &format!("{} (median, log scale)", unit.head(&what.to_lowercase())),
                other: name,
                better,
                limit,
                best: "blue: nothing measured is both quicker and more accurate",
            },
            &|m| Bytes(m as u64).to_string(),
        ),
    })];
    pieces.push(Piece::Paragraph(
        "What nothing measured beats in both, quickest first:".into(),
    ));
    pieces.push(Piece::Table {
        header: columns(&[
            "Variant".to_owned(),
            format!(">{}", unit.head(&what)),
            format!(">{name}"),
            ">Peak memory".to_owned(),
        ]),
        rows,
    });
    pieces
}

/// Every timed variant with a finite error; a reference only where no earlier row has its configuration.
fn measured<'a>(run: &'a Run, case: &str, metric: &str) -> Vec<(String, &'a Trial, f64)> {
    let mut found: Vec<(String, &Trial, f64)> = vec![];
    for outcome in run.outcomes.iter().filter(|o| o.case == case) {
        for trial in variants(run, outcome) {
            let Some(error) = accuracy(trial, metric).filter(|e| e.is_finite() && *e >= 0.0) else {
                continue;
            };
            let is_again = trial.verdict == Verdict::Reference
                && found
                    .iter()
                    .any(|f| f.1.configuration == trial.configuration);
            let is_timed = trial
                .quartiles
                .is_some_and(|q| q.1 > 0.0 && q.1.is_finite());
            let has_failed =
                trial.verdict == Verdict::Inaccurate || trial.ending.verdict().is_some();
            if is_timed && !is_again && !has_failed {
                found.push((format!("{} / {}", outcome.phase, trial.name), trial, error));
            }
        }
    }
    found
}

/// As the tables show it: errors and sizes that differ by less are one.
fn two_digits(value: f64) -> f64 {
    format!("{value:.1e}").parse().unwrap_or(value)
}

/// More rows of a front than this are a list that nobody reads.
const ROWS: usize = 24;

/// A quantity beside the objective that a search's configurations are judged by.
struct Quantity {
    name: String,
    better: Better,
    /// Its name with the unit of an axis, and that unit's size.
    axis: (String, f64),
    values: Vec<f64>,
    show: fn(f64) -> String,
}

/// The front of a search over the objective and what the plan names in `pareto`, else memory and accuracy; then, where nothing but
/// accuracy differs, the picture of the whole case shows it.
pub(super) fn of_search(run: &Run, searched: &Searched<'_>) -> Vec<Piece> {
    let timed: Vec<(&Evaluation<'_>, f64)> = searched.measured().collect();
    let quantities = quantities(run, searched, &timed);
    let is_asked = !searched.pareto.is_empty();
    let Some(other) = (quantities.first()).filter(|q| is_asked || q.name != metric(run).0) else {
        return vec![];
    };
    let all = |i: usize| {
        let others = quantities.iter().map(|q| match q.better {
            Better::Smaller => two_digits(q.values[i]),
            Better::Larger => -two_digits(q.values[i]),
        });
        std::iter::once(timed[i].1).chain(others).collect()
    };
    let points: Vec<Vec<f64>> = (0..timed.len()).map(all).collect();
    let front = front(&points);
    if front.len() < 2 {
        return vec![];
    }
    let names: Vec<&str> = std::iter::once("the objective")
        .chain(quantities.iter().map(|q| q.name.as_str()))
        .collect();
    let names = listed(&names);
    let choices: Vec<Choice> = timed
        .iter()
        .enumerate()
        .map(|(i, (evaluation, value))| Choice {
            name: evaluation.trial.name.clone(),
            objective: *value,
            other: other.values[i] / other.axis.1,
            memory: None,
            is_best: front.contains(&i),
        })
        .collect();
    let best = format!("blue: nothing measured is as good in {names} at once");
    let limit = run
        .header
        .plan
        .limits
        .peak_memory
        .filter(|_| other.name == MEMORY);
    let sketch = pareto(
        &choices,
        &Meaning {
            x_title: &format!("{} (log scale)", searched.what),
            other: &other.axis.0,
            better: other.better,
            limit: limit.map(|b| b.0 as f64 / MEBIBYTE),
            best: &best,
        },
        &|_| String::new(),
    );
    let caption = format!(
        "estimates {OPTIMISTIC} of the objective against {}; blue: nothing that the search measured is as good in {names} at once.",
        other.name
    );
    let mut pieces = vec![
        searched.figure("front", "several objectives at once", &caption, sketch),
        table(searched, &timed, &quantities, &front),
    ];
    if front.len() > ROWS {
        pieces.push(Piece::Paragraph(format!(
            "The quickest {ROWS} of the {} on the front.",
            front.len()
        )));
    }
    pieces
}

const MEMORY: &str = "peak memory";
const MEBIBYTE: f64 = 1_048_576.0;

/// What every configuration has a figure of, and not the same one.
fn quantities(
    run: &Run,
    searched: &Searched<'_>,
    timed: &[(&Evaluation<'_>, f64)],
) -> Vec<Quantity> {
    let quantity = |name: &str, axis: (&str, f64), of: &dyn Fn(&Trial) -> Option<f64>, show| {
        let is_accuracy = timed.iter().any(|(e, _)| accuracy(e.trial, name).is_some());
        let values: Option<Vec<f64>> = timed.iter().map(|(e, _)| of(e.trial)).collect();
        let values = values.filter(|all| all.iter().all(|v| v.is_finite() && *v >= 0.0))?;
        let differs = values
            .iter()
            .any(|v| two_digits(*v) != two_digits(values[0]));
        differs.then(|| Quantity {
            name: name.to_owned(),
            better: match is_accuracy {
                true => better(name),
                false => Better::Smaller,
            },
            axis: (format!("{name}{}", axis.0), axis.1),
            values,
            show,
        })
    };
    let objective = &run.header.plan.objective;
    let memory = |t: &Trial| peak(t).map(|b| b.0 as f64);
    if !searched.pareto.is_empty() {
        let declared = |t: &Trial, name: &str| {
            let found = t.metrics.iter().find(|(n, _)| n == name);
            found.map(|(_, v)| *v)
        };
        let of = |name: &String| match name.as_str() {
            "peak_memory" => quantity(MEMORY, (", MiB", MEBIBYTE), &memory, |v| {
                Bytes(v as u64).to_string()
            }),
            _ => {
                let value = |t: &Trial| accuracy(t, name).or_else(|| declared(t, name));
                quantity(name, ("", 1.0), &value, small)
            }
        };
        return searched.pareto.iter().filter_map(of).collect();
    }
    let (metric, _) = metric(run);
    let mut found = vec![];
    if !matches!(objective, Objective::Runtime | Objective::DeviceTime) {
        let runtimes = searched.runtimes(run);
        let runtime = |t: &Trial| runtimes.get(&t.id).copied();
        found.extend(quantity("runtime", (", ms", 1e6), &runtime, |v| {
            Nanoseconds(v).to_string()
        }));
    }
    if *objective != Objective::PeakMemory {
        found.extend(quantity(MEMORY, (", MiB", MEBIBYTE), &memory, |v| {
            Bytes(v as u64).to_string()
        }));
    }
    found.extend(quantity(metric, ("", 1.0), &|t| accuracy(t, metric), small));
    found
}

/// The front with everything that is known of it; metrics that the plan's `pareto` does not name decide nothing.
fn table(
    searched: &Searched<'_>,
    timed: &[(&Evaluation<'_>, f64)],
    quantities: &[Quantity],
    front: &[usize],
) -> Piece {
    let mut declared: Vec<&str> = vec![];
    for (name, _) in front.iter().flat_map(|&i| &timed[i].0.trial.metrics) {
        let is_decisive = quantities.iter().any(|q| q.name == *name);
        if !is_decisive && !declared.contains(&name.as_str()) {
            declared.push(name);
        }
    }
    let mut header = vec![
        "On the front".to_owned(),
        format!(">{} {OPTIMISTIC}", searched.what),
    ];
    header.extend(quantities.iter().map(|q| format!(">{}", q.name)));
    header.extend(declared.iter().map(|name| format!(">{name}")));
    let rows = front.iter().take(ROWS).map(|&i| {
        let (evaluation, value) = timed[i];
        let mut cells = vec![evaluation.trial.name.clone(), figure(value)];
        cells.extend(quantities.iter().map(|q| (q.show)(q.values[i])));
        cells.extend(declared.iter().map(|name| {
            let found = evaluation.trial.metrics.iter().find(|(n, _)| n == name);
            found.map_or_else(|| NONE.into(), |(_, v)| declared_figure(name, *v))
        }));
        Row {
            cells,
            is_strong: evaluation.trial.is_kept,
        }
    });
    Piece::Table {
        header: columns(&header),
        rows: rows.collect(),
    }
}
