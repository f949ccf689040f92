//! TLS: which certificate a client is shown, what is asked of it, and what the handshake settled.
//! The cryptography is aws-lc's through rustls; versions and suites are rustls' own (TLS 1.2 and
//! 1.3, forward secrecy and AEAD only).
//!
//! Certificates are read when the configuration is, so that what is wrong with one is told at its
//! line, and again when their files change; connections never notice.

mod acceptor;
mod certificates;
mod facts;
mod name;
mod pem;

pub use acceptor::{Accepted, Acceptor, LISTEN_TLS};
pub(crate) use certificates::{CERTIFICATE, KEY};
pub use certificates::{Certificates, Inspected, SITE_TLS, ServerName};
pub use pem::PemError;
