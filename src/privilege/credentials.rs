//! Giving up rights: groups, user, capabilities, and new privileges.

use std::io;

use nix::sys::stat::{Mode, umask};
use nix::unistd::{Gid, Uid, getgroups, getresgid, getresuid, setgroups, setresgid, setresuid};
use rustix::process::set_parent_process_death_signal;
use rustix::process::{DumpableBehavior, Signal, set_dumpable_behavior};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, capability_is_in_bounding_set,
    clear_ambient_capability_set, no_new_privs, remove_capability_from_bounding_set,
    set_capabilities, set_no_new_privs,
};

use super::threads::wait_until_alone;
use super::user::{User, ascending};

/// A right that could not be given up.
#[derive(Debug, thiserror::Error)]
pub enum DropError {
    /// A call failed.
    #[error("cannot serve as the user {user}: {call} failed: {error}{advice}")]
    Call {
        /// The user.
        user: String,
        /// The call, with its manual page.
        call: &'static str,
        /// Its error.
        error: io::Error,
        /// The remedy, after a semicolon; empty if none is known.
        advice: &'static str,
    },
    /// Rights were left after all calls had succeeded.
    #[error("cannot serve as the user {user}: {left}")]
    Left {
        /// The user.
        user: String,
        /// The rights.
        left: String,
    },
}

/// Mask of the modes of new files: no rights for others, as spooled content and sockets are of clients.
const MASK: Mode = Mode::S_IWGRP.union(Mode::S_IRWXO);

/// Sent to this process when its parent ends. It ends a process that does not serve yet; one that serves ignores it, and
/// drains since its channel to the parent is closed: SIGTERM would count as the second request to stop, and end it at once.
const PARENT_ENDED: Signal = Signal::USR2;

const NONE: CapabilitySets = CapabilitySets {
    effective: CapabilitySet::empty(),
    permitted: CapabilitySet::empty(),
    inheritable: CapabilitySet::empty(),
};

const LACKS_CAPABILITIES: &str = "; root lacks CAP_SETUID or CAP_SETGID, as in a container that drops them: add them, \
     start fcgate as the user itself, or write user = \"root\" in [server]";

/// Becomes `user`, without any capability and without a way to regain one; sets the umask, ends with the parent process,
/// and refuses to be traced by processes of the same user, which may be scripts. Must be called before another thread starts.
pub fn drop_privileges(user: &User) -> Result<(), DropError> {
    let failed = |call, error, advice| DropError::Call {
        user: user.name.clone(),
        call,
        error,
        advice,
    };
    wait_until_alone().map_err(|error| failed("the check of threads", error, ""))?;
    empty_bounding_set();
    if User::own() != *user {
        become_user(user)
            .map_err(|(call, errno)| failed(call, errno.into(), LACKS_CAPABILITIES))?;
    }
    give_up_capabilities().map_err(|(call, errno)| failed(call, errno.into(), ""))?;
    umask(MASK);
    // A change of credentials resets both of these (prctl(2)).
    set_parent_process_death_signal(Some(PARENT_ENDED))
        .and_then(|()| set_dumpable_behavior(DumpableBehavior::NotDumpable))
        .map_err(|errno| failed("prctl(2)", errno.into(), ""))?;
    check(user)
}

/// Removes all capabilities from the bounding set, where this process may: they could only be gained by an execution, which
/// `no_new_privs` and seccomp prevent too.
fn empty_bounding_set() {
    for number in 0..u64::BITS {
        let capability = CapabilitySet::from_bits_retain(1 << number);
        // EINVAL: higher than the last capability of the kernel.
        if capability_is_in_bounding_set(capability).is_err() {
            return;
        }
        let _ = remove_capability_from_bounding_set(capability);
    }
}

type Failed<T> = (&'static str, T);

fn become_user(user: &User) -> Result<(), Failed<nix::Error>> {
    let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
    let groups: Vec<_> = user.groups.iter().copied().map(Gid::from_raw).collect();
    setgroups(&groups).map_err(|errno| ("setgroups(2)", errno))?;
    setresgid(gid, gid, gid).map_err(|errno| ("setresgid(2)", errno))?;
    setresuid(uid, uid, uid).map_err(|errno| ("setresuid(2)", errno))
}

fn give_up_capabilities() -> Result<(), Failed<rustix::io::Errno>> {
    clear_ambient_capability_set().map_err(|errno| ("prctl(PR_CAP_AMBIENT)", errno))?;
    set_capabilities(None, NONE).map_err(|errno| ("capset(2)", errno))?;
    set_no_new_privs(true).map_err(|errno| ("prctl(PR_SET_NO_NEW_PRIVS)", errno))
}

/// Reads everything back.
fn check(user: &User) -> Result<(), DropError> {
    let left = left_rights(user).unwrap_or_else(|error| vec![format!("cannot tell: {error}")]);
    if left.is_empty() {
        return Ok(());
    }
    Err(DropError::Left {
        user: user.name.clone(),
        left: left.join(", "),
    })
}

/// Returns each right that differs from those of `user` without capabilities.
fn left_rights(user: &User) -> io::Result<Vec<String>> {
    let mut left = Vec::new();
    let ids = getresuid()?;
    let uids = [ids.real, ids.effective, ids.saved].map(Uid::as_raw);
    if uids != [user.uid; 3] {
        left.push(format!("user IDs {uids:?} are left"));
    }
    let ids = getresgid()?;
    let gids = [ids.real, ids.effective, ids.saved].map(Gid::as_raw);
    if gids != [user.gid; 3] {
        left.push(format!("group IDs {gids:?} are left"));
    }
    let groups = ascending(getgroups()?);
    if groups != user.groups {
        left.push(format!("supplementary groups {groups:?} are left"));
    }
    let sets = capabilities(None)?;
    if sets != NONE {
        left.push(format!("capabilities are left: {sets:?}"));
    }
    if !no_new_privs()? {
        left.push("new privileges are possible".to_owned());
    }
    Ok(left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_that_are_left_are_named() {
        let own = User::own();
        let other = User {
            uid: own.uid + 1,
            gid: own.gid + 1,
            groups: vec![own.gid + 1],
            ..own
        };
        let left = left_rights(&other).unwrap().join(", ");
        for expected in [
            "user IDs",
            "group IDs",
            "supplementary groups",
            "new privileges",
        ] {
            assert!(left.contains(expected), "{expected}: {left}");
        }
    }
}
