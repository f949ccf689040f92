//! Requests and responses as tests speak of them, for both versions of HTTP.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

/// One piece of bytes, repeated: large content without the memory for it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Content {
    piece: Bytes,
    times: usize,
    announced: bool,
}

impl Content {
    pub(crate) fn new(piece: impl Into<Bytes>, times: usize) -> Self {
        Self {
            piece: piece.into(),
            times,
            announced: true,
        }
    }

    /// `mebibytes` MiB that are not all the same.
    pub(crate) fn mebibytes(mebibytes: usize) -> Self {
        let piece: Vec<u8> = (0..=u8::MAX)
            .cycle()
            .take(65_521)
            .chain([b'\n'; 15])
            .collect();
        Self::new(piece, mebibytes * 16)
    }

    pub(crate) fn length(&self) -> usize {
        self.piece.len() * self.times
    }

    /// Whether the length is sent ahead.
    pub(crate) fn is_announced(&self) -> bool {
        self.announced
    }

    pub(crate) fn pieces(&self) -> impl Iterator<Item = &Bytes> {
        std::iter::repeat_n(&self.piece, self.times).filter(|piece| !piece.is_empty())
    }
}

impl http_body::Body for Content {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.times == 0 {
            return Poll::Ready(None);
        }
        self.times -= 1;
        Poll::Ready(Some(Ok(Frame::data(self.piece.clone()))))
    }

    fn is_end_stream(&self) -> bool {
        self.times == 0
    }

    fn size_hint(&self) -> SizeHint {
        if self.announced {
            SizeHint::with_exact(self.length() as u64)
        } else {
            SizeHint::default()
        }
    }
}

/// A request, built up by the methods below.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) content: Option<Content>,
    /// What an HTTP/1 request line says; the other client does not look at it.
    pub(crate) version: &'static str,
}

impl Request {
    pub(crate) fn new(method: &str, target: &str) -> Self {
        Self {
            method: method.to_owned(),
            target: target.to_owned(),
            fields: Vec::new(),
            content: None,
            version: "HTTP/1.1",
        }
    }

    /// In HTTP/1.0, where nothing adds a Host.
    pub(crate) fn http10(self) -> Self {
        Self {
            version: "HTTP/1.0",
            ..self
        }
    }

    pub(crate) fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    pub(crate) fn post(target: &str) -> Self {
        Self::new("POST", target)
    }

    pub(crate) fn field(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sends `content` with its length ahead.
    pub(crate) fn content(self, content: Content) -> Self {
        Self {
            content: Some(content),
            ..self
        }
    }

    /// Sends these bytes with their length ahead.
    pub(crate) fn body(self, bytes: impl Into<Bytes>) -> Self {
        self.content(Content::new(bytes, 1))
    }

    /// Sends the content without its length: chunked in HTTP/1.1, plain DATA frames in HTTP/2.
    pub(crate) fn chunked(mut self) -> Self {
        if let Some(content) = &mut self.content {
            content.announced = false;
        }
        self
    }
}

/// A response; `whole` tells whether its content ended as its framing promised.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) whole: bool,
}

impl Response {
    /// What stands for no response at all.
    pub(crate) fn none() -> Self {
        Self {
            status: 0,
            fields: Vec::new(),
            body: Vec::new(),
            whole: false,
        }
    }

    /// The value of a field that is there once at most.
    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let values = self.headers(name);
        assert!(values.len() <= 1, "{name} is repeated: {values:?}");
        values.first().copied()
    }

    /// The values of a field, in order.
    pub(crate) fn headers(&self, name: &str) -> Vec<&str> {
        let named = self
            .fields
            .iter()
            .filter(|(field, _)| field.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str()).collect()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The content, read as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        match serde_json::from_slice(&self.body) {
            Ok(value) => value,
            Err(error) => panic!("not JSON, {error}: {self:?}"),
        }
    }
}
