//! The content of a response: one concrete type, so that hyper polls it without a box or a
//! virtual call.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use http_body::{Frame, SizeHint};

use super::answer::ScriptContent;
use super::coded::{Coded, Encoders, Holding, Identity, Keep};
use super::piece::{FileQueue, Piece};
use super::share::Share;
use super::static_files::{FileContent, Multipart};

/// The content of a response and what is known of its making.
#[derive(Debug)]
pub struct Body {
    content: Content,
    /// For the log.
    pub trace: Trace,
}

/// How an answer came about, for the log.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// The upstream that answered.
    pub upstream: Option<Arc<str>>,
    /// Time in the queue.
    pub queue: Option<Duration>,
    /// Time to connect.
    pub connect: Option<Duration>,
    /// Time until a worker acknowledged the request: the application's own queue.
    pub acknowledge: Option<Duration>,
    /// Time from the request's arrival to the first byte of the application's answer.
    pub first_byte: Option<Duration>,
}

#[derive(Debug)]
enum Content {
    Empty,
    Bytes(Bytes),
    File(Box<FileContent>),
    Multipart(Box<Multipart>),
    Script(ScriptContent),
    Coded(Box<Coded>),
}

/// An answer that cannot be completed: hyper breaks the transfer visibly, so that no client takes
/// the part for the whole (promise 6). Holds the cause code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the answer was cut: {0}")]
pub struct Cut(pub &'static str);

impl Body {
    /// No content.
    pub fn empty() -> Self {
        Self::of(Content::Empty)
    }

    /// These bytes.
    pub fn bytes(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self::of(if bytes.is_empty() {
            Content::Empty
        } else {
            Content::Bytes(bytes)
        })
    }

    /// Gives up the content; what is known of its making stays.
    pub fn discard(&mut self) {
        self.content = Content::Empty;
    }

    /// Gives up a script's answer when its client takes nothing of it for `pause`; zero is no limit. For HTTP/2, where a
    /// stream can stand still on a connection that does not.
    pub fn watch(&mut self, pause: Duration) {
        match &mut self.content {
            Content::Script(script) => script.watch(pause),
            Content::Coded(coded) => coded.source_mut().watch(pause),
            Content::Empty | Content::Bytes(_) | Content::File(_) | Content::Multipart(_) => {}
        }
    }

    /// Leaves the bytes of a large file to the connection's IO, which takes them from `queue`. For HTTP/1.
    pub fn send_by(&mut self, queue: &FileQueue) {
        if let Content::File(file) = &mut self.content {
            file.send_by(queue.clone());
        } else if let Content::Multipart(parts) = &mut self.content {
            parts.send_by(queue.clone());
        }
    }

    /// Reads the bytes of a large file when they are sent, and codes no more than is. For HTTP/2, where a stream may have no
    /// window.
    pub fn make_late(&mut self, share: &Share<'_>) {
        if let Content::File(file) = &mut self.content {
            file.read_late(share);
        } else if let Content::Multipart(parts) = &mut self.content {
            parts.read_late(share);
        } else if let Content::Coded(coded) = &mut self.content {
            coded.await_each();
        }
    }

    /// The content where all of it is here already.
    pub fn whole(&self) -> Option<&Bytes> {
        if let Content::File(file) = &self.content {
            return file.whole();
        }
        if let Content::Bytes(bytes) = &self.content {
            return Some(bytes);
        }
        None
    }

    /// Which file the content is, where it is the whole of one.
    pub fn identity(&self) -> Option<Identity> {
        if let Content::File(file) = &self.content {
            return file.identity();
        }
        None
    }

    /// The type that each of several parts of a file has.
    pub fn part_type(&self) -> Option<&HeaderValue> {
        if let Content::Multipart(parts) = &self.content {
            return Some(parts.media_type());
        }
        None
    }

    /// The same answer with these bytes as its content.
    pub fn replace(&mut self, bytes: Bytes) {
        self.content = Content::Bytes(bytes);
    }

    /// The same answer in a content coding; `keep` gets it when it is whole.
    pub fn code(&mut self, encoders: &Encoders, holding: Holding, keep: Option<Keep>) {
        let content = std::mem::replace(&mut self.content, Content::Empty);
        let coded = Coded::new(Self::of(content), encoders, holding, keep);
        self.content = Content::Coded(Box::new(coded));
    }

    pub(super) fn file(file: FileContent) -> Self {
        Self::of(Content::File(Box::new(file)))
    }

    pub(super) fn multipart(parts: Box<Multipart>) -> Self {
        Self::of(Content::Multipart(parts))
    }

    pub(super) fn script(script: ScriptContent) -> Self {
        Self::of(Content::Script(script))
    }

    fn of(content: Content) -> Self {
        Self {
            content,
            trace: Trace::default(),
        }
    }
}

impl http_body::Body for Body {
    type Data = Piece;
    type Error = Cut;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Piece>, Cut>>> {
        let this = self.get_mut();
        match &mut this.content {
            Content::Empty => Poll::Ready(None),
            Content::Bytes(bytes) => {
                let bytes = std::mem::take(bytes);
                this.content = Content::Empty;
                Poll::Ready(Some(Ok(Frame::data(Piece::Bytes(bytes)))))
            }
            Content::File(file) => file.poll_piece(cx).map(data),
            Content::Multipart(parts) => parts.poll_piece(cx).map(data),
            Content::Script(script) => script.poll_piece(cx).map(frame),
            Content::Coded(coded) => coded.poll_piece(cx).map(data),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Empty => true,
            Content::Bytes(_) => false,
            Content::File(file) => file.left() == 0,
            Content::Multipart(parts) => parts.left() == 0,
            Content::Script(script) => script.is_finished(),
            Content::Coded(coded) => coded.is_finished(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Empty => SizeHint::with_exact(0),
            Content::Bytes(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::File(file) => SizeHint::with_exact(file.left()),
            Content::Multipart(parts) => SizeHint::with_exact(parts.left()),
            Content::Script(script) => hint(script.left()),
            Content::Coded(_) => SizeHint::default(),
        }
    }
}

fn frame(piece: Option<Result<Bytes, Cut>>) -> Option<Result<Frame<Piece>, Cut>> {
    data(piece.map(|piece| piece.map(Piece::Bytes)))
}

fn data(piece: Option<Result<Piece, Cut>>) -> Option<Result<Frame<Piece>, Cut>> {
    piece.map(|piece| piece.map(Frame::data))
}

fn hint(left: Option<u64>) -> SizeHint {
    left.map_or_else(SizeHint::default, SizeHint::with_exact)
}
