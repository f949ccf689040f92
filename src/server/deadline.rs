//! How long a connection may wait for its client.

use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;

use super::watch::Watch;
use crate::timer::{Stall, Timer};

/// How long a client may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClientTimeouts {
    /// For a head that has begun; none in HTTP/2, whose frames may come at any time.
    pub(super) header: Option<Duration>,
    /// Between requests.
    pub(super) keep_alive: Duration,
    /// While it takes nothing of its answer.
    pub(super) send: Duration,
}

/// The deadline of one connection. It holds only while no request is in flight.
#[derive(Debug)]
pub(super) struct Deadline {
    timeouts: ClientTimeouts,
    /// A part of a head was read.
    head_begun: bool,
    /// Requests that had begun when this was looked at last.
    begun: usize,
    /// When the wait began that goes on now.
    since: Option<Instant>,
    timer: Timer,
    /// A wait for the client to take what is written.
    sending: Stall,
}

impl Deadline {
    pub(super) fn new(timeouts: ClientTimeouts) -> Self {
        Self {
            timeouts,
            head_begun: false,
            begun: 0,
            since: None,
            timer: Timer::default(),
            sending: Stall::default(),
        }
    }

    /// Ready when the client has taken too long; `in_head` where a part of a head is at hand.
    pub(super) fn poll_expired(
        &mut self,
        watch: &Watch,
        in_head: bool,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        self.note_requests(watch);
        if !watch.is_idle() {
            return Poll::Pending;
        }
        // Of pipelined requests the next head may have begun before the last answer ended.
        self.head_begun |= in_head;
        let limit = match self.timeouts.header {
            Some(header) if self.head_begun => header,
            Some(_) | None => self.timeouts.keep_alive,
        };
        let deadline = *self.since.get_or_insert_with(Instant::now) + limit;
        self.poll_sleep(deadline, cx)
    }

    /// Ready at `deadline`.
    pub(super) fn poll_sleep(&mut self, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
        self.timer.poll_at(deadline, cx)
    }

    /// Ready when the client has taken nothing of its answer for too long.
    pub(super) fn poll_stalled(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.sending
            .poll_expired(self.timeouts.send, &mut self.timer, cx)
    }

    /// The client takes its answer.
    pub(super) fn note_taken(&mut self) {
        self.sending.progress();
    }

    /// Notes that bytes came: the head's time counts from its first byte, not from its last.
    pub(super) fn note_bytes(&mut self, watch: &Watch) {
        self.note_requests(watch);
        if watch.is_idle() && !self.head_begun {
            self.head_begun = true;
            self.since = None;
        }
    }

    /// A request that began since the last look ended the wait for its head.
    fn note_requests(&mut self, watch: &Watch) {
        let begun = watch.begun();
        if begun != self.begun || !watch.is_idle() {
            self.begun = begun;
            self.head_begun = false;
            self.since = None;
        }
    }
}
