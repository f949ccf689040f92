//! The limits on clients, each with its unit, its default and its reason.

pub mod bucket;
pub mod budget;
pub mod connections;
pub mod eviction;
pub mod per_client;
pub mod rate;
pub mod request_limit;

use std::time::Duration;

use crate::section::{At, Group, Key, Lowered, Problem, Problems, Section};
use crate::value::ByteSize;

pub(crate) static BODY: Key<ByteSize> = Key::size("body", "The largest request body; more is 413 before it is read. PHP has its own limits behind this: post_max_size and upload_max_filesize.").default("\"32MiB\"");

/// `server.limits`: the limits of all sites.
pub static LIMITS: Section = Section {
    title: "[server.limits]",
    doc: "What a client may do, the same in HTTP/1 and HTTP/2, and how large the head of an answer may be.",
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

pub(crate) static CONNECTIONS: Key<usize> = Key::integer("connections", 1..=1_000_000, "Client connections at once; where there are as many, the one whose head does not come for the longest time makes room for a newcomer, else the one that is idle for the longest time, and where all have requests the newcomer waits in the kernel's backlog for the next answer, behind which that connection is closed. Takes effect at the next start, lowered to what the limit on open files has room for.").default("10000");

static CONNECTIONS_PER_CLIENT: Key<Option<usize>> = Key::integer("connections_per_client", 0..=1_000_000, "Connections at once of one client, which is an IPv4 address or an IPv6 /64; further ones are closed at once. Default: an eighth of `connections`, and 64 at least. 0: no limit. Not counted are those of `trusted_proxies` and of unix sockets, and behind the PROXY protocol those whose client is the proxy itself.").example("200");

static KEEP_ALIVE_REQUESTS: Key<usize> = Key::integer(
    "keep_alive_requests",
    1..=1_000_000_000,
    "Requests on one HTTP/1 connection; then it is closed, so that clients spread anew.",
)
.default("1000");

static HEADER: Key<Duration> = Key::duration(
    "header",
    "How long a client may take to send the head of a request, from its first byte; then 408.",
)
.default("\"10s\"");

static KEEP_ALIVE: Key<Duration> = Key::duration(
    "keep_alive",
    "How long a connection may stay without a request. HTTP/2 clients get a GOAWAY then.",
)
.default("\"60s\"");

static HEAD: Key<ByteSize> =
    Key::size("head", "The largest head of a request; more is 431.").default("\"64KiB\"");

static REQUEST_LINE: Key<ByteSize> = Key::size("request_line", "The longest request line: method, target and version, to 64 KiB, which `head` must have room for; more is 414. In HTTP/2 the pseudo-fields count as the line that they stand for.").default("\"8KiB\"");

static PATH: Key<ByteSize> = Key::size("path", "The longest path in it, decoded; more is 414. Patterns, rules and the disk look at all of a path and at nothing of a query, so that a long query needs only a larger `request_line`.").default("\"8KiB\"");

static FIELD_LINE: Key<ByteSize> = Key::size("field_line", "The longest field of a request, with its name; more is 431. The cookies of an HTTP/2 request are one field, as in HTTP/1.").default("\"16KiB\"");

static FIELDS: Key<usize> = Key::integer(
    "fields",
    10..=1000,
    "Header fields in a request; more is 431.",
)
.default("100");

static ANSWER_HEAD: Key<ByteSize> = Key::size("answer_head", "The largest head that a script may print in front of its answer; more is 502, and the log names its largest fields.").default("\"64KiB\"");

static ANSWER_FIELDS: Key<usize> = Key::integer(
    "answer_fields",
    10..=16_384,
    "Header fields in it; more is 502. A script that sets so many sets one again and again.",
)
.default("1000");

static BODY_PAUSE: Key<Duration> = Key::duration(
    "body_pause",
    "How long a client may pause while it sends a request body; then 408.",
)
.default("\"10s\"");

static BODY_RATE: Key<ByteSize> = Key::size("body_rate", "What a client must send of a request body in a second, over each 10 s that it was waited for; slower is 408. \"0B\": no limit.").default("\"1KiB\"");

static STREAM_RATE: Key<ByteSize> = Key::size(
    "stream_rate",
    "The same while a worker waits for the body, which is streamed then.",
)
.default("\"16KiB\"");

static SEND_PAUSE: Key<Duration> = Key::duration("send_pause", "How long a client may take nothing of its answer, which holds the worker that makes it; then the connection is closed, or the answer of an HTTP/2 stream is given up. \"0s\": no limit.").default("\"60s\"");

static LIVE_STREAMS_PER_CLIENT: Key<usize> = Key::integer("live_streams_per_client", 0..=1_000_000, "Event streams and long polls at once of one client, which is an IPv4 address or an IPv6 /64: answers of text/event-stream, application/x-ndjson, or with X-Accel-Buffering: no. Each has a worker for as long as it lasts; more is 429. 32 is what a few people behind one address have open, and less than a pool of PHP for live streams has workers: set it below pm.max_children. 0: no limit.").default("32");

/// The keys of a limit of requests, of a site or a rule.
static REQUEST_LIMIT: Group = &[&REQUESTS_PER_SECOND, &BURST, &REQUESTS_AT_ONCE, &KEY];

/// `site.limits`: the limits of one site.
pub static SITE_LIMITS: Section = Section {
    title: "[site.limits]",
    doc: "What this site allows otherwise than server.limits, and how much it allows to one client.",
    groups: &[&[&BODY], REQUEST_LIMIT],
};

pub(crate) static REQUESTS_PER_SECOND: Key<u32> = Key::integer(
    "requests_per_second",
    0..=1_000_000,
    "Requests a second of one client, or what else `key` says; more is 429. 0: no limit.",
)
.default("0");

pub(crate) static BURST: Key<u32> = Key::integer(
    "burst",
    0..=1_000_000,
    "Requests that may come at once beyond that, and beyond what 50 ms of it bring.",
)
.default("20");

pub(crate) static REQUESTS_AT_ONCE: Key<u32> = Key::integer(
    "requests_at_once",
    0..=1_000_000,
    "Requests of one client, or what else `key` says, that are answered at once; more is 429. 0: no limit.",
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
    doc: "What this rule allows otherwise than its site.",
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
