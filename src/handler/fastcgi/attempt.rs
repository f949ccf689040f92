//! One attempt at a call on one connection, up to the head of the answer.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::time::Instant;

use super::Fastcgi;
use super::call_times::CallTimes;
use super::output::ScriptOutput;
use super::slow::SlowAnswer;
use super::stderr::{ErrorStream, Origin};
use crate::cgi::Script;
use crate::cgi::response::{HeadError, parse_from};
use crate::failure::Failure;
use crate::fastcgi::management::PROBE;
use crate::fastcgi::record::{HEADER_LEN, ID_AT, Id, ProtocolStatus, stamp};
use crate::fastcgi::{Answer, Broken, Exchange, ExchangeError, Outbound, Progress};
use crate::handler::answer::{Pieces, StartedAnswer, is_live_answer};
use crate::handler::origin::Trace;
use crate::message::{AnswerHead, Request, Upload, UploadError};
use crate::moment;
use crate::upstream::fpm::lease::Entry;
use crate::upstream::{Lease, Member};

/// Limit on interim heads before one answer: early hints come once or twice.
const MOST_INTERIM: u32 = 8;

/// State common to all attempts at one call.
#[derive(Debug)]
pub(super) struct Attempt<'a> {
    pub(super) fastcgi: &'a Arc<Fastcgi>,
    pub(super) times: CallTimes<'a>,
    /// The time at which the gateway had what it needs of the request.
    pub(super) ready: Instant,
    pub(super) script: &'a Arc<Script>,
    pub(super) request: &'a Request,
}

/// Result of a failed attempt.
#[derive(Debug)]
pub(super) struct FailedAttempt {
    /// The member that failed.
    pub(super) member: Arc<Member>,
    pub(super) failure: Failure,
    pub(super) progress: Progress,
    /// Time until a worker acknowledged the request.
    pub(super) acknowledged: Option<Duration>,
    pub(super) upload: Upload,
    /// No content was read.
    pub(super) untouched: bool,
}

impl Attempt<'_> {
    /// Sends the request, whose probe, BEGIN_REQUEST and PARAMS are `records`, on `lease`, and reads the head
    /// of the answer.
    pub(super) async fn run(
        &self,
        mut lease: Lease,
        records: &mut Bytes,
        upload: Upload,
    ) -> Result<Box<StartedAnswer<ScriptOutput>>, Box<FailedAttempt>> {
        let waits = lease.waits;
        let is_whole = upload.is_whole();
        let member = Arc::clone(lease.member());
        let outbound = self.outbound(&mut lease, records, upload);
        let mut exchange =
            Exchange::start(lease, outbound, self.times.pace(self.fastcgi.spool.pause));
        let mut errors = ErrorStream::new(Origin {
            request_id: self.request.id.clone(),
            log: Arc::clone(&self.fastcgi.log),
            script: Arc::clone(self.script),
            wire: Arc::clone(&self.request.wire),
        });
        match self.head(&mut exchange, &mut errors).await {
            Ok((head, rest)) => {
                member.record_answer();
                let trace = Trace {
                    upstream: Some(Arc::clone(&self.fastcgi.log.upstream)),
                    script: None,
                    queue: Some(waits.queue),
                    connect: Some(waits.connect),
                    acknowledge: exchange.acknowledged_after(),
                    first_byte: Some(moment::now().duration_since(self.times.arrived)),
                };
                if is_whole {
                    self.log_if_slow(&head, &trace, &member);
                }
                Ok(Box::new(StartedAnswer {
                    incoming: ScriptOutput {
                        exchange,
                        errors,
                        timeouts: Arc::clone(self.times.limits),
                    },
                    head,
                    rest,
                    trace,
                }))
            }
            Err((failure, progress)) => {
                if breaks_the_protocol(&failure) {
                    member.record_violation(&failure);
                }
                Err(Box::new(FailedAttempt {
                    member,
                    failure,
                    progress,
                    acknowledged: exchange.acknowledged_after(),
                    untouched: exchange.is_content_untouched(),
                    upload: exchange.into_upload(),
                }))
            }
        }
    }

    /// Logs a script whose answer begins late; the time of a live answer is its own.
    fn log_if_slow(&self, head: &AnswerHead, trace: &Trace, member: &Member) {
        let log = &self.fastcgi.log;
        let Some(slow) = &log.slow else { return };
        let now = moment::now();
        if !slow.is_slow(now.duration_since(self.ready)) || is_live_answer(&head.headers) {
            return;
        }
        let answer = SlowAnswer {
            site: &log.site,
            upstream: &log.upstream,
            request: self.request,
            script: self.script,
            member,
            trace,
            total: now.duration_since(self.times.received),
        };
        slow.log(&answer, now);
    }

    /// Returns the records to send and how to send them (docs/internals/admission.md, "The probe in front").
    fn outbound(&self, lease: &mut Lease, records: &mut Bytes, upload: Upload) -> Outbound {
        let (id, over) = lease.request_ids();
        put_id(records, id);
        let unsafe_method = !self.request.is_safe();
        let entry = lease.entry(unsafe_method);
        let begin = match entry {
            Entry::Plain => PROBE.len(),
            Entry::Probe => 0,
        };
        // The last record is the empty PARAMS, without which nothing is executed.
        // Content that cannot be sent twice waits with it.
        let must = lease.must_hold() || !upload.is_whole();
        let hold = entry == Entry::Probe && unsafe_method && must;
        let end = records.len() - if hold { HEADER_LEN } else { 0 };
        Outbound {
            id,
            over,
            head: records.slice(begin..end),
            held: hold.then(|| records.slice(end..)),
            probed: entry == Entry::Probe,
            has_trailing_probe: lease.can_probe_behind(),
            upload,
            runs_on: unsafe_method || self.fastcgi.ignore_client_abort,
        }
    }

    /// Reads the head (RFC 3875 §6). Returns it with the content that came with it.
    async fn head(
        &self,
        exchange: &mut Exchange<Lease>,
        errors: &mut ErrorStream,
    ) -> Result<(AnswerHead, Pieces), (Failure, Progress)> {
        let mut begun = BytesMut::new();
        let mut scanned = 0;
        let mut interim = 0;
        loop {
            let mut text = match exchange.answer().await {
                // The usual head is there with its first piece, which is not copied then.
                Some(Ok(Answer::Stdout(piece))) if begun.is_empty() => piece,
                Some(Ok(Answer::Stdout(piece))) => {
                    begun.extend_from_slice(&piece);
                    begun.split().freeze()
                }
                Some(Ok(Answer::Stderr(piece))) => {
                    errors.push(piece).await;
                    continue;
                }
                Some(Ok(Answer::End { status, .. })) => return Err(self.no_head(status)),
                Some(Err(broken)) => {
                    let progress = broken.progress;
                    return Err((self.broken(broken), progress));
                }
                None => return Err(self.no_head(ProtocolStatus::RequestComplete)),
            };
            match self.final_head(&mut text, &mut scanned, &mut interim) {
                Ok(Some(head)) => {
                    let mut rest = Pieces::default();
                    rest.push(text);
                    return Ok((head, rest));
                }
                Ok(None) => begun = BytesMut::from(text),
                Err(error) => {
                    let upstream = self.upstream();
                    return Err((Failure::Head { upstream, error }, Progress::Settled));
                }
            }
        }
    }

    /// Takes the final head from the beginning of `buffer`, once it is complete. Interim ones are dropped:
    /// hyper sends none but its own 100.
    fn final_head(
        &self,
        buffer: &mut Bytes,
        scanned: &mut usize,
        interim: &mut u32,
    ) -> Result<Option<AnswerHead>, HeadError> {
        while let Some((head, length)) = parse_from(buffer, *scanned, self.fastcgi.head)? {
            buffer.advance(length);
            *scanned = 0;
            if !head.status.is_informational() {
                return Ok(Some(head));
            }
            *interim += 1;
            if *interim > MOST_INTERIM {
                return Err(HeadError::Informational(head.status.to_string()));
            }
            let status = head.status.as_u16();
            tracing::info!(request_id = %self.request.id, trace_id = self.request.id.trace_id().map(display), status, "interim answer of the script dropped");
        }
        *scanned = buffer.len();
        Ok(None)
    }

    /// Converts a failed exchange; a timeout gets its key, its value and its line.
    pub(super) fn broken(&self, broken: Broken) -> Failure {
        match broken.error {
            ExchangeError::Timeout(which, duration) => match self.times.limits.limit(which) {
                Some(limit) => self.fastcgi.timed_out(which, limit, None),
                None => Failure::Upload(UploadError::Stalled { pause: duration }),
            },
            ExchangeError::Upload(error) => Failure::Upload(error),
            ExchangeError::Reset(_) | ExchangeError::Closed | ExchangeError::Protocol(_) => {
                let upstream = self.upstream();
                Failure::Exchange { upstream, broken }
            }
        }
    }

    /// Returns the failure of an exchange without a head. FastCGI §5.5: refused before it began, or the script
    /// printed nothing.
    fn no_head(&self, status: ProtocolStatus) -> (Failure, Progress) {
        let upstream = self.upstream();
        let failure = match status {
            ProtocolStatus::RequestComplete => Failure::NoHead(upstream),
            ProtocolStatus::CantMpxConn
            | ProtocolStatus::Overloaded
            | ProtocolStatus::UnknownRole
            | ProtocolStatus::Other(_) => Failure::Refused { upstream, status },
        };
        (failure, Progress::Settled)
    }

    fn upstream(&self) -> String {
        self.fastcgi.upstream.name.clone()
    }
}

/// Stamps the id into `records`, which are encoded for the first request of a connection.
fn put_id(records: &mut Bytes, id: Id) {
    let at = PROBE.len() + ID_AT;
    if records.get(at..at + 2) == Some(&id.get().to_be_bytes()[..]) {
        return;
    }
    let mut stamped = BytesMut::from(std::mem::take(records));
    stamp(&mut stamped, id);
    *records = stamped.freeze();
}

/// Reports whether the server broke the protocol; the script and its timeouts do not count.
fn breaks_the_protocol(failure: &Failure) -> bool {
    matches!(
        failure,
        Failure::Refused { .. }
            | Failure::Exchange {
                broken: Broken {
                    error: ExchangeError::Protocol(_),
                    ..
                },
                ..
            }
    )
}
