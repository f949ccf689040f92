//! An answer in a content coding, made while it is sent. The coding is flushed whenever the source has no more at the
//! moment: output that PHP prints before a pause reaches the client during the pause. No more is held than the coding's
//! window and one piece.

mod cache;
mod encoder;
mod encoders;
mod start;
mod stored;
#[cfg(test)]
mod tests;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::time::Instant;

pub use cache::{CodedCache, Identity, Key, PendingEntry, Source};
pub use encoder::{Effort, Encoder};
use encoders::SharedEncoder;
pub use encoders::{BudgetedEncoder, Encoders};

use super::cut::Cut;
use super::piece::{Piece, Progress};
use crate::limits::budget::Part;
use crate::threads::{Turn, Turns, yield_to_runtime};

/// Coded bytes of one piece while the source has more.
const PIECE: usize = 16 * 1024;

/// Bytes coded between two looks at the clock: a tenth of a millisecond.
const STEP: usize = 4 * 1024;

/// The coded content of another body.
#[derive(Debug)]
pub struct Coded<S> {
    source: Box<S>,
    held: Arc<SharedEncoder>,
    input: Bytes,
    state: State,
    keep: Option<PendingEntry>,
    turns: Turns,
    /// For a client that may have no window: each piece is taken before the next is made.
    progress: Option<Arc<Progress>>,
}

/// Codes the whole of `content`, yielding to other tasks. Returns the result and its memory.
pub async fn code_whole(mut holding: BudgetedEncoder, content: &[u8]) -> io::Result<(Bytes, Part)> {
    let encoder = &mut holding.encoder;
    let mut turns = Turns::here();
    let mut turn = turns.next().await;
    for step in content.chunks(STEP) {
        if turn.is_over() {
            drop(turn);
            turn = turns.next().await;
        }
        encoder.push(step)?;
    }
    encoder.finish()?;
    holding.shrink_to_output();
    Ok((holding.encoder.take(), holding.part))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No piece was requested yet.
    New,
    /// All content is flushed.
    Quiet,
    /// The engine may hold content.
    Busy,
    /// The source failed; the content before is sent first.
    Breaking(Cut),
    /// The source failed, and hyper has had time to write the content before.
    Broken(Cut),
    /// The end of the stream is written.
    Ended,
}

impl<S> Coded<S>
where
    S: http_body::Body<Data = Piece, Error = Cut> + Unpin,
{
    pub(super) fn new(
        source: S,
        encoders: &Encoders,
        holding: BudgetedEncoder,
        keep: Option<PendingEntry>,
    ) -> Self {
        Self {
            source: Box::new(source),
            held: encoders.register(holding),
            input: Bytes::new(),
            state: State::New,
            keep,
            turns: Turns::here(),
            progress: None,
        }
    }

    /// Makes each piece wait until the one before it is taken, and the engine until the first is. For HTTP/2, where a stream
    /// may have no window.
    pub(super) fn await_each(&mut self) {
        self.progress = Some(Arc::default());
    }

    /// Returns the body that is coded.
    pub(super) fn source(&self) -> &S {
        &self.source
    }

    /// Returns the body that is coded, mutable.
    pub(super) fn source_mut(&mut self) -> &mut S {
        &mut self.source
    }

    /// Reports whether the content is complete and taken.
    pub(super) fn is_finished(&self) -> bool {
        self.state == State::Ended && self.held.lock().encoder.ready() == 0
    }

    /// Returns the next piece; `None` at the end of the answer.
    pub(super) fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Piece, Cut>>> {
        if let Some(progress) = &self.progress {
            // Only parts of files fail.
            let _ = ready!(progress.poll_taken(cx));
        }
        let held = Arc::clone(&self.held);
        let mut holding = held.lock();
        if self.state == State::New {
            self.state = State::Quiet;
            if let Some(progress) = self.progress.clone() {
                let start = holding.encoder.start();
                // The encoder does not return it again.
                self.add(&start, &mut holding);
                return Poll::Ready(Some(Ok(Piece::awaited(start, &progress))));
            }
        }
        let turn = ready!(self.turns.poll(cx));
        holding.waiting_since = None;
        let polled = self.poll_coded(&mut holding, &turn, cx);
        if self.state == State::Ended {
            holding.shrink_to_output();
        }
        if polled.is_ready() {
            holding.waiting_since = Some(Instant::now());
        }
        polled
    }

    fn poll_coded(
        &mut self,
        holding: &mut BudgetedEncoder,
        turn: &Turn,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Piece, Cut>>> {
        loop {
            let ready = holding.encoder.ready();
            if ready >= PIECE {
                return self.piece(holding);
            }
            match self.state {
                State::New | State::Quiet | State::Busy if !turn.is_over() => {}
                State::New | State::Quiet | State::Busy => return yield_to_runtime(cx),
                State::Breaking(_) | State::Ended if ready > 0 => {
                    return self.piece(holding);
                }
                State::Breaking(cut) => {
                    // hyper writes its buffer when a body is pending, and then polls again.
                    self.state = State::Broken(cut);
                    return yield_to_runtime(cx);
                }
                State::Broken(cut) => {
                    self.state = State::Ended;
                    return Poll::Ready(Some(Err(cut)));
                }
                State::Ended => return Poll::Ready(None),
            }
            match self.advance(&mut holding.encoder, cx) {
                Ok(Poll::Ready(())) => {}
                Ok(Poll::Pending) if holding.encoder.ready() > 0 => return self.piece(holding),
                Ok(Poll::Pending) => return Poll::Pending,
                Err(error) => {
                    tracing::error!(%error, "an answer could not be compressed");
                    self.state = State::Breaking(Cut("COMPRESS"));
                }
            }
        }
    }

    /// Codes a part of the input, or polls the source for more.
    fn advance(&mut self, encoder: &mut Encoder, cx: &mut Context<'_>) -> io::Result<Poll<()>> {
        if !self.input.is_empty() {
            let some = self.input.split_to(self.input.len().min(STEP));
            self.state = State::Busy;
            encoder.push(&some)?;
            return Ok(Poll::Ready(()));
        }
        match http_body::Body::poll_frame(Pin::new(&mut *self.source), cx) {
            Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                Ok(Piece::Bytes(bytes)) => self.input = bytes,
                // Only a body without a coding is left to the connection.
                Ok(Piece::File(_) | Piece::Unread(_) | Piece::Awaited(_) | Piece::Counted(_)) => {
                    return Err(io::Error::other("a piece without bytes"));
                }
                Err(_) => {}
            },
            Poll::Ready(Some(Err(cut))) => {
                self.state = State::Breaking(cut);
                encoder.flush()?;
            }
            Poll::Ready(None) => {
                self.state = State::Ended;
                encoder.finish()?;
            }
            Poll::Pending => {
                if self.state == State::Busy {
                    self.state = State::Quiet;
                    encoder.flush()?;
                }
                return Ok(Poll::Pending);
            }
        }
        Ok(Poll::Ready(()))
    }

    fn piece(&mut self, holding: &mut BudgetedEncoder) -> Poll<Option<Result<Piece, Cut>>> {
        let piece = holding.encoder.take();
        self.add(&piece, holding);
        Poll::Ready(Some(Ok(match &self.progress {
            Some(progress) => Piece::awaited(piece, progress),
            None => Piece::Bytes(piece),
        })))
    }

    /// Adds a piece to the cache entry, as long as there is memory for it.
    fn add(&mut self, piece: &Bytes, holding: &mut BudgetedEncoder) {
        let worth = !self.is_broken() && !holding.encoder.is_stored();
        let Some(mut keep) = self.keep.take().filter(|_| worth) else {
            return;
        };
        let fits = holding.part.grow(piece.len() as u64).is_ok() && keep.add(piece);
        if fits && self.state == State::Ended {
            keep.commit();
        } else if fits {
            self.keep = Some(keep);
        }
    }

    fn is_broken(&self) -> bool {
        matches!(self.state, State::Breaking(_) | State::Broken(_))
    }
}
