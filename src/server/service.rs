//! One request: its site, the rules, the handler, and what becomes of failures. The table of
//! contents of everything that happens between hyper's request and hyper's response.

use std::convert::Infallible;
use std::sync::Arc;

use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Response, StatusCode, Version, header};
use hyper::body::Incoming;
use tokio::time::Instant;
use tracing::Level;

use super::Shared;
use super::connection::bounds;
use super::logged::{Entry, Logged};
use super::unruled;
use super::watch::{InFlight, Watch};
use super::{heads, rescue};
use crate::admin::State;
use crate::config::Site;
use crate::disk::OneRelease;
use crate::failure::Failure;
use crate::filter;
use crate::filter::compress::{Memory, Negotiation};
use crate::handler::piece::FileQueue;
use crate::handler::readings::{self, Held};
use crate::handler::{Body, Handler, MAX_ROUNDS, Outcome, Plan};
use crate::limits::rate::{Client, Running};
use crate::limits::room::Seat;
use crate::message::edits::{RuleEdits, RuleId};
use crate::message::fact::Facts;
use crate::message::head_guard::judge_decoded;
use crate::message::request::Origin;
use crate::message::{Host, Request, RequestId, Scheme, Target, Upload, Wire, hop_by_hop, list};
use crate::modifier::{Interruption, Step};
use crate::moment;
use crate::route::{Captures, Scope};

/// What the requests of one connection share.
#[derive(Debug)]
pub(super) struct Connection {
    shared: Arc<Shared>,
    wire: Arc<Wire>,
    watch: Arc<Watch>,
    /// Parts of files that are to be sent.
    files: FileQueue,
}

impl Connection {
    pub(super) fn new(shared: Arc<Shared>, wire: Arc<Wire>, seat: Seat) -> Self {
        Self {
            shared,
            wire,
            watch: Arc::new(Watch::new(seat)),
            files: FileQueue::default(),
        }
    }

    /// Parts of files that hyper was told of and that are still to be sent.
    pub(super) fn files(&self) -> &FileQueue {
        &self.files
    }

    /// Reports whether this is the last request: the connection has served as many as it may, somebody waits for its place,
    /// or the server is about to stop. An HTTP/1 client that is not told learns it by a request that fails; HTTP/2 has GOAWAY for it.
    fn is_spent(&self) -> bool {
        self.watch.begun() >= self.shared.live.load().server.limits.keep_alive_requests
            || self.shared.state.is_draining()
            || self.shared.state.room.take_turn()
    }

    /// What hyper cannot do itself.
    fn send_by_protocol(&self, version: Version, body: &mut Body, entry: &Entry) {
        if version == Version::HTTP_2 {
            body.watch(self.shared.live.load().server.limits.send_pause);
            body.make_late(&entry.share(&self.shared.budgets.answers));
        } else {
            body.send_by(&self.files);
        }
    }

    /// Returns the client of the request with these `parts`, honouring Forwarded fields of trusted proxies. A head over
    /// the bounds is refused, as the guard refuses those of HTTP/1.
    fn receive(&self, parts: &mut Parts, in_flight: &mut InFlight) -> Result<Arc<Wire>, Failure> {
        let live = self.shared.live.load();
        if parts.version == Version::HTTP_2 {
            let head = judge_decoded(parts, bounds(&live.server.limits))?;
            let wire = live.server.forwarding.apply(parts, &self.wire)?;
            let at_once = self.watch.at_once();
            in_flight.hold(heads::take(head, at_once, &wire, &live.budgets)?);
            return Ok(wire);
        }
        Ok(live.server.forwarding.apply(parts, &self.wire)?)
    }

    /// Returns the numbers of the process.
    pub(super) fn state(&self) -> &State {
        &self.shared.state
    }

    /// Returns the site that answers for `host` on `listener` now.
    pub(super) fn site(&self, host: &Host, listener: &str) -> Result<Arc<Site>, Failure> {
        self.shared.live.load().site(host, listener).map(Arc::clone)
    }

    /// Returns where the encoder of an answer has its memory from.
    fn encoder_memory<'a>(&'a self, entry: &'a Entry) -> Memory<'a> {
        Memory {
            encoders: &self.shared.encoders,
            share: entry.share(&self.shared.budgets.encoders),
        }
    }

    /// The file system for one request.
    pub(super) fn disk(&self) -> OneRelease<'_> {
        self.shared.disk.one_release()
    }

    pub(super) fn watch(&self) -> &Arc<Watch> {
        &self.watch
    }

    pub(super) fn wire(&self) -> &Wire {
        &self.wire
    }

    /// One more that was refused before it was a request.
    pub(super) fn count_refusal(&self) {
        self.shared.state.refused.add();
    }

    /// Tells of a request that failed.
    fn note(&self, failure: &Failure, id: RequestId, entry: &Entry) {
        if entry.site().is_none() {
            self.count_refusal();
        }
        let (cause, uri) = (failure.code(), entry.uri());
        if failure.level() != Level::ERROR {
            tracing::debug!(request_id = %id, cause, %uri, "{failure}");
        } else if !failure.is_crowd() {
            tracing::error!(request_id = %id, cause, %uri, "{failure}");
        } else if let Some(left_out) = self.shared.crowded.is_due(Instant::now()) {
            tracing::error!(request_id = %id, cause, %uri, left_out, "{failure}");
        }
    }

    /// The log line of what never became a request.
    pub(super) fn refused(
        &self,
        head: &[u8],
        status: StatusCode,
        cause: &'static str,
    ) -> Box<Entry> {
        self.count_refusal();
        let id = self.shared.next_id();
        let mut entry = Entry::of_head(&self.shared.access_log, head, &self.wire, id);
        entry.set_cause(cause);
        entry.set_status(status);
        entry
    }
}

/// Answers one request; every way to fail is an answer too.
pub(super) async fn respond(
    connection: Arc<Connection>,
    request: http::Request<Incoming>,
) -> Result<Response<Logged>, Infallible> {
    let mut in_flight = connection.watch.begin(request.version(), request.method());
    let id = connection.shared.next_id();
    let (mut parts, body) = request.into_parts();
    let (version, method) = (parts.version, parts.method.clone());
    let received = connection.receive(&mut parts, &mut in_flight);
    let wire = Arc::clone(received.as_ref().unwrap_or(&connection.wire));
    let mut entry = Entry::new(&connection.shared.access_log, &parts, &wire, id);
    let accept = list::joined(&parts.headers, &header::ACCEPT);
    let answered = match received {
        Ok(_) => answer(&connection, parts, body, id, &mut entry).await,
        Err(failure) => unruled::dress(Err(failure), &connection, parts, id, &mut entry),
    };
    let own = answered.is_err();
    let response = answered.unwrap_or_else(|failure| {
        connection.note(&failure, id, &entry);
        rescue::rescue(&failure, id, accept.as_ref(), &mut entry)
    });
    let response = match response.status().as_u16() {
        400.. => Box::pin(rescue::page(&connection, response, own, &mut entry)).await,
        _ => response,
    };
    let mut response = finish(response, version, &method);
    if let Some(edits) = entry.edits() {
        filter::edits::apply(edits, &mut response);
    }
    if let Some(negotiation) = entry.negotiation() {
        let memory = connection.encoder_memory(&entry);
        negotiation.apply(&mut response, memory).await;
    }
    filter::unchanged::strip(&mut response);
    connection.send_by_protocol(version, response.body_mut(), &entry);
    let site = entry.site().filter(|_| wire.scheme == Scheme::Https);
    if let Some(https) = site.and_then(|site| site.https.as_ref()) {
        https.declare(response.headers_mut());
    }
    filter::date::correct(response.headers_mut(), entry.received());
    // RFC 9112 §6.3: without a length the end of an HTTP/1.0 answer is the connection's; hyper
    // promises to keep it unless the answer has that version itself.
    let unknown = http_body::Body::size_hint(response.body())
        .exact()
        .is_none();
    if version == Version::HTTP_10 && unknown {
        *response.version_mut() = Version::HTTP_10;
    }
    if version != Version::HTTP_2 && connection.is_spent() {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
    Ok(Logged::wrap(response, entry, in_flight))
}

async fn answer(
    connection: &Connection,
    parts: Parts,
    body: Incoming,
    id: RequestId,
    entry: &mut Entry,
) -> Result<Response<Body>, Failure> {
    let least = connection.shared.live.load().server.limits.body_rate;
    let waits = list::expects_continue(&parts.headers).is_ok_and(|waits| waits);
    let upload = Upload::new(body, waits, least);
    let (host, site, target) = match admit(connection, &parts, entry) {
        Ok(Admitted::Request(host, site, target, running)) => {
            entry.hold(running);
            (host, site, target)
        }
        Ok(Admitted::Answer(response)) => {
            upload.linger();
            return unruled::dress(Ok(response), connection, parts, id, entry);
        }
        Err(failure) => {
            upload.linger();
            return unruled::dress(Err(failure), connection, parts, id, entry);
        }
    };
    let mut parts = parts;
    entry.negotiate(Negotiation::begin(site.compress.as_ref(), &mut parts));
    let wire = Arc::clone(entry.wire());
    let request = Request::new(parts, target, upload, Origin { host, wire, id });
    if site.error_pages.ask() {
        entry.keep(request.echo());
    }
    rounds(&site, Box::new(request), connection, entry).await
}

/// What a request that may go on is about.
enum Admitted {
    /// A target of a site, counted as its client's where that is limited.
    Request(Host, Arc<Site>, Target, Option<Running>),
    /// Answered before any rule: `OPTIONS *`, or in clear text what a site wants to have with TLS.
    Answer(Response<Body>),
}

/// What is checked before any rule sees the request.
fn admit(connection: &Connection, parts: &Parts, entry: &mut Entry) -> Result<Admitted, Failure> {
    // First of all the site, so that it is known whose fields and pages a refusal has.
    let wire = Arc::clone(entry.wire());
    let named = Host::of(parts).map_err(Failure::from).and_then(|host| {
        let site = connection.site(&host, &wire.listener)?;
        entry.set_site(&site);
        Ok((host, site))
    });
    if matches!(parts.method, Method::CONNECT | Method::TRACE) {
        return Err(Failure::NotSupported(parts.method.clone()));
    }
    // RFC 9110 §10.1.1: hyper sends the 100 when the content is first read.
    list::expects_continue(&parts.headers)?;
    let (host, site) = named?;
    let live = connection.shared.live.load();
    if parts.method == Method::OPTIONS && parts.uri.path() == "*" {
        return Ok(Admitted::Answer(options_of_the_server()));
    }
    if !site.access.admits(wire.client) {
        return Err(Failure::Forbidden("`allow` or `deny` of the site"));
    }
    let raw = parts.uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let target = live.target(raw, &site)?;
    let running = match (&site.clients, wire.client) {
        (Some(clients), Some(address)) => Some(clients.admit(Client::new(address), moment::now())?),
        (None, _) | (_, None) => None,
    };
    if let Some(https) = site.https.as_ref().filter(|_| wire.scheme == Scheme::Http) {
        entry.set_handler("https");
        let name = match host.name() {
            "" => wire.local_addr.as_str(),
            name => name,
        };
        return https.redirect(name, raw).map(Admitted::Answer);
    }
    Ok(Admitted::Request(host, site, target, running))
}

pub(super) async fn rounds(
    site: &Site,
    mut request: Box<Request>,
    connection: &Connection,
    entry: &mut Entry,
) -> Result<Response<Body>, Failure> {
    let disk = connection.shared.disk.one_release();
    for _ in 0..MAX_ROUNDS {
        request = match round(site, request, &disk, entry).await? {
            Outcome::Answered(response) => return Ok(response),
            Outcome::Again(request) => request,
            Outcome::Declined(request) => {
                request.upload.linger();
                return Err(entry.unanswered());
            }
        };
    }
    Err(Failure::TooManyRounds(MAX_ROUNDS))
}

async fn round(
    site: &Site,
    mut request: Box<Request>,
    disk: &OneRelease<'_>,
    entry: &mut Entry,
) -> Result<Outcome, Failure> {
    // mod_proxy: `!` ends the search among its own rules, not among others.
    let mut excluded = false;
    let mut next = 0;
    let mut readings = site.readings(&request);
    while let Some((number, rule)) =
        readings::candidate(&site.rules, next, &request, readings.as_deref())
    {
        next = number + 1;
        let step = &rule.then;
        let passed_over = excluded && step.is_proxy_target();
        if passed_over || (step.internal && request.causes.is_empty()) {
            continue;
        }
        let matched = readings::matches(rule, &request, readings.as_deref_mut(), disk)?;
        let captures = match matched {
            None => continue,
            Some(Held::Whole(captures)) => captures,
            Some(Held::Guards) => {
                let passed = step.modifiers.guard(&request, &Facts::default());
                passed.map_err(Interruption::unanswered)?;
                continue;
            }
        };
        if let Some(edits) = edits(step, number, &request, &captures)? {
            request.note(edits);
            entry.set_edits(request.edits.clone());
        }
        let Some(handler) = &step.handler else {
            continue;
        };
        excluded |= matches!(handler, Handler::ExcludeProxy);
        entry.set_handler(handler.name());
        let mut plan = handler.decide(&request, &captures, disk);
        if let Some(negotiation) = entry.negotiation() {
            plan = filter::precompressed::prefer(negotiation, plan, handler, &request, disk);
        }
        if let Plan::Withhold(why) = &plan {
            entry.withhold(why);
        }
        match plan.perform(request, disk, entry.trace()).await? {
            Outcome::Declined(returned) => request = returned,
            settled @ (Outcome::Answered(_) | Outcome::Again(_)) => return Ok(settled),
        }
    }
    Ok(Outcome::Declined(request))
}

fn edits(
    step: &Step,
    number: usize,
    request: &Request,
    captures: &Captures,
) -> Result<Option<RuleEdits>, Failure> {
    let scope = Scope { request, captures };
    let id = RuleId::of_site(number);
    let applied = step.modifiers.apply(id, &scope, &Facts::default());
    applied.map_err(Interruption::unanswered)
}

/// RFC 9110 §9.3.7: `OPTIONS *` asks about the server, not about any site.
fn options_of_the_server() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response.headers_mut().insert(
        header::ALLOW,
        HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),
    );
    response
}

/// What is true of every answer.
fn finish(mut response: Response<Body>, version: Version, method: &Method) -> Response<Body> {
    if *method == Method::HEAD {
        without_content(&mut response);
    }
    if version == Version::HTTP_2 {
        // RFC 9113 §8.2.2: HTTP/2 has no connection fields.
        hop_by_hop::strip(response.headers_mut());
    }
    response
}

/// RFC 9110 §9.3.2: the length that GET would have, and no content; hyper sends what it is given
/// in HTTP/2.
fn without_content(response: &mut Response<Body>) {
    let length = http_body::Body::size_hint(response.body()).exact();
    let fields = response.headers_mut();
    if let Some(length) = length.filter(|length| *length > 0) {
        fields
            .entry(header::CONTENT_LENGTH)
            .or_insert_with(|| HeaderValue::from(length));
    }
    response.body_mut().discard();
}
