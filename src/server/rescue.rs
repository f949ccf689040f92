//! What a client gets in place of an answer that failed: our own page, or the site's.

use http::{HeaderMap, HeaderValue, Response, header};

use super::logged::Entry;
use super::service::{Connection, rounds};
use crate::failure::Failure;
use crate::filter::error_page::{self, Content};
use crate::filter::own_page::{self, Told};
use crate::handler::Body;
use crate::limits::rate::Exceeded;
use crate::message::{Request, RequestId};

/// A failure as an answer; the log has the rest under the request's name.
pub(super) fn rescue(
    failure: &Failure,
    id: RequestId,
    accept: Option<&HeaderValue>,
    entry: &mut Entry,
) -> Response<Body> {
    let (status, cause) = (failure.status(), failure.code());
    entry.set_cause(cause);
    let mut response = own_page::built_in(Told { status, cause, id }, accept);
    let fields = response.headers_mut();
    if let Some(seconds) = failure.retry_after() {
        fields.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if let Failure::TooMany(exceeded) = failure {
        rate_limit_fields(exceeded, fields);
    }
    if failure.ends_connection() {
        fields.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    if let Some(allow) = failure.allow() {
        fields.insert(header::ALLOW, allow);
    }
    response
}

/// draft-ietf-httpapi-ratelimit-headers: what the client may do, and how soon.
fn rate_limit_fields(exceeded: &Exceeded, fields: &mut HeaderMap) {
    let Exceeded::Rate { allowance, wait } = exceeded else {
        return;
    };
    let policy = format!("\"client\";q={};w=1", allowance.per_second);
    let state = format!("\"client\";r=0;t={}", wait.as_secs() + 1);
    for (name, value) in [("ratelimit-policy", policy), ("ratelimit", state)] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            fields.insert(name, value);
        }
    }
}

/// The page that the site has in place of `failed`, where it has one; `own`: no script made the
/// answer. A page that fails is no page.
pub(super) async fn page(
    connection: &Connection,
    mut failed: Response<Body>,
    own: bool,
    entry: &mut Entry,
) -> Response<Body> {
    let Some(site) = entry.site().cloned() else {
        return failed;
    };
    let empty = error_page::is_empty(&failed);
    match site.error_pages.find(failed.status(), own, empty) {
        None => failed,
        Some(Content::Ready(bytes, media_type)) => {
            error_page::put(&mut failed, bytes.clone(), media_type.clone());
            failed
        }
        Some(Content::Path(path)) => {
            let Some(request) = entry
                .take_echo()
                .and_then(|echo| asked(echo, path, &failed))
            else {
                return failed;
            };
            match Box::pin(rounds(&site, request, connection, entry)).await {
                Ok(page) if !page.status().is_server_error() => {
                    error_page::in_place_of(&failed, page)
                }
                Ok(page) => {
                    tracing::warn!(path = %path.escape_ascii(), status = page.status().as_u16(), "the error page failed");
                    failed
                }
                Err(failure) => {
                    tracing::warn!(path = %path.escape_ascii(), "the error page failed: {failure}");
                    failed
                }
            }
        }
    }
}

fn asked(mut echo: Box<Request>, path: &[u8], failed: &Response<Body>) -> Option<Box<Request>> {
    error_page::forget_content(&mut echo.fields);
    let target = echo.target.with_path_and_query(path.to_vec(), None).ok()?;
    Some(echo.error_page(target, failed.status()))
}
