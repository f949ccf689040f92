//! The access log: one line for each request, as Apache's LogFormat says it or as JSON. A request
//! never waits for it: lines go through the bounded queue of `line_log` to a thread that writes.

mod capture;
mod clock;
mod directive;
mod escape;
mod format;
mod names;
mod redact;
mod template;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::uri::{Authority, PathAndQuery};
use http::{Method, Uri};

pub use capture::Captured;
pub use format::{Format, FormatError};
pub use writer::AccessLog;

use crate::message::{RequestId, Wire};

/// Where the lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Nowhere.
    Off,
    /// Standard output.
    Stdout,
    /// The end of this file, which is created where it does not exist.
    File(PathBuf),
}

/// What is known of a request when its answer has ended. Most of it is shared with the request,
/// so that a record is cheap to begin with each of them.
#[derive(Clone, Debug)]
pub struct Record {
    /// When the request was received.
    pub time: SystemTime,
    /// The connection it came on.
    pub wire: Arc<Wire>,
    /// The method.
    pub method: Method,
    /// The target as received.
    pub uri: Uri,
    /// The version as received: `HTTP/1.1`.
    pub protocol: &'static str,
    /// The status that was sent.
    pub status: u16,
    /// How many bytes of the response's content were sent.
    pub bytes: u64,
    /// The authority that the client named; empty where it named none, or the format has no use
    /// for it.
    pub host: String,
    /// What the format names of the fields.
    pub captured: Captured,
    /// The request's name in all logs.
    pub request_id: RequestId,
    /// The name of the site that answered.
    pub site: Option<Arc<str>>,
    /// The kind of the handler that answered; `none` where it came to none.
    pub handler: &'static str,
    /// The name of the upstream that was asked.
    pub upstream: Option<Arc<str>>,
    /// The cause code, where something failed.
    pub cause: Option<&'static str>,
    /// Whether the client was sent the whole response.
    pub complete: bool,
    /// From receiving the head to the end of the response.
    pub duration: Duration,
    /// How long the request waited for a connection to PHP.
    pub queue: Option<Duration>,
    /// How long connecting took.
    pub connect: Option<Duration>,
    /// How long a worker of PHP took to acknowledge the request: PHP-FPM's own queue. Absent where
    /// a worker was known to be there.
    pub acknowledge: Option<Duration>,
    /// From the request's arrival at its handler to the first byte of PHP's answer.
    pub first_byte: Option<Duration>,
}

impl Record {
    /// The target in origin-form, path and query, also where the client named the authority with
    /// it (HTTP/2, absolute-form): that is the host. The authority is all there is of a CONNECT.
    pub fn target(&self) -> &str {
        let authority = || self.uri.authority().map_or("/", Authority::as_str);
        self.uri
            .path_and_query()
            .map_or_else(authority, PathAndQuery::as_str)
    }
}

/// A record with what every request has, and no fields.
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
        captured: Captured::default(),
        request_id: RequestId::new(0x0123_4567, 0x89ab_cdef_0000_0001),
        site: None,
        handler: "none",
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
