//! An answer in a content coding, made while it is sent. What PHP prints and waits after is with
//! the client before PHP goes on: whenever there is nothing more at the moment, the coding is
//! flushed. No more is held than the coding's window and one piece.

mod cache;
mod encoder;
mod held;
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

pub use cache::{CodedCache, Identity, Keep, Key, Source};
pub use encoder::{Effort, Encoder};
use held::Held;
pub use held::{Encoders, Holding};

use super::cut::Cut;
use super::piece::{Piece, Progress};
use crate::limits::budget::Part;
use crate::threads::{Turn, Turns, yield_to_runtime};

/// Coded bytes that go out at once, while there is more.
const PIECE: usize = 16 * 1024;

/// Bytes that are coded without looking at the time: a tenth of a millisecond.
const STEP: usize = 4 * 1024;

/// The coded content of another body.
#[derive(Debug)]
pub struct Coded<S> {
    source: Box<S>,
    held: Arc<Held>,
    input: Bytes,
    state: State,
    keep: Option<Keep>,
    turns: Turns,
    /// Where the client may have no window: what was given is taken before there is more.
    progress: Option<Arc<Progress>>,
}

/// Codes the whole of `content`, while others have their turns. Returns what it becomes, and the memory of that.
pub async fn code_whole(mut holding: Holding, content: &[u8]) -> io::Result<(Bytes, Part)> {
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
    holding.keep_output();
    Ok((holding.encoder.take(), holding.part))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing has been asked for.
    New,
    /// All that came is flushed.
    Quiet,
    /// The engine may hold some of what came.
    Busy,
    /// The source broke off; what came before goes out first.
    Breaking(Cut),
    /// It has had time to.
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
        holding: Holding,
        keep: Option<Keep>,
    ) -> Self {
        Self {
            source: Box::new(source),
            held: encoders.hold(holding),
            input: Bytes::new(),
            state: State::New,
            keep,
            turns: Turns::here(),
            progress: None,
        }
    }

    /// Gives each piece when the one before it is taken, and has no engine before the first is. For HTTP/2, where a
    /// stream may have no window.
    pub(super) fn await_each(&mut self) {
        self.progress = Some(Arc::default());
    }

    /// The body that is coded.
    pub(super) fn source_mut(&mut self) -> &mut S {
        &mut self.source
    }

    /// Whether nothing more comes.
    pub(super) fn is_finished(&self) -> bool {
        self.state == State::Ended && self.held.lock().encoder.ready() == 0
    }

    /// The next piece; `None` when the answer is whole.
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
                // It comes out of the encoder only once.
                self.add(&start, &mut holding);
                return Poll::Ready(Some(Ok(Piece::awaited(start, &progress))));
            }
        }
        let turn = ready!(self.turns.poll(cx));
        holding.given = None;
        let polled = self.poll_coded(&mut holding, &turn, cx);
        if self.state == State::Ended {
            holding.keep_output();
        }
        if polled.is_ready() {
            holding.given = Some(Instant::now());
        }
        polled
    }

    fn poll_coded(
        &mut self,
        holding: &mut Holding,
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
                    // hyper writes what it has when a body has nothing at the moment, and then asks again.
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

    /// Codes some of what is here, or asks for more.
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
                // Only a body that is not coded is left to the connection.
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

    fn piece(&mut self, holding: &mut Holding) -> Poll<Option<Result<Piece, Cut>>> {
        let piece = holding.encoder.take();
        self.add(&piece, holding);
        Poll::Ready(Some(Ok(match &self.progress {
            Some(progress) => Piece::awaited(piece, progress),
            None => Piece::Bytes(piece),
        })))
    }

    /// Keeps a piece for others who ask, as long as there is memory for it.
    fn add(&mut self, piece: &Bytes, holding: &mut Holding) {
        let worth = !self.is_broken() && !holding.encoder.is_stored();
        let Some(mut keep) = self.keep.take().filter(|_| worth) else {
            return;
        };
        let fits = holding.part.grow(piece.len() as u64).is_ok() && keep.add(piece);
        if fits && self.state == State::Ended {
            keep.done();
        } else if fits {
            self.keep = Some(keep);
        }
    }

    fn is_broken(&self) -> bool {
        matches!(self.state, State::Breaking(_) | State::Broken(_))
    }
}
