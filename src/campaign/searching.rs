//! A search that learns: asks its strategy for one configuration after the other, checks it, measures it beside the reference, and
//! tells. A hopeless configuration gets one block, a contender three; the best go on to be compared on blocks of their own.
use super::comparing::{RACE_ABOVE, Series, TICK};
use super::ledger::Ledger;
use super::phase::{Desk, HOPELESS, Roster};
use super::variants::{Candidate, name_of, search_space};
use super::{Error, Event};
use crate::plan::{Phase, Search};
use crate::search::{Outcome, StrategyEntry};
use crate::stats;
use crate::trial::{Block, Ending, Purpose, VariantId};
use crate::value::Nanoseconds;
use std::collections::BTreeMap;

/// Blocks of a contender.
pub(super) const BLOCKS: u32 = 3;

/// After one block, what is this much slower than the best so far (log scale) is no contender.
const MARGIN: f64 = 0.1;

/// Finalists are at most this much slower than the best (log scale).
const NEAR: f64 = 0.05;

/// Share of the phase's time for searching, where the plan does not say.
const SHARE: f64 = 0.6;

/// What a search leaves to be compared.
pub(super) struct Searched {
    pub(super) finalists: Vec<VariantId>,
    pub(super) series: Series,
    pub(super) measured: Vec<Block>,
    pub(super) endings: BTreeMap<VariantId, Ending>,
}

impl Desk<'_> {
    /// Adds what it tries to the roster, which has the reference, and what it costs to `spent`.
    pub(super) fn search(
        &mut self,
        phase: &Phase,
        (search, entry): (&Search, &StrategyEntry),
        roster: &mut Roster,
        spent: &mut Nanoseconds,
        ledger: &mut Ledger<'_>,
    ) -> Result<Searched, Error> {
        let space = search_space(phase, search)?;
        let most = search.evaluations.map_or(usize::MAX, |n| n as usize);
        let planned = space.count().map_or(most, |n| most.min(n as usize));
        let limit = search.time.map_or(SHARE * self.time_limit().0, |time| {
            time.0.min(self.time_limit().0)
        });
        let mut strategy = (entry.build)(space.clone(), self.seed(), Some(planned));
        let reference = roster.candidates[0].configuration.clone();
        if let Some(id) = space.locate(&reference) {
            strategy.tell(
                id,
                Outcome::Objective(1.0),
                roster.checks[0].elapsed.0 / 1e9,
            );
        }
        let mut searched = Searched {
            finalists: vec![],
            series: Series::default(),
            measured: vec![],
            endings: BTreeMap::new(),
        };
        let mut estimates: Vec<(f64, VariantId)> = vec![];
        let mut tried = 0;
        while tried < planned && spent.0 < limit {
            let Some(id) = strategy.ask(1).first().copied() else {
                break;
            };
            tried += 1;
            let changes = space.configuration(id);
            let candidate = Candidate {
                name: name_of(changes.values()),
                configuration: reference.with(changes.values()),
                is_canary: false,
            };
            let before = spent.0;
            let variant = self.admit(phase, candidate, roster, spent, ledger)?;
            let outcome = if roster.barred.contains_key(&variant) {
                Outcome::Failed
            } else {
                let best = estimates.iter().map(|e| e.0).fold(f64::INFINITY, f64::min);
                let estimate = self.estimate(
                    phase,
                    variant,
                    (best, tried, planned),
                    roster,
                    &mut searched,
                    spent,
                    ledger,
                )?;
                estimates.extend(estimate.map(|e| (e, variant)));
                estimate.map_or(Outcome::Failed, |e| Outcome::Objective(e.exp()))
            };
            strategy.tell(id, outcome, (spent.0 - before) / 1e9);
            if searched.endings.contains_key(&VariantId::REFERENCE) {
                return Ok(searched);
            }
        }
        roster.note = Some(format!(
            "strategy {}: {tried} of {} evaluated{}",
            entry.name,
            space
                .count()
                .map_or("uncounted configurations".into(), |n| {
                    format!("{n} configurations that satisfy the restrictions")
                }),
            if tried < planned {
                ", then its time was up"
            } else {
                ""
            }
        ));
        estimates.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let best = estimates.first().map_or(0.0, |e| e.0);
        searched.finalists = estimates
            .iter()
            .take(RACE_ABOVE)
            .enumerate()
            .filter(|(i, e)| *i < 2 || e.0 <= best + NEAR)
            .map(|(_, e)| e.1)
            .collect();
        searched.finalists.sort();
        Ok(searched)
    }

    /// The log ratio to the reference; absent if it did not complete.
    #[expect(
        clippy::too_many_arguments,
        reason = "one step of the loop above, which owns all of it"
    )]
    fn estimate(
        &mut self,
        phase: &Phase,
        variant: VariantId,
        (best, done, planned): (f64, usize, usize),
        roster: &Roster,
        searched: &mut Searched,
        spent: &mut Nanoseconds,
        ledger: &mut Ledger<'_>,
    ) -> Result<Option<f64>, Error> {
        let time = |v: VariantId| roster.checks[v.0 as usize].invocation.map_or(0.0, |t| t.0);
        let factor = time(variant) / time(VariantId::REFERENCE).max(1.0);
        if factor > HOPELESS {
            return Ok(Some(factor.ln()));
        }
        let mut board = self.board(&phase.name, roster, ledger, *spent);
        let live = [VariantId::REFERENCE, variant];
        let mut found = None;
        for n in 0..BLOCKS {
            let index = searched.series.blocks;
            let block = board.block(Purpose::Race, index, &live, planned as u32)?;
            searched.series.add(&block, board.plan);
            let pairs = searched.series.pairs(variant, VariantId::REFERENCE);
            if pairs.len() <= n as usize {
                found = None;
                break;
            }
            let centre = -stats::compare(&pairs, 0.05, TICK, 0).speedup.ln();
            found = Some(centre);
            if centre > best + MARGIN {
                break;
            }
        }
        board.tell((Purpose::Race, done as u32, planned as u32), 2, None);
        *spent = board.elapsed;
        searched.measured.append(&mut board.measured);
        searched.endings.append(&mut board.endings);
        Ok(found)
    }

    /// Checks one more candidate and gives it its number.
    fn admit(
        &mut self,
        phase: &Phase,
        candidate: Candidate,
        roster: &mut Roster,
        spent: &mut Nanoseconds,
        ledger: &mut Ledger<'_>,
    ) -> Result<VariantId, Error> {
        let variant = VariantId(roster.candidates.len() as u32);
        let expected = self.expect(ledger)?;
        self.observer.event(&Event::Checking {
            phase: &phase.name,
            variant: &candidate.name,
        });
        let (checked, is_new) = self.check(phase, variant, &candidate, expected, ledger)?;
        if is_new {
            spent.0 += checked.elapsed.0;
        }
        if let Some(verdict) = self.gate(&checked) {
            roster.barred.insert(variant, verdict);
        }
        roster.candidates.push(candidate);
        roster.checks.push(checked);
        Ok(variant)
    }
}
