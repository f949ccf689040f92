//! `[admin]`: the listener of the admin API.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::files::Files;
use crate::section::{At, Key, Lowered, Problem, Problems, Section, Table};
use crate::site::{AdminAddress, AdminSettings};

pub(super) static KEY: Key<Table> = Key::table("admin", &ADMIN, "The admin API.");

/// The `[admin]` section.
pub static ADMIN: Section = Section {
    title: "[admin]",
    doc: "The admin API, for `fcgate health`, `status` and `reload`, probes and Prometheus: /live, /ready, /metrics, /status, and POST /reload. It has no authentication: every client that can connect can use all of it. Over TCP it serves requests with an IP address, `localhost` or one of `hosts` as Host, and the same Origin, if there is one: a web page in a browser on this machine must not reach it. A change by a reload starts a new server.",
    groups: &[&[&ADDRESS, &MODE, &HOSTS, &PUBLIC]],
};

static ADDRESS: Key<Option<At<String>>> = Key::text("address", "\"unix:/path\", or \"127.0.0.1:9180\", an address of this machine; \"off\": no admin API. Default: the environment variable FCGATE_ADMIN, else \"unix:/run/fcgate/admin.sock\" if the folder /run/fcgate exists.").example("\"unix:/run/fcgate/admin.sock\"");

static MODE: Key<At<String>> =
    Key::text("mode", "Permissions of a unix socket, in octal.").default("\"0660\"");

static HOSTS: Key<Vec<At<String>>> = Key::texts("hosts", "Allowed names in Host over TCP, without a port; IP addresses and `localhost` are always allowed.").example("[\"gateway.monitoring.svc\"]");

static PUBLIC: Key<bool> =
    Key::flag("public", "Allows an address that other machines can reach.").default("false");

/// Folder of the default socket.
const FOLDER: &str = "/run/fcgate";

impl AdminSettings {
    /// Builds the settings from the section of the main file.
    pub fn build(section: &Lowered, files: &Files, problems: &mut Problems) -> Self {
        let mode = mode(section, problems);
        let by_variable = || {
            let value = std::env::var("FCGATE_ADMIN").ok()?;
            Some(At {
                value: value.trim().to_owned(),
                place: section.place(),
            })
        };
        let given = section.get(&ADDRESS).or_else(by_variable);
        let hosts = section.get(&HOSTS).into_iter();
        Self {
            address: match &given {
                Some(text) => address(text, mode, section, problems),
                None => default_address(mode, files),
            },
            hosts: hosts.map(|host| host.value).collect(),
            is_given: given.is_some(),
        }
    }
}

fn default_address(mode: u32, files: &Files) -> Option<AdminAddress> {
    let folder = Path::new(FOLDER);
    let path = folder.join("admin.sock");
    let is_there = files.status(folder).is_ok_and(|status| status.is_dir());
    is_there.then_some(AdminAddress::Unix { path, mode })
}

fn address(
    text: &At<String>,
    mode: u32,
    section: &Lowered,
    problems: &mut Problems,
) -> Option<AdminAddress> {
    let mut refuse = |message: String, help: &'static str| {
        problems.push(Problem::new(text.place.clone(), message).help(help));
        None
    };
    let whole = text.value.as_str();
    if whole == "off" {
        return None;
    }
    if whole.starts_with("unix:/") {
        return Some(AdminAddress::Unix {
            path: PathBuf::from(whole.trim_start_matches("unix:")),
            mode,
        });
    }
    match whole.parse::<SocketAddr>() {
        Ok(address) if address.ip().is_loopback() || section.get(&PUBLIC) => {
            Some(AdminAddress::Tcp(address))
        }
        Ok(_) => refuse(
            format!("other machines can reach {whole}, and the admin API has no authentication"),
            "write \"127.0.0.1:9180\", or `public = true` if the network restricts access to it",
        ),
        Err(_) => refuse(
            format!("`{whole}` is not an address"),
            "write \"unix:/run/fcgate/admin.sock\", \"127.0.0.1:9180\" or \"off\"",
        ),
    }
}

fn mode(section: &Lowered, problems: &mut Problems) -> u32 {
    let text = section.get(&MODE);
    let parsed = u32::from_str_radix(&text.value, 8).ok();
    parsed.filter(|mode| *mode <= 0o777).unwrap_or_else(|| {
        let problem = Problem::new(text.place, "this is not a file mode");
        problems.push(problem.help("mode = \"0660\""));
        DEFAULT_MODE
    })
}

/// Read and write permission for owner and group.
const DEFAULT_MODE: u32 = 0o660;
