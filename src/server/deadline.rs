//! Timeouts of a connection that waits for its client.

use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;

use super::watch::Watch;
use crate::timer::{Stall, Timer};

/// Timeouts for a client.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClientTimeouts {
    /// `server.limits.header`, from the first byte of a head; none in HTTP/2, whose frames may come at any time.
    pub(super) header: Option<Duration>,
    /// Idle time between requests.
    pub(super) keep_alive: Duration,
    /// Time without progress while a response is written.
    pub(super) send: Duration,
}

/// Deadline of one connection. It applies only while no request is in flight.
#[derive(Debug)]
pub(super) struct Deadline {
    timeouts: ClientTimeouts,
    /// A part of a head has been read.
    head_begun: bool,
    /// Number of requests begun at the last check.
    begun: usize,
    /// Start of the current wait.
    since: Option<Instant>,
    timer: Timer,
    /// The wait for the client to take written bytes.
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

    /// Polls the header or keep-alive timeout; `in_head` if a part of a head has arrived.
    pub(super) fn poll_expired(
        &mut self,
        watch: &Watch,
        in_head: bool,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        self.record_requests(watch);
        if !watch.is_idle() {
            return Poll::Pending;
        }
        // A pipelined head may begin before the previous response ends.
        self.head_begun |= in_head;
        let limit = match self.timeouts.header {
            Some(header) if self.head_begun => header,
            Some(_) | None => self.timeouts.keep_alive,
        };
        let deadline = *self.since.get_or_insert_with(Instant::now) + limit;
        self.poll_sleep(deadline, cx)
    }

    /// Waits until `deadline`.
    pub(super) fn poll_sleep(&mut self, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
        self.timer.poll_at(deadline, cx)
    }

    /// Waits until the client has taken nothing of its response for the send timeout.
    pub(super) fn poll_stalled(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.sending
            .poll_expired(self.timeouts.send, &mut self.timer, cx)
    }

    /// Records that the client has taken a part of its response.
    pub(super) fn record_progress(&mut self) {
        self.sending.progress();
    }

    /// Records received bytes: the header timeout counts from the first byte of the head, not from its last.
    pub(super) fn record_bytes(&mut self, watch: &Watch) {
        self.record_requests(watch);
        if watch.is_idle() && !self.head_begun {
            self.head_begun = true;
            self.since = None;
        }
    }

    /// Ends the wait for a head when a request has begun since the last check.
    fn record_requests(&mut self, watch: &Watch) {
        let begun = watch.begun();
        if begun != self.begun || !watch.is_idle() {
            self.begun = begun;
            self.head_begun = false;
            self.since = None;
        }
    }
}
