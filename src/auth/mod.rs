//! Trusted proxies with their forwarding fields and identifiers of requests, and access control by client address.

pub mod access;
pub mod forwarded;
pub mod forwarding;
pub mod identifiers;
pub mod trusted_fields;
pub mod trusted_proxies;

pub use access::Access;
pub use forwarded::Conflict;
pub use forwarding::Forwarding;
pub use trusted_fields::TrustedFields;
pub use trusted_proxies::TrustedProxies;
