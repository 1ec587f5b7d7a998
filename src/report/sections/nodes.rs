//! A campaign on a cluster: what was asked of its engine, what each node gave, and how far nodes and platforms agree.
use crate::plan::Slurm;
use crate::record::{NodeOutcome, PhaseOutcome, Run};
use crate::report::numbers::{NONE, p_value, percent, with_interval};
use crate::report::{Piece, Row, columns, counted, phase_title};
use crate::stats::Comparison;
use crate::trial::VariantId;

pub(in crate::report) fn section(run: &Run) -> Vec<Piece> {
    let Some(on) = &run.header.plan.on else {
        return vec![];
    };
    let mut pieces = vec![
        Piece::Heading(2, "Nodes".into()),
        Piece::Paragraph(format!(
            "Every block ran on one node, in a task of Slurm, with the reference beside its variants. Ratios are formed within a block; times of different nodes are never compared. Asked for: {}.",
            asked_for(on)
        )),
    ];
    let platforms = platforms(run);
    if platforms.is_empty() {
        return pieces;
    }
    pieces.push(nodes(run, &platforms));
    pieces.push(Piece::Paragraph(
        "Blocks: of all phases that compared something. Bound to, clocks: read back on the node, medians over its blocks; what was asked for need not be what a cluster allows. Canary p: of the reference against its clone on that node, over all phases; a node whose canary fails is left out.".into(),
    ));
    if platforms.len() > 1 {
        pieces.push(Piece::Paragraph(
            "Nodes of different hardware are platforms of their own, and nothing is pooled over them. What the phases handed on was decided by the platform that had given most when they began.".into(),
        ));
        let named = platforms
            .iter()
            .enumerate()
            .map(|(i, p)| format!("{}: {p}", letter(i)));
        pieces.push(Piece::List(named.collect()));
        pieces.extend(side_by_side(run, &platforms));
    }
    pieces.extend(spread(run));
    pieces
}

/// In the order in which they are met.
fn platforms(run: &Run) -> Vec<&str> {
    let mut found: Vec<&str> = vec![];
    for outcome in &run.outcomes {
        let deciding = outcome.platforms.iter().map(|p| p.name.as_str());
        for name in deciding.chain(outcome.nodes.iter().map(|n| n.platform.as_str())) {
            if !found.contains(&name) {
                found.push(name);
            }
        }
    }
    found
}

/// A, B, … and numbers after Z.
fn letter(i: usize) -> String {
    match u8::try_from(i) {
        Ok(i @ 0..26) => char::from(b'A' + i).to_string(),
        _ => (i + 1).to_string(),
    }
}

fn asked_for(on: &Slurm) -> String {
    let mut words = vec![format!("at most {} at a time", counted(on.nodes, "node"))];
    words.push(match on.is_exclusive {
        true => "no other job on the node".into(),
        false => "nodes that other jobs may share".into(),
    });
    let mut named = |what: &str, value: &Option<String>| {
        words.extend(value.iter().map(|value| format!("{what} {value}")));
    };
    named("partition", &on.partition);
    named("account", &on.account);
    named("gres", &on.gres);
    named("constraint", &on.constraint);
    named("hint", &on.hint);
    named("processors bound to", &on.cpu_bind);
    named("memory bound to", &on.mem_bind);
    named("GPU frequency", &on.gpu_freq);
    named(
        "time limit of a task",
        &on.time_limit.map(|limit| limit.to_string()),
    );
    words.extend(on.arguments.iter().cloned());
    words.join(", ")
}

/// One node over all phases.
struct Total<'a> {
    last: &'a NodeOutcome,
    blocks: u32,
}

fn nodes(run: &Run, platforms: &[&str]) -> Piece {
    let mut totals: Vec<Total<'_>> = vec![];
    for node in run.outcomes.iter().flat_map(|outcome| &outcome.nodes) {
        let is_it =
            |t: &&mut Total<'_>| t.last.node == node.node && t.last.platform == node.platform;
        match totals.iter_mut().find(is_it) {
            Some(total) => {
                total.blocks += node.blocks;
                total.last = node;
            }
            None => totals.push(Total {
                last: node,
                blocks: node.blocks,
            }),
        }
    }
    totals.sort_by(|a, b| a.last.node.cmp(&b.last.node));
    let megahertz =
        |clock: Option<f64>| clock.map_or_else(|| NONE.into(), |f| format!("{f:.0} MHz"));
    let row = |total: &Total<'_>| {
        let node = total.last;
        let platform = platforms
            .iter()
            .position(|p| *p == node.platform)
            .unwrap_or(0);
        let processors = node.cpus.as_deref().unwrap_or(NONE);
        Row {
            cells: vec![
                node.node.clone(),
                match platforms {
                    [only] => (*only).to_owned(),
                    _ => letter(platform),
                },
                total.blocks.to_string(),
                match &node.memory_nodes {
                    Some(memory) => format!("processors {processors}, memory {memory}"),
                    None => format!("processors {processors}"),
                },
                megahertz(node.megahertz),
                megahertz(node.gpu_megahertz),
                node.canary_p.map_or_else(
                    || NONE.into(),
                    |p| p_value(p).trim_start_matches("= ").to_owned(),
                ),
                match node.is_left_out {
                    true => "left out".into(),
                    false => "counts".into(),
                },
            ],
            is_strong: node.is_left_out,
        }
    };
    let header = [
        "Node",
        "Platform",
        ">Blocks",
        "Bound to",
        ">Clock",
        ">GPU clock",
        ">Canary p",
        "State",
    ];
    Piece::Table {
        header: columns(&header),
        rows: totals.iter().map(row).collect(),
    }
}

/// What each platform said of each variant.
fn side_by_side(run: &Run, platforms: &[&str]) -> Option<Piece> {
    let mut rows = vec![];
    for outcome in run.outcomes.iter().filter(|o| !o.platforms.is_empty()) {
        let mut blocks = vec![phase_title(outcome), "blocks".to_owned()];
        let of = |name: &str| outcome.platforms.iter().find(|p| p.name == name);
        let number = |name: &&str| of(name).map_or_else(|| NONE.into(), |p| p.blocks.to_string());
        blocks.extend(platforms.iter().map(number));
        blocks.push(String::new());
        rows.push(Row {
            cells: blocks,
            is_strong: true,
        });
        for variant in compared(outcome) {
            let said = |name: &str| of(name)?.variants.iter().find(|v| v.variant == variant);
            let mut cells = vec![String::new(), name_of(run, outcome, variant)];
            cells.extend(platforms.iter().map(|name| {
                said(name).map_or_else(
                    || NONE.into(),
                    |v| format!("{}, {}", with_interval(&v.comparison), v.verdict.words()),
                )
            }));
            let all: Vec<&Comparison> = (platforms.iter())
                .filter_map(|name| Some(&said(name)?.comparison))
                .collect();
            cells.push(agreement(&all).into());
            rows.push(Row::new(cells));
        }
    }
    let mut header = vec!["Phase".to_owned(), "Variant".into()];
    header.extend((0..platforms.len()).map(letter));
    header.push("Platforms".into());
    (!rows.is_empty()).then(|| Piece::Table {
        header: columns(&header),
        rows,
    })
}

/// Whether some speedup is in every platform's interval.
fn agreement(all: &[&Comparison]) -> &'static str {
    let intervals: Option<Vec<(f64, f64)>> = all.iter().map(|c| c.interval).collect();
    match intervals {
        Some(intervals) if intervals.len() > 1 => {
            let lower = intervals.iter().map(|i| i.0).fold(0.0, f64::max);
            let upper = intervals.iter().map(|i| i.1).fold(f64::INFINITY, f64::min);
            match lower <= upper {
                true => "agree",
                false => "differ",
            }
        }
        _ => "too few blocks to say",
    }
}

/// How far the nodes' own figures lie apart.
fn spread(run: &Run) -> Option<Piece> {
    let mut rows = vec![];
    for outcome in &run.outcomes {
        for variant in compared(outcome) {
            let mut on: Vec<(f64, &NodeOutcome)> = (outcome.nodes.iter())
                .filter(|node| !node.is_left_out)
                .filter_map(|node| {
                    let known = node.speedups.iter().find(|(v, _)| *v == variant)?;
                    Some((known.1, node))
                })
                .collect();
            on.sort_by(|a, b| a.0.total_cmp(&b.0));
            let [least, .., most] = &on[..] else {
                continue;
            };
            let at =
                |(speedup, node): &(f64, &NodeOutcome)| format!("{speedup:.3}× on {}", node.node);
            rows.push(Row::new(vec![
                phase_title(outcome),
                name_of(run, outcome, variant),
                at(least),
                at(most),
                percent(most.0 / least.0 - 1.0),
            ]));
        }
    }
    let header = ["Phase", "Variant", ">Least speedup", ">Most", ">Apart"];
    (!rows.is_empty()).then(|| Piece::Folded {
        summary: "How far the nodes agree".into(),
        pieces: vec![Piece::Table {
            header: columns(&header),
            rows,
        }],
    })
}

fn compared(outcome: &PhaseOutcome) -> Vec<VariantId> {
    let platforms = outcome.platforms.iter().flat_map(|p| &p.variants);
    let mut found: Vec<VariantId> = platforms.map(|v| v.variant).collect();
    found.sort();
    found.dedup();
    found
}

fn name_of(run: &Run, outcome: &PhaseOutcome, variant: VariantId) -> String {
    let mut trials = run.trials_of(&outcome.case, &outcome.phase);
    let trial = trials.find(|t| t.id == variant);
    trial.map_or_else(|| NONE.into(), |t| t.name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{PlatformOutcome, PlatformVerdict};
    use crate::report::{document, fixture};
    use crate::trial::Verdict;

    fn comparison(lower: f64, upper: f64) -> Comparison {
        Comparison {
            speedup: (lower * upper).sqrt(),
            interval: Some((lower, upper)),
            blocks: 12,
            ..Comparison::default()
        }
    }

    /// A run whose first comparing phase came from two nodes of one platform and one of another, of which one node is left out.
    fn run(folder: &std::path::Path) -> Run {
        let mut run = fixture::run(folder);
        run.header.plan.on = Some(Slurm {
            gpu_freq: Some("high".into()),
            ..Slurm::default()
        });
        let variant = VariantId(1);
        let platform = |name: &str, lower, verdict| PlatformOutcome {
            name: name.into(),
            blocks: 12,
            variants: vec![PlatformVerdict {
                variant,
                comparison: comparison(lower, lower + 0.1),
                verdict,
            }],
        };
        let node = |name: &str, platform: &str, speedup| NodeOutcome {
            node: name.into(),
            platform: platform.into(),
            blocks: 6,
            cpus: Some("0-7".into()),
            gpu_megahertz: Some(1410.0),
            is_left_out: name == "n3",
            speedups: vec![(variant, speedup)],
            ..NodeOutcome::default()
        };
        let outcome = run.outcomes.iter_mut().find(|o| o.blocks > 0).unwrap();
        outcome.platforms = vec![
            platform("new GPU", 1.2, Verdict::Faster),
            platform("old GPU", 0.8, Verdict::Slower),
        ];
        outcome.nodes = vec![
            node("n1", "new GPU", 1.25),
            node("n2", "new GPU", 1.2),
            node("n3", "old GPU", 0.9),
        ];
        run
    }

    fn text(pieces: &[Piece]) -> String {
        format!("{pieces:?}")
    }

    #[test]
    fn platforms_have_verdicts_of_their_own_and_it_is_said_that_they_differ() {
        let folder = tempfile::tempdir().unwrap();
        let shown = text(&section(&run(folder.path())));
        for wanted in [
            "A: new GPU",
            "B: old GPU",
            "faster",
            "slower",
            "\"differ\"",
            "1410 MHz",
        ] {
            assert!(shown.contains(wanted), "{wanted}: {shown}");
        }
        assert!(
            shown.contains("GPU frequency high") && shown.contains("processors 0-7"),
            "{shown}"
        );
        assert!(shown.contains("left out"), "{shown}");
        // Of the nodes that count, the farthest apart.
        assert!(
            shown.contains("1.200× on n2") && shown.contains("1.250× on n1"),
            "{shown}"
        );
    }

    #[test]
    fn a_run_of_one_machine_has_no_such_chapter() {
        let folder = tempfile::tempdir().unwrap();
        let run = fixture::run(folder.path());
        assert_eq!(section(&run), vec![]);
        assert!(!text(&document(&run, None)).contains("\"Nodes\""));
    }

    #[test]
    fn platforms_agree_where_one_speedup_is_in_all_of_their_intervals() {
        let (a, b, c) = (
            comparison(1.0, 1.2),
            comparison(1.1, 1.3),
            comparison(1.25, 1.4),
        );
        assert_eq!(agreement(&[&a, &b]), "agree");
        assert_eq!(agreement(&[&a, &c]), "differ");
        assert_eq!(agreement(&[&a]), "too few blocks to say");
        assert_eq!(
            agreement(&[&a, &Comparison::default()]),
            "too few blocks to say"
        );
    }
}
