//! The check of one variant: compile it, run it on a poisoned output, compare the output, read the peaks. Apart from the timed
//! blocks, since counting memory and reading outputs back cost time that no sample may contain.
use super::{Bench, batch, joules, memory, nanoseconds_since};
use crate::accuracy::METRICS;
use crate::array::Array;
use crate::plan::Against;
use crate::space::Configuration;
use crate::trial::{Ending, PictureRecord, Place, Stretch, VariantId, Work};
use crate::value::{Bytes, Nanoseconds};
use crate::workload::files;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Asks for the array that outputs are compared with, stored where later workers find it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExpectOrder {
    pub against: Against,
    pub baseline: Configuration,
    /// `.npy`, written by the worker on the campaign's file system.
    pub save: PathBuf,
}

/// Asks for the check of one variant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CheckOrder {
    pub variant: VariantId,
    /// What a trace calls it.
    pub name: String,
    pub configuration: Configuration,
    /// What [`ExpectOrder`] saved; absent where nothing is compared.
    pub expected: Option<PathBuf>,
    /// Pictures go to `run_folder/picture_folder/NAME.npy`; absent where none are wanted.
    pub run_folder: PathBuf,
    pub picture_folder: Option<String>,
    /// Names of the workload's own accuracy metrics.
    pub own_metrics: Vec<String>,
    /// What will be asked for next: compiled now, on all processors.
    pub next: Vec<Configuration>,
}

/// What the check of one variant gave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Checked {
    pub ending: Ending,
    pub compile: Option<Nanoseconds>,
    /// What the check cost in all; time limits count it.
    pub elapsed: Nanoseconds,
    /// The quickest of the check's invocations: what budgets are estimated from, never a result.
    pub invocation: Option<Nanoseconds>,
    #[serde(with = "crate::trial::named_numbers")]
    pub accuracy: Vec<(String, f64)>,
    pub host_peak: Option<Bytes>,
    pub device_peak: Option<Bytes>,
    /// By the device's own timestamps, of the first invocation; absent where it has none.
    #[serde(default)]
    pub device_time: Option<Nanoseconds>,
    /// Whether the device has a counter of energy.
    #[serde(default)]
    pub counts_energy: bool,
    /// Of the executable, as a compiler tells.
    #[serde(default)]
    pub attributes: Vec<(String, f64)>,
    pub resident_peak: Option<Bytes>,
    pub pictures: Vec<PictureRecord>,
    /// Of the last of the check's invocations.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub timeline: Vec<Stretch>,
    pub work: Option<Work>,
    /// Where it was made, if not on the campaign's own machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
}

impl Checked {
    pub fn ended(ending: Ending) -> Checked {
        Checked {
            ending,
            compile: None,
            elapsed: Nanoseconds(0.0),
            invocation: None,
            accuracy: vec![],
            host_peak: None,
            device_peak: None,
            device_time: None,
            counts_energy: false,
            attributes: vec![],
            resident_peak: None,
            pictures: vec![],
            timeline: vec![],
            work: None,
            place: None,
        }
    }
}

/// Makes the expected array and stores it. `Ok(false)`: the workload has no output to compare.
///
/// # Errors
/// Why there is nothing to compare with: the baseline failed, the file cannot be read.
pub fn expect(bench: &Bench, order: &ExpectOrder) -> Result<bool, String> {
    let array = match &order.against {
        Against::Exact => {
            let exact = || bench.workload.exact(&bench.device, &order.baseline);
            let array = bench.watchdog.guard(VariantId::REFERENCE, exact);
            let array =
                array.map_err(|ending| format!("no exact answer: {}", ending.sentence()))?;
            Some(array.ok_or("the workload has no exact answer")?)
        }
        Against::File(file) => Some(files::read_array(Path::new(file), None)?),
        Against::Baseline => {
            let run = || {
                let mut executable = bench.workload.prepare(&bench.device, &order.baseline)?;
                executable.poison();
                executable.run()?;
                executable.output()
            };
            bench
                .watchdog
                .guard(VariantId::REFERENCE, run)
                .map_err(|ending| format!("the baseline has no output: {}", ending.sentence()))?
        }
    };
    match array {
        None => Ok(false),
        Some(array) => files::write_array(&order.save, &array).map(|()| true),
    }
}

/// How often a check invokes a kernel again for the time of an invocation, and for how long at most.
const MOST_AGAIN: usize = 2;
const AGAIN_BELOW_NS: f64 = 2e9;

/// Of a timeline; a picture shows no more.
const MOST_STRETCHES: usize = 1000;

/// Checks one variant.
pub fn check(bench: &Bench, order: &CheckOrder) -> Checked {
    let configurations = std::iter::once(&order.configuration).chain(&order.next);
    bench.compile(configurations.map(|configuration| (order.variant, configuration)));
    let mut checked = Checked::ended(Ending::Completed);
    if let Err(ending) = steps(bench, order, &mut checked) {
        checked.ending = ending;
    }
    checked
}

fn steps(bench: &Bench, order: &CheckOrder, checked: &mut Checked) -> Result<(), Ending> {
    let failed = |reason: String| Ending::Failed { reason };
    let guard = &bench.watchdog;
    let keeps_state = bench.workload.keeps_state();
    memory::reset_resident_peak();
    let counting = memory::Counting::start();
    let started = Instant::now();
    let open = bench.open();
    let mut executable = guard.guard(order.variant, || {
        bench.workload.prepare(&bench.device, &order.configuration)
    })?;
    bench.close(open, "prepare", || ("variant", order.name.clone().into()));
    let elapsed = Nanoseconds(nanoseconds_since(started));
    // A build that an earlier worker made has its own time.
    checked.compile = Some(executable.build_time().unwrap_or(elapsed));
    executable.poison();
    let open = bench.open();
    let (first, wall) = guard.guard(order.variant, || batch(executable.as_mut(), 1, None))?;
    bench.close(open, "first invocation", || {
        ("variant", order.name.clone().into())
    });
    if keeps_state {
        checked.host_peak = Some(counting.peak()).filter(|peak| peak.0 > 0);
        checked.resident_peak = memory::resident_peak();
    } else {
        checked.host_peak = first.host_peak;
    }
    drop(counting);
    checked.device_peak = Some(executable.device_peak()).filter(|peak| peak.0 > 0);
    checked.device_time = first.timing.device;
    checked.counts_energy = joules(&bench.device).is_some();
    checked.work = bench.workload.work(&order.configuration);
    checked.invocation = Some(if keeps_state {
        Nanoseconds(wall)
    } else {
        first.timing.wall
    });
    let output = executable.output()?;
    // The first invocation of an in-process kernel touches its pages for the first time, and one may fall into a bad moment of
    // the machine: budgets want the next.
    let (mut best, mut spent) = (wall, wall);
    for _ in 0..MOST_AGAIN {
        if !keeps_state || spent > AGAIN_BELOW_NS {
            break;
        }
        let (_, again) = guard.guard(order.variant, || batch(executable.as_mut(), 1, None))?;
        (best, spent) = (best.min(again), spent + again);
        checked.invocation = Some(Nanoseconds(best));
    }
    // Of the last invocation: the first one has paid for pages and threads.
    checked.attributes = executable.attributes();
    checked.timeline = executable.timeline();
    checked.timeline.truncate(MOST_STRETCHES);
    let Some(output) = output else { return Ok(()) };
    if let Some(expected) = &order.expected {
        let expected = files::read_array(expected, None).map_err(failed)?;
        checked.accuracy = accuracy(bench, order, &output, &expected).map_err(failed)?;
        let more = executable.own_metrics(&expected);
        let first = order.own_metrics.len().saturating_sub(more.len());
        let names = order.own_metrics[first..].iter().cloned();
        checked.accuracy.extend(names.zip(more));
    }
    if let Some(folder) = &order.picture_folder {
        checked.pictures = pictures(bench, order, folder, &output).map_err(failed)?;
    }
    Ok(())
}

fn accuracy(
    bench: &Bench,
    order: &CheckOrder,
    output: &Array,
    expected: &Array,
) -> Result<Vec<(String, f64)>, String> {
    if output.shape != expected.shape {
        return Err(format!(
            "the output has the shape {:?}, expected was {:?}",
            output.shape, expected.shape
        ));
    }
    let workload = &bench.workload;
    let (compared, with) = (workload.compared(output), workload.compared(expected));
    let mut found: Vec<(String, f64)> = METRICS
        .iter()
        .map(|metric| (metric.name.to_owned(), (metric.distance)(&compared, &with)))
        .collect();
    let own = bench.workload.own_metrics(output, expected);
    found.extend(order.own_metrics.iter().cloned().zip(own));
    Ok(found)
}

fn pictures(
    bench: &Bench,
    order: &CheckOrder,
    folder: &str,
    output: &Array,
) -> Result<Vec<PictureRecord>, String> {
    bench
        .workload
        .pictures(output)
        .into_iter()
        .map(|picture| {
            let file = format!("{folder}/{}.npy", picture.record.file);
            let values = Array {
                shape: vec![picture.record.height, picture.record.width],
                values: crate::array::Values::F32(picture.values),
                is_complex: false,
            };
            files::write_array(&order.run_folder.join(&file), &values)?;
            Ok(PictureRecord {
                file,
                ..picture.record
            })
        })
        .collect()
}
