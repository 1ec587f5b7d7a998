//! The graph of the phases, with what each kept.
use crate::plan::Question;
use crate::record::Run;
use crate::report::Piece;

pub(in crate::report) fn section(run: &Run) -> Vec<Piece> {
    let plan = &run.header.plan;
    if plan.phases.len() < 2 {
        return vec![];
    }
    let index = |name: &str| plan.phases.iter().position(|p| p.name == name);
    // Only letters and digits: mermaid has a syntax of its own in labels.
    let clean = |text: &str| -> String {
        text.chars()
            .map(|c| {
                if c.is_alphanumeric() || " _-+.,=".contains(c) {
                    c
                } else {
                    ' '
                }
            })
            .collect()
    };
    let mut text = String::from("graph TD\n");
    for (i, phase) in plan.phases.iter().enumerate() {
        let outcome = run.outcomes.iter().find(|o| o.phase == phase.name);
        let kept = match outcome.map(|o| &o.kept_variant) {
            None => "not finished".into(),
            Some(None) => "reference kept".into(),
            Some(Some(name)) => format!("keeps {}", clean(name)),
        };
        text.push_str(&format!("  p{i}[\"{}<br/>{kept}\"]\n", clean(&phase.name)));
        let combined: &[String] = if let Question::Combine(names) = &phase.question {
            names
        } else {
            &[]
        };
        for parent in phase.after.iter().chain(combined).filter_map(|p| index(p)) {
            text.push_str(&format!("  p{parent} --> p{i}\n"));
        }
    }
    vec![
        Piece::Heading(2, "Phases".into()),
        Piece::Code {
            language: "mermaid",
            text,
        },
    ]
}
