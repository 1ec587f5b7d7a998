//! Reads typed values out of the tree and collects every finding on the way, so that a plan is reported whole.
use super::tree::{Kind, Node};
use crate::diagnostic::{Diagnostic, Origin};
use crate::space::nearest;
use crate::value::Value;

/// Everything that is wrong so far.
#[derive(Debug, Default)]
pub(super) struct Findings(pub(super) Vec<Diagnostic>);

impl Findings {
    pub(super) fn add(
        &mut self,
        origin: &Origin,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let help = Some(help.into()).filter(|h| !h.is_empty());
        self.0.push(Diagnostic {
            message: message.into(),
            origin: origin.clone(),
            help,
        });
    }

    /// `what` is misspelt or unknown: names what there is, the nearest first.
    pub(super) fn unknown(&mut self, origin: &Origin, what: &str, written: &str, names: &[&str]) {
        let there = if names.is_empty() {
            "there are none".to_owned()
        } else {
            format!("there is {}", names.join(", "))
        };
        let help = match nearest(written, names) {
            Some(near) => format!("did you mean `{near}`? ({there})"),
            None => there,
        };
        self.add(origin, format!("unknown {what} `{written}`"), help);
    }
}

/// The entries of a mapping; each is taken once, what is left over is unknown.
pub(super) struct Fields<'a> {
    pub(super) origin: Origin,
    entries: Vec<&'a (String, Origin, Node)>,
}

impl<'a> Fields<'a> {
    /// Checks the keys against `known` and reports the others.
    pub(super) fn of(
        node: &'a Node,
        what: &str,
        known: &[&str],
        findings: &mut Findings,
    ) -> Fields<'a> {
        let mut entries = vec![];
        match &node.kind {
            Kind::Map(all) => {
                for entry in all {
                    if known.contains(&entry.0.as_str()) {
                        entries.push(entry);
                    } else {
                        findings.unknown(&entry.1, &format!("key in {what}"), &entry.0, known);
                    }
                }
            }
            other => findings.add(
                &node.origin,
                format!("{what} must be a mapping, this is {}", other.noun()),
                format!("its keys are {}", known.join(", ")),
            ),
        }
        Fields {
            origin: node.origin.clone(),
            entries,
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<&'a Node> {
        self.entries.iter().find(|e| e.0 == key).map(|e| &e.2)
    }

    pub(super) fn key_origin(&self, key: &str) -> Option<&'a Origin> {
        self.entries.iter().find(|e| e.0 == key).map(|e| &e.1)
    }

    /// A text, or nothing.
    pub(super) fn text(&self, key: &str, findings: &mut Findings) -> Option<String> {
        self.get(key).and_then(|node| text(node, key, findings))
    }

    pub(super) fn flag(&self, key: &str, findings: &mut Findings) -> Option<bool> {
        let node = self.get(key)?;
        match node.kind {
            Kind::Bool(flag) => Some(flag),
            ref other => {
                findings.add(
                    &node.origin,
                    format!("`{key}` must be true or false, this is {}", other.noun()),
                    "",
                );
                None
            }
        }
    }

    pub(super) fn whole(
        &self,
        key: &str,
        range: std::ops::RangeInclusive<i64>,
        findings: &mut Findings,
    ) -> Option<i64> {
        let node = self.get(key)?;
        match node.kind {
            Kind::Int(n) if range.contains(&n) => Some(n),
            _ => {
                findings.add(
                    &node.origin,
                    format!(
                        "`{key}` must be a whole number from {} to {}",
                        range.start(),
                        range.end()
                    ),
                    "",
                );
                None
            }
        }
    }

    /// A number or a text with a unit, read by `parse`.
    pub(super) fn quantity<T>(
        &self,
        key: &str,
        parse: fn(&str) -> Result<T, String>,
        findings: &mut Findings,
    ) -> Option<T> {
        let node = self.get(key)?;
        let written = match &node.kind {
            Kind::Int(n) => n.to_string(),
            Kind::Float(x) => x.to_string(),
            Kind::Text(text) => text.clone(),
            other => {
                findings.add(
                    &node.origin,
                    format!(
                        "`{key}` must be a number with its unit, this is {}",
                        other.noun()
                    ),
                    "",
                );
                return None;
            }
        };
        parse(&written)
            .map_err(|why| findings.add(&node.origin, format!("`{key}`: {why}"), ""))
            .ok()
    }

    /// The items of a list.
    pub(super) fn list(&self, key: &str, findings: &mut Findings) -> Option<&'a [Node]> {
        self.get(key).and_then(|node| list(node, key, findings))
    }

    /// The entries of a mapping.
    pub(super) fn map(
        &self,
        key: &str,
        findings: &mut Findings,
    ) -> Option<&'a [(String, Origin, Node)]> {
        self.get(key).and_then(|node| map(node, key, findings))
    }
}

pub(super) fn text(node: &Node, key: &str, findings: &mut Findings) -> Option<String> {
    match &node.kind {
        Kind::Text(text) => Some(text.clone()),
        Kind::Int(n) => Some(n.to_string()),
        other => {
            findings.add(
                &node.origin,
                format!("`{key}` must be a text, this is {}", other.noun()),
                "",
            );
            None
        }
    }
}

pub(super) fn list<'a>(node: &'a Node, key: &str, findings: &mut Findings) -> Option<&'a [Node]> {
    match &node.kind {
        Kind::List(items) if items.is_empty() => {
            findings.add(
                &node.origin,
                format!("`{key}` is an empty list"),
                "give it an item, or leave it out",
            );
            None
        }
        Kind::List(items) => Some(items),
        other => {
            findings.add(
                &node.origin,
                format!("`{key}` must be a list, this is {}", other.noun()),
                format!("write {key}: [a, b]"),
            );
            None
        }
    }
}

pub(super) fn map<'a>(
    node: &'a Node,
    key: &str,
    findings: &mut Findings,
) -> Option<&'a [(String, Origin, Node)]> {
    match &node.kind {
        Kind::Map(entries) if entries.is_empty() => {
            findings.add(
                &node.origin,
                format!("`{key}` is empty"),
                "give it an entry, or leave it out",
            );
            None
        }
        Kind::Map(entries) => Some(entries),
        other => {
            findings.add(
                &node.origin,
                format!("`{key}` must be a mapping, this is {}", other.noun()),
                format!("write {key}: {{name: value}}"),
            );
            None
        }
    }
}

/// A value of a tuning parameter.
pub(super) fn scalar(node: &Node, what: &str, findings: &mut Findings) -> Option<Value> {
    match &node.kind {
        Kind::Bool(v) => Some(Value::Bool(*v)),
        Kind::Int(v) => Some(Value::Int(*v)),
        Kind::Float(v) => Some(Value::Float(*v)),
        Kind::Text(v) => Some(Value::Text(v.clone())),
        other => {
            findings.add(
                &node.origin,
                format!("{what} must be one value, this is {}", other.noun()),
                "",
            );
            None
        }
    }
}

/// Several texts: a list, or one text alone.
pub(super) fn texts(node: &Node, key: &str, findings: &mut Findings) -> Vec<(String, Origin)> {
    match &node.kind {
        Kind::List(_) => list(node, key, findings)
            .unwrap_or(&[])
            .iter()
            .filter_map(|item| text(item, key, findings).map(|t| (t, item.origin.clone())))
            .collect(),
        _ => text(node, key, findings)
            .map(|t| (t, node.origin.clone()))
            .into_iter()
            .collect(),
    }
}
