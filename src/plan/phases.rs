//! The phases of a plan as written, checked one by one: each its one question, what is expected of it and what decides.
use super::check::{accuracy_limits, assignment};
use super::reader::{Fields, Findings, texts};
use super::tree::{Kind, Node};
use super::{
    Criterion, Declaration, Hypothesis, Keep, NamedVariant, Phase, Question, Relation,
    STAGE_SPEEDUP, Search,
};
use crate::diagnostic::Origin;
use crate::search::STRATEGIES;
use crate::space::{Configuration, Parameter, Restriction, nearest};
use crate::value::{Value, parse_bytes, parse_duration, parse_speedup};

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
    "accuracy",
];
pub(super) const PHASE_ACCURACY_KEYS: &[&str] = &["limits"];
pub(super) const SEARCH_KEYS: &[&str] =
    &["parameters", "restrictions", "strategy", "budget", "pareto"];
pub(super) const BUDGET_KEYS: &[&str] = &["evaluations", "time"];
pub(super) const HYPOTHESIS_KEYS: &[&str] = &["speedup", "effort", "risk", "because"];

/// Phases that are combined at once: 4095 variants.
const MOST_COMBINED: usize = 12;

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

pub(super) fn phases(
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
    let accuracy = fields.get("accuracy").map(|node| {
        let inner = Fields::of(node, "a phase's `accuracy`", PHASE_ACCURACY_KEYS, findings);
        if keep == Keep::Best {
            findings.add(
                &node.origin,
                "a phase with accuracy limits of its own hands nothing on: later phases have the plan's",
                "add keep: none, or change the plan's `accuracy`",
            );
        }
        accuracy_limits(&inner, metrics, findings)
    });
    let after = fields
        .get("after")
        .map_or_else(Vec::new, |n| texts(n, "after", findings));
    let criteria = fields
        .get("criteria")
        .map_or_else(Vec::new, |n| texts(n, "criteria", findings));
    let names = variant_names(&question);
    let counters = declaration.counters.iter().map(|c| c.0.clone());
    let stages = (declaration.stages.iter()).map(|stage| format!("{STAGE_SPEEDUP}{stage}"));
    let quantities: Vec<String> = (metrics.iter().cloned())
        .chain(counters)
        .chain(stages)
        .collect();
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
            .filter_map(|(text, origin)| criterion(&text, &origin, &quantities, &names, findings))
            .collect(),
        question,
        accuracy,
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
