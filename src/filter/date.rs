//! Date (RFC 9110 §6.6.1): when the answer was made, by the wall clock, wherever that was set. hyper adds one where
//! there is none, but keeps the latest that its thread knew until the clock has caught up with it (its
//! `common::date`). So one is added here while the clock is behind what this thread has seen.

use std::cell::Cell;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{HeaderMap, HeaderValue, header};

/// Adds the date to the `fields` of the answer to a request that was received at a time, where hyper's may be wrong and
/// no script has said one. While the clock goes forth, it is not read for this.
pub fn correct(fields: &mut HeaderMap, received: SystemTime) {
    if is_behind(received) && is_behind(SystemTime::now()) {
        fields.entry(header::DATE).or_insert_with(now);
    }
}

/// Returns the date of this moment.
pub fn now() -> HeaderValue {
    let time = UNIX_EPOCH + Duration::from_secs(second(SystemTime::now()).min(LAST));
    // A date is ASCII.
    HeaderValue::try_from(httpdate::fmt_http_date(time))
        .unwrap_or_else(|_| HeaderValue::from_static(""))
}

thread_local! {
    /// The latest second that this thread has seen.
    static LATEST: Cell<u64> = const { Cell::new(0) };
}

/// Reports whether `time` is of an earlier second than the latest; else it is the latest from now on.
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

/// The last second that a date can say, with a year of four digits.
const LAST: u64 = 253_402_300_799;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_added_while_the_clock_is_behind() {
        // A clock that goes forth and back, beside the real one: years ahead, and none.
        let real = second(SystemTime::now());
        let ahead = UNIX_EPOCH + Duration::from_secs(real * 2);
        let behind = UNIX_EPOCH + Duration::from_secs(real / 2);
        for (received, is_added) in [
            (SystemTime::now(), false),
            // A request that took long, or came before 1970: the clock itself is where it was.
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
