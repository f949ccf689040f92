//! `[upstream.NAME]`: the section of an upstream, and the construction of an upstream from it.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::fpm::admission::{self, ReuseLimits};
use super::policy::Policy;
use super::{Address, Balancing, MemberSettings, Settings, Timeouts, Upstream, pool};
use crate::cgi::contract::TYPE;
use crate::message::Root;
use crate::section::{At, Key, Lowered, Place, Problem, Problems, Section, Table};
use crate::value::{ByteSize, show_duration};

/// The `[upstream.NAME]` section.
pub static UPSTREAM: Section = Section {
    title: "[upstream.NAME]",
    doc: "Interchangeable FastCGI servers, under a name for `php`, `fastcgi.upstream` and fcgi:// targets.",
    groups: &[&[
        &SERVERS,
        &TYPE,
        &POLICY,
        &RESOLVE,
        &CAPACITY,
        &QUEUE_LENGTH,
        &SCOUTS,
        &TURN,
        &KEEP,
        &MAX_IDLE,
        &MAX_REQUESTS,
        &MAX_AGE,
        &TIMEOUTS_KEY,
        &RESPONSE_BUFFER,
        &BACKEND_ROOT,
        &RESOLVE_ROOT,
    ]],
};

pub(crate) static SERVERS: Key<Vec<At<String>>> = Key::texts("servers", "Addresses of the servers: \"unix:/path\" or \"host:port\"; one or a list. A host name is resolved at its first use and periodically afterwards; each of its addresses is a server of its own.").shown("[\"unix:/run/php/php-fpm.sock\"]");

static POLICY: Key<At<String>> = Key::one_of("policy", Policy::WORDS, "Choice among several servers. \"least-busy\": the one with the fewest requests, running and waiting; \"round-robin\": each in turn; \"first-available\": the first of the list, with the others on standby. A server that cannot be connected to or does not speak FastCGI is avoided for 1s, and for twice as long each time that another request finds it so, up to 30s.").default("\"least-busy\"");

static RESOLVE: Key<Duration> = Key::duration("resolve", "Lifetime of the addresses of a host name, from \"1s\" to \"30s\"; they are resolved at once when one of them fails. Servers that are no longer among them finish their requests.").default("\"10s\"");

pub(crate) static CAPACITY: Key<usize> = Key::integer("capacity", 0..=1024, "Maximum number of connections to each server; 0: as many as it acknowledges, which follows pm.max_children automatically. With 0, a server that acknowledges nothing gets a new connection for each request; with any other number it is asked to keep connections.").default("0");

static QUEUE_LENGTH: Key<usize> = Key::integer("queue_length", 0..=1_000_000, "Maximum number of requests that wait for each server; further ones get 503. One client may have as many waiting as places are free, so that it gets half of them when it is alone; a site three times as many, if several share the upstream. Sites take turns, and within a site its clients: an IPv4 address, an IPv6 /64, or each connection through a unix socket.").default("2048");

static SCOUTS: Key<usize> = Key::integer("scouts", 1..=64, "Maximum number of connections that look for a free worker: the number of places that this gateway takes in the server's own queue.").default("2");

static TURN: Key<Duration> = Key::duration("turn", "Time after which a worker that passes from request to request may return to all clients of the server: at least one does in each `turn`, and each worker after four of them; \"0s\": each after each request.").default("\"20ms\"");

static KEEP: Key<Duration> = Key::duration("keep", "Idle timeout of a connection that is kept for the next request; each occupies a worker. \"0s\": none is kept.").default("\"20ms\"");

static MAX_IDLE: Key<usize> = Key::integer(
    "max_idle",
    0..=1024,
    "Maximum number of idle connections kept to each server; 0: no limit but `keep`.",
)
.default("0");

static MAX_REQUESTS: Key<u64> = Key::integer(
    "max_requests",
    0..=i64::MAX,
    "Maximum number of requests on one connection, which is then closed; 0: no limit.",
)
.default("0");

static MAX_AGE: Key<Duration> = Key::duration(
    "max_age",
    "Maximum age of a connection; an older one gets no further request. \"0s\": no limit.",
)
.default("\"0s\"");

pub(crate) static TIMEOUTS_KEY: Key<Table> = Key::table("timeouts", &TIMEOUTS, "Time limits.");

static RESPONSE_BUFFER: Key<At<String>> = Key::text("response_buffer", "Maximum size of the part of an answer that is read from PHP ahead of a slower client, so that the worker is free again: 64 KiB of it in memory, the rest in an unlinked file in server.spool_directory. \"auto\": up to the client's shares of server.answer_memory and server.spool_quota; an answer beyond them waits with its worker, and is cut to free the worker when other requests have waited half a second for it. A size: the maximum of one answer; when it is reached, PHP waits for the client. \"0B\": nothing is read ahead. Never applies to text/event-stream, application/x-ndjson and answers with X-Accel-Buffering: no.").default("\"auto\"").example("\"16MiB\"");

pub(crate) static BACKEND_ROOT: Key<Option<At<String>>> = Key::text("backend_root", "Document root as the servers see it, an absolute path, if it differs from the gateway's: it replaces the site's root in SCRIPT_FILENAME and DOCUMENT_ROOT.").example("\"/app/public\"");

pub(crate) static RESOLVE_ROOT: Key<bool> = Key::flag("resolve_root", "Passes PHP the roots without symbolic links, so that a request sees one release of an application that is deployed by a link: with the root /srv/app/current/public, DOCUMENT_ROOT and SCRIPT_FILENAME lie below /srv/app/releases/42/public. Resolved once for each request, to what the link was less than a second before. Default: true if all servers are unix sockets or loopback addresses, without `backend_root`. Not for rules with `missing = \"pass\"`.").example("false");

/// `upstream.NAME.timeouts`.
static TIMEOUTS: Section = Section {
    title: "[upstream.NAME.timeouts]",
    doc: "Time limits; \"0s\": no limit.",
    groups: &[&[&CONNECT, &QUEUE, &FIRST_BYTE, &IDLE, &TOTAL]],
};

static CONNECT: Key<Duration> =
    Key::duration("connect", "Time limit of one attempt to connect.").default("\"1s\"");

pub(crate) static QUEUE: Key<Duration> = Key::duration("queue", "Time limit from the arrival of a request until a worker has it, restarts of the server included; then 503.").default("\"10s\"");

pub(crate) static FIRST_BYTE: Key<Duration> = Key::duration(
    "first_byte",
    "Time limit from the moment a worker has the request until its answer begins; then 504.",
)
.default("\"60s\"");

pub(crate) static IDLE: Key<Duration> = Key::duration(
    "idle",
    "Maximum pause between two pieces of an answer, which is then cut.",
)
.default("\"60s\"");

pub(crate) static TOTAL: Key<Duration> = Key::duration("total", "Time limit from the arrival of a request to the last byte of its answer; its upload, the queue and a slow client count. Then 408 while the request body is incomplete, 504 before the answer begins, and a cut answer after that; PHP is told by the close of its connection.").default("\"0s\"");

/// Range of `resolve`: less floods the resolver, more keeps requests on servers that are gone.
const RESOLVE_BOUNDS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(30);

impl Upstream {
    /// Builds the upstream that `section` describes. Members that `previous`, the upstream of that name so far, has
    /// as well keep their state.
    pub fn build(
        name: &str,
        section: &Lowered,
        previous: Option<&Self>,
        problems: &mut Problems,
    ) -> Option<Self> {
        let servers = section.get(&SERVERS);
        if servers.is_empty() {
            problems.push(
                Problem::new(
                    section.place(),
                    format!("the upstream `{name}` has no servers"),
                )
                .help("servers = [\"unix:/run/php/php-fpm.sock\"]"),
            );
            return None;
        }
        if let Err(problem) = response_buffer(section) {
            problems.push(problem);
        }
        if !RESOLVE_BOUNDS.contains(&section.get(&RESOLVE)) {
            problems.push(Problem::new(
                section.place_of(&RESOLVE),
                "`resolve` must be from 1s to 30s",
            ));
        }
        if let Some(root) = section
            .get(&BACKEND_ROOT)
            .filter(|root| !root.value.is_empty())
        {
            Root::at(&root, problems);
        }
        if section.given(&RESOLVE_ROOT) == Some(true) && section.is_given(&BACKEND_ROOT) {
            let problem = Problem::new(
                section.place_of(&RESOLVE_ROOT),
                "`resolve_root` has no effect with `backend_root`, which replaces the root",
            );
            problems.push(problem.help("remove one of the two: PHP sees the gateway's files at the same paths, or at others"));
        }
        warn_of_total(section, problems);
        let addresses: Vec<_> = servers
            .iter()
            .filter_map(|text| address(text, problems))
            .collect();
        (addresses.len() == servers.len()).then(|| Self::with(name, addresses, section, previous))
    }

    /// Builds an upstream of the servers at `addresses`; all else is as in `section` and `previous`.
    pub fn with(
        name: &str,
        addresses: Vec<Address>,
        section: &Lowered,
        previous: Option<&Self>,
    ) -> Self {
        let table = section.get(&TIMEOUTS_KEY);
        let timeouts = Timeouts {
            connect: table.get(&CONNECT),
            queue: table.get(&QUEUE),
            first_byte: table.get(&FIRST_BYTE),
            idle: table.get(&IDLE),
            total: table.get(&TOTAL),
        };
        let balancing = Balancing {
            policy: Policy::parse(&section.get(&POLICY)).unwrap_or(Policy::LeastBusy),
            resolve: section.get(&RESOLVE),
        };
        let member = MemberSettings {
            admission: admission(section),
            connect: timeouts.connect,
            is_generic: section.get(&TYPE).value == "generic",
        };
        let settings = Settings {
            timeouts,
            balancing,
            member,
        };
        Self::new(name.to_owned(), &addresses, settings, previous)
    }
}

/// Returns `response_buffer` in bytes; `u64::MAX` for "auto", which only shares bound.
pub fn response_buffer(section: &Lowered) -> Result<u64, Problem> {
    let text = section.get(&RESPONSE_BUFFER);
    if text.value == "auto" {
        return Ok(u64::MAX);
    }
    text.value
        .parse()
        .map(|ByteSize(bytes)| bytes)
        .map_err(|_| {
            let message = format!("`{}` is neither \"auto\" nor a size", text.value);
            Problem::new(text.place, message).help("response_buffer = \"16MiB\"")
        })
}

/// Returns the admission settings. Zero is no limit, except for `queue_length` and `scouts`.
fn admission(section: &Lowered) -> admission::Settings {
    let some = |number: usize| Some(number).filter(|number| *number > 0);
    admission::Settings {
        capacity: some(section.get(&CAPACITY)).map(|capacity| capacity.min(pool::MOST)),
        queue_length: section.get(&QUEUE_LENGTH),
        scouts: section.get(&SCOUTS),
        turn: section.get(&TURN),
        keep: section.get(&KEEP),
        reuse: ReuseLimits {
            max_idle: some(section.get(&MAX_IDLE)),
            max_requests: Some(section.get(&MAX_REQUESTS)).filter(|number| *number > 0),
            max_age: Some(section.get(&MAX_AGE)).filter(|age| !age.is_zero()),
        },
    }
}

fn warn_of_total(section: &Lowered, problems: &mut Problems) {
    let Some(table) = section.given(&TIMEOUTS_KEY) else {
        return;
    };
    let keys = [
        ("timeouts.connect", &CONNECT),
        ("timeouts.queue", &QUEUE),
        ("timeouts.first_byte", &FIRST_BYTE),
        ("timeouts.idle", &IDLE),
    ];
    let others = keys.map(|(name, key)| (name, table.given(key), table.place_of(key)));
    warn_of_longer(table.given(&TOTAL), others, problems);
}

/// Warns of time limits that have no effect, since `timeouts.total` of the same table is shorter.
pub(crate) fn warn_of_longer<const N: usize>(
    total: Option<Duration>,
    others: [(&str, Option<Duration>, Place); N],
    problems: &mut Problems,
) {
    let Some(total) = total.filter(|total| !total.is_zero()) else {
        return;
    };
    for (name, duration, place) in others {
        if let Some(duration) = duration.filter(|duration| *duration > total) {
            let (duration, total) = (show_duration(duration), show_duration(total));
            let message = format!(
                "`{name} = \"{duration}\"` has no effect: `timeouts.total = \"{total}\"` ends the request first"
            );
            problems.warn(
                Problem::new(place, message).help("raise `total`, or leave one of the two out"),
            );
        }
    }
}

fn address(text: &At<String>, problems: &mut Problems) -> Option<Address> {
    match Address::parse(&text.value) {
        Ok(address) => Some(address),
        Err(message) => {
            problems.push(Problem::new(text.place.clone(), message));
            None
        }
    }
}
