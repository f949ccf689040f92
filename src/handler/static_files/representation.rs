//! A file as an answer: its fields, and which part of it is sent (RFC 9110 §8, §13, §14).

use std::ops::Range;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};

use super::multipart::{Boundary, Multipart};
use super::{FileContent, FileSettings, types};
use crate::failure::Failure;
use crate::handler::Body;
use crate::message::conditional::{Validators, Verdict, evaluate, if_range_holds, strong_etag};
use crate::message::range::{Ranges, ranges};
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

#[derive(Debug, PartialEq, Eq)]
enum Part {
    /// 200.
    Whole,
    /// 206, from the first to the last byte, both included.
    Range(u64, u64),
    /// 206 in multipart/byteranges, likewise.
    Ranges(Vec<(u64, u64)>),
    /// 416.
    Unsatisfiable,
    /// 304.
    NotModified,
    /// 412.
    PreconditionFailed,
}

impl Representation {
    /// What `request` gets of `file`, which stands at `path`.
    pub fn new(request: &Request, path: &[u8], file: OpenFile, settings: &FileSettings) -> Self {
        let mut description = Description::default();
        let media_type = settings.types.of(path);
        let cache_control = settings.cache_control(path, &media_type);
        let fields = &mut description.fields;
        fields.insert(header::CONTENT_TYPE, media_type);
        fields.insert(
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        );
        let mut new = Self::described(request, path, file, description);
        // Said of a refusal it would keep the refusal in caches.
        let refused = matches!(new.part, Part::Unsatisfiable | Part::PreconditionFailed);
        if let Some(value) = cache_control.filter(|_| !refused) {
            new.fields.insert(header::CACHE_CONTROL, value);
        }
        new
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
            StatusCode::OK => part(&request.method, &request.fields, &fields, file.length),
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
        match self.part {
            Part::Whole => {
                let status = self.status;
                self.span(status, 0..length)
            }
            Part::Range(first, last) => self.single(first, last),
            Part::Ranges(ref parts) => {
                let parts = parts.clone();
                self.several(&parts)
            }
            Part::Unsatisfiable => Ok(self.unsatisfiable()),
            Part::NotModified => Ok(self.not_modified()),
            Part::PreconditionFailed => Ok(self.without_content(StatusCode::PRECONDITION_FAILED)),
        }
    }

    fn single(mut self, first: u64, last: u64) -> Result<Response<Body>, Failure> {
        let value = format!("bytes {first}-{last}/{}", self.file.length);
        set(&mut self.fields, header::CONTENT_RANGE, &value);
        self.span(StatusCode::PARTIAL_CONTENT, first..last + 1)
    }

    fn span(mut self, status: StatusCode, span: Range<u64>) -> Result<Response<Body>, Failure> {
        // hyper would leave it out where a HEAD answer has no body.
        let length = HeaderValue::from(span.end - span.start);
        self.fields.insert(header::CONTENT_LENGTH, length);
        if self.head_only || span.is_empty() {
            return Ok(self.without_content(status));
        }
        let content = FileContent::new(self.file, span);
        let body = content.into_body().map_err(Failure::Disk)?;
        Ok(response(status, self.fields, body))
    }

    fn several(mut self, parts: &[(u64, u64)]) -> Result<Response<Body>, Failure> {
        const UNSENDABLE: Failure = Failure::Internal("the type of several ranges cannot be sent");
        let boundary = Boundary::random();
        let media_type = boundary.media_type().ok_or(UNSENDABLE)?;
        // RFC 9110 §15.3.7.2: each part has its own type and Content-Range, the whole has neither.
        let own = self.fields.insert(header::CONTENT_TYPE, media_type);
        let own = own.as_ref().and_then(|value| value.to_str().ok());
        let own = own.unwrap_or("application/octet-stream");
        let content = Multipart::new(self.file, parts, own, &boundary);
        let length = HeaderValue::from(content.left());
        self.fields.insert(header::CONTENT_LENGTH, length);
        let body = Body::multipart(content);
        Ok(response(StatusCode::PARTIAL_CONTENT, self.fields, body))
    }

    fn unsatisfiable(mut self) -> Response<Body> {
        let value = format!("bytes */{}", self.file.length);
        set(&mut self.fields, header::CONTENT_RANGE, &value);
        self.without_content(StatusCode::RANGE_NOT_SATISFIABLE)
    }

    fn not_modified(mut self) -> Response<Body> {
        // RFC 9110 §15.4.5: no fields of the content that is not sent.
        self.fields.remove(header::CONTENT_TYPE);
        self.without_content(StatusCode::NOT_MODIFIED)
    }

    fn without_content(self, status: StatusCode) -> Response<Body> {
        response(status, self.fields, Body::empty())
    }
}

fn response(status: StatusCode, fields: HeaderMap, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = fields;
    response
}

/// RFC 9110 §13.2.2, in its order: conditions, then If-Range and Range.
fn part(method: &Method, asked: &HeaderMap, fields: &HeaderMap, length: u64) -> Part {
    // A script that was called by another method has done what was asked: conditions come too late.
    if !matches!(*method, Method::GET | Method::HEAD) {
        return Part::Whole;
    }
    let validators = validators(fields);
    match evaluate(method, asked, &validators) {
        Verdict::NotModified => return Part::NotModified,
        Verdict::PreconditionFailed => return Part::PreconditionFailed,
        Verdict::Proceed => {}
    }
    // RFC 9110 §14.2: Range means something for GET alone; §14.3: and where it is accepted.
    let accepted = fields
        .get(header::ACCEPT_RANGES)
        .is_some_and(|value| value == "bytes");
    if *method != Method::GET || !accepted || !if_range_holds(asked, &validators) {
        return Part::Whole;
    }
    match ranges(asked.get(header::RANGE), length) {
        Ranges::Whole => Part::Whole,
        Ranges::Single { first, last } => Part::Range(first, last),
        Ranges::Several(parts) => Part::Ranges(parts),
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
    add(header::CONTENT_TYPE, Some(types::common(path)));
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

fn set(fields: &mut HeaderMap, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        fields.insert(name, value);
    }
}

#[cfg(test)]
mod tests;
