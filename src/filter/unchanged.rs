//! 304 (RFC 9110 §15.4.5): the client has the content already, and none is described.

use http::{Response, StatusCode, header};

use crate::handler::Body;

/// Takes the type from an answer that has no content of its own. Until here it was needed: by the type
/// it is known what the Vary of the 200 is.
pub fn strip(response: &mut Response<Body>) {
    if response.status() == StatusCode::NOT_MODIFIED {
        response.headers_mut().remove(header::CONTENT_TYPE);
    }
}
