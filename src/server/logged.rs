//! The body of a response while it is sent, and its access log line. The line is written on drop, however the body
//! ends, so it has the number of bytes sent.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Buf;
use http::request::Parts;
use http::{Method, Response, StatusCode, Uri};
use http_body::{Frame, SizeHint};

use super::watch::InFlight;
use crate::access_log::{AccessLogs, Captured, Record, RequestLog};
use crate::cgi::meta_variables::protocol;
use crate::failure::Failure;
use crate::handler::piece::Piece;
use crate::handler::{Body, Cut};
use crate::journey::{Context as RequestContext, Journey};
use crate::message::{RequestId, Wire};
use crate::moment::Moment;
use crate::site::numbers::Outcome;

/// nginx's status for a client that closed the connection before the end of the response.
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// The access log entry of a request, with its journey; written on drop.
#[derive(Debug)]
pub(super) struct Entry {
    record: Record,
    journey: Journey,
    /// hyper has the last byte of the response.
    complete: bool,
}

impl Entry {
    /// Builds the entry of a request. Boxed, so that moving it with the response moves one pointer.
    pub(super) fn new(parts: &Parts, wire: &Arc<Wire>, id: RequestId) -> Box<Self> {
        let received = Moment::read_clock();
        let record = Record {
            time: received.wall,
            wire: Arc::clone(wire),
            method: parts.method.clone(),
            uri: parts.uri.clone(),
            protocol: protocol(parts.version),
            status: CLIENT_CLOSED_REQUEST,
            bytes: 0,
            host: String::new(),
            canonical: None,
            captured: Captured::default(),
            request_id: id.clone(),
            site: None,
            handler: "none",
            user: None,
            upstream: None,
            cause: None,
            complete: false,
            duration: std::time::Duration::ZERO,
            queue: None,
            connect: None,
            acknowledge: None,
            first_byte: None,
        };
        Box::new(Self {
            record,
            journey: Journey::new(RequestContext::new(parts, wire, id, received)),
            complete: false,
        })
    }

    /// Builds the entry of bytes that are no request: method, target and version as far as the first line can be
    /// parsed, otherwise dashes.
    pub(super) fn of_head(
        logs: &Arc<AccessLogs>,
        head: &[u8],
        wire: &Arc<Wire>,
        id: RequestId,
    ) -> Box<Self> {
        let mut parts = http::Request::new(()).into_parts().0;
        let line = head.trim_ascii_start().split(|byte| *byte == b'\n').next();
        let mut words = line
            .unwrap_or_default()
            .trim_ascii_end()
            .splitn(3, |byte| *byte == b' ');
        let (method, target, version) = (words.next(), words.next(), words.next());
        let method = method.and_then(|method| Method::from_bytes(method).ok());
        parts.method = method.unwrap_or_else(|| Method::from_bytes(b"-").unwrap_or_default());
        let target = target.and_then(|target| Uri::try_from(target).ok());
        parts.uri = target.unwrap_or_else(|| Uri::from_static("-"));
        let mut entry = Self::new(&parts, wire, id);
        entry.journey.context.log = RequestLog::of_malformed(logs);
        entry.record.protocol = match version {
            Some(b"HTTP/1.1") => "HTTP/1.1",
            Some(b"HTTP/1.0") => "HTTP/1.0",
            Some(_) | None => "-",
        };
        entry
    }

    pub(super) fn set_status(&mut self, status: StatusCode) {
        self.record.status = status.as_u16();
    }

    /// Records that the whole response was sent, with `content` bytes.
    pub(super) fn set_written(&mut self, content: u64) {
        self.record.bytes = content;
        self.complete = true;
    }

    pub(super) fn set_cause(&mut self, cause: &'static str) {
        self.journey.context.cause = Some(cause);
    }

    /// Returns the context of the request.
    pub(super) fn context(&self) -> &RequestContext {
        &self.journey.context
    }

    /// Returns the journey, and the record for log lines about it.
    pub(super) fn split(&mut self) -> (&mut Journey, &Record) {
        (&mut self.journey, &self.record)
    }

    /// Copies status, timings and logged fields of the response into the record.
    fn record_response(&mut self, response: &Response<Body>) {
        let context = &mut self.journey.context;
        // After a failure the line has the trace of the failed request, not that of its error page.
        let has_failed = context.trace.upstream.is_some() && context.cause.is_some();
        let trace = if has_failed {
            std::mem::take(&mut context.trace)
        } else {
            response.body().trace.clone()
        };
        let status = response.status();
        self.record.status = status.as_u16();
        if status == StatusCode::NOT_FOUND && context.cause.is_none() {
            // The script that answers instead has no cause.
            context.cause = context.withheld.map(|why| Failure::Withheld(why).code());
        }
        context.log.capture_response(response);
        self.record.upstream = trace.upstream;
        self.record.queue = trace.queue;
        self.record.connect = trace.connect;
        self.record.acknowledge = trace.acknowledge;
        self.record.first_byte = trace.first_byte;
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let (record, context) = (&mut self.record, &mut self.journey.context);
        record.duration = context.received.instant.elapsed();
        record.complete = self.complete;
        record.handler = context.handler;
        record.cause = context.cause;
        let user = context.edits.as_ref().and_then(|edits| edits.user());
        record.user = user.map(|user| Arc::clone(&user.name));
        if !self.complete && record.cause.is_none() {
            record.cause = Some("CLIENT_CLOSED");
        }
        if let Some(site) = &context.site {
            record.site = Some(Arc::clone(&site.name));
            record.canonical.clone_from(&site.canonical);
            site.numbers.count(&Outcome {
                handler: record.handler,
                status: record.status,
                bytes: record.bytes,
                complete: self.complete,
                duration: record.duration,
                first_byte: record.first_byte,
            });
        }
        context.log.write(record, context.edits.as_deref());
    }
}

/// A body that counts its bytes and writes its log entry at the end.
#[derive(Debug)]
pub(super) struct Logged {
    body: Body,
    entry: Box<Entry>,
    in_flight: InFlight,
}

impl Logged {
    /// Wraps the body of `response`.
    pub(super) fn wrap(
        response: Response<Body>,
        mut entry: Box<Entry>,
        in_flight: InFlight,
    ) -> Response<Self> {
        entry.record_response(&response);
        in_flight.mark_answered();
        // hyper does not poll a body known to be empty.
        entry.complete = http_body::Body::is_end_stream(response.body());
        response.map(|body| Self {
            body,
            entry,
            in_flight,
        })
    }
}

impl Drop for Logged {
    /// Names the fault of an answer that was cut while its client took nothing: hyper has not asked for it then.
    fn drop(&mut self) {
        let is_unnamed = !self.entry.complete && self.entry.context().cause.is_none();
        if is_unnamed && let Some(cut) = self.body.fault() {
            self.entry.set_cause(cut.0);
        }
    }
}

impl http_body::Body for Logged {
    type Data = Piece;
    type Error = Cut;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Piece>, Cut>>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.body).poll_frame(cx);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                this.entry.record.bytes +=
                    frame.data_ref().map_or(0, |data| data.remaining() as u64);
                this.entry.complete = this.body.is_end_stream();
            }
            Poll::Ready(Some(Err(cut))) => {
                this.entry.set_cause(cut.0);
                if this.entry.record.protocol == "HTTP/1.0" {
                    this.in_flight.mark_cut();
                }
            }
            Poll::Ready(None) => this.entry.complete = true,
            Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
