//! A plan file: found by path or by name, read whatever is in it, checked.
use super::Failure;
use super::args::Common;
use crate::plan::{Parsed, Plan, Source};
use crate::space::nearest;
use crate::workload::{WORKLOADS, find};
use std::path::{Path, PathBuf};

/// Plans that are named without a folder are looked for here as well.
const EXPERIMENTS: &str = "experiments";

/// A valid plan as it was found.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) parsed: Parsed,
    pub(super) text: String,
    pub(super) path: String,
    /// Where the plan's relative paths start.
    pub(super) folder: PathBuf,
    /// The overrides that it was read with.
    pub(super) overrides: Vec<(String, String)>,
}

/// Reads and checks a plan with the overrides of the command line.
pub(super) fn load(path: &Path, common: &Common) -> Result<Loaded, Failure> {
    load_with(path, common.overrides())
}

pub(super) fn load_with(path: &Path, overrides: Vec<(String, String)>) -> Result<Loaded, Failure> {
    let path = locate(path)?;
    let bytes = std::fs::read(&path)
        .map_err(|e| Failure::Said(format!("{} cannot be read: {e}", path.display())))?;
    parse(
        &bytes,
        &path.display().to_string(),
        folder_of(&path),
        overrides,
    )
}

/// Checks the text of a plan. `path` is what messages call it.
pub(super) fn parse(
    bytes: &[u8],
    path: &str,
    folder: &Path,
    overrides: Vec<(String, String)>,
) -> Result<Loaded, Failure> {
    let builtins: Vec<&str> = WORKLOADS.iter().map(|w| w.name).collect();
    let declare = |name: &str| find(name).map(|entry| (entry.declare)());
    let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let source = Source {
        text: bytes,
        overrides: &overrides,
        folder: &absolute.to_string_lossy(),
    };
    let parsed = Plan::parse(&source, &declare, &builtins);
    // Places are counted after a byte order mark; what is not UTF-8 is shown as far as it is.
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_start_matches('\u{feff}').to_owned();
    let path = path.to_owned();
    match parsed {
        Ok(parsed) => Ok(Loaded {
            parsed,
            text,
            path,
            folder: folder.to_owned(),
            overrides,
        }),
        Err(findings) => Err(Failure::Plan {
            findings,
            text,
            path,
        }),
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

/// The path as given, or a name under experiments/; else what is there instead.
fn locate(path: &Path) -> Result<PathBuf, Failure> {
    if path.is_file() {
        return Ok(path.to_owned());
    }
    let is_bare = path.components().count() == 1;
    if is_bare {
        let under = Path::new(EXPERIMENTS).join(path);
        let named = under.with_extension("yaml");
        if let Some(found) = [under, named].into_iter().find(|p| p.is_file()) {
            return Ok(found);
        }
    }
    let folder = if path.is_dir() { path } else { folder_of(path) };
    let mut there = plans_in(folder);
    if is_bare && folder != Path::new(EXPERIMENTS) {
        there.extend(plans_in(Path::new(EXPERIMENTS)));
    }
    let what = match path.is_dir() {
        true => format!("{} is a folder", path.display()),
        false => format!("there is no plan {}", path.display()),
    };
    Err(Failure::Said(format!("{what}; {}", instead(path, &there))))
}

fn plans_in(folder: &Path) -> Vec<PathBuf> {
    let is_plan = |p: &PathBuf| p.extension().is_some_and(|e| e == "yaml" || e == "yml");
    let mut plans: Vec<PathBuf> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        // `./plan.yaml` is written as people write it.
        .map(|entry| {
            entry
                .path()
                .strip_prefix(".")
                .map_or(entry.path(), Path::to_owned)
        })
        .filter(is_plan)
        .collect();
    plans.sort();
    plans
}

/// What to do about a plan that is not there: the nearest name, else all names, else how to make one.
fn instead(path: &Path, there: &[PathBuf]) -> String {
    let stem = |p: &Path| {
        p.file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    };
    let stems: Vec<String> = there.iter().map(|p| stem(p)).collect();
    let names: Vec<&str> = stems.iter().map(String::as_str).collect();
    let near = nearest(&stem(path), &names)
        .and_then(|name| names.iter().position(|n| *n == name))
        .map(|i| format!("did you mean {}?", there[i].display()));
    near.unwrap_or_else(|| match there.is_empty() {
        true => "`phasetune init` writes one to start from".to_owned(),
        false => {
            let shown: Vec<String> = there.iter().map(|p| p.display().to_string()).collect();
            format!("there is {}", shown.join(", "))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_plan_is_answered_with_the_nearest_name() {
        let there = [
            PathBuf::from("experiments/beamform3d.yaml"),
            PathBuf::from("experiments/pstm.yaml"),
        ];
        assert_eq!(
            instead(Path::new("beamfrom3d.yaml"), &there),
            "did you mean experiments/beamform3d.yaml?"
        );
        assert_eq!(
            instead(Path::new("something_else"), &there),
            "there is experiments/beamform3d.yaml, experiments/pstm.yaml"
        );
        assert!(instead(Path::new("x"), &[]).contains("phasetune init"));
    }

    #[test]
    fn bytes_that_are_not_text_are_a_finding_with_a_place() {
        let Err(Failure::Plan { findings, text, .. }) = parse(
            b"name: x\ntitle: \xff\xfe\n",
            "p.yaml",
            Path::new("."),
            vec![],
        ) else {
            panic!("it was accepted");
        };
        let shown = super::super::diagnostics::render(&findings, &text, "p.yaml", false);
        assert!(shown.contains("p.yaml:2:8"), "{shown}");
    }
}
