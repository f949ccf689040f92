//! The handlers: the actions of rules. A handler decides from values alone; work that takes more is a plan, which is
//! performed apart.

pub mod answer;
pub mod body;
pub mod coded;
pub mod cut;
pub mod deny;
pub mod fastcgi;
pub mod https;
pub mod mount;
pub mod origin;
pub mod piece;
pub mod redirect;
pub mod respond;
pub mod rewrite;
pub mod share;
pub mod static_files;

use std::path::Path;
use std::sync::Arc;

use http::Response;
use tokio::time::Instant;

pub use body::Body;
pub use cut::Cut;
pub use origin::{Maker, Trace};

use crate::failure::Failure;
use crate::message::{Cause, Disk, Request, Target};
use crate::route::Captures;

/// The action of a rule.
#[derive(Debug)]
pub enum Handler {
    /// PHP, or another FastCGI application.
    Fastcgi(Arc<fastcgi::Fastcgi>),
    /// Files below a root.
    StaticFiles(static_files::StaticFiles),
    /// A redirect of the client to another URL.
    Redirect(redirect::Redirect),
    /// An internal redirect: another target, evaluated from the first rule on.
    Rewrite(rewrite::Rewrite),
    /// A fixed answer.
    Respond(respond::Respond),
    /// A refusal.
    Deny(deny::Deny),
    /// ProxyPassMatch with the target `!`: no further ProxyPassMatch applies to this request.
    ExcludeProxy,
}

/// Limit of internal redirects of a request.
pub const MAX_ROUNDS: usize = 10;

/// The decision of a handler about a request.
#[derive(Debug)]
pub enum Decision {
    /// Perform a plan, which makes the answer.
    Perform(Plan),
    /// Send this answer.
    Answer(Response<Body>),
    /// Start again from the first rule with another target.
    Again(Target, Cause),
    /// Leave the request to the next rule (Apache's DECLINED).
    Decline,
    /// Decline, for this reason: the file is never sent.
    Withhold(&'static str),
    /// Refuse the request.
    Fail(Failure),
}

/// The work that makes an answer, as a value.
#[derive(Debug)]
pub enum Plan {
    /// Call the application.
    Call(fastcgi::Call),
    /// Send a file, a part of it, or 304.
    Send(Box<static_files::Representation>),
    /// List a folder.
    List(Box<static_files::Listing>),
}

impl Handler {
    /// Decides about `request`; reads the disk, changes nothing.
    pub fn decide(&self, request: &Request, captures: &Captures, disk: &dyn Disk) -> Decision {
        match self {
            Self::Fastcgi(fastcgi) => fastcgi.decide(request, captures, disk),
            Self::StaticFiles(files) => files.decide(request, disk),
            Self::Redirect(redirect) => redirect.decide(request, captures),
            Self::Rewrite(rewrite) => rewrite.decide(request, captures),
            Self::Respond(respond) => respond.decide(),
            Self::Deny(deny) => deny.decide(),
            Self::ExcludeProxy => Decision::Decline,
        }
    }

    /// Reports whether it is a ProxyPassMatch, from which [`Self::ExcludeProxy`] exempts requests.
    pub fn is_proxy_target(&self) -> bool {
        matches!(self, Self::Fastcgi(fastcgi) if fastcgi.is_proxy_target())
    }

    /// Returns the folder below which it looks for files and scripts.
    pub fn root(&self) -> Option<&Path> {
        match self {
            Self::Fastcgi(fastcgi) => Some(&fastcgi.mapping.root.0),
            Self::StaticFiles(files) => Some(&files.root().0),
            Self::Redirect(_) | Self::Rewrite(_) | Self::Respond(_) => None,
            Self::Deny(_) | Self::ExcludeProxy => None,
        }
    }

    /// Returns the path below which it answers every request, empty for all of the site, leaving every other to the next
    /// rule; `None` if more than the path decides.
    pub fn settled_below(&self) -> Option<&str> {
        match self {
            Self::Fastcgi(fastcgi) => fastcgi.settled_below(),
            Self::StaticFiles(files) => files.settled_below(),
            Self::Redirect(_) | Self::Rewrite(_) | Self::Respond(_) | Self::Deny(_) => Some(""),
            Self::ExcludeProxy => None,
        }
    }

    /// Reports whether it answers every request for this path (`true`) or leaves every one to the next
    /// rule (`false`); `None` if that depends on the disk or on earlier rules.
    pub fn settles(&self, path: &[u8]) -> Option<bool> {
        if let Some(start) = self.settled_below() {
            return Some(mount::below(start, path).is_some());
        }
        let leaves = match self {
            Self::Fastcgi(fastcgi) => fastcgi.leaves(path),
            Self::StaticFiles(files) => files.leaves(path),
            Self::Redirect(_) | Self::Rewrite(_) | Self::Respond(_) | Self::Deny(_) => false,
            Self::ExcludeProxy => false,
        };
        leaves.then_some(false)
    }

    /// Reports whether it answers everything with a client error.
    pub fn refuses(&self) -> bool {
        match self {
            Self::Deny(_) => true,
            Self::Respond(respond) => respond.refuses(),
            Self::Fastcgi(_) | Self::StaticFiles(_) | Self::Redirect(_) | Self::Rewrite(_) => false,
            Self::ExcludeProxy => false,
        }
    }

    /// Logs the events that were only counted so far; called at shutdown.
    pub fn close(&self) {
        match self {
            Self::Fastcgi(fastcgi) => fastcgi.close(),
            Self::StaticFiles(_)
            | Self::Redirect(_)
            | Self::Rewrite(_)
            | Self::Respond(_)
            | Self::Deny(_)
            | Self::ExcludeProxy => {}
        }
    }

    /// Returns the name in logs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Fastcgi(_) => "fastcgi",
            Self::StaticFiles(_) => "static_files",
            Self::Redirect(_) => "redirect",
            Self::Rewrite(_) => "rewrite",
            Self::Respond(_) => "respond",
            Self::Deny(_) => "deny",
            Self::ExcludeProxy => "exclude",
        }
    }
}

impl Plan {
    /// Makes the answer to `request`, which the gateway got at `received`; `disk` has the files that scripts name instead of sending them. `trace` receives the
    /// timings of a call that fails; an answer has its own.
    pub async fn perform(
        self,
        request: Box<Request>,
        disk: &dyn Disk,
        received: Instant,
        trace: &mut Trace,
    ) -> Result<Response<Body>, Failure> {
        match self {
            // Boxed, and so is a list: hyper moves the future of a request, which would be as large as the largest of
            // these.
            Self::Call(call) => Box::pin(call.perform(request, disk, received, trace)).await,
            Self::Send(representation) => representation.into_response().await,
            Self::List(listing) => Box::pin(listing.into_response()).await,
        }
    }
}
