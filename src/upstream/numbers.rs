//! Statistics of one server, counted at the event and read by the log and by `/metrics`. Each is one relaxed atomic;
//! together they are no consistent snapshot.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::limits::budget::Over;

/// Upper bounds of the histograms' buckets, in milliseconds; the last bucket has no bound.
pub const BOUNDS_MS: [u64; 12] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000, 10_000];

/// The weight of a new service time in the mean: 1/16, so that the last few dozen count.
const WEIGHT: u64 = 16;

/// A monotonic counter.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

/// A histogram of durations with the buckets of [`BOUNDS_MS`].
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [AtomicU64; BOUNDS_MS.len() + 1],
    sum_us: AtomicU64,
}

/// The statistics of one server.
#[derive(Debug, Default)]
pub struct Numbers {
    /// Connections opened.
    pub opened: Count,
    /// Requests on a new connection of their own.
    pub fresh: Count,
    /// Requests on a connection that a scout had opened, or that had served before.
    pub reused: Count,
    /// Attempts to connect that failed.
    pub refused: Count,
    /// Requests sent again.
    pub retried: Count,
    /// Connections that were found closed, or with unexpected data, before they could be used again.
    pub stale: Count,
    /// Bytes that scripts printed behind their END_REQUEST.
    pub late_bytes: Count,
    /// Exchanges that broke or were abandoned.
    pub broken: Count,
    /// Requests refused for lack of a place in the queue.
    pub queue_full: Count,
    /// Part of `queue_full`: the client had its share of the places.
    pub queue_full_client: Count,
    /// Part of `queue_full`: the site had its share of the places.
    pub queue_full_site: Count,
    /// Requests that waited for `timeouts.queue` in vain.
    pub queue_timeout: Count,
    /// Time in our queue, and of connecting.
    pub wait: Histogram,
    /// Time from a probe to its answer: the server's own queue.
    pub acknowledge: Histogram,
    /// Time from the lease of a connection to the end of its request.
    pub service: Histogram,
    mean_service_us: AtomicU64,
}

impl Count {
    /// Adds one.
    pub fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Adds `count`.
    pub fn add_many(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// Returns the count.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Histogram {
    /// Adds a duration.
    pub fn add(&self, duration: Duration) {
        let ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let index = BOUNDS_MS.partition_point(|bound| *bound <= ms);
        if let Some(bucket) = self.buckets.get(index) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        let us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.sum_us.fetch_add(us, Ordering::Relaxed);
    }

    /// Returns the count of each bucket; the last is above all bounds.
    pub fn buckets(&self) -> [u64; BOUNDS_MS.len() + 1] {
        std::array::from_fn(|index| {
            let bucket = self.buckets.get(index);
            bucket.map_or(0, |bucket| bucket.load(Ordering::Relaxed))
        })
    }

    /// Returns the number of durations.
    pub fn count(&self) -> u64 {
        self.buckets().iter().sum()
    }

    /// Returns the sum of the durations.
    pub fn sum(&self) -> Duration {
        Duration::from_micros(self.sum_us.load(Ordering::Relaxed))
    }

    /// Returns the mean duration.
    pub fn mean(&self) -> Duration {
        let sum = self.sum_us.load(Ordering::Relaxed);
        Duration::from_micros(sum / self.count().max(1))
    }
}

impl Numbers {
    /// Records the use of a connection for `duration`.
    pub fn record_service(&self, duration: Duration) {
        self.service.add(duration);
        let us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        // A lost update moves the mean by less than the noise in it.
        let before = self.mean_service_us.load(Ordering::Relaxed);
        let after = match before {
            0 => us,
            before => before - before / WEIGHT + us / WEIGHT,
        };
        self.mean_service_us.store(after, Ordering::Relaxed);
    }

    /// Records a request refused for lack of a place in the queue.
    pub fn record_queue_full(&self, over: Over) {
        self.queue_full.add();
        match over {
            Over::Total => {}
            Over::Client => self.queue_full_client.add(),
            Over::Site => self.queue_full_site.add(),
        }
    }

    /// Returns the current service time of a request, the mean of the last few dozen.
    pub fn mean_service(&self) -> Duration {
        Duration::from_micros(self.mean_service_us.load(Ordering::Relaxed))
    }

    /// Returns the value of Retry-After: the seconds in which `workers` serve `waiting` requests, from 1 to 120. A
    /// longer forecast is worthless.
    pub fn retry_after(&self, waiting: usize, workers: usize) -> u64 {
        let waiting = u64::try_from(waiting).unwrap_or(u64::MAX);
        let workers = u64::try_from(workers.max(1)).unwrap_or(1);
        let us = self.mean_service_us.load(Ordering::Relaxed);
        let total = us.saturating_mul(waiting) / workers;
        total.div_ceil(1_000_000).clamp(1, 120)
    }
}

impl fmt::Display for Numbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = [
            ("served", self.service.count()),
            ("opened", self.opened.get()),
            ("fresh", self.fresh.get()),
            ("reused", self.reused.get()),
            ("refused", self.refused.get()),
            ("retried", self.retried.get()),
            ("stale", self.stale.get()),
            ("late_bytes", self.late_bytes.get()),
            ("broken", self.broken.get()),
            ("queue_full", self.queue_full.get()),
            ("queue_full_client", self.queue_full_client.get()),
            ("queue_full_site", self.queue_full_site.get()),
            ("queue_timeout", self.queue_timeout.get()),
        ];
        for (name, count) in counts {
            write!(f, "{name}={count} ")?;
        }
        let means = [
            ("wait", &self.wait),
            ("acknowledge", &self.acknowledge),
            ("service", &self.service),
        ];
        for (name, histogram) in means {
            write!(
                f,
                "{name}_ms={:.3} ",
                histogram.mean().as_secs_f64() * 1000.0
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_fall_into_their_buckets() {
        let histogram = Histogram::default();
        for us in [0, 999, 1000, 4999, 5000, 20_000_000] {
            histogram.add(Duration::from_micros(us));
        }
        assert_eq!(histogram.buckets(), [2, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(histogram.count(), 6);
    }

    #[test]
    fn retry_after_follows_the_service_time() {
        let numbers = Numbers::default();
        assert_eq!(numbers.retry_after(1000, 2), 1);
        numbers.record_service(Duration::from_millis(500));
        assert_eq!(numbers.mean_service(), Duration::from_millis(500));
        assert_eq!(numbers.retry_after(20, 2), 5);
        assert_eq!(numbers.retry_after(100_000, 2), 120);
        for _ in 0..200 {
            numbers.record_service(Duration::from_millis(100));
        }
        let mean = numbers.mean_service();
        assert!(
            mean > Duration::from_millis(90) && mean < Duration::from_millis(110),
            "{mean:?}"
        );
    }
}
