//! The response to the client from what the upstream has answered so far.

use std::future::poll_fn;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderValue, Method, Response, StatusCode, Version, header};

use super::content::UpstreamContent;
use super::incoming::{Begun, Incoming};
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

/// An answer that is whole within this size when its head is read goes out with its length.
const SMALL_ANSWER: usize = 64 * 1024;

/// A whole answer above this is charged to its client, which may take nothing of it; and above this on HTTP/2, where a
/// connection may have a hundred of them.
const CHARGED: usize = 16 * 1024;
const CHARGED_ON_STREAM: usize = 1024;

/// A request that an upstream has begun to answer.
#[derive(Clone, Copy, Debug)]
pub struct Reply<'a> {
    /// What its handler lets answers have.
    pub settings: &'a Arc<Settings>,
    /// The request.
    pub request: &'a Request,
    /// Whose share is taken.
    pub owner: Owner,
    /// The upstream, for the log.
    pub upstream: &'a str,
    /// What answers there, for the log.
    pub script: &'a [u8],
}

/// Why there is no answer.
#[derive(Debug)]
pub enum NoReply<B> {
    /// The exchange broke before anything of it was sent.
    Broken(B),
    /// It is not sent.
    Failed(Failure),
}

impl Reply<'_> {
    /// Returns the response: whole where the answer is short and already here, else streamed. What the upstream orders is
    /// done; it may name a file on `disk`.
    pub async fn respond<I: Incoming>(
        self,
        mut begun: Box<Begun<I>>,
        disk: &dyn Disk,
    ) -> Result<Response<Body>, NoReply<I::Broken>>
    where
        Body: From<UpstreamContent<I>>,
    {
        let orders = Orders::take(&mut begun.head.headers);
        // No content is no file either.
        if has_content(begun.head.status) {
            if let Some(named) = self.settings.send_file.named(&orders) {
                return Ok(Box::pin(self.send_file(named, begun, disk)).await?);
            }
            self.warn_of_orders(&orders);
        }
        let terms = self.terms(&orders)?;
        deliver(begun, self.request, terms)
    }

    /// What is live is for the client the moment it comes, and never stored.
    fn terms(&self, orders: &Orders) -> Result<Terms, Failure> {
        let settings = self.settings;
        let live = match orders.is_live {
            true => {
                let most = settings.live_streams.most();
                let live = settings.live_streams.begin(self.owner.party);
                Some(live.ok_or(TooManyLive { most })?)
            }
            false => None,
        };
        Ok(Terms {
            settings: Arc::clone(settings),
            owner: self.owner,
            limit: live.as_ref().map_or(settings.response_buffer, |_| 0),
            _live: live,
        })
    }
}

impl<B> From<Failure> for NoReply<B> {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// An exchange that is known to be broken before anything of it was sent is an error, and no part of an answer.
fn deliver<I: Incoming>(
    mut begun: Box<Begun<I>>,
    request: &Request,
    terms: Terms,
) -> Result<Response<Body>, NoReply<I::Broken>>
where
    Body: From<UpstreamContent<I>>,
{
    let status = validators::settle(&mut begun.head, &request.method, &request.fields);
    let own = status == begun.head.status;
    // A precondition that failed is told without the content that was not wanted, unless it is the upstream's own word.
    let is_empty = !has_content(status) || (status == StatusCode::PRECONDITION_FAILED && !own);
    // RFC 9110 §9.3.2: nor has an answer to HEAD content, whatever the upstream sends.
    let silent = is_empty || request.method == Method::HEAD;
    match read_ready(&mut begun) {
        // What the client gets is all here: how PHP ends after it is no part of the answer.
        Err(_) if silent || has_all(&begun) => {}
        ready => ready.map_err(NoReply::Broken)?,
    }
    let announced = begun.head.content_length;
    let present = begun.rest.len() as u64;
    let whole = begun.incoming.has_ended() && announced.is_none_or(|length| length == present);
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
    if let Some(length) = length.filter(|_| !is_empty) {
        let value = HeaderValue::from(length);
        response.headers_mut().insert(header::CONTENT_LENGTH, value);
    }
    let trace = std::mem::take(&mut begun.trace);
    *response.body_mut() = match (silent, whole) {
        (true, _) => {
            abandon(begun);
            Body::empty().by(I::MAKER)
        }
        (false, true) => {
            begun.incoming.linger();
            whole_body::<I>(begun.rest.join(), request.version, terms)?
        }
        (false, false) => UpstreamContent::start(streaming(begun), terms).into(),
    };
    response.body_mut().trace = trace;
    Ok(response)
}

/// Its memory is the client's until it has taken it; without a share of that it goes to the spool.
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

/// Lets the upstream come to its end by itself; nobody gets what it sends.
pub(super) fn abandon<I: Incoming>(begun: Box<Begun<I>>) {
    streaming(begun).finish();
}

#[expect(
    clippy::boxed_local,
    reason = "its parts move from where they are, and the whole of it never"
)]
fn streaming<I: Incoming>(begun: Box<Begun<I>>) -> Streaming<I> {
    let announced = begun.head.content_length;
    Streaming::new(begun.incoming, begun.rest, announced)
}

/// Takes what is there without waiting for more.
fn read_ready<I: Incoming>(begun: &mut Begun<I>) -> Result<(), I::Broken> {
    let Begun { incoming, rest, .. } = begun;
    while !incoming.has_ended() && rest.len() < SMALL_ANSWER {
        match poll_fn(|cx| incoming.poll_content(cx)).now_or_never() {
            Some(Some(piece)) => rest.push(piece?),
            Some(None) | None => break,
        }
    }
    Ok(())
}

/// Reports whether every byte that was announced has come.
fn has_all<I>(begun: &Begun<I>) -> bool {
    let present = begun.rest.len() as u64;
    begun
        .head
        .content_length
        .is_some_and(|length| length <= present)
}
