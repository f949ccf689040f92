//! Open roots. The name of a root may lead through symbolic links, such as the `current` of a deployment: they are
//! resolved when the root is opened, so that files and scripts of one request come from the same release.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{FileStat, Mode, fstat, stat};
use tokio::time::Instant;

use crate::message::Root;
use crate::moment;

/// Lifetime of an open root before its name is resolved again: a `current` link that a deployment
/// flips is followed within a second; at once where no file is kept open.
const AGE: Duration = Duration::from_secs(1);

/// Flags for a folder below which paths are looked up.
const FOLDER: OFlag = OFlag::O_PATH
    .union(OFlag::O_CLOEXEC)
    .union(OFlag::O_DIRECTORY);

/// Attempts to resolve a name while its links are exchanged.
const ATTEMPTS: usize = 8;

/// Open roots by name.
#[derive(Debug, Default)]
pub(super) struct Roots(RwLock<HashMap<Root, Arc<Opened>>>);

/// An open root with the time of its resolution.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) name: Root,
    pub(super) descriptor: Arc<OwnedFd>,
    /// Device and inode.
    pub(super) node: (u64, u64),
    /// The path without symbolic links, if it differs from the name.
    pub(super) real: Option<Arc<Path>>,
    /// The root and the folders above it whose paths have links, each with its path without them; the deepest first.
    links: Vec<(PathBuf, PathBuf)>,
    since: Instant,
}

impl Roots {
    /// Returns the root as it was within the last second, or opens it. `keep`: for the next requests too.
    pub(super) fn get(&self, name: &Root, keep: bool) -> Result<Arc<Opened>, Errno> {
        if keep && let Some(opened) = self.recent(name) {
            return Ok(opened);
        }
        let opened = Arc::new(Opened::open(name)?);
        if keep {
            self.write().insert(name.clone(), Arc::clone(&opened));
        }
        Ok(opened)
    }

    /// Closes the roots that no request has asked for in the last second: those of former releases among them.
    pub(super) fn sweep(&self) {
        self.write().retain(|_, opened| opened.is_recent());
    }

    /// Closes all roots.
    pub(super) fn clear(&self) {
        self.write().clear();
    }

    fn recent(&self, name: &Root) -> Option<Arc<Opened>> {
        let roots = self.read();
        let opened = roots.get(name)?;
        opened.is_recent().then(|| Arc::clone(opened))
    }

    // A poisoned lock is harmless: the map is consistent at every moment.
    fn read(&self) -> RwLockReadGuard<'_, HashMap<Root, Arc<Opened>>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<Root, Arc<Opened>>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Opened {
    /// Opens a root, and determines its path without links. A link that is exchanged meanwhile leads elsewhere than the
    /// open folder: then both steps are repeated. If they never agree, as below /proc/PID/root, the name is kept.
    fn open(name: &Root) -> Result<Self, Errno> {
        let mut opened = Self::open_folder(name)?;
        for _ in 1..ATTEMPTS {
            if opened.resolve_links() {
                break;
            }
            opened = Self::open_folder(name)?;
        }
        Ok(opened)
    }

    fn open_folder(name: &Root) -> Result<Self, Errno> {
        // Not later than the resolution, which may take its time.
        let since = moment::now();
        let descriptor = open(name.0.as_path(), FOLDER, Mode::empty())?;
        let node = node(&fstat(&descriptor)?);
        Ok(Self {
            name: name.clone(),
            descriptor: Arc::new(descriptor),
            node,
            real: None,
            links: Vec::new(),
            since,
        })
    }

    /// Resolves the links in the name; reports whether they lead to the open folder.
    fn resolve_links(&mut self) -> bool {
        let name = &self.name.0;
        let mut links = Vec::new();
        for folder in name.ancestors() {
            let Ok(real) = folder.canonicalize() else {
                return false;
            };
            if real == folder {
                break;
            }
            let Ok(rest) = name.strip_prefix(folder) else {
                break;
            };
            if stat(&below(&real, rest)).map(|stat| node(&stat)) != Ok(self.node) {
                return false;
            }
            links.push((folder.to_owned(), real));
        }
        self.real = links.first().map(|(_, real)| real.as_path().into());
        self.links = links;
        true
    }

    /// Returns the path of `other` without the links that this root and it have in common, as they were when this root was
    /// opened; `None` if they have none in common.
    pub(super) fn sibling(&self, other: &Root) -> Option<Root> {
        self.links.iter().find_map(|(folder, real)| {
            let rest = other.0.strip_prefix(folder).ok()?;
            Some(Root(below(real, rest)))
        })
    }

    /// Returns the same folder as the root `name`, whose links lead to it.
    pub(super) fn renamed(&self, name: &Root) -> Self {
        let real = self.real.as_ref().map(Arc::clone);
        Self {
            name: name.clone(),
            descriptor: Arc::clone(&self.descriptor),
            node: self.node,
            real: real.or_else(|| Some(self.name.0.as_path().into())),
            links: Vec::new(),
            since: self.since,
        }
    }

    fn is_recent(&self) -> bool {
        moment::now().duration_since(self.since) < AGE
    }
}

fn node(stat: &FileStat) -> (u64, u64) {
    (stat.st_dev, stat.st_ino)
}

/// Returns the path of `rest` below `folder`, without a slash at its end.
fn below(folder: &Path, rest: &Path) -> PathBuf {
    folder.components().chain(rest.components()).collect()
}
