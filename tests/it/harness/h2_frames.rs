//! A client that writes HTTP/2 frame by frame, right ones and wrong ones (RFC 9113 §4, §6), and says what came back.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::address::Stream;
use super::{Address, patiently};

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const ACK: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// Error codes (RFC 9113 §7).
pub(crate) const PROTOCOL_ERROR: u32 = 1;
pub(crate) const FRAME_SIZE_ERROR: u32 = 6;
pub(crate) const REFUSED_STREAM: u32 = 7;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// One frame as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// The bytes on the wire.
    pub(crate) fn bytes(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut bytes = length[1..].to_vec();
        bytes.extend([kind, flags]);
        bytes.extend(stream.to_be_bytes());
        bytes.extend(payload);
        bytes
    }

    /// Whether it is the last of its stream.
    pub(crate) fn ends(&self) -> bool {
        matches!(self.kind, DATA | HEADERS) && self.flags & END_STREAM != 0
    }

    /// The error code of RST_STREAM or GOAWAY.
    pub(crate) fn error_code(&self) -> u32 {
        let code = match self.kind {
            RST_STREAM => &self.payload[..4],
            GOAWAY => &self.payload[4..8],
            kind => panic!("a frame of type {kind} has no error code"),
        };
        u32::from_be_bytes(code.try_into().unwrap())
    }

    /// The three digits of `:status` in a head: an index of the static table, or a literal of three bytes, which
    /// our server's encoder may send with Huffman's code.
    pub(crate) fn status(&self) -> u16 {
        assert_eq!(self.kind, HEADERS);
        let first = self.payload.iter().find(|&&byte| byte & 0xe0 != 0x20);
        match first {
            Some(0x88) => 200,
            Some(0x89) => 204,
            Some(0x8a) => 206,
            Some(0x8b) => 304,
            Some(0x8c) => 400,
            Some(0x8d) => 404,
            Some(0x8e) => 500,
            _ => self.literal_status(),
        }
    }

    /// RFC 7541 appendix B: the digits 0, 1 and 2 have five bits, 3 to 9 have six: 0x19 to 0x1f.
    fn literal_status(&self) -> u16 {
        let length = usize::from(self.payload[1] & 0x7f);
        let value = &self.payload[2..2 + length];
        if self.payload[1] & 0x80 == 0 {
            return String::from_utf8_lossy(value).parse().unwrap();
        }
        let mut bits = value
            .iter()
            .flat_map(|byte| (0..8).rev().map(move |bit| u16::from(byte >> bit & 1)));
        let mut take = |count, start: u16| {
            bits.by_ref()
                .take(count)
                .fold(start, |code, bit| code << 1 | bit)
        };
        (0..3).fold(0, |status, _| {
            let code = take(5, 0);
            let digit = if code < 3 { code } else { take(1, code) - 0x16 };
            status * 10 + digit
        })
    }
}

/// What became of one stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Ended with this status, after so many bytes of DATA.
    Answered { status: u16, data: usize },
    /// RST_STREAM.
    Reset(u32),
    /// GOAWAY with an error, or the end without one (`None`).
    Gone(Option<u32>),
}

/// A connection behind the preface and an exchange of SETTINGS.
pub(crate) struct Frames {
    stream: Stream,
}

/// A field block of literals without indexing (RFC 7541 §6.2.2) and without Huffman's code.
pub(crate) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in fields {
        bytes.push(0);
        for text in [name, value] {
            integer(text.len(), &mut bytes);
            bytes.extend(text.as_bytes());
        }
    }
    bytes
}

/// RFC 7541 §5.1 with a prefix of seven bits.
fn integer(value: usize, bytes: &mut Vec<u8>) {
    let Some(mut rest) = value.checked_sub(0x7f) else {
        return bytes.push(u8::try_from(value).unwrap());
    };
    bytes.push(0x7f);
    while rest >= 0x80 {
        bytes.push(u8::try_from(rest & 0x7f).unwrap() | 0x80);
        rest >>= 7;
    }
    bytes.push(u8::try_from(rest).unwrap());
}

/// The four pseudo-header fields of an ordinary request, and `more`.
pub(crate) fn request<'a>(
    method: &'a str,
    path: &'a str,
    more: &[(&'a str, &'a str)],
) -> Vec<(&'a str, &'a str)> {
    let pseudo = [
        (":method", method),
        (":scheme", "http"),
        (":authority", "localhost"),
        (":path", path),
    ];
    pseudo.into_iter().chain(more.iter().copied()).collect()
}

impl Frames {
    /// With the windows that a client has who says nothing.
    pub(crate) async fn open(address: &Address) -> Self {
        Self::open_with(address, &[]).await
    }

    /// With `settings`: pairs of identifier and value (RFC 9113 §6.5.2).
    pub(crate) async fn open_with(address: &Address, settings: &[(u16, u32)]) -> Self {
        let frames = Self::try_over(address.connect().await, settings).await;
        frames.expect("the connection ended before the server's SETTINGS")
    }

    /// The same on a stream that is open already; `None` when that ends first.
    pub(crate) async fn try_over(stream: Stream, settings: &[(u16, u32)]) -> Option<Self> {
        let mut payload = Vec::new();
        for (identifier, value) in settings {
            payload.extend(identifier.to_be_bytes());
            payload.extend(value.to_be_bytes());
        }
        let mut frames = Self { stream };
        frames.try_raw(PREFACE).await.ok()?;
        let ours = Frame::bytes(SETTINGS, 0, 0, &payload);
        frames.try_raw(&ours).await.ok()?;
        while frames.next().await?.kind != SETTINGS {}
        let acknowledged = Frame::bytes(SETTINGS, ACK, 0, &[]);
        frames.try_raw(&acknowledged).await.ok()?;
        Some(frames)
    }

    /// The bytes below.
    pub(crate) fn into_stream(self) -> Stream {
        self.stream
    }

    pub(crate) async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let bytes = Frame::bytes(kind, flags, stream, payload);
        self.try_raw(&bytes).await.unwrap();
    }

    /// HEADERS with END_HEADERS.
    pub(crate) async fn head(&mut self, stream: u32, fields: &[(&str, &str)], end: bool) {
        let flags = END_HEADERS | if end { END_STREAM } else { 0 };
        self.send(HEADERS, flags, stream, &block(fields)).await;
    }

    /// Whatever bytes; fails when the connection has ended.
    pub(crate) async fn try_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        patiently("the client's bytes", async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        })
        .await
    }

    /// The next frame; `None` at the end of the connection, however it ends.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        patiently("a frame", self.read()).await.ok()
    }

    async fn read(&mut self) -> io::Result<Frame> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head).await?;
        let [a, b, c, kind, flags, stream @ ..] = head;
        let length = u32::from_be_bytes([0, a, b, c]);
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        self.stream.read_exact(&mut payload).await?;
        Ok(Frame {
            kind,
            flags,
            stream: u32::from_be_bytes(stream),
            payload,
        })
    }

    /// Reads on to a frame that is `wanted`.
    pub(crate) async fn until(&mut self, what: &str, wanted: impl Fn(&Frame) -> bool) -> Frame {
        while let Some(frame) = self.next().await {
            if wanted(&frame) {
                return frame;
            }
        }
        panic!("the connection ended before {what}")
    }

    /// Reads on until it is known what became of `stream`; other streams' frames are left out.
    pub(crate) async fn outcome(&mut self, stream: u32) -> Outcome {
        let (mut status, mut data) = (0, 0);
        while let Some(frame) = self.next().await {
            match frame.kind {
                GOAWAY if frame.error_code() != 0 => {
                    return Outcome::Gone(Some(frame.error_code()));
                }
                RST_STREAM if frame.stream == stream => return Outcome::Reset(frame.error_code()),
                HEADERS if frame.stream == stream => status = frame.status(),
                DATA if frame.stream == stream => data += frame.payload.len(),
                _ => continue,
            }
            if frame.ends() {
                return Outcome::Answered { status, data };
            }
        }
        Outcome::Gone(None)
    }

    /// Reads to the end; the last error that a GOAWAY named.
    pub(crate) async fn ended(&mut self) -> Option<u32> {
        let mut last = None;
        while let Some(frame) = self.next().await {
            if frame.kind == GOAWAY {
                last = Some(frame.error_code());
            }
        }
        last
    }
}
