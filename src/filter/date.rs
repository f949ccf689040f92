//! Date (RFC 9110 §6.6.1): the time of the answer by the wall clock, even after the clock was set back. hyper adds a missing
//! one, but keeps the latest of its thread until the clock has caught up with it (its `common::date`). This module
//! therefore adds one while the clock is behind the latest time of this thread.

use std::cell::Cell;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{HeaderMap, HeaderValue, header};

/// Adds Date to the `fields` of the answer to a request that was received at `received`, if hyper's may be wrong and no
/// script has set one. The clock is read only after it was set back.
pub fn correct(fields: &mut HeaderMap, received: SystemTime) {
    if is_behind(received) && is_behind(SystemTime::now()) {
        fields.entry(header::DATE).or_insert_with(now);
    }
}

/// Returns the current date.
pub fn now() -> HeaderValue {
    let time = UNIX_EPOCH + Duration::from_secs(second(SystemTime::now()).min(LAST));
    // A date is ASCII.
    HeaderValue::try_from(httpdate::fmt_http_date(time))
        .unwrap_or_else(|_| HeaderValue::from_static(""))
}

thread_local! {
    /// The latest second of this thread.
    static LATEST: Cell<u64> = const { Cell::new(0) };
}

/// Reports whether `time` is in an earlier second than the latest; else records it as the latest.
fn is_behind(time: SystemTime) -> bool {
    let second = second(time);
    let is_behind = second < LATEST.get();
    if !is_behind {
        LATEST.set(second);
    }
    is_behind
}

fn second(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

/// The last second of an HTTP-date, whose year has four digits.
const LAST: u64 = 253_402_300_799;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_added_while_the_clock_is_behind() {
        // A clock that is set forward and back, relative to the real one.
        let real = second(SystemTime::now());
        let ahead = UNIX_EPOCH + Duration::from_secs(real * 2);
        let behind = UNIX_EPOCH + Duration::from_secs(real / 2);
        for (received, is_added) in [
            (SystemTime::now(), false),
            // A request that took long, or came before 1970: the clock itself was not set back.
            (behind, false),
            (UNIX_EPOCH - Duration::from_secs(1), false),
            (ahead, false),
            // Set back.
            (SystemTime::now(), true),
            (behind, true),
            (ahead, false),
        ] {
            let mut fields = HeaderMap::new();
            correct(&mut fields, received);
            let date = fields.get(header::DATE);
            assert_eq!(date.is_some(), is_added, "{received:?}");
            if let Some(date) = date {
                let date = httpdate::parse_http_date(date.to_str().unwrap()).unwrap();
                assert!(date.elapsed().unwrap().as_secs() < 100, "{date:?}");
            }
        }
    }

    #[test]
    fn a_date_of_a_script_is_kept() {
        let ahead = UNIX_EPOCH + Duration::from_secs(LAST);
        let mut fields = HeaderMap::new();
        correct(&mut fields, ahead);
        fields.insert(header::DATE, HeaderValue::from_static("a script's"));
        correct(&mut fields, SystemTime::now());
        let dates: Vec<_> = fields.get_all(header::DATE).iter().collect();
        assert_eq!(dates, ["a script's"]);
    }
}
