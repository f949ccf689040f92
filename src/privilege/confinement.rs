//! Rights of a confined server as a value: the parent compares those of a new configuration with those in force.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

#[cfg(test)]
mod tests;

/// Files, sockets and ports that a configuration names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Folders whose files are sent.
    pub roots: BTreeSet<PathBuf>,
    /// Links lead anywhere, so that any file may be sent that the user may read.
    pub everything: bool,
    /// Folder of spooled content.
    pub spool: PathBuf,
    /// Unix sockets of upstreams.
    pub sockets: BTreeSet<PathBuf>,
    /// TCP ports of upstreams.
    pub ports: BTreeSet<u16>,
    /// Host names are resolved.
    pub names: bool,
}

/// Rights of a confined server. Equal rights are equal values: sorted, without duplicates, and without what another right
/// includes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confinement {
    /// Files and folders to read.
    pub(super) reads: Vec<Grant>,
    /// Folders in which files are made, read, written and removed.
    pub(super) writes: Vec<Grant>,
    /// Folders of unix sockets to connect to.
    pub(super) sockets: Vec<Grant>,
    /// TCP ports to connect to.
    pub(super) ports: Vec<u16>,
    /// Host names are resolved, which takes UDP.
    pub(super) names: bool,
}

/// A right to a file, or to all below a folder. It belongs to the inode, as in Landlock: a folder that is replaced by
/// another of its name has none.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Grant {
    /// The path without links, in bytes as the file system has it.
    path: OsString,
    /// The inodes on the path, from `/` to itself.
    nodes: Vec<Node>,
}

/// Device and inode.
type Node = (u64, u64);

/// Files that serving reads whatever the configuration is: time zones of log lines, and descriptors in reserve.
const SYSTEM: [&str; 3] = ["/dev/null", "/etc/localtime", "/usr/share/zoneinfo"];

/// Files of name resolution, and the libraries of nsswitch.conf(5).
const NAMES: [&str; 13] = [
    "/etc/gai.conf",
    "/etc/host.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/resolv.conf",
    "/etc/ld.so.cache",
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/run/nscd",
    "/run/systemd/resolve",
    "/run/avahi-daemon",
];

/// Folders of the sockets of name services: nscd(8), systemd-resolved(8), and Avahi for names in `.local`.
const NAME_SERVICES: [&str; 3] = ["/run/nscd", "/run/systemd/resolve", "/run/avahi-daemon"];

/// DNS over TCP (RFC 7766).
const DNS: u16 = 53;

impl Confinement {
    /// Looks the files and folders up; a missing one has no right until it is looked up again.
    pub fn resolve(needs: &Needs) -> Self {
        let mut lookup = Lookup::default();
        let mut reads = if needs.everything {
            vec![PathBuf::from("/")]
        } else {
            let roots = needs.roots.iter();
            roots.flat_map(|root| places(root)).collect()
        };
        reads.extend(SYSTEM.map(PathBuf::from));
        let mut sockets: Vec<_> = folders(&needs.sockets);
        let mut ports = needs.ports.clone();
        if needs.names {
            reads.extend(NAMES.map(PathBuf::from));
            sockets.extend(NAME_SERVICES.map(PathBuf::from));
            ports.insert(DNS);
        }
        Self {
            reads: lookup.grants(reads),
            writes: lookup.grants(vec![needs.spool.clone()]),
            sockets: lookup.grants(sockets),
            ports: ports.into_iter().collect(),
            names: needs.names,
        }
    }

    /// Reports whether a process confined to `other` has all of these rights.
    pub fn is_within(&self, other: &Self) -> bool {
        let pairs = [
            (&self.reads, &other.reads),
            (&self.writes, &other.writes),
            (&self.sockets, &other.sockets),
        ];
        let are_granted = pairs.into_iter().all(|(asked, granted)| {
            let granted: HashSet<_> = granted.iter().filter_map(Grant::node).collect();
            asked.iter().all(|grant| grant.is_covered(&granted))
        });
        let has_ports = self.ports.iter().all(|port| other.ports.contains(port));
        are_granted && has_ports && (other.names || !self.names)
    }
}

impl Grant {
    pub(super) fn path(&self) -> &Path {
        Path::new(&self.path)
    }

    /// Returns the inode that has the right.
    fn node(&self) -> Option<Node> {
        self.nodes.last().copied()
    }

    fn is_covered(&self, granted: &HashSet<Node>) -> bool {
        self.nodes.iter().any(|node| granted.contains(node))
    }
}

/// Inodes by path: those of the upper folders are looked up once.
#[derive(Default)]
struct Lookup(HashMap<PathBuf, Option<Node>>);

impl Lookup {
    /// Returns the rights to existing paths in their canonical form.
    fn grants(&mut self, paths: Vec<PathBuf>) -> Vec<Grant> {
        let found = paths.iter().filter_map(|path| self.grant(path));
        let all: BTreeSet<_> = found.collect();
        let own: HashSet<_> = all.iter().filter_map(Grant::node).collect();
        let mut seen = HashSet::new();
        let is_needed = |grant: &Grant| {
            let upper = grant.nodes.split_last().map_or(&[][..], |(_, upper)| upper);
            !upper.iter().any(|node| own.contains(node)) && seen.insert(grant.node())
        };
        all.into_iter().filter(is_needed).collect()
    }

    fn grant(&mut self, path: &Path) -> Option<Grant> {
        let path = path.canonicalize().ok()?;
        let mut nodes = path
            .ancestors()
            .map(|folder| self.node(folder))
            .collect::<Option<Vec<_>>>()?;
        nodes.reverse();
        Some(Grant {
            path: path.into_os_string(),
            nodes,
        })
    }

    fn node(&mut self, path: &Path) -> Option<Node> {
        if let Some(known) = self.0.get(path) {
            return *known;
        }
        let metadata = fs::metadata(path).ok();
        let node = metadata.map(|metadata| (metadata.dev(), metadata.ino()));
        self.0.insert(path.to_owned(), node);
        node
    }
}

/// Returns the folders to read for a root: itself, and for each link in its name the folder that holds the target, so that
/// a deployment can flip the link to the next release. A link directly below `/` belongs to the system, as /home may.
fn places(root: &Path) -> Vec<PathBuf> {
    let links = root.ancestors().filter(|path| {
        let is_upper = path.parent().is_none_or(|parent| parent.parent().is_none());
        !is_upper && path.is_symlink()
    });
    let holders = links.filter_map(|link| {
        let target = link.canonicalize().ok()?;
        let holder = target.parent()?;
        holder.parent().is_some().then(|| holder.to_owned())
    });
    holders.chain([root.to_owned()]).collect()
}

/// Returns the folders of sockets: a server that starts again makes a new socket.
fn folders(sockets: &BTreeSet<PathBuf>) -> Vec<PathBuf> {
    let folders = sockets.iter().filter_map(|socket| socket.parent());
    folders.map(Path::to_owned).collect()
}
