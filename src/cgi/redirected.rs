//! Apache's REDIRECT_ variables: what a request was before an internal redirect.

use crate::fastcgi::params::ParamsEncoder;
use crate::message::{Cause, Request};

/// Writes REDIRECT_STATUS, and what Apache writes after the last internal redirect. As measured on
/// Apache 2.4.71: an index file and a fallback are none, a rewritten path and an error page are.
pub(super) fn encode(params: &mut ParamsEncoder<'_>, request: &Request) {
    let last = request.causes.iter().rev().find(|round| match round.cause {
        Cause::Index => false,
        Cause::Rewrite | Cause::ErrorPage(_) => true,
    });
    // php-cgi with cgi.force_redirect (its default) runs nothing without a status.
    let Some(round) = last else {
        params.pair(b"REDIRECT_STATUS", b"200");
        return;
    };
    match round.cause {
        Cause::Index | Cause::Rewrite => params.pair(b"REDIRECT_STATUS", b"200"),
        Cause::ErrorPage(status) => params.pair(b"REDIRECT_STATUS", status.as_str().as_bytes()),
    }
    params.pair(b"REDIRECT_URL", round.target.path());
    if let Some(query) = round.target.query() {
        params.pair(b"REDIRECT_QUERY_STRING", query.as_bytes());
    }
}
