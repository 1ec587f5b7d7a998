//! Values and what Python's operators make of them; a mistake is a fault and never false.
use super::restriction::{Comparison, Operator};
use crate::value::Value;
use std::cmp::Ordering;

/// A value on its way through an expression: evaluating copies and allocates nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Operand<'a> {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(&'a str),
}

/// Why there is no value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fault {
    DividedByZero,
    TooLarge,
    NotReal,
    NoNumber,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Fault::DividedByZero => "a number is divided by zero",
            Fault::TooLarge => "a result is too large for 64 bits",
            Fault::NotReal => "a root of a negative number is not real",
            Fault::NoNumber => "a text stands where a number is wanted",
        })
    }
}

impl<'a> Operand<'a> {
    pub(super) fn of(value: &'a Value) -> Operand<'a> {
        match value {
            Value::Bool(b) => Operand::Bool(*b),
            Value::Int(i) => Operand::Int(*i),
            Value::Float(f) => Operand::Float(*f),
            Value::Text(t) => Operand::Text(t),
        }
    }

    pub(super) fn is_true(self) -> bool {
        match self {
            Operand::Bool(b) => b,
            Operand::Int(i) => i != 0,
            Operand::Float(f) => f != 0.0,
            Operand::Text(t) => !t.is_empty(),
        }
    }

    pub(super) fn number(self) -> Option<f64> {
        match self {
            Operand::Float(f) => Some(f),
            other => other.whole().map(|i| i as f64),
        }
    }

    pub(super) fn whole(self) -> Option<i64> {
        match self {
            Operand::Bool(b) => Some(i64::from(b)),
            Operand::Int(i) => Some(i),
            _ => None,
        }
    }
}

pub(super) fn equal(a: Operand<'_>, b: Operand<'_>) -> bool {
    match (a, b) {
        (Operand::Text(x), Operand::Text(y)) => x == y,
        _ => order(a, b) == Some(Ordering::Equal),
    }
}

/// Exact between whole numbers and floats, as in Python; absent for a text and a number.
fn order(a: Operand<'_>, b: Operand<'_>) -> Option<Ordering> {
    match (a, b) {
        (Operand::Text(x), Operand::Text(y)) => Some(x.cmp(y)),
        (Operand::Float(x), Operand::Float(y)) => x.partial_cmp(&y),
        (Operand::Float(x), _) => order_mixed(b.whole()?, x).map(Ordering::reverse),
        (_, Operand::Float(y)) => order_mixed(a.whole()?, y),
        _ => Some(a.whole()?.cmp(&b.whole()?)),
    }
}

fn order_mixed(whole: i64, float: f64) -> Option<Ordering> {
    // 2^63
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if float >= LIMIT {
        Some(Ordering::Less)
    } else if float < -LIMIT {
        Some(Ordering::Greater)
    } else {
        let by_whole = whole.cmp(&(float.trunc() as i64));
        Some(by_whole.then(0.0.partial_cmp(&float.fract())?))
    }
}

pub(super) fn compare(
    comparison: Comparison,
    a: Operand<'_>,
    b: Operand<'_>,
) -> Result<bool, Fault> {
    let ordered = || order(a, b).ok_or(Fault::NoNumber);
    Ok(match comparison {
        Comparison::Equal => equal(a, b),
        Comparison::Unequal => !equal(a, b),
        Comparison::Less => ordered()? == Ordering::Less,
        Comparison::LessOrEqual => ordered()? != Ordering::Greater,
        Comparison::Greater => ordered()? == Ordering::Greater,
        Comparison::GreaterOrEqual => ordered()? != Ordering::Less,
    })
}

/// What Python's operator makes of two values; absent where Python raises an error, or the result is not finite or beyond 64 bits.
pub fn calculate_values(operator: Operator, a: &Value, b: &Value) -> Option<Value> {
    match calculate(operator, Operand::of(a), Operand::of(b)).ok()? {
        Operand::Bool(b) => Some(Value::Bool(b)),
        Operand::Int(i) => Some(Value::Int(i)),
        Operand::Float(f) => f.is_finite().then_some(Value::Float(f)),
        Operand::Text(t) => Some(Value::Text(t.to_owned())),
    }
}

pub(super) fn calculate<'a>(
    operator: Operator,
    a: Operand<'a>,
    b: Operand<'a>,
) -> Result<Operand<'a>, Fault> {
    if let (Some(x), Some(y)) = (a.whole(), b.whole()) {
        return calculate_whole(operator, x, y);
    }
    let (Some(x), Some(y)) = (a.number(), b.number()) else {
        return Err(Fault::NoNumber);
    };
    let divides = matches!(
        operator,
        Operator::Divide | Operator::FloorDivide | Operator::Modulo
    );
    if y == 0.0 && divides {
        return Err(Fault::DividedByZero);
    }
    let result = match operator {
        Operator::Add => x + y,
        Operator::Subtract => x - y,
        Operator::Multiply => x * y,
        Operator::Divide => x / y,
        Operator::FloorDivide => divided(x, y).0,
        Operator::Modulo => divided(x, y).1,
        Operator::Power if x == 0.0 && y < 0.0 => return Err(Fault::DividedByZero),
        Operator::Power if x < 0.0 && y.fract() != 0.0 => return Err(Fault::NotReal),
        Operator::Power => match x.powf(y) {
            power if power.is_finite() => power,
            _ => return Err(Fault::TooLarge),
        },
    };
    Ok(Operand::Float(result))
}

fn calculate_whole<'a>(operator: Operator, x: i64, y: i64) -> Result<Operand<'a>, Fault> {
    let is_mixed = (x < 0) != (y < 0);
    let result = match operator {
        Operator::Add => x.checked_add(y),
        Operator::Subtract => x.checked_sub(y),
        Operator::Multiply => x.checked_mul(y),
        Operator::Divide | Operator::FloorDivide | Operator::Modulo if y == 0 => {
            return Err(Fault::DividedByZero);
        }
        // Python's / is true division, whatever its operands.
        Operator::Divide => return Ok(Operand::Float(x as f64 / y as f64)),
        // Python floors: the remainder has the divisor's sign.
        Operator::FloorDivide => x
            .checked_div(y)
            .map(|q| q - i64::from(x % y != 0 && is_mixed)),
        Operator::Modulo => {
            let rest = x.wrapping_rem(y);
            Some(if rest != 0 && is_mixed {
                rest + y
            } else {
                rest
            })
        }
        Operator::Power if y < 0 && x == 0 => return Err(Fault::DividedByZero),
        Operator::Power if y < 0 => return Ok(Operand::Float((x as f64).powf(y as f64))),
        Operator::Power => u32::try_from(y).ok().and_then(|y| x.checked_pow(y)),
    };
    result.map(Operand::Int).ok_or(Fault::TooLarge)
}

/// Python's floored quotient and remainder of floats: CPython, Objects/floatobject.c, `_float_div_mod`.
fn divided(x: f64, y: f64) -> (f64, f64) {
    let mut rest = x % y;
    let mut quotient = (x - rest) / y;
    if rest == 0.0 {
        rest = 0.0_f64.copysign(y);
    } else if (y < 0.0) != (rest < 0.0) {
        rest += y;
        quotient -= 1.0;
    }
    if quotient == 0.0 {
        return (0.0_f64.copysign(x / y), rest);
    }
    let floor = quotient.floor();
    (floor + f64::from(u8::from(quotient - floor > 0.5)), rest)
}
