//! Key findings: sentences made from the data, one a phase.
use crate::record::{PhaseOutcome, Run, Trial};
use crate::report::{Piece, interval, phase_title, speedup, trials_of};
use crate::trial::Verdict;

pub(in crate::report) fn section(run: &Run) -> Vec<Piece> {
    let items: Vec<String> = run
        .outcomes
        .iter()
        .filter_map(|o| sentence(run, o))
        .collect();
    if items.is_empty() {
        return vec![];
    }
    vec![Piece::Heading(2, "Key findings".into()), Piece::List(items)]
}

fn sentence(run: &Run, outcome: &PhaseOutcome) -> Option<String> {
    let title = phase_title(outcome);
    let trials: Vec<&Trial> = trials_of(run, outcome)
        .into_iter()
        .filter(|t| !t.is_canary)
        .collect();
    if let Some(failure) = &outcome.failure {
        return Some(format!("{title}: no result, {failure}."));
    }
    if !outcome.is_trusted {
        return Some(format!(
            "{title}: untrusted, since a clone of the reference came out different from it."
        ));
    }
    if trials.len() < 2 {
        let resolves = outcome.detectable?;
        return Some(format!(
            "{title}: the reference against its clone; with {} blocks this machine resolves {:.1} % here.",
            outcome.blocks,
            100.0 * resolves
        ));
    }
    let mut parts = vec![];
    if let Some(name) = &outcome.kept_variant {
        let kept = trials.iter().find(|t| t.is_kept);
        let figure = kept
            .and_then(|t| t.confirmation.as_ref())
            .map(|c| format!(" {} as fast {}", speedup(c), interval(c)));
        parts.push(format!(
            "{name} is kept:{} on fresh blocks",
            figure.unwrap_or_default()
        ));
        let tied: Vec<&str> = outcome
            .tied
            .iter()
            .map(String::as_str)
            .filter(|t| t != name)
            .collect();
        if !tied.is_empty() {
            parts.push(format!("statistically tied with it: {}", tied.join(", ")));
        }
    } else {
        parts.push("no variant was shown to be faster, the reference is kept".into());
    }
    let named = |verdict: Verdict| -> Vec<&str> {
        trials
            .iter()
            .filter(|t| t.verdict == verdict)
            .map(|t| t.name.as_str())
            .collect()
    };
    for (verdict, words) in [
        (Verdict::Slower, "slower"),
        (Verdict::Inaccurate, "fast or not, too inaccurate"),
        (Verdict::Failed, "failed"),
        (Verdict::Crashed, "crashed"),
        (Verdict::TimedOut, "timed out"),
        (Verdict::OverLimit, "over a limit"),
        (Verdict::Unsupported, "unsupported here"),
    ] {
        let names = named(verdict);
        if !names.is_empty() {
            parts.push(format!("{words}: {}", names.join(", ")));
        }
    }
    Some(format!("{title}: {}.", parts.join("; ")))
}
