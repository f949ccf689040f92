//! Header fields of request and response that a record keeps: only those that its format names, so
//! that all others cost nothing.

use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Response, Version, header};
use hyper::ext::ReasonPhrase;

use crate::message::list;

/// Parts of request and response heads that a format names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Capture {
    /// Request fields, without duplicates.
    pub(super) request: Vec<HeaderName>,
    /// Response fields, without duplicates.
    pub(super) response: Vec<HeaderName>,
    /// The requested authority.
    pub(super) host: bool,
    /// The length of the response head.
    pub(super) head: bool,
    /// The persistence of the connection (RFC 9112 §9.3).
    pub(super) persistence: bool,
}

/// Captured values, by the indices of `Capture`.
#[derive(Clone, Debug, Default)]
pub struct Captured {
    /// In the order of [`Capture::request`].
    pub(super) request: Vec<Option<HeaderValue>>,
    /// In the order of [`Capture::response`]; empty before there is a response.
    pub(super) response: Vec<Option<HeaderValue>>,
    /// Length of the response head in HTTP/1.1, in bytes.
    pub(super) head: u64,
    pub(super) persists: bool,
}

impl Capture {
    /// Adds a request field and returns its index.
    pub(super) fn request_field(&mut self, name: HeaderName) -> usize {
        number(&mut self.request, name)
    }

    /// Adds a response field and returns its index.
    pub(super) fn response_field(&mut self, name: HeaderName) -> usize {
        number(&mut self.response, name)
    }

    pub(super) fn of_request(&self, parts: &Parts) -> Captured {
        Captured {
            request: take(&self.request, &parts.headers),
            persists: self.persistence && persists(parts.version, &parts.headers),
            ..Captured::default()
        }
    }

    pub(super) fn of_response<B>(&self, response: &Response<B>, captured: &mut Captured) {
        captured.response = take(&self.response, response.headers());
        if self.head {
            captured.head = head_length(response);
        }
        captured.persists &= !has_option(response.headers(), "close");
    }

    /// Returns the authority of a request, from its target or its Host; empty if the format does not name it.
    pub(super) fn host(&self, parts: &Parts) -> String {
        if !self.host {
            return String::new();
        }
        match (parts.uri.authority(), parts.headers.get(header::HOST)) {
            (Some(authority), _) => authority.to_string(),
            (None, Some(value)) => String::from_utf8_lossy(value.as_bytes()).into_owned(),
            (None, None) => String::new(),
        }
    }
}

fn number(names: &mut Vec<HeaderName>, name: HeaderName) -> usize {
    let known = names.iter().position(|known| *known == name);
    known.unwrap_or_else(|| {
        names.push(name);
        names.len() - 1
    })
}

fn take(names: &[HeaderName], fields: &HeaderMap) -> Vec<Option<HeaderValue>> {
    let values = names.iter().map(|name| list::joined(fields, name));
    values.collect()
}

/// Reports whether the client lets the connection persist after this request (RFC 9112 §9.3).
fn persists(version: Version, fields: &HeaderMap) -> bool {
    match version {
        Version::HTTP_10 => has_option(fields, "keep-alive"),
        _ => !has_option(fields, "close"),
    }
}

/// Reports whether Connection has an option (RFC 9110 §7.6.1).
fn has_option(fields: &HeaderMap, option: &str) -> bool {
    list::members(fields, &header::CONNECTION)
        .any(|word| word.eq_ignore_ascii_case(option.as_bytes()))
}

/// Returns the length of `HTTP/1.1 200 OK`, the fields, and an empty line.
fn head_length<B>(response: &Response<B>) -> u64 {
    let usual = response.status().canonical_reason().unwrap_or_default();
    let own = response.extensions().get::<ReasonPhrase>();
    let reason = own.map_or(usual.as_bytes(), ReasonPhrase::as_bytes);
    let status_line = "HTTP/1.1 200 \r\n".len() + reason.len();
    let lines = response
        .headers()
        .iter()
        .map(|(name, value)| name.as_str().len() + ": \r\n".len() + value.len());
    (status_line + lines.sum::<usize>() + "\r\n".len()) as u64
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    fn fields(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = lines.iter().map(|(name, value)| {
            let name = HeaderName::from_static(name);
            (name, HeaderValue::from_static(value))
        });
        let mut fields = HeaderMap::new();
        pairs.for_each(|(name, value)| {
            fields.append(name, value);
        });
        fields
    }

    #[test]
    fn only_what_is_named_is_taken() {
        let mut capture = Capture::default();
        assert_eq!(capture.request_field(header::REFERER), 0);
        assert_eq!(capture.request_field(header::COOKIE), 1);
        assert_eq!(capture.request_field(header::REFERER), 0);
        let mut parts = http::Request::new(()).into_parts().0;
        parts.headers = fields(&[("cookie", "a=1"), ("cookie", "b=2"), ("accept", "x")]);
        let captured = capture.of_request(&parts);
        let shown: Vec<_> = captured.request.iter().flatten().collect();
        assert_eq!(captured.request.len(), 2);
        assert_eq!(shown, ["a=1, b=2"]);
        assert_eq!(capture.host(&parts), "");
    }

    #[test]
    fn connections_persist_as_the_rfc_says() {
        for (version, connection, expected) in [
            (Version::HTTP_11, "x", true),
            (Version::HTTP_11, "x, Close", false),
            (Version::HTTP_10, "x", false),
            (Version::HTTP_10, "Keep-Alive", true),
            (Version::HTTP_2, "x", true),
        ] {
            let fields = fields(&[("connection", connection)]);
            assert_eq!(
                persists(version, &fields),
                expected,
                "{version:?} {connection}"
            );
        }
    }

    #[test]
    fn a_head_is_as_long_as_it_is_written() {
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::NOT_FOUND;
        *response.headers_mut() = fields(&[("a", "b"), ("cc", "dd")]);
        let written = "HTTP/1.1 404 Not Found\r\na: b\r\ncc: dd\r\n\r\n";
        assert_eq!(head_length(&response), written.len() as u64);
        let reason = ReasonPhrase::from_static(b"None");
        response.extensions_mut().insert(reason);
        let written = "HTTP/1.1 404 None\r\na: b\r\ncc: dd\r\n\r\n";
        assert_eq!(head_length(&response), written.len() as u64);
    }
}
