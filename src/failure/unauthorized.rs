//! A request without an admitted user.

use std::fmt;
use std::sync::Arc;

use http::{HeaderValue, StatusCode};

/// A request without an admitted user.
#[derive(Debug)]
pub struct Unauthorized {
    /// 401 (RFC 9110 §15.5.2), or 403 for an authenticated user.
    pub status: StatusCode,
    /// The reason.
    pub reason: UnauthorizedReason,
    /// The value of WWW-Authenticate.
    pub challenge: HeaderValue,
    /// Position of the rule, as `file:line`.
    pub place: Arc<str>,
}

/// The reason for which a request has no admitted user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnauthorizedReason {
    /// The request has no credentials, or malformed ones.
    NoCredentials,
    /// The user is unknown, or the password is wrong.
    WrongPassword {
        /// The user.
        user: Arc<[u8]>,
        /// The user exists. Only Apache's style of the error log tells.
        is_known: bool,
    },
    /// The authenticated user is not among the admitted ones.
    NotAdmitted(Arc<[u8]>),
}

impl Unauthorized {
    /// Returns the cause code.
    pub fn code(&self) -> &'static str {
        match self.reason {
            UnauthorizedReason::NoCredentials => "NO_CREDENTIALS",
            UnauthorizedReason::WrongPassword { .. } => "WRONG_PASSWORD",
            UnauthorizedReason::NotAdmitted(_) => "USER_NOT_ADMITTED",
        }
    }

    /// Returns the value of WWW-Authenticate, which a 401 must have (RFC 9110 §11.6.1).
    pub fn challenge(&self) -> Option<HeaderValue> {
        (self.status == StatusCode::UNAUTHORIZED).then(|| self.challenge.clone())
    }
}

impl fmt::Display for Unauthorized {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = &self.place;
        match &self.reason {
            UnauthorizedReason::NoCredentials => {
                write!(f, "`auth` at {place}: no credentials of the Basic scheme")
            }
            UnauthorizedReason::WrongPassword { .. } => {
                write!(f, "`auth` at {place}: unknown user or wrong password")
            }
            UnauthorizedReason::NotAdmitted(user) => {
                let user = user.escape_ascii();
                write!(
                    f,
                    "`auth` at {place}: the user {user} is not among the admitted ones"
                )
            }
        }
    }
}
