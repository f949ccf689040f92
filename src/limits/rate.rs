//! Rate limits of requests: so many a second, and so many at once. One bucket for each client, in a store of fixed
//! size.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use quick_cache::sync::Cache;
use tokio::time::Instant;

/// The number of clients in the store; the least recently seen are evicted. About 6 MB.
const CLIENTS: usize = 65_536;

/// The most, in nanoseconds, by which a request may be early: some that were sent one after the other arrive
/// together, delayed on their way, or by other work of their thread here.
const JITTER: u64 = 50_000_000;

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

/// The allowance of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Requests a second, on the mean; 0 is no limit.
    pub per_second: u32,
    /// Requests at once beyond the mean.
    pub burst: u32,
    /// The most requests that run at once; 0 is no limit.
    pub at_once: u32,
}

/// The limit that refuses a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Exceeded {
    /// `limits.requests_per_second` with `limits.burst`.
    #[error("more than limits.requests_per_second = {}", .allowance.per_second)]
    Rate {
        /// The allowance.
        allowance: Allowance,
        /// Time until the next request is allowed.
        wait: Duration,
    },
    /// `limits.requests_at_once`.
    #[error("more than limits.requests_at_once = {}", .0.at_once)]
    AtOnce(Allowance),
    /// Share of memory that its requests hold before any content.
    #[error("the requests of this client hold its share of server.body_memory")]
    Memory,
}

/// The rate limiter of a site.
#[derive(Debug)]
pub struct RateLimiter {
    allowance: Allowance,
    epoch: Instant,
    buckets: Cache<Client, Arc<Bucket>>,
}

#[derive(Debug, Default)]
struct Bucket {
    /// GCRA: the theoretical arrival time, in nanoseconds since the epoch.
    arrival: AtomicU64,
    running: AtomicU32,
}

/// A running request, counted until dropped.
#[derive(Debug)]
pub struct RunningRequest(Arc<Bucket>);

impl RateLimiter {
    /// Builds a limiter without clients; `None` if nothing is limited.
    pub fn new(allowance: Allowance) -> Option<Self> {
        let limits = allowance.per_second > 0 || allowance.at_once > 0;
        limits.then(|| Self {
            allowance,
            epoch: Instant::now(),
            buckets: Cache::new(CLIENTS),
        })
    }

    /// Returns the allowance of each client.
    pub fn allowance(&self) -> Allowance {
        self.allowance
    }

    /// Counts a request of `client`, or returns the limit that refuses it.
    pub fn admit(&self, client: Client, now: Instant) -> Result<RunningRequest, Exceeded> {
        let bucket = match self.buckets.get(&client) {
            Some(bucket) => bucket,
            None => {
                let bucket = Arc::new(Bucket::default());
                self.buckets.insert(client, Arc::clone(&bucket));
                bucket
            }
        };
        let allowance = self.allowance;
        let running = RunningRequest::begin(bucket);
        let at_once = running.0.running.load(Ordering::Relaxed);
        if allowance.at_once > 0 && at_once > allowance.at_once {
            return Err(Exceeded::AtOnce(allowance));
        }
        let since = u64::try_from(now.duration_since(self.epoch).as_nanos()).unwrap_or(u64::MAX);
        match running.0.take(allowance, since) {
            Ok(()) => Ok(running),
            Err(wait) => Err(Exceeded::Rate { allowance, wait }),
        }
    }
}

impl Bucket {
    /// Applies the generic cell rate algorithm: each request moves the theoretical arrival time by one interval; a
    /// request is early if that lies further ahead than the burst. An interval is short by less than a nanosecond in
    /// a thousand, so that no request is refused for rounding.
    fn take(&self, allowance: Allowance, now: u64) -> Result<(), Duration> {
        if allowance.per_second == 0 {
            return Ok(());
        }
        let (per_second, burst) = (u64::from(allowance.per_second), u64::from(allowance.burst));
        let interval = SECOND / per_second;
        let tolerance = (SECOND * burst).div_ceil(per_second) + JITTER;
        let update = |arrival: u64| {
            let arrival = arrival.max(now);
            (arrival - now <= tolerance).then_some(arrival + interval)
        };
        let taken = self
            .arrival
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, update);
        taken
            .map(|_| ())
            .map_err(|arrival| Duration::from_nanos(arrival - now - tolerance))
    }
}

const SECOND: u64 = 1_000_000_000;

impl RunningRequest {
    fn begin(bucket: Arc<Bucket>) -> Self {
        bucket.running.fetch_add(1, Ordering::Relaxed);
        Self(bucket)
    }
}

impl Drop for RunningRequest {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn client(text: &str) -> Client {
        Client::new(text.parse().unwrap())
    }

    #[test]
    fn a_client_is_an_address_or_a_prefix() {
        assert_eq!(client("::ffff:192.0.2.1"), client("192.0.2.1"));
        assert_eq!(client("2001:db8::1"), client("2001:db8::ffff:1"));
        assert_ne!(client("2001:db8:0:1::1"), client("2001:db8:0:2::1"));
        assert_ne!(client("192.0.2.1"), client("192.0.2.2"));
    }

    #[test]
    fn a_burst_is_allowed_and_then_the_rate() {
        let clients = RateLimiter::new(Allowance {
            per_second: 10,
            burst: 2,
            at_once: 0,
        })
        .unwrap();
        let (one, now) = (client("192.0.2.1"), Instant::now());
        for _ in 0..3 {
            assert!(clients.admit(one, now).is_ok());
        }
        let Err(Exceeded::Rate { wait, .. }) = clients.admit(one, now) else {
            panic!("a fourth request at once");
        };
        assert!(wait <= Duration::from_millis(60) && wait > Duration::from_millis(40));
        assert!(clients.admit(client("192.0.2.2"), now).is_ok());
        assert!(clients.admit(one, now + Duration::from_millis(61)).is_ok());
        assert!(
            clients
                .admit(one, now + Duration::from_millis(102))
                .is_err()
        );
    }

    /// Returns the time at which a request sent at `sent` is allowed, and the exact theoretical arrival time, in
    /// nanoseconds times `per_second`.
    fn exactly(allowance: Allowance, arrival: u128, sent: u64) -> (u64, u128) {
        let (per_second, second) = (u128::from(allowance.per_second), u128::from(SECOND));
        let ahead = second * u128::from(allowance.burst);
        let earliest = arrival.saturating_sub(ahead).div_ceil(per_second);
        let sent = sent.max(u64::try_from(earliest).unwrap());
        let arrival = arrival.max(u128::from(sent) * per_second) + second;
        (sent, arrival)
    }

    fn allowances() -> impl Strategy<Value = Allowance> {
        let rates = prop_oneof![1_u32..100, 100_u32..100_000, 100_000_u32..=1_000_000];
        (rates, 0_u32..1000).prop_map(|(per_second, burst)| Allowance {
            per_second,
            burst,
            at_once: 0,
        })
    }

    proptest! {
        #[test]
        fn a_client_that_keeps_to_the_rate_is_never_refused(
            allowance in allowances(),
            requests in prop::collection::vec((0_u64..3_000_000, 0..=JITTER), 1..2000),
        ) {
            let bucket = Bucket::default();
            let (mut arrival, mut last, mut came) = (0, 0, 0);
            for (index, (gap, held_up)) in requests.into_iter().enumerate() {
                // Some at once, as fast as allowed.
                let gap = if index % 100 < 90 { 0 } else { gap };
                (last, arrival) = exactly(allowance, arrival, last + gap);
                came = (last + held_up).max(came);
                prop_assert_eq!(bucket.take(allowance, came), Ok(()), "request {}", index);
            }
        }

        #[test]
        fn a_faster_client_gets_the_rate_and_the_burst(
            allowance in allowances(),
            gap in 1_u64..100_000,
            count in 1_u64..20_000,
        ) {
            let bucket = Bucket::default();
            let is_admitted = |number: &u64| bucket.take(allowance, number * gap).is_ok();
            let admitted = u64::try_from((0..count).filter(is_admitted).count()).unwrap();
            let time = count * gap + JITTER;
            let brought = (time * u64::from(allowance.per_second)).div_ceil(SECOND);
            let most = u64::from(allowance.burst) + 1 + brought + brought / 1000;
            prop_assert!(admitted <= most, "{admitted} of {count}, and not {most}");
        }
    }

    #[test]
    fn what_runs_at_once_is_counted_until_it_ends() {
        let clients = RateLimiter::new(Allowance {
            per_second: 0,
            burst: 0,
            at_once: 2,
        })
        .unwrap();
        let (one, now) = (client("192.0.2.1"), Instant::now());
        let first = clients.admit(one, now).unwrap();
        let _second = clients.admit(one, now).unwrap();
        assert!(matches!(clients.admit(one, now), Err(Exceeded::AtOnce(_))));
        drop(first);
        assert!(clients.admit(one, now).is_ok());
    }

    #[test]
    fn without_a_limit_there_is_nothing_to_count() {
        let free = Allowance {
            per_second: 0,
            burst: 9,
            at_once: 0,
        };
        assert!(RateLimiter::new(free).is_none());
    }
}
