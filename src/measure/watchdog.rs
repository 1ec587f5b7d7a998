//! Ends an invocation that hangs. In the worker itself, so that no message has to pass between processes while a sample is
//! timed; the campaign's own, coarser deadline catches a worker that hangs altogether.
use crate::trial::VariantId;
use crate::value::Nanoseconds;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// Watches invocations. When one lasts longer than the limit, `expired` is called, which must not return: a
/// thread that hangs cannot be stopped, only its process can.
#[derive(Clone)]
pub struct Watchdog {
    state: Arc<(Mutex<State>, Condvar)>,
    limit: Nanoseconds,
}

impl std::fmt::Debug for Watchdog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watchdog")
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

#[derive(Default)]
struct State {
    running: Vec<(u64, VariantId, Instant)>,
    /// How many have been watched.
    count: u64,
    is_ended: bool,
}

impl Watchdog {
    pub fn new(limit: Nanoseconds, expired: impl Fn(VariantId) + Send + 'static) -> Watchdog {
        let state: Arc<(Mutex<State>, Condvar)> = Arc::default();
        let watched = Arc::downgrade(&state);
        // Looking this often costs nothing worth mentioning and makes the limit good to a twentieth.
        let period = Duration::from_nanos((limit.0 / 20.0).clamp(5e6, 1e9) as u64);
        std::thread::spawn(move || {
            while let Some(state) = watched.upgrade() {
                let guard = state
                    .0
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner);
                let (guard, _) = state
                    .1
                    .wait_timeout(guard, period)
                    .unwrap_or_else(std::sync::PoisonError::into_inner);
                if guard.is_ended {
                    return;
                }
                let hangs = (guard.running.iter())
                    .find(|(_, _, started)| started.elapsed().as_nanos() as f64 > limit.0);
                if let Some(&(_, variant, _)) = hangs {
                    drop(guard);
                    expired(variant);
                    return;
                }
            }
        });
        Watchdog { state, limit }
    }

    /// Runs `work` under the limit.
    pub fn guard<T>(&self, variant: VariantId, work: impl FnOnce() -> T) -> T {
        let _watched = self.watch(variant);
        work()
    }

    fn watch(&self, variant: VariantId) -> Watched<'_> {
        let mut state = self.state();
        state.count += 1;
        let number = state.count;
        state.running.push((number, variant, Instant::now()));
        Watched { by: self, number }
    }

    /// No longer watches.
    pub fn end(&self) {
        self.state().is_ended = true;
        self.state.1.notify_all();
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Until it is dropped, by a panic too.
struct Watched<'a> {
    by: &'a Watchdog,
    number: u64,
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        let mut state = self.by.state();
        state.running.retain(|(n, _, _)| *n != self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn an_invocation_over_the_limit_is_reported_and_one_under_it_is_not() {
        let (sender, receiver) = mpsc::channel();
        let watchdog = Watchdog::new(Nanoseconds(3e7), move |variant| {
            sender.send(variant).unwrap()
        });
        watchdog.guard(VariantId(1), || ());
        watchdog.guard(VariantId(2), || {
            assert_eq!(
                receiver.recv_timeout(Duration::from_secs(20)),
                Ok(VariantId(2))
            );
        });
    }
}
