//! A response's body on its way out, and the log line that is written when it has ended, however
//! it ends: the line knows what was really sent.

use std::borrow::Cow;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::SystemTime;

use bytes::Buf;
use http::request::Parts;
use http::{Method, Response, StatusCode, Uri};
use http_body::{Frame, SizeHint};
use tokio::time::Instant;

use super::watch::InFlight;
use crate::access_log::{AccessLog, Record};
use crate::cgi::meta_variables::protocol;
use crate::failure::Failure;
use crate::filter::compress::Negotiation;
use crate::handler::piece::Piece;
use crate::handler::share::Share;
use crate::handler::{Body, Cut, Trace};
use crate::limits::budget::{Budget, Owner, SiteKey};
use crate::limits::rate::Running;
use crate::message::edits::Edits;
use crate::message::{Request, RequestId, Wire};
use crate::moment;
use crate::site::Site;
use crate::site::numbers::Outcome;

/// nginx's status for a client that left before its answer was whole.
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// A log line in the making; written when dropped.
#[derive(Debug)]
pub(super) struct Entry {
    log: AccessLog,
    record: Record,
    site: Option<Arc<Site>>,
    /// What the rules want changed about the answer.
    edits: Option<Arc<Edits>>,
    /// The request, where an error page may be asked for in its place.
    echo: Option<Box<Request>>,
    /// Why a file of the name is never sent, where a rule left it to the next for that.
    withheld: Option<&'static str>,
    /// In which codings the client takes the answer, where the site has any.
    negotiation: Option<Negotiation>,
    begun: Instant,
    /// The answer's last byte was handed to hyper.
    complete: bool,
    trace: Trace,
    /// Counts the request as its client's until its end.
    running: Option<Running>,
}

impl Entry {
    /// Boxed: it goes from hand to hand with the answer.
    pub(super) fn new(
        log: &AccessLog,
        parts: &Parts,
        wire: &Arc<Wire>,
        id: RequestId,
    ) -> Box<Self> {
        let (captured, host) = log.of_request(parts);
        let record = Record {
            time: SystemTime::now(),
            wire: Arc::clone(wire),
            method: parts.method.clone(),
            uri: parts.uri.clone(),
            protocol: protocol(parts.version),
            status: CLIENT_CLOSED_REQUEST,
            bytes: 0,
            host,
            captured,
            request_id: id,
            site: None,
            handler: "none",
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
            log: log.clone(),
            record,
            site: None,
            edits: None,
            echo: None,
            withheld: None,
            negotiation: None,
            begun: moment::fresh(),
            complete: false,
            trace: Trace::default(),
            running: None,
        })
    }

    /// Of bytes that never became a request: what their first line says, as far as that can be
    /// read, and dashes for what cannot.
    pub(super) fn of_head(
        log: &AccessLog,
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
        let mut entry = Self::new(log, &parts, wire, id);
        entry.record.host.clear();
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

    /// The whole answer was sent, with so many bytes of content.
    pub(super) fn written(&mut self, content: u64) {
        self.record.bytes = content;
        self.complete = true;
    }

    pub(super) fn hold(&mut self, running: Option<Running>) {
        self.running = running;
    }

    pub(super) fn set_site(&mut self, site: &Arc<Site>) {
        self.record.site = Some(Arc::clone(&site.name));
        self.site = Some(Arc::clone(site));
    }

    /// The connection as the client has it.
    pub(super) fn wire(&self) -> &Arc<Wire> {
        &self.record.wire
    }

    /// Returns when the request was received.
    pub(super) fn received(&self) -> SystemTime {
        self.record.time
    }

    /// Returns whose share of `budget` the answer is taken from.
    pub(super) fn share<'a>(&'a self, budget: &'a Arc<Budget>) -> Share<'a> {
        Share {
            budget,
            owner: Owner {
                party: self.record.wire.party(),
                site: self
                    .site
                    .as_ref()
                    .map_or_else(SiteKey::default, |site| site.key),
            },
        }
    }

    pub(super) fn site(&self) -> Option<&Arc<Site>> {
        self.site.as_ref()
    }

    pub(super) fn keep(&mut self, echo: Request) {
        self.echo = Some(Box::new(echo));
    }

    /// Notes that a rule left the request to the next one, as the name is never sent.
    pub(super) fn withhold(&mut self, why: &'static str) {
        self.withheld = Some(why);
    }

    /// The failure of a request that every rule has left to the next.
    pub(super) fn unanswered(&self) -> Failure {
        self.withheld.map_or(Failure::NotFound, Failure::Withheld)
    }

    pub(super) fn take_echo(&mut self) -> Option<Box<Request>> {
        self.echo.take()
    }

    pub(super) fn set_edits(&mut self, edits: Option<Arc<Edits>>) {
        self.edits = edits;
    }

    pub(super) fn edits(&self) -> Option<&Edits> {
        self.edits.as_deref()
    }

    pub(super) fn negotiate(&mut self, negotiation: Option<Negotiation>) {
        self.negotiation = negotiation;
    }

    pub(super) fn negotiation(&self) -> Option<&Negotiation> {
        self.negotiation.as_ref()
    }

    pub(super) fn set_handler(&mut self, handler: &'static str) {
        self.record.handler = handler;
    }

    pub(super) fn set_cause(&mut self, cause: &'static str) {
        self.record.cause = Some(cause);
    }

    /// The target, for other logs.
    pub(super) fn uri(&self) -> Cow<'_, str> {
        self.log.shown(&self.record)
    }

    /// What becomes known of a call, should it fail.
    pub(super) fn trace(&mut self) -> &mut Trace {
        &mut self.trace
    }

    fn answered(&mut self, response: &Response<Body>) {
        // What failed is what the line is about, and not the page that tells of it.
        let trace = match self.trace.upstream.is_some() && self.record.cause.is_some() {
            true => std::mem::take(&mut self.trace),
            false => response.body().trace.clone(),
        };
        let status = response.status();
        self.record.status = status.as_u16();
        if status == StatusCode::NOT_FOUND && self.record.cause.is_none() {
            // The script that was asked instead does not know why.
            self.record.cause = self.withheld.map(|why| Failure::Withheld(why).code());
        }
        self.log.of_response(response, &mut self.record);
        self.record.upstream = trace.upstream;
        self.record.queue = trace.queue;
        self.record.connect = trace.connect;
        self.record.acknowledge = trace.acknowledge;
        self.record.first_byte = trace.first_byte;
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.record.duration = self.begun.elapsed();
        self.record.complete = self.complete;
        if !self.complete && self.record.cause.is_none() {
            self.record.cause = Some("CLIENT_CLOSED");
        }
        if let Some(site) = &self.site {
            site.numbers.count(&Outcome {
                handler: self.record.handler,
                status: self.record.status,
                bytes: self.record.bytes,
                complete: self.complete,
                duration: self.record.duration,
                first_byte: self.record.first_byte,
            });
        }
        self.log.log(&self.record);
    }
}

/// A body that counts what it gives and writes its entry in the end.
#[derive(Debug)]
pub(super) struct Logged {
    body: Body,
    entry: Box<Entry>,
    in_flight: InFlight,
}

impl Logged {
    pub(super) fn wrap(
        response: Response<Body>,
        mut entry: Box<Entry>,
        in_flight: InFlight,
    ) -> Response<Self> {
        entry.answered(&response);
        in_flight.answer();
        // hyper does not poll what it knows to be empty.
        entry.complete = http_body::Body::is_end_stream(response.body());
        response.map(|body| Self {
            body,
            entry,
            in_flight,
        })
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
                this.entry.record.cause = Some(cut.0);
                if this.entry.record.protocol == "HTTP/1.0" {
                    this.in_flight.cut();
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
