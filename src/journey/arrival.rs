//! The beginning: the site by the host, and everything that is checked before any rule.

use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Response, StatusCode, header};

use super::{Context, Journey, Next, Trail};
use crate::failure::Failure;
use crate::filter::compress::Negotiation;
use crate::handler::Body;
use crate::limits::rate::Client;
use crate::message::request::Origin;
use crate::message::{Disk, Host, Request, Scheme, Target, Upload, list};
use crate::site::{Site, Snapshot};

/// The head of a request, and what its protocol and its proxies came to.
#[derive(Debug)]
pub struct Arrived<'a> {
    /// The configuration in force, for this request from now on.
    pub snapshot: &'a Snapshot,
    /// The head.
    pub parts: Parts,
    /// The content.
    pub upload: Upload,
    /// A head over a bound, or proxies that contradict each other.
    pub received: Result<(), Failure>,
}

/// A request that may go on.
enum Admitted {
    /// To the rules.
    Request(Target),
    /// Answered before any rule: `OPTIONS *`, or a plain HTTP request to a site that requires HTTPS.
    Answer(Response<Body>),
}

impl Journey {
    /// Takes the head of the request, and goes on as far as values lead.
    pub fn arrive<T: Trail>(
        &mut self,
        arrived: Arrived<'_>,
        disk: &dyn Disk,
        trail: &mut T,
    ) -> Next {
        let Arrived {
            snapshot,
            mut parts,
            upload,
            received,
        } = arrived;
        let supported = received.and_then(|()| check_head(&parts));
        // First of all the site, so that it is known whose fields and pages a refusal has.
        let (site, host) = match find_site(snapshot, &parts, &mut self.context) {
            Ok(named) => named,
            Err(unnamed) => {
                let failure = supported.err().unwrap_or(unnamed);
                return self.answered(Err(failure), disk, trail);
            }
        };
        let admitted =
            supported.and_then(|()| admit(snapshot, &parts, site, &host, &mut self.context));
        let answered = match admitted {
            Ok(Admitted::Request(target)) => {
                let settings = site.compress.as_ref();
                self.context.negotiation = Negotiation::from_request(settings, &mut parts);
                let request = Request::new(parts, target, upload, self.origin(host));
                if site.error_pages.has_paths() {
                    self.context.echo = Some(Box::new(request.without_content()));
                }
                return self.search(Box::new(request), disk, trail);
            }
            Ok(Admitted::Answer(response)) => Ok(response),
            Err(failure) => Err(failure),
        };
        let may_ask = answered.as_ref().err().is_some_and(may_ask);
        let unruled = unruled(parts, site, self.origin(host));
        self.dress(unruled, may_ask, site, disk);
        self.answered(answered, disk, trail)
    }

    fn origin(&self, host: Host) -> Origin {
        Origin {
            host,
            wire: self.context.wire.clone(),
            id: self.context.id,
        }
    }

    /// Finds what the site changes about an answer that no rule makes. The request is kept where an error page may be asked
    /// for in its place.
    fn dress(
        &mut self,
        (mut request, is_read): (Request, bool),
        may_ask: bool,
        site: &Site,
        disk: &dyn Disk,
    ) {
        self.context.edits = site.edits_without_rules(&mut request, is_read, disk);
        if may_ask && site.error_pages.has_paths() && admit_page(site, &mut self.context) {
            // The page has edits of its own.
            request.edits = None;
            self.context.echo = Some(Box::new(request));
        }
    }
}

/// Builds the request that no rule answers, and reports whether its target could be read.
fn unruled(parts: Parts, site: &Site, origin: Origin) -> (Request, bool) {
    let target = readable(&parts, site);
    let is_read = target.is_some();
    let target = target.unwrap_or_else(|| Target::unread(raw(&parts)));
    (Request::new(parts, target, Upload::Empty, origin), is_read)
}

fn find_site<'a>(
    snapshot: &'a Snapshot,
    parts: &Parts,
    context: &mut Context,
) -> Result<(&'a Site, Host), Failure> {
    let host = Host::of(parts)?;
    let site = snapshot.site(&host, &context.wire.listener)?;
    context.site = Some(site.clone());
    Ok((site, host))
}

fn check_head(parts: &Parts) -> Result<(), Failure> {
    if matches!(parts.method, Method::CONNECT | Method::TRACE) {
        return Err(Failure::NotSupported(parts.method.clone()));
    }
    // RFC 9110 §10.1.1: hyper sends the 100 when the content is first read.
    list::expects_continue(&parts.headers)?;
    Ok(())
}

fn admit(
    snapshot: &Snapshot,
    parts: &Parts,
    site: &Site,
    host: &Host,
    context: &mut Context,
) -> Result<Admitted, Failure> {
    if parts.method == Method::OPTIONS && parts.uri.path() == "*" {
        return Ok(Admitted::Answer(options_of_the_server()));
    }
    let wire = &context.wire;
    if !site.access.admits(wire.client) {
        return Err(Failure::Forbidden("`allow` or `deny` of the site"));
    }
    let target = snapshot.target(raw(parts), site)?;
    if let (Some(clients), Some(address)) = (&site.clients, wire.client) {
        let now = context.received.instant;
        context.running = Some(clients.admit(Client::new(address), now)?);
    }
    if let Some(https) = site.https.as_ref().filter(|_| wire.scheme == Scheme::Http) {
        context.handler = "https";
        let name = match host.name() {
            "" => wire.local_addr.as_str(),
            name => name,
        };
        return https.redirect(name, raw(parts)).map(Admitted::Answer);
    }
    Ok(Admitted::Request(target))
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

/// Returns the target of a request that has one; CONNECT (RFC 9110 §9.3.6) and `OPTIONS *` have none.
fn readable(parts: &Parts, site: &Site) -> Option<Target> {
    let target = Target::parse(raw(parts), site.encoded_slash).ok();
    target.filter(|_| parts.method != Method::CONNECT)
}

fn raw(parts: &Parts) -> &str {
    parts.uri.path_and_query().map_or("/", PathAndQuery::as_str)
}

/// Reports whether a page may be asked for: a client that is over its limit gets no script run, nor does
/// one of whom two proxies say different things.
fn may_ask(failure: &Failure) -> bool {
    !matches!(failure, Failure::TooMany(_) | Failure::Forwarded(_))
}

/// Counts the page as a request of the client, which it was not before. None is asked for on behalf of
/// a client that is over its limit, nor in clear text where the site is kept to TLS.
fn admit_page(site: &Site, context: &mut Context) -> bool {
    if site.https.is_some() && context.wire.scheme == Scheme::Http {
        return false;
    }
    let (Some(clients), Some(address)) = (&site.clients, context.wire.client) else {
        return true;
    };
    let now = context.received.instant;
    context.running = clients.admit(Client::new(address), now).ok();
    context.running.is_some()
}
