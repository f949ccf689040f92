//! One request, parsed: what rules, handlers and the log read.

use std::sync::Arc;

use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version, header};

use super::edits::{Edits, RuleEdits};
use super::{Host, RequestId, Target, Upload, Wire};

/// A request on its way to an answer. Handlers take it and give it back when they decline.
#[derive(Debug)]
pub struct Request {
    /// The method; TRACE and CONNECT never get here.
    pub method: Method,
    /// Path and query, decoded and normalised once.
    pub target: Target,
    /// HTTP/1.0, HTTP/1.1 or HTTP/2.
    pub version: Version,
    /// The header fields as received; the Host is what the target names, where it names one.
    pub fields: HeaderMap,
    /// The authority that the client named.
    pub host: Host,
    /// The connection it came on.
    pub wire: Arc<Wire>,
    /// Names this request in the logs, to PHP and on error pages.
    pub id: RequestId,
    /// The content, still to be read.
    pub upload: Upload,
    /// Why this is not the first round, in order, at most 10.
    pub causes: Vec<Cause>,
    /// What the rules that it matched want changed.
    pub edits: Option<Arc<Edits>>,
}

/// Why a request asks for another round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A directory was asked for and has this index file.
    Index,
    /// A rule gave it another target.
    Rewrite(Previous),
    /// It failed, and a script is to say so.
    ErrorPage {
        /// How it failed: the status that the client gets.
        status: StatusCode,
        /// The method by which it failed; the page is asked for by GET.
        method: Method,
        /// Where it failed.
        from: Previous,
    },
}

/// The target of the round before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Previous {
    /// The decoded path.
    pub path: Vec<u8>,
    /// The raw query.
    pub query: Option<String>,
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
    pub fn new(mut parts: Parts, target: Target, upload: Upload, origin: Origin) -> Self {
        name_host(&mut parts, &origin.host);
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
            edits: None,
        }
    }

    /// The same request for another round, with `target` in place of its own.
    pub fn again(mut self: Box<Self>, target: Target, cause: Cause) -> Box<Self> {
        self.target = target;
        self.causes.push(cause);
        self
    }

    /// The same request without its content, for a page in place of its answer.
    pub fn echo(&self) -> Self {
        Self {
            method: self.method.clone(),
            target: self.target.clone(),
            version: self.version,
            fields: self.fields.clone(),
            host: self.host.clone(),
            wire: Arc::clone(&self.wire),
            id: self.id,
            upload: Upload::Empty,
            causes: Vec::new(),
            edits: None,
        }
    }

    /// The round that asks for an error page at `target`.
    pub fn error_page(mut self: Box<Self>, target: Target, status: StatusCode) -> Box<Self> {
        let cause = Cause::ErrorPage {
            status,
            method: std::mem::replace(&mut self.method, Method::GET),
            from: self.previous(),
        };
        self.again(target, cause)
    }

    /// A rule that it matched wants something changed.
    pub fn note(&mut self, edits: RuleEdits) {
        Arc::make_mut(self.edits.get_or_insert_default()).of_rule(edits);
    }

    /// Where this round has it, for the next one.
    pub fn previous(&self) -> Previous {
        Previous {
            path: self.target.path().to_vec(),
            query: self.target.query().map(str::to_owned),
        }
    }

    /// RFC 9110 §9.2.2: whether doing it twice is the same as doing it once and reading changes
    /// nothing: what may be sent again when it is not known whether PHP saw it (docs/internals/admission.md, "What is
    /// sent again").
    pub fn is_safe(&self) -> bool {
        matches!(self.method, Method::GET | Method::HEAD | Method::OPTIONS)
    }
}

/// Replaces Host by what the target names, where it names a host: `:authority` as it was sent (RFC 9113 §8.3.1), and
/// in HTTP/1 `host`, which was taken from it, as Apache does (RFC 9112 §3.2.2).
fn name_host(parts: &mut Parts, host: &Host) {
    let Some(authority) = parts.uri.authority() else {
        return;
    };
    // An authority that is no field value named no host, and was refused.
    let named = match parts.version {
        Version::HTTP_2 => HeaderValue::from_str(authority.as_str()),
        _ => HeaderValue::from_str(&host.to_string()),
    };
    if let Ok(named) = named {
        parts.headers.insert(header::HOST, named);
    }
}
