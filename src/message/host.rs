//! The authority that a request names: RFC 9110 §7.2 Host, RFC 9112 §3.2.2 absolute-form,
//! RFC 9113 §8.3.1 `:authority`.

use std::fmt;

use http::request::Parts;
use http::{HeaderMap, Uri, Version, header};

use super::{Scheme, Wire};

/// A host name, lower-cased, without its port; an IPv6 address keeps its brackets. Contains only
/// bytes that RFC 3986 §3.2.2 allows in a registered name or an IP literal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    name: String,
    port: Option<u16>,
}

/// An error in the authority of a request; the answer is 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadHost {
    /// RFC 9112 §3.2: an HTTP/1.1 request without Host.
    #[error("the Host field is missing")]
    Missing,
    /// RFC 9112 §3.2: more than one Host field.
    #[error("there is more than one Host field")]
    Repeated,
    /// RFC 9113 §8.3.1: `:authority` and Host differ.
    #[error("the Host field differs from :authority")]
    Differs,
    /// RFC 9112 §3.2: an invalid field value.
    #[error("the Host field is not a host name with an optional port")]
    Invalid,
}

impl fmt::Display for Host {
    /// Formats the host as the value of a Host field.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(f, "{}:{port}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

impl Host {
    /// Returns the host of a request: the target's authority where it has one, else the Host field.
    /// HTTP/1.0 may name none; then the name is empty.
    pub fn of(parts: &Parts) -> Result<Self, BadHost> {
        let authority = parts.uri.authority();
        let named = authority
            .map(|authority| Self::parse(authority.as_str()))
            .transpose()?;
        let field = match (&named, host_field(&parts.headers)?) {
            // RFC 9112 §3.2.2: the target counts. An empty Host is a valid one (RFC 9110 §7.2).
            (Some(named), Some("")) if parts.version != Version::HTTP_2 => {
                return Ok(named.clone());
            }
            (_, field) => field.map(Self::parse).transpose()?,
        };
        match (named, field) {
            // RFC 9112 §3.2: 400 without Host, also where the target names the host.
            (_, None) if parts.version == Version::HTTP_11 => Err(BadHost::Missing),
            (Some(named), Some(field)) if parts.version == Version::HTTP_2 => {
                // RFC 9113 §8.3.1: a Host that identifies another entity is malformed.
                let port = default_port(&parts.uri);
                let entity = |host: &Self| (host.name.clone(), host.port.or(port));
                let is_same = entity(&named) == entity(&field);
                is_same.then_some(named).ok_or(BadHost::Differs)
            }
            // RFC 9112 §3.2.2: the target counts, and Host is ignored.
            (Some(named), _) => Ok(named),
            (None, Some(field)) => Ok(field),
            (None, None) if parts.version <= Version::HTTP_10 => Ok(Self {
                name: String::new(),
                port: None,
            }),
            (None, None) => Err(BadHost::Missing),
        }
    }

    /// Parses `name`, `name:port`, `[v6]` or `[v6]:port`.
    pub fn parse(text: &str) -> Result<Self, BadHost> {
        let (name, port) = split_port(text).ok_or(BadHost::Invalid)?;
        let valid = match name.strip_prefix('[') {
            Some(rest) => rest
                .strip_suffix(']')
                .is_some_and(|v6| v6.parse::<std::net::Ipv6Addr>().is_ok()),
            None => is_registered_name(name),
        };
        if !valid {
            return Err(BadHost::Invalid);
        }
        // A trailing dot names the same host (RFC 1034 §3.1) and must not reach another site.
        let name = name.strip_suffix('.').unwrap_or(name);
        Ok(Self {
            name: name.to_ascii_lowercase(),
            port,
        })
    }

    /// Returns the lower-cased name without port; empty only for HTTP/1.0 without Host.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the port, where the client named one.
    pub fn port(&self) -> Option<u16> {
        self.port
    }
}

/// Returns the server's port: SERVER_PORT, `$port` and `%p`. It is that of the `canonical` name (Apache's UseCanonicalName
/// On), else the one that the client sees: by a trusted proxy, else the one `named` in Host; else the scheme's default
/// (RFC 9110 §4.2).
pub fn server_port(wire: &Wire, canonical: Option<&Host>, named: Option<u16>) -> u16 {
    let known = match canonical {
        Some(canonical) => canonical.port(),
        None => wire.forwarded_port.or(named),
    };
    known.unwrap_or_else(|| wire.scheme.default_port())
}

/// Returns the default port of the URI's scheme (RFC 9110 §4.2).
fn default_port(uri: &Uri) -> Option<u16> {
    let scheme = [Scheme::Http, Scheme::Https]
        .into_iter()
        .find(|scheme| uri.scheme_str() == Some(scheme.as_str()))?;
    Some(scheme.default_port())
}

fn host_field(headers: &HeaderMap) -> Result<Option<&str>, BadHost> {
    let mut values = headers.get_all(header::HOST).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(BadHost::Repeated);
    }
    let text = value.to_str().map_err(|_| BadHost::Invalid)?;
    Ok(Some(text))
}

fn split_port(text: &str) -> Option<(&str, Option<u16>)> {
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, port),
        Some(_) | None => return Some((text, None)),
    };
    // RFC 3986 §3.2.3: the port may be empty.
    match port {
        "" => Some((name, None)),
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.parse().ok().map(|port| (name, Some(port)))
        }
        _ => None,
    }
}

/// Reports whether the name is valid: no label is empty but the root's, which ends the name
/// (RFC 1034 §3.1). `a..` would be another name than `a`, and so reach another site; Apache and nginx
/// refuse it too.
fn is_registered_name(name: &str) -> bool {
    let mut labels = name.strip_suffix('.').unwrap_or(name).split('.');
    labels.all(|label| !label.is_empty() && label.bytes().all(is_reg_name_byte))
}

/// Reports whether the byte may be in a reg-name (RFC 3986 §3.2.2) without percent-encoding, which no
/// DNS name needs, and without sub-delims, which are valid but used for attacks only.
fn is_reg_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~')
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, Request};

    use super::*;

    const H10: Version = Version::HTTP_10;
    const H11: Version = Version::HTTP_11;
    const H2: Version = Version::HTTP_2;

    /// A request: its version, its target, its Host fields; and its host.
    type Case = (
        Version,
        &'static str,
        &'static [&'static str],
        Result<&'static str, BadHost>,
    );

    const CASES: [Case; 27] = [
        (H11, "/", &["a.b"], Ok("a.b")),
        (H11, "/", &[], Err(BadHost::Missing)),
        (H10, "/", &[], Ok("")),
        (H11, "http://a.b/", &["a.b"], Ok("a.b")),
        (H11, "http://a.b:80/", &["a.b"], Ok("a.b:80")),
        (H11, "http://a.b/", &["other:8080"], Ok("a.b")),
        (H11, "http://a.b/", &[], Err(BadHost::Missing)),
        (H11, "http://a.b/", &["b", "b"], Err(BadHost::Repeated)),
        (H11, "http://a.b/", &["b/c"], Err(BadHost::Invalid)),
        (H11, "http://a.b/", &[""], Ok("a.b")),
        (H11, "http://a.b/", &["", ""], Err(BadHost::Repeated)),
        (H2, "http://a.b/", &[""], Err(BadHost::Invalid)),
        (H10, "http://a.b/", &[""], Ok("a.b")),
        (H11, "/", &[""], Err(BadHost::Invalid)),
        (H10, "/", &[""], Err(BadHost::Invalid)),
        (H11, "http://u@a.b/", &["a.b"], Err(BadHost::Invalid)),
        (H10, "http://a.b/", &["other"], Ok("a.b")),
        (H10, "http://a.b/", &[], Ok("a.b")),
        (H2, "http://a.b/", &[], Ok("a.b")),
        (H2, "http://a.b/", &["A.B"], Ok("a.b")),
        (H2, "http://a.b:80/", &["a.b"], Ok("a.b:80")),
        (H2, "https://a.b/", &["a.b:443"], Ok("a.b")),
        (H2, "https://a.b/", &["a.b:80"], Err(BadHost::Differs)),
        (H2, "http://a.b/", &["other"], Err(BadHost::Differs)),
        (H2, "http://a.b:81/", &["a.b"], Err(BadHost::Differs)),
        (H2, "/", &["a.b"], Ok("a.b")),
        (H2, "/", &[], Err(BadHost::Missing)),
    ];

    #[test]
    fn the_port_of_the_server_is_configured_or_what_the_client_knows() {
        for (canonical, forwarded, named, scheme, expected) in [
            (None, None, None, Scheme::Http, 80),
            (None, None, None, Scheme::Https, 443),
            (None, None, Some(8080), Scheme::Https, 8080),
            (None, Some(8443), None, Scheme::Http, 8443),
            (None, Some(8443), Some(8080), Scheme::Http, 8443),
            (Some("a:81"), Some(8443), Some(8080), Scheme::Http, 81),
            (Some("a"), Some(8443), Some(8080), Scheme::Https, 443),
        ] {
            let canonical = canonical.map(|text| Host::parse(text).unwrap());
            let wire = Wire {
                forwarded_port: forwarded,
                scheme,
                ..Wire::unix("/run/a")
            };
            let port = server_port(&wire, canonical.as_ref(), named);
            assert_eq!(port, expected, "{canonical:?} {forwarded:?} {named:?}");
        }
    }

    #[test]
    fn the_target_counts_in_http1_and_may_not_differ_in_http2() {
        for (version, target, fields, expected) in CASES {
            let request = Request::builder().version(version).uri(target);
            let mut parts = request.body(()).unwrap().into_parts().0;
            for field in fields {
                let value = HeaderValue::from_static(field);
                parts.headers.append(header::HOST, value);
            }
            let host = Host::of(&parts).map(|host| host.to_string());
            let expected = expected.map(str::to_owned);
            assert_eq!(host, expected, "{version:?} {target} {fields:?}");
        }
    }

    #[test]
    fn hosts_are_parsed_or_refused() {
        let good = [
            ("example.org", "example.org", None),
            ("EXAMPLE.org:8080", "example.org", Some(8080)),
            ("example.org.", "example.org", None),
            ("example.org:", "example.org", None),
            ("[::1]", "[::1]", None),
            ("[::1]:80", "[::1]", Some(80)),
            ("127.0.0.1:1", "127.0.0.1", Some(1)),
            ("a_b.example", "a_b.example", None),
        ];
        for (text, name, port) in good {
            let host = Host::parse(text).unwrap();
            assert_eq!((host.name(), host.port()), (name, port), "{text}");
        }
        for bad in [
            "", ":80", "a b", "a/b", "a@b", "[::1", "[zz]", "a:b", "a:99999", "::1", "a\"b", "a<b",
            "é", ".", "..", ".a", "a..", "a..b", "a..:80", "[::1].",
        ] {
            assert_eq!(Host::parse(bad), Err(BadHost::Invalid), "{bad}");
        }
    }
}
