//! CSV (quoted as in RFC 4180) for spreadsheets and data frames: a row an evaluation, its samples in one field.
use super::Recording;
use super::json::python_float;

/// One header line, then the evaluations in their order. Times are milliseconds.
pub fn csv(recording: &Recording) -> String {
    let mut names: Vec<&str> = vec![];
    for (name, _) in recording.evaluations.iter().flat_map(|e| &e.numbers) {
        if *name != recording.objective && !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    let parameters = recording.parameters.iter().map(|p| p.name.clone());
    let own = [
        recording.objective.clone(),
        "invalidity".into(),
        "times".into(),
    ];
    let others = names.iter().map(|n| (*n).to_owned());
    let header = parameters
        .chain(own)
        .chain(others)
        .chain(["timestamp".to_owned()]);
    let mut out = line(header);
    let number = |value: f64| {
        if value.is_finite() {
            python_float(value)
        } else {
            value.to_string()
        }
    };
    for evaluation in &recording.evaluations {
        let times: Vec<String> = evaluation.times.iter().map(|t| number(*t)).collect();
        let values = evaluation
            .configuration
            .values()
            .iter()
            .map(|(_, v)| v.to_string());
        let own = [
            evaluation.value.map_or_else(String::new, number),
            evaluation
                .failure
                .map_or("correct", |f| f.word())
                .to_owned(),
            times.join(" "),
        ];
        let others = names
            .iter()
            .map(|n| evaluation.number(n).map_or_else(String::new, number));
        let at = evaluation.timestamp.clone().unwrap_or_default();
        out.push_str(&line(values.chain(own).chain(others).chain([at])));
    }
    out
}

fn line(fields: impl Iterator<Item = String>) -> String {
    let quoted = |field: String| match field.contains(['"', ',', '\n', '\r']) {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field,
    };
    let fields: Vec<String> = fields.map(quoted).collect();
    format!("{}\n", fields.join(","))
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn fields_that_would_break_a_line_are_quoted() {
        let fields = ["a", "b,c", "d \"e\"", ""].map(str::to_owned);
        assert_eq!(line(fields.into_iter()), "a,\"b,c\",\"d \"\"e\"\"\",\n");
    }
}
