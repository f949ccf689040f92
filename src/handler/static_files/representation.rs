//! A file as an answer: its fields, and which part of it is sent (RFC 9110 §8, §13, §14).

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};

use super::FileContent;
use crate::failure::Failure;
use crate::handler::Body;
use crate::message::conditional::{Validators, Verdict, evaluate, if_range_holds, strong_etag};
use crate::message::range::{Ranges, single};
use crate::message::{OpenFile, Request};

/// A file and what of it the client gets.
#[derive(Debug)]
pub struct Representation {
    file: OpenFile,
    /// Of an answer that is whole.
    status: StatusCode,
    fields: HeaderMap,
    part: Part,
    head_only: bool,
}

/// What a script has said of a file that it leaves to the gateway. What it did not say is said as
/// of any file; what it said wins, its ETag and Last-Modified for conditions and If-Range too.
#[derive(Debug, Default)]
pub struct Description {
    /// The status; ranges and conditions have a meaning for 200 alone.
    pub status: StatusCode,
    /// The fields; none that frames content or says which part of it is sent.
    pub fields: HeaderMap,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// 200.
    Whole,
    /// 206, from the first to the last byte, both included.
    Range(u64, u64),
    /// 416.
    Unsatisfiable,
    /// 304.
    NotModified,
    /// 412.
    PreconditionFailed,
}

impl Representation {
    /// What `request` gets of `file`, whose type follows from `path`.
    pub fn new(request: &Request, path: &[u8], file: OpenFile) -> Self {
        Self::described(request, path, file, Description::default())
    }

    /// The same of a file that a script has described.
    pub fn described(
        request: &Request,
        path: &[u8],
        file: OpenFile,
        description: Description,
    ) -> Self {
        let Description { status, mut fields } = description;
        complete(&mut fields, path, &file);
        // RFC 9110 §13.2.1: conditions on what would be another answer are ignored.
        let part = match status {
            StatusCode::OK => part(request, &fields, file.length),
            _ => Part::Whole,
        };
        Self {
            file,
            status,
            fields,
            part,
            head_only: request.method == Method::HEAD,
        }
    }

    /// The response; small files are read at once.
    pub fn into_response(self) -> Result<Response<Body>, Failure> {
        let length = self.file.length;
        let (status, span) = match self.part {
            Part::Whole => (self.status, 0..length),
            Part::Range(first, last) => (StatusCode::PARTIAL_CONTENT, first..last + 1),
            Part::Unsatisfiable => (StatusCode::RANGE_NOT_SATISFIABLE, 0..0),
            Part::NotModified => (StatusCode::NOT_MODIFIED, 0..0),
            Part::PreconditionFailed => (StatusCode::PRECONDITION_FAILED, 0..0),
        };
        let mut fields = self.fields;
        match self.part {
            Part::Range(first, last) => set(
                &mut fields,
                header::CONTENT_RANGE,
                &format!("bytes {first}-{last}/{length}"),
            ),
            Part::Unsatisfiable => set(
                &mut fields,
                header::CONTENT_RANGE,
                &format!("bytes */{length}"),
            ),
            // RFC 9110 §15.4.5: no fields of the content that is not sent.
            Part::NotModified => drop(fields.remove(header::CONTENT_TYPE)),
            Part::Whole | Part::PreconditionFailed => {}
        }
        if matches!(self.part, Part::Whole | Part::Range(..)) {
            // hyper would leave it out where a HEAD answer has no body.
            fields.insert(
                header::CONTENT_LENGTH,
                HeaderValue::from(span.end - span.start),
            );
        }
        let body = if self.head_only || span.is_empty() {
            Body::empty()
        } else {
            FileContent::new(self.file, span)
                .into_body()
                .map_err(Failure::Disk)?
        };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = fields;
        Ok(response)
    }
}

/// RFC 9110 §13.2.2, in its order: conditions, then If-Range and Range.
fn part(request: &Request, fields: &HeaderMap, length: u64) -> Part {
    // A script that was called by another method has done what was asked: conditions come too late.
    if !matches!(request.method, Method::GET | Method::HEAD) {
        return Part::Whole;
    }
    let validators = validators(fields);
    match evaluate(&request.method, &request.fields, &validators) {
        Verdict::NotModified => return Part::NotModified,
        Verdict::PreconditionFailed => return Part::PreconditionFailed,
        Verdict::Proceed => {}
    }
    // RFC 9110 §14.2: Range means something for GET alone; §14.3: and where it is accepted.
    let accepted = fields
        .get(header::ACCEPT_RANGES)
        .is_some_and(|value| value == "bytes");
    if request.method != Method::GET || !accepted || !if_range_holds(&request.fields, &validators) {
        return Part::Whole;
    }
    match single(request.fields.get(header::RANGE), length) {
        Ranges::Whole => Part::Whole,
        Ranges::Single { first, last } => Part::Range(first, last),
        Ranges::Unsatisfiable => Part::Unsatisfiable,
    }
}

/// What the answer says of the file, by whomever it was said; the fraction of a second, which a
/// date has no place for, does not count in comparisons anyway.
fn validators(fields: &HeaderMap) -> Validators {
    let date = fields
        .get(header::LAST_MODIFIED)
        .and_then(|value| value.to_str().ok());
    Validators {
        etag: fields.get(header::ETAG).cloned(),
        last_modified: date.and_then(|text| httpdate::parse_http_date(text).ok()),
    }
}

/// Adds what is to be said of every file and is not said yet.
fn complete(fields: &mut HeaderMap, path: &[u8], file: &OpenFile) {
    fields.reserve(8);
    let mut add = |name, value: Option<HeaderValue>| {
        if let (header::Entry::Vacant(entry), Some(value)) = (fields.entry(name), value) {
            entry.insert(value);
        }
    };
    add(header::CONTENT_TYPE, Some(media_type(path)));
    add(
        header::ACCEPT_RANGES,
        Some(HeaderValue::from_static("bytes")),
    );
    add(header::ETAG, Some(strong_etag(file.length, file.modified)));
    add(header::LAST_MODIFIED, http_date(file.modified));
}

/// RFC 9110 §8.8.2.1: never later than the message; and httpdate can only write some years.
fn http_date(time: SystemTime) -> Option<HeaderValue> {
    let now = SystemTime::now();
    let time = time.min(now);
    let writable = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .is_ok_and(|age| age < Duration::from_secs(253_402_300_800));
    writable
        .then(|| HeaderValue::from_str(&httpdate::fmt_http_date(time)).ok())
        .flatten()
}

/// The type by extension; text is UTF-8 since nothing else has been written for long.
fn media_type(path: &[u8]) -> HeaderValue {
    let name =
        String::from_utf8_lossy(path.rsplit(|byte| *byte == b'/').next().unwrap_or_default());
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    // The table of mime_guess is older than the registrations of these.
    let known = match extension.to_ascii_lowercase().as_str() {
        "js" | "mjs" => Some("text/javascript"),
        "webp" => Some("image/webp"),
        "avif" => Some("image/avif"),
        "wasm" => Some("application/wasm"),
        "webmanifest" => Some("application/manifest+json"),
        _ => mime_guess::from_ext(extension).first_raw(),
    };
    let essence = known.unwrap_or("application/octet-stream");
    let text = essence.starts_with("text/")
        || matches!(
            essence,
            "application/json" | "application/xml" | "application/manifest+json"
        );
    let full = if text {
        format!("{essence}; charset=utf-8")
    } else {
        essence.to_owned()
    };
    HeaderValue::from_str(&full)
        .unwrap_or_else(|_| HeaderValue::from_static("application/octet-stream"))
}

fn set(fields: &mut HeaderMap, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        fields.insert(name, value);
    }
}
