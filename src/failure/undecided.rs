//! A subrequest whose answer does not decide about access.

use std::sync::Arc;

use http::StatusCode;

/// An answer to the subrequest of `forward_auth` that neither grants nor refuses access.
#[derive(Debug, thiserror::Error)]
#[error(
    "`forward_auth` of the rule at {place}: {path} answered {status}; access is decided by 2xx, 401, 403 and redirects alone"
)]
pub struct Undecided {
    /// The target of the subrequest.
    pub path: Arc<str>,
    /// The status of its answer.
    pub status: StatusCode,
    /// Position of the rule, as `file:line`.
    pub place: Arc<str>,
}
