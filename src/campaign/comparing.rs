//! Blocks, one after the other: draws their order, collects cell values, stops at planned looks. A race thins many variants out
//! first; its survivors are compared on blocks of their own, so the race's luck does not carry over.
use super::fleet::Fleet;
use super::ledger::Ledger;
use super::variants::Candidate;
use super::{Error, Event, Observer};
use crate::measure::{AUTO_WARM_UP_COUNT, AUTO_WARM_UP_NS, BlockOrder, CellOrder};
use crate::plan::{Objective, Plan, WarmUp};
use crate::record::objective;
use crate::stats::{self, Comparison, Decision, Observed, RACE_LOOKS, Schedule};
use crate::trial::{Block, Cell, Conditions, Ending, Purpose, VariantId};
use crate::value::Nanoseconds;
use crate::worker::Order;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use std::collections::{BTreeMap, BTreeSet};

/// More variants than this are thinned out by a race.
pub(super) const RACE_ABOVE: usize = 8;

/// Never fewer processes in a comparison that claims a difference (STATISTICS "Units").
const LEAST_WORKERS: usize = 5;

/// The clock's resolution in nanoseconds: `Instant` ticks in single ones.
pub(super) const TICK: f64 = 1.0;

/// What the blocks of one purpose gave.
#[derive(Clone, Debug, Default)]
pub(super) struct Series {
    /// One entry a block, the same for all variants; absent where the cell did not complete.
    values: BTreeMap<VariantId, Vec<Option<f64>>>,
    observed: Vec<Observed>,
    /// Of each block that has one.
    nodes: BTreeMap<u32, String>,
    pub(super) blocks: u32,
    workers: BTreeSet<u32>,
    pub(super) conditions: Vec<Conditions>,
    /// Blocks that were asked for: on a cluster some may have come from another platform.
    asked: u32,
    /// The platform whose blocks count; absent where blocks have no place.
    pub(super) home: Option<String>,
    /// Up to which block, and of whom, the runner has been told.
    announced: Option<(u32, Vec<VariantId>)>,
}

impl Series {
    pub(super) fn of<'b>(blocks: impl Iterator<Item = &'b Block>, plan: &Plan) -> Series {
        let mut series = Series::default();
        blocks.for_each(|block| series.add(block, plan));
        series
    }

    pub(super) fn add(&mut self, block: &Block, plan: &Plan) {
        let mut predecessor = None;
        for (position, cell) in block.cells.iter().enumerate() {
            let value = cell_value(cell, plan);
            let missing = self.blocks as usize;
            let column = self
                .values
                .entry(cell.variant)
                .or_insert_with(|| vec![None; missing]);
            column.push(value);
            if let Some(value) = value {
                self.observed.push(Observed {
                    block: block.index,
                    position: position as u32,
                    variant: cell.variant.0,
                    predecessor,
                    value,
                });
            }
            predecessor = Some(cell.variant.0);
        }
        if let Some(place) = &block.place {
            self.nodes.insert(block.index, place.node.clone());
        }
        self.blocks += 1;
        self.workers.insert(block.worker);
        self.conditions.push(block.conditions);
        for column in self.values.values_mut() {
            column.resize(self.blocks as usize, None);
        }
    }

    /// Every cell, as of one machine: on a cluster relative to what the reference takes on the cell's node, since a slow node is
    /// neither drift nor an outlier.
    pub(super) fn observed(&self) -> Vec<Observed> {
        if self.nodes.is_empty() {
            return self.observed.clone();
        }
        let node = |o: &Observed| self.nodes.get(&o.block);
        let mut references: BTreeMap<_, Vec<f64>> = BTreeMap::new();
        for o in self
            .observed
            .iter()
            .filter(|o| o.variant == VariantId::REFERENCE.0)
        {
            references.entry(node(o)).or_default().push(o.value);
        }
        let scales: BTreeMap<_, f64> = (references.into_iter())
            .map(|(node, values)| (node, stats::quartiles(&values).1))
            .collect();
        let scaled = |o: &Observed| {
            let value = o.value / scales.get(&node(o))?;
            Some(Observed { value, ..*o })
        };
        self.observed.iter().filter_map(scaled).collect()
    }

    /// Values of a variant, one a block.
    pub(super) fn values(&self, variant: VariantId) -> Vec<Option<f64>> {
        self.values
            .get(&variant)
            .cloned()
            .unwrap_or_else(|| vec![None; self.blocks as usize])
    }

    pub(super) fn completed(&self, variant: VariantId) -> Vec<f64> {
        self.values(variant).into_iter().flatten().collect()
    }

    /// (variant, against) over the blocks that both completed.
    pub(super) fn pairs(&self, variant: VariantId, against: VariantId) -> Vec<(f64, f64)> {
        self.values(variant)
            .into_iter()
            .zip(self.values(against))
            .filter_map(|(a, b)| Some((a?, b?)))
            .collect()
    }
}

/// The minimum if there are at least three samples, else the single one (STATISTICS "Units").
fn cell_value(cell: &Cell, plan: &Plan) -> Option<f64> {
    if cell.ending != Ending::Completed {
        return None;
    }
    let values: Option<Vec<f64>> = cell
        .samples
        .iter()
        .filter(|sample| !sample.is_warm_up)
        .map(|sample| objective(sample, plan))
        .collect();
    values?
        .into_iter()
        .min_by(f64::total_cmp)
        .filter(|v| v.is_finite() && *v > 0.0)
}

/// A phase being measured.
pub(super) struct Board<'a, 'l> {
    pub(super) plan: &'a Plan,
    pub(super) case: &'a str,
    pub(super) phase: &'a str,
    pub(super) candidates: &'a [Candidate],
    pub(super) ledger: &'a mut Ledger<'l>,
    pub(super) observer: &'a mut dyn Observer,
    pub(super) repetitions: u32,
    /// Those that did not complete, with the way they ended.
    pub(super) endings: BTreeMap<VariantId, Ending>,
    /// Every block in the order in which it was measured.
    pub(super) measured: Vec<Block>,
    pub(super) elapsed: Nanoseconds,
    pub(super) fleet: &'a mut Fleet,
}

/// Blocks of other platforms are asked for no longer than this many times those that are wanted: then the platform that decides
/// has left the cluster.
const MOST_ASKED: u32 = 8;

impl Board<'_, '_> {
    /// Measures until the series has one more block of the live variants; `until`: so many it will get, if nothing decides
    /// otherwise. False where the nodes that count give no more blocks.
    fn grow(
        &mut self,
        series: &mut Series,
        purpose: Purpose,
        live: &[VariantId],
        (until, planned): (u32, u32),
    ) -> Result<bool, Error> {
        let wanted = series.blocks;
        while series.blocks == wanted {
            if series.asked >= MOST_ASKED.saturating_mul(planned.max(1)) {
                return Ok(false);
            }
            let next = series.asked;
            let is_told =
                (series.announced.as_ref()).is_some_and(|(to, of)| next < *to && of == live);
            if !is_told {
                let to = next + until.saturating_sub(series.blocks).max(1);
                let most = self.ledger.looks_ahead();
                let order = |index| Order::Block(self.order(purpose, index, live, planned));
                let orders: Vec<Order> = (next..to).take(most).map(order).collect();
                let to = next + orders.len() as u32;
                if self.ledger.announce(orders) {
                    series.announced = Some((to, live.to_vec()));
                }
            }
            self.one_more(series, purpose, live, planned)?;
        }
        Ok(true)
    }

    /// Measures the next block of a series. False where it was measured on another platform, and does not count.
    fn one_more(
        &mut self,
        series: &mut Series,
        purpose: Purpose,
        live: &[VariantId],
        planned: u32,
    ) -> Result<bool, Error> {
        if series.home.is_none() {
            series.home = self.fleet.home();
        }
        let order = self.order(purpose, series.asked, live, planned);
        let block = self.ledger.block(self.case, self.phase, &order)?;
        series.asked += 1;
        self.elapsed.0 += block.elapsed.0;
        self.fleet.saw(block.place.as_ref());
        if series.home.is_none() {
            series.home = block.place.as_ref().map(|place| place.platform.clone());
        }
        let counts = self.fleet.counts(&block, series.home.as_deref());
        if counts {
            self.note_endings(&block);
            series.add(&block, self.plan);
        }
        self.measured.push(block);
        Ok(counts)
    }

    /// Measures one block of each of these variants beside the reference.
    pub(super) fn beside_reference(
        &mut self,
        series: &mut Series,
        variants: &[VariantId],
        planned: u32,
    ) -> Result<(), Error> {
        let mut left = variants.to_vec();
        let most = series
            .asked
            .saturating_add(MOST_ASKED * variants.len() as u32);
        while !left.is_empty() && series.asked < most {
            let pair = |v: &VariantId| [VariantId::REFERENCE, *v];
            let orders: Vec<Order> = (series.asked..)
                .zip(&left)
                .map(|(index, v)| Order::Block(self.order(Purpose::Race, index, &pair(v), planned)))
                .collect();
            self.ledger.announce(orders);
            let mut again = vec![];
            for variant in left {
                if !self.one_more(series, Purpose::Race, &pair(&variant), planned)? {
                    again.push(variant);
                }
            }
            left = again;
        }
        Ok(())
    }

    /// One block of the live variants in a fresh random order.
    fn order(&self, purpose: Purpose, index: u32, live: &[VariantId], planned: u32) -> BlockOrder {
        let mut order: Vec<VariantId> = live.to_vec();
        let words = format!("{}/{}/{purpose:?}/{index}", self.case, self.phase);
        let seed = seed_of(self.plan.protocol.seed, &words);
        order.shuffle(&mut StdRng::seed_from_u64(seed));
        let cells = order
            .into_iter()
            .map(|variant| CellOrder {
                variant,
                name: self.candidates[variant.0 as usize].name.clone(),
                configuration: self.candidates[variant.0 as usize].configuration.clone(),
            })
            .collect();
        let limit = self.warm_up_limit(planned);
        BlockOrder {
            index,
            purpose,
            seed,
            cells,
            repetitions: self.repetitions,
            warm_up: self.plan.protocol.warm_up,
            warm_up_limit: Nanoseconds(limit),
            counts_memory: self.plan.objective == Objective::PeakMemory,
            counts_energy: self.plan.objective == Objective::Energy,
            cache: self.plan.protocol.cache,
            // A race claims nothing, so one process may do; each would have to be warmed up.
            blocks_per_worker: match purpose {
                Purpose::Race => planned.max(1),
                _ => blocks_per_worker(planned),
            },
        }
    }

    fn note_endings(&mut self, block: &Block) {
        for cell in &block.cells {
            if cell.ending != Ending::Completed {
                self.endings.insert(cell.variant, cell.ending.clone());
                self.observer.event(&Event::VariantEnded {
                    phase: self.phase,
                    variant: &self.candidates[cell.variant.0 as usize].name,
                    ending: &cell.ending,
                });
            }
        }
    }

    /// Nanoseconds: warming up takes no more than a fifth of a phase.
    fn warm_up_limit(&self, planned: u32) -> f64 {
        (self.plan.protocol.time_limit.0 / 5.0 / f64::from(planned.max(1))).min(5e9)
    }

    pub(super) fn tell(
        &mut self,
        block: (Purpose, u32, u32),
        live: usize,
        best: Option<&(VariantId, Comparison)>,
    ) {
        let (purpose, done, planned) = block;
        let at_once = self.plan.on.as_ref().map_or(1, |on| on.nodes);
        let per_block = self.elapsed.0 / f64::from(done.max(1)) / f64::from(at_once);
        let remaining = Nanoseconds(per_block * f64::from(planned.saturating_sub(done)));
        self.observer.event(&Event::BlockFinished {
            phase: self.phase,
            purpose,
            done,
            planned,
            live,
            elapsed: self.elapsed,
            remaining,
            best: best.map(|(id, c)| (self.candidates[id.0 as usize].name.as_str(), c)),
        });
    }

    /// Thins the variants out until `most` are left besides the reference, which stays. Returns what is worth comparing, at most
    /// eight, best first.
    pub(super) fn race(
        &mut self,
        mut live: Vec<VariantId>,
        most: usize,
        budget: Nanoseconds,
    ) -> Result<(Vec<VariantId>, Series), Error> {
        let mut series = Series::default();
        let planned = self
            .plan
            .protocol
            .max_blocks
            .min(RACE_LOOKS[RACE_LOOKS.len() - 1]);
        let started = self.elapsed.0;
        let mut best = None;
        for index in 0..planned {
            // What comes after a look depends on it.
            let next_look = RACE_LOOKS.into_iter().find(|look| *look > index);
            let until = next_look.unwrap_or(planned).min(planned);
            if !self.grow(&mut series, Purpose::Race, &live, (until, planned))? {
                break;
            }
            live.retain(|variant| !self.endings.contains_key(variant));
            let is_look = RACE_LOOKS.contains(&(index + 1));
            if is_look {
                best = self.leader(&live, &series);
            }
            let done = (Purpose::Race, index + 1, planned);
            self.tell(done, live.len(), best.as_ref());
            if !live.contains(&VariantId::REFERENCE) {
                break;
            }
            if is_look {
                live = self.drop_hopeless(live, &series);
                if live.len() <= most + 1 {
                    break;
                }
            }
            if self.elapsed.0 - started > budget.0 {
                break;
            }
        }
        // What the race could not separate in its time goes on by estimate, the best eight of it.
        let reference = VariantId::REFERENCE;
        let mut ranked: Vec<(f64, VariantId)> = live
            .iter()
            .filter(|&&v| v != reference)
            .map(|&v| {
                let comparison = stats::compare(&series.pairs(v, reference), 0.05, TICK, 0);
                (-comparison.speedup, v)
            })
            .collect();
        ranked.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let ranked = ranked.into_iter().take(RACE_ABOVE).map(|(_, v)| v);
        Ok((ranked.collect(), series))
    }

    /// The best of a race so far, against the reference.
    fn leader(&self, live: &[VariantId], series: &Series) -> Option<(VariantId, Comparison)> {
        let reference = VariantId::REFERENCE;
        let against = |v| {
            (
                v,
                stats::compare(&series.pairs(v, reference), 0.05, TICK, 0),
            )
        };
        let rivals = self.rivals(live).into_iter();
        rivals
            .map(against)
            .max_by(|a, b| a.1.speedup.total_cmp(&b.1.speedup))
    }

    fn drop_hopeless(&mut self, live: Vec<VariantId>, series: &Series) -> Vec<VariantId> {
        let values: Vec<_> = live.iter().map(|&v| series.values(v)).collect();
        let stays: BTreeSet<usize> = stats::race_survivors(&values).into_iter().collect();
        let (kept, dropped): (Vec<_>, Vec<_>) = live
            .iter()
            .enumerate()
            .partition(|(i, _)| stays.contains(i));
        let dropped: Vec<VariantId> = dropped.into_iter().map(|(_, &v)| v).collect();
        if !dropped.is_empty() {
            self.observer.event(&Event::Dropped {
                phase: self.phase,
                variants: &dropped,
            });
        }
        kept.into_iter().map(|(_, &v)| v).collect()
    }

    /// Compares the live variants with the reference until every comparison is decided, at most `n_max` blocks or `budget`.
    pub(super) fn screen(
        &mut self,
        mut live: Vec<VariantId>,
        schedule: &Schedule,
        n_max: u32,
        budget: Nanoseconds,
    ) -> Result<Series, Error> {
        let mut series = Series::default();
        let mut best: Option<(VariantId, Comparison)> = None;
        let started = self.elapsed.0;
        for index in 0..n_max {
            if !self.grow(&mut series, Purpose::Screen, &live, (n_max, n_max))? {
                break;
            }
            let done = index + 1;
            live.retain(|variant| !self.endings.contains_key(variant));
            if !live.contains(&VariantId::REFERENCE) {
                break;
            }
            let rivals = self.rivals(&live);
            let mut is_over = false;
            if schedule.looks.iter().any(|(n, _)| *n == done) && !rivals.is_empty() {
                let decision = self.decide(&rivals, &series, schedule);
                let processes_are_enough =
                    self.starts_processes() || series.workers.len() >= LEAST_WORKERS;
                is_over = decision.is_over
                    && done >= self.plan.protocol.min_blocks
                    && processes_are_enough;
                best = rivals
                    .iter()
                    .copied()
                    .zip(decision.comparisons)
                    .max_by(|a, b| a.1.speedup.total_cmp(&b.1.speedup));
            }
            self.tell((Purpose::Screen, done, n_max), live.len(), best.as_ref());
            if is_over || self.elapsed.0 - started > budget.0 {
                break;
            }
        }
        Ok(series)
    }

    fn decide(&self, rivals: &[VariantId], series: &Series, schedule: &Schedule) -> Decision {
        let pairs: Vec<_> = rivals
            .iter()
            .map(|&v| series.pairs(v, VariantId::REFERENCE))
            .collect();
        let protocol = &self.plan.protocol;
        stats::decide(
            &pairs,
            schedule,
            protocol.equivalence,
            protocol.precision,
            TICK,
        )
    }

    /// Exactly `blocks` blocks, with no look in between.
    pub(super) fn fresh(
        &mut self,
        purpose: Purpose,
        mut live: Vec<VariantId>,
        blocks: u32,
    ) -> Result<Series, Error> {
        let mut series = Series::default();
        for index in 0..blocks {
            if !self.grow(&mut series, purpose, &live, (blocks, blocks))? {
                break;
            }
            live.retain(|variant| !self.endings.contains_key(variant));
            self.tell((purpose, index + 1, blocks), live.len(), None);
            if live.len() < 2 {
                break;
            }
        }
        Ok(series)
    }

    /// What so many blocks are expected to cost, with the warm-up of their workers. `cells`: expected time of each cell of a
    /// block, the reference's first.
    pub(super) fn cost(&self, blocks: u32, cells: &[f64]) -> f64 {
        let block: f64 = cells.iter().sum();
        if self.starts_processes() {
            return f64::from(blocks) * block;
        }
        let once = |cell: f64| cell / f64::from(self.repetitions);
        let reference = cells.first().copied().map_or(0.0, once);
        let start = match self.plan.protocol.warm_up {
            WarmUp::Auto => AUTO_WARM_UP_NS
                .max(f64::from(AUTO_WARM_UP_COUNT) * reference)
                .min(self.warm_up_limit(blocks).max(reference)),
            WarmUp::Time(time) => time.0,
            WarmUp::Invocations(n) => f64::from(n) * reference,
        };
        let workers = match self.plan.on {
            None => blocks.div_ceil(blocks_per_worker(blocks)),
            // There each block has a worker of its own.
            Some(_) => blocks,
        };
        // Each worker also runs every variant once before it counts.
        f64::from(blocks) * block + f64::from(workers) * (start + once(block))
    }

    /// Whether every invocation is a process of its own anyway.
    fn starts_processes(&self) -> bool {
        matches!(self.plan.workload, crate::plan::WorkloadChoice::Command(_))
    }

    /// The live variants less reference and canary.
    fn rivals(&self, live: &[VariantId]) -> Vec<VariantId> {
        live.iter()
            .copied()
            .filter(|v| *v != VariantId::REFERENCE && !self.candidates[v.0 as usize].is_canary)
            .collect()
    }
}

/// A process is one draw of memory layout: even a comparison that ends early must come from five of them, and a short one has
/// just five, since starting may cost more than measuring.
fn blocks_per_worker(planned: u32) -> u32 {
    let workers = if planned <= 16 { 5 } else { 8 };
    (planned / workers).max(1)
}

/// FNV-1a over the words, mixed with the plan's seed: the same plan draws the same orders.
pub(super) fn seed_of(seed: u64, words: &str) -> u64 {
    words.bytes().fold(
        0xcbf2_9ce4_8422_2325 ^ seed.wrapping_mul(0x9E37_79B9_7F4A_7C15),
        |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3),
    )
}
