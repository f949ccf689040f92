//! How long an HTTP/2 connection works at a slice. h2 reads for as long as there is something to read, and many frames
//! cost a client less to send than us to judge: PING, SETTINGS, PRIORITY, WINDOW_UPDATE (RFC 9113 §10.5). tokio would end
//! that after 128 reads, which is a megabyte of frames. So a connection that has read for [`TIME_SLICE`] goes on when its
//! thread has looked at the others, and in turn with whatever else is long there.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::time::Instant;

use super::watch::Watch;
use crate::threads::{TIME_SLICE, Turns, yield_to_runtime};

/// Reads of a connection since it last had nothing to read. The clock is asked from the second on: most have one.
#[derive(Debug, Default)]
pub(super) enum ReadSlice {
    #[default]
    Rested,
    Once,
    Since(Instant),
}

impl ReadSlice {
    /// Notes a read.
    pub(super) fn record_read(&mut self) {
        match self {
            Self::Rested => *self = Self::Once,
            Self::Once => *self = Self::Since(Instant::now()),
            Self::Since(_) => {}
        }
    }

    /// Reports whether no more is to be read before others were served.
    pub(super) fn is_over(&self) -> bool {
        matches!(self, Self::Since(begun) if begun.elapsed() >= TIME_SLICE)
    }
}

/// Polls a connection, which notes in its watch that it has broken off a slice.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// It has more to do, and waits for its turn.
    turns: Option<Turns>,
}

impl Pace {
    /// Polls `served` if it is its turn.
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
        // Its end may give the turn to another.
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
    use crate::limits::room::Seat;

    #[tokio::test(start_paused = true)]
    async fn a_stretch_is_over_when_two_reads_were_long_ago() {
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
    async fn between_two_stretches_others_are_served_however_many_read_on() {
        let stretches = Arc::new(AtomicUsize::new(0));
        for _ in 0..20 {
            let stretches = Arc::clone(&stretches);
            tokio::spawn(async move {
                let watch = Watch::new(Seat::new(&Arc::default(), Instant::now()));
                let mut pace = Pace::default();
                let mut floods = pin!(poll_fn(|_| {
                    let begun = Instant::now();
                    while begun.elapsed() < TIME_SLICE {}
                    stretches.fetch_add(1, Ordering::Relaxed);
                    watch.mark_slice_over();
                    Poll::<()>::Pending
                }));
                poll_fn(|cx| pace.poll(floods.as_mut(), &watch, cx)).await;
            });
        }
        // Each has its first stretch before it is known.
        for _ in 0..3 {
            yield_now().await;
        }
        for _ in 0..20 {
            let before = stretches.load(Ordering::Relaxed);
            yield_now().await;
            assert!(stretches.load(Ordering::Relaxed) - before <= 1);
        }
        let all = stretches.load(Ordering::Relaxed);
        tokio::time::timeout(Duration::from_secs(20), async {
            while stretches.load(Ordering::Relaxed) < all + 20 {
                yield_now().await;
            }
        })
        .await
        .unwrap();
    }
}
