//! The content of a response: one concrete type, so that hyper polls it without a box or a
//! virtual call.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use http_body::{Frame, SizeHint};

use super::answer::{Incoming, UpstreamContent};
use super::coded::{BudgetedEncoder, Coded, Encoders, Identity, PendingEntry};
use super::cut::Cut;
use super::fastcgi::ScriptOutput;
use super::origin::{Maker, Trace};
use super::piece::{FileQueue, Piece};
use super::share::Share;
use super::static_files::{FileContent, Multipart};

/// The content of a response, its maker, and the trace of its making.
#[derive(Debug)]
pub struct Body {
    content: Content,
    maker: Maker,
    /// Timings for the access log.
    pub trace: Trace,
}

#[derive(Debug)]
enum Content {
    Empty,
    Bytes(Bytes),
    File(Box<FileContent>),
    Multipart(Box<Multipart>),
    Script(UpstreamContent<ScriptOutput>),
    Coded(Box<Coded<Body>>),
}

impl Body {
    /// Builds an empty body of the gateway.
    pub fn empty() -> Self {
        Self::of(Content::Empty, Maker::Gateway)
    }

    /// Builds a body of these bytes of the gateway.
    pub fn bytes(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let content = if bytes.is_empty() {
            Content::Empty
        } else {
            Content::Bytes(bytes)
        };
        Self::of(content, Maker::Gateway)
    }

    /// Returns the same body with another maker.
    #[must_use]
    pub fn by(mut self, maker: Maker) -> Self {
        self.maker = maker;
        self
    }

    /// Returns the maker of the content, in any coding.
    pub fn maker(&self) -> Maker {
        self.maker
    }

    /// Drops the content; maker and trace stay.
    pub fn discard(&mut self) {
        self.content = Content::Empty;
    }

    /// Cuts a script's answer if its client takes nothing of it for `pause`; zero is no limit. For HTTP/2, where a stream can
    /// stall on a connection that makes progress.
    pub fn watch(&mut self, pause: Duration) {
        match &mut self.content {
            Content::Script(script) => script.watch(pause),
            Content::Coded(coded) => coded.source_mut().watch(pause),
            Content::Empty | Content::Bytes(_) | Content::File(_) | Content::Multipart(_) => {}
        }
    }

    /// Returns the fault that has cut a script's answer, even if hyper has not asked for more since.
    pub fn fault(&self) -> Option<Cut> {
        match &self.content {
            Content::Script(script) => script.fault(),
            Content::Coded(coded) => coded.source().fault(),
            Content::Empty | Content::Bytes(_) | Content::File(_) | Content::Multipart(_) => None,
        }
    }

    /// Leaves the bytes of a large file to the connection's IO, by `queue`. For HTTP/1.
    pub fn send_by(&mut self, queue: &FileQueue) {
        if let Content::File(file) = &mut self.content {
            file.send_by(queue.clone());
        } else if let Content::Multipart(parts) = &mut self.content {
            parts.send_by(queue.clone());
        }
    }

    /// Defers reading a large file, and coding, until the bytes are sent. For HTTP/2, where a stream may have no window.
    pub fn defer(&mut self, share: &Share<'_>) {
        if let Content::File(file) = &mut self.content {
            file.defer_reading(share);
        } else if let Content::Multipart(parts) = &mut self.content {
            parts.defer_reading(share);
        } else if let Content::Coded(coded) = &mut self.content {
            coded.await_each();
        }
    }

    /// Returns the content if all of it is in memory.
    pub fn whole(&self) -> Option<&Bytes> {
        if let Content::File(file) = &self.content {
            return file.whole();
        }
        if let Content::Bytes(bytes) = &self.content {
            return Some(bytes);
        }
        None
    }

    /// Returns the file and its version if the content is the whole of it.
    pub fn identity(&self) -> Option<Identity> {
        if let Content::File(file) = &self.content {
            return file.identity();
        }
        None
    }

    /// Returns the type of each part of a multipart content.
    pub fn part_type(&self) -> Option<&HeaderValue> {
        if let Content::Multipart(parts) = &self.content {
            return Some(parts.media_type());
        }
        None
    }

    /// Replaces the content by these bytes.
    pub fn replace(&mut self, bytes: Bytes) {
        self.content = Content::Bytes(bytes);
    }

    /// Puts the content into a content coding; `keep` receives it when it is complete.
    pub fn code(
        &mut self,
        encoders: &Encoders,
        holding: BudgetedEncoder,
        keep: Option<PendingEntry>,
    ) {
        let content = std::mem::replace(&mut self.content, Content::Empty);
        let source = Self::of(content, self.maker);
        let coded = Coded::new(source, encoders, holding, keep);
        self.content = Content::Coded(Box::new(coded));
    }

    pub(super) fn file(file: Box<FileContent>) -> Self {
        Self::of(Content::File(file), Maker::File)
    }

    pub(super) fn multipart(parts: Box<Multipart>) -> Self {
        Self::of(Content::Multipart(parts), Maker::File)
    }

    /// Sets a maker other than that of the bytes, for a file that a script has sent.
    pub(super) fn set_maker(&mut self, maker: Maker) {
        self.maker = maker;
    }

    fn of(content: Content, maker: Maker) -> Self {
        Self {
            content,
            maker,
            trace: Trace::default(),
        }
    }
}

impl From<UpstreamContent<ScriptOutput>> for Body {
    fn from(content: UpstreamContent<ScriptOutput>) -> Self {
        Self::of(Content::Script(content), ScriptOutput::MAKER)
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
