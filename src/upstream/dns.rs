//! Servers whose host is a name: the schedule of their lookups, and the addresses that a name resolves to.
//! getaddrinfo returns no TTL, so an answer is valid for a configured time.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::net::lookup_host;
use tokio::time::Instant;

use super::Address;

/// The number of addresses of one name that become members; further ones are ignored.
const MOST_ADDRESSES: usize = 64;

/// The pause between two lookups while a server or the resolver fails: "at once", without flooding the resolver.
pub(super) const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// A resolver of host names.
pub(super) trait Resolve: fmt::Debug + Send + Sync {
    /// Returns the addresses of `host`, with `port`.
    fn resolve<'a>(
        &'a self,
        host: &'a str,
        port: u16,
    ) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>>;
}

/// The system's resolver: /etc/hosts, DNS, and every other source that nsswitch.conf names.
#[derive(Debug)]
pub(super) struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve<'a>(
        &'a self,
        host: &'a str,
        port: u16,
    ) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        async move { Ok(lookup_host((host, port)).await?.collect()) }.boxed()
    }
}

/// A server whose host is a name.
#[derive(Debug)]
pub(super) struct Name {
    host: String,
    port: u16,
    known: Mutex<Known>,
}

/// The result of the lookups of a name.
#[derive(Debug, Default)]
struct Known {
    /// Addresses from the last successful lookup.
    addresses: Vec<Address>,
    /// Error of the last lookup, if it failed.
    error: Option<Arc<io::Error>>,
}

impl Name {
    /// Returns the name in `address`; `None` for an IP address or a unix socket.
    pub(super) fn of(address: &Address) -> Option<Self> {
        match address {
            Address::Tcp(host, port) if host.parse::<std::net::IpAddr>().is_err() => Some(Self {
                host: host.clone(),
                port: *port,
                known: Mutex::default(),
            }),
            Address::Tcp(..) | Address::Unix(_) => None,
        }
    }

    /// Looks the name up. A failed lookup keeps the known addresses: a resolver that is down proves nothing about the
    /// servers.
    pub(super) async fn look_up(&self, resolver: &dyn Resolve) {
        let answer = match resolver.resolve(&self.host, self.port).await {
            Ok(answer) if answer.is_empty() => Err(io::ErrorKind::NotFound.into()),
            Ok(answer) => Ok(answer),
            Err(error) => Err(error),
        };
        let mut known = self.known();
        match answer {
            Ok(answer) => {
                known.addresses = merge(&known.addresses, answer);
                known.error = None;
            }
            Err(error) => {
                if known.error.is_none() {
                    tracing::warn!(server = %self, %error, "the name cannot be resolved");
                }
                known.error = Some(Arc::new(error));
            }
        }
    }

    /// Takes over the addresses of `before`, if it is the same name, until the first lookup.
    pub(super) fn take_known(&self, before: &Self) {
        if self.host == before.host && self.port == before.port {
            self.known().addresses = before.addresses();
        }
    }

    /// Returns the addresses of the name; none before the first successful lookup.
    pub(super) fn addresses(&self) -> Vec<Address> {
        self.known().addresses.clone()
    }

    /// Returns the error of the last lookup, if it failed.
    pub(super) fn error(&self) -> Option<Arc<io::Error>> {
        self.known().error.clone()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// Merges an answer into the known addresses, each once: known ones first, in their old order, since resolvers rotate
/// theirs, then the new ones.
fn merge(known: &[Address], answer: Vec<SocketAddr>) -> Vec<Address> {
    let mut answer: Vec<Address> = answer.into_iter().map(Address::from).collect();
    let place = |address: &Address| known.iter().position(|other| other == address);
    answer.sort_by_key(|address| place(address).unwrap_or(known.len()));
    let mut merged = Vec::with_capacity(answer.len().min(MOST_ADDRESSES));
    for address in answer {
        if merged.len() < MOST_ADDRESSES && !merged.contains(&address) {
            merged.push(address);
        }
    }
    merged
}

/// Schedule of the lookups of an upstream's names: at first use, again when the answer is old, soon while a lookup or
/// server fails, and never two at once.
#[derive(Debug)]
pub(super) struct LookupSchedule {
    origin: Instant,
    interval: Duration,
    /// Milliseconds from `origin` to the end of the last lookup, and one; 0 before the first.
    last: AtomicU64,
    running: AtomicBool,
}

impl LookupSchedule {
    /// Builds a schedule; an answer is valid for `interval`.
    pub(super) fn new(interval: Duration, now: Instant) -> Self {
        Self {
            origin: now,
            interval,
            last: AtomicU64::new(0),
            running: AtomicBool::new(false),
        }
    }

    /// Reports whether a lookup is due, and marks it as running if so; `is_failing` shortens the interval.
    pub(super) fn try_start(&self, now: Instant, is_failing: bool) -> bool {
        let interval = if is_failing {
            RETRY_INTERVAL.min(self.interval)
        } else {
            self.interval
        };
        let due = match self.last.load(Ordering::Acquire) {
            0 => true,
            last => now.duration_since(self.origin) + ONE >= millis(last) + interval,
        };
        due && !self.running.swap(true, Ordering::AcqRel)
    }

    /// Records the end of the lookup.
    pub(super) fn finish(&self, now: Instant) {
        let passed = now.duration_since(self.origin) + ONE;
        let last = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX);
        self.last.store(last, Ordering::Release);
        self.running.store(false, Ordering::Release);
    }
}

const ONE: Duration = Duration::from_millis(1);

fn millis(number: u64) -> Duration {
    Duration::from_millis(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sockets(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn only_what_is_no_ip_address_is_a_name() {
        for (text, is_name) in [
            ("php:9000", true),
            ("php.example.org:9000", true),
            ("127.0.0.1:9000", false),
            ("[::1]:9000", false),
            ("unix:/run/php.sock", false),
        ] {
            let name = Name::of(&Address::parse(text).unwrap());
            assert_eq!(name.is_some(), is_name, "{text}");
            assert!(name.is_none_or(|name| name.to_string() == text));
        }
    }

    #[test]
    fn known_addresses_keep_their_order_and_new_ones_follow() {
        let merged_texts = |known: &[&str], answer: &[&str]| -> Vec<String> {
            let known: Vec<_> = sockets(known).into_iter().map(Address::from).collect();
            let merged = merge(&known, sockets(answer));
            merged.iter().map(ToString::to_string).collect()
        };
        assert_eq!(
            merged_texts(&[], &["10.0.0.2:9", "[::1]:9", "10.0.0.2:9"]),
            ["10.0.0.2:9", "[::1]:9"]
        );
        assert_eq!(
            merged_texts(
                &["10.0.0.1:9", "10.0.0.2:9"],
                &["10.0.0.3:9", "10.0.0.2:9", "10.0.0.1:9"]
            ),
            ["10.0.0.1:9", "10.0.0.2:9", "10.0.0.3:9"]
        );
        assert_eq!(
            merged_texts(&["10.0.0.1:9"], &["10.0.0.3:9"]),
            ["10.0.0.3:9"]
        );
        let many: Vec<_> = (0..200).map(|n| format!("10.0.0.{n}:9")).collect();
        let texts: Vec<_> = many.iter().map(String::as_str).collect();
        assert_eq!(merged_texts(&[], &texts).len(), MOST_ADDRESSES);
    }

    #[test]
    fn lookups_follow_the_age_of_the_answer_and_hurry_where_something_fails() {
        let s = Duration::from_secs(1);
        let start = Instant::now();
        let schedule = LookupSchedule::new(10 * s, start);
        assert!(schedule.try_start(start, false), "at first use");
        assert!(
            !schedule.try_start(start + 60 * s, true),
            "never twice at once"
        );
        schedule.finish(start);
        for (passed, is_failing, due) in
            [(9 * s, false, false), (s / 2, true, false), (s, true, true)]
        {
            assert_eq!(
                schedule.try_start(start + passed, is_failing),
                due,
                "{passed:?}"
            );
        }
        schedule.finish(start + s);
        assert!(schedule.try_start(start + 11 * s, false));
    }
}
