//! Counts of one partition: the generic cell rate algorithm, and the number of running requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// The most, in nanoseconds, by which a request may be early: some that were sent one after the other arrive
/// together, delayed on their way, or by other work of their thread here.
const JITTER: u64 = 50_000_000;

const SECOND: u64 = 1_000_000_000;

/// The most requests a second: what the key `requests_per_second` allows.
const FASTEST: u32 = 1_000_000;

/// The allowance of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Allowance {
    /// Requests a second, on the mean; 0 is no limit.
    pub per_second: u32,
    /// Requests at once beyond the mean.
    pub burst: u32,
    /// The most requests that run at once; 0 is no limit.
    pub at_once: u32,
}

/// The counts of a partition.
#[derive(Debug, Default)]
pub(super) struct Bucket {
    /// GCRA: the theoretical arrival time, in nanoseconds since the epoch.
    arrival: AtomicU64,
    running: AtomicU32,
}

/// A running request, counted until dropped.
#[derive(Debug)]
pub(super) struct Running(Arc<Bucket>);

/// The part of an allowance that a request exceeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Excess {
    /// `requests_per_second` with `burst`; the time until the next request is allowed.
    Rate(Duration),
    /// `requests_at_once`.
    AtOnce,
}

impl Allowance {
    /// Reports whether anything is limited.
    pub fn has_limit(&self) -> bool {
        self.per_second > 0 || self.at_once > 0
    }

    /// Returns the allowance of `count` partitions together.
    pub(super) fn times(self, count: u32) -> Self {
        Self {
            per_second: self.per_second.saturating_mul(count).min(FASTEST),
            // Each has one request beside its burst.
            burst: self.burst.saturating_add(1).saturating_mul(count) - 1,
            at_once: self.at_once.saturating_mul(count),
        }
    }

    /// Returns the time between two requests at the rate, in nanoseconds: short by less than one in a thousand, so that
    /// no request is refused for rounding.
    fn interval(&self) -> u64 {
        SECOND.checked_div(self.per_second.into()).unwrap_or(0)
    }
}

impl Bucket {
    /// Counts a request at `now`, in nanoseconds since the epoch, or returns what it exceeds.
    pub(super) fn admit(
        self: Arc<Self>,
        allowance: Allowance,
        now: u64,
    ) -> Result<Running, Excess> {
        let at_once = self.running.fetch_add(1, Ordering::Relaxed);
        let running = Running(self);
        if allowance.at_once > 0 && at_once >= allowance.at_once {
            return Err(Excess::AtOnce);
        }
        running.0.take(allowance, now).map_err(Excess::Rate)?;
        Ok(running)
    }

    /// Applies the generic cell rate algorithm: each request moves the theoretical arrival time by one interval; a
    /// request is early if that lies further ahead than the burst.
    fn take(&self, allowance: Allowance, now: u64) -> Result<(), Duration> {
        if allowance.per_second == 0 {
            return Ok(());
        }
        let (per_second, burst) = (u64::from(allowance.per_second), u64::from(allowance.burst));
        let tolerance = (SECOND * burst).div_ceil(per_second) + JITTER;
        let update = |arrival: u64| {
            let arrival = arrival.max(now);
            (arrival - now <= tolerance).then_some(arrival + allowance.interval())
        };
        let taken = self
            .arrival
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, update);
        taken
            .map(|_| ())
            .map_err(|arrival| Duration::from_nanos(arrival - now - tolerance))
    }
}

impl Running {
    /// Takes the request back, as if it had never come.
    pub(super) fn undo(self, allowance: Allowance) {
        self.0
            .arrival
            .fetch_sub(allowance.interval(), Ordering::Relaxed);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn admit(bucket: &Arc<Bucket>, allowance: Allowance, now: u64) -> Result<Running, Excess> {
        Arc::clone(bucket).admit(allowance, now)
    }

    fn at_rate(per_second: u32, burst: u32) -> Allowance {
        Allowance {
            per_second,
            burst,
            at_once: 0,
        }
    }

    #[test]
    fn a_burst_is_allowed_and_then_the_rate() {
        let (bucket, allowance) = (Arc::default(), at_rate(10, 2));
        for _ in 0..3 {
            assert!(admit(&bucket, allowance, 0).is_ok());
        }
        let Err(Excess::Rate(wait)) = admit(&bucket, allowance, 0) else {
            panic!("a fourth request at once");
        };
        assert!(wait <= Duration::from_millis(60) && wait > Duration::from_millis(40));
        assert!(admit(&bucket, allowance, 61_000_000).is_ok());
        assert!(admit(&bucket, allowance, 102_000_000).is_err());
    }

    #[test]
    fn a_request_that_is_taken_back_was_never_counted() {
        let allowance = Allowance {
            at_once: 1,
            ..at_rate(1, 0)
        };
        let bucket = Arc::default();
        for now in [0, 0, 7, SECOND] {
            admit(&bucket, allowance, now).unwrap().undo(allowance);
        }
        assert!(admit(&bucket, allowance, SECOND).is_ok());
        assert!(admit(&bucket, allowance, SECOND).is_err());
    }

    #[test]
    fn what_runs_at_once_is_counted_until_it_ends() {
        let allowance = Allowance {
            at_once: 2,
            ..at_rate(0, 0)
        };
        let bucket = Arc::default();
        let first = admit(&bucket, allowance, 0).unwrap();
        let _second = admit(&bucket, allowance, 0).unwrap();
        assert_eq!(admit(&bucket, allowance, 0).unwrap_err(), Excess::AtOnce);
        drop(first);
        assert!(admit(&bucket, allowance, 0).is_ok());
    }

    #[test]
    fn an_allowance_of_many_has_bounds() {
        let many = at_rate(3, 5).times(32);
        assert_eq!((many.per_second, many.burst, many.at_once), (96, 191, 0));
        let most = Allowance {
            at_once: u32::MAX,
            ..at_rate(FASTEST, u32::MAX - 1)
        };
        assert_eq!(most.times(32), most);
        assert_eq!(most.times(1), most);
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
        (rates, 0_u32..1000).prop_map(|(per_second, burst)| at_rate(per_second, burst))
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
}
