//! What the stages of a pipeline spent, working and waiting, and their spans where a trace is wanted.
#![allow(clippy::disallowed_methods, reason = "stages are timed where they run")]
use crate::trace::{Note, Tracer, Track};
use crate::trial::Stretch;
use crate::value::Nanoseconds;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

pub(super) const STAGES: [&str; 6] = ["read", "decode", "upload", "remap", "download", "hand_on"];
pub(super) const READ: usize = 0;
pub(super) const DECODE: usize = 1;
pub(super) const UPLOAD: usize = 2;
pub(super) const REMAP: usize = 3;
pub(super) const DOWNLOAD: usize = 4;
pub(super) const HAND_ON: usize = 5;

/// Stretches of an invocation that are kept; of a longer one, its beginning.
const MOST_STRETCHES: usize = 2000;

/// Of each stage, summed over its threads, in nanoseconds.
pub(super) struct Meters {
    busy: [AtomicU64; STAGES.len()],
    waiting: [AtomicU64; STAGES.len()],
    began: Instant,
    stretches: Mutex<Vec<Stretch>>,
    tracks: Option<Tracks>,
}

struct Tracks {
    tracer: Tracer,
    readers: Vec<Track>,
    others: Vec<Track>,
}

impl Meters {
    pub(super) fn new(tracer: Option<&Tracer>, readers: usize) -> Meters {
        let tracks = tracer.map(|tracer| Tracks {
            readers: (0..readers)
                .map(|lane| tracer.track(0, &format!("read {lane}")))
                .collect(),
            others: (STAGES.iter().skip(UPLOAD))
                .map(|name| tracer.track(0, name))
                .collect(),
            tracer: tracer.clone(),
        });
        Meters {
            busy: Default::default(),
            waiting: Default::default(),
            began: Instant::now(),
            stretches: Mutex::new(Vec::with_capacity(MOST_STRETCHES)),
            tracks,
        }
    }

    pub(super) fn now(&self) -> Instant {
        Instant::now()
    }

    /// A thread of the stage has waited since then: for work, for room, or for memory.
    pub(super) fn waited(&self, stage: usize, since: Instant) {
        add(&self.waiting[stage], since.elapsed());
    }

    /// A thread of the stage has worked since then on these frames. `lane`: which of the reading threads.
    pub(super) fn worked(&self, stage: usize, lane: usize, since: Instant, frames: &[usize]) {
        let spent = since.elapsed();
        add(&self.busy[stage], spent);
        self.keep(stage, lane, since, spent);
        let Some(tracks) = &self.tracks else { return };
        let track = match stage {
            READ | DECODE => &tracks.readers[lane],
            _ => &tracks.others[stage - UPLOAD],
        };
        let end = tracks.tracer.now();
        let start = crate::trace::Moment(end.0.saturating_sub(spent.as_nanos() as u64));
        let notes: Vec<Note<'_>> = match frames {
            [] => vec![],
            [one] => vec![("frame", (*one).into())],
            [first, .., last] => vec![("frame", (*first).into()), ("last", (*last).into())],
        };
        track.span(STAGES[stage], (start, end), notes);
    }

    fn keep(&self, stage: usize, lane: usize, since: Instant, spent: Duration) {
        let start = (since - self.began).as_nanos() as f64;
        let mut stretches = (self.stretches.lock()).unwrap_or_else(PoisonError::into_inner);
        if stretches.len() < MOST_STRETCHES {
            stretches.push(Stretch {
                stage: stage as u32,
                thread: lane as u32,
                start: Nanoseconds(start),
                end: Nanoseconds(start + spent.as_nanos() as f64),
            });
        }
    }

    /// What each thread did when, in the order of its end.
    pub(super) fn take_stretches(&self) -> Vec<Stretch> {
        std::mem::take(&mut *(self.stretches.lock()).unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn busy(&self, stage: usize) -> Duration {
        Duration::from_nanos(self.busy[stage].load(Ordering::Relaxed))
    }

    pub(super) fn waiting(&self, stage: usize) -> Duration {
        Duration::from_nanos(self.waiting[stage].load(Ordering::Relaxed))
    }
}

fn add(to: &AtomicU64, spent: Duration) {
    to.fetch_add(spent.as_nanos() as u64, Ordering::Relaxed);
}
