//! Enumerates the valid configurations. Parameters that no restriction ties together are independent, so each group of tied ones
//! is enumerated by itself and the space is the product of the groups: 10^12 points with two groups of 10^6 need 2·10^6 rows.
use super::{Parameter, Restriction};
use crate::value::Value;
use rayon::prelude::*;

/// A group of parameters that restrictions tie together, with its valid combinations.
#[derive(Clone, Debug)]
pub(super) struct Group {
    /// Indices of the parameters, in the order of the columns.
    pub(super) parameters: Vec<usize>,
    /// A digit (index of a value) a parameter, row after row in ascending order.
    pub(super) rows: Vec<u16>,
}

/// Why a group could not be enumerated.
pub(super) enum Trouble {
    /// A mistake in a restriction.
    Wrong(String),
    /// More rows or dead ends than the limit.
    TooLarge,
}

/// Sets of parameters that restrictions tie together, in the order of their first parameters.
pub(super) fn groups(count: usize, restrictions: &[Restriction]) -> Vec<Vec<usize>> {
    let mut group_of: Vec<usize> = (0..count).collect();
    for restriction in restrictions {
        let tied: Vec<usize> = restriction.reads.iter().map(|&p| group_of[p]).collect();
        let Some(&least) = tied.iter().min() else {
            continue;
        };
        for group in &mut group_of {
            if tied.contains(group) {
                *group = least;
            }
        }
    }
    (0..count)
        .map(|leader| (0..count).filter(|&p| group_of[p] == leader).collect())
        .filter(|group: &Vec<usize>| !group.is_empty())
        .collect()
}

/// Each next parameter is the one that brings most restrictions to a decision, then the one with the fewest values: dead ends are
/// found early.
pub(super) fn order(
    group: &[usize],
    parameters: &[Parameter],
    restrictions: &[Restriction],
) -> Vec<usize> {
    let mut left = group.to_vec();
    let mut bound: Vec<usize> = vec![];
    while !left.is_empty() {
        let rank = |p: usize| {
            let reads = || restrictions.iter().filter(|r| r.reads.contains(&p));
            let unbound = |r: &Restriction| r.reads.iter().filter(|q| !bound.contains(q)).count();
            let decided = reads().filter(|r| unbound(r) == 1).count();
            let nearest = reads()
                .map(unbound)
                .filter(|n| *n > 1)
                .min()
                .unwrap_or(usize::MAX);
            let size = parameters[p].values.len();
            (std::cmp::Reverse(decided), nearest, size, p)
        };
        let next = left
            .iter()
            .copied()
            .min_by_key(|&p| rank(p))
            .expect("not empty");
        left.retain(|&p| p != next);
        bound.push(next);
    }
    bound
}

/// A restriction, or a part of one, as it is tested at one depth.
struct Test<'a> {
    restriction: &'a Restriction,
    /// A part of a conjunction only prunes: whether it is an error is for the whole to say.
    is_part: bool,
    /// What it gave before, by the digits of what it reads; used where other parameters are bound before the last of those.
    known: Option<Known>,
}

struct Known {
    /// (depth of the parameter, stride in `answers`); the first parameter is the same in a whole walk.
    strides: Vec<(usize, usize)>,
    /// 0: not asked yet; 1: false; 2: true.
    answers: Vec<u8>,
}

/// Larger tables of answers would leave the cache.
const LARGEST_TABLE: usize = 1 << 22;

/// Enumerates a group depth first in the given order, testing every restriction as soon as the last parameter that it reads is
/// bound; the values of the first parameter are shared out among the processors.
pub(super) fn enumerate(
    order: Vec<usize>,
    parameters: &[Parameter],
    restrictions: &[Restriction],
    most_rows: usize,
) -> Result<Group, Trouble> {
    let parts: Vec<Vec<Restriction>> = restrictions.iter().map(Restriction::conjuncts).collect();
    let depth_of = |p: &usize| order.iter().position(|q| q == p);
    let due = |r: &Restriction| -> Option<usize> {
        let depths: Option<Vec<usize>> = r.reads.iter().map(depth_of).collect();
        depths?.into_iter().max()
    };
    let tests = || {
        let mut tests: Vec<Vec<Test<'_>>> = order.iter().map(|_| vec![]).collect();
        let mut add = |restriction, depth: usize, is_part| {
            let known = table(restriction, depth, &order, parameters);
            tests[depth].push(Test {
                restriction,
                is_part,
                known,
            });
        };
        for (restriction, parts) in restrictions.iter().zip(&parts) {
            let Some(last) = due(restriction) else {
                continue;
            };
            add(restriction, last, false);
            for part in parts {
                if let Some(depth) = due(part).filter(|d| *d < last) {
                    add(part, depth, true);
                }
            }
        }
        tests
    };
    let first: Vec<u16> = (0..parameters[order[0]].values.len() as u16).collect();
    let enough = most_rows.saturating_mul(order.len());
    let found: Result<Vec<Vec<u16>>, Trouble> = first
        .into_par_iter()
        .with_max_len(1)
        .map(|digit| {
            let mut walk = Walk {
                order: &order,
                parameters,
                tests: tests(),
                values: first_values(parameters),
                digits: vec![0; order.len()],
                rows: vec![],
                enough,
                dead_ends: 0,
            };
            walk.descend(0, digit..digit + 1)?;
            Ok(walk.rows)
        })
        .collect();
    let rows = found?.concat();
    if rows.len() > enough {
        return Err(Trouble::TooLarge);
    }
    Ok(Group {
        parameters: order,
        rows,
    })
}

/// Slots beyond the bound ones hold first values; no test that is due reads them.
pub(super) fn first_values(parameters: &[Parameter]) -> Vec<Value> {
    let first = |p: &Parameter| p.values.first().cloned().unwrap_or(Value::Bool(false));
    parameters.iter().map(first).collect()
}

fn table(
    restriction: &Restriction,
    depth: usize,
    order: &[usize],
    parameters: &[Parameter],
) -> Option<Known> {
    if restriction.reads.len() > depth {
        // It reads all that is bound: no combination comes twice.
        return None;
    }
    let mut size = 1_usize;
    let mut strides = vec![];
    for p in restriction.reads.iter().filter(|p| **p != order[0]) {
        strides.push((order.iter().position(|q| q == p)?, size));
        size = size.checked_mul(parameters[*p].values.len())?;
    }
    (size <= LARGEST_TABLE).then(|| Known {
        strides,
        answers: vec![0; size],
    })
}

/// One thread's descent.
struct Walk<'a> {
    order: &'a [usize],
    parameters: &'a [Parameter],
    tests: Vec<Vec<Test<'a>>>,
    values: Vec<Value>,
    digits: Vec<u16>,
    rows: Vec<u16>,
    /// More digits in `rows`, or ten times as many dead ends, end the walk.
    enough: usize,
    dead_ends: usize,
}

impl Walk<'_> {
    fn descend(&mut self, depth: usize, digits: std::ops::Range<u16>) -> Result<(), Trouble> {
        let parameter = self.order[depth];
        for digit in digits {
            self.digits[depth] = digit;
            self.values[parameter]
                .clone_from(&self.parameters[parameter].values[usize::from(digit)]);
            if !self.admits(depth)? {
                self.dead_ends += 1;
                continue;
            }
            if depth + 1 < self.order.len() {
                let size = self.parameters[self.order[depth + 1]].values.len() as u16;
                self.descend(depth + 1, 0..size)?;
            } else {
                self.rows.extend_from_slice(&self.digits);
            }
            if self.rows.len() > self.enough || self.dead_ends / 10 > self.enough {
                return Err(Trouble::TooLarge);
            }
        }
        Ok(())
    }

    fn admits(&mut self, depth: usize) -> Result<bool, Trouble> {
        for test in &mut self.tests[depth] {
            let place = test.known.as_ref().map(|known| {
                let digit = |&(d, stride): &(usize, usize)| usize::from(self.digits[d]) * stride;
                known.strides.iter().map(digit).sum::<usize>()
            });
            let before = place
                .zip(test.known.as_ref())
                .map_or(0, |(at, k)| k.answers[at]);
            let answer = match before {
                0 => match test.restriction.admits(&self.values) {
                    Ok(answer) => answer,
                    Err(_) if test.is_part => true,
                    Err(message) => return Err(Trouble::Wrong(message)),
                },
                known => known == 2,
            };
            if let (Some(at), Some(known)) = (place, &mut test.known) {
                known.answers[at] = 1 + u8::from(answer);
            }
            if !answer {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
