//! How long an HTTP/2 connection works at a stretch. h2 reads for as long as there is something to read, and many frames
//! cost a client less to send than us to judge: PING, SETTINGS, PRIORITY, WINDOW_UPDATE (RFC 9113 §10.5). tokio would end
//! that after 128 reads, which is a megabyte of frames. So a connection that has read for [`STRETCH`] goes on when its
//! thread has looked at the others, and in turn with whatever else is long there.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::time::Instant;

use super::watch::Watch;
use crate::threads::{STRETCH, Turns, after_others};

/// Reads of a connection since it last had nothing to read. The clock is asked from the second on: most have one.
#[derive(Debug, Default)]
pub(super) enum Stretch {
    #[default]
    Rested,
    Once,
    Since(Instant),
}

impl Stretch {
    /// Notes a read.
    pub(super) fn go_on(&mut self) {
        match self {
            Self::Rested => *self = Self::Once,
            Self::Once => *self = Self::Since(Instant::now()),
            Self::Since(_) => {}
        }
    }

    /// Reports whether no more is to be read before others were served.
    pub(super) fn is_over(&self) -> bool {
        matches!(self, Self::Since(begun) if begun.elapsed() >= STRETCH)
    }
}

/// Polls a connection, which notes in its watch that it has broken off a stretch.
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
        if watch.take_broken_off() && polled.is_pending() {
            self.turns.get_or_insert_with(Turns::here);
            return after_others(cx);
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
    async fn a_stretch_is_over_when_two_reads_were_long_ago() {
        let mut stretch = Stretch::default();
        for (over, advance) in [(false, STRETCH), (false, STRETCH / 2), (false, STRETCH / 2)] {
            assert_eq!(stretch.is_over(), over);
            stretch.go_on();
            tokio::time::advance(advance).await;
        }
        assert!(stretch.is_over());
    }

    #[tokio::test]
    async fn between_two_stretches_others_are_served_however_many_read_on() {
        let stretches = Arc::new(AtomicUsize::new(0));
        for _ in 0..20 {
            let stretches = Arc::clone(&stretches);
            tokio::spawn(async move {
                let watch = Watch::new(Evictable::new(&Arc::default(), Instant::now()));
                let mut pace = Pace::default();
                let mut floods = pin!(poll_fn(|_| {
                    let begun = Instant::now();
                    while begun.elapsed() < STRETCH {}
                    stretches.fetch_add(1, Ordering::Relaxed);
                    watch.break_off();
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
