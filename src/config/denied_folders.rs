//! Checks of the rights of the process that serves, after it has given up those of the one that loaded the configuration.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::errno::Errno;
use nix::unistd::{AccessFlags, geteuid};

use super::folders::{SPOOL_HELP, denied, spool_key, unwritable_folder, unwritable_spool};
use super::server;
use crate::privilege::accounts;
use crate::site::Snapshot;

/// Returns a message for each folder of `snapshot` that this process may not use: the spool directory, and the roots.
/// For a process that has given up its rights: a folder may be open to the one that loaded the configuration. A
/// missing root is no fault here, since scripts may be on another machine. Blocks.
pub fn denied_folders(snapshot: &Snapshot) -> Vec<String> {
    let sites = snapshot.sites();
    let mut roots: Vec<_> = sites
        .flat_map(|site| site.roots().map(|root| (root, &*site.name)))
        .collect();
    roots.sort_unstable();
    roots.dedup_by_key(|(root, _)| *root);
    let roots = roots.into_iter();
    let denied = roots.filter_map(|(root, site)| denied_root(root, site));
    denied_spool(snapshot).into_iter().chain(denied).collect()
}

fn denied_spool(snapshot: &Snapshot) -> Option<String> {
    let directory = &snapshot.server.spool_directory;
    let error = unwritable_folder(directory)?;
    let server = snapshot.files.first()?.get(&server::KEY);
    let message = unwritable_spool(directory, &error, spool_key(&server));
    Some(format!(
        "{message}: the gateway runs as {}; {SPOOL_HELP}",
        own_user()
    ))
}

fn denied_root(root: &Path, site: &str) -> Option<String> {
    let is_denied = |folder: &&Path| denied(folder, AccessFlags::X_OK) == Some(Errno::EACCES);
    is_denied(&root).then_some(())?;
    let mut above: Vec<_> = root.ancestors().collect();
    above.reverse();
    // That of a link to a root lies elsewhere.
    let folder = above.into_iter().find(is_denied).unwrap_or(root);
    let shown = folder.display();
    let mode = folder.metadata().map_or_else(
        |_| String::new(),
        |found| format!(" (mode {:04o})", found.mode() & 0o7777),
    );
    Some(format!(
        "the root {} of the site {site} cannot be used (root): the gateway runs as {}, without permission to search the folder {shown}{mode}: its files get 403, its scripts 404; chmod o+x {shown}, or give the gateway the folder's group with server.group",
        root.display(),
        own_user(),
    ))
}

/// Returns the user of this process as `www-data (33)`, or the number alone.
fn own_user() -> String {
    let uid = geteuid();
    let known = accounts::user_by_id(uid.as_raw()).ok().flatten();
    known.map_or_else(|| uid.to_string(), |user| format!("{} ({uid})", user.name))
}
