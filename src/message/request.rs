//! One request, parsed: what rules, handlers and the log read.

use std::fmt;
use std::sync::Arc;

use http::request::Parts;
use http::{HeaderMap, Method, StatusCode, Version};

use super::{Host, Target, Upload, Wire};

/// A request on its way to an answer. Handlers take it and give it back when they decline.
#[derive(Debug)]
pub struct Request {
    /// The method; TRACE and CONNECT never get here.
    pub method: Method,
    /// Path and query, decoded and normalised once.
    pub target: Target,
    /// HTTP/1.0, HTTP/1.1 or HTTP/2.
    pub version: Version,
    /// The header fields as received.
    pub fields: HeaderMap,
    /// The authority that the client named.
    pub host: Host,
    /// The connection it came on.
    pub wire: Arc<Wire>,
    /// Names this request in the logs, to PHP and on error pages.
    pub id: RequestId,
    /// The content, still to be read.
    pub upload: Upload,
    /// Why this is not the first round, in order (design §3: at most 10).
    pub causes: Vec<Round>,
}

/// A round that ended in another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Round {
    /// Why it did.
    pub cause: Cause,
    /// What it was about.
    pub target: Target,
}

/// Why a request asks for another round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A directory was asked for and has this index file.
    Index,
    /// The path was rewritten.
    Rewrite,
    /// A failure is told by a page of the site; this is its status.
    ErrorPage(StatusCode),
}

/// What names a request: unique within the life of the process and improbable to repeat beyond
/// it. Shown as 24 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestId {
    process: u64,
    serial: u32,
}

impl RequestId {
    /// The `serial`th request of the process that drew `process` at its start.
    pub fn new(process: u64, serial: u32) -> Self {
        Self { process, serial }
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}{:08x}", self.process, self.serial)
    }
}

/// What the service knows of a request before its target is parsed.
#[derive(Debug)]
pub struct Origin {
    /// The authority, by which the site was chosen.
    pub host: Host,
    /// The connection.
    pub wire: Arc<Wire>,
    /// The name of the request.
    pub id: RequestId,
}

impl Request {
    /// A request for `target`; all else was checked by then.
    pub fn new(parts: Parts, target: Target, upload: Upload, origin: Origin) -> Self {
        Self {
            target,
            method: parts.method,
            version: parts.version,
            fields: parts.headers,
            host: origin.host,
            wire: origin.wire,
            id: origin.id,
            upload,
            causes: Vec::new(),
        }
    }

    /// The same request for another round, with `target` in place of its own.
    pub fn again(mut self, target: Target, cause: Cause) -> Self {
        let target = std::mem::replace(&mut self.target, target);
        self.causes.push(Round { cause, target });
        self
    }

    /// RFC 9110 §9.2.2: whether doing it twice is the same as doing it once and reading changes
    /// nothing: what may be sent again when it is not known whether PHP saw it (design §4.8).
    pub fn is_safe(&self) -> bool {
        matches!(self.method, Method::GET | Method::HEAD | Method::OPTIONS)
    }
}
