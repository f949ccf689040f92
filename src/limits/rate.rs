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
mod tests;
