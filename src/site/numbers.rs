//! Request counters of a site, kept across reloads.

use std::time::Duration;

use crate::upstream::numbers::{Count, Histogram};

/// Handlers under their names in logs; the last one counts all others.
pub const HANDLERS: [&str; 8] = [
    "fastcgi",
    "static_files",
    "redirect",
    "respond",
    "deny",
    "rewrite",
    "https",
    "none",
];

/// Status codes counted one by one; all others are counted by class.
pub const STATUSES: [u16; 22] = [
    200, 204, 206, 301, 302, 303, 304, 307, 308, 400, 401, 403, 404, 405, 408, 412, 413, 429, 499,
    502, 503, 504,
];

/// Classes of the other status codes.
pub const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

const LABELS: usize = STATUSES.len() + CLASSES.len();

/// Request counters of one site.
#[derive(Debug, Default)]
pub struct SiteNumbers {
    requests: [[Count; LABELS]; HANDLERS.len()],
    /// Bytes of response content sent.
    pub bytes: Count,
    /// Incomplete responses: truncated ones, and those whose client left.
    pub incomplete: Count,
    /// From the arrival of a request to the end of its response.
    pub duration: Histogram,
    /// From the arrival to the first byte of PHP's response.
    pub first_byte: Histogram,
}

/// Result of one request.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// The kind of the handler.
    pub handler: &'static str,
    /// The status code.
    pub status: u16,
    /// Bytes of response content sent.
    pub bytes: u64,
    /// The response was sent completely.
    pub complete: bool,
    /// From the arrival to the end.
    pub duration: Duration,
    /// From the arrival to the first byte of PHP's response; `None` for other handlers.
    pub first_byte: Option<Duration>,
}

impl SiteNumbers {
    /// Counts a request.
    pub fn count(&self, outcome: &Outcome) {
        let known = HANDLERS.iter().position(|name| *name == outcome.handler);
        let row = self.requests.get(known.unwrap_or(HANDLERS.len() - 1));
        if let Some(count) = row.and_then(|row| row.get(label(outcome.status))) {
            count.add();
        }
        self.bytes.add_many(outcome.bytes);
        if !outcome.complete {
            self.incomplete.add();
        }
        self.duration.add(outcome.duration);
        if let Some(first_byte) = outcome.first_byte {
            self.first_byte.add(first_byte);
        }
    }

    /// Returns the counts above zero, by handler and status.
    pub fn requests(&self) -> impl Iterator<Item = (&'static str, String, u64)> + '_ {
        let rows = HANDLERS.iter().zip(&self.requests);
        rows.flat_map(|(handler, row)| {
            let counts = row.iter().enumerate();
            counts
                .filter(|(_, count)| count.get() > 0)
                .map(|(index, count)| (*handler, name(index), count.get()))
        })
    }
}

fn label(status: u16) -> usize {
    let known = STATUSES.iter().position(|known| *known == status);
    known.unwrap_or_else(|| {
        let class = usize::from(status / 100).clamp(1, CLASSES.len());
        STATUSES.len() + class - 1
    })
}

fn name(index: usize) -> String {
    match STATUSES.get(index) {
        Some(status) => status.to_string(),
        None => {
            let class = CLASSES.get(index - STATUSES.len());
            class.map_or_else(String::new, ToString::to_string)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_handler_and_status() {
        let numbers = SiteNumbers::default();
        for (handler, status) in [
            ("fastcgi", 200),
            ("fastcgi", 200),
            ("none", 418),
            ("odd", 599),
        ] {
            numbers.count(&Outcome {
                handler,
                status,
                bytes: 10,
                complete: status == 200,
                duration: Duration::from_millis(3),
                first_byte: None,
            });
        }
        let seen: Vec<_> = numbers.requests().collect();
        let expected = [
            ("fastcgi", "200", 2),
            ("none", "4xx", 1),
            ("none", "5xx", 1),
        ]
        .map(|(handler, status, count)| (handler, status.to_owned(), count));
        assert_eq!(seen, expected);
        assert_eq!((numbers.bytes.get(), numbers.incomplete.get()), (40, 2));
    }
}
