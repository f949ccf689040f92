//! Memory of HTTP/2 requests before any content. A client may open all streams of many connections at once, each with
//! a head of the greatest size. The excess over common requests is reserved in `server.body_memory`, of which no client
//! gets all.

use crate::limits::Limits;
use crate::limits::budget::{Budgets, Owner, Part, SiteKey};
use crate::limits::rate::Exceeded;
use crate::message::Wire;
use crate::message::head_guard::Bounds;

/// Largest head that is not counted, in bytes: most heads are smaller.
const HEAD: usize = 4 * 1024;

/// Concurrent requests of a connection that are not counted, and the size of each further one, in bytes: its context
/// and the future that answers it.
const AT_ONCE: usize = 32;
const REQUEST: u64 = 8 * 1024;

/// Reserves the memory of a request with a head of `head` bytes, one of `at_once` on its connection.
pub(super) fn reserve(
    head: usize,
    at_once: usize,
    wire: &Wire,
    budgets: &Budgets,
) -> Result<Option<Box<Part>>, Exceeded> {
    let held = extra_bytes(head, at_once);
    if held == 0 {
        return Ok(None);
    }
    // The site is not known yet, and not needed.
    let owner = Owner {
        party: wire.party(),
        site: SiteKey::default(),
    };
    let mut part = Part::new(&budgets.bodies, owner);
    part.grow(held).map_err(|_| Exceeded::Memory)?;
    Ok(Some(Box::new(part)))
}

/// Returns the limits on a head.
pub(super) fn head_bounds(limits: &Limits) -> Bounds {
    Bounds {
        request_line: limits.request_line,
        field_line: limits.field_line,
        head: limits.head,
        fields: limits.fields,
    }
}

/// Returns the bytes to reserve; 0 for a common request.
fn extra_bytes(head: usize, at_once: usize) -> u64 {
    let of_head = if head > HEAD {
        u64::try_from(head).unwrap_or(u64::MAX)
    } else {
        0
    };
    let of_request = if at_once > AT_ONCE { REQUEST } else { 0 };
    of_head.saturating_add(of_request)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_requests_are_not_counted() {
        for (head, at_once, held) in [
            (400, 1, 0),
            (HEAD, AT_ONCE, 0),
            (HEAD + 1, 1, 4097),
            (400, AT_ONCE + 1, REQUEST),
            (60_000, 128, 60_000 + REQUEST),
        ] {
            assert_eq!(extra_bytes(head, at_once), held, "{head} {at_once}");
        }
    }
}
