//! Restrictions: Python-syntax boolean expressions over tuning parameters, parsed once. They are data: nothing is ever handed to
//! an interpreter. How they are read is in `parse`, what they mean in `evaluate`.
use super::arithmetic::Operand;
use super::evaluate::{Note, Partial, Slots};
use super::parse;
use super::{Parameter, SpaceError};
use crate::value::Value;

/// A parsed restriction.
#[derive(Clone, Debug, PartialEq)]
pub struct Restriction {
    pub text: String,
    pub(super) root: Expression,
    /// Indices of the parameters that it reads, ascending.
    pub reads: Vec<usize>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expression {
    Constant(Value),
    /// Value of a parameter.
    Slot(usize),
    Not(Box<Expression>),
    Negate(Box<Expression>),
    /// The value of the first part that is false, else of the last.
    And(Vec<Expression>),
    /// The value of the first part that is true, else of the last.
    Or(Vec<Expression>),
    Compare(Comparison, Box<Expression>, Box<Expression>),
    In {
        is_negated: bool,
        left: Box<Expression>,
        items: Vec<Expression>,
    },
    /// Terms with their signs. Of whole numbers they may be added in any order.
    Sum {
        terms: Vec<(Sign, Expression)>,
        is_whole: bool,
    },
    Product {
        factors: Vec<Expression>,
        is_whole: bool,
    },
    Binary(Operator, Box<Expression>, Box<Expression>),
    Choice {
        condition: Box<Expression>,
        yes: Box<Expression>,
        no: Box<Expression>,
    },
    Call(Function, Vec<Expression>),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Sign {
    Plus,
    Minus,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Comparison {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    Unequal,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    FloorDivide,
    Modulo,
    Power,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Function {
    Min,
    Max,
    Abs,
}

impl Restriction {
    /// # Errors
    /// Position (bytes in `text`) and reason: syntax, an unknown name, operands of the wrong type.
    pub fn parse(text: &str, parameters: &[Parameter]) -> Result<Restriction, SpaceError> {
        let root = parse::expression(text, parameters)?;
        let mut reads = vec![];
        root.slots(&mut reads);
        reads.sort_unstable();
        reads.dedup();
        Ok(Restriction {
            text: text.into(),
            root,
            reads,
        })
    }

    /// Whether these values, one a parameter, satisfy it.
    ///
    /// # Errors
    /// Division by zero, overflow: a mistake in the restriction, never simply false.
    pub fn admits(&self, values: &[Value]) -> Result<bool, String> {
        let slots: Vec<_> = values
            .iter()
            .map(|v| Partial::Known(Operand::of(v)))
            .collect();
        self.holds(&slots, &mut Note::default())
    }

    /// What the expression comes to as a whole number: of a grid, a block, a size.
    ///
    /// # Errors
    /// Division by zero, overflow, a fraction, a text.
    pub fn whole(&self, values: &[Value]) -> Result<i64, String> {
        let slots: Vec<_> = values
            .iter()
            .map(|v| Partial::Known(Operand::of(v)))
            .collect();
        match self.root.value(&slots) {
            Partial::Known(Operand::Float(f)) if f.fract() == 0.0 && f.abs() < 9e15 => Ok(f as i64),
            Partial::Known(value) => value
                .whole()
                .ok_or_else(|| format!("`{}` is no whole number", self.text)),
            Partial::Fails(fault) => Err(format!("`{}`: {fault}", self.text)),
            Partial::Open(_) => unreachable!("every parameter has a value"),
        }
    }

    /// The same of parameters that all have a value.
    pub(super) fn holds<'a>(
        &'a self,
        slots: Slots<'a, '_>,
        note: &mut Note,
    ) -> Result<bool, String> {
        match self.root.truth(slots, note) {
            Partial::Known(value) => Ok(value.is_true()),
            Partial::Fails(fault) => Err(format!("`{}`: {fault}", self.text)),
            Partial::Open(_) => unreachable!("every parameter has a value"),
        }
    }
}

impl Expression {
    /// Which parameters it reads, as often as it does.
    pub(super) fn slots(&self, found: &mut Vec<usize>) {
        if let Expression::Slot(i) = self {
            found.push(*i);
        }
        self.parts(&mut |part| part.slots(found));
    }

    pub(super) fn height(&self) -> usize {
        let mut highest = 0;
        self.parts(&mut |part| highest = highest.max(part.height()));
        highest + 1
    }

    fn parts(&self, see: &mut dyn FnMut(&Expression)) {
        match self {
            Expression::Constant(_) | Expression::Slot(_) => {}
            Expression::Not(inner) | Expression::Negate(inner) => see(inner),
            Expression::And(all)
            | Expression::Or(all)
            | Expression::Product { factors: all, .. }
            | Expression::Call(_, all) => all.iter().for_each(see),
            Expression::Sum { terms, .. } => terms.iter().for_each(|(_, part)| see(part)),
            Expression::In { left, items, .. } => {
                see(left);
                items.iter().for_each(see);
            }
            Expression::Compare(_, a, b) | Expression::Binary(_, a, b) => {
                see(a);
                see(b);
            }
            Expression::Choice { condition, yes, no } => {
                see(condition);
                see(yes);
                see(no);
            }
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::space::evaluate::Range;
    use proptest::prelude::*;

    /// Parameters of all types.
    pub(in crate::space) fn parameters() -> Vec<Parameter> {
        let of = |name: &str, values: Vec<Value>| Parameter {
            name: name.into(),
            values,
        };
        let floats = [-2.5, -1.0, 0.1, 0.0, 1.0, 0.3, 7.5, 1e-3];
        let texts = ["a", "bc", ""];
        vec![
            of("x", (-9..=9).map(Value::Int).collect()),
            of("y", (-9..=9).map(Value::Int).collect()),
            of("f", floats.map(Value::Float).to_vec()),
            of("b", vec![Value::Bool(true), Value::Bool(false)]),
            of("s", texts.map(|t| Value::Text(t.into())).to_vec()),
        ]
    }

    /// Values of those parameters, an expression, and what Python makes of it; written by benches/peers/expressions.py.
    pub(in crate::space) fn python() -> Vec<(Vec<Value>, &'static str, Option<bool>)> {
        let line = |line: &'static str| {
            let fields: Vec<&str> = line.split('\t').collect();
            let values = vec![
                Value::Int(fields[0].parse().unwrap()),
                Value::Int(fields[1].parse().unwrap()),
                Value::Float(fields[2].parse().unwrap()),
                Value::Bool(fields[3] == "True"),
                Value::Text(fields[4].into()),
            ];
            let found = match fields[6] {
                "True" => Some(true),
                "False" => Some(false),
                "ZeroDivisionError" => None,
                other => panic!("{other}"),
            };
            (values, fields[5], found)
        };
        let table = include_str!("../../tests/data/python_expressions.tsv");
        table.lines().map(line).collect()
    }

    fn admits(text: &str, x: i64, y: i64) -> Result<bool, String> {
        let restriction = Restriction::parse(text, &parameters()).map_err(|e| e.message)?;
        restriction.admits(&[
            Value::Int(x),
            Value::Int(y),
            Value::Float(0.3),
            Value::Bool(true),
            Value::Text("a".into()),
        ])
    }

    #[test]
    fn python_decides_the_same() {
        for (values, text, expected) in python() {
            let restriction = Restriction::parse(text, &parameters()).unwrap();
            let found = restriction.admits(&values);
            assert_eq!(
                found.clone().ok(),
                expected,
                "{text} at {values:?}: {found:?}"
            );
        }
    }

    #[test]
    fn pythons_corners_are_kept() {
        // python3 -c "x, y = 7, -3; print([bool(eval(e)) for e in EXPRESSIONS])" with these very texts.
        let cases = [
            ("x // y == -3 and x % y == -2", true),
            ("1.0 // 0.1 == 9.0 and 1.0 % 0.1 > 0.09", true),
            ("-1.0 // 0.1 == -10.0 and -7.5 % 2 == 0.5", true),
            (
                "-2 ** 2 == -4 and 2 ** -1 == 0.5 and 2 ** 3 ** 2 == 512",
                true,
            ),
            ("9007199254740993 == 9007199254740992.0", false),
            ("9007199254740993 > 9007199254740992.0", true),
            ("(x or 5) == 7 and (0 or 5) == 5 and (x and 5) == 5", true),
            ("1 < x < 8 and not 1 < x > 8", true),
            ("not x == 7 or y", true),
            ("x if y > 0 else 0", false),
            ("0 < x in (1, 7)", true),
            ("x not in [1, 7]", false),
            ("s in ('a', 'c') and s != 'b' and s < 'b'", true),
            ("True + True == 2 and -True == -1 and x == 7.0", true),
            ("1_000 == 1e3 and .5 + 1. == 1.5", true),
            ("'a' == 1", false),
        ];
        for (text, expected) in cases {
            assert_eq!(admits(text, 7, -3), Ok(expected), "{text}");
        }
    }

    #[test]
    fn mistakes_are_errors_and_not_false() {
        let wrong = [
            ("x % y == 0", "divided by zero"),
            ("x / y > 1", "divided by zero"),
            ("x // y > 1", "divided by zero"),
            ("0.0 ** (x - 8) == 1", "divided by zero"),
            ("x > 0 and 1 % y == 0", "divided by zero"),
            ("x ** 99 > 0", "too large"),
            ("x ** 22 * x > 0", "too large"),
            ("(-0.5) ** 0.5 > 0", "not real"),
        ];
        for (text, expected) in wrong {
            let message = admits(text, 7, 0).unwrap_err();
            assert!(message.contains(expected), "{text}: {message}");
        }
        assert_eq!(admits("y == 0 or x % y == 0", 7, 0), Ok(true));
    }

    #[test]
    fn what_is_wrong_is_pointed_at() {
        let wrong = [
            ("x > 0 and z > 1", "unknown parameter `z`", "z"),
            ("x >", "ends too early", ""),
            ("x > 1 y", "`y` is unexpected", "y"),
            ("x + s + 1 > 2", "`+` wants numbers", "s"),
            (
                "x * ('a' if b else 'c') > 2",
                "`*` wants numbers",
                "('a' if b else 'c')",
            ),
            ("-s == 1", "`-` wants numbers", "s"),
            ("max(x, s) == 1", "`max` wants numbers", "s"),
            ("x > 0 and s > y * 2", "cannot be compared", "s > y * 2"),
            ("x in 3", "wants a list", "3"),
            ("x in (1, 2) < 3", "`<` is unexpected", "<"),
            ("min(x) > 1", "two arguments or more", "min(x)"),
            ("abs(x, y) > 1", "takes one argument", "abs(x, y)"),
            ("(x", "`)` is missing", ""),
            ("x if y", "`else` is missing", ""),
            ("x $ 1", "means nothing", "$"),
            ("x > 'abc", "no end", "'abc"),
            (
                "x > 99999999999999999999",
                "too large",
                "99999999999999999999",
            ),
            ("x > 1.2.3", "is no number", "1.2.3"),
        ];
        for (text, expected, place) in wrong {
            let error = Restriction::parse(text, &parameters()).unwrap_err();
            assert!(
                error.message.contains(expected),
                "{text}: {}",
                error.message
            );
            assert_eq!(&text[error.start..error.end], place, "{text}");
        }
        let near = Restriction::parse(
            "tile > 1",
            &[Parameter {
                name: "tiles".into(),
                values: vec![Value::Int(1)],
            }],
        );
        assert!(
            near.unwrap_err()
                .help
                .unwrap()
                .contains("did you mean tiles?")
        );
    }

    #[test]
    fn what_is_too_deep_or_too_long_is_refused() {
        let chains = [
            "(".repeat(10_000),
            "2**".repeat(10_000) + "2",
            "-".repeat(9_000) + "x > 0",
            "x".to_owned() + &" / 2".repeat(4_000) + " > 0",
            "f".to_owned() + &" * 1 / 1".repeat(2_000) + " > 0",
            "x > 0".to_owned() + &" and x > 0".repeat(3_000),
        ];
        for text in &chains {
            assert!(Restriction::parse(text, &parameters()).is_err() || text.starts_with('-'));
        }
        let long = "x".to_owned() + &" + 1".repeat(2_000) + " == 2007";
        assert_eq!(admits(&long, 7, 0), Ok(true));
    }

    #[test]
    fn what_is_said_before_all_is_bound_stays_true() {
        let parameters = parameters();
        for (values, text, _) in python() {
            let restriction = Restriction::parse(text, &parameters).unwrap();
            let whole = restriction.admits(&values).ok();
            for bound in 0..32_u32 {
                let slot = |i: usize| match bound >> i & 1 {
                    1 => Partial::Known(Operand::of(&values[i])),
                    _ => Partial::Open(Range::over(parameters[i].values.iter().map(Operand::of))),
                };
                let slots: Vec<_> = (0..values.len()).map(slot).collect();
                match restriction.root.truth(&slots, &mut Note::default()) {
                    Partial::Known(early) => assert_eq!(Some(early.is_true()), whole, "{text}"),
                    Partial::Fails(_) => assert_eq!(None, whole, "{text}"),
                    Partial::Open(_) => assert_ne!(bound, 31),
                }
            }
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "[xyzfs0-9a ()<>=!+*/%,'.inotr-]{0,60}") {
            match Restriction::parse(&text, &parameters()) {
                Ok(restriction) => {
                    let _ = restriction.admits(&python()[0].0);
                }
                Err(error) => prop_assert!(text.get(error.start..error.end).is_some()),
            }
        }

        #[test]
        fn floors_and_remainders_belong_together(x in -99i64..99, y in -99i64..99) {
            prop_assume!(y != 0);
            prop_assert_eq!(admits("(x // y) * y + x % y == x and 0 <= (x % y) * abs(y) // y < abs(y)", x, y), Ok(true));
        }
    }
}
