//! The fields of the subrequest.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::ForwardAuth;
use crate::message::edits::{RuleEdits, have_same_variable};
use crate::message::{Cause, Request, hop_by_hop};

/// The fields that the gateway writes.
const METHOD: HeaderName = HeaderName::from_static("x-forwarded-method");
const URI: HeaderName = HeaderName::from_static("x-forwarded-uri");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const WRITTEN: [HeaderName; 5] = [METHOD, URI, PROTO, HOST, FOR];

/// Builds the fields of the subrequest about a request. They are equal in all rounds of the request, so that it asks once.
pub(super) fn fields(request: &Request, forward_auth: &ForwardAuth) -> HeaderMap {
    let mut client = request.fields.clone();
    hop_by_hop::strip(&mut client);
    let mut fields = HeaderMap::with_capacity(client.len() + WRITTEN.len());
    for (name, value) in &request.fields {
        if client.contains_key(name) && is_copied(name, forward_auth) {
            fields.append(name, value.clone());
        }
    }
    write(request, &mut fields);
    fields
}

/// Reports whether the script gets no credentials: a rule has checked them, and the field is not named.
pub(super) fn has_auth(request: &Request, forward_auth: &ForwardAuth, edits: &RuleEdits) -> bool {
    let known = request.edits.as_ref();
    let is_checked = edits.has_auth || known.is_some_and(|known| known.has_auth_before(edits.rule));
    is_checked && forward_auth.request_fields.is_none()
}

/// Reports whether a field of the client is copied. Host names the site (RFC 9110 §7.2) and always is.
fn is_copied(name: &HeaderName, forward_auth: &ForwardAuth) -> bool {
    if is_withheld(name) || forward_auth.is_own(name) {
        return false;
    }
    if WRITTEN
        .iter()
        .any(|written| have_same_variable(written, name))
    {
        return false;
    }
    let named = forward_auth.request_fields.as_ref();
    *name == header::HOST || named.is_none_or(|named| named.contains(name))
}

/// Reports whether a field does not apply to a GET without content: those of content (RFC 9110 §8), conditions (§13.1),
/// ranges (§14.2) and expectations (§10.1.1), and hop-by-hop fields (§7.6.1).
pub(super) fn is_withheld(name: &HeaderName) -> bool {
    const OTHERS: [HeaderName; 7] = [
        header::IF_MATCH,
        header::IF_NONE_MATCH,
        header::IF_MODIFIED_SINCE,
        header::IF_UNMODIFIED_SINCE,
        header::IF_RANGE,
        header::RANGE,
        header::EXPECT,
    ];
    is_of_content(name) || OTHERS.contains(name) || hop_by_hop::is_hop_by_hop(name)
}

/// Reports whether a field describes content.
pub(super) fn is_of_content(name: &HeaderName) -> bool {
    name.as_str().starts_with("content-")
}

/// Adds method, target, scheme, host and client of the request.
fn write(request: &Request, fields: &mut HeaderMap) {
    let mut causes = request.causes.iter();
    let failed = causes.find_map(|cause| match cause {
        Cause::ErrorPage { method, .. } => Some(method),
        Cause::Index | Cause::Rewrite(_) => None,
    });
    let method = failed.unwrap_or(&request.method);
    let host = request.host.to_string();
    let address = request.wire.client.map(|_| &request.wire.remote_addr);
    let written = [
        (METHOD, Some(method.as_str())),
        (URI, Some(request.target.raw())),
        (PROTO, Some(request.wire.scheme.as_str())),
        (HOST, Some(host.as_str()).filter(|host| !host.is_empty())),
        (FOR, address.map(String::as_str)),
    ];
    for (name, value) in written {
        // Bytes of a target may be above 127, and are field values too (RFC 9110 §5.5).
        let value = value.and_then(|value| HeaderValue::from_bytes(value.as_bytes()).ok());
        fields.extend(value.map(|value| (name, value)));
    }
}
