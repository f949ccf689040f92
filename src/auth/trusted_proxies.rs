//! Sets of networks: trusted proxies, and the clients of `allow` and `deny`.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::section::{At, Problem, Problems};

/// A set of networks and, optionally, the peers on unix sockets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies {
    networks: Vec<IpNet>,
    unix: bool,
}

impl TrustedProxies {
    /// Builds the set from addresses, networks (`10.0.0.0/8`), `private` and `unix`; any other text is a
    /// problem.
    pub fn build(texts: &[At<String>], problems: &mut Problems) -> Self {
        let mut proxies = Self::default();
        for text in texts {
            if text.value == "unix" {
                proxies.unix = true;
            } else if text.value == "private" {
                proxies
                    .networks
                    .extend(PRIVATE.iter().filter_map(|text| network(text)));
            } else if let Some(network) = network(text) {
                proxies.networks.push(network);
            } else {
                let message = format!(
                    "`{}` is neither a network nor \"private\" or \"unix\"",
                    text.value
                );
                problems
                    .push(Problem::new(text.place.clone(), message).help(
                        "write \"10.0.0.0/8\", \"192.0.2.1\", \"2001:db8::/32\", \"private\" or \"unix\"",
                    ));
            }
        }
        proxies
    }

    /// Reports whether the set has the peer at `address`; `None` is a peer on a unix socket.
    pub fn contains(&self, address: Option<IpAddr>) -> bool {
        address.map_or(self.unix, |address| {
            // A dual-stack listener shows IPv4 addresses as IPv6.
            let address = address.to_canonical();
            self.networks
                .iter()
                .any(|network| network.contains(&address))
        })
    }
}

impl fmt::Display for TrustedProxies {
    /// Writes the networks, with those of `private` in its place.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let networks = self.networks.iter().map(ToString::to_string);
        let unix = self.unix.then(|| "unix".to_owned());
        let all: Vec<_> = networks.chain(unix).collect();
        f.write_str(&all.join(", "))
    }
}

/// Networks that are not routed on the Internet (RFC 1918, RFC 4193, RFC 3927, RFC 4291 §2.5).
const PRIVATE: [&str; 8] = [
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "169.254.0.0/16",
    "127.0.0.0/8",
    "fc00::/7",
    "fe80::/10",
    "::1",
];

fn network(text: &str) -> Option<IpNet> {
    let address = || text.parse::<IpAddr>().ok().map(IpNet::from);
    text.parse().ok().or_else(address)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::section::Place;

    fn proxies(texts: &[&str]) -> Result<TrustedProxies, usize> {
        let at = |text: &&str| At {
            value: (*text).to_owned(),
            place: Place::default(),
        };
        let texts: Vec<_> = texts.iter().map(at).collect();
        let mut problems = Problems::default();
        let proxies = TrustedProxies::build(&texts, &mut problems);
        match problems.into_sorted().len() {
            0 => Ok(proxies),
            count => Err(count),
        }
    }

    #[test]
    fn networks_contain_their_addresses() {
        let proxies = proxies(&["10.0.0.0/8", "192.0.2.1", "2001:db8::/32"]).unwrap();
        for (address, expected) in [
            ("10.1.2.3", true),
            ("11.1.2.3", false),
            ("192.0.2.1", true),
            ("192.0.2.2", false),
            ("::ffff:10.1.2.3", true),
            ("2001:db8::1", true),
            ("2001:db9::1", false),
        ] {
            let address = address.parse().unwrap();
            assert_eq!(proxies.contains(Some(address)), expected, "{address}");
        }
        assert!(!proxies.contains(None));
    }

    #[test]
    fn unix_is_a_word() {
        assert!(proxies(&["unix"]).unwrap().contains(None));
        assert_eq!(proxies(&["10.0.0.0/33", "localhost", "10.0.0.0/8"]), Err(2));
    }
}
