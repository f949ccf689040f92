//! The destination of a log: an open file that can be reopened.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::files::open_log;

/// An open destination.
#[derive(Debug)]
pub struct Sink {
    file: File,
    /// Absent if it cannot be reopened.
    path: Option<PathBuf>,
}

impl Sink {
    /// Opens standard output, without std's buffer: lines are written many at a time.
    pub fn stdout() -> io::Result<Self> {
        Self::of(io::stdout().as_fd())
    }

    /// Opens standard error, without std's lock.
    pub(super) fn stderr() -> io::Result<Self> {
        Self::of(io::stderr().as_fd())
    }

    pub(super) fn of(descriptor: BorrowedFd<'_>) -> io::Result<Self> {
        Ok(Self {
            file: File::from(descriptor.try_clone_to_owned()?),
            path: None,
        })
    }

    /// Opens the log at `path`.
    pub fn file(path: PathBuf) -> io::Result<Self> {
        Ok(Self {
            file: open_log(&path)?,
            path: Some(path),
        })
    }

    /// Reopens the file: a new one if the old was renamed. The old one stays in use if that fails.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        if let Some(path) = &self.path {
            self.file = open_log(path)?;
        }
        Ok(())
    }

    /// Writes whole lines. Waits for room also if another process has made the shared pipe non-blocking, which applies
    /// to all its holders (open(2), O_NONBLOCK).
    pub(super) fn write(&mut self, mut lines: &[u8]) -> io::Result<()> {
        while !lines.is_empty() {
            match self.file.write(lines) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => lines = lines.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.wait_for_room()?,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn wait_for_room(&self) -> io::Result<()> {
        let mut polled = [PollFd::new(self.file.as_fd(), PollFlags::POLLOUT)];
        match poll(&mut polled, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
