//! Date (RFC 9110 §6.6.1): when the answer was made, by the wall clock, wherever that was set. hyper adds one where
//! there is none, but keeps the latest it knew when the clock is set back (its `common/date.rs`).

use std::cell::RefCell;
use std::time::{SystemTime, UNIX_EPOCH};

use http::{HeaderMap, HeaderValue, header};

/// Adds the date to `fields`, unless a script has said one.
pub fn add(fields: &mut HeaderMap) {
    fields.entry(header::DATE).or_insert_with(now);
}

/// Returns the date of this second.
pub fn now() -> HeaderValue {
    let now = SystemTime::now();
    // A thread that ends has no memory of its own any more.
    let known = LATEST.try_with(|latest| latest.borrow_mut().at(now));
    known.unwrap_or_else(|_| Second::default().at(now))
}

thread_local! {
    static LATEST: RefCell<Second> = RefCell::default();
}

/// A second and its text.
#[derive(Debug, Default)]
struct Second(Option<(u64, HeaderValue)>);

impl Second {
    /// Returns the date of `now`, whose text is made where the second is another than before: earlier or later.
    fn at(&mut self, now: SystemTime) -> HeaderValue {
        let since_epoch = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let second = since_epoch.as_secs().min(LAST);
        match &self.0 {
            Some((known, date)) if *known == second => date.clone(),
            Some(_) | None => {
                let time = UNIX_EPOCH + std::time::Duration::from_secs(second);
                // A date is ASCII.
                let date = HeaderValue::try_from(httpdate::fmt_http_date(time));
                let date = date.unwrap_or_else(|_| HeaderValue::from_static(""));
                self.0 = Some((second, date.clone()));
                date
            }
        }
    }
}

/// The last second that a date can say, with a year of four digits.
const LAST: u64 = 253_402_300_799;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_date_follows_the_clock_wherever_it_is_set() {
        let mut second = Second::default();
        for (seconds, expected) in [
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (784_111_778, "Sun, 06 Nov 1994 08:49:38 GMT"),
            // Set a year forth, and back.
            (815_647_777, "Mon, 06 Nov 1995 08:49:37 GMT"),
            (784_111_779, "Sun, 06 Nov 1994 08:49:39 GMT"),
            (784_111_770, "Sun, 06 Nov 1994 08:49:30 GMT"),
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (u64::MAX >> 2, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ] {
            let now = UNIX_EPOCH + Duration::from_secs(seconds.min(1 << 60));
            assert_eq!(second.at(now), expected, "{seconds}");
        }
        let before = UNIX_EPOCH - Duration::from_secs(5);
        assert_eq!(second.at(before), "Thu, 01 Jan 1970 00:00:00 GMT");
    }

    #[test]
    fn a_date_that_is_there_is_kept() {
        let mut fields = HeaderMap::new();
        add(&mut fields);
        let date = fields[header::DATE].to_str().unwrap();
        assert!(httpdate::parse_http_date(date).is_ok());
        fields.insert(header::DATE, HeaderValue::from_static("a script's"));
        add(&mut fields);
        let dates: Vec<_> = fields.get_all(header::DATE).iter().collect();
        assert_eq!(dates, ["a script's"]);
    }
}
