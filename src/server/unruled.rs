//! Answers that no rule makes: a target that cannot be read, TRACE, a client over its limit, the way
//! to TLS. Where the host is known they have the site's fields and error pages like all others.

use std::sync::Arc;

use http::request::Parts;
use http::uri::PathAndQuery;
use http::{Method, Response};

use super::logged::Entry;
use super::service::Connection;
use crate::failure::Failure;
use crate::handler::Body;
use crate::limits::rate::Client;
use crate::message::request::Origin;
use crate::message::{Host, Request, RequestId, Scheme, Target, Upload};
use crate::moment;
use crate::site::Site;

/// Returns `answer`, having found what the site changes about it; the request is kept where an error
/// page is to be asked for in its place.
pub(super) fn dress(
    answer: Result<Response<Body>, Failure>,
    connection: &Connection,
    parts: Parts,
    id: RequestId,
    entry: &mut Entry,
) -> Result<Response<Body>, Failure> {
    let Ok(host) = Host::of(&parts) else {
        return answer;
    };
    let Ok(site) = connection.site(&host, &entry.wire().listener) else {
        return answer;
    };
    entry.set_site(&site);
    let target = target(&parts, &site);
    let is_read = target.is_some();
    let target = target.unwrap_or_else(|| Target::unread(raw(&parts)));
    let wire = Arc::clone(entry.wire());
    let mut request = Request::new(parts, target, Upload::Empty, Origin { host, wire, id });
    entry.set_edits(site.edits_without_rules(&mut request, is_read, &connection.disk()));
    let asks = answer.as_ref().err().is_some_and(may_ask) && site.error_pages.ask();
    if asks && is_admitted(&request, &site, entry) {
        // The page has edits of its own.
        request.edits = None;
        entry.keep(request);
    }
    answer
}

/// Returns the target of a request that has one; CONNECT (RFC 9110 §9.3.6) and `OPTIONS *` have none.
fn target(parts: &Parts, site: &Site) -> Option<Target> {
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
/// who is over the limit, nor in clear text where the site is kept to TLS.
fn is_admitted(request: &Request, site: &Site, entry: &mut Entry) -> bool {
    if site.https.is_some() && request.wire.scheme == Scheme::Http {
        return false;
    }
    let (Some(clients), Some(address)) = (&site.clients, request.wire.client) else {
        return true;
    };
    let running = clients.admit(Client::new(address), moment::now()).ok();
    let is_admitted = running.is_some();
    entry.hold(running);
    is_admitted
}
