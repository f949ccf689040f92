//! `[server]`: settings of the whole process.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::folders::{self, SPOOL_DIRECTORY};
use crate::access_log::{Destination, Format};
use crate::auth::Forwarding;
use crate::auth::forwarding::{TRUSTED_PROXIES, UNTRUSTED_FIELDS};
use crate::auth::identifiers::BEGIN_TRACE;
use crate::auth::trusted_fields::TRUSTED_FIELDS;
use crate::auth::verifier::{AUTH, Hashing};
use crate::files::Files;
use crate::limits::budget::Totals;
use crate::limits::{BODY, LIMITS, Limits};
use crate::section::{At, Key, Lowered, Place, Problem, Problems, Section, Table, absolute_path};
use crate::site::ServerSettings;
use crate::value::ByteSize;

pub(super) static KEY: Key<Table> = Key::table("server", &SERVER, "The process.");

/// The `[server]` section.
pub static SERVER: Section = Section {
    title: "[server]",
    doc: "The process. Only the main file has this section.",
    groups: &[&[
        &WORKERS,
        &LOG,
        &ACCESS_LOG_KEY,
        &DRAIN,
        &DRAIN_DELAY,
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

static WORKERS: Key<usize> = Key::integer("workers", 0..=1024, "Number of worker threads; 0: one for each core. The worker with the fewest connections serves a new one until its end. Takes effect at the next start.").default("0");

static LOG: Key<At<String>> = Key::one_of(
    "log",
    &["error", "warn", "info", "debug"],
    "Log level on stderr. Takes effect at the next start.",
)
.default("\"info\"");

static ACCESS_LOG_KEY: Key<Table> = Key::table(
    "access_log",
    &ACCESS_LOG,
    "The access log: one line for each request.",
);

static DRAIN: Key<Duration> =
    Key::duration("drain", "Time limit of requests in flight after SIGTERM.").default("\"25s\"");

static DRAIN_DELAY: Key<Duration> = Key::duration("drain_delay", "Time after SIGTERM during which new connections are still accepted, for a load balancer to notice. HTTP/1 answers carry `Connection: close` meanwhile, so that clients reconnect elsewhere before their connection ends.").default("\"0s\"");

static SPOOL_QUOTA: Key<ByteSize> = Key::size("spool_quota", "Limit of their total size. One client may use as much of it as is free, one site three times as much, so that a single client gets half and others find room. A request body without room gets 507; an answer is buffered no further, so that PHP waits for its client. At most the size of its file system, and on a file system in memory (tmpfs) half of the process's memory limit.").default("\"1GiB\"");

static FILE_CACHE: Key<ByteSize> = Key::size("file_cache", "Memory for frequently requested files, which stay open: their content up to 64 KiB, and at least 16 KiB each. An answer from it may be a second old, and so may the target of a root that is a link. At most an eighth of the control group's memory limit. \"0\": each request accesses the disk, the root too.").default("\"16MiB\"");

static WATCH: Key<bool> = Key::flag("watch", "Reloads a changed configuration automatically, within some three seconds: files changed, added or removed under a pattern of `include`, and a replaced ConfigMap. A configuration with errors changes nothing and is logged.").default("false");

static AUTH_KEY: Key<Table> = Key::table("auth", &AUTH, "Hashing of passwords.");

static LIMITS_KEY: Key<Table> = Key::table("limits", &LIMITS, "Limits for clients.");

static ANSWER_MEMORY: Key<ByteSize> = Key::size("answer_memory", "Memory for answers of scripts that their clients have not received yet, shared like spool_quota; the excess goes to spool_directory. At most an eighth of the process's memory limit.").default("\"128MiB\"");

static BODY_MEMORY: Key<ByteSize> = Key::size("body_memory", "Memory for request bodies that no script has received yet, likewise; and for heads of HTTP/2 requests above 4 KiB, and 8 KiB for each of more than 32 concurrent requests of a connection: a request without room gets 429. At most an eighth of the process's memory limit.").default("\"64MiB\"");

static ENCODER_MEMORY: Key<ByteSize> = Key::size("encoder_memory", "Memory for the encoders of compressed answers, likewise: some 300 KiB for gzip and some MiB for br and zstd. An answer without room is sent uncompressed. At most a quarter of the process's memory limit.").default("\"128MiB\"");

static ACCESS_LOG: Section = Section {
    title: "[server.access_log]",
    doc: "The access log: one line for each request.",
    groups: &[&[&TO, &FORMAT, &SECRETS]],
};

static TO: Key<At<String>> = Key::text("to", "\"stdout\", \"off\", or the absolute path of a file, which SIGUSR1 opens again. Takes effect at the next start.").default("\"stdout\"");

static SECRETS: Key<bool> = Key::flag("secrets", "Logs secrets in plain text. By default `redacted` replaces the fields Authorization, Proxy-Authorization, Cookie and Set-Cookie, cookies, and in targets, Referer and Location the values of access_token, api_key, apikey, auth_token, client_secret, id_token, pass, passwd, password, phpsessid, pwd, refresh_token, secret and token.").default("false");

static FORMAT: Key<At<String>> = Key::text("format", "\"combined\" or \"common\" as in Apache, \"json\" with times, upstream and cause, or a text of Apache's LogFormat directives: %a %h %A %b %B %D %H %l %L %m %O %p %P %q %r %R %s %T %u %U %v %V %X %%, %t and %{strftime}t, %{begin:…}t and %{end:…}t with sec, msec, usec, msec_frac and usec_frac, %{ms}T, %{us}T, %{local}p, %{remote}p, %{Field}i, %{Field}o, %{cookie}C, %{UNIQUE_ID}e, mod_ssl's %{NAME}x of HTTPS, SSL_PROTOCOL, SSL_CIPHER, SSL_TLS_SNI and SSL_CLIENT_S_DN, with `<`, `>`, %400,501{Field}i and %!200{Field}i as in Apache; and %{NAME}x for each name in the JSON object: time, client, host, scheme, tls, cipher, method, uri, protocol, status, bytes, complete, duration_ms, queue_ms, connect_ms, acknowledge_ms, first_byte_ms, site, handler, upstream, cause, user, request_id, trace_id. For example '%h %t \"%r\" %>s %b %{queue_ms}x %L'.\n%v is the name of the site; %L and %{UNIQUE_ID}e are the id of the request in all logs; %O counts the head and the content, without framing and TLS; %U is not decoded. Status 499: the client closed the connection before its answer began. Takes effect at the next start.").default("\"combined\"");

impl ServerSettings {
    /// Builds the settings from the section; unusable folders are problems.
    pub fn build(section: &Lowered, files: &Files, problems: &mut Problems) -> Self {
        let access_log = section.get(&ACCESS_LOG_KEY);
        let limits = Limits::build(&section.get(&LIMITS_KEY), problems);
        let spool = section.get(&SPOOL_QUOTA).0;
        warn_of_bodies(&section.get(&LIMITS_KEY), spool, problems);
        Self {
            workers: section.get(&WORKERS),
            log: section.get(&LOG).value,
            access_log: destination(&access_log, files, problems),
            access_format: format(&access_log, problems),
            drain: section.get(&DRAIN),
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

fn destination(section: &Lowered, files: &Files, problems: &mut Problems) -> Destination {
    let text = section.get(&TO);
    match text.value.as_str() {
        "off" => Destination::Off,
        "stdout" => Destination::Stdout,
        path if path.starts_with('/') => {
            folders::check_log(Path::new(path), text.place.clone(), files, problems);
            Destination::File(path.into())
        }
        other => {
            problems.push(
                Problem::new(
                    text.place.clone(),
                    format!("`{other}` is not a log destination"),
                )
                .help("write \"stdout\", \"off\", or the absolute path of a file"),
            );
            Destination::Off
        }
    }
}

/// Parses a format; a fault is a problem at its directive.
fn format(section: &Lowered, problems: &mut Problems) -> Format {
    let text = section.get(&FORMAT);
    let parsed = Format::parse(&text, section.get(&SECRETS));
    parsed.unwrap_or_else(|error| {
        let place = within(&text, error.offset);
        problems.push(Problem::new(place, error.message));
        Format::default()
    })
}

/// Returns the place of a text from `offset` on. The text is verbatim in the file if that has as many
/// bytes, with a quote at each end; a text with escapes or variables is marked as a whole.
fn within(text: &At<String>, offset: usize) -> Place {
    let mut place = text.place.clone();
    if place.span.len() == text.value.len() + 2 {
        place.span = place.span.start + 1 + offset..place.span.end - 1;
    }
    place
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
