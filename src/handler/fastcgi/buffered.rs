//! An answer that is taken from PHP ahead of its client (`response_buffer`). Here alone a task
//! owns the exchange: hyper does not poll a body that it has no room for, and PHP is not to wait
//! for that. What lies between the two is bounded; when it is full the task stops and with it PHP.

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;

use super::store::Store;
use super::streaming::Streaming;
use crate::handler::Cut;
use crate::limits::budget::{Budget, Owner, Part};

/// What lies between PHP and a client.
#[derive(Clone, Debug)]
pub(super) struct Buffer {
    /// At most so many bytes.
    pub(super) limit: u64,
    /// The folder of the unlinked files.
    pub(super) directory: PathBuf,
    /// What all files of the kind may hold together.
    pub(super) budget: Arc<Budget>,
    /// Whose share they are taken from.
    pub(super) owner: Owner,
}

/// The client's end. Dropped, it ends the exchange, as [`Streaming`] does.
#[derive(Debug)]
pub struct Buffered {
    shared: Arc<Shared>,
    /// Bytes still to come where the script announced its length.
    left: Option<u64>,
    /// Why the answer breaks, once the client has had time to get what came before.
    cut: Option<Cut>,
    finished: bool,
}

/// PHP's end: a future that is ready when the answer is stored to its end.
#[derive(Debug)]
struct Filling {
    streaming: Streaming,
    /// What there was no room for yet.
    piece: Bytes,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared(Mutex<State>);

#[derive(Debug)]
struct State {
    store: Store,
    /// How the answer ended, once it has.
    end: Option<Result<(), Cut>>,
    /// The client's end is gone.
    abandoned: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Buffered {
    /// Takes what `streaming` brings, from now on.
    pub(super) fn start(streaming: Streaming, buffer: Buffer) -> Self {
        let left = streaming.left();
        let shared = Arc::new(Shared(Mutex::new(State {
            store: Store::new(
                buffer.limit,
                buffer.directory,
                Part::new(&buffer.budget, buffer.owner),
            ),
            end: None,
            abandoned: false,
            reader: None,
            writer: None,
        })));
        tokio::spawn(Filling {
            streaming,
            piece: Bytes::new(),
            shared: Arc::clone(&shared),
        });
        Self {
            shared,
            left,
            cut: None,
            finished: left == Some(0),
        }
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
        match ready!(self.shared.poll_take(cx)) {
            Some(Ok(piece)) => {
                self.account(piece.len());
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

    fn account(&mut self, length: usize) {
        if let Some(left) = &mut self.left {
            *left = left.saturating_sub(length as u64);
            self.finished = *left == 0;
        }
    }
}

impl Drop for Buffered {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.abandoned = true;
        wake(state, |state| &mut state.writer);
    }
}

impl Future for Filling {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        loop {
            if !ready!(this.shared.poll_put(&mut this.piece, cx)) {
                return Poll::Ready(());
            }
            let end = match ready!(this.streaming.poll_piece(cx)) {
                Some(Ok(piece)) => {
                    this.piece = piece;
                    continue;
                }
                Some(Err(cut)) => Err(cut),
                None => Ok(()),
            };
            this.shared.end(end);
            return Poll::Ready(());
        }
    }
}

impl Drop for Filling {
    /// A task that is ended from outside leaves no client waiting, and none with a part that
    /// looks whole.
    fn drop(&mut self) {
        self.shared.end(Err(Cut("INTERNAL")));
    }
}

impl Shared {
    /// Stores `piece`; ready when nothing of it is left, with false when nobody wants it.
    fn poll_put(&self, piece: &mut Bytes, cx: &mut Context<'_>) -> Poll<bool> {
        let mut state = self.lock();
        if state.abandoned {
            return Poll::Ready(false);
        }
        state.writer = Some(cx.waker().clone());
        if piece.is_empty() {
            return Poll::Ready(true);
        }
        let before = piece.len();
        state.store.put(piece);
        if piece.len() < before {
            wake(state, |state| &mut state.reader);
        }
        match piece.is_empty() {
            true => Poll::Ready(true),
            false => Poll::Pending,
        }
    }

    /// What is stored, and behind all of it how the answer ended.
    fn poll_take(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Cut>>> {
        let mut state = self.lock();
        match state.store.take() {
            Ok(Some(piece)) => {
                wake(state, |state| &mut state.writer);
                return Poll::Ready(Some(Ok(piece)));
            }
            Ok(None) => {}
            Err(error) => {
                tracing::error!(%error, "a buffered answer could not be read back");
                return Poll::Ready(Some(Err(Cut("SPOOL"))));
            }
        }
        match state.end {
            Some(end) => Poll::Ready(end.err().map(Err)),
            None => {
                state.reader = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// The first end that is told counts.
    fn end(&self, end: Result<(), Cut>) {
        let mut state = self.lock();
        state.end.get_or_insert(end);
        wake(state, |state| &mut state.reader);
    }

    /// A poisoned lock guards a state that is whole at every moment.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes one end, after the lock is free.
fn wake(mut state: MutexGuard<'_, State>, which: fn(&mut State) -> &mut Option<Waker>) {
    let waker = which(&mut state).take();
    drop(state);
    if let Some(waker) = waker {
        waker.wake();
    }
}
