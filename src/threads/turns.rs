//! Time slices for long work on a serving thread. A runtime polls a task that wakes itself up to sixty times before it
//! polls its connections. A task that has worked for [`TIME_SLICE`] therefore passes its turn on, and the next has it
//! after the runtime has polled its connections. With any number of such tasks, a request on the same thread waits for
//! one slice at each of its steps.

use std::cell::Cell;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::yield_now;
use tokio::time::Instant;
use tokio_util::sync::PollSemaphore;

/// Length of a time slice. The step that exceeds it is finished.
pub const TIME_SLICE: Duration = Duration::from_micros(500);

thread_local! {
    /// One permit: one task works.
    static TURN: Arc<Semaphore> = Arc::new(Semaphore::new(1));
    /// Time used since the runtime last polled its connections.
    static WORKED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// Source of turns for a task with long work on this thread.
#[derive(Debug)]
pub struct Turns(PollSemaphore);

/// Permission to work until it [is over](Self::is_over).
#[derive(Debug)]
pub struct Turn {
    permit: Option<OwnedSemaphorePermit>,
    /// Start of the time slice, which may have begun with an earlier turn.
    begun: Instant,
}

impl Turns {
    /// Returns a source of turns on the current thread.
    pub fn here() -> Self {
        Self(PollSemaphore::new(TURN.with(Arc::clone)))
    }

    /// Polls for the next turn.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Turn> {
        let permit = ready!(self.0.poll_acquire(cx));
        let now = Instant::now();
        Poll::Ready(Turn {
            permit,
            begun: now.checked_sub(WORKED.get()).unwrap_or(now),
        })
    }

    /// Waits for the next turn.
    pub async fn next(&mut self) -> Turn {
        std::future::poll_fn(|cx| self.poll(cx)).await
    }
}

impl Turn {
    /// Reports whether the time slice is used up.
    pub fn is_over(&self) -> bool {
        self.begun.elapsed() >= TIME_SLICE
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let worked = self.begun.elapsed();
        WORKED.set(worked);
        if worked < TIME_SLICE {
            return;
        }
        WORKED.set(Duration::ZERO);
        if let (Ok(runtime), Some(permit)) = (Handle::try_current(), self.permit.take()) {
            // A yielded task continues after the runtime has polled its connections.
            runtime.spawn(async move {
                yield_now().await;
                drop(permit);
            });
        }
    }
}

/// Lets the runtime poll its connections, and wakes the task again: for work that is rarely long.
pub fn yield_to_runtime<T>(cx: &mut Context<'_>) -> Poll<T> {
    // The runtime keeps the waker, so the future may be dropped.
    let _ = std::pin::pin!(yield_now()).poll(cx);
    Poll::Pending
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn work(turn: &Turn) {
        while !turn.is_over() {}
    }

    fn run(test: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(test);
    }

    #[test]
    fn all_have_their_turns_one_after_the_other() {
        run(async {
            let order = Arc::new(Mutex::new(Vec::new()));
            let all = (0..5).map(|number| {
                let order = Arc::clone(&order);
                tokio::spawn(async move {
                    let mut turns = Turns::here();
                    for _ in 0..4 {
                        let turn = turns.next().await;
                        order.lock().unwrap().push(number);
                        work(&turn);
                    }
                })
            });
            futures_util::future::join_all(all).await;
            // The first has worked before the others request a turn.
            let order = order.lock().unwrap();
            assert_eq!(order[..1], [0]);
            assert_eq!(order[1..16], [0, 1, 2, 3, 4].repeat(3));
        });
    }

    #[test]
    fn other_tasks_run_between_two_slices_of_any_number_of_tasks() {
        run(async {
            let slices = Arc::new(AtomicUsize::new(0));
            for _ in 0..50 {
                let slices = Arc::clone(&slices);
                tokio::spawn(async move {
                    let mut turns = Turns::here();
                    loop {
                        let turn = turns.next().await;
                        slices.fetch_add(1, Ordering::Relaxed);
                        work(&turn);
                    }
                });
            }
            for _ in 0..50 {
                let before = slices.load(Ordering::Relaxed);
                // Like a connection: polled after the yield.
                yield_now().await;
                assert!(slices.load(Ordering::Relaxed) - before <= 1);
            }
        });
    }

    #[test]
    fn short_turns_add_up_to_a_slice() {
        run(async {
            let mut turns = Turns::here();
            // A thread that is not scheduled for so long has used a whole slice.
            while WORKED.get().is_zero() {
                let turn = turns.next().await;
                while turn.begun.elapsed() < TIME_SLICE / 2 {}
            }
            let turn = turns.next().await;
            assert!(turn.begun.elapsed() >= TIME_SLICE / 2);
            work(&turn);
            drop(turn);
            assert_eq!(WORKED.get(), Duration::ZERO);
            // The runtime has not polled its connections yet.
            assert!(futures_util::poll!(std::pin::pin!(turns.next())).is_pending());
        });
    }
}
