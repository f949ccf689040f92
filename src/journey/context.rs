//! Everything that a request knows of itself and that outlives a round. The log, the numbers of the site and the error
//! pages read it.

use std::sync::Arc;

use http::request::Parts;
use http::{HeaderValue, Method, Version, header};

use crate::filter::compress::Negotiation;
use crate::handler::Trace;
use crate::handler::share::Share;
use crate::limits::budget::{Budget, Owner, SiteKey};
use crate::limits::rate::RunningRequest;
use crate::message::edits::Edits;
use crate::message::fact::Facts;
use crate::message::{Request, RequestId, Wire, list};
use crate::moment::Moment;
use crate::site::Site;

/// The state of one request.
#[derive(Debug)]
pub struct Context {
    /// Its name in the logs, for PHP and on error pages.
    pub id: RequestId,
    /// When it was received.
    pub received: Moment,
    /// The connection, as the client has it.
    pub wire: Arc<Wire>,
    /// The method, by which HEAD is known to the end.
    pub method: Method,
    /// The version, in which it is answered.
    pub version: Version,
    /// Which media types the client takes, for the gateway's own page.
    pub accept: Option<HeaderValue>,
    /// The site that answers, once it is known.
    pub site: Option<Arc<Site>>,
    /// The last handler that was asked.
    pub handler: &'static str,
    /// The cause code of a failure.
    pub cause: Option<&'static str>,
    /// Why a rule left the request to the next one, where the name is never sent.
    pub withheld: Option<&'static str>,
    /// The changes of the answer by rules.
    pub edits: Option<Arc<Edits>>,
    /// The codings that the client takes, where the site has any.
    pub negotiation: Option<Negotiation>,
    /// The request without its content, where an error page may be asked for in its place.
    pub echo: Option<Box<Request>>,
    /// Counts the request as its client's until its end.
    pub running: Option<RunningRequest>,
    /// The facts that were asked for.
    pub facts: Facts,
    /// The course of a call that fails; an answer has its own.
    pub trace: Trace,
}

impl Context {
    /// Builds the context of a request with these `parts`.
    pub fn new(parts: &Parts, wire: &Arc<Wire>, id: RequestId, received: Moment) -> Self {
        Self {
            id,
            received,
            wire: Arc::clone(wire),
            method: parts.method.clone(),
            version: parts.version,
            accept: list::joined(&parts.headers, &header::ACCEPT),
            site: None,
            handler: "none",
            cause: None,
            withheld: None,
            edits: None,
            negotiation: None,
            echo: None,
            running: None,
            facts: Facts::default(),
            trace: Trace::default(),
        }
    }

    /// Returns the context of a subrequest: it is of the same client and site, and counts for nothing.
    pub(super) fn for_subrequest(&self) -> Self {
        Self {
            id: self.id,
            received: self.received,
            wire: Arc::clone(&self.wire),
            method: self.method.clone(),
            version: self.version,
            accept: self.accept.clone(),
            site: self.site.clone(),
            handler: "none",
            cause: None,
            withheld: None,
            edits: None,
            negotiation: None,
            echo: None,
            running: None,
            facts: Facts::default(),
            trace: Trace::default(),
        }
    }

    /// Returns whose share of `budget` the answer is taken from.
    pub fn share<'a>(&self, budget: &'a Arc<Budget>) -> Share<'a> {
        let site = self.site.as_ref();
        Share {
            budget,
            owner: Owner {
                party: self.wire.party(),
                site: site.map_or_else(SiteKey::default, |site| site.key),
            },
        }
    }
}
