//! How far reading may be ahead of the device: a ring of fixed or adaptive depth, or the batches that are prefetched.
use super::pipeline_flow::{DEEPEST, FIRST_DEPTH, Flow, Prefetch, Ring, SHALLOWEST};
use std::collections::VecDeque;
use std::time::Duration;

/// Averages are over so many frames, and count from so many on (WORKLOADS §5a).
const AVERAGED: usize = 20;
const ENOUGH: usize = 10;

/// What bounds reading, learnt over invocations where it adapts.
#[derive(Clone, Debug)]
pub(super) struct Window {
    ring: Ring,
    /// Frames after the batch that is asked for.
    ahead: usize,
    depth: usize,
    reads: Recent,
    remaps: Recent,
    /// Of the ring since [`Window::start`]; absent where there is none.
    pub(super) depths: Option<(usize, usize)>,
}

#[derive(Clone, Debug, Default)]
struct Recent(VecDeque<f64>);

impl Recent {
    fn add(&mut self, seconds: f64) {
        self.0.push_back(seconds);
        if self.0.len() > AVERAGED {
            self.0.pop_front();
        }
    }

    fn mean(&self) -> Option<f64> {
        (self.0.len() >= ENOUGH).then(|| self.0.iter().sum::<f64>() / self.0.len() as f64)
    }
}

impl Window {
    pub(super) fn new(flow: &Flow, batch: usize) -> Window {
        let ahead = match flow.prefetch {
            Prefetch::Batches(ahead) => ahead * batch,
            Prefetch::CameraPattern => 0,
        };
        let depth = match flow.ring {
            Ring::None => 0,
            Ring::Fixed(depth) => depth,
            Ring::Adaptive => FIRST_DEPTH,
        };
        Window {
            ring: flow.ring,
            ahead,
            depth,
            reads: Recent::default(),
            remaps: Recent::default(),
            depths: None,
        }
    }

    /// An invocation begins.
    pub(super) fn start(&mut self) {
        self.depths = (self.ring != Ring::None).then_some((self.depth, self.depth));
    }

    /// Frames below this may be read, where `head` is the next to be taken and the batch that is asked for ends before `asked`.
    pub(super) fn limit(&self, head: usize, asked: usize) -> usize {
        match self.ring {
            Ring::None => asked + self.ahead,
            Ring::Fixed(_) | Ring::Adaptive => head + self.depth,
        }
    }

    /// A frame was read in this time.
    pub(super) fn has_read(&mut self, took: Duration) {
        self.reads.add(took.as_secs_f64());
        self.adapt();
    }

    /// So many frames were remapped in this time.
    pub(super) fn has_remapped(&mut self, frames: usize, took: Duration) {
        for _ in 0..frames {
            self.remaps.add(took.as_secs_f64() / frames as f64);
        }
    }

    fn adapt(&mut self) {
        if self.ring != Ring::Adaptive {
            return;
        }
        let (Some(read), Some(remap)) = (self.reads.mean(), self.remaps.mean()) else {
            return;
        };
        let depth = (read / remap.max(1e-9)).round() as usize;
        self.depth = depth.clamp(SHALLOWEST, DEEPEST);
        if let Some((least, most)) = &mut self.depths {
            (*least, *most) = ((*least).min(self.depth), (*most).max(self.depth));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::e2p::pipeline_flow::Pool;

    fn window(ring: Ring, ahead: usize) -> Window {
        let flow = Flow {
            io_threads: 1,
            pool: Pool::PerFrame,
            is_overlapped: false,
            ring,
            prefetch: Prefetch::Batches(ahead),
            cache: 0,
        };
        let mut window = Window::new(&flow, 8);
        window.start();
        window
    }

    #[test]
    fn without_a_ring_a_batch_is_read_when_it_is_asked_for_and_so_many_after_it() {
        assert_eq!(window(Ring::None, 0).limit(3, 8), 8);
        assert_eq!(window(Ring::None, 2).limit(3, 8), 24);
        assert_eq!(window(Ring::Fixed(4), 0).limit(3, 8), 7);
        assert_eq!(window(Ring::None, 0).depths, None);
    }

    #[test]
    fn an_adaptive_ring_goes_where_the_times_send_it_and_stays_in_its_bounds() {
        let ms = Duration::from_millis;
        for (read, remap, depth) in [(12, 2, 6), (1, 100, 4), (500, 1, 16)] {
            let mut window = window(Ring::Adaptive, 0);
            for _ in 0..9 {
                window.has_remapped(1, ms(remap));
                window.has_read(ms(read));
            }
            // Too few to know.
            assert_eq!(window.limit(0, 0), FIRST_DEPTH);
            for _ in 0..30 {
                window.has_remapped(1, ms(remap));
                window.has_read(ms(read));
            }
            assert_eq!(window.limit(0, 0), depth);
            let (least, most) = window.depths.unwrap();
            assert!((SHALLOWEST..=FIRST_DEPTH).contains(&least));
            assert!((FIRST_DEPTH..=DEEPEST).contains(&most));
        }
    }

    #[test]
    fn old_times_are_forgotten() {
        let mut window = window(Ring::Adaptive, 0);
        for (n, read) in [(40, 100), (20, 5)] {
            for _ in 0..n {
                window.has_remapped(2, Duration::from_millis(2));
                window.has_read(Duration::from_millis(read));
            }
        }
        // 5 ms to read over 1 ms to remap one.
        assert_eq!(window.limit(0, 0), 5);
    }
}
