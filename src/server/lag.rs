//! Event loop lag of each serving thread: the delay that other work adds to each step of a request, measured by the
//! lateness of a periodic timer.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::admin::State;
use crate::threads::Threads;
use crate::upstream::numbers::Histogram;

/// Measuring interval.
const EVERY: Duration = Duration::from_millis(100);

/// Starts measuring on all threads, for as long as they run.
pub(super) fn measure(threads: &Threads, state: &State) {
    let lags = threads.runtimes().map(|runtime| {
        let lag = Arc::new(Histogram::default());
        runtime.spawn(keep_measuring(Arc::clone(&lag)));
        lag
    });
    // A process has one server, which starts once.
    let _ = state.lags.set(lags.collect());
}

async fn keep_measuring(lag: Arc<Histogram>) {
    loop {
        let due = Instant::now() + EVERY;
        sleep_until(due).await;
        lag.add(due.elapsed());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_busy_thread_is_late() {
        let lag = Arc::new(Histogram::default());
        tokio::spawn(keep_measuring(Arc::clone(&lag)));
        tokio::task::yield_now().await;
        tokio::time::advance(EVERY).await;
        tokio::task::yield_now().await;
        assert_eq!((lag.count(), lag.sum()), (1, Duration::ZERO));
        // As if one poll of a task had taken 300 ms.
        tokio::time::advance(EVERY + Duration::from_millis(300)).await;
        tokio::task::yield_now().await;
        assert_eq!((lag.count(), lag.sum()), (2, Duration::from_millis(300)));
    }
}
