//! A tuning parameter as it is written on the command line: `tile=16..128:x2`. A plan file has lists; here there are ranges too.
use crate::space::Parameter;
use crate::value::Value;

const FORMS: &str = "write name=1,2,4 or name=a..b, a..b:step, a..b:x2";

/// More values than this in one range are a slip; a plan holds no more than 20,000 in all.
const MOST: usize = 10_000;

/// `name=1,2,4`, `name=a..b`, `name=a..b:step`, `name=a..b:x2`, and any of them in a list. Both ends of a range belong to it.
///
/// # Errors
/// What is wrong, with the forms that there are.
pub fn parse_parameter(written: &str) -> Result<Parameter, String> {
    let (name, list) = written
        .split_once('=')
        .ok_or_else(|| format!("`{written}` has no `=`; {FORMS}"))?;
    let fits = |c: char| c.is_alphanumeric() || c == '_';
    if name.is_empty() || !name.chars().all(fits) {
        return Err(format!(
            "`{name}` cannot name a parameter; use letters, digits and `_`"
        ));
    }
    let mut values: Vec<Value> = vec![];
    for part in list.split(',').map(str::trim) {
        if part.is_empty() {
            return Err(format!("`{written}` has an empty value; {FORMS}"));
        }
        match ends(part) {
            Some((low, rest)) => values.extend(range(part, low, rest)?),
            None => values.push(parse_value(part)),
        }
    }
    if let Some(twice) = values
        .iter()
        .enumerate()
        .find(|(i, v)| values[..*i].contains(v))
    {
        return Err(format!("{} is twice in `{written}`", twice.1));
    }
    Ok(Parameter {
        name: name.into(),
        values,
    })
}

/// The two sides of a range. `../data` is none: a range begins with a number.
fn ends(part: &str) -> Option<(&str, &str)> {
    let (low, rest) = part.split_once("..")?;
    low.trim().parse::<f64>().ok().map(|_| (low.trim(), rest))
}

/// A word of the command line as YAML would read it, where it then is a number of the same value; else the text as it is: `007`.
pub fn parse_value(part: &str) -> Value {
    let is_decimal = part.contains(['.', 'e', 'E'])
        && part.contains(|c: char| c.is_ascii_digit())
        && part
            .chars()
            .all(|c| c.is_ascii_digit() || "+-.eE".contains(c));
    match part {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        _ => match (part.parse::<i64>(), part.parse::<f64>()) {
            (Ok(whole), _) if whole.to_string() == part => Value::Int(whole),
            (_, Ok(real)) if is_decimal && real.is_finite() => Value::Float(real),
            _ => Value::Text(part.into()),
        },
    }
}

fn range(part: &str, low: &str, rest: &str) -> Result<Vec<Value>, String> {
    let (high, step) = rest.split_once(':').unwrap_or((rest, "1"));
    let whole = |text: &str| {
        text.trim().parse::<i64>().map_err(|_| {
            format!("`{part}` is no range: `{text}` is no whole number; list the values instead, or {FORMS}")
        })
    };
    let (low, high) = (whole(low)?, whole(high)?);
    if low > high {
        return Err(format!(
            "`{part}` is empty: {low} is above {high}; write {high}..{low}, or list the values in the order that you want"
        ));
    }
    let (factor, step) = match step.trim().strip_prefix('x') {
        Some(factor) => (whole(factor)?, 0),
        None => (1, whole(step)?),
    };
    if step <= 0 && factor <= 1 {
        return Err(format!(
            "`{part}` never ends: a step is at least 1 and a factor at least 2; {FORMS}"
        ));
    }
    if factor > 1 && low < 1 {
        return Err(format!(
            "`{part}` never ends: multiplying leads from 1 or more upward, not from {low}"
        ));
    }
    let mut values = vec![];
    let mut next = Some(low);
    while let Some(at) = next.filter(|at| *at <= high) {
        if values.len() == MOST {
            return Err(format!(
                "`{part}` has more than {MOST} values; take a larger step"
            ));
        }
        values.push(Value::Int(at));
        next = at.checked_mul(factor).and_then(|at| at.checked_add(step));
    }
    Ok(values)
}
