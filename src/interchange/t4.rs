//! T4, the results format of the autotuning community (schema 1.0.0), as Kernel Tuner 1.5.0 and benchmark_hub write it.
use super::json::Json;
use super::kernel_tuner::{is_error, no_numbers};
use super::{
    Evaluation, Failure, Format, Recording, as_listed, json_value, objective, parameter_value,
    valid,
};
use crate::space::{Configuration, Parameter};

/// T4's names of times, ours (Kernel Tuner's), and other spellings that are read.
const TIMES: [(&str, &str, &[&str]); 5] = [
    ("compilation_time", "compile_time", &["compilation"]),
    ("benchmark", "benchmark_time", &[]),
    ("framework", "framework_time", &[]),
    ("search_algorithm", "strategy_time", &[]),
    ("validation", "verification_time", &[]),
];

pub(super) fn read(name: &str, json: &Json) -> Result<Recording, String> {
    let results = items(json, "results");
    let unit = json
        .get("metadata")
        .and_then(|m| m.get("timeunit"))
        .and_then(Json::text);
    let scale = in_milliseconds(unit.unwrap_or("milliseconds"))?;
    let measured = |result: &Json, name: &str| {
        let all = items(result, "measurements");
        let one = all
            .iter()
            .find(|m| m.get("name").and_then(Json::text) == Some(name));
        one.and_then(|m| m.get("value")).cloned()
    };
    let mut named: Vec<String> = vec![];
    for objective in results
        .iter()
        .flat_map(|r| r.get("objectives").map_or(&[][..], Json::items))
    {
        if let Some(text) = objective.text().filter(|t| !named.iter().any(|n| n == t)) {
            named.push(text.to_owned());
        }
    }
    let has = |name: &str| results.iter().any(|r| measured(r, name).is_some());
    // Runtimes without a measurement of their own are a time as well.
    let has_runtimes = results.iter().any(|r| runtimes(r, scale).next().is_some());
    let objective = objective(&named, has).or_else(|error| match has_runtimes {
        true => Ok("time".to_owned()),
        false => Err(error),
    })?;
    let is_time = objective.starts_with("time");
    let mut parameters: Vec<Parameter> = vec![];
    let mut evaluations = Vec::with_capacity(results.len());
    for (i, result) in results.iter().enumerate() {
        let configuration = configuration(i, result, &mut parameters)?;
        let invalidity = result
            .get("invalidity")
            .and_then(Json::text)
            .unwrap_or("correct");
        let failure = match invalidity {
            "correct" => None,
            word => Some(
                Failure::ALL
                    .into_iter()
                    .find(|f| f.word() == word)
                    .unwrap_or(Failure::Unknown),
            ),
        };
        let times: Vec<f64> = runtimes(result, scale).collect();
        let mean = (!times.is_empty()).then(|| times.iter().sum::<f64>() / times.len() as f64);
        let factor = if is_time { scale } else { 1.0 };
        let value = measured(result, &objective)
            .and_then(|v| v.number())
            .map(|v| v * factor);
        let value = valid(value.or(mean.filter(|_| is_time))).filter(|_| failure.is_none());
        evaluations.push(Evaluation {
            configuration,
            value,
            failure: match value {
                Some(_) => None,
                None => Some(failure.unwrap_or(Failure::Unknown)),
            },
            times,
            numbers: numbers(result, scale, &objective, value.is_none()),
            timestamp: result
                .get("timestamp")
                .and_then(Json::text)
                .map(str::to_owned),
        });
    }
    for parameter in &mut parameters {
        sort(parameter);
    }
    Ok(Recording {
        name: name.to_owned(),
        format: Format::T4,
        device: None,
        kernel: None,
        problem: None,
        parameters,
        objective,
        evaluations,
        left_out: no_numbers(dropped(results)),
    })
}

fn items<'a>(json: &'a Json, key: &str) -> &'a [Json] {
    json.get(key).map_or(&[][..], Json::items)
}

/// Names of measurements that are neither numbers nor failures.
fn dropped(results: &[Json]) -> Vec<&str> {
    let all = results.iter().flat_map(|r| items(r, "measurements"));
    let others = all.filter(|m| {
        let value = m.get("value");
        value.is_some_and(|v| v.number().is_none() && !is_error(v))
    });
    others
        .filter_map(|m| m.get("name").and_then(Json::text))
        .collect()
}

fn in_milliseconds(unit: &str) -> Result<f64, String> {
    match unit {
        // benchmark_hub writes one l.
        "milliseconds" | "miliseconds" => Ok(1.0),
        "seconds" => Ok(1e3),
        "microseconds" => Ok(1e-3),
        "nanoseconds" => Ok(1e-6),
        other => Err(format!(
            "its times are in `{other}`; known are seconds, milliseconds, microseconds and nanoseconds"
        )),
    }
}

fn runtimes(result: &Json, scale: f64) -> impl Iterator<Item = f64> + '_ {
    let list = result.get("times").and_then(|t| t.get("runtimes"));
    let items = list.map_or(&[][..], Json::items).iter();
    items.filter_map(Json::number).map(move |t| t * scale)
}

fn configuration(
    number: usize,
    result: &Json,
    parameters: &mut Vec<Parameter>,
) -> Result<Configuration, String> {
    let written = result.get("configuration").map_or(&[][..], Json::entries);
    if number == 0 {
        let of = |(name, _): &(String, Json)| Parameter {
            name: name.clone(),
            values: vec![],
        };
        parameters.extend(written.iter().map(of));
    }
    let mut values = vec![];
    for parameter in &mut *parameters {
        let value = result
            .get("configuration")
            .and_then(|c| c.get(&parameter.name));
        let value = value.and_then(parameter_value).ok_or_else(|| {
            format!(
                "result {} has no value of the parameter `{}`",
                number + 1,
                parameter.name
            )
        })?;
        values.push((parameter.name.clone(), as_listed(parameter, value)));
    }
    if let Some((name, _)) = written
        .iter()
        .find(|(n, _)| parameters.iter().all(|p| p.name != *n))
    {
        return Err(format!(
            "result {} has a parameter `{name}` that the first has not",
            number + 1
        ));
    }
    Ok(Configuration::new(values))
}

/// T4 does not say which values there are: those that occur, numbers in their order.
pub(super) fn sort(parameter: &mut Parameter) {
    use crate::value::Value;
    let number = |v: &Value| match v {
        Value::Int(i) => Some(*i as f64),
        Value::Float(f) => Some(*f),
        Value::Bool(b) => Some(f64::from(*b)),
        Value::Text(_) => None,
    };
    if parameter.values.iter().all(|v| number(v).is_some()) {
        parameter.values.sort_by(|a, b| {
            number(a)
                .unwrap_or(0.0)
                .total_cmp(&number(b).unwrap_or(0.0))
        });
    }
}

fn numbers(result: &Json, scale: f64, objective: &str, is_failed: bool) -> Vec<(String, f64)> {
    let mut found = vec![];
    for (own, ours, others) in TIMES {
        let mut names = std::iter::once(&own).chain(others);
        let time = names.find_map(|name| result.get("times")?.get(name)?.number());
        found.extend(time.map(|t| (ours.to_owned(), t * scale)));
    }
    for measurement in items(result, "measurements") {
        let name = measurement.get("name").and_then(Json::text);
        // What a wrong answer took is no value, but a number.
        let name = name.filter(|name| *name != objective || is_failed);
        let value = measurement.get("value").and_then(Json::number);
        found.extend(
            name.zip(value)
                .map(|(name, value)| (name.to_owned(), value)),
        );
    }
    found
}

pub(super) fn write(recording: &Recording) -> String {
    let mut out = String::from(
        "{\"schema_version\": \"1.0.0\", \"metadata\": {\"timeunit\": \"milliseconds\"}, \"results\": [",
    );
    for (i, evaluation) in recording.evaluations.iter().enumerate() {
        out.push_str(if i == 0 { "\n" } else { ",\n" });
        out.push_str(&result(evaluation, &recording.objective).to_string());
    }
    out.push_str("\n]}");
    out
}

fn result(evaluation: &Evaluation, objective: &str) -> Json {
    let mut pairs: Vec<(String, Json)> = vec![];
    let mut add = |key: &str, value: Json| pairs.push((key.to_owned(), value));
    if let Some(at) = &evaluation.timestamp {
        add("timestamp", Json::Text(at.clone()));
    }
    let values = evaluation.configuration.values().iter();
    add(
        "configuration",
        Json::Map(values.map(|(n, v)| (n.clone(), json_value(v))).collect()),
    );
    let mut times: Vec<(String, Json)> = TIMES
        .iter()
        .filter_map(|(own, ours, _)| {
            Some(((*own).to_owned(), Json::Float(evaluation.number(ours)?)))
        })
        .collect();
    if !evaluation.times.is_empty() {
        let list = evaluation.times.iter().map(|t| Json::Float(*t)).collect();
        times.push(("runtimes".into(), Json::List(list)));
    }
    add("times", Json::Map(times));
    add(
        "invalidity",
        Json::Text(
            evaluation
                .failure
                .map_or("correct", Failure::schema_word)
                .into(),
        ),
    );
    let is_correct = evaluation.failure.is_none();
    add("correctness", Json::Int(i64::from(is_correct)));
    let is_time = |name: &str| TIMES.iter().any(|(_, ours, _)| *ours == name);
    let own = evaluation.value.map(|v| (objective, v));
    let others = evaluation.numbers.iter().map(|(n, v)| (n.as_str(), *v));
    let measured = own.into_iter().chain(others.filter(|(n, _)| !is_time(n)));
    add(
        "measurements",
        Json::List(measured.map(|(n, v)| measurement(n, v)).collect()),
    );
    add("objectives", Json::List(vec![Json::Text(objective.into())]));
    Json::Map(pairs)
}

impl Failure {
    /// The schema has no word for what nobody knows.
    fn schema_word(self) -> &'static str {
        match self {
            Failure::Unknown => Failure::Runtime.word(),
            other => other.word(),
        }
    }
}

fn measurement(name: &str, value: f64) -> Json {
    let unit = match name {
        // As Kernel Tuner does (file_utils.py).
        name if name.starts_with("time") => "ms",
        name if name.ends_with("_bytes") => "bytes",
        _ => "",
    };
    Json::Map(vec![
        ("name".into(), Json::Text(name.into())),
        ("value".into(), Json::Float(value)),
        ("unit".into(), Json::Text(unit.into())),
    ])
}
