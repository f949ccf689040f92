//! The user of the server process, and checks with its rights.

use nix::unistd::{Gid, Uid, getegid, geteuid, setgroups, setresgid, setresuid};

use super::finding::Finding;
use crate::privilege::{Asked, User, accounts};

/// The credentials of another user, which this process has until the value is dropped. Root's remain the saved ones, so that
/// it gets them back.
#[derive(Debug)]
#[must_use = "dropped, it ends"]
pub(super) struct Impersonation {
    own: User,
}

impl Impersonation {
    /// Takes the credentials of `user`; `None` if they are those of this process already. Only for root.
    pub(super) fn begin(user: &User) -> nix::Result<Option<Self>> {
        let own = User::own();
        if *user == own {
            return Ok(None);
        }
        // Dropped on an error, it undoes the first steps.
        let begun = Self { own };
        set_groups(&user.groups)?;
        let (gid, uid) = (Gid::from_raw(user.gid), Uid::from_raw(user.uid));
        setresgid(gid, gid, getegid())?;
        setresuid(uid, uid, geteuid())?;
        Ok(Some(begun))
    }
}

impl Drop for Impersonation {
    fn drop(&mut self) {
        let (gid, uid) = (Gid::from_raw(self.own.gid), Uid::from_raw(self.own.uid));
        // To the saved credentials of root, and with its rights to the groups.
        let _ = setresuid(uid, uid, uid);
        let _ = setresgid(gid, gid, gid);
        let _ = set_groups(&self.own.groups);
    }
}

fn set_groups(groups: &[u32]) -> nix::Result<()> {
    let groups: Vec<_> = groups.iter().copied().map(Gid::from_raw).collect();
    setgroups(&groups)
}

/// Returns the user that the server gets from a parent with the rights of this process. If there is none, that is a finding,
/// and the user of this process is checked.
pub(super) fn of_server(asked: &Asked, findings: &mut Vec<Finding>) -> User {
    let own = User::own();
    User::resolve(asked, &own).unwrap_or_else(|error| {
        findings.push(Finding::warning("server.user", error.to_string()));
        own
    })
}

/// Returns the finding of a user whose rights this process cannot take.
pub(super) fn cannot_check(user: &User, error: nix::Error) -> Finding {
    let what = format!(
        "cannot check the rights of {}: {error}",
        show_user(user.uid)
    );
    Finding::warning("server.user", what)
        .why("the gateway cannot become this user either")
        .fix("give it CAP_SETUID and CAP_SETGID, or start it as the user itself")
}

/// Returns a finding with the user whose rights are checked.
pub(super) fn finding(user: &User) -> Finding {
    let further = user.groups.iter().filter(|gid| **gid != user.gid);
    let groups = std::iter::once(&user.gid).chain(further);
    let names: Vec<_> = groups.map(|gid| show_group(*gid)).collect();
    let (name, groups) = (show_user(user.uid), names.join(", "));
    let what = format!("checked with the rights of {name}, in the groups {groups}");
    Finding::fine("server.user", what)
}

/// Returns the user of this process.
pub(super) fn show_own() -> String {
    show_user(geteuid().as_raw())
}

/// Returns `www-data (33)`, or the number alone.
pub(super) fn show_user(uid: u32) -> String {
    user_name(uid).map_or_else(|| uid.to_string(), |name| format!("{name} ({uid})"))
}

fn user_name(uid: u32) -> Option<String> {
    let known = accounts::user_by_id(uid).ok().flatten();
    known.map(|user| user.name)
}

/// Returns `www-data (33)`, or the number alone.
pub(super) fn show_group(gid: u32) -> String {
    group_name(gid).map_or_else(|| gid.to_string(), |name| format!("{name} ({gid})"))
}

/// Returns the name of a group, if it has one.
pub(super) fn group_name(gid: u32) -> Option<String> {
    let known = accounts::group_by_id(gid).ok().flatten();
    known.map(|group| group.name)
}
