//! The recommended configuration, to paste.
use crate::record::Run;
use crate::report::Piece;
use crate::value::Value;

pub(in crate::report) fn section(run: &Run) -> Vec<Piece> {
    if run.finals.is_empty() {
        return vec![];
    }
    let mut pieces = vec![Piece::Heading(2, "Recommended configuration".into())];
    for last in &run.finals {
        if !last.case.is_empty() {
            pieces.push(Piece::Paragraph(last.case.clone()));
        }
        let mut text = String::from("baseline:\n");
        for (name, value) in last.configuration.values() {
            let old = last.baseline.get(name).filter(|old| *old != value);
            let note = old.map_or_else(String::new, |old| format!("    # was {}", scalar(old)));
            text.push_str(&format!("  {name}: {}{note}\n", scalar(value)));
        }
        pieces.push(Piece::Code {
            language: "yaml",
            text,
        });
    }
    pieces
}

/// YAML that reads back as the same value.
pub(in crate::report) fn scalar(value: &Value) -> String {
    match value {
        Value::Text(text) => {
            let is_plain = text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
                && text.starts_with(|c: char| c.is_ascii_alphabetic())
                && !["true", "false", "null", "yes", "no", "on", "off"]
                    .contains(&text.to_lowercase().as_str());
            if is_plain {
                text.clone()
            } else {
                serde_json::to_string(text).unwrap_or_default()
            }
        }
        other => other.to_string(),
    }
}
