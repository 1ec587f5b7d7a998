//! From the tree to a [`Plan`], with every finding: keys, types, domains, names, the graph.
use super::command::{self, Usage};
use super::reader::{Fields, Findings, scalar, text, texts};
use super::tree::{Kind, Node};
use super::{
    Accuracy, Against, Case, Criterion, Declaration, DeviceChoice, Hypothesis, Keep, Limits,
    NamedVariant, Objective, Phase, Plan, Protocol, Question, Relation, Search, WarmUp,
    WorkloadChoice, graph,
};
use crate::accuracy::METRICS;
use crate::diagnostic::{Diagnostic, Origin};
use crate::search::STRATEGIES;
use crate::space::{Configuration, Parameter, Restriction, nearest};
use crate::value::{Nanoseconds, Value, parse_bytes, parse_duration, parse_ratio, parse_speedup};

pub(super) const PLAN_KEYS: &[&str] = &[
    "name",
    "title",
    "workload",
    "device",
    "objective",
    "accuracy",
    "limits",
    "protocol",
    "baseline",
    "phases",
    "matrix",
];
pub(super) const ACCURACY_KEYS: &[&str] = &["against", "limits"];
pub(super) const LIMITS_KEYS: &[&str] = &["peak_memory"];
pub(super) const PROTOCOL_KEYS: &[&str] = &[
    "warmup",
    "blocks",
    "precision",
    "confidence",
    "equivalence",
    "time_limit",
    "trial_timeout",
    "repetitions",
    "seed",
];
pub(super) const BLOCKS_KEYS: &[&str] = &["min", "max"];
pub(super) const PHASE_KEYS: &[&str] = &[
    "phase",
    "kind",
    "title",
    "after",
    "variants",
    "sweep",
    "search",
    "combine",
    "keep",
    "hypothesis",
    "criteria",
];
pub(super) const SEARCH_KEYS: &[&str] =
    &["parameters", "restrictions", "strategy", "budget", "pareto"];
pub(super) const BUDGET_KEYS: &[&str] = &["evaluations", "time"];
pub(super) const HYPOTHESIS_KEYS: &[&str] = &["speedup", "effort", "risk", "because"];

/// Kinds that the report knows words for; any other name is allowed unless it looks like one of these misspelt.
const KINDS: &[&str] = &[
    "baseline",
    "precision",
    "fusion",
    "tiling",
    "threadgroup",
    "prefetch",
    "memory",
    "algorithm",
    "architecture",
    "quality",
    "combined",
];

/// Phases that are combined at once: 4095 variants.
const MOST_COMBINED: usize = 12;

/// What the check needs to know of the rest of the house, as data.
pub(super) struct Known<'a> {
    pub(super) declare: &'a dyn Fn(&str) -> Option<Declaration>,
    pub(super) builtins: &'a [&'a str],
    pub(super) folder: &'a str,
}

/// Checks the whole tree.
pub(super) fn check(
    tree: &Node,
    known: &Known<'_>,
) -> Result<(Plan, Declaration), Vec<Diagnostic>> {
    let mut findings = Findings::default();
    let found = plan(tree, known, &mut findings);
    match found {
        Some(found) if findings.0.is_empty() => Ok(found),
        _ => {
            findings.0.sort_by_key(|finding| match &finding.origin {
                Origin::File { start, .. } => Some(*start),
                Origin::Option(_) => None,
            });
            Err(findings.0)
        }
    }
}

fn plan(tree: &Node, known: &Known<'_>, findings: &mut Findings) -> Option<(Plan, Declaration)> {
    let fields = Fields::of(tree, "the plan", PLAN_KEYS, findings);
    let name = name(&fields, findings);
    for key in ["workload", "phases"] {
        if fields.get(key).is_none() && matches!(tree.kind, Kind::Map(_)) {
            findings.add(
                &fields.origin,
                format!("the plan has no `{key}:`"),
                "`phasetune init` writes a plan to start from",
            );
        }
    }
    let baseline_node = fields.map("baseline", findings);
    let workload = fields
        .get("workload")
        .and_then(|node| command::workload(node, known, findings));
    let (choice, problem, mut declaration, usage) = workload?;
    if let WorkloadChoice::Command(_) = choice {
        declaration.parameters = command::parameters(tree, baseline_node, findings);
        check_usage(&usage, &declaration, baseline_node, findings);
    }
    let baseline = baseline(baseline_node, &declaration, findings);
    let metrics = metrics(&choice, &declaration);
    let protocol = fields
        .get("protocol")
        .map_or_else(default_protocol, |node| protocol(node, findings));
    let objective = objective(&fields, &choice, findings);
    let accuracy = fields
        .get("accuracy")
        .map_or_else(Accuracy::default, |node| {
            accuracy(node, &choice, &declaration, &metrics, known, findings)
        });
    let limits = fields.get("limits").map_or_else(Limits::default, |node| {
        let fields = Fields::of(node, "`limits`", LIMITS_KEYS, findings);
        Limits {
            peak_memory: fields.quantity("peak_memory", parse_bytes, findings),
        }
    });
    let mut phases = phases(&fields, &declaration, &metrics, &baseline, findings);
    check_graph(&mut phases, fields.get("phases"), &baseline, findings);
    let devices = devices(&fields, findings);
    let cases = cases(&fields, &devices, &problem, &declaration, findings);
    let title = fields
        .text("title", findings)
        .unwrap_or_else(|| name.clone());
    let plan = Plan {
        name,
        title,
        workload: choice,
        objective,
        accuracy,
        limits,
        protocol,
        baseline,
        phases,
        cases,
    };
    Some((plan, declaration))
}

fn name(fields: &Fields<'_>, findings: &mut Findings) -> String {
    let Some(node) = fields.get("name") else {
        findings.add(
            &fields.origin,
            "the plan has no `name:`",
            "it names the folders under results/ and reports/",
        );
        return String::new();
    };
    let name = text(node, "name", findings).unwrap_or_default();
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    if name.is_empty() || name.len() > 64 || !name.chars().all(fits) || name.starts_with('-') {
        findings.add(
            &node.origin,
            format!("`{name}` cannot name a folder"),
            "use lower-case letters, digits, `_` and `-`, at most 64",
        );
    }
    name
}

/// Placeholders must be parameters, and every parameter of a command must be used by it.
fn check_usage(
    usage: &Usage,
    declaration: &Declaration,
    baseline: Option<&[(String, Origin, Node)]>,
    findings: &mut Findings,
) {
    let names: Vec<&str> = declaration
        .parameters
        .iter()
        .map(|p| p.name.as_str())
        .collect();
    for (placeholder, origin) in &usage.placeholders {
        if placeholder != command::SCRATCH && !names.contains(&placeholder.as_str()) {
            findings.unknown(origin, "parameter", placeholder, &names);
        }
    }
    if usage.has_templates {
        return; // A template file may use any of them.
    }
    for (name, origin, _) in baseline.unwrap_or(&[]) {
        if !usage.placeholders.iter().any(|(p, _)| p == name) {
            findings.add(
                origin,
                format!("nothing uses the parameter `{name}`"),
                format!(
                    "write {{{name}}} in the command, its environment or a file, or leave it out"
                ),
            );
        }
    }
}

fn baseline(
    node: Option<&[(String, Origin, Node)]>,
    declaration: &Declaration,
    findings: &mut Findings,
) -> Configuration {
    let defaults = declaration
        .parameters
        .iter()
        .filter_map(|p| p.values.first().map(|v| (p.name.clone(), v.clone())))
        .collect();
    let mut changes = vec![];
    for (name, origin, value) in node.unwrap_or(&[]) {
        changes.extend(assignment(name, origin, value, declaration, findings));
    }
    Configuration::new(defaults).with(&changes)
}

/// A parameter with a value of its domain.
fn assignment(
    name: &str,
    origin: &Origin,
    node: &Node,
    declaration: &Declaration,
    findings: &mut Findings,
) -> Option<(String, Value)> {
    let Some(parameter) = declaration.parameters.iter().find(|p| p.name == name) else {
        let names: Vec<&str> = declaration
            .parameters
            .iter()
            .map(|p| p.name.as_str())
            .collect();
        findings.unknown(origin, "parameter", name, &names);
        return None;
    };
    let value = scalar(node, &format!("`{name}`"), findings)?;
    let in_range = declaration.ranges.iter().any(|(n, low, high)| {
        n == name && matches!(value, Value::Int(i) if (*low..=*high).contains(&i))
    });
    if in_range {
        return Some((name.into(), value));
    }
    // 1 is 1.0 where the parameter's values are fractions.
    let is_same = |known: &&Value| match (known, &value) {
        (Value::Float(known), Value::Int(written)) => *known == *written as f64,
        (known, written) => *known == written,
    };
    if let Some(known) = parameter.values.iter().find(is_same) {
        return Some((name.into(), known.clone()));
    }
    let shown: Vec<String> = parameter.values.iter().map(ToString::to_string).collect();
    let range = declaration.ranges.iter().find(|(n, _, _)| n == name);
    let range = range.map_or_else(String::new, |(_, low, high)| {
        format!(", or any whole number from {low} to {high}")
    });
    let near = nearest(
        &value.to_string(),
        &shown.iter().map(String::as_str).collect::<Vec<_>>(),
    )
    .map_or_else(String::new, |near| format!("did you mean `{near}`? "));
    findings.add(
        &node.origin,
        format!("`{name}` cannot be {value}"),
        format!("{near}{name} takes {}{range}", shown.join(", ")),
    );
    None
}

/// Names that limits and criteria may speak of.
fn metrics(choice: &WorkloadChoice, declaration: &Declaration) -> Vec<String> {
    let mut names: Vec<String> = METRICS.iter().map(|m| m.name.to_owned()).collect();
    names.extend(declaration.own_metrics.iter().map(|m| m.0.clone()));
    if let WorkloadChoice::Command(command) = choice {
        names.extend(command.metrics.iter().map(|m| m.name.clone()));
    }
    names
}

fn objective(fields: &Fields<'_>, choice: &WorkloadChoice, findings: &mut Findings) -> Objective {
    let Some(node) = fields.get("objective") else {
        return Objective::Runtime;
    };
    let written = text(node, "objective", findings).unwrap_or_default();
    let declared: Vec<String> = match choice {
        WorkloadChoice::Command(command) => {
            command.metrics.iter().map(|m| m.name.clone()).collect()
        }
        WorkloadChoice::Builtin { .. } | WorkloadChoice::Imported { .. } => vec![],
    };
    match written.as_str() {
        "runtime" => Objective::Runtime,
        "peak_memory" => Objective::PeakMemory,
        "device_time" | "energy" => {
            findings.add(
                &node.origin,
                format!("`{written}` needs a GPU backend, which this build does not have"),
                "use runtime or peak_memory",
            );
            Objective::Runtime
        }
        name if declared.iter().any(|m| m == name) => Objective::Metric(name.into()),
        _ => {
            let mut names = vec!["runtime", "peak_memory"];
            names.extend(declared.iter().map(String::as_str));
            findings.unknown(&node.origin, "objective", &written, &names);
            Objective::Runtime
        }
    }
}

fn accuracy(
    node: &Node,
    choice: &WorkloadChoice,
    declaration: &Declaration,
    metrics: &[String],
    known: &Known<'_>,
    findings: &mut Findings,
) -> Accuracy {
    let fields = Fields::of(node, "`accuracy`", ACCURACY_KEYS, findings);
    let against = match fields.get("against").map(|n| (&n.kind, n)) {
        None => Against::Baseline,
        Some((Kind::Text(word), _)) if word == "baseline" => Against::Baseline,
        Some((Kind::Text(word), n)) if word == "exact" => {
            if !declaration.has_exact {
                findings.add(
                    &n.origin,
                    "this workload has no exact answer",
                    "compare with `baseline`, or with `{file: ref.npy}`",
                );
            }
            Against::Exact
        }
        Some((Kind::Map(_), n)) => {
            let inner = Fields::of(n, "`against`", &["file"], findings);
            let file = inner.text("file", findings).unwrap_or_default();
            let file = std::path::Path::new(known.folder).join(file);
            Against::File(file.to_string_lossy().into_owned())
        }
        Some((_, n)) => {
            findings.add(
                &n.origin,
                "`against` must be baseline, exact or {file: ref.npy}",
                "",
            );
            Against::Baseline
        }
    };
    let mut limits = vec![];
    for (name, origin, value) in fields.map("limits", findings).unwrap_or(&[]) {
        let names: Vec<&str> = metrics.iter().map(String::as_str).collect();
        if !names.contains(&name.as_str()) {
            findings.unknown(origin, "accuracy metric", name, &names);
        }
        match value.kind {
            Kind::Float(x) => limits.push((name.clone(), x)),
            Kind::Int(n) => limits.push((name.clone(), n as f64)),
            ref other => findings.add(
                &value.origin,
                format!(
                    "the limit of `{name}` must be a number, this is {}",
                    other.noun()
                ),
                "",
            ),
        }
    }
    let has_output = match choice {
        WorkloadChoice::Command(command) => command.output.is_some(),
        WorkloadChoice::Builtin { .. } | WorkloadChoice::Imported { .. } => true,
    };
    let builtin_metric = |name: &String| METRICS.iter().any(|m| m.name == *name);
    if !has_output && limits.iter().any(|(name, _)| builtin_metric(name)) {
        findings.add(
            &node.origin,
            "accuracy needs an `output:` of the command to compare",
            "add output: FILE.npy to the workload",
        );
    }
    Accuracy { against, limits }
}

pub(super) fn default_protocol() -> Protocol {
    Protocol {
        warm_up: WarmUp::Auto,
        min_blocks: 10,
        max_blocks: 40,
        precision: 0.01,
        confidence: 0.95,
        equivalence: 0.01,
        time_limit: Nanoseconds(600e9),
        trial_timeout: Nanoseconds(60e9),
        repetitions: None,
        seed: 1,
    }
}

fn protocol(node: &Node, findings: &mut Findings) -> Protocol {
    let fields = Fields::of(node, "`protocol`", PROTOCOL_KEYS, findings);
    let mut protocol = default_protocol();
    if let Some(warm_up) = fields.get("warmup") {
        protocol.warm_up = match &warm_up.kind {
            Kind::Text(word) if word == "auto" => WarmUp::Auto,
            Kind::Int(n @ 0..=100_000) => WarmUp::Invocations(*n as u32),
            Kind::Text(time) => match parse_duration(time) {
                Ok(time) => WarmUp::Time(time),
                Err(why) => {
                    findings.add(
                        &warm_up.origin,
                        format!("`warmup`: {why}"),
                        "or `auto`, or a number of invocations",
                    );
                    WarmUp::Auto
                }
            },
            _ => {
                findings.add(
                    &warm_up.origin,
                    "`warmup` must be auto, a number of invocations or a duration",
                    "",
                );
                WarmUp::Auto
            }
        };
    }
    if let Some(blocks) = fields.get("blocks") {
        let inner = Fields::of(blocks, "`blocks`", BLOCKS_KEYS, findings);
        let (min, max) = (
            inner.whole("min", 3..=10_000, findings),
            inner.whole("max", 3..=10_000, findings),
        );
        if let Some(max) = max {
            protocol.max_blocks = max as u32;
            protocol.min_blocks = protocol.min_blocks.min(max as u32);
        }
        if let Some(min) = min {
            protocol.min_blocks = min as u32;
            if max.is_none() {
                protocol.max_blocks = protocol.max_blocks.max(min as u32);
            }
        }
        if protocol.min_blocks > protocol.max_blocks {
            findings.add(
                &blocks.origin,
                "`blocks`: min is above max",
                "min is the least before a phase may stop early",
            );
        }
    }
    let share = |key: &str, low: f64, high: f64, findings: &mut Findings| -> Option<f64> {
        let value = fields.quantity(key, parse_ratio, findings)?;
        if value >= low && value < high {
            return Some(value);
        }
        let origin = &fields.get(key)?.origin;
        findings.add(
            origin,
            format!("`{key}` must be at least {low} and below {high}, this is {value}"),
            "",
        );
        None
    };
    protocol.precision = share("precision", 0.0, 1.0, findings).unwrap_or(protocol.precision);
    protocol.confidence = share("confidence", 0.5, 1.0, findings).unwrap_or(protocol.confidence);
    protocol.equivalence = share("equivalence", 0.0, 1.0, findings).unwrap_or(protocol.equivalence);
    protocol.time_limit = fields
        .quantity("time_limit", parse_duration, findings)
        .unwrap_or(protocol.time_limit);
    protocol.trial_timeout = fields
        .quantity("trial_timeout", parse_duration, findings)
        .unwrap_or(protocol.trial_timeout);
    protocol.repetitions = fields
        .whole("repetitions", 1..=1000, findings)
        .map(|n| n as u32);
    protocol.seed = fields
        .whole("seed", 0..=i64::MAX, findings)
        .map_or(protocol.seed, |n| n as u64);
    protocol
}

fn phases(
    fields: &Fields<'_>,
    declaration: &Declaration,
    metrics: &[String],
    baseline: &Configuration,
    findings: &mut Findings,
) -> Vec<Phase> {
    let mut phases: Vec<Phase> = vec![];
    for node in fields.list("phases", findings).unwrap_or(&[]) {
        let Some(phase) = phase(node, declaration, metrics, baseline, findings) else {
            continue;
        };
        if phases.iter().any(|p| p.name == phase.name) {
            findings.add(
                &node.origin,
                format!("there are two phases `{}`", phase.name),
                "each needs a name of its own",
            );
        }
        if phase.name == "final" {
            findings.add(
                &node.origin,
                "`final` is the name of the last confirmation",
                "give the phase another name",
            );
        }
        phases.push(phase);
    }
    phases
}

fn phase(
    node: &Node,
    declaration: &Declaration,
    metrics: &[String],
    baseline: &Configuration,
    findings: &mut Findings,
) -> Option<Phase> {
    let fields = Fields::of(node, "a phase", PHASE_KEYS, findings);
    let Some(name) = fields.text("phase", findings) else {
        if matches!(node.kind, Kind::Map(_)) && fields.get("phase").is_none() {
            findings.add(
                &node.origin,
                "a phase without its name",
                "write `phase: NAME`",
            );
        }
        return None;
    };
    let fits = |c: char| c.is_alphanumeric() || "_-. ".contains(c);
    if name.is_empty() || name.len() > 64 || !name.chars().all(fits) {
        findings.add(
            &node.origin,
            format!("`{}` cannot name a phase", name.escape_debug()),
            "use letters, digits, `_`, `-` and `.`",
        );
    }
    let kind = fields
        .text("kind", findings)
        .unwrap_or_else(|| "algorithm".into());
    if let Some(near) = nearest(&kind, KINDS)
        && near != kind
        && let Some(origin) = fields.get("kind").map(|n| &n.origin)
    {
        findings.unknown(origin, "kind", &kind, KINDS);
        let _ = near;
    }
    let question = question(&fields, declaration, metrics, baseline, findings);
    let keep = match fields.text("keep", findings).as_deref() {
        None | Some("best") => Keep::Best,
        Some("none") => Keep::None,
        Some(other) => {
            findings.unknown(
                &fields.get("keep")?.origin,
                "choice of `keep`",
                other,
                &["best", "none"],
            );
            Keep::Best
        }
    };
    let after = fields
        .get("after")
        .map_or_else(Vec::new, |n| texts(n, "after", findings));
    let criteria = fields
        .get("criteria")
        .map_or_else(Vec::new, |n| texts(n, "criteria", findings));
    let names = variant_names(&question);
    Some(Phase {
        title: fields
            .text("title", findings)
            .unwrap_or_else(|| name.replace('_', " ")),
        name,
        kind,
        after: after.into_iter().map(|(t, _)| t).collect(),
        keep,
        hypothesis: fields.get("hypothesis").map(|n| hypothesis(n, findings)),
        criteria: criteria
            .into_iter()
            .filter_map(|(text, origin)| criterion(&text, &origin, metrics, &names, findings))
            .collect(),
        question,
    })
}

fn variant_names(question: &Question) -> Option<Vec<String>> {
    match question {
        Question::Variants(variants) => Some(variants.iter().map(|v| v.name.clone()).collect()),
        Question::Sweep(parameters) => Some(
            super::sweep_variants(parameters)
                .into_iter()
                .map(|v| v.name)
                .collect(),
        ),
        _ => None,
    }
}

fn question(
    fields: &Fields<'_>,
    declaration: &Declaration,
    metrics: &[String],
    baseline: &Configuration,
    findings: &mut Findings,
) -> Question {
    let given: Vec<&str> = ["variants", "sweep", "search", "combine"]
        .into_iter()
        .filter(|k| fields.get(k).is_some())
        .collect();
    if given.len() > 1
        && let Some(origin) = fields.key_origin(given[1])
    {
        findings.add(
            origin,
            format!(
                "a phase has one question, this one has {}",
                given.join(" and ")
            ),
            "make two phases of it",
        );
    }
    match given.first() {
        Some(&"variants") => variants(fields, declaration, baseline, findings),
        Some(&"sweep") => Question::Sweep(parameter_lists(
            "sweep",
            fields.map("sweep", findings),
            declaration,
            findings,
        )),
        Some(&"search") => search(fields, declaration, metrics, findings),
        Some(_) => {
            let names = fields
                .get("combine")
                .map_or_else(Vec::new, |n| texts(n, "combine", findings));
            if let [(_, origin)] = &names[..] {
                findings.add(
                    origin,
                    "`combine` needs two phases or more",
                    "one phase's winner is carried on by `after`",
                );
            }
            if let Some((_, origin)) = names.get(MOST_COMBINED) {
                let n = names.len();
                findings.add(
                    origin,
                    format!("combining {n} phases makes 2^{n} variants"),
                    format!("combine at most {MOST_COMBINED}"),
                );
            }
            Question::Combine(names.into_iter().map(|(t, _)| t).collect())
        }
        None => Question::Baseline,
    }
}

fn variants(
    fields: &Fields<'_>,
    declaration: &Declaration,
    baseline: &Configuration,
    findings: &mut Findings,
) -> Question {
    let mut named: Vec<NamedVariant> = vec![];
    for (name, origin, node) in fields.map("variants", findings).unwrap_or(&[]) {
        let mut changes = vec![];
        for (parameter, key, value) in super::reader::map(node, name, findings).unwrap_or(&[]) {
            changes.extend(assignment(parameter, key, value, declaration, findings));
        }
        if ["reference", "canary", "baseline"].contains(&name.as_str()) {
            findings.add(
                origin,
                format!("`{name}` is a name that the report uses itself"),
                "give the variant another name",
            );
        }
        if let Some(twin) = named
            .iter()
            .find(|v| !changes.is_empty() && v.changes == changes)
        {
            findings.add(
                origin,
                format!("`{name}` is the same as `{}`", twin.name),
                "a variant must differ from the others",
            );
        }
        let has_no_parents = fields.get("after").is_none();
        if has_no_parents && !changes.is_empty() && baseline.with(&changes) == *baseline {
            findings.add(
                origin,
                format!("`{name}` is the same as the baseline"),
                "it would be compared with itself",
            );
        }
        named.push(NamedVariant {
            name: name.clone(),
            changes,
        });
    }
    Question::Variants(named)
}

/// Parameters with the values to try.
fn parameter_lists(
    what: &str,
    entries: Option<&[(String, Origin, Node)]>,
    declaration: &Declaration,
    findings: &mut Findings,
) -> Vec<Parameter> {
    let mut parameters = vec![];
    let mut product: f64 = 1.0;
    for (name, origin, node) in entries.unwrap_or(&[]) {
        let items = super::reader::list(node, name, findings).unwrap_or(&[]);
        let mut values: Vec<Value> = vec![];
        for item in items {
            let Some((_, value)) = assignment(name, origin, item, declaration, findings) else {
                continue;
            };
            if values.contains(&value) {
                findings.add(
                    &item.origin,
                    format!("{value} is twice in the list of `{name}`"),
                    "",
                );
            }
            values.push(value);
        }
        product *= values.len().max(1) as f64;
        parameters.push(Parameter {
            name: name.clone(),
            values,
        });
    }
    if what == "sweep"
        && product > 10_000.0
        && let Some((_, origin, _)) = entries.and_then(<[_]>::first)
    {
        findings.add(
            origin,
            format!("this sweep has {product} variants"),
            "use `search` with a budget",
        );
    }
    parameters
}

fn search(
    fields: &Fields<'_>,
    declaration: &Declaration,
    metrics: &[String],
    findings: &mut Findings,
) -> Question {
    let Some(node) = fields.get("search") else {
        return Question::Baseline;
    };
    let inner = Fields::of(node, "`search`", SEARCH_KEYS, findings);
    if inner.get("parameters").is_none() {
        findings.add(
            &node.origin,
            "`search` has no `parameters:`",
            "write parameters: {name: [values]}",
        );
    }
    let parameters = parameter_lists(
        "search",
        inner.map("parameters", findings),
        declaration,
        findings,
    );
    let mut restrictions = vec![];
    for (text, origin) in inner
        .get("restrictions")
        .map_or_else(Vec::new, |n| texts(n, "restrictions", findings))
    {
        match Restriction::parse(&text, &parameters) {
            Ok(_) => restrictions.push(text),
            Err(wrong) => {
                let place = text.get(wrong.start..wrong.end).filter(|t| !t.is_empty());
                let place = place.map_or_else(String::new, |t| format!(" (at `{t}`)"));
                findings.add(
                    &origin,
                    format!("in the restriction: {}{place}", wrong.message),
                    wrong.help.unwrap_or_default(),
                );
            }
        }
    }
    let budget = inner
        .get("budget")
        .map(|n| Fields::of(n, "`budget`", BUDGET_KEYS, findings));
    let evaluations = budget
        .as_ref()
        .and_then(|b| b.whole("evaluations", 1..=10_000_000, findings))
        .map(|n| n as u32);
    let time = budget
        .as_ref()
        .and_then(|b| b.quantity("time", parse_duration, findings));
    let strategy = (inner.text("strategy", findings)).unwrap_or_else(|| "auto".into());
    let names: Vec<&str> = STRATEGIES.iter().map(|entry| entry.name).collect();
    let entry = STRATEGIES.iter().find(|entry| entry.name == strategy);
    if entry.is_none()
        && let Some(origin) = inner.get("strategy").map(|n| &n.origin)
    {
        findings.unknown(origin, "strategy", &strategy, &names);
    }
    let all: f64 = parameters.iter().map(|p| p.values.len() as f64).product();
    if all > 1e5 && evaluations.is_none() && entry.is_some_and(|entry| !entry.learns) {
        findings.add(
            &node.origin,
            format!("the search has {all} configurations and no budget"),
            "write budget: {evaluations: N}",
        );
    }
    let mut pareto = vec![];
    let aims = (inner.get("pareto")).map_or_else(Vec::new, |n| texts(n, "pareto", findings));
    for (name, origin) in aims {
        let mut known = vec!["peak_memory"];
        known.extend(metrics.iter().map(String::as_str));
        if !known.contains(&name.as_str()) {
            findings.unknown(&origin, "quantity of `pareto`", &name, &known);
        }
        pareto.push(name);
    }
    Question::Search(Search {
        pareto,
        parameters,
        restrictions,
        strategy,
        evaluations,
        time,
    })
}

fn hypothesis(node: &Node, findings: &mut Findings) -> Hypothesis {
    let fields = Fields::of(node, "`hypothesis`", HYPOTHESIS_KEYS, findings);
    Hypothesis {
        speedup: fields.quantity("speedup", parse_speedup, findings),
        effort: fields.text("effort", findings),
        risk: fields.text("risk", findings),
        because: fields.text("because", findings),
    }
}

/// `quantity [(variant)] relation bound[unit]`.
fn criterion(
    text: &str,
    origin: &Origin,
    metrics: &[String],
    variants: &Option<Vec<String>>,
    findings: &mut Findings,
) -> Option<Criterion> {
    const RELATIONS: [(&str, Relation); 4] = [
        (">=", Relation::AtLeast),
        ("<=", Relation::AtMost),
        (">", Relation::Above),
        ("<", Relation::Below),
    ];
    let grammar = "write `speedup >= 1.05`, `nrmse <= 1e-4`, `peak_memory <= 2 GiB`, `runtime < 300 ms` or `speedup(VARIANT) > 1`";
    let found = RELATIONS
        .iter()
        .find_map(|(sign, r)| text.split_once(sign).map(|(l, b)| (l, *r, b)));
    let Some((left, relation, bound)) = found else {
        findings.add(origin, format!("`{text}` compares nothing"), grammar);
        return None;
    };
    let left = left.trim();
    let (quantity, variant) = match left.split_once('(') {
        Some((quantity, rest)) => match rest.strip_suffix(')') {
            Some(variant) => (quantity.trim(), Some(variant.trim().to_owned())),
            None => {
                findings.add(
                    origin,
                    format!("`{left}` has no closing parenthesis"),
                    grammar,
                );
                return None;
            }
        },
        None => (left, None),
    };
    let mut names = vec!["speedup", "runtime", "peak_memory"];
    names.extend(metrics.iter().map(String::as_str));
    if !names.contains(&quantity) {
        findings.unknown(origin, "quantity", quantity, &names);
        return None;
    }
    if let (Some(variant), Some(variants)) = (&variant, variants)
        && !variants.contains(variant)
    {
        let names: Vec<&str> = variants.iter().map(String::as_str).collect();
        findings.unknown(origin, "variant", variant, &names);
    }
    let bound = match quantity {
        "runtime" => parse_duration(bound).map(|t| t.0),
        "peak_memory" => parse_bytes(bound).map(|b| b.0 as f64),
        _ => bound
            .trim()
            .trim_end_matches('x')
            .parse::<f64>()
            .map_err(|_| format!("`{}` is no number", bound.trim())),
    };
    match bound {
        Ok(bound) if bound.is_finite() => Some(Criterion {
            text: text.trim().into(),
            quantity: quantity.into(),
            variant,
            relation,
            bound,
        }),
        Ok(_) => {
            findings.add(
                origin,
                format!("the bound of `{text}` is not finite"),
                grammar,
            );
            None
        }
        Err(why) => {
            findings.add(origin, why, grammar);
            None
        }
    }
}

/// Names in `after` and `combine`, cycles, contradictory parents; then sorts the phases.
fn check_graph(
    phases: &mut Vec<Phase>,
    node: Option<&Node>,
    baseline: &Configuration,
    findings: &mut Findings,
) {
    let names: Vec<String> = phases.iter().map(|p| p.name.clone()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let nodes: &[Node] = match node.map(|n| &n.kind) {
        Some(Kind::List(items)) => items,
        _ => return,
    };
    let mut is_sound = true;
    for item in nodes {
        let Kind::Map(entries) = &item.kind else {
            continue;
        };
        for (key, _, value) in entries
            .iter()
            .filter(|(key, _, _)| key == "after" || key == "combine")
        {
            for (parent, origin) in texts(value, key, &mut Findings::default()) {
                if !names.contains(&parent.as_str()) {
                    findings.unknown(&origin, "phase", &parent, &names);
                    is_sound = false;
                }
            }
        }
    }
    let origin_of = |phase: &str| {
        nodes
            .iter()
            .find(|n| matches!(&n.kind, Kind::Map(e) if e.iter().any(|(k, _, v)| k == "phase" && v.kind == Kind::Text(phase.into()))))
            .map_or(Origin::File { start: 0, end: 0 }, |n| n.origin.clone())
    };
    if !is_sound {
        return;
    }
    let order = match graph::order(phases) {
        Ok(order) => order,
        Err(cycle) => {
            let origin = origin_of(cycle.first().map_or("", String::as_str));
            findings.add(
                &origin,
                format!("the phases go round in a circle: {}", cycle.join(" → ")),
                "an `after` must point to an earlier question",
            );
            return;
        }
    };
    for phase in phases.iter() {
        let combined: &[String] = if let Question::Combine(names) = &phase.question {
            names
        } else {
            &[]
        };
        if combined.iter().all(|c| {
            phases
                .iter()
                .any(|p| p.name == *c && graph::varied(p).is_empty())
        }) && !combined.is_empty()
        {
            findings.add(
                &origin_of(&phase.name),
                format!("`{}` combines phases that keep nothing", phase.name),
                "combine phases with variants and `keep: best`",
            );
        }
        let parents: Vec<&String> = phase
            .after
            .iter()
            .filter(|p| !combined.contains(p))
            .collect();
        for (i, a) in parents.iter().enumerate() {
            for b in &parents[i + 1..] {
                let (of_a, of_b) = (graph::touched(phases, a), graph::touched(phases, b));
                // What both inherited from one common ancestor cannot differ.
                let clash = of_a
                    .iter()
                    .find(|(p, from)| of_b.get(*p).is_some_and(|other| other != *from));
                if let Some((parameter, _)) = clash {
                    findings.add(
                        &origin_of(&phase.name),
                        format!("`{a}` and `{b}` may keep different values of `{parameter}`"),
                        format!("write combine: [{a}, {b}] to measure which is better, or build one phase on the other"),
                    );
                }
            }
        }
    }
    let _ = baseline;
    let sorted: Vec<Phase> = order.into_iter().map(|i| phases[i].clone()).collect();
    *phases = sorted;
}

fn devices(fields: &Fields<'_>, findings: &mut Findings) -> Vec<DeviceChoice> {
    let Some(node) = fields.get("device") else {
        return vec![DeviceChoice::Auto];
    };
    texts(node, "device", findings)
        .into_iter()
        .filter_map(|(word, origin)| device(&word, &origin, findings))
        .collect()
}

fn device(word: &str, origin: &Origin, findings: &mut Findings) -> Option<DeviceChoice> {
    let (kind, index) = word.split_once(':').unwrap_or((word, "0"));
    let index = index.parse::<u32>();
    match (kind, index) {
        ("auto", Ok(0)) => Some(DeviceChoice::Auto),
        ("cpu", Ok(0)) => Some(DeviceChoice::Cpu),
        ("wgpu", Ok(i)) => Some(DeviceChoice::Wgpu(i)),
        ("cuda", Ok(i)) => Some(DeviceChoice::Cuda(i)),
        _ => {
            findings.unknown(
                origin,
                "device",
                word,
                &["auto", "cpu", "wgpu", "cuda", "wgpu:1", "cuda:1"],
            );
            None
        }
    }
}

/// The cartesian product of the matrix; one case without a name where there is none.
fn cases(
    fields: &Fields<'_>,
    devices: &[DeviceChoice],
    problem: &[(String, Value)],
    declaration: &Declaration,
    findings: &mut Findings,
) -> Vec<Case> {
    let first = Case {
        name: String::new(),
        device: devices.first().copied().unwrap_or(DeviceChoice::Auto),
        problem: problem.to_vec(),
    };
    let mut cases = vec![first];
    let extend = |cases: &mut Vec<Case>, options: &[(String, DeviceOr)]| {
        let old = std::mem::take(cases);
        for case in old {
            for (label, option) in options {
                let mut next = case.clone();
                let comma = if next.name.is_empty() { "" } else { ", " };
                next.name = format!("{}{comma}{label}", next.name);
                match option {
                    DeviceOr::Device(d) => next.device = *d,
                    DeviceOr::Problem(key, value) => {
                        next.problem.retain(|(k, _)| k != key);
                        next.problem.push((key.clone(), value.clone()));
                    }
                }
                cases.push(next);
            }
        }
    };
    if devices.len() > 1 {
        let options: Vec<_> = devices
            .iter()
            .map(|d| (format!("{d:?}").to_lowercase(), DeviceOr::Device(*d)))
            .collect();
        extend(&mut cases, &options);
    }
    for (key, origin, node) in fields.map("matrix", findings).unwrap_or(&[]) {
        let items = super::reader::list(node, key, findings).unwrap_or(&[]);
        let mut options = vec![];
        for item in items {
            if key == "device" {
                let word = text(item, key, findings).unwrap_or_default();
                options.extend(
                    device(&word, &item.origin, findings)
                        .map(|d| (word.clone(), DeviceOr::Device(d))),
                );
            } else if let Some(part) = key.strip_prefix("problem.") {
                let known = command::problem_value(part, origin, item, declaration, findings);
                options.extend(known.map(|v| (v.to_string(), DeviceOr::Problem(part.into(), v))));
            }
        }
        if key != "device" && !key.starts_with("problem.") {
            findings.unknown(
                origin,
                "axis of the matrix",
                key,
                &["device", "problem.preset"],
            );
        }
        if !options.is_empty() {
            extend(&mut cases, &options);
        }
        if cases.len() > 1000 {
            findings.add(origin, "the matrix has more than 1000 cases", "");
            cases.truncate(1);
        }
    }
    cases
}

enum DeviceOr {
    Device(DeviceChoice),
    Problem(String, Value),
}
