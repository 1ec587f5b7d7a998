//! Values of tuning parameters, and the units that people write: `10m`, `8 GiB`, `1%`, `5-15%`.
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// One value of a tuning parameter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    Bool(bool),
    Int(i64),
    /// Finite: a plan with NaN or infinity is refused.
    Float(f64),
    Text(String),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Bool(v) => v.fmt(f),
            Value::Int(v) => v.fmt(f),
            Value::Float(v) => v.fmt(f),
            Value::Text(v) => v.fmt(f),
        }
    }
}

/// A duration in nanoseconds.
///
/// Not `std::time::Duration`: its square has no type, and a variance kept in one is wrong by nine orders of magnitude.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Nanoseconds(pub f64);

impl From<Duration> for Nanoseconds {
    fn from(duration: Duration) -> Nanoseconds {
        Nanoseconds(duration.as_nanos() as f64)
    }
}

/// A size in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bytes(pub u64);

impl fmt::Display for Nanoseconds {
    /// Three or four digits with the unit that a person would choose: `1.234 ms`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ns = self.0;
        match ns.abs() {
            a if !a.is_finite() => write!(f, "{ns}"),
            a if a >= 60e9 => write!(
                f,
                "{}m{:02.0}s",
                (ns / 60e9).trunc(),
                ((ns % 60e9) / 1e9).floor()
            ),
            a if a >= 1e9 => write!(f, "{:.3} s", ns / 1e9),
            a if a >= 1e6 => write!(f, "{:.3} ms", ns / 1e6),
            a if a >= 1e3 => write!(f, "{:.3} µs", ns / 1e3),
            _ => write!(f, "{ns:.1} ns"),
        }
    }
}

impl fmt::Display for Bytes {
    /// With the binary unit that a person would choose: `3.2 GiB`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = ["KiB", "MiB", "GiB", "TiB", "PiB"];
        let mut size = self.0 as f64;
        if size < 1024.0 {
            return write!(f, "{} B", self.0);
        }
        let mut unit = "B";
        for next in units {
            if size < 1024.0 {
                break;
            }
            size /= 1024.0;
            unit = next;
        }
        write!(f, "{size:.1} {unit}")
    }
}

/// A number and what stands behind it: "10m" → (10, "m").
fn split_unit(text: &str) -> Option<(f64, &str)> {
    let text = text.trim();
    let digits = |c: char| c.is_ascii_digit() || matches!(c, '.' | '+' | '-' | '_');
    let mut end = text.find(|c| !digits(c)).unwrap_or(text.len());
    // An exponent belongs to the number: 1e-3.
    if let Some(rest) = text[end..].strip_prefix(['e', 'E']) {
        let exponent = rest.trim_start_matches(['+', '-']);
        let length = exponent
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(exponent.len());
        if length > 0 {
            end = text.len() - exponent.len() + length;
        }
    }
    let number: f64 = text[..end].replace('_', "").parse().ok()?;
    number.is_finite().then(|| (number, text[end..].trim()))
}

/// `500ms`, `60s`, `10m`, `1h30m`, `2 min`.
///
/// # Errors
/// What is wrong, with the units that there are.
pub fn parse_duration(text: &str) -> Result<Nanoseconds, String> {
    let wrong = || format!("`{text}` is no duration; write 500ms, 60s, 10m or 1h30m");
    let (mut rest, mut total) = (text.trim(), 0.0);
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| c.is_alphabetic()).ok_or_else(wrong)?;
        let next = rest[end..]
            .find(|c: char| !c.is_alphabetic())
            .map_or(rest.len(), |n| end + n);
        let (number, _) = split_unit(&rest[..end]).ok_or_else(wrong)?;
        let scale = match &rest[end..next] {
            "ns" => 1.0,
            "us" | "µs" => 1e3,
            "ms" => 1e6,
            "s" | "sec" => 1e9,
            "m" | "min" => 60e9,
            "h" => 3600e9,
            _ => return Err(wrong()),
        };
        total += number * scale;
        rest = rest[next..].trim_start();
    }
    if total > 0.0 && total.is_finite() {
        Ok(Nanoseconds(total))
    } else {
        Err(format!("`{text}` must be longer than nothing"))
    }
}

/// `8 GiB`, `512 MB`, `4096`.
///
/// # Errors
/// What is wrong, with the units that there are.
pub fn parse_bytes(text: &str) -> Result<Bytes, String> {
    let wrong = || format!("`{text}` is no size; write 512 MiB, 8 GiB or 2 GB");
    let (number, unit) = split_unit(text).ok_or_else(wrong)?;
    let scale = match unit {
        "" | "B" => 1.0,
        "kB" | "KB" => 1e3,
        "MB" => 1e6,
        "GB" => 1e9,
        "TB" => 1e12,
        "KiB" | "K" => 1024.0,
        "MiB" | "M" => 1_048_576.0,
        "GiB" | "G" => 1_073_741_824.0,
        "TiB" | "T" => 1_099_511_627_776.0,
        _ => return Err(wrong()),
    };
    let bytes = number * scale;
    if bytes >= 1.0 && bytes < u64::MAX as f64 {
        Ok(Bytes(bytes as u64))
    } else {
        Err(wrong())
    }
}

/// `1%` or `0.01`, as a ratio.
///
/// # Errors
/// What is wrong.
pub fn parse_ratio(text: &str) -> Result<f64, String> {
    match split_unit(text) {
        Some((number, "%")) => Ok(number / 100.0),
        Some((number, "")) => Ok(number),
        _ => Err(format!("`{text}` is no share; write 1% or 0.01")),
    }
}

/// An expected speedup as factors: `5-15%` → (1.05, 1.15), `1.2-1.5x` → (1.2, 1.5), `>= 5%` → (1.05, ∞ as 1e9), `10%`.
///
/// # Errors
/// What is wrong, with examples.
pub fn parse_speedup(text: &str) -> Result<(f64, f64), String> {
    let wrong = || format!("`{text}` is no expected speedup; write 5-15%, 10%, 1.2-1.5x or >= 5%");
    let trimmed = text.trim();
    let (open, body) = match trimmed.strip_prefix(">=").or(trimmed.strip_prefix('>')) {
        Some(rest) => (true, rest.trim()),
        None => (false, trimmed),
    };
    let (body, to_factor): (&str, fn(f64) -> f64) = if let Some(percent) = body.strip_suffix('%') {
        (percent, |p| 1.0 + p / 100.0)
    } else if let Some(factor) = body.strip_suffix(['x', '×']) {
        (factor, |f| f)
    } else {
        return Err(wrong());
    };
    let number = |t: &str| {
        t.trim()
            .trim_end_matches(['%', 'x', '×'])
            .parse::<f64>()
            .ok()
            .filter(|v| v.is_finite())
    };
    // A hyphen between two numbers, not the sign of the first.
    let hyphen = body
        .char_indices()
        .skip(1)
        .find(|(_, c)| matches!(c, '-' | '–'))
        .map(|(i, c)| (i, c.len_utf8()));
    let (low, high) = match hyphen {
        Some((at, width)) => (number(&body[..at]), number(&body[at + width..])),
        None => (number(body), number(body)),
    };
    let (low, high) = (
        to_factor(low.ok_or_else(wrong)?),
        to_factor(high.ok_or_else(wrong)?),
    );
    let high = if open { 1e9 } else { high };
    if low > 0.0 && low <= high {
        Ok((low, high))
    } else {
        Err(wrong())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn units_are_read_as_people_write_them() {
        assert_eq!(parse_duration("10m"), Ok(Nanoseconds(600e9)));
        assert_eq!(parse_duration("1h30m"), Ok(Nanoseconds(5400e9)));
        assert_eq!(parse_duration("1.5 s"), Ok(Nanoseconds(1.5e9)));
        assert_eq!(parse_bytes("8 GiB"), Ok(Bytes(8 << 30)));
        assert_eq!(parse_bytes("2GB"), Ok(Bytes(2_000_000_000)));
        assert_eq!(parse_ratio("1%"), Ok(0.01));
        assert_eq!(parse_ratio("1e-3"), Ok(1e-3));
        let (low, high) = parse_speedup("5-15%").unwrap();
        assert!((low - 1.05).abs() < 1e-12 && (high - 1.15).abs() < 1e-12);
        assert_eq!(parse_speedup("1.2-1.5x"), Ok((1.2, 1.5)));
        assert!((parse_speedup("-5-0%").unwrap().0 - 0.95).abs() < 1e-12);
        for wrong in ["", "10", "m", "10 parsecs", "-3s", "0s", "1e999s"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
        for wrong in ["", "fast", "5", "15-5%", "%", "x"] {
            assert!(parse_speedup(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_and_times_are_shown_with_a_unit() {
        assert_eq!(Nanoseconds(1.2345e6).to_string(), "1.234 ms");
        assert_eq!(Nanoseconds(61e9).to_string(), "1m01s");
        assert_eq!(Bytes(3_435_973_837).to_string(), "3.2 GiB");
        assert_eq!(Bytes(17).to_string(), "17 B");
    }

    proptest! {
        #[test]
        fn no_text_makes_a_parser_panic(text in ".{0,40}") {
            let _ = (parse_duration(&text), parse_bytes(&text), parse_ratio(&text), parse_speedup(&text));
        }

        #[test]
        fn whole_units_come_back(n in 1u32..100_000) {
            prop_assert_eq!(parse_duration(&format!("{n}ms")), Ok(Nanoseconds(f64::from(n) * 1e6)));
            prop_assert_eq!(parse_bytes(&format!("{n} KiB")), Ok(Bytes(u64::from(n) * 1024)));
        }
    }
}
