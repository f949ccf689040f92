//! `[[listen]]`: the listening sockets.

use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;

use super::logs::LogsInUse;
use crate::access_log::section::ACCESS_LOG;
use crate::auth::TrustedProxies;
use crate::section::{At, Key, Lowered, Problem, Problems, Section, Table, Tables};
use crate::site::listener::{ListenAddress, Listener};
use crate::tls::{Acceptor, Certificates, LISTEN_TLS};

pub(super) static KEY: Key<Tables> = Key::tables("listen", &LISTEN, "Listening sockets.");

/// The `[[listen]]` section.
pub static LISTEN: Section = Section {
    title: "[[listen]]",
    doc: "A listening socket: HTTP/1.1 and HTTP/2, in clear text (HTTP/2 with prior knowledge) or with `tls`. Default without any: \":8080\".",
    groups: &[&[
        &ADDRESS,
        &NAME,
        &TLS,
        &BACKLOG,
        &MODE,
        &PROXY_PROTOCOL_KEY,
        &ACCESS_LOG,
    ]],
};

pub(super) static ADDRESS: Key<Option<At<String>>> = Key::text("address", "\":8080\" for IPv6 and IPv4 alike, \"127.0.0.1:8080\", \"[::1]:8080\", \"unix:/path\", or \"systemd:NAME\" for the sockets that systemd passes under this name: the socket unit's FileDescriptorName=, by default the name of the unit such as \"fcgate.socket\". Port 0 is any free port. A socket that systemd has bound to an address given here is used, with any name.").shown("\":8080\"");

pub(super) static NAME: Key<Option<At<String>>> = Key::text("name", "The name for `listen` of a site and for the condition `listener`. Several listeners may share it.").example("\"admin\"");

pub(super) static TLS: Key<Table> = Key::flag_or("tls", &LISTEN_TLS, "Enables TLS.");

static BACKLOG: Key<i32> = Key::integer("backlog", 1..=65_535, "Length of the kernel's queue of connections not yet accepted; limited by net.core.somaxconn. Applies to sockets bound afterwards.").default("4096");

static MODE: Key<Option<At<String>>> = Key::text("mode", "Permissions of a unix socket, in octal. Default: those left by the umask. Applies to sockets bound afterwards.").example("\"0660\"");

static PROXY_PROTOCOL_KEY: Key<Table> = Key::table(
    "proxy_protocol",
    &PROXY_PROTOCOL,
    "The PROXY protocol, version 1 or 2.",
)
.example("{ from = [\"10.0.0.0/8\", \"unix\"] }");

static PROXY_PROTOCOL: Section = Section {
    title: "[listen.proxy_protocol]",
    doc: "Each connection must come from a trusted proxy and begin with its PROXY header, which sets the client address for PHP, conditions, limits and logs. Every other connection is closed and logged.",
    groups: &[&[&FROM]],
};

static FROM: Key<Vec<At<String>>> = Key::texts(
    "from",
    "Trusted proxies: addresses, networks, and \"unix\" for clients of a unix socket.",
)
.example("[\"10.0.0.0/8\", \"unix\"]");

impl Listener {
    /// Builds the listeners from the sections. With `tls` there must be certificates.
    pub(super) fn build(
        section: &Lowered,
        certificates: Option<&Arc<Certificates>>,
        logs: &LogsInUse,
        problems: &mut Problems,
    ) -> Option<Self> {
        let address = ListenAddress::build(section, problems);
        let tls = match (section.given(&TLS), certificates) {
            (Some(table), Some(certificates)) => {
                Acceptor::build(table, Arc::clone(certificates), problems).map(Arc::new)
            }
            (None, _) | (_, None) => None,
        };
        let mode = section
            .get(&MODE)
            .and_then(|text| mode(&text, address.as_ref(), problems));
        let proxies = section
            .given(&PROXY_PROTOCOL_KEY)
            .map(|table| proxies(table, problems));
        let name = section.get(&NAME);
        if let Some(empty) = name.as_ref().filter(|name| name.is_empty()) {
            let problem = Problem::new(empty.place.clone(), "a listener's name is empty");
            problems.push(problem.help("name = \"admin\", or none"));
        }
        let access_logs = logs.of_section(section, problems);
        Some(Self {
            access_logs,
            address: address?,
            name: name.map_or_else(Arc::default, |name| name.value.into()),
            tls,
            backlog: section.get(&BACKLOG),
            mode,
            proxies,
        })
    }
}

/// Returns the sections of all listeners by address, or the default's.
pub(super) fn sections(files: &[Lowered]) -> Vec<(String, Lowered)> {
    // Faults of an address are reported when the listeners are built.
    let ignored = &mut Problems::default();
    let sections = files.iter().flat_map(|file| file.get(&KEY));
    let mut named: Vec<_> = sections
        .filter_map(|section| {
            let address = ListenAddress::build(section, ignored)?;
            Some((address.to_string(), section.clone()))
        })
        .collect();
    if named.is_empty() {
        let address = Listener::default_listener().address;
        // As a user would write it.
        let (written, _) = toml::de::DeTable::parse_recoverable("address = \":8080\"");
        let section = LISTEN.lower(written.get_ref(), Default::default(), &|_| None, ignored);
        named.push((address.to_string(), section));
    }
    named
}

fn proxies(section: &Lowered, problems: &mut Problems) -> TrustedProxies {
    let from = section.get(&FROM);
    if from.is_empty() {
        problems.push(
            Problem::new(section.place(), "`proxy_protocol` trusts no proxy")
                .help("list the proxies: from = [\"10.0.0.0/8\"]"),
        );
    }
    TrustedProxies::build(&from, problems)
}

fn mode(
    text: &At<String>,
    address: Option<&ListenAddress>,
    problems: &mut Problems,
) -> Option<u32> {
    let digits = text.value.bytes().all(|byte| byte.is_ascii_digit());
    let mode = u32::from_str_radix(text, 8)
        .ok()
        .filter(|mode| digits && *mode <= 0o777);
    let wrong = match (mode, address) {
        (None, _) => format!("`{}` is not a file mode", text.value),
        (Some(_), Some(ListenAddress::Tcp(_) | ListenAddress::Systemd(_))) => {
            "only a unix socket bound by fcgate has a mode".to_owned()
        }
        (Some(mode), Some(ListenAddress::Unix(_)) | None) => return Some(mode),
    };
    let problem = Problem::new(text.place.clone(), wrong);
    problems.push(problem.help("mode = \"0660\""));
    None
}

impl ListenAddress {
    fn build(section: &Lowered, problems: &mut Problems) -> Option<Self> {
        let Some(text) = section.get(&ADDRESS) else {
            problems.push(
                Problem::new(section.place(), "a listener needs an `address`")
                    .help("address = \":8080\""),
            );
            return None;
        };
        let parsed = parse(&text);
        if parsed.is_none() {
            problems.push(Problem::new(text.place.clone(), format!("`{}` is not an address to listen on", text.value)).help("write \":8080\", \"127.0.0.1:8080\", \"[::1]:8080\", \"unix:/run/fcgate.sock\" or \"systemd:fcgate.socket\""));
        }
        parsed
    }
}

fn parse(text: &At<String>) -> Option<ListenAddress> {
    if let Some(path) = text.value.strip_prefix("unix:") {
        return path
            .starts_with('/')
            .then(|| ListenAddress::Unix(path.into()));
    }
    if let Some(name) = text.value.strip_prefix("systemd:") {
        return (!name.is_empty()).then(|| ListenAddress::Systemd(name.to_owned()));
    }
    if let Some(port) = text.value.strip_prefix(':') {
        return port
            .parse()
            .ok()
            .map(|port: u16| ListenAddress::Tcp(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))));
    }
    text.value.parse().ok().map(ListenAddress::Tcp)
}
