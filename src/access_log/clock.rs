//! Formatted times, cached for one second: most lines of a busy log share theirs.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

/// A time format with a resolution of one second.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TimeText {
    /// A strftime(3) format.
    format: String,
    /// In UTC instead of the log's zone.
    utc: bool,
}

impl TimeText {
    /// Returns the format of Apache's `%t`.
    pub(super) fn common() -> Self {
        Self {
            format: "[%d/%b/%Y:%H:%M:%S %z]".to_owned(),
            utc: false,
        }
    }

    /// Returns the format of RFC 3339 §5.6 in UTC, up to the fraction of the second.
    pub(super) fn rfc3339() -> Self {
        Self {
            format: "%Y-%m-%dT%H:%M:%S".to_owned(),
            utc: true,
        }
    }

    /// Parses a strftime format and rejects unknown conversions.
    pub(super) fn parse(format: &str) -> Result<Self, String> {
        let epoch = Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC);
        match strtime::format(format, &epoch) {
            Ok(_) => Ok(Self {
                format: format.to_owned(),
                utc: false,
            }),
            Err(error) => Err(format!("`{format}` is not a time format: {error}")),
        }
    }

    fn show(&self, time: Timestamp, zone: &TimeZone) -> String {
        let zone = if self.utc {
            TimeZone::UTC
        } else {
            zone.clone()
        };
        let zoned: Zoned = time.to_zoned(zone);
        // `parse` has tried every format.
        strtime::format(&self.format, &zoned).unwrap_or_default()
    }
}

/// Cache of the formatted times of one log format, shared by all threads.
#[derive(Debug)]
pub(super) struct Clock {
    texts: Vec<TimeText>,
    zone: TimeZone,
    latest: ArcSwap<Second>,
    /// Consecutive requests of a second before the latest.
    earlier: AtomicU32,
}

/// A second and its formatted times, in the order of the clock's formats.
#[derive(Debug)]
pub(super) struct Second {
    since_epoch: u64,
    texts: Vec<String>,
}

impl Second {
    /// Returns the formatted time of a format.
    pub(super) fn text(&self, index: usize) -> &str {
        self.texts.get(index).map_or("", String::as_str)
    }
}

impl Clock {
    pub(super) fn new(texts: Vec<TimeText>, zone: TimeZone) -> Self {
        let epoch = Second {
            since_epoch: 0,
            texts: show_all(&texts, 0, &zone),
        };
        Self {
            texts,
            zone,
            latest: ArcSwap::from_pointee(epoch),
            earlier: AtomicU32::new(0),
        }
    }

    /// Calls `write` with the second of `time`. A time before 1970 is written as 1970.
    pub(super) fn with_second<T>(&self, time: SystemTime, write: impl FnOnce(&Second) -> T) -> T {
        let since_epoch = since_epoch(time).as_secs();
        let latest = self.latest.load();
        if latest.since_epoch == since_epoch {
            if self.earlier.load(Ordering::Relaxed) > 0 {
                self.earlier.store(0, Ordering::Relaxed);
            }
            return write(&latest);
        }
        let second = Second {
            since_epoch,
            texts: show_all(&self.texts, since_epoch, &self.zone),
        };
        let written = write(&second);
        // Requests end out of order, and a slow one must not evict the text of those that follow. If none has the
        // latest second any more, the clock was set back.
        let is_later = since_epoch > latest.since_epoch;
        if is_later || self.earlier.fetch_add(1, Ordering::Relaxed) >= OUT_OF_ORDER {
            self.earlier.store(0, Ordering::Relaxed);
            self.latest.store(second.into());
        }
        written
    }

    /// Formats any other time.
    pub(super) fn text_at(&self, index: usize, time: SystemTime) -> String {
        let text = self.texts.get(index);
        text.map_or_else(String::new, |text| {
            text.show(timestamp(since_epoch(time).as_secs()), &self.zone)
        })
    }
}

/// Consecutive requests of an earlier second after which the clock counts as set back.
const OUT_OF_ORDER: u32 = 64;

/// Returns the time since 1970, zero for earlier times.
pub(super) fn since_epoch(time: SystemTime) -> Duration {
    time.duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn show_all(texts: &[TimeText], second: u64, zone: &TimeZone) -> Vec<String> {
    let time = timestamp(second);
    texts.iter().map(|text| text.show(time, zone)).collect()
}

/// Returns a second as a timestamp, 1970 if it exceeds the calendar.
fn timestamp(since_epoch: u64) -> Timestamp {
    let second = i64::try_from(since_epoch).ok();
    second
        .and_then(|second| Timestamp::from_second(second).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_zone_is_local_and_the_second_is_kept() {
        let zone = TimeZone::fixed(jiff::tz::offset(-3));
        let clock = Clock::new(vec![TimeText::common(), TimeText::rfc3339()], zone);
        let check = |time, expected: &str| {
            clock.with_second(time, |second| assert_eq!(second.text(0), expected));
        };
        for (second, expected, latest) in [
            (1_795_572_929, "[24/Nov/2026:23:15:29 -0300]", 1_795_572_929),
            (1_795_572_929, "[24/Nov/2026:23:15:29 -0300]", 1_795_572_929),
            (1_795_572_930, "[24/Nov/2026:23:15:30 -0300]", 1_795_572_930),
            (1_795_572_929, "[24/Nov/2026:23:15:29 -0300]", 1_795_572_930),
        ] {
            check(UNIX_EPOCH + Duration::from_secs(second), expected);
            assert_eq!(clock.latest.load().since_epoch, latest);
        }
        let first = "[31/Dec/1969:21:00:00 -0300]";
        check(UNIX_EPOCH - Duration::from_secs(1), first);
        check(UNIX_EPOCH + Duration::from_secs(1 << 50), first);
        assert_eq!(clock.text_at(1, UNIX_EPOCH), "1970-01-01T00:00:00");
    }

    #[test]
    fn a_clock_that_is_set_back_is_followed() {
        let clock = Clock::new(vec![TimeText::rfc3339()], TimeZone::UTC);
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        let latest = || clock.latest.load().since_epoch;
        let text = |seconds| clock.with_second(at(seconds), |second| second.text(0).to_owned());
        // A year ahead, and back: each line has its own time, and the cache recovers after OUT_OF_ORDER requests.
        for seconds in [31_536_000, 59, 59, 31_536_000, 59] {
            assert_eq!(text(seconds), clock.text_at(0, at(seconds)), "{seconds}");
            assert_eq!(latest(), 31_536_000);
        }
        for _ in 0..=OUT_OF_ORDER {
            assert_eq!(text(60), "1970-01-01T00:01:00");
        }
        assert_eq!(latest(), 60);
    }

    #[test]
    fn formats_are_tried_when_they_are_read() {
        assert!(TimeText::parse("%d/%b/%Y %T").is_ok());
        let message = TimeText::parse("%d %!").unwrap_err();
        assert!(
            message.starts_with("`%d %!` is not a time format: "),
            "{message}"
        );
    }
}
