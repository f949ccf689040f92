//! The content of a request on its way to PHP: nothing, what hyper receives, or what was spooled.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::Body;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::timeout;

use super::Refusal;
use super::spool::Spooled;

/// How long an answered request's content is still read and thrown away, so that a client in the
/// middle of an upload reads the answer and not a reset (nginx: `lingering_time`).
const LINGER: Duration = Duration::from_secs(30);

/// How long the client may pause while we linger (nginx: `lingering_timeout`).
const LINGER_PAUSE: Duration = Duration::from_secs(5);

/// Content to read, at most once.
#[derive(Debug)]
pub enum Upload {
    /// RFC 9112 §6.3: neither Content-Length nor Transfer-Encoding, or a length of 0.
    Empty,
    /// Content as it arrives, with its length where the client announced one.
    Incoming(Box<Arriving>),
    /// Content that was received whole.
    Spooled(Spooled),
}

/// Content that hyper receives.
#[derive(Debug)]
pub struct Arriving {
    body: Incoming,
    length: Option<u64>,
    /// RFC 9110 §10.1.1: the client waits for a 100, which hyper sends when it is first read.
    expects_continue: bool,
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
    /// The spool could not be written or read back.
    #[error("the request body could not be spooled: {0}")]
    Spool(#[from] std::io::Error),
}

impl Upload {
    /// What hyper received with the head of a request; `expects_continue` where the client waits
    /// to be asked for it.
    pub fn new(body: Incoming, expects_continue: bool) -> Self {
        if body.is_end_stream() {
            return Self::Empty;
        }
        let length = body.size_hint().exact();
        Self::Incoming(Box::new(Arriving {
            body,
            length,
            expects_continue,
        }))
    }

    /// The length in bytes; `None` while it is not known.
    pub fn length(&self) -> Option<u64> {
        match self {
            Self::Empty => Some(0),
            Self::Incoming(arriving) => arriving.length,
            Self::Spooled(spooled) => Some(spooled.length()),
        }
    }

    /// The same content for another attempt, where it is at hand whole.
    pub fn replay(&self) -> Option<Self> {
        match self {
            Self::Empty => Some(Self::Empty),
            Self::Incoming(_) => None,
            Self::Spooled(spooled) => spooled.replay().map(Self::Spooled),
        }
    }

    /// The next piece; `None` at the end.
    pub fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, UploadError>>> {
        match self {
            Self::Empty => Poll::Ready(None),
            Self::Spooled(spooled) => spooled.poll_data(cx),
            Self::Incoming(arriving) => {
                arriving.expects_continue = false;
                poll_incoming(&mut arriving.body, cx)
            }
        }
    }

    /// Reads on and throws away, apart from the answer and within limits of time, so that the
    /// client gets to read its answer (RFC 9112 §9.6). A client that waits for a 100 has sent
    /// nothing and is not asked to.
    pub fn linger(self) {
        let Self::Incoming(arriving) = self else {
            return;
        };
        let Arriving {
            mut body,
            expects_continue,
            ..
        } = *arriving;
        if expects_continue || body.is_end_stream() {
            return;
        }
        tokio::spawn(timeout(LINGER, async move {
            while let Ok(Some(Ok(_))) = timeout(LINGER_PAUSE, body.frame()).await {}
        }));
    }
}

fn poll_incoming(
    body: &mut Incoming,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Bytes, UploadError>>> {
    loop {
        match ready!(Pin::new(&mut *body).poll_frame(cx)) {
            None => return Poll::Ready(None),
            Some(Err(error)) => return Poll::Ready(Some(Err(client_error(error)))),
            // RFC 9110 §6.5.1: trailers may be dropped, and FastCGI has no place for them.
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) if !data.is_empty() => return Poll::Ready(Some(Ok(data))),
                Ok(_) | Err(_) => {}
            },
        }
    }
}

/// The head guard's refusal comes through hyper as the error of the connection's IO.
fn client_error(error: hyper::Error) -> UploadError {
    let io = std::error::Error::source(&error).and_then(|source| source.downcast_ref());
    let refusal = io
        .and_then(std::io::Error::get_ref)
        .and_then(|source| source.downcast_ref::<Refusal>());
    match refusal {
        Some(refusal) => UploadError::Malformed(*refusal),
        None => UploadError::Client(error),
    }
}
