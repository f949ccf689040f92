//! Long work on a thread that serves, a little at a time. A task that wakes itself to go on is asked again up to sixty
//! times before its runtime looks at any connection; so whoever has worked for [`TIME_SLICE`] gives the turn away, and the next
//! of those who wait has it when the runtime has looked. However many they are, a request on the same thread waits for one
//! stretch at each of its steps.

use std::cell::Cell;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::yield_now;
use tokio::time::Instant;
use tokio_util::sync::PollSemaphore;

/// How long one works at most, but for the step that ends the stretch.
pub const TIME_SLICE: Duration = Duration::from_micros(500);

thread_local! {
    /// One permit: one works.
    static TURN: Arc<Semaphore> = Arc::new(Semaphore::new(1));
    /// How long was worked since the runtime has looked.
    static WORKED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// One who has long work on this thread.
#[derive(Debug)]
pub struct Turns(PollSemaphore);

/// Permission to work until it [is over](Self::is_over).
#[derive(Debug)]
pub struct Turn {
    permit: Option<OwnedSemaphorePermit>,
    /// As if all of the stretch were of this turn.
    begun: Instant,
}

impl Turns {
    /// Those of this thread.
    pub fn here() -> Self {
        Self(PollSemaphore::new(TURN.with(Arc::clone)))
    }

    /// Ready when it is this one's turn.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Turn> {
        let permit = ready!(self.0.poll_acquire(cx));
        let now = Instant::now();
        Poll::Ready(Turn {
            permit,
            begun: now.checked_sub(WORKED.get()).unwrap_or(now),
        })
    }

    /// Waits for this one's turn.
    pub async fn next(&mut self) -> Turn {
        std::future::poll_fn(|cx| self.poll(cx)).await
    }
}

impl Turn {
    /// Reports whether others are to have theirs.
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
            // Who yields goes on when the runtime has looked.
            runtime.spawn(async move {
                yield_now().await;
                drop(permit);
            });
        }
    }
}

/// Lets the runtime look at its connections, and wakes the task again: for work that is seldom long.
pub fn yield_to_runtime<T>(cx: &mut Context<'_>) -> Poll<T> {
    // Its waker is kept until then, the future need not be.
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
            let all = (0..5).map(|who| {
                let order = Arc::clone(&order);
                tokio::spawn(async move {
                    let mut turns = Turns::here();
                    for _ in 0..4 {
                        let turn = turns.next().await;
                        order.lock().unwrap().push(who);
                        work(&turn);
                    }
                })
            });
            futures_util::future::join_all(all).await;
            // The first has worked before the others have asked.
            let order = order.lock().unwrap();
            assert_eq!(order[..1], [0]);
            assert_eq!(order[1..16], [0, 1, 2, 3, 4].repeat(3));
        });
    }

    #[test]
    fn between_two_stretches_others_are_served_however_many_work() {
        run(async {
            let stretches = Arc::new(AtomicUsize::new(0));
            for _ in 0..50 {
                let stretches = Arc::clone(&stretches);
                tokio::spawn(async move {
                    let mut turns = Turns::here();
                    loop {
                        let turn = turns.next().await;
                        stretches.fetch_add(1, Ordering::Relaxed);
                        work(&turn);
                    }
                });
            }
            for _ in 0..50 {
                let before = stretches.load(Ordering::Relaxed);
                // As what comes on a connection: known when the runtime has looked.
                yield_now().await;
                assert!(stretches.load(Ordering::Relaxed) - before <= 1);
            }
        });
    }

    #[test]
    fn short_ones_add_up() {
        run(async {
            let mut turns = Turns::here();
            let turn = turns.next().await;
            while turn.begun.elapsed() < TIME_SLICE / 2 {}
            drop(turn);
            let turn = turns.next().await;
            assert!(turn.begun.elapsed() >= TIME_SLICE / 2);
            work(&turn);
            drop(turn);
            assert_eq!(WORKED.get(), Duration::ZERO);
            // The runtime has not looked yet.
            assert!(futures_util::poll!(std::pin::pin!(turns.next())).is_pending());
        });
    }
}
