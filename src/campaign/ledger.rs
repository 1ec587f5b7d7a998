//! What has been measured, from the journal where a former campaign left it, else from the runner. The campaign above decides
//! from measurements alone, so replaying them in order brings it to where it was: resuming needs no state of its own.
use super::Error;
use crate::measure::{BlockOrder, CheckOrder, Checked, ExpectOrder};
use crate::record::{Entry, PhaseOutcome, Store, Trial};
use crate::trial::Block;
use crate::worker::{Order, Runner};
use serde::{Serialize, de::DeserializeOwned};
use std::collections::VecDeque;

pub(super) struct Ledger<'a> {
    pub(super) store: &'a mut Store,
    pub(super) runner: Box<dyn Runner + 'a>,
    pub(super) replay: &'a mut VecDeque<Entry>,
}

impl Ledger<'_> {
    /// Whether what comes next has been measured already.
    pub(super) fn is_replaying(&self) -> bool {
        !self.replay.is_empty()
    }

    pub(super) fn block(
        &mut self,
        case: &str,
        phase: &str,
        order: &BlockOrder,
    ) -> Result<Block, Error> {
        if let Some(entry) = self.replay.pop_front() {
            return match entry {
                Entry::Block {
                    case: c,
                    phase: p,
                    purpose,
                    block,
                } if c == case
                    && p == phase
                    && purpose == order.purpose
                    && block.index == order.index =>
                {
                    Ok(block)
                }
                other => Err(out_of_step(
                    &format!("block {} of {phase}", order.index),
                    &other,
                )),
            };
        }
        let block = self.runner.block(order)?;
        self.store.append(&Entry::Block {
            case: case.into(),
            phase: phase.into(),
            purpose: order.purpose,
            block: block.clone(),
        })?;
        Ok(block)
    }

    /// How many orders are worth announcing: none of what has been measured already.
    pub(super) fn looks_ahead(&self) -> usize {
        match self.is_replaying() {
            true => 0,
            false => self.runner.looks_ahead(),
        }
    }

    /// Tells the runner what comes next, if that is of use to it; true if it was told.
    pub(super) fn announce(&mut self, orders: Vec<Order>) -> bool {
        let is_of_use = self.looks_ahead() > 0;
        if is_of_use {
            self.runner.announce(orders);
        }
        is_of_use
    }

    /// The check of one variant.
    pub(super) fn check(&mut self, key: &str, order: &CheckOrder) -> Result<Checked, Error> {
        self.once(key, |runner| Ok(runner.check(order)?))
    }

    /// Whether there is something to compare outputs with; made anew if its file has gone.
    pub(super) fn expect(&mut self, key: &str, order: &ExpectOrder) -> Result<bool, Error> {
        let was_replayed = self.is_replaying();
        let has_output = self.once(key, |runner| Ok(runner.expect(order)?))?;
        if was_replayed && has_output && !order.save.try_exists().unwrap_or(false) {
            self.runner.expect(order)?;
        }
        Ok(has_output)
    }

    pub(super) fn phase_ended(
        &mut self,
        trials: &[Trial],
        outcome: &PhaseOutcome,
    ) -> Result<(), Error> {
        match self.replay.pop_front() {
            Some(Entry::PhaseEnded { .. }) => return Ok(()),
            Some(other) => {
                return Err(out_of_step(
                    &format!("the end of {}", outcome.phase),
                    &other,
                ));
            }
            None => {}
        }
        self.store.append(&Entry::PhaseEnded {
            trials: trials.to_vec(),
            outcome: Box::new(outcome.clone()),
        })?;
        Ok(self.store.write_parquet()?)
    }

    fn once<T: Serialize + DeserializeOwned>(
        &mut self,
        key: &str,
        measure: impl FnOnce(&mut dyn Runner) -> Result<T, Error>,
    ) -> Result<T, Error> {
        if let Some(entry) = self.replay.pop_front() {
            let Entry::Checked { key: k, checked } = &entry else {
                return Err(out_of_step(key, &entry));
            };
            return serde_json::from_value(checked.clone())
                .ok()
                .filter(|_| k == key)
                .ok_or_else(|| out_of_step(key, &entry));
        }
        let result = measure(self.runner.as_mut())?;
        let checked = serde_json::to_value(&result).expect("plain data");
        self.store.append(&Entry::Checked {
            key: key.into(),
            checked,
        })?;
        Ok(result)
    }
}

fn out_of_step(wanted: &str, found: &Entry) -> Error {
    let mut found = serde_json::to_string(found).unwrap_or_default();
    found.truncate(found.floor_char_boundary(120));
    Error::Damaged(format!(
        "the journal does not fit this plan: {wanted} was expected, it has {found}; start a new run with --fresh"
    ))
}
