//! Tuning parameters, restrictions and the valid configurations they leave.
mod arithmetic;
mod construct;
mod diagram;
mod evaluate;
mod intern;
mod parse;
mod restriction;
mod sampled;
mod track;

pub use arithmetic::calculate_values;
pub use parse::number;
pub use restriction::{Operator, Restriction};

use crate::value::Value;
use construct::Expansion;
use diagram::Diagram;
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

/// Digits, and how many there are, are 16 bits wide.
const MOST_VALUES: usize = u16::MAX as usize;

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

/// All configurations that satisfy the restrictions. Held as the product of independent groups of parameters: each as a decision
/// diagram, or as rows where that is smaller; a group too large for either is sampled and tested instead.
#[derive(Clone, Debug)]
pub struct Space {
    parameters: Vec<Parameter>,
    parts: Vec<Part>,
}

/// The valid combinations of a group of parameters.
#[derive(Clone, Debug)]
enum Part {
    Listed(Rows),
    Held(Diagram),
    Sampled(Sampled),
}

/// A digit (index of a value) a parameter, row after row in ascending order.
#[derive(Clone, Debug)]
struct Rows {
    order: Vec<usize>,
    digits: Vec<u16>,
}

impl Rows {
    fn row(&self, number: usize) -> &[u16] {
        &self.digits[number * self.order.len()..][..self.order.len()]
    }

    fn count(&self) -> usize {
        self.digits.len() / self.order.len()
    }

    fn rank(&self, digits: &[u16]) -> Option<u64> {
        let (mut low, mut high) = (0, self.count());
        while low < high {
            let middle = low.midpoint(high);
            match self.row(middle).cmp(digits) {
                std::cmp::Ordering::Equal => return Some(middle as u64),
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }
}

impl Part {
    /// As rows, where those take less memory.
    fn smaller(diagram: Diagram) -> Part {
        let rows = diagram.count as u128 * 2 * diagram.order.len() as u128;
        if (diagram.bytes() as u128) <= rows {
            return Part::Held(diagram);
        }
        Part::Listed(Rows {
            digits: diagram.rows(),
            order: diagram.order,
        })
    }

    /// Numbers that its combinations are written as: 0..size.
    fn size(&self) -> u64 {
        match self {
            Part::Listed(rows) => rows.count() as u64,
            Part::Held(diagram) => diagram.count,
            Part::Sampled(sampled) => sampled.size,
        }
    }

    /// Its parameters, in the order of its digits.
    fn order(&self) -> &[usize] {
        match self {
            Part::Listed(rows) => &rows.order,
            Part::Held(diagram) => &diagram.order,
            Part::Sampled(sampled) => &sampled.order,
        }
    }

    fn digits(&self, rank: u64) -> Vec<u16> {
        match self {
            Part::Listed(rows) => rows.row(rank as usize).to_vec(),
            Part::Held(diagram) => diagram.digits(rank),
            Part::Sampled(sampled) => sampled.digits(rank),
        }
    }

    /// The number of a combination; absent if it is not valid.
    fn rank(&self, digits: &[u16]) -> Option<u64> {
        match self {
            Part::Listed(rows) => rows.rank(digits),
            Part::Held(diagram) => diagram.rank(digits.iter().copied()),
            Part::Sampled(sampled) => sampled.rank(digits),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Part::Listed(rows) => size_of_val(&*rows.digits),
            Part::Held(diagram) => diagram.bytes(),
            Part::Sampled(sampled) => sampled.bytes(),
        }
    }
}

impl Space {
    /// A configuration that one restriction excludes is excluded, whatever the others say of it.
    ///
    /// # Errors
    /// A restriction that divides by zero or overflows for a configuration that no other excludes; a parameter of more than 65535
    /// values, or a space of more than 2^64 configurations.
    pub fn new(
        parameters: Vec<Parameter>,
        restrictions: Vec<Restriction>,
    ) -> Result<Space, SpaceError> {
        let parts = parts(&parameters, &restrictions).map_err(|message| SpaceError {
            message,
            start: 0,
            end: 0,
            help: None,
        })?;
        Ok(Space { parameters, parts })
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
        let listed = (!rows.is_empty()).then(|| {
            Part::Listed(Rows {
                order: (0..parameters.len()).collect(),
                digits: rows.concat(),
            })
        });
        Ok(Space {
            parts: listed.into_iter().collect(),
            parameters,
        })
    }

    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// How many configurations are valid; absent where the space is too large to count.
    pub fn count(&self) -> Option<u64> {
        let is_sampled = |part: &Part| matches!(part, Part::Sampled(_));
        (!self.parts.iter().any(is_sampled)).then(|| {
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
            for (p, digit) in part.order().iter().zip(part.digits(rest % size)) {
                found[*p] = digit;
            }
            rest /= size;
        }
        found
    }

    /// What the configurations take on the heap, all together.
    pub fn bytes(&self) -> usize {
        self.parts.iter().map(Part::bytes).sum()
    }

    /// The configuration of these value indices, one a parameter, if it is valid.
    pub fn find(&self, digits: &[u16]) -> Option<ConfigurationId> {
        let mut id = 0;
        for part in &self.parts {
            let own: Vec<u16> = part.order().iter().map(|p| digits[*p]).collect();
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
                Part::Sampled(sampled) => sampled.sample(random)?,
                _ => random.random_range(0..part.size()),
            };
            id = id * part.size() + rank;
        }
        (!self.is_empty()).then_some(ConfigurationId(id))
    }
}

/// The valid combinations of each group; none where no configuration is valid.
fn parts(parameters: &[Parameter], restrictions: &[Restriction]) -> Result<Vec<Part>, String> {
    if let Some(large) = parameters.iter().find(|p| p.values.len() > MOST_VALUES) {
        let count = large.values.len();
        return Err(format!(
            "`{}` has {count} values, more than {MOST_VALUES}",
            large.name
        ));
    }
    if parameters.is_empty() || parameters.iter().any(|p| p.values.is_empty()) {
        return Ok(vec![]);
    }
    let Some(narrowed) = construct::narrow(parameters, restrictions) else {
        return Ok(vec![]);
    };
    let mut size = 1_u64;
    let mut mistake = narrowed.mistake.clone();
    let mut parts = vec![];
    for group in construct::groups(&narrowed) {
        let order = construct::order(&group, &narrowed);
        let part = match construct::expand(order.clone(), parameters, &narrowed)? {
            Expansion::Whole(diagram) => Part::smaller(diagram),
            Expansion::Beginnings(beginnings) => {
                Part::Sampled(Sampled::new(order, beginnings, parameters, &narrowed)?)
            }
            Expansion::Mistake(digits) => {
                mistake = Some(explain(
                    parameters,
                    restrictions,
                    &narrowed,
                    &order,
                    &digits,
                ));
                continue;
            }
        };
        let product = size.checked_mul(part.size());
        size = product.ok_or("the space has more than 2^64 configurations")?;
        parts.push(part);
    }
    match mistake {
        _ if size == 0 => Ok(vec![]),
        Some(mistake) => Err(mistake),
        None => Ok(parts),
    }
}

/// Which restriction is a mistake for these digits of a group, and where.
fn explain(
    parameters: &[Parameter],
    restrictions: &[Restriction],
    narrowed: &construct::Narrowed<'_>,
    order: &[usize],
    digits: &[u16],
) -> String {
    let first = |(p, domain): (&Parameter, &Vec<u16>)| p.values[usize::from(domain[0])].clone();
    let mut values: Vec<Value> = parameters
        .iter()
        .zip(&narrowed.domains)
        .map(first)
        .collect();
    for (p, digit) in order.iter().zip(digits) {
        values[*p] = parameters[*p].values[usize::from(*digit)].clone();
    }
    let found = restrictions
        .iter()
        .filter(|r| r.reads.iter().any(|p| order.contains(p)))
        .find_map(|r| Some((r, r.admits(&values).err()?)));
    let (restriction, message) = found.expect("one of them is a mistake there");
    let place = |p: &usize| format!("{} = {}", parameters[*p].name, values[*p]);
    let places: Vec<String> = restriction.reads.iter().map(place).collect();
    format!("{message}, where {}", places.join(", "))
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
mod tests;
