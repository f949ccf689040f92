//! `user`, `group` and `valid_user`: the user whom a rule has authenticated, as with Apache's Require. As conditions of a
//! rule they hold for users whom an earlier rule has admitted.

use std::fmt;

use super::display::alternatives;
use super::set::Builder;
use super::{Access, Cost, Criterion, Exhausted, listed};
use crate::message::{Disk, RemoteUser, Request};
use crate::route::Captures;
use crate::section::{At, Key, Lowered, Problem};

/// The `user` key.
pub(super) static USER: Key<Vec<At<String>>> = Key::texts(
    "user",
    "Authenticated users, one of whom the client must be: Apache's `Require user`. As a condition of a rule it needs `auth` or `forward_auth` in an earlier rule; in `require`, in the same rule.",
)
.example("[\"alice\", \"bob\"]");

/// The `group` key.
pub(super) static GROUP: Key<Vec<At<String>>> = Key::texts(
    "group",
    "Groups, in one of which the authenticated user must be by the file `groups` of `auth`: Apache's `Require group`.",
)
.example("[\"staff\"]");

/// The `valid_user` key.
pub(super) static VALID_USER: Key<bool> = Key::flag(
    "valid_user",
    "Holds for every authenticated user: Apache's `Require valid-user`.",
)
.default("false");

/// A condition on the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserCondition {
    /// One of these users.
    User(Vec<String>),
    /// A member of one of these groups.
    Group(Vec<String>),
    /// Every user.
    Valid,
}

impl UserCondition {
    /// Parses the arguments of Apache's Require: `user alice bob`, `group staff`, `valid-user`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_ascii_whitespace();
        let kind = words.next()?;
        let names: Vec<_> = words.map(str::to_owned).collect();
        match (kind, names.is_empty()) {
            ("user", false) => Some(Self::User(names)),
            ("group", false) => Some(Self::Group(names)),
            ("valid-user", true) => Some(Self::Valid),
            _ => None,
        }
    }

    /// Reports whether it holds for `user`.
    pub fn admits_user(&self, user: &RemoteUser) -> bool {
        match self {
            Self::User(names) => names.iter().any(|name| *name.as_bytes() == *user.name),
            Self::Group(names) => names.iter().any(|name| user.is_in(name.as_bytes())),
            Self::Valid => true,
        }
    }
}

fn names(
    section: &Lowered,
    key: &Key<Vec<At<String>>>,
    builder: &mut Builder<'_>,
) -> Option<Vec<String>> {
    let texts = listed(section, key, builder.problems)?;
    Some(texts.into_iter().map(|text| text.value).collect())
}

pub(super) fn user(section: &Lowered, builder: &mut Builder<'_>) -> Option<UserCondition> {
    names(section, &USER, builder).map(UserCondition::User)
}

pub(super) fn group(section: &Lowered, builder: &mut Builder<'_>) -> Option<UserCondition> {
    names(section, &GROUP, builder).map(UserCondition::Group)
}

pub(super) fn valid_user(section: &Lowered, builder: &mut Builder<'_>) -> Option<UserCondition> {
    let is_valid = section.given(&VALID_USER)?;
    if !is_valid {
        let message = "`valid_user = false` is no condition";
        let problem = Problem::new(section.place_of(&VALID_USER), message);
        let help = "leave the key out, or write `not = { valid_user = true }`";
        builder.problems.push(problem.help(help));
    }
    Some(UserCondition::Valid)
}

impl Criterion for UserCondition {
    fn cost(&self) -> Cost {
        Cost::Client
    }

    fn holds(&self, request: &Request, _: &dyn Disk, _: &mut Captures) -> Result<bool, Exhausted> {
        Ok(request.user().is_some_and(|user| self.admits_user(user)))
    }

    fn admits(&self, access: &Access<'_>) -> Result<Option<bool>, Exhausted> {
        Ok(access.user.map(|user| self.admits_user(user)))
    }

    fn asks_for_user(&self) -> bool {
        true
    }
}

impl fmt::Display for UserCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(names) => write!(f, "user {}", alternatives(names)),
            Self::Group(names) => write!(f, "group {}", alternatives(names)),
            Self::Valid => f.write_str("valid_user"),
        }
    }
}
