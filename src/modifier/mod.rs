//! The modifiers of a rule: changes of a request and its answer, and guards that admit or refuse requests. One file each;
//! this is the list.
//!
//! A modifier takes effect for one request: it amends the [`RuleEdits`], or it interrupts the round. A fact that needs IO
//! it asks for, and the round is evaluated again when the [`Facts`] hold the answer.

mod checks;
mod expires;
mod fields;
mod limits;
mod php_value;
#[cfg(test)]
pub(crate) mod probe;
pub mod readings;
pub mod reserve;
mod set_env;
mod step;
#[cfg(test)]
mod tests;
mod timeouts;

use std::sync::Arc;

pub use step::Step;

use crate::failure::Failure;
use crate::message::edits::{RuleEdits, RuleId};
use crate::message::fact::{Ask, Facts};
use crate::route::template::Groups;
use crate::route::{Scope, TooHard};
use crate::section::{At, Key, Lowered, Place, Problems};
use expires::Expires;
use fields::Fields;
use limits::Limits;
use php_value::PhpValue;
use reserve::Reserve;
use set_env::SetEnv;
use timeouts::Timeouts;

/// The keys of all modifiers, in the order of the reference: a rule has modifiers if it has one of these.
pub const KEYS: [Key; 10] = [
    set_env::SET_ENV,
    set_env::UNSET_ENV,
    php_value::PHP_VALUE,
    php_value::PHP_ADMIN_VALUE,
    fields::REQUEST_HEADERS,
    fields::RESPONSE_HEADERS,
    expires::EXPIRES,
    reserve::RESERVE,
    limits::LIMITS,
    timeouts::TIMEOUTS,
];

/// The modifiers of one rule, in the order in which they take effect.
#[derive(Debug, Default)]
pub struct Modifiers {
    /// Position of the rule, as `file:line`.
    place: Arc<str>,
    list: Vec<Modifier>,
}

#[derive(Debug)]
enum Modifier {
    SetEnv(SetEnv),
    PhpValue(PhpValue),
    Fields(Fields),
    Expires(Expires),
    Reserve(Reserve),
    Limits(Limits),
    Timeouts(Timeouts),
    #[cfg(test)]
    Probe(probe::Probe),
}

/// The reason why a modifier ends the evaluation of a round.
#[derive(Debug)]
pub enum Interruption {
    /// A fact is missing: the round is evaluated again when it is known.
    Ask(Ask),
    /// The request may not pass.
    Refuse(Failure),
}

impl From<TooHard> for Interruption {
    fn from(error: TooHard) -> Self {
        Self::Refuse(error.into())
    }
}

impl Modifiers {
    /// Builds the modifiers of the rule at `place`; `show` returns a place as `file:line`.
    pub fn build(
        section: &Lowered,
        place: Arc<str>,
        (groups, show): (&Groups, &dyn Fn(&Place) -> String),
        problems: &mut Problems,
    ) -> Self {
        let all = [
            SetEnv::build(section, groups, problems).map(Modifier::SetEnv),
            PhpValue::build(section, problems).map(Modifier::PhpValue),
            Fields::build(section, groups, problems).map(Modifier::Fields),
            Expires::build(section).map(Modifier::Expires),
            Reserve::build(section).map(Modifier::Reserve),
            Limits::build(section).map(Modifier::Limits),
            Timeouts::build(section, show).map(Modifier::Timeouts),
        ];
        Self {
            place,
            list: all.into_iter().flatten().collect(),
        }
    }

    /// Returns the edits of the rule for a request, or the interruption of the round; `None` without modifiers. A value that
    /// is not a field value is left out.
    pub fn apply(
        &self,
        rule: RuleId,
        scope: &Scope<'_>,
        facts: &Facts,
    ) -> Result<Option<RuleEdits>, Interruption> {
        if self.list.is_empty() {
            return Ok(None);
        }
        let mut edits = RuleEdits::of(rule, Arc::clone(&self.place));
        for modifier in &self.list {
            modifier.apply(scope, facts, &mut edits)?;
        }
        Ok(Some(edits))
    }

    /// Applies the guards alone, for a path other than that of the request.
    fn guard(&self, scope: &Scope<'_>, facts: &Facts) -> Result<(), Interruption> {
        let mut unused = RuleEdits::default();
        let mut guards = self.list.iter().filter(|modifier| modifier.is_guard());
        guards.try_for_each(|guard| guard.apply(scope, facts, &mut unused))
    }

    /// Reports whether one of them is a guard.
    pub fn has_guard(&self) -> bool {
        self.list.iter().any(Modifier::is_guard)
    }

    /// Returns the part of PHP that is reserved for matching requests, in per cent.
    pub fn reserve(&self) -> Option<&At<u8>> {
        self.list.iter().find_map(|modifier| {
            if let Modifier::Reserve(reserve) = modifier {
                Some(reserve.percent())
            } else {
                None
            }
        })
    }
}

impl Modifier {
    #[cfg_attr(
        not(test),
        expect(unused_variables, reason = "no modifier asks for facts yet")
    )]
    fn apply(
        &self,
        scope: &Scope<'_>,
        facts: &Facts,
        edits: &mut RuleEdits,
    ) -> Result<(), Interruption> {
        match self {
            Self::SetEnv(set_env) => set_env.amend(scope, edits),
            Self::PhpValue(php_value) => php_value.amend(edits),
            Self::Fields(fields) => fields.amend(scope, edits),
            Self::Expires(expires) => expires.amend(edits),
            Self::Reserve(_) => edits.has_reserve = true,
            Self::Limits(limits) => limits.amend(edits),
            Self::Timeouts(timeouts) => timeouts.amend(edits),
            #[cfg(test)]
            Self::Probe(probe) => return probe.apply(scope, facts),
        }
        Ok(())
    }

    /// Reports whether it admits or refuses requests, rather than change them.
    fn is_guard(&self) -> bool {
        match self {
            Self::SetEnv(_) | Self::PhpValue(_) | Self::Fields(_) | Self::Expires(_) => false,
            Self::Reserve(_) | Self::Limits(_) | Self::Timeouts(_) => false,
            #[cfg(test)]
            Self::Probe(_) => true,
        }
    }
}

/// Reports whether a section has the key of a modifier.
pub fn are_given(section: &Lowered) -> bool {
    KEYS.iter().any(|key| section.is_given(key.name))
}
