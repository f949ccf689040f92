//! `[server]`: what concerns the whole process.

use std::path::PathBuf;
use std::time::Duration;

use crate::access_log::{Destination, Format};
use crate::limits::{LIMITS, Limits};
use crate::section::{Key, Kind, Lowered, Problem, Problems, Section};

/// The `[server]` section.
pub static SERVER: Section = Section {
    title: "[server]",
    doc: "The process. Only the main file has this section.",
    keys: &[
        Key::new("workers", Kind::Integer { min: 0, max: 1024 }, "Threads that serve; 0: one for each core. Takes effect at the next start.").default("0"),
        Key::new("log", Kind::OneOf(&["error", "warn", "info", "debug"]), "How much is told on stderr. Takes effect at the next start.").default("\"info\""),
        Key::new("access_log", Kind::Table(&ACCESS_LOG), "One line for each request."),
        Key::new("drain", Kind::Duration, "How long requests in flight may take after SIGTERM.").default("\"25s\""),
        Key::new("drain_delay", Kind::Duration, "How long new connections are still accepted after SIGTERM, for a load balancer to notice.").default("\"0s\""),
        Key::new("spool_directory", Kind::Text, "Where request bodies and buffered answers go that do not fit in memory: unlinked files, which vanish with their request. Default: $TMPDIR, else /tmp.").example("\"/var/spool/fcgate\""),
        Key::new("spool_quota", Kind::Size, "What the request bodies among them may hold together; a request for which there is no room gets 507.").default("\"1GiB\""),
        Key::new("limits", Kind::Table(&LIMITS), "What a client may do."),
    ],
};

static ACCESS_LOG: Section = Section {
    title: "[server.access_log]",
    doc: "One line for each request.",
    keys: &[
        Key::new("to", Kind::Text, "\"stdout\", \"off\", or the absolute path of a file, which SIGUSR1 opens again. Takes effect at the next start.").default("\"stdout\""),
        Key::new("format", Kind::OneOf(&["combined", "json"]), "\"combined\" as Apache's, or \"json\" with times, upstream and cause.").default("\"combined\""),
    ],
};

/// `[server]`, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerSettings {
    /// Threads; 0 is one for each core.
    pub workers: usize,
    /// `error`, `warn`, `info` or `debug`.
    pub log: String,
    /// Where access log lines go.
    pub access_log: Destination,
    /// How they look.
    pub access_format: Format,
    /// For requests in flight after SIGTERM.
    pub drain: Duration,
    /// Before accepting ends after SIGTERM.
    pub drain_delay: Duration,
    /// The folder of spooled bodies.
    pub spool_directory: PathBuf,
    /// Bytes that all spooled bodies may hold.
    pub spool_quota: u64,
    /// Bounds on clients.
    pub limits: Limits,
}

impl ServerSettings {
    /// From the section; folders that cannot be used are problems.
    pub fn build(section: &Lowered, problems: &mut Problems) -> Self {
        let access_log = section.table("access_log");
        Self {
            workers: usize::try_from(section.integer("workers")).unwrap_or(0),
            log: section
                .text("log")
                .map_or_else(|| "info".to_owned(), |text| text.value),
            access_log: destination(&access_log, problems),
            access_format: if access_log
                .text("format")
                .is_some_and(|text| text.value == "json")
            {
                Format::Json
            } else {
                Format::Combined
            },
            drain: section.duration("drain"),
            drain_delay: section.duration("drain_delay"),
            spool_directory: spool_directory(section, problems),
            spool_quota: section.size("spool_quota").0,
            limits: Limits::build(&section.table("limits")),
        }
    }
}

fn destination(section: &Lowered, problems: &mut Problems) -> Destination {
    let Some(text) = section.text("to") else {
        return Destination::Stdout;
    };
    match text.value.as_str() {
        "off" => Destination::Off,
        "stdout" => Destination::Stdout,
        path if path.starts_with('/') => Destination::File(path.into()),
        other => {
            problems.push(
                Problem::new(
                    text.place.clone(),
                    format!("`{other}` is no place for a log"),
                )
                .help("write \"stdout\", \"off\", or the absolute path of a file"),
            );
            Destination::Off
        }
    }
}

fn spool_directory(section: &Lowered, problems: &mut Problems) -> PathBuf {
    let directory = section
        .text("spool_directory")
        .map_or_else(std::env::temp_dir, |text| PathBuf::from(text.value));
    if !directory.is_dir() {
        problems.push(
            Problem::new(
                section.place_of("spool_directory"),
                format!("the spool directory {} does not exist", directory.display()),
            )
            .help("create it, or name another as server.spool_directory"),
        );
    }
    directory
}
