//! System calls that this process may make (seccomp(2)): those that serving takes. Any other fails with EPERM and is logged
//! once; one that is newer than the list fails with ENOSYS, so that a newer C library falls back as on an older kernel.

mod calls;
mod conditions;

use std::collections::BTreeMap;

use nix::libc;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompFilter, SeccompRule, TargetArch, apply_filter,
};

use super::refusals;
use calls::allowed;
pub(super) use calls::name;

/// Restricts this thread, and all that it starts, to the list; returns its length. Fails with the reason where the kernel
/// or the container refuses. `names`: host names are resolved, which takes UDP.
pub(super) fn restrict(names: bool) -> Result<usize, String> {
    let architecture = TargetArch::try_from(std::env::consts::ARCH)
        .map_err(|_| "there is no list of system calls for this processor".to_owned())?;
    let build = || Ok::<_, BackendError>((newer(architecture)?, listed(names, architecture)?));
    let (newer, listed) =
        build().map_err(|error| format!("the filter of system calls is invalid: {error}"))?;
    apply_filter(&newer).map_err(|error| format!("seccomp is refused: {error}"))?;
    install(&listed).map_err(|error| format!("seccomp is refused: {error}"))?;
    Ok(allowed().count() + conditions::COUNT)
}

/// Installs the list with a listener, which logs the refused calls; without one where the container has one already.
fn install(program: &BpfProgram) -> seccompiler::Result<()> {
    let log = refusals::start_log(program.clone());
    let installed = log.and_then(|log| Ok((log, refusals::install(&notifying(program))?)));
    match installed {
        // A thread that has ended drops the listener, and refused calls fail with ENOSYS.
        Ok((log, listener)) => log.send(listener).unwrap_or_default(),
        Err(_) => apply_filter(program)?,
    }
    Ok(())
}

/// First number that no call of the list's time has: numbers are the same on all processors since 424.
const NEWER: i64 = 463;

/// Numbers above it that get ENOSYS: those of several years.
const FUTURE: i64 = 32;

/// Builds the filter of the calls that a C library tries before an older one. clone3 is one: its flags are in memory, where
/// no filter can see them.
fn newer(architecture: TargetArch) -> Result<BpfProgram, BackendError> {
    let calls = (NEWER..NEWER + FUTURE).chain([libc::SYS_clone3]);
    let rules = calls.map(|call| (call, Vec::new())).collect();
    let missing = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
    SeccompFilter::new(rules, SeccompAction::Allow, missing, architecture)?.try_into()
}

/// Builds the filter of the list.
fn listed(names: bool, architecture: TargetArch) -> Result<BpfProgram, BackendError> {
    // The other filter has the last word on clone3.
    let calls = allowed().map(|(call, _)| call).chain([libc::SYS_clone3]);
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = calls.map(|call| (call, Vec::new())).collect();
    rules.extend(conditions::rules(names)?);
    SeccompFilter::new(rules, refused(), SeccompAction::Allow, architecture)?.try_into()
}

fn refused() -> SeccompAction {
    SeccompAction::Errno(libc::EPERM.unsigned_abs())
}

/// Returns the filter with a notification for each refused call in place of its error.
fn notifying(program: &BpfProgram) -> BpfProgram {
    let error = u32::from(refused());
    let mut program = program.clone();
    for statement in &mut program {
        if statement.code == RETURN && statement.k == error {
            statement.k = libc::SECCOMP_RET_USER_NOTIF;
        }
    }
    program
}

/// The statement that ends a filter: BPF_RET | BPF_K.
const RETURN: u16 = 0x06;

#[cfg(test)]
mod tests {
    use super::*;

    const ARCHITECTURES: [TargetArch; 2] = [TargetArch::x86_64, TargetArch::aarch64];

    #[test]
    fn a_filter_fits_into_the_kernel_and_refuses_by_default() {
        for architecture in ARCHITECTURES {
            for names in [true, false] {
                let program = listed(names, architecture).unwrap();
                assert!(program.len() < 4096, "{}", program.len());
                let last = program.last().unwrap();
                assert_eq!((last.code, last.k), (RETURN, u32::from(refused())));
            }
            assert!(newer(architecture).unwrap().len() < 4096);
        }
    }

    #[test]
    fn a_notification_takes_the_place_of_each_error_and_of_nothing_else() {
        let plain = listed(true, TargetArch::x86_64).unwrap();
        let notifying = notifying(&plain);
        assert_eq!(plain.len(), notifying.len());
        for (one, other) in plain.iter().zip(&notifying) {
            let is_error = one.code == RETURN && one.k == u32::from(refused());
            assert_eq!(one == other, !is_error);
        }
        assert!(plain != notifying);
    }

    #[test]
    fn a_call_is_listed_once_and_no_dangerous_one_is() {
        let mut numbers: Vec<_> = allowed().map(|(number, _)| number).collect();
        numbers.sort_unstable();
        let count = numbers.len();
        numbers.dedup();
        assert_eq!(numbers.len(), count);
        for call in [
            libc::SYS_execve,
            libc::SYS_execveat,
            libc::SYS_ptrace,
            libc::SYS_mount,
            libc::SYS_unshare,
            libc::SYS_setns,
            libc::SYS_bpf,
            libc::SYS_kill,
            libc::SYS_process_vm_readv,
            libc::SYS_io_uring_setup,
            libc::SYS_truncate,
            libc::SYS_fchmodat,
            libc::SYS_renameat2,
        ] {
            assert!(!numbers.contains(&call), "{:?}", name(call));
        }
        assert!(numbers.iter().all(|number| *number < NEWER));
    }
}
