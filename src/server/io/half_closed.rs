//! Clients that close their sending half and read on (RFC 9112 §9.6), as `printf … | nc` does. A client that closes
//! the whole connection sends the same FIN; only the reset that answers the next write distinguishes them.
//!
//! The request therefore continues. After [`SILENCE`] without a write the gateway provokes that reset: before the
//! response with a 100 (Continue). Within a response nothing can be inserted, so a silent script is abandoned, unless
//! it runs to its end anyway.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::rt::Write;
use tokio::time::Instant;

use super::ConnectionIo;
use crate::server::watch::Stage;
use crate::timer::Timer;

/// Time without a write after which the client is probed. Nearly every response begins sooner, without an interim
/// response. A client that has left keeps its place in the queue for this time.
const SILENCE: Duration = Duration::from_secs(1);

/// Interval at which the socket is checked for a reset. epoll does not report it: a stream at its end is always
/// readable.
const CHECK: Duration = Duration::from_millis(250);

/// RFC 9110 §15.2.1: a client that expects no 100 discards it.
const PROBE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// State of a half-closed connection with outstanding responses.
#[derive(Debug)]
pub(super) struct HalfClosed {
    since: Instant,
    next_check: Instant,
    timer: Timer,
    /// Bytes were sent since the FIN: a client that has left answers with a reset.
    written: bool,
}

/// Result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// Check again later.
    Wait,
    /// Write [`PROBE`].
    Ask,
    /// Treat the client as gone.
    Leave,
}

impl ConnectionIo {
    /// Returns the end of the stream once hyper may see it, and an error if the client has left. hyper takes an end
    /// during a request for a disconnect.
    pub(super) fn poll_half_closed(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // RFC 9112 §8: incomplete content fails its request, after the requests before it.
        let is_last = self.connection.watch().ended() + 1 >= self.received.heads();
        if self.owes_nothing() || (self.received.is_in_content() && is_last) {
            return Poll::Ready(Ok(()));
        }
        self.reader = Some(cx.waker().clone());
        while let Some(half_closed) = &mut self.half_closed {
            ready!(half_closed.poll_check(cx));
            let verdict = if self.flushed {
                half_closed.judge(Instant::now(), self.connection.watch().stage())
            } else {
                Verdict::Wait
            };
            if verdict == Verdict::Leave || self.stream().is_hung_up() {
                return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
            }
            if verdict == Verdict::Ask {
                self.probe_half_closed(cx)?;
            }
        }
        Poll::Pending
    }

    /// Writes [`PROBE`]: a client that reads discards it, one that has left answers with a reset.
    fn probe_half_closed(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let Poll::Ready(written) = Pin::new(&mut *self).poll_write(cx, PROBE) else {
            return Ok(());
        };
        if written? < PROBE.len() {
            return Err(io::ErrorKind::WriteZero.into());
        }
        match Pin::new(self).poll_flush(cx) {
            Poll::Ready(flushed) => flushed,
            Poll::Pending => Ok(()),
        }
    }
}

impl HalfClosed {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            since: now,
            next_check: now,
            timer: Timer::default(),
            written: false,
        }
    }

    /// Records that bytes were sent to the client.
    pub(super) fn record_write(&mut self) {
        self.written = true;
    }

    /// Waits for the next check; the first is immediate.
    fn poll_check(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let due = self.timer.poll_at(self.next_check, cx);
        if due.is_ready() {
            self.next_check = Instant::now() + CHECK;
        }
        due
    }

    /// Decides at `now` for a request at this `stage`, when the client has taken all written bytes.
    fn judge(&self, now: Instant, stage: Stage) -> Verdict {
        if self.written || now < self.since + SILENCE {
            return Verdict::Wait;
        }
        match stage {
            Stage::Unanswered => Verdict::Ask,
            // RFC 9110 §15.2: no interim response to HTTP/1.0. Old scripts half-close, browsers use HTTP/1.1.
            Stage::UnansweredHttp10 => Verdict::Wait,
            // Cutting the response would free nothing.
            Stage::AnsweredToTheEnd => Verdict::Wait,
            Stage::Answered => Verdict::Leave,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Verdict::{Ask, Leave, Wait};
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_silent_response_leads_to_a_probe_or_the_end() {
        let begun = Instant::now();
        let early = begun + SILENCE - Duration::from_millis(1);
        for (stage, late) in [
            (Stage::Unanswered, Ask),
            (Stage::UnansweredHttp10, Wait),
            (Stage::Answered, Leave),
            (Stage::AnsweredToTheEnd, Wait),
        ] {
            let mut half_closed = HalfClosed::new(begun);
            assert_eq!(half_closed.judge(early, stage), Wait, "{stage:?}");
            assert_eq!(half_closed.judge(begun + SILENCE, stage), late, "{stage:?}");
            half_closed.record_write();
            let much_later = begun + SILENCE * 100;
            assert_eq!(half_closed.judge(much_later, stage), Wait, "{stage:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_check_is_immediate_and_the_others_periodic() {
        let begun = Instant::now();
        let mut half_closed = HalfClosed::new(begun);
        for checks in 0..4 {
            std::future::poll_fn(|cx| half_closed.poll_check(cx)).await;
            assert_eq!(begun.elapsed(), CHECK * checks);
        }
    }
}
