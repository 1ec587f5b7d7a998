//! Tuning parameters, restrictions and the valid configurations they leave.
mod restriction;

pub use restriction::Restriction;

use crate::value::Value;
use serde::{Deserialize, Serialize};

/// A named, finite, ordered list of values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parameter {
    pub name: String,
    pub values: Vec<Value>,
}

/// Position of a valid configuration in its [`Space`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ConfigurationId(pub(crate) u32);

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

/// More valid configurations than this are not held.
const LARGEST: usize = 50_000_000;

/// All configurations that satisfy the restrictions, in the order of the parameters' values, the last parameter fastest.
#[derive(Clone, Debug)]
pub struct Space {
    parameters: Vec<Parameter>,
    /// One digit a parameter, row after row.
    digits: Vec<u16>,
}

impl Space {
    /// Enumerates depth first and tests each restriction as soon as the last parameter that it reads is bound.
    ///
    /// # Errors
    /// A restriction that divides by zero or overflows, or a space too large to hold.
    pub fn new(
        parameters: Vec<Parameter>,
        restrictions: Vec<Restriction>,
    ) -> Result<Space, SpaceError> {
        let whole = |message: String| SpaceError {
            message,
            start: 0,
            end: 0,
            help: None,
        };
        let width = parameters.len();
        let mut due: Vec<Vec<&Restriction>> = vec![vec![]; width.max(1)];
        for restriction in &restrictions {
            due[restriction.reads.last().copied().unwrap_or(0)].push(restriction);
        }
        let mut digits: Vec<u16> = vec![];
        // Slots beyond the bound ones hold first values; no restriction that is due reads them.
        let mut values: Vec<Value> = vec![];
        for parameter in &parameters {
            let Some(first) = parameter.values.first() else {
                return Ok(Space {
                    parameters: parameters.clone(),
                    digits,
                });
            };
            values.push(first.clone());
        }
        let mut current = vec![0_usize; width];
        let mut level = 0;
        if width == 0 {
            return Ok(Space { parameters, digits });
        }
        loop {
            if current[level] == parameters[level].values.len() {
                if level == 0 {
                    break;
                }
                current[level] = 0;
                level -= 1;
                current[level] += 1;
                continue;
            }
            values[level] = parameters[level].values[current[level]].clone();
            let mut admitted = true;
            for restriction in &due[level] {
                admitted = admitted && restriction.admits(&values).map_err(whole)?;
            }
            if !admitted {
                current[level] += 1;
            } else if level + 1 == width {
                if digits.len() / width >= LARGEST {
                    return Err(whole(format!(
                        "more than {LARGEST} configurations satisfy the restrictions; add restrictions or use fewer values"
                    )));
                }
                digits.extend(current.iter().map(|&d| d as u16));
                current[level] += 1;
            } else {
                level += 1;
            }
        }
        Ok(Space { parameters, digits })
    }

    pub fn len(&self) -> usize {
        self.digits.len() / self.parameters.len().max(1)
    }

    pub fn is_empty(&self) -> bool {
        self.digits.is_empty()
    }

    pub fn ids(&self) -> impl Iterator<Item = ConfigurationId> + use<> {
        (0..self.len() as u32).map(ConfigurationId)
    }

    pub fn configuration(&self, id: ConfigurationId) -> Configuration {
        let width = self.parameters.len();
        let row = &self.digits[id.0 as usize * width..][..width];
        let value =
            |(p, &d): (&Parameter, &u16)| (p.name.clone(), p.values[usize::from(d)].clone());
        Configuration::new(self.parameters.iter().zip(row).map(value).collect())
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
                brute += usize::from(x * y * z <= bound && (x + z) % modulus == 0 && (y >= z || x == 1));
            }
            prop_assert_eq!(space.len(), brute);
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
