//! The `kernel:` of a workload: sources, launch geometry and arguments of the user's own GPU kernel.
use super::reader::{Fields, Findings, map, scalar, text, texts};
use super::tree::{Kind, Node};
use super::{Argument, ArgumentKind, Fill, KernelChoice, KernelCode};
use crate::diagnostic::Origin;
use crate::space::{Parameter, Restriction};
use crate::value::Value;

pub(super) const KERNEL_KEYS: &[&str] = &[
    "entry",
    "wgsl",
    "cuda",
    "grid",
    "block",
    "options",
    "shared_memory",
    "arguments",
    "reference",
];
pub(super) const REFERENCE_KEYS: &[&str] = &[
    "entry",
    "wgsl",
    "cuda",
    "options",
    "grid",
    "block",
    "shared_memory",
];
pub(super) const ARGUMENT_KEYS: &[&str] =
    &["type", "shape", "value", "fill", "seed", "memory", "output"];
pub(super) const FILL_KEYS: &[&str] = &["constant", "uniform", "normal", "file"];

/// Element types of arguments.
pub const ELEMENTS: &[&str] = &[
    "f16", "f32", "f64", "i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64",
];

/// Texts that are expressions over parameters and scalar arguments, to be checked once those are known.
pub(super) type Expressions = Vec<(String, Origin)>;

pub(super) fn kernel(
    node: &Node,
    folder: &str,
    findings: &mut Findings,
) -> Option<(KernelChoice, Expressions)> {
    let fields = Fields::of(node, "`kernel`", KERNEL_KEYS, findings);
    let mut expressions = vec![];
    let code = code(&fields, &mut expressions, findings);
    let mut arguments: Vec<Argument> = vec![];
    match fields.get("arguments") {
        None => findings.add(
            &fields.origin,
            "the kernel has no `arguments:`",
            "write each in the order of its bindings: x: {type: f32, shape: [1024], fill: {uniform: [0, 1]}}",
        ),
        Some(node) => {
            for (name, origin, node) in map(node, "arguments", findings).unwrap_or(&[]) {
                arguments.extend(argument(name, origin, node, &mut expressions, findings));
            }
        }
    }
    let reference = fields.get("reference").and_then(|node| {
        let fields = Fields::of(node, "`reference`", REFERENCE_KEYS, findings);
        self::code(&fields, &mut expressions, findings)
    });
    let choice = KernelChoice {
        code: code?,
        arguments,
        reference,
        folder: folder.to_owned(),
    };
    Some((choice, expressions))
}

fn code(
    fields: &Fields<'_>,
    expressions: &mut Expressions,
    findings: &mut Findings,
) -> Option<KernelCode> {
    let mut missing = |what: &str, help: &str| {
        findings.add(&fields.origin, format!("the kernel has no {what}"), help);
    };
    if fields.get("entry").is_none() {
        missing("`entry:`", "it names the function that is launched");
    }
    if fields.get("wgsl").is_none() && fields.get("cuda").is_none() {
        missing("source", "write wgsl: FILE, cuda: FILE, or both");
    }
    if fields.get("grid").is_none() {
        missing(
            "`grid:`",
            "groups along x, y, z: [\"(n + tile - 1) // tile\"]",
        );
    }
    if fields.get("cuda").is_some() && fields.get("block").is_none() {
        missing(
            "`block:`",
            "threads of a group along x, y, z, as CUDA wants them",
        );
    }
    let mut geometry = |key: &str, findings: &mut Findings| -> Vec<String> {
        let Some(node) = fields.get(key) else {
            return vec![];
        };
        let written = texts(node, key, findings);
        if written.len() > 3 {
            findings.add(&node.origin, format!("`{key}` has three axes at most"), "");
        }
        expressions.extend(written.iter().cloned());
        written.into_iter().map(|(text, _)| text).collect()
    };
    let (grid, block) = (geometry("grid", findings), geometry("block", findings));
    let shared_memory = geometry("shared_memory", findings).into_iter().next();
    let options = fields.get("options").map_or_else(Vec::new, |node| {
        let written = texts(node, "options", findings);
        written.into_iter().map(|(text, _)| text).collect()
    });
    Some(KernelCode {
        options,
        entry: fields.text("entry", findings)?,
        wgsl: fields.text("wgsl", findings),
        cuda: fields.text("cuda", findings),
        grid,
        block,
        shared_memory,
    })
}

fn argument(
    name: &str,
    origin: &Origin,
    node: &Node,
    expressions: &mut Expressions,
    findings: &mut Findings,
) -> Option<Argument> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || !name.chars().all(is_name) {
        findings.add(
            origin,
            format!("`{}` cannot name an argument", name.escape_debug()),
            "use letters, digits and `_`",
        );
    }
    // A number alone is a scalar of the usual type.
    if let Kind::Int(_) | Kind::Float(_) = node.kind {
        let value = scalar(node, name, findings)?;
        let element = match value {
            Value::Float(_) => "f32",
            _ => "i32",
        };
        return Some(Argument {
            name: name.into(),
            element: element.into(),
            kind: ArgumentKind::Scalar(value),
        });
    }
    let fields = Fields::of(node, "an argument", ARGUMENT_KEYS, findings);
    let element = match fields.get("type") {
        None => {
            findings.add(
                &node.origin,
                format!("`{name}` has no `type`"),
                format!("it is one of {}", ELEMENTS.join(", ")),
            );
            "f32".to_owned()
        }
        Some(node) => {
            let written = text(node, "type", findings)?;
            if !ELEMENTS.contains(&written.as_str()) {
                findings.unknown(&node.origin, "type", &written, ELEMENTS);
            }
            written
        }
    };
    let kind = match (fields.get("value"), fields.get("shape")) {
        (Some(value), None) => {
            for key in ["fill", "seed", "memory", "output"] {
                if let Some(origin) = fields.key_origin(key) {
                    findings.add(
                        origin,
                        format!("`{key}` has no effect on a scalar"),
                        "leave it out",
                    );
                }
            }
            ArgumentKind::Scalar(scalar(value, name, findings)?)
        }
        (None, Some(shape)) => {
            let written = texts(shape, "shape", findings);
            expressions.extend(written.iter().cloned());
            let is_constant = match fields.text("memory", findings).as_deref() {
                None | Some("global") => false,
                Some("constant") => true,
                Some(other) => {
                    let origin = &fields.get("memory").unwrap_or(node).origin;
                    findings.unknown(origin, "memory", other, &["global", "constant"]);
                    false
                }
            };
            ArgumentKind::Array {
                shape: written.into_iter().map(|(text, _)| text).collect(),
                fill: fields.get("fill").and_then(|node| fill(node, findings)),
                seed: fields.whole("seed", 0..=i64::MAX, findings).unwrap_or(0) as u64,
                is_constant,
                is_output: fields.flag("output", findings).unwrap_or(false),
            }
        }
        _ => {
            findings.add(
                &node.origin,
                format!("`{name}` needs either a `shape` or a `value`"),
                "an array has a shape, a scalar a value",
            );
            return None;
        }
    };
    Some(Argument {
        name: name.into(),
        element,
        kind,
    })
}

fn fill(node: &Node, findings: &mut Findings) -> Option<Fill> {
    const WORDS: &[&str] = &["zeros", "iota"];
    if let Kind::Text(word) = &node.kind {
        return match word.as_str() {
            "zeros" => Some(Fill::Constant(0.0)),
            "iota" => Some(Fill::Iota),
            other => {
                findings.unknown(&node.origin, "fill", other, WORDS);
                None
            }
        };
    }
    let fields = Fields::of(node, "`fill`", FILL_KEYS, findings);
    let number = |node: &Node, findings: &mut Findings| match scalar(node, "a fill", findings)? {
        Value::Int(i) => Some(i as f64),
        Value::Float(f) => Some(f),
        _ => {
            findings.add(&node.origin, "a fill is a number", "");
            None
        }
    };
    let pair = |key: &str, findings: &mut Findings| -> Option<(f64, f64)> {
        match fields.list(key, findings)? {
            [a, b] => Some((number(a, findings)?, number(b, findings)?)),
            _ => {
                findings.add(
                    &node.origin,
                    format!("`{key}` takes two numbers"),
                    "uniform: [from, to], normal: [mean, deviation]",
                );
                None
            }
        }
    };
    let constant = fields
        .get("constant")
        .and_then(|n| number(n, findings))
        .map(Fill::Constant);
    let uniform = pair("uniform", findings).map(|(a, b)| Fill::Uniform(a, b));
    let normal = pair("normal", findings).map(|(a, b)| Fill::Normal(a, b));
    let file = fields.text("file", findings).map(Fill::File);
    let mut found = constant
        .into_iter()
        .chain(uniform)
        .chain(normal)
        .chain(file);
    let first = found.next();
    if found.next().is_some() {
        findings.add(
            &node.origin,
            "an argument is filled in one way",
            "keep one of them",
        );
    }
    first
}

/// Checks what the kernel computes from its parameters; they are known only after the workload's section.
pub(super) fn check(
    kernel: &KernelChoice,
    expressions: &Expressions,
    parameters: &[Parameter],
    findings: &mut Findings,
) {
    let known = kernel.names(parameters);
    for (text, origin) in expressions {
        if let Err(wrong) = Restriction::parse(text, &known) {
            let place = text.get(wrong.start..wrong.end).filter(|t| !t.is_empty());
            let place = place.map_or_else(String::new, |t| format!(" (at `{t}`)"));
            findings.add(
                origin,
                format!("in the expression: {}{place}", wrong.message),
                wrong.help.unwrap_or_default(),
            );
        }
    }
}

impl KernelChoice {
    /// What expressions may speak of: tuning parameters, and scalar arguments that are whole or fractions.
    pub fn names(&self, parameters: &[Parameter]) -> Vec<Parameter> {
        let scalars = self
            .arguments
            .iter()
            .filter_map(|argument| match &argument.kind {
                ArgumentKind::Scalar(value) => Some(Parameter {
                    name: argument.name.clone(),
                    values: vec![value.clone()],
                }),
                ArgumentKind::Array { .. } => None,
            });
        parameters.iter().cloned().chain(scalars).collect()
    }

    /// Whether there is an array to compare.
    pub fn has_output(&self) -> bool {
        let is_output = |argument: &Argument| {
            matches!(
                argument.kind,
                ArgumentKind::Array {
                    is_output: true,
                    ..
                }
            )
        };
        self.arguments.iter().any(is_output)
    }

    /// "matmul of matmul.wgsl and matmul.cu"
    pub fn shown(&self) -> String {
        let files = [&self.code.wgsl, &self.code.cuda].into_iter().flatten();
        let files: Vec<&str> = files.map(String::as_str).collect();
        format!("{} of {}", self.code.entry, files.join(" and "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::tests::parse;
    use crate::plan::tests::wrong::{Wrong, assert_wrong};
    use crate::plan::{DeviceChoice, Objective, WorkloadChoice};

    const KERNEL: &str = "name: k
workload:
  kernel:
    entry: scale
    wgsl: scale.wgsl
    cuda: scale.cu
    grid: ['(n + block * tile - 1) // (block * tile)', 2]
    block: [block]
    arguments:
      x: {type: f32, shape: [n], fill: {uniform: [-1, 1]}, seed: 3}
      y: {type: f16, shape: ['n // 2', 2], output: true}
      w: {type: f64, shape: [4], memory: constant, fill: iota}
      n: 1024
      by: 0.5
      count: {type: u32, value: 7}
    reference: {entry: plain, wgsl: plain.wgsl, grid: n}
accuracy: {against: exact, limits: {rel_l2: 1e-3}}
objective: device_time
baseline: {block: 64, tile: 1}
phases:
  - phase: tune
    search:
      parameters: {block: [32, 64], tile: [1, 2]}
";

    #[test]
    fn a_kernel_is_read_as_it_is_written() {
        let parsed = parse(KERNEL).unwrap();
        let WorkloadChoice::Kernel(kernel) = &parsed.plan.workload else {
            panic!("{:?}", parsed.plan.workload);
        };
        assert_eq!(kernel.shown(), "scale of scale.wgsl and scale.cu");
        assert_eq!(kernel.code.grid[1], "2");
        let names: Vec<&str> = kernel.arguments.iter().map(|a| a.name.as_str()).collect();
        assert_eq!(
            names,
            ["x", "y", "w", "n", "by", "count"],
            "in the order of the file"
        );
        let kinds: Vec<&str> = kernel
            .arguments
            .iter()
            .map(|a| a.element.as_str())
            .collect();
        assert_eq!(kinds, ["f32", "f16", "f64", "i32", "f32", "u32"]);
        let ArgumentKind::Array {
            fill,
            seed,
            is_constant,
            is_output,
            ..
        } = &kernel.arguments[0].kind
        else {
            panic!("{:?}", kernel.arguments[0]);
        };
        assert_eq!((fill, *seed), (&Some(Fill::Uniform(-1.0, 1.0)), 3));
        assert!(!is_constant && !is_output && kernel.has_output());
        assert_eq!(parsed.plan.objective, Objective::DeviceTime);
        assert_eq!(
            parsed.plan.cases[0].device,
            DeviceChoice::Wgpu(0),
            "auto is a GPU"
        );
        assert!(parsed.declaration.has_exact, "a reference is an answer");
        let known = kernel.names(&parsed.declaration.parameters);
        assert_eq!(known.len(), 5, "{known:?}");
    }

    #[test]
    fn every_wrong_kernel_has_its_message_at_its_place() {
        const WRONG: &[Wrong] = &[
            (
                "    entry: scale\n",
                "",
                "the kernel has no `entry:`",
                "function",
            ),
            (
                "    wgsl: scale.wgsl\n    cuda: scale.cu\n",
                "",
                "the kernel has no source",
                "wgsl: FILE",
            ),
            (
                "    block: [block]\n",
                "",
                "the kernel has no `block:`",
                "CUDA",
            ),
            (
                "grid: ['(n + block * tile - 1) // (block * tile)', 2]",
                "grit: 2",
                "unknown key in `kernel` `grit`",
                "did you mean `grid`?",
            ),
            (
                "'(n + block * tile - 1) // (block * tile)', 2",
                "1, 1, 1, 1",
                "three axes at most",
                "",
            ),
            (
                "(block * tile)'",
                "(blocks * tile)'",
                "in the expression: unknown parameter `blocks` (at `blocks`)",
                "did you mean block?",
            ),
            ("'n // 2'", "'n //'", "in the expression: ", ""),
            ("type: f32", "type: float", "unknown type `float`", "f16"),
            (
                "type: f32, shape: [n]",
                "shape: [n]",
                "`x` has no `type`",
                "f32",
            ),
            (
                "shape: [n], fill",
                "fill",
                "needs either a `shape` or a `value`",
                "",
            ),
            (
                "fill: iota",
                "fill: itoa",
                "unknown fill `itoa`",
                "did you mean `iota`?",
            ),
            (
                "{uniform: [-1, 1]}",
                "{uniform: [1]}",
                "`uniform` takes two numbers",
                "[from, to]",
            ),
            (
                "{uniform: [-1, 1]}",
                "{uniform: [-1, 1], constant: 2}",
                "filled in one way",
                "",
            ),
            (
                "memory: constant",
                "memory: const",
                "unknown memory `const`",
                "there is global, constant",
            ),
            (
                "value: 7}",
                "value: 7, seed: 1}",
                "`seed` has no effect on a scalar",
                "",
            ),
            (
                "  kernel:\n",
                "  shell: true\n  kernel:\n",
                "`shell` has no effect on a kernel",
                "",
            ),
        ];
        for wrong in WRONG {
            assert_wrong(KERNEL, *wrong);
        }
    }
}
