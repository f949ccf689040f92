//! Methods for which a rule never holds, whatever the rest of the request. A rule that refuses with 405
//! leaves them to other rules, and names them in Allow.

use http::Method;

use super::condition::{Set, conjunction, not};

/// Methods defined for resources in general (RFC 9110 §9.3, RFC 5789), in the order of Allow.
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
    /// Returns the methods for which this surely never holds.
    pub fn excluded_methods(&self) -> Vec<Method> {
        let left = |method: &Method| self.by_method(method) == Some(false);
        METHODS.into_iter().filter(left).collect()
    }

    /// Reports whether this holds for all requests with `method`, or for none; `None` if that depends on more.
    pub(in crate::route) fn by_method(&self, method: &Method) -> Option<bool> {
        let conditions = self.conditions.iter();
        let exceptions = self.exceptions.iter();
        let conditions = conditions.map(|condition| condition.criterion().by_method(method));
        let exceptions = exceptions.map(|exception| not(exception.criterion().by_method(method)));
        conjunction(conditions.chain(exceptions))
    }
}
