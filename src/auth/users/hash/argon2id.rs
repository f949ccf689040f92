//! Argon2id (RFC 9106) in the PHC string format, as `argon2 -id -e` and PHP's password_hash write it.

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use subtle::ConstantTimeEq;

/// Time of a pass over a KiB, in nanoseconds. Lanes are computed one after the other.
const PASS: u64 = 1000;

/// Limit of the digest, in bytes; 32 are usual.
const LONGEST_DIGEST: usize = 64;

/// Limits of the salt, in bytes (RFC 9106 §3.1); 16 are usual.
const SALTS: std::ops::RangeInclusive<usize> = 8..=64;

/// An Argon2id hash.
#[derive(Debug)]
pub struct Argon2id {
    version: Version,
    params: Params,
    salt: Box<[u8]>,
    digest: Box<[u8]>,
}

impl Argon2id {
    /// Parses what follows the prefix: `v=19$m=65536,t=3,p=4$salt$digest`. Without a version it is 16.
    pub(super) fn parse(rest: &str) -> Option<Self> {
        let (version, rest) = match rest.strip_prefix("v=") {
            Some(rest) => rest.split_once('$')?,
            None => ("16", rest),
        };
        let version = match version {
            "19" => Version::V0x13,
            "16" => Version::V0x10,
            _ => return None,
        };
        let (costs, rest) = rest.split_once('$')?;
        let (salt, digest) = rest.split_once('$')?;
        let salt = STANDARD_NO_PAD.decode(salt).ok()?;
        let digest = STANDARD_NO_PAD.decode(digest).ok()?;
        let fits = SALTS.contains(&salt.len()) && digest.len() <= LONGEST_DIGEST;
        fits.then_some(())?;
        Some(Self {
            version,
            params: params(costs, digest.len())?,
            salt: salt.into(),
            digest: digest.into(),
        })
    }

    /// Fails where the memory cannot be had.
    pub(super) fn verify(&self, password: &[u8]) -> bool {
        let argon2 = Argon2::new(Algorithm::Argon2id, self.version, self.params.clone());
        let mut digest = vec![0; self.digest.len()];
        let done = argon2.hash_password_into(password, &self.salt, &mut digest);
        done.is_ok() && digest.ct_eq(&self.digest).into()
    }

    pub(super) fn cost(&self) -> u64 {
        let size = u64::from(self.params.m_cost()) * u64::from(self.params.t_cost());
        size.saturating_mul(PASS)
    }

    pub(super) fn memory(&self) -> u32 {
        self.params.m_cost()
    }
}

/// Parses `m=65536,t=3,p=4`.
fn params(costs: &str, length: usize) -> Option<Params> {
    let (m, rest) = costs.strip_prefix("m=")?.split_once(",t=")?;
    let (t, p) = rest.split_once(",p=")?;
    let number = |text: &str| text.parse::<u32>().ok();
    let p = number(p).filter(|p| *p <= Params::MAX_P_COST)?;
    Params::new(number(m)?, number(t)?, p, Some(length)).ok()
}
