//! The limits on clients, each with its unit, its default and its reason.

pub mod bucket;
pub mod budget;
pub mod connections;
pub mod eviction;
pub mod log_throttle;
pub mod per_client;
pub mod rate;
pub mod request_limit;

use std::time::Duration;

use crate::section::{At, Group, Key, Lowered, Problem, Problems, Section};
use crate::value::ByteSize;

pub(crate) static BODY: Key<ByteSize> = Key::size("body", "Maximum size of a request body; a larger one gets 413 before it is read. PHP has limits of its own behind this: post_max_size and upload_max_filesize.").default("\"32MiB\"");

/// `server.limits`: the limits of all sites.
pub static LIMITS: Section = Section {
    title: "[server.limits]",
    doc: "Limits of clients, the same in HTTP/1 and HTTP/2, and of the heads of answers.",
    groups: &[&[
        &CONNECTIONS,
        &CONNECTIONS_PER_CLIENT,
        &KEEP_ALIVE_REQUESTS,
        &HEADER,
        &KEEP_ALIVE,
        &HEAD,
        &REQUEST_LINE,
        &PATH,
        &FIELD_LINE,
        &FIELDS,
        &ANSWER_HEAD,
        &ANSWER_FIELDS,
        &BODY,
        &BODY_PAUSE,
        &BODY_RATE,
        &STREAM_RATE,
        &SEND_PAUSE,
        &LIVE_STREAMS_PER_CLIENT,
    ]],
};

pub(crate) static CONNECTIONS: Key<usize> = Key::integer("connections", 1..=1_000_000, "Maximum number of client connections. At the maximum a new one replaces the connection that has waited longest for the head of its request, else the one that has been idle longest; if all have requests, it waits in the kernel's backlog for the next answer, behind which that connection is closed. Lowered to the room under the limit on open files. A change by a reload starts a new server.").default("10000");

static CONNECTIONS_PER_CLIENT: Key<Option<usize>> = Key::integer("connections_per_client", 0..=1_000_000, "Maximum number of connections of one client (an IPv4 address or an IPv6 /64); further ones are closed at once. Default: an eighth of `connections`, at least 64. 0: no limit. Connections of `trusted_proxies` and of unix sockets are not counted, nor, behind the PROXY protocol, those whose client is the proxy itself.").example("200");

static KEEP_ALIVE_REQUESTS: Key<usize> = Key::integer(
    "keep_alive_requests",
    1..=1_000_000_000,
    "Maximum number of requests on one HTTP/1 connection, which is then closed, so that clients are distributed anew.",
)
.default("1000");

static HEADER: Key<Duration> = Key::duration(
    "header",
    "Time limit of a request head, from its first byte; a slower one gets 408.",
)
.default("\"10s\"");

static KEEP_ALIVE: Key<Duration> = Key::duration(
    "keep_alive",
    "Idle timeout of a keep-alive connection. HTTP/2 clients get a GOAWAY at its end.",
)
.default("\"60s\"");

static HEAD: Key<ByteSize> = Key::size(
    "head",
    "Maximum size of a request head; a larger one gets 431.",
)
.default("\"64KiB\"");

static REQUEST_LINE: Key<ByteSize> = Key::size("request_line", "Maximum length of a request line (method, target and version), up to 64 KiB, for which `head` must have room; a longer one gets 414. In HTTP/2 the pseudo-fields count as the line that they replace.").default("\"8KiB\"");

static PATH: Key<ByteSize> = Key::size("path", "Maximum length of a decoded path; a longer one gets 414. Patterns, rules and the disk read the whole path and no part of the query, so that a long query needs only a larger `request_line`.").default("\"8KiB\"");

static FIELD_LINE: Key<ByteSize> = Key::size("field_line", "Maximum size of one field of a request, its name included; a larger one gets 431. The cookies of an HTTP/2 request are one field, as in HTTP/1.").default("\"16KiB\"");

static FIELDS: Key<usize> = Key::integer(
    "fields",
    10..=1000,
    "Maximum number of header fields of a request; more get 431.",
)
.default("100");

static ANSWER_HEAD: Key<ByteSize> = Key::size("answer_head", "Maximum size of the head that a script prints; a larger one gets 502, and the log names its largest fields.").default("\"64KiB\"");

static ANSWER_FIELDS: Key<usize> = Key::integer(
    "answer_fields",
    10..=16_384,
    "Maximum number of header fields that a script prints; more get 502. So many come only from a script that adds the same field repeatedly.",
)
.default("1000");

static BODY_PAUSE: Key<Duration> = Key::duration(
    "body_pause",
    "Maximum pause of a client within a request body; a longer one gets 408.",
)
.default("\"10s\"");

static BODY_RATE: Key<ByteSize> = Key::size("body_rate", "Minimum rate of a request body in bytes a second, measured over each 10 s of waiting for the client; a slower one gets 408. \"0B\": no limit.").default("\"1KiB\"");

static STREAM_RATE: Key<ByteSize> = Key::size(
    "stream_rate",
    "Minimum rate, likewise, of a body that is streamed while a worker waits for it.",
)
.default("\"16KiB\"");

static SEND_PAUSE: Key<Duration> = Key::duration("send_pause", "Maximum pause of a client within its answer, which occupies the worker that produces it; then the connection is closed, or the HTTP/2 stream is reset. \"0s\": no limit.").default("\"60s\"");

static LIVE_STREAMS_PER_CLIENT: Key<usize> = Key::integer("live_streams_per_client", 0..=1_000_000, "Maximum number of concurrent event streams and long polls of one client (an IPv4 address or an IPv6 /64): answers of text/event-stream or application/x-ndjson, or with X-Accel-Buffering: no. Each occupies a worker until it ends; more get 429. 32 is enough for a few people behind one address, and fewer than the workers of a pool of PHP for live streams: set it below pm.max_children. 0: no limit.").default("32");

/// The keys of a limit of requests, of a site or a rule.
static REQUEST_LIMIT: Group = &[&REQUESTS_PER_SECOND, &BURST, &REQUESTS_AT_ONCE, &KEY];

/// `site.limits`: the limits of one site.
pub static SITE_LIMITS: Section = Section {
    title: "[site.limits]",
    doc: "Limits of this site in place of those of server.limits, and limits of each of its clients.",
    groups: &[&[&BODY], REQUEST_LIMIT],
};

pub(crate) static REQUESTS_PER_SECOND: Key<u32> = Key::integer(
    "requests_per_second",
    0..=1_000_000,
    "Maximum number of requests a second of one client, or by another `key`; more get 429. 0: no limit.",
)
.default("0");

pub(crate) static BURST: Key<u32> = Key::integer(
    "burst",
    0..=1_000_000,
    "Number of requests that may come at once above `requests_per_second`, in addition to those of 50 ms.",
)
.default("20");

pub(crate) static REQUESTS_AT_ONCE: Key<u32> = Key::integer(
    "requests_at_once",
    0..=1_000_000,
    "Maximum number of concurrent requests of one client, or by another `key`; more get 429. 0: no limit.",
)
.default("0");

pub(crate) static KEY: Key<At<String>> = Key::text("key", "The attribute of requests by which they are counted. \"client\": an IPv4 address or an IPv6 /64; clients on a unix socket are not counted. \"header:NAME\", \"cookie:NAME\": each value of the field or the cookie; one client may use up the allowances of 32 values, and a request without one is counted by its client. \"user\", in a rule: the user whom `auth` has admitted. \"site\": all requests together.").default("\"client\"");

/// `limits` of a rule.
pub static RULE_LIMITS: Section = Section {
    title: "[site.rule.limits]",
    doc: "The largest body of requests that match, in place of that of the site, and how many of them it allows beside the limits of the site. A request is counted once, however many rounds it has.",
    groups: &[&[&BODY], REQUEST_LIMIT],
};

/// `limits` of a handler.
pub static HANDLER_LIMITS: Section = Section {
    title: "[site.rule.fastcgi.limits]",
    doc: "Limits of this rule in place of those of its site.",
    groups: &[&[&BODY]],
};

/// The values of `server.limits`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most connections.
    pub connections: usize,
    /// The most connections of one client; 0 is no limit, `None` a share of all.
    pub connections_per_client: Option<usize>,
    /// The most requests on one HTTP/1 connection.
    pub keep_alive_requests: usize,
    /// Time limit of the head of a request.
    pub header: Duration,
    /// Idle timeout of a keep-alive connection.
    pub keep_alive: Duration,
    /// The most bytes of a head.
    pub head: usize,
    /// The most bytes of a request line.
    pub request_line: usize,
    /// The most bytes of a decoded path.
    pub path: usize,
    /// The most bytes of a field line.
    pub field_line: usize,
    /// The most fields of a head.
    pub fields: usize,
    /// The most bytes of the head that a script prints.
    pub answer_head: usize,
    /// The most fields of that head.
    pub answer_fields: usize,
    /// The most bytes of a body.
    pub body: u64,
    /// The longest pause within a body.
    pub body_pause: Duration,
    /// The least bytes of a body per second.
    pub body_rate: u64,
    /// The least bytes per second while a worker waits for the body.
    pub stream_rate: u64,
    /// The longest pause of a client that takes nothing of its answer.
    pub send_pause: Duration,
    /// The most event streams and long polls of one client; 0 is no limit.
    pub live_streams_per_client: usize,
}

/// The smallest buffer for a head that hyper accepts.
const SMALLEST_HEAD: usize = 8192;

/// The least limit of lines and heads: with less no request gets through.
const LEAST: u64 = 256;

/// The longest target that hyper accepts, independent of the limit of the request line.
const LONGEST_LINE: u64 = 64 * 1024;

impl Limits {
    /// Builds the limits from `server.limits`; impossible ones are problems.
    pub fn build(section: &Lowered, problems: &mut Problems) -> Self {
        let mut bound = |key, most| bound(section, key, most, problems);
        let request_line = bound(&REQUEST_LINE, LONGEST_LINE);
        let path = bound(&PATH, LONGEST_LINE);
        let field_line = bound(&FIELD_LINE, u64::MAX);
        let answer_head = bound(&ANSWER_HEAD, u64::MAX);
        Self {
            request_line,
            path,
            field_line,
            answer_head,
            answer_fields: section.get(&ANSWER_FIELDS),
            connections: section.get(&CONNECTIONS),
            connections_per_client: section.get(&CONNECTIONS_PER_CLIENT),
            keep_alive_requests: section.get(&KEEP_ALIVE_REQUESTS),
            header: section.get(&HEADER),
            keep_alive: section.get(&KEEP_ALIVE),
            head: usize::try_from(section.get(&HEAD).0)
                .unwrap_or(usize::MAX)
                .max(SMALLEST_HEAD),
            fields: section.get(&FIELDS),
            body: section.get(&BODY).0,
            body_pause: section.get(&BODY_PAUSE),
            body_rate: section.get(&BODY_RATE).0,
            stream_rate: section.get(&STREAM_RATE).0,
            send_pause: section.get(&SEND_PAUSE),
            live_streams_per_client: section.get(&LIVE_STREAMS_PER_CLIENT),
        }
    }
}

fn bound(section: &Lowered, key: &Key<ByteSize>, most: u64, problems: &mut Problems) -> usize {
    let bytes = section.get(key).0;
    if !(LEAST..=most).contains(&bytes) {
        let range = match most {
            u64::MAX => format!("at least {}", ByteSize(LEAST)),
            most => format!("from {} to {}", ByteSize(LEAST), ByteSize(most)),
        };
        let message = format!("`{}` must be {range}", key.name());
        problems.push(Problem::new(section.place_of(key), message));
    }
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
