//! The arrival of a request: the choice of its site by host, and all checks before the rules.

use std::sync::Arc;

use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Response, StatusCode, header};

use super::failed::permits_page;
use super::{Context, Journey, Next, Trail};
use crate::access_log::{AccessLogs, RequestLog};
use crate::failure::Failure;
use crate::filter::compress::Negotiation;
use crate::handler::Body;
use crate::message::request::Origin;
use crate::message::{Disk, Host, Request, Scheme, Target, Upload, list};
use crate::modifier::limits::subject;
use crate::modifier::taken::Taken;
use crate::site::{Site, Snapshot};

/// A request head with the results of the protocol and forwarding checks.
#[derive(Debug)]
pub struct Arrived<'a> {
    /// The configuration in force, used for this request to its end.
    pub snapshot: &'a Snapshot,
    /// The access logs of the connection, for sites without any.
    pub logs: &'a Arc<AccessLogs>,
    /// The request head.
    pub parts: Parts,
    /// The request content.
    pub upload: Upload,
    /// The error of a head that exceeds a limit, or of contradicting forwarding fields.
    pub received: Result<(), Failure>,
}

/// An admitted request.
enum Admitted {
    /// A request for the rules.
    Request(Target),
    /// A response without rules: to `OPTIONS *`, or to a plain HTTP request for a site that requires HTTPS.
    Answer(Response<Body>),
}

impl Journey {
    /// Starts the journey with the request head, and advances it up to the next action of the driver.
    pub fn arrive<T: Trail>(
        &mut self,
        arrived: Arrived<'_>,
        disk: &dyn Disk,
        trail: &mut T,
    ) -> Next {
        let Arrived {
            snapshot,
            logs,
            mut parts,
            upload,
            received,
        } = arrived;
        let supported = received.and_then(|()| check_head(&parts));
        // The site comes first, so that a refusal gets its fields and error pages.
        let (site, host) = match find_site(snapshot, &parts, &mut self.context) {
            Ok(named) => named,
            Err(unnamed) => {
                self.context.log = RequestLog::new(logs, &parts);
                let failure = supported.err().unwrap_or(unnamed);
                return self.conclude(Err(failure), disk, trail);
            }
        };
        self.context.log = RequestLog::new(site.access_logs.as_ref().unwrap_or(logs), &parts);
        let admitted =
            supported.and_then(|()| admit(snapshot, &parts, site, &host, &mut self.context));
        let answered = match admitted {
            Ok(Admitted::Request(target)) => {
                let settings = site.compress.as_ref();
                self.context.negotiation = Negotiation::from_request(settings, &mut parts);
                let request = Request::new(parts, target, upload, self.origin(host));
                self.context.log.judge(&request, disk);
                if site.error_pages.has_paths() {
                    self.context.echo = Some(Box::new(request.without_content()));
                }
                return self.search(Box::new(request), disk, trail);
            }
            Ok(Admitted::Answer(response)) => Ok(response),
            Err(failure) => Err(failure),
        };
        let may_ask = answered.as_ref().err().is_some_and(permits_page);
        let unruled = unruled_request(parts, site, self.origin(host));
        self.context.log.judge(&unruled.0, disk);
        self.apply_site_edits(unruled, may_ask, site, disk);
        self.conclude(answered, disk, trail)
    }

    fn origin(&self, host: Host) -> Origin {
        let site = self.context.site.as_ref();
        Origin {
            host,
            canonical: site.and_then(|site| site.canonical.clone()),
            wire: self.context.wire.clone(),
            id: self.context.id.clone(),
        }
    }

    /// Collects the edits of the site for a response without a rule. Keeps the request if an error page may be requested
    /// in its place.
    fn apply_site_edits(
        &mut self,
        (mut request, is_read): (Request, bool),
        may_ask: bool,
        site: &Site,
        disk: &dyn Disk,
    ) {
        // A request that no rule has judged is counted by none.
        let mut exempt = Taken::exempt();
        let mut inputs = self.context.inputs(disk);
        inputs.taken = &mut exempt;
        self.context.edits = site.edits_without_rules(&mut request, is_read, &mut inputs);
        if may_ask && site.error_pages.has_paths() && admit_page(site, &request, &mut self.context)
        {
            // The page has edits of its own.
            request.edits = None;
            self.context.echo = Some(Box::new(request));
        }
    }
}

/// Builds the request of a response without a rule, and reports whether its target was parsed.
fn unruled_request(parts: Parts, site: &Site, origin: Origin) -> (Request, bool) {
    let parsed = parse_target(&parts, site);
    let is_read = parsed.is_some();
    let target = parsed.unwrap_or_else(|| Target::unread(raw(&parts)));
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
    // RFC 9110 §10.1.1: hyper sends the 100 at the first read of the content.
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
    if let Some(limiter) = &site.limiter {
        let subject = subject(&limiter.limit().key, wire, &parts.headers, None);
        context.running = Some(limiter.admit(&subject, context.received.instant)?);
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

/// Returns the response to `OPTIONS *`, which is about the server and no site (RFC 9110 §9.3.7).
fn options_of_the_server() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response.headers_mut().insert(
        header::ALLOW,
        HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),
    );
    response
}

/// Parses the target of a request; CONNECT (RFC 9110 §9.3.6) and `OPTIONS *` have none.
fn parse_target(parts: &Parts, site: &Site) -> Option<Target> {
    let target = Target::parse(raw(parts), site.encoded_slash).ok();
    target.filter(|_| parts.method != Method::CONNECT)
}

fn raw(parts: &Parts) -> &str {
    parts.uri.path_and_query().map_or("/", PathAndQuery::as_str)
}

/// Counts the page as a request. No page is requested beyond the limit of the site, nor over plain HTTP for a site that
/// requires HTTPS.
fn admit_page(site: &Site, request: &Request, context: &mut Context) -> bool {
    if site.https.is_some() && context.wire.scheme == Scheme::Http {
        return false;
    }
    let Some(limiter) = &site.limiter else {
        return true;
    };
    let subject = subject(&limiter.limit().key, &context.wire, &request.fields, None);
    let admitted = limiter.admit(&subject, context.received.instant);
    context.running = admitted.ok();
    context.running.is_some()
}
