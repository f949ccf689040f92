//! An answer that goes to the client as it comes. hyper polls it, and it polls the connection: no
//! task, no channel. Dropped before its end it closes the connection, unless the client has all
//! that was announced and only the end of the exchange is missing.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;

use super::incoming::Incoming;
use super::pieces::Pieces;
use crate::handler::cut::Cut;
use crate::threads;

/// How long an exchange may go on whose answer nobody reads: what follows is a HEAD's content, or
/// PHP's shutdown.
const FINISH: Duration = Duration::from_secs(30);

/// The rest of an answer.
#[derive(Debug)]
pub(super) struct Streaming<I: Incoming> {
    incoming: Option<I>,
    first: Pieces,
    /// Bytes still to come where the length was announced.
    left: Option<u64>,
    /// Why the answer breaks, once the client has had time to get what came before.
    cut: Option<Cut>,
    finished: bool,
}

impl<I: Incoming> Streaming<I> {
    /// `first` came with the head.
    pub(super) fn new(incoming: I, first: Pieces, announced: Option<u64>) -> Self {
        Self {
            incoming: Some(incoming),
            first,
            left: announced,
            cut: None,
            finished: announced == Some(0),
        }
    }

    /// The next piece; `None` when the answer is whole.
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
                // hyper drops what it has not written when a body fails, and writes it when a
                // body has nothing at the moment.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
    }

    /// Bytes still to come, where that is known.
    pub(super) fn left(&self) -> Option<u64> {
        if self.finished { Some(0) } else { self.left }
    }

    /// Reports whether it is in the way of others: they wait for the worker that makes the answer, or there is none any more
    /// and only memory is held.
    pub(super) fn is_in_the_way(&self) -> bool {
        let incoming = self.incoming.as_ref();
        incoming.is_none_or(|incoming| incoming.has_ended() || incoming.is_waited_for())
    }

    /// Ends the answer, for what its client does.
    pub(super) fn give_up(&mut self, cause: &'static str, why: &str) {
        if let Some(mut incoming) = self.incoming.take() {
            incoming.log_given_up(cause, why);
        }
    }

    /// Reads the exchange to its end apart from any answer, error stream and all, so that PHP is
    /// not cut short and the connection can serve again. PHP that has not taken the whole request
    /// yet is let go: the client is to read its answer, and not to be kept from it by its upload.
    pub(super) fn finish(mut self) {
        // What is left when the time is up is nobody's.
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

    /// docs/cgi.md, "The behaviours, one by one", no. 42: never more than was announced. With the last announced byte the end of
    /// the exchange is looked for too, since hyper does not ask again.
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

    /// END_REQUEST: the answer is whole, unless less came than was announced.
    fn ended(&mut self) -> Option<Cut> {
        const CODE: &str = "UPSTREAM_TRUNCATED";
        if self.left.is_some_and(|left| left > 0) {
            let why = "the script ended before the length that it had announced";
            self.log_fault(CODE, why);
            return Some(Cut(CODE));
        }
        self.finished = true;
        None
    }

    fn broken(&mut self, broken: &I::Broken) -> Cut {
        let cause = I::cause(broken);
        self.log_fault(cause, &broken.to_string());
        Cut(cause)
    }

    fn log_fault(&mut self, cause: &'static str, why: &str) {
        if let Some(incoming) = &mut self.incoming {
            incoming.log_fault(cause, why);
        }
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
