//! Responses to failures: the built-in error page, or the error page of the site.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Response, StatusCode, header};

use super::{Context, Journey, Next, Trail};
use crate::failure::Failure;
use crate::filter::error_page::{self, Content};
use crate::filter::own_page::{self, FailureSummary};
use crate::handler::Body;
use crate::limits::bucket::Excess;
use crate::limits::rate::{Exceeded, Refusal};
use crate::message::edits::{Edits, RuleEdits};
use crate::message::{Disk, Request};

/// An error response and the path of the error page requested in its place.
#[derive(Debug)]
pub(super) struct ErrorPage {
    failed: Response<Body>,
    path: Vec<u8>,
    /// Edits of the rules that the failed request matched.
    edits: Option<Arc<Edits>>,
}

/// Builds the response to a failure; the log has the details under the request ID.
pub(super) fn error_response(failure: &Failure, context: &mut Context) -> Response<Body> {
    let (status, cause) = (failure.status(), failure.code());
    context.cause = Some(cause);
    if !permits_page(failure) {
        context.echo = None;
    }
    if let Some(echo) = &mut context.echo
        && is_of_credentials(failure)
    {
        echo.add_edits(RuleEdits::with_auth());
    }
    let id = &context.id;
    let mut response = own_page::build_page(
        FailureSummary { status, cause, id },
        context.accept.as_ref(),
    );
    let fields = response.headers_mut();
    if let Some(seconds) = failure.retry_after() {
        fields.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if let Failure::TooMany(Exceeded::Requests(refusal)) = failure {
        rate_limit_fields(refusal, fields);
    }
    if failure.ends_connection() {
        fields.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    if let Some(challenge) = failure.challenge() {
        fields.insert(header::WWW_AUTHENTICATE, challenge);
    }
    if let Some(allow) = failure.allow() {
        fields.insert(header::ALLOW, allow);
    }
    response
}

/// Reports whether an error page may be requested: no script runs for a request over a limit, nor for one with
/// contradicting forwarding fields.
pub(super) fn permits_page(failure: &Failure) -> bool {
    !matches!(
        failure,
        Failure::TooMany(_) | Failure::Unverified(_) | Failure::Forwarded(_)
    )
}

/// Reports whether the credentials of the request are those of a rule with `auth`.
fn is_of_credentials(failure: &Failure) -> bool {
    matches!(failure, Failure::Unauthorized(_) | Failure::UserFile { .. })
}

/// Adds the fields of draft-ietf-httpapi-ratelimit-headers: the rate and the time of the next request. The
/// policy has the name of what requests are counted by.
fn rate_limit_fields(refusal: &Refusal, fields: &mut HeaderMap) {
    let Excess::Rate(wait) = refusal.excess else {
        return;
    };
    let name = refusal.kind();
    let policy = format!("\"{name}\";q={};w=1", refusal.quota());
    let state = format!("\"{name}\";r=0;t={}", wait.as_secs() + 1);
    for (name, value) in [("ratelimit-policy", policy), ("ratelimit", state)] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            fields.insert(name, value);
        }
    }
}

impl Journey {
    /// Replaces an error response by the error page of the site, if it has one; `is_own`: no handler made the response.
    pub(super) fn replace<T: Trail>(
        &mut self,
        mut failed: Response<Body>,
        is_own: bool,
        disk: &dyn Disk,
        trail: &mut T,
    ) -> Next {
        let is_empty = error_page::is_empty(&failed);
        let pages = self.context.site.as_ref().map(|site| &site.error_pages);
        match pages.and_then(|pages| pages.find(failed.status(), is_own, is_empty)) {
            None => self.finish(failed),
            Some(Content::Ready(bytes, media_type)) => {
                let trace = std::mem::take(&mut failed.body_mut().trace);
                let page = error_page::ready_page(bytes.clone(), media_type.clone(), trace);
                self.finish(error_page::substitute(&failed, page))
            }
            Some(Content::Path(path)) => {
                let path = path.clone();
                let echo = self.context.echo.take();
                let Some(mut request) = echo.and_then(|echo| page(echo, &path, failed.status()))
                else {
                    return self.finish(failed);
                };
                if self
                    .context
                    .edits
                    .as_ref()
                    .is_some_and(|edits| edits.has_auth())
                {
                    request.add_edits(RuleEdits::with_auth());
                }
                self.page = Some(Box::new(ErrorPage {
                    failed,
                    path,
                    edits: self.context.edits.take(),
                }));
                self.rounds = 0;
                self.search(request, disk, trail)
            }
        }
    }
}

impl ErrorPage {
    /// Returns the error page in place of the error response, or the latter if the page fails too or redirects. The
    /// context has the edits of the page, and gets those of the response: the rules of the failed request apply in both
    /// cases.
    pub(super) fn in_place(
        self,
        answered: Result<Response<Body>, Failure>,
        context: &mut Context,
        trail: &mut impl Trail,
    ) -> Response<Body> {
        match answered {
            Ok(page) if !page.status().is_server_error() && !page.status().is_redirection() => {
                context.edits = Edits::joined(self.edits, context.edits.take());
                return error_page::substitute(&self.failed, page);
            }
            Ok(page) => trail.page_failed(&self.path, Ok(page.status()), context),
            Err(failure) => trail.page_failed(&self.path, Err(&failure), context),
        }
        context.edits = self.edits;
        self.failed
    }
}

/// Builds the request for the error page at `path`.
fn page(mut echo: Box<Request>, path: &[u8], status: StatusCode) -> Option<Box<Request>> {
    error_page::remove_content_fields(&mut echo.fields);
    let target = echo.target.with_path_and_query(path.to_vec(), None).ok()?;
    Some(echo.error_page(target, status))
}
