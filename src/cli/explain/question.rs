//! The request of the command line, and its assumed connection.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};

use crate::message::{Host, Scheme, TlsFacts, Wire};
use crate::site::{ListenAddress, Listener};

/// Assumed port of the client.
const CLIENT_PORT: u16 = 40_000;

/// A request to explain.
#[derive(Debug)]
pub(super) struct Question {
    /// The URL as given.
    pub(super) url: String,
    pub(super) scheme: Scheme,
    /// The authority of the URL, if any.
    authority: Option<Host>,
    pub(super) parts: Parts,
}

/// A connection, and the assumptions about it.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) listener: String,
    pub(super) wire: Wire,
    pub(super) notes: Vec<String>,
}

impl Question {
    /// Builds the request from the command line; the error is a sentence for its user.
    pub(super) fn parse(url: &str, method: &str, fields: &[String]) -> Result<Self, String> {
        let (scheme, rest) = match url.split_once("://") {
            Some(("http", rest)) => (Scheme::Http, rest),
            Some(("https", rest)) => (Scheme::Https, rest),
            Some((other, _)) => return Err(format!("`{other}` is not a scheme: http or https")),
            None => (Scheme::Http, url),
        };
        let at = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at_checked(at).unwrap_or((rest, ""));
        let given = target.split('#').next().unwrap_or_default();
        let text = match given.strip_prefix('?') {
            Some(query) => format!("/?{query}"),
            // RFC 9112 §3.2.4: OPTIONS of a URL without path and query is about the server.
            None if given.is_empty() && method == "OPTIONS" => "*".to_owned(),
            None if given.is_empty() => "/".to_owned(),
            None => given.to_owned(),
        };
        let target: PathAndQuery = text
            .parse()
            .map_err(|error| format!("`{text}` is not a request target: {error}"))?;
        let mut parts = http::Request::new(()).into_parts().0;
        parts.method = Method::from_bytes(method.as_bytes())
            .map_err(|_| format!("`{method}` is not a method"))?;
        parts.uri = Uri::from(target);
        parts.headers = header_fields(fields, authority)?;
        let known = Host::parse(authority);
        if !authority.is_empty() && known.is_err() {
            return Err(format!("`{authority}` is not a host with an optional port"));
        }
        Ok(Self {
            url: url.to_owned(),
            scheme,
            authority: known.ok(),
            parts,
        })
    }

    /// Returns the length of the content by Content-Length, in bytes.
    pub(super) fn length(&self) -> u64 {
        let length = self.parts.headers.get(header::CONTENT_LENGTH);
        let text = length.and_then(|value| value.to_str().ok());
        text.and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    /// Returns a connection to the listener with the port and the scheme of the URL, else to the first with
    /// the scheme; `from` is the client, an address or `unix`.
    pub(super) fn connection(
        &self,
        listeners: &[Listener],
        from: &str,
    ) -> Result<Connection, String> {
        let mut notes = Vec::new();
        let unix = from == "unix";
        let listener = self.listener(listeners, unix, &mut notes);
        let address = listener.map(|listener| &listener.address);
        let mut wire = if unix {
            let path = match address {
                Some(ListenAddress::Unix(path)) => path.display().to_string(),
                Some(ListenAddress::Tcp(_) | ListenAddress::Systemd(_)) | None => String::new(),
            };
            Wire::unix(&path)
        } else {
            Wire::tcp(client(from)?, self.local(address))
        };
        if self.scheme == Scheme::Https {
            wire = wire.with_tls(self.handshake());
            notes.push("TLS 1.3 without a client certificate is assumed".to_owned());
        }
        if listener.is_some_and(|listener| listener.proxies.is_some()) {
            notes.push("the PROXY header is taken to name the client of --from".to_owned());
        }
        if let Some(listener) = listener {
            wire.listener = Arc::clone(&listener.name);
        }
        Ok(Connection {
            listener: address.map_or_else(|| "none".to_owned(), ToString::to_string),
            wire,
            notes,
        })
    }

    fn listener<'a>(
        &self,
        listeners: &'a [Listener],
        unix: bool,
        notes: &mut Vec<String>,
    ) -> Option<&'a Listener> {
        let secure = self.scheme == Scheme::Https;
        let port = self.port();
        let is_unix = |listener: &&Listener| matches!(listener.address, ListenAddress::Unix(_));
        let fits =
            |listener: &&Listener| listener.tls.is_some() == secure && is_unix(listener) == unix;
        let has_port = |listener: &&Listener| matches!(listener.address, ListenAddress::Tcp(address) if address.port() == port);
        let mut candidates = listeners.iter().filter(fits);
        if let Some(exact) = candidates.clone().find(has_port).filter(|_| !unix) {
            return Some(exact);
        }
        let fallback = candidates.next().or_else(|| listeners.first());
        if !unix {
            let with = if secure { "with" } else { "without" };
            notes.push(format!(
                "no listener has port {port} {with} TLS: a proxy in front of the gateway is assumed to have it"
            ));
        }
        fallback
    }

    fn port(&self) -> u16 {
        let named = self.authority.as_ref().and_then(Host::port);
        named.unwrap_or_else(|| self.scheme.default_port())
    }

    /// Returns the address that the client connected to; for a listener on all addresses that of the URL.
    fn local(&self, address: Option<&ListenAddress>) -> SocketAddr {
        let named = || {
            let name = self.authority.as_ref()?.name();
            let bare = name.trim_start_matches('[').trim_end_matches(']');
            bare.parse::<IpAddr>().ok()
        };
        let (bound, port) = match address {
            Some(ListenAddress::Tcp(address)) => (Some(address.ip()), address.port()),
            Some(ListenAddress::Unix(_) | ListenAddress::Systemd(_)) | None => (None, 0),
        };
        let ip = bound
            .filter(|ip| !ip.is_unspecified())
            .or_else(named)
            .unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        SocketAddr::new(ip, if port == 0 { self.port() } else { port })
    }

    fn handshake(&self) -> TlsFacts {
        TlsFacts {
            protocol: "TLSv1.3",
            cipher: "TLS_AES_256_GCM_SHA384",
            key_bits: "256",
            resumed: false,
            // RFC 6066 §3: an address is never sent as server name.
            server_name: self
                .authority
                .as_ref()
                .map(|host| host.name().to_owned())
                .filter(|name| name.trim_matches(['[', ']']).parse::<IpAddr>().is_err()),
            client: None,
        }
    }
}

fn client(from: &str) -> Result<SocketAddr, String> {
    let address = from.parse().map(|ip| SocketAddr::new(ip, CLIENT_PORT));
    address
        .or_else(|_| from.parse())
        .map_err(|_| format!("`{from}` is neither an address nor \"unix\""))
}

/// Parses `Name: value` fields; adds the Host of the URL unless one is given.
fn header_fields(fields: &[String], authority: &str) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for field in fields {
        let wrong = || format!("`{field}` is not a header field: write 'Name: value'");
        let (name, value) = field.split_once(':').ok_or_else(wrong)?;
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
        let value = HeaderValue::from_str(value.trim()).map_err(|_| wrong())?;
        headers.append(name, value);
    }
    if !headers.contains_key(header::HOST) {
        let host = if authority.is_empty() {
            "localhost"
        } else {
            authority
        };
        let value = HeaderValue::from_str(host).map_err(|_| format!("`{host}` is not a host"))?;
        headers.insert(header::HOST, value);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(url: &str) -> Result<(String, String), String> {
        let question = Question::parse(url, "GET", &["X-A: 1".to_owned()])?;
        let value = question.parts.headers.get("host");
        let host = value.and_then(|value| value.to_str().ok());
        Ok((
            host.unwrap_or_default().to_owned(),
            question.parts.uri.to_string(),
        ))
    }

    #[test]
    fn urls_are_understood_with_and_without_host() {
        for (url, host, target) in [
            ("http://example.org/a?b=c#d", "example.org", "/a?b=c"),
            ("https://example.org", "example.org", "/"),
            ("example.org:8080/%2F", "example.org:8080", "/%2F"),
            ("/a/b", "localhost", "/a/b"),
            ("http://example.org?x", "example.org", "/?x"),
        ] {
            let expected = Ok((host.to_owned(), target.to_owned()));
            assert_eq!(question(url), expected, "{url}");
        }
        let whole = Question::parse("http://example.org", "OPTIONS", &[]);
        assert_eq!(
            whole.map(|whole| whole.parts.uri.to_string()),
            Ok("*".to_owned())
        );
        for bad in ["ftp://example.org/", "http://a b/", "http://a/\u{7f}"] {
            assert!(question(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_listener_with_the_port_is_taken() {
        let at = |text: &str| Listener {
            address: ListenAddress::Tcp(text.parse().unwrap()),
            ..Listener::default_listener()
        };
        let listeners = [at("[::]:8080"), at("192.0.2.9:80")];
        let taken = |url: &str| {
            let question = Question::parse(url, "GET", &[]).unwrap();
            let connection = question.connection(&listeners, "192.0.2.1").unwrap();
            let local = (connection.wire.local_addr, connection.wire.local_port);
            (connection.listener, local, connection.notes.len())
        };
        let of = |listener: &str, ip: &str, port, notes| {
            (listener.to_owned(), (ip.to_owned(), Some(port)), notes)
        };
        assert_eq!(
            taken("http://a.test/"),
            of("192.0.2.9:80", "192.0.2.9", 80, 0)
        );
        assert_eq!(taken("http://[::1]:8080/"), of("[::]:8080", "::1", 8080, 0));
        assert_eq!(
            taken("http://a.test:8081/"),
            of("[::]:8080", "127.0.0.1", 8080, 1)
        );
        // No listener has TLS, and a handshake is assumed.
        assert_eq!(taken("https://a.test/").2, 2);
    }

    #[test]
    fn clients_have_an_address() {
        assert_eq!(
            client("192.0.2.1"),
            Ok(SocketAddr::from(([192, 0, 2, 1], CLIENT_PORT)))
        );
        assert_eq!(client("[::1]:7"), Ok("[::1]:7".parse().unwrap()));
        assert!(client("nobody").is_err());
    }
}
