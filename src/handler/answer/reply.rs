//! The response to the client from what the script has answered so far.

use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Version, header};

use super::content::{ScriptContent, Terms};
use super::streaming::Streaming;
use super::validators;
use crate::fastcgi::{Answer, Broken};
use crate::handler::Body;
use crate::handler::fastcgi::attempt::Begun;
use crate::message::lent::lend;

/// An answer that is whole within this size when its head is read goes out with its length.
const SMALL_ANSWER: usize = 64 * 1024;

/// A whole answer above this is charged to its client, which may take nothing of it; and above this on HTTP/2, where a
/// connection may have a hundred of them.
const CHARGED: usize = 16 * 1024;
const CHARGED_ON_STREAM: usize = 1024;

/// How an answer goes to the client.
#[derive(Debug)]
pub(in crate::handler) struct Delivery<'a> {
    /// The method of the request.
    pub(in crate::handler) method: &'a Method,
    /// Its version.
    pub(in crate::handler) version: Version,
    /// Its fields: its preconditions.
    pub(in crate::handler) fields: &'a HeaderMap,
}

/// Why there is no answer.
#[derive(Debug)]
pub(in crate::handler) enum NoReply {
    /// The exchange broke.
    Broken(Broken),
    /// It is whole, and its client has its share of memory and of the spool.
    OverShare,
}

/// The response: whole where the answer is short and already here, else streamed. An exchange
/// that is known to be broken before anything of it was sent is an error, and no part of an answer.
pub(in crate::handler) fn respond(
    mut begun: Box<Begun>,
    delivery: Delivery<'_>,
    terms: Terms,
) -> Result<Response<Body>, NoReply> {
    let status = validators::settle(&mut begun.head, &delivery);
    let own = status == begun.head.status;
    // RFC 9110 §9.3.2, §15.3.5, §15.4.5: no content, whatever the script printed.
    let silent = has_no_content(status, own) || delivery.method == Method::HEAD;
    match read_ready(&mut begun) {
        // What the client gets is all here: how PHP ends after it is no part of the answer.
        Err(_) if silent || has_all(&begun) => {}
        ready => ready.map_err(NoReply::Broken)?,
    }
    let announced = begun.head.content_length;
    let present = begun.rest.len() as u64;
    let whole = begun.exchange.has_ended() && announced.is_none_or(|length| length == present);
    let length = if whole && !silent {
        Some(present)
    } else {
        announced
    };

    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    if let Some(reason) = begun.head.reason.take().filter(|_| own) {
        response.extensions_mut().insert(reason);
    }
    *response.headers_mut() = std::mem::take(&mut begun.head.headers);
    if let Some(length) = length.filter(|_| !has_no_content(status, own)) {
        let value = HeaderValue::from(length);
        response.headers_mut().insert(header::CONTENT_LENGTH, value);
    }
    let trace = std::mem::take(&mut begun.trace);
    *response.body_mut() = match (silent, whole) {
        (true, _) => {
            abandon(begun);
            Body::empty()
        }
        (false, true) => {
            drop(begun.exchange.into_upload());
            whole_body(begun.rest.join(), delivery.version, terms)?
        }
        (false, false) => Body::script(ScriptContent::start(streaming(begun), terms)),
    };
    response.body_mut().trace = trace;
    Ok(response)
}

/// Its memory is the client's until it has taken it; without a share of that it goes to the spool.
fn whole_body(content: Bytes, version: Version, terms: Terms) -> Result<Body, NoReply> {
    let uncharged = match version {
        Version::HTTP_2 => CHARGED_ON_STREAM,
        _ => CHARGED,
    };
    if content.len() <= uncharged {
        return Ok(Body::bytes(content));
    }
    if let Some(part) = terms.charged(content.len()) {
        return Ok(Body::bytes(lend(content, part)));
    }
    let stored = ScriptContent::stored(content, terms);
    stored.map(Body::script).ok_or(NoReply::OverShare)
}

/// A precondition that failed is told without the content that was not wanted, unless it is the script's `own` word.
fn has_no_content(status: StatusCode, own: bool) -> bool {
    matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
        || (status == StatusCode::PRECONDITION_FAILED && !own)
}

/// Lets the script come to its end by itself; nobody gets what it prints.
pub(in crate::handler) fn abandon(begun: Box<Begun>) {
    streaming(begun).finish();
}

fn streaming(begun: Box<Begun>) -> Streaming {
    let announced = begun.head.content_length;
    Streaming::new(begun.exchange, begun.rest, announced, begun.errors)
}

/// Takes what is there without waiting for more.
fn read_ready(begun: &mut Begun) -> Result<(), Broken> {
    while !begun.exchange.has_ended() && begun.rest.len() < SMALL_ANSWER {
        match begun.exchange.answer().now_or_never() {
            Some(Some(Ok(Answer::Stdout(piece)))) => begun.rest.push(piece),
            Some(Some(Ok(Answer::Stderr(piece)))) => {
                if begun.errors.push(piece).now_or_never().is_none() {
                    break;
                }
            }
            Some(Some(Ok(Answer::End { app_status, .. }))) => begun.errors.end(app_status),
            Some(Some(Err(broken))) => return Err(broken),
            Some(None) | None => break,
        }
    }
    Ok(())
}

/// Whether every byte that the script announced has come.
fn has_all(begun: &Begun) -> bool {
    let present = begun.rest.len() as u64;
    begun
        .head
        .content_length
        .is_some_and(|length| length <= present)
}
