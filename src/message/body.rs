//! The content of a request on its way to PHP: nothing, what hyper receives, or what was spooled.

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

use super::Refusal;
use super::patience::{Patience, Promise};
use super::spool::Spooled;
use crate::limits::budget::{Over, Part};
use crate::limits::per_client::Counted;
use crate::value::ByteSize;

/// How long an answered request's content is still read and thrown away, so that a client in the
/// middle of an upload reads the answer and not a reset (nginx: `lingering_time`).
const LINGER: Duration = Duration::from_secs(30);

/// How long the client may pause while we linger (nginx: `lingering_timeout`).
const LINGER_PAUSE: Duration = Duration::from_secs(5);

/// Over how long the rate of a client is judged.
const RATE_WINDOW: Duration = Duration::from_secs(10);

/// Bytes that are read ahead while a request waits for a worker: a connection that nobody reads
/// does not tell that its client has gone. They are charged to the client; who has no share left is not read from.
const AHEAD: usize = 64 * 1024;

/// Content to read, at most once.
#[derive(Debug)]
pub enum Upload {
    /// RFC 9112 §6.3: neither Content-Length nor Transfer-Encoding, or a length of 0.
    Empty,
    /// Content as it arrives, with its length where the client announced one.
    Incoming(Box<Arriving>),
    /// Content that was received whole.
    Spooled(Spooled),
    /// Content of which the beginning was received.
    Resumed(Spooled, Box<Arriving>),
}

/// Content that hyper receives. Dropped before its end, it lingers.
#[derive(Debug)]
pub struct Arriving {
    /// `None` at its end.
    body: Option<Incoming>,
    length: Option<u64>,
    /// RFC 9110 §10.1.1: the client waits for a 100, which hyper sends when it is first read.
    expects_continue: bool,
    /// What was read ahead, and what that is charged to.
    ahead: VecDeque<Bytes>,
    memory: Option<Part>,
    rate: Rate,
    promise: Option<Promise>,
    streamed: Option<Counted>,
}

/// What a client must send at least, while it is waited for.
#[derive(Debug)]
struct Rate {
    /// Bytes a second; 0 is no limit.
    least: u64,
    /// Since when it is waited for, and how long that was before.
    waiting: Option<Instant>,
    waited: Duration,
    /// What came in that time.
    bytes: u64,
}

/// Why content could not be read to its end.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// The client went away, or broke the framing.
    #[error("the client's request body broke off: {0}")]
    Client(hyper::Error),
    /// The head guard found the framing broken.
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
    /// Less than `limits.body_rate` came.
    #[error("the client sent its request body slower than {least} bytes a second (limits.body_rate, limits.stream_rate) for {} s", RATE_WINDOW.as_secs())]
    TooSlow {
        /// The limit, in bytes a second.
        least: u64,
    },
    /// It was streamed as its client was fast, and then it was not, while others waited.
    #[error("the client sent its request body fast at first and then kept a worker waiting for {} s, while other requests waited for that worker", .within.as_secs())]
    Late {
        /// How long a worker waits in all.
        within: Duration,
    },
    /// There is no more of `server.spool_quota` for it.
    #[error("no room to spool: {over} of server.spool_quota = \"{}\"", ByteSize(*.total))]
    SpoolFull {
        /// Whose share is used up.
        over: Over,
        /// What all may have, in bytes.
        total: u64,
    },
    /// The spool could not be written or read back.
    #[error("the request body could not be spooled: {0}")]
    Spool(#[from] std::io::Error),
}

impl Upload {
    /// What hyper received with the head of a request; `expects_continue` where the client waits
    /// to be asked for it. `least` is the rate it must keep, in bytes a second.
    pub fn new(body: Incoming, expects_continue: bool, least: u64) -> Self {
        if body.is_end_stream() {
            return Self::Empty;
        }
        let length = body.size_hint().exact();
        Self::Incoming(Box::new(Arriving {
            body: Some(body),
            length,
            expects_continue,
            ahead: VecDeque::new(),
            memory: None,
            rate: Rate::new(least),
            promise: None,
            streamed: None,
        }))
    }

    /// The length in bytes; `None` while it is not known.
    pub fn length(&self) -> Option<u64> {
        match self {
            Self::Empty => Some(0),
            Self::Incoming(arriving) | Self::Resumed(_, arriving) => arriving.length,
            Self::Spooled(spooled) => Some(spooled.length()),
        }
    }

    /// A worker waits for the content: the client must send at least this much in a second.
    pub(super) fn must_send(&mut self, least: u64) {
        if let Self::Incoming(arriving) | Self::Resumed(_, arriving) = self {
            arriving.rate = Rate::new(least.max(arriving.rate.least));
        }
    }

    /// A worker waits for the content, as its client is fast: that may last for `within` when others want the worker.
    /// It is one of its client's `streamed` ones until then.
    pub(super) fn promise(&mut self, within: Duration, streamed: Option<Counted>) {
        if let Self::Incoming(arriving) | Self::Resumed(_, arriving) = self {
            arriving.promise = Some(Promise::new(within));
            arriving.streamed = streamed;
        }
    }

    /// What is read ahead is charged to `memory`.
    pub(super) fn charge(&mut self, memory: Part) {
        if let Self::Incoming(arriving) | Self::Resumed(_, arriving) = self {
            arriving.memory = Some(memory);
        }
    }

    /// Returns how long the client may still be waited for, where that is bounded by what it promised.
    pub fn patience(&self, now: Instant) -> Option<Patience> {
        match self {
            Self::Incoming(arriving) | Self::Resumed(_, arriving) => arriving
                .promise
                .as_ref()
                .map(|promise| promise.patience(now)),
            Self::Empty | Self::Spooled(_) => None,
        }
    }

    /// The same content with what was read of it in front again.
    pub(super) fn resume_after(self, spooled: Spooled) -> Self {
        match self {
            Self::Incoming(arriving) | Self::Resumed(_, arriving) => {
                Self::Resumed(spooled, arriving)
            }
            Self::Empty | Self::Spooled(_) => Self::Spooled(spooled),
        }
    }

    /// The same content for another attempt, where it is at hand whole.
    pub fn replay(&self) -> Option<Self> {
        match self {
            Self::Empty => Some(Self::Empty),
            Self::Spooled(spooled) => Some(Self::Spooled(spooled.replay())),
            Self::Incoming(_) | Self::Resumed(..) => None,
        }
    }

    /// Whether all of it is at hand, whatever becomes of the client.
    pub fn is_whole(&self) -> bool {
        matches!(self, Self::Empty | Self::Spooled(_))
    }

    /// The next piece; `None` at the end.
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

    /// Returns when the client has gone, and never otherwise. It is seen as long as no more than
    /// 64 KiB of what it sent is unread, and the client has a share of `server.body_memory` for that.
    pub async fn gone(&mut self) -> UploadError {
        match self {
            Self::Incoming(arriving) | Self::Resumed(_, arriving) if !arriving.expects_continue => {
                poll_fn(|cx| arriving.poll_gone(cx)).await
            }
            Self::Empty | Self::Spooled(_) | Self::Incoming(_) | Self::Resumed(..) => {
                std::future::pending().await
            }
        }
    }
}

impl From<hyper::Error> for UploadError {
    /// The head guard's refusal comes through hyper as the error of the connection's IO.
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
            // What is waited for in the queue, where this is not asked, keeps no worker.
            if let Some(promise) = &mut self.promise {
                match next.is_pending() {
                    true => promise.wait(Instant::now()),
                    false => promise.arrived(Instant::now()),
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
        self.expects_continue = false;
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

    /// Reads ahead until that fails. After the end, and while the buffer is full, there is nothing
    /// to wait for.
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
    /// Reads on and throws away, apart from the answer and within limits of time, so that the client gets to read its
    /// answer (RFC 9112 §9.6). A client that waits for a 100 has sent nothing and is not asked to.
    fn drop(&mut self) {
        let unread = self.body.take().filter(|body| !body.is_end_stream());
        let (Some(mut body), false) = (unread, self.expects_continue) else {
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

    /// The client is waited for from now on. Time that PHP takes is not the client's.
    fn wait(&mut self) {
        if self.least > 0 {
            self.waiting.get_or_insert_with(Instant::now);
        }
    }

    /// Judges whenever enough time was spent waiting. No timer: a client that sends nothing at
    /// all ends by `body_pause`.
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
