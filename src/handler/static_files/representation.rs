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
    fields: HeaderMap,
    part: Part,
    head_only: bool,
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
        let validators = Validators {
            etag: Some(strong_etag(file.length, file.modified)),
            last_modified: Some(file.modified),
        };
        let part = part(request, &file, &validators);
        Self {
            fields: fields(path, &validators),
            file,
            part,
            head_only: request.method == Method::HEAD,
        }
    }

    /// The response; small files are read at once.
    pub fn into_response(self) -> Result<Response<Body>, Failure> {
        let length = self.file.length;
        let (status, span) = match self.part {
            Part::Whole => (StatusCode::OK, 0..length),
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
fn part(request: &Request, file: &OpenFile, validators: &Validators) -> Part {
    match evaluate(&request.method, &request.fields, validators) {
        Verdict::NotModified => return Part::NotModified,
        Verdict::PreconditionFailed => return Part::PreconditionFailed,
        Verdict::Proceed => {}
    }
    // RFC 9110 §14.2: Range means something for GET alone.
    if request.method != Method::GET || !if_range_holds(&request.fields, validators) {
        return Part::Whole;
    }
    match single(request.fields.get(header::RANGE), file.length) {
        Ranges::Whole => Part::Whole,
        Ranges::Single { first, last } => Part::Range(first, last),
        Ranges::Unsatisfiable => Part::Unsatisfiable,
    }
}

fn fields(path: &[u8], validators: &Validators) -> HeaderMap {
    let mut fields = HeaderMap::with_capacity(8);
    fields.insert(header::CONTENT_TYPE, media_type(path));
    fields.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if let Some(etag) = &validators.etag {
        fields.insert(header::ETAG, etag.clone());
    }
    if let Some(date) = validators.last_modified.and_then(http_date) {
        fields.insert(header::LAST_MODIFIED, date);
    }
    fields
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
