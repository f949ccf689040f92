//! One client connection: its protocol, its hyper connection and its end.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::deadline::ClientTimeouts;
use super::handshake::{Negotiated, negotiate};
use super::io::ConnectionIo;
use super::logged::Logged;
use super::outbox::Outbox;
use super::pace::Pace;
use super::receive_buffer::ReceiveBuffer;
use super::request_memory::head_bounds;
use super::service::{self, Connection};
use super::shared::Shared;
use super::shutdown_grace;
use super::sniff::Sniffed;
use super::watch::Watch;
use crate::allocator;
use crate::limits::Limits;
use crate::limits::eviction::Evictable;
use crate::message::Wire;
use crate::moment;
use crate::site::listener::SharedListener;
use crate::stream::Stream;
use crate::tls::Acceptor;

/// SETTINGS_MAX_CONCURRENT_STREAMS (RFC 9113 §6.5.2): nginx's default.
const STREAMS: u32 = 128;

/// HTTP/2 flow-control windows of one stream and of the connection, in bytes (RFC 9113 §6.9).
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;

/// Send buffer of one HTTP/2 stream, in bytes: with [`STREAMS`] streams 8 MiB a connection. A larger one
/// was no faster (docs/internals/limits.md, "HTTP/2").
const SEND_BUFFER: usize = 64 * 1024;

/// Idle time after which a connection is parked and may be closed for another. It takes effect after twice as long at most.
const PARK_AFTER: Duration = Duration::from_millis(350);

/// An accepted connection that is counted against its client's limit.
#[derive(Debug)]
pub(super) struct AdmittedConnection {
    pub(super) stream: Stream,
    pub(super) wire: Arc<Wire>,
    pub(super) evictable: Evictable,
    pub(super) listener: SharedListener,
}

/// Serves the connection until the client or `stop` ends it; requests in flight are finished.
pub(super) async fn serve(
    admitted: AdmittedConnection,
    tls: Option<Arc<Acceptor>>,
    shared: Arc<Shared>,
    stop: CancellationToken,
) {
    let AdmittedConnection {
        stream,
        wire,
        evictable,
        listener,
    } = admitted;
    let limits = shared.live.load().server.limits;
    let secure = tls.is_some();
    let negotiated = tokio::select! {
        negotiated = Box::pin(negotiate(stream, wire, tls, limits.header)) => negotiated,
        () = shutdown_grace::wait(&stop) => return,
        () = evictable.wait_until_evicted() => return,
    };
    if secure {
        let state = &shared.state;
        let accepted = negotiated.is_ok();
        let count = if accepted {
            &state.tls_accepted
        } else {
            &state.tls_failed
        };
        count.add();
    }
    let Negotiated {
        stream,
        wire,
        sniffed,
    } = match negotiated {
        Ok(negotiated) => negotiated,
        Err(error) => return tracing::debug!(%error, "connection closed before its first request"),
    };
    let connection = Arc::new(Connection::new(shared, wire, evictable, listener));
    match sniffed {
        Sniffed::Http1(read) if read.is_empty() => {}
        Sniffed::Http1(read) => {
            let mut served = pin!(serve_http1(stream, &read, connection, limits, stop));
            drop(read);
            poll_fn(|cx| moment::turn(|| served.as_mut().poll(cx))).await;
        }
        Sniffed::Http2(read) => {
            // Boxed, as the handshake is: a parked connection stays small.
            Box::pin(serve_http2(stream, read, connection, limits, stop)).await;
        }
    }
    allocator::schedule_collect();
}

/// Serves HTTP/1 requests. Not an `async fn`, which would keep its arguments while it waits for requests.
fn serve_http1(
    stream: Stream,
    read: &Bytes,
    connection: Arc<Connection>,
    limits: Limits,
    stop: CancellationToken,
) -> impl Future<Output = ()> + use<> {
    let timeouts = ClientTimeouts {
        header: Some(limits.header),
        keep_alive: limits.keep_alive,
        send: limits.send_pause,
    };
    let received = ReceiveBuffer::guarded(read, head_bounds(&limits));
    let mut io = ConnectionIo::new(stream, received, Arc::clone(&connection), timeouts);
    let served = Arc::clone(&connection);
    let service = service_fn(move |request| service::respond(Arc::clone(&served), request));
    let mut builder = http1::Builder::new();
    // `ConnectionIo` holds one deadline for the connection; hyper's would set a timer for each request.
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .max_headers(limits.fields)
        .max_buf_size(limits.head);
    let keep_alive = limits.keep_alive;
    async move {
        loop {
            // The box is freed with hyper's connection.
            io = {
                let mut served = Box::new(builder.serve_connection(io, service.clone()));
                let watch = connection.watch();
                let mut stopping = false;
                let ended = loop {
                    tokio::select! {
                        // hyper is polled first: on a shutdown before its first read it closes, even with a
                        // request in the socket.
                        biased;
                        result = served.as_mut() => break Some(result),
                        () = stop.cancelled(), if !stopping => {
                            stopping = true;
                            Pin::new(served.as_mut()).graceful_shutdown();
                        }
                        () = watch.wait_rested(PARK_AFTER), if !stopping => break None,
                    }
                };
                if let Some(result) = ended {
                    return log_http1_end(result, &connection);
                }
                without_hyper(*served)
            };
            if !park(io.stream(), connection.watch(), keep_alive, &stop).await {
                return;
            }
        }
    }
}

/// Takes the connection out of hyper and frees hyper's buffers, its read buffer included.
fn without_hyper<S>(served: http1::Connection<ConnectionIo, S>) -> ConnectionIo
where
    S: HttpService<Incoming, ResBody = Logged>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let parts = served.into_parts();
    let mut io = parts.io;
    io.restore(&parts.read_buf);
    allocator::schedule_collect();
    io
}

/// Waits for the first byte of the next request without hyper's buffers; `false` ends the connection.
/// hyper holds 16 KiB for each connection, and most connections are idle.
async fn park(
    stream: &Stream,
    watch: &Watch,
    keep_alive: Duration,
    stop: &CancellationToken,
) -> bool {
    watch.mark_idle();
    let evictable = watch.evictable();
    let mut first = [0];
    let goes_on = tokio::select! {
        count = stream.peek(&mut first) => count.is_ok_and(|count| count > 0),
        () = stop.cancelled() => false,
        () = sleep(keep_alive.saturating_sub(PARK_AFTER)) => false,
        // A request may have arrived that epoll has not reported yet.
        cause = evictable.wait_for_eviction() => {
            let is_quiet = stream.is_quiet();
            if is_quiet {
                evictable.count_eviction(cause);
            }
            !is_quiet
        }
    };
    evictable.end_wait();
    goes_on
}

/// Serves HTTP/2 streams, and sends GOAWAY when `stop`, the idle timeout or another connection's need ends it, or when it
/// is idle and another server serves.
async fn serve_http2(
    stream: Stream,
    read: Bytes,
    connection: Arc<Connection>,
    limits: Limits,
    stop: CancellationToken,
) {
    let timeouts = ClientTimeouts {
        header: None,
        keep_alive: limits.keep_alive,
        send: limits.send_pause,
    };
    let io = ConnectionIo::new(
        stream,
        ReceiveBuffer::unguarded(&read),
        Arc::clone(&connection),
        timeouts,
    );
    let served = Arc::clone(&connection);
    // Boxed: hyper moves the future of each stream, and a request's is large.
    let service = service_fn(move |request| {
        let mut answered = Box::pin(service::respond(Arc::clone(&served), request));
        poll_fn(move |cx| moment::turn(|| answered.as_mut().poll(cx)))
    });
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .max_header_list_size(max_header_list_size(&limits));
    let stream_errors = Arc::clone(&connection.state().stream_errors);
    let outbox = Outbox::new(io, stream_errors);
    let mut served = pin!(builder.serve_connection(outbox, service));
    let watch = connection.watch();
    let mut given_up = pin!(given_up(watch));
    let mut rested = pin!(async {
        connection.replaced().cancelled().await;
        watch.wait_rested(PARK_AFTER).await;
    });
    let mut pace = Pace::default();
    let mut stopping = false;
    loop {
        tokio::select! {
            biased; // as above
            result = poll_fn(|cx| pace.poll(served.as_mut(), watch, cx)) => return log_http2_end(result, &connection),
            () = stop.cancelled(), if !stopping => {}
            () = rested.as_mut(), if !stopping => {}
            // Set while `served` is polled.
            () = poll_fn(|_| watch.poll_expired()), if !stopping => {}
            () = given_up.as_mut(), if !stopping => watch.request_close(),
        }
        stopping = true;
        // RFC 9113 §9.1: GOAWAY; requests in flight are finished.
        served.as_mut().graceful_shutdown();
    }
}

/// Waits until an HTTP/2 connection has to make room for another. Must be polled whenever a request may have begun.
async fn given_up(watch: &Watch) {
    loop {
        watch.wait_rested(PARK_AFTER).await;
        allocator::schedule_collect();
        watch.mark_idle();
        let begun = watch.begun();
        let asked = poll_fn(|cx| {
            if watch.begun() == begun {
                watch.evictable().poll_eviction(cx).map(Some)
            } else {
                Poll::Ready(None)
            }
        });
        if let Some(cause) = asked.await {
            return watch.evictable().count_eviction(cause);
        }
    }
}

/// Returns SETTINGS_MAX_HEADER_LIST_SIZE, which adds 32 bytes to each field (RFC 9113 §6.5.2). A head within
/// `server.limits` is smaller; h2 refuses a larger list and never holds it.
fn max_header_list_size(limits: &Limits) -> u32 {
    const OVERHEAD: usize = 32;
    let fields = limits.fields.saturating_add(PSEUDO_FIELDS);
    let overhead = fields.saturating_mul(OVERHEAD);
    u32::try_from(limits.head.saturating_add(overhead)).unwrap_or(u32::MAX)
}

/// Pseudo-header fields of a request (RFC 9113 §8.3.1).
const PSEUDO_FIELDS: usize = 4;

/// Logs the end of an HTTP/1 connection. A head that passes the guard and that hyper refuses, for a target
/// that is no URI, has its line in the access log.
fn log_http1_end(result: hyper::Result<()>, connection: &Connection) {
    if result.as_ref().is_err_and(hyper::Error::is_parse) {
        let mut entry = connection.refusal_entry(b"", StatusCode::BAD_REQUEST, "BAD_REQUEST");
        entry.set_written(0);
    }
    log_end(result);
}

/// Logs the end of an HTTP/2 connection, and counts one that h2 or the client ended with an error. Each request
/// has its own log line.
fn log_http2_end(result: hyper::Result<()>, connection: &Connection) {
    if result.is_err() {
        connection.count_refusal();
    }
    log_end(result);
}

/// Logs the error of hyper or of the client that ended the connection, at DEBUG.
fn log_end(result: hyper::Result<()>) {
    if let Err(error) = result {
        tracing::debug!(error = %with_source(&error), "connection ended with an error");
    }
}

/// Returns the error with its source.
fn with_source(error: &hyper::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
