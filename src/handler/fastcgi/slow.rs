//! `slow`: a warning for a script whose answer begins late.

use std::time::Duration;

use tokio::time::Instant;

use crate::cgi::Script;
use crate::handler::origin::Trace;
use crate::limits::log_throttle::LogThrottle;
use crate::message::Request;
use crate::upstream::Member;

/// Least time between two warnings of a site.
const INTERVAL: Duration = Duration::from_secs(1);

/// The time after which the scripts of a site are slow.
#[derive(Debug)]
pub struct SlowLog {
    limit: Duration,
    throttle: LogThrottle,
}

/// A slow answer.
#[derive(Debug)]
pub(super) struct SlowAnswer<'a> {
    pub(super) site: &'a str,
    pub(super) upstream: &'a str,
    pub(super) request: &'a Request,
    pub(super) script: &'a Script,
    pub(super) member: &'a Member,
    pub(super) trace: &'a Trace,
    /// From the receipt of the request's head.
    pub(super) total: Duration,
}

impl SlowLog {
    /// Builds the log of a site; `limit` is `slow`.
    pub fn new(limit: Duration) -> Self {
        Self {
            limit,
            throttle: LogThrottle::every(INTERVAL),
        }
    }

    /// Reports whether an answer that took this time to begin is slow.
    pub(super) fn is_slow(&self, took: Duration) -> bool {
        took >= self.limit
    }

    /// Logs an answer, unless the site has logged one just before.
    pub(super) fn log(&self, answer: &SlowAnswer<'_>, now: Instant) {
        let Some(left_out) = self.throttle.admit(now) else {
            return;
        };
        let SlowAnswer {
            request,
            script,
            trace,
            ..
        } = answer;
        tracing::warn!(
            request_id = %request.id,
            trace_id = request.id.trace_id().map(display),
            client = %request.wire.remote_addr,
            site = answer.site,
            upstream = answer.upstream,
            script = &*String::from_utf8_lossy(&script.name),
            queue_ms = milliseconds(trace.queue),
            connect_ms = milliseconds(trace.connect),
            acknowledge_ms = milliseconds(trace.acknowledge),
            first_byte_ms = milliseconds(trace.first_byte),
            total_ms = milliseconds(Some(answer.total)),
            waiting = answer.member.snapshot().waiting,
            left_out,
            "slow script: its answer began after more than slow = {:?}",
            self.limit
        );
    }
}

/// Returns milliseconds, exact to the microsecond.
fn milliseconds(time: Option<Duration>) -> Option<f64> {
    time.map(|time| (time.as_secs_f64() * 1e6).round() / 1e3)
}
