//! Changes of the fields of an answer by rules.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderValue, Response, header};

use crate::handler::Body;
use crate::message::edits::Edits;

/// Applies the edits to the answer to a request that was received at `received`: `expires` first, so that a field set by a
/// rule takes precedence.
pub fn apply(edits: &Edits, response: &mut Response<Body>, received: SystemTime) {
    let keeps = response.status().is_success() || response.status().is_redirection();
    let fields = response.headers_mut();
    if let Some(age) = edits.expires().filter(|_| keeps) {
        expires(fields, age, received);
    }
    edits.apply_to_answer(fields);
}

/// Sets max-age (RFC 9111 §5.2.2.1) and, for HTTP/1.0, Expires (§5.3), as Apache's mod_expires, unless the answer has either
/// of their fields.
fn expires(fields: &mut HeaderMap, age: Duration, received: SystemTime) {
    if fields.contains_key(header::CACHE_CONTROL) || fields.contains_key(header::EXPIRES) {
        return;
    }
    let control = HeaderValue::from_str(&format!("max-age={}", age.as_secs()));
    let date = httpdate::fmt_http_date(received + age);
    if let (Ok(control), Ok(date)) = (control, HeaderValue::from_str(&date)) {
        fields.insert(header::CACHE_CONTROL, control);
        fields.insert(header::EXPIRES, date);
    }
}
