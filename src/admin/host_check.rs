//! Protection of the admin listener on TCP against web pages. A port of this machine is open to its browsers, which send
//! the requests of any page: to a name whose owner points it here (DNS rebinding), or across origins.

use std::net::{IpAddr, Ipv6Addr};

use http::header::{HOST, ORIGIN};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Uri};

/// Check of Host and Origin.
#[derive(Debug)]
pub(super) enum HostCheck {
    /// No check for a unix socket, which no web page can address: its permissions decide.
    Unix,
    /// Names allowed on a TCP port, besides addresses and `localhost`.
    Tcp(Vec<String>),
}

impl HostCheck {
    /// Returns the reason to refuse a request to `uri` with these fields; `None` to allow it.
    pub(super) fn refusal(&self, uri: &Uri, fields: &HeaderMap) -> Option<String> {
        let Self::Tcp(names) = self else { return None };
        let mut hosts = fields.get_all(HOST).iter();
        let host = hosts.next();
        if hosts.next().is_some() {
            return Some("403: more than one Host".to_owned());
        }
        // RFC 9112 §3.2.2: an authority in the target counts instead of Host.
        let authority = match (uri.authority(), host) {
            (Some(authority), _) => authority.as_str(),
            (None, Some(host)) => host.to_str().unwrap_or_default(),
            // HTTP/1.0 does not require Host, and browsers always send it.
            (None, None) => "localhost",
        };
        if !is_allowed_host(authority, names) {
            return Some(format!(
                "403: Host `{authority}` is not an IP address, `localhost` or one of admin.hosts (DNS rebinding). Use an IP address, or add the name to admin.hosts"
            ));
        }
        let is_foreign = |origin: &HeaderValue| !is_same_origin(origin, authority);
        fields.get_all(ORIGIN).iter().any(is_foreign).then(|| {
            "403: Origin is not this listener: cross-origin requests are refused".to_owned()
        })
    }
}

/// Reports whether `authority` is an address, `localhost`, or one of `names`. Its port may differ, as ports are
/// forwarded; a page from that port has another origin.
fn is_allowed_host(authority: &str, names: &[String]) -> bool {
    let Ok(authority) = authority.parse::<Authority>() else {
        return false;
    };
    if authority.as_str().contains('@') {
        return false;
    }
    let host = authority.host().trim_end_matches('.');
    let address = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    match address {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => {
            host.parse::<IpAddr>().is_ok()
                || host.eq_ignore_ascii_case("localhost")
                || names.iter().any(|name| host.eq_ignore_ascii_case(name))
        }
    }
}

/// Reports whether `origin` is that of this listener (RFC 6454 §7); `null` is not.
fn is_same_origin(origin: &HeaderValue, authority: &str) -> bool {
    let origin = origin.to_str().ok();
    let own = origin.and_then(|origin| origin.strip_prefix("http://"));
    own.is_some_and(|own| own.eq_ignore_ascii_case(authority))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(host_check: &HostCheck, target: &str, fields: &[(&str, &str)]) -> bool {
        let mut request = http::Request::get(target);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        host_check.refusal(&parts.uri, &parts.headers).is_some()
    }

    #[test]
    fn only_addresses_localhost_and_known_names_are_served() {
        let host_check = HostCheck::Tcp(vec!["gateway.example".to_owned()]);
        for (host, expected) in [
            ("127.0.0.1:9180", false),
            ("127.0.0.1", false),
            ("[::1]:9180", false),
            ("10.1.2.3:9180", false),
            ("localhost:9180", false),
            ("LOCALHOST.", false),
            ("localhost:8080", false),
            ("gateway.example:9180", false),
            ("Gateway.Example", false),
            ("evil.example", true),
            ("evil.example:9180", true),
            ("127.0.0.1.evil.example", true),
            ("localhost.evil.example", true),
            ("gateway.example.evil.example", true),
            ("127.1", true),
            ("0x7f000001", true),
            ("2130706433", true),
            ("localhost@evil.example", true),
            ("evil.example@localhost", true),
            ("::1", true),
            ("[evil]", true),
            ("", true),
            ("admin", true),
            ("a b", true),
        ] {
            assert_eq!(
                refused(&host_check, "/metrics", &[("host", host)]),
                expected,
                "{host}"
            );
            assert!(
                !refused(&HostCheck::Unix, "/metrics", &[("host", host)]),
                "{host}"
            );
        }
        let both = [("host", "localhost"), ("host", "evil.example")];
        assert!(refused(&host_check, "/", &both));
        assert!(refused(&host_check, "http://evil.example/", &both[..1]));
        assert!(!refused(&host_check, "http://localhost/", &both[1..]));
        assert!(!refused(&host_check, "/", &[]));
    }

    #[test]
    fn an_origin_is_the_listeners_own_or_refused() {
        let host_check = HostCheck::Tcp(Vec::new());
        for (host, origin, expected) in [
            ("127.0.0.1:9180", "http://127.0.0.1:9180", false),
            ("localhost:9180", "http://LOCALHOST:9180", false),
            ("127.0.0.1:9180", "http://localhost:9180", true),
            ("127.0.0.1:9180", "http://127.0.0.1", true),
            ("127.0.0.1:9180", "http://127.0.0.1:8080", true),
            ("127.0.0.1:9180", "https://127.0.0.1:9180", true),
            ("127.0.0.1:9180", "http://evil.example", true),
            ("127.0.0.1:9180", "http://127.0.0.1:9180.evil.example", true),
            ("127.0.0.1:9180", "null", true),
            ("127.0.0.1:9180", "", true),
        ] {
            let fields = [("host", host), ("origin", origin)];
            assert_eq!(
                refused(&host_check, "/reload", &fields),
                expected,
                "{origin}"
            );
            assert!(!refused(&HostCheck::Unix, "/reload", &fields), "{origin}");
        }
        let two = [
            ("host", "localhost"),
            ("origin", "http://localhost"),
            ("origin", "http://evil.example"),
        ];
        assert!(refused(&host_check, "/", &two));
    }
}
