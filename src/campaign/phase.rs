//! One phase from its question to its outcome: checks, what measuring found, what it keeps.
use super::comparing::{Board, TICK};
use super::criteria::Seen;
use super::deciding::{CONFIRMATION_BLOCKS, Findings, detectable, judge, measure, warnings};
use super::fleet::Fleet;
use super::ledger::Ledger;
use super::variants::{Candidate, Candidates, Seeking, candidates, reference};
use super::{Error, Event, FINAL, Observer, criteria, device_name, expected_file, picture_folder};
use crate::accuracy::is_within;
use crate::measure::{CheckOrder, Checked, ExpectOrder};
use crate::plan::{Case, Keep, Objective, Phase, Plan, Question, WorkloadChoice};
use crate::record::{CriterionOutcome, Final, Header, PhaseOutcome, Trial, metrics};
use crate::space::Configuration;
use crate::stats;
use crate::trial::{Block, Ending, Place, Purpose, Sample, VariantId, Verdict};
use crate::value::{Bytes, Nanoseconds};
use crate::worker::Order;
use std::collections::BTreeMap;

/// A canary joins a phase with at least this many variants.
pub(super) const CANARY_FROM: usize = 3;

/// An invocation shorter than this is repeated three times in a cell.
const REPEATED_BELOW_NS: f64 = 100e6;

/// Candidates whose kernels are compiled before they are asked for.
const MOST_AHEAD: usize = 64;

/// What is the same for all phases of a case.
pub(super) struct Desk<'a> {
    header: &'a Header,
    pub(super) plan: &'a Plan,
    case: &'a Case,
    case_index: usize,
    pub(super) observer: &'a mut dyn Observer,
    /// By configuration: a reference is checked once, however many phases compare with it.
    checked: Vec<(Configuration, Checked)>,
    has_expected: Option<bool>,
    fleet: Fleet,
    /// Whether the runner knows which checks come next.
    has_announced: bool,
}

/// A phase after its checks: who may be measured, and why the others not.
pub(super) struct Roster {
    pub(super) candidates: Vec<Candidate>,
    pub(super) checks: Vec<Checked>,
    /// Verdict and reason of those that are not measured, or may not win.
    pub(super) barred: BTreeMap<VariantId, (Verdict, String)>,
    pub(super) note: Option<String>,
}

impl Roster {
    /// How many times as long as the reference's its first invocation lasted; absent where they were not on one machine.
    pub(super) fn factor(&self, id: VariantId) -> Option<f64> {
        let [one, reference] = [id, VariantId::REFERENCE].map(|id| &self.checks[id.0 as usize]);
        let node = |check: &Checked| check.place.as_ref().map(|place| place.node.clone());
        let is_comparable = node(one) == node(reference);
        let (time, against) = (one.invocation?.0, reference.invocation?.0);
        is_comparable.then(|| time / against.max(1.0))
    }
}

impl<'a> Desk<'a> {
    pub(super) fn new(
        header: &'a Header,
        case: &'a Case,
        observer: &'a mut dyn Observer,
    ) -> Desk<'a> {
        let plan = &header.plan;
        let case_index = plan.cases.iter().position(|c| c == case).unwrap_or(0);
        Desk {
            header,
            plan,
            case,
            case_index,
            observer,
            checked: vec![],
            has_expected: None,
            fleet: Fleet::default(),
            has_announced: false,
        }
    }

    pub(super) fn run(
        &mut self,
        phase: &Phase,
        index: usize,
        ended: &BTreeMap<String, PhaseOutcome>,
        ledger: &mut Ledger<'_>,
    ) -> Result<(PhaseOutcome, Vec<Trial>), Error> {
        let reference = reference(self.plan, phase, ended)?;
        let Candidates { list, note } = candidates(self.plan, phase, &reference, ended)?;
        let names: Vec<String> = list.iter().skip(1).map(|c| c.name.clone()).collect();
        let case = &self.case.name;
        self.observer.event(&Event::PhaseStarted {
            case,
            phase,
            index,
            variants: &names,
        });
        let (mut roster, mut spent) = self.check_all(phase, list, note, ledger)?;
        let searched = match Seeking::of(phase)?.filter(|seeking| seeking.entry.learns) {
            Some(seeking) => Some(self.search(phase, &seeking, &mut roster, &mut spent, ledger)?),
            None => None,
        };
        join_canary(&mut roster, phase);
        let mut board = self.board(&phase.name, &roster, ledger, spent);
        let findings = measure(&mut board, &roster, phase, searched)?;
        let endings = std::mem::take(&mut board.endings);
        let (elapsed, measured) = (board.elapsed, std::mem::take(&mut board.measured));
        board.ledger.runner.retire();
        self.learn(&roster, &measured);
        let home = findings.screen.home.as_deref();
        let is_counted = |block: &Block| self.fleet.counts(block, home);
        let measured: Vec<Block> = measured.into_iter().filter(is_counted).collect();
        let mut trials = self.trials(phase, &roster, &findings, &endings, &measured);
        let outcome = PhaseOutcome {
            criteria: self.criteria(phase, &findings, &trials, &measured),
            ..self.outcome(phase, &roster, &findings, &endings, elapsed, &mut trials)
        };
        Ok((outcome, trials))
    }

    /// Compiles and checks every candidate, the reference first.
    ///
    /// # Errors
    /// When the reference itself fails: there is nothing to compare with.
    fn check_all(
        &mut self,
        phase: &Phase,
        mut candidates: Vec<Candidate>,
        mut note: Option<String>,
        ledger: &mut Ledger<'_>,
    ) -> Result<(Roster, Nanoseconds), Error> {
        let expected = self.expect(ledger)?;
        let mut spent = Nanoseconds(0.0);
        let mut checks: Vec<Checked> = vec![];
        let mut barred = BTreeMap::new();
        let search_time = match &phase.question {
            Question::Search(search) => search.time,
            _ => None,
        };
        let mut asked = candidates.len();
        self.has_announced = false;
        for (i, candidate) in candidates.iter().enumerate() {
            if i > 1 && search_time.is_some_and(|time| spent >= time) {
                asked = i;
                break;
            }
            let id = VariantId(i as u32);
            let name = candidate.name.as_str();
            self.observer.event(&Event::Checking {
                phase: &phase.name,
                variant: name,
            });
            let (checked, is_new) = self.check(phase, id, &candidates[i..], expected, ledger)?;
            if is_new {
                spent.0 += checked.elapsed.0;
            }
            let verdict = self.gate(phase, &checked);
            if i == 0 && checked.ending != Ending::Completed {
                return Err(Error::Workload(format!(
                    "phase `{}`: the reference itself does not run, so nothing can be compared with it: {}",
                    phase.name,
                    checked.ending.sentence()
                )));
            }
            if checked.ending != Ending::Completed {
                let ending = &checked.ending;
                self.observer.event(&Event::VariantEnded {
                    phase: &phase.name,
                    variant: name,
                    ending,
                });
            }
            if let Some(verdict) = verdict
                && i > 0
            {
                barred.insert(id, verdict);
            }
            checks.push(checked);
        }
        if let Some(time) = search_time
            && asked < candidates.len()
        {
            let budget = format!(
                "the budget of {time} ended it after {} of these {}",
                asked - 1,
                candidates.len() - 1
            );
            note = Some(note.map_or_else(|| budget.clone(), |how| format!("{how}; {budget}")));
            candidates.truncate(asked);
        }
        Ok((
            Roster {
                candidates,
                checks,
                barred,
                note,
            },
            spent,
        ))
    }

    /// Where the phase's blocks are measured.
    pub(super) fn board<'b, 'l>(
        &'b mut self,
        phase: &'b str,
        roster: &'b Roster,
        ledger: &'b mut Ledger<'l>,
        elapsed: Nanoseconds,
    ) -> Board<'b, 'l> {
        Board {
            plan: self.plan,
            case: &self.case.name,
            phase,
            candidates: &roster.candidates,
            ledger,
            observer: &mut *self.observer,
            repetitions: repetitions(self.header, &roster.checks[0]),
            endings: BTreeMap::new(),
            measured: vec![],
            elapsed,
            fleet: &mut self.fleet,
        }
    }

    pub(super) fn time_limit(&self) -> Nanoseconds {
        self.plan.protocol.time_limit
    }

    pub(super) fn seed(&self) -> u64 {
        self.plan.protocol.seed
    }

    /// Has the expected output stored, once for a case; false where there is none to compare.
    pub(super) fn expect(&mut self, ledger: &mut Ledger<'_>) -> Result<bool, Error> {
        if let Some(known) = self.has_expected {
            return Ok(known);
        }
        let has_output = match &self.plan.workload {
            WorkloadChoice::Command(command) => command.output.is_some(),
            WorkloadChoice::Kernel(kernel) => kernel.has_output(),
            WorkloadChoice::Builtin { .. } => true,
            WorkloadChoice::Imported { .. } => false,
        };
        let save = expected_file(ledger.store.folder(), self.case_index);
        let known = has_output
            && ledger.expect(
                &format!("{}/expected", self.case.name),
                &ExpectOrder {
                    against: self.plan.accuracy.against.clone(),
                    baseline: self.plan.baseline.clone(),
                    save,
                },
            )?;
        self.has_expected = Some(known);
        Ok(known)
    }

    /// The check of the first candidate, and whether it was made only now; the others are those that will be asked for next.
    pub(super) fn check(
        &mut self,
        phase: &Phase,
        variant: VariantId,
        candidates: &[Candidate],
        expected: bool,
        ledger: &mut Ledger<'_>,
    ) -> Result<(Checked, bool), Error> {
        let candidate = &candidates[0];
        let known = self
            .checked
            .iter()
            .find(|(c, _)| *c == candidate.configuration);
        if let Some((_, checked)) = known {
            return Ok((checked.clone(), false));
        }
        if !self.has_announced {
            self.announce_checks(phase, variant, candidates, expected, ledger);
        }
        let order = CheckOrder {
            next: (candidates[1..].iter().take(MOST_AHEAD))
                .map(|c| c.configuration.clone())
                .collect(),
            ..self.check_order(phase, variant, candidate, expected, ledger)
        };
        let key = format!("{}/{}/{}", self.case.name, phase.name, candidate.name);
        let checked = ledger.check(&key, &order)?;
        self.fleet.saw(checked.place.as_ref());
        self.checked
            .push((candidate.configuration.clone(), checked.clone()));
        Ok((checked, true))
    }

    /// Tells the runner of these checks, less those whose answer is known; the first is of `variant`, the others follow in order.
    pub(super) fn announce_checks(
        &mut self,
        phase: &Phase,
        variant: VariantId,
        candidates: &[Candidate],
        expected: bool,
        ledger: &mut Ledger<'_>,
    ) {
        let is_known = |c: &Candidate| self.checked.iter().any(|(k, _)| *k == c.configuration);
        let orders = (variant.0..)
            .zip(candidates)
            .filter(|(_, candidate)| !is_known(candidate))
            .take(ledger.looks_ahead())
            .map(|(id, candidate)| {
                Order::Check(self.check_order(phase, VariantId(id), candidate, expected, ledger))
            })
            .collect();
        self.has_announced = ledger.announce(orders);
    }

    fn check_order(
        &self,
        phase: &Phase,
        variant: VariantId,
        candidate: &Candidate,
        expected: bool,
        ledger: &Ledger<'_>,
    ) -> CheckOrder {
        let folder = ledger.store.folder().to_owned();
        let own_metrics = self.header.declaration.own_metrics.iter();
        CheckOrder {
            variant,
            name: candidate.name.clone(),
            configuration: candidate.configuration.clone(),
            expected: expected.then(|| expected_file(&folder, self.case_index)),
            run_folder: folder,
            picture_folder: Some(picture_folder(
                &self.case.name,
                &phase.name,
                &candidate.name,
            )),
            own_metrics: own_metrics.map(|m| m.0.clone()).collect(),
            next: vec![],
        }
    }

    /// Takes the quickest sample for the time of an invocation where it is quicker than the check's: a check that fell into a bad
    /// moment of the machine would have every later phase with that configuration believe that few blocks are affordable.
    fn learn(&mut self, roster: &Roster, measured: &[Block]) {
        let cells = measured
            .iter()
            .flat_map(|block| block.cells.iter().map(move |c| (block, c)));
        for (block, cell) in cells {
            let walls = cell.samples.iter().map(|s| s.invocation.timing.wall.0);
            let Some(quickest) = walls.min_by(f64::total_cmp) else {
                continue;
            };
            let configuration = &roster.candidates[cell.variant.0 as usize].configuration;
            let node = |place: &Option<Place>| place.as_ref().map(|place| place.node.clone());
            let is_it = |(c, checked): &&mut (Configuration, Checked)| {
                c == configuration && node(&checked.place) == node(&block.place)
            };
            let known = self.checked.iter_mut().find(is_it);
            if let Some(time) = known.and_then(|(_, checked)| checked.invocation.as_mut()) {
                time.0 = time.0.min(quickest);
            }
        }
    }

    /// Why a checked variant can never win, if it cannot.
    pub(super) fn gate(&self, phase: &Phase, checked: &Checked) -> Option<(Verdict, String)> {
        if let Some(verdict) = checked.ending.verdict() {
            return Some((verdict, checked.ending.sentence()));
        }
        if self.plan.objective == Objective::DeviceTime && checked.device_time.is_none() {
            let message = "this device tells no time of its own; use objective: runtime";
            return Some((Verdict::Unsupported, message.into()));
        }
        if self.plan.objective == Objective::Energy && !checked.counts_energy {
            let message = "this device counts no energy (NVIDIA GPUs since Volta do, through CUDA and NVML); use objective: runtime";
            return Some((Verdict::Unsupported, message.into()));
        }
        for (name, limit) in self.plan.accuracy_limits(phase) {
            let Some((_, value)) = checked.accuracy.iter().find(|(n, _)| n == name) else {
                continue;
            };
            if !is_within(name, *value, *limit) {
                let message = format!("{name} is {value:.3e}, the limit is {limit:e}");
                return Some((Verdict::Inaccurate, message));
            }
        }
        let peak = checked
            .host_peak
            .map_or(0, |b| b.0)
            .max(checked.device_peak.map_or(0, |b| b.0));
        match self.plan.limits.peak_memory {
            Some(limit) if peak > limit.0 => {
                let message = format!("peak memory {} is over the limit of {limit}", Bytes(peak));
                Some((Verdict::OverLimit, message))
            }
            _ => None,
        }
    }

    /// The rows of the phase.
    fn trials(
        &self,
        phase: &Phase,
        roster: &Roster,
        findings: &Findings,
        endings: &BTreeMap<VariantId, Ending>,
        measured: &[Block],
    ) -> Vec<Trial> {
        let is_trusted = findings.is_trusted();
        let rows = roster.candidates.iter().zip(&roster.checks).enumerate();
        rows.map(|(i, (candidate, check))| {
            let id = VariantId(i as u32);
            let ending = endings.get(&id).unwrap_or(&check.ending);
            let (verdict, message) = judge(
                id, candidate, ending, roster, findings, is_trusted, self.plan,
            );
            let series = match &findings.race {
                Some(race) if findings.screen.completed(id).is_empty() => race,
                _ => &findings.screen,
            };
            let values = series.completed(id);
            let samples: Vec<_> = samples_of(measured, id).collect();
            Trial {
                case: self.case.name.clone(),
                phase: phase.name.clone(),
                kind: phase.kind.clone(),
                id,
                name: candidate.name.clone(),
                device: device_name(self.case.device),
                configuration: candidate.configuration.clone(),
                is_canary: candidate.is_canary,
                ending: ending.clone(),
                verdict,
                message,
                compile: check.compile,
                n: values.len() as u32,
                quartiles: (!values.is_empty()).then(|| stats::quartiles(&values)),
                comparison: findings.comparisons.get(&id).cloned(),
                confirmation: findings.confirmations.get(&id).cloned(),
                accuracy: check.accuracy.clone(),
                host_peak: samples
                    .iter()
                    .filter_map(|s| s.invocation.host_peak)
                    .max()
                    .or(check.host_peak),
                device_peak: check.device_peak,
                stages: self.stage_medians(&samples),
                metrics: self.metric_medians(&samples, check),
                work: check.work,
                is_kept: false,
                pictures: check.pictures.clone(),
                timeline: check.timeline.clone(),
            }
        })
        .collect()
    }

    fn stage_medians(&self, samples: &[&Sample]) -> Vec<Nanoseconds> {
        (0..self.header.declaration.stages.len())
            .map_while(|stage| {
                let times: Vec<f64> = samples
                    .iter()
                    .filter_map(|s| s.invocation.timing.stages.get(stage).map(|t| t.0))
                    .collect();
                (!times.is_empty()).then(|| Nanoseconds(stats::quartiles(&times).1))
            })
            .collect()
    }

    fn metric_medians(&self, samples: &[&Sample], check: &Checked) -> Vec<(String, f64)> {
        let mut found = vec![];
        for (i, metric) in metrics(self.header).enumerate() {
            let of = |s: &&Sample| s.invocation.metrics.get(i).copied();
            let values: Vec<f64> = samples.iter().filter_map(of).collect();
            if !values.is_empty() {
                found.push((metric.to_owned(), stats::quartiles(&values).1));
            }
        }
        // What was counted over many invocations is not taken from the check's one.
        let is_new = |(name, _): &&(String, f64)| !found.iter().any(|(n, _)| n == name);
        let attributes: Vec<_> = check.attributes.iter().filter(is_new).cloned().collect();
        found.extend(attributes);
        if let Some(peak) = check.resident_peak {
            found.push(("resident_peak_bytes".into(), peak.0 as f64));
        }
        found
    }

    /// How the phase's criteria end. They speak of its best variant, whether the phase hands it on or only reports it.
    fn criteria(
        &self,
        phase: &Phase,
        findings: &Findings,
        trials: &[Trial],
        measured: &[Block],
    ) -> Vec<CriterionOutcome> {
        let seen = Seen {
            screen: &findings.screen,
            blocks: measured,
            stages: &self.header.declaration.stages,
            metrics: metrics(self.header).collect(),
            seed: self.plan.protocol.seed,
        };
        let subject = findings.winner.unwrap_or(VariantId::REFERENCE);
        let subject = trials.get(subject.0 as usize);
        let decide = |criterion| criteria::decide(criterion, trials, subject, &seen);
        phase.criteria.iter().map(decide).collect()
    }

    /// Everything but the criteria.
    fn outcome(
        &self,
        phase: &Phase,
        roster: &Roster,
        findings: &Findings,
        endings: &BTreeMap<VariantId, Ending>,
        elapsed: Nanoseconds,
        trials: &mut [Trial],
    ) -> PhaseOutcome {
        let reference = roster.candidates[0].configuration.clone();
        let name = |id: &VariantId| roster.candidates[id.0 as usize].name.clone();
        let is_trusted = findings.is_trusted();
        let keeps = phase.keep == Keep::Best && is_trusted;
        let winner = findings.winner.filter(|_| keeps);
        let kept_row = winner.unwrap_or(VariantId::REFERENCE);
        trials[kept_row.0 as usize].is_kept = true;
        let failure = endings.get(&VariantId::REFERENCE).map(|ending| {
            format!(
                "the reference ended in the middle of the phase: {}",
                ending.sentence()
            )
        });
        let mut notes: Vec<String> = roster.note.iter().cloned().collect();
        notes.extend(findings.notes.iter().cloned());
        PhaseOutcome {
            case: self.case.name.clone(),
            phase: phase.name.clone(),
            kept: winner.map_or_else(
                || reference.clone(),
                |id| roster.candidates[id.0 as usize].configuration.clone(),
            ),
            kept_variant: winner.as_ref().map(name),
            tied: findings.tied.iter().map(name).collect(),
            runner_up: findings.runner_up.as_ref().map(name),
            planned_blocks: findings.n_max,
            blocks: findings.screen.blocks,
            confirmation_blocks: findings.confirm.blocks,
            is_descriptive: findings.is_descriptive,
            is_race: findings.race.is_some(),
            canary_p: findings.canary.as_ref().map(|c| c.p_value),
            is_trusted,
            detectable: detectable(findings),
            warnings: warnings(findings),
            criteria: vec![],
            elapsed,
            failure,
            note: (!notes.is_empty()).then(|| notes.join("; ")),
            platforms: findings.platforms.clone(),
            nodes: findings.nodes.clone(),
            reference,
        }
    }

    /// The final configuration against the original baseline, on fresh blocks; gains of phases are never multiplied.
    pub(super) fn confirm_final(
        &mut self,
        last: &Configuration,
        ledger: &mut Ledger<'_>,
    ) -> Result<Final, Error> {
        let baseline = self.plan.baseline.clone();
        let mut found = Final {
            case: self.case.name.clone(),
            baseline: baseline.clone(),
            configuration: last.clone(),
            confirmation: None,
            medians: None,
            absent: None,
        };
        if *last == baseline {
            return Ok(found);
        }
        let named = |name: &str, configuration: Configuration| Candidate {
            name: name.into(),
            configuration,
            is_canary: false,
        };
        let list = [
            named("baseline", baseline.clone()),
            named("final", last.clone()),
        ];
        let baseline_check = self
            .checked
            .iter()
            .find(|(c, _)| *c == baseline)
            .map(|(_, c)| c);
        let mut board = Board {
            plan: self.plan,
            case: &self.case.name,
            phase: FINAL,
            candidates: &list,
            ledger,
            observer: &mut *self.observer,
            repetitions: baseline_check.map_or(1, |check| repetitions(self.header, check)),
            endings: BTreeMap::new(),
            measured: vec![],
            elapsed: Nanoseconds(0.0),
            fleet: &mut self.fleet,
        };
        let (reference, last) = (VariantId::REFERENCE, VariantId(1));
        let series = board.fresh(Purpose::Confirm, vec![reference, last], CONFIRMATION_BLOCKS)?;
        board.ledger.runner.retire();
        let pairs = series.pairs(last, reference);
        if !pairs.is_empty() {
            let alpha = 1.0 - self.plan.protocol.confidence;
            found.confirmation = Some(stats::compare(&pairs, alpha, TICK, self.plan.protocol.seed));
            let median = |id| stats::quartiles(&series.completed(id)).1;
            found.medians = Some((median(reference), median(last)));
        }
        Ok(found)
    }
}

fn join_canary(roster: &mut Roster, phase: &Phase) {
    let able = roster.candidates.len() - 1 - roster.barred.len();
    if able >= CANARY_FROM || (roster.candidates.len() == 1 && phase.question == Question::Baseline)
    {
        roster.candidates.push(Candidate {
            name: "canary".into(),
            configuration: roster.candidates[0].configuration.clone(),
            is_canary: true,
        });
        roster.checks.push(roster.checks[0].clone());
    }
}

fn samples_of(blocks: &[Block], id: VariantId) -> impl Iterator<Item = &Sample> {
    blocks
        .iter()
        .flat_map(|block| &block.cells)
        .filter(move |cell| cell.variant == id)
        .flat_map(|cell| &cell.samples)
        .filter(|sample| !sample.is_warm_up)
}

/// 3 if an invocation lasts under 100 ms, else 1; or what the plan or the calibration says.
fn repetitions(header: &Header, reference: &Checked) -> u32 {
    let by_time = match reference.invocation {
        // Its samples are long, however short an invocation is.
        _ if header.plan.objective == Objective::Energy => 1,
        Some(time) if time.0 < REPEATED_BELOW_NS => 3,
        _ => 1,
    };
    let calibrated = header.calibration.as_ref().map(|c| c.repetitions);
    header
        .plan
        .protocol
        .repetitions
        .or(calibrated)
        .unwrap_or(by_time)
}
