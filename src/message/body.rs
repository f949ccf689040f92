//! The content of a request on its way to PHP: empty, incoming from hyper, or spooled.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::Body;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout};

use super::spool::Spooled;
use super::upload_deadline::{UploadDeadline, WaitClock};
use super::{Expectation, Refusal};
use crate::limits::budget::{Over, Part};
use crate::limits::per_client::Counted;
use crate::value::ByteSize;

/// Time limit for discarding the content of an answered request, so that a client in the middle of
/// an upload reads the answer and not a reset (nginx: `lingering_time`).
const LINGER: Duration = Duration::from_secs(30);

/// Longest pause of the client while its content is discarded (nginx: `lingering_timeout`).
const LINGER_PAUSE: Duration = Duration::from_secs(5);

/// Period over which the rate of a client is judged.
const RATE_WINDOW: Duration = Duration::from_secs(10);

/// Bytes that are read ahead while a request waits for a worker: without reading, a closed
/// connection goes unnoticed. They are charged to the client; without a share left, nothing is read ahead.
const AHEAD: usize = 64 * 1024;

/// Content, readable at most once.
#[derive(Debug)]
pub enum Upload {
    /// None: neither Content-Length nor Transfer-Encoding, or a length of 0 (RFC 9112 §6.3).
    Empty,
    /// Content that arrives, with its length where the client announced one.
    Incoming(Box<Arriving>),
    /// Content received whole.
    Spooled(Spooled),
    /// Content whose beginning is spooled, followed by the rest as it arrives.
    Resumed(Spooled, Box<Arriving>),
}

/// Content that hyper receives. Dropped before its end, it is discarded in the background.
#[derive(Debug)]
pub struct Arriving {
    /// `None` at its end.
    body: Option<Incoming>,
    length: Option<u64>,
    /// Met at the first read.
    expectation: Expectation,
    /// Content read ahead, and the memory that it is charged to.
    ahead: VecDeque<Bytes>,
    memory: Option<Part>,
    rate: Rate,
    clock: Option<WaitClock>,
    streamed: Option<Counted>,
}

/// The minimum rate of a client, measured over the time spent waiting for it.
#[derive(Debug)]
struct Rate {
    /// Bytes a second; 0 is no limit.
    least: u64,
    /// Start of the current wait for the client.
    waiting: Option<Instant>,
    /// Duration of earlier waits.
    waited: Duration,
    /// Bytes received in that time.
    bytes: u64,
}

/// An error that ends the content early.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// The client closed the connection or broke the framing.
    #[error("the client's request body broke off: {0}")]
    Client(hyper::Error),
    /// The head guard refused the framing.
    #[error("the client's request body is malformed: {0}")]
    Malformed(Refusal),
    /// More than `limits.body`.
    #[error("the request body is larger than limits.body = {limit} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit: u64,
    },
    /// `limits.body_pause` passed without a byte.
    #[error("the client sent nothing of its request body for limits.body_pause = {} s", .pause.as_secs())]
    Stalled {
        /// The limit.
        pause: Duration,
    },
    /// Less than `limits.body_rate` arrived.
    #[error("the client sent its request body slower than {least} bytes a second (limits.body_rate, limits.stream_rate) for {} s", RATE_WINDOW.as_secs())]
    TooSlow {
        /// The limit, in bytes a second.
        least: u64,
    },
    /// A client whose content is streamed because it was fast became slow while other requests
    /// waited for the worker.
    #[error("the client sent its request body fast at first and then kept a worker waiting for {} s, while other requests waited for that worker", .within.as_secs())]
    Late {
        /// Total time that a worker waits.
        within: Duration,
    },
    /// `server.spool_quota` is exhausted.
    #[error("no room to spool: {over} of server.spool_quota = \"{}\"", ByteSize(*.total))]
    SpoolFull {
        /// The exhausted share.
        over: Over,
        /// The quota of all requests, in bytes.
        total: u64,
    },
    /// Writing to or reading from the spool failed.
    #[error("the request body could not be spooled: {0}")]
    Spool(#[from] std::io::Error),
}

impl Upload {
    /// Wraps the body that hyper delivers with a request of this `expectation`. `least` is the minimum rate, in bytes a
    /// second.
    pub fn new(body: Incoming, expectation: Expectation, least: u64) -> Self {
        if body.is_end_stream() {
            return Self::Empty;
        }
        let length = body.size_hint().exact();
        Self::Incoming(Box::new(Arriving {
            body: Some(body),
            length,
            expectation,
            ahead: VecDeque::new(),
            memory: None,
            rate: Rate::new(least),
            clock: None,
            streamed: None,
        }))
    }

    /// Returns the expectation of the client, which content that has arrived does not have.
    pub fn expectation(&self) -> Expectation {
        match self {
            Self::Incoming(arriving) | Self::Resumed(_, arriving) => arriving.expectation.clone(),
            Self::Empty | Self::Spooled(_) => Expectation::default(),
        }
    }

    /// Returns the length in bytes; `None` while it is not known.
    pub fn length(&self) -> Option<u64> {
        match self {
            Self::Empty => Some(0),
            Self::Incoming(arriving) | Self::Resumed(_, arriving) => arriving.length,
            Self::Spooled(spooled) => Some(spooled.length()),
        }
    }

    /// Sets the minimum rate, in bytes a second, from the moment at which a worker waits for the content.
    pub(super) fn set_minimum_rate(&mut self, least: u64) {
        if let Self::Incoming(arriving) | Self::Resumed(_, arriving) = self {
            arriving.rate = Rate::new(least.max(arriving.rate.least));
        }
    }

    /// Limits the time that a worker waits for the content of a fast client to `within` once other requests want the
    /// worker. The upload counts among the client's `streamed` ones until its end.
    pub(super) fn bound_wait(&mut self, within: Duration, streamed: Option<Counted>) {
        if let Self::Incoming(arriving) | Self::Resumed(_, arriving) = self {
            arriving.clock = Some(WaitClock::new(within));
            arriving.streamed = streamed;
        }
    }

    /// Charges content that is read ahead to `memory`.
    pub(super) fn charge(&mut self, memory: Part) {
        if let Self::Incoming(arriving) | Self::Resumed(_, arriving) = self {
            arriving.memory = Some(memory);
        }
    }

    /// Returns the deadline of a client whose content is streamed because it was fast.
    pub fn deadline(&self, now: Instant) -> Option<UploadDeadline> {
        match self {
            Self::Incoming(arriving) | Self::Resumed(_, arriving) => {
                arriving.clock.as_ref().map(|clock| clock.deadline(now))
            }
            Self::Empty | Self::Spooled(_) => None,
        }
    }

    /// Returns the same content with `spooled`, the part already read, in front.
    pub(super) fn resume_after(self, spooled: Spooled) -> Self {
        match self {
            Self::Incoming(arriving) | Self::Resumed(_, arriving) => {
                Self::Resumed(spooled, arriving)
            }
            Self::Empty | Self::Spooled(_) => Self::Spooled(spooled),
        }
    }

    /// Returns the same content for another attempt, where all of it has been received.
    pub fn replay(&self) -> Option<Self> {
        match self {
            Self::Empty => Some(Self::Empty),
            Self::Spooled(spooled) => Some(Self::Spooled(spooled.replay())),
            Self::Incoming(_) | Self::Resumed(..) => None,
        }
    }

    /// Reports whether all of it has been received, so that the client is no longer needed.
    pub fn is_whole(&self) -> bool {
        matches!(self, Self::Empty | Self::Spooled(_))
    }

    /// Returns the next piece; `None` at the end.
    pub fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, UploadError>>> {
        match self {
            Self::Empty => Poll::Ready(None),
            Self::Spooled(spooled) => spooled.poll_data(cx),
            Self::Incoming(arriving) => arriving.poll_data(cx),
            Self::Resumed(spooled, arriving) => match spooled.poll_data(cx) {
                Poll::Ready(None) => arriving.poll_data(cx),
                read @ (Poll::Ready(Some(_)) | Poll::Pending) => read,
            },
        }
    }

    /// Waits until the client closes the connection. The close is noticed as long as at most 64 KiB of
    /// the content is unread and the client has a share of `server.body_memory` for it.
    pub async fn wait_until_gone(&mut self) -> UploadError {
        match self {
            Self::Incoming(arriving) | Self::Resumed(_, arriving)
                if !arriving.expectation.is_pending() =>
            {
                poll_fn(|cx| arriving.poll_gone(cx)).await
            }
            Self::Empty | Self::Spooled(_) | Self::Incoming(_) | Self::Resumed(..) => {
                std::future::pending().await
            }
        }
    }
}

impl From<hyper::Error> for UploadError {
    /// Extracts the head guard's refusal, which hyper passes on as the I/O error of the connection.
    fn from(error: hyper::Error) -> Self {
        let io = std::error::Error::source(&error).and_then(|source| source.downcast_ref());
        let refusal = io
            .and_then(std::io::Error::get_ref)
            .and_then(|source| source.downcast_ref::<Refusal>());
        match refusal {
            Some(refusal) => Self::Malformed(*refusal),
            None => Self::Client(error),
        }
    }
}

impl Arriving {
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, UploadError>>> {
        let Some(piece) = self.ahead.pop_front() else {
            let next = self.poll_incoming(cx);
            // Waiting in the queue, where this is not polled, occupies no worker.
            if let Some(clock) = &mut self.clock {
                if next.is_pending() {
                    clock.start(Instant::now());
                } else {
                    clock.stop(Instant::now());
                }
            }
            return next;
        };
        if let Some(memory) = self.memory.as_mut().filter(|_| self.ahead.is_empty()) {
            memory.shrink(AHEAD as u64);
        }
        Poll::Ready(Some(Ok(piece)))
    }

    fn poll_incoming(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, UploadError>>> {
        self.expectation.meet();
        loop {
            let Some(body) = &mut self.body else {
                return Poll::Ready(None);
            };
            let Poll::Ready(frame) = Pin::new(body).poll_frame(cx) else {
                self.rate.wait();
                return Poll::Pending;
            };
            let frame = frame.transpose()?;
            // RFC 9110 §6.5.1: trailers may be dropped, and FastCGI has no place for them.
            match frame.map(http_body::Frame::into_data) {
                None => {
                    (self.body, self.streamed) = (None, None);
                    return Poll::Ready(None);
                }
                Some(Ok(data)) if !data.is_empty() => {
                    self.rate.account(data.len() as u64)?;
                    return Poll::Ready(Some(Ok(data)));
                }
                Some(Ok(_) | Err(_)) => {}
            }
        }
    }

    /// Reads ahead until an error. After the end, and while the buffer is full, it stays pending.
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<UploadError> {
        let Some(memory) = &mut self.memory else {
            return Poll::Pending;
        };
        if memory.used() == 0 && memory.grow(AHEAD as u64).is_err() {
            return Poll::Pending;
        }
        while self.ahead.iter().map(Bytes::len).sum::<usize>() < AHEAD {
            match ready!(self.poll_incoming(cx)) {
                Some(Ok(piece)) => self.ahead.push_back(piece),
                Some(Err(error)) => return Poll::Ready(error),
                None => break,
            }
        }
        Poll::Pending
    }
}

impl Drop for Arriving {
    /// Discards the rest in a task of its own and within time limits, so that the client can read its answer
    /// (RFC 9112 §9.6). A client that waits for a 100 gets none, and its connection ends with the answer.
    fn drop(&mut self) {
        let unread = self.body.take().filter(|body| !body.is_end_stream());
        let (Some(mut body), false) = (unread, self.expectation.is_pending()) else {
            return;
        };
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        runtime.spawn(timeout(LINGER, async move {
            while let Ok(Some(Ok(_))) = timeout(LINGER_PAUSE, body.frame()).await {}
        }));
    }
}

impl Rate {
    fn new(least: u64) -> Self {
        Self {
            least,
            waiting: None,
            waited: Duration::ZERO,
            bytes: 0,
        }
    }

    /// Starts the clock of a wait for the client. Time that PHP takes does not count.
    fn wait(&mut self) {
        if self.least > 0 {
            self.waiting.get_or_insert_with(Instant::now);
        }
    }

    /// Adds received bytes and checks the rate after each [`RATE_WINDOW`] of waiting. It needs no timer:
    /// `body_pause` ends a client that sends nothing at all.
    fn account(&mut self, bytes: u64) -> Result<(), UploadError> {
        self.bytes += bytes;
        if let Some(since) = self.waiting.take() {
            self.waited += since.elapsed();
        }
        if self.waited < RATE_WINDOW {
            return Ok(());
        }
        let least = self.least;
        let enough = self.bytes >= least.saturating_mul(self.waited.as_secs());
        *self = Self::new(least);
        enough.then_some(()).ok_or(UploadError::TooSlow { least })
    }
}
