//! The validators of a script's answer: what is no date is not passed on, and a client that has the
//! answer already is told so (RFC 9110 §13), as Apache does for CGI.

use std::time::SystemTime;

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use super::reply::Delivery;
use crate::cgi::response::ScriptHead;
use crate::message::conditional::{Validators, Verdict, evaluate};

/// What a 304 does not say (RFC 9110 §15.4.5): it describes no content. Its type is taken away by
/// `filter::unchanged`.
const ABOUT_CONTENT: [header::HeaderName; 3] = [
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_RANGE,
];

/// The status that the answer gets; its fields are made to fit.
pub(super) fn settle(head: &mut ScriptHead, delivery: &Delivery<'_>) -> StatusCode {
    let last_modified = last_modified(&mut head.headers);
    let reads = matches!(*delivery.method, Method::GET | Method::HEAD);
    let etag = head.headers.get(header::ETAG);
    // §13.2.1: a precondition is about an answer that would be 200; other methods were executed.
    if !reads || head.status != StatusCode::OK || (etag.is_none() && last_modified.is_none()) {
        return head.status;
    }
    let validators = Validators {
        etag: etag.cloned(),
        last_modified,
    };
    match evaluate(delivery.method, delivery.fields, &validators) {
        Verdict::Proceed => StatusCode::OK,
        Verdict::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
        Verdict::NotModified => {
            for name in &ABOUT_CONTENT {
                head.headers.remove(name);
            }
            StatusCode::NOT_MODIFIED
        }
    }
}

/// Last-Modified, as Apache mends it: dropped where it is no date, and never later than the answer
/// (RFC 9110 §8.8.2.1).
fn last_modified(fields: &mut HeaderMap) -> Option<SystemTime> {
    let value = fields.get(header::LAST_MODIFIED)?;
    let date = value.to_str().ok();
    let date = date.and_then(|text| httpdate::parse_http_date(text).ok());
    let now = SystemTime::now();
    match date {
        Some(date) if date <= now => Some(date),
        Some(_) => {
            if let Ok(value) = HeaderValue::from_str(&httpdate::fmt_http_date(now)) {
                fields.insert(header::LAST_MODIFIED, value);
            }
            Some(now)
        }
        None => {
            fields.remove(header::LAST_MODIFIED);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(
        method: Method,
        asked: &[(&'static str, &str)],
        said: &[(&'static str, &str)],
    ) -> (u16, Vec<String>) {
        let fields = |pairs: &[(&'static str, &str)]| -> HeaderMap {
            let pairs = pairs.iter().map(|(name, value)| {
                let name = header::HeaderName::from_static(name);
                (name, HeaderValue::from_str(value).unwrap())
            });
            pairs.collect()
        };
        let mut head = ScriptHead {
            status: StatusCode::OK,
            headers: fields(said),
            content_length: None,
        };
        let delivery = Delivery {
            method: &method,
            fields: &fields(asked),
            buffer: None,
        };
        let status = settle(&mut head, &delivery);
        let names = head.headers.keys().map(ToString::to_string).collect();
        (status.as_u16(), names)
    }

    #[test]
    fn who_has_the_answer_is_told_so() {
        const OLD: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
        let tag = ("etag", "\"a\"");
        let none = ("if-none-match", "\"a\"");
        let cases = [
            (Method::GET, vec![none], vec![tag], 304),
            (Method::HEAD, vec![none], vec![tag], 304),
            (Method::POST, vec![none], vec![tag], 200),
            (
                Method::GET,
                vec![("if-none-match", "W/\"a\"")],
                vec![tag],
                304,
            ),
            (
                Method::GET,
                vec![("if-none-match", "\"b\"")],
                vec![tag],
                200,
            ),
            (Method::GET, vec![("if-none-match", "*")], vec![], 200),
            (Method::GET, vec![("if-match", "\"b\"")], vec![tag], 412),
            (
                Method::GET,
                vec![("if-modified-since", OLD)],
                vec![("last-modified", OLD)],
                304,
            ),
            (
                Method::GET,
                vec![("if-modified-since", OLD)],
                vec![("last-modified", "yesterday")],
                200,
            ),
            (Method::GET, vec![], vec![tag], 200),
        ];
        for (method, asked, said, expected) in cases {
            let (status, _) = settled(method.clone(), &asked, &said);
            assert_eq!(status, expected, "{method} {asked:?} {said:?}");
        }
        let (_, names) = settled(
            Method::GET,
            &[none],
            &[tag, ("content-encoding", "br"), ("set-cookie", "a=b")],
        );
        assert_eq!(names, ["etag", "set-cookie"]);
    }

    #[test]
    fn a_last_modified_that_is_no_past_date_is_mended() {
        let (_, names) = settled(Method::GET, &[], &[("last-modified", "yesterday")]);
        assert_eq!(names, [] as [&str; 0]);
        let mut fields = HeaderMap::new();
        let future = HeaderValue::from_static("Fri, 31 Dec 9999 23:59:59 GMT");
        fields.insert(header::LAST_MODIFIED, future.clone());
        assert!(last_modified(&mut fields).unwrap() <= SystemTime::now());
        assert_ne!(fields[header::LAST_MODIFIED], future);
    }
}
