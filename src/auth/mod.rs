//! Trusted proxies with their forwarding fields and identifiers of requests, access control by client address, and
//! Basic authentication.

pub mod access;
pub mod basic;
pub mod forwarded;
pub mod forwarding;
pub mod identifiers;
pub mod trusted_fields;
pub mod trusted_proxies;
pub mod users;
pub mod verifier;

use std::sync::Arc;

pub use access::Access;
pub use forwarded::Conflict;
pub use forwarding::Forwarding;
pub use trusted_fields::TrustedFields;
pub use trusted_proxies::TrustedProxies;

/// State of authentication, which a reload carries over: the queue, the attempts, the remembered pairs and the files
/// that have been read.
#[derive(Clone, Debug)]
pub struct Authentication {
    /// Hashing of passwords.
    pub verifier: verifier::Verifier,
    /// Files of users.
    pub files: Arc<users::UserFiles>,
}

impl Authentication {
    /// Builds the state of a new process.
    pub fn new(hashing: verifier::Hashing) -> Self {
        Self {
            verifier: verifier::Verifier::new(hashing),
            files: Arc::default(),
        }
    }
}
