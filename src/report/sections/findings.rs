//! Key findings: sentences made from the data, one a phase, then what they came to together.
use crate::accuracy::is_within;
use crate::plan::{Keep, Phase};
use crate::record::{Final, PhaseOutcome, Run, Trial};
use crate::report::numbers::{against, interval, p_value, percent, with_interval};
use crate::report::{
    Piece, counted, effect, in_case, kept, listed, listed_at_most, peak, phase_title, variants, way,
};
use crate::trial::Verdict;
use crate::value::Bytes;

/// More names than this in a sentence are counted.
const NAMES: usize = 4;

pub(in crate::report) fn section(run: &Run) -> Vec<Piece> {
    if run.header.environment.imported.is_some() {
        return vec![];
    }
    let mut items: Vec<String> = run
        .outcomes
        .iter()
        .filter_map(|o| Some(format!("{}: {}", phase_title(o), sentence(run, o)?)))
        .collect();
    items.extend(
        run.finals
            .iter()
            .filter_map(|last| Some(in_case(&last.case, &price(run, last)?))),
    );
    if items.is_empty() {
        return vec![];
    }
    vec![Piece::Heading(2, "Key findings".into()), Piece::List(items)]
}

fn sentence(run: &Run, outcome: &PhaseOutcome) -> Option<String> {
    if let Some(failure) = &outcome.failure {
        return Some(format!("no result, since {failure}."));
    }
    let trials = variants(run, outcome);
    if !outcome.is_trusted {
        let p = outcome
            .canary_p
            .map_or_else(String::new, |p| format!(" (p {})", p_value(p)));
        return Some(format!(
            "untrusted. A clone of the reference came out different from the reference{p}, so no difference here can be believed; nothing was kept."
        ));
    }
    if trials.len() < 2 {
        return outcome.detectable.map(|x| {
            format!(
                "with {} of the reference and its clone, differences from about {} on could be seen.",
                counted(outcome.blocks, "block"),
                percent(x)
            )
        });
    }
    if outcome.is_descriptive {
        return Some(format!(
            "only {} could be measured, too few to decide anything; the figures are descriptive.",
            counted(outcome.blocks, "block")
        ));
    }
    let mut parts = vec![kept_part(run, outcome, &trials)];
    parts.extend(others(run, outcome, &trials));
    Some(format!("{}.", parts.join("; ")))
}

fn kept_part(run: &Run, outcome: &PhaseOutcome, trials: &[&Trial]) -> String {
    let Some(trial) = kept(run, outcome) else {
        if phase_of(run, outcome).is_some_and(|phase| phase.keep == Keep::None) {
            return asked_only(trials);
        }
        return match best(trials) {
            Some((trial, c)) => format!(
                "no variant was shown to be faster, so the reference stays; the best was {} with {} in screening",
                trial.name,
                with_interval(c)
            ),
            None => "no variant could be compared, so the reference stays".into(),
        };
    };
    let mut text = match effect(trial) {
        Some((c, true)) => format!(
            "{} is kept: {} {}, confirmed on {}",
            trial.name,
            against(run, c, "the phase's reference"),
            interval(c),
            counted(c.blocks, "fresh block")
        ),
        Some((c, false)) => format!(
            "{} is kept: {} in screening, not confirmed",
            trial.name,
            with_interval(c)
        ),
        None => format!("{} is kept", trial.name),
    };
    let tied: Vec<&str> = outcome
        .tied
        .iter()
        .map(String::as_str)
        .filter(|t| *t != trial.name)
        .collect();
    if !tied.is_empty() {
        text.push_str(&format!(
            "; statistically tied with it: {}",
            listed_at_most(&tied, NAMES)
        ));
    }
    text
}

fn phase_of<'a>(run: &'a Run, outcome: &PhaseOutcome) -> Option<&'a Phase> {
    let phases = &run.header.plan.phases;
    phases.iter().find(|phase| phase.name == outcome.phase)
}

/// A phase with keep: none.
fn asked_only(trials: &[&Trial]) -> String {
    let best = trials
        .iter()
        .filter_map(|trial| Some((trial, effect(trial)?)))
        .max_by(|(_, (a, _)), (_, (b, _))| a.speedup.total_cmp(&b.speedup));
    match best {
        Some((trial, (c, is_confirmed))) => format!(
            "asked only, nothing is handed on; the best was {} with {} of the phase's reference {}",
            trial.name,
            with_interval(c),
            match is_confirmed {
                true => format!("on {}", counted(c.blocks, "fresh block")),
                false => "in screening".to_owned(),
            }
        ),
        None => "asked only, nothing is handed on, and no variant could be compared".into(),
    }
}

fn best<'a>(trials: &[&'a Trial]) -> Option<(&'a Trial, &'a crate::stats::Comparison)> {
    trials
        .iter()
        .filter_map(|t| Some((*t, crate::report::screening(t)?)))
        .max_by(|a, b| a.1.speedup.total_cmp(&b.1.speedup))
}

/// What did not win, by how it ended.
fn others(run: &Run, outcome: &PhaseOutcome, trials: &[&Trial]) -> Vec<String> {
    let limits = phase_of(run, outcome).map(|phase| run.header.plan.accuracy_limits(phase));
    let is_broken = |(name, limit): &&(String, f64)| {
        let value = |t: &&Trial| crate::report::accuracy(t, name);
        let inaccurate = trials.iter().filter(|t| t.verdict == Verdict::Inaccurate);
        (inaccurate.filter_map(value)).any(|value| !is_within(name, value, *limit))
    };
    let broken: Vec<&str> = (limits.unwrap_or_default().iter())
        .filter(is_broken)
        .map(|(name, _)| name.as_str())
        .collect();
    let tried = kept(run, outcome).map(|t| t.name.as_str());
    let words = [
        (Verdict::Equivalent, "no practical difference".to_owned()),
        (Verdict::Slower, "slower".to_owned()),
        (Verdict::SlightlySlower, "slightly slower".to_owned()),
        (Verdict::Inconclusive, "undecided".to_owned()),
        (
            Verdict::Inaccurate,
            format!(
                "outside the accuracy limit ({}), so their speed does not count",
                listed(&broken)
            ),
        ),
        (Verdict::Failed, "failed".to_owned()),
        (Verdict::Crashed, "crashed".to_owned()),
        (Verdict::TimedOut, "timed out".to_owned()),
        (Verdict::OverLimit, "over a limit".to_owned()),
        (Verdict::Unsupported, "unsupported here".to_owned()),
        (Verdict::Untrusted, "untrusted".to_owned()),
    ];
    words
        .into_iter()
        .filter_map(|(verdict, words)| {
            let names: Vec<&str> = trials
                .iter()
                .filter(|t| t.verdict == verdict && Some(t.name.as_str()) != tried)
                .map(|t| t.name.as_str())
                .collect();
            (!names.is_empty()).then(|| format!("{words}: {}", listed_at_most(&names, NAMES)))
        })
        .collect()
}

/// What the final configuration costs in memory and accuracy, against the baseline's own figures.
fn price(run: &Run, last: &Final) -> Option<String> {
    let way = way(run, last);
    let first = variants(run, way.first()?)
        .into_iter()
        .find(|t| t.verdict == Verdict::Reference)?;
    let last_phase = way.into_iter().rfind(|o| o.kept_variant.is_some())?;
    let last = kept(run, last_phase)?;
    let mut parts = vec![];
    if let (Some(Bytes(before)), Some(Bytes(after))) = (peak(first), peak(last)) {
        parts.push(format!("peak memory {} → {}", Bytes(before), Bytes(after)));
    }
    let metric = crate::report::metric(run).0;
    if let (Some(before), Some(after)) = (
        crate::report::accuracy(first, metric),
        crate::report::accuracy(last, metric),
    ) {
        use crate::report::numbers::small;
        parts.push(format!("{metric} {} → {}", small(before), small(after)));
    }
    let name = format!("{} / {}", phase_title(last_phase), last.name);
    (!parts.is_empty()).then(|| format!("From the baseline to {name}: {}.", listed(&parts)))
}
