//! Servers whose host is a name: when they are looked up, and which addresses they stand for.
//! getaddrinfo tells no TTL, so that answers are taken as good for a time that is configured.

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

/// Addresses of one name that become members; more are left out.
const MOST_ADDRESSES: usize = 64;

/// The pause between two lookups while a server or the resolver fails: "at once" that does not
/// become a flood.
pub(super) const HURRY: Duration = Duration::from_secs(1);

/// What looks names up.
pub(super) trait Resolve: fmt::Debug + Send + Sync {
    /// The addresses of `host`, with `port`.
    fn resolve<'a>(
        &'a self,
        host: &'a str,
        port: u16,
    ) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>>;
}

/// The system's resolver: /etc/hosts, DNS, and what else nsswitch.conf names.
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

/// What was found out about a name.
#[derive(Debug, Default)]
struct Known {
    /// By the last lookup that succeeded.
    addresses: Vec<Address>,
    /// Why the last lookup failed, where it did.
    error: Option<Arc<io::Error>>,
}

impl Name {
    /// The name in `address`, where it has one.
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

    /// Looks it up. Where that fails, what was known before holds on: a resolver that is down says
    /// nothing about the servers.
    pub(super) async fn look_up(&self, resolver: &dyn Resolve) {
        let answer = match resolver.resolve(&self.host, self.port).await {
            Ok(answer) if answer.is_empty() => Err(io::ErrorKind::NotFound.into()),
            Ok(answer) => Ok(answer),
            Err(error) => Err(error),
        };
        let mut known = self.known();
        match answer {
            Ok(answer) => {
                known.addresses = merged(&known.addresses, answer);
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

    /// Stands for the addresses of `before` until it is looked up, where that is the same name.
    pub(super) fn take_known(&self, before: &Self) {
        if self.host == before.host && self.port == before.port {
            self.known().addresses = before.addresses();
        }
    }

    /// The addresses that it stands for; none before the first lookup that succeeds.
    pub(super) fn addresses(&self) -> Vec<Address> {
        self.known().addresses.clone()
    }

    /// Why the last lookup failed, where it did.
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

/// The addresses of an answer, each once: those that were known in their old order, since resolvers
/// rotate theirs, and then the new ones.
fn merged(known: &[Address], answer: Vec<SocketAddr>) -> Vec<Address> {
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

/// When the names of an upstream are looked up: at first use, again when the answer is old, soon
/// while something fails, and never twice at once.
#[derive(Debug)]
pub(super) struct Timetable {
    origin: Instant,
    interval: Duration,
    /// Milliseconds from `origin` to the end of the last lookup, and one; 0 before the first.
    last: AtomicU64,
    running: AtomicBool,
}

impl Timetable {
    /// `interval`: how long an answer is good.
    pub(super) fn new(interval: Duration, now: Instant) -> Self {
        Self {
            origin: now,
            interval,
            last: AtomicU64::new(0),
            running: AtomicBool::new(false),
        }
    }

    /// Whether a lookup is due, and is begun by this very call; `hurry`: something fails.
    pub(super) fn begin(&self, now: Instant, hurry: bool) -> bool {
        let interval = match hurry {
            true => HURRY.min(self.interval),
            false => self.interval,
        };
        let due = match self.last.load(Ordering::Acquire) {
            0 => true,
            last => now.duration_since(self.origin) + ONE >= millis(last) + interval,
        };
        due && !self.running.swap(true, Ordering::AcqRel)
    }

    /// The lookup is over.
    pub(super) fn end(&self, now: Instant) {
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
        let merge = |known: &[&str], answer: &[&str]| -> Vec<String> {
            let known: Vec<_> = sockets(known).into_iter().map(Address::from).collect();
            let merged = merged(&known, sockets(answer));
            merged.iter().map(ToString::to_string).collect()
        };
        assert_eq!(
            merge(&[], &["10.0.0.2:9", "[::1]:9", "10.0.0.2:9"]),
            ["10.0.0.2:9", "[::1]:9"]
        );
        assert_eq!(
            merge(
                &["10.0.0.1:9", "10.0.0.2:9"],
                &["10.0.0.3:9", "10.0.0.2:9", "10.0.0.1:9"]
            ),
            ["10.0.0.1:9", "10.0.0.2:9", "10.0.0.3:9"]
        );
        assert_eq!(merge(&["10.0.0.1:9"], &["10.0.0.3:9"]), ["10.0.0.3:9"]);
        let many: Vec<_> = (0..200).map(|n| format!("10.0.0.{n}:9")).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        assert_eq!(merge(&[], &many).len(), MOST_ADDRESSES);
    }

    #[test]
    fn lookups_follow_the_age_of_the_answer_and_hurry_where_something_fails() {
        let s = Duration::from_secs(1);
        let start = Instant::now();
        let timetable = Timetable::new(10 * s, start);
        assert!(timetable.begin(start, false), "at first use");
        assert!(
            !timetable.begin(start + 60 * s, true),
            "never twice at once"
        );
        timetable.end(start);
        for (passed, hurry, due) in [(9 * s, false, false), (s / 2, true, false), (s, true, true)] {
            assert_eq!(timetable.begin(start + passed, hurry), due, "{passed:?}");
        }
        timetable.end(start + s);
        assert!(timetable.begin(start + 11 * s, false));
    }
}
