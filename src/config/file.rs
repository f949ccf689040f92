//! The frame of a configuration file: its sections, each described where it belongs.

use super::{admin::ADMIN, listen::LISTEN, server::SERVER, site::SITE};
use crate::process::PROCESS;
use crate::section::{Key, Kind, Section};
use crate::upstream::section::UPSTREAM;

/// The top level of a file.
pub static ROOT: Section = Section {
    title: "fcgate.toml",
    doc: "The configuration of fcgate. A site needs three lines: [[site]], root and php.\nDurations and sizes carry units: \"20ms\", \"60s\", \"5m\", \"1h\"; \"64KiB\", \"32MiB\". In every text ${NAME} and ${NAME:-default} stand for an environment variable (upper-case names only; $${ is a plain ${).",
    keys: &[
        Key::new("include", Kind::Texts, "Further files of the same shape, without [server] and [admin]; relative to this file, * and ? are understood.").example("[\"sites/*.toml\"]"),
        Key::new("server", Kind::Table(&SERVER), "The process."),
        Key::new("admin", Kind::Table(&ADMIN), "Where the gateway can be asked about itself."),
        Key::new("listen", Kind::Tables(&LISTEN), "Where clients connect."),
        Key::new("process", Kind::Named(&PROCESS), "Programs that fcgate starts: PHP-FPM in the same container."),
        Key::new("upstream", Kind::Named(&UPSTREAM), "FastCGI servers."),
        Key::new("site", Kind::Tables(&SITE), "What is served."),
    ],
};
