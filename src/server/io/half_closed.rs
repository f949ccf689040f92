//! A client that has closed its sending half and reads on (RFC 9112 §9.6), as `printf … | nc` does. A client that has
//! closed the whole connection sends the same FIN; only the reset that answers the next write tells them apart.
//!
//! The request therefore goes on. When nothing was written for [`SILENCE`], the gateway provokes that reset: before the
//! answer with a 100 (Continue). Within an answer nothing can be inserted, so a silent script
//! is let go, unless it is let finish anyway.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::rt::Write;
use tokio::time::Instant;

use super::ConnectionIo;
use crate::server::watch::Stage;
use crate::timer::Timer;

/// Time without a write after which the client is asked. Nearly every answer begins sooner, and no client sees an interim
/// one then. A client that has left keeps its place in the queue for so long.
const SILENCE: Duration = Duration::from_secs(1);

/// Interval at which the kernel is asked for a reset. No event tells of it: to the runtime a stream at its end is always
/// ready to be read.
const LOOK: Duration = Duration::from_millis(250);

/// RFC 9110 §15.2.1: a client that expects no 100 discards it.
const QUESTION: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// The end of what a client sends, while it has answers to come.
#[derive(Debug)]
pub(super) struct HalfClosed {
    since: Instant,
    next_look: Instant,
    timer: Timer,
    /// Bytes went to the client since. If it has left, a reset comes.
    written: bool,
}

/// What follows from a look at the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// Look again later.
    Wait,
    /// Write [`QUESTION`].
    Ask,
    /// Take the client for gone.
    Leave,
}

impl ConnectionIo {
    /// Returns the end of the stream once hyper may see it, which takes it for the client's own while a request is in
    /// flight, and an error where the client has left.
    pub(super) fn poll_half_closed(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // RFC 9112 §8: content that is not complete fails its request, once it is that one's turn.
        let is_last = self.connection.watch().ended() + 1 >= self.received.heads();
        if self.owes_nothing() || (self.received.is_in_content() && is_last) {
            return Poll::Ready(Ok(()));
        }
        self.reader = Some(cx.waker().clone());
        while let Some(half_closed) = &mut self.half_closed {
            ready!(half_closed.poll_look(cx));
            let verdict = match self.flushed {
                true => half_closed.judge(Instant::now(), self.connection.watch().stage()),
                false => Verdict::Wait,
            };
            if verdict == Verdict::Leave || self.stream().is_hung_up() {
                return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
            }
            if verdict == Verdict::Ask {
                self.ask_half_closed(cx)?;
            }
        }
        Poll::Pending
    }

    /// Writes what a client that still reads discards, and one that has left answers with a reset.
    fn ask_half_closed(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let Poll::Ready(written) = Pin::new(&mut *self).poll_write(cx, QUESTION) else {
            return Ok(());
        };
        if written? < QUESTION.len() {
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
            next_look: now,
            timer: Timer::default(),
            written: false,
        }
    }

    /// Notes that bytes went to the client.
    pub(super) fn note_written(&mut self) {
        self.written = true;
    }

    /// Waits until it is time to look at the connection; the first time is at once.
    fn poll_look(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let look = self.timer.poll_at(self.next_look, cx);
        if look.is_ready() {
            self.next_look = Instant::now() + LOOK;
        }
        look
    }

    /// Decides at `now`, when the request is at this `stage` and the client has taken all that was written.
    fn judge(&self, now: Instant, stage: Stage) -> Verdict {
        if self.written || now < self.since + SILENCE {
            return Verdict::Wait;
        }
        match stage {
            Stage::Unanswered => Verdict::Ask,
            // RFC 9110 §15.2: no interim answer to HTTP/1.0. Old scripts half-close, browsers speak HTTP/1.1.
            Stage::UnansweredHttp10 => Verdict::Wait,
            // To cut it would free nothing.
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
    async fn who_is_written_nothing_is_asked_or_left() {
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
            half_closed.note_written();
            let much_later = begun + SILENCE * 100;
            assert_eq!(half_closed.judge(much_later, stage), Wait, "{stage:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_looked_at_at_once_and_then_in_turns() {
        let begun = Instant::now();
        let mut half_closed = HalfClosed::new(begun);
        for looks in 0..4 {
            std::future::poll_fn(|cx| half_closed.poll_look(cx)).await;
            assert_eq!(begun.elapsed(), LOOK * looks);
        }
    }
}
