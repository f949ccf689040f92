//! The access log: one line for each request, in Apache's LogFormat or as JSON. Requests never wait
//! for it: the bounded queue of `line_log` passes the lines to a writer thread.

mod capture;
mod clock;
mod directive;
mod escape;
mod filter;
mod format;
mod logs;
mod names;
mod redact;
pub mod section;
mod template;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::uri::{Authority, PathAndQuery};
use http::{Method, Uri};

pub use capture::Captured;
pub use logs::{AccessLogs, RequestLog};

use crate::message::{Host, RequestId, Wire};

/// Record of a request whose response has ended. It shares most of its values with the request, so
/// that building one for each request is cheap.
#[derive(Clone, Debug)]
pub struct Record {
    /// Time at which the request was received.
    pub time: SystemTime,
    /// The connection of the request.
    pub wire: Arc<Wire>,
    /// The method.
    pub method: Method,
    /// The request target as received.
    pub uri: Uri,
    /// The protocol version as received: `HTTP/1.1`.
    pub protocol: &'static str,
    /// The status code of the response.
    pub status: u16,
    /// Bytes of response content sent.
    pub bytes: u64,
    /// The requested authority; empty if the request has none or the format does not name it.
    pub host: String,
    /// The name and port of the server, if they are not the client's to name.
    pub canonical: Option<Arc<Host>>,
    /// The header fields that the format names.
    pub captured: Captured,
    /// The request ID, the same in all logs, with the ID of the trace.
    pub request_id: RequestId,
    /// The name of the site.
    pub site: Option<Arc<str>>,
    /// The kind of the handler; `none` if no handler was chosen.
    pub handler: &'static str,
    /// The authenticated user.
    pub user: Option<Arc<[u8]>>,
    /// The name of the upstream.
    pub upstream: Option<Arc<str>>,
    /// The cause code of a failure.
    pub cause: Option<&'static str>,
    /// The whole response was sent.
    pub complete: bool,
    /// From the receipt of the head to the end of the response.
    pub duration: Duration,
    /// Time in the queue for a connection to PHP.
    pub queue: Option<Duration>,
    /// Time to connect.
    pub connect: Option<Duration>,
    /// Time until a PHP worker acknowledged the request, spent in PHP-FPM's backlog. `None` if a worker
    /// was known to be idle.
    pub acknowledge: Option<Duration>,
    /// From the arrival at the handler to the first byte of PHP's response.
    pub first_byte: Option<Duration>,
}

impl Record {
    /// Returns the target in origin-form, path and query, without the authority of HTTP/2 and of the
    /// absolute-form. The target of a CONNECT is its authority.
    pub fn target(&self) -> &str {
        let authority = || self.uri.authority().map_or("/", Authority::as_str);
        self.uri
            .path_and_query()
            .map_or_else(authority, PathAndQuery::as_str)
    }
}

/// Returns a record without header fields and optional values.
#[cfg(test)]
fn sample(uri: &'static str) -> Record {
    let client = std::net::SocketAddr::from(([192, 0, 2, 1], 50_123));
    let local = std::net::SocketAddr::from(([198, 51, 100, 7], 8443));
    Record {
        time: SystemTime::UNIX_EPOCH + Duration::from_micros(1_795_572_929_000_123),
        wire: Arc::new(Wire::tcp(client, local)),
        method: Method::GET,
        uri: Uri::from_static(uri),
        protocol: "HTTP/1.1",
        status: 200,
        bytes: 1234,
        host: "example.org".to_owned(),
        canonical: None,
        captured: Captured::default(),
        request_id: RequestId::new(0x0123_4567_89ab_cdef, 1),
        site: None,
        handler: "none",
        user: None,
        upstream: None,
        cause: None,
        complete: true,
        duration: Duration::from_micros(1500),
        queue: None,
        connect: None,
        acknowledge: None,
        first_byte: None,
    }
}
