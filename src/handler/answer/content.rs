//! The content of a script's answer on its way to a client. It is streamed while the client takes it: hyper polls it, and it
//! polls PHP. It is filled while the client lags: hyper does not poll a body that it has no room for, and PHP is not to wait
//! for that, so the thread's [sweep] polls PHP instead, and the answer is stored. It is finished when PHP is.

mod shared;

use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;

pub(super) use shared::{Look, Shared};

use super::store::Store;
use super::streaming::Streaming;
use super::sweep;
use crate::handler::Cut;
use crate::handler::fastcgi::Fastcgi;
use crate::limits::budget::{Owner, Part};
use crate::limits::per_client::Counted;

/// Whose an answer is, and how much of it may be stored.
#[derive(Debug)]
pub(in crate::handler) struct Terms {
    /// Who asked the script.
    pub(in crate::handler) fastcgi: Arc<Fastcgi>,
    /// Whose share it is taken from.
    pub(in crate::handler) owner: Owner,
    /// Bytes that are taken from PHP ahead of the client; 0: PHP waits for the client.
    pub(in crate::handler) limit: u64,
    /// Its place among its client's live streams, where it is one.
    pub(in crate::handler) _live: Option<Counted>,
}

/// The client's end. Dropped, it ends the exchange, unless the client has all that was announced.
#[derive(Debug)]
pub struct ScriptContent {
    shared: Arc<Shared>,
    /// Bytes still to come where the script announced its length.
    left: Option<u64>,
    /// Why the answer breaks, once the client has had time to get what came before.
    cut: Option<Cut>,
    finished: bool,
}

impl ScriptContent {
    /// The rest of an answer.
    pub(super) fn start(streaming: Streaming, terms: Terms) -> Self {
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

    /// A whole answer, stored; fails where its client has no share for it.
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

    /// Tells that it goes out on an HTTP/2 stream, where it is given up when its client takes nothing of it for `pause`; zero
    /// is no limit. The connection's own deadline cannot see that: other streams may well be moving.
    pub(in crate::handler) fn watch(&self, pause: Duration) {
        self.shared.set_on_stream(pause);
    }

    /// The next piece; `None` when the answer is whole.
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
                // As in `Streaming`: hyper writes what it has when a body has nothing.
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            None => {
                self.finished = true;
                Poll::Ready(None)
            }
        }
    }

    /// Whether nothing more comes.
    pub fn is_finished(&self) -> bool {
        self.finished
    }

    /// Bytes still to come, where that is known.
    pub fn left(&self) -> Option<u64> {
        if self.finished { Some(0) } else { self.left }
    }
}

impl Drop for ScriptContent {
    fn drop(&mut self) {
        self.shared.abandon();
    }
}

impl Terms {
    fn store(&self) -> Store {
        let spool = &self.fastcgi.spool;
        Store::new(
            self.limit,
            spool.directory.clone(),
            Part::new(&self.fastcgi.answers, self.owner),
            Part::new(&spool.budget, self.owner),
        )
    }

    /// Takes `length` bytes of memory for an answer, unless that is too much for its client.
    pub(super) fn charged(&self, length: usize) -> Option<Part> {
        let mut part = Part::new(&self.fastcgi.answers, self.owner);
        part.grow(length as u64).ok().map(|()| part)
    }
}
