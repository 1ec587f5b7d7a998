//! JSON as Python's `json` writes it: the order of keys is kept, since it is the order of evaluation, and NaN is a number.
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use std::fmt::{self, Write};

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Json {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Json>),
    Map(Vec<(String, Json)>),
}

impl Json {
    /// # Errors
    /// What is wrong, with line and column.
    pub(super) fn parse(text: &str) -> Result<Json, String> {
        serde_json::from_str(text)
            .or_else(|error| match quoted_specials(text) {
                Some(quoted) => serde_json::from_str(&quoted),
                None => Err(error),
            })
            .map_err(|error| error.to_string())
    }

    /// As in Python, the last of several equal keys is meant.
    pub(super) fn get(&self, key: &str) -> Option<&Json> {
        match self {
            Json::Map(entries) => entries.iter().rev().find(|(k, _)| k == key).map(|(_, v)| v),
            _ => None,
        }
    }

    pub(super) fn entries(&self) -> &[(String, Json)] {
        match self {
            Json::Map(entries) => entries,
            _ => &[],
        }
    }

    pub(super) fn items(&self) -> &[Json] {
        match self {
            Json::List(items) => items,
            _ => &[],
        }
    }

    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Json::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn number(&self) -> Option<f64> {
        match self {
            Json::Int(i) => Some(*i as f64),
            Json::Float(f) => Some(*f),
            // What a parser without NaN was given in its place.
            Json::Text(text) if text == "NaN" => Some(f64::NAN),
            Json::Text(text) if text == "Infinity" => Some(f64::INFINITY),
            Json::Text(text) if text == "-Infinity" => Some(f64::NEG_INFINITY),
            _ => None,
        }
    }
}

/// The text with NaN, Infinity and -Infinity in quotation marks; absent where it has none of them outside of texts.
fn quoted_specials(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len() + 16);
    let (mut rest, mut is_text, mut found) = (text, false, false);
    while let Some(c) = rest.chars().next() {
        let special = ["NaN", "Infinity", "-Infinity"]
            .into_iter()
            .find(|word| !is_text && rest.starts_with(word));
        if let Some(word) = special {
            let _ = write!(out, "\"{word}\"");
            rest = &rest[word.len()..];
            found = true;
            continue;
        }
        let mut length = c.len_utf8();
        match c {
            '"' => is_text = !is_text,
            '\\' if is_text => length += rest[1..].chars().next().map_or(0, char::len_utf8),
            _ => {}
        }
        out.push_str(&rest[..length]);
        rest = &rest[length..];
    }
    found.then_some(out)
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Json, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Json;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }
            fn visit_unit<E>(self) -> Result<Json, E> {
                Ok(Json::Null)
            }
            fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
                Ok(Json::Bool(value))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
                Ok(Json::Int(value))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
                Ok(i64::try_from(value).map_or(Json::Float(value as f64), Json::Int))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
                Ok(Json::Float(value))
            }
            fn visit_str<E>(self, value: &str) -> Result<Json, E> {
                Ok(Json::Text(value.to_owned()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Json, A::Error> {
                let mut items = vec![];
                while let Some(item) = list.next_element()? {
                    items.push(item);
                }
                Ok(Json::List(items))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
                let mut entries = vec![];
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Json::Map(entries))
            }
        }
        from.deserialize_any(Any)
    }
}

impl fmt::Display for Json {
    /// On one line, with the separators of Python's `json.dumps`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = |text: &str| serde_json::to_string(text).map_err(|_| fmt::Error);
        match self {
            Json::Null => f.write_str("null"),
            Json::Bool(value) => value.fmt(f),
            Json::Int(value) => value.fmt(f),
            Json::Float(value) if value.is_nan() => f.write_str("NaN"),
            Json::Float(value) if value.is_infinite() => f.write_str(if *value > 0.0 {
                "Infinity"
            } else {
                "-Infinity"
            }),
            Json::Float(value) => f.write_str(&python_float(*value)),
            Json::Text(text) => f.write_str(&quoted(text)?),
            Json::List(items) => {
                f.write_char('[')?;
                for (i, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if i == 0 { "" } else { ", " })?;
                }
                f.write_char(']')
            }
            Json::Map(entries) => {
                f.write_char('{')?;
                for (i, (key, value)) in entries.iter().enumerate() {
                    let comma = if i == 0 { "" } else { ", " };
                    write!(f, "{comma}{}: {value}", quoted(key)?)?;
                }
                f.write_char('}')
            }
        }
    }
}

/// `repr` of a finite float: the shortest digits that read back, an exponent below 1e-4 and from 1e16 on.
pub(super) fn python_float(value: f64) -> String {
    let written = format!("{value:e}");
    let (digits, exponent) = written.split_once('e').unwrap_or((&written, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if value == 0.0 || (-4..16).contains(&exponent) {
        return format!("{value:?}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn order_nan_and_escapes_survive() {
        let text = r#"{"b": [NaN, -Infinity, 1, 2.5], "a": "NaN \" Infinity", "z": null}"#;
        let read = Json::parse(text).unwrap();
        assert_eq!(read.entries()[0].0, "b");
        assert!(read.get("b").unwrap().items()[0].number().unwrap().is_nan());
        assert_eq!(
            read.get("b").unwrap().items()[1].number(),
            Some(f64::NEG_INFINITY)
        );
        assert_eq!(read.get("a").unwrap().text(), Some("NaN \" Infinity"));
        assert!(Json::parse("{\"a\": 1,}").unwrap_err().contains("line 1"));
        // As Python's json.loads: the last one is meant.
        assert_eq!(
            Json::parse("{\"a\": 1, \"a\": 2}").unwrap().get("a"),
            Some(&Json::Int(2))
        );
    }

    #[test]
    fn floats_are_written_as_python_writes_them() {
        // python3 -c "print([repr(x) for x in (1.0, 0.1, 1e-4, 1e-5, 1.5e16, 1e15, 123456789012345680.0, 5e-324, -0.0)])"
        let cases = [
            (1.0, "1.0"),
            (0.1, "0.1"),
            (1e-4, "0.0001"),
            (1e-5, "1e-05"),
            (1.5e16, "1.5e+16"),
            (1e15, "1000000000000000.0"),
            (123_456_789_012_345_680.0, "1.2345678901234568e+17"),
            (5e-324, "5e-324"),
            (-0.0, "-0.0"),
        ];
        for (value, expected) in cases {
            assert_eq!(python_float(value), expected);
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(value in any::<f64>(), text in ".{0,12}") {
            prop_assume!(value.is_finite());
            let json = Json::Map(vec![(text.clone(), Json::List(vec![Json::Float(value), Json::Text(text)]))]);
            prop_assert_eq!(Json::parse(&json.to_string()), Ok(json));
        }
    }
}
