//! The frame of a configuration file: its sections, each described where it belongs.

use super::{admin, listen, server, site_section, source};
use crate::section::{Key, Named, Section};
use crate::{process, upstream};

/// The top level of a file.
pub static ROOT: Section = Section {
    title: "fcgate.toml",
    doc: "The configuration of fcgate. A site needs three lines: [[site]], root and php.\nDurations and sizes carry units: \"20ms\", \"60s\", \"5m\", \"1h\"; \"64KiB\", \"32MiB\". In every text ${NAME} and ${NAME:-default} stand for an environment variable (upper-case names only; $${ is a plain ${).",
    groups: &[&[
        &source::INCLUDE,
        &server::KEY,
        &admin::KEY,
        &listen::KEY,
        &PROCESS,
        &UPSTREAM,
        &site_section::SITES,
    ]],
};

pub(super) static PROCESS: Key<Named> = Key::named(
    "process",
    &process::PROCESS,
    "Programs that fcgate starts: PHP-FPM in the same container.",
);

pub(super) static UPSTREAM: Key<Named> =
    Key::named("upstream", &upstream::section::UPSTREAM, "FastCGI servers.");
