//! The recommended configuration, to paste.
use crate::record::Run;
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
    for last in run.finals.iter().filter(|last| last.absent.is_none()) {
        if !last.case.is_empty() {
            pieces.push(Piece::Strong(last.case.clone()));
        }
        pieces.push(Piece::Code {
            language: "yaml",
            text: yaml(last.recommended(), &last.baseline),
        });
    }
    pieces
}

/// A configuration as the `baseline:` of a plan, what differs from the old one noted.
pub fn yaml(configuration: &Configuration, baseline: &Configuration) -> String {
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
        // With a point or an exponent, or it would read back as an integer.
        Value::Float(f) => format!("{f:?}"),
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
        false => quoted(words),
    }
}

/// YAML's strings are JSON's, but for characters that it does not print (YAML 1.2.2 §5.1), and marks that turn the text.
fn quoted(words: &str) -> String {
    let json = serde_json::to_string(words).expect("text is JSON");
    let mut out = String::new();
    for c in json.chars() {
        match c {
            '\u{7f}'..='\u{9f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
            | '\u{feff}'
            | '\u{fffe}'..='\u{ffff}' => {
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn read_back(values: Vec<Value>) -> Vec<(Value, Value)> {
        let named = values.into_iter().enumerate();
        let named: Vec<(String, Value)> = named.map(|(i, v)| (format!("p{i}"), v)).collect();
        let text = yaml(
            &Configuration::new(named.clone()),
            &Configuration::default(),
        );
        let mut read: BTreeMap<String, BTreeMap<String, Value>> =
            serde_yaml::from_str(&text).expect("valid YAML");
        let mut read = read.remove("baseline").unwrap_or_default();
        let pair =
            |(name, value): (String, Value)| (read.remove(&name).expect("it is there"), value);
        named.into_iter().map(pair).collect()
    }

    #[test]
    fn what_is_pasted_reads_back_as_the_same_value() {
        let text = |t: &str| Value::Text(t.into());
        let values = vec![
            text("f16"),
            text("yes"),
            text("64M # x"),
            text("1"),
            text("a\nb: \"c\""),
            text("\u{7}\u{9b}\u{202e}\u{feff}"),
            Value::Float(2.0),
            Value::Float(1e20),
            Value::Float(-5e-324),
            Value::Int(-3),
            Value::Bool(true),
        ];
        for (read, written) in read_back(values) {
            assert_eq!(read, written);
        }
    }

    proptest! {
        #[test]
        fn any_text_and_any_number_read_back(texts in prop::collection::vec(any::<String>(), 1..5), real in any::<f64>(), whole in any::<i64>()) {
            let mut values: Vec<Value> = texts.into_iter().map(Value::Text).collect();
            values.push(Value::Int(whole));
            if real.is_finite() {
                values.push(Value::Float(real));
            }
            for (read, written) in read_back(values) {
                prop_assert_eq!(read, written);
            }
        }
    }
}
