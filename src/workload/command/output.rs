//! What a command left behind: metrics in its output and files, and the array that it wrote.
#![allow(clippy::disallowed_methods, reason = "reads what commands write")]
use super::launcher::Launched;
use crate::array::Array;
use crate::plan::{DeclaredMetric, MetricSource, OutputFile};
use crate::workload::files;
use crate::workload::template::Names;
use regex::Regex;
use std::io;
use std::path::{Path, PathBuf};

/// A declared metric, ready to be looked for.
#[derive(Debug)]
pub(super) struct Metric {
    pub(super) name: String,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Regex(Regex),
    Pointer {
        pointer: String,
        file: Option<String>,
    },
}

impl Metric {
    pub(super) fn new(declared: &DeclaredMetric) -> Result<Metric, String> {
        let source = match &declared.source {
            MetricSource::Regex(pattern) => Source::Regex(Regex::new(pattern).map_err(|e| {
                format!("the regular expression of metric `{}`: {e}", declared.name)
            })?),
            MetricSource::Pointer { pointer, file } => Source::Pointer {
                pointer: pointer.clone(),
                file: file.clone(),
            },
        };
        Ok(Metric {
            name: declared.name.clone(),
            source,
        })
    }

    pub(super) fn needs_stdout(&self) -> bool {
        !matches!(self.source, Source::Pointer { file: Some(_), .. })
    }

    /// `folder` is the command's: what it writes, it writes there.
    ///
    /// # Errors
    /// Where it was looked for and what was there instead.
    pub(super) fn read(
        &self,
        launched: &Launched,
        names: Names<'_>,
        folder: &Path,
    ) -> Result<f64, String> {
        let wrong = |why: String| format!("metric `{}`: {why}", self.name);
        let found = match &self.source {
            Source::Regex(regex) => {
                let captures = regex
                    .captures(&launched.stdout)
                    .or_else(|| regex.captures(&launched.stderr));
                let found = captures
                    .and_then(|c| c.get(1).or(c.get(0)))
                    .map(|m| m.as_str().trim().to_owned());
                found.ok_or_else(|| {
                    wrong(format!(
                        "`{regex}` matches neither stdout ({}) nor stderr",
                        excerpt(&launched.stdout)
                    ))
                })?
            }
            Source::Pointer { pointer, file } => {
                let (text, place) = match file {
                    Some(file) => {
                        let path = folder.join(names.fill(file).map_err(wrong)?);
                        let text = std::fs::read_to_string(&path);
                        let unread = |e| wrong(format!("{} cannot be read: {e}", path.display()));
                        (text.map_err(unread)?, path.display().to_string())
                    }
                    None => (launched.stdout.clone(), "stdout".into()),
                };
                let json: serde_json::Value = serde_json::from_str(&text)
                    .map_err(|e| wrong(format!("{place} is no JSON ({e}): {}", excerpt(&text))))?;
                let value = json
                    .pointer(pointer)
                    .ok_or_else(|| wrong(format!("{place} has nothing at `{pointer}`")))?;
                value
                    .as_str()
                    .map_or_else(|| value.to_string(), str::to_owned)
            }
        };
        // NaN and infinity are no measurements: they would poison every mean downstream.
        let number = found.parse().ok().filter(|v: &f64| v.is_finite());
        number.ok_or_else(|| wrong(format!("{} is no finite number", excerpt(&found))))
    }
}

/// The beginning of a text, for a message.
fn excerpt(text: &str) -> String {
    const LENGTH: usize = 60;
    let text = text.trim();
    if text.is_empty() {
        return "empty".into();
    }
    let start: String = text.chars().take(LENGTH).collect();
    let dots = if text.chars().nth(LENGTH).is_some() {
        "…"
    } else {
        ""
    };
    format!("`{}{dots}`", start.escape_debug())
}

/// The array that a command declares to write, where it writes it.
#[derive(Debug)]
pub(super) struct DeclaredArray {
    described: OutputFile,
    path: PathBuf,
    /// Why an old file could not be removed: then nobody can tell whose answer it is.
    stuck: Option<io::Error>,
}

impl DeclaredArray {
    pub(super) fn new(
        declared: &OutputFile,
        names: Names<'_>,
        folder: &Path,
    ) -> Result<DeclaredArray, String> {
        let path = folder.join(names.fill(&declared.file)?);
        Ok(DeclaredArray {
            described: declared.clone(),
            path,
            stuck: None,
        })
    }

    /// Removes what a former run left.
    pub(super) fn poison(&mut self) {
        self.stuck = std::fs::remove_file(&self.path)
            .err()
            .filter(|e| e.kind() != io::ErrorKind::NotFound);
    }

    /// # Errors
    /// What was expected and what was there.
    pub(super) fn read(&self) -> Result<Array, String> {
        let path = self.path.display();
        if let Some(error) = &self.stuck {
            return Err(format!(
                "{path}: a former output could not be removed: {error}"
            ));
        }
        if !self.path.exists() {
            return Err(format!(
                "the command left no output: it should have written {path}"
            ));
        }
        files::read_array(&self.path, Some(&self.described))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::Configuration;
    use crate::trial::Timing;
    use crate::value::{Bytes, Nanoseconds, Value};
    use crate::workload::command::launcher::End;

    fn launched(stdout: &str, stderr: &str) -> Launched {
        Launched {
            end: End::Exit(0),
            wall: Timing::default().wall,
            user: Nanoseconds(0.0),
            system: Nanoseconds(0.0),
            peak: Bytes(0),
            stdout: stdout.into(),
            stderr: stderr.into(),
        }
    }

    fn read(
        source: MetricSource,
        stdout: &str,
        stderr: &str,
        folder: &Path,
    ) -> Result<f64, String> {
        let configuration = Configuration::new(vec![("tile".into(), Value::Int(8))]);
        let names = Names {
            configuration: &configuration,
            scratch: Path::new("/s"),
        };
        let metric = Metric::new(&DeclaredMetric {
            name: "rate".into(),
            source,
        })
        .unwrap();
        metric.read(&launched(stdout, stderr), names, folder)
    }

    #[test]
    fn a_regex_finds_its_first_group_on_stdout_and_else_on_stderr() {
        let find = |pattern: &str, out: &str, err: &str| {
            read(
                MetricSource::Regex(pattern.into()),
                out,
                err,
                Path::new("/"),
            )
        };
        assert_eq!(
            find(r"rate: (\S+) MB", "x\nrate: 1.5e3 MB/s\n", "rate: 7 MB"),
            Ok(1500.0)
        );
        assert_eq!(find(r"rate: (\S+) MB", "", "rate: 7 MB"), Ok(7.0));
        assert_eq!(find(r"\d+", "12 apples", ""), Ok(12.0));
        assert!(
            find("rate", "nothing", "")
                .unwrap_err()
                .contains("`nothing`")
        );
        assert!(
            find(r"rate (\w+)", "rate NaN", "")
                .unwrap_err()
                .contains("`NaN` is no finite number")
        );
        assert!(find(r"rate (\w+)", "rate inf", "").is_err());
    }

    #[test]
    fn a_pointer_finds_its_number_in_stdout_or_in_a_file() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(
            folder.path().join("r8.json"),
            r#"{"results": [{"rate": "2.5"}]}"#,
        )
        .unwrap();
        let find = |pointer: &str, file: Option<&str>, out: &str| {
            let source = MetricSource::Pointer {
                pointer: pointer.into(),
                file: file.map(str::to_owned),
            };
            read(source, out, "", folder.path())
        };
        assert_eq!(find("/a/0", None, r#"{"a": [3]}"#), Ok(3.0));
        assert_eq!(find("/results/0/rate", Some("r{tile}.json"), ""), Ok(2.5));
        assert!(
            find("/b", None, r#"{"a": [3]}"#)
                .unwrap_err()
                .contains("nothing at `/b`")
        );
        assert!(
            find("/a", None, "no json")
                .unwrap_err()
                .contains("stdout is no JSON")
        );
        assert!(
            find("/a", Some("none.json"), "")
                .unwrap_err()
                .contains("none.json")
        );
        assert!(
            find("/a", None, r#"{"a": [3]}"#)
                .unwrap_err()
                .contains("`[3]`")
        );
    }

    #[test]
    fn an_old_output_never_passes_for_a_new_one() {
        let folder = tempfile::tempdir().unwrap();
        let configuration = Configuration::default();
        let names = Names {
            configuration: &configuration,
            scratch: Path::new("/s"),
        };
        let described = |file: &str| OutputFile {
            file: file.into(),
            array: None,
            dtype: None,
            shape: None,
        };
        let mut output = DeclaredArray::new(&described("a.npy"), names, folder.path()).unwrap();
        let old = Array::new(vec![1], crate::array::Values::F64(vec![1.0]), false).unwrap();
        files::write_array(&folder.path().join("a.npy"), &old).unwrap();
        assert!(output.read().is_ok());
        output.poison();
        assert!(output.read().unwrap_err().contains("left no output"));
        // A folder in its place cannot be removed as a file.
        let mut stuck = DeclaredArray::new(&described("."), names, folder.path()).unwrap();
        stuck.poison();
        assert!(stuck.read().unwrap_err().contains("could not be removed"));
    }
}
