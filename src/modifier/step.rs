//! What follows when a rule matches: its modifiers, which do not end the search, and at most one handler.

use super::Modifiers;
use crate::handler::Handler;

/// What follows.
#[derive(Debug, Default)]
pub struct Step {
    /// Whether only internal rounds come here.
    pub internal: bool,
    /// What changes, and who may pass.
    pub modifiers: Modifiers,
    /// What answers; without one the search goes on.
    pub handler: Option<Handler>,
}

impl Step {
    /// Reports whether it answers a client with an error and nothing else.
    pub fn refuses(&self) -> bool {
        !self.internal && self.handler.as_ref().is_some_and(Handler::refuses)
    }

    /// Reports whether it keeps clients from the paths that its rule names.
    pub fn guards(&self) -> bool {
        self.refuses() || (!self.internal && self.modifiers.has_guard())
    }

    /// Reports whether it is what [`Handler::ExcludeProxy`] keeps a request from.
    pub fn is_proxy_target(&self) -> bool {
        self.handler.as_ref().is_some_and(Handler::is_proxy_target)
    }
}
