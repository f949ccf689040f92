//! What a script says of the age and the version of its answer, and whether the client has that
//! already.

use std::time::SystemTime;

use http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::cgi::response::ScriptHead;
use crate::message::Request;
use crate::message::conditional::{Validators, Verdict, evaluate};

/// Fields about content, of which a 304 has none (RFC 9110 §15.4.5).
const OF_CONTENT: [header::HeaderName; 4] = [
    header::CONTENT_TYPE,
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_RANGE,
];

/// Corrects the validators of `head`, and makes it a 304 where the client has what they name. `now`
/// is the time of the answer.
pub(super) fn settle(head: &mut ScriptHead, request: &Request, now: SystemTime) {
    let last_modified = last_modified(&mut head.headers, now);
    let etag = head.headers.get(header::ETAG).cloned();
    if head.status != StatusCode::OK || (etag.is_none() && last_modified.is_none()) {
        return;
    }
    let validators = Validators {
        etag,
        last_modified,
    };
    match evaluate(&request.method, &request.fields, &validators) {
        Verdict::NotModified => not_modified(head),
        // The script has run: a 412 now would deny what it did. RFC 9110 §13.2.1 leaves the first
        // two steps to whom the state belongs to, and that is the script.
        Verdict::PreconditionFailed | Verdict::Proceed => {}
    }
}

fn not_modified(head: &mut ScriptHead) {
    head.status = StatusCode::NOT_MODIFIED;
    head.content_length = None;
    for name in OF_CONTENT {
        head.headers.remove(name);
    }
}

/// behaviours no. 44, RFC 9110 §8.8.2.1: a time that cannot be read is dropped, one to come is now.
fn last_modified(headers: &mut HeaderMap, now: SystemTime) -> Option<SystemTime> {
    let text = headers.get(header::LAST_MODIFIED)?;
    let time = text
        .to_str()
        .ok()
        .and_then(|text| httpdate::parse_http_date(text).ok());
    match time {
        Some(time) if time > now => {
            let text = httpdate::fmt_http_date(now);
            if let Ok(value) = HeaderValue::from_str(&text) {
                headers.insert(header::LAST_MODIFIED, value);
            }
            Some(now)
        }
        Some(time) => Some(time),
        None => {
            headers.remove(header::LAST_MODIFIED);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_time_to_come_is_now_and_one_that_is_none_is_dropped() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        for (given, expected) in [
            (
                "Sun, 09 Sep 2001 01:46:39 GMT",
                Some("Sun, 09 Sep 2001 01:46:39 GMT"),
            ),
            (
                "Sun, 09 Sep 2035 01:46:39 GMT",
                Some("Sun, 09 Sep 2001 01:46:40 GMT"),
            ),
            ("yesterday", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::LAST_MODIFIED, HeaderValue::from_static(given));
            let time = last_modified(&mut headers, now);
            let left = headers.get(header::LAST_MODIFIED);
            assert_eq!(left.map(|value| value.to_str().unwrap()), expected);
            assert_eq!(time.is_some(), expected.is_some(), "{given}");
        }
    }
}
