//! The head of a response, independent of its upstream.

use http::{HeaderMap, StatusCode};
use hyper::ext::ReasonPhrase;

/// A complete head, ready to be forwarded.
#[derive(Debug)]
pub struct AnswerHead {
    /// The status, 200 to 599; after 100, 102 or 103 another head follows.
    pub status: StatusCode,
    /// The upstream's reason phrase, where it differs from the registered one.
    pub reason: Option<ReasonPhrase>,
    /// The fields to forward, repeated ones in their order, without `Content-Length`, an empty `Content-Type` and
    /// hop-by-hop fields; single-valued fields occur at most once.
    pub headers: HeaderMap,
    /// The announced length of the content; `None` without a numeric Content-Length.
    pub content_length: Option<u64>,
}
