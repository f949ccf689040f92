//! The validators of an upstream's answer: a Last-Modified that is no date is dropped, and a client that has
//! the answer already gets 304 (RFC 9110 §13), as from Apache for CGI.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use crate::message::AnswerHead;
use crate::message::conditional::{Validators, Verdict, evaluate};

/// Fields that a 304 drops (RFC 9110 §15.4.5): it describes no content. `filter::unchanged` drops its type.
const ABOUT_CONTENT: [header::HeaderName; 3] = [
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_RANGE,
];

/// Evaluates the preconditions. Returns the status of the answer, and adapts its fields to it.
pub(super) fn evaluate_preconditions(
    head: &mut AnswerHead,
    method: &Method,
    asked: &HeaderMap,
) -> StatusCode {
    let last_modified = last_modified(&mut head.headers);
    let reads = matches!(*method, Method::GET | Method::HEAD);
    let etag = head.headers.get(header::ETAG);
    // §13.2.1: a precondition applies to an answer that would be 200; other methods were executed.
    if !reads || head.status != StatusCode::OK || (etag.is_none() && last_modified.is_none()) {
        return head.status;
    }
    let validators = Validators {
        etag: etag.cloned(),
        last_modified,
    };
    match evaluate(method, asked, &validators) {
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

/// Normalises Last-Modified as Apache does: dropped where it is no date, and never later than the answer (RFC
/// 9110 §8.8.2.1). It is sent in the form of RFC 9110 §5.6.7, however the script wrote it.
fn last_modified(fields: &mut HeaderMap) -> Option<SystemTime> {
    let value = fields.get(header::LAST_MODIFIED)?;
    let Some(date) = value.to_str().ok().and_then(date) else {
        fields.remove(header::LAST_MODIFIED);
        return None;
    };
    let date = date.min(SystemTime::now());
    let text = httpdate::fmt_http_date(date);
    if text.as_bytes() != value.as_bytes()
        && let Ok(value) = HeaderValue::from_str(&text)
    {
        fields.insert(header::LAST_MODIFIED, value);
    }
    Some(date)
}

/// Parses a date of HTTP, or one of mail (RFC 5322 §3.3) with its offset: `date("r")` of PHP. One before 1970
/// is none: no clock of a server has shown it.
fn date(text: &str) -> Option<SystemTime> {
    let of_http = httpdate::parse_http_date(text).ok();
    of_http.or_else(|| {
        let date = jiff::fmt::rfc2822::parse(text).ok()?;
        let seconds = u64::try_from(date.timestamp().as_second()).ok()?;
        SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(
        method: Method,
        asked: &[(&'static str, &str)],
        answered: &[(&'static str, &str)],
    ) -> (u16, Vec<String>) {
        let fields = |pairs: &[(&'static str, &str)]| -> HeaderMap {
            let pairs = pairs.iter().map(|(name, value)| {
                let name = header::HeaderName::from_static(name);
                (name, HeaderValue::from_str(value).unwrap())
            });
            pairs.collect()
        };
        let mut head = AnswerHead {
            status: StatusCode::OK,
            reason: None,
            headers: fields(answered),
            content_length: None,
        };
        let status = evaluate_preconditions(&mut head, &method, &fields(asked));
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
        for (method, asked, answered, expected) in cases {
            let (status, _) = settled(method.clone(), &asked, &answered);
            assert_eq!(status, expected, "{method} {asked:?} {answered:?}");
        }
        let (_, names) = settled(
            Method::GET,
            &[none],
            &[tag, ("content-encoding", "br"), ("set-cookie", "a=b")],
        );
        assert_eq!(names, ["etag", "set-cookie"]);
    }

    #[test]
    fn a_last_modified_is_sent_as_a_date_of_http() {
        const SENT: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
        for written in [
            SENT,
            "Sun, 06 Nov 1994 08:49:37 +0000",
            "Sun, 06 Nov 1994 09:49:37 +0100",
            "Sat, 05 Nov 1994 21:49:37 -1100",
            "6 Nov 1994 08:49:37 UT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            let mut fields = HeaderMap::new();
            let value = HeaderValue::from_static(written);
            fields.insert(header::LAST_MODIFIED, value);
            let date = last_modified(&mut fields);
            assert_eq!(date, httpdate::parse_http_date(SENT).ok(), "{written}");
            assert_eq!(fields[header::LAST_MODIFIED], SENT, "{written}");
        }
        for none in [
            "",
            "yesterday",
            "Mon, 06 Nov 1994 08:49:37 +0000",
            "Sun, 06 Nov 1994 08:49:37 +9900",
            "Wed, 31 Dec 1969 23:59:59 +0000",
            "1994-11-06T08:49:37Z",
        ] {
            let mut fields = HeaderMap::new();
            fields.insert(header::LAST_MODIFIED, HeaderValue::from_static(none));
            assert_eq!(last_modified(&mut fields), None, "{none}");
            assert!(fields.is_empty(), "{none}");
        }
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
