//! Whether one set of conditions holds wherever another does: how a rule is found that can never match
//! because an earlier one always does. It may miss such a pair, and never invents one.

use super::condition::{Condition, Set};

impl Set {
    /// Whether this surely holds for every request for which `other` does.
    pub fn covers(&self, other: &Self) -> bool {
        let implied = |condition: &Condition| {
            let mut narrower = other.conditions.iter();
            narrower.any(|other| covers(condition, other))
        };
        self.exceptions.is_empty() && self.conditions.iter().all(implied)
    }
}

fn covers(wider: &Condition, other: &Condition) -> bool {
    use Condition as C;
    match wider {
        C::Path(wider) => matches!(other, C::Path(other) if wider.covers(other)),
        C::Prefix(wider) => match other {
            C::Prefix(other) => wider.covers(other),
            C::Path(other) => other.lies_below(wider),
            C::Pattern(_) | C::Extension(_) | C::Method(_) | C::Host(_) | C::Scheme(_) => false,
            C::Listener(_) | C::Remote(_) | C::Field(_) | C::Exists(_) => false,
            C::Any(_) | C::All(_) => false,
        },
        C::Pattern(wider) => matches!(other, C::Pattern(other) if wider.is_same(other)),
        C::Extension(wider) => matches!(other, C::Extension(other) if wider.covers(other)),
        C::Method(wider) => matches!(other, C::Method(other) if wider.covers(other)),
        C::Host(wider) => matches!(other, C::Host(other) if wider.covers(other)),
        C::Scheme(wider) => matches!(other, C::Scheme(other) if wider.is_same(other)),
        C::Listener(wider) => matches!(other, C::Listener(other) if wider.covers(other)),
        C::Remote(wider) => matches!(other, C::Remote(other) if wider.is_same(other)),
        C::Field(_) | C::Exists(_) | C::Any(_) | C::All(_) => false,
    }
}
