//! The filters, which every response passes.

use http::{HeaderValue, Method, Response, Version, header};

use super::{Journey, Next};
use crate::filter;
use crate::handler::Body;
use crate::message::{Scheme, hop_by_hop};

impl Journey {
    /// Applies all filters in their order; the content coding is the last one, and the driver performs it.
    pub(super) fn finish(&mut self, mut response: Response<Body>) -> Next {
        let context = &self.context;
        if context.method == Method::HEAD {
            drop_content(&mut response);
        }
        if context.version == Version::HTTP_2 {
            // RFC 9113 §8.2.2: HTTP/2 has no connection fields.
            hop_by_hop::strip(response.headers_mut());
        }
        if let Some(edits) = &context.edits {
            filter::edits::apply(edits, &mut response, context.received.wall);
        }
        let negotiation = context.negotiation.as_ref();
        let coding = negotiation.and_then(|negotiation| negotiation.choose(&mut response));
        filter::not_modified::remove_content_type(&mut response);
        let https = context.site.as_ref().and_then(|site| site.https.as_ref());
        if let Some(https) = https.filter(|_| context.wire.scheme == Scheme::Https) {
            https.declare(response.headers_mut());
        }
        match coding.zip(negotiation) {
            Some((coding, negotiation)) => Next::Encode(negotiation.encode(coding, response)),
            None => Next::Send(response),
        }
    }
}

/// Drops the content of a response to HEAD and keeps the Content-Length of GET (RFC 9110 §9.3.2). In
/// HTTP/2 hyper would send the content.
fn drop_content(response: &mut Response<Body>) {
    let length = http_body::Body::size_hint(response.body()).exact();
    let fields = response.headers_mut();
    if let Some(length) = length.filter(|length| *length > 0) {
        fields
            .entry(header::CONTENT_LENGTH)
            .or_insert_with(|| HeaderValue::from(length));
    }
    response.body_mut().discard();
}
