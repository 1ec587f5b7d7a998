//! Finds the valid configurations. Values that no configuration can have go first; parameters that no restriction ties together
//! are independent; and each group of tied ones is bound one parameter after the other, in all ways at once: bindings that no
//! restriction can tell apart are continued together.
use super::arithmetic::Operand;
use super::diagram::{Diagram, Edge};
use super::evaluate::{Note, Partial};
use super::intern::Interner;
use super::track::{Next, Track, scope};
use super::{Parameter, Restriction};

/// What the restrictions leave before any parameter is bound.
pub(super) struct Narrowed<'a> {
    /// For each parameter, the digits (indices of values) that some configuration may have.
    pub(super) domains: Vec<Vec<u16>>,
    /// What still decides anything, with the parameters that it ties.
    pub(super) ties: Vec<(&'a Restriction, Vec<usize>)>,
    /// A restriction that is a mistake whatever the values are, in words.
    pub(super) mistake: Option<String>,
}

/// Bounds may narrow each other down without end: x < y and y < x.
const PASSES: usize = 10;

/// Edges of a group that is held whole: about a second's work.
const LARGEST: usize = 1 << 20;

/// As soon as a group has so many nodes, each with so many points behind it, it is not tried further: it would have to shrink
/// by hundreds to be held.
const MANY_NODES: usize = 1 << 16;
const MANY_POINTS: f64 = 4096.0;

/// Takes away values that break a restriction whatever the others are, by the ranges of those. Absent: nothing is left.
pub(super) fn narrow<'a>(
    parameters: &'a [Parameter],
    restrictions: &'a [Restriction],
) -> Option<Narrowed<'a>> {
    let all = |p: &Parameter| (0..p.values.len()).map(|d| d as u16).collect();
    let mut domains: Vec<Vec<u16>> = parameters.iter().map(all).collect();
    let mut ranges = scope(parameters, &domains);
    let is_broken = |restriction: &'a Restriction, ranges: &[Partial<'a>]| {
        let truth = restriction.root.truth(ranges, &mut Note::default());
        matches!(truth, Partial::Known(value) if !value.is_true())
    };
    for _ in 0..PASSES {
        let mut is_changed = false;
        for restriction in restrictions {
            for &p in &restriction.reads {
                let before = domains[p].len();
                if before == 1 {
                    continue;
                }
                let range = ranges[p];
                domains[p].retain(|digit| {
                    let value = &parameters[p].values[usize::from(*digit)];
                    ranges[p] = Partial::Known(Operand::of(value));
                    !is_broken(restriction, &ranges)
                });
                ranges[p] = range;
                if domains[p].is_empty() {
                    return None;
                }
                if domains[p].len() < before {
                    ranges[p] = scope(&parameters[p..=p], &domains[p..=p])[0];
                    is_changed = true;
                }
            }
        }
        if !is_changed {
            break;
        }
    }
    let (mut ties, mut mistake) = (vec![], None);
    for restriction in restrictions {
        match restriction.root.truth(&ranges, &mut Note::default()) {
            Partial::Known(value) if value.is_true() => {}
            Partial::Known(_) => return None,
            Partial::Fails(fault) => mistake = Some(format!("`{}`: {fault}", restriction.text)),
            Partial::Open(_) => {
                let mut reads = vec![];
                restriction.root.open_slots(&ranges, &mut reads);
                reads.retain(|p| domains[*p].len() > 1);
                reads.sort_unstable();
                reads.dedup();
                ties.push((restriction, reads));
            }
        }
    }
    Some(Narrowed {
        domains,
        ties,
        mistake,
    })
}

/// Sets of parameters that restrictions tie together, in the order of their first parameters; those that nothing ties are one
/// set, the last.
pub(super) fn groups(narrowed: &Narrowed<'_>) -> Vec<Vec<usize>> {
    let count = narrowed.domains.len();
    let mut group_of: Vec<usize> = (0..count).collect();
    let mut is_tied = vec![false; count];
    for (_, reads) in &narrowed.ties {
        let tied: Vec<usize> = reads.iter().map(|&p| group_of[p]).collect();
        let Some(&least) = tied.iter().min() else {
            continue;
        };
        for group in &mut group_of {
            if tied.contains(group) {
                *group = least;
            }
        }
        reads.iter().for_each(|p| is_tied[*p] = true);
    }
    let members = |leader: usize| {
        let own = |p: &usize| is_tied[*p] && group_of[*p] == leader;
        (0..count).filter(own).collect()
    };
    let untied: Vec<usize> = (0..count).filter(|p| !is_tied[*p]).collect();
    (0..count)
        .map(members)
        .chain([untied])
        .filter(|group: &Vec<usize>| !group.is_empty())
        .collect()
}

/// Each next parameter is the one that brings most restrictions to a decision, then the one with the fewest values: what is
/// broken shows early, and what is decided need not be told apart.
pub(super) fn order(group: &[usize], narrowed: &Narrowed<'_>) -> Vec<usize> {
    let mut left = group.to_vec();
    let mut bound: Vec<usize> = vec![];
    while !left.is_empty() {
        let rank = |p: usize| {
            let reads = || narrowed.ties.iter().filter(|(_, r)| r.contains(&p));
            let unbound = |r: &[usize]| r.iter().filter(|q| !bound.contains(q)).count();
            let decided = reads().filter(|(_, r)| unbound(r) == 1).count();
            let nearest = reads()
                .map(|(_, r)| unbound(r))
                .filter(|n| *n > 1)
                .min()
                .unwrap_or(usize::MAX);
            let size = narrowed.domains[p].len();
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

/// The valid combinations of a group.
pub(super) enum Expansion {
    Whole(Diagram),
    /// There are too many nodes: the valid combinations of the first parameters.
    Beginnings(Diagram),
    /// Digits of a combination that no restriction excludes and that is a mistake in one.
    Mistake(Vec<u16>),
}

/// In a node's key, a restriction that holds whatever comes.
const HOLDS: u64 = u64::MAX;

/// Binds the parameters of `order` one after the other.
///
/// # Errors
/// More than 2^64 combinations.
pub(super) fn expand(
    order: Vec<usize>,
    parameters: &[Parameter],
    narrowed: &Narrowed<'_>,
) -> Result<Expansion, String> {
    let ranges = scope(parameters, &narrowed.domains);
    let mut tracks: Vec<Track<'_>> = narrowed
        .ties
        .iter()
        .filter(|(_, reads)| reads.iter().all(|p| order.contains(p)))
        .map(|(restriction, _)| Track::new(restriction, parameters, ranges.clone(), &order))
        .collect();
    let mut layers: Vec<Vec<Edge>> = vec![];
    let mut nodes = Interner::default();
    // The first word says whether some restriction is a mistake; it is one only where no other excludes the configuration.
    nodes.number(&[0]);
    let mut room = LARGEST;
    for (depth, &p) in order.iter().enumerate() {
        let behind = order[depth..].iter().map(|q| narrowed.domains[*q].len());
        let behind: f64 = behind.map(|n| n as f64).product();
        let bound = match nodes.len() > MANY_NODES && behind > MANY_POINTS {
            true => None,
            false => layer(&order[..depth], p, narrowed, &mut tracks, &nodes, room),
        };
        let Some((edges, next)) = bound else {
            let beginnings = Diagram::new(order[..depth].to_vec(), &layers)?;
            return Ok(Expansion::Beginnings(beginnings));
        };
        room -= edges.len();
        layers.push(edges);
        nodes = next;
    }
    if let Some(mistake) = (0..nodes.len()).find(|n| nodes.key(*n) == [1]) {
        return Ok(Expansion::Mistake(path(&layers, mistake as u32)));
    }
    Ok(Expansion::Whole(Diagram::new(order, &layers)?))
}

/// The edges that bind parameter `p`, and the nodes that they lead to; absent if there are more edges than `room`.
fn layer(
    bound: &[usize],
    p: usize,
    narrowed: &Narrowed<'_>,
    tracks: &mut [Track<'_>],
    nodes: &Interner,
    room: usize,
) -> Option<(Vec<Edge>, Interner)> {
    // How many of its parameters each restriction has bound before.
    let steps: Vec<usize> = tracks
        .iter()
        .map(|track| track.reads.iter().filter(|q| bound.contains(q)).count())
        .collect();
    let mut next = Interner::default();
    let mut edges = vec![];
    let mut key = vec![];
    for source in 0..nodes.len() {
        'digits: for &digit in &narrowed.domains[p] {
            let mut before = nodes.key(source).iter().copied();
            key.clear();
            key.extend(before.next());
            for (track, &step) in tracks.iter_mut().zip(&steps) {
                let reads = track.reads.len();
                let mut state = match 0 < step && step < reads {
                    true => before.next().expect("one word for each that is begun"),
                    false => 0,
                };
                let is_read = track.reads.get(step) == Some(&p);
                if is_read && state != HOLDS {
                    state = match track.bind(step, state as u32, digit) {
                        Next::State(state) => u64::from(state),
                        Next::Holds => HOLDS,
                        Next::Broken => continue 'digits,
                        Next::Fails => {
                            key[0] = 1;
                            HOLDS
                        }
                    };
                }
                let after = step + usize::from(is_read);
                if 0 < after && after < reads {
                    key.push(state);
                }
            }
            if edges.len() == room {
                return None;
            }
            let (target, _) = next.number(&key);
            edges.push(Edge {
                source: source as u32,
                digit,
                target,
            });
        }
    }
    Some((edges, next))
}

/// Digits that lead from the root to a node of the last layer.
fn path(layers: &[Vec<Edge>], end: u32) -> Vec<u16> {
    let mut node = end;
    let mut digits: Vec<u16> = layers
        .iter()
        .rev()
        .map(|edges| {
            let edge = edges.iter().find(|e| e.target == node);
            let edge = edge.expect("every node is reached");
            node = edge.source;
            edge.digit
        })
        .collect();
    digits.reverse();
    digits
}
