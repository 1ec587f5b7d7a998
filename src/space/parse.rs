//! Reads and type-checks restrictions: recursive descent, one function a level of precedence, weakest first, as in the Python
//! reference §6.17.
use super::restriction::{Comparison, Expression, Function, Operator, Sign};
use super::{Parameter, SpaceError};
use crate::value::Value;
use std::ops::Range;

/// Nesting beyond this is refused rather than recursed into.
const DEEPEST: usize = 64;

/// So are more tokens than this.
const LONGEST: usize = 10_000;

/// A tree higher than this cannot be evaluated on a thread's stack.
const HIGHEST: usize = 200;

/// # Errors
/// Position (bytes in `text`) and reason.
pub(super) fn expression(text: &str, parameters: &[Parameter]) -> Result<Expression, SpaceError> {
    let mut parser = Parser {
        text,
        tokens: tokens(text)?,
        at: 0,
        parameters,
        depth: 0,
    };
    if parser.tokens.len() > LONGEST {
        return Err(error("the expression is too long", 0..text.len()));
    }
    let root = parser.choice()?;
    match parser.tokens.get(parser.at) {
        Some((token, range)) => Err(error(
            format!("`{}` is unexpected here", token.written()),
            range.clone(),
        )),
        None if root.expression.height() > HIGHEST => {
            Err(error("the expression is too long", 0..text.len()))
        }
        None => Ok(root.expression),
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

/// What an expression's values are.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// Whole numbers; false and true are 0 and 1.
    Whole,
    Number,
    Text,
    /// Numbers and texts.
    Mixed,
}

impl Kind {
    fn of(value: &Value) -> Kind {
        match value {
            Value::Bool(_) | Value::Int(_) => Kind::Whole,
            Value::Float(_) => Kind::Number,
            Value::Text(_) => Kind::Text,
        }
    }

    fn join(self, other: Kind) -> Kind {
        match (self, other) {
            (a, b) if a == b => a,
            (Kind::Whole | Kind::Number, Kind::Whole | Kind::Number) => Kind::Number,
            _ => Kind::Mixed,
        }
    }
}

/// An expression with its kind and place.
struct Typed {
    expression: Expression,
    kind: Kind,
    range: Range<usize>,
}

impl Typed {
    /// # Errors
    /// Where it is a text.
    fn number(&self, sign: &str) -> Result<(), SpaceError> {
        match self.kind {
            Kind::Text => Err(error(
                format!("`{sign}` wants numbers, and this is a text"),
                self.range.clone(),
            )),
            _ => Ok(()),
        }
    }
}

fn across(a: &Range<usize>, b: &Range<usize>) -> Range<usize> {
    a.start..b.end
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
            let (value, length) = number(rest).map_err(|(why, length)| {
                error(format!("`{}` {why}", &rest[..length]), at..at + length)
            })?;
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

/// The number at the beginning of `rest`, as Python writes them, and its length.
///
/// # Errors
/// Why it is none, and the length of what was read.
pub fn number(rest: &str) -> Result<(Value, usize), (&'static str, usize)> {
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
    if written.bytes().all(|b| b.is_ascii_digit()) {
        let value = written.parse().map(Value::Int);
        return Ok((
            value.map_err(|_| ("is too large for 64 bits", length))?,
            length,
        ));
    }
    match written.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok((Value::Float(value), length)),
        _ => Err(("is no number", length)),
    }
}

struct Parser<'a> {
    text: &'a str,
    tokens: Tokens,
    at: usize,
    parameters: &'a [Parameter],
    depth: usize,
}

impl Parser<'_> {
    fn range(&self) -> Range<usize> {
        self.tokens
            .get(self.at)
            .map_or(self.text.len()..self.text.len(), |(_, range)| range.clone())
    }

    /// From `start` to the end of what was read last.
    fn since(&self, start: usize) -> Range<usize> {
        let end = self.at.checked_sub(1).and_then(|at| self.tokens.get(at));
        start..end.map_or(start, |(_, range)| range.end)
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

    fn deeper<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, SpaceError>,
    ) -> Result<T, SpaceError> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(error("the expression is nested too deeply", self.range()));
        }
        let found = read(self)?;
        self.depth -= 1;
        Ok(found)
    }

    fn choice(&mut self) -> Result<Typed, SpaceError> {
        self.deeper(|parser| {
            let yes = parser.junction(Junction::Or)?;
            if !parser.takes("if") {
                return Ok(yes);
            }
            let condition = parser.junction(Junction::Or)?;
            parser.wants("else")?;
            let no = parser.choice()?;
            Ok(Typed {
                kind: yes.kind.join(no.kind),
                range: across(&yes.range, &no.range),
                expression: Expression::Choice {
                    condition: Box::new(condition.expression),
                    yes: Box::new(yes.expression),
                    no: Box::new(no.expression),
                },
            })
        })
    }

    /// `or` binds less than `and`, and that less than `not`.
    fn junction(&mut self, junction: Junction) -> Result<Typed, SpaceError> {
        let words = match junction {
            Junction::Or => ["or", "||"],
            Junction::And => ["and", "&&"],
        };
        let part = |parser: &mut Self| match junction {
            Junction::Or => parser.junction(Junction::And),
            Junction::And => parser.not(),
        };
        let mut whole = part(self)?;
        let mut parts = vec![];
        while words.iter().any(|word| self.takes(word)) {
            let next = part(self)?;
            whole.kind = whole.kind.join(next.kind);
            whole.range = across(&whole.range, &next.range);
            parts.push(next.expression);
        }
        if !parts.is_empty() {
            parts.insert(0, whole.expression);
            whole.expression = match junction {
                Junction::Or => Expression::Or(parts),
                Junction::And => Expression::And(parts),
            };
        }
        Ok(whole)
    }

    fn not(&mut self) -> Result<Typed, SpaceError> {
        let start = self.range().start;
        let mut count = 0;
        while self.takes("not") || self.takes("!") {
            count += 1;
        }
        let inner = self.chain()?;
        if count == 0 {
            return Ok(inner);
        }
        let negated = Expression::Not(Box::new(inner.expression));
        Ok(Typed {
            kind: Kind::Whole,
            range: start..inner.range.end,
            expression: match count % 2 {
                1 => negated,
                _ => Expression::Not(Box::new(negated)),
            },
        })
    }

    /// a < b <= c is a < b and b <= c; nothing that is evaluated twice has an effect.
    fn chain(&mut self) -> Result<Typed, SpaceError> {
        const SIGNS: [(&str, Comparison); 6] = [
            ("<=", Comparison::LessOrEqual),
            (">=", Comparison::GreaterOrEqual),
            ("<", Comparison::Less),
            (">", Comparison::Greater),
            ("==", Comparison::Equal),
            ("!=", Comparison::Unequal),
        ];
        let mut left = self.sum()?;
        let start = left.range.start;
        let mut pairs = vec![];
        loop {
            let is_negated = self.takes("not");
            if is_negated || self.takes("in") {
                if is_negated {
                    self.wants("in")?;
                }
                pairs.push(Expression::In {
                    is_negated,
                    left: Box::new(left.expression),
                    items: self.list()?,
                });
                break;
            }
            let sign = SIGNS.iter().find(|(sign, _)| self.takes(sign));
            let Some(&(_, comparison)) = sign else {
                if pairs.is_empty() {
                    return Ok(left);
                }
                break;
            };
            let right = self.sum()?;
            let is_ordered = !matches!(comparison, Comparison::Equal | Comparison::Unequal);
            let has_text = |a: &Typed, b: &Typed| {
                a.kind == Kind::Text && matches!(b.kind, Kind::Whole | Kind::Number)
            };
            if is_ordered && (has_text(&left, &right) || has_text(&right, &left)) {
                return Err(error(
                    "a text and a number cannot be compared",
                    across(&left.range, &right.range),
                ));
            }
            pairs.push(Expression::Compare(
                comparison,
                Box::new(left.expression),
                Box::new(right.expression.clone()),
            ));
            left = right;
        }
        Ok(Typed {
            expression: match pairs.len() {
                1 => pairs.remove(0),
                _ => Expression::And(pairs),
            },
            kind: Kind::Whole,
            range: self.since(start),
        })
    }

    fn list(&mut self) -> Result<Vec<Expression>, SpaceError> {
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
            items.push(self.choice()?.expression);
            if !self.takes(",") {
                self.wants(close)?;
                break;
            }
        }
        Ok(items)
    }

    fn sum(&mut self) -> Result<Typed, SpaceError> {
        let mut whole = self.product()?;
        let mut terms = vec![];
        loop {
            let (written, sign) = match () {
                () if self.takes("+") => ("+", Sign::Plus),
                () if self.takes("-") => ("-", Sign::Minus),
                () => break,
            };
            whole.number(written)?;
            let next = self.product()?;
            next.number(written)?;
            whole.kind = whole.kind.join(next.kind);
            whole.range = across(&whole.range, &next.range);
            terms.push((sign, next.expression));
        }
        if !terms.is_empty() {
            terms.insert(0, (Sign::Plus, whole.expression));
            whole.expression = Expression::Sum {
                terms,
                is_whole: whole.kind == Kind::Whole,
            };
        }
        Ok(whole)
    }

    fn product(&mut self) -> Result<Typed, SpaceError> {
        let mut left = self.negation()?;
        loop {
            let (sign, operator) = match () {
                () if self.takes("*") => ("*", Operator::Multiply),
                () if self.takes("//") => ("//", Operator::FloorDivide),
                () if self.takes("/") => ("/", Operator::Divide),
                () if self.takes("%") => ("%", Operator::Modulo),
                () => return Ok(left),
            };
            left.number(sign)?;
            let right = self.negation()?;
            right.number(sign)?;
            let kind = match operator {
                Operator::Divide => Kind::Number,
                _ => left.kind.join(right.kind),
            };
            let is_whole = kind == Kind::Whole;
            let expression = match (operator, left.expression) {
                (Operator::Multiply, Expression::Product { mut factors, .. })
                    if is_whole || self.is_open_product(&left.range) =>
                {
                    factors.push(right.expression);
                    Expression::Product { factors, is_whole }
                }
                (Operator::Multiply, first) => Expression::Product {
                    factors: vec![first, right.expression],
                    is_whole,
                },
                (operator, first) => {
                    Expression::Binary(operator, Box::new(first), Box::new(right.expression))
                }
            };
            left = Typed {
                expression,
                kind,
                range: across(&left.range, &right.range),
            };
        }
    }

    /// Whether a product that was just read stands without parentheses, so that its factors may be followed by more.
    fn is_open_product(&self, range: &Range<usize>) -> bool {
        !self.text[range.clone()].starts_with('(')
    }

    fn negation(&mut self) -> Result<Typed, SpaceError> {
        let start = self.range().start;
        let (mut is_signed, mut is_negated) = (false, false);
        loop {
            if self.takes("-") {
                is_negated = !is_negated;
            } else if !self.takes("+") {
                break;
            }
            is_signed = true;
        }
        let mut inner = self.power()?;
        if !is_signed {
            return Ok(inner);
        }
        inner.number("-")?;
        inner.range.start = start;
        if is_negated {
            inner.expression = Expression::Negate(Box::new(inner.expression));
        }
        Ok(inner)
    }

    fn power(&mut self) -> Result<Typed, SpaceError> {
        let base = self.atom()?;
        if !self.takes("**") {
            return Ok(base);
        }
        base.number("**")?;
        // Binds more tightly than a minus on its left, less than one on its right; right-associative.
        let exponent = self.deeper(Self::negation)?;
        exponent.number("**")?;
        Ok(Typed {
            kind: match &exponent.expression {
                Expression::Constant(Value::Int(0..)) => base.kind,
                _ => Kind::Number,
            },
            range: across(&base.range, &exponent.range),
            expression: Expression::Binary(
                Operator::Power,
                Box::new(base.expression),
                Box::new(exponent.expression),
            ),
        })
    }

    fn atom(&mut self) -> Result<Typed, SpaceError> {
        let range = self.range();
        if self.takes("(") {
            let mut inner = self.choice()?;
            self.wants(")")?;
            inner.range = self.since(range.start);
            return Ok(inner);
        }
        let Some((token, _)) = self.tokens.get(self.at).cloned() else {
            return Err(error("the expression ends too early", range));
        };
        self.at += 1;
        let constant = |value: Value, range| Typed {
            kind: Kind::of(&value),
            expression: Expression::Constant(value),
            range,
        };
        match token {
            Token::Number(value) => Ok(constant(value, range)),
            Token::Text(text) => Ok(constant(Value::Text(text), range)),
            Token::Name(name) => match name.as_str() {
                "True" | "true" => Ok(constant(Value::Bool(true), range)),
                "False" | "false" => Ok(constant(Value::Bool(false), range)),
                _ => self.name(&name, range),
            },
            Token::Sign(sign) => Err(error(format!("`{sign}` is unexpected here"), range)),
        }
    }

    fn name(&mut self, name: &str, range: Range<usize>) -> Result<Typed, SpaceError> {
        let function = match name {
            "min" => Some(Function::Min),
            "max" => Some(Function::Max),
            "abs" => Some(Function::Abs),
            _ => None,
        };
        if let Some(function) = function
            && self.takes("(")
        {
            return self.call(function, name, range);
        }
        if let Some(slot) = self.parameters.iter().position(|p| p.name == name) {
            let kinds = self.parameters[slot].values.iter().map(Kind::of);
            return Ok(Typed {
                expression: Expression::Slot(slot),
                kind: kinds.reduce(Kind::join).unwrap_or(Kind::Mixed),
                range,
            });
        }
        let names: Vec<&str> = self.parameters.iter().map(|p| p.name.as_str()).collect();
        let near = super::nearest(name, &names);
        let hint = near.map_or_else(String::new, |near| format!(" (did you mean {near}?)"));
        let mut wrong = error(format!("unknown parameter `{name}`"), range);
        wrong.help = Some(format!("there are {}{hint}", names.join(", ")));
        Err(wrong)
    }

    fn call(
        &mut self,
        function: Function,
        name: &str,
        range: Range<usize>,
    ) -> Result<Typed, SpaceError> {
        let mut arguments = vec![];
        let mut kind: Option<Kind> = None;
        loop {
            let argument = self.choice()?;
            argument.number(name)?;
            kind = Some(kind.map_or(argument.kind, |kind| kind.join(argument.kind)));
            arguments.push(argument.expression);
            if !self.takes(",") {
                break;
            }
        }
        self.wants(")")?;
        let range = self.since(range.start);
        match (function, arguments.len()) {
            (Function::Abs, 1) | (Function::Min | Function::Max, 2..) => {}
            (Function::Abs, _) => return Err(error("`abs` takes one argument", range)),
            _ => {
                return Err(error(
                    format!("`{name}` takes two arguments or more"),
                    range,
                ));
            }
        }
        Ok(Typed {
            expression: Expression::Call(function, arguments),
            kind: kind.unwrap_or(Kind::Mixed),
            range,
        })
    }
}

#[derive(Clone, Copy)]
enum Junction {
    Or,
    And,
}
