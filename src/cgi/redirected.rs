//! Apache's REDIRECT_ variables: what a request was before an internal redirect.

use crate::fastcgi::params::ParamsEncoder;
use crate::message::{Cause, Request};

/// Writes REDIRECT_STATUS, and what Apache writes after the last internal redirect. As measured on
/// Apache 2.4.71: an index file and a fallback are none, a rewritten path and an error page are.
pub(super) fn encode(params: &mut ParamsEncoder<'_>, request: &Request) {
    let last = request.causes.iter().rev().find(|round| match round.cause {
        Cause::Index => false,
        Cause::Rewrite | Cause::ErrorPage(_) => true,
    });
    // php-cgi with cgi.force_redirect (its default) runs nothing without a status.
    let Some(round) = last else {
        params.pair(b"REDIRECT_STATUS", b"200");
        return;
    };
    match round.cause {
        Cause::Index | Cause::Rewrite => params.pair(b"REDIRECT_STATUS", b"200"),
        Cause::ErrorPage(status) => params.pair(b"REDIRECT_STATUS", status.as_str().as_bytes()),
    }
    params.pair(b"REDIRECT_URL", round.target.path());
    if let Some(query) = round.target.query() {
        params.pair(b"REDIRECT_QUERY_STRING", query.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http::StatusCode;

    use super::*;
    use crate::fastcgi::params::decode_pairs;
    use crate::fastcgi::record::HEADER_LEN;
    use crate::message::request::Origin;
    use crate::message::{EncodedSlash, Host, RequestId, Target, Upload, Wire};

    fn request(target: &str) -> Request {
        let parts = http::Request::new(()).into_parts().0;
        let origin = Origin {
            host: Host::parse("a").unwrap(),
            wire: Arc::new(Wire::unix("/a")),
            id: RequestId::new(1, 1),
        };
        Request::new(parts, self::target(target), Upload::Empty, origin)
    }

    fn target(text: &str) -> Target {
        Target::parse(text, EncodedSlash::Reject).unwrap()
    }

    #[track_caller]
    fn check(request: &Request, expected: &[(&str, &str)]) {
        let mut bytes = Vec::new();
        let mut params = ParamsEncoder::new(&mut bytes);
        encode(&mut params, request);
        params.finish();
        let pairs = decode_pairs(&bytes[HEADER_LEN..]).unwrap();
        let pairs: Vec<_> = pairs
            .iter()
            .map(|(name, value)| {
                (
                    str::from_utf8(name).unwrap(),
                    str::from_utf8(value).unwrap(),
                )
            })
            .collect();
        assert_eq!(pairs, expected);
    }

    #[test]
    fn only_rewriting_and_error_pages_are_told() {
        check(&request("/a"), &[("REDIRECT_STATUS", "200")]);
        let index = request("/a/?q").again(target("/a/index.php?q"), Cause::Index);
        check(&index, &[("REDIRECT_STATUS", "200")]);
        let rewritten = request("/a%20b?q=%20").again(target("/x.php?y"), Cause::Rewrite);
        let told = [
            ("REDIRECT_STATUS", "200"),
            ("REDIRECT_URL", "/a b"),
            ("REDIRECT_QUERY_STRING", "q=%20"),
        ];
        check(&rewritten, &told);
        let page = Cause::ErrorPage(StatusCode::FORBIDDEN);
        let page = rewritten.again(target("/error/"), page);
        let page = page.again(target("/error/index.php"), Cause::Index);
        let told = [
            ("REDIRECT_STATUS", "403"),
            ("REDIRECT_URL", "/x.php"),
            ("REDIRECT_QUERY_STRING", "y"),
        ];
        check(&page, &told);
    }
}
