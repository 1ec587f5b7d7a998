//! What finished runs found to be best, all of them in one file: `results/wisdom.json`, keyed by device, workload, objective and
//! problem size. It stands beside the records that prove it: who shares or commits those, shares it with them.
#![allow(clippy::disallowed_methods, reason = "this file owns the wisdom")]
use super::lock::wait_for_turn;
use super::{Environment, Final, Run, StoreError, write_whole};
use crate::plan::{CommandChoice, Objective, WorkloadChoice};
use crate::space::Configuration;
use crate::value::Value;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// What one run found to be best for one workload, problem and objective on one device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Wisdom {
    /// Name of a built-in, or a command as it is written in its plan.
    pub workload: String,
    /// As in the plan.
    #[serde(with = "in_order")]
    pub problem: Vec<(String, Value)>,
    /// The problem in keys that can be compared: presets resolved, without the seed.
    #[serde(with = "in_order")]
    pub size: Vec<(String, Value)>,
    /// Backend and hardware: `cpu: AMD EPYC, 2 threads, avx512`.
    pub device: String,
    pub objective: Objective,
    #[serde(with = "as_mapping")]
    pub configuration: Configuration,
    /// What it was compared with.
    #[serde(with = "as_mapping")]
    pub baseline: Configuration,
    /// Absent where the baseline itself is recommended.
    pub gain: Option<Gain>,
    /// Accuracy metrics and the limits that it kept to.
    pub limits: Vec<(String, f64)>,
    pub experiment: String,
    /// Of the matrix; empty without one.
    pub case: String,
    pub run_id: String,
    /// When the run started.
    pub date: String,
    pub commit: Option<String>,
    /// Of what differed from the commit.
    pub diff_hash: Option<String>,
}

/// How much better than the baseline, confirmed on fresh blocks.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gain {
    pub speedup: f64,
    pub interval: (f64, f64),
    pub confidence: f64,
    pub blocks: u32,
    /// Medians of the objective: baseline, and the best configuration.
    pub medians: Option<(f64, f64)>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Book {
    format: u32,
    entries: Vec<Wisdom>,
}

/// A book of another format is left alone.
const FORMAT: u32 = 1;

impl Wisdom {
    /// What a run came to, one for each of its cases; nothing while it is not complete.
    pub fn of(run: &Run) -> Vec<Wisdom> {
        run.finals
            .iter()
            .filter_map(|last| Wisdom::of_case(run, last))
            .collect()
    }

    fn of_case(run: &Run, last: &Final) -> Option<Wisdom> {
        let header = &run.header;
        let plan = &header.plan;
        let case = plan.cases.iter().find(|case| case.name == last.case)?;
        let git = header.environment.git.as_ref();
        // What ran there says where it ran.
        let device = run.trials.iter().find(|trial| trial.case == last.case)?;
        // On a cluster, that of the nodes that decided; the machine that coordinated measured nothing.
        let of_case = run.outcomes.iter().rev().filter(|o| o.case == last.case);
        let deciding = of_case.filter_map(|o| o.platforms.first()).next();
        let backend = device.device.split(':').next().unwrap_or_default();
        let platform = deciding.map(|platform| format!("{backend}: {}", platform.name));
        Some(Wisdom {
            workload: workload_name(&plan.workload),
            problem: case.problem.clone(),
            size: header.declaration.size(&case.problem),
            device: platform.unwrap_or_else(|| hardware(&header.environment, &device.device)),
            objective: plan.objective.clone(),
            configuration: last.recommended().clone(),
            baseline: last.baseline.clone(),
            gain: gain(last, plan.protocol.confidence),
            limits: plan.accuracy.limits.clone(),
            experiment: plan.name.clone(),
            case: last.case.clone(),
            run_id: header.run_id.clone(),
            date: header.environment.started_at.clone(),
            commit: git.map(|git| git.commit.clone()),
            diff_hash: git.and_then(|git| git.diff_hash.clone()),
        })
    }

    /// Everything that is known in a results folder; nothing where there is no such file yet.
    ///
    /// # Errors
    /// When the file cannot be read, or is not ours.
    pub fn load(results: &Path) -> Result<Vec<Wisdom>, StoreError> {
        let path = Wisdom::file(results);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(vec![]),
            Err(e) => return Err(StoreError::io(format!("{} cannot be read", path.display()))(e)),
        };
        let wrong = |why: &dyn std::fmt::Display| {
            StoreError::Damaged(format!("{} cannot be read: {why}", path.display()))
        };
        let book: Book = serde_json::from_str(&text).map_err(|e| wrong(&e))?;
        if book.format != FORMAT {
            let newer = format!(
                "it is of format {}, this phasetune knows {FORMAT}",
                book.format
            );
            return Err(wrong(&newer));
        }
        Ok(book.entries)
    }

    /// Adds what a finished run found, one process after the other. What is known of other devices, workloads, objectives and
    /// sizes stays; what was known of these gives way to what knows better.
    ///
    /// # Errors
    /// When the file cannot be read or written; it then is as it was.
    pub fn add(results: &Path, run: &Run) -> Result<(), StoreError> {
        let compared = |case: &str| {
            let trials = run.trials.iter().filter(|trial| trial.case == case);
            let configurations = trials
                .filter(|trial| !trial.is_canary)
                .map(|t| &t.configuration);
            configurations.collect::<Vec<_>>()
        };
        let mut found = Wisdom::of(run);
        // A run of nothing but its baseline has found nothing.
        found.retain(|new| compared(&new.case).iter().any(|c| **c != new.baseline));
        if found.is_empty() {
            return Ok(());
        }
        let _turn = wait_for_turn(&results.join(".wisdom.lock"))?;
        let mut entries = Wisdom::load(results)?;
        for new in found {
            match entries.iter_mut().find(|old| old.key() == new.key()) {
                None => entries.push(new),
                Some(old) if new.knows_better(old, &compared(&new.case)) => *old = new,
                Some(_) => {}
            }
        }
        entries.sort_by_key(Wisdom::key);
        let book = Book {
            format: FORMAT,
            entries,
        };
        let mut text = serde_json::to_string_pretty(&book).expect("plain data");
        text.push('\n');
        write_whole(&Wisdom::file(results), text.as_bytes())
    }

    pub fn file(results: &Path) -> PathBuf {
        results.join("wisdom.json")
    }

    /// In the order of the file.
    fn key(&self) -> (String, String, String, String) {
        let size: BTreeMap<&str, &Value> = self.size.iter().map(|(n, v)| (n.as_str(), v)).collect();
        (
            self.workload.clone(),
            self.device.clone(),
            format!("{:?}", self.objective),
            format!("{size:?}"),
        )
    }

    /// Whether this, newer, takes the place of `old`, which has the same key. It does if it measured the older configuration
    /// too. Else it must have found a gain, and not plainly less than the older run did from the same baseline and source: a
    /// quick search of a corner does not undo a long one.
    fn knows_better(&self, old: &Wisdom, measured: &[&Configuration]) -> bool {
        if measured.contains(&&old.configuration) {
            return true;
        }
        let is_same_source = self.commit.is_some()
            && (&self.commit, &self.diff_hash) == (&old.commit, &old.diff_hash);
        match (&self.gain, &old.gain) {
            (None, _) => false,
            (Some(new), Some(before)) if is_same_source && self.baseline == old.baseline => {
                new.interval.1 >= before.interval.0
            }
            (Some(_), _) => true,
        }
    }

    /// How far this one's problem is from another: the sum of |log ratio| over the numbers of their sizes. Absent where they
    /// cannot be compared: other keys, or a difference in what is no positive number.
    pub fn distance(&self, size: &[(String, Value)]) -> Option<f64> {
        if self.size.len() != size.len() {
            return None;
        }
        let mut sum = 0.0;
        for (name, a) in &self.size {
            let (_, b) = size.iter().find(|(other, _)| other == name)?;
            sum += match (number(a), number(b)) {
                (Some(a), Some(b)) if a == b => 0.0,
                (Some(a), Some(b)) if a > 0.0 && b > 0.0 => (a / b).ln().abs(),
                _ if a == b => 0.0,
                _ => return None,
            };
        }
        Some(sum)
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Int(v) => Some(*v as f64),
        Value::Float(v) => Some(*v),
        Value::Bool(_) | Value::Text(_) => None,
    }
}

fn gain(last: &Final, confidence: f64) -> Option<Gain> {
    if *last.recommended() == last.baseline {
        return None;
    }
    let comparison = last.confirmation.as_ref()?;
    let interval = comparison.interval?;
    let are_finite = [comparison.speedup, interval.0, interval.1];
    are_finite.iter().all(|v| v.is_finite()).then(|| Gain {
        speedup: comparison.speedup,
        interval,
        confidence,
        blocks: comparison.blocks,
        medians: last.medians.filter(|(a, b)| a.is_finite() && b.is_finite()),
    })
}

/// A built-in's name, or the command as a person would write it, parameters in braces.
fn workload_name(choice: &WorkloadChoice) -> String {
    let command = match choice {
        WorkloadChoice::Builtin { name } | WorkloadChoice::Imported { kernel: name } => {
            return name.clone();
        }
        WorkloadChoice::Kernel(kernel) => return kernel.code.entry.clone(),
        WorkloadChoice::Command(command) => command,
    };
    let CommandChoice {
        command: words,
        shell,
        cwd,
        env,
        ..
    } = command;
    let word = |word: &str| match word.contains(|c: char| c.is_whitespace() || "'\"\\".contains(c))
    {
        true => shell_words::quote(word).into_owned(),
        false => word.to_owned(),
    };
    let mut all = vec![];
    all.extend(cwd.iter().map(|folder| format!("cd {} &&", word(folder))));
    all.extend(
        env.iter()
            .map(|(name, value)| format!("{name}={}", word(value))),
    );
    match shell {
        true => all.extend(words.iter().cloned()),
        false => all.extend(words.iter().map(|w| word(w))),
    }
    all.join(" ")
}

/// What stands behind a device's name on this machine: another machine's `cpu` is another device, the same card in another slot
/// is not.
pub fn hardware(environment: &Environment, device: &str) -> String {
    let listed = environment.devices.iter();
    let what = listed
        .filter_map(|line| line.split_once(": "))
        .find(|(name, _)| *name == device)
        .map_or("", |(_, what)| what);
    let backend = device.split(':').next().unwrap_or(device);
    match backend {
        "cpu" => format!("cpu: {}, {what}", environment.cpu),
        _ => format!("{backend}: {what}"),
    }
}

/// Named values as a JSON object, which programs read more easily than pairs, in their own order.
mod in_order {
    use crate::value::Value;
    use serde::de::{MapAccess, Visitor};
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        values: &[(String, Value)],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_map(values.iter().map(|(name, value)| (name, value)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<(String, Value)>, D::Error> {
        from.deserialize_map(Entries)
    }

    struct Entries;

    impl<'de> Visitor<'de> for Entries {
        type Value = Vec<(String, Value)>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("named values")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut all = vec![];
            while let Some(entry) = map.next_entry()? {
                all.push(entry);
            }
            Ok(all)
        }
    }
}

mod as_mapping {
    use super::in_order;
    use crate::space::Configuration;
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        configuration: &Configuration,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        in_order::serialize(configuration.values(), to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Configuration, D::Error> {
        in_order::deserialize(from).map(Configuration::new)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;
    use crate::record::PhaseOutcome;
    use crate::stats::Comparison;
    use proptest::prelude::*;

    /// A finished run that went from one thread to this many, and whether it confirmed a gain.
    fn run(threads: i64, interval: Option<(f64, f64)>) -> Run {
        let mut header = fixture::header();
        header.run_id = format!("run-{threads}");
        header.environment.devices = vec!["cpu: 2 threads, avx512".into()];
        header.environment.cpu = "Some CPU".into();
        let mut last = fixture::last();
        last.configuration = fixture::configuration(threads);
        last.confirmation = Some(Comparison {
            speedup: interval.map_or(1.0, |(l, u)| f64::midpoint(l, u)),
            interval,
            blocks: 16,
            ..Comparison::default()
        });
        let mut trials = vec![fixture::trial("a", 0), fixture::trial("a", 1)];
        trials[1].configuration = last.configuration.clone();
        Run {
            folder: PathBuf::new(),
            header,
            trials,
            outcomes: vec![PhaseOutcome::default()],
            finals: vec![last],
            is_complete: true,
            samples: vec![],
        }
    }

    fn known(results: &Path) -> Vec<Wisdom> {
        Wisdom::load(results).unwrap()
    }

    #[test]
    fn what_a_run_found_reads_back_whole() {
        let results = tempfile::tempdir().unwrap();
        assert_eq!(known(results.path()), []);
        let mut run = run(4, Some((1.2, 1.3)));
        run.header.plan.cases[0].problem = vec![
            ("preset".into(), Value::Text("tiny".into())),
            ("seed".into(), Value::Int(7)),
            ("noise".into(), Value::Float(1.0)),
        ];
        Wisdom::add(results.path(), &run).unwrap();
        let read = known(results.path());
        assert_eq!(read, Wisdom::of(&run));
        assert_eq!(read[0].device, "cpu: Some CPU, 2 threads, avx512");
        assert_eq!(read[0].workload, "sort");
        // The order of the parameters is the plan's, not the alphabet's.
        assert_eq!(read[0].configuration.values()[0].0, "threads");
        assert_eq!(read[0].size.len(), 2, "without the seed");
        let text = std::fs::read_to_string(Wisdom::file(results.path())).unwrap();
        assert!(text.contains("\"threads\": 4,\n"), "{text}");
    }

    #[test]
    fn a_gain_that_was_not_confirmed_is_not_recommended() {
        for interval in [None, Some((0.99, 1.3)), Some((f64::NAN, 1.3))] {
            let found = &Wisdom::of(&run(4, interval))[0];
            assert_eq!((&found.configuration, found.gain), (&found.baseline, None));
        }
    }

    #[test]
    fn devices_workloads_objectives_and_sizes_are_kept_apart() {
        let results = tempfile::tempdir().unwrap();
        let mut runs = vec![run(4, Some((1.2, 1.3)))];
        let mut other = |change: &dyn Fn(&mut Run)| {
            let mut run = runs[0].clone();
            change(&mut run);
            runs.push(run);
        };
        other(&|run| run.header.environment.cpu = "Another CPU".into());
        other(&|run| run.header.plan.objective = Objective::PeakMemory);
        other(&|run| run.header.plan.workload = WorkloadChoice::Builtin { name: "b".into() });
        other(&|run| run.header.plan.cases[0].problem = vec![("n".into(), Value::Int(2))]);
        for run in &runs {
            Wisdom::add(results.path(), run).unwrap();
        }
        let kept = known(results.path());
        assert_eq!(kept.len(), runs.len());
        assert!(runs.iter().all(|run| kept.contains(&Wisdom::of(run)[0])));
        // In an order of its own, whoever came first.
        let reversed = tempfile::tempdir().unwrap();
        for run in runs.iter().rev() {
            Wisdom::add(reversed.path(), run).unwrap();
        }
        assert_eq!(known(reversed.path()), kept);
    }

    #[test]
    fn the_newer_run_is_believed_unless_the_older_knew_better() {
        let results = tempfile::tempdir().unwrap();
        let threads = || known(results.path())[0].configuration.clone();
        let add = |run: &Run| {
            Wisdom::add(results.path(), run).unwrap();
            threads()
        };
        let four = fixture::configuration(4);
        assert_eq!(add(&run(4, Some((1.2, 1.3)))), four);
        // Plainly less, from the same baseline and commit, without having tried 4 threads.
        assert_eq!(add(&run(3, Some((1.05, 1.1)))), four);
        // Nothing found at all.
        assert_eq!(add(&run(2, None)), four);
        // As good: the newer one.
        assert_eq!(add(&run(5, Some((1.1, 1.25)))), fixture::configuration(5));
        // Another commit: what was faster then says nothing now.
        let mut later = run(6, Some((1.01, 1.02)));
        later.header.environment.git = None;
        assert_eq!(add(&later), fixture::configuration(6));
        // It tried 6 threads as well, and nothing was faster than one.
        let mut both = run(2, None);
        both.trials[1].configuration = fixture::configuration(6);
        assert_eq!(add(&both), fixture::configuration(1));
    }

    #[test]
    fn a_run_that_compared_nothing_or_is_not_complete_adds_nothing() {
        let results = tempfile::tempdir().unwrap();
        let mut baseline_only = run(1, None);
        baseline_only.trials.truncate(1);
        let mut incomplete = run(4, None);
        incomplete.finals.clear();
        for run in [baseline_only, incomplete] {
            Wisdom::add(results.path(), &run).unwrap();
        }
        assert!(!Wisdom::file(results.path()).exists());
    }

    #[test]
    fn many_at_once_lose_nothing() {
        let results = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for i in 0..16 {
                let results = results.path();
                scope.spawn(move || {
                    let mut run = run(4, Some((1.2, 1.3)));
                    run.header.environment.cpu = format!("CPU {i}");
                    Wisdom::add(results, &run).unwrap();
                });
            }
        });
        assert_eq!(known(results.path()).len(), 16);
    }

    #[test]
    fn a_file_that_is_not_understood_is_left_as_it_is() {
        let results = tempfile::tempdir().unwrap();
        let file = Wisdom::file(results.path());
        for (text, why) in [
            ("{\"format\": 1, \"entries\": [", "EOF"),
            ("{\"format\": 2, \"entries\": []}", "format 2"),
        ] {
            std::fs::write(&file, text).unwrap();
            let error = Wisdom::add(results.path(), &run(4, Some((1.2, 1.3)))).unwrap_err();
            assert!(error.to_string().contains(why), "{error}");
            assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
        }
    }

    #[test]
    fn commands_are_named_as_they_are_written() {
        let choice = |shell, words: &[&str]| {
            WorkloadChoice::Command(CommandChoice {
                command: words.iter().map(|w| (*w).to_owned()).collect(),
                shell,
                env: vec![("MODE".into(), "{mode}".into())],
                ..CommandChoice::default()
            })
        };
        let name = |shell, words: &[&str]| workload_name(&choice(shell, words));
        assert_eq!(
            name(false, &["./prog", "--tile", "{tile}", "a b"]),
            "MODE={mode} ./prog --tile {tile} 'a b'"
        );
        assert_eq!(name(true, &["a | b {x}"]), "MODE={mode} a | b {x}");
    }

    fn sized(size: Vec<(String, Value)>) -> Wisdom {
        let mut found = Wisdom::of(&run(4, None)).remove(0);
        found.size = size;
        found
    }

    #[test]
    fn the_distance_is_the_sum_of_log_ratios() {
        let text = |t: &str| Value::Text(t.into());
        let size = |n: i64, x: f64, t: &str| {
            vec![
                ("n".to_owned(), Value::Int(n)),
                ("x".to_owned(), Value::Float(x)),
                ("t".to_owned(), text(t)),
            ]
        };
        let here = sized(size(8, 0.5, "a"));
        let far = here.distance(&size(4, 1.0, "a")).unwrap();
        assert!((far - 2.0 * 2_f64.ln()).abs() < 1e-12);
        let mut turned = size(8, 0.5, "a");
        turned.reverse();
        turned[2].1 = Value::Float(8.0);
        assert_eq!(here.distance(&turned), Some(0.0), "in any order; 8 is 8.0");
        assert_eq!(here.distance(&size(8, 0.5, "b")), None);
        assert_eq!(here.distance(&size(8, 0.5, "a")[..2]), None);
        assert_eq!(here.distance(&size(0, 0.5, "a")), None, "0 has no ratio");
        assert_eq!(
            sized(size(0, 0.5, "a")).distance(&size(0, 0.5, "a")),
            Some(0.0)
        );
    }

    proptest! {
        #[test]
        fn distance_is_symmetric_and_scales_away(a in 1_i64..10_000, b in 1_i64..10_000, factor in 1_i64..100) {
            let size = |n: i64| vec![("n".to_owned(), Value::Int(n))];
            let d = |a, b| sized(size(a)).distance(&size(b)).unwrap();
            prop_assert!((d(a, b) - d(b, a)).abs() < 1e-12);
            prop_assert!((d(a * factor, b * factor) - d(a, b)).abs() < 1e-9);
            prop_assert_eq!(d(a, b) == 0.0, a == b);
        }
    }
}
