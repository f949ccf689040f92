//! Credentials of the Basic scheme.

use std::fmt;

use zeroize::Zeroize;

/// A user and a password as received (RFC 7617 §2). The password is overwritten when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user.
    pub user: Box<[u8]>,
    /// The password.
    pub password: Box<[u8]>,
}

impl Drop for Credentials {
    fn drop(&mut self) {
        self.password.zeroize();
    }
}

impl fmt::Debug for Credentials {
    /// Formats the user without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = self.user.escape_ascii();
        write!(f, "Credentials({user})")
    }
}
