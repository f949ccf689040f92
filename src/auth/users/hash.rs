//! Password hashes, as Apache's htpasswd and crypt(3) write them, and Argon2id.

mod apr1;
mod argon2id;
mod bcrypt;
mod crypt64;
mod sha1;
mod sha_crypt;
#[cfg(test)]
mod tests;

use std::fmt;
use std::mem::{Discriminant, discriminant};

use self::apr1::Apr1;
use self::argon2id::Argon2id;
use self::bcrypt::Bcrypt;
use self::sha_crypt::{Digest, ShaCrypt};
use self::sha1::Sha1;

/// Length of the longest password that can be right, in bytes. The time of SHA crypt grows with the square of the
/// length, and nobody types that much.
pub const LONGEST_PASSWORD: usize = 4096;

/// Limit of the time that a check may take, in nanoseconds by [`Hash::cost`]: a line of a file must not occupy a
/// processor for longer. bcrypt reaches it above a cost of 17.
pub const HIGHEST_COST: u64 = 10 * SECOND;

const SECOND: u64 = 1_000_000_000;

/// Limit of the memory that a check may take, in KiB: as many checks as there are processors run at once.
pub const MOST_MEMORY: u32 = 256 * 1024;

/// A password hash with its parameters and its salt.
#[derive(Debug)]
pub enum Hash {
    /// bcrypt: `$2y$`, `$2b$`, `$2a$`.
    Bcrypt(Bcrypt),
    /// Apache's MD5: `$apr1$`.
    Apr1(Apr1),
    /// SHA-1 without salt: `{SHA}`.
    Sha1(Sha1),
    /// SHA crypt: `$5$` and `$6$`.
    ShaCrypt(ShaCrypt),
    /// Argon2id (RFC 9106): `$argon2id$`.
    Argon2id(Argon2id),
}

/// Error of a text that is no hash by which a password can be checked. It never contains the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnsupportedHash {
    /// No hash of any kind.
    PlainText,
    /// A hash of a kind without support.
    Kind(&'static str),
    /// A hash of this kind that is cut off or mistyped.
    Malformed(&'static str),
    /// A check would take this many seconds.
    TooCostly(u64),
    /// A check would take this many MiB of memory.
    TooMuchMemory(u32),
}

/// Kind and cost of a hash: checks of one class take the same time.
pub type Class = (Discriminant<Hash>, u64);

impl Hash {
    /// Parses a hash.
    pub fn parse(text: &str) -> Result<Self, UnsupportedHash> {
        let known = KINDS
            .iter()
            .find_map(|(prefix, name, parse)| Some((name, parse(text.strip_prefix(prefix)?))));
        let Some((name, parsed)) = known else {
            return Err(unsupported(text));
        };
        let hash = parsed.ok_or(UnsupportedHash::Malformed(name))?;
        let memory = hash.memory();
        if memory > MOST_MEMORY {
            return Err(UnsupportedHash::TooMuchMemory(memory.div_ceil(1024)));
        }
        let cost = hash.cost();
        if cost > HIGHEST_COST {
            return Err(UnsupportedHash::TooCostly(cost.div_ceil(SECOND)));
        }
        Ok(hash)
    }

    /// Reports whether this is the hash of `password`. Takes up to [`HIGHEST_COST`]: never call it on a thread that
    /// serves.
    pub fn verify(&self, password: &[u8]) -> bool {
        if password.len() > LONGEST_PASSWORD {
            return false;
        }
        match self {
            Self::Bcrypt(hash) => hash.verify(password),
            Self::Apr1(hash) => hash.verify(password),
            Self::Sha1(hash) => hash.verify(password),
            Self::ShaCrypt(hash) => hash.verify(password),
            Self::Argon2id(hash) => hash.verify(password),
        }
    }

    /// Returns the time that a check takes, in nanoseconds: an estimate that orders the kinds and their parameters.
    /// Its figures are medians of a release build on an x86-64 server, for a password of 21 bytes.
    pub fn cost(&self) -> u64 {
        match self {
            Self::Bcrypt(hash) => hash.cost(),
            Self::Apr1(_) => apr1::COST,
            Self::Sha1(_) => sha1::COST,
            Self::ShaCrypt(hash) => hash.cost(),
            Self::Argon2id(hash) => hash.cost(),
        }
    }

    /// Returns the class of the hash.
    pub fn class(&self) -> Class {
        (discriminant(self), self.cost())
    }

    /// Returns the memory that a check takes, in KiB.
    fn memory(&self) -> u32 {
        if let Self::Argon2id(hash) = self {
            hash.memory()
        } else {
            0
        }
    }
}

impl fmt::Display for UnsupportedHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PlainText => write!(
                f,
                "the password is no hash; one in plain text is never accepted"
            ),
            Self::Kind(name) => write!(
                f,
                "the password is hashed by {name}, which is not supported"
            ),
            Self::Malformed(name) => write!(f, "the {name} hash is cut off or mistyped"),
            Self::TooCostly(seconds) => write!(
                f,
                "a check of the hash would take about {seconds} s, more than {} s",
                HIGHEST_COST / SECOND
            ),
            Self::TooMuchMemory(size) => write!(
                f,
                "a check of the hash would take {size} MiB of memory, more than {} MiB",
                MOST_MEMORY / 1024
            ),
        }
    }
}

/// Returns the error for a text that begins as no supported kind.
fn unsupported(text: &str) -> UnsupportedHash {
    let mut known = UNSUPPORTED.iter();
    if let Some((_, name)) = known.find(|(prefix, _)| text.starts_with(prefix)) {
        return UnsupportedHash::Kind(name);
    }
    // crypt(3): two characters of salt and eleven of the hash.
    if text.len() == 13 && crypt64::is_encoded(text.as_bytes()) {
        return UnsupportedHash::Kind("DES crypt");
    }
    UnsupportedHash::PlainText
}

/// Parser of what follows a prefix.
type Parse = fn(&str) -> Option<Hash>;

/// The supported kinds: prefix, name and parser.
const KINDS: [(&str, &str, Parse); 8] = [
    ("$2y$", BCRYPT, bcrypt),
    ("$2b$", BCRYPT, bcrypt),
    ("$2a$", BCRYPT, bcrypt),
    ("$apr1$", "APR1", |rest| Apr1::parse(rest).map(Hash::Apr1)),
    ("{SHA}", "SHA-1", |rest| Sha1::parse(rest).map(Hash::Sha1)),
    ("$5$", "SHA-256 crypt", |rest| {
        ShaCrypt::parse(Digest::Sha256, rest).map(Hash::ShaCrypt)
    }),
    ("$6$", "SHA-512 crypt", |rest| {
        ShaCrypt::parse(Digest::Sha512, rest).map(Hash::ShaCrypt)
    }),
    ("$argon2id$", "Argon2id", |rest| {
        Argon2id::parse(rest).map(Hash::Argon2id)
    }),
];

const BCRYPT: &str = "bcrypt";

fn bcrypt(rest: &str) -> Option<Hash> {
    Bcrypt::parse(rest).map(Hash::Bcrypt)
}

/// Kinds without support, by prefix.
const UNSUPPORTED: [(&str, &str); 12] = [
    ("$1$", "MD5 crypt"),
    ("$2x$", "the faulty bcrypt of 2011"),
    ("$2$", "the first bcrypt"),
    ("$7$", "scrypt"),
    ("$y$", "yescrypt"),
    ("$gy$", "gost-yescrypt"),
    ("$argon2i$", "Argon2i"),
    ("$argon2d$", "Argon2d"),
    ("$P$", "phpass"),
    ("$H$", "phpass"),
    ("{SSHA}", "salted SHA-1"),
    ("_", "BSDI crypt"),
];
