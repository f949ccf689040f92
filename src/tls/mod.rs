//! TLS: the choice of the certificate, the verification of client certificates, and the negotiated
//! parameters. rustls with aws-lc does the cryptography; versions and cipher suites are those of rustls
//! (TLS 1.2 and 1.3, forward secrecy and AEAD only).
//!
//! Certificates are read with the configuration, so that an error names its line, and again when their
//! files change, without an effect on open connections.

mod acceptor;
mod certificates;
mod facts;
mod name;
mod pem;

pub use acceptor::{Accepted, Acceptor, LISTEN_TLS};
pub(crate) use certificates::{CERTIFICATE, KEY};
pub use certificates::{Certificates, Inspected, SITE_TLS, ServerName};
pub use pem::PemError;
