//! Spans of time for a trace: what ran when, on which thread of which process. Apart from timings, since those are compared and a
//! trace is only looked at. Who has no [`Tracer`] records nothing.
#![allow(
    clippy::disallowed_methods,
    reason = "this module owns the clock of traces"
)]
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Nanoseconds since the beginning of its tracer.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Moment(pub u64);

/// One stretch of time on one thread. Spans of a thread lie inside one another or apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Span {
    /// Index into [`Traced::threads`].
    pub thread: u32,
    pub name: String,
    pub start: Moment,
    pub end: Moment,
    /// What else is known of it: the frame, the variant, whether it is a warm-up.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub notes: BTreeMap<String, serde_json::Value>,
}

/// A thread that spans lie on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thread {
    /// 0 is the process that the tracer is in; the campaign numbers its workers from 1.
    pub process: u32,
    pub name: String,
}

/// What a tracer has collected.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Traced {
    /// Every thread that there ever was.
    pub threads: Vec<Thread>,
    pub spans: Vec<Span>,
    /// Spans for which there was no room.
    pub left_out: u64,
}

/// Collects spans from any thread; its clones are the same tracer.
#[derive(Clone, Debug)]
pub struct Tracer(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    began: Instant,
    /// Spans that are kept from one [`Tracer::take`] to the next.
    most: usize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    traced: Traced,
    count: u64,
}

/// A thread of a tracer, onto which spans are put.
#[derive(Clone, Debug)]
pub struct Track {
    tracer: Tracer,
    index: u32,
}

/// What a span carries beside its name; for [`Track::span`].
pub type Note<'a> = (&'a str, serde_json::Value);

impl Tracer {
    /// Its clock begins now. It keeps `most` spans from one [`Tracer::take`] to the next, and counts the others.
    pub fn new(most: usize) -> Tracer {
        Tracer(Arc::new(Shared {
            began: Instant::now(),
            most,
            kept: Mutex::default(),
        }))
    }

    pub fn now(&self) -> Moment {
        Moment(self.0.began.elapsed().as_nanos() as u64)
    }

    /// The thread of this name in this process; asked for twice, it is the same.
    pub fn track(&self, process: u32, name: &str) -> Track {
        let index = self.kept().thread(process, name);
        Track {
            tracer: self.clone(),
            index,
        }
    }

    /// Spans that were ever put onto it, those without room included.
    pub fn count(&self) -> u64 {
        self.kept().count
    }

    /// What was collected since this was asked last.
    pub fn take(&self) -> Traced {
        let mut kept = self.kept();
        Traced {
            threads: kept.traced.threads.clone(),
            spans: std::mem::take(&mut kept.traced.spans),
            left_out: std::mem::take(&mut kept.traced.left_out),
        }
    }

    /// Adds what another process collected, whose clock is `behind` nanoseconds behind this one.
    pub fn absorb(&self, process: u32, traced: Traced, behind: i64) {
        let mut kept = self.kept();
        let threads = traced.threads.iter();
        let threads: Vec<u32> = threads.map(|t| kept.thread(process, &t.name)).collect();
        kept.traced.left_out += traced.left_out;
        let here = |moment: Moment| Moment(moment.0.saturating_add_signed(behind));
        for span in traced.spans {
            // What a worker says is checked like any input.
            let Some(&thread) = threads.get(span.thread as usize) else {
                continue;
            };
            let (start, end) = (here(span.start), here(span.end));
            let span = Span {
                thread,
                start,
                end,
                ..span
            };
            kept.add(span, self.0.most);
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn thread(&mut self, process: u32, name: &str) -> u32 {
        let threads = &mut self.traced.threads;
        let found = threads
            .iter()
            .position(|t| t.process == process && t.name == name);
        found.unwrap_or_else(|| {
            threads.push(Thread {
                process,
                name: name.into(),
            });
            threads.len() - 1
        }) as u32
    }

    fn add(&mut self, span: Span, most: usize) {
        self.count += 1;
        match self.traced.spans.len() < most {
            true => self.traced.spans.push(span),
            false => self.traced.left_out += 1,
        }
    }
}

impl Track {
    pub fn now(&self) -> Moment {
        self.tracer.now()
    }

    pub fn tracer(&self) -> &Tracer {
        &self.tracer
    }

    /// From `start` until `end`.
    pub fn span<'a>(
        &self,
        name: &str,
        (start, end): (Moment, Moment),
        notes: impl IntoIterator<Item = Note<'a>>,
    ) {
        let notes = notes.into_iter().map(|(key, v)| (key.to_owned(), v));
        let span = Span {
            thread: self.index,
            name: name.into(),
            start,
            end: end.max(start),
            notes: notes.collect(),
        };
        self.tracer.kept().add(span, self.tracer.0.most);
    }
}

/// How far another process's clock is behind this one, from exchanges (asked here, its answer, received here): by the quickest of
/// them, whose half is the most by which it can be wrong. In nanoseconds, both.
///
/// F. Cristian, "Probabilistic clock synchronization", Distributed Computing 3 (1989).
pub fn behind(exchanges: &[(Moment, Moment, Moment)]) -> Option<(i64, u64)> {
    let quickest = exchanges
        .iter()
        .min_by_key(|(asked, _, got)| got.0 - asked.0);
    quickest.map(|&(asked, there, got)| {
        let half = (got.0 - asked.0) / 2;
        ((asked.0 + half) as i64 - there.0 as i64, half)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_of_several_threads_come_back_with_their_threads() {
        let tracer = Tracer::new(100);
        std::thread::scope(|scope| {
            for name in ["read", "remap"] {
                let track = tracer.track(0, name);
                scope.spawn(move || {
                    let start = track.now();
                    track.span(name, (start, track.now()), [("frame", 3.into())]);
                });
            }
        });
        let traced = tracer.take();
        assert_eq!((traced.spans.len(), traced.threads.len()), (2, 2));
        for span in &traced.spans {
            assert_eq!(traced.threads[span.thread as usize].name, span.name);
            assert_eq!(span.notes["frame"], 3);
            assert!(span.start <= span.end);
        }
        assert!(tracer.take().spans.is_empty());
        assert_eq!(tracer.count(), 2);
    }

    #[test]
    fn what_has_no_room_is_counted_and_not_kept() {
        let tracer = Tracer::new(3);
        let track = tracer.track(0, "t");
        let at = (Moment(1), Moment(2));
        (0..10).for_each(|_| track.span("s", at, []));
        let traced = tracer.take();
        assert_eq!((traced.spans.len(), traced.left_out), (3, 7));
        track.span("s", at, []);
        let traced = tracer.take();
        assert_eq!((traced.spans.len(), traced.left_out), (1, 0));
    }

    #[test]
    fn another_process_is_put_onto_this_clock() {
        // Its clock is 1000 behind; the second exchange is the quickest.
        let at = |a, b, c| (Moment(a), Moment(b), Moment(c));
        let exchanges = [
            at(5000, 4400, 5500),
            at(6000, 5005, 6010),
            at(7000, 6300, 7400),
        ];
        assert_eq!(behind(&exchanges), Some((1000, 5)));
        assert_eq!(behind(&[]), None);
        let (here, there) = (Tracer::new(10), Tracer::new(10));
        here.track(0, "campaign");
        there
            .track(0, "measuring")
            .span("cell", (Moment(10), Moment(20)), []);
        here.absorb(2, there.take(), 1000);
        let traced = here.take();
        let span = &traced.spans[0];
        assert_eq!((span.start, span.end), (Moment(1010), Moment(1020)));
        let thread = &traced.threads[span.thread as usize];
        assert_eq!((thread.process, thread.name.as_str()), (2, "measuring"));
    }

    #[test]
    fn a_span_of_a_thread_that_is_not_there_is_left_away() {
        let here = Tracer::new(10);
        let span = Span {
            thread: 7,
            name: "nonsense".into(),
            start: Moment(1),
            end: Moment(2),
            notes: BTreeMap::new(),
        };
        let traced = Traced {
            spans: vec![span],
            ..Traced::default()
        };
        here.absorb(1, traced, 0);
        assert!(here.take().spans.is_empty());
    }
}
