//! `[admin]`: where the gateway can be asked about itself.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::section::{At, Key, Lowered, Problem, Problems, Section, Table};
use crate::site::{AdminAddress, AdminSettings};

pub(super) static KEY: Key<Table> = Key::table(
    "admin",
    &ADMIN,
    "Where the gateway can be asked about itself.",
);

/// The `[admin]` section.
pub static ADMIN: Section = Section {
    title: "[admin]",
    doc: "Where the gateway can be asked about itself, by `fcgate health`, `status` and `reload`, by probes and by Prometheus: /live, /ready, /metrics, /status, and POST /reload. It needs no credentials: who can connect can do all of it. Through TCP it serves requests whose Host is an IP address, `localhost` or one of `hosts`, and whose Origin, where there is one, is the same: a web page that a browser on this machine shows must not reach it. Takes effect at the next start.",
    groups: &[&[&ADDRESS, &MODE, &HOSTS, &PUBLIC]],
};

static ADDRESS: Key<Option<At<String>>> = Key::text("address", "\"unix:/path\", or \"127.0.0.1:9180\", an address of this machine; \"off\": nowhere. Default: what the variable FCGATE_ADMIN of the environment says, else \"unix:/run/fcgate/admin.sock\" where the folder /run/fcgate is there.").example("\"unix:/run/fcgate/admin.sock\"");

static MODE: Key<At<String>> = Key::text(
    "mode",
    "Who may connect to a unix socket: its permissions in octal.",
)
.default("\"0660\"");

static HOSTS: Key<Vec<At<String>>> = Key::texts("hosts", "Names that it may be asked by through TCP, without a port; IP addresses and `localhost` always may.").example("[\"gateway.monitoring.svc\"]");

static PUBLIC: Key<bool> = Key::flag(
    "public",
    "Whether an address that others than this machine can reach is meant.",
)
.default("false");

/// Where the default is.
const FOLDER: &str = "/run/fcgate";

impl AdminSettings {
    /// From the section of the main file.
    pub fn build(section: &Lowered, problems: &mut Problems) -> Self {
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
                None => default_address(mode),
            },
            hosts: hosts.map(|host| host.value).collect(),
            is_given: given.is_some(),
        }
    }
}

fn default_address(mode: u32) -> Option<AdminAddress> {
    let folder = Path::new(FOLDER);
    let path = folder.join("admin.sock");
    folder.is_dir().then_some(AdminAddress::Unix { path, mode })
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
            format!("others can reach {whole}, and the admin listener asks nobody who he is"),
            "write \"127.0.0.1:9180\", or `public = true` where only those can reach it who may",
        ),
        Err(_) => refuse(
            format!("`{whole}` is no address"),
            "write \"unix:/run/fcgate/admin.sock\", \"127.0.0.1:9180\" or \"off\"",
        ),
    }
}

fn mode(section: &Lowered, problems: &mut Problems) -> u32 {
    let text = section.get(&MODE);
    let parsed = u32::from_str_radix(&text.value, 8).ok();
    parsed.filter(|mode| *mode <= 0o777).unwrap_or_else(|| {
        let problem = Problem::new(text.place, "this is no mode");
        problems.push(problem.help("mode = \"0660\""));
        DEFAULT_MODE
    })
}

/// Its owner and its group.
const DEFAULT_MODE: u32 = 0o660;
