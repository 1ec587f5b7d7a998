//! Values into texts: `{name}` in arguments, environment and paths, `{{ name }}` in template files. A name that is unknown is an
//! error everywhere.
use crate::space::Configuration;
use crate::value::Value;
use minijinja::syntax::SyntaxConfig;
use std::collections::BTreeMap;
use std::path::Path;

/// The folder of one configuration, for everything that differs between configurations: `{scratch}`.
pub(super) const SCRATCH: &str = "scratch";

/// What placeholders stand for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Names<'a> {
    pub(super) configuration: &'a Configuration,
    pub(super) scratch: &'a Path,
}

impl Names<'_> {
    /// A parameter comes before the name that we add.
    fn value(&self, name: &str) -> Option<String> {
        match self.configuration.get(name) {
            Some(value) => Some(value.to_string()),
            None => (name == SCRATCH).then(|| self.scratch.to_string_lossy().into_owned()),
        }
    }

    /// Replaces `{name}` by its value; `{{` and `}}` are braces.
    pub(super) fn fill(&self, written: &str) -> Result<String, String> {
        self.fill_with(written, |value, _| value)
    }

    /// The same in a text that a shell reads: a value is always one word, or part of one, and never a command. The quotes that
    /// stand around a placeholder decide how; inside `$(…)` within double quotes they cannot be told, so write values outside.
    pub(super) fn fill_shell(&self, written: &str) -> Result<String, String> {
        self.fill_with(written, |value, before| match open_quote(before) {
            None => shell_words::quote(&value).into_owned(),
            Some('\'') => value.replace('\'', r"'\''"),
            Some(_) => {
                let special = |c: char| matches!(c, '"' | '\\' | '$' | '`');
                value
                    .chars()
                    .flat_map(|c| special(c).then_some('\\').into_iter().chain([c]))
                    .collect()
            }
        })
    }

    /// `write` gets a value and what has been written of the text before it.
    fn fill_with(
        &self,
        written: &str,
        write: impl Fn(String, &str) -> String,
    ) -> Result<String, String> {
        let mut out = String::with_capacity(written.len());
        // As written, without the values: quotes in values have been dealt with.
        let mut before = String::with_capacity(written.len());
        let mut rest = written;
        while let Some(at) = rest.find(['{', '}']) {
            let (plain, brace) = rest.split_at(at);
            out.push_str(plain);
            before.push_str(plain);
            if brace.starts_with("{{") || brace.starts_with("}}") {
                out.push_str(&brace[..1]);
                rest = &brace[2..];
                continue;
            }
            let end = brace.find('}').filter(|_| brace.starts_with('{'));
            let end = end.ok_or_else(|| {
                format!(
                    "`{written}` has a brace without its partner; a brace itself is {{{{ or }}}}"
                )
            })?;
            let name = &brace[1..end];
            let value = self
                .value(name)
                .ok_or_else(|| format!("unknown parameter `{name}` in `{written}`"))?;
            out.push_str(&write(value, &before));
            rest = &brace[end + 1..];
        }
        out.push_str(rest);
        Ok(out)
    }

    /// Renders a template file's text (minijinja); `named` is for the message.
    pub(super) fn render(&self, template: &str, named: &str) -> Result<String, String> {
        let mut engine = minijinja::Environment::new();
        engine.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
        // What is rendered may be a program or a configuration file: no character is lost or escaped.
        engine.set_syntax(
            SyntaxConfig::builder()
                .keep_trailing_newline(true)
                .build()
                .expect("the default delimiters"),
        );
        engine.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        let scratch = [(
            SCRATCH,
            minijinja::Value::from(self.scratch.to_string_lossy().into_owned()),
        )];
        let values = self.configuration.values().iter();
        let values = values.map(|(name, value)| (name.as_str(), typed(value)));
        let context: BTreeMap<&str, minijinja::Value> = scratch.into_iter().chain(values).collect();
        engine
            .render_named_str(named, template, context)
            .map_err(|error| {
                let names: Vec<&str> = self
                    .configuration
                    .values()
                    .iter()
                    .map(|(name, _)| name.as_str())
                    .collect();
                let mut why = format!("the template {error:#}");
                if error.kind() == minijinja::ErrorKind::UndefinedError {
                    why.push_str(&format!("; the parameters are {}", names.join(", ")));
                }
                why
            })
    }
}

/// With its type, so that a template can count and compare.
fn typed(value: &Value) -> minijinja::Value {
    match value {
        Value::Bool(v) => (*v).into(),
        Value::Int(v) => (*v).into(),
        Value::Float(v) => (*v).into(),
        Value::Text(v) => v.as_str().into(),
    }
}

/// The quote in which the end of a shell's text stands.
fn open_quote(text: &str) -> Option<char> {
    let mut open = None;
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match (open, c) {
            // Escapes the next character, but for single quotes nothing does.
            (None | Some('"'), '\\') => drop(characters.next()),
            (None, '\'' | '"') => open = Some(c),
            (Some(quote), _) if quote == c => open = None,
            _ => {}
        }
    }
    open
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods, reason = "asks a real shell")]
    use super::*;

    const NASTY: &str = "a'b\"c $HOME `id` \\; rm -rf {x} *";

    fn with<T>(text: &str, look: impl Fn(Names<'_>) -> T) -> T {
        let values = vec![
            ("tile".into(), Value::Int(64)),
            ("rate".into(), Value::Float(0.5)),
            ("text".into(), Value::Text(text.into())),
            ("on".into(), Value::Bool(true)),
        ];
        look(Names {
            configuration: &Configuration::new(values),
            scratch: Path::new("/s/1"),
        })
    }

    #[test]
    fn values_take_the_place_of_their_names() {
        with("x y", |names| {
            assert_eq!(
                names.fill("--t={tile},{rate} {{{on}}}"),
                Ok("--t=64,0.5 {true}".into())
            );
            assert_eq!(names.fill("{scratch}/{text}.c"), Ok("/s/1/x y.c".into()));
            for wrong in ["{tyle}", "{", "}", "{tile", "a } b", "{}"] {
                assert!(names.fill(wrong).unwrap_err().contains('`'), "{wrong}");
            }
            assert!(
                names
                    .fill("{tyle}")
                    .unwrap_err()
                    .contains("unknown parameter `tyle`")
            );
        });
    }

    #[test]
    fn a_value_is_one_word_for_a_real_shell_in_any_quotes() {
        for value in [NASTY, "", "plain", "'", "\"", "\\", "two\nlines", "$(id)"] {
            for quoted in [
                "{text}",
                "'{text}'",
                "\"{text}\"",
                "pre'x'{text}",
                "\"a\\\"{text}\"",
            ] {
                let line = with(value, |names| {
                    names.fill_shell(&format!("printf '[%s]' {quoted} end"))
                })
                .unwrap();
                let ran = std::process::Command::new("sh")
                    .arg("-c")
                    .arg(&line)
                    .output()
                    .unwrap();
                let before = match quoted {
                    "pre'x'{text}" => "prex",
                    "\"a\\\"{text}\"" => "a\"",
                    _ => "",
                };
                assert_eq!(
                    String::from_utf8(ran.stdout).unwrap(),
                    format!("[{before}{value}][end]"),
                    "{line}"
                );
            }
        }
    }

    #[test]
    fn a_template_is_rendered_whole_and_an_unknown_name_is_an_error() {
        with(NASTY, |names| {
            let template = "#define TILE {{ tile }}\n{% if on %}x = \"{{ text }}\"{% endif %}\n{{ scratch }}\n";
            assert_eq!(
                names.render(template, "a.h"),
                Ok(format!("#define TILE 64\nx = \"{NASTY}\"\n/s/1\n"))
            );
            let error = names.render("1\n{{ tyle }}\n", "a.h").unwrap_err();
            assert!(
                error.contains("a.h:2") && error.contains("tile, rate"),
                "{error}"
            );
            assert!(
                names
                    .render("{% if %}", "a.h")
                    .unwrap_err()
                    .contains("a.h:1")
            );
        });
    }
}
