//! `[upstream.NAME]`: the description of an upstream and how it becomes one.

use super::admission::Settings;
use super::{Address, MemberSettings, Timeouts, Upstream, pool};
use crate::section::{At, Key, Kind, Lowered, Problem, Problems, Section};

/// The `[upstream.NAME]` section.
pub static UPSTREAM: Section = Section {
    title: "[upstream.NAME]",
    doc: "FastCGI servers that answer alike, under a name for `php`, `fastcgi.upstream` and fcgi:// targets.",
    keys: &[
        Key::new("servers", Kind::Texts, "Where they listen: \"unix:/path\" or \"host:port\"; one or a list, of which the least busy is asked.").shown("[\"unix:/run/php/php-fpm.sock\"]"),
        Key::new("capacity", Kind::Integer { min: 0, max: 1024 }, "Connections at once to each server; 0: as many as it acknowledges, which follows pm.max_children by itself. Servers that acknowledge nothing get a new connection for each request while this is 0, and are asked to keep connections otherwise.").default("0"),
        Key::new("queue_length", Kind::Integer { min: 0, max: 1_000_000 }, "Requests that wait at once for each server; further ones get 503.").default("1024"),
        Key::new("scouts", Kind::Integer { min: 1, max: 64 }, "Connections at once that look for a free worker: so many places this gateway takes in the server's own queue.").default("2"),
        Key::new("turn", Kind::Duration, "How long a worker may be handed from request to request before it is given back to all clients of the server; \"0s\" gives it back after each.").default("\"20ms\""),
        Key::new("keep", Kind::Duration, "How long an idle connection is kept for the next request; each occupies a worker. \"0s\": never.").default("\"20ms\""),
        Key::new("timeouts", Kind::Table(&TIMEOUTS), "How long things may take."),
        Key::new("response_buffer", Kind::Size, "How much of an answer is taken from PHP ahead of a client that reads more slowly, so that the worker is free again: 64 KiB of it in memory, the rest in an unlinked file in server.spool_directory. When it is full, or \"0B\", PHP waits for the client. Never for text/event-stream, application/x-ndjson and what the script sends with X-Accel-Buffering: no.").default("\"0B\""),
        Key::new("backend_root", Kind::Text, "The document root as the servers see it, where that is another path than the gateway's: it replaces the site's root in SCRIPT_FILENAME and DOCUMENT_ROOT.").example("\"/app/public\""),
    ],
};

/// `upstream.NAME.timeouts`.
static TIMEOUTS: Section = Section {
    title: "[upstream.NAME.timeouts]",
    doc: "How long things may take; \"0s\" is no limit.",
    keys: &[
        Key::new("connect", Kind::Duration, "One attempt to connect.").default("\"1s\""),
        Key::new("queue", Kind::Duration, "From the arrival of a request until a worker has it, restarts of the server included; then 503.").default("\"10s\""),
        Key::new("first_byte", Kind::Duration, "From then until the answer begins; then 504.").default("\"60s\""),
        Key::new("idle", Kind::Duration, "Between two pieces of an answer; then it is cut.").default("\"60s\""),
    ],
};

impl Upstream {
    /// An upstream as its section describes it.
    pub fn build(name: &str, section: &Lowered, problems: &mut Problems) -> Option<Self> {
        let servers = section.texts("servers");
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
        let addresses: Vec<_> = servers
            .iter()
            .filter_map(|text| address(text, problems))
            .collect();
        (addresses.len() == servers.len()).then(|| Self::with(name, addresses, section))
    }

    /// An upstream of the one server at `address`; all else is as in `section`.
    pub fn with(name: &str, addresses: Vec<Address>, section: &Lowered) -> Self {
        let timeouts = section.table("timeouts");
        let timeouts = Timeouts {
            connect: timeouts.duration("connect"),
            queue: timeouts.duration("queue"),
            first_byte: timeouts.duration("first_byte"),
            idle: timeouts.duration("idle"),
        };
        let number = |key| usize::try_from(section.integer(key)).unwrap_or(0);
        let admission = Settings {
            capacity: Some(number("capacity"))
                .filter(|capacity| *capacity > 0)
                .map(|capacity| capacity.min(pool::MOST)),
            queue_length: number("queue_length"),
            scouts: number("scouts"),
            turn: section.duration("turn"),
            keep: section.duration("keep"),
        };
        Self::new(
            name.to_owned(),
            addresses,
            timeouts,
            MemberSettings {
                admission,
                connect: timeouts.connect,
            },
        )
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
