//! `--trace FILE`: what ran when, in the Trace Event Format that ui.perfetto.dev and chrome://tracing open. Written as it happens,
//! an event a line: a file that ends in the middle, since the campaign was killed, opens as well.
//! <https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU>
#![allow(
    clippy::disallowed_methods,
    reason = "writes the file that the user named"
)]
use super::Failure;
use super::terminal::complain;
use crate::campaign::{Event, Observer};
use crate::trace::{Moment, Note, Span, Thread, Tracer, Track};
use crate::worker::CAMPAIGN_THREAD;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Spans between two events of the campaign, all workers' together; a block of a long pipeline has thousands.
const MOST_AT_ONCE: usize = 200_000;

/// Spans of workers in a file: about 150 MB, which is as much as a viewer in a browser opens. Phases, blocks and checks go on.
const MOST_OF_WORKERS: u64 = 1_000_000;

/// Listens to a campaign and writes its trace.
pub(super) struct TraceFile {
    path: PathBuf,
    tracer: Tracer,
    track: Track,
    file: Written<File>,
    /// Where the first failure to write is kept until it can be told.
    failure: Option<io::Error>,
    campaign: Moment,
    phase: Option<(String, Moment)>,
}

impl TraceFile {
    /// # Errors
    /// When the file cannot be made.
    pub(super) fn create(path: &Path) -> Result<TraceFile, Failure> {
        let failed = |e| Failure::Said(format!("--trace {}: {e}", path.display()));
        let file = File::create(path).map_err(failed)?;
        let tracer = Tracer::new(MOST_AT_ONCE);
        Ok(TraceFile {
            path: path.to_owned(),
            track: tracer.track(0, CAMPAIGN_THREAD),
            file: Written::new(file).map_err(failed)?,
            failure: None,
            campaign: tracer.now(),
            phase: None,
            tracer,
        })
    }

    /// Into which everything that is traced goes.
    pub(super) fn tracer(&self) -> Tracer {
        self.tracer.clone()
    }

    fn end_phase(&mut self, note: Note<'_>) {
        if let Some((name, start)) = self.phase.take() {
            let name = format!("phase {name}");
            self.track.span(&name, (start, self.tracer.now()), [note]);
        }
    }

    fn write(&mut self) {
        let traced = self.tracer.take();
        if self.failure.is_none() {
            self.file.left_out += traced.left_out;
            self.failure = self.file.add(&traced.threads, &traced.spans).err();
        }
    }
}

impl Observer for TraceFile {
    fn event(&mut self, event: &Event<'_>) {
        match event {
            Event::PhaseStarted { case, phase, .. } => {
                let name = match case.is_empty() {
                    true => phase.name.clone(),
                    false => format!("{} of {case}", phase.name),
                };
                self.phase = Some((name, self.tracer.now()));
            }
            Event::PhaseEnded { outcome, .. } => {
                let kept = outcome.kept_variant.as_deref().unwrap_or("the reference");
                self.end_phase(("kept", kept.into()));
            }
            _ => {}
        }
        self.write();
    }
}

impl Drop for TraceFile {
    /// However the campaign ended.
    fn drop(&mut self) {
        self.end_phase(("kept", "nothing: it was not finished".into()));
        let whole = (self.campaign, self.tracer.now());
        self.track.span("campaign", whole, []);
        self.write();
        let ended = self.file.end();
        if let Some(error) = self.failure.take().or(ended.err()) {
            let path = self.path.display();
            complain(&format!("note: the trace {path} is not whole: {error}"));
        }
    }
}

/// Events in the array form, whose closing bracket may be missing.
struct Written<W> {
    to: W,
    threads: usize,
    of_workers: u64,
    left_out: u64,
}

impl<W: Write> Written<W> {
    fn new(mut to: W) -> io::Result<Written<W>> {
        to.write_all(b"[\n")?;
        let mut written = Written {
            to,
            threads: 0,
            of_workers: 0,
            left_out: 0,
        };
        let head =
            json!({"ph": "M", "pid": 1, "name": "process_name", "args": {"name": "campaign"}});
        written.to.write_all(head.to_string().as_bytes())?;
        Ok(written)
    }

    /// Each event is written in one piece with the comma before it: what is there at any moment is whole, the bracket aside.
    fn event(&mut self, event: &Value) -> io::Result<()> {
        self.to.write_all(format!(",\n{event}").as_bytes())
    }

    fn add(&mut self, threads: &[Thread], spans: &[Span]) -> io::Result<()> {
        for (i, thread) in threads.iter().enumerate().skip(self.threads) {
            // Viewers take process 0 for the system's idle one.
            let (process, worker) = (thread.process + 1, thread.process);
            let known = &threads[..i];
            if worker > 0 && known.iter().all(|t| t.process != worker) {
                let name = format!("worker {worker}");
                self.event(&json!({"ph": "M", "pid": process, "name": "process_name", "args": {"name": name}}))?;
            }
            self.event(&json!({"ph": "M", "pid": process, "tid": i + 1, "name": "thread_name", "args": {"name": thread.name}}))?;
            self.event(&json!({"ph": "M", "pid": process, "tid": i + 1, "name": "thread_sort_index", "args": {"sort_index": i}}))?;
        }
        self.threads = self.threads.max(threads.len());
        for span in spans {
            let process = threads[span.thread as usize].process;
            if process > 0 {
                if self.of_workers >= MOST_OF_WORKERS {
                    self.left_out += 1;
                    continue;
                }
                self.of_workers += 1;
            }
            self.event(&json!({
                "ph": "X", "pid": process + 1, "tid": span.thread + 1, "name": span.name,
                "ts": microseconds(span.start.0), "dur": microseconds(span.end.0 - span.start.0), "args": span.notes,
            }))?;
        }
        self.to.flush()
    }

    fn end(&mut self) -> io::Result<()> {
        if self.left_out > 0 {
            let note = format!("{} spans were left out for want of room", self.left_out);
            self.event(&json!({"ph": "i", "s": "g", "pid": 1, "tid": 1, "ts": 0, "name": note}))?;
        }
        self.to.write_all(b"\n]\n")?;
        self.to.flush()
    }
}

/// With the nanoseconds as decimals.
fn microseconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some() -> (Vec<Thread>, Vec<Span>) {
        let tracer = Tracer::new(100);
        let (campaign, cell) = (tracer.track(0, "campaign"), tracer.track(2, "measuring"));
        for i in 0..5 {
            let at = (Moment(1_000 * i), Moment(1_000 * i + 999));
            cell.span("\"hostile\"\n\u{1b}", at, [("frame", i.into())]);
        }
        campaign.span("block", (Moment(0), Moment(9_000)), []);
        let traced = tracer.take();
        (traced.threads, traced.spans)
    }

    fn parsed(text: &[u8]) -> Vec<Value> {
        serde_json::from_slice(text).unwrap()
    }

    #[test]
    fn names_of_processes_and_threads_come_once_and_spans_with_their_decimals() {
        let (threads, spans) = some();
        let mut written = Written::new(vec![]).unwrap();
        written.add(&threads, &spans).unwrap();
        written.add(&threads, &spans).unwrap();
        written.end().unwrap();
        let events = parsed(&written.to);
        let meta: Vec<&Value> = events.iter().filter(|e| e["ph"] == "M").collect();
        // Two processes, two threads with their order.
        assert_eq!((meta.len(), events.len()), (2 + 4, 6 + 12));
        assert!(
            meta.iter()
                .any(|e| e["args"]["name"] == "worker 2" && e["pid"] == 3)
        );
        let cell = events.iter().find(|e| e["ph"] == "X").unwrap();
        assert_eq!((&cell["dur"], &cell["ts"]), (&json!(0.999), &json!(0.0)));
        assert_eq!(cell["name"], "\"hostile\"\n\u{1b}");
    }

    #[test]
    fn a_file_that_ends_after_any_event_opens() {
        let (threads, spans) = some();
        let mut written = Written::new(vec![]).unwrap();
        written.add(&threads, &spans).unwrap();
        let text = String::from_utf8(written.to).unwrap();
        // What viewers do with an array that is not closed.
        for (end, _) in text.match_indices(",\n{").chain([(text.len(), "")]) {
            let closed = format!("{}]", &text[..end]);
            assert!(!parsed(closed.as_bytes()).is_empty(), "{closed}");
        }
    }

    #[test]
    fn what_is_left_out_is_said() {
        let (threads, spans) = some();
        let mut written = Written::new(vec![]).unwrap();
        written.of_workers = MOST_OF_WORKERS - 2;
        written.add(&threads, &spans).unwrap();
        written.end().unwrap();
        let text = String::from_utf8(written.to).unwrap();
        assert!(text.contains("3 spans were left out"), "{text}");
        assert!(text.contains("\"block\""), "the campaign's own go on");
    }
}
