//! T1, the autotuning community's input format (schema 1.0.0): a space, a kernel and a budget become a plan.
use super::json::Json;
use super::{as_listed, json_value, parameter_value, python_list};
use crate::plan::ELEMENTS;
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
    kernel: Json,
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
        .cloned()
        .unwrap_or(Json::Null);
    section(&kernel, "", &mut left_out);
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
        kernel,
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

    /// A plan that searches the space. `name` names its folders; `file` is where the definition stood, `folder` leads there from
    /// the plan: `../`.
    pub fn plan(&self, name: &str, file: &str, folder: &str) -> String {
        let title = self.name.as_deref().unwrap_or(name);
        let mut out = format!(
            "# Made by `phasetune import` from {} (T1).\nname: {name}\ntitle: {}\nworkload:\n  kernel:\n",
            file.replace('\n', " "),
            Json::Text(title.to_owned())
        );
        out.push_str(&section(&self.kernel, folder, &mut vec![]));
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

/// The kernel as a plan's section, four spaces deep. `folder` leads from the plan to the definition's files; what cannot be taken
/// over is told.
fn section(kernel: &Json, folder: &str, left_out: &mut Vec<String>) -> String {
    let quoted = |text: String| Json::Text(text).to_string();
    let named = |key: &str| kernel.get(key).and_then(Json::text);
    let mut out = String::new();
    let mut line = |key: &str, value: String| out.push_str(&format!("    {key}: {value}\n"));
    line(
        "entry",
        quoted(named("KernelName").unwrap_or("kernel").into()),
    );
    let file = named("KernelFile").unwrap_or("kernel.cu");
    line("cuda", quoted(format!("{folder}{file}")));
    let language = named("Language").unwrap_or("CUDA");
    if language != "CUDA" {
        left_out.push(format!(
            "its kernel is in {language}, which cannot be run: port {file} to CUDA or WGSL, and name it in the plan"
        ));
    }
    let options = items(kernel, "CompilerOptions");
    if !options.is_empty() {
        line("options", Json::List(options.to_vec()).to_string());
    }
    let block = axes(kernel.get("LocalSize"));
    // Work items in all, as OpenCL counts them, or groups.
    let in_items = named("GlobalSizeType").unwrap_or(language) == "OpenCL";
    let mut grid = axes(kernel.get("GlobalSize"));
    if in_items {
        for (groups, threads) in grid
            .iter_mut()
            .zip(block.iter().map(String::as_str).chain(["1", "1", "1"]))
        {
            *groups = format!("({groups}) // ({threads})");
        }
    }
    let list =
        |axes: &[String]| Json::List(axes.iter().cloned().map(Json::Text).collect()).to_string();
    line("block", list(&block));
    line("grid", list(&grid));
    out.push_str("    arguments:\n");
    for (i, written) in items(kernel, "Arguments").iter().enumerate() {
        match argument(written) {
            Ok((name, text)) => out.push_str(&format!("      {}: {text}\n", quoted(name))),
            Err(why) => left_out.push(format!("KernelSpecification.Arguments[{i}]: {why}")),
        }
    }
    if !items(kernel, "ReferenceArguments").is_empty() {
        left_out.push(
            "its reference arguments: outputs are compared with those of the first configuration; \
             accuracy: {against: {file: ref.npy}} compares with a file"
                .into(),
        );
    }
    out
}

/// X, Y, Z as expressions, without axes of 1 at the end.
fn axes(written: Option<&Json>) -> Vec<String> {
    let axis = |key: &str| match written.and_then(|w| w.get(key)) {
        Some(Json::Text(text)) => text.clone(),
        Some(Json::Null) | None => "1".into(),
        Some(other) => other.to_string(),
    };
    let mut axes = ["X", "Y", "Z"].map(axis).to_vec();
    while axes.len() > 1 && axes.last().is_some_and(|axis| axis == "1") {
        axes.pop();
    }
    axes
}

/// An argument's name, and what a plan says of it.
fn argument(written: &Json) -> Result<(String, String), String> {
    let named = |key: &str| written.get(key).and_then(Json::text);
    let name = named("Name").ok_or("it has no Name")?;
    let kind = named("Type").unwrap_or_default();
    // `float4` is four floats.
    let base = kind.trim_end_matches(|c: char| c.is_ascii_digit());
    let (element, lanes) = match kind {
        "bool" => ("u8", ""),
        "int8" | "int16" | "int32" | "int64" | "uint8" | "uint16" | "uint32" | "uint64" => {
            let element = ELEMENTS
                .iter()
                .find(|e| kind.replace("uint", "u").replace("int", "i") == **e);
            (*element.ok_or("an unknown type")?, "")
        }
        _ => match base {
            "half" => ("f16", &kind[4..]),
            "float" => ("f32", &kind[5..]),
            "double" => ("f64", &kind[6..]),
            _ => {
                return Err(format!(
                    "`{name}` has the type `{kind}`, which cannot be filled here"
                ));
            }
        },
    };
    let value = written.get("FillValue").filter(|v| **v != Json::Null);
    let number = |default: &str| value.map_or_else(|| default.to_owned(), Json::to_string);
    let memory = named("MemoryType").unwrap_or("Vector");
    if memory == "Scalar" {
        return Ok((
            name.into(),
            format!("{{type: {element}, value: {}}}", number("0")),
        ));
    }
    if memory == "Local" {
        return Err(format!(
            "`{name}` is local memory: write `shared_memory:` instead"
        ));
    }
    let size = match written.get("Size") {
        Some(Json::Text(text)) => Json::Text(text.clone()).to_string(),
        Some(size) => size.to_string(),
        None => "1".into(),
    };
    let lanes = if lanes.is_empty() {
        String::new()
    } else {
        format!(", {lanes}")
    };
    let mut text = format!("{{type: {element}, shape: [{size}{lanes}]");
    match named("FillType") {
        Some("Constant") => text.push_str(&format!(", fill: {{constant: {}}}", number("0"))),
        Some("Random") => text.push_str(&format!(", fill: {{uniform: [0, {}]}}", number("1"))),
        None => {}
        Some(other) => {
            return Err(format!(
                "`{name}` is filled by `{other}`: write the array as .npy, and `fill: {{file: x.npy}}`"
            ));
        }
    }
    if let Some(seed) = written.get("RandomSeed").and_then(Json::number) {
        text.push_str(&format!(", seed: {seed}"));
    }
    if memory == "Symbol" {
        text.push_str(", memory: constant");
    }
    if matches!(named("AccessType"), Some("WriteOnly" | "ReadWrite")) {
        text.push_str(", output: true");
    }
    text.push('}');
    Ok((name.into(), text))
}
