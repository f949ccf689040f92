//! One request from hyper's request to hyper's response: the driver of its journey. `journey` decides, this module
//! performs.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use http::{HeaderValue, Response, StatusCode, Version, header};
use hyper::body::Incoming;
use tokio_util::sync::CancellationToken;

use super::failure_log::{FailureLog, log_refused_head};
use super::logged::{Entry, Logged};
use super::request_memory::{self, head_bounds};
use super::shared::Shared;
use super::subrequest;
use super::watch::{InFlight, Watch};
use crate::access_log::AccessLogs;
use crate::admin::State;
use crate::disk::OneRelease;
use crate::failure::Failure;
use crate::filter;
use crate::filter::compress::Memory;
use crate::handler::Body;
use crate::handler::piece::FileQueue;
use crate::journey::{Arrived, Context, Event, Journey, Next, Trail};
use crate::limits::eviction::Evictable;
use crate::message::head_guard::judge_decoded;
use crate::message::{Expectation, Refusal, RequestId, Upload, Wire};
use crate::modifier::fact::{Ask, Fact};
use crate::site::Snapshot;
use crate::site::listener::SharedListener;

/// State shared by the requests of one connection.
#[derive(Debug)]
pub(super) struct Connection {
    shared: Arc<Shared>,
    wire: Arc<Wire>,
    watch: Arc<Watch>,
    listener: SharedListener,
    /// Parts of files to send.
    files: FileQueue,
}

impl Connection {
    pub(super) fn new(
        shared: Arc<Shared>,
        wire: Arc<Wire>,
        evictable: Evictable,
        listener: SharedListener,
    ) -> Self {
        Self {
            listener,
            shared,
            wire,
            watch: Arc::new(Watch::new(evictable)),
            files: FileQueue::default(),
        }
    }

    /// Returns the unsent parts of files whose placeholders hyper has.
    pub(super) fn files(&self) -> &FileQueue {
        &self.files
    }

    /// Reports whether this is the last request: the connection has served `most`, another waits for its place, or the
    /// server drains. Without `Connection: close` an HTTP/1 client would lose its next request; HTTP/2 has GOAWAY.
    fn is_spent(&self, most: usize) -> bool {
        self.watch.begun() >= most
            || self.shared.state.is_draining()
            || self.shared.state.evictions.take_request()
    }

    /// Prepares a body for its protocol: stall limits of HTTP/2, sendfile of HTTP/1.
    fn send_by_protocol(&self, body: &mut Body, context: &Context, pause: Duration) {
        if context.version == Version::HTTP_2 {
            body.watch(pause);
            body.defer(&context.share(&self.shared.budgets.answers));
        } else {
            body.send_by(&self.files);
        }
    }

    /// Returns the client of the request with these `parts`, honouring Forwarded fields of trusted proxies, and adopts
    /// the identifiers that they pass on. A head over the bounds is refused, as the guard refuses those of HTTP/1.
    fn receive(
        &self,
        parts: &mut Parts,
        in_flight: &mut InFlight,
        snapshot: &Snapshot,
        id: &mut RequestId,
    ) -> Result<Arc<Wire>, Failure> {
        let forwarding = &snapshot.server.forwarding;
        if parts.version == Version::HTTP_2 {
            let head = judge_decoded(parts, head_bounds(&snapshot.server.limits))?;
            let wire = forwarding.apply(parts, &self.wire, id)?;
            let at_once = self.watch.at_once();
            in_flight.hold(request_memory::reserve(
                head,
                at_once,
                &wire,
                &snapshot.budgets,
            )?);
            return Ok(wire);
        }
        Ok(forwarding.apply(parts, &self.wire, id)?)
    }

    /// Returns the token of the moment at which another server takes over.
    pub(super) fn replaced(&self) -> &CancellationToken {
        &self.shared.replaced
    }

    /// Returns the numbers of the process.
    pub(super) fn state(&self) -> &State {
        &self.shared.state
    }

    /// Returns the access logs of the listener, for requests to sites without any.
    fn logs_of_listener(&self, snapshot: &Snapshot) -> Option<Arc<AccessLogs>> {
        if snapshot.logs.has_listener_logs {
            self.listener.load().access_logs.clone()
        } else {
            None
        }
    }

    /// Returns the budget for the encoder of a response.
    fn encoder_memory(&self, context: &Context) -> Memory<'_> {
        Memory {
            encoders: &self.shared.encoders,
            share: context.share(&self.shared.budgets.encoders),
        }
    }

    pub(super) fn watch(&self) -> &Arc<Watch> {
        &self.watch
    }

    pub(super) fn wire(&self) -> &Wire {
        &self.wire
    }

    /// Logs a head that is refused before hyper has it.
    pub(super) fn log_refusal(&self, refusal: Refusal) {
        log_refused_head(refusal, &self.wire.remote_addr, &self.shared);
    }

    /// Counts a refusal before any rule.
    pub(super) fn count_refusal(&self) {
        self.shared.state.refused.add();
    }

    /// Builds the access log entry of a refused head.
    pub(super) fn refusal_entry(
        &self,
        head: &[u8],
        status: StatusCode,
        cause: &'static str,
    ) -> Box<Entry> {
        self.count_refusal();
        let id = self.shared.next_id();
        let snapshot = self.shared.live.load();
        let of_listener = self.logs_of_listener(&snapshot);
        let logs = of_listener.as_ref().unwrap_or(&snapshot.logs.server);
        let mut entry = Entry::of_head(logs, head, &self.wire, id);
        entry.set_cause(cause);
        entry.set_status(status);
        entry
    }
}

/// Answers one request; a failure is a response too.
pub(super) async fn respond(
    connection: Arc<Connection>,
    request: http::Request<Incoming>,
) -> Result<Response<Logged>, Infallible> {
    let mut in_flight = connection
        .watch
        .begin_request(request.version(), request.method());
    let disk = connection.shared.disk.one_release();
    let (mut entry, next, terms) = arrive(&connection, request, &mut in_flight, &disk);
    let (journey, record) = entry.split();
    let mut log = FailureLog {
        shared: &connection.shared,
        record,
    };
    let mut response = drive(journey, next, &connection, &disk, &mut log).await;
    let context = entry.context();
    let version = context.version;
    connection.send_by_protocol(response.body_mut(), context, terms.send_pause);
    filter::date::correct(response.headers_mut(), context.received.wall);
    // RFC 9112 §6.3: an HTTP/1.0 response without a length ends with the connection. hyper sends `keep-alive` unless
    // the response itself has that version.
    let unknown = http_body::Body::size_hint(response.body())
        .exact()
        .is_none();
    if version == Version::HTTP_10 && unknown {
        *response.version_mut() = Version::HTTP_10;
    }
    // RFC 9110 §10.1.1: content that was not asked for may follow all the same, or not, so that nobody can tell where
    // the next request begins.
    let is_last = connection.is_spent(terms.keep_alive_requests) || terms.expectation.is_pending();
    if version != Version::HTTP_2 && is_last {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
    Ok(Logged::wrap(response, entry, in_flight))
}

/// Terms of a request that hold from its arrival to its end.
struct Terms {
    send_pause: Duration,
    keep_alive_requests: usize,
    expectation: Expectation,
}

/// Starts the journey of a request with the configuration in force, which is loaded once.
fn arrive(
    connection: &Connection,
    request: http::Request<Incoming>,
    in_flight: &mut InFlight,
    disk: &OneRelease<'_>,
) -> (Box<Entry>, Next, Terms) {
    let shared = &connection.shared;
    let snapshot = shared.live.load();
    let limits = &snapshot.server.limits;
    let (mut parts, body) = request.into_parts();
    let mut id = shared.next_id();
    let received = connection.receive(&mut parts, in_flight, &snapshot, &mut id);
    let wire = received.as_ref().unwrap_or(&connection.wire);
    let mut entry = Entry::new(&parts, wire, id);
    let upload = Upload::new(body, Expectation::of(&parts), limits.body_rate);
    let terms = Terms {
        send_pause: limits.send_pause,
        keep_alive_requests: limits.keep_alive_requests,
        expectation: upload.expectation(),
    };
    let (journey, record) = entry.split();
    let of_listener = connection.logs_of_listener(&snapshot);
    let arrived = Arrived {
        snapshot: &snapshot,
        logs: of_listener.as_ref().unwrap_or(&snapshot.logs.server),
        parts,
        upload,
        received: received.map(drop),
    };
    let next = journey.arrive(arrived, disk, &mut FailureLog { shared, record });
    (entry, next, terms)
}

/// Performs the steps of a journey until it has a response.
async fn drive<T: Trail>(
    journey: &mut Journey,
    mut next: Next,
    connection: &Connection,
    disk: &OneRelease<'_>,
    log: &mut T,
) -> Response<Body> {
    loop {
        let event = match next {
            Next::Send(response) => return response,
            Next::Encode(encoding) => {
                let memory = connection.encoder_memory(&journey.context);
                return Box::pin(encoding.run(memory)).await;
            }
            Next::Perform(plan, request) => {
                let received = journey.context.received.instant;
                let trace = &mut journey.context.trace;
                Event::Performed(plan.perform(request, disk, received, trace).await)
            }
            Next::Ask(ask) => {
                Event::Known(Box::pin(find(ask, journey, connection, disk, log)).await)
            }
        };
        next = journey.handle_event(event, disk, log);
    }
}

/// Determines a fact that the journey lacks.
async fn find<T: Trail>(
    ask: Ask,
    journey: &Journey,
    connection: &Connection,
    disk: &OneRelease<'_>,
    log: &mut T,
) -> Fact {
    match ask {
        Ask::Verify(verification) => Fact::Verified(verification.perform().await),
        Ask::Subrequest(_) => {
            let Some((mut journey, next)) = journey.begin_subrequest(disk, log) else {
                return subrequest::failed();
            };
            let response = drive(&mut journey, next, connection, disk, log).await;
            subrequest::receive(response).await
        }
    }
}
