//! Conditions of a rule, one kind a file: its key and its [`Criterion`]. The list is `conditions!`
//! below. Every other list comes from it: the enum, the keys of rules, of `not`, `any` and `all`, the
//! reference and the schema.

mod by_path;
mod criterion;
mod display;
mod exists;
mod expression;
mod extension;
mod field;
mod host;
mod language;
mod listener;
mod method;
mod nested;
mod path;
mod pattern;
mod pcre;
mod php_names;
mod prefix;
mod remote;
mod scheme;
mod set;
mod spelling;
mod user;

pub use by_path::AssumedRequest;
pub use criterion::{Access, Cost, Criterion};
pub use exists::Exists;
pub use expression::Exhausted;
pub use extension::Extension;
pub use field::FieldCondition;
pub use host::{HostCondition, HostPattern};
pub use listener::ListenerCondition;
pub use method::MethodCondition;
pub use nested::{ALL, ANY, AllOf, AnyOf, NOT_KEY, REQUIREMENTS};
pub(in crate::route) use nested::{conjunction, not};
pub use path::Path;
pub use pattern::Pattern;
pub use prefix::Prefix;
pub use remote::Remote;
pub use scheme::SchemeCondition;
pub use set::{Set, Verdict};
pub use spelling::check_path;
pub use user::UserCondition;

pub use host::KEY as HOST;
pub use listener::KEY as LISTENER;
pub use pattern::KEY as MATCH;
pub use prefix::KEY as PREFIX;
pub use scheme::KEY as SCHEME;

use std::fmt;

use super::Captures;
use crate::message::{Disk, Request};
use crate::section::{At, Group, Key, Lowered, Problem, Problems};
use set::Builder;

/// The one list of conditions: the type, key and builder of each.
macro_rules! conditions {
    ($($(#[$doc:meta])* $name:ident($kind:ty) = $key:path, $build:path;)*) => {
        /// One condition; several values within one are alternatives.
        #[derive(Debug)]
        pub enum Condition {
            $($(#[$doc])* $name($kind),)*
        }

        /// The keys of all conditions.
        pub static KEYS: Group = &[$(&$key),*];

        impl Condition {
            /// Builds the conditions of a section; an invalid value is a problem.
            fn all(section: &Lowered, builder: &mut Builder<'_>) -> Vec<Self> {
                let mut all = Vec::new();
                $(all.extend($build(section, builder).map(Self::$name));)*
                all
            }

            /// Reports whether the condition holds; patterns and prefixes store their captures in `captures`.
            pub fn holds(
                &self,
                request: &Request,
                disk: &dyn Disk,
                captures: &mut Captures,
            ) -> Result<bool, Exhausted> {
                match self {
                    $(Self::$name(kind) => kind.holds(request, disk, captures),)*
                }
            }

            /// Returns the condition's properties that need no request.
            pub(in crate::route) fn criterion(&self) -> &dyn Criterion {
                match self {
                    $(Self::$name(kind) => kind.as_criterion(),)*
                }
            }
        }
    };
}

conditions! {
    /// The whole path.
    Path(Path) = path::KEY, path::build;
    /// Leading whole segments of the path.
    Prefix(Prefix) = prefix::KEY, prefix::build;
    /// A regular expression on the path.
    Pattern(Box<Pattern>) = pattern::KEY, pattern::build;
    /// The part of the last segment after its last dot.
    Extension(Extension) = extension::KEY, extension::build;
    /// The request method.
    Method(MethodCondition) = method::KEY, method::build;
    /// The requested host.
    Host(HostCondition) = host::KEY, host::build;
    /// The scheme: with or without TLS.
    Scheme(SchemeCondition) = scheme::KEY, scheme::build;
    /// The listener of the connection.
    Listener(ListenerCondition) = listener::KEY, listener::build;
    /// The client address.
    Remote(Remote) = remote::KEY, remote::build;
    /// A header field.
    Header(Box<FieldCondition>) = field::HEADER_KEY, field::header;
    /// A parameter of the query.
    Query(Box<FieldCondition>) = field::QUERY_KEY, field::query;
    /// A cookie.
    Cookie(Box<FieldCondition>) = field::COOKIE_KEY, field::cookie;
    /// A file or a folder on the disk.
    Exists(Box<Exists>) = exists::KEY, exists::build;
    /// One of some users.
    User(UserCondition) = user::USER, user::user;
    /// A member of one of some groups.
    Group(UserCondition) = user::GROUP, user::group;
    /// Every authenticated user.
    ValidUser(UserCondition) = user::VALID_USER, user::valid_user;
    /// One of some sets.
    Any(AnyOf) = nested::ANY, nested::any;
    /// All of some sets.
    All(AllOf) = nested::ALL, nested::all;
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.criterion(), f)
    }
}

/// Returns the texts of a given list; warns of an empty one, which never holds.
fn listed(
    section: &Lowered,
    key: &Key<Vec<At<String>>>,
    problems: &mut Problems,
) -> Option<Vec<At<String>>> {
    let texts = section.given(key)?;
    if texts.is_empty() {
        let name = key.name();
        let message = format!("`{name}` is an empty list, which holds for no request");
        problems
            .warn(Problem::new(section.place_of(key), message).help("remove the key to match all"));
    }
    Some(texts)
}

/// Parses a configured path: decoded, with a leading slash.
fn absolute(text: &At<String>, problems: &mut Problems) -> Option<Vec<u8>> {
    if !text.value.starts_with('/') {
        problems.push(
            Problem::new(
                text.place.clone(),
                format!("`{}` does not begin with `/`", text.value),
            )
            .help("paths are matched decoded and normalised, and begin with `/`"),
        );
        return None;
    }
    spelling::check_path(text, problems);
    Some(text.value.clone().into_bytes())
}

#[cfg(test)]
mod tests;
