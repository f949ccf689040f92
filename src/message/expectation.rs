//! The expectation of a 100 (Continue): the client waits for it before it sends its content (RFC 9110 §10.1.1).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::Version;
use http::request::Parts;

use super::list;

/// The expectation of a request, shared by its content, which meets it when it is first read, and by its response.
#[derive(Clone, Debug, Default)]
pub struct Expectation(Option<Arc<AtomicBool>>);

impl Expectation {
    /// Reads the expectation from the head of a request. One that is refused for another expectation (417) waits too;
    /// that of HTTP/1.0 is ignored, as RFC 9110 §10.1.1 requires.
    pub fn of(parts: &Parts) -> Self {
        let waits = parts.version != Version::HTTP_10
            && list::expects_continue(&parts.headers) != Ok(false);
        Self(waits.then(|| Arc::new(AtomicBool::new(true))))
    }

    /// Reports whether the client still waits: nobody has read the content.
    pub fn is_pending(&self) -> bool {
        let pending = self.0.as_ref();
        pending.is_some_and(|pending| pending.load(Ordering::Relaxed))
    }

    /// Records that the content is read: hyper sends the 100 at the first read.
    pub(super) fn meet(&mut self) {
        if let Some(pending) = self.0.take() {
            pending.store(false, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, header};

    use super::*;

    #[test]
    fn a_client_waits_until_its_content_is_read() {
        for (version, value, waits) in [
            (Version::HTTP_11, None, false),
            (Version::HTTP_11, Some(""), false),
            (Version::HTTP_11, Some("100-continue"), true),
            (Version::HTTP_11, Some("100-continue, other"), true),
            (Version::HTTP_2, Some("100-continue"), true),
            (Version::HTTP_10, Some("100-continue"), false),
        ] {
            let (mut parts, ()) = http::Request::new(()).into_parts();
            parts.version = version;
            let fields = value.map(|value| (header::EXPECT, HeaderValue::from_static(value)));
            parts.headers.extend(fields);
            let of_response = Expectation::of(&parts);
            let mut of_content = of_response.clone();
            assert_eq!(of_response.is_pending(), waits, "{version:?} {value:?}");
            of_content.meet();
            let pending = [&of_response, &of_content].map(Expectation::is_pending);
            assert_eq!(pending, [false, false], "{version:?} {value:?}");
        }
    }
}
