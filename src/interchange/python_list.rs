//! The lists of T1's `Values`: literals, `range`, `list(range(…))`, sums of lists, and comprehensions over one name, which is what the
//! published files hold. Kernel Tuner hands these texts to `eval`; here they are data.
use crate::space::{Operator, calculate_values, number};
use crate::value::Value;

/// More values than this are a mistake, or an attack.
const MOST: usize = 65_535;

/// Nesting that is followed.
const DEEPEST: usize = 50;

/// # Errors
/// What is wrong, with its place in the text.
pub(super) fn parse(text: &str) -> Result<Vec<Value>, String> {
    let mut reader = Reader {
        text,
        at: 0,
        bound: vec![],
        depth: 0,
    };
    let values = reader.sum_of_lists()?;
    match reader.peek() {
        None => Ok(values),
        Some(_) => Err(reader.wrong("a list ends here")),
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    /// Names of the comprehensions around, with their values now.
    bound: Vec<(String, Value)>,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn wrong(&self, what: &str) -> String {
        let rest: String = self.text[self.at..].chars().take(12).collect();
        match rest.is_empty() {
            true => format!("`{}`: {what}, at its end", self.text),
            false => format!("`{}`: {what}, at `{rest}`", self.text),
        }
    }

    fn peek(&mut self) -> Option<char> {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
        self.text[self.at..].chars().next()
    }

    fn takes(&mut self, written: &str) -> bool {
        self.peek();
        let rest = &self.text[self.at..];
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let after = rest.strip_prefix(written);
        let is_cut = written.ends_with(is_word) && after.is_some_and(|a| a.starts_with(is_word));
        let found = after.is_some() && !is_cut;
        self.at += if found { written.len() } else { 0 };
        found
    }

    fn wants(&mut self, written: &str) -> Result<(), String> {
        match self.takes(written) {
            true => Ok(()),
            false => Err(self.wrong(&format!("`{written}` is missing"))),
        }
    }

    fn deeper<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, String>,
    ) -> Result<T, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(self.wrong("it is nested too deeply"));
        }
        let found = read(self);
        self.depth -= 1;
        found
    }

    fn sum_of_lists(&mut self) -> Result<Vec<Value>, String> {
        let mut all = self.list()?;
        while self.takes("+") {
            all.extend(self.list()?);
            if all.len() > MOST {
                return Err(self.wrong("there are too many values"));
            }
        }
        Ok(all)
    }

    fn list(&mut self) -> Result<Vec<Value>, String> {
        self.deeper(|reader| {
            if reader.takes("list") || reader.takes("tuple") || reader.takes("sorted") {
                reader.wants("(")?;
                let inner = reader.sum_of_lists()?;
                reader.wants(")")?;
                return Ok(inner);
            }
            if reader.takes("range") {
                return reader.range();
            }
            let close = match () {
                () if reader.takes("[") => "]",
                () if reader.takes("(") => ")",
                () => return Err(reader.wrong("a list is missing")),
            };
            if reader.takes(close) {
                return Ok(vec![]);
            }
            let start = reader.at;
            if let Some((name, over)) = reader.comprehension(start, close)? {
                return reader.each(start, close, name, over);
            }
            reader.items(close)
        })
    }

    fn items(&mut self, close: &str) -> Result<Vec<Value>, String> {
        let mut items = vec![];
        while !self.takes(close) {
            items.push(self.sum()?);
            if items.len() > MOST {
                return Err(self.wrong("there are too many values"));
            }
            if !self.takes(",") {
                self.wants(close)?;
                break;
            }
        }
        Ok(items)
    }

    /// Name and values of `… for NAME in LIST`, where that is what stands between the brackets; the reader is then behind it.
    fn comprehension(
        &mut self,
        start: usize,
        close: &str,
    ) -> Result<Option<(&'a str, Vec<Value>)>, String> {
        let mut depth = 0;
        let mut words = self.text[start..].char_indices();
        let found = words.find_map(|(i, c)| {
            match c {
                '[' | '(' => depth += 1,
                ']' | ')' if depth == 0 => return Some(None),
                ']' | ')' => depth -= 1,
                _ => {}
            }
            (depth == 0 && self.text[start + i..].starts_with(" for "))
                .then_some(Some(start + i + 5))
        });
        let Some(Some(at)) = found else {
            return Ok(None);
        };
        self.at = at;
        let name = self.name().ok_or_else(|| self.wrong("a name is missing"))?;
        self.wants("in")?;
        let over = self.sum_of_lists()?;
        if self.takes("if") || self.takes("for") {
            return Err(
                self.wrong("conditions and second loops are not read; write the values out")
            );
        }
        self.wants(close)?;
        Ok(Some((name, over)))
    }

    /// The expression at `start` for every value of `name`; the reader stays behind the comprehension.
    fn each(
        &mut self,
        start: usize,
        close: &str,
        name: &str,
        over: Vec<Value>,
    ) -> Result<Vec<Value>, String> {
        let (end, mut found) = (self.at, vec![]);
        for value in over {
            self.at = start;
            self.bound.push((name.to_owned(), value));
            found.push(self.sum()?);
            self.bound.pop();
            if !self.takes("for") {
                return Err(self.wrong(&format!("`for` or `{close}` is missing")));
            }
        }
        self.at = end;
        Ok(found)
    }

    fn range(&mut self) -> Result<Vec<Value>, String> {
        self.wants("(")?;
        let arguments = self.items(")")?;
        let whole: Option<Vec<i64>> = arguments
            .iter()
            .map(|v| match v {
                Value::Int(i) => Some(*i),
                _ => None,
            })
            .collect();
        let (start, stop, step) = match whole.as_deref() {
            Some([stop]) => (0, *stop, 1),
            Some([start, stop]) => (*start, *stop, 1),
            Some([start, stop, step]) if *step != 0 => (*start, *stop, *step),
            _ => return Err(self.wrong("`range` takes one to three whole numbers, the last not 0")),
        };
        let is_inside = |at: &i64| if step > 0 { *at < stop } else { *at > stop };
        let steps = std::iter::successors(Some(start), |at| at.checked_add(step));
        let found: Vec<Value> = steps
            .take_while(is_inside)
            .take(MOST + 1)
            .map(Value::Int)
            .collect();
        match found.len() > MOST {
            true => Err(self.wrong("there are too many values")),
            false => Ok(found),
        }
    }

    fn sum(&mut self) -> Result<Value, String> {
        let mut left = self.product()?;
        loop {
            let operator = match () {
                () if self.takes("+") => Operator::Add,
                () if self.takes("-") => Operator::Subtract,
                () => return Ok(left),
            };
            let right = self.product()?;
            left = self.calculate(operator, &left, &right)?;
        }
    }

    fn product(&mut self) -> Result<Value, String> {
        let mut left = self.power()?;
        loop {
            let operator = match () {
                () if self.takes("*") => Operator::Multiply,
                () if self.takes("//") => Operator::FloorDivide,
                () if self.takes("/") => Operator::Divide,
                () if self.takes("%") => Operator::Modulo,
                () => return Ok(left),
            };
            let right = self.power()?;
            left = self.calculate(operator, &left, &right)?;
        }
    }

    fn power(&mut self) -> Result<Value, String> {
        self.deeper(|reader| {
            if reader.takes("-") {
                let value = reader.power()?;
                return reader.calculate(Operator::Subtract, &Value::Int(0), &value);
            }
            let base = reader.atom()?;
            if !reader.takes("**") {
                return Ok(base);
            }
            let exponent = reader.power()?;
            reader.calculate(Operator::Power, &base, &exponent)
        })
    }

    fn atom(&mut self) -> Result<Value, String> {
        match self.peek() {
            Some('(') => {
                self.at += 1;
                let inner = self.deeper(Self::sum)?;
                self.wants(")")?;
                Ok(inner)
            }
            Some(quote @ ('\'' | '"')) => {
                let rest = &self.text[self.at + 1..];
                let end = rest
                    .find(quote)
                    .ok_or_else(|| self.wrong("the text has no end"))?;
                self.at += end + 2;
                Ok(Value::Text(rest[..end].to_owned()))
            }
            Some(c) if c.is_ascii_digit() || c == '.' => self.number(),
            _ => {
                let start = self.at;
                let name = self
                    .name()
                    .ok_or_else(|| self.wrong("a value is missing"))?;
                let bound = self.bound.iter().rev().find(|(n, _)| n == name);
                match (name, bound) {
                    ("True", _) => Ok(Value::Bool(true)),
                    ("False", _) => Ok(Value::Bool(false)),
                    (_, Some((_, value))) => Ok(value.clone()),
                    _ => {
                        self.at = start;
                        Err(self.wrong(&format!("`{name}` is unknown")))
                    }
                }
            }
        }
    }

    fn name(&mut self) -> Option<&'a str> {
        self.peek();
        let rest = &self.text[self.at..];
        let length = rest
            .find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(rest.len());
        let name = &rest[..length];
        self.at += length;
        (!name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit())).then_some(name)
    }

    fn number(&mut self) -> Result<Value, String> {
        let rest = &self.text[self.at..];
        let (value, length) = number(rest)
            .map_err(|(why, length)| self.wrong(&format!("`{}` {why}", &rest[..length])))?;
        self.at += length;
        Ok(value)
    }

    fn calculate(&self, operator: Operator, a: &Value, b: &Value) -> Result<Value, String> {
        calculate_values(operator, a, b)
            .ok_or_else(|| self.wrong(&format!("{operator:?} of {a} and {b} cannot be calculated")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn python_has_the_same_values() {
        // python3 -c "print([eval(e) for e in TEXTS])" with these very texts.
        let cases = [
            ("[16, 32, 48]", "16 32 48"),
            ("list(range(1, 9))", "1 2 3 4 5 6 7 8"),
            ("range(4)", "0 1 2 3"),
            ("[1, 2, 4] + list(range(32, 96+1, 32))", "1 2 4 32 64 96"),
            ("[2**i for i in range(0, 6)]", "1 2 4 8 16 32"),
            ("[i*16 for i in range(1, 3+1)]", "16 32 48"),
            ("[8 - i // 3 for i in [1, 5, 9]]", "8 7 5"),
            (
                "[-7 // 2, -7 % 3, 7 // -2, 7 % -3, 2 ** -1, -2 ** 2]",
                "-4 2 -4 -2 0.5 -4",
            ),
            ("['a', \"b c\", True, 0.25, 1e-3]", "a b c true 0.25 0.001"),
            ("(1, 2,)", "1 2"),
            ("[]", ""),
            ("range(10, 0, -5)", "10 5"),
        ];
        for (text, expected) in cases {
            let values = parse(text).unwrap();
            let shown: Vec<String> = values.iter().map(ToString::to_string).collect();
            assert_eq!(shown.join(" "), expected, "{text}");
        }
    }

    #[test]
    fn nothing_is_ever_run() {
        let cases = [
            ("__import__('os').system('true')", "a list is missing"),
            ("[x, 1]", "`x` is unknown"),
            (
                "[i for i in range(9) if i % 2]",
                "conditions and second loops",
            ),
            ("range(10**12)", "too many values"),
            ("[1, 2", "`]` is missing"),
            ("[1] 2", "a list ends here"),
            ("[1 / 0]", "cannot be calculated"),
            ("range(1, 2, 0)", "`range` takes"),
            ("[9 ** 99]", "cannot be calculated"),
        ];
        for (text, expected) in cases {
            let error = parse(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
        assert!(parse(&"[".repeat(10_000)).is_err());
        assert!(parse(&format!("[{}1]", "-".repeat(10_000))).is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "[a-z0-9 ,()\\[\\]+*/%'.e-]{0,40}|.{0,20}|\\[[a-z0-9* ]{0,9} for [a-z] in range\\([0-9 ,-]{0,6}\\)\\]") {
            let _ = parse(&text);
        }
    }
}
