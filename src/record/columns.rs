//! The columns of `samples.parquet` and `trials.parquet`: name, unit, what it is, where the value comes from. The two tables
//! here are the only places where columns are listed; a new measured quantity is a field of `Sample` and a line here.
use super::{Header, Trial};
use crate::plan::{Case, DeviceChoice, Objective, Plan, WorkloadChoice};
use crate::space::Configuration;
use crate::trial::{Block, Cell, Purpose, Sample};
use crate::value::Value;
use std::borrow::Cow;

/// One sample with everything around it: a row of `samples.parquet`.
pub(super) struct SampleFacts<'a> {
    pub(super) header: &'a Header,
    pub(super) case: &'a str,
    pub(super) phase: &'a str,
    pub(super) kind: &'a str,
    pub(super) variant: &'a str,
    pub(super) device: &'a str,
    pub(super) configuration: &'a Configuration,
    pub(super) purpose: Purpose,
    pub(super) block: &'a Block,
    pub(super) position: usize,
    pub(super) cell: &'a Cell,
    pub(super) repetition: usize,
    pub(super) sample: &'a Sample,
}

/// One trial with its run: a row of `trials.parquet`.
pub(super) struct TrialFacts<'a> {
    pub(super) header: &'a Header,
    pub(super) trial: &'a Trial,
}

/// A column. What is missing is null.
pub(super) struct ColumnEntry<R> {
    pub(super) name: String,
    /// "ns", "bytes", "J"; empty for what has none.
    pub(super) unit: &'static str,
    pub(super) about: &'static str,
    pub(super) fill: Fill<R>,
}

/// Where the values come from, and with it their type.
pub(super) enum Fill<R> {
    Text(Box<TextOf<R>>),
    Whole(Box<ValueOf<R, i64>>),
    Real(Box<ValueOf<R, f64>>),
    Truth(Box<ValueOf<R, bool>>),
}

type ValueOf<R, T> = dyn Fn(&R) -> Option<T>;
type TextOf<R> = dyn for<'r> Fn(&'r R) -> Option<Cow<'r, str>>;

/// The columns of one file, in its order.
pub(super) struct Table<R> {
    pub(super) columns: Vec<ColumnEntry<R>>,
}

impl<R> Table<R> {
    fn new() -> Table<R> {
        Table { columns: vec![] }
    }

    /// A file cannot have two columns of one name: the second `metric.a` becomes `metric.a_2`.
    fn add(&mut self, name: &str, unit: &'static str, about: &'static str, fill: Fill<R>) {
        let is_taken = |name: &str| self.columns.iter().any(|c| c.name == name);
        let mut names =
            std::iter::once(name.to_owned()).chain((2..).map(|n| format!("{name}_{n}")));
        let name = names.find(|name| !is_taken(name)).expect("endless");
        self.columns.push(ColumnEntry {
            name,
            unit,
            about,
            fill,
        });
    }

    fn text(
        &mut self,
        name: &str,
        about: &'static str,
        of: impl for<'r> Fn(&'r R) -> Option<&'r str> + 'static,
    ) {
        self.add(
            name,
            "",
            about,
            Fill::Text(Box::new(move |row| of(row).map(Cow::Borrowed))),
        );
    }

    fn whole(
        &mut self,
        name: &str,
        unit: &'static str,
        about: &'static str,
        of: impl Fn(&R) -> Option<i64> + 'static,
    ) {
        self.add(name, unit, about, Fill::Whole(Box::new(of)));
    }

    fn real(
        &mut self,
        name: &str,
        unit: &'static str,
        about: &'static str,
        of: impl Fn(&R) -> Option<f64> + 'static,
    ) {
        self.add(name, unit, about, Fill::Real(Box::new(of)));
    }

    fn truth(
        &mut self,
        name: &str,
        about: &'static str,
        of: impl Fn(&R) -> Option<bool> + 'static,
    ) {
        self.add(name, "", about, Fill::Truth(Box::new(of)));
    }
}

/// In the order of the file. `configurations`: all that occur, for the types of the parameters' columns.
#[rustfmt::skip] // one line a column: a table is read as one
pub(super) fn of_samples<'a>(
    header: &Header,
    configurations: &[&Configuration],
) -> Table<SampleFacts<'a>> {
    let mut t = Table::<SampleFacts<'a>>::new();
    t.text("experiment", "name of the plan", |r| Some(&r.header.plan.name));
    t.text("run_id", "UTC time of its start, and commit", |r| Some(&r.header.run_id));
    t.text("case", "case of the plan's matrix; empty without one", |r| Some(r.case));
    t.text("phase", "name of the phase; `final` for the confirmation of the whole", |r| Some(r.phase));
    t.text("kind", "kind of the phase", |r| Some(r.kind));
    t.text("variant", "name of the variant", |r| Some(r.variant));
    t.whole("variant_id", "", "index of the variant in its phase; 0 is the reference", |r| Some(r.cell.variant.0.into()));
    t.text("device", "cpu, wgpu:N or cuda:N", |r| Some(r.device));
    t.text("purpose", "what the block was for: race, screen, confirm", |r| Some(purpose_word(r.purpose)));
    t.whole("block", "", "counts within phase and purpose", |r| Some(r.block.index.into()));
    t.whole("position", "", "place of the cell in its block", |r| Some(r.position as i64));
    t.whole("repetition", "", "place of the sample in its cell", |r| Some(r.repetition as i64));
    t.whole("worker", "", "counts the worker processes", |r| Some(r.block.worker.into()));
    t.truth("warm_up", "recorded, never compared", |r| Some(r.sample.is_warm_up));
    t.whole("started_at", "ns", "since 1970, UTC", |r| Some(r.sample.started_at as i64));
    t.real("runtime_ns", "ns", "wall time of one invocation, from submission to completion", |r| Some(r.sample.invocation.timing.wall.0));
    t.real("user_ns", "ns", "processor time in user mode", |r| r.sample.invocation.user.map(|t| t.0));
    t.real("system_ns", "ns", "processor time in the kernel", |r| r.sample.invocation.system.map(|t| t.0));
    t.real("device_ns", "ns", "time by the device's own timestamps", |r| r.sample.invocation.timing.device.map(|t| t.0));
    t.whole("host_peak_bytes", "bytes", "peak memory of the host", |r| r.sample.invocation.host_peak.map(|b| b.0 as i64));
    t.whole("device_peak_bytes", "bytes", "peak memory of the device", |r| r.sample.invocation.device_peak.map(|b| b.0 as i64));
    t.real("energy_j", "J", "energy of one invocation, where it is the objective", |r| r.sample.invocation.joules);
    t.real("steal", "", "share of the processors' time that a hypervisor gave to others while the block ran", |r| r.block.conditions.steal);
    t.real("stall", "", "share of the block's time in which some task waited for a processor", |r| r.block.conditions.stall);
    t.real("load", "", "load average of the last minute, for each processor", |r| r.block.conditions.load);
    t.real("clock_mhz", "MHz", "mean clock of the processors at the block's end", |r| r.block.conditions.megahertz);
    t.whole("throttled", "", "times that a processor slowed itself down for its heat while the block ran", |r| r.block.conditions.throttled.map(|n| n as i64));
    let is_cuda = |case: &Case| matches!(case.device, DeviceChoice::Cuda(_));
    if header.plan.cases.iter().any(is_cuda) {
        t.real("gpu_energy_j", "J", "energy that the GPU used in the block", |r| r.block.conditions.gpu?.joules);
        t.real("gpu_power_w", "W", "power of the GPU at the block's end", |r| r.block.conditions.gpu?.watts);
        t.real("gpu_clock_mhz", "MHz", "clock of the GPU's multiprocessors at the block's end", |r| r.block.conditions.gpu?.megahertz);
        t.real("gpu_temperature_c", "°C", "temperature of the GPU at the block's end", |r| r.block.conditions.gpu?.celsius);
        t.real("gpu_utilization", "", "share of the block's last moments in which some kernel ran", |r| r.block.conditions.gpu?.utilization);
        t.truth("gpu_hot", "whether the GPU slowed itself down for its heat", |r| Some(r.block.conditions.gpu?.is_hot));
        t.truth("gpu_capped", "whether the GPU slowed itself down for its power limit", |r| Some(r.block.conditions.gpu?.is_capped));
    }
    if header.plan.on.is_some() {
        t.text("node", "node of the cluster that the block ran on", |r| r.block.place.as_ref().map(|p| p.node.as_str()));
        t.text("platform", "class of that node's hardware", |r| r.block.place.as_ref().map(|p| p.platform.as_str()));
        t.text("bound_cpus", "processors that the worker was bound to, read back", |r| r.block.place.as_ref()?.cpus.as_deref());
        t.text("bound_memory", "NUMA nodes, likewise", |r| r.block.place.as_ref()?.memory_nodes.as_deref());
    }
    t.whole("batch", "", "invocations that the times are the mean of", |r| Some(r.sample.batch.into()));
    t.real("objective", "", "what the plan minimizes", |r| objective(r.sample, &r.header.plan));
    t.text("git_commit", "of the repository that the plan is in", |r| r.header.environment.git.as_ref().map(|g| g.commit.as_str()));
    t.truth("git_dirty", "whether tracked files differed from the commit", |r| r.header.environment.git.as_ref().map(|g| g.is_dirty));
    of_parameters(&mut t, configurations, |r| r.configuration);
    for (i, metric) in metrics(header).enumerate() {
        let of = move |r: &SampleFacts<'a>| r.sample.invocation.metrics.get(i).copied();
        t.real(&format!("metric.{metric}"), "", "declared by the plan or the workload", of);
    }
    for (i, stage) in header.declaration.stages.iter().enumerate() {
        let of = move |r: &SampleFacts<'a>| r.sample.invocation.timing.stages.get(i).map(|t| t.0);
        t.real(&format!("stage.{stage}_ns"), "ns", "time in this stage of the workload", of);
    }
    t
}

/// In the order of the file.
#[rustfmt::skip]
pub(super) fn of_trials<'a>(
    header: &Header,
    trials: &[Trial],
    configurations: &[&Configuration],
) -> Table<TrialFacts<'a>> {
    let is_time = matches!(header.plan.objective, Objective::Runtime | Objective::DeviceTime);
    let mut t = Table::<TrialFacts<'a>>::new();
    t.text("experiment", "name of the plan", |r| Some(&r.header.plan.name));
    t.text("run_id", "UTC time of its start, and commit", |r| Some(&r.header.run_id));
    t.text("case", "case of the plan's matrix; empty without one", |r| Some(&r.trial.case));
    t.text("phase", "name of the phase", |r| Some(&r.trial.phase));
    t.text("kind", "kind of the phase", |r| Some(&r.trial.kind));
    t.text("variant", "name of the variant", |r| Some(&r.trial.name));
    t.whole("variant_id", "", "index of the variant in its phase; 0 is the reference", |r| Some(r.trial.id.0.into()));
    t.text("device", "cpu, wgpu:N or cuda:N", |r| Some(&r.trial.device));
    t.truth("is_canary", "a clone of the reference that shows what no difference looks like", |r| Some(r.trial.is_canary));
    t.text("status", "how it ended: completed, failed, timed out, crashed, over limit, unsupported", |r| {
        Some(r.trial.ending.verdict().map_or("completed", |v| v.words()))
    });
    t.text("verdict", "what was found about it", |r| Some(r.trial.verdict.words()));
    t.text("message", "why, in a sentence", |r| r.trial.message.as_deref());
    t.truth("kept", "whether the phase hands it on", |r| Some(r.trial.is_kept));
    t.real("compile_ns", "ns", "time to compile or build it", |r| r.trial.compile.map(|c| c.0));
    t.whole("n", "", "completed cells", |r| Some(r.trial.n.into()));
    t.real("objective_q1", "", "what the plan minimizes: lower quartile of the cells", |r| r.trial.quartiles.map(|q| q.0));
    t.real("objective_median", "", "what the plan minimizes: median of the cells", |r| r.trial.quartiles.map(|q| q.1));
    t.real("objective_q3", "", "what the plan minimizes: upper quartile of the cells", |r| r.trial.quartiles.map(|q| q.2));
    t.real("q1_ns", "ns", "lower quartile of the cells, where the objective is a time", move |r| r.trial.quartiles.filter(|_| is_time).map(|q| q.0));
    t.real("median_ns", "ns", "median of the cells, where the objective is a time", move |r| r.trial.quartiles.filter(|_| is_time).map(|q| q.1));
    t.real("q3_ns", "ns", "upper quartile of the cells, where the objective is a time", move |r| r.trial.quartiles.filter(|_| is_time).map(|q| q.2));
    t.real("speedup", "", "against the phase's reference; screening, optimistic", |r| r.trial.comparison.as_ref().map(|c| c.speedup));
    t.real("speedup_lower", "", "lower bound of its interval", |r| r.trial.comparison.as_ref()?.interval.map(|i| i.0));
    t.real("speedup_upper", "", "upper bound of its interval", |r| r.trial.comparison.as_ref()?.interval.map(|i| i.1));
    t.real("p_value", "", "of the screening, two-sided", |r| r.trial.comparison.as_ref().map(|c| c.p_value));
    t.whole("blocks", "", "blocks that the screening compared", |r| r.trial.comparison.as_ref().map(|c| c.blocks.into()));
    t.real("confirmed_speedup", "", "against the phase's reference, on fresh blocks", |r| r.trial.confirmation.as_ref().map(|c| c.speedup));
    t.real("confirmed_lower", "", "lower bound of its interval", |r| r.trial.confirmation.as_ref()?.interval.map(|i| i.0));
    t.real("confirmed_upper", "", "upper bound of its interval", |r| r.trial.confirmation.as_ref()?.interval.map(|i| i.1));
    t.real("confirmed_p_value", "", "of the confirmation, two-sided", |r| r.trial.confirmation.as_ref().map(|c| c.p_value));
    t.whole("confirmed_blocks", "", "blocks of the confirmation", |r| r.trial.confirmation.as_ref().map(|c| c.blocks.into()));
    t.whole("host_peak_bytes", "bytes", "peak memory of the host", |r| r.trial.host_peak.map(|b| b.0 as i64));
    t.whole("device_peak_bytes", "bytes", "peak memory of the device", |r| r.trial.device_peak.map(|b| b.0 as i64));
    t.real("work.flops", "", "useful operations of one invocation", |r| r.trial.work.map(|w| w.flops));
    t.real("work.sqrt", "", "square roots and divisions of one invocation", |r| r.trial.work.map(|w| w.sqrt));
    t.real("work.trig", "", "sines, exponentials and their like of one invocation", |r| r.trial.work.map(|w| w.trig));
    t.real("work.bytes", "bytes", "every input read once, every output written once", |r| r.trial.work.map(|w| w.bytes));
    t.text("git_commit", "of the repository that the plan is in", |r| r.header.environment.git.as_ref().map(|g| g.commit.as_str()));
    t.truth("git_dirty", "whether tracked files differed from the commit", |r| r.header.environment.git.as_ref().map(|g| g.is_dirty));
    for name in names(trials.iter().flat_map(|t| &t.accuracy)) {
        let column = format!("accuracy.{name}");
        let of = move |r: &TrialFacts<'a>| named(&r.trial.accuracy, &name);
        t.real(&column, "", "distance of the output from what it should be", of);
    }
    for name in names(trials.iter().flat_map(|t| &t.metrics)) {
        let column = format!("metric.{name}");
        let of = move |r: &TrialFacts<'a>| named(&r.trial.metrics, &name);
        t.real(&column, "", "declared by the plan or the workload: median of the samples, or of the check", of);
    }
    for (i, stage) in header.declaration.stages.iter().enumerate() {
        let of = move |r: &TrialFacts<'a>| r.trial.stages.get(i).map(|s| s.0);
        t.real(&format!("stage.{stage}_ns"), "ns", "median time in this stage of the workload", of);
    }
    of_parameters(&mut t, configurations, |r| &r.trial.configuration);
    t
}

/// One column a parameter, in its own type. Whole and real values together are real; other mixtures are text.
fn of_parameters<R>(
    table: &mut Table<R>,
    configurations: &[&Configuration],
    of: impl for<'r> Fn(&'r R) -> &'r Configuration + Copy + 'static,
) {
    let values = || configurations.iter().flat_map(|c| c.values());
    for name in names(values()) {
        let all = |is: fn(&Value) -> bool| values().filter(|(n, _)| *n == name).all(|(_, v)| is(v));
        let title = format!("param.{name}");
        let about = "tuning parameter";
        if all(|v| matches!(v, Value::Bool(_))) {
            table.truth(&title, about, move |r| match of(r).get(&name)? {
                Value::Bool(v) => Some(*v),
                _ => None,
            });
        } else if all(|v| matches!(v, Value::Int(_))) {
            table.whole(&title, "", about, move |r| match of(r).get(&name)? {
                Value::Int(v) => Some(*v),
                _ => None,
            });
        } else if all(|v| matches!(v, Value::Int(_) | Value::Float(_))) {
            table.real(&title, "", about, move |r| match of(r).get(&name)? {
                Value::Int(v) => Some(*v as f64),
                Value::Float(v) => Some(*v),
                _ => None,
            });
        } else {
            let fill = Fill::Text(Box::new(move |r| match of(r).get(&name)? {
                Value::Text(v) => Some(Cow::Borrowed(v.as_str())),
                other => Some(Cow::Owned(other.to_string())),
            }));
            table.add(&title, "", about, fill);
        }
    }
}

/// Each name once, in the order of first sight.
fn names<'n, T: 'n>(pairs: impl Iterator<Item = &'n (String, T)>) -> Vec<String> {
    let mut names: Vec<String> = vec![];
    for (name, _) in pairs {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

fn named(pairs: &[(String, f64)], name: &str) -> Option<f64> {
    pairs.iter().find(|(n, _)| n == name).map(|(_, v)| *v)
}

pub(super) fn purpose_word(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Race => "race",
        Purpose::Screen => "screen",
        Purpose::Confirm => "confirm",
        Purpose::Calibrate => "calibrate",
    }
}

pub(super) fn purpose_of(word: &str) -> Option<Purpose> {
    [
        Purpose::Race,
        Purpose::Screen,
        Purpose::Confirm,
        Purpose::Calibrate,
    ]
    .into_iter()
    .find(|p| purpose_word(*p) == word)
}

/// The value of one sample that the plan minimizes; absent where it was not measured.
pub fn objective(sample: &Sample, plan: &Plan) -> Option<f64> {
    quantity(sample, &plan.objective, plan)
}

/// The value of one sample; absent where it was not measured.
pub fn quantity(sample: &Sample, of: &Objective, plan: &Plan) -> Option<f64> {
    let invocation = &sample.invocation;
    match of {
        Objective::Runtime => Some(invocation.timing.wall.0),
        Objective::DeviceTime => invocation.timing.device.map(|t| t.0),
        Objective::PeakMemory => invocation.host_peak.map(|b| b.0 as f64),
        Objective::Energy => invocation.joules,
        Objective::Metric(name) => {
            let index = declared_metrics(plan).position(|metric| metric == name)?;
            invocation.metrics.get(index).copied()
        }
    }
}

/// What invocations tell beside times, in its order: the metrics of a command, the counters of a built-in workload.
pub fn metrics(header: &Header) -> impl Iterator<Item = &str> {
    let counters = header.declaration.counters.iter();
    declared_metrics(&header.plan).chain(counters.map(|(name, _)| name.as_str()))
}

fn declared_metrics(plan: &Plan) -> impl Iterator<Item = &str> {
    let (declared, recorded) = match &plan.workload {
        WorkloadChoice::Command(command) => (&command.metrics[..], None),
        WorkloadChoice::Builtin { .. } | WorkloadChoice::Kernel(_) => (&[][..], None),
        WorkloadChoice::Imported { .. } => (&[][..], Some("recorded_ms")),
    };
    let declared = declared.iter().map(|metric| metric.name.as_str());
    declared.chain(recorded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fills(configurations: &[&Configuration]) -> Vec<(String, &'static str)> {
        let mut table = Table::new();
        of_parameters(&mut table, configurations, |c: &Configuration| c);
        let kind = |fill: &Fill<Configuration>| match fill {
            Fill::Text(_) => "text",
            Fill::Whole(_) => "whole",
            Fill::Real(_) => "real",
            Fill::Truth(_) => "truth",
        };
        table
            .columns
            .iter()
            .map(|c| (c.name.clone(), kind(&c.fill)))
            .collect()
    }

    #[test]
    fn a_parameter_has_the_narrowest_type_that_holds_its_values() {
        let one = |value| Configuration::new(vec![("p".into(), value)]);
        let kind = |a: &Configuration, b: &Configuration| fills(&[a, b])[0].1;
        let (truth, whole) = (one(Value::Bool(true)), one(Value::Int(3)));
        let (real, text) = (one(Value::Float(0.5)), one(Value::Text("auto".into())));
        assert_eq!(kind(&truth, &truth), "truth");
        assert_eq!(kind(&whole, &whole), "whole");
        assert_eq!(kind(&whole, &real), "real");
        assert_eq!(kind(&whole, &text), "text");
        assert_eq!(kind(&truth, &whole), "text");
    }

    #[test]
    fn no_two_columns_have_one_name() {
        let mut table = Table::<()>::new();
        for _ in 0..3 {
            table.real("metric.a", "", "", |()| None);
        }
        let names: Vec<_> = table.columns.iter().map(|c| c.name.as_str()).collect();
        assert_eq!(names, ["metric.a", "metric.a_2", "metric.a_3"]);
    }
}
