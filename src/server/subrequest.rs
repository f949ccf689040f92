//! Reception of the answer to a subrequest.

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::{BodyExt, Limited};

use crate::handler::Body;
use crate::modifier::fact::{Answer, Fact};

/// Maximum length of the content, in bytes: a login page with its images inlined.
const MAX_CONTENT: usize = 256 * 1024;

/// Receives the whole answer. One that is too long, or breaks off, is 502. The content of a 2xx has no reader, and its
/// memory is released at once.
pub(super) async fn receive(response: Response<Body>) -> Fact {
    let (head, body) = response.into_parts();
    match Limited::new(body, MAX_CONTENT).collect().await {
        Ok(content) => Fact::Answered(Box::new(Answer {
            status: head.status,
            fields: head.headers,
            content: if head.status.is_success() {
                Bytes::new()
            } else {
                content.to_bytes()
            },
        })),
        Err(error) => {
            tracing::error!(
                limit = MAX_CONTENT,
                "the answer of a subrequest is incomplete: {error}"
            );
            failed()
        }
    }
}

/// Returns the fact of a subrequest without an answer.
pub(super) fn failed() -> Fact {
    Fact::Answered(Box::new(Answer {
        status: StatusCode::BAD_GATEWAY,
        ..Answer::default()
    }))
}
