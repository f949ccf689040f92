//! Requests of a server for files: a socket of their own, on which the server waits for each answer.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde::{Deserialize, Serialize};

use super::packet;
use crate::files::{Granted, Opener};

/// A request for a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRequest {
    /// Comes back with the answer: one that comes too late is not the next.
    pub number: u32,
    /// The grant that names the file.
    pub grant: u32,
    /// The file.
    pub file: FileIndex,
}

/// A file of a grant, by its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FileIndex {
    /// A file, for reading.
    File(u32),
    /// A log, for appending.
    Log(u32),
}

/// The answer: the descriptor, or the error of open(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileAnswer {
    /// Number of the request.
    pub number: u32,
    /// The error number, if there is no descriptor.
    pub error: Option<i32>,
}

/// Time limit of an answer, in milliseconds: the parent's disk may be slow.
const PATIENCE: u16 = 10_000;

/// Opens files through the parent.
#[derive(Debug)]
pub struct ParentFiles {
    /// Held for one request and its answer, with the number of the last request.
    socket: Mutex<(OwnedFd, u32)>,
    names: RwLock<Names>,
}

/// Names of the files in a grant, by index.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Names {
    /// The number of the grant.
    pub grant: u32,
    /// Files.
    pub files: Vec<PathBuf>,
    /// Logs.
    pub logs: Vec<PathBuf>,
}

impl Names {
    /// Returns the names of the files of grant `number`.
    pub fn of(number: u32, granted: &Granted) -> Self {
        Self {
            grant: number,
            files: granted.files.clone(),
            logs: granted.logs.clone(),
        }
    }
}

impl ParentFiles {
    /// Builds the opener on a `socket` to the parent.
    pub fn new(socket: OwnedFd, names: Names) -> Arc<Self> {
        Arc::new(Self {
            socket: Mutex::new((socket, 0)),
            names: RwLock::new(names),
        })
    }

    /// Replaces the names.
    pub fn set_names(&self, names: Names) {
        *self.names.write().unwrap_or_else(PoisonError::into_inner) = names;
    }

    fn request(
        &self,
        path: &Path,
        names: impl Fn(&Names) -> &[PathBuf],
        file: impl Fn(u32) -> FileIndex,
    ) -> io::Result<File> {
        let (grant, index) = {
            let known = self.names.read().unwrap_or_else(PoisonError::into_inner);
            let index = names(&known).iter().position(|name| name == path);
            (
                known.grant,
                index.and_then(|index| u32::try_from(index).ok()),
            )
        };
        let unnamed = || {
            let why = "the configuration in force does not name it";
            io::Error::new(io::ErrorKind::PermissionDenied, why)
        };
        self.ask(grant, file(index.ok_or_else(unnamed)?))
    }

    fn ask(&self, grant: u32, file: FileIndex) -> io::Result<File> {
        // It guards no data.
        let mut held = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        let (socket, last) = &mut *held;
        *last = last.wrapping_add(1);
        let number = *last;
        let request = FileRequest {
            number,
            grant,
            file,
        };
        packet::send(&*socket, &request, &[])?;
        let gone = || io::Error::new(io::ErrorKind::BrokenPipe, "the parent has ended");
        loop {
            wait_readable(socket)?;
            let (answer, descriptors) =
                packet::receive::<FileAnswer>(&*socket)?.ok_or_else(gone)?;
            if answer.number != number {
                continue;
            }
            let file = descriptors.into_iter().next();
            return match answer.error {
                Some(error) => Err(io::Error::from_raw_os_error(error)),
                None => file.map(File::from).ok_or_else(gone),
            };
        }
    }
}

impl Opener for ParentFiles {
    fn open(&self, path: &Path) -> io::Result<File> {
        self.request(path, |names| &names.files, FileIndex::File)
    }

    fn open_log(&self, path: &Path) -> io::Result<File> {
        self.request(path, |names| &names.logs, FileIndex::Log)
    }
}

fn wait_readable(socket: &OwnedFd) -> io::Result<()> {
    let mut polled = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
    loop {
        match poll(&mut polled, PollTimeout::from(PATIENCE)) {
            Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
            Ok(_) => return Ok(()),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
