//! Verified passwords, remembered for a short time by a MAC with a key of this process. Neither a password nor a digest
//! that could be searched for one stays in memory, and a changed entry of the user file has another MAC.

use std::fmt;
use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac::{Context, HMAC_SHA256, Key};
use aws_lc_rs::rand::SystemRandom;
use quick_cache::sync::Cache;
use tokio::time::Instant;

/// The number of remembered pairs; the least used are evicted. About 5 MB.
const PAIRS: usize = 65_536;

/// A user and a password, to be checked against an entry of a user file.
#[derive(Clone, Copy)]
pub struct Pair<'a> {
    /// The path of the user file.
    pub file: &'a [u8],
    /// The user.
    pub user: &'a [u8],
    /// The password.
    pub password: &'a [u8],
    /// The user's entry in the file; empty without one.
    pub entry: &'a [u8],
}

impl fmt::Debug for Pair<'_> {
    /// Formats the file and the user alone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (file, user) = (self.file.escape_ascii(), self.user.escape_ascii());
        write!(f, "Pair({file}, {user})")
    }
}

/// The MAC of a pair: where it is looked up, and the rest, which is compared.
#[derive(Clone, Copy)]
pub(super) struct Mac {
    place: u64,
    rest: [u8; 24],
}

/// The remembered pairs.
pub(super) struct Remembered {
    /// `None` without randomness: then nothing is remembered.
    key: Option<Key>,
    pairs: Cache<u64, Remembrance>,
}

#[derive(Clone, Copy)]
struct Remembrance {
    rest: [u8; 24],
    verified: Instant,
}

impl Remembered {
    /// Builds an empty store with a new key.
    pub(super) fn new() -> Self {
        Self {
            key: Key::generate(HMAC_SHA256, &SystemRandom::new()).ok(),
            pairs: Cache::new(PAIRS),
        }
    }

    /// Returns the MAC of a pair. The lengths are part of the text, so that no two pairs have the same.
    pub(super) fn mac(&self, pair: &Pair<'_>) -> Option<Mac> {
        let mut context = Context::with_key(self.key.as_ref()?);
        for part in [pair.file, pair.user, pair.password, pair.entry] {
            context.update(&part.len().to_le_bytes());
            context.update(part);
        }
        let tag = context.sign();
        let (place, rest) = tag.as_ref().split_first_chunk()?;
        Some(Mac {
            place: u64::from_le_bytes(*place),
            rest: rest.try_into().ok()?,
        })
    }

    /// Reports whether the pair of `mac` was verified less than `remember` ago.
    pub(super) fn contains(&self, mac: &Mac, remember: Duration, now: Instant) -> bool {
        let known = self.pairs.get(&mac.place);
        known.is_some_and(|known| {
            verify_slices_are_equal(&known.rest, &mac.rest).is_ok()
                && now.duration_since(known.verified) < remember
        })
    }

    /// Remembers the pair of `mac` as verified `now`.
    pub(super) fn insert(&self, mac: Mac, now: Instant) {
        let remembrance = Remembrance {
            rest: mac.rest,
            verified: now,
        };
        self.pairs.insert(mac.place, remembrance);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    fn pair<'a>(parts: [&'a str; 4]) -> Pair<'a> {
        let [file, user, password, entry] = parts.map(str::as_bytes);
        Pair {
            file,
            user,
            password,
            entry,
        }
    }

    #[test]
    fn a_pair_is_remembered_for_its_time_and_its_entry() {
        let (remembered, now) = (Remembered::new(), Instant::now());
        let known = ["/etc/users", "alice", "secret", "$2y$05$abc"];
        let mac = |parts| remembered.mac(&pair(parts)).unwrap();
        let contains = |parts, now| remembered.contains(&mac(parts), MINUTE, now);
        assert!(!contains(known, now));
        remembered.insert(mac(known), now);
        let last = now + MINUTE - Duration::from_millis(1);
        assert!(contains(known, now) && contains(known, last) && !contains(known, now + MINUTE));
        // A rule with a shorter time.
        assert!(!remembered.contains(&mac(known), MINUTE / 2, now + MINUTE / 2));
        for other in [
            ["/etc/others", "alice", "secret", "$2y$05$abc"],
            ["/etc/users", "bob", "secret", "$2y$05$abc"],
            ["/etc/users", "alice", "Secret", "$2y$05$abc"],
            ["/etc/users", "alice", "secret", "$2y$05$abd"],
            ["/etc/users", "alices", "ecret", "$2y$05$abc"],
            ["/etc/users", "alice", "secret$", "2y$05$abc"],
            ["/etc/users", "", "", ""],
        ] {
            assert!(!contains(other, now), "{other:?}");
        }
    }

    #[test]
    fn each_process_has_another_key() {
        let known = pair(["/etc/users", "alice", "secret", "$2y$05$abc"]);
        let [one, other] = [Remembered::new(), Remembered::new()];
        assert_ne!(
            one.mac(&known).unwrap().rest,
            other.mac(&known).unwrap().rest
        );
    }

    #[test]
    fn no_text_shows_a_password() {
        let text = format!(
            "{:?}",
            pair(["/etc/users", "alice", "secret", "$2y$05$abc"])
        );
        assert_eq!(text, "Pair(/etc/users, alice)");
    }

    /// A remembered user costs little more than one MAC.
    #[test]
    fn a_remembered_pair_costs_little() {
        const COUNT: u32 = 10_000;
        let (remembered, now) = (Remembered::new(), Instant::now());
        let known = pair([
            "/etc/fcgate/users",
            "alice@example.org",
            "correct horse battery staple",
            "$2y$10$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234",
        ]);
        remembered.insert(remembered.mac(&known).unwrap(), now);
        let text = [known.file, known.user, known.password, known.entry].concat();
        let key = remembered.key.as_ref().unwrap();
        let (mut pairs, mut macs) = (Duration::ZERO, Duration::ZERO);
        for _ in 0..COUNT {
            let begun = Instant::now();
            let mac = remembered.mac(&known).unwrap();
            assert!(remembered.contains(&mac, MINUTE, now));
            pairs += begun.elapsed();
            let begun = Instant::now();
            std::hint::black_box(aws_lc_rs::hmac::sign(key, &text));
            macs += begun.elapsed();
        }
        assert!(pairs < macs * 20, "{pairs:?} {macs:?}");
    }
}
