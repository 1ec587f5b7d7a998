//! Spaces against brute force, and spaces that no brute force could go through.
use super::restriction::tests::python;
use super::*;
use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::collections::{BTreeMap, BTreeSet};

fn ints(name: &str, values: impl IntoIterator<Item = i64>) -> Parameter {
    Parameter {
        name: name.into(),
        values: values.into_iter().map(Value::Int).collect(),
    }
}

fn space(parameters: &[Parameter], restrictions: &[&str]) -> Result<Space, SpaceError> {
    let restrictions = restrictions
        .iter()
        .map(|text| Restriction::parse(text, parameters))
        .collect::<Result<_, _>>()?;
    Space::new(parameters.to_vec(), restrictions)
}

/// Every point in turn.
fn points(parameters: &[Parameter]) -> Vec<Vec<u16>> {
    parameters.iter().fold(vec![vec![]], |points, p| {
        let longer = |point: &Vec<u16>| {
            let point = point.clone();
            (0..p.values.len() as u16).map(move |d| [point.clone(), vec![d]].concat())
        };
        points.iter().flat_map(longer).collect()
    })
}

/// The valid points; absent where one that no restriction excludes is a mistake in one.
fn brute_force(parameters: &[Parameter], restrictions: &[&str]) -> Option<BTreeSet<Vec<u16>>> {
    let restrictions: Vec<Restriction> = restrictions
        .iter()
        .map(|text| Restriction::parse(text, parameters).unwrap())
        .collect();
    let mut valid = BTreeSet::new();
    for point in points(parameters) {
        let values: Vec<Value> = parameters
            .iter()
            .zip(&point)
            .map(|(p, d)| p.values[usize::from(*d)].clone())
            .collect();
        let found: Vec<_> = restrictions.iter().map(|r| r.admits(&values)).collect();
        if found.contains(&Ok(false)) {
            continue;
        }
        if found.iter().any(Result::is_err) {
            return None;
        }
        valid.insert(point);
    }
    Some(valid)
}

/// Everything that a space promises, against the set of its points.
fn assert_holds(space: &Space, valid: &BTreeSet<Vec<u16>>) {
    assert_eq!(space.count(), Some(valid.len() as u64));
    let listed: Vec<Vec<u16>> = space.ids().map(|id| space.digits(id)).collect();
    assert_eq!(listed.iter().cloned().collect::<BTreeSet<_>>(), *valid);
    for (id, digits) in space.ids().zip(&listed) {
        assert_eq!(space.find(digits), Some(id));
        assert_eq!(space.locate(&space.configuration(id)), Some(id));
    }
    for point in points(space.parameters()) {
        assert_eq!(space.find(&point).is_some(), valid.contains(&point));
    }
    let mut random = StdRng::seed_from_u64(1);
    match space.sample(&mut random) {
        Some(id) => assert!(valid.contains(&space.digits(id))),
        None => assert!(valid.is_empty()),
    }
    let differs = |a: &[u16], b: &[u16]| -> Vec<(u16, u16)> {
        let pairs = a.iter().copied().zip(b.iter().copied());
        pairs.filter(|(x, y)| x != y).collect()
    };
    for (id, digits) in space.ids().zip(&listed).step_by(7) {
        for neighbourhood in [
            Neighbourhood::Hamming,
            Neighbourhood::Adjacent,
            Neighbourhood::StrictlyAdjacent,
        ] {
            let found = space.neighbours(id, neighbourhood);
            let found: BTreeSet<Vec<u16>> = found.iter().map(|n| space.digits(*n)).collect();
            let expected = valid.iter().filter(|other| {
                let [(own, far)] = differs(digits, other)[..] else {
                    return false;
                };
                let between = |third: &&Vec<u16>| match differs(digits, third)[..] {
                    [(_, d)] => {
                        let is_same = third.iter().zip(*other).filter(|(x, y)| x != y).count() == 1;
                        is_same && (own.min(far) < d && d < own.max(far))
                    }
                    _ => false,
                };
                match neighbourhood {
                    Neighbourhood::Hamming => true,
                    Neighbourhood::StrictlyAdjacent => own.abs_diff(far) == 1,
                    Neighbourhood::Adjacent => !valid.iter().any(|third| between(&third)),
                }
            });
            assert_eq!(found, expected.cloned().collect());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn pruning_finds_what_brute_force_finds(bound in 1i64..60, modulus in 1i64..5, low in -20i64..20, shift in 0usize..4) {
        let parameters = [ints("x", 1..=5), ints("y", [4, 2, 1, 3]), ints("z", -1..=2), ints("w", [6]), ints("v", 0..=1)];
        let texts = [
            format!("x * y * z <= {bound}"),
            format!("(x + z) % {modulus} == 0"),
            "y >= z or x == 1".into(),
            format!("{low} <= x * y - w * z"),
            "v == 0 or x > 2".into(),
            "w / y != 6 and x > -1".into(),
        ];
        let texts: Vec<&str> = texts[shift.min(2)..].iter().map(String::as_str).collect();
        let valid = brute_force(&parameters, &texts).unwrap();
        assert_holds(&space(&parameters, &texts).unwrap(), &valid);
    }

    #[test]
    fn any_restrictions_of_any_types_do_too(picks in prop::collection::vec(0usize..1500, 1..4)) {
        let of = |name: &str, values: Vec<Value>| Parameter { name: name.into(), values };
        let parameters = [
            ints("x", [-3, 0, 1, 2, 7]),
            ints("y", [1, -4, 6]),
            of("f", [-2.5, 0.1, 1.0, 7.5].map(Value::Float).to_vec()),
            of("b", vec![Value::Bool(true), Value::Bool(false)]),
            of("s", ["a", "bc", ""].map(|t| Value::Text(t.into())).to_vec()),
        ];
        let table = python();
        let texts: Vec<&str> = picks.iter().map(|i| table[*i].1).collect();
        match (space(&parameters, &texts), brute_force(&parameters, &texts)) {
            (Ok(space), Some(valid)) => assert_holds(&space, &valid),
            (Err(_), None) => {}
            (found, expected) => panic!("{texts:?}: {:?}, not {expected:?}", found.map(|s| s.count())),
        }
    }

    #[test]
    fn rows_that_others_listed_are_a_space(rows in prop::collection::vec(prop::collection::vec(0u16..3, 3), 0..20)) {
        let parameters = vec![ints("x", 0..3), ints("y", 0..3), ints("z", 0..3)];
        let valid: BTreeSet<Vec<u16>> = rows.iter().cloned().collect();
        assert_holds(&Space::listed(parameters, rows).unwrap(), &valid);
    }
}

#[test]
fn an_empty_space_is_no_error_and_a_mistake_is() {
    let grid = [ints("x", 1..=5), ints("y", 1..=4), ints("z", 1..=3)];
    assert!(space(&grid, &["x > 99"]).unwrap().is_empty());
    assert!(space(&grid, &["x * y * z == 7"]).unwrap().is_empty());
    assert!(Space::new(vec![], vec![]).unwrap().is_empty());
    let error = space(&grid, &["y % (x - 1) == 0"]).unwrap_err();
    assert_eq!(
        error.message,
        "`y % (x - 1) == 0`: a number is divided by zero, where x = 1, y = 1"
    );
    // What another restriction excludes is never asked, in whichever order they stand.
    assert!(space(&grid, &["y % (x - 1) == 0", "x > 1"]).is_ok());
    assert!(space(&grid, &["x > 1", "y % (x - 1) == 0"]).is_ok());
    assert!(space(&grid, &["x == 1 or y % (x - 1) == 0"]).is_ok());
    assert!(space(&[ints("x", 0..70_000)], &[]).is_err());
}

/// Twelve parameters of ten values.
fn large() -> Vec<Parameter> {
    let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];
    names.iter().map(|name| ints(name, 0..10)).collect()
}

/// Samples of a space, as many as the χ² of its projections wants.
const DRAWS: usize = 20_000;

/// χ² of how often each value of `project` was drawn against how often it should be, by degree of freedom; near 1 for a fair draw.
fn chi_squared(
    space: &Space,
    expected: &BTreeMap<u64, f64>,
    project: impl Fn(&[u16]) -> u64,
) -> f64 {
    let mut random = StdRng::seed_from_u64(7);
    let mut drawn: BTreeMap<u64, f64> = expected.keys().map(|k| (*k, 0.0)).collect();
    for _ in 0..DRAWS {
        let id = space.sample(&mut random).unwrap();
        *drawn.entry(project(&space.digits(id))).or_default() += 1.0;
    }
    let total: f64 = expected.values().sum();
    let parts = drawn.iter().map(|(key, n)| {
        let wanted = DRAWS as f64 * expected.get(key).copied().unwrap_or(0.0) / total;
        (n - wanted).powi(2) / wanted
    });
    parts.sum::<f64>() / (expected.len() - 1) as f64
}

/// Neighbours of some configurations, against what each point with one digit changed is found to be.
fn assert_neighbours_are_right(space: &Space, is_valid: impl Fn(&[u16]) -> bool) {
    let mut random = StdRng::seed_from_u64(3);
    for _ in 0..20 {
        let id = space.sample(&mut random).unwrap();
        let digits = space.digits(id);
        assert!(is_valid(&digits) && space.find(&digits) == Some(id));
        let mut all = vec![];
        for p in 0..digits.len() {
            for d in (0..10).filter(|d| *d != digits[p]) {
                let mut other = digits.clone();
                other[p] = d;
                assert_eq!(space.find(&other).is_some(), is_valid(&other));
                all.extend(is_valid(&other).then_some(other));
            }
        }
        let found = space.neighbours(id, Neighbourhood::Hamming);
        let found: BTreeSet<Vec<u16>> = found.iter().map(|n| space.digits(*n)).collect();
        assert_eq!(found, all.into_iter().collect());
        for n in space.neighbours(id, Neighbourhood::StrictlyAdjacent) {
            let other = space.digits(n);
            let distance = digits.iter().zip(&other).map(|(a, b)| a.abs_diff(*b));
            assert_eq!(distance.sum::<u16>(), 1);
        }
    }
}

#[test]
fn a_huge_space_of_few_ties_is_counted_and_sampled() {
    let space = space(&large(), &["a * b <= 20", "c != d"]).unwrap();
    let pairs = (0..100_u64).filter(|n| (n / 10) * (n % 10) <= 20).count() as u64;
    assert_eq!(space.count(), Some(pairs * 90 * 100_000_000));
    assert!(space.bytes() < 10_000);
    let mut expected: BTreeMap<u64, f64> = BTreeMap::new();
    for (a, b) in (0..10).flat_map(|a| (0..10).map(move |b| (a, b))) {
        if a * b <= 20 {
            *expected.entry(a).or_default() += 1.0;
        }
    }
    let ratio = chi_squared(&space, &expected, |digits| u64::from(digits[0]));
    assert!(ratio < 3.0, "{ratio}");
    assert_neighbours_are_right(&space, |d| d[0] * d[1] <= 20 && d[2] != d[3]);
}

#[test]
fn a_huge_space_that_one_restriction_ties_is_counted_and_sampled() {
    let space = space(
        &large(),
        &["a + b + c + d + e + f + g + h + i + j + k + l <= 40"],
    )
    .unwrap();
    // How many ways there are to each sum of n digits.
    let ways = |n: usize| {
        (0..n).fold(BTreeMap::from([(0_u64, 1_u64)]), |ways, _| {
            let mut next = BTreeMap::new();
            for (sum, count) in &ways {
                (0..10).for_each(|d| *next.entry(sum + d).or_default() += count);
            }
            next
        })
    };
    let count: u64 = ways(12).range(..=40).map(|(_, n)| n).sum();
    assert_eq!(space.count(), Some(count));
    assert!(count > 80_000_000_000 && space.bytes() < 100_000);
    // Of the last parameter to be bound, so that a fault in any layer shows.
    let expected = (0..10_u64)
        .map(|l| (l, ways(11).range(..=40 - l).map(|(_, n)| *n as f64).sum()))
        .collect();
    let ratio = chi_squared(&space, &expected, |digits| u64::from(digits[11]));
    assert!(ratio < 3.0, "{ratio}");
    let ratio = chi_squared(&space, &expected, |digits| u64::from(digits[0]));
    assert!(ratio < 3.0, "{ratio}");
    assert_neighbours_are_right(&space, |d| d.iter().sum::<u16>() <= 40);
}

#[test]
fn a_huge_space_without_structure_is_not_counted_and_still_sampled() {
    // Every sum is another number: no two bindings can be continued together.
    let text = "(a + 10 * b + 100 * c + 1000 * d + 10000 * e + 100000 * f + 1000000 * g + 10000000 * h + 100000000 * i \
                + 1000000000 * j + 10000000000 * k + 100000000000 * l) % 64 == 0";
    let space = space(&large(), &[text]).unwrap();
    assert_eq!(space.count(), None);
    let number =
        |digits: &[u16]| -> u64 { digits.iter().rev().fold(0, |n, d| n * 10 + u64::from(*d)) };
    // 10^6 is divisible by 64: the six lowest digits decide, and of the multiples of 64 below 10^6 each is as likely.
    let mut expected: BTreeMap<u64, f64> = BTreeMap::new();
    (0..1_000_000)
        .step_by(64)
        .for_each(|n| *expected.entry(n / 100 % 10).or_default() += 1.0);
    let ratio = chi_squared(&space, &expected, |digits| u64::from(digits[2]));
    assert!(ratio < 3.0, "{ratio}");
    assert_neighbours_are_right(&space, |digits| number(digits) % 64 == 0);
    let (near, far) = ([0; 12], [1; 12]);
    assert!(space.find(&near).is_some() && space.find(&far).is_none());
}

/// As the files of shared/data/spaces have it.
#[derive(serde::Deserialize)]
struct Definition {
    tune_params: serde_json::Map<String, serde_json::Value>,
    restrictions: Vec<String>,
    expected_valid: u64,
}

#[test]
fn spaces_of_the_literature_are_exact_and_small() {
    let definitions = [
        include_str!("../../tests/data/spaces/dedispersion.json"),
        include_str!("../../tests/data/spaces/microhh.json"),
        include_str!("../../tests/data/spaces/gemm.json"),
        include_str!("../../tests/data/spaces/hotspot.json"),
    ];
    for text in definitions {
        let definition: Definition = serde_json::from_str(text).unwrap();
        let parameter = |(name, values): (&String, &serde_json::Value)| Parameter {
            name: name.clone(),
            values: serde_json::from_value(values.clone()).unwrap(),
        };
        let parameters: Vec<Parameter> = definition.tune_params.iter().map(parameter).collect();
        let texts: Vec<&str> = definition.restrictions.iter().map(String::as_str).collect();
        let space = space(&parameters, &texts).unwrap();
        assert_eq!(space.count(), Some(definition.expected_valid));
        assert_eq!(space.ids().count() as u64, definition.expected_valid);
        assert!(
            space.bytes() as u64 <= definition.expected_valid * (16 + 2 * parameters.len() as u64)
        );
    }
}

#[test]
fn a_space_without_structure_takes_no_more_than_its_rows() {
    let parameters = [ints("x", 0..60), ints("y", 0..60), ints("z", 0..60)];
    let space = space(
        &parameters,
        &["(x * x * 31 + y * y * 17 + z * z * 13 + x * y * z) % 101 == 5"],
    )
    .unwrap();
    let count = space.count().unwrap();
    assert!(count > 1000);
    assert!(space.bytes() as u64 <= count * (16 + 2 * 3));
}
