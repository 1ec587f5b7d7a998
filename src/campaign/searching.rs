//! A search that learns: asks its strategy for one configuration after the other, checks it, measures it beside the reference, and
//! tells. A hopeless configuration gets one block, a contender three; the best go on to be compared on blocks of their own.
use super::comparing::{RACE_ABOVE, Series, TICK};
use super::deciding::HOPELESS;
use super::ledger::Ledger;
use super::phase::{Desk, Roster};
use super::variants::{Candidate, Seeking};
use super::{Error, Event};
use crate::accuracy::{Better, better};
use crate::plan::{Objective, Phase};
use crate::record::quantity;
use crate::search::{Mixtures, Outcome, Strategy};
use crate::space::ConfigurationId;
use crate::stats;
use crate::trial::{Block, Ending, Purpose, VariantId};
use crate::value::Nanoseconds;
use std::cmp::Ordering;
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
    /// The most promising first.
    pub(super) finalists: Vec<VariantId>,
    pub(super) series: Series,
    pub(super) measured: Vec<Block>,
    pub(super) endings: BTreeMap<VariantId, Ending>,
}

/// What a configuration is worth.
struct Effort {
    /// As many blocks again as it has, instead of a contender's.
    doubles: bool,
    /// The best so far (log scale): who is far from it gets no more blocks.
    best: f64,
    done: u32,
    planned: u32,
}

/// A configuration that was tried.
struct Tried {
    id: ConfigurationId,
    variant: VariantId,
    /// Log ratio to the reference; absent if it failed.
    estimate: Option<f64>,
    seconds: f64,
}

fn best_of(tried: &[Tried]) -> f64 {
    tried
        .iter()
        .filter_map(|t| t.estimate)
        .fold(f64::INFINITY, f64::min)
}

/// At least two, else those that the best may have been mistaken for.
fn nearest_to_best(mut tried: Vec<Tried>) -> Vec<VariantId> {
    let best = best_of(&tried);
    tried.retain(|t| t.estimate.is_some());
    tried.sort_by(|a, b| {
        a.estimate
            .partial_cmp(&b.estimate)
            .unwrap_or(Ordering::Equal)
    });
    let near = |t: &Tried| t.estimate.is_some_and(|e| e <= best + NEAR);
    (tried.iter().take(RACE_ABOVE).enumerate())
        .filter(|(i, t)| *i < 2 || near(t))
        .map(|(_, t)| t.variant)
        .collect()
}

/// From the quickest to the one that is best in something else.
fn spread_over_front(points: &[(usize, VariantId, Vec<f64>)]) -> Vec<VariantId> {
    let values: Vec<Vec<f64>> = points.iter().map(|p| p.2.clone()).collect();
    let on_front = stats::front(&values);
    let step = on_front.len().div_ceil(RACE_ABOVE).max(1);
    (on_front.into_iter().step_by(step))
        .map(|i| points[i].1)
        .collect()
}

impl Desk<'_> {
    /// Adds what it tries to the roster, which has the reference, and what it costs to `spent`.
    pub(super) fn search(
        &mut self,
        phase: &Phase,
        seeking: &Seeking<'_>,
        roster: &mut Roster,
        spent: &mut Nanoseconds,
        ledger: &mut Ledger<'_>,
    ) -> Result<Searched, Error> {
        let Seeking { space, entry, .. } = seeking;
        let planned = seeking.budget();
        let limit = seeking
            .search
            .time
            .map_or(SHARE * self.time_limit().0, |time| {
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
        let mut tried: Vec<Tried> = vec![];
        let mut mixtures = Mixtures::new(self.seed().wrapping_add(1));
        // A strategy learns more from one at a time; but nodes that wait for it learn nothing.
        let at_once = self.plan.on.as_ref().map_or(1, |on| on.nodes as usize);
        let mut asked = 0;
        while asked < planned && spent.0 < limit {
            if !seeking.search.pareto.is_empty() {
                self.mix(
                    &mut mixtures,
                    strategy.as_mut(),
                    seeking,
                    roster,
                    &searched,
                    &tried,
                );
            }
            let mut ids = strategy.ask(at_once.min(planned - asked));
            ids.dedup();
            if ids.is_empty() {
                break;
            }
            asked += ids.len();
            let before = spent.0;
            let places = self.admit(phase, seeking, &ids, &mut tried, roster, spent, ledger)?;
            let effort = Effort {
                // Who refines doubles what there is.
                doubles: entry.refines,
                best: best_of(&tried),
                done: asked as u32,
                planned: planned as u32,
            };
            let able = places.iter().map(|&place| tried[place].variant);
            let able: Vec<VariantId> = able.filter(|v| !roster.barred.contains_key(v)).collect();
            let estimates =
                self.estimate(phase, &able, &effort, roster, &mut searched, spent, ledger)?;
            // Measured at the same time, each is told its share.
            let seconds = (spent.0 - before) / 1e9 / places.len() as f64;
            for place in places {
                let tried = &mut tried[place];
                if !roster.barred.contains_key(&tried.variant) {
                    tried.estimate = estimates.get(&tried.variant).copied();
                }
                tried.seconds += seconds;
                let outcome =
                    (tried.estimate).map_or(Outcome::Failed, |e| Outcome::Objective(e.exp()));
                strategy.tell(tried.id, outcome, tried.seconds);
            }
            self.report_incumbent(
                phase,
                (asked, planned),
                &tried,
                roster,
                &searched,
                (*spent, Nanoseconds((limit - spent.0).max(0.0))),
            );
            if searched.endings.contains_key(&VariantId::REFERENCE) {
                return Ok(searched);
            }
        }
        let failed = tried.iter().filter(|t| t.estimate.is_none()).count();
        let ending = match asked < planned && spent.0 >= limit {
            true => "; then its time was up",
            false => "",
        };
        let told = seeking.told(tried.len());
        roster.note = Some(format!("{told}, {failed} failed{ending}"));
        searched.finalists = match seeking.search.pareto.is_empty() {
            true => nearest_to_best(tried),
            false => {
                let points = self.points(seeking, roster, &searched, &tried);
                spread_over_front(&points)
            }
        };
        Ok(searched)
    }

    /// Every objective of those that completed, smaller is better; the plan's own is the first.
    fn points(
        &self,
        seeking: &Seeking<'_>,
        roster: &Roster,
        searched: &Searched,
        tried: &[Tried],
    ) -> Vec<(usize, VariantId, Vec<f64>)> {
        let of = |t: &Tried| -> Option<Vec<f64>> {
            let others = (seeking.search.pareto.iter())
                .map(|name| self.aim(name, t.variant, roster, searched));
            std::iter::once(t.estimate).chain(others).collect()
        };
        (tried.iter().enumerate())
            .filter_map(|(i, t)| Some((i, t.variant, of(t)?)))
            .collect()
    }

    /// What a search minimizes besides the plan's objective.
    fn aim(
        &self,
        name: &str,
        variant: VariantId,
        roster: &Roster,
        searched: &Searched,
    ) -> Option<f64> {
        let check = &roster.checks[variant.0 as usize];
        if name == "peak_memory" {
            let peak = check.host_peak.or(check.device_peak)?;
            return Some((peak.0 as f64).max(1.0).ln());
        }
        if let Some((_, value)) = check.accuracy.iter().find(|(n, _)| n == name) {
            return Some(match better(name) {
                Better::Smaller => *value,
                Better::Larger => -value,
            });
        }
        let metric = Objective::Metric(name.into());
        let plan = self.plan;
        let values: Vec<f64> = (searched.measured.iter())
            .flat_map(|block| &block.cells)
            .filter(|cell| cell.variant == variant)
            .flat_map(|cell| &cell.samples)
            .filter(|sample| !sample.is_warm_up)
            .filter_map(|sample| quantity(sample, &metric, plan))
            .collect();
        (!values.is_empty()).then(|| stats::quartiles(&values).1)
    }

    /// Tells everything anew, by another mixture of the objectives.
    fn mix(
        &self,
        mixtures: &mut Mixtures,
        strategy: &mut dyn Strategy,
        seeking: &Seeking<'_>,
        roster: &Roster,
        searched: &Searched,
        tried: &[Tried],
    ) {
        let points = self.points(seeking, roster, searched, tried);
        let values: Vec<Vec<f64>> = points.iter().map(|p| p.2.clone()).collect();
        for ((i, _, _), mixed) in points.iter().zip(mixtures.draw(&values)) {
            strategy.tell(tried[*i].id, Outcome::Objective(mixed), tried[*i].seconds);
        }
    }

    /// Tells how the search stands. Time left: what the budget leaves, or less where all will have been tried before.
    fn report_incumbent(
        &mut self,
        phase: &Phase,
        (asked, planned): (usize, usize),
        tried: &[Tried],
        roster: &Roster,
        searched: &Searched,
        (elapsed, left): (Nanoseconds, Nanoseconds),
    ) {
        let valid = || tried.iter().filter_map(|t| Some((t.estimate?, t.variant)));
        let best = valid().min_by(|a, b| a.0.total_cmp(&b.0));
        let comparison = best.map(|(_, id)| {
            let pairs = searched.series.pairs(id, VariantId::REFERENCE);
            let name = roster.candidates[id.0 as usize].name.as_str();
            (name, stats::compare(&pairs, 0.05, TICK, 0))
        });
        let incumbent = comparison.as_ref().filter(|(_, c)| c.blocks > 0);
        let rest = elapsed.0 / asked.max(1) as f64 * planned.saturating_sub(asked) as f64;
        self.observer.event(&Event::Searched {
            phase: &phase.name,
            done: asked,
            planned,
            invalid: tried.len() - valid().count(),
            incumbent: incumbent.map(|(name, c)| (*name, c)),
            elapsed,
            remaining: Nanoseconds(left.0.min(rest)),
        });
    }

    /// The log ratios to the reference, of those that completed. What is asked for at once is measured in rounds, one block of each
    /// that is still a contender.
    #[expect(
        clippy::too_many_arguments,
        reason = "one step of the loop above, which owns all of it"
    )]
    fn estimate(
        &mut self,
        phase: &Phase,
        variants: &[VariantId],
        effort: &Effort,
        roster: &Roster,
        searched: &mut Searched,
        spent: &mut Nanoseconds,
        ledger: &mut Ledger<'_>,
    ) -> Result<BTreeMap<VariantId, f64>, Error> {
        let reference = VariantId::REFERENCE;
        let mut found = BTreeMap::new();
        let mut left: Vec<(VariantId, u32)> = vec![];
        for &variant in variants {
            match roster.factor(variant).filter(|factor| *factor > HOPELESS) {
                Some(factor) => _ = found.insert(variant, factor.ln()),
                None if effort.doubles => {
                    left.push((
                        variant,
                        searched.series.completed(variant).len().max(1) as u32,
                    ));
                }
                None => left.push((variant, BLOCKS)),
            }
        }
        if left.is_empty() {
            return Ok(found);
        }
        let mut board = self.board(&phase.name, roster, ledger, *spent);
        let mut best = effort.best;
        for round in 1.. {
            left.retain(|(_, blocks)| *blocks >= round);
            let now: Vec<VariantId> = left.iter().map(|(variant, _)| *variant).collect();
            if now.is_empty() || board.endings.contains_key(&reference) {
                break;
            }
            let had = |series: &Series| {
                let pairs = |v: &VariantId| (*v, series.pairs(*v, reference));
                now.iter().map(pairs).collect::<BTreeMap<_, _>>()
            };
            let before = had(&searched.series);
            board.beside_reference(&mut searched.series, &now, effort.planned)?;
            for (variant, pairs) in had(&searched.series) {
                if pairs.len() == before[&variant].len() {
                    found.remove(&variant);
                    left.retain(|(v, _)| *v != variant);
                    continue;
                }
                let centre = -stats::compare(&pairs, 0.05, TICK, 0).speedup.ln();
                found.insert(variant, centre);
                best = best.min(centre);
            }
            if !effort.doubles {
                left.retain(|(v, _)| found.get(v).is_some_and(|centre| *centre <= best + MARGIN));
            }
        }
        board.tell((Purpose::Race, effort.done, effort.planned), 2, None);
        *spent = board.elapsed;
        searched.measured.append(&mut board.measured);
        searched.endings.append(&mut board.endings);
        Ok(found)
    }

    /// Checks those that were not tried before, and gives them their numbers. Returns where each stands among the tried.
    #[expect(
        clippy::too_many_arguments,
        reason = "one step of the loop above, which owns all of it"
    )]
    fn admit(
        &mut self,
        phase: &Phase,
        seeking: &Seeking<'_>,
        ids: &[ConfigurationId],
        tried: &mut Vec<Tried>,
        roster: &mut Roster,
        spent: &mut Nanoseconds,
        ledger: &mut Ledger<'_>,
    ) -> Result<Vec<usize>, Error> {
        let reference = roster.candidates[0].configuration.clone();
        let first = roster.candidates.len() as u32;
        let is_new = |id: &&ConfigurationId| !tried.iter().any(|t| t.id == **id);
        let new: Vec<ConfigurationId> = ids.iter().filter(is_new).copied().collect();
        let candidates: Vec<Candidate> =
            (new.iter().map(|id| seeking.candidate(*id, &reference))).collect();
        let expected = self.expect(ledger)?;
        self.announce_checks(phase, VariantId(first), &candidates, expected, ledger);
        for ((id, candidate), variant) in new.into_iter().zip(candidates).zip(first..) {
            let variant = VariantId(variant);
            self.observer.event(&Event::Checking {
                phase: &phase.name,
                variant: &candidate.name,
            });
            let alone = std::slice::from_ref(&candidate);
            let (checked, is_new) = self.check(phase, variant, alone, expected, ledger)?;
            if is_new {
                spent.0 += checked.elapsed.0;
            }
            if let Some(verdict) = self.gate(phase, &checked) {
                roster.barred.insert(variant, verdict);
            }
            roster.candidates.push(candidate);
            roster.checks.push(checked);
            tried.push(Tried {
                id,
                variant,
                estimate: None,
                seconds: 0.0,
            });
        }
        let place = |id: &ConfigurationId| tried.iter().position(|t| t.id == *id);
        Ok(ids.iter().filter_map(place).collect())
    }
}
