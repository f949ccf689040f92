//! What can answer a request. A handler decides from values alone; what takes more than values is a plan, which is
//! performed apart.

pub mod answer;
pub mod body;
pub mod coded;
pub mod deny;
pub mod fastcgi;
pub mod https;
pub mod mount;
pub mod piece;
pub mod redirect;
pub mod respond;
pub mod rewrite;
pub mod share;
pub mod static_files;

use std::sync::Arc;

use http::Response;

pub use body::{Body, Cut, Trace};

use crate::failure::Failure;
use crate::message::{Cause, Disk, Request, Target};
use crate::route::Captures;

/// Everything that can stand as the action of a rule.
#[derive(Debug)]
pub enum Handler {
    /// PHP, or another FastCGI application.
    Fastcgi(Arc<fastcgi::Fastcgi>),
    /// Files below a root.
    StaticFiles(static_files::StaticFiles),
    /// Another address for the client to go to.
    Redirect(redirect::Redirect),
    /// Another target, and the rules anew.
    Rewrite(rewrite::Rewrite),
    /// A fixed answer.
    Respond(respond::Respond),
    /// A refusal.
    Deny(deny::Deny),
    /// ProxyPassMatch with the target `!`: no further ProxyPassMatch is for this request.
    ExcludeProxy,
}

/// How often a request may begin again with the first rule.
pub const MAX_ROUNDS: usize = 10;

/// What a handler decides about a request.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "an answer is what many requests come to, and another allocation for it costs more than its moves"
)]
pub enum Decision {
    /// This is to be done, and makes the answer.
    Perform(Plan),
    /// The answer.
    Answer(Response<Body>),
    /// Start again with another target.
    Again(Target, Cause),
    /// Leave the request to the next rule (Apache's DECLINED).
    Decline,
    /// The same, for this reason: what it names is never sent.
    Withhold(&'static str),
    /// Refuse.
    Fail(Failure),
}

/// What makes an answer and takes more than values, as a value.
#[derive(Debug)]
pub enum Plan {
    /// Ask the application.
    Call(fastcgi::Call),
    /// Send a file, or say that the client has it.
    Send(Box<static_files::Representation>),
    /// Show what stands in a folder.
    List(Box<static_files::Listing>),
}

impl Handler {
    /// Decides what to do about `request`; asks the disk, changes nothing.
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

    /// Whether it is what [`Self::ExcludeProxy`] keeps a request from.
    pub fn is_proxy_target(&self) -> bool {
        matches!(self, Self::Fastcgi(fastcgi) if fastcgi.is_proxy_target())
    }

    /// Reports whether it answers every request and leaves none to the next rule, whatever the path is.
    pub fn always_settles(&self) -> bool {
        match self {
            Self::Fastcgi(fastcgi) => fastcgi.always_settles(),
            Self::StaticFiles(files) => files.always_settles(),
            Self::Redirect(_) | Self::Rewrite(_) | Self::Respond(_) | Self::Deny(_) => true,
            Self::ExcludeProxy => false,
        }
    }

    /// Reports whether it answers every request for this path (`true`) or leaves every one to the next
    /// rule (`false`); `None` if that depends on the disk or on earlier rules.
    pub fn settles(&self, path: &[u8]) -> Option<bool> {
        match self {
            Self::Fastcgi(fastcgi) => fastcgi.settles(path),
            Self::StaticFiles(files) => files.settles(path),
            Self::Redirect(_) | Self::Rewrite(_) | Self::Respond(_) | Self::Deny(_) => Some(true),
            Self::ExcludeProxy => None,
        }
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

    /// Tells the log what was only counted so far; for the end.
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

    /// What logs call it.
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
    /// Makes the answer to `request`; `disk` has the files that scripts name instead of sending them. `trace` gets what is
    /// to be known of a call that fails; an answer has its own.
    pub async fn perform(
        self,
        request: Box<Request>,
        disk: &dyn Disk,
        trace: &mut Trace,
    ) -> Result<Response<Body>, Failure> {
        match self {
            // Boxed, and so is a list: hyper moves the future of a request about, which would be
            // as large as the largest of all.
            Self::Call(call) => Box::pin(call.perform(request, disk, trace)).await,
            Self::Send(representation) => representation.into_response().await,
            Self::List(listing) => Box::pin(listing.into_response()).await,
        }
    }
}
