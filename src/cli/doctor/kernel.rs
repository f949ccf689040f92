//! Checks of the kernel's parts of the sandbox, each by a trial: a version number does not tell what a container refuses.

use std::collections::BTreeMap;

use landlock::{
    ABI, Access, AccessFs, AccessNet, LandlockStatus, Ruleset, RulesetAttr, RulesetError, Scope,
};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat2};
use rustix::thread::set_no_new_privs;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch, apply_filter};

use super::finding::Finding;

const ABOUT: &str = "kernel";

/// Checks openat2, no_new_privs, Landlock and seccomp.
pub(super) fn examine(findings: &mut Vec<Finding>) {
    findings.push(openat2_finding(try_openat2()));
    // Restrictions hold for a thread, and end with it.
    let tried = std::thread::spawn(|| (set_no_new_privs(true).is_ok(), landlock(), seccomp()));
    let Ok((has_no_new_privs, landlock, seccomp)) = tried.join() else {
        return;
    };
    findings.push(if has_no_new_privs {
        Finding::fine(
            ABOUT,
            "no_new_privs: the server cannot regain rights by a setuid program",
        )
    } else {
        Finding::warning(ABOUT, "prctl(2) refuses no_new_privs")
            .why("there is no sandbox without it")
            .fix("allow PR_SET_NO_NEW_PRIVS in the seccomp profile of the container")
    });
    findings.push(landlock_finding(&landlock));
    findings.push(seccomp_finding(seccomp));
}

fn try_openat2() -> Option<Errno> {
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_BENEATH);
    openat2(AT_FDCWD, ".", how).err()
}

fn openat2_finding(errno: Option<Errno>) -> Finding {
    let (what, fix) = match errno {
        Some(Errno::ENOSYS) => (
            "the kernel has no openat2(2), or a filter hides it",
            "Linux 5.6 or later; in a unit of systemd no RestrictSUIDSGID=",
        ),
        Some(Errno::EPERM) => (
            "openat2(2) is refused",
            "allow it in the seccomp profile of the container; current container engines do",
        ),
        // Any other error, as that of a removed folder, is one of the call.
        Some(_) | None => {
            return Finding::fine(
                ABOUT,
                "openat2(2): files are opened below their root, whatever links there are",
            );
        }
    };
    Finding::error(ABOUT, what)
        .why("no file below a root can be opened")
        .fix(fix)
}

fn landlock() -> Result<LandlockStatus, RulesetError> {
    let newest = ABI::V9;
    let rules = Ruleset::default()
        .handle_access(AccessFs::from_all(newest))?
        .handle_access(AccessNet::from_all(newest))?
        .scope(Scope::from_all(newest))?;
    Ok(rules.create()?.restrict_self()?.landlock)
}

fn landlock_finding(status: &Result<LandlockStatus, RulesetError>) -> Finding {
    let (what, fix) = match status {
        Ok(LandlockStatus::Available { effective_abi, .. }) => {
            return landlock_effect(*effective_abi as i32);
        }
        Ok(LandlockStatus::NotEnabled) => (
            "Landlock is not enabled".to_owned(),
            "add landlock to the kernel's parameter lsm=",
        ),
        Ok(LandlockStatus::NotImplemented) => (
            "the kernel has no Landlock, or a seccomp profile refuses it".to_owned(),
            "Linux 5.13 or later with CONFIG_SECURITY_LANDLOCK; in a container allow landlock_create_ruleset, landlock_add_rule and landlock_restrict_self",
        ),
        Err(error) => (
            format!("Landlock is refused: {error}"),
            "allow it in the seccomp profile of the container",
        ),
    };
    Finding::note(ABOUT, what)
        .why("a flaw in the server would have all files of its user")
        .fix(fix)
}

fn landlock_effect(abi: i32) -> Finding {
    let effect =
        format!("Landlock, ABI {abi}: the server accesses nothing but its roots, its spool folder");
    let later = GAPS.iter().filter(|(version, ..)| abi < *version);
    let missing: Vec<_> = later
        .map(|(_, what, kernel)| format!("{what} from {kernel} on"))
        .collect();
    let ports = if abi >= PORTS {
        " and the TCP ports of upstreams"
    } else {
        ""
    };
    if missing.is_empty() {
        return Finding::fine(ABOUT, format!("{effect}{ports}"));
    }
    Finding::fine(ABOUT, format!("{effect}{ports}; {}", missing.join(", ")))
}

/// Version of Landlock's interface with TCP ports.
const PORTS: i32 = 4;

/// Later versions of the interface, each with its effect and its kernel.
const GAPS: [(i32, &str, &str); 3] = [
    (PORTS, "TCP ports", "Linux 6.7"),
    (6, "abstract unix sockets", "Linux 6.12"),
    (9, "unix sockets", "Linux 7.1"),
];

fn seccomp() -> Result<(), String> {
    let architecture = TargetArch::try_from(std::env::consts::ARCH)
        .map_err(|_| "there is no list of system calls for this processor".to_owned())?;
    // It allows everything: the kind of mismatch does not matter.
    let filter = SeccompFilter::new(
        BTreeMap::new(),
        SeccompAction::Allow,
        SeccompAction::KillThread,
        architecture,
    );
    let compiled = filter.and_then(BpfProgram::try_from);
    let program = compiled.map_err(|error| error.to_string())?;
    apply_filter(&program).map_err(|error| error.to_string())
}

fn seccomp_finding(tried: Result<(), String>) -> Finding {
    match tried {
        Ok(()) => Finding::fine(ABOUT, "seccomp: the server makes the system calls of serving and no others"),
        Err(error) => Finding::note(ABOUT, format!("seccomp is not available: {error}"))
            .why("a flaw in the server could make any system call")
            .fix("a kernel with CONFIG_SECCOMP_FILTER, and a container engine that permits seccomp(2)"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Severity;
    use super::*;

    #[test]
    fn a_missing_part_is_named_with_its_kernel() {
        let missing = openat2_finding(Some(Errno::ENOSYS));
        assert_eq!(missing.severity, Severity::Error);
        assert!(missing.fix.contains("Linux 5.6"), "{}", missing.fix);
        assert!(
            openat2_finding(Some(Errno::EPERM))
                .fix
                .contains("seccomp profile")
        );
        assert_eq!(
            openat2_finding(Some(Errno::ENOENT)).severity,
            Severity::Fine
        );
        assert!(
            landlock_finding(&Ok(LandlockStatus::NotImplemented))
                .fix
                .contains("Linux 5.13")
        );
        assert!(
            landlock_finding(&Ok(LandlockStatus::NotEnabled))
                .fix
                .contains("lsm=")
        );
        let old = landlock_effect(3).what;
        assert!(old.contains("TCP ports from Linux 6.7 on"), "{old}");
        let new = landlock_effect(9).what;
        assert!(new.ends_with("and the TCP ports of upstreams"), "{new}");
        assert_eq!(
            seccomp_finding(Err("EPERM".to_owned())).severity,
            Severity::Note
        );
    }

    #[test]
    fn a_trial_confines_its_thread_alone() {
        let mut findings = Vec::new();
        examine(&mut findings);
        assert_eq!(findings.len(), 4, "{findings:?}");
        assert!(std::fs::read_dir("/").is_ok());
    }
}
