//! Files that were compressed when they were built: `app.js.br` beside `app.js`. A variant is found
//! by the same rule as its file, with all that the rule refuses.

use std::sync::Arc;

use super::compress::Negotiation;
use crate::handler::{Decision, Handler, Plan};
use crate::message::accept_encoding::Coding;
use crate::message::request::Origin;
use crate::message::{Disk, Request, Upload};
use crate::route::Captures;

/// Returns the same plan with a variant in the place of the file, where the client takes one that is there.
/// A part of a file, and what is told without content, stays as it is.
pub fn prefer(
    negotiation: &Negotiation,
    plan: Plan,
    handler: &Handler,
    request: &Request,
    disk: &dyn Disk,
) -> Plan {
    let Plan::Send(mut file) = plan else {
        return plan;
    };
    let kind = file.replaceable();
    if kind.is_some_and(|kind| negotiation.wants_variants(kind)) {
        for coding in negotiation.ranked() {
            let Some(Decision::Perform(Plan::Send(variant))) = beside(request, *coding)
                .map(|request| handler.decide(&request, &Captures::default(), disk))
            else {
                continue;
            };
            if file.send_as(*variant, *coding) {
                break;
            }
        }
    }
    Plan::Send(file)
}

/// A request for the variant: an unconditional GET.
fn beside(request: &Request, coding: Coding) -> Option<Request> {
    let path = [request.target.path(), coding.extension().as_bytes()].concat();
    let target = request.target.with_path(path).ok()?;
    let (parts, ()) = http::Request::new(()).into_parts();
    let origin = Origin {
        host: request.host.clone(),
        wire: Arc::clone(&request.wire),
        id: request.id,
    };
    Some(Request::new(parts, target, Upload::Empty, origin))
}
