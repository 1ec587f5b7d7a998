//! `--set KEY.PATH=VALUE`: replaces or adds a value in the plan's tree before it is checked, so it is checked like the plan.
use super::tree::{Kind, Node, parse_option};
use crate::diagnostic::{Diagnostic, Origin};

/// Applies one override. `value` is read as YAML.
pub(super) fn apply(tree: &mut Node, path: &str, value: &str) -> Result<(), Diagnostic> {
    let option = format!("{path}={value}");
    let wrong = |message: String, help: &str| Diagnostic {
        message,
        origin: Origin::Option(option.clone()),
        help: Some(help.into()),
    };
    let new = parse_option(value, &option)?;
    let mut place = &mut *tree;
    for key in path.split('.') {
        if key.is_empty() {
            return Err(wrong(
                "the path has an empty part".into(),
                "write KEY.PATH=VALUE, as workload.problem.preset=tiny",
            ));
        }
        if place.kind == Kind::Null {
            place.kind = Kind::Map(vec![]);
        }
        place = match &mut place.kind {
            Kind::Map(entries) => {
                let at = entries
                    .iter()
                    .position(|(name, _, _)| name == key)
                    .unwrap_or_else(|| {
                        let origin = Origin::Option(option.clone());
                        entries.push((
                            key.into(),
                            origin.clone(),
                            Node {
                                kind: Kind::Null,
                                origin,
                            },
                        ));
                        entries.len() - 1
                    });
                entries[at].1 = Origin::Option(option.clone());
                &mut entries[at].2
            }
            // A phase is found by its name.
            Kind::List(items) => {
                let named = |item: &Node| matches!(&item.kind, Kind::Map(entries) if entries.iter().any(|(k, _, v)| k == "phase" && v.kind == Kind::Text(key.into())));
                match items.iter_mut().find(|item| named(item)) {
                    Some(item) => item,
                    None => {
                        return Err(wrong(
                            format!("there is no phase `{key}`"),
                            "phases are named by their `phase:`",
                        ));
                    }
                }
            }
            other => {
                return Err(wrong(
                    format!("`{key}` cannot be set in {}", other.noun()),
                    "the path goes deeper than the plan",
                ));
            }
        };
    }
    *place = new;
    Ok(())
}
