//! Fields of a script's head that are addressed to the gateway; no client receives them.

use http::{HeaderMap, HeaderName, HeaderValue, header};

static X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
static X_ACCEL_REDIRECT: HeaderName = HeaderName::from_static("x-accel-redirect");
static X_SENDFILE: HeaderName = HeaderName::from_static("x-sendfile");

/// The orders in a script's head.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Orders {
    /// `X-Accel-Redirect` of nginx: the URI of a file to send.
    pub(super) x_accel_redirect: Option<HeaderValue>,
    /// `X-Sendfile` of Apache's mod_xsendfile and of lighttpd: the path of a file to send.
    pub(super) x_sendfile: Option<HeaderValue>,
    /// True if each piece is sent at once: `X-Accel-Buffering: no`, or a media type that loses its
    /// meaning when late.
    pub(super) is_live: bool,
}

impl Orders {
    /// Removes the orders from `fields`.
    pub(super) fn take(fields: &mut HeaderMap) -> Self {
        let is_live = fields.get(header::CONTENT_TYPE).is_some_and(is_live);
        // Few answers have any: this check is much cheaper than a look-up of each. PHP sends `X-Powered-By` in
        // all.
        let is_order =
            |name: &HeaderName| name.as_str().starts_with("x-accel-") || name == X_SENDFILE;
        if !fields.keys().any(is_order) {
            return Self {
                is_live,
                ..Self::default()
            };
        }
        let buffering = fields.remove(&X_ACCEL_BUFFERING);
        let refused = buffering.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"no"));
        Self {
            x_accel_redirect: fields.remove(&X_ACCEL_REDIRECT),
            x_sendfile: fields.remove(&X_SENDFILE),
            is_live: refused || is_live,
        }
    }
}

/// Reports whether the fields are those of a live answer: an event stream, or a long poll.
pub(crate) fn is_live_answer(fields: &HeaderMap) -> bool {
    let is_refused = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"no");
    fields.get(header::CONTENT_TYPE).is_some_and(is_live)
        || fields.get(&X_ACCEL_BUFFERING).is_some_and(is_refused)
}

/// Reports whether it is a stream of server-sent events or of JSON lines.
fn is_live(media_type: &HeaderValue) -> bool {
    let bytes = media_type.as_bytes();
    // RFC 9110 §8.3.1: parameters follow a semicolon, and case does not count.
    let first = bytes.split(|byte| *byte == b';').next().unwrap_or(bytes);
    let essence = first.trim_ascii();
    [b"text/event-stream".as_slice(), b"application/x-ndjson"]
        .iter()
        .any(|live| essence.eq_ignore_ascii_case(live))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| {
            let name = http::HeaderName::from_static(name);
            (name, HeaderValue::from_static(value))
        });
        pairs.collect()
    }

    #[test]
    fn orders_are_taken_out() {
        let mut head = fields(&[
            ("x-sendfile", "/srv/a"),
            ("x-accel-redirect", "/a"),
            ("x-accel-buffering", "yes"),
            ("x-a", "1"),
        ]);
        let orders = Orders::take(&mut head);
        assert_eq!(orders.x_sendfile.unwrap(), "/srv/a");
        assert_eq!(orders.x_accel_redirect.unwrap(), "/a");
        assert!(!orders.is_live);
        assert_eq!(head, fields(&[("x-a", "1")]));
        assert_eq!(Orders::take(&mut head), Orders::default());
    }

    #[test]
    fn what_is_live_is_known_by_its_type_or_by_its_word() {
        for (name, value, live) in [
            ("x-accel-buffering", "no", true),
            ("x-accel-buffering", "No", true),
            ("x-accel-buffering", "yes", false),
            ("content-type", "text/event-stream", true),
            ("content-type", "Text/Event-Stream;charset=utf-8", true),
            ("content-type", "application/x-ndjson ; a=b", true),
            ("content-type", "application/json", false),
            ("content-type", "text/event-streams", false),
            ("content-type", "", false),
        ] {
            let orders = Orders::take(&mut fields(&[(name, value)]));
            assert_eq!(orders.is_live, live, "{name}: {value}");
        }
    }
}
