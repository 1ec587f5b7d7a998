//! The graph of the phases, with what each kept.
use crate::record::{PhaseOutcome, Run};
use crate::report::numbers::speedup;
use crate::report::{Piece, effect, kept};

pub(in crate::report) fn section(run: &Run) -> Vec<Piece> {
    let plan = &run.header.plan;
    if plan.phases.len() < 2 {
        return vec![];
    }
    let index = |name: &str| plan.phases.iter().position(|p| p.name == name);
    let mut text = String::from("graph TD\n");
    for (i, phase) in plan.phases.iter().enumerate() {
        let outcomes: Vec<&PhaseOutcome> = run
            .outcomes
            .iter()
            .filter(|o| o.phase == phase.name)
            .collect();
        let (words, class) = node(run, &outcomes);
        text.push_str(&format!(
            "  p{i}[\"{}<br/>{words}\"]:::{class}\n",
            label(&phase.name)
        ));
        let mut parents: Vec<usize> = phase.parents().into_iter().filter_map(index).collect();
        parents.sort_unstable();
        parents.dedup();
        for parent in parents {
            text.push_str(&format!("  p{parent} --> p{i}\n"));
        }
    }
    text.push_str("  classDef kept fill:#d5ece4,stroke:#009e73,color:#222\n");
    text.push_str("  classDef same fill:#eeeeee,stroke:#8c8c8c,color:#222\n");
    text.push_str("  classDef trouble fill:#fbe3d6,stroke:#d55e00,color:#222\n");
    vec![
        Piece::Heading(2, "Phases".into()),
        Piece::Code {
            language: "mermaid",
            text,
        },
    ]
}

/// What a phase came to in a few words, and how its box looks.
fn node(run: &Run, outcomes: &[&PhaseOutcome]) -> (String, &'static str) {
    match outcomes {
        [] => ("not finished".into(), "trouble"),
        [one] => match one {
            o if o.failure.is_some() => ("no result".into(), "trouble"),
            o if !o.is_trusted => ("untrusted".into(), "trouble"),
            o => match kept(run, o) {
                Some(trial) => {
                    let figure =
                        effect(trial).map_or_else(String::new, |(c, _)| format!(" {}", speedup(c)));
                    (format!("keeps {}{figure}", label(&trial.name)), "kept")
                }
                None => ("reference kept".into(), "same"),
            },
        },
        many => {
            let n = many.iter().filter(|o| o.kept_variant.is_some()).count();
            let class = if n > 0 { "kept" } else { "same" };
            (format!("kept in {n} of {} cases", many.len()), class)
        }
    }
}

/// Only letters, digits and a few signs: mermaid has a syntax of its own in labels, and no way to escape all of it.
fn label(text: &str) -> String {
    let plain = |c: char| {
        if c.is_alphanumeric() || " _-+.,=".contains(c) {
            c
        } else {
            ' '
        }
    };
    let mut out: String = text.chars().map(plain).take(40).collect();
    if text.chars().count() > 40 {
        out.push('…');
    }
    out
}
