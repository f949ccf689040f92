//! A streamed answer. hyper polls it, and it polls the connection, without a task or a channel. Dropped before
//! its end it closes the connection, unless the client has all that was announced and only the end of the
//! exchange is missing.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;

use super::incoming::Incoming;
use super::pieces::Pieces;
use crate::handler::cut::Cut;
use crate::threads;

/// Time limit for an exchange after its answer: the rest is a HEAD's content, or PHP's shutdown.
const FINISH: Duration = Duration::from_secs(30);

/// The rest of an answer.
#[derive(Debug)]
pub(super) struct Streaming<I: Incoming> {
    incoming: Option<I>,
    first: Pieces,
    /// Bytes still to come where the length was announced.
    left: Option<u64>,
    /// The fault that ends the answer, once the client has had time to read the bytes before it.
    cut: Option<Cut>,
    finished: bool,
}

impl<I: Incoming> Streaming<I> {
    /// Creates the rest of an answer; `first` came with the head.
    pub(super) fn new(incoming: I, first: Pieces, announced: Option<u64>) -> Self {
        Self {
            incoming: Some(incoming),
            first,
            left: announced,
            cut: None,
            finished: announced == Some(0),
        }
    }

    /// Polls for the next piece; `None` when the answer is complete.
    pub(super) fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Cut>>> {
        loop {
            if self.finished {
                return Poll::Ready(None);
            }
            let next = match self.first.pop() {
                Some(piece) => Some(Ok(piece)),
                None => {
                    if let Some(cut) = self.cut.take() {
                        self.finished = true;
                        return Poll::Ready(Some(Err(cut)));
                    }
                    ready!(self.poll_incoming(cx))
                }
            };
            match next {
                Some(Ok(piece)) => {
                    if let Some(piece) = self.account(piece, cx) {
                        return Poll::Ready(Some(Ok(piece)));
                    }
                }
                Some(Err(broken)) => self.cut = Some(self.broken(&broken)),
                None => self.cut = self.ended(),
            }
            if self.cut.is_some() {
                // hyper drops unwritten bytes when a body fails, and writes them when a body is pending.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
    }

    /// Returns the number of bytes still to come, if known.
    pub(super) fn left(&self) -> Option<u64> {
        if self.finished { Some(0) } else { self.left }
    }

    /// Reports whether it blocks others: they wait for the worker that makes the answer, or the worker is gone
    /// and only memory is held.
    pub(super) fn is_blocking(&self) -> bool {
        let incoming = self.incoming.as_ref();
        incoming.is_none_or(|incoming| incoming.has_ended() || incoming.is_waited_for())
    }

    /// Ends the answer because of its client.
    pub(super) fn give_up(&mut self, cause: &'static str, why: &str) {
        if let Some(mut incoming) = self.incoming.take() {
            incoming.log_given_up(cause, why);
        }
    }

    /// Ends the answer at the end of the total time limit.
    pub(super) fn expire(&mut self, cause: &'static str) {
        if let Some(mut incoming) = self.incoming.take() {
            incoming.log_overdue(cause);
        }
    }

    /// Reads the exchange to its end apart from any answer, with its error stream, so that PHP is not cut short
    /// and the connection can serve again. PHP that has not read the whole request yet is released at once: the
    /// client is to read its answer, not to be delayed by its upload.
    pub(super) fn finish(mut self) {
        // After the timeout the rest may be discarded.
        self.left = None;
        let is_over = |incoming: &mut I| incoming.has_ended() || incoming.needs_client();
        match self.incoming.take_if(is_over) {
            Some(incoming) => incoming.linger(),
            None => threads::spawn_background(async move {
                let rest =
                    async { while let Some(Ok(_)) = poll_fn(|cx| self.poll_incoming(cx)).await {} };
                let _ = timeout(FINISH, rest).await;
            }),
        }
    }

    fn poll_incoming(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, I::Broken>>> {
        match &mut self.incoming {
            Some(incoming) => incoming.poll_content(cx),
            None => Poll::Ready(None),
        }
    }

    /// Counts a piece and truncates it to the announced length (docs/cgi.md, "The behaviours, one by one", no.
    /// 42). With the last announced byte it polls for the end of the exchange too, since hyper does not poll
    /// again.
    fn account(&mut self, mut piece: Bytes, cx: &mut Context<'_>) -> Option<Bytes> {
        if let Some(left) = &mut self.left {
            let most = usize::try_from(*left).unwrap_or(usize::MAX);
            piece.truncate(most);
            *left -= piece.len() as u64;
            if *left == 0 {
                self.finished = true;
                let _ = self.poll_incoming(cx);
            }
        }
        (!piece.is_empty()).then_some(piece)
    }

    /// Handles END_REQUEST: the answer is complete, unless fewer bytes came than were announced.
    fn ended(&mut self) -> Option<Cut> {
        const CODE: &str = "UPSTREAM_TRUNCATED";
        if self.left.is_some_and(|left| left > 0) {
            let why = "the script ended before its announced Content-Length";
            if let Some(incoming) = &mut self.incoming {
                incoming.log_fault(CODE, why);
            }
            return Some(Cut(CODE));
        }
        self.finished = true;
        None
    }

    fn broken(&mut self, broken: &I::Broken) -> Cut {
        let cause = I::cause(broken);
        if let Some(incoming) = &mut self.incoming {
            let why = incoming.describe(broken);
            incoming.log_fault(cause, &why);
        }
        Cut(cause)
    }
}

impl<I: Incoming> Drop for Streaming<I> {
    fn drop(&mut self) {
        let Some(mut incoming) = self.incoming.take() else {
            return;
        };
        if incoming.has_ended() {
            incoming.linger();
        } else if self.left == Some(0) {
            // The client has all that was announced; what is missing is the end.
            incoming.run_on();
        }
    }
}
