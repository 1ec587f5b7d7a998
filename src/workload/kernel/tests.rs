//! What needs no device: files, fills, and expressions. The rest is in tests/devices.rs.
use super::*;
use crate::plan::{Argument, Fill};

fn array(element: &str, shape: &[&str], fill: Option<Fill>) -> Argument {
    Argument {
        name: "x".into(),
        element: element.into(),
        kind: ArgumentKind::Array {
            shape: shape.iter().map(|s| (*s).to_owned()).collect(),
            fill,
            seed: 1,
            is_constant: false,
            is_output: false,
        },
    }
}

fn f32() -> Element {
    Element::of_plan("f32").unwrap()
}

fn values(element: &str, fill: Option<Fill>, count: usize) -> Vec<f64> {
    let filled = super::fill(
        &array(element, &[], fill),
        Element::of_plan(element).unwrap(),
        vec![count],
        "",
    )
    .unwrap();
    filled.element.values(&filled.bytes).to_f64()
}

#[test]
fn arrays_hold_what_the_plan_says_in_every_type() {
    for element in crate::plan::ELEMENTS {
        assert_eq!(values(element, None, 3), [0.0; 3], "{element}");
        assert_eq!(
            values(element, Some(Fill::Iota), 4),
            [0.0, 1.0, 2.0, 3.0],
            "{element}"
        );
        assert_eq!(
            values(element, Some(Fill::Constant(5.0)), 2),
            [5.0; 2],
            "{element}"
        );
    }
    assert_eq!(
        values("f16", Some(Fill::Constant(0.1)), 1),
        [f64::from(half::f16::from_f64(0.1))]
    );
    assert_eq!(
        values("u8", Some(Fill::Constant(-3.0)), 1),
        [0.0],
        "whole types stop at their limits"
    );
    let uniform = values("f32", Some(Fill::Uniform(-2.0, 6.0)), 10_000);
    let mean = uniform.iter().sum::<f64>() / 1e4;
    assert!(
        uniform.iter().all(|v| (-2.0..6.0).contains(v)) && (mean - 2.0).abs() < 0.1,
        "{mean}"
    );
    let normal = values("f64", Some(Fill::Normal(3.0, 2.0)), 10_000);
    let mean = normal.iter().sum::<f64>() / 1e4;
    let variance = normal.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 1e4;
    assert!(
        (mean - 3.0).abs() < 0.1 && (variance - 4.0).abs() < 0.3,
        "{mean} {variance}"
    );
    assert_eq!(normal, values("f64", Some(Fill::Normal(3.0, 2.0)), 10_000));
}

#[test]
fn a_file_must_fit_its_argument() {
    let folder = tempfile::tempdir().unwrap();
    let stored = Array::new(vec![3], Values::F32(vec![1.0, 2.5, -3.0]), false).unwrap();
    crate::workload::files::write_array(&folder.path().join("x.npy"), &stored).unwrap();
    let at = folder.path().to_str().unwrap();
    let argument = array("f32", &[], Some(Fill::File("x.npy".into())));
    let filled = super::fill(&argument, f32(), vec![3], at).unwrap();
    assert_eq!(
        filled.element.values(&filled.bytes).to_f64(),
        [1.0, 2.5, -3.0]
    );
    let wrong = super::fill(&argument, f32(), vec![4], at).err().unwrap();
    assert_eq!(wrong, "argument `x`: x.npy has the shape [3], not [4]");
    let missing = array("f32", &[], Some(Fill::File("y.npy".into())));
    assert!(
        super::fill(&missing, f32(), vec![3], at)
            .err()
            .unwrap()
            .contains("y.npy")
    );
}

#[test]
fn geometry_is_computed_and_nonsense_is_refused() {
    let choice = KernelChoice {
        code: KernelCode {
            entry: "k".into(),
            wgsl: None,
            cuda: None,
            options: vec![],
            grid: vec![],
            block: vec![],
            shared_memory: None,
        },
        arguments: vec![Argument {
            name: "n".into(),
            element: "i32".into(),
            kind: ArgumentKind::Scalar(Value::Int(1000)),
        }],
        reference: None,
        folder: String::new(),
    };
    let configuration = Configuration::new(vec![("tile".into(), Value::Int(64))]);
    let scope = Scope::new(&choice, &configuration);
    let axes = |text: &[&str]| {
        let written: Vec<String> = text.iter().map(|t| (*t).to_owned()).collect();
        scope.axes(&written, "grid").map_err(|e| e.sentence())
    };
    assert_eq!(axes(&["(n + tile - 1) // tile"]), Ok([16, 1, 1]));
    assert_eq!(
        axes(&["n / 8", "2", "tile if n > 5 else 1"]),
        Ok([125, 2, 64]),
        "whole though divided"
    );
    assert_eq!(axes(&["n / 64"]), Err("`n / 64` is no whole number".into()));
    assert_eq!(
        axes(&["n - 1000"]),
        Err("the grid comes to 0 along an axis (`n - 1000`)".into())
    );
    assert!(
        axes(&["n // (tile - 64)"])
            .unwrap_err()
            .contains("divided by zero")
    );
}

#[test]
fn a_source_that_is_not_there_is_named() {
    let choice = KernelChoice {
        code: KernelCode {
            entry: "k".into(),
            wgsl: Some("k.wgsl".into()),
            cuda: None,
            options: vec![],
            grid: vec!["1".into()],
            block: vec![],
            shared_memory: None,
        },
        arguments: vec![],
        reference: None,
        folder: "/nowhere".into(),
    };
    let why = load(&choice).err().unwrap();
    assert!(
        why.starts_with("the kernel /nowhere/k.wgsl cannot be read: "),
        "{why}"
    );
}

#[test]
fn a_name_that_nothing_reads_is_refused() {
    let mut choice = KernelChoice {
        code: KernelCode {
            entry: "k".into(),
            wgsl: None,
            cuda: None,
            options: vec![],
            grid: vec!["n // tile".into()],
            block: vec![],
            shared_memory: None,
        },
        arguments: vec![Argument {
            name: "n".into(),
            element: "i32".into(),
            kind: ArgumentKind::Scalar(Value::Int(8)),
        }],
        reference: None,
        folder: String::new(),
    };
    let configuration = ["tile", "unroll"].map(|name| (name.to_owned(), Value::Int(2)));
    let scope = Scope::new(&choice, &Configuration::new(configuration.to_vec()));
    let used = |text: &str, choice: &KernelChoice, language| {
        scope.check_use(text, &choice.code, choice, language)
    };
    assert_eq!(used("for unroll { }", &choice, Language::Wgsl), Ok(()));
    let why = used("unroll_all()", &choice, Language::Wgsl).unwrap_err();
    assert!(
        why.starts_with("nothing uses the parameter `unroll`"),
        "{why}"
    );
    choice.code.grid = vec!["tile".into()];
    let why = used("unroll", &choice, Language::Wgsl).unwrap_err();
    assert!(why.starts_with("nothing uses the scalar `n`"), "{why}");
    assert_eq!(used("unroll", &choice, Language::Cuda), Ok(()));
}
