//! A group of parameters with too many valid combinations to list: combinations are drawn and tested. What can be listed is: the
//! valid beginnings. A beginning drawn from that list with free values behind it, kept only if valid, is as likely as any other
//! valid combination, and far fewer draws are thrown away than from all values.
use super::construct::{self, Group, Trouble};
use super::{Parameter, Restriction};
use crate::value::Value;
use rand::{Rng, RngExt};

#[derive(Clone, Debug)]
pub(super) struct Sampled {
    /// Valid combinations of the first parameters.
    beginnings: Group,
    order: Vec<usize>,
    /// Of the parameters in `order`.
    values: Vec<Vec<Value>>,
    restrictions: Vec<Restriction>,
    /// One value a parameter of the space, to be overwritten.
    first: Vec<Value>,
    /// Points, valid or not.
    pub(super) size: u64,
}

/// Beginnings that are listed.
const LISTED: usize = 1 << 20;

/// Draws until one is valid.
const ATTEMPTS: usize = 1_000_000;

impl Sampled {
    pub(super) fn new(
        order: Vec<usize>,
        parameters: &[Parameter],
        restrictions: Vec<Restriction>,
    ) -> Result<Sampled, String> {
        let values: Vec<Vec<Value>> = order
            .iter()
            .map(|p| parameters[*p].values.clone())
            .collect();
        let size = values
            .iter()
            .try_fold(1_u64, |n, v| n.checked_mul(v.len() as u64))
            .ok_or("the space has more than 2^64 points")?;
        let mut beginnings = None;
        for depth in 1..order.len() {
            let listed =
                construct::enumerate(order[..depth].to_vec(), parameters, &restrictions, LISTED);
            match listed {
                Ok(group) => beginnings = Some(group),
                Err(Trouble::Wrong(message)) => return Err(message),
                Err(Trouble::TooLarge) => break,
            }
        }
        Ok(Sampled {
            beginnings: beginnings.ok_or("a parameter has more than a million values")?,
            order,
            values,
            restrictions,
            first: construct::first_values(parameters),
            size,
        })
    }

    pub(super) fn parameters(&self) -> &[usize] {
        &self.order
    }

    pub(super) fn digits(&self, rank: u64) -> Vec<u16> {
        let mut rest = rank;
        let mut digits: Vec<u16> = self
            .values
            .iter()
            .rev()
            .map(|values| {
                let digit = rest % values.len() as u64;
                rest /= values.len() as u64;
                digit as u16
            })
            .collect();
        digits.reverse();
        digits
    }

    pub(super) fn rank(&self, digits: &[u16]) -> Option<u64> {
        let mut values = self.first.clone();
        for ((p, own), digit) in self.order.iter().zip(&self.values).zip(digits) {
            values[*p] = own.get(usize::from(*digit))?.clone();
        }
        // A mistake in a restriction that only some far point shows makes that point invalid: the whole cannot be looked through.
        let is_valid = self
            .restrictions
            .iter()
            .all(|r| r.admits(&values).unwrap_or(false));
        is_valid.then(|| {
            self.values
                .iter()
                .zip(digits)
                .fold(0, |n, (v, d)| n * v.len() as u64 + u64::from(*d))
        })
    }

    pub(super) fn sample(&self, random: &mut impl Rng) -> Option<u64> {
        let width = self.beginnings.parameters.len();
        let listed = self.beginnings.rows.len() / width;
        if listed == 0 {
            return None;
        }
        (0..ATTEMPTS).find_map(|_| {
            let row = random.random_range(0..listed) * width;
            let mut digits = self.beginnings.rows[row..][..width].to_vec();
            let free = self.values[width..].iter();
            digits.extend(free.map(|v| random.random_range(0..v.len()) as u16));
            self.rank(&digits)
        })
    }
}
