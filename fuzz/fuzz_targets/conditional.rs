//! Preconditions: what RFC 9110 §13 says of any fields. An input is field lines, as `If-Match: "a"`.
#![no_main]

use std::time::{Duration, SystemTime};

use fcgate::message::conditional::{Validators, Verdict, evaluate, if_range_holds, strong_etag};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let headers = fields(bytes);
    let modified = SystemTime::UNIX_EPOCH + Duration::from_millis(784_111_777_500);
    let known = Validators {
        etag: Some(HeaderValue::from_static("\"a\"")),
        last_modified: Some(modified),
    };
    for validators in [known, Validators::default()] {
        means_what_it_may(&headers, &validators);
    }
    own_tag_matches(headers, modified);
});

fn fields(bytes: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in bytes.split(|byte| *byte == b'\n').take(64) {
        let colon = line.iter().position(|byte| *byte == b':');
        let Some((name, value)) = colon.map(|colon| line.split_at(colon)) else {
            continue;
        };
        let value = HeaderValue::from_bytes(value[1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), value) {
            headers.append(name, value);
        }
    }
    headers
}

fn means_what_it_may(headers: &HeaderMap, validators: &Validators) {
    let has = |name| headers.contains_key(name);
    let read = evaluate(&Method::GET, headers, validators);
    let written = evaluate(&Method::PUT, headers, validators);
    assert_eq!(read, evaluate(&Method::HEAD, headers, validators));
    // §13.2.2: 304 answers reading only, and only to the second kind of precondition.
    assert_ne!(written, Verdict::NotModified);
    if read == Verdict::NotModified {
        assert!(has(header::IF_NONE_MATCH) || has(header::IF_MODIFIED_SINCE));
    }
    let acts = has(header::IF_MATCH) || has(header::IF_UNMODIFIED_SINCE);
    if read == Verdict::PreconditionFailed {
        assert!(acts);
        assert_eq!(written, read);
    }
    if written == Verdict::PreconditionFailed {
        assert!(acts || has(header::IF_NONE_MATCH));
    }
    assert!(has(header::IF_RANGE) || if_range_holds(headers, validators));
}

/// A tag that we gave out is found again, whatever else is said.
fn own_tag_matches(mut headers: HeaderMap, modified: SystemTime) {
    let length = u64::try_from(headers.len()).unwrap_or(0);
    let etag = strong_etag(length, modified);
    let validators = Validators {
        etag: Some(etag.clone()),
        last_modified: Some(modified),
    };
    headers.insert(header::IF_RANGE, etag.clone());
    assert!(if_range_holds(&headers, &validators));
    headers.insert(header::IF_MATCH, etag.clone());
    headers.insert(header::IF_NONE_MATCH, etag);
    let verdict = |method| evaluate(&method, &headers, &validators);
    assert_eq!(verdict(Method::GET), Verdict::NotModified);
    assert_eq!(verdict(Method::PUT), Verdict::PreconditionFailed);
}
