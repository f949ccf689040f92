//! Hop-by-hop fields (RFC 9110 §7.6.1), which must not be forwarded.

use http::{HeaderMap, HeaderName, header};

use super::list;

/// Reports whether a field of this name is always hop-by-hop, whether or not Connection names it.
pub fn is_hop_by_hop(name: &HeaderName) -> bool {
    const STANDARD: [HeaderName; 5] = [
        header::CONNECTION,
        header::TE,
        header::TRAILER,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
    ];
    STANDARD.contains(name) || matches!(name.as_str(), "keep-alive" | "proxy-connection")
}

/// Removes the hop-by-hop fields and those that Connection names. Call it before adding own fields:
/// a peer can name any field in Connection.
pub fn strip(headers: &mut HeaderMap) {
    for name in connection_options(headers) {
        headers.remove(name);
    }
    let hop_by_hop: Vec<_> = headers
        .keys()
        .filter(|name| is_hop_by_hop(name))
        .cloned()
        .collect();
    for name in hop_by_hop {
        headers.remove(name);
    }
}

/// Returns the `connection-option`s of all Connection fields (RFC 9110 §7.6.1) that are field names.
fn connection_options(headers: &HeaderMap) -> Vec<HeaderName> {
    list::members(headers, &header::CONNECTION)
        .filter_map(|option| HeaderName::from_bytes(option).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn fields(list: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |&(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        };
        let mut headers = HeaderMap::new();
        for (name, value) in list.iter().map(pair) {
            headers.append(name, value);
        }
        headers
    }

    #[track_caller]
    fn check(before: &[(&'static str, &'static str)], after: &[(&'static str, &'static str)]) {
        let mut headers = fields(before);
        strip(&mut headers);
        assert_eq!(headers, fields(after));
    }

    #[test]
    fn the_known_ones_are_known() {
        for name in [
            "connection",
            "keep-alive",
            "proxy-connection",
            "te",
            "trailer",
            "transfer-encoding",
            "upgrade",
        ] {
            assert!(is_hop_by_hop(&HeaderName::from_static(name)), "{name}");
        }
        for name in [
            "host",
            "content-length",
            "cookie",
            "cache-control",
            "trailers",
            "via",
        ] {
            assert!(!is_hop_by_hop(&HeaderName::from_static(name)), "{name}");
        }
    }

    #[test]
    fn known_fields_go_and_others_stay() {
        check(
            &[
                ("keep-alive", "timeout=5"),
                ("set-cookie", "a=1"),
                ("transfer-encoding", "chunked"),
                ("set-cookie", "b=2"),
                ("upgrade", "h2c"),
            ],
            &[("set-cookie", "a=1"), ("set-cookie", "b=2")],
        );
    }

    #[test]
    fn what_connection_names_goes() {
        check(
            &[
                ("connection", "close, X-One ,,\tx-two"),
                ("connection", "X-THREE"),
                ("x-one", "1"),
                ("x-two", "2"),
                ("x-three", "3"),
                ("x-three", "3"),
                ("x-four", "4"),
            ],
            &[("x-four", "4")],
        );
    }

    #[test]
    fn a_connection_field_that_names_no_field_is_harmless() {
        check(
            &[("connection", "a b, \"x\", =, @"), ("x", "1")],
            &[("x", "1")],
        );
        check(&[], &[]);
    }
}
