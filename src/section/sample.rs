//! Sample description with every kind, for tests of everything that works on descriptions.

use std::time::Duration;

use super::{At, Key, Named, Pairs, Section, Table, Tables};
use crate::value::ByteSize;

pub(crate) static ROOT: Section = Section {
    title: "the file",
    doc: "A sample.",
    groups: &[&[&INCLUDE, &SERVER_KEY, &UPSTREAM_KEY, &SITE_KEY]],
};

pub(super) static INCLUDE: Key<Vec<At<String>>> =
    Key::texts("include", "Further files.").example(r#"["sites/*.toml"]"#);

pub(super) static SERVER_KEY: Key<Table> = Key::table("server", &SERVER, "The whole process.");

pub(super) static UPSTREAM_KEY: Key<Named> =
    Key::named("upstream", &UPSTREAM, "Each backend under a name.");

pub(super) static SITE_KEY: Key<Tables> = Key::tables("site", &SITE, "Each site.");

static SERVER: Section = Section {
    title: "[server]",
    doc: "Settings for all sites. This sentence is here only to be so long that it has to be wrapped.\nA second paragraph.",
    groups: &[&[&WORKERS, &LOG, &DRAIN, &LIMITS_KEY]],
};

pub(super) static WORKERS: Key<usize> =
    Key::integer("workers", 0..=1024, "Threads; 0 for one a core.").default("0");

pub(super) static LOG: Key<At<String>> =
    Key::one_of("log", &["error", "warn", "info"], "Log level.").default(r#""info""#);

pub(super) static DRAIN: Key<Duration> =
    Key::duration("drain", "Time limit of requests in flight.").default(r#""25s""#);

pub(super) static LIMITS_KEY: Key<Table> = Key::table("limits", &LIMITS, "Bounds.");

static LIMITS: Section = Section {
    title: "limits",
    doc: "Each is answered by the status that fits.",
    groups: &[&[&BODY, &FIELDS]],
};

pub(super) static BODY: Key<ByteSize> =
    Key::size("body", "Maximum size of a request body.").default(r#""32MiB""#);

pub(super) static FIELDS: Key<Option<usize>> = Key::integer(
    "fields",
    1..=i64::MAX,
    "Maximum number of fields of a request.",
);

static UPSTREAM: Section = Section {
    title: "[upstream.NAME]",
    doc: "A FastCGI application.",
    groups: &[&[&SERVERS, &KEEP, &TIMEOUTS_KEY]],
};

pub(super) static SERVERS: Key<Vec<At<String>>> =
    Key::texts("servers", "Its addresses.").example(r#"["unix:/run/php.sock"]"#);

pub(super) static KEEP: Key<Duration> =
    Key::duration("keep", "Idle timeout of a connection.").default(r#""20ms""#);

pub(super) static TIMEOUTS_KEY: Key<Table> = Key::table("timeouts", &TIMEOUTS, "Durations.");

static TIMEOUTS: Section = Section {
    title: "timeouts",
    doc: "One for each step.",
    groups: &[&[&CONNECT]],
};

pub(super) static CONNECT: Key<Duration> =
    Key::duration("connect", "To connect.").default(r#""1s""#);

static SITE: Section = Section {
    title: "[[site]]",
    doc: "A site.",
    groups: &[&[
        &ROOT_KEY, &INDEX, &SECURE, &ENV, &DENY_KEY, &FRONT_KEY, &SEND_KEY, &BRIEF_KEY, &COPY_KEY,
    ]],
};

pub(super) static ROOT_KEY: Key<Option<At<String>>> =
    Key::text("root", "The directory.").example(r#""/srv/app""#);

pub(super) static INDEX: Key<Vec<At<String>>> =
    Key::texts("index", "Index files of a directory.").default(r#"["index.php", "index.html"]"#);

pub(super) static SECURE: Key<bool> = Key::flag("secure", "Requires TLS.").default("false");

pub(super) static ENV: Key<Pairs> =
    Key::pairs("env", "Further meta-variables.").example(r#"{ APP_ENV = "production" }"#);

pub(super) static DENY_KEY: Key<Table> = Key::flag_or("deny", &DENY, "Refuses everything.");

pub(super) static FRONT_KEY: Key<Table> =
    Key::text_or("front", &FRONT, "The script of all other paths.");

pub(super) static SEND_KEY: Key<Table> =
    Key::table("send", &SEND, "Answers with a text.").example(r#"{ body = "x" }"#);

pub(super) static BRIEF_KEY: Key<Table> =
    Key::table("brief", &BRIEF, "Described by its example.").example("{ on = true }");

pub(super) static COPY_KEY: Key<Tables> =
    Key::one_or_more("copy", &COPY, "Copies.").example(r#"[{ to = "/a" }]"#);

static COPY: Section = Section {
    title: "copy",
    doc: "",
    groups: &[&[&COPY_TO, &COPY_MODE]],
};

pub(super) static COPY_TO: Key<Option<At<String>>> = Key::text("to", "Its file.");

pub(super) static COPY_MODE: Key<usize> = Key::integer("mode", 0..=777, "Its mode.").default("640");

static DENY: Section = Section {
    title: "deny",
    doc: "A refusal.",
    groups: &[&[&STATUS]],
};

pub(super) static STATUS: Key<usize> =
    Key::integer("status", 400..=599, "The status.").default("403");

static FRONT: Section = Section {
    title: "front",
    doc: "A script.",
    groups: &[&[&SCRIPT, &EXCEPT]],
};

pub(super) static SCRIPT: Key<At<String>> =
    Key::text("script", "Its file.").default(r#""index.php""#);

pub(super) static EXCEPT: Key<Vec<At<String>>> =
    Key::texts("except", "Extensions that it does not get.").example(r#"["png"]"#);

static SEND: Section = Section {
    title: "send",
    doc: "A text.",
    groups: &[&[&BODY_KEY]],
};

pub(super) static BODY_KEY: Key<Option<At<String>>> =
    Key::text("body", "The text.").example(r#""hello""#);

static BRIEF: Section = Section {
    title: "brief",
    doc: "",
    groups: &[&[&ON]],
};

pub(super) static ON: Key<bool> = Key::flag("on", "Switches it on.");
