//! Who may ask through TCP. A port of this machine is open to every program on it, web browsers among them, which
//! send what any page wants: to a name that its owner has just pointed here (DNS rebinding), or across origins.

use std::net::{IpAddr, Ipv6Addr};

use http::header::{HOST, ORIGIN};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Uri};

/// The host_check of the admin listener.
#[derive(Debug)]
pub(super) enum HostCheck {
    /// A unix socket, which no web page can name: its permissions decide.
    Unix,
    /// A port, with the names that it may be called beside addresses and `localhost`.
    Tcp(Vec<String>),
}

impl HostCheck {
    /// Why a request to `uri` with these fields is refused; `None` where it is not.
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
            // HTTP/1.0 need not have one, and browsers always do.
            (None, None) => "localhost",
        };
        if !is_allowed_host(authority, names) {
            return Some(format!(
                "403: Host `{authority}` is no IP address, not `localhost`, and none of admin.hosts: a web page could have pointed any name here. Ask by an address, or add the name to admin.hosts"
            ));
        }
        let is_foreign = |origin: &HeaderValue| !is_same(origin, authority);
        fields.get_all(ORIGIN).iter().any(is_foreign).then(|| {
            "403: Origin is not this listener: a web page from elsewhere may not ask".to_owned()
        })
    }
}

/// Reports whether `authority` is an address, `localhost`, or one of `names`. The port may be another where it was
/// forwarded; a page that is served there is no less foreign for it, and has an origin of its own.
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

/// RFC 6454 §7: the origin of a page that this listener has sent; `null` is none.
fn is_same(origin: &HeaderValue, authority: &str) -> bool {
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
