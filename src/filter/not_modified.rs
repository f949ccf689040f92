//! 304 (RFC 9110 §15.4.5): the client has the content already, and no field describes it.

use http::{Response, StatusCode, header};

use crate::handler::Body;

/// Removes Content-Type from a 304. The filters before need it: the Vary of the 200 depends on it.
pub fn remove_content_type(response: &mut Response<Body>) {
    if response.status() == StatusCode::NOT_MODIFIED {
        response.headers_mut().remove(header::CONTENT_TYPE);
    }
}
