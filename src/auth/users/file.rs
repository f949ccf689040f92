//! The files of users and groups, which are read again when they change. The request path looks at their versions
//! alone; what reads them blocks.
//!
//! htpasswd truncates its file and writes it anew, so that a changed file counts when it has been left alone for a
//! moment. Until then the previous content stays in force.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError, Weak};
use std::thread::sleep;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use tokio::time::Instant;

use super::htpasswd::{LARGEST_FILE, too_large};
use super::{Groups, Unavailable, Users};
use crate::files::{Content, Files};
use crate::message::Disk;
use crate::message::disk::FileVersion;

/// Time for which a file must have been left alone before it is read. Longer than a tick of the kernel's clock, so
/// that a later change has another time.
const SETTLED: Duration = Duration::from_millis(100);

/// The same for an empty file: its writer, which has just truncated it, may have been interrupted.
const SETTLED_EMPTY: Duration = Duration::from_secs(1);

/// Time for which a file may be missing while an editor renames.
const ABSENCE: Duration = Duration::from_millis(200);

/// Interval at which a missing or a changing file is looked at.
const PAUSE: Duration = Duration::from_millis(20);

/// Time for which the versions of files that this process cannot see hold: a request waits for the answer about them.
const RECENT: Duration = Duration::from_secs(1);

/// Time for which loading waits for a file that is being written.
const PATIENCE: Duration = Duration::from_secs(2);

/// A file of users with its file of groups, and their content in force.
#[derive(Debug)]
pub struct UserFile {
    paths: Paths,
    state: ArcSwap<State>,
    /// Held by the thread that reads.
    reading: Mutex<()>,
    /// Access to the files when they change.
    files: Files,
}

/// Content of the files of users and groups.
#[derive(Debug)]
pub struct Loaded {
    /// The users.
    pub users: Users,
    /// The groups; none without a file.
    pub groups: Groups,
}

/// Result of a look-up that does not block.
#[derive(Debug)]
pub enum Current {
    /// The content in force.
    Fresh(Arc<Loaded>),
    /// The files have changed, or could not be read: [`UserFile::reload`] finds the content.
    Stale,
    /// The content in force cannot be used, and the files have not changed since it was read.
    Unavailable(Unavailable),
}

/// User files by their paths. Those that a configuration uses are shared with the next one: what has not changed is
/// not read again.
#[derive(Debug, Default)]
pub struct UserFiles(Mutex<HashMap<Paths, Weak<UserFile>>>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Paths {
    users: PathBuf,
    groups: Option<PathBuf>,
}

/// Result of the last read.
#[derive(Clone, Debug)]
struct State {
    /// `None` after a failure that may pass without a change of the file: the next request tries again.
    versions: Option<Versions>,
    content: Result<Arc<Loaded>, Unavailable>,
    /// Time at which the versions were asked for; `None` where this process can see them itself.
    asked: Option<SystemTime>,
}

/// Versions of the two files; `None` for one that is missing or not configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Versions {
    users: Option<FileVersion>,
    groups: Option<FileVersion>,
}

impl UserFiles {
    /// Returns the user file with these paths, absolute ones, and reads it by `files` if it is new or has changed.
    /// Blocks.
    pub fn open(
        &self,
        users: &Path,
        groups: Option<&Path>,
        files: &Files,
    ) -> Result<Arc<UserFile>, Unavailable> {
        for path in [Some(users), groups].into_iter().flatten() {
            files.grant(path);
        }
        let paths = Paths {
            users: users.to_owned(),
            groups: groups.map(Path::to_owned),
        };
        // A poisoned lock is harmless: the map is consistent at every moment.
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = known.get(&paths).and_then(Weak::upgrade) {
            file.reload_by(files)?;
            return Ok(file);
        }
        known.retain(|_, file| file.strong_count() > 0);
        let file = Arc::new(UserFile::load(paths.clone(), files)?);
        known.insert(paths, Arc::downgrade(&file));
        Ok(file)
    }
}

impl UserFile {
    /// Returns the path of the file of users.
    pub fn path(&self) -> &Path {
        &self.paths.users
    }

    /// Returns the warnings about lines of the content in force, each with file and line.
    pub fn warnings(&self) -> Vec<String> {
        let state = self.state.load();
        let loaded = state.content.as_ref().ok();
        loaded.map_or_else(Vec::new, |loaded| self.paths.warnings(loaded))
    }

    /// Returns the content in force, if it is that of the files as they are now. Looks at each file once and reads
    /// none.
    pub fn current(&self, disk: &dyn Disk, now: SystemTime) -> Current {
        let state = self.state.load();
        let seen = self.paths.versions(|path| disk.version(path));
        if state.versions != Some(seen) && !seen.is_changing(now) && !state.is_recent(now) {
            return Current::Stale;
        }
        match &state.content {
            Ok(loaded) => Current::Fresh(Arc::clone(loaded)),
            Err(error) => Current::Unavailable(error.clone()),
        }
    }

    /// Reads the files if they have changed; returns the content in force. Blocks: for reading, and for 200 ms where
    /// a file is missing that was there.
    pub fn reload(&self) -> Result<Arc<Loaded>, Unavailable> {
        self.reload_by(&self.files)
    }

    fn reload_by(&self, files: &Files) -> Result<Arc<Loaded>, Unavailable> {
        let Some(_reading) = self.begin_reading() else {
            return self.in_force();
        };
        self.await_presence(files);
        let state = self.state.load();
        if state.versions == Some(self.paths.versions(|path| version(path, files))) {
            let asked = self.paths.asked(files);
            if state.asked != asked {
                let state = State::clone(&state);
                self.state.store(Arc::new(State { asked, ..state }));
            }
            return state.content.clone();
        }
        let Some(read) = self.paths.read(files) else {
            return state.content.clone();
        };
        self.log_change(&state, &read);
        let content = read.content.clone();
        self.state.store(Arc::new(read));
        content
    }

    /// Reads the files for the first time. Blocks, while they are being written for up to two seconds.
    fn load(paths: Paths, files: &Files) -> Result<Self, Unavailable> {
        let read = every_pause(PATIENCE, || paths.read(files));
        let being_written = || Unavailable::new(&paths.users, "is being written all the time");
        let state = read.ok_or_else(being_written)?;
        state.content.as_ref().map_err(Clone::clone)?;
        Ok(Self {
            paths,
            state: ArcSwap::from_pointee(state),
            reading: Mutex::default(),
            files: files.after_load(),
        })
    }

    fn in_force(&self) -> Result<Arc<Loaded>, Unavailable> {
        self.state.load().content.clone()
    }

    /// Returns the guard of the reading thread; `None` while another thread reads.
    fn begin_reading(&self) -> Option<MutexGuard<'_, ()>> {
        match self.reading.try_lock() {
            Ok(guard) => Some(guard),
            // It guards no data.
            Err(TryLockError::Poisoned(guard)) => Some(guard.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Waits until the files are there, at most 200 ms, unless they were missing already.
    fn await_presence(&self, files: &Files) {
        if self.in_force().is_ok() {
            every_pause(ABSENCE, || {
                let versions = self.paths.versions(|path| version(path, files));
                self.paths.are_all_there(versions).then_some(())
            });
        }
    }

    fn log_change(&self, before: &State, read: &State) {
        let file = self.paths.users.display();
        match &read.content {
            Ok(loaded) => {
                tracing::info!(%file, "the users have changed and were read again");
                for warning in self.paths.warnings(loaded) {
                    tracing::warn!("{warning}");
                }
            }
            // Requests that try again find the same error.
            Err(error) if before.content.as_ref().err() == Some(error) => {}
            Err(error) => tracing::error!("no user can log in, requests get 500: {error}"),
        }
    }
}

impl Paths {
    /// Reads the files. `None` while they change.
    fn read(&self, files: &Files) -> Option<State> {
        let asked = self.asked(files);
        let versions = self.versions(|path| version(path, files));
        // What is in a bundle had been left alone when it was read.
        if !files.is_bundle() && versions.is_changing(SystemTime::now()) {
            return None;
        }
        let read = self.contents(files);
        if self.versions(|path| version(path, files)) != versions {
            return None;
        }
        // A file that is there may become readable without a change of its own.
        let is_large = |error: &io::Error| error.kind() == io::ErrorKind::FileTooLarge;
        let is_unread = matches!(&read, Err((_, error)) if !is_large(error));
        let may_pass = is_unread && self.are_all_there(versions);
        Some(State {
            versions: (!may_pass).then_some(versions),
            content: read
                .map_err(|(path, error)| unavailable(path, &error))
                .and_then(|(users, groups)| self.parse(&users, groups.as_deref())),
            asked,
        })
    }

    /// Reads the content of both files. An error is that of one of them.
    fn contents(&self, files: &Files) -> Result<(Content, Option<Content>), (&Path, io::Error)> {
        let limit = u64::try_from(LARGEST_FILE).unwrap_or(u64::MAX);
        let read = |path| files.read(path, limit).map_err(|error| (path, error));
        let groups = self.groups.as_deref().map(read);
        Ok((read(&self.users)?, groups.transpose()?))
    }

    fn parse(&self, users: &[u8], groups: Option<&[u8]>) -> Result<Arc<Loaded>, Unavailable> {
        let groups = match self.groups.as_deref().zip(groups) {
            Some((path, groups)) => Groups::parse(groups, path)?,
            None => Groups::default(),
        };
        let users = Users::parse(users, &self.users)?;
        Ok(Arc::new(Loaded { users, groups }))
    }

    /// Returns the time where the versions of a file have to be asked for.
    fn asked(&self, files: &Files) -> Option<SystemTime> {
        let mut paths = [Some(&self.users), self.groups.as_ref()]
            .into_iter()
            .flatten();
        paths
            .any(|path| files.is_hidden(path))
            .then(SystemTime::now)
    }

    fn versions(&self, version: impl Fn(&Path) -> Option<FileVersion>) -> Versions {
        Versions {
            users: version(&self.users),
            groups: self.groups.as_deref().and_then(version),
        }
    }

    fn are_all_there(&self, versions: Versions) -> bool {
        versions.users.is_some() && versions.groups.is_some() == self.groups.is_some()
    }

    fn warnings(&self, loaded: &Loaded) -> Vec<String> {
        let mut warnings = loaded.users.findings().warnings(&self.users);
        if let Some(path) = &self.groups {
            warnings.extend(loaded.groups.findings().warnings(path));
        }
        warnings
    }
}

impl State {
    /// Reports whether the versions of files that this process cannot see are those of a moment ago.
    fn is_recent(&self, now: SystemTime) -> bool {
        let age = self.asked.and_then(|asked| now.duration_since(asked).ok());
        age.is_some_and(|age| age < RECENT)
    }
}

impl Versions {
    /// Reports whether a file may still be being written.
    fn is_changing(&self, now: SystemTime) -> bool {
        let mut versions = self.users.iter().chain(&self.groups);
        versions.any(|version| {
            let settled = if version.size == 0 {
                SETTLED_EMPTY
            } else {
                SETTLED
            };
            match now.duration_since(version.changed) {
                Ok(age) => age < settled,
                // Another machine's clock may be ahead a little. Far ahead, ours was put back.
                Err(ahead) => ahead.duration() < settled,
            }
        })
    }
}

fn version(path: &Path, files: &Files) -> Option<FileVersion> {
    files.status(path).ok().map(FileVersion::from)
}

fn unavailable(path: &Path, error: &io::Error) -> Unavailable {
    if error.kind() == io::ErrorKind::FileTooLarge {
        too_large(path)
    } else {
        Unavailable::unread(path, error)
    }
}

/// Repeats an attempt until it succeeds or the time is over.
fn every_pause<T>(limit: Duration, attempt: impl Fn() -> Option<T>) -> Option<T> {
    let end = Instant::now() + limit;
    loop {
        let result = attempt();
        if result.is_some() || Instant::now() >= end {
            return result;
        }
        sleep(PAUSE);
    }
}
