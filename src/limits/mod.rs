//! Every bound on what a client may do, with its unit, its default and the reason for it.

pub mod connections;
pub mod rate;

use std::time::Duration;

use crate::section::{Key, Kind, Lowered, Section};

const BODY: Key = Key::new("body", Kind::Size, "The largest request body; more is 413 before it is read. PHP has its own limits behind this: post_max_size and upload_max_filesize.").default("\"32MiB\"");

/// `server.limits`: what holds for all sites.
pub static LIMITS: Section = Section {
    title: "[server.limits]",
    doc: "What a client may do.",
    keys: &[
        Key::new("connections", Kind::Integer { min: 1, max: 1_000_000 }, "Client connections at once; further ones wait in the kernel's backlog. Each costs about 20 KiB.").default("10000"),
        Key::new("connections_per_client", Kind::Integer { min: 0, max: 1_000_000 }, "Connections at once of one client, which is an IPv4 address or an IPv6 /64; further ones are closed at once. 0: no limit, which a load balancer in front needs.").default("0"),
        Key::new("keep_alive_requests", Kind::Integer { min: 1, max: 1_000_000_000 }, "Requests on one HTTP/1 connection; then it is closed, so that clients spread anew.").default("1000"),
        Key::new("header", Kind::Duration, "How long a client may take to send the head of a request, from its first byte; then 408.").default("\"10s\""),
        Key::new("keep_alive", Kind::Duration, "How long a connection may stay without a request. HTTP/2 clients get a GOAWAY then.").default("\"60s\""),
        Key::new("head", Kind::Size, "The largest head of a request; more is 431.").default("\"64KiB\""),
        Key::new("fields", Kind::Integer { min: 10, max: 1000 }, "Header fields in a request; more is 431.").default("100"),
        BODY,
        Key::new("body_pause", Kind::Duration, "How long a client may pause while it sends a request body; then 408.").default("\"10s\""),
        Key::new("body_rate", Kind::Size, "What a client must send of a request body in a second, over each 10 s that it was waited for; slower is 408. \"0B\": no limit.").default("\"1KiB\""),
        Key::new("stream_rate", Kind::Size, "The same while a worker waits for the body, which is streamed then.").default("\"16KiB\""),
        Key::new("send_pause", Kind::Duration, "How long a client may take nothing of its answer, which holds the worker that makes it; then the connection is closed, or the answer of an HTTP/2 stream is given up. \"0s\": no limit.").default("\"60s\""),
    ],
};

/// `site.limits`: what a site has otherwise.
pub static SITE_LIMITS: Section = Section {
    title: "[site.limits]",
    doc: "What this site allows otherwise than server.limits, and how much it allows to one client.",
    keys: &[
        BODY,
        Key::new("requests_per_second", Kind::Integer { min: 0, max: 1_000_000 }, "Requests a second of one client, which is an IPv4 address or an IPv6 /64; more is 429. 0: no limit.").default("0"),
        Key::new("burst", Kind::Integer { min: 0, max: 1_000_000 }, "Requests that may come at once beyond that.").default("20"),
        Key::new("requests_at_once", Kind::Integer { min: 0, max: 1_000_000 }, "Requests of one client that are answered at once; more is 429. 0: no limit.").default("0"),
    ],
};

/// `limits` of a rule: what it has otherwise.
pub static RULE_LIMITS: Section = Section {
    title: "[site.rule.fastcgi.limits]",
    doc: "What this rule allows otherwise than its site.",
    keys: &[BODY],
};

/// The bounds, as numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once.
    pub connections: usize,
    /// Connections at once of one client; 0 is no limit.
    pub connections_per_client: usize,
    /// Requests on one HTTP/1 connection.
    pub keep_alive_requests: usize,
    /// For the head of a request.
    pub header: Duration,
    /// Between requests.
    pub keep_alive: Duration,
    /// Bytes of a head.
    pub head: usize,
    /// Fields of a head.
    pub fields: usize,
    /// Bytes of a body.
    pub body: u64,
    /// Between two pieces of a body.
    pub body_pause: Duration,
    /// Bytes of a body in a second.
    pub body_rate: u64,
    /// The same while a worker waits.
    pub stream_rate: u64,
    /// For a client that takes nothing of its answer.
    pub send_pause: Duration,
}

/// hyper accepts no smaller buffer for a head.
const SMALLEST_HEAD: usize = 8192;

impl Limits {
    /// From `server.limits`.
    pub fn build(section: &Lowered) -> Self {
        Self {
            connections: usize::try_from(section.integer("connections")).unwrap_or(1),
            connections_per_client: number(section, "connections_per_client"),
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
        }
    }
}

/// What `site.limits` allows to one client.
pub fn allowance(section: &Lowered) -> rate::Allowance {
    let number = |key| u32::try_from(section.integer(key)).unwrap_or(u32::MAX);
    rate::Allowance {
        per_second: number("requests_per_second"),
        burst: number("burst"),
        at_once: number("requests_at_once"),
    }
}

fn number(section: &Lowered, key: &str) -> usize {
    usize::try_from(section.integer(key)).unwrap_or(0)
}
