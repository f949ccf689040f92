//! Log of the system calls that seccomp refuses, each once: a thread answers the kernel's notifications with EPERM
//! (seccomp_unotify(2)). A filter alone could fail a call in silence or write to the audit log, which only root reads.
//!
//! The thread starts before the filter, and has the plain one: waiting for its own answer it would wait for ever. It answers
//! before it logs, as the caller may hold the lock of the log. docs/internals/sandbox.md, "Refused calls", has the measurements.
#![expect(
    unsafe_code,
    reason = "seccomp(2) and ioctl(2) have no safe wrapper with a listener: two calls, whose arguments are values of this function"
)]

use std::collections::HashSet;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::mpsc::{Sender, channel};
use std::thread;

use nix::errno::Errno;
use nix::libc::{
    self, SECCOMP_IOCTL_NOTIF_RECV, SECCOMP_IOCTL_NOTIF_SEND, c_int, seccomp_data, seccomp_notif,
    seccomp_notif_resp, sock_filter, sock_fprog,
};
use nix::sys::signal::{SigSet, SigmaskHow};
use seccompiler::{BpfProgram, BpfProgramRef, apply_filter};

use super::seccomp::name;

/// Installs a filter for this thread and returns its listener. Fails where a filter of the container has one (EBUSY).
pub(super) fn install(program: BpfProgramRef<'_>) -> io::Result<OwnedFd> {
    let mut statements: Vec<_> = program
        .iter()
        .map(|statement| sock_filter {
            code: statement.code,
            jt: statement.jt,
            jf: statement.jf,
            k: statement.k,
        })
        .collect();
    let length = u16::try_from(statements.len()).map_err(io::Error::other)?;
    let filter = sock_fprog {
        len: length,
        filter: statements.as_mut_ptr(),
    };
    // SAFETY: the kernel copies the statements, `length` of them, during the call.
    let installed = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            libc::SECCOMP_FILTER_FLAG_NEW_LISTENER,
            &raw const filter,
        )
    };
    let listener = c_int::try_from(Errno::result(installed)?).map_err(io::Error::other)?;
    // SAFETY: a new descriptor that nothing else has.
    Ok(unsafe { OwnedFd::from_raw_fd(listener) })
}

/// Starts the thread that refuses and logs, confined to `program` itself; it takes the listener from the channel. It
/// receives no signal, so that each goes to a thread that expects it.
pub(super) fn start_log(program: BpfProgram) -> io::Result<Sender<OwnedFd>> {
    let (sender, receiver) = channel();
    let refuse = move || {
        if apply_filter(&program).is_ok() {
            // Without a listener there is nothing to do.
            receiver.recv().iter().for_each(refuse_all);
        }
    };
    let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK)?;
    let started = thread::Builder::new()
        .name("refusals".to_owned())
        .spawn(refuse);
    before.thread_set_mask()?;
    started.map(|_| sender)
}

/// Refuses calls until the kernel ends the notifications.
fn refuse_all(listener: &OwnedFd) {
    let mut logged = HashSet::new();
    loop {
        match refuse_next(listener) {
            Ok(call) => {
                if logged.insert(call) {
                    log_refusal(call);
                }
            }
            // The caller was killed meanwhile.
            Err(Errno::EINTR | Errno::ENOENT) => {}
            Err(errno) => {
                tracing::error!(
                    error = errno.desc(),
                    "refused system calls are no longer logged"
                );
                return;
            }
        }
    }
}

fn log_refusal(call: i64) {
    let name = name(call).unwrap_or("unknown");
    tracing::warn!(
        call = name,
        number = call,
        "seccomp has refused a system call, logged once for each: a fault of fcgate, or an attack; server.sandbox = \"off\" shows the difference"
    );
}

/// Waits for a call, refuses it with EPERM, and returns its number.
fn refuse_next(listener: &OwnedFd) -> Result<i64, Errno> {
    // The kernel accepts nothing but zeros.
    let mut asked = seccomp_notif {
        id: 0,
        pid: 0,
        flags: 0,
        data: seccomp_data {
            nr: 0,
            arch: 0,
            instruction_pointer: 0,
            args: [0; 6],
        },
    };
    // SAFETY: the kernel fills this one structure, whose size is part of the request.
    let received = unsafe {
        libc::ioctl(
            listener.as_raw_fd(),
            SECCOMP_IOCTL_NOTIF_RECV,
            &raw mut asked,
        )
    };
    Errno::result(received)?;
    let answer = seccomp_notif_resp {
        id: asked.id,
        val: 0,
        error: -libc::EPERM,
        flags: 0,
    };
    // SAFETY: the kernel reads this one structure, whose size is part of the request.
    let sent = unsafe {
        libc::ioctl(
            listener.as_raw_fd(),
            SECCOMP_IOCTL_NOTIF_SEND,
            &raw const answer,
        )
    };
    Errno::result(sent)?;
    Ok(i64::from(asked.data.nr))
}
