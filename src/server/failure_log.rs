//! The log of failed requests: client errors at DEBUG, or in the words of Apache where the log has its style; faults of
//! upstreams and of the gateway at ERROR.

use http::StatusCode;
use tokio::time::Instant;
use tracing::Level;

use super::shared::Shared;
use crate::access_log::Record;
use crate::failure::{Failure, Notice};
use crate::journey::{Context, Trail};
use crate::line_log::section::NOTICE;
use crate::message::Refusal;

/// Log of the failures of one request.
pub(super) struct FailureLog<'a> {
    pub(super) shared: &'a Shared,
    pub(super) record: &'a Record,
}

impl Trail for FailureLog<'_> {
    fn failed(&mut self, failure: &Failure, context: &Context) {
        if context.site.is_none() {
            self.shared.state.refused.add();
        }
        if failure.level() != Level::ERROR {
            return self.log_client_error(failure, context);
        }
        if !failure.is_throttled() {
            self.log_fault(failure, context, None);
        } else if let Some(left_out) = self.shared.throttle.admit(Instant::now()) {
            self.log_fault(failure, context, Some(left_out));
        }
    }

    fn page_failed(
        &mut self,
        path: &[u8],
        answered: Result<StatusCode, &Failure>,
        context: &Context,
    ) {
        let (id, path) = (&context.id, path.escape_ascii());
        match answered {
            Ok(status) => {
                let status = status.as_u16();
                tracing::warn!(request_id = %id, %path, status, "the error page failed");
            }
            // A page that asks for a password too: clients cause it at will.
            Err(failure) if failure.level() != Level::ERROR => {
                tracing::debug!(request_id = %id, %path, "the error page failed: {failure}");
            }
            Err(failure) => {
                tracing::warn!(request_id = %id, %path, "the error page failed: {failure}");
            }
        }
    }
}

/// Logs a failure with the fields of its request.
macro_rules! record {
    ($level:ident, $log:expr, $failure:expr, $context:expr, $left_out:expr) => {{
        let (context, failure) = ($context, $failure);
        let Context { id, trace, .. } = context;
        tracing::$level!(
            request_id = %id,
            trace_id = id.trace_id().map(display),
            cause = failure.code(),
            uri = %context.log.shown($log.record),
            client = %context.wire.remote_addr,
            site = context.site.as_ref().map(|site| &*site.name),
            upstream = trace.upstream.as_deref(),
            script = trace.script.as_deref(),
            left_out = $left_out,
            "{failure}"
        )
    }};
}

impl FailureLog<'_> {
    fn log_fault(&self, failure: &Failure, context: &Context, left_out: Option<u64>) {
        record!(error, self, failure, context, left_out);
    }

    fn log_client_error(&self, failure: &Failure, context: &Context) {
        if tracing::enabled!(target: NOTICE, Level::ERROR) {
            let target = context.log.shown(self.record);
            let words = (self.record.method.as_str(), &*target);
            let limit = longest_request_line(self.shared);
            if let Some(notice) = Notice::of_failure(failure, words, limit) {
                return log_notice(&notice, &context.wire.remote_addr);
            }
        }
        record!(debug, self, failure, context, None::<u64>);
    }
}

/// Logs a head that is refused before hyper has it.
pub(super) fn log_refused_head(refusal: Refusal, client: &str, shared: &Shared) {
    if tracing::enabled!(target: NOTICE, Level::ERROR)
        && let Some(notice) = Notice::of_refusal(refusal, longest_request_line(shared))
    {
        return log_notice(&notice, client);
    }
    tracing::debug!(%client, cause = refusal.code(), "{refusal}");
}

/// Returns `limits.request_line`, in bytes.
fn longest_request_line(shared: &Shared) -> usize {
    shared.live.load().server.limits.request_line
}

/// Logs a line in the words of Apache.
fn log_notice(notice: &Notice, client: &str) {
    let Notice { module, text, .. } = notice;
    if notice.level == Level::ERROR {
        tracing::error!(target: NOTICE, module, client, "{text}");
    } else {
        tracing::info!(target: NOTICE, module, client, "{text}");
    }
}
