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
    blocks: u32,
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
            let Some(id) = strategy.ask(1).first().copied() else {
                break;
            };
            asked += 1;
            let before = spent.0;
            let place = tried.iter().position(|t| t.id == id).unwrap_or(tried.len());
            if place == tried.len() {
                let candidate = seeking.candidate(id, &reference);
                let variant = self.admit(phase, candidate, roster, spent, ledger)?;
                tried.push(Tried {
                    id,
                    variant,
                    estimate: None,
                    seconds: 0.0,
                });
            }
            let variant = tried[place].variant;
            if !roster.barred.contains_key(&variant) {
                // Who refines doubles what there is. Else the best so far says who is a contender.
                let (blocks, best) = match entry.refines {
                    true => (
                        searched.series.completed(variant).len().max(1) as u32,
                        f64::INFINITY,
                    ),
                    false => (BLOCKS, best_of(&tried)),
                };
                let effort = Effort {
                    blocks,
                    best,
                    done: asked as u32,
                    planned: planned as u32,
                };
                tried[place].estimate = self.estimate(
                    phase,
                    variant,
                    &effort,
                    roster,
                    &mut searched,
                    spent,
                    ledger,
                )?;
            }
            tried[place].seconds += (spent.0 - before) / 1e9;
            let outcome =
                (tried[place].estimate).map_or(Outcome::Failed, |e| Outcome::Objective(e.exp()));
            strategy.tell(id, outcome, tried[place].seconds);
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

    /// The log ratio to the reference; absent if it did not complete.
    #[expect(
        clippy::too_many_arguments,
        reason = "one step of the loop above, which owns all of it"
    )]
    fn estimate(
        &mut self,
        phase: &Phase,
        variant: VariantId,
        effort: &Effort,
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
        let had = searched.series.pairs(variant, VariantId::REFERENCE).len();
        for n in 0..effort.blocks {
            let index = searched.series.blocks;
            let block = board.block(Purpose::Race, index, &live, effort.planned)?;
            searched.series.add(&block, board.plan);
            let pairs = searched.series.pairs(variant, VariantId::REFERENCE);
            if pairs.len() <= had + n as usize {
                found = None;
                break;
            }
            let centre = -stats::compare(&pairs, 0.05, TICK, 0).speedup.ln();
            found = Some(centre);
            if centre > effort.best + MARGIN {
                break;
            }
        }
        board.tell((Purpose::Race, effort.done, effort.planned), 2, None);
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
        let (checked, is_new) = self.check(
            phase,
            variant,
            std::slice::from_ref(&candidate),
            expected,
            ledger,
        )?;
        if is_new {
            spent.0 += checked.elapsed.0;
        }
        if let Some(verdict) = self.gate(phase, &checked) {
            roster.barred.insert(variant, verdict);
        }
        roster.candidates.push(candidate);
        roster.checks.push(checked);
        Ok(variant)
    }
}
