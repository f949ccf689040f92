//! Rate limits of requests: so many a second, and so many at once, for each partition of the requests. The counts have a
//! store of fixed size.

use std::borrow::Cow;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use quick_cache::sync::Cache;
use tokio::time::Instant;

use super::bucket::{Allowance, Bucket, Excess, Running};
use super::request_limit::{PartitionKey, RequestLimit};

/// The number of partitions in a store; the least recently used are evicted, and begin anew. About 6 MB when full.
const PARTITIONS: usize = 65_536;

/// The number of values of a field or a cookie whose allowances one client may use up. Clients invent values, and each
/// would be a new allowance; behind the address of an office or a school there are as many people who are busy at once.
const VALUES_PER_CLIENT: u32 = 32;

/// A client: an IPv4 address, or the IPv6 /64 that providers assign to one customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Client(IpAddr);

impl Client {
    /// Returns the client at an address.
    pub fn new(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(v6) => Self(IpAddr::V6(Ipv6Addr::from_bits(
                v6.to_bits() & !u128::from(u64::MAX),
            ))),
            v4 => Self(v4),
        }
    }
}

/// The origin of a request, as far as limits count by it.
#[derive(Clone, Debug)]
pub struct Subject<'a> {
    /// The client; none on a unix socket.
    pub client: Option<Client>,
    /// The value of the limit's field or cookie, or the user, if the request has one.
    pub value: Option<Cow<'a, [u8]>>,
}

/// A set of requests with an allowance of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Partition {
    Client(Client),
    /// Keyed hash of a value. 128 bits: no two values share a count, and no secret of a client stays in memory.
    Value(u128),
    Site,
}

/// The limit that refuses a request.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Exceeded {
    /// `limits.requests_per_second` or `limits.requests_at_once`.
    #[error("{0}")]
    Requests(Box<Refusal>),
    /// Share of memory that its requests hold before any content.
    #[error("the requests of this client hold its share of server.body_memory")]
    Memory,
}

/// A refusal by a limit of requests.
#[derive(Clone, Debug)]
pub struct Refusal {
    limit: Arc<RequestLimit>,
    /// The kind of the partition, and the number of allowances that it has.
    kind: &'static str,
    count: u32,
    /// The exceeded part of the allowance.
    pub excess: Excess,
}

/// A limiter of requests, for a site or a rule.
#[derive(Clone, Debug)]
pub struct RateLimiter {
    limit: Arc<RequestLimit>,
    counts: Arc<Counts>,
}

/// The counts of all partitions.
#[derive(Debug)]
struct Counts {
    epoch: Instant,
    hasher: RandomState,
    partitions: Cache<Partition, Arc<Bucket>>,
    /// All requests of a client that have a value: [`VALUES_PER_CLIENT`]. In a store of its own, so that no invented value
    /// evicts the count that bounds them.
    totals: Cache<Partition, Arc<Bucket>>,
}

/// A running request, counted until dropped.
#[derive(Debug)]
pub struct RunningRequest {
    _counted: [Option<Running>; 2],
}

impl RateLimiter {
    /// Builds a limiter without counts.
    pub fn new(limit: RequestLimit) -> Self {
        Self {
            limit: Arc::new(limit),
            counts: Arc::new(Counts {
                epoch: Instant::now(),
                hasher: RandomState::new(),
                partitions: Cache::new(PARTITIONS),
                totals: Cache::new(PARTITIONS),
            }),
        }
    }

    /// Returns the limit.
    pub fn limit(&self) -> &RequestLimit {
        &self.limit
    }

    /// Continues the counts of `previous`.
    pub fn continue_counts(&mut self, previous: &Self) {
        self.counts = Arc::clone(&previous.counts);
    }

    /// Counts a request, or returns the limit that refuses it. A refused request is not counted. A request without client
    /// and value has no limit.
    pub fn admit(&self, subject: &Subject<'_>, now: Instant) -> Result<RunningRequest, Exceeded> {
        let Some(partition) = self.partition(subject) else {
            return Ok(RunningRequest {
                _counted: [None, None],
            });
        };
        let elapsed = now.duration_since(self.counts.epoch).as_nanos();
        let now = u64::try_from(elapsed).unwrap_or(u64::MAX);
        // The total comes first: a client beyond it adds no value to the store.
        let total = self.admit_to_total(subject, partition, now)?;
        let bucket = bucket(&self.counts.partitions, partition);
        match bucket.admit(self.limit.allowance, now) {
            Ok(running) => Ok(RunningRequest {
                _counted: [Some(running), total],
            }),
            Err(excess) => {
                if let Some(total) = total {
                    total.undo(self.total_allowance());
                }
                Err(self.refusal(partition, 1, excess))
            }
        }
    }

    /// Returns the partition of a request. One without a value is counted by its client.
    fn partition(&self, subject: &Subject<'_>) -> Option<Partition> {
        let of_client = || subject.client.map(Partition::Client);
        let value = subject.value.as_deref().filter(|value| !value.is_empty());
        match (&self.limit.key, value) {
            (PartitionKey::Site, _) => Some(Partition::Site),
            (PartitionKey::Client, _) | (_, None) => of_client(),
            (_, Some(value)) => Some(Partition::Value(self.counts.hash(value))),
        }
    }

    fn admit_to_total(
        &self,
        subject: &Subject<'_>,
        partition: Partition,
        now: u64,
    ) -> Result<Option<Running>, Exceeded> {
        let is_value = matches!(partition, Partition::Value(_));
        let client = subject
            .client
            .filter(|_| is_value && self.limit.key.is_chosen_by_client());
        let Some(client) = client.map(Partition::Client) else {
            return Ok(None);
        };
        bucket(&self.counts.totals, client)
            .admit(self.total_allowance(), now)
            .map(Some)
            .map_err(|excess| self.refusal(client, VALUES_PER_CLIENT, excess))
    }

    fn total_allowance(&self) -> Allowance {
        self.limit.allowance.times(VALUES_PER_CLIENT)
    }

    fn refusal(&self, partition: Partition, count: u32, excess: Excess) -> Exceeded {
        let kind = match partition {
            Partition::Client(_) => PartitionKey::Client.kind(),
            Partition::Value(_) | Partition::Site => self.limit.key.kind(),
        };
        Exceeded::Requests(Box::new(Refusal {
            limit: Arc::clone(&self.limit),
            kind,
            count,
            excess,
        }))
    }
}

impl Counts {
    /// Returns two keyed hashes of 64 bits.
    fn hash(&self, value: &[u8]) -> u128 {
        let [high, low] = [0_u8, 1].map(|half| self.hasher.hash_one((half, value)));
        (u128::from(high) << 64) | u128::from(low)
    }
}

/// Returns the bucket of a partition; of requests that come together, one adds it.
fn bucket(buckets: &Cache<Partition, Arc<Bucket>>, partition: Partition) -> Arc<Bucket> {
    let found: Result<_, std::convert::Infallible> =
        buckets.get_or_insert_with(&partition, || Ok(Arc::default()));
    found.unwrap_or_else(|never| match never {})
}

impl Refusal {
    /// Returns the kind of the partition: `client`, `header`, `cookie`, `user` or `site`.
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// Returns the requests a second that are allowed.
    pub fn quota(&self) -> u32 {
        self.limit.allowance.times(self.count).per_second
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limit = match self.excess {
            Excess::Rate(_) => self.limit.rate(),
            Excess::AtOnce => self.limit.at_once(),
        };
        let times = match self.count {
            1 => String::new(),
            count => format!("{count} times "),
        };
        write!(f, "more than {times}{limit}")?;
        match (self.kind, &self.limit.key) {
            ("site", _) => f.write_str(" of all clients"),
            ("header", PartitionKey::Header(name)) => {
                write!(f, " of one value of the field {name}")
            }
            ("cookie", PartitionKey::Cookie(name)) => {
                write!(f, " of one value of the cookie {name}")
            }
            (kind, _) => write!(f, " of one {kind}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{RULE_LIMITS, SITE_LIMITS};
    use crate::section::{Place, Problems};

    fn limiter(lines: &str) -> RateLimiter {
        let mut problems = Problems::default();
        let table = toml::de::DeTable::parse(lines).unwrap();
        let section =
            RULE_LIMITS.lower(table.get_ref(), Place::default(), &|_| None, &mut problems);
        let limit = RequestLimit::build(&section, &|_| "site.toml:7".into(), &mut problems);
        assert!(problems.is_empty(), "{lines}");
        RateLimiter::new(limit.unwrap())
    }

    fn client(text: &str) -> Client {
        Client::new(text.parse().unwrap())
    }

    fn subject(address: &str, value: Option<&'static str>) -> Subject<'static> {
        Subject {
            client: (address != "unix").then(|| client(address)),
            value: value.map(|value| value.as_bytes().into()),
        }
    }

    #[test]
    fn a_client_is_an_address_or_a_prefix() {
        assert_eq!(client("::ffff:192.0.2.1"), client("192.0.2.1"));
        assert_eq!(client("2001:db8::1"), client("2001:db8::ffff:1"));
        assert_ne!(client("2001:db8:0:1::1"), client("2001:db8:0:2::1"));
        assert_ne!(client("192.0.2.1"), client("192.0.2.2"));
    }

    /// Two requests of an allowance of one: the second is refused exactly if both are of one partition.
    #[test]
    fn requests_are_counted_by_the_key() {
        let (one, other) = ("192.0.2.1", "192.0.2.2");
        let (same, apart, free) = (Some("same"), Some("apart"), "");
        for (key, first, second, refused_by) in [
            ("client", (one, None), (one, None), "client"),
            ("client", (one, same), (one, apart), "client"),
            ("client", (one, None), (other, None), free),
            (
                "client",
                ("2001:db8::1", None),
                ("2001:db8::2", None),
                "client",
            ),
            (
                "client",
                ("2001:db8::1", None),
                ("2001:db8:0:1::1", None),
                free,
            ),
            ("client", ("unix", None), ("unix", None), free),
            ("header:a", (one, same), (other, same), "header"),
            ("header:a", (one, same), (one, apart), free),
            ("header:a", (one, None), (one, None), "client"),
            ("header:a", (one, None), (one, Some("")), "client"),
            ("header:a", (one, None), (one, same), free),
            ("header:a", (one, None), (other, None), free),
            ("header:a", ("unix", same), ("unix", same), "header"),
            ("header:a", ("unix", None), ("unix", None), free),
            ("cookie:a", (one, same), (other, same), "cookie"),
            ("cookie:a", (one, same), (one, apart), free),
            ("cookie:a", (one, None), (one, None), "client"),
            ("user", (one, same), (other, same), "user"),
            ("user", (one, same), (one, apart), free),
            ("user", (one, None), (one, None), "client"),
            ("site", (one, same), (other, apart), "site"),
            ("site", ("unix", None), (one, None), "site"),
        ] {
            for limit in ["requests_per_second = 1\nburst = 0", "requests_at_once = 1"] {
                let limiter = limiter(&format!("{limit}\nkey = \"{key}\""));
                let now = Instant::now();
                let _running = limiter.admit(&subject(first.0, first.1), now).unwrap();
                let admitted = limiter.admit(&subject(second.0, second.1), now);
                let refused = admitted.err().map(|exceeded| {
                    let Exceeded::Requests(refusal) = exceeded else {
                        panic!("{exceeded}")
                    };
                    refusal.kind()
                });
                let expected = Some(refused_by).filter(|kind| *kind != free);
                assert_eq!(refused, expected, "{key} {limit} {first:?} {second:?}");
            }
        }
    }

    #[test]
    fn refusals_name_the_limit_its_place_and_what_is_counted() {
        let one = "192.0.2.1";
        for (lines, value, message) in [
            (
                "requests_per_second = 1\nburst = 0",
                None,
                "more than limits.requests_per_second = 1 (site.toml:7) of one client",
            ),
            (
                "requests_at_once = 1\nkey = \"site\"",
                None,
                "more than limits.requests_at_once = 1 (site.toml:7) of all clients",
            ),
            (
                "requests_at_once = 1\nkey = \"header:X-Key\"",
                Some("a"),
                "more than limits.requests_at_once = 1 (site.toml:7) of one value of the field x-key",
            ),
            (
                "requests_at_once = 1\nkey = \"cookie:sid\"",
                Some("a"),
                "more than limits.requests_at_once = 1 (site.toml:7) of one value of the cookie sid",
            ),
            (
                "requests_at_once = 1\nkey = \"user\"",
                Some("a"),
                "more than limits.requests_at_once = 1 (site.toml:7) of one user",
            ),
        ] {
            let (limiter, now) = (limiter(lines), Instant::now());
            let _running = limiter.admit(&subject(one, value), now).unwrap();
            let refused = limiter.admit(&subject(one, value), now).unwrap_err();
            assert_eq!(refused.to_string(), message);
        }
    }

    /// Returns how many of these requests are admitted, and the last refusal.
    fn admitted(
        limiter: &RateLimiter,
        address: &str,
        values: impl Iterator<Item = usize>,
        now: Instant,
    ) -> (Vec<RunningRequest>, Option<String>) {
        let mut running = Vec::new();
        let mut last = None;
        for value in values {
            let subject = Subject {
                value: Some(value.to_string().into_bytes().into()),
                ..subject(address, None)
            };
            match limiter.admit(&subject, now) {
                Ok(one) => running.push(one),
                Err(refused) => last = Some(refused.to_string()),
            }
        }
        (running, last)
    }

    #[test]
    fn who_invents_values_has_the_allowance_of_a_few() {
        let most = usize::try_from(VALUES_PER_CLIENT).unwrap();
        for (lines, of_one) in [
            ("requests_per_second = 1\nburst = 4", 5),
            ("requests_at_once = 3", 3),
        ] {
            let limiter = limiter(&format!("{lines}\nkey = \"cookie:a\""));
            let now = Instant::now();
            let (running, refused) = admitted(&limiter, "192.0.2.1", 0..2000, now);
            // And what 50 ms of the rate bring.
            let expected = most * of_one..=most * of_one + 2;
            assert!(expected.contains(&running.len()), "{}", running.len());
            let refused = refused.unwrap();
            assert!(
                refused.starts_with("more than 32 times limits.requests_"),
                "{refused}"
            );
            assert!(refused.ends_with(" of one client"), "{refused}");
            // Neither the other clients of an invented value nor those without one notice it.
            let (others, _) = admitted(&limiter, "192.0.2.2", 0..1, now);
            assert_eq!(others.len(), 1);
            assert!(limiter.admit(&subject("192.0.2.1", None), now).is_ok());
        }
    }

    #[test]
    fn a_value_beyond_its_allowance_uses_nothing_of_others() {
        let limiter = limiter("requests_per_second = 1\nburst = 0\nkey = \"header:a\"");
        let now = Instant::now();
        let (running, _) = admitted(&limiter, "192.0.2.1", std::iter::repeat_n(7, 1000), now);
        assert_eq!(running.len(), 1);
        let (running, _) = admitted(&limiter, "192.0.2.1", 8..8 + 20, now);
        assert_eq!(running.len(), 20);
    }

    #[test]
    fn invented_values_evict_no_count_of_a_client() {
        let limiter = limiter("requests_per_second = 1\nburst = 0\nkey = \"header:a\"");
        let now = Instant::now();
        let (running, _) = admitted(&limiter, "192.0.2.1", 0..3 * PARTITIONS, now);
        assert!(running.len() <= usize::try_from(VALUES_PER_CLIENT).unwrap() + 2);
        assert!(limiter.counts.partitions.len() <= running.len());
        assert_eq!(limiter.counts.totals.len(), 1);
    }

    #[test]
    fn a_limiter_that_continues_has_the_counts() {
        let lines = "requests_per_second = 1\nburst = 0";
        let (before, mut after) = (limiter(lines), limiter(lines));
        let (one, now) = (subject("192.0.2.1", None), Instant::now());
        let running = before.admit(&one, now).unwrap();
        after.continue_counts(&before);
        assert!(after.admit(&one, now).is_err());
        drop((running, before));
        assert!(after.admit(&one, now).is_err());
    }

    #[test]
    fn without_a_limit_there_is_nothing_to_count() {
        for (lines, warnings) in [
            ("", 0),
            ("requests_per_second = 0", 0),
            ("burst = 9", 1),
            ("burst = 9\nkey = \"site\"", 2),
            ("requests_at_once = 0\nkey = \"site\"", 1),
        ] {
            let mut problems = Problems::default();
            let table = toml::de::DeTable::parse(lines).unwrap();
            let section =
                SITE_LIMITS.lower(table.get_ref(), Place::default(), &|_| None, &mut problems);
            let limit = RequestLimit::build(&section, &|_| String::new(), &mut problems);
            assert!(limit.is_none() && problems.is_empty(), "{lines}");
            assert_eq!(problems.take_warnings().len(), warnings, "{lines}");
        }
    }
}
