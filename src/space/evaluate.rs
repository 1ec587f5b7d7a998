//! What an expression means: as in Python, but a mistake is a fault and never false. Some parameters may have no value yet; then
//! the result is a range, and what it still depends on of the values that there are is written down: two choices of values with
//! the same note are continued by the same values.
use super::arithmetic::{Fault, Operand, calculate, compare, equal};
use super::restriction::{Comparison, Expression, Function, Operator, Sign};

/// An expression of which some parameters have no value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Partial<'a> {
    Known(Operand<'a>),
    Open(Range),
    Fails(Fault),
}

/// What an open expression can come to: numbers from `low` to `high`, or any text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Range {
    low: f64,
    high: f64,
    can_fail: bool,
}

/// Whole numbers beyond this have gaps as floats: a bound there bounds nothing.
const EXACT: f64 = 9_007_199_254_740_992.0;

const ANY: (f64, f64) = (f64::NEG_INFINITY, f64::INFINITY);

/// Of true and false.
const TRUTH: (f64, f64) = (0.0, 1.0);

/// Marks in a note. Texts are written as `TEXT` plus their length.
mod mark {
    pub(super) const OPEN: u64 = 0;
    pub(super) const FOLDED: u64 = 1;
    pub(super) const BOOL: u64 = 2;
    pub(super) const INT: u64 = 3;
    pub(super) const FLOAT: u64 = 4;
    pub(super) const FAILS: u64 = 8;
    pub(super) const TEXT: u64 = 16;
}

/// What an open expression depends on: marks and values that tell one choice of the values read from another. What no value was
/// read for is the same for all choices, and is left out.
#[derive(Debug, Default)]
pub(super) struct Note {
    pub(super) words: Vec<u64>,
    /// Values of parameters that were read.
    reads: usize,
}

/// What is known of each parameter: its value, or its range.
pub(super) type Slots<'a, 's> = &'s [Partial<'a>];

impl Note {
    fn write(&mut self, value: Operand<'_>) {
        let (mark, bits) = match value {
            Operand::Bool(b) => (mark::BOOL, u64::from(b)),
            Operand::Int(i) => (mark::INT, i as u64),
            Operand::Float(f) => (mark::FLOAT, f.to_bits()),
            Operand::Text(t) => (mark::TEXT + t.len() as u64, t.as_ptr() as u64),
        };
        self.words.extend([mark, bits]);
    }
}

impl Range {
    fn new((low, high): (f64, f64), can_fail: bool) -> Range {
        let lower = |x: f64| match x >= -EXACT {
            true => x.min(EXACT),
            false => f64::NEG_INFINITY,
        };
        let upper = |x: f64| match x <= EXACT {
            true => x.max(-EXACT),
            false => f64::INFINITY,
        };
        Range {
            low: lower(low),
            high: upper(high),
            can_fail,
        }
    }

    /// From the least to the largest of what a parameter may be.
    pub(super) fn over<'a>(values: impl Iterator<Item = Operand<'a>>) -> Range {
        let all = values.map(bounds).reduce(span);
        Range::new(all.unwrap_or(ANY), false)
    }

    fn bounds(self) -> (f64, f64) {
        (self.low, self.high)
    }
}

fn bounds(value: Operand<'_>) -> (f64, f64) {
    value.number().map_or(ANY, |x| (x, x))
}

fn span(a: (f64, f64), b: (f64, f64)) -> (f64, f64) {
    (a.0.min(b.0), a.1.max(b.1))
}

impl Partial<'_> {
    fn range(&self) -> Range {
        match *self {
            Partial::Known(value) => Range::new(bounds(value), false),
            Partial::Open(range) => range,
            Partial::Fails(_) => Range::new(ANY, true),
        }
    }
}

/// How an expression is used.
#[derive(Clone, Copy, PartialEq)]
enum Use {
    Value,
    /// Only whether it is true.
    Truth,
}

impl Expression {
    /// Whether it is true. If that is open, `note` gets what it depends on; else nothing.
    pub(super) fn truth<'a>(&'a self, slots: Slots<'a, '_>, note: &mut Note) -> Partial<'a> {
        let start = note.words.len();
        let found = self.partial(slots, Use::Truth, note);
        if !matches!(found, Partial::Open(_)) {
            note.words.truncate(start);
        }
        found
    }

    /// What it comes to.
    pub(super) fn value<'a>(&'a self, slots: Slots<'a, '_>) -> Partial<'a> {
        self.partial(slots, Use::Value, &mut Note::default())
    }

    /// Which parameters a condition still depends on: parts of a conjunction that hold in any case read nothing.
    pub(super) fn open_slots<'a>(&'a self, slots: Slots<'a, '_>, found: &mut Vec<usize>) {
        let Expression::And(parts) = self else {
            self.slots(found);
            return;
        };
        for part in parts {
            match part.truth(slots, &mut Note::default()) {
                Partial::Known(value) if value.is_true() => {}
                _ => part.slots(found),
            }
        }
    }

    /// Evaluates with a mark in the note that says what was found, so that the note can be told apart from any other.
    fn noted<'a>(&'a self, slots: Slots<'a, '_>, how: Use, note: &mut Note) -> Partial<'a> {
        let (start, reads) = (note.words.len(), note.reads);
        note.words.push(mark::OPEN);
        let found = self.partial(slots, how, note);
        if note.reads == reads {
            note.words.truncate(start);
            return found;
        }
        match found {
            Partial::Open(_) => {}
            Partial::Known(value) => {
                note.words.truncate(start);
                match how {
                    Use::Value => note.write(value),
                    Use::Truth => note.write(Operand::Bool(value.is_true())),
                }
            }
            Partial::Fails(fault) => {
                note.words.truncate(start);
                note.words.push(mark::FAILS + fault as u64);
            }
        }
        found
    }

    fn partial<'a>(&'a self, slots: Slots<'a, '_>, how: Use, note: &mut Note) -> Partial<'a> {
        match self {
            Expression::Constant(value) => Partial::Known(Operand::of(value)),
            Expression::Slot(i) => {
                let found = slots[*i];
                note.reads += usize::from(matches!(found, Partial::Known(_)));
                found
            }
            Expression::Not(inner) => match inner.partial(slots, Use::Truth, note) {
                Partial::Known(value) => Partial::Known(Operand::Bool(!value.is_true())),
                other => other,
            },
            Expression::Negate(inner) => match inner.partial(slots, Use::Value, note) {
                Partial::Known(value) => known(calculate(
                    Operator::Subtract,
                    // -0.0 is not 0 - 0.0.
                    match value {
                        Operand::Float(_) => Operand::Float(-0.0),
                        _ => Operand::Int(0),
                    },
                    value,
                )),
                Partial::Open(r) => Partial::Open(Range::new((-r.high, -r.low), r.can_fail)),
                fails => fails,
            },
            Expression::And(parts) => junction(parts, false, slots, how, note),
            Expression::Or(parts) => junction(parts, true, slots, how, note),
            Expression::Compare(comparison, a, b) => {
                let a = a.noted(slots, Use::Value, note);
                let b = b.noted(slots, Use::Value, note);
                compared(*comparison, a, b)
            }
            Expression::In {
                is_negated,
                left,
                items,
            } => {
                let left = left.noted(slots, Use::Value, note);
                let items: &mut dyn Iterator<Item = _> =
                    &mut items.iter().map(|item| item.noted(slots, Use::Value, note));
                contained(*is_negated, left, items)
            }
            Expression::Sum { terms, is_whole } => {
                let terms = terms.iter().map(|(sign, term)| match sign {
                    Sign::Plus => (Operator::Add, term),
                    Sign::Minus => (Operator::Subtract, term),
                });
                folded(terms, *is_whole, slots, note)
            }
            Expression::Product { factors, is_whole } => {
                let factors = factors.iter().map(|factor| (Operator::Multiply, factor));
                folded(factors, *is_whole, slots, note)
            }
            Expression::Binary(operator, a, b) => {
                let a = a.noted(slots, Use::Value, note);
                let b = b.noted(slots, Use::Value, note);
                match (a, b) {
                    (Partial::Known(a), Partial::Known(b)) => known(calculate(*operator, a, b)),
                    (Partial::Fails(fault), _) | (_, Partial::Fails(fault)) => {
                        Partial::Fails(fault)
                    }
                    _ => Partial::Open(reach(*operator, a.range(), b.range())),
                }
            }
            Expression::Choice { condition, yes, no } => {
                // If it is known and was read, its truth stays in the note: the branches may leave the same one.
                match condition.noted(slots, Use::Truth, note) {
                    Partial::Known(value) => {
                        let taken = if value.is_true() { yes } else { no };
                        taken.partial(slots, how, note)
                    }
                    Partial::Open(condition) => {
                        let yes = yes.noted(slots, how, note).range();
                        let no = no.noted(slots, how, note).range();
                        Partial::Open(Range::new(
                            span(yes.bounds(), no.bounds()),
                            condition.can_fail || yes.can_fail || no.can_fail,
                        ))
                    }
                    fails => fails,
                }
            }
            Expression::Call(function, arguments) => {
                let arguments: &mut dyn Iterator<Item = _> = &mut arguments
                    .iter()
                    .map(|argument| argument.noted(slots, Use::Value, note));
                called(*function, arguments)
            }
        }
    }
}

fn known(result: Result<Operand<'_>, Fault>) -> Partial<'_> {
    match result {
        Ok(value) => Partial::Known(value),
        Err(fault) => Partial::Fails(fault),
    }
}

/// `and` (stops at what is false) or `or` (stops at what is true): the value of the part that stops it, else of the last.
fn junction<'a>(
    parts: &'a [Expression],
    stops_at: bool,
    slots: Slots<'a, '_>,
    how: Use,
    note: &mut Note,
) -> Partial<'a> {
    let mut open: Option<bool> = None;
    let mut last = Operand::Bool(!stops_at);
    for (i, part) in parts.iter().enumerate() {
        let start = note.words.len();
        match part.noted(slots, how, note) {
            Partial::Open(range) => open = Some(open.unwrap_or(false) || range.can_fail),
            Partial::Known(value) if value.is_true() == stops_at => match open {
                None => return Partial::Known(value),
                Some(false) if how == Use::Truth => return Partial::Known(Operand::Bool(stops_at)),
                // Nothing behind it is evaluated.
                Some(_) => break,
            },
            Partial::Known(value) => {
                last = value;
                let is_read = note.words.len() > start;
                if is_read && (how == Use::Truth || i + 1 < parts.len()) {
                    note.words.truncate(start);
                    note.words.push(mark::FOLDED);
                }
            }
            Partial::Fails(fault) => match open {
                None => return Partial::Fails(fault),
                Some(_) => {
                    open = Some(true);
                    break;
                }
            },
        }
    }
    match (open, how) {
        (None, _) => Partial::Known(last),
        (Some(can_fail), Use::Truth) => Partial::Open(Range::new(TRUTH, can_fail)),
        (Some(can_fail), Use::Value) => Partial::Open(Range::new(ANY, can_fail)),
    }
}

/// A sum or a product. What is known is folded into one number: of whole numbers all of it, else what stands first, since floats
/// round in the order in which they are added.
fn folded<'a>(
    parts: impl Iterator<Item = (Operator, &'a Expression)>,
    is_whole: bool,
    slots: Slots<'a, '_>,
    note: &mut Note,
) -> Partial<'a> {
    let mut total: Option<Operand<'a>> = None;
    let mut open: Option<(Operator, Range)> = None;
    // Which parts are folded, 64 in a word.
    let mut folded = 0_u64;
    for (i, (operator, part)) in parts.enumerate() {
        if i % 64 == 63 {
            note.words.push(folded);
            folded = 0;
        }
        let at = note.words.len();
        let found = part.noted(slots, Use::Value, note);
        match found {
            Partial::Fails(fault) => return Partial::Fails(fault),
            Partial::Known(value) if is_whole || open.is_none() => {
                folded = folded << 1 | u64::from(note.words.len() > at);
                note.words.truncate(at);
                let sum = match (total, operator) {
                    (Some(total), _) => calculate(operator, total, value),
                    (None, Operator::Subtract) => calculate(operator, Operand::Int(0), value),
                    (None, _) => Ok(value),
                };
                match sum {
                    Ok(sum) => total = Some(sum),
                    Err(fault) => return Partial::Fails(fault),
                }
            }
            _ => {
                folded <<= 1;
                let range = match (open, is_whole, total) {
                    (Some((_, so_far)), _, _) => reach(operator, so_far, found.range()),
                    (None, false, Some(total)) => {
                        reach(operator, Partial::Known(total).range(), found.range())
                    }
                    (None, _, _) if operator == Operator::Subtract => {
                        reach(operator, Range::new((0.0, 0.0), false), found.range())
                    }
                    (None, _, _) => found.range(),
                };
                open = Some((operator, range));
            }
        }
    }
    match (open, total) {
        (None, Some(total)) => Partial::Known(total),
        (None, None) => unreachable!("a sum has terms"),
        (Some((_, range)), None) => Partial::Open(range),
        (Some((operator, range)), Some(total)) => {
            note.words.push(folded);
            note.write(total);
            if !is_whole {
                return Partial::Open(range);
            }
            let operator = match operator {
                Operator::Multiply => Operator::Multiply,
                _ => Operator::Add,
            };
            Partial::Open(reach(operator, Partial::Known(total).range(), range))
        }
    }
}

fn compared<'a>(comparison: Comparison, a: Partial<'a>, b: Partial<'a>) -> Partial<'a> {
    match (a, b) {
        (Partial::Known(a), Partial::Known(b)) => {
            known(compare(comparison, a, b).map(Operand::Bool))
        }
        (Partial::Fails(fault), _) | (_, Partial::Fails(fault)) => Partial::Fails(fault),
        _ => {
            let (a, b) = (a.range(), b.range());
            let is_less = a.high < b.low;
            let is_greater = a.low > b.high;
            let decided = match comparison {
                Comparison::Less => is_less
                    .then_some(true)
                    .or((a.low >= b.high).then_some(false)),
                Comparison::LessOrEqual => (a.high <= b.low)
                    .then_some(true)
                    .or(is_greater.then_some(false)),
                Comparison::Greater => is_greater
                    .then_some(true)
                    .or((a.high <= b.low).then_some(false)),
                Comparison::GreaterOrEqual => (a.low >= b.high)
                    .then_some(true)
                    .or(is_less.then_some(false)),
                Comparison::Equal => (is_less || is_greater).then_some(false),
                Comparison::Unequal => (is_less || is_greater).then_some(true),
            };
            let can_fail = a.can_fail || b.can_fail;
            match decided.filter(|_| !can_fail) {
                Some(decided) => Partial::Known(Operand::Bool(decided)),
                None => Partial::Open(Range::new(TRUTH, can_fail)),
            }
        }
    }
}

fn contained<'a>(
    is_negated: bool,
    left: Partial<'a>,
    items: &mut dyn Iterator<Item = Partial<'a>>,
) -> Partial<'a> {
    let (mut is_found, mut is_possible) = (false, false);
    let mut can_fail = left.range().can_fail;
    let mut is_open = matches!(left, Partial::Open(_));
    for item in items {
        match (left, item) {
            (Partial::Fails(fault), _) | (_, Partial::Fails(fault)) => {
                return Partial::Fails(fault);
            }
            (Partial::Known(a), Partial::Known(b)) => is_found |= equal(a, b),
            _ => {
                is_open = true;
                let (a, b) = (left.range(), item.range());
                is_possible |= !(a.high < b.low || a.low > b.high);
                can_fail |= b.can_fail;
            }
        }
    }
    let is_decided = !is_open || ((is_found || !is_possible) && !can_fail);
    match left {
        Partial::Fails(fault) => Partial::Fails(fault),
        _ if is_decided => Partial::Known(Operand::Bool(is_found != is_negated)),
        _ => Partial::Open(Range::new(TRUTH, can_fail)),
    }
}

fn called<'a>(function: Function, arguments: &mut dyn Iterator<Item = Partial<'a>>) -> Partial<'a> {
    let mut best: Option<Operand<'a>> = None;
    let mut range: Option<Range> = None;
    let mut is_open = false;
    for argument in arguments {
        match argument {
            Partial::Fails(fault) => return Partial::Fails(fault),
            Partial::Open(_) => is_open = true,
            Partial::Known(value) => {
                let is_better = match (best, function) {
                    (None, _) => value.number().map(|_| true).ok_or(Fault::NoNumber),
                    (Some(best), Function::Min) => compare(Comparison::Less, value, best),
                    (Some(best), _) => compare(Comparison::Greater, value, best),
                };
                match is_better {
                    Ok(true) => best = Some(value),
                    Ok(false) => {}
                    Err(fault) => return Partial::Fails(fault),
                }
            }
        }
        let own = argument.range();
        range = Some(range.map_or(own, |r| {
            let bounds = match function {
                Function::Min => (r.low.min(own.low), r.high.min(own.high)),
                _ => (r.low.max(own.low), r.high.max(own.high)),
            };
            Range::new(bounds, r.can_fail || own.can_fail)
        }));
    }
    let range = range.expect("a call has arguments");
    match (is_open, function, best) {
        (true, Function::Abs, _) => {
            let (low, high) = (range.low.abs(), range.high.abs());
            let least = if range.low <= 0.0 && range.high >= 0.0 {
                0.0
            } else {
                low.min(high)
            };
            Partial::Open(Range::new((least, low.max(high)), range.can_fail))
        }
        (true, _, _) => Partial::Open(range),
        (false, Function::Abs, Some(Operand::Float(f))) => Partial::Known(Operand::Float(f.abs())),
        (false, Function::Abs, Some(other)) => {
            let size = other.whole().and_then(i64::checked_abs);
            known(size.map(Operand::Int).ok_or(Fault::TooLarge))
        }
        (false, _, best) => Partial::Known(best.expect("a call has arguments")),
    }
}

/// Which numbers an operator can make of two ranges.
fn reach(operator: Operator, a: Range, b: Range) -> Range {
    let mut can_fail = a.can_fail || b.can_fail;
    let has_zero = b.low <= 0.0 && b.high >= 0.0;
    let bounds = match operator {
        Operator::Add => (a.low + b.low, a.high + b.high),
        Operator::Subtract => (a.low - b.high, a.high - b.low),
        Operator::Multiply if a.low >= 0.0 && b.low >= 0.0 => (a.low * b.low, a.high * b.high),
        Operator::Multiply => corners(a, b, |x, y| x * y),
        Operator::Divide | Operator::FloorDivide | Operator::Modulo if has_zero => {
            can_fail = true;
            ANY
        }
        Operator::Divide => corners(a, b, |x, y| x / y),
        // One more on either side: the quotient of the bounds is rounded.
        Operator::FloorDivide => {
            let (low, high) = corners(a, b, |x, y| (x / y).floor());
            (low - 1.0, high + 1.0)
        }
        Operator::Modulo if b.low > 0.0 && a.low >= 0.0 && a.high < b.low => a.bounds(),
        Operator::Modulo => span((0.0, 0.0), b.bounds()),
        Operator::Power => {
            can_fail = true;
            ANY
        }
    };
    let found = Range::new(bounds, can_fail);
    // Whole numbers may leave 64 bits.
    Range {
        can_fail: can_fail || !found.low.is_finite() || !found.high.is_finite(),
        ..found
    }
}

fn corners(a: Range, b: Range, of: impl Fn(f64, f64) -> f64) -> (f64, f64) {
    let all = [
        of(a.low, b.low),
        of(a.low, b.high),
        of(a.high, b.low),
        of(a.high, b.high),
    ];
    match all.iter().any(|x| x.is_nan()) {
        true => ANY,
        false => all.into_iter().map(|x| (x, x)).reduce(span).unwrap_or(ANY),
    }
}
