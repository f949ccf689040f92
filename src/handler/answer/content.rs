//! The content of an upstream's answer on its way to a client. While the client takes it, it is streamed: hyper
//! polls it, and it polls PHP. While the client lags, it is filled: hyper does not poll a body that it has no
//! room for, and PHP is not to wait for that, so the thread's [sweep] polls PHP instead, and the answer is
//! stored. It is finished when PHP is.

mod shared;

use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;

use shared::Shared;

use super::incoming::Incoming;
use super::streaming::Streaming;
use super::sweep;
use super::terms::Terms;
use crate::handler::cut::Cut;

/// The body's end of an answer. Dropping it ends the exchange, unless the client has all that was announced.
#[derive(Debug)]
pub struct UpstreamContent<I: Incoming> {
    shared: Arc<Shared<I>>,
    /// Bytes still to come where the length was announced.
    left: Option<u64>,
    /// The fault that ends the answer, once the client has had time to read the bytes before it.
    cut: Option<Cut>,
    finished: bool,
}

impl<I: Incoming> UpstreamContent<I> {
    /// Starts to stream the rest of an answer.
    pub(super) fn start(streaming: Streaming<I>, terms: Terms) -> Self {
        let left = streaming.left();
        let shared = Arc::new(Shared::new(terms, Some(streaming), Bytes::new()));
        sweep::watch(&shared);
        Self {
            shared,
            left,
            cut: None,
            finished: left == Some(0),
        }
    }

    /// Stores a complete answer; `None` if its client has no share for it.
    pub(super) fn stored(content: Bytes, terms: Terms) -> Option<Self> {
        let left = Some(content.len() as u64);
        let shared = Arc::new(Shared::new(terms, None, content));
        if !shared.store() {
            return None;
        }
        sweep::watch(&shared);
        Some(Self {
            shared,
            left,
            cut: None,
            finished: false,
        })
    }

    /// Marks the answer as sent on an HTTP/2 stream, where it is cut when its client takes nothing of it for
    /// `pause`; zero is no limit. The connection's own deadline does not detect that: other streams may well be
    /// moving.
    pub(in crate::handler) fn watch(&self, pause: Duration) {
        self.shared.set_on_stream(pause);
    }

    /// Polls for the next piece; `None` when the answer is complete.
    pub fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Cut>>> {
        if self.finished {
            return Poll::Ready(None);
        }
        if let Some(cut) = self.cut.take() {
            self.finished = true;
            return Poll::Ready(Some(Err(cut)));
        }
        match ready!(self.shared.poll_next(cx)) {
            Some(Ok(piece)) => {
                if let Some(left) = &mut self.left {
                    *left = left.saturating_sub(piece.len() as u64);
                    self.finished = *left == 0;
                }
                Poll::Ready(Some(Ok(piece)))
            }
            Some(Err(cut)) => {
                self.cut = Some(cut);
                // As in `Streaming`: hyper writes its buffer when a body is pending.
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            None => {
                self.finished = true;
                Poll::Ready(None)
            }
        }
    }

    /// Reports whether the answer is complete or cut.
    pub fn is_finished(&self) -> bool {
        self.finished
    }

    /// Returns the fault that has cut it, even if hyper has not asked for more since.
    pub fn fault(&self) -> Option<Cut> {
        self.shared.fault()
    }

    /// Returns the number of bytes still to come, if known.
    pub fn left(&self) -> Option<u64> {
        if self.finished { Some(0) } else { self.left }
    }
}

impl<I: Incoming> Drop for UpstreamContent<I> {
    fn drop(&mut self) {
        self.shared.abandon();
    }
}

#[cfg(test)]
mod tests;
