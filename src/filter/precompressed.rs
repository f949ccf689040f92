//! Precompressed files: `app.js.br` beside `app.js`. A variant is found by the same rule as its file, under the same refusals.

use std::sync::Arc;

use super::compress::Negotiation;
use crate::handler::{Decision, Handler, Plan};
use crate::message::accept_encoding::Coding;
use crate::message::request::Origin;
use crate::message::{Disk, Request, Upload};
use crate::route::Captures;

/// Replaces the file of a decision by a variant that exists and that the client accepts. A part of a file, and an answer
/// without content, stays as it is.
pub fn prefer(
    negotiation: &Negotiation,
    decision: Decision,
    handler: &Handler,
    request: &Request,
    disk: &dyn Disk,
) -> Decision {
    let Decision::Perform(Plan::Send(mut file)) = decision else {
        return decision;
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
    Decision::Perform(Plan::Send(file))
}

/// Builds the request for the variant: an unconditional GET.
fn beside(request: &Request, coding: Coding) -> Option<Request> {
    let path = [request.target.path(), coding.extension().as_bytes()].concat();
    let target = request.target.with_path(path).ok()?;
    let (parts, ()) = http::Request::new(()).into_parts();
    let origin = Origin {
        host: request.host.clone(),
        canonical: request.canonical.clone(),
        wire: Arc::clone(&request.wire),
        id: request.id.clone(),
    };
    Some(Request::new(parts, target, Upload::Empty, origin))
}
