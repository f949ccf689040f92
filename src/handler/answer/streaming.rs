//! An answer that goes to the client as it comes. hyper polls it, and it polls the connection: no
//! task, no channel. Dropped before its end it closes the connection, unless the client has all
//! that was announced and only the end of the exchange is missing.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;

use super::pieces::Pieces;
use crate::failure::broken_code;
use crate::fastcgi::{Answer, Broken, Exchange};
use crate::handler::Cut;
use crate::handler::fastcgi::stderr::ErrorStream;
use crate::threads;
use crate::upstream::Lease;

/// How long an exchange may go on whose answer nobody reads: what follows is a HEAD's content, or
/// PHP's shutdown.
const FINISH: Duration = Duration::from_secs(30);

/// The rest of an answer.
#[derive(Debug)]
pub(super) struct Streaming {
    exchange: Option<Exchange<Lease>>,
    first: Pieces,
    /// Bytes still to come where the script announced its length.
    left: Option<u64>,
    /// Why the answer breaks, once the client has had time to get what came before.
    cut: Option<Cut>,
    errors: ErrorStream,
    finished: bool,
}

impl Streaming {
    /// `first` came with the head.
    pub(super) fn new(
        exchange: Exchange<Lease>,
        first: Pieces,
        announced: Option<u64>,
        errors: ErrorStream,
    ) -> Self {
        Self {
            exchange: Some(exchange),
            first,
            left: announced,
            cut: None,
            errors,
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
                    ready!(self.poll_exchange(cx))
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
        let exchange = self.exchange.as_ref();
        exchange.is_none_or(|exchange| exchange.has_ended() || exchange.is_waited_for())
    }

    /// Ends the answer, for what its client does.
    pub(super) fn give_up(&mut self, cause: &'static str, why: &str) {
        self.errors.give_up(cause, why);
        self.exchange = None;
    }

    /// Reads the exchange to its end apart from any answer, error stream and all, so that PHP is
    /// not cut short and the connection can serve again. PHP that has not taken the whole request
    /// yet is let go: the client is to read its answer, and not to be kept from it by its upload.
    pub(super) fn finish(mut self) {
        // What is left when the time is up is nobody's.
        self.left = None;
        let is_over = |exchange: &mut Exchange<_>| {
            exchange.has_ended() || !(exchange.is_sent() || exchange.is_in_hand())
        };
        match self.exchange.take_if(is_over) {
            Some(exchange) => drop(exchange.into_upload()),
            None => threads::afterwards(async move {
                let rest =
                    async { while let Some(Ok(_)) = poll_fn(|cx| self.poll_exchange(cx)).await {} };
                let _ = timeout(FINISH, rest).await;
            }),
        }
    }

    fn poll_exchange(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        let Some(exchange) = self.exchange.as_mut() else {
            return Poll::Ready(None);
        };
        loop {
            ready!(self.errors.poll(cx));
            match ready!(exchange.poll_answer(cx)) {
                Some(Ok(Answer::Stdout(piece))) => return Poll::Ready(Some(Ok(piece))),
                Some(Ok(Answer::Stderr(piece))) => self.errors.take(piece),
                Some(Ok(Answer::End { app_status, .. })) => self.errors.end(app_status),
                Some(Err(broken)) => return Poll::Ready(Some(Err(broken))),
                None => return Poll::Ready(None),
            }
        }
    }

    /// behaviours no. 42: never more than was announced. With the last announced byte the end of
    /// the exchange is looked for too, since hyper does not ask again.
    fn account(&mut self, mut piece: Bytes, cx: &mut Context<'_>) -> Option<Bytes> {
        if let Some(left) = &mut self.left {
            let most = usize::try_from(*left).unwrap_or(usize::MAX);
            piece.truncate(most);
            *left -= piece.len() as u64;
            if *left == 0 {
                self.finished = true;
                let _ = self.poll_exchange(cx);
            }
        }
        (!piece.is_empty()).then_some(piece)
    }

    /// END_REQUEST: the answer is whole, unless less came than was announced.
    fn ended(&mut self) -> Option<Cut> {
        const CODE: &str = "UPSTREAM_TRUNCATED";
        if self.left.is_some_and(|left| left > 0) {
            let why = "the script ended before the length that it had announced";
            self.errors.cut(CODE, why);
            return Some(Cut(CODE));
        }
        self.finished = true;
        None
    }

    fn broken(&mut self, broken: &Broken) -> Cut {
        let code = broken_code(broken);
        self.errors.cut(code, &broken.to_string());
        Cut(code)
    }
}

impl Drop for Streaming {
    fn drop(&mut self) {
        let Some(mut exchange) = self.exchange.take() else {
            return;
        };
        if exchange.has_ended() {
            drop(exchange.into_upload());
        } else if self.left == Some(0) {
            // The client has all that was announced; what is missing is the end.
            exchange.run_on();
        }
    }
}
