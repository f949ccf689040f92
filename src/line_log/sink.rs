//! The destination of a log: an open file that can be reopened.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::PathBuf;

use nix::errno::Errno;
use nix::libc::PIPE_BUF;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::files::Files;

/// An open destination.
#[derive(Debug)]
pub(super) struct Sink {
    file: File,
    /// The most bytes of one write(2).
    most: usize,
    /// Absent if it cannot be reopened.
    origin: Option<Origin>,
    /// The last line was written in part.
    is_torn: bool,
}

/// The name of a file, and the access to it.
#[derive(Debug)]
struct Origin {
    path: PathBuf,
    files: Files,
    /// The name by which the kernel knows the open file.
    opened_as: Option<PathBuf>,
}

/// A failed write.
#[derive(Debug)]
pub(super) struct Unwritten {
    pub(super) error: io::Error,
    /// Lines that are not in the file, or only in part.
    pub(super) lines: u64,
}

impl Sink {
    /// Opens standard output, without std's buffer: lines are written many at a time.
    pub(super) fn stdout() -> io::Result<Self> {
        Self::of(io::stdout().as_fd())
    }

    /// Opens standard error, without std's lock.
    pub(super) fn stderr() -> io::Result<Self> {
        Self::of(io::stderr().as_fd())
    }

    pub(super) fn of(descriptor: BorrowedFd<'_>) -> io::Result<Self> {
        Self::new(File::from(descriptor.try_clone_to_owned()?), None)
    }

    /// Opens the log at `path`, through `files`.
    pub(super) fn file(path: PathBuf, files: Files) -> io::Result<Self> {
        let file = files.open_log(&path)?;
        let opened_as = name_of(&file);
        let origin = Origin {
            path,
            files,
            opened_as,
        };
        Self::new(file, Some(origin))
    }

    fn new(file: File, origin: Option<Origin>) -> io::Result<Self> {
        let kind = file.metadata()?.file_type();
        // pipe(7): writes of at most PIPE_BUF bytes are atomic, so that the lines of two processes do not mix.
        let is_shared = kind.is_fifo() || kind.is_socket() || kind.is_char_device();
        Ok(Self {
            file,
            most: if is_shared { PIPE_BUF } else { usize::MAX },
            origin,
            is_torn: false,
        })
    }

    /// Reports whether it is a regular file, which never blocks for a reader.
    pub(super) fn is_regular(&self) -> bool {
        self.most == usize::MAX
    }

    /// Reports whether the file was renamed or removed. Needs no permission on its folder: the kernel tells the name of
    /// an open file (proc(5), /proc/PID/fd) and the number of its names.
    pub(super) fn is_rotated(&self) -> bool {
        let Some(origin) = &self.origin else {
            return false;
        };
        let is_removed = || self.file.metadata().is_ok_and(|file| file.nlink() == 0);
        name_of(&self.file) != origin.opened_as || is_removed()
    }

    /// Reopens the file: a new one if the old was renamed. The old one stays in use if that fails.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        if let Some(origin) = &self.origin {
            *self = Self::file(origin.path.clone(), origin.files.clone())?;
        }
        Ok(())
    }

    /// Writes whole lines, to a pipe as many at once as are written atomically; a longer line may mix with those of
    /// other processes.
    pub(super) fn write(&mut self, lines: &[u8]) -> Result<(), Unwritten> {
        let mut rest = lines;
        while !rest.is_empty() {
            let end = self.end_of_write(rest);
            let (now, later) = rest.split_at_checked(end).unwrap_or((rest, &[]));
            if let Err((written, error)) = self.write_all(now) {
                let lost = rest.get(written..).unwrap_or_default();
                return Err(Unwritten {
                    error,
                    lines: count_lines(lost),
                });
            }
            rest = later;
        }
        Ok(())
    }

    /// Returns the length of the next write: the last line end within the limit, else the first behind it.
    fn end_of_write(&self, rest: &[u8]) -> usize {
        let is_end = |byte: &u8| *byte == b'\n';
        let Some(within) = rest.get(..self.most) else {
            return rest.len();
        };
        let last = within.iter().rposition(is_end);
        let end = last.or_else(|| rest.iter().position(is_end));
        end.map_or(rest.len(), |end| end + 1)
    }

    /// Writes all of `text`, or returns the number of bytes written before the error. After a part of a line it first
    /// ends that line.
    fn write_all(&mut self, text: &[u8]) -> Result<(), (usize, io::Error)> {
        if self.is_torn {
            self.write_some(b"\n").map_err(|(_, error)| (0, error))?;
        }
        let written = self.write_some(text);
        let end = match &written {
            Ok(()) => text.len(),
            Err((count, _)) => *count,
        };
        let last = text.get(..end).and_then(<[u8]>::last);
        self.is_torn = last.is_some_and(|byte| *byte != b'\n');
        written
    }

    /// Writes `text`. Waits for room also if another process has made the shared pipe non-blocking, which applies to
    /// all its holders (open(2), O_NONBLOCK).
    fn write_some(&mut self, text: &[u8]) -> Result<(), (usize, io::Error)> {
        let mut done = 0;
        while let Some(rest) = text.get(done..).filter(|rest| !rest.is_empty()) {
            let failed = match self.file.write(rest) {
                Ok(0) => io::ErrorKind::WriteZero.into(),
                Ok(written) => {
                    done += written;
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    match self.wait_for_room() {
                        Ok(()) => continue,
                        Err(error) => error,
                    }
                }
                Err(error) => error,
            };
            return Err((done, failed));
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

/// Returns the present name of an open file; `None` without /proc.
fn name_of(file: &File) -> Option<PathBuf> {
    fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).ok()
}

/// Counts lines, the last of which may lack its end.
fn count_lines(text: &[u8]) -> u64 {
    let lines = text.split_inclusive(|byte| *byte == b'\n').count();
    u64::try_from(lines).unwrap_or(u64::MAX)
}
