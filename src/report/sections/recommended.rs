//! The recommended configuration, to paste.
use crate::record::{Final, Run};
use crate::report::Piece;
use crate::space::Configuration;
use crate::value::Value;

pub(in crate::report) fn section(run: &Run) -> Vec<Piece> {
    if run.finals.is_empty() {
        return vec![];
    }
    let mut pieces = vec![
        Piece::Heading(2, "Recommended configuration".into()),
        Piece::Paragraph("In place of the plan's baseline:".into()),
    ];
    for last in &run.finals {
        if !last.case.is_empty() {
            pieces.push(Piece::Strong(last.case.clone()));
        }
        pieces.push(Piece::Code {
            language: "yaml",
            text: yaml(recommended(last), &last.baseline),
        });
    }
    pieces
}

/// What was confirmed, else the baseline: a gain that fresh blocks do not show is not recommended.
fn recommended(last: &Final) -> &Configuration {
    let is_shown = last
        .confirmation
        .as_ref()
        .and_then(|c| c.interval)
        .is_some_and(|(lower, _)| lower > 1.0);
    if is_shown {
        &last.configuration
    } else {
        &last.baseline
    }
}

fn yaml(configuration: &Configuration, baseline: &Configuration) -> String {
    let lines: Vec<(String, Option<String>)> = configuration
        .values()
        .iter()
        .map(|(name, value)| {
            let old = baseline.get(name).filter(|old| *old != value);
            (
                format!("  {}: {}", text(name), scalar(value)),
                old.map(scalar),
            )
        })
        .collect();
    let widest = lines
        .iter()
        .filter(|(_, old)| old.is_some())
        .map(|(line, _)| line.chars().count())
        .max()
        .unwrap_or(0);
    let mut out = String::from("baseline:\n");
    for (line, old) in lines {
        match old {
            Some(old) => {
                let gap = " ".repeat(widest - line.chars().count());
                out.push_str(&format!("{line}{gap}  # was {old}\n"));
            }
            None => out.push_str(&format!("{line}\n")),
        }
    }
    out
}

/// YAML that reads back as the same value.
fn scalar(value: &Value) -> String {
    match value {
        Value::Text(words) => text(words),
        // Without a point it would read back as an integer.
        Value::Float(f) if f.fract() == 0.0 && f.abs() < 1e15 => format!("{f:.1}"),
        other => other.to_string(),
    }
}

fn text(words: &str) -> String {
    const NOT_TEXT: [&str; 12] = [
        "true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan", "inf", "infinity",
    ];
    let is_plain = words.starts_with(|c: char| c.is_ascii_alphabetic())
        && words
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c))
        && !NOT_TEXT.contains(&words.to_lowercase().as_str());
    match is_plain {
        true => words.to_owned(),
        // JSON's strings are YAML's.
        false => serde_json::to_string(words).expect("text is JSON"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_pasted_reads_back_as_the_same_value() {
        let values = [
            Value::Text("f16".into()),
            Value::Text("yes".into()),
            Value::Text("64M # x".into()),
            Value::Text("1".into()),
            Value::Float(2.0),
            Value::Int(-3),
            Value::Bool(true),
            Value::Text("a\nb: \"c\"".into()),
        ];
        let named: Vec<(String, Value)> = values
            .into_iter()
            .enumerate()
            .map(|(i, v)| (format!("p{i}"), v))
            .collect();
        let text = yaml(
            &Configuration::new(named.clone()),
            &Configuration::default(),
        );
        let read: std::collections::BTreeMap<String, std::collections::BTreeMap<String, Value>> =
            serde_yaml::from_str(&text).expect("valid YAML");
        for (name, value) in named {
            assert_eq!(read["baseline"][&name], value, "{text}");
        }
    }
}
