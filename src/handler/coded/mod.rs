//! An answer in a content coding, made while it is sent. What PHP prints and waits after is with
//! the client before PHP goes on: whenever there is nothing more at the moment, the coding is
//! flushed. No more is held than the coding's window and one piece.

mod cache;
mod encoder;
#[cfg(test)]
mod tests;

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;

pub use cache::{CodedCache, Identity, Keep, Key, Source};
pub use encoder::{Effort, Encoder};

use super::piece::Piece;
use super::{Body, Cut};

/// Coded bytes that go out at once, while there is more.
const PIECE: usize = 16 * 1024;

/// Bytes that are coded without looking whether there is enough for a piece.
const STEP: usize = 16 * 1024;

/// Bytes that are coded before others get their turn on this thread: about a millisecond.
const TURN: usize = 128 * 1024;

/// The coded content of another body.
#[derive(Debug)]
pub struct Coded {
    source: Box<Body>,
    encoder: Encoder,
    input: Bytes,
    state: State,
    keep: Option<Keep>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
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

impl Coded {
    pub(super) fn new(source: Body, encoder: Encoder, keep: Option<Keep>) -> Self {
        Self {
            source: Box::new(source),
            encoder,
            input: Bytes::new(),
            state: State::Quiet,
            keep,
        }
    }

    /// The body that is coded.
    pub(super) fn source_mut(&mut self) -> &mut Body {
        &mut self.source
    }

    /// Whether nothing more comes.
    pub(super) fn is_finished(&self) -> bool {
        self.state == State::Ended && self.encoder.ready() == 0
    }

    /// The next piece; `None` when the answer is whole.
    pub(super) fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Cut>>> {
        let mut coded = 0;
        loop {
            if self.encoder.ready() >= PIECE {
                return self.piece();
            }
            match self.state {
                State::Quiet | State::Busy if coded < TURN => {}
                State::Quiet | State::Busy => return again(cx),
                State::Breaking(_) | State::Ended if self.encoder.ready() > 0 => {
                    return self.piece();
                }
                State::Breaking(cut) => {
                    self.state = State::Broken(cut);
                    return again(cx);
                }
                State::Broken(cut) => {
                    self.state = State::Ended;
                    return Poll::Ready(Some(Err(cut)));
                }
                State::Ended => return Poll::Ready(None),
            }
            match self.advance(cx) {
                Ok(Poll::Ready(bytes)) => coded += bytes,
                Ok(Poll::Pending) if self.encoder.ready() > 0 => return self.piece(),
                Ok(Poll::Pending) => return Poll::Pending,
                Err(error) => {
                    tracing::error!(%error, "an answer could not be compressed");
                    self.state = State::Breaking(Cut("COMPRESS"));
                }
            }
        }
    }

    /// Codes some of what is here, or asks for more; how many bytes were coded.
    fn advance(&mut self, cx: &mut Context<'_>) -> std::io::Result<Poll<usize>> {
        if !self.input.is_empty() {
            let some = self.input.split_to(self.input.len().min(STEP));
            self.state = State::Busy;
            self.encoder.push(&some)?;
            return Ok(Poll::Ready(some.len()));
        }
        match http_body::Body::poll_frame(Pin::new(&mut *self.source), cx) {
            Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                Ok(Piece::Bytes(bytes)) => self.input = bytes,
                // Only a body that is not coded is left to the kernel.
                Ok(Piece::File(_)) => return Err(std::io::Error::other("a piece without bytes")),
                Err(_) => {}
            },
            Poll::Ready(Some(Err(cut))) => {
                self.state = State::Breaking(cut);
                self.encoder.flush()?;
            }
            Poll::Ready(None) => {
                self.state = State::Ended;
                self.encoder.finish()?;
            }
            Poll::Pending => {
                if self.state == State::Busy {
                    self.state = State::Quiet;
                    self.encoder.flush()?;
                }
                return Ok(Poll::Pending);
            }
        }
        Ok(Poll::Ready(0))
    }

    fn piece(&mut self) -> Poll<Option<Result<Bytes, Cut>>> {
        let piece = self.encoder.take();
        if let Some(mut keep) = self.keep.take().filter(|_| !self.is_broken())
            && keep.add(&piece)
        {
            match self.state {
                State::Ended => keep.done(),
                State::Quiet | State::Busy | State::Breaking(_) | State::Broken(_) => {
                    self.keep = Some(keep);
                }
            }
        }
        Poll::Ready(Some(Ok(piece)))
    }

    fn is_broken(&self) -> bool {
        matches!(self.state, State::Breaking(_) | State::Broken(_))
    }
}

/// hyper writes what it has when a body has nothing at the moment, and then asks again.
fn again<T>(cx: &mut Context<'_>) -> Poll<T> {
    cx.waker().wake_by_ref();
    Poll::Pending
}
