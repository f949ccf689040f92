//! SHA crypt, as `htpasswd -2`, `htpasswd -5`, `openssl passwd` and crypt(3) write it.

use sha_crypt::{Params, sha256_crypt, sha512_crypt};
use subtle::ConstantTimeEq;

use super::crypt64;

/// Prefix of the number of rounds, where it is not the default.
const ROUNDS: &str = "rounds=";

/// Number of rounds where none is written.
const DEFAULT_ROUNDS: u32 = 5000;

/// Characters of the longest salt.
const LONGEST_SALT: usize = 16;

/// The order in which the bytes of a SHA-256 digest are written.
const ORDER_256: [u8; 32] = [
    0, 10, 20, 21, 1, 11, 12, 22, 2, 3, 13, 23, 24, 4, 14, 15, 25, 5, 6, 16, 26, 27, 7, 17, 18, 28,
    8, 9, 19, 29, 31, 30,
];

/// The order in which the bytes of a SHA-512 digest are written.
const ORDER_512: [u8; 64] = [
    0, 21, 42, 22, 43, 1, 44, 2, 23, 3, 24, 45, 25, 46, 4, 47, 5, 26, 6, 27, 48, 28, 49, 7, 50, 8,
    29, 9, 30, 51, 31, 52, 10, 53, 11, 32, 12, 33, 54, 34, 55, 13, 56, 14, 35, 15, 36, 57, 37, 58,
    16, 59, 17, 38, 18, 39, 60, 40, 61, 19, 62, 20, 41, 63,
];

/// The digest that is repeated.
#[derive(Clone, Copy, Debug)]
pub(super) enum Digest {
    /// `$5$`.
    Sha256,
    /// `$6$`.
    Sha512,
}

/// A hash of SHA crypt.
#[derive(Debug)]
pub struct ShaCrypt {
    kind: Digest,
    rounds: u32,
    params: Params,
    salt: Box<[u8]>,
    digest: Box<[u8]>,
}

impl ShaCrypt {
    /// Parses what follows the prefix: `rounds=N$salt$digest` or `salt$digest`.
    pub(super) fn parse(kind: Digest, rest: &str) -> Option<Self> {
        let (rounds, rest) = match rest.strip_prefix(ROUNDS) {
            Some(rest) => {
                let (rounds, rest) = rest.split_once('$')?;
                (rounds.parse().ok()?, rest)
            }
            None => (DEFAULT_ROUNDS, rest),
        };
        let (salt, digest) = rest.split_once('$')?;
        let order: &[u8] = match kind {
            Digest::Sha256 => &ORDER_256,
            Digest::Sha512 => &ORDER_512,
        };
        let digest = crypt64::decode(digest.as_bytes(), order)?;
        let params = Params::new(rounds).ok()?;
        (salt.len() <= LONGEST_SALT).then(|| Self {
            kind,
            rounds,
            params,
            salt: salt.as_bytes().into(),
            digest,
        })
    }

    pub(super) fn verify(&self, password: &[u8]) -> bool {
        match self.kind {
            Digest::Sha256 => sha256_crypt(password, &self.salt, self.params)
                .ct_eq(&self.digest)
                .into(),
            Digest::Sha512 => sha512_crypt(password, &self.salt, self.params)
                .ct_eq(&self.digest)
                .into(),
        }
    }

    pub(super) fn cost(&self) -> u64 {
        let round = match self.kind {
            Digest::Sha256 => 135,
            Digest::Sha512 => 440,
        };
        round * u64::from(self.rounds)
    }
}
