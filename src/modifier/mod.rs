//! The modifiers of a rule: changes of a request and its answer, and guards that admit or refuse requests. One file each;
//! this is the list.
//!
//! A modifier takes effect for one request: it amends the [`RuleEdits`], or it interrupts the round. A fact that needs IO
//! it asks for, and the round is evaluated again when the [`fact::Facts`] hold the answer.

mod access_section;
mod auth;
mod checks;
mod expires;
pub mod fact;
pub(crate) mod fields;
mod forward_auth;
pub mod limits;
mod modify;
pub(crate) mod php_value;
mod policy;
#[cfg(test)]
pub(crate) mod probe;
pub mod readings;
mod require;
pub mod reserve;
pub(crate) mod set_env;
mod step;
pub mod taken;
#[cfg(test)]
mod tests;
pub mod timeouts;

use std::fmt::Debug;
use std::sync::Arc;

pub use modify::{Inputs, Interruption};
pub use step::Step;

use crate::auth::Authentication;
use crate::files::Files;
use crate::limits::rate::RateLimiter;
use crate::message::Target;
use crate::message::edits::{RuleEdits, RuleId};
use crate::route::Scope;
use crate::route::template::Groups;
use crate::section::{At, Group, Lowered, Place, Problems};
use auth::Auth;
use expires::Expires;
use fields::Fields;
use forward_auth::ForwardAuth;
use limits::{Limits, UserLimit};
use modify::{Modify, Parts};
use php_value::PhpValue;
use policy::Policy;
use require::Require;
use reserve::Reserve;
use set_env::SetEnv;
use timeouts::Timeouts;

/// Defines the list of all modifiers: the type of each, its keys, and its constructor from a section.
macro_rules! modifiers {
    ($($(#[$cfg:meta])* $name:ident($kind:ty) = [$($key:path),*], $build:path;)*) => {
        /// The keys of all modifiers, in the order of the reference.
        pub static KEYS: Group = &[$($(&$key,)*)*];

        #[derive(Debug)]
        enum Modifier {
            $($(#[$cfg])* $name($kind),)*
        }

        impl Modifier {
            /// Builds the modifiers of a rule, in the order of the list.
            fn all(section: &Lowered, parts: &mut Parts<'_>) -> Vec<Self> {
                let mut all = Vec::new();
                $($(#[$cfg])* all.extend($build(section, parts).map(Self::$name));)*
                all
            }

            fn apply(
                &self,
                scope: &Scope<'_>,
                inputs: &mut Inputs<'_>,
                edits: &mut RuleEdits,
            ) -> Result<(), Interruption> {
                match self {
                    $($(#[$cfg])* Self::$name(kind) => kind.apply(scope, inputs, edits),)*
                }
            }

            fn kind(&self) -> &dyn Modify {
                match self {
                    $($(#[$cfg])* Self::$name(kind) => kind,)*
                }
            }

            fn kind_mut(&mut self) -> &mut dyn Modify {
                match self {
                    $($(#[$cfg])* Self::$name(kind) => kind,)*
                }
            }
        }
    };
}

// They take effect in this order.
modifiers! {
    Require(Require) = [access_section::REQUIRE], Require::build;
    Limits(Limits) = [limits::LIMITS], Limits::build;
    Auth(Auth) = [access_section::AUTH], Auth::build;
    // The total time limit holds for the subrequest of the next one.
    Timeouts(Timeouts) = [timeouts::TIMEOUTS], Timeouts::build;
    ForwardAuth(ForwardAuth) = [forward_auth::FORWARD_AUTH], ForwardAuth::build;
    UserLimit(UserLimit) = [], UserLimit::build;
    SetEnv(SetEnv) = [set_env::SET_ENV, set_env::UNSET_ENV], SetEnv::build;
    PhpValue(PhpValue) = [php_value::PHP_VALUE, php_value::PHP_ADMIN_VALUE], PhpValue::build;
    Fields(Fields) = [fields::REQUEST_HEADERS, fields::RESPONSE_HEADERS], Fields::build;
    Expires(Expires) = [expires::EXPIRES], Expires::build;
    Reserve(Reserve) = [reserve::RESERVE], Reserve::build;
    #[cfg(test)]
    Probe(probe::Probe) = [], probe::build;
}

/// The modifiers of one rule, in the order in which they take effect.
#[derive(Debug, Default)]
pub struct Modifiers {
    /// Position of the rule, as `file:line`.
    place: Arc<str>,
    list: Vec<Modifier>,
}

impl Modifiers {
    /// Builds the modifiers of the rule at `place`; `show` returns a place as `file:line`.
    pub fn build(
        section: &Lowered,
        place: Arc<str>,
        (groups, show): (&Groups, &dyn Fn(&Place) -> String),
        (authentication, files): (&Authentication, &Files),
        problems: &mut Problems,
    ) -> Self {
        let mut parts = Parts {
            groups,
            policy: Policy::build(section, groups, problems).map(Arc::new),
            authentication,
            files,
            show,
            problems,
        };
        Self {
            place,
            list: Modifier::all(section, &mut parts),
        }
    }

    /// Returns the edits of the rule for a request, or the interruption of the round; `None` without modifiers. A value that
    /// is not a field value is left out.
    pub fn apply(
        &self,
        rule: RuleId,
        scope: &Scope<'_>,
        inputs: &mut Inputs<'_>,
    ) -> Result<Option<RuleEdits>, Interruption> {
        if self.list.is_empty() {
            return Ok(None);
        }
        let all = self.list.iter();
        self.apply_each(all, rule, scope, inputs).map(Some)
    }

    /// Applies the guards alone, for a path other than that of the request, and returns their edits.
    fn guard(
        &self,
        rule: RuleId,
        scope: &Scope<'_>,
        inputs: &mut Inputs<'_>,
    ) -> Result<RuleEdits, Interruption> {
        let all = self.list.iter();
        let guards = all.filter(|modifier| modifier.kind().is_guard());
        self.apply_each(guards, rule, scope, inputs)
    }

    /// Applies some of the modifiers, in their order. Each knows the user whom those before it have authenticated.
    fn apply_each<'a>(
        &self,
        modifiers: impl Iterator<Item = &'a Modifier>,
        rule: RuleId,
        scope: &Scope<'_>,
        inputs: &mut Inputs<'_>,
    ) -> Result<RuleEdits, Interruption> {
        let mut edits = RuleEdits::of(rule, Arc::clone(&self.place));
        let mut user = None;
        for modifier in modifiers {
            let scope = Scope {
                user: user.as_ref().or(scope.user),
                ..*scope
            };
            modifier.apply(&scope, inputs, &mut edits)?;
            if user != edits.user {
                user.clone_from(&edits.user);
            }
        }
        Ok(edits)
    }

    /// Reports whether one of them is a guard.
    pub fn has_guard(&self) -> bool {
        self.list.iter().any(|modifier| modifier.kind().is_guard())
    }

    /// Reports whether one of them authenticates users.
    pub fn authenticate(&self) -> bool {
        let mut modifiers = self.list.iter();
        modifiers.any(|modifier| modifier.kind().authenticates())
    }

    /// Returns the part of PHP that is reserved for matching requests, in per cent.
    pub fn reserve(&self) -> Option<&At<u8>> {
        let mut modifiers = self.list.iter();
        modifiers.find_map(|modifier| modifier.kind().reserve())
    }

    /// Returns the target of the subrequest that matching requests need.
    pub fn subrequest(&self) -> Option<&Target> {
        let mut modifiers = self.list.iter();
        modifiers.find_map(|modifier| modifier.kind().subrequest())
    }

    /// Returns the limiter of matching requests.
    pub fn limiter(&self) -> Option<&RateLimiter> {
        let mut modifiers = self.list.iter();
        modifiers.find_map(|modifier| modifier.kind().limiter())
    }

    /// Returns the limiter of matching requests.
    pub fn limiter_mut(&mut self) -> Option<&mut RateLimiter> {
        let mut modifiers = self.list.iter_mut();
        modifiers.find_map(|modifier| modifier.kind_mut().limiter_mut())
    }
}

/// Reports whether a section has the key of a modifier.
pub fn are_given(section: &Lowered) -> bool {
    KEYS.iter().any(|key| section.is_given(*key))
}
