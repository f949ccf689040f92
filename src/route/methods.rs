//! For which methods a rule never holds, whatever the rest of a request: those are left to others, and Allow names them
//! where the rule refuses with 405.

use http::Method;

use super::condition::{Set, conjunction, not};

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
        let left = |method: &Method| self.by_method(method) == Some(false);
        METHODS.into_iter().filter(left).collect()
    }

    /// Whether this holds for all requests with `method`, or for none; `None` where more decides.
    pub(in crate::route) fn by_method(&self, method: &Method) -> Option<bool> {
        let conditions = self.conditions.iter();
        let exceptions = self.exceptions.iter();
        let conditions = conditions.map(|condition| condition.criterion().by_method(method));
        let exceptions = exceptions.map(|exception| not(exception.criterion().by_method(method)));
        conjunction(conditions.chain(exceptions))
    }
}
