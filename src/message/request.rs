//! A parsed request, the input of rules, handlers and the log.

use std::sync::Arc;

use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version, header};

use super::edits::{Edits, RuleEdits};
use super::{Host, RemoteUser, RequestId, Target, Upload, Wire};

/// A request on its way to an answer. Handlers take it and return it when they decline.
#[derive(Debug)]
pub struct Request {
    /// The method; TRACE and CONNECT are refused earlier.
    pub method: Method,
    /// Path and query, decoded and normalised once.
    pub target: Target,
    /// HTTP/1.0, HTTP/1.1 or HTTP/2.
    pub version: Version,
    /// The header fields as received; Host is replaced by the target's authority, where it has one.
    pub fields: HeaderMap,
    /// The authority that the client named.
    pub host: Host,
    /// The name and port of the server, if they are not the client's to name.
    pub canonical: Option<Arc<Host>>,
    /// The connection of the request.
    pub wire: Arc<Wire>,
    /// The identifier in the logs, in PHP and on error pages.
    pub id: RequestId,
    /// The unread content.
    pub upload: Upload,
    /// Causes of the rounds after the first, in order, at most 10.
    pub causes: Vec<Cause>,
    /// Edits of the matching rules.
    pub edits: Option<Arc<Edits>>,
}

/// Cause of another round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The index file of the requested folder.
    Index,
    /// A rewrite by a rule.
    Rewrite(Previous),
    /// A failure for which an error page is configured.
    ErrorPage {
        /// The status for the client.
        status: StatusCode,
        /// The method of the failed round; the page is requested by GET.
        method: Method,
        /// The target of the failed round.
        from: Previous,
    },
}

/// The target of the previous round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Previous {
    /// The decoded path.
    pub path: Vec<u8>,
    /// The raw query.
    pub query: Option<String>,
}

/// The parts of a request that the service knows before the target is parsed.
#[derive(Debug)]
pub struct Origin {
    /// The authority, which selected the site.
    pub host: Host,
    /// The `canonical_name` of the site.
    pub canonical: Option<Arc<Host>>,
    /// The connection.
    pub wire: Arc<Wire>,
    /// The identifier of the request.
    pub id: RequestId,
}

impl Request {
    /// Creates a request for `target` from checked parts.
    pub fn new(mut parts: Parts, target: Target, upload: Upload, origin: Origin) -> Self {
        name_host(&mut parts, &origin.host);
        Self {
            target,
            method: parts.method,
            version: parts.version,
            fields: parts.headers,
            host: origin.host,
            canonical: origin.canonical,
            wire: origin.wire,
            id: origin.id,
            upload,
            causes: Vec::new(),
            edits: None,
        }
    }

    /// Returns the request for another round, with `target` in place of its own.
    pub fn next_round(mut self: Box<Self>, target: Target, cause: Cause) -> Box<Self> {
        self.target = target;
        self.causes.push(cause);
        self
    }

    /// Copies the request without its content, for a page in place of its answer.
    pub fn without_content(&self) -> Self {
        Self {
            method: self.method.clone(),
            target: self.target.clone(),
            version: self.version,
            fields: self.fields.clone(),
            host: self.host.clone(),
            canonical: self.canonical.clone(),
            wire: Arc::clone(&self.wire),
            id: self.id.clone(),
            upload: Upload::Empty,
            causes: Vec::new(),
            edits: None,
        }
    }

    /// Returns a request of the gateway's own for `target`: GET without content, and otherwise from the same client.
    pub fn for_subrequest(&self, target: Target, fields: HeaderMap) -> Self {
        Self {
            method: Method::GET,
            target,
            version: self.version,
            fields,
            host: self.host.clone(),
            wire: Arc::clone(&self.wire),
            id: self.id.clone(),
            upload: Upload::Empty,
            canonical: self.canonical.clone(),
            causes: Vec::new(),
            edits: None,
        }
    }

    /// Returns the request for the round that requests an error page at `target`.
    pub fn error_page(mut self: Box<Self>, target: Target, status: StatusCode) -> Box<Self> {
        let cause = Cause::ErrorPage {
            status,
            method: std::mem::replace(&mut self.method, Method::GET),
            from: self.previous(),
        };
        self.next_round(target, cause)
    }

    /// Adds the edits of a matching rule.
    pub fn add_edits(&mut self, edits: RuleEdits) {
        Arc::make_mut(self.edits.get_or_insert_default()).set_rule(edits);
    }

    /// Returns the user whom a rule has authenticated.
    pub fn user(&self) -> Option<&RemoteUser> {
        self.edits.as_ref()?.user()
    }

    /// Reports whether a rule with `auth` applies.
    pub fn has_auth(&self) -> bool {
        self.edits.as_ref().is_some_and(|edits| edits.has_auth())
    }

    /// Returns the target of this round, for the next one.
    pub fn previous(&self) -> Previous {
        Previous {
            path: self.target.path().to_vec(),
            query: self.target.query().map(str::to_owned),
        }
    }

    /// Reports whether the method is safe (RFC 9110 §9.2.1) and so idempotent (§9.2.2): the request may be sent again when
    /// it is unknown whether PHP saw it (docs/internals/admission.md, "What is sent again").
    pub fn is_safe(&self) -> bool {
        matches!(self.method, Method::GET | Method::HEAD | Method::OPTIONS)
    }
}

/// Replaces Host by the target's authority, where it has one: by `:authority` as it was sent (RFC 9113 §8.3.1), in
/// HTTP/1 by `host`, which was parsed from it, as Apache does (RFC 9112 §3.2.2).
fn name_host(parts: &mut Parts, host: &Host) {
    let Some(authority) = parts.uri.authority() else {
        return;
    };
    // An authority that is no field value is no host, and was refused.
    let named = match parts.version {
        Version::HTTP_2 => HeaderValue::from_str(authority.as_str()),
        _ => HeaderValue::from_str(&host.to_string()),
    };
    if let Ok(named) = named {
        parts.headers.insert(header::HOST, named);
    }
}
