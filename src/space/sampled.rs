//! A group of parameters with too many valid combinations to hold in any form: combinations are drawn and tested. What can be held
//! is the valid beginnings. A beginning drawn from those with free values behind it, kept only if valid, is as likely as any
//! other valid combination, and far fewer draws are thrown away than from all values.
use super::arithmetic::Operand;
use super::construct::Narrowed;
use super::diagram::Diagram;
use super::evaluate::{Note, Partial};
use super::{Parameter, Restriction};
use crate::value::Value;
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};

#[derive(Clone, Debug)]
pub(super) struct Sampled {
    /// Valid combinations of the first parameters.
    beginnings: Diagram,
    /// All parameters of the group.
    pub(super) order: Vec<usize>,
    /// Their values.
    values: Vec<Vec<Value>>,
    /// Of those behind the beginnings, the digits that may be valid.
    domains: Vec<Vec<u16>>,
    restrictions: Vec<Restriction>,
    /// For each parameter of the space its place in the group; of others the only value that matters.
    places: Vec<Result<usize, Value>>,
    /// Points, valid or not.
    pub(super) size: u64,
}

/// Draws until one is valid.
const ATTEMPTS: usize = 1_000_000;

/// Draws that are looked at for mistakes in the restrictions, since not all points can be.
const LOOKS: usize = 1000;

impl Sampled {
    /// # Errors
    /// More than 2^64 points, or a restriction that is a mistake at one of those looked at.
    pub(super) fn new(
        order: Vec<usize>,
        beginnings: Diagram,
        parameters: &[Parameter],
        narrowed: &Narrowed<'_>,
    ) -> Result<Sampled, String> {
        let values: Vec<Vec<Value>> = order
            .iter()
            .map(|p| parameters[*p].values.clone())
            .collect();
        let size = values
            .iter()
            .try_fold(1_u64, |n, v| n.checked_mul(v.len() as u64))
            .ok_or("the space has more than 2^64 points")?;
        let free = &order[beginnings.order.len()..];
        let ties = narrowed.ties.iter();
        let sampled = Sampled {
            values,
            size,
            domains: free.iter().map(|p| narrowed.domains[*p].clone()).collect(),
            restrictions: ties
                .filter(|(_, reads)| reads.iter().all(|p| order.contains(p)))
                .map(|(restriction, _)| (*restriction).clone())
                .collect(),
            places: parameters
                .iter()
                .zip(&narrowed.domains)
                .enumerate()
                .map(|(p, (parameter, domain))| {
                    let place = order.iter().position(|q| *q == p);
                    place.ok_or_else(|| parameter.values[usize::from(domain[0])].clone())
                })
                .collect(),
            beginnings,
            order,
        };
        let mut random = StdRng::seed_from_u64(0);
        for _ in 0..LOOKS {
            if let Some(digits) = sampled.draw(&mut random) {
                sampled.is_valid(&digits)?;
            }
        }
        Ok(sampled)
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

    /// The number of a combination; absent if it is not valid. A mistake in a restriction that only some far point shows makes
    /// that point invalid: the whole cannot be looked through.
    pub(super) fn rank(&self, digits: &[u16]) -> Option<u64> {
        self.is_valid(digits).unwrap_or(false).then(|| {
            self.values
                .iter()
                .zip(digits)
                .fold(0, |n, (v, d)| n * v.len() as u64 + u64::from(*d))
        })
    }

    pub(super) fn sample(&self, random: &mut impl Rng) -> Option<u64> {
        (0..ATTEMPTS).find_map(|_| self.rank(&self.draw(random)?))
    }

    /// A valid beginning with any values behind it.
    fn draw(&self, random: &mut impl Rng) -> Option<Vec<u16>> {
        let count = self.beginnings.count;
        let mut digits =
            (count > 0).then(|| self.beginnings.digits(random.random_range(0..count)))?;
        let free = self.domains.iter();
        digits.extend(free.map(|domain| domain[random.random_range(0..domain.len())]));
        Some(digits)
    }

    /// # Errors
    /// A mistake in a restriction, where no other excludes the combination.
    fn is_valid(&self, digits: &[u16]) -> Result<bool, String> {
        let is_point = digits.iter().zip(&self.values);
        if !is_point.into_iter().all(|(d, v)| usize::from(*d) < v.len()) {
            return Ok(false);
        }
        let slots: Vec<_> = self
            .places
            .iter()
            .map(|place| {
                let value = match place {
                    Ok(place) => &self.values[*place][usize::from(digits[*place])],
                    Err(value) => value,
                };
                Partial::Known(Operand::of(value))
            })
            .collect();
        let (mut mistake, mut note) = (None, Note::default());
        for restriction in &self.restrictions {
            match restriction.holds(&slots, &mut note) {
                Ok(true) => {}
                Ok(false) => return Ok(false),
                Err(message) => mistake = Some(message),
            }
        }
        mistake.map_or(Ok(true), Err)
    }

    /// What it takes on the heap, for all combinations together.
    pub(super) fn bytes(&self) -> usize {
        self.beginnings.bytes()
    }
}
