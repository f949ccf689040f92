//! One client connection: which protocol it speaks, hyper in it, and its end.

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

use super::deadline::Patience;
use super::handshake::{Opened, open};
use super::heads::bounds;
use super::intake::Intake;
use super::io::ConnectionIo;
use super::last_call::last_call;
use super::logged::Logged;
use super::outbox::Outbox;
use super::pace::Pace;
use super::service::{self, Connection};
use super::shared::Shared;
use super::sniff::Sniffed;
use super::watch::Watch;
use crate::allocator;
use crate::limits::Limits;
use crate::limits::eviction::Evictable;
use crate::message::Wire;
use crate::moment;
use crate::stream::Stream;
use crate::tls::Acceptor;

/// HTTP/2 requests at once on a connection: nginx's default.
const STREAMS: u32 = 128;

/// HTTP/2 flow control: what a client may send ahead for one stream, and for all of them.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;

/// Bytes of one answer that wait for a client that does not read: with [`STREAMS`] of them 8 MiB a
/// connection, and more was no faster (docs/internals/limits.md, "HTTP/2").
const SEND_BUFFER: usize = 64 * 1024;

/// A connection that has had no request for so long, or twice as long at most, is parked, and makes room for others.
const PARK_AFTER: Duration = Duration::from_millis(350);

/// A connection that was accepted, and is counted.
#[derive(Debug)]
pub(super) struct Begun {
    pub(super) stream: Stream,
    pub(super) wire: Arc<Wire>,
    pub(super) evictable: Evictable,
}

/// Serves until the client or `stop` ends it; requests in flight are finished.
pub(super) async fn serve(
    begun: Begun,
    tls: Option<Arc<Acceptor>>,
    shared: Arc<Shared>,
    stop: CancellationToken,
) {
    let Begun {
        stream,
        wire,
        evictable,
    } = begun;
    let limits = shared.live.load().server.limits;
    let secure = tls.is_some();
    let opened = tokio::select! {
        opened = Box::pin(open(stream, wire, tls, limits.header)) => opened,
        () = last_call(&stop) => return,
        () = evictable.wait_until_evicted() => return,
    };
    if secure {
        let state = &shared.state;
        let accepted = opened.is_ok();
        let count = if accepted {
            &state.tls_accepted
        } else {
            &state.tls_failed
        };
        count.add();
    }
    let Opened {
        stream,
        wire,
        sniffed,
    } = match opened {
        Ok(opened) => opened,
        Err(error) => return tracing::debug!(%error, "a connection without a request"),
    };
    let connection = Arc::new(Connection::new(shared, wire, evictable));
    match sniffed {
        Sniffed::Http1(read) if read.is_empty() => {}
        Sniffed::Http1(read) => {
            let mut served = pin!(serve_http1(stream, &read, connection, limits, stop));
            drop(read);
            poll_fn(|cx| moment::turn(|| served.as_mut().poll(cx))).await;
        }
        Sniffed::Http2(read) => {
            // Boxed, as the handshake is, so that a parked connection is not as large.
            Box::pin(serve_http2(stream, read, connection, limits, stop)).await;
        }
    }
    allocator::note_put_away();
}

/// No `async fn`, which would keep its arguments for as long as it waits for requests.
fn serve_http1(
    stream: Stream,
    read: &Bytes,
    connection: Arc<Connection>,
    limits: Limits,
    stop: CancellationToken,
) -> impl Future<Output = ()> + use<> {
    let patience = Patience {
        header: Some(limits.header),
        keep_alive: limits.keep_alive,
        send: limits.send_pause,
    };
    let intake = Intake::guarded(read, bounds(&limits));
    let mut io = ConnectionIo::new(stream, intake, Arc::clone(&connection), patience);
    let served = Arc::clone(&connection);
    let service = service_fn(move |request| service::respond(Arc::clone(&served), request));
    let mut builder = http1::Builder::new();
    // Our own deadline stands in the connection's IO; hyper's has a timer for each request.
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .max_headers(limits.fields)
        .max_buf_size(limits.head);
    let keep_alive = limits.keep_alive;
    async move {
        loop {
            // Its box goes with it.
            io = {
                let mut served = Box::new(builder.serve_connection(io, service.clone()));
                let watch = connection.watch();
                let mut stopping = false;
                let ended = loop {
                    tokio::select! {
                        // hyper goes first: asked to end before it has read anything it closes, though a
                        // request is there.
                        biased;
                        result = served.as_mut() => break Some(result),
                        () = stop.cancelled(), if !stopping => {
                            stopping = true;
                            Pin::new(served.as_mut()).graceful_shutdown();
                        }
                        () = watch.rested(PARK_AFTER), if !stopping => break None,
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

/// The bare connection; hyper's buffers go, the one that it reads into included.
fn without_hyper<S>(served: http1::Connection<ConnectionIo, S>) -> ConnectionIo
where
    S: HttpService<Incoming, ResBody = Logged>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let parts = served.into_parts();
    let mut io = parts.io;
    io.restore(&parts.read_buf);
    allocator::note_put_away();
    io
}

/// Waits for the first byte of another request without any of hyper's buffers; `false` where the
/// connection is to end. hyper holds 16 KiB for each connection, and most connections wait.
async fn park(
    stream: &Stream,
    watch: &Watch,
    keep_alive: Duration,
    stop: &CancellationToken,
) -> bool {
    watch.wait();
    let evictable = watch.evictable();
    let mut first = [0];
    let goes_on = tokio::select! {
        count = stream.peek(&mut first) => count.is_ok_and(|count| count > 0),
        () = stop.cancelled() => false,
        () = sleep(keep_alive.saturating_sub(PARK_AFTER)) => false,
        // The runtime may not have heard yet of a request that is there.
        cause = evictable.wait_for_eviction() => match stream.is_quiet() {
            true => {
                evictable.count_eviction(cause);
                false
            }
            false => true,
        },
    };
    evictable.end_wait();
    goes_on
}

async fn serve_http2(
    stream: Stream,
    read: Bytes,
    connection: Arc<Connection>,
    limits: Limits,
    stop: CancellationToken,
) {
    let patience = Patience {
        header: None,
        keep_alive: limits.keep_alive,
        send: limits.send_pause,
    };
    let io = ConnectionIo::new(
        stream,
        Intake::open(&read),
        Arc::clone(&connection),
        patience,
    );
    let served = Arc::clone(&connection);
    // Boxed: hyper moves the future of a stream about, and a request's is large.
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
        .max_header_list_size(header_list(&limits));
    let stream_errors = Arc::clone(&connection.state().stream_errors);
    let outbox = Outbox::new(io, stream_errors);
    let mut served = pin!(builder.serve_connection(outbox, service));
    let watch = connection.watch();
    let mut given_up = pin!(given_up(watch));
    let mut pace = Pace::default();
    let mut stopping = false;
    loop {
        tokio::select! {
            biased; // as above
            result = poll_fn(|cx| pace.poll(served.as_mut(), watch, cx)) => return log_http2_end(result, &connection),
            () = stop.cancelled(), if !stopping => {}
            // Known when `served` has been polled.
            () = poll_fn(|_| watch.poll_expired()), if !stopping => {}
            () = given_up.as_mut(), if !stopping => watch.hurry(),
        }
        stopping = true;
        // RFC 9113 §9.1: GOAWAY; what is in flight is finished.
        served.as_mut().graceful_shutdown();
    }
}

/// Returns when an HTTP/2 connection is to make room for another. To be polled whenever its requests may have begun.
async fn given_up(watch: &Watch) {
    loop {
        watch.rested(PARK_AFTER).await;
        allocator::note_put_away();
        watch.wait();
        let begun = watch.begun();
        let asked = poll_fn(|cx| match watch.begun() == begun {
            true => watch.evictable().poll_eviction(cx).map(Some),
            false => Poll::Ready(None),
        });
        if let Some(cause) = asked.await {
            return watch.evictable().count_eviction(cause);
        }
    }
}

/// SETTINGS_MAX_HEADER_LIST_SIZE, which counts 32 bytes for each field beside its own (RFC 9113 §6.5.2). Whatever our
/// bounds allow is less; what is more is refused by h2, and is never held.
fn header_list(limits: &Limits) -> u32 {
    const OVERHEAD: usize = 32;
    let fields = limits.fields.saturating_add(PSEUDO_FIELDS);
    let overhead = fields.saturating_mul(OVERHEAD);
    u32::try_from(limits.head.saturating_add(overhead)).unwrap_or(u32::MAX)
}

/// RFC 9113 §8.3.1.
const PSEUDO_FIELDS: usize = 4;

/// A head that our guard let pass and hyper answered with a refusal, for a target that is no URI,
/// has a line like all others.
fn log_http1_end(result: hyper::Result<()>, connection: &Connection) {
    if result.as_ref().is_err_and(hyper::Error::is_parse) {
        let mut entry = connection.refused(b"", StatusCode::BAD_REQUEST, "BAD_REQUEST");
        entry.written(0);
    }
    log_end(result);
}

/// A connection that h2 ended, or one that the client broke off. Its requests have their lines; what
/// was refused of it never was one.
fn log_http2_end(result: hyper::Result<()>, connection: &Connection) {
    if result.is_err() {
        connection.count_refusal();
    }
    log_end(result);
}

/// What hyper refused or what the client broke off; each request has its own line elsewhere.
fn log_end(result: hyper::Result<()>) {
    if let Err(error) = result {
        tracing::debug!(error = %chain(&error), "a connection ended");
    }
}

fn chain(error: &hyper::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
