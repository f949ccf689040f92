//! The access log: one line for each request, in Apache's combined format or as JSON. A request
//! never waits for it: lines go through a bounded queue to a thread that writes, and where that
//! thread cannot keep up they are dropped, counted and reported.

mod format;
mod sink;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::uri::{Authority, PathAndQuery};
use http::{HeaderValue, Method, Uri};

pub use writer::AccessLog;

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

/// How the lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Apache's `%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i"`.
    Combined,
    /// One JSON object. What a request does not have is left out.
    Json,
}

/// What is known of a request when its answer has ended. Most of it is shared with the request,
/// so that a record is cheap to begin with each of them.
#[derive(Clone, Debug)]
pub struct Record {
    /// When the request was received.
    pub time: SystemTime,
    /// The client's IP address, or `unix:`.
    pub client: String,
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
    /// The Referer field.
    pub referer: Option<HeaderValue>,
    /// The User-Agent field.
    pub user_agent: Option<HeaderValue>,
    /// The authority that the client named; empty where it named none.
    pub host: String,
    /// The request's name in all logs.
    pub request_id: String,
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
    /// How long connecting took, with PHP-FPM's own queue.
    pub connect: Option<Duration>,
    /// From the request being written to the first byte of PHP's answer.
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

/// A record with what every request has.
#[cfg(test)]
fn sample(uri: &'static str) -> Record {
    Record {
        time: SystemTime::UNIX_EPOCH + Duration::from_micros(1_795_572_929_000_123),
        client: "192.0.2.1".to_owned(),
        method: Method::GET,
        uri: Uri::from_static(uri),
        protocol: "HTTP/1.1",
        status: 200,
        bytes: 1234,
        referer: Some(HeaderValue::from_static("https://example.org/")),
        user_agent: Some(HeaderValue::from_static("curl/8")),
        host: "example.org".to_owned(),
        request_id: "0123456789abcdef00000001".to_owned(),
        site: None,
        handler: "none",
        upstream: None,
        cause: None,
        complete: true,
        duration: Duration::from_micros(1500),
        queue: None,
        connect: None,
        first_byte: None,
    }
}
