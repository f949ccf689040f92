//! The head of an answer, whichever upstream gave it.

use http::{HeaderMap, StatusCode};
use hyper::ext::ReasonPhrase;

/// A complete head, ready to be forwarded.
#[derive(Debug)]
pub struct AnswerHead {
    /// The status, 200 to 599; or 100, 102 or 103, and another head follows.
    pub status: StatusCode,
    /// The upstream's own words behind its status, where they are not the usual ones.
    pub reason: Option<ReasonPhrase>,
    /// The fields to forward, repeated ones in their order. Never among them: `Content-Length`, an empty `Content-Type`
    /// and hop-by-hop fields; those that have one value are there once at most.
    pub headers: HeaderMap,
    /// The length that is promised for the content. `None` if there is no promise, or no number in it.
    pub content_length: Option<u64>,
}
