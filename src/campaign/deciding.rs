//! What measuring decides: race, comparison, selection, confirmation, and the verdict of each row.
use super::Error;
use super::comparing::{Board, RACE_ABOVE, Series, TICK};
use super::phase::Roster;
use super::searching::Searched;
use super::variants::Candidate;
use crate::plan::{ENERGY_SAMPLE_NS, Objective, Phase, Plan, Protocol, Question};
use crate::record::{NodeOutcome, PlatformOutcome};
use crate::stats::{self, Comparison, Contender, Schedule, Warning};
use crate::trial::{Ending, Purpose, VariantId, Verdict};
use crate::value::Nanoseconds;
use std::collections::BTreeMap;

/// Share of what is left of a phase's time for its race.
const RACE_SHARE: f64 = 0.4;

/// Fresh blocks of a confirmation (STATISTICS "Many variants": at least 16).
pub(super) const CONFIRMATION_BLOCKS: u32 = 16;

/// The canary's error: a clone of the reference this different means that the phase's other differences mean nothing.
pub(super) const CANARY_ALPHA: f64 = 0.01;

/// In a race, a variant whose first invocation lasted this many times the reference's is not measured further.
pub(super) const HOPELESS: f64 = 3.0;

/// What measuring a phase gave.
#[derive(Default)]
pub(super) struct Findings {
    pub(super) race: Option<Series>,
    pub(super) screen: Series,
    pub(super) comparisons: BTreeMap<VariantId, Comparison>,
    pub(super) verdicts: BTreeMap<VariantId, Verdict>,
    pub(super) confirmations: BTreeMap<VariantId, Comparison>,
    pub(super) confirm: Series,
    pub(super) winner: Option<VariantId>,
    pub(super) runner_up: Option<VariantId>,
    pub(super) tied: Vec<VariantId>,
    pub(super) canary: Option<Comparison>,
    pub(super) n_max: u32,
    pub(super) is_descriptive: bool,
    pub(super) notes: Vec<String>,
    /// On a cluster.
    pub(super) platforms: Vec<PlatformOutcome>,
    pub(super) nodes: Vec<NodeOutcome>,
}

impl Findings {
    pub(super) fn is_trusted(&self) -> bool {
        self.canary
            .as_ref()
            .is_none_or(|c| c.p_value >= CANARY_ALPHA)
    }
}

/// Race, comparison, selection, confirmation.
pub(super) fn measure(
    board: &mut Board<'_, '_>,
    roster: &Roster,
    phase: &Phase,
    searched: Option<Searched>,
) -> Result<Findings, Error> {
    let mut findings = Findings::default();
    let reference = VariantId::REFERENCE;
    let ids = (0..roster.candidates.len() as u32).map(VariantId);
    let canary = ids
        .clone()
        .find(|id| roster.candidates[id.0 as usize].is_canary);
    let mut rivals: Vec<VariantId> = ids
        .filter(|id| *id != reference && Some(*id) != canary && !roster.barred.contains_key(id))
        .collect();
    if rivals.is_empty() && phase.question != Question::Baseline {
        return Ok(findings);
    }
    let protocol = &board.plan.protocol;
    let fits = |board: &Board<'_, '_>, rivals: &[VariantId]| {
        let live: Vec<VariantId> = compared(rivals, canary);
        let budget = Budget::of(board, roster, &phase.question, &live);
        rivals.len() < 2 || budget.blocks >= decisive(rivals.len(), protocol)
    };
    if let Some(searched) = searched {
        findings.race = Some(searched.series);
        rivals = searched.finalists;
        board.measured = searched.measured;
        board.endings = searched.endings;
    } else if rivals.len() > RACE_ABOVE || !fits(board, &rivals) {
        let is_many = rivals.len() > RACE_ABOVE;
        if is_many {
            rivals = without_hopeless(rivals, roster);
        }
        rivals.insert(0, reference);
        let left = (protocol.time_limit.0 - board.elapsed.0).max(0.0);
        let most = if is_many { RACE_ABOVE } else { 1 };
        let (ranked, series) = board.race(rivals, most, Nanoseconds(left * RACE_SHARE))?;
        findings.race = Some(series);
        rivals = ranked;
    }
    // What was raced or found comes best first. Fewer that can be decided are worth more than many that cannot.
    while !fits(board, &rivals) {
        rivals.pop();
    }
    rivals.sort();
    if board.endings.contains_key(&reference) {
        return Ok(findings);
    }
    let live = compared(&rivals, canary);
    screen(board, roster, phase, &live, &rivals, &mut findings)?;
    if board.endings.contains_key(&reference) {
        return Ok(findings);
    }
    if let Some(canary) = canary {
        let pairs = findings.screen.pairs(canary, reference);
        let alpha = 1.0 - protocol.confidence;
        let comparison = stats::compare(&pairs, alpha, TICK, protocol.seed);
        findings.comparisons.insert(canary, comparison.clone());
        findings.canary = Some(comparison);
    }
    confirm(board, roster, &rivals, &mut findings)?;
    let home = findings.screen.home.as_deref();
    findings.platforms = (board.fleet).platforms(&board.measured, &rivals, home, board.plan);
    findings.nodes = (board.fleet).nodes(&board.measured, &rivals, canary, board.plan);
    Ok(findings)
}

/// In a race, what was three times as slow as the reference at its first invocation is not invited.
fn without_hopeless(rivals: Vec<VariantId>, roster: &Roster) -> Vec<VariantId> {
    let is_hopeless = |id: &VariantId| roster.factor(*id).is_some_and(|f| f > HOPELESS);
    rivals.into_iter().filter(|id| !is_hopeless(id)).collect()
}

/// Blocks of a comparison where time does not matter.
pub(super) fn most_screening_blocks(protocol: &Protocol, question: &Question) -> u32 {
    match question {
        // Nothing is compared but the reference with its clone: enough to say what this machine resolves.
        Question::Baseline => protocol.max_blocks.min(protocol.min_blocks.max(20)),
        _ => protocol.max_blocks,
    }
}

/// What the time limit leaves for a comparison.
struct Budget {
    blocks: u32,
    time: Nanoseconds,
}

impl Budget {
    fn of(
        board: &Board<'_, '_>,
        roster: &Roster,
        question: &Question,
        live: &[VariantId],
    ) -> Budget {
        let protocol = &board.plan.protocol;
        let left = (protocol.time_limit.0 - board.elapsed.0).max(0.0);
        let shortest = match board.plan.objective {
            Objective::Energy => ENERGY_SAMPLE_NS,
            _ => 0.0,
        };
        let cells: Vec<f64> = live
            .iter()
            .map(|id| roster.checks[id.0 as usize].invocation)
            .map(|time| f64::from(board.repetitions) * time.map_or(0.0, |t| t.0).max(shortest))
            .collect();
        // The confirmation needs its share, but never more than half of what is left. Only what is faster than the reference is
        // confirmed, together with a runner-up.
        let mut confirmed = cells.clone();
        confirmed[1..].sort_by(f64::total_cmp);
        confirmed.truncate(3);
        let reserve = board.cost(CONFIRMATION_BLOCKS, &confirmed).min(left / 2.0);
        let time = Nanoseconds(left - reserve);
        let blocks = (0..=most_screening_blocks(protocol, question))
            .rev()
            .find(|&n| board.cost(n, &cells) <= time.0)
            .unwrap_or(0);
        Budget { blocks, time }
    }
}

/// The fewest blocks that can tell one of so many variants from chance.
fn decisive(variants: usize, protocol: &Protocol) -> u32 {
    let alpha = (1.0 - protocol.confidence) / variants.max(1) as f64;
    (1..)
        .find(|&n| stats::least_p(n) <= alpha)
        .unwrap_or(u32::MAX)
}

/// The reference first, the canary last.
fn compared(rivals: &[VariantId], canary: Option<VariantId>) -> Vec<VariantId> {
    let mut live = vec![VariantId::REFERENCE];
    live.extend(rivals);
    live.extend(canary);
    live
}

fn screen(
    board: &mut Board<'_, '_>,
    roster: &Roster,
    phase: &Phase,
    live: &[VariantId],
    rivals: &[VariantId],
    findings: &mut Findings,
) -> Result<(), Error> {
    let protocol = &board.plan.protocol;
    let alpha = 1.0 - protocol.confidence;
    let Budget { blocks, time } = Budget::of(board, roster, &phase.question, live);
    let n_max = blocks.max(3);
    let family = rivals.len().max(1) as f64;
    let schedule = Schedule::new(n_max, alpha / family);
    findings.n_max = n_max;
    findings.is_descriptive = schedule.is_descriptive;
    if n_max < protocol.max_blocks && phase.question != Question::Baseline {
        findings.notes.push(format!(
            "the time limit affords {n_max} of at most {} blocks{}",
            protocol.max_blocks,
            if n_max < decisive(rivals.len(), protocol) {
                ", too few to decide anything; raise `time_limit`"
            } else {
                ""
            }
        ));
    }
    findings.screen = board.screen(live.to_vec(), &schedule, n_max, time)?;
    leave_out(board, roster, findings);
    let pairs: Vec<_> = rivals
        .iter()
        .map(|&v| findings.screen.pairs(v, VariantId::REFERENCE))
        .collect();
    let concluded = stats::conclude(&pairs, &schedule, alpha, protocol.equivalence, TICK);
    for (&id, (comparison, verdict)) in rivals.iter().zip(concluded) {
        if comparison.blocks > 0 {
            findings.comparisons.insert(id, comparison);
            let verdict = if schedule.is_descriptive {
                Verdict::Inconclusive
            } else {
                verdict
            };
            findings.verdicts.insert(id, verdict);
        }
    }
    Ok(())
}

/// Without the nodes on which the canary differs from the reference.
fn leave_out(board: &mut Board<'_, '_>, roster: &Roster, findings: &mut Findings) {
    let Some(canary) = roster.candidates.iter().position(|c| c.is_canary) else {
        return;
    };
    let failed = board
        .fleet
        .judge(&board.measured, VariantId(canary as u32), board.plan);
    if failed.is_empty() {
        return;
    }
    for (node, p) in failed {
        findings.notes.push(format!(
            "node {node} is left out: there a clone of the reference differs from it (p = {p:.4})"
        ));
    }
    board.ledger.runner.leave_out(board.fleet.left_out());
    let home = findings.screen.home.take();
    let counted = board.measured.iter().filter(|block| {
        block.purpose == Purpose::Screen && board.fleet.counts(block, home.as_deref())
    });
    findings.screen = Series::of(counted, board.plan);
    findings.screen.home = home;
}

/// Chooses the winner and measures it, the reference and the runner-up on fresh blocks.
fn confirm(
    board: &mut Board<'_, '_>,
    roster: &Roster,
    rivals: &[VariantId],
    findings: &mut Findings,
) -> Result<(), Error> {
    let reference = VariantId::REFERENCE;
    let protocol = &board.plan.protocol;
    let alpha = 1.0 - protocol.confidence;
    if rivals.is_empty() || findings.is_descriptive {
        return Ok(());
    }
    let ids: Vec<VariantId> = std::iter::once(reference)
        .chain(rivals.iter().copied())
        .collect();
    let base = &roster.candidates[0].configuration;
    let contenders: Vec<Contender> = ids
        .iter()
        .map(|id| {
            let candidate = &roster.candidates[id.0 as usize];
            let check = &roster.checks[id.0 as usize];
            Contender {
                values: findings.screen.values(*id),
                is_reference: *id == reference,
                may_win: !board.endings.contains_key(id) && !roster.barred.contains_key(id),
                changed_parameters: candidate.configuration.changes_from(base).len() as u32,
                peak_memory: check.host_peak.map_or(0, |b| b.0)
                    + check.device_peak.map_or(0, |b| b.0),
                name: candidate.name.clone(),
            }
        })
        .collect();
    let selection = stats::select(&contenders, alpha, protocol.equivalence);
    findings.tied = selection.tied.iter().map(|&i| ids[i]).collect();
    let chosen = ids[selection.chosen];
    findings.runner_up = selection
        .runner_up
        .map(|i| ids[i])
        .filter(|id| *id != reference);
    let is_faster = matches!(
        findings.verdicts.get(&chosen),
        Some(Verdict::Faster | Verdict::SlightlyFaster)
    );
    if chosen == reference || !is_faster {
        return Ok(());
    }
    let mut live = vec![reference, chosen];
    live.extend(findings.runner_up);
    let blocks = CONFIRMATION_BLOCKS.max(protocol.min_blocks);
    findings.confirm = board.fresh(Purpose::Confirm, live.clone(), blocks)?;
    for id in live.into_iter().skip(1) {
        let pairs = findings.confirm.pairs(id, reference);
        if !pairs.is_empty() {
            findings
                .confirmations
                .insert(id, stats::compare(&pairs, alpha, TICK, protocol.seed));
        }
    }
    let confirmed = findings.confirmations.get(&chosen).and_then(|c| c.interval);
    let survived = !board.endings.contains_key(&chosen);
    if survived && confirmed.is_some_and(|(lower, _)| lower > 1.0) {
        findings.winner = Some(chosen);
    } else {
        findings.notes.push(format!(
            "{} looked faster but was not confirmed on fresh blocks, so the reference is kept",
            roster.candidates[chosen.0 as usize].name
        ));
    }
    Ok(())
}

/// Verdict and reason of one row.
pub(super) fn judge(
    id: VariantId,
    candidate: &Candidate,
    ending: &Ending,
    roster: &Roster,
    findings: &Findings,
    is_trusted: bool,
    plan: &Plan,
) -> (Verdict, Option<String>) {
    if let Some(verdict) = ending.verdict() {
        return (verdict, Some(ending.sentence()));
    }
    if id == VariantId::REFERENCE {
        return (Verdict::Reference, None);
    }
    if let Some((verdict, message)) = roster.barred.get(&id) {
        return (*verdict, Some(message.clone()));
    }
    if candidate.is_canary {
        let verdict = if is_trusted {
            Verdict::Equivalent
        } else {
            Verdict::Untrusted
        };
        let p = findings.canary.as_ref().map_or(1.0, |c| c.p_value);
        return (
            verdict,
            Some(format!("a clone of the reference: p = {p:.3}")),
        );
    }
    let Some(verdict) = findings.verdicts.get(&id) else {
        let message = match roster.factor(id) {
            _ if findings.race.is_none() => "not measured: the reference ended first".to_owned(),
            Some(factor) if factor > HOPELESS => {
                format!("its first invocation lasted {factor:.1} × the reference's")
            }
            _ => "dropped by the race".to_owned(),
        };
        return (Verdict::ScreenedOut, Some(message));
    };
    if !is_trusted {
        let message =
            "the canary, a clone of the reference, differs from it: noise here passes for effects";
        return (Verdict::Untrusted, Some(message.into()));
    }
    let message = (*verdict == Verdict::Inconclusive).then(|| {
        if findings.is_descriptive {
            return format!(
                "{} blocks are too few to decide anything",
                findings.screen.blocks
            );
        }
        let needed = findings
            .comparisons
            .get(&id)
            .and_then(|c| stats::blocks_needed(c, plan.protocol.equivalence));
        match needed {
            Some(n) => format!("about {n} blocks would decide"),
            None => "more blocks would be needed".into(),
        }
    });
    (*verdict, message)
}

/// What this phase could have seen: from the canary's interval, else from the narrowest variant's.
pub(super) fn detectable(findings: &Findings) -> Option<f64> {
    let half = |c: &Comparison| c.interval.map(|(lower, upper)| (upper / lower).ln() / 2.0);
    let canary = findings.canary.as_ref().and_then(half);
    let narrowest = findings
        .comparisons
        .values()
        .filter_map(half)
        .min_by(f64::total_cmp);
    let half_width = canary.or(narrowest)?;
    let n = findings.screen.blocks;
    // The half-width is of n blocks; the formula wants that of 40.
    let at_40 = half_width * (f64::from(n) / 40.0).sqrt();
    Some(stats::minimum_detectable_effect(at_40, n))
}

pub(super) fn warnings(findings: &Findings) -> Vec<Warning> {
    let mut found = stats::diagnose(&findings.screen.observed());
    found.extend(stats::disturbances(&findings.screen.conditions));
    if let Some(canary) = &findings.canary
        && canary.p_value < CANARY_ALPHA
    {
        found.insert(
            0,
            Warning {
                what: "canary".into(),
                detail: format!(
                    "a clone of the reference came out {:.2} × as fast (p = {:.4}): the phase is untrusted",
                    canary.speedup, canary.p_value
                ),
            },
        );
    }
    found
}
