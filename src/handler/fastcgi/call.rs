//! One call of a script: buffers the content if necessary, then leases a connection and makes an attempt;
//! retries from the head of the queue if nothing was executed.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use tokio::time::{Instant, sleep};

use super::Fastcgi;
use super::attempt::{Attempt, FailedAttempt};
use super::call_times::CallTimes;
use super::output::ScriptOutput;
use crate::cgi::{Script, long_variable, meta_variables, set_env};
use crate::failure::Failure;
use crate::fastcgi::management::PROBE;
use crate::fastcgi::params::{ParamsEncoder, end_of_params};
use crate::fastcgi::record::begin_request;
use crate::fastcgi::{Limit, Progress};
use crate::handler::answer::{Reply, ReplyError, StartedAnswer};
use crate::handler::body::Body;
use crate::handler::origin::Trace;
use crate::limits::budget::Owner;
use crate::message::spool::SpoolSettings;
use crate::message::{Disk, Request, Upload, UploadError, spool};
use crate::moment;
use crate::upstream::{ClassKey, Deadline, Demand, Flow, Lease, LeaseError, Member, Order};

/// Longest run of a worker that a restart of PHP-FPM may have killed. One that worked longer died of the
/// request (`request_terminate_timeout`, memory, a fault of PHP's), and so would the next.
const RESTART_RACE: Duration = Duration::from_millis(250);

/// Pause between two attempts, from the third on.
const RETRY_PAUSE: Duration = Duration::from_millis(5);

/// A call of a script.
#[derive(Debug)]
pub struct Call {
    /// The handler.
    pub fastcgi: Arc<Fastcgi>,
    /// The script.
    pub script: Arc<Script>,
}

impl Call {
    /// Calls the script and waits for the head of its answer, which may name a file on `disk`. The gateway got the
    /// request at `received`.
    pub async fn perform(
        self,
        mut request: Box<Request>,
        disk: &dyn Disk,
        received: Instant,
        trace: &mut Trace,
    ) -> Result<Response<Body>, Failure> {
        trace.upstream = Some(Arc::clone(&self.fastcgi.log.upstream));
        if let Some(edits) = &request.edits {
            edits.apply_to_request(&mut request.fields);
        }
        let timeouts = self.fastcgi.call_timeouts(request.edits.as_deref());
        let times = CallTimes::begin(&timeouts, received);
        let content = self.prepare(&mut request, &times).await?;
        let attempt = Attempt {
            fastcgi: &self.fastcgi,
            times,
            ready: moment::now(),
            script: &self.script,
            request: &request,
        };
        let answered = match self.begin_answer(&attempt, content, trace).await {
            Ok(begun) => self.reply(begun, &attempt, disk).await,
            Err(failure) => Err(failure),
        };
        if answered.is_err() {
            trace.script = Some(String::from_utf8_lossy(&self.script.name).into());
        }
        answered
    }

    /// Makes attempts until an answer begins or no further attempt is allowed.
    async fn begin_answer(
        &self,
        attempt: &Attempt<'_>,
        (mut upload, mut records): (Upload, Bytes),
        trace: &mut Trace,
    ) -> Result<Box<StartedAnswer<ScriptOutput>>, Failure> {
        let request = attempt.request;
        let mut retries = Retries::default();
        let mut order = Order::Last;
        let mut failed_at = None;
        loop {
            let leased = self
                .lease_for(&mut upload, attempt, order, failed_at.as_ref())
                .await;
            let lease = match leased {
                Ok(lease) => lease,
                Err(failure) => {
                    trace.queue = Some(attempt.times.arrived.elapsed());
                    return Err(failure);
                }
            };
            (trace.queue, trace.connect) = (Some(lease.waits.queue), Some(lease.waits.connect));
            let replay = upload.replay();
            let failed = match attempt.run(lease, &mut records, upload).await {
                Ok(begun) => return Ok(begun),
                Err(failed) => *failed,
            };
            trace.acknowledge = failed.acknowledged;
            let again =
                retries.allow(failed.progress, request.is_safe()) && attempt.times.is_in_time();
            failed_at = Some(Arc::clone(&failed.member));
            upload = next_upload(failed, replay, again)?;
            tracing::debug!(request_id = %request.id, trace_id = request.id.trace_id().map(display), "sent again");
            retries.pause().await;
            order = Order::First;
        }
    }

    /// Receives the content as far as necessary, and encodes the records, which hold its length.
    async fn prepare(
        &self,
        request: &mut Request,
        times: &CallTimes<'_>,
    ) -> Result<(Upload, Bytes), Failure> {
        let upload = self.receive(request, times).await?;
        let records = self.records(request, &upload)?;
        Ok((upload, records))
    }

    /// Receives the content as far as necessary. Refuses too much content before it reads any of it, so that
    /// `Expect: 100-continue` saves the client the upload.
    async fn receive(
        &self,
        request: &mut Request,
        times: &CallTimes<'_>,
    ) -> Result<Upload, Failure> {
        let settings = self.spool_settings(request);
        let limit = settings.limit;
        let upload = std::mem::replace(&mut request.upload, Upload::Empty);
        if let Some(length) = upload.length().filter(|length| *length > limit) {
            return Err(Failure::BodyTooLarge { length, limit });
        }
        tokio::select! {
            biased;
            received = spool::receive(upload, &settings, request.wire.party()) => received.map_err(Failure::from),
            () = times.wait_until_overdue() => {
                let limit = &times.limits.total;
                Err(self.fastcgi.timed_out(Limit::TotalUpload, limit, None))
            }
        }
    }

    /// Returns the buffering of the request, with the body limit of a rule on the way.
    pub(super) fn spool_settings(&self, request: &Request) -> Cow<'_, SpoolSettings> {
        let settings = &self.fastcgi.spool;
        let limit = self.fastcgi.body_limit(request.edits.as_deref());
        if limit == settings.limit {
            return Cow::Borrowed(settings);
        }
        Cow::Owned(SpoolSettings {
            limit,
            ..settings.clone()
        })
    }

    /// Encodes a probe, BEGIN_REQUEST and PARAMS with its empty record; an attempt omits the parts that it does
    /// not need.
    fn records(&self, request: &Request, upload: &Upload) -> Result<Bytes, Failure> {
        let mut records = Vec::with_capacity(2048);
        records.extend_from_slice(PROBE);
        begin_request(&mut records);
        let mut params = ParamsEncoder::new(&mut records);
        self.encode(&mut params, request, upload.length())?;
        params.finish();
        end_of_params(&mut records);
        Ok(Bytes::from(records))
    }

    /// Encodes all variables of `request`, with `length` bytes of content. Fails where a variable is longer
    /// than PHP can read.
    pub(super) fn encode(
        &self,
        params: &mut ParamsEncoder<'_>,
        request: &Request,
        length: Option<u64>,
    ) -> Result<(), Failure> {
        let fastcgi = &self.fastcgi;
        let contract = &fastcgi.contract;
        fastcgi.constants.encode(params, &self.script);
        meta_variables::encode_script(params, request, &self.script, &fastcgi.mapping, contract);
        let mut dropped = |name: &_| fastcgi.ambiguous.record(name);
        meta_variables::encode_request(params, request, length, contract, &mut dropped);
        if let Some(edits) = &request.edits {
            params.replace(|encoded| set_env::apply(encoded, edits));
        }
        let edits = request.edits.as_deref();
        long_variable::check(params.pairs(), &contract.responder, edits).map_err(Failure::Variable)
    }

    /// Returns the owner and the class of the request in the queue.
    fn flow(&self, request: &Request) -> Flow {
        let owner = self.owner(request);
        let rule = request
            .edits
            .as_ref()
            .and_then(|edits| edits.reserving_rule());
        let has_class = rule.is_some() || self.fastcgi.has_reserve;
        Flow {
            owner,
            class: has_class.then_some(ClassKey {
                site: owner.site,
                rule,
            }),
        }
    }

    fn owner(&self, request: &Request) -> Owner {
        Owner {
            party: request.wire.party(),
            site: self.fastcgi.spool.site,
        }
    }

    /// Leases a connection, unless the client leaves meanwhile: PHP never sees a request that is still queued
    /// then. `failed` is the member of the attempt before.
    async fn lease_for(
        &self,
        upload: &mut Upload,
        attempt: &Attempt<'_>,
        order: Order,
        failed: Option<&Arc<Member>>,
    ) -> Result<Lease, Failure> {
        let times = &attempt.times;
        let overdue = || {
            let limit = &times.limits.total;
            Err(self.fastcgi.timed_out(Limit::Total, limit, None))
        };
        if times.is_overdue() {
            return overdue();
        }
        let since = times.arrived;
        let (limit, ..) = times.longest_wait();
        let demand = Demand {
            flow: self.flow(attempt.request),
            order,
            deadline: Deadline { since, limit },
        };
        tokio::select! {
            biased;
            lease = self.fastcgi.upstream.lease(demand, failed) => lease.map_err(|error| self.lease_failure(error, times)),
            error = upload.wait_until_gone() => Err(client_failure(error)),
            () = times.wait_until_overdue() => overdue(),
        }
    }

    fn lease_failure(&self, error: LeaseError, times: &CallTimes<'_>) -> Failure {
        let upstream = self.fastcgi.upstream.name.clone();
        match error {
            LeaseError::QueueTimeout { retry_after, .. } => {
                let (_, which, limit) = times.longest_wait();
                self.fastcgi.timed_out(which, limit, Some(retry_after))
            }
            error @ (LeaseError::QueueFull { .. }
            | LeaseError::Down { .. }
            | LeaseError::Refused { .. }
            | LeaseError::Denied { .. }) => Failure::Lease { upstream, error },
        }
    }

    async fn reply(
        &self,
        started: Box<StartedAnswer<ScriptOutput>>,
        attempt: &Attempt<'_>,
        disk: &dyn Disk,
    ) -> Result<Response<Body>, Failure> {
        let reply = Reply {
            settings: &self.fastcgi.answers,
            request: attempt.request,
            owner: self.owner(attempt.request),
            upstream: &self.fastcgi.log.upstream,
            script: &self.script.name,
        };
        let responded = reply.respond(started, disk).await;
        responded.map_err(|error| match error {
            ReplyError::Broken(broken) => attempt.broken(broken),
            ReplyError::Failed(failure) => failure,
        })
    }
}

/// Converts an upload error. hyper does not distinguish a client that left from one that broke its framing:
/// neither reads its answer.
fn client_failure(error: UploadError) -> Failure {
    if matches!(error, UploadError::Client(_)) {
        Failure::ClientGone
    } else {
        error.into()
    }
}

/// Counter of the attempts after the first.
#[derive(Debug, Default)]
struct Retries {
    is_repeated: bool,
    all: u32,
}

impl Retries {
    /// Reports whether the same request may be sent again. One that may have run is repeated once, if its
    /// method is safe. The end of the connection proves nothing: a program that has read all of the request
    /// dies with an orderly end, and a proxy turns a reset into one.
    fn allow(&mut self, progress: Progress, is_safe: bool) -> bool {
        match progress {
            Progress::NotExecuted => true,
            Progress::Unknown(worked) => {
                let is_first = !std::mem::replace(&mut self.is_repeated, true);
                is_safe && is_first && worked <= RESTART_RACE
            }
            Progress::Settled => false,
        }
    }

    /// Waits before the next attempt: a server that closes each connection is not to be met as fast as we can
    /// connect.
    async fn pause(&mut self) {
        self.all += 1;
        if self.all > 1 {
            sleep(RETRY_PAUSE).await;
        }
    }
}

/// Returns the content of the next attempt: the untouched upload, or a complete copy.
fn next_upload(
    failed: FailedAttempt,
    replay: Option<Upload>,
    again: bool,
) -> Result<Upload, Failure> {
    match (again, failed.untouched, replay) {
        (true, true, _) => Ok(failed.upload),
        (true, false, Some(upload)) => Ok(upload),
        (true, false, None) | (false, _, _) => Err(failed.failure),
    }
}
