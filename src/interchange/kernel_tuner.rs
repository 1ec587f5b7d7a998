//! Kernel Tuner's cache file (`kernel_tuner/util.py` of 1.5.0: process_cache, read_cache, close_cache, store_cache). It is written
//! an entry at a time, so what a killed tuner leaves is no JSON: open at its end, or torn in its last line.
use super::json::{Json, python_float};
use super::{
    Evaluation, Failure, Format, Recording, as_listed, json_value, objective, parameter_value,
    valid,
};
use crate::space::{Configuration, Parameter};
use crate::value::Value;
use std::collections::HashMap;

/// What stands for a failure, and what it means.
const ERRORS: [(&str, Failure); 4] = [
    ("InvalidConfig", Failure::Constraints),
    ("CompilationFailedConfig", Failure::Compile),
    ("RuntimeFailedConfig", Failure::Runtime),
    ("ErrorConfig", Failure::Unknown),
];

/// The file as JSON, its open end closed; and what was dropped to that end.
pub(super) fn parse(text: &str) -> Result<(Json, Vec<String>), String> {
    let error = match Json::parse(text) {
        Ok(json) => return Ok((json, vec![])),
        Err(error) => error,
    };
    let closed = |open: &str| {
        let entries = open.trim_end().trim_end_matches(',');
        Json::parse(&format!("{entries}\n}}\n}}")).ok()
    };
    if !text.contains("\"cache\"") {
        return Err(error);
    }
    if let Some(json) = closed(text) {
        return Ok((json, vec![]));
    }
    let (whole, _torn) = text.trim_end().rsplit_once('\n').unwrap_or(("", ""));
    let note = "its last line was torn off and is left out".to_owned();
    closed(whole).map(|json| (json, vec![note])).ok_or(error)
}

pub(super) fn read(name: &str, json: &Json) -> Result<Recording, String> {
    let text = |key: &str| json.get(key).and_then(Json::text).map(str::to_owned);
    let keys: Vec<&str> = (json
        .get("tune_params_keys")
        .map_or(&[][..], Json::items)
        .iter())
    .filter_map(Json::text)
    .collect();
    let declared = |key: &str| {
        let values = json.get("tune_params").and_then(|p| p.get(key));
        let values = values.map_or(&[][..], Json::items).iter();
        Parameter {
            name: key.to_owned(),
            values: values.filter_map(parameter_value).collect(),
        }
    };
    let mut parameters: Vec<Parameter> = keys.iter().map(|key| declared(key)).collect();
    let entries = json.get("cache").map_or(&[][..], Json::entries);
    let named: Vec<String> = match json.get("objective") {
        Some(Json::Text(name)) => vec![name.clone()],
        Some(Json::List(names)) => names
            .iter()
            .filter_map(Json::text)
            .map(str::to_owned)
            .collect(),
        _ => vec![],
    };
    let has = |name: &str| entries.iter().any(|(_, entry)| entry.get(name).is_some());
    let objective = objective(&named, has)?;
    let mut evaluations: Vec<Evaluation> = Vec::with_capacity(entries.len());
    let mut places: HashMap<&str, usize> = HashMap::new();
    let mut dropped: Vec<&str> = vec![];
    for (key, entry) in entries {
        let found = evaluation(key, entry, &mut parameters, &objective, &mut dropped)?;
        // As in Python, the last entry of a key is meant and stands where the first one stood.
        match places.get(key.as_str()) {
            Some(&at) => evaluations[at] = found,
            None => {
                places.insert(key, evaluations.len());
                evaluations.push(found);
            }
        }
    }
    Ok(Recording {
        name: name.to_owned(),
        format: Format::KernelTuner,
        device: text("device_name"),
        kernel: text("kernel_name"),
        problem: json.get("problem_size").map(Json::to_string),
        parameters,
        objective,
        evaluations,
        left_out: no_numbers(dropped),
    })
}

/// The note on what has no place in a record.
pub(super) fn no_numbers(mut names: Vec<&str>) -> Vec<String> {
    names.sort_unstable();
    names.dedup();
    match &names[..] {
        [] => vec![],
        [one] => vec![format!("{one} is no number and is left out")],
        all => vec![format!(
            "{} are no numbers and are left out",
            all.join(", ")
        )],
    }
}

/// Whether a value is the word for a failure.
pub(super) fn is_error(value: &Json) -> bool {
    let is_word = |word| ERRORS.iter().any(|(error, _)| *error == word);
    value.text().is_some_and(is_word)
}

fn evaluation<'a>(
    key: &str,
    entry: &'a Json,
    parameters: &mut [Parameter],
    objective: &str,
    dropped: &mut Vec<&'a str>,
) -> Result<Evaluation, String> {
    let mut values = vec![];
    for parameter in &mut *parameters {
        let value = entry
            .get(&parameter.name)
            .and_then(parameter_value)
            .ok_or_else(|| {
                format!(
                    "the entry \"{key}\" has no value of the parameter `{}`",
                    parameter.name
                )
            })?;
        values.push((parameter.name.clone(), as_listed(parameter, value)));
    }
    let is_parameter = |name: &str| parameters.iter().any(|p| p.name == name);
    let others = || {
        entry
            .entries()
            .iter()
            .filter(|(name, _)| !is_parameter(name))
    };
    // Before 1.4 the error stood in the objective's place: any value that is one of these words marks a failure.
    let error = others().find_map(|(name, value)| {
        let word = value.text()?;
        let known = ERRORS
            .iter()
            .find(|(error, _)| *error == word)
            .map(|(_, f)| *f);
        known.or((name == "__error__").then_some(Failure::Unknown))
    });
    let value = valid(entry.get(objective).and_then(Json::number)).filter(|_| error.is_none());
    let mut numbers = vec![];
    for (name, value) in others() {
        match (name.as_str(), value.number()) {
            ("times" | "timestamp" | "__error__", _) => {}
            (name, _) if name == objective => {}
            (name, Some(number)) => numbers.push((name.to_owned(), number)),
            (_, None) if is_error(value) => {}
            (name, None) => dropped.push(name),
        }
    }
    let times = entry.get("times").map_or(&[][..], Json::items);
    Ok(Evaluation {
        configuration: Configuration::new(values),
        value,
        failure: match value {
            Some(_) => None,
            None => Some(error.unwrap_or(Failure::Unknown)),
        },
        times: times.iter().filter_map(Json::number).collect(),
        numbers,
        timestamp: entry
            .get("timestamp")
            .and_then(Json::text)
            .map(str::to_owned),
    })
}

/// A closed cache file, byte for byte as Kernel Tuner lays it out. A configuration that was measured in several phases has one
/// entry, with all its samples.
pub(super) fn write(recording: &Recording) -> String {
    let text = |value: &Option<String>| Json::Text(value.clone().unwrap_or_default());
    let names = || recording.parameters.iter().map(|p| p.name.clone());
    let values = |p: &Parameter| Json::List(p.values.iter().map(json_value).collect());
    let tuned = recording
        .parameters
        .iter()
        .map(|p| (p.name.clone(), values(p)));
    let problem = recording.problem.as_ref().and_then(|p| Json::parse(p).ok());
    let header = Json::Map(vec![
        ("device_name".into(), text(&recording.device)),
        ("kernel_name".into(), text(&recording.kernel)),
        (
            "problem_size".into(),
            problem.unwrap_or(Json::Text(String::new())),
        ),
        (
            "tune_params_keys".into(),
            Json::List(names().map(Json::Text).collect()),
        ),
        ("tune_params".into(), Json::Map(tuned.collect())),
        ("objective".into(), Json::Text(recording.objective.clone())),
        ("cache".into(), Json::Map(vec![])),
    ]);
    let mut out = without_indent(&header);
    out.truncate(out.len() - 3);
    for (i, evaluation) in merged(&recording.evaluations).iter().enumerate() {
        let key: Vec<String> = evaluation
            .configuration
            .values()
            .iter()
            .map(|(_, v)| python_text(v))
            .collect();
        let key = Json::Text(key.join(","));
        let comma = if i == 0 { "" } else { "," };
        out.push_str(&format!(
            "{comma}\n{key}: {}",
            entry(evaluation, &recording.objective)
        ));
    }
    out.push_str("}\n}");
    out
}

/// `json.dumps(…, indent="")`: every item on a line of its own.
fn without_indent(json: &Json) -> String {
    let lines = |items: Vec<String>, open: char, close: char| match items.is_empty() {
        true => format!("{open}{close}"),
        false => format!("{open}\n{}\n{close}", items.join(",\n")),
    };
    match json {
        Json::List(items) => lines(items.iter().map(without_indent).collect(), '[', ']'),
        Json::Map(entries) => {
            let pair = |(k, v): &(String, Json)| {
                format!("{}: {}", Json::Text(k.clone()), without_indent(v))
            };
            lines(entries.iter().map(pair).collect(), '{', '}')
        }
        other => other.to_string(),
    }
}

/// `str()` of a value.
fn python_text(value: &Value) -> String {
    match value {
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        Value::Int(value) => value.to_string(),
        Value::Float(value) => python_float(*value),
        Value::Text(text) => text.clone(),
    }
}

fn entry(evaluation: &Evaluation, objective: &str) -> Json {
    let values = evaluation.configuration.values();
    let mut pairs: Vec<(String, Json)> = values
        .iter()
        .map(|(n, v)| (n.clone(), json_value(v)))
        .collect();
    let error = evaluation.failure.map(|failure| {
        let known = ERRORS.iter().find(|(_, f)| *f == failure);
        // It knows no timeout and stops at a wrong answer: both happened when the kernel ran.
        known.map_or("RuntimeFailedConfig", |(error, _)| error)
    });
    // The encoding before 1.4, which readers of both ages understand.
    let value = match (error, evaluation.value) {
        (Some(error), _) => Json::Text(error.into()),
        (None, value) => value.map_or(Json::Null, Json::Float),
    };
    pairs.push((objective.to_owned(), value));
    if !evaluation.times.is_empty() {
        let times = evaluation.times.iter().map(|t| Json::Float(*t));
        pairs.push(("times".into(), Json::List(times.collect())));
    }
    let numbers = evaluation
        .numbers
        .iter()
        .filter(|(name, _)| name != objective);
    pairs.extend(numbers.map(|(name, value)| (name.clone(), Json::Float(*value))));
    let timestamp = evaluation.timestamp.iter().cloned();
    pairs.extend(timestamp.map(|at| ("timestamp".to_owned(), Json::Text(at))));
    Json::Map(pairs)
}

/// A cache has one entry a configuration: samples of the same one are put together, its value is then their mean.
fn merged(evaluations: &[Evaluation]) -> Vec<Evaluation> {
    let mut found: Vec<Evaluation> = vec![];
    let mut places: HashMap<String, usize> = HashMap::new();
    for evaluation in evaluations {
        let key = format!("{:?}", evaluation.configuration.values());
        let Some(&at) = places.get(&key) else {
            places.insert(key, found.len());
            found.push(evaluation.clone());
            continue;
        };
        let known = &mut found[at];
        match (known.value, evaluation.value) {
            (Some(_), Some(_)) if !known.times.is_empty() && !evaluation.times.is_empty() => {
                known.times.extend(&evaluation.times);
                known.value = Some(known.times.iter().sum::<f64>() / known.times.len() as f64);
                for (name, value) in &evaluation.numbers {
                    match known.numbers.iter_mut().find(|(n, _)| n == name) {
                        Some((_, sum)) if name == "benchmark_time" => *sum += value,
                        Some(_) => {}
                        None => known.numbers.push((name.clone(), *value)),
                    }
                }
            }
            (None, Some(_)) => *known = evaluation.clone(),
            _ => {}
        }
    }
    found
}
