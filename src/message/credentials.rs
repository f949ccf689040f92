//! Credentials of the Basic scheme.

use std::fmt;

/// A user and a password as received (RFC 7617 §2).
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user.
    pub user: Box<[u8]>,
    /// The password.
    pub password: Box<[u8]>,
}

impl fmt::Debug for Credentials {
    /// Formats the user without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = self.user.escape_ascii();
        write!(f, "Credentials({user})")
    }
}
