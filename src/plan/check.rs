//! From the tree to a [`Plan`], with every finding: keys, types, domains, names, the graph.
use super::command::{self, Usage};
use super::phases::phases;
use super::reader::{Fields, Findings, scalar, text, texts};
use super::tree::{Kind, Node};
use super::{
    Accuracy, Against, Cache, Case, Declaration, DeviceChoice, ENERGY_SAMPLE_NS, Limits, Objective,
    Phase, Plan, Protocol, Question, WarmUp, WorkloadChoice, graph, kernel, on,
};
use crate::accuracy::METRICS;
use crate::diagnostic::{Diagnostic, Origin};
use crate::space::{Configuration, nearest};
use crate::value::{Nanoseconds, Value, parse_bytes, parse_duration, parse_ratio};

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
    "on",
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
    "cache",
    "seed",
];
pub(super) const BLOCKS_KEYS: &[&str] = &["min", "max"];
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
    match &choice {
        WorkloadChoice::Command(_) => {
            declaration.parameters = command::parameters(tree, baseline_node, findings);
            check_usage(&usage, &declaration, baseline_node, findings);
        }
        WorkloadChoice::Kernel(choice) => {
            declaration.parameters = command::parameters(tree, baseline_node, findings);
            kernel::check(
                choice,
                &usage.expressions,
                &declaration.parameters,
                findings,
            );
        }
        WorkloadChoice::Builtin { .. } | WorkloadChoice::Imported { .. } => {}
    }
    let baseline = baseline(baseline_node, &declaration, findings);
    let metrics = metrics(&choice, &declaration);
    let mut protocol = fields
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
    let mut devices = devices(&fields, findings);
    if let WorkloadChoice::Kernel(kernel) = &choice {
        // Nothing but a GPU runs it.
        let gpu = match kernel.code.wgsl {
            Some(_) => DeviceChoice::Wgpu(0),
            None => DeviceChoice::Cuda(0),
        };
        let auto = devices.iter_mut().filter(|d| **d == DeviceChoice::Auto);
        auto.for_each(|device| *device = gpu);
    }
    let cases = cases(&fields, &devices, &problem, &declaration, findings);
    let is_on_gpu = |case: &Case| !matches!(case.device, DeviceChoice::Auto | DeviceChoice::Cpu);
    let has_gpu = cases.iter().any(is_on_gpu) && !matches!(choice, WorkloadChoice::Command(_));
    protocol.cache = cache(fields.get("protocol"), has_gpu, &objective, findings);
    if objective == Objective::Energy {
        check_energy(&fields, &cases, &protocol, findings);
    }
    let on = on::on(&fields, &choice, findings);
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
        on,
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
pub(super) fn assignment(
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
        _ => vec![],
    };
    match written.as_str() {
        "runtime" => Objective::Runtime,
        "peak_memory" => Objective::PeakMemory,
        "device_time" if !matches!(choice, WorkloadChoice::Command(_)) => Objective::DeviceTime,
        "device_time" => {
            findings.add(
                &node.origin,
                "a command has no device time",
                "use runtime, or a metric that the command prints",
            );
            Objective::Runtime
        }
        "energy" if !matches!(choice, WorkloadChoice::Command(_)) => Objective::Energy,
        "energy" => {
            findings.add(
                &node.origin,
                "the energy of a command is not measured",
                "use runtime, or a metric that the command prints",
            );
            Objective::Runtime
        }
        name if declared.iter().any(|m| m == name) => Objective::Metric(name.into()),
        _ => {
            let mut names = vec!["runtime", "device_time", "peak_memory", "energy"];
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
    let limits = accuracy_limits(&fields, metrics, findings);
    let (has_output, what_to_do) = match choice {
        WorkloadChoice::Command(command) => (
            command.output.is_some(),
            "add output: FILE.npy to the workload",
        ),
        WorkloadChoice::Kernel(kernel) => (kernel.has_output(), "add output: true to an argument"),
        WorkloadChoice::Builtin { .. } | WorkloadChoice::Imported { .. } => (true, ""),
    };
    let builtin_metric = |name: &String| METRICS.iter().any(|m| m.name == *name);
    if !has_output && limits.iter().any(|(name, _)| builtin_metric(name)) {
        findings.add(
            &node.origin,
            "accuracy needs an `output:` of the workload to compare",
            what_to_do,
        );
    }
    Accuracy { against, limits }
}

/// Largest (or, of ratios, least) values of metrics that still pass.
pub(super) fn accuracy_limits(
    fields: &Fields<'_>,
    metrics: &[String],
    findings: &mut Findings,
) -> Vec<(String, f64)> {
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
    limits
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
        cache: Cache::Warm,
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

/// Whether any device of the plan may count energy, and there is the time to.
fn check_energy(fields: &Fields<'_>, cases: &[Case], protocol: &Protocol, findings: &mut Findings) {
    let Some(node) = fields.get("objective") else {
        return;
    };
    let is_cuda = |case: &Case| matches!(case.device, DeviceChoice::Cuda(_));
    if !cases.iter().any(is_cuda) {
        findings.add(
            &node.origin,
            "`energy` is counted by NVIDIA GPUs alone, and nothing in this plan runs on one through CUDA",
            "choose device: cuda; or minimize runtime, device_time or peak_memory",
        );
    }
    if protocol.trial_timeout.0 < 2.0 * ENERGY_SAMPLE_NS {
        findings.add(
            &node.origin,
            "a sample of energy lasts at least 1 s, and `trial_timeout` is shorter than twice that",
            "the counter moves every 20 to 100 ms; raise trial_timeout",
        );
    }
}

/// Cold where there is a GPU, unless the plan says otherwise or the overwriting itself would be measured.
fn cache(
    protocol: Option<&Node>,
    has_gpu: bool,
    objective: &Objective,
    findings: &mut Findings,
) -> Cache {
    let is_energy = *objective == Objective::Energy;
    let usual = match has_gpu && !is_energy {
        true => Cache::Cold,
        false => Cache::Warm,
    };
    // What is wrong with its other keys was found when they were read.
    let fields = protocol
        .map(|node| Fields::of(node, "`protocol`", PROTOCOL_KEYS, &mut Findings::default()));
    let Some(node) = fields.as_ref().and_then(|fields| fields.get("cache")) else {
        return usual;
    };
    match text(node, "cache", findings).as_deref() {
        Some("cold") if !has_gpu => {
            findings.add(
                &node.origin,
                "`cache: cold` has no effect: nothing in this plan runs on a GPU",
                "caches are overwritten on GPUs; leave it out, or choose device: wgpu or cuda",
            );
            usual
        }
        Some("cold") if is_energy => {
            findings.add(
                &node.origin,
                "`cache: cold` cannot go with `objective: energy`: the GPU would count what overwriting takes",
                "leave it out: energy is measured warm",
            );
            usual
        }
        Some("cold") => Cache::Cold,
        Some("warm") => Cache::Warm,
        Some(word) => {
            findings.unknown(&node.origin, "state of the caches", word, &["cold", "warm"]);
            usual
        }
        None => usual,
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
            .map(|d| (d.to_string(), DeviceOr::Device(*d)))
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
                // A preset is a name; of a number it must be said what it counts.
                let label = |v: &Value| match part {
                    "preset" => v.to_string(),
                    key => format!("{key}={v}"),
                };
                options.extend(known.map(|v| (label(&v), DeviceOr::Problem(part.into(), v))));
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
