//! The `workload:` section: which built-in with which problem, or which command or kernel.
use super::check::Known;
use super::kernel;
use super::reader::{Fields, Findings, map, scalar, text, texts};
use super::tree::{Kind, Node};
use super::{
    CommandChoice, Declaration, DeclaredMetric, MetricSource, OutputFile, TemplateFile, Timer,
    WorkloadChoice,
};
use crate::diagnostic::Origin;
use crate::space::Parameter;
use crate::value::Value;

pub(super) const WORKLOAD_KEYS: &[&str] = &[
    "builtin", "problem", "kernel", "command", "shell", "cwd", "env", "build", "prepare",
    "cleanup", "files", "output", "metrics", "timer",
];
pub(super) const OUTPUT_KEYS: &[&str] = &["file", "array", "dtype", "shape"];
pub(super) const METRIC_KEYS: &[&str] = &["regex", "pointer", "file"];

/// Stands for the folder of a configuration wherever a parameter may stand.
pub(super) const SCRATCH: &str = "scratch";

/// What the workload's texts hold that is checked once its parameters are known.
#[derive(Debug, Default)]
pub(super) struct Usage {
    pub(super) placeholders: Vec<(String, Origin)>,
    pub(super) has_templates: bool,
    /// Of a kernel's geometry.
    pub(super) expressions: kernel::Expressions,
}

type Workload = (WorkloadChoice, Vec<(String, Value)>, Declaration, Usage);

pub(super) fn workload(
    node: &Node,
    known: &Known<'_>,
    findings: &mut Findings,
) -> Option<Workload> {
    let fields = Fields::of(node, "`workload`", WORKLOAD_KEYS, findings);
    let kinds = ["builtin", "command", "kernel"];
    let given: Vec<&str> = (kinds.into_iter())
        .filter(|k| fields.get(k).is_some())
        .collect();
    let [kind] = given[..] else {
        if given.len() > 1 {
            let message = format!("a workload is one of {}, not several", given.join(" and "));
            findings.add(&node.origin, message, "");
        } else if matches!(node.kind, Kind::Map(_)) {
            findings.add(
                &node.origin,
                "the workload is neither `builtin:` nor `command:` nor `kernel:`",
                format!("built-ins are {}", known.builtins.join(", ")),
            );
        }
        return None;
    };
    let section = fields.get(kind)?;
    let belongs = |key: &str| match kind {
        "builtin" => ["builtin", "problem"].contains(&key),
        "kernel" => key == "kernel",
        _ => key != "problem",
    };
    for key in WORKLOAD_KEYS.iter().filter(|key| !belongs(key)) {
        if let Some(origin) = fields.key_origin(key) {
            let (what, help) = match kind {
                "builtin" => ("a built-in workload", "leave it out"),
                "kernel" => ("a kernel", "its sizes are scalar arguments"),
                _ => ("a command", "write sizes into the command"),
            };
            findings.add(origin, format!("`{key}` has no effect on {what}"), help);
        }
    }
    let named = |name: &str| Declaration {
        name: name.into(),
        ..Declaration::default()
    };
    match kind {
        "builtin" => built_in(section, &fields, known, findings),
        "kernel" => {
            let (choice, expressions) = kernel::kernel(section, known.folder, findings)?;
            let declaration = Declaration {
                has_exact: choice.reference.is_some(),
                ..named("kernel")
            };
            let usage = Usage {
                expressions,
                ..Usage::default()
            };
            Some((WorkloadChoice::Kernel(choice), vec![], declaration, usage))
        }
        _ => {
            let (choice, usage) = command_choice(section, &fields, known, findings);
            Some((
                WorkloadChoice::Command(choice),
                vec![],
                named("command"),
                usage,
            ))
        }
    }
}

fn built_in(
    node: &Node,
    fields: &Fields<'_>,
    known: &Known<'_>,
    findings: &mut Findings,
) -> Option<Workload> {
    let name = text(node, "builtin", findings)?;
    let Some(declaration) = (known.declare)(&name) else {
        findings.unknown(&node.origin, "built-in workload", &name, known.builtins);
        return None;
    };
    let mut problem = vec![];
    for (key, origin, value) in fields.map("problem", findings).unwrap_or(&[]) {
        let value = problem_value(key, origin, value, &declaration, findings);
        problem.extend(value.map(|v| (key.clone(), v)));
    }
    let choice = WorkloadChoice::Builtin { name };
    Some((choice, problem, declaration, Usage::default()))
}

/// A value of the problem, its key and, for the preset, its name checked.
pub(super) fn problem_value(
    key: &str,
    origin: &Origin,
    node: &Node,
    declaration: &Declaration,
    findings: &mut Findings,
) -> Option<Value> {
    let value = scalar(node, &format!("`{key}`"), findings)?;
    if key == "preset" {
        let names: Vec<&str> = declaration.presets.iter().map(String::as_str).collect();
        if !names.contains(&value.to_string().as_str()) {
            findings.unknown(&node.origin, "preset", &value.to_string(), &names);
            return None;
        }
    } else if key != "seed" && !declaration.problem_keys.iter().any(|k| k == key) {
        let mut names = vec!["preset", "seed"];
        names.extend(declaration.problem_keys.iter().map(String::as_str));
        findings.unknown(origin, "key of the problem", key, &names);
        return None;
    }
    Some(value)
}

fn command_choice(
    command: &Node,
    fields: &Fields<'_>,
    known: &Known<'_>,
    findings: &mut Findings,
) -> (CommandChoice, Usage) {
    let mut usage = Usage::default();
    let shell = fields.flag("shell", findings).unwrap_or(false);
    let one = |key: &str, findings: &mut Findings, usage: &mut Usage| -> Option<Vec<String>> {
        fields
            .get(key)
            .map(|node| words(node, key, shell, findings, usage))
    };
    let choice = CommandChoice {
        command: words(command, "command", shell, findings, &mut usage),
        shell,
        cwd: fields.get("cwd").and_then(|n| {
            let written = text(n, "cwd", findings)?;
            note_placeholders(&written, &n.origin, findings, &mut usage);
            Some(written)
        }),
        env: pairs(fields, "env", findings, &mut usage),
        build: one("build", findings, &mut usage),
        prepare: one("prepare", findings, &mut usage),
        cleanup: one("cleanup", findings, &mut usage),
        files: fields
            .map("files", findings)
            .unwrap_or(&[])
            .iter()
            .filter_map(|(template, origin, node)| {
                usage.has_templates = true;
                note_placeholders(template, origin, findings, &mut usage);
                let to = text(node, "files", findings)?;
                note_placeholders(&to, &node.origin, findings, &mut usage);
                Some(TemplateFile {
                    template: template.clone(),
                    to,
                })
            })
            .collect(),
        output: fields
            .get("output")
            .and_then(|node| output(node, findings, &mut usage)),
        metrics: metrics(fields, findings, &mut usage),
        timer: Timer::Wall,
        folder: known.folder.to_owned(),
    };
    let timer = timer(fields, &choice.metrics, findings);
    (CommandChoice { timer, ..choice }, usage)
}

fn words(
    node: &Node,
    key: &str,
    shell: bool,
    findings: &mut Findings,
    usage: &mut Usage,
) -> Vec<String> {
    let written: Vec<(String, Origin)> = match &node.kind {
        Kind::Text(line) if !shell => match shell_words::split(line) {
            Ok(words) => words
                .into_iter()
                .map(|w| (w, node.origin.clone()))
                .collect(),
            Err(_) => {
                findings.add(
                    &node.origin,
                    format!("`{key}` has a quote without its end"),
                    "",
                );
                return vec![];
            }
        },
        Kind::List(_) if shell => {
            findings.add(
                &node.origin,
                format!("with `shell: true`, `{key}` is one text"),
                "write it as it would stand in a terminal",
            );
            return vec![];
        }
        Kind::List(items) => items
            .iter()
            .filter_map(|item| {
                scalar(item, &format!("an argument of `{key}`"), findings)
                    .map(|v| (v.to_string(), item.origin.clone()))
            })
            .collect(),
        _ => texts(node, key, findings),
    };
    if written
        .first()
        .is_none_or(|(program, _)| program.is_empty())
    {
        findings.add(
            &node.origin,
            format!("`{key}` is empty"),
            "its first word is the program",
        );
    }
    for (word, origin) in &written {
        note_placeholders(word, origin, findings, usage);
    }
    written.into_iter().map(|(word, _)| word).collect()
}

fn pairs(
    fields: &Fields<'_>,
    key: &str,
    findings: &mut Findings,
    usage: &mut Usage,
) -> Vec<(String, String)> {
    fields
        .map(key, findings)
        .unwrap_or(&[])
        .iter()
        .filter_map(|(name, _, node)| {
            let value = scalar(node, &format!("`{name}`"), findings)?.to_string();
            note_placeholders(&value, &node.origin, findings, usage);
            Some((name.clone(), value))
        })
        .collect()
}

/// `{name}` is a placeholder; `{{` and `}}` stand for braces.
fn note_placeholders(written: &str, origin: &Origin, findings: &mut Findings, usage: &mut Usage) {
    match placeholders(written) {
        Ok(names) => usage
            .placeholders
            .extend(names.into_iter().map(|n| (n, origin.clone()))),
        Err(why) => findings.add(origin, why, "a brace itself is written {{ or }}"),
    }
}

/// Names in braces, in order.
///
/// # Errors
/// A brace without its partner, or something in braces that is no name.
pub fn placeholders(written: &str) -> Result<Vec<String>, String> {
    let mut names = vec![];
    let mut rest = written;
    while let Some(at) = rest.find(['{', '}']) {
        let brace = &rest[at..];
        if brace.starts_with("{{") || brace.starts_with("}}") {
            rest = &brace[2..];
            continue;
        }
        let end = brace.find('}').filter(|_| brace.starts_with('{'));
        let end = end.ok_or_else(|| format!("`{written}` has a brace without its partner"))?;
        let name = &brace[1..end];
        if name.is_empty() || !name.chars().all(|c| c.is_alphanumeric() || c == '_') {
            return Err(format!("`{{{name}}}` is not the name of a parameter"));
        }
        names.push(name.to_owned());
        rest = &brace[end + 1..];
    }
    Ok(names)
}

fn output(node: &Node, findings: &mut Findings, usage: &mut Usage) -> Option<OutputFile> {
    if let Kind::Text(file) = &node.kind {
        note_placeholders(file, &node.origin, findings, usage);
        return Some(OutputFile {
            file: file.clone(),
            array: None,
            dtype: None,
            shape: None,
        });
    }
    let fields = Fields::of(node, "`output`", OUTPUT_KEYS, findings);
    let file = file(&fields, findings, usage)?;
    let dtype = fields.text("dtype", findings);
    const TYPES: &[&str] = &[
        "f32", "f64", "i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64",
    ];
    if let Some(written) = &dtype
        && !TYPES.contains(&written.as_str())
        && let Some(node) = fields.get("dtype")
    {
        findings.unknown(&node.origin, "dtype", written, TYPES);
    }
    let shape = fields.list("shape", findings).map(|items| {
        items
            .iter()
            .filter_map(|item| match item.kind {
                Kind::Int(n @ 1..) => Some(n as usize),
                _ => {
                    findings.add(
                        &item.origin,
                        "a shape is a list of whole numbers above 0",
                        "",
                    );
                    None
                }
            })
            .collect()
    });
    if dtype.is_some() != shape.is_some() {
        findings.add(
            &node.origin,
            "a raw output needs both `dtype` and `shape`",
            ".npy and .npz files need neither",
        );
    }
    Some(OutputFile {
        file,
        array: fields.text("array", findings),
        dtype,
        shape,
    })
}

/// The key `file`, with its placeholders.
fn file(fields: &Fields<'_>, findings: &mut Findings, usage: &mut Usage) -> Option<String> {
    let node = fields.get("file")?;
    let written = text(node, "file", findings)?;
    note_placeholders(&written, &node.origin, findings, usage);
    Some(written)
}

fn metrics(fields: &Fields<'_>, findings: &mut Findings, usage: &mut Usage) -> Vec<DeclaredMetric> {
    let mut found: Vec<DeclaredMetric> = vec![];
    for (name, origin, node) in fields.map("metrics", findings).unwrap_or(&[]) {
        if !name.chars().all(|c| c.is_alphanumeric() || c == '_')
            || ["speedup", "runtime", "peak_memory"].contains(&name.as_str())
        {
            findings.add(
                origin,
                format!("`{name}` cannot name a metric"),
                "use letters, digits and `_`; speedup, runtime and peak_memory are taken",
            );
        }
        let (regex, pointer, file) = match &node.kind {
            Kind::Text(_) => (text(node, name, findings), None, None),
            _ => {
                let inner = Fields::of(node, "a metric", METRIC_KEYS, findings);
                (
                    inner.text("regex", findings),
                    inner.text("pointer", findings),
                    file(&inner, findings, usage),
                )
            }
        };
        let source = match (regex, pointer) {
            (Some(pattern), None) => {
                if let Err(wrong) = regex::Regex::new(&pattern) {
                    let wrong = wrong.to_string();
                    let why = wrong
                        .lines()
                        .last()
                        .unwrap_or("")
                        .trim_start_matches("error: ")
                        .to_owned();
                    findings.add(
                        &node.origin,
                        format!("the regular expression of `{name}` is wrong: {why}"),
                        "",
                    );
                }
                MetricSource::Regex(pattern)
            }
            (None, Some(pointer)) => {
                if !pointer.is_empty() && !pointer.starts_with('/') {
                    findings.add(
                        &node.origin,
                        format!("`{pointer}` is no JSON pointer"),
                        "it begins with /: /results/0/time",
                    );
                }
                MetricSource::Pointer { pointer, file }
            }
            _ => {
                findings.add(
                    &node.origin,
                    format!("`{name}` needs either a regex or a pointer"),
                    "",
                );
                continue;
            }
        };
        found.push(DeclaredMetric {
            name: name.clone(),
            source,
        });
    }
    found
}

fn timer(fields: &Fields<'_>, metrics: &[DeclaredMetric], findings: &mut Findings) -> Timer {
    let Some(node) = fields.get("timer") else {
        return Timer::Wall;
    };
    let written = text(node, "timer", findings).unwrap_or_default();
    if written == "wall" {
        return Timer::Wall;
    }
    let names: Vec<&str> = metrics.iter().map(|m| m.name.as_str()).collect();
    match written.strip_prefix("metric ").map(str::trim) {
        Some(name) if names.contains(&name) => Timer::Metric(name.into()),
        Some(name) => {
            findings.unknown(&node.origin, "metric", name, &names);
            Timer::Wall
        }
        None => {
            findings.add(
                &node.origin,
                format!("`{written}` is no timer"),
                "write wall, or metric NAME",
            );
            Timer::Wall
        }
    }
}

/// A command's parameters are those of its baseline; each takes every value that the plan gives it.
pub(super) fn parameters(
    tree: &Node,
    baseline: Option<&[(String, Origin, Node)]>,
    findings: &mut Findings,
) -> Vec<Parameter> {
    let mut parameters: Vec<Parameter> = vec![];
    for (name, origin, node) in baseline.unwrap_or(&[]) {
        if name.is_empty() || !name.chars().all(|c| c.is_alphanumeric() || c == '_') {
            findings.add(
                origin,
                format!("`{}` cannot name a parameter", name.escape_debug()),
                "use letters, digits and `_`",
            );
        }
        if name == SCRATCH {
            findings.add(
                origin,
                "`scratch` cannot name a parameter: {scratch} is the folder of a configuration",
                "give the parameter another name",
            );
        }
        let values = scalar(node, &format!("`{name}`"), &mut Findings::default())
            .into_iter()
            .collect();
        parameters.push(Parameter {
            name: name.clone(),
            values,
        });
    }
    let Kind::Map(entries) = &tree.kind else {
        return parameters;
    };
    let Some((
        _,
        _,
        Node {
            kind: Kind::List(phases),
            ..
        },
    )) = entries.iter().find(|e| e.0 == "phases")
    else {
        return parameters;
    };
    let mut silent = Findings::default();
    let mut mention = |name: &str, node: &Node| {
        let Some(parameter) = parameters.iter_mut().find(|p| p.name == name) else {
            return;
        };
        let items: &[Node] = if let Kind::List(items) = &node.kind {
            items
        } else {
            std::slice::from_ref(node)
        };
        for item in items {
            if let Some(value) = scalar(item, name, &mut Findings::default())
                && !parameter.values.contains(&value)
            {
                parameter.values.push(value);
            }
        }
    };
    for phase in phases {
        let Kind::Map(fields) = &phase.kind else {
            continue;
        };
        for (key, _, node) in fields {
            match key.as_str() {
                "variants" => {
                    for (_, _, variant) in map(node, key, &mut silent).unwrap_or(&[]) {
                        map(variant, key, &mut silent)
                            .unwrap_or(&[])
                            .iter()
                            .for_each(|(n, _, v)| mention(n, v));
                    }
                }
                "sweep" => map(node, key, &mut silent)
                    .unwrap_or(&[])
                    .iter()
                    .for_each(|(n, _, v)| mention(n, v)),
                "search" => {
                    let Kind::Map(inner) = &node.kind else {
                        continue;
                    };
                    let lists = inner.iter().find(|e| e.0 == "parameters").map(|e| &e.2);
                    let lists = lists.and_then(|l| map(l, key, &mut silent)).unwrap_or(&[]);
                    lists.iter().for_each(|(n, _, v)| mention(n, v));
                }
                _ => {}
            }
        }
    }
    parameters
}
