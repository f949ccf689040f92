//! The users of Basic authentication: files of users and groups, and the passwords of requests. All modules but
//! [`file`] are free of I/O and of clocks. docs/authentication.md is their manual.

pub mod credentials;
pub mod file;
mod finding;
pub mod groups;
pub mod hash;
pub mod htpasswd;

pub use credentials::credentials;
pub use file::{Current, Loaded, UserFile, UserFiles};
pub use finding::{Finding, Findings, Unavailable};
pub use groups::Groups;
pub use hash::Hash;
pub use htpasswd::{Entry, Users};
