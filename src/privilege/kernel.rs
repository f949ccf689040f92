//! System calls without which nothing can be served.

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat2};

/// A kernel or container that fcgate cannot run on.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum KernelError {
    /// The kernel lacks openat2.
    #[error(
        "the kernel has no openat2(2), by which files are opened below a root without races: fcgate needs Linux 5.6 or later"
    )]
    NoOpenat2,
    /// A seccomp filter refuses openat2.
    #[error(
        "openat2(2) is refused ({0}), by which files are opened below a root without races: a seccomp profile of the container \
         engine or of systemd lacks it. Allow it there, or update the engine: later profiles have it"
    )]
    Refused(Errno),
}

/// Reports a kernel without openat2, for which there is no substitute.
pub fn check_kernel() -> Result<(), KernelError> {
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_BENEATH);
    judge(openat2(AT_FDCWD, ".", how).err())
}

/// Any other error, as for a folder that was removed, proves that the call exists.
fn judge(errno: Option<Errno>) -> Result<(), KernelError> {
    match errno {
        Some(Errno::ENOSYS) => Err(KernelError::NoOpenat2),
        Some(errno @ Errno::EPERM) => Err(KernelError::Refused(errno)),
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_without_openat2_is_named_with_the_version_needed() {
        assert_eq!(check_kernel(), Ok(()));
        for errno in [None, Some(Errno::EACCES), Some(Errno::ENOENT)] {
            assert_eq!(judge(errno), Ok(()));
        }
        let old = judge(Some(Errno::ENOSYS)).unwrap_err().to_string();
        assert!(old.contains("Linux 5.6"), "{old}");
        let refused = judge(Some(Errno::EPERM)).unwrap_err().to_string();
        assert!(refused.contains("seccomp profile"), "{refused}");
    }
}
