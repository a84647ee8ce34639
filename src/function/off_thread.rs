//! Work that computes, away from the thread that serves the runtime: whatever it does, the clock goes on there
//! and the invocation answers in time.
//!
//! A thread cannot be stopped. One that is given up runs on to its end, and is counted until then.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::Handle;
use tokio::time::Instant;
use tracing::Instrument;

/// Work that was given up and still runs.
#[derive(Debug, Clone, Default)]
pub(super) struct GivenUp(Arc<AtomicUsize>);

impl GivenUp {
    pub(super) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// Why there is no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    /// It was not done by then, and was given up.
    Late,
    /// It panicked.
    BrokeOff,
}

/// Where one piece of work stands.
#[derive(PartialEq)]
enum State {
    Runs,
    Ended,
    GivenUp,
}

/// Runs the future on a thread of its own until the given time.
pub(super) async fn run<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
    until: Instant,
    given_up: &GivenUp,
) -> Result<T, Cut> {
    let state = Arc::new(Mutex::new(State::Runs));
    let (handle, own, count) = (Handle::current(), Ended(state.clone(), given_up.clone()), given_up.clone());
    let work = work.in_current_span();
    let thread = tokio::task::spawn_blocking(move || {
        let _ended = own;
        handle.block_on(work)
    });
    match tokio::time::timeout_at(until, thread).await {
        Ok(Ok(result)) => Ok(result),
        Ok(Err(_)) => Err(Cut::BrokeOff),
        Err(_) => {
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
            if *state == State::Runs {
                *state = State::GivenUp;
                count.0.fetch_add(1, Ordering::Relaxed);
            }
            Err(Cut::Late)
        }
    }
}

/// Notes the end of the work, also where it panics.
struct Ended(Arc<Mutex<State>>, GivenUp);

impl Drop for Ended {
    fn drop(&mut self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if *state == State::GivenUp {
            self.1.0.fetch_sub(1, Ordering::Relaxed);
        }
        *state = State::Ended;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn soon(millis: u64) -> Instant {
        Instant::now() + Duration::from_millis(millis)
    }

    /// The runtime has one thread: were the work done there, nothing could interrupt it.
    #[tokio::test]
    async fn work_that_does_not_end_in_time_is_given_up_and_counted_until_it_ends() {
        let given_up = GivenUp::default();
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let hangs = async move {
            let _ = ended.recv();
        };
        assert_eq!(run(hangs, soon(50), &given_up).await, Err(Cut::Late));
        assert_eq!(given_up.count(), 1);
        assert_eq!(run(async { 7 }, soon(60_000), &given_up).await, Ok(7), "others go on");
        end.send(()).unwrap();
        while given_up.count() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn it_may_wait_for_timers_and_sockets_as_anywhere() {
        let slow = async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            "done"
        };
        assert_eq!(run(slow, soon(60_000), &GivenUp::default()).await, Ok("done"));
    }

    #[tokio::test]
    async fn a_panic_breaks_off_one_piece_of_work_alone() {
        let panics = async { panic!("as a test does") };
        let result: Result<(), Cut> = run(panics, soon(60_000), &GivenUp::default()).await;
        assert_eq!(result, Err(Cut::BrokeOff));
    }
}
