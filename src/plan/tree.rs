//! The YAML of a plan as a tree in which every key and value knows its bytes. Everything about meaning is in `check`.
use crate::diagnostic::{Diagnostic, Origin};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_yaml::Spanned;
use std::fmt;
use std::ops::Range;

/// A value with its place.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) origin: Origin,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    /// In the order written; keys are unique.
    Map(Vec<(String, Origin, Node)>),
}

impl Kind {
    /// "a list", for messages.
    pub(super) fn noun(&self) -> &'static str {
        match self {
            Kind::Null => "nothing",
            Kind::Bool(_) => "true or false",
            Kind::Int(_) => "a whole number",
            Kind::Float(_) => "a number",
            Kind::Text(_) => "a text",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a mapping",
        }
    }
}

/// A plan is written by a person: larger files are a mistake.
const LARGEST: usize = 1 << 20;

/// Parses one YAML document. Depth, number of nodes and aliases are bounded; duplicate keys and merge keys are errors.
pub(super) fn parse(text: &str) -> Result<Node, Diagnostic> {
    let whole = |message: String, help: &str| Diagnostic {
        message,
        origin: Origin::File { start: 0, end: 0 },
        help: Some(help.into()),
    };
    if text.len() > LARGEST {
        return Err(whole(
            "the plan is larger than 1 MiB".into(),
            "put data into files and name them",
        ));
    }
    let options = serde_yaml::options! {
        strict_booleans: true,
        with_snippet: false,
        merge_keys: serde_yaml::MergeKeyPolicy::Error,
        budget: serde_yaml::budget! { max_depth: 32, max_nodes: 20_000 },
    };
    let tree: Spanned<Raw> = serde_yaml::from_str_with_options(text, options).map_err(|error| {
        let message = error.without_snippet().to_string();
        // The place is shown as a place.
        let message = message
            .split(" at line ")
            .next()
            .unwrap_or(&message)
            .to_owned();
        let (start, end) = match error.location() {
            Some(location) => {
                let start = location.span().byte_offset().map_or_else(
                    || offset(text, location.line(), location.column()),
                    |o| o as usize,
                );
                let start = start.min(text.len());
                (
                    start,
                    (start + location.span().byte_len().unwrap_or(1) as usize).min(text.len()),
                )
            }
            None => (0, 0),
        };
        Diagnostic {
            message,
            origin: Origin::File { start, end },
            help: None,
        }
    })?;
    Ok(node(text, tree.value, range(text, &tree.referenced)))
}

/// Parses the value of a `--set`: YAML too, so that lists and mappings can be given.
pub(super) fn parse_option(text: &str, option: &str) -> Result<Node, Diagnostic> {
    let mut tree = parse(text).map_err(|d| Diagnostic {
        origin: Origin::Option(option.into()),
        ..d
    })?;
    relabel(&mut tree, &Origin::Option(option.into()));
    Ok(tree)
}

fn relabel(node: &mut Node, origin: &Origin) {
    node.origin = origin.clone();
    match &mut node.kind {
        Kind::List(items) => items.iter_mut().for_each(|item| relabel(item, origin)),
        Kind::Map(entries) => entries.iter_mut().for_each(|(_, key, value)| {
            *key = origin.clone();
            relabel(value, origin);
        }),
        _ => {}
    }
}

fn offset(text: &str, line: u64, column: u64) -> usize {
    let start: usize = text
        .split_inclusive('\n')
        .take(line.saturating_sub(1) as usize)
        .map(str::len)
        .sum();
    let rest = &text[start.min(text.len())..];
    start
        + rest
            .chars()
            .take(column.saturating_sub(1) as usize)
            .map(char::len_utf8)
            .sum::<usize>()
}

fn range(text: &str, location: &serde_yaml::Location) -> Range<usize> {
    let start = location
        .span()
        .byte_offset()
        .map_or_else(
            || offset(text, location.line(), location.column()),
            |o| o as usize,
        )
        .min(text.len());
    let length = location.span().byte_len().unwrap_or(0) as usize;
    let mut end = (start + length.max(1)).min(text.len());
    while !text.is_char_boundary(end) {
        end += 1;
    }
    start..end
}

fn node(text: &str, raw: Raw, range_of: Range<usize>) -> Node {
    let origin = |range: Range<usize>| Origin::File {
        start: range.start,
        end: range.end,
    };
    let kind = match raw {
        Raw::Null => Kind::Null,
        Raw::Bool(v) => Kind::Bool(v),
        Raw::Int(v) => Kind::Int(v),
        Raw::Float(v) => Kind::Float(v),
        Raw::Text(v) => Kind::Text(v),
        Raw::List(items) => Kind::List(
            items
                .into_iter()
                .map(|i| {
                    let r = range(text, &i.referenced);
                    node(text, i.value, r)
                })
                .collect(),
        ),
        Raw::Map(entries) => Kind::Map(
            entries
                .into_iter()
                .map(|(key, value)| {
                    let (k, v) = (range(text, &key.referenced), range(text, &value.referenced));
                    (
                        key.value,
                        origin(k.start..(k.start + (k.end - k.start))),
                        node(text, value.value, v),
                    )
                })
                .collect(),
        ),
    };
    Node {
        kind,
        origin: origin(range_of),
    }
}

enum Raw {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Raw, D::Error> {
        from.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }
    fn visit_bool<E>(self, v: bool) -> Result<Raw, E> {
        Ok(Raw::Bool(v))
    }
    fn visit_i64<E>(self, v: i64) -> Result<Raw, E> {
        Ok(Raw::Int(v))
    }
    fn visit_u64<E: Error>(self, v: u64) -> Result<Raw, E> {
        i64::try_from(v)
            .map(Raw::Int)
            .map_err(|_| E::custom("the number is too large"))
    }
    fn visit_f64<E>(self, v: f64) -> Result<Raw, E> {
        Ok(Raw::Float(v))
    }
    fn visit_str<E>(self, v: &str) -> Result<Raw, E> {
        Ok(Raw::Text(v.into()))
    }
    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }
    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }
    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<Raw, D::Error> {
        from.deserialize_any(RawVisitor)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Raw, A::Error> {
        let mut items = vec![];
        while let Some(item) = from.next_element()? {
            items.push(item);
        }
        Ok(Raw::List(items))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Raw, A::Error> {
        let mut entries = vec![];
        while let Some(key) = from.next_key()? {
            entries.push((key, from.next_value()?));
        }
        Ok(Raw::Map(entries))
    }
}
