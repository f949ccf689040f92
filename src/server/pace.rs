//! Time slices of HTTP/2 connections. h2 reads for as long as there is something to read, and many frames cost a client
//! less to send than the gateway to process: PING, SETTINGS, PRIORITY, WINDOW_UPDATE (RFC 9113 §10.5). tokio would end
//! that after 128 reads, which is a megabyte of frames. A connection that has read for [`TIME_SLICE`] therefore yields to
//! the other connections of its thread, and takes turns with other long work there.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::time::Instant;

use super::watch::Watch;
use crate::threads::{TIME_SLICE, Turns, yield_to_runtime};

/// Reads of a connection without a pause. The clock is read from the second on, as most connections have one.
#[derive(Debug, Default)]
pub(super) enum ReadSlice {
    #[default]
    Rested,
    Once,
    Since(Instant),
}

impl ReadSlice {
    /// Records a read.
    pub(super) fn record_read(&mut self) {
        match self {
            Self::Rested => *self = Self::Once,
            Self::Once => *self = Self::Since(Instant::now()),
            Self::Since(_) => {}
        }
    }

    /// Reports whether the connection has to yield before its next read.
    pub(super) fn is_over(&self) -> bool {
        matches!(self, Self::Since(begun) if begun.elapsed() >= TIME_SLICE)
    }
}

/// Scheduler of a connection, which marks the end of a slice in its watch.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Turns of the connection, while it has more to read.
    turns: Option<Turns>,
}

impl Pace {
    /// Polls `served` when it is its turn.
    pub(super) fn poll<F: Future>(
        &mut self,
        served: Pin<&mut F>,
        watch: &Watch,
        cx: &mut Context<'_>,
    ) -> Poll<F::Output> {
        let turn = match &mut self.turns {
            Some(turns) => Some(ready!(turns.poll(cx))),
            None => None,
        };
        let polled = served.poll(cx);
        // Dropped, the turn may pass to another.
        drop(turn);
        if watch.take_slice_over() && polled.is_pending() {
            self.turns.get_or_insert_with(Turns::here);
            return yield_to_runtime(cx);
        }
        self.turns = None;
        polled
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use tokio::task::yield_now;

    use super::*;
    use crate::limits::eviction::Evictable;

    #[tokio::test(start_paused = true)]
    async fn a_slice_is_over_when_its_second_read_was_long_ago() {
        let mut slice = ReadSlice::default();
        for (over, advance) in [
            (false, TIME_SLICE),
            (false, TIME_SLICE / 2),
            (false, TIME_SLICE / 2),
        ] {
            assert_eq!(slice.is_over(), over);
            slice.record_read();
            tokio::time::advance(advance).await;
        }
        assert!(slice.is_over());
    }

    #[tokio::test]
    async fn other_tasks_run_between_two_slices_of_any_number_of_connections() {
        let slices = Arc::new(AtomicUsize::new(0));
        for _ in 0..20 {
            let slices = Arc::clone(&slices);
            tokio::spawn(async move {
                let watch = Watch::new(Evictable::new(&Arc::default(), Instant::now()));
                let mut pace = Pace::default();
                let mut floods = pin!(poll_fn(|_| {
                    let begun = Instant::now();
                    while begun.elapsed() < TIME_SLICE {}
                    slices.fetch_add(1, Ordering::Relaxed);
                    watch.mark_slice_over();
                    Poll::<()>::Pending
                }));
                poll_fn(|cx| pace.poll(floods.as_mut(), &watch, cx)).await;
            });
        }
        // Each has its first slice without a turn.
        for _ in 0..3 {
            yield_now().await;
        }
        for _ in 0..20 {
            let before = slices.load(Ordering::Relaxed);
            yield_now().await;
            assert!(slices.load(Ordering::Relaxed) - before <= 1);
        }
        let all = slices.load(Ordering::Relaxed);
        tokio::time::timeout(Duration::from_secs(20), async {
            while slices.load(Ordering::Relaxed) < all + 20 {
                yield_now().await;
            }
        })
        .await
        .unwrap();
    }
}
