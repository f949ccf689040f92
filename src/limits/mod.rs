//! The limits on clients, each with its unit, its default and its reason.

pub mod budget;
pub mod connections;
pub mod eviction;
pub mod per_client;
pub mod rate;

use std::time::Duration;

use crate::section::{Key, Kind, Lowered, Problem, Problems, Section};
use crate::value::ByteSize;

const BODY: Key = Key::new("body", Kind::Size, "The largest request body; more is 413 before it is read. PHP has its own limits behind this: post_max_size and upload_max_filesize.").default("\"32MiB\"");

/// `server.limits`: the limits of all sites.
pub static LIMITS: Section = Section {
    title: "[server.limits]",
    doc: "What a client may do, the same in HTTP/1 and HTTP/2, and how large the head of an answer may be.",
    keys: &[
        Key::new("connections", Kind::Integer { min: 1, max: 1_000_000 }, "Client connections at once; where there are as many, the one whose head does not come for the longest time makes room for a newcomer, else the one that is idle for the longest time, and where all have requests the newcomer waits in the kernel's backlog for the next answer, behind which that connection is closed. Takes effect at the next start, lowered to what the limit on open files has room for.").default("10000"),
        Key::new("connections_per_client", Kind::Integer { min: 0, max: 1_000_000 }, "Connections at once of one client, which is an IPv4 address or an IPv6 /64; further ones are closed at once. Default: an eighth of `connections`, and 64 at least. 0: no limit. Not counted are those of `trusted_proxies` and of unix sockets, and behind the PROXY protocol those whose client is the proxy itself.").example("200"),
        Key::new("keep_alive_requests", Kind::Integer { min: 1, max: 1_000_000_000 }, "Requests on one HTTP/1 connection; then it is closed, so that clients spread anew.").default("1000"),
        Key::new("header", Kind::Duration, "How long a client may take to send the head of a request, from its first byte; then 408.").default("\"10s\""),
        Key::new("keep_alive", Kind::Duration, "How long a connection may stay without a request. HTTP/2 clients get a GOAWAY then.").default("\"60s\""),
        Key::new("head", Kind::Size, "The largest head of a request; more is 431.").default("\"64KiB\""),
        Key::new("request_line", Kind::Size, "The longest request line: method, target and version, to 64 KiB, which `head` must have room for; more is 414. In HTTP/2 the pseudo-fields count as the line that they stand for.").default("\"8KiB\""),
        Key::new("path", Kind::Size, "The longest path in it, decoded; more is 414. Patterns, rules and the disk look at all of a path and at nothing of a query, so that a long query needs only a larger `request_line`.").default("\"8KiB\""),
        Key::new("field_line", Kind::Size, "The longest field of a request, with its name; more is 431. The cookies of an HTTP/2 request are one field, as in HTTP/1.").default("\"16KiB\""),
        Key::new("fields", Kind::Integer { min: 10, max: 1000 }, "Header fields in a request; more is 431.").default("100"),
        Key::new("answer_head", Kind::Size, "The largest head that a script may print in front of its answer; more is 502, and the log names its largest fields.").default("\"64KiB\""),
        Key::new("answer_fields", Kind::Integer { min: 10, max: 16_384 }, "Header fields in it; more is 502. A script that sets so many sets one again and again.").default("1000"),
        BODY,
        Key::new("body_pause", Kind::Duration, "How long a client may pause while it sends a request body; then 408.").default("\"10s\""),
        Key::new("body_rate", Kind::Size, "What a client must send of a request body in a second, over each 10 s that it was waited for; slower is 408. \"0B\": no limit.").default("\"1KiB\""),
        Key::new("stream_rate", Kind::Size, "The same while a worker waits for the body, which is streamed then.").default("\"16KiB\""),
        Key::new("send_pause", Kind::Duration, "How long a client may take nothing of its answer, which holds the worker that makes it; then the connection is closed, or the answer of an HTTP/2 stream is given up. \"0s\": no limit.").default("\"60s\""),
        Key::new("live_streams_per_client", Kind::Integer { min: 0, max: 1_000_000 }, "Event streams and long polls at once of one client, which is an IPv4 address or an IPv6 /64: answers of text/event-stream, application/x-ndjson, or with X-Accel-Buffering: no. Each has a worker for as long as it lasts; more is 429. 32 is what a few people behind one address have open, and less than a pool of PHP for live streams has workers: set it below pm.max_children. 0: no limit.").default("32"),
    ],
};

/// `site.limits`: the limits of one site.
pub static SITE_LIMITS: Section = Section {
    title: "[site.limits]",
    doc: "What this site allows otherwise than server.limits, and how much it allows to one client.",
    keys: &[
        BODY,
        Key::new("requests_per_second", Kind::Integer { min: 0, max: 1_000_000 }, "Requests a second of one client, which is an IPv4 address or an IPv6 /64; more is 429. 0: no limit.").default("0"),
        Key::new("burst", Kind::Integer { min: 0, max: 1_000_000 }, "Requests that may come at once beyond that, and beyond what 50 ms of it bring.").default("20"),
        Key::new("requests_at_once", Kind::Integer { min: 0, max: 1_000_000 }, "Requests of one client that are answered at once; more is 429. 0: no limit.").default("0"),
    ],
};

/// `limits` of a rule: its own limits.
pub static RULE_LIMITS: Section = Section {
    title: "[site.rule.fastcgi.limits]",
    doc: "What this rule allows otherwise than its site.",
    keys: &[BODY],
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
        let request_line = bound("request_line", LONGEST_LINE);
        let path = bound("path", LONGEST_LINE);
        let field_line = bound("field_line", u64::MAX);
        let answer_head = bound("answer_head", u64::MAX);
        Self {
            request_line,
            path,
            field_line,
            answer_head,
            answer_fields: number(section, "answer_fields"),
            connections: usize::try_from(section.integer("connections")).unwrap_or(1),
            connections_per_client: section
                .is_given("connections_per_client")
                .then(|| number(section, "connections_per_client")),
            keep_alive_requests: number(section, "keep_alive_requests"),
            header: section.duration("header"),
            keep_alive: section.duration("keep_alive"),
            head: usize::try_from(section.size("head").0)
                .unwrap_or(usize::MAX)
                .max(SMALLEST_HEAD),
            fields: usize::try_from(section.integer("fields")).unwrap_or(100),
            body: section.size("body").0,
            body_pause: section.duration("body_pause"),
            body_rate: section.size("body_rate").0,
            stream_rate: section.size("stream_rate").0,
            send_pause: section.duration("send_pause"),
            live_streams_per_client: number(section, "live_streams_per_client"),
        }
    }
}

/// Returns the allowance of one client from `site.limits`.
pub fn allowance(section: &Lowered) -> rate::Allowance {
    let number = |key| u32::try_from(section.integer(key)).unwrap_or(u32::MAX);
    rate::Allowance {
        per_second: number("requests_per_second"),
        burst: number("burst"),
        at_once: number("requests_at_once"),
    }
}

fn bound(section: &Lowered, key: &str, most: u64, problems: &mut Problems) -> usize {
    let bytes = section.size(key).0;
    if !(LEAST..=most).contains(&bytes) {
        let range = match most {
            u64::MAX => format!("at least {}", ByteSize(LEAST)),
            most => format!("from {} to {}", ByteSize(LEAST), ByteSize(most)),
        };
        let message = format!("`{key}` must be {range}");
        problems.push(Problem::new(section.place_of(key), message));
    }
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

fn number(section: &Lowered, key: &str) -> usize {
    usize::try_from(section.integer(key)).unwrap_or(0)
}
