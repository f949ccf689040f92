//! The frame of a configuration file: its sections, each described where it belongs.

use super::{admin, listen, server, site};
use crate::section::{At, Key, Named, Section, Table, Tables};
use crate::{process, upstream};

/// The top level of a file.
pub static ROOT: Section = Section {
    title: "fcgate.toml",
    doc: "The configuration of fcgate. A site needs three lines: [[site]], root and php.\nDurations and sizes carry units: \"20ms\", \"60s\", \"5m\", \"1h\"; \"64KiB\", \"32MiB\". In every text ${NAME} and ${NAME:-default} stand for an environment variable (upper-case names only; $${ is a plain ${).",
    groups: &[&[
        &INCLUDE, &SERVER, &ADMIN, &LISTEN, &PROCESS, &UPSTREAM, &SITE,
    ]],
};

pub(super) static INCLUDE: Key<Vec<At<String>>> = Key::texts("include", "Further files of the same shape, without [server] and [admin]; relative to this file, * and ? are understood.").example("[\"sites/*.toml\"]");

pub(super) static SERVER: Key<Table> = Key::table("server", &server::SERVER, "The process.");

pub(super) static ADMIN: Key<Table> = Key::table(
    "admin",
    &admin::ADMIN,
    "Where the gateway can be asked about itself.",
);

pub(super) static LISTEN: Key<Tables> =
    Key::tables("listen", &listen::LISTEN, "Where clients connect.");

pub(super) static PROCESS: Key<Named> = Key::named(
    "process",
    &process::PROCESS,
    "Programs that fcgate starts: PHP-FPM in the same container.",
);

pub(super) static UPSTREAM: Key<Named> =
    Key::named("upstream", &upstream::section::UPSTREAM, "FastCGI servers.");

pub(super) static SITE: Key<Tables> = Key::tables("site", &site::SITE, "What is served.");
