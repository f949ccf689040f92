//! The changes that rules make to the fields of an answer.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderValue, Response, header};

use crate::handler::Body;
use crate::message::edits::Edits;

/// Makes them, for a request that came at `received`: `expires` first, so that a field which a rule sets stands as it was
/// written.
pub fn apply(edits: &Edits, response: &mut Response<Body>, received: SystemTime) {
    let keeps = response.status().is_success() || response.status().is_redirection();
    let fields = response.headers_mut();
    if let Some(age) = edits.expires().filter(|_| keeps) {
        expires(fields, age, received);
    }
    edits.apply_to_answer(fields);
}

/// RFC 9111 §5.2.2.1 and, for those who know only HTTP/1.0, §5.3; as Apache's mod_expires. What the
/// answer says itself stands.
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
