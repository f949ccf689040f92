//! The user of a program: `user` and `group` of `[process.NAME]`.

use std::os::fd::AsFd;

use nix::unistd::{
    Gid, Uid, fchown, getgroups, getresgid, getresuid, setgroups, setresgid, setresuid,
};
use rustix::thread::clear_ambient_capability_set;

use crate::privilege::{User, accounts, ascending};
use crate::section::{At, Key, Lowered, Problem, Problems};

pub(super) static USER: Key<Option<At<String>>> = Key::text("user", "User that runs the program, a name or a number, with its supplementary groups. Default: the user that fcgate serves as. PHP-FPM needs \"root\" only if its pools have several users. Started by another user than root, fcgate runs programs as that user, and `user` may only name it.").example("\"www-data\"");

pub(super) static GROUP: Key<Option<At<String>>> = Key::text(
    "group",
    "Its primary group, a name or a number. Default: the primary group of `user`.",
)
.example("\"www-data\"");

/// A change of the user that failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum ChangeError {
    #[error(
        "cannot become the user {user}: {call} failed: {error}; fcgate lacks CAP_SETUID or CAP_SETGID"
    )]
    Refused {
        user: String,
        call: &'static str,
        error: nix::Error,
    },
    #[error("cannot give up the ambient capabilities: {0}")]
    Capabilities(std::io::Error),
}

impl User {
    /// Returns the user of the section, for a process with the credentials `own`; `default` without both keys.
    pub(super) fn build(
        section: &Lowered,
        (own, default): (&Self, &Self),
        problems: &mut Problems,
    ) -> Option<Self> {
        let (user, group) = (section.get(&USER), section.get(&GROUP));
        if user.is_none() && group.is_none() {
            return Some(default.clone());
        }
        let account = match &user {
            Some(text) => Account::find(text, problems)?,
            None => Account::of(default),
        };
        let gid = match &group {
            Some(text) => Some(find_group(text, problems)?),
            None => account.gid,
        };
        let Some(gid) = gid else {
            let message = format!(
                "the user {} has no entry in the user database, and so no primary group",
                account.uid
            );
            problems.push(Problem::new(section.place_of(&USER), message).help("write `group` too"));
            return None;
        };
        if let Some(key) = own.cannot_become(&account, group.is_some().then_some(gid)) {
            let kind = key.name();
            let message = format!(
                "fcgate was started as the user {}, which cannot run a program as another {kind}",
                own.name
            );
            let help = format!("start it as root, or remove `{kind}`");
            problems.push(Problem::new(section.place_of(key), message).help(help));
            return None;
        }
        // Root remains what it is too, with the groups of a container.
        let is_own = account.uid == own.uid && (group.is_none() || gid == own.gid);
        if own.uid != 0 || is_own {
            return Some(own.clone());
        }
        Some(Self {
            groups: account.groups(gid),
            name: account.name,
            uid: account.uid,
            gid,
        })
    }

    /// Returns the key that names a user or group which only root can become.
    fn cannot_become(
        &self,
        account: &Account,
        group: Option<u32>,
    ) -> Option<&'static Key<Option<At<String>>>> {
        if self.uid == 0 {
            return None;
        }
        if account.uid != self.uid {
            return Some(&USER);
        }
        group.is_some_and(|gid| gid != self.gid).then_some(&GROUP)
    }

    /// Makes it the owner of a pipe, so that it may open the pipe by its path: PHP-FPM's `error_log = /proc/self/fd/2`.
    /// Without CAP_CHOWN only that fails.
    pub(super) fn give(&self, pipe: impl AsFd) {
        let _ = fchown(pipe, Some(Uid::from_raw(self.uid)), None);
    }

    /// Gives this process its credentials, and no capability by inheritance (capabilities(7)) unless it is root.
    pub(super) fn apply(&self) -> Result<(), ChangeError> {
        if !self.is_current() {
            self.change()
                .map_err(|(call, error)| ChangeError::Refused {
                    user: self.name.clone(),
                    call,
                    error,
                })?;
        }
        if self.uid != 0 {
            clear_ambient_capability_set()
                .map_err(|errno| ChangeError::Capabilities(errno.into()))?;
        }
        Ok(())
    }

    fn is_current(&self) -> bool {
        let uids = getresuid().map(|ids| [ids.real, ids.effective, ids.saved].map(Uid::as_raw));
        let gids = getresgid().map(|ids| [ids.real, ids.effective, ids.saved].map(Gid::as_raw));
        let groups = getgroups().map(ascending);
        uids == Ok([self.uid; 3])
            && gids == Ok([self.gid; 3])
            && groups.as_ref() == Ok(&self.groups)
    }

    fn change(&self) -> Result<(), (&'static str, nix::Error)> {
        let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
        let groups: Vec<_> = self.groups.iter().copied().map(Gid::from_raw).collect();
        setgroups(&groups).map_err(|errno| ("setgroups(2)", errno))?;
        setresgid(gid, gid, gid).map_err(|errno| ("setresgid(2)", errno))?;
        setresuid(uid, uid, uid).map_err(|errno| ("setresuid(2)", errno))
    }
}

/// A user with an entry in the user database, or a number.
#[derive(Debug)]
struct Account {
    name: String,
    uid: u32,
    /// The primary group; `None` without an entry.
    gid: Option<u32>,
}

impl Account {
    fn of(user: &User) -> Self {
        Self {
            name: user.name.clone(),
            uid: user.uid,
            gid: Some(user.gid),
        }
    }

    /// Returns the user of a name or number. A number needs no entry, as in a container without a user database.
    fn find(text: &At<String>, problems: &mut Problems) -> Option<Self> {
        let number = text.value.parse::<u32>().ok();
        let entry = match number {
            Some(number) => accounts::user_by_id(number),
            None => accounts::user_by_name(&text.value),
        };
        match (entry, number) {
            (Ok(Some(user)), _) => Some(Self {
                name: user.name,
                uid: user.uid,
                gid: Some(user.gid),
            }),
            (_, Some(uid)) => Some(Self {
                name: uid.to_string(),
                uid,
                gid: None,
            }),
            (entry, None) => {
                problems.push(unknown(text, "user", entry.err()));
                None
            }
        }
    }

    /// Returns the supplementary groups, as initgroups(3) sets them.
    fn groups(&self, gid: u32) -> Vec<u32> {
        accounts::groups_of(&self.name, gid).unwrap_or_else(|_| vec![gid])
    }
}

/// Returns the group of a name or number.
fn find_group(text: &At<String>, problems: &mut Problems) -> Option<u32> {
    if let Ok(number) = text.value.parse() {
        return Some(number);
    }
    let entry = accounts::group_by_name(&text.value);
    match entry {
        Ok(Some(group)) => Some(group.gid),
        entry => {
            problems.push(unknown(text, "group", entry.err()));
            None
        }
    }
}

fn unknown(text: &At<String>, kind: &str, error: Option<std::io::Error>) -> Problem {
    let reason = error.map(|error| format!(": {error}"));
    let message = format!(
        "unknown {kind} `{}`{}",
        text.value,
        reason.unwrap_or_default()
    );
    let help = format!("write the name of a {kind} of this machine, or a number");
    Problem::new(text.place.clone(), message).help(help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_root_runs_programs_as_another() {
        let other = |uid, gid| Account {
            name: String::new(),
            uid,
            gid: Some(gid),
        };
        let own = |uid, gid| User {
            name: String::new(),
            uid,
            gid,
            groups: vec![gid],
        };
        for (own, account, gid, expected) in [
            (own(0, 0), other(33, 33), Some(7), None),
            (own(33, 33), other(33, 33), None, None),
            (own(33, 33), other(33, 33), Some(33), None),
            // The primary group of the database is not asked for.
            (own(33, 7), other(33, 33), None, None),
            (own(33, 33), other(0, 0), None, Some("user")),
            (own(33, 33), other(0, 0), Some(7), Some("user")),
            (own(33, 33), other(33, 33), Some(7), Some("group")),
        ] {
            let refused = own.cannot_become(&account, gid).map(Key::name);
            assert_eq!(refused, expected, "{own:?} {account:?} {gid:?}");
        }
    }
}
