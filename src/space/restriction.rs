//! Restrictions: Python-syntax boolean expressions over parameters, parsed once, type-checked with positions, evaluated over
//! slots. They are data: nothing is ever handed to an interpreter.
use super::{Parameter, SpaceError};
use crate::value::Value;
use std::ops::Range;

/// A parsed restriction.
#[derive(Clone, Debug, PartialEq)]
pub struct Restriction {
    pub text: String,
    root: Expression,
    /// Indices of the parameters that it reads, ascending.
    pub reads: Vec<usize>,
}

#[derive(Clone, Debug, PartialEq)]
enum Expression {
    Constant(Value),
    Slot(usize),
    Not(Box<Expression>),
    Negate(Box<Expression>),
    And(Vec<Expression>),
    Or(Vec<Expression>),
    /// a < b <= c
    Chain(Box<Expression>, Vec<(Comparison, Expression)>),
    Binary(Operator, Box<Expression>, Box<Expression>),
    Choice {
        condition: Box<Expression>,
        yes: Box<Expression>,
        no: Box<Expression>,
    },
    Call(Function, Vec<Expression>),
    List(Vec<Expression>),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Comparison {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    Unequal,
    In,
    NotIn,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    FloorDivide,
    Modulo,
    Power,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Function {
    Min,
    Max,
    Abs,
}

/// Nesting beyond this is refused rather than recursed into.
const DEEPEST: usize = 64;

impl Restriction {
    /// # Errors
    /// Position (bytes in `text`) and reason: syntax, an unknown name, operands of the wrong type.
    pub fn parse(text: &str, parameters: &[Parameter]) -> Result<Restriction, SpaceError> {
        let mut parser = Parser {
            text,
            tokens: tokens(text)?,
            at: 0,
            parameters,
            reads: vec![],
            depth: 0,
        };
        let root = parser.choice()?;
        if let Some((token, range)) = parser.tokens.get(parser.at) {
            return Err(error(
                format!("`{}` is unexpected here", token.written()),
                range.clone(),
            ));
        }
        let mut reads = parser.reads;
        reads.sort_unstable();
        reads.dedup();
        let restriction = Restriction {
            text: text.into(),
            root,
            reads,
        };
        restriction.check_types(parameters)?;
        Ok(restriction)
    }

    /// Tries the first values: what fails there for its type fails always, since a parameter's values have one type.
    fn check_types(&self, parameters: &[Parameter]) -> Result<(), SpaceError> {
        let first: Option<Vec<Value>> = parameters
            .iter()
            .map(|p| p.values.first().cloned())
            .collect();
        if let Some(first) = first
            && let Err(Trouble::Type(message)) = self.root.value(&first)
        {
            return Err(error(message, 0..self.text.len()));
        }
        Ok(())
    }

    /// Whether these values, one a parameter, satisfy it.
    ///
    /// # Errors
    /// Division by zero, overflow: a mistake in the restriction, never simply false.
    pub fn admits(&self, values: &[Value]) -> Result<bool, String> {
        match self.root.value(values) {
            Ok(value) => Ok(value.is_true()),
            Err(Trouble::Type(message) | Trouble::Arithmetic(message)) => {
                Err(format!("`{}`: {message}", self.text))
            }
        }
    }

    /// The parts of a conjunction, each with what it reads: a part can be tested before the others' parameters are bound. They
    /// are tested in their order, so what an earlier part excludes is never evaluated in a later one.
    pub(super) fn conjuncts(&self) -> Vec<Restriction> {
        let parts = match &self.root {
            Expression::And(parts) => parts.clone(),
            whole => vec![whole.clone()],
        };
        parts
            .into_iter()
            .map(|root| {
                let mut reads = vec![];
                root.slots(&mut reads);
                reads.sort_unstable();
                reads.dedup();
                Restriction {
                    text: self.text.clone(),
                    root,
                    reads,
                }
            })
            .collect()
    }
}

fn error(message: impl Into<String>, range: Range<usize>) -> SpaceError {
    SpaceError {
        message: message.into(),
        start: range.start,
        end: range.end,
        help: None,
    }
}

enum Trouble {
    Type(String),
    Arithmetic(String),
}

/// A value on its way through an expression: evaluating copies and allocates nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Operand<'a> {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(&'a str),
}

impl<'a> Operand<'a> {
    fn of(value: &'a Value) -> Operand<'a> {
        match value {
            Value::Bool(b) => Operand::Bool(*b),
            Value::Int(i) => Operand::Int(*i),
            Value::Float(f) => Operand::Float(*f),
            Value::Text(t) => Operand::Text(t),
        }
    }

    fn is_true(self) -> bool {
        match self {
            Operand::Bool(b) => b,
            Operand::Int(i) => i != 0,
            Operand::Float(f) => f != 0.0,
            Operand::Text(t) => !t.is_empty(),
        }
    }

    fn number(self) -> Option<f64> {
        match self {
            Operand::Bool(b) => Some(f64::from(u8::from(b))),
            Operand::Int(i) => Some(i as f64),
            Operand::Float(f) => Some(f),
            Operand::Text(_) => None,
        }
    }

    fn whole(self) -> Option<i64> {
        match self {
            Operand::Bool(b) => Some(i64::from(b)),
            Operand::Int(i) => Some(i),
            _ => None,
        }
    }
}

impl std::fmt::Display for Operand<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let value = match *self {
            Operand::Bool(b) => Value::Bool(b),
            Operand::Int(i) => Value::Int(i),
            Operand::Float(x) => Value::Float(x),
            Operand::Text(t) => Value::Text(t.into()),
        };
        write!(f, "{value}")
    }
}

impl Expression {
    fn value<'a>(&'a self, slots: &'a [Value]) -> Result<Operand<'a>, Trouble> {
        Ok(match self {
            Expression::Constant(value) => Operand::of(value),
            Expression::Slot(i) => Operand::of(&slots[*i]),
            Expression::Not(inner) => Operand::Bool(!inner.value(slots)?.is_true()),
            Expression::Negate(inner) => match inner.value(slots)? {
                Operand::Float(f) => Operand::Float(-f),
                Operand::Text(t) => {
                    return Err(Trouble::Type(format!("`-` wants a number, not '{t}'")));
                }
                other => Operand::Int(-other.whole().unwrap_or(0)),
            },
            Expression::And(all) => {
                for part in all {
                    if !part.value(slots)?.is_true() {
                        return Ok(Operand::Bool(false));
                    }
                }
                Operand::Bool(true)
            }
            Expression::Or(all) => {
                for part in all {
                    if part.value(slots)?.is_true() {
                        return Ok(Operand::Bool(true));
                    }
                }
                Operand::Bool(false)
            }
            Expression::Chain(first, rest) => {
                let mut left = first.value(slots)?;
                for (comparison, right) in rest {
                    if let (Comparison::In | Comparison::NotIn, Expression::List(items)) =
                        (comparison, right)
                    {
                        let mut found = false;
                        for item in items {
                            found |= equal(left, item.value(slots)?);
                        }
                        return Ok(Operand::Bool(found == (*comparison == Comparison::In)));
                    }
                    let right = right.value(slots)?;
                    if !compare(*comparison, left, right)? {
                        return Ok(Operand::Bool(false));
                    }
                    left = right;
                }
                Operand::Bool(true)
            }
            Expression::Binary(operator, a, b) => {
                calculate(*operator, a.value(slots)?, b.value(slots)?)?
            }
            Expression::Choice { condition, yes, no } => {
                let taken = if condition.value(slots)?.is_true() {
                    yes
                } else {
                    no
                };
                taken.value(slots)?
            }
            Expression::Call(function, arguments) => call(*function, arguments, slots)?,
            Expression::List(_) => {
                return Err(Trouble::Type("a list stands only behind `in`".into()));
            }
        })
    }

    fn slots(&self, found: &mut Vec<usize>) {
        match self {
            Expression::Constant(_) => {}
            Expression::Slot(i) => found.push(*i),
            Expression::Not(inner) | Expression::Negate(inner) => inner.slots(found),
            Expression::And(all)
            | Expression::Or(all)
            | Expression::Call(_, all)
            | Expression::List(all) => all.iter().for_each(|part| part.slots(found)),
            Expression::Chain(first, rest) => {
                first.slots(found);
                rest.iter().for_each(|(_, part)| part.slots(found));
            }
            Expression::Binary(_, a, b) => {
                a.slots(found);
                b.slots(found);
            }
            Expression::Choice { condition, yes, no } => {
                for part in [condition, yes, no] {
                    part.slots(found);
                }
            }
        }
    }
}

fn equal(a: Operand<'_>, b: Operand<'_>) -> bool {
    match (a.number(), b.number()) {
        (Some(x), Some(y)) => x == y,
        _ => a == b,
    }
}

fn compare(comparison: Comparison, a: Operand<'_>, b: Operand<'_>) -> Result<bool, Trouble> {
    use std::cmp::Ordering::{Equal, Greater, Less};
    if comparison == Comparison::Equal || comparison == Comparison::Unequal {
        return Ok(equal(a, b) == (comparison == Comparison::Equal));
    }
    let order = match (a, b) {
        (Operand::Text(x), Operand::Text(y)) => Some(x.cmp(y)),
        _ => match (a.whole(), b.whole()) {
            (Some(x), Some(y)) => Some(x.cmp(&y)),
            _ => a
                .number()
                .zip(b.number())
                .and_then(|(x, y)| x.partial_cmp(&y)),
        },
    };
    let order =
        order.ok_or_else(|| Trouble::Type(format!("`{a}` and `{b}` cannot be compared")))?;
    Ok(match comparison {
        Comparison::Less => order == Less,
        Comparison::LessOrEqual => order != Greater,
        Comparison::Greater => order == Greater,
        Comparison::GreaterOrEqual => order != Less,
        Comparison::In | Comparison::NotIn => {
            return Err(Trouble::Type("`in` wants a list: x in (1, 2, 4)".into()));
        }
        Comparison::Equal | Comparison::Unequal => order == Equal,
    })
}

fn calculate<'a>(
    operator: Operator,
    a: Operand<'a>,
    b: Operand<'a>,
) -> Result<Operand<'a>, Trouble> {
    let too_large =
        || Trouble::Arithmetic(format!("{a} and {b}: the result is too large for 64 bits"));
    let by_zero = || Trouble::Arithmetic(format!("{a} is divided by zero"));
    if let (Some(x), Some(y)) = (a.whole(), b.whole()) {
        let result = match operator {
            Operator::Add => x.checked_add(y),
            Operator::Subtract => x.checked_sub(y),
            Operator::Multiply => x.checked_mul(y),
            // Python's / is true division, whatever its operands.
            Operator::Divide => {
                return if y == 0 {
                    Err(by_zero())
                } else {
                    Ok(Operand::Float(x as f64 / y as f64))
                };
            }
            Operator::FloorDivide | Operator::Modulo if y == 0 => return Err(by_zero()),
            // Python floors: the remainder has the divisor's sign.
            Operator::FloorDivide => x
                .checked_div(y)
                .map(|q| q - i64::from(x % y != 0 && (x < 0) != (y < 0))),
            Operator::Modulo => x.checked_rem(y).map(|r| {
                if r != 0 && (r < 0) != (y < 0) {
                    r + y
                } else {
                    r
                }
            }),
            Operator::Power if y < 0 => return Ok(Operand::Float((x as f64).powf(y as f64))),
            Operator::Power => u32::try_from(y).ok().and_then(|y| x.checked_pow(y)),
        };
        return result.map(Operand::Int).ok_or_else(too_large);
    }
    let (Some(x), Some(y)) = (a.number(), b.number()) else {
        return Err(Trouble::Type(format!(
            "`{a}` and `{b}` are not both numbers"
        )));
    };
    if y == 0.0
        && matches!(
            operator,
            Operator::Divide | Operator::FloorDivide | Operator::Modulo
        )
    {
        return Err(by_zero());
    }
    Ok(Operand::Float(match operator {
        Operator::Add => x + y,
        Operator::Subtract => x - y,
        Operator::Multiply => x * y,
        Operator::Divide => x / y,
        Operator::FloorDivide => (x / y).floor(),
        Operator::Modulo => x - y * (x / y).floor(),
        Operator::Power => x.powf(y),
    }))
}

fn call<'a>(
    function: Function,
    arguments: &'a [Expression],
    slots: &'a [Value],
) -> Result<Operand<'a>, Trouble> {
    let mut best: Option<(f64, Operand<'a>)> = None;
    for argument in arguments {
        let value = argument.value(slots)?;
        let Some(number) = value.number() else {
            return Err(Trouble::Type(format!("'{value}' is no number")));
        };
        let is_better = best.is_none_or(|(b, _)| match function {
            Function::Min => number < b,
            Function::Max => number > b,
            Function::Abs => false,
        });
        if is_better {
            best = Some((number, value));
        }
    }
    let (_, found) = best.ok_or_else(|| Trouble::Type("a function without arguments".into()))?;
    Ok(match (function, found) {
        (Function::Abs, Operand::Float(f)) => Operand::Float(f.abs()),
        (Function::Abs, other) => Operand::Int(other.whole().unwrap_or(0).abs()),
        _ => found,
    })
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Name(String),
    Text(String),
    Number(Value),
    Sign(&'static str),
}

impl Token {
    fn written(&self) -> String {
        match self {
            Token::Name(name) => name.clone(),
            Token::Text(text) => format!("'{text}'"),
            Token::Number(value) => value.to_string(),
            Token::Sign(sign) => (*sign).into(),
        }
    }
}

type Tokens = Vec<(Token, Range<usize>)>;

fn tokens(text: &str) -> Result<Tokens, SpaceError> {
    const SIGNS: [&str; 21] = [
        "**", "//", "<=", ">=", "==", "!=", "&&", "||", "<", ">", "+", "-", "*", "/", "%", "(",
        ")", "[", "]", ",", "!",
    ];
    let mut found = vec![];
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        let length = if c.is_whitespace() {
            at += c.len_utf8();
            continue;
        } else if c.is_alphabetic() || c == '_' {
            let length = rest
                .find(|c: char| !c.is_alphanumeric() && c != '_')
                .unwrap_or(rest.len());
            found.push((Token::Name(rest[..length].into()), at..at + length));
            length
        } else if c.is_ascii_digit() || c == '.' {
            let mut length = rest
                .find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_')
                .unwrap_or(rest.len());
            if rest[length..].starts_with(['e', 'E']) {
                let tail = rest[length + 1..].trim_start_matches(['+', '-']);
                let digits = tail
                    .find(|c: char| !c.is_ascii_digit())
                    .unwrap_or(tail.len());
                length = rest.len() - tail.len() + digits;
            }
            let written = rest[..length].replace('_', "");
            let value = written
                .parse()
                .map(Value::Int)
                .or_else(|_| written.parse().map(Value::Float));
            let value =
                value.map_err(|_| error(format!("`{written}` is no number"), at..at + length))?;
            found.push((Token::Number(value), at..at + length));
            length
        } else if c == '\'' || c == '"' {
            let end = rest[1..]
                .find(c)
                .ok_or_else(|| error("the text has no end", at..text.len()))?;
            found.push((Token::Text(rest[1..=end].into()), at..at + end + 2));
            end + 2
        } else {
            let sign = SIGNS.iter().find(|sign| rest.starts_with(**sign));
            let sign = sign
                .ok_or_else(|| error(format!("`{c}` means nothing here"), at..at + c.len_utf8()))?;
            found.push((Token::Sign(sign), at..at + sign.len()));
            sign.len()
        };
        at += length;
    }
    Ok(found)
}

/// Recursive descent, one function a level of precedence, weakest first, as in the Python reference §6.17.
struct Parser<'a> {
    text: &'a str,
    tokens: Tokens,
    at: usize,
    parameters: &'a [Parameter],
    reads: Vec<usize>,
    depth: usize,
}

impl Parser<'_> {
    fn range(&self) -> Range<usize> {
        self.tokens
            .get(self.at)
            .map_or(self.text.len()..self.text.len(), |(_, range)| range.clone())
    }

    fn takes(&mut self, written: &str) -> bool {
        let is_next = match self.tokens.get(self.at) {
            Some((Token::Sign(sign), _)) => *sign == written,
            Some((Token::Name(name), _)) => name == written,
            _ => false,
        };
        self.at += usize::from(is_next);
        is_next
    }

    fn wants(&mut self, written: &str) -> Result<(), SpaceError> {
        let range = self.range();
        if self.takes(written) {
            Ok(())
        } else {
            Err(error(format!("`{written}` is missing"), range))
        }
    }

    fn choice(&mut self) -> Result<Expression, SpaceError> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(error("the expression is nested too deeply", self.range()));
        }
        let yes = self.or()?;
        let found = if self.takes("if") {
            let condition = Box::new(self.or()?);
            self.wants("else")?;
            Expression::Choice {
                condition,
                yes: Box::new(yes),
                no: Box::new(self.choice()?),
            }
        } else {
            yes
        };
        self.depth -= 1;
        Ok(found)
    }

    fn or(&mut self) -> Result<Expression, SpaceError> {
        let mut parts = vec![self.and()?];
        while self.takes("or") || self.takes("||") {
            parts.push(self.and()?);
        }
        Ok(if parts.len() == 1 {
            parts.remove(0)
        } else {
            Expression::Or(parts)
        })
    }

    fn and(&mut self) -> Result<Expression, SpaceError> {
        let mut parts = vec![self.not()?];
        while self.takes("and") || self.takes("&&") {
            parts.push(self.not()?);
        }
        Ok(if parts.len() == 1 {
            parts.remove(0)
        } else {
            Expression::And(parts)
        })
    }

    fn not(&mut self) -> Result<Expression, SpaceError> {
        let mut is_negated = false;
        while self.takes("not") || self.takes("!") {
            is_negated = !is_negated;
        }
        let inner = self.chain()?;
        Ok(if is_negated {
            Expression::Not(Box::new(inner))
        } else {
            inner
        })
    }

    fn chain(&mut self) -> Result<Expression, SpaceError> {
        const SIGNS: [(&str, Comparison); 7] = [
            ("<=", Comparison::LessOrEqual),
            (">=", Comparison::GreaterOrEqual),
            ("<", Comparison::Less),
            (">", Comparison::Greater),
            ("==", Comparison::Equal),
            ("!=", Comparison::Unequal),
            ("in", Comparison::In),
        ];
        let first = self.sum()?;
        let mut rest = vec![];
        loop {
            let sign = SIGNS
                .iter()
                .find(|(sign, _)| self.takes(sign))
                .map(|(_, c)| *c);
            let comparison = match sign {
                Some(comparison) => comparison,
                None if self.takes("not") => {
                    self.wants("in")?;
                    Comparison::NotIn
                }
                None => break,
            };
            let right = match comparison {
                Comparison::In | Comparison::NotIn => self.list()?,
                _ => self.sum()?,
            };
            rest.push((comparison, right));
        }
        Ok(if rest.is_empty() {
            first
        } else {
            Expression::Chain(Box::new(first), rest)
        })
    }

    fn list(&mut self) -> Result<Expression, SpaceError> {
        let range = self.range();
        let close = if self.takes("(") {
            ")"
        } else if self.takes("[") {
            "]"
        } else {
            return Err(error("`in` wants a list: x in (1, 2, 4)", range));
        };
        let mut items = vec![];
        while !self.takes(close) {
            items.push(self.choice()?);
            if !self.takes(",") {
                self.wants(close)?;
                break;
            }
        }
        Ok(Expression::List(items))
    }

    fn sum(&mut self) -> Result<Expression, SpaceError> {
        let mut left = self.product()?;
        loop {
            let operator = match () {
                () if self.takes("+") => Operator::Add,
                () if self.takes("-") => Operator::Subtract,
                () => return Ok(left),
            };
            left = Expression::Binary(operator, Box::new(left), Box::new(self.product()?));
        }
    }

    fn product(&mut self) -> Result<Expression, SpaceError> {
        let mut left = self.negation()?;
        loop {
            let operator = match () {
                () if self.takes("*") => Operator::Multiply,
                () if self.takes("//") => Operator::FloorDivide,
                () if self.takes("/") => Operator::Divide,
                () if self.takes("%") => Operator::Modulo,
                () => return Ok(left),
            };
            left = Expression::Binary(operator, Box::new(left), Box::new(self.negation()?));
        }
    }

    fn negation(&mut self) -> Result<Expression, SpaceError> {
        let mut is_negated = false;
        loop {
            if self.takes("-") {
                is_negated = !is_negated;
            } else if !self.takes("+") {
                break;
            }
        }
        let inner = self.power()?;
        Ok(if is_negated {
            Expression::Negate(Box::new(inner))
        } else {
            inner
        })
    }

    fn power(&mut self) -> Result<Expression, SpaceError> {
        let base = self.atom()?;
        if !self.takes("**") {
            return Ok(base);
        }
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(error("the expression is nested too deeply", self.range()));
        }
        // Binds more tightly than a minus on its left, less than one on its right; right-associative.
        let exponent = self.negation()?;
        self.depth -= 1;
        Ok(Expression::Binary(
            Operator::Power,
            Box::new(base),
            Box::new(exponent),
        ))
    }

    fn atom(&mut self) -> Result<Expression, SpaceError> {
        let range = self.range();
        if self.takes("(") {
            let inner = self.choice()?;
            self.wants(")")?;
            return Ok(inner);
        }
        let Some((token, _)) = self.tokens.get(self.at).cloned() else {
            return Err(error("the expression ends too early", range));
        };
        self.at += 1;
        match token {
            Token::Number(value) => Ok(Expression::Constant(value)),
            Token::Text(text) => Ok(Expression::Constant(Value::Text(text))),
            Token::Name(name) => self.name(&name, range),
            Token::Sign(sign) => Err(error(format!("`{sign}` is unexpected here"), range)),
        }
    }

    fn name(&mut self, name: &str, range: Range<usize>) -> Result<Expression, SpaceError> {
        let function = match name {
            "True" | "true" => return Ok(Expression::Constant(Value::Bool(true))),
            "False" | "false" => return Ok(Expression::Constant(Value::Bool(false))),
            "min" => Some(Function::Min),
            "max" => Some(Function::Max),
            "abs" => Some(Function::Abs),
            _ => None,
        };
        if let Some(function) = function
            && self.takes("(")
        {
            let mut arguments = vec![self.choice()?];
            while self.takes(",") {
                arguments.push(self.choice()?);
            }
            self.wants(")")?;
            if function == Function::Abs && arguments.len() != 1 {
                return Err(error("`abs` takes one argument", range));
            }
            return Ok(Expression::Call(function, arguments));
        }
        match self.parameters.iter().position(|p| p.name == name) {
            Some(slot) => {
                self.reads.push(slot);
                Ok(Expression::Slot(slot))
            }
            None => {
                let names: Vec<&str> = self.parameters.iter().map(|p| p.name.as_str()).collect();
                let near = super::nearest(name, &names);
                let mut wrong = error(format!("unknown parameter `{name}`"), range);
                let hint = near.map_or_else(String::new, |near| format!(" (did you mean {near}?)"));
                wrong.help = Some(format!("there are {}{hint}", names.join(", ")));
                Err(wrong)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parameters() -> Vec<Parameter> {
        let ints = |name: &str| Parameter {
            name: name.into(),
            values: (-9..=9).map(Value::Int).collect(),
        };
        let texts = Parameter {
            name: "s".into(),
            values: vec![Value::Text("a".into()), Value::Text("b".into())],
        };
        vec![ints("x"), ints("y"), texts]
    }

    fn admits(text: &str, x: i64, y: i64) -> Result<bool, String> {
        let restriction = Restriction::parse(text, &parameters()).map_err(|e| e.message)?;
        restriction.admits(&[Value::Int(x), Value::Int(y), Value::Text("a".into())])
    }

    #[test]
    fn python_decides_the_same() {
        // python3 -c "x, y, s = 7, -3, 'a'; print([bool(eval(e)) for e in EXPRESSIONS])" with these very texts.
        let cases = [
            ("x // y == -3", true),
            ("x % y == -2", true),
            ("x / 2 == 3.5", true),
            ("-2 ** 2 == -4", true),
            ("2 ** -1 == 0.5", true),
            ("2 ** 3 ** 2 == 512", true),
            ("1 < x < 8", true),
            ("1 < x > 8", false),
            ("not x == 7 or y", true),
            ("x if y > 0 else 0", false),
            ("x in (1, 7)", true),
            ("x not in [1, 7]", false),
            ("s in ('a', 'c') and s != 'b'", true),
            (
                "min(x, y, 4) == -3 and max(x, y) == 7 and abs(y) == 3",
                true,
            ),
            ("x * y <= -21 and (x + y) % 2 == 0", true),
            ("True and not False", true),
            ("x == 7.0", true),
        ];
        for (text, expected) in cases {
            assert_eq!(admits(text, 7, -3), Ok(expected), "{text}");
        }
    }

    #[test]
    fn mistakes_are_errors_and_not_false() {
        assert!(
            admits("x % y == 0", 7, 0)
                .unwrap_err()
                .contains("divided by zero")
        );
        assert!(
            admits("x ** 99 > 0", 9, 0)
                .unwrap_err()
                .contains("too large")
        );
        let wrong = [
            ("z > 1", "unknown parameter `z`"),
            ("x >", "ends too early"),
            ("x > 1 y", "`y` is unexpected"),
            ("s + 1 > 2", "not both numbers"),
            ("s > 1", "cannot be compared"),
            ("x in 3", "wants a list"),
            ("(x", "`)` is missing"),
            ("x $ 1", "means nothing"),
            ("'abc", "no end"),
        ];
        for (text, expected) in wrong {
            let error = Restriction::parse(text, &parameters()).unwrap_err();
            assert!(
                error.message.contains(expected),
                "{text}: {}",
                error.message
            );
            assert!(error.end <= text.len() && error.start <= error.end);
        }
        assert!(Restriction::parse(&"(".repeat(10_000), &parameters()).is_err());
        assert!(Restriction::parse(&"2**".repeat(10_000), &parameters()).is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "[xyz0-9a-z ()<>=!+*/%,'.-]{0,60}") {
            if let Ok(restriction) = Restriction::parse(&text, &parameters()) {
                let _ = restriction.admits(&[Value::Int(3), Value::Int(0), Value::Text("a".into())]);
            }
        }

        #[test]
        fn floors_and_remainders_belong_together(x in -99i64..99, y in -99i64..99) {
            prop_assume!(y != 0);
            prop_assert_eq!(admits("(x // y) * y + x % y == x and 0 <= (x % y) * abs(y) // y < abs(y)", x, y), Ok(true));
        }
    }
}
