//! Tuning parameters, restrictions and the valid configurations they leave.
mod construct;
mod restriction;
mod sampled;

pub use restriction::Restriction;

use crate::value::Value;
use construct::{Group, Trouble};
use rand::{Rng, RngExt};
use sampled::Sampled;
use serde::{Deserialize, Serialize};

/// A named, finite, ordered list of values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parameter {
    pub name: String,
    pub values: Vec<Value>,
}

/// Position of a valid configuration in its [`Space`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ConfigurationId(pub u64);

/// One value for each tuning parameter, in the order in which the workload declares them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Configuration {
    values: Vec<(String, Value)>,
}

impl Configuration {
    pub fn new(values: Vec<(String, Value)>) -> Configuration {
        Configuration { values }
    }

    pub fn get(&self, name: &str) -> Option<&Value> {
        self.values.iter().find(|(n, _)| n == name).map(|(_, v)| v)
    }

    pub fn values(&self) -> &[(String, Value)] {
        &self.values
    }

    /// This configuration with some values replaced; names that it does not have are appended.
    #[must_use]
    pub fn with(&self, changes: &[(String, Value)]) -> Configuration {
        let mut values = self.values.clone();
        for (name, value) in changes {
            match values.iter_mut().find(|(n, _)| n == name) {
                Some((_, old)) => *old = value.clone(),
                None => values.push((name.clone(), value.clone())),
            }
        }
        Configuration { values }
    }

    /// What differs from `other`: name and own value, in own order.
    pub fn changes_from(&self, other: &Configuration) -> Vec<(String, Value)> {
        self.values
            .iter()
            .filter(|(name, value)| other.get(name) != Some(value))
            .cloned()
            .collect()
    }
}

/// What is wrong with a restriction or a space.
#[derive(Clone, Debug, PartialEq)]
pub struct SpaceError {
    pub message: String,
    /// Byte range in the restriction's text.
    pub start: usize,
    pub end: usize,
    pub help: Option<String>,
}

impl std::fmt::Display for SpaceError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

/// A group of tied parameters with more valid combinations than this is not listed.
const LARGEST: usize = 20_000_000;

/// Which configurations count as neighbours; they differ in one parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Neighbourhood {
    /// The next value up or down, where it is valid.
    StrictlyAdjacent,
    /// The nearest valid value up and down.
    Adjacent,
    /// Any other valid value.
    Hamming,
}

/// All configurations that satisfy the restrictions. Held as the product of independent groups of parameters, each listed as
/// compact rows; a group too large to list is sampled and tested instead.
#[derive(Clone, Debug)]
pub struct Space {
    parameters: Vec<Parameter>,
    /// Group and column of each parameter.
    places: Vec<(usize, usize)>,
    parts: Vec<Part>,
}

#[derive(Clone, Debug)]
enum Part {
    Listed(Group),
    Sampled(Sampled),
}

impl Part {
    /// Numbers that its combinations are written as: 0..size.
    fn size(&self) -> u64 {
        match self {
            Part::Listed(group) => (group.rows.len() / group.parameters.len()) as u64,
            Part::Sampled(sampled) => sampled.size,
        }
    }

    fn parameters(&self) -> &[usize] {
        match self {
            Part::Listed(group) => &group.parameters,
            Part::Sampled(sampled) => sampled.parameters(),
        }
    }

    fn digits(&self, rank: u64) -> Vec<u16> {
        match self {
            Part::Listed(group) => {
                let width = group.parameters.len();
                group.rows[rank as usize * width..][..width].to_vec()
            }
            Part::Sampled(sampled) => sampled.digits(rank),
        }
    }

    /// The number of a combination; absent if it is not valid.
    fn rank(&self, digits: &[u16]) -> Option<u64> {
        match self {
            Part::Listed(group) => {
                let (mut low, mut high) = (0, self.size() as usize);
                let width = digits.len();
                while low < high {
                    let middle = low.midpoint(high);
                    match group.rows[middle * width..][..width].cmp(digits) {
                        std::cmp::Ordering::Equal => return Some(middle as u64),
                        std::cmp::Ordering::Less => low = middle + 1,
                        std::cmp::Ordering::Greater => high = middle,
                    }
                }
                None
            }
            Part::Sampled(sampled) => sampled.rank(digits),
        }
    }
}

impl Space {
    /// # Errors
    /// A restriction that divides by zero or overflows, or a space of more than 2^64 points.
    pub fn new(
        parameters: Vec<Parameter>,
        restrictions: Vec<Restriction>,
    ) -> Result<Space, SpaceError> {
        let wrong = |message: String| SpaceError {
            message,
            start: 0,
            end: 0,
            help: None,
        };
        let mut space = Space {
            places: vec![(0, 0); parameters.len()],
            parts: vec![],
            parameters,
        };
        let parameters = &space.parameters;
        // What reads no parameter holds for all configurations or for none.
        let first = construct::first_values(parameters);
        let mut is_empty = parameters.is_empty() || parameters.iter().any(|p| p.values.is_empty());
        for constant in restrictions.iter().filter(|r| r.reads.is_empty()) {
            is_empty |= !constant.admits(&first).map_err(wrong)?;
        }
        if is_empty {
            return Ok(space);
        }
        let mut size = 1_u64;
        for group in construct::groups(parameters.len(), &restrictions) {
            let tied: Vec<Restriction> = restrictions
                .iter()
                .filter(|r| r.reads.first().is_some_and(|p| group.contains(p)))
                .cloned()
                .collect();
            let order = construct::order(&group, parameters, &tied);
            let part = match construct::enumerate(order.clone(), parameters, &tied, LARGEST) {
                Ok(group) => Part::Listed(group),
                Err(Trouble::Wrong(message)) => return Err(wrong(message)),
                Err(Trouble::TooLarge) => {
                    Part::Sampled(Sampled::new(order, parameters, tied).map_err(wrong)?)
                }
            };
            size = size
                .checked_mul(part.size())
                .ok_or_else(|| wrong("the space has more than 2^64 points".into()))?;
            for (column, p) in part.parameters().iter().enumerate() {
                space.places[*p] = (space.parts.len(), column);
            }
            space.parts.push(part);
        }
        if size == 0 {
            space.parts.clear();
        }
        Ok(space)
    }

    /// Exactly these configurations, given as value indices: a space that somebody else enumerated.
    ///
    /// # Errors
    /// A row that is too short, or has an index beyond its parameter's values.
    pub fn listed(parameters: Vec<Parameter>, mut rows: Vec<Vec<u16>>) -> Result<Space, String> {
        let fits = |row: &Vec<u16>| {
            row.len() == parameters.len()
                && row
                    .iter()
                    .zip(&parameters)
                    .all(|(d, p)| usize::from(*d) < p.values.len())
        };
        if let Some(wrong) = rows.iter().find(|row| !fits(row)) {
            return Err(format!(
                "{wrong:?} are not the indices of {} values",
                parameters.len()
            ));
        }
        rows.sort_unstable();
        rows.dedup();
        let group = Group {
            parameters: (0..parameters.len()).collect(),
            rows: rows.concat(),
        };
        Ok(Space {
            places: (0..parameters.len()).map(|p| (0, p)).collect(),
            parts: if rows.is_empty() {
                vec![]
            } else {
                vec![Part::Listed(group)]
            },
            parameters,
        })
    }

    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// How many configurations are valid; absent where the space is too large to count.
    pub fn count(&self) -> Option<u64> {
        let is_listed = self
            .parts
            .iter()
            .all(|part| matches!(part, Part::Listed(_)));
        is_listed.then(|| {
            self.parts.iter().map(Part::size).product::<u64>() * u64::from(!self.is_empty())
        })
    }

    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// All of them, one after the other. Slow where the space is too large to count.
    pub fn ids(&self) -> impl Iterator<Item = ConfigurationId> + '_ {
        std::iter::successors(self.first_from(0), |id| self.first_from(id.0 + 1))
    }

    /// The first configuration with this number or a larger one.
    pub fn first_from(&self, number: u64) -> Option<ConfigurationId> {
        let points = match self.is_empty() {
            true => 0,
            false => self.parts.iter().map(Part::size).product(),
        };
        let is_counted = self.count().is_some();
        (number..points)
            .map(ConfigurationId)
            .find(|id| is_counted || self.find(&self.digits(*id)).is_some())
    }

    /// Index of the value of each parameter.
    pub fn digits(&self, id: ConfigurationId) -> Vec<u16> {
        let mut found = vec![0; self.parameters.len()];
        let mut rest = id.0;
        for part in self.parts.iter().rev() {
            let size = part.size();
            for (p, digit) in part.parameters().iter().zip(part.digits(rest % size)) {
                found[*p] = digit;
            }
            rest /= size;
        }
        found
    }

    /// The configuration of these value indices, one a parameter, if it is valid.
    pub fn find(&self, digits: &[u16]) -> Option<ConfigurationId> {
        let mut id = 0;
        for part in &self.parts {
            let own: Vec<u16> = part.parameters().iter().map(|p| digits[*p]).collect();
            id = id * part.size() + part.rank(&own)?;
        }
        (!self.is_empty()).then_some(ConfigurationId(id))
    }

    pub fn configuration(&self, id: ConfigurationId) -> Configuration {
        let digits = self.digits(id);
        let value = |(p, d): (&Parameter, u16)| (p.name.clone(), p.values[usize::from(d)].clone());
        Configuration::new(self.parameters.iter().zip(digits).map(value).collect())
    }

    /// Which configuration has these values; values of other names do not matter.
    pub fn locate(&self, configuration: &Configuration) -> Option<ConfigurationId> {
        let digit = |p: &Parameter| {
            let value = configuration.get(&p.name)?;
            Some(p.values.iter().position(|v| v == value)? as u16)
        };
        let digits: Option<Vec<u16>> = self.parameters.iter().map(digit).collect();
        self.find(&digits?)
    }

    /// Every valid configuration that differs in one parameter.
    pub fn neighbours(
        &self,
        id: ConfigurationId,
        neighbourhood: Neighbourhood,
    ) -> Vec<ConfigurationId> {
        let mut digits = self.digits(id);
        let mut found = vec![];
        for p in 0..self.parameters.len() {
            self.line(&mut digits, p, neighbourhood, &mut found);
        }
        found
    }

    /// Valid configurations that differ from `digits` in parameter `p`; `digits` are as before afterwards.
    fn line(
        &self,
        digits: &mut [u16],
        p: usize,
        neighbourhood: Neighbourhood,
        found: &mut Vec<ConfigurationId>,
    ) {
        let (own, count) = (digits[p], self.parameters[p].values.len() as u16);
        let mut try_all = |values: &mut dyn Iterator<Item = u16>, is_enough: bool| {
            for value in values {
                digits[p] = value;
                let id = self.find(digits);
                found.extend(id);
                if is_enough && (id.is_some() || neighbourhood == Neighbourhood::StrictlyAdjacent) {
                    break;
                }
            }
        };
        let stops = neighbourhood != Neighbourhood::Hamming;
        try_all(&mut (0..own).rev(), stops);
        try_all(&mut (own + 1..count), stops);
        digits[p] = own;
    }

    /// One at random, each as likely as any other. Absent in an empty space, or where a million attempts at a space too large to
    /// count found none.
    pub fn sample(&self, random: &mut impl Rng) -> Option<ConfigurationId> {
        let mut id = 0;
        for part in &self.parts {
            let rank = match part {
                Part::Listed(_) => random.random_range(0..part.size()),
                Part::Sampled(sampled) => sampled.sample(random)?,
            };
            id = id * part.size() + rank;
        }
        (!self.is_empty()).then_some(ConfigurationId(id))
    }
}

/// The name that is meant by a misspelt one, if one is near enough.
pub fn nearest<'a>(written: &str, names: &[&'a str]) -> Option<&'a str> {
    let allowed = (written.chars().count() / 3).max(1);
    names
        .iter()
        .map(|name| {
            (
                strsim::damerau_levenshtein(&written.to_lowercase(), &name.to_lowercase()),
                *name,
            )
        })
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn grid() -> Vec<Parameter> {
        let p = |name: &str, n: i64| Parameter {
            name: name.into(),
            values: (1..=n).map(Value::Int).collect(),
        };
        vec![p("x", 5), p("y", 4), p("z", 3)]
    }

    proptest! {
        #[test]
        fn pruning_finds_what_brute_force_finds(bound in 1i64..60, modulus in 1i64..5) {
            let text = [format!("x * y * z <= {bound}"), format!("(x + z) % {modulus} == 0"), "y >= z or x == 1".into()];
            let restrictions = text.iter().map(|t| Restriction::parse(t, &grid()).unwrap()).collect();
            let space = Space::new(grid(), restrictions).unwrap();
            let mut brute = 0;
            for (x, y, z) in (1..=5).flat_map(|x| (1..=4).flat_map(move |y| (1..=3).map(move |z| (x, y, z)))) {
                brute += u64::from(x * y * z <= bound && (x + z) % modulus == 0 && (y >= z || x == 1));
            }
            prop_assert_eq!(space.count(), Some(brute));
        }
    }

    #[test]
    fn an_empty_space_is_no_error_and_a_division_by_zero_is() {
        let never = Restriction::parse("x > 99", &grid()).unwrap();
        assert!(Space::new(grid(), vec![never]).unwrap().is_empty());
        let wrong = Restriction::parse("y % (x - 1) == 0", &grid()).unwrap();
        assert!(
            Space::new(grid(), vec![wrong])
                .unwrap_err()
                .message
                .contains("divided by zero")
        );
        assert!(Space::new(vec![], vec![]).unwrap().is_empty());
    }
}
