//! The last response on a connection, for bytes that never reach hyper: a malformed head, or one that
//! exceeds its timeout.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::StatusCode;
use hyper::rt::Write;

use super::logged::Entry;
use crate::filter::date;

/// A response written without hyper, and its access log line, which is written on drop.
#[derive(Debug)]
pub(super) struct FinalResponse {
    unwritten: Bytes,
    content: u64,
    entry: Box<Entry>,
}

impl FinalResponse {
    /// Builds a response with `status`; `has_content` unless the method is HEAD (RFC 9110 §9.3.2).
    pub(super) fn new(status: StatusCode, has_content: bool, entry: Box<Entry>) -> Self {
        let text = if has_content {
            format!("{status}\n")
        } else {
            String::new()
        };
        let now = date::now();
        let date = now.to_str().unwrap_or_default();
        let response = format!(
            "HTTP/1.1 {status}\r\ncontent-type: text/plain; charset=utf-8\r\n\
             content-length: {}\r\nconnection: close\r\ndate: {date}\r\n\r\n{text}",
            text.len()
        );
        Self {
            unwritten: response.into(),
            content: text.len() as u64,
            entry,
        }
    }

    /// Writes the rest of the response.
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut (impl Write + Unpin),
    ) -> Poll<io::Result<()>> {
        while !self.unwritten.is_empty() {
            let written = ready!(Pin::new(&mut *stream).poll_write(cx, &self.unwritten))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.unwritten.advance(written);
        }
        self.entry.set_written(self.content);
        Poll::Ready(Ok(()))
    }
}
