//! Checks of this host: ports, descriptors, roots.

use std::net::SocketAddr;
use std::path::Path;

use nix::sys::resource::{Resource, getrlimit};
use nix::unistd::{AccessFlags, access, geteuid};

use super::super::htaccess::{ADVICE, HtaccessFiles};
use super::access::{Right, denied};
use super::finding::Finding;
use crate::config;
use crate::disk::RealDisk;
use crate::message::{Disk, Found, Root};
use crate::privilege::User;
use crate::site::{ListenAddress, Listener, Snapshot};

/// The bit of CAP_NET_BIND_SERVICE (capabilities(7)).
const BIND_SERVICE: u64 = 1 << 10;

/// Checks descriptors, listeners and the logs, with the rights of the parent.
pub(super) fn examine(snapshot: &Snapshot, findings: &mut Vec<Finding>) {
    findings.push(descriptors(snapshot.server.limits.connections));
    findings.extend(snapshot.listeners.iter().filter_map(listener));
    findings.extend(snapshot.logs.files().filter_map(log));
}

/// Returns the warnings of the configuration as findings, but for those of logs, which are errors here.
pub(super) fn warnings(snapshot: &Snapshot, file: &Path) -> Vec<Finding> {
    let logs: Vec<_> = snapshot
        .logs
        .files()
        .filter_map(config::unwritable_log)
        .collect();
    let is_other = |text: &&str| !logs.iter().any(|log| text.contains(log));
    snapshot
        .warnings
        .trim_end()
        .split("\n\n")
        .filter(|text| !text.is_empty())
        .filter(is_other)
        .map(|text| text.strip_prefix("warning: ").unwrap_or(text))
        .map(|what| Finding::warning(file.display(), what))
        .collect()
}

/// Checks that a log can be opened.
fn log(file: &Path) -> Option<Finding> {
    let what = config::unwritable_log(file)?;
    let finding = Finding::error("logs", what).why("the gateway does not start");
    Some(finding.fix("create its folder with write permission for the gateway's user (LogsDirectory= of systemd), or set `to` of access_log or server.log to another file"))
}

/// Checks that the user can write the spool folder. A load warns of a folder that this process itself cannot write.
pub(super) fn spool(folder: &Path, user: &User) -> Option<Finding> {
    let denied = denied(folder, Right::Create)?;
    let finding = Finding::error("server.spool_directory", denied.to_string());
    let fix = format!(
        "{}, or set server.spool_directory to another folder",
        denied.remedy(user)
    );
    Some(
        finding
            .why("request bodies that do not fit in memory get 507")
            .fix(fix),
    )
}

/// Reports `.htaccess` files, which are not read.
pub(super) fn htaccess(snapshot: &Snapshot) -> Option<Finding> {
    const ABOUT: &str = ".htaccess";
    let files = HtaccessFiles::below_roots(snapshot);
    if files.has_restrictions() {
        let finding = Finding::warning(ABOUT, files.to_string());
        return Some(
            finding
                .why("clients that they deny have access")
                .fix(ADVICE),
        );
    }
    files
        .is_reportable()
        .then(|| Finding::note(ABOUT, files.to_string()))
}

fn descriptors(connections: usize) -> Finding {
    const ABOUT: &str = "open files";
    let limit = getrlimit(Resource::RLIMIT_NOFILE).map_or(0, |(_, hard)| hard);
    let enough = usize::try_from(limit).is_ok_and(|limit| limit >= connections);
    let what = format!("limit on open files {limit}, server.limits.connections = {connections}");
    if enough {
        return Finding::fine(ABOUT, what);
    }
    Finding::warning(ABOUT, what)
        .why("each client connection needs one, and each request to PHP another: clients beyond the limit wait")
        .fix("raise the limit (ulimit -Hn, LimitNOFILE= of systemd), or lower server.limits.connections")
}

fn listener(listener: &Listener) -> Option<Finding> {
    match &listener.address {
        ListenAddress::Tcp(address) => port(*address),
        ListenAddress::Unix(path) => {
            let folder = path.parent().unwrap_or_else(|| Path::new("/"));
            let writable = access(folder, AccessFlags::W_OK | AccessFlags::X_OK);
            let error = writable.err()?;
            let what = format!("cannot create a socket in {}: {error}", folder.display());
            let finding = Finding::error(&listener.address, what).why("the gateway does not start");
            Some(finding.fix("create the folder with write permission for the gateway's user (RuntimeDirectory= of systemd)"))
        }
        ListenAddress::Systemd(_) => None,
    }
}

fn port(address: SocketAddr) -> Option<Finding> {
    let number = address.port();
    let first = first_unprivileged_port();
    if number == 0 || number >= first || can_bind_privileged() {
        return None;
    }
    let finding = Finding::error(
        address,
        format!("port {number} is below {first}, and the gateway lacks CAP_NET_BIND_SERVICE"),
    );
    Some(finding.why("the gateway does not start").fix(
        "give it the capability CAP_NET_BIND_SERVICE (AmbientCapabilities= of systemd, setcap), have systemd pass the socket, or lower net.ipv4.ip_unprivileged_port_start",
    ))
}

fn first_unprivileged_port() -> u16 {
    let text = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    text.ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(1024)
}

fn can_bind_privileged() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let text = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let mask = text.and_then(|text| u64::from_str_radix(text.trim(), 16).ok());
    mask.map_or_else(|| geteuid().is_root(), |mask| mask & BIND_SERVICE != 0)
}

/// Checks a root, and a script in it, in the gateway's view.
pub(super) fn root(root: &Root, script: Option<&[u8]>, user: &User) -> Finding {
    if let Some(denied) = denied(&root.0, Right::Search) {
        let finding = Finding::error(root.0.display(), denied.to_string());
        return finding
            .why("its files get 403, its scripts 404")
            .fix(denied.remedy(user));
    }
    let files = RealDisk::default();
    let disk = files.one_release();
    let about = root.0.display();
    let fault = match disk.open(root, b"/") {
        Found::Directory => match script.filter(|script| !disk.is_file(root, script)) {
            None => return Finding::fine(about, "the root is here and can be read"),
            Some(script) => {
                let what = format!(
                    "there is no {} in the root",
                    String::from_utf8_lossy(script)
                );
                return Finding::error(about, what)
                    .why("its requests get 404")
                    .fix("correct `root` or the script's name; with `fastcgi.missing = \"pass\"` requests are sent to PHP anyway");
            }
        },
        Found::File(_) => "the root is a file".to_owned(),
        Found::TooLong => "the root's path is too long".to_owned(),
        Found::Missing => "the root does not exist here".to_owned(),
        Found::Refused(why) => format!("the root cannot be used: {why}"),
        Found::Trouble(errno) => std::io::Error::from_raw_os_error(errno).to_string(),
    };
    Finding::error(about, fault)
        .why("the gateway looks for scripts and files here before it asks PHP: all requests get 404")
        .fix("correct `root`, give the gateway's user search permission, or mount the files here too; with `fastcgi.missing = \"pass\"` scripts are not looked for")
}
