//! A file as an answer: its fields, and the part of it that is sent (RFC 9110 §8, §13, §14).

use std::ops::Range;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};

use super::content::Prepared;
use super::multipart::{Boundary, Multipart, UNKNOWN};
use super::{FileContent, FileSettings, types};
use crate::failure::Failure;
use crate::handler::body::Body;
use crate::handler::origin::Maker;
use crate::message::conditional::{Validators, Verdict, evaluate, if_range_holds, strong_etag};
use crate::message::range::{Ranges, ranges};
use crate::message::{CachedHead, OpenFile, Request};

/// A file and the part of it that the client gets.
#[derive(Debug)]
pub struct Representation {
    file: Arc<OpenFile>,
    /// The status of an answer with the whole file.
    status: StatusCode,
    fields: HeaderMap,
    part: Part,
    head_only: bool,
    /// Content-Length among `fields`.
    announced: Option<u64>,
}

/// Status and fields from a script for a file that it leaves to the gateway. They take precedence over those of the file,
/// its ETag and Last-Modified also for conditions and If-Range.
#[derive(Debug, Default)]
pub struct Description {
    /// The status; ranges and conditions apply to 200 alone.
    pub status: StatusCode,
    /// The fields, without those that frame content or name a part of it.
    pub fields: HeaderMap,
}

#[derive(Debug, PartialEq, Eq)]
enum Part {
    /// 200: all of the file.
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
    /// Builds the answer to `request` for the `file` at `path`.
    pub fn new(
        request: &Request,
        path: &[u8],
        file: Arc<OpenFile>,
        settings: &FileSettings,
    ) -> Self {
        let head = cached_head(path, &file, settings);
        let (method, asked) = (&request.method, &request.fields);
        let part = ranged(method, asked, &head.validators, file.length);
        let (mut fields, announced) = if part == Part::NotModified {
            (head.unchanged().clone(), None)
        } else {
            (head.fields.clone(), Some(file.length))
        };
        // With it, caches would keep the refusal.
        if matches!(part, Part::Unsatisfiable | Part::PreconditionFailed) {
            fields.remove(header::CACHE_CONTROL);
        }
        Self {
            file,
            status: StatusCode::OK,
            fields,
            part,
            head_only: request.method == Method::HEAD,
            announced,
        }
    }

    /// Builds the answer for a file that a script has described.
    pub fn described(
        request: &Request,
        path: &[u8],
        file: Arc<OpenFile>,
        description: Description,
    ) -> Self {
        let Description { status, mut fields } = description;
        complete(&mut fields, path, &file);
        // RFC 9110 §13.2.1: conditions are ignored if the status without them is neither 2xx nor 412.
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
            announced: None,
        }
    }

    /// Builds the response; reads small files at once.
    pub async fn into_response(self) -> Result<Response<Body>, Failure> {
        let file = Arc::clone(&self.file);
        let (status, fields, content) = self.settle()?;
        let body = match content {
            Content::None => Body::empty().by(Maker::File),
            Content::Span(span) => {
                let content = FileContent::new(file, span);
                match content.prepare().await.map_err(Failure::Disk)? {
                    Prepared::Read(bytes) => Body::bytes(bytes).by(Maker::File),
                    Prepared::Sent(file) => Body::file(file),
                }
            }
            Content::Parts(parts) => Body::multipart(parts),
        };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = fields;
        Ok(response)
    }

    /// Builds the response without its content.
    pub fn into_head(self) -> Result<(StatusCode, HeaderMap), Failure> {
        self.settle().map(|(status, fields, _)| (status, fields))
    }

    fn settle(mut self) -> Result<(StatusCode, HeaderMap, Content), Failure> {
        let length = self.file.length;
        let part = std::mem::replace(&mut self.part, Part::Whole);
        let (status, content) = match part {
            Part::Whole => (self.status, self.span(0..length)),
            Part::Range(first, last) => {
                let value = format!("bytes {first}-{last}/{length}");
                set(&mut self.fields, header::CONTENT_RANGE, &value);
                (StatusCode::PARTIAL_CONTENT, self.span(first..last + 1))
            }
            Part::Ranges(parts) => (StatusCode::PARTIAL_CONTENT, self.several(&parts)?),
            Part::Unsatisfiable => {
                let value = format!("bytes */{length}");
                set(&mut self.fields, header::CONTENT_RANGE, &value);
                self.announce(None);
                (StatusCode::RANGE_NOT_SATISFIABLE, Content::None)
            }
            Part::NotModified => (StatusCode::NOT_MODIFIED, Content::None),
            Part::PreconditionFailed => {
                self.announce(None);
                (StatusCode::PRECONDITION_FAILED, Content::None)
            }
        };
        Ok((status, self.fields, content))
    }

    fn span(&mut self, span: Range<u64>) -> Content {
        // hyper would leave it out where a HEAD answer has no body.
        self.announce(Some(span.end - span.start));
        if self.head_only || span.is_empty() {
            Content::None
        } else {
            Content::Span(span)
        }
    }

    fn several(&mut self, parts: &[(u64, u64)]) -> Result<Content, Failure> {
        const UNSENDABLE: Failure =
            Failure::Internal("the Content-Type of several ranges is not a field value");
        let boundary = Boundary::random();
        let media_type = boundary.media_type().ok_or(UNSENDABLE)?;
        // RFC 9110 §15.3.7.2: each part has its own type and Content-Range, the whole has neither.
        let replaced = self.fields.insert(header::CONTENT_TYPE, media_type);
        let part_type = replaced.unwrap_or(HeaderValue::from_static(UNKNOWN));
        let content = Multipart::new(Arc::clone(&self.file), parts, part_type, &boundary);
        self.announce(Some(content.left()));
        Ok(Content::Parts(Box::new(content)))
    }

    /// Sets Content-Length; that of the whole file is among the cached fields.
    fn announce(&mut self, length: Option<u64>) {
        match length {
            _ if self.announced == length => {}
            Some(length) => {
                let length = HeaderValue::from(length);
                self.fields.insert(header::CONTENT_LENGTH, length);
            }
            None => drop(self.fields.remove(header::CONTENT_LENGTH)),
        }
        self.announced = length;
    }
}

/// The bytes of the file that are sent.
enum Content {
    None,
    Span(Range<u64>),
    Parts(Box<Multipart>),
}

/// Returns the fields of a file under `settings`, computed once for each version of it.
fn cached_head(path: &[u8], file: &OpenFile, settings: &FileSettings) -> Arc<CachedHead> {
    if let Some(head) = file.cached_head(&settings.handler_id) {
        return head;
    }
    let mut fields = HeaderMap::new();
    let media_type = settings.types.of(path);
    let cache_control = settings.cache_control(path, &media_type);
    fields.insert(header::CONTENT_TYPE, media_type);
    fields.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    complete(&mut fields, path, file);
    if let Some(value) = cache_control {
        fields.insert(header::CACHE_CONTROL, value);
    }
    fields.insert(header::CONTENT_LENGTH, HeaderValue::from(file.length));
    let head = Arc::new(CachedHead {
        handler: Arc::clone(&settings.handler_id),
        validators: validators(&fields),
        fields,
        unchanged: OnceLock::new(),
    });
    if let Some(cache) = &file.cache {
        cache.head.store(Some(Arc::clone(&head)));
    }
    head
}

/// Returns the part of a file with these `fields` that is sent.
fn part(method: &Method, asked: &HeaderMap, fields: &HeaderMap, length: u64) -> Part {
    let validators = validators(fields);
    // RFC 9110 §14.3.
    let accepts = fields.get(header::ACCEPT_RANGES);
    if accepts.is_some_and(|value| value == "bytes") {
        ranged(method, asked, &validators, length)
    } else {
        without_ranges(method, asked, &validators)
    }
}

/// Evaluates conditions, then If-Range and Range, in the order of RFC 9110 §13.2.2.
fn ranged(method: &Method, asked: &HeaderMap, validators: &Validators, length: u64) -> Part {
    let part = without_ranges(method, asked, validators);
    // RFC 9110 §14.2: Range is defined for GET alone.
    let range = asked.get(header::RANGE).filter(|_| *method == Method::GET);
    if part != Part::Whole || range.is_none() || !if_range_holds(asked, validators) {
        return part;
    }
    match ranges(range, length) {
        Ranges::Whole => Part::Whole,
        Ranges::Single { first, last } => Part::Range(first, last),
        Ranges::Several(parts) => Part::Ranges(parts),
        Ranges::Unsatisfiable => Part::Unsatisfiable,
    }
}

/// Evaluates conditions and ignores Range.
fn without_ranges(method: &Method, asked: &HeaderMap, validators: &Validators) -> Part {
    // A script that was called by another method has already acted: conditions come too late.
    if !matches!(*method, Method::GET | Method::HEAD) {
        return Part::Whole;
    }
    match evaluate(method, asked, validators) {
        Verdict::NotModified => Part::NotModified,
        Verdict::PreconditionFailed => Part::PreconditionFailed,
        Verdict::Proceed => Part::Whole,
    }
}

/// Returns the validators among `fields`. A date has no fraction of a second, and comparisons ignore it anyway.
fn validators(fields: &HeaderMap) -> Validators {
    let date = fields
        .get(header::LAST_MODIFIED)
        .and_then(|value| value.to_str().ok());
    Validators {
        etag: fields.get(header::ETAG).cloned(),
        last_modified: date.and_then(|text| httpdate::parse_http_date(text).ok()),
    }
}

/// Adds the fields of every file that are missing.
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

/// Formats a time, never later than the message (RFC 9110 §8.8.2.1); `None` outside the years that httpdate can write.
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

mod variant;

fn set(fields: &mut HeaderMap, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        fields.insert(name, value);
    }
}

#[cfg(test)]
mod tests;
