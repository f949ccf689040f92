//! The server that loads a configuration.

use super::event::{Id, Request};

/// The server that loads a configuration.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) id: Id,
    pub(super) stage: Stage,
    pub(super) request: Request,
    /// Reasons for another server.
    pub(super) beyond: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Loading,
    Starting,
    Swapping,
}
