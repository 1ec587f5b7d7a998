//! T1, the autotuning community's input format (schema 1.0.0): a space, a kernel and a budget become a plan.
use super::json::Json;
use super::{as_listed, json_value, parameter_value, python_list};
use crate::search::STRATEGIES;
use crate::space::{Parameter, Restriction, Space};
use crate::value::Value;

/// What a T1 file asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    /// Of the benchmark, or of the kernel.
    pub name: Option<String>,
    pub parameters: Vec<Parameter>,
    /// One value a parameter: the file's default, else the first.
    pub baseline: Vec<Value>,
    /// As written; they have been parsed and type-checked.
    pub restrictions: Vec<String>,
    /// Configurations that satisfy the restrictions; absent where they are too many to count.
    pub count: Option<u64>,
    /// What stands in the file and not in the plan, in sentences.
    pub left_out: Vec<String>,
    kernel: Vec<(String, Json)>,
    strategy: Option<&'static str>,
    evaluations: Option<u64>,
    seconds: Option<f64>,
}

pub(super) fn read(json: &Json) -> Result<Definition, String> {
    let space = json.get("ConfigurationSpace").unwrap_or(&Json::Null);
    let mut left_out = vec![];
    let (mut parameters, mut baseline) = (vec![], vec![]);
    for (i, written) in items(space, "TuningParameters").iter().enumerate() {
        let place = format!("ConfigurationSpace.TuningParameters[{i}]");
        let (parameter, default) =
            parameter(written, &mut left_out).map_err(|e| format!("{place}: {e}"))?;
        parameters.push(parameter);
        baseline.push(default);
    }
    if parameters.is_empty() {
        return Err("ConfigurationSpace.TuningParameters: there are none".into());
    }
    let (mut restrictions, mut parsed) = (vec![], vec![]);
    for (i, condition) in items(space, "Conditions").iter().enumerate() {
        let place = format!("ConfigurationSpace.Conditions[{i}]");
        let text = condition.get("Expression").and_then(Json::text);
        let text = text.ok_or_else(|| format!("{place}: it has no Expression"))?;
        // Which parameters it reads is in the expression; the list beside it omits some in published files.
        parsed.push(Restriction::parse(text, &parameters).map_err(|e| {
            let help = e.help.map_or_else(String::new, |help| format!("; {help}"));
            format!(
                "{place}: `{text}`: {} at character {}{help}",
                e.message,
                e.start + 1
            )
        })?);
        restrictions.push(text.to_owned());
    }
    let count = Space::new(parameters.clone(), parsed)
        .map_err(|e| e.message)?
        .count();
    let kernel = json
        .get("KernelSpecification")
        .map_or(&[][..], Json::entries);
    let named = |key: &str, of: Option<&Json>| {
        of.and_then(|o| o.get(key))
            .and_then(Json::text)
            .map(str::to_owned)
    };
    let name = named("BenchmarkName", json.get("General"))
        .or_else(|| named("BenchmarkName", json.get("KernelSpecification")))
        .or_else(|| named("KernelName", json.get("KernelSpecification")));
    let mut found = Definition {
        name,
        parameters,
        baseline,
        restrictions,
        count,
        left_out,
        kernel: kernel.to_vec(),
        strategy: None,
        evaluations: None,
        seconds: None,
    };
    found.budget(items(json, "Budget"));
    if let Some(name) = named("Name", json.get("Search")) {
        found.strategy = STRATEGIES.iter().map(|s| s.name).find(|s| *s == name);
        if found.strategy.is_none() {
            found.left_out.push(format!("its search strategy `{name}` is none of phasetune's: the plan leaves the choice open"));
        }
    }
    Ok(found)
}

fn items<'a>(json: &'a Json, key: &str) -> &'a [Json] {
    json.get(key).map_or(&[][..], Json::items)
}

fn parameter(written: &Json, left_out: &mut Vec<String>) -> Result<(Parameter, Value), String> {
    let name = written
        .get("Name")
        .and_then(Json::text)
        .ok_or("it has no Name")?;
    let kind = written.get("Type").and_then(Json::text).unwrap_or_default();
    let values = match written.get("Values") {
        Some(Json::Text(text)) => python_list::parse(text)?,
        Some(Json::List(items)) => items.iter().filter_map(parameter_value).collect(),
        _ => return Err(format!("`{name}` has no Values")),
    };
    let values: Vec<Value> = values.into_iter().map(|value| typed(value, kind)).collect();
    let mut parameter = Parameter {
        name: name.to_owned(),
        values: vec![],
    };
    for value in values {
        as_listed(&mut parameter, value);
    }
    let first = parameter.values.first().cloned();
    let first = first.ok_or_else(|| format!("`{name}` has no values"))?;
    let default = written
        .get("Default")
        .and_then(parameter_value)
        .map(|value| typed(value, kind));
    let default = match default {
        None => first,
        Some(default) if parameter.values.contains(&default) => default,
        Some(default) => {
            left_out.push(format!(
                "the default {default} of `{name}` is none of its values: the baseline has {first}"
            ));
            first
        }
    };
    Ok((parameter, default))
}

/// `1` of a parameter of type float is 1.0, `0` of one of type bool is false.
fn typed(value: Value, kind: &str) -> Value {
    match (kind, value) {
        ("float", Value::Int(i)) => Value::Float(i as f64),
        ("bool", Value::Int(i)) => Value::Bool(i != 0),
        (_, value) => value,
    }
}

impl Definition {
    fn budget(&mut self, budgets: &[Json]) {
        for budget in budgets {
            let value = budget
                .get("BudgetValue")
                .and_then(Json::number)
                .unwrap_or(0.0);
            match budget.get("Type").and_then(Json::text) {
                Some("ConfigurationCount") => self.evaluations = Some(value as u64),
                Some("TuningDuration") => self.seconds = Some(value),
                Some("ConfigurationFraction") => {
                    self.evaluations = self.count.map(|n| (value * n as f64).ceil() as u64);
                }
                other => {
                    let name = other.unwrap_or("without a type");
                    self.left_out.push(format!("the budget {name} is unknown"));
                }
            }
        }
    }

    /// The size of the space without its restrictions.
    pub fn cartesian(&self) -> f64 {
        self.parameters
            .iter()
            .map(|p| p.values.len() as f64)
            .product()
    }

    /// A plan that searches the space. `name` names its folders; `file` is where the definition stood.
    pub fn plan(&self, name: &str, file: &str) -> String {
        let title = self.name.as_deref().unwrap_or(name);
        let mut out = format!(
            "# Made by `phasetune import` from {} (T1).\nname: {name}\ntitle: {}\nworkload:\n  kernel:\n",
            file.replace('\n', " "),
            Json::Text(title.to_owned())
        );
        for (key, value) in self.kernel.iter().filter(|(_, v)| *v != Json::Null) {
            out.push_str(&format!("    {}: {}\n", kernel_key(key), lowered(value)));
        }
        let pairs = self.parameters.iter().zip(&self.baseline);
        let baseline = pairs
            .map(|(p, v)| (p.name.clone(), json_value(v)))
            .collect();
        out.push_str(&format!("baseline: {}\n", Json::Map(baseline)));
        out.push_str("phases:\n  - phase: search\n    kind: tiling\n    search:\n");
        if let Some(strategy) = self.strategy {
            out.push_str(&format!("      strategy: {strategy}\n"));
        }
        out.push_str("      parameters:\n");
        for parameter in &self.parameters {
            let values = Json::List(parameter.values.iter().map(json_value).collect());
            out.push_str(&format!(
                "        {}: {values}\n",
                Json::Text(parameter.name.clone())
            ));
        }
        if !self.restrictions.is_empty() {
            out.push_str("      restrictions:\n");
        }
        for restriction in &self.restrictions {
            out.push_str(&format!("        - {}\n", Json::Text(restriction.clone())));
        }
        let evaluations = self.evaluations.map(|n| format!("evaluations: {n}"));
        let time = self.seconds.map(|s| format!("time: {s}s"));
        let budget: Vec<String> = evaluations.into_iter().chain(time).collect();
        if !budget.is_empty() {
            out.push_str(&format!("      budget: {{{}}}\n", budget.join(", ")));
        }
        out
    }
}

/// T1's key as a plan would write it: `LocalSize` is the block, `GlobalSize` the grid.
fn kernel_key(key: &str) -> String {
    match key {
        "KernelName" => "name".into(),
        "KernelFile" => "file".into(),
        "LocalSize" => "block".into(),
        "GlobalSize" => "grid".into(),
        "GlobalSizeType" => "grid_type".into(),
        "CompilerOptions" => "options".into(),
        other => snake(other),
    }
}

/// `FillType` → `fill_type`.
fn snake(key: &str) -> String {
    let mut out = String::new();
    let mut was_small = false;
    for c in key.chars() {
        if c.is_uppercase() && was_small {
            out.push('_');
        }
        was_small = c.is_lowercase() || c.is_ascii_digit();
        out.extend(c.to_lowercase());
    }
    out
}

/// The value with its keys in the plan's spelling.
fn lowered(json: &Json) -> Json {
    match json {
        Json::Map(entries) => Json::Map(
            entries
                .iter()
                .map(|(k, v)| (snake(k), lowered(v)))
                .collect(),
        ),
        Json::List(items) => Json::List(items.iter().map(lowered).collect()),
        other => other.clone(),
    }
}
