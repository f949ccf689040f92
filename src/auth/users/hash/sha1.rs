//! SHA-1 without salt, as `htpasswd -s` writes it: the form of LDAP (RFC 2307 §5.3).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::Digest;
use subtle::ConstantTimeEq;

/// Time of a check, in nanoseconds.
pub(super) const COST: u64 = 100;

/// A SHA-1 hash.
#[derive(Debug)]
pub struct Sha1([u8; 20]);

impl Sha1 {
    /// Parses what follows the prefix: the digest in base64.
    pub(super) fn parse(rest: &str) -> Option<Self> {
        let digest = STANDARD.decode(rest).ok()?;
        digest.try_into().ok().map(Self)
    }

    pub(super) fn verify(&self, password: &[u8]) -> bool {
        let digest: [u8; 20] = sha1::Sha1::digest(password).into();
        digest.ct_eq(&self.0).into()
    }
}
