//! Trusted proxies and their forwarding fields, access control by client address, and Basic
//! authentication.

pub mod access;
pub mod basic;
pub mod forwarded;
pub mod forwarding;
pub mod trusted_fields;
pub mod trusted_proxies;
pub mod users;
pub mod verifier;

pub use access::Access;
pub use forwarded::Conflict;
pub use forwarding::Forwarding;
pub use trusted_fields::TrustedFields;
pub use trusted_proxies::TrustedProxies;
