//! The last answer on a connection, for bytes that hyper never saw: they were no request, or did
//! not become one in time.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::StatusCode;
use hyper::rt::Write;

use super::logged::Entry;
use crate::filter::date;

/// An answer that is written from here, and its line in the access log, which is written when
/// this is dropped.
#[derive(Debug)]
pub(super) struct FinalResponse {
    unwritten: Bytes,
    content: u64,
    entry: Box<Entry>,
}

impl FinalResponse {
    /// Answers with `status`; `has_content` where the request was not HEAD (RFC 9110 §9.3.2).
    pub(super) fn new(status: StatusCode, has_content: bool, entry: Box<Entry>) -> Self {
        let text = match has_content {
            true => format!("{status}\n"),
            false => String::new(),
        };
        let date = date::now();
        let date = date.to_str().unwrap_or_default();
        let answer = format!(
            "HTTP/1.1 {status}\r\ncontent-type: text/plain; charset=utf-8\r\n\
             content-length: {}\r\nconnection: close\r\ndate: {date}\r\n\r\n{text}",
            text.len()
        );
        Self {
            unwritten: answer.into(),
            content: text.len() as u64,
            entry,
        }
    }

    /// Writes what is left of it.
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
