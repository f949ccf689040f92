//! State of a request beyond a round, read by the access log, the counters of the site and the error pages.

use std::sync::Arc;

use http::request::Parts;
use http::{HeaderValue, Method, Version, header};

use crate::access_log::RequestLog;
use crate::filter::compress::Negotiation;
use crate::handler::Trace;
use crate::handler::share::Share;
use crate::limits::budget::{Budget, Owner, SiteKey};
use crate::limits::rate::RunningRequest;
use crate::message::edits::{Edits, RuleId};
use crate::message::{Disk, Request, RequestId, Wire, list};
use crate::modifier::Inputs;
use crate::modifier::fact::Facts;
use crate::modifier::taken::Taken;
use crate::moment::Moment;
use crate::site::Site;

/// State of one request.
#[derive(Debug)]
pub struct Context {
    /// The request ID in logs, for PHP and on error pages.
    pub id: RequestId,
    /// Time at which the request was received.
    pub received: Moment,
    /// The connection with the client data of its proxies.
    pub wire: Arc<Wire>,
    /// The method; HEAD matters up to the last filter.
    pub method: Method,
    /// The protocol version of request and response.
    pub version: Version,
    /// The Accept field, for the built-in error page.
    pub accept: Option<HeaderValue>,
    /// The site, once it is chosen.
    pub site: Option<Arc<Site>>,
    /// Its access log.
    pub log: RequestLog,
    /// The kind of the last handler.
    pub handler: &'static str,
    /// The cause code of a failure.
    pub cause: Option<&'static str>,
    /// The reason of a rule that declined a name that is never sent.
    pub withheld: Option<&'static str>,
    /// Edits of the response by rules.
    pub edits: Option<Arc<Edits>>,
    /// The content codings of the client, if the site has compression.
    pub negotiation: Option<Negotiation>,
    /// The request without its content, if an error page may be requested in its place.
    pub echo: Option<Box<Request>>,
    /// Guard that counts the request in the limit of the site until it ends.
    pub running: Option<RunningRequest>,
    /// Facts that the driver has found.
    pub facts: Facts,
    /// Counts taken from the limits of rules.
    pub taken: Taken,
    /// The rules whose subrequests led to this one, from the outermost on.
    pub asked_by: Vec<RuleId>,
    /// Timings of a failed call; a response has its own.
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
            log: RequestLog::default(),
            handler: "none",
            cause: None,
            withheld: None,
            edits: None,
            negotiation: None,
            echo: None,
            running: None,
            facts: Facts::default(),
            taken: Taken::default(),
            asked_by: Vec::new(),
            trace: Trace::default(),
        }
    }

    /// Returns the context of a subrequest of a rule: it has the same client and site, and is not counted.
    pub(super) fn for_subrequest(&self, rule: RuleId) -> Self {
        let (parts, ()) = http::Request::new(()).into_parts();
        Self {
            version: self.version,
            accept: self.accept.clone(),
            site: self.site.clone(),
            taken: Taken::exempt(),
            asked_by: self.asked_by.iter().copied().chain([rule]).collect(),
            ..Self::new(&parts, &self.wire, self.id.clone(), self.received)
        }
    }

    /// Returns the inputs of modifiers.
    pub(super) fn inputs<'a>(&'a mut self, disk: &'a dyn Disk) -> Inputs<'a> {
        Inputs {
            facts: &self.facts,
            taken: &mut self.taken,
            disk,
            now: self.received.instant,
            wall: self.received.wall,
            asked_by: &self.asked_by,
        }
    }

    /// Returns the share of `budget` for the response, by client and site.
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
