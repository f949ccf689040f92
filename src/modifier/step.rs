//! The action of a rule: its modifiers, which do not end the search, and at most one handler.

use super::Modifiers;
use crate::handler::Handler;

/// The action of a rule.
#[derive(Debug, Default)]
pub struct Step {
    /// The rule applies to internal rounds alone.
    pub internal: bool,
    /// The modifiers of the rule.
    pub modifiers: Modifiers,
    /// The handler; without one the search goes on.
    pub handler: Option<Handler>,
}

impl Step {
    /// Reports whether it answers a client with an error and nothing else.
    pub fn refuses(&self) -> bool {
        !self.internal && self.handler.as_ref().is_some_and(Handler::refuses)
    }

    /// Reports whether it refuses clients access to the paths of its rule, always or by a guard.
    pub fn guards(&self) -> bool {
        self.refuses() || (!self.internal && self.modifiers.has_guard())
    }

    /// Reports whether it is a ProxyPassMatch, from which [`Handler::ExcludeProxy`] exempts requests.
    pub fn is_proxy_target(&self) -> bool {
        self.handler.as_ref().is_some_and(Handler::is_proxy_target)
    }
}
