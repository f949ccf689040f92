//! bcrypt, as `htpasswd -B` and PHP's password_hash write it. `$2a$`, `$2b$` and `$2y$` are one function.

use base64::Engine;
use bcrypt::{BASE_64, bcrypt};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Time of each doubling step, in nanoseconds.
const STEP: u64 = 71_000;

/// Bytes of a password that bcrypt reads; Apache ignores the rest too.
const READ: usize = 72;

/// Characters of the salt.
const SALT: usize = 22;

/// A bcrypt hash.
#[derive(Debug)]
pub struct Bcrypt {
    /// Logarithm of the number of rounds.
    cost: u32,
    salt: [u8; 16],
    digest: [u8; 23],
}

impl Bcrypt {
    /// Parses what follows the version: `10$` with the salt and the digest.
    pub(super) fn parse(rest: &str) -> Option<Self> {
        let (cost, rest) = rest.split_once('$')?;
        let (salt, digest) = rest.split_at_checked(SALT)?;
        let digits = cost.len() == 2 && cost.bytes().all(|byte| byte.is_ascii_digit());
        let cost = cost
            .parse()
            .ok()
            .filter(|cost| digits && (4..=31).contains(cost))?;
        Some(Self {
            cost,
            salt: decode(salt)?,
            digest: decode(digest)?,
        })
    }

    pub(super) fn verify(&self, password: &[u8]) -> bool {
        // The password with its NUL, as far as bcrypt reads.
        let mut key = Zeroizing::new([0; READ]);
        for (to, from) in key.iter_mut().zip(password) {
            *to = *from;
        }
        let length = READ.min(password.len() + 1);
        let key = key.get(..length).unwrap_or_default();
        let digest = bcrypt(self.cost, self.salt, key);
        digest
            .get(..self.digest.len())
            .is_some_and(|digest| digest.ct_eq(&self.digest).into())
    }

    pub(super) fn cost(&self) -> u64 {
        STEP << self.cost
    }
}

fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    BASE_64.decode(text).ok()?.try_into().ok()
}
