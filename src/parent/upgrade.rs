//! `SIGUSR2`: another program in the place of this one. Its server serves already; the process, its ID and its children
//! stay.

use std::convert::Infallible;
use std::env;
use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::unistd::execv;

/// The file that this program was started from, which an upgrade executes again. A symbolic link is followed then.
pub(super) fn program_file() -> PathBuf {
    let name = env::args_os().next().unwrap_or_default();
    let named = Path::new(&name);
    if named.components().count() > 1 {
        return env::current_dir().map_or_else(|_| named.to_owned(), |folder| folder.join(named));
    }
    // It was searched for in $PATH.
    let folders = env::var_os("PATH").unwrap_or_default();
    let mut files = env::split_paths(&folders).map(|folder| folder.join(named));
    files
        .find(|file| file.is_file())
        .or_else(|| env::current_exe().ok())
        .unwrap_or_else(|| named.to_owned())
}

/// Executes `program`, which takes over from `state` on standard input. Returns only if that fails.
pub(super) fn execute(program: &Path, configuration: &Path, state: OwnedFd) -> io::Error {
    // The new program has no handlers at first, and must not die of a signal meanwhile.
    block_signals();
    let error = rustix::stdio::dup2_stdin(&state)
        .map_err(io::Error::from)
        .and_then(|()| exec(program, configuration))
        .map_or_else(|error| error, |never| match never {});
    allow_signals();
    error
}

/// Blocks the signals that the parent handles: they wait until they have their handlers.
pub fn block_signals() {
    let blocked = HANDLED.into_iter().collect::<SigSet>();
    // It fails for invalid arguments alone.
    let _ = sigprocmask(SigmaskHow::SIG_BLOCK, Some(&blocked), None);
}

/// Ends the blocking of signals, here or by the program before.
pub(super) fn allow_signals() {
    let blocked = HANDLED.into_iter().collect::<SigSet>();
    // It fails for invalid arguments alone.
    let _ = sigprocmask(SigmaskHow::SIG_UNBLOCK, Some(&blocked), None);
}

const HANDLED: [Signal; 6] = [
    Signal::SIGTERM,
    Signal::SIGINT,
    Signal::SIGHUP,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGCHLD,
];

fn exec(program: &Path, configuration: &Path) -> io::Result<Infallible> {
    let words = [
        program.as_os_str(),
        OsStr::new("run"),
        OsStr::new("--config"),
        configuration.as_os_str(),
        OsStr::new("--take-over"),
    ];
    let arguments = words
        .into_iter()
        .map(|word| CString::new(word.as_bytes()))
        .collect::<Result<Vec<_>, _>>()?;
    let path = CString::new(program.as_os_str().as_bytes())?;
    Ok(execv(&path, &arguments)?)
}
