//! What the requests of one HTTP/2 connection hold by themselves, before any content: a client may begin as many streams
//! at once as there are to a connection, each with a head as large as is allowed, and have many connections. What is
//! more than most have is taken from `server.body_memory`, of which no client gets all.

use crate::limits::Limits;
use crate::limits::budget::{Budgets, Owner, Part, SiteKey};
use crate::limits::rate::Exceeded;
use crate::message::Wire;
use crate::message::head_guard::Bounds;

/// Up to so many bytes a head is not counted, as most are not.
const HEAD: usize = 4 * 1024;

/// So many requests at once of a connection are not counted, and what each more holds, in bytes: what is known of it, and
/// the work that answers it.
const AT_ONCE: usize = 32;
const REQUEST: u64 = 8 * 1024;

/// Takes what a request holds that has a head of so many bytes, and is one of so many of its connection.
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
    // It is not known yet which site is asked, nor does it matter.
    let owner = Owner {
        party: wire.party(),
        site: SiteKey::default(),
    };
    let mut part = Part::new(&budgets.bodies, owner);
    part.grow(held).map_err(|_| Exceeded::Memory)?;
    Ok(Some(Box::new(part)))
}

/// What a head may have.
pub(super) fn head_bounds(limits: &Limits) -> Bounds {
    Bounds {
        request_line: limits.request_line,
        field_line: limits.field_line,
        head: limits.head,
        fields: limits.fields,
    }
}

fn extra_bytes(head: usize, at_once: usize) -> u64 {
    let head = match head > HEAD {
        true => u64::try_from(head).unwrap_or(u64::MAX),
        false => 0,
    };
    let request = match at_once > AT_ONCE {
        true => REQUEST,
        false => 0,
    };
    head.saturating_add(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_most_have_is_not_counted() {
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
