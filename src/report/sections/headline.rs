//! The one figure: the final configuration against the original baseline, on fresh blocks.
use crate::record::{Final, Run};
use crate::report::numbers::{Unit, against, interval, percent};
use crate::report::{Piece, counted, in_case, objective, timed};

pub(in crate::report) fn section(run: &Run) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = sentences(run).into_iter().map(Piece::Strong).collect();
    pieces.push(Piece::Paragraph(provenance(run)));
    pieces
}

pub(in crate::report) fn sentences(run: &Run) -> Vec<String> {
    let mut all = vec![];
    if let Some(imported) = &run.header.environment.imported {
        all.push(format!(
            "Imported from {} ({}): what another tuner recorded. Nothing was measured or compared here.",
            imported.file, imported.format
        ));
        let medians = (run.trials.iter()).filter_map(|t| Some((t, timed(t)?.1)));
        let least = medians.min_by(|a, b| a.1.total_cmp(&b.1));
        all.extend(least.map(|(trial, median)| {
            format!(
                "The least median on record: {}, {}.",
                trial.name,
                objective(run, median)
            )
        }));
    }
    if !run.is_complete {
        all.push(format!(
            "This run is not complete: {} of {} ended, and nothing is confirmed against the baseline yet. What follows is what the ended phases give.",
            run.outcomes.len(),
            counted((run.header.plan.phases.len() * run.header.plan.cases.len().max(1)) as u64, "phase"),
        ));
    }
    all.extend(
        run.finals
            .iter()
            .map(|last| in_case(&last.case, &sentence(run, last))),
    );
    all
}

fn sentence(run: &Run, last: &Final) -> String {
    if let Some(why) = &last.absent {
        return format!("Not measured, {why}.");
    }
    let Some(c) = &last.confirmation else {
        return match last.configuration == last.baseline {
            true => "No improvement over the baseline was shown. Recommended: the baseline as it is.".into(),
            false => "What the phases kept could not be confirmed against the baseline. Recommended: the baseline as it is.".into(),
        };
    };
    let medians = last.medians.map_or_else(String::new, |(before, after)| {
        let unit = Unit::of_objective(
            run,
            &[
                (before, before, before * 1.005),
                (after, after, after * 1.005),
            ],
        );
        format!(", median {} → {}", unit.full(before), unit.full(after))
    });
    let confidence = percent(confidence(run));
    let evidence = format!(
        "{confidence} interval {}, on {}{medians}",
        interval(c),
        counted(c.blocks, "fresh block"),
    );
    match c.interval {
        Some((lower, _)) if lower > 1.0 => format!(
            "The recommended configuration is {}, confirmed ({evidence}).",
            against(run, c, "the original baseline")
        ),
        Some((_, upper)) if upper < 1.0 => format!(
            "What the phases kept is slower than the original baseline together: {} ({evidence}). Recommended: the baseline as it is.",
            against(run, c, "it")
        ),
        _ => format!(
            "What the phases kept is {}, which confirms no improvement ({evidence}).",
            against(run, c, "the original baseline")
        ),
    }
}

pub(in crate::report) fn confidence(run: &Run) -> f64 {
    run.header.plan.protocol.confidence
}

/// When, where and of what, in a line.
fn provenance(run: &Run) -> String {
    let environment = &run.header.environment;
    if let Some(imported) = &environment.imported {
        return format!(
            "Run {}, recorded {}, on {}.",
            run.header.run_id,
            environment.started_at,
            imported
                .device
                .as_deref()
                .unwrap_or("a device that the file does not name"),
        );
    }
    let source = environment.git.as_ref().map_or_else(
        || "no git repository".to_owned(),
        |git| {
            let dirty = if git.is_dirty {
                " with uncommitted changes"
            } else {
                ""
            };
            format!(
                "commit {}{dirty}",
                git.commit.chars().take(10).collect::<String>()
            )
        },
    );
    format!(
        "Run {}, {}, on {} with {}, {source}.",
        run.header.run_id,
        environment.started_at,
        environment.cpu,
        counted(environment.cores, "core"),
    )
}
