//! The response to the client from what the script has answered so far.

use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderValue, Method, Response, StatusCode, header};

use super::Streaming;
use super::attempt::Begun;
use crate::fastcgi::{Answer, Broken};
use crate::handler::Body;

/// An answer that is whole within this size when its head is read goes out with its length.
const SMALL_ANSWER: usize = 64 * 1024;

/// The response: whole where the answer is short and already here, else streamed.
pub(super) fn respond(mut begun: Begun, method: &Method) -> Response<Body> {
    let cut = read_ready(&mut begun);
    let announced = begun.head.content_length;
    let status = begun.head.status;
    let present = begun.rest.len() as u64;
    let whole = begun.exchange.has_ended() && cut.is_none();
    let whole = whole && announced.is_none_or(|length| length == present);
    // RFC 9110 §9.3.2, §15.3.5, §15.4.5: no content, whatever the script printed.
    let silent = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let silent = silent || method == Method::HEAD;
    let length = if whole && !silent {
        Some(present)
    } else {
        announced
    };

    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    *response.headers_mut() = std::mem::take(&mut begun.head.headers);
    if let Some(length) = length.filter(|_| status != StatusCode::NO_CONTENT) {
        let value = HeaderValue::from(length);
        response.headers_mut().insert(header::CONTENT_LENGTH, value);
    }
    let trace = std::mem::take(&mut begun.trace);
    *response.body_mut() = match (silent, whole) {
        (true, _) => {
            streaming(begun, cut).finish();
            Body::empty()
        }
        (false, true) => {
            begun.exchange.into_upload().linger();
            Body::bytes(begun.rest)
        }
        (false, false) => Body::streaming(streaming(begun, cut)),
    };
    response.body_mut().trace = trace;
    response
}

fn streaming(begun: Begun, cut: Option<Broken>) -> Streaming {
    let first: Bytes = begun.rest.freeze();
    let announced = begun.head.content_length;
    Streaming::new(begun.exchange, first, announced, cut, begun.errors)
}

/// Takes what is there without waiting for more. An exchange that breaks now cuts the answer
/// when the client has what came before.
fn read_ready(begun: &mut Begun) -> Option<Broken> {
    while !begun.exchange.has_ended() && begun.rest.len() < SMALL_ANSWER {
        match begun.exchange.answer().now_or_never() {
            Some(Some(Ok(Answer::Stdout(piece)))) => begun.rest.extend_from_slice(&piece),
            Some(Some(Ok(Answer::Stderr(piece)))) => begun.errors.push(&piece),
            Some(Some(Ok(Answer::End { app_status, .. }))) => begun.errors.end(app_status),
            Some(Some(Err(broken))) => return Some(broken),
            Some(None) | None => break,
        }
    }
    None
}
