//! For which methods a rule never holds, whatever the rest of a request: those are left to others, and Allow names them
//! where the rule refuses with 405.

use http::Method;

use super::condition::{Condition, Set};

/// The methods that have a meaning for resources in general (RFC 9110 §9.3, RFC 5789), in the order of Allow.
const METHODS: [Method; 7] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
    Method::OPTIONS,
];

impl Set {
    /// The methods for which this surely never holds.
    pub fn left_methods(&self) -> Vec<Method> {
        let left = |method: &Method| self.holds_for(method) == Some(false);
        METHODS.into_iter().filter(left).collect()
    }

    /// Whether this holds for all requests with `method`, or for none; `None` where more decides.
    fn holds_for(&self, method: &Method) -> Option<bool> {
        let conditions = self.conditions.iter();
        let exceptions = self.exceptions.iter();
        let conditions = conditions.map(|condition| condition.holds_for(method));
        let exceptions = exceptions.map(|exception| Some(!exception.holds_for(method)?));
        all(conditions.chain(exceptions))
    }
}

impl Condition {
    fn holds_for(&self, method: &Method) -> Option<bool> {
        match self {
            Self::Method(condition) => Some(condition.names(method)),
            Self::All(sets) => all(sets.iter().map(|set| set.holds_for(method))),
            // One holds where not all of them do not.
            Self::Any(sets) => {
                let none = all(sets.iter().map(|set| Some(!set.holds_for(method)?)));
                Some(!none?)
            }
            Self::Path(_) | Self::Prefix(_) | Self::Pattern(_) | Self::Extension(_) => None,
            Self::Host(_) | Self::Scheme(_) | Self::Listener(_) | Self::Remote(_) => None,
            Self::Field(_) | Self::Exists(_) => None,
        }
    }
}

/// Whether all are true, as far as is known: one that is false decides.
fn all(mut known: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    known
        .try_fold(Some(true), |all, known| match known {
            Some(false) => Err(Some(false)),
            Some(true) => Ok(all),
            None => Ok(None),
        })
        .unwrap_or_else(|decided| decided)
}
