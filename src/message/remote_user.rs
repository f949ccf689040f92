//! The authenticated user of a request.

use std::sync::Arc;

/// A user whom the gateway has authenticated: REMOTE_USER and AUTH_TYPE (RFC 3875 §4.1.11, §4.1.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteUser {
    /// The name.
    pub name: Arc<[u8]>,
    /// The authentication scheme (RFC 9110 §11.1); `None` where another service has authenticated the user.
    pub scheme: Option<&'static str>,
    /// The groups of the user.
    pub groups: Option<Arc<[Box<[u8]>]>>,
}

impl RemoteUser {
    /// Reports whether the user is a member of `group`.
    pub fn is_in(&self, group: &[u8]) -> bool {
        let groups = self.groups.as_deref().unwrap_or_default();
        groups.iter().any(|known| **known == *group)
    }
}
