//! `server.auth`: resources for hashing passwords.

use std::num::NonZero;

use crate::section::{Key, Lowered, Section};
use crate::threads::processors;

/// The `server.auth` section.
pub static AUTH: Section = Section {
    title: "[server.auth]",
    doc: "Hashing of passwords, by threads that serve nothing else.",
    groups: &[&[&HASHES_AT_ONCE, &QUEUE_LENGTH]],
};

static HASHES_AT_ONCE: Key<usize> = Key::integer("hashes_at_once", 0..=1024, "Passwords hashed at once, each by a thread of its own; 0: one for each core. Each Argon2 hash in progress needs the memory that its entry names.").default("0");

static QUEUE_LENGTH: Key<usize> = Key::integer("queue_length", 1..=100_000, "Requests that wait for their password to be hashed; more is 503 with Retry-After. Clients, which are an IPv4 address or an IPv6 /64, take turns, and one may have as many requests waiting as places are free. A core hashes some 500 passwords a second of bcrypt with cost 5, and 4 with cost 12.").default("1024");

/// Settings of `server.auth`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hashing {
    /// The most hashes at once.
    pub at_once: usize,
    /// The most waiting requests.
    pub queue_length: usize,
}

impl Hashing {
    /// Builds the settings from the section.
    pub fn build(section: &Lowered) -> Self {
        Self {
            at_once: NonZero::new(section.get(&HASHES_AT_ONCE))
                .map_or_else(processors, NonZero::get),
            queue_length: section.get(&QUEUE_LENGTH),
        }
    }
}
