//! Apache's MD5, as `htpasswd -m` writes it: the MD5 crypt of FreeBSD with another prefix (apr_md5_encode).

use md5::{Digest, Md5};
use subtle::ConstantTimeEq;

use super::crypt64;

/// Time of a check, in nanoseconds.
pub(super) const COST: u64 = 140_000;

/// Rounds, which are fixed.
const ROUNDS: usize = 1000;

/// Characters of the longest salt.
const LONGEST_SALT: usize = 8;

/// The order in which the bytes of the digest are written.
const ORDER: [u8; 16] = [0, 6, 12, 1, 7, 13, 2, 8, 14, 3, 9, 15, 4, 10, 5, 11];

/// An MD5 hash of Apache.
#[derive(Debug)]
pub struct Apr1 {
    salt: Box<[u8]>,
    digest: Box<[u8]>,
}

impl Apr1 {
    /// Parses what follows the prefix: `salt$digest`.
    pub(super) fn parse(rest: &str) -> Option<Self> {
        let (salt, digest) = rest.split_once('$')?;
        let digest = crypt64::decode(digest.as_bytes(), &ORDER)?;
        (salt.len() <= LONGEST_SALT).then(|| Self {
            salt: salt.as_bytes().into(),
            digest,
        })
    }

    pub(super) fn verify(&self, password: &[u8]) -> bool {
        digest(password, &self.salt).ct_eq(&self.digest).into()
    }
}

fn digest(password: &[u8], salt: &[u8]) -> [u8; 16] {
    let inner = md5(&[password, salt, password]);
    let mut outer = Md5::new();
    outer.update(password);
    outer.update(b"$apr1$");
    outer.update(salt);
    let repeated = inner.iter().cycle().take(password.len());
    outer.update(repeated.copied().collect::<Vec<_>>());
    // The bits of the length, from the lowest: a NUL for each that is set, else the first byte of the password.
    let mut bits = password.len();
    while bits > 0 {
        let first = password.get(..1).unwrap_or_default();
        outer.update(if bits & 1 == 1 { b"\0" } else { first });
        bits >>= 1;
    }
    let first: [u8; 16] = outer.finalize().into();
    (0..ROUNDS).fold(first, |last, round| {
        let odd = round % 2 == 1;
        let nothing: &[u8] = b"";
        md5(&[
            if odd { password } else { &last },
            if round % 3 != 0 { salt } else { nothing },
            if round % 7 != 0 { password } else { nothing },
            if odd { &last } else { password },
        ])
    })
}

fn md5(parts: &[&[u8]]) -> [u8; 16] {
    let mut md5 = Md5::new();
    for part in parts {
        md5.update(part);
    }
    md5.finalize().into()
}
