//! `allow` and `deny`: access control of a site by client address.

use std::net::IpAddr;

use super::TrustedProxies;
use crate::section::{At, Key, Lowered, Problems};

/// Key of the allowed clients.
pub static ALLOW: Key<Vec<At<String>>> = Key::texts("allow", "Allowed clients: addresses, networks, \"private\" for private and loopback ones, \"unix\". All others get 403, before any rule and before PHP. For a part of a site use a rule with `not = { remote = [\u{2026}] }` and `deny`.").example("[\"192.0.2.0/24\", \"private\"]");

/// Key of the denied clients.
pub static DENY: Key<Vec<At<String>>> = Key::texts(
    "deny",
    "Denied clients, which get 403 even if `allow` names them.",
)
.example("[\"203.0.113.7\"]");

/// Access control of a site.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    allow: Option<TrustedProxies>,
    deny: Option<TrustedProxies>,
}

impl Access {
    /// Builds the access control from a section with the keys.
    pub fn build(section: &Lowered, problems: &mut Problems) -> Self {
        let mut networks = |key| {
            let texts = section.given(key);
            texts.map(|texts: Vec<_>| TrustedProxies::build(&texts, problems))
        };
        Self {
            allow: networks(&ALLOW),
            deny: networks(&DENY),
        }
    }

    /// Reports whether a client has access; `None` is a client on a unix socket.
    pub fn admits(&self, client: Option<IpAddr>) -> bool {
        let named = |networks: &TrustedProxies| networks.contains(client);
        self.allow.as_ref().is_none_or(named) && !self.deny.as_ref().is_some_and(named)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::section::{At, Place};

    fn networks(texts: &[&str]) -> Option<TrustedProxies> {
        let at = |text: &&str| At {
            value: (*text).to_owned(),
            place: Place::default(),
        };
        let texts: Vec<_> = texts.iter().map(at).collect();
        (!texts.is_empty()).then(|| TrustedProxies::build(&texts, &mut Problems::default()))
    }

    #[test]
    fn deny_is_stronger_than_allow() {
        let cases: [(&[&str], &[&str], &str, bool); 7] = [
            (&[], &[], "192.0.2.1", true),
            (&["192.0.2.0/24"], &[], "192.0.2.1", true),
            (&["192.0.2.0/24"], &[], "192.0.3.1", false),
            (&[], &["192.0.2.0/24"], "192.0.2.1", false),
            (&[], &["192.0.2.0/24"], "192.0.3.1", true),
            (&["192.0.2.0/24"], &["192.0.2.7"], "192.0.2.7", false),
            (&["private"], &[], "127.0.0.1", true),
        ];
        for (allow, deny, client, expected) in cases {
            let access = Access {
                allow: networks(allow),
                deny: networks(deny),
            };
            let admitted = access.admits(client.parse().ok());
            assert_eq!(admitted, expected, "{allow:?} {deny:?} {client}");
        }
    }
}
