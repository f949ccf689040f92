//! Who may speak for others.

pub mod trusted_proxies;

pub use trusted_proxies::TrustedProxies;
