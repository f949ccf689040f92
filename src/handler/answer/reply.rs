//! The response to the client, made from the head of an upstream's answer.

use std::future::poll_fn;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderValue, Method, Response, StatusCode, Version, header};
use tokio::time::Instant;

use super::content::UpstreamContent;
use super::incoming::{Incoming, StartedAnswer};
use super::orders::Orders;
use super::streaming::Streaming;
use super::terms::{Settings, Terms};
use super::validators;
use crate::failure::Failure;
use crate::handler::body::Body;
use crate::limits::budget::Owner;
use crate::limits::per_client::TooManyLive;
use crate::message::charged_bytes::charge_bytes;
use crate::message::status::has_content;
use crate::message::{Disk, Request};

/// Limit on an answer that is sent with its length because it is complete when its head is read.
const SMALL_ANSWER: usize = 64 * 1024;

/// Limit above which a complete answer is charged to its client, which may take nothing of it; a lower one
/// applies to HTTP/2, where a connection may have a hundred of them.
const CHARGED: usize = 16 * 1024;
const CHARGED_ON_STREAM: usize = 1024;

/// A request with the beginning of its answer.
#[derive(Clone, Copy, Debug)]
pub struct Reply<'a> {
    /// The handler's settings for answers.
    pub settings: &'a Arc<Settings>,
    /// The request.
    pub request: &'a Request,
    /// The owner of the memory and of the spool.
    pub owner: Owner,
    /// The upstream, for the log.
    pub upstream: &'a str,
    /// The script or the path at the upstream, for the log.
    pub script: &'a [u8],
}

/// Reason for an answer that is not sent.
#[derive(Debug)]
pub enum ReplyError<B> {
    /// The exchange broke before any byte was sent.
    Broken(B),
    /// The gateway refused it.
    Failed(Failure),
}

impl Reply<'_> {
    /// Returns the response: complete if the answer is short and already here, else streamed. Follows the
    /// upstream's orders, which may name a file on `disk`.
    pub async fn respond<I: Incoming>(
        self,
        mut started: Box<StartedAnswer<I>>,
        disk: &dyn Disk,
    ) -> Result<Response<Body>, ReplyError<I::Broken>>
    where
        Body: From<UpstreamContent<I>>,
    {
        let orders = Orders::take(&mut started.head.headers);
        // A status without content excludes a file too.
        if has_content(started.head.status) {
            if let Some(named) = self.settings.send_file.named(&orders) {
                return Ok(Box::pin(self.send_file(named, started, disk)).await?);
            }
            self.log_unconfigured_field(&orders);
        }
        let terms = self.terms(&orders, started.incoming.deadline())?;
        deliver(started, self.request, terms)
    }

    /// Returns the terms of the answer. A live one is sent piece by piece and never stored.
    fn terms(&self, orders: &Orders, deadline: Option<Instant>) -> Result<Terms, Failure> {
        let settings = self.settings;
        let live = if orders.is_live {
            let most = settings.live_streams.most();
            let stream = settings.live_streams.begin(self.owner.party);
            Some(stream.ok_or(TooManyLive { most })?)
        } else {
            None
        };
        Ok(Terms {
            settings: Arc::clone(settings),
            owner: self.owner,
            limit: live.as_ref().map_or(settings.response_buffer, |_| 0),
            deadline,
            _live: live,
        })
    }
}

impl<B> From<Failure> for ReplyError<B> {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Builds the response. An exchange that breaks before any byte is sent is a failure, not a part of an answer.
fn deliver<I: Incoming>(
    mut started: Box<StartedAnswer<I>>,
    request: &Request,
    terms: Terms,
) -> Result<Response<Body>, ReplyError<I::Broken>>
where
    Body: From<UpstreamContent<I>>,
{
    let status =
        validators::evaluate_preconditions(&mut started.head, &request.method, &request.fields);
    let own = status == started.head.status;
    // The content is dropped when a precondition fails, unless the upstream itself sent 412.
    let is_empty = !has_content(status) || (status == StatusCode::PRECONDITION_FAILED && !own);
    // RFC 9110 §9.3.2: an answer to HEAD has no content, whatever the upstream sends.
    let silent = is_empty || request.method == Method::HEAD;
    match read_ready(&mut started) {
        // The client's part is complete: the further course of PHP does not concern it.
        Err(_) if silent || has_all(&started) => {}
        ready => ready.map_err(ReplyError::Broken)?,
    }
    let announced = started.head.content_length;
    let present = started.rest.len() as u64;
    let whole = started.incoming.has_ended() && announced.is_none_or(|length| length == present);
    let length = if whole && !silent {
        Some(present)
    } else {
        announced
    };

    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    if let Some(reason) = started.head.reason.take().filter(|_| own) {
        response.extensions_mut().insert(reason);
    }
    *response.headers_mut() = std::mem::take(&mut started.head.headers);
    if let Some(length) = length.filter(|_| !is_empty) {
        let value = HeaderValue::from(length);
        response.headers_mut().insert(header::CONTENT_LENGTH, value);
    }
    let trace = std::mem::take(&mut started.trace);
    *response.body_mut() = match (silent, whole) {
        (true, _) => {
            abandon(started);
            Body::empty().by(I::MAKER)
        }
        (false, true) => {
            started.incoming.linger();
            whole_body::<I>(started.rest.join(), request.version, terms)?
        }
        (false, false) => UpstreamContent::start(streaming(started), terms).into(),
    };
    response.body_mut().trace = trace;
    Ok(response)
}

/// Returns a body with the complete content. Its memory is charged to the client until it is sent; without a
/// share the content goes to the spool.
fn whole_body<I: Incoming>(content: Bytes, version: Version, terms: Terms) -> Result<Body, Failure>
where
    Body: From<UpstreamContent<I>>,
{
    let uncharged = match version {
        Version::HTTP_2 => CHARGED_ON_STREAM,
        _ => CHARGED,
    };
    if content.len() <= uncharged {
        return Ok(Body::bytes(content).by(I::MAKER));
    }
    if let Some(part) = terms.charged(content.len()) {
        return Ok(Body::bytes(charge_bytes(content, part)).by(I::MAKER));
    }
    let stored = UpstreamContent::stored(content, terms);
    stored.map(Body::from).ok_or(Failure::AnswerShare)
}

/// Lets the upstream finish on its own and discards its output.
pub(super) fn abandon<I: Incoming>(started: Box<StartedAnswer<I>>) {
    streaming(started).finish();
}

#[expect(
    clippy::boxed_local,
    reason = "its parts move from where they are, and the whole of it never"
)]
fn streaming<I: Incoming>(started: Box<StartedAnswer<I>>) -> Streaming<I> {
    let announced = started.head.content_length;
    Streaming::new(started.incoming, started.rest, announced)
}

/// Reads the pieces that are ready, without waiting.
fn read_ready<I: Incoming>(started: &mut StartedAnswer<I>) -> Result<(), I::Broken> {
    let StartedAnswer { incoming, rest, .. } = started;
    while !incoming.has_ended() && rest.len() < SMALL_ANSWER {
        match poll_fn(|cx| incoming.poll_content(cx)).now_or_never() {
            Some(Some(piece)) => rest.push(piece?),
            Some(None) | None => break,
        }
    }
    Ok(())
}

/// Reports whether every announced byte has come.
fn has_all<I>(started: &StartedAnswer<I>) -> bool {
    let present = started.rest.len() as u64;
    started
        .head
        .content_length
        .is_some_and(|length| length <= present)
}
