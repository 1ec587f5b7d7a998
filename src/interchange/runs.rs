//! Between a [`Recording`] and a run of ours. An imported run holds what the file held and nothing else: nothing was measured or
//! compared here, so its trials carry no comparison, and one of them stands as reference only because a run has one.
use super::json::Json;
use super::{Evaluation, Failure, Format, Recording, t4};
use crate::plan::{
    Accuracy, Cache, Case, Declaration, DeviceChoice, Keep, Limits, Objective, Phase, Plan,
    Protocol, Question, Search, WarmUp, WorkloadChoice,
};
use crate::record::{
    Entry, Environment, Header, Imported, ImportedDetail, PhaseOutcome, Run, Store, StoreError,
    Trial,
};
use crate::space::{Configuration, Parameter};
use crate::stats;
use crate::trial::{
    Block, Cell, Conditions, Ending, Invocation, Purpose, Sample, Timing, VariantId, Verdict,
};
use crate::value::Nanoseconds;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Name of the only phase of an imported run.
const PHASE: &str = "recorded";

const NS_PER_MS: f64 = 1e6;

/// Writes a recording as a run under `results`; returns its folder. `file`: where it was read.
///
/// # Errors
/// When the folder cannot be written.
pub fn keep(
    recording: &Recording,
    name: &str,
    file: &str,
    command_line: Vec<String>,
    results: &Path,
) -> Result<PathBuf, StoreError> {
    let ids = ids(recording);
    let header = header(recording, &ids, (name, file), command_line);
    let reference = header.plan.baseline.clone();
    let mut store = Store::create(results, header)?;
    let folder = store.folder().to_owned();
    let elapsed = recording
        .evaluations
        .iter()
        .map(Evaluation::cost_ms)
        .sum::<f64>()
        * NS_PER_MS;
    store.append(&Entry::Block {
        case: String::new(),
        phase: PHASE.into(),
        purpose: Purpose::Screen,
        block: block(recording, &ids, Nanoseconds(elapsed)),
    })?;
    let evaluations = ids.iter().zip(&recording.evaluations);
    let mut trials: Vec<Trial> = evaluations
        .map(|(id, e)| trial(recording, *id, e))
        .collect();
    trials.sort_by_key(|t| t.id);
    store.append(&Entry::PhaseEnded {
        trials,
        outcome: Box::new(PhaseOutcome {
            phase: PHASE.into(),
            kept: reference.clone(),
            reference,
            planned_blocks: 1,
            blocks: 1,
            is_descriptive: true,
            is_trusted: true,
            elapsed: Nanoseconds(elapsed),
            note: Some(note(recording, file)),
            ..PhaseOutcome::default()
        }),
    })?;
    store.finish(&[])?;
    Ok(folder)
}

/// The variant of each evaluation: the first with a value is the reference, the others follow in their order.
fn ids(recording: &Recording) -> Vec<VariantId> {
    let first = recording.evaluations.iter().position(|e| e.value.is_some());
    let first = first.unwrap_or(0);
    let id = |i: usize| match i {
        _ if i == first => 0,
        _ if i < first => i + 1,
        _ => i,
    };
    (0..recording.evaluations.len())
        .map(|i| VariantId(id(i) as u32))
        .collect()
}

fn is_time(objective: &str) -> bool {
    objective.starts_with("time")
}

fn header(
    recording: &Recording,
    ids: &[VariantId],
    (name, file): (&str, &str),
    command_line: Vec<String>,
) -> Header {
    let kernel = recording.kernel.clone().unwrap_or_else(|| "unknown".into());
    let reference = ids.iter().position(|id| *id == VariantId::REFERENCE);
    let baseline = reference.map_or_else(Configuration::default, |i| {
        recording.evaluations[i].configuration.clone()
    });
    let timestamps = recording
        .evaluations
        .iter()
        .filter_map(|e| e.timestamp.clone());
    let details = ids
        .iter()
        .zip(&recording.evaluations)
        .filter_map(|(id, e)| {
            let is_kept_by_samples = !e.times.is_empty()
                && e.timestamp
                    .as_deref()
                    .is_none_or(|at| in_utc(nanoseconds(at)) == at);
            let detail = ImportedDetail {
                variant: *id,
                failure: e.failure.map(|f| f.word().to_owned()),
                timestamp: e.timestamp.clone().filter(|_| !is_kept_by_samples),
            };
            (detail.failure.is_some() || detail.timestamp.is_some()).then_some(detail)
        });
    Header {
        format: 1,
        run_id: String::new(),
        plan: Plan {
            name: name.to_owned(),
            title: format!("{kernel}, imported"),
            workload: WorkloadChoice::Imported {
                kernel: kernel.clone(),
            },
            objective: match is_time(&recording.objective) {
                true => Objective::Runtime,
                false => Objective::Metric(recording.objective.clone()),
            },
            accuracy: Accuracy::default(),
            limits: Limits::default(),
            protocol: protocol(),
            baseline,
            phases: vec![phase(recording)],
            cases: vec![Case {
                name: String::new(),
                device: DeviceChoice::Auto,
                problem: vec![],
            }],
            on: None,
        },
        plan_text: format!(
            "# No plan: imported from {} ({}).\n",
            file.replace('\n', " "),
            recording.format.words()
        ),
        plan_path: file.to_owned(),
        command_line,
        declaration: Declaration {
            name: kernel,
            parameters: recording.parameters.clone(),
            ..Declaration::default()
        },
        environment: Environment {
            started_at: timestamps
                .min()
                .unwrap_or_else(|| "at a time that the file does not tell".into()),
            devices: recording.device.iter().cloned().collect(),
            tool_version: env!("CARGO_PKG_VERSION").into(),
            imported: Some(Imported {
                file: file.to_owned(),
                format: recording.format.words().to_owned(),
                name: recording.name.clone(),
                device: recording.device.clone(),
                kernel: recording.kernel.clone(),
                problem: recording.problem.clone(),
                objective: recording.objective.clone(),
                before_reference: reference.unwrap_or(0) as u32,
                details: details.collect(),
            }),
            ..Environment::default()
        },
        calibration: None,
        ceilings: vec![],
    }
}

/// One pass over what the file holds.
fn protocol() -> Protocol {
    Protocol {
        warm_up: WarmUp::Invocations(0),
        min_blocks: 1,
        max_blocks: 1,
        precision: 0.0,
        confidence: 0.95,
        equivalence: 0.0,
        time_limit: Nanoseconds(0.0),
        trial_timeout: Nanoseconds(0.0),
        repetitions: None,
        cache: Cache::Warm,
        seed: 0,
    }
}

fn phase(recording: &Recording) -> Phase {
    Phase {
        name: PHASE.into(),
        kind: "search".into(),
        title: String::new(),
        after: vec![],
        question: Question::Search(Search {
            parameters: recording.parameters.clone(),
            restrictions: vec![],
            strategy: "as recorded".into(),
            pareto: vec![],
            evaluations: Some(recording.evaluations.len() as u32),
            time: None,
        }),
        keep: Keep::None,
        hypothesis: None,
        criteria: vec![],
        accuracy: None,
    }
}

fn note(recording: &Recording, file: &str) -> String {
    let (all, failed) = (recording.evaluations.len(), recording.failed());
    let reasons: Vec<String> = Failure::ALL
        .into_iter()
        .map(|f| {
            (
                recording
                    .evaluations
                    .iter()
                    .filter(|e| e.failure == Some(f))
                    .count(),
                f,
            )
        })
        .filter(|(n, _)| *n > 0)
        .map(|(n, f)| format!("{n} {}", f.word()))
        .collect();
    let reasons = match reasons.is_empty() {
        true => String::new(),
        false => format!(" ({})", reasons.join(", ")),
    };
    let best = recording.best().map_or_else(String::new, |best| {
        let unit = if is_time(&recording.objective) {
            " ms"
        } else {
            ""
        };
        format!(
            "; the best on record is {} with {} {:.4}{unit}",
            short_name(recording, &best.configuration),
            recording.objective,
            best.value.unwrap_or(f64::NAN),
        )
    });
    format!(
        "imported from {file} ({}): {} configurations with a value, {failed} without{reasons}{best}. They were measured one after the other, not in blocks with a reference, so nothing is compared; the first one with a value merely stands as reference",
        recording.format.words(),
        all - failed,
    )
}

/// Every configuration's samples once, in the order of the file.
fn block(recording: &Recording, ids: &[VariantId], elapsed: Nanoseconds) -> Block {
    let cell = |(id, evaluation): (&VariantId, &Evaluation)| {
        let started_at = evaluation.timestamp.as_deref().map_or(0, nanoseconds);
        let sample = |ms: &f64| Sample {
            invocation: Invocation {
                timing: Timing {
                    wall: Nanoseconds(ms * NS_PER_MS),
                    ..Timing::default()
                },
                // To the last bit, which a change of unit does not keep.
                metrics: vec![*ms],
                ..Invocation::default()
            },
            started_at,
            batch: 1,
            is_warm_up: false,
        };
        Cell {
            variant: *id,
            samples: evaluation.times.iter().map(sample).collect(),
            ending: ending(evaluation.failure),
        }
    };
    Block {
        index: 0,
        purpose: Purpose::Screen,
        worker: 0,
        elapsed,
        cells: ids.iter().zip(&recording.evaluations).map(cell).collect(),
        conditions: Conditions::default(),
        place: None,
    }
}

fn ending(failure: Option<Failure>) -> Ending {
    let failed = |reason: &str| Ending::Failed {
        reason: reason.into(),
    };
    match failure {
        // A wrong answer came to its end.
        None | Some(Failure::Correctness) => Ending::Completed,
        Some(Failure::Constraints) => Ending::Unsupported {
            reason: "against a restriction or a limit of the device".into(),
        },
        Some(Failure::Compile) => failed("it did not compile"),
        Some(Failure::Runtime) => failed("it failed at run time"),
        // Its limit is not on record.
        Some(Failure::Timeout) => failed("it took too long"),
        Some(Failure::Unknown) => failed("it failed; the file does not say why"),
    }
}

fn trial(recording: &Recording, id: VariantId, evaluation: &Evaluation) -> Trial {
    let ending = ending(evaluation.failure);
    let verdict = match evaluation.failure {
        Some(Failure::Correctness) => Verdict::Inaccurate,
        Some(Failure::Timeout) => Verdict::TimedOut,
        Some(_) => ending.verdict().unwrap_or(Verdict::Failed),
        None if id == VariantId::REFERENCE => Verdict::Reference,
        None => Verdict::ScreenedOut,
    };
    let message = match (evaluation.failure, verdict) {
        (Some(Failure::Correctness), _) => Some("its answer was wrong".to_owned()),
        (Some(_), _) => Some(ending.sentence()),
        (None, Verdict::Reference) => None,
        (None, _) => Some("recorded, not compared".into()),
    };
    let is_time = is_time(&recording.objective);
    let quartiles = evaluation
        .value
        .map(|value| match (is_time, evaluation.times.is_empty()) {
            (true, false) => {
                let times: Vec<f64> = evaluation.times.iter().map(|t| t * NS_PER_MS).collect();
                stats::quartiles(&times)
            }
            (true, true) => (value * NS_PER_MS, value * NS_PER_MS, value * NS_PER_MS),
            (false, _) => (value, value, value),
        });
    let own = evaluation
        .value
        .map(|value| (recording.objective.clone(), value));
    let compile = evaluation
        .number("compile_time")
        .filter(|ms| ms.is_finite());
    Trial {
        case: String::new(),
        phase: PHASE.into(),
        kind: "search".into(),
        id,
        name: short_name(recording, &evaluation.configuration),
        device: recording.device.clone().unwrap_or_else(|| "unknown".into()),
        configuration: evaluation.configuration.clone(),
        is_canary: false,
        ending,
        verdict,
        message,
        compile: compile.map(|ms| Nanoseconds(ms * NS_PER_MS)),
        n: u32::from(!evaluation.times.is_empty()),
        quartiles,
        comparison: None,
        confirmation: None,
        accuracy: vec![],
        host_peak: None,
        device_peak: None,
        stages: vec![],
        metrics: own
            .into_iter()
            .chain(evaluation.numbers.iter().cloned())
            .collect(),
        work: None,
        is_kept: false,
        pictures: vec![],
        timeline: vec![],
    }
}

/// The parameters that have more than one value.
fn short_name(recording: &Recording, configuration: &Configuration) -> String {
    let varies = |name: &str| {
        recording
            .parameters
            .iter()
            .any(|p| p.name == name && p.values.len() > 1)
    };
    let values = configuration
        .values()
        .iter()
        .filter(|(name, _)| varies(name));
    let values: Vec<String> = values
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    match values.is_empty() {
        true => "the only configuration".into(),
        false => values.join(", "),
    }
}

/// Since 1970; 0 where it is no time.
fn nanoseconds(timestamp: &str) -> u64 {
    let parsed: Option<jiff::Timestamp> = timestamp.parse().ok();
    parsed
        .and_then(|at| u64::try_from(at.as_nanosecond()).ok())
        .unwrap_or(0)
}

/// As Python's `str(datetime.now(timezone.utc))`: microseconds, where there are any.
fn in_utc(nanoseconds: u64) -> String {
    let at = jiff::Timestamp::from_nanosecond(i128::from(nanoseconds)).unwrap_or_default();
    let micros = nanoseconds / 1000 % 1_000_000;
    let fraction = if micros == 0 {
        String::new()
    } else {
        format!(".{micros:06}")
    };
    format!("{}{fraction}+00:00", at.strftime("%Y-%m-%d %H:%M:%S"))
}

/// What all the phases of one case measured. `case`: its name; may be left out where there is one only.
///
/// # Errors
/// When the case is not there, or has to be named.
pub fn recording(run: &Run, case: Option<&str>) -> Result<Recording, String> {
    let cases: Vec<&str> = run
        .header
        .plan
        .cases
        .iter()
        .map(|c| c.name.as_str())
        .collect();
    let case = match (case, &cases[..]) {
        (Some(name), all) if all.contains(&name) => name,
        (None, [only]) => only,
        _ => {
            return Err(format!(
                "the run has the cases {}; one has to be named with --case",
                cases.join("; ")
            ));
        }
    };
    if run.header.environment.imported.is_some() {
        let mut spaces = searched_spaces(run)?;
        return spaces.pop().ok_or_else(|| "the run holds nothing".into());
    }
    let trials: Vec<&Trial> = run
        .trials
        .iter()
        .filter(|t| t.case == case && !t.is_canary)
        .collect();
    let mut parameters: Vec<Parameter> = vec![];
    for (name, value) in trials.iter().flat_map(|t| t.configuration.values()) {
        match parameters.iter_mut().find(|p| p.name == *name) {
            Some(parameter) if parameter.values.contains(value) => {}
            Some(parameter) => parameter.values.push(value.clone()),
            None => parameters.push(Parameter {
                name: name.clone(),
                values: vec![value.clone()],
            }),
        }
    }
    parameters.iter_mut().for_each(t4::sort);
    if trials.is_empty() {
        return Err("no phase of it has ended".into());
    }
    Ok(collect(
        run,
        &trials,
        run.header.plan.name.clone(),
        parameters,
    ))
}

/// Every phase that tried the configurations of a space, each as a recorded space of its own.
///
/// # Errors
/// When the samples cannot be read.
pub fn searched_spaces(run: &Run) -> Result<Vec<Recording>, String> {
    let plan = &run.header.plan;
    let mut found = vec![];
    for outcome in &run.outcomes {
        let phase = plan.phases.iter().find(|p| p.name == outcome.phase);
        let parameters = match phase.map(|p| &p.question) {
            Some(Question::Search(search)) => &search.parameters,
            Some(Question::Sweep(parameters)) => parameters,
            _ => continue,
        };
        let is_inside = |trial: &&Trial| {
            let has = |p: &Parameter| {
                trial
                    .configuration
                    .get(&p.name)
                    .is_some_and(|v| p.values.contains(v))
            };
            !trial.is_canary && parameters.iter().all(has)
        };
        let trials: Vec<&Trial> = run
            .trials_of(&outcome.case, &outcome.phase)
            .filter(is_inside)
            .collect();
        let name = match (&run.header.environment.imported, outcome.case.as_str()) {
            (Some(imported), _) => imported.name.clone(),
            (None, "") => format!("{}/{}", plan.name, outcome.phase),
            (None, case) => format!("{}/{case}/{}", plan.name, outcome.phase),
        };
        let mut recording = collect(run, &trials, name, parameters.clone());
        if let Some(imported) = &run.header.environment.imported {
            as_imported(&mut recording, run, &trials, imported)?;
        }
        for evaluation in &mut recording.evaluations {
            let value = |p: &Parameter| {
                Some((
                    p.name.clone(),
                    evaluation.configuration.get(&p.name)?.clone(),
                ))
            };
            evaluation.configuration =
                Configuration::new(parameters.iter().filter_map(value).collect());
        }
        found.push(recording);
    }
    Ok(found)
}

/// Samples of one variant.
#[derive(Default)]
struct Samples {
    times: Vec<f64>,
    /// Warm-up and batches included.
    total: f64,
    started_at: u64,
}

fn samples(run: &Run) -> BTreeMap<(&str, &str, VariantId), Samples> {
    let mut all: BTreeMap<(&str, &str, VariantId), Samples> = BTreeMap::new();
    for group in &run.samples {
        for row in &group.rows {
            let of = all
                .entry((&group.case, &group.phase, row.variant))
                .or_default();
            if of.started_at == 0 {
                of.started_at = row.started_at;
            }
            of.total += row.runtime.0 * f64::from(row.batch) / NS_PER_MS;
            if !row.is_warm_up {
                of.times.push(row.runtime.0 / NS_PER_MS);
            }
        }
    }
    all
}

fn collect<'r>(
    run: &'r Run,
    trials: &[&'r Trial],
    name: String,
    parameters: Vec<Parameter>,
) -> Recording {
    let plan = &run.header.plan;
    let mut samples = samples(run);
    let objective = match &plan.objective {
        Objective::Runtime | Objective::DeviceTime => "time".to_owned(),
        Objective::PeakMemory => "host_peak_bytes".into(),
        Objective::Energy => "energy".into(),
        Objective::Metric(name) => name.clone(),
    };
    let scale = if is_time(&objective) { NS_PER_MS } else { 1.0 };
    let mut evaluations = vec![];
    for trial in trials {
        let own = samples
            .remove(&(trial.case.as_str(), trial.phase.as_str(), trial.id))
            .unwrap_or_default();
        let failure = failure(trial);
        let value = trial
            .quartiles
            .filter(|_| failure.is_none())
            .map(|q| q.1 / scale);
        evaluations.push(Evaluation {
            configuration: trial.configuration.clone(),
            value,
            failure: match value {
                Some(_) => None,
                None => Some(failure.unwrap_or(Failure::Unknown)),
            },
            numbers: numbers(run, trial, &own, &objective),
            timestamp: (own.started_at > 0).then(|| in_utc(own.started_at)),
            times: own.times,
        });
    }
    let first = trials.first();
    let case = plan
        .cases
        .iter()
        .find(|c| first.is_some_and(|t| t.case == c.name));
    let problem = case.map(|c| {
        c.problem
            .iter()
            .map(|(n, v)| format!("{n}={v}"))
            .collect::<Vec<_>>()
            .join(", ")
    });
    Recording {
        name,
        format: Format::Run,
        device: first.map(|t| device(run, &t.device)),
        kernel: Some(match &plan.workload {
            WorkloadChoice::Builtin { name } => name.clone(),
            WorkloadChoice::Command(_) => plan.name.clone(),
            WorkloadChoice::Kernel(kernel) => kernel.code.entry.clone(),
            WorkloadChoice::Imported { kernel } => kernel.clone(),
        }),
        problem: problem.map(|text| Json::Text(text).to_string()),
        parameters,
        objective,
        evaluations,
        left_out: vec![],
    }
}

/// What the device is, not its number in this machine.
fn device(run: &Run, name: &str) -> String {
    let environment = &run.header.environment;
    let mut listed = environment
        .devices
        .iter()
        .filter_map(|d| d.split_once(": "));
    match (name, listed.find(|(own, _)| *own == name)) {
        ("cpu" | "host", _) => environment.cpu.clone(),
        (_, Some((_, what))) => what.to_owned(),
        (_, None) => name.to_owned(),
    }
}

fn failure(trial: &Trial) -> Option<Failure> {
    match trial.verdict {
        Verdict::Inaccurate => Some(Failure::Correctness),
        Verdict::TimedOut => Some(Failure::Timeout),
        Verdict::OverLimit | Verdict::Unsupported => Some(Failure::Constraints),
        Verdict::Failed if trial.compile.is_none() => Some(Failure::Compile),
        Verdict::Failed | Verdict::Crashed => Some(Failure::Runtime),
        _ => None,
    }
}

fn numbers(run: &Run, trial: &Trial, own: &Samples, objective: &str) -> Vec<(String, f64)> {
    if let Some(imported) = &run.header.environment.imported {
        let is_value = |name: &str| name == imported.objective && trial.quartiles.is_some();
        let others = trial.metrics.iter().filter(|(name, _)| !is_value(name));
        return others.cloned().collect();
    }
    let compile = trial
        .compile
        .map(|c| ("compile_time".to_owned(), c.0 / NS_PER_MS));
    let benchmark = (own.total > 0.0).then(|| ("benchmark_time".to_owned(), own.total));
    let peaks = [
        ("host_peak_bytes", trial.host_peak),
        ("device_peak_bytes", trial.device_peak),
    ];
    let peaks = peaks
        .into_iter()
        .filter_map(|(name, peak)| Some((name.to_owned(), peak?.0 as f64)));
    let names = run.header.declaration.stages.iter();
    let stages = names
        .zip(&trial.stages)
        .map(|(name, time)| (format!("time_{name}"), time.0 / NS_PER_MS));
    let all = compile
        .into_iter()
        .chain(benchmark)
        .chain(peaks)
        .chain(stages);
    let declared = trial.accuracy.iter().chain(&trial.metrics).cloned();
    all.chain(declared)
        .filter(|(name, _)| name != objective)
        .collect()
}

/// What an imported run keeps beside its trials: the name of the objective, times to the last bit, reasons of failures.
fn as_imported(
    recording: &mut Recording,
    run: &Run,
    trials: &[&Trial],
    imported: &Imported,
) -> Result<(), String> {
    recording.device.clone_from(&imported.device);
    recording.kernel.clone_from(&imported.kernel);
    recording.problem.clone_from(&imported.problem);
    recording.objective.clone_from(&imported.objective);
    let exact = run
        .column("metric.recorded_ms")
        .map_err(|e| e.to_string())?;
    let rows = run.samples.iter().flat_map(|group| &group.rows);
    let mut times: BTreeMap<VariantId, Vec<f64>> = BTreeMap::new();
    for (row, ms) in rows.zip(exact) {
        times.entry(row.variant).or_default().push(ms);
    }
    let details: BTreeMap<VariantId, &ImportedDetail> =
        imported.details.iter().map(|d| (d.variant, d)).collect();
    for (trial, evaluation) in trials.iter().zip(&mut recording.evaluations) {
        evaluation.times = times.remove(&trial.id).unwrap_or_default();
        let value = trial
            .metrics
            .iter()
            .find(|(name, _)| *name == imported.objective);
        evaluation.value = value.map(|(_, v)| *v).filter(|_| trial.quartiles.is_some());
        let detail = details.get(&trial.id);
        let word = detail.and_then(|d| d.failure.as_ref());
        evaluation.failure = word.map(|word| {
            let known = Failure::ALL.into_iter().find(|f| f.word() == word);
            known.unwrap_or(Failure::Unknown)
        });
        if let Some(at) = detail.and_then(|d| d.timestamp.clone()) {
            evaluation.timestamp = Some(at);
        }
    }
    // In the order of the file, which the number of the reference breaks.
    let first = trials.iter().position(|t| t.id == VariantId::REFERENCE);
    let before = imported.before_reference as usize;
    if let Some(first) = first.filter(|_| before > 0) {
        let reference = recording.evaluations.remove(first);
        recording
            .evaluations
            .insert(before.min(recording.evaluations.len()), reference);
    }
    Ok(())
}

/// A name for folders under results/, and of a plan: [a-z0-9_-].
pub fn plan_name(written: &str) -> String {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    let safe = |c: char| {
        Some(c.to_ascii_lowercase())
            .filter(|c| fits(*c))
            .unwrap_or('_')
    };
    let name: String = written.chars().map(safe).take(64).collect();
    match name.trim_start_matches('-') {
        "" => "imported".into(),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_survives_nanoseconds() {
        for at in [
            "2023-12-22 09:53:48.691683+00:00",
            "2023-12-22 09:53:48+00:00",
        ] {
            assert_eq!(in_utc(nanoseconds(at)), at);
        }
        assert_eq!(nanoseconds("yesterday"), 0);
    }

    #[test]
    fn any_file_name_makes_a_name() {
        assert_eq!(
            plan_name("Convolution Milo.A4000"),
            "convolution_milo_a4000"
        );
        assert_eq!(plan_name("--"), "imported");
        assert_eq!(plan_name("é"), "_");
    }
}
