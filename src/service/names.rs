//! Names of the descriptors in LISTEN_FDNAMES: those of `.socket` units, and those of the descriptor store, which a service
//! gets back when it is started again (FileDescriptorStoreMax=, systemd.service(5)).

/// Source of a passed descriptor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A `.socket` unit, with its FileDescriptorName=.
    Unit(String),
    /// The store, with the address of the listener.
    Store(String),
}

impl Source {
    /// Returns the source of a descriptor by its name.
    pub fn of(name: &str) -> Self {
        let stored = name.strip_prefix(STORED).and_then(decode);
        stored.map_or_else(|| Self::Unit(name.to_owned()), Self::Store)
    }
}

/// Returns the name under which the listener at `address` is stored; `None` if it would be too long.
pub fn stored(address: &str) -> Option<String> {
    let mut name = STORED.to_owned();
    for byte in address.bytes() {
        if byte.is_ascii_graphic() && !matches!(byte, b':' | b'%') {
            name.push(char::from(byte));
        } else {
            name.push_str(&format!("%{byte:02X}"));
        }
    }
    (name.len() <= LONGEST).then_some(name)
}

fn decode(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).ok()
}

/// Beginning of the names of stored listeners.
const STORED: &str = "fcgate-listener=";

/// Longest name that systemd accepts, in bytes; it consists of printable ASCII without `:` (sd_pid_notify_with_fds(3)).
const LONGEST: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_names_of_units_and_of_the_store_differ() {
        for (name, expected) in [
            ("https", Source::Unit("https".to_owned())),
            (
                "fcgate-http.socket",
                Source::Unit("fcgate-http.socket".to_owned()),
            ),
            ("", Source::Unit(String::new())),
            (
                "fcgate-listener=[%3A%3A]%3A443",
                Source::Store("[::]:443".to_owned()),
            ),
            // Not ours: it does not decode.
            (
                "fcgate-listener=%",
                Source::Unit("fcgate-listener=%".to_owned()),
            ),
            (
                "fcgate-listener=%é",
                Source::Unit("fcgate-listener=%é".to_owned()),
            ),
        ] {
            assert_eq!(Source::of(name), expected, "{name}");
        }
        assert_eq!(
            stored("unix:/run/a b.sock").unwrap(),
            "fcgate-listener=unix%3A/run/a%20b.sock"
        );
        assert_eq!(stored(&":".repeat(100)), None);
    }

    proptest! {
        #[test]
        fn a_stored_address_comes_back(address in ".{0,60}") {
            if let Some(name) = stored(&address) {
                prop_assert!(name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':'));
                prop_assert_eq!(Source::of(&name), Source::Store(address));
            }
        }
    }
}
