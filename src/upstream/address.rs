//! Addresses of FastCGI servers: `unix:/path` or `host:port`.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// The address of a FastCGI server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// A unix socket's path.
    Unix(PathBuf),
    /// A host name or IP address, and a port; a name becomes a member for each of its addresses.
    Tcp(String, u16),
}

impl Address {
    /// Parses `unix:/run/php.sock`, `/run/php.sock`, `127.0.0.1:9000`, `[::1]:9000` or `name:9000`; the error names
    /// the expected form.
    pub fn parse(text: &str) -> Result<Self, String> {
        // A target as in Apache's ProxyPass: the socket's name would include all behind the `|`.
        if let Some((address, _)) = text.split_once('|') {
            return Err(format!(
                "`{text}` is a target, not an address: write \"{address}\""
            ));
        }
        if let Some(path) = text
            .strip_prefix("unix:")
            .or_else(|| text.starts_with('/').then_some(text))
        {
            return if path.starts_with('/') {
                Ok(Self::Unix(path.into()))
            } else {
                Err(format!(
                    "`{text}`: the path of a unix socket must be absolute"
                ))
            };
        }
        let expected = || {
            format!(
                "`{text}` is not an address: write \"unix:/run/php/php-fpm.sock\" or \"127.0.0.1:9000\""
            )
        };
        let (host, port) = text.rsplit_once(':').ok_or_else(expected)?;
        let port = port
            .parse()
            .ok()
            .filter(|port| *port != 0)
            .ok_or_else(expected)?;
        let host = host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or(host);
        let plain = host.contains(':')
            || host
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'));
        if host.is_empty()
            || !plain
            || (host.contains(':') && host.parse::<std::net::Ipv6Addr>().is_err())
        {
            return Err(expected());
        }
        Ok(Self::Tcp(host.to_owned(), port))
    }
}

impl Address {
    /// Reports whether it is a unix socket, a loopback address or `localhost`.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Unix(_) => true,
            Self::Tcp(host, _) => {
                let address = host.parse::<IpAddr>();
                host.eq_ignore_ascii_case("localhost")
                    || address.is_ok_and(|address| address.to_canonical().is_loopback())
            }
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address.ip().to_string(), address.port())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp(host, port) => write!(f, "{host}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_parsed_and_shown_alike() {
        for text in [
            "unix:/run/php.sock",
            "127.0.0.1:9000",
            "[::1]:9000",
            "php:9000",
        ] {
            assert_eq!(Address::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(
            Address::parse("/run/php.sock").unwrap().to_string(),
            "unix:/run/php.sock"
        );
        for bad in [
            "",
            "php",
            "unix:run.sock",
            "php:",
            "php:0",
            "php:99999",
            "a b:9000",
            "::1:9000x",
            "unix:/run/php.sock|fcgi://localhost",
            "unix:/run/php.sock|",
            ":9000",
        ] {
            assert!(Address::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sockets_and_loopback_addresses_are_local() {
        for (text, expected) in [
            ("unix:/run/php.sock", true),
            ("127.0.0.1:9000", true),
            ("127.1.2.3:9000", true),
            ("[::1]:9000", true),
            ("[::ffff:127.0.0.1]:9000", true),
            ("localhost:9000", true),
            ("10.0.0.1:9000", false),
            ("[::2]:9000", false),
            ("php:9000", false),
            ("localhost.example:9000", false),
        ] {
            assert_eq!(Address::parse(text).unwrap().is_local(), expected, "{text}");
        }
    }
}
