//! Steps of an invocation, ready for the CUDA driver: launches as one graph, copies on a stream of their own beside them.
#![allow(
    unsafe_code,
    clippy::disallowed_methods,
    reason = "calls the CUDA driver; owns the clock around a submission"
)]
use super::{Compiled, Cuda, allocation, ending};
use crate::device::{Action, Buffer, Gpu, Kernel, Passed, Pinned, Recording, Step, Submission};
use crate::trial::{Ending, Timing};
use crate::value::Nanoseconds;
use cudarc::driver::sys;
use cudarc::driver::{CudaContext, CudaEvent, CudaGraph, CudaStream, DriverError, result};
use std::ffi::c_void;
use std::sync::Arc;
use std::time::Instant;

impl Cuda {
    /// Everything of an action that does not change between invocations. `constants` are kernels whose arrays have been set.
    fn prepared(
        &self,
        action: &Action,
        constants: &mut Vec<(Kernel, String)>,
    ) -> Result<Prepared, Ending> {
        match action {
            Action::Upload { to, bytes, .. } => {
                assert!(
                    bytes.len() as u64 <= allocation(to).size,
                    "more bytes than the buffer has"
                );
                let mut pinned = self.pin(bytes.len())?;
                pinned.copy_from_slice(bytes);
                Ok(Prepared::Upload(to.clone(), pinned))
            }
            Action::Launch {
                kernel,
                grid,
                arguments,
            } => {
                let compiled: &Compiled = kernel.of();
                let mut values = vec![];
                for argument in arguments {
                    match argument {
                        Passed::Buffer(buffer) => {
                            values.push(allocation(buffer).pointer.to_ne_bytes().to_vec());
                        }
                        Passed::Scalar(bytes) => values.push(bytes.clone()),
                        Passed::Constant(name, buffer) => {
                            let is_set =
                                |(of, set): &(Kernel, String)| of.is(kernel) && set == name;
                            if !constants.iter().any(is_set) {
                                self.set_constant(compiled, name, allocation(buffer))?;
                                constants.push((kernel.clone(), name.clone()));
                            }
                        }
                    }
                }
                Ok(Prepared::Launch {
                    kernel: kernel.clone(),
                    grid: *grid,
                    values,
                    arguments: arguments.clone(),
                })
            }
        }
    }
}

/// One after the other on the stream, with an event before and one behind.
struct Span {
    stage: Option<usize>,
    /// One upload, not launches.
    is_upload: bool,
    early: Option<Early>,
    /// Early uploads, by span, that must have arrived.
    waits: Vec<usize>,
    actions: Vec<Prepared>,
}

/// An upload that runs on a stream of its own, beside launches that do not use its buffer.
struct Early {
    /// The event that it waits for.
    after: usize,
    starts: CudaEvent,
    arrives: CudaEvent,
}

enum Prepared {
    /// From memory that the device can read by itself.
    Upload(Buffer, Pinned),
    Launch {
        kernel: Kernel,
        grid: [u32; 3],
        /// Of each argument, as the kernel reads it.
        values: Vec<Vec<u8>>,
        /// Alive as long as the launch.
        arguments: Vec<Passed>,
    },
}

impl Prepared {
    fn uses(&self, buffer: &Buffer) -> bool {
        let is_it = |other: &Buffer| Arc::ptr_eq(&buffer.0, &other.0);
        match self {
            Prepared::Upload(to, _) => is_it(to),
            Prepared::Launch { arguments, .. } => arguments.iter().any(|argument| match argument {
                Passed::Buffer(other) | Passed::Constant(_, other) => is_it(other),
                Passed::Scalar(_) => false,
            }),
        }
    }
}

pub(super) struct Recorded {
    context: Arc<CudaContext>,
    /// Its own: what other threads launch neither waits for it nor is captured with it.
    stream: Arc<CudaStream>,
    /// For early uploads.
    copies: Option<Arc<CudaStream>>,
    spans: Vec<Span>,
    /// Early uploads that no later span waits for.
    leftover: Vec<usize>,
    /// Before each span and after the last.
    events: Vec<CudaEvent>,
    stages: usize,
    /// In their order; none where launches are submitted one by one.
    graphs: Vec<Graph>,
}

/// Launches of a recording, mostly all of them, and the events between them, which the driver gets in one call. So the event before a launch is
/// not left waiting for it: given one by one to an idle device, the first event is over some microseconds before the launch
/// arrives, and these would be counted as the kernel's.
struct Graph(CudaGraph);

// SAFETY: a graph may be used by any thread, one at a time (CUDA driver API, "Graph object thread safety"); `run` has it alone.
unsafe impl Send for Graph {}

impl Recording for Recorded {
    fn run(&mut self) -> Result<Timing, Ending> {
        self.context
            .bind_to_thread()
            .map_err(|e| ending("launch", e))?;
        if !self.graphs.is_empty() {
            match self.replay() {
                Ok(timing) => return Ok(timing),
                // What is wrong with a kernel is said below, where the submission is plain and has names.
                Err(_) => self.graphs.clear(),
            }
        }
        let started = Instant::now();
        self.submit().map_err(|(what, e)| ending(&what, e))?;
        self.stream
            .synchronize()
            .map_err(|e| ending("the launch", e))?;
        let wall = Nanoseconds::from(started.elapsed());
        self.timing(wall).map_err(|e| ending("events", e))
    }
}

impl Recorded {
    /// Everything of the steps that does not change between invocations.
    pub(super) fn new(
        gpu: &Cuda,
        steps: &[Step],
        submission: Submission,
    ) -> Result<Recorded, Ending> {
        let event = || {
            let timed = Some(sys::CUevent_flags::CU_EVENT_DEFAULT);
            let made = gpu.context.new_event(timed);
            made.map_err(|e| ending("events", e))
        };
        let new_stream = || (gpu.context.new_stream()).map_err(|e| ending("a stream", e));
        let mut spans: Vec<Span> = vec![];
        let mut constants = vec![];
        for step in steps {
            let action = gpu.prepared(&step.action, &mut constants)?;
            let is_upload = matches!(action, Prepared::Upload { .. });
            match spans.last_mut() {
                // Launches of one stage share a span, and with it its events.
                Some(span) if !is_upload && !span.is_upload && span.stage == step.stage => {
                    span.actions.push(action);
                }
                _ => spans.push(Span {
                    stage: step.stage,
                    is_upload,
                    early: None,
                    waits: vec![],
                    actions: vec![action],
                }),
            }
        }
        let mut leftover = vec![];
        for (i, step) in uploads(steps) {
            let Action::Upload {
                to, is_early: true, ..
            } = &step.action
            else {
                continue;
            };
            let at = span_of(&spans, i);
            let uses = |span: &Span| span.actions.iter().any(|action| action.uses(to));
            spans[at].early = Some(Early {
                // Event 0 is before everything, event n + 1 after span n.
                after: spans[..at].iter().rposition(uses).map_or(0, |n| n + 1),
                starts: event()?,
                arrives: event()?,
            });
            match spans[at + 1..].iter().position(uses) {
                Some(n) => spans[at + 1 + n].waits.push(at),
                None => leftover.push(at),
            }
        }
        let events: Result<Vec<CudaEvent>, Ending> = (0..=spans.len()).map(|_| event()).collect();
        let mut recorded = Recorded {
            copies: match spans.iter().any(|span| span.early.is_some()) {
                true => Some(new_stream()?),
                false => None,
            },
            context: gpu.context.clone(),
            stream: new_stream()?,
            stages: steps
                .iter()
                .filter_map(|s| s.stage)
                .max()
                .map_or(0, |last| last + 1),
            events: events?,
            spans,
            leftover,
            graphs: vec![],
        };
        if gpu.has_graphs && submission != Submission::OneByOne {
            recorded.graphs = recorded.capture(submission).unwrap_or_default();
        }
        Ok(recorded)
    }

    /// The graphs of a recording that only launches; none where the driver refuses them, and then everything is submitted one by
    /// one. Uploads stay outside: some pass launches on another stream, and beside any copy a call costs nothing.
    fn capture(&mut self, submission: Submission) -> Option<Vec<Graph>> {
        if self.spans.iter().any(|span| span.is_upload) {
            return None;
        }
        let mut graphs = vec![];
        let begin = |stream: &CudaStream| {
            let mode = sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
            stream.begin_capture(mode).ok()
        };
        let end = |stream: &Arc<CudaStream>| {
            let graph = stream.end_capture(sys::CUgraphInstantiate_flags(0));
            graph.ok().flatten().map(Graph)
        };
        let mut queue = || {
            begin(&self.stream)?;
            record_in_graph(&self.events[0], &self.stream).ok()?;
            let mut is_empty = true;
            for (span, event) in self.spans.iter_mut().zip(&self.events[1..]) {
                for action in &mut span.actions {
                    if submission == Submission::GraphForEach && !is_empty {
                        graphs.push(end(&self.stream)?);
                        begin(&self.stream)?;
                    }
                    action.submit(&self.stream).ok()?;
                    is_empty = false;
                }
                record_in_graph(event, &self.stream).ok()?;
            }
            Some(())
        };
        let queued = queue();
        // The capture ends whatever came of it: nothing else could use the stream.
        let last = end(&self.stream);
        queued?;
        graphs.push(last?);
        for graph in &graphs {
            graph.0.upload().ok()?;
        }
        self.stream.synchronize().ok()?;
        Some(graphs)
    }

    fn replay(&self) -> Result<Timing, DriverError> {
        let started = Instant::now();
        for graph in &self.graphs {
            graph.0.launch()?;
        }
        self.stream.synchronize()?;
        self.timing(Nanoseconds::from(started.elapsed()))
    }

    /// What the events say, once the stream has been waited for.
    fn timing(&self, wall: Nanoseconds) -> Result<Timing, DriverError> {
        let mut timing = Timing {
            wall,
            device: None,
            stages: vec![Nanoseconds(0.0); self.stages],
        };
        let launches = |span: &Span| !span.is_upload;
        let first = self.spans.iter().position(launches);
        let last = self.spans.iter().rposition(launches);
        if let (Some(first), Some(last)) = (first, last) {
            timing.device = Some(between(&self.events[first], &self.events[last + 1])?);
        }
        for (i, span) in self.spans.iter().enumerate() {
            let Some(stage) = span.stage else { continue };
            let spent = match &span.early {
                Some(early) => between(&early.starts, &early.arrives)?,
                None => between(&self.events[i], &self.events[i + 1])?,
            };
            timing.stages[stage].0 += spent.0;
        }
        Ok(timing)
    }

    fn submit(&mut self) -> Result<(), (String, DriverError)> {
        let named = |e: DriverError| ("event".to_owned(), e);
        self.events[0].record(&self.stream).map_err(named)?;
        for at in 0..self.spans.len() {
            for &upload in &self.spans[at].waits {
                self.wait_for(upload)?;
            }
            let stream = match (&self.spans[at].early, &self.copies) {
                (Some(early), Some(copies)) => {
                    copies.wait(&self.events[early.after]).map_err(named)?;
                    early.starts.record(copies).map_err(named)?;
                    copies
                }
                _ => &self.stream,
            };
            let stream = stream.clone();
            for action in &mut self.spans[at].actions {
                action.submit(&stream)?;
            }
            if let Some(early) = &self.spans[at].early {
                early.arrives.record(&stream).map_err(named)?;
            }
            self.events[at + 1].record(&self.stream).map_err(named)?;
        }
        for &upload in &self.leftover {
            self.wait_for(upload)?;
        }
        Ok(())
    }

    fn wait_for(&self, upload: usize) -> Result<(), (String, DriverError)> {
        match &self.spans[upload].early {
            Some(early) => (self.stream.wait(&early.arrives)).map_err(|e| ("event".to_owned(), e)),
            None => Ok(()),
        }
    }
}

impl Prepared {
    fn submit(&mut self, stream: &CudaStream) -> Result<(), (String, DriverError)> {
        let stream = stream.cu_stream();
        match self {
            Prepared::Upload(to, bytes) => {
                // SAFETY: the buffer has room, and the bytes live until the stream is waited for, in `run`.
                unsafe { result::memcpy_htod_async(allocation(to).pointer, bytes, stream) }
                    .map_err(|e| ("upload".to_owned(), e))
            }
            Prepared::Launch {
                kernel,
                grid,
                values,
                ..
            } => {
                let kernel: &Compiled = kernel.of();
                let mut pointers: Vec<*mut c_void> = values
                    .iter_mut()
                    .map(|value| value.as_mut_ptr().cast())
                    .collect();
                let ([x, y, z], [a, b, c]) = (*grid, kernel.block);
                // SAFETY: the pointers are to the values of the arguments, as many as the plan says; a kernel that takes
                // others reads what it should not, which is the user's program and ends this worker at most.
                unsafe {
                    result::launch_kernel(
                        kernel.function.cu_function(),
                        (x, y, z),
                        (a, b, c),
                        kernel.shared_memory,
                        stream,
                        &mut pointers,
                    )
                }
                .map_err(|e| (kernel.name.clone(), e))
            }
        }
    }
}

/// The steps that upload, with their index.
fn uploads(steps: &[Step]) -> impl Iterator<Item = (usize, &Step)> {
    let is_upload = |(_, step): &(usize, &Step)| matches!(step.action, Action::Upload { .. });
    steps.iter().enumerate().filter(is_upload)
}

/// The span that a step is in.
fn span_of(spans: &[Span], step: usize) -> usize {
    let mut ends = spans.iter().scan(0, |end, span| {
        *end += span.actions.len();
        Some(*end)
    });
    ends.position(|end| step < end).unwrap_or(spans.len() - 1)
}

/// Makes the event part of the graph that is being captured. Recorded as usual it would only order what follows, and never have
/// a time (CUDA driver API, cuEventRecordWithFlags).
fn record_in_graph(event: &CudaEvent, stream: &CudaStream) -> Result<(), (String, DriverError)> {
    let flag = sys::CUevent_record_flags_enum::CU_EVENT_RECORD_EXTERNAL as u32;
    // SAFETY: both are alive, and of one context.
    unsafe { sys::cuEventRecordWithFlags(event.cu_event(), stream.cu_stream(), flag) }
        .result()
        .map_err(|e| ("event".to_owned(), e))
}

fn between(from: &CudaEvent, to: &CudaEvent) -> Result<Nanoseconds, DriverError> {
    Ok(Nanoseconds(f64::from(from.elapsed_ms(to)?) * 1e6))
}
