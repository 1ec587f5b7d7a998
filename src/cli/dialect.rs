//! A best configuration in the languages that programs read. Names and texts are somebody else's: each is made valid for its
//! language, or refused, and nothing of it can end a literal or a comment.
use crate::plan::Objective;
use crate::record::Wisdom;
use crate::report::baseline_yaml;
use crate::value::Value;
use clap::ValueEnum;

/// How the configuration is written
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Dialect {
    /// The `baseline:` of a plan
    Yaml,
    /// An object, with where it is from
    Json,
    /// Assignments for a POSIX shell: eval "$(phasetune export NAME --best env)"
    Env,
    /// A header with a #define for each parameter
    C,
    /// Override declarations, constants for what no override can hold
    Wgsl,
    /// Constants
    Rust,
}

/// Where the language has comments, they say where the configuration is from; `how` stands first among them.
///
/// # Errors
/// Which name or text the language cannot hold.
pub(super) fn write(dialect: Dialect, best: &Wisdom, how: &str) -> Result<String, String> {
    let sign = match dialect {
        Dialect::Json => {
            let text = serde_json::to_string_pretty(best).expect("plain data");
            return Ok(format!("{}\n", escaped_json(&text)));
        }
        Dialect::Yaml | Dialect::Env => "#",
        Dialect::C | Dialect::Wgsl | Dialect::Rust => "//",
    };
    let mut out = comment(sign, how);
    out.extend(provenance(best).iter().map(|line| comment(sign, line)));
    if dialect == Dialect::Yaml {
        out.push_str(&baseline_yaml(&best.configuration, &best.baseline));
        return Ok(out);
    }
    let guard = format!("PHASETUNE_{}_BEST_H", upper(&best.experiment));
    let taken = match dialect {
        Dialect::C => vec![("the include guard".to_owned(), guard.clone())],
        _ => vec![],
    };
    let constants = constants(dialect, best, taken)?;
    if dialect == Dialect::C {
        out.push_str(&format!("#ifndef {guard}\n#define {guard}\n\n"));
    }
    for constant in &constants {
        let line = constant.line(dialect)?;
        if constant.is_renamed(dialect) && !line.starts_with("//") {
            out.push_str(&comment(
                sign,
                &format!("parameter `{}`", constant.parameter),
            ));
        }
        out.push_str(&line);
        out.push('\n');
    }
    if dialect == Dialect::C {
        out.push_str("\n#endif\n");
    }
    Ok(out)
}

fn provenance(best: &Wisdom) -> Vec<String> {
    let mut lines = vec![format!("on {}", best.device)];
    lines.push(match &best.gain {
        Some(gain) => format!(
            "speedup {:.3}× [{:.3}, {:.3}] against the baseline, at {} % confidence on {} fresh blocks",
            gain.speedup,
            gain.interval.0,
            gain.interval.1,
            (100.0 * gain.confidence * 1e4).round() / 1e4,
            gain.blocks
        ),
        None => "the baseline itself: nothing faster was confirmed".into(),
    });
    if best.objective != Objective::Runtime {
        lines.push(format!("objective: {}", objective_name(&best.objective)));
    }
    if !best.limits.is_empty() {
        let limits = best
            .limits
            .iter()
            .map(|(name, limit)| format!("{name} within {limit:e}"));
        lines.push(format!(
            "accuracy: {}",
            limits.collect::<Vec<_>>().join(", ")
        ));
    }
    let commit = match (&best.commit, &best.diff_hash) {
        (None, _) => "no commit".into(),
        (Some(commit), None) => format!("commit {commit}"),
        (Some(commit), Some(_)) => format!("commit {commit} with changes"),
    };
    lines.push(format!(
        "run {}@{}, {commit}, {}",
        best.experiment, best.run_id, best.date
    ));
    lines
}

/// As a plan names it.
pub(super) fn objective_name(objective: &Objective) -> &str {
    match objective {
        Objective::Runtime => "runtime",
        Objective::DeviceTime => "device_time",
        Objective::PeakMemory => "peak_memory",
        Objective::Energy => "energy",
        Objective::Metric(name) => name,
    }
}

/// `beamform3d (preset=laptop, seed=1)`.
pub(super) fn workload_with_problem(best: &Wisdom) -> String {
    match best.problem.is_empty() {
        true => best.workload.clone(),
        false => format!("{} ({})", best.workload, listed(&best.problem)),
    }
}

pub(super) fn listed(values: &[(String, Value)]) -> String {
    let pairs = values.iter().map(|(name, value)| format!("{name}={value}"));
    pairs.collect::<Vec<_>>().join(", ")
}

/// A parameter as a constant of some language.
struct Constant<'a> {
    parameter: &'a str,
    name: String,
    value: Value,
    /// Whether it, or the baseline's, is below zero: the type stays when the value changes between the two.
    is_signed: bool,
}

/// `taken`: what else has a name in the file, and that name.
fn constants(
    dialect: Dialect,
    best: &Wisdom,
    mut taken: Vec<(String, String)>,
) -> Result<Vec<Constant<'_>>, String> {
    let mut all = vec![];
    for (parameter, value) in best.configuration.values() {
        let name = identifier(dialect, parameter);
        if let Some((other, _)) = taken.iter().find(|(_, used)| *used == name) {
            return Err(format!(
                "{other} and `{parameter}` both become {name} in {}; rename one of the parameters, or take JSON or YAML",
                dialect.noun()
            ));
        }
        taken.push((format!("`{parameter}`"), name.clone()));
        let old = best.baseline.get(parameter);
        let value = match (value, old) {
            (Value::Int(whole), Some(Value::Float(_))) => Value::Float(*whole as f64),
            _ => value.clone(),
        };
        let is_negative = |value: &Value| matches!(value, Value::Int(v) if *v < 0);
        all.push(Constant {
            parameter,
            name,
            is_signed: is_negative(&value) || old.is_some_and(is_negative),
            value,
        });
    }
    Ok(all)
}

impl Dialect {
    fn noun(self) -> &'static str {
        match self {
            Dialect::Yaml => "YAML",
            Dialect::Json => "JSON",
            Dialect::Env => "the environment",
            Dialect::C => "C",
            Dialect::Wgsl => "WGSL",
            Dialect::Rust => "Rust",
        }
    }
}

impl Constant<'_> {
    /// Changing to capitals is the language's custom and needs no word.
    fn is_renamed(&self, dialect: Dialect) -> bool {
        match dialect {
            Dialect::Env | Dialect::Rust => self.name != self.parameter.to_ascii_uppercase(),
            _ => self.name != self.parameter,
        }
    }

    fn line(&self, dialect: Dialect) -> Result<String, String> {
        let name = &self.name;
        Ok(match dialect {
            Dialect::Env => format!("export {name}={}", self.shell_word()?),
            Dialect::C => format!("#define {name} {}", self.c_literal()?),
            Dialect::Wgsl => self.wgsl(),
            Dialect::Rust => {
                let kind = match &self.value {
                    Value::Bool(_) => "bool",
                    Value::Int(_) if self.is_signed => "i64",
                    Value::Int(_) => "usize",
                    Value::Float(_) => "f64",
                    Value::Text(_) => "&str",
                };
                let value = match &self.value {
                    // Debug keeps a float's point or exponent, and escapes what is not printed.
                    Value::Float(v) => format!("{v:?}"),
                    Value::Text(text) => format!("{text:?}"),
                    other => other.to_string(),
                };
                format!("pub const {name}: {kind} = {value};")
            }
            Dialect::Yaml | Dialect::Json => unreachable!("not made of constants"),
        })
    }

    /// A text that a NUL would end too soon.
    fn text<'t>(&self, text: &'t str, dialect: Dialect) -> Result<&'t str, String> {
        match text.contains('\0') {
            true => Err(format!(
                "the value of `{}` holds a NUL, which ends a text in {}; take JSON or YAML",
                self.parameter,
                dialect.noun()
            )),
            false => Ok(text),
        }
    }

    fn shell_word(&self) -> Result<String, String> {
        let Value::Text(text) = &self.value else {
            return Ok(self.value.to_string());
        };
        let text = self.text(text, Dialect::Env)?;
        let mut word = String::new();
        for (is_wild, run) in runs(text, |c| is_wild(c) && c != '\n' && c != '\t') {
            match is_wild {
                false => word.push_str(&shell_words::quote(run)),
                // Written out, they would reach the terminal. A command substitution drops newlines only.
                true => {
                    let octal: String = run.bytes().map(|b| format!("\\{b:03o}")).collect();
                    word.push_str(&format!("\"$(printf '{octal}')\""));
                }
            }
        }
        match word.is_empty() {
            true => Ok("''".into()),
            false => Ok(word),
        }
    }

    fn c_literal(&self) -> Result<String, String> {
        Ok(match &self.value {
            // `#if` and C before 2023 know no true.
            Value::Bool(is_set) => u8::from(*is_set).to_string(),
            Value::Int(v) => whole(*v),
            Value::Float(v) if v.is_sign_negative() => format!("({v:?})"),
            Value::Float(v) => format!("{v:?}"),
            Value::Text(text) => {
                let literal = self.text(text, Dialect::C)?.bytes().map(|b| match b {
                    b'"' | b'\\' => format!("\\{}", char::from(b)),
                    // Not `?`, which may begin a trigraph. Octal ends after three digits, hexadecimal does not.
                    b' '..=b'~' if b != b'?' => char::from(b).to_string(),
                    other => format!("\\{other:03o}"),
                });
                format!("\"{}\"", literal.collect::<String>())
            }
        })
    }

    fn wgsl(&self) -> String {
        let name = &self.name;
        let fits_f32 = |v: f64| (v as f32).is_finite() && (v == 0.0) == (v as f32 == 0.0);
        match &self.value {
            Value::Bool(v) => format!("override {name}: bool = {v};"),
            Value::Int(v) if !self.is_signed && u32::try_from(*v).is_ok() => {
                format!("override {name}: u32 = {v}u;")
            }
            Value::Int(v) if i32::try_from(*v).is_ok() => {
                format!("override {name}: i32 = {};", whole(*v))
            }
            Value::Float(v) if fits_f32(*v) => format!("override {name}: f32 = {v:?};"),
            // Constants without a type have 64 bits (WGSL §6.2.1, abstract numeric types); overrides have a type.
            Value::Int(v) => format!("const {name} = {};", whole(*v)),
            Value::Float(v) => format!("const {name} = {v:?};"),
            Value::Text(text) => {
                let text = format!("{} = {text:?}, but WGSL has no text", self.parameter);
                comment("//", &text).trim_end().to_owned()
            }
        }
    }
}

/// The least whole number is the negative of none.
fn whole(v: i64) -> String {
    match v {
        i64::MIN => format!("({} - 1)", i64::MIN + 1),
        v if v < 0 => format!("({v})"),
        v => v.to_string(),
    }
}

fn identifier(dialect: Dialect, parameter: &str) -> String {
    let name = match dialect {
        Dialect::Env | Dialect::Rust => upper(parameter),
        _ => ascii(parameter.chars()),
    };
    let is_in = |words: &str| words.split_whitespace().any(|word| word == name);
    let is_reserved = match dialect {
        Dialect::Env => is_in(SHELL) || name.starts_with("LD_") || name.starts_with("DYLD_"),
        Dialect::C => is_in(C_WORDS) || is_for_the_compiler(&name),
        Dialect::Wgsl => is_in(WGSL_WORDS),
        Dialect::Rust | Dialect::Yaml | Dialect::Json => false,
    };
    match () {
        () if is_reserved => format!("{name}_"),
        // WGSL §2.3: no identifier begins with two underscores.
        () if dialect == Dialect::Wgsl && name.starts_with("__") => format!("p{name}"),
        () => name,
    }
}

fn upper(name: &str) -> String {
    ascii(name.chars().flat_map(char::to_uppercase)).to_ascii_uppercase()
}

/// Letters, digits and underscores; not a digit first, not underscores alone.
fn ascii(name: impl Iterator<Item = char>) -> String {
    let valid = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let name: String = name.map(valid).collect();
    match name.trim_start_matches('_').chars().next() {
        None => format!("p{name}"),
        Some(_) if name.starts_with(|c: char| c.is_ascii_digit()) => format!("_{name}"),
        Some(_) => name,
    }
}

/// C11 §7.1.3: names that a header of ours may not define.
fn is_for_the_compiler(name: &str) -> bool {
    let rest = name.strip_prefix('_').unwrap_or("a");
    rest.starts_with(|c: char| c == '_' || c.is_ascii_uppercase())
}

/// Text that ends where its line ends, whatever it holds.
fn comment(sign: &str, text: &str) -> String {
    let harmless = |c: char| match c {
        c if c.is_whitespace() => ' ',
        c if is_wild(c) => '\u{fffd}',
        c => c,
    };
    let text: String = text.chars().map(harmless).collect();
    let text = text.trim_end();
    // In C a backslash, or the trigraph ??/ for one, goes on with the comment in the next line.
    let end = if text.ends_with(['\\', '/']) { "." } else { "" };
    format!("{sign} {text}{end}\n")
}

/// JSON in which nothing takes over a terminal or turns the text.
fn escaped_json(text: &str) -> String {
    let escaped = |c: char| match is_wild(c) && c != '\n' {
        true => format!("\\u{:04x}", u32::from(c)),
        false => c.to_string(),
    };
    text.chars().map(escaped).collect()
}

/// Control characters, line ends of other languages, marks that turn the direction of text, and what is no character.
fn is_wild(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{fffe}'..='\u{ffff}')
}

/// The text in pieces that agree on a property, with it.
fn runs(text: &str, is: impl Fn(char) -> bool) -> Vec<(bool, &str)> {
    let mut pieces = vec![];
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let kind = is(first);
        let end = rest.find(|c| is(c) != kind).unwrap_or(rest.len());
        pieces.push((kind, &rest[..end]));
        rest = &rest[end..];
    }
    pieces
}

/// Variables that a shell sets itself, or that decide what it and the loader run.
const SHELL: &str = "\
    BASHOPTS BASH_ENV CDPATH ENV EUID HOME IFS LINENO MAIL MAILPATH OLDPWD OPTARG OPTIND PATH PPID PROMPT_COMMAND PS1 \
    PS2 PS3 PS4 PWD RANDOM SECONDS SHELL SHELLOPTS SHLVL UID";

/// Keywords of C23 (§6.4.1) and C++23 ([lex.key]), and what every program takes for granted.
const C_WORDS: &str = "\
    NULL EOF alignas alignof and and_eq asm assert auto bitand bitor bool break case catch char char16_t char32_t \
    char8_t class co_await co_return co_yield compl concept const const_cast consteval constexpr constinit continue \
    decltype default defined delete do double dynamic_cast else enum errno explicit export extern false final float for \
    friend goto if import inline int long main module mutable namespace new noexcept not not_eq nullptr operator or \
    or_eq override private protected public register reinterpret_cast requires restrict return short signed sizeof \
    static static_assert static_cast struct switch template this thread_local throw true try typedef typeid typename \
    typeof typeof_unqual union unsigned using virtual void volatile wchar_t while xor xor_eq";

/// Keywords and reserved words (WGSL §15.1, §15.2), and the types of the declarations themselves.
const WGSL_WORDS: &str = "\
    NULL Self abstract active alias alignas alignof array as asm asm_fragment async atomic attribute auto await become \
    binding_array bitcast bool break case cast catch class co_await co_return co_yield coherent column_major common \
    compile compile_fragment concept const const_assert const_cast consteval constexpr constinit continue continuing \
    crate debugger decltype default delete demote demote_to_helper diagnostic discard do dynamic_cast else enable enum \
    explicit export extends extern external f16 f32 fallthrough false filter final finally fn for friend from fxgroup \
    get goto groupshared handle highp i32 i64 if impl implements import inline inout instanceof interface layout let \
    loop lowp macro macro_rules match mediump meta mod module move mut mutable namespace new nil noexcept noinline \
    nointerpolation non_coherent noncoherent noperspective null nullptr of operator override package packoffset \
    partition pass patch pixelfragment precise precision premerge priv protected ptr pub public readonly ref regardless \
    register reinterpret_cast require requires resource restrict return sampler self set shared signed sizeof smooth \
    snorm static static_assert static_cast std struct subroutine super switch target template this thread_local throw \
    trait true try type typedef typeid typename typeof u32 u64 union unless unorm unsafe unsized use using var varying \
    virtual volatile wgsl where while with writeonly yield";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Gain;
    use crate::space::Configuration;
    use proptest::prelude::*;
    use std::process::Command;

    fn best(configuration: Vec<(&str, Value)>) -> Wisdom {
        let named = configuration.into_iter().map(|(n, v)| (n.to_owned(), v));
        Wisdom {
            workload: "beamform3d".into(),
            problem: vec![("preset".into(), Value::Text("laptop".into()))],
            size: vec![],
            device: "cpu: Some CPU, 2 threads".into(),
            objective: Objective::Runtime,
            configuration: Configuration::new(named.collect()),
            baseline: Configuration::default(),
            gain: Some(Gain {
                speedup: 1.5,
                interval: (1.25, 1.75),
                confidence: 0.95,
                blocks: 16,
                medians: None,
            }),
            limits: vec![("nrmse".into(), 1e-3)],
            experiment: "t".into(),
            case: String::new(),
            run_id: "20261121T000000Z-1a2b3c4".into(),
            date: "2026-11-21T00:00:00Z".into(),
            commit: Some("1a2b3c4".into()),
            diff_hash: None,
        }
    }

    /// What stands below the comments on where it is from.
    fn body(dialect: Dialect, best: &Wisdom) -> String {
        let text = write(dialect, best, "Best").unwrap();
        let lines = text.lines().skip_while(|line| !line.contains("run t@2026"));
        lines.skip(1).map(|line| format!("{line}\n")).collect()
    }

    #[test]
    fn every_language_has_its_literals_and_says_where_they_are_from() {
        let text = |t: &str| Value::Text(t.into());
        let mut best = best(vec![
            ("tile_x", Value::Int(64)),
            ("z_chunk", Value::Int(-1)),
            ("unroll", Value::Bool(true)),
            ("limit", Value::Float(2.0)),
            ("mode", text("a \"b\" \\ it's")),
            ("filter", Value::Int(3)),
        ]);
        best.baseline = best.configuration.with(&[
            ("tile_x".into(), Value::Int(-1)),
            ("filter".into(), Value::Float(0.5)),
        ]);
        assert_eq!(
            write(
                Dialect::C,
                &best,
                "Best configuration of beamform3d (preset=laptop)"
            )
            .unwrap(),
            "\
// Best configuration of beamform3d (preset=laptop)
// on cpu: Some CPU, 2 threads
// speedup 1.500× [1.250, 1.750] against the baseline, at 95 % confidence on 16 fresh blocks
// accuracy: nrmse within 1e-3
// run t@20261121T000000Z-1a2b3c4, commit 1a2b3c4, 2026-11-21T00:00:00Z
#ifndef PHASETUNE_T_BEST_H
#define PHASETUNE_T_BEST_H

#define tile_x 64
#define z_chunk (-1)
#define unroll 1
#define limit 2.0
#define mode \"a \\\"b\\\" \\\\ it's\"
#define filter 3.0

#endif
"
        );
        assert_eq!(
            body(Dialect::Rust, &best),
            "\
pub const TILE_X: i64 = 64;
pub const Z_CHUNK: i64 = -1;
pub const UNROLL: bool = true;
pub const LIMIT: f64 = 2.0;
pub const MODE: &str = \"a \\\"b\\\" \\\\ it's\";
pub const FILTER: f64 = 3.0;
"
        );
        assert_eq!(
            body(Dialect::Wgsl, &best),
            "\
override tile_x: i32 = 64;
override z_chunk: i32 = (-1);
override unroll: bool = true;
override limit: f32 = 2.0;
// mode = \"a \\\"b\\\" \\\\ it's\", but WGSL has no text
// parameter `filter`
override filter_: f32 = 3.0;
"
        );
        assert_eq!(
            body(Dialect::Env, &best),
            "\
export TILE_X=64
export Z_CHUNK=-1
export UNROLL=true
export LIMIT=2
export MODE='a \"b\" \\ it'\\''s'
export FILTER=3
"
        );
        assert_eq!(
            body(Dialect::Yaml, &best),
            "\
baseline:
  tile_x: 64  # was -1
  z_chunk: -1
  unroll: true
  limit: 2.0
  mode: \"a \\\"b\\\" \\\\ it's\"
  filter: 3   # was 0.5
"
        );
        let json: Wisdom = serde_json::from_str(&write(Dialect::Json, &best, "").unwrap()).unwrap();
        assert_eq!(json, best);
    }

    #[test]
    fn what_no_override_holds_is_a_constant() {
        let best = best(vec![
            ("a", Value::Int(i64::MIN)),
            ("b", Value::Int(i64::MAX)),
            ("c", Value::Int(4_294_967_295)),
            ("d", Value::Float(1e300)),
            ("e", Value::Float(1e-300)),
        ]);
        assert_eq!(
            body(Dialect::Wgsl, &best),
            "\
const a = (-9223372036854775807 - 1);
const b = 9223372036854775807;
override c: u32 = 4294967295u;
const d = 1e300;
const e = 1e-300;
"
        );
    }

    #[test]
    fn a_name_that_means_something_is_changed_and_the_change_is_said() {
        let best = best(vec![
            ("path", Value::Int(1)),
            ("ld_preload", Value::Int(2)),
            ("größe", Value::Int(3)),
            ("2nd", Value::Int(4)),
            ("int", Value::Int(5)),
            ("__x", Value::Int(6)),
            ("_", Value::Int(7)),
        ]);
        let names = |dialect: Dialect| -> Vec<String> {
            let named = best.configuration.values().iter();
            named.map(|(name, _)| identifier(dialect, name)).collect()
        };
        assert_eq!(
            names(Dialect::Env),
            ["PATH_", "LD_PRELOAD_", "GR_SSE", "_2ND", "INT", "__X", "P_"]
        );
        assert_eq!(
            names(Dialect::C),
            ["path", "ld_preload", "gr__e", "_2nd", "int_", "__x_", "p_"]
        );
        assert_eq!(
            names(Dialect::Wgsl),
            ["path", "ld_preload", "gr__e", "_2nd", "int", "p__x", "p_"]
        );
        assert_eq!(
            names(Dialect::Rust),
            ["PATH", "LD_PRELOAD", "GR_SSE", "_2ND", "INT", "__X", "P_"]
        );
        let shown = body(Dialect::C, &best);
        assert!(
            shown.contains("// parameter `größe`\n#define gr__e 3\n"),
            "{shown}"
        );
    }

    #[test]
    fn two_names_that_become_one_are_refused() {
        for (names, dialect, said) in [
            (
                ["tile", "Tile"],
                Dialect::Env,
                "`tile` and `Tile` both become TILE in the environment",
            ),
            (
                ["块", "大"],
                Dialect::C,
                "`块` and `大` both become p_ in C",
            ),
            (
                ["int", "int_"],
                Dialect::C,
                "`int` and `int_` both become int_",
            ),
            (
                ["a", "PHASETUNE_T_BEST_H"],
                Dialect::C,
                "the include guard and `PHASETUNE_T_BEST_H` both become",
            ),
        ] {
            let best = best(vec![(names[0], Value::Int(1)), (names[1], Value::Int(2))]);
            let refusal = write(dialect, &best, "").unwrap_err();
            assert!(refusal.starts_with(said), "{refusal}");
        }
        let nul = best(vec![("a", Value::Text("x\0y".into()))]);
        for dialect in [Dialect::Env, Dialect::C] {
            let refusal = write(dialect, &nul, "").unwrap_err();
            assert!(refusal.contains("`a` holds a NUL"), "{refusal}");
        }
    }

    #[test]
    fn a_comment_ends_with_its_line() {
        for hostile in [
            "a\n#define b",
            "a\r\nb",
            "a\u{2028}b",
            "a\u{b}b",
            "a\\",
            "a??/",
            "a */ b",
            "\u{202e}a",
        ] {
            let line = comment("//", hostile);
            assert_eq!(line.lines().count(), 1, "{line:?}");
            let end = line.trim_end();
            assert!(!end.ends_with('\\') && !end.ends_with("??/"), "{line:?}");
            assert!(!line.trim_end_matches('\n').contains(is_wild), "{line:?}");
        }
    }

    /// Names and values that nobody means well with.
    fn hostile() -> impl Strategy<Value = Vec<(String, Value)>> {
        let name = prop_oneof![
            "[a-zA-Z_][a-zA-Z0-9_]{0,6}",
            "[ -~äß块]{1,4}",
            prop::sample::select(vec![
                "PATH", "if", "int", "self", "Self", "fn", "type", "IFS", "$(id)", "a;b", "a'b",
                "main", "EOF", "f32", "NULL", "_", "__LINE__", "r#x", "linux", "override",
                "stdout",
            ])
            .prop_map(str::to_owned),
        ];
        let text = prop_oneof![
            any::<String>(),
            "[\"'\\\\$`!?#%{}/*\n\t ~-]{0,8}",
            prop::sample::select(vec![
                "",
                "$(touch owned)",
                "`id`",
                "'; rm x; '",
                "\" ; #",
                "*/",
                "??/",
                "\\",
                "a\nb",
                "%s%n",
                "\u{1b}[2J",
                "\u{202e}gnp",
                "\u{9b}1m",
                "~root",
                "-n",
                "x\r\ny",
                "\n\n",
                "é\u{301}",
                "\u{10ffff}",
            ])
            .prop_map(str::to_owned),
        ];
        let value = prop_oneof![
            text.prop_map(|t| Value::Text(t.replace('\0', "0"))),
            any::<i64>().prop_map(Value::Int),
            prop::sample::select(vec![i64::MIN, i64::MAX, -1, 0]).prop_map(Value::Int),
            any::<f64>()
                .prop_filter("finite", |v| v.is_finite())
                .prop_map(Value::Float),
            any::<bool>().prop_map(Value::Bool),
        ];
        prop::collection::vec((name, value), 1..30)
    }

    /// Without those whose name, in that language, is taken: that is refused, and tested above.
    fn distinct(dialect: Dialect, all: Vec<(String, Value)>) -> Wisdom {
        let mut best = best(vec![]);
        let mut kept: Vec<(String, Value)> = vec![];
        for (name, value) in all {
            let taken = |(other, _): &(String, Value)| {
                identifier(dialect, other) == identifier(dialect, &name)
            };
            if !kept.iter().any(taken) {
                kept.push((name, value));
            }
        }
        best.configuration = Configuration::new(kept);
        best.device = best.configuration.values()[0].0.clone();
        best
    }

    /// What a program of that language says the values are, each ended by a NUL.
    fn said(command: &mut Command) -> Vec<String> {
        let output = command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let text = String::from_utf8(output.stdout).unwrap();
        let mut all: Vec<String> = text.split('\0').map(str::to_owned).collect();
        assert_eq!(all.pop().as_deref(), Some(""));
        all
    }

    fn is_said(value: &Value, said: &str) -> bool {
        match value {
            Value::Float(v) => said
                .parse::<f64>()
                .is_ok_and(|s| s.to_bits() == v.to_bits()),
            Value::Bool(v) => [v.to_string(), u8::from(*v).to_string()].contains(&said.to_owned()),
            other => other.to_string() == said,
        }
    }

    fn agrees(dialect: Dialect, best: &Wisdom, said: &[String]) {
        let values = best.configuration.values();
        assert_eq!(values.len(), said.len());
        for ((name, value), said) in values.iter().zip(said) {
            assert!(
                is_said(value, said),
                "{dialect:?}: {name} = {value:?}, read back {said:?}"
            );
        }
    }

    fn names(dialect: Dialect, best: &Wisdom) -> Vec<String> {
        let values = best.configuration.values().iter();
        values.map(|(name, _)| identifier(dialect, name)).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

        #[test]
        fn a_shell_reads_back_what_was_meant_and_runs_nothing(all in hostile()) {
            let folder = tempfile::tempdir().unwrap();
            let best = distinct(Dialect::Env, all);
            let mut script = write(Dialect::Env, &best, "Best\ntouch owned").unwrap();
            prop_assert!(!script.contains(|c| is_wild(c) && c != '\n' && c != '\t'));
            for name in names(Dialect::Env, &best) {
                script.push_str(&format!("printf '%s\\0' \"${name}\"\n"));
            }
            let file = folder.path().join("best.env");
            std::fs::write(&file, script).unwrap();
            let said = said(Command::new("/bin/sh").arg(&file).current_dir(&folder));
            agrees(Dialect::Env, &best, &said);
            prop_assert!(!folder.path().join("owned").exists());
        }

        #[test]
        fn yaml_and_json_read_back_what_was_meant(all in hostile()) {
            let best = distinct(Dialect::Json, all);
            let json = write(Dialect::Json, &best, "").unwrap();
            prop_assert!(!json.contains(|c| is_wild(c) && c != '\n'));
            prop_assert_eq!(&serde_json::from_str::<Wisdom>(&json).unwrap(), &best);
            let yaml = write(Dialect::Yaml, &best, "a\nbaseline: b").unwrap();
            prop_assert!(!yaml.contains(|c| is_wild(c) && c != '\n'));
            let read: std::collections::BTreeMap<String, std::collections::BTreeMap<String, Value>> =
                serde_yaml::from_str(&yaml).unwrap();
            for (name, value) in best.configuration.values() {
                prop_assert_eq!(&read["baseline"][name], value);
            }
        }

        /// The grammar of WGSL (§3.5, §3.7, §6.3), since no compiler for it is at hand here.
        #[test]
        fn wgsl_is_declarations_and_comments_only(all in hostile()) {
            let best = distinct(Dialect::Wgsl, all);
            let shown = write(Dialect::Wgsl, &best, "a\nb").unwrap();
            prop_assert!(!shown.contains(|c| is_wild(c) && c != '\n'));
            let declaration = regex::Regex::new(
                r"^(//.*|override [A-Za-z_]\w*: (bool = (true|false)|u32 = \d+u|i32 = (\d+|\(-\d+\))|f32 = -?\d+(\.\d+)?(e-?\d+)?);|const [A-Za-z_]\w* = (\d+|\(-\d+( - 1)?\)|-?\d+(\.\d+)?(e-?\d+)?);)$",
            ).unwrap();
            for line in shown.lines() {
                prop_assert!(declaration.is_match(line), "{}", line);
            }
        }
    }

    proptest! {
        // A compiler takes a while to start.
        #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

        #[test]
        fn a_c_compiler_reads_back_what_was_meant(all in hostile()) {
            let folder = tempfile::tempdir().unwrap();
            let best = distinct(Dialect::C, all);
            // Nothing of ours stands between a header of the system and the names that it uses.
            let mut program = String::from(
                "#include <stdio.h>\nstatic FILE *there(void) { return stdout; }\n\
                 #include \"best.h\"\n#include \"best.h\"\nint main(void) {\n",
            );
            for (name, (_, value)) in names(Dialect::C, &best).iter().zip(best.configuration.values()) {
                program.push_str(&match value {
                    Value::Text(_) => format!("fwrite({name}, 1, sizeof {name}, there());\n"),
                    Value::Float(_) => format!("printf(\"%.17g%c\", {name}, 0);\n"),
                    _ => format!("printf(\"%lld%c\", (long long){name}, 0);\n"),
                });
            }
            std::fs::write(folder.path().join("best.h"), write(Dialect::C, &best, "a\\").unwrap()).unwrap();
            std::fs::write(folder.path().join("main.c"), program + "return 0; }\n").unwrap();
            let compiled = Command::new("cc").args(["-std=c99", "-trigraphs", "-w", "main.c", "-o", "main"]).current_dir(&folder).output().unwrap();
            prop_assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
            agrees(Dialect::C, &best, &said(&mut Command::new(folder.path().join("main"))));
        }

        #[test]
        fn a_rust_compiler_reads_back_what_was_meant(all in hostile()) {
            let folder = tempfile::tempdir().unwrap();
            let best = distinct(Dialect::Rust, all);
            let mut program = write(Dialect::Rust, &best, "a\\").unwrap();
            program.push_str("fn main() {\n");
            for (name, (_, value)) in names(Dialect::Rust, &best).iter().zip(best.configuration.values()) {
                program.push_str(&match value {
                    Value::Float(_) => format!("print!(\"{{:?}}\\0\", {name});\n"),
                    _ => format!("print!(\"{{}}\\0\", {name});\n"),
                });
            }
            std::fs::write(folder.path().join("main.rs"), program + "}\n").unwrap();
            let compiled = Command::new("rustc").args(["--edition=2021", "-Awarnings", "main.rs", "-o", "main"]).current_dir(&folder).output().unwrap();
            prop_assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
            agrees(Dialect::Rust, &best, &said(&mut Command::new(folder.path().join("main"))));
        }
    }
}
