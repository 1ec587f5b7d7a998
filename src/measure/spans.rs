//! Notes what is measured for a trace: cells, samples, the stages of each. Nothing of it lies between the two readings of the clock
//! that a sample is made of.
use super::Bench;
use crate::trace::{Moment, Note, Tracer, Track};
use crate::trial::{Sample, Timing};

/// Where a bench notes what it measures.
#[derive(Debug)]
pub struct Spans {
    measuring: Track,
    stages: Track,
    /// Of the workload, as it declares them.
    names: Vec<String>,
}

/// The beginning of a span, where there is a trace.
pub(super) struct Open {
    at: Moment,
    /// Spans that the workload and everything else had given until then.
    count: u64,
}

impl Spans {
    /// `stages`: the names of the workload's.
    pub fn new(tracer: &Tracer, stages: Vec<String>) -> Spans {
        Spans {
            measuring: tracer.track(0, "measuring"),
            stages: tracer.track(0, "stages"),
            names: stages,
        }
    }

    /// Only durations of stages are measured, so they are laid end to end, and narrower where they overlapped and would not fit.
    /// A workload that has given spans itself knows better.
    fn lay_stages(&self, timing: &Timing, batch: u32, start: Moment, end: Moment) {
        let spent = || timing.stages.iter().map(|s| s.0 * f64::from(batch));
        let total: f64 = spent().sum();
        let room = (end.0 - start.0) as f64;
        let scale = if total > room { room / total } else { 1.0 };
        let mut at = start.0 as f64;
        for (name, spent) in self.names.iter().zip(spent()) {
            let next = at + spent * scale;
            if spent > 0.0 {
                let span = (Moment(at as u64), Moment((next as u64).min(end.0)));
                let notes: [Note<'_>; 2] = [
                    ("measured_us", (spent / 1e3).into()),
                    ("laid", "end to end".into()),
                ];
                self.stages.span(name, span, notes);
            }
            at = next;
        }
    }
}

impl Bench {
    pub(super) fn open(&self) -> Option<Open> {
        let spans = self.spans.as_ref()?;
        Some(Open {
            at: spans.measuring.now(),
            count: spans.measuring.tracer().count(),
        })
    }

    /// `note`: what else is known, asked only where there is a trace.
    pub(super) fn close(
        &self,
        open: Option<Open>,
        name: &str,
        note: impl FnOnce() -> Note<'static>,
    ) {
        if let (Some(open), Some(spans)) = (open, &self.spans) {
            let now = spans.measuring.now();
            spans.measuring.span(name, (open.at, now), [note()]);
        }
    }

    /// A sample ends; one that failed has no time.
    pub(super) fn close_sample(&self, open: Option<Open>, variant: &str, sample: Option<&Sample>) {
        let (Some(open), Some(spans)) = (open, &self.spans) else {
            return;
        };
        let now = spans.measuring.now();
        let has_own = spans.measuring.tracer().count() > open.count;
        let mut notes: Vec<Note<'_>> = vec![("variant", variant.into())];
        let name = match sample {
            None => "failed sample",
            Some(sample) => {
                let timing = &sample.invocation.timing;
                notes.push(("wall_us", (timing.wall.0 / 1e3).into()));
                if let Some(device) = timing.device {
                    notes.push(("device_us", (device.0 / 1e3).into()));
                }
                if sample.batch > 1 {
                    notes.push(("batch", sample.batch.into()));
                }
                if !has_own {
                    spans.lay_stages(timing, sample.batch, open.at, now);
                }
                match sample.is_warm_up {
                    true => "warm-up",
                    false => "sample",
                }
            }
        };
        spans.measuring.span(name, (open.at, now), notes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Nanoseconds;

    /// Start and end of each stage that was laid.
    fn laid(stages: &[f64], batch: u32, room: u64) -> Vec<(String, u64, u64)> {
        let tracer = Tracer::new(100);
        let names = ["read", "sort", "sum"].map(str::to_owned).to_vec();
        let timing = Timing {
            stages: stages.iter().map(|s| Nanoseconds(*s)).collect(),
            ..Timing::default()
        };
        let spans = Spans::new(&tracer, names);
        spans.lay_stages(&timing, batch, Moment(100), Moment(100 + room));
        let spans = tracer.take().spans.into_iter();
        spans.map(|s| (s.name, s.start.0, s.end.0)).collect()
    }

    #[test]
    fn stages_lie_end_to_end_in_their_sample() {
        let named = |name: &str, start, end| (name.to_owned(), start, end);
        assert_eq!(
            laid(&[10.0, 0.0, 30.0], 2, 90),
            [named("read", 100, 120), named("sum", 120, 180)]
        );
        // Stages that overlapped are drawn narrower, with what was measured in their notes.
        assert_eq!(
            laid(&[100.0, 50.0, 50.0], 1, 100),
            [
                named("read", 100, 150),
                named("sort", 150, 175),
                named("sum", 175, 200)
            ]
        );
        assert_eq!(laid(&[], 1, 100), []);
    }
}
