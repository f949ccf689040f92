//! The user that a process runs as.

use std::io;

use nix::unistd::{self, Gid, Uid};
use serde::{Deserialize, Serialize};

use super::accounts;

/// The credentials of a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Its name; its number for a user without an entry in the user database.
    pub name: String,
    /// Its number.
    pub uid: u32,
    /// Its primary group.
    pub gid: u32,
    /// Its supplementary groups, ascending.
    pub groups: Vec<u32>,
}

/// The user and group that a configuration asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    pub(super) user: Option<Account>,
    pub(super) group: Option<u32>,
}

/// A user with an entry in the user database, or a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) name: String,
    pub(super) uid: u32,
    /// The primary group; `None` without an entry.
    pub(super) gid: Option<u32>,
}

/// A user that cannot be chosen.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum UserError {
    /// Root, no `user`, and no user of the default name.
    #[error(
        "started as root, and server.user is missing: write user = \"NAME\" in [server], a user without rights of its own \
         ({DEFAULT}, the default, does not exist here); user = \"root\" serves as root"
    )]
    Missing,
    /// A number without an entry in the user database.
    #[error(
        "server.user = \"{0}\" has no entry in the user database and so no primary group: set server.group"
    )]
    NoGroup(String),
    /// Only root may become another user.
    #[error(
        "server.user = \"{asked}\", but fcgate was started as the user {own}, which cannot become another: start it as root, \
         or remove the key"
    )]
    OtherUser {
        /// The user of the configuration.
        asked: String,
        /// The user of this process.
        own: String,
    },
    /// Only root may change to another group.
    #[error(
        "server.group is the group {asked}, but fcgate was started with the group {own}, which only root can change: start it \
         as root, or remove the key"
    )]
    OtherGroup {
        /// The group of the configuration.
        asked: u32,
        /// The group of this process.
        own: u32,
    },
    /// The groups of a user cannot be read.
    #[error("the groups of the user {0} cannot be read: {1}")]
    Groups(String, String),
}

/// The user for root without `user`: that of Debian's web servers and PHP pools.
const DEFAULT: &str = "www-data";

impl User {
    /// Returns the credentials of this process.
    pub fn own() -> Self {
        let uid = Uid::effective();
        let known = accounts::user_by_id(uid.as_raw()).ok().flatten();
        let groups = unistd::getgroups().unwrap_or_default();
        Self {
            name: known.map_or_else(|| uid.to_string(), |user| user.name),
            uid: uid.as_raw(),
            gid: Gid::effective().as_raw(),
            groups: ascending(groups),
        }
    }

    /// Returns the user to serve as, for a process with the credentials `own`.
    pub fn resolve(asked: &Asked, own: &Self) -> Result<Self, UserError> {
        if own.uid != 0 {
            return own.accept(asked);
        }
        let account = match &asked.user {
            Some(account) => account.clone(),
            None => Account::find(DEFAULT).map_err(|_| UserError::Missing)?,
        };
        // Root remains what it is, with the groups of a container and without a call that needs a capability.
        if account.uid == own.uid && asked.group.is_none_or(|gid| gid == own.gid) {
            return Ok(own.clone());
        }
        let without_group = || UserError::NoGroup(account.name.clone());
        let gid = asked.group.or(account.gid).ok_or_else(without_group)?;
        let groups = account.groups(gid)?;
        Ok(Self {
            name: account.name,
            uid: account.uid,
            gid,
            groups,
        })
    }

    /// Returns these credentials of a process that cannot change them, if they are those asked for.
    fn accept(&self, asked: &Asked) -> Result<Self, UserError> {
        if let Some(user) = asked.user.as_ref().filter(|user| user.uid != self.uid) {
            return Err(UserError::OtherUser {
                asked: user.name.clone(),
                own: self.name.clone(),
            });
        }
        match asked.group {
            Some(asked) if asked != self.gid => Err(UserError::OtherGroup {
                asked,
                own: self.gid,
            }),
            Some(_) | None => Ok(self.clone()),
        }
    }

    /// Reports whether it is root.
    pub fn is_root(&self) -> bool {
        self.uid == 0
    }
}

impl Account {
    /// Returns the user of a name or number. A number needs no entry in the user database, as in a container without one.
    pub(super) fn find(text: &str) -> Result<Self, String> {
        let number = text.parse::<u32>().ok();
        let found = match number {
            Some(number) => accounts::user_by_id(number).ok().flatten(),
            None => accounts::user_by_name(text).map_err(|error| error.to_string())?,
        };
        match (found, number) {
            (Some(user), _) => Ok(Self {
                name: user.name,
                uid: user.uid,
                gid: Some(user.gid),
            }),
            (None, Some(uid)) => Ok(Self {
                name: uid.to_string(),
                uid,
                gid: None,
            }),
            (None, None) => Err("there is none".to_owned()),
        }
    }

    /// Returns the supplementary groups, as initgroups(3) sets them.
    fn groups(&self, gid: u32) -> Result<Vec<u32>, UserError> {
        if self.gid.is_none() {
            return Ok(vec![gid]);
        }
        let failed = |error: io::Error| UserError::Groups(self.name.clone(), error.to_string());
        accounts::groups_of(&self.name, gid).map_err(failed)
    }
}

/// Returns the numbers of groups in order, each once.
pub fn ascending(groups: Vec<Gid>) -> Vec<u32> {
    let mut numbers: Vec<_> = groups.into_iter().map(Gid::as_raw).collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(user: Option<&str>, group: Option<u32>) -> Asked {
        Asked {
            user: user.map(|name| Account::find(name).unwrap()),
            group,
        }
    }

    fn user(name: &str, uid: u32, gid: u32) -> User {
        User {
            name: name.to_owned(),
            uid,
            gid,
            groups: vec![gid],
        }
    }

    #[test]
    fn root_becomes_the_user_of_the_configuration() {
        let root = user("root", 0, 0);
        for (asked, expected) in [
            (asked(Some("nobody"), None), user("nobody", 65_534, 65_534)),
            (asked(Some("65534"), None), user("nobody", 65_534, 65_534)),
            (asked(Some("70707"), Some(70)), user("70707", 70_707, 70)),
            (asked(Some("root"), None), user("root", 0, 0)),
        ] {
            assert_eq!(User::resolve(&asked, &root), Ok(expected));
        }
        let error = User::resolve(&asked(Some("70707"), None), &root).unwrap_err();
        assert_eq!(error, UserError::NoGroup("70707".to_owned()));
        let with_group = User::resolve(&asked(Some("nobody"), Some(7)), &root).unwrap();
        assert!(
            with_group.gid == 7 && with_group.groups.contains(&7),
            "{with_group:?}"
        );
    }

    #[test]
    fn root_without_a_user_becomes_the_default() {
        let resolved = User::resolve(&Asked::default(), &user("root", 0, 0));
        match Account::find(DEFAULT) {
            Ok(known) => assert_eq!(resolved.unwrap().uid, known.uid),
            Err(_) => assert_eq!(resolved, Err(UserError::Missing)),
        }
    }

    #[test]
    fn another_user_stays_who_it_is() {
        let own = user("70707", 70_707, 70);
        for same in [
            Asked::default(),
            asked(Some("70707"), None),
            asked(Some("70707"), Some(70)),
        ] {
            assert_eq!(User::resolve(&same, &own), Ok(own.clone()));
        }
        let error = User::resolve(&asked(Some("nobody"), None), &own).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("server.user = \"nobody\", but fcgate was started as the user 70707"),
            "{error}"
        );
        let error = User::resolve(&asked(None, Some(71)), &own).unwrap_err();
        assert!(
            error.to_string().contains("server.group is the group 71"),
            "{error}"
        );
    }
}
