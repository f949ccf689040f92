//! `[server]`: settings of the whole process.

use std::path::PathBuf;
use std::time::Duration;

use super::folders::{self, SPOOL_DIRECTORY};
use super::logs::LOG_KEY;
use crate::access_log::section::SERVER_ACCESS_LOG;
use crate::auth::Forwarding;
use crate::auth::forwarding::{TRUSTED_PROXIES, UNTRUSTED_FIELDS};
use crate::auth::identifiers::BEGIN_TRACE;
use crate::auth::trusted_fields::TRUSTED_FIELDS;
use crate::auth::verifier::{AUTH, Hashing};
use crate::files::Files;
use crate::limits::budget::Totals;
use crate::limits::{BODY, LIMITS, Limits};
use crate::privilege::{Asked, GROUP, SANDBOX, Sandbox, USER};
use crate::section::{Key, Lowered, Problem, Problems, Section, Table, absolute_path};
use crate::site::ServerSettings;
use crate::value::ByteSize;

pub(super) static KEY: Key<Table> = Key::table("server", &SERVER, "The process.");

/// The `[server]` section.
pub static SERVER: Section = Section {
    title: "[server]",
    doc: "The process. Only the main file has this section.",
    groups: &[&[
        &USER,
        &GROUP,
        &SANDBOX,
        &WORKERS,
        &LOG_KEY,
        &SERVER_ACCESS_LOG,
        &SLOW,
        &DRAIN,
        &DRAIN_DELAY,
        &DRAIN_REPLACED,
        &SPOOL_DIRECTORY,
        &SPOOL_QUOTA,
        &ANSWER_MEMORY,
        &BODY_MEMORY,
        &ENCODER_MEMORY,
        &FILE_CACHE,
        &WATCH,
        &TRUSTED_PROXIES,
        &TRUSTED_FIELDS,
        &UNTRUSTED_FIELDS,
        &BEGIN_TRACE,
        &AUTH_KEY,
        &LIMITS_KEY,
    ]],
};

static WORKERS: Key<usize> = Key::integer("workers", 0..=1024, "Number of worker threads; 0: one for each core. The worker with the fewest connections serves a new one until its end. A change by a reload starts a new server.").default("0");

pub(super) static SLOW: Key<Option<Duration>> = Key::duration("slow", "Time after which a script is slow: from the moment at which the gateway has what it needs of the request to the first byte of the answer, so the wait in the queue and the work of the script. The upload that is buffered before and the download do not count, nor what the script does behind its first byte, so that event streams and long downloads are not slow. A slow one is a warning in the error log, one a second for each site, with the script and the times in parts. Not set: none.").example("\"2s\"");

static DRAIN: Key<Duration> =
    Key::duration("drain", "Time limit of requests in flight after SIGTERM.").default("\"25s\"");

static DRAIN_DELAY: Key<Duration> = Key::duration("drain_delay", "Time after SIGTERM during which new connections are still accepted, for a load balancer to notice. HTTP/1 answers carry `Connection: close` meanwhile, so that clients reconnect elsewhere before their connection ends.").default("\"0s\"");

static DRAIN_REPLACED: Key<Duration> = Key::duration("drain_replaced", "Time limit of requests in flight when a new server takes over, after an upgrade or a reload that needs other rights: downloads and event streams go on meanwhile. At most eight servers drain at once; of more, the oldest has to end within `drain`.").default("\"1h\"");

static SPOOL_QUOTA: Key<ByteSize> = Key::size("spool_quota", "Limit of their total size. One client may use as much of it as is free, one site three times as much, so that a single client gets half and others find room. A request body without room gets 507; an answer is buffered no further, so that PHP waits for its client. At most the size of its file system, and on a file system in memory (tmpfs) half of the process's memory limit.").default("\"1GiB\"");

static FILE_CACHE: Key<ByteSize> = Key::size("file_cache", "Memory for frequently requested files, which stay open: their content up to 64 KiB, and at least 16 KiB each. An answer from it may be a second old, and so may the target of a root that is a link. At most an eighth of the control group's memory limit. \"0\": each request accesses the disk, the root too.").default("\"16MiB\"");

static WATCH: Key<bool> = Key::flag("watch", "Reloads a changed configuration automatically, within some three seconds: files changed, added or removed under a pattern of `include`, and a replaced ConfigMap. A configuration with errors changes nothing and is logged.").default("false");

static AUTH_KEY: Key<Table> = Key::table("auth", &AUTH, "Hashing of passwords.");

static LIMITS_KEY: Key<Table> = Key::table("limits", &LIMITS, "Limits for clients.");

static ANSWER_MEMORY: Key<ByteSize> = Key::size("answer_memory", "Memory for answers of scripts that their clients have not received yet, shared like spool_quota; the excess goes to spool_directory. At most an eighth of the process's memory limit.").default("\"128MiB\"");

static BODY_MEMORY: Key<ByteSize> = Key::size("body_memory", "Memory for request bodies that no script has received yet, likewise; and for heads of HTTP/2 requests above 4 KiB, and 8 KiB for each of more than 32 concurrent requests of a connection: a request without room gets 429. At most an eighth of the process's memory limit.").default("\"64MiB\"");

static ENCODER_MEMORY: Key<ByteSize> = Key::size("encoder_memory", "Memory for the encoders of compressed answers, likewise: some 300 KiB for gzip and some MiB for br and zstd. An answer without room is sent uncompressed. At most a quarter of the process's memory limit.").default("\"128MiB\"");

impl ServerSettings {
    /// Builds the settings from the section; unusable folders are problems.
    pub fn build(section: &Lowered, files: &Files, problems: &mut Problems) -> Self {
        let limits = Limits::build(&section.get(&LIMITS_KEY), problems);
        let spool = section.get(&SPOOL_QUOTA).0;
        warn_of_bodies(&section.get(&LIMITS_KEY), spool, problems);
        Self {
            user: asked(section, files, problems),
            sandbox: Sandbox::build(section),
            workers: section.get(&WORKERS),
            slow: section.get(&SLOW),
            drain: section.get(&DRAIN),
            drain_replaced: section.get(&DRAIN_REPLACED),
            drain_delay: section.get(&DRAIN_DELAY),
            spool_directory: spool_directory(section, files, problems),
            shared: Totals {
                spool,
                answers: section.get(&ANSWER_MEMORY).0,
                bodies: section.get(&BODY_MEMORY).0,
                encoders: section.get(&ENCODER_MEMORY).0,
            },
            file_cache: section.get(&FILE_CACHE).0,
            watch: section.get(&WATCH),
            forwarding: Forwarding::build(section, problems),
            hashing: Hashing::build(&section.get(&AUTH_KEY)),
            limits,
        }
    }
}

/// Looks up the user and group. A bundle was checked when it was recorded; a confined process, which keeps its user, may
/// not read the user database.
fn asked(section: &Lowered, files: &Files, problems: &mut Problems) -> Asked {
    let mut found = Problems::default();
    let asked = Asked::build(section, &mut found);
    if !files.is_bundle() {
        problems.append(found);
    }
    asked
}

/// Warns of a body limit of a rule or site that exceeds one client's share of the spool.
pub(super) fn warn_of_bodies(limits: &Lowered, spool: u64, problems: &mut Problems) {
    let body = limits.get(&BODY).0;
    if limits.is_given(&BODY) && body > spool / 2 {
        let message = format!(
            "a body limit of {} exceeds the spool space of one client: half of server.spool_quota = \"{}\"",
            ByteSize(body),
            ByteSize(spool)
        );
        let help = format!("spool_quota = \"{}\"", ByteSize(body.saturating_mul(2)));
        problems.warn(Problem::new(limits.place_of(&BODY), message).help(help));
    }
}

fn spool_directory(section: &Lowered, files: &Files, problems: &mut Problems) -> PathBuf {
    let directory = match section.get(&SPOOL_DIRECTORY) {
        Some(text) => absolute_path(&text, problems),
        None => Some(std::env::temp_dir()),
    };
    if let Some(directory) = &directory {
        folders::check_spool(directory, section, files, problems);
    }
    directory.unwrap_or_default()
}
